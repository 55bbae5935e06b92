import Foundation
import Testing
import VScript
import VScriptSyntax

/// A fenced example of a page of the documentation.
struct FencedExample: Sendable, CustomTestStringConvertible {
    /// What an example is for, as the comment before it says, such as `fails V0301` or `check`; it is run if none does.
    ///
    /// What is `mended` runs too, but is not a model of layout.
    enum Purpose: Equatable { case run, check, mended, fails(String) }

    let page: String
    let line: Int
    let language: String
    let purpose: Purpose
    let text: String

    var testDescription: String { "\(page):\(line)" }

    /// All examples of the catalogue and of the README.
    static let all: [FencedExample] = documentationPages.flatMap { page in
        let text = (try? String(contentsOf: repository.appendingPathComponent(page), encoding: .utf8)) ?? ""
        return examples(in: text, of: page)
    }

    private static func examples(in text: String, of page: String) -> [FencedExample] {
        var examples: [FencedExample] = []
        var purpose = Purpose.run
        var open: (line: Int, language: String)?
        var content: [Substring] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if let opened = open {
                guard line == "```" else {
                    content.append(line)
                    continue
                }
                examples.append(
                    FencedExample(
                        page: page, line: opened.line, language: opened.language, purpose: purpose,
                        text: content.joined(separator: "\n") + "\n"))
                (open, content, purpose) = (nil, [], .run)
            } else if line.hasPrefix("```") {
                open = (index + 1, String(line.dropFirst(3)))
            } else if let match = line.wholeMatch(of: /<!-- fails (V\d{4}) -->/) {
                purpose = .fails(String(match.1))
            } else if line == "<!-- check -->" {
                purpose = .check
            } else if line == "<!-- mended -->" {
                purpose = .mended
            }
        }
        return examples
    }
}

/// The folder of the whole project.
let repository = fixtures.deletingLastPathComponent().deletingLastPathComponent()

/// The pages with examples, by their path in the project.
let documentationPages: [String] = {
    let catalogue = "Sources/VScript/Documentation.docc"
    let names =
        FileManager.default.enumerator(atPath: repository.appendingPathComponent(catalogue).path)?
        .compactMap { $0 as? String } ?? []
    return ["README.md"] + names.filter { $0.hasSuffix(".md") }.sorted().map { "\(catalogue)/\($0)" }
}()

@Suite("Documentation")
struct DocumentationTests {
    @Test(
        "each example runs, or fails as the page says",
        arguments: FencedExample.all.filter { $0.language == "vscript" })
    func example(_ example: FencedExample) throws {
        // Beside the recorded reports, where the module is that some pages import.
        let name = fixtures.appendingPathComponent("Diagnostics/example.vscript").path
        let code: String? = if case .fails(let code) = example.purpose { code } else { nil }
        let file = SourceFile(example.text, named: name)
        let codes = reports(on: file, showing: code, isRun: example.purpose != .check).map(\.code)
        #expect(codes == (code.map { [$0] } ?? []))
        if code == nil, example.purpose != .mended {
            #expect(ScriptFormatter.format(parse(file)) == example.text)
        }
    }

    @Test("every example is in a language that tests know")
    func languages() {
        let known = ["vscript", "swift", "sh", "console", "text", "json"]
        let unknown = FencedExample.all.filter { !known.contains($0.language) }
        #expect(unknown.map(\.testDescription) == [])
        #expect(FencedExample.all.count > 25)
    }

    @Test("commands name files of the project", arguments: FencedExample.all.filter { $0.language == "sh" })
    func commands(_ example: FencedExample) {
        for line in example.text.split(separator: "\n") {
            let words = line.prefix { $0 != "#" }.split(separator: " ")
            for word in words where word.contains("/") {
                let path = repository.appendingPathComponent(String(word)).path
                #expect(FileManager.default.fileExists(atPath: path), "\(word)")
            }
            #expect(words.first.map { $0.hasPrefix("scripts/") || $0 == "swift" } == true)
        }
    }

    @Test(
        "Swift in the documentation is Swift that the tests compile",
        arguments: FencedExample.all.filter { $0.language == "swift" })
    func swift(_ example: FencedExample) throws {
        let compiled = try String(
            contentsOf: fixtures.deletingLastPathComponent().appendingPathComponent(
                "VScriptTests/Documentation/SwiftExamples.swift"),
            encoding: .utf8)
        let lines = compiled.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        let wanted = example.text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        #expect(lines.joined(separator: "\n").contains(wanted.joined(separator: "\n")))
    }

    @Test("links lead to pages of the catalogue")
    func links() throws {
        let names = Set(documentationPages.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent })
        for page in documentationPages {
            let text = try String(contentsOf: repository.appendingPathComponent(page), encoding: .utf8)
            for match in text.matches(of: /<doc:([A-Za-z0-9-]+)>/) {
                #expect(names.contains(String(match.1)), "\(page) links to \(match.1)")
            }
        }
    }
}
