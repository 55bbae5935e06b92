import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

/// Guests that fault for ever and never retire an instruction: they must come to their limit all the same.
@Suite struct SystemEndlessFaultTests {
    /// Runs for 1,000 counts and says where the processor stands; nothing may have retired but what came before.
    private func run(_ machine: TestMachine) -> RunResult {
        let start = machine.state.time
        let result = machine.run(1000)
        #expect(machine.state.time == start + 1000)
        return result
    }

    private func setStack(_ table: UInt8, of vector: UInt8, offset: UInt64, in machine: TestMachine) {
        var gate = Descriptor(
            gate: SystemDescriptorType.interruptGate32, selector: Selectors.code64, offset: offset,
            descriptorPrivilegeLevel: 0)
        gate.low |= UInt64(table) << 32
        machine.setGate(vector, gate)
    }

    /// The page fault's handler is not mapped; its stack, from the interrupt stack table, is the same each time.
    @Test func pageFaultOnTheFirstByteOfItsHandler() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        setStack(1, of: 14, offset: 0x70_0000_0000, in: machine)
        try machine.load("mov eax, [0x60000000]\nmov rax, 0x7000000000\nmov eax, [rax]\nhlt")
        #expect(run(machine) == .deadline)
        #expect(machine.state.rip == 0x70_0000_0000)
        #expect(machine.state.cr2 == 0x70_0000_0000)
        #expect(machine.state.rsp == Layout.interruptStack1 - 48)
    }

    /// A data breakpoint on the frame that its own trap pushes.
    @Test func debugTrapWhoseDeliveryMeetsTheBreakpointAgain() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        setStack(1, of: 1, offset: TestMachine.handler(1), in: machine)
        // The quadword in which RIP is pushed, on writes.
        machine.state.dr0 = Layout.interruptStack1 - 40
        machine.state.dr7 = 0x9_0402
        try machine.load("mov [\(Layout.interruptStack1 - 40)], rax\nhlt")
        #expect(run(machine) == .deadline)
        #expect(machine.state.rip == TestMachine.handler(1))
    }

    /// #AC whose handler runs in ring 3 on a misaligned stack, so that the delivery is not aligned either.
    @Test func alignmentCheckWithAHandlerInRing3() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        machine.setGate(
            17,
            Descriptor(
                gate: SystemDescriptorType.interruptGate32, selector: Selectors.userCode32, offset: Layout.code,
                descriptorPrivilegeLevel: 3))
        machine.state.cr0 |= CR0.AM
        machine.state.rflags |= RFLAGS.AC
        machine.state.rsp -= 1
        machine.processor.updateMode()
        // The handler is the faulting instruction itself.
        try machine.load("here: mov eax, [esp]\njmp here")
        let result = run(machine)
        #expect(result == .deadline)
    }

    /// A breakpoint on the first instruction of the handler of #DB faults before it, each time.
    @Test func codeBreakpointOnTheHandlerOfDebugExceptions() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        setStack(1, of: 1, offset: TestMachine.handler(1), in: machine)
        machine.state.dr1 = TestMachine.handler(1)
        machine.state.dr7 = 0x408
        try machine.load("int1\nhlt")
        #expect(run(machine) == .deadline)
        #expect(machine.state.rip == TestMachine.handler(1))
    }
}
