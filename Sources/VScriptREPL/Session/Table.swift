import VScriptSyntax
import VirtualMachine

/// Rows under headings, which can be shown as text, JSON or CSV.
package struct Table {
    /// A column; numbers stand at its right.
    package struct Column {
        package var title: String
        package var isRight: Bool
        /// The least width in characters.
        package var width: Int

        package init(_ title: String, isRight: Bool = false, width: Int = 0) {
            self.title = title
            self.isRight = isRight
            self.width = width
        }
    }

    /// What stands in a cell.
    package struct Cell: ExpressibleByStringLiteral {
        package var text: String
        package var role: Role
        package var json: JSON

        package init(stringLiteral text: String) { self.init(text) }
        package init(_ text: String, _ role: Role = .plain) {
            (self.text, self.role, json) = (text, role, .string(text))
        }
        /// A number, in JSON as such.
        package init(number: some BinaryInteger, _ text: String? = nil) {
            (self.text, role, json) = (text ?? String(number), .plain, .integer(number))
        }
    }

    package var columns: [Column]
    package var rows: [[Cell]]

    package init(_ columns: [Column], rows: [[Cell]] = []) {
        self.columns = columns
        self.rows = rows
    }

    /// The table as lines; less of them if it is interrupted.
    package var lines: [StyledText] {
        let widths = columns.indices.map { index in
            max(
                columns[index].width, columns[index].title.count,
                rows.compactMap { $0.indices.contains(index) ? $0[index].text.count : nil }.max() ?? 0)
        }
        func line(_ cells: [Cell]) -> StyledText {
            var result = StyledText("")
            let end = cells.lastIndex { !$0.text.isEmpty } ?? -1
            for (index, cell) in cells.enumerated() where columns.indices.contains(index) && index <= end {
                let isLast = index == end
                let text =
                    columns[index].isRight
                    ? cell.text.padded(toRight: widths[index])
                    : isLast ? cell.text : cell.text.padded(to: widths[index])
                result += StyledText((index == 0 ? " " : "  ") + text, cell.role)
            }
            return result
        }
        let heading = line(columns.map { Cell($0.title, .faint) })
        var lines = [heading]
        for (index, row) in rows.enumerated() {
            guard index % 256 != 0 || Checkpoint.isPassed else {
                return lines + [StyledText(" … \(Interrupted.text): \(rows.count - index) more rows", .faint)]
            }
            lines.append(line(row))
        }
        return lines
    }

    /// One object for each row.
    package var json: JSON { .array(rows.map(object)) }

    private func object(_ row: [Cell]) -> JSON {
        .object(zip(columns, row).map { ($0.title.trimmingSpaces, $1.json) })
    }

    /// The same as text.
    package func jsonText() throws(Interrupted) -> String {
        var texts: [String] = []
        for (index, row) in rows.enumerated() {
            try Checkpoint.pass(at: index, every: 256)
            texts.append(object(row).text)
        }
        return "[" + texts.joined(separator: ",") + "]"
    }

    /// The table as RFC 4180 has it.
    package func csv() throws(Interrupted) -> String {
        var lines = [columns.map(\.title).map(Self.field).joined(separator: ",")]
        for (index, row) in rows.enumerated() {
            try Checkpoint.pass(at: index, every: 256)
            lines.append(row.map { Self.field($0.text) }.joined(separator: ","))
        }
        return lines.joined(separator: "\r\n")
    }

    private static func field(_ text: String) -> String {
        let needsQuotes = text.contains { $0 == "," || $0 == "\"" || $0 == "\n" || $0 == "\r" }
        return needsQuotes
            ? "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
            : text
    }
}

extension String {
    /// The text without white space at its ends.
    package var trimmingSpaces: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" || $0 == "\r\n" }
        let rest = drop(while: isSpace)
        guard let last = rest.lastIndex(where: { !isSpace($0) }) else { return "" }
        return String(rest[...last])
    }
}
