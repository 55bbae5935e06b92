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

#if os(Linux)

@Suite("The REPL on a terminal", .serialized)
struct ReplTerminalTests {
    private func withSpinner(_ body: (String) throws -> Void) throws {
        try withFiles(["a.vscript": ReplPipeTests.spinner]) { try body($0.appendingPathComponent("a.vscript").path) }
    }

    @Test("keys are coloured while they are typed, and Ctrl-D leaves")
    func highlighting() throws {
        let terminal = try ReplTerminal()
        terminal.wait(for: "vscript> ")
        terminal.type("let x = 41\r")
        terminal.wait(for: "vscript> ")
        #expect(terminal.output.contains("\u{1B}[35mlet\u{1B}[0m"))
        terminal.type("x + 1\r")
        terminal.wait(for: "\n42")
        terminal.type("\u{4}")
        #expect(terminal.ends(with: 0))
    }

    @Test("NO_COLOR means no colours")
    func noColour() throws {
        let terminal = try ReplTerminal(environment: ["NO_COLOR": "1"])
        terminal.wait(for: "vscript> ")
        terminal.type("let x = 41\r")
        terminal.wait(for: "vscript> ")
        #expect(terminal.output.firstRange(of: /\u{1B}\[[0-9;]*m/) == nil)
    }

    @Test("the second Tab lists candidates with a line about each")
    func completion() throws {
        let terminal = try ReplTerminal()
        terminal.wait(for: "vscript> ")
        terminal.type("con\t\t")
        terminal.wait(for: "console   Gives the terminal")
        terminal.wait(for: "continue  Goes on")
        terminal.type("t\t")
        terminal.wait(for: "continue ")
    }

    @Test("Enter goes on in an open block; the entry comes back as one, also in the next session")
    func multipleLines() throws {
        let history = NSTemporaryDirectory() + "vscript-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: history) }
        for isFirst in [true, false] {
            let terminal = try ReplTerminal(history: history)
            terminal.wait(for: "vscript> ")
            if isFirst {
                terminal.type("for i in 1...2 {\rprint(i * 111)\r}\r")
            } else {
                terminal.type("\u{1B}[A\r")
            }
            terminal.wait(for: "\n111\r\n222\r\n")
            terminal.type("\u{4}")
            #expect(terminal.ends(with: 0))
        }
    }

    @Test("arrow up searches by what is typed, Ctrl-R by any part")
    func search() throws {
        let terminal = try ReplTerminal()
        terminal.wait(for: "vscript> ")
        terminal.type("print(\"one\")\r")
        terminal.wait(for: "\none")
        terminal.type("1 + 1\r")
        terminal.wait(for: "\n2\r")
        terminal.type("pr\u{1B}[A\r")
        terminal.wait(for: "\none")
        terminal.type("\u{12}1 +\r")
        terminal.wait(for: "\n2\r")
    }

    @Test("200 pasted lines are one text")
    func paste() throws {
        let terminal = try ReplTerminal()
        terminal.wait(for: "vscript> ")
        let lines = (1...200).map { "let pasted\($0) = \($0)" }.joined(separator: "\n")
        terminal.type("\u{1B}[200~\(lines)\n\u{1B}[201~\r")
        terminal.wait(for: "vscript> ")
        terminal.type("pasted200 + pasted1\r")
        terminal.wait(for: "\n201\r")
    }

    @Test("Ctrl-C clears the line and loses no key after it")
    func interruptLine() throws {
        let terminal = try ReplTerminal()
        terminal.wait(for: "vscript> ")
        terminal.type("abc")
        terminal.wait(for: "abc")
        terminal.type("\u{3}")
        terminal.wait(for: "vscript> ")
        terminal.type("40 + 2\r")
        terminal.wait(for: "\n42\r")
    }

    @Test("Ctrl-C stops a running guest; keys typed meanwhile are kept")
    func interruptGuest() throws {
        try withSpinner { path in
            let terminal = try ReplTerminal([path])
            terminal.wait(for: "demo r3> ")
            terminal.type("c\r")
            terminal.wait(for: " MIPS")
            terminal.type("40 + ")
            terminal.type("\u{3}")
            terminal.wait(for: "stopped: interrupted")
            terminal.type("2\r")
            terminal.wait(for: "\n42\r")
            terminal.type("s\r")
            terminal.wait(for: "=> 0x400000 start")
        }
    }

    @Test("Ctrl-C stops a running script")
    func interruptScript() throws {
        let terminal = try ReplTerminal()
        terminal.wait(for: "vscript> ")
        terminal.type("while true { }\r")
        terminal.wait(for: "\n")
        usleep(300_000)
        terminal.type("\u{3}")
        terminal.wait(for: "interrupted")
        terminal.type("40 + 2\r")
        terminal.wait(for: "\n42\r")
    }

    @Test("the window may become narrow while a line is typed")
    func resize() throws {
        let terminal = try ReplTerminal(columns: 120)
        terminal.wait(for: "vscript> ")
        terminal.type("let narrow = 1 + 2 + 3 + 4")
        terminal.wait(for: "4")
        terminal.resize(rows: 10, columns: 20)
        usleep(200_000)
        terminal.type(" + 5\r")
        terminal.wait(for: "vscript> ")
        terminal.type("narrow\r")
        terminal.wait(for: "\n15\r")
    }

    @Test("a dumb terminal gets prompts and lines, nothing else")
    func dumb() throws {
        let terminal = try ReplTerminal(environment: ["TERM": "dumb"])
        terminal.wait(for: "vscript> ")
        terminal.type("abc\u{3}")
        terminal.wait(for: "vscript> ")
        terminal.type("40 + 2\r")
        terminal.wait(for: "\n42\r")
        #expect(!terminal.bytes.contains(0x1B))
        terminal.type("\u{4}")
        #expect(terminal.ends(with: 0))
    }

    @Test("random keys neither end nor hang it")
    func fuzz() throws {
        let terminal = try ReplTerminal()
        terminal.wait(for: "vscript> ")
        var generator = SystemRandomNumberGenerator()
        let keys =
            (0x20...0x7E).map { String(UnicodeScalar(UInt8($0))) }
            + [
                "\t", "\r", "\u{1B}[A", "\u{1B}[B", "\u{1B}[C", "\u{1B}[D", "\u{12}", "\u{1}", "\u{5}", "\u{B}",
                "\u{19}", "é", "漢", "\u{7F}",
            ]
        for _ in 0..<20 {
            terminal.type((0..<60).map { _ in keys.randomElement(using: &generator) ?? "a" }.joined())
            terminal.type("\u{3}")
        }
        usleep(300_000)
        terminal.type("\u{3}")
        terminal.type("\u{3}40 + 2\r")
        terminal.wait(for: "\n42\r")
    }
}

#endif
