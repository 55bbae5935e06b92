import Hypervisors

/// Several guests that share the processor of one hypervisor, isolated from each other.
///
/// Each guest keeps its own time, which only its own instructions and its own idling move; so it does the same as if it
/// were alone, and what the others do shows only in when it gets its turn. A guest's clock never runs ahead of the
/// hypervisor's: one that idles waits for it.
public final class GuestScheduler {
    /// How a guest takes part.
    public struct Share: Equatable, Sendable {
        /// How much of the processor it gets in relation to the others that want it, 1...65536.
        public var weight: Int
        /// The most it gets, in percent of the processor, 1...100; nil for no limit.
        public var cap: Int?

        /// Makes a share.
        public init(weight: Int = 256, cap: Int? = nil) {
            self.weight = weight
            self.cap = cap
        }

        /// The weights that are possible.
        public static var weights: ClosedRange<Int> { ProcessorScheduler.weights }
        /// The caps that are possible, in percent.
        public static var caps: ClosedRange<Int> { ProcessorScheduler.caps }
    }

    private final class Member {
        let guest: Guest
        var share: Share
        /// The guest's time minus the hypervisor's when it came.
        let start: UInt64
        var stop: Stop?

        init(_ guest: Guest, _ share: Share, start: UInt64) {
            self.guest = guest
            self.share = share
            self.start = start
        }
    }

    private var scheduler: ProcessorScheduler
    /// In the scheduler's order.
    private var members: [Member] = []

    /// Makes a scheduler; the time slice is in nanoseconds of a guest's time.
    public init(timeSlice: UInt64 = 1_000_000) { scheduler = ProcessorScheduler(timeSlice: timeSlice) }

    /// The longest turn of a guest, in nanoseconds of its time.
    public var timeSlice: UInt64 { scheduler.timeSlice }

    /// How long the processor has been there, in counts; idle time included.
    public var elapsed: UInt64 { scheduler.elapsed }

    /// The guests, in the order in which they came.
    public var guests: [Guest] { members.map(\.guest) }

    /// Lets a guest take part; throws if it does already or the share is not possible.
    public func add(_ guest: Guest, _ share: Share = Share()) throws(GuestError) {
        guard number(of: guest) == nil else {
            throw .configuration("the guest \(guest.configuration.name) is there already")
        }
        try Self.check(share)
        scheduler.add(weight: share.weight, cap: share.cap)
        members.append(Member(guest, share, start: guest.time &- scheduler.elapsed))
    }

    /// Lets a guest go; what it has had of the processor is forgotten.
    public func remove(_ guest: Guest) {
        guard let number = number(of: guest) else { return }
        scheduler.remove(number)
        members.remove(at: number)
    }

    /// The share of a guest; nil for a guest that does not take part.
    public func share(of guest: Guest) -> Share? { number(of: guest).map { members[$0].share } }

    /// Gives a guest another share from now on; throws if the share is not possible or the guest does not take part.
    public func setShare(_ share: Share, of guest: Guest) throws(GuestError) {
        guard let number = number(of: guest) else {
            throw .configuration("the guest \(guest.configuration.name) does not take part")
        }
        try Self.check(share)
        members[number].share = share
        scheduler.change(number, weight: share.weight, cap: share.cap)
    }

    private static func check(_ share: Share) throws(GuestError) {
        guard Share.weights.contains(share.weight) else {
            throw .configuration("a weight of \(share.weight): 1 to 65536")
        }
        if let cap = share.cap, !Share.caps.contains(cap) {
            throw .configuration("a cap of \(cap) percent: 1 to 100")
        }
    }

    private func number(of guest: Guest) -> Int? { members.firstIndex { $0.guest === guest } }

    /// The instructions that a guest has executed in its turns; nil for a guest that does not take part.
    public func consumed(by guest: Guest) -> UInt64? { number(of: guest).map { scheduler.consumed($0) } }

    /// Why a guest had no more turns in the last run: it has ended, an event that stops it has happened, or it waits for
    /// ever.
    public func stop(of guest: Guest) -> Stop? { number(of: guest).flatMap { members[$0].stop } }

    /// Runs the guests in turn until the processor has been there for so many counts more, none has a turn any more, or
    /// somebody asks a guest to stop.
    ///
    /// An event that `condition` accepts in its guest ends the run too. Guests that ended, or waited for ever, in an earlier
    /// run are tried again. `checkpoint` is asked at least once for each millisecond of guest time; false ends the run.
    public func run(
        until condition: (guest: Guest, filter: EventFilter)? = nil, counts: UInt64 = .max,
        checkpoint: (() -> Bool)? = nil
    ) {
        let (sum, overflow) = scheduler.elapsed.addingReportingOverflow(counts)
        let end = overflow ? .max : sum
        for member in members { member.stop = nil }
        while scheduler.elapsed < end, members.contains(where: { $0.stop == nil }) {
            if let checkpoint, !checkpoint() { return }
            let now = scheduler.elapsed
            let members = members
            let turn = scheduler.next { members[$0].stop == nil && members[$0].guest.time &- members[$0].start <= now }
            guard let turn else {
                scheduler.idle(min(end - now, idleTime(now)))
                continue
            }
            guard take(turn.number, min(turn.counts, end - now), condition, checkpoint) else { return }
        }
    }

    /// How long nobody can run: until the first clock is no longer ahead, a slice where a cap is what stops.
    private func idleTime(_ now: UInt64) -> UInt64 {
        let ahead = members.filter { $0.stop == nil }.map { member -> UInt64 in
            let clock = member.guest.time &- member.start
            return clock > now ? clock - now : scheduler.timeSlice
        }
        return max(1, min(ahead.min() ?? 1, scheduler.timeSlice))
    }

    /// Gives a guest a turn; false if somebody has asked it to stop.
    private func take(
        _ number: Int, _ counts: UInt64, _ condition: (guest: Guest, filter: EventFilter)?,
        _ checkpoint: (() -> Bool)?
    ) -> Bool {
        let member = members[number]
        let filter = condition.flatMap { $0.guest === member.guest ? $0.filter : nil }
        let before = member.guest.instructions
        let stop = member.guest.run(until: filter, limits: RunLimits(time: counts), checkpoint: checkpoint)
        scheduler.charge(number, member.guest.instructions &- before)
        switch stop.reason {
        case .timeout, .instructions: return true
        case .halted, .crashed, .shutdown:
            member.stop = stop
            return true
        case .event, .stopped:
            member.stop = stop
            return false
        }
    }
}
