import X86

extension Processor {
    /// MUL: rDX:rAX, or AX for bytes, is the product with the accumulator.
    func multiply(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let factor = try read(instruction.operands.0, of: instruction)
        let product = truncate(state.pointee.rax, width: width).multipliedFullWidth(by: factor)
        let low = truncate(product.low, width: width)
        let high = width == 64 ? product.high : product.low >> UInt64(width)
        setPair(high: high, low: low, width: width)
        state.setFlags(result: low, carry: high != 0, overflow: high != 0, width: width)
    }

    /// IMUL with one, two or three operands.
    func multiplySigned(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let a: UInt64
        let b: UInt64
        switch instruction.operandCount {
        case 1:
            a = state.pointee.rax
            b = try read(instruction.operands.0, of: instruction)
        case 2:
            a = general(instruction.operands.0.register)
            b = try read(instruction.operands.1, of: instruction)
        default:
            a = try read(instruction.operands.1, of: instruction)
            b = try read(instruction.operands.2, of: instruction)
        }
        let product = signed(a, width: width).multipliedFullWidth(by: signed(b, width: width))
        let low = truncate(product.low, width: width)
        let high =
            width == 64
            ? UInt64(bitPattern: product.high) : truncate(product.low >> UInt64(width), width: width)
        if instruction.operandCount == 1 {
            setPair(high: high, low: low, width: width)
        } else {
            setGeneral(instruction.operands.0.register, low)
        }
        let isTruncated = high != (topBit(low, width: width) ? truncate(.max, width: width) : 0)
        state.setFlags(result: low, carry: isTruncated, overflow: isTruncated, width: width)
    }

    /// DIV; the flags, which are undefined, stay.
    func divide(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let divisor = try read(instruction.operands.0, of: instruction)
        let dividend = pair(width: width)
        // Covers a divisor of 0 too.
        guard dividend.high < divisor else { throw .divideError }
        let quotient: UInt64
        let remainder: UInt64
        if width == 64 {
            (quotient, remainder) = divisor.dividingFullWidth(dividend)
        } else {
            (quotient, remainder) = (dividend.high << UInt64(width) | dividend.low).quotientAndRemainder(
                dividingBy: divisor)
        }
        setPair(high: remainder, low: quotient, width: width)
    }

    /// IDIV: truncates toward zero, the remainder has the dividend's sign; the flags stay.
    func divideSigned(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let divisor = signed(try read(instruction.operands.0, of: instruction), width: width)
        var dividend = pair(width: width)
        let isNegative = topBit(dividend.high, width: width)
        if isNegative {
            // The magnitude of the double-width number.
            dividend.low = truncate(0 &- dividend.low, width: width)
            dividend.high = truncate(~dividend.high &+ (dividend.low == 0 ? 1 : 0), width: width)
        }
        let magnitude = divisor.magnitude
        guard dividend.high < magnitude else { throw .divideError }
        var quotient: UInt64
        var remainder: UInt64
        if width == 64 {
            (quotient, remainder) = magnitude.dividingFullWidth(dividend)
        } else {
            (quotient, remainder) = (dividend.high << UInt64(width) | dividend.low).quotientAndRemainder(
                dividingBy: magnitude)
        }
        let isQuotientNegative = isNegative != (divisor < 0)
        let limit: UInt64 = 1 << UInt64(width - 1)
        guard quotient < limit || (quotient == limit && isQuotientNegative) else { throw .divideError }
        if isQuotientNegative { quotient = 0 &- quotient }
        if isNegative { remainder = 0 &- remainder }
        setPair(high: remainder, low: quotient, width: width)
    }

    /// MULX: the high half wins if both destinations are one register; no flags.
    func multiplyWithoutFlags(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        let factor = try read(instruction.operands.2, of: instruction)
        let product = truncate(state.pointee.rdx, width: width).multipliedFullWidth(by: factor)
        setGeneral(instruction.operands.1.register, product.low)
        setGeneral(instruction.operands.0.register, width == 64 ? product.high : product.low >> 32)
    }

    /// The double-width number in rDX:rAX, or AX for bytes.
    private func pair(width: Int) -> (high: UInt64, low: UInt64) {
        width == 8
            ? (general(.ah), general(.al))
            : (truncate(state.pointee.rdx, width: width), truncate(state.pointee.rax, width: width))
    }

    private func setPair(high: UInt64, low: UInt64, width: Int) {
        if width == 8 {
            setGeneral(.ax, (high & 0xFF) << 8 | low & 0xFF)
        } else {
            setGeneral(.general(0, width: width), low)
            setGeneral(.general(2, width: width), high)
        }
    }
}
