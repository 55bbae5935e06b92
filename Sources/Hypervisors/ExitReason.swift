import X86
import X86Engine

/// Why a guest was left for its monitor, in words that all techniques share.
///
/// The manuals' own numbers stand beside it: the basic exit reason (SDM volume 3 appendix C), the exit code (APM volume 2
/// appendix C), or the vector by which deprivileged code entered ring 0.
public enum ExitReason: Int, CaseIterable, Sendable {
    /// A page fault that shadow page tables are answerable for, or a violation of nested ones.
    case pageTable
    /// Any other exception.
    case exception
    /// An interrupt or another event that is due.
    case interrupt
    /// Interrupts or NMIs can be delivered from now on.
    case window
    /// SYSCALL, SYSENTER or an interrupt instruction.
    case systemCall
    /// IRET, SYSRET, SYSEXIT or a far return.
    case systemReturn
    /// A far jump or call, or a load of a segment register.
    case segment
    /// CLI, STI, PUSHF, POPF, CLAC, STAC.
    case flags
    /// IN, OUT, INS, OUTS.
    case io
    case cpuid, hlt
    /// VMCALL or VMMCALL.
    case hypercall
    /// An access to CR0, CR2, CR3, CR4 or CR8, CLTS, LMSW or SMSW.
    case controlRegister
    case debugRegister
    /// RDMSR or WRMSR.
    case msr
    /// An instruction on GDTR, IDTR, LDTR or TR, or one that reads a descriptor.
    case descriptorTable
    /// INVLPG, INVPCID, INVLPGA.
    case invalidation
    /// RDTSC, RDTSCP, RDPMC, RDPID.
    case time
    /// PAUSE, MONITOR, MWAIT.
    case pause
    /// INVD, WBINVD, WBNOINVD.
    case cache
    /// RDRAND, RDSEED.
    case random
    /// XSETBV, XGETBV and the instructions on FS and GS bases.
    case extendedState
    /// An instruction of VMX or SVM other than the hypercall.
    case virtualization
    case taskSwitch, tripleFault
    /// The VMX-preemption timer.
    case timer
    /// The monitor trap flag.
    case trap
    /// TPR below its threshold.
    case taskPriority
    /// INIT, SIPI, SMI or NMI.
    case signal
    /// The guest's state is one that VM entry refuses.
    case invalidState
    /// Translated code goes where no translation is linked yet.
    case branch
    /// Code in a mode that the monitor interprets.
    case emulation
    /// Any other instruction.
    case instruction

    /// The case's name.
    public var name: String { Self.names[rawValue] }
    /// By raw value, made once: a name that is found by reflection costs as much as the exit.
    private static let names = allCases.map { "\($0)" }

    /// The reason of a name; nil if there is none.
    public init?(named name: String) {
        guard let index = Self.names.firstIndex(of: name) else { return nil }
        self = Self.allCases[index]
    }

    private static let operations: [(ExitReason, [Operation])] = [
        (.systemCall, [.syscall, .sysenter, .int, .int3, .int1, .into]),
        (.systemReturn, [.iret, .sysret, .sysexit, .retFar]),
        (.segment, [.callFar, .jmpFar, .lds, .les, .lfs, .lgs, .lss, .swapgs]),
        (.flags, [.cli, .sti, .pushf, .popf, .clac, .stac]),
        (.io, [.in, .out, .ins, .outs]), (.cpuid, [.cpuid]), (.hlt, [.hlt]), (.hypercall, [.vmcall, .vmmcall]),
        (.controlRegister, [.clts, .lmsw, .smsw]), (.msr, [.rdmsr, .wrmsr]),
        (.descriptorTable, [.lgdt, .sgdt, .lidt, .sidt, .lldt, .sldt, .ltr, .str, .lar, .lsl, .verr, .verw]),
        (.invalidation, [.invlpg, .invpcid, .invlpga]), (.time, [.rdtsc, .rdtscp, .rdpmc, .rdpid]),
        (.pause, [.pause, .monitor, .mwait]), (.cache, [.invd, .wbinvd, .wbnoinvd]), (.random, [.rdrand, .rdseed]),
        (.extendedState, [.xsetbv, .xgetbv, .rdfsbase, .rdgsbase, .wrfsbase, .wrgsbase]),
        (
            .virtualization,
            [
                .vmclear, .vmlaunch, .vmresume, .vmptrld, .vmptrst, .vmread, .vmwrite, .vmxoff, .vmxon, .vmfunc,
                .invept, .invvpid, .vmrun, .vmload, .vmsave, .stgi, .clgi, .skinit,
            ]
        ),
    ]

    /// The reasons by the operations' raw values.
    private static let byOperation: [ExitReason] = {
        let count = (Operation.allCases.map { Int($0.rawValue) }.max() ?? 0) + 1
        var reasons = [ExitReason](repeating: .instruction, count: count)
        for (reason, operations) in operations {
            for operation in operations { reasons[Int(operation.rawValue)] = reason }
        }
        return reasons
    }()

    /// The reason for an instruction that comes to the monitor.
    package init(_ instruction: Instruction) {
        // What moves a control, debug or segment register has an operation of its own only where it is its only use.
        self =
            Self.reason(for: instruction.operands.0) ?? Self.reason(for: instruction.operands.1)
            ?? Self.byOperation[Int(instruction.operation.rawValue)]
    }

    /// The reason for an instruction with a register among its operands.
    private static func reason(for operand: Operand) -> ExitReason? {
        guard operand.kind == .register else { return nil }
        switch operand.register.class {
        case .control: return .controlRegister
        case .debug: return .debugRegister
        case .segment: return .segment
        case .general64, .general32, .general16, .general8, .general8High, .x87, .mmx, .xmm, .instructionPointer, .none:
            return nil
        }
    }

    /// Whether an instruction of the guest's is what left it, and can be answered for.
    package var isInstruction: Bool {
        switch self {
        case .systemCall, .systemReturn, .segment, .flags, .io, .cpuid, .hlt, .hypercall, .controlRegister,
            .debugRegister, .msr, .descriptorTable, .invalidation, .time, .pause, .cache, .random, .extendedState,
            .virtualization, .instruction:
            true
        case .pageTable, .exception, .interrupt, .window, .taskSwitch, .tripleFault, .timer, .trap, .taskPriority,
            .signal, .invalidState, .branch, .emulation:
            false
        }
    }

    /// The reason for an exit that the processor has found.
    package init(_ cause: ExitCause) {
        switch cause {
        case .exception(let fault, let source):
            switch source {
            case .exception: self = fault.vector == 14 ? .pageTable : .exception
            case .externalInterrupt: self = .interrupt
            case .nonMaskableInterrupt: self = .signal
            case .softwareInterrupt, .softwareException, .privilegedSoftwareException: self = .systemCall
            }
        case .externalInterrupt: self = .interrupt
        case .nonMaskableInterrupt, .initialize, .startUp: self = .signal
        case .interruptWindow, .nonMaskableInterruptWindow: self = .window
        case .taskSwitch: self = .taskSwitch
        case .tripleFault: self = .tripleFault
        case .instruction(let instruction): self.init(instruction)
        case .invalidatePage: self = .invalidation
        case .controlRegister: self = .controlRegister
        case .debugRegister: self = .debugRegister
        case .port: self = .io
        case .readModelSpecificRegister, .writeModelSpecificRegister: self = .msr
        case .secondLevel: self = .pageTable
        case .preemptionTimer: self = .timer
        case .monitorTrap: self = .trap
        case .taskPriorityBelowThreshold: self = .taskPriority
        case .invalidControls, .invalidGuestState, .entryMSRLoadFailure, .invalidVMCB: self = .invalidState
        }
    }
}

/// How often a guest was left and entered, by its level and the reason.
package struct CrossingCounters: Equatable, Sendable {
    private var exits = [UInt64](repeating: 0, count: 4 * ExitReason.allCases.count)
    private var entries = [UInt64](repeating: 0, count: 4 * ExitReason.allCases.count)

    package init() {}

    /// All counts, for snapshots.
    package var words: [UInt64] { exits + entries }

    /// Counts that a snapshot holds; nil if there are too many or too few.
    package init?(words: [UInt64]) {
        guard words.count == exits.count + entries.count else { return nil }
        (exits, entries) = (Array(words[..<exits.count]), Array(words[exits.count...]))
    }

    /// Counts an exit from a ring, as the guest sees it.
    package mutating func countExit(from ring: UInt8, _ reason: ExitReason) {
        exits[reason.rawValue << 2 | Int(ring & 3)] &+= 1
    }

    /// Counts an entry to a ring after an exit for a reason.
    package mutating func countEntry(to ring: UInt8, after reason: ExitReason) {
        entries[reason.rawValue << 2 | Int(ring & 3)] &+= 1
    }

    /// What was counted since.
    package func since(_ earlier: CrossingCounters) -> CrossingCounters {
        var difference = self
        for index in exits.indices { difference.exits[index] &-= earlier.exits[index] }
        for index in entries.indices { difference.entries[index] &-= earlier.entries[index] }
        return difference
    }

    /// Exits from a ring for a reason; nil stands for any.
    package func exits(from ring: UInt8? = nil, _ reason: ExitReason? = nil) -> UInt64 { Self.sum(exits, ring, reason) }

    /// Entries to a ring after an exit for a reason; nil stands for any.
    package func entries(to ring: UInt8? = nil, after reason: ExitReason? = nil) -> UInt64 {
        Self.sum(entries, ring, reason)
    }

    private static func sum(_ counts: [UInt64], _ ring: UInt8?, _ reason: ExitReason?) -> UInt64 {
        var sum: UInt64 = 0
        for (index, count) in counts.enumerated() {
            guard ring.map({ Int($0) == index & 3 }) ?? true, reason.map({ $0.rawValue == index >> 2 }) ?? true
            else { continue }
            sum &+= count
        }
        return sum
    }
}
