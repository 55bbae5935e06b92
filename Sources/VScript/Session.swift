import Synchronization
import VScriptSyntax

/// A place where scripts run, with the guests they declare.
///
/// It belongs to one isolation domain at a time.
public final class Session {
    /// Where `print` goes.
    public var output: (String) -> Void = { print($0, terminator: "") }
    /// What scripts find around them.
    public var environment = ScriptEnvironment()
    /// Stops the running script from elsewhere.
    public let stopSignal = StopSignal()
    /// How many `test` declarations have failed so far.
    public private(set) var failedTests = 0
    /// Which tests run, and who is told about them.
    package var tests = TestControl()

    let limits: Limits
    let maker: any DeclarationMaker
    private(set) var prelude: [String: Value] = [:]
    private var modules: [String: Value] = [:]
    private var loading: [String] = []
    private lazy var evaluator = Evaluator(session: self, limits: limits)

    /// A session with limits.
    public convenience init(limits: Limits = .unlimited) { self.init(limits: limits, maker: GuestMaker()) }

    /// A session whose declarations make objects of one's own.
    package init(limits: Limits, maker: any DeclarationMaker) {
        self.limits = limits
        self.maker = maker
        for builtin in Prelude.functions {
            prelude[builtin.signature.name] = .function(Function(builtin.signature) { try builtin.body((), $0) })
        }
    }

    /// Runs a script to its end; what it declares lives as long as the session.
    public func run(_ program: Program) throws(ScriptError) {
        do {
            _ = try execute(program)
        } catch Interruption.fault(let fault) {
            throw ScriptError(diagnostic: fault.report)
        } catch {
            throw ScriptError(diagnostic: Diagnostic(ScriptCode.moduleFailure, "\(error)"))
        }
        if let crash = maker.unnoticedFailure { throw ScriptError(diagnostic: crash) }
    }

    deinit { maker.close() }

    /// What the command exits with after a script that ended without an error.
    public var exitCode: ExitCode { failedTests == 0 ? .success : .failure }

    /// Runs a script's statements and gives the value of the last one and the variables.
    package func evaluate(_ program: Program) throws -> Value { try execute(program).value }

    private func execute(_ program: Program) throws -> (value: Value, environment: Environment) {
        let environment = Environment(program.body.slots, in: nil)
        evaluator.stack = StackGuard()
        do {
            return (try evaluator.statements(program.body, in: environment), environment)
        } catch Interruption.returned(let value) {
            return (value, environment)
        }
    }

    // MARK: - For the evaluator

    package var isInterrupted: Bool { stopSignal.isSet }

    /// Tells a failed test.
    func testFailed(_ name: String, at span: SourceSpan, _ report: Diagnostic) {
        failedTests += 1
        let place = span.startPosition
        output("\(span.file.name):\(place.line)  \(name)  FAILED\n\(report.rendered())\n")
    }

    /// What a failed expectation tells about the guests.
    func expectationNotes() -> [String] { maker.notes }

    /// A module, loaded when it is first imported.
    func module(_ reference: ModuleReference, from span: SourceSpan) throws -> Value {
        switch reference {
        case .standard(let name):
            if let module = modules[name] { return module }
            guard let module = StandardModules.all.first(where: { $0.name == name }) else {
                throw evaluator.fault(.unknownModule, "there is no module `\(name)`", span)
            }
            let value = Value.object(module.object)
            modules[name] = value
            return value
        case .path(let path): return try load(HostFile.path(path, besides: span.file.name), from: span)
        }
    }

    private func load(_ path: String, from span: SourceSpan) throws -> Value {
        if let module = modules[path] { return module }
        if loading.contains(path) {
            throw evaluator.fault(
                .moduleFailure, "`\(path)` imports itself", span,
                notes: [(loading + [path]).joined(separator: " imports ")])
        }
        loading.append(path)
        defer { loading.removeLast() }
        let bytes = try evaluator.located(span) {
            do throws(HostFailure) {
                return try HostFile.read(path)
            } catch {
                throw HostFailure(.moduleFailure, error.message)
            }
        }
        let program: Program
        do {
            program = try Program(SourceFile(bytes: bytes, named: path))
        } catch {
            var report = error.diagnostics.first { $0.severity == .error } ?? error.diagnostics[0]
            report.labels.append(Diagnostic.Label(span, "imported here"))
            throw Interruption.fault(Fault(report))
        }
        let environment = try execute(program).environment
        let values = program.names.compactMapValues { environment.slots[$0] }
        for value in values.values { value.freeze() }
        let module = Value.object(ModuleObject(path, values))
        modules[path] = module
        return module
    }
}

extension Session: CallContext {
    package func call(_ function: Function, _ arguments: [Value]) throws -> Value {
        let span = SourceSpan(SourceFile("", named: "<host>"), 0..<0)
        return try evaluator.call(
            .function(function), arguments.map { PassedArgument(label: nil, value: $0, span: span) }, at: span)
    }

    package func write(_ text: String) { output(text) }
}

/// A request to stop, which may come from another thread or a signal handler.
public final class StopSignal: Sendable {
    private let flag = Atomic<Bool>(false)

    /// Whether somebody asked to stop.
    public var isSet: Bool { flag.load(ordering: .relaxed) }

    /// Asks the script to stop before its next step.
    public func set() { flag.store(true, ordering: .relaxed) }
}
