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

    /// The names of causes, as `count` takes them.
    public static let causes = TransitionKind.allCases.map { "\($0)" }

    /// How often the level changed so since the guest began; nil stands for any level or cause.
    ///
    /// A cause is one of `causes`; nothing has another one.
    public func count(from: Level? = nil, to: Level? = nil, cause: String? = nil) -> UInt64 {
        guard let guest else { return 0 }
        let kind = cause.map { name in TransitionKind.allCases.first { "\($0)" == name } }
        return guest.processor.transitionCount(
            from: from.flatMap { $0 == .root ? nil : UInt8($0.rawValue) },
            to: to.flatMap { $0 == .root ? nil : UInt8($0.rawValue) }, kind: kind ?? nil,
            impossible: from == .root || to == .root || kind == .some(nil))
    }

    /// The records kept, oldest first.
    public var rows: [Transition] { Array(ring[next...] + ring[..<next]) }

    /// How far the log has come, for snapshots.
    struct Progress {
        var sequence: UInt64
    }

    /// Going back to a snapshot drops the records of what has not happened then.
    var progress: Progress {
        get { Progress(sequence: sequence) }
        set {
            ring = rows.filter { $0.sequence <= newValue.sequence }
            next = 0
            sequence = newValue.sequence
        }
    }

    func record(_ record: TransitionRecord) -> Transition {
        sequence += 1
        let transition = Transition(
            record, sequence: sequence, time: guest?.time ?? 0, instructions: guest?.instructions ?? 0)
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
