import X86

// What an exit tells in EXITCODE, EXITINFO1, EXITINFO2 and nRIP (APM volume 2 sections 15.7 to 15.14, 15.25.6 and
// appendix C).

/// The description of an exit.
struct SVMExitInformation: Equatable {
    var code: SVMExitCode
    var information1: UInt64 = 0
    var information2: UInt64 = 0
    /// 0 where the exit is not that of an instruction.
    var nextRIP: UInt64 = 0
}

extension Processor {
    /// How SVM describes an exit.
    func svmInformation(_ exit: VMExit) -> SVMExitInformation {
        switch exit.cause {
        case .exception(let fault, let source): return exceptionInformation(fault, source)
        case .externalInterrupt: return SVMExitInformation(code: .intercept(.interrupt))
        case .nonMaskableInterrupt: return SVMExitInformation(code: .intercept(.nonMaskableInterrupt))
        case .initialize: return SVMExitInformation(code: .intercept(.initialize))
        case .interruptWindow: return SVMExitInformation(code: .intercept(.virtualInterrupt))
        case .taskSwitch(let selector, let origin, let errorCode):
            return taskSwitchInformation(selector, origin, errorCode, exit.vectoring)
        case .tripleFault: return SVMExitInformation(code: .intercept(.shutdown))
        case .instruction(let instruction): return instructionInformation(instruction)
        case .invalidatePage(let linear):
            return instructionExit(.intercept(.invlpg), exit, information1: linear)
        case .controlRegister(let access): return controlRegisterInformation(access, exit)
        case .debugRegister(let number, let isRead, let register):
            return instructionExit(
                isRead ? .readDebugRegister(number) : .writeDebugRegister(number), exit,
                information1: UInt64(register))
        case .port(let access): return portInformation(access, exit)
        case .readModelSpecificRegister:
            return instructionExit(.intercept(.modelSpecificRegister), exit, information1: 0)
        case .writeModelSpecificRegister:
            return instructionExit(.intercept(.modelSpecificRegister), exit, information1: 1)
        case .secondLevel(let fault): return nestedPageFaultInformation(fault)
        case .invalidVMCB: return SVMExitInformation(code: .invalid)
        case .startUp, .nonMaskableInterruptWindow, .preemptionTimer, .monitorTrap, .taskPriorityBelowThreshold,
            .invalidControls, .invalidGuestState, .entryMSRLoadFailure:
            // VMX's own, which nothing here raises.
            return SVMExitInformation(code: .invalid)
        }
    }

    private func instructionExit(
        _ code: SVMExitCode, _ exit: VMExit, information1: UInt64 = 0
    ) -> SVMExitInformation {
        SVMExitInformation(code: code, information1: information1, nextRIP: nextRIP(after: exit.instructionLength))
    }

    private func nextRIP(after length: UInt8) -> UInt64 {
        let next = state.pointee.rip &+ UInt64(length)
        return is64BitMode ? next : next & 0xFFFF_FFFF
    }

    private func exceptionInformation(_ fault: Fault, _ source: EventSource) -> SVMExitInformation {
        var information = SVMExitInformation(code: .exception(fault.vector))
        information.information1 = UInt64(fault.errorCode ?? 0)
        if fault.vector == 14 { information.information2 = fault.address }
        // INT3, INTO and BOUND (section 15.7.1).
        if source.isSoftware || fault.vector == 5 { information.nextRIP = nextRIP(after: currentInstructionLength) }
        return information
    }

    /// Section 15.14.1.
    private func taskSwitchInformation(
        _ selector: UInt16, _ origin: TaskSwitchOrigin, _ errorCode: UInt32?, _ vectoring: VectoringEvent?
    ) -> SVMExitInformation {
        var information = SVMExitInformation(code: .intercept(.taskSwitch), information1: UInt64(selector))
        var word = UInt64(errorCode ?? 0)
        switch origin {
        case .interruptReturn: word |= 1 << 36
        case .jump: word |= 1 << 38
        case .call, .gate: break
        }
        if errorCode != nil { word |= 1 << 44 }
        // RF as the outgoing TSS would get it.
        let isFault = vectoring?.source == .exception && vectoring?.vector != 1
        if isFault || vectoring != nil && state.pointee.systemFlags & RFLAGS.RF != 0 { word |= 1 << 48 }
        information.information2 = word
        return information
    }

    private func instructionInformation(_ instruction: Instruction) -> SVMExitInformation {
        // Only what the table names gets here.
        let code = SVMInstruction.entry(instruction.operation)?.code ?? .invalid
        // Section 15.8.2.
        let information1 = instruction.operation == .int ? instruction.immediateByte : 0
        return SVMExitInformation(
            code: code, information1: information1, nextRIP: nextRIP(after: instruction.length))
    }

    /// Section 15.8.1.
    private func controlRegisterInformation(
        _ access: ControlRegisterAccess, _ exit: VMExit
    ) -> SVMExitInformation {
        let isMove: UInt64 = 1 << 63
        switch access.kind {
        case .read:
            return instructionExit(
                .readControlRegister(access.number), exit, information1: isMove | UInt64(access.register))
        case .write:
            return instructionExit(
                access.isSelective ? .intercept(.selectiveCR0Write) : .writeControlRegister(access.number), exit,
                information1: isMove | UInt64(access.register))
        case .clearTaskSwitched: return instructionExit(.writeControlRegister(0), exit)
        case .loadMachineStatus:
            return instructionExit(
                access.isSelective ? .intercept(.selectiveCR0Write) : .writeControlRegister(0), exit)
        }
    }

    /// Section 15.10.2.
    private func portInformation(_ access: PortAccess, _ exit: VMExit) -> SVMExitInformation {
        var word = UInt64(access.port) << 16 | UInt64(access.width & 7) << 4
        if access.isInput { word |= 1 }
        if access.isString { word |= 1 << 2 | UInt64(access.segment) << 10 }
        if access.isRepeated { word |= 1 << 3 }
        switch access.addressSize {
        case 64: word |= 1 << 9
        case 32: word |= 1 << 8
        default: word |= 1 << 7
        }
        var information = instructionExit(.intercept(.port), exit, information1: word)
        information.information2 = information.nextRIP
        return information
    }

    /// Section 15.25.6.
    private func nestedPageFaultInformation(_ fault: SecondLevelFault) -> SVMExitInformation {
        // Every access is one of a user at this level.
        var word = UInt64(PageFaultCode.US)
        if fault.isPresent { word |= UInt64(PageFaultCode.P) }
        if fault.kind == .misconfiguration { word |= UInt64(PageFaultCode.RSVD) }
        switch fault.access {
        case .final(let kind):
            word |= 1 << 32
            if kind == .write { word |= UInt64(PageFaultCode.WR) }
            if kind == .execute { word |= UInt64(PageFaultCode.ID) }
        case .pagingStructure: word |= 1 << 33 | UInt64(PageFaultCode.WR)
        }
        return SVMExitInformation(
            code: .nestedPageFault, information1: word, information2: fault.guestPhysical)
    }
}

extension Instruction {
    /// The low byte of the immediate operand.
    fileprivate var immediateByte: UInt64 { UInt64(truncatingIfNeeded: immediate) & 0xFF }
}
