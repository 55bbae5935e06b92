import X86

// SDM vol. 1 section 5.1.1: moves, exchanges and conversions.

extension Processor {
    /// MOV and MOVNTI; segment, control and debug registers are the system part's.
    func mov(_ instruction: borrowing Instruction) throws(Fault) {
        let destination = instruction.operands.0
        let source = instruction.operands.1
        if isSystem(destination) || isSystem(source) { return try moveSystemRegister(instruction) }
        try write(destination, of: instruction, try read(source, of: instruction))
    }

    private func isSystem(_ operand: Operand) -> Bool {
        guard operand.kind == .register else { return false }
        return switch operand.register.class {
        case .segment, .control, .debug: true
        case .general64, .general32, .general16, .general8, .general8High, .x87, .mmx, .xmm, .instructionPointer,
            .none:
            false
        }
    }

    /// MOVSX and MOVSXD.
    func moveSignExtended(_ instruction: borrowing Instruction) throws(Fault) {
        let source = try read(instruction.operands.1, of: instruction)
        let extended = UInt64(bitPattern: signed(source, width: Int(instruction.operands.1.width)))
        setGeneral(instruction.operands.0.register, extended)
    }

    /// MOVZX.
    func moveZeroExtended(_ instruction: borrowing Instruction) throws(Fault) {
        setGeneral(instruction.operands.0.register, try read(instruction.operands.1, of: instruction))
    }

    /// MOVBE.
    func moveSwapped(_ instruction: borrowing Instruction) throws(Fault) {
        let source = try read(instruction.operands.1, of: instruction)
        let swapped = source.byteSwapped >> UInt64(64 - instruction.operandSize)
        try write(instruction.operands.0, of: instruction, swapped)
    }

    /// CMOVcc: the source is read, and a 32-bit destination's upper half cleared, whether or not the condition holds.
    func moveConditionally(_ instruction: borrowing Instruction) throws(Fault) {
        let source = try read(instruction.operands.1, of: instruction)
        let destination = instruction.operands.0.register
        setGeneral(destination, state.pointee.holds(instruction.condition) ? source : general(destination))
    }

    /// SETcc.
    func setByte(_ instruction: borrowing Instruction) throws(Fault) {
        try write(instruction.operands.0, of: instruction, state.pointee.holds(instruction.condition) ? 1 : 0)
    }

    /// XCHG.
    func exchange(_ instruction: borrowing Instruction) throws(Fault) {
        let first = try readForUpdate(instruction.operands.0, of: instruction)
        let second = general(instruction.operands.1.register)
        try write(instruction.operands.0, of: instruction, second)
        setGeneral(instruction.operands.1.register, first)
    }

    /// BSWAP; of 16 bits, which the manuals leave undefined, current processors make 0.
    func byteSwap(_ instruction: borrowing Instruction) {
        let register = instruction.operands.0.register
        let value = general(register).byteSwapped
        setGeneral(register, instruction.operandSize == 16 ? 0 : value >> UInt64(64 - instruction.operandSize))
    }

    /// XADD.
    func exchangeAndAdd(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let a = try readForUpdate(instruction.operands.0, of: instruction)
        let b = general(instruction.operands.1.register)
        let sum = truncate(a &+ b, width: width)
        if instruction.operands.0.kind == .memory {
            try write(instruction.operands.0, of: instruction, sum)
            setGeneral(instruction.operands.1.register, a)
        } else {
            setGeneral(instruction.operands.1.register, a)
            setGeneral(instruction.operands.0.register, sum)
        }
        state.setFlagsOfAddition(a, b, result: sum, width: width)
    }

    /// CMPXCHG: memory is always written, with its old value if the comparison fails; a register is only written if
    /// it succeeds, so that the upper half of a 32-bit one stays otherwise.
    func compareAndExchange(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operands.0.width)
        let accumulator = truncate(state.pointee.rax, width: width)
        let destination = try readForUpdate(instruction.operands.0, of: instruction)
        let isEqual = accumulator == destination
        if isEqual {
            try write(instruction.operands.0, of: instruction, general(instruction.operands.1.register))
        } else if instruction.operands.0.kind == .memory {
            try write(instruction.operands.0, of: instruction, destination)
        }
        if !isEqual { setGeneral(accumulatorRegister(width), destination) }
        state.setFlagsOfSubtraction(
            accumulator, destination, result: truncate(accumulator &- destination, width: width), width: width)
    }

    /// AL, AX, EAX or RAX.
    private func accumulatorRegister(_ width: Int) -> Register {
        width == 8 ? .al : .general(0, width: width)
    }

    /// CMPXCHG8B (halves of 4 bytes) and CMPXCHG16B (of 8, which must be aligned to 16).
    func compareAndExchangePair(_ instruction: borrowing Instruction, half width: Int) throws(Fault) {
        let s = state
        let bytes = width / 8
        let segment = instruction.memory.segment
        let address = effectiveAddress(instruction)
        let linear =
            bytes == 8
            ? try alignedAddress(segment, address, width: 16, alignment: 16, .write)
            : try linearAddress(segment, address, width: 8, .write)
        try probeWrite(linear, width: 2 * bytes)
        let upper = wrapLinear(linear &+ UInt64(bytes))
        let low = try readLinear(linear, width: bytes)
        let high = try readLinear(upper, width: bytes)
        let isEqual =
            low == truncate(s.pointee.rax, width: width) && high == truncate(s.pointee.rdx, width: width)
        try writeLinear(linear, isEqual ? s.pointee.rbx : low, width: bytes)
        try writeLinear(upper, isEqual ? s.pointee.rcx : high, width: bytes)
        if !isEqual {
            s.pointee.rax = low
            s.pointee.rdx = high
        }
        s.pointee.setStatusFlags(isEqual ? RFLAGS.ZF : 0, mask: RFLAGS.ZF)
    }

    /// CBW, CWDE and CDQE: the lower half of the accumulator sign-extended into all of it.
    func extendAccumulator(_ instruction: borrowing Instruction) {
        let width = Int(instruction.operandSize)
        let extended = UInt64(bitPattern: signed(state.pointee.rax, width: width / 2))
        setGeneral(.general(0, width: width), extended)
    }

    /// CWD, CDQ and CQO: the sign of the accumulator into all of rDX.
    func extendIntoData(_ instruction: borrowing Instruction) {
        let width = Int(instruction.operandSize)
        setGeneral(.general(2, width: width), topBit(state.pointee.rax, width: width) ? .max : 0)
    }

    /// LEA.
    func loadEffectiveAddress(_ instruction: borrowing Instruction) {
        setGeneral(instruction.operands.0.register, effectiveAddress(instruction))
    }

    /// XLAT.
    func translateByte(_ instruction: borrowing Instruction) throws(Fault) {
        setGeneral(.al, try read(instruction.operands.0, of: instruction))
    }
}
