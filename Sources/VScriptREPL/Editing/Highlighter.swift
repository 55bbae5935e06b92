import VScriptSyntax

/// Colours vscript and commands while they are typed.
enum Highlighter {
    /// The text in colours; every visible character stays where it is.
    ///
    /// `command` is how many bytes at the start are a command's name.
    static func styled(_ text: String, command: Int) -> StyledText {
        let file = SourceFile(text, named: "<input>")
        let bytes = Array(text.utf8)
        var result = StyledText("")
        var position = 0
        func append(to end: Int, _ role: Role) {
            guard end > position, end <= bytes.count else { return }
            result += StyledText(String(decoding: bytes[position..<end], as: UTF8.self), role)
            position = end
        }
        append(to: min(command, bytes.count), .command)
        for token in parse(file).tokens where token.start >= position {
            // What lies before a token is white space and comments.
            append(to: token.start, .comment)
            append(to: token.end, role(of: token.kind))
        }
        append(to: bytes.count, .comment)
        return result
    }

    private static func role(of kind: TokenKind) -> Role {
        if kind.isKeyword { return .keyword }
        if kind.isPunctuation { return .plain }
        return switch kind {
        case .stringStart, .stringText, .stringEnd, .regex, .bytes: .string
        case .number, .unit, .character: .number
        case .register: .register
        case .assemblyText: .symbol
        case _: .plain
        }
    }
}
