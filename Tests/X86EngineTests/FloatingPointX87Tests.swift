#if arch(x86_64)

import Testing
import X86Engine
import _HostFloatingPointOracle

/// What an x87 instruction leaves: the top registers, memory and the condition codes.
struct X87Outcome: Equatable {
    var st: [Extended]
    var memory: SIMD2<UInt64>
    /// Exception flags 5:0 and the condition codes.
    var status: UInt16
}

/// The operands of one execution.
struct X87Operands {
    var st0: Extended
    var st1: Extended
    var memory: SIMD2<UInt64>

    var unpacked0: UnpackedNumber { UnpackedNumber(st0) }
    var unpacked1: UnpackedNumber { UnpackedNumber(st1) }
    var memory32: UInt32 { UInt32(truncatingIfNeeded: memory[0]) }
    var memoryInt16: Int64 { Int64(Int16(truncatingIfNeeded: memory[0])) }
    var memoryInt32: Int64 { Int64(Int32(truncatingIfNeeded: memory[0])) }
}

/// One instruction, by the host and by the engine.
struct X87Instruction: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let host: host_x87_instruction
    /// The status bits the manuals define for it: exception flags and condition codes.
    var defined: UInt16 = 0x023F
    /// Whether the stack moves and so the whole instruction is an exact load or store.
    let execute: @Sendable (inout X87Environment, X87Operands, inout X87Outcome) -> Void
}

private typealias Computation = @Sendable (inout X87Environment, X87Operands) -> Extended

/// An instruction that replaces st(0).
private func computes(
    _ name: String, _ host: host_x87_instruction, defined: UInt16 = 0x023F, _ operation: @escaping Computation
) -> X87Instruction {
    X87Instruction(testDescription: name, host: host, defined: defined) { environment, operands, outcome in
        let result = operation(&environment, operands)
        if environment.deliversToRegister { outcome.st[0] = result }
    }
}

/// An instruction that pushes.
private func loads(
    _ name: String, _ host: host_x87_instruction, _ operation: @escaping Computation
) -> X87Instruction {
    X87Instruction(testDescription: name, host: host) { environment, operands, outcome in
        let result = operation(&environment, operands)
        if environment.deliversLoad { outcome.st.insert(result, at: 0) }
    }
}

/// An instruction that stores `bits` bits from st(0) and pops or not.
private func stores(
    _ name: String, _ host: host_x87_instruction, bits: UInt64, pops: Bool = false,
    _ operation: @escaping @Sendable (inout X87Environment, Extended) -> UInt64
) -> X87Instruction {
    X87Instruction(testDescription: name, host: host) { environment, operands, outcome in
        let result = operation(&environment, operands.st0)
        guard environment.deliversToMemory else { return }
        let mask: UInt64 = bits == 64 ? .max : (1 << bits) - 1
        outcome.memory[0] = outcome.memory[0] & ~mask | result & mask
        if pops { outcome.st.removeFirst() }
    }
}

private func compares(
    _ name: String, _ host: host_x87_instruction,
    _ operation: @escaping @Sendable (inout X87Environment, X87Operands) -> FloatingPointOrdering
) -> X87Instruction {
    X87Instruction(testDescription: name, host: host, defined: 0x473F) { environment, operands, outcome in
        outcome.status |= operation(&environment, operands).conditionCodes
    }
}

private func bits(_ value: some BinaryInteger) -> UInt64 { UInt64(truncatingIfNeeded: value) }

struct FloatingPointX87Tests {
    static let arithmetic: [X87Instruction] = [
        computes("fadd", HOST_fadd) { $0.add($1.unpacked0, $1.unpacked1) },
        computes("fsub", HOST_fsub) { $0.subtract($1.unpacked0, $1.unpacked1) },
        computes("fmul", HOST_fmul) { $0.multiply($1.unpacked0, $1.unpacked1) },
        computes("fdiv", HOST_fdiv) { $0.divide($1.unpacked0, $1.unpacked1) },
        computes("fadd m32", HOST_fadd32) { $0.add($1.unpacked0, UnpackedNumber(binary32: $1.memory32)) },
        computes("fsub m32", HOST_fsub32) { $0.subtract($1.unpacked0, UnpackedNumber(binary32: $1.memory32)) },
        computes("fmul m64", HOST_fmul64) { $0.multiply($1.unpacked0, UnpackedNumber(binary64: $1.memory[0])) },
        computes("fdivr m64", HOST_fdivr64) { $0.divide(UnpackedNumber(binary64: $1.memory[0]), $1.unpacked0) },
        computes("fiadd m16", HOST_fiadd16) { $0.add($1.unpacked0, UnpackedNumber($1.memoryInt16)) },
        computes("fidiv m32", HOST_fidiv32) { $0.divide($1.unpacked0, UnpackedNumber($1.memoryInt32)) },
        computes("fsqrt", HOST_fsqrt) { $0.squareRoot($1.st0) },
        computes("frndint", HOST_frndint) { $0.roundToIntegral($1.st0) },
        computes("fscale", HOST_fscale) { $0.scale($1.st0, by: $1.st1) },
        X87Instruction(testDescription: "fxtract", host: HOST_fxtract) { environment, operands, outcome in
            let parts = environment.extract(operands.st0)
            guard environment.deliversToRegister else { return }
            outcome.st.replaceSubrange(0...0, with: [parts.significand, parts.exponent])
        },
    ]

    static let comparisons: [X87Instruction] = [
        compares("fcom", HOST_fcom) { $0.compare($1.unpacked0, $1.unpacked1, signalsQuietNaN: true) },
        compares("fucom", HOST_fucom) { $0.compare($1.unpacked0, $1.unpacked1, signalsQuietNaN: false) },
        compares("ftst", HOST_ftst) {
            $0.compare($1.unpacked0, UnpackedNumber(.positiveZero), signalsQuietNaN: true)
        },
        compares("fcom m32", HOST_fcom32) {
            $0.compare($1.unpacked0, UnpackedNumber(binary32: $1.memory32), signalsQuietNaN: true)
        },
        compares("fcom m64", HOST_fcom64) {
            $0.compare($1.unpacked0, UnpackedNumber(binary64: $1.memory[0]), signalsQuietNaN: true)
        },
        X87Instruction(testDescription: "fxam", host: HOST_fxam, defined: 0x473F) { _, operands, outcome in
            outcome.status |= operands.st0.examination
        },
    ]

    static let conversions: [X87Instruction] = [
        loads("fld m32", HOST_fld32) { $0.load(binary32: $1.memory32) },
        loads("fld m64", HOST_fld64) { $0.load(binary64: $1.memory[0]) },
        loads("fild m16", HOST_fild16) { $0.load(integer: $1.memoryInt16) },
        loads("fild m32", HOST_fild32) { $0.load(integer: $1.memoryInt32) },
        loads("fild m64", HOST_fild64) { $0.load(integer: Int64(bitPattern: $1.memory[0])) },
        loads("fbld", HOST_fbld) {
            $0.load(
                decimal: PackedDecimal(
                    digits: $1.memory[0], signAndTopDigits: UInt16(truncatingIfNeeded: $1.memory[1])))
        },
        stores("fst m32", HOST_fst32, bits: 32) { bits($0.store32($1)) },
        stores("fst m64", HOST_fst64, bits: 64) { $0.store64($1) },
        stores("fist m16", HOST_fist16, bits: 16) { bits($0.storeInt16($1)) },
        stores("fist m32", HOST_fist32, bits: 32) { bits($0.storeInt32($1)) },
        stores("fistp m64", HOST_fistp64, bits: 64, pops: true) { bits($0.storeInt64($1)) },
        stores("fisttp m16", HOST_fisttp16, bits: 16, pops: true) { bits($0.truncateToInt16($1)) },
        stores("fisttp m32", HOST_fisttp32, bits: 32, pops: true) { bits($0.truncateToInt32($1)) },
        stores("fisttp m64", HOST_fisttp64, bits: 64, pops: true) { bits($0.truncateToInt64($1)) },
        X87Instruction(testDescription: "fbstp", host: HOST_fbstp) { environment, operands, outcome in
            let decimal = environment.storeDecimal(operands.st0)
            guard environment.deliversToMemory else { return }
            outcome.memory[0] = decimal.digits
            outcome.memory[1] = outcome.memory[1] & ~0xFFFF | UInt64(decimal.signAndTopDigits)
            outcome.st.removeFirst()
        },
    ]

    static let constants: [X87Instruction] = [
        loads("fld1", HOST_fld1) { environment, _ in environment.constant(.one) },
        loads("fldl2t", HOST_fldl2t) { environment, _ in environment.constant(.log2Of10) },
        loads("fldl2e", HOST_fldl2e) { environment, _ in environment.constant(.log2OfE) },
        loads("fldpi", HOST_fldpi) { environment, _ in environment.constant(.pi) },
        loads("fldlg2", HOST_fldlg2) { environment, _ in environment.constant(.log10Of2) },
        loads("fldln2", HOST_fldln2) { environment, _ in environment.constant(.logOf2) },
        loads("fldz", HOST_fldz) { environment, _ in environment.constant(.zero) },
    ]

    @Test(arguments: arithmetic)
    func arithmeticEqualsHost(_ instruction: X87Instruction) { expectEqualsHost(instruction) }

    @Test(arguments: comparisons)
    func comparisonEqualsHost(_ instruction: X87Instruction) { expectEqualsHost(instruction) }

    @Test(arguments: conversions)
    func conversionEqualsHost(_ instruction: X87Instruction) { expectEqualsHost(instruction) }

    @Test(arguments: constants)
    func constantEqualsHost(_ instruction: X87Instruction) { expectEqualsHost(instruction) }

    /// Results, flags, condition codes and stack under random rounding, precision and masks.
    private func expectEqualsHost(_ instruction: X87Instruction) {
        var generator = OperandGenerator(seed: UInt64(instruction.host.rawValue) + 1000)
        var differences: [String] = []
        var count = 0
        for _ in 0..<floatingPointCases {
            let control = generator.x87Control()
            let operands = generator.x87Operands()
            let host = hostOutcome(instruction.host, control, operands)
            var environment = X87Environment(control: control)
            var ours = X87Outcome(st: [operands.st0, operands.st1], memory: operands.memory, status: 0)
            instruction.execute(&environment, operands, &ours)
            ours.status |= environment.conditionCodes | UInt16(environment.raised.rawValue)
            ours.status &= instruction.defined
            var expected = host
            expected.status &= instruction.defined
            guard ours != expected else { continue }
            count += 1
            guard differences.count < 4 else { continue }
            differences.append(
                "cw \(hex(UInt64(control))) \(operands.st0), \(operands.st1), \(hex(operands.memory)): \(ours), host \(expected)"
            )
        }
        #expect(count == 0, "\(differences.joined(separator: "\n"))")
    }
}

func hostOutcome(
    _ instruction: host_x87_instruction, _ control: UInt16, _ operands: X87Operands
) -> X87Outcome {
    let host = host_x87_execute(
        instruction, control, operands.st0.host, operands.st1.host,
        host_vector(low: operands.memory[0], high: operands.memory[1]))
    let registers = [host.st.0, host.st.1, host.st.2].prefix(Int(host.depth)).map {
        Extended(significand: $0.significand, signAndExponent: $0.sign_and_exponent)
    }
    return X87Outcome(
        st: registers, memory: SIMD2(host.memory.low, host.memory.high), status: host.status & 0x473F)
}

extension Extended: CustomStringConvertible {
    package var description: String { hex(UInt64(signAndExponent)) + "." + hex(significand) }

    var host: host_extended { host_extended(significand: significand, sign_and_exponent: signAndExponent) }
}

extension X87Outcome: CustomStringConvertible {
    var description: String { "\(st) \(hex(memory)) \(hex(UInt64(status)))" }
}

extension OperandGenerator {
    /// Half the time everything masked, else any masks, with any precision and rounding.
    mutating func x87Control() -> UInt16 {
        UInt16(below(16)) << 8 | (below(2) == 0 ? 0x3F : UInt16(below(64)))
    }

    mutating func x87Operands() -> X87Operands {
        let (st0, st1) = below(2) == 0 ? extendedPair() : (extendedNearNarrowRange(), scaleOperand())
        let low: UInt64
        switch below(4) {
        case 0: low = UInt64(binary32())
        case 1: low = pattern(bits: 64)
        case 2: low = decimalDigits(16)
        default: low = binary64()
        }
        return X87Operands(st0: st0, st1: st1, memory: SIMD2(low, decimalDigits(2) | below(2) << 15))
    }

    private mutating func decimalDigits(_ count: Int) -> UInt64 {
        (0..<count).reduce(0) { value, _ in value << 4 | below(10) }
    }

    /// A small number with a fraction, as FSCALE and the remainders meet it, or any number.
    private mutating func scaleOperand() -> Extended {
        if below(2) == 0 { return extended() }
        return Extended(
            significand: pattern(bits: 63) | 1 << 63,
            signAndExponent: UInt16(below(2)) << 15 | UInt16(16383 - 4 + below(20)))
    }
}

#endif
