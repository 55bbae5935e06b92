import Testing
import X86

/// NASM assembles the text of decoded instructions; what it makes must decode to the same instruction again.
@Suite struct InstructionReassemblyTests {
    private static let slotSize = 32

    @Test(arguments: CodeMode.allCases)
    func textReassemblesToAnEquivalentInstruction(mode: CodeMode) throws {
        let nasm = try NASM()
        let formatter = InstructionFormatter(mode: mode)
        var strings = ByteStrings(seed: 3)
        var instructions: [Instruction] = []
        while instructions.count < 30_000 {
            guard let instruction = strings.next(mode: mode).decoded(mode) else { continue }
            instructions.append(instruction)
        }
        let bits = mode == .bits16 ? 16 : mode == .bits32 ? 32 : 64
        func text(_ slot: Int, _ instruction: Instruction) -> String {
            formatter.text(of: instruction, at: UInt64(slot * Self.slotSize))
        }
        // A first pass finds what NASM has no words for
        let lines = try nasm.assemble(instructions.enumerated().map(text), bits: bits)
        var refused: [String: String] = [:]
        for (index, instruction) in instructions.enumerated() where lines[index] == nil {
            guard !Self.isUnknownToNASM(instruction) else { continue }
            refused[instruction.mnemonic] = text(index, instruction)
        }
        #expect(refused.isEmpty, "\(refused.values.sorted())")

        instructions = zip(instructions, lines).compactMap { $1 == nil ? nil : $0 }
        let source = instructions.enumerated().map { slot, instruction in
            "times \(slot * Self.slotSize)-($-$$) nop\n" + text(slot, instruction)
        }
        let code = try #require(try nasm.assemble(source: "bits \(bits)\n" + source.joined(separator: "\n")))
        var different: [String: String] = [:]
        for (slot, instruction) in instructions.enumerated() {
            let start = slot * Self.slotSize
            let again = Array(code[start..<min(code.count, start + 15)]).decoded(mode)
            let before = Meaning(of: instruction, at: start)
            let after = again.map { Meaning(of: $0, at: start) }
            if after != before {
                different["\(instruction.operation)"] =
                    text(slot, instruction) + " became " + (again.map { text(slot, $0) } ?? "nothing")
                    + " \(before) \(String(describing: after))"
            }
        }
        #expect(different.isEmpty, "\(different.count):\n\(different.values.sorted().joined(separator: "\n"))")
    }

    /// Encodings that processors have and NASM has no text for.
    private static func isUnknownToNASM(_ instruction: Instruction) -> Bool {
        switch instruction.operation {
        // The result is undefined by the manuals
        case .bswap: instruction.operandSize == 16
        // A word extended to a word
        case .movzx, .movsx: instruction.operandSize == 16 && instruction.operands.1.width == 16
        // NASM extends to 64 bits only
        case .movsxd: instruction.operandSize != 64
        default: false
        }
    }
}

extension [UInt8] {
    fileprivate func decoded(_ mode: CodeMode) -> Instruction? {
        guard case .instruction(let instruction) = withUnsafeBytes({ Decoder.decode($0, mode: mode) }) else {
            return nil
        }
        return instruction
    }
}

/// What two encodings must have in common to do the same.
private struct Meaning: Equatable {
    var operation: Operation
    var condition: UInt8
    var operands: [Operand]
    var repetition: Prefixes
    var memory: MemoryOperand
    var immediate: UInt64
    var immediate2: UInt64
    var operandSize: UInt8
    var addressSize: UInt8

    init(of instruction: Instruction, at address: Int) {
        operation = instruction.operation
        condition = instruction.condition
        operands = instruction.operandList
        let definition = instruction.definition
        let compares = operation == .cmps || operation == .scas
        repetition = instruction.prefixes.intersection([.lock, .repeatEqual, .repeatNotEqual])
        if !definition.repeatable { repetition.subtract([.repeatEqual, .repeatNotEqual]) }
        if !compares && repetition.contains(.repeatNotEqual) { repetition = .repeatEqual }
        let next = UInt64(address) &+ UInt64(instruction.length)
        immediate = instruction.immediate
        if operands.contains(where: { $0.kind == .relative }) {
            immediate = masked(immediate &+ next, instruction.operandSize)
            operands[0].width = 0
        }
        immediate2 = instruction.immediate2
        for index in operands.indices {
            // Some moves have an encoding for a part of the register and one for all of it
            if operands[index].register.class == .xmm { operands[index].width = 128 }
            // What is zero-extended to 32 bits is so to 64 bits alike: selectors, and immediates that fit
            let isSelector = operation == .sldt || operation == .str || definition.operands.contains(.Sw)
            let isShort = operation == .mov && operands.contains { $0.kind == .immediate } && immediate >> 32 == 0
            if (isSelector || isShort) && operands[index].width == 64 && operands[index].kind != .memory {
                operands[index] = Operand(
                    kind: operands[index].kind, register: operands[index].register.low32, width: 32)
            }
        }
        let usesAddress =
            operands.contains { $0.kind == .memory || $0.kind == .memoryDestination } || operation == .jcxz
            || operation == .loop || operation == .loope || operation == .loopne
        addressSize = usesAddress ? instruction.addressSize : 0
        // SLDT and its like show it by the register and do not use it for memory
        let showsSize = definition.operands.first == .RvMw || operation == .nop || operation == .mov
        operandSize = definition.usesOperandSize && !showsSize ? instruction.operandSize : 0
        if operation == .xchg || operation == .test {
            operands.sort { ($0.kind.rawValue, $0.register.rawValue) < ($1.kind.rawValue, $1.register.rawValue) }
        }
        memory = instruction.memory
        memory.normalize(size: instruction.addressSize, next: next)
        if operation == .lea { memory.segment = .ds }
    }
}

private func masked(_ value: UInt64, _ size: UInt8) -> UInt64 { size == 64 ? value : value & (1 << UInt64(size) - 1) }

extension Register {
    fileprivate var low32: Register { self.class == .general64 ? .general(number, width: 32) : self }
}

extension MemoryOperand {
    /// Rewrites the expression in the one way of several that address the same bytes.
    fileprivate mutating func normalize(size: UInt8, next: UInt64) {
        var offset = UInt64(bitPattern: displacement)
        if base == .rip || base == .eip { (offset, base) = (offset &+ next, .none) }
        displacement = Int64(bitPattern: masked(offset, size))
        // [r*2] and [r+r], [r*1] and [r], [a+b*1] and [b+a*1]
        if base == .none && scale == 2 { (base, scale) = (index, 1) }
        if base == .none && scale == 1 { (base, index) = (index, .none) }
        if scale == 1 && index.rawValue < base.rawValue { (base, index) = (index, base) }
    }
}
