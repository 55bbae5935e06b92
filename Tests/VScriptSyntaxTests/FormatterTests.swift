import Testing
import VScriptSyntax

/// The script in the language's layout; nil if it is malformed.
private func formatted(_ source: String) -> String? { ScriptFormatter.format(tree(source)) }

/// What a script says, apart from its layout: its tokens without semicolons, raw assembly without white space.
private func words(_ tree: SyntaxTree) -> [String] {
    tree.tokens.filter { $0.kind != .semicolon }.map { token in
        let text = tree.file.text(token.range)
        return token.kind == .assemblyText ? String(text.filter { !$0.isWhitespace }) : text
    }.filter { !$0.isEmpty }
}

/// The comments of a script in their order.
private func comments(_ tree: SyntaxTree) -> [String] {
    func collect(_ node: SyntaxNode) -> [String] {
        node.elements.flatMap { element in
            switch element {
            case .node(let child): collect(child)
            case .token(let token):
                token.trivia.filter(\.isComment).map { String(tree.file.text($0.range).trimmed) }
            }
        }
    }
    return collect(tree.root)
}

/// How the nodes of a script nest.
private func shape(_ node: SyntaxNode) -> String {
    "(\(node.kind)" + node.children.map(shape).joined() + ")"
}

@Suite("Formatter")
struct FormatterTests {
    /// Checks what holds for every script.
    private func check(_ source: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let before = tree(source)
        guard let text = ScriptFormatter.format(before) else {
            Issue.record("malformed: \(codes(source)) \(source)", sourceLocation: sourceLocation)
            return
        }
        let after = tree(text)
        let isSame = after.isValid && words(before) == words(after) && shape(before.root) == shape(after.root)
        #expect(isSame, "meaning changed:\n\(source)\n----\n\(text)", sourceLocation: sourceLocation)
        let keepsComments = comments(before).map(Self.squeezed) == comments(after).map(Self.squeezed)
        #expect(keepsComments, "comments changed:\n\(source)\n----\n\(text)", sourceLocation: sourceLocation)
        let again = ScriptFormatter.format(after)
        #expect(
            again == text, "not idempotent:\n\(source)\n----\n\(text)\n----\n\(again ?? "")",
            sourceLocation: sourceLocation)
        #expect(text.isEmpty || text.hasSuffix("\n") && !text.hasSuffix("\n\n"), sourceLocation: sourceLocation)
    }

    /// A comment without the white space at the ends of its lines.
    private static func squeezed(_ comment: String) -> String {
        comment.split(separator: "\n", omittingEmptySubsequences: false).map { $0.trimmed }.joined(separator: "\n")
    }

    @Test(
        "random scripts keep their meaning and comments, and a second pass changes nothing",
        arguments: 0..<longOr(8, 400))
    func randomPrograms(seed: UInt64) {
        var generator = ProgramGenerator(seed: seed)
        for _ in 0..<50 { check(generator.program()) }
    }

    @Test("legal forms and the pages of codes keep their meaning")
    func forms() {
        for source in GrammarTests.legal + SyntaxCode.allCases.map(\.page.fixed) { check(source) }
    }

    @Test("the examples of the language's description are in its layout", arguments: exampleNames)
    func examples(name: String) {
        check(example(name))
        // The third sets the arguments of several calls in columns, which is not kept.
        if name != "3-techniques" { #expect(formatted(example(name)) == example(name)) }
    }

    @Test("malformed scripts are left alone", arguments: GrammarTests.malformed.map(\.0))
    func malformed(source: String) {
        #expect(formatted(source) == nil)
    }

    /// A script and what becomes of it; nil for one that is malformed.
    static let cases: [(String, String?)] = [
        ("", ""), ("\n\n  \n", ""), ("// only\n\n\n\n// remarks", "// only\n\n// remarks\n"),
        ("let  a=1\r\n\r\n\r\n\r\nlet b = 2;;\n", "let a = 1\n\nlet b = 2\n"),
        ("f( a,b , c:1 )", "f(a, b, c: 1)\n"),
        ("let m=[a:1,\"b\":2,]; let e=[ : ]", "let m = [a: 1, \"b\": 2,]; let e = [:]\n"),
        ("x=-a+~b*!c", "x = -a + ~b * !c\n"),
        ("a=1 ... 4\nb=0..<n-1\nc=s..+4KiB", "a = 1...4\nb = 0 ..< n - 1\nc = s ..+ 4 KiB\n"),
        ("a=.x ... .y", "a = .x ... .y\n"), ("a [0]", nil), ("let s = \"\\( a+1 :#x)\"", "let s = \"\\(a + 1:#x)\"\n"),
        ("if a\n{\nb\n}\nelse\n{\nc\n}", "if a {\n  b\n} else {\n  c\n}\n"),
        ("if a { b } else if c { d }", "if a { b } else if c { d }\n"),
        ("try { a }\ncatch e { b }", "try { a } catch e { b }\n"),
        ("if a // why\n{ b }", "if a // why\n{ b }\n"), ("fn f ( a,b = 2 ){ }", "fn f(a, b = 2) { }\n"),
        ("on read { a\n b }", "on read {\n  a\n  b\n}\n"),
        ("guest g{memory:4 MiB;boot:.long}", "guest g { memory: 4 MiB; boot: .long }\n"),
        ("fn f() {\n\n\n  // first\n\n\n  a\n\n  // last\n\n}", "fn f() {\n  // first\n\n  a\n\n  // last\n}\n"),
        ("a;\n.b.c()", "a;\n.b.c()\n"), ("a\n   .b()\n .c()", "a\n  .b()\n  .c()\n"),
        ("let x = a +\nb", "let x = a +\n  b\n"), ("if a &&\nb {\nc\n}", "if a &&\n    b {\n  c\n}\n"),
        ("f(\na,\nb\n)", "f(\n  a,\n  b\n)\n"), ("call(a,\nb,\nc)", "call(a,\n     b,\n     c)\n"),
        ("show([\n1,\n2\n], sort: 1)", "show([\n  1,\n  2\n], sort: 1)\n"),
        ("after(1 us, fn() {\nx\n})", "after(1 us, fn() {\n  x\n})\n"),
        ("f(a\n, b)", "f(a, b)\n"), ("f(/* x */a/* y */,b)", "f(/* x */ a /* y */, b)\n"),
        ("let a = 1    // one\nlet bc = 2   // two", "let a = 1    // one\nlet bc = 2   // two\n"),
        ("let a=1//one", "let a = 1 //one\n"), ("a;   // after\nb", "a    // after\nb\n"),
        ("match x{case 1,2 if y=>a;else=>b}", "match x { case 1, 2 if y => a; else => b }\n"),
        (
            "match x {\ncase 1 => {\na\n}\n\n\n// rest\nelse => b }",
            "match x {\n  case 1 => {\n    a\n  }\n\n  // rest\n  else => b\n}\n"
        ),
        ("import a . b as c", "import a.b as c\n"), ("#!/bin/vscript\n\n\nlet a=1", "#!/bin/vscript\n\nlet a = 1\n"),
        ("/// Doc.\nfn f(){}", "/// Doc.\nfn f() { }\n"),
        ("let t = \"\"\"\n      a\n      \"\"\"", "let t = \"\"\"\n      a\n      \"\"\"\n"),
    ]

    @Test("layout by example", arguments: cases)
    func layout(source: String, expected: String?) {
        #expect(formatted(source) == expected)
    }

    static let assembly: [(String, String)] = [
        ("asm { hlt }", "asm { hlt }\n"), ("asm {hlt;nop }", "asm { hlt; nop }\n"), ("asm{}", "asm { }\n"),
        ("asm(bits:16){\nhlt\n}", "asm(bits: 16) {\n  hlt\n}\n"),
        (
            "asm {\nstart: mov  eax,1\nhlt\nlonger:ret\n}",
            "asm {\n  start:  mov eax,1\n          hlt\n  longer: ret\n}\n"
        ),
        ("asm {\n  start:    nop\n            hlt\n}", "asm {\n  start:    nop\n            hlt\n}\n"),
        ("asm {\nstart:\n  nop\n  jmp start\n}", "asm {\n  start:\n    nop\n    jmp start\n}\n"),
        ("asm {\n\n\n  nop // one\n\n\n  nop     // two\n\n}", "asm {\n  nop // one\n\n  nop     // two\n}\n"),
        ("asm { // why\n  db \"a  ; b\" , 'x'\n}", "asm { // why\n  db \"a  ; b\" , 'x'\n}\n"),
        ("asm {\n  mov eax, \\( a+1 )\n}", "asm {\n  mov eax, \\(a + 1)\n}\n"),
        (
            "asm {\n// top\nl:   nop\n     // below\n     hlt\n}",
            "asm {\n  // top\n  l:   nop\n       // below\n       hlt\n}\n"
        ),
    ]

    @Test("labels and instructions of assembly have their columns", arguments: assembly)
    func assemblyLayout(source: String, expected: String) {
        #expect(formatted(source) == expected)
        check(source)
    }
}
