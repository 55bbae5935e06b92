import Testing
import X86Engine

/// RCPPS and RSQRTPS against the bounds and special cases of the SDM.
struct FloatingPointApproximationTests {
    private static let bound = 1.5 / 4096

    /// Every 17-bit prefix of a normal significand with every exponent that has a normal result.
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
}
