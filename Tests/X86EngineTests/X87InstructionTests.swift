#if arch(x86_64)

import Testing
import X86
import X86Engine

/// Operations that write images of the state, with pointers that AMD's processors mostly leave out; see
/// `X87StateTests`.
private let images: Set<X86.Operation> = [.fnstenv, .fldenv, .fnsave, .frstor]
/// Results in which processors differ; what they do to the stack is the same everywhere.
private let approximations: Set<X86.Operation> = [
    .fsin, .fcos, .fsincos, .fptan, .fpatan, .f2xm1, .fyl2x, .fyl2xp1,
]
private let comparisons: Set<X86.Operation> = [
    .fcom, .fcomp, .fcompp, .fucom, .fucomp, .fucompp, .ficom, .ficomp, .ftst, .fxam, .fprem, .fprem1,
]
private let control: Set<X86.Operation> = [
    .fnclex, .fninit, .fldcw, .fnstcw, .fnstsw, .fwait, .fnop, .fneni, .fndisi, .fnsetpm, .ffree, .ffreep,
]

private func rows(_ isIncluded: (X86.Operation) -> Bool) -> [InstructionDefinition] {
    (InstructionTable.definitions).filter {
        ($0.feature == .fpu || $0.operation == .fisttp || $0.operation == .fcmovcc) && isIncluded($0.operation)
    }
}

@Suite("x87 instructions against the host's processor")
struct X87InstructionTests {
    /// The bits of the status word that the manuals define for an operation: C0, C2 and C3 only for some.
    ///
    /// FCOMI and its kin clear C1 by the SDM; AMD's processors leave it.
    private func definedStatus(_ row: InstructionDefinition) -> UInt16 {
        switch row.operation {
        case .fcomi, .fcomip, .fucomi, .fucomip: ~0x4700
        case let operation where comparisons.contains(operation): .max
        case let operation: control.contains(operation) ? ~0x4700 : ~0x4500
        }
    }

    @Test("data transfer, arithmetic, comparison and control")
    func exact() throws {
        try compareWithHost(
            rows { !images.contains($0) && !approximations.contains($0) }, status: definedStatus)
    }

    @Test("what transcendental functions do to the stack")
    func approximate() throws {
        // The range of FYL2XP1's operand is narrow, and processors differ beyond it. All exceptions but the invalid operation can depend on the last bit of a result.
        try compareWithHost(
            rows { approximations.contains($0) && $0 != .fyl2xp1 }, status: { _ in 0x3C41 }, comparesStack: false)
    }
}

#endif
