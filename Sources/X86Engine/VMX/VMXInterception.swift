import X86

// Which instructions leave VMX non-root operation (SDM vol. 3 sections 26.1.2 and 26.1.3). Faults that come before the
// exit (section 26.1.1) are raised here: those of privilege, of the mode, and of the I/O permission bitmap.

extension Processor {
    private var controls: VMXControls {
        @inline(__always) get { state.pointee.virtualization.vmx.controls }
    }

    /// Throws the exit of an instruction in VMX non-root operation, or what is raised before it.
    func interceptByVMX(_ instruction: borrowing Instruction, _ rule: ExitRule) throws(Fault) {
        switch rule {
        case .never, .svmIntercept: return
        case .always:
            try checkBeforeUnconditionalExit(instruction)
            throw exitForInstruction(instruction)
        case .hltExiting: try exitPrivileged(instruction, if: controls.primary.contains(.hltExiting))
        case .invlpgExiting:
            try requirePrivilege()
            if controls.primary.contains(.invlpgExiting) {
                throw leaveGuest(
                    .invalidatePage(linear: memoryOperandLinear(instruction)), instructionLength: instruction.length)
            }
        case .mwaitExiting: try exitPrivileged(instruction, if: controls.primary.contains(.mwaitExiting))
        case .monitorExiting: try exitPrivileged(instruction, if: controls.primary.contains(.monitorExiting))
        case .rdpmcExiting:
            if state.pointee.cr4 & CR4.PCE == 0 && isProtectedOrVirtual8086 { try requirePrivilege() }
            if controls.primary.contains(.rdpmcExiting) { throw exitForInstruction(instruction) }
        case .rdtscExiting:
            if state.pointee.cr4 & CR4.TSD != 0 { try requirePrivilege() }
            if controls.primary.contains(.rdtscExiting) { throw exitForInstruction(instruction) }
        case .rdtscpEnabled:
            guard controls.secondary.contains(.enableRDTSCP) else { throw .invalidOpcode }
            guard instruction.operation == .rdtscp else { return }
            if state.pointee.cr4 & CR4.TSD != 0 { try requirePrivilege() }
            if controls.primary.contains(.rdtscExiting) { throw exitForInstruction(instruction) }
        case .movDRExiting: try interceptDebugRegister(instruction)
        case .ioExiting: try interceptPort(instruction)
        case .msrExiting: try interceptModelSpecificRegister(instruction)
        case .pauseExiting: if leavesForPause() { throw exitForInstruction(instruction) }
        case .descriptorTableExiting:
            switch instruction.operation {
            case .sgdt, .sidt, .sldt, .str: try refuseByUserModeInstructionPrevention()
            default: try requirePrivilege()
            }
            if controls.secondary.contains(.descriptorTableExiting) { throw exitForInstruction(instruction) }
        case .wbinvdExiting: try exitPrivileged(instruction, if: controls.secondary.contains(.wbinvdExiting))
        case .rdrandExiting:
            if controls.secondary.contains(.rdrandExiting) { throw exitForInstruction(instruction) }
        case .rdseedExiting:
            if controls.secondary.contains(.rdseedExiting) { throw exitForInstruction(instruction) }
        case .invpcidEnabled:
            guard controls.secondary.contains(.enableINVPCID) else { throw .invalidOpcode }
            try exitPrivileged(instruction, if: controls.primary.contains(.invlpgExiting))
        case .xsavesEnabled:
            // The exit needs a bit of IA32_XSS, and the models' IA32_XSS has none.
            guard controls.secondary.contains(.enableXSAVES) else { throw .invalidOpcode }
        case .controlRegisterAccess: try interceptControlRegister(instruction)
        }
    }

    private func exitPrivileged(_ instruction: borrowing Instruction, if condition: Bool) throws(Fault) {
        try requirePrivilege()
        if condition { throw exitForInstruction(instruction) }
    }

    private var isProtectedOrVirtual8086: Bool { state.pointee.cr0 & CR0.PE != 0 }

    private func checkBeforeUnconditionalExit(_ instruction: borrowing Instruction) throws(Fault) {
        switch instruction.operation {
        case .cpuid:
            if cpl > 0 && state.pointee.msr.miscFeatures & 1 != 0 { throw .generalProtection(0) }
        case .xsetbv:
            guard state.pointee.cr4 & CR4.OSXSAVE != 0 else { throw .invalidOpcode }
            try requirePrivilege()
        case .vmcall: break
        case .vmclear, .vmlaunch, .vmresume, .vmptrld, .vmptrst, .vmread, .vmwrite, .vmxoff, .vmxon, .invept, .invvpid:
            // Whatever the privilege; but not where they do not exist (SDM vol. 3 chapter 31).
            if isLongModeActive && !is64BitMode { throw .invalidOpcode }
        default: try requirePrivilege()
        }
    }

    // MARK: Control and debug registers

    private func interceptControlRegister(_ instruction: borrowing Instruction) throws(Fault) {
        switch instruction.operation {
        case .clts:
            try requirePrivilege()
            guard controls.cr0Mask & controls.cr0Shadow & CR0.TS != 0 else { return }
            throw leaveGuest(
                .controlRegister(ControlRegisterAccess(kind: .clearTaskSwitched, number: 0)),
                instructionLength: instruction.length)
        case .lmsw:
            try requirePrivilege()
            try interceptLoadMachineStatus(instruction)
        default:
            let isWrite = instruction.operands.0.register.class == .control
            let (control, general) =
                isWrite
                ? (instruction.operands.0.register, instruction.operands.1.register)
                : (instruction.operands.1.register, instruction.operands.0.register)
            // Registers that do not exist are #UD, which the instruction raises itself.
            guard [0, 2, 3, 4, 8].contains(control.number) else { return }
            try requirePrivilege()
            let value = isWrite ? self.general(general) : 0
            guard leavesForControlRegister(control.number, value, isWrite: isWrite) else { return }
            throw leaveGuest(
                .controlRegister(
                    ControlRegisterAccess(
                        kind: isWrite ? .write : .read, number: UInt8(truncatingIfNeeded: control.number),
                        register: UInt8(truncatingIfNeeded: general.number), value: value)),
                instructionLength: instruction.length)
        }
    }

    private func leavesForControlRegister(_ number: Int, _ value: UInt64, isWrite: Bool) -> Bool {
        let controls = controls
        switch (number, isWrite) {
        case (0, true): return (value ^ controls.cr0Shadow) & controls.cr0Mask != 0
        case (4, true): return (value ^ controls.cr4Shadow) & controls.cr4Mask != 0
        case (3, true):
            guard controls.primary.contains(.cr3LoadExiting) else { return false }
            return !(0..<controls.cr3TargetCount).contains { controls.cr3Targets[$0] == value }
        case (3, false): return controls.primary.contains(.cr3StoreExiting)
        case (8, true): return controls.primary.contains(.cr8LoadExiting)
        case (8, false): return controls.primary.contains(.cr8StoreExiting)
        default: return false
        }
    }

    private func interceptLoadMachineStatus(_ instruction: borrowing Instruction) throws(Fault) {
        // The operand decides, so faults of reading it come first.
        let value = try read(instruction.operands.0, of: instruction) & 0xFFFF
        let (mask, shadow) = (controls.cr0Mask, controls.cr0Shadow)
        let changes = (value ^ shadow) & mask & 0xE != 0
        let setsPE = mask & value & ~shadow & CR0.PE != 0
        guard changes || setsPE else { return }
        var access = ControlRegisterAccess(kind: .loadMachineStatus, number: 0, value: value)
        if instruction.operands.0.kind == .memory { access.linear = memoryOperandLinear(instruction) }
        throw leaveGuest(.controlRegister(access), instructionLength: instruction.length)
    }

    private func interceptDebugRegister(_ instruction: borrowing Instruction) throws(Fault) {
        // Comes before #GP for privilege and #UD for DR4 and DR5.
        guard controls.primary.contains(.movDRExiting) else { return }
        let isWrite = instruction.operands.0.register.class == .debug
        let (debug, general) =
            isWrite
            ? (instruction.operands.0.register, instruction.operands.1.register)
            : (instruction.operands.1.register, instruction.operands.0.register)
        throw leaveGuest(
            .debugRegister(
                number: UInt8(truncatingIfNeeded: debug.number), isRead: !isWrite,
                register: UInt8(truncatingIfNeeded: general.number)),
            instructionLength: instruction.length)
    }

    /// Control registers as the guest reads them: bits of the mask from the shadow (section 25.6.6), CR8 from the
    /// virtual-APIC page.
    func vmxVisibleControlRegister(_ number: Int, _ value: UInt64) -> UInt64 {
        let controls = controls
        switch number {
        case 0: return value & ~controls.cr0Mask | controls.cr0Shadow & controls.cr0Mask
        case 4: return value & ~controls.cr4Mask | controls.cr4Shadow & controls.cr4Mask
        case 8 where controls.primary.contains(.useTPRShadow): return UInt64(virtualTaskPriority >> 4)
        default: return value
        }
    }

    /// Bits of the guest/host mask keep what the register holds.
    func vmxEffectiveControlRegister(_ number: Int, _ value: UInt64) -> UInt64 {
        switch number {
        case 0: state.pointee.cr0 & controls.cr0Mask | value & ~controls.cr0Mask
        case 4: state.pointee.cr4 & controls.cr4Mask | value & ~controls.cr4Mask
        default: value
        }
    }

    // MARK: Ports and MSRs

    private func interceptPort(_ instruction: borrowing Instruction) throws(Fault) {
        guard !controls.primary.isDisjoint(with: [.unconditionalIOExiting, .useIOBitmaps]),
            var access = portAccess(instruction)
        else { return }
        try checkPortAccess(port: access.port, width: Int(access.width))
        guard leavesForPort(access.port, width: Int(access.width)) else { return }
        if access.isString { access.linear = stringLinear(instruction, access) }
        throw leaveGuest(.port(access), instructionLength: instruction.length)
    }

    /// Section 25.6.4: a set bit of any port accessed, or an access that wraps around.
    private func leavesForPort(_ port: UInt16, width: Int) -> Bool {
        guard controls.primary.contains(.useIOBitmaps) else { return true }
        for offset in 0..<width {
            let number = Int(port) + offset
            guard number <= 0xFFFF else { return true }
            let bitmap = number < 0x8000 ? controls.ioBitmapA : controls.ioBitmapB
            let byte = readPhysical((bitmap &+ UInt64((number & 0x7FFF) >> 3)) & memory.addressLineMask, width: 1)
            if byte >> UInt64(number & 7) & 1 != 0 { return true }
        }
        return false
    }

    private func interceptModelSpecificRegister(_ instruction: borrowing Instruction) throws(Fault) {
        try requirePrivilege()
        let index = UInt32(truncatingIfNeeded: state.pointee.rcx)
        let isWrite = instruction.operation == .wrmsr
        guard leavesForMSR(index, isWrite: isWrite) else { return }
        let value = state.pointee.rdx << 32 | state.pointee.rax & 0xFFFF_FFFF
        throw leaveGuest(
            isWrite ? .writeModelSpecificRegister(index, value) : .readModelSpecificRegister(index),
            instructionLength: instruction.length)
    }

    /// Section 25.6.9: four bitmaps of 1 KiB.
    private func leavesForMSR(_ index: UInt32, isWrite: Bool) -> Bool {
        guard controls.primary.contains(.useMSRBitmaps) else { return true }
        let start: UInt64
        switch index {
        case 0...0x1FFF: start = isWrite ? 2048 : 0
        case 0xC000_0000...0xC000_1FFF: start = isWrite ? 3072 : 1024
        default: return true
        }
        let number = UInt64(index & 0x1FFF)
        let address = controls.msrBitmaps &+ start &+ number >> 3
        return readPhysical(address & memory.addressLineMask, width: 1) >> (number & 7) & 1 != 0
    }

    // MARK: PAUSE

    /// PAUSE exiting, or a loop of PAUSEs at CPL 0 that has lasted too long (section 26.1.3).
    private func leavesForPause() -> Bool {
        if controls.primary.contains(.pauseExiting) { return true }
        guard controls.secondary.contains(.pauseLoopExiting), cpl == 0 else { return false }
        let now = timeStampCounter
        let last = state.pointee.virtualization.vmx.pauseLoopLast
        state.pointee.virtualization.vmx.pauseLoopLast = now
        if last == 0 || now &- last > UInt64(controls.pauseLoopGap) {
            state.pointee.virtualization.vmx.pauseLoopStart = now
            return false
        }
        return now &- state.pointee.virtualization.vmx.pauseLoopStart > UInt64(controls.pauseLoopWindow)
    }
}
