import VScriptSyntax

/// The operators on values (README 2.3).
///
/// Ints are exact and overflow is an error; bit operators and those that begin with `&` work on 64-bit
/// patterns and give unsigned results.
enum Arithmetic {
    // MARK: - Arithmetic

    static func integers(
        _ operation: BinaryOperator, _ left: Int128, _ right: Int128
    ) throws(HostFailure) -> Cell {
        var source: String { "\(left) \(operation.rawValue) \(right)" }
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
    static func checked(
        _ value: Int128, _ source: @autoclosure () -> String, wrapping: String? = nil
    ) throws(HostFailure) -> Cell {
        if Value.integers.contains(value) { return .int(value) }
        throw HostFailure(
            .overflow, "`\(source())` does not fit an int", notes: ["an int holds -2⁶³ to 2⁶⁴ - 1"],
            operatorFix: wrapping
        )
    }

    static func floats(_ operation: BinaryOperator, _ left: Double, _ right: Double) -> Double {
        if operation == .add { return left + right }
        if operation == .subtract { return left - right }
        if operation == .multiply { return left * right }
        return operation == .divide ? left / right : left.truncatingRemainder(dividingBy: right)
    }

    /// Operators with a duration; nil if it does not take such operands.
    static func durations(_ operation: BinaryOperator, _ left: Cell, _ right: Cell) throws(HostFailure) -> Cell? {
        let (time, other) = (left.nanoseconds, right.nanoseconds)
        switch (operation, left.kind, right.kind) {
        case (.add, .duration, .duration):
            let (sum, overflow) = time.addingReportingOverflow(other)
            return try duration(sum, overflow)
        case (.subtract, .duration, .duration):
            let (difference, overflow) = time.subtractingReportingOverflow(other)
            return try duration(difference, overflow)
        case (.multiply, .duration, .int), (.multiply, .duration, .unsigned): return try product(time, right.wide)
        case (.multiply, .int, .duration), (.multiply, .unsigned, .duration): return try product(other, left.wide)
        case (.multiply, .duration, .float): return try duration(Double(time) * right.double)
        case (.multiply, .float, .duration): return try duration(Double(other) * left.double)
        case (.divide, .duration, .int), (.divide, .duration, .unsigned):
            guard right.wide != 0 else { throw HostFailure(.divisionByZero, "division by zero") }
            let quotient = Int128(time) / right.wide
            return try duration(Int64(truncatingIfNeeded: quotient), Int64(exactly: quotient) == nil)
        case (.divide, .duration, .float): return try duration(Double(time) / right.double)
        case (.divide, .duration, .duration): return .float(Double(time) / Double(other))
        case (.remainder, .duration, .duration):
            guard other != 0 else { throw HostFailure(.divisionByZero, "division by zero") }
            return .duration(other == -1 ? 0 : time % other)
        case _: return nil
        }
    }

    private static func product(_ time: Int64, _ factor: Int128) throws(HostFailure) -> Cell {
        let (product, overflow) = Int128(time).multipliedReportingOverflow(by: factor)
        return try duration(Int64(truncatingIfNeeded: product), overflow || Int64(exactly: product) == nil)
    }

    static func duration(_ value: Int64, _ overflow: Bool) throws(HostFailure) -> Cell {
        guard !overflow else {
            throw HostFailure(.overflow, "the duration does not fit", notes: ["a duration holds about ±292 years"])
        }
        return .duration(value)
    }

    private static func duration(_ value: Double) throws(HostFailure) -> Cell {
        let whole = Int64(exactly: value.rounded(.towardZero))
        return try duration(whole ?? 0, whole == nil)
    }

    // MARK: - Bits

    /// Operators on 64-bit patterns.
    static func pattern(_ operation: BinaryOperator, _ left: UInt64, _ right: UInt64) -> Cell {
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
        return .unsigned(result)
    }

    static func shift(_ operation: BinaryOperator, _ value: Int128, _ amount: Int128) throws(HostFailure) -> Cell {
        guard amount >= 0 else {
            throw HostFailure(
                .outOfRange, "a shift by \(amount) is not possible", notes: ["shift the other way instead"])
        }
        let bits = UInt64(truncatingIfNeeded: value)
        if operation == .shiftRight { return amount > 63 ? .int(0) : .unsigned(bits >> UInt64(amount)) }
        if operation == .wrappingShiftLeft { return amount > 63 ? .int(0) : .unsigned(bits << UInt64(amount)) }
        if value == 0 { return .int(0) }
        return try checked(amount > 63 ? .max : value << amount, "\(value) << \(amount)", wrapping: "&<<")
    }

    // MARK: - Ranges

    static func range(
        _ operation: BinaryOperator, _ lower: Int128, _ second: Int128
    ) throws(HostFailure) -> Range<Int128> {
        let upper =
            switch operation {
            case .closedRange: second + 1
            case .countedRange: lower + second
            case _: second
            }
        guard lower <= upper else {
            throw HostFailure(.outOfRange, "the range `\(lower) \(operation.rawValue) \(second)` ends before it begins")
        }
        guard upper <= Value.integers.upperBound + 1 else {
            throw HostFailure(.overflow, "the range `\(lower) \(operation.rawValue) \(second)` has more than the ints")
        }
        return lower..<upper
    }
}
