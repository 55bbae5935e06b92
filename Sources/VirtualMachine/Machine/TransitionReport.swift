/// A page of HTML about recorded transitions, which needs nothing else: a timeline of the levels, and how often each
/// change of level happened for each cause, as pictures in SVG.
struct TransitionReport {
    let guest: String
    let rows: [Transition]

    private static let width = 1_200
    private static let laneHeight = 28
    private static let left = 70
    /// Causes with a column of their own; the rest share the last.
    private static let causeLimit = 24

    func html() throws(Interrupted) -> String {
        let (timeline, matrix) = (try timeline(), try matrix())
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>\(Self.escaped(guest)): transitions</title>
            <style>
            body { font: 14px/1.4 system-ui, sans-serif; margin: 24px; color: #1b1f24; background: #fff }
            h1 { font-size: 20px } h2 { font-size: 16px; margin-top: 28px }
            svg text { font: 11px ui-monospace, monospace; fill: #1b1f24 }
            table { border-collapse: collapse; font: 12px ui-monospace, monospace }
            td, th { padding: 2px 10px; text-align: left } tr:nth-child(even) { background: #f4f6f8 }
            </style></head><body>
            <h1>\(Self.escaped(guest)): \(rows.count) transitions</h1>
            <p>\(span)</p>
            <h2>Timeline</h2>
            \(timeline)
            <h2>Ring × ring × cause</h2>
            \(matrix)
            <h2>The last transitions</h2>
            \(table)
            </body></html>

            """
    }

    private var span: String {
        guard let first = rows.first, let last = rows.last else { return "Nothing was recorded." }
        return
            "Guest time \(first.time) ns to \(last.time) ns, instructions \(first.instructions) to \(last.instructions)."
    }

    // MARK: - Timeline

    private static let levels: [Level] = [.ring3, .ring2, .ring1, .ring0, .root]

    private static func colour(_ level: Level) -> String {
        switch level {
        case .ring3: "#2f9e44"
        case .ring2: "#66a80f"
        case .ring1: "#e67700"
        case .ring0: "#d9480f"
        case .root: "#862e9c"
        }
    }

    private static func name(_ level: Level) -> String { level == .root ? "root" : "ring \(level)" }

    /// For each level a lane; a column of pixels is filled where the guest was at the level within its time.
    private func timeline() throws(Interrupted) -> String {
        guard let first = rows.first, let last = rows.last else { return "" }
        let used = Self.levels.filter { level in rows.contains { $0.before.level == level || $0.after.level == level } }
        let pixels = Self.width - Self.left - 10
        let length = max(last.time &- first.time, 1)
        func pixel(_ time: UInt64) -> Int { Int(min((time &- first.time) &* UInt64(pixels) / length, UInt64(pixels))) }
        // By level, the runs of columns in which it occurs.
        var runs: [Level: [ClosedRange<Int>]] = [:]
        func mark(_ level: Level, _ from: Int, _ to: Int) {
            var known = runs[level] ?? []
            if let previous = known.last, previous.upperBound + 1 >= from {
                known[known.count - 1] = previous.lowerBound...max(previous.upperBound, to)
            } else {
                known.append(from...max(from, to))
            }
            runs[level] = known
        }
        mark(first.before.level, 0, 0)
        for (index, row) in rows.enumerated() {
            try Checkpoint.pass(at: index)
            let next = index + 1 < rows.count ? rows[index + 1].time : last.time
            mark(row.after.level, pixel(row.time), pixel(next))
        }
        let height = used.count * Self.laneHeight + 24
        var svg =
            "<svg width=\"\(Self.width)\" height=\"\(height)\" role=\"img\" aria-label=\"levels over guest time\">\n"
        for (lane, level) in used.enumerated() {
            let y = lane * Self.laneHeight
            svg += "<text x=\"4\" y=\"\(y + 18)\">\(Self.name(level))</text>\n"
            svg += "<rect x=\"\(Self.left)\" y=\"\(y + 4)\" width=\"\(pixels)\" height=\"20\" fill=\"#f1f3f5\"/>\n"
            for run in runs[level] ?? [] {
                svg +=
                    "<rect x=\"\(Self.left + run.lowerBound)\" y=\"\(y + 4)\" width=\"\(max(run.count - 1, 1))\" "
                    + "height=\"20\" fill=\"\(Self.colour(level))\"/>\n"
            }
        }
        let base = used.count * Self.laneHeight + 14
        svg += "<text x=\"\(Self.left)\" y=\"\(base)\">\(first.time) ns</text>\n"
        svg +=
            "<text x=\"\(Self.width - 10)\" y=\"\(base)\" text-anchor=\"end\">\(last.time) ns</text>\n</svg>"
        return svg
    }

    // MARK: - Matrix

    private struct Pair: Hashable { var from, to: Level }

    /// What the causes of a kind share: `interrupt 0x20` and `interrupt 0x21` stay apart, exits have their reasons.
    private static func cause(_ row: Transition) -> String { row.cause }

    private func matrix() throws(Interrupted) -> String {
        guard !rows.isEmpty else { return "" }
        var counts: [Pair: [String: Int]] = [:]
        var totals: [String: Int] = [:]
        for (index, row) in rows.enumerated() {
            try Checkpoint.pass(at: index)
            counts[Pair(from: row.before.level, to: row.after.level), default: [:]][Self.cause(row), default: 0] += 1
            totals[Self.cause(row), default: 0] += 1
        }
        let sorted = totals.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
        var causes = Array(sorted.prefix(Self.causeLimit))
        let others = Set(sorted.dropFirst(Self.causeLimit))
        if !others.isEmpty { causes.append("others") }
        let pairs = Self.levels.flatMap { from in Self.levels.map { Pair(from: from, to: $0) } }
            .filter { counts[$0] != nil }
        func count(_ pair: Pair, _ cause: String) -> Int {
            let all = counts[pair] ?? [:]
            return cause == "others" && !others.isEmpty
                ? all.reduce(0) { $0 + (others.contains($1.key) ? $1.value : 0) } : all[cause] ?? 0
        }
        let most = pairs.flatMap { pair in causes.map { count(pair, $0) } }.max() ?? 1
        let (cell, row, top, start) = (64, 26, 150, 130)
        let (width, height) = (start + causes.count * cell + 10, top + pairs.count * row + 10)
        var svg =
            "<svg width=\"\(width)\" height=\"\(height)\" role=\"img\" aria-label=\"counts by levels and cause\">\n"
        for (column, cause) in causes.enumerated() {
            let x = start + column * cell + cell / 2
            svg +=
                "<text transform=\"translate(\(x),\(top - 8)) rotate(-50)\">\(Self.escaped(String(cause.prefix(30))))</text>\n"
        }
        for (index, pair) in pairs.enumerated() {
            let y = top + index * row
            svg += "<text x=\"4\" y=\"\(y + 17)\">\(Self.name(pair.from)) → \(Self.name(pair.to))</text>\n"
            for (column, cause) in causes.enumerated() {
                let number = count(pair, cause)
                let x = start + column * cell
                // Logarithmic, so that what is rare is seen beside what is frequent.
                let strength = number == 0 ? 0 : 15 + 85 * number.bitWidthOfValue / max(most.bitWidthOfValue, 1)
                svg +=
                    "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(cell - 2)\" height=\"\(row - 2)\" "
                    + "fill=\"\(number == 0 ? "#f1f3f5" : Self.colour(pair.to))\" "
                    + "fill-opacity=\"\(number == 0 ? "1" : "0.\(strength < 100 ? String(strength) : "99")")\">"
                    + "<title>\(Self.name(pair.from)) → \(Self.name(pair.to)), \(Self.escaped(cause)): \(number)</title></rect>\n"
                if number > 0 {
                    svg += "<text x=\"\(x + cell / 2 - 1)\" y=\"\(y + 16)\" text-anchor=\"middle\">\(number)</text>\n"
                }
            }
        }
        return svg + "</svg>"
    }

    // MARK: - Rows

    private var table: String {
        let head =
            "<tr><th>#</th><th>time</th><th>from</th><th>to</th><th>cause</th><th>rip</th><th>instruction</th></tr>"
        let lines = rows.suffix(200).map { row in
            "<tr><td>\(row.sequence)</td><td>\(row.time) ns</td><td>\(row.before.level)</td><td>\(row.after.level)</td>"
                + "<td>\(Self.escaped(row.cause))</td><td>\(hexadecimal(row.before.rip))</td>"
                + "<td>\(row.instructions)</td></tr>"
        }
        return "<table>\(head)\n\(lines.joined(separator: "\n"))</table>"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}

extension Int {
    /// How many bits the value has: a logarithm without floating point.
    fileprivate var bitWidthOfValue: Int { Int.bitWidth - leadingZeroBitCount }
}
