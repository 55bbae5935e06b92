import X86

// What a monitor in Swift needs to keep a guest's state apart from the processor that executes it: the state as the
// guest believes it lies in the guest's processor, and goes to the machine's for as long as that runs the guest.

extension Processor {
    /// Takes over everything architectural from another processor, with what is under way between two instructions.
    ///
    /// Signals, deadline, caches and what hardware virtualization adds stay this processor's own. The counters of
    /// transitions change places, so they are always complete on the side that has the state.
    package func takeGuestState(from other: Processor) {
        let s = state
        let (signals, deadline, limit) = (s.pointee.signals, s.pointee.deadline, s.pointee.limit)
        // SAFETY: the state is plain data; what lies in front of `virtualization` does not depend on the processor.
        UnsafeMutableRawPointer(s).copyMemory(from: UnsafeRawPointer(other.state), byteCount: Self.guestStateSize)
        s.pointee.signals = signals
        s.pointee.deadline = deadline
        s.pointee.limit = limit
        takeTransitionCounters(from: other)
        control.pointee.continuedString = other.control.pointee.continuedString
        if other.control.pointee.hasFault {
            control.pointee.pendingFault = other.control.pointee.pendingFault
            control.pointee.hasFault = true
            other.control.pointee.hasFault = false
        }
    }

    private static let guestStateSize =
        MemoryLayout<ProcessorState>.offset(of: \.virtualization) ?? MemoryLayout<ProcessorState>.size

    /// Takes over the general registers.
    package func takeGeneralRegisters(from other: Processor) { registers.update(from: other.registers, count: 16) }

    /// Takes over the counters of transitions, which another processor has gone on with.
    package func takeTransitionCounters(from other: Processor) {
        swap(&control.pointee.transitions, &other.control.pointee.transitions)
    }

    /// Takes over the faults that led to a shutdown.
    package func takeFaultChain(from other: Processor) { control.pointee.faultChain = other.control.pointee.faultChain }

    /// Whether a fault waits to be delivered at the next boundary.
    package var hasPendingFault: Bool { control.pointee.hasFault }

    /// Leaves the guest between two instructions as an interrupt of the machine's own does, whatever the guest blocks;
    /// for a monitor in Swift, outside `run`.
    package func interruptGuest() {
        guard isGuest else { return }
        leaveGuestNow(.externalInterrupt(vector: nil))
        withdraw(Signal.stop)
    }

    /// Begins the delivery of an event anew that an exit interrupted; it has counted already.
    package func redeliver(_ event: VectoringEvent) {
        state.pointee.time &-= 1
        // CR2 and DR6 were set when the delivery began.
        var fault = Fault(vector: event.vector, errorCode: event.errorCode, address: state.pointee.cr2)
        if event.vector == 1 { fault.debugStatus = state.pointee.dr6 }
        deliver(fault, source: event.source)
    }

    /// Delivers an external interrupt whose vector was taken from the controllers.
    package func deliverInterrupt(vector: UInt8) { deliver(Fault(vector: vector), source: .externalInterrupt) }
}

extension Fault {
    /// To be thrown by an observer of the machine's processor: what was begun is given up, and the run ends.
    package static var givesUp: Fault { .suspension }
}
