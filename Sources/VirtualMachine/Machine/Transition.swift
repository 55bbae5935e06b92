import X86Engine

/// One change of privilege level.
public struct Transition: Equatable, Sendable {
    /// Where the processor was before or after.
    public struct Point: Equatable, Sendable {
        /// The privilege level.
        public var level: Level
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

    /// Counted from 1 on over the guest's life.
    public var sequence: UInt64
    /// Guest time in nanoseconds.
    public var time: UInt64
    /// Instructions, REP iterations and deliveries so far.
    public var instructions: UInt64
    package var mechanism: TransitionCause
    package var gateRecord: GateRecord?
    /// Where the processor was.
    public var before: Point
    /// Where it is then.
    public var after: Point
    /// True if the stack pointer came from a TSS.
    public var switchedStack: Bool
    /// The vector of an exception or interrupt.
    public var vector: Int?
    /// What the exception pushed, where it pushed anything.
    public var errorCode: UInt32?
    /// CR2 of a page fault.
    public var address: UInt64?

    /// A word or two: `syscall`, `#PF`, `interrupt 0x20`, `int 0x80`, `iret`.
    public var cause: String { mechanism.text }
    /// The gate's kind, DPL and index, if one was used.
    public var gate: String? { gateRecord?.text }
}

extension Transition {
    init(_ record: TransitionRecord, sequence: UInt64, time: UInt64, instructions: UInt64) {
        self.init(
            sequence: sequence, time: time, instructions: instructions, mechanism: record.cause,
            gateRecord: record.gate, before: Point(record.before), after: Point(record.after),
            switchedStack: record.switchedStack, vector: record.cause.vector, errorCode: record.cause.errorCode,
            address: record.address)
    }
}

extension Transition.Point {
    init(_ point: PrivilegePoint) {
        self.init(
            level: Level(cpl: point.cpl), cs: point.cs, rip: point.rip, ss: point.ss, rsp: point.rsp, cr3: point.cr3,
            rflags: point.rflags)
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
        return "\(kind) \(hexadecimal(index)), DPL \(descriptorPrivilegeLevel)"
    }
}
