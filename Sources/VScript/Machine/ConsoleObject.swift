import VScriptSyntax
import VirtualMachine

/// A guest's serial port as scripts use it.
final class ConsoleObject: HostObject {
    private let owner: GuestObject
    private var console: GuestConsole { owner.guest.console }

    init(_ owner: GuestObject) { self.owner = owner }

    var typeName: String { "a console" }
    var memberNames: [String] { Self.table.names }
    func member(_ name: String) throws -> ScriptValue? { try Self.table.get(name, of: self) }
    func setMember(_ name: String, to value: ScriptValue) throws -> Bool {
        try Self.table.set(name, to: value, of: self)
    }

    static let table = MemberTable<ConsoleObject>(
        properties: [
            Property("output", "Everything the guest has written.") {
                .string(String(decoding: $0.console.output, as: UTF8.self))
            },
            Property("debug", "Everything the guest has written to port 0xE9.") {
                .string(String(decoding: $0.console.debugOutput, as: UTF8.self))
            },
        ],
        methods: [
            Builtin("wait(pattern, within?, instructions?, wall?)", "Runs the guest until a text or pattern appears.") {
                console, arguments in
                try console.wait(arguments)
            },
            Builtin("prints(text)", "The event `console`: the guest has written a text.") { console, arguments in
                guard let event = Schema.guest.events.first(where: { $0.name == "console" }) else { return .nil }
                return .object(EventPattern(event, [.string(try arguments.string(0))], of: console.owner))
            },
            Builtin("send(text)", "Types a text.") { console, arguments in
                console.console.send(try arguments.string(0))
                return .nil
            },
            Builtin("command(text, within?, wall?)", "Types a line and gives what it prints until the prompt is back.")
            {
                console, arguments in
                try console.command(arguments)
            },
            Builtin("attach(within?, wall?)", "Runs the guest with its console on the terminal; Ctrl-] leaves it.") {
                console, arguments in
                try console.attach(arguments)
            },
            Builtin("tail(lines?)", "The last lines of the output, 20 if not told how many.") { console, arguments in
                .string(console.console.tail(Int(try arguments.optionalInteger(0, in: 1...10_000) ?? 20)))
            },
            Builtin("echo(isOn?)", "Whether what the guest writes is written to the script's output too.") {
                console, arguments in
                let isOn = try arguments.optionalBool(0) ?? true
                let context = arguments.context
                var pending: [UInt8] = []
                console.console.onOutput =
                    !isOn
                    ? nil
                    : { [weak context] byte in
                        pending.append(byte)
                        // A character of several bytes is written once it is whole.
                        guard pending.count >= 4 || String(validating: pending, as: UTF8.self) != nil else { return }
                        context?.write(String(decoding: pending, as: UTF8.self))
                        pending = []
                    }
                return .nil
            },
        ])

    /// Runs the guest with its console on the host's terminal.
    private func attach(_ arguments: Arguments) throws -> ScriptValue {
        guard let terminal = arguments.context.environment.terminal else {
            throw HostFailure(.noTerminal, "there is no terminal to attach the console to")
        }
        let limits = try GuestObject.limits(arguments, within: 0, instructions: nil)
        let hasTime = try GuestObject.deadline(arguments, wall: 1)
        return try owner.running(arguments, limits) { [owner, console] limits, checkpoint in
            // What is on the terminal already is not echoed there once more.
            let echo = console.onOutput
            console.onOutput = nil
            defer { console.onOutput = echo }
            do throws(ConsoleTerminalError) {
                return try owner.guest.console.attach(
                    to: terminal, showingLastLine: echo == nil, limits: limits
                ) { checkpoint() && hasTime() }
            } catch {
                throw HostFailure(.noTerminal, "the console cannot be attached: \(error)")
            }
        } finish: { [owner] in
            .object(owner.stopped($0, at: arguments.span))
        }
    }

    // MARK: - Waiting

    /// Runs the guest until what the first argument describes appears after the last match.
    private func wait(_ arguments: Arguments) throws -> ScriptValue {
        let limits = try GuestObject.limits(arguments, within: 1, instructions: 2)
        let matcher: ([UInt8], Int) -> Range<Int>?
        let wanted: String
        switch arguments.value(0) {
        case .string(let text) where !text.isEmpty:
            wanted = "\"\(text)\""
            let scanner = TextScanner(Array(text.utf8))
            matcher = { [console] in scanner.match($0, from: console.typed.skip($0, from: $1)) }
        case .regex(let regex):
            wanted = "re\"\(regex.pattern)\""
            let scanner = PatternScanner(regex)
            matcher = { [console] in scanner.match($0, from: console.typed.skip($0, from: $1)) }
        case _: throw arguments.wrongType(0, "a text or a pattern")
        }
        return try run(arguments, wall: 3, limits, matcher) { [self] stop, match in
            guard let match else { throw failure("\(wanted) did not appear", stop) }
            let text = String(decoding: console.output[match], as: UTF8.self)
            return .object(StopObject(stop, guest: owner, span: arguments.span, match: text))
        }
    }

    private func run(
        _ arguments: Arguments, wall: Int, _ limits: RunLimits, _ matcher: @escaping ([UInt8], Int) -> Range<Int>?,
        finish: @escaping (Stop, Range<Int>?) throws -> ScriptValue
    ) throws -> ScriptValue {
        let hasTime = try GuestObject.deadline(arguments, wall: wall)
        return try owner.running(arguments, limits) { [owner] limits, checkpoint in
            owner.guest.console.wait(matching: matcher, limits: limits) { checkpoint() && hasTime() }
        } isDone: {
            $0.match != nil
        } finish: { [owner] result in
            let stop = owner.stopped(result.stop, at: arguments.span)
            // What the wait fails with tells of a crash.
            stop.isNoticed = result.match == nil
            return try finish(result.stop, result.match)
        }
    }

    private func failure(_ message: String, _ stop: Stop) -> HostFailure {
        let object = StopObject(stop, guest: owner, span: SourceSpan(SourceFile("", named: ""), 0..<0))
        let tail = console.tail(20).trimmed
        return HostFailure(
            stop.reason == .crashed ? .guestCrashed : .timeout, message,
            notes: ["the guest stopped: \(object.summary)"] + object.registers + techniqueNotes
                + [tail.isEmpty ? "its console has written nothing" : "its console ends with:\n\(tail)"])
    }

    /// What a kernel that gets nowhere may have met.
    private var techniqueNotes: [String] {
        guard owner.guest.configuration.technique == .trapAndEmulate else { return [] }
        return [
            "under .trapAndEmulate what depends on the ring without faulting, such as POPF and the selectors in CS and SS, "
                + "goes wrong unseen: a kernel that is not made for it runs under .translate, .vmx or .svm"
        ]
    }

    // MARK: - Commands

    /// Types a line; the last line before it is taken for the prompt, whose return ends the command.
    private func command(_ arguments: Arguments) throws -> ScriptValue {
        let text = try arguments.string(0)
        let limits = try GuestObject.limits(arguments, within: 1, instructions: nil)
        try owner.checkIdle()
        guard let command = console.type(command: text) else {
            throw HostFailure(
                .timeout, "there is no prompt to type at", notes: ["wait for it first: `console.wait(\"# \")`"])
        }
        return try run(arguments, wall: 2, limits, command.matcher) { [self] stop, match in
            guard let match else { throw failure("the prompt did not come back", stop) }
            return .string(command.printed(before: match, in: console.output))
        }
    }
}

/// Looks for a pattern in output that grows byte by byte; each byte is a character.
final class PatternScanner {
    private let regex: RegularExpression
    private var scanner: RegularExpression.Scanner?
    private var position = 0

    init(_ regex: RegularExpression) { self.regex = regex }

    /// The match that ends first at or after an offset.
    func match(_ bytes: [UInt8], from start: Int) -> Range<Int>? {
        if scanner == nil || position < start {
            scanner = regex.scanner()
            position = start
        }
        while position < bytes.count {
            position += 1
            guard scanner?.feed(UInt32(bytes[position - 1])) == true else { continue }
            let text = bytes[start..<position].map { UInt32($0) }
            let range = regex.firstMatch(in: text)?.first ?? nil
            return range.map { start + $0.lowerBound..<start + $0.upperBound } ?? position..<position
        }
        return nil
    }
}
