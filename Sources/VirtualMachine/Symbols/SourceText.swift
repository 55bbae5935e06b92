/// The text that a guest's code was assembled from.
package final class SourceText: Equatable, Sendable {
    package let name: String
    private let text: @Sendable () -> String

    /// Makes a text that whoever has it gives when it is looked at.
    package init(name: String, text: @escaping @Sendable () -> String) {
        self.name = name
        self.text = text
    }

    /// The lines without their ends.
    package var lines: [String] {
        text().utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Self.text)
    }

    /// A line without the carriage return that some systems end it with.
    private static func text(_ line: Substring.UTF8View) -> String {
        String(Substring(line.last == UInt8(ascii: "\r") ? line.dropLast() : line))
    }

    package static func == (left: SourceText, right: SourceText) -> Bool {
        left === right || (left.name == right.name && left.text() == right.text())
    }

    /// A line by its number from 1.
    package func line(_ number: Int) -> String? {
        guard number > 0 else { return nil }
        let parts = text().utf8.split(
            separator: UInt8(ascii: "\n"), maxSplits: number, omittingEmptySubsequences: false)
        return parts.count >= number ? Self.text(parts[number - 1]) : nil
    }
}

/// Where the code of a source line begins.
package struct SourceLine: Equatable, Sendable {
    /// A linear address.
    package var address: UInt64
    package var source: SourceText
    /// The line, from 1; 0 where no code follows.
    package var number: Int

    package init(address: UInt64, source: SourceText, number: Int) {
        self.address = address
        self.source = source
        self.number = number
    }

    /// What stands there.
    package var text: String { source.line(number) ?? "" }
}

/// The source lines of a guest's own code, by address.
package struct SourceLines: Sendable {
    private let lines: [SourceLine]

    /// Takes lines in any order; where one ends and another begins, the beginning counts.
    package init(_ lines: [SourceLine]) {
        self.lines = lines.sorted { ($0.address, $0.number == 0 ? 0 : 1) < ($1.address, $1.number == 0 ? 0 : 1) }
    }

    /// The line that the code at an address was assembled from.
    package subscript(address: UInt64) -> SourceLine? {
        let next = partitionPoint(0, lines.count) { lines[$0].address <= address }
        guard next > 0, lines[next - 1].number > 0 else { return nil }
        return lines[next - 1]
    }

    /// The texts, in the order of their code.
    package var sources: [SourceText] {
        lines.reduce(into: []) { all, line in if !all.contains(line.source) { all.append(line.source) } }
    }

    /// The lines as symbol tables hold them; nil if there are none.
    var table: LineTable? {
        guard !lines.isEmpty else { return nil }
        var files: [String] = []
        let rows = lines.map { line in
            let file = files.firstIndex(of: line.source.name) ?? files.count
            if file == files.count { files.append(line.source.name) }
            return LineTable.Row(
                address: line.address, file: UInt32(file), line: UInt32(line.number), isEnd: line.number == 0)
        }
        return try? Checkpoint.unconditionally { try LineTable(files: files, rows: rows) }
    }
}
