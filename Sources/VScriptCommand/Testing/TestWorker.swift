import Foundation
import VScript
import VScriptSyntax

/// The process of one test: runs a script, and of its tests only that one; or none, to find them.
struct TestWorker {
    /// The test's number; nil to find tests.
    let only: Int?
    /// Whether golden files are written anew.
    let updates: Bool
    let modules: ModuleOptions

    /// Runs the script and tells what happens on the standard output.
    func run(_ path: String) -> ExitCode {
        let source: Source
        do {
            source = try Source(path: path)
        } catch {
            return fail(error.diagnostic, .usage)
        }
        guard let program = source.importing(modules).compile(Reporter(isJSON: true)) else { return .usage }
        let session = Session(files: .all)
        session.interface = modules.interface
        session.environment.updatesGoldenFiles = updates
        session.output = { send(.output($0)) }
        session.tests.selects = { [only] in $0 == only }
        let clock = ContinuousClock()
        var start = clock.now
        session.tests.observer = { [only] event in
            switch event {
            case .declared(let ordinal, let name, let span):
                if only == nil {
                    let line = span.startPosition.line
                    send(.declared(ordinal: ordinal, name: name, file: span.file.name, line: line))
                }
                start = clock.now
            case .timeLimit(let time): send(.timeLimit(seconds: Double(time) / 1e9))
            case .finished(_, let outcome):
                finish(outcome, seconds: (clock.now - start) / .seconds(1))
            }
        }
        do throws(ScriptError) {
            try session.run(program)
            return .success
        } catch {
            return fail(error.diagnostic, error.exitCode)
        }
    }

    /// Tells the outcome and ends the process: what the script does afterwards is not the test's.
    private func finish(_ outcome: TestControl.Outcome, seconds: Double) {
        switch outcome {
        case .passed: send(.finished(.passed, reason: "", seconds: seconds))
        case .failed(let report):
            send(.report(TestMessage.Report(json: report.json, rendered: "")))
            send(.finished(.failed, reason: "", seconds: seconds))
        case .skipped(let reason): send(.finished(.skipped, reason: reason, seconds: seconds))
        }
        exit(EXIT_SUCCESS)
    }

    private func fail(_ report: VScript.Diagnostic, _ code: ExitCode) -> ExitCode {
        send(.report(TestMessage.Report(json: report.json, rendered: "")))
        return code
    }

    private func send(_ message: TestMessage) {
        FileHandle.standardOutput.write(Data((message.line + "\n").utf8))
    }
}
