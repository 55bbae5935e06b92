import X86Engine

/// Who runs a guest in the place of its processor, whatever the technique.
///
/// Between two runs the guest's state is in its own processor, `guest`, and its memory; so every monitor can go on where
/// another one has stopped.
package protocol GuestMonitor: AnyObject {
    var technique: Technique { get }
    /// What the guest believes its processor to be.
    var guest: Processor { get }
    /// The processor that executes.
    var machine: Processor { get }
    var statistics: MonitorStatistics { get }
    /// What its translator has done; nil without one.
    var translatorStatistics: TranslatorStatistics? { get }
    /// The translation that the guest's instruction at an address is in; nil if there is none.
    func translation(at rip: UInt64) -> CachedTranslation?
    /// What the parts have done, in words.
    var report: String { get }
    /// Hears of every crossing; nil while nobody listens, which costs nothing.
    var observer: (any MonitorObserver)? { get set }
    /// The ring at which the machine's processor runs the guest's kernel.
    var kernelRing: UInt8 { get }
    /// Runs the guest until the machine around it is needed, as `Processor.run` does; ends as at a deadline, but earlier,
    /// when `RunTurns` says so, so that the caller can look after other things.
    func run() -> RunResult
    /// What the monitor knows of the guest that neither its processor nor its memory holds, for snapshots and digests.
    var knowledge: [UInt64] { get }
    /// Forgets what was derived from memory and state, after all of it has been replaced, and takes back what was known
    /// then.
    func stateReplaced(knowledge: [UInt64])
    /// The guest's memory and processor are as its boot source has them.
    func begin()
    /// The physical address and the bytes of the descriptor table that the guest has given its monitor, where GDTR does
    /// not tell.
    var descriptorTable: (physical: UInt64, size: UInt64)? { get }
    /// Why the guest has ended, if its monitor has ended it.
    var endReason: String? { get }
    /// Finds out why the guest was left last, if that has been put off.
    func explainLastExit()
    /// Gives the guest up: its own processor has all of its state, and nothing of the monitor's is in force any more.
    func leave()
}

extension GuestMonitor {
    package var knowledge: [UInt64] { [] }
    package func begin() {}
    package func explainLastExit() {}
    package var descriptorTable: (physical: UInt64, size: UInt64)? { nil }
    package var endReason: String? { nil }
    package var translatorStatistics: TranslatorStatistics? { nil }
    package func translation(at rip: UInt64) -> CachedTranslation? { nil }
}

/// Someone who is told what happens between a guest and its monitor.
package protocol MonitorObserver: AnyObject {
    /// A crossing has happened; between two of them the guest's processor holds the guest's state at an exit, and that
    /// with which the guest goes on at an entry.
    ///
    /// After an exit nothing has been done about its cause: `.proceed` lets the monitor do that, `.skip` and `.reply` (RAX)
    /// stand for the instruction that left, `.inject` raises a fault in its place. The verdict on an entry is not looked
    /// at.
    func crossed(_ crossing: MonitorCrossing) -> EventVerdict
    /// Is asked before a crossing is made, with the guest's privilege level and the cause's `code`: true if nobody looks
    /// at it and all who wait for it have been told, so that `crossed` is not called.
    func notices(
        _ direction: MonitorCrossing.Direction, _ reason: ExitReason, level: UInt8, code: () -> UInt64?
    ) -> Bool
    /// Is asked, before the guest's watchers are, about a change of level inside the guest at a guest time: true if
    /// nobody looks at it and it has been noted where that is wished, so that the guest's state need not be brought back.
    func keeps(_ record: TransitionRecord, time: UInt64) -> Bool
    /// Whether each exit must be told with its reason; else that may be told later, when it is found anyway.
    var needsReasons: Bool { get }
    /// Why the last exit has happened, which was told without.
    func explained(_ reason: ExitReason)
}

/// One change of sides between a guest and its monitor.
package struct MonitorCrossing: Equatable, Sendable {
    package enum Direction: Equatable, Sendable { case exit, entry }

    package var technique: Technique
    package var direction: Direction
    /// Why the guest was left; of an entry the cause of the exit before it.
    package var cause: MonitorCause
    /// The cause in words that all techniques share.
    package var reason: ExitReason
    /// Whether the reason is known; else `explained` tells it.
    package var isExplained = true
    /// The place in the guest, as the guest sees it.
    package var guest: PrivilegePoint
    /// The same place as the machine's processor runs it: its real level, RIP in a translation cache, the real CR3.
    package var physical: PrivilegePoint
    /// Where the machine's processor entered the monitor, or comes from; nil where none of its code runs in the machine.
    package var monitor: PrivilegePoint?
    /// How deep the guest is nested; 1 below the monitor that owns the machine.
    package var depth: UInt8 = 1
    /// Guest time.
    package var time: UInt64

    package init(
        technique: Technique, direction: Direction, cause: MonitorCause, reason: ExitReason, guest: PrivilegePoint,
        physical: PrivilegePoint, monitor: PrivilegePoint? = nil, time: UInt64
    ) {
        self.technique = technique
        self.direction = direction
        self.cause = cause
        self.reason = reason
        self.guest = guest
        self.physical = physical
        self.monitor = monitor
        self.time = time
    }
}

/// Why a guest was left for its monitor.
package enum MonitorCause: Equatable, Sendable {
    /// The guest begins, or goes on from a state that was brought here: nobody has left it, so this entry is no crossing.
    case start
    /// VT-x or AMD-V left the guest.
    case exit(VMExit)
    /// An exception, or an interrupt instruction, of deprivileged code entered ring 0.
    case exception(vector: UInt8, errorCode: UInt32?, address: UInt64?)
    /// SYSCALL of deprivileged code entered ring 0.
    case systemCall
    /// Translated code needs the monitor for an instruction.
    case callOut
    /// Translated code goes where no translation is linked yet.
    case branch
    /// The guest calls its hypervisor.
    case hypercall(Hypercall)
    /// Something is due, or a watched place was met.
    case interruption

    /// The basic exit reason, the exit code, or the vector that left the guest.
    package var code: UInt64? {
        switch self {
        case .exit(let exit): exit.code
        case .exception(let vector, _, _): UInt64(vector)
        case .start, .systemCall, .callOut, .branch, .hypercall, .interruption: nil
        }
    }
}

extension VMExit {
    /// The name of the exit reason (SDM volume 3 appendix C) or exit code (APM volume 2 appendix C).
    package static func name(ofCode code: UInt64, under technique: Technique) -> String {
        switch technique {
        case .vmx:
            vmxNames[code & 0xFFFF] ?? "reason \(code)"
        case .svm: svmNames[code] ?? SVMExitCode(rawValue: code).description
        case .bare, .trapAndEmulate, .translate, .paravirtual: "exit \(code)"
        }
    }

    private static let vmxNames = Dictionary(
        uniqueKeysWithValues: VMXExitReason.allCases.map { (UInt64($0.rawValue), "\($0)") })
    private static let svmNames = Dictionary(
        uniqueKeysWithValues: SVMIntercept.allCases.map { ($0.rawValue, SVMExitCode.intercept($0).description) })
}

/// A call of a guest to its hypervisor.
package struct Hypercall: Equatable, Sendable {
    /// The name of the interface that it belongs to.
    package var interface: String
    package var number: UInt64
    /// The call's name in that interface; its number where it has none.
    package var name: String
    package var arguments: [UInt64]
    /// Nil before the call is done, and for a call that goes on elsewhere.
    package var result: UInt64?
    /// What the result is called, if the call has failed.
    package var failure: String?

    package init(interface: String, number: UInt64, name: String, arguments: [UInt64] = []) {
        self.interface = interface
        self.number = number
        self.name = name
        self.arguments = arguments
    }
}

/// What a monitor has done so far.
package struct MonitorStatistics: Equatable, Sendable {
    /// World switches into the guest.
    package var entries: UInt64 = 0
    /// Crossings, by the guest's level and the reason.
    package var crossings = CrossingCounters()
    /// Exits: by vector where the guest runs deprivileged, else by exit reason (the last for all codes beyond).
    package var exits = [UInt64](repeating: 0, count: 1056)
    package var systemCalls: UInt64 = 0
    /// Page faults that the guest has not seen.
    package var hiddenPageFaults: UInt64 = 0
    /// Page faults that went on to the guest.
    package var truePageFaults: UInt64 = 0
    /// Instructions that were interpreted because they came to the monitor.
    package var emulated: UInt64 = 0
    /// Instructions that were interpreted because the mode demands it.
    package var interpreted: UInt64 = 0
    /// Events that the monitor delivered into the guest.
    package var injections: UInt64 = 0
    /// How often the region moved out of the guest's way.
    package var moves: UInt64 = 0

    package init() {}

    /// All exits.
    package var totalExits: UInt64 { exits.reduce(0, &+) }

    package mutating func countExit(_ code: UInt64) {
        exits[Int(truncatingIfNeeded: min(code, UInt64(exits.count - 1)))] &+= 1
    }
}
