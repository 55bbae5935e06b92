import Testing
import VScriptREPL

@Suite("Sessions on a guest of a few instructions")
struct TranscriptTests {
    @Test("stepping through a system call shows what SYSCALL and SYSRET did")
    func systemCall() throws {
        let session = TestSession(try Lab.guest())
        let text = session.transcript(["b start", "r", "s 2", "s", "", "", "cross", "info b"])
        #expect(
            text == """
                demo r3> b start
                breakpoint 1: start, 0x400000
                demo r3> r
                stopped: breakpoint 1                                   0 ns   instruction 0
                => 0x400000 start         bf 28 00 00 00  mov edi, 0x28
                demo r3> s 2
                => 0x40000a start+0xa     0f 05           syscall
                demo r3> s
                ── 3 → 0 ── syscall ─────────────────────────────────────────────── #1
                   rip  0x40000a → 0xffffffff80001000 add            IA32_LSTAR
                   cs   0x23 → 0x08      ss  0x1b → 0x10             IA32_STAR
                   rcx  ← 0x40000c       r11 ← 0x202    IF 1 → 0     IA32_FMASK
                   rsp  0x7ff0, unchanged: SYSCALL does not switch stacks
                => 0xffffffff80001000 add       48 8d 04 37     lea rax, [rdi+rsi]
                demo r0>\u{20}
                => 0xffffffff80001004 add+4     48 0f 07        o64 sysret
                demo r0>\u{20}
                ── 0 → 3 ── sysret ──────────────────────────────────────────────── #2
                   rip  → 0x40000c start+0xc     cs 0x08 → 0x23     IF 0 → 1
                => 0x40000c start+0xc     89 c7           mov edi, eax
                demo r3> cross
                ── 3 → 0 ── int 0x80, gate dpl 3 ────────────────────────────────── #3
                   stack switched to TSS.rsp0 0xffffffff80007000
                   pushed  ss 0x1b  rsp 0x7ff0  rflags 0x202  cs 0x23  rip 0x400010
                => 0xffffffff80001007 addInt    48 8d 04 37     lea rax, [rdi+rsi]
                demo r0> info b
                 #  kind        on   hits  at              condition
                 1  breakpoint  yes     1  0x400000 start

                """)
    }

    @Test("a catchpoint on a gate passes what its condition refuses, and shows what was pushed")
    func gate() throws {
        let session = TestSession(try Lab.guest())
        session.scope.condition = { $0.vector == 0x80 }
        let text = session.transcript([
            "catch transition 3->0 if event.vector == 0x80", "c", "x/5gx $rsp", "transitions 2",
        ])
        #expect(
            text == """
                demo r3> catch transition 3->0 if event.vector == 0x80
                catchpoint 1: transition(from: 3, to: 0) if event.vector == 0x80
                demo r3> c
                stopped: catchpoint 1                                   7 ns   instruction 7
                ── 3 → 0 ── int 0x80, gate dpl 3 ────────────────────────────────── #3
                   stack switched to TSS.rsp0 0xffffffff80007000
                   pushed  ss 0x1b  rsp 0x7ff0  rflags 0x202  cs 0x23  rip 0x400010
                => 0xffffffff80001007 addInt    48 8d 04 37     lea rax, [rdi+rsi]
                demo r0> x/5gx $rsp
                0xffffffff80006fd8:  0x0000000000400010  0x0000000000000023
                0xffffffff80006fe8:  0x0000000000000202  0x0000000000007ff0
                0xffffffff80006ff8:  0x000000000000001b
                demo r0> transitions 2
                 #  from  to    cause            at                            instr     time
                 2  0     3     sysret           0xffffffff80001004 add+4          5     5 ns
                 3  3     0     int 0x80         0x40000e start+0xe                7     7 ns

                """)
    }

    @Test("`next` steps over the kernel, `finish` leaves it")
    func overTheKernel() throws {
        let session = TestSession(try Lab.guest())
        session.say("n 3")
        #expect(session.repl.prompt.plain == "demo r3> ")
        let text = session.transcript(["n", "tb addInt", "c", "fin", "info b"])
        #expect(
            text == """
                demo r3> n
                => 0x40000e start+0xe     cd 80           int 0x80
                demo r3> tb addInt
                temporary breakpoint 1: addInt, 0xffffffff80001007
                demo r3> c
                stopped: breakpoint 1                                   7 ns   instruction 7
                => 0xffffffff80001007 addInt    48 8d 04 37     lea rax, [rdi+rsi]
                demo r0> fin
                ── 0 → 3 ── iret ────────────────────────────────────────────────── #4
                   rip  → 0x400010 start+0x10    cs 0x08 → 0x23     IF 0 → 1
                   ss   0x00 → 0x1b      rsp 0xffffffff80006fd8 → 0x7ff0
                => 0x400010 start+0x10    f4              hlt
                   rax 0x2c
                demo r3> info b
                there are no stop points

                """)
    }

    @Test("what SYSCALL gave RCX and R11 is told also after the kernel has used them")
    func systemCallWhoseRegistersAreGone() {
        let session = LabSession(
            script: """
                guest demo {
                  memory: 4 MiB
                  boot: .long
                  ring 0 {
                    syscall: entry
                    asm {
                      entry: xor ecx, ecx
                             xor r11d, r11d
                             nop
                    }
                  }
                  ring 3 { asm { start: syscall } }
                }
                """)
        let text = session.say("s 3")
        #expect(text.contains("rcx  ← 0x400002 "))
        #expect(text.contains("r11 ← 0x202 "))
    }

    @Test("a crash tells its faults and is not run on")
    func crash() throws {
        let session = TestSession(try Lab.guest())
        let text = session.say("c")
        #expect(text.contains("stopped: crashed, triple fault"))
        #expect(text.contains("#GP"))
        #expect(session.say("c").contains("stopped: crashed, triple fault"))
    }
}
