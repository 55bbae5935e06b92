import X86

// SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS and the FSGSBASE group (SDM vol. 2; APM vol. 3 for AMD's legacy forms).

extension Processor {
    /// A flat code segment as SYSCALL, SYSENTER and their returns load it, without reading a table.
    private func flatCode(_ selector: UInt16, level: UInt8, long: Bool) -> SegmentState {
        SegmentState(
            selector: selector, base: 0, limit: 0xFFFF_FFFF,
            attributes: 0x809B | UInt32(level) << 5 | (long ? 0x2000 : 0x4000))
    }

    private func flatStack(_ selector: UInt16, level: UInt8) -> SegmentState {
        SegmentState(selector: selector, base: 0, limit: 0xFFFF_FFFF, attributes: 0xC093 | UInt32(level) << 5)
    }

    /// Asks the watcher of system calls; true if the instruction is done.
    private func systemCallIsHandled() throws(Fault) -> Bool {
        guard watched.contains(.syscall) else { return false }
        switch ask(.syscall) {
        case .proceed: return false
        case .skip: return true
        case .reply(let value):
            state.pointee.rax = value
            return true
        case .inject(let fault): throw fault
        }
    }

    /// SYSCALL: Intel processors know it in 64-bit mode only.
    func systemCall() throws(Fault) {
        guard state.pointee.efer & EFER.SCE != 0, is64BitMode || model.vendor == .amd, isProtectedMode else {
            throw .invalidOpcode
        }
        if try systemCallIsHandled() { return }
        let start = transitionStart()
        let selector = UInt16(truncatingIfNeeded: state.pointee.star >> 32) & ~3
        leaveBlockAfterThisInstruction()
        if isLongModeActive {
            state.pointee.rcx = state.pointee.nextRIP
            state.pointee.r11 = state.pointee.rflags & ~RFLAGS.RF
            let target = is64BitMode ? state.pointee.lstar : state.pointee.cstar
            replaceFlags(0, mask: state.pointee.fmask & 0xFFFF_FFFF | RFLAGS.RF)
            state.pointee.ss = flatStack(selector &+ 8, level: 0)
            enter(CodeTarget(segment: flatCode(selector, level: 0, long: true), offset: target), level: 0)
        } else {
            state.pointee.rcx = state.pointee.nextRIP & 0xFFFF_FFFF
            replaceFlags(0, mask: RFLAGS.VM | RFLAGS.IF | RFLAGS.RF)
            state.pointee.ss = flatStack(selector &+ 8, level: 0)
            enter(
                CodeTarget(
                    segment: flatCode(selector, level: 0, long: false), offset: state.pointee.star & 0xFFFF_FFFF),
                level: 0)
        }
        transitioned(from: start, .syscall)
    }

    /// SYSRET.
    func systemReturn(_ instruction: borrowing Instruction) throws(Fault) {
        guard state.pointee.efer & EFER.SCE != 0, is64BitMode || model.vendor == .amd, isProtectedMode else {
            throw .invalidOpcode
        }
        guard cpl == 0 else { throw .generalProtection(0) }
        let wide = instruction.operandSize == 64
        let target = state.pointee.rcx
        // Intel checks the address at level 0; AMD returns and faults at level 3.
        if wide && model.vendor == .intel {
            guard Self.isCanonical(target) else { throw .generalProtection(0) }
        }
        let start = transitionStart()
        let base = UInt16(truncatingIfNeeded: state.pointee.star >> 48)
        leaveBlockAfterThisInstruction()
        if isLongModeActive {
            // Everything but RF, VM and the reserved bits comes from R11 (0x3C7FD7).
            let mask: UInt64 = 0x3C_7FD7
            replaceFlags(state.pointee.r11 & mask, mask: mask | RFLAGS.RF | RFLAGS.VM)
        } else {
            replaceFlags(RFLAGS.IF, mask: RFLAGS.IF)
        }
        state.pointee.ss = flatStack((base &+ 8) | 3, level: 3)
        enter(
            CodeTarget(
                segment: flatCode((base &+ (wide ? 16 : 0)) | 3, level: 3, long: wide),
                offset: wide ? target : target & 0xFFFF_FFFF),
            level: 3)
        transitioned(from: start, .sysret)
    }

    /// SYSENTER.
    func systemEnter() throws(Fault) {
        guard isRealMode == false, state.pointee.sysenterCS & 0xFFFC != 0 else { throw .generalProtection(0) }
        // AMD processors do not know it in long mode (APM vol. 3).
        guard !(isLongModeActive && model.vendor == .amd) else { throw .invalidOpcode }
        if try systemCallIsHandled() { return }
        let start = transitionStart()
        let selector = UInt16(truncatingIfNeeded: state.pointee.sysenterCS) & ~3
        let long = isLongModeActive
        leaveBlockAfterThisInstruction()
        replaceFlags(0, mask: RFLAGS.VM | RFLAGS.IF | RFLAGS.RF)
        state.pointee.rsp = long ? state.pointee.sysenterESP : state.pointee.sysenterESP & 0xFFFF_FFFF
        state.pointee.ss = flatStack(selector &+ 8, level: 0)
        let target = long ? state.pointee.sysenterEIP : state.pointee.sysenterEIP & 0xFFFF_FFFF
        enter(CodeTarget(segment: flatCode(selector, level: 0, long: long), offset: target), level: 0)
        transitioned(from: start, .sysenter, switchedStack: true)
    }

    /// SYSEXIT.
    func systemExit(_ instruction: borrowing Instruction) throws(Fault) {
        guard isProtectedMode, state.pointee.sysenterCS & 0xFFFC != 0, cpl == 0 else { throw .generalProtection(0) }
        guard !(isLongModeActive && model.vendor == .amd) else { throw .invalidOpcode }
        let wide = instruction.operandSize == 64
        if wide {
            guard Self.isCanonical(state.pointee.rcx), Self.isCanonical(state.pointee.rdx) else {
                throw .generalProtection(0)
            }
        }
        let start = transitionStart()
        let base = UInt16(truncatingIfNeeded: state.pointee.sysenterCS)
        let selector = (base &+ (wide ? 32 : 16)) | 3
        let target = wide ? state.pointee.rdx : state.pointee.rdx & 0xFFFF_FFFF
        leaveBlockAfterThisInstruction()
        state.pointee.rsp = wide ? state.pointee.rcx : state.pointee.rcx & 0xFFFF_FFFF
        state.pointee.ss = flatStack(selector &+ 8, level: 3)
        enter(CodeTarget(segment: flatCode(selector, level: 3, long: wide), offset: target), level: 3)
        transitioned(from: start, .sysexit)
    }

    /// SWAPGS.
    func swapGS() throws(Fault) {
        guard is64BitMode else { throw .invalidOpcode }
        guard cpl == 0 else { throw .generalProtection(0) }
        swap(&state.pointee.gs.base, &state.pointee.kernelGSBase)
    }

    /// RDFSBASE and RDGSBASE.
    func readSegmentBase(_ instruction: borrowing Instruction, _ segment: Register) throws(Fault) {
        guard is64BitMode, state.pointee.cr4 & CR4.FSGSBASE != 0 else { throw .invalidOpcode }
        setGeneral(instruction.operands.0.register, state.pointee.segment(segment).base)
    }

    /// WRFSBASE and WRGSBASE.
    func writeSegmentBase(_ instruction: borrowing Instruction, _ segment: Register) throws(Fault) {
        guard is64BitMode, state.pointee.cr4 & CR4.FSGSBASE != 0 else { throw .invalidOpcode }
        let value = general(instruction.operands.0.register)
        guard Self.isCanonical(value) else { throw .generalProtection(0) }
        if segment == .fs { state.pointee.fs.base = value } else { state.pointee.gs.base = value }
    }
}
