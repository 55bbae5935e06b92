import X86

/// The registers in which CPUID answers.
package enum CPUIDRegister: UInt8, Sendable { case eax, ebx, ecx, edx }

/// The feature flags of CPUID that a model can claim (SDM volume 2, CPUID; APM volume 3 appendix E).
package enum ProcessorFeature: UInt8, CaseIterable, Sendable {
    // CPUID.01H:EDX
    case fpu, vme, de, pse, tsc, msr, pae, mce, cx8, apic, sep, mtrr, pge, mca, cmov, pat, pse36, clfsh, mmx, fxsr
    case sse, sse2, ss
    // CPUID.01H:ECX
    case sse3, monitor, vmx, ssse3, cx16, pcid, sse41, sse42, x2apic, movbe, popcnt, tscDeadline, xsave, rdrand
    case hypervisor
    // CPUID.06H:EAX
    case arat
    // CPUID.07H
    case fsgsbase, tscAdjust, bmi1, smep, bmi2, erms, invpcid, x87SelectorsDeprecated, rdseed, adx, smap, clflushopt
    case clwb, umip, rdpid, fsrm, speculationControl, singleThreadPredictors, archCapabilities, storeBypassDisable
    case branchHistoryControl
    // CPUID.0DH.1:EAX
    case xsaveopt, xsavec, xgetbv1, xsaves
    // CPUID.80000001H
    case lahf64, svm, cr8Legacy, lzcnt, prefetchw, syscall, nx, mmxext, page1GB, rdtscp, longMode
    // CPUID.80000007H, 80000008H, 80000021H
    case invariantTSC, wbnoinvd, lfenceSerializing, nullSelectorClearsBase

    /// Where CPUID shows the flag.
    package var place: (leaf: UInt32, subleaf: UInt32, register: CPUIDRegister, bit: UInt8) {
        switch self {
        case .fpu: (1, 0, .edx, 0)
        case .vme: (1, 0, .edx, 1)
        case .de: (1, 0, .edx, 2)
        case .pse: (1, 0, .edx, 3)
        case .tsc: (1, 0, .edx, 4)
        case .msr: (1, 0, .edx, 5)
        case .pae: (1, 0, .edx, 6)
        case .mce: (1, 0, .edx, 7)
        case .cx8: (1, 0, .edx, 8)
        case .apic: (1, 0, .edx, 9)
        case .sep: (1, 0, .edx, 11)
        case .mtrr: (1, 0, .edx, 12)
        case .pge: (1, 0, .edx, 13)
        case .mca: (1, 0, .edx, 14)
        case .cmov: (1, 0, .edx, 15)
        case .pat: (1, 0, .edx, 16)
        case .pse36: (1, 0, .edx, 17)
        case .clfsh: (1, 0, .edx, 19)
        case .mmx: (1, 0, .edx, 23)
        case .fxsr: (1, 0, .edx, 24)
        case .sse: (1, 0, .edx, 25)
        case .sse2: (1, 0, .edx, 26)
        case .ss: (1, 0, .edx, 27)
        case .sse3: (1, 0, .ecx, 0)
        case .monitor: (1, 0, .ecx, 3)
        case .vmx: (1, 0, .ecx, 5)
        case .ssse3: (1, 0, .ecx, 9)
        case .cx16: (1, 0, .ecx, 13)
        case .pcid: (1, 0, .ecx, 17)
        case .sse41: (1, 0, .ecx, 19)
        case .sse42: (1, 0, .ecx, 20)
        case .x2apic: (1, 0, .ecx, 21)
        case .movbe: (1, 0, .ecx, 22)
        case .popcnt: (1, 0, .ecx, 23)
        case .tscDeadline: (1, 0, .ecx, 24)
        case .xsave: (1, 0, .ecx, 26)
        case .rdrand: (1, 0, .ecx, 30)
        case .hypervisor: (1, 0, .ecx, 31)
        case .arat: (6, 0, .eax, 2)
        case .fsgsbase: (7, 0, .ebx, 0)
        case .tscAdjust: (7, 0, .ebx, 1)
        case .bmi1: (7, 0, .ebx, 3)
        case .smep: (7, 0, .ebx, 7)
        case .bmi2: (7, 0, .ebx, 8)
        case .erms: (7, 0, .ebx, 9)
        case .invpcid: (7, 0, .ebx, 10)
        case .x87SelectorsDeprecated: (7, 0, .ebx, 13)
        case .rdseed: (7, 0, .ebx, 18)
        case .adx: (7, 0, .ebx, 19)
        case .smap: (7, 0, .ebx, 20)
        case .clflushopt: (7, 0, .ebx, 23)
        case .clwb: (7, 0, .ebx, 24)
        case .umip: (7, 0, .ecx, 2)
        case .rdpid: (7, 0, .ecx, 22)
        case .fsrm: (7, 0, .edx, 4)
        case .speculationControl: (7, 0, .edx, 26)
        case .singleThreadPredictors: (7, 0, .edx, 27)
        case .archCapabilities: (7, 0, .edx, 29)
        case .storeBypassDisable: (7, 0, .edx, 31)
        case .branchHistoryControl: (7, 2, .edx, 4)
        case .xsaveopt: (0xD, 1, .eax, 0)
        case .xsavec: (0xD, 1, .eax, 1)
        case .xgetbv1: (0xD, 1, .eax, 2)
        case .xsaves: (0xD, 1, .eax, 3)
        case .lahf64: (0x8000_0001, 0, .ecx, 0)
        case .svm: (0x8000_0001, 0, .ecx, 2)
        case .cr8Legacy: (0x8000_0001, 0, .ecx, 4)
        case .lzcnt: (0x8000_0001, 0, .ecx, 5)
        case .prefetchw: (0x8000_0001, 0, .ecx, 8)
        case .syscall: (0x8000_0001, 0, .edx, 11)
        case .nx: (0x8000_0001, 0, .edx, 20)
        case .mmxext: (0x8000_0001, 0, .edx, 22)
        case .page1GB: (0x8000_0001, 0, .edx, 26)
        case .rdtscp: (0x8000_0001, 0, .edx, 27)
        case .longMode: (0x8000_0001, 0, .edx, 29)
        case .invariantTSC: (0x8000_0007, 0, .edx, 8)
        case .wbnoinvd: (0x8000_0008, 0, .ebx, 9)
        case .lfenceSerializing: (0x8000_0021, 0, .eax, 2)
        case .nullSelectorClearsBase: (0x8000_0021, 0, .eax, 6)
        }
    }

    /// The features without which this one cannot be claimed.
    package var requirements: FeatureSet {
        switch self {
        case .longMode: [.pae, .msr, .nx, .fxsr, .sse2, .cx8, .cmov, .pge]
        case .pcid, .page1GB, .syscall, .fsgsbase, .cx16, .lahf64: [.longMode]
        case .invpcid: [.pcid]
        case .nx: [.pae]
        case .sse: [.fxsr]
        case .sse2: [.sse]
        case .sse3: [.sse2]
        case .ssse3: [.sse3]
        case .sse41: [.ssse3]
        case .sse42: [.sse41]
        case .xsave: [.fxsr]
        case .xsaveopt, .xsavec, .xgetbv1: [.xsave]
        case .xsaves: [.xsavec]
        case .tscDeadline, .tscAdjust, .invariantTSC, .rdtscp, .rdpid: [.tsc, .msr]
        case .mca: [.mce]
        case .x2apic: [.apic, .msr]
        case .vmx, .svm: [.longMode, .pat]
        case .mce, .mtrr, .pat, .sep, .speculationControl, .archCapabilities: [.msr]
        case .singleThreadPredictors, .storeBypassDisable, .branchHistoryControl: [.speculationControl]
        default: []
        }
    }
}

/// A set of features, as bits.
package struct FeatureSet: Equatable, Sendable, ExpressibleByArrayLiteral {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    package init() {}
    package init(arrayLiteral elements: ProcessorFeature...) { elements.forEach { insert($0) } }

    /// Every feature whose behaviour this engine has; nothing else can be claimed.
    package static let implemented: FeatureSet = {
        var set = FeatureSet()
        for feature in ProcessorFeature.allCases { set.insert(feature) }
        // MONITOR and MOV CR0 with LOCK for CR8 are not there.
        for feature: ProcessorFeature in [.monitor, .cr8Legacy] { set.remove(feature) }
        return set
    }()

    @inline(__always)
    package func contains(_ feature: ProcessorFeature) -> Bool {
        let bit = feature.rawValue
        return (bit < 64 ? low >> UInt64(bit) : high >> UInt64(bit & 63)) & 1 != 0
    }

    package mutating func insert(_ feature: ProcessorFeature) {
        let bit = UInt64(feature.rawValue & 63)
        if feature.rawValue < 64 { low |= 1 << bit } else { high |= 1 << bit }
    }

    package mutating func remove(_ feature: ProcessorFeature) {
        let bit = UInt64(feature.rawValue & 63)
        if feature.rawValue < 64 { low &= ~(1 << bit) } else { high &= ~(1 << bit) }
    }

    /// The features of either set.
    package func union(_ other: FeatureSet) -> FeatureSet {
        var set = self
        set.low |= other.low
        set.high |= other.high
        return set
    }

    /// The features of this set that the other does not have.
    package func subtracting(_ other: FeatureSet) -> FeatureSet {
        var set = self
        set.low &= ~other.low
        set.high &= ~other.high
        return set
    }

    /// The features in the order of their declaration.
    package var members: [ProcessorFeature] { ProcessorFeature.allCases.filter { contains($0) } }
}

extension InstructionFeature {
    /// The features any of which makes the instruction available; empty for what every processor has.
    package var enabledBy: FeatureSet {
        switch self {
        case .base, .prefetchw, .cet: []
        case .fpu: [.fpu]
        case .cmov: [.cmov]
        case .cx8: [.cx8]
        case .cx16: [.cx16]
        case .mmx: [.mmx]
        case .mmxext: [.sse, .mmxext]
        case .sse: [.sse]
        case .sse2: [.sse2]
        case .sse3: [.sse3]
        case .ssse3: [.ssse3]
        case .sse41: [.sse41]
        case .sse42: [.sse42]
        case .popcnt: [.popcnt]
        case .lzcnt: [.lzcnt]
        case .bmi1: [.bmi1]
        case .bmi2: [.bmi2]
        case .adx: [.adx]
        case .movbe: [.movbe]
        case .fxsr: [.fxsr]
        case .xsave: [.xsave]
        case .xsavec: [.xsavec]
        case .xsaveopt: [.xsaveopt]
        case .xsaves: [.xsaves]
        case .rdtscp: [.rdtscp]
        case .rdrand: [.rdrand]
        case .rdseed: [.rdseed]
        case .fsgsbase: [.fsgsbase]
        case .rdpid: [.rdpid]
        case .clflush: [.clfsh]
        case .clflushopt: [.clflushopt]
        case .clwb: [.clwb]
        case .sep: [.sep]
        case .syscall: [.syscall]
        case .invpcid: [.invpcid]
        case .smap: [.smap]
        case .monitor: [.monitor]
        case .longMode: [.longMode]
        case .vmx: [.vmx]
        case .svm: [.svm]
        case .wbnoinvd: [.wbnoinvd]
        }
    }
}
