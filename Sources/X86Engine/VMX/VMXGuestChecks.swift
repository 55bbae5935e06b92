import X86

// Checks on the guest-state area (SDM vol. 3 section 27.3.1); what fails here is a VM exit with reason 33.

/// The exit qualifications of a failed VM entry (section 27.8).
struct InvalidGuestState: Error {
    var qualification: UInt64

    static let general = InvalidGuestState(qualification: 0)
    static let pageDirectoryPointers = InvalidGuestState(qualification: 2)
    static let nmiWhileBlockedBySTI = InvalidGuestState(qualification: 3)
    static let linkPointer = InvalidGuestState(qualification: 4)
}

/// What the checks of the guest-state area depend on.
private struct GuestCheck {
    var controls: VMXControls
    var cr0: UInt64
    var rflags: UInt64
    var cs: SegmentState
    var ss: SegmentState

    var isLong: Bool { controls.entry.contains(.ia32eModeGuest) }
    var isUnrestricted: Bool { controls.secondary.contains(.unrestrictedGuest) }
    var isVirtual8086: Bool { rflags & RFLAGS.VM != 0 }
}

extension Processor {
    private func require(_ condition: Bool) throws(InvalidGuestState) { guard condition else { throw .general } }

    /// Checks all of the guest-state area.
    func checkGuestState(_ controls: VMXControls) throws(InvalidGuestState) {
        let check = GuestCheck(
            controls: controls, cr0: readVMCS(.guestCR0), rflags: readVMCS(.guestRFLAGS), cs: segmentInVMCS(.cs),
            ss: segmentInVMCS(.ss))
        try checkControlRegisters(check)
        try checkSegments(check)
        try checkInstructionPointer(check)
        try checkNonRegisterState(check)
        try checkLinkPointer()
    }

    /// Section 27.3.1.1.
    private func checkControlRegisters(_ check: GuestCheck) throws(InvalidGuestState) {
        let controls = check.controls
        var required = VMXCapabilities.cr0Fixed0
        if check.isUnrestricted { required &= ~(CR0.PE | CR0.PG) }
        try require(isCR0Fixed(check.cr0, required))
        try require(check.cr0 & CR0.PG == 0 || check.cr0 & CR0.PE != 0)
        let cr4 = readVMCS(.guestCR4)
        try require(isCR4Fixed(cr4))
        if controls.entry.contains(.loadDebugControls) {
            try require(readVMCS(.guestDebugControl) == 0)
            try require(readVMCS(.guestDR7) >> 32 == 0)
        }
        if check.isLong {
            try require(check.cr0 & CR0.PG != 0 && cr4 & CR4.PAE != 0)
        } else {
            try require(cr4 & CR4.PCIDE == 0)
        }
        try require(readVMCS(.guestCR3) & ~physicalAddressMask == 0)
        try require(Self.isCanonical(readVMCS(.guestSYSENTERESP)) && Self.isCanonical(readVMCS(.guestSYSENTEREIP)))
        if controls.entry.contains(.loadPAT) { try require(isPATValid(readVMCS(.guestPAT))) }
        if controls.entry.contains(.loadEFER) {
            let efer = readVMCS(.guestEFER)
            try require(efer & ~(model.writableEFER | EFER.LMA) == 0)
            try require((efer & EFER.LMA != 0) == check.isLong)
            if check.cr0 & CR0.PG != 0 { try require((efer & EFER.LMA != 0) == (efer & EFER.LME != 0)) }
        }
    }

    /// Section 27.3.1.2.
    private func checkSegments(_ check: GuestCheck) throws(InvalidGuestState) {
        let tr = segmentInVMCS(.tr)
        let ldtr = segmentInVMCS(.ldtr)
        try require(tr.selector & 4 == 0)
        if !ldtr.isUnusable { try require(ldtr.selector & 4 == 0) }
        for register in [GuestSegment.es, .cs, .ss, .ds, .fs, .gs] {
            let segment = segmentInVMCS(register)
            if check.isVirtual8086 {
                try require(
                    segment.base == UInt64(segment.selector) << 4 && segment.limit == 0xFFFF
                        && segment.attributes == 0xF3)
            } else {
                try checkBase(segment, register)
                try checkAccessRights(segment, register, check)
            }
        }
        if !check.isVirtual8086 && !check.isUnrestricted {
            try require((check.ss.selector ^ check.cs.selector) & 3 == 0)
        }
        try require(Self.isCanonical(tr.base))
        try require(tr.type == 11 || tr.type == 3 && !check.isLong)
        try checkSystemSegment(tr)
        try require(!tr.isUnusable)
        if !ldtr.isUnusable {
            try require(Self.isCanonical(ldtr.base) && ldtr.type == 2)
            try checkSystemSegment(ldtr)
        }
        // Section 27.3.1.3.
        for (base, limit) in [
            (VMCSField.guestGDTRBase, VMCSField.guestGDTRLimit), (.guestIDTRBase, .guestIDTRLimit),
        ] {
            try require(Self.isCanonical(readVMCS(base)) && readVMCS(limit) >> 16 == 0)
        }
    }

    private func checkBase(_ segment: SegmentState, _ register: GuestSegment) throws(InvalidGuestState) {
        switch register {
        case .fs, .gs: try require(Self.isCanonical(segment.base))
        case .cs: try require(segment.base >> 32 == 0)
        case .es, .ss, .ds: try require(segment.isUnusable || segment.base >> 32 == 0)
        case .ldtr, .tr: break
        }
    }

    private func checkAccessRights(
        _ segment: SegmentState, _ register: GuestSegment, _ check: GuestCheck
    ) throws(InvalidGuestState) {
        let type = segment.type
        if register == .cs {
            let allowed: [UInt32] = check.isUnrestricted ? [3, 9, 11, 13, 15] : [9, 11, 13, 15]
            try require(allowed.contains(type))
            switch type {
            case 3: try require(segment.descriptorPrivilegeLevel == 0)
            case 9, 11: try require(segment.descriptorPrivilegeLevel == check.ss.descriptorPrivilegeLevel)
            default: try require(segment.descriptorPrivilegeLevel <= check.ss.descriptorPrivilegeLevel)
            }
            if check.isLong && segment.isLong { try require(!segment.isDefault32) }
        } else if register == .ss {
            // Also of an unusable one, since its DPL is the CPL.
            if !check.isUnrestricted {
                try require(segment.descriptorPrivilegeLevel == UInt8(segment.selector & 3))
            }
            if check.cs.type == 3 || check.cr0 & CR0.PE == 0 { try require(segment.descriptorPrivilegeLevel == 0) }
            if segment.isUnusable { return }
            try require(type == 3 || type == 7)
        } else {
            if segment.isUnusable { return }
            try require(type & 1 != 0 && (type & 8 == 0 || type & 2 != 0))
            if !check.isUnrestricted && type <= 11 {
                try require(segment.descriptorPrivilegeLevel >= UInt8(segment.selector & 3))
            }
        }
        try require(segment.isCodeOrData && segment.isPresent)
        try checkReservedAndGranularity(segment)
    }

    private func checkSystemSegment(_ segment: SegmentState) throws(InvalidGuestState) {
        try require(!segment.isCodeOrData && segment.isPresent)
        try checkReservedAndGranularity(segment)
    }

    private func checkReservedAndGranularity(_ segment: SegmentState) throws(InvalidGuestState) {
        try require(segment.attributes & 0xFFFE_0F00 == 0)
        let isGranular = segment.attributes & 0x8000 != 0
        if segment.limit & 0xFFF != 0xFFF { try require(!isGranular) }
        if segment.limit >> 20 != 0 { try require(isGranular) }
    }

    /// Section 27.3.1.4.
    private func checkInstructionPointer(_ check: GuestCheck) throws(InvalidGuestState) {
        let rip = readVMCS(.guestRIP)
        if check.isLong && check.cs.isLong {
            try require(Self.isCanonical(rip))
        } else {
            try require(rip >> 32 == 0)
        }
        let flags = check.rflags
        try require(flags & 0xFFFF_FFFF_FFC0_8028 == 0 && flags & RFLAGS.fixed != 0)
        if check.isLong || check.cr0 & CR0.PE == 0 { try require(!check.isVirtual8086) }
        let information = UInt32(truncatingIfNeeded: readVMCS(.entryInterruptionInformation))
        if information & 0x8000_0700 == InterruptionInformation.valid { try require(flags & RFLAGS.IF != 0) }
    }

    /// Section 27.3.1.5.
    private func checkNonRegisterState(_ check: GuestCheck) throws(InvalidGuestState) {
        let activity = readVMCS(.guestActivity)
        let interruptibility = readVMCS(.guestInterruptibility)
        let (sti, movSS) = (interruptibility & 1 != 0, interruptibility & 2 != 0)
        let information = UInt32(truncatingIfNeeded: readVMCS(.entryInterruptionInformation))
        let injects = information & InterruptionInformation.valid != 0
        let type = information >> 8 & 7
        let vector = information & 0xFF
        try require(activity <= 3)
        if activity == 1 { try require(check.ss.descriptorPrivilegeLevel == 0) }
        if sti || movSS { try require(activity == 0) }
        if injects {
            switch activity {
            case 1:
                // External interrupts, NMIs, #DB, #MC and a pending MTF exit can end HLT.
                try require(type == 0 || type == 2 || type == 3 && (vector == 1 || vector == 18) || type == 7)
            case 2: try require(type == 2 || type == 3 && vector == 18)
            case 3: throw .general
            default: break
            }
        }
        try require(interruptibility & ~0xF == 0 && !(sti && movSS))
        if sti { try require(check.rflags & RFLAGS.IF != 0) }
        // Blocking by SMI exists in SMM only.
        try require(interruptibility & 4 == 0)
        if injects && type == 0 { try require(!sti && !movSS) }
        if injects && type == 2 {
            try require(!movSS)
            guard !sti else { throw .nmiWhileBlockedBySTI }
            if check.controls.pin.contains(.virtualNMIs) { try require(interruptibility & 8 == 0) }
        }
        let pending = readVMCS(.guestPendingDebugExceptions)
        try require(pending & ~(0xF | 1 << 12 | 1 << 14) == 0)
        if sti || movSS || activity == 1 {
            // A step is pending exactly if TF is set.
            try require((pending & DR6.BS != 0) == (check.rflags & RFLAGS.TF != 0))
        }
    }

    private func checkLinkPointer() throws(InvalidGuestState) {
        let pointer = readVMCS(.vmcsLinkPointer)
        guard pointer != .max else { return }
        guard isVMCSAddress(pointer), pointer != state.pointee.virtualization.vmx.currentVMCS,
            revision(at: pointer) == VMCS.revisionIdentifier
        else { throw .linkPointer }
    }
}
