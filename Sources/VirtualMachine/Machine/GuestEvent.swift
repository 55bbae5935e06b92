import X86Engine

/// A privilege level: a ring, or the monitor's.
public enum Level: Int, Sendable, Comparable, CaseIterable, CustomStringConvertible {
    /// VMX root operation or the host side of SVM: more privileged than ring 0.
    case root = -1
    case ring0 = 0, ring1, ring2, ring3

    /// Whether a level is more privileged than another.
    public static func < (lhs: Level, rhs: Level) -> Bool { lhs.rawValue < rhs.rawValue }

    /// `root` or the ring's number.
    public var description: String { self == .root ? "root" : String(rawValue) }

    init(cpl: UInt8) { self = Level(rawValue: Int(cpl & 3)) ?? .ring0 }
}

/// Something that happened in a guest, as handlers and `Stop` see it.
public struct GuestEvent: Equatable, Sendable {
    /// What kinds of event there are.
    public enum Kind: String, Sendable, CaseIterable {
        case transition, exception, interrupt, io, msr, cr, syscall, hypercall, halt, cpuid, exec, console, reset
    }

    /// What happened.
    public var kind: Kind
    /// Guest time in nanoseconds.
    public var time: UInt64
    /// Instructions, REP iterations and deliveries so far.
    public var instructions: UInt64
    /// RIP at the event: of the instruction concerned; for a transition, where it led.
    public var rip: UInt64
    /// The level before; for events before a change the level at which they happen.
    public var from: Level
    /// The level after a transition, else the same as `from`.
    public var to: Level
    /// What caused a transition, in the manuals' words.
    public var cause = ""
    /// The vector of an exception or interrupt.
    public var vector: Int?
    /// What the exception pushes, where it pushes anything.
    public var errorCode: UInt32?
    /// The faulting linear address, a port, an MSR index or a control register's number.
    public var address: UInt64?
    /// The value written, or a CPUID leaf.
    public var value: UInt64?
    /// Bytes of an access.
    public var size: Int?
    /// True for reads of ports and MSRs.
    public var isRead = false
    /// All of a transition.
    public var transition: Transition?
}

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
    /// A word or two: `syscall`, `#PF`, `interrupt 0x20`, `int 0x80`, `iret`.
    public var cause: String
    /// The gate's kind, DPL and index, if one was used.
    public var gate: String?
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
}

extension Transition {
    init(_ record: TransitionRecord, sequence: UInt64, time: UInt64, instructions: UInt64) {
        self.init(
            sequence: sequence, time: time, instructions: instructions, cause: record.cause.text,
            gate: record.gate?.text, before: Point(record.before), after: Point(record.after),
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

/// The names of the exceptions.
///
/// SDM vol. 3 table 6-1.
public enum ExceptionName {
    private static let names = [
        "DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF", "CSO", "TS", "NP", "SS", "GP", "PF", "15", "MF", "AC",
        "MC", "XM", "VE", "CP",
    ]

    /// `#GP` and the like; the number for vectors without a name.
    public static func short(_ vector: UInt8) -> String {
        Int(vector) < names.count ? "#" + names[Int(vector)] : "exception \(vector)"
    }

    /// The vector of `GP`, `#GP` and the like, nil if there is none of that name.
    public static func vector(named name: String) -> UInt8? {
        let bare = name.hasPrefix("#") ? String(name.dropFirst()) : name
        return names.firstIndex(of: bare).map { UInt8($0) }
    }
}

/// A number with 0x before it.
package func hexadecimal<Value: BinaryInteger>(_ value: Value) -> String { "0x" + String(value, radix: 16) }
