/// Splits a script into tokens that cover every byte that is not trivia.
///
/// Strings, interpolations and `asm` blocks nest, so the lexer keeps a stack of what it is inside; it never
/// recurses. Each mistake is reported once and marked on a token, so that the parser stays quiet about it.
struct Lexer {
    let file: SourceFile
    let bytes: [UInt8]
    var position = 0
    var tokens: [Token] = []
    var diagnostics: [Diagnostic] = []
    /// Whether the text ended inside something that a further line could close.
    var endsInside = false
    var frames: [Frame] = []
    /// Whether `asm` and perhaps its arguments precede, so that `{` opens raw text.
    private var assemblyMayOpen = false

    /// Something the lexer is inside of.
    struct Frame {
        enum Kind { case string, interpolation, assemblyArguments, assembly }
        let kind: Kind
        /// The token that opened it.
        let token: Int
        /// Whether a line break may stand in it (of an interpolation: in the string around it).
        let isMultiline: Bool
        /// Brackets open inside it.
        var nesting = 0
        /// Whether raw `asm` text is inside quotes.
        var isQuoted = false
    }

    init(_ file: SourceFile) {
        self.file = file
        bytes = file.bytes
    }

    mutating func run() {
        guard bytes.count <= SyntaxTree.sizeLimit else {
            return refuseWhole(.fileTooLarge, "the file is larger than 64 MiB", at: 0)
        }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            return refuseWhole(.invalidUTF8, "the file is not UTF-8 text", at: firstInvalidByte)
        }
        tokens.reserveCapacity(bytes.count / 4 + 1)
        var isDone = false
        while !isDone {
            switch frames.last?.kind {
            case .string: stringPart()
            case .assembly: assemblyPart()
            case .interpolation, .assemblyArguments, nil: isDone = !codeToken()
            }
        }
    }

    /// Makes one token of the whole text, for files that are not scripts at all.
    private mutating func refuseWhole(_ code: SyntaxCode, _ message: String, at offset: Int) {
        diagnostics.append(Diagnostic(code, message, at: SourceSpan(file, offset..<offset)))
        tokens = [
            Token(.unknown, 0..<bytes.count, flags: .reported),
            Token(.endOfFile, bytes.count..<bytes.count, flags: .reported),
        ]
    }

    private var firstInvalidByte: Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var offset = 0
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { offset += UTF8.width(scalar) }
        return offset
    }

    // MARK: - Helpers

    /// A byte, or 0 past the end.
    func byte(_ offset: Int) -> UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    /// Whether an ASCII text stands at an offset.
    func has(_ text: StaticString, at offset: Int) -> Bool {
        text.withUTF8Buffer { text in
            offset + text.count <= bytes.count && text.indices.allSatisfy { bytes[offset + $0] == text[$0] }
        }
    }

    mutating func emit(_ kind: TokenKind, from start: Int, flags: Token.Flags = []) {
        tokens.append(Token(kind, start..<position, flags: flags))
    }

    mutating func report(
        _ code: SyntaxCode, _ message: String, _ range: Range<Int>, label: String = "", notes: [String] = [],
        fix: Diagnostic.Fix? = nil
    ) {
        guard diagnostics.count < Diagnostic.limit else { return }
        diagnostics.append(
            Diagnostic(
                code, message, at: SourceSpan(file, range), label: label, notes: notes, fixes: fix.map { [$0] } ?? []))
    }

    func span(_ range: Range<Int>) -> SourceSpan { SourceSpan(file, range) }

    /// Marks a token, by default the latest, as one whose mistake has been told.
    mutating func markReported(_ index: Int? = nil) {
        let index = index ?? tokens.count - 1
        if tokens.indices.contains(index) { tokens[index].flags.insert(.reported) }
    }

    // MARK: - Code

    /// Reads trivia and one token; false after the end of the file.
    private mutating func codeToken() -> Bool {
        let flags = skipTrivia()
        let start = position
        if flags.contains(.newlineBefore), let frame = frames.last, frame.kind == .interpolation, !frame.isMultiline,
            frame.nesting == 0, startsStatement
        {
            leaveBrokenInterpolation()
            return true
        }
        guard start < bytes.count else {
            emit(.endOfFile, from: start, flags: flags)
            return false
        }
        let mayOpenAssembly = assemblyMayOpen
        assemblyMayOpen = false
        let byte = bytes[start]
        switch byte {
        case _ where byte.isIdentifierStart:
            if byte == UInt8(ascii: "r") && has("re\"", at: start) {
                prefixedLiteral(.regex, prefix: 3, flags: flags)
            } else if byte == UInt8(ascii: "h") && has("hex\"", at: start) {
                prefixedLiteral(.bytes, prefix: 4, flags: flags)
            } else {
                word(flags: flags)
            }
        case _ where byte.isDigit: number(flags: flags)
        case UInt8(ascii: "\""): openString(flags: flags)
        case UInt8(ascii: "'"): character(flags: flags)
        case UInt8(ascii: "$"): register(flags: flags)
        case _: punctuation(flags: flags, mayOpenAssembly: mayOpenAssembly)
        }
        return true
    }

    private mutating func word(flags: Token.Flags) {
        let start = position
        while byte(position).isIdentifierPart { position += 1 }
        // Keywords have two to eight lower-case letters; other words need no look-up.
        let mayBeKeyword = 2...8 ~= position - start && bytes[start].isLowercase
        let keyword = mayBeKeyword ? TokenKind.keywords[file.text(start..<position)] : nil
        let isMember = tokens.last?.kind == .dot
        emit(keyword ?? .identifier, from: start, flags: flags)
        assemblyMayOpen = keyword == .asm && !isMember
    }

    private var startsStatement: Bool {
        var end = position
        while byte(end).isIdentifierPart { end += 1 }
        return TokenKind.keywords[file.text(position..<end)]?.beginsStatement == true
    }

    private mutating func register(flags: Token.Flags) {
        let start = position
        position += 1
        while byte(position).isIdentifierPart { position += 1 }
        if position == start + 1 {
            report(.unexpectedCharacter, "expected a register name after `$`", start..<position, label: "as in `$rax`")
            emit(.unknown, from: start, flags: flags.union(.reported))
        } else {
            emit(.register, from: start, flags: flags)
        }
    }

    private mutating func punctuation(flags: Token.Flags, mayOpenAssembly: Bool) {
        let start = position
        guard bytes[start] < 128,
            let found = TokenKind.punctuation[Int(bytes[start])].first(where: { candidate in
                start + candidate.text.count <= bytes.count
                    && candidate.text.indices.allSatisfy { bytes[start + $0] == candidate.text[$0] }
            })
        else { return unknown(flags: flags) }
        position += found.text.count
        let kind = found.kind
        let top = frames.count - 1
        if kind.isOpening {
            emit(kind, from: start, flags: flags)
            if mayOpenAssembly && kind == .leftParenthesis {
                frames.append(Frame(kind: .assemblyArguments, token: tokens.count - 1, isMultiline: true))
            } else if mayOpenAssembly && kind == .leftBrace {
                frames.append(Frame(kind: .assembly, token: tokens.count - 1, isMultiline: true))
            } else if top >= 0 {
                frames[top].nesting += 1
            }
        } else if kind == .rightParenthesis, top >= 0, frames[top].nesting == 0 {
            assemblyMayOpen = frames[top].kind == .assemblyArguments
            emit(assemblyMayOpen ? kind : .interpolationEnd, from: start, flags: flags)
            frames.removeLast()
        } else if kind.isClosing {
            emit(kind, from: start, flags: flags)
            if top >= 0, frames[top].nesting > 0 { frames[top].nesting -= 1 }
        } else {
            emit(kind, from: start, flags: flags)
            if kind == .colon, top >= 0, frames[top].kind == .interpolation, frames[top].nesting == 0 {
                formatSpecification()
            }
        }
    }

    /// Reads what follows the `:` of an interpolation, up to its `)`.
    private mutating func formatSpecification() {
        let start = position
        while position < bytes.count, !Self.formatEnds.contains(bytes[position]) { position += 1 }
        emit(.formatSpecification, from: start)
        guard FormatSpecification(file.text(start..<position)) == nil else { return }
        report(
            .malformedFormat, "`\(file.text(start..<position))` is not a format", start - 1..<position,
            notes: ["a format is Python's: [[fill]align][sign][#][0][width][,][.precision][type], as in `#018x`"])
        markReported()
    }

    private static let formatEnds = Array(")\"\n\r".utf8)

    private mutating func unknown(flags: Token.Flags) {
        let start = position
        position += 1
        while byte(position) & 0xC0 == 0x80 { position += 1 }
        let text = file.text(start..<position)
        if text == "#", isLength(start) { return length(from: start, flags: flags) }
        if Habit.quotes.contains(text) { return runningQuotes(from: start, flags: flags) }
        let shown = bytes[start] < 0x20 || bytes[start] == 0x7F ? "U+00" + String(bytes[start], radix: 16) : text
        if text == "#", isDirective(start) {
            report(
                .unexpectedCharacter, "unexpected character `#`", start..<position,
                label: "there is no preprocessor: values are named with `let`, modules are made known by `import`")
            return emit(.unknown, from: start, flags: flags.union(.reported))
        }
        if text == "?", byte(position) == UInt8(ascii: ".") {
            report(
                .unexpectedCharacter, "unexpected character `?`", start..<position,
                label: "`map[\"key\"]` is nil without the key")
            return emit(.unknown, from: start, flags: flags.union(.reported))
        }
        let hint = Habit.character(text)
        report(
            hint?.code ?? .unexpectedCharacter, "unexpected character `\(shown)`", start..<position,
            label: hint?.label
                ?? (text.unicodeScalars.first?.properties.isAlphabetic == true
                    ? "names are made of `A` to `Z`, `a` to `z`, digits and `_`" : ""),
            fix: hint?.replacement.map { .replace(span(start..<position), with: $0) })
        emit(.unknown, from: start, flags: flags.union(.reported))
    }

    /// Whether `#` begins a line of C's preprocessor.
    private func isDirective(_ start: Int) -> Bool {
        ["include", "define", "ifdef", "ifndef", "if ", "endif", "pragma", "undef"].contains { word in
            start + 1 + word.utf8.count <= bytes.count && bytes[(start + 1)...].starts(with: word.utf8)
        }
    }

    /// Whether `#` stands where a value is expected and touches a name, as in Lua's `#list`.
    private func isLength(_ start: Int) -> Bool {
        guard byte(start + 1).isIdentifierStart, let previous = tokens.last?.kind else { return false }
        return previous.isOpening || previous == .comma || previous == .return || previous == .in
            || AssignmentOperator(previous) != nil || BinaryOperator(previous) != nil
    }

    private mutating func length(from start: Int, flags: Token.Flags) {
        var end = position
        while byte(end).isIdentifierPart || byte(end) == UInt8(ascii: ".") && byte(end + 1).isIdentifierStart {
            end += 1
        }
        let name = file.text(position..<end)
        report(
            .foreignForm, "there is no operator `#`", start..<position, label: "the length is `\(name).count`",
            fix: Diagnostic.Fix(
                "replace with `\(name).count`", [Diagnostic.Edit(span(start..<end), "\(name).count")]))
        emit(.unknown, from: start, flags: flags.union(.reported))
    }

    /// Reads a text between the quotation marks of running text, up to the end of the line at most.
    private mutating func runningQuotes(from start: Int, flags: Token.Flags) {
        let first = position
        var last = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n"), bytes[position] != UInt8(ascii: "\"") {
            last = position
            position += 1
            while byte(position) & 0xC0 == 0x80 { position += 1 }
            if Habit.quotes.contains(file.text(last..<position)) { break }
        }
        let isClosed = position > first && Habit.quotes.contains(file.text(last..<position))
        if !isClosed { position = first }
        // What is put into the text differs too.
        let isPlain = !bytes[first..<last].contains(UInt8(ascii: "$"))
        let fix =
            isClosed && isPlain
            ? Diagnostic.Fix.replace(span(start..<position), with: "\"\(file.text(first..<last))\"") : nil
        report(
            .unexpectedCharacter, "unexpected character `\(file.text(start..<first))`", start..<position,
            label: "strings use straight double quotes" + (isPlain ? "" : ", and `\\(value)` for what is put in"),
            fix: fix)
        emit(.unknown, from: start, flags: flags.union(.reported))
    }

    // MARK: - Trivia

    private mutating func skipTrivia() -> Token.Flags {
        let start = position
        var flags: Token.Flags = []
        while let piece = TriviaPiece(in: bytes, at: position) {
            if piece.containsNewline { flags.insert(.newlineBefore) }
            position = piece.range.upperBound
            if piece.isUnterminated {
                report(
                    .unterminatedComment, "this comment is never closed",
                    piece.range.lowerBound..<piece.range.lowerBound + 2,
                    label: "expected `*/`")
                flags.insert(.reported)
                endsInside = true
            }
        }
        if position > start { flags.insert(.spaceBefore) }
        return flags
    }
}

extension UInt8 {
    var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }
    var isLowercase: Bool { self &- UInt8(ascii: "a") < 26 }
    var isHexDigit: Bool { isDigit || (self | 0x20) &- UInt8(ascii: "a") < 6 }
    var isIdentifierStart: Bool { (self | 0x20) &- UInt8(ascii: "a") < 26 || self == UInt8(ascii: "_") }
    var isIdentifierPart: Bool { isIdentifierStart || isDigit }
}
