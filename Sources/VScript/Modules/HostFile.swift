#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Files of the host that scripts read and write.
enum HostFile {
    /// The largest file that is read.
    private static let sizeLimit = 1 << 30

    static func read(_ path: String, _ files: Files) throws(HostFailure) -> [UInt8] {
        guard let file = fdopen(try files.open(path, forWriting: false), "rb") else {
            throw failure("cannot be read", path)
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            bytes += chunk[..<count]
            guard bytes.count <= sizeLimit else { throw HostFailure(.fileFailure, "`\(path)` is larger than 1 GiB") }
            if count < chunk.count { break }
        }
        guard ferror(file) == 0 else { throw failure("cannot be read", path) }
        return bytes
    }

    static func write(_ bytes: [UInt8], to path: String, _ files: Files) throws(HostFailure) {
        guard let file = fdopen(try files.open(path, forWriting: true), "wb") else {
            throw failure("cannot be written", path)
        }
        let count = fwrite(bytes, 1, bytes.count, file)
        let isClosed = fclose(file) == 0
        guard count == bytes.count, isClosed else { throw failure("cannot be written", path) }
    }

    static func exists(_ path: String, _ files: Files) -> Bool {
        guard let descriptor = try? files.open(path, forWriting: false) else { return false }
        _ = close(descriptor)
        return true
    }

    /// A path as it is meant in a file: relative to the folder that holds it.
    static func path(_ path: String, besides file: String) -> String {
        guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
        return file[...slash] + path
    }

    private static func failure(_ what: String, _ path: String) -> HostFailure {
        let reason = strerror(errno).map { String(cString: $0).lowercased() }
        return HostFailure(.fileFailure, "`\(path)` \(what)" + (reason.map { ": \($0)" } ?? ""))
    }
}
