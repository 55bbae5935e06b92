import ArgumentParser
import VScript

/// `vscript FILE [-- args]` and `vscript -e CODE [-- args]`.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a script (the default); without one begins the REPL.")

    @Option(name: .customShort("e"), help: ArgumentHelp("Runs this text instead of a file.", valueName: "code"))
    var code: String?

    @OptionGroup var options: ReportOptions

    @Argument(help: ArgumentHelp("The script; - is the standard input.", valueName: "file"))
    var file: String?

    @Argument(help: ArgumentHelp("What the script finds in the module `args`.", valueName: "arguments"))
    var arguments: [String] = []

    func run() throws {
        let reporter = options.reporter
        if let code {
            // There is no file, so that the first positional argument is the script's.
            return try end(Source(text: code).run([file].compactMap { $0 } + arguments, reporter))
        }
        guard let file else { throw ArgumentParser.ExitCode(InteractiveSession.run(nil, json: options.json)) }
        try end([file].eachScript(reporter) { $0.run(arguments, reporter) })
    }
}
