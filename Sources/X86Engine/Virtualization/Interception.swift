import X86

// Where a guest can be left. Bare metal meets none of this on a hot path: blocks of a guest are kept apart by
// `ExecutionMode`, instructions that an exit rule names are never lowered for a guest, and every other place is slow
// already.

/// The places in the order of events at an instruction boundary (SDM volume 3 table 6-2) where a guest can be left.
enum BoundaryPoint {
    /// INIT and SIPI.
    case signals
    /// Before traps of the previous instruction.
    case traps
    /// Before non-maskable interrupts, which shadows of MOV SS hold back.
    case nonMaskableInterrupts
    /// Before maskable interrupts.
    case interrupts
}

extension InstructionDefinition {
    /// `exit` of every row, dense for the decoder's path.
    static let exitRules: [ExitRule] = InstructionTable.definitions.map(\.exit)
}

extension Instruction {
    /// When the instruction leaves a guest.
    var exitRule: ExitRule { InstructionDefinition.exitRules[Int(row)] }
}

extension Processor {
    /// Whether a guest runs.
    @inline(__always) var isGuest: Bool { state.pointee.virtualization.isGuest }

    /// Throws if an instruction leaves the guest, or raises what comes before that; called before it is executed.
    func interceptInstruction(_ instruction: borrowing Instruction) throws(Fault) {
        let rule = instruction.exitRule
        guard rule != .never else { return }
        switch state.pointee.virtualization.mode {
        case .none: break
        case .vmx: try interceptByVMX(instruction, rule)
        case .svm: try interceptBySVM(instruction, rule)
        }
    }

    /// #GP(0) outside ring 0.
    func requirePrivilege() throws(Fault) { guard cpl == 0 else { throw .generalProtection(0) } }

    /// The exit of an instruction that its decoded form describes.
    func exitForInstruction(_ instruction: borrowing Instruction) -> Fault {
        leaveGuest(.instruction(copy instruction), instructionLength: instruction.length)
    }

    /// The linear address of an instruction's memory operand, without checks.
    func memoryOperandLinear(_ instruction: borrowing Instruction) -> UInt64 {
        let segment = instruction.memory.segment
        let offset = effectiveAddress(instruction)
        let hasBase = !is64BitMode || segment == .fs || segment == .gs
        let linear = hasBase ? state.pointee.segment(segment).base &+ offset : offset
        return is64BitMode ? linear : linear & 0xFFFF_FFFF
    }

    /// Whether an exception leaves the guest instead of being delivered.
    func interceptsException(_ fault: Fault, _ source: EventSource) -> Bool {
        switch state.pointee.virtualization.mode {
        case .none: false
        case .vmx: vmxInterceptsException(fault)
        case .svm: svmInterceptsException(fault, source)
        }
    }

    /// Leaves the guest for what is due at an instruction boundary; false if nothing was.
    func interceptBoundary(_ point: BoundaryPoint) -> Bool {
        switch state.pointee.virtualization.mode {
        case .none: false
        case .vmx: vmxInterceptsBoundary(point)
        case .svm: svmInterceptsBoundary(point)
        }
    }

    /// Throws if task switches leave the guest.
    func interceptTaskSwitch(_ selector: Selector, _ origin: TaskSwitchOrigin, errorCode: UInt32? = nil) throws(Fault) {
        switch state.pointee.virtualization.mode {
        case .none: break
        case .vmx:
            // Always (SDM vol. 3 section 26.2).
            let length = control.pointee.vectoring == nil ? currentInstructionLength : 0
            throw leaveGuest(
                .taskSwitch(selector: selector.rawValue, origin, errorCode: errorCode), instructionLength: length)
        case .svm:
            guard state.pointee.virtualization.svm.controls.intercepts(.taskSwitch) else { return }
            throw leaveGuest(
                .taskSwitch(selector: selector.rawValue, origin, errorCode: errorCode),
                instructionLength: control.pointee.vectoring == nil ? currentInstructionLength : 0)
        }
    }

    /// Leaves the guest for a triple fault; false if it shuts the processor down.
    func interceptTripleFault() -> Bool {
        switch state.pointee.virtualization.mode {
        case .none: return false
        case .vmx: break
        case .svm: guard state.pointee.virtualization.svm.controls.intercepts(.shutdown) else { return false }
        }
        leaveGuestNow(.tripleFault)
        return true
    }

    /// The length of the instruction being executed.
    var currentInstructionLength: UInt8 { UInt8(truncatingIfNeeded: state.pointee.nextRIP &- state.pointee.rip) }

    /// The value of a control register as MOV reads it.
    func visibleControlRegister(_ number: Int, _ value: UInt64) -> UInt64 {
        switch state.pointee.virtualization.mode {
        case .none: value
        case .vmx: vmxVisibleControlRegister(number, value)
        case .svm: number == 8 ? svmVisibleTaskPriority(value) : value
        }
    }

    /// EFER as far as the guest knows: VMRUN demands SVME, which a monitor hides by intercepting reads.
    var visibleEFER: UInt64 {
        let efer = state.pointee.efer
        switch state.pointee.virtualization.mode {
        case .none, .vmx: return efer
        case .svm: return interceptsModelSpecificRegister(MSR.efer, isWrite: false) ? efer & ~EFER.SVME : efer
        }
    }

    /// What a MOV to a control register that does not leave the guest really writes.
    func effectiveControlRegister(_ number: Int, _ value: UInt64) -> UInt64 {
        switch state.pointee.virtualization.mode {
        case .none, .svm: value
        case .vmx: vmxEffectiveControlRegister(number, value)
        }
    }

    /// Whether a MOV to CR8 leaves the machine's task priority alone.
    func virtualTaskPriorityTakes(_ value: UInt64) -> Bool {
        switch state.pointee.virtualization.mode {
        case .none: false
        case .vmx: vmxTaskPriorityTakes(value)
        case .svm: svmTaskPriorityTakes(value)
        }
    }

    /// Whether maskable interrupts of the machine are not masked (by shadows they may still be).
    var acceptsInterrupts: Bool {
        switch state.pointee.virtualization.mode {
        case .none, .vmx: state.pointee.IF && state.pointee.virtualization.svm.globalInterruptFlag
        case .svm: svmAcceptsInterrupts
        }
    }

    /// Whether INIT must wait, as in VMX root operation (SDM volume 3 section 24.8) and while SVM's GIF is clear.
    var initializationIsBlocked: Bool {
        state.pointee.virtualization.vmx.isOperating && !isGuest
            || !state.pointee.virtualization.svm.globalInterruptFlag
    }

    /// The time-stamp counter as the guest reads it.
    package var visibleTimeStampCounter: UInt64 {
        let value = timeStampCounter
        let virtualization = state.pointee.virtualization
        guard virtualization.isGuest else { return value }
        let multiplier = virtualization.timeStampMultiplier
        guard multiplier != VirtualizationState.unityMultiplier else { return value &+ virtualization.timeStampOffset }
        let product = value.multipliedFullWidth(by: multiplier)
        return (product.high << 16 | product.low >> 48) &+ virtualization.timeStampOffset
    }
}
