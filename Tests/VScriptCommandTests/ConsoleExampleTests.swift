import Foundation
import Testing

/// The examples of the documentation that show a command line and what it answers.
@Suite("Commands of the documentation")
struct ConsoleExampleTests {
    /// The scripts that the examples name.
    private static let scripts = [
        "mask.vscript": "let mask = 0xFFu\n",
        "sums.vscript": """
        fn sum(items) { var n = 0; for i in items { n += i }; n }
        test "odd numbers" {
          let total = sum([1, 3, 5])
          expect total == 10
        }

        """,
    ]

    /// Each example: its page, the arguments, and the answer.
    private static let examples: [(page: String, arguments: [String], answer: String)] = {
        let catalogue = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/VScript/Documentation.docc")
        return ["Tests.md", "CommandLine.md"].flatMap { page in
            let text = (try? String(contentsOf: catalogue.appendingPathComponent(page), encoding: .utf8)) ?? ""
            return text.matches(of: /```console\n\$ vscript (.*)\n((?:.*\n)*?)```\n/).map { match in
                (page, words(String(match.1)), String(match.2))
            }
        }
    }()

    /// The words of a command line, with double quotes around those that hold spaces.
    private static func words(_ line: String) -> [String] {
        line.split(separator: "\"", omittingEmptySubsequences: false).enumerated().flatMap { index, part in
            index % 2 == 1 ? [String(part)] : part.split(separator: " ").map(String.init)
        }
    }

    @Test("each command answers what the page shows", arguments: examples.indices)
    func answer(index: Int) throws {
        let example = Self.examples[index]
        try withFiles(Self.scripts) { directory in
            let result = try vscript(example.arguments, in: directory)
            // Times differ.
            let output = (result.output + result.errors).replacing(/\d+\.\d+ m?s\b/, with: "TIME")
            #expect(output == example.answer, "\(example.page)")
        }
    }

    @Test("there are such examples")
    func count() { #expect(Self.examples.count >= 3) }
}
