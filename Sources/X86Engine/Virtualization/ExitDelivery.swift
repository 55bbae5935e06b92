import X86

// How a guest is left: the place that finds the cause throws `leaveGuest(…)`, which travels to the dispatcher like a
// fault; there `finishExit` gives the exit to guest software (host state is loaded as on hardware) or to a monitor.

/// A monitor written in Swift: it owns the control structure that is current, which lies in memory as for guest software.
///
/// When `handle` is called the guest's state is saved in the control structure as hardware saves it; general registers,
/// x87 and SSE state are in the processor. What the monitor changes takes effect when the guest goes on.
package protocol VirtualMachineMonitor: AnyObject {
    /// Decides what becomes of the guest; called with the processor outside the guest.
    func handle(_ exit: VMExit, on processor: Processor) -> ExitDisposition
}

/// What follows an exit that a monitor has handled.
package enum ExitDisposition: Equatable, Sendable {
    /// The guest goes on where it was left.
    case retry
    /// The guest goes on behind the instruction that caused the exit, which counts as executed.
    case advance
    /// The guest goes on with this fault at the instruction.
    case inject(Fault)
    /// `Processor.run` comes back with `.stopped`; a later run goes on as after `.retry`.
    case stop
}

extension Fault {
    /// Stands for an exit from the guest, which `ControlState.exit` describes; never delivered.
    static let leaving: Fault = {
        var fault = Fault(vector: 0)
        fault.leavesGuest = true
        return fault
    }()
}

extension Processor {
    /// The monitor that receives exits; nil leaves them to guest software.
    package var monitor: (any VirtualMachineMonitor)? {
        get { control.pointee.monitor }
        set { control.pointee.monitor = newValue }
    }

    /// Notes why the guest is to be left; the result is to be thrown.
    func leaveGuest(_ cause: ExitCause, instructionLength: UInt8 = 0) -> Fault {
        control.pointee.exit = VMExit(
            cause: cause, vectoring: control.pointee.vectoring, instructionLength: instructionLength)
        return .leaving
    }

    /// Leaves the guest at an instruction boundary, where there is nobody to throw to.
    func leaveGuestNow(_ cause: ExitCause) {
        control.pointee.vectoring = nil
        _ = leaveGuest(cause)
        finishExit()
    }

    /// Performs the exit that was noted.
    func finishExit() {
        guard let exit = control.pointee.exit else { return }
        control.pointee.exit = nil
        control.pointee.vectoring = nil
        state.pointee.work &+= 1
        switch state.pointee.virtualization.mode {
        case .none: break
        case .vmx: exitFromVMX(exit)
        }
    }

    /// Does what a monitor has decided; true if the guest goes on.
    func monitorHandles(_ exit: VMExit, by monitor: any VirtualMachineMonitor) -> ExitDisposition {
        let disposition = monitor.handle(exit, on: self)
        if disposition == .stop { raise(Signal.stop) }
        return disposition
    }
}
