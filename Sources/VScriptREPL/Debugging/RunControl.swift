import VirtualMachine
import X86

/// Runs of a guest on behalf of commands.
extension REPL {
    /// How many changes of privilege level a step shows.
    private static let shownTransitions = 8

    /// Runs a guest, with its stop points set and the keyboard listened to.
    ///
    /// `execute` runs the guest in another way than `Guest.run` does. With `passesCurrent` a breakpoint at the current instruction is passed over, as when going on.
    func run(
        _ target: DebuggedGuest, until condition: EventFilter? = nil, limits: RunLimits = RunLimits(),
        passesCurrent: Bool = true, stopsAtPoints: Bool = true, execute: ((@escaping () -> Bool) -> Stop?)? = nil
    ) -> RunResult {
        let guest = target.guest
        let result = RunResult(guest)
        let start = guest.instructions
        let firstTransition = guest.transitions.sequence
        // What is recorded needs nobody who looks on.
        let watcher =
            guest.transitions.isRecording
            ? nil
            : guest.observe(.transition()) { event in
                if let transition = event.transition { result.note(transition) }
                return .proceed
            }
        if stopsAtPoints {
            for point in target.stopPoints where point.isEnabled {
                install(point, in: target, result, startingAt: passesCurrent ? start : nil)
            }
        }
        let clock = ContinuousClock()
        let began = clock.now
        var shown = began
        var isShowing = false
        var hasLooked = false
        let startTime = guest.time
        let checkpoint = { [self] in
            guard Checkpoint.isPassed else { return false }
            // Long before anybody wants to stop: Ctrl-C must not wait for it.
            if execute == nil, !hasLooked, clock.now - began > .milliseconds(500) {
                hasLooked = true
                findKernelSymbols(target)
            }
            if execute == nil, let progress, clock.now - shown > .milliseconds(250), clock.now - began > .seconds(1) {
                shown = clock.now
                isShowing = true
                let elapsed = clock.now - began
                progress(Progress.line(target, since: start, startTime: startTime, elapsed: elapsed))
            }
            return true
        }
        if let execute {
            result.stop = execute(checkpoint) ?? guest.standing
        } else {
            result.stop = target.history.run(until: condition, limits: limits, checkpoint: checkpoint)
        }
        if isShowing { progress?(nil) }
        tellFailure(of: target)
        if let watcher {
            guest.off(watcher)
        } else {
            let rows = guest.transitions.rows(last: 64)
            for transition in rows where transition.sequence > firstTransition { result.note(transition) }
        }
        for point in target.stopPoints {
            for handler in point.handlers { guest.off(handler) }
            point.handlers = []
        }
        target.stopPoints.removeAll { point in
            let isSpent = point.isTemporary && point.hits > 0 && result.points.contains(point.title)
            if isSpent { spent.append(point) }
            return isSpent
        }
        target.stopped(result.stop)
        return result
    }

    /// Tells what a script's handler, device or timer has failed with; whether there was anything.
    @discardableResult
    func tellFailure(of target: DebuggedGuest) -> Bool {
        guard let diagnostic = scope.takeFailure(of: target.guest) else { return false }
        output(.diagnostic(diagnostic))
        return true
    }

    private func install(
        _ point: StopPoint, in target: DebuggedGuest, _ result: RunResult, startingAt start: UInt64?
    ) {
        for filter in point.filters {
            let handler = target.guest.observe(filter) { [unowned self, unowned target] event in
                if event.kind == .exec, event.instructions == start { return .proceed }
                guard accepts(point, event, target, result) else { return .proceed }
                point.hits += 1
                if point.ignored > 0 {
                    point.ignored -= 1
                    return .proceed
                }
                result.points.append(point.title)
                result.event = result.event ?? event
                target.guest.requestStop(point.title)
                return .proceed
            }
            point.handlers.append(handler)
        }
    }

    private func accepts(
        _ point: StopPoint, _ event: GuestEvent, _ target: DebuggedGuest, _ result: RunResult
    ) -> Bool {
        guard let condition = point.condition else { return true }
        switch scope.holds(SourceFileMaker.input(condition), at: event, in: target.guest) {
        case .holds(let value): return value
        case .failed(let diagnostics):
            for diagnostic in diagnostics { output(.diagnostic(diagnostic)) }
            result.points.append("\(point.title), whose condition failed")
            target.guest.requestStop(point.title)
            return false
        }
    }

    /// Tells how a run ended.
    func report(
        _ target: DebuggedGuest, _ result: RunResult, showsReason: Bool = true, transitions: [Transition]? = nil
    ) {
        if !scope.isInterrupted { findKernelSymbols(target) }
        let reason = result.reason
        let shown =
            transitions
            ?? Array(
                result.transitions.filter { !($0.exit.map { TransitionView.isNoise($0.reason) } ?? false) }
                    .suffix(Self.shownTransitions))
        var extra: [StyledText] = []
        if let event = result.event { extra = EventView(guest: target).lines(event) }
        continuation = Continuation()
        output(
            .stop(
                StopReport(
                    target, result.stop, reason: showsReason || result.isUnexpected ? reason : nil, transitions: shown,
                    extra: extra)))
    }

    /// So many steps: instructions, and for a guest with a monitor also exits and entries.
    func step(_ target: DebuggedGuest, _ count: UInt64) -> RunResult {
        guard target.guest.monitor != nil else { return run(target, limits: RunLimits(instructions: count)) }
        let collected = RunResult(target.guest)
        for _ in 0..<count {
            collected.take(stepThroughMonitor(target))
            if collected.isUnexpected { break }
        }
        return collected
    }

    /// To the next exit or the next instruction; from an exit to the entry after it.
    private func stepThroughMonitor(_ target: DebuggedGuest) -> RunResult {
        if target.isInRoot { return run(target, until: .vmentry()) }
        let collected = RunResult(target.guest)
        let end = target.guest.instructions &+ 1
        while true {
            collected.take(
                run(target, until: .vmexit(), limits: RunLimits(instructions: end &- target.guest.instructions)))
            // A translator goes in and out of its cache, about which there is nothing to say.
            let isNoise = collected.stop.event?.exit.map { TransitionView.isNoise($0.reason) } ?? false
            guard collected.stop.reason == .event, collected.points.isEmpty, isNoise else { return collected }
        }
    }

    // MARK: - Steps over something

    /// One instruction with everything it calls, and every trip to a more privileged level.
    func next(_ target: DebuggedGuest) -> RunResult {
        let guest = target.guest
        let before = Frame(guest)
        let instruction = target.decode(at: before.rip)
        let interrupted = InterruptionWitness(guest)
        let result = run(target, limits: RunLimits(instructions: 1))
        interrupted.remove()
        guard result.isComplete else { return result }
        if guest.cpu.ring < before.ring {
            return goOn(target, result) { [self] in
                run(target, until: Frame.comesBack(to: before.ring), stopsAtPoints: true)
            } isDone: {
                before.isSameThread(guest)
            }
        }
        let isCall = instruction.map { Self.calls.contains($0.operation) } ?? false
        if isCall, let instruction {
            return goOn(target, result) { [self] in
                run(target, until: .exec(instruction.next))
            } isDone: {
                before.isSameThread(guest) && guest.cpu["rsp"] ?? 0 >= before.rsp
            }
        }
        if interrupted.wasSeen {
            return goOn(target, result) { [self] in
                run(target, until: .exec(before.rip))
            } isDone: {
                before.isSameThread(guest) && guest.cpu["rsp"] == before.rsp
            }
        }
        return result
    }

    /// Instructions that come back to the one after them.
    private static let calls: Set<Operation?> = [.call, .callFar]

    /// Runs again and again until a place is reached in the right frame, or something else stops the guest.
    private func goOn(
        _ target: DebuggedGuest, _ first: RunResult, _ again: () -> RunResult, isDone: () -> Bool
    ) -> RunResult {
        let collected = first
        while true {
            let result = again()
            collected.take(result)
            guard result.stop.reason == .event, result.points.isEmpty else { return collected }
            if isDone() { return collected }
        }
    }

    /// Until the current function has returned, or the processor to a less privileged level.
    func finish(_ target: DebuggedGuest) -> RunResult {
        let guest = target.guest
        let start = Frame(guest)
        let collected = RunResult(guest)
        while true {
            let instruction = target.decode(at: guest.cpu.rip)
            let isReturn = instruction?.operation.map { Self.returns.contains($0) } ?? false
            let isOwn = guest.cpu["rsp"] ?? 0 >= start.rsp && guest.cpu.ring == start.ring
            let result = next(target)
            collected.take(result)
            guard result.isComplete || (result.stop.reason == .event && result.points.isEmpty) else { return collected }
            if isReturn && isOwn || guest.cpu.ring > start.ring { return collected }
        }
    }

    static let returns: Set<Operation> = [.ret, .retFar, .iret, .sysret, .sysexit]
}

/// What a run came to.
package final class RunResult {
    package var stop: Stop
    /// The last changes of privilege level.
    package private(set) var transitions: [Transition] = []
    /// The stop points that were hit.
    package var points: [String] = []
    /// What a stop point saw.
    package var event: GuestEvent?

    init(_ guest: Guest) { stop = guest.standing }

    func note(_ transition: Transition) {
        transitions.append(transition)
        if transitions.count > 64 { transitions.removeFirst(32) }
    }

    /// Whether the run went as far as it was to.
    var isComplete: Bool { stop.reason == .instructions && points.isEmpty }

    /// Whether something ended the run that the command had not asked for.
    var isUnexpected: Bool {
        switch stop.reason {
        case .event, .instructions: !points.isEmpty
        case .halted, .stopped, .timeout, .crashed, .shutdown: true
        }
    }

    func take(_ other: RunResult) {
        stop = other.stop
        for transition in other.transitions { note(transition) }
        points = other.points
        event = other.event ?? event
    }

    /// Why the run ended, in words.
    var reason: String {
        if !points.isEmpty { return points.joined(separator: ", ") }
        switch stop.reason {
        case .event: return stop.detail.isEmpty ? "here" : stop.detail
        case .halted: return "halted, and nothing can wake it"
        case .stopped: return stop.detail.isEmpty ? "by a handler" : stop.detail
        case .timeout: return "the time is over"
        case .instructions: return "the instructions are over"
        case .crashed: return "crashed, triple fault"
        case .shutdown:
            return "shut down: \(stop.detail)" + (stop.exitStatus.map { ", status \($0)" } ?? "")
        }
    }
}

/// Where a command began, to know the same place again.
struct Frame {
    let rip: UInt64
    let rsp: UInt64
    let ring: Int
    let cr3: UInt64
    let threadBase: UInt64

    init(_ guest: Guest) {
        let cpu = guest.cpu
        rip = cpu.rip
        rsp = cpu["rsp"] ?? 0
        ring = cpu.ring
        cr3 = cpu["cr3"] ?? 0
        threadBase = cpu["fs_base"] ?? 0
    }

    /// Whether the guest is in the address space and thread of the frame.
    func isSameThread(_ guest: Guest) -> Bool {
        guard guest.cpu.ring == ring else { return false }
        // A kernel's own stack tells its threads apart, FS those of user programs.
        return ring == 3 ? guest.cpu["cr3"] == cr3 && guest.cpu["fs_base"] == threadBase : true
    }

    static func comesBack(to ring: Int) -> EventFilter { .transition(to: Level(rawValue: ring)) }
}

/// Notes whether an interrupt or exception was delivered.
final class InterruptionWitness {
    private(set) var wasSeen = false
    private let guest: Guest
    private var handlers: [HandlerID] = []

    init(_ guest: Guest) {
        self.guest = guest
        for kind in [GuestEvent.Kind.interrupt, .exception] {
            handlers.append(
                guest.observe(EventFilter(kind)) { [unowned self] _ in
                    wasSeen = true
                    return .proceed
                })
        }
    }

    func remove() { for handler in handlers { guest.off(handler) } }
}
