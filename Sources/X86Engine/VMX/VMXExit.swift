import X86

// VM exits (SDM vol. 3 chapter 28): the guest's state goes to the guest-state area, the exit's description to the
// read-only fields, and the host's state comes from the host-state area, unless a Swift monitor takes the exit.

/// Why the processor gave up (SDM volume 3 section 28.7).
enum VMXAbort: UInt32 {
    case savingMSRs = 1
    case hostPDPTEs = 2
    case loadingHostMSRs = 4
}

extension Processor {
    /// Leaves VMX non-root operation, or gives up an entry; false after a VMX abort.
    func leaveVMXGuest(_ exit: inout VMExit) -> Bool {
        let information = vmxInformation(exit)
        exit.code = UInt64(information.reason.rawValue)
        exit.qualification = information.qualification
        exit.information = information.guestPhysical ?? 0
        let failed = information.entryFailed
        if isGuest { rememberTranslationContext() }
        // A failed entry has loaded nothing that could be saved.
        if !failed { saveGuestState(exit) }
        recordExit(exit, information)
        let stored = failed || storeMSRs(.exitMSRStoreAddress, .exitMSRStoreCount)
        leaveNonRootOperation()
        guard stored else {
            abortVMX(.savingMSRs)
            return false
        }
        return true
    }

    /// Back to VMX root operation; registers are still the guest's.
    private func leaveNonRootOperation() {
        leaveGuestMode()
        let s = state
        s.pointee.virtualization.vmx.virtualNMIBlocked = false
        s.pointee.virtualization.vmx.isMonitorTrapDue = false
        s.pointee.virtualization.vmx.isTaskPriorityDue = false
        s.pointee.virtualization.vmx.pauseLoopLast = 0
    }

    // MARK: Saving

    /// Writes what the processor holds into the guest-state area of the current VMCS, activity and blocking included: for
    /// a monitor that takes over a machine which has run without it.
    package func captureGuestState() {
        saveGuestState(VMExit(cause: .preemptionTimer))
        writeVMCS(.guestDR7, state.pointee.dr7)
        writeVMCS(.guestPAT, state.pointee.pat)
        writeVMCS(.guestEFER, state.pointee.efer)
        writeVMCS(.vmcsLinkPointer, .max)
    }

    private func saveGuestState(_ exit: VMExit) {
        let s = state
        let vmx = s.pointee.virtualization.vmx
        let controls = vmx.controls
        writeVMCS(.guestCR0, s.pointee.cr0)
        writeVMCS(.guestCR3, s.pointee.cr3)
        writeVMCS(.guestCR4, s.pointee.cr4)
        writeVMCS(.guestSYSENTERCS, s.pointee.sysenterCS)
        writeVMCS(.guestSYSENTERESP, s.pointee.sysenterESP)
        writeVMCS(.guestSYSENTEREIP, s.pointee.sysenterEIP)
        if controls.exit.contains(.saveDebugControls) {
            writeVMCS(.guestDR7, s.pointee.dr7)
            writeVMCS(.guestDebugControl, 0)
        }
        if controls.exit.contains(.savePAT) { writeVMCS(.guestPAT, s.pointee.pat) }
        if controls.exit.contains(.saveEFER) { writeVMCS(.guestEFER, s.pointee.efer) }
        for (position, register) in GuestSegment.allCases.enumerated() {
            let segment = segment(register)
            let group = GuestSegment.fields[position]
            writeVMCS(group.selector, UInt64(segment.selector))
            writeVMCS(group.base, segment.base)
            writeVMCS(group.limit, UInt64(segment.limit))
            writeVMCS(group.accessRights, UInt64(segment.attributes))
        }
        writeVMCS(.guestGDTRBase, s.pointee.gdtr.base)
        writeVMCS(.guestGDTRLimit, UInt64(s.pointee.gdtr.limit))
        writeVMCS(.guestIDTRBase, s.pointee.idtr.base)
        writeVMCS(.guestIDTRLimit, UInt64(s.pointee.idtr.limit))
        writeVMCS(.guestRIP, savedRIP(exit))
        writeVMCS(.guestRSP, s.pointee.rsp)
        writeVMCS(.guestRFLAGS, savedFlags(exit))
        let nmiBlocked = controls.pin.contains(.virtualNMIs) ? vmx.virtualNMIBlocked : s.pointee.nmiBlocked
        writeVMCS(.guestInterruptibility, UInt64(s.pointee.interruptShadow & 3) | (nmiBlocked ? 8 : 0))
        writeVMCS(.guestActivity, UInt64(s.pointee.activity.rawValue))
        writeVMCS(.guestPendingDebugExceptions, savedPendingDebug(exit))
        if !isGuest || controls.secondary.contains(.enableEPT) {
            writeVMCS(.guestPDPTE0, s.pointee.pdpte.0)
            writeVMCS(.guestPDPTE1, s.pointee.pdpte.1)
            writeVMCS(.guestPDPTE2, s.pointee.pdpte.2)
            writeVMCS(.guestPDPTE3, s.pointee.pdpte.3)
        }
        if controls.exit.contains(.savePreemptionTimer), controls.pin.contains(.activatePreemptionTimer) {
            writeVMCS(.preemptionTimer, remainingPreemptionTimer)
        }
        // Section 28.3.1: bit 5 of IA32_VMX_MISC is set, so the entry control follows EFER.LMA.
        var entry = EntryControls(rawValue: UInt32(truncatingIfNeeded: readVMCS(.entryControls)))
        if s.pointee.efer & EFER.LMA != 0 { entry.insert(.ia32eModeGuest) } else { entry.remove(.ia32eModeGuest) }
        writeVMCS(.entryControls, UInt64(entry.rawValue))
    }

    /// The address that the guest goes on at: the instruction that was not executed, or for traps the next one; for
    /// software events that of the instruction behind them.
    private func savedRIP(_ exit: VMExit) -> UInt64 { state.pointee.rip }

    /// RFLAGS with the value of RF that section 28.3.3 asks for.
    private func savedFlags(_ exit: VMExit) -> UInt64 {
        let flags = state.pointee.rflags
        switch exit.cause {
        case .exception(let fault, .exception):
            // What would have been saved had the exception been delivered.
            return fault.isTrap || fault.vector == 1 ? flags : flags | RFLAGS.RF
        case .tripleFault, .taskSwitch(_, .gate, _):
            return exit.vectoring?.source == .exception ? flags | RFLAGS.RF : flags
        case .secondLevel:
            // Like a fault of the instruction, unless an interrupt was being delivered.
            return exit.vectoring == nil || exit.vectoring?.source == .exception ? flags | RFLAGS.RF : flags
        default: return flags
        }
    }

    /// Debug exceptions that wait (section 28.3.4); those that an exit for #DB reports are gone.
    private func savedPendingDebug(_ exit: VMExit) -> UInt64 {
        let pending = state.pointee.pendingDebug
        guard pending != 0 else { return 0 }
        var value = pending & (DR6.breakpoints | DR6.BS)
        if pending & DR6.breakpoints != 0 { value |= 1 << 12 }
        return value
    }

    private func recordExit(_ exit: VMExit, _ information: VMXExitInformation) {
        writeVMCS(.exitReason, exit.code | (information.entryFailed ? 1 << 31 : 0))
        writeVMCS(.exitQualification, information.qualification)
        guard !information.entryFailed else { return }
        writeVMCS(.exitInterruptionInformation, UInt64(information.interruption))
        writeVMCS(.exitInterruptionErrorCode, UInt64(information.interruptionErrorCode))
        writeVMCS(.exitInstructionInformation, UInt64(information.instructionInformation))
        if let linear = information.guestLinear { writeVMCS(.guestLinearAddress, linear) }
        if let physical = information.guestPhysical { writeVMCS(.guestPhysicalAddress, physical) }
        var length = exit.instructionLength
        var vectoringWord: UInt32 = 0
        if let event = exit.vectoring, exit.cause != .tripleFault {
            vectoringWord = InterruptionInformation.word(
                vector: event.vector, event.source, hasErrorCode: event.errorCode != nil)
            if length == 0 { length = event.instructionLength }
        }
        writeVMCS(.idtVectoringInformation, UInt64(vectoringWord))
        writeVMCS(.idtVectoringErrorCode, UInt64(exit.vectoring?.errorCode ?? 0))
        writeVMCS(.exitInstructionLength, UInt64(length))
        // The event that was to be injected is no longer valid (section 28.2).
        writeVMCS(.entryInterruptionInformation, readVMCS(.entryInterruptionInformation) & 0x7FFF_FFFF)
    }

    // MARK: The host

    /// Loads processor state from the host-state area (section 28.5).
    func loadHostState(isNMI: Bool) {
        let s = state
        let exit = ExitControls(rawValue: UInt32(truncatingIfNeeded: readVMCS(.exitControls)))
        let wide = exit.contains(.hostAddressSpaceSize)
        // ET, CD, NW and reserved bits keep their values.
        let keptCR0: UInt64 = CR0.ET | CR0.CD | CR0.NW
        s.pointee.cr0 = readVMCS(.hostCR0) & VMXCapabilities.existingCR0 & ~keptCR0 | s.pointee.cr0 & keptCR0
        s.pointee.cr3 = readVMCS(.hostCR3) & physicalAddressMask
        s.pointee.cr4 = readVMCS(.hostCR4)
        if wide { s.pointee.cr4 |= CR4.PAE } else { s.pointee.cr4 &= ~CR4.PCIDE }
        s.pointee.dr7 = DR7.fixed
        s.pointee.sysenterCS = readVMCS(.hostSYSENTERCS)
        s.pointee.sysenterESP = readVMCS(.hostSYSENTERESP)
        s.pointee.sysenterEIP = readVMCS(.hostSYSENTEREIP)
        if exit.contains(.loadPAT) { s.pointee.pat = readVMCS(.hostPAT) }
        if exit.contains(.loadEFER) {
            s.pointee.efer = readVMCS(.hostEFER)
        } else if wide {
            s.pointee.efer |= EFER.LMA | EFER.LME
        } else {
            s.pointee.efer &= ~(EFER.LMA | EFER.LME)
        }
        loadHostSegments(wide: wide)
        s.pointee.rip = readVMCS(.hostRIP)
        s.pointee.rsp = readVMCS(.hostRSP)
        if !wide {
            s.pointee.rip &= 0xFFFF_FFFF
            s.pointee.rsp &= 0xFFFF_FFFF
        }
        s.pointee.nextRIP = s.pointee.rip
        s.pointee.rflags = RFLAGS.fixed
        s.pointee.cpl = 0
        if isNMI { s.pointee.nmiBlocked = true }
        updateMode()
        do throws(Fault) {
            try loadPageDirectoryPointers(root: s.pointee.cr3)
        } catch {
            return abortVMX(.hostPDPTEs)
        }
        guard loadMSRs(.exitMSRLoadAddress, .exitMSRLoadCount) == nil else { return abortVMX(.loadingHostMSRs) }
        updateMode()
        checkTranslationContext()
    }

    private func loadHostSegments(wide: Bool) {
        let s = state
        let all: UInt32 = 0xFFFF_FFFF
        let cs = UInt16(truncatingIfNeeded: readVMCS(.hostCS))
        s.pointee.cs = SegmentState(
            selector: cs, base: 0, limit: all, attributes: 0x809B | (wide ? 0x2000 : 0x4000))
        func data(_ field: VMCSField, base: UInt64 = 0) -> SegmentState {
            let selector = UInt16(truncatingIfNeeded: readVMCS(field))
            return SegmentState(
                selector: selector, base: base, limit: all,
                attributes: selector == 0 ? 0xC093 | SegmentState.unusable : 0xC093)
        }
        s.pointee.ss = data(.hostSS)
        s.pointee.ds = data(.hostDS)
        s.pointee.es = data(.hostES)
        let mask: UInt64 = wide ? .max : 0xFFFF_FFFF
        s.pointee.fs = data(.hostFS, base: readVMCS(.hostFSBase) & mask)
        s.pointee.gs = data(.hostGS, base: readVMCS(.hostGSBase) & mask)
        s.pointee.tr = SegmentState(
            selector: UInt16(truncatingIfNeeded: readVMCS(.hostTR)), base: readVMCS(.hostTRBase) & mask, limit: 0x67,
            attributes: 0x8B)
        s.pointee.ldtr = SegmentState(selector: 0, base: 0, limit: 0, attributes: 0x82 | SegmentState.unusable)
        s.pointee.gdtr = DescriptorTableRegister(base: readVMCS(.hostGDTRBase) & mask, limit: 0xFFFF)
        s.pointee.idtr = DescriptorTableRegister(base: readVMCS(.hostIDTRBase) & mask, limit: 0xFFFF)
    }

    /// Writes the abort indicator and shuts the processor down (section 28.7).
    func abortVMX(_ reason: VMXAbort) {
        let vmcs = state.pointee.virtualization.vmx.currentVMCS
        writePhysical(vmcs &+ VMCS.abortIndicator, UInt64(reason.rawValue), width: 4)
        state.pointee.activity = .shutdown
        leaveBlockAfterThisInstruction()
    }

    // MARK: Monitors in Swift

    /// Moves the guest behind the instruction that caused an exit.
    func advanceVMXGuest(by length: UInt8) {
        var rip = readVMCS(.guestRIP) &+ UInt64(length)
        if readVMCS(.guestCSAccessRights) & 0x2000 == 0 { rip &= 0xFFFF_FFFF }
        writeVMCS(.guestRIP, rip)
        writeVMCS(.guestInterruptibility, readVMCS(.guestInterruptibility) & ~3)
        let flags = readVMCS(.guestRFLAGS)
        writeVMCS(.guestRFLAGS, flags & ~RFLAGS.RF)
        // A single step ends behind the instruction that the monitor has done.
        if flags & RFLAGS.TF != 0 {
            writeVMCS(.guestPendingDebugExceptions, readVMCS(.guestPendingDebugExceptions) | DR6.BS)
        }
    }

    /// Makes a fault the event that the next VM entry delivers.
    func injectIntoVMCS(_ fault: Fault) {
        writeVMCS(
            .entryInterruptionInformation,
            UInt64(
                InterruptionInformation.word(vector: fault.vector, .exception, hasErrorCode: fault.errorCode != nil)))
        writeVMCS(.entryExceptionErrorCode, UInt64(fault.errorCode ?? 0))
        if fault.vector == 14 { state.pointee.cr2 = fault.address }
    }
}
