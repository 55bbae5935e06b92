/// What a token is.
package enum TokenKind: UInt8, CaseIterable, Sendable {
    case endOfFile, unknown
    case identifier, number, unit, character, register, regex, bytes
    case stringStart, stringText, stringEnd, interpolationStart, interpolationEnd, formatSpecification
    case assemblyText

    case `let`, `var`, fn, `return`, `if`, `else`, `for`, `in`, `while`, `break`, `continue`, match, `case`
    case `import`, `as`, on, asm, `try`, `catch`, `throw`, expect, `true`, `false`, `nil`

    case leftParenthesis, rightParenthesis, leftBracket, rightBracket, leftBrace, rightBrace
    case comma, colon, semicolon, dot, arrow
    case assign, plusAssign, minusAssign, starAssign, slashAssign, percentAssign
    case ampersandAssign, barAssign, caretAssign, shiftLeftAssign, shiftRightAssign
    case shiftLeft, shiftRight, wrappingShiftLeft
    case star, slash, percent, ampersand, wrappingStar
    case plus, minus, bar, caret, wrappingPlus, wrappingMinus
    case closedRange, halfOpenRange, countedRange
    case coalesce
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    case and, or
    case tilde, not

    /// The text of a keyword or punctuation mark; nil for tokens whose text varies.
    package var spelling: String? { Self.spellings[Int(rawValue)] }

    /// Whether the token is one of the 24 reserved words.
    package var isKeyword: Bool { TokenKind.let.rawValue...TokenKind.nil.rawValue ~= rawValue }

    /// Whether the token is a punctuation mark.
    package var isPunctuation: Bool { rawValue >= TokenKind.leftParenthesis.rawValue }

    /// Whether the token is `(`, `[` or `{`.
    package var isOpening: Bool { self == .leftParenthesis || self == .leftBracket || self == .leftBrace }

    /// Whether the token is `)`, `]` or `}`.
    package var isClosing: Bool { self == .rightParenthesis || self == .rightBracket || self == .rightBrace }

    /// Whether the keyword can only begin a statement, so that a line that starts with it is a new one.
    package var beginsStatement: Bool { Self.statementKeywords.contains(self) }

    private static let statementKeywords: Set<TokenKind> = [
        .let, .var, .return, .for, .while, .break, .continue, .import, .throw, .expect,
    ]

    /// The reserved words by their text.
    package static let keywords: [String: TokenKind] = Dictionary(
        uniqueKeysWithValues: allCases.filter(\.isKeyword).compactMap { kind in kind.spelling.map { ($0, kind) } })

    /// Punctuation by its first byte, longest first.
    static let punctuation: [[(text: [UInt8], kind: TokenKind)]] = {
        var table = [[(text: [UInt8], kind: TokenKind)]](repeating: [], count: 128)
        for kind in allCases where kind.isPunctuation {
            guard let text = kind.spelling.map({ Array($0.utf8) }) else { continue }
            table[Int(text[0])].append((text, kind))
        }
        return table.map { $0.sorted { $0.text.count > $1.text.count } }
    }()

    private static let spellings: [String?] = {
        var table = [String?](repeating: nil, count: allCases.count)
        for (kind, text) in spellingList { table[Int(kind.rawValue)] = text }
        return table
    }()

    // swift-format-ignore
    private static let spellingList: [(TokenKind, String)] = [
        (.let, "let"), (.var, "var"), (.fn, "fn"), (.return, "return"), (.if, "if"), (.else, "else"), (.for, "for"),
        (.in, "in"), (.while, "while"), (.break, "break"), (.continue, "continue"), (.match, "match"),
        (.case, "case"), (.import, "import"), (.as, "as"), (.on, "on"), (.asm, "asm"), (.try, "try"),
        (.catch, "catch"), (.throw, "throw"), (.expect, "expect"), (.true, "true"), (.false, "false"), (.nil, "nil"),
        (.leftParenthesis, "("), (.rightParenthesis, ")"), (.leftBracket, "["), (.rightBracket, "]"),
        (.leftBrace, "{"), (.rightBrace, "}"), (.comma, ","), (.colon, ":"), (.semicolon, ";"), (.dot, "."),
        (.arrow, "=>"), (.assign, "="), (.plusAssign, "+="), (.minusAssign, "-="), (.starAssign, "*="),
        (.slashAssign, "/="), (.percentAssign, "%="), (.ampersandAssign, "&="), (.barAssign, "|="),
        (.caretAssign, "^="), (.shiftLeftAssign, "<<="), (.shiftRightAssign, ">>="), (.shiftLeft, "<<"),
        (.shiftRight, ">>"), (.wrappingShiftLeft, "&<<"), (.star, "*"), (.slash, "/"), (.percent, "%"),
        (.ampersand, "&"), (.wrappingStar, "&*"), (.plus, "+"), (.minus, "-"), (.bar, "|"), (.caret, "^"),
        (.wrappingPlus, "&+"), (.wrappingMinus, "&-"), (.closedRange, "..."), (.halfOpenRange, "..<"),
        (.countedRange, "..+"), (.coalesce, "??"), (.equal, "=="), (.notEqual, "!="), (.less, "<"),
        (.lessOrEqual, "<="), (.greater, ">"), (.greaterOrEqual, ">="), (.and, "&&"), (.or, "||"), (.tilde, "~"),
        (.not, "!"),
    ]
}

/// The smallest piece of a script that the grammar speaks of.
///
/// White space and comments lie between tokens: from one token's end to the next one's start.
package struct Token: Sendable {
    /// What the lexer saw on the way to the token.
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// A line break lies before the token.
        package static let newlineBefore = Flags(rawValue: 1)
        /// White space or a comment lies before the token.
        package static let spaceBefore = Flags(rawValue: 2)
        /// The lexer has reported a mistake here, so the parser does not add another.
        package static let reported = Flags(rawValue: 4)
    }

    package let kind: TokenKind
    package internal(set) var flags: Flags
    private let startOffset: UInt32
    private let endOffset: UInt32

    init(_ kind: TokenKind, _ range: Range<Int>, flags: Flags) {
        self.kind = kind
        self.flags = flags
        startOffset = UInt32(truncatingIfNeeded: range.lowerBound)
        endOffset = UInt32(truncatingIfNeeded: range.upperBound)
    }

    /// Offset of the first byte, after the trivia.
    package var start: Int { Int(startOffset) }
    /// Offset after the last byte.
    package var end: Int { Int(endOffset) }
    /// The bytes of the token's text.
    package var range: Range<Int> { start..<end }
    /// Whether a line break lies before the token.
    package var startsLine: Bool { flags.contains(.newlineBefore) }
    /// Whether the token touches the one before it.
    package var touchesPrevious: Bool { !flags.contains(.spaceBefore) }
}
