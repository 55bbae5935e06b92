// What this engine's VMX has, as the capability MSRs tell it (SDM vol. 3 appendix A).

/// The indices of the VMX MSRs.
extension MSR {
    static let featureControl: UInt32 = 0x3A
    static let vmxCapabilities: ClosedRange<UInt32> = 0x480...0x490
}

extension Processor {
    /// Locks IA32_FEATURE_CONTROL with VMX enabled, as firmware leaves it; models without VMX do not have the MSR.
    package func programFeatureControl() {
        guard model.features.contains(.vmx) else { return }
        state.pointee.virtualization.vmx.featureControl = 5
    }
}

/// One word of 32 controls: which may be 1, and which must be.
struct ControlCapability: Equatable, Sendable {
    var allowed: UInt32
    var required: UInt32

    /// As the capability MSRs show it: allowed-0 settings low, allowed-1 settings high.
    var word: UInt64 { UInt64(allowed) << 32 | UInt64(required) }

    /// Whether every control of a word has a value that it may have.
    func allows(_ controls: UInt32) -> Bool { controls & required == required && controls & ~allowed == 0 }
}

/// The VMX of a processor model.
struct VMXCapabilities: Sendable {
    /// PE, NE and PG are 1 in VMX operation.
    static let cr0Fixed0: UInt64 = CR0.PE | CR0.NE | CR0.PG
    static let cr0Fixed1: UInt64 = 0xFFFF_FFFF
    /// The bits that CR0 has.
    static let existingCR0: UInt64 =
        CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.NW | CR0.CD | CR0.PG
    /// VMXE is 1 in VMX operation.
    static let cr4Fixed0: UInt64 = CR4.VMXE
    /// The VMX-preemption timer counts down whenever this bit of the time-stamp counter changes.
    static let preemptionTimerShift: UInt64 = 5
    static let cr3Targets: UInt32 = 4
    /// The largest MSR area, in entries.
    static let maximumMSRCount: UInt32 = 512

    let model: ProcessorModel

    init(_ model: ProcessorModel) { self.model = model }

    // Controls that are always 1 (the "default1 class", appendix A.2), and which of them the TRUE MSRs let be 0.
    private static let pinDefault1: UInt32 = 0x16
    private static let primaryDefault1: UInt32 = 0x0401_E172
    private static let primaryTrueDefault1: UInt32 = 0x0400_6172
    private static let exitDefault1: UInt32 = 0x0003_6DFF
    private static let exitTrueDefault1: UInt32 = 0x0003_6DFB
    private static let entryDefault1: UInt32 = 0x0000_11FF
    private static let entryTrueDefault1: UInt32 = 0x0000_11FB

    var pin: ControlCapability {
        let controls: PinBasedControls = [
            .externalInterruptExiting, .nmiExiting, .virtualNMIs, .activatePreemptionTimer,
        ]
        return ControlCapability(allowed: controls.rawValue | Self.pinDefault1, required: Self.pinDefault1)
    }

    /// By the TRUE MSR; software that knows only the older one sets what that demands, which is allowed too.
    var primary: ControlCapability {
        let controls: PrimaryControls = [
            .interruptWindowExiting, .useTSCOffsetting, .hltExiting, .invlpgExiting, .mwaitExiting, .rdpmcExiting,
            .rdtscExiting, .cr3LoadExiting, .cr3StoreExiting, .cr8LoadExiting, .cr8StoreExiting, .useTPRShadow,
            .nmiWindowExiting, .movDRExiting, .unconditionalIOExiting, .useIOBitmaps, .monitorTrapFlag,
            .useMSRBitmaps, .monitorExiting, .pauseExiting, .activateSecondaryControls,
        ]
        return ControlCapability(allowed: controls.rawValue | Self.primaryDefault1, required: Self.primaryTrueDefault1)
    }

    var secondary: ControlCapability {
        var controls: SecondaryControls = [
            .enableEPT, .descriptorTableExiting, .enableVPID, .wbinvdExiting, .unrestrictedGuest, .pauseLoopExiting,
            .useTSCScaling,
        ]
        func add(_ control: SecondaryControls, if feature: ProcessorFeature) {
            if model.features.contains(feature) { controls.insert(control) }
        }
        add(.enableRDTSCP, if: .rdtscp)
        add(.rdrandExiting, if: .rdrand)
        add(.rdseedExiting, if: .rdseed)
        add(.enableINVPCID, if: .invpcid)
        add(.enableXSAVES, if: .xsaves)
        return ControlCapability(allowed: controls.rawValue, required: 0)
    }

    var exit: ControlCapability {
        let controls: ExitControls = [
            .saveDebugControls, .hostAddressSpaceSize, .acknowledgeInterruptOnExit, .savePAT, .loadPAT, .saveEFER,
            .loadEFER, .savePreemptionTimer,
        ]
        return ControlCapability(allowed: controls.rawValue | Self.exitDefault1, required: Self.exitTrueDefault1)
    }

    var entry: ControlCapability {
        let controls: EntryControls = [.loadDebugControls, .ia32eModeGuest, .loadPAT, .loadEFER]
        return ControlCapability(allowed: controls.rawValue | Self.entryDefault1, required: Self.entryTrueDefault1)
    }

    /// IA32_VMX_MISC: the timer's rate, EFER.LMA stored on exit, the activity states HLT, shutdown and wait-for-SIPI,
    /// CR3 targets, MSR areas of 512 entries.
    private var miscellaneous: UInt64 {
        Self.preemptionTimerShift | 1 << 5 | 7 << 6 | UInt64(Self.cr3Targets) << 16
    }

    /// IA32_VMX_EPT_VPID_CAP: four levels, uncacheable and write-back tables, 2 MiB (and 1 GiB) pages, accessed and
    /// dirty flags, INVEPT and INVVPID of every type.
    private var translation: UInt64 {
        var bits: UInt64 = 1 << 6 | 1 << 8 | 1 << 14 | 1 << 16 | 1 << 20 | 1 << 21 | 1 << 25 | 1 << 26
        bits |= 1 << 32 | 0xF << 40
        if model.hasGigabytePages { bits |= 1 << 17 }
        return bits
    }

    /// The value of a capability MSR.
    func value(of index: UInt32) -> UInt64? {
        func classic(_ capability: ControlCapability, _ required: UInt32) -> UInt64 {
            ControlCapability(allowed: capability.allowed, required: required).word
        }
        return switch index {
        case 0x480:
            // Size, write-back memory, INS and OUTS information, TRUE MSRs.
            UInt64(VMCS.revisionIdentifier) | VMCS.size << 32 | 6 << 50 | 1 << 54 | 1 << 55
        case 0x481, 0x48D: pin.word
        case 0x482: classic(primary, Self.primaryDefault1)
        case 0x483: classic(exit, Self.exitDefault1)
        case 0x484: classic(entry, Self.entryDefault1)
        case 0x485: miscellaneous
        case 0x486: Self.cr0Fixed0
        case 0x487: Self.cr0Fixed1
        case 0x488: Self.cr4Fixed0
        case 0x489: model.writableCR4
        case 0x48A: UInt64(VMCSField.highestIndex) << 1
        case 0x48B: secondary.word
        case 0x48C: translation
        case 0x48E: primary.word
        case 0x48F: exit.word
        case 0x490: entry.word
        default: nil
        }
    }
}
