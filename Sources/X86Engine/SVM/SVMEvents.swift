import X86

// Exceptions, interrupts and other events in SVM guest mode (APM volume 2 sections 15.12, 15.13, 15.17 and 15.21).

extension Processor {
    /// Whether the intercept of an exception takes it; INT1 has an intercept of its own (section 15.12.2).
    func svmInterceptsException(_ fault: Fault, _ source: EventSource) -> Bool {
        guard source != .privilegedSoftwareException else { return false }
        return state.pointee.virtualization.svm.controls.intercepts(.exception(fault.vector))
    }

    /// Leaves the guest for what is due between two instructions, or takes its virtual interrupt.
    func svmInterceptsBoundary(_ point: BoundaryPoint) -> Bool {
        let s = state
        let svm = s.pointee.virtualization.svm
        switch point {
        case .traps: return injectEventOfVMCB()
        case .signals:
            // The INIT stays pending, as interrupts and NMIs do.
            guard s.pointee.signals & Signal.initialize != 0 else { return false }
            return leaves(for: .initialize, .initialize)
        case .nonMaskableInterrupts:
            guard s.pointee.signals & Signal.nmi != 0, !s.pointee.nmiBlocked,
                s.pointee.interruptShadow & InterruptShadow.movSS == 0
            else { return false }
            return leaves(for: .nonMaskableInterrupt, .nonMaskableInterrupt)
        case .interrupts:
            guard s.pointee.interruptShadow == 0 else { return false }
            if s.pointee.signals & Signal.interrupt != 0 && svmAcceptsInterrupts {
                return leaves(for: .interrupt, .externalInterrupt(vector: nil))
            }
            guard svm.globalInterruptFlag, s.pointee.IF, svm.virtualInterrupt.isDue else { return false }
            if leaves(for: .virtualInterrupt, .interruptWindow) { return true }
            s.pointee.virtualization.svm.virtualInterrupt.isPending = false
            updateSVMSignal()
            deliver(Fault(vector: svm.virtualInterrupt.vector), source: .externalInterrupt)
            return true
        }
    }

    private func leaves(for intercept: SVMIntercept, _ cause: ExitCause) -> Bool {
        let svm = state.pointee.virtualization.svm
        guard svm.globalInterruptFlag, svm.controls.intercepts(intercept) else { return false }
        leaveGuestNow(cause)
        return true
    }

    /// Delivers what VMRUN injects.
    private func injectEventOfVMCB() -> Bool {
        guard let injection = state.pointee.virtualization.injection else {
            updateSVMSignal()
            return false
        }
        state.pointee.virtualization.injection = nil
        inject(injection)
        return true
    }

    /// Keeps `Signal.virtualization` while every instruction boundary must be looked at.
    func updateSVMSignal() {
        let virtualization = state.pointee.virtualization
        let isDue =
            virtualization.mode == .svm
            && (virtualization.injection != nil || virtualization.svm.virtualInterrupt.isPending)
        if isDue {
            state.pointee.signals |= Signal.virtualization
        } else {
            state.pointee.signals &= ~Signal.virtualization
        }
    }

    /// Whether the machine's interrupts are not masked: by the host's RFLAGS.IF with V_INTR_MASKING, else by the guest's.
    var svmAcceptsInterrupts: Bool {
        let svm = state.pointee.virtualization.svm
        return svm.globalInterruptFlag
            && (svm.virtualInterrupt.masksVirtually ? svm.hostInterruptFlag : state.pointee.IF)
    }

    // MARK: Virtual task priority (section 15.21.2)

    /// CR8 as the guest reads it.
    func svmVisibleTaskPriority(_ value: UInt64) -> UInt64 {
        let interrupt = state.pointee.virtualization.svm.virtualInterrupt
        return interrupt.masksVirtually ? UInt64(interrupt.taskPriority) : value
    }

    /// MOV to CR8 writes V_TPR, and without V_INTR_MASKING the machine's task priority too: then false.
    func svmTaskPriorityTakes(_ value: UInt64) -> Bool {
        state.pointee.virtualization.svm.virtualInterrupt.taskPriority = UInt8(truncatingIfNeeded: value & 0xF)
        return state.pointee.virtualization.svm.virtualInterrupt.masksVirtually
    }

    // MARK: INIT

    /// What INIT or a start-up message does: it is the machine's, or #SX where VM_CR.R_INIT redirects it (section 15.21.8).
    func takeInitialization() -> RunResult? {
        let s = state
        guard s.pointee.signals & Signal.initialize != 0, s.pointee.virtualization.svm.vmCR & VMCR.redirectsINIT != 0
        else { return .signal }
        s.pointee.signals &= ~Signal.initialize
        environment.acknowledgeInitialize()
        deliver(Fault(vector: 30, errorCode: 1), source: .exception)
        return nil
    }

    /// What INIT does to SVM: guest mode ends and GIF is set; VM_CR keeps what is locked.
    func initializeSVM() {
        guard model.features.contains(.svm) else { return }
        if state.pointee.virtualization.mode == .svm { leaveGuestMode() }
        state.pointee.virtualization.resumesAtNextRun = .none
        state.pointee.virtualization.svm.globalInterruptFlag = true
        if state.pointee.virtualization.svm.vmCR & VMCR.lock == 0 {
            state.pointee.virtualization.svm.vmCR &= ~VMCR.svmDisable
        }
    }
}
