import CHostSupport

/// RCPPS and RSQRTPS: approximations that processors compute differently from each other.
///
/// The manuals bound the relative error by 1.5 · 2^−12 and fix the special cases; these are the correctly
/// rounded 15-bit results, with an error of at most 2^−15, the same on every host. Neither instruction reads
/// MXCSR or raises exceptions; denormal operands count as zero.
package enum SSEApproximation {
    /// One element of RCPPS.
    package static func reciprocal(_ a: UInt32) -> UInt32 {
        let sign = a & 0x8000_0000
        let biased = a >> 23 & 0xFF
        if biased == 0xFF { return a << 9 == 0 ? sign : a | 0x0040_0000 }
        if biased == 0 { return sign | 0x7F80_0000 }
        let significand = UInt64(a & 0x007F_FFFF | 0x0080_0000)
        // 2^15 over a number from 1 to 2.
        let quotient = UInt32(truncatingIfNeeded: ((1 << 39) / significand &+ 1) >> 1)
        return encode(quotient, biased: 254 &- Int32(bitPattern: biased)) | sign
    }

    /// One element of RSQRTPS.
    package static func reciprocalSquareRoot(_ a: UInt32) -> UInt32 {
        let sign = a & 0x8000_0000
        let biased = a >> 23 & 0xFF
        if biased == 0xFF && a << 9 != 0 { return a | 0x0040_0000 }
        if biased == 0 { return sign | 0x7F80_0000 }
        if sign != 0 { return 0xFFC0_0000 }
        if biased == 0xFF { return 0 }
        // An odd exponent moves into the significand, which is then from 1 to 4.
        let exponent = Int32(bitPattern: biased) &- 127
        let significand = UInt64(a & 0x007F_FFFF | 0x0080_0000) << UInt64(exponent & 1)
        // The host's square root of an integer below 2^53 has an exact floor.
        let root = UInt32(host_square_root(Double((1 << 55) / significand)))
        return encode((root &+ 1) >> 1, biased: 127 &- exponent >> 1)
    }

    /// The number `quotient` · 2^(`biased` − 127 − 15) for a quotient above 2^14 and at most 2^15; tiny gives zero.
    private static func encode(_ quotient: UInt32, biased: Int32) -> UInt32 {
        let isPowerOfTwo = quotient >> 15 != 0
        let exponent = isPowerOfTwo ? biased : biased &- 1
        if exponent <= 0 { return 0 }
        let fraction = isPowerOfTwo ? 0 : (quotient << 9) & 0x007F_FFFF
        return UInt32(bitPattern: exponent) << 23 | fraction
    }
}
