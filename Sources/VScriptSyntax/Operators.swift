/// An infix operator.
package enum BinaryOperator: String, CaseIterable, Sendable {
    case shiftLeft = "<<", shiftRight = ">>", wrappingShiftLeft = "&<<"
    case multiply = "*", divide = "/", remainder = "%", bitAnd = "&", wrappingMultiply = "&*"
    case add = "+", subtract = "-", bitOr = "|", bitXor = "^", wrappingAdd = "&+", wrappingSubtract = "&-"
    case closedRange = "...", halfOpenRange = "..<", countedRange = "..+"
    case coalesce = "??"
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case contains = "in"
    case and = "&&", or = "||"

    /// How tightly an operator binds; Swift's order.
    package enum Precedence: Int, Comparable, Sendable {
        case disjunction, conjunction, comparison, coalescing, range, addition, multiplication, shift, unary

        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

        /// The next tighter level.
        var tighter: Precedence { Precedence(rawValue: rawValue + 1) ?? .unary }
        /// Whether two operators of the level cannot stand side by side.
        var isNonassociative: Bool { self == .comparison || self == .range }
    }

    /// How tightly the operator binds.
    package var precedence: Precedence {
        switch self {
        case .shiftLeft, .shiftRight, .wrappingShiftLeft: .shift
        case .multiply, .divide, .remainder, .bitAnd, .wrappingMultiply: .multiplication
        case .add, .subtract, .bitOr, .bitXor, .wrappingAdd, .wrappingSubtract: .addition
        case .closedRange, .halfOpenRange, .countedRange: .range
        case .coalesce: .coalescing
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .contains: .comparison
        case .and: .conjunction
        case .or: .disjunction
        }
    }

    /// The operator a token stands for between two operands.
    package init?(_ kind: TokenKind) {
        guard let found = Self.byToken[Int(kind.rawValue)] else { return nil }
        self = found
    }

    private static let byToken: [BinaryOperator?] = TokenKind.allCases.map { kind in
        kind.spelling.flatMap(BinaryOperator.init(rawValue:))
    }
}

/// A prefix operator.
package enum UnaryOperator: String, CaseIterable, Sendable {
    case negate = "-", complement = "~", not = "!"

    /// The operator a token stands for before an operand.
    package init?(_ kind: TokenKind) {
        guard let text = kind.spelling, let found = UnaryOperator(rawValue: text) else { return nil }
        self = found
    }
}

/// `=` and the operators that combine with it.
package struct AssignmentOperator: Sendable {
    /// The operator that combines the old value with the new one; nil for plain `=`.
    package let combining: BinaryOperator?

    /// The operator a token stands for after an assignable expression.
    package init?(_ kind: TokenKind) {
        guard Self.tokens.contains(kind) else { return nil }
        combining = kind.spelling.flatMap { BinaryOperator(rawValue: String($0.dropLast())) }
    }

    private static let tokens: Set<TokenKind> = [
        .assign, .plusAssign, .minusAssign, .starAssign, .slashAssign, .percentAssign, .ampersandAssign, .barAssign,
        .caretAssign, .shiftLeftAssign, .shiftRightAssign,
    ]
}
