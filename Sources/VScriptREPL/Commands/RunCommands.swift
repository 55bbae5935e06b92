import VirtualMachine

/// The commands that make a guest run forwards.
enum RunCommands {
    static let all: [Command] = [
        Command(
            "run r", "Runs the guest from its beginning.", method: "guest.run()", group: .run, repeats: false
        ) { repl, invocation throws(CommandFailure) in
            try invocation.expectNone()
            let target = try repl.guest()
            guard target.guest.instructions == 0 else {
                throw CommandFailure(
                    "`\(target.name)` has run already", notes: ["`c` goes on, `reset` begins anew"])
            }
            let departure = repl.departure(target)
            let result = repl.run(target, passesCurrent: false)
            repl.recordRun(target, departure, as: "\(target.name).run()", isExact: departure.endsAtStopPoints)
            repl.report(target, result, transitions: result.shownAfterRun)
        },
        Command(
            "step s si stepi", ["[count]"], "Executes instructions, through system calls, faults, exits and entries.",
            method: "guest.step(count)", group: .run, repeats: true
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let count = try invocation.count()
            let departure = repl.departure(target)
            let result = repl.step(target, count)
            repl.recordRun(
                target, departure, as: "\(target.name).step(\(count == 1 ? "" : String(count)))",
                isExact: !departure.hasStopPoints && departure.isSame && target.guest.monitor == nil)
            repl.report(target, result, showsReason: false)
        },
        Command(
            "next n ni nexti", ["[count]"],
            "Executes instructions, each with what it calls and with every trip to a more privileged level.",
            method: "guest.run(until: guest.exec(address))", group: .run, repeats: true
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            var result = RunResult(target.guest)
            let count = try invocation.count()
            let departure = repl.departure(target)
            for _ in 0..<count {
                result = repl.next(target)
                if result.isUnexpected { break }
            }
            repl.recordRun(target, departure)
            repl.report(target, result, showsReason: false)
        },
        Command(
            "finish fin", "Runs until the current function has returned, or the processor to a less privileged level.",
            method: "guest.run(until: guest.exec(address))", group: .run
        ) { repl, invocation throws(CommandFailure) in
            try invocation.expectNone()
            let target = try repl.guest()
            let departure = repl.departure(target)
            let result = repl.finish(target)
            repl.recordRun(target, departure)
            repl.report(target, result, showsReason: false)
            if !result.isUnexpected, let value = target.guest.cpu["rax"] {
                repl.output(.text("   rax \(Numbers.hex(value))"))
            }
        },
        Command(
            "until", ["LOCATION"], "Runs until a place is reached.", method: "guest.run(until: guest.exec(address))",
            group: .run, argument: .location
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            guard !invocation.arguments.isEmpty else { throw CommandFailure("`until` needs a place") }
            let address = try repl.location(invocation.arguments, in: target)
            let departure = repl.departure(target)
            let result = repl.run(target, until: .exec(address))
            repl.recordRun(
                target, departure, as: "\(target.name).run(until: \(target.name).exec(\(Numbers.hex(address))))",
                isExact: !departure.hasStopPoints && departure.isSame)
            repl.report(target, result, showsReason: result.isUnexpected)
        },
        Command(
            "continue c", ["[count]"], "Goes on until a stop point, or the count-th of them.", method: "guest.run()",
            group: .run, repeats: true
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            var result = RunResult(target.guest)
            let count = try invocation.count()
            let departure = repl.departure(target)
            for _ in 0..<count {
                result = repl.run(target)
                guard !result.points.isEmpty else { break }
            }
            repl.recordRun(
                target, departure, as: "\(target.name).run()", isExact: count == 1 && departure.endsAtStopPoints)
            repl.report(target, result, transitions: result.shownAfterRun)
        },
        Command(
            "cross", ["[a->b | exit | entry]"], "Runs to the next change of privilege level.",
            method: "guest.run(until: guest.transition(from: a, to: b))", group: .run, repeats: true,
            argument: .transition
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let filter = try repl.transitionFilter(invocation.arguments)
            let parts = [filter.from.map { "from: \($0.source)" }, filter.to.map { "to: \($0.source)" }].compactMap {
                $0
            }
            let departure = repl.departure(target)
            let result = repl.run(target, until: filter)
            repl.recordRun(
                target, departure,
                as: "\(target.name).run(until: \(target.name).transition(\(parts.joined(separator: ", "))))",
                isExact: !departure.hasStopPoints && departure.isSame)
            repl.report(target, result, showsReason: false, transitions: Array(result.transitions.suffix(1)))
        },
        Command(
            "jump", ["LOCATION"], "Makes the processor go on at another place, without running.",
            method: "guest.cpu.rip = address", group: .run, argument: .location
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            guard !invocation.arguments.isEmpty else { throw CommandFailure("`jump` needs a place") }
            let address = try repl.location(invocation.arguments, in: target)
            guard target.guest.cpu.set("rip", address) else { throw CommandFailure("RIP cannot be set") }
            repl.record.translate("\(target.name).cpu.rip = \(Numbers.hex(address))")
            repl.changed(target)
            repl.output(.lines([PlaceView(guest: target).current()]))
        },
        Command("reset", "Resets the machine; guest time goes on.", method: "guest.reset()", group: .run) {
            repl, invocation throws(CommandFailure) in
            try invocation.expectNone()
            let target = try repl.guest()
            target.guest.reset()
            repl.record.translate("\(target.name).reset()")
            repl.changed(target)
            repl.output(.lines([PlaceView(guest: target).current()]))
        },
    ]
}

extension RunResult {
    /// The change of level to show after a long run: the last, if the run ended with it.
    var shownAfterRun: [Transition] {
        guard let last = transitions.last, event?.kind == .transition, event?.transition == last else { return [] }
        return [last]
    }
}

extension Level {
    /// The level as a script writes it.
    var source: String { self == .root ? ".root" : String(rawValue) }
}
