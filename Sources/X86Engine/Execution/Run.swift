import X86

/// Why `Processor.run` came back.
package enum RunResult: Equatable, Sendable {
    /// Guest time has reached the deadline: timers are due, or the run is over.
    case deadline
    /// The processor waits for an interrupt that is not there.
    case halted
    /// A triple fault (SDM vol. 3 section 6.15, interrupt 8).
    case shutdown
    /// `Signal.stop` was raised.
    case stopped
    /// `Signal.initialize` or `Signal.startup` is for the machine to handle (INIT, SIPI).
    case signal
    /// The budget of `state.work` is used up.
    case exhausted
}

extension Processor {
    /// Runs until something needs the machine.
    package func run() -> RunResult {
        while true {
            let s = state
            s.pointee.limit = s.pointee.deadline
            if let result = serviceBoundary() { return result }
            executeOne()
        }
    }

    /// What happens between two instructions, in the order of SDM vol. 3 table 6-2.
    private func serviceBoundary() -> RunResult? {
        let s = state
        let signals = s.pointee.signals
        if signals & Signal.stop != 0 {
            s.pointee.signals &= ~Signal.stop
            return .stopped
        }
        if signals & (Signal.initialize | Signal.startup) != 0 { return .signal }
        if s.pointee.activity == .shutdown { return .shutdown }
        if s.pointee.time >= s.pointee.deadline { return .deadline }
        return nil
    }

    /// Fetches and executes one instruction outside the block cache.
    private func executeOne() {
        do throws(Fault) {
            let instruction = try fetchInstruction()
            state.pointee.nextRIP = nextAddress(after: instruction.length)
            try execute(instruction)
            state.pointee.rip = state.pointee.nextRIP
            state.pointee.time &+= 1
        } catch {
            deliver(error)
        }
    }

    /// The address after an instruction, wrapped as the code segment's width demands.
    private func nextAddress(after length: UInt8) -> UInt64 {
        let next = state.pointee.rip &+ UInt64(length)
        return state.pointee.mode.code == 64 ? next : next & 0xFFFF_FFFF
    }
}
