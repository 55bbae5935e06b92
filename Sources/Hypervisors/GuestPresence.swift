/// Counts how often a monitor goes round in one run, which is not to last: a millisecond of a guest that is left at every
/// other instruction takes a hundred times as long as others.
struct RunTurns {
    private var left = 4096

    /// Begins another turn; false if the run is to end instead.
    mutating func begin() -> Bool {
        left -= 1
        return left >= 0
    }
}

/// On which side of the border a guest is, as crossings are told: what only ends a run of the machine's is none.
struct GuestPresence {
    /// Whether the guest has the processor.
    private(set) var isInside = false
    /// Why the guest was left last.
    var cause = MonitorCause.start
    /// The same in words that all techniques share.
    private(set) var reason = ExitReason.emulation
    /// The guest's level at an exit whose reason is not known yet, and which is not counted before it is.
    private(set) var unexplained: UInt8?

    /// The guest goes on at a level; true if that is a crossing, which is counted.
    mutating func enter(level: UInt8, _ statistics: inout MonitorStatistics) -> Bool {
        statistics.entries &+= 1
        guard !isInside else { return false }
        isInside = true
        // Nobody has left a guest that begins.
        if case .start = cause { return false }
        statistics.crossings.countEntry(to: level, after: reason)
        return true
    }

    /// The guest was left at a level; without a reason that is told later.
    mutating func leave(
        _ cause: MonitorCause, _ reason: ExitReason?, level: UInt8, _ statistics: inout MonitorStatistics
    ) {
        isInside = false
        self.cause = cause
        self.reason = reason ?? .instruction
        unexplained = reason == nil ? level : nil
        if let reason { statistics.crossings.countExit(from: level, reason) }
    }

    /// Tells why the guest was left, if that is still open.
    mutating func explain(_ reason: ExitReason, _ statistics: inout MonitorStatistics) {
        guard let level = unexplained else { return }
        unexplained = nil
        self.reason = reason
        statistics.crossings.countExit(from: level, reason)
    }
}
