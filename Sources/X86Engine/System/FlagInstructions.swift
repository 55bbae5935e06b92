import X86

// PUSHF, POPF, CLI, STI, CLAC and STAC (SDM vol. 2).

extension Processor {
    /// PUSHF; RF and VM read as zero.
    func pushFlags(_ instruction: borrowing Instruction) throws(Fault) {
        if isVirtual8086 && state.pointee.iopl < 3 { throw .generalProtection(0) }
        try push(state.pointee.rflags & ~(RFLAGS.RF | RFLAGS.VM), width: Int(instruction.operandSize))
    }

    /// POPF.
    func popFlags(_ instruction: borrowing Instruction) throws(Fault) {
        if isVirtual8086 && state.pointee.iopl < 3 { throw .generalProtection(0) }
        let value = try pop(width: Int(instruction.operandSize))
        var mask = RFLAGS.status | RFLAGS.TF | RFLAGS.DF | RFLAGS.NT
        if isRealMode || cpl == 0 {
            mask |= RFLAGS.IOPL | RFLAGS.IF
        } else if cpl <= state.pointee.iopl {
            mask |= RFLAGS.IF
        }
        if instruction.operandSize != 16 { mask |= RFLAGS.AC | RFLAGS.ID }
        let old = state.pointee.systemFlags
        replaceFlags(value & ~RFLAGS.RF, mask: mask | RFLAGS.RF)
        let changed = old ^ state.pointee.systemFlags
        if changed & RFLAGS.AC != 0 { updateMode() }
        if changed & (RFLAGS.IF | RFLAGS.TF | RFLAGS.AC | RFLAGS.RF) != 0 { leaveBlockAfterThisInstruction() }
    }

    /// CLI.
    func clearInterruptFlag() throws(Fault) {
        try checkInterruptFlagPrivilege()
        state.pointee.systemFlags &= ~RFLAGS.IF
    }

    /// STI; interrupts wait for the instruction after it.
    func setInterruptFlag() throws(Fault) {
        try checkInterruptFlagPrivilege()
        guard !state.pointee.IF else { return }
        state.pointee.systemFlags |= RFLAGS.IF
        state.pointee.interruptShadow |= InterruptShadow.sti
        leaveBlockAfterThisInstruction()
    }

    private func checkInterruptFlagPrivilege() throws(Fault) {
        // Virtual-8086 mode runs at CPL 3, so the same comparison serves it.
        guard isRealMode || cpl <= state.pointee.iopl else { throw .generalProtection(0) }
    }

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
