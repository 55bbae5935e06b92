/// Instructions as a mnemonic means them: an operation with a condition, and the operand size where the name says it.
package struct InstructionPattern: Hashable, Sendable {
    package var operation: Operation
    /// The condition code of Jcc, SETcc, CMOVcc and FCMOVcc, else 0.
    package var condition: UInt8
    /// 16, 32 or 64; nil for any.
    package var operandSize: UInt8?

    package init(operation: Operation, condition: UInt8 = 0, operandSize: UInt8? = nil) {
        self.operation = operation
        self.condition = condition
        self.operandSize = operandSize
    }

    /// What an instruction is, without its operands.
    package init(_ instruction: borrowing Instruction) {
        self.init(
            operation: instruction.operation, condition: instruction.condition, operandSize: instruction.operandSize)
    }

    /// Whether `other`, made from an instruction, is one of those meant.
    package func accepts(_ other: InstructionPattern) -> Bool {
        operation == other.operation && condition == other.condition
            && (operandSize == nil || operandSize == other.operandSize)
    }

    /// The instructions that a mnemonic of the assembler stands for (`cpuid`, `jz`, `iretq`); nil if there is none.
    package static func named(_ mnemonic: String) -> Set<InstructionPattern>? {
        guard let found = Mnemonics.mnemonic(named: mnemonic.lowercased()) else { return nil }
        return Set(
            found.candidates.map {
                InstructionPattern(
                    operation: $0.definition.operation, condition: $0.definition.condition,
                    operandSize: $0.operandSize.map { UInt8(truncatingIfNeeded: $0) })
            })
    }
}
