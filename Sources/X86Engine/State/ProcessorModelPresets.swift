// The models that come with the engine.

extension ProcessorModel {
    /// What every 64-bit model here has.
    private static let common64: FeatureSet = [
        .fpu, .vme, .de, .pse, .tsc, .msr, .pae, .mce, .cx8, .apic, .sep, .mtrr, .pge, .mca, .cmov, .pat, .pse36,
        .clfsh,
        .mmx, .fxsr,
        .sse, .sse2, .sse3, .ssse3, .cx16, .sse41, .sse42, .x2apic, .movbe, .popcnt, .xsave, .rdrand, .arat,
        .fsgsbase, .bmi1, .smep, .bmi2, .rdseed, .adx, .smap, .clflushopt, .clwb, .umip, .rdpid,
        .x87SelectorsDeprecated, .xsaveopt, .xsavec, .xgetbv1, .lahf64, .lzcnt, .prefetchw, .syscall, .nx, .page1GB,
        .rdtscp, .longMode, .invariantTSC, .wbnoinvd, .pcid, .invpcid, .tscDeadline,
    ]

    static let intelFeatures = common64.union([
        .ss, .tscAdjust, .speculationControl, .singleThreadPredictors, .archCapabilities, .storeBypassDisable,
        .branchHistoryControl,
    ])

    /// A 64-bit processor with an Intel name: family 6, model 8FH (Sapphire Rapids), without its vector extensions.
    package static let intel64 = ProcessorModel()

    /// `intel64` with VMX: capability MSRs, EPT, VPID and unrestricted guests.
    package static let intel64VMX: ProcessorModel = {
        var model = ProcessorModel()
        model.features.insert(.vmx)
        return model
    }()

    /// A 64-bit processor with an AMD name: family 19H, model 11H (Zen 4), without its vector extensions.
    package static let amd64: ProcessorModel = {
        var model = ProcessorModel()
        model.vendor = .amd
        model.family = 0x19
        model.model = 0x11
        model.stepping = 1
        model.microcodeRevision = 0x0A10_1148
        model.features = common64.union([.mmxext, .lfenceSerializing, .nullSelectorClearsBase])
        model.features.remove(.tscDeadline)
        return model
    }()

    /// `amd64` with SVM: nested paging, ASIDs, decode assists and what else `SVMCapabilities` lists.
    package static let amd64SVM: ProcessorModel = {
        var model = amd64
        model.features.insert(.svm)
        return model
    }()

    /// A 32-bit processor with an Intel name: family 6, model 8 (Pentium III).
    package static let intel32: ProcessorModel = {
        var model = ProcessorModel()
        model.family = 6
        model.model = 8
        model.stepping = 3
        model.brand = ""
        model.microcodeRevision = 1
        model.physicalAddressWidth = 36
        model.features = [
            .fpu, .vme, .de, .pse, .tsc, .msr, .pae, .mce, .cx8, .apic, .sep, .mtrr, .pge, .mca, .cmov, .pat, .pse36,
            .mmx,
            .fxsr, .sse,
        ]
        return model
    }()
}
