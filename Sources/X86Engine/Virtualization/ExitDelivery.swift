import X86

// How a guest is left: the place that finds the cause throws `leaveGuest(…)`, which travels to the dispatcher like a
// fault; there `finishExit` gives the exit to guest software (host state is loaded as on hardware) or to a monitor.

/// A monitor written in Swift: it owns the control structure that is current, which lies in memory as for guest software.
///
/// When `handle` is called the guest's state is saved in the control structure as hardware saves it; general registers
/// but RSP, x87 and SSE state are in the processor. What the monitor changes takes effect when the guest goes on.
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
        // What an instruction met that is not done is met again, or lost as with a fault; only what waits since MOV SS stays
        // (SDM volume 3 section 28.3.4).
        if exit.cause.isByInstruction && state.pointee.interruptShadow & InterruptShadow.movSS == 0 {
            state.pointee.pendingDebug = 0
        }
        performExit(exit, from: state.pointee.virtualization.mode)
    }

    /// Leaves a guest: its state goes to the control structure, then the host or the monitor goes on; also for an entry
    /// that has failed.
    func performExit(_ first: VMExit, from mode: GuestMode) {
        var exit = first
        while true {
            guard leave(mode, for: &exit) else { return }
            guard let monitor else { return loadHost(mode, after: exit) }
            switch monitor.handle(exit, on: self) {
            case .retry: break
            case .advance: advanceGuest(mode, by: exit.instructionLength)
            case .inject(let fault): injectIntoGuest(mode, fault)
            case .stop:
                raise(Signal.stop)
                state.pointee.virtualization.resumesAtNextRun = mode
                return
            }
            guard let failure = enterGuestAgain(mode) else { return }
            exit = failure
        }
    }

    /// Enters the guest again whose monitor has asked for a stop.
    func resumeGuestOfMonitor() {
        let mode = state.pointee.virtualization.resumesAtNextRun
        if let failure = enterGuestAgain(mode) { performExit(failure, from: mode) }
    }

    /// Goes on with the guest after a monitor has handled an exit; the failure is the next exit.
    private func enterGuestAgain(_ mode: GuestMode) -> VMExit? {
        state.pointee.virtualization.resumesAtNextRun = .none
        return switch mode {
        case .none: nil
        case .vmx: enterVMXGuest()
        case .svm: loadSVMGuestOfMonitor()
        }
    }

    /// Saves and describes; false if the processor has given up.
    private func leave(_ mode: GuestMode, for exit: inout VMExit) -> Bool {
        switch mode {
        case .none: false
        case .vmx: leaveVMXGuest(&exit)
        case .svm: leaveSVMGuest(&exit)
        }
    }

    private func loadHost(_ mode: GuestMode, after exit: VMExit) {
        switch mode {
        case .none: break
        case .vmx: loadHostState(isNMI: exit.cause == .nonMaskableInterrupt)
        case .svm: loadSVMHost()
        }
    }

    /// Moves the guest behind the instruction that caused an exit, which counts.
    private func advanceGuest(_ mode: GuestMode, by length: UInt8) {
        switch mode {
        case .none: return
        case .vmx: advanceVMXGuest(by: length)
        case .svm: advanceSVMGuest(by: length)
        }
        state.pointee.time &+= 1
    }

    /// Makes a fault the event that the next entry delivers.
    private func injectIntoGuest(_ mode: GuestMode, _ fault: Fault) {
        switch mode {
        case .none: break
        case .vmx: injectIntoVMCS(fault)
        case .svm: injectIntoVMCB(fault)
        }
    }

    /// Puts back what ends with every exit of either extension; registers are still the guest's.
    func leaveGuestMode() {
        let s = state
        s.pointee.virtualization.mode = .none
        s.pointee.virtualization.secondLevel = SecondLevel()
        s.pointee.virtualization.timeStampOffset = 0
        s.pointee.virtualization.timeStampMultiplier = VirtualizationState.unityMultiplier
        s.pointee.virtualization.timerDeadline = .max
        s.pointee.virtualization.injection = nil
        s.pointee.signals &= ~Signal.virtualization
        s.pointee.deadline = control.pointee.machineDeadline
        s.pointee.activity = .active
        s.pointee.interruptShadow = 0
        s.pointee.pendingDebug = 0
        leaveBlockAfterThisInstruction()
    }
}
