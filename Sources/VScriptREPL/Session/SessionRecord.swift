/// What was entered in a session, from which `history /vscript` makes a script.
package struct SessionRecord {
    package struct Entry: Sendable {
        package var line: String
        /// The statement of the language that does the same; nil for commands that only look.
        package var script: String?
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    mutating func add(line: String, method: String) { entries.append(Entry(line: line, script: nil)) }
    mutating func add(script: String) { entries.append(Entry(line: script, script: script)) }

    /// Says which statement the last command was.
    package mutating func translate(_ script: String) {
        guard !entries.isEmpty else { return }
        entries[entries.count - 1].script = script
    }

    /// The session as a script; what only looked is a comment.
    package var script: String {
        entries.map { entry in
            guard let script = entry.script else { return "// \(entry.line)" }
            return script == entry.line ? script : "\(script)    // \(entry.line)"
        }.map { $0 + "\n" }.joined()
    }
}
