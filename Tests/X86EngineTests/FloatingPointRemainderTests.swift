#if arch(x86_64)

import Testing
import X86Engine
import _HostFloatingPointOracle

struct FloatingPointRemainderTests {
    /// Processors reduce large exponent differences by steps of their own, but every step keeps the remainder.
    @Test(arguments: [false, true])
    func remainderEqualsHost(isIEEE: Bool) {
        var generator = OperandGenerator(seed: isIEEE ? 2001 : 2000)
        var differences: [String] = []
        for _ in 0..<floatingPointCases {
            let control = generator.x87Control()
            let operands = generator.x87Operands()
            let instruction = isIEEE ? HOST_fprem1 : HOST_fprem
            var host = X87Outcome(st: [operands.st0, operands.st1], memory: operands.memory, status: 0x400)
            var hostSteps = operands
            while host.status & 0x400 != 0 {
                host = hostOutcome(instruction, control, hostSteps)
                hostSteps.st0 = host.st[0]
                // An unmasked exception stops a partial reduction for good.
                if host.status & 0x3F & ~control != 0 { break }
            }
            var environment = X87Environment(control: control)
            var result = operands.st0
            var steps = 0
            repeat {
                environment.begin()
                let next =
                    isIEEE
                    ? environment.ieeeRemainder(result, by: operands.st1)
                    : environment.remainder(result, by: operands.st1)
                if environment.deliversToRegister { result = next }
                steps += 1
            } while environment.conditionCodes & 0x400 != 0 && steps < 1100 && !environment.hasUnmaskedException
            // Only the first step of a reduction sees a denormal dividend, so the flags of the last are compared.
            let status = environment.conditionCodes | UInt16(environment.raised.rawValue)
            let isSame = result == host.st[0] && status & 0x473F == host.status & 0x473F
            if !isSame && differences.count < 4 {
                differences.append(
                    "cw \(hex(UInt64(control))) \(operands.st0), \(operands.st1): \(result) \(hex(UInt64(status))), "
                        + "host \(host)")
            }
        }
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
    }

    /// The manual's bounds for a partial reduction: the exponents' difference shrinks by 32 to 63.
    @Test func partialReductionKeepsCongruence() {
        var generator = OperandGenerator(seed: 2002)
        for _ in 0..<floatingPointCases / 10 {
            let difference = UInt16(64 + generator.below(16000))
            let divisor = Extended(significand: generator.next() | 1 << 63, signAndExponent: 8000)
            let dividend = Extended(significand: generator.next() | 1 << 63, signAndExponent: 8000 + difference)
            var environment = X87Environment()
            let result = environment.remainder(dividend, by: divisor)
            #expect(environment.conditionCodes & 0x400 != 0)
            let reduction = 8000 + Int(difference) - Int(result.signAndExponent)
            #expect(result.significand == 0 || reduction >= 32)
        }
    }
}

#endif
