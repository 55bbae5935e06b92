import Hypervisors
import X86Engine

/// Everything that a cost model has a price for, counted.
struct CostedCounts {
    /// The guest's own changes of level, by kind.
    var transfers = [UInt64](repeating: 0, count: TransitionKind.allCases.count)
    var crossings = CrossingCounters()
    var hostCrossings: UInt64 = 0
    /// Accesses to devices where the guest has them itself.
    var deviceAccesses: UInt64 = 0

    /// What was counted since.
    func since(_ earlier: CostedCounts) -> CostedCounts {
        var difference = self
        for index in transfers.indices { difference.transfers[index] &-= earlier.transfers[index] }
        difference.crossings = crossings.since(earlier.crossings)
        difference.hostCrossings &-= earlier.hostCrossings
        difference.deviceAccesses &-= earlier.deviceAccesses
        return difference
    }
}

/// What a guest's transitions had cost when it came to its hypervisor, or when it was brought back to a snapshot.
struct PricedCounts {
    var cycles: UInt64 = 0
    var counts = CostedCounts()
}

extension CostModel {
    /// What all that was counted costs under a technique; unknown costs count as nothing.
    func cost(of counts: CostedCounts, under technique: Technique) -> UInt64 {
        var sum: UInt64 = 0
        func add(_ count: UInt64, _ cost: UInt64?) { sum &+= count &* (cost ?? 0) }
        for (kind, count) in zip(TransitionKind.allCases, counts.transfers) { add(count, cost(of: kind)) }
        for reason in ExitReason.allCases {
            add(counts.crossings.exits(from: nil, reason), cost(ofExitFor: reason, under: technique))
            add(counts.crossings.entries(to: nil, after: reason), cost(ofEntryAfter: reason, under: technique))
        }
        let each = counts.hostCrossings / UInt64(HostCrossing.allCases.count)
        for crossing in HostCrossing.allCases { add(each, cost(of: crossing)) }
        if technique == .bare { add(counts.deviceAccesses, cycles[.device]) }
        return sum
    }
}

extension Guest {
    /// What all transitions so far have cost, in cycles, each by the cost model of the hypervisor that the guest was on
    /// then; with the accesses to devices where the guest has them itself.
    ///
    /// Unknown costs count as nothing. Guest time has no part in it.
    public var modelledCycles: UInt64 { pricedCounts.cycles }

    /// What was counted until now, with what it has cost.
    var pricedCounts: PricedCounts {
        let counts = CostedCounts(
            transfers: TransitionKind.allCases.map { transitions.count(cause: "\($0)") },
            crossings: transitions.crossings, hostCrossings: transitions.hostCrossings,
            deviceAccesses: platform.deviceAccesses)
        let former = transitions.former
        let recent = configuration.hypervisor.costs.cost(
            of: counts.since(former.counts), under: configuration.technique)
        return PricedCounts(cycles: former.cycles &+ recent, counts: counts)
    }
}
