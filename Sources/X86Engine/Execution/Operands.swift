import X86

// Registers and operands for instructions that execute outside the hot loop. Widths are in bits, as in `Operand`.

extension Processor {
    /// The general registers as an array.
    @inline(__always)
    var registers: UnsafeMutablePointer<UInt64> {
        // SAFETY: the sixteen general registers are the first fields of the state, without gaps.
        UnsafeMutableRawPointer(state).assumingMemoryBound(to: UInt64.self)
    }

    /// Reads a general register of any width, zero-extended.
    package func general(_ register: Register) -> UInt64 {
        let number = register.number
        return switch register.class {
        case .general64: registers[number]
        case .general32: registers[number] & 0xFFFF_FFFF
        case .general16: registers[number] & 0xFFFF
        case .general8: registers[number] & 0xFF
        case .general8High: registers[number - 4] >> 8 & 0xFF
        case .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none: 0
        }
    }

    /// Writes a general register; 32-bit writes clear the upper half.
    ///
    /// SDM vol. 1 section 3.4.1.1.
    package func setGeneral(_ register: Register, _ value: UInt64) {
        let number = register.number
        switch register.class {
        case .general64: registers[number] = value
        case .general32: registers[number] = value & 0xFFFF_FFFF
        case .general16: registers[number] = registers[number] & ~0xFFFF | value & 0xFFFF
        case .general8: registers[number] = registers[number] & ~0xFF | value & 0xFF
        case .general8High: registers[number - 4] = registers[number - 4] & ~0xFF00 | (value & 0xFF) << 8
        case .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none: break
        }
    }

    /// Reads a register or memory operand or an immediate of at most 64 bits, zero-extended from its width.
    package func read(_ operand: Operand, of instruction: borrowing Instruction) throws(Fault) -> UInt64 {
        switch operand.kind {
        case .register:
            return general(operand.register)
        case .memory:
            return try readMemory(
                instruction.memory.segment, effectiveAddress(instruction), width: Int(operand.width) / 8)
        case .immediate, .relative, .farPointer:
            return truncate(instruction.immediate, width: Int(operand.width))
        case .immediate2:
            return instruction.immediate2
        case .memoryDestination, .none:
            return 0
        }
    }

    /// Writes a register or memory operand of at most 64 bits.
    package func write(_ operand: Operand, of instruction: borrowing Instruction, _ value: UInt64) throws(Fault) {
        switch operand.kind {
        case .register:
            setGeneral(operand.register, value)
        case .memory:
            try writeMemory(
                instruction.memory.segment, effectiveAddress(instruction), value, width: Int(operand.width) / 8)
        case .immediate, .immediate2, .relative, .farPointer, .memoryDestination, .none:
            break
        }
    }

    /// Reads an operand that will be written back: memory must be writable before anything happens.
    package func readForUpdate(_ operand: Operand, of instruction: borrowing Instruction) throws(Fault) -> UInt64 {
        guard operand.kind == .memory else { return try read(operand, of: instruction) }
        let width = Int(operand.width) / 8
        let linear = try linearAddress(
            instruction.memory.segment, effectiveAddress(instruction), width: width, .write)
        try probeWrite(linear, width: width)
        return try readLinear(linear, width: width)
    }

    /// Pushes a value of `width` bits; RSP changes only if the write succeeds.
    package func push(_ value: UInt64, width: Int) throws(Fault) {
        let stackWidth = Int(state.pointee.mode.stackWidth)
        let offset = truncate(state.pointee.rsp &- UInt64(width / 8), width: stackWidth)
        try writeMemory(.ss, offset, value, width: width / 8)
        setStackPointer(offset)
    }

    /// Pops a value of `width` bits.
    package func pop(width: Int) throws(Fault) -> UInt64 {
        let value = try stackValue(at: 0, width: width)
        advanceStackPointer(UInt64(width / 8))
        return value
    }

    /// Reads the stack at `displacement` bytes above the top without moving it.
    package func stackValue(at displacement: UInt64, width: Int) throws(Fault) -> UInt64 {
        let stackWidth = Int(state.pointee.mode.stackWidth)
        return try readMemory(
            .ss, truncate(state.pointee.rsp &+ displacement, width: stackWidth), width: width / 8)
    }

    /// Adds to SP, ESP or RSP as the stack segment says.
    package func advanceStackPointer(_ bytes: UInt64) {
        setStackPointer(truncate(state.pointee.rsp &+ bytes, width: Int(state.pointee.mode.stackWidth)))
    }

    /// Writes SP, ESP or RSP as the stack segment says; the rest of RSP stays (32-bit writes clear it in 64-bit terms).
    package func setStackPointer(_ value: UInt64) {
        switch state.pointee.mode.stackWidth {
        case 64: state.pointee.rsp = value
        case 32: state.pointee.rsp = value & 0xFFFF_FFFF
        default: state.pointee.rsp = state.pointee.rsp & ~0xFFFF | value & 0xFFFF
        }
    }
}
