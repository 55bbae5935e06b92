extension InstructionTable {
    // swift-format-ignore
    /// The one-byte opcodes (SDM volume 2 table A-2) but for the arithmetic and shift groups and x87.
    static let primaryMap: [InstructionDefinition] = [
        // Segment registers on the stack
        .init(0x06, mode: .not64, .push, [.ES], sensitivity: .sensitiveUnprivileged),
        .init(0x07, mode: .not64, .pop, [.ES], sensitivity: .sensitiveUnprivileged, endsBlock: true),
        .init(0x0E, mode: .not64, .push, [.CS], sensitivity: .sensitiveUnprivileged),
        .init(0x16, mode: .not64, .push, [.SS], sensitivity: .sensitiveUnprivileged),
        .init(0x17, mode: .not64, .pop, [.SS], sensitivity: .sensitiveUnprivileged, endsBlock: true),
        .init(0x1E, mode: .not64, .push, [.DS], sensitivity: .sensitiveUnprivileged),
        .init(0x1F, mode: .not64, .pop, [.DS], sensitivity: .sensitiveUnprivileged, endsBlock: true),

        .init(0x27, mode: .not64, .daa, [], .decimalAdjust),
        .init(0x2F, mode: .not64, .das, [], .decimalAdjust),
        .init(0x37, mode: .not64, .aaa, [], .asciiAdjust),
        .init(0x3F, mode: .not64, .aas, [], .asciiAdjust),

        .init(0x40, mode: .not64, .inc, [.Zv], .increment),
        .init(0x48, mode: .not64, .dec, [.Zv], .increment),
        .init(0x50, .push, [.Zv], sizeRule: .default64),
        .init(0x58, .pop, [.Zv], sizeRule: .default64),

        .init(0x60, mode: .not64, .pusha),
        .init(0x61, mode: .not64, .popa),
        .init(0x62, mode: .not64, .bound, [.Gv, .Ma]),
        .init(0x63, mode: .not64, .arpl, [.Ew, .Gw], .setsZF, protectedOnly: true),
        .init(0x63, mode: .only64, .movsxd, [.Gv, .Ez]),

        .init(0x68, .push, [.Iz], sizeRule: .default64),
        .init(0x69, .imul, [.Gv, .Ev, .Iz], .multiply),
        .init(0x6A, .push, [.sIb], sizeRule: .default64),
        .init(0x6B, .imul, [.Gv, .Ev, .sIb], .multiply),

        .init(0x84, .test, [.Eb, .Gb], .logic),
        .init(0x85, .test, [.Ev, .Gv], .logic),
        .init(0x86, .xchg, [.Eb, .Gb], lockable: true),
        .init(0x87, .xchg, [.Ev, .Gv], lockable: true),
        .init(0x88, .mov, [.Eb, .Gb]),
        .init(0x89, .mov, [.Ev, .Gv]),
        .init(0x8A, .mov, [.Gb, .Eb]),
        .init(0x8B, .mov, [.Gv, .Ev]),
        .init(0x8C, .mov, [.RvMw, .Sw], sensitivity: .sensitiveUnprivileged),
        .init(0x8D, .lea, [.Gv, .M]),
        .init(0x8E, .mov, [.Sw, .Ew], sensitivity: .sensitiveUnprivileged, endsBlock: true),
        .init(0x8F, digit: 0, .pop, [.Ev], sizeRule: .default64),

        // 90 is XCHG r8, rAX with REX.B; F3 90 is PAUSE
        .init(0x90, .xchg, [.Zv, .rAX]),
        .init(0x90, .nop),
        .init(0x90, prefix: .xF3, .pause, exit: .pauseExiting),

        .init(0x98, size: 16, .cbw),
        .init(0x98, size: 32, .cwde),
        .init(0x98, size: 64, .cdqe),
        .init(0x99, size: 16, .cwd),
        .init(0x99, size: 32, .cdq),
        .init(0x99, size: 64, .cqo),
        .init(0x9B, .fwait, feature: .fpu),
        .init(0x9C, .pushf, [], .reads(.all), sizeRule: .default64, sensitivity: .sensitiveUnprivileged,
              exit: .svmIntercept),
        .init(0x9D, .popf, [], .popFlags, sizeRule: .default64, sensitivity: .sensitiveUnprivileged,
              exit: .svmIntercept, endsBlock: true),
        .init(0x9E, .sahf, [], .writes([.SF, .ZF, .AF, .PF, .CF])),
        .init(0x9F, .lahf, [], .reads([.SF, .ZF, .AF, .PF, .CF])),

        .init(0xA0, .mov, [.AL, .Ob]),
        .init(0xA1, .mov, [.rAX, .Ov]),
        .init(0xA2, .mov, [.Ob, .AL]),
        .init(0xA3, .mov, [.Ov, .rAX]),
        .init(0xA8, .test, [.AL, .Ib], .logic),
        .init(0xA9, .test, [.rAX, .Iz], .logic),
        .init(0xB0, .mov, [.Zb, .Ib]),
        .init(0xB8, .mov, [.Zv, .Iv]),
        .init(0xC6, digit: 0, .mov, [.Eb, .Ib]),
        .init(0xC7, digit: 0, .mov, [.Ev, .Iz]),
        .init(0xC4, mode: .not64, .les, [.Gv, .Mp], sensitivity: .sensitiveUnprivileged, endsBlock: true),
        .init(0xC5, mode: .not64, .lds, [.Gv, .Mp], sensitivity: .sensitiveUnprivileged, endsBlock: true),
        .init(0xC8, .enter, [.Iw, .Ib2], sizeRule: .default64),
        .init(0xC9, .leave, sizeRule: .default64),

        .init(0xD4, mode: .not64, .aam, [.Ib], .asciiMultiplyAdjust),
        .init(0xD5, mode: .not64, .aad, [.Ib], .asciiMultiplyAdjust),
        .init(0xD6, mode: .not64, .salc, [], .reads(.CF)),
        .init(0xD7, .xlat, [.BXAL]),

        .init(0xF4, .hlt, sensitivity: .privileged, exit: .hltExiting, endsBlock: true),
        .init(0xF5, .cmc, [], .complementCarry),
        .init(0xF8, .clc, [], .writes(.CF)),
        .init(0xF9, .stc, [], .writes(.CF)),
        // CLI and STI fault when CPL > IOPL, unless VME or PVI make them change VIF (SDM volume 3 section 21.3)
        .init(0xFA, .cli, [], .interruptFlag, sensitivity: .privileged),
        .init(0xFB, .sti, [], .interruptFlag, sensitivity: .privileged, endsBlock: true),
        .init(0xFC, .cld, [], .writes(.DF)),
        .init(0xFD, .std, [], .writes(.DF)),

        .init(0xF6, digit: 0, .test, [.Eb, .Ib], .logic),
        .init(0xF6, digit: 1, .test, [.Eb, .Ib], .logic, alias: true),
        .init(0xF6, digit: 2, .not, [.Eb], lockable: true),
        .init(0xF6, digit: 3, .neg, [.Eb], .arithmetic, lockable: true),
        .init(0xF6, digit: 4, .mul, [.Eb], .multiply),
        .init(0xF6, digit: 5, .imul, [.Eb], .multiply),
        .init(0xF6, digit: 6, .div, [.Eb], .divide),
        .init(0xF6, digit: 7, .idiv, [.Eb], .divide),
        .init(0xF7, digit: 0, .test, [.Ev, .Iz], .logic),
        .init(0xF7, digit: 1, .test, [.Ev, .Iz], .logic, alias: true),
        .init(0xF7, digit: 2, .not, [.Ev], lockable: true),
        .init(0xF7, digit: 3, .neg, [.Ev], .arithmetic, lockable: true),
        .init(0xF7, digit: 4, .mul, [.Ev], .multiply),
        .init(0xF7, digit: 5, .imul, [.Ev], .multiply),
        .init(0xF7, digit: 6, .div, [.Ev], .divide),
        .init(0xF7, digit: 7, .idiv, [.Ev], .divide),
        .init(0xFE, digit: 0, .inc, [.Eb], .increment, lockable: true),
        .init(0xFE, digit: 1, .dec, [.Eb], .increment, lockable: true),
        .init(0xFF, digit: 0, .inc, [.Ev], .increment, lockable: true),
        .init(0xFF, digit: 1, .dec, [.Ev], .increment, lockable: true),
        .init(0xFF, digit: 6, .push, [.Ev], sizeRule: .default64),
    ]

    // swift-format-ignore
    /// String instructions (SDM volume 1 section 5.1.8) and port I/O.
    static let stringsAndPorts: [InstructionDefinition] = [
        .init(0xA4, .movs, [.Yb, .Xb], .string),
        .init(0xA5, .movs, [.Yv, .Xv], .string),
        .init(0xA6, .cmps, [.Xb, .Yb], .stringCompare),
        .init(0xA7, .cmps, [.Xv, .Yv], .stringCompare),
        .init(0xAA, .stos, [.Yb, .AL], .string),
        .init(0xAB, .stos, [.Yv, .rAX], .string),
        .init(0xAC, .lods, [.AL, .Xb], .string),
        .init(0xAD, .lods, [.rAX, .Xv], .string),
        .init(0xAE, .scas, [.AL, .Yb], .stringCompare),
        .init(0xAF, .scas, [.rAX, .Yv], .stringCompare),
    ].with { ($0.repeatable, $0.endsBlock) = (true, true) }
    + [
        .init(0x6C, .ins, [.Yb, .DX], .portString, repeatable: true),
        .init(0x6D, .ins, [.Yz, .DX], .portString, repeatable: true),
        .init(0x6E, .outs, [.DX, .Xb], .portString, repeatable: true),
        .init(0x6F, .outs, [.DX, .Xz], .portString, repeatable: true),
        .init(0xE4, .in, [.AL, .Ib], .reads(.IOPL)),
        .init(0xE5, .in, [.eAX, .Ib], .reads(.IOPL)),
        .init(0xE6, .out, [.Ib, .AL], .reads(.IOPL)),
        .init(0xE7, .out, [.Ib, .eAX], .reads(.IOPL)),
        .init(0xEC, .in, [.AL, .DX], .reads(.IOPL)),
        .init(0xED, .in, [.eAX, .DX], .reads(.IOPL)),
        .init(0xEE, .out, [.DX, .AL], .reads(.IOPL)),
        .init(0xEF, .out, [.DX, .eAX], .reads(.IOPL)),
    ].with {
        // They fault when CPL > IOPL and the I/O permission bitmap says so
        $0.sensitivity = .privileged
        $0.exit = .ioExiting
        $0.endsBlock = true
    }

    // swift-format-ignore
    /// Control transfer.
    ///
    /// Intel ignores 66 on near branches in 64-bit mode, AMD truncates RIP to 16 bits (APM volume 3 section 1.2.4).
    static let branches: [InstructionDefinition] = (
        .conditional(0x70, .jcc, [.Jb], sizeRule: .force64)
        + .conditional(0x0F80, .jcc, [.Jz], sizeRule: .force64)
        + [
            .init(0xC2, .ret, [.Iw], sizeRule: .force64),
            .init(0xC3, .ret, sizeRule: .force64),
            .init(0xE0, .loopne, [.Jb], .reads(.ZF), sizeRule: .force64),
            .init(0xE1, .loope, [.Jb], .reads(.ZF), sizeRule: .force64),
            .init(0xE2, .loop, [.Jb], sizeRule: .force64),
            .init(0xE3, .jcxz, [.Jb], sizeRule: .force64),
            .init(0xE8, .call, [.Jz], sizeRule: .force64),
            .init(0xE9, .jmp, [.Jz], sizeRule: .force64),
            .init(0xEB, .jmp, [.Jb], sizeRule: .force64),
            .init(0xFF, digit: 2, .call, [.Ev], sizeRule: .force64),
            .init(0xFF, digit: 4, .jmp, [.Ev], sizeRule: .force64),
        ]
        + [
            // Flags change only by a task switch (SDM volume 2, CALL and JMP)
            .init(0x9A, mode: .not64, .callFar, [.Ap]),
            .init(0xEA, mode: .not64, .jmpFar, [.Ap]),
            .init(0xFF, digit: 3, .callFar, [.Mp]),
            .init(0xFF, digit: 5, .jmpFar, [.Mp]),
            .init(0xCA, .retFar, [.Iw]),
            .init(0xCB, .retFar),
            .init(0xCC, .int3, [], .interrupt),
            .init(0xCD, .int, [.Ib], .softwareInterrupt, exit: .svmIntercept),
            .init(0xCE, mode: .not64, .into, [], .interruptOnOverflow),
            .init(0xCF, .iret, [], .interruptReturn, exit: .svmIntercept),
            .init(0xF1, .int1, [], .interrupt, exit: .svmIntercept),
        ].with { $0.sensitivity = .sensitiveUnprivileged }
    ).with { $0.endsBlock = true }
}
