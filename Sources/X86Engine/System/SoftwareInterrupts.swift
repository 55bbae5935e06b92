import X86

// INT n, INT3, INTO and INT1 (SDM vol. 2, INT n/INTO/INT3/INT1).

extension Processor {
    /// INT n.
    func softwareInterrupt(_ instruction: borrowing Instruction) throws(Fault) {
        let vector = UInt8(truncatingIfNeeded: instruction.immediate)
        // What is for the monitor of virtual-8086 mode is no interrupt that anybody waits for.
        if isVirtual8086 { _ = try redirectsInterrupt(vector) }
        if watched.contains(.interrupt) {
            switch ask(.interrupt(vector: vector)) {
            case .proceed, .reply: break
            case .skip: return
            case .inject(let fault): throw fault
            }
        }
        try enterHandlerBySoftware(vector, .softwareInterrupt)
    }

    /// INT3, INTO with OF set, and INT1.
    func softwareException(_ vector: UInt8, _ source: EventSource) throws(Fault) {
        if isGuest, interceptsException(Fault(vector: vector), source) {
            throw leaveGuest(
                .exception(Fault(vector: vector), source), instructionLength: currentInstructionLength)
        }
        if watched.contains(.exception) {
            switch ask(.exception(Fault(vector: vector))) {
            case .proceed, .reply: break
            case .skip: return
            case .inject(let fault): throw fault
            }
        }
        try enterHandlerBySoftware(vector, source)
    }

    private func enterHandlerBySoftware(_ vector: UInt8, _ source: EventSource) throws(Fault) {
        let event = EventToDeliver(
            vector: vector, source: source, errorCode: nil, returnRIP: state.pointee.nextRIP, savesResumeFlag: false)
        if isGuest {
            control.pointee.vectoring = VectoringEvent(
                vector: vector, source: source, errorCode: nil, instructionLength: currentInstructionLength)
        }
        do throws(Fault) {
            try enterHandler(event)
            control.pointee.vectoring = nil
        } catch {
            var fault = error
            if source.isExternal && !fault.leavesGuest { fault.markExternal() }
            throw fault
        }
        state.pointee.work &+= 1
    }
}
