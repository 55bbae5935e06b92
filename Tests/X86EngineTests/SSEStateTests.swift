import Testing
import X86
import X86Engine

/// SSE behaviour that the manuals state: faults, alignment, save areas.
@Suite("SSE state")
struct SSEStateTests {
    // MARK: Faults

    @Test("CR0.EM and a clear CR4.OSFXSR give #UD, CR0.TS #NM")
    func availability() throws {
        let bench = try ProcessorBench()
        for bytes: [UInt8] in [
            [0x0F, 0x28, 0xC1], [0x66, 0x0F, 0xEF, 0xC1], [0xF2, 0x0F, 0x58, 0xC1], [0x0F, 0xAE, 0x16],
            [0x66, 0x0F, 0x38, 0x17, 0xC1], [0xF3, 0x0F, 0xD6, 0xC1],
        ] {
            bench.state.pointee.cr0 |= CR0.TS
            #expect(bench.execute(bytes) == .deviceNotAvailable)
            bench.state.pointee.cr0 |= CR0.EM
            #expect(bench.execute(bytes) == .invalidOpcode)
            bench.state.pointee.cr0 &= ~(CR0.EM | CR0.TS)
            bench.state.pointee.cr4 &= ~CR4.OSFXSR
            #expect(bench.execute(bytes) == .invalidOpcode)
            bench.state.pointee.cr4 |= CR4.OSFXSR
            #expect(bench.execute(bytes) == nil)
        }
        // PSHUFW is on MMX registers, whatever CR4.OSFXSR says.
        bench.state.pointee.cr4 &= ~CR4.OSFXSR
        #expect(bench.execute([0x0F, 0x70, 0xC1, 0x1B]) == nil)
    }

    @Test("an unmasked exception gives #XM, or #UD without CR4.OSXMMEXCPT, and leaves the destination")
    func unmaskedException() throws {
        let bench = try ProcessorBench()
        let one = SIMD2<UInt64>(1.0.bitPattern, 7)
        bench.setXMM(0, one)
        bench.setXMM(1, SIMD2(0, 0))
        bench.state.pointee.sse.mxcsr = 0x1D80
        // DIVSD XMM0, XMM1
        #expect(bench.execute([0xF2, 0x0F, 0x5E, 0xC1]) == .simdFloatingPoint)
        #expect(bench.state.pointee.sse.mxcsr == 0x1D84)
        #expect(bench.xmm(0) == one)
        bench.state.pointee.cr4 &= ~CR4.OSXMMEXCPT
        #expect(bench.execute([0xF2, 0x0F, 0x5E, 0xC1]) == .invalidOpcode)
        bench.state.pointee.sse.mxcsr = 0x1F80
        #expect(bench.execute([0xF2, 0x0F, 0x5E, 0xC1]) == nil)
        #expect(bench.xmm(0) == SIMD2(Double.infinity.bitPattern, 7))
    }

    @Test("aligned 128-bit operands give #GP(0) off a 16-byte boundary, unaligned ones do not")
    func alignment() throws {
        let bench = try ProcessorBench()
        bench.state.pointee.rsi = ProcessorBench.data + 8
        // MOVAPS both ways, PXOR, MOVNTDQ, MOVNTDQA, ADDPS, PSHUFD
        for bytes: [UInt8] in [
            [0x0F, 0x28, 0x06], [0x0F, 0x29, 0x06], [0x66, 0x0F, 0xEF, 0x06], [0x66, 0x0F, 0xE7, 0x06],
            [0x66, 0x0F, 0x38, 0x2A, 0x06], [0x0F, 0x58, 0x06], [0x66, 0x0F, 0x70, 0x06, 0x00],
        ] {
            #expect(bench.execute(bytes) == .generalProtection(0))
        }
        // MOVUPS both ways, MOVDQU, LDDQU, PCMPISTRI, MOVSD, CVTDQ2PD
        for bytes: [UInt8] in [
            [0x0F, 0x10, 0x06], [0x0F, 0x11, 0x06], [0xF3, 0x0F, 0x6F, 0x06], [0xF2, 0x0F, 0xF0, 0x06],
            [0x66, 0x0F, 0x3A, 0x63, 0x06, 0x00], [0xF2, 0x0F, 0x10, 0x06], [0xF3, 0x0F, 0xE6, 0x06],
        ] {
            #expect(bench.execute(bytes) == nil)
        }
    }

    @Test("an unaligned store over two pages is whole or not at all")
    func pageCrossing() throws {
        let bench = try ProcessorBench(mode: .bits32)
        let edge = ProcessorBench.data + 0x1000 - 8
        bench.state.pointee.rsi = edge
        bench.setXMM(0, SIMD2(0x1111_1111_1111_1111, 0x2222_2222_2222_2222))
        #expect(bench.execute([0x0F, 0x11, 0x06]) == nil)
        #expect(bench.number(at: edge, width: 8) == 0x1111_1111_1111_1111)
        #expect(bench.number(at: edge + 8, width: 8) == 0x2222_2222_2222_2222)
        #expect(bench.execute([0x0F, 0x10, 0x0E]) == nil)
        #expect(bench.xmm(1) == bench.xmm(0))
        bench.state.pointee.ds.limit = UInt32(edge) + 11
        bench.setXMM(0, SIMD2(0, 0))
        #expect(bench.execute([0x0F, 0x11, 0x06]) == .generalProtection(0))
        #expect(bench.number(at: edge, width: 8) == 0x1111_1111_1111_1111)
    }

    @Test("MASKMOVDQU writes the selected bytes only, and touches nothing with an empty mask")
    func maskedStore() throws {
        let bench = try ProcessorBench()
        bench.write([UInt8](repeating: 0xEE, count: 16))
        bench.state.pointee.rdi = ProcessorBench.data
        bench.setXMM(0, SIMD2(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908))
        bench.setXMM(1, SIMD2(0x0000_8000_FF7F_0000, 0x8000_0000_0000_0000))
        #expect(bench.execute([0x66, 0x0F, 0xF7, 0xC1]) == nil)
        var expected = [UInt8](repeating: 0xEE, count: 16)
        for index in [3, 5, 15] { expected[index] = UInt8(index) }
        #expect(bench.bytes(count: 16) == expected)
        bench.state.pointee.rdi = 0x8000_0000_0000_0000
        bench.setXMM(1, SIMD2(0, 0))
        #expect(bench.execute([0x66, 0x0F, 0xF7, 0xC1]) == nil)
        bench.setXMM(1, SIMD2(0x80, 0))
        #expect(bench.execute([0x66, 0x0F, 0xF7, 0xC1]) == .generalProtection(0))
    }

    // MARK: Approximations

    @Test("RCPPS and RSQRTSS are within 1.5 · 2^−12", arguments: [1.0, 3.0, 0.7, 1234.5, 1e-20] as [Float])
    func approximations(value: Float) throws {
        let bench = try ProcessorBench()
        let bits = UInt64(value.bitPattern)
        bench.setXMM(1, SIMD2(bits | bits << 32, bits | bits << 32))
        #expect(bench.execute([0x0F, 0x53, 0xC1]) == nil)
        for lane in 0..<4 {
            let found = Float(bitPattern: UInt32(truncatingIfNeeded: bench.xmm(0)[lane / 2] >> UInt64(lane % 2 * 32)))
            #expect(abs(found * value - 1) < 1.5 / 4096)
        }
        bench.setXMM(0, SIMD2(.max, .max))
        #expect(bench.execute([0xF3, 0x0F, 0x52, 0xC1]) == nil)
        let root = Float(bitPattern: UInt32(truncatingIfNeeded: bench.xmm(0)[0]))
        #expect(abs(root * value.squareRoot() - 1) < 1.5 / 4096)
        #expect(bench.xmm(0)[0] >> 32 == 0xFFFF_FFFF)
        #expect(bench.xmm(0)[1] == .max)
    }

    // MARK: MXCSR

    @Test("LDMXCSR loads, STMXCSR stores, reserved bits give #GP(0)")
    func mxcsr() throws {
        let bench = try ProcessorBench()
        bench.write([0xFF, 0xFF, 0, 0])
        #expect(bench.execute([0x0F, 0xAE, 0x16]) == nil)
        #expect(bench.state.pointee.sse.mxcsr == 0xFFFF)
        bench.write([0, 0, 1, 0])
        #expect(bench.execute([0x0F, 0xAE, 0x16]) == .generalProtection(0))
        #expect(bench.execute([0x0F, 0xAE, 0x1E]) == nil)
        #expect(bench.number(width: 4) == 0xFFFF)
    }
}
