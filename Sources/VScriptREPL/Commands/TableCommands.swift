import VirtualMachine

/// `info` and what it shows.
enum TableCommands {
    /// One subject of `info`.
    struct Subject: Sendable {
        let names: [String]
        let summary: String
        let body: @Sendable (REPL, Invocation, String) throws(CommandFailure) -> Void

        init(
            _ names: String, _ summary: String,
            body: @escaping @Sendable (REPL, Invocation, String) throws(CommandFailure) -> Void
        ) {
            self.names = names.split(separator: " ").map(String.init)
            self.summary = summary
            self.body = body
        }
    }

    static let subjects: [Subject] = [
        Subject("registers r reg cpu", "Registers with the meaning of their bits; names choose some.") {
            repl, invocation, rest throws(CommandFailure) in
            let names = rest.split(separator: " ").map(String.init)
            let target = try repl.guest()
            try repl.show(
                try RegistersView(guest: target).table(names.isEmpty ? RegistersView.usual : names), invocation)
        },
        Subject("break b breakpoints", "Stop points with how often they were hit.") {
            repl, invocation, _ throws(CommandFailure) in
            let target = try repl.guest()
            guard !target.stopPoints.isEmpty || invocation.format != nil else {
                return repl.output(.text("there are no stop points"))
            }
            try repl.show(StopPointsTable.table(target), invocation)
        },
        Subject("gdt", "The global descriptor table.") { repl, invocation, _ throws(CommandFailure) in
            try repl.show(DescriptorView(guest: try repl.guest()).globalTable(), invocation)
        },
        Subject("idt", "The interrupt descriptor table; a vector chooses one gate.") {
            repl, invocation, rest throws(CommandFailure) in
            var chosen: ClosedRange<Int>?
            if !rest.isEmpty {
                guard let vector = Numbers.parse(rest), vector < 256 else {
                    throw CommandFailure("`\(rest)` is not a vector from 0 to 255")
                }
                chosen = Int(vector)...Int(vector)
            }
            try repl.show(DescriptorView(guest: try repl.guest()).interruptTable(chosen), invocation)
        },
        Subject("tss", "The task-state segment: the stacks of the rings.") {
            repl, invocation, _ throws(CommandFailure) in
            try repl.show(try DescriptorView(guest: try repl.guest()).taskState(), invocation)
        },
        Subject("mem mappings tab", "What the page tables map: runs of pages with equal rights (s or u, r, w, x).") {
            repl, invocation, _ throws(CommandFailure) in
            try repl.show(try MappingView(guest: try repl.guest()).table(), invocation)
        },
        Subject("tlb", "What the soft TLB holds: runs of pages, and for what they are cached.") {
            repl, invocation, _ throws(CommandFailure) in
            try repl.show(MachineTables.translations(try repl.guest()), invocation)
        },
        Subject("devices", "Who answers at ports and addresses.") { repl, invocation, _ throws(CommandFailure) in
            try repl.show(MachineTables.devices(try repl.guest()), invocation)
        },
        Subject("vmcs", "The virtual-machine control structure; names choose fields.") {
            repl, invocation, rest throws(CommandFailure) in
            try repl.showControlStructure(.vmcs, rest.split(separator: " ").map(String.init), invocation)
        },
        Subject("vmcb", "The virtual machine control block; names choose fields.") {
            repl, invocation, rest throws(CommandFailure) in
            try repl.showControlStructure(.vmcb, rest.split(separator: " ").map(String.init), invocation)
        },
        TaskCommands.subject,
        Subject("msr", "A model-specific register, by name or index; without one those that the processor core holds.")
        {
            repl, invocation, rest throws(CommandFailure) in
            let target = try repl.guest()
            var indices = ModelSpecificRegisterNames.known
            if !rest.isEmpty {
                guard
                    let index = ModelSpecificRegisterNames.index(rest)
                        ?? Numbers.parse(rest).flatMap({ UInt32(exactly: $0) })
                else { throw CommandFailure("`\(rest)` is no model-specific register") }
                indices = [index]
            }
            var table = Table([
                Table.Column("msr", width: 10), Table.Column("name", width: 26), Table.Column("value", width: 18),
            ])
            for index in indices {
                guard let value = target.guest.cpu.modelSpecificRegister(index) else { continue }
                table.rows.append([
                    Table.Cell(number: index, Numbers.hex(index)),
                    Table.Cell(ModelSpecificRegisterNames.name(index) ?? "", .register),
                    Table.Cell(number: value, Numbers.hex(value)),
                ])
            }
            guard !table.rows.isEmpty else { throw CommandFailure("the processor has no `\(rest)`") }
            try repl.show(table, invocation)
        },
        Subject("rings", "The privilege levels: where each runs, and how it is entered.") {
            repl, invocation, _ throws(CommandFailure) in
            try repl.show(TransitionsTable.counts(try repl.guest()), invocation)
        },
        Subject("history", "The snapshots by which `rs` and the like go back; a size sets their bound.") {
            repl, invocation, rest throws(CommandFailure) in
            let target = try repl.guest()
            let history = target.history
            if !rest.isEmpty {
                guard let size = try repl.value(of: rest)?.integer, size >= 1 << 20, size <= 1 << 40 else {
                    throw CommandFailure(
                        "`\(rest)` is not a size of at least 1 MiB", notes: ["as in `info history 512 MiB`"])
                }
                history.memoryLimit = Int(size)
            }
            var table = Table([Table.Column("history"), Table.Column("", isRight: true)])
            table.rows = [
                ["snapshots", Table.Cell(number: history.count)],
                ["memory", Table.Cell(number: history.memoryUse, ByteSize.rounded(history.memoryUse))],
                ["at most", Table.Cell(number: history.memoryLimit, ByteSize.rounded(history.memoryLimit))],
                ["first instruction", Table.Cell(number: history.start, Numbers.grouped(history.start))],
                ["present", Table.Cell(number: target.guest.instructions, Numbers.grouped(target.guest.instructions))],
                ["between snapshots", Table.Cell(number: history.interval, Numbers.grouped(history.interval))],
            ]
            try repl.show(table, invocation)
        },
        Subject("guests", "The guests of the session.") { repl, invocation, _ throws(CommandFailure) in
            var table = Table([
                Table.Column(""), Table.Column("guest"), Table.Column("memory", isRight: true), Table.Column("ring"),
                Table.Column("time", isRight: true), Table.Column("instructions", isRight: true), Table.Column("at"),
            ])
            for guest in repl.guests {
                let cpu = guest.guest.cpu
                table.rows.append([
                    Table.Cell(guest === repl.focused ? "*" : ""), Table.Cell(guest.name),
                    Table.Cell(
                        number: guest.guest.configuration.memory, ByteSize.text(guest.guest.configuration.memory)),
                    Table.Cell("\(cpu.ring)", .level(cpu.ring)),
                    Table.Cell(number: guest.guest.time, Numbers.time(guest.guest.time)),
                    Table.Cell(number: guest.guest.instructions, Numbers.grouped(guest.guest.instructions)),
                    Table.Cell(PlaceView(guest: guest).text(cpu.rip)),
                ])
            }
            try repl.show(table, invocation)
        },
        Subject("symbols", "Names of addresses that begin with a text.") {
            repl, invocation, rest throws(CommandFailure) in
            let target = try repl.guest()
            var table = Table([Table.Column("address", width: 18), Table.Column("name")])
            for name in target.symbols.names(withPrefix: rest) {
                guard let address = target.symbols[name] else { continue }
                table.rows.append([Table.Cell(number: address, Numbers.hex(address)), Table.Cell(name, .symbol)])
            }
            try repl.show(table, invocation)
        },
    ]

    static let all: [Command] = [
        Command(
            "info i", subjects.map { $0.names[0] },
            "Shows tables: \(subjects.map { $0.names[0] }.joined(separator: " ")).",
            method: "guest.cpu, guest.transitions, guest.symbols", group: .look,
            argument: .word(subjects.map { $0.names[0] })
        ) { repl, invocation throws(CommandFailure) in
            let words = invocation.arguments.split(separator: " ", maxSplits: 1).map(String.init)
            guard let word = words.first else {
                repl.output(
                    .lines(
                        subjects.map {
                            StyledText("info \($0.names[0])".padded(to: 18), .command) + StyledText($0.summary)
                        }))
                return
            }
            let exact = subjects.filter { $0.names.contains(word) }
            let found = exact.isEmpty ? subjects.filter { $0.names[0].hasPrefix(word) } : exact
            guard let subject = found.first, found.count == 1 else {
                let names = (found.isEmpty ? subjects : found).map { $0.names[0] }
                throw CommandFailure(
                    found.isEmpty
                        ? "there is no `info \(word)`" : "`info \(word)` may mean \(names.joined(separator: ", "))",
                    notes: found.isEmpty ? ["there are \(names.joined(separator: " "))"] : [])
            }
            try subject.body(repl, invocation, words.count > 1 ? words[1].trimmingSpaces : "")
        }
    ]
}

/// Lists stop points.
enum StopPointsTable {
    static func table(_ target: DebuggedGuest) -> Table {
        var table = Table([
            Table.Column("#", isRight: true), Table.Column("kind"), Table.Column("on"),
            Table.Column("hits", isRight: true),
            Table.Column("at"), Table.Column("condition"),
        ])
        for point in target.stopPoints {
            let place: String =
                switch point.kind {
                case .breakpoint(let address): PlaceView(guest: target).text(address)
                case .catchpoint(_, let text): text
                case .watchpoint: point.text
                }
            table.rows.append([
                Table.Cell(number: point.number), Table.Cell(point.isTemporary ? "temporary" : point.kind.text),
                Table.Cell(point.isEnabled ? "yes" : "no"), Table.Cell(number: point.hits), Table.Cell(place),
                Table.Cell(point.condition ?? ""),
            ])
        }
        return table
    }
}
