import X86

// Exceptions, interrupts and other events in VMX non-root operation (SDM vol. 3 sections 26.2 and 26.5).

extension Processor {
    /// Whether the exception bitmap, with the page-fault mask and match, asks for an exit (section 25.6.3).
    func vmxInterceptsException(_ fault: Fault) -> Bool {
        let controls = state.pointee.virtualization.vmx.controls
        let isSet = controls.exceptionBitmap >> UInt32(fault.vector & 31) & 1 != 0
        guard fault.vector == 14 else { return isSet }
        let matches = (fault.errorCode ?? 0) & controls.pageFaultMask == controls.pageFaultMatch
        return matches == isSet
    }

    /// Leaves the guest for what is due between two instructions.
    func vmxInterceptsBoundary(_ point: BoundaryPoint) -> Bool {
        let s = state
        switch point {
        case .signals: return interceptInitialization()
        case .traps: return interceptTraps()
        case .nonMaskableInterrupts:
            let controls = s.pointee.virtualization.vmx.controls
            if s.pointee.time >= s.pointee.virtualization.timerDeadline, s.pointee.activity != .waitForSIPI {
                leaveGuestNow(.preemptionTimer)
                return true
            }
            guard s.pointee.interruptShadow & InterruptShadow.movSS == 0 else { return false }
            if controls.primary.contains(.nmiWindowExiting), !s.pointee.virtualization.vmx.virtualNMIBlocked {
                leaveGuestNow(.nonMaskableInterruptWindow)
                return true
            }
            guard s.pointee.signals & Signal.nmi != 0, controls.pin.contains(.nmiExiting),
                controls.pin.contains(.virtualNMIs) || !s.pointee.nmiBlocked
            else { return false }
            s.pointee.signals &= ~Signal.nmi
            leaveGuestNow(.nonMaskableInterrupt)
            return true
        case .interrupts:
            let controls = s.pointee.virtualization.vmx.controls
            guard s.pointee.interruptShadow == 0, s.pointee.activity != .shutdown else { return false }
            if controls.primary.contains(.interruptWindowExiting), s.pointee.IF {
                leaveGuestNow(.interruptWindow)
                return true
            }
            guard s.pointee.signals & Signal.interrupt != 0, controls.pin.contains(.externalInterruptExiting) else {
                return false
            }
            return leaveForExternalInterrupt(acknowledges: controls.exit.contains(.acknowledgeInterruptOnExit))
        }
    }

    /// `isSignalDue` in a guest: whether its controls, or what they leave to it, want to be looked at.
    func vmxSignalIsDue(interrupt: Bool, nonMaskable: Bool) -> Bool {
        let s = state
        let controls = s.pointee.virtualization.vmx.controls
        if interrupt, s.pointee.IF || controls.pin.contains(.externalInterruptExiting) { return true }
        if nonMaskable, !s.pointee.nmiBlocked || controls.pin.contains(.virtualNMIs) { return true }
        guard s.pointee.signals & Signal.virtualization != 0 else { return false }
        return controls.primary.contains(.monitorTrapFlag)
            || controls.primary.contains(.interruptWindowExiting) && s.pointee.IF
            || controls.primary.contains(.nmiWindowExiting) && !s.pointee.virtualization.vmx.virtualNMIBlocked
            || s.pointee.virtualization.injection != nil || s.pointee.virtualization.vmx.isTaskPriorityDue
            || s.pointee.virtualization.vmx.isMonitorTrapDue
            || s.pointee.time >= s.pointee.virtualization.timerDeadline
    }

    private func leaveForExternalInterrupt(acknowledges: Bool) -> Bool {
        guard acknowledges else {
            leaveGuestNow(.externalInterrupt(vector: nil))
            return true
        }
        guard let vector = environment.acknowledgeInterrupt() else {
            withdraw(Signal.interrupt)
            return true
        }
        leaveGuestNow(.externalInterrupt(vector: vector))
        return true
    }

    /// INIT leaves the guest unless it waits for SIPI, and SIPI only then.
    private func interceptInitialization() -> Bool {
        let s = state
        let waits = s.pointee.activity == .waitForSIPI
        if s.pointee.signals & Signal.initialize != 0, !waits {
            s.pointee.signals &= ~Signal.initialize
            environment.acknowledgeInitialize()
            leaveGuestNow(.initialize)
            return true
        }
        if s.pointee.signals & Signal.startup != 0 {
            s.pointee.signals &= ~Signal.startup
            guard let vector = environment.acknowledgeStartUp(), waits else { return true }
            leaveGuestNow(.startUp(vector: vector))
            return true
        }
        return false
    }

    /// Event injection, and exits that come before debug traps: TPR below threshold, monitor trap flag.
    private func interceptTraps() -> Bool {
        let s = state
        if let injection = s.pointee.virtualization.injection {
            s.pointee.virtualization.injection = nil
            if s.pointee.virtualization.vmx.controls.primary.contains(.monitorTrapFlag) {
                s.pointee.virtualization.vmx.isMonitorTrapDue = true
            }
            inject(injection)
            return true
        }
        if s.pointee.virtualization.vmx.isTaskPriorityDue {
            s.pointee.virtualization.vmx.isTaskPriorityDue = false
            leaveGuestNow(.taskPriorityBelowThreshold)
            return true
        }
        if s.pointee.virtualization.vmx.isMonitorTrapDue {
            s.pointee.virtualization.vmx.isMonitorTrapDue = false
            leaveGuestNow(.monitorTrap)
            return true
        }
        updateVirtualizationSignal()
        // One instruction, or one delivery, from here on.
        let goesOn = s.pointee.activity == .active || s.pointee.signals & (Signal.interrupt | Signal.nmi) != 0
        if goesOn, s.pointee.virtualization.vmx.controls.primary.contains(.monitorTrapFlag) {
            s.pointee.virtualization.vmx.isMonitorTrapDue = true
        }
        return false
    }

    /// Keeps `Signal.virtualization` while the controls want every instruction boundary.
    func updateVirtualizationSignal() {
        let s = state
        let primary = s.pointee.virtualization.vmx.controls.primary
        let windows: PrimaryControls = [.interruptWindowExiting, .nmiWindowExiting, .monitorTrapFlag]
        let isDue =
            isGuest
            && (!primary.isDisjoint(with: windows) || s.pointee.virtualization.injection != nil
                || s.pointee.virtualization.vmx.isTaskPriorityDue || s.pointee.virtualization.vmx.isMonitorTrapDue
                || s.pointee.time >= s.pointee.virtualization.timerDeadline)
        if isDue { s.pointee.signals |= Signal.virtualization } else { s.pointee.signals &= ~Signal.virtualization }
    }

    // MARK: Virtual task priority

    /// VTPR: byte 80H of the virtual-APIC page (section 30.1.1).
    var virtualTaskPriority: UInt8 {
        let page = state.pointee.virtualization.vmx.controls.virtualAPIC
        return UInt8(truncatingIfNeeded: readPhysical((page &+ 0x80) & memory.addressLineMask, width: 4))
    }

    /// MOV to CR8 with a TPR shadow (sections 30.1.2 and 30.3); false where CR8 is the machine's.
    func vmxTaskPriorityTakes(_ value: UInt64) -> Bool {
        let controls = state.pointee.virtualization.vmx.controls
        guard controls.primary.contains(.useTPRShadow) else { return false }
        let page = controls.virtualAPIC
        writePhysical((page &+ 0x80) & memory.addressLineMask, (value & 0xF) << 4, width: 4)
        if UInt8(truncatingIfNeeded: value & 0xF) < controls.tprThreshold {
            state.pointee.virtualization.vmx.isTaskPriorityDue = true
            raise(Signal.virtualization)
        }
        return true
    }

    // MARK: NMI blocking by IRET

    /// What the delivery of an NMI does to later ones.
    func blockNMIs() {
        let virtualization = state.pointee.virtualization
        if virtualization.mode == .vmx, virtualization.vmx.controls.pin.contains(.virtualNMIs) {
            state.pointee.virtualization.vmx.virtualNMIBlocked = true
        } else {
            state.pointee.nmiBlocked = true
        }
    }

    /// What an IRET does to the blocking of NMIs (sections 26.3 and 26.5.2).
    func unblockNMIs() {
        let s = state
        guard s.pointee.virtualization.mode == .vmx else {
            s.pointee.nmiBlocked = false
            return
        }
        let pin = s.pointee.virtualization.vmx.controls.pin
        if pin.contains(.virtualNMIs) {
            if s.pointee.virtualization.vmx.virtualNMIBlocked { control.pointee.unblockedNMIsAt = s.pointee.time }
            s.pointee.virtualization.vmx.virtualNMIBlocked = false
        } else if !pin.contains(.nmiExiting) {
            if s.pointee.nmiBlocked { control.pointee.unblockedNMIsAt = s.pointee.time }
            s.pointee.nmiBlocked = false
        }
    }

    /// Whether the instruction that leaves the guest is an IRET that has unblocked NMIs.
    var hasUnblockedNMIs: Bool { control.pointee.unblockedNMIsAt == state.pointee.time }

    // MARK: Control registers in VMX operation

    /// Bits of CR0 that VMX operation fixes (section 24.8; IA32_VMX_CR0_FIXED0).
    func isAllowedInVMXOperation(cr0: UInt64) -> Bool {
        guard state.pointee.virtualization.vmx.isOperating else { return true }
        var required = VMXCapabilities.cr0Fixed0
        if isGuest, state.pointee.virtualization.vmx.controls.secondary.contains(.unrestrictedGuest) {
            required &= ~(CR0.PE | CR0.PG)
        }
        return cr0 & required == required
    }

    /// Bits of CR4 that VMX operation fixes.
    func isAllowedInVMXOperation(cr4: UInt64) -> Bool {
        guard state.pointee.virtualization.vmx.isOperating else { return true }
        return cr4 & VMXCapabilities.cr4Fixed0 == VMXCapabilities.cr4Fixed0
    }
}
