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

// What a raised signal does at an instruction boundary.

extension Processor {
    /// Whether a signal that is raised has an effect before the next instruction.
    ///
    /// One that is masked waits without slowing what runs: whatever unmasks it (STI, POPF, IRET, a task switch, VM
    /// entry) ends its block, and this is asked again.
    var isSignalDue: Bool {
        let s = state
        let masked = s.pointee.signals & ~(Signal.interrupt | Signal.nmi | Signal.virtualization) == 0
        guard masked else { return true }
        let interrupt = s.pointee.signals & Signal.interrupt != 0
        let nonMaskable = s.pointee.signals & Signal.nmi != 0
        switch s.pointee.virtualization.mode {
        case .none:
            return s.pointee.signals & Signal.virtualization != 0 || interrupt && acceptsInterrupts
                || nonMaskable && !s.pointee.nmiBlocked
        case .svm:
            return interrupt && acceptsInterrupts || nonMaskable && !s.pointee.nmiBlocked
                || s.pointee.virtualization.injection != nil
                || s.pointee.virtualization.svm.virtualInterrupt.isPending && s.pointee.IF
        case .vmx:
            return vmxSignalIsDue(interrupt: interrupt, nonMaskable: nonMaskable)
        }
    }
}
