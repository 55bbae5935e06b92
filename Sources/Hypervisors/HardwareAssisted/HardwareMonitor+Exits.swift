import X86
import X86Engine

extension HardwareMonitor {
    /// Decides what becomes of the guest after an exit.
    func handle(_ exit: VMExit) -> ExitDisposition {
        statistics.countExit(exit.code)
        let interrupt = injectedVector
        injectedVector = nil
        if exit.cause.isFailedEntry {
            // The guest's processor still has the state: a state that the guest can be in but VM entry refuses. The
            // instruction is interpreted, behind an interrupt that has been taken from the controllers.
            guest.takeTransitionCounters(from: machine)
            _ = left(.exit(exit))
            pending = interrupt.map { .interrupt(vector: $0) } ?? .interpret
            return .stop
        }
        takeBack()
        clearInjectedResumeFlag(exit)
        let exit = told(exit)
        // What only ends a run of the machine's, and what leaves the guest only because it is watched, is no crossing.
        if exit.cause != .externalInterrupt(vector: nil), !isOnlyWatched(exit.cause) {
            let verdict = left(.exit(exit))
            guard verdict == .proceed else {
                pending = .settle(verdict)
                return .stop
            }
        }
        let disposition = dispose(of: exit)
        if disposition != .stop {
            machine.takeTransitionCounters(from: guest)
            reportEntry()
        }
        return disposition
    }

    /// Whether an exception would not have left the guest if nobody had asked for exceptions.
    private func isOnlyWatched(_ cause: ExitCause) -> Bool {
        guard case .exception(let fault, .exception) = cause else { return false }
        return neededExceptions >> UInt32(fault.vector & 31) & 1 == 0
    }

    /// The exit as it is told: #UD of a VMCALL that the machine does not have is that call.
    private func told(_ exit: VMExit) -> VMExit {
        guard case .exception(let fault, .exception) = exit.cause, fault.vector == 6, exit.vectoring == nil,
            backEnd.interpretedExceptions & 1 << 6 != 0, let instruction = try? guest.instructionAtRIP(),
            instruction.operation == .vmcall
        else { return exit }
        var told = exit
        told.cause = .instruction(instruction)
        told.instructionLength = instruction.length
        return told
    }

    /// Exits for page faults leave RF set for the event that is injected next; if its delivery comes to nothing, the
    /// guest must not find it in its flags.
    private func clearInjectedResumeFlag(_ exit: VMExit) {
        if injectedResumeFlag, exit.cause == .tripleFault || exit.vectoring?.source == .exception {
            guest.systemFlags &= ~RFLAGS.RF
        }
        injectedResumeFlag = false
    }

    private func dispose(of exit: VMExit) -> ExitDisposition {
        if let event = exit.vectoring, !event.source.isInstruction, exit.cause != .tripleFault {
            // What the delivery met is met again, by the guest's own tables.
            if case .exception(let fault, .exception) = exit.cause, fault.vector == 14 { fillForProcessor(fault) }
            pending = .redeliver(event)
            return .stop
        }
        switch exit.cause {
        case .exception(let fault, .exception): return dispose(of: fault)
        case .externalInterrupt, .interruptWindow: break
        case .tripleFault:
            guest.takeFaultChain(from: machine)
            guest.state.pointee.activity = .shutdown
        case .exception, .nonMaskableInterrupt, .initialize, .startUp, .nonMaskableInterruptWindow, .taskSwitch,
            .instruction, .invalidatePage, .controlRegister, .debugRegister, .port, .readModelSpecificRegister,
            .writeModelSpecificRegister, .secondLevel, .preemptionTimer, .monitorTrap, .taskPriorityBelowThreshold,
            .invalidControls, .invalidGuestState, .entryMSRLoadFailure, .invalidVMCB:
            pending = .interpret
        }
        return .stop
    }

    /// An exception of the guest's that leaves it: because it is watched, because of FERR#, or a page fault under
    /// shadow page tables.
    private func dispose(of fault: Fault) -> ExitDisposition {
        if fault.vector == 14, shadow != nil { return disposeOfPageFault(fault) }
        if backEnd.interpretedExceptions >> UInt32(fault.vector & 31) & 1 != 0 {
            pending = .interpret
            return .stop
        }
        if fault.vector == 16, guest.state.pointee.cr0 & CR0.NE == 0 {
            pending = .interpret
        } else {
            pending = .deliver(fault)
        }
        return .stop
    }

    /// Makes the shadow entries for an access of the processor's own, to a descriptor or a stack, so that the next one does
    /// not leave the guest; the access itself is about to be done by the guest's own tables, faults included.
    private func fillForProcessor(_ fault: Fault) {
        guard let shadow else { return }
        let kind = AccessKind(pageFaultCode: fault.errorCode ?? 0)
        if (try? shadow.fill(fault.address, kind, by: .system)) == true { statistics.hiddenPageFaults &+= 1 }
    }

    /// A page fault of the machine's: the guest's own, one that it must not see, or an access to be emulated.
    private func disposeOfPageFault(_ fault: Fault) -> ExitDisposition {
        guard let shadow else { return .stop }
        pending = .interpret
        let code = fault.errorCode ?? 0
        // An instruction that reads a descriptor does that as a supervisor.
        guard code & PageFaultCode.US != 0 || guest.state.pointee.cpl != 3 else {
            fillForProcessor(fault)
            return .stop
        }
        let kind = AccessKind(pageFaultCode: code)
        do throws(Fault) {
            guard try shadow.fill(fault.address, kind) else { return .stop }
            statistics.hiddenPageFaults &+= 1
            backEnd.retry(guest, with: shadow)
            if shadow.resets != knownResets {
                knownResets = shadow.resets
                machine.flushTLB()
            } else if !machine.allows(fault.address, kind) {
                // What the shadow cannot express (a supervisor's writes while CR0.WP is clear) is emulated.
                return .stop
            }
            // Breakpoints of a MOV SS that wait for the instruction: a VMCB could not say so.
            guard guest.state.pointee.pendingDebug == 0 else { return .stop }
            pending = .nothing
            return .retry
        } catch {
            statistics.truePageFaults &+= 1
            guard guest.watched.contains(.exception) else {
                pending = .nothing
                injectedResumeFlag = guest.systemFlags & RFLAGS.RF == 0
                return .inject(error)
            }
            pending = .deliver(error)
            return .stop
        }
    }
}

extension AccessKind {
    /// What was tried, by a page fault's error code (SDM volume 3 figure 4-12).
    fileprivate init(pageFaultCode code: UInt32) {
        self = code & PageFaultCode.ID != 0 ? .execute : code & PageFaultCode.WR != 0 ? .write : .read
    }
}

extension EventSource {
    /// The event is an instruction's, which is executed again with it.
    fileprivate var isInstruction: Bool {
        switch self {
        case .softwareInterrupt, .softwareException, .privilegedSoftwareException: true
        case .exception, .externalInterrupt, .nonMaskableInterrupt: false
        }
    }
}
