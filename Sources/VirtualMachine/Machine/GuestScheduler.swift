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
    }

    private final class Member {
        let guest: Guest
        let number: Int
        /// The guest's time minus the hypervisor's when it came.
        let start: UInt64
        var stop: Stop?

        init(_ guest: Guest, number: Int, start: UInt64) {
            self.guest = guest
            self.number = number
            self.start = start
        }
    }

    private var scheduler: ProcessorScheduler
    private var members: [Member] = []

    /// Makes a scheduler; the time slice is in nanoseconds of a guest's time.
    public init(timeSlice: UInt64 = 1_000_000) { scheduler = ProcessorScheduler(timeSlice: timeSlice) }

    /// How long the processor has been there, in counts; idle time included.
    public var elapsed: UInt64 { scheduler.elapsed }

    /// The guests, in the order in which they came.
    public var guests: [Guest] { members.map(\.guest) }

    /// Lets a guest take part; throws if it does already or the share is not possible.
    public func add(_ guest: Guest, _ share: Share = Share()) throws(GuestError) {
        guard !members.contains(where: { $0.guest === guest }) else {
            throw .configuration("the guest \(guest.configuration.name) is there already")
        }
        guard ProcessorScheduler.weights.contains(share.weight) else {
            throw .configuration("a weight of \(share.weight): 1 to 65536")
        }
        if let cap = share.cap, !ProcessorScheduler.caps.contains(cap) {
            throw .configuration("a cap of \(cap) percent: 1 to 100")
        }
        let number = scheduler.add(weight: share.weight, cap: share.cap)
        members.append(Member(guest, number: number, start: guest.time &- scheduler.elapsed))
    }

    /// The instructions that a guest has executed in its turns; nil for a guest that does not take part.
    public func consumed(by guest: Guest) -> UInt64? {
        members.first { $0.guest === guest }.map { scheduler.consumed($0.number) }
    }

    /// Why a guest has no more turns: it has ended, an event that stops it has happened, or it waits for ever.
    public func stop(of guest: Guest) -> Stop? { members.first { $0.guest === guest }?.stop }

    /// Runs the guests in turn until the processor has been there for so many counts more, or none has a turn any more.
    public func run(counts: UInt64) {
        let (sum, overflow) = scheduler.elapsed.addingReportingOverflow(counts)
        let end = overflow ? .max : sum
        while scheduler.elapsed < end, members.contains(where: { $0.stop == nil }) {
            let now = scheduler.elapsed
            let members = members
            let turn = scheduler.next { members[$0].stop == nil && members[$0].guest.time &- members[$0].start <= now }
            guard let turn else {
                scheduler.idle(min(end - now, idleTime(now)))
                continue
            }
            take(turn.number, min(turn.counts, end - now))
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

    private func take(_ number: Int, _ counts: UInt64) {
        let member = members[number]
        let before = member.guest.instructions
        let stop = member.guest.run(limits: RunLimits(time: counts))
        scheduler.charge(member.number, member.guest.instructions &- before)
        switch stop.reason {
        case .timeout, .instructions: break
        case .event, .halted, .stopped, .crashed, .shutdown: member.stop = stop
        }
    }
}
