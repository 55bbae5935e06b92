/// A rate in ticks per second and its exact relation to guest time.
package struct Frequency: Hashable, Codable, Sendable {
    private static let nanosecondsPerSecond: UInt64 = 1_000_000_000

    /// Ticks per second, at least 1.
    package let hertz: UInt64

    /// Makes a rate; zero is taken as 1 Hz.
    package init(hertz: UInt64) { self.hertz = max(hertz, 1) }

    /// The whole ticks that have passed after a time, modulo 2^64.
    package func ticks(in nanoseconds: UInt64) -> UInt64 {
        if hertz == Self.nanosecondsPerSecond { return nanoseconds }
        let product = nanoseconds.multipliedFullWidth(by: hertz)
        // The high half may exceed the divisor; dividing it first leaves a remainder that cannot.
        let high = product.high % Self.nanosecondsPerSecond
        return Self.nanosecondsPerSecond.dividingFullWidth((high, product.low)).quotient
    }

    /// The first nanosecond at which that many ticks have passed; `UInt64.max` if that is out of range.
    package func nanoseconds(for ticks: UInt64) -> UInt64 {
        if hertz == Self.nanosecondsPerSecond { return ticks }
        let product = ticks.multipliedFullWidth(by: Self.nanosecondsPerSecond)
        guard product.high < hertz else { return .max }
        let (quotient, remainder) = hertz.dividingFullWidth(product)
        return remainder == 0 || quotient == .max ? quotient : quotient + 1
    }
}

/// The time-stamp counter of one processor: guest time in another unit, plus an offset.
///
/// SDM volume 3, "Time-Stamp Counter". The offset changes when the guest writes IA32_TSC or IA32_TSC_ADJUST.
package struct TimestampCounter: Hashable, Codable, Sendable {
    /// The rate of the counter.
    package var frequency: Frequency
    /// What is added to the counted ticks, modulo 2^64.
    package var offset: UInt64

    /// Makes a counter that reads `offset` at time zero.
    package init(frequency: Frequency = Frequency(hertz: 1_000_000_000), offset: UInt64 = 0) {
        self.frequency = frequency
        self.offset = offset
    }

    /// The counter's value at a guest time.
    package func value(at nanoseconds: UInt64) -> UInt64 { frequency.ticks(in: nanoseconds) &+ offset }

    /// The first guest time, not before `now`, at which the counter is at or past `value`.
    ///
    /// `VirtualClock.never` when that lies beyond the end of guest time.
    package func time(of value: UInt64, notBefore now: UInt64) -> UInt64 {
        let current = self.value(at: now)
        guard value > current else { return now }
        let (ticks, overflow) = frequency.ticks(in: now).addingReportingOverflow(value - current)
        return overflow ? VirtualClock.never : frequency.nanoseconds(for: ticks)
    }

    /// Sets the offset so that the counter reads `value` at a guest time.
    package mutating func set(_ value: UInt64, at nanoseconds: UInt64) {
        offset = value &- frequency.ticks(in: nanoseconds)
    }
}
