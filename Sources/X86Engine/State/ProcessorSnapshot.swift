/// Everything architectural that a processor holds, between two instructions.
///
/// What is derived (the soft TLB, cached blocks) or steers a run is not part of it.
package struct ProcessorSnapshot {
    var state: ProcessorState
    var faultChain: [FaultRecord]
    var transitions: TransitionCounters

    /// The guest time.
    package var time: UInt64 { state.time }
    /// Instructions, REP iterations and deliveries until then.
    package var instructions: UInt64 { state.time &- state.idleTime }
}

extension Processor {
    /// Keeps the state; nothing may be running.
    package func snapshot() -> ProcessorSnapshot {
        ProcessorSnapshot(
            state: state.pointee, faultChain: control.pointee.faultChain, transitions: control.pointee.transitions)
    }

    /// Brings a state back; nothing may be running.
    package func restore(_ snapshot: ProcessorSnapshot) {
        // The soft TLB is this processor's own.
        let (tlb, mask) = (state.pointee.tlb, state.pointee.tlbMask)
        state.pointee = snapshot.state
        state.pointee.tlb = tlb
        state.pointee.tlbMask = mask
        state.pointee.signals &= ~Signal.stop
        setDeadline(.max)
        state.pointee.limit = .max
        control.pointee.faultChain = snapshot.faultChain
        control.pointee.transitions = snapshot.transitions
        control.pointee.hasFault = false
        control.pointee.link = nil
        forgetReportedInstructions()
        control.pointee.decisions = Decisions()
        forgetVirtualization()
        flushTLB()
        updateMode()
    }
}
