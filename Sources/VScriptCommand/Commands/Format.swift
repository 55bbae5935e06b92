import ArgumentParser
import VScript
import VScriptSyntax

/// `vscript fmt FILE…`.
struct Format: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fmt", abstract: "Lays scripts out as the language's examples are.",
        discussion: """
            Only white space and needless semicolons change. A malformed script is left alone and reported, with exit \
            code 2.
            """)

    @Flag(help: "Changes nothing; names the scripts that would change, and exits with 1 if there are any.")
    var check = false

    @OptionGroup var options: ReportOptions

    @Argument(help: ArgumentHelp("The scripts, which are rewritten; - is standard input to output.", valueName: "file"))
    var files: [String]

    func run() throws {
        let reporter = options.reporter
        try end(
            files.eachScript(reporter) { (source) throws(FileFailure) in
                let tree = source.tree
                tree.diagnostics.filter { $0.severity == .error }.forEach(reporter.report)
                guard let text = ScriptFormatter.format(tree) else { return .usage }
                let isChanged = Array(text.utf8) != source.file.bytes
                if check {
                    if isChanged { tell(source.file.name, reporter) }
                    return isChanged ? .failure : .success
                }
                if source.file.name == "<stdin>" {
                    reporter.output(text)
                } else if isChanged {
                    try source.write(text)
                    tell(source.file.name, reporter)
                }
                return .success
            })
    }

    private func tell(_ name: String, _ reporter: Reporter) {
        if reporter.isJSON {
            reporter.write(.object([("type", .string("formatted")), ("v", .integer(1)), ("file", .string(name))]))
        } else {
            reporter.output("\(name)\n")
        }
    }
}
