import X86

/// Makes cases of several general-purpose instructions in a row, for what a single one does not show: flags that are
/// computed late or never, and instructions that are joined or left out because of their neighbours.
package struct SequenceGenerator {
    private var random: RandomSource
    private let mode: CodeMode
    private let rows: [Int]

    package init(mode: CodeMode, seed: UInt64) {
        self.mode = mode
        random = RandomSource(seed: seed ^ 0x5E9)
        rows = InstructionTable.definitions.indices.filter { Self.isSuitable(InstructionTable.definitions[$0], mode) }
    }

    /// Innocuous rows without results that are undefined but for flags.
    private static func isSuitable(_ definition: InstructionDefinition, _ mode: CodeMode) -> Bool {
        guard definition.mode != (mode == .bits64 ? .not64 : .only64), definition.sensitivity == .innocuous,
            isTestable(definition)
        else {
            return false
        }
        switch definition.feature {
        case .base, .cmov, .popcnt, .lzcnt, .bmi1, .bmi2, .adx, .movbe, .cx8, .cx16: break
        default: return false
        }
        switch definition.operation {
        case .ud0, .ud1, .ud2, .shld, .shrd, .bswap, .fwait, .fcmovcc: return false
        // Which of two faulting operands counts is each vendor's own.
        case .cmps: return false
        // A fault may leave the values pushed before it in memory.
        case .pusha, .enter: return false
        // Branches go to known places only: the middle of an instruction can be anything.
        case .ret: return false
        case .jmp, .call: return definition.operands.first?.shape.place == .relative
        default: return true
        }
    }

    /// The next case.
    package mutating func next() -> Case? {
        // Registers and the like are those that a case of some row starts with.
        var start: Case?
        for _ in 0..<16 where start == nil {
            var generator = CaseGenerator(row: random.pick(rows), mode: mode, seed: random.next())
            start = generator?.next()
        }
        guard var experiment = start else { return nil }
        // Once a flag is undefined it stays so: what would define it again may be skipped.
        var undefined: UInt64 = 0
        let allowsUndefined = random.chance(2)
        var code: [UInt8] = []
        var starts: [Int] = []
        var branches: [Int] = []
        for _ in 0..<2 + random.below(8) {
            guard let next = instruction(after: experiment.state.rip + UInt64(code.count), undefined),
                code.count + next.bytes.count <= 60
            else { continue }
            let flags = UInt64(next.instruction.definition.flags.undefined.rawValue)
            guard allowsUndefined || flags == 0 else { continue }
            undefined |= flags
            starts.append(code.count)
            code += next.bytes
            if next.instruction.operands.0.kind == .relative { branches.append(code.count) }
        }
        starts.append(code.count)
        for end in branches { aimBranch(&code, end: end, starts) }
        experiment.code = code
        experiment.latitude = Latitude()
        experiment.latitude.flags = undefined
        return experiment
    }

    /// An instruction that does not read what is undefined, its memory operand, if it has one, relative to RIP.
    private mutating func instruction(after address: UInt64, _ undefined: UInt64) -> GeneratedCode? {
        for _ in 0..<16 {
            let generator = CodeGenerator(row: preferredRow(), mode: mode)
            guard var code = generator.generate(&random) else { continue }
            let instruction = code.instruction
            guard UInt64(instruction.definition.flags.reads.rawValue) & undefined == 0 else { continue }
            if instruction.definition.modRM != .absent && usesMemory(instruction) {
                let isFixed = mode == .bits64 ? instruction.memory.base == .rip : instruction.memory.base == .none
                guard isFixed, instruction.memory.index == .none, let range = code.displacement else { continue }
                let target = TestMemory.low.address + 0x800 + UInt64(random.below(0x1800))
                let distance = mode == .bits64 ? target &- (address &+ UInt64(code.bytes.count)) : target
                for (position, index) in range.enumerated() {
                    code.bytes[index] = UInt8(truncatingIfNeeded: distance >> UInt64(position * 8))
                }
            }
            return code
        }
        return nil
    }

    private func usesMemory(_ instruction: Instruction) -> Bool {
        instruction.operands.0.kind == .memory || instruction.operands.1.kind == .memory
            || instruction.operands.2.kind == .memory
    }

    /// Branches and what sets their flags more often than the rest.
    private mutating func preferredRow() -> Int {
        guard random.chance(3) else { return random.pick(rows) }
        return random.pick(
            rows.filter { row in
                switch InstructionTable.definitions[row].operation {
                case .jcc, .setcc, .cmovcc, .cmp, .test, .add, .sub, .inc, .dec, .adc, .sbb: true
                default: false
                }
            })
    }

    /// Lets the branch that ends at `end` go to a later instruction, or past all: forward, so that everything ends.
    private mutating func aimBranch(_ code: inout [UInt8], end: Int, _ starts: [Int]) {
        let later = starts.filter { $0 >= end }
        let distance = UInt64(random.pick(later) - end)
        let start = starts.last { $0 < end } ?? 0
        guard case .instruction(let instruction) = decode(Array(code[start...]), mode) else { return }
        let width = Int(instruction.operands.0.width) / 8
        for position in 0..<width {
            code[end - width + position] = UInt8(truncatingIfNeeded: distance >> UInt64(position * 8))
        }
    }
}
