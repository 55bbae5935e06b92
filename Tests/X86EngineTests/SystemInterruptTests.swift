import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

@Suite struct SystemInterruptTests {
    @Test func longModeInterruptPushesFiveQuadwordsOnTheStackOfTheTSS() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        #expect(try machine.runToHalt("int 0x80") == 0x80)
        #expect(machine.state.cpl == 0)
        #expect(machine.state.rsp == Layout.stack0 - 40)
        #expect(machine.stack(0) == Layout.code + 2)
        #expect(machine.stack(1) == UInt64(Selectors.userCode64))
        #expect(machine.stack(2) == 2)
        #expect(machine.stack(3) == Layout.userStack)
        #expect(machine.stack(4) == UInt64(Selectors.userData))
        // SS becomes null with the new level as RPL.
        #expect(machine.state.ss.selector == 0 && machine.state.ss.isUnusable)
    }

    @Test func longModeFaultOnRing0AlignsTheStackAndSavesResumeFlag() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.rsp = 0x6FF9
        #expect(try machine.runToHalt("ud2") == 6)
        #expect(machine.state.rsp == 0x6FF0 - 40)
        #expect(machine.stack(0) == Layout.code)
        #expect(machine.stack(2) == 0x1_0002)
        #expect(machine.stack(3) == 0x6FF9)
        #expect(machine.stack(4) == UInt64(Selectors.data))
        #expect(machine.state.ss.selector == Selectors.data)
    }

    @Test func interruptStackTableReplacesTheStackAtTheSameLevel() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.setGate(
            6,
            Descriptor(
                gate: SystemDescriptorType.interruptGate32, selector: Selectors.code64,
                offset: TestMachine.handler(6), descriptorPrivilegeLevel: 0, count: 1))
        #expect(try machine.runToHalt("ud2") == 6)
        #expect(machine.state.rsp == Layout.interruptStack1 - 40)
        #expect(machine.stack(3) == Layout.kernelStack)
    }

    @Test func softwareInterruptThroughAGateOfRing0IsRefusedToRing3() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        #expect(try machine.runToHalt("int 0x20") == 13)
        // The gate's index with the IDT bit, without EXT.
        #expect(machine.stack(0) == 0x20 * 8 + 2)
        #expect(machine.stack(1) == Layout.code)
    }

    @Test func int1NeedsNoGatePrivilege() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        #expect(try machine.runToHalt("int1") == 1)
        #expect(machine.stack(0) == Layout.code + 1)
    }

    @Test func protectedModeInterruptSwitchesStacksByTheTSS() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        #expect(try machine.runToHalt("stc\nint 0x80") == 0x80)
        #expect(machine.state.rsp == Layout.stack0 - 20)
        #expect(machine.state.ss.selector == Selectors.data)
        #expect(machine.stack(0) == Layout.code + 3)
        #expect(machine.stack(1) == UInt64(Selectors.userCode32))
        #expect(machine.stack(2) == 3)
        #expect(machine.stack(3) == Layout.userStack)
        #expect(machine.stack(4) == UInt64(Selectors.userData))
    }

    @Test func interruptGateClearsInterruptFlagAndTrapGateDoesNot() throws {
        for (type, expected) in [
            (SystemDescriptorType.interruptGate32, false), (SystemDescriptorType.trapGate32, true),
        ] {
            let machine = try TestMachine()
            machine.prepare(.protected)
            machine.state.rflags = 0x202
            machine.setGate(
                0x40,
                Descriptor(
                    gate: type, selector: Selectors.code32, offset: TestMachine.handler(0x40),
                    descriptorPrivilegeLevel: 0))
            #expect(try machine.runToHalt("int 0x40") == 0x40)
            #expect(machine.state.IF == expected)
            #expect(machine.stack(2) == 0x202)
        }
    }

    @Test func sixteenBitGatePushesWords() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.setGate(
            0x40,
            Descriptor(
                gate: SystemDescriptorType.interruptGate16, selector: Selectors.code32,
                offset: TestMachine.handler(0x40), descriptorPrivilegeLevel: 0))
        machine.state.rip = 0x5000
        try machine.load("int 0x40", at: 0x5000)
        #expect(machine.run() == .halted)
        #expect(machine.state.rsp == Layout.kernelStack - 6)
        #expect(machine.read(machine.state.rsp, as: UInt16.self) == 0x5002)
        #expect(machine.read(machine.state.rsp + 2, as: UInt16.self) == Selectors.code32)
    }

    @Test func realModeInterruptUsesTheVectorTable() throws {
        let machine = try TestMachine()
        machine.prepare(.real)
        machine.state.rflags = 0x203
        #expect(try machine.runToHalt("int 0x21") == 0x21)
        #expect(machine.state.rsp == Layout.kernelStack - 6)
        #expect(machine.stack(0) == 2)
        #expect(machine.stack(1) == Layout.code >> 4)
        #expect(machine.stack(2) == 0x203)
        #expect(!machine.state.IF)
    }

    @Test func interruptReturnRestoresWhatTheInterruptSaved() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.write([0x48, 0xCF], at: TestMachine.handler(0x80))
        try machine.load("stc\nint 0x80\nmov ecx, 7\nint 0x81")
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 0x81)
        #expect(machine.state.rcx == 7)
        #expect(machine.state.CF)
        #expect(machine.stack(3) == Layout.userStack)
        #expect(machine.processor.transitionCount(from: 3, to: 0) == 2)
        #expect(machine.processor.transitionCount(from: 0, to: 3) == 1)
    }

    @Test func externalInterruptWaitsForInterruptFlagAndWakesFromHalt() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.interrupt(0x33)
        try machine.load("nop\nsti\nhlt")
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 0x33)
        // STI shadows one instruction: the interrupt comes after HLT has begun.
        #expect(machine.stack(0) == Layout.code + 3)
        #expect(machine.stack(2) == 0x202)
    }

    @Test func nonMaskableInterruptBlocksOthersUntilInterruptReturn() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        try machine.load("nop\nnop\nnop\nnop\nhlt")
        machine.write([0x90, 0x48, 0xCF], at: TestMachine.handler(2))
        machine.processor.raise(Signal.nmi)
        machine.step(2)
        #expect(machine.state.rip == TestMachine.handler(2) + 1)
        #expect(machine.state.nmiBlocked)
        machine.processor.raise(Signal.nmi)
        machine.step()
        // IRETQ ended the blocking; the second one comes before the next instruction.
        #expect(!machine.state.nmiBlocked && machine.state.rip == Layout.code)
        machine.step()
        #expect(machine.state.rip == TestMachine.handler(2))
    }

    @Test func loadingSSHoldsInterruptsForOneInstruction() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.rflags = 0x202
        try machine.load("mov ss, eax\nmov esp, 0x6800\nnop")
        machine.state.rax = UInt64(Selectors.data)
        machine.step()
        machine.interrupt(0x50)
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 0x50)
        #expect(machine.state.rsp == 0x6800 - 12)
        #expect(machine.stack(0) == Layout.code + 7)
    }

    @Test func pageFaultDuringDeliveryOfProtectionFaultIsDeliveredItself() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        // The IDT entries of #GP lie in the first page: move the IDT so that #GP's gate is on an absent page.
        machine.setPages(absent: [0x9000])
        machine.state.idtr.base = 0x9000 - 13 * 16
        for vector in 0..<13 { machine.copyGate(vector, from: Layout.idt, to: 0x9000 - 13 * 16) }
        // Gate 14 is on the absent page as well: a double fault, whose gate 8 is present.
        try machine.load("mov eax, 0x1000\nmov ss, eax")
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 8)
        #expect(machine.stack(0) == 0)
        #expect(machine.state.cr2 == 0x9010)
        #expect(machine.processor.faultChain.map(\.fault.vector) == [13, 14, 14, 8])
    }

    @Test func faultDuringDoubleFaultShutsDownWithTheChain() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.idtr.limit = 0
        #expect(try machine.runToHalt("ud2") == nil)
        #expect(machine.state.activity == .shutdown)
        #expect(machine.run() == .shutdown)
        #expect(machine.processor.faultChain.map(\.fault.vector) == [6, 13, 13, 8, 13])
        #expect(machine.processor.faultChain.first?.rip == Layout.code)
        // #GP for the gate of #UD: index, IDT bit and EXT.
        #expect(machine.processor.faultChain[1].fault.errorCode == UInt32(6 * 8 + 3))
    }

    /// STI holds interrupts off for one instruction, POPF and IRET do not.
    ///
    /// SDM vol. 2, STI.
    @Test(
        arguments: [
            ("sti", 1), ("push 0x202\npopfq", 0),
            ("mov rax, rsp\npush 0x10\npush rax\npush 0x202\npush 0x18\nlea rax, [rel next]\npush rax\niretq", 0),
        ], [true, false])
    func maskedInterruptWaitsForTheInstructionThatUnmasksIt(
        unmask: (code: String, passes: UInt64), blockCacheEnabled: Bool
    ) throws {
        let machine = try TestMachine(blockCacheEnabled: blockCacheEnabled)
        machine.prepare(.long)
        machine.interrupt(0x40)
        let start = machine.state.time
        let code =
            "xor ebx, ebx\nxor edx, edx\nmov ecx, 100\nagain: inc edx\nloop again\n\(unmask.code)\nnext: inc ebx\ninc ebx\ninc ebx\nhlt"
        #expect(try machine.runToHalt(code) == 0x40)
        #expect(machine.state.rdx == 100 && machine.state.rbx == unmask.passes)
        let unmasking = UInt64(unmask.code.split(separator: "\n").count)
        // What prepares, the loop, what unmasks, what passes, the delivery, HLT.
        #expect(machine.state.time == start + 3 + 200 + unmasking + unmask.passes + 2)
    }
}

extension TestMachine {
    /// Replaces the first 2 MiB of long mode's map by 4 KiB pages, of which some are absent.
    func setPages(absent: Set<UInt64>, user: Bool = true) {
        let tables: UInt64 = 0x1_4000
        write(tables | 7, at: Layout.pageTables + 0x1000)
        write(tables + 0x1000 | 7, at: tables)
        for index in UInt64(0)..<512 {
            let page = index << 12
            write(absent.contains(page) ? 0 : page | (user ? 7 : 3), at: tables + 0x1000 + index * 8)
        }
        processor.flushTLB()
    }

    /// The page-table entry of a page after `setPages`.
    func pageEntryAddress(_ linear: UInt64) -> UInt64 { 0x1_5000 + linear >> 12 * 8 }

    func copyGate(_ vector: Int, from source: UInt64, to target: UInt64) {
        for half in UInt64(0)..<2 {
            let value: UInt64 = read(source + UInt64(vector) * 16 + half * 8)
            write(value, at: target + UInt64(vector) * 16 + half * 8)
        }
    }
}
