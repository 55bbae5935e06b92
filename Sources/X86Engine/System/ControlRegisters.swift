import X86

// MOV to and from control registers, LMSW, SMSW, CLTS, XSETBV, XGETBV (SDM vol. 2; vol. 3 section 2.5 and 4.1 to 4.4).

extension Processor {
    /// The bits of CR4 that the model's features make writable.
    var writableCR4: UInt64 { model.writableCR4 }

    /// MOV r, CR.
    func readControlRegister(_ instruction: borrowing Instruction) throws(Fault) {
        let value: UInt64
        guard let number = Self.existingControlRegister(instruction.operands.1.register) else { throw .invalidOpcode }
        guard cpl == 0 else { throw .generalProtection(0) }
        switch number {
        case 0: value = visibleControlRegister(0, state.pointee.cr0)
        case 2: value = state.pointee.cr2
        case 3: value = state.pointee.cr3
        case 4: value = visibleControlRegister(4, state.pointee.cr4)
        default: value = visibleControlRegister(8, UInt64(environment.taskPriority & 0xF))
        }
        setGeneral(instruction.operands.0.register, value)
    }

    /// MOV CR, r.
    func writeControlRegister(_ instruction: borrowing Instruction) throws(Fault) {
        guard let number = Self.existingControlRegister(instruction.operands.0.register) else { throw .invalidOpcode }
        guard cpl == 0 else { throw .generalProtection(0) }
        let value = effectiveControlRegister(number, general(instruction.operands.1.register))
        if try controlRegisterWriteIsHandled(number, value) { return }
        leaveBlockAfterThisInstruction()
        switch number {
        case 0: try setCR0(value)
        case 2: state.pointee.cr2 = value
        case 3: try setCR3(value)
        case 4: try setCR4(value)
        default:
            guard value & ~0xF == 0 else { throw .generalProtection(0) }
            if virtualTaskPriorityTakes(value) { return }
            environment.taskPriority = UInt8(truncatingIfNeeded: value)
        }
    }

    static func existingControlRegister(_ register: Register) -> Int? {
        switch register {
        case .cr0, .cr2, .cr3, .cr4, .cr8: register.number
        default: nil
        }
    }

    private func controlRegisterWriteIsHandled(_ number: Int, _ value: UInt64) throws(Fault) -> Bool {
        guard watched.contains(.controlRegister) else { return false }
        switch ask(.writeControlRegister(number: number, value: value)) {
        case .proceed, .reply: return false
        case .skip: return true
        case .inject(let fault): throw fault
        }
    }

    /// Writes CR0 with all checks of MOV CR0 at CPL 0.
    func setCR0(_ value: UInt64) throws(Fault) {
        let old = state.pointee.cr0
        let new = try checkedCR0(value)
        let enablesPaging = new & CR0.PG != 0 && old & CR0.PG == 0
        let disablesPaging = new & CR0.PG == 0 && old & CR0.PG != 0
        if enablesPaging {
            if state.pointee.efer & EFER.LME != 0 {
                state.pointee.efer |= EFER.LMA
            } else if state.pointee.cr4 & CR4.PAE != 0 {
                try loadPageDirectoryPointers(root: state.pointee.cr3, paging: true)
            }
        }
        if disablesPaging { state.pointee.efer &= ~EFER.LMA }
        state.pointee.cr0 = new
        if (old ^ new) & (CR0.PG | CR0.PE | CR0.WP) != 0 { flushTLB() }
        updateMode()
    }

    /// What CR0 becomes by a write, or the fault of a value that it cannot have; PDPTEs are not looked at.
    func checkedCR0(_ value: UInt64) throws(Fault) -> UInt64 {
        guard value >> 32 == 0 else { throw .generalProtection(0) }
        let new =
            value
            & (CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.NE | CR0.WP | CR0.AM | CR0.NW | CR0.CD | CR0.PG) | CR0.ET
        guard new & CR0.PG == 0 || new & CR0.PE != 0, new & CR0.NW == 0 || new & CR0.CD != 0 else {
            throw .generalProtection(0)
        }
        guard isAllowedInVMXOperation(cr0: new) else { throw .generalProtection(0) }
        let wasPaging = state.pointee.cr0 & CR0.PG != 0
        let isPaging = new & CR0.PG != 0
        if isPaging && !wasPaging && state.pointee.efer & EFER.LME != 0 {
            // A 16-bit TSS has no meaning in IA-32e mode (SDM vol. 3 section 9.8.5).
            guard state.pointee.cr4 & CR4.PAE != 0, !state.pointee.cs.isLong else { throw .generalProtection(0) }
        }
        if wasPaging && !isPaging {
            guard !is64BitMode, state.pointee.cr4 & CR4.PCIDE == 0 else { throw .generalProtection(0) }
        }
        return new
    }

    /// Writes CR3 with all checks of MOV CR3 at CPL 0, and drops translations.
    func setCR3(_ value: UInt64) throws(Fault) {
        let root = try checkedCR3(value)
        try loadPageDirectoryPointers(root: root)
        state.pointee.cr3 = root
        flushTLB()
    }

    /// What CR3 becomes by a write, or the fault of a value that it cannot have; PDPTEs are not looked at.
    func checkedCR3(_ value: UInt64) throws(Fault) -> UInt64 {
        var root = value
        if isLongModeActive {
            if state.pointee.cr4 & CR4.PCIDE != 0 {
                // Bit 63 allows translations of the new PCID to be kept; dropping them is allowed too (section 4.10.4.1).
                root &= ~(1 << 63)
            }
            guard root & ~physicalAddressMask == 0 else { throw .generalProtection(0) }
        } else if is64BitMode == false {
            root &= 0xFFFF_FFFF
        }
        return root
    }

    /// Writes CR4 with all checks of MOV CR4 at CPL 0.
    func setCR4(_ value: UInt64) throws(Fault) {
        let old = state.pointee.cr4
        let changed = old ^ value
        try checkCR4(value)
        if state.pointee.cr0 & CR0.PG != 0, !isLongModeActive, value & CR4.PAE != 0,
            changed & (CR4.PAE | CR4.PGE | CR4.PSE | CR4.SMEP) != 0
        {
            state.pointee.cr4 = value
            do throws(Fault) {
                try loadPageDirectoryPointers(root: state.pointee.cr3)
            } catch {
                state.pointee.cr4 = old
                throw error
            }
        }
        state.pointee.cr4 = value
        if changed & (CR4.PAE | CR4.PGE | CR4.PSE | CR4.PCIDE | CR4.SMEP | CR4.SMAP) != 0 { flushTLB() }
        updateMode()
    }

    /// The fault of a value that CR4 cannot have; PDPTEs are not looked at.
    func checkCR4(_ value: UInt64) throws(Fault) {
        guard value & ~writableCR4 == 0, isAllowedInVMXOperation(cr4: value) else { throw .generalProtection(0) }
        if isLongModeActive { guard value & CR4.PAE != 0 else { throw .generalProtection(0) } }
        if (state.pointee.cr4 ^ value) & value & CR4.PCIDE != 0 {
            guard isLongModeActive, state.pointee.cr3 & 0xFFF == 0 else { throw .generalProtection(0) }
        }
    }

    /// Loads the four PDPTE registers where PAE paging is in use; #GP(0) for reserved bits in a present one
    /// (SDM volume 3 section 4.4.1).
    func loadPageDirectoryPointers(root: UInt64, paging: Bool? = nil) throws(Fault) {
        guard paging ?? (state.pointee.cr0 & CR0.PG != 0), state.pointee.cr4 & CR4.PAE != 0,
            state.pointee.efer & EFER.LME == 0, !readsPageDirectoryPointersOnDemand
        else { return }
        let table = root & 0xFFFF_FFE0
        let reserved = ~physicalAddressMask | PageEntry.reservedInPDPTE
        var entries = SIMD4<UInt64>(repeating: 0)
        for index in 0..<4 {
            let entry = readPhysical(try systemPhysical(table &+ UInt64(index) &* 8), width: 8)
            guard entry & PageEntry.P == 0 || entry & reserved == 0 else { throw .generalProtection(0) }
            entries[index] = entry
        }
        state.pointee.pdpte = (entries[0], entries[1], entries[2], entries[3])
    }

    /// LMSW: the low four bits of CR0, of which PE can only be set.
    func loadMachineStatus(_ instruction: borrowing Instruction) throws(Fault) {
        guard cpl == 0 else { throw .generalProtection(0) }
        let value = try read(instruction.operands.0, of: instruction)
        let old = state.pointee.cr0
        let new = effectiveControlRegister(0, old & ~0xE | value & 0xF)
        if try controlRegisterWriteIsHandled(0, new) { return }
        leaveBlockAfterThisInstruction()
        try setCR0(new)
    }

    /// SMSW.
    func storeMachineStatus(_ instruction: borrowing Instruction) throws(Fault) {
        try refuseByUserModeInstructionPrevention()
        try write(instruction.operands.0, of: instruction, visibleControlRegister(0, state.pointee.cr0))
    }

    /// CLTS.
    func clearTaskSwitched() throws(Fault) {
        guard cpl == 0 else { throw .generalProtection(0) }
        if try controlRegisterWriteIsHandled(0, state.pointee.cr0 & ~CR0.TS) { return }
        state.pointee.cr0 = effectiveControlRegister(0, state.pointee.cr0 & ~CR0.TS)
        updateMode()
    }

    /// #GP(0) for SGDT, SIDT, SLDT, SMSW and STR outside ring 0 with CR4.UMIP set.
    func refuseByUserModeInstructionPrevention() throws(Fault) {
        if cpl > 0 && state.pointee.cr4 & CR4.UMIP != 0 { throw .generalProtection(0) }
    }

    /// XGETBV: XCR0, or with ECX = 1 the components in use.
    func readExtendedControlRegister() throws(Fault) {
        guard state.pointee.cr4 & CR4.OSXSAVE != 0 else { throw .invalidOpcode }
        let value: UInt64
        switch state.pointee.rcx & 0xFFFF_FFFF {
        case 0: value = state.pointee.xcr0
        case 1:
            guard model.features.contains(.xgetbv1) else { throw .generalProtection(0) }
            value = state.pointee.xcr0 & componentsInUse
        default: throw .generalProtection(0)
        }
        state.pointee.rax = value & 0xFFFF_FFFF
        state.pointee.rdx = value >> 32
    }

    /// XSETBV.
    func writeExtendedControlRegister() throws(Fault) {
        guard state.pointee.cr4 & CR4.OSXSAVE != 0 else { throw .invalidOpcode }
        guard cpl == 0, state.pointee.rcx & 0xFFFF_FFFF == 0 else { throw .generalProtection(0) }
        let value = state.pointee.rdx << 32 | state.pointee.rax & 0xFFFF_FFFF
        // Bit 0 (x87) must stay; only x87 and SSE state exist.
        guard value & 1 != 0, value & ~model.extendedStateComponents == 0 else { throw .generalProtection(0) }
        state.pointee.xcr0 = value
        leaveBlockAfterThisInstruction()
    }
}
