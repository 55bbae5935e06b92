import X86Engine

/// Why memory cannot be read or written.
public struct MemoryError: Error, Equatable, CustomStringConvertible {
    /// The first byte.
    public var address: UInt64
    /// How many bytes.
    public var count: Int
    /// Whether the address is linear, else guest-physical.
    public var isLinear: Bool

    /// One line, without a period at its end.
    public var description: String {
        "there is no \(isLinear ? "mapped memory at the linear" : "memory at the physical") address "
            + hexadecimal(address) + (count == 1 ? "" : " for \(count) bytes")
    }
}

/// A guest's memory by guest-physical or by linear address; looking at it changes nothing.
///
/// Integers are little-endian. Everything throws `MemoryError`, with nothing done, where there is no memory.
public struct MemoryView {
    let guest: Guest
    let isLinear: Bool

    /// Reads bytes.
    public func read(_ address: UInt64, count: Int) throws(MemoryError) -> [UInt8] {
        if isLinear {
            if let bytes = guest.cpu.read(address, count: count) { return bytes }
        } else if count >= 0, count <= guest.memory.size {
            var bytes = [UInt8](repeating: 0, count: count)
            if bytes.withUnsafeMutableBytes({ guest.memory.read(address, into: $0) }) { return bytes }
        }
        throw MemoryError(address: address, count: count, isLinear: isLinear)
    }

    /// Writes bytes.
    public func write(_ bytes: [UInt8], at address: UInt64) throws(MemoryError) {
        let isDone =
            isLinear
            ? guest.cpu.write(address, bytes) : bytes.withUnsafeBytes { guest.memory.write(address, $0) }
        if !isDone { throw MemoryError(address: address, count: bytes.count, isLinear: isLinear) }
    }

    /// Reads an integer.
    public func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _ type: Value.Type = Value.self, at address: UInt64
    ) throws(MemoryError) -> Value {
        try read(address, count: Value.bitWidth / 8)[...].littleEndian(type)
    }

    /// Writes an integer.
    public func write<Value: FixedWidthInteger & UnsignedInteger>(
        integer value: Value, at address: UInt64
    ) throws(MemoryError) {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: value)
        try write(bytes, at: address)
    }

    /// The byte at an address.
    public func u8(_ address: UInt64) throws(MemoryError) -> UInt8 { try integer(at: address) }
    /// Two bytes.
    public func u16(_ address: UInt64) throws(MemoryError) -> UInt16 { try integer(at: address) }
    /// Four bytes.
    public func u32(_ address: UInt64) throws(MemoryError) -> UInt32 { try integer(at: address) }
    /// Eight bytes.
    public func u64(_ address: UInt64) throws(MemoryError) -> UInt64 { try integer(at: address) }

    /// The longest text that is read without a count.
    private static let textLimit = 1 << 16

    /// The text at an address: so many bytes, or up to a zero, at most 64 KiB.
    public func string(at address: UInt64, count: Int? = nil) throws(MemoryError) -> String {
        if let count { return String(decoding: try read(address, count: count), as: UTF8.self) }
        var bytes: [UInt8] = []
        while bytes.count < Self.textLimit {
            let position = address &+ UInt64(bytes.count)
            // Up to the end of a page at once; the next one may not be there.
            let part = try read(position, count: Int(0x1000 &- (position & 0xFFF)))
            let text = part.prefix { $0 != 0 }
            bytes += text
            if text.count < part.count { break }
        }
        return String(decoding: bytes.prefix(Self.textLimit), as: UTF8.self)
    }
}

extension Guest {
    /// Memory by guest-physical address.
    public var mem: MemoryView { MemoryView(guest: self, isLinear: false) }
}

extension CPUView {
    /// Memory by linear address, as paging shows it at the current privilege level.
    public var mem: MemoryView { MemoryView(guest: guest, isLinear: true) }
}
