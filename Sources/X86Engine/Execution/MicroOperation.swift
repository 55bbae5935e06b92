/// One predecoded instruction: 32 bytes, registers as byte offsets into `ProcessorState`, absolute addresses.
struct MicroOperation {
    /// What the hot loop switches over: an operation, the form of its operands (R register, M memory, I immediate,
    /// C the CL register; destination first) and the operand size in bits.
    enum Code: UInt8 {
        // Arithmetic and logic: register or memory first, register, memory or immediate second
        case addRR8, addRI8, addRM8, addMR8, addMI8, addRR32, addRI32, addRM32, addMR32, addMI32, addRR64, addRI64
        case addRM64, addMR64, addMI64, orRR8, orRI8, orRM8, orMR8, orMI8, orRR32, orRI32, orRM32, orMR32, orMI32
        case orRR64, orRI64, orRM64, orMR64, orMI64, andRR8, andRI8, andRM8, andMR8, andMI8, andRR32, andRI32
        case andRM32, andMR32, andMI32, andRR64, andRI64, andRM64, andMR64, andMI64, subRR8, subRI8, subRM8, subMR8
        case subMI8, subRR32, subRI32, subRM32, subMR32, subMI32, subRR64, subRI64, subRM64, subMR64, subMI64
        case xorRR8, xorRI8, xorRM8, xorMR8, xorMI8, xorRR32, xorRI32, xorRM32, xorMR32, xorMI32, xorRR64, xorRI64
        case xorRM64, xorMR64, xorMI64, cmpRR8, cmpRI8, cmpRM8, cmpMR8, cmpMI8, cmpRR32, cmpRI32, cmpRM32, cmpMR32
        case cmpMI32, cmpRR64, cmpRI64, cmpRM64, cmpMR64, cmpMI64, adcRR32, adcRI32, adcRR64, adcRI64, sbbRR32
        case sbbRI32, sbbRR64, sbbRI64, testRR8, testRI8, testMR8, testMI8, testRR32, testRI32, testMR32, testMI32
        case testRR64, testRI64, testMR64, testMI64, cmpMI16, cmpRM16, cmpRR16, cmpRI16, incR32, incR64, decR32
        case decR64, negR32, negR64, notR32, notR64, incM32, incM64, decM32, decM64
        // Shifts and rotates by an immediate or by CL
        case shlRI32, shlRI64, shrRI32, shrRI64, sarRI32, sarRI64, rolRI32, rolRI64, rorRI32, rorRI64, shlRC32
        case shlRC64, shrRC32, shrRC64, sarRC32, sarRC64
        // Multiplication and division
        case imulRR32, imulRRI32, imulRM32, mulR32, divR32, imulRR64, imulRRI64, imulRM64, mulR64, divR64
        // Moves
        case movRR8, movRI8, movRM8, movRR32, movRI32, movRM32, movRR64, movRI64, movRM64, movMR8, movMI8, movMR16
        case movMI16, movMR32, movMI32, movMR64, movMI64, movzxRR8, movzxRM8, movzxRR16, movzxRM16, movsxRR8to32
        case movsxRM8to32, movsxRR8to64, movsxRM8to64, movsxRR16to32, movsxRM16to32, movsxRR16to64, movsxRM16to64
        case movsxRR32to64, movsxRM32to64, lea32, lea64, xchgRR32, xchgMR32, xaddMR32, cmpxchgMR32, bswap32
        case cmovRR32, cmovRM32, btRR32, btRI32, xchgRR64, xchgMR64, xaddMR64, cmpxchgMR64, bswap64, cmovRR64
        case cmovRM64, btRR64, btRI64, cdq, cqo, setR
        // Stack
        case pushR32, pushI32, popR32, pushR64, pushI64, popR64, pushM64, leave64, nop, fence
        /// Executes the `Instruction` whose address is in `immediate` outside the hot loop, and goes on.
        case slow
        // Block ends
        /// Executes the `Instruction` whose address is in `immediate` outside the hot loop; the dispatcher goes on.
        case slowEnd
        /// Leaves the block before this instruction: the end of a truncated block, or the place after an instruction that asked for attention.
        case leave
        /// Goes on with the next block; no instruction itself.
        case fallThrough
        case jmp, jo, jno, jb, jae, je, jne, jbe, ja, js, jns, jp, jnp, jl, jge, jle, jg, callRel32, ret32
        case callRel64, ret64, jmpR64, jmpM64, callR64, callM64
        /// Branches of a monitor's code that retire no instruction of the guest.
        case hiddenJmpM64, hiddenJrcxz
    }

    var code: Code
    /// Byte offset of the destination register in `ProcessorState`.
    var destination: UInt8 = 0
    /// Byte offset of the source register.
    var source: UInt8 = 0
    /// Byte offsets of base and index register, or of `zero`.
    var base: UInt8 = Self.zero
    var index: UInt8 = Self.zero
    /// Log 2 of the scale.
    var shift: UInt8 = 0
    /// Byte offset of the segment base to add: FS.base, GS.base or `zero`.
    var segmentBase: UInt8 = Self.zero
    /// Position in the block, counted in instructions.
    var position: UInt8
    var displacement: Int64 = 0
    /// The immediate, a branch target, a condition, or the address of an `Instruction`.
    var immediate: UInt64 = 0
    /// RIP of the next instruction in bits 0...55, the instruction's length above.
    private var ripAndLength: UInt64

    /// The byte offset of `ProcessorState.zero`.
    static let zero: UInt8 = 128

    init(_ code: Code, length: UInt8, position: UInt8, nextRIP: UInt64) {
        self.code = code
        self.position = position
        ripAndLength = UInt64(length) << 56 | nextRIP & 0x00FF_FFFF_FFFF_FFFF
    }

    /// RIP of the next instruction.
    @inline(__always)
    var nextRIP: UInt64 { UInt64(bitPattern: Int64(bitPattern: ripAndLength << 8) >> 8) }

    /// RIP of this instruction.
    var rip: UInt64 { nextRIP &- ripAndLength >> 56 }
}

extension MicroOperation.Code {
    /// Whether the operation is the last of its block; the links follow it then.
    var endsBlock: Bool { rawValue >= Self.slowEnd.rawValue }
}
