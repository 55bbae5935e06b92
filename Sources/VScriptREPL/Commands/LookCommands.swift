import VScriptSyntax
import VirtualMachine

/// The commands that show registers, memory and code.
enum LookCommands {
    static let all: [Command] = [
        Command(
            "x", ["/NFU ADDRESS"],
            "Shows linear memory: N units of size U (b h w g) in format F (x d u o t c a s i).",
            method: "guest.cpu.mem[address ..+ count]", group: .look, repeats: true, argument: .expression
        ) { repl, invocation throws(CommandFailure) in
            try repl.examine(invocation, isPhysical: false)
        },
        Command(
            "xp", ["/NFU ADDRESS"], "Shows physical memory, in the formats of `x`.",
            method: "guest.mem[address ..+ count]", group: .look, repeats: true, argument: .expression
        ) { repl, invocation throws(CommandFailure) in
            try repl.examine(invocation, isPhysical: true)
        },
        Command(
            "p print", ["[/FORMAT] EXPRESSION"], "Shows the value of an expression: /x /d /b /s /i /json /csv.",
            method: "print(expression)", group: .look, argument: .expression
        ) { repl, invocation throws(CommandFailure) in
            try repl.printValue(invocation)
        },
        Command(
            "disas u", ["[LOCATION [COUNT]]"], "Shows instructions.", method: "guest.cpu.disassemble(count)",
            group: .look, repeats: true, argument: .location
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            var words = invocation.words
            var count = 10
            if words.count > 1, let last = words.last, let number = Numbers.parse(last), number > 0 {
                count = Int(min(number, 4_096))
                words.removeLast()
            }
            let place = words.joined(separator: " ")
            let start: UInt64 =
                if let next = repl.continuation.disassemble, invocation.isRepetition { next } else if place.isEmpty {
                    target.guest.cpu.rip
                } else { try repl.location(place, in: target) }
            var form = MemoryView.Form()
            (form.count, form.format) = (count, "i")
            let (lines, next) = try MemoryView(guest: target, isPhysical: false).lines(start, form)
            repl.continuation.disassemble = next
            repl.output(.lines(lines))
        },
        Command(
            "where", "Shows the instruction that comes next.", method: "guest.cpu.at", group: .look
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            repl.output(.lines([PlaceView(guest: target).current()]))
        },
        Command(
            "walk", ["ADDRESS"], "Shows how an address is translated, level by level, and whether it may be read.",
            method: "guest.cpu.walk(address)", group: .look, argument: .expression
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            guard !invocation.arguments.isEmpty else { throw CommandFailure("`walk` needs an address") }
            let address = try repl.location(invocation.arguments, in: target)
            repl.record.translate("print(\(target.name).cpu.walk(\(Numbers.hex(address))))")
            repl.output(.text(target.guest.cpu.walk(address).description))
        },
        Command(
            "bt backtrace", ["[COUNT]"], "Shows the calls that led here, by unwind tables, frame pointers or a search.",
            method: "guest.cpu.backtrace()", group: .look
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let count = invocation.arguments.isEmpty ? 32 : Int(min(try invocation.count(), 1_024))
            repl.findKernelSymbols(target)
            var table = Table([
                Table.Column("#", isRight: true), Table.Column("address", width: 18), Table.Column("ring"),
                Table.Column("function", width: 24), Table.Column("line"),
            ])
            for (index, frame) in target.guest.cpu.backtrace(limit: count).enumerated() {
                let name = (frame.isGuess ? "? " : "") + (frame.position?.description ?? "")
                table.rows.append([
                    Table.Cell(number: index), Table.Cell(number: frame.address, Numbers.hex(frame.address)),
                    Table.Cell("\(frame.ring)", .level(frame.ring)), Table.Cell(name, .symbol),
                    Table.Cell(frame.location.map { "\($0)" } ?? ""),
                ])
            }
            try repl.show(table, invocation)
        },
        Command(
            "symbols", ["FILE", "kernel"],
            "Takes names of addresses from an ELF file, System.map or nm, or from a Linux kernel in the guest.",
            method: "guest { symbols: [file] }", group: .look, argument: .file
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            do throws(SymbolError) {
                if invocation.arguments == "kernel" {
                    let found = try target.guest.findKernelSymbols()
                    return repl.output(.text("\(found.count) names, slide \(Numbers.hex(found.slide))"))
                }
                let path = invocation.arguments
                guard !path.isEmpty else { return repl.output(.text("\(target.symbols.count) names")) }
                let slide = try target.guest.addSymbols(contentsOf: path)
                repl.output(.text("\(target.symbols.count) names, slide \(Numbers.hex(slide))"))
            } catch {
                throw CommandFailure("\(error)")
            }
        },
        Command(
            "transitions", ["[COUNT]", "save FILE"],
            "Lists the last changes of privilege level, or saves all: .json (Perfetto), .csv, .ndjson, .html.",
            method: "guest.transitions.rows", group: .look, argument: .word(["save"])
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            if invocation.words.first == "save" {
                return try repl.saveTransitions(target, String(invocation.arguments.dropFirst(4)).trimmingSpaces)
            }
            let count = invocation.arguments.isEmpty ? 20 : try invocation.count()
            var rows: [Transition] = []
            try Command.untilInterrupted { () throws(Interrupted) in
                try target.guest.transitions.forEachRow(last: Int(min(count, 1 << 20))) { rows.append($0) }
            }
            try repl.show(try TransitionsTable.table(rows, in: target), invocation)
        },
        Command(
            "stats",
            "Counts instructions, changes of privilege level by cause, exits by reason, and the engine's work.",
            method: "guest.stats", group: .look
        ) { repl, invocation throws(CommandFailure) in
            try invocation.expectNone()
            try repl.show(TransitionsTable.statistics(try repl.guest()), invocation)
        },
        Command(
            "diff", "Shows what has changed since the stop before: registers with their bits, time, console.",
            method: "guest.cpu", group: .look
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let table = RegistersView(guest: target).difference()
            if table.rows.isEmpty {
                repl.output(.text("nothing has changed"))
            } else {
                try repl.show(table, invocation)
            }
        },
        Command(
            "trace", ["on | off"], "Records changes of privilege level, or counts them only.",
            method: "guest.transitions.record(on)", group: .look, argument: .word(["on", "off"])
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            switch invocation.arguments {
            case "on": target.guest.transitions.isRecording = true
            case "off": target.guest.transitions.isRecording = false
            case "": break
            case let other: throw CommandFailure("`trace` is `on` or `off`, not `\(other)`")
            }
            repl.output(.text("recording is \(target.guest.transitions.isRecording ? "on" : "off")"))
        },
    ]
}

extension Command {
    /// Turns the end of work that the user has given up into that of a command.
    static func untilInterrupted<Result>(
        _ body: () throws(Interrupted) -> Result
    ) throws(CommandFailure) -> Result {
        do throws(Interrupted) { return try body() } catch { throw CommandFailure(error) }
    }
}

extension REPL {
    /// Looks for a Linux kernel's own names, if the guest is far into one and has none yet.
    ///
    /// What was not found is looked for again when the guest has come twice as far.
    func findKernelSymbols(_ target: DebuggedGuest) {
        guard !target.symbols.placements.contains(where: { $0.file.count > 1_000 }),
            target.guest.instructions > max(target.lastSymbolSearch &* 2, 100_000_000),
            target.guest.cpu["lstar"] ?? 0 != 0
        else { return }
        target.lastSymbolSearch = target.guest.instructions
        // Another kernel than Linux has none, which is no mistake.
        _ = try? target.guest.findKernelSymbols()
    }

    /// Shows a table in the chosen format.
    func show(_ table: Table, _ invocation: Invocation) throws(CommandFailure) {
        switch invocation.format {
        case .json:
            let text = try Command.untilInterrupted { () throws(Interrupted) in try table.jsonText() }
            output(.text(text))
        case .csv:
            let text = try Command.untilInterrupted { () throws(Interrupted) in try table.csv() }
            output(.text(text))
        case nil where invocation.modifier.isEmpty: output(.table(table))
        case .hexadecimal, .decimal, .binary, .text, .instruction, nil:
            throw CommandFailure(
                "`\(invocation.command.name)` has the formats /json and /csv, not /\(invocation.modifier)")
        }
    }

    func examine(_ invocation: Invocation, isPhysical: Bool) throws(CommandFailure) {
        let target = try guest()
        var form = MemoryView.Form()
        try form.apply(invocation.modifier)
        let start: UInt64 =
            if invocation.isRepetition, let next = continuation.examine { next } else if invocation.arguments.isEmpty {
                if let next = continuation.examine { next } else { target.guest.cpu["rsp"] ?? 0 }
            } else { try location(invocation.arguments, in: target) }
        let (lines, next) = try MemoryView(guest: target, isPhysical: isPhysical).lines(start, form)
        continuation.examine = next
        output(.lines(lines))
    }

    func printValue(_ invocation: Invocation) throws(CommandFailure) {
        guard !invocation.arguments.isEmpty else { throw CommandFailure("`p` needs an expression") }
        guard let value = try value(of: invocation.arguments) else { return output(.text("nil")) }
        let expression = SourceFile(invocation.arguments, named: "<input>")
        record.translate("print(\(focused.map { expression.text(naming: $0.name) } ?? expression.text))")
        switch invocation.format {
        case nil where invocation.modifier.isEmpty: output(.value(value, value.text))
        case nil:
            throw CommandFailure(
                "`/\(invocation.modifier)` is no format", notes: ["they are /x /d /b /s /i /json /csv"])
        case .json:
            guard let json = value.json else { throw CommandFailure("\(value.type) has no JSON") }
            output(.text(json.text))
        case .csv:
            guard let table = value.table else {
                throw CommandFailure("\(value.type) is not a list of maps, so it has no CSV")
            }
            output(.text(try Command.untilInterrupted { () throws(Interrupted) in try table.csv() }))
        case .text: output(.value(value, value.plain))
        case .decimal, .hexadecimal, .binary, .instruction:
            guard let number = value.integer else {
                throw CommandFailure("`/\(invocation.modifier)` is for an int, not \(value.type)")
            }
            output(.value(value, try formatted(number, invocation)))
        }
    }

    private func formatted(_ number: Int128, _ invocation: Invocation) throws(CommandFailure) -> String {
        guard let pattern = UInt64(truncatingNegative: number) else { return String(number) }
        switch invocation.format {
        case .hexadecimal: return Numbers.hex(pattern)
        case .binary: return "0b" + String(pattern, radix: 2)
        case .instruction:
            let target = try guest()
            guard let instruction = target.decode(at: pattern) else {
                throw CommandFailure("\(Numbers.hex(pattern)) is not mapped")
            }
            return PlaceView(guest: target).line(instruction, isCurrent: false).plain
        case .decimal, .text, .json, .csv, nil: return String(number)
        }
    }
}
