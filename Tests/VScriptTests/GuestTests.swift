import Testing
import VScript

@Suite("Guests")
struct GuestTests {
    /// Ring 3 asks ring 0 for a sum twice, by SYSCALL and through a gate, then does what it must not.
    static let rings = """
        guest demo {
          memory: 4 MiB
          boot: .long
          ring 0 {
            syscall: add
            gate 0x80 { handler: addInt; dpl: 3 }
            asm {
              add:     lea rax, [rdi + rsi]
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
          on transition { print("\\(event.from) -> \\(event.to)  \\(event.cause)  rax=\\($rax)") }
          on exception(.GP) { event.stop("hlt at ring \\(event.from)") }
        }
        let stop = demo.run(within: 1 ms)
        """

    @Test("hand-written code crosses rings, and handlers see it")
    func crossings() throws {
        let output = try printed(
            Self.rings + """

                expect stop.reason == .stopped
                expect stop.detail == "hlt at ring 3"
                expect demo.cpu.rax == 44
                expect demo.transitions.count(from: 3, to: 0) >= 2
                """)
        let lines = output.split(separator: "\n").prefix(4)
        #expect(
            Array(lines) == [
                "3 -> 0  syscall  rax=0", "0 -> 3  sysret  rax=42", "3 -> 0  int 0x80  rax=42", "0 -> 3  iret  rax=44",
            ])
    }

    @Test("a printed event says what happened")
    func eventText() throws {
        let output = try printed(
            guest(
                "mov al, 0x41\nout 0xE9, al\nin al, 0x61\nmov ecx, 0xC0000080\nrdmsr\nmov rbx, cr0\nmov cr0, rbx\nud2",
                "on io { print(event) }\n  on msr { print(event) }\n  on exception(.UD) { print(event); event.stop() }")
                + "g.run()")
        #expect(
            output.split(separator: "\n") == [
                "<io write 0xe9 = 0x41>", "<io read 0x61>", "<msr read 0xc0000080>", "<exception #UD>",
            ])
        #expect(
            try printed(
                Self.rings.replacing("\\(event.from) -> \\(event.to)  \\(event.cause)  rax=\\($rax)", with: "\\(event)")
            ).hasPrefix("<transition syscall 3 -> 0>\n<transition sysret 0 -> 3>\n"))
    }

    @Test("a member that is not there is answered with those that are, each once")
    func unknownMember() throws {
        let diagnostic = try #require(failure(guest("hlt") + "g.frobnicate"))
        let names = try #require(diagnostic.notes.first { $0.hasPrefix("it has ") }).split(separator: " ")
        #expect(names.filter { $0 == "reset" }.count == 1 && names.filter { $0 == "console" }.count == 1)
    }

    @Test("handlers and recording change nothing the guest sees")
    func digest() throws {
        let plain = Self.rings.split(separator: "\n").filter { !$0.contains("on transition") }.joined(separator: "\n")
        let digests = try [plain, Self.rings].map { source in
            let session = Session()
            session.output = { _ in }
            return try session.evaluate(Program(source + "\n\"\\(demo.digest) \\(demo.instructions)\"")).text
        }
        #expect(digests[0] == digests[1])
    }

    /// A guest of one ring.
    private func guest(_ code: String, _ more: String = "") -> String {
        "guest g {\n  memory: 4 MiB\n  boot: .long\n  ring 0 {\n    asm {\n\(code)\n    }\n  }\n  \(more)\n}\n"
    }

    @Test("runs end for the reasons they have")
    func reasons() throws {
        #expect(try result(guest("hlt") + "g.run().reason") == ".halted")
        #expect(
            try result(guest("spin: jmp spin") + "let s = g.run(within: 1 us)\n[s.reason, s.time]")
                == "[.timeout, 1 us]")
        #expect(try result(guest("spin: jmp spin") + "g.run(instructions: 100).instructions") == "100")
        #expect(try result(guest("nop\nnop\nhlt") + "g.step(2)\ng.instructions") == "2")
        #expect(try result(guest("ud2") + "let s = g.run()\n[s.reason, s.faults.count > 1]") == "[.crashed, true]")
        #expect(try result(guest("mov ecx, 1\nud2") + "g.run(until: g.exception(.UD)).event.vector") == "6")
        #expect(try result(guest("mov al, 0x10\nout 0xF4, al") + "g.run().exitStatus") == "33")
    }

    @Test("labels of one ring are known in another, spliced values are constants")
    func labels() throws {
        let source = """
            let answer = 42
            guest g {
              boot: .long
              ring 0 { gate 0x30 { handler: trap; dpl: 3; type: .trap }
                asm { trap: mov ebx, \\(answer)
                            mov rdx, start
                            iretq } }
              ring 3 { asm { start: int 0x30
                                    stop: jmp stop } }
            }
            g.run(instructions: 20)
            expect g.cpu.ebx == answer
            expect g.cpu.rdx == g.symbols["start"]
            expect g.cpu.ring == 3 && g.cpu.at == "stop" && g.cpu.mode == "64-bit"
            """
        #expect(failure(source) == nil)
    }

    @Test("memory is read and written by physical and linear address")
    func memory() throws {
        let source =
            guest("hlt\ntext: db \"hello\", 0") + """
                expect g.cpu.mem.string(at: g.symbols.text) == "hello"
                expect g.cpu.mem.string(at: g.symbols.text, count: 2) == "he"
                g.mem[0x20_0000 ..+ 4] = hex"01 02 03 04"
                expect g.mem.u32(0x20_0000) == 0x0403_0201 && g.mem[0x20_0001] == 2 && g.mem[0x20_0000 ..+ 2] == hex"01 02"
                g.cpu.rax = 5
                g.cpu.IF = true
                expect g.cpu.al == 5 && g.cpu.IF
                expect g.cpu.disassemble(1)[0].text == "hlt"
                """
        #expect(failure(source) == nil)
        #expect(failure(guest("hlt") + "g.mem[1 TiB]")?.code == "V0404")
        #expect(failure(guest("hlt") + "g.mem[-1]")?.code == "V0404")
        #expect(failure(guest("hlt") + "g.cpu.mem[0x7fff_0000_0000]")?.code == "V0404")
    }

    @Test("handlers answer for instructions")
    func verdicts() throws {
        let source = guest(
            "mov dx, 0x5000\nin al, dx\nud2\nmov ecx, 7\nud2\nhlt",
            """
            on io(0x5000) { event.reply(0x42) }
              let skipping = on exception(.UD) { event.skip(); event.off() }
            """)
        let checks = "let s = g.run(until: g.exception(.UD))\nexpect g.cpu.al == 0x42\nexpect s.reason == .event\n"
        #expect(failure(source + checks) == nil)
        #expect(try result(source + "g.run()\n[g.cpu.al, g.cpu.ecx]") == "[66, 7]")
        #expect(failure(guest("hlt", "on halt { event.guest.run() }") + "g.run()")?.code == "V0403")
        #expect(failure(guest("hlt", "on halt { 1 / 0 }") + "g.run()")?.code == "V0402")
        #expect(failure(guest("hlt") + "on g.halt { event.stop(\"here\") }\nexpect g.run().detail == \"here\"") == nil)
        #expect(
            failure(guest("hlt") + "let h = on g.halt { throw \"no\" }\nh.off()\nexpect g.run().reason == .halted")
                == nil)
    }

    @Test("a console waits for texts and patterns, and says what came instead")
    func console() throws {
        let hello = guest(
            """
            mov dx, 0x3FB
            mov al, 3
            out dx, al
            mov dx, 0x3F8
            mov rsi, text
            next: lodsb
            test al, al
            jz end
            out dx, al
            jmp next
            end: hlt
            text: db "boot ok", 13, 10, "login: ", 0
            """)
        #expect(
            try result(hello + "let s = g.console.wait(\"ok\", within: 1 ms)\n[s.text, g.console.output]")
                == #"["ok", "boot ok"]"#)
        #expect(try result(hello + "g.console.wait(re\"[a-z]+: \", within: 1 ms).text") == "\"login: \"")
        let report = try #require(failure(hello + "g.console.wait(\"# \", within: 1 ms)"))
        #expect(report.code == "V0505")
        #expect(report.notes.contains { $0.contains("login:") } && report.notes.contains { $0.contains("halted") })
        #expect(failure(hello + "g.console.wait(\"\")")?.code == "V0310")
        #expect(try printed(hello + "g.console.echo()\ng.run()") == "boot ok\r\nlogin: ")
    }

    @Test("what is typed comes back as an echo, which is neither a match nor output of the command")
    func echo() throws {
        let shell = guest(
            """
                    mov dx, 0x3FB
                    mov al, 3
                    out dx, al
            prompt: mov rsi, hash
                    call print
            read:   mov dx, 0x3FD
                    in al, dx
                    test al, 1
                    jz read
                    mov dx, 0x3F8
                    in al, dx
                    cmp al, 10
                    je line
                    out dx, al
                    jmp read
            line:   mov rsi, answer
                    call print
                    jmp prompt
            print:  mov dx, 0x3F8
            next:   lodsb
                    test al, al
                    jz done
                    out dx, al
                    jmp next
            done:   ret
            hash:   db "# ", 27, "[6n", 0
            answer: db 13, 10, "one two", 13, 10, "three", 13, 10, 0
            """)
        let start = shell + "g.console.wait(\"# \", within: 1 ms)\n"
        #expect(try result(start + "g.console.command(\"one\", within: 50 ms)") == #""one two\nthree""#)
        #expect(
            try result(
                start
                    + "let c = g.console\n[c.command(\"a\", within: 50 ms), c.command(\"b\", within: 50 ms)].map(fn(t) { t.count })"
            )
                == "[13, 13]")
        #expect(
            try result(
                start
                    + "g.console.send(\"one\\n\")\ng.console.wait(\"one\", within: 50 ms)\ng.console.output.split(\"one\").count"
            )
                == "3")
        #expect(failure(shell + "g.console.command(\"x\")")?.code == "V0505")
    }

    @Test("the example of all ways between rings runs")
    func ringsExample() throws {
        let path = #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/stdlib/examples/rings.vscript"
        let source = try value("import file\nfile.text(\"/\(path)\")").text
        let lines = try printed(source).split(separator: "\n").filter { $0.contains(" -> ") && !$0.contains("rsp") }
        let crossings = lines.map { $0.split(separator: " ").prefix(5).joined(separator: " ") }
        #expect(
            crossings.map { $0.replacing(" rip", with: "") } == [
                "3 -> 0 syscall", "0 -> 3 sysret", "3 -> 0 int 0x80", "0 -> 3 iret", "3 -> 1 call gate",
                "1 -> 0 int 0x81",
                "0 -> 1 iret", "1 -> 3 far return", "3 -> 0 #GP", "0 -> 3 iret", "3 -> 0 #PF", "0 -> 3 iret",
                "3 -> 0 #UD",
                "0 -> 3 iret", "3 -> 0 int 0x82",
            ])
    }

    static let refusals = [
        ("guest g { boot: .long; cpus: 2; ring 0 { asm { hlt } } }\ng.run()", "V0320"),
        ("guest g { boot: .long; cpuid: 1 }", "V0310"),
        ("guest g { memory: 10 KiB; boot: .long; ring 0 { asm { hlt } } }", "V0504"),
        ("import linux\nlinux.bzImage(\"no such kernel\")", "V0504"),
        ("import linux\nlinux.bzImage(\"/tmp\")", "V0504"), ("import linux\nlinux.vmlinux(\"/dev/null\")", "V0504"),
        ("import flat\nguest g { boot: flat.image(hex\"f4\", at: 1 GiB) }", "V0504"), ("guest g { boot: 5 }", "V0310"),
        ("guest g { boot: .long; ring 4 { } }", "V0314"), ("guest g { boot: .real; ring 3 { asm { hlt } } }", "V0504"),
        ("guest g { boot: .long; ring 0 { asm { mov eax } } }", "V0503"),
        ("guest g { boot: .long; ring 0 { syscall: nowhere; asm { hlt } } }", "V0301"),
        ("guest g { boot: .long; ring 0 { gate 3 { }; asm { hlt } } }", "V0315"),
        ("guest g { boot: .long; ring 0 { asm { hlt } }; on vmexit(.cpuidd) { } }", "V0404"),
        ("guest g { boot: .long; ring 0 { asm { hlt } }; on exception(.XX) { } }", "V0404"),
        ("guest g { boot: .long; ring 0 { asm { hlt } } }\ng.run(within: 10)", "V0310"),
        ("guest g { boot: .long; ring 0 { asm { hlt } } }\ng.nothing", "V0301"),
        ("guest g { boot: .long; asm { hlt } }", "V0314"), ("guest g { boot: .long; volume v { } }", "V0314"),
        ("test \"t\" { ring 0 { } }", "V0314"),
    ]

    @Test("what cannot be is refused under its code", arguments: refusals)
    func refuse(source: String, code: String) {
        #expect(failure(source)?.code == code)
    }

    @Test("a guest with several processors is refused when it is to run, where a script can go on without it")
    func severalProcessors() throws {
        let declaration = "guest g { boot: .long; cpus: 2; ring 0 { asm { hlt } } }\n"
        for use in ["run()", "step()", "console.wait(\"x\")", "snapshot()", "reset()", "console.command(\"x\")"] {
            let report = try #require(failure(declaration + "g.\(use)"), "\(use)")
            #expect(report.code == "V0320" && report.span?.startPosition.line == 1, "\(use)")
        }
        let session = Session()
        #expect(try session.run(Program(declaration + "try { g.run() } catch e { e.code }")) == "V0320")
        #expect(throws: ScriptError.self) { try session.guest("g") }
    }

    @Test("the tail of a console has as many lines as were asked for")
    func tail() throws {
        let source = guest(
            """
                mov dx, 0x3FB
                mov al, 3
                out dx, al
                mov rsi, text
                mov dx, 0x3F8
                mov ecx, 17
                rep outsb
                hlt
                text: db "one", 13, 10, "two", 13, 10, "three", 13, 10
            """)
        #expect(
            try Session().run(Program(source + "g.run()\n[g.console.tail(1), g.console.tail(2), g.console.tail()]"))
                == ["three\n", "two\nthree\n", "one\ntwo\nthree\n"])
    }

    @Test("a mistake in code is shown where it stands in the script")
    func assemblerErrors() throws {
        let report = try #require(failure(guest("nop\n  mvo eax, 1\n  mov ebx, \\(1 + 1), 5")))
        #expect(report.code == "V0503")
        #expect(report.span?.startPosition.line == 7)
        #expect(report.labels.count == 2 && report.labels.last?.span.startPosition.line == 8)
    }

    @Test("a crash that the script does not look at ends with its own exit code")
    func crash() throws {
        let error = #expect(throws: ScriptError.self) { try Session().run(Program(guest("ud2") + "g.run()")) }
        #expect(error?.exitCode == .guestCrashed)
        let text = error?.diagnostic.rendered() ?? ""
        #expect(text.contains("#UD") && text.contains("rip="))
        #expect(failure(guest("ud2") + "print(g.run().reason)") == nil)
    }

    @Test("limits of a session hold for its guests")
    func limits() throws {
        #expect(failure(guest("hlt"), limits: Limits(guestMemory: 1 << 20))?.code == "V0903")
        let session = Session()
        let program = try Program(guest("spin: out 0xE9, al\njmp spin", "on io(0xE9) { print(1) }") + "g.run()")
        session.output = { _ in session.stopSignal.set() }
        let error = #expect(throws: ScriptError.self) { try session.run(program) }
        #expect(error?.exitCode == .interrupted || error?.exitCode == .limit)
    }

    @Test("instructions that need ring 0 are warned of where they stand, unless exceptions are what it is about")
    func privilegeWarnings() throws {
        let source = """
            guest g {
              boot: .long
              ring 0 { asm { start0: hlt } }
              ring 3 {
                asm {
                  start: nop; mov cr3, rax    // the page table
                  again: cli
                  mov rax, rbx; rdmsr
                  jmp again
                  mov ds, ax
                }
              }
            }
            """
        let warnings = try Program(source, named: "t").diagnostics
        #expect(warnings.map(\.code) == ["V0610", "V0610", "V0610"])
        #expect(warnings.map { $0.span?.text } == ["mov cr3, rax", "cli", "rdmsr"])
        #expect(warnings.allSatisfy { $0.severity == .warning && $0.message.contains("faults at ring 3") })
        #expect(try Program(source + "\non g.exception(.GP) { event.stop() }").diagnostics.isEmpty)
        let handled = source.replacing("start0: hlt }", with: "start0: hlt }; gate 13 { handler: start0 }")
        #expect(try Program(handled).diagnostics.isEmpty)
        #expect(try Program("guest g { boot: .protected; ring 2 { asm { mov cr0, eax } } }").diagnostics.count == 1)
    }

    @Test("flat images and code outside a ring")
    func flat() throws {
        let source = """
            import flat
            let code = asm(bits: 16, at: 0x7c00) { mov ax, 0x1234
              here: hlt }
            expect code.labels.here == 0x7c03
            let rows = code.disassemble().rows
            expect rows.map(fn(row) { row.text }) == ["mov ax, 0x1234", "hlt"]
            expect rows.map(fn(row) { row.address }) == [0x7c00, 0x7c03] && rows[1].bytes == hex"f4"
            expect asm { db 0x0f, 0x0a }.disassemble().count == 2
            guest g { boot: flat.image(code, at: 0x7c00) }
            expect g.run().reason == .halted
            expect g.cpu.ax == 0x1234 && g.cpu.mode == "real"
            """
        #expect(failure(source) == nil)
    }

    @Test("declaring in a function makes a fresh guest each time")
    func templates() throws {
        let source = """
            fn make(n) {
              guest g { boot: .long; ring 0 { asm { mov eax, \\(n)
                hlt } } }
              g.run()
              g
            }
            [make(1), make(2)].map(fn(g) { g.cpu.eax })
            """
        #expect(try result(source) == "[1, 2]")
    }
}
