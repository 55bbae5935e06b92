extension X87Environment {
    /// Rounds a result that is known to be inexact.
    private mutating func packInexact(_ number: UnpackedNumber) -> Extended {
        var result = number
        result.significand |= 1
        return pack(result)
    }

    // MARK: Exponential and logarithm

    /// F2XM1: 2^`value` − 1; operands beyond ±1, undefined in the manuals, give the function's value too.
    package mutating func exponential2MinusOne(_ value: Extended) -> Extended {
        let x = UnpackedNumber(value)
        if Self.needsNaN(x, x) { return propagateNaN(x, x) }
        checkDenormal(x, x)
        if x.kind == .zero { return value }
        if x.kind == .infinity { return pack(x.isNegative ? UnpackedNumber.one.negated : x) }
        let result = UnpackedNumber.exponential2MinusOne(x)
        // Only integers have a rational power.
        let isExact = x.exponent >= 0 && x.exponent < 6 && !x.roundedToInteger(.towardZero).isInexact
        return isExact ? pack(result) : packInexact(result)
    }

    /// FYL2X: `y` · log₂ `x`.
    package mutating func logarithm2(_ x: Extended, times y: Extended) -> Extended {
        logarithm2(UnpackedNumber(x), UnpackedNumber(y))
    }

    private mutating func logarithm2(_ x: UnpackedNumber, _ y: UnpackedNumber) -> Extended {
        if Self.needsNaN(x, y) { return propagateNaN(x, y) }
        if x.isNegative && x.kind != .zero { return pack(.invalid) }
        if x.kind == .zero || x.kind == .infinity {
            if y.kind == .zero { return pack(.invalid) }
            if x.kind == .zero && y.kind == .finite { raise(.divideByZero) } else { checkDenormal(x, y) }
            return pack(.infinity(isNegative: y.isNegative != (x.kind == .zero)))
        }
        let isPowerOfTwo = x.significand == 1 << 127
        let logarithm = isPowerOfTwo ? UnpackedNumber(Int64(x.exponent)) : UnpackedNumber.logarithm2(x)
        return product(logarithm, y, isExact: isPowerOfTwo, isDenormal: x.isDenormal || y.isDenormal)
    }

    /// FYL2XP1: `y` · log₂(1 + `x`); operands beyond ±(1 − √½), undefined in the manuals, give that value too.
    package mutating func logarithm2OfOnePlus(_ x: Extended, times y: Extended) -> Extended {
        let operand = UnpackedNumber(x)
        let factor = UnpackedNumber(y)
        if Self.needsNaN(operand, factor) { return propagateNaN(operand, factor) }
        if operand.kind == .infinity || operand.exponent >= 0 && operand.kind == .finite {
            // From −1 and from 1 on, 1 + x is handled as FYL2X's operand.
            return logarithm2(UnpackedNumber.sum(.one, operand, .nearestEven), factor)
        }
        let logarithm =
            operand.kind == .zero ? operand : UnpackedNumber.logarithm2OfOnePlus(operand)
        return product(
            logarithm, factor, isExact: false, isDenormal: operand.isDenormal || factor.isDenormal)
    }

    /// A logarithm times the other operand.
    private mutating func product(
        _ logarithm: UnpackedNumber, _ y: UnpackedNumber, isExact: Bool, isDenormal: Bool
    ) -> Extended {
        if y.kind == .infinity && logarithm.kind == .zero { return pack(.invalid) }
        if isDenormal { raise(.denormalOperand) }
        let isNegative = logarithm.isNegative != y.isNegative
        if y.kind == .infinity { return pack(.infinity(isNegative: isNegative)) }
        if y.kind == .zero || logarithm.kind == .zero { return pack(.zero(isNegative: isNegative)) }
        let result = UnpackedNumber.wideProduct(logarithm, y)
        return isExact ? pack(result) : packInexact(result)
    }

    // MARK: Trigonometry

    /// FPATAN: the angle of the vector (`x`, `y`), between −π and π.
    package mutating func arcTangent(_ y: Extended, over x: Extended) -> Extended {
        let y = UnpackedNumber(y)
        let x = UnpackedNumber(x)
        if Self.needsNaN(x, y) { return propagateNaN(x, y) }
        checkDenormal(x, y)
        var result: UnpackedNumber
        if y.kind == .zero || (x.kind == .infinity && y.kind != .infinity) {
            if !x.isNegative { return pack(.zero(isNegative: y.isNegative)) }
            result = .pi
        } else if x.kind == .zero || (y.kind == .infinity && x.kind != .infinity) {
            result = UnpackedNumber.pi.scaled(by: -1)
        } else if y.kind == .infinity {
            let quarter = UnpackedNumber.pi.scaled(by: -2)
            result = x.isNegative ? .wideSum(.pi, quarter.negated) : quarter
        } else {
            var height = y
            height.isNegative = false
            result = .angle(x: x, y: height)
        }
        result.isNegative = y.isNegative
        return packInexact(result)
    }

    /// FSIN; from 2^63 on the operand itself, with C2 set.
    package mutating func sine(_ value: Extended) -> Extended {
        let x = UnpackedNumber(value)
        guard x.isAngle else { return withoutReduction(x, value, ofZero: value) }
        checkDenormal(x, x)
        return packInexact(.sine(UnpackedNumber.reduce(x)))
    }

    /// FCOS; from 2^63 on the operand itself, with C2 set.
    package mutating func cosine(_ value: Extended) -> Extended {
        let x = UnpackedNumber(value)
        guard x.isAngle else { return withoutReduction(x, value, ofZero: .one) }
        checkDenormal(x, x)
        return packInexact(.cosine(UnpackedNumber.reduce(x)))
    }

    /// FSINCOS: the sine for the place of the operand and the cosine to push.
    ///
    /// From 2^63 on both are the operand and C2 (bit 10 of `conditionCodes`) says that nothing is to be pushed. C1
    /// tells how the cosine was rounded.
    package mutating func sineAndCosine(_ value: Extended) -> (sine: Extended, cosine: Extended) {
        let x = UnpackedNumber(value)
        guard x.isAngle else {
            let sine = withoutReduction(x, value, ofZero: value)
            return (sine, withoutReduction(x, value, ofZero: .one))
        }
        checkDenormal(x, x)
        let angle = UnpackedNumber.reduce(x)
        let sine = packInexact(.sine(angle))
        conditionCodes = 0
        return (sine, packInexact(.cosine(angle)))
    }

    /// FPTAN: the tangent for the place of the operand and the number to push after it.
    ///
    /// The latter is one, or the NaN where the former is. From 2^63 on both are the operand and C2 (bit 10 of
    /// `conditionCodes`) says that nothing is to be pushed.
    package mutating func tangent(_ value: Extended) -> (tangent: Extended, pushed: Extended) {
        let x = UnpackedNumber(value)
        guard x.isAngle else {
            let tangent = withoutReduction(x, value, ofZero: value)
            return (tangent, withoutReduction(x, value, ofZero: .one))
        }
        checkDenormal(x, x)
        let angle = UnpackedNumber.reduce(x)
        return (packInexact(.wideQuotient(.sine(angle), .cosine(angle))), .one)
    }

    /// The result for operands that are not angles to reduce.
    private mutating func withoutReduction(
        _ x: UnpackedNumber, _ value: Extended, ofZero: Extended
    ) -> Extended {
        switch x.kind {
        case .zero: return ofZero
        case .finite:
            conditionCodes |= Self.incomplete
            return value
        case .infinity: return pack(.invalid)
        case .quietNaN, .signalingNaN, .unsupported, .invalid: return propagateNaN(x, x)
        }
    }
}

extension UnpackedNumber {
    /// Whether the trigonometric instructions accept this number: finite, not zero and below 2^63.
    fileprivate var isAngle: Bool { kind == .finite && exponent < 63 }
}
