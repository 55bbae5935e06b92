import VirtualMachine

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The files of the host that a script may read and write.
///
/// Inside a granted directory every component of a path is opened beneath the one before, without following symbolic
/// links, and `..` is refused: no path leads out.
public struct Files: Sendable {
    private enum Access: Sendable {
        case everything
        case directories(reading: [String], writing: [String])
    }

    private let access: Access

    /// No files at all.
    public static let none = Files(access: .directories(reading: [], writing: []))
    /// All that the program itself may open.
    public static let all = Files(access: .everything)

    /// Files beneath directories, to be read.
    public static func reading(_ directories: String...) -> Files { none.adding(reading: directories, writing: []) }

    /// The same, and files beneath directories to be read and written.
    public func writing(_ directories: String...) -> Files { adding(reading: directories, writing: directories) }

    private func adding(reading: [String], writing: [String]) -> Files {
        guard case .directories(let readable, let writable) = access else { return self }
        return Files(access: .directories(reading: readable + reading, writing: writable + writing))
    }

    /// Opens a file and gives its descriptor; writing makes the folders that the path lacks.
    func open(_ path: String, forWriting: Bool) throws(HostFailure) -> Int32 {
        let flags = (forWriting ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY) | O_CLOEXEC
        guard case .directories(let readable, let writable) = access else {
            var descriptor = Self.openFile(AT_FDCWD, path, flags)
            if descriptor < 0, forWriting, errno == ENOENT {
                Self.makeFolders(of: path)
                descriptor = Self.openFile(AT_FDCWD, path, flags)
            }
            guard descriptor >= 0 else { throw Self.failure(path, forWriting) }
            return descriptor
        }
        let parts = try Self.components(path)
        for directory in forWriting ? writable : readable {
            guard let base = try? Self.components(directory), parts.count > base.count, parts.starts(with: base) else {
                continue
            }
            // What is no plain file, such as a pipe, must not hold up the program.
            let descriptor = try Self.open(
                Array(parts[base.count...]), beneath: directory, flags | O_NONBLOCK, path, forWriting)
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                _ = close(descriptor)
                throw HostFailure(.fileFailure, "`\(path)` is not a plain file")
            }
            return descriptor
        }
        throw HostFailure(
            .fileFailure, "`\(path)` is outside the directories that the script may \(forWriting ? "write" : "read")")
    }

    /// Writes a file so that its name stands for the old content or the new one, whatever interrupts it.
    func replace(
        _ path: String, _ body: (FileReplacement.Sink) throws(FileReplacementError) -> Void
    ) throws(FileReplacementError) {
        guard case .directories(_, let writable) = access else { return try FileReplacement.write(to: path, body) }
        let folder: Int32
        let name: String
        do throws(HostFailure) { (folder, name) = try Self.folder(of: path, in: writable) } catch {
            throw FileReplacementError(reason: error.message)
        }
        defer { _ = close(folder) }
        try FileReplacement.write(to: name, in: folder, body)
    }

    /// Opens the folder of a file beneath one of some directories; also gives the file's name.
    private static func folder(of path: String, in directories: [String]) throws(HostFailure) -> (Int32, String) {
        let parts = try components(path)
        for directory in directories {
            guard let base = try? components(directory), parts.count > base.count, parts.starts(with: base) else {
                continue
            }
            let between = Array(parts[base.count..<parts.count - 1])
            return (
                try open(between, beneath: directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, path, true),
                parts[parts.count - 1]
            )
        }
        throw HostFailure(.fileFailure, "it is outside the directories that the script may write")
    }

    /// Opens a file for reading while something is done with its descriptor.
    func reading<Result>(_ path: String, _ body: (Int32) throws -> Result) throws -> Result {
        let descriptor = try open(path, forWriting: false)
        defer { _ = close(descriptor) }
        return try body(descriptor)
    }

    /// Makes sure that a file may be read, by opening it.
    func check(_ path: String) throws(HostFailure) {
        if case .everything = access { return }
        _ = close(try open(path, forWriting: false))
    }

    private static func open(
        _ parts: [String], beneath directory: String, _ flags: Int32, _ path: String, _ forWriting: Bool
    ) throws(HostFailure) -> Int32 {
        var current = openFile(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        for (index, part) in parts.enumerated() {
            guard current >= 0 else { throw failure(path, forWriting) }
            let isLast = index == parts.count - 1
            // That the folder exists already is fine; whatever else is wrong with it, opening it tells.
            if forWriting, !isLast { mkdirat(current, part, 0o777) }
            let next = openFile(
                current, part, (isLast ? flags : O_RDONLY | O_DIRECTORY | O_CLOEXEC) | O_NOFOLLOW)
            let reason = errno
            _ = close(current)
            errno = reason
            current = next
        }
        guard current >= 0 else { throw failure(path, forWriting) }
        return current
    }

    /// Makes the folders that a path leads through, as far as they do not exist.
    private static func makeFolders(of path: String) {
        for index in path.indices where path[index] == "/" && index > path.startIndex {
            mkdir(String(path[..<index]), 0o777)
        }
    }

    private static func openFile(_ directory: Int32, _ path: String, _ flags: Int32) -> Int32 {
        openat(directory, path, flags, 0o666)
    }

    /// The components of a path from the root.
    private static func components(_ path: String) throws(HostFailure) -> [String] {
        var whole = path
        if !path.hasPrefix("/") {
            guard let current = getcwd(nil, 0) else { throw failure(path, false) }
            defer { free(current) }
            whole = String(cString: current) + "/" + path
        }
        let parts = whole.split(separator: "/").map(String.init).filter { $0 != "." }
        guard !parts.contains("..") else {
            throw HostFailure(
                .fileFailure, "`\(path)` leads upwards with `..`, which a script with limited files may not")
        }
        return parts
    }

    private static func failure(_ path: String, _ forWriting: Bool) -> HostFailure {
        let what = forWriting ? "cannot be written" : "cannot be read"
        let reason = errno == ELOOP ? "a symbolic link" : strerror(errno).map { String(cString: $0).lowercased() }
        return HostFailure(.fileFailure, "`\(path)` \(what)" + (reason.map { ": \($0)" } ?? ""))
    }
}
