import X86

// RESET, INIT and start-up (SDM vol. 3 section 9.1 and table 9-1).

extension Processor {
    /// Sets the state that power-up and RESET give.
    ///
    /// Guest time goes on.
    package func reset() {
        let s = state
        resetCommonState()
        s.pointee.cr0 = CR0.CD | CR0.NW | CR0.ET
        s.pointee.x87 = X87State()
        s.pointee.sse = SSEState()
        s.pointee.xcr0 = 1
        s.pointee.star = 0
        s.pointee.lstar = 0
        s.pointee.cstar = 0
        s.pointee.fmask = 0
        s.pointee.kernelGSBase = 0
        s.pointee.sysenterCS = 0
        s.pointee.sysenterESP = 0
        s.pointee.sysenterEIP = 0
        s.pointee.tscAux = 0
        s.pointee.tscAdjust = 0
        s.pointee.tscOffset = 0
        s.pointee.tscOffset = 0 &- timeStampCounter
        s.pointee.pat = 0x0007_0406_0007_0406
        let identifier = s.pointee.msr.apicIdentifier
        s.pointee.msr = ModelSpecificRegisters()
        s.pointee.msr.apicIdentifier = identifier
        // Fast strings are on; branch trace store and precise sampling are not there.
        s.pointee.msr.miscEnable = 1 | 1 << 11 | 1 << 12
        s.pointee.msr.hardwareConfiguration = 1 << 24
        s.pointee.activity = .active
        control.pointee.faultChain = []
        // RESET ends VMX operation, where INIT is blocked, and guest mode.
        s.pointee.virtualization = VirtualizationState()
        s.pointee.deadline = control.pointee.machineDeadline
        finishReset()
    }

    /// What INIT does: RESET, but caches, the x87 and SSE state and most MSRs stay.
    ///
    /// The bootstrap processor starts at the reset vector, others wait for `startUp`.
    package func initialize() {
        let caching = state.pointee.cr0 & (CR0.CD | CR0.NW)
        initializeSVM()
        resetCommonState()
        state.pointee.cr0 = caching | CR0.ET
        let isBootstrap = environment.readModelSpecificRegister(MSR.apicBase).map { $0 & 1 << 8 != 0 } ?? true
        state.pointee.activity = isBootstrap ? .active : .waitForSIPI
        finishReset()
    }

    /// What a start-up message does to a processor that waits for it: real mode at `vector` · 4 KiB.
    package func startUp(vector: UInt8) {
        guard state.pointee.activity == .waitForSIPI else { return }
        state.pointee.cs = SegmentState(
            selector: UInt16(vector) << 8, base: UInt64(vector) << 12, limit: 0xFFFF, attributes: 0x93)
        state.pointee.rip = 0
        state.pointee.nextRIP = 0
        state.pointee.activity = .active
        finishReset()
    }

    private func resetCommonState() {
        control.pointee.hasFault = false
        let s = state
        for number in 0..<16 { registers[number] = 0 }
        s.pointee.rdx = UInt64(model.cpuid(1, 0, CPUIDContext()).eax)
        s.pointee.rip = 0xFFF0
        s.pointee.nextRIP = 0xFFF0
        s.pointee.rflags = RFLAGS.fixed
        let data = SegmentState(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x93)
        s.pointee.cs = SegmentState(selector: 0xF000, base: 0xFFFF_0000, limit: 0xFFFF, attributes: 0x93)
        s.pointee.ss = data
        s.pointee.ds = data
        s.pointee.es = data
        s.pointee.fs = data
        s.pointee.gs = data
        s.pointee.ldtr = SegmentState(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x82)
        s.pointee.tr = SegmentState(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x8B)
        s.pointee.gdtr = DescriptorTableRegister(base: 0, limit: 0xFFFF)
        s.pointee.idtr = DescriptorTableRegister(base: 0, limit: 0xFFFF)
        s.pointee.cr2 = 0
        s.pointee.cr3 = 0
        s.pointee.cr4 = 0
        s.pointee.pdpte = (0, 0, 0, 0)
        s.pointee.efer = 0
        s.pointee.dr0 = 0
        s.pointee.dr1 = 0
        s.pointee.dr2 = 0
        s.pointee.dr3 = 0
        s.pointee.dr6 = DR6.fixed
        s.pointee.dr7 = DR7.fixed
        s.pointee.cpl = 0
        s.pointee.interruptShadow = 0
        s.pointee.nmiBlocked = false
        s.pointee.pendingDebug = 0
    }

    private func finishReset() {
        flushTLB()
        updateMode()
        leaveBlockAfterThisInstruction()
    }
}
