// Expressions (README 2.2).

extension Parser {
    mutating func expression() { binary(.disjunction) }

    /// Reads the condition of `if` and `while`, where `=` is a common slip.
    mutating func condition() {
        expression()
        guard at(.assign), !isPanicking else { return }
        report(
            .misplacedAssignment, "an assignment is not a condition", at: span(current), label: "compare with `==`",
            fixes: [.replace(span(current), with: "==")])
        advance()
        expression()
    }

    /// Whether a token can begin an expression.
    func startsExpression(_ token: Token) -> Bool {
        switch token.kind {
        case .identifier, .number, .character, .register, .regex, .bytes, .stringStart, .fn, .if, .match, .on, .asm,
            .try,
            .true, .false, .nil, .leftParenthesis, .leftBracket, .dot, .minus, .tilde, .not:
            true
        case _: false
        }
    }

    /// Reads operands joined by operators that bind at least as tightly as `minimum`.
    private mutating func binary(_ minimum: BinaryOperator.Precedence) {
        guard !isPanicking else { return missing() }
        let mark = mark()
        guard enter() else {
            leave()
            return missing()
        }
        unary()
        var previous: BinaryOperator.Precedence?
        while !isPanicking, !endsLine {
            guard
                let found = foreignOperator(minimum: minimum) ?? BinaryOperator(current.kind)
                    ?? wordOperator(minimum: minimum) ?? concatenation(minimum: minimum)
                    ?? negatedMembership(minimum: minimum),
                found.precedence >= minimum, !isIncrement
            else { break }
            if found.precedence == previous, found.precedence.isNonassociative {
                report(
                    .chainedOperator, "`\(found.rawValue)` does not chain", at: span(current),
                    label: found.precedence == .comparison ? "join two comparisons with `&&`" : "use parentheses")
            }
            previous = found.precedence
            advance()
            binary(found.precedence.tighter)
            complete(.binary, mark)
        }
        leave()
    }

    /// Whether `++` or `--` ends the statement here.
    private var isIncrement: Bool {
        guard at(.plus) || at(.minus), peek(1).kind == current.kind, peek(1).touchesPrevious else { return false }
        let after = peek(2)
        return after.startsLine || after.kind == .semicolon || after.kind == .endOfFile || after.kind.isClosing
    }

    private mutating func unary() {
        guard UnaryOperator(current.kind) != nil else {
            if at(.plus), peek(1).kind == .plus, peek(1).touchesPrevious {
                return fail(
                    .incrementOperator, "there is no operator `++`", at: span(current).through(span(peek(1))),
                    label: "add with `+= 1`")
            }
            if at(.identifier), text(current) == "not", startsExpression(peek(1)), !peek(1).startsLine,
                peek(1).kind != .leftBracket, peek(1).kind != .dot,
                peek(1).kind != .leftParenthesis || !peek(1).touchesPrevious
            {
                let gap = SourceSpan(file, current.start..<peek(1).start)
                reportOnce(
                    .wordOperator, "`not` is not an operator", at: span(current), label: "write `!`",
                    fix: Diagnostic.Fix("replace with `!`", [Diagnostic.Edit(gap, "!")]))
                let mark = mark()
                advance()
                return enclosed(mark) { $0.unary() }
            }
            return postfix()
        }
        let mark = mark()
        advance()
        enclosed(mark) { $0.unary() }
    }

    private mutating func enclosed(_ mark: Mark, _ operand: (inout Parser) -> Void) {
        if enter() { operand(&self) } else { missing() }
        leave()
        complete(.unary, mark)
    }

    mutating func postfix() {
        let mark = mark()
        primary()
        while !isPanicking {
            switch current.kind {
            case .dot:
                if isConcatenation { return }
                advance()
                memberName()
                complete(.member, mark)
            case .leftParenthesis where current.touchesPrevious:
                arguments()
                complete(.call, mark)
            case .leftBracket where current.touchesPrevious:
                let opening = current
                advance()
                inBrackets { $0.indexOrSlice() }
                close(.rightBracket, opening: opening)
                complete(.index, mark)
            case .stringStart where current.touchesPrevious && tokens[position - 1].kind == .identifier:
                prefixedString()
            case _: return
            }
        }
    }

    private mutating func indexOrSlice() {
        if !at(.colon) { expression() }
        guard at(.colon), !isPanicking else { return }
        fail(
            .foreignForm, "there is no `:` in an index", label: "a part is taken by a range: `value[from..<to]`")
    }

    private mutating func memberName() {
        if at(.identifier) || current.kind.isKeyword { return advance() }
        if at(.dot) {
            let dots = span(tokens[position - 1]).through(span(current))
            return fail(
                .expectedName, "expected a member's name after `.`, found `.`", at: dots,
                label: "a range is `...` (with its end) or `..<` (without)")
        }
        fail(.expectedName, "expected a member's name after `.`, found \(found)")
    }

    mutating func arguments() {
        let mark = mark()
        let opening = current
        advance()
        inBrackets { parser in
            while !parser.current.kind.isClosing, !parser.at(.endOfFile), !parser.isPanicking {
                let mark = parser.mark()
                if parser.at(.identifier), parser.peek(1).kind == .colon {
                    parser.advance()
                    parser.advance()
                }
                parser.expression()
                parser.labelWrittenAsAssignment()
                parser.complete(.argument, mark)
                guard parser.separator(opening: opening) else { break }
            }
        }
        close(.rightParenthesis, opening: opening)
        complete(.argumentList, mark)
    }

    /// Reports `name = value` among arguments or entries, and reads the value.
    private mutating func labelWrittenAsAssignment() {
        guard at(.assign), !isPanicking else { return }
        let isName = nodes.last?.kind == .name
        let gap = SourceSpan(file, tokens[position - 1].end..<current.end)
        report(
            .misplacedAssignment, "an assignment is not a value", at: span(current),
            label: isName ? "label with `name: value`" : "",
            fixes: isName ? [Diagnostic.Fix("replace with `:`", [Diagnostic.Edit(gap, ":")])] : [])
        advance()
        expression()
    }

    /// Reads the comma between two items; false at the end of the list.
    private mutating func separator(opening: Token) -> Bool {
        if eat(.comma) { return true }
        if isPanicking || at(.rightParenthesis) || at(.rightBracket) || at(.endOfFile) { return false }
        let isItem = !current.startsLine || file.indentation(at: current.start) > file.margin(of: opening.start)
        guard isItem, startsExpression(current) else { return false }
        if misspeltUnit(Habit.unit) { return false }
        let isArgument = nodes.last?.kind == .argument && nodes.count > 1
        let last = isArgument ? nodes[nodes.count - 2].kind : nodes.last?.kind
        if at(.leftParenthesis) || at(.leftBracket), !current.startsLine, last?.canBeCalled == true {
            detachedCall()
            return false
        }
        let hint = foreignPrefix ?? (at(.not) && current.touchesPrevious ? "leave out the `!`" : nil)
        fail(
            .missingComma, "expected `,` or `\(opening.kind == .leftBracket ? "]" : ")")`, found `\(text(current))`",
            label: hint ?? "", fixes: hint == nil ? [.insert(",", at: afterPrevious)] : [])
        return false
    }

    // MARK: - Primary expressions

    private mutating func primary() {
        let mark = mark()
        switch current.kind {
        case .number: number()
        case .stringStart: string()
        case .character: take(.character, mark)
        case .regex: take(.regex, mark)
        case .bytes: take(.bytes, mark)
        case .true, .false: take(.boolean, mark)
        case .nil: take(.nil, mark)
        case .identifier:
            if text(current) == "lambda", peek(1).kind == .identifier || peek(1).kind == .colon, !peek(1).startsLine {
                fail(.foreignForm, "there is no `lambda`", label: "a function is written `fn(x) { … }`")
            }
            take(.name, mark)
        case .register: take(.register, mark)
        case .dot:
            advance()
            if at(.number) {
                let number = SourceSpan(file, tokens[position - 1].start..<current.end)
                fail(
                    .malformedNumber, "a number begins with a digit", at: number,
                    fixes: [.insert("0", at: number)])
            } else {
                needName("a symbol's name after `.`")
            }
            complete(.symbol, mark)
        case .leftParenthesis:
            let opening = current
            advance()
            inBrackets { $0.expression() }
            close(.rightParenthesis, opening: opening)
            complete(.parenthesized, mark)
        case .leftBracket: collection()
        case .fn:
            advance()
            parameters()
            block()
            complete(.function, mark)
        case .if: conditional()
        case .match: match()
        case .try: tryCatch()
        case .on: handler()
        case .asm: assembly()
        case _:
            noExpression()
            missing()
        }
    }

    private mutating func take(_ kind: SyntaxKind, _ mark: Mark) {
        advance()
        complete(kind, mark)
    }

    private mutating func noExpression() {
        let message = "expected an expression, found \(found)"
        if position == statementStart, current.startsLine, BinaryOperator(current.kind) != nil || at(.plus) {
            return fail(
                .expectedExpression, "a statement cannot begin with `\(text(current))`", at: span(current),
                label: "to go on with the line before, put it at that line's end")
        }
        if at(.star), position > 0, tokens[position - 1].kind == .star, current.touchesPrevious {
            return fail(
                .foreignForm, "there is no operator `**`", at: span(tokens[position - 1]).through(span(current)),
                label: "powers of 2 are `1 << n`; the module `math` has `pow`")
        }
        if at(.greater), position > 0, tokens[position - 1].kind == .minus, current.touchesPrevious {
            let arrow = span(tokens[position - 1]).through(span(current))
            return fail(
                .foreignForm, "there is no operator `->`", at: arrow, label: "a member is named after `.`",
                fixes: [.replace(arrow, with: ".")])
        }
        let previous = position > 0 ? BinaryOperator(tokens[position - 1].kind) : nil
        if at(.assign), let previous, current.touchesPrevious {
            return fail(
                .foreignForm, "there is no operator `\(previous.rawValue)=`",
                at: span(tokens[position - 1]).through(span(current)), label: "write `a = a \(previous.rawValue) b`")
        }
        if at(.closedRange), position > 0,
            tokens[position - 1].kind == .leftBracket || tokens[position - 1].kind == .comma,
            peek(1).kind == .identifier
        {
            return fail(.expectedExpression, message, label: "lists are joined with `+`; a range has two ends")
        }
        if BinaryOperator(current.kind)?.precedence == .range || previous?.precedence == .range, openBrackets > 0 {
            return fail(
                .expectedExpression, message, label: "a range has two ends, as in `0..<n` and `n..<value.count`")
        }
        switch current.kind {
        case .ampersand,
            .star where at(.ampersand) || peek(1).kind == .identifier && peek(1).touchesPrevious:
            fail(.expectedExpression, message, label: "there are no pointers; lists, maps and objects are references")
        case .leftBrace
        where expectsValue && (peek(2).kind == .colon || peek(1).kind == .rightBrace || peek(1).kind == .stringStart):
            fail(
                .bracesForCollection, "a map is written in brackets", label: "as in `[name: value]`, or `[:]` if empty")
        case .leftBrace where expectsValue && peek(2).kind == .comma:
            fail(.bracesForCollection, "a list is written in brackets", label: "as in `[1, 2, 3]`")
        case .rightParenthesis, .rightBracket:
            if openBrackets > 0 { return fail(.expectedExpression, message) }
            fail(.unmatchedBracket, "this `\(text(current))` closes nothing")
        case _:
            let isWord = current.kind.isKeyword && !endsLine
            let isBinding = position > 0 && tokens[position - 1].kind == .if && (at(.let) || at(.var))
            fail(
                .expectedExpression, isWord ? "expected an expression, found the keyword `\(text(current))`" : message,
                label: isBinding ? "write `let a = …` before, and `if a != nil { … }`" : "")
        }
    }

    /// Whether what precedes needs a value after it.
    private var expectsValue: Bool {
        let kind = position > 0 ? tokens[position - 1].kind : .endOfFile
        return AssignmentOperator(kind) != nil || kind == .comma || kind == .colon || kind == .return || kind.isOpening
    }

    mutating func number() {
        let mark = mark()
        advance()
        eat(.unit)
        complete(.number, mark)
    }

    private mutating func conditional() {
        let mark = mark()
        advance()
        condition()
        block()
        if !isPanicking, at(.identifier), Habit.elseIfWords.contains(text(current)) {
            report(
                .strayKeyword, "`\(text(current))` is written `else if`", at: span(current),
                fixes: [.replace(span(current), with: "else if")])
            conditionalAfterElse()
        } else if !isPanicking, eat(.else) {
            if at(.if) { conditionalAfterElse() } else { block() }
        }
        complete(.conditional, mark)
    }

    private mutating func conditionalAfterElse() {
        if enter() { conditional() } else { missing() }
        leave()
    }

    private mutating func tryCatch() {
        let mark = mark()
        advance()
        foreignTry()
        block()
        if !isPanicking {
            if eat(.catch) {
                eat(.identifier)
                block()
            } else {
                fail(
                    .tryWithoutCatch, "`try` needs a `catch`", at: afterPrevious, label: "as in `catch error { nil }`")
            }
        }
        complete(.tryCatch, mark)
    }

    private mutating func handler() {
        let mark = mark()
        advance()
        postfix()
        if !isPanicking, eat(.if) { condition() }
        block()
        complete(.handler, mark)
    }

    private mutating func match() {
        let mark = mark()
        advance()
        expression()
        let opening = current
        if !isPanicking, need(.leftBrace, "and the arms") {
            if enter() {
                inBraces(declaration: false) { $0.arms() }
                close(.rightBrace, opening: opening)
            }
            leave()
        }
        complete(.match, mark)
    }

    private mutating func arms() {
        // An arm without `case` is reported, the next ones are the same habit.
        let saved = hasToldOfCase
        hasToldOfCase = false
        defer { hasToldOfCase = saved }
        while !at(.rightBrace), !at(.endOfFile) {
            if eat(.semicolon) { continue }
            let start = position
            beginStatement()
            arm()
            if !isPanicking, !at(.endOfFile), !at(.rightBrace), !current.startsLine, !eat(.semicolon) {
                let isComma = at(.comma) && peek(1).startsLine
                if isComma, hasToldOfCase {
                    skipToken()
                } else {
                    fail(
                        .expectedStatementEnd, "expected a new line or `;` before \(found)",
                        label: isComma ? "an arm ends with its line" : "",
                        fixes: isComma ? [Diagnostic.Fix("remove it", [Diagnostic.Edit(span(current), "")])] : [])
                }
            }
            synchronize()
            if position == start { skipToken() }
        }
    }

    private mutating func arm() {
        let mark = mark()
        if !eat(.else) {
            if !eat(.case) {
                guard startsExpression(current) else {
                    fail(.missingCase, "expected `case` or `else`, found \(found)", at: span(current))
                    return complete(.matchArm, mark)
                }
                let isDefault = text(current) == "default" || text(current) == "_"
                if !hasToldOfCase {
                    report(
                        .missingCase, "expected `case` or `else`, found `\(text(current))`", at: span(current),
                        fixes: [isDefault ? .replace(span(current), with: "else") : .insert("case ", at: span(current))]
                    )
                }
                hasToldOfCase = true
            }
            binary(.coalescing)
            while eat(.comma) { binary(.coalescing) }
            if !isPanicking, eat(.if) { expression() }
        }
        if !isPanicking, at(.colon) {
            report(
                .expectedToken, "expected `=>`, found `:`", at: span(current),
                fixes: [.replace(span(current), with: " =>")])
            advance()
        } else if !isPanicking {
            need(.arrow)
        }
        if at(.leftBrace) { block() } else if !isPanicking { statement() }
        complete(.matchArm, mark)
    }

    // MARK: - Collections

    private mutating func collection() {
        let mark = mark()
        let opening = current
        advance()
        var isMap: Bool?
        inBrackets { parser in
            if parser.at(.colon), parser.peek(1).kind == .rightBracket {
                parser.advance()
                isMap = true
                return
            }
            while !parser.current.kind.isClosing, !parser.at(.endOfFile), !parser.isPanicking {
                let isPair = parser.item()
                if let isMap, isMap != isPair {
                    parser.report(
                        .mixedCollection, "a collection cannot mix items and `key: value` pairs", at: parser.lastSpan,
                        label: isPair ? "this is a pair" : "this has no key")
                }
                isMap = isMap ?? isPair
                guard parser.separator(opening: opening) else { break }
            }
        }
        close(.rightBracket, opening: opening)
        complete(isMap == true ? .map : .list, mark)
    }

    /// Reads an item or a `key: value` pair, and tells whether it was a pair.
    private mutating func item() -> Bool {
        let mark = mark()
        if (at(.identifier) || current.kind.isKeyword) && peek(1).kind == .colon {
            advance()
        } else {
            expression()
        }
        if isPanicking { return false }
        if at(.assign) {
            labelWrittenAsAssignment()
        } else if eat(.colon) {
            expression()
        } else {
            return false
        }
        complete(.mapEntry, mark)
        return true
    }

    // MARK: - Strings and assembly

    mutating func string() {
        let mark = mark()
        let opening = current
        advance()
        let pieces = parts(.stringText)
        let closing = at(.stringEnd) ? current.range : current.start..<current.start
        eat(.stringEnd)
        complete(.string, mark)
        guard !isPanicking, !isSilenced else { return }
        let content = StringContent(
            file, pieces: pieces, isMultiline: opening.range.count == 3, quotes: (opening.range, closing))
        for problem in content.problems {
            let span = SourceSpan(file, problem.range)
            let fix = problem.replacement.map { Diagnostic.Fix.replace(span, with: $0) }
            report(problem.code, problem.message, at: span, label: problem.label, fixes: fix.map { [$0] } ?? [])
        }
    }

    /// Reads raw text and interpolations; the latter are nil in the result.
    @discardableResult
    private mutating func parts(_ raw: TokenKind) -> [StringContent.Piece] {
        var pieces: [StringContent.Piece] = []
        while true {
            if at(raw) {
                pieces.append(current.range)
                advance()
            } else if at(.interpolationStart) {
                pieces.append(nil)
                interpolation()
            } else {
                return pieces
            }
        }
    }

    private mutating func interpolation() {
        let mark = mark()
        let opening = current
        advance()
        let saved = (openBrackets, isInBrokenInterpolation)
        // The lexer has ended a broken one with its line, so the parser does not look for its end further down.
        if opening.flags.contains(.reported) { isInBrokenInterpolation = true }
        openBrackets = isInBrokenInterpolation ? 0 : openBrackets + 1
        expression()
        if at(.colon), !isPanicking {
            advance()
            eat(.formatSpecification)
        }
        if !isPanicking, !at(.interpolationEnd) {
            if at(.endOfFile) || at(.stringText) || at(.stringEnd) {
                fail(
                    .unterminatedInterpolation, "this interpolation is never closed", at: span(opening),
                    label: "expected `)`")
            } else {
                fail(
                    .unterminatedInterpolation, "expected `)` to close the interpolation, found \(found)",
                    related: [Diagnostic.Label(span(opening), "to close this")])
            }
        }
        if isPanicking { skipToInterpolationEnd() }
        eat(.interpolationEnd)
        (openBrackets, isInBrokenInterpolation) = saved
        complete(.interpolation, mark)
    }

    /// After a mistake inside an interpolation: skips the rest of it, so that the string is read on.
    private mutating func skipToInterpolationEnd() {
        let mark = mark()
        var nested = 0
        while !at(.endOfFile), !(current.startsLine && (current.kind.beginsStatement || isInBrokenInterpolation)) {
            if at(.interpolationStart) { nested += 1 }
            if at(.interpolationEnd) {
                if nested == 0 { break }
                nested -= 1
            }
            advance()
        }
        if position > mark.token { complete(.unexpected, mark) }
        if at(.interpolationEnd) { recovered() }
    }

    private mutating func assembly() {
        let mark = mark()
        advance()
        if at(.leftParenthesis) { arguments() }
        if !isPanicking, need(.leftBrace, "and the instructions") {
            parts(.assemblyText)
            eat(.rightBrace)
        }
        complete(.assembly, mark)
    }
}
