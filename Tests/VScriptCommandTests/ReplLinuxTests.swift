import Foundation
import Testing

#if os(Linux)

@Suite("The REPL on a terminal with a Linux guest", .serialized)
struct ReplLinuxTests {
    @Test("Ctrl-C stops a running Linux guest as often as it is pressed, and it goes on")
    func interrupt() throws {
        try withFiles(["linux.vscript": try linuxScript()]) { directory in
            let terminal = try ReplTerminal([directory.appendingPathComponent("linux.vscript").path])
            terminal.wait(for: "vm r0> ")
            for _ in 0..<6 {
                terminal.type("c\r")
                // Long enough for snapshots to be taken and the kernel's names to be found.
                terminal.pause(milliseconds: 700)
                terminal.type("\u{3}")
                terminal.wait(for: "stopped: interrupted")
                terminal.wait(for: "\nvm r")
            }
            terminal.type("p 40 + 2\r")
            terminal.wait(for: "\n42\n")
            terminal.type("info history\r")
            terminal.wait(for: "snapshots")
            terminal.wait(for: "vm r")
            terminal.type("\u{4}")
            #expect(terminal.ends(with: 0))
        }
    }

    @Test("a long run shows its progress on one line, with the guest's time, speed, ring and console")
    func progress() throws {
        try withFiles(["linux.vscript": try linuxScript()]) { directory in
            let terminal = try ReplTerminal([directory.appendingPathComponent("linux.vscript").path], columns: 60)
            terminal.wait(for: "vm r0> ")
            terminal.type("c\r")
            terminal.wait(for: " MIPS  r")
            terminal.type("\u{3}")
            terminal.wait(for: "stopped: interrupted")
            let shown = terminal.output.components(separatedBy: "\r\u{1B}[K").dropFirst().dropLast()
            #expect(shown.allSatisfy { !$0.contains("\n") && $0.count < 60 })
        }
    }
}

#endif
