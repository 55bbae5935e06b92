/// Builds the tree of a script by recursive descent; the grammar is README 2.2.
///
/// After a mistake the parser is silent until the statement's end, so one mistake makes one report.
struct Parser {
    /// How deep expressions and blocks may nest.
    static let nestingLimit = 200
    /// How many nodes deep a tree may be; long chains of operators, too, nest to the left.
    static let heightLimit: UInt16 = 1_000

    let file: SourceFile
    let tokens: [Token]
    var nodes: [SyntaxTree.Node] = []
    var position = 0
    var diagnostics: [Diagnostic]

    /// How many `(` and `[` of the current statement are open; line breaks do not count inside them.
    var openBrackets = 0
    /// Whether `name: value` may stand here.
    var inDeclarationBody = false
    /// Whether an interpolation is being read that never ends.
    var isInBrokenInterpolation = false
    /// Whether `..` has been taken for `+` in the current statement.
    var hasConcatenated = false
    /// Whether a `try` in another language's form has been reported.
    var hasForeignTry = false
    /// Whether an arm of the current `match` without `case` has been reported.
    var hasToldOfCase = false
    /// What has been reported once about the current statement.
    var habitsReported: Set<SyntaxCode> = []
    var nesting = 0
    /// The first token of the statement being read.
    private(set) var statementStart = 0

    /// A mistake was reported and its statement is to be given up.
    private(set) var isPanicking = false
    /// `openBrackets` where that happened.
    private var bracketsAtPanic = 0
    /// The lexer has reported a mistake in the statement being read.
    private(set) var isSilenced = false
    private var endsInside: Bool
    /// Braces that do not stand as they belong together.
    private var misaligned: (opening: Token, closing: Token)?
    /// The script is nested too deeply, so that nothing more is read.
    private var hasGivenUp = false

    static func parse(_ file: SourceFile) -> SyntaxTree {
        var lexer = Lexer(file)
        lexer.run()
        var parser = Parser(lexer)
        parser.program()
        let diagnostics = parser.diagnostics.enumerated().sorted {
            let (left, right) = ($0.element.span?.start ?? 0, $1.element.span?.start ?? 0)
            return left == right ? $0.offset < $1.offset : left < right
        }.map(\.element)
        return SyntaxTree(
            file: file, tokens: parser.tokens, nodes: parser.nodes, diagnostics: diagnostics,
            isIncomplete: parser.endsInside && diagnostics.filter { $0.severity == .error }.count == 1)
    }

    private init(_ lexer: Lexer) {
        file = lexer.file
        tokens = lexer.tokens
        diagnostics = lexer.diagnostics
        endsInside = lexer.endsInside
    }

    // MARK: - Tokens

    var current: Token { tokens[position] }

    func peek(_ distance: Int) -> Token { tokens[min(position + distance, tokens.count - 1)] }

    func at(_ kind: TokenKind) -> Bool { tokens[position].kind == kind }

    /// Whether the current token begins a new line where that ends the statement.
    var endsLine: Bool { openBrackets == 0 && current.startsLine }

    mutating func advance() {
        if current.flags.contains(.reported) { isSilenced = true }
        if position < tokens.count - 1 { position += 1 }
    }

    @discardableResult
    mutating func eat(_ kind: TokenKind) -> Bool {
        guard at(kind) else { return false }
        advance()
        return true
    }

    func span(_ token: Token) -> SourceSpan { SourceSpan(file, token.range) }

    /// The empty place after the last token read.
    var afterPrevious: SourceSpan {
        let end = position > 0 ? tokens[position - 1].end : 0
        return SourceSpan(file, end..<end)
    }

    func text(_ token: Token) -> String { file.text(token.range) }

    /// The current token as messages call it.
    var found: String {
        if at(.endOfFile) { return "the end of the file" }
        return endsLine ? "a new line" : "`\(text(current).prefix(40))`"
    }

    // MARK: - Nodes

    /// Where a node begins.
    struct Mark {
        let token: Int
        let node: Int
    }

    func mark() -> Mark { Mark(token: position, node: nodes.count) }

    /// Writes a node over everything since a mark.
    mutating func complete(_ kind: SyntaxKind, _ mark: Mark) {
        if write(kind, mark) >= Self.heightLimit { nestedTooDeeply() }
    }

    /// Writes a node and tells its height.
    @discardableResult
    mutating func write(_ kind: SyntaxKind, _ mark: Mark) -> UInt16 {
        var height: UInt16 = 0
        var child = nodes.count - 1
        while child >= mark.node {
            height = max(height, nodes[child].height)
            child = Int(nodes[child].firstDescendant) - 1
        }
        nodes.append(
            SyntaxTree.Node(
                kind: kind, height: height + 1, firstToken: UInt32(mark.token), endToken: UInt32(position),
                firstDescendant: UInt32(mark.node)))
        return height + 1
    }

    /// Writes a node for an expression that is not there.
    mutating func missing() { complete(.missing, mark()) }

    /// Whether the expression just completed can be assigned to.
    var lastIsAssignable: Bool {
        guard let kind = nodes.last?.kind else { return false }
        return kind == .name || kind == .register || kind == .member || kind == .index
    }

    /// The text of the node just completed.
    var lastSpan: SourceSpan {
        guard let node = nodes.last, node.firstToken < node.endToken else { return afterPrevious }
        return SourceSpan(file, tokens[Int(node.firstToken)].start..<tokens[Int(node.endToken) - 1].end)
    }

    // MARK: - Mistakes

    /// Adds a report, unless one has been made about this statement.
    mutating func report(
        _ code: SyntaxCode, _ message: String, at span: SourceSpan, label: String = "",
        related: [Diagnostic.Label] = [], notes: [String] = [], fixes: [Diagnostic.Fix] = []
    ) {
        guard !isPanicking, !isSilenced, !hasGivenUp, !current.flags.contains(.reported) else { return }
        guard diagnostics.count < Diagnostic.limit else { return }
        if at(.endOfFile) {
            // That the text ends too early is one mistake, however much it leaves open.
            guard !endsInside else { return }
            endsInside = true
        }
        diagnostics.append(
            Diagnostic(code, message, at: span, label: label, related: related, notes: notes, fixes: fixes))
    }

    /// Adds a report and gives up the statement.
    mutating func fail(
        _ code: SyntaxCode, _ message: String, at span: SourceSpan? = nil, label: String = "",
        related: [Diagnostic.Label] = [], notes: [String] = [], fixes: [Diagnostic.Fix] = []
    ) {
        let place = at(.endOfFile) || endsLine ? afterPrevious : self.span(current)
        report(code, message, at: span ?? place, label: label, related: related, notes: notes, fixes: fixes)
        if !isPanicking {
            isPanicking = true
            bracketsAtPanic = openBrackets
        }
    }

    /// Gives up the statement without a report: it belongs to a mistake that has been told of.
    mutating func passOver() {
        isPanicking = true
        bracketsAtPanic = openBrackets
    }

    /// Reads a token that must stand here.
    @discardableResult
    mutating func need(_ kind: TokenKind, _ context: String = "") -> Bool {
        if eat(kind) { return true }
        let what = "`\(kind.spelling ?? "?")`" + (context.isEmpty ? "" : " \(context)")
        fail(
            .expectedToken, "expected \(what), found \(found)",
            label: kind == .leftBrace && context.isEmpty ? "a block is written in braces: `{ … }`" : "")
        return false
    }

    /// Reads the counterpart of an opening bracket.
    mutating func close(_ kind: TokenKind, opening: Token) {
        if at(kind) {
            if kind == .rightBrace { compareMargins(opening, current) }
            return advance()
        }
        let (open, close) = (text(opening), kind.spelling ?? "")
        if at(.endOfFile) {
            // Where braces are missing, the first that closes too much to the left tells which.
            if kind == .rightBrace, let misaligned {
                return fail(
                    .unclosedBracket, "this `\(open)` is never closed", at: span(misaligned.opening),
                    label: "expected `\(close)`",
                    related: [Diagnostic.Label(span(misaligned.closing), "this stands too far left to close it")])
            }
            let hasComment =
                kind != .rightBrace && file.text(file.lineRange(file.line(at: opening.start))).contains("//")
            fail(
                .unclosedBracket, "this `\(open)` is never closed", at: span(opening), label: "expected `\(close)`",
                notes: hasComment ? ["what follows `//` is a comment; `/` of two ints gives an int"] : [])
        } else {
            let place = current.startsLine ? afterPrevious : span(current)
            if at(.for), kind == .rightBracket {
                return fail(
                    .unclosedBracket, "expected `\(close)`, found `for`", label: "write `list.map(fn(x) { … })`",
                    related: [Diagnostic.Label(span(opening), "to close this `\(open)`")])
            }
            let fix = Diagnostic.Fix.insert(close, at: afterPrevious)
            fail(
                .unclosedBracket, "expected `\(close)`, found \(current.startsLine ? "a new line" : found)", at: place,
                related: [Diagnostic.Label(span(opening), "to close this `\(open)`")],
                fixes: [Diagnostic.Fix(fix.title, fix.edits, isSafe: false)])
        }
    }

    /// Remembers the first `}` that begins a line further left than the line of its `{`.
    private mutating func compareMargins(_ opening: Token, _ closing: Token) {
        guard misaligned == nil, closing.startsLine else { return }
        if file.margin(of: closing.start) < file.margin(of: opening.start) { misaligned = (opening, closing) }
    }

    mutating func needName(_ what: String) {
        if eat(.identifier) { return }
        let isWord = current.kind.isKeyword
        fail(
            .expectedName, "expected \(what), found \(isWord ? "the keyword " : "")\(found)",
            label: isWord ? "a keyword cannot be a name" : "")
    }

    /// Whether one more level of nesting is allowed; reports and gives the whole file up if not.
    mutating func enter() -> Bool {
        nesting += 1
        guard nesting <= Self.nestingLimit else {
            nestedTooDeeply()
            return false
        }
        return true
    }

    mutating func leave() { nesting -= 1 }

    private mutating func nestedTooDeeply() {
        guard !hasGivenUp else { return }
        fail(
            .nestedTooDeeply, "this is nested too deeply", at: span(current),
            notes: [
                "at most \(Self.nestingLimit) brackets and blocks, and \(Self.heightLimit) operators in a row",
                "give a part of it a name with `let`, or move it to a function",
            ])
        hasGivenUp = true
        let mark = mark()
        position = tokens.count - 1
        write(.unexpected, mark)
    }

    /// Prepares for a statement and tells where it begins.
    mutating func beginStatement() {
        statementStart = position
        hasConcatenated = false
        habitsReported = []
    }

    /// After a mistake: skips to where the next statement most likely begins.
    ///
    /// That is the line break that ends the statement; inside open brackets, a line that is indented no
    /// further than the statement or begins with a statement's keyword.
    mutating func synchronize() {
        defer { isSilenced = false }
        guard isPanicking else { return }
        isPanicking = false
        let mark = mark()
        let indentation = file.indentation(at: tokens[min(statementStart, position)].start)
        var brackets = bracketsAtPanic
        var nested = 0
        skipping: while !at(.endOfFile) {
            let token = current
            if token.startsLine, position > statementStart {
                let closes = token.kind.isClosing && (nested > 0 || token.kind != .rightBrace)
                if !closes && file.indentation(at: token.start) <= indentation { break skipping }
                if nested == 0, brackets == 0 || token.kind.beginsStatement { break skipping }
            }
            if token.kind.isOpening {
                nested += 1
            } else if token.kind.isClosing {
                if nested > 0 {
                    nested -= 1
                } else if token.kind == .rightBrace {
                    break skipping
                } else if brackets > 0 {
                    brackets -= 1
                }
            } else if token.kind == .semicolon, nested == 0, brackets == 0 {
                break skipping
            }
            advance()
        }
        if position > mark.token { complete(.unexpected, mark) }
        openBrackets = 0
    }

    /// Makes the current token a node of its own, so that the parser gets past it.
    mutating func skipToken() {
        let mark = mark()
        advance()
        complete(.unexpected, mark)
    }

    /// Runs `body` as the content of `(` or `[`, where line breaks do not matter.
    mutating func inBrackets(_ body: (inout Parser) -> Void) {
        openBrackets += 1
        body(&self)
        openBrackets -= 1
    }

    /// Runs `body` as the content of braces, where they do again.
    mutating func inBraces(declaration: Bool, _ body: (inout Parser) -> Void) {
        let saved = (openBrackets, inDeclarationBody, statementStart, isSilenced)
        (openBrackets, inDeclarationBody, isSilenced) = (0, declaration, false)
        body(&self)
        (openBrackets, inDeclarationBody, statementStart, isSilenced) = saved
    }

    /// Ends the silence after a mistake inside something whose end has been found.
    mutating func recovered() {
        isPanicking = false
        isSilenced = false
    }
}

/// Reads a script into its tree.
package func parse(_ file: SourceFile) -> SyntaxTree { Parser.parse(file) }

/// Whether a text can be run as it stands, right or wrong: false if it only ends too early.
package func isComplete(_ source: String) -> Bool { !parse(SourceFile(source, named: "")).isIncomplete }
