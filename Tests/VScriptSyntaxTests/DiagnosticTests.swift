import Testing
import VScriptSyntax

@Suite("Diagnostics")
struct DiagnosticTests {
    /// Codes whose page cannot show a script: they are about whole files.
    static let unscripted: Set<SyntaxCode> = [.invalidUTF8, .fileTooLarge, .nestedTooDeeply]

    @Test(
        "each code's page shows a script with that mistake alone, and the script mended", arguments: SyntaxCode.allCases
    )
    func pages(code: SyntaxCode) {
        #expect(!code.page.title.isEmpty)
        #expect(code.explanation.hasPrefix("\(code.id): "))
        #expect(codes(code.page.fixed) == [])
        if !Self.unscripted.contains(code) { #expect(codes(code.page.failing) == [code.id]) }
    }

    @Test("codes are unique and well formed")
    func codesAreUnique() {
        #expect(Set(SyntaxCode.allCases.map(\.id)).count == SyntaxCode.allCases.count)
        #expect(SyntaxCode.allCases.allSatisfy { $0.id.count == 5 && $0.id.hasPrefix("V0") })
    }

    // MARK: - Text

    private enum Sample: String, DiagnosticCode {
        case property = "V0312"
        case fault = "V0610"
        var id: String { rawValue }
        var page: DiagnosticPage { DiagnosticPage("", failing: "", fixed: "") }
    }

    @Test("a report with several lines is set as the language's description shows it")
    func severalLines() {
        let file = SourceFile("// one\n// two\n\nguest demo on vt {\n  memroy: 4 MiB\n}\n", named: "lab1.vscript")
        let report = Diagnostic(
            Sample.property, "a guest has no property `memroy`", at: SourceSpan(file, 36..<42),
            label: "did you mean `memory`?",
            related: [
                Diagnostic.Label(
                    SourceSpan(file, 15..<20), "properties of `guest`: boot, cpuid, cpus, memory, seed, symbols")
            ], fixes: [.replace(SourceSpan(file, 36..<42), with: "memory")])
        #expect(
            report.rendered() == """
                error[V0312]: a guest has no property `memroy`
                  --> lab1.vscript:5:3
                   |
                 4 | guest demo on vt {
                   | ----- properties of `guest`: boot, cpuid, cpus, memory, seed, symbols
                 5 |   memroy: 4 MiB
                   |   ^^^^^^ did you mean `memory`?
                   |
                   = fix: replace with `memory`                       (vscript fix applies it)
                   = more: vscript explain V0312

                """)
    }

    @Test("a report with one line is set as the language's description shows it")
    func oneLine() {
        let file = SourceFile(String(repeating: "\n", count: 20) + "      mov cr3, rax\n", named: "lab1.vscript")
        let report = Diagnostic(
            Sample.fault, "`mov cr3, rax` faults at ring 3", at: SourceSpan(file, 26..<38),
            label: "#GP(0): control registers need ring 0",
            notes: ["if that is the lesson, catch it: on exception(.GP) { … }"], severity: .warning)
        #expect(
            report.rendered() == """
                warning[V0610]: `mov cr3, rax` faults at ring 3
                  --> lab1.vscript:21:7
                21 |       mov cr3, rax
                   |       ^^^^^^^^^^^^ #GP(0): control registers need ring 0
                   = note: if that is the lesson, catch it: on exception(.GP) { … }

                """)
    }

    @Test("carets stand under wide characters and tabs; long lines are cut around the mistake")
    func columns() throws {
        let wide = try #require(tree("let a = \"日本\" +\t?").diagnostics.first).rendered()
        #expect(wide.contains(" 1 | let a = \"日本\" +    ?\n   |                     ^ "))
        let long =
            "let a = [" + String(repeating: "1, ", count: 500) + "'ab'" + String(repeating: ", 1", count: 500) + "]"
        let lines = try #require(tree(long).diagnostics.first).rendered().split(separator: "\n")
        #expect(lines.allSatisfy { $0.count < 260 })
        let caret = try #require(lines.first { $0.contains("^^^^") }?.firstIndex(of: "^"))
        let column = lines[3].distance(from: lines[3].startIndex, to: caret)
        #expect(lines[2].dropFirst(column).hasPrefix("'ab'"))
    }

    @Test("control characters of a script do not reach the terminal")
    func controlCharacters() throws {
        let text = try #require(tree("let \u{1B}[31m = 1").diagnostics.first).rendered()
        #expect(!text.unicodeScalars.contains { $0.value < 32 && $0 != "\n" })
    }

    // MARK: - JSON

    @Test("a report as JSON")
    func json() throws {
        let report = try #require(tree("let é = 1\nx++").diagnostics.last)
        #expect(
            report.json == #"""
                {"type":"diagnostic","v":1,"code":"V0213","severity":"error","message":"there is no operator `++`","spans":[{"file":"test.vscript","start":{"line":2,"column":2,"byte":12},"end":{"line":2,"column":4,"byte":14},"label":"","primary":true}],"notes":[],"fixes":[{"title":"replace with ` += 1`","safe":true,"edits":[{"span":{"file":"test.vscript","start":{"line":2,"column":2,"byte":12},"end":{"line":2,"column":4,"byte":14}},"text":" += 1"}]}],"rendered":"error[V0213]: there is no operator `++`\n  --> test.vscript:2:2\n 2 | x++\n   |  ^^\n   = fix: replace with ` += 1`                        (vscript fix applies it)\n   = more: vscript explain V0213\n"}
                """#)
    }

    @Test("JSON strings are escaped")
    func jsonStrings() {
        #expect(JSON.string("a\"\\\n\t\u{1}é😀").text == #""a\"\\\n\t\u0001é😀""#)
        #expect(
            JSON.object([("b", .integer(1)), ("a", .array([.null, .bool(true), .number("1.5")]))]).text
                == #"{"b":1,"a":[null,true,1.5]}"#)
    }

    // MARK: - Habits of other languages

    /// A slip, the code of its only report, and the text after `vscript fix`.
    static let fixed = [
        ("x++", "V0213", "x += 1"), ("a.b--", "V0213", "a.b -= 1"), ("fn f() { n++ }", "V0213", "fn f() { n += 1 }"),
        ("if a and b { }", "V0214", "if a && b { }"), ("let c = a or b", "V0214", "let c = a || b"),
        ("a and f()", "V0214", "a && f()"), ("if not a { }", "V0214", "if !a { }"),
        ("let c = not a.b", "V0214", "let c = !a.b"), ("x = 1\nmemory: 4", "V0208", "x = 1\nmemory = 4"),
        ("if a = 1 { }", "V0215", "if a == 1 { }"), ("while a = 1 { }", "V0215", "while a == 1 { }"),
        ("f(a = 1, b = 2)", "V0215", "f(a: 1, b: 2)"), ("let m = [a = 1]", "V0215", "let m = [a: 1]"),
        ("let s = 'it is'", "V0111", "let s = \"it is\""), ("let n = 0XFF", "V0108", "let n = 0xFF"),
        ("let n = 10UL", "V0108", "let n = 10"), ("let n = 4 mib", "V0109", "let n = 4 MiB"),
        ("let n = 0x10KIB", "V0109", "let n = 0x10KiB"), ("match x { 1 => 2 }", "V0212", "match x { case 1 => 2 }"),
        ("match x { default => 2 }", "V0212", "match x { else => 2 }"),
        ("match x { case 1: 2 }", "V0202", "match x { case 1 => 2 }"), ("int x = 5", "V0217", "var x = 5"),
        ("const x = 5", "V0217", "let x = 5"), ("func f(a) { a }", "V0217", "fn f(a) { a }"),
        ("def f() { }", "V0217", "fn f() { }"), ("let mut x = 5", "V0217", "var x = 5"),
        ("if a { } elif b { } else { }", "V0219", "if a { } else if b { } else { }"),
        ("x := 5", "V0208", "let x = 5"), ("print (1)", "V0221", "print(1)"), ("f(a b)", "V0222", "f(a, b)"),
        ("let a = “text”", "V0103", nil), ("x = .5", "V0108", "x = 0.5"), ("let s = \"\\x41\\e[0m\"", "V0112", nil),
        ("x = 1 # one", "V0103", "x = 1 // one"),
    ]

    @Test("slips from other languages are reported once and mended", arguments: fixed)
    func habits(source: String, code: String, result: String?) {
        let tree = tree(source)
        #expect(Set(tree.diagnostics.map(\.code)) == [code])
        guard let result else { return }
        #expect(Diagnostic.Fix.applySafe(from: tree.diagnostics, to: tree.file) == result)
        #expect(codes(result) == [])
    }

    static let hinted = [
        ("let b = a ? 1 : 2", "V0218", "if a { b } else { c }"), ("let m = {a: 1}", "V0223", "[name: value]"),
        ("let m = {}", "V0223", "[:]"), ("f(&x)", "V0201", "no pointers"), ("for i in 0..9 { }", "V0207", "..<"),
        ("for (i = 0; i < 3; i += 1) { }", "V0207", "0..<10"), ("print \"a\", 1", "V0203", "print(…)"),
        ("let x: int = 5", "V0202", "no declared type"), ("fn f(x: int) { }", "V0202", "no declared type"),
        ("++x", "V0213", "+= 1"), ("let a = 1 <= b < 3", "V0210", "&&"),
    ]

    @Test("slips from other languages come with a hint", arguments: hinted)
    func hints(source: String, code: String, hint: String) {
        let diagnostics = tree(source).diagnostics
        #expect(diagnostics.map(\.code) == [code])
        #expect(diagnostics.first?.rendered().contains(hint) == true)
    }

    // MARK: - Recovery

    @Test("two mistakes in two statements make two reports")
    func recovery() {
        #expect(codes("let = 1\nlet b = 2\nfor in c { }\nx++\nlet d = [1 2]") == ["V0207", "V0207", "V0213", "V0222"])
        #expect(codes("fn f() {\n  let = 1\n  g(\n}\nlet = 2") == ["V0207", "V0204", "V0207"])
        #expect(codes("f(a,\n  b c,\n  d)\nlet = 1") == ["V0222", "V0207"])
        #expect(codes("f(a\nlet b = 1\nlet = 2") == ["V0204", "V0207"])
        #expect(codes("print(\"a \\(b\")\nlet = 2") == ["V0106", "V0207"])
        #expect(codes("print(\"a \\(b\nlet c = \"d\"\nlet = 2") == ["V0106", "V0207"])
        #expect(codes("print(\"a)\nlet = 2") == ["V0105", "V0207"])
        #expect(codes("print(\"a \\(b c) d\", e f)") == ["V0106", "V0222"])
        #expect(codes("match x {\n  case 1 => )\n  2 => 3\n  else => 4\n}\nx++") == ["V0205", "V0212", "V0213"])
        #expect(
            codes("guest g {\n  memory = ,\n  boot: .long\n  ring 0 { dpl: }\n}\n}") == ["V0201", "V0201", "V0205"])
        #expect(codes("if a b {\n  c\n}\nlet = 1") == ["V0202", "V0207"])
    }

    @Test("an unclosed bracket is shown where it opens")
    func unclosed() throws {
        let report = try #require(tree("fn f() {\n  if a {\n    b\n}\n").diagnostics.first)
        #expect(report.code == "V0204")
        #expect(report.span?.startPosition.line == 2)
        let call = try #require(tree("f(a,\n  b\nlet c = 1").diagnostics.first)
        #expect(call.span?.startPosition.line == 2)
        #expect(call.labels.last?.span.text == "(")
    }

    @Test("names are suggested within edit distance 2")
    func suggestions() {
        #expect(Suggestion.closest(to: "memroy", in: ["memory", "boot"]) == "memory")
        #expect(Suggestion.closest(to: "transitons", in: ["transitions"]) == "transitions")
        #expect(Suggestion.closest(to: "cpsu", in: ["cpus", "cpuid"]) == "cpus")
        #expect(Suggestion.closest(to: "xyz", in: ["memory", "boot"]) == nil)
        #expect(Suggestion.closest(to: "a", in: ["b1", "ab"]) == "ab")
    }
}

@Suite("Completeness")
struct CompletenessTests {
    @Test(
        "a text that a further line can finish is incomplete",
        arguments: [
            "guest g {", "f(1,", "let x =", "a +", "if a", "\"\"\"\nabc", "/* a", "asm { mov", "let x = [", "try { 1 }",
            "match x {\n case 1 =>", "fn f(a) {\n  if a {\n  }", "\"\\(", "print(\"\"\"\n \\(a", "import",
        ])
    func incomplete(source: String) {
        #expect(!isComplete(source))
        #expect(!isComplete(source + "\n"))
    }

    @Test(
        "other texts are complete, right or wrong",
        arguments: [
            "", "1", "guest g { }", "f(1)", "let x = 1", "\"abc", "let = 1", "a b c", "}", "if a { } else { }", "'",
            "let = 1\nguest g {", "// a", "0xZZ", "return",
        ])
    func complete(source: String) {
        #expect(isComplete(source))
    }
}
