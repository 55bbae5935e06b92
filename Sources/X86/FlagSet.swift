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

    /// The flags that decide condition code 0...15 (SDM volume 1 appendix B).
    package static func tested(byCondition condition: UInt8) -> FlagSet {
        switch condition >> 1 & 7 {
        case 0: .OF
        case 1: .CF
        case 2: .ZF
        case 3: [.CF, .ZF]
        case 4: .SF
        case 5: .PF
        case 6: [.SF, .OF]
        default: [.ZF, .SF, .OF]
        }
    }
}

/// What a row does to the flags, by the SDM's sections "Flags Affected".
package struct FlagEffect: Sendable {
    package var reads: FlagSet = []
    package var writes: FlagSet = []
    /// Part of `writes`.
    package var undefined: FlagSet = []
    /// True if some executions leave `writes` unchanged.
    package var isConditional = false

    static let none = FlagEffect()
    /// ADD SUB CMP NEG XADD CMPXCHG.
    static let arithmetic = FlagEffect(writes: .status)
    /// ADC SBB.
    static let carryArithmetic = FlagEffect(reads: .CF, writes: .status)
    /// AND OR XOR TEST.
    static let logic = FlagEffect(writes: .status, undefined: .AF)
    /// INC DEC.
    static let increment = FlagEffect(writes: [.PF, .AF, .ZF, .SF, .OF])
    static let multiply = FlagEffect(writes: .status, undefined: [.SF, .ZF, .AF, .PF])
    static let divide = FlagEffect(writes: .status, undefined: .status)
    /// Shifts by one.
    static let shiftOne = FlagEffect(writes: .status, undefined: .AF)
    /// Shifts by CL or an immediate, where OF is only defined for a count of 1 and a count of 0 changes nothing.
    static let shift = FlagEffect(writes: .status, undefined: [.AF, .OF], isConditional: true)
    static let rotateOne = FlagEffect(writes: [.CF, .OF])
    static let rotate = FlagEffect(writes: [.CF, .OF], undefined: .OF, isConditional: true)
    static let carryRotateOne = FlagEffect(reads: .CF, writes: [.CF, .OF])
    static let carryRotate = FlagEffect(reads: .CF, writes: [.CF, .OF], undefined: .OF, isConditional: true)
    /// BT BTS BTR BTC; ZF is kept.
    static let bitTest = FlagEffect(writes: [.CF, .PF, .AF, .SF, .OF], undefined: [.PF, .AF, .SF, .OF])
    /// BSF BSR.
    static let bitScan = FlagEffect(writes: .status, undefined: [.CF, .PF, .AF, .SF, .OF])
    /// TZCNT LZCNT.
    static let zeroCount = FlagEffect(writes: .status, undefined: [.PF, .AF, .SF, .OF])
    /// ANDN BLSI BLSMSK BLSR BZHI.
    static let bitManipulation = FlagEffect(writes: .status, undefined: [.PF, .AF])
    static let bitExtract = FlagEffect(writes: .status, undefined: [.PF, .AF, .SF])
    /// DAA DAS.
    static let decimalAdjust = FlagEffect(reads: [.CF, .AF], writes: .status, undefined: .OF)
    /// AAA AAS.
    static let asciiAdjust = FlagEffect(reads: .AF, writes: .status, undefined: [.OF, .SF, .ZF, .PF])
    /// AAM AAD.
    static let asciiMultiplyAdjust = FlagEffect(writes: .status, undefined: [.OF, .AF, .CF])
    /// Every status flag gets a defined value: COMISS PTEST PCMPxSTRx RDRAND POPCNT and the VMX instructions.
    static let setsStatus = FlagEffect(writes: .status)
    /// CMPXCHG8B LAR LSL VERR VERW ARPL.
    static let setsZF = FlagEffect(writes: .ZF)
    /// String instructions that do not compare.
    static let string = FlagEffect(reads: .DF)
    /// CMPS SCAS; with REP and rCX = 0 nothing changes.
    static let stringCompare = FlagEffect(reads: .DF, writes: .status, isConditional: true)
    /// INT3, INT1: all are pushed, some cleared on delivery as the gate says (SDM volume 3 section 6.12.1).
    static let interrupt = FlagEffect(reads: .all, writes: [.TF, .IF, .NT, .RF, .VM, .AC], isConditional: true)
    /// INT n in virtual-8086 mode may clear VIF instead of IF (SDM volume 3 section 21.3).
    static let softwareInterrupt = FlagEffect(
        reads: .all, writes: [.TF, .IF, .NT, .RF, .VM, .AC, .VIF], isConditional: true)

    static let interruptOnOverflow = FlagEffect(
        reads: .all, writes: [.TF, .IF, .NT, .RF, .VM, .AC], isConditional: true)
    /// SYSCALL: R11 gets all, IA32_FMASK clears any.
    static let systemCall = FlagEffect(reads: .all, writes: .all)
    static let interruptReturn = FlagEffect(reads: [.NT, .VM, .IOPL], writes: .all)
    /// POPF: IOPL and IF change by privilege, VIF stands for IF with VME; VM and VIP do not change, RF is cleared.
    static let popFlags = FlagEffect(reads: [.IOPL, .VM, .VIP], writes: FlagSet.all.subtracting([.VM, .VIP]))
    /// CLI STI.
    static let interruptFlag = FlagEffect(reads: .IOPL, writes: [.IF, .VIF], isConditional: true)
    /// INS OUTS.
    static let portString = FlagEffect(reads: [.DF, .IOPL])
    static let complementCarry = FlagEffect(reads: .CF, writes: .CF)
    /// SHLD SHRD.
    static let doubleShift = FlagEffect(writes: .status, undefined: [.AF, .OF], isConditional: true)
    /// MOV to and from control and debug registers.
    static let undefinedStatus = FlagEffect(writes: .status, undefined: .status)

    /// ADCX and ADOX: one flag is both carry in and carry out.
    static func carryChain(_ flag: FlagSet) -> FlagEffect { FlagEffect(reads: flag, writes: flag) }
    static func reads(_ flags: FlagSet) -> FlagEffect { FlagEffect(reads: flags) }
    static func writes(_ flags: FlagSet) -> FlagEffect { FlagEffect(writes: flags) }
}
