import X86

// PUSHF, POPF, CLI, STI, CLAC and STAC (SDM vol. 2).

extension Processor {
    /// PUSHF; RF and VM read as zero.
    func pushFlags(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        var value = state.pointee.rflags & ~(RFLAGS.RF | RFLAGS.VM)
        if isVirtual8086 && state.pointee.iopl < 3 {
            try requireVirtualInterruptFlag(width: width)
            value = flagsWithVirtualInterrupt
        }
        try push(value, width: width)
    }

    /// POPF.
    func popFlags(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        let value: UInt64
        var mask = RFLAGS.status | RFLAGS.TF | RFLAGS.DF | RFLAGS.NT
        if isVirtual8086 && state.pointee.iopl < 3 {
            try requireVirtualInterruptFlag(width: width)
            (value, mask) = try poppedWithVirtualInterrupt(try stackValue(at: 0, width: width))
        } else {
            value = try stackValue(at: 0, width: width)
            if isRealMode || cpl == 0 {
                mask |= RFLAGS.IOPL | RFLAGS.IF
            } else if cpl <= state.pointee.iopl {
                mask |= RFLAGS.IF
            }
            if width != 16 { mask |= RFLAGS.AC | RFLAGS.ID }
        }
        advanceStackPointer(UInt64(width / 8))
        let old = state.pointee.systemFlags
        replaceFlags(value & ~RFLAGS.RF, mask: mask | RFLAGS.RF)
        let changed = old ^ state.pointee.systemFlags
        if changed & RFLAGS.AC != 0 { updateMode() }
        if changed & (RFLAGS.IF | RFLAGS.TF | RFLAGS.AC | RFLAGS.RF) != 0 { leaveBlockAfterThisInstruction() }
    }

    /// CLI.
    func clearInterruptFlag() throws(Fault) {
        if mayChangeInterruptFlag {
            state.pointee.systemFlags &= ~RFLAGS.IF
        } else {
            guard hasVirtualInterruptFlag else { throw .generalProtection(0) }
            state.pointee.systemFlags &= ~RFLAGS.VIF
        }
    }

    /// STI; interrupts wait for the instruction after it.
    func setInterruptFlag() throws(Fault) {
        guard mayChangeInterruptFlag else {
            guard hasVirtualInterruptFlag, state.pointee.systemFlags & RFLAGS.VIP == 0 else {
                throw .generalProtection(0)
            }
            state.pointee.systemFlags |= RFLAGS.VIF
            return
        }
        guard !state.pointee.IF else { return }
        state.pointee.systemFlags |= RFLAGS.IF
        state.pointee.interruptShadow |= InterruptShadow.sti
        leaveBlockAfterThisInstruction()
    }

    /// Virtual-8086 mode runs at CPL 3, so the same comparison serves it.
    private var mayChangeInterruptFlag: Bool { isRealMode || cpl <= state.pointee.iopl }

    /// CLAC and STAC.
    func setAlignmentCheckFlag(_ value: Bool) throws(Fault) {
        guard cpl == 0, !isVirtual8086 else { throw .invalidOpcode }
        if value {
            state.pointee.systemFlags |= RFLAGS.AC
        } else {
            state.pointee.systemFlags &= ~RFLAGS.AC
        }
        updateMode()
    }
}
