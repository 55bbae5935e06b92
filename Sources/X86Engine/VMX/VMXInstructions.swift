import X86

// VMXON to VMXOFF, VMPTRLD, VMPTRST, VMCLEAR, VMREAD, VMWRITE, VMCALL, INVEPT, INVVPID (SDM vol. 3 chapter 31).
// VM entries are in `VMXEntry.swift`; in VMX non-root operation none of this runs (`VMXInterception.swift`).

/// VM-instruction error numbers (section 31.4).
package enum VMXInstructionError: UInt32, Error, Sendable {
    case vmcallInRoot = 1
    case vmclearAddress = 2
    case vmclearVMXONPointer = 3
    case vmlaunchNonClear = 4
    case vmresumeNonLaunched = 5
    case invalidControls = 7
    case invalidHostState = 8
    case vmptrldAddress = 9
    case vmptrldVMXONPointer = 10
    case vmptrldRevision = 11
    case unsupportedComponent = 12
    case readOnlyComponent = 13
    case vmxonInRoot = 15
    case eventsBlockedByMOVSS = 26
    case invalidOperand = 28
}

extension Processor {
    /// What the model's VMX has.
    var vmxCapabilities: VMXCapabilities { VMXCapabilities(model) }

    // MARK: Results (section 31.2)

    private func setFlags(_ flags: UInt64) { state.pointee.statusFlags = flags }

    func vmSucceed() { setFlags(0) }

    func vmFailInvalid() { setFlags(RFLAGS.CF) }

    /// VMfailValid with an error number, or VMfailInvalid where there is no current VMCS to hold it.
    func vmFail(_ error: VMXInstructionError) {
        guard state.pointee.virtualization.vmx.currentVMCS != .max else { return vmFailInvalid() }
        writeVMCS(.instructionError, UInt64(error.rawValue))
        setFlags(RFLAGS.ZF)
    }

    // MARK: Conditions

    /// #UD outside VMX operation and in compatibility mode, #GP(0) outside ring 0.
    func requireVMXRoot() throws(Fault) {
        guard state.pointee.virtualization.vmx.isOperating, isProtectedMode, !isLongModeActive || is64BitMode else {
            throw .invalidOpcode
        }
        guard cpl == 0 else { throw .generalProtection(0) }
    }

    /// Whether a pointer to a VMXON region or a VMCS is aligned and inside the physical-address space.
    func isVMCSAddress(_ address: UInt64) -> Bool { address & 0xFFF == 0 && address & ~physicalAddressMask == 0 }

    private func pointerOperand(_ instruction: borrowing Instruction) throws(Fault) -> UInt64 {
        try readMemory(instruction.memory.segment, effectiveAddress(instruction), width: 8)
    }

    /// The first four bytes of a region; nil where there is no RAM.
    func revision(at address: UInt64) -> UInt32? {
        guard memory.pageIndex(address & memory.addressLineMask) != nil else { return nil }
        return UInt32(truncatingIfNeeded: readPhysical(address & memory.addressLineMask, width: 4))
    }

    // MARK: VMX operation

    /// VMXON.
    func enterVMXOperation(_ instruction: borrowing Instruction) throws(Fault) {
        guard state.pointee.cr4 & CR4.VMXE != 0, isProtectedMode, !isLongModeActive || is64BitMode else {
            throw .invalidOpcode
        }
        guard !state.pointee.virtualization.vmx.isOperating else {
            guard cpl == 0 else { throw .generalProtection(0) }
            return vmFail(.vmxonInRoot)
        }
        // Locked, and VMX outside SMX enabled.
        guard cpl == 0, state.pointee.cr0 & VMXCapabilities.cr0Fixed0 == VMXCapabilities.cr0Fixed0,
            memory.addressLineMask == .max, state.pointee.virtualization.vmx.featureControl & 5 == 5
        else { throw .generalProtection(0) }
        let region = try pointerOperand(instruction)
        guard enterVMXOperation(region: region) else { return vmFailInvalid() }
        vmSucceed()
        leaveBlockAfterThisInstruction()
    }

    /// Enters VMX root operation with a VMXON region; false if the region is none.
    package func enterVMXOperation(region: UInt64) -> Bool {
        guard isVMCSAddress(region), revision(at: region) == VMCS.revisionIdentifier else { return false }
        state.pointee.virtualization.vmx.isOperating = true
        state.pointee.virtualization.vmx.region = region
        state.pointee.virtualization.vmx.currentVMCS = .max
        return true
    }

    /// VMXOFF.
    func leaveVMXOperation() throws(Fault) {
        try requireVMXRoot()
        vmSucceed()
        leaveVMXRootOperation()
        leaveBlockAfterThisInstruction()
    }

    /// Leaves VMX root operation; the current VMCS is current no more.
    package func leaveVMXRootOperation() {
        state.pointee.virtualization.vmx.isOperating = false
        state.pointee.virtualization.vmx.region = 0
        state.pointee.virtualization.vmx.currentVMCS = .max
    }

    /// VMCALL outside a guest: there is no SMM monitor to call.
    func callMonitor() throws(Fault) {
        guard state.pointee.virtualization.vmx.isOperating else { return try hypercall() }
        try requireVMXRoot()
        vmFail(.vmcallInRoot)
    }

    // MARK: The current VMCS

    /// VMPTRLD.
    func loadVMCSPointer(_ instruction: borrowing Instruction) throws(Fault) {
        try requireVMXRoot()
        let address = try pointerOperand(instruction)
        if let error = makeVMCSCurrent(address) { vmFail(error) } else { vmSucceed() }
    }

    /// Makes the VMCS at a physical address the current one.
    package func makeVMCSCurrent(_ address: UInt64) -> VMXInstructionError? {
        guard isVMCSAddress(address) else { return .vmptrldAddress }
        guard address != state.pointee.virtualization.vmx.region else { return .vmptrldVMXONPointer }
        // Bit 31 marks a shadow VMCS, which no model here has.
        guard revision(at: address) == VMCS.revisionIdentifier else { return .vmptrldRevision }
        state.pointee.virtualization.vmx.currentVMCS = address
        return nil
    }

    /// VMPTRST.
    func storeVMCSPointer(_ instruction: borrowing Instruction) throws(Fault) {
        try requireVMXRoot()
        try writeMemory(
            instruction.memory.segment, effectiveAddress(instruction), state.pointee.virtualization.vmx.currentVMCS,
            width: 8)
        vmSucceed()
    }

    /// VMCLEAR.
    func clearVMCS(_ instruction: borrowing Instruction) throws(Fault) {
        try requireVMXRoot()
        let address = try pointerOperand(instruction)
        if let error = clearVMCS(at: address) { vmFail(error) } else { vmSucceed() }
    }

    /// Makes a VMCS one that has not been launched, and not the current one.
    package func clearVMCS(at address: UInt64) -> VMXInstructionError? {
        guard isVMCSAddress(address) else { return .vmclearAddress }
        guard address != state.pointee.virtualization.vmx.region else { return .vmclearVMXONPointer }
        writePhysical((address &+ VMCS.launchState) & memory.addressLineMask, 0, width: 8)
        if state.pointee.virtualization.vmx.currentVMCS == address {
            state.pointee.virtualization.vmx.currentVMCS = .max
        }
        return nil
    }

    /// The field that an encoding names, and whether its upper half is meant.
    private func component(_ encoding: UInt64) -> (field: VMCSField, isHigh: Bool)? {
        guard encoding >> 32 == 0, let field = VMCSField(rawValue: UInt32(truncatingIfNeeded: encoding) & ~1) else {
            return nil
        }
        let isHigh = encoding & 1 != 0
        return isHigh && field.width != .bits64 ? nil : (field, isHigh)
    }

    /// VMREAD.
    func readVMCSField(_ instruction: borrowing Instruction) throws(Fault) {
        try requireVMXRoot()
        guard state.pointee.virtualization.vmx.currentVMCS != .max else { return vmFailInvalid() }
        guard let (field, isHigh) = component(general(instruction.operands.1.register)) else {
            return vmFail(.unsupportedComponent)
        }
        let value = readVMCS(field)
        try write(instruction.operands.0, of: instruction, isHigh ? value >> 32 : value)
        vmSucceed()
    }

    /// VMWRITE.
    func writeVMCSField(_ instruction: borrowing Instruction) throws(Fault) {
        try requireVMXRoot()
        guard state.pointee.virtualization.vmx.currentVMCS != .max else { return vmFailInvalid() }
        let value = try read(instruction.operands.1, of: instruction)
        guard let (field, isHigh) = component(general(instruction.operands.0.register)) else {
            return vmFail(.unsupportedComponent)
        }
        guard !field.isReadOnly else { return vmFail(.readOnlyComponent) }
        if isHigh {
            writeVMCS(field, readVMCS(field) & 0xFFFF_FFFF | value << 32)
        } else {
            writeVMCS(field, value)
        }
        vmSucceed()
    }

    // MARK: Translations

    /// INVEPT: every type drops more than it must, which is always allowed.
    func invalidateExtendedTranslations(_ instruction: borrowing Instruction) throws(Fault) {
        try requireVMXRoot()
        let type = general(instruction.operands.0.register)
        let (pointer, reserved) = try invalidationDescriptor(instruction)
        guard type == 1 || type == 2, reserved == 0, type == 2 || isExtendedPageTablePointer(pointer) else {
            return vmFail(.invalidOperand)
        }
        flushSecondLevel()
        vmSucceed()
        leaveBlockAfterThisInstruction()
    }

    /// INVVPID.
    func invalidateVirtualProcessorTranslations(_ instruction: borrowing Instruction) throws(Fault) {
        try requireVMXRoot()
        let type = general(instruction.operands.0.register)
        let (context, address) = try invalidationDescriptor(instruction)
        guard type <= 3, context >> 16 == 0, type == 2 || context != 0, type != 0 || Self.isCanonical(address) else {
            return vmFail(.invalidOperand)
        }
        flushTLB()
        vmSucceed()
        leaveBlockAfterThisInstruction()
    }

    private func invalidationDescriptor(
        _ instruction: borrowing Instruction
    ) throws(Fault) -> (UInt64, UInt64) {
        let segment = instruction.memory.segment
        let offset = effectiveAddress(instruction)
        let next = truncate(offset &+ 8, width: Int(instruction.addressSize))
        return (try readMemory(segment, offset, width: 8), try readMemory(segment, next, width: 8))
    }

    /// What VM entry demands of an EPT pointer (section 27.2.1.1): write-back or uncacheable, four levels.
    func isExtendedPageTablePointer(_ pointer: UInt64) -> Bool {
        (pointer & 7 == 0 || pointer & 7 == 6) && pointer >> 3 & 7 == 3 && pointer & 0xF80 == 0
            && pointer & ~physicalAddressMask == 0
    }
}
