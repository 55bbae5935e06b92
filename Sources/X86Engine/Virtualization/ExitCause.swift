import X86

/// Why the processor leaves a guest, in the terms that VMX and SVM share.
///
/// Each extension encodes a cause as its manual says: SDM volume 3 appendix C with section 28.2, or APM volume 2
/// appendix C.
package enum ExitCause: Equatable, Sendable {
    /// An exception, INT3, INTO or INT1 that is not delivered.
    case exception(Fault, EventSource)
    /// The vector is nil where the interrupt stays with the controllers.
    case externalInterrupt(vector: UInt8?)
    case nonMaskableInterrupt
    case initialize
    case startUp(vector: UInt8)
    /// Interrupts could be delivered now.
    case interruptWindow
    /// Non-maskable interrupts could be delivered now.
    case nonMaskableInterruptWindow
    case taskSwitch(selector: UInt16, TaskSwitchOrigin, errorCode: UInt32?)
    case tripleFault
    /// An instruction about which the decoded form says everything.
    case instruction(Instruction)
    /// INVLPG.
    case invalidatePage(linear: UInt64)
    case controlRegister(ControlRegisterAccess)
    case debugRegister(number: UInt8, isRead: Bool, register: UInt8)
    case port(PortAccess)
    case readModelSpecificRegister(UInt32)
    case writeModelSpecificRegister(UInt32, UInt64)
    /// A guest-physical address does not lead where the access wants to go.
    case secondLevel(SecondLevelFault)
    case preemptionTimer
    /// One instruction of the guest is done.
    case monitorTrap
    case taskPriorityBelowThreshold
    /// A monitor left controls or host state that VM entry refuses; nothing of the guest has run.
    case invalidControls(VMXInstructionError)
    /// VM entry found the guest-state area invalid; nothing of the guest has run.
    case invalidGuestState(qualification: UInt64)
    /// VMRUN found the VMCB invalid; nothing of the guest has run.
    case invalidVMCB(SVMInvalidState)
    /// VM entry could not load MSR number `entry` (from 1) of its list.
    case entryMSRLoadFailure(entry: UInt32)
}

extension ExitCause {
    /// Nothing of the guest has run.
    package var isFailedEntry: Bool {
        switch self {
        case .invalidControls, .invalidGuestState, .entryMSRLoadFailure, .invalidVMCB: true
        case .exception, .externalInterrupt, .nonMaskableInterrupt, .initialize, .startUp, .interruptWindow,
            .nonMaskableInterruptWindow, .taskSwitch, .tripleFault, .instruction, .invalidatePage, .controlRegister,
            .debugRegister, .port, .readModelSpecificRegister, .writeModelSpecificRegister, .secondLevel,
            .preemptionTimer, .monitorTrap, .taskPriorityBelowThreshold:
            false
        }
    }

    /// The guest was left in an instruction, which is not done, or in the delivery of an event; not between two instructions.
    var isByInstruction: Bool {
        switch self {
        case .exception, .taskSwitch, .tripleFault, .instruction, .invalidatePage, .controlRegister, .debugRegister,
            .port,
            .readModelSpecificRegister, .writeModelSpecificRegister, .secondLevel:
            true
        case .externalInterrupt, .nonMaskableInterrupt, .initialize, .startUp, .interruptWindow,
            .nonMaskableInterruptWindow, .preemptionTimer, .monitorTrap, .taskPriorityBelowThreshold, .invalidControls,
            .invalidGuestState, .invalidVMCB, .entryMSRLoadFailure:
            false
        }
    }
}

/// What starts a task switch.
package enum TaskSwitchOrigin: UInt8, Sendable {
    case call, interruptReturn, jump, gate
}

/// An access to a control register.
package struct ControlRegisterAccess: Equatable, Sendable {
    package enum Kind: UInt8, Sendable { case write, read, clearTaskSwitched, loadMachineStatus }
    package var kind: Kind
    /// 0, 2, 3, 4 or 8.
    package var number: UInt8
    /// The general register of a MOV.
    package var register: UInt8
    /// What is to be written; LMSW: its 16-bit operand.
    package var value: UInt64
    /// LMSW from memory: the linear address.
    package var linear: UInt64?
    /// Only the selective intercept of CR0 writes asks (APM volume 2 section 15.9).
    package var isSelective = false

    package init(kind: Kind, number: UInt8, register: UInt8 = 0, value: UInt64 = 0, linear: UInt64? = nil) {
        self.kind = kind
        self.number = number
        self.register = register
        self.value = value
        self.linear = linear
    }
}

/// An execution of IN, OUT, INS or OUTS, before anything of it is done.
package struct PortAccess: Equatable, Sendable {
    package var port: UInt16
    /// 1, 2 or 4 bytes.
    package var width: UInt8
    package var isInput: Bool
    package var isString = false
    package var isRepeated = false
    /// The port is an immediate operand.
    package var isImmediate = false
    /// What OUT writes.
    package var value: UInt32 = 0
    /// INS and OUTS: the linear address of the memory operand.
    package var linear: UInt64 = 0
    /// INS and OUTS: the segment's number (ES CS SS DS FS GS) and the address size in bits.
    package var segment: UInt8 = 0
    package var addressSize: UInt8 = 0

    package init(port: UInt16, width: UInt8, isInput: Bool) {
        self.port = port
        self.width = width
        self.isInput = isInput
    }
}

/// One exit from a guest.
package struct VMExit: Equatable, Sendable {
    package var cause: ExitCause
    /// The event whose delivery was under way (SDM volume 3 section 28.2.4; APM volume 2 section 15.7.2).
    package var vectoring: VectoringEvent?
    /// The length of the instruction that caused the exit, or whose event was being delivered; else 0.
    package var instructionLength: UInt8 = 0
    /// How deep the guest is nested; 1 below the monitor that owns the machine.
    package var depth: UInt8 = 1
    /// The exit reason of VMX or the exit code of SVM.
    package var code: UInt64 = 0
    /// The exit qualification or EXITINFO1.
    package var qualification: UInt64 = 0
    /// The guest-physical address or EXITINFO2.
    package var information: UInt64 = 0
}

/// An event that was being delivered when the guest was left.
package struct VectoringEvent: Equatable, Sendable {
    package var vector: UInt8
    package var source: EventSource
    package var errorCode: UInt32?
    /// The length of the instruction behind a software event, else 0.
    package var instructionLength: UInt8
}
