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
        }
    }

    /// Whether an exception leaves the guest instead of being delivered.
    func interceptsException(_ fault: Fault) -> Bool {
        switch state.pointee.virtualization.mode {
        case .none: false
        case .vmx: vmxInterceptsException(fault)
        }
    }

    /// Leaves the guest for what is due at an instruction boundary; false if nothing was.
    func interceptBoundary(_ point: BoundaryPoint) -> Bool {
        switch state.pointee.virtualization.mode {
        case .none: false
        case .vmx: vmxInterceptsBoundary(point)
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
        }
    }

    /// Leaves the guest for a triple fault; false if it shuts the processor down.
    func interceptTripleFault() -> Bool {
        switch state.pointee.virtualization.mode {
        case .none: return false
        case .vmx:
            leaveGuestNow(.tripleFault)
            return true
        }
    }

    /// The length of the instruction being executed.
    var currentInstructionLength: UInt8 { UInt8(truncatingIfNeeded: state.pointee.nextRIP &- state.pointee.rip) }

    /// The value of a control register as MOV reads it.
    func visibleControlRegister(_ number: Int, _ value: UInt64) -> UInt64 {
        switch state.pointee.virtualization.mode {
        case .none: value
        case .vmx: vmxVisibleControlRegister(number, value)
        }
    }

    /// What a MOV to a control register that does not leave the guest really writes.
    func effectiveControlRegister(_ number: Int, _ value: UInt64) -> UInt64 {
        switch state.pointee.virtualization.mode {
        case .none: value
        case .vmx: vmxEffectiveControlRegister(number, value)
        }
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
