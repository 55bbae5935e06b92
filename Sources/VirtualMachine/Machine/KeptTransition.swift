import Hypervisors
import X86Engine

/// One transition as the log keeps it.
///
/// It is plain memory of a fixed size, so that recording makes nothing. What words and prices there are to it is found
/// for whoever looks.
struct KeptTransition {
    /// What has happened.
    enum Occurrence {
        /// The guest's own change of level.
        case transfer(TransitionRecord, kernelRing: UInt8)
        case crossing(KeptCrossing)
        case host(HostCrossing)
    }

    /// Counted from 1 on over the guest's life; 0 until it is numbered.
    var sequence: UInt64 = 0
    /// Guest time, and instructions, when it has happened.
    var time: UInt64
    var instructions: UInt64
    var technique: Technique
    /// Which of the log's cost models has its price.
    var costModel = 0
    var occurrence: Occurrence
}

/// What is kept of a `MonitorCrossing`.
struct KeptCrossing {
    /// `MonitorCause` without what is not plain memory; the log has the calls.
    enum Cause {
        case start, systemCall, callOut, branch, hypercall, interruption
        case exception(Exception)
        case exit(
            code: UInt64, qualification: UInt64, information: UInt64, instructionLength: UInt8, exception: Exception?)
    }

    /// The exception, or interrupt, that left the guest.
    struct Exception {
        var vector: UInt8
        var errorCode: UInt32?
        var address: UInt64?
    }

    var direction: MonitorCrossing.Direction
    var cause: Cause
    var reason: ExitReason
    var guest: PrivilegePoint
    var physicalRing: UInt8
    var physicalRIP: UInt64
    var physicalCR3: UInt64
    var monitor: PrivilegePoint?
    var depth: UInt8

    init(_ crossing: MonitorCrossing) {
        direction = crossing.direction
        reason = crossing.reason
        guest = crossing.guest
        (physicalRing, physicalRIP) = (crossing.physical.cpl, crossing.physical.rip)
        physicalCR3 = crossing.physical.cr3
        monitor = crossing.monitor
        depth = crossing.depth
        cause =
            switch crossing.cause {
            case .start: .start
            case .systemCall: .systemCall
            case .callOut: .callOut
            case .branch: .branch
            case .hypercall: .hypercall
            case .interruption: .interruption
            case .exception(let vector, let errorCode, let address):
                .exception(Exception(vector: vector, errorCode: errorCode, address: address))
            case .exit(let exit):
                .exit(
                    code: exit.code, qualification: exit.qualification, information: exit.information,
                    instructionLength: exit.instructionLength, exception: Exception(exit))
            }
    }

    /// The basic exit reason, the exit code, or the vector that left the guest.
    var code: UInt64? {
        switch cause {
        case .exit(let code, _, _, _, _): code
        case .exception(let exception): UInt64(exception.vector)
        case .start, .systemCall, .callOut, .branch, .hypercall, .interruption: nil
        }
    }

    /// The exception that left the guest; an entry has none.
    var exception: Exception? {
        guard direction == .exit else { return nil }
        switch cause {
        case .exception(let exception): return exception
        case .exit(_, _, _, _, let exception): return exception
        case .start, .systemCall, .callOut, .branch, .hypercall, .interruption: return nil
        }
    }

    private var isStart: Bool { if case .start = cause { true } else { false } }

    /// Why the guest was left; nil for the entry that begins it.
    func exit(_ technique: Technique, _ call: Transition.Call?) -> Transition.Exit? {
        guard direction == .exit || !isStart else { return nil }
        var exit = Transition.Exit(reason: reason, name: name(technique, call))
        exit.code = code
        if case .exit(_, let qualification, let information, let length, _) = cause {
            (exit.qualification, exit.information, exit.instructionLength) = (qualification, information, Int(length))
        }
        return exit
    }

    /// What the technique's manual calls the cause.
    private func name(_ technique: Technique, _ call: Transition.Call?) -> String {
        switch cause {
        case .start: "start"
        case .exit(let code, _, _, _, _): VMExit.name(ofCode: code, under: technique)
        case .exception(let exception): Fault(vector: exception.vector).name
        case .systemCall: "systemCall"
        case .callOut: "callOut"
        case .branch: "branch"
        case .hypercall: call?.name ?? "hypercall"
        case .interruption: "interruption"
        }
    }

    /// A few words.
    func text(_ technique: Technique, _ call: Transition.Call?) -> String {
        let isEntry = direction == .entry
        switch cause {
        case .exit: return isEntry ? "VM entry" : "VM exit: \(name(technique, call))"
        case .start: return technique.isSoftware ? "start" : "VM entry"
        case _ where isEntry: return technique.isSoftware ? "return" : "VM entry"
        case .exception(let exception):
            if exception.vector >= 32 { return "trap: int \(hexadecimal(exception.vector))" }
            let name = ExceptionName.short(exception.vector)
            return reason == .pageTable || reason == .exception ? name : "\(name): \(reason.name)"
        case .systemCall: return "trap: syscall"
        case .callOut: return "call-out: \(reason.name)"
        case .branch: return "call-out: branch"
        case .hypercall: return "hypercall: \(name(technique, call))"
        case .interruption:
            return technique.isSoftware ? "interruption: \(reason.name)" : "VM exit: externalInterrupt"
        }
    }
}

extension KeptCrossing.Exception {
    fileprivate init?(_ exit: VMExit) {
        guard case .exception(let fault, _) = exit.cause else { return nil }
        (vector, errorCode) = (fault.vector, fault.errorCode)
        address = fault.vector == 14 ? fault.address : nil
    }
}

extension Transition {
    /// What was kept, in words, without its price.
    init(_ kept: KeptTransition, _ call: Call?) {
        let place = (sequence: kept.sequence, time: kept.time, instructions: kept.instructions)
        switch kept.occurrence {
        case .transfer(let record, let kernelRing):
            self.init(
                sequence: place.sequence, time: place.time, instructions: place.instructions,
                technique: kept.technique, mechanism: .transfer(record.cause), gateRecord: record.gate,
                before: Point(record.before, under: kept.technique, kernelRing: Int(kernelRing)),
                after: Point(record.after, under: kept.technique, kernelRing: Int(kernelRing)),
                switchedStack: record.switchedStack, vector: record.cause.vector, errorCode: record.cause.errorCode,
                address: record.address)
        case .crossing(let crossing):
            let guest = Point(crossing, under: kept.technique)
            let root = Point(monitor: crossing.monitor, depth: guest.depth - 1)
            let text = crossing.text(kept.technique, call)
            let isExit = crossing.direction == .exit
            let exception = crossing.exception
            self.init(
                sequence: place.sequence, time: place.time, instructions: place.instructions,
                technique: kept.technique, mechanism: isExit ? .exit(text) : .entry(text),
                before: isExit ? guest : root, after: isExit ? root : guest,
                vector: exception.map { Int($0.vector) }, errorCode: exception?.errorCode,
                address: exception?.address, exit: crossing.exit(kept.technique, call), call: call)
        case .host(let crossing):
            self.init(
                sequence: place.sequence, time: place.time, instructions: place.instructions,
                technique: kept.technique, mechanism: .host(crossing),
                before: Point(monitor: nil, level: crossing.levels.from, depth: 0),
                after: Point(monitor: nil, level: crossing.levels.to, depth: 0))
        }
    }
}

extension HostCrossing {
    /// The levels of the host that it leads from and to.
    fileprivate var levels: (from: Level, to: Level) {
        switch self {
        case .toKernel: (.root, .ring0)
        case .toProcess: (.ring0, .ring3)
        case .fromProcess: (.ring3, .ring0)
        case .fromKernel: (.ring0, .root)
        }
    }
}

extension Transition.Point {
    /// A place in a guest, as it sees it; by a technique the machine's processor may run it at another level.
    fileprivate init(_ point: PrivilegePoint, under technique: Technique, kernelRing: Int) {
        self.init(
            level: Level(cpl: point.cpl), depth: technique == .bare ? 0 : 1,
            physicalRing: max(Int(point.cpl), kernelRing), physicalRIP: nil,
            physicalCR3: nil, cs: point.cs, rip: point.rip, ss: point.ss, rsp: point.rsp, cr3: point.cr3,
            rflags: point.rflags)
    }

    /// The place in a guest where it was left or goes on, with where the machine's processor is.
    fileprivate init(_ crossing: KeptCrossing, under technique: Technique) {
        self.init(crossing.guest, under: technique, kernelRing: 0)
        depth = Int(crossing.depth)
        physicalRing = Int(crossing.physicalRing)
        if crossing.physicalRIP != crossing.guest.rip { physicalRIP = crossing.physicalRIP }
        if crossing.physicalCR3 != crossing.guest.cr3 { physicalCR3 = crossing.physicalCR3 }
    }

    /// A place in a monitor, or in the host of one.
    fileprivate init(monitor point: PrivilegePoint?, level: Level = .root, depth: Int) {
        self.init(
            level: level, depth: depth, physicalRing: level == .root ? 0 : level.rawValue, physicalRIP: nil,
            physicalCR3: nil, cs: point?.cs ?? 0, rip: point?.rip ?? 0, ss: point?.ss ?? 0, rsp: point?.rsp ?? 0,
            cr3: point?.cr3 ?? 0, rflags: point?.rflags ?? 0)
    }
}
