import X86

// Changes of privilege level. Every cause comes through `transitioned`, so that counters and records are complete.

/// `TransitionCause` without its payload, for counting.
package enum TransitionKind: Int, CaseIterable, Sendable {
    case exception, externalInterrupt, nonMaskableInterrupt, softwareInterrupt
    case syscall, sysret, sysenter, sysexit, iret
    case callGate, farReturn, taskSwitch, farTransfer
}

extension TransitionCause {
    /// The cause without its payload.
    package var kind: TransitionKind {
        switch self {
        case .exception: .exception
        case .externalInterrupt: .externalInterrupt
        case .nonMaskableInterrupt: .nonMaskableInterrupt
        case .softwareInterrupt: .softwareInterrupt
        case .syscall: .syscall
        case .sysret: .sysret
        case .sysenter: .sysenter
        case .sysexit: .sysexit
        case .iret: .iret
        case .callGate: .callGate
        case .farReturn: .farReturn
        case .taskSwitch: .taskSwitch
        case .farTransfer: .farTransfer
        }
    }
}

/// How often the privilege level changed, by (from, to, kind of cause).
package struct TransitionCounters: Equatable, Sendable {
    private var counts = [UInt64](repeating: 0, count: 16 * TransitionKind.allCases.count)

    package init() {}

    /// How many changes there were; levels are 0...3.
    package subscript(from source: UInt8, to target: UInt8, kind kind: TransitionKind) -> UInt64 {
        counts[Self.index(source, target, kind)]
    }

    /// All counts, for snapshots.
    var words: [UInt64] { counts }

    /// Counts that a snapshot holds; nil if there are too many or too few.
    init?(words: [UInt64]) {
        guard words.count == counts.count else { return nil }
        counts = words
    }

    /// All changes of any kind.
    package var total: UInt64 { counts.reduce(0, &+) }

    mutating func count(_ from: UInt8, _ to: UInt8, _ kind: TransitionKind) {
        counts[Self.index(from, to, kind)] &+= 1
    }

    private static func index(_ from: UInt8, _ to: UInt8, _ kind: TransitionKind) -> Int {
        kind.rawValue << 4 | Int(from & 3) << 2 | Int(to & 3)
    }
}

/// What is known of the state before a far transfer that may change the privilege level.
struct TransitionStart {
    var level: UInt8
    /// Kept only while transitions are watched.
    var point: PrivilegePoint?
}

extension Processor {
    /// How often the privilege level changed since the processor was made.
    package var transitionCounters: TransitionCounters { control.pointee.transitions }

    /// How often the level changed so; nil stands for any level, and with `impossible` the answer is 0.
    package func transitionCount(
        from: UInt8?, to: UInt8?, kind wanted: TransitionKind? = nil, impossible: Bool = false
    ) -> UInt64 {
        guard !impossible else { return 0 }
        var count: UInt64 = 0
        for source in UInt8(0)..<4 where from ?? source == source {
            for target in UInt8(0)..<4 where to ?? target == target {
                for kind in TransitionKind.allCases where wanted == nil || wanted == kind {
                    count &+= control.pointee.transitions[from: source, to: target, kind: kind]
                }
            }
        }
        return count
    }

    /// To be taken before a transfer changes anything.
    @inline(__always)
    func transitionStart() -> TransitionStart {
        TransitionStart(
            level: cpl, point: watched.contains(.transition) ? privilegePoint(at: state.pointee.rip) : nil)
    }

    /// To be called when a transfer is complete and `nextRIP` its target; counts and reports a change of level.
    @inline(__always)
    func transitioned(
        from start: TransitionStart, _ cause: TransitionCause, gate: GateRecord? = nil, switchedStack: Bool = false
    ) {
        if start.level != cpl { recordTransition(start, cause, gate, switchedStack) }
    }

    private func recordTransition(
        _ start: TransitionStart, _ cause: TransitionCause, _ gate: GateRecord?, _ switchedStack: Bool
    ) {
        control.pointee.transitions.count(start.level, cpl, cause.kind)
        guard watched.contains(.transition), let before = start.point else { return }
        var record = TransitionRecord(
            cause: cause, gate: gate, before: before, after: privilegePoint(at: state.pointee.nextRIP), address: nil,
            switchedStack: switchedStack)
        if case .exception(14, _) = cause { record.address = state.pointee.cr2 }
        // The change has happened, so RIP is where it led too, although the instruction has not ended yet.
        let rip = state.pointee.rip
        state.pointee.rip = state.pointee.nextRIP
        _ = environment.intercept(.transition(record))
        state.pointee.rip = rip
    }

    /// Level, code and stack as they are, with RIP as given.
    package func privilegePoint(at rip: UInt64) -> PrivilegePoint {
        PrivilegePoint(
            cpl: cpl, cs: state.pointee.cs.selector, rip: rip, ss: state.pointee.ss.selector, rsp: state.pointee.rsp,
            cr3: state.pointee.cr3, rflags: state.pointee.rflags)
    }
}
