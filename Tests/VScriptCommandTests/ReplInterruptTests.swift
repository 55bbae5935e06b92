import Foundation
import Testing
import _SeededNumbers

#if os(Linux)

/// Ctrl-C at random moments of everything that may take long, and what is there afterwards.
///
/// A long run (`VSCRIPT_LONG_TESTS=1`) presses the key more often and prints how long the prompt took at most; how busy
/// the machine is decides about that too, so no test does.
@Suite("Ctrl-C", .serialized)
struct ReplInterruptTests {
    private static let isLong = ProcessInfo.processInfo.environment["VSCRIPT_LONG_TESTS"] != nil

    /// Presses Ctrl-C some time after a line, as often as is asked for, and waits for the prompt each time.
    private func press(_ line: String, _ terminal: ReplTerminal, rounds: Int, _ generator: inout SeededNumbers) {
        var longest = Duration.zero
        for round in 0..<rounds {
            terminal.type("\(line)\r")
            terminal.pause(milliseconds: [0, 2, 10, 50, 200, 700][round % 6] * Double(generator.next() % 1000) / 1000)
            let start = ContinuousClock.now
            // Pressed when the line is over it clears the next one; the text tells where that begins in any case.
            terminal.type("\u{3}")
            terminal.type("print(\"at\" + \"\(round)\")\r")
            terminal.wait(for: "\nat\(round)\n")
            longest = max(longest, ContinuousClock.now - start)
            terminal.wait(for: "> ")
        }
        if Self.isLong { print("\(line): prompt within \(longest)") }
    }

    @Test("whatever a Linux guest is asked for comes back to the prompt, and loses nothing")
    func everything() throws {
        try withFiles(["linux.vscript": try linuxScript()]) { directory in
            let terminal = try ReplTerminal([directory.appendingPathComponent("linux.vscript").path], columns: 200)
            let file = { (name: String) in directory.appendingPathComponent(name).path }
            terminal.wait(for: "vm r0> ")
            terminal.type("vm.run(instructions: 300_000_000)\r")
            terminal.wait(for: ".instructions at")
            terminal.wait(for: "vm r0> ")
            terminal.type("save \(file("kept"))\r")
            terminal.wait(for: "saved at instruction")
            terminal.wait(for: "vm r0> ")
            var generator = SeededNumbers(7)
            let rounds = Self.isLong ? 60 : 3
            let lines = [
                "c", "s 100_000_000", "next 1_000_000", "finish", "until 0x10", "cross 0->3", "symbols kernel",
                "info tasks", "switches 1000", "bt", "info mem", "transitions 1000000", "transitions/json 1000000",
                "transitions save \(file("t.html"))", "transitions save \(file("t.json"))", "save \(file("kept"))",
                "load \(file("kept"))", "rs", "rn", "rc", "rcross 3->0", "goto 200000000", "x/4096i $rip",
                "x/4096s $rip", "xp/4096gx 0", "vm.transitions.rows", "vm.console.wait(\"nothing\")",
                "vm.save(\"\(file("kept"))\")", "vm.load(\"\(file("kept"))\")",
            ]
            for line in lines { press(line, terminal, rounds: rounds, &generator) }
            // An interrupted save has left a snapshot that is whole.
            terminal.type("load \(file("kept"))\r")
            terminal.wait(for: "=> ")
            terminal.wait(for: "vm r")
            terminal.type("\u{4}")
            #expect(terminal.ends(with: 0))
            let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            #expect(names.allSatisfy { !$0.hasSuffix("~") }, "\(names)")
        }
    }

    @Test("after Ctrl-C on the way backwards the guest is where it was")
    func backwards() throws {
        try withFiles(["a.vscript": ReplPipeTests.spinner]) { directory in
            let terminal = try ReplTerminal([directory.appendingPathComponent("a.vscript").path])
            terminal.wait(for: "demo r3> ")
            terminal.type("demo.run(instructions: 400_000_000).instructions\r")
            terminal.wait(for: "\n400000000\n")
            for line in ["goto 199999999", "rcross", "rc", "rs 300000000", "rn 4000000"] {
                terminal.wait(for: "demo r3> ")
                terminal.type("\(line)\r")
                terminal.pause(milliseconds: 30)
                terminal.type("\u{3}")
                // The way may have been over before the key.
                let isInterrupted = terminal.wait(for: "demo r3> ").contains("interrupted")
                terminal.type(isInterrupted ? "demo.instructions\r" : "goto 400000000\r")
                terminal.wait(for: isInterrupted ? "\n400000000\n" : "=> ")
            }
        }
    }

    @Test("in JSON `interrupt` ends what runs and what was asked for before it, and each request is answered")
    func json() throws {
        try withFiles(["a.vscript": ReplPipeTests.spinner]) { directory in
            let path = directory.appendingPathComponent("a.vscript").path
            // The requests lie in the pipe before the first is read: none may be lost, none may run for ever.
            let requests = """
                {"input": "c", "id": 1}
                {"input": "while true { }", "id": 2}
                {"interrupt": true, "id": 3}
                {"input": "40 + 2", "id": 4}

                """
            let result = try vscript(["repl", "--json", path], input: requests)
            let lines = result.output.split(separator: "\n").map(String.init)
            for id in 1...4 {
                #expect(lines.contains { $0.contains("\"ready\"") && $0.hasSuffix("\"id\":\(id)}") }, "\(id): \(lines)")
            }
            #expect(lines.contains { $0.contains("\"value\":42") && $0.hasSuffix("\"id\":4}") }, "\(lines)")
            #expect(lines.contains { $0.contains("\"type\":\"stop\"") && $0.hasSuffix("\"id\":1}") }, "\(lines)")
        }
    }
}

#endif
