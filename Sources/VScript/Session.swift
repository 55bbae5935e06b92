import Synchronization
import VScriptSyntax
import VirtualMachine

/// A place where scripts run, with the guests they declare.
///
/// It belongs to one isolation domain at a time.
public final class Session {
    /// Where `print` goes.
    public var output: (String) -> Void = { print($0, terminator: "") }
    /// Is given the rows that scripts `emit`; if nil, they are printed as a table.
    public var onEmit: ((Value) -> Void)?
    /// The table of the rows that have been printed.
    private var emitted = LiveTable()
    /// What scripts find around them.
    public var environment = ScriptEnvironment()
    /// Carries out what gdb's `monitor` is given while a script serves a guest to gdb.
    package var gdbMonitor: ((Guest, String) -> String)?
    /// Stops the running script from elsewhere.
    public let stopSignal = StopSignal()
    /// How many `test` declarations have failed so far.
    public private(set) var failedTests = 0
    /// Whether a script that has been loaded reads the records of guests' transitions.
    var recordsTransitions = false
    /// Which tests run, and who is told about them.
    package var tests = TestControl()

    /// What scripts may name beyond the language; give it to `Program`.
    public var interface = HostInterface()
    /// What scripts see of the host's classes.
    var hostTypes: [ObjectIdentifier: HostType] = [:]
    /// The host's kinds of declarations.
    var hostKinds: [String: HostType] = [:]

    let limits: Limits
    let maker: any DeclarationMaker
    /// The modules that have been loaded, by name or path, and the paths of those that are being loaded.
    var modules: [String: ScriptValue] = [:]
    var loading: [String] = []
    private(set) lazy var interpreter = Interpreter(session: self, limits: limits)
    /// The tasks that wait to run a script, first to last.
    var waiting: [CheckedContinuation<Void, Never>] = []
    /// Whether a script runs in a task that gives way.
    var isGivingWay = false

    /// The files that scripts may read and write.
    package let files: Files

    /// A session with limits.
    public convenience init(limits: Limits = .unlimited, files: Files = .none) {
        self.init(limits: limits, files: files, maker: GuestMaker())
    }

    /// A session whose declarations make objects of one's own.
    package init(limits: Limits, files: Files = .none, maker: any DeclarationMaker) {
        self.limits = limits
        self.files = files
        self.maker = maker
    }

    deinit { maker.close() }

    /// Runs a script to its end and gives the value of its last statement; what it declares lives as long as the
    /// session.
    @discardableResult
    public func run(_ program: Program) throws(ScriptError) -> Value {
        do {
            return try finish(try interpreter.run(program.code))
        } catch {
            throw Self.scriptError(error)
        }
    }

    /// What is done after a script that has run to its end; its value.
    func finish(_ result: Interpreter.ProgramResult) throws -> Value {
        let value = Value(result.value, in: interpreter.heap)
        keep(result.names)
        if let crash = maker.unnoticedFailures.first { throw ScriptError(diagnostic: crash.report) }
        return value
    }

    /// Keeps the top-level names of a script for `subscript` and `call`.
    private func keep(_ names: [(String, Cell)]) {
        for (name, cell) in names where !cell.isUnset {
            interpreter.exports[name] = KeptCell(cell, in: interpreter.heap)
        }
    }

    static func scriptError(_ error: any Error) -> ScriptError {
        switch error {
        case let error as ScriptError: error
        case Interruption.fault(let fault): ScriptError(diagnostic: fault.report)
        case let failure as HostFailure:
            ScriptError(diagnostic: Diagnostic(failure.code, failure.message, notes: failure.notes))
        case _: ScriptError(diagnostic: Diagnostic(ScriptCode.moduleFailure, "\(error)"))
        }
    }

    /// What the command exits with after a script that ended without an error.
    public var exitCode: ExitCode { failedTests == 0 ? .success : .failure }

    /// Runs a script's statements and gives the value of the last one.
    package func evaluate(_ program: Program) throws -> ScriptValue {
        interpreter.heap.value(try interpreter.run(program.code).value)
    }

    /// Bytes that values and code take up.
    public var heapUse: Int { interpreter.heap.used }

    /// How much of `Limits.fuel` has been spent.
    public var fuelSpent: UInt64 { interpreter.fuelSpent }

    /// Makes each allocation collect first, for tests: a value that is not rooted does not survive.
    package var collectsAlways: Bool {
        get { interpreter.heap.collectsAlways }
        set { interpreter.heap.collectsAlways = newValue }
    }

    /// Frees what scripts no longer refer to.
    package func collect() {
        interpreter.markTop()
        interpreter.heap.collect()
    }

    // MARK: - For the interpreter

    /// Tells a failed test.
    func testFailed(_ name: String, at span: SourceSpan, _ report: Diagnostic) {
        failedTests += 1
        let place = span.startPosition
        output("\(span.file.name):\(place.line)  \(name)  FAILED\n\(report.rendered())\n")
    }

    // MARK: - Budgets of the guests

    /// Instructions and nanoseconds that all guests together have run.
    private var guestInstructions: UInt64 = 0
    private var guestTime: UInt64 = 0

    /// What is left for a guest's run, of what it asks for.
    func budget(_ wanted: RunLimits) -> RunLimits {
        var granted = wanted
        if limits.guestInstructions < .max {
            let left = limits.guestInstructions - min(guestInstructions, limits.guestInstructions)
            granted.instructions = min(wanted.instructions ?? .max, left)
        }
        if let time = limits.guestTime {
            let all = time.wholeNanoseconds
            granted.time = min(wanted.time ?? .max, all - min(guestTime, all))
        }
        return granted
    }

    /// Counts what a guest has run; a run that used all that was left ends with an error.
    func count(instructions: UInt64, time: UInt64) throws(HostFailure) {
        guestInstructions = guestInstructions &+ instructions
        guestTime = guestTime &+ time
        if limits.guestInstructions < .max, guestInstructions >= limits.guestInstructions {
            throw HostFailure(
                .guestBudgetLimit, "the guests take more than \(limits.guestInstructions) instructions",
                notes: ["the limit is `Limits.guestInstructions`"])
        }
        if let limit = limits.guestTime, guestTime >= limit.wholeNanoseconds {
            throw HostFailure(
                .guestBudgetLimit, "the guests take more than \(limit) of guest time",
                notes: ["the limit is `Limits.guestTime`"])
        }
    }

    /// What a failed expectation tells about the guests.
    func expectationNotes() -> [String] { maker.notes }
}

extension Session: CallContext {
    package func call(_ function: Function, _ arguments: [ScriptValue]) throws -> ScriptValue {
        let heap = interpreter.heap
        let start = heap.temporaries.count
        defer { heap.temporaries.removeLast(heap.temporaries.count - start) }
        for argument in [.function(function)] + arguments { heap.temporaries.append(try heap.cell(argument)) }
        let cells = Array(heap.temporaries[start...])
        return heap.value(try interpreter.call(cells[0], Array(cells[1...])))
    }

    package func pay(_ amount: Int) throws { try interpreter.pay(amount) }
    package func inTurns(_ turn: @escaping () throws -> ScriptValue?) throws -> ScriptValue {
        if interpreter.canGiveWay {
            interpreter.turns.work = (turn, nil)
            return .nil
        }
        while true {
            if let value = try turn() { return value }
        }
    }

    package var givesWay: Bool { interpreter.canGiveWay }
    package func write(_ text: String) { output(text) }

    package func copy(_ value: ScriptValue) throws -> Value {
        let (copy, count) = Value.copy(try interpreter.heap.cell(value), in: interpreter.heap)
        try pay(count)
        return copy
    }

    package func emit(_ value: Value) throws {
        // What cannot be written as a row is an error whoever collects them.
        _ = try value.json()
        if let onEmit { onEmit(value) } else { output(emitted.lines(of: value)) }
    }

    package var isInterrupted: Bool { interpreter.checkStop() != nil }
    package var interruption: HostFailure {
        interpreter.checkStop() ?? HostFailure(.interrupted, "the script was interrupted")
    }
}

extension Duration {
    /// The time in nanoseconds, without a fraction; 0 if it is negative.
    fileprivate var wholeNanoseconds: UInt64 {
        UInt64(clamping: Int128(components.seconds) * 1_000_000_000 + Int128(components.attoseconds) / 1_000_000_000)
    }
}

/// A request to stop, which may come from another thread or a signal handler.
public final class StopSignal: Sendable {
    private let flag = Atomic<Bool>(false)

    /// Whether somebody asked to stop.
    public var isSet: Bool { flag.load(ordering: .relaxed) }

    /// Asks the script to stop before its next step.
    public func set() { flag.store(true, ordering: .relaxed) }

    /// Takes the request back, before something else is run.
    package func clear() { flag.store(false, ordering: .relaxed) }
}
