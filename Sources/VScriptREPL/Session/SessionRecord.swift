import VScriptSyntax

/// What was entered in a session, from which `history /vscript` makes a script.
///
/// The script brings each guest to the same states. Where a statement of the language may come out elsewhere than the
/// command did (an interrupted run, steps through exits), the script goes by the number of instructions.
package struct SessionRecord {
    /// What an entry did.
    package enum Deed: Equatable, Sendable {
        /// The same as a statement of the language does.
        case statement(String)
        /// A guest ran to a moment.
        case reach(guest: String, position: UInt64)
        /// A guest was brought to a moment that its history knows.
        case recall(guest: String, position: UInt64)
    }

    package struct Entry: Sendable {
        package var line: String
        /// Nothing for commands that only look.
        package var deeds: [Deed] = []
        /// Where guests began to run.
        fileprivate var departures: [(guest: String, position: UInt64)] = []
        /// Where guests began, or have become others than a run makes them.
        fileprivate var changes: [(guest: String, position: UInt64)] = []
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    mutating func add(line: String) { entries.append(Entry(line: line)) }
    package mutating func add(script: String) { entries.append(Entry(line: script, deeds: [.statement(script)])) }

    /// Says which statement the last command was.
    package mutating func translate(_ script: String) { last { $0.deeds.append(.statement(script)) } }

    /// Says that the last entry has run a guest from a moment, with the statement that does the same; without one the
    /// script goes to the moment that the guest has come to.
    mutating func ran(_ guest: String, from start: UInt64, to position: UInt64, as statement: String?) {
        last { entry in
            entry.departures.append((guest, start))
            if let statement {
                if !statement.isEmpty { entry.deeds.append(.statement(statement)) }
            } else {
                entry.deeds.append(.reach(guest: guest, position: position))
            }
        }
    }

    /// Says that the last entry has brought a guest to a moment that its history knows.
    mutating func recalled(_ guest: String, to position: UInt64) {
        last { $0.deeds.append(.recall(guest: guest, position: position)) }
    }

    /// Says that a guest has begun, or that the last entry has changed it, at a moment.
    mutating func changed(_ guest: String, at position: UInt64) { last { $0.changes.append((guest, position)) } }

    /// Whether the last run of a guest was written as a statement: what it has met has then been reported there too.
    func ranByStatement(_ guest: String) -> Bool {
        for entry in entries.reversed() {
            for deed in entry.deeds.reversed() {
                switch deed {
                case .statement: if entry.departures.contains(where: { $0.guest == guest }) { return true }
                case .reach(let name, _), .recall(let name, _): if name == guest { return false }
                }
            }
        }
        return true
    }

    private mutating func last(_ change: (inout Entry) -> Void) {
        guard !entries.isEmpty else { return }
        change(&entries[entries.count - 1])
    }

    // MARK: - The script

    /// The session as a script; what only looked is a comment.
    package var script: String {
        let moments = keptMoments
        var text = entries.contains { !$0.deeds.allSatisfy(\.isStatement) } ? Self.helper : ""
        for (index, entry) in entries.enumerated() {
            let statements = entry.deeds.enumerated().compactMap { number, deed -> String? in
                switch deed {
                case .statement(let statement): return statement
                case .reach(let guest, let position): return "reach(\(guest), \(position))"
                case .recall(let guest, let position):
                    guard let moment = moments.uses[Use(entry: index, deed: number)] else { return nil }
                    return "\(guest).restore(\(moment)); reach(\(guest), \(position))"
                }
            }
            let comment = entry.line.split(separator: "\n", omittingEmptySubsequences: false).map { "// \($0)" }
            if statements.count == 1, statements[0] != entry.line, comment.count == 1 {
                text += "\(statements[0])    \(comment[0])\n"
            } else {
                let isCommented = statements.first != entry.line
                for line in (isCommented ? comment : []) + statements { text += line + "\n" }
            }
            for (guest, name) in moments.names[index] ?? [] { text += "let \(name) = \(guest).snapshot()\n" }
        }
        return text
    }

    /// Stops on the way are those of the session's stop points, and do not end it here.
    private static let helper = """
        fn reach(guest, position) {      // runs to a moment, past all stops on the way
          var tries = 0
          while guest.instructions < position && tries < 16 {
            let before = guest.instructions
            if guest.run(instructions: position - before).reason == .crashed { break }
            tries = if guest.instructions == before { tries + 1 } else { 0 }
          }
        }

        """

    private struct Use: Hashable { var entry, deed: Int }

    /// The moments that the script must keep to come back to: their names by the entry after which they are kept, and by
    /// who comes back.
    private var keptMoments: (names: [Int: [(guest: String, name: String)]], uses: [Use: String]) {
        var names: [Int: [(guest: String, name: String)]] = [:]
        var uses: [Use: String] = [:]
        var known: [String: [(position: UInt64, entry: Int)]] = [:]
        var count = 0
        for (index, entry) in entries.enumerated() {
            for (guest, position) in entry.departures {
                // What was changed later than here is not met on this way.
                known[guest]?.removeAll { $0.position > position }
            }
            for (number, deed) in entry.deeds.enumerated() {
                guard case .recall(let guest, let position) = deed,
                    let moment = known[guest]?.last(where: { $0.position <= position })
                else { continue }
                let given = names[moment.entry]?.first { $0.guest == guest }?.name
                if given == nil { count += 1 }
                let name = given ?? "moment\(count)"
                if given == nil { names[moment.entry, default: []].append((guest, name)) }
                uses[Use(entry: index, deed: number)] = name
            }
            for (guest, position) in entry.changes {
                known[guest]?.removeAll { $0.position > position }
                known[guest, default: []].append((position, index))
            }
        }
        return (names, uses)
    }
}

extension SessionRecord.Deed {
    fileprivate var isStatement: Bool { if case .statement = self { true } else { false } }
}

extension SourceFile {
    /// The text with registers (`$rax`) as members of a guest's processor, which they are outside the session; those in
    /// handlers belong to their events.
    func text(naming guest: String) -> String {
        var registers: [Range<Int>] = []
        func visit(_ node: SyntaxNode) {
            switch node.kind {
            case .handler: break
            case .register: registers.append(node.span.range)
            case _: for child in node.children { visit(child) }
            }
        }
        visit(parse(self).root)
        var result: [UInt8] = []
        var position = 0
        for range in registers {
            result += bytes[position..<range.lowerBound] + "\(guest).cpu.".utf8
            position = range.lowerBound + 1
        }
        return String(decoding: result + bytes[position...], as: UTF8.self)
    }
}
