import Foundation

/// What a run of the command left behind.
struct CommandResult {
    let status: Int32
    let output: String
    let errors: String

    /// The JSON objects of the output, one for each line.
    var objects: [[String: Any]] {
        output.split(separator: "\n").map { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any] ?? ["malformed": String(line)]
        }
    }
}

/// The command, which lies beside the tests.
let commandURL: URL = {
    // The runner lies elsewhere than what was built; the bundle is its argument.
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("vscript")
}()

/// Runs the command `vscript` that was built with the tests.
func vscript(_ arguments: String..., input: String = "", in directory: URL? = nil) throws -> CommandResult {
    try vscript(arguments, input: input, in: directory)
}

/// Runs the command with a list of arguments.
func vscript(
    _ arguments: [String], input: String = "", in directory: URL? = nil, environment: [String: String] = [:]
) throws -> CommandResult {
    let process = Process()
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.executableURL = commandURL
    process.arguments = arguments
    process.currentDirectoryURL = directory
    let (standardInput, standardOutput, standardError) = (Pipe(), Pipe(), Pipe())
    process.standardInput = standardInput
    process.standardOutput = standardOutput
    process.standardError = standardError
    try process.run()
    try standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try standardInput.fileHandleForWriting.close()
    // Errors are short, so that reading the output first cannot block the process.
    let output = standardOutput.fileHandleForReading.readDataToEndOfFile()
    let errors = standardError.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return CommandResult(
        status: process.terminationStatus, output: String(decoding: output, as: UTF8.self),
        errors: String(decoding: errors, as: UTF8.self))
}

/// Runs a test in a new directory, with files in it.
func withFiles(_ files: [String: String], _ body: (URL) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("vscript-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    for (name, text) in files {
        let file = directory.appendingPathComponent(name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }
    try body(directory)
}
