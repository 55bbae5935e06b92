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
        text += renderer.text(.lines(repl.banner))
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
                "p $rdi + $rsi", "cross", "transitions", "rcross                      # time runs backwards",
                "p demo.transitons.count()",
                "catch transition 3->0 if event.vector == 0x80", "c",
            ])
        #expect(
            text == """
                vscript 0.1  demo on vt (.vmx, .nested)  1 cpu, 4 MiB            ?help   Ctrl-D leaves
                demo r3> b start
                breakpoint 1: start, 0x400000
                demo r3> r
                stopped: breakpoint 1                                   0 ns   instruction 0
                => 0x400000 start         bf 28 00 00 00  mov edi, 40
                demo r3> s 2
                => 0x40000a start+0xa     0f 05           syscall
                demo r3> s
                ── 3 → 0 ── syscall ─────────────────────────────────────────────── #1
                   rip  0x40000a → 0xffffffff80001000 add            IA32_LSTAR
                   cs   0x23 → 0x08      ss  0x1b → 0x10             IA32_STAR
                   rcx  ← 0x40000c       r11 ← 0x202    IF 1 → 0     IA32_FMASK
                   rsp  0x7ff0, unchanged: SYSCALL does not switch stacks
                => 0xffffffff80001000 add       b0 21           mov al, 0x21
                demo r0>\u{20}
                => 0xffffffff80001002 add+2     e6 e9           out 0xe9, al
                demo r0>\u{20}
                ── 0 → root ── VM exit: I/O instruction (30) ────────────────────── #2
                   qualification 0x00e90040   out, 1 byte, port 0xe9, immediate
                   guest rip 0xffffffff80001002, length 2     rax 0x21
                   intercepted by device debugcon
                demo root> vmcs guest_rip exit_reason guest_cs_selector
                   0x681e guest_rip          0xffffffff80001002  add+2
                   0x4402 exit_reason        30  I/O instruction
                   0x0802 guest_cs_selector  0x0008  ring 0
                demo root> s
                   debugcon write(port: 0xe9, value: 0x21)  "!"       4.2 µs model cost
                ── root → 0 ── VM entry ─────────────────────────────────────────── #3
                   rip  +2 → 0xffffffff80001004
                => 0xffffffff80001004 add+4     48 8d 04 37     lea rax, [rdi+rsi]
                demo r0> p $rdi + $rsi
                42
                demo r0> cross
                ── 0 → 3 ── sysret ──────────────────────────────────────────────── #4
                   rip  → 0x40000c start+0xc     cs 0x08 → 0x23     IF 0 → 1
                => 0x40000c start+0xc     89 c7           mov edi, eax
                demo r3> transitions
                 #  from  to    cause            at                            instr   cycles
                 1  3     0     syscall          0x40000a start+0xa                3      121
                 2  0     root  I/O out 0xe9     0xffffffff80001002 add+2          4   13 845
                 3  root  0     VM entry         0xffffffff80001004 add+4          5    1 981
                 4  0     3     sysret           0xffffffff80001008 add+8          7      121
                demo r3> rcross                      # time runs backwards
                ── 3 ← 0 ── sysret undone ───────────────────────────────────────── #4
                demo r0> p demo.transitons.count()
                error[V0301]: a guest has no member `transitons`
                  demo.transitons.count()
                       ^^^^^^^^^^ did you mean `transitions`?
                demo r0> catch transition 3->0 if event.vector == 0x80
                catchpoint 2: transition(from: 3, to: 0) if event.vector == 0x80
                demo r0> c
                stopped: catchpoint 2                                   9 ns   instruction 9
                ── 3 → 0 ── int 0x80, gate dpl 3 ────────────────────────────────── #5
                   stack switched to TSS.rsp0 0xffffffff80007000
                   pushed  ss 0x1b  rsp 0x7ff0  rflags 0x202  cs 0x23  rip 0x400010
                => 0xffffffff8000100b addInt    48 8d 04 37     lea rax, [rdi+rsi]

                """)
    }

    @Test("the same under AMD-V, with the fields of the VMCB")
    func virtualMachineControlBlock() {
        let text = transcript(
            Self.lab.replacing(".vmx", with: ".svm"),
            [
                "b start", "r", "s 2", "s", "", "", "vmcb rip exitcode exitinfo1 cs_selector cpl", "s",
                "p $rdi + $rsi", "cross", "transitions", "rcross",
                "catch transition 3->0 if event.vector == 0x80", "c", "info vmcb nrip n_cr3",
            ])
        #expect(
            text == """
                vscript 0.1  demo on vt (.svm, .nested)  1 cpu, 4 MiB            ?help   Ctrl-D leaves
                demo r3> b start
                breakpoint 1: start, 0x400000
                demo r3> r
                stopped: breakpoint 1                                   0 ns   instruction 0
                => 0x400000 start         bf 28 00 00 00  mov edi, 40
                demo r3> s 2
                => 0x40000a start+0xa     0f 05           syscall
                demo r3> s
                ── 3 → 0 ── syscall ─────────────────────────────────────────────── #1
                   rip  0x40000a → 0xffffffff80001000 add            IA32_LSTAR
                   cs   0x23 → 0x08      ss  0x1b → 0x10             IA32_STAR
                   rcx  ← 0x40000c       r11 ← 0x202    IF 1 → 0     IA32_FMASK
                   rsp  0x7ff0, unchanged: SYSCALL does not switch stacks
                => 0xffffffff80001000 add       b0 21           mov al, 0x21
                demo r0>\u{20}
                => 0xffffffff80001002 add+2     e6 e9           out 0xe9, al
                demo r0>\u{20}
                ── 0 → root ── #VMEXIT: IOIO (0x7b) ─────────────────────────────── #2
                   EXITINFO1 0x00e90210   out, 1 byte, port 0xe9
                   EXITINFO2 0xffffffff80001004   the instruction after it
                   guest rip 0xffffffff80001002, length 2     rax 0x21
                   intercepted by device debugcon
                demo root> vmcb rip exitcode exitinfo1 cs_selector cpl
                   0x578 rip                0xffffffff80001002  add+2
                   0x070 exitcode           0x7b  IOIO
                   0x078 exitinfo1          0xe90210  out, 1 byte, port 0xe9
                   0x410 cs_selector        0x0008  ring 0
                   0x4cb cpl                0x0  ring 0
                demo root> s
                   debugcon write(port: 0xe9, value: 0x21)  "!"       4.2 µs model cost
                ── root → 0 ── VM entry ─────────────────────────────────────────── #3
                   rip  +2 → 0xffffffff80001004
                => 0xffffffff80001004 add+4     48 8d 04 37     lea rax, [rdi+rsi]
                demo r0> p $rdi + $rsi
                42
                demo r0> cross
                ── 0 → 3 ── sysret ──────────────────────────────────────────────── #4
                   rip  → 0x40000c start+0xc     cs 0x08 → 0x23     IF 0 → 1
                => 0x40000c start+0xc     89 c7           mov edi, eax
                demo r3> transitions
                 #  from  to    cause            at                            instr   cycles
                 1  3     0     syscall          0x40000a start+0xa                3      121
                 2  0     root  I/O out 0xe9     0xffffffff80001002 add+2          4   13 845
                 3  root  0     VM entry         0xffffffff80001004 add+4          5    1 981
                 4  0     3     sysret           0xffffffff80001008 add+8          7      121
                demo r3> rcross
                ── 3 ← 0 ── sysret undone ───────────────────────────────────────── #4
                demo r0> catch transition 3->0 if event.vector == 0x80
                catchpoint 2: transition(from: 3, to: 0) if event.vector == 0x80
                demo r0> c
                stopped: catchpoint 2                                   9 ns   instruction 9
                ── 3 → 0 ── int 0x80, gate dpl 3 ────────────────────────────────── #5
                   stack switched to TSS.rsp0 0xffffffff80007000
                   pushed  ss 0x1b  rsp 0x7ff0  rflags 0x202  cs 0x23  rip 0x400010
                => 0xffffffff8000100b addInt    48 8d 04 37     lea rax, [rdi+rsi]
                demo r0> info vmcb nrip n_cr3
                   0x0c8 nrip               0x0
                   0x0b0 n_cr3              0x410000

                """)
    }

    @Test("the same under a binary translator: the kernel of a 32-bit guest runs in ring 1")
    func translation() {
        let script = """
            hypervisor vt { technique: .translate }
            guest demo on vt {
              memory: 4 MiB
              boot: .protected
              ring 0 {
                gate 0x80 { handler: add; dpl: 3 }
                asm {
                  add:   cli
                         mov al, 0x21
                         out 0xe9, al
                         lea eax, [edi + esi]
                         iretd
                }
              }
              ring 3 {
                asm {
                  start: mov edi, 40
                         mov esi, 2
                         int 0x80
                         mov edi, eax
                         int 0x80
                  spin:  jmp spin
                }
              }
            }
            """
        let text = transcript(
            script,
            [
                "b start", "r", "s", "s", "s 2", "s", "s", "s",
                "", "s", "translation", "s", "p $edi + $esi", "cross 0->3", "transitions", "rcross 0->3",
                "catch transition 3->0 if event.vector == 0x80", "c", "d 2", "b add", "rc", "list",
            ])
        #expect(
            text == """
                vscript 0.1  demo on vt (.translate, .shadow)  1 cpu, 4 MiB      ?help   Ctrl-D leaves
                demo r3> b start
                breakpoint 1: start, 0x400000
                demo r3> r
                stopped: breakpoint 1                                   0 ns   instruction 0
                => 0x400000 start         bf 28 00 00 00  mov edi, 40
                demo r3> s
                ── 3 → root ── #PF ──────────────────────────────────────────────── #1
                   guest rip 0x400000
                demo root> s
                ── root → 3 ── return ───────────────────────────────────────────── #2
                   rip  → 0x400000
                => 0x400000 start         bf 28 00 00 00  mov edi, 40
                demo r3> s 2
                => 0x40000a start+0xa     cd 80           int 0x80
                demo r3> s
                ── 3 → root ── #GP: systemCall ──────────────────────────────────── #3
                   guest rip 0x40000a
                demo root> s
                ── 3 → 0 ── int 0x80, gate dpl 3 ────────────────────────────────── #4
                   stack switched to TSS.ss0:esp0 0x10:0xc0007000
                   pushed  ss 0x1b  rsp 0x7ff0  rflags 0x202  cs 0x23  rip 0x40000c
                ── root → 0 ── return ───────────────────────────────────────────── #5
                   rip  → 0xc0001000
                => 0xc0001000 add         fa              cli
                demo r0> s
                => 0xc0001001 add+1       b0 21           mov al, 0x21
                demo r0>\u{20}
                => 0xc0001003 add+3       e6 e9           out 0xe9, al
                demo r0> s
                ── 0 → root ── call-out: io ─────────────────────────────────────── #6
                   guest rip 0xc0001003   really at ring 1   translated code 0xe020000e     rax 0x21
                   intercepted by device debugcon
                demo root> translation
                 address             guest                       machine        translation
                 0xc0001000 add      cli                         0xe0200002     mov dword [0xe0004018], 0x0
                 0xc0001001 add+1    mov al, 0x21                0xe020000c     mov al, 0x21
                 0xc0001003 add+3    out 0xe9, al                0xe020000e  +  int 0xf0
                demo root> s
                   debugcon write(port: 0xe9, value: 0x21)  "!"       0.1 µs model cost
                ── root → 0 ── return ───────────────────────────────────────────── #7
                   rip  → 0xc0001005
                => 0xc0001005 add+5       8d 04 37        lea eax, [edi+esi]
                demo r0> p $edi + $esi
                42
                demo r0> cross 0->3
                ── 0 → 3 ── iret ────────────────────────────────────────────────── #9
                   rip  → 0x40000c start+0xc     cs 0x08 → 0x23     IF 0 → 1
                   ss   0x10 → 0x1b      rsp 0xc0006fec → 0x7ff0
                => 0x40000c start+0xc     89 c7           mov edi, eax
                demo r3> transitions
                 #  from  to    cause                   at                            instr   cycles
                 1  3     root  #PF                     0x400000 start                    0    1 560
                 2  root  3     return                  0x400000 start                    0    1 060
                 3  3     root  #GP: systemCall         0x40000a start+0xa                2      792
                 4  3     0     int 0x80                0x40000a start+0xa                3      445
                 5  root  0     return                  0xc0001000 add                    3    1 060
                 6  0     root  call-out: io            0xc0001003 add+3                  5      107
                 7  root  0     return                  0xc0001005 add+5                  6      107
                 8  0     root  call-out: systemReturn  0xc0001008 add+8                  7      107
                 9  0     3     iret                    0xc0001008 add+8                  8      444
                demo r3> rcross 0->3
                ── 3 ← 0 ── iret undone ─────────────────────────────────────────── #9
                demo r0> catch transition 3->0 if event.vector == 0x80
                catchpoint 2: transition(from: 3, to: 0) if event.vector == 0x80
                demo r0> c
                stopped: catchpoint 2                                   10 ns   instruction 10
                ── 3 → 0 ── int 0x80, gate dpl 3 ────────────────────────────────── #12
                   stack switched to TSS.ss0:esp0 0x10:0xc0007000
                   pushed  ss 0x1b  rsp 0x7ff0  rflags 0x202  cs 0x23  rip 0x400010
                => 0xc0001000 add         fa              cli
                demo r0> d 2
                1 stop point removed
                demo r0> b add
                breakpoint 3: add, 0xc0001000
                demo r0> rc
                stopped: breakpoint 3                                   3 ns   instruction 3
                => 0xc0001000 add         fa              cli
                demo r0> list
                      3    memory: 4 MiB
                      4    boot: .protected
                      5    ring 0 {
                      6      gate 0x80 { handler: add; dpl: 3 }
                      7      asm {
                =>    8        add:   cli
                      9               mov al, 0x21
                     10               out 0xe9, al
                     11               lea eax, [edi + esi]
                     12               iretd

                """)
    }
}
