import Testing
import VScriptREPL

@Suite("What lines mean")
struct LineTests {
    private let session: TestSession

    init() throws { session = TestSession(try Lab.guest()) }

    @Test(
        "a word before `=`, `.`, `(` or `[` is vscript",
        arguments: ["s = 1", "s.count", "s(1)", "s[0]", "x /= 2", "(s)"])
    func script(_ line: String) {
        session.say(line)
        #expect(session.scope.evaluated == [line])
    }

    @Test("a unique prefix is a command, an ambiguous one says what it may mean")
    func prefixes() {
        #expect(session.say("fini").contains("=>"))
        #expect(session.say("dis") == "error: `dis` may mean disable, disas\n")
    }

    @Test("a name of the script's is not taken for the prefix of a command")
    func ownNames() {
        session.scope.names = [("res", ""), ("s", "")]
        session.say("res")
        #expect(session.scope.evaluated == ["res"])
        #expect(session.say("s").hasPrefix("=> 0x400005"))
    }

    @Test("a colon forces the command")
    func forced() {
        session.scope.names = [("res", "")]
        #expect(session.say(":res").hasPrefix("=> 0x400000"))
        #expect(session.scope.evaluated.isEmpty)
    }

    @Test("an empty line steps again but does not set a breakpoint again")
    func repetition() {
        session.say("s")
        #expect(session.say("").hasPrefix("=> 0x40000a"))
        session.say("b start")
        #expect(session.say("").isEmpty)
    }

    @Test("an empty line goes on with `x` where it ended")
    func examineGoesOn() {
        #expect(session.say("x/2gx 0x400000").hasPrefix("0x400000 <start>:"))
        #expect(session.say("").hasPrefix("0x400010 <start+0x10>:"))
    }

    @Test("a declaration is vscript though `guest` is a command")
    func declaration() {
        session.say("guest other { boot: .long }")
        #expect(session.scope.evaluated.count == 1)
        #expect(session.say("guest nobody").hasPrefix("error: there is no guest `nobody`"))
    }

    @Test("pasted lines are split into commands and vscript")
    func paste() {
        session.say("fn f() {\n  s\n}\ns\nlet b = 2\nlet c = 3")
        #expect(session.scope.evaluated == ["fn f() {\n  s\n}", "let b = 2\nlet c = 3"])
    }

    @Test("Enter goes on inside an open brace and accepts a command")
    func completeness() {
        #expect(!session.repl.isComplete("fn f() {"))
        #expect(session.repl.isComplete("fn f() {\n}"))
        #expect(session.repl.isComplete("s"))
    }

    @Test("aliases of other debuggers' users")
    func aliases() {
        session.say("import aliases.windbg")
        #expect(session.say("t").hasPrefix("=> 0x400005"))
        session.say("alias \"fwd\" \"step 1\"")
        #expect(session.say("fwd").hasPrefix("=> 0x40000a"))
        #expect(session.say("alias a nothing").hasPrefix("error: there is no command `nothing`"))
    }

    @Test("every command has help that names its method, and no two share a name")
    func help() {
        var seen: Set<String> = []
        for command in CommandTable.all {
            #expect(!command.summary.isEmpty && !command.method.isEmpty, "\(command.name)")
            #expect(session.say("help \(command.name)").contains("in a script: "))
            for name in command.names { #expect(seen.insert(name).inserted, "\(name) is declared twice") }
        }
    }

    @Test("completion offers commands with a line about each, arguments and symbols")
    func completion() {
        let words = session.repl.completions(in: "tra", word: 0..<3)
        #expect(
            words.map(\.word) == ["transitions", "trace", "translation"] && words.allSatisfy { !$0.summary.isEmpty })
        #expect(session.repl.completions(in: "b addI", word: 2..<6).map(\.word) == ["addInt"])
        #expect(session.repl.completions(in: "info g", word: 5..<6).map(\.word) == ["gdt", "guests"])
    }

    @Test("tables have JSON and CSV")
    func formats() {
        session.say("s 3")
        #expect(session.say("transitions/csv").hasPrefix("#,from,to,cause,at,instr,time\r\n1,3,0,syscall,"))
        #expect(
            session.say("transitions/json").hasPrefix("[{\"#\":1,\"from\":\"3\",\"to\":\"0\",\"cause\":\"syscall\""))
        #expect(session.say("transitions/q").hasPrefix("error: `transitions` has the formats /json and /csv"))
    }

    @Test("random lines neither crash nor hang")
    func fuzz() {
        var generator = SystemRandomNumberGenerator()
        let words =
            CommandTable.names.filter {
                ![
                    "continue", "c", "run", "r", "quit", "q", "exit", "log", "source", "save", "load", "gdb",
                    "transitions", "history",
                ].contains($0)
            }
            + [
                "$rip", "start", "0xffffffffffffffff", "-1", "->", "3->0", "/", "/x", "/999999i", "if", "\"", "*", "é",
                "\u{0}",
            ]
        for _ in 0..<2_000 {
            let line = (0..<Int.random(in: 1...4, using: &generator)).compactMap { _ in
                words.randomElement(using: &generator)
            }
            .joined(separator: [" ", "", "/"].randomElement(using: &generator) ?? " ")
            session.say(line)
            _ = session.repl.completions(in: line, word: 0..<line.utf8.count)
            _ = session.repl.highlighted(line)
        }
    }
}
