// How each kind of node is laid out.

extension ScriptFormatter {
    /// Writes a node; the gap is what stands before its first token.
    mutating func write(_ node: SyntaxNode, after gap: Gap) {
        switch node.kind {
        case .string: string(node, after: gap)
        case .assembly: assembly(node, after: gap)
        case .list, .map, .argumentList, .parameterList: bracketed(node.elements[...], after: gap, isGrouping: false)
        case .parenthesized: bracketed(node.elements[...], after: gap, isGrouping: true)
        case .index:
            let elements = node.elements
            for element in elements.prefix(1) { write(element, after: gap) }
            bracketed(elements.dropFirst(), after: within(spaced: false), isGrouping: true)
        case .match: match(node, after: gap)
        case .block: block(node, owner: node, after: gap)
        case .conditional, .whileStatement, .forStatement, .handler: header(node, after: gap)
        case .program, .unexpected, .bindingStatement, .functionStatement, .returnStatement, .throwStatement,
            .breakStatement, .continueStatement, .expectStatement, .importStatement, .property, .declaration,
            .declarationLabel, .assignment, .expressionStatement, .parameter, .number, .character, .interpolation,
            .regex, .bytes, .boolean, .nil, .name, .register, .symbol, .mapEntry, .function, .matchArm, .tryCatch,
            .unary, .binary, .member, .call, .argument, .missing:
            plain(node, after: gap)
        }
    }

    mutating func write(_ element: SyntaxNode.Element, after gap: Gap) {
        switch element {
        case .token(let token): write(token, after: gap)
        case .node(let node): write(node, after: gap)
        }
    }

    /// Writes a node whose parts follow each other.
    private mutating func plain(_ node: SyntaxNode, after gap: Gap) {
        var previous: SyntaxNode.Element?
        for element in node.elements where !element.isEmpty {
            var gap = gap
            if let previous { gap = self.gap(in: node, between: previous, and: element) }
            if case .node(let child) = element, child.kind == .block {
                block(child, owner: node, after: gap)
            } else {
                write(element, after: gap)
            }
            previous = element
        }
    }

    /// Writes a construct with a condition before its block: what goes on with the condition stands out from the block.
    private mutating func header(_ node: SyntaxNode, after gap: Gap) {
        let saved = continuation
        continuation = margin + 2 * Self.step
        plain(node, after: gap)
        continuation = saved
    }

    /// What stands between two parts of a node.
    private func gap(in node: SyntaxNode, between previous: SyntaxNode.Element, and next: SyntaxNode.Element) -> Gap {
        var gap = within(spaced: isSpaced(in: node, between: previous, and: next))
        if next.opensBlock || previous.isBlock && (next.token == .else || next.token == .catch) || next.token == .comma
        {
            gap.lineBreak = .never
            if next.token != .comma { gap.indent = indentOfToken[node.tokenRange.lowerBound] }
        }
        return gap
    }

    private func isSpaced(
        in node: SyntaxNode, between previous: SyntaxNode.Element, and next: SyntaxNode.Element
    ) -> Bool {
        if next.token == .comma || next.token == .colon { return false }
        switch node.kind {
        case .unary, .member, .symbol, .call, .interpolation: return false
        case .binary: return node.isSpacedBinary
        case .importStatement: return next.token != .dot && previous.token != .dot
        case .function, .functionStatement, .assembly: return next.kind != .parameterList && next.kind != .argumentList
        case .program, .block, .unexpected, .bindingStatement, .returnStatement, .throwStatement, .breakStatement,
            .continueStatement, .expectStatement, .forStatement, .whileStatement, .property, .declaration,
            .declarationLabel, .assignment, .expressionStatement, .parameterList, .parameter, .number, .character,
            .string, .regex, .bytes, .boolean, .nil, .name, .register, .parenthesized, .list, .map, .mapEntry,
            .conditional, .match, .matchArm, .tryCatch, .handler, .argumentList, .argument, .index, .missing:
            return true
        }
    }

    // MARK: - Brackets

    /// Writes `(…)` or `[…]`.
    ///
    /// If the bracket ends its line, the items are indented by one level; otherwise they stand below the first.
    private mutating func bracketed(
        _ elements: ArraySlice<SyntaxNode.Element>, after gap: Gap, isGrouping: Bool
    ) {
        guard case .token(let opening) = elements.first, case .token(let closing) = elements.last else { return }
        write(opening, after: gap)
        let saved = (margin, continuation)
        let base = lineIndent
        let first = SyntaxToken(tree: tree, index: opening.index + 1)
        margin = first.startsLine ? base + Self.step : column
        continuation = isGrouping ? margin : margin + Self.step
        var isFirst = true
        for element in elements.dropFirst().dropLast() where !element.isEmpty {
            let isMark = element.token == .comma || element.token == .colon
            var gap = Gap(isSpaced: !isFirst && !isMark, indent: margin, allowsBlankBefore: !isFirst)
            if isMark { gap.lineBreak = .never }
            write(element, after: gap)
            isFirst = false
        }
        var end = Gap(isSpaced: false, indent: base, commentIndent: margin, allowsBlankAtEnd: false)
        end.allowsBlankBefore = !isFirst
        write(closing, after: end)
        (margin, continuation) = saved
    }

    // MARK: - Blocks

    /// Writes `{ … }`; its owner is the construct it belongs to.
    private mutating func block(_ node: SyntaxNode, owner: SyntaxNode, after gap: Gap) {
        guard case .token(let opening) = node.elements.first, case .token(let closing) = node.elements.last else {
            return
        }
        write(opening, after: gap)
        body(of: node, from: opening, to: closing, base: indentOfToken[owner.tokenRange.lowerBound])
    }

    private mutating func match(_ node: SyntaxNode, after gap: Gap) {
        let elements = node.elements
        guard let brace = elements.firstIndex(where: { $0.token == .leftBrace }),
            case .token(let opening) = elements[brace],
            case .token(let closing) = elements.last
        else { return }
        let saved = continuation
        continuation = margin + 2 * Self.step
        var gap = gap
        for element in elements[..<brace] {
            write(element, after: gap)
            gap = within(spaced: true)
        }
        continuation = saved
        let base = indentOfToken[node.tokenRange.lowerBound]
        write(opening, after: Gap(lineBreak: .never, indent: base))
        body(of: node, from: opening, to: closing, base: base)
    }

    /// Writes what stands between braces, and the closing one.
    private mutating func body(of node: SyntaxNode, from opening: SyntaxToken, to closing: SyntaxToken, base: Int) {
        let saved = (margin, continuation)
        margin = base + Self.step
        continuation = margin + Self.step
        let file = tree.file
        var isBroken = file.line(at: opening.span.start) != file.line(at: closing.span.start)
        let hasStatements = node.hasStatements
        if !hasStatements, !(node.trailingSemicolons + [closing]).flatMap(\.trivia).contains(where: \.isComment) {
            isBroken = false
        }
        statements(of: node, isBroken: isBroken)
        var end = Gap(indent: base, commentIndent: margin, allowsBlankBefore: hasStatements, allowsBlankAtEnd: false)
        end.lineBreak = isBroken ? .always : .never
        end.dropped = node.trailingSemicolons
        write(closing, after: end)
        (margin, continuation) = saved
    }

    /// Writes the statements of a block or script, or the arms of a `match`.
    ///
    /// Statements stay on one line, with `;` between, if they are on one; a `;` at the end of a line goes.
    mutating func statements(of node: SyntaxNode, isBroken: Bool) {
        var semicolons: [SyntaxToken] = []
        var isFirst = true
        for element in node.statementElements {
            guard case .node(let statement) = element else {
                if case .token(let token) = element { semicolons.append(token) }
                continue
            }
            let first = SyntaxToken(tree: tree, index: statement.tokenRange.lowerBound)
            var gap = Gap(indent: margin, allowsBlankBefore: !isFirst)
            gap.dropped = semicolons
            let startsLine = first.startsLine || semicolons.contains(where: \.startsLine)
            gap.lineBreak = isBroken && (isFirst || startsLine) ? .always : .never
            if !isFirst, !startsLine || first.joinsLineBefore { write(";") }
            write(statement, after: gap)
            semicolons = []
            isFirst = false
        }
    }

    // MARK: - Strings

    private mutating func string(_ node: SyntaxNode, after gap: Gap) {
        var gap = gap
        for element in node.elements {
            if case .node(let interpolation) = element {
                self.interpolation(interpolation)
            } else {
                write(element, after: gap)
            }
            gap = Gap(isSpaced: false, indent: 0)
        }
    }

    /// Writes `\(…)`: in the language's layout if it is on one line, otherwise as it stands.
    mutating func interpolation(_ node: SyntaxNode) {
        let text = node.span.text
        if text.contains(where: \.isNewline) || text.contains("/*") {
            write(text)
        } else {
            plain(node, after: Gap(isSpaced: false, indent: 0))
        }
    }
}

extension SyntaxNode {
    /// The statements or arms between a node's braces, and semicolons.
    fileprivate var statementElements: ArraySlice<Element> {
        let elements = elements
        guard kind != .program else { return elements.filter { $0.token != .endOfFile }[...] }
        let start = elements.firstIndex { $0.token == .leftBrace }.map { $0 + 1 } ?? 0
        return elements[start...].dropLast()
    }

    fileprivate var hasStatements: Bool {
        statementElements.contains { if case .node = $0 { true } else { false } }
    }

    /// The semicolons after the last statement.
    var trailingSemicolons: [SyntaxToken] {
        statementElements.reversed().prefix { $0.token == .semicolon }.reversed().compactMap { element in
            if case .token(let token) = element { token } else { nil }
        }
    }

    /// Whether spaces stand around the operator: all but ranges between short operands.
    fileprivate var isSpacedBinary: Bool {
        let operands = children
        guard operands.count == 2, let mark = tokens.first?.kind, mark == .closedRange || mark == .halfOpenRange else {
            return true
        }
        return !operands[0].isShort || !operands[1].isShort
    }

    private var isShort: Bool {
        switch kind {
        case .number: tokens.count == 1
        case .unary: children.allSatisfy(\.isShort)
        case .character, .name, .register, .parenthesized, .member, .call, .index:
            SyntaxToken(tree: tree, index: tokenRange.lowerBound).kind != .dot
        case .program, .block, .unexpected, .bindingStatement, .functionStatement, .returnStatement, .throwStatement,
            .breakStatement, .continueStatement, .expectStatement, .forStatement, .whileStatement, .importStatement,
            .property, .declaration, .declarationLabel, .assignment, .expressionStatement, .parameterList, .parameter,
            .string, .interpolation, .regex, .bytes, .boolean, .nil, .symbol, .list, .map, .mapEntry, .function,
            .conditional, .match, .matchArm, .tryCatch, .handler, .assembly, .binary, .argumentList, .argument,
            .missing:
            false
        }
    }
}

extension SyntaxNode.Element {
    /// The kind of a token; nil for a node.
    fileprivate var token: TokenKind? {
        if case .token(let token) = self { token.kind } else { nil }
    }

    /// The kind of a node; nil for a token.
    fileprivate var kind: SyntaxKind? {
        if case .node(let node) = self { node.kind } else { nil }
    }

    fileprivate var isBlock: Bool { kind == .block }

    fileprivate var opensBlock: Bool { kind == .block || token == .leftBrace }

    fileprivate var isEmpty: Bool {
        if case .node(let node) = self { node.tokenRange.isEmpty } else { false }
    }
}

extension SyntaxToken {
    /// Whether a line break lies before the token.
    var startsLine: Bool { tree.tokens[index].startsLine }

    /// Whether a line that begins with the token would go on with the statement before.
    fileprivate var joinsLineBefore: Bool { kind == .dot || Habit.elseIfWords.contains(text) }
}

extension TriviaPiece {
    /// Whether the piece is more than white space.
    package var isComment: Bool {
        switch kind {
        case .lineComment, .documentation, .blockComment, .interpreterLine: true
        case .space, .newline, .byteOrderMark: false
        }
    }
}
