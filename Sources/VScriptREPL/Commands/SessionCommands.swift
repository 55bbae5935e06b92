import FoundationEssentials
import VirtualMachine

/// The commands about the session itself.
enum SessionCommands {
    static let all: [Command] = [
        Command(
            "guest", ["[NAME]"], "Chooses the guest that commands are about.", method: "guest NAME", group: .session,
            argument: .guest, isScript: { $0.contains("{") || $0.contains(" on ") }
        ) { repl, invocation throws(CommandFailure) in
            if invocation.arguments.isEmpty {
                let target = try repl.guest()
                return repl.output(.text("\(target.name) \(target.summary)"))
            }
            guard let target = repl.guests.last(where: { $0.name == invocation.arguments }) else {
                let names = repl.guests.map(\.name)
                throw CommandFailure(
                    "there is no guest `\(invocation.arguments)`",
                    notes: names.isEmpty ? [] : ["there are \(names.joined(separator: ", "))"])
            }
            repl.focus(target)
            repl.output(.lines([PlaceView(guest: target).current()]))
        },
        Command(
            "cpu", ["[NUMBER]"], "Chooses the processor that commands are about.", method: "guest.cpus[number]",
            group: .session
        ) {
            repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            if !invocation.arguments.isEmpty, invocation.arguments != "0" {
                throw CommandFailure("`\(target.name)` has one processor, 0")
            }
            let cpu = target.guest.cpu
            repl.output(.text("cpu 0: \(cpu.mode), ring \(cpu.ring)"))
        },
        Command(
            "source", ["FILE"], "Carries out a file of lines such as these.", method: "import \"file\" as name",
            group: .session, argument: .file
        ) { repl, invocation throws(CommandFailure) in
            let path = try repl.path(invocation)
            guard let data = FileManager.default.contents(atPath: path) else {
                throw CommandFailure("`\(path)` cannot be read")
            }
            // A snapshot, say, would be thousands of lines of errors.
            guard !data.contains(0), let text = String(bytes: data, encoding: .utf8) else {
                throw CommandFailure("`\(path)` is not a text")
            }
            try repl.source(text, named: path)
        },
        Command(
            "alias", ["", "NAME", "NAME COMMAND"], "Gives a command another name.", method: "alias", group: .session,
            argument: .command
        ) { repl, invocation throws(CommandFailure) in
            try repl.defineAlias(invocation)
        },
        Command(
            "log", ["FILE | off"], "Writes everything that is said to a file as well.",
            method: "file.write(path, text)",
            group: .session, argument: .file
        ) { repl, invocation throws(CommandFailure) in
            if invocation.arguments.isEmpty {
                return repl.output(.text(repl.log.map { "logging to \($0.path)" } ?? "logging is off"))
            }
            if invocation.arguments == "off" {
                repl.log = nil
                return
            }
            let path = try repl.path(invocation)
            guard let log = SessionLog(path: path) else { throw CommandFailure("`\(path)` cannot be written") }
            repl.log = log
        },
        Command(
            "history", ["[COUNT]", "/vscript [FILE]"],
            "Lists what was entered; /vscript makes a script of it that does the same.", method: "history",
            group: .session
        ) { repl, invocation throws(CommandFailure) in
            try repl.showHistory(invocation)
        },
        Command(
            "apropos", ["WORD"], "Finds commands, functions and members whose help has a word.", method: "apropos",
            group: .session
        ) { repl, invocation throws(CommandFailure) in
            try repl.apropos(invocation.arguments)
        },
        Command("help h", ["[COMMAND]"], "Tells what commands do.", method: "help", group: .session, argument: .command)
        {
            repl, invocation throws(CommandFailure) in
            repl.output(.lines(try repl.help(invocation.arguments)))
        },
        Command("quit q exit", "Leaves.", method: "end of the script", group: .session) {
            repl, invocation throws(CommandFailure) in
            repl.leave()
        },
    ]
}

extension REPL {
    /// The path that a command names, with or without quotes; `~` is the home folder.
    func path(_ invocation: Invocation) throws(CommandFailure) -> String {
        try path(invocation.arguments, for: invocation.command.name)
    }

    func path(_ text: String, for command: String) throws(CommandFailure) -> String {
        var path = text
        if path.count > 1, path.hasPrefix("\""), path.hasSuffix("\"") { path = String(path.dropFirst().dropLast()) }
        guard !path.isEmpty else { throw CommandFailure("`\(command)` needs a file") }
        if path.hasPrefix("~/"), let home = ProcessInfo.processInfo.environment["HOME"] {
            path = home + path.dropFirst()
        }
        return path
    }

    /// Writes a file whole or not at all.
    func write(_ text: String, to path: String) throws(CommandFailure) {
        do throws(FileReplacementError) { try FileReplacement.write(text, to: path) } catch {
            throw CommandFailure("`\(path)` cannot be written: \(error.reason)")
        }
    }

    func saveTransitions(_ target: DebuggedGuest, _ text: String) throws(CommandFailure) {
        let path = try path(text, for: "transitions save")
        guard let format = TransitionFormat(path: path) else {
            throw CommandFailure("`\(path)` names no format", notes: ["it ends in .json, .csv, .ndjson or .html"])
        }
        let text: String
        do throws(Interrupted) { text = try target.guest.transitions.exported(as: format) } catch {
            throw CommandFailure("\(error): nothing is written")
        }
        try write(text, to: path)
        record.translate("\(target.name).transitions.save(\(JSONText.string(path)))")
        output(.text("\(target.guest.transitions.rowCount) transitions written to \(path)"))
    }

    func help(_ word: String) throws(CommandFailure) -> [StyledText] {
        guard !word.isEmpty else {
            return Command.Group.allCases.flatMap { group -> [StyledText] in
                let commands = CommandTable.all.filter { $0.group == group }
                guard !commands.isEmpty else { return [] }
                return [StyledText(group.rawValue, .heading)]
                    + commands.map {
                        StyledText("  " + $0.names.joined(separator: " ").padded(to: 20), .command)
                            + StyledText($0.summary)
                    }
            } + [
                "Everything else is vscript, as in `p $rax`, `demo.cpu.ring`, `let n = 2`. `?name` tells about a name."
            ]
        }
        let name = aliases[word].map { String($0.prefix { !$0.isWhitespace }) } ?? word
        switch CommandTable.find(name) {
        case .command(let command): return command.help
        case .ambiguous(let names): throw CommandFailure("`\(word)` may mean \(names.joined(separator: ", "))")
        case .none:
            let guess = Spelling.near(word, in: CommandTable.names)
            throw CommandFailure(
                "there is no command `\(word)`", notes: [guess.map { "did you mean `\($0)`?" } ?? "`help` lists them"])
        }
    }

    /// What `?name` shows: the language's documentation, or the command's help.
    func documentation(of name: String, wantsSource: Bool) throws(CommandFailure) -> [StyledText] {
        if name.isEmpty || name == "help" { return try help("") }
        let path = name.split(separator: ".").map(String.init)
        if wantsSource, let source = scope.source(of: name) {
            return source.split(separator: "\n", omittingEmptySubsequences: false).map { StyledText(String($0)) }
        }
        var lines: [StyledText] = []
        if let text = scope.documentation(of: path) {
            lines += text.split(separator: "\n", omittingEmptySubsequences: false).map { StyledText(String($0)) }
        }
        if case .command(let command) = CommandTable.find(name, exactOnly: !lines.isEmpty) { lines += command.help }
        if lines.isEmpty, let target = focused, let address = target.symbols[name] {
            lines.append(StyledText("\(name) is a symbol of `\(target.name)` at \(Numbers.hex(address))"))
        }
        guard !lines.isEmpty else {
            throw CommandFailure("nothing is known about `\(name)`", notes: ["`apropos \(name)` looks further"])
        }
        return lines
    }

    func apropos(_ word: String) throws(CommandFailure) {
        guard !word.isEmpty else { throw CommandFailure("`apropos` needs a word") }
        let wanted = word.lowercased()
        var lines: [StyledText] = []
        for command in CommandTable.all
        where command.names.contains(where: { $0.contains(wanted) }) || command.summary.lowercased().contains(wanted)
            || command.method.lowercased().contains(wanted)
        {
            lines.append(StyledText(command.name.padded(to: 20), .command) + StyledText(command.summary))
        }
        for (name, summary) in scope.names
        where name.lowercased().contains(wanted) || summary.lowercased().contains(wanted) {
            lines.append(StyledText(name.padded(to: 20), .keyword) + StyledText(summary))
        }
        for guest in guests.prefix(1) {
            for (name, summary) in scope.members(of: [guest.name])
            where name.lowercased().contains(wanted) || summary.lowercased().contains(wanted) {
                lines.append(StyledText("\(guest.name).\(name)".padded(to: 20), .keyword) + StyledText(summary))
            }
        }
        if lines.isEmpty { throw CommandFailure("nothing is known about `\(word)`") }
        output(.lines(lines))
    }

    func defineAlias(_ invocation: Invocation) throws(CommandFailure) {
        let parts = Self.quotedWords(invocation.arguments)
        switch parts.count {
        case 0:
            output(
                .lines(aliases.sorted { $0.key < $1.key }.map { StyledText("\($0.key.padded(to: 12)) \($0.value)") }))
        case 1:
            guard let meaning = aliases[parts[0]] else { throw CommandFailure("there is no alias `\(parts[0])`") }
            output(.text("\(parts[0]) means \(meaning)"))
        case _:
            let meaning = parts.dropFirst().joined(separator: " ")
            let word = String(meaning.prefix { !$0.isWhitespace && $0 != "/" })
            guard case .command = CommandTable.find(word) else {
                throw CommandFailure("there is no command `\(word)` for the alias `\(parts[0])`")
            }
            aliases[parts[0]] = meaning
        }
    }

    /// Words, of which those in quotes may hold spaces.
    static func quotedWords(_ text: String) -> [String] {
        var words: [String] = []
        var current: String?
        var isQuoted = false
        for character in text {
            if character == "\"" {
                isQuoted.toggle()
                current = current ?? ""
            } else if character.isWhitespace && !isQuoted {
                if let word = current { words.append(word) }
                current = nil
            } else {
                current = (current ?? "") + String(character)
            }
        }
        if let word = current { words.append(word) }
        return words
    }

    /// Aliases for the fingers of other debuggers' users.
    func importAliases(_ name: String) throws(CommandFailure) {
        guard let set = AliasSets.all[name] else {
            throw CommandFailure(
                "there are no aliases `\(name)`",
                notes: ["there are \(AliasSets.all.keys.sorted().joined(separator: ", "))"])
        }
        aliases.merge(set) { $1 }
    }

    func showHistory(_ invocation: Invocation) throws(CommandFailure) {
        if invocation.modifier == "vscript" {
            if invocation.arguments.isEmpty { return output(.printed(record.script)) }
            let path = try path(invocation)
            return try write(record.script, to: path)
        }
        let count = invocation.arguments.isEmpty ? 20 : Int(min(try invocation.count(), 1 << 20))
        let first = max(record.entries.count - count, 0)
        output(
            .lines(
                record.entries[first...].enumerated().map { index, entry in
                    StyledText(String(first + index + 1).padded(toRight: 5) + "  ", .faint)
                        + StyledText(ControlCharacters.shown(entry.line))
                }))
    }
}

/// The names that other debuggers have for the commands.
package enum AliasSets {
    package static let all: [String: [String: String]] = [
        // WinDbg: Debugger Reference, Commands.
        "windbg": [
            "t": "step", "p": "next", "g": "continue", "gu": "finish", "k": "bt", "bp": "break", "bl": "info break",
            "bc": "delete", "be": "enable", "bd": "disable", "u": "disas", "db": "x/16bx",
            "dw": "x/16hx", "dd": "x/16wx", "dq": "x/8gx", "da": "x/s", "r": "info registers", "lm": "info symbols",
            "dps": "x/8a", "dqs": "x/8a", "ln": "where", "t-": "rs", "p-": "rn", "g-": "rc",
            "ba w1": "watch {}:1", "ba w2": "watch {}:2", "ba w4": "watch {}:4", "ba w8": "watch {}:8",
            "ba r1": "awatch {}:1", "ba r2": "awatch {}:2", "ba r4": "awatch {}:4", "ba r8": "awatch {}:8",
            "ba e1": "break {}",
        ],
        // Bochs User Manual, section 8.11, Using Bochs internal debugger.
        "bochs": [
            "c": "continue", "s": "step", "n": "next", "p": "next", "b": "break", "lb": "break", "blist": "info break",
            "bpe": "enable", "bpd": "disable", "d": "delete", "r": "info registers", "reg": "info registers",
            "sreg": "info registers cs ss ds es fs gs ldtr tr gdtr idtr", "creg": "info registers cr0 cr2 cr3 cr4 efer",
            "u": "disas", "modebp": "catch transition", "vmexitbp": "catch transition *->root",
            "print-stack": "x/16gx $rsp", "bt": "bt", "page": "walk",
        ],
    ]
}
