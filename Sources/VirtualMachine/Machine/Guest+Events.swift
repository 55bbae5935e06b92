import X86Engine

/// Which events a handler or a run waits for; what is nil matches anything.
public struct EventFilter: Sendable {
    /// The kind of event.
    public var kind: GuestEvent.Kind
    /// The level before a transition, or at which the event happens.
    public var from: Level?
    /// The level after a transition.
    public var to: Level?
    /// Vectors of exceptions and interrupts; ports, MSR indices, control-register numbers, hypercall and system-call
    /// numbers (RAX).
    public var numbers: ClosedRange<UInt64>?

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

    /// An exception before its delivery.
    public static func exception(_ vector: UInt8? = nil) -> EventFilter {
        EventFilter(.exception, numbers: vector.map { UInt64($0)...UInt64($0) })
    }

    /// Before the instruction at a linear address.
    public static func exec(_ address: UInt64) -> EventFilter { EventFilter(.exec, numbers: address...address) }

    func accepts(_ event: GuestEvent) -> Bool {
        guard event.kind == kind else { return false }
        if let from, event.from != from { return false }
        if let to, event.to != to { return false }
        if let numbers, !numbers.contains(event.number) { return false }
        return true
    }
}

extension GuestEvent {
    /// What `EventFilter.numbers` compares with.
    var number: UInt64 {
        switch kind {
        case .exception, .interrupt: UInt64(vector ?? 0)
        case .io, .msr, .cr, .exec: address ?? 0
        case .syscall, .hypercall: value ?? 0
        case .transition, .halt, .cpuid, .console, .reset: value ?? 0
        }
    }
}

/// What a handler decides.
public enum Verdict: Equatable, Sendable {
    /// As if nobody had watched.
    case proceed
    /// The instruction is done without its effect.
    case skip
    /// The instruction's result is this value.
    case reply(UInt64)
    /// An exception instead, with its error code.
    case inject(vector: UInt8, errorCode: UInt32?)
}

/// Names an installed handler.
public struct HandlerID: Hashable, Sendable {
    let rawValue: UInt64
}

/// The handlers of a guest, in order of installation.
final class HandlerTable {
    struct Entry {
        var id: HandlerID
        var filter: EventFilter
        var body: (GuestEvent) -> Verdict
    }

    private(set) var entries: [Entry] = []
    private var next: UInt64 = 1

    func add(_ filter: EventFilter, _ body: @escaping (GuestEvent) -> Verdict) -> HandlerID {
        defer { next += 1 }
        entries.append(Entry(id: HandlerID(rawValue: next), filter: filter, body: body))
        return HandlerID(rawValue: next)
    }

    func remove(_ id: HandlerID) { entries.removeAll { $0.id == id } }

    /// Calls every handler that accepts the event; the first verdict other than `proceed` counts.
    func dispatch(_ event: GuestEvent) -> Verdict {
        var verdict = Verdict.proceed
        for entry in entries where entry.filter.accepts(event) {
            let answer = entry.body(event)
            if verdict == .proceed { verdict = answer }
        }
        return verdict
    }

    /// The addresses whose execution is waited for.
    var watchedAddresses: Set<UInt64> {
        Set(entries.compactMap { $0.filter.kind == .exec ? $0.filter.numbers?.lowerBound : nil })
    }

    /// The kinds that the processor must report.
    var kinds: EventKinds {
        entries.reduce(into: []) { $0.insert($1.filter.kind.processorKinds) }
    }
}

extension GuestEvent.Kind {
    var processorKinds: EventKinds {
        switch self {
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
        case .console, .reset: []
        }
    }
}

extension Guest {
    /// Installs a handler; it takes effect before the next instruction and never changes what the guest sees unless
    /// its verdict says so.
    public func on(_ filter: EventFilter, _ body: @escaping (GuestEvent) -> Verdict) -> HandlerID {
        defer { handlersChanged() }
        return handlers.add(filter, body)
    }

    /// Removes a handler.
    public func off(_ id: HandlerID) {
        handlers.remove(id)
        handlersChanged()
    }

    /// Tells the processor what to report.
    func handlersChanged() {
        var kinds = handlers.kinds
        if transitions.isRecording { kinds.insert(.transition) }
        processor.watched = kinds
        processor.watchedAddresses = handlers.watchedAddresses
        platform.observer = kinds.isEmpty ? nil : { [weak self] in self?.observe($0) ?? .proceed }
    }

    private func observe(_ event: ProcessorEvent) -> EventVerdict {
        var seen: GuestEvent
        switch event {
        case .transition(let record):
            let transition = transitions.record(record)
            seen = makeEvent(.transition)
            seen.rip = record.after.rip
            seen.from = transition.before.level
            seen.to = transition.after.level
            seen.cause = transition.cause
            seen.vector = transition.vector
            seen.errorCode = transition.errorCode
            seen.address = transition.address
            seen.transition = transition
        case .exception(let fault):
            seen = makeEvent(.exception)
            seen.cause = ExceptionName.short(fault.vector)
            seen.vector = Int(fault.vector)
            seen.errorCode = fault.errorCode
            if fault.vector == 14 { seen.address = fault.address }
        case .interrupt(let vector):
            seen = makeEvent(.interrupt)
            seen.cause = "interrupt \(hexadecimal(vector))"
            seen.vector = Int(vector)
        case .portRead(let port, let width):
            seen = makeEvent(.io)
            (seen.address, seen.size, seen.isRead) = (UInt64(port), width, true)
        case .portWrite(let port, let value, let width):
            seen = makeEvent(.io)
            (seen.address, seen.value, seen.size) = (UInt64(port), UInt64(value), width)
        case .readModelSpecificRegister(let index):
            seen = makeEvent(.msr)
            (seen.address, seen.isRead) = (UInt64(index), true)
        case .writeModelSpecificRegister(let index, let value):
            seen = makeEvent(.msr)
            (seen.address, seen.value) = (UInt64(index), value)
        case .writeControlRegister(let number, let value):
            seen = makeEvent(.cr)
            (seen.address, seen.value) = (UInt64(number), value)
        case .syscall:
            seen = makeEvent(.syscall)
            seen.value = processor.state.pointee.rax
        case .hypercall:
            seen = makeEvent(.hypercall)
            seen.value = processor.state.pointee.rax
        case .halt: seen = makeEvent(.halt)
        case .cpuid(let leaf, _):
            seen = makeEvent(.cpuid)
            seen.value = UInt64(leaf)
        case .execute(let address):
            seen = makeEvent(.exec)
            seen.address = address
        case .memory, .instruction: return .proceed
        }
        switch handlers.dispatch(seen) {
        case .proceed: return .proceed
        case .skip: return .skip
        case .reply(let value): return .reply(value)
        case .inject(let vector, let errorCode): return .inject(Fault(vector: vector, errorCode: errorCode))
        }
    }

    func makeEvent(_ kind: GuestEvent.Kind) -> GuestEvent {
        let level = Level(cpl: processor.state.pointee.cpl)
        return GuestEvent(
            kind: kind, time: time, instructions: instructions, rip: processor.state.pointee.rip, from: level,
            to: level)
    }
}
