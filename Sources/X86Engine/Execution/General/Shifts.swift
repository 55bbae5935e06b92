import X86

// SDM vol. 1 section 5.1.5. Counts are taken modulo 32, or 64 for 64-bit operands; a count of 0 changes no flag.

extension Processor {
    /// SHL, SHR and SAR.
    func shift(_ instruction: borrowing Instruction, _ direction: ShiftDirection) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let value = try readForUpdate(instruction.operands.0, of: instruction)
        let count = try shiftCount(instruction.operands.1, of: instruction)
        guard count > 0 else { return try write(instruction.operands.0, of: instruction, value) }
        let result: UInt64
        let carry: Bool
        let overflow: Bool
        switch direction {
        case .left:
            // Smart shifts, since bytes and words can be shifted by more than their width.
            result = truncate(value << count, width: width)
            carry = count <= width && value >> UInt64(width - count) & 1 != 0
            overflow = topBit(result, width: width) != carry
        case .right:
            result = value >> count
            carry = value >> UInt64(count - 1) & 1 != 0
            overflow = topBit(result << 1 ^ result, width: width)
        case .rightArithmetic:
            let number = signed(value, width: width)
            result = truncate(UInt64(bitPattern: number >> count), width: width)
            carry = number >> Int64(count - 1) & 1 != 0
            overflow = false
        }
        try write(instruction.operands.0, of: instruction, result)
        state.setFlags(result: result, carry: carry, overflow: overflow, width: width)
    }

    /// ROL (`left`) and ROR: CF and OF only.
    func rotate(_ instruction: borrowing Instruction, left: Bool) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let value = try readForUpdate(instruction.operands.0, of: instruction)
        let count = try shiftCount(instruction.operands.1, of: instruction)
        guard count > 0 else { return try write(instruction.operands.0, of: instruction, value) }
        let places = UInt64(left ? count % width : (width - count % width) % width)
        let result = truncate(value << places | value >> (UInt64(width) - places), width: width)
        try write(instruction.operands.0, of: instruction, result)
        let carry = left ? result & 1 != 0 : topBit(result, width: width)
        let other = left ? topBit(result, width: width) : topBit(result << 1, width: width)
        state.setCarryAndOverflow(carry, carry != other)
    }

    /// RCL (`left`) and RCR: a rotation through CF, so modulo `width` + 1.
    func rotateThroughCarry(_ instruction: borrowing Instruction, left: Bool) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        var value = try readForUpdate(instruction.operands.0, of: instruction)
        let count = try shiftCount(instruction.operands.1, of: instruction) % (width + 1)
        guard count > 0 else { return try write(instruction.operands.0, of: instruction, value) }
        var carry: UInt64 = state.pointee.CF ? 1 : 0
        let top = UInt64(width - 1)
        for _ in 0..<count {
            let out = left ? value >> top & 1 : value & 1
            value = left ? truncate(value << 1 | carry, width: width) : value >> 1 | carry << top
            carry = out
        }
        try write(instruction.operands.0, of: instruction, value)
        let overflow =
            left
            ? topBit(value, width: width) != (carry != 0)
            : topBit(value ^ value << 1, width: width)
        state.setCarryAndOverflow(carry != 0, overflow)
    }

    /// SHLD (`left`) and SHRD.
    ///
    /// Of words by more than 16, which the manuals leave undefined, the source's bits follow twice, as AMD's processors
    /// have it.
    func doubleShift(_ instruction: borrowing Instruction, left: Bool) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let value = try readForUpdate(instruction.operands.0, of: instruction)
        let filler = general(instruction.operands.1.register)
        let count = try shiftCount(instruction.operands.2, of: instruction)
        guard count > 0 else { return try write(instruction.operands.0, of: instruction, value) }
        let places = UInt64(count)
        let bits = UInt64(width)
        let result: UInt64
        let carry: Bool
        if width == 16 {
            let row = left ? value << 32 | filler << 16 | filler : filler << 32 | filler << 16 | value
            result = (left ? row >> (32 - places) : row >> places) & 0xFFFF
            carry = (left ? row >> (48 - places) : row >> (places - 1)) & 1 != 0
        } else {
            result = truncate(
                left ? value << places | filler >> (bits - places) : value >> places | filler << (bits - places),
                width: width)
            carry = (left ? value >> (bits - places) : value >> (places - 1)) & 1 != 0
        }
        try write(instruction.operands.0, of: instruction, result)
        state.setFlags(result: result, carry: carry, overflow: topBit(value ^ result, width: width), width: width)
    }

    /// SARX, SHLX and SHRX: no flags.
    func shiftWithoutFlags(_ instruction: borrowing Instruction, _ direction: ShiftDirection) throws(Fault) {
        let width = Int(instruction.operandSize)
        let value = try read(instruction.operands.1, of: instruction)
        let count = general(instruction.operands.2.register) & UInt64(width - 1)
        let result =
            switch direction {
            case .left: value << count
            case .right: value >> count
            case .rightArithmetic: UInt64(bitPattern: signed(value, width: width) >> Int64(count))
            }
        setGeneral(instruction.operands.0.register, result)
    }

    /// RORX: no flags.
    func rotateWithoutFlags(_ instruction: borrowing Instruction) throws(Fault) {
        let width = UInt64(instruction.operandSize)
        let value = try read(instruction.operands.1, of: instruction)
        let count = instruction.immediate & (width - 1)
        setGeneral(instruction.operands.0.register, value >> count | value << (width - count))
    }

    private func shiftCount(_ operand: Operand, of instruction: borrowing Instruction) throws(Fault) -> Int {
        let count = try read(operand, of: instruction)
        return Int(count & (instruction.operands.0.width == 64 ? 0x3F : 0x1F))
    }
}

/// Where a shift moves the bits.
enum ShiftDirection {
    case left, right, rightArithmetic
}
