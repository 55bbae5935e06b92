import X86

/// One disagreement with Zydis.
struct Difference: Hashable {
    enum Kind {
        case validity, length, mnemonic, size, operand, operandCount, flagsRead, flagsWritten, flagsUndefined
        case sensitivity, repetition, endOfBlock
    }

    /// Zydis's mnemonic, or ours if Zydis has none.
    var subject: String
    var kind: Kind
    var detail: String

    /// Why the disagreement is right, if it is a known one.
    var knownReason: String? {
        KnownDifference.all.first { known in
            (known.subjects.isEmpty || known.subjects.contains(subject)) && known.kinds.contains(kind)
                && (known.detail.isEmpty || detail.contains(known.detail))
        }?.reason
    }
}

/// A disagreement with Zydis 4.0 that is Zydis's choice or error.
struct KnownDifference {
    /// Mnemonics; empty for all.
    var subjects: Set<String> = []
    var kinds: Set<Difference.Kind>
    /// A part of `Difference.detail`.
    var detail = ""
    var reason: String

    // swift-format-ignore
    static let all: [KnownDifference] = [
        .init(subjects: ["nop"], kinds: [.operand, .operandCount, .size],
              reason: "SDM: NOP r/m; Zydis names ModRM.reg of reserved NOPs as well"),
        .init(subjects: ["xlat"], kinds: [.operand], reason: "Zydis leaves AL out of the address"),
        .init(subjects: ["lea"], kinds: [.operand], reason: "LEA accesses no memory: width and segment mean nothing"),
        .init(subjects: ["clflush", "clflushopt", "clwb"], kinds: [.operand], detail: "Mb width 8 for 512",
              reason: "SDM: m8; Zydis gives the size of the line"),
        .init(subjects: ["pblendvb", "blendvps", "blendvpd"], kinds: [.operandCount],
              reason: "SDM: <XMM0> is written; Zydis hides it"),
        .init(kinds: [.operand], detail: ":r13d+",
              reason: "SDM table 2-5: SIB.base = 5 with mod = 0 is no base whatever REX.B; Zydis errs with 67 only"),
        .init(subjects: ["wbinvd"], kinds: [.mnemonic], detail: "wbnoinvd", reason: "newer than Zydis 4.0"),
        .init(subjects: ["nop"], kinds: [.validity], detail: "theirs is rdssp",
              reason: "a NOP on processors without CET"),
        .init(subjects: ["movsxd"], kinds: [.operand], detail: "Ez width 16 for 32", reason: "SDM: MOVSXD r16, r/m16"),
        .init(subjects: ["lar"], kinds: [.operand], detail: "RzMw register", reason: "SDM: LAR r64, r32/m16"),
        .init(subjects: ["mwait"], kinds: [.operandCount], reason: "Zydis hides EAX and ECX"),
        .init(subjects: ["monitor", "mwait"], kinds: [.operand],
              reason: "SDM: ECX and EDX; Zydis takes the native width"),
        .init(subjects: ["call", "jmp"], kinds: [.operand], detail: "Ev memory ds",
              reason: "3E is NOTRACK for Zydis; without CET it is the override of DS"),
        .init(subjects: ["prefetchwt1"], kinds: [.mnemonic], detail: "prefetch",
              reason: "without PREFETCHWT1 a reserved hint"),

        .init(subjects: ["sbb"], kinds: [.flagsUndefined], detail: "ours [] theirs [AF]",
              reason: "SDM: AF is set by the result; Zydis errs in 1C and 1D only"),
        .init(subjects: ["rol", "ror", "rcl", "rcr", "shl", "shr", "sar"], kinds: [.flagsUndefined],
              detail: "ours [] theirs [OF]", reason: "SDM: OF is defined for 1-bit shifts"),
        .init(subjects: ["bextr"], kinds: [.flagsUndefined], detail: "ours [] theirs [CF OF]",
              reason: "SDM: all flags but ZF, AF, SF, PF are cleared"),
        .init(subjects: ["mov"], kinds: [.flagsWritten, .flagsUndefined], detail: "ours [CF PF AF ZF SF OF] theirs []",
              reason: "SDM: MOV to and from debug registers leaves the status flags undefined; AMD: unchanged"),
        .init(subjects: ["int", "int3", "int1", "into", "syscall"], kinds: [.flagsRead],
              reason: "all flags are saved; Zydis lists those that decide"),
        .init(subjects: ["int1"], kinds: [.flagsWritten], reason: "Zydis lists nothing, but delivery is that of INT3"),
        .init(subjects: ["int3"], kinds: [.flagsWritten], detail: "ours [] theirs [VIF]",
              reason: "SDM volume 3 section 22.3: only INT n is redirected by VME"),
        .init(subjects: ["cmpsb", "cmpsw", "cmpsd", "cmpsq", "scasb", "scasw", "scasd", "scasq"], kinds: [.flagsRead],
              detail: "ours [] theirs [ZF]", reason: "REPE tests ZF as the instruction has just set it"),
        .init(subjects: ["vmlaunch", "vmresume"], kinds: [.flagsRead], detail: "ours [] theirs [IOPL VM]",
              reason: "the SDM has no such condition"),
        .init(subjects: ["vmlaunch", "vmresume"], kinds: [.flagsWritten], detail: "ours [VM] theirs []",
              reason: "the guest's RFLAGS may have VM set"),
        .init(subjects: ["vmcall"], kinds: [.flagsRead, .flagsWritten], detail: "ours [] theirs",
              reason: "Zydis has the flags that a dual-monitor VM exit loads"),

        .init(subjects: ["in", "out", "insb", "insw", "insd", "outsb", "outsw", "outsd", "cli", "sti"],
              kinds: [.sensitivity], detail: "privileged",
              reason: "by IOPL and the I/O bitmap; Zydis counts CPL only"),
        .init(subjects: ["lgdt"], kinds: [.sensitivity], detail: "privileged", reason: "SDM: #GP if CPL > 0"),
        .init(subjects: ["rsm"], kinds: [.sensitivity], detail: "privileged", reason: "SDM: #UD outside SMM"),
        .init(subjects: ["vmcall", "vmfunc", "vmmcall", "vmrun", "vmload", "vmsave", "stgi", "clgi", "skinit"],
              kinds: [.sensitivity], detail: "privileged",
              reason: "SDM and APM: #UD or #GP where no hypervisor takes them"),
    ]
}
