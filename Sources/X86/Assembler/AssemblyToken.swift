/// The smallest part of assembly source.
struct AssemblyToken {
    enum Kind: Equatable {
        /// A name as written; instructions, registers and keywords are told apart by the parser.
        case name(String)
        case number(UInt64)
        /// A number with a point or an exponent, without underscores.
        case float(String)
        case string([UInt8])
        case symbol(AssemblySymbol)
        /// Something that is no token; the lexer has reported it.
        case invalid
        /// The end of a line, or of the source.
        case endOfLine
        /// `;`.
        case semicolon
    }

    var kind: Kind
    /// Bytes of the source.
    var range: Range<Int>
}

/// Punctuation of assembly source; raw values are the spelling.
enum AssemblySymbol: String, CaseIterable {
    case comma = ","
    case colon = ":"
    case leftBracket = "["
    case rightBracket = "]"
    case leftParenthesis = "("
    case rightParenthesis = ")"
    case plus = "+"
    case minus = "-"
    case times = "*"
    case divide = "/"
    case remainder = "%"
    case signedRemainder = "%%"
    case shiftLeft = "<<"
    case shiftRight = ">>"
    case signedShiftRight = ">>>"
    case and = "&"
    case or = "|"
    case exclusiveOr = "^"
    case complement = "~"
    case not = "!"
    case logicalAnd = "&&"
    case logicalOr = "||"
    case logicalExclusiveOr = "^^"
    case equal = "=="
    case singleEqual = "="
    case notEqual = "!="
    case unequal = "<>"
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case question = "?"
    case dollar = "$"
    case doubleDollar = "$$"

    /// The spellings, longest first, so that the first that fits is the right one.
    static let longestFirst: [(bytes: [UInt8], symbol: AssemblySymbol)] =
        allCases.map { (Array($0.rawValue.utf8), $0) }.sorted { $0.bytes.count > $1.bytes.count }
}
