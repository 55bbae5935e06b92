import X86

extension Processor {
    /// Executes one decoded instruction completely.
    ///
    /// On entry `state.rip` is its address and `state.nextRIP` the following one; control transfers change `nextRIP`.
    /// A thrown fault leaves the state as it was before the instruction, but for what the manuals say is kept.
    func execute(_ instruction: borrowing Instruction) throws(Fault) {
        switch instruction.operation {
        case .nop: break
        default: throw .invalidOpcode
        }
    }
}
