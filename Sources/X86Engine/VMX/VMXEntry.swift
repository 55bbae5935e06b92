import X86

// VM entries (SDM vol. 3 chapter 27).

extension Processor {
    /// VMLAUNCH and VMRESUME.
    func enterGuest(_ instruction: borrowing Instruction) throws(Fault) {
        try requireVMXRoot()
        guard state.pointee.virtualization.vmx.currentVMCS != .max else { return vmFailInvalid() }
        guard state.pointee.interruptShadow & InterruptShadow.movSS == 0, !control.pointee.isInMOVSSShadow else {
            return vmFail(.eventsBlockedByMOVSS)
        }
        leaveBlockAfterThisInstruction()
        if let error = enterGuest(launches: instruction.operation == .vmlaunch) { vmFail(error) }
    }

    /// Enters the guest of the current VMCS; an error if not even the checks of controls and host state succeed.
    ///
    /// Entries that fail later are exits. With a monitor the guest may also have been left again.
    package func enterGuest(launches: Bool) -> VMXInstructionError? {
        let vmcs = state.pointee.virtualization.vmx.currentVMCS
        guard vmcs != .max else { return .invalidControls }
        let isLaunched = readPhysical(vmcs &+ VMCS.launchState, width: 8) == VMCS.launched
        guard isLaunched != launches else { return launches ? .vmlaunchNonClear : .vmresumeNonLaunched }
        do throws(VMXInstructionError) {
            let controls = try checkedControls()
            rememberTranslationContext()
            if let failure = loadGuest(controls, launches: launches) { performExit(failure, from: .vmx) }
            return nil
        } catch {
            return error
        }
    }

    /// Goes on with the guest after a monitor has handled an exit; the failure is the next exit.
    func enterVMXGuest() -> VMExit? {
        do throws(VMXInstructionError) {
            return loadGuest(try checkedControls(), launches: false)
        } catch {
            writeVMCS(.instructionError, UInt64(error.rawValue))
            return VMExit(cause: .invalidControls(error))
        }
    }

    /// Checks and loads the guest-state area; nil when the guest is entered.
    private func loadGuest(_ controls: VMXControls, launches: Bool) -> VMExit? {
        let s = state
        do throws(InvalidGuestState) {
            try checkGuestState(controls)
            let pointers = try guestPageDirectoryPointers(controls)
            loadGuestRegisters(controls)
            if let pointers { s.pointee.pdpte = pointers }
        } catch {
            return VMExit(cause: .invalidGuestState(qualification: error.qualification))
        }
        s.pointee.virtualization.vmx.controls = controls
        if let failed = loadMSRs(.entryMSRLoadAddress, .entryMSRLoadCount) {
            return VMExit(cause: .entryMSRLoadFailure(entry: failed))
        }
        if launches {
            writePhysical(s.pointee.virtualization.vmx.currentVMCS &+ VMCS.launchState, VMCS.launched, width: 8)
        }
        s.pointee.virtualization.mode = .vmx
        applyExecutionControls(controls)
        loadNonRegisterState(controls)
        scheduleEvents(controls)
        updateMode()
        checkTranslationContext()
        updateVirtualizationSignal()
        s.pointee.work &+= 1
        leaveBlockAfterThisInstruction()
        return nil
    }

    // MARK: State

    /// The PDPTEs of a guest with PAE paging, checked (section 27.3.1.6); nil for other guests.
    private func guestPageDirectoryPointers(
        _ controls: VMXControls
    ) throws(InvalidGuestState) -> (UInt64, UInt64, UInt64, UInt64)? {
        guard readVMCS(.guestCR0) & CR0.PG != 0, readVMCS(.guestCR4) & CR4.PAE != 0,
            !controls.entry.contains(.ia32eModeGuest)
        else { return nil }
        var entries: (UInt64, UInt64, UInt64, UInt64)
        if controls.secondary.contains(.enableEPT) {
            entries = (
                readVMCS(.guestPDPTE0), readVMCS(.guestPDPTE1), readVMCS(.guestPDPTE2), readVMCS(.guestPDPTE3)
            )
        } else {
            let table = readVMCS(.guestCR3) & 0xFFFF_FFE0
            func entry(_ index: UInt64) -> UInt64 {
                readPhysical((table &+ index &* 8) & memory.addressLineMask, width: 8)
            }
            entries = (entry(0), entry(1), entry(2), entry(3))
        }
        let reserved = ~physicalAddressMask | PageEntry.reservedInPDPTE
        for entry in [entries.0, entries.1, entries.2, entries.3] where entry & PageEntry.P != 0 {
            guard entry & reserved == 0 else { throw .pageDirectoryPointers }
        }
        return entries
    }

    /// Section 27.3.2.
    private func loadGuestRegisters(_ controls: VMXControls) {
        let s = state
        let keptCR0: UInt64 = CR0.ET | CR0.CD | CR0.NW
        s.pointee.cr0 = readVMCS(.guestCR0) & VMXCapabilities.existingCR0 & ~keptCR0 | s.pointee.cr0 & keptCR0
        s.pointee.cr3 = readVMCS(.guestCR3)
        s.pointee.cr4 = readVMCS(.guestCR4)
        if controls.entry.contains(.loadDebugControls) {
            s.pointee.dr7 = readVMCS(.guestDR7) & DR7.writable | DR7.fixed
        }
        s.pointee.sysenterCS = readVMCS(.guestSYSENTERCS)
        s.pointee.sysenterESP = readVMCS(.guestSYSENTERESP)
        s.pointee.sysenterEIP = readVMCS(.guestSYSENTEREIP)
        if controls.entry.contains(.loadPAT) { s.pointee.pat = readVMCS(.guestPAT) }
        if controls.entry.contains(.loadEFER) {
            s.pointee.efer = readVMCS(.guestEFER)
        } else {
            let isLong = controls.entry.contains(.ia32eModeGuest)
            s.pointee.efer = s.pointee.efer & ~EFER.LMA | (isLong ? EFER.LMA : 0)
            if s.pointee.cr0 & CR0.PG != 0 {
                s.pointee.efer = s.pointee.efer & ~EFER.LME | (isLong ? EFER.LME : 0)
            }
        }
        s.pointee.es = segmentInVMCS(.es)
        s.pointee.cs = segmentInVMCS(.cs)
        s.pointee.ss = segmentInVMCS(.ss)
        s.pointee.ds = segmentInVMCS(.ds)
        s.pointee.fs = segmentInVMCS(.fs)
        s.pointee.gs = segmentInVMCS(.gs)
        s.pointee.ldtr = segmentInVMCS(.ldtr)
        s.pointee.tr = segmentInVMCS(.tr)
        s.pointee.cs.attributes &= ~SegmentState.unusable
        s.pointee.gdtr = DescriptorTableRegister(
            base: readVMCS(.guestGDTRBase), limit: UInt16(truncatingIfNeeded: readVMCS(.guestGDTRLimit)))
        s.pointee.idtr = DescriptorTableRegister(
            base: readVMCS(.guestIDTRBase), limit: UInt16(truncatingIfNeeded: readVMCS(.guestIDTRLimit)))
        s.pointee.rsp = readVMCS(.guestRSP)
        s.pointee.rip = readVMCS(.guestRIP)
        s.pointee.nextRIP = s.pointee.rip
        s.pointee.rflags = readVMCS(.guestRFLAGS)
        control.pointee.loadedResumeFlag = true
        // The CPL is SS.DPL (section 25.4.1).
        s.pointee.cpl = s.pointee.ss.descriptorPrivilegeLevel
    }

    private func applyExecutionControls(_ controls: VMXControls) {
        let s = state
        var second = SecondLevel()
        if controls.secondary.contains(.enableEPT) {
            let pointer = readVMCS(.eptPointer)
            second.isActive = true
            second.root = pointer & physicalAddressMask & ~0xFFF
            second.setsFlags = pointer & 1 << 6 != 0
        }
        useSecondLevel(second)
        if controls.primary.contains(.useTSCOffsetting) {
            s.pointee.virtualization.timeStampOffset = readVMCS(.tscOffset)
            if controls.secondary.contains(.useTSCScaling) {
                s.pointee.virtualization.timeStampMultiplier = readVMCS(.tscMultiplier)
            }
        }
        s.pointee.virtualization.timerDeadline =
            controls.pin.contains(.activatePreemptionTimer)
            ? preemptionDeadline(readVMCS(.preemptionTimer)) : .max
        s.pointee.deadline = min(control.pointee.machineDeadline, s.pointee.virtualization.timerDeadline)
    }

    private func loadNonRegisterState(_ controls: VMXControls) {
        let s = state
        let interruptibility = readVMCS(.guestInterruptibility)
        s.pointee.interruptShadow = UInt8(truncatingIfNeeded: interruptibility & 3)
        let isBlocked = interruptibility & 8 != 0
        if controls.pin.contains(.virtualNMIs) {
            s.pointee.virtualization.vmx.virtualNMIBlocked = isBlocked
        } else {
            s.pointee.nmiBlocked = isBlocked
        }
        s.pointee.activity = Activity(rawValue: UInt8(truncatingIfNeeded: readVMCS(.guestActivity) & 3)) ?? .active
        s.pointee.pendingDebug = 0
    }

    /// Sections 27.6 and 27.7: event injection, pending debug exceptions, TPR threshold.
    private func scheduleEvents(_ controls: VMXControls) {
        let s = state
        let information = UInt32(truncatingIfNeeded: readVMCS(.entryInterruptionInformation))
        let injects = information & InterruptionInformation.valid != 0
        let type = information >> 8 & 7
        let pending = readVMCS(.guestPendingDebugExceptions)
        let isMOVSSBlocked = s.pointee.interruptShadow & InterruptShadow.movSS != 0
        let drops: Bool =
            if injects {
                switch type {
                case 0, 2, 3, 5: true
                case 4, 6: !isMOVSSBlocked
                default: false
                }
            } else {
                s.pointee.activity == .shutdown || s.pointee.activity == .waitForSIPI
            }
        if !drops {
            var status = pending & DR6.BS
            if pending & 1 << 12 != 0 { status |= pending & DR6.breakpoints }
            s.pointee.pendingDebug = status
        }
        s.pointee.virtualization.vmx.isMonitorTrapDue = injects && type == 7
        s.pointee.virtualization.injection = nil
        guard injects, type != 7 else { return }
        let source: EventSource =
            switch type {
            case 0: .externalInterrupt
            case 2: .nonMaskableInterrupt
            case 4: .softwareInterrupt
            case 5: .privilegedSoftwareException
            case 6: .softwareException
            default: .exception
            }
        let hasErrorCode = information & InterruptionInformation.deliversErrorCode != 0
        let fault = Fault(
            vector: UInt8(truncatingIfNeeded: information),
            errorCode: hasErrorCode ? UInt32(truncatingIfNeeded: readVMCS(.entryExceptionErrorCode)) : nil)
        s.pointee.virtualization.injection = InjectedEvent(
            fault: fault, source: source,
            instructionLength: UInt8(truncatingIfNeeded: readVMCS(.entryInstructionLength) & 0xF))
    }

    // MARK: Preemption timer (section 26.5.1)

    /// The guest time at which a timer that starts now with `value` reaches zero.
    private func preemptionDeadline(_ value: UInt64) -> UInt64 {
        let shift = VMXCapabilities.preemptionTimerShift
        let target = (timeStampCounter >> shift &+ value) << shift
        // Counts of guest time until the time-stamp counter is `target`, rounded up.
        let ticks = target &- timeStampCounter
        guard value != 0, ticks < 1 << 62 else { return state.pointee.time }
        let frequency = model.timeStampFrequency
        let product = ticks.multipliedFullWidth(by: 1_000_000_000)
        guard product.high < frequency else { return .max }
        let (counts, rest) = frequency.dividingFullWidth((product.high, product.low))
        return state.pointee.time.addingReportingOverflow(counts &+ (rest == 0 ? 0 : 1)).partialValue
    }

    /// What is left of the timer.
    var remainingPreemptionTimer: UInt64 {
        let end = state.pointee.virtualization.timerDeadline
        guard end > state.pointee.time else { return 0 }
        let ticks = Self.scale(end &- state.pointee.time, by: model.timeStampFrequency, over: 1_000_000_000)
        return min((ticks &+ 31) >> VMXCapabilities.preemptionTimerShift, 0xFFFF_FFFF)
    }
}
