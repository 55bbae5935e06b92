import VScript
import VScriptSyntax
import VirtualMachine

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

    /// The report of the compiler or of a script's error, if it is one.
    package var diagnostic: Diagnostic?

    package init(_ message: String, notes: [String] = []) {
        self.message = message
        self.notes = notes
    }

    /// The user has given it up.
    package init(_ interrupted: Interrupted) { self.init(interrupted.description) }

    package init(_ diagnostic: Diagnostic) {
        self.init(diagnostic.message, notes: diagnostic.notes)
        self.diagnostic = diagnostic
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
        // What was typed comes back in messages: it must not move the cursor.
        case .diagnostic(let diagnostic): ControlCharacters.shown(diagnostic.renderedForInput) + "\n"
        case .failure(let failure):
            if let diagnostic = failure.diagnostic {
                ControlCharacters.shown(diagnostic.renderedForInput) + "\n"
            } else {
                joined(
                    [StyledText("error", .failure) + StyledText(": \(ControlCharacters.shown(failure.message))")]
                        + failure.notes.map { StyledText("  \(ControlCharacters.shown($0))") })
            }
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
            if let diagnostic = failure.diagnostic { return diagnostic.json }
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

extension Diagnostic {
    /// The report for people: short if it is about one line that was just typed.
    var renderedForInput: String {
        guard let span, span.file.name == "<input>", span.file.lineCount == 1, labels.count == 1, values.isEmpty else {
            return rendered()
        }
        let (start, end) = (span.startPosition, span.endPosition)
        let mark = String(repeating: "^", count: max(end.column - start.column, 1))
        let label = labels[0].text.isEmpty ? "" : " " + labels[0].text
        return
            (["\(severity.rawValue)[\(code)]: \(message)", "  \(span.file.text)"]
            + ["  " + String(repeating: " ", count: start.column - 1) + mark + label] + notes.map { "  note: \($0)" })
            .joined(separator: "\n")
    }
}
