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
