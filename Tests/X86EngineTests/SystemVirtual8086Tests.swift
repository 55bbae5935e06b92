import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

@Suite struct SystemVirtual8086Tests {
    /// A machine whose next instructions, `source` at 2000:0000, run in virtual-8086 mode; entered by IRETD.
    private func machine(_ source: String, iopl: Int = 0) throws -> TestMachine {
        let machine = try TestMachine()
        machine.prepare(.protected)
        try machine.load(
            """
            push 0x44
            push 0x33
            push 0x22
            push 0x11
            push 0x1000
            push 0xFFF0
            push \(0x2_0202 | iopl << 12)
            push 0x2000
            push 0
            iretd
            """, at: 0x9000)
        machine.state.rip = 0x9000
        try machine.load(source, bits: 16)
        machine.step(10)
        return machine
    }

    @Test func interruptReturnEntersVirtual8086Mode() throws {
        let machine = try machine("nop")
        #expect(machine.state.VM && machine.state.cpl == 3 && machine.state.IF)
        #expect(machine.state.cs == SegmentState(selector: 0x2000, base: 0x2_0000, limit: 0xFFFF, attributes: 0xF3))
        #expect(machine.state.ss.base == 0x1_0000 && machine.state.rsp == 0xFFF0)
        #expect(machine.state.es.selector == 0x11 && machine.state.gs.base == 0x440)
        #expect(machine.codeWidth == 16)
    }

    @Test func faultLeavesThroughRing0AndSavesDataSegments() throws {
        let machine = try machine("hlt")
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 13)
        #expect(!machine.state.VM && machine.state.cpl == 0)
        #expect(machine.state.rsp == Layout.stack0 - 40)
        let frame = (0..<10).map { machine.stack($0) }
        #expect(frame == [0, 0, 0x2000, 0x3_0202, 0xFFF0, 0x1000, 0x11, 0x22, 0x33, 0x44])
        #expect(machine.state.ds.isUnusable && machine.state.gs.isUnusable)
    }

    @Test func flagInstructionsNeedIOPL3() throws {
        for code in ["cli", "sti", "pushf", "popf", "int 0x80", "iret"] {
            let refused = try machine(code)
            #expect(refused.run() == .halted)
            #expect(refused.stoppedVector == 13, "\(code)")
            #expect(refused.stack(0) == 0)
        }
        let allowed = try machine("cli\npushf\npop ax\nint 0x80", iopl: 3)
        #expect(allowed.run() == .halted)
        #expect(allowed.stoppedVector == 0x80)
        #expect(allowed.state.rax & 0xFFFF == 0x3002)
    }

    @Test func breakpointInstructionIsNotSensitiveToIOPL() throws {
        let machine = try machine("int3")
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 3)
    }

    @Test func segmentsAreShiftedSelectors() throws {
        let machine = try machine("mov ax, 0x0900\nmov ds, ax\nmov byte [0x10], 0x5A")
        machine.step(3)
        #expect(machine.read(0x9010, as: UInt8.self) == 0x5A)
    }

    @Test func portsAlwaysGoByTheBitmap() throws {
        let refused = try machine("in al, 0x60", iopl: 3)
        #expect(refused.run() == .halted)
        #expect(refused.stoppedVector == 13)
        let allowed = try machine("in al, 0x60")
        allowed.write(UInt8(0xFE), at: Layout.tss + 0x68 + 0x60 / 8)
        allowed.portValues[0x60] = 0x42
        allowed.step()
        #expect(allowed.state.rax & 0xFF == 0x42)
    }

    @Test func protectedModeInstructionsAreInvalid() throws {
        for code in ["sldt ax", "lar ax, bx", "verr ax"] {
            let machine = try machine(code)
            #expect(machine.run() == .halted)
            #expect(machine.stoppedVector == 6, "\(code)")
        }
    }

    @Test func handlerMustRunAtLevel0() throws {
        let machine = try machine("int3")
        machine.setGate(
            3,
            Descriptor(
                gate: SystemDescriptorType.interruptGate32, selector: Selectors.code32Ring1 & ~3,
                offset: 0x9000, descriptorPrivilegeLevel: 3))
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 13)
        #expect(machine.stack(0) == UInt64(Selectors.code32Ring1 & ~3))
    }
}
