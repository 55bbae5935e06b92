import VirtualMachine

/// Lists changes of privilege level.
enum TransitionsTable {
    static func table(_ rows: some Sequence<Transition>, in guest: DebuggedGuest) throws(CommandFailure) -> Table {
        let place = PlaceView(guest: guest)
        let rows = Array(rows)
        // Under a hypervisor the cost by its model says more than guest time.
        let hasCosts = guest.guest.monitor != nil && rows.contains { $0.cost != nil }
        var table = Table([
            Table.Column("#", isRight: true), Table.Column("from"), Table.Column("to", width: 4),
            Table.Column("cause", width: 15), Table.Column("at", width: 26),
            Table.Column("instr", isRight: true, width: 7),
            Table.Column(hasCosts ? "cycles" : "time", isRight: true, width: 7),
        ])
        for (index, row) in rows.enumerated() {
            try Command.untilInterrupted { () throws(Interrupted) in try Checkpoint.pass(at: index, every: 64) }
            table.rows.append([
                Table.Cell(number: row.sequence), level(row.before.level), level(row.after.level),
                Table.Cell(CrossingView.shortTitle(row)),
                Table.Cell(place.text(row.family == .entry ? row.after.rip : row.before.rip)),
                Table.Cell(number: row.instructions, Numbers.grouped(row.instructions)),
                hasCosts
                    ? row.cost.map { Table.Cell(number: $0, Numbers.grouped($0)) } ?? Table.Cell("")
                    : Table.Cell(number: row.time, Numbers.time(row.time)),
            ])
        }
        return table
    }

    private static func level(_ level: Level) -> Table.Cell { Table.Cell("\(level)", .level(level.rawValue)) }

    /// What a guest and the engine under it have done: what there is none of is left out.
    static func statistics(_ guest: DebuggedGuest) -> Table {
        var table = Table([Table.Column("what", width: 28), Table.Column("count", isRight: true, width: 14)])
        func row(_ name: String, _ value: UInt64, _ text: String? = nil) {
            guard value > 0 else { return }
            table.rows.append([Table.Cell(name), Table.Cell(number: value, text ?? Numbers.grouped(value))])
        }
        let times: Set = ["time", "idleTime"]
        for (name, value) in guest.guest.stats.members {
            row(words(name), value, times.contains(name) ? Numbers.time(value) : nil)
        }
        let log = guest.guest.transitions
        for from in Level.allCases.reversed() {
            for to in Level.allCases.reversed() where from != to && log.count(from: from, to: to) > 0 {
                for cause in TransitionLog.causes {
                    row("\(from) → \(to)  \(words(cause))", log.count(from: from, to: to, cause: cause))
                }
            }
        }
        for reason in ExitReason.allCases { row("exits for \(words(reason.name))", log.count(reason: reason)) }
        row("modelled crossings of the host", log.count(cause: "host"))
        return table
    }

    /// `hidden page faults` for `hiddenPageFaults`; names of instructions stay as they are.
    private static func words(_ name: String) -> String {
        var text = ""
        for letter in name { text += letter.isUppercase ? " " + letter.lowercased() : String(letter) }
        return text
    }

    /// How often each change happened, by levels.
    static func counts(_ guest: DebuggedGuest) -> Table {
        var table = Table([Table.Column("from"), Table.Column("to"), Table.Column("count", isRight: true)])
        for from in Level.allCases {
            for to in Level.allCases where from != to {
                let count = guest.guest.transitions.count(from: from, to: to)
                guard count > 0 else { continue }
                table.rows.append([level(from), level(to), Table.Cell(number: count, Numbers.grouped(count))])
            }
        }
        return table
    }
}
