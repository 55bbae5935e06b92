import Hypervisors
import X86Engine

/// Hears of what happens between a guest and its monitor.
final class CrossingListener: MonitorObserver {
    // SAFETY: the guest owns the listener, and the monitor that calls it.
    private unowned(unsafe) let guest: Guest
    /// The call that has left the guest, until it goes on.
    private var call: Transition.Call?

    init(_ guest: Guest) { self.guest = guest }

    func crossed(_ crossing: MonitorCrossing) -> EventVerdict {
        switch crossing.direction {
        case .exit: left(crossing)
        case .entry: entered(crossing)
        }
    }

    func notices(
        _ direction: MonitorCrossing.Direction, _ cause: MonitorCause, _ reason: ExitReason, level: UInt8
    ) -> Bool {
        // What the call was is told at the entry.
        guard reason != .hypercall, !guest.transitions.isRecording else { return false }
        let (key, transitionKey) = Self.keys(direction, cause, reason, Level(cpl: level))
        guard guest.audience(of: key) != .observed, guest.audience(of: transitionKey) != .observed else { return false }
        guest.transitions.number()
        switch direction {
        case .exit:
            guest.handlers.notice(key)
            guest.handlers.notice(transitionKey)
        case .entry:
            guest.handlers.notice(transitionKey)
            guest.handlers.notice(key)
            call = nil
        }
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

    private func left(_ crossing: MonitorCrossing) -> EventVerdict {
        call = Transition.Call(crossing) ?? (crossing.reason == .hypercall ? guest.hypercallRegisters : nil)
        let (key, transitionKey) = Self.keys(
            .exit, crossing.cause, crossing.reason, Level(cpl: crossing.guest.cpl))
        let exit = Transition.Exit(crossing)
        let place = Transition.Point(crossing)
        let root = Transition.Point(monitor: crossing.monitor, depth: place.depth - 1)
        var event = guest.makeEvent(.vmexit)
        (event.from, event.to, event.exit, event.call) = (place.level, .root, exit, call)
        switch crossing.cause {
        case .exception(let vector, let errorCode, let address):
            (event.vector, event.errorCode, event.address) = (Int(vector), errorCode, address)
        case .exit(let exit):
            if case .exception(let fault, _) = exit.cause {
                (event.vector, event.errorCode) = (Int(fault.vector), fault.errorCode)
                if fault.vector == 14 { event.address = fault.address }
            }
        case .start, .systemCall, .callOut, .branch, .hypercall, .interruption: break
        }
        event.label = crossing.text
        let transition = guest.transitions.record(
            Transition(
                sequence: 0, time: event.time, instructions: event.instructions, technique: crossing.technique,
                mechanism: .exit(crossing.text), before: place, after: root, vector: event.vector,
                errorCode: event.errorCode, address: event.address, exit: exit, call: call))
        event.transition = transition
        var verdict = EventVerdict.proceed
        if guest.handlers.accept(key) { verdict = guest.engineVerdict(guest.dispatch(event, key), on: event) }
        show(event, transitionKey)
        return verdict
    }

    private func entered(_ crossing: MonitorCrossing) -> EventVerdict {
        defer { call = nil }
        let (key, transitionKey) = Self.keys(
            .entry, crossing.cause, crossing.reason, Level(cpl: crossing.guest.cpl))
        let place = Transition.Point(crossing)
        let root = Transition.Point(monitor: crossing.monitor, depth: place.depth - 1)
        if let told = Transition.Call(crossing) {
            call = told
        } else if call != nil {
            call?.result = guest.processor.state.pointee.rax
        }
        var event = guest.makeEvent(.vmentry)
        (event.from, event.to) = (.root, place.level)
        if crossing.cause != .start { event.exit = Transition.Exit(crossing) }
        event.call = call
        event.label = crossing.text
        let transition = guest.transitions.record(
            Transition(
                sequence: 0, time: event.time, instructions: event.instructions, technique: crossing.technique,
                mechanism: .entry(crossing.text), before: root, after: place, exit: event.exit, call: call))
        event.transition = transition
        show(event, transitionKey)
        if guest.handlers.accept(key) { _ = guest.dispatch(event, key) }
        return .proceed
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
    var hypercallRegisters: Transition.Call {
        let s = processor.state.pointee
        return Transition.Call(number: s.rax, arguments: [s.rdi, s.rsi, s.rdx, s.r10, s.r8, s.r9], result: nil)
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

extension Transition.Point {
    fileprivate init(_ crossing: MonitorCrossing) {
        self.init(
            crossing.guest, physical: crossing.physical, depth: Int(crossing.depth), under: crossing.technique)
    }
}

extension Transition.Call {
    /// A call that the monitor itself knows.
    fileprivate init?(_ crossing: MonitorCrossing) {
        guard case .hypercall(let call) = crossing.cause else { return nil }
        self.init(
            number: call.number, arguments: call.arguments, result: call.result, name: call.name, failure: call.failure)
    }
}

extension Transition.Exit {
    fileprivate init(_ crossing: MonitorCrossing) {
        self.init(reason: crossing.reason, name: crossing.name)
        code = crossing.cause.code
        guard case .exit(let exit) = crossing.cause else { return }
        (qualification, information) = (exit.qualification, exit.information)
        instructionLength = Int(exit.instructionLength)
    }
}

extension MonitorCause {
    fileprivate var isStart: Bool { if case .start = self { true } else { false } }

    /// The basic exit reason, the exit code, or the vector that left the guest.
    fileprivate var code: UInt64? {
        switch self {
        case .exit(let exit): exit.code
        case .exception(let vector, _, _): UInt64(vector)
        case .start, .systemCall, .callOut, .branch, .hypercall, .interruption: nil
        }
    }
}

extension MonitorCrossing {
    /// A few words.
    fileprivate var text: String {
        let isEntry = direction == .entry
        switch cause {
        case .exit: return isEntry ? "VM entry" : "VM exit: \(name)"
        case .start: return technique.isSoftware ? "start" : "VM entry"
        case _ where isEntry: return technique.isSoftware ? "return" : "VM entry"
        case .exception(let vector, _, _):
            if vector >= 32 { return "trap: int \(hexadecimal(vector))" }
            let name = ExceptionName.short(vector)
            return reason == .pageTable || reason == .exception ? name : "\(name): \(reason.name)"
        case .systemCall: return "trap: syscall"
        case .callOut: return "call-out: \(reason.name)"
        case .branch: return "call-out: branch"
        case .hypercall(let call): return "hypercall: \(call.name)"
        case .interruption:
            return technique.isSoftware ? "interruption: \(reason.name)" : "VM exit: externalInterrupt"
        }
    }
}
