/// A guest that stands still at a stop, in a loop over `Guest.run(until:)`.
@dynamicMemberLookup
public struct StoppedGuest {
    /// Why, where and when it stopped.
    public let stop: Stop
    /// The guest's processor, as it is until the loop goes on.
    public let cpu: CPUView

    /// What the stop says.
    public subscript<Member>(dynamicMember member: KeyPath<Stop, Member>) -> Member { stop[keyPath: member] }
}

/// The stops of a guest at an event, one after the other: what `for try await` runs over.
///
/// The last one is that which ends the run: the guest has halted, crashed or shut down, or a limit was reached. Between
/// slices of guest time the loop gives way to other tasks.
public struct GuestStops: AsyncSequence {
    fileprivate let guest: Guest
    fileprivate let condition: EventFilter
    fileprivate let limits: RunLimits

    /// An iterator that runs the guest on from where it is.
    public func makeAsyncIterator() -> Iterator { Iterator(guest, condition, limits) }

    /// Runs the guest from stop to stop.
    public struct Iterator: AsyncIteratorProtocol {
        private let guest: Guest
        private let condition: EventFilter
        /// What is left of the limits.
        private var limits: RunLimits
        private var last: Stop?

        fileprivate init(_ guest: Guest, _ condition: EventFilter, _ limits: RunLimits) {
            self.guest = guest
            self.condition = condition
            self.limits = limits
        }

        /// Runs to the next stop.
        ///
        /// - Returns: The stop; nil after the last.
        /// - Throws: `CancellationError` if the task is cancelled.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(CancellationError) -> StoppedGuest? {
            guard last == nil || last?.reason == .event else { return nil }
            // What stopped before an instruction would do so again.
            if let event = last?.event, event.kind.isBeforeInstruction, guest.instructions == last?.instructions {
                let stop = run { $0.step() }
                if stop.reason != .instructions { return end(stop) }
            }
            while true {
                guard !Task.isCancelled else { throw CancellationError() }
                var slices = 0
                let (condition, limits) = (condition, limits)
                let stop = run {
                    $0.run(until: condition, limits: limits) {
                        slices += 1
                        return slices == 1
                    }
                }
                guard slices > 1, stop.reason == .stopped, stop.event == nil else { return end(stop) }
                await Task.yield()
            }
        }

        private mutating func end(_ stop: Stop) -> StoppedGuest {
            last = stop
            return StoppedGuest(stop: stop, cpu: guest.cpu)
        }

        /// Runs the guest and takes what that has used off the limits.
        private mutating func run(_ body: (Guest) -> Stop) -> Stop {
            let start = (instructions: guest.instructions, time: guest.time)
            let stop = body(guest)
            let used = (instructions: guest.instructions &- start.instructions, time: guest.time &- start.time)
            limits.spend(instructions: used.instructions, time: used.time)
            return stop
        }
    }
}

extension Guest {
    /// The stops at an event, for `for try await`: `run(until:limits:checkpoint:)` again and again.
    @_disfavoredOverload
    public func run(until condition: EventFilter, limits: RunLimits = RunLimits()) -> GuestStops {
        GuestStops(guest: self, condition: condition, limits: limits)
    }
}

extension RunLimits {
    /// Takes off what a part of the run has used.
    package mutating func spend(instructions: UInt64, time: UInt64) {
        self.instructions = self.instructions.map { $0 - min($0, instructions) }
        self.time = self.time.map { $0 - min($0, time) }
    }
}

extension GuestEvent.Kind {
    /// Whether a stop at the event leaves the guest before the instruction, which then does it again.
    fileprivate var isBeforeInstruction: Bool {
        switch self {
        case .exception, .interrupt, .syscall, .hypercall, .exec, .read, .write, .io, .msr, .cr, .instruction, .halt,
            .cpuid, .vmexit:
            true
        case .transition, .vmentry, .console, .reset: false
        }
    }
}
