import X86

extension Processor {
    /// CLFLUSH, CLFLUSHOPT and CLWB: memory is always coherent, so only the checks of a byte load remain.
    func flushLine(_ instruction: borrowing Instruction) throws(Fault) {
        let linear = try linearAddress(instruction.memory.segment, effectiveAddress(instruction), width: 1, .read)
        _ = try translateAndFill(linear, .read)
    }
}
