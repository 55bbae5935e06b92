import Testing
import VScript

/// Guests that crash without the script looking at it.
@Suite("Crashes that nobody looks at")
struct CrashTests {
    private static let doomed = "guest g { boot: .long; memory: 1 MiB; ring 0 { asm { start: ud2 } } }\n"

    /// What became of a script's tests, and the error it ended with.
    private func run(_ source: String) throws -> (tests: [String], error: String?) {
        var tests: [String] = []
        let session = Session()
        session.output = { _ in }
        session.tests.observer = { event in
            guard case .finished(let ordinal, let outcome) = event else { return }
            switch outcome {
            case .passed: tests.append("\(ordinal) passed")
            case .failed(let report): tests.append("\(ordinal) \(report.code)")
            case .skipped: tests.append("\(ordinal) skipped")
            }
        }
        let program = try Program(source, named: "test.vscript")
        do throws(ScriptError) {
            try session.run(program)
            return (tests, nil)
        } catch {
            return (tests, error.diagnostic.code)
        }
    }

    @Test("are the failure of the test they happen in, and of no other")
    func blame() throws {
        let inner = try run(
            """
            test "a" { \(Self.doomed); g.run() }
            test "b" { expect true }
            """)
        #expect(inner.tests == ["0 V0506", "1 passed"])
        #expect(inner.error == nil)
    }

    @Test("before a test are the script's failure, not the test's")
    func before() throws {
        let outer = try run(Self.doomed + "g.run()\ntest \"a\" { expect true }\ntest \"b\" { expect false }")
        #expect(outer.tests == ["0 passed", "1 V0501"])
        #expect(outer.error == "V0506")
    }

    @Test("do not hide why a test failed, and are told once")
    func both() throws {
        let both = try run(Self.doomed + "test \"a\" { g.run(); expect false }\ntest \"b\" { expect true }")
        #expect(both.tests == ["0 V0501", "1 passed"])
        #expect(both.error == nil)
    }

    @Test("are no failure once the script has looked at the stop")
    func noticed() throws {
        let fine = try run(Self.doomed + "test \"a\" { expect g.run().reason == .crashed }")
        #expect(fine.tests == ["0 passed"])
        #expect(fine.error == nil)
    }
}
