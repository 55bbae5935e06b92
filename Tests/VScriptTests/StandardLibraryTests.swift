import Foundation
import Testing
import VScript
import VScriptSyntax

/// The modules that are written in vscript, by their tests and as texts.
@Suite("Standard library")
struct StandardLibraryTests {
    private static let folder = repository.appendingPathComponent("stdlib")

    private static func scripts(_ folder: URL) -> [URL] {
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "vscript" }.sorted { $0.path < $1.path }
    }

    @Test("the library holds the texts of stdlib; scripts/stdlib writes them")
    func freshness() throws {
        let files = Self.scripts(Self.folder)
        #expect(files.count == 10)
        #expect(StandardLibrary.texts.count == files.count)
        for file in files {
            let text = try String(contentsOf: file, encoding: .utf8)
            let name = file.deletingPathExtension().lastPathComponent
            #expect(StandardLibrary.texts[name].map { $0 + "\n" } == text, "\(name)")
        }
    }

    @Test(
        "each script is laid out as the formatter does",
        arguments: scripts(folder) + scripts(folder.appendingPathComponent("tests")))
    func layout(file: URL) throws {
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(ScriptFormatter.format(parse(SourceFile(text, named: file.path))) == text)
    }

    @Test("the tests of each module pass", arguments: scripts(folder.appendingPathComponent("tests")))
    func tests(file: URL) throws {
        var passed = 0
        let session = Session(files: .all)
        session.output = { _ in }
        session.tests.observer = { event in
            guard case .finished(_, let outcome) = event else { return }
            switch outcome {
            case .passed: passed += 1
            case .failed(let report): Issue.record("\(report.rendered())")
            case .skipped(let reason): Issue.record("skipped: \(reason)")
            }
        }
        try session.run(Program(SourceFile(String(contentsOf: file, encoding: .utf8), named: file.path)))
        #expect(passed > 1)
    }

    @Test("every module has tests, and a summary")
    func coverage() {
        let tested = Set(Self.scripts(Self.folder.appendingPathComponent("tests")).map(\.lastPathComponent))
        for name in StandardLibrary.texts.keys { #expect(tested.contains("\(name).vscript"), "\(name)") }
        for module in Catalogue.modules { #expect(module.summary.hasSuffix("."), "\(module.name)") }
    }

    @Test("errors in the library are told where the script has called it, without the library's own calls")
    func places() throws {
        let error = try #require(failure("import json\nfn read(t) {\n  json.parse(t)\n}\nread(\"[1,]\")"))
        #expect(error.span?.startPosition.line == 3 && error.span?.text == "json.parse(t)")
        #expect(error.notes.filter { $0.hasPrefix("in ") } == ["in `read`, called at test.vscript:5:1"])
        let callback = try #require(failure("import regex\nregex.replace(re\"a\", \"a\", fn(m) { 1 + nil })"))
        #expect(callback.code == "V0403" && callback.span?.text == "1 + nil")
    }

    @Test("scripts cannot import what the library is made of")
    func primitives() {
        #expect(failure("import host.file as f")?.code == "V0308")
        #expect(failure("import host.prelude as f")?.code == "V0308")
    }

    @Test("a folder of modules comes before the library, if the session may read it")
    func searchPath() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "vscript-path-\(UInt64.random(in: 0 ... .max))")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("lab"), withIntermediateDirectories: true)
        try Data("let pi = 3".utf8).write(to: folder.appendingPathComponent("math.vscript"))
        try Data("import math\nfn area(r) { math.pi * r * r }".utf8)
            .write(to: folder.appendingPathComponent("lab/circle.vscript"))
        func run(_ files: Files) throws -> Value {
            let session = Session(files: files)
            session.interface.searchPath = [folder.path]
            return try session.run(
                Program("import math\nimport lab.circle as circle\n[math.pi, circle.area(2)]", for: session.interface))
        }
        #expect(try run(.reading(folder.path)) == [3, 12])
        #expect(throws: ScriptError.self) { try run(.none) }
        #expect(failure("import lab.circle as c")?.code == "V0308")
    }
}
