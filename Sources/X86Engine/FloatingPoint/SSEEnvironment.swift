/// MXCSR and what the instruction in progress has raised; each SSE operation is a method on it.
///
/// An instruction calls operations for its elements and then `retire`, which says whether the results may
/// be written. Signaling, rounding and masking follow SDM volume 1, sections 4.9 and 11.5.
package struct SSEEnvironment: Hashable, Sendable {
    /// MXCSR: exception flags 5:0, DAZ 6, masks 12:7, rounding control 14:13, flush to zero 15.
    package var mxcsr: UInt32
    /// The exceptions of the instruction in progress, in the positions of MXCSR's flags.
    package var raised: UInt32 = 0

    /// MXCSR after reset and as operating systems start a process.
    package static let initialMXCSR: UInt32 = 0x1F80

    @inline(__always)
    package init(mxcsr: UInt32 = SSEEnvironment.initialMXCSR) { self.mxcsr = mxcsr }

    @inline(__always) package var rounding: RoundingControl { RoundingControl(bits: mxcsr >> 13) }
    @inline(__always) var denormalsAreZero: Bool { mxcsr & 0x40 != 0 }
    @inline(__always) var flushToZero: Bool { mxcsr & 0x8000 != 0 }

    @inline(__always)
    func isMasked(_ exceptions: FloatingPointExceptions) -> Bool {
        mxcsr >> 7 & UInt32(exceptions.rawValue) == UInt32(exceptions.rawValue)
    }

    @inline(__always)
    mutating func raise(_ exceptions: FloatingPointExceptions) { raised |= UInt32(exceptions.rawValue) }

    /// Ends the instruction: its exceptions become MXCSR's flags.
    ///
    /// - Returns: false where an unmasked exception requires #XM (#UD with CR4.OSXMMEXCPT clear) and the
    ///   destination must stay as it was.
    @inline(__always)
    package mutating func retire() -> Bool {
        if raised == 0 { return true }
        return retireRaised()
    }

    @inline(never)
    private mutating func retireRaised() -> Bool {
        let unmasked = raised & ~(mxcsr >> 7)
        // An exception of any element's operands stops the whole instruction before results exist
        // (SDM volume 1, section 11.5.3.2).
        if unmasked & UInt32(FloatingPointExceptions.beforeComputation.rawValue) != 0 {
            raised &= UInt32(FloatingPointExceptions.beforeComputation.rawValue)
        }
        mxcsr |= raised
        raised = 0
        return unmasked == 0
    }

    /// Whether rounding is to nearest, so that host arithmetic gives the same result.
    @inline(__always)
    var roundsLikeHost: Bool { mxcsr & 0x6000 == 0 }

    /// Whether raising the precision exception would change nothing: its flag is set and it is masked.
    @inline(__always)
    var ignoresPrecision: Bool { mxcsr & 0x1020 == 0x1020 }

    @inline(__always)
    mutating func raisePrecision(if isInexact: Bool) {
        if isInexact { raised |= UInt32(FloatingPointExceptions.precision.rawValue) }
    }
}

// MARK: - Slow path

extension SSEEnvironment {
    /// Takes an operand apart, a denormal read as zero where MXCSR.DAZ says so.
    @inline(__always)
    func unpack(_ bits: UInt64, _ format: InterchangeFormat) -> UnpackedNumber {
        let number = UnpackedNumber(bits, format)
        return number.isDenormal && denormalsAreZero ? .zero(isNegative: number.isNegative) : number
    }

    /// The operand that `bits` stands for: itself, or zero for a denormal under MXCSR.DAZ.
    @inline(__always)
    func flushed(_ bits: UInt64, _ format: InterchangeFormat) -> UInt64 {
        denormalsAreZero && format.isDenormal(bits) ? bits & format.signBit : bits
    }

    /// The result for operands of which at least one is NaN: the first NaN, quieted.
    ///
    /// SDM volume 1, table 4-7.
    mutating func propagateNaN(_ a: UInt64, _ b: UInt64, _ format: InterchangeFormat) -> UInt64 {
        if format.isSignalingNaN(a) || format.isSignalingNaN(b) { raise(.invalidOperation) }
        return (format.isNaN(a) ? a : b) | format.quietBit
    }

    /// Rounds and encodes a result.
    mutating func pack(_ number: UnpackedNumber, _ format: InterchangeFormat) -> UInt64 {
        let sign = number.isNegative ? format.signBit : 0
        switch number.kind {
        case .zero: return sign
        case .infinity: return sign | format.infinity
        case .quietNaN, .signalingNaN:
            let fraction = UInt64(truncatingIfNeeded: number.significand &>> UInt128(127 &- format.fractionBits))
            return sign | format.infinity | format.quietBit | fraction & (format.quietBit &- 1)
        case .unsupported, .invalid:
            raise(.invalidOperation)
            return format.indefinite
        case .finite: return packFinite(number, format)
        }
    }

    private mutating func packFinite(_ number: UnpackedNumber, _ format: InterchangeFormat) -> UInt64 {
        let sign = number.isNegative ? format.signBit : 0
        var result = number.rounded(precision: format.precision, rounding)
        if result.exponent > format.bias {
            // An unmasked overflow leaves the destination alone, so the masked response serves both.
            raise(isMasked(.overflow) || result.isInexact ? [.overflow, .precision] : .overflow)
            let isInfinite = rounding.overflowsToInfinity(isNegative: number.isNegative)
            return sign | (isInfinite ? format.infinity : format.infinity &- 1)
        }
        if result.exponent < format.minimumExponent {
            guard isMasked(.underflow) else {
                raise(result.isInexact ? [.underflow, .precision] : .underflow)
                return sign
            }
            if flushToZero {
                raise([.underflow, .precision])
                return sign
            }
            result = number.roundedAsDenormal(
                precision: format.precision, minimumExponent: format.minimumExponent, rounding)
            if result.isInexact { raise([.underflow, .precision]) }
        } else if result.isInexact {
            raise(.precision)
        }
        // The integer bit, where it is set, adds the one that the biased exponent below leaves out.
        let fraction = result.significand &>> UInt64(63 &- format.fractionBits)
        let biased = UInt64(truncatingIfNeeded: result.exponent &- format.minimumExponent)
        return sign | (biased &<< UInt64(format.fractionBits)) &+ fraction
    }

    @inline(never)
    mutating func arithmetic(
        _ operation: FloatingPointOperation, _ a: UInt64, _ b: UInt64, _ format: InterchangeFormat
    ) -> UInt64 {
        let x = unpack(a, format)
        let y = unpack(b, format)
        if x.isNaN || y.isNaN { return propagateNaN(a, b, format) }
        let result: UnpackedNumber
        switch operation {
        case .add: result = .sum(x, y, rounding)
        case .subtract: result = .sum(x, y.negated, rounding)
        case .multiply: result = .product(x, y)
        case .divide:
            result = .quotient(x, y)
            if y.kind == .zero && x.kind == .finite {
                raise(.divideByZero)
                return pack(result, format)
            }
        }
        if result.kind != .invalid && (x.isDenormal || y.isDenormal) { raise(.denormalOperand) }
        return pack(result, format)
    }

    @inline(never)
    mutating func squareRoot(_ a: UInt64, _ format: InterchangeFormat) -> UInt64 {
        let x = unpack(a, format)
        if x.isNaN { return propagateNaN(a, a, format) }
        let result = UnpackedNumber.squareRoot(x)
        if result.kind != .invalid && x.isDenormal { raise(.denormalOperand) }
        return pack(result, format)
    }
}
