import Hypervisors
import X86Engine

/// The privilege transitions of a guest: counters that are always on, and records while `isRecording`.
public final class TransitionLog {
    weak var guest: Guest?
    private var ring: [Transition] = []
    private var next = 0
    private var sequence: UInt64 = 0

    /// How many records are kept; the oldest go first.
    public var capacity = 65_536

    /// Whether transitions are kept as records.
    public var isRecording = false {
        didSet { guest?.handlersChanged() }
    }

    /// The names of causes, as `count` takes them: the guest's own, then those of a monitor, then what is modelled.
    public static let causes = TransitionKind.allCases.map { "\($0)" } + ["exit", "entry", "host"]

    /// How often the level changed so since the guest began; nil stands for any level, cause or reason.
    ///
    /// A cause is one of `causes`; nothing has another one. A reason is that of an exit to the monitor, and nothing else
    /// has one. What is modelled only counts where the cause `host` is asked for.
    public func count(
        from: Level? = nil, to: Level? = nil, cause: String? = nil, reason: ExitReason? = nil
    ) -> UInt64 {
        guard let guest, from == nil || from != to else { return 0 }
        switch cause {
        case nil:
            return own(guest, from, to, nil, reason) &+ exits(from, to, reason) &+ entries(from, to, reason)
        case "exit": return exits(from, to, reason)
        case "entry": return entries(from, to, reason)
        case "host": return from == nil && to == nil && reason == nil ? hostCrossings : 0
        case let name?:
            guard let kind = TransitionKind.allCases.first(where: { "\($0)" == name }) else { return 0 }
            return own(guest, from, to, kind, reason)
        }
    }

    /// The guest's own changes of level.
    private func own(
        _ guest: Guest, _ from: Level?, _ to: Level?, _ kind: TransitionKind?, _ reason: ExitReason?
    ) -> UInt64 {
        guest.processor.transitionCount(
            from: from?.ring, to: to?.ring, kind: kind,
            impossible: from == .root || to == .root || reason != nil)
    }

    private func exits(_ from: Level?, _ to: Level?, _ reason: ExitReason?) -> UInt64 {
        from != .root && (to ?? .root) == .root ? crossings.exits(from: from?.ring, reason) : 0
    }

    private func entries(_ from: Level?, _ to: Level?, _ reason: ExitReason?) -> UInt64 {
        (from ?? .root) == .root && to != .root && reason == nil ? crossings.entries(to: to?.ring) : 0
    }

    /// What has been counted of crossings, monitors that the guest has had before included.
    package var crossings: CrossingCounters {
        (guest?.monitor?.statistics.crossings ?? CrossingCounters()).since(uncounted)
    }
    /// What of the monitor's count is not the guest's: what came after a snapshot that it went back to.
    private var uncounted = CrossingCounters()
    /// Counts on from here when the guest goes to a monitor that has not counted yet.
    func keepCrossings() { uncounted = CrossingCounters().since(crossings) }
    /// What was counted before the hypervisor, whose cost model holds from then on.
    var former = PricedCounts()
    /// Modelled crossings of the host.
    private(set) var hostCrossings: UInt64 = 0

    /// The last record.
    public var last: Transition? { ring.isEmpty ? nil : ring[(next + ring.count - 1) % ring.count] }

    /// The record of a number, if it is kept.
    package func record(numbered number: UInt64) -> Transition? {
        guard let last, number <= last.sequence, last.sequence - number < UInt64(ring.count) else { return nil }
        let index = ring.count - 1 - Int(last.sequence - number)
        let found = ring[(next + index) % ring.count]
        return found.sequence == number ? found : nil
    }

    /// The records kept, oldest first.
    public var rows: [Transition] { Array(ring[next...] + ring[..<next]) }

    /// How far the log has come, for snapshots.
    struct Progress {
        var sequence: UInt64
        var crossings: CrossingCounters
        var hostCrossings: UInt64
        /// What all that has cost; nil where a snapshot does not tell, for the cost by the hypervisor of the guest that
        /// is brought back.
        var priced: PricedCounts?
    }

    /// Going back to a snapshot drops the records of what has not happened then.
    var progress: Progress {
        get {
            Progress(
                sequence: sequence, crossings: crossings, hostCrossings: hostCrossings, priced: guest?.pricedCounts)
        }
        set {
            ring = rows.filter { $0.sequence <= newValue.sequence }
            next = 0
            sequence = newValue.sequence
            uncounted = (guest?.monitor?.statistics.crossings ?? CrossingCounters()).since(newValue.crossings)
            hostCrossings = newValue.hostCrossings
            former = newValue.priced ?? PricedCounts()
        }
    }

    /// Counts the modelled crossings of the host for one device access, and records them while `isRecording`.
    func crossHost() {
        hostCrossings &+= UInt64(HostCrossing.allCases.count)
        guard isRecording, let guest else { return }
        var before = Transition.Point(monitor: nil, depth: 0)
        for crossing in HostCrossing.allCases {
            let level: Level =
                switch crossing {
                case .toKernel, .fromProcess: .ring0
                case .toProcess: .ring3
                case .fromKernel: .root
                }
            let after = Transition.Point(monitor: nil, level: level, depth: 0)
            _ = record(
                Transition(
                    sequence: 0, time: guest.time, instructions: guest.instructions,
                    technique: guest.configuration.technique, mechanism: .host(crossing), before: before, after: after))
            before = after
        }
    }

    /// The guest's own change of level, as its processor reports it.
    func record(_ record: TransitionRecord) -> Transition {
        // One look at the weak reference, which is slow.
        let guest = guest
        let technique = guest?.configuration.technique ?? .bare
        let own: UInt64 = record.cause.isInstruction ? 1 : 0
        let kernelRing = kernelRing(of: guest)
        return self.record(
            Transition(
                sequence: 0, time: (guest?.time ?? 0) &+ own, instructions: (guest?.instructions ?? 0) &+ own,
                technique: technique,
                mechanism: .transfer(record.cause), gateRecord: record.gate,
                before: Transition.Point(record.before, under: technique, kernelRing: kernelRing),
                after: Transition.Point(record.after, under: technique, kernelRing: kernelRing),
                switchedStack: record.switchedStack,
                vector: record.cause.vector, errorCode: record.cause.errorCode, address: record.address))
    }

    /// The ring at which the machine's processor runs the guest's kernel.
    private func kernelRing(of guest: Guest?) -> Int { Int(guest?.monitor?.kernelRing ?? 0) }

    /// Counts a transition that nobody looks at.
    func number() { sequence += 1 }

    /// Numbers a transition, and keeps it while `isRecording`.
    func record(_ unnumbered: Transition) -> Transition {
        number()
        var transition = unnumbered
        transition.sequence = sequence
        transition.cost = guest?.configuration.hypervisor.costs.cost(of: transition)
        guard isRecording, capacity > 0 else { return transition }
        if ring.count < capacity {
            // A ring that was full once and then cut or enlarged begins anew in order.
            if next != 0 {
                ring = rows
                next = 0
            }
            ring.append(transition)
        } else {
            ring[next % ring.count] = transition
            next = (next + 1) % ring.count
        }
        return transition
    }
}
