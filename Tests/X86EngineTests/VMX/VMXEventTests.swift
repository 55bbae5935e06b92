import Testing
import X86
import X86Engine

/// Exceptions, interrupts, injection and other events (SDM volume 3 sections 26.2, 26.5, 27.6, 27.7 and 28.2).
@Suite struct VMXEventTests {
    // MARK: Exceptions

    /// Source, interruption information, instruction length of software exceptions.
    static let exceptions: [(String, UInt64, UInt64)] = [
        ("ud2", 0x8000_0306, 0), ("mov rax, 0x800000000000\nmov rax, [rax]", 0x8000_0B0D, 0),
        ("int3", 0x8000_0603, 1), ("int1", 0x8000_0501, 1), ("xor ecx, ecx\ndiv ecx", 0x8000_0300, 0),
    ]

    @Test(arguments: exceptions)
    func exceptionsOfTheBitmapExit(_ source: String, _ information: UInt64, _ length: UInt64) throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 0xFFFF_FFFF
        #expect(try vmx.launch(source) == .exit(0))
        #expect(vmx[.exitInterruptionInformation] == information)
        if length > 0 { #expect(vmx[.exitInstructionLength] == length) }
        #expect(vmx[.idtVectoringInformation] == 0)
        // Faults save RF; traps by INT3 and INT1 do not.
        #expect((vmx[.guestRFLAGS] & RFLAGS.RF != 0) == (length == 0))
    }

    @Test func exceptionsOutsideTheBitmapAreDelivered() throws {
        let vmx = try VMXMachine()
        #expect(try vmx.launch("ud2") == .other(.halted))
        #expect(vmx.machine.stoppedVector == 6)
    }

    /// Exception bitmap, mask, match, whether a write to an absent page exits (SDM volume 3 section 25.6.3).
    static let pageFaults: [(UInt64, UInt64, UInt64, Bool)] = [
        (1 << 14, 0, 0, true), (1 << 14, 2, 0, false), (0, 2, 0, true), (1 << 14, 2, 2, true), (0, 0, 1, true),
    ]

    @Test(arguments: pageFaults)
    func pageFaultsExitByMaskAndMatch(_ bitmap: UInt64, _ mask: UInt64, _ match: UInt64, exits: Bool) throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = bitmap
        vmx[.pageFaultErrorCodeMask] = mask
        vmx[.pageFaultErrorCodeMatch] = match
        // A write to a page that is not there: error code 2.
        let outcome = try vmx.launch("mov rbx, 0x8000000000\nmov [rbx+5], al")
        #expect(outcome == (exits ? .exit(0) : .other(.halted)))
        guard exits else { return }
        #expect(vmx[.exitInterruptionInformation] == 0x8000_0B0E)
        #expect(vmx[.exitInterruptionErrorCode] == 2)
        #expect(vmx[.exitQualification] == 0x80_0000_0005)
        #expect(vmx.machine.state.cr2 == 0)
    }

    @Test func debugExceptionsTellTheirConditions() throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 1 << 1
        vmx[.guestRFLAGS] |= RFLAGS.TF
        #expect(try vmx.launch("nop\nnop") == .exit(0))
        #expect(vmx[.exitInterruptionInformation] == 0x8000_0301)
        #expect(vmx[.exitQualification] == 1 << 14)
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode + 1)
        #expect(vmx.machine.state.dr6 & 1 << 14 == 0)
    }

    @Test func exceptionsDuringDeliveryNameTheEventTheyInterrupt() throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 1 << 13
        vmx[.guestIDTRLimit] = 6 * 16 - 1
        #expect(try vmx.launch("ud2") == .exit(0))
        // #GP for gate 6.
        #expect(vmx[.exitInterruptionInformation] == 0x8000_0B0D)
        #expect(vmx[.exitInterruptionErrorCode] == 6 << 3 | 2 | 1)
        #expect(vmx[.idtVectoringInformation] == 0x8000_0306)
    }

    @Test func softwareInterruptsAreNamedWithTheirLength() throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 1 << 13
        vmx[.guestIDTRLimit] = 0x7F * 16 - 1
        #expect(try vmx.launch("nop\nint 0x80") == .exit(0))
        #expect(vmx[.exitInterruptionErrorCode] == 0x80 << 3 | 2)
        #expect(vmx[.idtVectoringInformation] == 0x8000_0480)
        #expect(vmx[.exitInstructionLength] == 2)
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode + 1)
    }

    @Test func doubleFaultsExitWithoutAVectoringEvent() throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 1 << 8
        vmx[.guestIDTRLimit] = 0
        #expect(try vmx.launch("xor ecx, ecx\ndiv ecx") == .exit(0))
        #expect(vmx[.exitInterruptionInformation] == 0x8000_0B08)
        #expect(vmx[.idtVectoringInformation] == 0)
    }

    @Test func tripleFaultsExit() throws {
        let vmx = try VMXMachine()
        vmx[.guestIDTRLimit] = 0
        #expect(try vmx.launch("ud2") == .exit(2))
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode)
    }

    // MARK: Interrupts

    @Test(arguments: [false, true])
    func externalInterruptsExitWhateverIF(acknowledged: Bool) throws {
        let vmx = try VMXMachine()
        vmx.add(PinBasedControls.externalInterruptExiting)
        if acknowledged { vmx.add(ExitControls.acknowledgeInterruptOnExit) }
        vmx.machine.verdict = { [machine = vmx.machine] event in
            if case .portWrite = event { machine.interrupt(0x41) }
            return .proceed
        }
        vmx.processor.watched = .port
        #expect(try vmx.launch("out 0x80, al\nnop\nnop\nhlt") == .exit(1))
        #expect(vmx[.exitInterruptionInformation] == (acknowledged ? 0x8000_0041 : 0))
        #expect(vmx.machine.pendingVectors.isEmpty == acknowledged)
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode + 2)
    }

    @Test func interruptsOfTheMachineAreDeliveredWithoutTheControl() throws {
        let vmx = try VMXMachine()
        vmx.machine.interrupt(0x41)
        #expect(try vmx.launch("sti\nnop\nhlt") == .other(.halted))
        #expect(vmx.machine.stoppedVector == 0x41)
    }

    @Test func externalInterruptsEndHLT() throws {
        let vmx = try VMXMachine()
        vmx.add(PinBasedControls.externalInterruptExiting)
        #expect(try vmx.launch("hlt") == .other(.halted))
        vmx.machine.interrupt(0x33)
        #expect(vmx.machine.run() == .halted)
        #expect(vmx[.exitReason] == 1)
        #expect(vmx[.guestActivity] == 1)
    }

    @Test func nonMaskableInterruptsExitAndBlockTheHosts() throws {
        let vmx = try VMXMachine()
        vmx.add(PinBasedControls.nmiExiting)
        vmx.processor.raise(Signal.nmi)
        vmx.machine.state.nmiBlocked = true
        vmx[.guestInterruptibility] = 0
        #expect(try vmx.launch("nop\nhlt") == .exit(0))
        #expect(vmx[.exitInterruptionInformation] == 0x8000_0202)
        #expect(vmx.machine.state.nmiBlocked)
    }

    @Test func interruptWindowExitsOnceInterruptsCouldBeTaken() throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.interruptWindowExiting)
        #expect(try vmx.launch("nop\nsti\nnop\nnop\nhlt") == .exit(7))
        // Not in the shadow of STI.
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode + 3)
    }

    @Test func virtualNMIsAreBlockedUntilIRET() throws {
        let vmx = try VMXMachine()
        vmx.add([.nmiExiting, .virtualNMIs] as PinBasedControls)
        vmx.add(PrimaryControls.nmiWindowExiting)
        vmx[.guestInterruptibility] = 8
        let code = """
            mov rax, rsp
            push 0x10
            push rax
            pushf
            push 0x18
            lea rbx, [rel after]
            push rbx
            nop
            iretq
            after: nop
            hlt
            """
        #expect(try vmx.launch(code) == .exit(8))
        let label = try Assembler(mode: .bits64, origin: VMXMachine.Place.guestCode).assemble(code).labels["after"]
        #expect(vmx[.guestRIP] == label)
        #expect(vmx[.guestInterruptibility] & 8 == 0)
    }

    @Test func faultsOfAnIRETThatUnblockedNMIsSaySo() throws {
        let vmx = try VMXMachine()
        vmx.add([.nmiExiting, .virtualNMIs] as PinBasedControls)
        vmx[.exceptionBitmap] = 1 << 13
        vmx[.guestInterruptibility] = 8
        #expect(try vmx.launch("push 0x10\npush 0\npushf\npush 0xff8\npush 0\niretq") == .exit(0))
        #expect(vmx[.exitInterruptionInformation] == 0x8000_0B0D | 1 << 12)
    }

    @Test func initSignalsExit() throws {
        let vmx = try VMXMachine()
        vmx.processor.raise(Signal.initialize)
        #expect(try vmx.launch("nop\nhlt") == .exit(3))
    }

    @Test func startUpMessagesExitWhileWaitingForThem() throws {
        let vmx = try VMXMachine()
        vmx[.guestActivity] = 3
        vmx.machine.startUpVector = 0x9A
        #expect(try vmx.launch("nop\nhlt") == .other(.halted))
        vmx.processor.raise(Signal.startup)
        #expect(vmx.machine.run() == .halted)
        #expect(vmx[.exitReason] == 4)
        #expect(vmx[.exitQualification] == 0x9A)
    }

    // MARK: Timers, traps, thresholds

    @Test(arguments: [UInt64(0), 1, 10])
    func preemptionTimerExitsAtItsRate(_ value: UInt64) throws {
        let vmx = try VMXMachine()
        vmx.add(PinBasedControls.activatePreemptionTimer)
        vmx.add(ExitControls.savePreemptionTimer)
        vmx[.preemptionTimer] = value
        let start = vmx.processor.timeStampCounter
        #expect(try vmx.launch("again: jmp again", counts: 2000) == .exit(52))
        // Bit 5 of the counter changes every 32 counts; VMLAUNCH and the host's HLT count one each.
        let elapsed = vmx.processor.timeStampCounter - start
        #expect(elapsed <= value * 32 + 3 && (value == 0 || elapsed + 32 >= value * 32))
        #expect(vmx[.preemptionTimer] == 0)
    }

    @Test func preemptionTimerIsSavedAtOtherExits() throws {
        let vmx = try VMXMachine()
        vmx.add(PinBasedControls.activatePreemptionTimer)
        vmx.add(ExitControls.savePreemptionTimer)
        vmx[.preemptionTimer] = 1000
        #expect(try vmx.launch("mov ecx, 320\nagain: loop again\ncpuid") == .exit(10))
        #expect((988...991).contains(vmx[.preemptionTimer]))
    }

    @Test func preemptionTimerEndsHLT() throws {
        let vmx = try VMXMachine()
        vmx.add(PinBasedControls.activatePreemptionTimer)
        vmx[.preemptionTimer] = 4
        #expect(try vmx.launch("hlt") == .other(.halted))
        vmx.machine.state.time += 4 * 32
        #expect(vmx.machine.run() == .halted)
        #expect(vmx[.exitReason] == 52)
        #expect(vmx[.guestActivity] == 1)
    }

    @Test func monitorTrapFlagExitsAfterEachInstruction() throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.monitorTrapFlag)
        #expect(try vmx.launch("nop\nnop\nmov ecx, 3\nrep lodsb") == .exit(37))
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode + 1)
        for offset in [UInt64(2), 7, 7, 7, 9] {
            #expect(try vmx.enter() == .exit(37))
            #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode + offset)
        }
    }

    @Test func anMTFEventExitsBeforeTheFirstInstruction() throws {
        let vmx = try VMXMachine()
        vmx[.entryInterruptionInformation] = 0x8000_0700
        #expect(try vmx.launch("nop\nhlt") == .exit(37))
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode)
    }

    @Test func virtualTaskPriorityBelowItsThresholdExitsAfterTheWrite() throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.useTPRShadow)
        vmx[.virtualAPICAddress] = VMXMachine.Place.virtualAPIC
        vmx.machine.write(UInt32(0x80), at: VMXMachine.Place.virtualAPIC + 0x80)
        vmx[.tprThreshold] = 5
        vmx.machine.taskPriority = 1
        #expect(try vmx.launch("mov rbx, cr8\nmov eax, 6\nmov cr8, rax\nmov eax, 4\nmov cr8, rax\nnop") == .exit(43))
        #expect(vmx.machine.state.rbx == 8)
        #expect(vmx.machine.read(VMXMachine.Place.virtualAPIC + 0x80, as: UInt32.self) == 0x40)
        #expect(vmx.machine.taskPriority == 1)
        let length = try Assembler(mode: .bits64, origin: 0)
            .assemble("mov rbx, cr8\nmov eax, 6\nmov cr8, rax\nmov eax, 4\nmov cr8, rax").bytes.count
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode + UInt64(length))
    }

    // MARK: Task switches

    @Test func taskSwitchesExitBeforeAnythingChanges() throws {
        let vmx = try VMXMachine(guest: .protected)
        let selector = TestMachine.Selectors.free
        vmx.machine.setDescriptor(selector, Descriptor(base: 0x3800, limit: 0x67, attributes: 0x89))
        vmx[.guestGDTRLimit] = 0xFFF
        #expect(try vmx.launch("jmp \(selector):0", bits: 32) == .exit(9))
        #expect(vmx[.exitQualification] == UInt64(selector) | 2 << 30)
        #expect(vmx[.exitInstructionLength] == 7)
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode)
        #expect(vmx[.guestTR] == UInt64(TestMachine.Selectors.task))
    }

    // MARK: Injection

    /// Interruption information and the vector delivered.
    static let injections: [(UInt64, UInt8)] = [
        (0x8000_0041, 0x41), (0x8000_0202, 2), (0x8000_0306, 6), (0x8000_0B0D, 13), (0x8000_0480, 0x80),
        (0x8000_0603, 3), (0x8000_0501, 1),
    ]

    @Test(arguments: injections)
    func injectedEventsAreDeliveredBeforeTheGuestsInstruction(_ information: UInt64, vector: UInt8) throws {
        let vmx = try VMXMachine()
        vmx[.guestRFLAGS] |= RFLAGS.IF
        vmx[.entryInterruptionInformation] = information
        vmx[.entryExceptionErrorCode] = 0x18
        vmx[.entryInstructionLength] = 2
        #expect(try vmx.launch("ud2\nud2") == .other(.halted))
        #expect(vmx.machine.stoppedVector == vector)
        let hasErrorCode = information & 0x800 != 0
        if hasErrorCode { #expect(vmx.machine.stack(0) == 0x18) }
        let type = information >> 8 & 7
        // Software events return behind the instruction that they stand for.
        let offset: UInt64 = type >= 4 ? 2 : 0
        #expect(vmx.machine.stack(hasErrorCode ? 1 : 0) == VMXMachine.Place.guestCode + offset)
        #expect(vmx.machine.stack(hasErrorCode ? 3 : 2) & RFLAGS.RF == 0)
    }

    @Test func exitsClearTheInjection() throws {
        let vmx = try VMXMachine()
        vmx[.entryInterruptionInformation] = 0x8000_0306
        vmx.machine.write([0x0F, 0xA2], at: TestMachine.handler(6))
        #expect(try vmx.launch("nop") == .exit(10))
        #expect(vmx[.entryInterruptionInformation] == 0x306)
    }

    @Test func injectedPageFaultsLeaveCR2Alone() throws {
        let vmx = try VMXMachine()
        vmx.machine.state.cr2 = 0x5678
        vmx[.entryInterruptionInformation] = 0x8000_0B0E
        #expect(try vmx.launch("nop") == .other(.halted))
        #expect(vmx.machine.stoppedVector == 14)
        #expect(vmx.machine.state.cr2 == 0x5678)
    }

    @Test func faultsWhileAnInjectedEventIsDeliveredNameIt() throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 1 << 13
        vmx[.guestRFLAGS] |= RFLAGS.IF
        vmx[.guestIDTRLimit] = 0x1F * 16 - 1
        vmx[.entryInterruptionInformation] = 0x8000_0041
        #expect(try vmx.launch("nop") == .exit(0))
        #expect(vmx[.exitInterruptionErrorCode] == 0x41 << 3 | 3)
        #expect(vmx[.idtVectoringInformation] == 0x8000_0041)
    }

    @Test func anInterruptInjectedIntoHLTEndsIt() throws {
        let vmx = try VMXMachine()
        vmx[.guestActivity] = 1
        vmx[.guestRFLAGS] |= RFLAGS.IF
        vmx[.entryInterruptionInformation] = 0x8000_0041
        vmx.machine.write([0x0F, 0xA2], at: TestMachine.handler(0x41))
        #expect(try vmx.launch("nop") == .exit(10))
        #expect(vmx[.guestActivity] == 0)
    }

    @Test func pendingDebugExceptionsAreDeliveredAfterEntry() throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 1 << 1
        vmx[.guestPendingDebugExceptions] = 1 << 14 | 1 << 12 | 2
        #expect(try vmx.launch("nop") == .exit(0))
        #expect(vmx[.exitQualification] == 1 << 14 | 2)
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode)
    }

    @Test func blockingBySTIIsSavedAndRestored() throws {
        let vmx = try VMXMachine()
        #expect(try vmx.launch("sti\ncpuid\nnop\nhlt") == .exit(10))
        #expect(vmx[.guestInterruptibility] == 1)
        vmx.add(PrimaryControls.interruptWindowExiting)
        vmx[.exceptionBitmap] = 0
        vmx.skipInstruction()
        #expect(try vmx.enter() == .exit(7))
        // One instruction ran in the shadow.
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode + 4)
    }
}
