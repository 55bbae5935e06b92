import X86

// SDM vol. 1 sections 5.1.2 and 5.1.4: binary arithmetic and logic.

extension Processor {
    /// ADD, and ADC with the carry.
    func add(_ instruction: borrowing Instruction, carry: Bool = false) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let a = try readForUpdate(instruction.operands.0, of: instruction)
        let b = try read(instruction.operands.1, of: instruction)
        let result = truncate(a &+ b &+ (carry ? 1 : 0), width: width)
        try write(instruction.operands.0, of: instruction, result)
        state.setFlagsOfAddition(a, b, result: result, width: width)
    }

    /// SUB, and SBB with the borrow.
    func subtract(_ instruction: borrowing Instruction, borrow: Bool = false) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let a = try readForUpdate(instruction.operands.0, of: instruction)
        let b = try read(instruction.operands.1, of: instruction)
        let result = truncate(a &- b &- (borrow ? 1 : 0), width: width)
        try write(instruction.operands.0, of: instruction, result)
        state.setFlagsOfSubtraction(a, b, result: result, width: width)
    }

    /// CMP.
    func compare(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let a = try read(instruction.operands.0, of: instruction)
        let b = try read(instruction.operands.1, of: instruction)
        state.setFlagsOfSubtraction(a, b, result: truncate(a &- b, width: width), width: width)
    }

    /// AND, OR and XOR.
    @inline(__always)
    func combine(
        _ instruction: borrowing Instruction, _ operation: (UInt64, UInt64) -> UInt64
    ) throws(Fault) {
        let a = try readForUpdate(instruction.operands.0, of: instruction)
        let result = operation(a, try read(instruction.operands.1, of: instruction))
        try write(instruction.operands.0, of: instruction, result)
        state.setFlags(result: result, width: Int(instruction.operands.0.width))
    }

    /// TEST.
    func test(_ instruction: borrowing Instruction) throws(Fault) {
        let a = try read(instruction.operands.0, of: instruction)
        let b = try read(instruction.operands.1, of: instruction)
        state.setFlags(result: a & b, width: Int(instruction.operands.0.width))
    }

    /// INC; CF stays.
    func increment(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let a = try readForUpdate(instruction.operands.0, of: instruction)
        let result = truncate(a &+ 1, width: width)
        try write(instruction.operands.0, of: instruction, result)
        let carry = state.pointee.CF
        state.setFlagsOfAddition(a, 1, result: result, width: width)
        state.setCarryAndOverflow(carry, state.pointee.OF)
    }

    /// DEC; CF stays.
    func decrement(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let a = try readForUpdate(instruction.operands.0, of: instruction)
        let result = truncate(a &- 1, width: width)
        try write(instruction.operands.0, of: instruction, result)
        let carry = state.pointee.CF
        state.setFlagsOfSubtraction(a, 1, result: result, width: width)
        state.setCarryAndOverflow(carry, state.pointee.OF)
    }

    /// NEG.
    func negate(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let a = try readForUpdate(instruction.operands.0, of: instruction)
        let result = truncate(0 &- a, width: width)
        try write(instruction.operands.0, of: instruction, result)
        state.setFlagsOfSubtraction(0, a, result: result, width: width)
    }

    /// NOT.
    func complement(_ instruction: borrowing Instruction) throws(Fault) {
        let a = try readForUpdate(instruction.operands.0, of: instruction)
        try write(
            instruction.operands.0, of: instruction, truncate(~a, width: Int(instruction.operands.0.width)))
    }

    /// ADCX and ADOX: an addition that uses and writes one flag only.
    func addChained(_ instruction: borrowing Instruction, carryFlag: UInt64) throws(Fault) {
        let width = Int(instruction.operandSize)
        let a = general(instruction.operands.0.register)
        let b = try read(instruction.operands.1, of: instruction)
        let carry: UInt64 = state.pointee.statusFlags & carryFlag != 0 ? 1 : 0
        let result = truncate(a &+ b &+ carry, width: width)
        setGeneral(instruction.operands.0.register, result)
        let carriesOut = topBit((a & b) | ((a | b) & ~result), width: width)
        state.pointee.setStatusFlags(carriesOut ? carryFlag : 0, mask: carryFlag)
    }
}
