import X86

// VMRUN, VMLOAD, VMSAVE, STGI, CLGI and INVLPGA (APM volume 3 chapter 4, volume 2 sections 15.5, 15.16 and 15.17).
// SKINIT is not there, and CPUID says so; VMMCALL that is not intercepted is #UD (`hypercall`).

extension Processor {
    /// #UD unless EFER.SVME is set, #GP(0) outside ring 0; protected mode is the opcode table's condition.
    func requireSVM() throws(Fault) {
        guard state.pointee.efer & EFER.SVME != 0 else { throw .invalidOpcode }
        try requirePrivilege()
    }

    /// The physical address of a VMCB in rAX: #GP(0) unless it is that of a page inside the physical-address space.
    private func addressOfVMCB(_ instruction: borrowing Instruction) throws(Fault) -> UInt64 {
        try requireSVM()
        let address = truncate(state.pointee.rax, width: Int(instruction.addressSize))
        guard isVMCBAddress(address) else { throw .generalProtection(0) }
        return address
    }

    /// Whether an address is that of a page inside the physical-address space.
    func isVMCBAddress(_ address: UInt64) -> Bool { address & 0xFFF == 0 && address & ~physicalAddressMask == 0 }

    /// VMRUN.
    func runVirtualMachine(_ instruction: borrowing Instruction) throws(Fault) {
        let vmcb = try addressOfVMCB(instruction)
        leaveBlockAfterThisInstruction()
        // The guest's RF, or the host's after an exit, lasts for the next instruction.
        control.pointee.loadedResumeFlag = true
        rememberTranslationContext()
        saveHostForVMRUN()
        state.pointee.virtualization.svm.hostPaging = currentHostPaging
        state.pointee.virtualization.svm.hostInterruptFlag = state.pointee.IF
        state.pointee.virtualization.svm.vmcb = vmcb
        if let failure = loadSVMGuest() { performExit(failure, from: .svm) }
    }

    /// How the page tables of the host that executes VMRUN are read.
    private var currentHostPaging: HostPaging {
        let s = state
        let executeDisable = s.pointee.efer & EFER.NXE != 0
        guard s.pointee.cr0 & CR0.PG != 0 else { return .disabled }
        if s.pointee.efer & EFER.LMA != 0 { return .long(executeDisable: executeDisable) }
        if s.pointee.cr4 & CR4.PAE != 0 { return .physicalAddressExtension(executeDisable: executeDisable) }
        return .legacy(largePages: s.pointee.cr4 & CR4.PSE != 0)
    }

    /// The fields that VMSAVE and VMLOAD move beside segments.
    @inline(__always)
    private func forEachTransferredField(_ body: (VMCBField, inout UInt64) -> Void) {
        let s = state
        body(.kernelGSBase, &s.pointee.kernelGSBase)
        body(.star, &s.pointee.star)
        body(.lstar, &s.pointee.lstar)
        body(.cstar, &s.pointee.cstar)
        body(.sfmask, &s.pointee.fmask)
        body(.sysenterCS, &s.pointee.sysenterCS)
        body(.sysenterESP, &s.pointee.sysenterESP)
        body(.sysenterEIP, &s.pointee.sysenterEIP)
    }

    /// VMSAVE.
    func saveToVMCB(_ instruction: borrowing Instruction) throws(Fault) {
        saveTransferredState(at: try addressOfVMCB(instruction))
    }

    /// Writes what VMSAVE saves.
    func saveTransferredState(at vmcb: UInt64) {
        saveSegment(.fs, at: vmcb)
        saveSegment(.gs, at: vmcb)
        saveSegment(.ldtr, at: vmcb)
        saveSegment(.tr, at: vmcb)
        forEachTransferredField { field, register in writeVMCB(field, register, at: vmcb) }
    }

    /// VMLOAD.
    func loadFromVMCB(_ instruction: borrowing Instruction) throws(Fault) {
        let vmcb = try addressOfVMCB(instruction)
        leaveBlockAfterThisInstruction()
        for register in [GuestSegment.fs, .gs, .ldtr, .tr] {
            setSegment(
                register,
                segmentInVMCB(register, cpl: 0, isProtected: true, isLong: isLongModeActive, at: vmcb))
        }
        forEachTransferredField { field, register in register = Self.loadable(readVMCB(field, at: vmcb), field) }
        updateMode()
    }

    /// What VMLOAD makes of a field: addresses are canonicalized, numbers cut to the width of their registers.
    private static func loadable(_ value: UInt64, _ field: VMCBField) -> UInt64 {
        if field == .sfmask || field == .sysenterCS { return value & 0xFFFF_FFFF }
        return field == .star ? value : canonical(value)
    }

    /// STGI and CLGI.
    func setGlobalInterruptFlag(_ value: Bool) throws(Fault) {
        try requireSVM()
        state.pointee.virtualization.svm.globalInterruptFlag = value
        leaveBlockAfterThisInstruction()
    }

    /// INVLPGA: translations of other guests are dropped together with the one that is named, which is always allowed.
    func invalidatePageOfGuest(_ instruction: borrowing Instruction) throws(Fault) {
        try requireSVM()
        flushTLB(linear: truncate(state.pointee.rax, width: Int(instruction.addressSize)))
        leaveBlockAfterThisInstruction()
    }
}
