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

    /// The ring's number; nil for the monitor.
    var ring: UInt8? { self == .root ? nil : UInt8(rawValue) }

    init(cpl: UInt8) { self = Level(rawValue: Int(cpl & 3)) ?? .ring0 }
}

extension Level: ExpressibleByIntegerLiteral {
    /// The level of a ring, 0...3: `.transition(from: 3, to: 0)`.
    public init(integerLiteral ring: Int) {
        precondition(0...3 ~= ring, "there are rings 0 to 3")
        self = Level(rawValue: ring) ?? .ring0
    }
}

/// Something that happened in a guest, as handlers and `Stop` see it.
public struct GuestEvent: Equatable, Sendable {
    /// What kinds of event there are.
    public enum Kind: String, Sendable, CaseIterable {
        case transition, vmexit, vmentry, hypercall, exception, interrupt, syscall, exec, read, write, io, msr, cr
        case instruction, console, halt, reset, cpuid
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
    /// The level after a transition; for the exception or interrupt that ended a run the level of its handler; else the
    /// same as `from`.
    public var to: Level
    /// The vector of an exception or interrupt.
    public var vector: Int?
    /// What the exception pushes, where it pushes anything.
    public var errorCode: UInt32?
    /// The faulting or accessed linear address, a port, an MSR index or a control register's number.
    public var address: UInt64?
    /// The guest-physical address of an access to memory.
    public var physicalAddress: UInt64?
    /// The value written, a CPUID leaf, or the number of a call.
    public var value: UInt64?
    /// Why the guest was left for its monitor; for an entry, why it had been.
    public var exit: Transition.Exit?
    /// The call to the hypervisor that left the guest.
    public var call: Transition.Call?
    /// Bytes of an access.
    public var size: Int?
    /// True for reads of memory, ports and MSRs.
    public var isRead = false
    /// All of a transition.
    public var transition: Transition?
    /// What a monitor calls the event.
    package var label: String?

    init(kind: Kind, time: UInt64, instructions: UInt64, rip: UInt64, from: Level, to: Level) {
        self.kind = kind
        self.time = time
        self.instructions = instructions
        self.rip = rip
        self.from = from
        self.to = to
    }

    /// Instructions before it: a guest that is brought there and goes on meets it again.
    package var start: UInt64 { kind == .transition ? transition?.start ?? instructions : instructions }

    /// What caused a transition, the exception or the interrupt, in the manuals' words; else the kind's name.
    public var cause: String {
        if let label { return label }
        if let transition { return transition.cause }
        guard let vector else { return kind.rawValue }
        switch kind {
        case .exception: return ExceptionName.short(UInt8(truncatingIfNeeded: vector))
        case .interrupt: return "interrupt \(hexadecimal(vector))"
        case .transition, .vmexit, .vmentry, .hypercall, .syscall, .exec, .read, .write, .io, .msr, .cr, .instruction,
            .console, .halt, .reset, .cpuid:
            return kind.rawValue
        }
    }
}
