extension X87Environment {
    // MARK: Loads

    /// FLD of a binary32 operand: exact, an SNaN quieted.
    package mutating func load(binary32 bits: UInt32) -> Extended { load(UnpackedNumber(binary32: bits)) }

    /// FLD of a binary64 operand: exact, an SNaN quieted.
    package mutating func load(binary64 bits: UInt64) -> Extended { load(UnpackedNumber(binary64: bits)) }

    /// FILD: exact.
    package mutating func load(integer: Int64) -> Extended { load(UnpackedNumber(integer)) }

    private mutating func load(_ x: UnpackedNumber) -> Extended {
        if x.kind == .signalingNaN { raise(.invalidOperation) }
        if x.isDenormal { raise(.denormalOperand) }
        return packDelivered(x)
    }

    // MARK: Stores

    /// FST and FSTP to binary32.
    package mutating func store32(_ value: Extended) -> UInt32 {
        UInt32(truncatingIfNeeded: store(value, .binary32))
    }

    /// FST and FSTP to binary64.
    package mutating func store64(_ value: Extended) -> UInt64 { store(value, .binary64) }

    private mutating func store(_ value: Extended, _ format: InterchangeFormat) -> UInt64 {
        let x = UnpackedNumber(value)
        let sign = x.isNegative ? format.signBit : 0
        switch x.kind {
        case .zero: return sign
        case .infinity: return sign | format.infinity
        case .unsupported, .invalid:
            raise(.invalidOperation)
            return format.indefinite
        case .quietNaN, .signalingNaN:
            if x.kind == .signalingNaN { raise(.invalidOperation) }
            let fraction = x.significand64 &>> UInt64(63 &- format.fractionBits)
            return sign | format.infinity | format.quietBit | fraction & (format.quietBit &- 1)
        case .finite: break
        }
        var result = x.rounded(precision: format.precision, rounding)
        if result.exponent > format.bias {
            let isInfinite = rounding.overflowsToInfinity(isNegative: x.isNegative)
            raise(.overflow)
            if isMasked(.overflow) { raisePrecision(isRoundedUp: isInfinite) }
            return sign | (isInfinite ? format.infinity : format.infinity &- 1)
        }
        if result.exponent < format.minimumExponent {
            guard isMasked(.underflow) else {
                raise(.underflow)
                return sign
            }
            result = x.roundedAsDenormal(
                precision: format.precision, minimumExponent: format.minimumExponent, rounding)
            if result.isInexact { raise(.underflow) }
        }
        if result.isInexact { raisePrecision(isRoundedUp: result.isRoundedUp) }
        let fraction = result.significand &>> UInt64(63 &- format.fractionBits)
        let biased = UInt64(truncatingIfNeeded: result.exponent &- format.minimumExponent)
        return sign | (biased &<< UInt64(format.fractionBits)) &+ fraction
    }

    /// FIST and FISTP to 16 bits; out of range gives the integer indefinite.
    package mutating func storeInt16(_ value: Extended) -> Int16 {
        Int16(truncatingIfNeeded: storeInteger(value, bits: 16, rounding))
    }

    /// FIST and FISTP to 32 bits.
    package mutating func storeInt32(_ value: Extended) -> Int32 {
        Int32(truncatingIfNeeded: storeInteger(value, bits: 32, rounding))
    }

    /// FISTP to 64 bits.
    package mutating func storeInt64(_ value: Extended) -> Int64 { storeInteger(value, bits: 64, rounding) }

    /// FISTTP to 16 bits.
    package mutating func truncateToInt16(_ value: Extended) -> Int16 {
        Int16(truncatingIfNeeded: storeInteger(value, bits: 16, .towardZero))
    }

    /// FISTTP to 32 bits.
    package mutating func truncateToInt32(_ value: Extended) -> Int32 {
        Int32(truncatingIfNeeded: storeInteger(value, bits: 32, .towardZero))
    }

    /// FISTTP to 64 bits.
    package mutating func truncateToInt64(_ value: Extended) -> Int64 { storeInteger(value, bits: 64, .towardZero) }

    private mutating func storeInteger(_ value: Extended, bits: UInt64, _ rounding: RoundingControl) -> Int64 {
        let indefinite: UInt64 = 1 &<< (bits &- 1)
        let x = UnpackedNumber(value)
        let limit = x.isNegative ? indefinite : indefinite &- 1
        let integer = x.roundedToInteger(rounding)
        guard x.kind == .finite || x.kind == .zero, !integer.isTooLarge, integer.magnitude <= limit else {
            raise(.invalidOperation)
            return Int64(bitPattern: 0 &- indefinite)
        }
        if integer.isInexact { raisePrecision(isRoundedUp: integer.isRoundedUp) }
        let magnitude = Int64(bitPattern: integer.magnitude)
        return x.isNegative ? 0 &- magnitude : magnitude
    }
}

// MARK: - Packed decimal

/// The 18-digit packed decimal integer of FBLD and FBSTP.
package struct PackedDecimal: Hashable, Sendable {
    /// Digits 0 to 15, four bits each.
    package var digits: UInt64
    /// Bit 15 is the sign, bits 7 to 0 are digits 16 and 17.
    package var signAndTopDigits: UInt16

    @inline(__always)
    package init(digits: UInt64, signAndTopDigits: UInt16) {
        self.digits = digits
        self.signAndTopDigits = signAndTopDigits
    }

    /// What FBSTP stores for a masked invalid operation.
    package static let indefinite = PackedDecimal(digits: 0xC000_0000_0000_0000, signAndTopDigits: 0xFFFF)
}

extension X87Environment {
    /// FBLD: exact; the value for digits above nine, undefined in the manuals, follows from their weight.
    package mutating func load(decimal: PackedDecimal) -> Extended {
        var magnitude: UInt64 = 0
        var shift: UInt64 = 8
        while shift > 0 {
            shift &-= 4
            magnitude = magnitude &* 10 &+ UInt64(decimal.signAndTopDigits) >> shift & 0xF
        }
        shift = 64
        while shift > 0 {
            shift &-= 4
            magnitude = magnitude &* 10 &+ decimal.digits >> shift & 0xF
        }
        return pack(UnpackedNumber(magnitude: magnitude, isNegative: decimal.signAndTopDigits >> 15 != 0))
    }

    /// FBSTP.
    package mutating func storeDecimal(_ value: Extended) -> PackedDecimal {
        let x = UnpackedNumber(value)
        let integer = x.roundedToInteger(rounding)
        guard x.kind == .finite || x.kind == .zero, !integer.isTooLarge,
            integer.magnitude < 1_000_000_000_000_000_000
        else {
            raise(.invalidOperation)
            return .indefinite
        }
        if integer.isInexact { raisePrecision(isRoundedUp: integer.isRoundedUp) }
        var rest = integer.magnitude
        var digits: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            digits |= (rest % 10) << shift
            rest /= 10
            shift &+= 4
        }
        let top = UInt16(truncatingIfNeeded: rest % 10 | (rest / 10 % 10) << 4)
        return PackedDecimal(digits: digits, signAndTopDigits: top | (x.isNegative ? 0x8000 : 0))
    }
}
