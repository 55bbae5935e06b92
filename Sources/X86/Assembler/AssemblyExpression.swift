/// An expression in postfix order, so that neither its depth nor its length can exhaust the stack.
struct AssemblyExpression {
    enum Node: Equatable {
        case number(Int64)
        /// Index of the symbol in the assembler's list.
        case symbol(Int)
        /// `$`, the address of the statement.
        case here
        /// `$$`, the address of the first byte.
        case start
        case register(Register)
        case unary(UnaryOperator)
        case binary(BinaryOperator)
        /// `condition ? a : b`.
        case conditional
    }

    struct Step {
        var node: Node
        var range: Range<Int>
    }

    var steps: [Step]
    var range: Range<Int>

    /// A number that the source does not write, for what stands at `range`.
    static func number(_ number: Int64, at range: Range<Int>) -> AssemblyExpression {
        AssemblyExpression(steps: [Step(node: .number(number), range: range)], range: range)
    }

    /// True if neither symbols nor positions are part of the expression.
    var isLiteral: Bool {
        steps.allSatisfy { step in
            switch step.node {
            case .symbol, .here, .start: false
            case .number, .register, .unary, .binary, .conditional: true
            }
        }
    }

    /// The register, if the expression is nothing else.
    var soleRegister: Register? {
        if steps.count == 1, case .register(let register) = steps[0].node { return register }
        return nil
    }

    enum UnaryOperator { case negate, complement, not }

    enum BinaryOperator {
        case add, subtract, multiply, divide, remainder, signedRemainder
        case shiftLeft, shiftRight, signedShiftRight
        case and, or, exclusiveOr
        case logicalAnd, logicalOr, logicalExclusiveOr
        case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    }
}

/// The value of an expression: a number, an address, or an address expression with registers.
struct AssemblyValue {
    /// A register in an address expression.
    struct RegisterTerm {
        var register: Register
        var scale: Int64
        /// True if the source multiplies the register, which makes it the index (`rax*1`).
        var isMultiplied: Bool
    }

    var bits: Int64
    /// How many addresses of this source are added: 0 is a number, 1 an address.
    var addressTerms = 0
    /// True if the number depends on addresses that are not known for good before everything is placed: symbols of
    /// other sources, and addresses used otherwise than in sums.
    var isOpaque = false
    /// True if no symbol and no position is involved, so that the value is the same in every pass.
    var isLiteral = true
    /// True if a symbol is involved that is defined only later in the source.
    var isForward = false
    var registers: [RegisterTerm] = []

    init(_ bits: Int64) { self.bits = bits }

    static func address(_ bits: Int64) -> AssemblyValue {
        var value = AssemblyValue(bits)
        value.addressTerms = 1
        value.isLiteral = false
        return value
    }

    static func opaque(_ bits: Int64) -> AssemblyValue {
        var value = AssemblyValue(bits)
        value.isOpaque = true
        value.isLiteral = false
        return value
    }

    /// True for an address of this source, of another source, or something computed from one.
    var isAddress: Bool { addressTerms != 0 || isOpaque }
    /// True for an address of this source: a short jump may reach it.
    var isLocalAddress: Bool { addressTerms == 1 && !isOpaque }
}

/// What names and positions stand for while expressions are evaluated.
protocol AssemblySymbolValues {
    var here: Int64 { get }
    var start: Int64 { get }
    func value(ofSymbol index: Int, at range: Range<Int>) throws(SourceMistake) -> AssemblyValue
}

extension AssemblyExpression {
    /// The value of the expression, with registers if there are any.
    func evaluate(_ symbols: some AssemblySymbolValues) throws(SourceMistake) -> AssemblyValue {
        if steps.count == 1 { return try Self.leaf(steps[0], symbols) }
        var stack: [AssemblyValue] = []
        for step in steps {
            switch step.node {
            case .number, .symbol, .here, .start, .register:
                stack.append(try Self.leaf(step, symbols))
            case .unary(let operation):
                guard let operand = stack.popLast() else { throw malformed }
                stack.append(try Self.apply(operation, operand, at: step.range))
            case .binary(let operation):
                guard let right = stack.popLast(), let left = stack.popLast() else { throw malformed }
                stack.append(try Self.apply(operation, left, right, at: step.range))
            case .conditional:
                guard let no = stack.popLast(), let yes = stack.popLast(), let condition = stack.popLast() else {
                    throw malformed
                }
                var value = condition.bits != 0 ? yes : no
                Self.inherit(from: condition, into: &value)
                stack.append(value)
            }
        }
        guard let result = stack.last, stack.count == 1 else { throw malformed }
        return result
    }

    /// The value of an expression that must not contain registers.
    func evaluateNumber(_ symbols: some AssemblySymbolValues) throws(SourceMistake) -> AssemblyValue {
        let value = try evaluate(symbols)
        if let term = value.registers.first {
            throw SourceMistake(range, "register `\(term.register)` cannot be part of this expression")
        }
        return value
    }

    private var malformed: SourceMistake { SourceMistake(range, "this is not an expression") }

    private static func leaf(
        _ step: Step, _ symbols: some AssemblySymbolValues
    ) throws(SourceMistake) -> AssemblyValue {
        switch step.node {
        case .number(let number): return AssemblyValue(number)
        case .symbol(let index): return try symbols.value(ofSymbol: index, at: step.range)
        case .here: return .address(symbols.here)
        case .start: return .address(symbols.start)
        case .register(let register):
            var value = AssemblyValue(0)
            value.registers = [.init(register: register, scale: 1, isMultiplied: false)]
            return value
        case .unary, .binary, .conditional:
            throw SourceMistake(step.range, "this is not an expression")
        }
    }

    private static func inherit(from other: AssemblyValue, into value: inout AssemblyValue) {
        value.isLiteral = value.isLiteral && other.isLiteral
        value.isForward = value.isForward || other.isForward
        value.isOpaque = value.isOpaque || other.isOpaque
    }

    private static func apply(
        _ operation: UnaryOperator, _ operand: AssemblyValue, at range: Range<Int>
    ) throws(SourceMistake) -> AssemblyValue {
        var value = operand
        switch operation {
        case .negate:
            value.bits = 0 &- value.bits
            value.addressTerms = -value.addressTerms
            for index in value.registers.indices { value.registers[index].scale = 0 &- value.registers[index].scale }
        case .complement:
            try requireNoRegisters(operand, range)
            value.bits = ~value.bits
            value.isOpaque = operand.isAddress
            value.addressTerms = 0
        case .not:
            try requireNoRegisters(operand, range)
            value.bits = value.bits == 0 ? 1 : 0
            value.isOpaque = operand.isAddress
            value.addressTerms = 0
        }
        return value
    }

    private static func requireNoRegisters(_ value: AssemblyValue, _ range: Range<Int>) throws(SourceMistake) {
        guard let term = value.registers.first else { return }
        throw SourceMistake(
            range, "this operator cannot be applied to register `\(term.register)`",
            hint: "an address is a sum of registers, one of them multiplied by 1, 2, 4 or 8, and a number")
    }

    private static func apply(
        _ operation: BinaryOperator, _ left: AssemblyValue, _ right: AssemblyValue, at range: Range<Int>
    ) throws(SourceMistake) -> AssemblyValue {
        switch operation {
        case .add: return sum(left, right)
        case .subtract: return sum(left, try apply(.negate, right, at: range))
        case .multiply where !left.registers.isEmpty && right.registers.isEmpty:
            return multiplied(left, by: right)
        case .multiply where !right.registers.isEmpty && left.registers.isEmpty:
            return multiplied(right, by: left)
        case .multiply, .divide, .remainder, .signedRemainder, .shiftLeft, .shiftRight,
            .signedShiftRight, .and, .or, .exclusiveOr, .logicalAnd, .logicalOr, .logicalExclusiveOr,
            .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            break
        }
        try requireNoRegisters(left, range)
        try requireNoRegisters(right, range)
        var value = AssemblyValue(try compute(operation, left.bits, right.bits, at: range))
        inherit(from: left, into: &value)
        inherit(from: right, into: &value)
        switch operation {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            // Two addresses of one source compare by their distance, which is a number.
            if left.addressTerms != right.addressTerms { value.isOpaque = true }
        case .add, .subtract, .multiply, .divide, .remainder, .signedRemainder, .shiftLeft,
            .shiftRight, .signedShiftRight, .and, .or, .exclusiveOr, .logicalAnd, .logicalOr, .logicalExclusiveOr:
            if left.isAddress || right.isAddress { value.isOpaque = true }
        }
        return value
    }

    private static func sum(_ left: AssemblyValue, _ right: AssemblyValue) -> AssemblyValue {
        var value = left
        value.bits = left.bits &+ right.bits
        value.addressTerms = left.addressTerms &+ right.addressTerms
        inherit(from: right, into: &value)
        for term in right.registers {
            if let index = value.registers.firstIndex(where: { $0.register == term.register }) {
                value.registers[index].scale = value.registers[index].scale &+ term.scale
            } else {
                value.registers.append(term)
            }
        }
        value.registers.removeAll { $0.scale == 0 }
        return value
    }

    private static func multiplied(_ registers: AssemblyValue, by factor: AssemblyValue) -> AssemblyValue {
        var value = registers
        value.bits = registers.bits &* factor.bits
        value.isOpaque = registers.isAddress || factor.isAddress
        value.addressTerms = 0
        value.isLiteral = registers.isLiteral && factor.isLiteral
        value.isForward = registers.isForward || factor.isForward
        for index in value.registers.indices {
            value.registers[index].scale = value.registers[index].scale &* factor.bits
            value.registers[index].isMultiplied = true
        }
        value.registers.removeAll { $0.scale == 0 }
        return value
    }

    private static func compute(
        _ operation: BinaryOperator, _ left: Int64, _ right: Int64, at range: Range<Int>
    ) throws(SourceMistake) -> Int64 {
        let (unsignedLeft, unsignedRight) = (UInt64(bitPattern: left), UInt64(bitPattern: right))
        func shiftCount() throws(SourceMistake) -> Int64 {
            guard right >= 0, right < 64 else { throw SourceMistake(range, "shift count \(right) is not in 0...63") }
            return right
        }
        func divisor() throws(SourceMistake) -> UInt64 {
            guard right != 0 else { throw SourceMistake(range, "division by zero") }
            return unsignedRight
        }
        switch operation {
        case .add: return left &+ right
        case .subtract: return left &- right
        case .multiply: return left &* right
        case .divide: return Int64(bitPattern: unsignedLeft / (try divisor()))
        case .remainder: return Int64(bitPattern: unsignedLeft % (try divisor()))
        case .signedRemainder:
            _ = try divisor()
            return left.remainderReportingOverflow(dividingBy: right).partialValue
        case .shiftLeft: return left &<< (try shiftCount())
        case .shiftRight: return Int64(bitPattern: unsignedLeft &>> UInt64(try shiftCount()))
        case .signedShiftRight: return left &>> (try shiftCount())
        case .and: return left & right
        case .or: return left | right
        case .exclusiveOr: return left ^ right
        case .logicalAnd: return left != 0 && right != 0 ? 1 : 0
        case .logicalOr: return left != 0 || right != 0 ? 1 : 0
        case .logicalExclusiveOr: return (left != 0) != (right != 0) ? 1 : 0
        case .equal: return left == right ? 1 : 0
        case .notEqual: return left != right ? 1 : 0
        case .less: return left < right ? 1 : 0
        case .lessOrEqual: return left <= right ? 1 : 0
        case .greater: return left > right ? 1 : 0
        case .greaterOrEqual: return left >= right ? 1 : 0
        }
    }
}
