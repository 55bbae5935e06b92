import VScriptSyntax
import X86

// What code in a ring cannot do there.

/// The ring whose body is being checked.
struct CheckedRing {
    let number: Int
    /// The width of its code: 32 or 64 bits.
    let bits: Int
    /// The line that introduces it.
    let header: SourceSpan
}

extension Resolver {
    /// The ring of a declaration in a guest; nil for ring 0, for other kinds, and in scripts that see to exceptions,
    /// where a fault is likely to be what the script is about.
    func checkedRing(_ syntax: DeclarationSyntax) -> CheckedRing? {
        guard syntax.kind?.text == "ring", case .number(let number) = syntax.label, let ring = Int(number.span.text),
            1...3 ~= ring, let bits = guestBits, !syntax.node.tree.seesToExceptions
        else { return nil }
        return CheckedRing(number: ring, bits: bits, header: syntax.header)
    }

    /// The width of the code that a guest's rings hold, if its body says what it boots; what it was for other kinds.
    func bits(of syntax: DeclarationSyntax) -> Int? {
        guard syntax.kind?.text == "guest" else { return guestBits }
        for case .property(let property) in syntax.body?.statements ?? [] where property.name?.text == "boot" {
            guard case .symbol(let symbol) = property.value else { return nil }
            return symbol.name == "long" ? 64 : symbol.name == "protected" ? 32 : nil
        }
        return nil
    }

    /// Warns of instructions that fault in the ring whose body is being checked.
    mutating func checkPrivileges(_ assembly: AssemblySyntax) {
        guard let ring else { return }
        for case .text(let span) in assembly.segments {
            for statement in AssemblyLabels.statements(in: span) {
                guard let need = Self.need(of: statement.text, ring.bits) else { continue }
                let handler = "on exception(.GP) { event.stop() }"
                diagnostics.append(
                    Diagnostic(
                        ScriptCode.faultingInstruction, "`\(statement.text)` faults at ring \(ring.number)",
                        at: statement, label: "#GP(0): \(need)",
                        notes: ["if that is the lesson, catch it: `on exception(.GP) { … }`"],
                        fixes: [
                            Diagnostic.Fix(
                                "end the run there with `\(handler)`",
                                [Diagnostic.Edit(ring.header.before, "\(handler)\n")], isSafe: false)
                        ], severity: .warning))
            }
        }
    }

    /// What the instructions need that are privileged in some form, or that IOPL guards.
    ///
    /// IOPL is 0 in the environments that rings are put into. SDM vol. 3 section 5.9; vol. 1 section 19.5.1.
    private static let needs: [String: String] = {
        let guarded = Set(["cli", "sti", "in", "out", "ins", "outs"])
        // HLT ends many a program, on purpose.
        let privileged = InstructionTable.definitions.filter { $0.sensitivity == .privileged && $0.operation != .hlt }
        return Dictionary(
            privileged.map { row in
                let name = "\(row.operation)"
                return (name, guarded.contains(name) ? "IOPL is 0" : "it needs ring 0")
            }, uniquingKeysWith: { first, _ in first })
    }()

    /// What a statement needs to execute without a fault; nil if nothing of the kind is known.
    private static func need(of statement: String, _ bits: Int) -> String? {
        let mnemonic = statement.prefix { $0 != " " && $0 != "\t" }.lowercased()
        let mode = CodeMode(bits: bits)
        // A letter for the size may follow: `insb`, `sysretq`.
        guard let need = needs[mnemonic] ?? needs[String(mnemonic.dropLast())],
            let code = try? Assembler(mode: mode, origin: 0).assemble(statement),
            case .instruction(let instruction) = code.bytes.withUnsafeBytes({ Decoder.decode($0, mode: mode) }),
            InstructionTable.definitions[Int(instruction.row)].sensitivity == .privileged
        else { return nil }
        return need
    }
}

extension SyntaxTree {
    /// Whether the script names exceptions, or has a gate for #GP.
    fileprivate var seesToExceptions: Bool {
        var previous = ""
        for token in tokens {
            let text = file.text(token.range)
            if token.kind == .identifier, text == "exception" { return true }
            if previous == "gate", ["13", "0xd", "0x0d"].contains(text.lowercased()) { return true }
            previous = text
        }
        return false
    }
}

extension AssemblyLabels {
    /// The statements of assembler text, without labels and comments.
    fileprivate static func statements(in text: SourceSpan) -> [SourceSpan] {
        var statements: [SourceSpan] = []
        var start = text.start
        for line in text.text.utf8.split(omittingEmptySubsequences: false, whereSeparator: { $0 == UInt8(ascii: "\n") })
        {
            let code = String(line)?.split(separator: "//", omittingEmptySubsequences: false).first ?? ""
            var offset = start
            for part in code.utf8.split(omittingEmptySubsequences: false, whereSeparator: { $0 == UInt8(ascii: ";") }) {
                var first = offset
                var rest = part
                func skipBlanks() {
                    let blanks = rest.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.count
                    (rest, first) = (rest.dropFirst(blanks), first + blanks)
                }
                skipBlanks()
                if let colon = rest.firstIndex(of: UInt8(ascii: ":")), String(rest[..<colon])?.isIdentifier == true {
                    first += rest[...colon].count
                    rest = rest[rest.index(after: colon)...]
                    skipBlanks()
                }
                while let last = rest.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") {
                    rest.removeLast()
                }
                if !rest.isEmpty { statements.append(SourceSpan(text.file, first..<first + rest.count)) }
                offset += part.count + 1
            }
            start += line.count + 1
        }
        return statements
    }
}
