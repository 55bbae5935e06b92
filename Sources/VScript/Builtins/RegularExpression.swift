/// A compiled pattern of RE2's subset, matched in time linear in the text.
///
/// Literals, `.`, `[…]`, `\d \w \s \b` and their opposites, `^ $`, groups, `|`, `* + ? {m,n}` and their lazy
/// forms. Works on Unicode scalars. No back-references, so that no pattern can run away.
package final class RegularExpression: Sendable {
    package let pattern: String
    fileprivate let program: [Instruction]
    private let groupCount: Int

    /// A step of the automaton.
    enum Instruction: Sendable {
        case scalars(ScalarSet)
        case split(first: Int, second: Int)
        case jump(Int)
        case save(Int)
        case assert(Assertion)
        case match
    }

    enum Assertion: Sendable { case textStart, textEnd, wordBoundary, noWordBoundary }

    /// A set of characters as ranges.
    struct ScalarSet: Sendable {
        var ranges: [ClosedRange<UInt32>]
        var isNegated = false

        func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } != isNegated }
    }

    /// Where a match lies: for each group its scalars' offsets, the whole match first.
    package typealias Match = [Range<Int>?]

    /// Compiles a pattern; the message of the error says what is wrong with it.
    package init(_ pattern: String) throws(HostFailure) {
        self.pattern = pattern
        var parser = PatternParser(pattern)
        program = try parser.compile()
        groupCount = parser.groupCount + 1
    }

    /// How many steps one piece of fuel pays for.
    private static let stepsPerFuel = 8
    /// How much fuel is paid at once.
    private static let fuelSlice = 512

    /// The leftmost match at or after an offset.
    package func firstMatch(in text: [UInt32], from start: Int = 0) -> Match? {
        firstMatch(in: text, from: start) { _ in }
    }

    /// The leftmost match at or after an offset; `pay` is told what the steps cost.
    func firstMatch(in text: [UInt32], from start: Int = 0, pay: (Int) throws -> Void) rethrows -> Match? {
        var current = ThreadList(capacity: program.count)
        var next = ThreadList(capacity: program.count)
        var found: [Int]?
        var position = start
        var steps = 0
        let unset = [Int](repeating: -1, count: groupCount * 2)
        while true {
            if found == nil { add(0, unset, to: &current, at: position, in: text) }
            if current.threads.isEmpty { break }
            steps += current.threads.count
            if steps >= Self.stepsPerFuel * Self.fuelSlice {
                try pay(steps / Self.stepsPerFuel)
                steps = 0
            }
            next.clear()
            let scalar = position < text.count ? text[position] : nil
            threads: for thread in current.threads {
                switch program[thread.counter] {
                case .scalars(let set):
                    if let scalar, set.contains(scalar) {
                        add(thread.counter + 1, thread.slots, to: &next, at: position + 1, in: text)
                    }
                case .match:
                    found = thread.slots
                    break threads
                case .split, .jump, .save, .assert: break
                }
            }
            swap(&current, &next)
            if scalar == nil { break }
            position += 1
        }
        try pay(steps / Self.stepsPerFuel)
        return found.map { slots in
            (0..<groupCount).map {
                slots[$0 * 2] >= 0 && slots[$0 * 2 + 1] >= 0 ? slots[$0 * 2]..<slots[$0 * 2 + 1] : nil
            }
        }
    }

    /// Looks for the end of a match in a text that comes one character after the other.
    package struct Scanner {
        private let regex: RegularExpression
        private var seeds: [Int] = [0]
        private var previous: UInt32?

        fileprivate init(_ regex: RegularExpression) { self.regex = regex }

        /// Takes a character; true if a match ends right after it.
        package mutating func feed(_ scalar: UInt32) -> Bool {
            let before = previous.map { [$0, scalar] } ?? [scalar]
            var list = ThreadList(capacity: regex.program.count)
            for seed in seeds { regex.add(seed, [], to: &list, at: before.count - 1, in: before) }
            seeds = list.threads.compactMap { thread in
                if case .scalars(let set) = regex.program[thread.counter], set.contains(scalar) {
                    thread.counter + 1
                } else {
                    nil
                }
            }
            seeds.append(0)
            previous = scalar
            // That a match may also begin later is of no interest to whether one ends here.
            var after = ThreadList(capacity: regex.program.count)
            for seed in seeds.dropLast() { regex.add(seed, [], to: &after, at: 1, in: [scalar]) }
            return after.threads.contains { thread in
                if case .match = regex.program[thread.counter] { true } else { false }
            }
        }
    }

    /// A scanner at the start of a text.
    package func scanner() -> Scanner { Scanner(self) }

    fileprivate struct ThreadList {
        var threads: [(counter: Int, slots: [Int])] = []
        /// For each step the generation it was last followed in: clearing takes no time.
        private var generations: [Int]
        private var generation = 1

        init(capacity: Int) { generations = [Int](repeating: 0, count: capacity) }

        mutating func clear() {
            generation += 1
            threads.removeAll(keepingCapacity: true)
        }

        /// Notes that a step is followed; false if it was already.
        mutating func insert(_ counter: Int) -> Bool {
            defer { generations[counter] = generation }
            return generations[counter] != generation
        }
    }

    /// Follows the steps that read nothing, in order of preference, without recursion.
    fileprivate func add(_ counter: Int, _ slots: [Int], to list: inout ThreadList, at position: Int, in text: [UInt32])
    {
        var pending = [(counter, slots)]
        while let (counter, slots) = pending.popLast() {
            guard list.insert(counter) else { continue }
            switch program[counter] {
            case .jump(let target): pending.append((target, slots))
            case .split(let first, let second):
                pending.append((second, slots))
                pending.append((first, slots))
            case .save(let slot):
                var slots = slots
                if slots.indices.contains(slot) { slots[slot] = position }
                pending.append((counter + 1, slots))
            case .assert(let assertion):
                if holds(assertion, at: position, in: text) { pending.append((counter + 1, slots)) }
            case .scalars, .match: list.threads.append((counter, slots))
            }
        }
    }

    private func holds(_ assertion: Assertion, at position: Int, in text: [UInt32]) -> Bool {
        func isWord(_ index: Int) -> Bool { text.indices.contains(index) && PatternParser.word.contains(text[index]) }
        switch assertion {
        case .textStart: return position == 0
        case .textEnd: return position == text.count
        case .wordBoundary: return isWord(position - 1) != isWord(position)
        case .noWordBoundary: return isWord(position - 1) == isWord(position)
        }
    }
}

/// Reads a pattern and writes its automaton.
private struct PatternParser {
    typealias Instruction = RegularExpression.Instruction
    typealias ScalarSet = RegularExpression.ScalarSet

    private let pattern: [UInt32]
    private var position = 0
    private var depth = 0
    private(set) var groupCount = 0

    static let digit = ScalarSet(ranges: [48...57])
    static let word = ScalarSet(ranges: [48...57, 65...90, 95...95, 97...122])
    static let space = ScalarSet(ranges: [9...13, 32...32])
    private static let sizeLimit = 20_000

    init(_ pattern: String) { self.pattern = pattern.unicodeScalars.map(\.value) }

    mutating func compile() throws(HostFailure) -> [Instruction] {
        let body = try alternatives()
        guard position == pattern.count else { throw failure("unmatched `)`") }
        return [.save(0)] + body + [.save(1), .match]
    }

    private func failure(_ message: String) -> HostFailure {
        HostFailure(.malformedPattern, "malformed pattern: \(message)", notes: ["at character \(position + 1)"])
    }

    private func at(_ character: Character) -> Bool {
        position < pattern.count && pattern[position] == character.unicodeScalars.first?.value
    }

    private mutating func eat(_ character: Character) -> Bool {
        guard at(character) else { return false }
        position += 1
        return true
    }

    /// Code whose jumps are relative to its own start is moved by adding to their targets.
    private static func moved(_ code: [Instruction], by offset: Int) -> [Instruction] {
        code.map { instruction in
            switch instruction {
            case .split(let first, let second): .split(first: first + offset, second: second + offset)
            case .jump(let target): .jump(target + offset)
            case .scalars, .save, .assert, .match: instruction
            }
        }
    }

    /// Reads alternatives; targets count from 1, since the whole begins with a `save`.
    private mutating func alternatives() throws(HostFailure) -> [Instruction] {
        Self.moved(try relativeAlternatives(), by: 1)
    }

    private mutating func relativeAlternatives() throws(HostFailure) -> [Instruction] {
        depth += 1
        defer { depth -= 1 }
        guard depth < 100 else { throw failure("nested too deeply") }
        var code = try sequence()
        while eat("|") {
            let right = try sequence()
            let end = code.count + right.count + 2
            code =
                [.split(first: 1, second: code.count + 2)] + Self.moved(code, by: 1) + [.jump(end)]
                + Self.moved(right, by: code.count + 2)
            try checkSize(code)
        }
        return code
    }

    private func checkSize(_ code: [Instruction]) throws(HostFailure) {
        if code.count > Self.sizeLimit { throw failure("the pattern is too large") }
    }

    private mutating func sequence() throws(HostFailure) -> [Instruction] {
        var code: [Instruction] = []
        while position < pattern.count, !at("|"), !at(")") {
            let piece = try repeated(try atom())
            code += Self.moved(piece, by: code.count)
            try checkSize(code)
        }
        return code
    }

    private mutating func repeated(_ atom: [Instruction]) throws(HostFailure) -> [Instruction] {
        var code = atom
        while true {
            let bounds: (Int, Int?)
            if eat("*") {
                bounds = (0, nil)
            } else if eat("+") {
                bounds = (1, nil)
            } else if eat("?") {
                bounds = (0, 1)
            } else if at("{"), let found = counted() {
                bounds = found
            } else {
                return code
            }
            let isLazy = eat("?")
            guard bounds.0 <= bounds.1 ?? .max, max(bounds.0, bounds.1 ?? 0) <= 1_000 else {
                throw failure("the repetition is out of range")
            }
            guard let expanded = Self.expand(code, bounds, isLazy: isLazy) else {
                throw failure("the pattern is too large")
            }
            code = expanded
        }
    }

    private static func expand(_ code: [Instruction], _ bounds: (Int, Int?), isLazy: Bool) -> [Instruction]? {
        guard code.count * max(bounds.0, bounds.1 ?? 0, 1) <= sizeLimit else { return nil }
        func split(_ inside: Int, _ outside: Int) -> Instruction {
            isLazy ? .split(first: outside, second: inside) : .split(first: inside, second: outside)
        }
        var result: [Instruction] = []
        for _ in 0..<bounds.0 { result += moved(code, by: result.count) }
        guard let upper = bounds.1 else {
            let start = result.count
            return result + [split(start + 1, start + code.count + 2)] + moved(code, by: start + 1) + [.jump(start)]
        }
        let end = result.count + (upper - bounds.0) * (code.count + 1)
        for _ in bounds.0..<upper {
            result += [split(result.count + 1, end)] + moved(code, by: result.count + 1)
        }
        return result
    }

    /// Reads `{m}`, `{m,}` or `{m,n}`; anything else is a plain brace.
    private mutating func counted() -> (Int, Int?)? {
        let start = position
        position += 1
        func number(_ parser: inout PatternParser) -> Int? {
            var value: Int?
            while parser.position < parser.pattern.count, Self.digit.contains(parser.pattern[parser.position]) {
                value = min((value ?? 0) * 10 + Int(parser.pattern[parser.position] - 48), 100_000)
                parser.position += 1
            }
            return value
        }
        if let lower = number(&self) {
            if eat("}") { return (lower, lower) }
            if eat(",") {
                let upper = number(&self)
                if eat("}") { return (lower, upper) }
            }
        }
        position = start
        return nil
    }

    private mutating func atom() throws(HostFailure) -> [Instruction] {
        if eat("(") {
            var group: Int?
            if eat("?") {
                guard eat(":") else { throw failure("only `(?:` may follow `(`") }
            } else {
                groupCount += 1
                group = groupCount
            }
            let body = try relativeAlternatives()
            guard eat(")") else { throw failure("`(` is never closed") }
            return group.map { [.save($0 * 2)] + Self.moved(body, by: 1) + [.save($0 * 2 + 1)] } ?? body
        }
        if eat(".") { return [.scalars(ScalarSet(ranges: [10...10], isNegated: true))] }
        if eat("^") { return [.assert(.textStart)] }
        if eat("$") { return [.assert(.textEnd)] }
        if eat("[") { return [.scalars(try bracketed())] }
        if at("*") || at("+") || at("?") { throw failure("nothing to repeat") }
        if eat("\\") {
            if eat("b") { return [.assert(.wordBoundary)] }
            if eat("B") { return [.assert(.noWordBoundary)] }
            return [.scalars(try escape())]
        }
        position += 1
        return [.scalars(ScalarSet(ranges: [pattern[position - 1]...pattern[position - 1]]))]
    }

    /// Reads what follows a backslash.
    private mutating func escape() throws(HostFailure) -> ScalarSet {
        guard position < pattern.count, let scalar = Unicode.Scalar(pattern[position]) else {
            throw failure("a backslash ends the pattern")
        }
        position += 1
        func one(_ value: UInt32) -> ScalarSet { ScalarSet(ranges: [value...value]) }
        switch Character(scalar) {
        case "d": return Self.digit
        case "w": return Self.word
        case "s": return Self.space
        case "D": return ScalarSet(ranges: Self.digit.ranges, isNegated: true)
        case "W": return ScalarSet(ranges: Self.word.ranges, isNegated: true)
        case "S": return ScalarSet(ranges: Self.space.ranges, isNegated: true)
        case "n": return one(10)
        case "r": return one(13)
        case "t": return one(9)
        case "x":
            let digits = pattern[position...].prefix(2).compactMap(Unicode.Scalar.init).map(Character.init)
            guard digits.count == 2, let value = UInt32(String(digits), radix: 16) else {
                throw failure("`\\x` needs two digits")
            }
            position += 2
            return one(value)
        case let character where character.isLetter || character.isNumber:
            throw failure("unknown escape `\\\(character)`")
        case _: return one(scalar.value)
        }
    }

    private mutating func bracketed() throws(HostFailure) -> ScalarSet {
        var set = ScalarSet(ranges: [], isNegated: eat("^"))
        var isFirst = true
        while !at("]") || isFirst {
            guard position < pattern.count else { throw failure("`[` is never closed") }
            isFirst = false
            let lower = try member()
            guard !lower.isNegated, lower.ranges.count == 1, let first = lower.ranges.first, first.count == 1, at("-"),
                position + 1 < pattern.count, pattern[position + 1] != 93
            else {
                set.ranges += lower.isNegated ? Self.complement(lower.ranges) : lower.ranges
                continue
            }
            position += 1
            guard let upper = try member().ranges.first, first.lowerBound <= upper.upperBound else {
                throw failure("a range of characters ends before it begins")
            }
            set.ranges.append(first.lowerBound...upper.upperBound)
        }
        position += 1
        return set
    }

    private mutating func member() throws(HostFailure) -> ScalarSet {
        if eat("\\") { return try escape() }
        position += 1
        return ScalarSet(ranges: [pattern[position - 1]...pattern[position - 1]])
    }

    private static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        return result + [next...0x10FFFF]
    }
}
