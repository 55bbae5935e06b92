import X86

// Checks on the VMX controls and the host-state area (SDM vol. 3 section 27.2); what fails here is VMfailValid.

extension Processor {
    private func word(_ field: VMCSField) -> UInt32 { UInt32(truncatingIfNeeded: readVMCS(field)) }

    /// Reads the controls of the current VMCS, and checks them and the host state.
    func checkedControls() throws(VMXInstructionError) -> VMXControls {
        let capabilities = vmxCapabilities
        var controls = VMXControls()
        controls.pin = PinBasedControls(rawValue: word(.pinBasedControls))
        controls.primary = PrimaryControls(rawValue: word(.primaryControls))
        if controls.primary.contains(.activateSecondaryControls) {
            controls.secondary = SecondaryControls(rawValue: word(.secondaryControls))
        }
        controls.exit = ExitControls(rawValue: word(.exitControls))
        controls.entry = EntryControls(rawValue: word(.entryControls))
        guard capabilities.pin.allows(controls.pin.rawValue), capabilities.primary.allows(controls.primary.rawValue),
            capabilities.secondary.allows(controls.secondary.rawValue),
            capabilities.exit.allows(controls.exit.rawValue), capabilities.entry.allows(controls.entry.rawValue),
            areExecutionControlsConsistent(controls), areExitAndEntryControlsConsistent(controls),
            isEventToInjectValid(controls)
        else { throw .invalidControls }
        guard isHostStateValid(controls) else { throw .invalidHostState }
        readRemaining(&controls)
        return controls
    }

    private func isPageAddress(_ field: VMCSField) -> Bool {
        let address = readVMCS(field)
        return address & 0xFFF == 0 && address & ~physicalAddressMask == 0
    }

    private func areExecutionControlsConsistent(_ controls: VMXControls) -> Bool {
        let (pin, primary, secondary) = (controls.pin, controls.primary, controls.secondary)
        guard word(.cr3TargetCount) <= VMXCapabilities.cr3Targets else { return false }
        if primary.contains(.useIOBitmaps) {
            guard isPageAddress(.ioBitmapA), isPageAddress(.ioBitmapB) else { return false }
        }
        if primary.contains(.useMSRBitmaps) { guard isPageAddress(.msrBitmaps) else { return false } }
        if primary.contains(.useTPRShadow) {
            let threshold = word(.tprThreshold)
            guard isPageAddress(.virtualAPICAddress), threshold & ~0xF == 0 else { return false }
            let address = (readVMCS(.virtualAPICAddress) &+ 0x80) & memory.addressLineMask
            guard threshold <= UInt32(truncatingIfNeeded: readPhysical(address, width: 4) >> 4 & 0xF) else {
                return false
            }
        }
        if !pin.contains(.nmiExiting) { guard !pin.contains(.virtualNMIs) else { return false } }
        if !pin.contains(.virtualNMIs) { guard !primary.contains(.nmiWindowExiting) else { return false } }
        if secondary.contains(.enableVPID) { guard readVMCS(.virtualProcessorIdentifier) != 0 else { return false } }
        if secondary.contains(.enableEPT) {
            guard isExtendedPageTablePointer(readVMCS(.eptPointer)) else { return false }
        }
        if secondary.contains(.unrestrictedGuest) { guard secondary.contains(.enableEPT) else { return false } }
        return true
    }

    private func areExitAndEntryControlsConsistent(_ controls: VMXControls) -> Bool {
        if !controls.pin.contains(.activatePreemptionTimer) {
            guard !controls.exit.contains(.savePreemptionTimer) else { return false }
        }
        return isMSRArea(.exitMSRStoreAddress, .exitMSRStoreCount)
            && isMSRArea(.exitMSRLoadAddress, .exitMSRLoadCount)
            && isMSRArea(.entryMSRLoadAddress, .entryMSRLoadCount)
    }

    private func isMSRArea(_ addressField: VMCSField, _ countField: VMCSField) -> Bool {
        let count = readVMCS(countField)
        guard count != 0 else { return true }
        let address = readVMCS(addressField)
        let last = address &+ count &* 16 &- 1
        return address & 0xF == 0 && (address | last) & ~physicalAddressMask == 0
    }

    /// The VM-entry interruption-information field (section 27.2.1.3).
    private func isEventToInjectValid(_ controls: VMXControls) -> Bool {
        let information = word(.entryInterruptionInformation)
        guard information & InterruptionInformation.valid != 0 else { return true }
        let vector = information & 0xFF
        let type = information >> 8 & 7
        let hasErrorCode = information & InterruptionInformation.deliversErrorCode != 0
        guard information & 0x7FFF_F000 == 0, type != 1 else { return false }
        switch type {
        case 2: guard vector == 2 else { return false }
        case 3: guard vector <= 31 else { return false }
        case 7: guard vector == 0 else { return false }
        default: break
        }
        let isProtected =
            !controls.secondary.contains(.unrestrictedGuest) || readVMCS(.guestCR0) & CR0.PE != 0
        let pushesErrorCode = [8, 10, 11, 12, 13, 14, 17].contains(vector)
        guard hasErrorCode == (isProtected && type == 3 && pushesErrorCode) else { return false }
        if hasErrorCode { guard word(.entryExceptionErrorCode) & 0xFFFF_0000 == 0 else { return false } }
        // Software interrupts and exceptions have an instruction, at most 15 bytes long.
        if type == 4 || type == 5 || type == 6 {
            guard (1...15).contains(word(.entryInstructionLength)) else { return false }
        }
        return true
    }

    // MARK: Host state (sections 27.2.2 to 27.2.4)

    private func isHostStateValid(_ controls: VMXControls) -> Bool {
        let wide = controls.exit.contains(.hostAddressSpaceSize)
        let cr4 = readVMCS(.hostCR4)
        guard isCR0Fixed(readVMCS(.hostCR0), VMXCapabilities.cr0Fixed0), isCR4Fixed(cr4),
            readVMCS(.hostCR3) & ~physicalAddressMask == 0
        else { return false }
        for field in [
            VMCSField.hostSYSENTERESP, .hostSYSENTEREIP, .hostFSBase, .hostGSBase, .hostTRBase, .hostGDTRBase,
            .hostIDTRBase,
        ] where !Self.isCanonical(readVMCS(field)) { return false }
        if controls.exit.contains(.loadPAT) { guard isPATValid(readVMCS(.hostPAT)) else { return false } }
        if controls.exit.contains(.loadEFER) {
            let efer = readVMCS(.hostEFER)
            guard efer & ~(model.writableEFER | EFER.LMA) == 0, (efer & EFER.LMA != 0) == wide,
                (efer & EFER.LME != 0) == wide
            else { return false }
        }
        for field in [VMCSField.hostES, .hostCS, .hostSS, .hostDS, .hostFS, .hostGS, .hostTR]
        where readVMCS(field) & 7 != 0 { return false }
        guard readVMCS(.hostCS) != 0, readVMCS(.hostTR) != 0, wide || readVMCS(.hostSS) != 0 else { return false }
        // The address-space size is that of the mode VM entry is executed in; a Swift monitor has no mode.
        if monitor == nil { guard wide == isLongModeActive else { return false } }
        let rip = readVMCS(.hostRIP)
        if wide {
            return cr4 & CR4.PAE != 0 && Self.isCanonical(rip)
        }
        return !controls.entry.contains(.ia32eModeGuest) && cr4 & CR4.PCIDE == 0 && rip >> 32 == 0
    }

    func isCR0Fixed(_ value: UInt64, _ required: UInt64) -> Bool {
        value & required == required && value & ~VMXCapabilities.cr0Fixed1 == 0
    }

    func isCR4Fixed(_ value: UInt64) -> Bool {
        value & VMXCapabilities.cr4Fixed0 == VMXCapabilities.cr4Fixed0 && value & ~writableCR4 == 0
    }

    func isPATValid(_ value: UInt64) -> Bool {
        (0..<8).allSatisfy { [0, 1, 4, 5, 6, 7].contains(UInt8(truncatingIfNeeded: value >> UInt64($0 * 8))) }
    }

    // MARK: The rest

    private func readRemaining(_ controls: inout VMXControls) {
        controls.exceptionBitmap = word(.exceptionBitmap)
        controls.pageFaultMask = word(.pageFaultErrorCodeMask)
        controls.pageFaultMatch = word(.pageFaultErrorCodeMatch)
        controls.cr0Mask = readVMCS(.cr0Mask)
        controls.cr0Shadow = readVMCS(.cr0Shadow)
        controls.cr4Mask = readVMCS(.cr4Mask)
        controls.cr4Shadow = readVMCS(.cr4Shadow)
        controls.cr3TargetCount = Int(word(.cr3TargetCount))
        controls.cr3Targets = SIMD4(
            readVMCS(.cr3Target0), readVMCS(.cr3Target1), readVMCS(.cr3Target2), readVMCS(.cr3Target3))
        controls.ioBitmapA = readVMCS(.ioBitmapA)
        controls.ioBitmapB = readVMCS(.ioBitmapB)
        controls.msrBitmaps = readVMCS(.msrBitmaps)
        controls.virtualAPIC = readVMCS(.virtualAPICAddress)
        controls.tprThreshold = UInt8(truncatingIfNeeded: readVMCS(.tprThreshold) & 0xF)
        controls.xssExitingBitmap = readVMCS(.xssExitingBitmap)
        controls.pauseLoopGap = word(.pauseLoopGap)
        controls.pauseLoopWindow = word(.pauseLoopWindow)
    }
}
