import ArgumentParser
import VScript

/// `vscript check FILE…`.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Checks scripts without running them.")

    @OptionGroup var modules: ModuleOptions

    @OptionGroup var options: ReportOptions

    @Argument(help: ArgumentHelp("The scripts; - is the standard input.", valueName: "file"))
    var files: [String]

    func run() throws {
        let reporter = options.reporter
        try end(files.eachScript(reporter) { $0.importing(modules).compile(reporter) == nil ? .usage : .success })
    }
}
