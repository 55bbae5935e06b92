import Testing

/// What is said of transitions of 32-bit guests.
///
/// Expectations are worked out from SDM vol. 2 and vol. 3 chapters 5 to 7 and 21. Ring 0 is entered with ESP 0xc0007000 and SS 0x10 from the TSS; ring 3 begins at 0x400000 with ESP 0x7ff0, SS 0x1b,
/// CS 0x23 and EFLAGS 0x202.
@Suite("Transitions of protected mode")
struct ProtectedTransitionTests {
    private func session(gates: String, kernel: String, program: String, more: String = "") -> LabSession {
        .rings(boot: "protected", gates: gates, kernel: kernel, program: program, more: more)
    }

    @Test("a trap gate from ring 3: SS, ESP, EFLAGS, CS and EIP behind INT n, and the interrupt flag stays")
    func trapGate() {
        let session = session(
            gates: "gate 0x81 { type: .trap; handler: h; dpl: 3 }", kernel: "h: iretd", program: "start: int 0x81")
        #expect(
            session.shown("s") == [
                "── 3 → 0 ── int 0x81, trap gate dpl 3",
                "stack switched to TSS.ss0:esp0 0x10:0xc0007000",
                "pushed ss 0x1b rsp 0x7ff0 rflags 0x202 cs 0x23 rip 0x400002",
            ])
        #expect(
            session.shown("s") == [
                "── 0 → 3 ── iret",
                "rip → 0x400002 start+2 cs 0x08 → 0x23",
                "ss 0x10 → 0x1b rsp 0xc0006fec → 0x7ff0",
            ])
    }

    @Test("INT3 and INTO return behind themselves", arguments: [("int3", 3, 1), ("into", 4, 1)])
    func softwareExceptions(_ name: String, _ vector: Int, _ length: Int) {
        let session = session(
            gates: "gate \(vector) { handler: h; dpl: 3 }", kernel: "h: iretd",
            program: "start: mov al, 0x7f\n add al, 1\n \(name)")
        let lines = session.shown("s 3")
        #expect(lines.first == "── 3 → 0 ── int 0x\(vector), gate dpl 3")
        // 0x7f + 1: OF, SF and AF are set.
        #expect(lines.last == "pushed ss 0x1b rsp 0x7ff0 rflags 0xa92 cs 0x23 rip 0x400005")
    }

    @Test("a fault pushes its error code, its own address and EFLAGS with RF")
    func protectionFault() {
        let session = session(gates: "gate 13 { handler: h }", kernel: "h: hlt", program: "start: cli")
        #expect(
            session.shown("s") == [
                "── 3 → 0 ── #GP, gate dpl 0",
                "at 0x400000 start",
                "stack switched to TSS.ss0:esp0 0x10:0xc0007000",
                "pushed ss 0x1b rsp 0x7ff0 rflags 0x10202 cs 0x23 rip 0x400000 error code 0x0",
            ])
    }

    @Test("a fault without an error code pushes none")
    func invalidOpcode() {
        let session = session(gates: "gate 6 { handler: h }", kernel: "h: hlt", program: "start: ud2")
        #expect(
            session.shown("s") == [
                "── 3 → 0 ── #UD, gate dpl 0",
                "at 0x400000 start",
                "stack switched to TSS.ss0:esp0 0x10:0xc0007000",
                "pushed ss 0x1b rsp 0x7ff0 rflags 0x10202 cs 0x23 rip 0x400000",
            ])
    }

    @Test("an error code that names a selector or a vector is told in words")
    func selectorErrorCodes() {
        // The TSS 0x48 is entry 9 of the GDT, and no data segment.
        let segment = session(
            gates: "gate 13 { handler: h }", kernel: "h: hlt", program: "start: mov eax, 0x48\n mov ds, eax")
        #expect(segment.shown("s 2")[1] == "at 0x400005 start+5, GDT entry 0x9")
        #expect(segment.repl.prompt.plain == "demo r0> ")
        // A gate that is not present has DPL 3; 0x90 << 3 | 2.
        let vector = session(gates: "gate 11 { handler: h }", kernel: "h: hlt", program: "start: int 0x90")
        let lines = vector.shown("s")
        #expect(lines[1] == "at 0x400000 start, IDT vector 0x90")
        #expect(lines.last?.hasSuffix("error code 0x482") == true)
        let local = session(
            gates: "gate 13 { handler: h }", kernel: "h: hlt", program: "start: mov eax, 0x0f\n mov ds, eax")
        #expect(local.shown("s 2")[1] == "at 0x400005 start+5, LDT entry 0x1")
    }

    @Test(
        "a page fault's error code is told in words; without NX a fetch looks like a read",
        arguments: [
            ("mov [0x500000], eax", "0x6", "address 0x500000: user write, the page is not present"),
            ("mov [0xc0001000], eax", "0x7", "address 0xc0001000: user write, the page forbids it"),
            ("mov eax, [0xc0001000]", "0x5", "address 0xc0001000: user read or fetch, the page forbids it"),
            ("mov eax, [0x500000]", "0x4", "address 0x500000: user read or fetch, the page is not present"),
        ])
    func pageFault(_ instruction: String, _ code: String, _ words: String) {
        let session = session(gates: "gate 14 { handler: h }", kernel: "h: hlt", program: "start: \(instruction)")
        let lines = session.shown("s")
        #expect(lines.first == "── 3 → 0 ── #PF, gate dpl 0")
        #expect(lines[1] == words)
        #expect(lines.last?.hasSuffix("rip 0x400000 error code \(code)") == true)
    }

    @Test("a call gate copies parameters; SS and ESP of before lie above them, and far RET takes them away")
    func callGate() {
        let session = session(
            gates: "gate 0x100 { type: .call; handler: f; dpl: 3; parameters: 2 }", kernel: "f: retf 8",
            program: """
                start: push 1
                       push 2
                       call far [pointer]
                       nop
                pointer: dd 0
                       dw 0x103
                """)
        // ESP 0x7ff0 - 8; the call is 6 bytes long. Six values of 4 bytes are pushed.
        #expect(
            session.shown("s 3") == [
                "── 3 → 0 ── call gate 0x103, dpl 3",
                "rip 0x400004 → 0xc0001000 f",
                "cs 0x23 → 0x08 ss 0x1b → 0x10",
                "rsp 0x7fe8 → 0xc0006fe8",
                "stack switched to TSS.ss0:esp0 0x10:0xc0007000",
                "pushed ss 0x1b rsp 0x7fe8 parameters 2 cs 0x23 rip 0x40000a",
            ])
        #expect(
            session.shown("s") == [
                "── 0 → 3 ── far return",
                "rip → 0x40000a start+0xa cs 0x08 → 0x23",
                "ss 0x10 → 0x1b rsp 0xc0006fe8 → 0x7ff0",
            ])
    }

    @Test("a gate of the 80286 pushes words")
    func narrowGate() {
        // Ring 0 makes descriptor 0x200 (32-bit code of level 0 from 0xc0000000 on, 64 KiB) and gate 0x82 of type 6.
        let session = session(
            gates: "gate 0x80 { handler: h; dpl: 3 }",
            kernel: """
                n:    nop
                      hlt
                h:    mov dword [0xc0008200], 0x0000ffff
                      mov dword [0xc0008204], 0xc0409a00
                      mov dword [0xc000c410], 0x02001000
                      mov dword [0xc000c414], 0x0000e600
                      iretd
                """,
            program: "start: int 0x80\n int 0x82")
        session.say("s 6")
        let expected = [
            "── 3 → 0 ── int 0x82, 16-bit gate dpl 3",
            "stack switched to TSS.ss0:esp0 0x10:0xc0007000",
            // The low halves of ESP 0x7ff0 and EIP 0x400004.
            "pushed ss 0x1b rsp 0x7ff0 rflags 0x202 cs 0x23 rip 0x4",
        ]
        #expect(session.shown("s") == expected)
        #expect(session.guest?.cpu["rsp"] == 0xC000_6FF6)
        session.say("rs")
        // The same when the handler has gone on and the stack is not looked at.
        #expect(session.shown("s 2") == expected)
    }

    @Test("a task gate: another TSS, its registers and the link back, and IRET by it")
    func taskGate() {
        let session = session(
            gates: "gate 0x83 { type: .task; handler: t; dpl: 3 }", kernel: "t: iretd", program: "start: int 0x83")
        #expect(
            session.shown("s") == [
                "── 3 → 0 ── task switch 0x90, task gate dpl 3",
                "rip 0x400000 → 0xc0001000 t",
                "cs 0x23 → 0x08 ss 0x1b → 0x10",
                "rsp 0x7ff0 → 0xc0011000",
                "IF 1 → 0 NT 0 → 1",
                "tr 0x90 TSS at 0xc000e000 back link 0x48",
            ])
        #expect(
            session.shown("s") == [
                "── 0 → 3 ── task switch 0x48",
                "rip 0xc0001000 → 0x400002 start+2",
                "cs 0x08 → 0x23 ss 0x10 → 0x1b",
                "rsp 0xc0011000 → 0x7ff0",
                "IF 0 → 1 NT 1 → 0",
                "tr 0x48 TSS at 0xc0009000",
            ])
    }

    @Test("a fault through a task gate pushes its error code on the new task's stack")
    func taskGateWithErrorCode() {
        let session = session(
            gates: "gate 13 { type: .task; handler: t }", kernel: "t: hlt",
            program: "start: mov eax, 0x48\n mov ds, eax")
        let lines = session.shown("s 2")
        #expect(lines.first == "── 3 → 0 ── task switch 0x90, task gate dpl 0")
        #expect(lines.contains("rsp 0x7ff0 → 0xc0010ffc"))
        #expect(lines.last == "pushed error code 0x48")
    }

    @Test("IRET into virtual-8086 mode and an interrupt out of it, with the segments that are pushed too")
    func virtual8086() {
        let session = session(
            gates: "gate 0x80 { handler: h; dpl: 3 }\n gate 0x81 { handler: o; dpl: 3 }",
            kernel: """
                h:    mov dword [0x4000], 0xf481cd
                      push 0
                      push 0
                      push 0
                      push 0
                      push 0x400
                      push 0x100
                      push 0x23202
                      push 0x400
                      push 0
                      iretd
                o:    nop
                      hlt
                """, program: "start: int 0x80")
        session.say("s 11")
        #expect(
            session.shown("s") == [
                "── 0 → 3 ── iret",
                "rip → 0x0 cs 0x08 → 0x400 IF 0 → 1 VM 0 → 1 IOPL 0 → 3",
                "ss 0x10 → 0x400 rsp 0xc0006fc8 → 0x100",
                "es ds fs gs popped too: virtual-8086 mode",
            ])
        let expected = [
            "── 3 → 0 ── int 0x81, gate dpl 3",
            "stack switched to TSS.ss0:esp0 0x10:0xc0007000",
            "pushed gs fs ds es ss 0x400 rsp 0x100 rflags 0x23202 cs 0x400 rip 0x2",
        ]
        #expect(session.shown("s") == expected)
        session.say("rs")
        // The instruction lies at CS * 16, not where the handler's code segment begins.
        #expect(session.shown("s 2") == expected)
    }

    @Test("SYSENTER takes code and stack from its registers, SYSEXIT from RDX and RCX")
    func sysenter() {
        let session = session(
            gates: "gate 0x80 { handler: h; dpl: 3 }",
            kernel: """
                entry: mov edx, 0x400004
                       mov ecx, 0x7f00
                       sysexit
                h:     xor edx, edx
                       mov ecx, 0x174
                       mov eax, 0x60
                       wrmsr
                       inc ecx
                       mov eax, 0xc0006f00
                       wrmsr
                       inc ecx
                       mov eax, 0xc0001000
                       wrmsr
                       iretd
                """, program: "start: int 0x80\n sysenter\n nop")
        session.say("s 11")
        session.say("s")
        #expect(
            session.shown("s") == [
                "── 3 → 0 ── sysenter",
                "rip 0x400002 → 0xc0001000 entry IA32_SYSENTER_EIP",
                "cs 0x23 → 0x60 ss 0x1b → 0x68 IA32_SYSENTER_CS",
                "rsp 0x7ff0 → 0xc0006f00 IA32_SYSENTER_ESP",
                "IF 1 → 0",
            ])
        // SYSEXIT's CS is IA32_SYSENTER_CS + 16 and its SS + 24, both with RPL 3; flags stay.
        #expect(
            session.shown("s 3") == [
                "── 0 → 3 ── sysexit",
                "rip 0xc000100a → 0x400004 start+4 rdx",
                "cs 0x60 → 0x73 ss 0x68 → 0x7b IA32_SYSENTER_CS",
                "rsp 0xc0006f00 → 0x7f00 rcx",
            ])
    }

    @Test("SYSCALL outside of long mode takes its entry from IA32_STAR and knows neither R11 nor a mask")
    func legacySystemCall() {
        let session = session(
            gates: "gate 0x80 { handler: h; dpl: 3 }",
            kernel: """
                entry: nop
                       hlt
                h:     mov ecx, 0xc0000081
                       mov eax, 0xc0001000
                       mov edx, 0x00130008
                       wrmsr
                       dec ecx
                       rdmsr
                       or eax, 1
                       wrmsr
                       iretd
                """, program: "start: int 0x80\n syscall", more: "cpuid: .amd64")
        session.say("s 10")
        // APM vol. 3, SYSCALL: CS and SS from bits 32 to 47, EIP from bits 0 to 31; IF, VM and RF are cleared.
        #expect(
            session.shown("s") == [
                "── 3 → 0 ── syscall",
                "rip 0x400002 → 0xc0001000 entry IA32_STAR",
                "cs 0x23 → 0x08 ss 0x1b → 0x10 IA32_STAR",
                "rcx ← 0x400004 IF 1 → 0",
                "rsp 0x7ff0, unchanged: SYSCALL does not switch stacks",
            ])
    }

    @Test("an exception that stays in its ring is no transition")
    func sameLevel() {
        let session = LabSession(
            script: """
                guest demo {
                  memory: 4 MiB
                  boot: .protected
                  ring 0 {
                    gate 3 { handler: h }
                    asm {
                      start: int3
                             nop
                      h:     iretd
                    }
                  }
                }
                """)
        #expect(session.shown("s 2") == [])
        #expect(session.guest?.cpu.rip == 0xC000_1001)
    }
}
