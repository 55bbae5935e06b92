extension SSEEnvironment {
    // MARK: Between formats

    /// CVTSS2SD.
    @inline(__always)
    package mutating func convert32To64(_ a: UInt32) -> UInt64 {
        if (a << 1) &- (1 << 24) < 0xFE << 24 { return Double(Float(bitPattern: a)).bitPattern }
        return convert(UInt64(a), from: .binary32, to: .binary64)
    }

    /// CVTSD2SS.
    @inline(__always)
    package mutating func convert64To32(_ a: UInt64) -> UInt32 {
        let x = Double(bitPattern: a)
        let result = Float(x)
        // Biased exponents 898 to 1149 are those of binary32's normal numbers, but for one at each end.
        guard roundsLikeHost, (a << 1) &- (898 << 53) < 252 << 53 else {
            return UInt32(truncatingIfNeeded: convert(a, from: .binary64, to: .binary32))
        }
        if !ignoresPrecision { raisePrecision(if: Double(result) != x) }
        return result.bitPattern
    }

    @inline(never)
    private mutating func convert(
        _ a: UInt64, from source: InterchangeFormat, to destination: InterchangeFormat
    ) -> UInt64 {
        let x = unpack(a, source)
        if x.kind == .signalingNaN { raise(.invalidOperation) }
        if x.isDenormal { raise(.denormalOperand) }
        return pack(x, destination)
    }

    // MARK: From integers

    /// CVTSI2SD with a 32-bit source, and one element of CVTDQ2PD: exact.
    @inline(__always)
    package func convertInt32To64(_ a: Int32) -> UInt64 { Double(a).bitPattern }

    /// CVTSI2SS with a 32-bit source, and one element of CVTDQ2PS.
    @inline(__always)
    package mutating func convertInt32To32(_ a: Int32) -> UInt32 {
        let result = Float(a)
        guard roundsLikeHost else {
            return UInt32(truncatingIfNeeded: pack(UnpackedNumber(Int64(a)), .binary32))
        }
        if !ignoresPrecision { raisePrecision(if: Double(result) != Double(a)) }
        return result.bitPattern
    }

    /// CVTSI2SD with a 64-bit source.
    @inline(__always)
    package mutating func convertInt64To64(_ a: Int64) -> UInt64 {
        // Below 2^53 every integer is a binary64 number.
        if a.magnitude <= 1 << 53 { return Double(a).bitPattern }
        return packInteger(a, .binary64)
    }

    /// CVTSI2SS with a 64-bit source.
    @inline(__always)
    package mutating func convertInt64To32(_ a: Int64) -> UInt32 {
        UInt32(truncatingIfNeeded: packInteger(a, .binary32))
    }

    @inline(never)
    private mutating func packInteger(_ a: Int64, _ format: InterchangeFormat) -> UInt64 {
        pack(UnpackedNumber(a), format)
    }

    // MARK: To integers

    /// CVTSD2SI to 32 bits, and one element of CVTPD2DQ; out of range gives the integer indefinite.
    @inline(__always)
    package mutating func convert64ToInt32(_ a: UInt64) -> Int32 {
        Int32(truncatingIfNeeded: convertToInteger(a, .binary64, bits: 32, rounding))
    }

    /// CVTTSD2SI to 32 bits, and one element of CVTTPD2DQ.
    @inline(__always)
    package mutating func truncate64ToInt32(_ a: UInt64) -> Int32 {
        let x = Double(bitPattern: a)
        guard x > -2147483649.0, x < 2147483648.0 else {
            return Int32(truncatingIfNeeded: convertToInteger(a, .binary64, bits: 32, .towardZero))
        }
        if denormalsAreZero && a << 1 < 1 << 53 { return 0 }
        let result = Int32(x)
        if !ignoresPrecision { raisePrecision(if: Double(result) != x) }
        return result
    }

    /// CVTSD2SI to 64 bits.
    @inline(__always)
    package mutating func convert64ToInt64(_ a: UInt64) -> Int64 {
        convertToInteger(a, .binary64, bits: 64, rounding)
    }

    /// CVTTSD2SI to 64 bits.
    @inline(__always)
    package mutating func truncate64ToInt64(_ a: UInt64) -> Int64 {
        let x = Double(bitPattern: a)
        guard x > -9223372036854775808.0, x < 9223372036854775808.0 else {
            return convertToInteger(a, .binary64, bits: 64, .towardZero)
        }
        if denormalsAreZero && a << 1 < 1 << 53 { return 0 }
        let result = Int64(x)
        if !ignoresPrecision { raisePrecision(if: Double(result) != x) }
        return result
    }

    /// CVTSS2SI to 32 bits, and one element of CVTPS2DQ.
    @inline(__always)
    package mutating func convert32ToInt32(_ a: UInt32) -> Int32 {
        Int32(truncatingIfNeeded: convertToInteger(UInt64(a), .binary32, bits: 32, rounding))
    }

    /// CVTTSS2SI to 32 bits, and one element of CVTTPS2DQ.
    @inline(__always)
    package mutating func truncate32ToInt32(_ a: UInt32) -> Int32 {
        let x = Float(bitPattern: a)
        guard x > -2147483648.0, x < 2147483648.0 else {
            return Int32(truncatingIfNeeded: convertToInteger(UInt64(a), .binary32, bits: 32, .towardZero))
        }
        if denormalsAreZero && a << 1 < 1 << 24 { return 0 }
        let result = Int32(x)
        if !ignoresPrecision { raisePrecision(if: Double(result) != Double(x)) }
        return result
    }

    /// CVTSS2SI to 64 bits.
    @inline(__always)
    package mutating func convert32ToInt64(_ a: UInt32) -> Int64 {
        convertToInteger(UInt64(a), .binary32, bits: 64, rounding)
    }

    /// CVTTSS2SI to 64 bits.
    @inline(__always)
    package mutating func truncate32ToInt64(_ a: UInt32) -> Int64 {
        convertToInteger(UInt64(a), .binary32, bits: 64, .towardZero)
    }

    @inline(never)
    private mutating func convertToInteger(
        _ a: UInt64, _ format: InterchangeFormat, bits: UInt64, _ rounding: RoundingControl
    ) -> Int64 {
        let indefinite: UInt64 = 1 &<< (bits &- 1)
        let x = unpack(a, format)
        let integer = x.roundedToInteger(rounding)
        let limit = x.isNegative ? indefinite : indefinite &- 1
        guard x.kind == .finite || x.kind == .zero, !integer.isTooLarge, integer.magnitude <= limit else {
            raise(.invalidOperation)
            return Int64(bitPattern: indefinite)
        }
        raisePrecision(if: integer.isInexact)
        let magnitude = Int64(bitPattern: integer.magnitude)
        return x.isNegative ? 0 &- magnitude : magnitude
    }

    // MARK: To integral values

    /// ROUNDSD and one element of ROUNDPD with its immediate.
    ///
    /// Bits 1:0 are the rounding control unless bit 2 selects MXCSR's; bit 3 suppresses the precision exception.
    @inline(never)
    package mutating func roundToIntegral64(_ a: UInt64, immediate: UInt8) -> UInt64 {
        roundToIntegral(a, .binary64, immediate)
    }

    /// ROUNDSS and one element of ROUNDPS; see `roundToIntegral64`.
    @inline(never)
    package mutating func roundToIntegral32(_ a: UInt32, immediate: UInt8) -> UInt32 {
        UInt32(truncatingIfNeeded: roundToIntegral(UInt64(a), .binary32, immediate))
    }

    private mutating func roundToIntegral(
        _ a: UInt64, _ format: InterchangeFormat, _ immediate: UInt8
    ) -> UInt64 {
        let x = unpack(a, format)
        if x.isNaN { return propagateNaN(a, a, format) }
        guard x.kind == .finite, x.exponent < format.fractionBits else { return flushed(a, format) }
        let integer = x.roundedToInteger(
            immediate & 4 != 0 ? rounding : RoundingControl(bits: UInt32(immediate)))
        if immediate & 8 == 0 { raisePrecision(if: integer.isInexact) }
        return pack(UnpackedNumber(magnitude: integer.magnitude, isNegative: x.isNegative), format)
    }
}
