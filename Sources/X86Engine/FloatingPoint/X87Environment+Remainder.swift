extension X87Environment {
    /// FPREM: the remainder of `dividend` by `divisor` with the quotient truncated.
    ///
    /// Reduces exponents that differ by less than 64 at once and says so by C2 clear, with the quotient's low bits
    /// in C0, C3 and C1; otherwise reduces the difference by 32 to 63 and sets C2.
    package mutating func remainder(_ dividend: Extended, by divisor: Extended) -> Extended {
        remainder(dividend, divisor, roundsQuotientToNearest: false)
    }

    /// FPREM1: the remainder of `dividend` by `divisor` as IEEE 754 defines it; condition codes as for FPREM.
    package mutating func ieeeRemainder(_ dividend: Extended, by divisor: Extended) -> Extended {
        remainder(dividend, divisor, roundsQuotientToNearest: true)
    }

    private mutating func remainder(
        _ dividend: Extended, _ divisor: Extended, roundsQuotientToNearest: Bool
    ) -> Extended {
        let x = UnpackedNumber(dividend)
        let y = UnpackedNumber(divisor)
        if Self.needsNaN(x, y) { return propagateNaN(x, y) }
        if x.kind == .infinity || y.kind == .zero { return pack(.invalid) }
        checkDenormal(x, y)
        if !deliversToRegister { return dividend }
        if x.kind == .zero || y.kind == .infinity { return pack(x) }

        let difference = x.exponent &- y.exponent
        if difference < -1 || (difference == -1 && !roundsQuotientToNearest) { return pack(x) }
        let isComplete = difference < 64
        // In units of the divisor's last place, times 2^(difference − steps) for a partial reduction.
        let steps = isComplete ? max(difference, 0) : 32 &+ difference & 31
        let scale = difference < 0 ? difference : difference &- steps
        let units = UInt128(x.significand64) &<< UInt128(truncatingIfNeeded: steps)
        let divisorUnits = UInt128(y.significand64) &<< UInt128(truncatingIfNeeded: difference < 0 ? 1 : 0)
        var (quotient, rest) = units.quotientAndRemainder(dividingBy: divisorUnits)
        var isNegative = x.isNegative
        if isComplete {
            if roundsQuotientToNearest,
                rest > divisorUnits &- rest || (rest == divisorUnits &- rest && quotient & 1 != 0)
            {
                rest = divisorUnits &- rest
                quotient &+= 1
                isNegative.toggle()
            }
            conditionCodes |= Self.quotientCodes(UInt16(truncatingIfNeeded: quotient & 7))
        } else {
            conditionCodes |= Self.incomplete
        }
        if rest == 0 { return .zero(isNegative: x.isNegative) }
        return pack(
            UnpackedNumber(
                normalizing: rest &<< 64, exponent: y.exponent &+ scale, isNegative: isNegative))
    }

    /// Quotient bits 2, 1 and 0 in C0, C3 and C1.
    private static func quotientCodes(_ quotient: UInt16) -> UInt16 {
        (quotient & 4) << 6 | (quotient & 2) << 13 | (quotient & 1) << 9
    }
}
