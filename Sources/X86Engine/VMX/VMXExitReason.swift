import X86

/// Basic exit reasons (SDM volume 3 appendix C) that the claimed controls can produce.
package enum VMXExitReason: UInt32, CaseIterable, Sendable {
    case exceptionOrNMI = 0
    case externalInterrupt = 1
    case tripleFault = 2
    case initSignal = 3
    case startupIPI = 4
    case interruptWindow = 7
    case nmiWindow = 8
    case taskSwitch = 9
    case cpuid = 10
    case hlt = 12
    case invd = 13
    case invlpg = 14
    case rdpmc = 15
    case rdtsc = 16
    case vmcall = 18
    case vmclear = 19
    case vmlaunch = 20
    case vmptrld = 21
    case vmptrst = 22
    case vmread = 23
    case vmresume = 24
    case vmwrite = 25
    case vmxoff = 26
    case vmxon = 27
    case controlRegisterAccess = 28
    case movDR = 29
    case ioInstruction = 30
    case rdmsr = 31
    case wrmsr = 32
    case invalidGuestState = 33
    case msrLoading = 34
    case mwait = 36
    case monitorTrapFlag = 37
    case monitor = 39
    case pause = 40
    case tprBelowThreshold = 43
    case gdtrOrIDTRAccess = 46
    case ldtrOrTRAccess = 47
    case eptViolation = 48
    case eptMisconfiguration = 49
    case invept = 50
    case rdtscp = 51
    case preemptionTimer = 52
    case invvpid = 53
    case wbinvd = 54
    case xsetbv = 55
    case rdrand = 57
    case invpcid = 58
    case rdseed = 61
}

extension VMXExitReason {
    /// The reason for an instruction of an exit rule; nil for those that never leave a guest.
    init?(_ operation: Operation) {
        switch operation {
        case .cpuid: self = .cpuid
        case .hlt: self = .hlt
        case .invd: self = .invd
        case .rdpmc: self = .rdpmc
        case .rdtsc: self = .rdtsc
        case .rdtscp: self = .rdtscp
        case .vmcall: self = .vmcall
        case .vmclear: self = .vmclear
        case .vmlaunch: self = .vmlaunch
        case .vmptrld: self = .vmptrld
        case .vmptrst: self = .vmptrst
        case .vmread: self = .vmread
        case .vmresume: self = .vmresume
        case .vmwrite: self = .vmwrite
        case .vmxoff: self = .vmxoff
        case .vmxon: self = .vmxon
        case .mwait: self = .mwait
        case .monitor: self = .monitor
        case .pause: self = .pause
        case .lgdt, .lidt, .sgdt, .sidt: self = .gdtrOrIDTRAccess
        case .lldt, .ltr, .sldt, .str: self = .ldtrOrTRAccess
        case .invept: self = .invept
        case .invvpid: self = .invvpid
        case .wbinvd, .wbnoinvd: self = .wbinvd
        case .xsetbv: self = .xsetbv
        case .rdrand: self = .rdrand
        case .rdseed: self = .rdseed
        case .invpcid: self = .invpcid
        default: return nil
        }
    }
}
