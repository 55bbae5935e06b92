import PCDevices
import X86Engine

/// What bounds a run; whichever comes first ends it.
public struct RunLimits: Sendable {
    /// Guest time from now, in nanoseconds.
    public var time: UInt64?
    /// Instructions from now.
    public var instructions: UInt64?

    /// Makes limits; without any the run goes on until the guest ends it.
    public init(time: UInt64? = nil, instructions: UInt64? = nil) {
        self.time = time
        self.instructions = instructions
    }
}

/// How long a run goes on between two looks at what may end it.
///
/// A slice takes at most 1 ms of guest time, and less where the host takes long for that: each is as long as the ones
/// before let expect. Where a run is cut changes nothing for the guest.
private struct RunSlices {
    private var length = shortest
    private var start: ContinuousClock.Instant?

    private static let longest: UInt64 = 1_000_000
    private static let shortest: UInt64 = 20_000
    /// How much of the host's time a slice should take at most.
    private static let patience = Duration.milliseconds(8)

    /// The length of the slice that begins now, in nanoseconds of guest time.
    mutating func next() -> UInt64 {
        let now = ContinuousClock.now
        if let start {
            let taken = now - start
            if taken > Self.patience {
                length = max(length / 2, Self.shortest)
            } else if taken < Self.patience / 4 {
                length = min(length * 2, Self.longest)
            }
        }
        start = now
        return length
    }
}

extension Guest {
    /// Runs until an event that `condition` accepts, a limit, or the guest's end.
    ///
    /// `checkpoint` is asked between slices of at most 1 ms of guest time and a few milliseconds of the host's; false
    /// ends the run as `.stopped` (an interrupt from the keyboard, a watchdog).
    @discardableResult
    public func run(
        until condition: EventFilter? = nil, limits: RunLimits = RunLimits(), checkpoint: (() -> Bool)? = nil
    ) -> Stop {
        if let finalStop { return finalStop }
        // A handler that runs its own guest would recurse without end.
        guard !isRunning else { return stop(.stopped, "the guest is already running") }
        isRunning = true
        let begin = ContinuousClock.now
        defer {
            isRunning = false
            hostTime += begin.duration(to: .now)
        }
        stopRequest = nil
        let waiter = condition.map { filter in
            observe(filter) { [weak self] event in
                self?.requestStop(.event, "", event)
                return .proceed
            }
        }
        defer { if let waiter { off(waiter) } }
        let endTime = limits.time.map { time.addingReportingOverflow($0) }.map { $0.overflow ? .max : $0.partialValue }
        let endCount = limits.instructions.map { instructions.addingReportingOverflow($0) }
            .map { $0.overflow ? .max : $0.partialValue }
        let state = processor.state
        var slices = RunSlices()
        while true {
            console.takeInput()
            if let stop = pendingStop() { return stop }
            if let endTime, time >= endTime { return stop(.timeout, "") }
            if let endCount, instructions >= endCount { return stop(.instructions, "") }
            if let checkpoint, !checkpoint() { return stop(.stopped, "interrupted") }
            history?.passing()
            // The instruction limit as a point in time: idle time moves it, so it is computed anew for every slice.
            let byCount = endCount.map { state.pointee.idleTime.addingReportingOverflow($0).partialValue } ?? .max
            let slice = time.addingReportingOverflow(slices.next()).partialValue
            platform.runEnd = min(endTime ?? .max, byCount, slice, console.nextInput)
            platform.synchronize()
            switch monitor?.run() ?? processor.run() {
            case .deadline, .stopped, .ringZero:
                break
            case .halted:
                if !idle(until: endTime ?? .max) { return stop(.halted, "") }
            case .shutdown:
                let chain = processor.faultChain.map(\.description)
                let why = monitor?.endReason ?? "triple fault"
                let stop = stop(.crashed, chain.isEmpty ? why : why + ": " + chain.joined(separator: ", "))
                finalStop = stop
                return stop
            case .signal:
                if platform.pc.signals(to: 0).contains(.initialize) {
                    platform.pc.acknowledgeInitialize(0)
                    state.pointee.signals &= ~Signal.initialize
                    processor.initialize()
                } else if let vector = platform.pc.acknowledgeStartUp(0) {
                    state.pointee.signals &= ~Signal.startup
                    processor.startUp(vector: vector)
                } else {
                    state.pointee.signals &= ~Signal.startup
                }
            }
        }
    }

    /// Runs until an event, for so much guest time at most, so many instructions, or so much time of the host.
    @discardableResult
    public func run(
        until condition: EventFilter? = nil, within time: Duration, instructions: UInt64? = nil, wall: Duration? = nil
    ) -> Stop {
        run(until: condition, RunLimits(time: time.wholeNanoseconds, instructions: instructions), wall)
    }

    /// Runs until an event, for so many instructions at most, or so much time of the host.
    @discardableResult
    public func run(until condition: EventFilter? = nil, instructions: UInt64, wall: Duration? = nil) -> Stop {
        run(until: condition, RunLimits(instructions: instructions), wall)
    }

    /// Runs until an event, for so much time of the host at most.
    @discardableResult
    public func run(until condition: EventFilter? = nil, wall: Duration) -> Stop {
        run(until: condition, RunLimits(), wall)
    }

    private func run(until condition: EventFilter?, _ limits: RunLimits, _ wall: Duration?) -> Stop {
        guard let wall else { return run(until: condition, limits: limits) }
        let end = ContinuousClock.now + wall
        return run(until: condition, limits: limits) { ContinuousClock.now < end }
    }

    /// Executes `count` instructions.
    @discardableResult
    public func step(_ count: UInt64 = 1) -> Stop { run(limits: RunLimits(instructions: count)) }

    /// Ends the current run after the instruction; for handlers.
    public func requestStop(_ detail: String) {
        effects?.note(.stop(detail))
        requestStop(.stopped, detail, nil)
    }

    func requestStop(_ reason: Stop.Reason, _ detail: String, _ event: GuestEvent?) {
        guard stopRequest == nil else { return }
        var event = event
        if let vector = event?.vector, event?.kind == .exception || event?.kind == .interrupt {
            let level = handlerLevel(of: vector)
            event?.to = level
        }
        stopRequest = (reason, detail, event)
        processor.raise(Signal.stop)
    }

    /// Lets time pass for a halted processor until its next timer event, in one jump or, with a terminal attached, in
    /// the host's time; false if nothing will ever wake it.
    private func idle(until endTime: UInt64) -> Bool {
        let state = processor.state
        let canWake = processor.wakesOnInterrupt || state.pointee.signals & Signal.nmi != 0
        // Without an end in time a run must not wait for clocks whose interrupts are masked. (Paravirtual guests get
        // those of devices past the controllers.)
        let clock = platform.pc.clock
        let isEndless = endTime == .max && configuration.technique != .paravirtual
        let deadline = isEndless ? clock.awaitedDeadline : clock.nextDeadline
        let event = min(deadline, console.nextReplay, processor.guestTimerDeadline)
        guard canWake, event != .max || console.isAttached else { return false }
        var next = min(event, platform.runEnd)
        if let connection = console.connection {
            let end = min(event, endTime)
            next = end > time ? time &+ connection.wait(atMost: end &- time) : time
        }
        if next > state.pointee.time {
            state.pointee.idleTime &+= next &- state.pointee.time
            state.pointee.time = next
        }
        return true
    }

    /// The stop that a handler or the guest has asked for.
    private func pendingStop() -> Stop? {
        isBetweenInstructions = true
        defer { isBetweenInstructions = false }
        if isResetRequested {
            isResetRequested = false
            reset()
        }
        while let request = platform.pc.takeRequest() {
            switch request {
            case .powerOff:
                finalStop = stop(.shutdown, "power off")
                return finalStop
            case .debugExit:
                var result = stop(.shutdown, "debug exit")
                result.exitStatus = request.exitStatus
                finalStop = result
                return result
            case .reset:
                let event = makeEvent(.reset)
                reset()
                _ = dispatch(event)
            }
        }
        guard let request = stopRequest else { return nil }
        stopRequest = nil
        var result = stop(request.reason, request.detail)
        result.event = request.event
        return result
    }

    private func stop(_ reason: Stop.Reason, _ detail: String) -> Stop {
        Stop(
            reason: reason, detail: detail, event: nil, time: time, instructions: instructions, exitStatus: nil,
            faults: reason == .crashed ? processor.faultChain.map(\.description) : [])
    }
}
