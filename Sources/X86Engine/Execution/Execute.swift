import X86

extension Processor {
    /// Executes one decoded instruction completely.
    ///
    /// On entry `state.rip` is its address and `state.nextRIP` the following one; control transfers change `nextRIP`.
    /// A thrown fault leaves the state as it was before the instruction, but for what the manuals say is kept.
    func execute(_ instruction: borrowing Instruction) throws(Fault) {
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

        default: throw .invalidOpcode
        }
    }
}
