/// A piece of what stands between tokens.
package struct TriviaPiece: Sendable, Equatable {
    /// What the piece is.
    package enum Kind: Sendable {
        case space, newline, lineComment, documentation, blockComment, interpreterLine, byteOrderMark
    }

    package let kind: Kind
    package let range: Range<Int>
    /// Whether a line break lies in it.
    package let containsNewline: Bool
    /// Whether it is a `/*` comment without its end.
    package let isUnterminated: Bool

    /// The piece that begins at an offset, if what stands there is trivia.
    init?(in bytes: [UInt8], at start: Int) {
        guard start < bytes.count else { return nil }
        var end = start + 1
        var newline = false
        var unterminated = false
        func has(_ first: Character, _ second: Character, at offset: Int) -> Bool {
            offset + 1 < bytes.count && bytes[offset] == first.asciiValue && bytes[offset + 1] == second.asciiValue
        }
        func skipLine() { while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 } }
        switch bytes[start] {
        case UInt8(ascii: "\n"):
            kind = .newline
            newline = true
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
            kind = .space
            while end < bytes.count, Self.isSpace(bytes[end]) { end += 1 }
        case UInt8(ascii: "/") where has("/", "/", at: start):
            kind = start + 2 < bytes.count && bytes[start + 2] == UInt8(ascii: "/") ? .documentation : .lineComment
            skipLine()
        case UInt8(ascii: "#") where start == 0 && has("#", "!", at: 0):
            kind = .interpreterLine
            skipLine()
        case 0xEF where start == 0 && bytes.starts(with: [0xEF, 0xBB, 0xBF]):
            kind = .byteOrderMark
            end = 3
        case UInt8(ascii: "/") where has("/", "*", at: start):
            kind = .blockComment
            var depth = 1
            end = start + 2
            while depth > 0, end < bytes.count {
                if has("/", "*", at: end) {
                    depth += 1
                    end += 2
                } else if has("*", "/", at: end) {
                    depth -= 1
                    end += 2
                } else {
                    if bytes[end] == UInt8(ascii: "\n") { newline = true }
                    end += 1
                }
            }
            unterminated = depth > 0
        case _: return nil
        }
        range = start..<end
        containsNewline = newline
        isUnterminated = unterminated
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}
