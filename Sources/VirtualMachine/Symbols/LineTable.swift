/// Which source line the code at an address comes from, as a DWARF line table says.
public struct LineTable: Sendable, Equatable {
    /// Where the code of a line begins; it ends where the next row begins.
    package struct Row: Equatable {
        package var address: UInt64
        /// Index of the file name.
        package var file: UInt32
        /// From 1; 0 for code that belongs to no line.
        package var line: UInt32
        /// Whether no code follows: the end of a sequence.
        package var isEnd: Bool
    }

    package let files: [String]
    package let rows: [Row]

    /// Sorts rows by address; what ends a sequence comes before what begins there.
    package init(files: [String], rows: [Row]) throws(Interrupted) {
        self.files = files
        let order = try Checkpoint.sorted(rows.indices) {
            let (a, b) = (rows[$0], rows[$1])
            if a.address != b.address { return a.address < b.address }
            return a.isEnd != b.isEnd ? a.isEnd : $0 < $1
        }
        self.rows = order.map { rows[$0] }
    }

    /// The line of the code at an address without slide; of several rows at one address the last one counts.
    package func location(of address: UInt64) -> SourceLocation? {
        let next = partitionPoint(0, rows.count) { rows[$0].address <= address }
        guard next > 0, !rows[next - 1].isEnd, next < rows.count else { return nil }
        let row = rows[next - 1]
        guard row.line > 0, files.indices.contains(Int(row.file)) else { return nil }
        return SourceLocation(file: files[Int(row.file)], line: row.line)
    }

    /// Where the code of a line begins, ascending, without slide.
    ///
    /// A line that continues over several rows in a row counts once.
    package func addresses(file: String, line: UInt32) -> [UInt64] {
        let parts = Self.parts(file)
        guard line > 0, !parts.isEmpty else { return [] }
        let wanted = Set(
            files.indices.filter { index in
                let own = Self.parts(files[index])
                return own.count >= parts.count && own.suffix(parts.count).elementsEqual(parts)
            }.map { UInt32($0) })
        var addresses: [UInt64] = []
        var isInside = false
        for (index, row) in rows.enumerated() {
            let isLine = !row.isEnd && row.line == line && wanted.contains(row.file)
            // A row that the next one replaces at once has no code.
            if index + 1 < rows.count && rows[index + 1].address == row.address && !row.isEnd { continue }
            if isLine && !isInside { addresses.append(row.address) }
            isInside = isLine
        }
        return addresses
    }

    private static func parts(_ path: String) -> [Substring] {
        path.split(separator: "/").filter { $0 != "." }
    }
}
