import Testing
import X86
import X86Engine

/// x87 behaviour that the manuals state and no single native instruction shows: exceptions, pointers, images.
@Suite("x87 state")
struct X87StateTests {
    private static let three = Extended(significand: 0xC000_0000_0000_0000, signAndExponent: 0x4000)

    // MARK: Exceptions of the unit itself

    @Test("CR0.EM and CR0.TS give #NM, FWAIT only with both MP and TS")
    func deviceNotAvailable() throws {
        let bench = try ProcessorBench()
        for bit in [CR0.EM, CR0.TS] {
            bench.state.pointee.cr0 |= bit
            #expect(bench.execute([0xD9, 0xE8]) == .deviceNotAvailable)
            #expect(bench.execute([0xDB, 0xE3]) == .deviceNotAvailable)
            #expect(bench.execute([0x9B]) == (bit == CR0.TS ? .deviceNotAvailable : nil))
            bench.state.pointee.cr0 &= ~bit
        }
        bench.state.pointee.cr0 |= CR0.TS
        bench.state.pointee.cr0 &= ~CR0.MP
        #expect(bench.execute([0x9B]) == nil)
    }

    @Test("an unmasked exception is reported by the next waiting instruction as #MF")
    func pendingException() throws {
        let bench = try ProcessorBench()
        bench.state.pointee.x87.controlWord = 0x37B
        bench.setST(0, .one)
        bench.setST(1, .positiveZero)
        // FDIV ST, ST(1): zero divide, unmasked.
        #expect(bench.execute([0xD8, 0xF1]) == nil)
        #expect(bench.state.pointee.x87.statusWord & 0x80BF == 0x8084)
        #expect(bench.st(0) == .one)
        for bytes: [UInt8] in [[0xD9, 0xE8], [0x9B], [0x0F, 0x6F, 0xC1], [0x0F, 0x77], [0xD9, 0x2E]] {
            #expect(bench.execute(bytes) == .floatingPointError)
        }
        // FNSTSW AX, FNSTCW, FNCLEX do not wait.
        #expect(bench.execute([0xDF, 0xE0]) == nil)
        #expect(bench.state.pointee.rax & 0xFFFF == UInt64(bench.state.pointee.x87.statusWord))
        #expect(bench.execute([0xD9, 0x3E]) == nil)
        #expect(bench.number(width: 2) == 0x37B)
        #expect(bench.execute([0xDB, 0xE2]) == nil)
        #expect(bench.execute([0x9B]) == nil)
        #expect(bench.state.pointee.x87.statusWord & 0x80FF == 0)
    }

    @Test("FLDCW that unmasks a flag makes it pending, and one that masks it takes that back")
    func unmasking() throws {
        let bench = try ProcessorBench()
        bench.state.pointee.x87.statusWord = 0x01
        bench.write([0x7E, 0x03])
        #expect(bench.execute([0xD9, 0x2E]) == nil)
        #expect(bench.state.pointee.x87.statusWord == 0x8081)
        #expect(bench.execute([0x9B]) == .floatingPointError)
        // FNSTENV masks all.
        #expect(bench.execute([0xD9, 0x36]) == nil)
        #expect(bench.state.pointee.x87.controlWord == 0x37F)
        #expect(bench.state.pointee.x87.statusWord == 0x01)
        #expect(bench.execute([0x9B]) == nil)
    }

    @Test("with CR0.NE clear FERR# is asserted and execution goes on")
    func externalError() throws {
        let bench = try ProcessorBench()
        bench.state.pointee.cr0 &= ~CR0.NE
        bench.state.pointee.x87.controlWord = 0x37B
        bench.setST(0, .one)
        bench.setST(1, .positiveZero)
        #expect(bench.execute([0xD8, 0xF1]) == nil)
        #expect(bench.environment.floatingPointErrors == 1)
        #expect(bench.execute([0x9B]) == nil)
        #expect(bench.execute([0xD9, 0xE8]) == nil)
        #expect(bench.st(0) == .one)
    }

    @Test("FNINIT leaves the registers' contents and marks all empty")
    func initialization() throws {
        let bench = try ProcessorBench()
        bench.setST(0, Self.three)
        bench.state.pointee.x87.statusWord = 0x3801 | 0x8080
        bench.state.pointee.x87.controlWord = 0
        #expect(bench.execute([0xDB, 0xE3]) == nil)
        let x87 = bench.state.pointee.x87
        #expect(x87.controlWord == 0x37F)
        #expect(x87.statusWord == 0)
        #expect(x87.tagWord == 0xFFFF)
        #expect(x87.significands[0] == Self.three.significand)
    }

    // MARK: Pointers

    @Test("FIP, FCS, FDP and FDS show the last non-control instruction, FOP one with an unmasked exception")
    func pointers() throws {
        let bench = try ProcessorBench()
        bench.state.pointee.fs.selector = 0x33
        bench.state.pointee.fs.base = 0
        // FLD dword FS:[RSI]
        #expect(bench.execute([0x64, 0xD9, 0x06]) == nil)
        #expect(bench.state.pointee.x87.instructionPointer == ProcessorBench.code)
        #expect(bench.state.pointee.x87.instructionSelector == 0x08)
        #expect(bench.state.pointee.x87.dataPointer == ProcessorBench.data)
        #expect(bench.state.pointee.x87.dataSelector == 0x33)
        #expect(bench.state.pointee.x87.opcode == 0)
        // FNSTSW [RSI + 8] is a control instruction; FCHS has no memory operand.
        let before = bench.state.pointee.x87
        #expect(bench.execute([0xDD, 0x7E, 0x08]) == nil)
        #expect(bench.state.pointee.x87 == before)
        bench.state.pointee.x87.instructionPointer = 0
        #expect(bench.execute([0xD9, 0xE0]) == nil)
        #expect(bench.state.pointee.x87.instructionPointer == ProcessorBench.code)
        #expect(bench.state.pointee.x87.dataPointer == ProcessorBench.data)
        // FDIV dword GS:[RSI] by zero, unmasked: D8 36 behind a prefix.
        bench.state.pointee.x87.controlWord = 0x37B
        bench.setST(0, .one)
        bench.write([0, 0, 0, 0])
        #expect(bench.execute([0x65, 0xD8, 0x36]) == nil)
        #expect(bench.state.pointee.x87.opcode == 0x036)
    }

    // MARK: Images

    /// ST(0) = 3, ST(1) = 0, ST(2) = NaN, the others empty, TOP = 5.
    private func filled(_ mode: CodeMode) throws -> ProcessorBench {
        let bench = try ProcessorBench(mode: mode)
        bench.state.pointee.x87.statusWord = 5 << 11 | 0x4020
        bench.setST(0, Self.three)
        bench.setST(1, .positiveZero)
        bench.setST(2, .indefinite)
        bench.state.pointee.x87.instructionPointer = 0x1234_5678
        bench.state.pointee.x87.instructionSelector = 0xABCD
        bench.state.pointee.x87.dataPointer = 0x8765_4321
        bench.state.pointee.x87.dataSelector = 0x2345
        bench.state.pointee.x87.opcode = 0x5A5
        bench.state.pointee.rbx = ProcessorBench.data
        return bench
    }

    /// FNSTENV [RSI], or [BX] with 16-bit addresses.
    private func environmentBytes(_ mode: CodeMode, wide: Bool) -> [UInt8] {
        let prefix: [UInt8] = (mode == .bits16) == wide ? [0x66] : []
        return prefix + [0xD9, mode == .bits16 ? 0x37 : 0x36]
    }

    // Tags: R5 valid, R6 zero, R7 special.
    private static let tags: [UInt8] = [0xFF, 0x93]

    @Test("FNSTENV has the 32-bit protected-mode format", arguments: [CodeMode.bits32, .bits64])
    func environment32(mode: CodeMode) throws {
        let bench = try filled(mode)
        #expect(bench.execute(environmentBytes(mode, wide: true)) == nil)
        #expect(
            bench.bytes(count: 28) == [
                0x7F, 0x03, 0xFF, 0xFF, 0x20, 0x68, 0xFF, 0xFF, 0xFF, 0x93, 0xFF, 0xFF, 0x78, 0x56, 0x34, 0x12, 0xCD,
                0xAB, 0xA5, 0x05, 0x21, 0x43, 0x65, 0x87, 0x45, 0x23, 0xFF, 0xFF,
            ])
    }

    @Test("FNSTENV has the 16-bit protected-mode format")
    func environment16() throws {
        let bench = try filled(.bits32)
        bench.write([0xEE], at: ProcessorBench.data + 14)
        #expect(bench.execute(environmentBytes(.bits32, wide: false)) == nil)
        #expect(
            bench.bytes(count: 15) == [
                0x7F, 0x03, 0x20, 0x68, 0xFF, 0x93, 0x78, 0x56, 0xCD, 0xAB, 0x21, 0x43, 0x45, 0x23, 0xEE,
            ])
    }

    /// A bench in real mode whose pointers are 1234:5678 and 8765:4321.
    private func real() throws -> ProcessorBench {
        let bench = try filled(.bits16)
        bench.state.pointee.cr0 &= ~CR0.PE
        bench.processor.updateMode()
        bench.state.pointee.x87.instructionPointer = 0x5678
        bench.state.pointee.x87.instructionSelector = 0x1234
        bench.state.pointee.x87.dataPointer = 0x4321
        bench.state.pointee.x87.dataSelector = 0x8765
        return bench
    }

    @Test("FNSTENV has the 16-bit real-mode format with linear addresses")
    func environmentReal16() throws {
        let bench = try real()
        #expect(bench.execute(environmentBytes(.bits16, wide: false)) == nil)
        // 12340H + 5678H = 179B8H, 87650H + 4321H = 8B971H
        #expect(
            bench.bytes(count: 14) == [
                0x7F, 0x03, 0x20, 0x68, 0xFF, 0x93, 0xB8, 0x79, 0xA5, 0x15, 0x71, 0xB9, 0x00, 0x80,
            ])
    }

    @Test("FNSTENV has the 32-bit real-mode format with linear addresses")
    func environmentReal32() throws {
        let bench = try real()
        #expect(bench.execute(environmentBytes(.bits16, wide: true)) == nil)
        #expect(
            bench.bytes(count: 28) == [
                0x7F, 0x03, 0xFF, 0xFF, 0x20, 0x68, 0xFF, 0xFF, 0xFF, 0x93, 0xFF, 0xFF, 0xB8, 0x79, 0xFF, 0xFF, 0xA5,
                0x15, 0x00, 0x00, 0x71, 0xB9, 0xFF, 0xFF, 0x00, 0x80, 0x00, 0x00,
            ])
    }

    @Test("FLDENV loads what FNSTENV stored", arguments: [CodeMode.bits16, .bits32, .bits64], [false, true])
    func environmentRoundTrip(mode: CodeMode, wide: Bool) throws {
        if mode == .bits64 && !wide { return }
        let bench = try filled(mode)
        let expected = bench.state.pointee.x87
        var bytes = environmentBytes(mode, wide: wide)
        #expect(bench.execute(bytes) == nil)
        #expect(bench.execute([0xDB, 0xE3]) == nil)
        bytes[bytes.count - 1] = bytes[bytes.count - 1] & 0xC7 | 4 << 3
        #expect(bench.execute(bytes) == nil)
        let found = bench.state.pointee.x87
        #expect(found.statusWord == expected.statusWord)
        #expect(found.controlWord == expected.controlWord)
        for place in 0..<8 { #expect((found.tagWord >> UInt16(place * 2) & 3 == 3) == (place < 5)) }
        #expect(found.instructionSelector == expected.instructionSelector)
        #expect(found.dataSelector == expected.dataSelector)
        #expect(found.instructionPointer == (wide ? 0x1234_5678 : 0x5678))
        #expect(found.dataPointer == (wide ? 0x8765_4321 : 0x4321))
        #expect(found.opcode == (wide ? 0x5A5 : 0))
    }

    @Test(
        "FNSAVE stores ST(0) to ST(7) in stack order and initializes; FRSTOR brings all back", arguments: [false, true])
    func save(wide: Bool) throws {
        let bench = try filled(.bits32)
        let expected = bench.state.pointee.x87
        let prefix: [UInt8] = wide ? [] : [0x66]
        #expect(bench.execute(prefix + [0xDD, 0x36]) == nil)
        let start = ProcessorBench.data + (wide ? 28 : 14)
        #expect(bench.bytes(at: start, count: 10) == [0, 0, 0, 0, 0, 0, 0, 0xC0, 0x00, 0x40])
        #expect(bench.bytes(at: start + 20, count: 10) == [0, 0, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF])
        #expect(bench.state.pointee.x87.tagWord == 0xFFFF)
        #expect(bench.state.pointee.x87.statusWord == 0)
        bench.state.pointee.x87 = X87State()
        #expect(bench.execute(prefix + [0xDD, 0x26]) == nil)
        #expect(bench.state.pointee.x87.significands == expected.significands)
        #expect(bench.state.pointee.x87.signsAndExponents == expected.signsAndExponents)
        #expect(bench.state.pointee.x87.statusWord == expected.statusWord)
        #expect(bench.st(0) == Self.three)
    }

    // MARK: MMX aliases

    @Test("an MMX write marks all registers valid, clears TOP and sets the exponent to ones")
    func mmxAlias() throws {
        let bench = try ProcessorBench()
        bench.state.pointee.x87.statusWord = 3 << 11
        bench.write([1, 2, 3, 4, 5, 6, 7, 8])
        // MOVQ MM2, [RSI]
        #expect(bench.execute([0x0F, 0x6F, 0x16]) == nil)
        #expect(bench.state.pointee.x87.significands[2] == 0x0807_0605_0403_0201)
        #expect(bench.state.pointee.x87.signsAndExponents[2] == 0xFFFF)
        #expect(bench.state.pointee.x87.statusWord == 0)
        #expect(bench.state.pointee.x87.tagWord == 0)
        #expect(bench.st(2).significand == 0x0807_0605_0403_0201)
        // EMMS
        #expect(bench.execute([0x0F, 0x77]) == nil)
        #expect(bench.state.pointee.x87.tagWord == 0xFFFF)
        #expect(bench.state.pointee.x87.significands[2] == 0x0807_0605_0403_0201)
    }

    @Test("CR0.EM makes MMX instructions #UD, CR0.TS #NM")
    func mmxFaults() throws {
        let bench = try ProcessorBench()
        for bytes: [UInt8] in [[0x0F, 0x6F, 0xC1], [0x0F, 0x77], [0x0F, 0xFC, 0xC1], [0x0F, 0xE7, 0x06]] {
            bench.state.pointee.cr0 |= CR0.EM | CR0.TS
            #expect(bench.execute(bytes) == .invalidOpcode)
            bench.state.pointee.cr0 &= ~CR0.EM
            #expect(bench.execute(bytes) == .deviceNotAvailable)
            bench.state.pointee.cr0 &= ~CR0.TS
            #expect(bench.execute(bytes) == nil)
        }
    }

    // MARK: Memory

    @Test("a fault leaves the stack as it was")
    func faultingMemory() throws {
        let bench = try ProcessorBench(mode: .bits32)
        bench.setST(0, Self.three)
        let before = bench.state.pointee.x87
        bench.state.pointee.ds.limit = UInt32(ProcessorBench.data) + 8
        // FSTP tbyte, FLD tbyte, FNSAVE and FNSTENV at the end of the segment
        for bytes: [UInt8] in [[0xDB, 0x3E], [0xDB, 0x2E], [0xDD, 0x36], [0xD9, 0x36]] {
            #expect(bench.execute(bytes) == .generalProtection(0))
            #expect(bench.state.pointee.x87 == before)
        }
        #expect(bench.execute([0xDD, 0x1E]) == nil)
        #expect(bench.number(width: 8) == 3.0.bitPattern)
    }
}
