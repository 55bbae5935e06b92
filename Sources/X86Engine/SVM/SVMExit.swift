import X86

// #VMEXIT (APM volume 2 section 15.6): the guest's state and the exit's description go to the VMCB, and the host's state
// comes from the host state-save area, unless a Swift monitor takes the exit.

extension Processor {
    /// Leaves guest mode, or gives up an entry; never fails.
    func leaveSVMGuest(_ exit: inout VMExit) -> Bool {
        let information = svmInformation(exit)
        exit.code = information.code.rawValue
        exit.qualification = information.information1
        exit.information = information.information2
        if isGuest {
            rememberTranslationContext()
            // #DB writes DR6 and DR7 also when it is intercepted (section 15.12.2).
            if case .exception(let fault, .exception) = exit.cause, fault.vector == 1 {
                noteDebugException(fault.debugStatus)
            }
            recordInstructionBytes(exit)
            saveGuestInVMCB()
            // The event that was to be injected has been.
            writeVMCB(.eventInjection, readVMCB(.eventInjection) & ~SVMEvent.valid)
        } else {
            writeVMCB(.instructionByteCount, 0)
        }
        writeVMCB(.exitCode, information.code.rawValue)
        writeVMCB(.exitInformation1, information.information1)
        writeVMCB(.exitInformation2, information.information2)
        writeVMCB(.nextRIP, information.nextRIP)
        let event = exit.cause == .tripleFault ? nil : exit.vectoring
        writeVMCB(
            .exitInterruptInformation,
            event.map { SVMEvent.word(vector: $0.vector, $0.source, errorCode: $0.errorCode) } ?? 0)
        state.pointee.virtualization.svm.unsavedShadow = state.pointee.interruptShadow
        state.pointee.virtualization.svm.unsavedDebug = state.pointee.pendingDebug
        leaveGuestMode()
        state.pointee.virtualization.svm.globalInterruptFlag = false
        state.pointee.virtualization.svm.virtualInterrupt = VirtualInterrupt(rawValue: 0)
        return true
    }

    // MARK: Saving

    /// Writes the same subset of state that VMRUN loads.
    private func saveGuestInVMCB() {
        let s = state
        let svm = s.pointee.virtualization.svm
        saveRegistersInVMCB(at: nil)
        writeVMCB(.cr2, s.pointee.cr2)
        writeVMCB(.dr6, s.pointee.dr6)
        writeVMCB(.dr7, s.pointee.dr7)
        if svm.controls.usesNestedPaging { writeVMCB(.guestPAT, s.pointee.pat) }
        writeVMCB(
            .interruptShadow, readVMCB(.interruptShadow) & ~1 | (s.pointee.interruptShadow != 0 ? 1 : 0))
        let saved = VirtualInterrupt.saved
        writeVMCB(
            .virtualInterrupt, readVMCB(.virtualInterrupt) & ~saved | svm.virtualInterrupt.rawValue & saved)
    }

    /// Writes what both VMRUN and #VMEXIT save.
    private func saveRegistersInVMCB(at address: UInt64?) {
        let s = state
        saveSegment(.es, at: address)
        saveSegment(.cs, at: address)
        saveSegment(.ss, at: address)
        saveSegment(.ds, at: address)
        writeVMCB(.gdtrBase, s.pointee.gdtr.base, at: address)
        writeVMCB(.gdtrLimit, UInt64(s.pointee.gdtr.limit), at: address)
        writeVMCB(.idtrBase, s.pointee.idtr.base, at: address)
        writeVMCB(.idtrLimit, UInt64(s.pointee.idtr.limit), at: address)
        writeVMCB(.efer, s.pointee.efer, at: address)
        writeVMCB(.cr0, s.pointee.cr0, at: address)
        writeVMCB(.cr3, s.pointee.cr3, at: address)
        writeVMCB(.cr4, s.pointee.cr4, at: address)
        writeVMCB(.rflags, s.pointee.rflags, at: address)
        writeVMCB(.rip, s.pointee.rip, at: address)
        writeVMCB(.rsp, s.pointee.rsp, at: address)
        writeVMCB(.rax, s.pointee.rax, at: address)
        writeVMCB(.cpl, UInt64(s.pointee.cpl), at: address)
    }

    /// Saves the host in the area at VM_HSAVE_PA, to go on behind VMRUN.
    func saveHostForVMRUN() {
        let area = state.pointee.virtualization.svm.hostSaveArea
        saveRegistersInVMCB(at: area)
        writeVMCB(.rip, state.pointee.nextRIP, at: area)
        writeVMCB(.rflags, state.pointee.rflags & ~RFLAGS.RF, at: area)
        writeVMCB(.guestPAT, state.pointee.pat, at: area)
        // All breakpoints are disabled after an exit; DR6 is not restored.
        writeVMCB(.dr7, DR7.fixed, at: area)
        writeVMCB(.dr6, DR6.fixed, at: area)
    }

    /// Writes what the processor holds into the save area of a VMCB, VMSAVE's part and SVME included: for a monitor that
    /// takes over a machine which has run without it.
    ///
    /// A processor that is halted or waits for SIPI is for the monitor to remember; a VMCB does not know these states.
    package func captureGuestState(inVMCB vmcb: UInt64) {
        let s = state
        saveRegistersInVMCB(at: vmcb)
        saveTransferredState(at: vmcb)
        writeVMCB(.efer, s.pointee.efer | EFER.SVME, at: vmcb)
        writeVMCB(.cr2, s.pointee.cr2, at: vmcb)
        writeVMCB(.dr6, s.pointee.dr6, at: vmcb)
        writeVMCB(.dr7, s.pointee.dr7, at: vmcb)
        writeVMCB(.guestPAT, s.pointee.pat, at: vmcb)
        writeVMCB(.interruptShadow, s.pointee.interruptShadow != 0 ? 1 : 0, at: vmcb)
        s.pointee.virtualization.svm.unsavedShadow = s.pointee.interruptShadow
    }

    // MARK: Decode assists (section 15.8.4)

    /// Writes the bytes at CS:RIP where a data access has led to a nested or an intercepted page fault.
    private func recordInstructionBytes(_ exit: VMExit) {
        var count: UInt64 = 0
        if isDataPageFault(exit.cause) {
            let s = state
            var physical: UInt64 = 0
            for offset in UInt64(0)..<15 {
                let pointer = s.pointee.rip &+ offset
                if !is64BitMode && pointer > UInt64(s.pointee.cs.limit) { break }
                let linear = is64BitMode ? pointer : (s.pointee.cs.base &+ pointer) & 0xFFFF_FFFF
                if offset == 0 || linear & 0xFFF == 0 {
                    // Each page that the bytes lie in is looked up once.
                    guard !is64BitMode || Self.isCanonical(linear),
                        let found = try? translate(linear, .execute, touch: false).physical, ramPage(found) != nil
                    else { break }
                    physical = found
                }
                writePhysical(
                    (currentVMCB &+ VMCB.instructionBytes &+ offset) & memory.addressLineMask,
                    readPhysical(physical, width: 1), width: 1)
                physical &+= 1
                count += 1
            }
        }
        writeVMCB(.instructionByteCount, count)
    }

    private func isDataPageFault(_ cause: ExitCause) -> Bool {
        switch cause {
        case .exception(let fault, .exception):
            fault.vector == 14 && (fault.errorCode ?? 0) & PageFaultCode.ID == 0
        case .secondLevel(let fault): fault.access != .final(.execute)
        default: false
        }
    }

    // MARK: The host

    /// Reloads the host from the area at VM_HSAVE_PA; shuts the processor down if what is there is no host.
    func loadSVMHost() {
        let s = state
        let area = s.pointee.virtualization.svm.hostSaveArea
        let usedNestedPaging = s.pointee.virtualization.svm.controls.usesNestedPaging
        var registers = SVMControlRegisters(self, at: area)
        registers.cr0 |= CR0.PE
        do throws(SVMInvalidState) {
            try checkControlRegisters(registers, at: area)
            let pointers = try pageDirectoryPointers(registers, isNested: false)
            loadRegistersFromVMCB(registers, at: area)
            if let pointers { s.pointee.pdpte = pointers }
        } catch {
            s.pointee.activity = .shutdown
            leaveBlockAfterThisInstruction()
            return
        }
        s.pointee.systemFlags &= ~RFLAGS.VM
        s.pointee.cpl = 0
        s.pointee.cs.attributes &= ~0x60
        s.pointee.ss.attributes &= ~0x60
        s.pointee.dr7 = DR7.fixed
        if usedNestedPaging { s.pointee.pat = readVMCB(.guestPAT, at: area) }
        // To the host VMRUN is one instruction (section 15.5.1).
        if s.pointee.TF { s.pointee.pendingDebug |= DR6.BS }
        updateMode()
        checkTranslationContext()
    }

    // MARK: Monitors in Swift

    /// Moves the guest behind the instruction that caused an exit.
    func advanceSVMGuest(by length: UInt8) {
        var rip = readVMCB(.rip) &+ UInt64(length)
        if !SVMControlRegisters(self, at: nil).is64Bit { rip &= 0xFFFF_FFFF }
        writeVMCB(.rip, rip)
        writeVMCB(.interruptShadow, 0)
        let flags = readVMCB(.rflags)
        writeVMCB(.rflags, flags & ~RFLAGS.RF)
        // A single step ends behind the instruction that the monitor has done.
        if flags & RFLAGS.TF != 0, readVMCB(.eventInjection) & SVMEvent.valid == 0 {
            writeVMCB(.dr6, readVMCB(.dr6) | DR6.BS)
            writeVMCB(.dr7, readVMCB(.dr7) & ~DR7.GD)
            writeVMCB(.eventInjection, SVMEvent.word(vector: 1, .exception, errorCode: nil))
        }
    }

    /// Makes a fault the event that the next VMRUN delivers.
    func injectIntoVMCB(_ fault: Fault) {
        writeVMCB(.eventInjection, SVMEvent.word(vector: fault.vector, .exception, errorCode: fault.errorCode))
        switch fault.vector {
        case 1:
            writeVMCB(.dr6, readVMCB(.dr6) & ~DR6.breakpoints | fault.debugStatus & DR6.writable | DR6.fixed)
            writeVMCB(.dr7, readVMCB(.dr7) & ~DR7.GD)
        case 14: writeVMCB(.cr2, fault.address)
        default: break
        }
    }
}
