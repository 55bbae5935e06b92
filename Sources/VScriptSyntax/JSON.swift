/// A JSON value, with its members in the order they were given.
package indirect enum JSON: Sendable {
    case null
    case bool(Bool)
    /// A number already written out.
    case number(String)
    case string(String)
    case array([JSON])
    case object([(String, JSON)])

    /// A whole number.
    package static func integer(_ value: some BinaryInteger) -> JSON { .number(String(value)) }

    /// The value on one line, without spaces.
    package var text: String {
        var output = ""
        write(to: &output)
        return output
    }

    private func write(to output: inout String) {
        switch self {
        case .null: output += "null"
        case .bool(let value): output += value ? "true" : "false"
        case .number(let text): output += text
        case .string(let text): Self.write(text, to: &output)
        case .array(let values):
            output += "["
            for (index, value) in values.enumerated() {
                if index > 0 { output += "," }
                value.write(to: &output)
            }
            output += "]"
        case .object(let members):
            output += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { output += "," }
                Self.write(member.0, to: &output)
                output += ":"
                member.1.write(to: &output)
            }
            output += "}"
        }
    }

    private static func write(_ text: String, to output: inout String) {
        output += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            case _: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }
}

extension Diagnostic {
    /// The report as one line of JSON; fields are only ever added.
    public var json: String {
        // Only a failed expectation has values.
        let values: [(String, JSON)] = values.isEmpty ? [] : [("values", .array(values.map(Self.json)))]
        let members: [(String, JSON)] = [
            ("type", .string("diagnostic")), ("v", .integer(1)), ("code", .string(code)),
            ("severity", .string(severity.rawValue)), ("message", .string(message)),
            ("spans", .array(labels.map(Self.json))), ("notes", .array(notes.map(JSON.string))),
            (
                "fixes",
                .array(
                    fixes.map { fix in
                        .object([
                            ("title", .string(fix.title)), ("safe", .bool(fix.isSafe)),
                            (
                                "edits",
                                .array(
                                    fix.edits.map { edit in
                                        .object([
                                            ("span", .object(Self.members(of: edit.span))),
                                            ("text", .string(edit.text)),
                                        ])
                                    })
                            ),
                        ])
                    })
            ),
        ]
        return JSON.object(members + values + [("rendered", .string(rendered()))]).text
    }

    private static func json(_ label: Label) -> JSON {
        .object(members(of: label.span) + [("label", .string(label.text)), ("primary", .bool(label.isPrimary))])
    }

    private static func members(of span: SourceSpan) -> [(String, JSON)] {
        func place(_ position: SourcePosition) -> JSON {
            .object([
                ("line", .integer(position.line)), ("column", .integer(position.column)),
                ("byte", .integer(position.byte)),
            ])
        }
        return [
            ("file", .string(span.file.name)), ("start", place(span.startPosition)), ("end", place(span.endPosition)),
        ]
    }
}
