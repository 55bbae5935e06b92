// The operations of the hot loop. Each is a type, so that generic forms are specialized and inlined into their case.

/// Computes from two values and sets the flags.
protocol BinaryOperation {
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T
    /// False for CMP and TEST, which only set flags.
    static var writes: Bool { get }
}

/// Computes from one value and sets the flags.
protocol UnaryOperation {
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T
}

/// Shifts by a count that is already masked to the operand size and not zero.
protocol ShiftOperation {
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ count: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T
}

extension BinaryOperation {
    @inline(__always) static var writes: Bool { true }

    @inline(__always)
    static func registerRegister<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>
    ) {
        let value = apply(c.get(T.self, op.pointee.destination), c.get(T.self, op.pointee.source), c.state)
        if writes { c.put(T.self, op.pointee.destination, value) }
    }

    @inline(__always)
    static func registerImmediate<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>
    ) {
        let value = apply(c.get(T.self, op.pointee.destination), T(truncatingIfNeeded: op.pointee.immediate), c.state)
        if writes { c.put(T.self, op.pointee.destination, value) }
    }

    @inline(__always)
    static func registerMemory<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        guard let b = c.read(T.self, c.address(op), op, time) else { return false }
        let value = apply(c.get(T.self, op.pointee.destination), b, c.state)
        if writes { c.put(T.self, op.pointee.destination, value) }
        return true
    }

    @inline(__always)
    static func memoryRegister<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        update(c, op, time, c.get(T.self, op.pointee.source))
    }

    @inline(__always)
    static func memoryImmediate<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        update(c, op, time, T(truncatingIfNeeded: op.pointee.immediate))
    }

    @inline(__always)
    private static func update<T: FixedWidthInteger & UnsignedInteger>(
        _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ b: T
    ) -> Bool {
        let linear = c.address(op)
        guard writes else {
            guard let a = c.read(T.self, linear, op, time) else { return false }
            _ = apply(a, b, c.state)
            return true
        }
        if let host = c.writable(linear, T.bitWidth / 8) {
            // SAFETY: the tag matched, so the bytes lie inside one page of guest RAM.
            host.storeBytes(of: apply(host.loadUnaligned(as: T.self), b, c.state), as: T.self)
            return true
        }
        let a = T(truncatingIfNeeded: c.loadForUpdateSlow(op, time, linear, T.bitWidth / 8))
        if c.control.pointee.hasFault { return false }
        let value = apply(a, b, c.state)
        c.storeSlow(op, time, linear, UInt64(truncatingIfNeeded: value), T.bitWidth / 8)
        return !c.control.pointee.hasFault
    }
}

extension UnaryOperation {
    @inline(__always)
    static func register<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>
    ) {
        c.put(T.self, op.pointee.destination, apply(c.get(T.self, op.pointee.destination), c.state))
    }

    @inline(__always)
    static func memory<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        let linear = c.address(op)
        if let host = c.writable(linear, T.bitWidth / 8) {
            // SAFETY: the tag matched, so the bytes lie inside one page of guest RAM.
            host.storeBytes(of: apply(host.loadUnaligned(as: T.self), c.state), as: T.self)
            return true
        }
        let a = T(truncatingIfNeeded: c.loadForUpdateSlow(op, time, linear, T.bitWidth / 8))
        if c.control.pointee.hasFault { return false }
        let value = apply(a, c.state)
        c.storeSlow(op, time, linear, UInt64(truncatingIfNeeded: value), T.bitWidth / 8)
        return !c.control.pointee.hasFault
    }
}

extension ShiftOperation {
    @inline(__always)
    static func byImmediate<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>
    ) {
        let value = apply(c.get(T.self, op.pointee.destination), T(truncatingIfNeeded: op.pointee.immediate), c.state)
        c.put(T.self, op.pointee.destination, value)
    }

    @inline(__always)
    static func byCount<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ c: HotContext, _ op: UnsafeMutablePointer<MicroOperation>
    ) {
        let count = T(truncatingIfNeeded: c.get(UInt8.self, 8)) & T(truncatingIfNeeded: T.bitWidth - 1)
        let old = c.get(T.self, op.pointee.destination)
        // A count of zero changes no flag, but a 32-bit destination is still written.
        c.put(T.self, op.pointee.destination, count == 0 ? old : apply(old, count, c.state))
    }
}

enum Addition: BinaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let result = a &+ b
        state.setFlagsOfAddition(a, b, result: result)
        return result
    }
}

enum AdditionWithCarry: BinaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let result = a &+ b &+ (state.pointee.CF ? 1 : 0)
        state.setFlagsOfAddition(a, b, result: result)
        return result
    }
}

enum Subtraction: BinaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let result = a &- b
        state.setFlagsOfSubtraction(a, b, result: result)
        return result
    }
}

enum SubtractionWithBorrow: BinaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let result = a &- b &- (state.pointee.CF ? 1 : 0)
        state.setFlagsOfSubtraction(a, b, result: result)
        return result
    }
}

enum Comparison: BinaryOperation {
    @inline(__always) static var writes: Bool { false }
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        Subtraction.apply(a, b, state)
    }
}

enum Conjunction: BinaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        state.setFlagsOfLogic(result: a & b)
        return a & b
    }
}

enum Test: BinaryOperation {
    @inline(__always) static var writes: Bool { false }
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        Conjunction.apply(a, b, state)
    }
}

enum Disjunction: BinaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        state.setFlagsOfLogic(result: a | b)
        return a | b
    }
}

enum ExclusiveOr: BinaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ b: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        state.setFlagsOfLogic(result: a ^ b)
        return a ^ b
    }
}

enum Increment: UnaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        state.setFlagsOfIncrement(a, result: a &+ 1)
        return a &+ 1
    }
}

enum Decrement: UnaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        state.setFlagsOfDecrement(a, result: a &- 1)
        return a &- 1
    }
}

enum Negation: UnaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        Subtraction.apply(0, a, state)
    }
}

enum Complement: UnaryOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        ~a
    }
}

// Shifts leave OF defined for a count of 1 only; like current processors, these set it for every count as the last
// one-bit step would (SDM vol. 2, SAL/SAR/SHL/SHR).

enum ShiftLeft: ShiftOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ count: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let result = a &<< count
        let carry = (a &>> (T(truncatingIfNeeded: T.bitWidth) &- count)) & 1 != 0
        state.setFlags(result: result, carry: carry, overflow: carry != (result >> T(T.bitWidth - 1) != 0))
        return result
    }
}

enum ShiftRight: ShiftOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ count: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let before = a &>> (count &- 1)
        let result = before >> 1
        state.setFlags(result: result, carry: before & 1 != 0, overflow: before >> T(T.bitWidth - 1) != 0)
        return result
    }
}

enum ShiftArithmetic: ShiftOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ count: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let sign: T = a >> T(T.bitWidth - 1) != 0 ? .max : 0
        let fill = sign &<< (T(truncatingIfNeeded: T.bitWidth) &- count)
        let result = a &>> count | fill
        let carry = (a &>> (count &- 1)) & 1 != 0
        state.setFlags(result: result, carry: carry, overflow: false)
        return result
    }
}

enum RotateLeft: ShiftOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ count: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let result = a &<< count | a &>> (T(truncatingIfNeeded: T.bitWidth) &- count)
        let carry = result & 1 != 0
        state.setCarryAndOverflow(carry, carry != (result >> T(T.bitWidth - 1) != 0))
        return result
    }
}

enum RotateRight: ShiftOperation {
    @inline(__always)
    static func apply<T: FixedWidthInteger & UnsignedInteger>(
        _ a: T, _ count: T, _ state: UnsafeMutablePointer<ProcessorState>
    ) -> T {
        let result = a &>> count | a &<< (T(truncatingIfNeeded: T.bitWidth) &- count)
        let top = result >> T(T.bitWidth - 1) != 0
        state.setCarryAndOverflow(top, top != ((result >> T(T.bitWidth - 2)) & 1 != 0))
        return result
    }
}

// MARK: - Operations with forms of their own

extension HotContext {
    /// IMUL with two or three operands: CF and OF say whether the product was cut.
    @inline(__always)
    func multiply<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ a: T, _ b: T
    ) {
        let result = a &* b
        let cut: Bool
        if T.bitWidth == 64 {
            cut =
                Int64(truncatingIfNeeded: a).multipliedReportingOverflow(by: Int64(truncatingIfNeeded: b)).overflow
        } else {
            cut =
                Int32(truncatingIfNeeded: a).multipliedReportingOverflow(by: Int32(truncatingIfNeeded: b)).overflow
        }
        state.setFlags(result: result, carry: cut, overflow: cut)
        put(T.self, op.pointee.destination, result)
    }

    @inline(__always)
    func multiplyMemory<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        guard let value = read(T.self, address(op), op, time) else { return false }
        multiply(T.self, op, get(T.self, op.pointee.destination), value)
        return true
    }

    /// MUL: rDX:rAX = rAX * source.
    @inline(__always)
    func multiplyWide<T: FixedWidthInteger & UnsignedInteger>(_: T.Type, _ op: UnsafeMutablePointer<MicroOperation>) {
        let (high, low) = get(T.self, 0).multipliedFullWidth(by: get(T.self, op.pointee.source))
        put(T.self, 0, T(truncatingIfNeeded: low))
        put(T.self, 16, high)
        state.setFlags(result: T(truncatingIfNeeded: low), carry: high != 0, overflow: high != 0)
    }

    /// DIV: rAX, rDX = rDX:rAX / source, or #DE.
    ///
    /// Flags, undefined in the manuals, stay.
    @inline(__always)
    func divide<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        let divisor = get(T.self, op.pointee.source)
        let high = get(T.self, 16)
        guard divisor > high else {
            failDivision(op, time)
            return false
        }
        let low = get(T.self, 0)
        if high == 0 {
            put(T.self, 0, low / divisor)
            put(T.self, 16, low % divisor)
        } else {
            let (quotient, remainder) = divisor.dividingFullWidth((high, T.Magnitude(truncatingIfNeeded: low)))
            put(T.self, 0, quotient)
            put(T.self, 16, remainder)
        }
        return true
    }

    @inline(__always)
    func exchange<T: FixedWidthInteger & UnsignedInteger>(_: T.Type, _ op: UnsafeMutablePointer<MicroOperation>) {
        let a = get(T.self, op.pointee.destination)
        put(T.self, op.pointee.destination, get(T.self, op.pointee.source))
        put(T.self, op.pointee.source, a)
    }

    /// Replaces a memory operand; `body` gives the new value and changes registers only after the write is certain.
    @inline(__always)
    private func update<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ body: (T) -> T
    ) -> Bool {
        let linear = address(op)
        if let host = writable(linear, T.bitWidth / 8) {
            // SAFETY: the tag matched, so the bytes lie inside one page of guest RAM.
            host.storeBytes(of: body(host.loadUnaligned(as: T.self)), as: T.self)
            return true
        }
        let old = T(truncatingIfNeeded: loadForUpdateSlow(op, time, linear, T.bitWidth / 8))
        if control.pointee.hasFault { return false }
        storeSlow(op, time, linear, UInt64(truncatingIfNeeded: body(old)), T.bitWidth / 8)
        return !control.pointee.hasFault
    }

    @inline(__always)
    func exchangeMemory<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        update(T.self, op, time) { old in
            let value = get(T.self, op.pointee.source)
            put(T.self, op.pointee.source, old)
            return value
        }
    }

    @inline(__always)
    func exchangeAdd<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        update(T.self, op, time) { old in
            let sum = Addition.apply(old, get(T.self, op.pointee.source), state)
            put(T.self, op.pointee.source, old)
            return sum
        }
    }

    /// CMPXCHG: the old value is written back when it differs.
    ///
    /// SDM vol. 2, CMPXCHG.
    @inline(__always)
    func compareExchange<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        update(T.self, op, time) { old in
            let expected = get(T.self, 0)
            _ = Subtraction.apply(expected, old, state)
            if expected == old { return get(T.self, op.pointee.source) }
            put(T.self, 0, old)
            return old
        }
    }

    @inline(__always)
    func moveIf<T: FixedWidthInteger & UnsignedInteger>(_: T.Type, _ op: UnsafeMutablePointer<MicroOperation>) {
        let source = get(T.self, op.pointee.source)
        let old = get(T.self, op.pointee.destination)
        // A 32-bit destination is zero-extended whether the condition holds or not.
        put(
            T.self, op.pointee.destination,
            state.pointee.holds(UInt8(truncatingIfNeeded: op.pointee.immediate)) ? source : old)
    }

    @inline(__always)
    func moveIfMemory<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        guard let value = read(T.self, address(op), op, time) else { return false }
        let old = get(T.self, op.pointee.destination)
        put(
            T.self, op.pointee.destination,
            state.pointee.holds(UInt8(truncatingIfNeeded: op.pointee.immediate)) ? value : old)
        return true
    }

    /// BT: only CF changes.
    @inline(__always)
    func bitTest<T: FixedWidthInteger & UnsignedInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ index: T
    ) {
        let bit = (get(T.self, op.pointee.destination) &>> (index & T(truncatingIfNeeded: T.bitWidth - 1))) & 1
        state.setCarryAndOverflow(bit != 0, state.pointee.OF)
    }
}
