import Testing
import VScriptREPL

/// What is said of transitions of 64-bit guests, bare and with a monitor below.
///
/// Expectations are worked out from SDM vol. 2 and vol. 3 chapters 5 and 6, and APM vol. 2 chapter 15. Ring 0 is entered with RSP 0xffffffff80007000 from the TSS; ring 3 begins at 0x400000 with RSP 0x7ff0, SS 0x1b, CS
/// 0x23 and RFLAGS 0x202.
@Suite("Transitions of long mode")
struct LongTransitionTests {
    private func session(
        _ technique: String = "bare", gates: String, kernel: String, program: String, more: String = ""
    ) -> LabSession {
        .rings(technique, boot: "long", gates: gates, kernel: kernel, program: program, more: more)
    }

    @Test(
        "a page fault's error code tells fetches apart as NX is on",
        arguments: [
            ("mov rax, 0xffffffff80001000\n jmp rax", "0x15", "user instruction fetch, the page forbids it"),
            ("mov rax, 0xffffffff80001000\n mov ebx, [rax]", "0x5", "user read, the page forbids it"),
            ("mov rax, 0xffffffff80001000\n mov [rax], ebx", "0x7", "user write, the page forbids it"),
            ("mov rax, 0xffffffff80007000\n mov [rax], ebx", "0x6", "user write, the page is not present"),
            ("mov rax, 0xffffffff80007000\n jmp rax", "0x14", "user instruction fetch, the page is not present"),
        ])
    func pageFault(_ program: String, _ code: String, _ words: String) {
        let session = session(gates: "gate 14 { handler: h }", kernel: "h: hlt", program: "start: \(program)")
        let lines = session.shown("s 3")
        #expect(lines.first == "── 3 → 0 ── #PF, gate dpl 0")
        #expect(lines.dropFirst().first?.hasSuffix(": \(words)") == true)
        #expect(lines.last?.hasSuffix(" error code \(code)") == true)
    }

    @Test("an interrupt stack of the TSS is named")
    func interruptStack() {
        let session = session(
            gates: "gate 6 { handler: h; ist: 3 }", kernel: "h: nop\n iretq", program: "start: ud2")
        // The top of alternate stack 3 is at 0x13000 in the kernel's window.
        #expect(
            session.shown("s") == [
                "── 3 → 0 ── #UD, gate dpl 0",
                "at 0x400000 start",
                "stack switched to TSS.ist3 0xffffffff80013000",
                "pushed ss 0x1b rsp 0x7ff0 rflags 0x10202 cs 0x23 rip 0x400000",
            ])
        // RF comes back with the flags.
        #expect(
            session.shown("s 2") == [
                "── 0 → 3 ── iret",
                "rip → 0x400000 start cs 0x08 → 0x23 IF 0 → 1 RF 0 → 1",
                "ss 0x00 → 0x1b rsp 0xffffffff80012fd8 → 0x7ff0",
            ])
    }

    @Test("a 64-bit call gate pushes quadwords, loads a null SS and copies nothing")
    func callGate() {
        let session = session(
            gates: "gate 0x100 { type: .call; handler: f; dpl: 3 }", kernel: "f: o64 retf",
            program: """
                start: call far dword [rel pointer]
                       nop
                pointer: dd 0
                       dw 0x103
                """)
        #expect(
            session.shown("s") == [
                "── 3 → 0 ── call gate 0x103, dpl 3",
                "rip 0x400000 → 0xffffffff80001000 f",
                "cs 0x23 → 0x08 ss 0x1b → 0x00",
                "rsp 0x7ff0 → 0xffffffff80006fe0",
                "stack switched to TSS.rsp0 0xffffffff80007000",
                "pushed ss 0x1b rsp 0x7ff0 cs 0x23 rip 0x400006",
            ])
        #expect(
            session.shown("s") == [
                "── 0 → 3 ── far return",
                "rip → 0x400006 start+6 cs 0x08 → 0x23",
                "ss 0x00 → 0x1b rsp 0xffffffff80006fe0 → 0x7ff0",
            ])
    }

    @Test(
        "a hypercall is an exit by the manual's name with its number, and the entry tells its result",
        arguments: [
            ("vmx", "vmcall", "── 0 → root ── VM exit: VMCALL (18)"),
            ("svm", "vmmcall", "── 0 → root ── #VMEXIT: VMMCALL (0x81)"),
        ])
    func hypercall(_ technique: String, _ instruction: String, _ heading: String) {
        let session = session(
            technique, gates: "gate 0x80 { handler: h; dpl: 3 }", kernel: "h: mov eax, 0x5a\n \(instruction)\n iretq",
            program: "start: int 0x80", more: "on hypercall(0x5a) { event.reply(99) }")
        session.say("s 2")
        let lines = session.shown("s")
        #expect(lines.first == heading)
        #expect(lines.contains("guest rip 0xffffffff80001005, length 3"))
        #expect(lines.contains("hypercall 0x5a"))
        #expect(session.repl.prompt.plain == "demo root> ")
        let entry = session.say("s")
        #expect(entry.contains("   hypercall 0x5a → 0x63\n"))
        #expect(entry.contains("── root → 0 ── VM entry ──"))
        #expect(entry.contains("   rip  +3 → 0xffffffff80001008\n"))
    }

    @Test(
        "an exit for a page fault tells fetches from reads as the guest's NX is on",
        arguments: [
            ("mov rax, 0xffffffff80007000\n jmp rax", "instruction fetch, the page is not present"),
            ("mov rax, 0xffffffff80007000\n mov ebx, [rax]", "read, the page is not present"),
        ])
    func exitForPageFault(_ program: String, _ words: String) {
        // With shadow page tables page faults leave the guest.
        let session = LabSession(
            script: """
                hypervisor h { technique: .svm; paging: .shadow }
                guest demo on h {
                  memory: 4 MiB
                  boot: .long
                  ring 0 { gate 14 { handler: h }
                    asm {
                      h: hlt
                    }
                  }
                  ring 3 {
                    asm {
                      start: \(program)
                    }
                  }
                }
                """)
        let text = (0..<8).map { _ in session.say("s") }.joined()
        #expect(text.contains("#VMEXIT: EXCP14 #PF (0x4e)"), "\(text)")
        #expect(text.contains("   user \(words)"), "\(text)")
    }

    @Test(
        "string I/O is told by where its data is, not by AL", arguments: ["vmx", "svm"],
        [
            ("outsb", "out, 1 byte, string, port 0xe9", "rsi 0xffffffff80001100"),
            ("insb", "in, 1 byte, string, port 0xe9", "rdi 0xffffffff80001200"),
        ])
    func stringIO(_ technique: String, _ io: (instruction: String, words: String, register: String)) {
        let session = session(
            technique, gates: "gate 0x80 { handler: h; dpl: 3 }",
            kernel: """
                h: mov rsi, 0xffffffff80001100
                   mov rdi, 0xffffffff80001200
                   mov edx, 0xe9
                   \(io.instruction)
                   iretq
                """,
            program: "start: int 0x80")
        let exit = session.say("s 5")
        #expect(exit.contains(io.words), "\(exit)")
        #expect(exit.contains("length 1     \(io.register)\n"), "\(exit)")
        #expect(session.say("s").contains("(port: 0xe9, in memory)"))
    }

    @Test("an exit out of ring 3 tells the ring the guest was in", arguments: ["vmx", "svm"])
    func exitOutOfRing3(_ technique: String) {
        let session = session(
            technique, gates: "gate 0x80 { handler: h; dpl: 3 }", kernel: "h: iretq",
            program: "start: xor eax, eax\n cpuid\n nop")
        let name = technique == "vmx" ? "VM exit: CPUID (10)" : "#VMEXIT: CPUID (0x72)"
        let lines = session.shown("s 2")
        #expect(lines.first == "── 3 → root ── \(name)")
        // The processor runs the guest's ring 3 at level 3, so nothing is said of another one.
        #expect(lines.last == "guest rip 0x400002, length 2")
        #expect(session.shown("s").first == "── root → 3 ── VM entry")
    }

    @Test("without hardware's help the kernel's ring is not the one it really runs at")
    func physicalRing() {
        let session = session(
            "trapAndEmulate", gates: "gate 0x80 { handler: h; dpl: 3 }", kernel: "h: cli\n hlt",
            program: "start: int 0x80")
        let text = (0..<12).map { _ in session.say("s") }.joined()
        #expect(text.contains("── 3 → 0 ── int 0x80, gate dpl 3"))
        #expect(text.contains("guest rip 0xffffffff80001000   really at ring 1"))
    }
}
