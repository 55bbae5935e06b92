import X86

/// The four registers of a CPUID answer.
package struct CPUIDResult: Hashable, Sendable {
    package var eax: UInt32
    package var ebx: UInt32
    package var ecx: UInt32
    package var edx: UInt32

    package init(eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0) {
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
    }

    /// One of the four.
    package subscript(register: CPUIDRegister) -> UInt32 {
        get {
            switch register {
            case .eax: eax
            case .ebx: ebx
            case .ecx: ecx
            case .edx: edx
            }
        }
        set {
            switch register {
            case .eax: eax = newValue
            case .ebx: ebx = newValue
            case .ecx: ecx = newValue
            case .edx: edx = newValue
            }
        }
    }
}

/// A CPUID leaf with its subleaf.
package struct CPUIDLeaf: Hashable, Sendable {
    package var leaf: UInt32
    package var subleaf: UInt32
    package init(_ leaf: UInt32, _ subleaf: UInt32 = 0) {
        self.leaf = leaf
        self.subleaf = subleaf
    }
}

/// Who is said to have made the processor; Intel's and AMD's manuals differ in places.
package enum ProcessorVendor: Sendable { case intel, amd }

/// Why a model cannot be used.
package enum ProcessorModelError: Error, Equatable, Sendable {
    /// The engine does not have the feature.
    case notImplemented(ProcessorFeature)
    /// The first feature needs the second.
    case missingRequirement(ProcessorFeature, ProcessorFeature)
    /// Feature leaves are made from `features`; they cannot be overridden.
    case overriddenFeatureLeaf(CPUIDLeaf)
    /// 32...52, and at least 36 with PAE.
    case physicalAddressWidth(Int)
    /// 1 MHz ... 10 GHz.
    case timeStampFrequency(UInt64)
    /// 1...255.
    case processorCount(Int)
    /// At most 48 bytes.
    case brand(String)
}

/// The processor that a machine shows: identification, widths and features.
///
/// Plain data; `check()` says whether it holds together.
package struct ProcessorModel: Equatable, Sendable {
    package var vendor = ProcessorVendor.intel
    /// The display family, model and stepping (SDM volume 2, CPUID figure 3-6).
    package var family: UInt32 = 6
    package var model: UInt32 = 0x8F
    package var stepping: UInt32 = 8
    /// The brand string, at most 48 bytes.
    package var brand = "vscript x86-64 processor @ 1.00GHz"
    package var features: FeatureSet
    /// MAXPHYADDR, 36...52.
    package var physicalAddressWidth = 40
    /// The frequency of the time-stamp counter in Hz; one count of guest time is a nanosecond.
    package var timeStampFrequency: UInt64 = 1_000_000_000
    /// The frequency of the core crystal clock in Hz, which the local APIC's timer counts (CPUID.15H).
    package var crystalFrequency: UInt64 = 1_000_000_000
    /// The microcode revision (IA32_BIOS_SIGN_ID, or MSR 8BH on AMD).
    package var microcodeRevision: UInt32 = 0x2B00_0571
    /// Logical processors in the package, one in each core.
    package var processorCount = 1
    /// Answers that replace the computed ones; feature leaves are not among them.
    package var leafOverrides: [CPUIDLeaf: CPUIDResult] = [:]

    /// The default: a 64-bit processor with an Intel name.
    package init() { features = Self.intelFeatures }

    /// Whether 1 GiB pages exist.
    @inline(__always)
    package var hasGigabytePages: Bool { features.contains(.page1GB) }

    /// Throws what does not hold together.
    package func check() throws(ProcessorModelError) {
        if let feature = features.subtracting(.implemented).members.first { throw .notImplemented(feature) }
        for feature in features.members {
            if let missing = feature.requirements.subtracting(features).members.first {
                throw .missingRequirement(feature, missing)
            }
        }
        let featureLeaves = Set(ProcessorFeature.allCases.map { CPUIDLeaf($0.place.leaf, $0.place.subleaf) })
        for leaf in leafOverrides.keys.sorted(by: { ($0.leaf, $0.subleaf) < ($1.leaf, $1.subleaf) }) {
            let isComputed = leaf.leaf == 0 || leaf.leaf == 0xD || leaf.leaf == 0x8000_0000
            if isComputed || featureLeaves.contains(leaf) { throw .overriddenFeatureLeaf(leaf) }
        }
        let smallest = features.contains(.pae) ? 36 : 32
        guard (smallest...52).contains(physicalAddressWidth) else {
            throw .physicalAddressWidth(physicalAddressWidth)
        }
        guard (1_000_000...10_000_000_000).contains(timeStampFrequency) else {
            throw .timeStampFrequency(timeStampFrequency)
        }
        guard (1...255).contains(processorCount) else { throw .processorCount(processorCount) }
        guard brand.utf8.count <= 48 else { throw .brand(brand) }
    }

    /// Whether instructions of a kind exist.
    package func supports(_ feature: InstructionFeature) -> Bool {
        let enablers = feature.enabledBy
        return enablers == [] || enablers.subtracting(features) != enablers
    }

    /// The bits of CR4 that can be set.
    package var writableCR4: UInt64 {
        var bits = CR4.TSD | CR4.PCE
        func add(_ bit: UInt64, if feature: ProcessorFeature) { if features.contains(feature) { bits |= bit } }
        add(CR4.VME | CR4.PVI, if: .vme)
        add(CR4.DE, if: .de)
        add(CR4.PSE, if: .pse)
        add(CR4.PAE, if: .pae)
        add(CR4.MCE, if: .mce)
        add(CR4.PGE, if: .pge)
        add(CR4.OSFXSR, if: .fxsr)
        add(CR4.OSXMMEXCPT, if: .sse)
        add(CR4.UMIP, if: .umip)
        add(CR4.VMXE, if: .vmx)
        add(CR4.FSGSBASE, if: .fsgsbase)
        add(CR4.PCIDE, if: .pcid)
        add(CR4.OSXSAVE, if: .xsave)
        add(CR4.SMEP, if: .smep)
        add(CR4.SMAP, if: .smap)
        return bits
    }

    /// The bits of IA32_EFER that can be set; LMA is the processor's.
    package var writableEFER: UInt64 {
        var bits: UInt64 = 0
        if features.contains(.syscall) { bits |= EFER.SCE }
        if features.contains(.longMode) { bits |= EFER.LME }
        if features.contains(.nx) { bits |= EFER.NXE }
        if features.contains(.svm) { bits |= EFER.SVME }
        return bits
    }

    /// The bits of XCR0 that exist: x87 and SSE state.
    package var extendedStateComponents: UInt64 { features.contains(.sse) ? 3 : 1 }

    /// IA32_ARCH_CAPABILITIES: an engine that executes in order and without speculation has none of the leaks that the
    /// bits are about (SDM volume 4 table 2-2).
    package var archCapabilities: UInt64 {
        let notAffected: [UInt64] = [
            0,  // RDCL_NO
            3,  // SKIP_L1DFL_VMENTRY
            4,  // SSB_NO
            5,  // MDS_NO
            6,  // IF_PSCHANGE_MC_NO
            8,  // TAA_NO
            13, 14, 15,  // SBDR_SSDP_NO, FBSDP_NO, PSDP_NO
            20,  // BHI_NO
            24,  // PBRSB_NO
            26,  // GDS_NO
            27,  // RFDS_NO
        ]
        let enhancedIBRS: UInt64 = features.contains(.speculationControl) ? 1 << 1 : 0
        return notAffected.reduce(enhancedIBRS) { $0 | 1 << $1 }
    }
}
