import CHostSupport

extension UnpackedNumber {
    /// The sum of two numbers that are not NaN; `rounding` gives the sign of an exact zero.
    @inline(__always)
    static func sum(_ x: UnpackedNumber, _ y: UnpackedNumber, _ rounding: RoundingControl) -> UnpackedNumber {
        if x.kind == .finite && y.kind == .finite { return finiteSum(x, y, rounding) }
        if x.kind == .infinity {
            return y.kind == .infinity && x.isNegative != y.isNegative ? .invalid : x
        }
        if y.kind == .infinity { return y }
        if x.kind == .finite { return x }
        if y.kind == .finite { return y }
        return x.isNegative == y.isNegative ? x : .zero(isNegative: rounding == .down)
    }

    @inline(__always)
    private static func finiteSum(
        _ x: UnpackedNumber, _ y: UnpackedNumber, _ rounding: RoundingControl
    ) -> UnpackedNumber {
        let isOrdered = x.exponent > y.exponent || (x.exponent == y.exponent && x.significand >= y.significand)
        let large = isOrdered ? x : y
        let small = isOrdered ? y : x
        let aligned = small.significand.shiftedRightJamming(large.exponent &- small.exponent)
        if x.isNegative == y.isNegative {
            let (sum, carry) = large.significand.addingReportingOverflow(aligned)
            guard carry else {
                return UnpackedNumber(
                    kind: .finite, isNegative: x.isNegative, exponent: large.exponent, significand: sum)
            }
            return UnpackedNumber(
                kind: .finite, isNegative: x.isNegative, exponent: large.exponent &+ 1,
                significand: sum >> 1 | sum & 1 | 1 << 127)
        }
        let difference = large.significand &- aligned
        if difference == 0 { return .zero(isNegative: rounding == .down) }
        return UnpackedNumber(normalizing: difference, exponent: large.exponent, isNegative: large.isNegative)
    }

    /// The product of two numbers that are not NaN.
    @inline(__always)
    static func product(_ x: UnpackedNumber, _ y: UnpackedNumber) -> UnpackedNumber {
        let isNegative = x.isNegative != y.isNegative
        if x.kind == .finite && y.kind == .finite {
            let (high, low) = x.significand64.multipliedFullWidth(by: y.significand64)
            let product = UInt128(high) &<< 64 | UInt128(low)
            return UnpackedNumber(
                normalizing: product, exponent: x.exponent &+ y.exponent &+ 1, isNegative: isNegative)
        }
        if x.kind == .infinity { return y.kind == .zero ? .invalid : .infinity(isNegative: isNegative) }
        if y.kind == .infinity { return x.kind == .zero ? .invalid : .infinity(isNegative: isNegative) }
        return .zero(isNegative: isNegative)
    }

    /// The quotient of two numbers that are not NaN; a finite number over zero is infinity.
    @inline(__always)
    static func quotient(_ x: UnpackedNumber, _ y: UnpackedNumber) -> UnpackedNumber {
        let isNegative = x.isNegative != y.isNegative
        if x.kind == .finite && y.kind == .finite {
            let divisor = y.significand64
            let numerator = x.significand64
            // The dividend's upper word stays below the divisor, and the quotient's leading bit is bit 63.
            let isLess = numerator < divisor
            let (quotient, remainder) = divisor.dividingFullWidth(
                isLess ? (numerator, 0) : (numerator >> 1, numerator << 63))
            // The next bit of the quotient and whether anything follows it.
            let (doubled, carry) = remainder.addingReportingOverflow(remainder)
            let isHalf = carry || doubled >= divisor
            let rest: UInt64 = (isHalf ? 1 << 63 : 0) | (remainder == 0 || (!carry && doubled == divisor) ? 0 : 1)
            return UnpackedNumber(
                kind: .finite, isNegative: isNegative, exponent: x.exponent &- y.exponent &- (isLess ? 1 : 0),
                significand: UInt128(quotient) &<< 64 | UInt128(rest))
        }
        if x.kind == .infinity { return y.kind == .infinity ? .invalid : .infinity(isNegative: isNegative) }
        if y.kind == .infinity { return .zero(isNegative: isNegative) }
        if y.kind == .zero { return x.kind == .zero ? .invalid : .infinity(isNegative: isNegative) }
        return .zero(isNegative: isNegative)
    }

    /// The square root of a number that is not NaN.
    @inline(__always)
    static func squareRoot(_ x: UnpackedNumber) -> UnpackedNumber {
        if x.kind == .zero { return x }
        if x.isNegative { return .invalid }
        if x.kind == .infinity { return x }
        // The radicand has its binary point after bit 126, so that its root has 64 bits.
        let radicand = x.exponent & 1 == 0 ? x.significand >> 1 : x.significand
        let root = integerSquareRoot(radicand)
        let remainder = radicand &- UInt128(root) &* UInt128(root)
        // (root + ½)² is an integer plus ¼, so there are no ties.
        let rest: UInt64 = (remainder > UInt128(root) ? 1 << 63 : 0) | (remainder == 0 ? 0 : 1)
        return UnpackedNumber(
            kind: .finite, isNegative: false, exponent: x.exponent >> 1,
            significand: UInt128(root) &<< 64 | UInt128(rest))
    }

    /// The floor of the square root of a number of at least 2^126.
    private static func integerSquareRoot(_ radicand: UInt128) -> UInt64 {
        // IEEE 754 makes the host's square root exact to half a unit of its 53 bits; one Newton step doubles them.
        let high = UInt64(truncatingIfNeeded: radicand >> 64)
        let approximation = host_square_root(Double(high)) * 4294967296.0
        var root: UInt64 = approximation >= 18446744073709549568.0 ? .max : UInt64(approximation)
        let (quotient, _) = root.dividingFullWidthSaturating(radicand)
        root = (root >> 1) &+ (quotient >> 1) &+ (root & quotient & 1)
        while UInt128(root) &* UInt128(root) > radicand { root &-= 1 }
        while root != .max {
            let next = UInt128(root) &+ 1
            guard next &* next <= radicand else { break }
            root &+= 1
        }
        return root
    }
}

extension UInt64 {
    /// `dividend` over this non-zero value, or all ones where the quotient needs more than 64 bits.
    @inline(__always)
    fileprivate func dividingFullWidthSaturating(_ dividend: UInt128) -> (quotient: UInt64, remainder: UInt64) {
        let high = UInt64(truncatingIfNeeded: dividend >> 64)
        guard high < self else { return (.max, 0) }
        return dividingFullWidth((high, UInt64(truncatingIfNeeded: dividend)))
    }
}
