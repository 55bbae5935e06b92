// How slow paths reach into a running block: the operation after the current one is replaced by `leave`, so the hot
// loop needs no check.

extension Processor {
    /// Ends the running block after the current instruction, so that what has changed is looked at.
    func leaveBlockAfterThisInstruction() {
        state.pointee.limit = 0
    }

    /// Raises signals for the next instruction boundary.
    package func raise(_ signal: UInt8) {
        state.pointee.signals |= signal
        leaveBlockAfterThisInstruction()
    }

    /// Withdraws signals (an interrupt line that fell).
    package func withdraw(_ signal: UInt8) { state.pointee.signals &= ~signal }

    /// The count of guest time at which `environment` wants to be called next.
    package func setDeadline(_ time: UInt64) {
        state.pointee.deadline = time
        leaveBlockAfterThisInstruction()
    }

    /// Drops what was derived from changed bytes.
    func codeChanged(page: Int, offset: Int, count: Int) {
        leaveBlockAfterThisInstruction()
    }

    /// Whether fast accesses to a linear page must be withheld because a data breakpoint lies in it.
    func isWatched(linearPage: UInt64) -> Bool { false }

    /// Called for every data access that did not take the fast path.
    func noteDataAccess(_ linear: UInt64, _ width: Int, write: Bool) {}
}
