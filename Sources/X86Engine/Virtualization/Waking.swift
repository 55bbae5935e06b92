// What a machine must know of a halted processor to decide how long nothing will happen.

extension Processor {
    /// Whether an interrupt, or a timer of the guest's controls, would wake the halted processor.
    package var wakesOnInterrupt: Bool {
        let virtualization = state.pointee.virtualization
        switch virtualization.mode {
        case .none, .svm: return acceptsInterrupts
        case .vmx:
            return state.pointee.IF || virtualization.timerDeadline != .max
                || virtualization.vmx.controls.pin.contains(.externalInterruptExiting)
        }
    }

    /// The guest time at which a timer of the guest's controls (the VMX-preemption timer) is due; all ones if none runs.
    package var guestTimerDeadline: UInt64 { state.pointee.virtualization.timerDeadline }
}
