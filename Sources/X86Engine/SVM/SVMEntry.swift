import X86

// Loading a guest by VMRUN (APM volume 2 section 15.5.1).

extension Processor {
    /// Enters the guest of a VMCB on behalf of a monitor in Swift, which has no host state to be saved: nested page tables
    /// are of four levels.
    ///
    /// FS, GS, LDTR, TR and what else VMLOAD loads are in the processor. Where the VMCB is invalid the monitor's `handle` is
    /// called; it may also have left the guest again when this returns. False if `vmcb` is no page's address.
    package func enterGuest(vmcb: UInt64) -> Bool {
        guard chooseGuest(vmcb: vmcb) else { return false }
        rememberTranslationContext()
        if let failure = loadSVMGuest() { performExit(failure, from: .svm) }
        return true
    }

    /// The same at the next `run`, with RAX as it is in the processor by then.
    package func enterGuestAtNextRun(vmcb: UInt64) -> Bool {
        guard chooseGuest(vmcb: vmcb) else { return false }
        state.pointee.virtualization.resumesAtNextRun = .svm
        return true
    }

    private func chooseGuest(vmcb: UInt64) -> Bool {
        guard isVMCBAddress(vmcb) else { return false }
        state.pointee.virtualization.svm.hostPaging = .long(executeDisable: true)
        state.pointee.virtualization.svm.hostInterruptFlag = true
        state.pointee.virtualization.svm.vmcb = vmcb
        return true
    }

    /// Goes on with the guest after a monitor has handled an exit.
    ///
    /// RAX, which is in the VMCB too, is as the monitor left it in the processor, like the other general registers.
    func loadSVMGuestOfMonitor() -> VMExit? {
        writeVMCB(.rax, state.pointee.rax)
        return loadSVMGuest()
    }

    /// Checks and loads the guest of the current VMCB; nil when it is entered.
    func loadSVMGuest() -> VMExit? {
        let s = state
        let controls: SVMControls
        do throws(SVMInvalidState) {
            controls = try checkedVMCB()
            try loadGuestFromVMCB(controls)
        } catch {
            return VMExit(cause: .invalidVMCB(error))
        }
        s.pointee.virtualization.svm.controls = controls
        s.pointee.virtualization.mode = .svm
        let level =
            controls.usesNestedPaging
            ? s.pointee.virtualization.svm.hostPaging.secondLevel(
                root: controls.nestedCR3, addressMask: physicalAddressMask) : SecondLevel()
        useSecondLevel(level)
        s.pointee.virtualization.timeStampOffset = readVMCB(.tscOffset)
        s.pointee.virtualization.timeStampMultiplier = s.pointee.virtualization.svm.timeStampRatio << 16
        s.pointee.virtualization.svm.virtualInterrupt = VirtualInterrupt(rawValue: readVMCB(.virtualInterrupt))
        s.pointee.virtualization.svm.pauseCount = Int32(controls.pauseFilterCount)
        s.pointee.virtualization.svm.lastPause = timeStampCounter
        s.pointee.virtualization.svm.globalInterruptFlag = true
        s.pointee.interruptShadow = shadowInVMCB
        s.pointee.activity = .active
        s.pointee.pendingDebug = 0
        s.pointee.virtualization.injection = injectionInVMCB
        updateMode()
        checkTranslationContext()
        // 1, 3 and 7 drop all, the guest's, or the guest's translations that are not global; one is as good as the other.
        if readVMCB(.tlbControl) != 0 { flushSecondLevel() }
        updateSVMSignal()
        s.pointee.work &+= 1
        leaveBlockAfterThisInstruction()
        return nil
    }

    private func loadGuestFromVMCB(_ controls: SVMControls) throws(SVMInvalidState) {
        let s = state
        let registers = SVMControlRegisters(self, at: nil)
        if let pointers = try pageDirectoryPointers(registers, isNested: controls.usesNestedPaging) {
            s.pointee.pdpte = pointers
        }
        loadRegistersFromVMCB(registers, at: nil)
        s.pointee.cr2 = readVMCB(.cr2)
        s.pointee.dr6 = readVMCB(.dr6) & DR6.writable | DR6.fixed
        s.pointee.dr7 = readVMCB(.dr7) & DR7.writable | DR7.fixed
        if controls.usesNestedPaging { s.pointee.pat = readVMCB(.guestPAT) }
    }

    /// The PDPTEs of a guest or host with PAE paging; nil where there are none, or where walks read them.
    func pageDirectoryPointers(
        _ registers: SVMControlRegisters, isNested: Bool
    ) throws(SVMInvalidState) -> (UInt64, UInt64, UInt64, UInt64)? {
        guard registers.cr0 & CR0.PG != 0, registers.cr4 & CR4.PAE != 0, !registers.isLong, !isNested else {
            return nil
        }
        let table = registers.cr3 & 0xFFFF_FFE0
        func entry(_ index: UInt64) -> UInt64 {
            readPhysical((table &+ index &* 8) & memory.addressLineMask, width: 8)
        }
        let entries = (entry(0), entry(1), entry(2), entry(3))
        let reserved = ~physicalAddressMask | PageEntry.reservedInPDPTE
        for entry in [entries.0, entries.1, entries.2, entries.3] where entry & PageEntry.P != 0 {
            guard entry & reserved == 0 else { throw .pageDirectoryPointers }
        }
        return entries
    }

    /// Loads what both VMRUN and #VMEXIT load.
    ///
    /// Control registers, four segments, descriptor tables, RIP, RSP, RAX, RFLAGS and the CPL.
    func loadRegistersFromVMCB(_ registers: SVMControlRegisters, at address: UInt64?) {
        let s = state
        s.pointee.cr0 = registers.cr0 & VMXCapabilities.existingCR0 | CR0.ET
        s.pointee.cr3 = registers.cr3
        s.pointee.cr4 = registers.cr4
        s.pointee.efer = registers.efer
        let isReal = registers.cr0 & CR0.PE == 0
        var flags = readVMCB(.rflags, at: address)
        // Neither real nor long mode has virtual-8086 tasks.
        if isReal || registers.isLong { flags &= ~RFLAGS.VM }
        let isVirtual8086 = flags & RFLAGS.VM != 0
        let cpl = isReal ? 0 : isVirtual8086 ? 3 : UInt8(truncatingIfNeeded: readVMCB(.cpl, at: address) & 3)
        func load(_ register: GuestSegment) {
            setSegment(
                register,
                segmentInVMCB(
                    register, cpl: cpl, isProtected: !isReal && !isVirtual8086, isLong: registers.isLong, at: address))
        }
        load(.cs)
        load(.ss)
        load(.ds)
        load(.es)
        s.pointee.gdtr = DescriptorTableRegister(
            base: Self.canonical(readVMCB(.gdtrBase, at: address)),
            limit: UInt16(truncatingIfNeeded: readVMCB(.gdtrLimit, at: address)))
        s.pointee.idtr = DescriptorTableRegister(
            base: Self.canonical(readVMCB(.idtrBase, at: address)),
            limit: UInt16(truncatingIfNeeded: readVMCB(.idtrLimit, at: address)))
        s.pointee.rip = readVMCB(.rip, at: address)
        if !registers.is64Bit { s.pointee.rip &= 0xFFFF_FFFF }
        s.pointee.nextRIP = s.pointee.rip
        s.pointee.rsp = readVMCB(.rsp, at: address)
        s.pointee.rax = readVMCB(.rax, at: address)
        s.pointee.rflags = flags
        s.pointee.cpl = cpl
        control.pointee.loadedResumeFlag = true
    }

    /// The VMCB tells that there is a shadow; what kind of one a monitor in Swift may have kept.
    private var shadowInVMCB: UInt8 {
        guard readVMCB(.interruptShadow) & 1 != 0 else { return 0 }
        let kept = state.pointee.virtualization.svm.unsavedShadow
        return monitor != nil && kept != 0 ? kept : InterruptShadow.sti
    }

    /// The event that the VMCB injects (section 15.20); `checkedVMCB` has looked at it.
    private var injectionInVMCB: InjectedEvent? {
        let event = readVMCB(.eventInjection)
        guard event & SVMEvent.valid != 0 else { return nil }
        var vector = UInt8(truncatingIfNeeded: event)
        let source: EventSource
        switch event >> 8 & 7 {
        case 0: source = .externalInterrupt
        case 2:
            source = .nonMaskableInterrupt
            vector = 2
        case 4: source = .softwareInterrupt
        default: source = vector == 3 || vector == 4 ? .softwareException : .exception
        }
        let hasErrorCode = event & SVMEvent.hasErrorCode != 0
        let fault = Fault(vector: vector, errorCode: hasErrorCode ? UInt32(truncatingIfNeeded: event >> 32) : nil)
        return InjectedEvent(
            fault: fault, source: source, returnRIP: source.isSoftware ? readVMCB(.nextRIP) : nil)
    }
}
