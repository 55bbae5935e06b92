import X86
import X86Engine

extension Guest {
    /// Installs a handler; it takes effect before the next instruction and never changes what the guest sees unless
    /// its verdict says so.
    ///
    /// Several handlers of one event run in the order of their installation; the first verdict other than `proceed`
    /// counts. A verdict that makes no sense for the event (`GuestEvent.objection(to:)`) ends the run with that text.
    public func on(_ filter: EventFilter, _ body: @escaping (GuestEvent) -> Verdict) -> HandlerID {
        // What it will do is not in the past.
        if let effects, effects.isPast(instructions) { effects.diverge(at: instructions) }
        defer { handlersChanged() }
        return handlers.add(filter, isObserver: false, body)
    }

    /// Installs a handler that neither looks at its event nor answers it, which makes it much cheaper.
    package func onNotice(_ filter: EventFilter, _ body: @escaping () -> Void) -> HandlerID {
        if let effects, effects.isPast(instructions) { effects.diverge(at: instructions) }
        defer { handlersChanged() }
        return handlers.add(filter, isObserver: false, notice: body) { _ in
            body()
            return .proceed
        }
    }

    /// Installs a handler that looks on: it changes nothing but may stop the run, and hears the past again when the
    /// guest goes through it again.
    package func observe(_ filter: EventFilter, _ body: @escaping (GuestEvent) -> Verdict) -> HandlerID {
        defer { handlersChanged() }
        return handlers.add(filter, isObserver: true, body)
    }

    /// Installs many handlers that look on, at the cost of one.
    package func observe(_ observers: [(filter: EventFilter, body: (GuestEvent) -> Verdict)]) -> [HandlerID] {
        defer { handlersChanged() }
        return handlers.addObservers(observers)
    }

    /// Removes a handler.
    public func off(_ id: HandlerID) { off([id]) }

    /// Removes many handlers, at the cost of one.
    package func off(_ ids: [HandlerID]) {
        guard !ids.isEmpty else { return }
        handlers.remove(Set(ids))
        handlersChanged()
    }

    /// Tells the processor what to report.
    func handlersChanged() {
        var kinds = handlers.kinds
        if transitions.isRecording { kinds.insert(.transition) }
        processor.watched = kinds
        processor.watchedInstructions = handlers.watchedInstructions
        processor.watchedMemory = handlers.watchedMemory
        let listens = transitions.isRecording || handlers.watchesCrossings
        monitor?.observer = listens ? crossingListener : nil
        crossingListener.table =
            listens && !transitions.isRecording
            ? CrossingTable(handlers.entries, areKept: effects != nil, transitions) : nil
        // While a history is kept, it has what all handlers did.
        platform.setNotices(
            effects != nil
                ? nil
                : NoticeTable(
                    handlers.entries, observed: transitions.isRecording ? .transition : [], transitions, processor))
        // SAFETY: the guest owns the platform, and the processor that calls it.
        platform.observer = kinds.isEmpty ? nil : { [unowned(unsafe) self] in observe($0) }
    }

    /// Who waits for an event; all its handlers look at it while a history is kept, which has what they did.
    func audience(of key: EventKey) -> HandlerTable.Audience {
        if effects != nil { return handlers.accept(key) ? .observed : .nobody }
        return handlers.audience(of: key)
    }

    /// Shows an event to its handlers.
    private func observe(_ event: ProcessorEvent) -> EventVerdict {
        let key = key(of: event)
        let audience = audience(of: key)
        var transition: Transition?
        if case .transition(let record) = event {
            if transitions.isRecording || audience == .observed {
                let kept = transitions.keep(kept(record))
                if audience == .observed { transition = transitions.transition(kept, nil) }
            } else {
                transitions.number()
            }
        }
        switch audience {
        case .nobody: return .proceed
        case .noticed:
            handlers.notice(key)
            return .proceed
        case .observed: return show(event, key, transition)
        }
    }

    @inline(never)
    private func show(_ event: ProcessorEvent, _ key: EventKey, _ transition: Transition?) -> EventVerdict {
        var seen = makeEvent(event, key)
        if let transition {
            seen.transition = transition
            (seen.time, seen.instructions) = (transition.time, transition.instructions)
        }
        return engineVerdict(dispatch(seen, key), on: seen)
    }

    /// Calls every handler that accepts an event; the first verdict other than `proceed` counts.
    func dispatch(_ event: GuestEvent, _ key: EventKey) -> Verdict {
        var verdict = Verdict.proceed
        for entry in handlers.entries where entry.accepts(key) && entry.isInstalled {
            let answer = decision(of: entry, on: event)
            if case .stop(let why) = answer {
                requestStop(.stopped, why, event)
            } else if let objection = event.objection(to: answer) {
                requestStop(.stopped, objection, event)
            } else if verdict == .proceed {
                verdict = answer
            }
        }
        return verdict
    }

    /// Shows an event that the processor does not report to its handlers: a monitor's, or the machine's.
    package func dispatch(_ event: GuestEvent) -> Verdict {
        let number =
            switch event.kind {
            case .exception, .interrupt: UInt64(event.vector ?? 0)
            case .io, .msr, .cr, .exec, .read, .write: event.address ?? 0
            case .vmexit, .vmentry: event.exit?.code ?? 0
            case .syscall, .hypercall, .cpuid, .transition, .halt, .instruction, .console, .reset: event.value ?? 0
            }
        let key = EventKey(kind: event.kind, from: event.from, to: event.to, subject: .number(number))
        switch audience(of: key) {
        case .nobody: return .proceed
        case .noticed:
            handlers.notice(key)
            return .proceed
        case .observed: return dispatch(event, key)
        }
    }

    /// Shows a byte of the serial port's output to the handlers of `console`.
    func consoleReceived(_ byte: UInt8) {
        guard handlers.watchesConsole else { return }
        for entry in handlers.entries {
            guard let matcher = entry.consoleMatcher, entry.isInstalled, matcher(byte) else { continue }
            if effects == nil, let notice = entry.notice {
                notice()
                continue
            }
            var event = makeEvent(.console)
            event.value = UInt64(byte)
            let answer = decision(of: entry, on: event)
            if case .stop(let why) = answer {
                requestStop(.stopped, why, event)
            } else if let objection = event.objection(to: answer) {
                requestStop(.stopped, objection, event)
            }
        }
    }

    /// What a handler decides, or has decided when this happened for the first time.
    private func decision(of entry: HandlerTable.Entry, on event: GuestEvent) -> Verdict {
        guard !entry.isObserver, let effects else { return entry.body(event) }
        return effects.verdict(of: entry.id, entry.filter, at: instructions, in: self) { entry.body(event) }
    }

    /// What filters look at.
    private func key(of event: ProcessorEvent) -> EventKey {
        let level = Level(cpl: processor.state.pointee.cpl)
        func key(_ kind: GuestEvent.Kind, _ subject: EventKey.Subject) -> EventKey {
            EventKey(kind: kind, from: level, to: level, subject: subject)
        }
        switch event {
        case .transition(let record):
            return EventKey(
                kind: .transition, from: Level(cpl: record.before.cpl), to: Level(cpl: record.after.cpl),
                subject: .number(0))
        case .exception(let fault): return key(.exception, .number(UInt64(fault.vector)))
        case .interrupt(let vector): return key(.interrupt, .number(UInt64(vector)))
        case .portRead(let port, _), .portWrite(let port, _, _): return key(.io, .number(UInt64(port)))
        case .readModelSpecificRegister(let index), .writeModelSpecificRegister(let index, _):
            return key(.msr, .number(UInt64(index)))
        case .writeControlRegister(let number, _): return key(.cr, .number(UInt64(number)))
        case .syscall: return key(.syscall, .number(processor.state.pointee.rax))
        case .hypercall: return key(.hypercall, .number(processor.state.pointee.rax))
        case .halt: return key(.halt, .number(0))
        case .cpuid(let leaf, _): return key(.cpuid, .number(UInt64(leaf)))
        case .execute(let address): return key(.exec, .number(address))
        case .memory(let access): return key(access.isWrite ? .write : .read, .access(access))
        case .instruction(let pattern): return key(.instruction, .instruction(pattern))
        }
    }

    /// The event as handlers see it, but for its transition.
    private func makeEvent(_ event: ProcessorEvent, _ key: EventKey) -> GuestEvent {
        var seen = makeEvent(key.kind)
        seen.from = key.from
        seen.to = key.to
        switch event {
        case .transition(let record):
            seen.rip = record.after.rip
            seen.vector = record.cause.vector
            seen.errorCode = record.cause.errorCode
            seen.address = record.address
        case .exception(let fault):
            seen.vector = Int(fault.vector)
            seen.errorCode = fault.errorCode
            if fault.vector == 14 { seen.address = fault.address }
        case .interrupt(let vector): seen.vector = Int(vector)
        case .portRead(let port, let width):
            (seen.address, seen.size, seen.isRead) = (UInt64(port), width, true)
        case .portWrite(let port, let value, let width):
            (seen.address, seen.value, seen.size) = (UInt64(port), UInt64(value), width)
        case .readModelSpecificRegister(let index): (seen.address, seen.isRead) = (UInt64(index), true)
        case .writeModelSpecificRegister(let index, let value): (seen.address, seen.value) = (UInt64(index), value)
        case .writeControlRegister(let number, let value): (seen.address, seen.value) = (UInt64(number), value)
        case .syscall: seen.value = processor.state.pointee.rax
        case .hypercall: (seen.value, seen.call) = (processor.state.pointee.rax, Transition.Call(callRegisters))
        case .cpuid(let leaf, _): seen.value = UInt64(leaf)
        case .execute(let address): seen.address = address
        case .memory(let access):
            (seen.address, seen.physicalAddress) = (access.linear, access.physical)
            (seen.value, seen.size, seen.isRead) = (access.value, access.width, !access.isWrite)
        case .instruction(let pattern): seen.label = "\(pattern.operation)"
        case .halt: break
        }
        return seen
    }

    /// An event of a kind, here and now.
    package func makeEvent(_ kind: GuestEvent.Kind) -> GuestEvent {
        let level = Level(cpl: processor.state.pointee.cpl)
        return GuestEvent(
            kind: kind, time: time, instructions: instructions, rip: processor.state.pointee.rip, from: level,
            to: level)
    }
}
