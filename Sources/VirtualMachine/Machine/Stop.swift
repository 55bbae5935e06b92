/// Why, where and when a run ended.
public struct Stop: Equatable, Sendable {
    /// Why `Guest.run` came back.
    public enum Reason: String, Sendable {
        /// What the run was to go on until has happened.
        case event
        /// Halted with nothing left that could wake it.
        case halted
        /// A handler asked for it.
        case stopped
        /// The time limit was reached.
        case timeout
        /// The instruction limit was reached.
        case instructions
        /// A triple fault; `faults` tells the chain.
        case crashed
        /// The guest powered off, or wrote to the debug-exit port (`exitStatus`).
        case shutdown
    }

    /// Why the run ended.
    public var reason: Reason
    /// What a handler said, or what became of the guest, in words.
    public var detail: String
    /// The event that ended the run, if one did.
    public var event: GuestEvent?
    /// Guest time in nanoseconds.
    public var time: UInt64
    /// Instructions, REP iterations and deliveries so far.
    public var instructions: UInt64
    /// The status of the debug-exit port, the value doubled plus one.
    public var exitStatus: UInt32?
    /// The faults that led to a triple fault, first to last.
    public var faults: [String]
}
