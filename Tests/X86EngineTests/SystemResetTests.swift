import Testing
import X86
import X86Engine

@Suite struct SystemResetTests {
    @Test func powerOnStateIsThatOfTheManual() throws {
        let state = try TestMachine().state
        #expect(state.rip == 0xFFF0)
        #expect(state.cs == SegmentState(selector: 0xF000, base: 0xFFFF_0000, limit: 0xFFFF, attributes: 0x93))
        for segment in [state.ss, state.ds, state.es, state.fs, state.gs] {
            #expect(segment == SegmentState(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x93))
        }
        #expect(state.rflags == 2)
        #expect(state.cr0 == 0x6000_0010)
        #expect(state.cr2 == 0 && state.cr3 == 0 && state.cr4 == 0 && state.efer == 0)
        #expect(state.dr6 == 0xFFFF_0FF0 && state.dr7 == 0x400)
        #expect(state.gdtr == DescriptorTableRegister(base: 0, limit: 0xFFFF))
        #expect(state.idtr == DescriptorTableRegister(base: 0, limit: 0xFFFF))
        #expect(state.rdx == 0x806F8)
        #expect(state.rax == 0 && state.rsp == 0)
        #expect(state.x87.controlWord == 0x40 && state.x87.tagWord == 0x5555)
        #expect(state.sse.mxcsr == 0x1F80)
        #expect(state.xcr0 == 1)
        #expect(state.pat == 0x0007_0406_0007_0406)
        #expect(state.cpl == 0 && state.activity == .active)
    }

    @Test func initKeepsFloatingPointCachesAndMostMSRs() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.state.cr0 = 0xC001_0031
        machine.state.sse.mxcsr = 0x1F00
        machine.state.x87.controlWord = 0x37F
        machine.state.lstar = 0x1234
        machine.state.pat = 0x0606_0606_0606_0606
        machine.state.time = 500
        machine.processor.initialize()
        #expect(machine.state.cr0 == 0x4000_0010)
        #expect(machine.state.efer == 0 && machine.state.cr4 == 0 && machine.state.cpl == 0)
        #expect(machine.state.rip == 0xFFF0 && machine.state.cs.base == 0xFFFF_0000)
        #expect(machine.state.sse.mxcsr == 0x1F00 && machine.state.x87.controlWord == 0x37F)
        #expect(machine.state.lstar == 0x1234 && machine.state.pat == 0x0606_0606_0606_0606)
        #expect(machine.processor.readMSR(0x10) == 500)
        #expect(machine.state.activity == .active)
    }

    @Test func applicationProcessorWaitsForItsStartUpMessage() throws {
        let machine = try TestMachine()
        machine.apicBase = 0xFEE0_0800
        machine.processor.initialize()
        #expect(machine.state.activity == .waitForSIPI)
        machine.processor.startUp(vector: 0x9F)
        #expect(machine.state.activity == .active)
        #expect(machine.state.cs == SegmentState(selector: 0x9F00, base: 0x9_F000, limit: 0xFFFF, attributes: 0x93))
        #expect(machine.state.rip == 0)
        // A second message is ignored.
        machine.processor.startUp(vector: 0x10)
        #expect(machine.state.cs.selector == 0x9F00)
    }

    @Test func resetStartsTheTimeStampCounterAnew() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.time = 12345
        machine.processor.reset()
        #expect(machine.processor.readMSR(0x10) == 0)
        #expect(machine.state.time == 12345)
    }
}
