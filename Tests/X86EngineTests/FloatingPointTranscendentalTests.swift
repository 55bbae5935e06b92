#if arch(x86_64)

import Testing
import X86Engine
import _HostFloatingPointOracle

/// A transcendental instruction, by the host and by the engine.
struct TranscendentalInstruction: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let host: host_x87_instruction
    /// The exponents between which the manuals define it, for the operand in st(0).
    var exponents: ClosedRange<UInt16> = 0...0x7FFF
    /// What is on the stack afterwards, st(0) first, if the result is delivered.
    let execute: @Sendable (inout X87Environment, X87Operands) -> [Extended]
}

struct FloatingPointTranscendentalTests {
    static let instructions: [TranscendentalInstruction] = [
        TranscendentalInstruction(testDescription: "f2xm1", host: HOST_f2xm1, exponents: 0...0x3FFE) {
            [$0.exponential2MinusOne($1.st0), $1.st1]
        },
        TranscendentalInstruction(testDescription: "fyl2x", host: HOST_fyl2x) {
            [$0.logarithm2($1.st0, times: $1.st1)]
        },
        TranscendentalInstruction(testDescription: "fyl2xp1", host: HOST_fyl2xp1, exponents: 0...0x3FFC) {
            [$0.logarithm2OfOnePlus($1.st0, times: $1.st1)]
        },
        TranscendentalInstruction(testDescription: "fpatan", host: HOST_fpatan) {
            [$0.arcTangent($1.st1, over: $1.st0)]
        },
        TranscendentalInstruction(testDescription: "fsin", host: HOST_fsin) { [$0.sine($1.st0), $1.st1] },
        TranscendentalInstruction(testDescription: "fcos", host: HOST_fcos) { [$0.cosine($1.st0), $1.st1] },
        TranscendentalInstruction(testDescription: "fsincos", host: HOST_fsincos) {
            let both = $0.sineAndCosine($1.st0)
            return $0.conditionCodes & 0x400 != 0 ? [both.sine, $1.st1] : [both.cosine, both.sine, $1.st1]
        },
        TranscendentalInstruction(testDescription: "fptan", host: HOST_fptan) {
            let both = $0.tangent($1.st0)
            return $0.conditionCodes & 0x400 != 0 ? [both.tangent, $1.st1] : [both.pushed, both.tangent, $1.st1]
        },
    ]

    @Test(arguments: instructions)
    func resultIsNearHostWithItsFlags(_ instruction: TranscendentalInstruction) {
        var generator = OperandGenerator(seed: UInt64(instruction.host.rawValue) + 3000)
        var differences: [String] = []
        var count = 0
        for _ in 0..<floatingPointCases {
            let control = generator.x87Control()
            var operands = generator.x87Operands()
            if generator.below(4) == 0 { operands.st0 = Self.special[Int(generator.below(16))] }
            if generator.below(4) == 0 { operands.st1 = Self.special[Int(generator.below(16))] }
            if Self.isUndefined(instruction, operands.st0) { continue }
            let host = hostOutcome(instruction.host, control, operands)
            var environment = X87Environment(control: control)
            var result = instruction.execute(&environment, operands)
            if !environment.deliversToRegister { result = [operands.st0, operands.st1] }
            let isSame =
                result.count == host.st.count && zip(result, host.st).allSatisfy { Self.isNear($0, $1) }
                && (UInt16(environment.raised.rawValue) ^ host.status) & Self.flags(instruction, operands.st0) == 0
                && environment.conditionCodes & 0x400 == host.status & 0x400
            guard !isSame else { continue }
            count += 1
            if differences.count < 6 {
                differences.append(
                    "cw \(hex(UInt64(control))) \(operands.st0), \(operands.st1): \(result) "
                        + "\(hex(UInt64(environment.raised.rawValue))) \(hex(UInt64(environment.conditionCodes))), host \(host)"
                )
            }
        }
        #expect(count == 0, "\(differences.joined(separator: "\n"))")
    }

    private static func isUndefined(_ instruction: TranscendentalInstruction, _ x: Extended) -> Bool {
        let exponent = x.signAndExponent & 0x7FFF
        return exponent != 0x7FFF && !instruction.exponents.contains(exponent)
    }

    /// Whether two results differ by at most two units in the last place.
    private static func isNear(_ a: Extended, _ b: Extended) -> Bool {
        if a == b { return true }
        // Exponent and fraction together count the numbers of one sign.
        let x = UInt128(a.signAndExponent) << 63 | UInt128(a.significand & (.max >> 1))
        let y = UInt128(b.signAndExponent) << 63 | UInt128(b.significand & (.max >> 1))
        return max(x, y) - min(x, y) <= 2
    }

    /// The flags the host must agree on: AMD's processors raise the precision exception, and underflow with
    /// it, also where the logarithm is exact.
    private static func flags(_ instruction: TranscendentalInstruction, _ x: Extended) -> UInt16 {
        instruction.host == HOST_fyl2x && x.significand.nonzeroBitCount == 1 ? 0x0F : 0x3F
    }

    private static let special: [Extended] = [
        Extended(significand: 0, signAndExponent: 0), Extended(significand: 0, signAndExponent: 0x8000),
        Extended(significand: 1 << 63, signAndExponent: 0x3FFF),
        Extended(significand: 1 << 63, signAndExponent: 0xBFFF),
        Extended(significand: 1 << 63, signAndExponent: 0x7FFF),
        Extended(significand: 1 << 63, signAndExponent: 0xFFFF),
        Extended(significand: 0xC000_0000_0000_0000, signAndExponent: 0x7FFF),
        Extended(significand: 0xA000_0000_0000_0001, signAndExponent: 0xFFFF),
        Extended(significand: 1, signAndExponent: 0), Extended(significand: 1 << 63, signAndExponent: 0),
        Extended(significand: 1 << 62, signAndExponent: 0x4000),
        Extended(significand: 1 << 63, signAndExponent: 0x3FFE),
        Extended(significand: 1 << 63, signAndExponent: 0x4005),
        Extended(significand: 1 << 63, signAndExponent: 0x403E),
        Extended(significand: .max, signAndExponent: 0x403D), Extended(significand: 1, signAndExponent: 0x7FFF),
    ]
}

#endif
