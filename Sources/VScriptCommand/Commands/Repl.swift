import ArgumentParser
import Foundation
import VScript
import VScriptREPL
import VScriptSyntax

/// `vscript repl [FILE]`.
struct Repl: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads commands and vscript, line by line.",
        discussion: """
            With a file its text is run first, and what it declares can be used. `~/.config/vscript/init.vscript` is run \
            before that.
            """)

    @Argument(help: ArgumentHelp("A script to begin with.", valueName: "file"))
    var file: String?

    @Argument(help: ArgumentHelp("What the script finds in the module `args`.", valueName: "arguments"))
    var arguments: [String] = []

    @OptionGroup var modules: ModuleOptions

    @Flag(help: "Speaks one object of JSON per line, both ways, instead of text.")
    var json = false

    func run() throws {
        let source = try file.map { try Source(path: $0) }
        throw ArgumentParser.ExitCode(
            InteractiveSession.run(source?.file, arguments: arguments, json: json, modules: modules))
    }
}
