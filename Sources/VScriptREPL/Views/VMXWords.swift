import VirtualMachine
import X86Engine

/// VMX's numbers in the manual's words.
///
/// SDM vol. 3 appendix C, sections 25.6 to 25.8 and 28.2.1.
enum VMXWords {
    private static let reasons: [VMXExitReason: String] = [
        .exceptionOrNMI: "exception or NMI", .externalInterrupt: "external interrupt", .tripleFault: "triple fault",
        .initSignal: "INIT signal", .startupIPI: "start-up IPI", .interruptWindow: "interrupt window",
        .nmiWindow: "NMI window", .taskSwitch: "task switch", .controlRegisterAccess: "control-register access",
        .movDR: "MOV DR", .ioInstruction: "I/O instruction",
        .invalidGuestState: "VM-entry failure, invalid guest state", .msrLoading: "VM-entry failure, MSR loading",
        .monitorTrapFlag: "monitor trap flag", .tprBelowThreshold: "TPR below threshold",
        .gdtrOrIDTRAccess: "access to GDTR or IDTR", .ldtrOrTRAccess: "access to LDTR or TR",
        .eptViolation: "EPT violation", .eptMisconfiguration: "EPT misconfiguration",
        .preemptionTimer: "VMX-preemption timer expired",
    ]

    /// What the manual calls a basic exit reason; instructions have their own names.
    static func reason(_ number: UInt32) -> String {
        guard let reason = VMXExitReason(rawValue: number & 0xFFFF) else { return "reason \(number & 0xFFFF)" }
        return reasons[reason] ?? "\(reason)".uppercased()
    }

    /// An exit qualification; empty where the reason has none that says something.
    static func qualification(_ value: UInt64, reason: UInt32) -> String {
        switch VMXExitReason(rawValue: reason) {
        case .ioInstruction: return port(value)
        case .controlRegisterAccess:
            let register = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"]
            let number = Int(value >> 8 & 15)
            let name = number < 8 ? register[number] : "r\(number)"
            switch value >> 4 & 3 {
            case 0: return "mov cr\(value & 15), \(name)"
            case 1: return "mov \(name), cr\(value & 15)"
            case 2: return "clts"
            case _: return "lmsw \(Numbers.hex(value >> 16 & 0xFFFF))"
            }
        case .movDR: return "DR\(value & 7), " + (value >> 4 & 1 != 0 ? "read" : "written")
        case .eptViolation:
            let access = value & 4 != 0 ? "instruction fetch" : value & 2 != 0 ? "write" : "read"
            let allowed = zip(["r", "w", "x"], 3...5).map { value >> UInt64($1) & 1 != 0 ? $0 : "-" }.joined()
            return "\(access), the entry allows \(allowed)"
        case .invlpg: return "address \(Numbers.hex(value))"
        case _: return ""
        }
    }

    /// The qualification of an I/O instruction.
    ///
    /// SDM vol. 3 table 28-5.
    private static func port(_ value: UInt64) -> String {
        let size = (value & 7) + 1
        var words = [value >> 3 & 1 != 0 ? "in" : "out", "\(size) byte\(size == 1 ? "" : "s")"]
        if value >> 4 & 1 != 0 { words.append("string") }
        if value >> 5 & 1 != 0 { words.append("rep") }
        words.append("port \(Numbers.hex(value >> 16 & 0xFFFF))")
        words.append(value >> 6 & 1 != 0 ? "immediate" : "dx")
        return words.joined(separator: ", ")
    }

    /// The bits of a control register that are set.
    static func bits(_ register: String, _ value: UInt64) -> String {
        (RegisterBits.all[register] ?? []).filter { value & $0.mask == $0.mask }.map(\.name).joined(separator: " ")
    }

    /// An interruption-information field.
    static func interruption(_ value: UInt64) -> String {
        guard value >> 31 & 1 != 0 else { return "none" }
        let kinds = [
            "external interrupt", "reserved", "NMI", "exception", "software interrupt", "privileged software exception",
            "software exception", "other event",
        ]
        let vector = UInt8(truncatingIfNeeded: value)
        let name = value >> 8 & 7 == 3 ? ExceptionName.short(vector) : Numbers.hex(vector)
        return "\(kinds[Int(value >> 8 & 7)]) \(name)" + (value >> 11 & 1 != 0 ? ", with error code" : "")
    }

    /// The controls that are set.
    static func controls(_ field: VMCSField, _ value: UInt64) -> String {
        (controlBits[field] ?? []).filter { value >> UInt64($0.bit) & 1 != 0 }.map(\.name).joined(separator: ", ")
    }

    private static let controlBits: [VMCSField: [(bit: Int, name: String)]] = [
        .pinBasedControls: [
            (0, "external-interrupt exiting"), (3, "NMI exiting"), (5, "virtual NMIs"), (6, "preemption timer"),
        ],
        .primaryControls: [
            (2, "interrupt-window exiting"), (3, "TSC offsetting"), (7, "HLT exiting"), (9, "INVLPG exiting"),
            (10, "MWAIT exiting"), (11, "RDPMC exiting"), (12, "RDTSC exiting"), (15, "CR3-load exiting"),
            (16, "CR3-store exiting"), (19, "CR8-load exiting"), (20, "CR8-store exiting"), (21, "TPR shadow"),
            (22, "NMI-window exiting"), (23, "MOV-DR exiting"), (24, "unconditional I/O exiting"), (25, "I/O bitmaps"),
            (27, "monitor trap flag"), (28, "MSR bitmaps"), (29, "MONITOR exiting"), (30, "PAUSE exiting"),
            (31, "secondary controls"),
        ],
        .secondaryControls: [
            (1, "EPT"), (2, "descriptor-table exiting"), (3, "RDTSCP"), (5, "VPID"), (6, "WBINVD exiting"),
            (7, "unrestricted guest"), (10, "PAUSE-loop exiting"), (11, "RDRAND exiting"), (12, "INVPCID"),
            (16, "RDSEED exiting"), (20, "XSAVES"), (25, "TSC scaling"),
        ],
        .exitControls: [
            (2, "save debug controls"), (9, "host address-space size"), (15, "acknowledge interrupt on exit"),
            (18, "save PAT"), (19, "load PAT"), (20, "save EFER"), (21, "load EFER"), (22, "save preemption timer"),
        ],
        .entryControls: [
            (2, "load debug controls"), (9, "IA-32e mode guest"), (10, "entry to SMM"), (14, "load PAT"),
            (15, "load EFER"),
        ],
    ]
}
