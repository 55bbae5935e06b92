import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

@Suite struct SystemCallTests {
    private func machine(ring: UInt8 = 3, model: ProcessorModel = .intel64) throws -> TestMachine {
        let machine = try TestMachine(model: model)
        machine.prepare(.long, ring: ring)
        // SYSCALL: CS 8, SS 10; SYSRET: SS base + 8, 64-bit CS base + 16.
        machine.state.star = 0x001B_0008_0000_0000
        machine.state.lstar = 0x9000
        machine.state.fmask = 0x300
        return machine
    }

    @Test func syscallSavesReturnAddressAndFlagsAndSwitchesNoStack() throws {
        let machine = try machine()
        machine.state.rflags = 0x203
        try machine.load("syscall")
        machine.step()
        #expect(machine.state.rip == 0x9000 && machine.state.cpl == 0)
        #expect(machine.state.rcx == Layout.code + 2)
        #expect(machine.state.r11 == 0x203)
        #expect(machine.state.rflags == 0x3)
        #expect(machine.state.rsp == Layout.userStack)
        #expect(machine.state.cs == SegmentState(selector: 8, base: 0, limit: 0xFFFF_FFFF, attributes: 0xA09B))
        #expect(machine.state.ss == SegmentState(selector: 16, base: 0, limit: 0xFFFF_FFFF, attributes: 0xC093))
    }

    @Test func sysretGoesBackTo64BitAndCompatibilityMode() throws {
        let machine = try machine(ring: 0)
        machine.state.rcx = 0x5000
        machine.state.r11 = 0x5_3202
        try machine.load("o64 sysret")
        machine.step()
        #expect(machine.state.rip == 0x5000 && machine.state.cpl == 3)
        // RF is not taken from R11.
        #expect(machine.state.rflags == 0x4_3202)
        #expect(machine.state.cs.selector == 0x2B && machine.state.ss.selector == 0x23)
        #expect(machine.codeWidth == 64)
        let compatible = try self.machine(ring: 0)
        compatible.state.rcx = 0x1_0000_5000
        try compatible.load("sysret")
        compatible.step()
        #expect(compatible.state.rip == 0x5000 && compatible.codeWidth == 32 && compatible.state.cs.selector == 0x1B)
    }

    @Test func sysretToAnAddressThatIsNotCanonicalFaultsAtLevel0OnIntelAnd3OnAMD() throws {
        for (model, level, rip) in [
            (ProcessorModel.intel64, UInt64(0), Layout.code), (.amd64, 3, 0x8000_0000_0000_0000),
        ] {
            let machine = try machine(ring: 0, model: model)
            machine.state.rcx = 0x8000_0000_0000_0000
            #expect(try machine.runToHalt("o64 sysret") == 13)
            #expect(machine.stack(1) == rip)
            #expect(machine.stack(2) & 3 == level)
        }
    }

    @Test func syscallNeedsItsEnableBitAnd64BitModeOnIntel() throws {
        let disabled = try machine()
        disabled.state.efer &= ~EFER.SCE
        #expect(try disabled.runToHalt("syscall") == 6)
        for (model, vector) in [(ProcessorModel.intel64, UInt8(6)), (.amd64, nil)] as [(ProcessorModel, UInt8?)] {
            let machine = try TestMachine(model: model)
            machine.prepare(.long, ring: 3, code: 32)
            machine.state.star = 0x001B_0008_0000_0000
            machine.state.cstar = 0x9100
            machine.write(UInt8(0xF4), at: 0x9100)
            #expect(try machine.runToHalt("syscall") == vector)
            if vector == nil { #expect(machine.state.rip == 0x9101 && machine.codeWidth == 64) }
        }
    }

    @Test func sysenterAndSysexitUseTheirMSRs() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        machine.state.sysenterCS = UInt64(Selectors.code32)
        machine.state.sysenterESP = 0x6500
        machine.state.sysenterEIP = 0x9000
        machine.state.rflags = 0x202
        try machine.load("sysenter")
        machine.step()
        #expect(machine.state.rip == 0x9000 && machine.state.rsp == 0x6500 && machine.state.cpl == 0)
        #expect(machine.state.ss.selector == Selectors.code32 + 8 && !machine.state.IF)
        machine.state.rdx = 0x5000
        machine.state.rcx = 0x2_F000
        try machine.load("sysexit", at: 0x9000)
        machine.step()
        #expect(machine.state.rip == 0x5000 && machine.state.rsp == 0x2_F000 && machine.state.cpl == 3)
        #expect(machine.state.cs.selector == (Selectors.code32 + 16) | 3)
        #expect(machine.state.ss.selector == (Selectors.code32 + 24) | 3)
    }

    @Test func sysenterWithoutItsSegmentFaults() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        #expect(try machine.runToHalt("sysenter") == 13)
        let exit = try TestMachine()
        exit.prepare(.protected, ring: 3)
        exit.state.sysenterCS = 8
        #expect(try exit.runToHalt("sysexit") == 13)
    }

    @Test func swapgsExchangesTheBases() throws {
        let machine = try machine(ring: 0)
        machine.state.gs.base = 0x1111
        machine.state.kernelGSBase = 0x2222
        try machine.load("swapgs")
        machine.step()
        #expect(machine.state.gs.base == 0x2222 && machine.state.kernelGSBase == 0x1111)
        let user = try self.machine()
        #expect(try user.runToHalt("swapgs") == 13)
    }

    @Test func segmentBaseInstructionsNeedTheirEnableBit() throws {
        let machine = try machine()
        #expect(try machine.runToHalt("rdfsbase rax") == 6)
        let enabled = try self.machine()
        enabled.state.cr4 |= CR4.FSGSBASE
        enabled.state.rcx = 0x7FFF_0000_1234
        #expect(try enabled.runToHalt("wrgsbase rcx\nrdgsbase rdx\nint 0x80") == 0x80)
        #expect(enabled.state.rdx == 0x7FFF_0000_1234)
        let wrong = try self.machine()
        wrong.state.cr4 |= CR4.FSGSBASE
        wrong.state.rcx = 0x8000_0000_0000_0000
        #expect(try wrong.runToHalt("wrfsbase rcx") == 13)
    }
}
