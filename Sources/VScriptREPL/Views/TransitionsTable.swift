import VirtualMachine

/// Lists changes of privilege level.
enum TransitionsTable {
    static func table(_ rows: some Sequence<Transition>, in guest: DebuggedGuest) -> Table {
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
        for row in rows {
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
