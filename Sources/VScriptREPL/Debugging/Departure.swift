import VirtualMachine

/// Where a command's run begins, by which the session's record decides how a script does the same.
struct Departure {
    let position: UInt64
    /// Whether stop points may end the run.
    let hasStopPoints: Bool
    /// Whether a script's `run()` ends where the command does, whatever stop point ends it.
    let endsAtStopPoints: Bool
    /// Whether a script that went the same way stands here in the same manner: an exit or a breakpoint that has been
    /// met is not met again.
    let isSame: Bool
}

extension REPL {
    /// Where a guest stands before a run.
    func departure(_ target: DebuggedGuest) -> Departure {
        let points = target.stopPoints.filter(\.isEnabled)
        let isSame = record.ranByStatement(target.name)
        let isMet = isSame && target.guest.processor.hasReportedInstruction
        let isDifferent = points.contains { point in
            if point.ignored > 0 { return true }
            return switch point.kind {
            case .breakpoint(let address): address == target.guest.cpu.rip && !isMet
            case .catchpoint: !isSame
            case .watchpoint: false
            }
        }
        return Departure(
            position: target.guest.instructions, hasStopPoints: !points.isEmpty, endsAtStopPoints: !isDifferent,
            isSame: isSame)
    }

    /// Records a run: as a statement if `isExact`, else by how far the guest has come.
    func recordRun(_ target: DebuggedGuest, _ departure: Departure, as statement: String? = nil, isExact: Bool = true) {
        // A statement whose guest crashes is an error; and what ends a guest takes one more instruction than it counts.
        let isOver =
            switch target.lastStop?.reason {
            case .halted, .crashed, .shutdown: true
            case .event, .stopped, .timeout, .instructions, nil: false
            }
        let isStatement = isExact && !scope.isInterrupted && target.lastStop?.reason != .crashed
        record.ran(
            target.name, from: departure.position, to: target.guest.instructions &+ (isOver ? 1 : 0),
            as: isStatement ? statement : nil)
        for point in spent { record.translate(point.removal) }
        spent = []
    }

    /// Tells history and record that the host has changed a guest.
    func changed(_ target: DebuggedGuest) {
        target.history.changed()
        record.changed(target.name, at: target.guest.instructions)
    }

    /// Records where a guest was brought back to.
    func recordRecall(_ target: DebuggedGuest) { record.recalled(target.name, to: target.guest.instructions) }
}
