/// What an operand can be, as far as that can be told without its value.
struct OperandKinds: OptionSet, Sendable {
    let rawValue: UInt16

    static let general8 = OperandKinds(rawValue: 1 << 0)
    static let general16 = OperandKinds(rawValue: 1 << 1)
    static let general32 = OperandKinds(rawValue: 1 << 2)
    static let general64 = OperandKinds(rawValue: 1 << 3)
    static let segment = OperandKinds(rawValue: 1 << 4)
    static let control = OperandKinds(rawValue: 1 << 5)
    static let debug = OperandKinds(rawValue: 1 << 6)
    static let x87 = OperandKinds(rawValue: 1 << 7)
    static let mmx = OperandKinds(rawValue: 1 << 8)
    static let xmm = OperandKinds(rawValue: 1 << 9)
    static let memory = OperandKinds(rawValue: 1 << 10)
    static let immediate = OperandKinds(rawValue: 1 << 11)
    static let farPointer = OperandKinds(rawValue: 1 << 12)

    static let general: OperandKinds = [.general8, .general16, .general32, .general64]
    static let wordOrWider: OperandKinds = [.general16, .general32, .general64]

    init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The kind of the registers of a class.
    init(_ registers: Register.Class) {
        self =
            switch registers {
            case .general8, .general8High: .general8
            case .general16: .general16
            case .general32: .general32
            case .general64: .general64
            case .segment: .segment
            case .control: .control
            case .debug: .debug
            case .x87: .x87
            case .mmx: .mmx
            case .xmm: .xmm
            case .instructionPointer, .none: []
            }
    }

    /// The kind of an operand.
    init(_ operand: RequestedOperand) {
        self =
            switch operand.kind {
            case .register(let register): OperandKinds(register.class)
            case .memory: .memory
            case .immediate: .immediate
            case .farPointer: .farPointer
            }
    }

    /// The kinds that a form can have with one operand size or another.
    init(_ shape: OperandShape) {
        self = []
        switch shape.place {
        case .rm, .reg, .opcode, .vvvv, .fixed:
            if shape.allowsRegister {
                insert(shape.registers == .general64 ? Self.general(shape.width) : Self(shape.registers))
            }
            if shape.place == .rm, shape.allowsMemory { insert(.memory) }
        case .moffs: insert(.memory)
        case .immediate, .immediate2, .constantOne, .relative: insert(.immediate)
        case .farPointer: insert(.farPointer)
        case .sourceIndex, .destinationIndex, .maskDestination, .tableLookup, .accumulatorAddress: break
        }
    }

    private static func general(_ width: OperandWidth) -> OperandKinds {
        switch width {
        case .bits8: .general8
        case .bits16: .general16
        case .bits32: .general32
        case .bits64: .general64
        case .none, .bits80, .bits128, .operandSize, .atMost32, .atLeast32, .native, .addressSize, .far,
            .pseudoDescriptor, .bounds, .environment, .x87State, .bytes512, .xsaveArea:
            .wordOrWider
        }
    }
}

/// What the written operands of a candidate can be: enough to pass over most candidates without trying them.
struct CandidateSignature: Sendable {
    private var count: Int
    private var kinds: (OperandKinds, OperandKinds, OperandKinds, OperandKinds)
    /// The written operand whose width as a register is the operand size, or -1.
    private var sizingOperand = -1

    init(_ candidate: MnemonicCandidate) {
        count = candidate.writtenCount
        var kinds = [OperandKinds?](repeating: nil, count: 4)
        let definition = candidate.definition
        for (form, source) in zip(definition.operands, candidate.sources) {
            guard case .written(let index) = source else { continue }
            var accepted = OperandKinds(form.shape)
            if definition.takesAnyWidth(of: form), !accepted.isDisjoint(with: .wordOrWider) {
                accepted.insert(.wordOrWider)
            } else if form.shape.width == .operandSize, accepted.contains(.general32), !definition.narrowsDestination {
                sizingOperand = index
            }
            kinds[index] = kinds[index]?.intersection(accepted) ?? accepted
        }
        for index in candidate.required.keys { kinds[index] = .general }
        self.kinds = (kinds[0] ?? [], kinds[1] ?? [], kinds[2] ?? [], kinds[3] ?? [])
    }

    /// Why the operands cannot fit, or nil if the candidate is worth trying.
    func mismatch(_ operands: [OperandKinds]) -> EncodingFailure? {
        guard operands.count == count else { return .operandCount }
        var failure: EncodingFailure?
        for (index, operand) in operands.enumerated() {
            let accepted = index == 0 ? kinds.0 : index == 1 ? kinds.1 : index == 2 ? kinds.2 : kinds.3
            guard accepted.isDisjoint(with: operand) else { continue }
            guard !operand.isDisjoint(with: .general), !accepted.isDisjoint(with: .general) else {
                return .operandKinds
            }
            failure = .sizeMismatch(operand: index)
        }
        return failure
    }

    /// The operand size that a register demands, if one does.
    func demandedSize(_ operands: [OperandKinds]) -> Int? {
        guard sizingOperand >= 0, sizingOperand < operands.count else { return nil }
        return switch operands[sizingOperand] {
        case .general16: 16
        case .general32: 32
        case .general64: 64
        default: nil
        }
    }
}

extension InstructionDefinition {
    /// True for moves into a 64-bit register that a 32-bit one does as well.
    var narrowsDestination: Bool { operands == [.Zv, .Iv] || operands == [.RvMw, .Sw] || operation == .sldt }

    /// True for selectors, of which only sixteen bits count.
    func takesAnyWidth(of form: OperandForm) -> Bool {
        operands == [.Sw, .Ew] && form == .Ew || (operation == .lar || operation == .lsl) && form != .Gv
    }
}
