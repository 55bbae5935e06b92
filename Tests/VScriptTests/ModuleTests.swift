import Foundation
import Testing
import VScript

@Suite("Modules of one's own")
struct ModuleTests {
    /// Runs a script beside a module `shared.vscript` and gives the source of its last value.
    private func result(_ module: String, _ script: String) throws -> String {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("vscript-module-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try module.write(to: folder.appendingPathComponent("shared.vscript"), atomically: true, encoding: .utf8)
        let session = Session(limits: .untrusted, files: .reading(folder.path))
        let program = try Program(
            "import \"shared.vscript\" as shared\n" + script, named: folder.path + "/main.vscript")
        return try session.evaluate(program).source()
    }

    private static let module = """
        var counter = 0
        var last = [1]
        let items = [1, [2]]
        let byName = [a: [3]]
        counter += 1
        fn next() { counter += 1; counter }
        fn replace() { last = [2] }
        fn add(x) { items.append(x) }
        fn make() { var n = 10; fn() { n += 1; n } }
        fn tally(into) { into.count += 1 }
        let kept = make()
        let push = items.append
        kept()
        """

    @Test(
        "nothing of a module changes once it has loaded, by whatever way",
        arguments: [
            "shared.next()", "shared.replace()", "shared.add(3)", "shared.items.append(3)", "shared.items[1].append(3)",
            "shared.items[0] = 5", "shared.byName.b = 1", "shared.byName.a.pop()", "shared.kept()", "shared.push(4)",
            "shared.counter = 5",
        ])
    func frozen(change: String) throws {
        let found = try result(
            Self.module,
            "let code = try { \(change); nil } catch e { e.code }\n[code, shared.counter, shared.last, shared.items, shared.byName]"
        )
        let code = change.hasPrefix("shared.counter") ? "V0304" : "V0408"
        #expect(found == "[\"\(code)\", 1, [1], [1, [2]], [a: [3]]]")
    }

    @Test("what its functions make, and what they are passed, changes")
    func notFrozen() throws {
        #expect(
            try result(
                Self.module,
                "let a = shared.make()\nlet b = shared.make()\nlet mine = [count: 0]\na(); a(); shared.tally(mine)\n[a(), b(), mine.count]"
            ) == "[13, 11, 1]")
    }

    @Test("the report names the variable and the module's line")
    func report() throws {
        let found = try result(
            Self.module, "try { shared.next() } catch e { [e.message, e.at.hasSuffix(\"shared.vscript:6:13\")] }")
        #expect(found.hasPrefix("[\"`counter` belongs to a module that has loaded") && found.hasSuffix("true]"))
    }
}
