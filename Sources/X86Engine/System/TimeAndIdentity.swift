import X86

// RDTSC, RDTSCP, RDPID, RDPMC, CPUID, RDRAND and RDSEED (SDM vol. 2).

extension Processor {
    /// The time-stamp counter: guest time in units of the model's frequency, plus what was written.
    package var timeStampCounter: UInt64 {
        Self.scale(state.pointee.time, by: model.timeStampFrequency, over: 1_000_000_000) &+ state.pointee.tscOffset
    }

    /// `value · multiplier / divisor` modulo 2^64, exact.
    static func scale(_ value: UInt64, by multiplier: UInt64, over divisor: UInt64) -> UInt64 {
        if multiplier == divisor { return value }
        let product = value.multipliedFullWidth(by: multiplier)
        return divisor.dividingFullWidth((product.high % divisor, product.low)).quotient
    }

    private func checkTimeStampPrivilege() throws(Fault) {
        if state.pointee.cr4 & CR4.TSD != 0 && cpl != 0 { throw .generalProtection(0) }
    }

    /// RDTSC.
    func readTimeStampCounter() throws(Fault) {
        try checkTimeStampPrivilege()
        let value = visibleTimeStampCounter
        state.pointee.rax = value & 0xFFFF_FFFF
        state.pointee.rdx = value >> 32
    }

    /// RDTSCP.
    func readTimeStampCounterAndProcessor() throws(Fault) {
        try readTimeStampCounter()
        state.pointee.rcx = state.pointee.tscAux & 0xFFFF_FFFF
    }

    /// RDPID.
    func readProcessorIdentifier(_ instruction: borrowing Instruction) throws(Fault) {
        setGeneral(instruction.operands.0.register, state.pointee.tscAux)
    }

    /// RDPMC: the models have no performance counters, so no number is valid.
    func readPerformanceCounter() throws(Fault) { throw .generalProtection(0) }

    /// CPUID.
    package func identify() throws(Fault) {
        // CPUID faulting (SDM vol. 2, CPUID; MSR_MISC_FEATURES_ENABLES bit 0).
        if cpl > 0 && state.pointee.msr.miscFeatures & 1 != 0 { throw .generalProtection(0) }
        let leaf = UInt32(truncatingIfNeeded: state.pointee.rax)
        let subleaf = UInt32(truncatingIfNeeded: state.pointee.rcx)
        if watched.contains(.cpuid) {
            switch ask(.cpuid(leaf: leaf, subleaf: subleaf)) {
            case .proceed, .reply: break
            case .skip: return
            case .inject(let fault): throw fault
            }
        }
        var context = CPUIDContext()
        context.cr4 = state.pointee.cr4
        context.xcr0 = state.pointee.xcr0
        context.is64BitMode = is64BitMode
        context.apicIdentifier = state.pointee.msr.apicIdentifier
        if leaf == 1 || leaf == 0x8000_0001, let base = environment.readModelSpecificRegister(MSR.apicBase) {
            context.apicIsEnabled = base & 1 << 11 != 0
        }
        context.limitsLeaves = state.pointee.msr.miscEnable & 1 << 22 != 0
        let result = model.cpuid(leaf, subleaf, context)
        state.pointee.rax = UInt64(result.eax)
        state.pointee.rbx = UInt64(result.ebx)
        state.pointee.rcx = UInt64(result.ecx)
        state.pointee.rdx = UInt64(result.edx)
    }

    /// RDRAND and RDSEED: numbers of a deterministic generator, always available.
    func readRandomNumber(_ instruction: borrowing Instruction) {
        state.pointee.random &+= 0x9E37_79B9_7F4A_7C15
        var word = state.pointee.random
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        setGeneral(instruction.operands.0.register, word ^ word >> 31)
        state.pointee.statusFlags = RFLAGS.CF
    }
}
