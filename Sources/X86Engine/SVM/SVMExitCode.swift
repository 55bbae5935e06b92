import X86

/// The exit codes of APM volume 2 appendix C that the models of this engine can produce.
///
/// Codes up to 0BFH are the numbers of the bits in the VMCB's intercept vectors that ask for them.
package struct SVMExitCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static func readControlRegister(_ number: UInt8) -> SVMExitCode { .init(rawValue: UInt64(number & 15)) }
    package static func writeControlRegister(_ number: UInt8) -> SVMExitCode {
        .init(rawValue: 0x10 | UInt64(number & 15))
    }
    package static func readDebugRegister(_ number: UInt8) -> SVMExitCode {
        .init(rawValue: 0x20 | UInt64(number & 15))
    }
    package static func writeDebugRegister(_ number: UInt8) -> SVMExitCode {
        .init(rawValue: 0x30 | UInt64(number & 15))
    }
    package static func exception(_ vector: UInt8) -> SVMExitCode { .init(rawValue: 0x40 | UInt64(vector & 31)) }

    private init(_ intercept: SVMIntercept) { rawValue = intercept.rawValue }
    package static func intercept(_ intercept: SVMIntercept) -> SVMExitCode { .init(intercept) }

    /// NPF.
    package static let nestedPageFault = SVMExitCode(rawValue: 0x400)
    package static let invalid = SVMExitCode(rawValue: .max)

    /// As in `write of CR3`, `#PF`, `cpuid`, `nested page fault`.
    package var description: String {
        switch rawValue {
        case 0x00...0x0F: "read of CR\(rawValue)"
        case 0x10...0x1F: "write of CR\(rawValue & 15)"
        case 0x20...0x2F: "read of DR\(rawValue & 15)"
        case 0x30...0x3F: "write of DR\(rawValue & 15)"
        case 0x40...0x5F: Fault(vector: UInt8(rawValue & 31)).name
        case Self.nestedPageFault.rawValue: "nested page fault"
        case Self.invalid.rawValue: "invalid VMCB"
        default: SVMIntercept(rawValue: rawValue).map { "\($0)" } ?? "0x" + String(rawValue, radix: 16)
        }
    }
}

/// The bits of intercept vectors 3 to 5 that mean something here, numbered through all vectors, which is their exit code.
package enum SVMIntercept: UInt64, CaseIterable, Sendable {
    case interrupt = 0x60
    case nonMaskableInterrupt = 0x61
    /// No system management mode is there to interrupt.
    case systemManagementInterrupt = 0x62
    case initialize = 0x63
    case virtualInterrupt = 0x64
    case selectiveCR0Write = 0x65
    case idtrRead = 0x66
    case gdtrRead = 0x67
    case ldtrRead = 0x68
    case trRead = 0x69
    case idtrWrite = 0x6A
    case gdtrWrite = 0x6B
    case ldtrWrite = 0x6C
    case trWrite = 0x6D
    case rdtsc = 0x6E
    case rdpmc = 0x6F
    case pushf = 0x70
    case popf = 0x71
    case cpuid = 0x72
    case rsm = 0x73
    case iret = 0x74
    case softwareInterrupt = 0x75
    case invd = 0x76
    case pause = 0x77
    case hlt = 0x78
    case invlpg = 0x79
    case invlpga = 0x7A
    case port = 0x7B
    case modelSpecificRegister = 0x7C
    case taskSwitch = 0x7D
    /// Never comes: the processor goes on after FERR#, as with IGNNE# asserted.
    case ferrFreeze = 0x7E
    case shutdown = 0x7F
    case vmrun = 0x80
    case vmmcall = 0x81
    case vmload = 0x82
    case vmsave = 0x83
    case stgi = 0x84
    case clgi = 0x85
    case skinit = 0x86
    case rdtscp = 0x87
    case icebp = 0x88
    case wbinvd = 0x89
    case monitor = 0x8A
    case mwait = 0x8B
    case mwaitArmed = 0x8C
    case xsetbv = 0x8D
    case invpcid = 0xA2
}

/// Faults that come before an instruction's intercept (APM volume 2 table 15-7).
enum SVMPrecedence {
    case none
    /// #GP(0) outside ring 0.
    case privilege
    /// #GP(0) by CR4.UMIP.
    case userModeInstructionPrevention
    /// #GP(0) by CR4.TSD.
    case timeStampDisable
    /// #GP(0) by CR4.PCE.
    case performanceCounterEnable
    /// #UD without EFER.SVME, then #GP(0) outside ring 0.
    case enabledAndPrivileged
    /// #UD without CR4.OSXSAVE.
    case extendedStateEnable
}

/// An instruction that an intercept of its own can take out of a guest.
struct SVMInstruction: Sendable {
    var operation: Operation
    var code: SVMExitCode
    var precedence: SVMPrecedence

    // swift-format-ignore
    /// What table 15-7 says, but for accesses to control and debug registers, ports and MSRs.
    static let all: [SVMInstruction] = [
        .init(.smsw,     .readControlRegister(0),        .userModeInstructionPrevention),
        .init(.sidt,     .intercept(.idtrRead),          .userModeInstructionPrevention),
        .init(.sgdt,     .intercept(.gdtrRead),          .userModeInstructionPrevention),
        .init(.sldt,     .intercept(.ldtrRead),          .userModeInstructionPrevention),
        .init(.str,      .intercept(.trRead),            .userModeInstructionPrevention),
        .init(.lidt,     .intercept(.idtrWrite),         .privilege),
        .init(.lgdt,     .intercept(.gdtrWrite),         .privilege),
        .init(.lldt,     .intercept(.ldtrWrite),         .privilege),
        .init(.ltr,      .intercept(.trWrite),           .privilege),
        .init(.rdtsc,    .intercept(.rdtsc),             .timeStampDisable),
        .init(.rdtscp,   .intercept(.rdtscp),            .timeStampDisable),
        .init(.rdpmc,    .intercept(.rdpmc),             .performanceCounterEnable),
        .init(.pushf,    .intercept(.pushf),             .none),
        .init(.popf,     .intercept(.popf),              .none),
        .init(.cpuid,    .intercept(.cpuid),             .none),
        .init(.rsm,      .intercept(.rsm),               .none),
        .init(.iret,     .intercept(.iret),              .none),
        .init(.int,      .intercept(.softwareInterrupt), .none),
        .init(.int1,     .intercept(.icebp),             .none),
        .init(.invd,     .intercept(.invd),              .privilege),
        .init(.wbinvd,   .intercept(.wbinvd),            .privilege),
        .init(.wbnoinvd, .intercept(.wbinvd),            .privilege),
        .init(.pause,    .intercept(.pause),             .none),
        .init(.hlt,      .intercept(.hlt),               .privilege),
        .init(.invlpg,   .intercept(.invlpg),            .privilege),
        .init(.invpcid,  .intercept(.invpcid),           .privilege),
        .init(.monitor,  .intercept(.monitor),           .privilege),
        .init(.mwait,    .intercept(.mwait),             .privilege),
        .init(.xsetbv,   .intercept(.xsetbv),            .extendedStateEnable),
        .init(.vmmcall,  .intercept(.vmmcall),           .none),
        .init(.vmrun,    .intercept(.vmrun),             .enabledAndPrivileged),
        .init(.vmload,   .intercept(.vmload),            .enabledAndPrivileged),
        .init(.vmsave,   .intercept(.vmsave),            .enabledAndPrivileged),
        .init(.stgi,     .intercept(.stgi),              .enabledAndPrivileged),
        .init(.clgi,     .intercept(.clgi),              .enabledAndPrivileged),
        .init(.invlpga,  .intercept(.invlpga),           .enabledAndPrivileged),
    ]

    private init(_ operation: Operation, _ code: SVMExitCode, _ precedence: SVMPrecedence) {
        self.operation = operation
        self.code = code
        self.precedence = precedence
    }

    private static let byOperation: [SVMInstruction?] = {
        let last = all.map(\.operation.rawValue).max() ?? 0
        var entries = [SVMInstruction?](repeating: nil, count: Int(last) + 1)
        for entry in all { entries[Int(entry.operation.rawValue)] = entry }
        return entries
    }()

    /// The entry of an operation; nil if no intercept names it.
    static func entry(_ operation: Operation) -> SVMInstruction? {
        let index = Int(operation.rawValue)
        return index < byOperation.count ? byOperation[index] : nil
    }
}
