#if arch(x86_64)

import Testing
import X86
import X86Engine

/// The table's rows of an instruction-set extension that one execution can be compared for.
private func rows(_ features: Set<InstructionFeature>) -> [InstructionDefinition] {
    // Approximations differ among processors; the others do not touch MMX or XMM registers, or not only.
    let excluded: Set<X86.Operation> = [
        .rcpps, .rcpss, .rsqrtps, .rsqrtss, .prefetchnta, .prefetcht0, .prefetcht1, .prefetcht2, .lfence, .mfence,
        .sfence, .ldmxcsr, .stmxcsr, .movnti, .crc32, .popcnt, .nop, .pause, .clflush,
    ]
    return InstructionTable.definitions.filter { features.contains($0.feature) && !excluded.contains($0.operation) }
}

@Suite("SSE instructions against the host's processor")
struct SSEInstructionTests {
    @Test("MMX")
    func mmx() throws { try compareWithHost(rows([.mmx])) }

    @Test("SSE")
    func sse() throws { try compareWithHost(rows([.sse])) }

    @Test("SSE2")
    func sse2() throws { try compareWithHost(rows([.sse2])) }

    @Test("SSE3 and SSSE3")
    func sse3() throws { try compareWithHost(rows([.sse3, .ssse3])) }

    @Test("SSE4")
    func sse4() throws { try compareWithHost(rows([.sse41, .sse42])) }
}

#endif
