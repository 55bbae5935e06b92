import FoundationEssentials
import VScriptSyntax

/// Answers the editor: completion, colours, and whether a text is complete.
extension REPL: LineEditorDelegate {
    package func isComplete(_ text: String) -> Bool {
        let first =
            text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? ""
        if case .script = meaning(of: first) { return !parse(SourceFile(text, named: "<input>")).isIncomplete }
        return true
    }

    package func highlighted(_ text: String) -> String? {
        let styled = Highlighter.styled(text, command: commandLength(text))
        return styled.rendered(colours: true)
    }

    /// How many bytes of a text are a command's name.
    private func commandLength(_ text: String) -> Int {
        guard !text.contains("\n"), case .command = meaning(of: text) else { return 0 }
        let blanks = text.prefix { $0 == " " || $0 == ":" }
        return blanks.utf8.count + text.dropFirst(blanks.count).prefix { !$0.isWhitespace && $0 != "/" }.utf8.count
    }

    package func completions(in line: String, word range: Range<Int>) -> [Completion] {
        let bytes = Array(line.utf8)
        guard range.upperBound <= bytes.count else { return [] }
        let before = String(decoding: bytes[..<range.lowerBound], as: UTF8.self)
        let word = String(decoding: bytes[range], as: UTF8.self)
        let start =
            before.split(separator: "\n", omittingEmptySubsequences: false).last.map(String.init)?.trimmingSpaces ?? ""
        if word.hasPrefix("$") || before.hasSuffix("$") { return registers(word) }
        if word.contains("."), !word.hasPrefix("."), !word.hasPrefix("/"), !word.hasPrefix("~") { return members(word) }
        if start.isEmpty || start == ":" || start == "?" || start == "??" {
            return commands(word) + (start == ":" ? [] : names(word))
        }
        if case .command(let invocation) = meaning(of: start + " ") {
            return arguments(of: invocation.command, before: invocation.arguments, word)
        }
        return names(word) + symbols(word) + choices(word, start)
    }

    private func matching(_ candidates: [(String, String)], _ word: String, isFinal: Bool = true) -> [Completion] {
        candidates.filter { $0.0.hasPrefix(word) }.map { Completion($0.0, $0.1, isFinal: isFinal) }
    }

    private func commands(_ word: String) -> [Completion] {
        matching(
            CommandTable.all.flatMap { command in
                command.names.enumerated().filter { $0.offset == 0 || $0.element.count > 2 }.map {
                    ($0.element, command.summary)
                }
            } + aliases.map { ($0.key, $0.value) }, word)
    }

    private func names(_ word: String) -> [Completion] {
        matching(scope.names.map { ($0.name, $0.summary) }, word, isFinal: false)
    }

    private func symbols(_ word: String) -> [Completion] {
        guard let focused else { return [] }
        return focused.symbols.names(withPrefix: word).map { name in
            Completion(name, focused.symbols[name].map { Numbers.hex($0) } ?? "")
        }
    }

    private func registers(_ word: String) -> [Completion] {
        let bare = word.hasPrefix("$") ? String(word.dropFirst()) : word
        let mark = word.hasPrefix("$") ? "$" : ""
        return RegisterSnapshot.names.filter { $0.hasPrefix(bare) }.map { name in
            Completion(mark + name, focused?.guest.cpu[name].map { Numbers.hex($0) } ?? "")
        }
    }

    private func members(_ word: String) -> [Completion] {
        var path = word.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let last = path.removeLast()
        let prefix = path.joined(separator: ".") + "."
        return scope.members(of: path).filter { $0.name.hasPrefix(last) }.map {
            Completion(prefix + $0.name, $0.summary, isFinal: false)
        }
    }

    /// The allowed symbols, after a dot.
    private func choices(_ word: String, _ start: String) -> [Completion] {
        guard word.hasPrefix(".") else { return [] }
        return []
    }

    private func arguments(of command: Command, before: String, _ word: String) -> [Completion] {
        if before.contains(" if ") || before.hasPrefix("if") { return names(word) }
        switch command.argument {
        case .none: return []
        case .location: return symbols(word) + names(word)
        case .expression: return names(word) + symbols(word)
        case .register: return registers(word)
        case .transition:
            return matching(
                [("exit", "to the monitor"), ("entry", "from the monitor"), ("3->0", ""), ("0->3", "")], word)
        case .file: return files(word)
        case .guest: return matching(guests.map { ($0.name, $0.summary) }, word)
        case .command: return commands(word)
        case .breakpoint: return matching(focused?.stopPoints.map { (String($0.number), $0.text) } ?? [], word)
        case .word(let words):
            if command.name == "info" {
                if before.hasPrefix("r") { return registers(word) }
                if !before.isEmpty { return [] }
                return matching(TableCommands.subjects.map { ($0.names[0], $0.summary) }, word)
            }
            return before.isEmpty ? matching(words.map { ($0, "") }, word) : []
        }
    }

    /// Files and folders whose path begins with a text.
    private func files(_ word: String) -> [Completion] {
        let home = ProcessInfo.processInfo.environment["HOME"] ?? "~"
        let slash = word.lastIndex(of: "/")
        let folder = slash.map { String(word[...$0]) } ?? ""
        let beginning = slash.map { String(word[word.index(after: $0)...]) } ?? word
        let place = folder.isEmpty ? "." : folder.hasPrefix("~/") ? home + folder.dropFirst() : folder
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: place) else { return [] }
        return names.filter { $0.hasPrefix(beginning) && (!$0.hasPrefix(".") || beginning.hasPrefix(".")) }.sorted()
            .prefix(500).map { name in
                var isDirectory = false
                _ = FileManager.default.fileExists(atPath: place + "/" + name, isDirectory: &isDirectory)
                return Completion(
                    folder + name + (isDirectory ? "/" : ""), isDirectory ? "folder" : "", isFinal: !isDirectory)
            }
    }
}
