/// The rows of the instruction table, arranged so that prefixes, opcode and ModRM byte index them directly.
///
/// Built once and never freed: plain memory without reference counts, so that decoding neither retains nor allocates.
struct DispatchTable: @unchecked Sendable {
    // SAFETY: the memory is written only in `init` and read-only afterwards, hence the unchecked Sendable.

    /// An operand as the decoder needs it: `OperandShape` without what only text needs.
    struct Operand {
        var place = OperandPlace.fixed
        var registers = Register.Class.none
        var width = OperandWidth.none
        var memoryWidth = OperandWidth.none
        var encodedWidth = OperandWidth.none
        var fixed = Register.none
    }

    /// A row as the decoder needs it.
    struct Row {
        var operation: Operation
        var modRM: ModRMForm
        var sizeRule: OperandSizeRule
        var condition: UInt8
        var lockable: Bool
        /// True if one operand is the source of a string instruction, so that ES:rDI is the second memory operand.
        var hasStringSource: Bool
        /// True if an operand is a segment, control or debug register by ModRM.reg, of which not all numbers exist.
        var namesSystemRegister: Bool
        var operandCount: UInt8
        /// The row that REX.B selects instead: 90 is NOP or XCHG r8, rAX; `DispatchTable.none` elsewhere.
        var alternativeByREXB: UInt16
        var operands: (Operand, Operand, Operand, Operand)
    }

    /// What chooses among rows besides opcode and ModRM: 24 combinations.
    struct Variant {
        var mode: CodeMode
        var has66: Bool
        var w: Bool
        /// 0 none, 1 F3, 2 F2.
        var repetition: Int

        var index: Int {
            let modeIndex =
                switch mode {
                case .bits64: w ? 2 : 0
                case .bits32: 4
                case .bits16: 6
                }
            return repetition &* 8 &+ modeIndex &+ (has66 ? 1 : 0)
        }

        static let all: [Variant] = CodeMode.allCases.flatMap { mode in
            [false, true].flatMap { has66 in
                (mode == .bits64 ? [false, true] : [false]).flatMap { w in
                    (0..<3).map { Variant(mode: mode, has66: has66, w: w, repetition: $0) }
                }
            }
        }

        /// The operand-size attribute as ordinary instructions have it.
        var operandSize: UInt8 {
            switch mode {
            case .bits64: w ? 64 : has66 ? 16 : 32
            case .bits32: has66 ? 16 : 32
            case .bits16: has66 ? 32 : 16
            }
        }
    }

    static let none: UInt16 = 0xFFFF
    /// Set in an entry that names a group, indexed further by the ModRM byte.
    static let groupFlag: UInt16 = 0x8000
    /// Entries of a group: for each value of reg one for memory and eight by rm.
    static let groupSize = 72
    /// The four legacy maps, then the VEX-encoded 0F 38 and 0F 3A.
    static let mapCount = 6

    let rows: UnsafePointer<Row>
    let entries: UnsafePointer<UInt16>
    let groups: UnsafePointer<UInt16>

    /// The table of `InstructionTable.definitions`.
    static let shared = DispatchTable(InstructionTable.definitions)

    /// The number of the map in `entries`.
    static func mapIndex(_ map: OpcodeMap, vex: Bool) -> Int { Int(map.rawValue) &+ (vex ? 2 : 0) }

    /// The index of an opcode in `entries`.
    static func entryIndex(variant: Int, map: Int, opcode: UInt8) -> Int {
        (variant &* mapCount &+ map) &* 256 &+ Int(opcode)
    }

    /// The index of a ModRM byte in a group.
    static func groupIndex(_ modRM: UInt8) -> Int {
        let register = Int(modRM >> 3 & 7) &* 9
        return modRM >= 0xC0 ? register &+ 1 &+ Int(modRM & 7) : register
    }

    private init(_ definitions: [InstructionDefinition]) {
        var entries = [UInt16](repeating: Self.none, count: 24 * Self.mapCount * 256)
        var groups: [[UInt16]] = []
        var groupNumbers: [[UInt16]: UInt16] = [:]
        for (key, candidates) in Self.candidatesByOpcode(definitions) {
            for variant in Variant.all {
                let matching = candidates.filter { definitions[$0].matches(variant) }
                guard !matching.isEmpty else { continue }
                let group = (0..<Self.groupSize).map { Self.best(matching, at: $0, in: definitions) }
                let index = Self.entryIndex(variant: variant.index, map: key >> 8, opcode: UInt8(key & 0xFF))
                if let first = group.first, group.allSatisfy({ $0 == first }) {
                    entries[index] = first
                    continue
                }
                let number = groupNumbers[group] ?? UInt16(groups.count)
                if groupNumbers.updateValue(number, forKey: group) == nil { groups.append(group) }
                entries[index] = Self.groupFlag | number
            }
        }
        self.entries = Self.permanentCopy(entries)
        self.groups = Self.permanentCopy(groups.flatMap { $0 })
        self.rows = Self.permanentCopy(
            definitions.map { definition in
                // Only 90 has two rows that REX.B tells apart
                let alternative = definition.operation == .nop && definition.map == .primary
                return definition.decoderRow(
                    alternative: alternative
                        ? definitions.firstIndex { $0.opcode == 0x90 && $0.operation == .xchg } : nil)
            })
    }

    /// Row numbers by map and opcode.
    private static func candidatesByOpcode(_ definitions: [InstructionDefinition]) -> [Int: [Int]] {
        var result: [Int: [Int]] = [:]
        for (number, row) in definitions.enumerated() {
            let key = mapIndex(row.map, vex: row.isVEX) << 8 | Int(row.opcode)
            for low in 0..<(row.holdsRegisterInOpcode ? 8 : 1) { result[key + low, default: []].append(number) }
        }
        return result
    }

    /// The most specific of `candidates` for the place `index` of a group.
    private static func best(_ candidates: [Int], at index: Int, in definitions: [InstructionDefinition]) -> UInt16 {
        let register = UInt8(index / 9)
        let rm: UInt8? = index % 9 == 0 ? nil : UInt8(index % 9 - 1)
        let fitting = candidates.filter { definitions[$0].fits(register: register, rm: rm) }
        let chosen = fitting.max { definitions[$0].specificity < definitions[$1].specificity }
        return chosen.map { UInt16($0) } ?? none
    }

    private static func permanentCopy<Element>(_ array: [Element]) -> UnsafePointer<Element> {
        // SAFETY: exactly `array.count` elements are allocated and initialised; the memory is never freed.
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: array.count)
        memory.initialize(from: array, count: array.count)
        return UnsafePointer(memory)
    }
}

extension InstructionDefinition {
    /// Whether mode, prefixes and sizes allow the row.
    func matches(_ variant: DispatchTable.Variant) -> Bool {
        let modeFits =
            switch mode {
            case .always: true
            case .not64: variant.mode != .bits64
            case .only64: variant.mode == .bits64
            }
        let prefixFits =
            switch prefix {
            case .any: true
            case .none: variant.repetition == 0 && !variant.has66
            case .noRepeat: variant.repetition == 0
            case .x66: variant.repetition == 0 && variant.has66
            case .xF3: variant.repetition == 1
            case .xF2: variant.repetition == 2
            }
        return modeFits && prefixFits && (w ?? variant.w) == variant.w
            && (onlyOperandSize ?? variant.operandSize) == variant.operandSize
    }

    /// Whether the ModRM byte with these fields belongs to the row; `rm` is nil for memory.
    func fits(register: UInt8, rm: UInt8?) -> Bool {
        let formFits =
            switch modRM {
            case .absent, .any, .registerWhateverMod: true
            case .memory: rm == nil
            case .register: rm != nil
            }
        return formFits && (digit ?? register) == register && (self.rm == nil || self.rm == rm)
    }

    /// Of two rows for the same bytes the one with the higher number holds.
    var specificity: Int {
        let prefixRank =
            switch prefix {
            case .any: 0
            case .noRepeat: 4
            case .none, .x66, .xF3, .xF2: 8
            }
        return (rm != nil ? 64 : 0) + (digit != nil ? 32 : 0) + (modRM == .memory || modRM == .register ? 16 : 0)
            + prefixRank + (holdsRegisterInOpcode ? 0 : 1)
    }

    fileprivate func decoderRow(alternative: Int?) -> DispatchTable.Row {
        let shapes = operands.map(\.shape)
        func operand(_ index: Int) -> DispatchTable.Operand {
            guard index < shapes.count else { return .init() }
            let shape = shapes[index]
            return .init(
                place: shape.place, registers: shape.registers, width: shape.width, memoryWidth: shape.memoryWidth,
                encodedWidth: shape.encodedWidth, fixed: shape.fixed)
        }
        return .init(
            operation: operation, modRM: modRM, sizeRule: sizeRule, condition: condition, lockable: lockable,
            hasStringSource: shapes.contains { $0.place == .sourceIndex },
            namesSystemRegister: operands.contains { $0 == .Sw || $0 == .Cd || $0 == .Dd },
            operandCount: UInt8(operands.count),
            alternativeByREXB: alternative.map { UInt16($0) } ?? DispatchTable.none,
            operands: (operand(0), operand(1), operand(2), operand(3)))
    }
}
