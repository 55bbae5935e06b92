import Hypervisors
import X86Engine

/// What transitions cost on a processor, in cycles: figures that were measured and published.
///
/// Costs are reported and never part of guest time. Where the sources give a round trip, each way has half of it; where
/// they tell nothing, a cost is unknown.
public struct CostModel: Equatable, Sendable {
    /// What has a cost.
    public enum Item: String, CaseIterable, Sendable {
        /// SYSCALL or SYSENTER, and the way back.
        case systemCall, systemReturn
        /// The delivery of an exception or interrupt, and IRET.
        case exception, interruptReturn
        /// Deprivileged code enters its monitor by an exception or SYSCALL, and the monitor goes back to it.
        case trap, trapReturn
        /// The same by SYSCALL, and by a page fault with what is done about it.
        case systemCallTrap, pageFaultTrap
        /// Translated code calls its monitor, and the monitor returns.
        case callOut, callOutReturn
        /// A VM exit and a VM entry.
        case exit, entry
        /// A VM exit with what is done about it: an access to a port, and a fault of shadow or nested paging.
        case portExit, pageTableExit
        /// From a monitor to its host's kernel or back; from there to the process that has the devices; and its call.
        case worldSwitch, hostReturn, hostCall
        /// An access to a device of the machine, by whoever has it; no transition.
        case device
    }

    /// What `cost:` calls it.
    public var name: String
    /// Where the figures were published.
    public var sources: [String]
    /// Cycles; what is not there is unknown.
    public var cycles: [Item: UInt64]
    /// Cycles in a second; nil where the sources do not tell.
    public var frequency: UInt64?

    /// Makes a model.
    public init(name: String, sources: [String], cycles: [Item: UInt64], frequency: UInt64? = nil) {
        self.name = name
        self.sources = sources
        self.cycles = cycles
        self.frequency = frequency
    }

    /// The time that cycles take, in nanoseconds; nil without a frequency.
    package func time(ofCycles cycles: UInt64) -> UInt64? {
        guard let frequency, frequency > 0 else { return nil }
        return UInt64(clamping: UInt128(cycles) * 1_000_000_000 / UInt128(frequency))
    }

    /// The models that come with the library, the usual one first.
    public static let all: [CostModel] = [.prescott] + roundTrips.map(CostModel.init) + [.epyc]

    /// Makes a model by its name; nil if there is none.
    public init?(named name: String) {
        guard let model = Self.all.first(where: { $0.name == name }) else { return nil }
        self = model
    }

    /// A Pentium 4 with the first VT-x, for the software techniques too.
    ///
    /// By nanobenchmark, native, software and hardware monitor: syscall 242, 2308, 242; in 3209, a fifteenth, 15826;
    /// pgfault 1093, 3927, 11242; divzero 889, 3223, as native. A trap is what the software monitor adds to divzero, without
    /// the call-out for IRET, which is what `in` takes.
    public static let prescott = CostModel(
        name: "prescott",
        sources: [
            "Adams and Agesen, A Comparison of Software and Hardware Techniques for x86 Virtualization, ASPLOS 2006, "
                + "section 6.3 (Pentium 4 672)", agesen,
        ],
        cycles: [
            .systemCall: 121, .systemReturn: 121, .exception: 445, .interruptReturn: 444, .trap: 1060,
            .trapReturn: 1060, .systemCallTrap: 792, .pageFaultTrap: 1560, .callOut: 107, .callOutReturn: 107,
            .exit: 1982, .entry: 1981, .portExit: 13845, .pageTableExit: 8168, .hostReturn: 121, .hostCall: 121,
            .device: 3209,
        ], frequency: 3_800_000_000)

    private static let agesen =
        "Agesen, Mattson, Rugina and Sheldon, Software Techniques for Avoiding Hardware Virtualization Exits, "
        + "USENIX ATC 2012, table 1"

    /// Later processors, of which the round trip of a VM exit was published.
    private static let roundTrips: [(name: String, cycles: UInt64)] = [
        ("merom", 1579), ("penryn", 1266), ("nehalem", 1009), ("westmere", 761), ("sandyBridge", 784),
    ]

    private init(_ processor: (name: String, cycles: UInt64)) {
        name = processor.name
        sources = [Self.agesen]
        cycles = [.exit: processor.cycles / 2, .entry: processor.cycles - processor.cycles / 2]
        guard name == "nehalem" else { return }
        sources.append("Soares and Stumm, FlexSC, OSDI 2010, section 2.2 (Core i7)")
        cycles[.systemCall] = 79
        cycles[.systemReturn] = 71
    }

    /// An AMD server below KVM, where the host's kernel is the monitor: VMRUN to #VMEXIT, and the way of KVM_RUN before
    /// and behind it.
    public static let epyc = CostModel(
        name: "epyc",
        sources: ["Roth on the linux-kernel list, KVM: SVM: use vmsave/vmload, 17 December 2020, second measurement"],
        cycles: [.exit: 672, .entry: 672, .worldSwitch: 0, .hostReturn: 640, .hostCall: 560])
}

extension Technique {
    /// Whether the guest's kernel runs outside ring 0, so that it comes to its monitor by traps.
    fileprivate var isDeprivileging: Bool {
        switch self {
        case .trapAndEmulate, .translate, .paravirtual: true
        case .bare, .vmx, .svm: false
        }
    }
}

extension CostModel {
    /// What a change of level costs that the guest sees.
    func cost(of kind: TransitionKind) -> UInt64? {
        switch kind {
        case .exception, .externalInterrupt, .nonMaskableInterrupt, .softwareInterrupt: cycles[.exception]
        case .syscall, .sysenter: cycles[.systemCall]
        case .sysret, .sysexit: cycles[.systemReturn]
        case .iret: cycles[.interruptReturn]
        case .callGate, .farReturn, .taskSwitch, .farTransfer: nil
        }
    }

    /// What an exit costs, with what is done about it where that was measured.
    package func cost(ofExitFor reason: ExitReason, under technique: Technique) -> UInt64? {
        if technique.isDeprivileging {
            return switch reason {
            case .systemCall: cycles[.systemCallTrap] ?? cycles[.trap]
            case .pageTable: cycles[.pageFaultTrap] ?? cycles[.trap]
            case .exception, .interrupt: cycles[.trap]
            case _: technique == .translate ? cycles[.callOut] : cycles[.trap]
            }
        }
        switch reason {
        case .io: return cycles[.portExit] ?? cycles[.exit]
        case .pageTable: return cycles[.pageTableExit] ?? cycles[.exit]
        case _: return cycles[.exit]
        }
    }

    /// What it costs to let a guest go on that was left for a reason.
    func cost(ofEntryAfter reason: ExitReason?, under technique: Technique) -> UInt64? {
        guard technique.isDeprivileging else { return cycles[.entry] }
        switch reason {
        case .systemCall, .pageTable, .exception, .interrupt: return cycles[.trapReturn]
        case _: return technique == .translate ? cycles[.callOutReturn] : cycles[.trapReturn]
        }
    }

    func cost(of crossing: HostCrossing) -> UInt64? {
        switch crossing {
        case .toKernel, .fromKernel: cycles[.worldSwitch]
        case .toProcess: cycles[.hostReturn]
        case .fromProcess: cycles[.hostCall]
        }
    }

    /// What a transition costs.
    func cost(of transition: Transition) -> UInt64? {
        switch transition.mechanism {
        case .transfer(let cause): cost(of: cause.kind)
        case .exit: transition.exit.flatMap { cost(ofExitFor: $0.reason, under: transition.technique) }
        case .entry: cost(ofEntryAfter: transition.exit?.reason, under: transition.technique)
        case .host(let crossing): cost(of: crossing)
        }
    }
}
