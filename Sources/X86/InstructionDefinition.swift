/// How an instruction behaves when a deprivileged guest executes it (Popek and Goldberg 1974).
package enum Sensitivity: UInt8, Sendable {
    /// Touches only state the guest owns.
    case innocuous
    /// Faults outside ring 0, so trap-and-emulate sees it.
    case privileged
    /// Changes meaning outside ring 0 without a fault, so only translation or hardware sees it.
    case sensitiveUnprivileged
}

/// When hardware virtualization turns an instruction into an exit (SDM volume 3 chapter "VMX Non-root Operation").
///
/// Named for the VMX controls; SVM has an intercept of the same purpose for each (APM volume 2 section 15.9).
package enum ExitRule: UInt8, Sendable {
    case never, always
    case hltExiting, invlpgExiting, mwaitExiting, rdpmcExiting, rdtscExiting, movDRExiting
    case ioExiting, msrExiting, monitorExiting, pauseExiting, descriptorTableExiting, wbinvdExiting
    case rdrandExiting, rdseedExiting
    /// Exits by the RDTSC-exiting control; #UD unless "enable RDTSCP" is set.
    case rdtscpEnabled
    /// Exits by the INVLPG-exiting control; #UD unless "enable INVPCID" is set.
    case invpcidEnabled
    /// Exits by the XSS-exiting bitmap; #UD unless "enable XSAVES/XRSTORS" is set.
    case xsavesEnabled
    /// By the register: guest/host masks of CR0 and CR4, the CR3 and CR8 controls (SDM volume 3 section 26.1.3).
    case controlRegisterAccess
    /// Never under VMX; SVM has an intercept bit named for the instruction (PUSHF, IRET, VMLOAD …).
    case svmIntercept
}

/// The opcode map a row belongs to (SDM volume 2 appendix A).
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
    /// Neither F2 nor F3 may be present; 66 keeps its ordinary meaning (written NFx in the manuals).
    case noRepeat
    case x66, xF3, xF2
}

/// What the ModRM byte of a row must look like.
package enum ModRMForm: UInt8, Sendable {
    /// No ModRM byte; bits 0...2 of the opcode may hold a register (`OperandForm.Zv`).
    case absent
    /// Memory or register.
    case any
    /// mod != 3.
    case memory
    /// mod == 3.
    case register
    /// The processor takes mod as 3 whatever it holds (MOV to and from CR and DR).
    case registerWhateverMod
}

/// The code modes in which a row exists.
package enum ModeValidity: UInt8, Sendable { case always, not64, only64 }

/// How the operand size of a row comes about in 64-bit mode (SDM volume 2 section 2.2.1.7 and appendix A superscripts).
package enum OperandSizeRule: UInt8, Sendable {
    /// By the 66 prefix and REX.W.
    case normal
    /// 64 by default; 66 gives 16 (push, pop, …).
    case default64
    /// 64 always; 66 is ignored (near branches).
    case force64
    /// 64 with REX.W, else 32: 66 has no effect on the size (SSE conversions, MOVNTI, VEX-encoded rows).
    case ignore66
}

/// CPUID features that instructions depend on.
package enum InstructionFeature: UInt8, CaseIterable, Sendable {
    case base, fpu, cmov, cx8, cx16, mmx, mmxext, sse, sse2, sse3, ssse3, sse41, sse42, popcnt, lzcnt, bmi1, bmi2, adx,
        movbe
    case fxsr, xsave, xsavec, xsaveopt, xsaves, rdtscp, rdrand, rdseed, fsgsbase, rdpid, clflush, clflushopt, clwb,
        prefetchw
    case sep, syscall, invpcid, smap, monitor, longMode, vmx, svm, cet, wbnoinvd
}

/// One row of an opcode table: what every consumer needs to know about an encoding.
package struct InstructionDefinition: Sendable {
    package var map: OpcodeMap
    package var opcode: UInt8
    package var prefix: MandatoryPrefix
    package var modRM: ModRMForm
    /// The required value of ModRM.reg (the manuals' /digit).
    package var digit: UInt8?
    /// The required value of ModRM.rm; with `digit` and `.register` it names one exact byte, as in 0F 01 D0.
    package var rm: UInt8?
    /// True if the row is VEX-encoded (BMI) with VEX.L = 0; such rows never match legacy encodings.
    package var isVEX: Bool
    /// The required value of VEX.W or REX.W, where the row depends on it.
    package var w: Bool?
    /// The one operand size (16, 32 or 64) for which the row holds, where mnemonics differ by it.
    package var onlyOperandSize: UInt8?
    package var mode: ModeValidity
    package var sizeRule: OperandSizeRule
    package var operation: Operation
    /// The condition code of Jcc, SETcc, CMOVcc, FCMOVcc.
    package var condition: UInt8
    package var operands: [OperandForm]
    package var flags: FlagEffect
    package var sensitivity: Sensitivity
    package var exit: ExitRule
    package var feature: InstructionFeature
    /// True if LOCK is allowed when the first operand is memory.
    package var lockable: Bool
    /// True for string instructions that take REP or REPE/REPNE.
    package var repeatable: Bool
    /// True if execution never simply goes on with the next instruction of the same block: branches, mode and
    /// privilege changes, serializing instructions, I/O.
    package var endsBlock: Bool
    /// True if the row gives #UD in real-address and virtual-8086 mode, as all VEX-encoded rows do.
    package var protectedOnly: Bool
    /// True if another row is the documented encoding of the same instruction: decoded, never chosen by an assembler.
    package var isAlias: Bool

    /// Flags whose old value matters.
    package var reads: FlagSet { flags.reads }
    /// Flags that can change.
    package var writes: FlagSet { flags.writes }
    /// Flags whose value the manuals leave undefined afterwards (also part of `writes`).
    package var undefined: FlagSet { flags.undefined }

    /// True if the low three bits of the opcode hold a register, so that the row stands for eight opcodes.
    package var holdsRegisterInOpcode: Bool { operands.contains { $0.shape.place == .opcode } }

    /// One row; `opcode` is written with its escape bytes (0x0FA2, 0x0F38F0), `modRM` follows from the operands.
    init(
        _ opcode: UInt32, prefix: MandatoryPrefix = .any, digit: UInt8? = nil, rm: UInt8? = nil,
        modRM: ModRMForm? = nil, vex: Bool = false, w: Bool? = nil, size: UInt8? = nil, mode: ModeValidity = .always,
        _ operation: Operation, _ operands: [OperandForm] = [], _ flags: FlagEffect = .none,
        condition: UInt8 = 0, sizeRule: OperandSizeRule = .normal, sensitivity: Sensitivity = .innocuous,
        exit: ExitRule = .never,
        feature: InstructionFeature = .base, lockable: Bool = false, repeatable: Bool = false, endsBlock: Bool = false,
        protectedOnly: Bool = false, alias: Bool = false
    ) {
        self.map =
            switch opcode >> 8 {
            case 0: .primary
            case 0x0F38: .escape38
            case 0x0F3A: .escape3A
            default: .secondary
            }
        self.opcode = UInt8(truncatingIfNeeded: opcode)
        self.prefix = prefix
        self.digit = digit
        self.rm = rm
        let shapes = operands.map(\.shape)
        let usesModRM = digit != nil || shapes.contains { $0.place == .rm || $0.place == .reg }
        let rmShape = shapes.first { $0.place == .rm }
        self.modRM =
            if let modRM {
                modRM
            } else if rm != nil {
                .register
            } else if let rmShape {
                !rmShape.allowsRegister ? .memory : !rmShape.allowsMemory ? .register : .any
            } else {
                usesModRM ? .any : .absent
            }
        self.isVEX = vex
        self.w = w
        self.onlyOperandSize = size
        self.mode = mode
        self.sizeRule = sizeRule
        self.operation = operation
        self.condition = condition
        self.operands = operands
        self.flags = flags
        self.sensitivity = sensitivity
        self.exit = exit
        self.feature = feature
        self.lockable = lockable
        self.repeatable = repeatable
        self.endsBlock = endsBlock
        self.protectedOnly = protectedOnly || vex
        self.isAlias = alias
    }
}

extension [InstructionDefinition] {
    /// The same rows, each changed by `change`: for what a whole group of rows has in common.
    func with(_ change: (inout InstructionDefinition) -> Void) -> [InstructionDefinition] {
        map { row in
            var row = row
            change(&row)
            return row
        }
    }

    /// The same rows with a CPUID feature.
    func requiring(_ feature: InstructionFeature) -> [InstructionDefinition] { with { $0.feature = feature } }

    /// Sixteen rows from one: the condition code (SDM volume 1 appendix B) in the low bits of the opcode.
    static func conditional(
        _ opcode: UInt32, _ operation: Operation, _ operands: [OperandForm], sizeRule: OperandSizeRule = .normal,
        feature: InstructionFeature = .base
    ) -> [InstructionDefinition] {
        (UInt8(0)..<16).map { condition in
            InstructionDefinition(
                opcode + UInt32(condition), operation, operands, .reads(.tested(byCondition: condition)),
                condition: condition, sizeRule: sizeRule, feature: feature)
        }
    }
}
