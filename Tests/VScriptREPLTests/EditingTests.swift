import Foundation
import Testing
import VScriptREPL

@Suite("Editing and history")
struct EditingTests {
    @Test("a history file keeps entries of several lines, one JSON string to a line")
    func history() throws {
        let path = NSTemporaryDirectory() + "vscript-history-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = History(path: path)
        first.add("s")
        first.add("s")
        first.add("ring 3 {\n  nop \"é\"\n}")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "\"s\"\n\"ring 3 {\\n  nop \\\"é\\\"\\n}\"\n")
        #expect(History(path: path).entries == ["s", "ring 3 {\n  nop \"é\"\n}"])
    }

    @Test("lines that something else wrote into the history are passed over")
    func foreignHistory() throws {
        let path = NSTemporaryDirectory() + "vscript-history-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("_HiStOrY_V2_\n\"good\"\n{\"a\": 1}\n\u{0}\n".utf8).write(to: URL(fileURLWithPath: path))
        #expect(History(path: path).entries == ["good"])
    }

    @Test("a list of candidates fits its screen")
    func list() {
        let completions = (0..<30).map { Completion("word\($0)", String(repeating: "long ", count: 40)) }
        let lines = CompletionList.text(completions, rows: 10, columns: 40).split(separator: "\n")
        #expect(lines.count == 8)
        #expect(lines.allSatisfy { $0.count < 40 })
        #expect(lines.last == "  … and 23 more")
        #expect(CompletionList.commonPrefix(completions) == "word")
    }

    @Test("colours change no visible character")
    func highlighting() throws {
        let session = TestSession(try Lab.guest())
        for text in [
            "let x = \"a\\(1)b\" // c", "x/8gx $rsp", "ring 3 {\n asm { mov eax, 1 }\n}", "é\u{301} 漢 \"",
            "b start if $rax == 1",
        ] {
            let coloured = session.repl.highlighted(text) ?? ""
            #expect(coloured.replacing(/\u{1B}\[[0-9;]*m/, with: "") == text)
        }
    }

    @Test("a pipe is read line by line, and ends with what has no line break")
    func plainEditor() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let text = "s\r\nfn f() {\n}\nlast"
        _ = text.withCString { write(ends[1], $0, text.utf8.count) }
        close(ends[1])
        let session = TestSession(try Lab.guest())
        let editor = PlainLineEditor(input: ends[0])
        editor.delegate = session.repl
        #expect(editor.read(prompt: "") == .line("s"))
        #expect(editor.read(prompt: "") == .line("fn f() {\n}"))
        #expect(editor.read(prompt: "") == .line("last"))
        #expect(editor.read(prompt: "") == .end)
        close(ends[0])
    }

    @Test("what a guest prints cannot move the cursor")
    func controlCharacters() {
        #expect(ControlCharacters.shown("a\u{1B}[2J\u{7}b\u{9B}c\n\t") == "abc\n\t")
    }
}
