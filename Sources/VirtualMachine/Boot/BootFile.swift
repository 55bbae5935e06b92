#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A file that a loader reads, with the name that errors give it.
///
/// Multi-byte fields are little-endian. No reader traps: what lies behind the end of the file is an error.
package struct BootFile: Equatable, Sendable {
    package let name: String
    package let bytes: [UInt8]

    /// How much is read at once.
    private static let part = 4 << 20

    /// Makes a file of bytes that are already in memory.
    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }

    /// Reads a regular file that is not empty.
    package init(path: String) throws(BootError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(file: path, reason: Self.errorText()) }
        defer { _ = close(descriptor) }
        try self.init(name: path, descriptor: descriptor)
    }

    /// Reads what a descriptor is open on: a regular file that is not empty; `limit` bounds the bytes that are read.
    package init(name path: String, descriptor: Int32, limit: Int = .max) throws(BootError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(file: path, reason: Self.errorText()) }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw .isDirectory(file: path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .unreadable(file: path, reason: "not a regular file") }
        let size = min(Int(status.st_size), limit)
        guard size > 0 else { throw .empty(file: path) }
        var failure: String?
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                guard Checkpoint.isPassed else {
                    failure = Interrupted.text
                    break
                }
                // SAFETY: `count < size`, the buffer's capacity, so the range passed to `read` lies inside it.
                let got = read(descriptor, buffer.baseAddress.map { $0 + count }, min(size - count, Self.part))
                if got < 0 && errno == EINTR { continue }
                if got < 0 { failure = Self.errorText() }
                guard got > 0 else { break }
                count += got
            }
        }
        if let failure { throw .unreadable(file: path, reason: failure) }
        guard !bytes.isEmpty else { throw .empty(file: path) }
        self.init(name: path, bytes: bytes)
    }

    /// The size in bytes.
    package var size: UInt64 { UInt64(bytes.count) }

    /// The little-endian integer at an offset, or a `truncated` error that names the field.
    package func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _ type: Value.Type, at offset: UInt64, _ field: String
    ) throws(BootError) -> Value {
        try slice(at: offset, size: UInt64(Value.bitWidth / 8), field).littleEndian(type)
    }

    /// The bytes of a range, or a `truncated` error that names what they are.
    package func slice(at offset: UInt64, size length: UInt64, _ what: String) throws(BootError) -> ArraySlice<UInt8> {
        guard offset <= size, length <= size - offset else {
            throw .truncated(file: name, what: what, offset: offset, size: length, fileSize: size)
        }
        return bytes[Int(offset)..<Int(offset + length)]
    }

    private static func errorText() -> String {
        // SAFETY: strerror returns a NUL-terminated string for every number; it is copied at once.
        strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
    }
}

extension ArraySlice<UInt8> {
    /// The first bytes as a little-endian integer; missing bytes count as zero.
    package func littleEndian<Value: FixedWidthInteger & UnsignedInteger>(_ type: Value.Type) -> Value {
        var value: Value = 0
        for (index, byte) in prefix(Value.bitWidth / 8).enumerated() {
            value |= Value(truncatingIfNeeded: byte) << Value(truncatingIfNeeded: index * 8)
        }
        return value
    }
}

extension [UInt8] {
    /// Appends an integer in little-endian order.
    package mutating func append<Value: FixedWidthInteger>(littleEndian value: Value) {
        for shift in stride(from: 0, to: Value.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> Value(truncatingIfNeeded: shift)))
        }
    }

    /// Writes an integer in little-endian order; what would lie behind the end is left out.
    package mutating func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        for index in 0..<Value.bitWidth / 8 where indices.contains(offset + index) {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> Value(truncatingIfNeeded: index * 8))
        }
    }
}
