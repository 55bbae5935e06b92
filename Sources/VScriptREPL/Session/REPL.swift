import VScript
import VScriptSyntax
import VirtualMachine

/// Reads lines and carries them out: commands of the table, and everything else as vscript.
///
/// Knows no terminal: what it says goes to `output`.
package final class REPL {
    package let scope: any ScriptScope
    /// Where everything goes that the REPL says.
    package var output: (Output) -> Void
    /// Shows how a long run is getting on, nil when it has ended; nil where that cannot be shown.
    package var progress: ((String?) -> Void)?
    /// The terminal that `console` gives to a guest; nil where there is none.
    package var terminal: (any ConsoleTerminal)?
    /// The guests, in the order of their declaration.
    package private(set) var guests: [DebuggedGuest] = []
    /// The guest that commands mean.
    package private(set) var focused: DebuggedGuest?
    package var aliases: [String: String] = [:]
    /// What was entered, with what each line did in the language.
    package var record = SessionRecord()
    /// What an empty line does again.
    package var repeated: Invocation?
    /// Where `x`, `disas` and `list` go on.
    package var continuation = Continuation()
    package var nextStopPoint = 1
    /// The temporary stop points that the last run has met.
    var spent: [StopPoint] = []
    /// The file that `log` writes to.
    package var log: SessionLog?
    private var sourceDepth = 0
    private var isLeaving = false

    package init(scope: any ScriptScope, output: @escaping (Output) -> Void) {
        self.scope = scope
        self.output = output
        adoptGuests()
    }

    // MARK: - Lines

    /// Carries out a text; false once the user wants to leave.
    ///
    /// An interrupt ends it with the entry that it met; so does one since `clearInterrupt`, before the first entry.
    package func handle(_ text: String) -> Bool {
        for entry in entries(of: text) {
            perform(entry)
            if isLeaving { return false }
            if scope.isInterrupted { break }
        }
        return true
    }

    /// Forgets interrupts, as each reader of lines does before it waits for one.
    package func clearInterrupt() { scope.clearInterrupt() }

    /// Ends what runs, or what is begun before the next `clearInterrupt`.
    package func interrupt() { scope.interrupt() }

    package func leave() { isLeaving = true }

    /// What a first line means.
    enum Meaning {
        case empty
        case comment
        case command(Invocation)
        case documentation(String, wantsSource: Bool)
        case importAliases(String)
        case ambiguous(String, [String])
        /// No command, where nothing else may stand.
        case unknown(String)
        case script
    }

    /// Carries out an entry; the work that it makes is given up when it is interrupted.
    private func perform(_ text: String) {
        Checkpoint.whileTrue(scope.isWanted) { carryOut(text) }
    }

    private func carryOut(_ text: String) {
        do throws(CommandFailure) {
            switch meaning(of: text) {
            case .empty:
                guard var again = repeated else { return }
                again.isRepetition = true
                try again.command.body(self, again)
            case .comment: break
            case .command(let invocation):
                repeated = invocation.command.isRepeatable ? invocation : nil
                record.add(line: text)
                try invocation.command.body(self, invocation)
            case .documentation(let name, let wantsSource):
                repeated = nil
                output(.lines(try documentation(of: name, wantsSource: wantsSource)))
            case .importAliases(let name):
                repeated = nil
                try importAliases(name)
            case .ambiguous(let word, let names):
                throw CommandFailure("`\(word)` may mean \(names.joined(separator: ", "))")
            case .unknown(let word):
                let guess = Spelling.near(word, in: CommandTable.names)
                throw CommandFailure(
                    "there is no command `\(word)`",
                    notes: [guess.map { "did you mean `\($0)`?" } ?? "`help` lists them"])
            case .script:
                repeated = nil
                record.add(line: text)
                record.translate(focused.map { SourceFile(text, named: "<input>").text(naming: $0.name) } ?? text)
                evaluate(text)
            }
        } catch {
            output(.failure(error))
        }
    }

    /// Splits a text into commands and the stretches of vscript between them.
    ///
    /// A text of one line, or of one statement, is one entry; what is pasted may hold several.
    func entries(of text: String) -> [String] {
        guard text.contains("\n") else { return [text] }
        var result: [String] = []
        var script = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if scope.isInterrupted { return [] }
            let isInside = !script.isEmpty && parse(SourceFile(script, named: "<input>")).isIncomplete
            if !isInside, line.trimmingSpaces.isEmpty {
                if !script.isEmpty { script += "\n" }
                continue
            }
            switch isInside ? .script : meaning(of: line) {
            case .script: script += script.isEmpty ? line : "\n" + line
            case .empty, .comment, .command, .documentation, .importAliases, .ambiguous, .unknown:
                if !script.isEmpty { result.append(script) }
                script = ""
                result.append(line)
            }
        }
        if !script.isEmpty { result.append(script) }
        return result
    }

    /// What a line means: design, section 4.1.
    func meaning(of line: String, depth: Int = 0) -> Meaning {
        let text = line.trimmingSpaces
        if text.isEmpty { return .empty }
        if text.hasPrefix("#") { return .comment }
        if text.hasPrefix("??") { return .documentation(String(text.dropFirst(2)).trimmingSpaces, wantsSource: true) }
        if text.hasPrefix("?") { return .documentation(String(text.dropFirst()).trimmingSpaces, wantsSource: false) }
        if text.hasPrefix("import aliases.") { return .importAliases(String(text.dropFirst(15))) }
        let isForced = text.hasPrefix(":")
        let body = isForced ? String(text.dropFirst()).trimmingSpaces : text
        let word = String(body.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" })
        guard !word.isEmpty, word.first?.isLetter ?? false else { return isForced ? .unknown(body) : .script }
        var rest = String(body.dropFirst(word.count))
        if !isForced, let next = rest.first, "=.([".contains(next) || (next != "/" && next != " " && next != "\t") {
            return .script
        }
        if !isForced, Self.assignments.contains(where: rest.trimmingSpaces.hasPrefix) { return .script }
        if depth < 10, let expanded = expansion(of: word, rest) {
            return meaning(of: ":" + expanded, depth: depth + 1)
        }
        let isKnownName = !isForced && scope.names.contains { $0.name == word }
        switch CommandTable.find(word, exactOnly: isKnownName) {
        case .none: return isForced ? .unknown(word) : .script
        case .ambiguous(let names):
            // `st`, say, of nothing else than a command that is not finished.
            return rest.trimmingSpaces.isEmpty || isForced ? .ambiguous(word, names) : .script
        case .command(let command):
            if !isForced, command.isScript(rest) { return .script }
            var modifier = ""
            // `save /tmp/vm` names a file, not a format.
            let isPath = command.argument == .file && rest.first != "/"
            rest = Self.withoutComment(rest).trimmingSpaces
            if !isPath, rest.first == "/", rest.dropFirst().first.map({ !$0.isWhitespace }) ?? false {
                modifier = String(rest.dropFirst().prefix { !$0.isWhitespace })
                rest = String(rest.dropFirst(1 + modifier.count)).trimmingSpaces
            }
            return .command(Invocation(command: command, modifier: modifier, arguments: rest))
        }
    }

    /// What an alias and its arguments stand for; nil if the word is none.
    ///
    /// The name of an alias may have two words, and its text `{}` where the arguments go.
    private func expansion(of word: String, _ rest: String) -> String? {
        let arguments = rest.trimmingSpaces
        let second = arguments.prefix { $0 != " " && $0 != "\t" }
        if !second.isEmpty, let text = aliases["\(word) \(second)"] {
            return Self.filled(text, String(arguments.dropFirst(second.count)))
        }
        return aliases[word].map { Self.filled($0, rest) }
    }

    private static func filled(_ text: String, _ arguments: String) -> String {
        text.contains("{}") ? text.replacing("{}", with: arguments.trimmingSpaces) : text + arguments
    }

    /// What a command is given, without a comment after ` # ` or ` // `.
    private static func withoutComment(_ text: String) -> String {
        var isQuoted = false
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "\""), index == 0 || bytes[index - 1] != UInt8(ascii: "\\") { isQuoted.toggle() }
            guard !isQuoted, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") else { continue }
            let rest = bytes[(index + 1)...]
            if rest.starts(with: "# ".utf8) || rest.starts(with: "// ".utf8) {
                return String(decoding: bytes[..<index], as: UTF8.self)
            }
        }
        return text
    }

    /// After a name, what makes a line vscript.
    private static let assignments = ["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="]

    /// Carries out the lines of a file.
    package func source(_ text: String, named name: String) throws(CommandFailure) {
        guard sourceDepth < 16 else { throw CommandFailure("`\(name)` sources itself") }
        sourceDepth += 1
        defer { sourceDepth -= 1 }
        for entry in entries(of: text) where !isLeaving && !scope.isInterrupted { perform(entry) }
    }

    // MARK: - vscript

    /// Evaluates a text and shows its value.
    private func evaluate(_ text: String) {
        let names = Set(scope.names.map(\.name))
        let before = guests.map { ($0, $0.guest.instructions, $0.guest.digest) }
        defer { for state in before { noteChange(state) } }
        switch scope.evaluate(SourceFile(text, named: "<input>")) {
        case .value(let value, let warnings):
            for warning in warnings { output(.diagnostic(warning)) }
            if let value { output(.value(value, value.text)) }
        case .failed(let diagnostics):
            for diagnostic in diagnostics { output(.diagnostic(diagnostic)) }
        }
        adoptGuests()
        for name in scope.names.map(\.name) where !names.contains(name) {
            if case .command(let command) = CommandTable.find(name, exactOnly: true) {
                output(
                    .text(
                        "note: `\(name)` is also a command (\(command.summary.dropLast().lowercasedFirst)); write `(\(name))` or `p \(name)`"
                    ))
            }
        }
    }

    /// Runs a script in the session's scope; the value of its last statement is not shown.
    func run(_ file: SourceFile) {
        record.add(script: file.text)
        switch scope.evaluate(file) {
        case .value(_, let warnings): for warning in warnings { output(.diagnostic(warning)) }
        case .failed(let diagnostics): for diagnostic in diagnostics { output(.diagnostic(diagnostic)) }
        }
        adoptGuests()
    }

    /// The value of an expression.
    package func value(of expression: String) throws(CommandFailure) -> ResultValue? {
        switch scope.evaluate(SourceFile(expression, named: "<input>")) {
        case .value(let value, let warnings):
            for warning in warnings { output(.diagnostic(warning)) }
            adoptGuests()
            return value
        case .failed(let diagnostics):
            guard let first = diagnostics.first else { throw CommandFailure("the expression has no value") }
            for diagnostic in diagnostics.dropFirst().reversed() { output(.diagnostic(diagnostic)) }
            throw CommandFailure(first)
        }
    }

    /// Tells a guest's history what a text has changed.
    private func noteChange(_ state: (guest: DebuggedGuest, instructions: UInt64, digest: UInt64)) {
        let (target, position) = (state.guest, state.guest.guest.instructions)
        guard position != state.instructions || target.guest.digest != state.digest else { return }
        if position != state.instructions {
            // In the script stop points stop also what the session's statements run.
            let isFree = target.stopPoints.allSatisfy { !$0.isEnabled }
            record.ran(target.name, from: state.instructions, to: position, as: isFree ? "" : nil)
        }
        changed(target)
    }

    // MARK: - Guests

    /// Takes in guests that have been declared.
    package func adoptGuests() {
        for scoped in scope.guests where !guests.contains(where: { $0.guest === scoped.guest }) {
            guests.append(DebuggedGuest(scoped))
            record.changed(scoped.name, at: scoped.guest.instructions)
        }
        if focused == nil, let first = guests.first { focus(first) }
    }

    package func focus(_ guest: DebuggedGuest) {
        focused = guest
        scope.focus = ScopedGuest(name: guest.name, guest: guest.guest, summary: guest.summary)
    }

    /// The guest that a command is about.
    package func guest() throws(CommandFailure) -> DebuggedGuest {
        guard let focused else {
            throw CommandFailure(
                "there is no guest yet",
                notes: ["declare one, as in `guest demo { boot: .long; … }`, or `source` a script"])
        }
        return focused
    }

    /// `demo r3> `, coloured by privilege.
    package var prompt: StyledText {
        guard let focused else { return "vscript> " }
        let ring = focused.guest.cpu.ring
        if focused.isInRoot {
            return StyledText("\(focused.name) ") + StyledText("root", .level(Level.root.rawValue)) + StyledText("> ")
        }
        return StyledText("\(focused.name) ") + StyledText("r\(ring)", .level(ring)) + StyledText("> ")
    }

    /// What is said when a session begins.
    package var banner: [StyledText] {
        let help = "?help   Ctrl-D leaves"
        guard let focused else { return [StyledText("vscript \(Self.version)  no guest yet".padded(to: 65) + help)] }
        let configuration = focused.guest.configuration
        let text =
            "vscript \(Self.version)  \(focused.name) \(focused.summary)  1 cpu, \(ByteSize.text(configuration.memory))"
        return [StyledText(text.padded(to: 65) + help)]
    }

    package static let version = "0.1"
}

/// Where the commands that show a stretch of something go on.
package struct Continuation {
    package var examine: UInt64?
    package var disassemble: UInt64?
    package var list: ListedSource?
}

/// Sizes in bytes as scripts write them.
package enum ByteSize {
    /// A size in the largest unit of which there is one, cut to whole ones.
    package static func rounded(_ bytes: Int) -> String {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] where bytes >= 1 << shift {
            return "\(bytes >> shift) \(unit)"
        }
        return "\(bytes) B"
    }

    package static func text(_ bytes: UInt64) -> String {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        where bytes >= 1 << shift && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift) \(unit)"
        }
        return "\(bytes) B"
    }
}

extension StringProtocol {
    var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
