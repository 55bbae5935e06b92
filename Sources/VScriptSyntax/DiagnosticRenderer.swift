extension Diagnostic {
    /// The report as text for a terminal, ending in a line break.
    ///
    /// The source lines with a label stand below each other; a snippet of one line is set without blank
    /// borders. A very long line is cut to a window around its first label.
    public func rendered() -> String {
        var lines = ["\(severity.rawValue)[\(code)]: \(message)"]
        let groups = filesInOrder.map { file in (file, labels.filter { $0.span.file === file }) }
        let gutter = max(2, groups.flatMap(\.1).map { String($0.span.startPosition.line).count }.max() ?? 0)
        let margin = String(repeating: " ", count: gutter)
        for (index, (file, labels)) in groups.enumerated() {
            let place = (labels.first { $0.isPrimary } ?? labels[0]).span.startPosition
            lines.append("\(margin)\(index == 0 ? "-->" : ":::") \(file.name):\(place.line):\(place.column)")
            let values = values.filter { $0.span.file === file }
            lines += Snippet(file: file, labels: labels, values: values, gutter: gutter).lines
        }
        lines += notes.map { "\(margin) = note: \($0)" }
        for fix in fixes {
            let text = "\(margin) = fix: \(fix.title)"
            let padding = String(repeating: " ", count: max(2, Self.fixRemarkColumn - text.count))
            lines.append(fix.isSafe ? "\(text)\(padding)(vscript fix applies it)" : text)
        }
        if severity == .error { lines.append("\(margin) = more: vscript explain \(code)") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let fixRemarkColumn = 54

    /// The files with labels, the primary one's first.
    private var filesInOrder: [SourceFile] {
        labels.sorted { $0.isPrimary && !$1.isPrimary }.reduce(into: []) { files, label in
            if !files.contains(where: { $0 === label.span.file }) { files.append(label.span.file) }
        }
    }
}

/// The lines of one file that carry labels, with the labels under them.
private struct Snippet {
    let file: SourceFile
    let labels: [Diagnostic.Label]
    let values: [Diagnostic.Label]
    let gutter: Int

    /// How many columns of a source line are shown.
    private static let window = 160

    var lines: [String] {
        let byLine = Dictionary(grouping: labels) { file.line(at: $0.span.start) }
        let valuesByLine = Dictionary(grouping: values) { file.line(at: $0.span.start) }
        let numbers = Set(byLine.keys).union(valuesByLine.keys).sorted()
        let isSingle = numbers.count == 1
        var lines = isSingle ? [] : [border("")]
        var previous: Int?
        for number in numbers {
            if let previous, number == previous + 2 { lines.append(source(previous + 1, from: 0)) }
            if let previous, number > previous + 2 { lines.append(String(repeating: " ", count: gutter - 1) + "...") }
            let marks = (byLine[number] ?? []).sorted { $0.span.start < $1.span.start }
            let first = marks.map { columns(of: $0, on: number).lowerBound }.min() ?? 0
            let cut = first > Self.window - 40 ? first - 40 : 0
            lines.append(source(number, from: cut))
            let valueRows = valueRows(valuesByLine[number] ?? [], on: number, cut: cut)
            if !valueRows.isEmpty {
                lines += valueRows
                previous = number
                continue
            }
            for mark in marks {
                let columns = columns(of: mark, on: number)
                let carets = min(columns.count, max(1, Self.window - (columns.lowerBound - cut)))
                let line =
                    String(repeating: " ", count: columns.lowerBound - cut)
                    + String(repeating: mark.isPrimary ? "^" : "-", count: carets)
                lines.append(border(mark.text.isEmpty ? line : "\(line) \(mark.text)"))
            }
            previous = number
        }
        if !isSingle { lines.append(border("")) }
        return lines
    }

    /// Values under the places they belong to, joined to them by bars; the rightmost come first.
    private func valueRows(_ values: [Diagnostic.Label], on number: Int, cut: Int) -> [String] {
        var pending = values.map { (column: columns(of: $0, on: number).lowerBound - cut, text: $0.text) }
            .filter { 0..<Self.window ~= $0.column }.sorted { $0.column < $1.column }
        guard !pending.isEmpty else { return [] }
        func bars(_ columns: [Int]) -> String {
            var line = ""
            for column in columns where column >= line.count {
                line += String(repeating: " ", count: column - line.count) + "|"
            }
            return line
        }
        var rows = [border(bars(pending.map(\.column)))]
        while let last = pending.popLast() {
            var row: [(column: Int, text: String)] = [last]
            // A value stands in the same row if it ends before the next one and hides no bar.
            while let next = pending.last, let leftmost = row.first,
                next.column + next.text.count + 1 < leftmost.column
            {
                row.insert(next, at: 0)
                pending.removeLast()
            }
            var line = bars(pending.map(\.column))
            for value in row {
                line += String(repeating: " ", count: max(value.column - line.count, 0)) + value.text
            }
            rows.append(border(line))
        }
        return rows
    }

    private func border(_ text: String) -> String {
        String(repeating: " ", count: gutter) + (text.isEmpty ? " |" : " | \(text)")
    }

    private func source(_ number: Int, from cut: Int) -> String {
        let digits = String(number)
        let text = display(file.lineRange(number)).dropFirst(cut).prefix(Self.window)
        let line = String(repeating: " ", count: gutter - digits.count) + digits + " |"
        return text.isEmpty ? line : "\(line) \(text)"
    }

    /// The screen columns a label covers on its first line, at least one.
    private func columns(of label: Diagnostic.Label, on number: Int) -> Range<Int> {
        let line = file.lineRange(number)
        let start = min(max(label.span.start, line.lowerBound), line.upperBound)
        let end = min(max(label.span.end, start), line.upperBound)
        let lower = width(display(line.lowerBound..<start))
        return lower..<max(lower + 1, width(display(line.lowerBound..<end)))
    }

    /// Source text with tabs as four spaces and other control characters made visible.
    private func display(_ range: Range<Int>) -> String {
        var text = ""
        for scalar in file.text(range).unicodeScalars {
            switch scalar.value {
            case 9: text += "    "
            case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069: text += "\u{FFFD}"
            case _: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// How many terminal cells a text takes.
    private func width(_ text: String) -> Int {
        text.reduce(0) { sum, character in
            let first = character.unicodeScalars.first?.value ?? 0
            let isWide = Self.wide.contains { $0.contains(first) }
            return sum + (isWide ? 2 : 1)
        }
    }

    /// The blocks that terminals draw two cells wide (Unicode's East Asian Wide).
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
        0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD,
    ]
}
