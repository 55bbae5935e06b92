/// The timer: SDM volume 3, "APIC Timer" and "TSC-Deadline Mode".
extension LocalAPIC {
    /// How the timer runs, bits 18:17 of its entry in the local vector table.
    package enum TimerMode: UInt32, Codable, Sendable { case oneShot, periodic, timestampDeadline }

    /// The registers of the timer and the moment its present count began.
    package struct TimerState: Codable, Equatable, Sendable {
        package var initialCount: UInt32 = 0
        package var divideConfiguration: UInt32 = 0
        /// The count at `startTicks`, 0 when the timer is stopped.
        package var startCount: UInt32 = 0
        /// Undivided ticks since power-on.
        package var startTicks: UInt64 = 0
        /// IA32_TSC_DEADLINE.
        package var deadline: UInt64 = 0
    }

    var timerMode: TimerMode { TimerMode(rawValue: apic.localVectors.timer >> 17 & 3) ?? .oneShot }

    /// Bits 3, 1 and 0 of the divide configuration register select 2, 4, … 128, 1.
    private var divider: UInt64 {
        let field = (apic.timer.divideConfiguration >> 1 & 4) | (apic.timer.divideConfiguration & 3)
        return 1 << UInt64((field + 1) & 7)
    }

    private var ticks: UInt64 { configuration.timerFrequency.ticks(in: clock.now) }

    /// The current-count register.
    var currentCount: UInt32 {
        guard timerMode != .timestampDeadline, apic.timer.startCount != 0 else { return 0 }
        let elapsed = (ticks &- apic.timer.startTicks) / divider
        let start = UInt64(apic.timer.startCount)
        if elapsed < start { return UInt32(start - elapsed) }
        guard timerMode == .periodic, apic.timer.initialCount != 0 else { return 0 }
        let initial = UInt64(apic.timer.initialCount)
        return UInt32(initial - (elapsed - start) % initial)
    }

    func writeInitialCount(_ count: UInt32) {
        guard timerMode != .timestampDeadline else { return }
        apic.timer.initialCount = count
        restartTimer(from: count)
    }

    func writeDivideConfiguration(_ value: UInt32) {
        let count = currentCount
        apic.timer.divideConfiguration = value & 0xB
        restartTimer(from: count)
    }

    func writeTimerEntry(_ entry: UInt32) {
        beginPresentPeriod()
        let before = timerMode
        apic.localVectors.timer = entry
        if (before == .timestampDeadline) != (timerMode == .timestampDeadline) {
            // Changing to or from TSC-deadline mode disarms the timer.
            apic.timer.deadline = 0
            apic.timer.initialCount = 0
            apic.timer.startCount = 0
        }
        scheduleTimer()
    }

    /// Moves the start of the count to the period of a periodic timer that runs now.
    private func beginPresentPeriod() {
        let elapsed = (ticks &- apic.timer.startTicks) / divider
        let start = UInt64(apic.timer.startCount)
        guard timerMode == .periodic, start != 0, elapsed >= start, apic.timer.initialCount != 0 else { return }
        let initial = UInt64(apic.timer.initialCount)
        apic.timer.startTicks &+= (start + (elapsed - start) / initial * initial) * divider
        apic.timer.startCount = apic.timer.initialCount
    }

    private func restartTimer(from count: UInt32) {
        apic.timer.startCount = count
        apic.timer.startTicks = ticks
        scheduleTimer()
    }

    /// IA32_TSC_DEADLINE, which reads zero in the other modes.
    var timestampDeadline: UInt64 { timerMode == .timestampDeadline ? apic.timer.deadline : 0 }

    func writeTimestampDeadline(_ value: UInt64) {
        guard timerMode == .timestampDeadline else { return }
        apic.timer.deadline = value
        scheduleTimer()
    }

    /// The counter that deadlines are compared with; setting it moves an armed deadline.
    package var timestampCounter: TimestampCounter {
        get { apic.timestampCounter }
        set {
            apic.timestampCounter = newValue
            scheduleTimer()
        }
    }

    func scheduleTimer() {
        guard let deadline = nextExpiry else { return deadlineTimer.cancel() }
        deadlineTimer.arm(at: deadline)
    }

    /// When the timer expires next with an effect.
    private var nextExpiry: UInt64? {
        switch timerMode {
        case .timestampDeadline:
            guard apic.timer.deadline != 0 else { return nil }
            return apic.timestampCounter.time(of: apic.timer.deadline, notBefore: clock.now)
        case .oneShot, .periodic:
            let count = UInt64(currentCount)
            // A periodic timer whose request still waits cannot add to it; the acknowledge schedules again.
            let vector = UInt8(truncatingIfNeeded: apic.localVectors.timer)
            let isSilent = apic.localVectors.timer & LocalVectorTable.masked != 0 || apic.requests[vector]
            guard count != 0, !(timerMode == .periodic && isSilent) else { return nil }
            let elapsed = (ticks &- apic.timer.startTicks) / divider
            let expiry = apic.timer.startTicks &+ (elapsed &+ count) &* divider
            return configuration.timerFrequency.nanoseconds(for: expiry)
        }
    }

    func timerExpired() {
        switch timerMode {
        case .timestampDeadline: apic.timer.deadline = 0
        case .oneShot: apic.timer.startCount = 0
        case .periodic: break  // The count goes on by itself.
        }
        // The delivery mode field of this entry is reserved: always fixed.
        let entry = apic.localVectors.timer
        if entry & LocalVectorTable.masked == 0 {
            deliver(.fixed, vector: UInt8(truncatingIfNeeded: entry), isLevelTriggered: false)
        }
        scheduleTimer()
    }
}
