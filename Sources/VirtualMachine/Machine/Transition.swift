import Hypervisors
import X86
import X86Engine

// Why guests are left is a part of this module's interface, as the techniques are.
@_exported import enum Hypervisors.ExitReason

/// One change of privilege level, or of sides between a guest and its monitor.
public struct Transition: Equatable, Sendable {
    /// Where the processor was before or after.
    ///
    /// A monitor in Swift that the processor does not enter by itself (`.vmx`, `.svm`) has no code in the machine: its
    /// registers are zero.
    public struct Point: Equatable, Sendable {
        /// The privilege level as the guest sees it; `.root` is the monitor's.
        public var level: Level
        /// How many monitors are below: 0 for a bare machine or the monitor that owns it, 1 for a guest of its.
        public var depth: Int
        /// The current privilege level at which the machine's processor runs it, 0...3.
        public var physicalRing: Int
        /// The instruction pointer of the machine's processor, where it is another one: in a translation cache.
        public var physicalRIP: UInt64?
        /// The base of the paging structures that the machine's processor uses, where they are others: shadow ones.
        public var physicalCR3: UInt64?
        /// The selector in CS.
        public var cs: UInt16
        /// The instruction pointer.
        public var rip: UInt64
        /// The selector in SS.
        public var ss: UInt16
        /// The stack pointer.
        public var rsp: UInt64
        /// The base of the paging structures, with its flags.
        public var cr3: UInt64
        /// The flags.
        public var rflags: UInt64
    }

    /// Why a guest was left for its monitor.
    public struct Exit: Equatable, Sendable {
        /// The reason in words that all techniques share.
        public var reason: ExitReason
        /// What the technique's manual calls it.
        public var name: String
        /// The basic exit reason (`.vmx`), the exit code (`.svm`), or the vector by which ring 0 was entered.
        public var code: UInt64?
        /// The exit qualification (`.vmx`) or EXITINFO1 (`.svm`).
        public var qualification: UInt64?
        /// The guest-physical address (`.vmx`) or EXITINFO2 (`.svm`).
        public var information: UInt64?
        /// Bytes of the instruction that left the guest, where the processor tells.
        public var instructionLength: Int?
    }

    /// A call of a guest to its hypervisor.
    public struct Call: Equatable, Sendable {
        /// What was in RAX.
        public var number: UInt64
        /// The call's arguments if its interface is known, else what was in RDI, RSI, RDX, R10, R8 and R9.
        public var arguments: [UInt64]
        /// What is in RAX when the guest goes on; nil before, and for a call that goes on elsewhere.
        public var result: UInt64?
        /// The call's name in its interface; nil if that is not known.
        public var name: String?
        /// What the result is called if it is a failure of a known interface's.
        public var failure: String?
    }

    /// Counted from 1 on over the guest's life.
    public var sequence: UInt64
    /// Guest time in nanoseconds, when it has happened.
    public var time: UInt64
    /// Instructions, REP iterations and deliveries until it has happened, with the one that it is itself.
    public var instructions: UInt64
    /// The number of the processor.
    public var cpu = 0
    /// The technique under which the guest runs.
    public var technique: Technique
    package var mechanism: Mechanism
    package var gateRecord: GateRecord?
    /// Where the processor was.
    public var before: Point
    /// Where it is then.
    public var after: Point
    /// True if the stack pointer came from a TSS.
    public var switchedStack = false
    /// The vector of an exception or interrupt.
    public var vector: Int?
    /// What the exception pushed, where it pushed anything.
    public var errorCode: UInt32?
    /// CR2 of a page fault.
    public var address: UInt64?
    /// Why the guest was left; of an entry, why it had been.
    public var exit: Exit?
    /// The call to the hypervisor that left the guest; of an entry, with its result.
    public var call: Call?
    /// What the transition costs by the hypervisor's cost model, in cycles; nil where its sources tell nothing.
    public var cost: UInt64?

    /// A word or two: `syscall`, `#PF`, `interrupt 0x20`, `int 0x80`, `iret`, `VM exit: cpuid`, `call-out: io`.
    public var cause: String { mechanism.text }
    /// Instructions before it: a guest that is brought there and goes on makes the transition again.
    package var start: UInt64 {
        if case .transfer = mechanism { instructions &- 1 } else { instructions }
    }
    /// The name by which the cause is counted, one of `TransitionLog.causes`.
    public var kind: String { mechanism.name }
    /// The gate's kind, DPL and index, if one was used.
    public var gate: String? { gateRecord?.text }
    /// True for a crossing that did not happen in the machine but is modelled: those of a hosted hypervisor's host.
    public var isModelled: Bool { mechanism.host != nil }
}

extension Transition {
    /// How a transition comes about.
    package enum Mechanism: Equatable, Sendable {
        /// By an instruction, event or gate, as the guest sees it.
        case transfer(TransitionCause)
        /// The guest is left for its monitor.
        case exit(String)
        /// The monitor lets the guest go on.
        case entry(String)
        /// The monitor has the host it runs on do something.
        case host(HostCrossing)

        /// A word or two.
        var text: String {
            switch self {
            case .transfer(let cause): cause.text
            case .exit(let text), .entry(let text): text
            case .host(let crossing): crossing.text
            }
        }

        /// The name by which it is counted.
        var name: String {
            switch self {
            case .transfer(let cause): "\(cause.kind)"
            case .exit: "exit"
            case .entry: "entry"
            case .host: "host"
            }
        }

        var host: HostCrossing? { if case .host(let crossing) = self { crossing } else { nil } }
    }
}

/// A crossing in the host of a hosted hypervisor, on the way of a device access (Sugerman, Venkitachalam and Lim, 2001).
package enum HostCrossing: Int, CaseIterable, Sendable {
    /// The monitor gives the processor to the host's kernel.
    case toKernel
    /// The kernel returns to the process that has the devices.
    case toProcess
    /// The process calls the kernel again.
    case fromProcess
    /// The kernel gives the processor to the monitor.
    case fromKernel

    var text: String {
        switch self {
        case .toKernel: "world switch to the host's kernel"
        case .toProcess: "return to the host's process"
        case .fromProcess: "call of the host's kernel"
        case .fromKernel: "world switch to the monitor"
        }
    }
}

extension TransitionCause {
    /// The manuals' short name.
    package var text: String {
        switch self {
        case .exception(let vector, _): ExceptionName.short(vector)
        case .externalInterrupt(let vector): "interrupt \(hexadecimal(vector))"
        case .nonMaskableInterrupt: "NMI"
        case .softwareInterrupt(let vector): "int \(hexadecimal(vector))"
        case .syscall: "syscall"
        case .sysret: "sysret"
        case .sysenter: "sysenter"
        case .sysexit: "sysexit"
        case .iret: "iret"
        case .callGate(let selector): "call gate \(hexadecimal(selector))"
        case .farReturn: "far return"
        case .taskSwitch(let selector): "task switch \(hexadecimal(selector))"
        case .farTransfer: "far transfer"
        }
    }

    var vector: Int? {
        switch self {
        case .exception(let vector, _), .externalInterrupt(let vector), .softwareInterrupt(let vector): Int(vector)
        case .nonMaskableInterrupt: 2
        case .syscall, .sysret, .sysenter, .sysexit, .iret, .callGate, .farReturn, .taskSwitch, .farTransfer: nil
        }
    }

    var errorCode: UInt32? {
        if case .exception(_, let code) = self { return code }
        return nil
    }

    /// Whether an instruction makes the transition, which counts when it is done; deliveries have counted before.
    var isInstruction: Bool {
        switch self {
        case .exception, .externalInterrupt, .nonMaskableInterrupt: false
        case .softwareInterrupt, .syscall, .sysret, .sysenter, .sysexit, .iret, .callGate, .farReturn, .taskSwitch,
            .farTransfer:
            true
        }
    }
}

extension GateRecord {
    /// Kind, DPL and index in words.
    package var text: String {
        let kind =
            switch type {
            case 0x4, 0xC: "call gate"
            case 0x5: "task gate"
            case 0x6, 0xE: "interrupt gate"
            case 0x7, 0xF: "trap gate"
            default: "gate of type \(type)"
            }
        return "\(isNarrow ? "16-bit " : "")\(kind) \(hexadecimal(index)), DPL \(descriptorPrivilegeLevel)"
    }

    /// Whether it is one of the 80286, whose values are 16 bits wide.
    package var isNarrow: Bool {
        [SystemDescriptorType.callGate16, SystemDescriptorType.interruptGate16, SystemDescriptorType.trapGate16]
            .contains(type)
    }
}
