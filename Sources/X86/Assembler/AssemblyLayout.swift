/// Gives every statement its address and bytes.
///
/// The source is passed over until no symbol moves. Every pass uses for symbols that come later the values of the pass
/// before; the first takes them as near as can be. Nearly always the sizes settle after a few passes. If not,
/// instructions whose length still changes take their long form for good, and in the end all do.
struct AssemblyLayout {
    /// Where a statement came from and where it went.
    struct Placement {
        var source: Range<Int>
        var output: Range<Int>
        var mode: CodeMode
    }

    private let statements: [AssemblyStatement]
    private let symbols: [AssemblySymbolEntry]
    private let maximumSize: Int
    private let origin: Int64

    private(set) var bytes: [UInt8] = []
    private(set) var start: Int64
    private(set) var placements: [Placement] = []
    private(set) var mistakes: [SourceMistake] = []

    private var values: [AssemblyValue?]
    /// The length of every statement in the pass before.
    private var lengths: [Int]
    /// The bytes of instructions that are the same in every pass.
    private var fixedBytes: [[UInt8]?]
    /// True for statements whose length kept changing: they take the long form.
    private var isWidened: [Bool]
    private var hasMoved = false
    private var widensChanged = false
    private var moved: Int?
    private var current = 0
    private(set) var here: Int64

    private static let passesBeforeWidening = 8
    private static let passesBeforeWideningAll = 40
    private static let maximumPasses = 48

    init(_ parser: AssemblyParser, origin: UInt64, maximumSize: Int) {
        statements = parser.statements
        symbols = parser.symbols.entries
        self.maximumSize = maximumSize
        self.origin = Int64(bitPattern: origin)
        start = self.origin
        here = self.origin
        values = symbols.map { entry in
            if case .external(let address) = entry.definition { .opaque(address) } else { nil }
        }
        lengths = Array(repeating: 0, count: statements.count)
        fixedBytes = Array(repeating: nil, count: statements.count)
        isWidened = Array(repeating: false, count: statements.count)
    }

    var labels: [String: UInt64] { named { if case .label = $0 { true } else { false } } }
    var constants: [String: UInt64] { named { if case .constant = $0 { true } else { false } } }

    private func named(_ isWanted: (AssemblySymbolEntry.Definition) -> Bool) -> [String: UInt64] {
        var result: [String: UInt64] = [:]
        for (entry, value) in zip(symbols, values) where isWanted(entry.definition) {
            if let value { result[entry.name] = UInt64(bitPattern: value.bits) }
        }
        return result
    }

    // MARK: - Passes

    mutating func run() {
        for pass in 0..<Self.maximumPasses {
            if pass == Self.passesBeforeWideningAll { isWidened = isWidened.map { _ in true } }
            hasMoved = false
            widensChanged = pass >= Self.passesBeforeWidening
            guard runPass() else { return }
            if !hasMoved { return }
        }
        if let moved {
            let symbol = symbols[moved]
            mistakes.append(SourceMistake(symbol.range, "the value of `\(symbol.name)` does not settle"))
        }
    }

    /// Lays everything out once; false if that cannot be continued.
    private mutating func runPass() -> Bool {
        bytes.removeAll(keepingCapacity: true)
        placements.removeAll(keepingCapacity: true)
        mistakes.removeAll()
        start = origin
        for index in statements.indices {
            current = index
            here = start &+ Int64(bytes.count)
            let before = bytes.count
            do throws(SourceMistake) {
                try place(statements[index])
            } catch {
                bytes.removeSubrange(before...)
                if mistakes.count < SourceMistake.most { mistakes.append(error) }
            }
            lengths[index] = bytes.count - before
            if bytes.count > before {
                let statement = statements[index]
                placements.append(
                    Placement(source: statement.range, output: before..<bytes.count, mode: statement.mode))
            }
            if bytes.count > maximumSize { return false }
        }
        return true
    }

    private mutating func define(_ symbol: Int, _ value: AssemblyValue) {
        if let old = values[symbol], old.bits == value.bits, old.addressTerms == value.addressTerms,
            old.isOpaque == value.isOpaque, old.isForward == value.isForward
        {
            return
        }
        values[symbol] = value
        hasMoved = true
        moved = symbol
    }

    private mutating func place(_ statement: AssemblyStatement) throws(SourceMistake) {
        switch statement.kind {
        case .label(let symbol):
            define(symbol, .address(here))
        case .constant(let symbol, let expression):
            var value = try expression.evaluateNumber(self)
            value.isLiteral = false
            define(symbol, value)
        case .origin(let expression):
            let value = try number(expression, purpose: "the origin")
            guard bytes.isEmpty else {
                throw SourceMistake(statement.range, "`org` must come before the first instruction")
            }
            start = value
            here = value
        case .align(let boundary, let fill):
            try align(to: boundary, fill: fill, statement)
        case .instruction, .data, .reserve:
            try placeRepeatedly(statement)
        }
    }

    /// A number that must be known before the statement can be placed.
    private func number(_ expression: AssemblyExpression, purpose: String) throws(SourceMistake) -> Int64 {
        let value = try expression.evaluateNumber(self)
        if value.isForward {
            throw SourceMistake(expression.range, "\(purpose) must not depend on what is defined later")
        }
        return value.bits
    }

    private mutating func align(
        to boundary: AssemblyExpression, fill: AssemblyStatement.Kind, _ statement: AssemblyStatement
    ) throws(SourceMistake) {
        let value = try number(boundary, purpose: "the boundary")
        guard value > 0, value & (value - 1) == 0 else {
            throw SourceMistake(boundary.range, "\(value) is not a power of two")
        }
        let gap = (0 &- here) & (value - 1)
        guard gap > 0 else { return }
        try requireRoom(count: gap, unit: 1, at: boundary.range)
        let before = bytes.count
        try placeOnce(fill, statement, at: here)
        guard bytes.count == before + 1 else {
            throw SourceMistake(statement.range, "what fills the gap must be one byte long")
        }
        bytes.append(contentsOf: repeatElement(bytes[before], count: Int(truncatingIfNeeded: gap) - 1))
    }

    // MARK: - Repetition

    private mutating func placeRepeatedly(_ statement: AssemblyStatement) throws(SourceMistake) {
        guard let expression = statement.count else { return try placeOnce(statement.kind, statement, at: here) }
        let count = try number(expression, purpose: "the count")
        guard count >= 0 else { throw SourceMistake(expression.range, "the count is negative: \(count)") }
        guard count > 0 else { return }
        let before = bytes.count
        try placeOnce(statement.kind, statement, at: here)
        let first = Array(bytes[before...])
        guard count > 1, !first.isEmpty else { return }
        try requireRoom(count: count, unit: first.count, at: expression.range)
        try placeOnce(statement.kind, statement, at: here &+ Int64(first.count))
        let rest = Int(truncatingIfNeeded: count) - 2
        if bytes[(before + first.count)...].elementsEqual(first) {
            // The same bytes at two addresses: they do not depend on the address
            for _ in 0..<rest { bytes.append(contentsOf: first) }
            return
        }
        for _ in 0..<rest {
            try placeOnce(statement.kind, statement, at: start &+ Int64(bytes.count))
            if bytes.count > maximumSize { throw tooLarge(at: expression.range) }
        }
    }

    private func requireRoom(count: some BinaryInteger, unit: Int, at range: Range<Int>) throws(SourceMistake) {
        let room = (maximumSize - bytes.count) / unit + 1
        if count > room { throw tooLarge(at: range) }
    }

    private func tooLarge(at range: Range<Int>) -> SourceMistake {
        SourceMistake(range, "the output would be larger than \(maximumSize) bytes")
    }

    // MARK: - One statement

    private mutating func placeOnce(
        _ kind: AssemblyStatement.Kind, _ statement: AssemblyStatement, at address: Int64
    ) throws(SourceMistake) {
        switch kind {
        case .instruction(let instruction):
            try placeInstruction(instruction, statement, at: address)
        case .data(let unit, let items):
            for item in items { try placeItem(item, unit: unit, statement) }
        case .reserve(let unit, let expression):
            let count = try number(expression, purpose: "the count")
            guard count >= 0 else { throw SourceMistake(expression.range, "the count is negative: \(count)") }
            try requireRoom(count: count, unit: unit, at: expression.range)
            bytes.append(contentsOf: repeatElement(0, count: Int(truncatingIfNeeded: count) * unit))
        case .label, .constant, .align, .origin:
            break
        }
        if bytes.count > maximumSize { throw tooLarge(at: statement.range) }
    }

    private mutating func placeInstruction(
        _ instruction: AssemblyInstruction, _ statement: AssemblyStatement, at address: Int64
    ) throws(SourceMistake) {
        if let encoded = fixedBytes[current] {
            bytes.append(contentsOf: encoded)
            return
        }
        let translator = InstructionTranslator(instruction, mode: statement.mode)
        var encoded = try translator.encode(at: address, isWidened: isWidened[current], symbols: self)
        if widensChanged, !isWidened[current], statement.count == nil, encoded.count != lengths[current] {
            isWidened[current] = true
            encoded = try translator.encode(at: address, isWidened: true, symbols: self)
        }
        if instruction.isFixed { fixedBytes[current] = encoded }
        bytes.append(contentsOf: encoded)
    }

    private mutating func placeItem(
        _ item: AssemblyDataItem, unit: Int, _ statement: AssemblyStatement
    ) throws(SourceMistake) {
        switch item {
        case .string(let text):
            bytes.append(contentsOf: text)
            bytes.append(contentsOf: repeatElement(0, count: (unit - text.count % unit) % unit))
        case .uninitialized:
            bytes.append(contentsOf: repeatElement(0, count: unit))
        case .float(let spelling, let range):
            guard let encoded = FloatingPointLiteral.encode(spelling, bytes: unit) else {
                throw SourceMistake(range, "a floating-point number can only stand in `dd`, `dq` and `dt`")
            }
            bytes.append(contentsOf: encoded)
        case .expression(let expression):
            let value = try expression.evaluateNumber(self).bits
            guard unit <= 8 else {
                throw SourceMistake(expression.range, "`dt` holds floating-point numbers", hint: "write \(value).0")
            }
            let bits = Int64(unit * 8)
            guard unit == 8 || value >= -(1 << bits) && value < 1 << bits else {
                throw SourceMistake(expression.range, "\(value) does not fit in \(bits) bits")
            }
            for index in 0..<Int64(unit) { bytes.append(UInt8(truncatingIfNeeded: value >> (index * 8))) }
        }
    }
}

extension AssemblyLayout: AssemblySymbolValues {
    func value(ofSymbol index: Int, at range: Range<Int>) throws(SourceMistake) -> AssemblyValue {
        let entry = symbols[index]
        if case .missing = entry.definition { throw missing(entry.name, at: range) }
        var value = values[index] ?? .address(here)
        if values[index] == nil, case .constant = entry.definition {
            value = AssemblyValue(0)
            value.isLiteral = false
        }
        if entry.statement > current { value.isForward = true }
        return value
    }

    private func missing(_ name: String, at range: Range<Int>) -> SourceMistake {
        let defined = symbols.lazy.filter { if case .missing = $0.definition { false } else { true } }.map(\.name)
        guard mistakes.count < Suggestions.mistakesWithSuggestion else {
            return SourceMistake(range, "`\(name)` is not defined")
        }
        let near = Suggestions.nearest(to: name, in: Array(defined) + RegisterNames.all)
        return SourceMistake(
            range, "`\(name)` is not defined", hint: near.map { "did you mean `\($0)`?" }, replacement: near)
    }
}
