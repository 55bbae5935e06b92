import Testing
import X86Engine

#if arch(x86_64)
import _HostFloatingPointOracle
#endif

/// RCPPS and RSQRTPS against the bounds and special cases of the SDM.
struct FloatingPointApproximationTests {
    private static let bound = 1.5 / 4096

    /// Samples every seventh exponent that has a normal result.
    @Test func reciprocalIsWithinDocumentedError() {
        for biased in stride(from: UInt32(1), through: 252, by: 7) {
            for fraction in stride(from: UInt32(0), to: 1 << 23, by: 509) {
                let x = Float(bitPattern: biased << 23 | fraction)
                let result = Float(bitPattern: SSEApproximation.reciprocal(x.bitPattern))
                if abs(Double(result) * Double(x) - 1) > Self.bound { Issue.record("\(x): \(result)") }
            }
        }
    }

    @Test func reciprocalSquareRootIsWithinDocumentedError() {
        for biased in stride(from: UInt32(1), through: 254, by: 7) {
            for fraction in stride(from: UInt32(0), to: 1 << 23, by: 509) {
                let x = Float(bitPattern: biased << 23 | fraction)
                let result = Float(bitPattern: SSEApproximation.reciprocalSquareRoot(x.bitPattern))
                if abs(Double(result) * Double(x).squareRoot() - 1) > Self.bound { Issue.record("\(x): \(result)") }
            }
        }
    }

    @Test(
        arguments: [
            (0x0000_0000, 0x7F80_0000), (0x8000_0000, 0xFF80_0000), (0x007F_FFFF, 0x7F80_0000),
            (0x8000_0001, 0xFF80_0000), (0x7F80_0000, 0x0000_0000), (0xFF80_0000, 0x8000_0000),
            (0x7F80_0001, 0x7FC0_0001), (0xFFC0_1234, 0xFFC0_1234), (0x7F7F_FFFF, 0x0000_0000),
            (0x3F80_0000, 0x3F80_0000), (0xC000_0000, 0xBF00_0000),
        ] as [(UInt32, UInt32)])
    func reciprocalOfSpecialOperand(operand: UInt32, expected: UInt32) {
        #expect(SSEApproximation.reciprocal(operand) == expected)
    }

    @Test(
        arguments: [
            (0x0000_0000, 0x7F80_0000), (0x8000_0000, 0xFF80_0000), (0x0000_0001, 0x7F80_0000),
            (0x807F_FFFF, 0xFF80_0000), (0x7F80_0000, 0x0000_0000), (0xFF80_0000, 0xFFC0_0000),
            (0xBF80_0000, 0xFFC0_0000), (0xFF80_0001, 0xFFC0_0001), (0x7FC0_1234, 0x7FC0_1234),
            (0x3F80_0000, 0x3F80_0000), (0x4080_0000, 0x3F00_0000),
        ] as [(UInt32, UInt32)])
    func reciprocalSquareRootOfSpecialOperand(operand: UInt32, expected: UInt32) {
        #expect(SSEApproximation.reciprocalSquareRoot(operand) == expected)
    }

    #if arch(x86_64)

    /// Special results are the host's; others differ by at most the two errors the manuals allow.
    @Test(arguments: [false, true])
    func approximationIsNearHost(isSquareRoot: Bool) {
        var generator = OperandGenerator(seed: isSquareRoot ? 4001 : 4000)
        for _ in 0..<floatingPointCases {
            let x = generator.binary32()
            let ours = isSquareRoot ? SSEApproximation.reciprocalSquareRoot(x) : SSEApproximation.reciprocal(x)
            let zero = host_vector(low: 0, high: 0)
            let operand = host_vector(low: UInt64(x), high: 0)
            let result = host_sse_execute(isSquareRoot ? HOST_rsqrtss : HOST_rcpss, 0x1F80, zero, operand, 0)
            let host = UInt32(truncatingIfNeeded: result.value.low)
            // Between these, whether a reciprocal is tiny and so zero depends on the processor (SDM, RCPPS).
            let mayBeTiny = !isSquareRoot && (0x7E7F_E800...0x7E80_0C01).contains(x & 0x7FFF_FFFF)
            if ours == host || mayBeTiny { continue }
            let a = Double(Float(bitPattern: ours))
            let b = Double(Float(bitPattern: host))
            // Negated so that a NaN on one side only is a difference.
            if !(abs(a - b) <= 2 * Self.bound * abs(b)) { Issue.record("\(hex(UInt64(x))): \(a), host \(b)") }
        }
    }

    #endif
}
