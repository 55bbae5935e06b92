import ArgumentParser
import Foundation
import VScript

/// The command `vscript`.
@main
struct VScriptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vscript",
        abstract: "Runs scripts that declare x86 guests, rings and devices, and watch what they do.",
        discussion: """
            Exit codes: 0 fine, 1 failed expectation or uncaught error, 2 usage or malformed script, 3 limit reached,
            4 guest crashed unhandled, 130 interrupted.
            """,
        version: "0.1.0",
        subcommands: [
            Run.self, Repl.self, GDB.self, Check.self, Fix.self, Format.self, TestCommand.self, Explain.self,
        ],
        defaultSubcommand: Run.self)

    /// The arguments with a subcommand's name first, if only flags and options that several commands share stand before
    /// it: `--json check FILE`.
    static func ordered(_ arguments: [String]) -> [String] {
        var index = 0
        while index < arguments.count, let width = ["--json": 1, "--path": 2][arguments[index]] { index += width }
        let names = configuration.subcommands.map { $0.configuration.commandName ?? "\($0)".lowercased() }
        guard index > 0, index < arguments.count, names.contains(arguments[index]) else { return arguments }
        return [arguments[index]] + arguments[..<index] + arguments[(index + 1)...]
    }

    /// Runs the command line; whatever is wrong with it ends with exit code 2.
    static func main() {
        do {
            var command = try parseAsRoot(ordered(Array(CommandLine.arguments.dropFirst())))
            try command.run()
        } catch {
            // Help and version are "errors" of code 0; the scripts' own exit codes pass through.
            let code = exitCode(for: error)
            if code.isSuccess || error is ArgumentParser.ExitCode { exit(withError: error) }
            FileHandle.standardError.write(Data((fullMessage(for: error) + "\n").utf8))
            exit(withError: ArgumentParser.ExitCode(VScript.ExitCode.usage.rawValue))
        }
    }
}

extension ParsableCommand {
    /// Ends the command with an exit code of this project.
    func end(_ code: VScript.ExitCode) throws { throw ArgumentParser.ExitCode(code.rawValue) }
}
