/// A table that is printed row by row: the first row of a set of columns decides how wide they are.
struct LiveTable {
    private var columns: [String] = []
    private var widths: [Int] = []

    /// The least width of a column, so that later values have some room.
    private static let leastWidth = 8

    /// The lines of one more row; a value that is no map has a line of its own.
    mutating func lines(of value: Value) -> String {
        guard case .map(let entries) = value, !entries.isEmpty else { return value.forScript.text + "\n" }
        let names = entries.map(\.key.forScript.text)
        let cells = entries.map { entry in
            let isNumber =
                switch entry.value {
                case .int, .float, .duration: true
                case .nil, .bool, .string, .symbol, .bytes, .range, .list, .map, .handle: false
                }
            return (text: entry.value.forScript.text.replacing("\n", with: " "), isNumber: isNumber)
        }
        var output = ""
        if names != columns {
            if !columns.isEmpty { output += "\n" }
            columns = names
            widths = zip(names, cells).map { max($0.count, $1.text.count, Self.leastWidth) }
            output += line(zip(names, cells).map { ($0, $1.isNumber) })
        }
        return output + line(cells.map { ($0.text, $0.isNumber) })
    }

    private func line(_ cells: [(text: String, isNumber: Bool)]) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let gap = String(repeating: " ", count: max(widths[index] - cell.text.count, 0))
            line += (index > 0 ? "  " : "") + (cell.isNumber ? gap + cell.text : cell.text + gap)
        }
        while line.last == " " { line.removeLast() }
        return line + "\n"
    }
}
