import Testing
import VScript

/// A script in `stdlib/examples`.
private func example(_ name: String) throws -> String {
    let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    return try value("import file\nfile.text(\"/\(folder)/stdlib/examples/\(name).vscript\")").text
}

/// A guest `g` of ring 0 code, with more in its body.
private func guest(_ code: String, _ body: String = "") -> String {
    "guest g { memory: 4 MiB; boot: .long; \(body)\n ring 0 { asm {\n \(code)\n } } }\n"
}

@Suite("What scripts do with machines")
struct MachineTests {
    @Test("a device in a script answers, transfers, interrupts, and goes back with a snapshot")
    func device() throws {
        #expect(try printed(example("device")).hasPrefix("adler32 0x11e60398 after "))
    }

    @Test("a script answers hypercalls and CPUID")
    func hypercall() throws {
        #expect(try printed(example("hypercall")) == "hello from ring 0\n")
    }

    @Test("a snapshot replays exactly")
    func snapshot() throws {
        #expect(
            try printed(
                """
                guest g {
                  memory: 4 MiB
                  boot: .long
                  ring 0 { syscall: back; asm { back: sysretq } }
                  ring 3 { asm { again: syscall
                                        inc rbx
                                        jmp again } }
                }
                let start = g.snapshot()
                let first = g.run(instructions: 10_000).digest
                g.restore(start)
                expect g.instructions == 0 && g.cpu.rbx == 0
                expect g.run(instructions: 10_000).digest == first
                expect start.pages > 0 && start.instructions == 0
                g.restore(5)
                """.replacing("g.restore(5)", with: "print(try { g.restore(5) } catch e { e.code })")) == "V0310\n")
    }

    @Test("the example of tests passes")
    func tests() throws {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(folder)/stdlib/examples/tests.vscript"
        var output = ""
        let session = Session(files: .all)
        session.output = { output += $0 }
        try session.run(Program(try example("tests"), named: path))
        #expect(!output.contains("FAILED"), "\(output)")
    }

    @Test("transitions are counted by cause and written as traces and tables")
    func transitions() throws {
        let source = """
            guest g {
              memory: 4 MiB
              boot: .long
              ring 0 { syscall: back; asm { back: sysretq } }
              ring 3 { asm { again: syscall
                                    jmp again } }
            }
            g.transitions.isRecording = true
            g.run(instructions: 9)
            """
        #expect(
            try printed(
                source
                    + "\nprint(g.transitions.count(cause: .syscall), g.transitions.count(from: 0, cause: .sysret), g.transitions.count(cause: .iret))"
            )
                == "3 3 0\n")
        #expect(failure(source + "\ng.transitions.count(cause: .magic)")?.message.contains("no cause `magic`") == true)
        #expect(failure(source + "\ng.transitions.save(\"x.txt\")")?.message.contains("names no format") == true)
    }

    @Test("a device can stand in a guest, with ports, guards, replies and resets")
    func nestedDevice() throws {
        let source = guest(
            """
            mov dx, 0x504
            in al, dx
            mov bl, al
            in eax, dx
            mov edx, 0x600
            out dx, al
            in al, dx
            hlt
            """,
            """
            device box {
              ports: [0x500 ... 0x507, 0x700]
              var log = []
              on read(4) if event.size == 1 { 0x11 }
              on read(0 ... 7) { event.reply(0x2233_4455) }
              on write { log.append([event.space, event.offset, event.value]) }
              on reset { log = [] }
            }
            device other { ports: 0x600; var n = 7; on write { n = event.value; box.pulse() }; on read { n + 1 } }
            """)
        // The ACPI registers lie at 0x600.
        #expect(failure(source)?.message.contains("0x600...0x600 of the device `other` overlaps") == true)
        let moved = source.replacing("0x600", with: "0x710")
        #expect(
            try printed(
                moved + """
                    let stop = g.run()
                    print(stop.reason, g.cpu.bl, g.cpu.al, g.devices.count, g.devices[0].log)
                    """) == ".halted 17 86 2 []\n")
    }

    @Test("what a device or a timer throws ends the run as the script's error")
    func deviceErrors() {
        let ports = guest("in al, 0x70\nhlt", "device d { ports: 0x710; on read { nil.x } }")
            .replacing("in al, 0x70", with: "mov edx, 0x710\nin al, dx")
        #expect(failure(ports + "g.run()") != nil)
        #expect(
            failure(guest("again: jmp again") + "g.after(1 us, fn() { throw \"late\" })\ng.run(within: 1 ms)") != nil)
        #expect(failure("device d { ports: 0x710 }") != nil)
        #expect(failure(guest("hlt", "device d { mmio: 1 MiB ..+ 4 KiB }"))?.message.contains("of RAM") == true)
        #expect(failure(guest("hlt", "device d { irq: 2; ports: 0x710 }")) != nil)
        #expect(failure(guest("hlt", "device d { model: .virtioBlock }"))?.code == "V0320")
    }

    @Test("timers run at exact guest times")
    func timers() throws {
        #expect(
            try printed(
                guest("again: jmp again") + """
                    g.after(500 ns, fn() { print("a", g.time, g.instructions) })
                    let never = g.after(600 ns, fn() { print("never") })
                    g.after(700 ns, fn() { print("b", g.time); g.after(100 ns, fn() { print("c", g.time) }) })
                    expect never.isPending
                    never.cancel()
                    g.run(within: 1 us)
                    """) == "a 500 ns 500\nb 700 ns\nc 800 ns\n")
    }

    @Test("watchpoints, instructions and the console are events")
    func events() throws {
        #expect(
            try printed(
                guest(
                    """
                    lea rbx, [rel cell]
                    mov dword [rbx + 2], 0x01020304
                    mov ax, [rbx + 4]
                    cpuid
                    mov edx, 0x3fb
                    mov al, 3
                    out dx, al
                    mov edx, 0x3f8
                    mov al, 'o'
                    out dx, al
                    mov al, 'k'
                    out dx, al
                    hlt
                    align 16
                    cell: dq 0, 0
                    """, "on console(\"ok\") { print(\"body\") }") + """
                        on g.write(g.symbols.cell + 4) { print("write", event.size, event.value) }
                        on g.read(g.symbols.cell ..+ 8) { print("read", event.size); event.reply(0x7777) }
                        on g.instruction(.cpuid) { print("cpuid", $ax); event.skip() }
                        on g.console.prints("ok") { print("console") }
                        g.run()
                        """) == "write 4 16909060\nread 2\ncpuid 30583\nbody\nconsole\n")
    }

    @Test(
        "a verdict that makes no sense is an error where it is given",
        arguments: [
            ("out 0xe9, al\nhlt", "io", "reply(5)"), ("mov [rel 0], al\nhlt", "exception(.PF)", "reply(5)"),
            ("hlt", "halt", "reply(1)"), ("ud2", "exception(.UD)", "inject(.NMI)"),
        ])
    func verdicts(code: String, event: String, verdict: String) {
        let report = failure(guest(code, "on \(event) { event.\(verdict) }") + "g.run(instructions: 10)")
        #expect(report != nil && report?.message.isEmpty == false)
    }

    @Test("registers take what an instruction would, and say why not")
    func registers() throws {
        let source = guest("hlt")
        #expect(
            try printed(
                source + """
                    g.cpu.rax = -1
                    g.cpu.al = 5
                    print(g.cpu.rax, g.cpu.eax)
                    g.cpu.eax = 7
                    print(g.cpu.rax, g.cpu.segment(.cs).dpl, g.cpu.segment(.cs).isLong, g.cpu.msr(0xC000_0080) > 0)
                    print(g.cpu.walk(g.cpu.rip).verdict, g.cpu.walk(g.cpu.rip).count, g.cpu.walk(0).verdict)
                    print(g.cpu.disassemble(1)[0].text, g.cpu.at)
                    """) == """
                    18446744073709551365 4294967045
                    7 0 true true
                    readable 4 #PF(0x0): not present at level 1
                    hlt \(try value(source + "g.cpu.at").text)

                    """)
        for (statement, part) in [
            ("g.cpu.al = 256", "8 bits"), ("g.cpu.cs = 8", "only the guest's own instructions"),
            ("g.cpu.cr0 = 0", "MOV to CR0 raises #GP"), ("g.cpu.rip = 0x8000_0000_0000", "no code can lie there"),
            ("g.cpu.rflags = 0", "bit 1"),
        ] {
            let text = failure(source + statement)?.message ?? ""
            #expect(text.contains(part), "\(statement): \(text)")
        }
    }

    @Test("the processor model can be chosen")
    func models() throws {
        let source = guest("xor eax, eax\ncpuid\nhlt")
        func run(_ cpuid: String) throws -> String {
            try printed(
                source.replacing("boot: .long;", with: "boot: .long; cpuid: \(cpuid);") + "g.run()\nprint(g.cpu.ebx)")
        }
        #expect(try run(".intel64") == "\(0x756E_6547)\n")
        #expect(try run(".amd64") == "\(0x6874_7541)\n")
        #expect(try run("[model: .amd64, brand: \"x\", without: [.rdrand]]") == "\(0x6874_7541)\n")
        for (cpuid, part) in [
            (".nothing", "there is no processor model"), ("[with: [.monitor]]", "not implemented"),
            ("[with: [.warp]]", "no processor feature"), ("[without: [.sse]]", "needs"), ("5", "`cpuid` is a model"),
            ("[brend: \"x\"]", "no `brend`"),
        ] {
            let text = failure(source.replacing("boot: .long;", with: "boot: .long; cpuid: \(cpuid);"))?.message ?? ""
            #expect(text.contains(part), "\(cpuid): \(text)")
        }
    }
}

@Suite("Bounds of what scripts do with machines")
struct MachineLimitTests {
    @Test(
        "a handler of a number that cannot come is refused",
        arguments: [
            "io(0x1_0000)", "io(0xFFFF..<0x1_0001)", "msr(0x1_0000_0000)", "cr(16)", "exception(32)", "interrupt(256)",
        ])
    func impossibleNumbers(event: String) {
        let report = failure(guest("hlt") + "on g.\(event) { }")
        #expect(report?.message.contains("none of this event's numbers") == true, "\(report?.message ?? "none")")
    }

    @Test(
        "a handler of the last number is taken",
        arguments: ["io(0xFFFF)", "io(0..<0x1_0000)", "msr(0xFFFF_FFFF)", "cr(15)", "exception(31)", "interrupt(255)"])
    func lastNumbers(event: String) {
        #expect(failure(guest("hlt") + "on g.\(event) { }") == nil)
    }

    @Test("snapshots count against the memory that guests may have")
    func snapshots() {
        var limits = Limits.untrusted
        limits.guestMemory = 6 << 20
        let report = failure(
            guest("hlt") + "let all = []\nfor i in 0 ..< 100_000 { all.append(g.snapshot()) }", limits: limits)
        #expect(report?.message.contains("snapshots need more than") == true)
    }

    @Test("handlers, watchpoints and timers by the thousand end at the fuel, not at the host's patience")
    func manyHandlers() {
        for statement in [
            "on g.write(0 ..< 4 MiB, physical: true) { }", "g.after(1 s, fn() { nil })", "on g.io { }",
        ] {
            var limits = Limits.untrusted
            limits.fuel = 300_000
            let report = failure(guest("hlt") + "while true { \(statement) }", limits: limits)
            #expect(report?.code.hasPrefix("V09") == true, "\(statement): \(report?.message ?? "none")")
        }
    }
}
