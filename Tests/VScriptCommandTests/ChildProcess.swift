import Foundation
import Testing

#if os(Linux)

/// A child process with everything it writes, which ends with the test at the latest.
final class ChildProcess {
    private let process = Process()
    private let file: URL

    init(_ path: String, _ arguments: [String], in directory: URL, output name: String) throws {
        file = directory.appendingPathComponent(name)
        try Data().write(to: file)
        let handle = try FileHandle(forWritingTo: file)
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = directory
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    var text: String { (try? String(contentsOf: file, encoding: .utf8)) ?? "" }

    /// Waits for a condition, with an end.
    func wait(seconds: Double = 60, until isDone: (ChildProcess) -> Bool) -> Bool {
        let end = Date.now + seconds
        while Date.now < end {
            if isDone(self) { return true }
            usleep(20_000)
        }
        return isDone(self)
    }

    var hasEnded: Bool { !process.isRunning }
    func interrupt() { kill(process.processIdentifier, SIGINT) }

    /// `vscript` with arguments that make it serve a guest to gdb, and the port where it does.
    static func gdbServer(_ arguments: [String], in directory: URL) throws -> (server: ChildProcess, port: String) {
        let server = try ChildProcess(commandURL.path, arguments, in: directory, output: "server")
        try #require(server.wait { $0.text.contains("localhost:") && $0.text.hasSuffix("\n") })
        let port = try #require(server.text.split(separator: ":").last).trimmingCharacters(in: .whitespacesAndNewlines)
        return (server, port)
    }

    /// What gdb says to commands, connected to a port.
    static func gdb(
        _ commands: [String], port: String, in directory: URL, _ name: String, seconds: Double = 60
    ) throws -> String {
        let all =
            ["set pagination off", "set confirm off", "set width 0", "target remote localhost:\(port)"] + commands
        let child = try ChildProcess(
            "/usr/bin/gdb", ["-nx", "-batch"] + all.flatMap { ["-ex", $0] }, in: directory, output: name)
        #expect(child.wait(seconds: seconds) { $0.hasEnded }, "\(child.text)")
        return child.text
    }
}

#endif
