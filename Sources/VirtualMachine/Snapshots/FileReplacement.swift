#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Why a file could not be written.
package struct FileReplacementError: Error {
    /// The operating system's words.
    package var reason: String

    package init(reason: String) { self.reason = reason }

    /// What the system's last refusal was about.
    static func last() -> FileReplacementError {
        // SAFETY: strerror returns a NUL-terminated string for every number; it is copied at once.
        FileReplacementError(reason: strerror(errno).map { String(cString: $0).lowercased() } ?? "error \(errno)")
    }
}

/// Writes a file so that its name stands for the old content or the new one, whatever interrupts it.
package enum FileReplacement {
    /// Takes the bytes of a file; throws when the disk does not.
    package typealias Sink = (UnsafeRawBufferPointer) throws(FileReplacementError) -> Void

    /// How much is written at once.
    private static let partSize = 1 << 20

    /// Writes a text by way of a temporary file beside the one it is to be.
    package static func write(_ text: String, to path: String) throws(FileReplacementError) {
        try write(to: path) { sink throws(FileReplacementError) in
            var text = text
            // The error's type is lost in closures of the standard library.
            let result = text.withUTF8 { bytes in
                Result { () throws(FileReplacementError) in try sink(UnsafeRawBufferPointer(bytes)) }
            }
            try result.get()
        }
    }

    /// Writes a file by way of a temporary one beside it.
    package static func write(
        to path: String, _ body: (Sink) throws(FileReplacementError) -> Void
    ) throws(FileReplacementError) {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .last() }
        defer { _ = close(directory) }
        try write(to: slash.map { String(path[path.index(after: $0)...]) } ?? path, in: directory, body)
    }

    /// Writes a file of an open directory.
    package static func write(
        to name: String, in directory: Int32, _ body: (Sink) throws(FileReplacementError) -> Void
    ) throws(FileReplacementError) {
        guard !name.isEmpty, name != ".", name != ".." else { throw FileReplacementError(reason: "is a directory") }
        let (temporary, file) = try make(for: name, in: directory)
        do throws(FileReplacementError) {
            defer { _ = close(file) }
            try body { bytes throws(FileReplacementError) in try put(bytes, into: file) }
            // The content must be on the disk before the name is.
            guard fsync(file) == 0 else { throw .last() }
            guard renameat(directory, temporary, directory, name) == 0 else { throw .last() }
        } catch {
            _ = unlinkat(directory, temporary, 0)
            throw error
        }
        // Some file systems cannot synchronize directories; the file itself is complete all the same.
        _ = fsync(directory)
    }

    /// Makes a file that nobody else has.
    private static func make(for name: String, in directory: Int32) throws(FileReplacementError) -> (String, Int32) {
        for attempt in 0..<100 {
            let temporary = ".\(name.prefix(200)).\(getpid())-\(attempt)~"
            let file = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
            if file >= 0 { return (temporary, file) }
            guard errno == EEXIST else { throw .last() }
        }
        throw .last()
    }

    private static func put(_ bytes: UnsafeRawBufferPointer, into file: Int32) throws(FileReplacementError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard Checkpoint.isPassed else { throw FileReplacementError(reason: Interrupted.text) }
            let part = rest.prefix(partSize)
            // SAFETY: the slice is part of the caller's buffer and outlives the call.
            let count = writeBytes(file, UnsafeRawBufferPointer(rebasing: part).baseAddress, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .last() }
            rest = rest.dropFirst(count)
        }
    }
}

/// The system's `write`, whose name the methods above have too.
private func writeBytes(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int { write(file, bytes, count) }
