// How results turn into the two lazy flag words (layout: `State/StatusFlags.swift`). Shared by the hot loop and the
// slow path; everything is inlined for each operand size.

extension UnsafeMutablePointer where Pointee == ProcessorState {
    /// Flags of a result whose carries out of each bit are known.
    @inline(__always)
    func setFlags<T: FixedWidthInteger & UnsignedInteger>(result: T, carries: T) {
        pointee.flagResult = UInt64(bitPattern: Int64(truncatingIfNeeded: signed(result)))
        let wide = UInt64(truncatingIfNeeded: carries)
        if T.bitWidth == 64 {
            pointee.flagAuxiliary = wide & 0xC000_0000_0000_0008
        } else {
            pointee.flagAuxiliary = (wide << UInt64(64 - T.bitWidth)) & 0xC000_0000_0000_0000 | wide & 8
        }
    }

    /// ADD and ADC: `result` is a + b + carry.
    @inline(__always)
    func setFlagsOfAddition<T: FixedWidthInteger & UnsignedInteger>(_ a: T, _ b: T, result: T) {
        setFlags(result: result, carries: (a & b) | ((a | b) & ~result))
    }

    /// SUB, SBB, CMP and NEG (a = 0): `result` is a - b - borrow.
    @inline(__always)
    func setFlagsOfSubtraction<T: FixedWidthInteger & UnsignedInteger>(_ a: T, _ b: T, result: T) {
        setFlags(result: result, carries: (~a & b) | ((~a | b) & result))
    }

    /// AND, OR, XOR, TEST: CF and OF are 0; AF, undefined in the manuals, is 0 as on current processors.
    @inline(__always)
    func setFlagsOfLogic<T: FixedWidthInteger & UnsignedInteger>(result: T) {
        pointee.flagResult = UInt64(bitPattern: Int64(truncatingIfNeeded: signed(result)))
        pointee.flagAuxiliary = 0
    }

    /// INC: like ADD of 1, but CF stays.
    @inline(__always)
    func setFlagsOfIncrement<T: FixedWidthInteger & UnsignedInteger>(_ a: T, result: T) {
        let carry = pointee.flagAuxiliary >> 63
        setFlagsOfAddition(a, 1, result: result)
        keepCarry(carry)
    }

    /// DEC: like SUB of 1, but CF stays.
    @inline(__always)
    func setFlagsOfDecrement<T: FixedWidthInteger & UnsignedInteger>(_ a: T, result: T) {
        let carry = pointee.flagAuxiliary >> 63
        setFlagsOfSubtraction(a, 1, result: result)
        keepCarry(carry)
    }

    /// Replaces CF and leaves OF, which is the xor of the two top bits, as it is.
    @inline(__always)
    private func keepCarry(_ carry: UInt64) {
        let auxiliary = pointee.flagAuxiliary
        let flip = (auxiliary >> 63) ^ carry
        pointee.flagAuxiliary = auxiliary ^ (flip << 63 | flip << 62)
    }

    /// Sets all flags from a result, with CF and OF given (shifts, multiplications); AF becomes 0.
    @inline(__always)
    func setFlags<T: FixedWidthInteger & UnsignedInteger>(result: T, carry: Bool, overflow: Bool) {
        pointee.flagResult = UInt64(bitPattern: Int64(truncatingIfNeeded: signed(result)))
        let top: UInt64 = carry ? 1 : 0
        pointee.flagAuxiliary = top << 63 | (top ^ (overflow ? 1 : 0)) << 62
    }

    /// Changes CF and OF only (rotates).
    @inline(__always)
    func setCarryAndOverflow(_ carry: Bool, _ overflow: Bool) {
        let top: UInt64 = carry ? 1 : 0
        pointee.flagAuxiliary =
            pointee.flagAuxiliary & 0x3FFF_FFFF_FFFF_FFFF | top << 63 | (top ^ (overflow ? 1 : 0)) << 62
    }

    /// The value as a signed one of 64 bits.
    @inline(__always)
    private func signed<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> Int64 {
        switch T.bitWidth {
        case 8: Int64(Int8(truncatingIfNeeded: value))
        case 16: Int64(Int16(truncatingIfNeeded: value))
        case 32: Int64(Int32(truncatingIfNeeded: value))
        default: Int64(truncatingIfNeeded: value)
        }
    }
}
