import VScriptSyntax

/// The operators on values (README 2.3).
///
/// Ints are exact and overflow is an error; bit operators and those that begin with `&` work on 64-bit
/// patterns and give unsigned results.
enum Arithmetic {
    static func apply(_ operation: BinaryOperator, _ left: Value, _ right: Value) throws(HostFailure) -> Value {
        switch operation {
        case .add, .subtract, .multiply, .divide, .remainder: return try arithmetic(operation, left, right)
        case .shiftLeft, .shiftRight, .wrappingShiftLeft: return try shift(operation, left, right)
        case .bitAnd, .bitOr, .bitXor, .wrappingAdd, .wrappingSubtract, .wrappingMultiply:
            return try pattern(operation, left, right)
        case .closedRange, .halfOpenRange, .countedRange: return try range(operation, left, right)
        case .equal: return .bool(left.isEqual(to: right))
        case .notEqual: return .bool(!left.isEqual(to: right))
        case .less, .lessOrEqual, .greater, .greaterOrEqual: return .bool(try compare(operation, left, right))
        case .contains: return .bool(try contains(right, left, operation))
        case .coalesce: return left.isNil ? right : left
        case .and, .or:
            guard case .bool(let first) = left, case .bool(let second) = right else {
                throw mismatch(operation, left, right)
            }
            return .bool(operation == .and ? first && second : first || second)
        }
    }

    static func apply(_ operation: UnaryOperator, _ operand: Value) throws(HostFailure) -> Value {
        switch (operation, operand) {
        case (.negate, .int(let value)): return try checked(-value, "-\(value)")
        case (.negate, .float(let value)): return .float(-value)
        case (.negate, .duration(let value)):
            let (result, overflow) = Int64(0).subtractingReportingOverflow(value)
            return try duration(result, overflow)
        case (.complement, .int(let value)): return .int(Int128(~UInt64(truncatingIfNeeded: value)))
        case (.not, .bool(let value)): return .bool(!value)
        case (.negate, _), (.complement, _), (.not, _):
            throw HostFailure(.wrongOperand, "`\(operation.rawValue)` does not take \(operand.typeName)")
        }
    }

    // MARK: - Arithmetic

    private static func arithmetic(
        _ operation: BinaryOperator, _ left: Value, _ right: Value
    ) throws(HostFailure) -> Value {
        switch (left, right) {
        case (.int(let left), .int(let right)): return try integers(operation, left, right)
        case (.float(let left), .float(let right)): return .float(try floats(operation, left, right))
        case (.int(let left), .float(let right)): return .float(try floats(operation, Double(left), right))
        case (.float(let left), .int(let right)): return .float(try floats(operation, left, Double(right)))
        case (.duration, _), (_, .duration): return try durations(operation, left, right)
        case (.string(let left), .string(let right)) where operation == .add: return .string(left + right)
        case (.bytes(let left), .bytes(let right)) where operation == .add: return .bytes(left + right)
        case (.list(let left), .list(let right)) where operation == .add: return .items(left.items + right.items)
        case _: throw mismatch(operation, left, right)
        }
    }

    private static func integers(
        _ operation: BinaryOperator, _ left: Int128, _ right: Int128
    ) throws(HostFailure) -> Value {
        let source = "\(left) \(operation.rawValue) \(right)"
        if operation == .divide || operation == .remainder {
            guard right != 0 else { throw HostFailure(.divisionByZero, "division by zero") }
            return try checked(operation == .divide ? left / right : left % right, source)
        }
        if operation == .multiply {
            let (product, overflow) = left.multipliedReportingOverflow(by: right)
            return try checked(overflow ? .max : product, source, wrapping: "&*")
        }
        // Two ints have 65 bits each, so neither sum nor difference overflows 128.
        return operation == .add
            ? try checked(left + right, source, wrapping: "&+") : try checked(left - right, source, wrapping: "&-")
    }

    /// The int, if it is one.
    static func checked(_ value: Int128, _ source: String, wrapping: String? = nil) throws(HostFailure) -> Value {
        if Value.integers.contains(value) { return .int(value) }
        throw HostFailure(
            .overflow, "`\(source)` does not fit an int", notes: ["an int holds -2⁶³ to 2⁶⁴ - 1"], operatorFix: wrapping
        )
    }

    private static func floats(
        _ operation: BinaryOperator, _ left: Double, _ right: Double
    ) throws(HostFailure) -> Double {
        if operation == .add { return left + right }
        if operation == .subtract { return left - right }
        if operation == .multiply { return left * right }
        return operation == .divide ? left / right : left.truncatingRemainder(dividingBy: right)
    }

    private static func durations(
        _ operation: BinaryOperator, _ left: Value, _ right: Value
    ) throws(HostFailure) -> Value {
        switch (operation, left, right) {
        case (.add, .duration(let left), .duration(let right)):
            let (sum, overflow) = left.addingReportingOverflow(right)
            return try duration(sum, overflow)
        case (.subtract, .duration(let left), .duration(let right)):
            let (difference, overflow) = left.subtractingReportingOverflow(right)
            return try duration(difference, overflow)
        case (.multiply, .duration(let time), .int(let factor)), (.multiply, .int(let factor), .duration(let time)):
            let (product, overflow) = Int128(time).multipliedReportingOverflow(by: factor)
            return try duration(Int64(truncatingIfNeeded: product), overflow || Int64(exactly: product) == nil)
        case (.multiply, .duration(let time), .float(let factor)), (.multiply, .float(let factor), .duration(let time)):
            return try duration(Double(time) * factor)
        case (.divide, .duration(let time), .int(let divisor)):
            guard divisor != 0 else { throw HostFailure(.divisionByZero, "division by zero") }
            let quotient = Int128(time) / divisor
            return try duration(Int64(truncatingIfNeeded: quotient), Int64(exactly: quotient) == nil)
        case (.divide, .duration(let time), .float(let divisor)): return try duration(Double(time) / divisor)
        case (.divide, .duration(let left), .duration(let right)): return .float(Double(left) / Double(right))
        case (.remainder, .duration(let left), .duration(let right)):
            guard right != 0 else { throw HostFailure(.divisionByZero, "division by zero") }
            return .duration(right == -1 ? 0 : left % right)
        case _: throw mismatch(operation, left, right)
        }
    }

    private static func duration(_ value: Int64, _ overflow: Bool) throws(HostFailure) -> Value {
        guard !overflow else {
            throw HostFailure(.overflow, "the duration does not fit", notes: ["a duration holds about ±292 years"])
        }
        return .duration(value)
    }

    private static func duration(_ value: Double) throws(HostFailure) -> Value {
        let whole = Int64(exactly: value.rounded(.towardZero))
        return try duration(whole ?? 0, whole == nil)
    }

    // MARK: - Bits

    private static func pattern(_ operation: BinaryOperator, _ left: Value, _ right: Value) throws(HostFailure) -> Value
    {
        guard case .int(let first) = left, case .int(let second) = right else { throw mismatch(operation, left, right) }
        let (left, right) = (UInt64(truncatingIfNeeded: first), UInt64(truncatingIfNeeded: second))
        let result =
            switch operation {
            case .bitAnd: left & right
            case .bitOr: left | right
            case .bitXor: left ^ right
            case .wrappingAdd: left &+ right
            case .wrappingSubtract: left &- right
            case .wrappingMultiply: left &* right
            case _: UInt64(0)
            }
        return .int(Int128(result))
    }

    private static func shift(_ operation: BinaryOperator, _ left: Value, _ right: Value) throws(HostFailure) -> Value {
        guard case .int(let value) = left, case .int(let amount) = right else { throw mismatch(operation, left, right) }
        guard amount >= 0 else {
            throw HostFailure(
                .outOfRange, "a shift by \(amount) is not possible", notes: ["shift the other way instead"])
        }
        let bits = UInt64(truncatingIfNeeded: value)
        if operation == .shiftRight { return .int(amount > 63 ? 0 : Int128(bits >> UInt64(amount))) }
        if operation == .wrappingShiftLeft { return .int(amount > 63 ? 0 : Int128(bits << UInt64(amount))) }
        let source = "\(value) << \(amount)"
        if value == 0 { return .int(0) }
        return try checked(amount > 63 ? .max : value << amount, source, wrapping: "&<<")
    }

    // MARK: - Ranges, order, membership

    private static func range(_ operation: BinaryOperator, _ left: Value, _ right: Value) throws(HostFailure) -> Value {
        guard case .int(let lower) = left, case .int(let second) = right else { throw mismatch(operation, left, right) }
        let upper =
            switch operation {
            case .closedRange: second + 1
            case .countedRange: lower + second
            case _: second
            }
        guard lower <= upper else {
            throw HostFailure(.outOfRange, "the range `\(lower) \(operation.rawValue) \(second)` ends before it begins")
        }
        return .range(lower..<upper)
    }

    private static func compare(_ operation: BinaryOperator, _ left: Value, _ right: Value) throws(HostFailure) -> Bool
    {
        func decide<Operand: Comparable>(_ left: Operand, _ right: Operand) -> Bool {
            switch operation {
            case .less: left < right
            case .lessOrEqual: left <= right
            case .greater: left > right
            case _: left >= right
            }
        }
        switch (left, right) {
        case (.int(let left), .int(let right)): return decide(left, right)
        case (.float(let left), .float(let right)): return decide(left, right)
        case (.int(let left), .float(let right)): return decide(Double(left), right)
        case (.float(let left), .int(let right)): return decide(left, Double(right))
        case (.duration(let left), .duration(let right)): return decide(left, right)
        case (.string(let left), .string(let right)): return decide(left, right)
        case _: throw mismatch(operation, left, right)
        }
    }

    /// Orders two values of one type, for sorting.
    static func isLess(_ left: Value, _ right: Value) throws(HostFailure) -> Bool { try compare(.less, left, right) }

    private static func contains(
        _ collection: Value, _ item: Value, _ operation: BinaryOperator
    ) throws(HostFailure) -> Bool {
        switch (collection, item) {
        case (.list(let list), _): return list.items.contains { $0.isEqual(to: item) }
        case (.map(let map), _): return map.get(item) != nil
        case (.range(let range), .int(let value)): return range.contains(value)
        case (.string(let text), .string(let part)): return part.isEmpty || text.firstRange(of: part) != nil
        case (.bytes(let bytes), .int(let byte)): return bytes.contains { Int128($0) == byte }
        case _: throw mismatch(operation, item, collection)
        }
    }

    private static func mismatch(_ operation: BinaryOperator, _ left: Value, _ right: Value) -> HostFailure {
        HostFailure(
            .wrongOperand, "`\(operation.rawValue)` does not take \(left.typeName) and \(right.typeName)",
            notes: hint(operation, left, right).map { [$0] } ?? [])
    }

    private static func hint(_ operation: BinaryOperator, _ left: Value, _ right: Value) -> String? {
        if operation == .add, left.isString || right.isString {
            return "to put a value into a text, write `\"… \\(value)\"`"
        }
        guard case .int = left, operation == .and || operation == .or else { return nil }
        let bits = operation == .and ? "&" : "|"
        return
            "bits are combined with `\(bits)`, as in `flags \(bits) mask != 0`; `\(operation.rawValue)` joins conditions"
    }
}

extension Value {
    fileprivate var isString: Bool {
        if case .string = self { true } else { false }
    }
}
