import VScript
import VScriptSyntax

/// Something that the REPL says.
package enum Output {
    /// Lines to read.
    case lines([StyledText])
    /// Rows under headings.
    case table(Table)
    /// The result of an expression, with its text in the chosen format.
    case value(ResultValue, String)
    /// A report of the compiler or a script's error.
    case diagnostic(Diagnostic)
    /// A command that cannot be carried out.
    case failure(CommandFailure)
    /// A run has ended.
    case stop(StopReport)
    /// What a script printed.
    case printed(String)

    package static func text(_ text: String) -> Output { .lines([StyledText(text)]) }
}

/// Why a command cannot be carried out.
package struct CommandFailure: Error, Equatable {
    package var message: String
    /// What would help.
    package var notes: [String]

    package init(_ message: String, notes: [String] = []) {
        self.message = message
        self.notes = notes
    }
}

/// The format that stands after a command: `/x`, `/json`.
package enum OutputFormat: String, CaseIterable, Sendable {
    case hexadecimal = "x", decimal = "d", binary = "b", text = "s", instruction = "i", json, csv
}

/// Writes what the REPL says as text for people.
package struct TextRenderer {
    package var colours: Bool

    package init(colours: Bool) { self.colours = colours }

    /// The text with its line ends; empty for nothing.
    package func text(_ output: Output) -> String {
        switch output {
        case .lines(let lines): joined(lines)
        case .table(let table): joined(table.lines)
        case .value(_, let text): text + "\n"
        case .diagnostic(let diagnostic): diagnostic.rendered() + "\n"
        case .failure(let failure):
            joined(
                [StyledText("error", .failure) + StyledText(": \(failure.message)")]
                    + failure.notes.map { StyledText("  \($0)") })
        case .stop(let report): joined(report.lines)
        case .printed(let text): text
        }
    }

    private func joined(_ lines: [StyledText]) -> String {
        lines.map { $0.rendered(colours: colours) + "\n" }.joined()
    }
}

/// Writes what the REPL says as objects of JSON, one to a line.
package enum JSONRenderer {
    package static func line(_ output: Output) -> String {
        switch output {
        case .lines(let lines):
            return JSON.object([
                ("type", .string("output")), ("text", .string(lines.map { $0.plain + "\n" }.joined())),
            ]).text
        case .printed(let text):
            return JSON.object([
                ("type", .string("output")), ("stream", .string("script")), ("text", .string(text)),
            ]).text
        case .table(let table):
            return JSON.object([
                ("type", .string("table")), ("columns", .array(table.columns.map { .string($0.title) })),
                ("rows", table.json), ("rendered", .string(TextRenderer(colours: false).text(output))),
            ]).text
        case .value(let value, let text):
            return JSON.object([
                ("type", .string("value")), ("kind", .string(value.type)), ("value", value.json ?? .null),
                ("text", .string(text)),
            ]).text
        case .diagnostic(let diagnostic): return diagnostic.json
        case .failure(let failure):
            return JSON.object([
                ("type", .string("diagnostic")), ("v", .integer(1)), ("code", .null), ("severity", .string("error")),
                ("message", .string(failure.message)), ("spans", .array([])),
                ("notes", .array(failure.notes.map(JSON.string))), ("fixes", .array([])),
                ("rendered", .string(TextRenderer(colours: false).text(output))),
            ]).text
        case .stop(let report): return report.json.text
        }
    }
}
