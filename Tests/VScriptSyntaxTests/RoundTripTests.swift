import Testing
import VScriptSyntax
import _SeededNumbers

@Suite("Lossless tree")
struct RoundTripTests {
    /// Walks every node and token, checks that they tile the text, and returns it.
    private func reproduce(_ tree: SyntaxTree) -> [UInt8] {
        var bytes: [UInt8] = []
        var position = 0
        func walk(_ node: SyntaxNode) {
            for element in node.elements {
                switch element {
                case .node(let child): walk(child)
                case .token(let token):
                    for piece in token.trivia {
                        #expect(piece.range.lowerBound == position)
                        bytes += tree.file.bytes[piece.range]
                        position = piece.range.upperBound
                    }
                    #expect(token.span.start == position)
                    bytes += tree.file.bytes[token.span.range]
                    position = token.span.end
                }
            }
        }
        walk(tree.root)
        return bytes
    }

    @Test("every legal and malformed form is reproduced byte for byte")
    func forms() {
        let forms = GrammarTests.legal + GrammarTests.malformed.map(\.0) + exampleNames.map(example)
        for source in forms + SyntaxCode.allCases.flatMap({ [$0.page.failing, $0.page.fixed] }) {
            #expect(reproduce(tree(source)) == Array(source.utf8))
        }
    }

    @Test("texts that are not UTF-8 are reproduced too")
    func invalidText() {
        let bytes: [UInt8] = [0x61, 0xFF, 0x0A, 0xC3, 0x28]
        let tree = parse(SourceFile(bytes: bytes, named: "x"))
        #expect(tree.diagnostics.map(\.code) == ["V0101"])
        #expect(tree.diagnostics[0].span?.start == 1)
        #expect(reproduce(tree) == bytes)
    }

    @Test("damaged scripts are reproduced, reported inside the text, and rendered", arguments: 0..<8)
    func damaged(seed: UInt64) {
        var generator = SeededNumbers(seed)
        let sources = exampleNames.map { Array(example($0).utf8) } + GrammarTests.legal.map { Array($0.utf8) }
        let fragments = [
            "\"", "\\(", ")", "{", "}", "asm {", "[", "]", "(", "case", "\"\"\"", "/*", "\n", "'", "=", ":", "é", "0x",
            ".",
        ]
        for _ in 0..<150 {
            var bytes = sources.randomElement(using: &generator) ?? []
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let start = Int.random(in: 0...bytes.count, using: &generator)
                let end = min(bytes.count, start + Int.random(in: 0...12, using: &generator))
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes.removeSubrange(start..<end)
                case 1:
                    bytes.insert(contentsOf: Array((fragments.randomElement(using: &generator) ?? "").utf8), at: start)
                case _: bytes.insert(contentsOf: bytes[start..<end].reversed(), at: start)
                }
            }
            let file = SourceFile(bytes: bytes, named: "fuzz")
            let tree = parse(file)
            if reproduce(tree) != bytes { Issue.record("not reproduced: \(file.text)") }
            for diagnostic in tree.diagnostics {
                #expect(diagnostic.labels.allSatisfy { 0...$0.span.end ~= $0.span.start && $0.span.end <= bytes.count })
                #expect(!diagnostic.rendered().isEmpty)
            }
            if String(validating: bytes, as: UTF8.self) != nil {
                #expect(tree.isValid || tree.diagnostics.contains { $0.severity == .error })
            }
        }
    }

    @Test("random scripts are legal and reproduced byte for byte", arguments: 1000..<longOr(1004, 1400))
    func randomPrograms(seed: UInt64) {
        var generator = ProgramGenerator(seed: seed)
        for _ in 0..<50 {
            let source = generator.program()
            let tree = tree(source)
            #expect(tree.diagnostics.map(\.code) == [], "\(source)")
            if reproduce(tree) != Array(source.utf8) { Issue.record("not reproduced: \(source)") }
        }
    }

    /// Statements with one mistake that ends with their line, and its code.
    static let mistakes = [
        ("let = 3", "V0207"), ("for in x { }", "V0207"), ("let x = 0xZZ", "V0108"), ("match x { 1 => 2 }", "V0212"),
        ("f(a b)", "V0222"), ("let x = [1 2]", "V0222"), ("a..b", "V0207"), ("x++", "V0213"),
        ("guest g on { }", "V0201"),
        ("let x = \"abc", "V0105"), ("&x", "V0201"), ("import \"a.vscript\"", "V0216"),
        ("let x = 1 let y = 2", "V0203"),
        ("a = b = c", "V0215"), ("a < b < c", "V0210"), ("let x = 4 KiBs", "V0109"), ("let x = 'abc'", "V0111"),
        ("let m = [a: 1, 2]", "V0211"), ("print \"hi\" 3", "V0203"), ("int x = 3", "V0217"),
        ("if a and b { }", "V0214"),
        ("let b = a ? 1 : 2", "V0218"), ("print (1)", "V0221"), ("let m = {a: 1}", "V0223"), ("f() = 2", "V0209"),
        ("let t = \"\\q\"", "V0112"), ("let t = \"\\(1:hex)\"", "V0115"), ("hex\"9\"", "V0114"),
        ("let t = \"\\(a\"", "V0106"),
    ]

    @Test("one mistake in a random script makes one report", arguments: mistakes)
    func oneMistake(mistake: String, code: String) {
        var generator = ProgramGenerator(seed: UInt64(mistake.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) }))
        generator.mistake = mistake
        for _ in 0..<longOr(10, 500) {
            let source = generator.program()
            #expect(codes(source) == [code], "\(source)")
        }
    }

    @Test("random tokens never stop the parser")
    func randomTokens() {
        var generator = SeededNumbers(7)
        let words =
            TokenKind.allCases.compactMap(\.spelling) + ["a", "b", "1", "\"s\"", "\n", "$rax", "\\(", "4 KiB", "'x'"]
        for _ in 0..<300 {
            let count = Int.random(in: 1...60, using: &generator)
            let source = (0..<count).map { _ in words.randomElement(using: &generator) ?? "" }.joined(separator: " ")
            #expect(reproduce(tree(source)) == Array(source.utf8))
        }
    }

    @Test(
        "deep nesting is refused with one report",
        arguments: [
            "(", "[", "f(", "-", "!", "if a { ", "x = fn() { ", "\"\\(", "a + (", "match a { case 1 => ", "guest g { ",
            "try { ",
        ])
    func deepNesting(opening: String) {
        let tree = tree(String(repeating: opening, count: 20_000))
        #expect(tree.diagnostics.map(\.code) == ["V0206"])
        #expect(tree.root.height < 1_300)
    }

    @Test("long chains are refused with one report", arguments: ["+ 1 ", ".a", "(1)", "[1]", " else if a { }"])
    func longChains(link: String) {
        let start = link.contains("if") ? "if a { }" : "a"
        #expect(codes(start + String(repeating: link, count: 20_000)) == ["V0206"])
        #expect(codes(start + String(repeating: link, count: 150)) == [])
    }

    @Test("a megabyte is read", .timeLimit(.minutes(5)))
    func largeFile() {
        let source = String(repeating: example("6-device"), count: 1_400)
        #expect(source.utf8.count > 1_000_000)
        let tree = tree(source)
        #expect(tree.isValid)
        #expect(tree.tokens.count == 1_400 * (parse(SourceFile(example("6-device"), named: "")).tokens.count - 1) + 1)
    }

    @Test("a megabyte of mistakes on one line is read", .timeLimit(.minutes(5)))
    func largeBrokenFile() {
        #expect(codes(String(repeating: "let = 'abc' ;", count: 80_000)).count == 200)
        #expect(codes(String(repeating: "}])", count: 300_000)).count <= 200)
        #expect(codes(String(repeating: "\"", count: 1_000_001)).count <= 200)
        #expect(codes(String(repeating: "[(", count: 500_000)) == ["V0206"])
    }
}
