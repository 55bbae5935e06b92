// The typed view of statements: what each kind of node consists of.

/// A typed view of a node; the parts that a mistake has left out read as missing or empty.
package protocol TypedSyntax: Sendable {
    var node: SyntaxNode { get }
    init(node: SyntaxNode)
}

extension TypedSyntax {
    /// The source text of the node.
    package var span: SourceSpan { node.span }

    /// The `///` lines before the node.
    package var documentation: String? {
        let tokens = node.tokenRange
        return tokens.isEmpty ? nil : SyntaxToken(tree: node.tree, index: tokens.lowerBound).documentation
    }

    /// The values directly below the node.
    var expressions: [ExpressionSyntax] { node.children.compactMap(ExpressionSyntax.init) }

    /// The value of a number, or a missing one.
    func expression(_ index: Int) -> ExpressionSyntax {
        let all = expressions
        return index < all.count ? all[index] : .missing(node)
    }

    /// The views of one type directly below the node.
    func views<View: TypedSyntax>(_ kind: SyntaxKind, as: View.Type) -> [View] {
        node.children.filter { $0.kind == kind }.map(View.init)
    }

    /// The names among the node's own tokens.
    var names: [SyntaxToken] { node.tokens.filter { $0.kind == .identifier } }

    func hasToken(_ kind: TokenKind) -> Bool { node.tokens.contains { $0.kind == kind } }

    /// The blocks directly below the node.
    var blocks: [BlockSyntax] { views(.block, as: BlockSyntax.self) }

    /// The first block, or an empty one.
    var firstBlock: BlockSyntax { blocks.first ?? BlockSyntax(node: node) }
}

/// A name where it is written.
package struct NameSyntax: Sendable {
    package let text: String
    package let span: SourceSpan

    /// A name found inside raw text.
    package init(_ text: String, at span: SourceSpan) {
        self.text = text
        self.span = span
    }

    init(_ token: SyntaxToken) {
        text = token.text
        span = token.span
    }
}

/// A statement of any kind.
package enum StatementSyntax: Sendable {
    case binding(BindingSyntax)
    case function(FunctionStatementSyntax)
    case `return`(ReturnSyntax)
    case `throw`(ThrowSyntax)
    case `break`(SourceSpan)
    case `continue`(SourceSpan)
    case expect(ExpectSyntax)
    case `for`(ForSyntax)
    case `while`(WhileSyntax)
    case `import`(ImportSyntax)
    case property(PropertySyntax)
    case declaration(DeclarationSyntax)
    case assignment(AssignmentSyntax)
    case expression(ExpressionSyntax)

    init?(_ node: SyntaxNode) {
        switch node.kind {
        case .bindingStatement: self = .binding(BindingSyntax(node: node))
        case .functionStatement: self = .function(FunctionStatementSyntax(node: node))
        case .returnStatement: self = .return(ReturnSyntax(node: node))
        case .throwStatement: self = .throw(ThrowSyntax(node: node))
        case .breakStatement: self = .break(node.span)
        case .continueStatement: self = .continue(node.span)
        case .expectStatement: self = .expect(ExpectSyntax(node: node))
        case .forStatement: self = .for(ForSyntax(node: node))
        case .whileStatement: self = .while(WhileSyntax(node: node))
        case .importStatement: self = .import(ImportSyntax(node: node))
        case .property: self = .property(PropertySyntax(node: node))
        case .declaration: self = .declaration(DeclarationSyntax(node: node))
        case .assignment: self = .assignment(AssignmentSyntax(node: node))
        case .expressionStatement:
            self = .expression(node.children.compactMap(ExpressionSyntax.init).first ?? .missing(node))
        case .program, .block, .unexpected, .declarationLabel, .parameterList, .parameter, .number, .character, .string,
            .interpolation, .regex, .bytes, .boolean, .nil, .name, .register, .symbol, .parenthesized, .list, .map,
            .mapEntry, .function, .conditional, .match, .matchArm, .tryCatch, .handler, .assembly, .unary, .binary,
            .member, .call, .argumentList, .argument, .index, .missing:
            return nil
        }
    }
}

/// A whole script.
package struct ProgramSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var statements: [StatementSyntax] { node.children.compactMap(StatementSyntax.init) }
}

/// Written `{ … }`.
package struct BlockSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var statements: [StatementSyntax] { node.children.compactMap(StatementSyntax.init) }
}

/// Written `let name = value`, `var name = value`.
package struct BindingSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var isVariable: Bool { hasToken(.var) }
    package var name: NameSyntax? { names.first.map(NameSyntax.init) }
    package var value: ExpressionSyntax { expression(0) }
}

/// Written `fn name(parameters) { … }`.
package struct FunctionStatementSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var name: NameSyntax? { names.first.map(NameSyntax.init) }
    package var parameters: [ParameterSyntax] { ParameterSyntax.list(in: node) }
    package var body: BlockSyntax { firstBlock }
}

/// Written `name`, `name = default`.
package struct ParameterSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var name: NameSyntax? { names.first.map(NameSyntax.init) }
    package var defaultValue: ExpressionSyntax? { expressions.first }

    static func list(in node: SyntaxNode) -> [ParameterSyntax] {
        let list = node.children.first { $0.kind == .parameterList }
        return list?.children.filter { $0.kind == .parameter }.map(ParameterSyntax.init) ?? []
    }
}

/// Written `return`, `return value`.
package struct ReturnSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var value: ExpressionSyntax? { expressions.first }
}

/// Written `throw value`.
package struct ThrowSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var value: ExpressionSyntax { expression(0) }
}

/// Written `expect condition`, `expect condition, message`.
package struct ExpectSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var condition: ExpressionSyntax { expression(0) }
    package var message: ExpressionSyntax? { expressions.dropFirst().first }
}

/// Written `for name in sequence { … }`, `for first, second in sequence { … }`.
package struct ForSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var variables: [NameSyntax] { names.map(NameSyntax.init) }
    package var sequence: ExpressionSyntax { expression(0) }
    package var body: BlockSyntax { firstBlock }
}

/// Written `while condition { … }`.
package struct WhileSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var condition: ExpressionSyntax { expression(0) }
    package var body: BlockSyntax { firstBlock }
}

/// Written `import std.trace as name`, `import "path" as name`.
package struct ImportSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    /// The path of a module in a file.
    package var path: StringSyntax? { views(.string, as: StringSyntax.self).first }
    /// The parts of a module's dotted name; empty if it is a path.
    package var module: [NameSyntax] {
        let tokens = node.tokens
        let end = tokens.firstIndex { $0.kind == .as } ?? tokens.count
        return tokens[..<end].filter { $0.kind == .identifier }.map(NameSyntax.init)
    }
    /// What the script calls the module.
    package var name: NameSyntax? { names.last.map(NameSyntax.init) }
}

/// Written `name: value` in a declaration's body.
package struct PropertySyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var name: NameSyntax? { names.first.map(NameSyntax.init) }
    package var value: ExpressionSyntax { expression(0) }
}

/// Written `kind label on parent { … }`.
package struct DeclarationSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }

    /// What a declaration is called by.
    package enum Label: Sendable {
        case name(NameSyntax)
        case number(NumberSyntax)
        case string(StringSyntax)

        package var span: SourceSpan {
            switch self {
            case .name(let name): name.span
            case .number(let number): number.span
            case .string(let text): text.span
            }
        }
    }

    package var kind: NameSyntax? { names.first.map(NameSyntax.init) }
    package var label: Label? {
        guard let label = node.children.first(where: { $0.kind == .declarationLabel }) else { return nil }
        if let name = label.tokens.first(where: { $0.kind == .identifier }) { return .name(NameSyntax(name)) }
        guard let literal = label.children.first else { return nil }
        return literal.kind == .number ? .number(NumberSyntax(node: literal)) : .string(StringSyntax(node: literal))
    }
    /// What it is declared on.
    package var parent: ExpressionSyntax? { expressions.first }
    package var body: BlockSyntax? { blocks.first }

    /// The line that introduces the declaration: kind and label.
    package var header: SourceSpan {
        let label = node.children.first { $0.kind == .declarationLabel }
        guard let kind = kind?.span else { return span }
        return label.map { kind.through($0.span) } ?? kind
    }
}

/// Written `target = value`, `target += value`.
package struct AssignmentSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var target: ExpressionSyntax { expression(0) }
    /// The infix operator of `+=` and its like; nil for `=`.
    package var combining: BinaryOperator? {
        node.tokens.lazy.compactMap { AssignmentOperator($0.kind) }.first?.combining
    }
    package var operatorSpan: SourceSpan {
        node.tokens.first { AssignmentOperator($0.kind) != nil }?.span ?? span
    }
    package var value: ExpressionSyntax { expression(1) }
}
