import Testing
import VScript
import VScriptREPL
import VScriptSyntax

/// The transcript of the documentation: a guest under VT-x, with exits and entries between its rings and the monitor.
@Suite("A session with a monitor below the guest")
struct HypervisorTranscriptTests {
    private static let lab = """
        hypervisor vt { technique: .vmx; paging: .nested }
        guest demo on vt {
          memory: 4 MiB
          boot: .long
          ring 0 {
            syscall: add
            gate 0x80 { handler: addInt; dpl: 3 }
            asm {
              add:     mov al, 0x21
                       out 0xe9, al
                       lea rax, [rdi + rsi]
                       sysretq
              addInt:  lea rax, [rdi + rsi]
                       iretq
            }
          }
          ring 3 {
            asm {
              start:   mov edi, 40
                       mov esi, 2
                       syscall
                       mov edi, eax
                       int 0x80
                       hlt
            }
          }
        }
        """

    private func transcript(_ script: String, _ lines: [String]) -> String {
        let session = Session()
        let repl = REPL(scope: SessionScope(session)) { _ in }
        let renderer = TextRenderer(colours: false)
        var text = ""
        repl.output = { text += renderer.text($0) }
        repl.begin(with: SourceFile(script, named: "lab3.vscript"), environment: [:])
        for line in lines {
            text += repl.prompt.plain + line + "\n"
            _ = repl.handle(line)
        }
        return text
    }

    @Test("from ring 3 through a system call, an exit to root and back, forwards and backwards")
    func exits() {
        let text = transcript(
            Self.lab,
            [
                "b start", "r", "s 2", "s", "", "", "vmcs guest_rip exit_reason guest_cs_selector", "s",
                "p $rdi + $rsi", "cross", "transitions", "rcross", "p demo.transitons.count()",
                "catch transition 3->0 if event.vector == 0x80", "c",
            ])
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
                ── 3 → 0 ── syscall ─────────────────────────────────────────────── #2
                   rip  0x40000a → 0xffffffff80001000 add            IA32_LSTAR
                   cs   0x23 → 0x08      ss  0x1b → 0x10             IA32_STAR
                   rcx  ← 0x40000c       r11 ← 0x202    IF 1 → 0     IA32_FMASK
                   rsp  0x7ff0, unchanged: SYSCALL does not switch stacks
                => 0xffffffff80001000 add       b0 21           mov al, 0x21
                demo r0>\u{20}
                => 0xffffffff80001002 add+2     e6 e9           out 0xe9, al
                demo r0>\u{20}
                ── 0 → root ── VM exit: I/O instruction (30) ────────────────────── #3
                   qualification 0x00e90040   out, 1 byte, port 0xe9, immediate
                   guest rip 0xffffffff80001002, length 2     rax 0x21
                   intercepted by device debugcon
                demo root> vmcs guest_rip exit_reason guest_cs_selector
                   0x681e guest_rip          0xffffffff80001002  add+2
                   0x4402 exit_reason        30  I/O instruction
                   0x0802 guest_cs_selector  0x0008  ring 0
                demo root> s
                   debugcon write(port: 0xe9, value: 0x21)  "!"       1 981 cycles model cost
                ── root → 0 ── VM entry ─────────────────────────────────────────── #4
                   rip  +2 → 0xffffffff80001004
                => 0xffffffff80001004 add+4     48 8d 04 37     lea rax, [rdi+rsi]
                demo r0> p $rdi + $rsi
                42
                demo r0> cross
                ── 0 → 3 ── sysret ──────────────────────────────────────────────── #5
                   rip  → 0x40000c start+0xc     cs 0x08 → 0x23     IF 0 → 1
                => 0x40000c start+0xc     89 c7           mov edi, eax
                demo r3> transitions
                 #  from  to    cause            at                            instr   cycles
                 1  root  3     VM entry         0x400000 start                    0    1 981
                 2  3     0     syscall          0x40000a start+0xa                2      121
                 3  0     root  I/O out 0xe9     0xffffffff80001002 add+2          4   13 845
                 4  root  0     VM entry         0xffffffff80001004 add+4          5    1 981
                 5  0     3     sysret           0xffffffff80001008 add+8          6      121
                demo r3> rcross
                ── 3 ← 0 ── sysret undone ───────────────────────────────────────── #5
                demo r0> p demo.transitons.count()
                error[V0301]: a guest has no member `transitons`
                  demo.transitons.count()
                       ^^^^^^^^^^ did you mean `transitions`?
                demo r0> catch transition 3->0 if event.vector == 0x80
                catchpoint 2: transition(from: 3, to: 0) if event.vector == 0x80
                demo r0> c
                stopped: catchpoint 2                                   9 ns   instruction 9
                ── 3 → 0 ── int 0x80, gate dpl 3 ────────────────────────────────── #6
                   stack switched to TSS.rsp0 0xffffffff80007000
                   pushed  ss 0x1b  rsp 0x7ff0  rflags 0x202  cs 0x23  rip 0x400010
                => 0xffffffff8000100b addInt    48 8d 04 37     lea rax, [rdi+rsi]

                """)
    }

    @Test("under a binary translator the kernel runs in ring 1, and its code can be seen beside the translation")
    func translation() {
        let script = """
            hypervisor vt { technique: .translate }
            guest demo on vt {
              memory: 4 MiB
              boot: .protected
              ring 0 { gate 0x80 { handler: sum; dpl: 3 }; asm { sum: cli; lea eax, [edi + esi]; iretd } }
              ring 3 { asm { start: mov edi, 40; mov esi, 2; int 0x80; hlt } }
            }
            """
        let text = transcript(script, ["b sum", "r", "s", "translation"])
        #expect(text.contains("0xc0001000   really at ring 1   translated code 0x"))
        #expect(text.contains("── 0 → root ── call-out: flags ─"))
        #expect(text.firstRange(of: /0xc0001000 sum +cli +0x[0-9a-f]+ +\+ +int 0x/) != nil)
    }
}
