import VirtualMachine

/// The commands that make a guest run backwards.
enum BackCommands {
    static let all: [Command] = [
        Command(
            "rs", ["[count]"], "Steps back; what a script's handlers printed is not printed again.",
            method: "guest.restore(snapshot)", group: .back, repeats: true
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let count = try invocation.count()
            let now = target.guest.instructions
            try repl.goingBack(target) { () throws(CommandFailure) in
                try repl.goBack(target, to: now - min(count, now))
            }
        },
        Command(
            "rn", ["[count]"], "Steps back, over calls and over trips to a more privileged level.",
            method: "guest.restore(snapshot)", group: .back, repeats: true
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            defer { repl.recordRecall(target) }
            let count = try invocation.count()
            try repl.goingBack(target) { () throws(CommandFailure) in
                for _ in 0..<count { try repl.previous(target) }
            }
            repl.showPlace(target, undone: [])
        },
        Command(
            "rc", "Goes back to the last time that a stop point was met.", method: "guest.restore(snapshot)",
            group: .back, repeats: true
        ) { repl, invocation throws(CommandFailure) in
            try invocation.expectNone()
            let target = try repl.guest()
            try repl.goingBack(target) { () throws(CommandFailure) in try repl.continueBack(target) }
        },
        Command(
            "rcross", ["[a->b | exit | entry]"], "Goes back to before the last change of privilege level.",
            method: "guest.restore(snapshot)", group: .back, repeats: true, argument: .transition
        ) { repl, invocation throws(CommandFailure) in
            let (target, filter) = (try repl.guest(), try repl.transitionFilter(invocation.arguments))
            try repl.goingBack(target) { () throws(CommandFailure) in try repl.crossBack(target, filter) }
        },
        Command(
            "goto", ["INSTRUCTION"], "Goes to the moment when so many instructions had been executed.",
            method: "guest.restore(snapshot)", group: .back
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            guard let position = Numbers.parse(invocation.arguments) else {
                throw CommandFailure("`goto` needs the number of an instruction")
            }
            try repl.goingBack(target) { () throws(CommandFailure) in try repl.goBack(target, to: position) }
        },
    ]
}

extension REPL {
    /// What long ways ask now and then.
    private var checkpoint: () -> Bool { { Checkpoint.isPassed } }

    /// The same for ways that may lead into the future, where handlers are called and may fail.
    private func checkpoint(_ target: DebuggedGuest) -> () -> Bool {
        { [self] in Checkpoint.isPassed && !tellFailure(of: target) }
    }

    /// Goes a long way through the past; if that is interrupted, the guest is where it was before.
    func goingBack(
        _ target: DebuggedGuest, _ body: () throws(CommandFailure) -> Void
    ) throws(CommandFailure) {
        let now = target.guest.instructions
        // From here the way back is none.
        target.history.keepPresent()
        do throws(CommandFailure) { try body() } catch {
            guard !Checkpoint.isPassed else { throw error }
            target.history.go(to: now)
            recordRecall(target)
            throw CommandFailure("\(Interrupted.text): the guest is where it was, at \(place(target))")
        }
    }

    private func place(_ target: DebuggedGuest) -> String {
        "instruction \(Numbers.grouped(target.guest.instructions))"
    }

    /// A way that has not come to its end: only forwards there may be one before what was asked for.
    private func cutShort(_ target: DebuggedGuest) -> CommandFailure {
        CommandFailure("the guest does not come so far: it ends at \(place(target))")
    }

    /// Brings a guest to a moment and shows what is undone by that.
    func goBack(_ target: DebuggedGuest, to position: UInt64) throws(CommandFailure) {
        let history = target.history
        guard position >= history.start else {
            throw CommandFailure(
                "the history begins at instruction \(Numbers.grouped(history.start))",
                notes: ["`info history` tells about it"])
        }
        let known = target.guest.transitions.rows(last: 64)
        defer { recordRecall(target) }
        guard history.go(to: position, checkpoint: checkpoint(target)) else { throw cutShort(target) }
        let now = target.guest.instructions
        showPlace(target, undone: known.filter { $0.start >= now }.suffix(8).reversed())
    }

    /// Shows the transitions that have been undone, the last first, and where the guest is.
    func showPlace(_ target: DebuggedGuest, undone: some Sequence<Transition>, showsPlace: Bool = true) {
        continuation = Continuation()
        var lines = undone.map { transition in
            TransitionView.heading(
                from: transition.before.level, to: transition.after.level,
                TransitionView(guest: target).title(transition),
                sequence: transition.sequence, isUndone: true)
        }
        if showsPlace { lines.append(PlaceView(guest: target).current()) }
        target.stopped(target.guest.standing)
        output(
            .stop(
                StopReport(target, target.guest.standing, reason: nil, transitions: [], lines: lines)))
    }

    func crossBack(_ target: DebuggedGuest, _ filter: EventFilter) throws(CommandFailure) {
        let history = target.history
        let now = target.guest.instructions
        defer { recordRecall(target) }
        guard let found = history.lastEvent(before: now, matching: [filter], checkpoint: checkpoint),
            let transition = found.event.transition
        else {
            if Checkpoint.isPassed { history.go(to: now) }
            throw CommandFailure(
                "there is no such change of level since instruction \(Numbers.grouped(history.start))")
        }
        guard history.go(to: found.event.start, checkpoint: checkpoint) else { throw cutShort(target) }
        showPlace(target, undone: [transition], showsPlace: false)
    }

    func continueBack(_ target: DebuggedGuest) throws(CommandFailure) {
        let history = target.history
        let now = target.guest.instructions
        defer { recordRecall(target) }
        var points: [StopPoint] = []
        var filters: [EventFilter] = []
        for point in target.stopPoints where point.isEnabled {
            for filter in point.filters {
                points.append(point)
                filters.append(filter)
            }
        }
        let found = history.lastEvent(before: now, matching: filters, checkpoint: checkpoint) { [self] index, event in
            guard let condition = points[index].condition else { return true }
            if case .holds(true) = scope.holds(SourceFileMaker.input(condition), at: event, in: target.guest) {
                return true
            }
            return false
        }
        guard Checkpoint.isPassed else { throw cutShort(target) }
        guard history.go(to: found?.event.start ?? history.start, checkpoint: checkpoint) else {
            throw cutShort(target)
        }
        target.stopped(target.guest.standing)
        continuation = Continuation()
        let reason = found.map { points[$0.filter].title } ?? "the beginning of the history"
        output(.stop(StopReport(target, target.guest.standing, reason: reason, transitions: [])))
    }

    /// One instruction back, with everything it called and every trip it made to a more privileged level.
    func previous(_ target: DebuggedGuest) throws(CommandFailure) {
        let history = target.history
        let frame = Frame(target.guest)
        let now = target.guest.instructions
        guard now > history.start else { throw CommandFailure("this is the beginning of the history") }
        guard history.go(to: now - 1, checkpoint: checkpoint) else { throw cutShort(target) }
        let before = Frame(target.guest)
        guard before.ring < frame.ring || (before.ring == frame.ring && before.rsp < frame.rsp && isReturn(target))
        else {
            return
        }
        // The instruction that led away lies directly before the one that was come back to: it has 2 to 7 bytes, or it
        // is the same one again, after a fault or an interrupt.
        let filters = (0...7).map { EventFilter.exec(frame.rip &- UInt64($0)) }
        let found = history.lastEvent(before: now - 1, matching: filters, checkpoint: checkpoint) { _, event in
            event.from.rawValue == frame.ring && target.guest.cpu["rsp"] == frame.rsp
                && frame.isSameThread(target.guest)
        }
        guard Checkpoint.isPassed else { throw cutShort(target) }
        guard history.go(to: found?.event.start ?? now - 1, checkpoint: checkpoint) else {
            throw cutShort(target)
        }
    }

    private func isReturn(_ target: DebuggedGuest) -> Bool {
        target.decode(at: target.guest.cpu.rip)?.operation.map { Self.returns.contains($0) } ?? false
    }
}
