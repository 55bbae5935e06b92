import CHostSupport

// The four operations and the square root. Each is host arithmetic where IEEE 754 makes that equal (round to
// nearest, operands normal, result far from overflow and underflow), with inexactness found from the exact
// product of the significands; everything else takes the common slow path.

/// Whether binary64 bits are a normal number.
@inline(__always)
private func isNormal(_ bits: UInt64) -> Bool { (bits << 1) &- (1 << 53) < 0x7FE << 53 }

/// Whether binary32 bits are a normal number.
@inline(__always)
private func isNormal(_ bits: UInt32) -> Bool { (bits << 1) &- (1 << 24) < 0xFE << 24 }

/// Whether binary64 bits have a biased exponent of 65 to 1981: no rounding error in reach underflows or overflows.
@inline(__always)
private func isModerate(_ bits: UInt64) -> Bool { (bits << 1) &- (65 << 53) < 1917 << 53 }

/// Whether binary32 bits have a biased exponent of 30 to 224.
@inline(__always)
private func isModerate(_ bits: UInt32) -> Bool { (bits << 1) &- (30 << 24) < 195 << 24 }

@inline(__always)
private func significand(_ bits: UInt64) -> UInt64 { bits & 0x000F_FFFF_FFFF_FFFF | 0x0010_0000_0000_0000 }

/// Whether the product of two binary64 significands is `significand` times a power of two between 2^52 and 2^53.
@inline(__always)
private func isProduct(_ a: UInt64, _ b: UInt64, of significand: UInt64) -> Bool {
    let (high, low) = a.multipliedFullWidth(by: b)
    return (low == significand << 52 && high == significand >> 12)
        || (low == significand << 53 && high == significand >> 11)
}

extension SSEEnvironment {
    @inline(__always)
    package mutating func add64(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let x = Double(bitPattern: a)
        let y = Double(bitPattern: b)
        let sum = x + y
        guard roundsLikeHost, isNormal(a), isNormal(b), isModerate(sum.bitPattern) || sum == 0 else {
            return arithmetic(.add, a, b, .binary64)
        }
        // Knuth's TwoSum: the rounding error is itself a number, computed exactly.
        if !ignoresPrecision {
            let part = sum - x
            raisePrecision(if: (x - (sum - part)) + (y - part) != 0)
        }
        return sum.bitPattern
    }

    @inline(__always)
    package mutating func subtract64(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let x = Double(bitPattern: a)
        let y = Double(bitPattern: b)
        let difference = x - y
        guard roundsLikeHost, isNormal(a), isNormal(b), isModerate(difference.bitPattern) || difference == 0 else {
            return arithmetic(.subtract, a, b, .binary64)
        }
        if !ignoresPrecision {
            let part = difference - x
            raisePrecision(if: (x - (difference - part)) - (y + part) != 0)
        }
        return difference.bitPattern
    }

    @inline(__always)
    package mutating func multiply64(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = (Double(bitPattern: a) * Double(bitPattern: b)).bitPattern
        guard roundsLikeHost, isNormal(a), isNormal(b), isModerate(product) else {
            return arithmetic(.multiply, a, b, .binary64)
        }
        if !ignoresPrecision {
            raisePrecision(if: !isProduct(significand(a), significand(b), of: significand(product)))
        }
        return product
    }

    @inline(__always)
    package mutating func divide64(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let quotient = (Double(bitPattern: a) / Double(bitPattern: b)).bitPattern
        guard roundsLikeHost, isNormal(a), isNormal(b), isModerate(quotient) else {
            return arithmetic(.divide, a, b, .binary64)
        }
        if !ignoresPrecision {
            raisePrecision(if: !isProduct(significand(quotient), significand(b), of: significand(a)))
        }
        return quotient
    }

    @inline(__always)
    package mutating func squareRoot64(_ a: UInt64) -> UInt64 {
        guard roundsLikeHost, isNormal(a), a >> 63 == 0 else { return squareRoot(a, .binary64) }
        let root = host_square_root(Double(bitPattern: a)).bitPattern
        if !ignoresPrecision {
            raisePrecision(if: !isProduct(significand(root), significand(root), of: significand(a)))
        }
        return root
    }

    @inline(__always)
    package mutating func add32(_ a: UInt32, _ b: UInt32) -> UInt32 {
        let x = Float(bitPattern: a)
        let y = Float(bitPattern: b)
        let sum = x + y
        guard roundsLikeHost, isNormal(a), isNormal(b), isModerate(sum.bitPattern) || sum == 0 else {
            return UInt32(truncatingIfNeeded: arithmetic(.add, UInt64(a), UInt64(b), .binary32))
        }
        if !ignoresPrecision {
            let part = sum - x
            raisePrecision(if: (x - (sum - part)) + (y - part) != 0)
        }
        return sum.bitPattern
    }

    @inline(__always)
    package mutating func subtract32(_ a: UInt32, _ b: UInt32) -> UInt32 {
        let x = Float(bitPattern: a)
        let y = Float(bitPattern: b)
        let difference = x - y
        guard roundsLikeHost, isNormal(a), isNormal(b), isModerate(difference.bitPattern) || difference == 0 else {
            return UInt32(truncatingIfNeeded: arithmetic(.subtract, UInt64(a), UInt64(b), .binary32))
        }
        if !ignoresPrecision {
            let part = difference - x
            raisePrecision(if: (x - (difference - part)) - (y + part) != 0)
        }
        return difference.bitPattern
    }

    @inline(__always)
    package mutating func multiply32(_ a: UInt32, _ b: UInt32) -> UInt32 {
        // A binary64 product of binary32 numbers is exact.
        let exact = Double(Float(bitPattern: a)) * Double(Float(bitPattern: b))
        let product = Float(exact)
        guard roundsLikeHost, isNormal(a), isNormal(b), isModerate(product.bitPattern) else {
            return UInt32(truncatingIfNeeded: arithmetic(.multiply, UInt64(a), UInt64(b), .binary32))
        }
        if !ignoresPrecision { raisePrecision(if: Double(product) != exact) }
        return product.bitPattern
    }

    @inline(__always)
    package mutating func divide32(_ a: UInt32, _ b: UInt32) -> UInt32 {
        let quotient = Float(bitPattern: a) / Float(bitPattern: b)
        guard roundsLikeHost, isNormal(a), isNormal(b), isModerate(quotient.bitPattern) else {
            return UInt32(truncatingIfNeeded: arithmetic(.divide, UInt64(a), UInt64(b), .binary32))
        }
        if !ignoresPrecision {
            raisePrecision(if: Double(quotient) * Double(Float(bitPattern: b)) != Double(Float(bitPattern: a)))
        }
        return quotient.bitPattern
    }

    @inline(__always)
    package mutating func squareRoot32(_ a: UInt32) -> UInt32 {
        guard roundsLikeHost, isNormal(a), a >> 31 == 0 else {
            return UInt32(truncatingIfNeeded: squareRoot(UInt64(a), .binary32))
        }
        let root = host_square_root_single(Float(bitPattern: a))
        if !ignoresPrecision { raisePrecision(if: Double(root) * Double(root) != Double(Float(bitPattern: a))) }
        return root.bitPattern
    }
}
