import Foundation
import Testing
import VScript
import VirtualMachine

/// The examples of the language design whose devices exist, as printed there.
@Suite("Examples of the language design")
struct LanguageExampleTests {
    private static let repository = fixtures.deletingLastPathComponent().deletingLastPathComponent()

    /// What an example prints, and what became of its tests; its modules are those of `stdlib/examples`.
    private func run(
        _ name: String, _ change: (String) -> String = { $0 }
    ) throws -> (output: String, tests: [String: Bool]) {
        var output = ""
        var names: [Int: String] = [:]
        var tests: [String: Bool] = [:]
        let session = Session(files: .all)
        session.output = { output += $0 }
        session.tests.observer = { event in
            switch event {
            case .declared(let ordinal, let name, _): names[ordinal] = name
            case .timeLimit: break
            case .finished(let ordinal, let outcome):
                let isFine = if case .failed = outcome { false } else { true }
                tests[names[ordinal] ?? ""] = isFine
            }
        }
        let path = Self.repository.appendingPathComponent("stdlib/examples/\(name).vscript").path
        try session.run(Program(change(try fixture("Language/\(name).vscript")), named: path))
        return (output, tests)
    }

    @Test("1: ring 3 asks ring 0 for a sum twice")
    func rings() throws {
        let lines = try run("1-rings").output.split(separator: "\n").map { $0.split(separator: "  ")[0...1] }
        #expect(
            lines.map { $0.joined(separator: " ") } == [
                "3 -> 0 syscall", "0 -> 3 sysret", "3 -> 0 int 0x80", "0 -> 3 iret",
            ])
    }

    @Test("5: a paravirtual console and an answer for CPUID")
    func hypercall() throws {
        #expect(try run("5-hypercall").output.isEmpty)
        // The script's own expectations hold; that they are looked at shows when one is changed.
        #expect(throws: ScriptError.self) {
            try run("5-hypercall") { $0.replacing("said == [\"hello from ring 0\"]", with: "said == []") }
        }
    }

    @Test("7: tests of rings under every technique")
    func tests() throws {
        let tests = try run("7-tests").tests
        #expect(tests.count == 7)
        for (name, isFine) in tests { #expect(isFine, "\(name)") }
    }
}
