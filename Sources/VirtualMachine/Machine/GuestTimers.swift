import PCDevices

/// Something that will be done at a guest time.
public final class GuestTimer {
    /// The guest time in nanoseconds.
    public let deadline: UInt64
    /// Where in a program or script it was asked for, for messages.
    public var place: String?
    let action: () -> Void
    fileprivate weak var owner: GuestTimers?
    fileprivate var timer: VirtualClock.Timer?

    fileprivate init(_ deadline: UInt64, _ action: @escaping () -> Void, owner: GuestTimers) {
        self.deadline = deadline
        self.action = action
        self.owner = owner
    }

    /// Whether it is still to be done.
    public var isPending: Bool { timer != nil }

    /// Gives it up, unless it has been done.
    public func cancel() {
        guard isPending else { return }
        owner?.guest?.effects?.note(.cancel(self))
        owner?.remove(self)
    }
}

/// What is to be done later in guest time, in the order in which it was asked for.
final class GuestTimers {
    private let clock: VirtualClock
    private(set) var pending: [GuestTimer] = []
    weak var guest: Guest?

    init(_ clock: VirtualClock) { self.clock = clock }

    func add(at deadline: UInt64, _ action: @escaping () -> Void) -> GuestTimer {
        let entry = GuestTimer(deadline, action, owner: self)
        arm(entry)
        guest?.effects?.note(.arm(entry))
        return entry
    }

    /// Arms a timer that was armed at this moment before.
    func armAgain(_ entry: GuestTimer) {
        guard !entry.isPending else { return }
        arm(entry)
        guest?.platform.publish()
    }

    private func arm(_ entry: GuestTimer) {
        let timer = clock.makeTimer()
        timer.action = { [weak self, weak entry] in
            guard let self, let entry else { return }
            remove(entry)
            guard let guest, let effects = guest.effects else { return entry.action() }
            effects.fire(entry, at: guest.instructions, in: guest, entry.action)
        }
        entry.timer = timer
        entry.owner = self
        pending.append(entry)
        timer.arm(at: entry.deadline)
    }

    fileprivate func remove(_ entry: GuestTimer) {
        guard let timer = entry.timer else { return }
        entry.timer = nil
        pending.removeAll { $0 === entry }
        clock.remove(timer)
    }

    /// Puts what was pending at some moment in the place of what is pending now.
    func restore(_ entries: [GuestTimer]) {
        for entry in pending { remove(entry) }
        for entry in entries { arm(entry) }
    }
}

extension Guest {
    /// Does something at an exact guest time from now, at the first instruction boundary that has reached it.
    ///
    /// It counts as part of the machine: it wakes nothing by itself but shows in the digest while it is pending.
    /// Durations beyond the range of guest time never come.
    @discardableResult
    public func after(nanoseconds: UInt64, _ action: @escaping () -> Void) -> GuestTimer {
        let (deadline, overflow) = time.addingReportingOverflow(nanoseconds)
        platform.pc.clock.now = time
        let timer = timers.add(at: overflow ? .max : deadline, action)
        platform.publish()
        return timer
    }

    /// Does something at an exact guest time from now; a negative duration means now.
    @discardableResult
    public func after(_ duration: Duration, _ action: @escaping () -> Void) -> GuestTimer {
        after(nanoseconds: duration.wholeNanoseconds, action)
    }
}

extension Duration {
    /// Whole nanoseconds, as guest time is counted; 0 for a negative duration.
    package var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = product.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return overflow || carry ? .max : sum
    }
}
