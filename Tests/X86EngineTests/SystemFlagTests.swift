import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout

@Suite struct SystemFlagTests {
    @Test func popfChangesOnlyWhatThePrivilegeAllows() throws {
        // (ring, IOPL before, value popped, flags after)
        for (ring, before, popped, after) in [
            (0, 0x0002, 0x3F_7FD7, 0x24_7FD7), (3, 0x0202, 0x0000, 0x0202), (3, 0x0002, 0x3202, 0x0002),
            (3, 0x3002, 0x0202, 0x3202), (3, 0x3202, 0x3002, 0x3002),
        ] as [(UInt8, UInt64, UInt64, UInt64)] {
            let machine = try TestMachine()
            machine.prepare(.long, ring: ring)
            machine.state.rflags = before
            machine.state.rax = popped
            try machine.load("push rax\npopfq")
            machine.step(2)
            #expect(machine.state.rflags == after, "ring \(ring) \(before) \(popped)")
        }
    }

    @Test func sixteenBitPopfKeepsTheUpperHalf() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.rflags = 0x20_0002
        machine.state.rax = 0x0AD7
        try machine.load("push ax\npopfw")
        machine.step(2)
        #expect(machine.state.rflags == 0x20_0AD7)
    }

    @Test func pushfHidesResumeAndVirtual8086() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.rflags = 0x1_0ED7
        try machine.load("pushfq")
        machine.step()
        #expect(machine.stack(0) == 0xED7)
    }

    @Test func interruptFlagInstructionsNeedIOPL() throws {
        for code in ["cli", "sti"] {
            let refused = try TestMachine()
            refused.prepare(.long, ring: 3)
            #expect(try refused.runToHalt(code) == 13, "\(code)")
            let allowed = try TestMachine()
            allowed.prepare(.long, ring: 3)
            allowed.state.rflags = 0x3002
            try allowed.load(code)
            allowed.step()
            #expect(allowed.state.IF == (code == "sti"), "\(code)")
        }
    }

    @Test func alignmentFlagInstructionsAreForRing0() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        try machine.load("stac\nclac")
        machine.step()
        #expect(machine.state.rflags & RFLAGS.AC != 0)
        machine.step()
        #expect(machine.state.rflags & RFLAGS.AC == 0)
        let user = try TestMachine()
        user.prepare(.long, ring: 3)
        #expect(try user.runToHalt("stac") == 6)
    }

    @Test func stiShadowsExactlyOneInstruction() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.interrupt(0x40)
        try machine.load("sti\ncli\nnop\nsti\nnop\nnop")
        #expect(machine.run() == .halted)
        // CLI in the shadow closes the window again.
        #expect(machine.stoppedVector == 0x40)
        #expect(machine.stack(0) == Layout.code + 5)
    }

    @Test func alignmentChecksAreForRing3() throws {
        for (ring, vector) in [(UInt8(3), UInt8(17)), (0, 0x80)] {
            let machine = try TestMachine()
            machine.prepare(.long, ring: ring)
            machine.state.cr0 |= CR0.AM
            machine.state.rflags = 0x4_0002
            machine.processor.updateMode()
            #expect(try machine.runToHalt("mov eax, [0x9001]\nint 0x80") == vector)
        }
    }
}
