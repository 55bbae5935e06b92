import X86

// VM-exit information fields (SDM vol. 3 section 28.2).

/// What an exit writes into the read-only fields of the VMCS.
struct VMXExitInformation: Equatable {
    var reason: VMXExitReason
    var qualification: UInt64 = 0
    var interruption: UInt32 = 0
    var interruptionErrorCode: UInt32 = 0
    var instructionInformation: UInt32 = 0
    var guestLinear: UInt64?
    var guestPhysical: UInt64?
    /// VM entry failed (bit 31 of the exit reason).
    var entryFailed = false
}

/// Interruption-information fields (tables 25-17, 25-20, 25-21).
enum InterruptionInformation {
    static let valid: UInt32 = 1 << 31
    static let deliversErrorCode: UInt32 = 1 << 11
    static let unblockedNMI: UInt32 = 1 << 12

    /// The interruption type of an event.
    static func type(_ source: EventSource) -> UInt32 {
        switch source {
        case .externalInterrupt: 0
        case .nonMaskableInterrupt: 2
        case .exception: 3
        case .softwareInterrupt: 4
        case .privilegedSoftwareException: 5
        case .softwareException: 6
        }
    }

    static func word(vector: UInt8, _ source: EventSource, hasErrorCode: Bool) -> UInt32 {
        valid | UInt32(vector) | type(source) << 8 | (hasErrorCode ? deliversErrorCode : 0)
    }
}

extension Processor {
    /// How VMX describes an exit.
    func vmxInformation(_ exit: VMExit) -> VMXExitInformation {
        switch exit.cause {
        case .exception(let fault, let source): return exceptionInformation(fault, source, exit.vectoring)
        case .externalInterrupt(let vector):
            var information = VMXExitInformation(reason: .externalInterrupt)
            if let vector {
                information.interruption = InterruptionInformation.word(
                    vector: vector, .externalInterrupt, hasErrorCode: false)
            }
            return information
        case .nonMaskableInterrupt:
            var information = VMXExitInformation(reason: .exceptionOrNMI)
            information.interruption = InterruptionInformation.word(
                vector: 2, .nonMaskableInterrupt, hasErrorCode: false)
            return information
        case .initialize: return VMXExitInformation(reason: .initSignal)
        case .startUp(let vector): return VMXExitInformation(reason: .startupIPI, qualification: UInt64(vector))
        case .interruptWindow: return VMXExitInformation(reason: .interruptWindow)
        case .nonMaskableInterruptWindow: return VMXExitInformation(reason: .nmiWindow)
        case .taskSwitch(let selector, let origin, _):
            return VMXExitInformation(
                reason: .taskSwitch, qualification: UInt64(selector) | UInt64(origin.rawValue) << 30)
        case .tripleFault: return VMXExitInformation(reason: .tripleFault)
        case .instruction(let instruction): return instructionExit(instruction)
        case .invalidatePage(let linear): return VMXExitInformation(reason: .invlpg, qualification: linear)
        case .controlRegister(let access): return controlRegisterInformation(access)
        case .debugRegister(let number, let isRead, let register):
            return VMXExitInformation(
                reason: .movDR, qualification: UInt64(number & 7) | (isRead ? 16 : 0) | UInt64(register) << 8)
        case .port(let access): return portInformation(access)
        case .readModelSpecificRegister: return VMXExitInformation(reason: .rdmsr)
        case .writeModelSpecificRegister: return VMXExitInformation(reason: .wrmsr)
        case .secondLevel(let fault): return secondLevelInformation(fault, exit.vectoring)
        case .preemptionTimer: return VMXExitInformation(reason: .preemptionTimer)
        case .monitorTrap: return VMXExitInformation(reason: .monitorTrapFlag)
        case .taskPriorityBelowThreshold: return VMXExitInformation(reason: .tprBelowThreshold)
        case .invalidControls, .invalidVMCB:
            // No exit reason: guest software sees VMfailValid instead, so only monitors meet the first; the second is SVM's.
            return VMXExitInformation(reason: .invalidGuestState, entryFailed: true)
        case .invalidGuestState(let qualification):
            return VMXExitInformation(
                reason: .invalidGuestState, qualification: qualification, entryFailed: true)
        case .entryMSRLoadFailure(let entry):
            return VMXExitInformation(reason: .msrLoading, qualification: UInt64(entry), entryFailed: true)
        }
    }

    private func exceptionInformation(
        _ fault: Fault, _ source: EventSource, _ vectoring: VectoringEvent?
    ) -> VMXExitInformation {
        var information = VMXExitInformation(reason: .exceptionOrNMI)
        information.interruption = InterruptionInformation.word(
            vector: fault.vector, source, hasErrorCode: fault.errorCode != nil)
        information.interruptionErrorCode = fault.errorCode ?? 0
        if hasUnblockedNMIs, vectoring == nil, fault.vector != 8 {
            information.interruption |= InterruptionInformation.unblockedNMI
        }
        switch fault.vector {
        case 1 where source == .exception:
            // B0 to B3, BD and BS (table 28-1).
            information.qualification = fault.debugStatus & 0x600F
        case 14: information.qualification = fault.address
        default: break
        }
        return information
    }

    private func controlRegisterInformation(_ access: ControlRegisterAccess) -> VMXExitInformation {
        var information = VMXExitInformation(reason: .controlRegisterAccess)
        var qualification = UInt64(access.number)
        switch access.kind {
        case .write: qualification |= UInt64(access.register) << 8
        case .read: qualification |= 1 << 4 | UInt64(access.register) << 8
        case .clearTaskSwitched: qualification |= 2 << 4
        case .loadMachineStatus:
            qualification |= 3 << 4 | (access.value & 0xFFFF) << 16
            if let linear = access.linear {
                qualification |= 1 << 6
                information.guestLinear = linear
            }
        }
        information.qualification = qualification
        return information
    }

    private func portInformation(_ access: PortAccess) -> VMXExitInformation {
        var information = VMXExitInformation(reason: .ioInstruction)
        var qualification = UInt64(access.width &- 1) | UInt64(access.port) << 16
        if access.isInput { qualification |= 1 << 3 }
        if access.isString { qualification |= 1 << 4 }
        if access.isRepeated { qualification |= 1 << 5 }
        if access.isImmediate { qualification |= 1 << 6 }
        information.qualification = qualification
        if access.isString {
            // Table 28-8: address size and segment.
            let size: UInt32 = access.addressSize == 64 ? 2 : access.addressSize == 32 ? 1 : 0
            information.instructionInformation = size << 7 | UInt32(access.segment) << 15
            information.guestLinear = access.linear
        }
        return information
    }

    private func secondLevelInformation(
        _ fault: SecondLevelFault, _ vectoring: VectoringEvent?
    ) -> VMXExitInformation {
        var information = VMXExitInformation(
            reason: fault.kind == .violation ? .eptViolation : .eptMisconfiguration)
        information.guestPhysical = fault.guestPhysical
        guard fault.kind == .violation else { return information }
        // Table 28-7.
        var qualification: UInt64 = 0
        switch fault.access {
        case .final(.read): qualification = 1
        case .final(.write): qualification = 2
        case .final(.execute): qualification = 4
        case .pagingStructure(let writes):
            // With accessed and dirty flags such accesses count as reads and writes.
            let setsFlags = state.pointee.virtualization.secondLevel.setsFlags
            qualification = setsFlags ? 3 : writes ? 2 : 1
        }
        qualification |= UInt64(fault.permissions & 7) << 3
        if let linear = fault.linear {
            qualification |= 1 << 7
            if case .final = fault.access { qualification |= 1 << 8 }
            information.guestLinear = linear
        }
        if hasUnblockedNMIs, vectoring == nil { qualification |= 1 << 12 }
        information.qualification = qualification
        return information
    }

    // MARK: Instructions

    private func instructionExit(_ instruction: Instruction) -> VMXExitInformation {
        // Rows without a reason have no exit rule, so they do not get here.
        var information = VMXExitInformation(reason: VMXExitReason(instruction.operation) ?? .cpuid)
        switch instruction.operation {
        case .vmclear, .vmptrld, .vmptrst, .vmxon, .vmread, .vmwrite, .invept, .invvpid, .invpcid, .lgdt, .lidt, .sgdt,
            .sidt, .lldt, .ltr, .sldt, .str:
            information.qualification = displacement(of: instruction)
            information.instructionInformation = instructionInformation(instruction)
        case .rdrand, .rdseed:
            // Table 28-11: destination and operand size.
            let size: UInt32 = instruction.operandSize == 64 ? 2 : instruction.operandSize == 32 ? 1 : 0
            information.instructionInformation =
                UInt32(instruction.operands.0.register.number) << 3 | size << 11
        default: break
        }
        return information
    }

    /// The displacement of a memory operand, with RIP where that is the base (section 28.2.1).
    private func displacement(of instruction: Instruction) -> UInt64 {
        guard usesMemory(instruction) else { return 0 }
        let value = UInt64(bitPattern: instruction.memory.displacement)
        switch instruction.memory.base {
        case .rip, .eip: return state.pointee.rip &+ UInt64(instruction.length) &+ value
        default: return value
        }
    }

    private func usesMemory(_ instruction: Instruction) -> Bool {
        instruction.operands.0.kind == .memory || instruction.operands.1.kind == .memory
    }

    /// The VM-exit instruction-information field (tables 28-9 to 28-14).
    private func instructionInformation(_ instruction: Instruction) -> UInt32 {
        var word: UInt32 = 0
        let memory = instruction.memory
        if usesMemory(instruction) {
            word |= UInt32(memory.scale.trailingZeroBitCount) & 3
            let size: UInt32 = instruction.addressSize == 64 ? 2 : instruction.addressSize == 32 ? 1 : 0
            word |= size << 7
            word |= UInt32(memory.segment.number) << 15
            if memory.index == .none { word |= 1 << 22 } else { word |= UInt32(memory.index.number) << 18 }
            switch memory.base {
            case .none, .rip, .eip: word |= 1 << 27
            case let base: word |= UInt32(base.number) << 23
            }
        } else {
            word |= 1 << 10
        }
        let first = instruction.operands.0
        let second = instruction.operands.1
        switch instruction.operation {
        case .lgdt, .lidt, .sgdt, .sidt:
            // Operand size, which 64-bit mode leaves undefined, and which of the four it is.
            if instruction.operandSize != 16 { word |= 1 << 11 }
            let identity: UInt32 =
                switch instruction.operation {
                case .sgdt: 0
                case .sidt: 1
                case .lgdt: 2
                default: 3
                }
            word |= identity << 28
        case .lldt, .ltr, .sldt, .str:
            if !usesMemory(instruction) { word |= UInt32(first.register.number) << 3 }
            let identity: UInt32 =
                switch instruction.operation {
                case .sldt: 0
                case .str: 1
                case .lldt: 2
                default: 3
                }
            word |= identity << 28
        case .vmread:
            if first.kind == .register { word |= UInt32(first.register.number) << 3 }
            word |= UInt32(second.register.number) << 28
        case .vmwrite:
            if second.kind == .register { word |= UInt32(second.register.number) << 3 }
            word |= UInt32(first.register.number) << 28
        case .invept, .invvpid, .invpcid: word |= UInt32(first.register.number) << 28
        default: break
        }
        return word
    }
}
