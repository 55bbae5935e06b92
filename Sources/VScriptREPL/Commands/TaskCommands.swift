import VirtualMachine

/// What a Linux kernel in the guest does with its processes.
enum TaskCommands {
    static let subject = TableCommands.Subject(
        "tasks processes", "The processes of a Linux guest: who runs, in which address space, and where they wait."
    ) { repl, invocation, _ throws(CommandFailure) in
        let target = try repl.guest()
        var table = Table([
            Table.Column(""), Table.Column("pid", isRight: true), Table.Column("parent", isRight: true),
            Table.Column("name", width: 15), Table.Column("state", width: 8), Table.Column("cr3", width: 11),
            Table.Column("waits in"),
        ])
        let tasks: [KernelTask]
        do throws(KernelTaskError) { tasks = try repl.kernelTasks(target).all() } catch {
            throw CommandFailure(error.description)
        }
        for task in tasks {
            table.rows.append([
                Table.Cell(task.isCurrent ? "*" : ""), Table.Cell(number: task.identifier),
                Table.Cell(number: task.parent), Table.Cell(ControlCharacters.shown(task.name), .symbol),
                Table.Cell(task.stateText),
                task.addressSpace.map { Table.Cell(number: $0, Numbers.hex($0)) } ?? Table.Cell("kernel"),
                Table.Cell(task.waitsIn ?? ""),
            ])
        }
        try repl.show(table, invocation)
    }

    static let all: [Command] = [
        Command(
            "switches", ["[COUNT]"],
            "Runs a Linux guest until so many switches of processes, and tells why each happened.",
            method: "guest.run(until: guest.exec(\"__switch_to_asm\"))", group: .run, repeats: true
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let count = invocation.arguments.isEmpty ? 10 : min(try invocation.count(), 10_000)
            try repl.showSwitches(target, count)
        }
    ]
}

extension REPL {
    /// The reader of a guest's tasks.
    func kernelTasks(_ target: DebuggedGuest) throws(KernelTaskError) -> KernelTasks {
        findKernelSymbols(target)
        if let known = target.kernelTasks { return known }
        let tasks = try KernelTasks(target.guest)
        target.kernelTasks = tasks
        return tasks
    }

    func showSwitches(_ target: DebuggedGuest, _ count: UInt64) throws(CommandFailure) {
        let tasks: KernelTasks
        do throws(KernelTaskError) { tasks = try kernelTasks(target) } catch { throw CommandFailure(error.description) }
        guard let place = target.symbols["__switch_to_asm"] ?? target.symbols["__switch_to"] else {
            throw CommandFailure("the kernel's `__switch_to_asm` is not known")
        }
        var table = Table([
            Table.Column("time", isRight: true, width: 10), Table.Column("from", width: 20),
            Table.Column("to", width: 20),
            Table.Column("why"),
        ])
        func name(_ task: KernelTask) -> String { "\(task.identifier) \(ControlCharacters.shown(task.name))" }
        var result = RunResult(target.guest)
        let departure = departure(target)
        defer { recordRun(target, departure) }
        for _ in 0..<count {
            result = run(target, until: .exec(place))
            guard result.stop.reason == .event, result.points.isEmpty else { break }
            let found: KernelSwitch?
            do throws(KernelTaskError) { found = try tasks.presentSwitch() } catch {
                throw CommandFailure(error.description)
            }
            guard let found else { continue }
            table.rows.append([
                Table.Cell(number: found.time, Numbers.time(found.time)), Table.Cell(name(found.from), .symbol),
                Table.Cell(name(found.to), .symbol), Table.Cell(found.reason),
            ])
        }
        output(.table(table))
        if result.isUnexpected { report(target, result) }
    }
}
