import Testing
import VScript
import VScriptSyntax
import _SeededNumbers

@Suite("Language")
struct LanguageTests {
    static let scripts = [
        ("fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }\nfib(15)", "610"),
        ("var n = 0\nfor i in 0..<10 { if i == 3 { continue }; if i == 6 { break }; n += i }\nn", "12"),
        ("var n = 0\nwhile true { n += 1; if n == 5 { break } }\nn", "5"),
        ("fn make() { var n = 0; fn() { n += 1; n } }\nlet a = make()\nlet b = make()\na(); a()\n[a(), b()]", "[3, 1]"),
        ("let fs = []\nfor i in 0..<3 { fs.append(fn() { i }) }\nfs.map(fn(f) { f() })", "[0, 1, 2]"),
        (
            "fn f(a, b = a + 1, c = 10) { [a, b, c] }\n[f(1), f(1, c: 3), f(b: 5, a: 2)]",
            "[[1, 2, 10], [1, 2, 3], [2, 5, 10]]"
        ),
        (
            "fn even(n) { if n == 0 { true } else { odd(n - 1) } }\nfn odd(n) { if n == 0 { false } else { even(n - 1) } }\neven(10)",
            "true"
        ),
        (
            "fn first(n) { f(n) }\nfn f(n) { if n == 0 { 7 } else { [1].map(fn(x) { f(n - x) })[0] } }\nfirst(2)", "7"
        ),
        ("let x = if 1 > 2 { \"a\" } else if 2 > 1 { \"b\" } else { \"c\" }\nx", "\"b\""), ("if false { 1 }", "nil"),
        (
            "match 5 { case 1...4 => \"low\"; case 5, 6 if false => \"no\"; case 5 => { let a = 1; \"five\" }; else => 0 }",
            "\"five\""
        ),
        ("match .vmx { case .svm => 1; case .vmx => 2 }", "2"),
        (
            "let e = try { throw \"bad\" } catch e { e }\n[e.message, e.code, e.at]",
            #"["bad", "V0409", "test.vscript:1:15"]"#
        ),
        ("try { throw [a: 1] } catch e { e.a }", "1"), ("try { 1 / 0 } catch e { e.code }", "\"V0402\""),
        ("try { 7 } catch { 8 }", "7"),
        ("fn f() { for i in 0..<9 { if i == 4 { return i } }; 0 }\nf()", "4"),
        ("let out = []\nfor k, v in [a: 1, b: 2] { out.append(k); out.append(v) }\nout", #"["a", 1, "b", 2]"#),
        ("let out = []\nfor i, c in \"hé\" { out.append(\"\\(i)\\(c)\") }\nout", #"["0h", "1é"]"#),
        ("let m = [n: [1, 2]]\nm.n[1] += 5\nm.n[1] <<= 2\nm", "[n: [1, 28]]"), ("fn f(n) { n }\nlet g = f\ng(3)", "3"),
        ("var log = []\nfn t(x) { log.append(x); true }\nt(1) || t(2)\nfalse && t(3)\nnil ?? t(4)\nlog", "[1, 4]"),
        ("let append = [].append\nappend(1)\n3", "3"), ("return 5\nprint(\"not reached\")", "5"),
        ("let a = 1; if true { 2 }", "2"),
        (
            "fn checksum(bytes) {\n var a = 1\n var b = 0\n for x in bytes { a = (a + x) % 65_521; b = (b + a) % 65_521 }\n b << 16 | a\n}\nchecksum(bytes(\"Wikipedia\"))",
            "300286872"
        ),
    ]

    @Test("scripts compute", arguments: scripts)
    func compute(source: String, expected: String) throws {
        #expect(try result(source) == expected)
    }

    @Test("print writes values with spaces between them")
    func output() throws {
        #expect(try printed("print(1, \"a\", .b)\nprint()") == "1 a .b\n\n")
    }

    @Test("emit prints the rows of a table, with a new head where the columns change")
    func emittedTable() throws {
        let source = """
            emit([name: "trap", exits: 12])
            emit([name: "translation", exits: 123_456_789])
            emit([other: nil])
            emit("end")
            """
        #expect(
            try printed(source) == """
                name         exits
                trap            12
                translation  123456789

                other
                nil
                end

                """)
    }

    @Test("a host that collects rows is given them instead, and what cannot be a row is an error")
    func emittedRows() throws {
        let session = Session()
        var rows: [Value] = []
        session.onEmit = { rows.append($0) }
        try session.run(Program("emit([a: 1.5, b: [nil, .x, 2 s]])\nemit(3)"))
        #expect(rows.count == 2 && rows[0]["a"] == 1.5 && rows[1] == 3)
        #expect(throws: ScriptError.self) { try session.run(Program("emit(print)")) }
        #expect(throws: ScriptError.self) { try session.run(Program("let a = []\na.append(a)\nemit(a)")) }
    }

    /// Codes whose page needs a guest, another file or a limit to show the mistake.
    static let unscripted: Set<ScriptCode> = [
        .guestMemoryLimit, .fuelLimit, .frozen, .heapLimit, .wallClockLimit, .interrupted, .guestBudgetLimit,
    ]

    @Test("each code's page shows a script that fails with it, and the script mended", arguments: ScriptCode.allCases)
    func pages(code: ScriptCode) {
        #expect(!code.page.title.isEmpty)
        #expect(code.explanation.hasPrefix(code.id))
        guard !Self.unscripted.contains(code) else { return }
        if code == .faultingInstruction {
            // A warning: both run.
            #expect((try? Program(code.page.failing))?.diagnostics.map(\.code) == [code.id])
            #expect((try? Program(code.page.fixed))?.diagnostics.isEmpty == true)
            return
        }
        #expect(failure(code.page.failing)?.code == code.id)
        #expect(failure(code.page.fixed) == nil)
    }

    @Test("codes of both tables differ")
    func codesAreUnique() {
        let codes = ScriptCode.allCases.map(\.id) + SyntaxCode.allCases.map(\.id)
        #expect(Set(codes).count == codes.count)
    }

    static let mistakes = [
        ("let a = 1\nfn f() { b }", "V0301"), ("print(nul)", "V0301"), ("null", "V0301"),
        ("let a = b\nlet b = 1", "V0303"),
        ("fn f() { a }\nf()\nlet a = 1", "V0303"), ("for i in 0..<2 { i = 3 }", "V0304"),
        ("fn f(a) { a = 1 }", "V0304"), ("print = 3", "V0304"),
        ("event.stop()", "V0305"), ("self", "V0305"), ("$rax = 1", "V0305"), ("fn f() { break }", "V0306"),
        ("while true { fn() { continue } }", "V0306"),
        ("fn f(a) { a }\nf()", "V0307"), ("fn f(a) { a }\nf(b: 1)", "V0307"), ("fn f(a) { a }\nf(1, a: 2)", "V0307"),
        ("[1].append(1, 2)", "V0307"),
        ("nil.x", "V0301"), ("1.foo", "V0301"), ("[].map(3)", "V0310"), ("1 < \"a\"", "V0403"), ("1 + nil", "V0403"),
        ("!1", "V0403"), ("-\"a\"", "V0403"),
        ("[1][1]", "V0404"), ("[1][-1]", "V0404"), ("[1][0...3]", "V0404"), ("5...2", "V0404"), ("1 << -1", "V0404"),
        ("[[1]: 2]", "V0310"),
        ("while 1 { }", "V0407"), ("expect 3", "V0407"), ("\"a\"()", "V0410"), ("let a = 1; a.b = 2", "V0304"),
        ("print \"x\"", "V0313"),
        ("on 3 { }", "V0310"), ("import linux as file\nimport file", "V0302"), ("fn f(a, a) { }", "V0302"),
        ("let event = 1", "V0302"),
    ]

    @Test("mistakes are reported under their codes", arguments: mistakes)
    func mistake(source: String, code: String) {
        #expect(failure(source)?.code == code)
    }

    @Test("every unknown name of a script is reported before anything runs")
    func allNames() throws {
        let error = #expect(throws: CompilationError.self) { try Program("print(a)\nfn f() { b + c }\nlet d = 1 + e") }
        #expect(error?.diagnostics.count == 4)
        #expect(try #require(failure("let total = 1\ntotl")).rendered().contains("did you mean `total`?"))
    }

    @Test("an uncaught error names the place and the calls that led to it")
    func trace() throws {
        let report = try #require(failure("fn inner(x) { x.y }\nfn outer() {\n  inner(nil)\n}\nouter()"))
        #expect(
            report.rendered() == """
                error[V0301]: nil has no member `y`
                  --> test.vscript:1:17
                 1 | fn inner(x) { x.y }
                   |                 ^
                   = note: in `inner`, called at test.vscript:3:3
                   = note: in `outer`, called at test.vscript:5:1
                   = more: vscript explain V0301

                """)
    }

    @Test("overflow offers the wrapping operator")
    func overflowFix() throws {
        let report = try #require(failure("let a = 0xFFFF_FFFF_FFFF_FFFF\nlet b = a + 1"))
        #expect(report.fixes.first?.edits.first?.text == "&+")
        #expect(report.fixes.first?.edits.first?.span.text == "+")
    }

    @Test("codes are explained, and safe fixes applied")
    func commands() throws {
        #expect(explanation(of: "v0401")?.hasPrefix("V0401: ") == true)
        #expect(explanation(of: "V0203") != nil && explanation(of: "V9999") == nil)
        let fixed = Diagnostic.fixing(SourceFile("let total = 1\nprint \"x\"\nif total and totl { }", named: "a"))
        #expect(fixed.text == "let total = 1\nprint(\"x\")\nif total && total { }")
        #expect(fixed.applied.map(\.code) == ["V0214", "V0313", "V0301"])
        #expect(Diagnostic.fixing(SourceFile(fixed.text, named: "a")).applied.isEmpty)
    }

    // MARK: - Expectations

    @Test("a failed expectation shows the values of its parts")
    func expectation() throws {
        let source = "let stop = [event: [from: 0, to: 1]]\n\nexpect stop.event.from == 3 && stop.event.to == 0"
        #expect(
            try #require(failure(source)).rendered() == """
                error[V0501]: expectation failed
                  --> test.vscript:3:8
                 3 | expect stop.event.from == 3 && stop.event.to == 0
                   |        |    |     |    |    |                |
                   |        |    |     |    |    false            (not evaluated)
                   |        |    |     0    false
                   |        |    [from: 0, to: 1]
                   |        [event: [from: 0, to: 1]]
                   = more: vscript explain V0501

                """)
    }

    @Test("the message of an expectation is told, and only evaluated if it fails")
    func expectationMessage() throws {
        #expect(failure("expect 1 == 2, \"one is \\(1)\"")?.message == "expectation failed: one is 1")
        #expect(failure("expect true, 1 / 0") == nil)
    }

    @Test("a failed test does not end the script")
    func tests() throws {
        var output = ""
        let session = Session()
        session.output = { output += $0 }
        try session.run(
            Program(
                "test \"first \\(1)\" { expect 1 == 2 }\ntest \"second\" { tags: [\"a\"]; expect true }\nprint(\"end\")"
            ))
        #expect(session.failedTests == 1)
        #expect(session.exitCode == .failure)
        #expect(output.contains("first 1  FAILED") && output.hasSuffix("end\n"))
    }

    // MARK: - Limits

    @Test(
        "deep recursion ends with an error",
        arguments: [
            "fn f() { f() }\nf()", "fn f(n) { 1 + f(n + 1) }\nf(0)",
            "let f = [0]\nf[0] = fn() { [1].map(fn(x) { f[0]() }) }\nf[0]()",
            "fn f(n) { if true { match n { case 0 => try { [f(n)] } catch e { throw e } } } }\nf(0)",
        ])
    func recursion(source: String) {
        #expect(failure(source)?.code == "V0901")
        let report = failure("try { fn f() { f() }\nf() } catch e { 1 }")
        #expect(report?.code == "V0901")
    }

    @Test("recursion inside deep expressions does not exhaust the host's stack")
    func deepExpressions() {
        let nested = String(repeating: "(1 + ", count: 60) + "f()" + String(repeating: ")", count: 60)
        #expect(failure("fn f() { \(nested) }\nf()")?.code == "V0901")
        let chain = "f() " + String(repeating: "+ 1", count: 900)
        #expect(failure("fn f() { \(chain) }\nf()")?.code == "V0901")
    }

    @Test("fuel ends loops and cannot be caught")
    func fuel() throws {
        let limits = Limits(fuel: 1_000)
        #expect(failure("while true { }", limits: limits)?.code == "V0902")
        #expect(failure("try { while true { } } catch e { 1 }", limits: limits)?.code == "V0902")
        #expect(failure("for i in 0..<500 { }", limits: limits) == nil)
        let program = try Program("while true { }")
        let error = #expect(throws: ScriptError.self) { try Session(limits: limits).run(program) }
        #expect(error?.exitCode == .limit)
    }

    @Test("a script can be stopped from outside")
    func stop() throws {
        let session = Session()
        session.stopSignal.set()
        #expect(throws: ScriptError.self) { try session.run(Program("while true { }")) }
    }

    @Test("a collection may change while it is run over")
    func mutation() throws {
        #expect(try result("let a = [1, 2]\nfor x in a { a.append(x) }\na") == "[1, 2, 1, 2]")
        #expect(try result("let a = [1, 2]\na.each(fn(x) { a.clear() })\na.map(fn(x) { a.append(x); x })\na") == "[]")
        #expect(try result("let m = [a: 1]\nfor k, v in m { m.remove(k); m.b = 2 }\nm") == "[b: 2]")
        #expect(try result("var f = fn(n) { if n == 0 { 0 } else { f = fn(n) { 7 }; f(n - 1) } }\nf(1)") == "7")
    }

    @Test("scripts put together at random end with a value or an error", arguments: 0..<4)
    func randomScripts(seed: UInt64) throws {
        var numbers = SeededNumbers(seed)
        func next(_ count: Int) -> Int { numbers.below(max(count, 1)) }
        let sources =
            Self.scripts.map(\.0) + ValueTests.expressions.map(\.0) + ValueTests.integers.map(\.0)
            + ValueTests.durations.map(\.0) + ValueTests.texts.map { "print(\($0.0))" } + Self.mistakes.map(\.0)
        /// A token's text with the space before it, and what it can be exchanged for.
        let scripts = sources.filter { !$0.contains("import") }.map { source in
            let tree = parse(SourceFile(source, named: ""))
            return tree.tokens.dropLast().map { token in
                (
                    space: token.startsLine ? "\n" : token.touchesPrevious ? "" : " ",
                    text: tree.file.text(token.range),
                    kind: BinaryOperator(token.kind) == nil ? token.kind : .plus
                )
            }
        }
        let byKind = Dictionary(grouping: scripts.joined(), by: \.kind)
        var runs = 0
        for _ in 0..<600 {
            var script = scripts[next(scripts.count)]
            for _ in 0..<1 + next(4) where !script.isEmpty {
                let position = next(script.count)
                let candidates = byKind[script[position].kind] ?? []
                if !candidates.isEmpty { script[position].text = candidates[next(candidates.count)].text }
            }
            let text = script.map { $0.space + $0.text }.joined()
            guard let program = try? Program(text, named: "random") else { continue }
            runs += 1
            let session = Session(limits: Limits(fuel: 2_000, depth: 50))
            session.output = { _ in }
            do {
                try session.run(program)
            } catch {
                #expect(!error.diagnostic.rendered().isEmpty)
            }
        }
        #expect(runs > 50)
    }

    // MARK: - Modules

    @Test("arguments of the command line")
    func arguments() throws {
        let session = Session()
        session.environment.arguments = ["--out", "dir", "--n=3", "-v", "--flag"]
        let source =
            "import args\n[args.string(\"out\"), args.int(\"n\"), args.string(\"x\", default: \"d\"), args.flag(\"flag\"), args.flag(\"v\")]"
        #expect(try session.evaluate(Program(source)).source() == #"["dir", 3, "d", true, false]"#)
        #expect(failure("import args\nargs.string(\"need\")")?.code == "V0409")
    }

    @Test("an error that is thrown again keeps its code, but a limit cannot be pretended")
    func rethrown() {
        #expect(failure("try { 1 / 0 } catch e { throw e }")?.code == "V0402")
        #expect(failure("throw [message: \"m\", code: \"V0902\"]")?.code == "V0409")
    }
}
