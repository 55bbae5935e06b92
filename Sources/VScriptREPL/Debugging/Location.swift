import VirtualMachine

extension REPL {
    /// The address that a place means: a symbol, a symbol and an offset, a number, or an expression.
    func location(_ text: String, in target: DebuggedGuest) throws(CommandFailure) -> UInt64 {
        let text = text.hasPrefix("*") ? String(text.dropFirst()).trimmingSpaces : text
        if let address = Numbers.parse(text) { return address }
        if let address = target.symbols[text] { return address }
        if let plus = text.lastIndex(of: "+"), let base = target.symbols[String(text[..<plus]).trimmingSpaces],
            let offset = Numbers.parse(String(text[text.index(after: plus)...]).trimmingSpaces)
        {
            return base &+ offset
        }
        if text.hasPrefix("$"), !text.contains(" "), let value = target.guest.cpu[String(text.dropFirst())] {
            return value
        }
        if let colon = text.lastIndex(of: ":"), let number = Numbers.parse(String(text[text.index(after: colon)...])),
            let line = UInt32(exactly: number), colon != text.startIndex
        {
            let file = String(text[..<colon])
            guard let address = target.symbols.addresses(file: file, line: line).first else {
                throw CommandFailure("no code is known to come from \(file):\(line)")
            }
            return address
        }
        findKernelSymbols(target)
        if let address = target.symbols.address(of: text) { return address }
        if text.isIdentifierLike, !scope.names.contains(where: { $0.name == text }) {
            let guesses = Spelling.near(
                text, in: target.symbols.names(withPrefix: String(text.prefix(1)), limit: 5_000))
            throw CommandFailure(
                "the guest has no symbol `\(text)`", notes: guesses.map { ["did you mean `\($0)`?"] } ?? [])
        }
        guard let number = try value(of: text)?.integer, let address = UInt64(truncatingNegative: number) else {
            throw CommandFailure("`\(text)` is not an address")
        }
        return address
    }

    /// A privilege level: a ring's number or `root`; `*` and nothing stand for any.
    func level(_ text: Substring) throws(CommandFailure) -> Level? {
        switch text.lowercased() {
        case "", "*", "any": return nil
        case "root", ".root": return .root
        case let word:
            guard let ring = Int(word), (0...3).contains(ring), let level = Level(rawValue: ring) else {
                throw CommandFailure("`\(word)` is not a privilege level", notes: ["they are 0, 1, 2, 3 and root"])
            }
            return level
        }
    }

    /// The filter of `3->0`, `exit` or `entry`.
    func transitionFilter(_ text: String) throws(CommandFailure) -> EventFilter {
        switch text {
        case "": return .transition()
        case "exit": return .transition(to: .root)
        case "entry": return .transition(from: .root)
        case let words:
            let normal = words.split(separator: "→", omittingEmptySubsequences: false).joined(separator: "->")
            guard let arrow = normal.firstRange(of: "->") else {
                throw CommandFailure(
                    "`\(words)` is not a transition", notes: ["as in `3->0`, `*->root`, `exit` or `entry`"])
            }
            return .transition(
                from: try level(Substring(String(normal[..<arrow.lowerBound]).trimmingSpaces)),
                to: try level(Substring(String(normal[arrow.upperBound...]).trimmingSpaces)))
        }
    }
}

extension UInt64 {
    /// The pattern of a number that may be negative; nil if it has more than 64 bits.
    init?(truncatingNegative number: Int128) {
        guard number >= Int128(Int64.min), number <= Int128(UInt64.max) else { return nil }
        self = UInt64(truncatingIfNeeded: number)
    }
}

extension String {
    /// Whether the text is a name such as symbols have.
    var isIdentifierLike: Bool {
        guard let first, first.isLetter || first == "_" || first == "." else { return false }
        return allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." || $0 == "$" }
    }
}
