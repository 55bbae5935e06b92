import X86

// SDM vol. 1 sections 5.1.6, 5.1.14 and 5.1.15.

extension Processor {
    /// BT, BTS, BTR and BTC; only CF changes (PF AF SF OF, which are undefined, stay).
    func testBit(_ instruction: borrowing Instruction, _ change: BitChange) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let offset = try read(instruction.operands.1, of: instruction)
        let mask: UInt64 = 1 << (offset & UInt64(width - 1))
        let value: UInt64
        var linear: UInt64 = 0
        if instruction.operands.0.kind == .memory {
            // A register names any bit of a string of 2^width bits around the address.
            let isString = instruction.operands.1.kind == .register
            let units = isString ? signed(offset, width: width) >> Int64(width.trailingZeroBitCount) : 0
            let address = truncate(
                effectiveAddress(instruction) &+ UInt64(bitPattern: units &* Int64(width / 8)),
                width: Int(instruction.addressSize))
            linear = try linearAddress(
                instruction.memory.segment, address, width: width / 8, change == .none ? .read : .write)
            if change != .none { try probeWrite(linear, width: width / 8) }
            value = try readLinear(linear, width: width / 8)
        } else {
            value = general(instruction.operands.0.register)
        }
        if change != .none {
            let result =
                switch change {
                case .none: value
                case .set: value | mask
                case .reset: value & ~mask
                case .complement: value ^ mask
                }
            if instruction.operands.0.kind == .memory {
                try writeLinear(linear, result, width: width / 8)
            } else {
                setGeneral(instruction.operands.0.register, result)
            }
        }
        state.setCarryAndOverflow(value & mask != 0, state.pointee.OF)
    }

    /// BSF (`reverse` false) and BSR; a source of 0 leaves the destination as it was, and no flag but ZF changes.
    func scanBits(_ instruction: borrowing Instruction, reverse: Bool) throws(Fault) {
        let source = try read(instruction.operands.1, of: instruction)
        if source != 0 {
            let position = reverse ? 63 - source.leadingZeroBitCount : source.trailingZeroBitCount
            setGeneral(instruction.operands.0.register, UInt64(position))
        }
        state.pointee.setStatusFlags(source == 0 ? RFLAGS.ZF : 0, mask: RFLAGS.ZF)
    }

    /// LZCNT (`leading`) and TZCNT; CF tells a source of 0, ZF a result of 0, the others stay.
    func countZeros(_ instruction: borrowing Instruction, leading: Bool) throws(Fault) {
        let width = Int(instruction.operandSize)
        let source = try read(instruction.operands.1, of: instruction)
        let count = leading ? source.leadingZeroBitCount - (64 - width) : min(source.trailingZeroBitCount, width)
        setGeneral(instruction.operands.0.register, UInt64(count))
        state.pointee.setStatusFlags(
            (source == 0 ? RFLAGS.CF : 0) | (count == 0 ? RFLAGS.ZF : 0), mask: RFLAGS.CF | RFLAGS.ZF)
    }

    /// POPCNT.
    func countOnes(_ instruction: borrowing Instruction) throws(Fault) {
        let source = try read(instruction.operands.1, of: instruction)
        setGeneral(instruction.operands.0.register, UInt64(source.nonzeroBitCount))
        state.pointee.statusFlags = source == 0 ? RFLAGS.ZF : 0
    }

    /// CRC32: polynomial 11EDC6F41, bits reflected.
    func accumulateCRC32(_ instruction: borrowing Instruction) throws(Fault) {
        let source = try read(instruction.operands.1, of: instruction)
        let bits = Int(instruction.operands.1.width)
        let destination = instruction.operands.0.register
        var remainder = UInt32(truncatingIfNeeded: general(destination))
        for position in stride(from: 0, to: bits, by: 8) {
            remainder ^= UInt32(source >> UInt64(position) & 0xFF)
            for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1 != 0 ? 0x82F6_3B78 : 0) }
        }
        setGeneral(destination, UInt64(remainder))
    }

    /// ANDN.
    func andNot(_ instruction: borrowing Instruction) throws(Fault) {
        let source = try read(instruction.operands.2, of: instruction)
        let result = ~general(instruction.operands.1.register) & source
        setGeneral(instruction.operands.0.register, result)
        state.setFlags(result: result, width: Int(instruction.operandSize))
    }

    /// BLSI, BLSMSK and BLSR: `operation` gets the source, CF tells whether it was 0, but for BLSI the reverse.
    @inline(__always)
    func lowestBit(
        _ instruction: borrowing Instruction, carryIfZero: Bool, _ operation: (UInt64) -> UInt64
    ) throws(Fault) {
        let width = Int(instruction.operandSize)
        let source = try read(instruction.operands.1, of: instruction)
        let result = truncate(operation(source), width: width)
        setGeneral(instruction.operands.0.register, result)
        state.setFlags(result: result, carry: (source == 0) == carryIfZero, width: width)
    }

    /// BEXTR: start and length are bytes of the third operand.
    func extractBits(_ instruction: borrowing Instruction) throws(Fault) {
        let source = try read(instruction.operands.1, of: instruction)
        let control = general(instruction.operands.2.register)
        // Smart shifts: both numbers go up to 255.
        let length = control >> 8 & 0xFF
        let result = source >> (control & 0xFF) & ~(UInt64.max << length)
        setGeneral(instruction.operands.0.register, result)
        state.setFlags(result: result, width: Int(instruction.operandSize))
    }

    /// BZHI: CF tells that the index is beyond the operand.
    func zeroHighBits(_ instruction: borrowing Instruction) throws(Fault) {
        let width = UInt64(instruction.operandSize)
        let source = try read(instruction.operands.1, of: instruction)
        let index = general(instruction.operands.2.register) & 0xFF
        let result = source & ~(UInt64.max << index)
        setGeneral(instruction.operands.0.register, result)
        state.setFlags(result: result, carry: index >= width, width: Int(width))
    }

    /// PDEP.
    func depositBits(_ instruction: borrowing Instruction) throws(Fault) {
        var mask = try read(instruction.operands.2, of: instruction)
        var source = general(instruction.operands.1.register)
        var result: UInt64 = 0
        while mask != 0 {
            let lowest = mask & (0 &- mask)
            if source & 1 != 0 { result |= lowest }
            source >>= 1
            mask ^= lowest
        }
        setGeneral(instruction.operands.0.register, result)
    }

    /// PEXT.
    func gatherBits(_ instruction: borrowing Instruction) throws(Fault) {
        var mask = try read(instruction.operands.2, of: instruction)
        let source = general(instruction.operands.1.register)
        var result: UInt64 = 0
        var position: UInt64 = 1
        while mask != 0 {
            let lowest = mask & (0 &- mask)
            if source & lowest != 0 { result |= position }
            position &<<= 1
            mask ^= lowest
        }
        setGeneral(instruction.operands.0.register, result)
    }
}

/// What a bit test does to the bit.
enum BitChange {
    case none, set, reset, complement
}
