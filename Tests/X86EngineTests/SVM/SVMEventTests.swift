import Testing
import X86
import X86Engine

/// An exception of the guest, and what the exit for it tells.
struct SVMExceptionCase: Sendable, CustomTestStringConvertible {
    var testDescription: String { name }
    var name: String
    var vector: UInt64
    var code: String
    /// The error code in EXITINFO1, where there is one.
    var errorCode: UInt64?
    var address: UInt64?
    /// The bytes before the instruction that raises it.
    var offset: UInt64 = 0
    /// Where nRIP points, from the instruction on; 0 for none.
    var length: UInt64 = 0
    var guest = SVMMachine.GuestKind.long
    var setUp: @Sendable (SVMMachine) -> Void = { _ in }
}

/// APM volume 2 sections 15.7.2, 15.12 to 15.14, 15.20 and 15.21: exceptions, interrupts and injection.
@Suite struct SVMEventTests {
    static let exceptions: [SVMExceptionCase] = [
        SVMExceptionCase(name: "#DE", vector: 0, code: "xor ecx, ecx\ndiv ecx", offset: 2),
        SVMExceptionCase(name: "#BP", vector: 3, code: "int3", length: 1),
        SVMExceptionCase(
            name: "#OF", vector: 4, code: "mov eax, 0x7fffffff\ninc eax\ninto", offset: 6, length: 1,
            guest: .compatibility),
        SVMExceptionCase(
            name: "#BR", vector: 5, code: "bound eax, [0x60000]", length: 6, guest: .compatibility,
            setUp: {
                $0.machine.write(UInt64(0x0000_0020_0000_0010), at: 0x6_0000)
                $0[.rax] = 0
            }),
        SVMExceptionCase(name: "#UD", vector: 6, code: "ud2"),
        SVMExceptionCase(name: "#NM", vector: 7, code: "fld1", setUp: { $0[.cr0] |= CR0.TS }),
        SVMExceptionCase(
            name: "#NP", vector: 11, code: "mov eax, 0x80\nmov ds, eax", errorCode: 0x80, offset: 5,
            setUp: {
                $0.machine.setDescriptor(
                    TestMachine.Selectors.free, Descriptor(base: 0, limit: 0xFFFF, attributes: 0x13))
            }),
        SVMExceptionCase(
            name: "#SS", vector: 12, code: "mov rsp, 0x0000900000000000\npush rax", errorCode: 0, offset: 10),
        SVMExceptionCase(name: "#GP", vector: 13, code: "mov eax, 0x1233\nmov ds, eax", errorCode: 0x1230, offset: 5),
        SVMExceptionCase(
            name: "#PF", vector: 14, code: "mov rax, 0x0000700000001234\nmov [rax], ecx", errorCode: 2,
            address: 0x0000_7000_0000_1234, offset: 10),
        SVMExceptionCase(
            name: "#MF", vector: 16, code: "fninit\nfldcw [0x60000]\nfld1\nfldz\nfdivp\nfwait", offset: 15,
            setUp: {
                $0[.cr0] |= CR0.NE
                $0.machine.write(UInt16(0x340), at: 0x6_0000)
            }),
        SVMExceptionCase(
            name: "#AC", vector: 17, code: "mov eax, [0x60001]", errorCode: 0, guest: .user,
            setUp: {
                $0[.cr0] |= CR0.AM
                $0[.rflags] |= RFLAGS.AC
            }),
        SVMExceptionCase(
            name: "#XF", vector: 19, code: "ldmxcsr [0x60000]\nxorps xmm0, xmm0\ndivss xmm0, xmm0", offset: 11,
            setUp: { $0.machine.write(UInt32(0), at: 0x6_0000) }),
    ]

    @Test(arguments: exceptions)
    func interceptedExceptionsLeaveTheGuest(_ test: SVMExceptionCase) throws {
        let svm = try SVMMachine(guest: test.guest)
        test.setUp(svm)
        svm.intercept(0x40 + test.vector)
        let cr2 = svm[.cr2]
        let bits = test.guest == .compatibility ? 32 : 64
        #expect(try svm.launch(test.code + "\nhlt", bits: bits) == .exit(0x40 + test.vector))
        #expect(svm[.rip] == SVMMachine.Place.guestCode + test.offset)
        if let code = test.errorCode { #expect(svm[.exitInformation1] == code) }
        if let address = test.address { #expect(svm[.exitInformation2] == address) }
        #expect(svm[.nextRIP] == (test.length == 0 ? 0 : svm[.rip] + test.length))
        #expect(svm[.exitInterruptInformation] == 0)
        // CR2 is not written (section 15.12.15).
        #expect(svm[.cr2] == cr2)
    }

    @Test(arguments: exceptions)
    func otherExceptionsAreTheGuests(_ test: SVMExceptionCase) throws {
        let svm = try SVMMachine(guest: test.guest)
        test.setUp(svm)
        for vector in UInt64(0)..<32 where vector != test.vector && vector != 2 && vector != 8 {
            svm.intercept(0x40 + vector)
        }
        svm.intercept(0x78)
        if test.name == "#SS" { svm[.idtrLimit] = 0xFFF }
        let bits = test.guest == .compatibility ? 32 : 64
        let outcome = try svm.launch(test.code + "\nhlt", bits: bits)
        guard test.name != "#SS" else { return }
        #expect(outcome == .exit(0x78))
        #expect(svm[.rip] == TestMachine.handler(UInt8(test.vector)))
    }

    @Test func dataPageFaultsRecordTheInstruction() throws {
        let svm = try SVMMachine()
        svm.intercept(0x4E)
        #expect(try svm.launch("mov rax, 0x0000700000000000\nmov [rax+8], ecx\nnop\nnop") == .exit(0x4E))
        #expect(svm[.instructionByteCount] == 15)
        // 89 48 08: MOV [RAX+8], ECX.
        #expect(svm.machine.read(SVMMachine.Place.vmcb + 0xD1, as: UInt32.self) == 0x9008_4889)
        svm[.rip] = 0x0000_7000_0000_0000
        #expect(try svm.enter() == .exit(0x4E))
        #expect(svm[.instructionByteCount] == 0)
    }

    @Test func debugTrapsAreReportedBehindTheInstruction() throws {
        let svm = try SVMMachine()
        svm.intercept(0x41)
        svm.machine.state.dr0 = 0x6_0000
        svm[.dr7] = 0x400 | 3 | 0xD << 16
        #expect(try svm.launch("nop\nmov [0x60000], eax\nnop") == .exit(0x41))
        #expect(svm[.rip] == SVMMachine.Place.guestCode + 8)
        #expect(svm[.dr6] & 0xF == 1)
    }

    @Test func int1IsNotCaughtByTheDebugIntercept() throws {
        let svm = try SVMMachine()
        svm.intercept(0x41)
        svm.intercept(0x78)
        #expect(try svm.launch("int1") == .exit(0x78))
        #expect(svm[.rip] == TestMachine.handler(1))
    }

    @Test func intNIsNotCaughtByExceptionIntercepts() throws {
        let svm = try SVMMachine()
        svm.intercept(0x43)
        svm.intercept(0x78)
        #expect(try svm.launch("int 3") == .exit(0x78))
        #expect(svm[.rip] == TestMachine.handler(3))
    }

    // MARK: Delivery that is interrupted (section 15.7.2)

    @Test func exitsDuringDeliveryTellTheEvent() throws {
        // The gate of #UD is absent, and #NP is intercepted: EXITINTINFO is #UD, an exception without error code.
        let svm = try SVMMachine()
        svm.intercept(0x4B)
        svm.machine.write(UInt64(0), at: TestMachine.Layout.idt + 6 * 16)
        svm.machine.write(UInt64(0x0000_0E00_0018_0000), at: TestMachine.Layout.idt + 6 * 16)
        #expect(try svm.launch("ud2") == .exit(0x4B))
        #expect(svm[.exitInterruptInformation] == 1 << 31 | 3 << 8 | 6)
        #expect(svm[.exitInformation1] == 6 << 3 | 2 | 1)
    }

    @Test func exceptionsAreCheckedBeforeTheyAreCombined() throws {
        // The example of section 15.12: #NP, then #GP on delivery; with both intercepted #GP counts, with #DF alone #DF.
        for (intercepts, code): ([UInt64], UInt64) in [([0x4D, 0x48], 0x4D), ([0x48], 0x48)] {
            let svm = try SVMMachine()
            for intercept in intercepts { svm.intercept(intercept) }
            svm.machine.setDescriptor(
                TestMachine.Selectors.free, Descriptor(base: 0, limit: 0xFFFF, attributes: 0x13))
            svm.machine.write(UInt64(0), at: TestMachine.Layout.idt + 11 * 16)
            #expect(try svm.launch("mov eax, 0x80\nmov ds, eax") == .exit(code))
            #expect(svm[.exitInterruptInformation] == (code == 0x4D ? 0x80 << 32 | 1 << 31 | 1 << 11 | 3 << 8 | 11 : 0))
        }
    }

    @Test func softwareInterruptsAreToldAsSuch() throws {
        let svm = try SVMMachine()
        svm.intercept(0x4D)
        svm[.idtrLimit] = 0x80 * 16 - 1
        #expect(try svm.launch("int 0x80") == .exit(0x4D))
        #expect(svm[.exitInterruptInformation] == 1 << 31 | 4 << 8 | 0x80)
        // INT3 is an exception (table 15-1).
        let breakpoint = try SVMMachine()
        breakpoint.intercept(0x4D)
        breakpoint[.idtrLimit] = 3 * 16 - 1
        #expect(try breakpoint.launch("int3") == .exit(0x4D))
        #expect(breakpoint[.exitInterruptInformation] == 1 << 31 | 3 << 8 | 3)
    }

    @Test func shutdownLeavesTheGuestOrEndsTheProcessor() throws {
        let svm = try SVMMachine()
        svm.intercept(0x7F)
        svm[.idtrLimit] = 0
        #expect(try svm.launch("ud2") == .exit(0x7F))
        let open = try SVMMachine()
        open[.idtrLimit] = 0
        #expect(try open.launch("ud2") == .other(.shutdown))
    }

    @Test func taskSwitchesLeaveTheGuest() throws {
        let svm = try SVMMachine(guest: .protected)
        svm.intercept(0x7D)
        svm.machine.setDescriptor(
            TestMachine.Selectors.free, Descriptor(base: 0x6_0000, limit: 0x67, attributes: 0x89))
        #expect(try svm.launch("jmp 0x80:0", bits: 32) == .exit(0x7D))
        #expect(svm[.exitInformation1] == 0x80)
        #expect(svm[.exitInformation2] >> 32 == 1 << 6)
        svm[.rip] = SVMMachine.Place.guestCode
        #expect(try svm.launch("call 0x80:0", bits: 32) == .exit(0x7D))
        #expect(svm[.exitInformation2] >> 32 == 0)
        // Through a task gate for an exception with an error code: #GP with selector 1230H.
        svm.machine.write(UInt64(0x0000_8500_0080_0000), at: 0x5_8000 + 13 * 8)
        svm[.rip] = SVMMachine.Place.guestCode
        #expect(try svm.launch("mov eax, 0x1230\nmov ds, eax", bits: 32) == .exit(0x7D))
        #expect(svm[.exitInformation2] & 0xFFFF_FFFF == 0x1230)
        #expect(svm[.exitInformation2] >> 32 == 1 << 12 | 1 << 16)
        #expect(svm[.exitInterruptInformation] == 0x1230 << 32 | 1 << 31 | 1 << 11 | 3 << 8 | 13)
    }

    // MARK: Event injection (section 15.20)

    private func inject(
        _ event: UInt64, code: String = "hlt", setUp: (SVMMachine) -> Void = { _ in }
    ) throws -> SVMMachine {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm[.eventInjection] = event
        setUp(svm)
        #expect(try svm.launch(code) == .exit(0x78))
        // The valid bit is gone.
        #expect(svm[.eventInjection] & 1 << 31 == 0)
        return svm
    }

    @Test func injectedEventsAreDelivered() throws {
        // An interrupt whatever RFLAGS.IF says; an NMI whose vector is ignored; an exception with its error code.
        let interrupt = try inject(1 << 31 | 0x77)
        #expect(interrupt[.rip] == TestMachine.handler(0x77))
        let nmi = try inject(1 << 31 | 2 << 8 | 0x99)
        #expect(nmi[.rip] == TestMachine.handler(2))
        #expect(!nmi.machine.state.nmiBlocked)
        let fault = try inject(0x18 << 32 | 1 << 31 | 1 << 11 | 3 << 8 | 13)
        #expect(fault[.rip] == TestMachine.handler(13))
        #expect(fault.machine.read(fault[.rsp], as: UInt64.self) == 0x18)
        #expect(fault.machine.read(fault[.rsp] + 8, as: UInt64.self) == SVMMachine.Place.guestCode)
    }

    @Test func injectedPageFaultsLeaveCR2ToTheMonitor() throws {
        let svm = try inject(2 << 32 | 1 << 31 | 1 << 11 | 3 << 8 | 14) { $0[.cr2] = 0xABCD_0000 }
        #expect(svm[.cr2] == 0xABCD_0000)
    }

    @Test func injectedSoftwareInterruptsReturnToTheNextRIP() throws {
        let svm = try inject(1 << 31 | 4 << 8 | 0x85) { $0[.nextRIP] = SVMMachine.Place.guestCode + 2 }
        #expect(svm[.rip] == TestMachine.handler(0x85))
        #expect(svm.machine.read(svm[.rsp], as: UInt64.self) == SVMMachine.Place.guestCode + 2)
        let breakpoint = try inject(1 << 31 | 3 << 8 | 3) { $0[.nextRIP] = SVMMachine.Place.guestCode + 1 }
        #expect(breakpoint.machine.read(breakpoint[.rsp], as: UInt64.self) == SVMMachine.Place.guestCode + 1)
    }

    @Test func injectedSoftwareInterruptsAreCheckedAgainstTheGate() throws {
        // Vector 20H has a gate of DPL 0; #GP names it.
        let svm = try SVMMachine(guest: .user)
        svm.intercept(0x4D)
        svm[.eventInjection] = 1 << 31 | 4 << 8 | 0x20
        #expect(try svm.launch("nop") == .exit(0x4D))
        #expect(svm[.exitInformation1] == 0x20 << 3 | 2)
        // A hardware interrupt is not.
        let hardware = try SVMMachine(guest: .user)
        hardware.intercept(0x78)
        hardware[.eventInjection] = 1 << 31 | 0x20
        #expect(try hardware.launch("nop") == .exit(0x78))
    }

    @Test func injectedEventsAreNotIntercepted() throws {
        let svm = try inject(1 << 31 | 3 << 8 | 6) { $0.intercept(0x46) }
        #expect(svm[.rip] == TestMachine.handler(6))
    }

    @Test func faultsOfInjectedEventsAre() throws {
        let svm = try SVMMachine()
        svm.intercept(0x4D)
        svm[.idtrLimit] = 0x30 * 16 - 1
        svm[.eventInjection] = 1 << 31 | 0x31
        #expect(try svm.launch("nop") == .exit(0x4D))
        #expect(svm[.exitInterruptInformation] == 1 << 31 | 0x31)
        #expect(svm[.exitInformation1] == 0x31 << 3 | 2 | 1)
    }

    // MARK: Physical interrupts (sections 15.13 and 15.21.1)

    @Test func interceptedInterruptsStayPending() throws {
        let svm = try SVMMachine()
        svm.intercept(0x60)
        svm[.rflags] = 2 | RFLAGS.IF
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.machine.interrupt(0x44)
        #expect(try svm.launch("nop") == .exit(0x60))
        #expect(svm[.rip] == SVMMachine.Place.guestCode)
        #expect(svm.machine.pendingVectors == [0x44])
        #expect(svm[.exitInterruptInformation] == 0)
    }

    @Test func withoutTheInterceptTheGuestTakesThem() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm[.rflags] = 2 | RFLAGS.IF
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.machine.interrupt(0x44)
        #expect(try svm.launch("nop") == .exit(0x78))
        #expect(svm[.rip] == TestMachine.handler(0x44))
    }

    /// The guest's and the host's RFLAGS.IF, V_INTR_MASKING, and whether a physical interrupt gets through.
    static let masking: [(guest: Bool, host: Bool, virtual: Bool, through: Bool)] = [
        (true, false, false, true), (false, true, false, false), (false, true, true, true), (true, false, true, false),
        (true, true, true, true), (false, false, true, false),
    ]

    @Test(arguments: 0..<masking.count)
    func virtualMaskingLeavesPhysicalInterruptsToTheHost(_ index: Int) throws {
        let test = Self.masking[index]
        let svm = try SVMMachine()
        svm.intercept(0x60)
        svm.intercept(0x78)
        svm[.rflags] = 2 | (test.guest ? RFLAGS.IF : 0)
        svm[.virtualInterrupt] = test.virtual ? 1 << 24 : 0
        svm.machine.state.rflags = 2 | (test.host ? RFLAGS.IF : 0)
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.machine.interrupt(0x44)
        #expect(try svm.launch("hlt") == .exit(test.through ? 0x60 : 0x78))
    }

    @Test func interceptedNonMaskableInterruptsStayPending() throws {
        let svm = try SVMMachine()
        svm.intercept(0x61)
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.processor.raise(Signal.nmi)
        #expect(try svm.launch("nop") == .exit(0x61))
        #expect(svm.machine.state.signals & Signal.nmi != 0)
        // STGI lets the host take it.
        try svm.machine.load("stgi\nhlt")
        svm.machine.state.rip = TestMachine.Layout.code
        svm.machine.state.activity = .active
        #expect(svm.machine.run() == .halted && svm.machine.stoppedVector == 2)
    }

    @Test func interceptedINITStaysPending() throws {
        let svm = try SVMMachine()
        svm.intercept(0x63)
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.processor.raise(Signal.initialize)
        #expect(try svm.launch("nop") == .exit(0x63))
        #expect(svm.machine.state.signals & Signal.initialize != 0)
    }

    @Test func initInAGuestEndsGuestMode() throws {
        let svm = try SVMMachine()
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.processor.raise(Signal.initialize)
        #expect(try svm.launch("nop") == .other(.signal))
        svm.processor.initialize()
        #expect(!svm.machine.state.virtualization.isGuest && svm.machine.state.efer == 0)
        #expect(svm.machine.state.rip == 0xFFF0)
    }

    @Test func redirectedINITCanBeIntercepted() throws {
        let svm = try SVMMachine()
        #expect(svm.processor.writeMSR(0xC001_0114, 1 << 1))
        svm.intercept(0x5E)
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.processor.raise(Signal.initialize)
        #expect(try svm.launch("nop") == .exit(0x5E))
        #expect(svm[.exitInformation1] == 1)
    }

    // MARK: Virtual interrupts (section 15.21.4)

    private func virtualInterrupt(vector: UInt64, priority: UInt64, tpr: UInt64 = 0, ignoresTPR: Bool = false) -> UInt64
    {
        tpr | 1 << 8 | priority << 16 | (ignoresTPR ? 1 << 20 : 0) | 1 << 24 | vector << 32
    }

    @Test func virtualInterruptsAreTakenWhenTheGuestEnablesThem() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm[.virtualInterrupt] = virtualInterrupt(vector: 0x66, priority: 6)
        // STI's shadow covers one more instruction.
        #expect(try svm.launch("mov ebx, 1\nsti\nmov ecx, 2\nmov edx, 3\nhlt") == .exit(0x78))
        #expect(svm[.rip] == TestMachine.handler(0x66))
        #expect(svm.machine.read(svm[.rsp], as: UInt64.self) == SVMMachine.Place.guestCode + 11)
        // V_IRQ is written back clear, the rest stays.
        #expect(svm[.virtualInterrupt] == virtualInterrupt(vector: 0x66, priority: 6) & ~(1 << 8))
    }

    @Test func aVirtualInterruptThatWasNotTakenStaysPending() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm[.virtualInterrupt] = virtualInterrupt(vector: 0x66, priority: 6)
        #expect(try svm.launch("mov rax, cr8\nmov cr8, rax\nhlt") == .exit(0x78))
        #expect(svm[.virtualInterrupt] & 1 << 8 != 0)
        #expect(svm[.rip] == SVMMachine.Place.guestCode + 8)
    }

    @Test func theVirtualTaskPriorityMasksThem() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm[.rflags] = 2 | RFLAGS.IF
        svm[.virtualInterrupt] = virtualInterrupt(vector: 0x66, priority: 6, tpr: 6)
        #expect(try svm.launch("hlt") == .exit(0x78))
        #expect(svm[.rip] == SVMMachine.Place.guestCode)
        // Lowering it by CR8 lets the interrupt through.
        #expect(try svm.launch("mov eax, 5\nmov cr8, rax\nnop\nhlt") == .exit(0x78))
        #expect(svm[.rip] == TestMachine.handler(0x66))
        #expect(svm[.virtualInterrupt] & 0xF == 5)
        // V_IGN_TPR leaves it out.
        svm[.rip] = SVMMachine.Place.guestCode
        svm[.rflags] = 2 | RFLAGS.IF
        svm[.virtualInterrupt] = virtualInterrupt(vector: 0x67, priority: 0, tpr: 15, ignoresTPR: true)
        #expect(try svm.launch("hlt") == .exit(0x78))
        #expect(svm[.rip] == TestMachine.handler(0x67))
    }

    @Test func theVirtualInterruptInterceptComesBeforeDelivery() throws {
        let svm = try SVMMachine()
        svm.intercept(0x64)
        svm[.virtualInterrupt] = virtualInterrupt(vector: 0x66, priority: 6)
        #expect(try svm.launch("nop\nsti\nnop\nhlt") == .exit(0x64))
        #expect(svm[.rip] == SVMMachine.Place.guestCode + 3)
        #expect(svm[.virtualInterrupt] & 1 << 8 != 0)
    }

    @Test func physicalInterruptsComeBeforeVirtualOnes() throws {
        let svm = try SVMMachine()
        svm.intercept(0x60)
        svm.intercept(0x64)
        svm[.rflags] = 2 | RFLAGS.IF
        svm[.virtualInterrupt] = virtualInterrupt(vector: 0x66, priority: 6) & ~(1 << 24)
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.machine.interrupt(0x44)
        #expect(try svm.launch("nop") == .exit(0x60))
    }

    @Test func aMaskedVirtualInterruptDoesNotWakeAHaltedGuest() throws {
        let svm = try SVMMachine()
        svm.intercept(0x72)
        svm[.rflags] = 2 | RFLAGS.IF
        svm[.virtualInterrupt] = virtualInterrupt(vector: 0x66, priority: 6, tpr: 6)
        svm.machine.write([0x0F, 0xA2], at: TestMachine.handler(0x66))
        #expect(try svm.launch("hlt") == .other(.halted))
        #expect(svm.machine.state.activity == .halted)
    }

    @Test func cr8IsVirtualOnlyWithMasking() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm.machine.taskPriority = 2
        svm[.virtualInterrupt] = 1 << 24 | 4
        #expect(try svm.launch("mov rbx, cr8\nmov eax, 9\nmov cr8, rax\nmov rcx, cr8\nhlt") == .exit(0x78))
        #expect(svm.machine.state.rbx == 4 && svm.machine.state.rcx == 9)
        #expect(svm.machine.taskPriority == 2)
        #expect(svm[.virtualInterrupt] & 0xFF == 9)
        // Without it both are written, and the machine's is read.
        svm[.rip] = SVMMachine.Place.guestCode
        svm[.virtualInterrupt] = 4
        #expect(try svm.enter() == .exit(0x78))
        #expect(svm.machine.state.rbx == 2 && svm.machine.taskPriority == 9)
        #expect(svm[.virtualInterrupt] & 0xFF == 9)
    }

    // MARK: Interrupt shadows (section 15.21.5)

    @Test func theInterruptShadowIsSavedAndLoaded() throws {
        let svm = try SVMMachine()
        svm.intercept(0x72)
        svm.intercept(0x60)
        #expect(try svm.launch("sti\ncpuid\nnop") == .exit(0x72))
        #expect(svm[.interruptShadow] & 1 == 1)
        // Going on in the shadow: one instruction, then the interrupt.
        svm.skipInstruction()
        svm.machine.state.virtualization.svm.globalInterruptFlag = false
        svm.machine.interrupt(0x44)
        #expect(try svm.enter() == .exit(0x60))
        #expect(svm[.rip] == SVMMachine.Place.guestCode + 4)
        #expect(svm[.interruptShadow] & 1 == 0)
    }

    @Test func aGuestMayClearGIFItself() throws {
        let svm = try SVMMachine()
        svm.intercept(0x60)
        svm.intercept(0x78)
        svm[.rflags] = 2 | RFLAGS.IF
        let code = "clgi\nmov dword [0x60000], 1\nnop\nstgi\nnop\nhlt"
        try svm.machine.load("vmrun\nhlt")
        svm.machine.write(
            try Assembler(mode: .bits64, origin: SVMMachine.Place.guestCode).assemble(code).bytes,
            at: SVMMachine.Place.guestCode)
        svm.machine.state.rax = SVMMachine.Place.vmcb
        svm.machine.step(2)
        svm.machine.interrupt(0x44)
        #expect(svm.machine.run() == .halted)
        #expect(svm[.exitCode] == 0x60)
        #expect(svm.machine.read(0x6_0000, as: UInt32.self) == 1)
        #expect(svm[.rip] == SVMMachine.Place.guestCode + 3 + 11 + 1 + 3)
    }
}
