// The status flags are not computed when an instruction executes but when one is read. Two words hold all six:
//
//   flagResult     the result, sign-extended from the operand size to 64 bits
//   flagAuxiliary  bit 63 CF, bit 62 the carry into the result's top bit (OF = 63 ^ 62), bit 3 AF,
//                  bits 8...15 xor-ed into the result's low byte for PF, bit 0 xor-ed into SF
//
// ZF is `flagResult == 0`, SF bit 63 of `flagResult` xor bit 0 of `flagAuxiliary`. The layout is the same for every
// operand size, so reading a flag needs no branch.

/// The two words, apart from the state they stand in.
///
/// What is computed from them is a member of this small value: a member of the state that is not inlined would be
/// called with a copy of the whole state, 2 KiB.
struct StatusFlags {
    let result: UInt64
    let auxiliary: UInt64

    @inline(__always) var CF: Bool { auxiliary >> 63 != 0 }
    @inline(__always) var OF: Bool { (auxiliary ^ auxiliary << 1) >> 63 != 0 }
    @inline(__always) var ZF: Bool { result == 0 }
    @inline(__always) var SF: Bool { (result >> 63 ^ auxiliary) & 1 != 0 }
    @inline(__always) var AF: Bool { auxiliary & 8 != 0 }
    @inline(__always) var PF: Bool {
        let low = (result ^ auxiliary >> 8) & 0xFF
        return low == 0 || low.nonzeroBitCount & 1 == 0
    }

    /// All six in their RFLAGS positions.
    var bits: UInt64 {
        var flags: UInt64 = CF ? RFLAGS.CF : 0
        if PF { flags |= RFLAGS.PF }
        if AF { flags |= RFLAGS.AF }
        if ZF { flags |= RFLAGS.ZF }
        if SF { flags |= RFLAGS.SF }
        if OF { flags |= RFLAGS.OF }
        return flags
    }

    /// Whether condition code 0...15 holds.
    ///
    /// SDM vol. 1 appendix B.
    func holds(_ condition: UInt8) -> Bool {
        let base: Bool
        switch condition >> 1 & 7 {
        case 0: base = OF
        case 1: base = CF
        case 2: base = ZF
        case 3: base = CF || ZF
        case 4: base = SF
        case 5: base = PF
        case 6: base = SF != OF
        default: base = ZF || SF != OF
        }
        return base != (condition & 1 != 0)
    }
}

extension ProcessorState {
    @inline(__always) var status: StatusFlags { StatusFlags(result: flagResult, auxiliary: flagAuxiliary) }
    @inline(__always) package var CF: Bool { status.CF }
    @inline(__always) package var OF: Bool { status.OF }
    @inline(__always) package var ZF: Bool { status.ZF }
    @inline(__always) package var SF: Bool { status.SF }
    @inline(__always) package var AF: Bool { status.AF }
    @inline(__always) package var PF: Bool { status.PF }
    @inline(__always) package var DF: Bool { systemFlags & RFLAGS.DF != 0 }
    @inline(__always) package var IF: Bool { systemFlags & RFLAGS.IF != 0 }
    @inline(__always) package var TF: Bool { systemFlags & RFLAGS.TF != 0 }
    @inline(__always) package var NT: Bool { systemFlags & RFLAGS.NT != 0 }
    @inline(__always) package var VM: Bool { systemFlags & RFLAGS.VM != 0 }
    @inline(__always) package var iopl: UInt8 { UInt8(truncatingIfNeeded: systemFlags >> 12 & 3) }

    /// The six status flags in their RFLAGS positions.
    package var statusFlags: UInt64 {
        @inline(__always) get { status.bits }
        set {
            // A result of 0 or 1 gives ZF; PF and SF are then corrected through the auxiliary word.
            let zero = newValue & RFLAGS.ZF != 0
            let carry = newValue & RFLAGS.CF != 0
            let overflow = newValue & RFLAGS.OF != 0
            flagResult = zero ? 0 : 1
            var auxiliary: UInt64 = carry ? 1 << 63 : 0
            if carry != overflow { auxiliary |= 1 << 62 }
            if newValue & RFLAGS.AF != 0 { auxiliary |= 8 }
            if newValue & RFLAGS.SF != 0 { auxiliary |= 1 }
            // Parity of 0 is even, of 1 odd: one flipped bit turns it.
            let evenNow = zero
            if (newValue & RFLAGS.PF != 0) != evenNow { auxiliary |= 0x100 }
            flagAuxiliary = auxiliary
        }
    }

    /// RFLAGS as a whole.
    ///
    /// The setter keeps bit 1 set and reserved bits clear but does not call `updateMode()`.
    package var rflags: UInt64 {
        @inline(__always) get { systemFlags | statusFlags }
        set {
            statusFlags = newValue
            systemFlags = newValue & 0x3F_7700 | RFLAGS.fixed
        }
    }

    /// Changes only the status flags in `mask`.
    package mutating func setStatusFlags(_ values: UInt64, mask: UInt64) {
        statusFlags = statusFlags & ~mask | values & mask
    }

    /// Whether condition code 0...15 holds.
    @inline(__always) package func holds(_ condition: UInt8) -> Bool { status.holds(condition) }
}
