/// Guest time and the timers that devices arm on it.
///
/// Time is in nanoseconds since power-on. Nothing advances it but the machine, which sets `now` before each device
/// access and calls `fireDue()` whenever `now` has reached `nextDeadline`. Timers due at the same instant fire in
/// the order in which they were made, which the list of devices fixes, so equal inputs give equal results.
package final class VirtualClock {
    /// The deadline of a timer that is not armed.
    package static let never = UInt64.max

    /// Guest time in nanoseconds.
    package var now: UInt64 = 0

    /// The time of the earliest armed timer, `never` if there is none.
    package private(set) var nextDeadline = VirtualClock.never

    /// The time of the earliest armed timer that may come to more than a change of its device's state; `never` if there
    /// is none.
    package var awaitedDeadline: UInt64 {
        timers.reduce(VirtualClock.never) { $1.deadline < $0 && $1.isAwaited() ? $1.deadline : $0 }
    }

    private var timers: [Timer] = []
    private var isFiring = false

    /// Makes a clock at time zero.
    package init() {}

    /// Makes a timer; it stays with the clock until `remove(_:)`.
    package func makeTimer() -> Timer {
        let timer = Timer(clock: self)
        timers.append(timer)
        return timer
    }

    /// Forgets a timer whose device has gone.
    package func remove(_ timer: Timer) {
        timer.cancel()
        timers.removeAll { $0 === timer }
    }

    /// Fires every timer that is due, each at exactly its own time, the earliest first.
    ///
    /// `now` reads as the deadline while a timer's action runs. A timer armed again by its action comes due a
    /// nanosecond later at the earliest, so this ends.
    package func fireDue() {
        guard nextDeadline <= now, !isFiring else { return }
        let target = now
        isFiring = true
        while nextDeadline <= target, let timer = timers.first(where: { $0.deadline == nextDeadline }) {
            now = timer.deadline
            timer.cancel()
            timer.action()
        }
        isFiring = false
        now = target
    }

    fileprivate func arm(_ timer: Timer, at deadline: UInt64) {
        let earliest = isFiring ? (now == .max ? now : now &+ 1) : now
        timer.setDeadline(max(deadline, earliest))
        updateNextDeadline()
    }

    fileprivate func updateNextDeadline() {
        nextDeadline = timers.reduce(VirtualClock.never) { min($0, $1.deadline) }
    }

    /// One alarm of a device; the device's state holds its deadline, the timer only mirrors it.
    package final class Timer {
        /// What happens at the deadline; captures its device weakly.
        package var action: () -> Void = {}
        /// Whether anybody but its device can notice that it fires, as things are: not where the interrupt is masked.
        package var isAwaited: () -> Bool = { true }

        /// When the timer fires, `never` while it is not armed.
        package private(set) var deadline = VirtualClock.never

        private unowned let clock: VirtualClock

        fileprivate init(clock: VirtualClock) { self.clock = clock }

        /// Sets the time to fire at, replacing an earlier one; a time that has passed means as soon as possible.
        package func arm(at deadline: UInt64) {
            guard deadline != VirtualClock.never else { return cancel() }
            clock.arm(self, at: deadline)
        }

        /// Disarms the timer.
        package func cancel() {
            guard deadline != VirtualClock.never else { return }
            deadline = VirtualClock.never
            clock.updateNextDeadline()
        }

        fileprivate func setDeadline(_ deadline: UInt64) { self.deadline = deadline }
    }
}
