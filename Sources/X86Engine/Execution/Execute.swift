import X86

extension Processor {
    /// Executes one decoded instruction completely.
    ///
    /// On entry `state.rip` is its address and `state.nextRIP` the following one; control transfers change `nextRIP`.
    /// A thrown fault leaves the state as it was before the instruction, but for what the manuals say is kept.
    package func execute(_ instruction: borrowing Instruction) throws(Fault) {
        switch instruction.operation {
        // Data transfer
        case .mov, .movnti: try mov(instruction)
        case .movsx, .movsxd: try moveSignExtended(instruction)
        case .movzx: try moveZeroExtended(instruction)
        case .movbe: try moveSwapped(instruction)
        case .cmovcc: try moveConditionally(instruction)
        case .setcc: try setByte(instruction)
        case .xchg: try exchange(instruction)
        case .bswap: byteSwap(instruction)
        case .xadd: try exchangeAndAdd(instruction)
        case .cmpxchg: try compareAndExchange(instruction)
        case .cmpxchg8b: try compareAndExchangePair(instruction, half: 32)
        case .cmpxchg16b: try compareAndExchangePair(instruction, half: 64)
        case .cbw, .cwde, .cdqe: extendAccumulator(instruction)
        case .cwd, .cdq, .cqo: extendIntoData(instruction)
        case .lea: loadEffectiveAddress(instruction)
        case .xlat: try translateByte(instruction)
        case .push: try push(instruction)
        case .pop: try pop(instruction)
        case .pusha: try pushAll(instruction)
        case .popa: try popAll(instruction)
        case .enter: try enter(instruction)
        case .leave: try leave(instruction)

        // Arithmetic and logic
        case .add: try add(instruction)
        case .adc: try add(instruction, carry: state.pointee.CF)
        case .sub: try subtract(instruction)
        case .sbb: try subtract(instruction, borrow: state.pointee.CF)
        case .cmp: try compare(instruction)
        case .and: try combine(instruction) { $0 & $1 }
        case .or: try combine(instruction) { $0 | $1 }
        case .xor: try combine(instruction) { $0 ^ $1 }
        case .test: try test(instruction)
        case .inc: try increment(instruction)
        case .dec: try decrement(instruction)
        case .neg: try negate(instruction)
        case .not: try complement(instruction)
        case .mul: try multiply(instruction)
        case .imul: try multiplySigned(instruction)
        case .mulx: try multiplyWithoutFlags(instruction)
        case .div: try divide(instruction)
        case .idiv: try divideSigned(instruction)
        case .adcx: try addChained(instruction, carryFlag: RFLAGS.CF)
        case .adox: try addChained(instruction, carryFlag: RFLAGS.OF)
        case .daa: decimalAdjust(subtracting: false)
        case .das: decimalAdjust(subtracting: true)
        case .aaa: asciiAdjust(subtracting: false)
        case .aas: asciiAdjust(subtracting: true)
        case .aam: try asciiAdjustAfterMultiplication(instruction)
        case .aad: asciiAdjustBeforeDivision(instruction)
        case .salc: setFromCarry()

        // Shifts, rotates and bits
        case .rol: try rotate(instruction, left: true)
        case .ror: try rotate(instruction, left: false)
        case .rcl: try rotateThroughCarry(instruction, left: true)
        case .rcr: try rotateThroughCarry(instruction, left: false)
        case .shl: try shift(instruction, .left)
        case .shr: try shift(instruction, .right)
        case .sar: try shift(instruction, .rightArithmetic)
        case .shld: try doubleShift(instruction, left: true)
        case .shrd: try doubleShift(instruction, left: false)
        case .shlx: try shiftWithoutFlags(instruction, .left)
        case .shrx: try shiftWithoutFlags(instruction, .right)
        case .sarx: try shiftWithoutFlags(instruction, .rightArithmetic)
        case .rorx: try rotateWithoutFlags(instruction)
        case .bt: try testBit(instruction, .none)
        case .bts: try testBit(instruction, .set)
        case .btr: try testBit(instruction, .reset)
        case .btc: try testBit(instruction, .complement)
        case .bsf: try scanBits(instruction, reverse: false)
        case .bsr: try scanBits(instruction, reverse: true)
        case .tzcnt: try countZeros(instruction, leading: false)
        case .lzcnt: try countZeros(instruction, leading: true)
        case .popcnt: try countOnes(instruction)
        case .crc32: try accumulateCRC32(instruction)
        case .andn: try andNot(instruction)
        case .blsi: try lowestBit(instruction, carryIfZero: false) { $0 & (0 &- $0) }
        case .blsmsk: try lowestBit(instruction, carryIfZero: true) { $0 ^ ($0 &- 1) }
        case .blsr: try lowestBit(instruction, carryIfZero: true) { $0 & ($0 &- 1) }
        case .bextr: try extractBits(instruction)
        case .bzhi: try zeroHighBits(instruction)
        case .pdep: try depositBits(instruction)
        case .pext: try gatherBits(instruction)

        // Near control transfer
        case .jcc: try jumpConditionally(instruction)
        case .jcxz: try jumpIfCounterIsZero(instruction)
        case .loop: try loop(instruction)
        case .loope: try loop(instruction, whileZF: true)
        case .loopne: try loop(instruction, whileZF: false)
        case .jmp: try jump(instruction)
        case .call: try call(instruction)
        case .ret: try returnNear(instruction)
        case .bound: try checkBounds(instruction)
        case .ud0, .ud1, .ud2: throw .invalidOpcode

        // Strings
        case .movs: try moveString(instruction)
        case .cmps: try compareStrings(instruction)
        case .scas: try scanString(instruction)
        case .lods: try loadString(instruction)
        case .stos: try storeString(instruction)
        case .ins: try inputString(instruction)
        case .outs: try outputString(instruction)

        // Flags, hints and caches
        case .clc: setCarry(false)
        case .stc: setCarry(true)
        case .cmc: setCarry(!state.pointee.CF)
        case .cld: setDirection(false)
        case .std: setDirection(true)
        case .lahf: loadFlags()
        case .sahf: storeFlags()
        case .nop, .pause, .endbr32, .endbr64, .prefetch, .prefetchw, .prefetchnta, .prefetcht0, .prefetcht1,
            .prefetcht2, .lfence, .mfence, .sfence:
            break
        case .clflush, .clflushopt, .clwb: try flushLine(instruction)

        // Far control transfer and interrupts
        case .jmpFar: try transferFar(instruction, isCall: false)
        case .callFar: try transferFar(instruction, isCall: true)
        case .retFar: try returnFar(instruction)
        case .iret: try interruptReturn(instruction)
        case .int: try softwareInterrupt(instruction)
        case .int3: try softwareException(3, .softwareException)
        case .into: if state.pointee.OF { try softwareException(4, .softwareException) }
        case .int1: try softwareException(1, .privilegedSoftwareException)
        case .syscall: try systemCall()
        case .sysret: try systemReturn(instruction)
        case .sysenter: try systemEnter()
        case .sysexit: try systemExit(instruction)

        // Segments and descriptor tables
        case .lds: try loadFarPointer(instruction, .ds)
        case .les: try loadFarPointer(instruction, .es)
        case .lfs: try loadFarPointer(instruction, .fs)
        case .lgs: try loadFarPointer(instruction, .gs)
        case .lss: try loadFarPointer(instruction, .ss)
        case .swapgs: try swapGS()
        case .rdfsbase: try readSegmentBase(instruction, .fs)
        case .rdgsbase: try readSegmentBase(instruction, .gs)
        case .wrfsbase: try writeSegmentBase(instruction, .fs)
        case .wrgsbase: try writeSegmentBase(instruction, .gs)
        case .lgdt: try loadGDTR(instruction)
        case .lidt: try loadIDTR(instruction)
        case .sgdt: try storeTableRegister(instruction, state.pointee.gdtr)
        case .sidt: try storeTableRegister(instruction, state.pointee.idtr)
        case .lldt: try loadLDTR(instruction)
        case .ltr: try loadTaskRegister(instruction)
        case .sldt: try storeSelector(instruction, state.pointee.ldtr.selector)
        case .str: try storeSelector(instruction, state.pointee.tr.selector)
        case .arpl: try adjustRequestedPrivilegeLevel(instruction)
        case .lar: try loadAccessRights(instruction, limit: false)
        case .lsl: try loadAccessRights(instruction, limit: true)
        case .verr: try verifySegment(instruction, write: false)
        case .verw: try verifySegment(instruction, write: true)

        // Flags of the system, control registers, processor control
        case .pushf: try pushFlags(instruction)
        case .popf: try popFlags(instruction)
        case .cli: try clearInterruptFlag()
        case .sti: try setInterruptFlag()
        case .clac: try setAlignmentCheckFlag(false)
        case .stac: try setAlignmentCheckFlag(true)
        case .lmsw: try loadMachineStatus(instruction)
        case .smsw: try storeMachineStatus(instruction)
        case .clts: try clearTaskSwitched()
        case .xgetbv: try readExtendedControlRegister()
        case .xsetbv: try writeExtendedControlRegister()
        case .in: try input(instruction)
        case .out: try output(instruction)
        case .hlt: try halt()
        case .invd, .wbinvd, .wbnoinvd: try controlCaches()
        case .invlpg: try invalidatePage(instruction)
        case .invpcid: try invalidateProcessContext(instruction)
        case .rdmsr: try readMSRInstruction()
        case .wrmsr: try writeMSRInstruction()
        case .rdtsc: try readTimeStampCounter()
        case .rdtscp: try readTimeStampCounterAndProcessor()
        case .rdpid: try readProcessorIdentifier(instruction)
        case .rdpmc: try readPerformanceCounter()
        case .cpuid: try identify()
        case .rdrand, .rdseed: readRandomNumber(instruction)
        case .vmcall: try callMonitor()
        case .vmmcall: try hypercall()
        case .vmxon: try enterVMXOperation(instruction)
        case .vmxoff: try leaveVMXOperation()
        case .vmptrld: try loadVMCSPointer(instruction)
        case .vmptrst: try storeVMCSPointer(instruction)
        case .vmclear: try clearVMCS(instruction)
        case .vmread: try readVMCSField(instruction)
        case .vmwrite: try writeVMCSField(instruction)
        case .vmlaunch, .vmresume: try enterGuest(instruction)
        case .invept: try invalidateExtendedTranslations(instruction)
        case .invvpid: try invalidateVirtualProcessorTranslations(instruction)
        case .vmrun: try runVirtualMachine(instruction)
        case .vmload: try loadFromVMCB(instruction)
        case .vmsave: try saveToVMCB(instruction)
        case .stgi: try setGlobalInterruptFlag(true)
        case .clgi: try setGlobalInterruptFlag(false)
        case .invlpga: try invalidatePageOfGuest(instruction)
        // No model has these (outside system-management mode RSM is invalid as well).
        case .rsm, .monitor, .mwait, .vmfunc, .skinit:
            throw .invalidOpcode

        // State save areas
        case .fxsave: try fxsave(instruction)
        case .fxrstor: try fxrstor(instruction)
        case .xsave: try xsave(instruction, isOptimized: false)
        case .xsaveopt: try xsave(instruction, isOptimized: true)
        case .xsavec: try xsaveCompacted(instruction, isSupervisor: false)
        case .xsaves: try xsaveCompacted(instruction, isSupervisor: true)
        case .xrstor: try xrstor(instruction, isSupervisor: false)
        case .xrstors: try xrstor(instruction, isSupervisor: true)
        case .ldmxcsr: try ldmxcsr(instruction)
        case .stmxcsr: try stmxcsr(instruction)

        // x87: data transfer and constants
        case .fld: try fld(instruction)
        case .fst: try fst(instruction, pops: false)
        case .fstp: try fst(instruction, pops: true)
        case .fild: try fild(instruction)
        case .fist: try fist(instruction, pops: false)
        case .fistp: try fist(instruction, pops: true)
        case .fisttp: try fisttp(instruction)
        case .fbld: try fbld(instruction)
        case .fbstp: try fbstp(instruction)
        case .fxch: try fxch(instruction)
        case .fcmovcc: try fcmov(instruction)
        case .fld1: try loadConstant(instruction, .one)
        case .fldz: try loadConstant(instruction, .zero)
        case .fldpi: try loadConstant(instruction, .pi)
        case .fldl2e: try loadConstant(instruction, .log2OfE)
        case .fldl2t: try loadConstant(instruction, .log2Of10)
        case .fldlg2: try loadConstant(instruction, .log10Of2)
        case .fldln2: try loadConstant(instruction, .logOf2)

        // x87: arithmetic
        case .fadd: try x87Arithmetic(instruction, { $0.add($1, $2) })
        case .faddp: try x87Arithmetic(instruction, { $0.add($1, $2) }, pops: true)
        case .fiadd: try x87Arithmetic(instruction, { $0.add($1, $2) }, isInteger: true)
        case .fsub: try x87Arithmetic(instruction, { $0.subtract($1, $2) })
        case .fsubp: try x87Arithmetic(instruction, { $0.subtract($1, $2) }, pops: true)
        case .fisub: try x87Arithmetic(instruction, { $0.subtract($1, $2) }, isInteger: true)
        case .fsubr: try x87Arithmetic(instruction, { $0.subtract($1, $2) }, isReversed: true)
        case .fsubrp: try x87Arithmetic(instruction, { $0.subtract($1, $2) }, isReversed: true, pops: true)
        case .fisubr: try x87Arithmetic(instruction, { $0.subtract($1, $2) }, isReversed: true, isInteger: true)
        case .fmul: try x87Arithmetic(instruction, { $0.multiply($1, $2) })
        case .fmulp: try x87Arithmetic(instruction, { $0.multiply($1, $2) }, pops: true)
        case .fimul: try x87Arithmetic(instruction, { $0.multiply($1, $2) }, isInteger: true)
        case .fdiv: try x87Arithmetic(instruction, { $0.divide($1, $2) })
        case .fdivp: try x87Arithmetic(instruction, { $0.divide($1, $2) }, pops: true)
        case .fidiv: try x87Arithmetic(instruction, { $0.divide($1, $2) }, isInteger: true)
        case .fdivr: try x87Arithmetic(instruction, { $0.divide($1, $2) }, isReversed: true)
        case .fdivrp: try x87Arithmetic(instruction, { $0.divide($1, $2) }, isReversed: true, pops: true)
        case .fidivr: try x87Arithmetic(instruction, { $0.divide($1, $2) }, isReversed: true, isInteger: true)
        case .fprem:
            try x87Function2(instruction, givesQuotient: true) { $0.remainder($1, by: $2) }
        case .fprem1:
            try x87Function2(instruction, givesQuotient: true) { $0.ieeeRemainder($1, by: $2) }
        case .fabs: try x87Function(instruction) { $1.magnitude }
        case .fchs: try x87Function(instruction) { $1.negated }
        case .frndint: try x87Function(instruction) { $0.roundToIntegral($1) }
        case .fscale: try x87Function2(instruction) { $0.scale($1, by: $2) }
        case .fsqrt: try x87Function(instruction) { $0.squareRoot($1) }
        case .fxtract: try x87FunctionPushing(instruction, codes: X87Status.C1) { $0.extract($1) }

        // x87: comparison
        case .fcom: try x87Compare(instruction)
        case .fcomp: try x87Compare(instruction, pops: 1)
        case .fcompp: try x87Compare(instruction, pops: 2)
        case .fucom: try x87Compare(instruction, signalsQuietNaN: false)
        case .fucomp: try x87Compare(instruction, signalsQuietNaN: false, pops: 1)
        case .fucompp: try x87Compare(instruction, signalsQuietNaN: false, pops: 2)
        case .ficom: try x87Compare(instruction, isInteger: true)
        case .ficomp: try x87Compare(instruction, isInteger: true, pops: 1)
        case .ftst: try x87Compare(instruction, isTest: true)
        case .fcomi: try x87CompareToFlags(instruction, signalsQuietNaN: true)
        case .fcomip: try x87CompareToFlags(instruction, signalsQuietNaN: true, pops: true)
        case .fucomi: try x87CompareToFlags(instruction, signalsQuietNaN: false)
        case .fucomip: try x87CompareToFlags(instruction, signalsQuietNaN: false, pops: true)
        case .fxam: try fxam(instruction)

        // x87: transcendental functions
        case .fsin: try x87Function(instruction, codes: X87Status.C1 | X87Status.C2) { $0.sine($1) }
        case .fcos: try x87Function(instruction, codes: X87Status.C1 | X87Status.C2) { $0.cosine($1) }
        case .fsincos:
            try x87FunctionPushing(instruction, codes: X87Status.C1 | X87Status.C2) { $0.sineAndCosine($1) }
        case .fptan: try x87FunctionPushing(instruction, codes: X87Status.C1 | X87Status.C2) { $0.tangent($1) }
        case .fpatan: try x87FunctionPopping(instruction) { $0.arcTangent($2, over: $1) }
        case .f2xm1: try x87Function(instruction) { $0.exponential2MinusOne($1) }
        case .fyl2x: try x87FunctionPopping(instruction) { $0.logarithm2($1, times: $2) }
        case .fyl2xp1: try x87FunctionPopping(instruction) { $0.logarithm2OfOnePlus($1, times: $2) }

        // x87: control
        case .fincstp: try moveTop(by: 1)
        case .fdecstp: try moveTop(by: -1)
        case .ffree: try ffree(instruction, pops: false)
        case .ffreep: try ffree(instruction, pops: true)
        case .fninit: try fninit()
        case .fnclex: try fnclex()
        case .fnstcw: try fnstcw(instruction)
        case .fldcw: try fldcw(instruction)
        case .fnstenv: try fnstenv(instruction)
        case .fldenv: try fldenv(instruction)
        case .fnsave: try fnsave(instruction)
        case .frstor: try frstor(instruction)
        case .fnstsw: try fnstsw(instruction)
        case .fwait: try fwait()
        case .fnop: try requireX87()
        case .fneni, .fndisi, .fnsetpm: try requireX87WithoutWait()

        // Moves of MMX and XMM registers
        case .movd, .movq: try moveQuadword(instruction)
        case .movaps, .movapd, .movdqa, .movntps, .movntpd, .movntdq, .movntdqa:
            try moveVector(instruction, .required)
        case .movups, .movupd, .movdqu, .lddqu: try moveVector(instruction, .free)
        case .movss, .movsd: try moveScalar(instruction)
        case .movlps, .movlpd: try moveHalf(instruction, half: 0, other: 0)
        case .movhps, .movhpd: try moveHalf(instruction, half: 1, other: 1)
        case .movhlps: try moveHalf(instruction, half: 0, other: 1)
        case .movlhps: try moveHalf(instruction, half: 1, other: 0)
        case .movq2dq, .movdq2q: try moveBetweenFiles(instruction)
        case .movntq: try storeMMX(instruction)
        case .maskmovq, .maskmovdqu: try maskedStore(instruction)
        case .movmskps:
            try moveMask(instruction) { $0[0] >> 31 & 1 | $0[0] >> 62 & 2 | ($0[1] >> 29 & 4) | $0[1] >> 60 & 8 }
        case .movmskpd: try moveMask(instruction) { $0[0] >> 63 | $0[1] >> 62 & 2 }
        case .pmovmskb: try pmovmskb(instruction)
        case .pinsrb: try insertElement(instruction, bits: 8)
        case .pinsrw: try insertElement(instruction, bits: 16)
        case .pinsrd: try insertElement(instruction, bits: 32)
        case .pinsrq: try insertElement(instruction, bits: 64)
        case .pextrb: try extractElement(instruction, bits: 8)
        case .pextrw: try extractElement(instruction, bits: 16)
        case .pextrd, .extractps: try extractElement(instruction, bits: 32)
        case .pextrq: try extractElement(instruction, bits: 64)
        case .emms: try emms()

        // Packed integers: addition, subtraction and means
        case .paddb: try packed(instruction) { Vector(bits: $0.bytes &+ $1.bytes) }
        case .paddw: try packed(instruction) { Vector(bits: $0.words &+ $1.words) }
        case .paddd: try packed(instruction) { Vector(bits: $0.doublewords &+ $1.doublewords) }
        case .paddq: try packed(instruction) { $0 &+ $1 }
        case .psubb: try packed(instruction) { Vector(bits: $0.bytes &- $1.bytes) }
        case .psubw: try packed(instruction) { Vector(bits: $0.words &- $1.words) }
        case .psubd: try packed(instruction) { Vector(bits: $0.doublewords &- $1.doublewords) }
        case .psubq: try packed(instruction) { $0 &- $1 }
        case .paddsb: try packed(instruction, PackedInteger.addSaturatingBytes)
        case .paddsw: try packed(instruction, PackedInteger.addSaturatingWords)
        case .paddusb: try packed(instruction, PackedInteger.addUnsignedBytes)
        case .paddusw: try packed(instruction, PackedInteger.addUnsignedWords)
        case .psubsb: try packed(instruction, PackedInteger.subtractSaturatingBytes)
        case .psubsw: try packed(instruction, PackedInteger.subtractSaturatingWords)
        case .psubusb: try packed(instruction, PackedInteger.subtractUnsignedBytes)
        case .psubusw: try packed(instruction, PackedInteger.subtractUnsignedWords)
        case .pavgb: try packed(instruction, PackedInteger.averageBytes)
        case .pavgw: try packed(instruction, PackedInteger.averageWords)
        case .phaddw: try packedPair(instruction, PackedInteger.horizontalAddWords)
        case .phaddd: try packedPair(instruction, PackedInteger.horizontalAddDoublewords)
        case .phaddsw: try packedPair(instruction, PackedInteger.horizontalAddSaturating)
        case .phsubw: try packedPair(instruction, PackedInteger.horizontalSubtractWords)
        case .phsubd: try packedPair(instruction, PackedInteger.horizontalSubtractDoublewords)
        case .phsubsw: try packedPair(instruction, PackedInteger.horizontalSubtractSaturating)
        case .psadbw: try packed(instruction, PackedInteger.sumOfDifferences)
        case .mpsadbw: try packedImmediate(instruction, PackedInteger.multipleSums)
        case .phminposuw: try packedConversion(instruction, PackedInteger.minimumPosition)

        // Packed integers: multiplication
        case .pmulhw: try packed(instruction, PackedInteger.multiplyHigh)
        case .pmulhuw: try packed(instruction, PackedInteger.multiplyHighUnsigned)
        case .pmulhrsw: try packed(instruction, PackedInteger.multiplyRounded)
        case .pmullw: try packed(instruction) { Vector(bits: $0.words &* $1.words) }
        case .pmulld: try packed(instruction) { Vector(bits: $0.doublewords &* $1.doublewords) }
        case .pmuludq: try packed(instruction, PackedInteger.multiplyDoublewords)
        case .pmuldq: try packed(instruction, PackedInteger.multiplySignedDoublewords)
        case .pmaddwd: try packed(instruction, PackedInteger.multiplyAdd)
        case .pmaddubsw: try packed(instruction, PackedInteger.multiplyAddBytes)

        // Packed integers: comparison and signs
        case .pcmpeqb: try packed(instruction) { Vector(mask: $0.bytes .== $1.bytes) }
        case .pcmpeqw: try packed(instruction) { Vector(mask: $0.words .== $1.words) }
        case .pcmpeqd: try packed(instruction) { Vector(mask: $0.doublewords .== $1.doublewords) }
        case .pcmpeqq: try packed(instruction) { Vector(mask: $0 .== $1) }
        case .pcmpgtb: try packed(instruction) { Vector(mask: $0.signedBytes .> $1.signedBytes) }
        case .pcmpgtw: try packed(instruction) { Vector(mask: $0.signedWords .> $1.signedWords) }
        case .pcmpgtd: try packed(instruction) { Vector(mask: $0.signedDoublewords .> $1.signedDoublewords) }
        case .pcmpgtq: try packed(instruction) { Vector(mask: $0.signedQuadwords .> $1.signedQuadwords) }
        case .pminub: try packed(instruction) { PackedInteger.minimum($0.bytes, $1.bytes) }
        case .pminsb: try packed(instruction) { PackedInteger.minimum($0.signedBytes, $1.signedBytes) }
        case .pminuw: try packed(instruction) { PackedInteger.minimum($0.words, $1.words) }
        case .pminsw: try packed(instruction) { PackedInteger.minimum($0.signedWords, $1.signedWords) }
        case .pminud: try packed(instruction) { PackedInteger.minimum($0.doublewords, $1.doublewords) }
        case .pminsd: try packed(instruction) { PackedInteger.minimum($0.signedDoublewords, $1.signedDoublewords) }
        case .pmaxub: try packed(instruction) { PackedInteger.maximum($0.bytes, $1.bytes) }
        case .pmaxsb: try packed(instruction) { PackedInteger.maximum($0.signedBytes, $1.signedBytes) }
        case .pmaxuw: try packed(instruction) { PackedInteger.maximum($0.words, $1.words) }
        case .pmaxsw: try packed(instruction) { PackedInteger.maximum($0.signedWords, $1.signedWords) }
        case .pmaxud: try packed(instruction) { PackedInteger.maximum($0.doublewords, $1.doublewords) }
        case .pmaxsd: try packed(instruction) { PackedInteger.maximum($0.signedDoublewords, $1.signedDoublewords) }
        case .psignb: try packed(instruction) { PackedInteger.sign($0.signedBytes, $1.signedBytes) }
        case .psignw: try packed(instruction) { PackedInteger.sign($0.signedWords, $1.signedWords) }
        case .psignd: try packed(instruction) { PackedInteger.sign($0.signedDoublewords, $1.signedDoublewords) }
        case .pabsb: try packed(instruction) { PackedInteger.absolute($1.signedBytes) }
        case .pabsw: try packed(instruction) { PackedInteger.absolute($1.signedWords) }
        case .pabsd: try packed(instruction) { PackedInteger.absolute($1.signedDoublewords) }
        case .ptest: try ptest(instruction)
        case .pcmpestri: try comparePackedStrings(instruction, isExplicit: true, givesMask: false)
        case .pcmpestrm: try comparePackedStrings(instruction, isExplicit: true, givesMask: true)
        case .pcmpistri: try comparePackedStrings(instruction, isExplicit: false, givesMask: false)
        case .pcmpistrm: try comparePackedStrings(instruction, isExplicit: false, givesMask: true)

        // Packed logic and shifts
        case .pand, .andps, .andpd: try packed(instruction) { $0 & $1 }
        case .pandn, .andnps, .andnpd: try packed(instruction) { ~$0 & $1 }
        case .por, .orps, .orpd: try packed(instruction) { $0 | $1 }
        case .pxor, .xorps, .xorpd: try packed(instruction) { $0 ^ $1 }
        case .psllw: try packedShift(instruction, PackedInteger.shiftLeftWords)
        case .pslld: try packedShift(instruction, PackedInteger.shiftLeftDoublewords)
        case .psllq: try packedShift(instruction, PackedInteger.shiftLeftQuadwords)
        case .pslldq: try packedShift(instruction, PackedInteger.shiftLeftBytes)
        case .psrlw: try packedShift(instruction, PackedInteger.shiftRightWords)
        case .psrld: try packedShift(instruction, PackedInteger.shiftRightDoublewords)
        case .psrlq: try packedShift(instruction, PackedInteger.shiftRightQuadwords)
        case .psrldq: try packedShift(instruction, PackedInteger.shiftRightBytes)
        case .psraw: try packedShift(instruction, PackedInteger.shiftSignedWords)
        case .psrad: try packedShift(instruction, PackedInteger.shiftSignedDoublewords)

        // Packing, interleaving, shuffling, blending and widening
        case .packsswb: try packedPair(instruction, PackedShuffle.packSignedWords)
        case .packuswb: try packedPair(instruction, PackedShuffle.packUnsignedWords)
        case .packssdw: try packedPair(instruction, PackedShuffle.packSignedDoublewords)
        case .packusdw: try packedPair(instruction, PackedShuffle.packUnsignedDoublewords)
        case .punpcklbw: try packed(instruction, PackedShuffle.interleaveBytes)
        case .punpcklwd: try packed(instruction, PackedShuffle.interleaveWords)
        case .punpckldq, .unpcklps: try packed(instruction, PackedShuffle.interleaveDoublewords)
        case .punpcklqdq, .unpcklpd: try packed(instruction, PackedShuffle.interleaveQuadwords)
        case .punpckhbw: try packedHigh(instruction, PackedShuffle.interleaveBytes)
        case .punpckhwd: try packedHigh(instruction, PackedShuffle.interleaveWords)
        case .punpckhdq, .unpckhps: try packedHigh(instruction, PackedShuffle.interleaveDoublewords)
        case .punpckhqdq, .unpckhpd: try packedHigh(instruction, PackedShuffle.interleaveQuadwords)
        case .pshufb: try pshufb(instruction)
        case .pshufw: try pshufw(instruction)
        case .pshuflw: try shuffle(instruction) { Vector(PackedShuffle.shuffleWords($0[0], $1), $0[1]) }
        case .pshufhw: try shuffle(instruction) { Vector($0[0], PackedShuffle.shuffleWords($0[1], $1)) }
        case .pshufd: try shuffle(instruction) { PackedShuffle.shuffleDoublewords($0, $0, $1) }
        case .shufps: try packedImmediate(instruction, PackedShuffle.shuffleDoublewords)
        case .shufpd: try packedImmediate(instruction, PackedShuffle.shuffleQuadwords)
        case .palignr: try palignr(instruction)
        case .pblendw: try packedImmediate(instruction, PackedShuffle.blendWords)
        case .blendps: try packedImmediate(instruction, PackedShuffle.blendDoublewords)
        case .blendpd: try packedImmediate(instruction, PackedShuffle.blendQuadwords)
        case .pblendvb: try blendVariable(instruction) { Vector(bits: $0.signedBytes &>> 7) }
        case .blendvps: try blendVariable(instruction) { Vector(bits: $0.signedDoublewords &>> 31) }
        case .blendvpd: try blendVariable(instruction) { Vector(bits: $0.signedQuadwords &>> 63) }
        case .insertps: try insertps(instruction)
        case .movddup: try packedConversion(instruction) { Vector(repeating: $0[0]) }
        case .movshdup: try packedConversion(instruction) { PackedShuffle.shuffleDoublewords($0, $0, 0b1111_0101) }
        case .movsldup: try packedConversion(instruction) { PackedShuffle.shuffleDoublewords($0, $0, 0b1010_0000) }
        case .pmovsxbw:
            try packedConversion(instruction) { Vector(bits: SIMD8<Int16>(truncatingIfNeeded: $0.signedBytes.lowHalf)) }
        case .pmovsxbd: try packedConversion(instruction) { Vector(bits: $0.extendedBytes(to: SIMD4<Int32>.self)) }
        case .pmovsxbq: try packedConversion(instruction) { Vector(bits: $0.extendedBytes(to: SIMD2<Int64>.self)) }
        case .pmovsxwd:
            try packedConversion(instruction) { Vector(bits: SIMD4<Int32>(truncatingIfNeeded: $0.signedWords.lowHalf)) }
        case .pmovsxwq: try packedConversion(instruction) { Vector(bits: $0.extendedWords(to: SIMD2<Int64>.self)) }
        case .pmovsxdq:
            try packedConversion(instruction) {
                Vector(bits: SIMD2<Int64>(truncatingIfNeeded: $0.signedDoublewords.lowHalf))
            }
        case .pmovzxbw:
            try packedConversion(instruction) { Vector(bits: SIMD8<UInt16>(truncatingIfNeeded: $0.bytes.lowHalf)) }
        case .pmovzxbd: try packedConversion(instruction) { Vector(bits: $0.extendedBytes(to: SIMD4<UInt32>.self)) }
        case .pmovzxbq: try packedConversion(instruction) { Vector(bits: $0.extendedBytes(to: SIMD2<UInt64>.self)) }
        case .pmovzxwd:
            try packedConversion(instruction) { Vector(bits: SIMD4<UInt32>(truncatingIfNeeded: $0.words.lowHalf)) }
        case .pmovzxwq: try packedConversion(instruction) { Vector(bits: $0.extendedWords(to: SIMD2<UInt64>.self)) }
        case .pmovzxdq:
            try packedConversion(instruction) {
                Vector(bits: SIMD2<UInt64>(truncatingIfNeeded: $0.doublewords.lowHalf))
            }

        // SSE floating point: arithmetic
        case .addps: try packed32(instruction) { $0.add32($1, $2) }
        case .addpd: try packed64(instruction) { $0.add64($1, $2) }
        case .addss: try scalar32(instruction) { $0.add32($1, $2) }
        case .addsd: try scalar64(instruction) { $0.add64($1, $2) }
        case .subps: try packed32(instruction) { $0.subtract32($1, $2) }
        case .subpd: try packed64(instruction) { $0.subtract64($1, $2) }
        case .subss: try scalar32(instruction) { $0.subtract32($1, $2) }
        case .subsd: try scalar64(instruction) { $0.subtract64($1, $2) }
        case .mulps: try packed32(instruction) { $0.multiply32($1, $2) }
        case .mulpd: try packed64(instruction) { $0.multiply64($1, $2) }
        case .mulss: try scalar32(instruction) { $0.multiply32($1, $2) }
        case .mulsd: try scalar64(instruction) { $0.multiply64($1, $2) }
        case .divps: try packed32(instruction) { $0.divide32($1, $2) }
        case .divpd: try packed64(instruction) { $0.divide64($1, $2) }
        case .divss: try scalar32(instruction) { $0.divide32($1, $2) }
        case .divsd: try scalar64(instruction) { $0.divide64($1, $2) }
        case .sqrtps: try packed32(instruction) { $0.squareRoot32($2) }
        case .sqrtpd: try packed64(instruction) { $0.squareRoot64($2) }
        case .sqrtss: try scalar32(instruction) { $0.squareRoot32($2) }
        case .sqrtsd: try scalar64(instruction) { $0.squareRoot64($2) }
        case .maxps: try packed32(instruction) { $0.maximum32($1, $2) }
        case .maxpd: try packed64(instruction) { $0.maximum64($1, $2) }
        case .maxss: try scalar32(instruction) { $0.maximum32($1, $2) }
        case .maxsd: try scalar64(instruction) { $0.maximum64($1, $2) }
        case .minps: try packed32(instruction) { $0.minimum32($1, $2) }
        case .minpd: try packed64(instruction) { $0.minimum64($1, $2) }
        case .minss: try scalar32(instruction) { $0.minimum32($1, $2) }
        case .minsd: try scalar64(instruction) { $0.minimum64($1, $2) }
        case .rcpps: try packed32(instruction) { SSEApproximation.reciprocal($2) }
        case .rcpss: try scalar32(instruction) { SSEApproximation.reciprocal($2) }
        case .rsqrtps: try packed32(instruction) { SSEApproximation.reciprocalSquareRoot($2) }
        case .rsqrtss: try scalar32(instruction) { SSEApproximation.reciprocalSquareRoot($2) }
        case .haddps:
            try packedArithmetic(instruction) { Vector(bits: $0.horizontalAdd32($1.doublewords, $2.doublewords)) }
        case .hsubps:
            try packedArithmetic(instruction) { Vector(bits: $0.horizontalSubtract32($1.doublewords, $2.doublewords)) }
        case .addsubps:
            try packedArithmetic(instruction) { Vector(bits: $0.addSubtract32($1.doublewords, $2.doublewords)) }
        case .haddpd: try packedArithmetic(instruction) { $0.horizontalAdd64($1, $2) }
        case .hsubpd: try packedArithmetic(instruction) { $0.horizontalSubtract64($1, $2) }
        case .addsubpd: try packedArithmetic(instruction) { $0.addSubtract64($1, $2) }
        case .dpps:
            try withImmediate(instruction) {
                Vector(bits: $0.dotProduct32($1.doublewords, $2.doublewords, immediate: $3))
            }
        case .dppd: try withImmediate(instruction) { $0.dotProduct64($1, $2, immediate: $3) }

        // SSE floating point: comparison
        case .cmpps: try comparePacked32(instruction)
        case .cmppd: try comparePacked64(instruction)
        case .cmpss: try compareScalar32(instruction)
        case .cmpsd: try compareScalar64(instruction)
        case .comiss, .comisd: try compareScalar(instruction, signalsQuietNaN: true)
        case .ucomiss, .ucomisd: try compareScalar(instruction, signalsQuietNaN: false)

        // SSE floating point: conversion and rounding
        case .cvtsi2ss:
            try convertInteger(
                instruction, narrow: { UInt64($0.convertInt32To32($1)) }, wide: { UInt64($0.convertInt64To32($1)) })
        case .cvtsi2sd:
            try convertInteger(instruction, narrow: { $0.convertInt32To64($1) }, wide: { $0.convertInt64To64($1) })
        case .cvtss2si:
            try convertToInteger(
                instruction, narrow: { $0.convert32ToInt32(UInt32(truncatingIfNeeded: $1)) },
                wide: { $0.convert32ToInt64(UInt32(truncatingIfNeeded: $1)) })
        case .cvttss2si:
            try convertToInteger(
                instruction, narrow: { $0.truncate32ToInt32(UInt32(truncatingIfNeeded: $1)) },
                wide: { $0.truncate32ToInt64(UInt32(truncatingIfNeeded: $1)) })
        case .cvtsd2si:
            try convertToInteger(instruction, narrow: { $0.convert64ToInt32($1) }, wide: { $0.convert64ToInt64($1) })
        case .cvttsd2si:
            try convertToInteger(instruction, narrow: { $0.truncate64ToInt32($1) }, wide: { $0.truncate64ToInt64($1) })
        case .cvtss2sd: try cvtss2sd(instruction)
        case .cvtsd2ss: try cvtsd2ss(instruction)
        case .cvtps2pd:
            try packedArithmetic(instruction) { environment, _, source in
                let (low, high) = (source.doublewords[0], source.doublewords[1])
                return Vector(environment.convert32To64(low), environment.convert32To64(high))
            }
        case .cvtpd2ps:
            try packedArithmetic(instruction) { environment, _, source in
                Vector(PackedConversion.doubles(&environment, source) { $0.convert64To32($1) }, 0)
            }
        case .cvtdq2ps:
            try packedArithmetic(instruction) { environment, _, source in
                PackedConversion.integersToSingles(&environment, source, count: 4)
            }
        case .cvtdq2pd:
            try packedArithmetic(instruction) { PackedConversion.integersToDoubles(&$0, $2) }
        case .cvtps2dq:
            try packedArithmetic(instruction) { environment, _, source in
                PackedConversion.singles(&environment, source, count: 4) { $0.convert32ToInt32($1) }
            }
        case .cvttps2dq:
            try packedArithmetic(instruction) { environment, _, source in
                PackedConversion.singles(&environment, source, count: 4) { $0.truncate32ToInt32($1) }
            }
        case .cvtpd2dq:
            try packedArithmetic(instruction) { environment, _, source in
                Vector(
                    PackedConversion.doubles(&environment, source) { UInt32(bitPattern: $0.convert64ToInt32($1)) }, 0)
            }
        case .cvttpd2dq:
            try packedArithmetic(instruction) { environment, _, source in
                Vector(
                    PackedConversion.doubles(&environment, source) { UInt32(bitPattern: $0.truncate64ToInt32($1)) }, 0)
            }
        case .cvtpi2ps:
            try convertFromMMX(instruction) { environment, destination, source in
                Vector(PackedConversion.integersToSingles(&environment, source, count: 2)[0], destination[1])
            }
        case .cvtpi2pd:
            try convertFromMMX(instruction) { PackedConversion.integersToDoubles(&$0, $2) }
        case .cvtps2pi:
            try convertToMMX(instruction) { environment, source in
                PackedConversion.singles(&environment, source, count: 2) { $0.convert32ToInt32($1) }[0]
            }
        case .cvttps2pi:
            try convertToMMX(instruction) { environment, source in
                PackedConversion.singles(&environment, source, count: 2) { $0.truncate32ToInt32($1) }[0]
            }
        case .cvtpd2pi:
            try convertToMMX(instruction) { environment, source in
                PackedConversion.doubles(&environment, source) { UInt32(bitPattern: $0.convert64ToInt32($1)) }
            }
        case .cvttpd2pi:
            try convertToMMX(instruction) { environment, source in
                PackedConversion.doubles(&environment, source) { UInt32(bitPattern: $0.truncate64ToInt32($1)) }
            }
        case .roundps, .roundss: try roundSingles(instruction)
        case .roundpd, .roundsd: try roundDoubles(instruction)
        }
    }
}
