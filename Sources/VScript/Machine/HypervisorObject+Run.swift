import VirtualMachine

/// Running all guests of a hypervisor.
extension HypervisorObject {
    static let runMethods: [Builtin<HypervisorObject>] = [
        Builtin(
            "run(until?, within?, wall?)",
            "Runs the guests in turn, each by its share, until an event of one, until they all have ended, a handler "
                + "stops one, or for so much time of the processor; gives for each guest its stop, or nil if it would go on."
        ) { hypervisor, arguments in
            try hypervisor.run(arguments)
        }
    ]

    private func run(_ arguments: Arguments) throws -> ScriptValue {
        let guests = guests
        guard let session = guests.first?.session else {
            throw HostFailure(.wrongOperand, "there is no guest on \(name)")
        }
        let condition = try condition(arguments)
        let limits = try GuestObject.limits(arguments, within: 1, instructions: nil)
        let hasTime = try GuestObject.deadline(arguments, wall: 2)
        for guest in guests { try guest.checkIdle() }
        for guest in guests { guest.beginTurns() }
        let context = arguments.context
        let end =
            limits.time.map { scheduler.elapsed.addingReportingOverflow($0) }
            .map { $0.overflow ? .max : $0.partialValue } ?? .max
        var isDone = false
        return try context.inTurns { [self] in
            do {
                let before = used(by: guests)
                let budget = session.budget(RunLimits(time: end - min(end, scheduler.elapsed)))
                var (isPaused, slices) = (false, 0)
                scheduler.run(until: condition, counts: min(budget.time ?? .max, budget.instructions ?? .max)) {
                    guard !context.isInterrupted, hasTime(), !guests.contains(where: \.hasFailed) else {
                        isDone = true
                        return false
                    }
                    slices += 1
                    // A turn takes no longer than a millisecond from one call to the next, but may be much shorter.
                    if slices > 100, context.givesWay { isPaused = true }
                    return !isPaused
                }
                let after = used(by: guests)
                for guest in guests { try guest.checkFailure() }
                if context.isInterrupted { throw context.interruption }
                try session.count(
                    instructions: after.instructions &- before.instructions, time: after.time &- before.time)
                if isPaused, !isDone, scheduler.elapsed < end { return nil }
            } catch {
                for guest in guests { guest.endTurns() }
                throw error
            }
            for guest in guests { guest.endTurns() }
            return .items(
                guests.map { guest in
                    guard let stop = scheduler.stop(of: guest.guest) else { return .nil }
                    return .object(guest.stopped(stop, at: arguments.span))
                })
        }
    }

    /// The event that ends a run, and the guest whose it is.
    private func condition(
        _ arguments: Arguments
    ) throws -> (guest: Guest, filter: VirtualMachine.EventFilter)? {
        guard var value = arguments.value(0) else { return nil }
        if case .function(let function) = value { value = try arguments.context.call(function, []) }
        guard case .object(let object) = value, let pattern = object as? EventPattern,
            let source = guests.first(where: { $0 === pattern.source })
        else {
            throw arguments.wrongType(0, "an event of one of its guests, such as `guest.console.prints(\"# \")`")
        }
        return (source.guest, try EventFilters.filter(pattern))
    }

    private func used(by guests: [GuestObject]) -> (instructions: UInt64, time: UInt64) {
        guests.reduce((0, 0)) { ($0.0 &+ $1.guest.instructions, $0.1 &+ $1.guest.time) }
    }
}
