import VScriptSyntax
import VirtualMachine
import X86

/// Assembles the code of a guest's rings, which can name each other's labels.
struct RingAssembler {
    private let environment: PreparedLayout.Environment

    init(_ environment: PreparedLayout.Environment) { self.environment = environment }

    /// Assembler text that becomes one stretch of bytes.
    private struct Unit {
        let ring: UInt8
        let mode: CodeMode
        let origin: UInt64
        let blocks: [Assembly]

        /// A line break stands between two blocks, so that each begins a statement.
        var source: String { blocks.map(\.source).joined(separator: "\n") }

        /// Where a byte of `source` stands in the script.
        func span(at offset: Int, count: Int) -> SourceSpan {
            var start = 0
            for block in blocks {
                let end = start + block.source.utf8.count
                if offset <= end { return block.span(at: offset - start, count: count) }
                start = end + 1
            }
            return blocks[blocks.count - 1].span
        }

        /// Where the lines of the script begin in assembled code.
        func lines(of code: Assembled) -> [SourceLine] {
            var starts = [0]
            for (offset, byte) in source.utf8.enumerated() where byte == UInt8(ascii: "\n") {
                starts.append(offset + 1)
            }
            var texts: [ObjectIdentifier: SourceText] = [:]
            return code.listing.compactMap { line in
                guard starts.indices.contains(line.line - 1) else { return nil }
                let place = span(at: starts[line.line - 1], count: 1)
                let file = place.file
                let text = texts[ObjectIdentifier(file)] ?? SourceText(name: file.name) { file.text }
                texts[ObjectIdentifier(file)] = text
                return SourceLine(address: line.address, source: text, number: place.startPosition.line)
            }
        }
    }

    /// What the rings of a declaration are, ready to be loaded; their labels get their addresses.
    func prepare(_ rings: [Declaration]) throws -> PreparedGuest {
        let units = try rings.flatMap(units)
        let assembled = try assemble(units)
        let addresses = assembled.reduce(into: [String: UInt64]()) { addresses, unit in
            addresses.merge(unit.labels) { first, _ in first }
        }
        for label in rings.flatMap(\.labels) { label.address = addresses[label.name] }
        let code = zip(units, assembled).map { unit, code in
            PreparedGuest.Code(
                ring: unit.ring, origin: code.origin, bytes: code.bytes,
                labels: code.labels.sorted { $0.value < $1.value }.map { BootSymbol(name: $0.key, address: $0.value) },
                lines: unit.lines(of: code))
        }
        let gates = try rings.flatMap { ring in try ring.children.map { try gate($0, in: number(of: ring)) } }
        let syscall = try rings.first { $0.properties["syscall"] != nil }.map { try address("syscall", of: $0) }
        var stacks: [UInt8: UInt64] = [:]
        for ring in rings where ring.properties["stack"] != nil {
            stacks[number(of: ring)] = try address("stack", of: ring)
        }
        return PreparedGuest(environment, code: code, gates: gates, syscallEntry: syscall, stackTops: stacks)
    }

    private func number(of ring: Declaration) -> UInt8 {
        if case .int(let number) = ring.label { UInt8(truncatingIfNeeded: number) } else { 0 }
    }

    /// The code of a ring: blocks that follow each other, and each one with an address of its own.
    private func units(of ring: Declaration) throws -> [Unit] {
        let number = number(of: ring)
        guard let origin = environment.layout.codeOrigin(ring: number) else {
            throw HostFailure(.bootFailure, "`.\(environment.rawValue)` has no ring \(number)")
        }
        let mode = CodeMode(bits: environment.bits)
        let following = ring.code.filter { $0.origin == nil && $0.bits == nil }
        var units = following.isEmpty ? [] : [Unit(ring: number, mode: mode, origin: origin, blocks: following)]
        for block in ring.code where block.origin != nil || block.bits != nil {
            guard let origin = block.origin else {
                throw Interruption.fault(
                    Fault(
                        HostFailure(.assemblerError, "code with other `bits` needs `at:`, its address"),
                        at: block.span.before))
            }
            units.append(
                Unit(ring: number, mode: block.bits.map(CodeMode.init) ?? mode, origin: origin, blocks: [block]))
        }
        return units
    }

    /// Assembles twice: first with guesses for the others' labels, then with their addresses.
    private func assemble(_ units: [Unit]) throws -> [Assembled] {
        let names = units.map { AssemblyLabels.names(in: $0.source) }
        var addresses: [String: UInt64] = [:]
        for (unit, names) in zip(units, names) { for name in names { addresses[name] = unit.origin } }
        var result: [Assembled] = []
        for _ in 0..<2 {
            result = []
            for (unit, own) in zip(units, names) {
                let external = addresses.filter { !own.contains($0.key) }
                let assembler = Assembler(mode: unit.mode, origin: unit.origin, externalSymbols: external)
                result.append(try Self.assemble(unit.source, assembler) { unit.span(at: $0, count: $1) })
            }
            for code in result { addresses.merge(code.labels) { _, new in new } }
        }
        return result
    }

    /// Assembles a text, and gives its mistakes places in the script.
    static func assemble(_ source: String, _ assembler: Assembler, span: (Int, Int) -> SourceSpan) throws -> Assembled {
        do throws(AssemblyErrors) {
            return try assembler.assemble(source)
        } catch {
            var report: Diagnostic?
            for mistake in error.errors.prefix(10) {
                let place = span(mistake.range.offset, mistake.range.length)
                guard report != nil else {
                    var fixes = mistake.replacement.map { [Diagnostic.Fix.replace(place, with: $0)] } ?? []
                    let before = source.utf8.prefix(mistake.range.offset)
                    if mistake.isProse, let semicolon = before.lastIndex(of: UInt8(ascii: ";")) {
                        let offset = before.distance(from: before.startIndex, to: semicolon)
                        // It is found when the code is assembled, which `vscript fix` does not do.
                        let edit = Diagnostic.Edit(span(offset, 1), "//")
                        fixes = [Diagnostic.Fix("replace with `//`", [edit], isSafe: false)]
                    }
                    report = Diagnostic(
                        ScriptCode.assemblerError, mistake.message, at: place, label: mistake.hint ?? "", fixes: fixes)
                    continue
                }
                report?.labels.append(Diagnostic.Label(place, mistake.message))
            }
            throw Interruption.fault(
                Fault(report ?? Diagnostic(ScriptCode.assemblerError, "the code cannot be assembled")))
        }
    }

    // MARK: - Gates

    private func gate(_ declaration: Declaration, in ring: UInt8) throws -> PreparedGuest.Gate {
        let kind: PreparedGuest.Gate.Kind
        switch declaration.symbol("type") {
        case "trap": kind = .trap
        case "task": kind = .task
        case "call": kind = .call(parameters: UInt8(truncatingIfNeeded: declaration.integer("parameters") ?? 0))
        case _: kind = .interrupt
        }
        guard case .int(let number) = declaration.label else {
            throw HostFailure(.misplacedDeclaration, "a gate is called by a number")
        }
        if declaration.symbol("type") != "call", number > 0xFF {
            throw Interruption.fault(
                Fault(
                    HostFailure(
                        .bootFailure, "\(number) is no vector: those of the IDT are 0...255",
                        notes: ["a call gate (`type: .call`) is called by its selector in the GDT"]),
                    at: declaration.header))
        }
        return PreparedGuest.Gate(
            kind, number: UInt16(truncatingIfNeeded: number), ring: ring,
            handler: try address("handler", of: declaration),
            privilege: UInt8(truncatingIfNeeded: declaration.integer("dpl") ?? 0),
            interruptStack: UInt8(truncatingIfNeeded: declaration.integer("ist") ?? 0))
    }

    /// An address that a property gives by number or label.
    private func address(_ name: String, of declaration: Declaration) throws -> UInt64 {
        if let label = declaration.object(name) as? CodeLabel {
            guard let address = label.address else {
                throw Interruption.fault(
                    Fault(
                        HostFailure(.assemblerError, "the code has no label `\(label.name)`"),
                        at: declaration.span(of: name)))
            }
            return address
        }
        guard let number = declaration.integer(name), let address = UInt64(exactly: number) else {
            throw Interruption.fault(
                Fault(HostFailure(.outOfRange, "`\(name)` is not an address"), at: declaration.span(of: name)))
        }
        return address
    }
}

extension CodeMode {
    /// The mode of code of a width, 16, 32 or 64 bits.
    init(bits: Int) {
        self = bits == 16 ? .bits16 : bits == 32 ? .bits32 : .bits64
    }
}

extension Assembly {
    /// The instructions that its bytes are.
    func disassembled() throws -> ListingObject {
        let bytes = try assembled().bytes
        return ListingObject(
            DisassembledInstruction.all(in: bytes, at: origin ?? 0, mode: CodeMode(bits: bits ?? 64)))
    }

    /// The bytes and labels of the code on its own.
    func assembled() throws -> Assembled {
        try RingAssembler.assemble(source, Assembler(mode: CodeMode(bits: bits ?? 64), origin: origin ?? 0)) {
            span(at: $0, count: $1)
        }
    }
}
