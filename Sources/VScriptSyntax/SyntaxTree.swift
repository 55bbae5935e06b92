/// What a node of the tree is.
package enum SyntaxKind: UInt8, CaseIterable, Sendable {
    case program, block
    /// Tokens that fit nowhere; typed views skip them.
    case unexpected

    case bindingStatement, functionStatement, returnStatement, throwStatement, breakStatement, continueStatement
    case expectStatement, forStatement, whileStatement, importStatement, property, declaration, declarationLabel
    case assignment, expressionStatement
    case parameterList, parameter

    case number, character, string, interpolation, regex, bytes, boolean, `nil`, name, register, symbol
    case parenthesized, list, map, mapEntry, function, conditional, match, matchArm, tryCatch, handler, assembly
    case unary, binary, member, call, argumentList, argument, index
    /// An expression that is not there.
    case missing

    /// Whether the node is a value in an expression.
    package var isExpression: Bool {
        switch self {
        case .number, .character, .string, .regex, .bytes, .boolean, .nil, .name, .register, .symbol, .parenthesized,
            .list, .map, .function, .conditional, .match, .tryCatch, .handler, .assembly, .unary, .binary, .member,
            .call, .index, .missing:
            true
        case .program, .block, .unexpected, .bindingStatement, .functionStatement, .returnStatement, .throwStatement,
            .breakStatement, .continueStatement, .expectStatement, .forStatement, .whileStatement, .importStatement,
            .property, .declaration, .declarationLabel, .assignment, .expressionStatement, .parameterList, .parameter,
            .interpolation, .mapEntry, .matchArm, .argumentList, .argument:
            false
        }
    }
}

/// The lossless tree over one script: every byte belongs to a token or to the trivia before one.
///
/// Nodes lie in one array in post-order, so a node is complete when it is written and wrapping a finished
/// operand costs nothing. Memory and time are linear in the text.
package final class SyntaxTree: Sendable {
    /// The largest script in bytes.
    package static let sizeLimit = 64 << 20

    struct Node {
        let kind: SyntaxKind
        /// The longest way down, in nodes.
        let height: UInt16
        /// The first token of the node.
        let firstToken: UInt32
        /// The token after its last.
        let endToken: UInt32
        /// The index of its first descendant, or its own.
        let firstDescendant: UInt32
    }

    package let file: SourceFile
    /// All tokens; the last is `.endOfFile`.
    package let tokens: [Token]
    let nodes: [Node]
    /// What is wrong with the script's form, in the order of the text.
    package let diagnostics: [Diagnostic]
    /// Whether the only mistake is that the text ends too early.
    package let isIncomplete: Bool

    init(file: SourceFile, tokens: [Token], nodes: [Node], diagnostics: [Diagnostic], isIncomplete: Bool) {
        self.file = file
        self.tokens = tokens
        self.nodes = nodes
        self.diagnostics = diagnostics
        self.isIncomplete = isIncomplete
    }

    /// Whether the script can be compiled: no report is an error.
    package var isValid: Bool { diagnostics.allSatisfy { $0.severity != .error } }

    /// The node of the whole script.
    package var root: SyntaxNode { SyntaxNode(tree: self, index: nodes.count - 1) }

    /// The typed view of the whole script.
    package var program: ProgramSyntax { ProgramSyntax(node: root) }
}

/// A node of the tree.
package struct SyntaxNode: Sendable {
    package let tree: SyntaxTree
    let index: Int

    private var stored: SyntaxTree.Node { tree.nodes[index] }

    package var kind: SyntaxKind { stored.kind }

    /// How deep the nodes below are nested.
    package var height: Int { Int(stored.height) }

    /// The indices of the node's tokens, those of its children included.
    package var tokenRange: Range<Int> { Int(stored.firstToken)..<Int(stored.endToken) }

    /// The text of the node without the trivia around it; empty for a node without tokens.
    package var span: SourceSpan {
        let range = tokenRange
        guard !range.isEmpty else {
            let end = range.lowerBound > 0 ? tree.tokens[range.lowerBound - 1].end : 0
            return SourceSpan(tree.file, end..<end)
        }
        return SourceSpan(tree.file, tree.tokens[range.lowerBound].start..<tree.tokens[range.upperBound - 1].end)
    }

    /// The child nodes in the order of the text.
    package var children: [SyntaxNode] {
        var found: [SyntaxNode] = []
        var next = index - 1
        let first = Int(stored.firstDescendant)
        while next >= first {
            found.append(SyntaxNode(tree: tree, index: next))
            next = Int(tree.nodes[next].firstDescendant) - 1
        }
        return found.reversed()
    }

    /// A child node or a token that belongs to no child.
    package enum Element: Sendable {
        case node(SyntaxNode)
        case token(SyntaxToken)
    }

    /// Child nodes and own tokens in the order of the text.
    package var elements: [Element] {
        var found: [Element] = []
        var token = tokenRange.lowerBound
        for child in children {
            found += (token..<child.tokenRange.lowerBound).map { .token(SyntaxToken(tree: tree, index: $0)) }
            found.append(.node(child))
            token = child.tokenRange.upperBound
        }
        return found + (token..<tokenRange.upperBound).map { .token(SyntaxToken(tree: tree, index: $0)) }
    }

    /// The tokens that belong to no child.
    package var tokens: [SyntaxToken] {
        elements.compactMap { element in
            if case .token(let token) = element { token } else { nil }
        }
    }
}

/// A token in its tree.
package struct SyntaxToken: Sendable {
    package let tree: SyntaxTree
    let index: Int

    private var stored: Token { tree.tokens[index] }

    package var kind: TokenKind { stored.kind }
    package var text: String { tree.file.text(stored.range) }
    package var span: SourceSpan { SourceSpan(tree.file, stored.range) }

    /// White space and comments between the token before and this one.
    package var trivia: [TriviaPiece] {
        var pieces: [TriviaPiece] = []
        var position = index > 0 ? tree.tokens[index - 1].end : 0
        while position < stored.start, let piece = TriviaPiece(in: tree.file.bytes, at: position) {
            pieces.append(piece)
            position = piece.range.upperBound
        }
        return pieces
    }

    /// The text of the `///` lines directly before the token; nil if there are none.
    package var documentation: String? {
        var lines: [String] = []
        var isLineEmpty = false
        for piece in trivia {
            switch piece.kind {
            case .documentation:
                let text = tree.file.text(piece.range).dropFirst(3)
                lines.append(String(text.first == " " ? text.dropFirst() : text))
                isLineEmpty = false
            case .newline:
                // What an empty line parts from the token is about something else.
                if isLineEmpty { lines = [] }
                isLineEmpty = true
            case .space: break
            case .lineComment, .blockComment, .interpreterLine, .byteOrderMark: isLineEmpty = false
            }
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }
}
