import ArgumentParser
import VScript

/// `vscript FILE [-- args]` and `vscript -e CODE [-- args]`.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a script (the default); without one begins the REPL.")

    @Option(name: .customShort("e"), help: ArgumentHelp("Runs this text instead of a file.", valueName: "code"))
    var code: String?

    @Option(
        help: ArgumentHelp("Then serves the guest to gdb on a port of this host; 0 chooses one.", valueName: "port"))
    var gdb: UInt16?

    @OptionGroup var modules: ModuleOptions

    @OptionGroup var options: ReportOptions

    @Argument(help: ArgumentHelp("The script; - is the standard input.", valueName: "file"))
    var file: String?

    @Argument(help: ArgumentHelp("What the script finds in the module `args`.", valueName: "arguments"))
    var arguments: [String] = []

    func run() throws {
        let reporter = options.reporter
        if let code {
            // There is no file, so that the first positional argument is the script's.
            return try end(Source(text: code).importing(modules).run([file].compactMap { $0 } + arguments, reporter))
        }
        if let gdb {
            guard let file else { throw ValidationError("`--gdb` needs a script that declares a guest") }
            let source = try Source(path: file)
            throw ArgumentParser.ExitCode(
                GDBSession.run(source.file, arguments: arguments, guest: nil, port: gdb, modules: modules))
        }
        guard let file else {
            throw ArgumentParser.ExitCode(
                InteractiveSession.run(nil, arguments: arguments, json: options.json, modules: modules))
        }
        try end([file].eachScript(reporter) { $0.importing(modules).run(arguments, reporter) })
    }
}
