/// A stretch of assembly source.
package struct AssemblyRange: Sendable, Hashable {
    /// Line of the first character, counted from 1.
    package var line: Int
    /// Column of the first character in Unicode scalars, counted from 1.
    package var column: Int
    /// Offset of the first byte in the UTF-8 text.
    package var offset: Int
    /// Length in UTF-8 bytes; 0 at the end of a line.
    package var length: Int
}

/// One mistake in assembly source.
package struct AssemblyError: Error, Sendable, Hashable {
    package var range: AssemblyRange
    /// What is wrong, in lower case and without a full stop.
    package var message: String
    /// What to do about it, where that is known.
    package var hint: String?
    /// Text that would repair the source if it stood in place of `range`.
    package var replacement: String?
    /// Whether it is a comment behind a semicolon, which separates instructions.
    package var isProse = false
}

/// The mistakes found in one source, in the order of the source; never empty, and not many more than a hundred.
package struct AssemblyErrors: Error, Sendable, Hashable {
    package var errors: [AssemblyError]
}

extension AssemblyError: CustomStringConvertible {
    /// `line:column: message (hint)`.
    package var description: String {
        "\(range.line):\(range.column): \(message)" + (hint.map { " (\($0))" } ?? "")
    }
}

extension AssemblyErrors: CustomStringConvertible {
    /// One error a line.
    package var description: String { errors.map(\.description).joined(separator: "\n") }
}

/// A mistake by its place in the bytes of the source, before lines and columns are known.
struct SourceMistake: Error {
    var range: Range<Int>
    var message: String
    var hint: String?
    var replacement: String?
    /// Whether what follows a semicolon reads like a comment.
    var isProse = false

    /// How many mistakes of a source are looked for.
    static let most = 100

    init(_ range: Range<Int>, _ message: String, hint: String? = nil, replacement: String? = nil) {
        self.range = range
        self.message = message
        self.hint = hint
        self.replacement = replacement
    }
}

/// Finds lines and columns of byte offsets.
struct SourceLines {
    private let bytes: [UInt8]
    private let starts: [Int]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var starts = [0]
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") { starts.append(index + 1) }
        self.starts = starts
    }

    /// The line of a byte offset, counted from 1.
    func line(at offset: Int) -> Int {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// The range with line and column.
    func locate(_ range: Range<Int>) -> AssemblyRange {
        let line = line(at: range.lowerBound)
        let before = bytes[starts[line - 1]..<min(range.lowerBound, bytes.count)]
        // Every byte but the continuation bytes of UTF-8 begins a scalar.
        let column = before.count { $0 & 0xC0 != 0x80 } + 1
        return AssemblyRange(line: line, column: column, offset: range.lowerBound, length: range.count)
    }

    /// The mistake with line and column.
    func locate(_ mistake: SourceMistake) -> AssemblyError {
        AssemblyError(
            range: locate(mistake.range), message: mistake.message, hint: mistake.hint,
            replacement: mistake.isProse ? nil : mistake.replacement, isProse: mistake.isProse)
    }
}
