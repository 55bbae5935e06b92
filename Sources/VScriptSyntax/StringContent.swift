/// What a string literal's source says, once escapes and the indentation of `"""` are worked out.
struct StringContent {
    /// A stretch of literal text, or nil for an interpolation.
    typealias Piece = Range<Int>?

    /// Something wrong with the text.
    struct Problem {
        let code: SyntaxCode
        let message: String
        let range: Range<Int>
        var label = ""
        var replacement: String?
    }

    /// The text of each piece; nil for interpolations.
    private(set) var segments: [String?] = []
    private(set) var problems: [Problem] = []

    private let bytes: [UInt8]

    /// Works out a literal of `pieces` between quotes, the closing of which are empty if missing.
    init(_ file: SourceFile, pieces: [Piece], isMultiline: Bool, quotes: (opening: Range<Int>, closing: Range<Int>)) {
        bytes = file.bytes
        guard isMultiline else {
            segments = pieces.map { piece in piece.map { text(in: $0) } }
            return
        }
        let (body, indentation) = strip(pieces, quotes: quotes)
        var atLineStart = true
        for piece in body {
            guard let piece else {
                if atLineStart, !indentation.isEmpty { tooShallow(quotes.closing) }
                atLineStart = false
                segments.append(nil)
                continue
            }
            segments.append(
                multilineText(in: piece, indentation: indentation, atLineStart: &atLineStart, quotes.closing))
        }
    }

    // MARK: - Multi-line strings

    /// The pieces without the first and last line break, and the white space before the closing quotes.
    private mutating func strip(
        _ pieces: [Piece], quotes: (opening: Range<Int>, closing: Range<Int>)
    ) -> ([Piece], [UInt8]) {
        var pieces = pieces
        let newline = UInt8(ascii: "\n")
        guard let first = pieces.first ?? nil, let start = bytes[first].firstIndex(where: { !$0.isBlank }),
            bytes[start] == newline
        else {
            problems.append(
                Problem(
                    code: .multilineString, message: "the text of a `\"\"\"` string begins on the next line",
                    range: quotes.opening, label: "expected a line break after this"))
            return (pieces, [])
        }
        guard let last = pieces.last ?? nil, let end = bytes[last].lastIndex(where: { !$0.isBlank }),
            bytes[end] == newline
        else {
            problems.append(
                Problem(
                    code: .multilineString, message: "the closing `\"\"\"` stands on a line of its own",
                    range: quotes.closing))
            return (pieces, [])
        }
        let indentation = Array(bytes[end + 1..<last.upperBound])
        if pieces.count == 1 {
            pieces[0] = start == end ? start + 1..<start + 1 : start + 1..<end
        } else {
            pieces[0] = start + 1..<first.upperBound
            pieces[pieces.count - 1] = last.lowerBound..<end
        }
        return (pieces, indentation)
    }

    private mutating func multilineText(
        in range: Range<Int>, indentation: [UInt8], atLineStart: inout Bool, _ closing: Range<Int>
    ) -> String {
        var result: [UInt8] = []
        var position = range.lowerBound
        while position < range.upperBound {
            if atLineStart {
                let rest = bytes[position..<range.upperBound]
                if rest.starts(with: indentation) {
                    position += indentation.count
                } else if let end = rest.firstIndex(where: { !$0.isBlank }), bytes[end] != UInt8(ascii: "\n") {
                    tooShallow(position..<end + 1)
                } else {
                    position = rest.firstIndex(of: UInt8(ascii: "\n")) ?? range.upperBound
                }
                atLineStart = false
                continue
            }
            let byte = bytes[position]
            if byte == UInt8(ascii: "\\"), let next = lineBreak(after: position, before: range.upperBound) {
                position = next
                atLineStart = true
            } else if byte == UInt8(ascii: "\\") {
                append(escapeAt: &position, before: range.upperBound, to: &result)
            } else {
                atLineStart = byte == UInt8(ascii: "\n")
                let isCarriageReturn =
                    byte == UInt8(ascii: "\r") && position + 1 < bytes.count
                    && bytes[position + 1] == UInt8(ascii: "\n")
                if !isCarriageReturn { result.append(byte) }
                position += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Where the next line begins, if a backslash is the last mark on its line.
    private func lineBreak(after backslash: Int, before end: Int) -> Int? {
        let rest = bytes[backslash + 1..<end]
        guard let next = rest.firstIndex(where: { !$0.isBlank }), bytes[next] == UInt8(ascii: "\n") else { return nil }
        return next + 1
    }

    private mutating func tooShallow(_ range: Range<Int>) {
        guard problems.isEmpty else { return }
        problems.append(
            Problem(
                code: .multilineString, message: "this line is indented less than the closing `\"\"\"`", range: range))
    }

    // MARK: - Escapes

    private mutating func text(in range: Range<Int>) -> String {
        var result: [UInt8] = []
        var position = range.lowerBound
        while position < range.upperBound {
            if bytes[position] == UInt8(ascii: "\\") {
                append(escapeAt: &position, before: range.upperBound, to: &result)
            } else {
                result.append(bytes[position])
                position += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private mutating func append(escapeAt position: inout Int, before end: Int, to result: inout [UInt8]) {
        let start = position
        if let scalar = Escape.read(bytes[..<end], at: &position) {
            return result += Array(String(Character(scalar)).utf8)
        }
        position = start + 1
        while position < end, position < start + 2 || bytes[position] & 0xC0 == 0x80 { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard text == "\\u" else {
            let isHexadecimal =
                text == "\\x" && position + 1 < end && bytes[position...position + 1].allSatisfy(\.isHexDigit)
            let digits = isHexadecimal ? String(decoding: bytes[position...position + 1], as: UTF8.self) : ""
            let replacement = isHexadecimal ? "\\u{\(digits)}" : text == "\\e" ? "\\u{1B}" : nil
            problems.append(
                Problem(
                    code: .unknownEscape, message: "`\(text)` is not an escape",
                    range: start..<position + digits.utf8.count,
                    label: replacement.map { "write `\($0)`" } ?? "a backslash is written `\\\\`",
                    replacement: replacement))
            return
        }
        problems.append(
            Problem(
                code: .unknownEscape, message: "`\\u` needs a code point in braces", range: start..<position,
                label: "as in `\\u{1F600}`"))
    }
}

/// The escapes of strings and characters.
enum Escape {
    /// Reads the escape at a backslash; nil, with the position undefined, if it is not one.
    static func read(_ bytes: ArraySlice<UInt8>, at position: inout Int) -> Unicode.Scalar? {
        guard position + 1 < bytes.endIndex else { return nil }
        let letter = bytes[position + 1]
        position += 2
        switch letter {
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "0"): return "\0"
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"): return Unicode.Scalar(letter)
        case UInt8(ascii: "u"):
            guard position < bytes.endIndex, bytes[position] == UInt8(ascii: "{"),
                let end = bytes[position...].prefix(10).firstIndex(of: UInt8(ascii: "}"))
            else { return nil }
            let digits = String(decoding: bytes[position + 1..<end], as: UTF8.self)
            position = end + 1
            guard digits.utf8.allSatisfy(\.isHexDigit) else { return nil }
            return UInt32(digits, radix: 16).flatMap(Unicode.Scalar.init)
        case _: return nil
        }
    }
}

/// The value of `'A'`.
enum CharacterLiteral {
    /// The code point of what stands between the quotes; nil if that is not one character.
    static func codePoint(of content: String) -> UInt32? {
        let bytes = Array(content.utf8)
        if bytes.first == UInt8(ascii: "\\") {
            var position = 0
            guard let scalar = Escape.read(bytes[...], at: &position), position == bytes.count else { return nil }
            return scalar.value
        }
        let scalars = content.unicodeScalars
        return scalars.count == 1 ? scalars.first?.value : nil
    }
}

/// The value of `hex"90 cc"`.
enum BytesLiteral {
    /// The bytes that pairs of digits stand for; nil if something else stands there.
    static func bytes(of content: String) -> [UInt8]? {
        var result: [UInt8] = []
        for word in content.split(whereSeparator: { $0 == " " || $0 == "_" || $0 == "\t" }) {
            let digits = Array(word.utf8)
            guard digits.count.isMultiple(of: 2), digits.allSatisfy(\.isHexDigit) else { return nil }
            for pair in stride(from: 0, to: digits.count, by: 2) {
                guard let value = UInt8(String(decoding: digits[pair...pair + 1], as: UTF8.self), radix: 16) else {
                    return nil
                }
                result.append(value)
            }
        }
        return result
    }
}

extension UInt8 {
    fileprivate var isBlank: Bool {
        self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") || self == UInt8(ascii: "\r")
    }
}
