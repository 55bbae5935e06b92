import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

@Suite struct SystemFarTransferTests {
    @Test func farJumpLoadsCodeSegmentOfTheSameLevel() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        try machine.load("jmp \(Selectors.code16):0x9000")
        machine.step()
        #expect(machine.state.cs.selector == Selectors.code16)
        #expect(machine.state.rip == 0x9000)
        #expect(machine.codeWidth == 16)
    }

    @Test func farJumpIsRefusedToOtherLevelsAndBeyondTheLimit() throws {
        for (selector, offset, code) in [
            (Selectors.userCode32, 0x9000, UInt64(Selectors.userCode32 & ~3)), (Selectors.data, 0x9000, 0x10),
            (0, 0x9000, 0), (Selectors.code16, 0x1_0000, 0), (0x1000, 0, 0x1000),
        ] as [(UInt16, Int, UInt64)] {
            let machine = try TestMachine()
            machine.prepare(.protected)
            #expect(try machine.runToHalt("jmp \(selector):\(offset)") == 13)
            #expect(machine.stack(0) == code)
            #expect(machine.stack(1) == Layout.code)
        }
    }

    @Test func conformingCodeRunsAtTheCallersLevel() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        try machine.load("jmp \(Selectors.conforming):0x9000")
        machine.step()
        #expect(machine.state.cs.selector == Selectors.conforming | 3)
        #expect(machine.state.cpl == 3)
    }

    @Test func farCallPushesSelectorAndOffsetAndFarReturnReleases() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        try machine.load("call \(Selectors.conforming):0x9000\nhlt")
        try machine.load("retf 8", at: 0x9000)
        machine.step()
        #expect(machine.state.rsp == Layout.kernelStack - 8)
        #expect(machine.stack(0) == Layout.code + 7)
        #expect(machine.stack(1) == UInt64(Selectors.code32))
        machine.step()
        #expect(machine.state.rip == Layout.code + 7)
        #expect(machine.state.rsp == Layout.kernelStack + 8)
    }

    @Test func callGateToRing0SwitchesStackAndCopiesParameters() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        machine.setDescriptor(
            Selectors.free,
            Descriptor(
                gate: SystemDescriptorType.callGate32, selector: Selectors.code32, offset: 0x9000,
                descriptorPrivilegeLevel: 3, count: 2))
        try machine.load("push 0x11\npush 0x22\ncall \(Selectors.free | 3):0xDEAD\nint 0x80")
        machine.write([0xCA, 8, 0], at: 0x9000)
        machine.step(3)
        #expect(machine.state.cpl == 0)
        #expect(machine.state.rip == 0x9000)
        #expect(machine.state.cs.selector == Selectors.code32)
        #expect(machine.state.ss.selector == Selectors.data)
        #expect(machine.state.rsp == Layout.stack0 - 24)
        let frame = (0..<6).map { machine.stack($0) }
        #expect(
            frame == [
                Layout.code + 11, UInt64(Selectors.userCode32), 0x22, 0x11, Layout.userStack - 8,
                UInt64(Selectors.userData),
            ])
        // RETF 8 drops the parameters from both stacks.
        machine.step()
        #expect(machine.state.cpl == 3)
        #expect(machine.state.rsp == Layout.userStack)
        #expect(machine.state.rip == Layout.code + 11)
        #expect(machine.processor.transitionCounters[from: 3, to: 0, kind: .callGate] == 1)
        #expect(machine.processor.transitionCounters[from: 0, to: 3, kind: .farReturn] == 1)
    }

    @Test func callGateLeadsToRing1() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        machine.setDescriptor(
            Selectors.free,
            Descriptor(
                gate: SystemDescriptorType.callGate32, selector: Selectors.code32Ring1 & ~3, offset: 0x9000,
                descriptorPrivilegeLevel: 3))
        try machine.load("call \(Selectors.free):0")
        machine.step()
        #expect(machine.state.cpl == 1)
        #expect(machine.state.cs.selector == Selectors.code32Ring1)
        #expect(machine.state.ss.selector == Selectors.data1)
        #expect(machine.state.rsp == Layout.stack1 - 16)
    }

    @Test func callGateObeysItsPrivilegeAndPresence() throws {
        for (level, present, vector) in [(UInt8(2), true, UInt8(13)), (3, false, 11)] {
            let machine = try TestMachine()
            machine.prepare(.protected, ring: 3)
            machine.setDescriptor(
                Selectors.free,
                Descriptor(
                    gate: SystemDescriptorType.callGate32, selector: Selectors.code32, offset: 0x9000,
                    descriptorPrivilegeLevel: level, isPresent: present))
            #expect(try machine.runToHalt("call \(Selectors.free):0") == vector)
            #expect(machine.stack(0) == UInt64(Selectors.free))
        }
    }

    @Test func jumpThroughCallGateCannotRaisePrivilege() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        machine.setDescriptor(
            Selectors.free,
            Descriptor(
                gate: SystemDescriptorType.callGate32, selector: Selectors.code32, offset: 0x9000,
                descriptorPrivilegeLevel: 3))
        #expect(try machine.runToHalt("jmp \(Selectors.free):0") == 13)
        #expect(machine.stack(0) == UInt64(Selectors.code32))
    }

    @Test func innerStackErrorsAreInvalidTSS() throws {
        for (selector, limit, vector, code) in [
            (Selectors.userData, 0x20FF, 10, UInt64(Selectors.userData & ~3)), (0, 0x20FF, 10, 0),
            (Selectors.data, 7, 10, UInt64(Selectors.task)), (0x1000, 0x20FF, 10, 0x1000),
        ] as [(UInt16, UInt32, UInt8, UInt64)] {
            let machine = try TestMachine()
            machine.prepare(.protected, ring: 3)
            machine.write(UInt32(selector), at: Layout.tss + 8)
            machine.state.tr.limit = limit
            machine.setDescriptor(
                Selectors.free,
                Descriptor(
                    gate: SystemDescriptorType.callGate32, selector: Selectors.code32, offset: 0x9000,
                    descriptorPrivilegeLevel: 3))
            // The handler cannot use the broken stack either: look at the chain.
            try machine.load("call \(Selectors.free):0")
            machine.run()
            let fault = machine.processor.faultChain.first?.fault
            #expect(fault?.vector == vector)
            #expect(fault?.errorCode == UInt32(code))
        }
    }

    @Test func longModeCallGateUsesSixteenBytesAndANullStackSegment() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.setDescriptor(
            Selectors.free,
            Descriptor(
                gate: SystemDescriptorType.callGate32, selector: Selectors.code64, offset: 0x9000,
                descriptorPrivilegeLevel: 3), isWide: true)
        machine.write(UInt32(0), at: 0x9100)
        machine.write(Selectors.free, at: 0x9104)
        try machine.load("call far dword [0x9100]")
        machine.step()
        #expect(machine.state.cpl == 0)
        #expect(machine.state.rip == 0x9000)
        #expect(machine.state.ss.isUnusable && machine.state.ss.selector == 0)
        #expect(machine.state.rsp == Layout.stack0 - 32)
        #expect(machine.stack(1) == UInt64(Selectors.userCode64))
        #expect(machine.stack(2) == Layout.userStack)
        #expect(machine.stack(3) == UInt64(Selectors.userData))
        machine.write([0x48, 0xCB], at: 0x9000)
        machine.step()
        #expect(machine.state.cpl == 3 && machine.state.rsp == Layout.userStack)
    }

    @Test func farReturnMovesBetween64BitAndCompatibilityMode() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        try machine.load("push \(Selectors.code32)\npush 0x9000\no64 retf")
        machine.step(3)
        #expect(machine.codeWidth == 32)
        #expect(machine.state.rip == 0x9000)
        try machine.load("jmp \(Selectors.code64):0x9100", at: 0x9000)
        machine.step()
        #expect(machine.codeWidth == 64 && machine.state.rip == 0x9100)
    }

    @Test func codeSegmentWithLAndDIsRefused() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.setDescriptor(Selectors.free, Descriptor(base: 0, limit: 0xFFFF_FFFF, attributes: 0xE09B))
        #expect(try machine.runToHalt("push \(Selectors.free)\npush 0x9000\no64 retf") == 13)
        #expect(machine.stack(0) == UInt64(Selectors.free))
    }

    @Test func returnToOuterLevelDropsSegmentsItMayNotUse() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.gs = SegmentState(
            selector: Selectors.userData, base: 0, limit: 0xFFFF_FFFF, attributes: 0xC0F3)
        try machine.load(
            "push \(Selectors.userData)\npush 0x30000\npush \(Selectors.userCode32)\npush 0x9000\nretf")
        machine.step(5)
        #expect(machine.state.cpl == 3)
        #expect(machine.state.ds.selector == 0 && machine.state.ds.isUnusable)
        #expect(machine.state.gs.selector == Selectors.userData && !machine.state.gs.isUnusable)
    }

    @Test func returnToInnerLevelIsRefused() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        #expect(try machine.runToHalt("push \(Selectors.code32)\npush 0x9000\nretf") == 13)
        #expect(machine.stack(0) == UInt64(Selectors.code32))
        #expect(machine.stack(4) == Layout.userStack - 8)
    }

    @Test func interruptReturnToLessPrivilegeKeepsIOPLAndInterruptFlagRules() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        try machine.load(
            """
            push \(Selectors.userData)
            push 0x30000
            push 0x3202
            push \(Selectors.userCode32)
            push 0x9000
            iretd
            """)
        machine.step(6)
        #expect(machine.state.cpl == 3 && machine.state.iopl == 3 && machine.state.IF)
        // From ring 3 with IOPL 0, IRET changes neither.
        machine.state.rflags = 0x202
        machine.state.rsp = 0x3_0000
        machine.state.rip = 0x9100
        try machine.load("push 0x3002\npush \(Selectors.userCode32)\npush 0x9000\niretd", at: 0x9100)
        machine.step(4)
        #expect(machine.state.rip == 0x9000 && machine.state.iopl == 0 && machine.state.IF)
    }

    @Test func interruptReturnIn64BitModeAlwaysPopsTheStack() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        try machine.load(
            "push 0\npush 0x6660\npush 2\npush \(Selectors.code64)\npush 0x9000\niretq")
        machine.step(6)
        #expect(machine.state.rsp == 0x6660 && machine.state.cpl == 0)
        #expect(machine.state.ss.isUnusable)
    }

    @Test func interruptReturnWithNullStackToRing3Faults() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        let source = "push 3\npush 0x6660\npush 2\npush \(Selectors.userCode64)\npush 0x9000\niretq"
        #expect(try machine.runToHalt(source) == 13)
        #expect(machine.stack(0) == 0)
    }

    @Test func interruptReturnToAddressThatIsNotCanonicalFaultsInTheKernel() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        let source = """
            push \(Selectors.userData)
            push 0x6660
            push 2
            push \(Selectors.userCode64)
            mov rax, 0x8000000000000000
            push rax
            iretq
            """
        #expect(try machine.runToHalt(source) == 13)
        #expect(machine.stack(2) == UInt64(Selectors.code64))
    }

    @Test func nestedTaskFlagFaultsInLongMode() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.rflags = 0x4002
        #expect(try machine.runToHalt("iretq") == 13)
    }
}
