import VirtualMachine
import X86Engine

/// SVM's numbers in the manual's words.
///
/// APM vol. 2 appendix C, sections 15.7 to 15.12 and 15.25.6.
enum SVMWords {
    private static let intercepts: [SVMIntercept: String] = [
        .interrupt: "INTR", .nonMaskableInterrupt: "NMI", .systemManagementInterrupt: "SMI", .initialize: "INIT",
        .virtualInterrupt: "VINTR", .selectiveCR0Write: "CR0_SEL_WRITE", .idtrRead: "IDTR_READ",
        .gdtrRead: "GDTR_READ", .ldtrRead: "LDTR_READ", .trRead: "TR_READ", .idtrWrite: "IDTR_WRITE",
        .gdtrWrite: "GDTR_WRITE", .ldtrWrite: "LDTR_WRITE", .trWrite: "TR_WRITE", .softwareInterrupt: "SWINT",
        .port: "IOIO", .modelSpecificRegister: "MSR", .taskSwitch: "TASK_SWITCH", .ferrFreeze: "FERR_FREEZE",
        .mwaitArmed: "MWAIT_CONDITIONAL",
    ]

    /// What the manual calls an exit code, without `VMEXIT_`.
    static func reason(_ code: UInt64) -> String {
        switch code {
        case 0x00...0x0F: return "CR\(code)_READ"
        case 0x10...0x1F: return "CR\(code & 15)_WRITE"
        case 0x20...0x2F: return "DR\(code & 15)_READ"
        case 0x30...0x3F: return "DR\(code & 15)_WRITE"
        case 0x40...0x5F: return "EXCP\(code & 31) \(ExceptionName.short(UInt8(code & 31)))"
        case SVMExitCode.nestedPageFault.rawValue: return "NPF"
        case SVMExitCode.invalid.rawValue: return "INVALID"
        case _: break
        }
        guard let intercept = SVMIntercept(rawValue: code) else { return Numbers.hex(code) }
        return intercepts[intercept] ?? "\(intercept)".uppercased()
    }

    /// EXITINFO1 in words; empty where it says nothing by itself.
    static func information1(_ value: UInt64, code: UInt64, of guest: DebuggedGuest) -> String {
        switch code {
        case SVMIntercept.port.rawValue: return port(value)
        case SVMIntercept.modelSpecificRegister.rawValue: return value & 1 != 0 ? "wrmsr" : "rdmsr"
        // The error code (APM vol. 2 section 15.12.15), in which not every guest's fetches are told from reads.
        case 0x4E: return guest.words(ofPageFault: UInt32(truncatingIfNeeded: value))
        case SVMExitCode.nestedPageFault.rawValue:
            let stage = value >> 33 & 1 != 0 ? ", on the way through the guest's page tables" : ""
            return PageFaultWords.text(UInt32(truncatingIfNeeded: value)) + stage
        case 0x00...0x1F where value >> 63 != 0:
            let register = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"]
            let number = Int(value & 15)
            let name = number < 8 ? register[number] : "r\(number)"
            return code < 0x10 ? "mov \(name), cr\(code)" : "mov cr\(code & 15), \(name)"
        case _: return ""
        }
    }

    /// EXITINFO2 in words.
    static func information2(_ value: UInt64, code: UInt64) -> String {
        switch code {
        case SVMIntercept.port.rawValue: "the instruction after it"
        case 0x4E: "the address"
        case SVMExitCode.nestedPageFault.rawValue: "the guest-physical address"
        case _: ""
        }
    }

    /// EXITINFO1 of IN and OUT.
    ///
    /// APM vol. 2 section 15.10.2.
    private static func port(_ value: UInt64) -> String {
        let size = value >> 5 & 1 != 0 ? 2 : value >> 6 & 1 != 0 ? 4 : 1
        var words = [value & 1 != 0 ? "in" : "out", "\(size) byte\(size == 1 ? "" : "s")"]
        if value >> 2 & 1 != 0 { words.append("string") }
        if value >> 3 & 1 != 0 { words.append("rep") }
        words.append("port \(Numbers.hex(value >> 16 & 0xFFFF))")
        return words.joined(separator: ", ")
    }

    /// The intercepts that a vector has set; vectors are numbered from 0.
    static func intercepts(_ value: UInt64, vector: UInt64) -> String {
        (UInt64(0)..<32).filter { value >> $0 & 1 != 0 }.map { reason(vector << 5 | $0) }.joined(separator: " ")
    }

    /// EVENTINJ and EXITINTINFO.
    ///
    /// APM vol. 2 section 15.20.
    static func event(_ value: UInt64) -> String {
        guard value >> 31 & 1 != 0 else { return "none" }
        let kinds = ["INTR", "type 1", "NMI", "exception", "INTn", "type 5", "type 6", "type 7"]
        let kind = Int(value >> 8 & 7)
        let vector = UInt8(truncatingIfNeeded: value)
        return "\(kinds[kind]) \(kind == 3 ? ExceptionName.short(vector) : Numbers.hex(vector))"
            + (value >> 11 & 1 != 0 ? ", error code \(Numbers.hex(value >> 32))" : "")
    }
}
