/// Divides one processor among guests: by weights, below caps, in time slices.
///
/// Each guest has a virtual time, what it has consumed divided by its weight; the one that is furthest behind runs next.
/// A guest that has slept does not catch up on what it has not asked for. Plain data: it runs nothing itself.
package struct ProcessorScheduler: Sendable {
    /// What is known of one guest.
    private struct Entry: Sendable {
        var weight: UInt64
        /// In percent of the processor.
        var cap: UInt64?
        var consumed: UInt64 = 0
        /// Where the cap is counted from: how long the processor had been there, and what the guest had had.
        var capStart: (elapsed: UInt64, consumed: UInt64) = (0, 0)
        var virtualTime: UInt64 = 0
        var wasRunnable = false
    }

    /// The longest time that a guest has the processor for, in counts.
    package let timeSlice: UInt64
    /// How long the processor has been there, idle time included.
    package private(set) var elapsed: UInt64 = 0
    private var entries: [Entry] = []
    /// What is consumed is multiplied by this before it is divided by a weight.
    private static let scale: UInt64 = 1 << 16
    package static let weights: ClosedRange<Int> = 1...65_536
    package static let caps: ClosedRange<Int> = 1...100

    package init(timeSlice: UInt64) { self.timeSlice = max(1, timeSlice) }

    /// Adds a guest behind the others.
    package mutating func add(weight: Int, cap: Int?) {
        entries.append(Entry(weight: 1))
        change(entries.count - 1, weight: weight, cap: cap)
    }

    /// Removes a guest; those behind it move up.
    package mutating func remove(_ number: Int) { entries.remove(at: number) }

    /// Gives a guest another share from now on.
    package mutating func change(_ number: Int, weight: Int, cap: Int?) {
        entries[number].weight = UInt64(max(1, weight))
        entries[number].cap = cap.map { UInt64(max(1, $0)) }
        entries[number].capStart = (elapsed, entries[number].consumed)
    }

    /// What a guest has had of the processor.
    package func consumed(_ number: Int) -> UInt64 { entries[number].consumed }

    /// The guest to run next, and for how long at most; nil if none of the runnable ones may.
    package mutating func next(runnable: (Int) -> Bool) -> (number: Int, counts: UInt64)? {
        let ready = entries.indices.filter { runnable($0) }
        let least = ready.filter { entries[$0].wasRunnable }.map { entries[$0].virtualTime }.min()
        for number in entries.indices {
            let isReady = ready.contains(number)
            if isReady, !entries[number].wasRunnable, let least {
                entries[number].virtualTime = max(entries[number].virtualTime, least)
            }
            entries[number].wasRunnable = isReady
        }
        let allowed = ready.filter { room(of: $0) > 0 }
        guard let chosen = allowed.min(by: { entries[$0].virtualTime < entries[$1].virtualTime }) else { return nil }
        return (chosen, min(timeSlice, room(of: chosen)))
    }

    /// What a guest may consume before its cap stops it.
    private func room(of number: Int) -> UInt64 {
        let entry = entries[number]
        guard let cap = entry.cap else { return timeSlice }
        // At the end of the slice it must not have had more than its part of what will have elapsed by then.
        let end = elapsed &- entry.capStart.elapsed &+ timeSlice
        let allowed = end / 100 &* cap &+ end % 100 &* cap / 100
        let used = entry.consumed &- entry.capStart.consumed
        return allowed > used ? allowed &- used : 0
    }

    /// A guest has had the processor.
    package mutating func charge(_ number: Int, _ counts: UInt64) {
        elapsed &+= counts
        entries[number].consumed &+= counts
        let (product, overflow) = counts.multipliedReportingOverflow(by: Self.scale)
        entries[number].virtualTime &+= (overflow ? .max : product) / entries[number].weight
    }

    /// Nobody has had the processor.
    package mutating func idle(_ counts: UInt64) { elapsed &+= counts }
}
