import X86

// SDM vol. 1 section 5.1.3: the adjustments of packed and unpacked decimal numbers, and SALC. None exists in 64-bit mode.

extension Processor {
    /// DAA (`subtracting` false) and DAS.
    func decimalAdjust(subtracting: Bool) {
        let s = state
        let old = general(.al)
        let oldCarry = s.pointee.CF
        var value = old
        var carry = false
        var adjusts = false
        if old & 0xF > 9 || s.pointee.AF {
            carry = oldCarry || (subtracting ? old < 6 : old > 0xF9)
            value = subtracting ? value &- 6 : value &+ 6
            adjusts = true
        }
        if old > 0x99 || oldCarry {
            value = subtracting ? value &- 0x60 : value &+ 0x60
            carry = true
        } else if !subtracting {
            carry = false
        }
        setGeneral(.al, value)
        s.setFlags(result: value & 0xFF, carry: carry, width: 8)
        s.pointee.setStatusFlags(adjusts ? RFLAGS.AF : 0, mask: RFLAGS.AF)
    }

    /// AAA (`subtracting` false) and AAS.
    func asciiAdjust(subtracting: Bool) {
        let s = state
        let ax = general(.ax)
        let adjusts = ax & 0xF > 9 || s.pointee.AF
        if adjusts { setGeneral(.ax, subtracting ? ax &- 0x106 : ax &+ 0x106) }
        setGeneral(.al, general(.al) & 0xF)
        s.setFlags(result: general(.al), carry: adjusts, width: 8)
        s.pointee.setStatusFlags(adjusts ? RFLAGS.AF : 0, mask: RFLAGS.AF)
    }

    /// AAM; base 0 gives #DE.
    func asciiAdjustAfterMultiplication(_ instruction: borrowing Instruction) throws(Fault) {
        let base = instruction.immediate & 0xFF
        guard base != 0 else { throw .divideError }
        let (quotient, remainder) = general(.al).quotientAndRemainder(dividingBy: base)
        setGeneral(.ax, quotient << 8 | remainder)
        state.setFlags(result: remainder, width: 8)
    }

    /// AAD.
    func asciiAdjustBeforeDivision(_ instruction: borrowing Instruction) {
        let value = (general(.al) &+ general(.ah) &* (instruction.immediate & 0xFF)) & 0xFF
        setGeneral(.ax, value)
        state.setFlags(result: value, width: 8)
    }

    /// SALC: AL becomes FF if CF is set, else 0.
    func setFromCarry() { setGeneral(.al, state.pointee.CF ? 0xFF : 0) }
}
