extension InstructionTable {
    // swift-format-ignore
    /// General-purpose instructions among the two- and three-byte opcodes (SDM volume 2 tables ).
    static let secondaryMap: [InstructionDefinition] =
        .conditional(0x0F40, .cmovcc, [.Gv, .Ev], feature: .cmov)
        + .conditional(0x0F90, .setcc, [.Eb])
        + [
            .init(0x0F0B, .ud2, endsBlock: true),
            .init(0x0FB9, .ud1, [.Gd, .Ed], endsBlock: true),
            .init(0x0FFF, .ud0, [.Gd, .Ed], endsBlock: true),

            .init(0x0FA3, .bt, [.Ev, .Gv], .bitTest),
            .init(0x0FAB, .bts, [.Ev, .Gv], .bitTest, lockable: true),
            .init(0x0FB3, .btr, [.Ev, .Gv], .bitTest, lockable: true),
            .init(0x0FBB, .btc, [.Ev, .Gv], .bitTest, lockable: true),
            .init(0x0FBA, digit: 4, .bt, [.Ev, .Ib], .bitTest),
            .init(0x0FBA, digit: 5, .bts, [.Ev, .Ib], .bitTest, lockable: true),
            .init(0x0FBA, digit: 6, .btr, [.Ev, .Ib], .bitTest, lockable: true),
            .init(0x0FBA, digit: 7, .btc, [.Ev, .Ib], .bitTest, lockable: true),
            .init(0x0FA4, .shld, [.Ev, .Gv, .Ib], .doubleShift),
            .init(0x0FA5, .shld, [.Ev, .Gv, .CL], .doubleShift),
            .init(0x0FAC, .shrd, [.Ev, .Gv, .Ib], .doubleShift),
            .init(0x0FAD, .shrd, [.Ev, .Gv, .CL], .doubleShift),
            .init(0x0FAF, .imul, [.Gv, .Ev], .multiply),

            .init(0x0FB0, .cmpxchg, [.Eb, .Gb], .arithmetic, lockable: true),
            .init(0x0FB1, .cmpxchg, [.Ev, .Gv], .arithmetic, lockable: true),
            .init(0x0FC0, .xadd, [.Eb, .Gb], .arithmetic, lockable: true),
            .init(0x0FC1, .xadd, [.Ev, .Gv], .arithmetic, lockable: true),
            .init(0x0FC7, digit: 1, w: false, .cmpxchg8b, [.Mq], .setsZF, feature: .cx8, lockable: true),
            .init(0x0FC7, digit: 1, w: true, .cmpxchg16b, [.Mdq], .setsZF, feature: .cx16, lockable: true),

            .init(0x0FB2, .lss, [.Gv, .Mp], sensitivity: .sensitiveUnprivileged, endsBlock: true),
            .init(0x0FB4, .lfs, [.Gv, .Mp], sensitivity: .sensitiveUnprivileged, endsBlock: true),
            .init(0x0FB5, .lgs, [.Gv, .Mp], sensitivity: .sensitiveUnprivileged, endsBlock: true),
            .init(0x0FA0, .push, [.FS], sizeRule: .default64, sensitivity: .sensitiveUnprivileged),
            .init(0x0FA1, .pop, [.FS], sizeRule: .default64, sensitivity: .sensitiveUnprivileged, endsBlock: true),
            .init(0x0FA8, .push, [.GS], sizeRule: .default64, sensitivity: .sensitiveUnprivileged),
            .init(0x0FA9, .pop, [.GS], sizeRule: .default64, sensitivity: .sensitiveUnprivileged, endsBlock: true),

            .init(0x0FB6, .movzx, [.Gv, .Eb]),
            .init(0x0FB7, .movzx, [.Gv, .Ew]),
            .init(0x0FBE, .movsx, [.Gv, .Eb]),
            .init(0x0FBF, .movsx, [.Gv, .Ew]),
            .init(0x0FC8, .bswap, [.Zv]),
            .init(0x0FC3, prefix: .none, .movnti, [.My, .Gy], sizeRule: .ignore66, feature: .sse2),
            .init(0x0F38F0, prefix: .noRepeat, .movbe, [.Gv, .Mv], feature: .movbe),
            .init(0x0F38F1, prefix: .noRepeat, .movbe, [.Mv, .Gv], feature: .movbe),

            // Without the feature F3 0F BC and BD are BSF and BSR: the engine decides, not the decoder
            .init(0x0FBC, .bsf, [.Gv, .Ev], .bitScan),
            .init(0x0FBC, prefix: .xF3, .tzcnt, [.Gv, .Ev], .zeroCount, feature: .bmi1),
            .init(0x0FBD, .bsr, [.Gv, .Ev], .bitScan),
            .init(0x0FBD, prefix: .xF3, .lzcnt, [.Gv, .Ev], .zeroCount, feature: .lzcnt),
            .init(0x0FB8, prefix: .xF3, .popcnt, [.Gv, .Ev], .setsStatus, feature: .popcnt),
            .init(0x0F38F0, prefix: .xF2, .crc32, [.Gy, .Eb], feature: .sse42),
            .init(0x0F38F1, prefix: .xF2, .crc32, [.Gy, .Ev], feature: .sse42),
            .init(0x0F38F6, prefix: .x66, .adcx, [.Gy, .Ey], .carryChain(.CF), sizeRule: .ignore66, feature: .adx),
            .init(0x0F38F6, prefix: .xF3, .adox, [.Gy, .Ey], .carryChain(.OF), sizeRule: .ignore66, feature: .adx),

            .init(0x0FC7, prefix: .noRepeat, digit: 6, .rdrand, [.Rv], .setsStatus, exit: .rdrandExiting,
                  feature: .rdrand),
            .init(0x0FC7, prefix: .noRepeat, digit: 7, .rdseed, [.Rv], .setsStatus, exit: .rdseedExiting,
                  feature: .rdseed),
        ]

    // swift-format-ignore
    /// VEX-encoded general-purpose instructions (SDM volume 1 sections 5.1.14 and 5.1.15); W chooses the size.
    static let bitManipulation: [InstructionDefinition] = [
        .init(0x0F38F2, prefix: .none, vex: true, .andn, [.Gy, .By, .Ey], .bitManipulation, feature: .bmi1),
        .init(0x0F38F3, prefix: .none, digit: 1, vex: true, .blsr, [.By, .Ey], .bitManipulation, feature: .bmi1),
        .init(0x0F38F3, prefix: .none, digit: 2, vex: true, .blsmsk, [.By, .Ey], .bitManipulation, feature: .bmi1),
        .init(0x0F38F3, prefix: .none, digit: 3, vex: true, .blsi, [.By, .Ey], .bitManipulation, feature: .bmi1),
        .init(0x0F38F7, prefix: .none, vex: true, .bextr, [.Gy, .Ey, .By], .bitExtract, feature: .bmi1),
        .init(0x0F38F5, prefix: .none, vex: true, .bzhi, [.Gy, .Ey, .By], .bitManipulation, feature: .bmi2),
        .init(0x0F38F5, prefix: .xF3, vex: true, .pext, [.Gy, .By, .Ey], feature: .bmi2),
        .init(0x0F38F5, prefix: .xF2, vex: true, .pdep, [.Gy, .By, .Ey], feature: .bmi2),
        .init(0x0F38F6, prefix: .xF2, vex: true, .mulx, [.Gy, .By, .Ey], feature: .bmi2),
        .init(0x0F38F7, prefix: .x66, vex: true, .shlx, [.Gy, .Ey, .By], feature: .bmi2),
        .init(0x0F38F7, prefix: .xF3, vex: true, .sarx, [.Gy, .Ey, .By], feature: .bmi2),
        .init(0x0F38F7, prefix: .xF2, vex: true, .shrx, [.Gy, .Ey, .By], feature: .bmi2),
        .init(0x0F3AF0, prefix: .xF2, vex: true, .rorx, [.Gy, .Ey, .Ib], feature: .bmi2),
    ].with { $0.sizeRule = .ignore66 }

    // swift-format-ignore
    /// Hints, caches and fences; every hint that a processor does not know is a NOP (SDM volume 2, NOP and PREFETCHh).
    static let hintsAndCaches: [InstructionDefinition] = [
        .init(0x0F0D, digit: 0, .prefetch, [.Mb], feature: .prefetchw),
        .init(0x0F0D, digit: 1, .prefetchw, [.Mb], feature: .prefetchw),
        .init(0x0F0D, digit: 2, .prefetch, [.Mb], feature: .prefetchw, alias: true),
        .init(0x0F0D, digit: 3, .prefetch, [.Mb], feature: .prefetchw, alias: true),
        .init(0x0F0D, digit: 4, .prefetch, [.Mb], feature: .prefetchw, alias: true),
        .init(0x0F0D, digit: 5, .prefetch, [.Mb], feature: .prefetchw, alias: true),
        .init(0x0F0D, digit: 6, .prefetch, [.Mb], feature: .prefetchw, alias: true),
        .init(0x0F0D, digit: 7, .prefetch, [.Mb], feature: .prefetchw, alias: true),
        .init(0x0F0D, modRM: .register, .nop, [.Ev], alias: true),
        .init(0x0F18, digit: 0, .prefetchnta, [.Mb], feature: .sse),
        .init(0x0F18, digit: 1, .prefetcht0, [.Mb], feature: .sse),
        .init(0x0F18, digit: 2, .prefetcht1, [.Mb], feature: .sse),
        .init(0x0F18, digit: 3, .prefetcht2, [.Mb], feature: .sse),
        .init(0x0F18, .nop, [.Ev], alias: true),
        .init(0x0F19, .nop, [.Ev], alias: true),
        .init(0x0F1A, .nop, [.Ev], alias: true),
        .init(0x0F1B, .nop, [.Ev], alias: true),
        .init(0x0F1C, .nop, [.Ev], alias: true),
        .init(0x0F1D, .nop, [.Ev], alias: true),
        .init(0x0F1E, .nop, [.Ev], alias: true),
        .init(0x0F1E, prefix: .xF3, digit: 7, rm: 2, .endbr64),
        .init(0x0F1E, prefix: .xF3, digit: 7, rm: 3, .endbr32),
        .init(0x0F1F, .nop, [.Ev], alias: true),
        .init(0x0F1F, digit: 0, .nop, [.Ev]),

        .init(0x0FAE, prefix: .none, digit: 7, .clflush, [.Mb], feature: .clflush),
        .init(0x0FAE, prefix: .x66, digit: 7, .clflushopt, [.Mb], feature: .clflushopt),
        .init(0x0FAE, prefix: .x66, digit: 6, .clwb, [.Mb], feature: .clwb),
        .init(0x0FAE, prefix: .none, digit: 5, modRM: .register, .lfence, feature: .sse2),
        .init(0x0FAE, prefix: .none, digit: 6, modRM: .register, .mfence, feature: .sse2),
        .init(0x0FAE, prefix: .none, digit: 7, modRM: .register, .sfence, feature: .sse),
    ]

    // swift-format-ignore
    /// State save areas (SDM volume 1 chapters 10.5 and 13); REX.W chooses the 64-bit format of pointers.
    static let stateSaveAreas: [InstructionDefinition] = [
        .init(0x0FAE, prefix: .none, digit: 0, .fxsave, [.M512], feature: .fxsr),
        .init(0x0FAE, prefix: .none, digit: 1, .fxrstor, [.M512], feature: .fxsr),
        .init(0x0FAE, prefix: .none, digit: 2, .ldmxcsr, [.Md], feature: .sse),
        .init(0x0FAE, prefix: .none, digit: 3, .stmxcsr, [.Md], feature: .sse),
        .init(0x0FAE, prefix: .none, digit: 4, .xsave, [.Mxsave], feature: .xsave),
        .init(0x0FAE, prefix: .none, digit: 5, .xrstor, [.Mxsave], feature: .xsave),
        .init(0x0FAE, prefix: .none, digit: 6, .xsaveopt, [.Mxsave], feature: .xsaveopt),
        .init(0x0FC7, prefix: .none, digit: 4, .xsavec, [.Mxsave], feature: .xsavec),
        .init(0x0FC7, prefix: .none, digit: 3, .xrstors, [.Mxsave], sensitivity: .privileged, exit: .xsavesEnabled,
              feature: .xsaves),
        .init(0x0FC7, prefix: .none, digit: 5, .xsaves, [.Mxsave], sensitivity: .privileged, exit: .xsavesEnabled,
              feature: .xsaves),
    ]
}
