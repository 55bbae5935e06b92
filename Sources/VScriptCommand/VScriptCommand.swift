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
        subcommands: [Run.self, Check.self, Fix.self, Explain.self], defaultSubcommand: Run.self)

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

/// `vscript FILE [-- args]` and `vscript -e CODE`.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Runs a script (the default).")

    @Option(name: .customShort("e"), help: ArgumentHelp("Runs this text instead of a file.", valueName: "code"))
    var code: String?

    @Argument(help: ArgumentHelp("The script.", valueName: "file"))
    var file: String?

    @Argument(help: ArgumentHelp("What the script finds in the module `args`.", valueName: "arguments"))
    var arguments: [String] = []

    func validate() throws {
        if code == nil && file == nil {
            throw ValidationError("name a script, or give its text with -e")
        }
    }

    func run() throws {
        // With -e there is no file: the first positional argument is the script's.
        let source =
            if let code { Source(text: code) } else { try Source(path: file ?? "") }
        let passed = code == nil ? arguments : [file].compactMap { $0 } + arguments
        throw ArgumentParser.ExitCode(source.run(passed.filter { $0 != "--" }))
    }
}

/// `vscript check FILE`.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Checks scripts without running them.")

    @Argument(help: ArgumentHelp("The scripts.", valueName: "file"))
    var files: [String]

    func run() throws {
        var status = VScript.ExitCode.success
        for file in files where try Source(path: file).compile() == nil { status = .usage }
        throw ArgumentParser.ExitCode(status.rawValue)
    }
}

/// `vscript fix FILE`.
struct Fix: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Applies the safe fixes that the reports offer.")

    @Argument(help: ArgumentHelp("The scripts, which are rewritten.", valueName: "file"))
    var files: [String]

    func run() throws {
        for file in files {
            let count = try Source(path: file).fix()
            print("\(file): \(count) \(count == 1 ? "fix" : "fixes")")
        }
    }
}

/// `vscript explain CODE`.
struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Explains a code such as V0312.")

    @Argument(help: ArgumentHelp("The code of a report.", valueName: "code"))
    var code: String

    func run() throws {
        guard let text = explanation(of: code) else { throw Failure(message: "there is no code \(code)") }
        print(text)
    }
}
