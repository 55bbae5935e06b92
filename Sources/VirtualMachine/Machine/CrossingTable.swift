import Hypervisors

/// The handlers of what happens between a guest and its monitor, gathered so that crossings at which nobody looks cost
/// little.
///
/// It does not change: when handlers do, there is another one.
final class CrossingTable {
    /// Plain memory: what is looked at for each crossing counts no references.
    fileprivate struct Record {
        /// The guest's ring, or `any`.
        let level: UInt8
        /// Bits of the raw values of exit reasons.
        let reasons: UInt64
        /// Whether the crossing's code must be in `numbers`.
        let hasNumbers: Bool
        let numbers: ClosedRange<UInt64>
        /// Whether the handler looks at its event.
        let isObserver: Bool
        let entry: Unmanaged<HandlerTable.Entry>

        static let any: UInt8 = .max
    }

    // In the order in which they are called: exits are handlers' of `vmexit` first, entries of `vmentry` last.
    private let exits: UnsafeMutableBufferPointer<Record>
    private let entries: UnsafeMutableBufferPointer<Record>
    /// Keeps alive what the records refer to.
    private let handlers: [HandlerTable.Entry]
    // SAFETY: the guest owns the log, and the listener that calls this.
    private unowned(unsafe) let transitions: TransitionLog

    /// `areKept` says that all handlers count as looking at their events: a history is kept, which has what they did.
    init(_ handlers: [HandlerTable.Entry], areKept: Bool, _ transitions: TransitionLog) {
        func records(_ kind: GuestEvent.Kind, _ direction: MonitorCrossing.Direction) -> [Record] {
            handlers.filter { $0.filter.kind == kind }.compactMap { Record($0, direction, areKept: areKept) }
        }
        exits = Self.memory(records(.vmexit, .exit) + records(.transition, .exit))
        entries = Self.memory(records(.transition, .entry) + records(.vmentry, .entry))
        self.handlers = handlers
        self.transitions = transitions
    }

    deinit {
        exits.deallocate()
        entries.deallocate()
    }

    private static func memory(_ records: [Record]) -> UnsafeMutableBufferPointer<Record> {
        let buffer = UnsafeMutableBufferPointer<Record>.allocate(capacity: records.count)
        _ = buffer.initialize(from: records)
        return buffer
    }

    /// Numbers a crossing and calls its handlers; false, with nothing done, if one of them looks at it.
    func take(
        _ direction: MonitorCrossing.Direction, _ reason: ExitReason, level: UInt8, code: () -> UInt64?
    ) -> Bool {
        let records =
            switch direction {
            case .exit: exits
            case .entry: entries
            }
        let reason: UInt64 = 1 << UInt64(reason.rawValue)
        func accepts(_ record: Record) -> Bool {
            guard record.level == Record.any || record.level == level, record.reasons & reason != 0 else {
                return false
            }
            return !record.hasNumbers || code().map { record.numbers.contains($0) } ?? false
        }
        for record in records where record.isObserver && accepts(record) { return false }
        transitions.number()
        for record in records where !record.isObserver && accepts(record) {
            // SAFETY: the table has the entry, and whoever calls has the table.
            record.entry._withUnsafeGuaranteedRef { entry in
                if entry.isInstalled { entry.notice?() }
            }
        }
        return true
    }
}

extension CrossingTable.Record {
    /// Nil if the handler hears of no crossing in the direction.
    fileprivate init?(_ entry: HandlerTable.Entry, _ direction: MonitorCrossing.Direction, areKept: Bool) {
        let filter = entry.filter
        let (guest, monitor) =
            switch direction {
            case .exit: (filter.from, filter.to)
            case .entry: (filter.to, filter.from)
            }
        guard monitor == nil || monitor == .root, guest != .root else { return nil }
        let isTransition = filter.kind == .transition
        if isTransition, let numbers = filter.numbers, !numbers.contains(0) { return nil }
        level = guest?.ring ?? Self.any
        reasons = isTransition ? .max : filter.reason.map { 1 << UInt64($0.rawValue) } ?? .max
        hasNumbers = !isTransition && filter.numbers != nil
        numbers = filter.numbers ?? 0...UInt64.max
        isObserver = areKept || entry.notice == nil
        self.entry = Unmanaged.passUnretained(entry)
    }
}
