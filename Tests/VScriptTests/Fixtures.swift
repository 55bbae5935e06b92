import Foundation
import Testing
import VScript
import VScriptSyntax

/// The folder of the files that tests read.
let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

/// The scripts in a folder of the fixtures, by name.
func fixtureScripts(_ folder: String) -> [String] {
    let directory = fixtures.appendingPathComponent(folder).path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.filter { $0.hasSuffix(".vscript") }.sorted()
}

/// The text of a fixture.
func fixture(_ path: String) throws -> String {
    try String(contentsOf: fixtures.appendingPathComponent(path), encoding: .utf8)
}

/// All reports about a script that is to show a code: those before it runs, or the error that ends it.
///
/// Limits are small enough that scripts reach them at once. Without a code the script is to show none, and has room.
func reports(on file: SourceFile, showing code: String? = nil, isRun: Bool = true) -> [Diagnostic] {
    do {
        let program = try Program(file)
        guard isRun else { return program.diagnostics }
        var limits = Limits(
            fuel: 10_000, heap: 256 << 10, depth: 50, guestInstructions: 1_000_000, guestMemory: 256 << 20)
        if code == nil { limits = .untrusted }
        if code == ScriptCode.wallClockLimit.id { limits.wallClock = .zero }
        let session = Session(limits: limits, files: .all)
        session.output = { _ in }
        session.tests.observer = { event in
            if case .finished(_, .failed(let report)) = event { Issue.record("\(report.rendered())") }
        }
        if code == ScriptCode.interrupted.id { session.stopSignal.set() }
        try session.run(program)
        return program.diagnostics
    } catch let error as CompilationError {
        return error.diagnostics
    } catch let error as ScriptError {
        return [error.diagnostic]
    } catch {
        Issue.record("unexpected \(error)")
        return []
    }
}
