import Foundation
import Testing
import VScript
import VScriptSyntax

@Suite("Reference of the documentation")
struct ReferenceTests {
    private static let catalogue = repository.appendingPathComponent("Sources/VScript/Documentation.docc")

    @Test("each page says what the tables say; VSCRIPT_RECORD=1 writes it", arguments: ReferencePages.all.map(\.path))
    func freshness(path: String) throws {
        let text = try #require(ReferencePages.all.first { $0.path == path }?.text)
        let file = Self.catalogue.appendingPathComponent(path)
        if ProcessInfo.processInfo.environment["VSCRIPT_RECORD"] != nil {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
            Issue.record("recorded \(path): look at what has changed")
        }
        #expect((try? String(contentsOf: file, encoding: .utf8)) == text)
    }

    @Test("no page is left over")
    func leftovers() {
        let expected = Set(ReferencePages.all.map { "Sources/VScript/Documentation.docc/\($0.path)" })
        #expect(documentationPages.filter { $0.split(separator: "/").count > 4 && !expected.contains($0) } == [])
    }

    @Test("everything in the tables has a summary of one sentence")
    func summaries() {
        let entries = Catalogue.builtins + Catalogue.modules.flatMap(\.entries) + Catalogue.types.flatMap(\.entries)
        #expect(entries.count > 100)
        for entry in entries { #expect(entry.summary.hasSuffix("."), "\(entry.signature)") }
        for kind in Schema.standard.kinds.values {
            #expect(kind.summary.hasSuffix("."))
            #expect(kind.properties.allSatisfy { !$0.summary.isEmpty })
        }
    }
}
