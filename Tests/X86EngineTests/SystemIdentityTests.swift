import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout

@Suite struct SystemIdentityTests {
    private func cpuid(
        _ leaf: UInt32, _ subleaf: UInt32 = 0, _ model: ProcessorModel = .intel64, cr4: UInt64 = 0
    ) throws -> CPUIDResult {
        let machine = try TestMachine(model: model)
        machine.prepare(model == .intel32 ? .protected : .long)
        machine.state.cr4 |= cr4
        machine.state.rax = UInt64(leaf)
        machine.state.rcx = UInt64(subleaf)
        try machine.load("cpuid")
        machine.step()
        return CPUIDResult(
            eax: UInt32(machine.state.rax), ebx: UInt32(machine.state.rbx), ecx: UInt32(machine.state.rcx),
            edx: UInt32(machine.state.rdx))
    }

    private func text(_ words: [UInt32]) -> String {
        let bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    @Test func vendorsNameThemselves() throws {
        let intel = try cpuid(0)
        #expect(text([intel.ebx, intel.edx, intel.ecx]) == "GenuineIntel")
        let amd = try cpuid(0, 0, .amd64)
        #expect(text([amd.ebx, amd.edx, amd.ecx]) == "AuthenticAMD")
    }

    @Test func signatureEncodesFamilyModelAndStepping() throws {
        #expect(try cpuid(1).eax == 0x000806F8)
        #expect(try cpuid(1, 0, .amd64).eax == 0x00A1_0F11)
        #expect(try cpuid(1, 0, .intel32).eax == 0x683)
    }

    @Test func baseFeaturesOf64BitProcessorsAreClaimed() throws {
        let leaf = try cpuid(1)
        // FPU VME TSC MSR PAE MCE CX8 APIC SEP PGE MCA CMOV FXSR SSE SSE2.
        for bit in [0, 1, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25, 26] {
            #expect(leaf.edx >> UInt32(bit) & 1 == 1, "\(bit)")
        }
        // MONITOR, VMX and AVX are not there; nobody is a hypervisor.
        for bit in [3, 5, 28, 31] { #expect(leaf.ecx >> UInt32(bit) & 1 == 0, "\(bit)") }
        #expect(try cpuid(0x8000_0001).edx >> 29 & 1 == 1)
        #expect(try cpuid(0x8000_0001, 0, .intel32).edx >> 29 & 1 == 0)
        #expect(try cpuid(7).ecx >> 2 & 1 == 1)
    }

    @Test func osxsaveFollowsCR4() throws {
        #expect(try cpuid(1).ecx >> 27 & 1 == 0)
        #expect(try cpuid(1, 0, .intel64, cr4: CR4.OSXSAVE).ecx >> 27 & 1 == 1)
    }

    @Test func stateLeafDescribesX87AndSSEOnly() throws {
        #expect(try cpuid(0xD) == CPUIDResult(eax: 3, ebx: 576, ecx: 576, edx: 0))
        #expect(try cpuid(0xD, 1).eax & 0xF == 7)
        #expect(try cpuid(0xD, 2) == CPUIDResult())
    }

    @Test func timeLeavesGiveTheExactFrequency() throws {
        let clock = try cpuid(0x15)
        let hertz = UInt64(clock.ecx) * UInt64(clock.ebx) / UInt64(max(clock.eax, 1))
        #expect(hertz == 1_000_000_000)
        var model = ProcessorModel.intel64
        model.timeStampFrequency = 2_900_000_000
        let other = try cpuid(0x15, 0, model)
        #expect(UInt64(other.ecx) * UInt64(other.ebx) / UInt64(max(other.eax, 1)) == 2_900_000_000)
        #expect(try cpuid(0x16, 0, model).eax == 2900)
    }

    @Test func brandAndAddressWidths() throws {
        let words = try [UInt32(0x8000_0002), 0x8000_0003, 0x8000_0004].flatMap { leaf in
            let result = try cpuid(leaf)
            return [result.eax, result.ebx, result.ecx, result.edx]
        }
        #expect(text(words) == ProcessorModel.intel64.brand)
        #expect(try cpuid(0x8000_0008).eax & 0xFFFF == 40 | 48 << 8)
    }

    @Test func leavesBeyondTheHighestRepeatItOnIntelAndAreZeroOnAMD() throws {
        #expect(try cpuid(0x4000_0000) == cpuid(0x16))
        #expect(try cpuid(0x4000_0000, 0, .amd64) == CPUIDResult())
    }

    @Test func cacheLeafDescribesSizes() throws {
        for (subleaf, kibibytes) in [(UInt32(0), UInt32(32)), (1, 32), (2, 1024), (3, 16384)] {
            let leaf = try cpuid(4, subleaf)
            let size =
                ((leaf.ebx >> 22) + 1) * ((leaf.ebx >> 12 & 0x3FF) + 1) * ((leaf.ebx & 0xFFF) + 1) * (leaf.ecx + 1)
            #expect(size == kibibytes << 10)
        }
        #expect(try cpuid(4, 4).eax & 31 == 0)
    }

    @Test func modelsAreChecked() {
        #expect(throws: Never.self) { try ProcessorModel.intel64.check() }
        #expect(throws: Never.self) { try ProcessorModel.amd64.check() }
        #expect(throws: Never.self) { try ProcessorModel.intel32.check() }
        var model = ProcessorModel()
        model.features.insert(.monitor)
        #expect(throws: ProcessorModelError.notImplemented(.monitor)) { try model.check() }
        model = ProcessorModel()
        model.features.remove(.ssse3)
        #expect(throws: ProcessorModelError.missingRequirement(.sse41, .ssse3)) { try model.check() }
        model = ProcessorModel()
        model.leafOverrides[CPUIDLeaf(7)] = CPUIDResult()
        #expect(throws: ProcessorModelError.overriddenFeatureLeaf(CPUIDLeaf(7))) { try model.check() }
        model.leafOverrides = [CPUIDLeaf(0x4000_0000): CPUIDResult(eax: 5)]
        #expect(throws: Never.self) { try model.check() }
        model.timeStampFrequency = 1
        #expect(throws: ProcessorModelError.timeStampFrequency(1)) { try model.check() }
    }

    @Test func overriddenLeavesAreAnswered() throws {
        var model = ProcessorModel()
        model.leafOverrides[CPUIDLeaf(0x4000_0000)] = CPUIDResult(eax: 5, ebx: 6)
        #expect(try cpuid(0x4000_0000, 0, model) == CPUIDResult(eax: 5, ebx: 6))
    }

    @Test func missingFeaturesMakeInstructionsInvalidOrOldOnes() throws {
        for (feature, code) in [
            (ProcessorFeature.popcnt, "popcnt eax, ecx"), (.movbe, "movbe eax, [rsp]"), (.rdrand, "rdrand eax"),
            (.rdtscp, "rdtscp"), (.bmi2, "rorx eax, ecx, 3"),
        ] {
            var model = ProcessorModel()
            model.features.remove(feature)
            let machine = try TestMachine(model: model)
            machine.prepare(.long)
            #expect(try machine.runToHalt("\(code)\nhlt") == 6, "\(code)")
            let whole = try TestMachine()
            whole.prepare(.long)
            #expect(try whole.runToHalt("\(code)\nhlt") == nil, "\(code)")
        }
        // LZCNT without its feature is BSR.
        var model = ProcessorModel()
        model.features.remove(.lzcnt)
        for (model, expected) in [(model, UInt64(8)), (ProcessorModel(), 23)] {
            let machine = try TestMachine(model: model)
            machine.prepare(.long)
            machine.state.rcx = 0x100
            #expect(try machine.runToHalt("lzcnt eax, ecx\nhlt") == nil)
            #expect(machine.state.rax == expected)
        }
    }

    @Test func timeStampCounterFollowsGuestTimeAndItsOffset() throws {
        var model = ProcessorModel()
        model.timeStampFrequency = 3_000_000_000
        let machine = try TestMachine(model: model)
        machine.prepare(.long)
        machine.state.time = 1000
        try machine.load("rdtsc\nnop\nrdtscp")
        machine.state.tscAux = 7
        machine.step()
        #expect(machine.state.rax == 3000 && machine.state.rdx == 0)
        machine.step(2)
        #expect(machine.state.rax == 3006 && machine.state.rcx == 7)
        // Writing the counter moves the adjustment by as much.
        #expect(machine.processor.writeMSR(0x10, 1_000_000))
        #expect(machine.processor.readMSR(0x10) == 1_000_000)
        #expect(machine.processor.readMSR(0x3B) == UInt64(1_000_000 - 3009))
        #expect(machine.processor.writeMSR(0x3B, 0))
        #expect(machine.processor.readMSR(0x10) == 3009)
    }

    @Test func timeStampCounterCanBeWithheldFromRing3() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.state.cr4 |= CR4.TSD
        #expect(try machine.runToHalt("rdtsc") == 13)
    }

    @Test func randomNumbersAreDeterministicAndDistinct() throws {
        func numbers(seed: UInt64) throws -> [UInt64] {
            let machine = try TestMachine()
            machine.prepare(.long)
            machine.state.random = seed
            try machine.load("rdrand rax\nrdseed rcx\nrdrand rdx")
            machine.step(3)
            #expect(machine.state.CF && !machine.state.ZF)
            return [machine.state.rax, machine.state.rcx, machine.state.rdx]
        }
        let first = try numbers(seed: 1)
        #expect(try numbers(seed: 1) == first)
        #expect(Set(first).count == 3)
        #expect(try numbers(seed: 2) != first)
    }

    @Test func cpuidFaultsOutsideRing0WhenAsked() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        #expect(machine.processor.writeMSR(0x140, 1))
        #expect(try machine.runToHalt("cpuid") == 13)
    }

    @Test func unknownMSRsAndReservedBitsFault() throws {
        for code in ["mov ecx, 0x12345\nrdmsr", "mov ecx, 0x12345\nwrmsr"] {
            let machine = try TestMachine()
            machine.prepare(.long)
            #expect(try machine.runToHalt(code) == 13)
        }
        let machine = try TestMachine()
        machine.prepare(.long)
        let processor = machine.processor
        #expect(!processor.writeMSR(0xC000_0080, 1 << 5))
        // LME cannot change while paging is on; LMA keeps its value.
        #expect(!processor.writeMSR(0xC000_0080, 0))
        #expect(processor.writeMSR(0xC000_0080, 0x101))
        #expect(machine.state.efer == 0x501)
        for index in [UInt32(0xC000_0082), 0xC000_0100, 0xC000_0101, 0xC000_0102, 0x175, 0x176] {
            #expect(!processor.writeMSR(index, 0x8000_0000_0000_0000))
            #expect(processor.writeMSR(index, 0xFFFF_8000_0000_0000))
            #expect(processor.readMSR(index) == 0xFFFF_8000_0000_0000)
        }
        #expect(!processor.writeMSR(0x277, 2))
        #expect(processor.writeMSR(0x277, 0x0007_0406_0007_0406))
        #expect(!processor.writeMSR(0x10A, 0))
        #expect(processor.readMSR(0xC001_0015) == nil)
        let other = try TestMachine(model: .amd64)
        #expect(other.processor.readMSR(0xC001_0015) == 1 << 24)
        let user = try TestMachine()
        user.prepare(.long, ring: 3)
        #expect(try user.runToHalt("mov ecx, 0x10\nrdmsr") == 13)
    }

    /// No bank, nothing to report.
    ///
    /// SDM vol. 3 sections 16.3.1 and 16.4.
    @Test(arguments: [ProcessorModel.intel64, .amd64, .intel32])
    func machineCheckArchitectureHasNoBanks(model: ProcessorModel) throws {
        let processor = try TestMachine(model: model).processor
        for index: UInt32 in [0x179, 0x17A, 0, 1] { #expect(processor.readMSR(index) == 0) }
        for index: UInt32 in [0x17A, 0, 1] {
            #expect(processor.writeMSR(index, 0) && !processor.writeMSR(index, 1))
        }
        #expect(!processor.writeMSR(0x179, 0))
        // IA32_MCG_CTL is there only if MCG_CTL_P says so, IA32_MC0_CTL with a bank.
        for index: UInt32 in [0x17B, 0x400] { #expect(processor.readMSR(index) == nil) }
        #expect(model.writableCR4 & CR4.MCE != 0)
    }

    @Test func firmwareLeavesRAMWriteBackAndDevicesUncacheable() throws {
        let machine = try TestMachine()
        let processor = machine.processor
        processor.programMemoryTypes()
        #expect(processor.readMSR(0x2FF) == 0xC06)
        #expect(processor.readMSR(0x250) == 0x0606_0606_0606_0606)
        #expect(processor.readMSR(0x259) == 0)
        #expect(processor.readMSR(0x200) == 0xC000_0000)
        #expect(processor.readMSR(0x201) == 0xFF_C000_0800)
    }

    @Test func memoryTypeRangesKeepValidValues() throws {
        let machine = try TestMachine()
        let processor = machine.processor
        #expect(processor.readMSR(0xFE) == 0x508)
        #expect(processor.writeMSR(0x2FF, 0xC06) && processor.readMSR(0x2FF) == 0xC06)
        #expect(!processor.writeMSR(0x2FF, 0xC07))
        #expect(processor.writeMSR(0x268, 0x0606_0606_0606_0606))
        #expect(!processor.writeMSR(0x268, 2))
        #expect(processor.writeMSR(0x201, 0xFF_8000_0800) && processor.readMSR(0x201) == 0xFF_8000_0800)
        #expect(!processor.writeMSR(0x201, 0xFFF_8000_0800))
        #expect(processor.readMSR(0x210) == nil)
    }
}
