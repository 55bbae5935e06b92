/// The list that a second Tab shows: one candidate to a line with its summary.
package enum CompletionList {
    /// The list for a screen of so many rows and columns; what does not fit is counted in the last line.
    package static func text(_ completions: [Completion], rows: Int, columns: Int) -> String {
        guard !completions.isEmpty else { return "" }
        let room = max(rows - 2, 1)
        let shown = completions.count > room ? Array(completions.prefix(max(room - 1, 1))) : completions
        let width = min(shown.map(\.word.count).max() ?? 0, max(columns / 2, 8))
        var lines = shown.map { completion in
            let word = completion.word.padded(to: width)
            let line = completion.summary.isEmpty ? "  " + completion.word : "  \(word)  \(completion.summary)"
            return line.cut(to: max(columns - 1, 8))
        }
        if shown.count < completions.count { lines.append("  … and \(completions.count - shown.count) more") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The beginning that all candidates share.
    package static func commonPrefix(_ completions: [Completion]) -> String {
        guard var prefix = completions.first?.word else { return "" }
        for completion in completions.dropFirst() {
            while !completion.word.hasPrefix(prefix) { prefix.removeLast() }
        }
        return prefix
    }
}

extension String {
    /// The text with spaces after it up to a width.
    package func padded(to width: Int) -> String {
        count < width ? self + String(repeating: " ", count: width - count) : self
    }

    /// The text with spaces before it up to a width.
    package func padded(toRight width: Int) -> String {
        count < width ? String(repeating: " ", count: width - count) + self : self
    }

    /// The text, cut with an ellipsis if it is longer than a width.
    package func cut(to width: Int) -> String { count > width ? prefix(max(width - 1, 0)) + "…" : self }
}
