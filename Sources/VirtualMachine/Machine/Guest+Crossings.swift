import Hypervisors
import X86Engine

/// Hears of what happens between a guest and its monitor.
final class CrossingListener: MonitorObserver {
    // SAFETY: the guest owns the listener, and the monitor that calls it.
    private unowned(unsafe) let guest: Guest
    private unowned(unsafe) let transitions: TransitionLog
    /// Handlers that do not look at crossings; nil while all crossings are recorded.
    @exclusivity(unchecked) var table: CrossingTable?
    /// The call that has left the guest, until it goes on.
    private var call: Transition.Call? {
        didSet { isCalling = call != nil }
    }
    /// Whether there is one, without a copy of it.
    @exclusivity(unchecked) private var isCalling = false
    /// The number of the exit whose reason is told later, and what a call to the hypervisor would have in its registers.
    private var unexplained: (number: UInt64, registers: CallRegisters)?

    init(_ guest: Guest) {
        self.guest = guest
        transitions = guest.transitions
    }

    func crossed(_ crossing: MonitorCrossing) -> EventVerdict {
        switch crossing.direction {
        case .exit: left(crossing)
        case .entry: entered(crossing)
        }
    }

    func notices(
        _ direction: MonitorCrossing.Direction, _ reason: ExitReason, level: UInt8, code: () -> UInt64?
    ) -> Bool {
        // What the call was is told at the entry.
        if case .hypercall = reason { return false }
        guard let table, table.take(direction, reason, level: level, code: code) else { return false }
        if case .entry = direction, isCalling { call = nil }
        return true
    }

    /// What filters look at: of the exit or entry, and of the transition that it is.
    private static func keys(
        _ direction: MonitorCrossing.Direction, _ cause: MonitorCause, _ reason: ExitReason, _ level: Level
    ) -> (crossing: EventKey, transition: EventKey) {
        switch direction {
        case .exit:
            (
                EventKey(kind: .vmexit, from: level, to: .root, subject: .exit(reason, code: cause.code)),
                EventKey(kind: .transition, from: level, to: .root, subject: .number(0))
            )
        case .entry:
            (
                EventKey(
                    kind: .vmentry, from: .root, to: level,
                    subject: cause.isStart ? .number(0) : .exit(reason, code: cause.code)),
                EventKey(kind: .transition, from: .root, to: level, subject: .number(0))
            )
        }
    }

    func keeps(_ record: TransitionRecord, time: UInt64) -> Bool {
        guard guest.transitions.isRecording, !guest.handlers.watchesTransitions else { return false }
        let instructions = time &- guest.processor.state.pointee.idleTime
        _ = guest.transitions.keep(guest.kept(record, time: time, instructions: instructions))
        return true
    }

    var needsReasons: Bool { guest.handlers.watchesCrossings }

    func explained(_ reason: ExitReason) {
        guard let exit = unexplained else { return }
        unexplained = nil
        if reason == .hypercall { call = Transition.Call(exit.registers) }
        guest.transitions.explain(exit.number, reason, call)
    }

    private func left(_ crossing: MonitorCrossing) -> EventVerdict {
        call = Transition.Call(crossing)
        if crossing.reason == .hypercall, call == nil { call = Transition.Call(guest.callRegisters) }
        let kept = keep(crossing)
        unexplained = crossing.isExplained ? nil : (kept.sequence, guest.callRegisters)
        guard guest.handlers.watchesCrossings else { return .proceed }
        let (key, transitionKey) = Self.keys(.exit, crossing.cause, crossing.reason, Level(cpl: crossing.guest.cpl))
        let event = makeEvent(.vmexit, guest.transitions.transition(kept, call))
        var verdict = EventVerdict.proceed
        if guest.handlers.accept(key) { verdict = guest.engineVerdict(guest.dispatch(event, key), on: event) }
        show(event, transitionKey)
        return verdict
    }

    private func entered(_ crossing: MonitorCrossing) -> EventVerdict {
        defer { call = nil }
        if let told = Transition.Call(crossing) {
            call = told
        } else if call != nil {
            call?.result = guest.processor.state.pointee.rax
        }
        let kept = keep(crossing)
        guard guest.handlers.watchesCrossings else { return .proceed }
        let (key, transitionKey) = Self.keys(.entry, crossing.cause, crossing.reason, Level(cpl: crossing.guest.cpl))
        let event = makeEvent(.vmentry, guest.transitions.transition(kept, call))
        show(event, transitionKey)
        if guest.handlers.accept(key) { _ = guest.dispatch(event, key) }
        return .proceed
    }

    private func keep(_ crossing: MonitorCrossing) -> KeptTransition {
        guest.transitions.keep(
            KeptTransition(
                time: guest.time, instructions: guest.instructions, technique: crossing.technique,
                occurrence: .crossing(KeptCrossing(crossing))), call)
    }

    /// The event that a transition is.
    private func makeEvent(_ kind: GuestEvent.Kind, _ transition: Transition) -> GuestEvent {
        var event = guest.makeEvent(kind)
        (event.from, event.to) = (transition.before.level, transition.after.level)
        (event.vector, event.errorCode, event.address) = (
            transition.vector, transition.errorCode, transition.address
        )
        (event.exit, event.call, event.label) = (transition.exit, transition.call, transition.cause)
        event.transition = transition
        return event
    }

    /// Shows a transition to those who wait for any.
    private func show(_ event: GuestEvent, _ key: EventKey) {
        guard guest.handlers.accept(key) else { return }
        var event = event
        event.kind = .transition
        _ = guest.dispatch(event, key)
    }
}

extension Guest {
    /// What is in the registers of a call to the hypervisor.
    var callRegisters: CallRegisters {
        let s = processor.state
        return CallRegisters(
            rax: s.pointee.rax, rdi: s.pointee.rdi, rsi: s.pointee.rsi, rdx: s.pointee.rdx, r10: s.pointee.r10,
            r8: s.pointee.r8, r9: s.pointee.r9)
    }

    /// What the engine is to do for a handler's verdict.
    func engineVerdict(_ verdict: Verdict, on event: GuestEvent) -> EventVerdict {
        switch verdict {
        case .proceed, .stop: return .proceed
        case .skip: return .skip
        case .reply(let value): return .reply(value)
        case .inject(let vector, let errorCode):
            let pushed = ExceptionName.pushingErrorCode.contains(vector) ? errorCode ?? 0 : nil
            return .inject(Fault(vector: vector, errorCode: pushed, address: event.address ?? 0))
        }
    }
}

/// The registers in which a call has its number and its arguments.
struct CallRegisters {
    var rax, rdi, rsi, rdx, r10, r8, r9: UInt64
}

extension Transition.Call {
    /// A call of which only the registers are known.
    init(_ s: CallRegisters) {
        self.init(number: s.rax, arguments: [s.rdi, s.rsi, s.rdx, s.r10, s.r8, s.r9], result: nil)
    }

    /// A call that the monitor itself knows.
    fileprivate init?(_ crossing: MonitorCrossing) {
        guard case .hypercall(let call) = crossing.cause else { return nil }
        self.init(
            number: call.number, arguments: call.arguments, result: call.result, name: call.name, failure: call.failure)
    }
}

extension MonitorCause {
    fileprivate var isStart: Bool { if case .start = self { true } else { false } }
}
