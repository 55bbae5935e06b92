import X86Engine

/// What a guest and the engine under it have done so far.
public struct GuestStatistics: Equatable, Sendable {
    /// Instructions, REP iterations and deliveries.
    public var instructions: UInt64
    /// Guest time in nanoseconds.
    public var time: UInt64
    /// The part of the guest time in which the processor was halted.
    public var idleTime: UInt64
    /// Deliveries, retries and exits: the engine's own work.
    public var work: UInt64
    /// Changes of privilege level.
    public var transitions: UInt64
    /// Blocks of code that were decoded.
    public var decodedBlocks: UInt64
    /// How often the machine was reset.
    public var resets: UInt64

    /// The values with their names.
    public var members: [(name: String, value: UInt64)] {
        [
            ("instructions", instructions), ("time", time), ("idleTime", idleTime), ("work", work),
            ("transitions", transitions), ("decodedBlocks", decodedBlocks), ("resets", resets),
        ]
    }
}

extension Guest {
    /// What has been done so far.
    public var stats: GuestStatistics {
        let state = processor.state
        return GuestStatistics(
            instructions: instructions, time: time, idleTime: state.pointee.idleTime, work: state.pointee.work,
            transitions: transitions.count(), decodedBlocks: UInt64(processor.decodedBlocks), resets: UInt64(resets))
    }
}
