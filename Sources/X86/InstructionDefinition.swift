/// How an instruction behaves when a deprivileged guest executes it (Popek and Goldberg 1974).
package enum Sensitivity: UInt8, Sendable {
    /// Touches only state the guest owns.
    case innocuous
    /// Faults outside ring 0, so trap-and-emulate sees it.
    case privileged
    /// Changes meaning outside ring 0 without a fault, so only translation or hardware sees it.
    case sensitiveUnprivileged
}

/// When hardware virtualization turns an instruction into an exit (SDM vol. 3 chapter "VMX Non-root Operation").
package enum ExitRule: UInt8, Sendable {
    case never, always
    case hltExiting, invlpgExiting, mwaitExiting, rdpmcExiting, rdtscExiting, cr3Exiting, cr8Exiting, movDRExiting
    case ioExiting, msrExiting, monitorExiting, pauseExiting, descriptorTableExiting, rdtscpEnabled, wbinvdExiting
    case rdrandExiting, rdseedExiting, invpcidEnabled, xsavesEnabled, controlRegisterMask
}

/// The status and control flags of RFLAGS that instructions name.
package struct FlagSet: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let CF = FlagSet(rawValue: 1 << 0)
    package static let PF = FlagSet(rawValue: 1 << 2)
    package static let AF = FlagSet(rawValue: 1 << 4)
    package static let ZF = FlagSet(rawValue: 1 << 6)
    package static let SF = FlagSet(rawValue: 1 << 7)
    package static let TF = FlagSet(rawValue: 1 << 8)
    package static let IF = FlagSet(rawValue: 1 << 9)
    package static let DF = FlagSet(rawValue: 1 << 10)
    package static let OF = FlagSet(rawValue: 1 << 11)
    package static let IOPL = FlagSet(rawValue: 3 << 12)
    package static let NT = FlagSet(rawValue: 1 << 14)
    package static let RF = FlagSet(rawValue: 1 << 16)
    package static let VM = FlagSet(rawValue: 1 << 17)
    package static let AC = FlagSet(rawValue: 1 << 18)
    package static let VIF = FlagSet(rawValue: 1 << 19)
    package static let VIP = FlagSet(rawValue: 1 << 20)
    package static let ID = FlagSet(rawValue: 1 << 21)

    /// CF PF AF ZF SF OF.
    package static let status: FlagSet = [.CF, .PF, .AF, .ZF, .SF, .OF]
    /// Every flag an instruction can change.
    package static let all = FlagSet(rawValue: 0x3F_7FD5)
}

/// The opcode map a row belongs to (SDM vol. 2 appendix A).
package enum OpcodeMap: UInt8, CaseIterable, Sendable {
    case primary
    /// 0F xx.
    case secondary
    /// 0F 38 xx.
    case escape38
    /// 0F 3A xx.
    case escape3A
}

/// The mandatory prefix that is part of an opcode.
package enum MandatoryPrefix: UInt8, Sendable {
    /// The row does not look at 66, F2 and F3: they keep their ordinary meaning.
    case any
    /// None of 66, F2, F3 may be present (written NP in the manuals).
    case none
    case x66, xF3, xF2
}

/// What the ModRM byte of a row must look like.
package enum ModRMForm: UInt8, Sendable {
    /// No ModRM byte; bits 0...2 of the opcode may hold a register (`OperandForm.z…`).
    case absent
    /// Memory or register.
    case any
    /// mod != 3.
    case memory
    /// mod == 3.
    case register
}

/// The code modes in which a row exists.
package enum ModeValidity: UInt8, Sendable { case always, not64, only64 }

/// How the operand size of a row comes about in 64-bit mode (SDM vol. 2 section 2.2.1.7 and appendix A superscripts).
package enum OperandSizeRule: UInt8, Sendable {
    /// By the 66 prefix and REX.W.
    case normal
    /// 64 by default; 66 gives 16 (push, pop, …).
    case default64
    /// 64 always; 66 is ignored (near branches).
    case force64
    /// 64 with REX.W, else 32: 66 has no effect on the size (SSE conversions, MOVNTI, VEX-coded ones).
    case ignore66
}

/// CPUID features that instructions depend on.
package enum InstructionFeature: UInt8, CaseIterable, Sendable {
    case base, fpu, cmov, cx8, cx16, mmx, mmxext, sse, sse2, sse3, ssse3, sse41, sse42, popcnt, lzcnt, bmi1, bmi2, adx, movbe
    case fxsr, xsave, xsavec, xsaveopt, xsaves, rdtscp, rdrand, rdseed, fsgsbase, rdpid, clflush, clflushopt, clwb, prefetchw
    case sep, syscall, invpcid, smap, monitor, longMode, vmx, svm, cet, wbnoinvd
}

/// An operand as the manuals' opcode maps write it (SDM vol. 2 appendix A.2).
///
/// First letter: E general register or memory by ModRM, G general register by ModRM.reg, M memory only, R register
/// by ModRM.rm only, Z register in the opcode's low bits, I immediate, J relative, O moffs, S segment, C control, D debug,
/// P MMX by reg, Q MMX or memory, N MMX by rm, V XMM by reg, W XMM or memory, U XMM by rm, B general register by
/// VEX.vvvv, X DS:rSI, Y ES:rDI. Second: b 8, w 16, d 32, q 64, dq 128, v 16/32/64, y 32/64, z 16/32, p far.
package enum OperandForm: UInt8, CaseIterable, Sendable {
    case Eb, Ew, Ed, Eq, Ev, Ey
    case Gb, Gw, Gd, Gq, Gv, Gy, Gz
    case Zb, Zv, Zq
    case Ib, Iw, Id, Iz, Iv
    /// An 8-bit immediate sign-extended to the operand size.
    case sIb
    /// The second immediate: ENTER's nesting level, EXTRQ-like forms.
    case Ib2
    /// The constant 1 of the short shift forms.
    case one
    case Jb, Jz
    /// Direct far pointer ptr16:16 or ptr16:32.
    case Ap
    /// Memory far pointer m16:16, m16:32, m16:64.
    case Mp
    case Ob, Ov
    case Sw
    case Cd, Dd
    /// General register by rm of the native width: 64 in 64-bit mode, else 32 (MOV to and from CR and DR).
    case Rn
    case Rv, Ry, Rd
    /// Word register by ModRM.rm or 16-bit memory whatever the operand size; registers take the operand size (MOV Ev, Sw).
    case RvMw
    /// Double-word register or byte / word memory (PINSRB, PEXTRB, PEXTRW).
    case RdMb, RdMw
    case By
    /// Memory of the given width; `M` has none (LEA, CLFLUSH, INVLPG …).
    case M, Mb, Mw, Md, Mq, Mdq, Mv, My, Mz
    /// m16&32 or m16&64 pseudo-descriptor (LGDT …).
    case Ms
    /// m16&16 / m32&32 of BOUND.
    case Ma
    /// x87 memory operands.
    case Mf32, Mf64, Mf80, Mi16, Mi32, Mi64, Mbcd80, Menv, Mstate
    /// State areas: 512 bytes of FXSAVE and the XSAVE area.
    case M512, Mxsave
    case Pq, Qd, Qq, Nq
    case Vx, Vq, Vd, Vw
    case Wdq, Wq, Wd, Ww
    case Udq, Uq, Ud
    /// XMM0 as implicit operand (BLENDVPS and the like).
    case XMM0
    case AL, CL, AX, CX, DX, EAX, RAX
    /// rAX by operand size.
    case rAX
    case ES, CS, SS, DS, FS, GS
    /// String operands.
    case Xb, Xv, Xz, Yb, Yv, Yz
    /// ST(0) and ST(i).
    case ST0, STi
    /// rAX/EAX by address size as an address (MONITOR, VMRUN, INVLPGA).
    case addressRAX
    case ECX
}

/// One row of an opcode table: what every consumer needs to know about an encoding.
package struct InstructionDefinition: Sendable {
    package var map: OpcodeMap
    package var opcode: UInt8
    package var prefix: MandatoryPrefix = .any
    package var modRM: ModRMForm = .absent
    /// The required value of ModRM.reg (the manuals' /digit).
    package var digit: UInt8?
    /// The required value of ModRM.rm; with `digit` and `.register` it names one exact byte, as in 0F 01 D0.
    package var rm: UInt8?
    /// True if the row is VEX-encoded (BMI); such rows never match legacy encodings.
    package var isVEX = false
    /// The required value of VEX.W or REX.W, where the row depends on it.
    package var w: Bool?
    /// The one operand size (16, 32 or 64) for which the row holds, where mnemonics differ by it.
    package var onlyOperandSize: UInt8?
    package var mode: ModeValidity = .always
    package var sizeRule: OperandSizeRule = .normal
    package var operation: Operation
    /// The condition code of Jcc, SETcc, CMOVcc, FCMOVcc.
    package var condition: UInt8 = 0
    package var operands: [OperandForm]
    package var reads: FlagSet = []
    package var writes: FlagSet = []
    /// Flags whose value the manuals leave undefined afterwards (also part of `writes`).
    package var undefined: FlagSet = []
    package var sensitivity: Sensitivity = .innocuous
    package var exit: ExitRule = .never
    package var feature: InstructionFeature = .base
    package var lockable = false
    /// True for string instructions that take REP or REPE/REPNE.
    package var repeatable = false
    /// True if execution never simply goes on with the next instruction of the same block: branches, mode and
    /// privilege changes, serializing instructions, I/O.
    package var endsBlock = false
}
