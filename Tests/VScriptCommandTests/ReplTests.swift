import Foundation
import Testing

@Suite("The REPL in a pipe")
struct ReplPipeTests {
    /// A guest that runs for ever in ring 3.
    static let spinner = """
        guest demo {
          memory: 4 MiB
          boot: .long
          ring 3 { asm { start: jmp start } }
        }
        """

    @Test("a pipe gets no prompts and no escape sequences")
    func clean() throws {
        try withFiles(["a.vscript": Self.spinner]) { directory in
            let result = try vscript("repl", "a.vscript", input: "s\np 6 * 7\n$rip\nnonsense!\n", in: directory)
            #expect(result.status == 0)
            #expect(!result.output.contains("\u{1B}") && !result.output.contains("r3>"))
            #expect(result.output.hasPrefix("=> 0x400000 start"))
            #expect(result.output.contains("\n42\n4194304\nerror[V"))
        }
    }

    @Test("without a command the REPL reads lines")
    func noCommand() throws {
        let result = try vscript(input: "let a = 6\na * 7\n_ + 1\nfn f(x) {\n  x + a\n}\nf(1)\n__\n")
        #expect((result.status, result.output, result.errors) == (0, "42\n43\n7\n43\n", ""))
    }

    @Test("JSON goes both ways, one object to a line")
    func json() throws {
        try withFiles(["a.vscript": Self.spinner]) { directory in
            let requests = """
                {"input": "s", "id": 1}
                {"input": "[1, 2].count"}
                {"complete": "info g"}
                {"isComplete": "fn f() {"}
                {"inspect": "print"}
                {"input": "print(\\"é\\")"}
                not json
                {"input": "q"}
                """
            let objects = try vscript("repl", "--json", "a.vscript", input: requests, in: directory).objects
            let types = objects.map { $0["type"] as? String }
            #expect(
                types == [
                    "ready", "stop", "ready", "value", "ready", "completions", "ready", "isComplete", "ready",
                    "inspect",
                    "ready", "output", "ready", "diagnostic", "ready", "ready",
                ])
            #expect(objects[1]["id"] as? Int == 1 && objects[1]["instructions"] as? Int == 1)
            #expect(objects[3]["value"] as? Int == 2)
            #expect(objects[7]["complete"] as? Bool == false)
            #expect(objects[11]["text"] as? String == "é\n")
            #expect(objects.last?["leaving"] as? Bool == true)
        }
    }

    @Test("a session becomes a script that does the same")
    func historyAsScript() throws {
        try withFiles(["a.vscript": GuestScript.lab]) { directory in
            let input = "s 3\nn\ncross\nhistory /vscript out.vscript\ninfo r rip\n"
            let session = try vscript("repl", "a.vscript", input: input, in: directory)
            let rip = try #require(session.output.split(separator: "\n").last?.split(separator: " ").dropFirst().first)
            let script = directory.appendingPathComponent("out.vscript")
            let text = try String(contentsOf: script, encoding: .utf8) + "\nprint(\"\\(demo.cpu.rip:#x)\")\n"
            try Data(text.utf8).write(to: script)
            let run = try vscript("out.vscript", in: directory)
            #expect(run.output == "\(rip)\n", "\(run.errors)")
        }
    }
}

enum GuestScript {
    static let lab = """
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
        }
        """
}
