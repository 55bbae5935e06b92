/// Lays a script out afresh and changes nothing else.
///
/// Two spaces for each level, one between words where one belongs, at most one blank line, `{` on the line of
/// what it belongs to, one item below the other as the author broke the lines. Comments stay where they are;
/// one behind code keeps its column, so that columns of comments stay columns. What is inside quotes, and
/// comments that span lines, are not touched.
package struct ScriptFormatter {
    /// How far each level is indented.
    static let step = 2

    let tree: SyntaxTree
    private var output: [UInt8] = []
    /// The column after what was last written, from 0.
    private(set) var column = 0
    /// The indentation of the line being written.
    private(set) var lineIndent = 0
    /// The indentation of the line on which each token stands, once it is written.
    private(set) var indentOfToken: [Int]
    /// Where the items of the innermost bracket begin.
    var margin = 0
    /// Where a line begins that goes on with an item.
    var continuation = ScriptFormatter.step

    private init(_ tree: SyntaxTree) {
        self.tree = tree
        indentOfToken = [Int](repeating: 0, count: tree.tokens.count)
        output.reserveCapacity(tree.file.bytes.count + tree.file.bytes.count / 8)
    }

    /// The text of a script in the language's layout; nil for a malformed script, which is left alone.
    package static func format(_ tree: SyntaxTree) -> String? {
        guard tree.isValid else { return nil }
        var formatter = ScriptFormatter(tree)
        formatter.program()
        return String(decoding: formatter.output, as: UTF8.self)
    }

    // MARK: - Writing

    /// What stands between two tokens, if the script has no comment there.
    struct Gap {
        /// Whether a line break is wanted.
        enum Break {
            /// As in the source.
            case kept
            case always
            /// Not even where the source has one, unless a comment needs it.
            case never
        }

        /// Whether a space separates what stays on one line.
        var isSpaced = true
        var lineBreak = Break.kept
        /// Where the token begins if it is the first of its line.
        var indent: Int
        /// Where comments before the token begin that have lines of their own; nil for `indent`.
        var commentIndent: Int?
        /// Whether a blank line may stand before what follows.
        var allowsBlankBefore = true
        /// Whether a blank line may stand directly before the token.
        var allowsBlankAtEnd = true
        /// Tokens left out before this one, whose comments are kept: semicolons.
        var dropped: [SyntaxToken] = []
    }

    /// A gap within an item.
    func within(spaced: Bool) -> Gap { Gap(isSpaced: spaced, indent: continuation) }

    /// Takes back what an action writes, and gives it as a text.
    mutating func captured(_ action: (inout ScriptFormatter) -> Void) -> String {
        let (start, startColumn) = (output.count, column)
        action(&self)
        let text = String(decoding: output[start...], as: UTF8.self)
        output.removeSubrange(start...)
        column = startColumn
        return text
    }

    mutating func write(_ text: String) {
        output += text.utf8
        for byte in text.utf8 { column = byte == 0x0A ? 0 : Self.column(after: byte, at: column) }
    }

    mutating func startLine(blank: Bool, indent: Int) {
        if !output.isEmpty { output += blank ? [0x0A, 0x0A] : [0x0A] }
        output += [UInt8](repeating: UInt8(ascii: " "), count: indent)
        column = indent
        lineIndent = indent
    }

    /// Writes a token and what stands before it.
    mutating func write(_ token: SyntaxToken, after gap: Gap) {
        write(gap, before: token)
        indentOfToken[token.index] = lineIndent
        write(token.text)
    }

    /// Writes white space and comments up to a token.
    mutating func write(_ gap: Gap, before token: SyntaxToken) {
        var lineBreaks = 0
        var wroteComment = false
        var mustBreak = false
        for piece in (gap.dropped + [token]).flatMap(\.trivia) {
            switch piece.kind {
            case .space, .byteOrderMark: continue
            case .newline: lineBreaks += 1
            case .lineComment, .documentation, .interpreterLine, .blockComment:
                if lineBreaks == 0, !output.isEmpty {
                    let isTight = !gap.isSpaced && !wroteComment && output.last.map(Self.isOpening) == true
                    trail(piece, tight: isTight && piece.kind == .blockComment)
                } else {
                    let isBlank = lineBreaks > 1 && !output.isEmpty && (wroteComment || gap.allowsBlankBefore)
                    startLine(blank: isBlank, indent: gap.commentIndent ?? gap.indent)
                    write(trimmed(piece))
                }
                wroteComment = true
                mustBreak = piece.kind != .blockComment
                lineBreaks = 0
            }
        }
        let keepsBreak = gap.lineBreak == .kept || gap.lineBreak == .never && wroteComment
        if gap.lineBreak == .always || mustBreak || keepsBreak && lineBreaks > 0 {
            let isBlank = lineBreaks > 1 && gap.allowsBlankAtEnd && (wroteComment || gap.allowsBlankBefore)
            startLine(blank: isBlank && !output.isEmpty, indent: gap.indent)
        } else if gap.isSpaced || wroteComment && token.kind != .comma, !output.isEmpty {
            write(" ")
        }
    }

    /// Writes a comment on the line of what it follows.
    private mutating func trail(_ piece: TriviaPiece, tight: Bool) {
        let bytes = tree.file.bytes
        let spaces = bytes[..<piece.range.lowerBound].reversed().prefix { $0 == 0x20 || $0 == 0x09 }.count
        if !tight {
            trail(spaces: piece.kind == .blockComment ? 1 : spaces, sourceColumn: sourceColumn(piece.range.lowerBound))
        }
        write(trimmed(piece))
    }

    /// Writes the space before a comment behind code: more than one keeps the comment in its column.
    mutating func trail(spaces: Int, sourceColumn: Int) {
        let padding = spaces > 1 ? max(sourceColumn - column, 1) : 1
        write(String(repeating: " ", count: padding))
    }

    /// A comment's text without white space at the end of its lines.
    private func trimmed(_ piece: TriviaPiece) -> String {
        let lines = tree.file.text(piece.range).split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        return lines.map { line in
            var line = line
            while line.last?.isWhitespace == true { line.removeLast() }
            return String(line)
        }.joined(separator: "\n")
    }

    /// The column of a byte of the source, from 0, with tabs every four columns.
    func sourceColumn(_ offset: Int) -> Int {
        let start = offset - tree.file.indentation(at: offset)
        return tree.file.bytes[start..<offset].reduce(0) { Self.column(after: $1, at: $0) }
    }

    /// The column after a byte of UTF-8.
    private static func column(after byte: UInt8, at column: Int) -> Int {
        byte == 0x09 ? (column / 4 + 1) * 4 : byte & 0xC0 == 0x80 ? column : column + 1
    }

    private static func isOpening(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "(") || byte == UInt8(ascii: "[")
    }

    // MARK: - The whole script

    private mutating func program() {
        statements(of: tree.root, isBroken: true)
        let end = SyntaxToken(tree: tree, index: tree.tokens.count - 1)
        var gap = Gap(isSpaced: false, lineBreak: .never, indent: 0, allowsBlankAtEnd: false)
        gap.dropped = tree.root.trailingSemicolons
        write(gap, before: end)
        while output.last == 0x0A || output.last == 0x20 { output.removeLast() }
        if !output.isEmpty { output.append(0x0A) }
    }
}
