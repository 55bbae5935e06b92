import ArgumentParser
import VScript
import VScriptSyntax

/// `vscript fix FILE…`.
struct Fix: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Applies the safe fixes that the reports offer.",
        discussion: "What cannot be mended this way is reported, and makes the exit code 2.")

    @OptionGroup var options: ReportOptions

    @Argument(help: ArgumentHelp("The scripts, which are rewritten; - is standard input to output.", valueName: "file"))
    var files: [String]

    func run() throws {
        let reporter = options.reporter
        try end(
            files.eachScript(reporter) { (source) throws(FileFailure) in
                let (text, applied) = Diagnostic.fixing(source.file)
                let isStandardInput = source.file.name == "<stdin>"
                if isStandardInput {
                    reporter.output(text)
                } else {
                    if !applied.isEmpty { try source.write(text) }
                    tell(source.file.name, applied.count, reporter)
                }
                let mended = applied.isEmpty ? source : Source(SourceFile(text, named: source.file.name))
                return mended.compile(reporter) == nil ? .usage : .success
            })
    }

    private func tell(_ name: String, _ count: Int, _ reporter: Reporter) {
        if reporter.isJSON {
            reporter.write(
                .object([
                    ("type", .string("fixed")), ("v", .integer(1)), ("file", .string(name)), ("fixes", .integer(count)),
                ]))
        } else {
            reporter.output("\(name): \(count) \(count == 1 ? "fix" : "fixes")\n")
        }
    }
}
