import ArgumentParser
import Foundation
import VScript
import VScriptSyntax

/// `vscript test [paths]`.
struct TestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Runs the tests that scripts declare, each in a process of its own.",
        discussion: """
            A path is a script, or a folder whose scripts with tests are run, also in folders below. To find tests, the \
            rest of a script is run first; a test's process then runs it again, and of the tests only that one.

            Exit codes: 0 all passed, 1 one failed, 2 a script is malformed or there is no test to run.
            """)

    @Option(help: ArgumentHelp("How many tests run at a time; as many as there are processors.", valueName: "n"))
    var jobs: Int?

    @Option(help: ArgumentHelp("Runs only tests whose name contains a text; any of several.", valueName: "text"))
    var filter: [String] = []

    @Option(help: ArgumentHelp("Runs only tests with a tag; any of several.", valueName: "tag"))
    var tag: [String] = []

    @Option(help: ArgumentHelp("Ends a test that takes longer and does not say how long it may.", valueName: "seconds"))
    var timeout: Double = 60

    @Flag(help: "Writes golden files anew instead of comparing with them.")
    var update = false

    @Option(help: ArgumentHelp("Writes the results as JUnit's XML too.", valueName: "file"))
    var junit: String?

    @Flag(help: "Writes TAP 14 to the standard output instead of text.")
    var tap = false

    @OptionGroup var modules: ModuleOptions

    @OptionGroup var options: ReportOptions

    @Argument(help: ArgumentHelp("Scripts and folders; the current one if there are none.", valueName: "path"))
    var paths: [String] = []

    // What a process of one test is told; nobody else uses it.

    @Option(name: .customLong("worker-script"), help: .private)
    var workerScript: String?

    @Option(name: .customLong("worker-test"), help: .private)
    var workerTest: Int?

    func validate() throws {
        if let jobs, jobs < 1 { throw ValidationError("--jobs must be at least 1") }
        guard timeout > 0, timeout <= 1e6 else { throw ValidationError("--timeout must be a number of seconds over 0") }
        if tap, options.json { throw ValidationError("choose one of --tap and --json") }
    }

    func run() throws {
        if let workerScript {
            return try end(TestWorker(only: workerTest, updates: update, modules: modules).run(workerScript))
        }
        modules.export()
        let reporter = options.reporter
        let output = self.output(reporter)
        var status = VScript.ExitCode.success
        var scripts: [String] = []
        for path in paths.isEmpty ? ["."] : paths {
            do {
                scripts += try TestDiscovery.scripts(at: path)
            } catch {
                reporter.report(error)
                status = .usage
            }
        }
        let processes = TestProcesses(
            jobs: jobs ?? ProcessInfo.processInfo.activeProcessorCount, timeout: timeout, updates: update)
        let (tests, troubles) = TestDiscovery.tests(in: scripts, by: processes) { filter.isEmpty || $0.isNamed(filter) }
        let chosen = tests.filter { tag.isEmpty || $0.hasTag(tag) }
        output.begin(count: chosen.count + troubles.count)
        troubles.forEach(output.add)
        let results = troubles + processes.run(chosen, each: output.add)
        output.end(results)
        if let junit { try JUnit.write(results, to: junit) }
        if results.contains(where: \.isMalformedScript) { status = .usage }
        if results.isEmpty, status == .success {
            throw Failure(message: "there is no test to run")
        }
        let hasFailed = results.contains { $0.status == .failed }
        try end(status == .success && hasFailed ? .failure : status)
    }
}

extension TestCommand {
    private func output(_ reporter: Reporter) -> any TestOutput {
        if tap { return TAPOutput() }
        return options.json ? JSONOutput(reporter) : TextOutput()
    }
}

/// A message that ends the command with exit code 2.
struct Failure: Error, CustomStringConvertible {
    let message: String
    var description: String { message }
}
