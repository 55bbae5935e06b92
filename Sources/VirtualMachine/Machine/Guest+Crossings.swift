import Hypervisors
import X86Engine

/// Hears of what happens between a guest and its monitor.
final class CrossingListener: MonitorObserver {
    private unowned let guest: Guest
    /// The call that has left the guest, until it goes on.
    private var call: Transition.Call?

    init(_ guest: Guest) { self.guest = guest }

    func crossed(_ crossing: MonitorCrossing) -> EventVerdict {
        switch crossing.direction {
        case .exit: left(crossing)
        case .entry: entered(crossing)
        }
    }

    private func left(_ crossing: MonitorCrossing) -> EventVerdict {
        let exit = Transition.Exit(crossing)
        call = Transition.Call(crossing) ?? (exit.reason == .hypercall ? guest.hypercallRegisters : nil)
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
        let key = EventKey(kind: .vmexit, from: event.from, to: .root, subject: .exit(exit))
        if guest.handlers.accept(key) { verdict = guest.engineVerdict(guest.dispatch(event, key), on: event) }
        show(transition, event)
        return verdict
    }

    private func entered(_ crossing: MonitorCrossing) -> EventVerdict {
        let place = Transition.Point(crossing)
        let root = Transition.Point(monitor: crossing.monitor, depth: place.depth - 1)
        if let told = Transition.Call(crossing) {
            call = told
        } else if call != nil {
            call?.result = guest.processor.state.pointee.rax
        }
        defer { call = nil }
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
        show(transition, event)
        let key = EventKey(
            kind: .vmentry, from: .root, to: event.to, subject: event.exit.map { .exit($0) } ?? .number(0))
        if guest.handlers.accept(key) { _ = guest.dispatch(event, key) }
        return .proceed
    }

    /// Shows a transition to those who wait for any.
    private func show(_ transition: Transition, _ event: GuestEvent) {
        let key = EventKey(kind: .transition, from: event.from, to: event.to, subject: .number(0))
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
        switch crossing.cause {
        case .exit(let exit):
            (code, qualification, information) = (exit.code, exit.qualification, exit.information)
            instructionLength = Int(exit.instructionLength)
        case .exception(let vector, _, _): code = UInt64(vector)
        case .start, .systemCall, .callOut, .branch, .hypercall, .interruption: break
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
