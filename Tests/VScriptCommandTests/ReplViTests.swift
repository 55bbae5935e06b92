import Foundation
import Testing

#if os(Linux)

/// `vscript repl` edited with the keys of vi.
@Suite struct ReplViTests {
    private func withVi(_ body: ([String: String]) throws -> Void) throws {
        try withFiles(["inputrc": "set editing-mode vi\n"]) { directory in
            try body(["INPUTRC": directory.appendingPathComponent("inputrc").path])
        }
    }

    @Test("characters that `f`, `t`, `r` and `d` wait for are taken from the keys that follow")
    func commandsWithCharacters() throws {
        try withVi { environment in
            let terminal = try ReplTerminal(environment: environment)
            terminal.wait(for: "vscript> ")
            // 11111 becomes 12131: `F` and `r` go on from the end of the line.
            terminal.type("11111\u{1B}0lr22lr3\r")
            terminal.wait(for: "\n12131\n")
            terminal.wait(for: "vscript> ")
            terminal.type("40 + 2 + 100\u{1B}F+hD\r")
            terminal.wait(for: "\n42\n")
            terminal.wait(for: "vscript> ")
            terminal.type("xy40 + 3\u{1B}0dt4\r")
            terminal.wait(for: "\n43\n")
            terminal.wait(for: "vscript> ")
            terminal.type("40 + 99\u{1B}h2r2\r")
            terminal.wait(for: "\n62\n")
        }
    }

    private static let begun: [[UInt8]] = {
        let texts = [
            "abc\u{1B}", "abc\u{1B}r", "abc\u{1B}d", "abc\u{1B}df", "abc\u{1B}3d2", "abc\u{1B}R", "abc\u{1B}Rx",
            "abc\u{1B}R\u{1B}[200~half a paste", "abc\u{1B}/", "abc\u{1B}/a", "\u{1B}m", "\u{1B}`", "\u{1B}\u{1B}[A",
        ]
        // The beginnings of characters that never come.
        let halves: [(text: String, byte: UInt8)] = [("abc\u{1B}r", 0xF6), ("abc\u{1B}f", 0xF6), ("abc\u{1B}dt", 0xC3)]
        return texts.map { Array($0.utf8) } + halves.map { Array($0.text.utf8) + [$0.byte] }
    }()

    @Test("Ctrl-C gives up what was begun, and what follows is a new line", arguments: begun)
    func interrupt(begun: [UInt8]) throws {
        try withVi { environment in
            let terminal = try ReplTerminal(environment: environment)
            for round in 1...5 {
                terminal.wait(for: "vscript> ")
                terminal.type(begun + Array("\u{3}\u{3}\(round) + 40\r".utf8))
                terminal.wait(for: "\n\(round + 40)\n")
            }
        }
    }

    @Test("what a few keys put back again and again stays small")
    func repeatedPut() throws {
        try withVi { environment in
            let terminal = try ReplTerminal(environment: environment)
            terminal.wait(for: "vscript> ")
            terminal.type(String(repeating: "a", count: 60) + "\u{1B}")
            // Unbounded these would be 60 KB, 60 MB, 60 GB.
            for _ in 0..<3 { terminal.type("dd999p") }
            terminal.type("\u{3}\u{3}40 + 2\r")
            terminal.wait(for: "\n42\n")
        }
    }

    @Test("half a character in a search is given up by the key after it")
    func halfCharacterInASearch() throws {
        let terminal = try ReplTerminal()
        terminal.wait(for: "vscript> ")
        terminal.type([0x13, 0xD6, 0x18] + Array("kk".utf8))
        for round in 1...3 {
            terminal.type("\u{3}\u{3}\(round) + 40\r")
            terminal.wait(for: "\n\(round + 40)\n")
        }
    }
}

#endif
