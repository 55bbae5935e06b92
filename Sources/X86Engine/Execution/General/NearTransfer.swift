import X86

// SDM vol. 1 section 5.1.7: control transfer inside a code segment. Targets outside the segment's limit, or not
// canonical, give #GP(0) before anything has changed.

extension Processor {
    /// Jcc.
    func jumpConditionally(_ instruction: borrowing Instruction) throws(Fault) {
        guard state.pointee.holds(instruction.condition) else { return }
        state.pointee.nextRIP = try relativeTarget(instruction)
    }

    /// JMP, near.
    func jump(_ instruction: borrowing Instruction) throws(Fault) {
        state.pointee.nextRIP = try target(instruction)
    }

    /// CALL, near.
    func call(_ instruction: borrowing Instruction) throws(Fault) {
        let target = try target(instruction)
        try push(state.pointee.nextRIP, width: Int(instruction.operandSize))
        state.pointee.nextRIP = target
    }

    /// RET, near, with the bytes of parameters to drop as immediate.
    func returnNear(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        let target = try stackValue(at: 0, width: width)
        try checkTarget(target)
        advanceStackPointer(UInt64(width / 8) &+ instruction.immediate)
        state.pointee.nextRIP = target
    }

    /// JCXZ, JECXZ and JRCXZ: the address size says which.
    func jumpIfCounterIsZero(_ instruction: borrowing Instruction) throws(Fault) {
        guard truncate(state.pointee.rcx, width: Int(instruction.addressSize)) == 0 else { return }
        state.pointee.nextRIP = try relativeTarget(instruction)
    }

    /// LOOP, and LOOPE and LOOPNE with the ZF they go on with.
    func loop(_ instruction: borrowing Instruction, whileZF required: Bool? = nil) throws(Fault) {
        let width = Int(instruction.addressSize)
        let count = truncate(state.pointee.rcx &- 1, width: width)
        if count != 0 && (required == nil || required == state.pointee.ZF) {
            state.pointee.nextRIP = try relativeTarget(instruction)
        }
        setGeneral(.general(1, width: width), count)
    }

    /// BOUND: signed, both bounds inclusive.
    func checkBounds(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        let address = effectiveAddress(instruction)
        let second = truncate(address &+ UInt64(width / 8), width: Int(instruction.addressSize))
        let lower = try readMemory(instruction.memory.segment, address, width: width / 8)
        let upper = try readMemory(instruction.memory.segment, second, width: width / 8)
        let index = signed(general(instruction.operands.0.register), width: width)
        guard index >= signed(lower, width: width), index <= signed(upper, width: width) else {
            throw .boundRangeExceeded
        }
    }

    private func target(_ instruction: borrowing Instruction) throws(Fault) -> UInt64 {
        guard instruction.operands.0.kind != .relative else { return try relativeTarget(instruction) }
        let target = try read(instruction.operands.0, of: instruction)
        try checkTarget(target)
        return target
    }

    private func relativeTarget(_ instruction: borrowing Instruction) throws(Fault) -> UInt64 {
        let target = truncate(
            state.pointee.nextRIP &+ instruction.immediate, width: Int(instruction.operandSize))
        try checkTarget(target)
        return target
    }

    @inline(__always)
    private func checkTarget(_ target: UInt64) throws(Fault) {
        let isValid =
            state.pointee.mode.code == 64 ? Self.isCanonical(target) : target <= UInt64(state.pointee.cs.limit)
        guard isValid else { throw .generalProtection(0) }
    }
}
