import Foundation
import Synchronization
import VScriptSyntax

/// A form in which results are told while tests run.
protocol TestOutput: Sendable {
    /// Before the first result.
    func begin(count: Int)
    /// A result; results come in the order of the tests.
    func add(_ result: TestResult)
    /// After the last.
    func end(_ results: [TestResult])
}

extension TestOutput {
    /// Writes to the standard output.
    fileprivate func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}

extension Double {
    /// Seconds as a text with a unit.
    fileprivate var asTime: String {
        let milliseconds = self * 1_000
        return milliseconds < 1_000 ? String(format: "%.1f ms", milliseconds) : String(format: "%.2f s", self)
    }
}

/// One line for each test, and below it what has failed.
struct TextOutput: TestOutput {
    private let clock = ContinuousClock()
    private let start = ContinuousClock().now
    private static let nameColumn = 70
    /// How many lines of a failed test's output are shown.
    private static let tail = 20

    func begin(count: Int) {}

    func add(_ result: TestResult) {
        let place = "\(result.test.file):\(result.test.line)  \(result.test.name)"
        let padding = String(repeating: " ", count: max(2, Self.nameColumn - place.count))
        let word = result.status == .failed ? "FAILED" : result.status.rawValue
        write("\(place)\(padding)\(word)  \(result.seconds.asTime)\n")
        switch result.status {
        case .passed: break
        case .skipped: write("   = \(result.reason)\n")
        case .failed:
            write(result.explanation.split(separator: "\n").map { "   \($0)\n" }.joined())
            let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
            let shown = lines.last == "" ? lines.dropLast() : lines[...]
            if !shown.isEmpty { write("   its output ends with:\n") }
            write(shown.suffix(Self.tail).map { "   | \($0)\n" }.joined())
            if result.test.ordinal >= 0 {
                let name = result.test.name.replacing("\"", with: "\\\"")
                write("   = again: vscript test \(result.test.script) --filter \"\(name)\"\n\n")
            }
        }
    }

    func end(_ results: [TestResult]) {
        func count(_ status: TestResult.Status) -> Int { results.filter { $0.status == status }.count }
        let time = ((clock.now - start) / .seconds(1)).asTime
        write("\(count(.passed)) passed, \(count(.failed)) failed, \(count(.skipped)) skipped in \(time)\n")
    }
}

/// One JSON object for each test, and one with the totals.
struct JSONOutput: TestOutput {
    private let reporter: Reporter

    init(_ reporter: Reporter) { self.reporter = reporter }

    func begin(count: Int) {}

    func add(_ result: TestResult) {
        reporter.write(
            .object([
                ("type", .string("test")), ("v", .integer(1)), ("file", .string(result.test.file)),
                ("line", .integer(result.test.line)), ("name", .string(result.test.name)),
                ("status", .string(result.status.rawValue)), ("reason", .string(result.reason)),
                ("seconds", .number("\(result.seconds)")),
                // The reports are JSON already, so they pass as they are.
                ("diagnostics", .array(result.reports.map { .number($0.json) })), ("output", .string(result.output)),
            ]))
    }

    func end(_ results: [TestResult]) {
        func count(_ status: TestResult.Status) -> JSON { .integer(results.filter { $0.status == status }.count) }
        reporter.write(
            .object([
                ("type", .string("summary")), ("v", .integer(1)), ("passed", count(.passed)),
                ("failed", count(.failed)), ("skipped", count(.skipped)),
            ]))
    }
}

/// The Test Anything Protocol, version 14.
final class TAPOutput: TestOutput {
    private let count = Mutex(0)

    func begin(count: Int) { write("TAP version 14\n1..\(count)\n") }

    func add(_ result: TestResult) {
        let number = count.withLock { count in
            count += 1
            return count
        }
        // `#` begins a directive and `\` escapes it.
        let name = "\(result.test.file): \(result.test.name)".replacing("\\", with: "\\\\").replacing("#", with: "\\#")
            .replacing("\n", with: " ")
        let skip = result.status == .skipped ? " # SKIP \(result.reason)" : ""
        write("\(result.status == .failed ? "not " : "")ok \(number) - \(name)\(skip)\n")
        guard result.status != .skipped else { return }
        write(
            "  ---\n  duration_ms: \(result.seconds * 1_000)\n  at:\n    file: \(JSON.string(result.test.file).text)\n")
        write("    line: \(result.test.line)\n")
        if result.status == .failed {
            write("  severity: fail\n  message: |\n")
            write(result.explanation.split(separator: "\n").map { "    \($0)\n" }.joined())
        }
        write("  ...\n")
    }

    func end(_ results: [TestResult]) {}
}
