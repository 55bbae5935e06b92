// How slow paths reach into a running block: the operation after the current one is replaced by `leave`, so the hot
// loop needs no check.

extension Processor {
    /// Ends the running block after the current instruction, so that what has changed is looked at.
    func leaveBlockAfterThisInstruction() {
        state.pointee.limit = 0
        guard let current = control.pointee.current, control.pointee.patched == nil, !current.pointee.code.endsBlock
        else { return }
        let next = current + 1
        control.pointee.patched = next
        control.pointee.patchedCode = next.pointee.code
        next.pointee.code = .leave
    }

    /// Raises signals for the next instruction boundary.
    package func raise(_ signal: UInt8) {
        state.pointee.signals |= signal
        leaveBlockAfterThisInstruction()
    }

    /// Withdraws signals (an interrupt line that fell).
    package func withdraw(_ signal: UInt8) { state.pointee.signals &= ~signal }

    /// The count of guest time at which the machine wants to be asked next.
    package func setDeadline(_ time: UInt64) {
        control.pointee.machineDeadline = time
        let earliest = min(time, state.pointee.virtualization.timerDeadline)
        guard earliest != state.pointee.deadline else { return }
        state.pointee.deadline = earliest
        leaveBlockAfterThisInstruction()
    }

    /// Drops the blocks made from changed bytes, and leaves the running one in case it is among them.
    func codeChanged(page: Int, offset: Int, count: Int) {
        // First, while the current operation still has its code: invalidation marks a block by its first one.
        leaveBlockAfterThisInstruction()
        blocks.invalidate(page: page, offset: offset, count: count)
    }
}
