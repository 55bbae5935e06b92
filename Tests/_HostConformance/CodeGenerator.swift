import X86

/// Bytes of one instruction that decode to a wanted table row.
struct GeneratedCode {
    var bytes: [UInt8]
    var instruction: Instruction
    /// Where the 4-byte (or moffs: 4- or 8-byte) displacement lies, if there is one that can hold any address.
    var displacement: Range<Int>?
}

/// Makes random encodings of table rows: prefixes, REX, ModRM and SIB forms, immediates.
struct CodeGenerator {
    private let row: Int
    private let mode: CodeMode
    private let definition: InstructionDefinition
    private let shapes: [OperandShape]

    init(row: Int, mode: CodeMode) {
        self.row = row
        self.mode = mode
        definition = InstructionTable.definitions[row]
        shapes = definition.operands.map(\.shape)
    }

    /// An encoding of the row; nil if none was found, as for rows that do not exist in the mode.
    func generate(_ random: inout RandomSource) -> GeneratedCode? {
        for _ in 0..<64 {
            var code = attempt(&random)
            guard case .instruction(let instruction) = decode(code.bytes, mode), Int(instruction.row) == row,
                !dependsOnVendor(instruction, mode)
            else { continue }
            code.instruction = instruction
            code.bytes.removeSubrange(Int(instruction.length)...)
            if let displacement = code.displacement, displacement.upperBound > code.bytes.count {
                code.displacement = nil
            }
            return code
        }
        return nil
    }

    private func attempt(_ random: inout RandomSource) -> GeneratedCode {
        var bytes = definition.isVEX ? vexPrefix(&random) : legacyPrefixes(&random)
        let inOpcode = definition.holdsRegisterInOpcode ? UInt8(random.below(8)) : 0
        bytes.append(definition.opcode &+ inOpcode)
        var displacement: Range<Int>?
        let has67 = bytes.contains(0x67)
        if definition.modRM != .absent {
            displacement = mode == .bits32 && has67 ? appendModRM16(&bytes, &random) : appendModRM(&bytes, &random)
        }
        if shapes.contains(where: { $0.place == .moffs }) {
            let size = mode == .bits64 ? (has67 ? 4 : 8) : (has67 ? 2 : 4)
            displacement = bytes.count..<bytes.count + size
        }
        // More than enough for whatever immediate follows; the decoder says how long it is.
        bytes += immediate(&random)
        let nothing = Instruction(operation: .nop, row: 0, length: 0, operandSize: 0, addressSize: 0)
        return GeneratedCode(bytes: bytes, instruction: nothing, displacement: displacement)
    }

    private func legacyPrefixes(_ random: inout RandomSource) -> [UInt8] {
        var prefixes: [UInt8] = []
        switch definition.prefix {
        case .any, .noRepeat:
            if definition.onlyOperandSize == 16 || random.chance(3) { prefixes.append(0x66) }
        case .x66: prefixes.append(0x66)
        case .xF3: prefixes.append(0xF3)
        case .xF2: prefixes.append(0xF2)
        case .none: break
        }
        if definition.prefix == .any && (definition.repeatable ? !random.chance(3) : random.chance(16)) {
            prefixes.append(random.pick([0xF2, 0xF3]))
        }
        if definition.prefix == .xF2 || definition.prefix == .xF3, random.chance(16) { prefixes.append(0x66) }
        if random.chance(5) { prefixes.append(0x67) }
        // GS has a base in 64-bit code only: its selector is null.
        if mode == .bits64 && random.chance(8) { prefixes.append(0x65) }
        if random.chance(16) { prefixes.append(random.pick([0x26, 0x2E, 0x36, 0x3E])) }
        if definition.lockable && random.chance(3) { prefixes.append(0xF0) }
        for index in prefixes.indices.reversed() { prefixes.swapAt(index, random.below(index + 1)) }
        if mode == .bits64, definition.w != nil || definition.onlyOperandSize == 64 || random.chance(2) {
            var rex = UInt8(random.below(16))
            if let w = definition.w { rex = rex & 7 | (w ? 8 : 0) }
            if definition.onlyOperandSize == 64 { rex |= 8 }
            prefixes.append(0x40 | rex)
        }
        return prefixes + escape
    }

    private var escape: [UInt8] {
        switch definition.map {
        case .primary: []
        case .secondary: [0x0F]
        case .escape38: [0x0F, 0x38]
        case .escape3A: [0x0F, 0x3A]
        }
    }

    private func vexPrefix(_ random: inout RandomSource) -> [UInt8] {
        var prefixes: [UInt8] = []
        if random.chance(5) { prefixes.append(0x67) }
        if mode == .bits64 && random.chance(8) { prefixes.append(0x65) }
        let map: UInt8 = definition.map == .escape38 ? 2 : 3
        let pp: UInt8 =
            switch definition.prefix {
            case .x66: 1
            case .xF3: 2
            case .xF2: 3
            case .any, .none, .noRepeat: 0
            }
        let vvvv = shapes.contains { $0.place == .vvvv } ? UInt8(random.below(16)) : 15
        let w = definition.w ?? random.chance(2)
        // Outside 64-bit mode this byte must not look like the ModRM byte of LES.
        let extensions = mode == .bits64 ? UInt8(random.below(8)) : 6 + UInt8(random.below(2))
        return prefixes + [0xC4, extensions << 5 | map, (w ? 0x80 : 0) | vvvv << 3 | pp]
    }

    private func appendModRM(_ bytes: inout [UInt8], _ random: inout RandomSource) -> Range<Int>? {
        let isRegister: Bool
        switch definition.modRM {
        case .register, .registerWhateverMod: isRegister = true
        case .memory: isRegister = false
        case .any, .absent: isRegister = random.chance(3)
        }
        let reg = definition.digit ?? UInt8(random.below(8))
        let rm = definition.rm ?? UInt8(random.below(8))
        guard !isRegister else {
            bytes.append(0xC0 | reg << 3 | rm)
            return nil
        }
        let mod = UInt8(random.below(3))
        bytes.append(mod << 6 | reg << 3 | rm)
        var base = rm
        if rm == 4 {
            let sib = UInt8(random.below(256))
            bytes.append(sib)
            base = sib & 7
        }
        switch mod {
        case 1:
            bytes.append(UInt8(truncatingIfNeeded: random.next()))
            return nil
        case 2: break
        default: guard base == 5 else { return nil }
        }
        let range = bytes.count..<bytes.count + 4
        // Not too far away, so that a stack pointer that is also the base stays in memory.
        let value = UInt32(bitPattern: Int32(random.below(0x800) - 0x400))
        for shift in [UInt32(0), 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
        return range
    }

    /// The forms of 16-bit addresses; the displacement is left as it comes, for only CR2 shows where it leads.
    private func appendModRM16(_ bytes: inout [UInt8], _ random: inout RandomSource) -> Range<Int>? {
        let isRegister =
            switch definition.modRM {
            case .register, .registerWhateverMod: true
            case .memory: false
            case .any, .absent: random.chance(3)
            }
        let mod: UInt8 = isRegister ? 3 : UInt8(random.below(3))
        let rm = definition.rm ?? UInt8(random.below(8))
        bytes.append(mod << 6 | (definition.digit ?? UInt8(random.below(8))) << 3 | rm)
        let count = mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 6) ? 2 : 0
        for _ in 0..<count { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return nil
    }

    private func immediate(_ random: inout RandomSource) -> [UInt8] {
        let value = random.integer()
        return (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }
}

/// Decodes bytes as code of a mode.
func decode(_ bytes: [UInt8], _ mode: CodeMode) -> DecodeResult {
    bytes.withUnsafeBytes { Decoder.decode($0, mode: mode) }
}
