/// All rows of all opcode maps.
package enum InstructionTable {
    /// Every row; `Instruction.row` indexes it.
    package static let definitions: [InstructionDefinition] = []
}
