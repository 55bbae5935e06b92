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

    private static let table = MemberTable<ConsoleObject>(
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
                .object(try console.wait(arguments))
            },
            Builtin("prints(text)", "The event `console`: the guest has written a text.") { console, arguments in
                guard let event = Schema.guest.events.first(where: { $0.name == "console" }) else { return .nil }
                return .object(EventPattern(event, [.string(try arguments.string(0))], of: console.owner))
            },
            Builtin("send(text)", "Types a text.") { console, arguments in
                console.send(try arguments.string(0))
                return .nil
            },
            Builtin("command(text, within?, wall?)", "Types a line and gives what it prints until the prompt is back.")
            {
                console, arguments in
                .string(try console.command(arguments))
            },
            Builtin("attach(within?, wall?)", "Runs the guest with its console on the terminal; Ctrl-] leaves it.") {
                console, arguments in
                .object(try console.attach(arguments))
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

    private func send(_ text: String) {
        owner.typed = Echo(text, from: console.output.count)
        console.send(text)
    }

    /// Runs the guest with its console on the host's terminal.
    private func attach(_ arguments: Arguments) throws -> StopObject {
        guard let terminal = arguments.context.environment.terminal else {
            throw HostFailure(.noTerminal, "there is no terminal to attach the console to")
        }
        let limits = try GuestObject.limits(arguments, within: 0, instructions: nil)
        // What is on the terminal already is not echoed there once more.
        let echo = console.onOutput
        console.onOutput = nil
        defer { console.onOutput = echo }
        let stop = try owner.running(arguments, limits) { limits, checkpoint in
            Result { try GuestObject.deadline(arguments, wall: 1, checkpoint) }.flatMap { checkpoint in
                Result { () throws(ConsoleTerminalError) in
                    try owner.guest.console.attach(
                        to: terminal, showingLastLine: echo == nil, limits: limits, checkpoint: checkpoint)
                }.mapError { HostFailure(.noTerminal, "the console cannot be attached: \($0)") }
            }
        }.get()
        return owner.stopped(stop, at: arguments.span)
    }

    // MARK: - Waiting

    /// Runs the guest until what the first argument describes appears after the last match.
    private func wait(_ arguments: Arguments) throws -> StopObject {
        let limits = try GuestObject.limits(arguments, within: 1, instructions: 2)
        let matcher: ([UInt8], Int) -> Range<Int>?
        let wanted: String
        switch arguments.value(0) {
        case .string(let text) where !text.isEmpty:
            wanted = "\"\(text)\""
            let scanner = TextScanner(Array(text.utf8))
            matcher = { [owner] in scanner.match($0, from: owner.typed.skip($0, from: $1)) }
        case .regex(let regex):
            wanted = "re\"\(regex.pattern)\""
            let scanner = PatternScanner(regex)
            matcher = { [owner] in scanner.match($0, from: owner.typed.skip($0, from: $1)) }
        case _: throw arguments.wrongType(0, "a text or a pattern")
        }
        let (stop, match) = try run(arguments, wall: 3, limits, matcher)
        guard let match else { throw failure("\(wanted) did not appear", stop) }
        let text = String(decoding: console.output[match], as: UTF8.self)
        return StopObject(stop, guest: owner, span: arguments.span, match: text)
    }

    private func run(
        _ arguments: Arguments, wall: Int, _ limits: RunLimits, _ matcher: @escaping ([UInt8], Int) -> Range<Int>?
    ) throws -> (stop: Stop, match: Range<Int>?) {
        let result = try owner.running(arguments, limits) { limits, checkpoint in
            Result { try GuestObject.deadline(arguments, wall: wall, checkpoint) }.map { checkpoint in
                owner.guest.console.wait(matching: matcher, limits: limits, checkpoint: checkpoint)
            }
        }.get()
        _ = owner.stopped(result.stop, at: arguments.span)
        return result
    }

    private func failure(_ message: String, _ stop: Stop) -> HostFailure {
        let object = StopObject(stop, guest: owner, span: SourceSpan(SourceFile("", named: ""), 0..<0))
        let tail = console.tail(20).trimmed
        return HostFailure(
            stop.reason == .crashed ? .guestCrashed : .timeout, message,
            notes: ["the guest stopped: \(object.summary)"] + object.registers
                + [tail.isEmpty ? "its console has written nothing" : "its console ends with:\n\(tail)"])
    }

    // MARK: - Commands

    /// Types a line; the last line before it is taken for the prompt, whose return ends the command.
    private func command(_ arguments: Arguments) throws -> String {
        let text = try arguments.string(0)
        let prompt = Array(console.output.suffix { $0 != UInt8(ascii: "\n") })
        guard !prompt.isEmpty else {
            throw HostFailure(
                .timeout, "there is no prompt to type at", notes: ["wait for it first: `console.wait(\"# \")`"])
        }
        let start = console.output.count
        send(text + "\n")
        let end = [UInt8(ascii: "\n")] + prompt
        let scanner = TextScanner(end)
        let (stop, match) = try run(arguments, wall: 2, try GuestObject.limits(arguments, within: 1, instructions: nil))
        { bytes, _ in
            scanner.match(bytes, from: start)
        }
        guard let match else { throw failure("the prompt did not come back", stop) }
        var output = console.output[start..<match.lowerBound]
        if case .passed(let end) = Echo(text + "\n", from: start).progress(in: console.output), end <= match.lowerBound
        {
            output = output[end...]
        }
        return String(decoding: output, as: UTF8.self).replacing("\r\n", with: "\n").trimmingLineEnds
    }
}

extension String {
    /// The text without line breaks at its end.
    fileprivate var trimmingLineEnds: String {
        var rest = self[...]
        while rest.last?.isNewline == true { rest.removeLast() }
        return String(rest)
    }
}

extension Array where Element == UInt8 {
    /// The bytes after the last one that a condition does not hold for.
    fileprivate func suffix(while condition: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        var start = endIndex
        while start > startIndex, condition(self[start - 1]) { start -= 1 }
        return self[start...]
    }
}

/// What was typed last, so that a wait does not take its echo for the guest's answer.
struct Echo {
    /// How far the output has repeated what was typed.
    enum Progress: Equatable {
        /// All that has come so far is echo.
        case going
        /// The echo ended at an offset.
        case passed(Int)
        /// Something else came.
        case absent
    }

    private var bytes: [UInt8] = []
    private var start = 0

    init() {}

    /// The echo of a text that begins where the output ends now.
    init(_ text: String, from start: Int) {
        bytes = Array(text.replacing("\n", with: "\r\n").utf8)
        self.start = start
    }

    /// Compares the output with what was typed.
    ///
    /// Between the characters a terminal may break a long line, and a shell may ask the terminal where its cursor is
    /// (control sequences, ECMA-48 section 5.4).
    func progress(in output: [UInt8]) -> Progress {
        var position = start
        for byte in bytes {
            while position < output.count, output[position] != byte {
                let next = output[position]
                if next == UInt8(ascii: "\r") || next == UInt8(ascii: "\n") {
                    position += 1
                } else if next == 0x1B {
                    guard let end = Self.endOfControlSequence(output, at: position) else { return .absent }
                    position = end
                } else {
                    return .absent
                }
            }
            guard position < output.count else { return .going }
            position += 1
        }
        return .passed(position)
    }

    /// Where a control sequence, ESC [ … letter, ends; the end of the output if it is not all there, nil if it is none.
    private static func endOfControlSequence(_ output: [UInt8], at start: Int) -> Int? {
        guard start + 1 < output.count else { return output.count }
        guard output[start + 1] == UInt8(ascii: "[") else { return nil }
        let parameters = output[(start + 2)...].prefix { 0x20...0x3F ~= $0 }
        return min(parameters.endIndex + 1, output.count)
    }

    /// Where a search that begins at an offset begins once the echo is passed over.
    func skip(_ output: [UInt8], from searched: Int) -> Int {
        guard !bytes.isEmpty else { return searched }
        switch progress(in: output) {
        case .going: return max(searched, output.count)
        case .passed(let end): return max(searched, end)
        case .absent: return searched
        }
    }
}

/// Looks for a text in output that grows byte by byte.
final class TextScanner {
    private let wanted: [UInt8]
    private var position: Int?

    init(_ wanted: [UInt8]) { self.wanted = wanted }

    /// The first occurrence at or after an offset; what was looked at before is not looked at again.
    func match(_ bytes: [UInt8], from start: Int) -> Range<Int>? {
        var next = max(position ?? start, start)
        while next + wanted.count <= bytes.count {
            if bytes[next..<next + wanted.count].elementsEqual(wanted) { return next..<next + wanted.count }
            next += 1
        }
        position = next
        return nil
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
