import Foundation
import Testing
import VScript
import VScriptREPL
import VScriptSyntax

/// `vscript repl --json`: what the documentation shows, and what nobody should send.
@Suite("The protocol of --json")
struct ProtocolTests {
    private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources/VScript/Documentation.docc/Protocol.md")

    /// A session in JSON on a script.
    private final class JSONClient {
        private(set) var lines: [String] = []
        private let repl: REPL
        private var session: JSONSession?

        init(_ script: String) {
            let session = Session()
            repl = REPL(scope: SessionScope(session)) { _ in }
            session.output = { [unowned repl] in repl.output(.printed($0)) }
            let json = JSONSession(repl) { [unowned self] in lines.append($0) }
            self.session = json
            repl.begin(with: SourceFile(script, named: "lab.vscript"), environment: [:])
            json.begin()
        }

        /// The answers to a request.
        func ask(_ line: String) -> [String] {
            lines = []
            _ = session?.answer(line)
            return lines
        }
    }

    private static func blocks(_ language: String) throws -> [String] {
        let text = try String(contentsOf: page, encoding: .utf8)
        return text.matches(of: /```([a-z]+)\n((?:.*\n)*?)```\n/).filter { $0.1 == language }.map { String($0.2) }
    }

    /// Whether an answer has everything that the page shows; it may have more.
    private static func contains(_ answer: Any?, _ shown: Any) -> Bool {
        switch (answer, shown) {
        case (let answer as [String: Any], let shown as [String: Any]):
            shown.allSatisfy { contains(answer[$0.key], $0.value) }
        case (let answer as [Any], let shown as [Any]):
            answer.count == shown.count && zip(answer, shown).allSatisfy { contains($0, $1) }
        case (let answer as NSObject, let shown as NSObject): answer.isEqual(shown)
        case _: false
        }
    }

    private static func object(_ line: some StringProtocol) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(line.utf8))
    }

    @Test("each example of the page is answered as it shows")
    func examples() throws {
        let client = JSONClient(try #require(try Self.blocks("vscript").first))
        var answers = client.lines
        var asked = 0
        for block in try Self.blocks("json") {
            for line in block.split(separator: "\n") {
                if line.hasPrefix("> ") {
                    #expect(answers.isEmpty, "before \(line) there is more: \(answers)")
                    answers = client.ask(String(line.dropFirst(2)))
                    asked += 1
                } else {
                    try #require(line.hasPrefix("< ") && !answers.isEmpty, "\(line)")
                    let answer = answers.removeFirst()
                    #expect(Self.contains(try Self.object(answer), try Self.object(line.dropFirst(2))), "\(answer)")
                }
            }
        }
        #expect(answers.isEmpty && asked > 10)
    }

    @Test("every type of message has its own line in the page's table")
    func types() throws {
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        for type in ["stop", "value", "table", "output", "diagnostic", "completions", "isComplete", "inspect", "ready"]
        {
            #expect(text.contains("| `\(type)` |"), "\(type)")
        }
    }

    @Test("whatever is sent, each request is answered by objects of JSON that end with `ready`")
    func fuzz() throws {
        let client = JSONClient("let a = 1\n")
        var generator = SystemRandomNumberGenerator()
        let pieces = [
            "{", "}", "[", "]", "\"", ":", ",", "input", "complete", "cursor", "isComplete", "inspect", "id", "null",
            "true", "-1", "1e400", "9223372036854775808", "\\u0000", "\\ud800", "s", "p 1", "é", "\u{0}", "\u{1B}[2J",
            "{\"input\":\"p 1\"}", "{\"complete\":\"in\",\"cursor\":", "{\"inspect\":\"print\"}",
            String(repeating: "[", count: 2_000),
        ]
        for _ in 0..<1_500 {
            let count = Int.random(in: 1...6, using: &generator)
            let line = (0..<count).compactMap { _ in pieces.randomElement(using: &generator) }.joined()
            let answers = client.ask(line)
            guard !line.trimmingCharacters(in: .whitespaces).isEmpty else { continue }
            let last = try Self.object(answers.last ?? "") as? [String: Any]
            #expect(last?["type"] as? String == "ready", "\(line)")
            for answer in answers {
                #expect(!answer.contains("\u{1B}") && (try? Self.object(answer)) != nil, "\(answer)")
            }
        }
        // In pieces of well-formed requests with odd values.
        for (key, value) in [
            ("input", "\"\""), ("input", "7"), ("input", "\":\""), ("complete", "\"é\",\"cursor\":1"),
            ("complete", "\"in\",\"cursor\":-9223372036854775808"),
            ("complete", "\"in\",\"cursor\":9223372036854775807"),
            ("isComplete", "\"\\u0000\""), ("inspect", "\"...\""), ("inspect", "\"\""), ("id", "1.5"), ("id", "{}"),
        ] {
            let answers = client.ask("{\"\(key)\":\(value)}")
            #expect(answers.last?.hasPrefix("{\"type\":\"ready\"") ?? false, "\(key) \(value)")
        }
    }
}
