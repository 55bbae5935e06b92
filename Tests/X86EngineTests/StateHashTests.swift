import Testing
import X86Engine

/// One change to one field of the state, by the field's name.
private struct Flip: Sendable {
    var field: String
    var change: @Sendable (inout ProcessorState) -> Void

    init(_ field: String, _ change: @escaping @Sendable (inout ProcessorState) -> Void) {
        self.field = field
        self.change = change
    }

    static func word(_ field: String, _ path: WritableKeyPath<ProcessorState, UInt64> & Sendable) -> Flip {
        Flip(field) { $0[keyPath: path] ^= 1 << 40 }
    }

    static func segment(_ field: String, _ path: WritableKeyPath<ProcessorState, SegmentState> & Sendable) -> [Flip] {
        [
            Flip(field) { $0[keyPath: path].base ^= 1 }, Flip(field) { $0[keyPath: path].limit ^= 1 },
            Flip(field) { $0[keyPath: path].attributes ^= 1 }, Flip(field) { $0[keyPath: path].selector ^= 1 },
        ]
    }

    static let all: [Flip] =
        [
            word("rax", \.rax), word("rcx", \.rcx), word("rdx", \.rdx), word("rbx", \.rbx), word("rsp", \.rsp),
            word("rbp", \.rbp), word("rsi", \.rsi), word("rdi", \.rdi), word("r8", \.r8), word("r9", \.r9),
            word("r10", \.r10), word("r11", \.r11), word("r12", \.r12), word("r13", \.r13), word("r14", \.r14),
            word("r15", \.r15), word("rip", \.rip), word("time", \.time), word("idleTime", \.idleTime),
            word("cr0", \.cr0), word("cr2", \.cr2), word("cr3", \.cr3), word("cr4", \.cr4), word("xcr0", \.xcr0),
            word("dr0", \.dr0), word("dr1", \.dr1), word("dr2", \.dr2), word("dr3", \.dr3), word("dr6", \.dr6),
            word("dr7", \.dr7), word("efer", \.efer), word("star", \.star), word("lstar", \.lstar),
            word("cstar", \.cstar), word("fmask", \.fmask), word("kernelGSBase", \.kernelGSBase),
            word("sysenterCS", \.sysenterCS), word("sysenterESP", \.sysenterESP), word("sysenterEIP", \.sysenterEIP),
            word("tscAux", \.tscAux), word("tscAdjust", \.tscAdjust), word("tscOffset", \.tscOffset),
            word("pat", \.pat), word("pendingDebug", \.pendingDebug), word("random", \.random),
            Flip("flagResult") { $0.statusFlags ^= RFLAGS.ZF },
            Flip("flagAuxiliary") { $0.statusFlags ^= RFLAGS.CF },
            Flip("flagAuxiliary") { $0.statusFlags ^= RFLAGS.OF },
            Flip("flagAuxiliary") { $0.statusFlags ^= RFLAGS.AF },
            Flip("flagAuxiliary") { $0.statusFlags ^= RFLAGS.PF },
            Flip("flagAuxiliary") { $0.statusFlags ^= RFLAGS.SF },
            Flip("systemFlags") { $0.rflags ^= RFLAGS.IF },
            Flip("msr") { $0.msr.miscEnable ^= 1 }, Flip("msr") { $0.msr.mtrrVariable[15] ^= 1 },
            Flip("msr") { $0.msr.mtrrFixed[10] ^= 1 }, Flip("msr") { $0.msr.apicIdentifier ^= 1 },
            Flip("gdtr") { $0.gdtr.base ^= 1 }, Flip("gdtr") { $0.gdtr.limit ^= 1 },
            Flip("idtr") { $0.idtr.base ^= 1 }, Flip("idtr") { $0.idtr.limit ^= 1 },
            Flip("pdpte") { $0.pdpte.0 ^= 1 }, Flip("pdpte") { $0.pdpte.1 ^= 1 },
            Flip("pdpte") { $0.pdpte.2 ^= 1 }, Flip("pdpte") { $0.pdpte.3 ^= 1 },
            Flip("cpl") { $0.cpl ^= 3 }, Flip("activity") { $0.activity = .halted },
            Flip("interruptShadow") { $0.interruptShadow ^= 1 }, Flip("nmiBlocked") { $0.nmiBlocked.toggle() },
            Flip("signals") { $0.signals ^= Signal.nmi },
            Flip("x87") { $0.x87.significands[7] ^= 1 }, Flip("x87") { $0.x87.signsAndExponents[0] ^= 1 },
            Flip("x87") { $0.x87.controlWord ^= 1 }, Flip("x87") { $0.x87.statusWord ^= 1 },
            Flip("x87") { $0.x87.tagWord ^= 1 }, Flip("x87") { $0.x87.opcode ^= 1 },
            Flip("x87") { $0.x87.instructionSelector ^= 1 }, Flip("x87") { $0.x87.dataSelector ^= 1 },
            Flip("x87") { $0.x87.instructionPointer ^= 1 }, Flip("x87") { $0.x87.dataPointer ^= 1 },
            Flip("sse") { $0.sse.xmm.0[0] ^= 1 }, Flip("sse") { $0.sse.xmm.3[7] ^= 1 },
            Flip("sse") { $0.sse.mxcsr ^= 1 },
            Flip("virtualization") { $0.virtualization.vmx.isOperating.toggle() },
            Flip("virtualization") { $0.virtualization.vmx.featureControl ^= 1 },
        ] + segment("es", \.es) + segment("cs", \.cs) + segment("ss", \.ss) + segment("ds", \.ds)
        + segment("fs", \.fs) + segment("gs", \.gs) + segment("ldtr", \.ldtr) + segment("tr", \.tr)

    /// Fields that are derived, constant, or steer the run.
    static let exempt: Set<String> = ["zero", "nextRIP", "deadline", "limit", "work", "mode", "tlb", "tlbMask"]
}

@Suite struct StateHashTests {
    private func hash(_ state: ProcessorState) -> UInt64 {
        var hasher = StateHasher()
        state.combine(into: &hasher)
        return hasher.value
    }

    private func withState(_ body: (inout ProcessorState) -> Void) throws {
        let machine = try TestMachine()
        body(&machine.processor.state.pointee)
    }

    @Test func everyFlippedFieldChangesTheHash() throws {
        try withState { state in
            let original = hash(state)
            for flip in Flip.all {
                let saved = state
                flip.change(&state)
                #expect(hash(state) != original, "\(flip.field)")
                state = saved
            }
        }
    }

    @Test func everyStoredFieldIsFlippedOrNamedAsDerived() throws {
        try withState { state in
            let names = Set(Mirror(reflecting: state).children.compactMap(\.label))
            let covered = Set(Flip.all.map(\.field)).union(Flip.exempt)
            #expect(names.subtracting(covered).isEmpty)
            #expect(covered.subtracting(names).isEmpty)
        }
    }
}
