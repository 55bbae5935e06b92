import Testing
import X86
import X86Engine

/// FXSAVE and the XSAVE feature set, by the layouts and rules of SDM volume 1 sections 10.5 and 13.4 to 13.12.
@Suite("SSE and x87 save areas")
struct SSESaveAreaTests {
    private static let fxsave: [UInt8] = [0x0F, 0xAE, 0x06]
    private static let fxrstor: [UInt8] = [0x0F, 0xAE, 0x0E]
    private static let xsave: [UInt8] = [0x0F, 0xAE, 0x26]
    private static let xrstor: [UInt8] = [0x0F, 0xAE, 0x2E]
    private static let xsaveopt: [UInt8] = [0x0F, 0xAE, 0x36]
    private static let xsavec: [UInt8] = [0x0F, 0xC7, 0x26]
    private static let xsaves: [UInt8] = [0x0F, 0xC7, 0x2E]
    private static let xrstors: [UInt8] = [0x0F, 0xC7, 0x1E]
    private static let header = ProcessorBench.data + 512

    /// A bench with recognizable x87 and SSE state and EEH in memory; all components asked for.
    private func filled(_ mode: CodeMode = .bits64) throws -> ProcessorBench {
        let bench = try ProcessorBench(mode: mode)
        bench.state.pointee.x87.statusWord = 6 << 11
        bench.setST(0, .one)
        bench.setST(1, Extended(significand: 0x8765_4321_0FED_CBA9, signAndExponent: 0xC123))
        bench.state.pointee.x87.instructionPointer = 0x1234_5678_9ABC
        bench.state.pointee.x87.instructionSelector = 0x11
        bench.state.pointee.x87.dataPointer = 0x2345_6789_ABCD
        bench.state.pointee.x87.dataSelector = 0x22
        bench.state.pointee.x87.opcode = 0x5A5
        for index in 0..<16 { bench.setXMM(index, SIMD2(UInt64(index) + 1, UInt64(index) << 32)) }
        bench.state.pointee.sse.mxcsr = 0x1FA0
        bench.write([UInt8](repeating: 0xEE, count: 640))
        bench.write([UInt8](repeating: 0, count: 64), at: Self.header)
        bench.state.pointee.rax = .max
        bench.state.pointee.rdx = .max
        return bench
    }

    private func expectSame(_ a: X87State, _ b: X87State) {
        #expect(a.significands == b.significands)
        #expect(a.signsAndExponents == b.signsAndExponents)
        #expect(a.statusWord == b.statusWord)
        #expect(a.controlWord == b.controlWord)
        #expect(a.opcode == b.opcode)
        for place in 0..<8 {
            #expect((a.tagWord >> UInt16(place * 2) & 3 == 3) == (b.tagWord >> UInt16(place * 2) & 3 == 3))
        }
    }

    // MARK: FXSAVE

    @Test("FXSAVE writes the layout of table 10-2")
    func layout() throws {
        let bench = try filled()
        #expect(bench.execute(Self.fxsave) == nil)
        let data = ProcessorBench.data
        #expect(bench.number(at: data, width: 8) == 0x05A5_00C0_3000_037F)
        #expect(bench.number(at: data + 8, width: 4) == 0x5678_9ABC)
        #expect(bench.number(at: data + 12, width: 2) == 0x11)
        #expect(bench.number(at: data + 16, width: 4) == 0x6789_ABCD)
        #expect(bench.number(at: data + 20, width: 2) == 0x22)
        #expect(bench.number(at: data + 24, width: 8) == 0xFFFF_0000_1FA0)
        #expect(bench.number(at: data + 32, width: 8) == 1 << 63)
        #expect(bench.number(at: data + 40, width: 2) == 0x3FFF)
        #expect(bench.number(at: data + 48, width: 8) == 0x8765_4321_0FED_CBA9)
        for index in 0..<16 {
            #expect(bench.number(at: data + 160 + UInt64(index) * 16, width: 8) == UInt64(index) + 1)
            #expect(bench.number(at: data + 168 + UInt64(index) * 16, width: 8) == UInt64(index) << 32)
        }
        // The last 48 bytes are software's.
        #expect(bench.bytes(at: data + 464, count: 48) == [UInt8](repeating: 0xEE, count: 48))
    }

    @Test("FXSAVE64 writes 64-bit pointers")
    func widePointers() throws {
        let bench = try filled()
        #expect(bench.execute([0x48] + Self.fxsave) == nil)
        #expect(bench.number(at: ProcessorBench.data + 8, width: 8) == 0x1234_5678_9ABC)
        #expect(bench.number(at: ProcessorBench.data + 16, width: 8) == 0x2345_6789_ABCD)
        let expected = bench.state.pointee.x87
        bench.state.pointee.x87 = X87State()
        #expect(bench.execute([0x48] + Self.fxrstor) == nil)
        #expect(bench.state.pointee.x87.instructionPointer == expected.instructionPointer)
        #expect(bench.state.pointee.x87.dataPointer == expected.dataPointer)
    }

    @Test("FXRSTOR brings back what FXSAVE stored; outside 64-bit mode XMM8 and up stay", arguments: CodeMode.allCases)
    func roundTrip(mode: CodeMode) throws {
        let bench = try filled(mode)
        bench.state.pointee.rbx = ProcessorBench.data
        let rm: UInt8 = mode == .bits16 ? 7 : 6
        let x87 = bench.state.pointee.x87
        #expect(bench.execute([0x0F, 0xAE, rm]) == nil)
        bench.state.pointee.x87 = X87State()
        bench.state.pointee.sse = SSEState()
        bench.setXMM(15, SIMD2(9, 9))
        #expect(bench.execute([0x0F, 0xAE, 8 | rm]) == nil)
        expectSame(bench.state.pointee.x87, x87)
        #expect(bench.state.pointee.sse.mxcsr == 0x1FA0)
        #expect(bench.xmm(7) == SIMD2(8, 7 << 32))
        #expect(bench.xmm(15) == (mode == .bits64 ? SIMD2(16, 15 << 32) : SIMD2(9, 9)))
        if mode != .bits64 {
            #expect(bench.bytes(at: ProcessorBench.data + 288, count: 16) == [UInt8](repeating: 0xEE, count: 16))
        }
    }

    @Test("without CR4.OSFXSR neither XMM registers nor MXCSR take part")
    func withoutOSFXSR() throws {
        let bench = try filled()
        bench.state.pointee.cr4 &= ~CR4.OSFXSR
        #expect(bench.execute(Self.fxsave) == nil)
        #expect(bench.number(at: ProcessorBench.data, width: 2) == 0x37F)
        #expect(bench.number(at: ProcessorBench.data + 24, width: 4) == 0xEEEE_EEEE)
        #expect(bench.number(at: ProcessorBench.data + 160, width: 4) == 0xEEEE_EEEE)
        #expect(bench.execute(Self.fxrstor) == nil)
        #expect(bench.state.pointee.sse.mxcsr == 0x1FA0)
    }

    @Test("FXSAVE and FXRSTOR: #NM with CR0.TS, #GP(0) off a 16-byte boundary and for reserved MXCSR bits")
    func faults() throws {
        let bench = try filled()
        bench.write([UInt8](repeating: 0, count: 576))
        bench.write([0, 0, 1, 0], at: ProcessorBench.data + 24)
        let before = bench.state.pointee.x87
        #expect(bench.execute(Self.fxrstor) == .generalProtection(0))
        #expect(bench.state.pointee.x87 == before)
        #expect(bench.state.pointee.sse.mxcsr == 0x1FA0)
        bench.state.pointee.rsi += 8
        #expect(bench.execute(Self.fxsave) == .generalProtection(0))
        #expect(bench.execute(Self.fxrstor) == .generalProtection(0))
        bench.state.pointee.cr0 |= CR0.TS
        #expect(bench.execute(Self.fxsave) == .deviceNotAvailable)
        #expect(bench.execute(Self.fxrstor) == .deviceNotAvailable)
    }

    @Test("FXRSTOR derives ES from flags and masks")
    func pendingAfterRestore() throws {
        let bench = try filled()
        bench.state.pointee.sse.mxcsr = 0x1F80
        #expect(bench.execute(Self.fxsave) == nil)
        // ZE set and unmasked.
        bench.write([0x7B, 0x03, 0x04, 0x00])
        #expect(bench.execute(Self.fxrstor) == nil)
        #expect(bench.execute([0x9B]) == .floatingPointError)
    }

    // MARK: XSAVE

    @Test("XSAVE needs CR4.OSXSAVE (#UD), a clear CR0.TS (#NM) and a 64-byte boundary (#GP(0))")
    func xsaveFaults() throws {
        for bytes in [Self.xsave, Self.xrstor, Self.xsaveopt, Self.xsavec, Self.xsaves, Self.xrstors] {
            let bench = try filled()
            bench.state.pointee.rsi += 32
            #expect(bench.execute(bytes) == .generalProtection(0))
            bench.state.pointee.cr0 |= CR0.TS
            #expect(bench.execute(bytes) == .deviceNotAvailable)
            bench.state.pointee.cr4 &= ~CR4.OSXSAVE
            #expect(bench.execute(bytes) == .invalidOpcode)
        }
    }

    @Test("XSAVES and XRSTORS outside ring 0 give #GP(0)")
    func supervisorOnly() throws {
        let bench = try filled()
        bench.state.pointee.cpl = 3
        bench.processor.updateMode()
        #expect(bench.execute(Self.xsaves) == .generalProtection(0))
        #expect(bench.execute(Self.xrstors) == .generalProtection(0))
        #expect(bench.execute(Self.xsavec) == nil)
    }

    @Test("XSAVE writes what EDX:EAX and XCR0 name, and keeps the other bits of XSTATE_BV")
    func selection() throws {
        let bench = try filled()
        bench.write([0xF0], at: Self.header)
        bench.state.pointee.rax = 2
        bench.state.pointee.rdx = 0
        #expect(bench.execute(Self.xsave) == nil)
        #expect(bench.number(at: ProcessorBench.data, width: 4) == 0xEEEE_EEEE)
        #expect(bench.number(at: ProcessorBench.data + 24, width: 4) == 0x1FA0)
        #expect(bench.number(at: ProcessorBench.data + 160, width: 8) == 1)
        #expect(bench.number(at: Self.header, width: 8) == 0xF2)
        bench.state.pointee.rax = .max
        bench.state.pointee.xcr0 = 1
        #expect(bench.execute(Self.xsave) == nil)
        #expect(bench.number(at: ProcessorBench.data, width: 2) == 0x37F)
        #expect(bench.number(at: Self.header, width: 8) == 0xF3)
    }

    @Test("XRSTOR brings back what XSAVE, XSAVEC and XSAVES stored")
    func xsaveRoundTrip() throws {
        for (save, restore) in [
            (Self.xsave, Self.xrstor), (Self.xsaveopt, Self.xrstor), (Self.xsavec, Self.xrstor),
            (Self.xsaves, Self.xrstors),
        ] {
            let bench = try filled()
            let x87 = bench.state.pointee.x87
            let sse = bench.state.pointee.sse
            #expect(bench.execute(save) == nil)
            #expect(bench.number(at: Self.header, width: 8) == 3)
            bench.state.pointee.x87 = X87State()
            bench.state.pointee.sse = SSEState()
            #expect(bench.execute(restore) == nil)
            expectSame(bench.state.pointee.x87, x87)
            #expect(bench.state.pointee.sse == sse)
        }
    }

    @Test("XSAVEC writes XCOMP_BV")
    func compactedHeader() throws {
        let bench = try filled()
        bench.state.pointee.rax = 2
        #expect(bench.execute(Self.xsavec) == nil)
        #expect(bench.number(at: Self.header, width: 8) == 2)
        #expect(bench.number(at: Self.header + 8, width: 8) == UInt64(1) << 63 | 2)
    }

    @Test("components in their initial configuration are marked so and, but for XSAVE, not written")
    func initialComponents() throws {
        for bytes in [Self.xsave, Self.xsaveopt, Self.xsavec] {
            let bench = try filled()
            bench.state.pointee.x87 = X87State()
            #expect(bench.execute([0xDB, 0xE3]) == nil)
            bench.state.pointee.sse = SSEState()
            #expect(bench.execute(bytes) == nil)
            #expect(bench.number(at: Self.header, width: 8) == 0)
            #expect(bench.number(at: ProcessorBench.data, width: 2) == (bytes == Self.xsave ? 0x37F : 0xEEEE))
            #expect(
                bench.number(at: ProcessorBench.data + 160, width: 8)
                    == (bytes == Self.xsave ? 0 : 0xEEEE_EEEE_EEEE_EEEE))
        }
    }

    @Test("XRSTOR initializes components whose bit in XSTATE_BV is clear")
    func initialization() throws {
        let bench = try filled()
        #expect(bench.execute(Self.xsave) == nil)
        bench.write([0], at: Self.header)
        #expect(bench.execute(Self.xrstor) == nil)
        #expect(bench.state.pointee.x87.tagWord == 0xFFFF)
        #expect(bench.state.pointee.x87.controlWord == 0x37F)
        #expect(bench.state.pointee.x87.significands == SIMD8())
        #expect(bench.xmm(3) == SIMD2(0, 0))
        // The standard format loads MXCSR all the same, the compacted one does not.
        #expect(bench.state.pointee.sse.mxcsr == 0x1FA0)
        bench.write([3, 0, 0, 0, 0, 0, 0, 0x80], at: Self.header + 8)
        #expect(bench.execute(Self.xrstor) == nil)
        #expect(bench.state.pointee.sse.mxcsr == 0x1F80)
    }

    @Test(
        "XRSTOR refuses headers with reserved bits",
        arguments: [
            // offset in the header, byte
            (0, 0x04), (7, 0x80), (8, 0x01), (15, 0x40), (16, 0x01), (23, 0x80),
        ] as [(UInt64, UInt8)])
    func standardHeader(offset: UInt64, byte: UInt8) throws {
        let bench = try filled()
        #expect(bench.execute(Self.xsave) == nil)
        #expect(bench.execute(Self.xrstor) == nil)
        bench.write([byte], at: Self.header + offset)
        #expect(bench.execute(Self.xrstor) == .generalProtection(0))
    }

    @Test(
        "XRSTOR refuses compacted headers with reserved bits, XRSTORS the standard format",
        arguments: [(0, 0x07), (8, 0x07), (8, 0x01), (16, 0x01), (24, 0x01), (63, 0x80)] as [(UInt64, UInt8)])
    func compactedHeader(offset: UInt64, byte: UInt8) throws {
        let bench = try filled()
        #expect(bench.execute(Self.xsave) == nil)
        #expect(bench.execute(Self.xrstors) == .generalProtection(0))
        bench.write([UInt8](repeating: 0, count: 64), at: Self.header)
        #expect(bench.execute(Self.xsavec) == nil)
        #expect(bench.execute(Self.xrstor) == nil)
        #expect(bench.execute(Self.xrstors) == nil)
        bench.write([byte], at: Self.header + offset)
        #expect(bench.execute(Self.xrstor) == .generalProtection(0))
        #expect(bench.execute(Self.xrstors) == .generalProtection(0))
    }

    @Test("the standard format may have anything in the last 40 bytes of the header")
    func unusedHeader() throws {
        let bench = try filled()
        #expect(bench.execute(Self.xsave) == nil)
        bench.write([UInt8](repeating: 0xFF, count: 40), at: Self.header + 24)
        #expect(bench.execute(Self.xrstor) == nil)
    }

    /// Of a store inside one page there is nothing to write to the next, wherever code lies: physical address 0 too.
    @Test(arguments: ["fnsave [0x110000]", "fxsave [0x110000]", "movups [0x110000], xmm0"])
    func blockStoresTouchOnlyTheirOwnPages(instruction: String) throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.cr4 |= CR4.OSFXSR
        try machine.load(instruction + "\nhlt", at: 0x800)
        machine.state.rip = 0x800
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == nil)
    }
}
