extension InstructionTable {
    // swift-format-ignore
    /// Descriptor tables, segments and task state (SDM volume 1 section 5.20).
    static let descriptorTables: [InstructionDefinition] = [
        .init(0x0F00, digit: 0, .sldt, [.RvMw], sensitivity: .sensitiveUnprivileged, exit: .descriptorTableExiting,
              protectedOnly: true),
        .init(0x0F00, digit: 1, .str, [.RvMw], sensitivity: .sensitiveUnprivileged, exit: .descriptorTableExiting,
              protectedOnly: true),
        .init(0x0F00, digit: 2, .lldt, [.Ew], sensitivity: .privileged, exit: .descriptorTableExiting,
              endsBlock: true, protectedOnly: true),
        .init(0x0F00, digit: 3, .ltr, [.Ew], sensitivity: .privileged, exit: .descriptorTableExiting,
              endsBlock: true, protectedOnly: true),
        .init(0x0F00, digit: 4, .verr, [.Ew], .setsZF, sensitivity: .sensitiveUnprivileged, protectedOnly: true),
        .init(0x0F00, digit: 5, .verw, [.Ew], .setsZF, sensitivity: .sensitiveUnprivileged, protectedOnly: true),
        .init(0x0F01, digit: 0, .sgdt, [.Ms], sizeRule: .force64, sensitivity: .sensitiveUnprivileged,
              exit: .descriptorTableExiting),
        .init(0x0F01, digit: 1, .sidt, [.Ms], sizeRule: .force64, sensitivity: .sensitiveUnprivileged,
              exit: .descriptorTableExiting),
        .init(0x0F01, digit: 2, .lgdt, [.Ms], sizeRule: .force64, sensitivity: .privileged,
              exit: .descriptorTableExiting, endsBlock: true),
        .init(0x0F01, digit: 3, .lidt, [.Ms], sizeRule: .force64, sensitivity: .privileged,
              exit: .descriptorTableExiting, endsBlock: true),
        .init(0x0F02, .lar, [.Gv, .RzMw], .setsZF, sensitivity: .sensitiveUnprivileged, protectedOnly: true),
        .init(0x0F03, .lsl, [.Gv, .RzMw], .setsZF, sensitivity: .sensitiveUnprivileged, protectedOnly: true),
    ]

    // swift-format-ignore
    /// Control and debug registers. CR numbers other than 0, 2, 3, 4 and 8 and DR8...15 are invalid.
    static let controlRegisters: [InstructionDefinition] = [
        .init(0x0F01, digit: 4, .smsw, [.RvMw], sensitivity: .sensitiveUnprivileged, exit: .svmIntercept),
        .init(0x0F01, digit: 6, .lmsw, [.Ew], sensitivity: .privileged, exit: .controlRegisterAccess, endsBlock: true),
        .init(0x0F06, .clts, sensitivity: .privileged, exit: .controlRegisterAccess, endsBlock: true),
        .init(0x0F20, modRM: .registerWhateverMod, .mov, [.Rn, .Cd], .undefinedStatus, sizeRule: .force64,
              sensitivity: .privileged, exit: .controlRegisterAccess, endsBlock: true),
        .init(0x0F21, modRM: .registerWhateverMod, .mov, [.Rn, .Dd], .undefinedStatus, sizeRule: .force64,
              sensitivity: .privileged, exit: .movDRExiting, endsBlock: true),
        .init(0x0F22, modRM: .registerWhateverMod, .mov, [.Cd, .Rn], .undefinedStatus, sizeRule: .force64,
              sensitivity: .privileged, exit: .controlRegisterAccess, endsBlock: true),
        .init(0x0F23, modRM: .registerWhateverMod, .mov, [.Dd, .Rn], .undefinedStatus, sizeRule: .force64,
              sensitivity: .privileged, exit: .movDRExiting, endsBlock: true),
    ]

    // swift-format-ignore
    /// Caches, translations, model-specific registers, time and the rest of what an operating system uses.
    static let system: [InstructionDefinition] = [
        .init(0x0F01, digit: 7, .invlpg, [.Mb], sensitivity: .privileged, exit: .invlpgExiting, endsBlock: true),
        .init(0x0F3882, prefix: .x66, .invpcid, [.Gn, .Mu], sizeRule: .force64, sensitivity: .privileged,
              exit: .invpcidEnabled, feature: .invpcid, endsBlock: true),
        .init(0x0F08, .invd, sensitivity: .privileged, exit: .always, endsBlock: true),
        .init(0x0F09, .wbinvd, sensitivity: .privileged, exit: .wbinvdExiting, endsBlock: true),
        .init(0x0F09, prefix: .xF3, .wbnoinvd, sensitivity: .privileged, exit: .wbinvdExiting, feature: .wbnoinvd,
              endsBlock: true),

        .init(0x0F01, prefix: .none, digit: 1, rm: 0, .monitor, [.memoryRAX, .ECX, .EDX], sensitivity: .privileged,
              exit: .monitorExiting, feature: .monitor),
        .init(0x0F01, prefix: .none, digit: 1, rm: 1, .mwait, [.EAX, .ECX], sensitivity: .privileged,
              exit: .mwaitExiting, feature: .monitor, endsBlock: true),
        // Outside ring 0 they give #UD
        .init(0x0F01, prefix: .none, digit: 1, rm: 2, .clac, [], .writes(.AC), sensitivity: .privileged,
              feature: .smap, endsBlock: true),
        .init(0x0F01, prefix: .none, digit: 1, rm: 3, .stac, [], .writes(.AC), sensitivity: .privileged,
              feature: .smap, endsBlock: true),
        .init(0x0F01, prefix: .none, digit: 2, rm: 0, .xgetbv, sensitivity: .sensitiveUnprivileged, feature: .xsave),
        .init(0x0F01, prefix: .none, digit: 2, rm: 1, .xsetbv, sensitivity: .privileged, exit: .always,
              feature: .xsave, endsBlock: true),
        .init(0x0F01, digit: 7, rm: 0, mode: .only64, .swapgs, sensitivity: .privileged, feature: .longMode),

        // Intel has SYSCALL and SYSRET in 64-bit mode only, AMD everywhere in protected mode; AMD has SYSENTER and
        // SYSEXIT outside long mode only (APM volume 3, SYSENTER): the engine decides by the processor model
        .init(0x0F05, .syscall, [], .systemCall, sensitivity: .sensitiveUnprivileged, feature: .syscall,
              endsBlock: true),
        .init(0x0F07, .sysret, [], .writes(FlagSet.all.subtracting(.VM)), sensitivity: .privileged, feature: .syscall, endsBlock: true),
        .init(0x0F34, .sysenter, [], .writes([.IF, .VM, .RF]), sizeRule: .force64,
              sensitivity: .sensitiveUnprivileged, feature: .sep, endsBlock: true),
        .init(0x0F35, .sysexit, sensitivity: .privileged, feature: .sep, endsBlock: true),
        .init(0x0FAA, .rsm, [], .writes(.all), sensitivity: .privileged, exit: .svmIntercept, endsBlock: true),

        .init(0x0F30, .wrmsr, sensitivity: .privileged, exit: .msrExiting, endsBlock: true),
        .init(0x0F32, .rdmsr, sensitivity: .privileged, exit: .msrExiting, endsBlock: true),
        .init(0x0F31, .rdtsc, sensitivity: .sensitiveUnprivileged, exit: .rdtscExiting, endsBlock: true),
        .init(0x0F01, digit: 7, rm: 1, .rdtscp, sensitivity: .sensitiveUnprivileged, exit: .rdtscpEnabled,
              feature: .rdtscp, endsBlock: true),
        .init(0x0F33, .rdpmc, sensitivity: .sensitiveUnprivileged, exit: .rdpmcExiting, endsBlock: true),
        .init(0x0FA2, .cpuid, sensitivity: .sensitiveUnprivileged, exit: .always, endsBlock: true),
        .init(0x0FC7, prefix: .xF3, digit: 7, .rdpid, [.Rn], sizeRule: .force64, sensitivity: .sensitiveUnprivileged,
              exit: .rdtscpEnabled, feature: .rdpid),

        .init(0x0FAE, prefix: .xF3, digit: 0, mode: .only64, .rdfsbase, [.Ry], sensitivity: .sensitiveUnprivileged,
              feature: .fsgsbase),
        .init(0x0FAE, prefix: .xF3, digit: 1, mode: .only64, .rdgsbase, [.Ry], sensitivity: .sensitiveUnprivileged,
              feature: .fsgsbase),
        .init(0x0FAE, prefix: .xF3, digit: 2, mode: .only64, .wrfsbase, [.Ry], sensitivity: .sensitiveUnprivileged,
              feature: .fsgsbase),
        .init(0x0FAE, prefix: .xF3, digit: 3, mode: .only64, .wrgsbase, [.Ry], sensitivity: .sensitiveUnprivileged,
              feature: .fsgsbase),
    ]

    // swift-format-ignore
    /// VMX (SDM volume 3 chapter "VMX Instruction Reference").
    ///
    /// Each reports success or failure in the status flags; a VM entry that succeeds loads all of the guest's.
    static let vmx: [InstructionDefinition] = [
        .init(0x0F01, prefix: .none, digit: 0, rm: 1, .vmcall, [], .setsStatus),
        .init(0x0F01, prefix: .none, digit: 0, rm: 2, .vmlaunch, [], .writes(.all)),
        .init(0x0F01, prefix: .none, digit: 0, rm: 3, .vmresume, [], .writes(.all)),
        .init(0x0F01, prefix: .none, digit: 0, rm: 4, .vmxoff, [], .setsStatus),
        .init(0x0F01, prefix: .none, digit: 2, rm: 4, .vmfunc),
        .init(0x0F78, prefix: .none, .vmread, [.En, .Gn], .setsStatus, sizeRule: .force64),
        .init(0x0F79, prefix: .none, .vmwrite, [.Gn, .En], .setsStatus, sizeRule: .force64),
        .init(0x0FC7, prefix: .none, digit: 6, .vmptrld, [.Mq], .setsStatus),
        .init(0x0FC7, prefix: .x66, digit: 6, .vmclear, [.Mq], .setsStatus),
        .init(0x0FC7, prefix: .xF3, digit: 6, .vmxon, [.Mq], .setsStatus),
        .init(0x0FC7, prefix: .none, digit: 7, .vmptrst, [.Mq], .setsStatus),
        .init(0x0F3880, prefix: .x66, .invept, [.Gn, .Mu], .setsStatus, sizeRule: .force64),
        .init(0x0F3881, prefix: .x66, .invvpid, [.Gn, .Mu], .setsStatus, sizeRule: .force64),
    ].requiring(.vmx).with {
        $0.sensitivity = .privileged
        $0.exit = $0.operation == .vmfunc ? .never : .always
        $0.endsBlock = true
        $0.protectedOnly = true
    }

    // swift-format-ignore
    /// SVM (APM volume 3 chapter 4); operands are physical addresses in rAX.
    static let svm: [InstructionDefinition] = [
        .init(0x0F01, digit: 3, rm: 0, .vmrun, [.addressRAX]),
        .init(0x0F01, digit: 3, rm: 1, .vmmcall),
        .init(0x0F01, digit: 3, rm: 2, .vmload, [.addressRAX]),
        .init(0x0F01, digit: 3, rm: 3, .vmsave, [.addressRAX]),
        .init(0x0F01, digit: 3, rm: 4, .stgi),
        .init(0x0F01, digit: 3, rm: 5, .clgi),
        .init(0x0F01, digit: 3, rm: 6, .skinit, [.EAX]),
        .init(0x0F01, digit: 3, rm: 7, .invlpga, [.addressRAX, .ECX]),
    ].requiring(.svm).with {
        $0.sensitivity = .privileged
        $0.exit = .svmIntercept
        $0.endsBlock = true
        $0.protectedOnly = true
    }
}
