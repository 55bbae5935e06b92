import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

@Suite struct SystemDebugTests {
    @Test func singleStepTrapsAfterTheInstructionThatBeganWithTF() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        try machine.load("push 0x102\npopfq\nnop\nnop")
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 1)
        // Not after POPF itself, but after the NOP that follows it.
        #expect(machine.stack(0) == Layout.code + 7)
        #expect(machine.state.dr6 & 0x4000 != 0)
        #expect(!machine.state.TF)
        #expect(machine.stack(2) & RFLAGS.TF != 0)
    }

    @Test func instructionThatClearsTFIsStillStepped() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        try machine.load("push 2\npopfq\nnop")
        machine.step()
        machine.state.rflags = 0x102
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 1 && machine.stack(0) == Layout.code + 3)
    }

    @Test func softwareInterruptIsNotSteppedInto() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.state.rflags = 0x102
        #expect(try machine.runToHalt("int 0x80\nnop") == 0x80)
        #expect(machine.state.dr6 & 0x4000 == 0)
    }

    @Test func stepOverStackSegmentLoadWaitsForOneMoreInstruction() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.rflags = 0x102
        machine.state.rax = UInt64(Selectors.data)
        #expect(try machine.runToHalt("mov ss, ax\nmov esp, 0x6800\nnop") == 1)
        #expect(machine.stack(0) == Layout.code + 7)
        #expect(machine.state.rsp == 0x6800 - 12)
    }

    @Test func codeBreakpointFaultsBeforeTheInstructionAndResumeFlagPassesIt() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        let labels = try machine.load("nop\nnop\nhere: inc ecx\nhlt")
        machine.state.dr0 = labels["here"] ?? 0
        machine.state.dr7 = 0x401
        machine.write([0x48, 0x81, 0x4C, 0x24, 0x10, 0, 0, 1, 0, 0x48, 0xCF], at: TestMachine.handler(1))
        machine.step(2)
        machine.step()
        #expect(machine.state.rip == TestMachine.handler(1))
        #expect(machine.stack(0) == labels["here"])
        #expect(machine.state.dr6 & 0xF == 1)
        // RF is clear in the image; the handler sets it (OR dword [rsp+16], 10000h) and returns.
        #expect(machine.stack(2) & RFLAGS.RF == 0)
        #expect(machine.run() == .halted)
        #expect(machine.state.rcx == 1 && machine.stoppedVector == nil)
        #expect(machine.state.rflags & RFLAGS.RF == 0)
    }

    @Test func dataBreakpointTrapsAfterTheAccess() throws {
        for (control, code, hits) in [
            // Write, 4 bytes.
            (UInt64(0xD_0401), "mov dword [0x9000], 5", true), (0xD_0401, "mov eax, [0x9000]", false),
            (0xD_0401, "mov byte [0x9003], 5", true), (0xD_0401, "mov byte [0x9004], 5", false),
            // Read or write.
            (0xF_0401, "mov eax, [0x8FFE]", true), (0xF_0401, "mov al, [0x9002]", true),
        ] {
            let machine = try TestMachine()
            machine.prepare(.long)
            machine.state.dr0 = 0x9000
            try machine.load("mov dr7, rdx\n\(code)\nnop\nhlt")
            machine.state.rdx = control
            // Warm the fast path first.
            try machine.load("mov eax, [0x9000]\nmov [0x9000], eax\njmp 0x20000", at: 0xB000)
            machine.state.rip = 0xB000
            #expect(machine.run() == .halted)
            #expect((machine.stoppedVector == 1) == hits, "\(code)")
            if hits {
                #expect(machine.state.dr6 & 0xF == 1)
                if code == "mov dword [0x9000], 5" { #expect(machine.read(0x9000, as: UInt32.self) == 5) }
            }
        }
    }

    @Test func portBreakpointsNeedDebuggingExtensions() throws {
        for (cr4, vector) in [(CR4.DE, UInt8(1)), (0, nil)] as [(UInt64, UInt8?)] {
            let machine = try TestMachine()
            machine.prepare(.long)
            machine.state.cr4 |= cr4
            machine.state.dr1 = 0x61
            machine.state.dr7 = 0x20_0404
            #expect(try machine.runToHalt("in al, 0x61\nnop\nhlt") == vector)
            if vector != nil { #expect(machine.state.dr6 & 0xF == 2 && machine.stack(0) == Layout.code + 2) }
        }
    }

    @Test func debugRegistersAliasUnlessDebuggingExtensionsAreOn() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.write([0x0F, 0x21, 0xE0, 0xF4], at: Layout.code)
        #expect(machine.run() == .halted && machine.state.rax == 0xFFFF_0FF0)
        let extended = try TestMachine()
        extended.prepare(.protected)
        extended.state.cr4 |= CR4.DE
        extended.write([0x0F, 0x21, 0xE0, 0xF4], at: Layout.code)
        #expect(extended.run() == .halted && extended.stoppedVector == 6)
    }

    @Test func fixedBitsOfDebugRegistersStay() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        #expect(
            try machine.runToHalt(
                "mov eax, -1\nmov dr6, rax\nmov rcx, dr6\nxor eax, eax\nmov dr7, rax\nmov rdx, dr7\nhlt")
                == nil)
        #expect(machine.state.rcx == 0xFFFF_EFFF)
        #expect(machine.state.rdx == 0x400)
        #expect(try machine.runToHalt("hlt") == nil)
        let wide = try TestMachine()
        wide.prepare(.long)
        #expect(try wide.runToHalt("mov rax, 0x100000000\nmov dr7, rax") == 13)
    }

    @Test func generalDetectFaultsOnDebugRegisterAccess() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.dr7 = 0x2400
        #expect(try machine.runToHalt("mov rax, dr0") == 1)
        #expect(machine.stack(0) == Layout.code)
        #expect(machine.state.dr6 & 0x2000 != 0)
        #expect(machine.state.dr7 & 0x2000 == 0)
    }

    @Test func debugRegistersAreForRing0() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        #expect(try machine.runToHalt("mov rax, dr7") == 13)
    }
}
