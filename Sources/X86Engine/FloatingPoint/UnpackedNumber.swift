/// A floating-point value taken out of its format: an operand, or a result before rounding.
///
/// Finite values are exact, or truncated with the lost part recorded as a one in the last place, so that
/// rounding to any format of at most 64 bits of precision sees on which side of every boundary they lie.
package struct UnpackedNumber: Sendable {
    package enum Kind: UInt8, Sendable {
        case zero
        case finite
        case infinity
        case quietNaN
        case signalingNaN
        /// An x87 encoding the processor refuses: unnormal, pseudo-NaN or pseudo-infinity.
        case unsupported
        /// The result of an invalid operation.
        case invalid
    }

    package var kind: Kind
    package var isNegative: Bool
    /// Whether the operand was denormal in its own format.
    package var isDenormal: Bool
    /// The power of two of the leading bit.
    package var exponent: Int32
    /// Bit 127 is set for finite values and NaNs; a NaN's payload follows from the left.
    package var significand: UInt128

    @inline(__always)
    init(
        kind: Kind, isNegative: Bool, exponent: Int32 = 0, significand: UInt128 = 0, isDenormal: Bool = false
    ) {
        self.kind = kind
        self.isNegative = isNegative
        self.isDenormal = isDenormal
        self.exponent = exponent
        self.significand = significand
    }

    /// The finite value `significand` · 2^(`exponent` − 127), or zero.
    @inline(__always)
    init(normalizing significand: UInt128, exponent: Int32, isNegative: Bool, isDenormal: Bool = false) {
        let shift = Int32(truncatingIfNeeded: significand.leadingZeroBitCount)
        self.init(
            kind: significand == 0 ? .zero : .finite, isNegative: isNegative, exponent: exponent &- shift,
            significand: significand &<< UInt128(truncatingIfNeeded: shift), isDenormal: isDenormal)
    }

    @inline(__always) static var invalid: UnpackedNumber { UnpackedNumber(kind: .invalid, isNegative: true) }
    @inline(__always)
    static func zero(isNegative: Bool) -> UnpackedNumber { UnpackedNumber(kind: .zero, isNegative: isNegative) }
    @inline(__always)
    static func infinity(isNegative: Bool) -> UnpackedNumber { UnpackedNumber(kind: .infinity, isNegative: isNegative) }

    @inline(__always) var isNaN: Bool { kind == .quietNaN || kind == .signalingNaN }

    @inline(__always)
    var negated: UnpackedNumber {
        var result = self
        result.isNegative.toggle()
        return result
    }

    /// The upper half of the significand, which is all of it for an operand.
    @inline(__always) var significand64: UInt64 { UInt64(truncatingIfNeeded: significand >> 64) }
}

// MARK: - Formats

extension UnpackedNumber {
    /// Takes apart a double-extended number.
    @inline(__always)
    package init(_ value: Extended) {
        let biased = Int32(value.signAndExponent & 0x7FFF)
        let significand = UInt128(value.significand) &<< 64
        if biased &- 1 < 0x7FFE && biased != 0 && value.significand >> 63 != 0 {
            self.init(
                kind: .finite, isNegative: value.isNegative, exponent: biased &- 16383, significand: significand)
        } else if biased == 0 {
            self.init(normalizing: significand, exponent: -16382, isNegative: value.isNegative, isDenormal: true)
            isDenormal = kind == .finite
        } else if value.significand >> 63 == 0 {
            self.init(kind: .unsupported, isNegative: value.isNegative)
        } else if value.significand << 1 == 0 {
            self.init(kind: .infinity, isNegative: value.isNegative)
        } else {
            let isQuiet = value.significand & (1 << 62) != 0
            self.init(
                kind: isQuiet ? .quietNaN : .signalingNaN, isNegative: value.isNegative, significand: significand)
        }
    }

    /// Takes apart a binary32 memory operand.
    @inline(__always)
    package init(binary32 bits: UInt32) { self.init(UInt64(bits), .binary32) }

    /// Takes apart a binary64 memory operand.
    @inline(__always)
    package init(binary64 bits: UInt64) { self.init(bits, .binary64) }

    @inline(__always)
    init(_ bits: UInt64, _ format: InterchangeFormat) {
        let isNegative = format.isNegative(bits)
        let biased = (bits &>> UInt64(format.fractionBits)) & format.exponentMask
        // The fraction moved to just under bit 127.
        let fraction =
            UInt128(bits & ((1 &<< UInt64(format.fractionBits)) &- 1)) &<< UInt128(127 &- format.fractionBits)
        if biased == 0 {
            self.init(
                normalizing: fraction, exponent: format.minimumExponent, isNegative: isNegative,
                isDenormal: fraction != 0)
        } else if biased != format.exponentMask {
            self.init(
                kind: .finite, isNegative: isNegative,
                exponent: Int32(truncatingIfNeeded: biased) &- format.bias, significand: fraction | 1 << 127)
        } else if fraction == 0 {
            self.init(kind: .infinity, isNegative: isNegative)
        } else {
            self.init(
                kind: fraction & (1 << 126) != 0 ? .quietNaN : .signalingNaN, isNegative: isNegative,
                significand: fraction | 1 << 127)
        }
    }

    /// The exact value of an integer; zero is positive.
    @inline(__always)
    package init(_ integer: Int64) {
        self.init(magnitude: integer.magnitude, isNegative: integer < 0)
    }

    @inline(__always)
    init(magnitude: UInt64, isNegative: Bool) {
        self.init(normalizing: UInt128(magnitude) &<< 64, exponent: 63, isNegative: isNegative)
    }
}

// MARK: - Rounding

extension UInt128 {
    /// This value shifted right, any lost one recorded in the last place.
    @inline(__always)
    func shiftedRightJamming(_ count: Int32) -> UInt128 {
        if count <= 0 { return self }
        if count >= 128 { return self == 0 ? 0 : 1 }
        let lost = self &<< UInt128(truncatingIfNeeded: 128 &- count)
        return (self &>> UInt128(truncatingIfNeeded: count)) | (lost == 0 ? 0 : 1)
    }
}

/// A finite value rounded to at most 64 bits.
struct RoundedNumber {
    /// Bit 63 is the integer bit; it is clear only in denormals and zero.
    var significand: UInt64
    var exponent: Int32
    var isInexact: Bool
    var isRoundedUp: Bool
}

extension UnpackedNumber {
    /// Rounds a finite value to `precision` bits (1 to 64) with no bound on the exponent.
    @inline(__always)
    func rounded(precision: Int32, _ rounding: RoundingControl) -> RoundedNumber {
        Self.round(significand, exponent, isNegative, precision, rounding)
    }

    /// Rounds a finite value below 2^`minimumExponent` as a denormal with that exponent.
    @inline(__always)
    func roundedAsDenormal(
        precision: Int32, minimumExponent: Int32, _ rounding: RoundingControl
    ) -> RoundedNumber {
        Self.round(
            significand.shiftedRightJamming(minimumExponent &- exponent), minimumExponent, isNegative, precision,
            rounding)
    }

    @inline(__always)
    private static func round(
        _ significand: UInt128, _ exponent: Int32, _ isNegative: Bool, _ precision: Int32, _ rounding: RoundingControl
    ) -> RoundedNumber {
        let kept = UInt64(truncatingIfNeeded: significand &>> UInt128(truncatingIfNeeded: 128 &- precision))
        let discarded = significand &<< UInt128(truncatingIfNeeded: precision)
        var result = RoundedNumber(
            significand: kept &<< UInt64(truncatingIfNeeded: 64 &- precision), exponent: exponent,
            isInexact: discarded != 0, isRoundedUp: false)
        guard rounding.roundsUp(discarded, isOdd: kept & 1 != 0, isNegative: isNegative) else { return result }
        result.isRoundedUp = true
        result.significand &+= 1 &<< UInt64(truncatingIfNeeded: 64 &- precision)
        if result.significand == 0 {
            result.significand = 1 << 63
            result.exponent &+= 1
        }
        return result
    }

    /// A finite value or zero rounded to an integer.
    struct Integer {
        var magnitude: UInt64
        /// The magnitude is 2^64 or more; `magnitude` is then meaningless.
        var isTooLarge: Bool
        var isInexact: Bool
        var isRoundedUp: Bool
    }

    /// Rounds a finite operand (64 significant bits at most) or zero to an integer.
    @inline(__always)
    func roundedToInteger(_ rounding: RoundingControl) -> Integer {
        if kind == .zero { return Integer(magnitude: 0, isTooLarge: false, isInexact: false, isRoundedUp: false) }
        if exponent > 63 { return Integer(magnitude: 0, isTooLarge: true, isInexact: false, isRoundedUp: false) }
        // With the binary point between the halves, every integer of 64 bits is in the upper half.
        let fixed = significand.shiftedRightJamming(63 &- exponent)
        let kept = UInt64(truncatingIfNeeded: fixed >> 64)
        let discarded = fixed &<< 64
        let up = rounding.roundsUp(discarded, isOdd: kept & 1 != 0, isNegative: isNegative)
        return Integer(
            magnitude: kept &+ (up ? 1 : 0), isTooLarge: false, isInexact: discarded != 0, isRoundedUp: up)
    }
}
