import ArgumentParser
import Foundation
import VScript
import VScriptSyntax

/// Options of every command that reports about scripts.
struct ReportOptions: ParsableArguments {
    @Flag(help: "Writes one JSON object per line to the standard output instead of text.")
    var json = false

    var reporter: Reporter { Reporter(isJSON: json) }
}

/// Where `import name` looks before the library.
struct ModuleOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A folder whose scripts `import name` finds; those of VSCRIPT_PATH, parted by colons, come after it.",
            valueName: "folder"))
    var path: [String] = []

    /// The folders in order.
    var searchPath: [String] { path + (Self.variable.map { $0.split(separator: ":").map(String.init) } ?? []) }

    /// What a script is checked against.
    var interface: HostInterface {
        var interface = HostInterface.none
        interface.searchPath = searchPath
        return interface
    }

    /// Gives the folders to processes that this one starts.
    func export() { setenv("VSCRIPT_PATH", searchPath.joined(separator: ":"), 1) }

    private static var variable: String? { getenv("VSCRIPT_PATH").map { String(cString: $0) } }
}

/// Tells the user what happens: reports to the standard error and text to the standard output, or all of it as lines
/// of JSON to the standard output.
struct Reporter: Sendable {
    let isJSON: Bool

    /// Tells about a mistake.
    func report(_ diagnostic: VScript.Diagnostic) {
        if isJSON {
            writeLine(diagnostic.json)
        } else {
            FileHandle.standardError.write(Data((diagnostic.rendered() + "\n").utf8))
        }
    }

    /// Tells about a file that cannot be used.
    func report(_ failure: FileFailure) { report(failure.diagnostic) }

    /// Passes on what a script prints, as soon as it does.
    func output(_ text: String) {
        guard isJSON else {
            // While a console is attached, the terminal does not return the carriage by itself.
            let text = RawMode.isOn ? text.replacing("\n", with: "\r\n") : text
            return FileHandle.standardOutput.write(Data(text.utf8))
        }
        write(.object([("type", .string("output")), ("v", .integer(1)), ("text", .string(text))]))
    }

    /// What a script's session does with the rows that it emits; nil if they are printed as a table.
    var onEmit: ((Value) -> Void)? {
        guard isJSON else { return nil }
        return { value in
            // The session hands on only what has JSON.
            guard let json = try? value.json() else { return }
            write(.object([("type", .string("row")), ("v", .integer(1)), ("value", json)]))
        }
    }

    /// Writes one JSON object on a line.
    func write(_ object: JSON) { writeLine(object.text) }

    private func writeLine(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}

/// A file that cannot be read or written.
struct FileFailure: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }

    var diagnostic: VScript.Diagnostic { VScript.Diagnostic(ScriptCode.fileFailure, description) }
}
