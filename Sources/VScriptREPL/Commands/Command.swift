/// A command of the REPL, declared in one place with its help.
package struct Command: Sendable {
    /// The parts of the help.
    package enum Group: String, CaseIterable, Sendable {
        case run = "Run", back = "Go back", stop = "Stop at", look = "Look", console = "Console", session = "Session"
    }

    /// What completion offers for the arguments.
    package enum Argument: Equatable, Sendable {
        case none, location, expression, register, transition, file, guest, command, breakpoint
        case word([String])
    }

    /// The name; what it is called otherwise follows.
    package let names: [String]
    /// The forms of the arguments, one to a line of the help.
    package let forms: [String]
    package let summary: String
    /// The call of the language that does the same.
    package let method: String
    package let group: Group
    /// Whether an empty line does it again.
    package let isRepeatable: Bool
    package let argument: Argument
    /// A line that begins with the name is vscript if this says so of what follows.
    package let isScript: @Sendable (String) -> Bool
    package let body: @Sendable (REPL, Invocation) throws(CommandFailure) -> Void

    package init(
        _ names: String, _ forms: [String], _ summary: String, method: String, group: Group,
        repeats isRepeatable: Bool = false, argument: Argument = .none,
        isScript: @escaping @Sendable (String) -> Bool = { _ in false },
        body: @escaping @Sendable (REPL, Invocation) throws(CommandFailure) -> Void
    ) {
        self.names = names.split(separator: " ").map(String.init)
        self.forms = forms
        self.summary = summary
        self.method = method
        self.group = group
        self.isRepeatable = isRepeatable
        self.argument = argument
        self.isScript = isScript
        self.body = body
    }

    /// A command without arguments.
    package init(
        _ names: String, _ summary: String, method: String, group: Group, repeats: Bool = false,
        body: @escaping @Sendable (REPL, Invocation) throws(CommandFailure) -> Void
    ) {
        self.init(names, [""], summary, method: method, group: group, repeats: repeats, body: body)
    }

    package var name: String { names[0] }

    /// What `help` says about the command.
    package var help: [StyledText] {
        var lines = forms.map { StyledText(name, .command) + StyledText($0.isEmpty ? "" : " \($0)") }
        lines.append(StyledText("  \(summary)"))
        if names.count > 1 { lines.append(StyledText("  also: \(names.dropFirst().joined(separator: ", "))")) }
        if isRepeatable { lines.append("  an empty line does it again") }
        lines.append(StyledText("  in a script: \(method)"))
        return lines
    }
}

/// A command as it was typed.
package struct Invocation: Sendable {
    package var command: Command
    /// The format after the name, as it stands: `x`, `8gx`, `json`.
    package var modifier: String
    /// What follows, without white space at its ends.
    package var arguments: String
    /// The command is done again by an empty line: `x`, `list` and `disas` go on where they ended.
    package var isRepetition = false

    /// The format, if it is one that every command takes.
    package var format: OutputFormat? { OutputFormat(rawValue: modifier) }

    package var words: [String] { arguments.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init) }

    /// Refuses arguments.
    package func expectNone() throws(CommandFailure) {
        guard arguments.isEmpty else { throw CommandFailure("`\(command.name)` takes no arguments") }
    }

    /// A count, 1 if there is none.
    package func count() throws(CommandFailure) -> UInt64 {
        if arguments.isEmpty { return 1 }
        guard let count = Numbers.parse(arguments), count > 0 else {
            throw CommandFailure("`\(arguments)` is not a count", notes: ["as in `\(command.name) 3`"])
        }
        return count
    }
}

/// Numbers as commands take them.
package enum Numbers {
    /// A decimal number, or one with the prefix `0x`, `0b` or `0o`; underscores are passed over.
    package static func parse(_ text: String) -> UInt64? {
        let digits = text.filter { $0 != "_" }
        guard let first = digits.first, first.isNumber else { return nil }
        for (prefix, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0o", 8)] where digits.hasPrefix(prefix) {
            return UInt64(digits.dropFirst(2), radix: radix)
        }
        return UInt64(digits)
    }

    /// A number in hexadecimal with `0x`.
    package static func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }

    /// A selector in hexadecimal, of at least two digits.
    package static func selector(_ value: UInt16) -> String { (value < 16 ? "0x0" : "0x") + String(value, radix: 16) }

    /// A number with spaces between groups of three digits.
    package static func grouped(_ value: UInt64) -> String {
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0 && index % 3 == 0 { text.append(" ") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    /// A time in nanoseconds as people read it.
    package static func time(_ nanoseconds: UInt64) -> String {
        let units: [(UInt64, String)] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")]
        for (size, unit) in units where nanoseconds >= size {
            let thousandths = nanoseconds / (size / 1_000)
            let (whole, rest) = thousandths.quotientAndRemainder(dividingBy: 1_000)
            return rest == 0 ? "\(whole) \(unit)" : "\(whole).\(String(rest + 1_000).dropFirst()) \(unit)"
        }
        return "\(nanoseconds) ns"
    }
}
