// The functions behind the x87's transcendental instructions, in 128-bit arithmetic: each reduces its argument with
// a table or a constant until a short power series reaches full precision. Relative errors stay below 2^−110, so the
// result rounded to 64 bits is within 0.50001 units of the last place. Exact results are the callers' to know.

extension UnpackedNumber {
    /// How many terms of a power series in a variable of this exponent matter, at most `limit`.
    private func significantTerms(limit: UInt64) -> UInt64 {
        guard kind == .finite, exponent < 0 else { return kind == .finite ? limit : 0 }
        return min(limit, UInt64(130 / Int64(-exponent)) &+ 1)
    }

    // MARK: Exponential

    /// 2^`x` − 1 for a finite x.
    static func exponential2MinusOne(_ x: UnpackedNumber) -> UnpackedNumber {
        if x.exponent >= 16 {
            // Far outside the instruction's domain: overflow, or minus one but for a part too small to see.
            let huge = one.scaled(by: 1 << 17)
            return x.isNegative ? wideSum(one.scaled(by: -(1 << 17)), one.negated) : huge
        }
        let sixteenths = x.scaled(by: 4).roundedToInteger(.nearestEven).magnitude
        let rest = wideSum(x, UnpackedNumber(magnitude: sixteenths, isNegative: !x.isNegative).scaled(by: -4))
        let tail = exponentialMinusOne(wideProduct(rest, logOf2))
        if sixteenths == 0 { return tail }
        let index = x.isNegative ? 0 &- Int32(truncatingIfNeeded: sixteenths) : Int32(truncatingIfNeeded: sixteenths)
        let power = ElementaryTables.exponential2(sixteenths: index & 15).scaled(by: index >> 4)
        return wideSum(wideProduct(power, tail), wideSum(power, one.negated))
    }

    /// e^`t` − 1 for |t| up to ln 2 / 32, by its power series.
    private static func exponentialMinusOne(_ t: UnpackedNumber) -> UnpackedNumber {
        var series = one
        var divisor = t.significantTerms(limit: 17)
        while divisor > 1 {
            series = wideSum(one, wideProduct(t, series).divided(by: divisor))
            divisor &-= 1
        }
        return wideProduct(t, series)
    }

    // MARK: Logarithm

    /// log₂ `x` for a positive finite x.
    static func logarithm2(_ x: UnpackedNumber) -> UnpackedNumber {
        // The significand between √½ and √2, and the nearest multiple of 1/32.
        let squareRootOf2: UInt128 = 0xB504_F333_F9DE_6484_597D_89B3_754A_BE9F
        let isUpper = x.significand >= squareRootOf2
        let exponent = isUpper ? x.exponent &+ 1 : x.exponent
        let mantissa = x.scaled(by: 0 &- exponent)
        let thirtySeconds = mantissa.scaled(by: 5).roundedToInteger(.nearestEven).magnitude
        let center = UnpackedNumber(magnitude: thirtySeconds, isNegative: false).scaled(by: -5)
        let tail = logarithm2OfRatio(
            wideSum(mantissa, center.negated), wideSum(mantissa, center))
        let head = wideSum(
            UnpackedNumber(Int64(exponent)), ElementaryTables.logarithm2(thirtySeconds: thirtySeconds))
        return wideSum(head, tail)
    }

    /// log₂(1 + `x`) for a finite x above −1.
    static func logarithm2OfOnePlus(_ x: UnpackedNumber) -> UnpackedNumber {
        if x.exponent >= -6 { return logarithm2(wideSum(one, x)) }
        return logarithm2OfRatio(x, wideSum(one.scaled(by: 1), x))
    }

    /// log₂((b + a)/(b − a)) for a small against b: 2 log₂ e · artanh(a/b) by its power series.
    private static func logarithm2OfRatio(_ a: UnpackedNumber, _ b: UnpackedNumber) -> UnpackedNumber {
        let ratio = wideQuotient(a, b)
        let square = wideProduct(ratio, ratio)
        var term = square.significantTerms(limit: 12)
        var series = one.divided(by: 2 &* term &+ 1)
        while term > 0 {
            term &-= 1
            series = wideSum(one.divided(by: 2 &* term &+ 1), wideProduct(square, series))
        }
        return wideProduct(wideProduct(ratio, series), log2OfE.scaled(by: 1))
    }

    // MARK: Arc tangent

    /// The angle from 0 to π of the vector (`x`, `y`), both finite, y positive; x has any sign.
    static func angle(x: UnpackedNumber, y: UnpackedNumber) -> UnpackedNumber {
        var width = x
        width.isNegative = false
        let difference = wideSum(y, width.negated)
        let isSteep = difference.kind == .finite && !difference.isNegative
        // The angle to the nearer axis, at most π/4.
        let acute = isSteep ? arcTangent(width, y) : arcTangent(y, width)
        if isSteep { return wideSum(pi.scaled(by: -1), x.isNegative ? acute : acute.negated) }
        return x.isNegative ? wideSum(pi, acute.negated) : acute
    }

    /// atan(`a`/`b`) for positive a ≤ b.
    private static func arcTangent(_ a: UnpackedNumber, _ b: UnpackedNumber) -> UnpackedNumber {
        let sixteenths = quotient(a, b).scaled(by: 4).roundedToInteger(.nearestEven).magnitude
        if sixteenths == 0 { return smallArcTangent(wideQuotient(a, b)) }
        // atan(a/b) − atan(c) = atan((a − bc)/(b + ac)), without rounding but for the quotient.
        let center = UnpackedNumber(magnitude: sixteenths, isNegative: false).scaled(by: -4)
        let rest = wideQuotient(
            wideSum(a, wideProduct(b, center).negated), wideSum(b, wideProduct(a, center)))
        return wideSum(ElementaryTables.arcTangent(sixteenths: sixteenths), smallArcTangent(rest))
    }

    /// atan(`t`) for |t| up to 1/32, by its power series.
    private static func smallArcTangent(_ t: UnpackedNumber) -> UnpackedNumber {
        let square = wideProduct(t, t)
        var term = square.significantTerms(limit: 14)
        var series = one.divided(by: 2 &* term &+ 1)
        while term > 0 {
            term &-= 1
            series = wideSum(one.divided(by: 2 &* term &+ 1), wideProduct(square, series).negated)
        }
        return wideProduct(t, series)
    }

    // MARK: Sine and cosine

    /// An angle as a multiple of π/2 and a rest of at most π/4.
    struct ReducedAngle {
        /// The multiple modulo 4.
        var quadrant: UInt8
        var rest: UnpackedNumber
    }

    /// Reduces a finite angle below 2^63 by the 66-bit approximation of π that the x87 uses.
    ///
    /// SDM volume 1, section 8.3.8: π = 4 · 0.C90FDAA2 2168C234 C (hexadecimal). The reduction itself is exact.
    static func reduce(_ angle: UnpackedNumber) -> ReducedAngle {
        if angle.exponent < -1 { return ReducedAngle(quadrant: 0, rest: angle) }
        // Both in units of 2^−65: π/2 is then the integer of its 66 bits.
        let halfPi: UInt128 = 0x3_243F_6A88_85A3_08D3
        let units = UInt128(angle.significand64) &<< UInt128(truncatingIfNeeded: angle.exponent &+ 2)
        var (quotient, rest) = units.quotientAndRemainder(dividingBy: halfPi)
        let isBelow = rest > halfPi >> 1
        if isBelow {
            rest = halfPi &- rest
            quotient &+= 1
        }
        // The angle is quadrant · π/2 + rest; for a negative angle both are mirrored.
        let quadrant = UInt8(truncatingIfNeeded: quotient & 3)
        return ReducedAngle(
            quadrant: angle.isNegative ? (4 &- quadrant) & 3 : quadrant,
            rest: UnpackedNumber(normalizing: rest, exponent: 62, isNegative: isBelow != angle.isNegative))
    }

    /// The sine of a finite angle below 2^63.
    static func sine(_ angle: ReducedAngle) -> UnpackedNumber {
        let value = angle.quadrant & 1 == 0 ? smallSine(angle.rest) : smallCosine(angle.rest)
        return angle.quadrant & 2 == 0 ? value : value.negated
    }

    /// The cosine of a finite angle below 2^63.
    static func cosine(_ angle: ReducedAngle) -> UnpackedNumber {
        let value = angle.quadrant & 1 == 0 ? smallCosine(angle.rest) : smallSine(angle.rest)
        return (angle.quadrant &+ 1) & 2 == 0 ? value : value.negated
    }

    /// sin `r` for |r| up to π/4, by its power series.
    private static func smallSine(_ r: UnpackedNumber) -> UnpackedNumber {
        let square = wideProduct(r, r)
        var series = one
        var term = square.significantTerms(limit: 17)
        while term > 0 {
            series = wideSum(one, wideProduct(square, series).divided(by: 2 &* term &* (2 &* term &+ 1)).negated)
            term &-= 1
        }
        return wideProduct(r, series)
    }

    /// cos `r` for |r| up to π/4, by its power series.
    private static func smallCosine(_ r: UnpackedNumber) -> UnpackedNumber {
        let square = wideProduct(r, r)
        var series = one
        var term = square.significantTerms(limit: 17)
        while term > 0 {
            series = wideSum(one, wideProduct(square, series).divided(by: 2 &* term &* (2 &* term &- 1)).negated)
            term &-= 1
        }
        return series
    }
}
