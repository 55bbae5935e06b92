// Statements, declarations and blocks (README 2.2).

extension Parser {
    mutating func program() {
        let mark = mark()
        while !at(.endOfFile) {
            statements()
            if at(.rightBrace) {
                report(.unmatchedBracket, "this `}` closes nothing", at: span(current))
                skipToken()
                recovered()
            }
        }
        // The last token carries the trivia at the end of the file.
        position = tokens.count
        write(.program, mark)
        position = tokens.count - 1
    }

    /// Reads statements up to a `}` or the end of the file.
    private mutating func statements() {
        while !at(.rightBrace), !at(.endOfFile) {
            if eat(.semicolon) { continue }
            let start = position
            beginStatement()
            let kind = statement()
            endStatement(kind, from: start)
            synchronize()
            if position == start { skipToken() }
        }
    }

    private mutating func endStatement(_ kind: SyntaxKind, from start: Int) {
        if isPanicking || at(.endOfFile) || at(.rightBrace) || current.startsLine || eat(.semicolon) { return }
        unexpectedAfterStatement(kind, from: start)
    }

    /// Reads `{ … }`; its statements are properties too if it is a declaration's.
    mutating func block(declaration: Bool = false) {
        let mark = mark()
        guard !isPanicking else { return complete(.block, mark) }
        let opening = current
        guard need(.leftBrace) else { return complete(.block, mark) }
        if enter() {
            inBraces(declaration: declaration) { $0.statements() }
            close(.rightBrace, opening: opening)
        }
        leave()
        complete(.block, mark)
    }

    // MARK: - Statements

    /// Reads one statement and tells what it was.
    @discardableResult
    mutating func statement() -> SyntaxKind {
        let mark = mark()
        let kind = statementBody(mark)
        complete(kind, mark)
        return kind
    }

    private mutating func statementBody(_ mark: Mark) -> SyntaxKind {
        switch current.kind {
        case .let, .var: return binding()
        case .fn where peek(1).kind == .identifier:
            advance()
            function()
            return .functionStatement
        case .return:
            advance()
            if !current.startsLine, !at(.endOfFile), !at(.rightBrace), !at(.semicolon) { expression() }
            return .returnStatement
        case .throw:
            advance()
            expression()
            return .throwStatement
        case .break, .continue:
            let kind: SyntaxKind = at(.break) ? .breakStatement : .continueStatement
            advance()
            return kind
        case .expect:
            advance()
            expression()
            if eat(.comma) { expression() }
            return .expectStatement
        case .for: return forLoop()
        case .while:
            advance()
            condition()
            block()
            return .whileStatement
        case .import: return importStatement()
        case .else, .case, .catch:
            let owner = at(.case) ? "`match`" : at(.else) ? "`if` or `match`" : "`try`"
            fail(.strayKeyword, "`\(text(current))` without its \(owner)", at: span(current))
            return .unexpected
        case .identifier: return wordStatement(mark)
        case _: return expressionStatement()
        }
    }

    private mutating func binding() -> SyntaxKind {
        let keyword = current
        advance()
        if at(.identifier), text(current) == "mut", peek(1).kind == .identifier {
            report(
                .foreignDeclaration, "a variable that changes is declared with `var`",
                at: span(keyword).through(span(current)),
                fixes: [.replace(span(keyword).through(span(current)), with: "var")])
            skipToken()
        }
        needName("a name after `\(text(keyword))`")
        if !isPanicking, at(.colon) {
            fail(
                .expectedToken, "expected `=`, found `:`",
                label: inDeclarationBody || peek(1).kind != .identifier ? "" : "variables have no declared type")
        }
        if !isPanicking { need(.assign, "and a value") }
        expression()
        return .bindingStatement
    }

    /// Reads name, parameters and body of a function after `fn`.
    private mutating func function() {
        advance()
        parameters()
        declaredResult()
        block()
    }

    mutating func parameters() {
        let mark = mark()
        let opening = current
        guard need(.leftParenthesis, "and the parameters") else { return complete(.parameterList, mark) }
        inBrackets { parser in
            while !parser.current.kind.isClosing, !parser.at(.endOfFile), !parser.isPanicking {
                let mark = parser.mark()
                parser.needName("a parameter's name")
                if parser.at(.colon), !parser.isPanicking {
                    parser.fail(
                        .expectedToken, "expected `,` or `)`, found `:`",
                        label: "parameters have no declared type; a default is written `name = value`")
                }
                if parser.eat(.assign) { parser.expression() }
                parser.complete(.parameter, mark)
                guard parser.eat(.comma) else { break }
            }
        }
        close(.rightParenthesis, opening: opening)
        complete(.parameterList, mark)
    }

    private mutating func forLoop() -> SyntaxKind {
        advance()
        if at(.leftParenthesis) {
            fail(
                .expectedName, "expected a name after `for`, found `(`",
                notes: ["loops run over ranges and collections: `for i in 0..<10 { }`"])
        }
        needName("a name after `for`")
        if eat(.comma) { needName("a second name") }
        if at(.assign), !isPanicking {
            fail(
                .expectedToken, "expected `in` and what to loop over, found `=`",
                label: "loops run over ranges and collections: `in 1...10`")
        } else if !isPanicking {
            need(.in, "and what to loop over")
        }
        expression()
        block()
        return .forStatement
    }

    private mutating func importStatement() -> SyntaxKind {
        advance()
        if at(.stringStart) {
            string()
            guard !isPanicking else { return .importStatement }
            guard eat(.as) else {
                fail(.importWithoutName, "expected `as` and a name for the module", at: afterPrevious)
                return .importStatement
            }
            needName("a name after `as`")
            return .importStatement
        }
        needName("a module's name or path")
        while eat(.dot) { needName("a module's name after `.`") }
        if eat(.as) { needName("a name after `as`") }
        return .importStatement
    }

    /// Reads a statement that begins with a name: property, declaration or expression.
    private mutating func wordStatement(_ mark: Mark) -> SyntaxKind {
        let next = peek(1)
        if foreignClause() { return .unexpected }
        if next.kind == .colon { return property() }
        guard !next.startsLine else { return expressionStatement() }
        switch next.kind {
        case .star where Habit.variableWords[text(current)] != nil && peek(2).kind == .identifier:
            fail(
                .foreignDeclaration, "a variable is declared with `let` or `var`", at: span(current),
                label: "there are no pointers; lists, maps and objects are references")
            return .unexpected
        case .leftBrace where text(current) == "do":
            fail(
                .foreignForm, "there is no `do`", at: span(current),
                label: "loops are `while condition { … }`, errors are caught by `try { … } catch error { … }`")
            return .unexpected
        case .identifier
        where Habit.operatorWords[text(next)] != nil && startsExpression(peek(2)) && peek(2).kind != .on:
            return expressionStatement()
        case .identifier where foreignDeclaration():
            if isPanicking { return .unexpected }
            skipToken()
            function()
            return .functionStatement
        case .identifier, .number, .stringStart, .leftBrace: return declaration()
        case _: return expressionStatement()
        }
    }

    private mutating func property() -> SyntaxKind {
        let name = current
        let colon = peek(1)
        if peek(2).kind == .assign, peek(2).touchesPrevious {
            report(
                .misplacedProperty, "there is no operator `:=`", at: span(colon).through(span(peek(2))),
                label: "declare with `let \(text(name)) =`",
                fixes: [
                    Diagnostic.Fix(
                        "declare it with `let`",
                        [
                            Diagnostic.Edit(span(name).before, "let "),
                            Diagnostic.Edit(span(colon).through(span(peek(2))), "="),
                        ])
                ])
            advance()
        } else if !inDeclarationBody, colon.touchesPrevious, peek(2).touchesPrevious, peek(2).kind == .identifier,
            peek(3).kind == .leftParenthesis, peek(3).touchesPrevious
        {
            report(
                .misplacedProperty, "a member is named after `.`, not after `:`", at: span(colon),
                label: "write `\(text(name)).\(text(peek(2)))(…)`", fixes: [.replace(span(colon), with: ".")])
        } else if !inDeclarationBody {
            report(
                .misplacedProperty, "a `name: value` property belongs in a declaration's body",
                at: span(name).through(span(colon)),
                label: "use `=` to assign",
                fixes: [Diagnostic.Fix("assign with `=`", [Diagnostic.Edit(span(colon), " =")])])
        }
        advance()
        advance()
        expression()
        return .property
    }

    private mutating func declaration() -> SyntaxKind {
        let (word, reports) = (current, diagnostics.count)
        advance()
        if !at(.leftBrace) {
            let mark = mark()
            switch current.kind {
            case .stringStart: string()
            case .number: number()
            case _: advance()
            }
            complete(.declarationLabel, mark)
        }
        if at(.on), !current.startsLine, !isPanicking {
            advance()
            postfix()
        }
        if at(.leftBrace) {
            // No statement begins with a brace.
            if current.startsLine, !isPanicking {
                let gap = SourceSpan(file, tokens[position - 1].end..<current.start)
                report(
                    .expectedToken, "the `{` of a declaration stands on its line", at: span(current),
                    fixes: gap.text.trimmed.isEmpty
                        ? [Diagnostic.Fix("move it there", [Diagnostic.Edit(gap, " ")])] : [])
            }
            block(declaration: true)
            foreignType(word, reportsBefore: reports)
        }
        return .declaration
    }

    private mutating func expressionStatement() -> SyntaxKind {
        let start = mark()
        expression()
        if incrementOperator(operand: start) { return .expressionStatement }
        guard !isPanicking, !endsLine, AssignmentOperator(current.kind) != nil else { return .expressionStatement }
        if !lastIsAssignable {
            report(
                .notAssignable, "this cannot be assigned to", at: lastSpan,
                notes: ["a name, a register, a member (`a.b`) and an element (`a[i]`) can"])
        }
        advance()
        expression()
        if at(.assign), !endsLine {
            fail(.misplacedAssignment, "an assignment is not a value", label: "one `=` for each statement")
        }
        return .assignment
    }
}
