/// The x87 control word and what the instruction in progress has raised; each x87 operation is a method on it.
///
/// The register stack is the caller's: operations take operands and give the number to store. After one,
/// `raised` and `conditionCodes` go to the status word, and `deliversToRegister` or `deliversToMemory` say
/// whether the result is stored and the stack moved. SDM volume 1, sections 8.4 and 8.5.
package struct X87Environment: Hashable, Sendable {
    /// The control word: masks 5:0, precision control 9:8, rounding control 11:10.
    package var control: UInt16
    /// The exceptions of the instruction in progress.
    package var raised: FloatingPointExceptions = []
    /// C0 (bit 8), C1 (9), C2 (10) and C3 (14) after the operation; C1 tells that the result was rounded up.
    package var conditionCodes: UInt16 = 0

    /// The control word FNINIT loads.
    package static let initialControl: UInt16 = 0x037F

    static let roundedUp: UInt16 = 0x0200
    static let incomplete: UInt16 = 0x0400

    @inline(__always)
    package init(control: UInt16 = X87Environment.initialControl) { self.control = control }

    @inline(__always) package var rounding: RoundingControl { RoundingControl(bits: UInt32(control >> 10)) }

    /// The bits of precision of FADD, FSUB, FMUL, FDIV and FSQRT; the reserved setting acts as 64.
    @inline(__always)
    package var precision: Int32 {
        switch control >> 8 & 3 {
        case 0: return 24
        case 2: return 53
        default: return 64
        }
    }

    /// Clears what the previous instruction left.
    @inline(__always)
    package mutating func begin() {
        raised = []
        conditionCodes = 0
    }

    /// Whether an unmasked exception was raised, which the next waiting instruction reports as #MF.
    @inline(__always)
    package var hasUnmaskedException: Bool { raised.rawValue & ~UInt8(truncatingIfNeeded: control) & 0x3F != 0 }

    /// Whether a result for a register is stored: only an exception of the operands prevents it.
    @inline(__always)
    package var deliversToRegister: Bool { raised.rawValue & ~UInt8(truncatingIfNeeded: control) & 0x07 == 0 }

    /// Whether a result for memory is stored: unmasked overflow and underflow prevent it as well.
    @inline(__always)
    package var deliversToMemory: Bool { raised.rawValue & ~UInt8(truncatingIfNeeded: control) & 0x1F == 0 }

    /// Whether a load from memory pushes its result: only an invalid operation prevents it.
    @inline(__always)
    package var deliversLoad: Bool { raised.rawValue & ~UInt8(truncatingIfNeeded: control) & 0x01 == 0 }

    @inline(__always)
    func isMasked(_ exceptions: FloatingPointExceptions) -> Bool {
        UInt8(truncatingIfNeeded: control) & exceptions.rawValue == exceptions.rawValue
    }

    @inline(__always)
    mutating func raise(_ exceptions: FloatingPointExceptions) {
        raised = FloatingPointExceptions(rawValue: raised.rawValue | exceptions.rawValue)
    }

    /// Raises the precision exception and records in C1 which way the result was rounded.
    @inline(__always)
    mutating func raisePrecision(isRoundedUp: Bool) {
        raise(.precision)
        if isRoundedUp { conditionCodes |= Self.roundedUp }
    }
}

// MARK: - Operands and results

extension X87Environment {
    /// Raises the denormal exception if one of the operands, of which none is NaN, is denormal.
    @inline(__always)
    mutating func checkDenormal(_ x: UnpackedNumber, _ y: UnpackedNumber) {
        if x.isDenormal || y.isDenormal { raise(.denormalOperand) }
    }

    /// The result for operands of which at least one is NaN or unsupported.
    ///
    /// The NaN with the larger significand wins, then the positive one; an SNaN gives way to a QNaN. SDM volume 1,
    /// table 4-7.
    @inline(never)
    mutating func propagateNaN(_ x: UnpackedNumber, _ y: UnpackedNumber) -> Extended {
        if x.kind == .unsupported || y.kind == .unsupported {
            raise(.invalidOperation)
            return .indefinite
        }
        if x.kind == .signalingNaN || y.kind == .signalingNaN { raise(.invalidOperation) }
        return packNaN(Self.preferredNaN(x, y))
    }

    private static func preferredNaN(_ x: UnpackedNumber, _ y: UnpackedNumber) -> UnpackedNumber {
        guard x.isNaN else { return y }
        guard y.isNaN else { return x }
        if x.kind != y.kind { return x.kind == .quietNaN ? x : y }
        if x.significand != y.significand { return x.significand > y.significand ? x : y }
        return x.isNegative ? y : x
    }

    /// Encodes a NaN, quieted.
    func packNaN(_ x: UnpackedNumber) -> Extended {
        Extended(significand: x.significand64 | 0xC000_0000_0000_0000, signAndExponent: x.isNegative ? 0xFFFF : 0x7FFF)
    }

    @inline(__always)
    static func needsNaN(_ x: UnpackedNumber, _ y: UnpackedNumber) -> Bool {
        x.kind.rawValue >= UnpackedNumber.Kind.quietNaN.rawValue
            || y.kind.rawValue >= UnpackedNumber.Kind.quietNaN.rawValue
    }

    /// Rounds a result to `precision` bits and encodes it for a register.
    ///
    /// An unmasked exception of the operands stops the operation first: there is no result, and no flag of one.
    @inline(__always)
    mutating func pack(_ number: UnpackedNumber, precision: Int32 = 64) -> Extended {
        deliversToRegister ? packDelivered(number, precision: precision) : .indefinite
    }

    @inline(__always)
    mutating func packDelivered(_ number: UnpackedNumber, precision: Int32 = 64) -> Extended {
        switch number.kind {
        case .zero: return .zero(isNegative: number.isNegative)
        case .infinity: return .infinity(isNegative: number.isNegative)
        case .quietNaN, .signalingNaN: return packNaN(number)
        case .unsupported, .invalid:
            raise(.invalidOperation)
            return .indefinite
        case .finite: break
        }
        let result = number.rounded(precision: precision, rounding)
        guard result.exponent >= -16382, result.exponent <= 16383 else {
            return packOutOfRange(number, result, precision)
        }
        if result.isInexact { raisePrecision(isRoundedUp: result.isRoundedUp) }
        return Self.encode(result, isNegative: number.isNegative)
    }

    @inline(__always)
    private static func encode(_ result: RoundedNumber, isNegative: Bool) -> Extended {
        // Without its integer bit a denormal has the exponent field zero, not one.
        let biased = UInt16(truncatingIfNeeded: result.exponent &+ 16382 &+ Int32(result.significand >> 63))
        return Extended(significand: result.significand, signAndExponent: biased | (isNegative ? 0x8000 : 0))
    }

    /// How far an unmasked overflow or underflow moves the exponent of the result it delivers.
    private static let exponentAdjustment: Int32 = 24576

    @inline(never)
    private mutating func packOutOfRange(
        _ number: UnpackedNumber, _ rounded: RoundedNumber, _ precision: Int32
    ) -> Extended {
        var result = rounded
        let isOverflow = result.exponent > 16383
        if isMasked(isOverflow ? .overflow : .underflow) {
            if isOverflow { return packOverflow(number.isNegative, precision) }
            result = number.roundedAsDenormal(precision: precision, minimumExponent: -16382, rounding)
            if result.isInexact {
                raise(.underflow)
                raisePrecision(isRoundedUp: result.isRoundedUp)
            }
            return Self.encode(result, isNegative: number.isNegative)
        }
        raise(isOverflow ? .overflow : .underflow)
        result.exponent =
            isOverflow
            ? result.exponent &- Self.exponentAdjustment : result.exponent &+ Self.exponentAdjustment
        // Only FSCALE gets so far: SDM volume 1, sections 8.5.4 and 8.5.5.
        if result.exponent > 16383 {
            raisePrecision(isRoundedUp: true)
            return .infinity(isNegative: number.isNegative)
        }
        if result.exponent < -16382 {
            raisePrecision(isRoundedUp: false)
            return .zero(isNegative: number.isNegative)
        }
        if result.isInexact { raisePrecision(isRoundedUp: result.isRoundedUp) }
        return Self.encode(result, isNegative: number.isNegative)
    }

    private mutating func packOverflow(_ isNegative: Bool, _ precision: Int32) -> Extended {
        raise(.overflow)
        let isInfinite = rounding.overflowsToInfinity(isNegative: isNegative)
        raisePrecision(isRoundedUp: isInfinite)
        if isInfinite { return .infinity(isNegative: isNegative) }
        return Extended(
            significand: UInt64.max &<< UInt64(truncatingIfNeeded: 64 &- precision),
            signAndExponent: isNegative ? 0xFFFE : 0x7FFE)
    }
}
