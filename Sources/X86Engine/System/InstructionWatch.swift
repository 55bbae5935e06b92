import X86

/// The instructions that are reported before they execute.
package struct InstructionWatch: Equatable, Sendable {
    /// Single addresses (RIP), best set all at once.
    package var addresses: Set<UInt64> = [] { didSet { ordered = addresses.sorted() } }
    /// The same in order: a search in a few numbers costs less than a hash.
    private var ordered: [UInt64] = []
    /// Ranges of addresses (RIP).
    package var ranges: [ClosedRange<UInt64>] = []
    /// Kinds of instruction, wherever they lie.
    package var patterns: Set<InstructionPattern> = []

    /// Makes one that watches nothing.
    package init() {}

    var watchesAddresses: Bool { !addresses.isEmpty || !ranges.isEmpty }

    func contains(_ rip: UInt64) -> Bool {
        var (low, high) = (0, ordered.count)
        while low < high {
            let middle = (low &+ high) / 2
            if ordered[middle] < rip { low = middle &+ 1 } else { high = middle }
        }
        return low < ordered.count && ordered[low] == rip || ranges.contains { $0.contains(rip) }
    }

    func contains(_ instruction: borrowing Instruction) -> Bool {
        guard !patterns.isEmpty else { return false }
        let found = InstructionPattern(instruction)
        return patterns.contains { $0.accepts(found) }
    }
}

/// Where an instruction was reported: going on from there, after a stop or between the iterations of a REP that only
/// the engine has interrupted, reports it no second time.
struct InstructionReport: Equatable {
    var time = UInt64.max
    var rip: UInt64 = 0
}

// Blocks end before a watched instruction, and one that begins with such an instruction is entered by the dispatcher
// alone, which reports it. So nothing else costs anything.

extension Processor {
    /// The instructions before which `.execute` and `.instruction` are reported; changes hold from the next one on.
    package var watchedInstructions: InstructionWatch {
        get { control.pointee.watchedInstructions }
        set {
            guard newValue != control.pointee.watchedInstructions else { return }
            control.pointee.watchedInstructions = newValue
            control.pointee.blocksAreStale = true
            leaveBlockAfterThisInstruction()
        }
    }

    /// Whether `.execute` was reported for the next instruction, so that going on does not report it again.
    package var hasReportedInstruction: Bool {
        control.pointee.reportedAddress == InstructionReport(time: state.pointee.time, rip: state.pointee.rip)
    }

    /// Forgets what was reported and what was under way: another state has taken the place of the one that it was about.
    package func forgetReportedInstructions() {
        control.pointee.reportedAddress = InstructionReport()
        control.pointee.reportedOperation = InstructionReport()
        control.pointee.continuedString = InstructionReport()
    }

    /// Reports the next instruction if its address is watched; true if it was, and everything is to be looked at anew.
    func reportWatchedAddress() -> Bool {
        let s = state
        let here = InstructionReport(time: s.pointee.time, rip: s.pointee.rip)
        guard here != control.pointee.reportedAddress, here != control.pointee.continuedString,
            control.pointee.watchedInstructions.contains(here.rip)
        else { return false }
        control.pointee.reportedAddress = here
        obey(environment.intercept(.execute(address: here.rip)))
        return true
    }

    /// Reports the next instruction if its operation is watched; true if it was.
    func reportWatchedOperation() -> Bool {
        guard !control.pointee.watchedInstructions.patterns.isEmpty else { return false }
        // A code breakpoint comes before the fetch, whose faults are raised when the instruction executes.
        if codeBreakpointsEnabled, codeBreakpointFault() != nil { return false }
        guard let instruction = try? fetchInstruction(), control.pointee.watchedInstructions.contains(instruction)
        else {
            return false
        }
        return report(InstructionPattern(instruction))
    }

    /// Reports the next instruction, whose operation is watched; false if it was reported before.
    func report(_ operation: InstructionPattern) -> Bool {
        let here = InstructionReport(time: state.pointee.time, rip: state.pointee.rip)
        guard here != control.pointee.reportedOperation, here != control.pointee.continuedString else { return false }
        control.pointee.reportedOperation = here
        obey(environment.intercept(.instruction(operation)))
        return true
    }

    private func obey(_ verdict: EventVerdict) {
        switch verdict {
        case .proceed, .reply: break
        case .skip: _ = skipInstruction()
        case .inject(let fault): deliver(fault)
        }
    }

    /// Goes on behind the next instruction as if it had been done; false if it cannot even be fetched.
    func skipInstruction() -> Bool {
        let s = state
        guard let instruction = try? fetchInstruction() else { return false }
        let next = s.pointee.rip &+ UInt64(instruction.length)
        s.pointee.rip = is64BitMode ? next : next & 0xFFFF_FFFF
        s.pointee.interruptShadow = 0
        s.pointee.systemFlags &= ~RFLAGS.RF
        s.pointee.time &+= 1
        s.pointee.work &+= 1
        return true
    }
}
