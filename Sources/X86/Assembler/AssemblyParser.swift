/// Turns tokens into statements.
///
/// Statements that cannot be parsed are skipped to their end; every mistake is kept.
struct AssemblyParser {
    var tokens: [AssemblyToken]
    var position = 0
    var mode: CodeMode
    /// True after `default rel`.
    var isRelativeByDefault = false
    /// The last label that does not begin with a point; local labels belong to it.
    var scope = ""
    var symbols = AssemblySymbols()
    private(set) var statements: [AssemblyStatement] = []
    private(set) var mistakes: [SourceMistake]
    /// Nesting of parentheses and unary operators.
    var depth = 0

    init(_ bytes: [UInt8], mode: CodeMode, externalSymbols: [String: UInt64]) {
        let lexer = AssemblyLexer(bytes)
        tokens = lexer.tokens
        mistakes = lexer.mistakes
        self.mode = mode
        for (name, address) in externalSymbols.sorted(by: { $0.key < $1.key }) {
            // The list is empty before, so that nothing can be defined twice.
            _ = try? symbols.define(
                name, as: .external(Int64(bitPattern: address)), at: 0..<0, statement: -1)
        }
        parse()
    }

    // MARK: - Tokens

    var current: AssemblyToken { tokens[position] }

    /// The token after the current one; the last token stands for everything beyond the end.
    var next: AssemblyToken { tokens[min(position + 1, tokens.count - 1)] }

    var isAtEnd: Bool { current.kind == .endOfLine || current.kind == .semicolon }

    mutating func advance() { position = min(position + 1, tokens.count - 1) }

    /// Takes the symbol if it comes next.
    mutating func take(_ symbol: AssemblySymbol) -> Bool {
        guard current.kind == .symbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: AssemblySymbol, _ context: String) throws(SourceMistake) {
        guard !take(symbol) else { return }
        throw SourceMistake(current.range, "`\(symbol.rawValue)` expected \(context)")
    }

    /// The lower-case spelling of the current token if it is a name.
    var word: String? {
        if case .name(let name) = current.kind { return name.lowercased() }
        return nil
    }

    /// The end of the token before the current one.
    var previousEnd: Int { position > 0 ? tokens[position - 1].range.upperBound : 0 }

    // MARK: - Statements

    private mutating func parse() {
        var followsSemicolon = false
        while true {
            switch current.kind {
            case .endOfLine:
                if position == tokens.count - 1 { return }
                followsSemicolon = false
                advance()
            case .semicolon:
                followsSemicolon = true
                advance()
            case .name, .number, .float, .string, .symbol, .invalid:
                let start = position
                do throws(SourceMistake) {
                    try parseStatement()
                } catch {
                    recover(from: error, start: start, followsSemicolon: followsSemicolon)
                }
            }
        }
    }

    private mutating func recover(from mistake: SourceMistake, start: Int, followsSemicolon: Bool) {
        var mistake = mistake
        depth = 0
        if followsSemicolon {
            mistake.hint = "comments begin with `//`; a semicolon separates instructions"
            // No instruction begins with two names that are none.
            let following = tokens[start..<min(start + 2, tokens.count)]
            let areNames = following.allSatisfy { if case .name = $0.kind { true } else { false } }
            mistake.isProse = areNames && mistake.range == tokens[start].range
            // What follows is prose: the rest of the line would only repeat the mistake.
            while current.kind != .endOfLine { advance() }
        } else {
            while !isAtEnd { advance() }
        }
        // What the lexer could not split is reported already
        if tokens[start..<position].contains(where: { $0.kind == .invalid }) { return }
        mistakes.append(mistake)
        if mistakes.count >= SourceMistake.most { position = tokens.count - 1 }
    }

    private mutating func add(_ kind: AssemblyStatement.Kind, count: AssemblyExpression? = nil, from start: Int) {
        statements.append(
            AssemblyStatement(kind: kind, count: count, range: start..<max(start, previousEnd), mode: mode))
    }

    private mutating func parseStatement() throws(SourceMistake) {
        if current.kind == .symbol(.leftBracket) { return try parseBracketedDirective() }
        if current.kind == .symbol(.remainder) {
            throw SourceMistake(current.range, "there is no preprocessor: `%` begins no statement")
        }
        while try parseLabel() {}
        guard !isAtEnd else { return }
        let start = current.range.lowerBound
        var count: AssemblyExpression?
        if word == "times" {
            advance()
            count = try parseExpression()
            if word == "times" { throw SourceMistake(current.range, "`times` cannot be repeated") }
            guard !isAtEnd else { throw SourceMistake(current.range, "instruction or data expected after `times`") }
        }
        let kind = try parseStatementKind(isCounted: count != nil)
        guard isAtEnd else {
            throw SourceMistake(current.range, "end of the line expected", hint: hintForTrailingToken)
        }
        if let kind { add(kind, count: count, from: start) }
    }

    private var hintForTrailingToken: String? {
        if case .name = current.kind { return "operands are separated by `,`, comments begin with `//`" }
        return nil
    }

    /// Parses a label, and `equ` with its value; false if there is none.
    private mutating func parseLabel() throws(SourceMistake) -> Bool {
        guard case .name(let name) = current.kind else { return false }
        let range = current.range
        let hasColon = next.kind == .symbol(.colon)
        if case .name(let following) = next.kind, !hasColon {
            // NASM lets the colon of a label be left out.
            let following = following.lowercased()
            let isConstant = following == "equ"
            guard isConstant || (!Self.beginsStatement(name.lowercased()) && Self.beginsStatement(following)) else {
                return false
            }
        } else if !hasColon {
            return false
        }
        let lower = name.lowercased()
        if RegisterNames.register(named: lower) != nil || OperandKeyword(rawValue: lower) != nil {
            // `es:` before brackets belongs to an operand and never begins a statement.
            throw SourceMistake(range, "`\(name)` is a reserved word and cannot be a label")
        }
        advance()
        if hasColon { advance() }
        let fullName = qualified(name)
        if word == "equ" {
            advance()
            let index = try symbols.define(fullName, as: .constant, at: range, statement: statements.count)
            // The name is known even if its value has a mistake, which is reported once
            let expression = try parseExpression()
            add(.constant(index, expression), from: range.lowerBound)
            guard isAtEnd else { throw SourceMistake(current.range, "end of the line expected") }
            return false
        }
        let index = try symbols.define(fullName, as: .label, at: range, statement: statements.count)
        if !Self.isLocal(name) { scope = fullName }
        add(.label(index), from: range.lowerBound)
        return true
    }

    static func isLocal(_ name: String) -> Bool { name.hasPrefix(".") && !name.hasPrefix("..") }

    /// The full name of a symbol: a local label is known by the label it belongs to.
    func qualified(_ name: String) -> String {
        if name.hasPrefix("$") { return String(name.dropFirst()) }
        return Self.isLocal(name) ? scope + name : name
    }

    /// True if a word can begin a statement that is not a label.
    private static func beginsStatement(_ word: String) -> Bool {
        Mnemonics.mnemonic(named: word) != nil || AssemblyDirective(rawValue: word) != nil
            || AssemblyPrefix(rawValue: word) != nil
    }

    private mutating func parseStatementKind(isCounted: Bool) throws(SourceMistake) -> AssemblyStatement.Kind? {
        guard let word else { throw SourceMistake(current.range, "instruction or label expected") }
        if let directive = AssemblyDirective(rawValue: word) {
            let range = current.range
            advance()
            return try parseDirective(directive, at: range, isCounted: isCounted)
        }
        return .instruction(try parseInstruction())
    }

    // MARK: - Directives

    /// Parses `[bits 16]`, the form of a directive that older NASM sources use.
    private mutating func parseBracketedDirective() throws(SourceMistake) {
        advance()
        guard let word, let directive = AssemblyDirective(rawValue: word) else {
            throw SourceMistake(current.range, "instruction or label expected")
        }
        let range = current.range
        advance()
        let kind = try parseDirective(directive, at: range, isCounted: false)
        try expect(.rightBracket, "after the directive")
        guard isAtEnd else { throw SourceMistake(current.range, "end of the line expected") }
        if let kind { add(kind, from: range.lowerBound) }
    }

    private mutating func parseDirective(
        _ directive: AssemblyDirective, at range: Range<Int>, isCounted: Bool
    ) throws(SourceMistake) -> AssemblyStatement.Kind? {
        if isCounted && !directive.canBeCounted {
            throw SourceMistake(range, "`times` cannot repeat `\(directive.rawValue)`")
        }
        if let refusal = directive.refusal {
            throw SourceMistake(range, refusal.message, hint: refusal.hint)
        }
        switch directive {
        case .db, .dw, .dd, .dq, .dt:
            return .data(unit: directive.unit, items: try parseDataItems())
        case .resb, .resw, .resd, .resq, .rest:
            return .reserve(unit: directive.unit, count: try parseExpression())
        case .align, .alignb:
            let boundary = try parseExpression()
            let fill = take(.comma) ? try parseStatementKind(isCounted: true) : nil
            let usual: AssemblyDataItem = .expression(.number(directive == .align ? 0x90 : 0, at: range))
            return .align(boundary, fill: fill ?? .data(unit: 1, items: [usual]))
        case .bits: mode = try parseBits()
        case .use16: mode = .bits16
        case .use32: mode = .bits32
        case .use64: mode = .bits64
        case .org: return .origin(try parseExpression())
        case .default:
            guard word == "rel" || word == "abs" else {
                throw SourceMistake(current.range, "`rel` or `abs` expected after `default`")
            }
            isRelativeByDefault = word == "rel"
            advance()
        case .equ:
            throw SourceMistake(range, "`equ` needs a name before it", hint: "name equ value")
        case .times:
            throw SourceMistake(range, "`times` cannot be repeated")
        case .section, .segment, .global, .static, .extern, .required, .common, .absolute, .incbin, .cpu, .dup, .do,
            .dy,
            .dz, .float, .struc, .istruc:
            break  // refused above
        }
        return nil
    }

    private mutating func parseBits() throws(SourceMistake) -> CodeMode {
        defer { advance() }
        switch current.kind {
        case .number(16): return .bits16
        case .number(32): return .bits32
        case .number(64): return .bits64
        case .number, .name, .float, .string, .symbol, .invalid, .endOfLine, .semicolon:
            throw SourceMistake(current.range, "16, 32 or 64 expected after `bits`")
        }
    }

    private mutating func parseDataItems() throws(SourceMistake) -> [AssemblyDataItem] {
        guard !isAtEnd else { throw SourceMistake(current.range, "data expected") }
        var items: [AssemblyDataItem] = []
        repeat {
            items.append(try parseDataItem())
        } while take(.comma)
        return items
    }

    private mutating func parseDataItem() throws(SourceMistake) -> AssemblyDataItem {
        let start = current.range.lowerBound
        switch (current.kind, next.kind) {
        case (.string(let bytes), .symbol(.comma)), (.string(let bytes), .endOfLine), (.string(let bytes), .semicolon):
            advance()
            return .string(bytes)
        case (.float(let spelling), _):
            advance()
            return .float(spelling, start..<previousEnd)
        case (.symbol(let sign), .float(let spelling)) where sign == .minus || sign == .plus:
            advance()
            advance()
            return .float(sign.rawValue + spelling, start..<previousEnd)
        case (.symbol(.question), _):
            advance()
            return .uninitialized
        default:
            return .expression(try parseExpression())
        }
    }

    // MARK: - Instructions

    private mutating func parseInstruction() throws(SourceMistake) -> AssemblyInstruction {
        var prefixes = RequestedPrefixes()
        let start = current.range.lowerBound
        while let word, let prefix = AssemblyPrefix(rawValue: word) {
            // WAIT alone is an instruction; before another one it is a prefix.
            if prefix == .wait, next.kind == .endOfLine || next.kind == .semicolon { break }
            try apply(prefix, to: &prefixes)
            advance()
        }
        guard let word else {
            guard isAtEnd else { throw SourceMistake(current.range, "instruction expected") }
            return AssemblyInstruction(
                mnemonic: nil, mnemonicRange: start..<previousEnd, prefixes: prefixes, operands: [])
        }
        let range = current.range
        guard let mnemonic = Mnemonics.mnemonic(named: word) else { throw unknownInstruction(word, at: range) }
        advance()
        var operands: [AssemblyOperand] = []
        if !isAtEnd {
            repeat {
                operands.append(try parseOperand())
            } while take(.comma)
        }
        return AssemblyInstruction(
            mnemonic: mnemonic, mnemonicRange: range, prefixes: prefixes, operands: operands)
    }

    private func unknownInstruction(_ word: String, at range: Range<Int>) -> SourceMistake {
        let isAlone = next.kind == .endOfLine || next.kind == .semicolon
        // A word alone is rather a label without its colon
        if mistakes.count < Suggestions.mistakesWithSuggestion,
            let near = Suggestions.nearest(to: word, in: Mnemonics.allWords, atMost: isAlone ? 1 : 2)
        {
            return SourceMistake(
                range, "unknown instruction `\(word)`", hint: "did you mean `\(near)`?", replacement: near)
        }
        return SourceMistake(
            range, "unknown instruction `\(word)`", hint: isAlone ? "a label ends with `:`" : nil)
    }

    private func apply(_ prefix: AssemblyPrefix, to prefixes: inout RequestedPrefixes) throws(SourceMistake) {
        let twice = SourceMistake(current.range, "`\(prefix.rawValue)` cannot be combined with another such prefix")
        switch prefix {
        case .lock:
            if prefixes.isLocked { throw twice }
            prefixes.isLocked = true
        case .rep, .repe, .repz, .repne, .repnz:
            if prefixes.repetition != nil { throw twice }
            prefixes.repetition = prefix == .repne || prefix == .repnz ? .whileNotEqual : .whileEqual
        case .o16, .o32, .o64:
            if prefixes.operandSize != nil { throw twice }
            prefixes.operandSize = prefix == .o16 ? 16 : prefix == .o32 ? 32 : 64
        case .a16, .a32, .a64:
            if prefixes.addressSize != nil { throw twice }
            prefixes.addressSize = prefix.addressSize
        case .es, .cs, .ss, .ds, .fs, .gs:
            if prefixes.segment != .none { throw twice }
            prefixes.segment = RegisterNames.register(named: prefix.rawValue) ?? .none
        case .wait:
            if prefixes.waits { throw twice }
            prefixes.waits = true
        }
    }
}
