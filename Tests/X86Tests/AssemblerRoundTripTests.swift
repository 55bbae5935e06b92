import Testing
import X86
import _SeededNumbers

/// What the disassembler writes assembles to an instruction that decodes to the same thing.
@Suite struct AssemblerRoundTripTests {
    @Test(arguments: CodeMode.allCases)
    func textOfDecodedBytesAssemblesToTheSameInstruction(mode: CodeMode) throws {
        var random = SeededNumbers(20)
        var failures: [String] = []
        var rows: Set<UInt16> = []
        for definition in InstructionTable.definitions {
            for _ in 0..<12 {
                let bytes = Self.randomBytes(for: definition, &random, mode)
                guard let first = Self.decode(bytes, mode), !Self.isBeyondText(first) else { continue }
                rows.insert(first.row)
                let text = InstructionFormatter(mode: mode).text(of: first, at: Self.address)
                do {
                    let assembled = try Assembler(mode: mode, origin: Self.address).assemble(text).bytes
                    let second = Self.decode(assembled, mode)
                    if let second, Int(second.length) == assembled.count, Self.agree(first, second, mode) { continue }
                    failures.append("\(bytes.prefix(Int(first.length))): \(text) becomes \(assembled)")
                } catch {
                    failures.append("\(bytes.prefix(Int(first.length))): \(text): \(error)")
                }
            }
        }
        #expect(failures == [])
        #expect(rows.count > 950)
    }

    private static let address: UInt64 = 0x1000

    private static func decode(_ bytes: [UInt8], _ mode: CodeMode) -> Instruction? {
        bytes.withUnsafeBytes { bytes in
            if case .instruction(let instruction) = Decoder.decode(bytes, mode: mode) { instruction } else { nil }
        }
    }

    /// The opcode of a row with now and then a prefix before and anything behind it.
    private static func randomBytes(
        for row: InstructionDefinition, _ random: inout SeededNumbers, _ mode: CodeMode
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        let prefixes: [UInt8] = [0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x64, 0x65]
        while random.next() % 3 == 0 { bytes.append(prefixes[Int(random.next() % 8)]) }
        let mandatory: [MandatoryPrefix: (byte: UInt8, vex: UInt8)] = [
            .x66: (0x66, 1), .xF3: (0xF3, 2), .xF2: (0xF2, 3),
        ]
        let anything = UInt8(truncatingIfNeeded: random.next())
        if row.isVEX {
            bytes += [0xC4, anything & 0xE0 | (row.map == .escape38 ? 2 : 3)]
            bytes.append(UInt8(truncatingIfNeeded: random.next()) & 0xF8 | (mandatory[row.prefix]?.vex ?? 0))
        } else {
            if let prefix = mandatory[row.prefix] { bytes.append(prefix.byte) }
            if mode == .bits64, row.w == true || anything & 1 == 0 {
                bytes.append(0x40 | anything >> 4 | (row.w == true ? 8 : 0))
            }
            let escapes: [OpcodeMap: [UInt8]] = [
                .secondary: [0x0F], .escape38: [0x0F, 0x38], .escape3A: [0x0F, 0x3A],
            ]
            bytes += escapes[row.map] ?? []
        }
        bytes.append(row.holdsRegisterInOpcode ? row.opcode | anything & 7 : row.opcode)
        if row.modRM != .absent {
            var modRM = UInt8(truncatingIfNeeded: random.next())
            if row.modRM == .register { modRM |= 0xC0 }
            if row.modRM == .memory, modRM >= 0xC0 { modRM &= 0x7F }
            if let digit = row.digit { modRM = modRM & 0xC7 | digit << 3 }
            if let rm = row.rm { modRM = modRM & 0xF8 | rm }
            bytes.append(modRM)
        }
        for _ in 0..<10 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return Array(bytes.prefix(15))
    }

    /// A jump with needless prefixes reaches where its shortest form cannot; XCHG of a register with itself is NOP.
    private static func isBeyondText(_ instruction: Instruction) -> Bool {
        let isShort = instruction.definition.operands == [.Jb] && instruction.length > 2
        return isShort || instruction.operation == .xchg && instruction.operands.0 == instruction.operands.1
    }

    /// Whether two instructions do the same, however they are encoded.
    private static func agree(_ first: Instruction, _ second: Instruction, _ mode: CodeMode) -> Bool {
        first.operation == second.operation && first.condition == second.condition
            && words(of: first, mode) == words(of: second, mode)
            && operands(of: first) == operands(of: second) && memory(of: first) == memory(of: second)
            && immediate(of: first) == immediate(of: second) && first.immediate2 == second.immediate2
    }

    /// Prefixes and mnemonic.
    private static func words(of instruction: Instruction, _ mode: CodeMode) -> [Substring] {
        let words = InstructionFormatter(mode: mode).text(of: instruction, at: address).split(separator: " ")
        let mnemonic = words.firstIndex { $0 == instruction.mnemonic } ?? 0
        return Array(words[...mnemonic])
    }

    private static func memory(of instruction: Instruction) -> MemoryOperand {
        var memory = instruction.memory
        if memory.base == .none, memory.index != .none {
            // [rax*1] is [rax], [rax*2] is [rax+rax]
            if memory.scale == 1 { (memory.base, memory.index) = (memory.index, .none) }
            if memory.scale == 2 { (memory.base, memory.scale) = (memory.index, 1) }
        }
        // Without registers only the bits of the address size count
        if memory.base == .none, memory.index == .none, instruction.addressSize < 64 {
            memory.displacement &= 1 << Int64(instruction.addressSize) - 1
        }
        // What is relative has to reach the same address
        if memory.base.class == .instructionPointer { memory.displacement &+= Int64(instruction.length) }
        return memory
    }

    private static func operands(of instruction: Instruction) -> [Operand] {
        var operands = instruction.operandList
        // Where a jump goes matters, not how long it is
        for index in operands.indices where operands[index].kind == .relative { operands[index].width = 0 }
        // Registers of vectors tell their width; a selector in a wider register is extended with zeros
        for index in operands.indices where operands[index].register.class == .xmm { operands[index].width = 0 }
        if instruction.operation == .mov, operands[1].register.class == .segment, operands[0].width > 32 {
            operands[0] = Operand(
                kind: .register, register: .general(operands[0].register.number, width: 32), width: 32)
        }
        // The order of two exchanged registers does not matter
        guard instruction.operation == .xchg else { return operands }
        return operands.sorted { $0.register.rawValue < $1.register.rawValue }
    }

    private static func immediate(of instruction: Instruction) -> UInt64 {
        guard instruction.operandList.contains(where: { $0.kind == .relative }) else { return instruction.immediate }
        let target = instruction.immediate &+ UInt64(instruction.length)
        switch instruction.operandSize {
        case 16: return target & 0xFFFF
        case 32: return target & 0xFFFF_FFFF
        default: return target
        }
    }
}
