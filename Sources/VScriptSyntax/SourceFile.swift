/// The text of one script, with what is needed to name places in it.
///
/// The bytes are kept as they came, so that the tree over them reproduces the file exactly.
public final class SourceFile: Sendable {
    /// What messages call the file: a path, or a name such as `<input>`.
    public let name: String
    /// The text, as UTF-8 if the file is valid.
    package let bytes: [UInt8]
    /// Byte offsets at which lines begin; the first is 0.
    private let lineStarts: [Int]

    /// A file whose content is already in memory.
    public convenience init(_ text: String, named name: String) {
        self.init(bytes: Array(text.utf8), named: name)
    }

    /// A file as it was read from disk, not necessarily valid UTF-8.
    public init(bytes: [UInt8], named name: String) {
        self.name = name
        self.bytes = bytes
        var starts = [0]
        for (offset, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") { starts.append(offset + 1) }
        lineStarts = starts
    }

    /// The whole text; bytes that are not UTF-8 appear as U+FFFD.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// How many lines the file has, counting an empty last one.
    package var lineCount: Int { lineStarts.count }

    /// The 1-based number of the line that holds a byte offset.
    package func line(at offset: Int) -> Int {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// The bytes of a line, without its line break; empty for a number outside the file.
    package func lineRange(_ line: Int) -> Range<Int> {
        guard line >= 1, line <= lineStarts.count else { return bytes.count..<bytes.count }
        let start = lineStarts[line - 1]
        var end = line < lineStarts.count ? lineStarts[line] - 1 : bytes.count
        if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        return start..<end
    }

    /// How many bytes into its line an offset lies, from 0.
    package func indentation(at offset: Int) -> Int { offset - lineStarts[line(at: offset) - 1] }

    /// How many bytes of white space begin the line that holds an offset.
    package func margin(of offset: Int) -> Int {
        bytes[lineRange(line(at: offset))].prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.count
    }

    /// Line and column of a byte offset.
    public func position(at offset: Int) -> SourcePosition {
        let offset = min(max(offset, 0), bytes.count)
        let line = line(at: offset)
        let column = bytes[lineStarts[line - 1]..<offset].reduce(into: 1) { count, byte in
            if byte & 0xC0 != 0x80 { count += 1 }
        }
        return SourcePosition(line: line, column: column, byte: offset)
    }

    /// The text between two byte offsets.
    package func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}

/// A place in a source file.
public struct SourcePosition: Sendable, Equatable {
    /// The line, from 1.
    public let line: Int
    /// The column in Unicode scalars, from 1.
    public let column: Int
    /// The offset in bytes, from 0.
    public let byte: Int
}

/// A stretch of a source file, half open, in bytes.
public struct SourceSpan: Sendable, Equatable {
    /// The file.
    public let file: SourceFile
    /// Offset of the first byte.
    public let start: Int
    /// Offset after the last byte.
    public let end: Int

    /// The bytes `range` of `file`.
    package init(_ file: SourceFile, _ range: Range<Int>) {
        self.file = file
        start = range.lowerBound
        end = range.upperBound
    }

    /// Line and column of the first byte.
    public var startPosition: SourcePosition { file.position(at: start) }
    /// Line and column after the last byte.
    public var endPosition: SourcePosition { file.position(at: end) }
    /// The source text covered.
    public var text: String { file.text(range) }
    package var range: Range<Int> { start..<end }

    /// The empty span at this one's end.
    package var after: SourceSpan { SourceSpan(file, end..<end) }
    /// The empty span at this one's start.
    package var before: SourceSpan { SourceSpan(file, start..<start) }

    /// The span from this one's start to another's end.
    package func through(_ other: SourceSpan) -> SourceSpan { SourceSpan(file, start..<max(end, other.end)) }

    /// Whether two spans cover the same bytes of the same file.
    public static func == (left: Self, right: Self) -> Bool {
        left.file === right.file && left.start == right.start && left.end == right.end
    }
}
