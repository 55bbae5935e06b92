import X86

// LGDT SGDT LIDT SIDT LLDT SLDT LTR STR, ARPL, LAR LSL VERR VERW (SDM vol. 2; vol. 3 section 5.10).

extension Processor {
    /// LGDT.
    func loadGDTR(_ instruction: borrowing Instruction) throws(Fault) {
        state.pointee.gdtr = try readTableRegister(instruction)
    }

    /// LIDT.
    func loadIDTR(_ instruction: borrowing Instruction) throws(Fault) {
        state.pointee.idtr = try readTableRegister(instruction)
    }

    private func readTableRegister(_ instruction: borrowing Instruction) throws(Fault) -> DescriptorTableRegister {
        guard cpl == 0 else { throw .generalProtection(0) }
        let (address, next) = pseudoDescriptor(instruction)
        let segment = instruction.memory.segment
        let limit = try readMemory(segment, address, width: 2)
        var base = try readMemory(segment, next, width: is64BitMode ? 8 : 4)
        if instruction.operandSize == 16 && !is64BitMode { base &= 0xFF_FFFF }
        if is64BitMode { guard Self.isCanonical(base) else { throw .generalProtection(0) } }
        return DescriptorTableRegister(base: base, limit: UInt16(truncatingIfNeeded: limit))
    }

    /// SGDT and SIDT.
    func storeTableRegister(
        _ instruction: borrowing Instruction, _ register: DescriptorTableRegister
    ) throws(Fault) {
        try refuseByUserModeInstructionPrevention()
        let (address, next) = pseudoDescriptor(instruction)
        let segment = instruction.memory.segment
        let width = is64BitMode ? 8 : 4
        try probeWrite(try linearAddress(segment, next, width: width, .write), width: width)
        try writeMemory(segment, address, UInt64(register.limit), width: 2)
        // All 32 bits of the base are stored also with a 16-bit operand size.
        try writeMemory(segment, next, register.base, width: width)
    }

    private func pseudoDescriptor(_ instruction: borrowing Instruction) -> (limit: UInt64, base: UInt64) {
        let address = effectiveAddress(instruction)
        return (address, truncate(address &+ 2, width: Int(instruction.addressSize)))
    }

    /// LLDT.
    func loadLDTR(_ instruction: borrowing Instruction) throws(Fault) {
        guard isProtectedMode else { throw .invalidOpcode }
        guard cpl == 0 else { throw .generalProtection(0) }
        let selector = Selector(UInt16(truncatingIfNeeded: try read(instruction.operands.0, of: instruction)))
        if selector.isNull {
            state.pointee.ldtr = SegmentState(null: selector)
            return
        }
        guard !selector.isLocal else { throw .generalProtection(selector.errorCode) }
        let descriptor = try fetchSystemDescriptor(selector)
        guard !descriptor.isCodeOrData, descriptor.type == SystemDescriptorType.ldt, descriptor.highType == 0 else {
            throw .generalProtection(selector.errorCode)
        }
        guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        guard Self.isCanonical(descriptor.base) else { throw .generalProtection(selector.errorCode) }
        state.pointee.ldtr = SegmentState(selector, descriptor)
    }

    /// LTR.
    func loadTaskRegister(_ instruction: borrowing Instruction) throws(Fault) {
        guard isProtectedMode else { throw .invalidOpcode }
        guard cpl == 0 else { throw .generalProtection(0) }
        let selector = Selector(UInt16(truncatingIfNeeded: try read(instruction.operands.0, of: instruction)))
        guard !selector.isNull else { throw .generalProtection(0) }
        guard !selector.isLocal else { throw .generalProtection(selector.errorCode) }
        let descriptor = try fetchSystemDescriptor(selector)
        guard !descriptor.isCodeOrData, descriptor.highType == 0,
            descriptor.type == SystemDescriptorType.availableTSS32
                || descriptor.type == SystemDescriptorType.availableTSS16 && !isLongModeActive
        else { throw .generalProtection(selector.errorCode) }
        guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        guard Self.isCanonical(descriptor.base) else { throw .generalProtection(selector.errorCode) }
        try setBusy(selector, true)
        state.pointee.tr = SegmentState(selector, descriptor)
        state.pointee.tr.attributes |= 2
    }

    /// SLDT and STR.
    func storeSelector(_ instruction: borrowing Instruction, _ selector: UInt16) throws(Fault) {
        guard isProtectedMode else { throw .invalidOpcode }
        try refuseByUserModeInstructionPrevention()
        try write(instruction.operands.0, of: instruction, UInt64(selector))
    }

    /// ARPL.
    func adjustRequestedPrivilegeLevel(_ instruction: borrowing Instruction) throws(Fault) {
        guard isProtectedMode else { throw .invalidOpcode }
        let destination = try readForUpdate(instruction.operands.0, of: instruction)
        let level = try read(instruction.operands.1, of: instruction) & 3
        if destination & 3 < level {
            try write(instruction.operands.0, of: instruction, destination & ~3 | level)
            state.pointee.setStatusFlags(RFLAGS.ZF, mask: RFLAGS.ZF)
        } else {
            state.pointee.setStatusFlags(0, mask: RFLAGS.ZF)
        }
    }

    /// LAR and LSL.
    func loadAccessRights(_ instruction: borrowing Instruction, limit: Bool) throws(Fault) {
        guard isProtectedMode else { throw .invalidOpcode }
        let value = try read(instruction.operands.1, of: instruction)
        let selector = Selector(UInt16(truncatingIfNeeded: value))
        guard let descriptor = try visibleDescriptor(selector, limit: limit) else {
            state.pointee.setStatusFlags(0, mask: RFLAGS.ZF)
            return
        }
        let result = limit ? UInt64(descriptor.limit) : descriptor.low >> 32 & 0x00F0_FF00
        setGeneral(instruction.operands.0.register, result)
        state.pointee.setStatusFlags(RFLAGS.ZF, mask: RFLAGS.ZF)
    }

    /// The descriptor that LAR or LSL may tell of, or nil.
    private func visibleDescriptor(_ selector: Selector, limit: Bool) throws(Fault) -> Descriptor? {
        guard !selector.isNull, let address = descriptorAddress(selector) else { return nil }
        var descriptor = Descriptor(low: try readSystem(address, width: 8))
        if !descriptor.isCodeOrData {
            switch descriptor.type {
            case SystemDescriptorType.ldt, SystemDescriptorType.availableTSS32, SystemDescriptorType.busyTSS32: break
            case SystemDescriptorType.availableTSS16, SystemDescriptorType.busyTSS16:
                if isLongModeActive { return nil }
            case SystemDescriptorType.callGate16, SystemDescriptorType.taskGate:
                if limit || isLongModeActive { return nil }
            case SystemDescriptorType.callGate32:
                if limit { return nil }
            default: return nil
            }
            if isLongModeActive {
                guard let wide = descriptorAddress(selector, size: 16) else { return nil }
                descriptor.high = try readSystem(wide &+ 8, width: 8)
                guard descriptor.highType == 0 else { return nil }
            }
        }
        if !descriptor.isConforming || !descriptor.isCodeOrData {
            guard max(cpl, selector.requestedPrivilegeLevel) <= descriptor.descriptorPrivilegeLevel else { return nil }
        }
        return descriptor
    }

    /// VERR and VERW.
    func verifySegment(_ instruction: borrowing Instruction, write: Bool) throws(Fault) {
        guard isProtectedMode else { throw .invalidOpcode }
        let value = try read(instruction.operands.0, of: instruction)
        let allowed = try isAccessible(Selector(UInt16(truncatingIfNeeded: value)), write: write)
        state.pointee.setStatusFlags(allowed ? RFLAGS.ZF : 0, mask: RFLAGS.ZF)
    }

    private func isAccessible(_ selector: Selector, write: Bool) throws(Fault) -> Bool {
        guard !selector.isNull, let address = descriptorAddress(selector) else { return false }
        let descriptor = Descriptor(low: try readSystem(address, width: 8))
        guard descriptor.isCodeOrData else { return false }
        if !descriptor.isConforming,
            max(cpl, selector.requestedPrivilegeLevel) > descriptor.descriptorPrivilegeLevel
        {
            return false
        }
        return write ? descriptor.isWritableData : descriptor.isData || descriptor.isReadableCode
    }
}
