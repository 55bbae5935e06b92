import Foundation
import Testing

#if os(Linux)

/// `vscript --gdb` with the real gdb, where there is one.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/gdb"))) struct GDBTests {
    /// Ring 3 makes a system call, writes to its stack, and goes through a gate.
    private static func lab(_ technique: String) -> String {
        """
        hypervisor h { technique: .\(technique) }
        guest demo on h {
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
                       mov [rsp - 8], rax
                       int 0x80
              spin:    jmp spin
            }
          }
        }
        """
    }

    @Test(
        "under each technique: hbreak, stepi through SYSCALL and IRET, watch, reverse-stepi, control registers",
        arguments: ["vmx", "svm", "translate", "trapAndEmulate"])
    func gdbDebugsThroughAMonitor(_ technique: String) throws {
        try withFiles(["lab.vscript": Self.lab(technique)]) { directory in
            let (server, port) = try ChildProcess.gdbServer(["--gdb", "0", "lab.vscript"], in: directory)
            let text = try ChildProcess.gdb(
                [
                    "hbreak *0x40000a", "continue", "p/x $pc", "stepi", "p/x $pc", "p/x $cs",
                    "info registers cr0 efer cpl", "stepi", "stepi", "p/x $pc", "delete", "watch *(long *)0x7fe8",
                    "continue", "p *(long *)0x7fe8", "delete", "stepi", "p $cpl", "stepi", "stepi", "p/x $pc",
                    "p $cpl", "reverse-stepi", "p/x $pc", "reverse-stepi", "p/x $pc", "detach",
                ], port: port, in: directory, "first")
            let values = text.split(separator: "\n").filter { $0.hasPrefix("$") }.map {
                $0.split(separator: "=").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
            }
            #expect(
                values == [
                    "0x40000a", "0xffffffff80001000", "0x8", "0x40000c", "42", "0", "0x400013", "3",
                    "0xffffffff8000100b", "0xffffffff80001007",
                ], "\(text)")
            for pattern in ["cr0 +0x80010033 ", "efer +0x[0-9a-f]*d01 ", "cpl +0x0 "] {
                #expect(text.range(of: pattern, options: .regularExpression) != nil, "\(pattern): \(text)")
            }
            let second = try ChildProcess.gdb(["p/x $pc", "detach"], port: port, in: directory, "second")
            #expect(second.contains("= 0xffffffff80001007"), "\(second)")
            server.interrupt()
            #expect(server.wait { $0.hasEnded })
        }
    }

    @Test func gdbDebugsAcrossRingsAndBackwards() throws {
        try withFiles(["lab.vscript": Self.lab("bare")]) { directory in
            let (server, port) = try ChildProcess.gdbServer(["--gdb", "0", "lab.vscript"], in: directory)
            let first = try ChildProcess.gdb(
                [
                    "hbreak *0x40000a", "continue", "stepi", "p/x $pc", "p/x $cs", "info registers cr0 cr3 efer cpl",
                    "stepi", "stepi", "p/x $pc", "p $rax", "reverse-stepi", "p/x $pc", "stepi", "delete",
                    "watch *(long *)0x7fe8", "continue", "p *(long *)0x7fe8", "delete", "hbreak *0x400011",
                    "tbreak *0xffffffff80001007", "continue", "p/x $pc", "stepi", "stepi", "p/x $pc", "p $cpl",
                    "hbreak *0x40000a", "reverse-continue", "reverse-continue", "p/x $pc", "reverse-continue",
                    "monitor info rings",
                    "monitor p 6 * 7", "detach",
                ], port: port, in: directory, "first")
            let values = first.split(separator: "\n").filter { $0.hasPrefix("$") }.map {
                $0.split(separator: "=").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
            }
            #expect(
                values == [
                    "0xffffffff80001000", "0x8", "0x40000c", "42", "0xffffffff80001004", "42", "0xffffffff80001007",
                    "0x400013", "3", "0x40000a",
                ], "\(first)")
            for pattern in ["cr0 +0x80010033 ", "efer +0x[0-9a-f]*d01 ", "cpl +0x0 "] {
                #expect(first.range(of: pattern, options: .regularExpression) != nil, "\(pattern): \(first)")
            }
            #expect(first.contains("Hardware watchpoint") && first.contains("New value = 42"))
            #expect(first.contains("No more reverse-execution history"))
            #expect(first.contains("from  to") && first.contains("\n42\n"))
            let second = try ChildProcess.gdb(["p/x $pc", "detach"], port: port, in: directory, "second")
            #expect(second.contains("= 0x400000"), "\(second)")
            server.interrupt()
            #expect(server.wait { $0.hasEnded })
        }
    }

    @Test func aScriptServesItsGuestOnceAndGoesOn() throws {
        let script = Self.lab("bare") + "\ndemo.step(2)\ndemo.gdb(0)\nprint(\"then \\(demo.instructions)\")\n"
        try withFiles(["lab.vscript": script]) { directory in
            let (server, port) = try ChildProcess.gdbServer(["lab.vscript"], in: directory)
            let text = try ChildProcess.gdb(["p/x $pc", "stepi", "detach"], port: port, in: directory, "gdb")
            #expect(text.contains("= 0x40000a"), "\(text)")
            #expect(server.wait { $0.hasEnded } && server.text.hasSuffix("then 3\n"), "\(server.text)")
        }
    }
}

#endif
