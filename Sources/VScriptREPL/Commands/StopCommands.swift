import VirtualMachine

/// The commands that set and remove stop points.
enum StopCommands {
    static let all: [Command] = [
        Command(
            "break b", ["LOCATION [if CONDITION]"], "Stops before the instruction at a place.",
            method: "on guest.exec(address) if condition { event.stop() }", group: .stop, argument: .location
        ) { repl, invocation throws(CommandFailure) in
            try repl.addBreakpoint(invocation, isTemporary: false)
        },
        Command(
            "tbreak tb", ["LOCATION [if CONDITION]"], "Stops before the instruction at a place, once.",
            method: "on guest.exec(address) if condition { event.off(); event.stop() }", group: .stop,
            argument: .location
        ) { repl, invocation throws(CommandFailure) in
            try repl.addBreakpoint(invocation, isTemporary: true)
        },
        Command(
            "catch",
            [
                "transition [a->b] [if CONDITION]", "vmexit [REASON]", "vmentry", "exception [VECTOR]",
                "interrupt [VECTOR]", "syscall [NUMBER]",
                "hypercall [NUMBER]", "io [PORT]", "msr [INDEX]", "cr [NUMBER]", "cpuid", "halt",
            ],
            "Stops at an event.", method: "on guest.transition(from: a, to: b) if condition { event.stop() }",
            group: .stop,
            argument: .word([
                "transition", "vmexit", "vmentry", "exception", "interrupt", "syscall", "hypercall", "io", "msr", "cr",
                "cpuid", "halt",
            ])
        ) { repl, invocation throws(CommandFailure) in
            try repl.addCatchpoint(invocation)
        },
        watch("watch", .write, "Stops before a write", "write"), watch("rwatch", .read, "Stops before a read", "read"),
        watch("awatch", .both, "Stops before a read or write", "write"),
        Command(
            "delete d", ["[NUMBER …]"], "Removes stop points, all if none is named.", method: "handler.off()",
            group: .stop, argument: .breakpoint
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let chosen = try repl.stopPoints(invocation, in: target)
            target.stopPoints.removeAll { point in chosen.contains { $0 === point } }
            for point in chosen where point.isEnabled { repl.record.translate(point.removal) }
            repl.output(.text("\(chosen.count) stop point\(chosen.count == 1 ? "" : "s") removed"))
        },
        Command(
            "enable", ["[NUMBER …]"], "Makes stop points stop again.", method: "on event { event.stop() }",
            group: .stop, argument: .breakpoint
        ) { repl, invocation throws(CommandFailure) in
            for point in try repl.stopPoints(invocation, in: try repl.guest()) where !point.isEnabled {
                point.isEnabled = true
                repl.record.translate("stop\(point.number) = \(point.statement)")
            }
        },
        Command(
            "disable", ["[NUMBER …]"], "Makes stop points pass.", method: "handler.off()", group: .stop,
            argument: .breakpoint
        ) { repl, invocation throws(CommandFailure) in
            for point in try repl.stopPoints(invocation, in: try repl.guest()) where point.isEnabled {
                point.isEnabled = false
                repl.record.translate(point.removal)
            }
        },
        Command(
            "ignore", ["NUMBER COUNT"], "Lets a stop point pass so many times.", method: "on event if condition { }",
            group: .stop, argument: .breakpoint
        ) { repl, invocation throws(CommandFailure) in
            let words = invocation.words
            let target = try repl.guest()
            guard words.count == 2, let number = Numbers.parse(words[0]), let count = Numbers.parse(words[1]) else {
                throw CommandFailure("`ignore` needs a number and a count")
            }
            guard let point = target.stopPoints.first(where: { $0.number == number }) else {
                throw CommandFailure("there is no stop point \(number)")
            }
            point.ignored = count
            repl.output(.text("\(point.title) passes \(count) times"))
        },
    ]

    private static func watch(
        _ name: String, _ access: WatchTarget.Access, _ summary: String, _ event: String
    ) -> Command {
        Command(
            name, ["EXPRESSION[:SIZE] [physical] [if CONDITION]"],
            "\(summary) of memory: at a linear address, or a physical one; 8 bytes if not told.",
            method: "on guest.\(event)(address ..+ size) if condition { event.stop() }", group: .stop,
            argument: .expression
        ) { repl, invocation throws(CommandFailure) in
            try repl.addWatchpoint(invocation, access)
        }
    }
}

extension REPL {
    func addWatchpoint(_ invocation: Invocation, _ access: WatchTarget.Access) throws(CommandFailure) {
        let target = try guest()
        var (text, condition) = try Self.condition(in: invocation.arguments)
        guard !text.isEmpty else { throw CommandFailure("`\(invocation.command.name)` needs an address") }
        let isPhysical = text.hasSuffix(" physical")
        if isPhysical { text = String(text.dropLast(9)).trimmingSpaces }
        var size: UInt64 = 8
        if let colon = text.lastIndex(of: ":"), let number = Numbers.parse(String(text[text.index(after: colon)...])) {
            guard (1...4_096).contains(number) else { throw CommandFailure("a size is 1 to 4096, not \(number)") }
            size = number
            text = String(text[..<colon]).trimmingSpaces
        }
        let address = try location(text, in: target)
        let watch = WatchTarget(isPhysical: isPhysical, address: address, size: size, access: access)
        let point = add(.watchpoint(watch), text: watch.text, condition: condition, isTemporary: false, to: target)
        let stop = condition.map { " if \($0)" } ?? ""
        output(.text("\(point.title): \(watch.text)\(stop)"))
    }

    /// A place and what follows `if`.
    static func condition(in text: String) throws(CommandFailure) -> (place: String, condition: String?) {
        if text == "if" || text.hasSuffix(" if") {
            throw CommandFailure("`if` needs a condition, as in `if $rax == 1`")
        }
        if text.hasPrefix("if ") { return ("", String(text.dropFirst(3)).trimmingSpaces) }
        guard let range = text.firstRange(of: " if ") else { return (text, nil) }
        return (String(text[..<range.lowerBound]).trimmingSpaces, String(text[range.upperBound...]).trimmingSpaces)
    }

    func addBreakpoint(_ invocation: Invocation, isTemporary: Bool) throws(CommandFailure) {
        let target = try guest()
        var (place, condition) = try Self.condition(in: invocation.arguments)
        if place.isEmpty { place = Numbers.hex(target.guest.cpu.rip) }
        let address = try location(place, in: target)
        let point = add(
            .breakpoint(address: address), text: place, condition: condition, isTemporary: isTemporary, to: target)
        let stop = condition.map { " if \($0)" } ?? ""
        let shown = place == Numbers.hex(address) ? place : "\(place), \(Numbers.hex(address))"
        output(.text("\(isTemporary ? "temporary " : "")\(point.title): \(shown)\(stop)"))
    }

    func add(
        _ kind: StopPoint.Kind, text: String, condition: String?, isTemporary: Bool, to target: DebuggedGuest
    ) -> StopPoint {
        defer { nextStopPoint += 1 }
        let point = StopPoint(nextStopPoint, kind, text: text, condition: condition, isTemporary: isTemporary)
        point.guest = target.name
        target.stopPoints.append(point)
        record.translate("var stop\(point.number) = \(point.statement)")
        return point
    }

    func addCatchpoint(_ invocation: Invocation) throws(CommandFailure) {
        let target = try guest()
        let (text, condition) = try Self.condition(in: invocation.arguments)
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        let name = words.first ?? "transition"
        let rest = words.count > 1 ? words[1].trimmingSpaces : ""
        let (filter, shown) = try catchFilter(name, rest)
        let point = add(
            .catchpoint(filter, text: shown), text: shown, condition: condition, isTemporary: false, to: target)
        let stop = condition.map { " if \($0)" } ?? ""
        output(.text("\(point.title): \(shown)\(stop)"))
    }

    /// The filter of a `catch`, and how a script writes it.
    private func catchFilter(_ name: String, _ rest: String) throws(CommandFailure) -> (EventFilter, String) {
        switch name {
        case "transition", "cross":
            let filter = try transitionFilter(rest)
            let parts = [filter.from.map { "from: \($0.source)" }, filter.to.map { "to: \($0.source)" }]
            return (filter, "transition(\(parts.compactMap { $0 }.joined(separator: ", ")))")
        case "exception", "interrupt":
            guard !rest.isEmpty else { return (EventFilter(name == "exception" ? .exception : .interrupt), name) }
            let bare = rest.hasPrefix(".") ? String(rest.dropFirst()) : rest
            let named = name == "exception" ? ExceptionName.vector(named: bare.uppercased()).map(UInt64.init) : nil
            guard let vector = named ?? Numbers.parse(rest), vector < 256 else {
                throw CommandFailure("`\(rest)` is not a vector", notes: ["as in `14`, `0x80` or `PF`"])
            }
            return (
                EventFilter(name == "exception" ? .exception : .interrupt, numbers: vector...vector),
                "\(name)(\(named == nil ? Numbers.hex(vector) : "." + bare.uppercased()))"
            )
        case "syscall", "hypercall", "io", "msr", "cr":
            guard let kind = GuestEvent.Kind(rawValue: name) else { break }
            guard !rest.isEmpty else { return (EventFilter(kind), name) }
            let index = name == "msr" ? ModelSpecificRegisterNames.index(rest).map(UInt64.init) : nil
            let known = index ?? Numbers.parse(rest)
            let evaluated: UInt64? = if known == nil { try symbolOrValue(rest) } else { known }
            guard let number = evaluated else { throw CommandFailure("`\(rest)` is not a number") }
            let last: UInt64 = name == "io" ? 0xFFFF : name == "msr" ? 0xFFFF_FFFF : name == "cr" ? 15 : .max
            guard number <= last else { throw CommandFailure("`\(rest)` is more than \(Numbers.hex(last))") }
            return (EventFilter(kind, numbers: number...number), "\(name)(\(Numbers.hex(number)))")
        case "vmexit", "vmentry":
            guard !rest.isEmpty else { return (name == "vmexit" ? .vmexit() : .vmentry(), name) }
            guard name == "vmexit" else { throw CommandFailure("`vmentry` has no filter") }
            let reason = rest.hasPrefix(".") ? String(rest.dropFirst()) : rest
            if let known = ExitReason(named: reason) { return (.vmexit(known), "vmexit(.\(reason))") }
            guard let code = Numbers.parse(rest) else {
                throw CommandFailure(
                    "`\(rest)` is not why a guest is left",
                    notes: [
                        Spelling.near(reason, in: ExitReason.allCases.map(\.name)).map { "did you mean `\($0)`?" }
                            ?? "as in `io`, `cpuid`, `pageTable`, or a number of the technique's manual"
                    ])
            }
            return (EventFilter(.vmexit, numbers: code...code), "vmexit(\(Numbers.hex(code)))")
        case "halt", "cpuid":
            guard let kind = GuestEvent.Kind(rawValue: name) else { break }
            return (EventFilter(kind), name)
        case _: break
        }
        let known = [
            "transition", "vmexit", "vmentry", "exception", "interrupt", "syscall", "hypercall", "io", "msr", "cr",
            "cpuid", "halt",
        ]
        throw CommandFailure(
            "there is no event `\(name)`",
            notes: [
                Spelling.near(name, in: known).map { "did you mean `\($0)`?" }
                    ?? "they are \(known.joined(separator: ", "))"
            ])
    }

    private func symbolOrValue(_ text: String) throws(CommandFailure) -> UInt64? {
        try value(of: text)?.integer.flatMap(UInt64.init(truncatingNegative:))
    }

    /// The stop points that a command names, all if none.
    func stopPoints(_ invocation: Invocation, in target: DebuggedGuest) throws(CommandFailure) -> [StopPoint] {
        if invocation.arguments.isEmpty { return target.stopPoints }
        var chosen: [StopPoint] = []
        // As in WinDbg.
        if invocation.words == ["*"] { return target.stopPoints }
        for word in invocation.words {
            guard let number = Numbers.parse(word), let point = target.stopPoints.first(where: { $0.number == number })
            else {
                throw CommandFailure("there is no stop point `\(word)`", notes: ["`info break` lists them"])
            }
            chosen.append(point)
        }
        return chosen
    }
}

extension StopPoint {
    /// What the engine watches for the point.
    var filters: [EventFilter] {
        switch kind {
        case .breakpoint(let address): [.exec(address)]
        case .catchpoint(let filter, _): [filter]
        case .watchpoint(let watch): watch.filters
        }
    }
}

extension StopPoint {
    /// The handler that does the same in a script.
    var statement: String {
        let events: [String] =
            switch kind {
            case .breakpoint(let address): ["\(guest).exec(\(Numbers.hex(address)))"]
            case .catchpoint(_, let text): ["\(guest).\(text)"]
            case .watchpoint(let watch): watch.events.map { "\(guest).\($0)" }
            }
        let condition = condition.map { " if \($0)" } ?? ""
        let handlers = events.map { "on \($0)\(condition) { event.stop(\"\(title)\") }" }
        return handlers.count == 1 ? handlers[0] : "[\(handlers.joined(separator: ", "))]"
    }

    /// What takes it away in a script.
    var removal: String {
        filters.count == 1 ? "stop\(number).off()" : "for handler in stop\(number) { handler.off() }"
    }
}
