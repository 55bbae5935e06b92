import X86

// Which instructions leave an SVM guest, and which faults come first (APM volume 2 table 15-7, sections 15.10 and 15.11).

extension Processor {
    private var controls: SVMControls {
        @inline(__always) get { state.pointee.virtualization.svm.controls }
    }

    /// Throws the exit of an instruction in guest mode, or what is raised before it.
    func interceptBySVM(_ instruction: borrowing Instruction, _ rule: ExitRule) throws(Fault) {
        switch rule {
        case .never: return
        case .controlRegisterAccess: try interceptControlRegister(instruction)
        case .movDRExiting: try interceptDebugRegister(instruction)
        case .ioExiting: try interceptPort(instruction)
        case .msrExiting: try interceptModelSpecificRegister(instruction)
        case .always, .hltExiting, .invlpgExiting, .mwaitExiting, .rdpmcExiting, .rdtscExiting, .monitorExiting,
            .pauseExiting, .descriptorTableExiting, .wbinvdExiting, .rdrandExiting, .rdseedExiting, .rdtscpEnabled,
            .invpcidEnabled, .xsavesEnabled, .svmIntercept:
            guard let entry = SVMInstruction.entry(instruction.operation), controls.intercepts(entry.code) else {
                return
            }
            try check(entry.precedence)
            switch instruction.operation {
            case .pause: if pauseFilterPasses() { return }
            case .invlpg:
                throw leaveGuest(
                    .invalidatePage(linear: memoryOperandLinear(instruction)), instructionLength: instruction.length)
            default: break
            }
            throw exitForInstruction(instruction)
        }
    }

    private func check(_ precedence: SVMPrecedence) throws(Fault) {
        switch precedence {
        case .none: break
        case .privilege: try requirePrivilege()
        case .userModeInstructionPrevention: try refuseByUserModeInstructionPrevention()
        case .timeStampDisable: if state.pointee.cr4 & CR4.TSD != 0 { try requirePrivilege() }
        case .performanceCounterEnable:
            if state.pointee.cr4 & CR4.PCE == 0 && !isRealMode { try requirePrivilege() }
        case .enabledAndPrivileged: try requireSVM()
        case .extendedStateEnable: guard state.pointee.cr4 & CR4.OSXSAVE != 0 else { throw .invalidOpcode }
        }
    }

    // MARK: Control and debug registers

    private func interceptControlRegister(_ instruction: borrowing Instruction) throws(Fault) {
        switch instruction.operation {
        case .clts:
            try requirePrivilege()
            guard controls.intercepts(.writeControlRegister(0)) else { return }
            throw leaveGuest(
                .controlRegister(ControlRegisterAccess(kind: .clearTaskSwitched, number: 0)),
                instructionLength: instruction.length)
        case .lmsw:
            try requirePrivilege()
            try interceptLoadMachineStatus(instruction)
        default: try interceptControlRegisterMove(instruction)
        }
    }

    private func interceptControlRegisterMove(_ instruction: borrowing Instruction) throws(Fault) {
        let isWrite = instruction.operands.0.register.class == .control
        let (control, general) =
            isWrite
            ? (instruction.operands.0.register, instruction.operands.1.register)
            : (instruction.operands.1.register, instruction.operands.0.register)
        // Registers that do not exist are #UD, which the instruction raises itself.
        guard let number = Self.existingControlRegister(control).map({ UInt8(truncatingIfNeeded: $0) }) else { return }
        try requirePrivilege()
        var access = ControlRegisterAccess(
            kind: isWrite ? .write : .read, number: number, register: UInt8(truncatingIfNeeded: general.number))
        let intercepts: Bool
        if isWrite {
            access.value = self.general(general)
            intercepts = controls.intercepts(.writeControlRegister(number))
            if !intercepts && number == 0 && controls.intercepts(.selectiveCR0Write) {
                access.isSelective = (access.value ^ state.pointee.cr0) & ~(CR0.TS | CR0.MP) != 0
            }
        } else {
            intercepts = controls.intercepts(.readControlRegister(number))
        }
        guard intercepts || access.isSelective else { return }
        if isWrite { try checkControlRegister(number, access.value) }
        throw leaveGuest(.controlRegister(access), instructionLength: instruction.length)
    }

    /// The faults of a value that a control register cannot have, but for those of the memory that CR3 names.
    private func checkControlRegister(_ number: UInt8, _ value: UInt64) throws(Fault) {
        switch number {
        case 0: _ = try checkedCR0(value)
        case 3: _ = try checkedCR3(value)
        case 4: try checkCR4(value)
        case 8: guard value & ~0xF == 0 else { throw .generalProtection(0) }
        default: break
        }
    }

    /// LMSW: the selective intercept does not look at the value; both come before faults of a memory operand.
    private func interceptLoadMachineStatus(_ instruction: borrowing Instruction) throws(Fault) {
        let always = controls.intercepts(.writeControlRegister(0))
        guard always || controls.intercepts(.selectiveCR0Write) else { return }
        var access = ControlRegisterAccess(kind: .loadMachineStatus, number: 0)
        access.isSelective = !always
        if instruction.operands.0.kind == .memory {
            access.linear = memoryOperandLinear(instruction)
        } else {
            access.value = try read(instruction.operands.0, of: instruction) & 0xFFFF
        }
        throw leaveGuest(.controlRegister(access), instructionLength: instruction.length)
    }

    private func interceptDebugRegister(_ instruction: borrowing Instruction) throws(Fault) {
        let isWrite = instruction.operands.0.register.class == .debug
        let (debug, general) =
            isWrite
            ? (instruction.operands.0.register, instruction.operands.1.register)
            : (instruction.operands.1.register, instruction.operands.0.register)
        let number = UInt8(truncatingIfNeeded: debug.number)
        guard controls.intercepts(isWrite ? .writeDebugRegister(number) : .readDebugRegister(number)) else { return }
        let actual = try debugRegisterNumber(debug)
        if isWrite && actual >= 4 && self.general(general) >> 32 != 0 { throw .generalProtection(0) }
        throw leaveGuest(
            .debugRegister(number: number, isRead: !isWrite, register: UInt8(truncatingIfNeeded: general.number)),
            instructionLength: instruction.length)
    }

    // MARK: Ports and MSRs

    private func interceptPort(_ instruction: borrowing Instruction) throws(Fault) {
        guard controls.intercepts(.port), var access = portAccess(instruction) else { return }
        try checkPortAccess(port: access.port, width: Int(access.width))
        guard permissionsMapIntercepts(access) else { return }
        if access.isString { access.linear = stringLinear(instruction, access) }
        throw leaveGuest(.port(access), instructionLength: instruction.length)
    }

    /// Section 15.10: a bit for each of 64 Ki ports, and three for accesses that start at the last ones.
    private func permissionsMapIntercepts(_ access: PortAccess) -> Bool {
        (0..<UInt64(access.width)).contains { offset in
            permissionsBit(controls.ioPermissionsMap, UInt64(access.port) &+ offset)
        }
    }

    private func interceptModelSpecificRegister(_ instruction: borrowing Instruction) throws(Fault) {
        try requirePrivilege()
        let index = UInt32(truncatingIfNeeded: state.pointee.rcx)
        let isWrite = instruction.operation == .wrmsr
        guard interceptsModelSpecificRegister(index, isWrite: isWrite) else { return }
        let value = state.pointee.rdx << 32 | state.pointee.rax & 0xFFFF_FFFF
        throw leaveGuest(
            isWrite ? .writeModelSpecificRegister(index, value) : .readModelSpecificRegister(index),
            instructionLength: instruction.length)
    }

    /// Whether the guest's access to an MSR leaves it (section 15.11): two bits for each MSR, in four vectors of 2 KiB.
    func interceptsModelSpecificRegister(_ index: UInt32, isWrite: Bool) -> Bool {
        guard controls.intercepts(.modelSpecificRegister) else { return false }
        let vector: UInt64
        switch index {
        case 0...0x1FFF: vector = 0
        case 0xC000_0000...0xC000_1FFF: vector = 1
        case 0xC001_0000...0xC001_1FFF: vector = 2
        default: return true
        }
        let bit = vector << 14 | UInt64(index & 0x1FFF) << 1 | (isWrite ? 1 : 0)
        return permissionsBit(controls.msrPermissionsMap, bit)
    }

    private func permissionsBit(_ map: UInt64, _ bit: UInt64) -> Bool {
        readPhysical((map &+ bit >> 3) & memory.addressLineMask, width: 1) >> (bit & 7) & 1 != 0
    }

    // MARK: PAUSE

    /// Counts down, and tells whether the guest goes on (section 15.14.4).
    private func pauseFilterPasses() -> Bool {
        let s = state
        guard controls.pauseFilterCount != 0 else { return false }
        let now = timeStampCounter
        let elapsed = now &- s.pointee.virtualization.svm.lastPause
        s.pointee.virtualization.svm.lastPause = now
        if controls.pauseFilterThreshold != 0 && elapsed > UInt64(controls.pauseFilterThreshold) {
            s.pointee.virtualization.svm.pauseCount = Int32(controls.pauseFilterCount)
            return true
        }
        s.pointee.virtualization.svm.pauseCount -= 1
        return s.pointee.virtualization.svm.pauseCount >= 0
    }
}
