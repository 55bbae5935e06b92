import Testing
import X86
import X86Engine

/// APM volume 3 chapter 4 and volume 2 sections 15.4, 15.17, 15.30 and 15.31: the instructions of SVM and its MSRs.
@Suite struct SVMInstructionTests {
    static let instructions = ["vmrun", "vmload", "vmsave", "stgi", "clgi", "invlpga", "vmmcall"]

    @Test(arguments: instructions)
    func withoutSVMETheyAreUndefined(_ source: String) throws {
        let machine = try TestMachine(model: .amd64SVM)
        machine.prepare(.long)
        #expect(try machine.runToHalt(source) == 6)
    }

    @Test(arguments: instructions)
    func modelsWithoutSVMDoNotHaveThem(_ source: String) throws {
        let machine = try TestMachine(model: .amd64)
        machine.prepare(.long)
        #expect(try machine.runToHalt(source) == 6)
        #expect(!machine.processor.writeMSR(0xC000_0080, machine.state.efer | EFER.SVME))
    }

    @Test(arguments: instructions.filter { $0 != "vmmcall" })
    func outsideRing0TheyFault(_ source: String) throws {
        let machine = try TestMachine(model: .amd64SVM)
        machine.prepare(.long, ring: 3)
        machine.state.efer |= EFER.SVME
        #expect(try machine.runToHalt(source) == 13)
    }

    @Test func theyNeedProtectedMode() throws {
        for source in Self.instructions {
            let machine = try TestMachine(model: .amd64SVM)
            machine.prepare(.real)
            machine.state.efer |= EFER.SVME
            #expect(try machine.runToHalt(source) == 6, "\(source)")
        }
    }

    @Test func vmmcallInTheHostAndSkinitAreUndefined() throws {
        let svm = try SVMMachine()
        #expect(try svm.machine.runToHalt("vmmcall") == 6)
        svm.prepareHost()
        svm.machine.write([0x0F, 0x01, 0xDE], at: TestMachine.Layout.code)
        #expect(svm.machine.run() == .halted && svm.machine.stoppedVector == 6)
    }

    @Test func vmmcallInAGuestIsUndefinedUnlessIntercepted() throws {
        let svm = try SVMMachine()
        svm.intercept(0x46)
        #expect(try svm.launch("vmmcall") == .exit(0x46))
        // In real mode too an intercept takes it.
        let real = try SVMMachine(guest: .real)
        real.intercept(0x81)
        #expect(try real.launch("vmmcall", bits: 16) == .exit(0x81))
    }

    @Test(arguments: ["vmrun", "vmload", "vmsave"], [UInt64(0x4_0008), 0x4_0800, 1 << 40, 1 << 63])
    func theirAddressesArePages(_ source: String, _ address: UInt64) throws {
        let svm = try SVMMachine()
        svm.machine.state.rax = address
        #expect(try svm.machine.runToHalt(source) == 13)
        #expect(svm.machine.stack(0) == 0)
    }

    @Test func theAddressSizeCutsTheAddress() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        try svm.machine.load("hlt", at: SVMMachine.Place.guestCode, bits: 64)
        svm.machine.write([0x67, 0x0F, 0x01, 0xD8, 0xF4], at: TestMachine.Layout.code)
        svm.machine.state.rax = 0xFFFF_0000_0000_0000 | SVMMachine.Place.vmcb
        #expect(svm.machine.run() == .halted)
        #expect(svm[.exitCode] == 0x78)
    }

    // MARK: VMSAVE and VMLOAD (section 15.5.2)

    @Test func vmsaveAndVmloadMoveTheHiddenState() throws {
        let svm = try SVMMachine()
        svm.machine.state.fs = SegmentState(
            selector: 0x10, base: 0x1234_5678_9000, limit: 0xFFFF_FFFF, attributes: 0xC0F3)
        svm.machine.state.gs.base = 0xFFFF_8000_0000_1000
        svm.machine.state.kernelGSBase = 0x1111
        svm.machine.state.star = 0x2222
        svm.machine.state.lstar = 0x3333
        svm.machine.state.cstar = 0x4444
        svm.machine.state.fmask = 0x5555
        svm.machine.state.sysenterCS = 0x66
        svm.machine.state.sysenterESP = 0x7777
        svm.machine.state.sysenterEIP = 0x8888
        let saved = svm.machine.state
        try svm.machine.load("vmsave\nhlt")
        svm.machine.state.rax = SVMMachine.Place.otherVMCB
        #expect(svm.machine.run() == .halted)
        func field(_ offset: UInt64) -> UInt64 { svm.machine.read(SVMMachine.Place.otherVMCB + offset) }
        // Table B-2: FS at 440H, TR at 490H, STAR at 600H to SYSENTER_EIP at 638H.
        #expect(svm.machine.read(SVMMachine.Place.otherVMCB + 0x442, as: UInt16.self) == 0xCF3)
        #expect(field(0x448) == 0x1234_5678_9000 && field(0x458) == 0xFFFF_8000_0000_1000)
        #expect(svm.machine.read(SVMMachine.Place.otherVMCB + 0x490, as: UInt16.self) == TestMachine.Selectors.task)
        #expect(field(0x498) == TestMachine.Layout.tss)
        #expect(
            [0x600, 0x608, 0x610, 0x618, 0x620, 0x628, 0x630, 0x638].map(field)
                == [0x2222, 0x3333, 0x4444, 0x5555, 0x1111, 0x66, 0x7777, 0x8888])

        svm.prepareHost()
        svm.machine.state.star = 0
        svm.machine.state.kernelGSBase = 0
        svm.machine.write(UInt64(0x0000_9000_0000_0000), at: SVMMachine.Place.otherVMCB + 0x608)
        try svm.machine.load("vmload\nhlt")
        svm.machine.state.rax = SVMMachine.Place.otherVMCB
        #expect(svm.machine.run() == .halted)
        let after = svm.machine.state
        #expect(after.fs == saved.fs && after.gs == saved.gs && after.tr == saved.tr)
        #expect(after.star == 0x2222 && after.kernelGSBase == 0x1111 && after.sysenterEIP == 0x8888)
        #expect(after.lstar == 0xFFFF_9000_0000_0000)
        // LDTR was null, and is.
        #expect(after.ldtr.isUnusable)
    }

    @Test func exitsLeaveWhatVmloadLoads() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        #expect(try svm.launch("mov ecx, 0xc0000102\nmov eax, 5\nxor edx, edx\nwrmsr\nhlt") == .exit(0x78))
        #expect(svm.machine.state.kernelGSBase == 5)
        #expect(svm[.kernelGSBase] == 0)
    }

    // MARK: The global interrupt flag (section 15.17)

    @Test func clearGIFHoldsInterruptsUntilSTGI() throws {
        let svm = try SVMMachine()
        svm.machine.state.rflags = 2 | RFLAGS.IF
        try svm.machine.load("clgi\nnop\nnop\nnop\nstgi\nnop\nhlt")
        svm.machine.step()
        svm.machine.interrupt(0x55)
        svm.machine.step(4)
        #expect(svm.machine.state.rip == TestMachine.Layout.code + 9)
        #expect(svm.machine.run() == .halted)
        #expect(svm.machine.stoppedVector == 0x55)
        #expect(svm.machine.stack(0) == TestMachine.Layout.code + 9)
    }

    @Test func clearGIFHoldsNonMaskableInterrupts() throws {
        let svm = try SVMMachine()
        try svm.machine.load("clgi\nnop\nstgi\nnop\nhlt")
        svm.machine.step()
        svm.processor.raise(Signal.nmi)
        svm.machine.step(1)
        #expect(svm.machine.state.rip == TestMachine.Layout.code + 4)
        #expect(svm.machine.run() == .halted && svm.machine.stoppedVector == 2)
    }

    @Test func clearGIFHoldsINIT() throws {
        let svm = try SVMMachine()
        try svm.machine.load("clgi\nnop\nstgi\nnop\nhlt")
        svm.machine.step()
        svm.processor.raise(Signal.initialize)
        svm.machine.step()
        #expect(svm.machine.state.rip == TestMachine.Layout.code + 4)
        #expect(svm.machine.run() == .signal)
        #expect(svm.machine.state.rip == TestMachine.Layout.code + 7)
    }

    @Test func redirectedINITIsASecurityException() throws {
        let svm = try SVMMachine()
        #expect(svm.processor.writeMSR(0xC001_0114, 1 << 1))
        try svm.machine.load("nop\nhlt")
        svm.processor.raise(Signal.initialize)
        #expect(svm.machine.run() == .halted && svm.machine.stoppedVector == 30)
        #expect(svm.machine.stack(0) == 1)
        #expect(svm.machine.state.signals & Signal.initialize == 0)
    }

    @Test func haltedWithGIFClearNothingWakes() throws {
        let svm = try SVMMachine()
        svm.machine.state.rflags = 2 | RFLAGS.IF
        try svm.machine.load("clgi\nhlt")
        #expect(svm.machine.run() == .halted)
        #expect(!svm.processor.wakesOnInterrupt)
        svm.machine.interrupt(0x55)
        #expect(svm.machine.run() == .halted)
        #expect(svm.machine.state.rip == TestMachine.Layout.code + 4)
    }

    @Test func clearGIFDiscardsBreakpointsButNotSteps() throws {
        let svm = try SVMMachine()
        svm.machine.state.dr0 = TestMachine.Layout.code + 4
        svm.machine.state.dr1 = 0x6_0000
        svm.machine.state.dr7 = 0x400 | 5 | 0xD << 20
        try svm.machine.load("clgi\nnop\nnop\nmov [0x60000], eax\nhlt")
        #expect(svm.machine.run() == .halted)
        #expect(svm.machine.stoppedVector == nil)
        svm.prepareHost()
        svm.machine.state.rflags = 2 | RFLAGS.TF
        svm.machine.state.activity = .active
        #expect(svm.machine.run() == .halted && svm.machine.stoppedVector == 1)
    }

    @Test func vmrunSetsGIFAndExitsClearIt() throws {
        let svm = try SVMMachine()
        svm.intercept(0x60)
        svm.machine.state.rflags = 2 | RFLAGS.IF
        svm[.virtualInterrupt] = 1 << 24
        try svm.machine.load("hlt", at: SVMMachine.Place.guestCode, bits: 64)
        svm.machine.interrupt(0x40)
        // Held by CLGI, then seen in the guest, then held again.
        #expect(try svm.enter("vmrun\nhlt") == .other(.halted))
        svm.prepareHost()
        svm.machine.state.rflags = 2 | RFLAGS.IF
        svm.machine.pendingVectors = []
        svm.processor.withdraw(Signal.interrupt)
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.machine.interrupt(0x41)
        #expect(try svm.enter("vmrun\nhlt") == .exit(0x60))
        #expect(!svm.machine.state.virtualization.svm.globalInterruptFlag)
        #expect(svm.machine.pendingVectors == [0x41])
    }

    // MARK: INVLPGA

    @Test func invlpgaDropsATranslation() throws {
        let svm = try SVMMachine()
        try svm.machine.load("invlpga\nhlt")
        svm.machine.state.rax = 0x6_0000
        svm.machine.state.rcx = 1
        #expect(svm.machine.run() == .halted)
        #expect(svm.machine.stoppedVector == nil)
    }

    // MARK: MSRs and CPUID

    @Test func cpuidTellsWhatWorks() throws {
        let model = ProcessorModel.amd64SVM
        let context = CPUIDContext()
        #expect(model.cpuid(0x8000_0001, 0, context).ecx & 1 << 2 != 0)
        // SKINIT.
        #expect(model.cpuid(0x8000_0001, 0, context).ecx & 1 << 12 == 0)
        let leaf = model.cpuid(0x8000_000A, 0, context)
        #expect(leaf.eax == 1 && leaf.ebx > 1 && leaf.ecx == 0)
        // NP, SVML, NRIPS, TscRateMsr, VmcbClean, FlushByAsid, DecodeAssists, PauseFilter, PauseFilterThreshold; no LBR
        // virtualization, AVIC, virtual GIF or virtual VMLOAD.
        #expect(leaf.edx == 0x14FD)
        #expect(ProcessorModel.amd64.cpuid(0x8000_000A, 0, context) == CPUIDResult())
        #expect(throws: Never.self) { try model.check() }
        let vendor = model.cpuid(0, 0, context)
        #expect([vendor.ebx, vendor.edx, vendor.ecx] == [0x6874_7541, 0x6974_6E65, 0x444D_4163])
    }

    @Test func hostSaveAddressesArePages() throws {
        let svm = try SVMMachine()
        let processor = svm.processor
        for value: UInt64 in [1, 0x800, 1 << 40, .max] { #expect(!processor.writeMSR(0xC001_0117, value)) }
        #expect(processor.writeMSR(0xC001_0117, 0x9000) && processor.readMSR(0xC001_0117) == 0x9000)
    }

    @Test func svmDisableKeepsSVMEClear() throws {
        let svm = try SVMMachine()
        let processor = svm.processor
        // Not while EFER.SVME is set.
        #expect(!processor.writeMSR(0xC001_0114, 1 << 4))
        let efer = svm.machine.state.efer
        #expect(processor.writeMSR(0xC000_0080, efer & ~EFER.SVME))
        #expect(processor.writeMSR(0xC001_0114, 1 << 4 | 1 << 3))
        #expect(!processor.writeMSR(0xC000_0080, efer))
        // Locked: writes to LOCK and SVMDIS are ignored.
        #expect(processor.writeMSR(0xC001_0114, 0))
        #expect(processor.readMSR(0xC001_0114) == 0x18)
        #expect(!processor.writeMSR(0xC001_0114, 1 << 5))
    }

    @Test func theKeyUnlocksVMCR() throws {
        let svm = try SVMMachine()
        let processor = svm.processor
        #expect(processor.writeMSR(0xC001_0118, 0x1234))
        #expect(processor.readMSR(0xC001_0118) == 0)
        #expect(processor.writeMSR(0xC001_0114, 1 << 3))
        #expect(processor.writeMSR(0xC001_0118, 0x4321))
        #expect(processor.readMSR(0xC001_0114) == 8)
        #expect(processor.writeMSR(0xC001_0118, 0x1234))
        #expect(processor.readMSR(0xC001_0114) == 0)
        // Without a key there is no way back.
        #expect(processor.writeMSR(0xC001_0118, 0))
        #expect(processor.writeMSR(0xC001_0114, 1 << 3))
        #expect(processor.writeMSR(0xC001_0118, 0))
        #expect(processor.readMSR(0xC001_0114) == 8)
    }

    @Test func initKeepsALockedVMCR() throws {
        let svm = try SVMMachine()
        #expect(svm.processor.writeMSR(0xC000_0080, svm.machine.state.efer & ~EFER.SVME))
        #expect(svm.processor.writeMSR(0xC001_0114, 1 << 4))
        svm.processor.initialize()
        #expect(svm.processor.readMSR(0xC001_0114) == 0)
        #expect(svm.processor.writeMSR(0xC001_0114, 1 << 4 | 1 << 3))
        svm.processor.initialize()
        #expect(svm.processor.readMSR(0xC001_0114) == 0x18)
    }

    @Test func theTSCRatioHasReservedBits() throws {
        let svm = try SVMMachine()
        #expect(svm.processor.readMSR(0xC000_0104) == 1 << 32)
        #expect(!svm.processor.writeMSR(0xC000_0104, 1 << 40))
        #expect(svm.processor.writeMSR(0xC000_0104, 1 << 31))
    }
}
