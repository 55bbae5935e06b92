#if arch(x86_64)

import Testing
import X86Engine
import _HostFloatingPointOracle

/// The registers an SSE instruction may change.
struct SSERegisters: Equatable {
    var value: SIMD2<UInt64>
    var integer: UInt64
    var statusFlags: UInt32 = 0

    var low32: UInt32 {
        get { UInt32(truncatingIfNeeded: value[0]) }
        set { value[0] = value[0] & 0xFFFF_FFFF_0000_0000 | UInt64(newValue) }
    }
}

func elements32(_ value: SIMD2<UInt64>) -> SIMD4<UInt32> { unsafeBitCast(value, to: SIMD4<UInt32>.self) }
func vector(_ elements: SIMD4<UInt32>) -> SIMD2<UInt64> { unsafeBitCast(elements, to: SIMD2<UInt64>.self) }

/// One instruction, by the host and by the engine.
struct SSEInstruction: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let host: host_sse_instruction
    let execute: @Sendable (inout SSEEnvironment, inout SSERegisters, SIMD2<UInt64>) -> Void
}

private typealias Binary64 = @Sendable (inout SSEEnvironment, UInt64, UInt64) -> UInt64
private typealias Binary32 = @Sendable (inout SSEEnvironment, UInt32, UInt32) -> UInt32
private typealias Packed = @Sendable (inout SSEEnvironment, SIMD2<UInt64>, SIMD2<UInt64>) -> SIMD2<UInt64>
private typealias ToInteger = @Sendable (inout SSEEnvironment, UInt64) -> UInt64

private func double(_ name: String, _ host: host_sse_instruction, _ operation: @escaping Binary64) -> SSEInstruction {
    SSEInstruction(testDescription: name, host: host) { $1.value[0] = operation(&$0, $1.value[0], $2[0]) }
}

private func single(_ name: String, _ host: host_sse_instruction, _ operation: @escaping Binary32) -> SSEInstruction {
    SSEInstruction(testDescription: name, host: host) { environment, registers, source in
        registers.low32 = operation(&environment, registers.low32, UInt32(truncatingIfNeeded: source[0]))
    }
}

private func packed(_ name: String, _ host: host_sse_instruction, _ operation: @escaping Packed) -> SSEInstruction {
    SSEInstruction(testDescription: name, host: host) { $1.value = operation(&$0, $1.value, $2) }
}

private func toInteger(
    _ name: String, _ host: host_sse_instruction, _ operation: @escaping ToInteger
) -> SSEInstruction {
    SSEInstruction(testDescription: name, host: host) { $1.integer = operation(&$0, $2[0]) }
}

private func fromInteger(
    _ name: String, _ host: host_sse_instruction,
    _ operation: @escaping @Sendable (inout SSEEnvironment, inout SSERegisters) -> Void
) -> SSEInstruction {
    SSEInstruction(testDescription: name, host: host) { environment, registers, _ in
        operation(&environment, &registers)
    }
}

private func compares64(
    _ name: String, _ host: host_sse_instruction, _ immediate: UInt8
) -> SSEInstruction {
    double(name, host) { $0.compare64($1, $2, SSEPredicate(immediate: immediate)) }
}

private func compares32(
    _ name: String, _ host: host_sse_instruction, _ immediate: UInt8
) -> SSEInstruction {
    single(name, host) { $0.compare32($1, $2, SSEPredicate(immediate: immediate)) }
}

private func rounds64(_ host: host_sse_instruction, _ immediate: UInt8) -> SSEInstruction {
    double("roundsd \(immediate)", host) { $0.roundToIntegral64($2, immediate: immediate) }
}

private func rounds32(_ host: host_sse_instruction, _ immediate: UInt8) -> SSEInstruction {
    single("roundss \(immediate)", host) { $0.roundToIntegral32($2, immediate: immediate) }
}

private func dots32(_ host: host_sse_instruction, _ immediate: UInt8) -> SSEInstruction {
    packed("dpps \(immediate)", host) {
        vector($0.dotProduct32(elements32($1), elements32($2), immediate: immediate))
    }
}

private func dots64(_ host: host_sse_instruction, _ immediate: UInt8) -> SSEInstruction {
    packed("dppd \(immediate)", host) { $0.dotProduct64($1, $2, immediate: immediate) }
}

private func setFlags(
    _ name: String, _ host: host_sse_instruction,
    _ operation: @escaping @Sendable (inout SSEEnvironment, SSERegisters, SIMD2<UInt64>) -> FloatingPointOrdering
) -> SSEInstruction {
    SSEInstruction(testDescription: name, host: host) { $1.statusFlags = operation(&$0, $1, $2).statusFlags }
}

private func low32(_ bits: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: bits) }
private func zeroExtend(_ value: Int32) -> UInt64 { UInt64(UInt32(bitPattern: value)) }
private func signed32(_ bits: UInt64) -> Int32 { Int32(truncatingIfNeeded: bits) }

struct FloatingPointSSETests {
    static let arithmetic: [SSEInstruction] = [
        double("addsd", HOST_addsd) { $0.add64($1, $2) },
        double("subsd", HOST_subsd) { $0.subtract64($1, $2) },
        double("mulsd", HOST_mulsd) { $0.multiply64($1, $2) },
        double("divsd", HOST_divsd) { $0.divide64($1, $2) },
        double("sqrtsd", HOST_sqrtsd) { $0.squareRoot64($2) },
        double("minsd", HOST_minsd) { $0.minimum64($1, $2) },
        double("maxsd", HOST_maxsd) { $0.maximum64($1, $2) },
        single("addss", HOST_addss) { $0.add32($1, $2) },
        single("subss", HOST_subss) { $0.subtract32($1, $2) },
        single("mulss", HOST_mulss) { $0.multiply32($1, $2) },
        single("divss", HOST_divss) { $0.divide32($1, $2) },
        single("sqrtss", HOST_sqrtss) { $0.squareRoot32($2) },
        single("minss", HOST_minss) { $0.minimum32($1, $2) },
        single("maxss", HOST_maxss) { $0.maximum32($1, $2) },
    ]

    static let comparisons: [SSEInstruction] = [
        setFlags("comisd", HOST_comisd) { $0.compare64($1.value[0], $2[0], signalsQuietNaN: true) },
        setFlags("ucomisd", HOST_ucomisd) { $0.compare64($1.value[0], $2[0], signalsQuietNaN: false) },
        setFlags("comiss", HOST_comiss) { $0.compare32($1.low32, low32($2[0]), signalsQuietNaN: true) },
        setFlags("ucomiss", HOST_ucomiss) { $0.compare32($1.low32, low32($2[0]), signalsQuietNaN: false) },
        compares64("cmpeqsd", HOST_cmpsd0, 0), compares64("cmpltsd", HOST_cmpsd1, 1),
        compares64("cmplesd", HOST_cmpsd2, 2), compares64("cmpunordsd", HOST_cmpsd3, 3),
        compares64("cmpneqsd", HOST_cmpsd4, 4), compares64("cmpnltsd", HOST_cmpsd5, 5),
        compares64("cmpnlesd", HOST_cmpsd6, 6), compares64("cmpordsd", HOST_cmpsd7, 7),
        compares32("cmpeqss", HOST_cmpss0, 0), compares32("cmpltss", HOST_cmpss1, 1),
        compares32("cmpless", HOST_cmpss2, 2), compares32("cmpunordss", HOST_cmpss3, 3),
        compares32("cmpneqss", HOST_cmpss4, 4), compares32("cmpnltss", HOST_cmpss5, 5),
        compares32("cmpnless", HOST_cmpss6, 6), compares32("cmpordss", HOST_cmpss7, 7),
    ]

    static let conversions: [SSEInstruction] = [
        double("cvtss2sd", HOST_cvtss2sd) { $0.convert32To64(low32($2)) },
        SSEInstruction(testDescription: "cvtsd2ss", host: HOST_cvtsd2ss) { $1.low32 = $0.convert64To32($2[0]) },
        fromInteger("cvtsi2sd 32", HOST_cvtsi2sd32) { $1.value[0] = $0.convertInt32To64(signed32($1.integer)) },
        fromInteger("cvtsi2sd 64", HOST_cvtsi2sd64) {
            $1.value[0] = $0.convertInt64To64(Int64(bitPattern: $1.integer))
        },
        fromInteger("cvtsi2ss 32", HOST_cvtsi2ss32) { $1.low32 = $0.convertInt32To32(signed32($1.integer)) },
        fromInteger("cvtsi2ss 64", HOST_cvtsi2ss64) {
            $1.low32 = $0.convertInt64To32(Int64(bitPattern: $1.integer))
        },
        toInteger("cvtsd2si 32", HOST_cvtsd2si32) { zeroExtend($0.convert64ToInt32($1)) },
        toInteger("cvtsd2si 64", HOST_cvtsd2si64) { UInt64(bitPattern: $0.convert64ToInt64($1)) },
        toInteger("cvttsd2si 32", HOST_cvttsd2si32) { zeroExtend($0.truncate64ToInt32($1)) },
        toInteger("cvttsd2si 64", HOST_cvttsd2si64) { UInt64(bitPattern: $0.truncate64ToInt64($1)) },
        toInteger("cvtss2si 32", HOST_cvtss2si32) { zeroExtend($0.convert32ToInt32(low32($1))) },
        toInteger("cvtss2si 64", HOST_cvtss2si64) { UInt64(bitPattern: $0.convert32ToInt64(low32($1))) },
        toInteger("cvttss2si 32", HOST_cvttss2si32) { zeroExtend($0.truncate32ToInt32(low32($1))) },
        toInteger("cvttss2si 64", HOST_cvttss2si64) { UInt64(bitPattern: $0.truncate32ToInt64(low32($1))) },
        rounds64(HOST_roundsd0, 0), rounds64(HOST_roundsd1, 1), rounds64(HOST_roundsd2, 2),
        rounds64(HOST_roundsd3, 3), rounds64(HOST_roundsd4, 4), rounds64(HOST_roundsd8, 8),
        rounds64(HOST_roundsd12, 12),
        rounds32(HOST_roundss0, 0), rounds32(HOST_roundss1, 1), rounds32(HOST_roundss2, 2),
        rounds32(HOST_roundss3, 3), rounds32(HOST_roundss4, 4), rounds32(HOST_roundss8, 8),
        rounds32(HOST_roundss12, 12),
    ]

    static let combinations: [SSEInstruction] = [
        packed("addpd", HOST_addpd) { SIMD2($0.add64($1[0], $2[0]), $0.add64($1[1], $2[1])) },
        packed("divps", HOST_divps) { environment, a, b in
            let (x, y) = (elements32(a), elements32(b))
            var result = SIMD4<UInt32>()
            for index in 0..<4 { result[index] = environment.divide32(x[index], y[index]) }
            return vector(result)
        },
        packed("haddps", HOST_haddps) { vector($0.horizontalAdd32(elements32($1), elements32($2))) },
        packed("hsubps", HOST_hsubps) { vector($0.horizontalSubtract32(elements32($1), elements32($2))) },
        packed("addsubps", HOST_addsubps) { vector($0.addSubtract32(elements32($1), elements32($2))) },
        packed("haddpd", HOST_haddpd) { $0.horizontalAdd64($1, $2) },
        packed("hsubpd", HOST_hsubpd) { $0.horizontalSubtract64($1, $2) },
        packed("addsubpd", HOST_addsubpd) { $0.addSubtract64($1, $2) },
        dots32(HOST_dppsF1, 0xF1), dots32(HOST_dpps7F, 0x7F), dots32(HOST_dpps5A, 0x5A),
        dots64(HOST_dppd31, 0x31), dots64(HOST_dppd13, 0x13),
    ]

    @Test(arguments: arithmetic)
    func arithmeticEqualsHost(_ instruction: SSEInstruction) { expectEqualsHost(instruction) }

    @Test(arguments: comparisons)
    func comparisonEqualsHost(_ instruction: SSEInstruction) { expectEqualsHost(instruction) }

    @Test(arguments: conversions)
    func conversionEqualsHost(_ instruction: SSEInstruction) { expectEqualsHost(instruction) }

    @Test(arguments: combinations)
    func combinationOfElementsEqualsHost(_ instruction: SSEInstruction) { expectEqualsHost(instruction) }

    /// Results, flags and faults under random rounding, masks, sticky flags, DAZ and FTZ.
    private func expectEqualsHost(_ instruction: SSEInstruction) {
        var generator = OperandGenerator(seed: UInt64(instruction.host.rawValue) + 1)
        var differences: [String] = []
        var count = 0
        for _ in 0..<floatingPointCases {
            let mxcsr = generator.mxcsr()
            let (destination, source) = generator.vectors()
            let integer = generator.pattern(bits: 64)
            let host = host_sse_execute(
                instruction.host, mxcsr, host_vector(low: destination[0], high: destination[1]),
                host_vector(low: source[0], high: source[1]), integer)
            let before = SSERegisters(value: destination, integer: integer)
            var registers = before
            var environment = SSEEnvironment(mxcsr: mxcsr)
            instruction.execute(&environment, &registers, source)
            let isDelivered = environment.retire()
            if !isDelivered { registers = before }
            let isSame =
                isDelivered == (host.is_faulted == 0) && environment.mxcsr == host.mxcsr
                && registers.value == SIMD2(host.value.low, host.value.high) && registers.integer == host.integer
                && (registers.statusFlags == 0 || registers.statusFlags == host.status_flags)
            guard !isSame else { continue }
            count += 1
            guard differences.count < 4 else { continue }
            differences.append(
                """
                mxcsr \(hex(UInt64(mxcsr))) \(hex(destination)), \(hex(source)), \(hex(integer)): \
                \(hex(registers.value)) \(hex(registers.integer)) \(hex(UInt64(environment.mxcsr))) \(!isDelivered), \
                host \(hex(SIMD2(host.value.low, host.value.high))) \(hex(host.integer)) \(hex(UInt64(host.mxcsr))) \
                \(host.is_faulted != 0)
                """)
        }
        #expect(count == 0, "\(differences.joined(separator: "\n"))")
    }
}

func hex(_ value: UInt64) -> String { String(value, radix: 16) }
func hex(_ value: SIMD2<UInt64>) -> String { hex(value[1]) + ":" + hex(value[0]) }

extension OperandGenerator {
    /// Half the time the masked round-to-nearest setting programs run with, else anything.
    mutating func mxcsr() -> UInt32 {
        let flags = UInt32(below(64))
        switch below(4) {
        case 0: return 0x1F80
        case 1: return 0x1FA0
        case 2: return 0x1F80 | flags | UInt32(below(2)) << 6 | UInt32(below(8)) << 13
        default: return UInt32(below(0x10000)) | (below(2) == 0 ? 0x1F80 : 0)
        }
    }

    /// Two vectors of binary64 or binary32 elements.
    mutating func vectors() -> (SIMD2<UInt64>, SIMD2<UInt64>) {
        if below(2) == 0 {
            let low = binary64Pair()
            let high = binary64Pair()
            return (SIMD2(low.0, high.0), SIMD2(low.1, high.1))
        }
        var a = SIMD4<UInt32>()
        var b = SIMD4<UInt32>()
        for index in 0..<4 { (a[index], b[index]) = binary32Pair() }
        // Neighbours that cancel, for the horizontal instructions.
        if below(4) == 0 { a[1] = a[0] ^ 0x8000_0000 }
        return (vector(a), vector(b))
    }
}

#endif
