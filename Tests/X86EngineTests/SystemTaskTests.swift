import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

/// A second task beside the prepared one.
private struct SecondTask {
    static let selector = Selectors.free
    static let tss: UInt64 = 0xA000
    static let entry: UInt64 = 0xB000
    static let stack: UInt64 = 0xC000

    static func place(
        in machine: TestMachine, ring: UInt8 = 0, flags: UInt32 = 2, trap: Bool = false, limit: UInt32 = 0x67
    ) {
        machine.setDescriptor(selector, Descriptor(base: UInt32(tss), limit: limit, attributes: 0x89))
        let code = ring == 0 ? Selectors.code32 : Selectors.userCode32
        let data = ring == 0 ? Selectors.data : Selectors.userData
        let words: [(UInt64, UInt32)] = [
            (0x20, UInt32(entry)), (0x24, flags), (0x28, 0xAAAA), (0x2C, 0xCCCC), (0x38, UInt32(stack)),
            (0x48, UInt32(data)), (0x4C, UInt32(code)), (0x50, UInt32(data)), (0x54, UInt32(data)),
            (0x58, 0), (0x5C, 0), (0x60, 0), (4, UInt32(Layout.stack0)), (8, UInt32(Selectors.data)),
            (0x64, trap ? 0x68_0001 : 0x68_0000),
        ]
        for (offset, value) in words { machine.write(value, at: tss + offset) }
        machine.write(UInt8(0xF4), at: entry)
    }
}

@Suite struct SystemTaskTests {
    @Test func jumpToTaskSavesOneAndLoadsTheOther() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        SecondTask.place(in: machine)
        machine.state.dr7 = 0x455
        try machine.load("mov ebx, 0x1234\njmp \(SecondTask.selector):0")
        machine.step(2)
        #expect(machine.state.rip == SecondTask.entry)
        #expect(machine.state.rax == 0xAAAA && machine.state.rcx == 0xCCCC)
        #expect(machine.state.rsp == SecondTask.stack)
        #expect(machine.state.tr.selector == SecondTask.selector)
        #expect(machine.state.cr0 & CR0.TS != 0)
        #expect(machine.state.dr7 == 0x400)
        #expect(!machine.state.NT)
        // The old task: EIP after the jump, EBX, not busy any more.
        #expect(machine.read(Layout.tss + 0x20, as: UInt32.self) == UInt32(Layout.code) + 12)
        #expect(machine.read(Layout.tss + 0x34, as: UInt32.self) == 0x1234)
        #expect(machine.read(Layout.tss + 0x4C, as: UInt16.self) == Selectors.code32)
        #expect(machine.descriptor(Selectors.task).type == SystemDescriptorType.availableTSS32)
        #expect(machine.descriptor(SecondTask.selector).type == SystemDescriptorType.busyTSS32)
    }

    @Test func callToTaskLinksBackAndInterruptReturnFollowsTheLink() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        SecondTask.place(in: machine)
        machine.write([0xCF], at: SecondTask.entry)
        try machine.load("call \(SecondTask.selector):0\nhlt")
        machine.step()
        #expect(machine.state.NT)
        #expect(machine.read(SecondTask.tss, as: UInt16.self) == Selectors.task)
        #expect(machine.descriptor(Selectors.task).type == SystemDescriptorType.busyTSS32)
        machine.step()
        #expect(machine.state.rip == Layout.code + 7)
        #expect(machine.state.tr.selector == Selectors.task)
        #expect(!machine.state.NT)
        #expect(machine.descriptor(SecondTask.selector).type == SystemDescriptorType.availableTSS32)
        // NT is clear in what was saved.
        #expect(machine.read(SecondTask.tss + 0x24, as: UInt32.self) & 0x4000 == 0)
    }

    @Test func taskGateInTheIDTPushesTheErrorCodeOnTheNewStack() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        SecondTask.place(in: machine)
        machine.setGate(
            13,
            Descriptor(
                gate: SystemDescriptorType.taskGate, selector: SecondTask.selector, offset: 0,
                descriptorPrivilegeLevel: 0))
        try machine.load("mov eax, 0x1000\nmov ds, ax")
        #expect(machine.run() == .halted)
        #expect(machine.state.rip == SecondTask.entry + 1)
        #expect(machine.state.rsp == SecondTask.stack - 4)
        #expect(machine.stack(0) == 0x1000)
        // The faulting instruction is what the interrupted task goes on with, with RF set.
        #expect(machine.read(Layout.tss + 0x20, as: UInt32.self) == UInt32(Layout.code) + 5)
        #expect(machine.read(Layout.tss + 0x24, as: UInt32.self) & 0x1_0000 != 0)
    }

    @Test func busyTaskIsRefused() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        #expect(try machine.runToHalt("jmp \(Selectors.task):0") == 13)
        #expect(machine.stack(0) == UInt64(Selectors.task))
    }

    @Test func smallTaskSegmentIsInvalid() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        SecondTask.place(in: machine, limit: 0x66)
        #expect(try machine.runToHalt("jmp \(SecondTask.selector):0") == 10)
        #expect(machine.stack(0) == UInt64(SecondTask.selector))
        #expect(machine.state.tr.selector == Selectors.task)
    }

    @Test func badSegmentOfTheNewTaskFaultsInTheNewTask() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        SecondTask.place(in: machine)
        machine.write(UInt32(0x1000), at: SecondTask.tss + 0x58)
        #expect(try machine.runToHalt("jmp \(SecondTask.selector):0") == 10)
        #expect(machine.stack(0) == 0x1000)
        #expect(machine.stack(1) == SecondTask.entry)
        #expect(machine.state.tr.selector == SecondTask.selector)
    }

    @Test func trapFlagOfTheTaskGivesADebugTrap() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        SecondTask.place(in: machine, trap: true)
        #expect(try machine.runToHalt("jmp \(SecondTask.selector):0") == 1)
        #expect(machine.stack(0) == SecondTask.entry)
        #expect(machine.state.dr6 & 0x8000 != 0)
    }

    /// RF of the new task's EFLAGS suppresses code breakpoints for its first instruction, and only for that.
    ///
    /// SDM volume 3 section 17.3.1.1.
    @Test(arguments: [true, false], ["jmp \(Selectors.free):0", "int 0x40"])
    func resumeFlagOfTheNewTaskPassesItsFirstInstruction(resumes: Bool, source: String) throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        SecondTask.place(in: machine, flags: resumes ? 0x1_0002 : 2)
        machine.setGate(
            0x40,
            Descriptor(
                gate: SystemDescriptorType.taskGate, selector: SecondTask.selector, offset: 0,
                descriptorPrivilegeLevel: 0))
        machine.write([0x90, 0x90, 0xF4], at: SecondTask.entry)
        machine.state.dr0 = SecondTask.entry
        machine.state.dr1 = SecondTask.entry + 1
        // Global breakpoints: a task switch clears local ones.
        machine.state.dr7 = 0x40A
        #expect(try machine.runToHalt(source) == 1)
        #expect(machine.stack(0) == SecondTask.entry + (resumes ? 1 : 0))
        #expect(machine.state.dr6 & 0xF == (resumes ? 2 : 1))
    }

    @Test func taskSwitchChangesTheLevel() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        SecondTask.place(in: machine, ring: 3, flags: 0x202)
        machine.write([0xCD, 0x80], at: SecondTask.entry)
        machine.processor.watched = .transition
        try machine.load("jmp \(SecondTask.selector):0")
        machine.step()
        #expect(machine.state.cpl == 3 && machine.state.IF)
        guard case .transition(let record) = machine.events.last else {
            Issue.record("no transition")
            return
        }
        #expect(record.cause == .taskSwitch(selector: SecondTask.selector))
        #expect(record.before.cpl == 0 && record.after.cpl == 3 && record.switchedStack)
        #expect(record.after.rip == SecondTask.entry && record.after.rsp == SecondTask.stack)
    }

    @Test func sixteenBitTaskKeepsWords() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.setDescriptor(
            Selectors.free, Descriptor(base: UInt32(SecondTask.tss), limit: 0x2B, attributes: 0x81))
        for (offset, value) in [
            (0x0E, 0xB000), (0x10, 2), (0x12, 0x1111), (0x1A, 0xC000), (0x22, UInt16(Selectors.data)),
            (0x24, Selectors.code32), (0x26, Selectors.data), (0x28, Selectors.data), (0x2A, 0),
        ] as [(UInt64, UInt16)] {
            machine.write(value, at: SecondTask.tss + offset)
        }
        try machine.load("jmp \(Selectors.free):0")
        machine.step()
        #expect(machine.state.rip == 0xB000)
        #expect(machine.state.rax & 0xFFFF == 0x1111)
        #expect(machine.state.rsp & 0xFFFF == 0xC000)
        #expect(machine.state.fs.isUnusable)
    }
}
