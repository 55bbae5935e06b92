// The typed view of expressions.

/// An expression of any kind.
package enum ExpressionSyntax: Sendable {
    case number(NumberSyntax)
    case character(CharacterSyntax)
    case string(StringSyntax)
    case regex(RegexSyntax)
    case bytes(BytesSyntax)
    case boolean(BooleanSyntax)
    case `nil`(SourceSpan)
    case name(NameSyntax)
    case register(RegisterSyntax)
    case symbol(SymbolSyntax)
    case parenthesized(ParenthesizedSyntax)
    case list(ListSyntax)
    case map(MapSyntax)
    case function(FunctionSyntax)
    case conditional(ConditionalSyntax)
    case match(MatchSyntax)
    case tryCatch(TrySyntax)
    case handler(HandlerSyntax)
    case assembly(AssemblySyntax)
    case unary(UnarySyntax)
    case binary(BinarySyntax)
    case member(MemberSyntax)
    case call(CallSyntax)
    case index(IndexSyntax)
    /// There is none; the node is where it should be.
    case missing(SyntaxNode)

    init?(_ node: SyntaxNode) {
        switch node.kind {
        case .number: self = .number(NumberSyntax(node: node))
        case .character: self = .character(CharacterSyntax(node: node))
        case .string: self = .string(StringSyntax(node: node))
        case .regex: self = .regex(RegexSyntax(node: node))
        case .bytes: self = .bytes(BytesSyntax(node: node))
        case .boolean: self = .boolean(BooleanSyntax(node: node))
        case .nil: self = .nil(node.span)
        case .name: self = node.tokens.first.map { .name(NameSyntax($0)) } ?? .missing(node)
        case .register: self = .register(RegisterSyntax(node: node))
        case .symbol: self = .symbol(SymbolSyntax(node: node))
        case .parenthesized: self = .parenthesized(ParenthesizedSyntax(node: node))
        case .list: self = .list(ListSyntax(node: node))
        case .map: self = .map(MapSyntax(node: node))
        case .function: self = .function(FunctionSyntax(node: node))
        case .conditional: self = .conditional(ConditionalSyntax(node: node))
        case .match: self = .match(MatchSyntax(node: node))
        case .tryCatch: self = .tryCatch(TrySyntax(node: node))
        case .handler: self = .handler(HandlerSyntax(node: node))
        case .assembly: self = .assembly(AssemblySyntax(node: node))
        case .unary: self = .unary(UnarySyntax(node: node))
        case .binary: self = .binary(BinarySyntax(node: node))
        case .member: self = .member(MemberSyntax(node: node))
        case .call: self = .call(CallSyntax(node: node))
        case .index: self = .index(IndexSyntax(node: node))
        case .missing: self = .missing(node)
        case .program, .block, .unexpected, .bindingStatement, .functionStatement, .returnStatement, .throwStatement,
            .breakStatement, .continueStatement, .expectStatement, .forStatement, .whileStatement, .importStatement,
            .property, .declaration, .declarationLabel, .assignment, .expressionStatement, .parameterList, .parameter,
            .interpolation, .mapEntry, .matchArm, .argumentList, .argument:
            return nil
        }
    }

    /// The source text of the expression.
    package var span: SourceSpan {
        switch self {
        case .number(let view): view.span
        case .character(let view): view.span
        case .string(let view): view.span
        case .regex(let view): view.span
        case .bytes(let view): view.span
        case .boolean(let view): view.span
        case .nil(let span): span
        case .name(let name): name.span
        case .register(let view): view.span
        case .symbol(let view): view.span
        case .parenthesized(let view): view.span
        case .list(let view): view.span
        case .map(let view): view.span
        case .function(let view): view.span
        case .conditional(let view): view.span
        case .match(let view): view.span
        case .tryCatch(let view): view.span
        case .handler(let view): view.span
        case .assembly(let view): view.span
        case .unary(let view): view.span
        case .binary(let view): view.span
        case .member(let view): view.span
        case .call(let view): view.span
        case .index(let view): view.span
        case .missing(let node): node.span.after
        }
    }
}

/// Written `42`, `4 KiB`.
package struct NumberSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var unit: Unit? { node.tokens.first { $0.kind == .unit }.flatMap { Unit.named($0.text) } }
    /// The value; nil for a number that the lexer has refused.
    package var value: NumberValue? {
        node.tokens.first.flatMap { try? NumberValue($0.text, unit: unit) }
    }
}

/// Written `'A'`.
package struct CharacterSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var codePoint: UInt32? { CharacterLiteral.codePoint(of: String(span.text.dropFirst().dropLast())) }
}

/// Written `"text \(value:format)"`.
package struct StringSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }

    /// A stretch of text or an interpolated value.
    package enum Segment: Sendable {
        case text(String)
        case interpolation(InterpolationSyntax)
    }

    package var segments: [Segment] {
        let pieces = node.rawPieces
        guard let opening = node.tokens.first, let closing = node.tokens.last else { return [] }
        let content = StringContent(
            node.tree.file, pieces: pieces.map(\.range), isMultiline: opening.span.range.count == 3,
            quotes: (opening.span.range, closing.span.range))
        return zip(pieces, content.segments).compactMap { piece, text in
            if let text { .text(text) } else { piece.interpolation.map(Segment.interpolation) }
        }
    }

    /// The text, if nothing is interpolated.
    package var plainText: String? {
        var result = ""
        for segment in segments {
            guard case .text(let text) = segment else { return nil }
            result += text
        }
        return result
    }
}

extension SyntaxNode {
    /// What lies between the quotes or braces: raw text and interpolations.
    fileprivate var rawPieces: [(range: Range<Int>?, interpolation: InterpolationSyntax?)] {
        elements.compactMap { element in
            switch element {
            case .token(let token):
                token.kind == .stringText || token.kind == .assemblyText ? (token.span.range, nil) : nil
            case .node(let node): node.kind == .interpolation ? (nil, InterpolationSyntax(node: node)) : nil
            }
        }
    }
}

/// Written `\(value)`, `\(value:format)`.
package struct InterpolationSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var value: ExpressionSyntax { expression(0) }
    /// How the value is written; nil if the script does not say.
    package var format: FormatSpecification? {
        node.tokens.first { $0.kind == .formatSpecification }.flatMap { FormatSpecification($0.text) }
    }
}

/// Written `re"^a+$"`.
package struct RegexSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var pattern: String { String(span.text.dropFirst(3).dropLast()) }
}

/// Written `hex"90 cc"`.
package struct BytesSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var value: [UInt8] { BytesLiteral.bytes(of: String(span.text.dropFirst(4).dropLast())) ?? [] }
}

/// Written `true`, `false`.
package struct BooleanSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var value: Bool { hasToken(.true) }
}

/// Written `$rax`.
package struct RegisterSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var name: String { String(span.text.dropFirst()) }
}

/// Written `.vmx`.
package struct SymbolSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var name: String { names.first?.text ?? "" }
}

/// Written `(value)`.
package struct ParenthesizedSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var value: ExpressionSyntax { expression(0) }
}

/// Written `[a, b]`.
package struct ListSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var items: [ExpressionSyntax] { expressions }
}

/// Written `[key: value]`, `[:]`.
package struct MapSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var entries: [MapEntrySyntax] { views(.mapEntry, as: MapEntrySyntax.self) }
}

/// Written `key: value`.
package struct MapEntrySyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }

    /// What stands before the colon.
    package enum Key: Sendable {
        /// A bare word, which is a string.
        case word(NameSyntax)
        case expression(ExpressionSyntax)
    }

    package var key: Key {
        let first = node.tokens.first
        guard expressions.count == 1, let first, first.kind != .colon else { return .expression(expression(0)) }
        return .word(NameSyntax(first))
    }
    package var value: ExpressionSyntax { expressions.last ?? .missing(node) }
}

/// Written `fn(parameters) { … }`.
package struct FunctionSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var parameters: [ParameterSyntax] { ParameterSyntax.list(in: node) }
    package var body: BlockSyntax { firstBlock }
}

/// Written `if condition { … } else { … }`.
package struct ConditionalSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }

    /// What happens otherwise.
    package enum Alternative: Sendable {
        case block(BlockSyntax)
        case conditional(ConditionalSyntax)
    }

    package var condition: ExpressionSyntax { expression(0) }
    package var consequence: BlockSyntax { firstBlock }
    package var alternative: Alternative? {
        if let block = blocks.dropFirst().first { return .block(block) }
        let last = node.children.dropFirst().last { $0.kind == .conditional }
        return last.map { .conditional(ConditionalSyntax(node: $0)) }
    }
}

/// Written `match subject { case pattern => … }`.
package struct MatchSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var subject: ExpressionSyntax { expression(0) }
    package var arms: [MatchArmSyntax] { views(.matchArm, as: MatchArmSyntax.self) }
}

/// Written `case pattern, pattern if guard => body`, `else => body`.
package struct MatchArmSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }

    /// What an arm does.
    package enum Body: Sendable {
        case block(BlockSyntax)
        case statement(StatementSyntax)
    }

    package var isElse: Bool { hasToken(.else) }
    package var patterns: [ExpressionSyntax] { hasToken(.if) ? Array(expressions.dropLast()) : expressions }
    package var `guard`: ExpressionSyntax? { hasToken(.if) ? expressions.last : nil }
    package var body: Body {
        if let statement = node.children.lazy.compactMap(StatementSyntax.init).first { return .statement(statement) }
        return .block(firstBlock)
    }
}

/// Written `try { … } catch name { … }`.
package struct TrySyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var body: BlockSyntax { firstBlock }
    package var name: NameSyntax? { names.first.map(NameSyntax.init) }
    package var handler: BlockSyntax { blocks.last ?? firstBlock }
}

/// Written `on event(filter) if guard { … }`.
package struct HandlerSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    /// The event, with its filter as a call's arguments.
    package var event: ExpressionSyntax { expression(0) }
    package var `guard`: ExpressionSyntax? { expressions.dropFirst().first }
    package var body: BlockSyntax { firstBlock }
}

/// Written `asm(bits: 16) { … }`.
package struct AssemblySyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }

    /// Raw text, or a value to splice in.
    package enum Segment: Sendable {
        case text(SourceSpan)
        case splice(InterpolationSyntax)
    }

    package var arguments: [ArgumentSyntax] { ArgumentSyntax.list(in: node) }
    package var segments: [Segment] {
        node.rawPieces.compactMap { piece in
            if let range = piece.range { return .text(SourceSpan(node.tree.file, range)) }
            return piece.interpolation.map(Segment.splice)
        }
    }
}

/// Written `-value`.
package struct UnarySyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var `operator`: UnaryOperator { node.tokens.first.flatMap { UnaryOperator($0.kind) } ?? .not }
    package var operand: ExpressionSyntax { expression(0) }
}

/// Written `left operator right`.
package struct BinarySyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    private var token: SyntaxToken? { node.tokens.first { BinaryOperator($0.kind) != nil } }
    package var left: ExpressionSyntax { expression(0) }
    package var `operator`: BinaryOperator { token.flatMap { BinaryOperator($0.kind) } ?? .and }
    package var operatorSpan: SourceSpan { token?.span ?? span }
    package var right: ExpressionSyntax { expression(1) }
}

/// Written `base.name`.
package struct MemberSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var base: ExpressionSyntax { expression(0) }
    package var name: NameSyntax {
        NameSyntax(node.tokens.last ?? SyntaxToken(tree: node.tree, index: node.tree.tokens.count - 1))
    }
}

/// Written `callee(arguments)`.
package struct CallSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var callee: ExpressionSyntax { expression(0) }
    package var arguments: [ArgumentSyntax] { ArgumentSyntax.list(in: node) }
}

/// Written `value`, `label: value`.
package struct ArgumentSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var label: NameSyntax? { names.first.map(NameSyntax.init) }
    package var value: ExpressionSyntax { expression(0) }

    static func list(in node: SyntaxNode) -> [ArgumentSyntax] {
        let list = node.children.first { $0.kind == .argumentList }
        return list?.children.filter { $0.kind == .argument }.map(ArgumentSyntax.init) ?? []
    }
}

/// Written `base[key]`.
package struct IndexSyntax: TypedSyntax {
    package let node: SyntaxNode
    package init(node: SyntaxNode) { self.node = node }
    package var base: ExpressionSyntax { expression(0) }
    package var key: ExpressionSyntax { expression(1) }
}
