/// The legacy and REX prefixes that an instruction carries.
package struct Prefixes: OptionSet, Sendable, Hashable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let lock = Prefixes(rawValue: 1 << 0)
    /// F2.
    package static let repeatNotEqual = Prefixes(rawValue: 1 << 1)
    /// F3.
    package static let repeatEqual = Prefixes(rawValue: 1 << 2)
    /// 66.
    package static let operandSize = Prefixes(rawValue: 1 << 3)
    /// 67.
    package static let addressSize = Prefixes(rawValue: 1 << 4)
    package static let segment = Prefixes(rawValue: 1 << 5)
    package static let rex = Prefixes(rawValue: 1 << 6)
    package static let rexW = Prefixes(rawValue: 1 << 7)
    package static let vex = Prefixes(rawValue: 1 << 8)
    /// REP in either form.
    package static let anyRepeat = Prefixes(rawValue: repeatEqual.rawValue | repeatNotEqual.rawValue)
}

/// How wide code, operands and addresses are in the code segment being decoded.
package enum CodeMode: UInt8, CaseIterable, Sendable {
    /// Real mode, virtual-8086 mode and 16-bit protected or compatibility mode.
    case bits16
    /// 32-bit protected or compatibility mode.
    case bits32
    /// 64-bit mode.
    case bits64
}

/// Where an operand of a decoded instruction lives.
package enum OperandKind: UInt8, Sendable {
    case none
    /// `register` names it.
    case register
    /// The instruction's one `memory` operand (ModRM, moffs, string or implicit).
    case memory
    /// `Instruction.immediate`, already extended as the instruction extends it: to the operand's width, above that 0.
    case immediate
    /// `Instruction.immediate2`: the second of ENTER and the like.
    case immediate2
    /// A branch displacement in `Instruction.immediate`, sign-extended, counted from the next instruction.
    case relative
    /// A far pointer: offset in `Instruction.immediate`, selector in `Instruction.immediate2`.
    case farPointer
    /// The second memory operand of MOVS and CMPS: always ES:(R/E)DI.
    case memoryDestination
}

/// One operand of a decoded instruction.
package struct Operand: Sendable, Hashable {
    package var kind: OperandKind
    package var register: Register
    /// The width in bits: 8, 16, 32, 48 and 80 (m16:16/32/64 are 32, 48, 80), 64, 80, 128; larger for state areas; 0 for addresses only (LEA).
    package var width: UInt16

    package static let none = Operand(kind: .none, register: .none, width: 0)

    package init(kind: OperandKind, register: Register = .none, width: UInt16) {
        self.kind = kind
        self.register = register
        self.width = width
    }
}

/// The address expression of an instruction's memory operand.
package struct MemoryOperand: Sendable, Hashable {
    /// The segment register in force, override or default considered (ES, CS, SS, DS, FS or GS).
    package var segment: Register = .ds
    /// A general register, RIP or EIP, or `none`; the register's width is the address size.
    package var base: Register = .none
    package var index: Register = .none
    /// 1, 2, 4 or 8.
    package var scale: UInt8 = 1
    /// Sign-extended; the full address for moffs.
    package var displacement: Int64 = 0

    package init() {}
}

/// An instruction as the decoder found it in memory.
package struct Instruction: Sendable, Hashable {
    package var operation: Operation
    /// Index of the row in `InstructionTable.definitions`.
    package var row: UInt16
    /// Length in bytes, 1...15.
    package var length: UInt8
    /// The condition code 0...15 of Jcc, SETcc, CMOVcc and FCMOVcc (SDM volume 1 appendix B), else 0.
    package var condition: UInt8 = 0
    package var prefixes: Prefixes = []
    /// 16, 32 or 64: the effective operand-size attribute.
    package var operandSize: UInt8
    /// 16, 32 or 64: the effective address-size attribute.
    package var addressSize: UInt8
    package var operandCount: UInt8 = 0
    package var operands: (Operand, Operand, Operand, Operand) = (.none, .none, .none, .none)
    package var memory = MemoryOperand()
    package var immediate: UInt64 = 0
    package var immediate2: UInt64 = 0

    package init(operation: Operation, row: UInt16, length: UInt8, operandSize: UInt8, addressSize: UInt8) {
        self.operation = operation
        self.row = row
        self.length = length
        self.operandSize = operandSize
        self.addressSize = addressSize
    }

    /// The row of the instruction table that describes this encoding.
    package var definition: InstructionDefinition { InstructionTable.definitions[Int(row)] }

    package static func == (lhs: Instruction, rhs: Instruction) -> Bool {
        lhs.operation == rhs.operation && lhs.row == rhs.row && lhs.length == rhs.length
            && lhs.condition == rhs.condition && lhs.prefixes == rhs.prefixes && lhs.operandSize == rhs.operandSize
            && lhs.addressSize == rhs.addressSize && lhs.operands == rhs.operands && lhs.memory == rhs.memory
            && lhs.immediate == rhs.immediate && lhs.immediate2 == rhs.immediate2
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(row)
        hasher.combine(length)
        hasher.combine(immediate)
        hasher.combine(memory)
    }
}

/// Why bytes are not an instruction.
package enum DecodeFailure: UInt8, Error, Sendable {
    /// The bytes given end before the instruction does; more are needed.
    case truncated
    /// No such encoding in this mode: #UD.
    case invalid
    /// Longer than 15 bytes: #GP(0) (SDM volume 2 section 2.3.11).
    case tooLong
}

/// The result of `Decoder.decode`.
package enum DecodeResult: Sendable {
    case instruction(Instruction)
    case failure(DecodeFailure)
}
