import X86

// PUSH, POP and stack frames. PUSHF, POPF and POP of segment registers are the system part's.

extension Processor {
    /// PUSH; a selector is zero-extended to the operand size (the SDM also allows a 16-bit write).
    func push(_ instruction: borrowing Instruction) throws(Fault) {
        let operand = instruction.operands.0
        let value =
            operand.register.class == .segment
            ? UInt64(state.pointee.segment(operand.register).selector) : try read(operand, of: instruction)
        try push(value, width: Int(instruction.operandSize))
    }

    /// POP: a destination addressed by rSP is addressed after the increment, and POP rSP keeps the value popped.
    func pop(_ instruction: borrowing Instruction) throws(Fault) {
        guard instruction.operands.0.register.class != .segment else { return try popSegment(instruction) }
        let before = state.pointee.rsp
        let value = try pop(width: Int(instruction.operandSize))
        do throws(Fault) {
            try write(instruction.operands.0, of: instruction, value)
        } catch {
            state.pointee.rsp = before
            throw error
        }
    }

    /// PUSHA and PUSHAD: rAX, rCX, rDX, rBX, the old rSP, rBP, rSI, rDI.
    func pushAll(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        for number in 1...8 {
            let linear = try linearAddress(.ss, stackOffset(-number * width / 8), width: width / 8, .write)
            try probeWrite(linear, width: width / 8)
        }
        let old = state.pointee.rsp
        for number in 0..<8 {
            try push(number == 4 ? old : registers[number], width: width)
        }
    }

    /// POPA and POPAD; the image of rSP is skipped.
    func popAll(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        var values = SIMD8<UInt64>(repeating: 0)
        for position in 0..<8 {
            values[7 - position] = try stackValue(at: UInt64(position * width / 8), width: width)
        }
        for number in 0..<8 where number != 4 {
            setGeneral(.general(number, width: width), values[number])
        }
        advanceStackPointer(UInt64(width))
    }

    /// ENTER: rSP and rBP change only after all memory has been reached, the byte at the new top included.
    func enter(_ instruction: borrowing Instruction) throws(Fault) {
        let s = state
        let width = Int(instruction.operandSize)
        let bytes = width / 8
        let stackWidth = Int(s.pointee.mode.stackWidth)
        let level = Int(instruction.immediate2 & 31)
        let pushed = level == 0 ? 1 : level + 1
        let frame = stackOffset(-bytes)
        let top = stackOffset(-pushed * bytes - Int(instruction.immediate & 0xFFFF))
        func outer(_ position: Int) -> UInt64 { truncate(s.pointee.rbp &- UInt64(position * bytes), width: stackWidth) }
        // An outer frame may lie where the new one is written, so nothing is written before everything is known to be
        // reached: done again after a fault, ENTER would read what it has written.
        for position in 0..<pushed {
            if position > 0 && position < level {
                try probeRead(try linearAddress(.ss, outer(position), width: bytes, .read), width: bytes)
            }
            try probeWrite(
                try linearAddress(.ss, stackOffset(-(position + 1) * bytes), width: bytes, .write), width: bytes)
        }
        try probeWrite(try linearAddress(.ss, top, width: bytes, .write), width: bytes)
        for position in 0..<pushed {
            let value =
                position == 0
                ? s.pointee.rbp
                : position == level ? frame : try readMemory(.ss, outer(position), width: bytes)
            try writeMemory(.ss, stackOffset(-(position + 1) * bytes), value, width: bytes)
        }
        setStackPointer(top)
        setGeneral(.general(5, width: width), frame)
    }

    /// LEAVE.
    func leave(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        let stackWidth = Int(state.pointee.mode.stackWidth)
        let frame = truncate(state.pointee.rbp, width: stackWidth)
        let outer = try readMemory(.ss, frame, width: width / 8)
        setStackPointer(truncate(frame &+ UInt64(width / 8), width: stackWidth))
        setGeneral(.general(5, width: width), outer)
    }

    /// The offset in the stack segment `displacement` bytes from the top.
    private func stackOffset(_ displacement: Int) -> UInt64 {
        truncate(
            state.pointee.rsp &+ UInt64(bitPattern: Int64(displacement)), width: Int(state.pointee.mode.stackWidth))
    }
}
