extension X87Environment {
    /// FADD.
    @inline(never)
    package mutating func add(_ x: UnpackedNumber, _ y: UnpackedNumber) -> Extended {
        if Self.needsNaN(x, y) { return propagateNaN(x, y) }
        let result = UnpackedNumber.sum(x, y, rounding)
        if result.kind != .invalid { checkDenormal(x, y) }
        return pack(result, precision: precision)
    }

    /// FSUB: `x` − `y`; FSUBR is the same with the operands exchanged.
    @inline(never)
    package mutating func subtract(_ x: UnpackedNumber, _ y: UnpackedNumber) -> Extended {
        if Self.needsNaN(x, y) { return propagateNaN(x, y) }
        let result = UnpackedNumber.sum(x, y.negated, rounding)
        if result.kind != .invalid { checkDenormal(x, y) }
        return pack(result, precision: precision)
    }

    /// FMUL.
    @inline(never)
    package mutating func multiply(_ x: UnpackedNumber, _ y: UnpackedNumber) -> Extended {
        if Self.needsNaN(x, y) { return propagateNaN(x, y) }
        let result = UnpackedNumber.product(x, y)
        if result.kind != .invalid { checkDenormal(x, y) }
        return pack(result, precision: precision)
    }

    /// FDIV: `x` / `y`; FDIVR is the same with the operands exchanged.
    @inline(never)
    package mutating func divide(_ x: UnpackedNumber, _ y: UnpackedNumber) -> Extended {
        if Self.needsNaN(x, y) { return propagateNaN(x, y) }
        let result = UnpackedNumber.quotient(x, y)
        if y.kind == .zero && x.kind == .finite {
            raise(.divideByZero)
        } else if result.kind != .invalid {
            checkDenormal(x, y)
        }
        return pack(result, precision: precision)
    }

    /// FSQRT.
    @inline(never)
    package mutating func squareRoot(_ value: Extended) -> Extended {
        let x = UnpackedNumber(value)
        if Self.needsNaN(x, x) { return propagateNaN(x, x) }
        let result = UnpackedNumber.squareRoot(x)
        if result.kind != .invalid { checkDenormal(x, x) }
        return pack(result, precision: precision)
    }

    /// FRNDINT.
    package mutating func roundToIntegral(_ value: Extended) -> Extended {
        let x = UnpackedNumber(value)
        if Self.needsNaN(x, x) { return propagateNaN(x, x) }
        if x.isDenormal { raise(.denormalOperand) }
        guard x.kind == .finite, x.exponent < 63 else { return value }
        let integer = x.roundedToInteger(rounding)
        if !deliversToRegister { return .indefinite }
        if integer.isInexact { raisePrecision(isRoundedUp: integer.isRoundedUp) }
        return pack(UnpackedNumber(magnitude: integer.magnitude, isNegative: x.isNegative))
    }

    /// FSCALE: `value` · 2^(`scale` truncated).
    package mutating func scale(_ value: Extended, by scale: Extended) -> Extended {
        var x = UnpackedNumber(value)
        let y = UnpackedNumber(scale)
        if Self.needsNaN(x, y) { return propagateNaN(x, y) }
        if y.kind == .infinity {
            // 0 · 2^∞ and ∞ · 2^−∞ are invalid.
            if x.kind == (y.isNegative ? .infinity : .zero) { return pack(.invalid) }
            checkDenormal(x, y)
            return pack(y.isNegative ? .zero(isNegative: x.isNegative) : .infinity(isNegative: x.isNegative))
        }
        checkDenormal(x, y)
        guard x.kind == .finite, y.kind == .finite else { return pack(x) }
        // 2^17 is already beyond any exponent, adjusted or not.
        let integer = y.roundedToInteger(.towardZero)
        let distance = integer.isTooLarge ? 1 << 17 : Int32(truncatingIfNeeded: min(integer.magnitude, 1 << 17))
        x.exponent = y.isNegative ? x.exponent &- distance : x.exponent &+ distance
        return pack(x)
    }

    /// FXTRACT: the exponent, for the place of the operand, and the significand, for the new top of the stack.
    package mutating func extract(_ value: Extended) -> (exponent: Extended, significand: Extended) {
        let x = UnpackedNumber(value)
        switch x.kind {
        case .zero:
            raise(.divideByZero)
            return (.infinity(isNegative: true), value)
        case .infinity: return (.infinity(isNegative: false), value)
        case .quietNaN, .signalingNaN, .unsupported, .invalid:
            let result = propagateNaN(x, x)
            return (result, result)
        case .finite:
            checkDenormal(x, x)
            let sign: UInt16 = x.isNegative ? 0x8000 : 0
            return (
                pack(UnpackedNumber(Int64(x.exponent))),
                Extended(significand: x.significand64, signAndExponent: sign | 0x3FFF)
            )
        }
    }

    // MARK: Comparison

    /// FCOM, FTST and FCOMI (`signalsQuietNaN`), FUCOM and FUCOMI.
    ///
    /// The outcome is delivered whatever the masks, as AMD's processors do; a note in the SDM's FCOM says that
    /// Intel's leave the flags unchanged after an unmasked invalid operation.
    package mutating func compare(
        _ x: UnpackedNumber, _ y: UnpackedNumber, signalsQuietNaN: Bool
    ) -> FloatingPointOrdering {
        if Self.needsNaN(x, y) {
            if signalsQuietNaN || x.kind != .quietNaN && x.kind.rawValue > UnpackedNumber.Kind.infinity.rawValue
                || y.kind != .quietNaN && y.kind.rawValue > UnpackedNumber.Kind.infinity.rawValue
            {
                raise(.invalidOperation)
            }
            return .unordered
        }
        checkDenormal(x, y)
        if x.kind == .zero && y.kind == .zero { return .equal }
        if x.kind == .zero { return y.isNegative ? .greater : .less }
        if y.kind == .zero || x.isNegative != y.isNegative { return x.isNegative ? .less : .greater }
        let magnitudes = Self.compareMagnitudes(x, y)
        switch magnitudes {
        case .less: return x.isNegative ? .greater : .less
        case .greater: return x.isNegative ? .less : .greater
        case .equal, .unordered: return magnitudes
        }
    }

    private static func compareMagnitudes(_ x: UnpackedNumber, _ y: UnpackedNumber) -> FloatingPointOrdering {
        if x.kind != y.kind { return x.kind == .infinity ? .greater : .less }
        if x.exponent != y.exponent { return x.exponent > y.exponent ? .greater : .less }
        if x.significand == y.significand { return .equal }
        return x.significand > y.significand ? .greater : .less
    }
}
