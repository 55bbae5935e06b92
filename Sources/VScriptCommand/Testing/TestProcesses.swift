import Foundation
import Synchronization
import VScript

/// Runs scripts in processes of their own, several at a time.
struct TestProcesses: Sendable {
    let jobs: Int
    /// How many seconds a process gets, unless its test says otherwise.
    let timeout: Double
    /// Whether golden files are written anew.
    let updates: Bool

    /// How much of what a test prints is kept, in characters.
    private static let outputLimit = 1 << 16

    /// What a process said and how it ended.
    struct Transcript: Sendable {
        var tests: [(ordinal: Int, name: String, file: String, line: Int)] = []
        var reports: [TestMessage.Report] = []
        var output = ""
        var finished: (status: TestResult.Status, reason: String, seconds: Double)?
        /// What ended the process, if that was not the process itself.
        var death: String?
        var exitCode: Int32 = 0
        var seconds = 0.0
    }

    /// Runs tests and gives their results, in the order of the tests; tells each as soon as those before are told.
    func run(_ tests: [TestCase], each: @escaping @Sendable (TestResult) -> Void) -> [TestResult] {
        map(tests, each: each) { test in
            let transcript = run(test.script, only: test.ordinal)
            var result = TestResult(test: test, status: transcript.finished?.status ?? .failed)
            result.reason = transcript.finished?.reason ?? transcript.death ?? ""
            if transcript.finished == nil, transcript.death == nil, transcript.reports.isEmpty {
                result.reason = "the script ended before the test did"
            }
            result.reports = transcript.reports
            result.output = transcript.output
            result.seconds = transcript.finished?.seconds ?? transcript.seconds
            return result
        }
    }

    /// Does something with each item, several at a time, and gives the results in the order of the items.
    func map<Item: Sendable, Result: Sendable>(
        _ items: [Item], each: @escaping @Sendable (Result) -> Void = { _ in },
        _ transform: @escaping @Sendable (Item) -> Result
    ) -> [Result] {
        let state = Mutex((next: 0, told: 0, results: [Result?](repeating: nil, count: items.count)))
        DispatchQueue.concurrentPerform(iterations: min(jobs, items.count)) { _ in
            while true {
                let index = state.withLock { state in
                    defer { state.next += 1 }
                    return state.next
                }
                guard index < items.count else { return }
                let result = transform(items[index])
                state.withLock { state in
                    state.results[index] = result
                    while state.told < items.count, let result = state.results[state.told] {
                        each(result)
                        state.told += 1
                    }
                }
            }
        }
        return state.withLock { $0.results.compactMap { $0 } }
    }

    /// Runs a script and of its tests only one, or none.
    func run(_ script: String, only ordinal: Int?) -> Transcript {
        var transcript = Transcript()
        let process = Process()
        process.executableURL = Bundle.main.executableURL
        process.arguments =
            ["test", "--worker-script", script] + (ordinal.map { ["--worker-test", "\($0)"] } ?? [])
            + (updates ? ["--update"] : [])
        let pipe = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = pipe
        let clock = ContinuousClock()
        let start = clock.now
        do {
            try process.run()
        } catch {
            transcript.death = "its process cannot be started: \(error.localizedDescription)"
            return transcript
        }
        let deadline = Deadline(process.processIdentifier, seconds: timeout)
        var rest = Data()
        while case let data = pipe.fileHandleForReading.availableData, !data.isEmpty {
            rest += data
            while let end = rest.firstIndex(of: 0x0A) {
                let line = String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
                rest = Data(rest[(end + 1)...])
                take(TestMessage(line: line), &transcript, deadline)
            }
        }
        if !rest.isEmpty { take(TestMessage(line: String(decoding: rest, as: UTF8.self)), &transcript, deadline) }
        process.waitUntilExit()
        deadline.cancel()
        transcript.seconds = (clock.now - start) / .seconds(1)
        transcript.exitCode = process.terminationStatus
        if let limit = deadline.passed {
            transcript.finished = nil
            transcript.death = "it did not end within \(limit.formatted()) s"
        } else if process.terminationReason == .uncaughtSignal {
            transcript.finished = nil
            transcript.death = "its process crashed with signal \(process.terminationStatus)"
        }
        return transcript
    }

    private func take(_ message: TestMessage, _ transcript: inout Transcript, _ deadline: Deadline) {
        switch message {
        case .declared(let ordinal, let name, let file, let line): transcript.tests.append((ordinal, name, file, line))
        case .timeLimit(let seconds): deadline.set(seconds: seconds)
        case .finished(let status, let reason, let seconds): transcript.finished = (status, reason, seconds)
        case .report(let report): transcript.reports.append(report)
        case .output(let text):
            transcript.output += text
            if transcript.output.utf8.count > 2 * Self.outputLimit {
                transcript.output = "…" + transcript.output.suffix(Self.outputLimit)
            }
        }
    }
}

/// Ends a process that takes too long.
final class Deadline: Sendable {
    private let process: pid_t
    private let state: Mutex<(timer: (any DispatchSourceTimer)?, passed: Double?)>

    /// The seconds that the process was given and did not keep to; nil if it did.
    var passed: Double? { state.withLock { $0.passed } }

    init(_ process: pid_t, seconds: Double) {
        self.process = process
        state = Mutex((nil, nil))
        set(seconds: seconds)
    }

    /// Gives the process a number of seconds from now.
    func set(seconds: Double) {
        let timer = DispatchSource.makeTimerSource(queue: .global())
        timer.schedule(deadline: .now() + max(seconds, 0.001))
        timer.setEventHandler { [self] in
            state.withLock { $0.passed = seconds }
            kill(process, SIGKILL)
        }
        state.withLock { state in
            state.timer?.cancel()
            state.timer = timer
        }
        timer.resume()
    }

    /// The process has ended.
    func cancel() { state.withLock { $0.timer?.cancel() } }
}
