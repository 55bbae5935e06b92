import X86
import X86Engine

/// Which events a handler or a run waits for; what is nil matches anything.
public struct EventFilter: Sendable {
    /// The kind of event.
    public var kind: GuestEvent.Kind
    /// The level before a transition, or at which the event happens.
    public var from: Level?
    /// The level after a transition.
    public var to: Level?
    /// Vectors of exceptions and interrupts; ports, MSR indices, control-register numbers; hypercall and system-call
    /// numbers (RAX); CPUID leaves, exit codes; addresses of instructions (RIP) and of memory.
    public var numbers: ClosedRange<UInt64>?
    /// The reason of a VM exit, or of the exit that an entry ends.
    public var reason: ExitReason?
    /// Whether the addresses of `read` and `write` are guest-physical, else they are linear.
    public var isPhysical = false
    var patterns: Set<InstructionPattern> = []
    var consolePattern: ConsolePattern?

    /// Makes a filter.
    public init(
        _ kind: GuestEvent.Kind, from: Level? = nil, to: Level? = nil, numbers: ClosedRange<UInt64>? = nil
    ) {
        self.kind = kind
        self.from = from
        self.to = to
        self.numbers = numbers
    }

    /// A change of privilege level.
    public static func transition(from: Level? = nil, to: Level? = nil) -> EventFilter {
        EventFilter(.transition, from: from, to: to)
    }

    /// A guest is left for its monitor, which has done nothing about it yet.
    public static func vmexit(_ reason: ExitReason? = nil) -> EventFilter {
        var filter = EventFilter(.vmexit)
        filter.reason = reason
        return filter
    }

    /// A monitor lets its guest go on.
    public static func vmentry() -> EventFilter { EventFilter(.vmentry) }

    /// An exception before its delivery.
    public static func exception(_ vector: UInt8? = nil) -> EventFilter {
        EventFilter(.exception, numbers: vector.map { UInt64($0)...UInt64($0) })
    }

    /// Before the instruction at an address (RIP).
    public static func exec(_ address: UInt64) -> EventFilter { EventFilter(.exec, numbers: address...address) }

    /// Before the processor reads any byte of a range.
    ///
    /// Reported are the accesses of instructions, each element of a string instruction as one, an access across pages as
    /// one; and implicit ones to stacks, descriptor tables and task states. Not reported are instruction fetches, page
    /// walks with their accessed and dirty flags, and what devices transfer. An instruction that faults after an access
    /// and is restarted reports it again.
    public static func read(_ range: ClosedRange<UInt64>, physical: Bool = false) -> EventFilter {
        access(.read, range, physical)
    }

    /// Before the processor writes any byte of a range; the same accesses as for `read`.
    public static func write(_ range: ClosedRange<UInt64>, physical: Bool = false) -> EventFilter {
        access(.write, range, physical)
    }

    private static func access(
        _ kind: GuestEvent.Kind, _ range: ClosedRange<UInt64>, _ isPhysical: Bool
    ) -> EventFilter {
        var filter = EventFilter(kind, numbers: range)
        filter.isPhysical = isPhysical
        return filter
    }

    /// Before every instruction that a mnemonic of the assembler stands for, wherever it lies; nil if there is none.
    public static func instruction(_ mnemonic: String) -> EventFilter? {
        guard let patterns = InstructionPattern.named(mnemonic) else { return nil }
        var filter = EventFilter(.instruction)
        filter.patterns = patterns
        return filter
    }

    /// When the serial port has sent the last byte of a text.
    public static func console(_ text: String) -> EventFilter {
        var filter = EventFilter(.console)
        filter.consolePattern = .text(Array(text.utf8))
        return filter
    }

    /// When a function that is given each byte the serial port sends says so; `makeMatcher` begins a new search.
    public static func console(matching makeMatcher: @escaping @Sendable () -> (UInt8) -> Bool) -> EventFilter {
        var filter = EventFilter(.console)
        filter.consolePattern = .custom(makeMatcher)
        return filter
    }

    func accepts(_ key: EventKey) -> Bool {
        guard key.kind == kind else { return false }
        if let from, key.from != from { return false }
        if let to, key.to != to { return false }
        switch key.subject {
        case .number(let number): return numbers.map { $0.contains(number) } ?? true
        case .access(let access): return memoryWatch.accepts(access)
        case .instruction(let pattern): return patterns.contains { $0.accepts(pattern) }
        case .exit(let exit, let code):
            guard reason == nil || reason == exit else { return false }
            return numbers.map { range in code.map { range.contains($0) } ?? false } ?? true
        }
    }

    /// What the processor is to watch for a filter of `read` or `write`.
    var memoryWatch: MemoryWatch {
        MemoryWatch(
            isPhysical ? .physical : .linear, numbers ?? 0...UInt64.max, reads: kind == .read, writes: kind == .write)
    }

    /// The processor's events that the filter needs.
    var processorKinds: EventKinds {
        switch kind {
        case .transition: .transition
        case .exception: .exception
        case .interrupt: .interrupt
        case .io: .port
        case .msr: .modelSpecificRegister
        case .cr: .controlRegister
        case .syscall: .syscall
        case .hypercall: .hypercall
        case .halt: .halt
        case .cpuid: .cpuid
        case .exec: .execute
        case .read, .write: .memory
        case .instruction: .instruction
        // These come from a monitor, the serial port and the machine.
        case .vmexit, .vmentry, .console, .reset: []
        }
    }
}

/// What of an event filters look at; made before the event itself, which most have no need of.
struct EventKey {
    enum Subject {
        case number(UInt64)
        case access(MemoryAccess)
        case instruction(InstructionPattern)
        case exit(ExitReason, code: UInt64?)
    }

    var kind: GuestEvent.Kind
    var from: Level
    var to: Level
    var subject: Subject
}

/// What output of the serial port is waited for.
enum ConsolePattern: Sendable {
    case text([UInt8])
    case custom(@Sendable () -> (UInt8) -> Bool)

    /// A new search.
    func makeMatcher() -> (UInt8) -> Bool {
        switch self {
        case .custom(let make): return make()
        case .text(let text):
            var search = TextSearch(text)
            return { search.feed($0) }
        }
    }
}

/// Finds a text in a stream of bytes (Knuth, Morris and Pratt).
struct TextSearch {
    private let text: [UInt8]
    /// For each length that has matched, the longest shorter one that is then matched too.
    private let fallbacks: [Int]
    private var matched = 0

    init(_ text: [UInt8]) {
        self.text = text
        var fallbacks = [0]
        for index in text.indices.dropFirst() {
            var length = fallbacks[index - 1]
            while length > 0, text[length] != text[index] { length = fallbacks[length - 1] }
            fallbacks.append(text[length] == text[index] ? length + 1 : 0)
        }
        self.fallbacks = fallbacks
    }

    /// Takes the next byte; true if it completes the text.
    mutating func feed(_ byte: UInt8) -> Bool {
        guard !text.isEmpty else { return true }
        if matched == text.count { matched = fallbacks[matched - 1] }
        while matched > 0, text[matched] != byte { matched = fallbacks[matched - 1] }
        if text[matched] == byte { matched += 1 }
        return matched == text.count
    }
}
