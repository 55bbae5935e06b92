import Testing
import VScriptSyntax

@Suite("Grammar")
struct GrammarTests {
    @Test("the examples of the language's description parse", arguments: exampleNames)
    func examples(name: String) {
        let source = example(name)
        #expect(!source.isEmpty)
        #expect(codes(source) == [])
    }

    static let legal = [
        "let f = fn(x, y = 2) { x + y }",
        "let h = on g.write(0x1000 ..+ 8) if event.value > 3 { event.stop() }; h.off()",
        "g.mem[0x1000 ..+ 4] = hex\"90 90 90 cc\"", "$rax = 5; $IF = false",
        "let v = if a { 1 } else if b { 2 } else { 3 }",
        "let x = match n { case 0 => \"z\"; case 1...9, 'a' => \"d\"; case .x if y > 3 => \"s\"; else => throw \"no\" }",
        "let s = \"\"\"\n  a \\(x:#018x) b\n  \"\"\"",
        "let k = asm(bits: 16, at: 0x7c00) { mov ax, [bx+si] ; { } // c }\n}",
        "items\n  .filter(fn(x) { x > 1 })\n  .show()", "while true { if done { break } }",
        "for k, v in m { print(k, v) }", "let m = [:]; let n = [a: 1, \"b c\": 2, (x): 3]", "guest bare",
        "guest is on vt { }",
        "switch lan { }", "device { }", "let e = try { f() } catch { nil }", "import std.trace as tr",
        "x &= ~0xFFF; y = a ?? b + 1 << 3", "fn f() { return }", "expect !(a || b) && c in [1, 2], \"why\"",
        "let d = 1.5 GiB + 3 ms * 2", "test \"x \\(n)\" { timeout: 5 s; expect true }", "let z = -x.bits(0...11)",
        "return", "/* a /* b */ c */ let q = re\"^a\\d$\"",
    ]

    @Test("odd forms are legal", arguments: legal)
    func legalForm(source: String) {
        #expect(codes(source) == [])
    }

    /// Malformed forms, with the code of their only report.
    static let malformed = [
        ("let = 3", "V0207"), ("if x { 1", "V0204"), ("for in x {}", "V0207"), ("let x = 0xZZ", "V0108"),
        ("match x { 1 => 2 }", "V0212"), ("f(a b)", "V0222"), ("let x = [1 2]", "V0222"), ("on { }", "V0201"),
        ("a..b", "V0207"), ("x++", "V0213"), ("guest g on { }", "V0201"), ("let x = \"abc", "V0105"),
        ("asm { mov", "V0107"), ("&x", "V0201"), ("import \"a.vscript\"", "V0216"), ("let x = 1 let y = 2", "V0203"),
        ("case 1", "V0219"), ("a = b = c", "V0215"), ("fn (x) x", "V0202"), ("a < b < c", "V0210"),
        ("memory: 4 MiB", "V0208"), ("let x = 4 KiBs", "V0109"), ("let x = 'abc'", "V0111"),
        ("let m = [a: 1, 2]", "V0211"), ("print \"hi\" 3", "V0203"),
    ]

    @Test("malformed forms are reported once", arguments: malformed)
    func malformedForm(source: String, code: String) {
        #expect(codes(source) == [code])
    }

    @Test("operators bind as in Swift")
    func precedence() {
        #expect(
            outline("x = a + b * c << d").contains(
                "(binary (name a) + (binary (name b) * (binary (name c) << (name d))))"))
        #expect(outline("x = a & m == 0").contains("(binary (binary (name a) & (name m)) == (number 0))"))
        #expect(outline("x = a - b - c").contains("(binary (binary (name a) - (name b)) - (name c))"))
        #expect(outline("x = a || b && c").contains("(binary (name a) || (binary (name b) && (name c)))"))
        #expect(outline("x = a ?? b ..< c").contains("(binary (name a) ?? (binary (name b) ..< (name c)))"))
        #expect(outline("x = -a.b[c](d)").contains("(unary - (call (index (member (name a) . b) [ (name c) ])"))
        #expect(outline("x = i in 0..<9 && !y").contains("(binary (binary (name i) in (binary"))
    }

    @Test("a line break ends a statement, except in brackets, after an operator and before a dot")
    func lineBreaks() {
        #expect(tree("a\nb").program.statements.count == 2)
        #expect(tree("a +\nb").program.statements.count == 1)
        #expect(tree("a\n  .b\n  .c()").program.statements.count == 1)
        #expect(tree("f(a\n, b\n)").program.statements.count == 1)
        #expect(tree("(a\n- b)").program.statements.count == 1)
        #expect(tree("a\n-b").program.statements.count == 2)
        #expect(tree("a\n[1]").program.statements.count == 2)
        #expect(tree("fn f() {\n  let x = (1 +\n    2)\n  x\n}\nf()").program.statements.count == 2)
        #expect(codes("if a\n{\n}\nelse\n{\n}") == [])
    }

    @Test("a declaration has a kind, a label, a parent and a body")
    func declaration() throws {
        let statements = tree("gate 0x80 on vm.x { dpl: 3; on read { } }\ntest \"a \\(b)\" { }\nguest g").program
            .statements
        try #require(statements.count == 3)
        guard case .declaration(let gate) = statements[0], case .declaration(let test) = statements[1],
            case .declaration(let guest) = statements[2]
        else { throw Unexpected() }
        #expect(gate.kind?.text == "gate")
        guard case .number(let label) = gate.label else { throw Unexpected() }
        #expect(label.value == .integer(0x80))
        #expect(gate.parent?.span.text == "vm.x")
        #expect(gate.header.text == "gate 0x80")
        #expect(gate.body?.statements.count == 2)
        guard case .string(let title) = test.label else { throw Unexpected() }
        #expect(title.plainText == nil)
        #expect(title.segments.count == 2)
        guard case .name(let name) = guest.label else { throw Unexpected() }
        #expect(name.text == "g")
        #expect(guest.body == nil)
    }

    @Test("documentation comments belong to what follows")
    func documentation() throws {
        guard case .function(let function) = tree("/// One.\n///  Two.\nfn f() { }").program.statements[0] else {
            throw Unexpected()
        }
        #expect(function.documentation == "One.\n Two.")
    }

    @Test("match arms hold patterns, a guard and a body")
    func match() throws {
        let source = "match n { case 1, 2...3 if n > 2 => 5; else => { 6 } }"
        guard case .expression(.match(let match)) = tree(source).program.statements[0] else { throw Unexpected() }
        try #require(match.arms.count == 2)
        #expect(match.arms[0].patterns.map(\.span.text) == ["1", "2...3"])
        #expect(match.arms[0].guard?.span.text == "n > 2")
        #expect(match.arms[1].isElse)
    }

    struct Unexpected: Error {}
}
