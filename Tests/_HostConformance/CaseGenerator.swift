import X86

/// Makes cases of one table row: an encoding, and registers and memory that give it something to do.
package struct CaseGenerator {
    private let code: CodeGenerator
    private let mode: CodeMode
    let definition: InstructionDefinition
    var random: RandomSource

    /// nil if the row is not to be executed: see `Exclusions.swift`.
    package init?(row: Int, mode: CodeMode, seed: UInt64) {
        definition = InstructionTable.definitions[row]
        guard definition.mode != (mode == .bits64 ? .not64 : .only64), isTestable(definition) else { return nil }
        self.mode = mode
        code = CodeGenerator(row: row, mode: mode)
        random = RandomSource(seed: seed &+ UInt64(row) &* 0x1_0000_0001)
    }

    /// The next case; nil if no encoding of the row exists.
    package mutating func next() -> Case? {
        guard var generated = code.generate(&random) else { return nil }
        var experiment = Case()
        experiment.mode = mode
        experiment.state.rip = TestMemory.code.address + 0x800 + UInt64(random.below(0x400))
        for number in 0..<16 { experiment.state.registers[number] = random.integer() }
        experiment.state.registers[4] = stackPointer()
        experiment.state.flags = random.next() & (RFLAGSMask.status | RFLAGSMask.DF)
        if random.chance(24) { experiment.state.flags |= RFLAGSMask.AC }
        fillFloatingPoint(&experiment.state)
        aimControlTransfer(&generated, &experiment)
        aimMemory(&generated, &experiment)
        adjust(&generated, &experiment)
        if mode == .bits32 {
            for number in 0..<8 { experiment.state.registers[number] &= 0xFFFF_FFFF }
        }
        experiment.code = generated.bytes
        experiment.latitude = latitude(
            generated.instruction, experiment.state, address: linearAddress(generated.instruction, experiment.state))
        return experiment
    }

    // MARK: - Addresses

    /// Mostly inside the first pages, sometimes at their edges, rarely anywhere.
    private mutating func stackPointer() -> UInt64 {
        let base = TestMemory.low.address
        switch random.below(32) {
        case 0: return random.integer()
        case 1: return base + UInt64(random.below(24))
        case 2: return TestMemory.readOnly.address + UInt64(random.below(48)) - 16
        case 3, 4, 5: return base + 0x400 + UInt64(random.below(0x2000))
        default: return base + 0x400 + UInt64(random.below(0x400)) * 8
        }
    }

    /// A linear address for `size` bytes of data; below 4 GiB if `narrow`.
    private mutating func dataAddress(size: Int, narrow: Bool, aligned: Bool) -> UInt64 {
        let low = TestMemory.low
        let edge = UInt64(random.below(size + 1))
        switch random.below(40) {
        case 0: return low.address &- edge
        case 1: return TestMemory.readOnly.address &- edge
        case 2: return TestMemory.readOnly.address + UInt64(random.below(0x800))
        case 3: return TestMemory.readOnly.address + 0x1000 - edge
        case 4, 5, 6: return low.address + 0x1000 &- edge
        case 7 where !narrow: return random.integer()
        // Only what is accessed at once: parts of larger operands fault in an order of the processor's own.
        case 8 where !narrow && (size <= 8 || (aligned && size == 16)): return 0x7FFF_FFFF_FFFF &- edge
        case 9...14 where !narrow:
            return TestMemory.high.address + align(UInt64(random.below(0x1000)), aligned)
        default: return low.address + 0x200 + align(UInt64(random.below(0x2000)), aligned)
        }
    }

    private mutating func align(_ offset: UInt64, _ aligned: Bool) -> UInt64 {
        aligned ? (random.chance(16) ? offset : offset & ~63) : (random.chance(2) ? offset & ~7 : offset)
    }

    /// Chooses registers, or the displacement where there is none, so that the memory operand lies where it can be
    /// looked at.
    private mutating func aimMemory(_ generated: inout GeneratedCode, _ experiment: inout Case) {
        var operands = operandList(generated.instruction)
        let hasMemory = operands.contains { $0.kind == .memory } || definition.operands.contains(.M)
        if definition.repeatable { experiment.state.registers[1] = repeatCount() }
        guard hasMemory else { return }
        if operands.isEmpty { operands = [.none] }
        let size = max(operands.filter { $0.kind == .memory }.map { Int($0.width) / 8 }.max() ?? 1, 1)
        let narrow = generated.instruction.addressSize < 64
        let isAligned =
            definition.operands.contains { $0.shape.isAligned }
            || definition.operands.contains(.M512) || definition.operands.contains(.Mxsave)
        var target = dataAddress(size: size, narrow: narrow, aligned: isAligned)
        if generated.instruction.memory.segment == .gs { target &-= TestMemory.gsBase }
        aim(&generated, &experiment.state, at: target)
        if definition.operands.contains(where: { $0.shape.place == .sourceIndex })
            && definition.operands.contains(where: { $0.shape.place == .destinationIndex })
        {
            aimStringDestination(generated.instruction, &experiment.state, size: size, narrow: narrow)
        }
        patchOperand(generated.instruction, &experiment, size: size)
    }

    private mutating func repeatCount() -> UInt64 {
        let count = random.chance(8) ? 0 : UInt64(random.below(random.chance(8) ? 300 : 12))
        // The upper half only counts with a 64-bit address size.
        return count
    }

    private mutating func aimStringDestination(
        _ instruction: Instruction, _ state: inout MachineState, size: Int, narrow: Bool
    ) {
        // Near each other, so that they overlap, or apart.
        let near = state.registers[6] &+ UInt64(bitPattern: Int64(random.below(33) - 16))
        var target = random.chance(4) ? near : dataAddress(size: size, narrow: narrow, aligned: false)
        if narrow && mode == .bits64 { target = target & 0xFFFF_FFFF | random.next() << 32 }
        state.registers[7] = target
    }

    private mutating func aim(_ generated: inout GeneratedCode, _ state: inout MachineState, at target: UInt64) {
        let memory = generated.instruction.memory
        // The upper halves of registers do not exist for 32-bit code.
        let hasNoise = generated.instruction.addressSize == 32 && mode == .bits64
        var displacement = UInt64(bitPattern: memory.displacement)
        if memory.base == .rip || memory.base == .eip || (memory.base == .none && memory.index == .none) {
            let origin = memory.base == .none ? 0 : state.rip &+ UInt64(generated.bytes.count)
            setDisplacement(&generated, target &- origin)
            return
        }
        var index: UInt64 = 0
        if memory.index != .none && memory.index.number != memory.base.number || memory.base == .none {
            let wanted = memory.base == .none ? (target &- displacement) / UInt64(memory.scale) : 0
            let number = memory.index.number
            if memory.base == .none {
                state.registers[number] = wanted
                return
            }
            if memory.index.class != .general8 && random.chance(2) {
                state.registers[number] = UInt64(random.below(512))
            }
            index = value(of: memory.index, state) &* UInt64(memory.scale)
        }
        displacement = displacement &+ index
        if memory.index != .none && memory.index.number == memory.base.number {
            state.registers[memory.base.number] = (target &- displacement) / (UInt64(memory.scale) + 1)
            return
        }
        var base = target &- displacement
        if hasNoise { base = base & 0xFFFF_FFFF | random.next() << 32 }
        state.registers[memory.base.number] = base
    }

    private mutating func setDisplacement(_ generated: inout GeneratedCode, _ value: UInt64) {
        guard let range = generated.displacement else { return }
        for (position, index) in range.enumerated() {
            generated.bytes[index] = UInt8(truncatingIfNeeded: value >> UInt64(position * 8))
        }
        if case .instruction(let instruction) = decode(generated.bytes, mode) {
            generated.instruction = instruction
        }
    }

    private func value(of register: Register, _ state: MachineState) -> UInt64 {
        let value = state.registers[register.number & 15]
        return register.width == 64 ? value : value & ((1 << UInt64(register.width)) &- 1)
    }

    /// The linear address of the memory operand.
    private func linearAddress(_ instruction: Instruction, _ state: MachineState) -> UInt64 {
        let memory = instruction.memory
        var address = UInt64(bitPattern: memory.displacement)
        switch memory.base {
        case .none: break
        case .rip, .eip: address &+= state.rip &+ UInt64(instruction.length)
        default: address &+= value(of: memory.base, state)
        }
        if memory.index != .none { address &+= value(of: memory.index, state) &* UInt64(memory.scale) }
        if instruction.addressSize < 64 { address &= (1 << UInt64(instruction.addressSize)) - 1 }
        return memory.segment == .gs ? address &+ TestMemory.gsBase : address
    }

    /// Puts a value worth computing with where the operand is.
    private mutating func patchOperand(_ instruction: Instruction, _ experiment: inout Case, size: Int) {
        guard size <= 32, random.chance(2) else { return }
        let address = linearAddress(instruction, experiment.state)
        let bytes: [UInt8] =
            isFloatingPoint
            ? floatBytes(count: size)
            : (0..<4).flatMap { _ in
                let value = random.integer()
                return (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
            }
        patch(address, Array(bytes.prefix(size)), &experiment)
    }

    /// Writes bytes over the image by whole words; outside of memory nothing happens.
    private func patch(_ address: UInt64, _ bytes: [UInt8], _ experiment: inout Case) {
        for region in TestMemory.regions where !region.isExecutable {
            guard address &- region.address < region.size,
                UInt64(bytes.count) <= region.size - (address - region.address)
            else { continue }
            var words: [UInt64: UInt64] = [:]
            for (position, byte) in bytes.enumerated() {
                let place = address + UInt64(position)
                let word = place & ~7
                let shift = (place & 7) * 8
                let old = words[word] ?? imageWord(region, word)
                words[word] = old & ~(0xFF << shift) | UInt64(byte) << shift
            }
            for (word, value) in words.sorted(by: { $0.key < $1.key }) where experiment.patches.count < 16 {
                experiment.patches.removeAll { $0.address == word }
                experiment.patches.append(MemoryWord(address: word, value: value))
            }
        }
    }

    private func imageWord(_ region: TestMemory.Region, _ address: UInt64) -> UInt64 {
        guard let image = Self.images[region.address] else { return 0 }
        let offset = Int(address - region.address)
        return image.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    }

    private static let images = Dictionary(
        uniqueKeysWithValues: TestMemory.regions.map { ($0.address, TestMemory.image($0)) })

    private func operandList(_ instruction: Instruction) -> [Operand] {
        let all = [
            instruction.operands.0, instruction.operands.1, instruction.operands.2, instruction.operands.3,
        ]
        return Array(all[..<Int(instruction.operandCount)])
    }

    // MARK: - Operations that need more

    /// Branches go to HLT bytes of the code region, never into their own bytes.
    private mutating func aimControlTransfer(_ generated: inout GeneratedCode, _ experiment: inout Case) {
        guard let place = definition.operands.first?.shape.place, place == .relative else { return }
        let length = generated.bytes.count
        let width = Int(generated.instruction.operands.0.width) / 8
        let limit = width == 1 ? 128 : 0x700
        var distance = Int64(random.below(2 * limit) - limit)
        if distance < 0 && distance >= -Int64(length) { distance = 1 }
        for position in 0..<width {
            generated.bytes[length - width + position] =
                UInt8(truncatingIfNeeded: UInt64(bitPattern: distance) >> UInt64(position * 8))
        }
        if case .instruction(let instruction) = decode(generated.bytes, mode) {
            generated.instruction = instruction
        }
    }

    private mutating func codeTarget() -> UInt64 { TestMemory.code.address + UInt64(random.below(0x700)) }

    /// What single operations need so that most of their cases are not the same fault.
    private mutating func adjust(_ generated: inout GeneratedCode, _ experiment: inout Case) {
        let instruction = generated.instruction
        switch instruction.operation {
        case .jmp, .call:
            let operand = instruction.operands.0
            let target = codeTarget()
            if operand.kind == .register {
                experiment.state.registers[operand.register.number] = target
            } else if operand.kind == .memory {
                let address = linearAddress(instruction, experiment.state)
                patch(address, littleEndian(target), &experiment)
                // A bad target and a bad stack at once: vendors differ in which they find first.
                if memoryWord(address, experiment) != target && instruction.memory.base.number != 4 {
                    experiment.state.registers[4] = TestMemory.low.address + 0x800
                }
            }
        case .ret:
            patch(experiment.state.registers[4], littleEndian(codeTarget()), &experiment)
        case .leave, .enter:
            if !random.chance(8) { experiment.state.registers[5] = stackPointer() }
        case .div, .idiv:
            if random.chance(2) { experiment.state.registers[2] = random.pick([0, .max, 1]) }
        case .bt, .bts, .btr, .btc:
            let offset = instruction.operands.1
            let memory = instruction.memory
            guard instruction.operands.0.kind == .memory, offset.kind == .register,
                offset.register.number != memory.base.number,
                memory.index == .none || offset.register.number != memory.index.number
            else { return }
            // Elsewhere is mostly nowhere.
            experiment.state.registers[offset.register.number] = UInt64(
                bitPattern: Int64(random.below(0x2000) - 0x1000))
        case .shld, .shrd:
            // Words shifted by more than 16 are undefined (SDM volume 2, SHLD).
            guard instruction.operandSize == 16 else { break }
            if instruction.operands.2.kind == .register {
                experiment.state.registers[1] &= ~0x10
            } else {
                generated.bytes[generated.bytes.count - 1] &= ~0x10
            }
        case .fxsave, .fxrstor, .xsave, .xrstor:
            // Whether a misaligned one gives #AC or #GP is the processor's choice (SDM volume 2, FXSAVE).
            experiment.state.flags &= ~RFLAGSMask.AC
            if instruction.operation == .xsave || instruction.operation == .xrstor {
                experiment.state.registers[0] = UInt64(random.below(4))
                experiment.state.registers[2] = 0
            }
            patchStateArea(instruction, &experiment)
        case .fstp where definition.opcode == 0xD9 && instruction.operands.0.kind == .register:
            // The alias of FSTP ST(i) does what it likes with an empty register.
            experiment.state.setField(MachineState.tags, bytes: 1, 0xFF)
        case .ldmxcsr:
            // AMD has a mask for misaligned operands in bit 17.
            let address = linearAddress(instruction, experiment.state)
            patch(address, littleEndian(memoryWord(address, experiment) & ~0x2_0000), &experiment)
        case .maskmovq, .maskmovdqu:
            // Whether bytes that are not stored fault is the processor's choice (SDM volume 2, MASKMOVDQU).
            experiment.state.flags &= ~RFLAGSMask.AC
            let base = instruction.memory.segment == .gs ? TestMemory.gsBase : 0
            experiment.state.registers[7] = TestMemory.low.address + UInt64(random.below(0x3000) & ~31) - base
        case .fsin, .fcos, .fsincos, .fptan, .fpatan, .fyl2x:
            // Results that happen to be exact, denormal ones too, are not always reported as such.
            maskPrecision(&experiment.state)
        case .f2xm1:
            maskPrecision(&experiment.state)
            // Defined from -1 to 1 only.
            limitExponent(&experiment.state, below: 0x3FFF)
        case .fyl2xp1:
            maskPrecision(&experiment.state)
            // Defined for less than 1 - sqrt(1/2) only.
            limitExponent(&experiment.state, below: 0x3FFD)
        case .loop, .loope, .loopne, .jcxz:
            if random.chance(2) { experiment.state.registers[1] = UInt64(random.below(3)) }
        default: break
        }
        switch instruction.operation {
        case .cmpxchg where random.chance(2):
            let accumulator =
                instruction.operands.0.kind == .register
                ? value(of: instruction.operands.0.register, experiment.state)
                : memoryWord(linearAddress(instruction, experiment.state), experiment)
            guard instruction.memory.base.number != 0 || instruction.operands.0.kind == .register else { return }
            experiment.state.registers[0] = accumulator
        case .cmpxchg8b where random.chance(2):
            let old = memoryWord(linearAddress(instruction, experiment.state), experiment)
            guard !uses(instruction.memory, [0, 2]) else { return }
            experiment.state.registers[0] = old & 0xFFFF_FFFF | random.next() << 32
            experiment.state.registers[2] = old >> 32
        case .cmpxchg16b where random.chance(2):
            let address = linearAddress(instruction, experiment.state)
            guard !uses(instruction.memory, [0, 2]) else { return }
            experiment.state.registers[0] = memoryWord(address, experiment)
            experiment.state.registers[2] = memoryWord(address &+ 8, experiment)
        default: break
        }
    }

    /// Makes what FXRSTOR and XRSTOR load valid, most times: MXCSR, and the header of the standard format.
    private mutating func patchStateArea(_ instruction: Instruction, _ experiment: inout Case) {
        guard instruction.operation == .fxrstor || instruction.operation == .xrstor, !random.chance(8) else { return }
        let address = linearAddress(instruction, experiment.state)
        patch(address &+ 24, littleEndian(random.next() & 0xFFFF | random.next() << 32), &experiment)
        patch(address &+ 512, littleEndian(UInt64(random.below(4))), &experiment)
        for offset in stride(from: UInt64(520), to: 576, by: 8) {
            patch(address &+ offset, littleEndian(0), &experiment)
        }
    }

    private func maskPrecision(_ state: inout MachineState) {
        let control = state.field(MachineState.controlWord, bytes: 2)
        state.setField(MachineState.controlWord, bytes: 2, control | X87Bits.precision | X87Bits.underflow)
        let status = state.field(MachineState.statusWord, bytes: 2)
        let isPending = status & ~(control | X87Bits.precision | X87Bits.underflow) & 0x3F != 0
        state.setField(MachineState.statusWord, bytes: 2, status & ~0x8080 | (isPending ? 0x8080 : 0))
    }

    /// Makes ST(0) smaller than the power of two of a biased exponent.
    private func limitExponent(_ state: inout MachineState, below limit: UInt64) {
        let field = MachineState.stack + 8
        let old = state.field(field, bytes: 2)
        if old & 0x7FFF >= limit && old & 0x7FFF != 0x7FFF {
            state.setField(field, bytes: 2, old & 0x8000 | limit - 1 - (old & 15))
        }
    }

    private func littleEndian(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

    /// Eight bytes of memory as the case begins; 0 outside.
    private func memoryWord(_ address: UInt64, _ experiment: Case) -> UInt64 {
        var value: UInt64 = 0
        for position in 0..<8 {
            let place = address &+ UInt64(position)
            guard
                let region = TestMemory.regions.first(where: { !$0.isExecutable && place &- $0.address < $0.size })
            else { return 0 }
            let word = place & ~7
            let content = experiment.patches.first { $0.address == word }?.value ?? imageWord(region, word)
            value |= (content >> ((place & 7) * 8) & 0xFF) << UInt64(position * 8)
        }
        return value
    }
}

/// Bits of RFLAGS that cases set.
enum RFLAGSMask {
    static let status: UInt64 = 0x8D5
    static let DF: UInt64 = 0x400
    static let AC: UInt64 = 0x4_0000
}
