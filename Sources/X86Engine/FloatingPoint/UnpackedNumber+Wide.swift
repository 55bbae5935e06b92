// Arithmetic on all 128 bits of the significand, for the elementary functions. Operands are finite or zero; results
// are truncated, a lost part recorded in the last place, which makes the error at most 2^−127 of the result.

extension UnpackedNumber {
    @inline(__always)
    static func wideSum(_ x: UnpackedNumber, _ y: UnpackedNumber) -> UnpackedNumber { sum(x, y, .nearestEven) }

    static func wideProduct(_ x: UnpackedNumber, _ y: UnpackedNumber) -> UnpackedNumber {
        let isNegative = x.isNegative != y.isNegative
        guard x.kind == .finite, y.kind == .finite else { return .zero(isNegative: isNegative) }
        let (high, low) = x.significand.multipliedFullWidth(by: y.significand)
        let isNormalized = high >> 127 != 0
        let significand = isNormalized ? high : high << 1 | low >> 127
        let rest = isNormalized ? low : low << 1
        return UnpackedNumber(
            kind: .finite, isNegative: isNegative, exponent: x.exponent &+ y.exponent &+ (isNormalized ? 1 : 0),
            significand: significand | (rest == 0 ? 0 : 1))
    }

    /// The quotient by a number other than zero.
    static func wideQuotient(_ x: UnpackedNumber, _ y: UnpackedNumber) -> UnpackedNumber {
        let isNegative = x.isNegative != y.isNegative
        guard x.kind == .finite, y.kind == .finite else { return .zero(isNegative: isNegative) }
        // As in `quotient`: the dividend's upper half stays below the divisor.
        let isLess = x.significand < y.significand
        let (quotient, remainder) = y.significand.dividingFullWidth(
            isLess ? (x.significand, 0) : (x.significand >> 1, x.significand << 127))
        return UnpackedNumber(
            kind: .finite, isNegative: isNegative, exponent: x.exponent &- y.exponent &- (isLess ? 1 : 0),
            significand: quotient | (remainder == 0 ? 0 : 1))
    }

    /// The quotient by a small positive integer.
    @inline(__always)
    func divided(by divisor: UInt64) -> UnpackedNumber {
        let (high, rest) = significand64.quotientAndRemainder(dividingBy: divisor)
        let (low, remainder) = divisor.dividingFullWidth((rest, UInt64(truncatingIfNeeded: significand)))
        return UnpackedNumber(
            normalizing: UInt128(high) << 64 | UInt128(low) | (remainder == 0 ? 0 : 1), exponent: exponent,
            isNegative: isNegative)
    }

    /// This number times 2^`power`.
    @inline(__always)
    func scaled(by power: Int32) -> UnpackedNumber {
        var result = self
        result.exponent &+= power
        return result
    }
}
