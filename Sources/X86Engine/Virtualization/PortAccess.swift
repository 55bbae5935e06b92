import X86

extension Processor {
    /// What IN, OUT, INS or OUTS is about to do; nil for a repeated string instruction that has nothing to do.
    func portAccess(_ instruction: borrowing Instruction) -> PortAccess? {
        let operation = instruction.operation
        let isInput = operation == .in || operation == .ins
        let isString = operation == .ins || operation == .outs
        let data = isInput ? instruction.operands.0 : instruction.operands.1
        let portOperand = isInput ? instruction.operands.1 : instruction.operands.0
        let isImmediate = portOperand.kind == .immediate
        let port = UInt16(truncatingIfNeeded: isImmediate ? instruction.immediate : state.pointee.rdx)
        var access = PortAccess(port: port, width: UInt8(truncatingIfNeeded: data.width / 8), isInput: isInput)
        access.isImmediate = isImmediate
        access.addressSize = instruction.addressSize
        if !isInput && !isString { access.value = UInt32(truncatingIfNeeded: general(data.register)) }
        guard isString else { return access }
        access.isString = true
        access.isRepeated = instruction.prefixes.rawValue & Prefixes.anyRepeat.rawValue != 0
        access.segment = isInput ? 0 : UInt8(truncatingIfNeeded: instruction.memory.segment.number)
        let counter = truncate(state.pointee.rcx, width: Int(instruction.addressSize))
        return access.isRepeated && counter == 0 ? nil : access
    }

    /// The linear address of the memory operand of INS or OUTS, without checks.
    func stringLinear(_ instruction: borrowing Instruction, _ access: PortAccess) -> UInt64 {
        let offset = truncate(
            access.isInput ? state.pointee.rdi : state.pointee.rsi, width: Int(instruction.addressSize))
        let segment = access.isInput ? Register.es : instruction.memory.segment
        if is64BitMode {
            return segment == .fs || segment == .gs ? state.pointee.segment(segment).base &+ offset : offset
        }
        return (state.pointee.segment(segment).base &+ offset) & 0xFFFF_FFFF
    }
}
