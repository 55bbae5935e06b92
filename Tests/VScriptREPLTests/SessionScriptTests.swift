import Testing
import VScript
import VScriptREPL
import VScriptSyntax
import VirtualMachine

@Suite("A session as a script")
struct SessionScriptTests {
    private static let sessions: [(name: String, lines: [String])] = [
        ("steps", ["s", "s 3", "", "n", "n 4", "fin", "s 2", "n"]),
        ("breakpoints", ["b twice", "tb addInt", "c", "c", "c", "s", "c", "d 1", "until again", "c"]),
        (
            "a breakpoint that is stepped onto",
            ["b twice", "s 5", "s", "s", "c", "c 3", "disable 1", "s 40", "enable 1", "c"]
        ),
        ("conditions", ["b twice if $rax > 100", "c", "ignore 1 2", "c", "b again if $rbp == 20", "c", "d"]),
        ("watchpoints", ["watch $rsp - 64", "c", "c", "awatch $rsp - 8:4", "c", "c", "d 2", "rwatch $rsp - 8", "c"]),
        (
            "catchpoints",
            ["catch io 0xe9", "c", "catch syscall", "c", "c", "catch transition 0->3", "c", "c", "d", "s"]
        ),
        ("exits", ["catch vmexit", "c", "c", "s", "cross", "catch vmexit io", "c", "d", "cross exit", "s", "s"]),
        ("crossings", ["cross", "cross 3->0", "cross", "cross", "", "s"]),
        (
            "assignments",
            ["s 5", "$rax = 1000", "s", "$rbx = $rax + 1", "demo.cpu.rcx = 7", "jump again", "$rbp = 3", "c"]
        ),
        ("the past", ["s 30", "rs 4", "s", "rcross", "goto 12", "$rax = 77", "s 20", "rn", "goto 25", "rs 5", "c"]),
        (
            "the past across changes",
            ["s 10", "$rdi = 3", "s 40", "goto 5", "goto 30", "s", "goto 8", "s 2", "rc", "s 7"]
        ),
        (
            "statements",
            ["b twice", "demo.run(instructions: 50)", "let n = demo.instructions", "c", "demo.step(3)", "c"]
        ),
        ("a handler", ["on demo.io(0xe9) { $rdi = 5 }", "s 40", "c", "reset", "s 9", "rs"]),
    ]

    @Test("the script that `history /vscript` prints does the same", arguments: LabSession.techniques)
    func same(technique: String) throws {
        for (name, lines) in Self.sessions {
            let session = LabSession(technique)
            // In an exit the instruction has begun, which a script that goes by instructions has not.
            for line in lines + ["d", "until again"] { session.say(line) }
            let script = session.say("history /vscript")
            let guest = try #require(session.guest)
            let other = Session(limits: .untrusted)
            do {
                try other.run(Program(script, named: "session.vscript"))
            } catch {
                Issue.record("\(name): \(error)\n\(script)")
                continue
            }
            let again = try other.guest("demo")
            #expect(again.instructions == guest.instructions, "\(name)\n\(script)")
            #expect(again.digest == guest.digest, "\(name)\n\(script)")
        }
    }

    @Test("what a script can say is said as a user would")
    func words() {
        let session = LabSession("bare")
        for line in ["b twice", "c", "p $rax", "s 3", "d 1", "s", "$rax = 1", "info registers", "cross 3->0"] {
            session.say(line)
        }
        let script = session.say("history /vscript")
        let rest = script.dropFirst(
            script.range(of: "var stop1").map { script.distance(from: script.startIndex, to: $0.lowerBound) } ?? 0)
        #expect(rest.contains("demo.run()    // c\nprint(demo.cpu.rax)    // p $rax\n"))
        #expect(rest.contains("stop1.off()    // d 1\n"))
        #expect(rest.contains("demo.cpu.rax = 1    // $rax = 1\n// info registers\n"))
    }
}
