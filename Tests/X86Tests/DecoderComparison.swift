import X86

/// What Zydis and the decoder say about the same bytes, and where they disagree.
struct DecoderComparison {
    var ours: DecodeResult
    var theirs: ZydisOracle.Reply?

    /// Where the two disagree, but for what `KnownDifference.all` lists; empty if nowhere.
    var differences: [Difference] { allDifferences.filter { $0.knownReason == nil } }

    private var allDifferences: [Difference] {
        guard let theirs, theirs.isLegacyOrVEX, Self.claims(theirs) else {
            guard case .instruction(let instruction) = ours else { return [] }
            let found = theirs.map { "\($0.mnemonic) of \($0.isaSet)" } ?? "nothing"
            return [Difference(subject: instruction.mnemonic, kind: .validity, detail: "theirs is \(found)")]
        }
        guard case .instruction(let instruction) = ours else {
            return [Difference(subject: theirs.mnemonic, kind: .validity, detail: "ours is \(ours)")]
        }
        var result: [Difference] = []
        func expect(_ isEqual: Bool, _ kind: Difference.Kind, _ detail: @autoclosure () -> String) {
            if !isEqual { result.append(Difference(subject: theirs.mnemonic, kind: kind, detail: detail())) }
        }
        expect(Int(instruction.length) == theirs.length, .length, "\(instruction.length) for \(theirs.length)")
        let mnemonic = instruction.mnemonic
        expect(mnemonic == theirs.mnemonic || Self.synonyms[mnemonic] == theirs.mnemonic, .mnemonic, mnemonic)
        expect(instruction.addressSize == theirs.addressWidth, .size, "address \(instruction.addressSize)")
        let definition = instruction.definition
        expect(
            instruction.operandSize == theirs.operandWidth || !definition.usesOperandSize, .size,
            "operand \(instruction.operandSize)")
        var operands = Array(zip(definition.operands, instruction.operandList))
        // Zydis hides ST(0) where the manuals do not write it
        if Self.x87WithHiddenST0.contains(instruction.operation) && operands.count == 2 { operands.removeFirst() }
        for (index, (form, operand)) in operands.enumerated() {
            let problem =
                index < theirs.operands.count
                ? self.difference(operand, theirs.operands[index], in: instruction) : "missing"
            if let problem { expect(false, .operand, "\(form) \(problem)") }
        }
        if !definition.operands.contains(where: { $0.shape.isImplicit }) {
            expect(
                operands.count == theirs.visibleOperandCount, .operandCount,
                "\(operands.count) for \(theirs.visibleOperandCount)")
        }
        expect(
            theirs.traits.contains(.isPrivileged) == (definition.sensitivity == .privileged), .sensitivity,
            "\(definition.sensitivity)")
        expect(
            theirs.traits.contains(.acceptsRepetition) == definition.repeatable, .repetition, "\(definition.repeatable)"
        )
        let changesCourse = !theirs.traits.isDisjoint(with: [.writesInstructionPointer, .writesSegmentOrControl])
        expect(definition.endsBlock || !changesCourse, .endOfBlock, "\(definition.endsBlock)")
        return result + flagDifferences(definition, theirs)
    }

    private static let x87WithHiddenST0: Set<Operation> = [.fcom, .fcomp, .fucom, .fxch]

    private func difference(
        _ ours: Operand, _ theirs: ZydisOracle.Operand, in instruction: Instruction
    ) -> String? {
        switch (ours.kind, theirs.kind) {
        case (.register, .register):
            if ours.register != theirs.register { return "register \(ours.register) for \(theirs.register)" }
            let isGeneral = ours.register.rawValue < Register.es.rawValue
            return isGeneral && ours.width != theirs.width ? "width \(ours.width) for \(theirs.width)" : nil
        case (.memory, .memory), (.memoryDestination, .memory):
            var memory = instruction.memory
            if ours.kind == .memoryDestination {
                memory = MemoryOperand()
                memory.segment = .es
                memory.base = ours.register
            }
            let mask = UInt64.max >> UInt64(64 - UInt64(instruction.addressSize))
            var expected = theirs.memory
            memory.displacement = Int64(bitPattern: UInt64(bitPattern: memory.displacement) & mask)
            expected.displacement = Int64(bitPattern: UInt64(bitPattern: expected.displacement) & mask)
            if memory != expected { return "memory \(text(memory)) for \(text(expected))" }
            return ours.width == theirs.width ? nil : "width \(ours.width) for \(theirs.width)"
        case (.immediate, .immediate), (.immediate2, .immediate):
            let value = ours.kind == .immediate ? instruction.immediate : instruction.immediate2
            let expected = theirs.immediate & (UInt64.max >> UInt64(64 - UInt64(ours.width)))
            return value == expected ? nil : "value \(value) for \(expected)"
        case (.relative, .immediate):
            return instruction.immediate == theirs.immediate
                ? nil : "target \(Int64(bitPattern: instruction.immediate)) for \(Int64(bitPattern: theirs.immediate))"
        case (.farPointer, .pointer):
            return instruction.immediate == theirs.immediate && instruction.immediate2 == theirs.selector
                ? nil : "pointer"
        case (.none, _), (.register, _), (.memory, _), (.memoryDestination, _), (.immediate, _), (.immediate2, _),
            (.relative, _), (.farPointer, _):
            return "kind \(ours.kind) for \(theirs.kind)"
        }
    }

    private func text(_ memory: MemoryOperand) -> String {
        "\(memory.segment):\(memory.base)+\(memory.index)*\(memory.scale)+\(memory.displacement)"
    }

    private func flagDifferences(_ ours: InstructionDefinition, _ theirs: ZydisOracle.Reply) -> [Difference] {
        // Zydis has one bit for the two of IOPL
        func list(_ flags: FlagSet) -> UInt32 { flags.rawValue & ~0x2000 }
        return [
            (.flagsRead, list(ours.reads), theirs.reads), (.flagsWritten, list(ours.writes), theirs.writes),
            (.flagsUndefined, list(ours.undefined), theirs.undefined),
        ].compactMap { (kind: Difference.Kind, ours: UInt32, zydis: UInt32) in
            let detail = "ours \(names(ours & ~zydis)) theirs \(names(zydis & ~ours))"
            return ours == zydis ? nil : Difference(subject: theirs.mnemonic, kind: kind, detail: detail)
        }
    }

    private func names(_ flags: UInt32) -> String {
        let names = [
            0: "CF", 2: "PF", 4: "AF", 6: "ZF", 7: "SF", 8: "TF", 9: "IF", 10: "DF", 11: "OF", 12: "IOPL",
            14: "NT", 16: "RF", 17: "VM", 18: "AC", 19: "VIF", 20: "VIP", 21: "ID",
        ]
        return "[" + (0..<32).filter { flags >> $0 & 1 != 0 }.map { names[$0] ?? "\($0)" }.joined(separator: " ") + "]"
    }

    /// Whether the table claims to hold an instruction, judged by Zydis's sets.
    private static func claims(_ theirs: ZydisOracle.Reply) -> Bool {
        claimedISASets.contains(theirs.isaSet)
            || (theirs.isaSet == "AMD" && ["syscall", "sysret"].contains(theirs.mnemonic))
            || (theirs.isaSet == "CET" && ["endbr32", "endbr64"].contains(theirs.mnemonic))
    }

    private static let claimedISASets: Set<String> = [
        "ADOX_ADCX", "BMI1", "BMI2", "CLFLUSHOPT", "CLFSH", "CLWB", "CMOV", "CMPXCHG16B", "FAT_NOP", "FCMOV",
        "FXSAVE", "FXSAVE64", "I186", "I286PROTECTED", "I286REAL", "I386", "I486", "I486REAL", "I86", "INVPCID",
        "LAHF", "LONGMODE", "LZCNT", "MONITOR", "MOVBE", "PAUSE", "PENTIUMMMX", "PENTIUMREAL", "POPCNT", "PPRO",
        "PREFETCHWT1", "PREFETCH_NOP", "RDPID", "RDPMC", "RDRAND", "RDSEED", "RDTSCP", "RDWRFSGS", "SMAP", "SSE",
        "SSE2", "SSE2MMX", "SSE3", "SSE3X87", "SSE4", "SSE42", "SSEMXCSR", "SSE_PREFETCH", "SSSE3", "SSSE3MMX",
        "SVM", "VMFUNC", "VTX", "X87", "XSAVE", "XSAVEC", "XSAVEOPT", "XSAVES",
    ]

    /// Zydis's spelling, by NASM's.
    private static let synonyms: [String: String] = [
        "jae": "jnb", "je": "jz", "jne": "jnz", "ja": "jnbe", "jge": "jnl", "jg": "jnle",
        "setae": "setnb", "sete": "setz", "setne": "setnz", "seta": "setnbe", "setge": "setnl", "setg": "setnle",
        "cmovae": "cmovnb", "cmove": "cmovz", "cmovne": "cmovnz", "cmova": "cmovnbe", "cmovge": "cmovnl",
        "cmovg": "cmovnle", "xlatb": "xlat", "pushfw": "pushf", "popfw": "popf", "pushaw": "pusha", "popaw": "popa",
        "iretw": "iret", "retfw": "ret", "retfd": "ret", "retfq": "ret",
        "fstp": "fstpnce", "fneni": "feni8087_nop", "fndisi": "fdisi8087_nop", "fsetpm": "fsetpm287_nop",
    ]
}

extension InstructionDefinition {
    /// Whether the operand size means something.
    var usesOperandSize: Bool {
        Self.silentUsersOfOperandSize.contains(operation)
            || operands.contains { form in
                [form.shape.width, form.shape.memoryWidth, form.shape.encodedWidth]
                    .contains { [.operandSize, .far, .bounds, .environment, .x87State].contains($0) }
            }
    }

    private static let silentUsersOfOperandSize: Set<Operation> = [
        .ret, .retFar, .iret, .pushf, .popf, .pusha, .popa, .enter, .leave, .push, .pop, .lgdt, .lidt, .call, .jmp,
        .jcc, .loop, .loope, .loopne, .jcxz, .cbw, .cwde, .cdqe, .cwd, .cdq, .cqo,
    ]
}
