/// All rows of all opcode maps.
package enum InstructionTable {
    /// Every row; `Instruction.row` indexes it.
    package static let definitions: [InstructionDefinition] = [
        arithmeticGroup, shiftGroup, primaryMap, stringsAndPorts, branches,
        secondaryMap, bitManipulation, hintsAndCaches, stateSaveAreas,
        descriptorTables, controlRegisters, system, vmx, svm,
        x87, x87ConditionalMoves, mmx, mmxOfSSE, mmxOfSSE2,
        sse, sse2FloatingPoint, sse2Integer, sse3, ssse3, sse41, sse42,
    ].flatMap { $0 }
}
