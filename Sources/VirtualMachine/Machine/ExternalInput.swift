/// Something that came into the machine from outside, and where in its run.
///
/// A guest's run follows from its configuration and these alone: a guest of the same configuration that gets them again
/// (`Guest.replay`) does the same, to the digest.
public struct ExternalInput: Codable, Equatable, Sendable {
    /// Guest time in nanoseconds: the input comes before the first instruction at or after it.
    public var time: UInt64
    /// Instructions, REP iterations and deliveries before it.
    public var instructions: UInt64
    /// What came in on the serial line.
    public var bytes: [UInt8]

    /// Makes an input.
    public init(time: UInt64, instructions: UInt64, bytes: [UInt8]) {
        self.time = time
        self.instructions = instructions
        self.bytes = bytes
    }
}

extension Guest {
    /// Lets recorded input come in again, each at its position, while the guest runs.
    ///
    /// The positions ascend and none lies before the present guest time; otherwise nothing is replayed and the error
    /// says which one is wrong. What waits from an earlier call is given up.
    public func replay(_ inputs: [ExternalInput]) throws(GuestError) {
        var earliest = time
        for (index, input) in inputs.enumerated() {
            guard input.time >= earliest else {
                throw .configuration(
                    "input \(index) is for guest time \(input.time) ns, which is before \(earliest) ns")
            }
            earliest = input.time
        }
        console.replaying = inputs[...]
    }
}

extension GuestConsole {
    /// When the next recorded input comes in; `UInt64.max` if none waits.
    var nextReplay: UInt64 { replaying.first?.time ?? .max }

    /// The guest time at which there may be input to take.
    var nextInput: UInt64 { min(nextReplay, connection?.nextLook ?? .max) }

    /// Brings in what is due: recorded input, and what has been typed at the terminal.
    func takeInput() {
        guard let guest else { return }
        while let input = replaying.first, input.time <= guest.time {
            replaying.removeFirst()
            send(input.bytes)
        }
        guard let connection else { return }
        let input = connection.exchange(at: guest.time)
        send(input.bytes)
        switch input.ending {
        case nil: break
        case .leave: guest.requestStop("detached")
        case .closed: guest.requestStop("the terminal is gone")
        }
    }
}
