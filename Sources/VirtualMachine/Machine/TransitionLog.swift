import Hypervisors
import X86Engine

/// The privilege transitions of a guest: counters that are always on, and records while `isRecording`.
public final class TransitionLog {
    weak var guest: Guest?
    private var ring: [KeptTransition] = []
    private var next = 0
    /// The calls to the hypervisor among what is kept, by number.
    private var calls: [UInt64: Transition.Call] = [:]
    /// The cost models of the hypervisors that the guest has been on; the last one is that of its own.
    private var costModels: [CostModel] = []
    /// The technique of the hypervisor that the guest is on.
    private(set) var technique = Technique.bare
    /// The number of the last transition, recorded or not.
    @exclusivity(unchecked) package private(set) var sequence: UInt64 = 0

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
    public var last: Transition? { ring.isEmpty ? nil : row(ring.count - 1) }

    /// The record of a number, if it is kept.
    package func record(numbered number: UInt64) -> Transition? { place(ofNumber: number).map { transition(ring[$0]) } }

    /// Where in the ring the record of a number is.
    private func place(ofNumber number: UInt64) -> Int? {
        guard !ring.isEmpty else { return nil }
        let last = ring[(next + ring.count - 1) % ring.count].sequence
        guard number <= last, last - number < UInt64(ring.count) else { return nil }
        let place = (next + ring.count - 1 - Int(last - number)) % ring.count
        return ring[place].sequence == number ? place : nil
    }

    /// How many records are kept.
    public var rowCount: Int { ring.count }

    /// The records kept, oldest first.
    public var rows: [Transition] { rows(last: ring.count) }

    /// The last records, oldest first; all of them if there are fewer.
    public func rows(last count: Int) -> [Transition] { (max(ring.count - max(count, 0), 0)..<ring.count).map(row) }

    /// Does something with each of the last records, oldest first.
    package func forEachRow(last count: Int = .max, _ body: (Transition) -> Void) throws(Interrupted) {
        for index in max(ring.count - max(count, 0), 0)..<ring.count {
            try Checkpoint.pass(at: index, every: 256)
            body(row(index))
        }
    }

    /// The record at an index, the oldest having 0.
    private func row(_ index: Int) -> Transition {
        guest?.monitor?.explainLastExit()
        return transition(ring[(next + index) % ring.count])
    }

    /// What is kept, oldest first.
    private var kept: [KeptTransition] { Array(ring[next...] + ring[..<next]) }

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
            ring = kept.filter { $0.sequence <= newValue.sequence }
            next = 0
            calls = calls.filter { $0.key <= newValue.sequence }
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
        for crossing in HostCrossing.allCases {
            _ = keep(
                KeptTransition(
                    time: guest.time, instructions: guest.instructions, technique: technique,
                    occurrence: .host(crossing)))
        }
    }

    /// Counts a transition that nobody looks at.
    func number() { sequence += 1 }

    /// What comes from now on happens under a hypervisor.
    func goOn(under hypervisor: HypervisorConfiguration) {
        technique = hypervisor.technique
        if costModels.last != hypervisor.costs { costModels.append(hypervisor.costs) }
    }

    /// Numbers a transition, and keeps it while `isRecording`, with the call that it is for.
    func keep(_ unnumbered: KeptTransition, _ call: Transition.Call? = nil) -> KeptTransition {
        number()
        var kept = unnumbered
        kept.sequence = sequence
        kept.costModel = costModels.count - 1
        guard isRecording, capacity > 0 else { return kept }
        if ring.count < capacity {
            // A ring that was full once and then cut or enlarged begins anew in order.
            if next != 0 {
                ring = self.kept
                next = 0
            }
            ring.append(kept)
        } else {
            let place = next % ring.count
            if !calls.isEmpty { calls[ring[place].sequence] = nil }
            ring[place] = kept
            next = (place + 1) % ring.count
        }
        if let call { calls[sequence] = call }
        return kept
    }

    /// Notes why the guest was left by an exit of which that was not known yet, and the call that it was for.
    func explain(_ number: UInt64, _ reason: ExitReason, _ call: Transition.Call?) {
        guard let place = place(ofNumber: number), case .crossing(var crossing) = ring[place].occurrence else { return }
        crossing.reason = reason
        ring[place].occurrence = .crossing(crossing)
        if let call { calls[number] = call }
    }

    private func transition(_ kept: KeptTransition) -> Transition { transition(kept, calls[kept.sequence]) }

    /// A transition with the call that it is for, in words and with its price.
    func transition(_ kept: KeptTransition, _ call: Transition.Call?) -> Transition {
        var transition = Transition(kept, call)
        if costModels.indices.contains(kept.costModel) {
            transition.cost = costModels[kept.costModel].cost(of: transition)
        }
        return transition
    }
}

extension Guest {
    /// The guest's own change of level, as its processor reports it.
    func kept(_ record: TransitionRecord) -> KeptTransition { kept(record, time: time, instructions: instructions) }

    /// The same when the processor had come to a time, with so many instructions.
    func kept(_ record: TransitionRecord, time: UInt64, instructions: UInt64) -> KeptTransition {
        let own: UInt64 = record.cause.isInstruction ? 1 : 0
        return KeptTransition(
            time: time &+ own, instructions: instructions &+ own, technique: transitions.technique,
            occurrence: .transfer(record, kernelRing: monitor?.kernelRing ?? 0))
    }
}
