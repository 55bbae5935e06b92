// Events that are reported before anything has changed can end the run right there. The instruction or delivery is then
// given up, as if it had faulted, and begun anew when the run goes on; what watchers had decided is not asked again.

/// What watchers have decided about the instruction or delivery at one place, in order.
struct Decisions {
    private var time = UInt64.max
    private var rip: UInt64 = 0
    /// How many of the first verdicts were to proceed, as nearly all are: they need no memory.
    private var proceeded = 0
    /// The verdicts after those.
    private var others: [EventVerdict] = []
    /// How many of them hold for the new beginning that is going on.
    private var repeated = 0
    /// Set when what is at the place was given up and will begin anew.
    private var isSuspended = false

    /// The verdict that was given before, if what is at the place has begun anew and gets to the same point.
    mutating func earlier(time: UInt64, rip: UInt64) -> EventVerdict? {
        if self.time != time || self.rip != rip {
            self.time = time
            self.rip = rip
            proceeded = 0
            repeated = 0
            if !others.isEmpty { others.removeAll(keepingCapacity: true) }
            isSuspended = false
        } else if isSuspended {
            isSuspended = false
            repeated = 0
        }
        guard repeated < proceeded + others.count else { return nil }
        repeated += 1
        return repeated <= proceeded ? .proceed : others[repeated - proceeded - 1]
    }

    mutating func append(_ verdict: EventVerdict) {
        if case .proceed = verdict, others.isEmpty { proceeded += 1 } else { others.append(verdict) }
        repeated = proceeded + others.count
    }

    mutating func suspend() { isSuspended = true }
}

extension Fault {
    /// No fault of the guest's: what was begun is given up so that the run can end before it.
    static let suspension = Fault(vector: 0xFF, errorCode: .max)

    var isSuspension: Bool { self == .suspension }
}

extension Processor {
    /// Asks the watcher about something that is about to happen; `.suspension` is to be thrown like any other fault.
    package func ask(_ event: ProcessorEvent) -> EventVerdict {
        let (time, rip) = (state.pointee.time, state.pointee.rip)
        if let verdict = control.pointee.decisions.earlier(time: time, rip: rip) { return verdict }
        let verdict = environment.intercept(event)
        control.pointee.decisions.append(verdict)
        // An access to a device must not be done twice; the run ends after such an instruction.
        guard state.pointee.signals & Signal.stop != 0, control.pointee.deviceAccessTime != time else { return verdict }
        control.pointee.decisions.suspend()
        return .inject(.suspension)
    }
}
