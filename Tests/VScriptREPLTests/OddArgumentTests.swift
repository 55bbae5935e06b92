import Foundation
import Testing
import VScript
import VScriptREPL
import VScriptSyntax

@Suite("Commands with arguments that nobody should give")
struct OddArgumentTests {
    /// Commands that leave, wait for somebody, or write where an argument says.
    private static let excluded: Set = ["quit", "q", "exit", "gdb", "console", "save", "log", "history"]

    private static let arguments = [
        "", "0", "-1", "3", "18446744073709551615", "99999999999999999999999", "0x", "0xffffffffffffffff",
        "0x800000000000", "nosuch", "$nosuch", "*", "3->0", "9->1", "if", "start if 1", "start:4 physical", ":", "\"",
        "1 2 3 4", "\u{1B}[2J", "start+0xffffffffffffffff", "\u{0}", "exception 14",
    ]

    private static func script(_ technique: String) -> String {
        """
        hypervisor h { technique: .\(technique) }
        guest demo on h {
          memory: 4 MiB
          boot: .long
          ring 0 {
            syscall: add
            asm {
              add: mov al, 0x21
                   out 0xe9, al
                   o64 sysret
            }
          }
          ring 3 {
            asm {
              start: mov edi, 40
                     syscall
                     hlt
            }
          }
        }
        """
    }

    @Test(
        "each is answered without a trap, an escape sequence or a hang: within a run, and after a crash",
        arguments: ["", "bare", "trapAndEmulate", "translate", "vmx", "svm"])
    func answers(technique: String) {
        let session = Session()
        let repl = REPL(scope: SessionScope(session)) { _ in }
        var said = ""
        let renderer = TextRenderer(colours: false)
        repl.output = { said += renderer.text($0) }
        let source = technique.isEmpty ? "" : Self.script(technique)
        repl.begin(with: SourceFile(source, named: "lab.vscript"), environment: [:])
        #expect(said.isEmpty, "\(said)")
        for moment in ["s 2", "c"] {
            _ = repl.handle(moment)
            for name in CommandTable.names where !Self.excluded.contains(name) {
                for argument in Self.arguments {
                    said = ""
                    let goesOn = repl.handle("\(name) \(argument)")
                    #expect(goesOn && !said.contains("\u{1B}"), "\(name) \(argument)")
                }
                for modifier in ["x", "d", "b", "s", "i", "json", "csv", "q", "99999999999999999999i", "3"] {
                    said = ""
                    _ = repl.handle("\(name)/\(modifier)")
                    #expect(!said.contains("\u{1B}"), "\(name)/\(modifier)")
                }
                if technique.isEmpty { continue }
                // Runs have gone somewhere: back to the moment.
                _ = repl.handle("d")
                _ = repl.handle("goto \(moment == "s 2" ? 2 : 6)")
            }
            #expect(!repl.prompt.plain.isEmpty)
        }
    }

    @Test("what a line means at its edges")
    func edges() {
        let session = Session()
        let repl = REPL(scope: SessionScope(session)) { _ in }
        var said = ""
        let renderer = TextRenderer(colours: false)
        repl.output = { said += renderer.text($0) }
        repl.begin(with: SourceFile(Self.script("bare"), named: "lab.vscript"), environment: [:])
        func say(_ line: String) -> String {
            said = ""
            _ = repl.handle(line)
            return said
        }
        #expect(say("# a comment").isEmpty && say("#!/usr/bin/env vscript").isEmpty)
        #expect(say("s 2   # two instructions").hasPrefix("── 3 → 0 ── syscall"))
        #expect(say("p \"a # b\"   // a text") == "\"a # b\"\n")
        #expect(say(": s").hasPrefix("=> "))
        #expect(say(":zzz") == "error: there is no command `zzz`\n  `help` lists them\n")
        #expect(say("b start if") == "error: `if` needs a condition, as in `if $rax == 1`\n")
        #expect(say("goto 1000") == "error: the guest does not come so far: it ends at instruction 6\n")
        #expect(say("walk 0x800000000000").contains("#GP(0): the address is not canonical"))
        #expect(say("catch io 0x10000") == "error: `0x10000` is more than 0xffff\n")
        #expect(say("b lab.vscript:16") == "breakpoint 1: lab.vscript:16, 0x400005\n")
        #expect(say("b lab.vscript:99") == "error: no code is known to come from lab.vscript:99\n")
    }

    @Test("`list` shows the source of `asm` blocks, and goes on where it ended")
    func list() {
        let session = Session()
        let repl = REPL(scope: SessionScope(session)) { _ in }
        var said = ""
        let renderer = TextRenderer(colours: false)
        repl.output = { said += renderer.text($0) }
        repl.begin(with: SourceFile(Self.script("bare"), named: "lab.vscript"), environment: [:])
        _ = repl.handle("list")
        #expect(said.contains("=>   15        start: mov edi, 40\n") && said.hasPrefix("     10  "))
        said = ""
        _ = repl.handle("")
        #expect(said == "     20  }\n")
        said = ""
        _ = repl.handle("list add")
        #expect(said.contains("      8        add: mov al, 0x21\n"))
        said = ""
        _ = repl.handle("list 1")
        #expect(said.hasPrefix("      1  hypervisor h"))
    }
}
