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

    /// Runs the command line; whatever is wrong with it ends with exit code 2.
    static func main() {
        do {
            var command = try parseAsRoot()
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
