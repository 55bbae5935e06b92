import VScriptSyntax
import VirtualMachine

/// Runs the bytecode of one session.
///
/// The run loop keeps program counter, registers and fuel in locals; whatever it cannot do in a few machine
/// instructions it hands to `carryOut`, which works on the same state here.
final class Interpreter {
    let heap: Heap
    unowned let session: Session
    let limits: Limits

    /// The instruction after the current one; nil while none is carried out.
    var pc: UnsafeMutablePointer<UInt64>?
    /// The registers of the running function, which is itself in the register before the first.
    var base: UnsafeMutablePointer<Cell>
    /// The entry after the last open call's.
    var frame: UnsafeMutablePointer<Frame>
    let frameLimit: UnsafeMutablePointer<Frame>
    /// Fuel until the next look at what may stop the script; below 0 when it is used up.
    var fuel = 0
    /// Fuel beyond that.
    private var fuelLeft: UInt64
    /// What the last call from the host has given.
    var result = Cell.nil
    /// The error that the script did not catch.
    private var uncaught: (any Error)?
    /// How many host functions that call the script are open.
    var nesting = 0
    /// The run that gives way to other tasks, while there is one.
    var turns = Turns()
    /// Looked up anew by each run, which may be on another thread.
    var stack = StackGuard()
    /// When the script has run for too long.
    private var deadline: ContinuousClock.Instant?

    /// The boxes of the host's values.
    private var globals: [String: KeptCell] = [:]
    /// The top-level names of the scripts that have run.
    var exports: [String: KeptCell] = [:]

    private(set) var functions: [LoadedFunction] = []
    /// The calls of all programs, by the operand that loading has given them.
    private(set) var calls: [CallSite] = []
    let caches = RawArray<MemberCache>()
    /// How registers are read, by the payload of their names; constants, which names in code are, stay where they are.
    var registerReaders: [UInt64: RegisterReader] = [:]
    /// Where the caches and the constants are now.
    var cacheBase: UnsafeMutablePointer<MemberCache>
    var constantBase: UnsafeMutablePointer<Cell>
    private var programs: [ObjectIdentifier: LoadedProgram] = [:]

    /// How much fuel is spent between two looks at the clock and the stop signal.
    private static let slice = 10_000
    /// How many host functions that call the script may be open, each of which takes some of the thread's stack.
    static let nestingLimit = 64

    init(session: Session, limits: Limits) {
        self.session = session
        self.limits = limits
        let depth = min(max(limits.depth, 1), 100_000)
        // The script itself is open too, and one of a host function's may be about to be.
        heap = Heap(limit: limits.heap, depth: depth + 2)
        cacheBase = caches.base
        constantBase = heap.constants.base
        base = heap.stack
        frame = heap.frames
        frameLimit = heap.frames + depth + 1
        fuelLeft = limits.fuel
    }

    deinit {
        // What hosted objects keep of the heap would keep it alive, and with it them.
        heap.hosted.removeAll()
        caches.deallocate()
    }

    // MARK: - Loading

    /// A program with the places its tables have in the session's.
    final class LoadedProgram {
        let code: ProgramCode
        /// The index of its first function.
        let firstFunction: Int
        var shapes: [UnsafeMutablePointer<Shape>?]

        init(_ code: ProgramCode, firstFunction: Int) {
            self.code = code
            self.firstFunction = firstFunction
            shapes = Array(repeating: nil, count: code.records.count)
        }
    }

    /// A function in memory that the run loop reads.
    struct LoadedFunction {
        let program: LoadedProgram
        let code: FunctionCode
        let record: UnsafeMutablePointer<FunctionRecord>
    }

    /// Brings a program into memory: constants become cells, operands count in the session's tables.
    func load(_ program: ProgramCode) throws(HostFailure) -> LoadedProgram {
        if let known = programs[ObjectIdentifier(program)] { return known }
        do throws(Verifier.Failure) {
            try Verifier.verify(program)
        } catch {
            throw HostFailure(
                .moduleFailure, "the bytecode is malformed: \(error.reason) of instruction \(error.instruction)")
        }
        try heap.count(program.size)
        if program.readsTransitions { session.recordsTransitions = true }
        let loaded = LoadedProgram(program, firstFunction: functions.count)
        let firstConstant = heap.constants.count
        for literal in program.constants { heap.constants.append(try cell(literal)) }
        let firstCache = caches.count
        for site in program.caches {
            caches.append(
                MemberCache(name: try heap.name(site.name), call: site.call.map { $0 + calls.count } ?? -1))
        }
        let firstCall = calls.count
        calls += program.calls
        for function in program.functions {
            let code: UnsafeMutablePointer<UInt64> = heap.own(function.code.count)
            for (index, word) in function.code.enumerated() {
                let instruction = Instruction(word: word)
                let offset =
                    switch instruction.operation.table {
                    case .constants: firstConstant
                    case .caches: firstCache
                    case .calls: firstCall
                    case .functions: loaded.firstFunction
                    case .none: 0
                    }
                code[index] = instruction.with(c: instruction.c + offset).word
            }
            let record: UnsafeMutablePointer<FunctionRecord> = heap.own(1)
            record.initialize(
                to: FunctionRecord(
                    code: code, registers: Int32(function.registers),
                    parameters: Int32(function.signature.parameters.count), index: Int32(functions.count),
                    hasDefaults: function.signature.parameters.contains { $0.kind != .required }))
            functions.append(LoadedFunction(program: loaded, code: function, record: record))
            heap.functionNames.append(function.signature.name)
        }
        programs[ObjectIdentifier(program)] = loaded
        cacheBase = caches.base
        constantBase = heap.constants.base
        return loaded
    }

    private func cell(_ literal: Literal) throws(HostFailure) -> Cell {
        switch literal {
        case .name(let name): try heap.name(name)
        case .builtin(let index): Cell(.builtin, UInt64(index))
        case .global(let name): try global(name)
        case .nil, .bool, .int, .float, .duration, .string, .symbol, .bytes, .regex: try heap.cell(literal.value)
        }
    }

    /// The box of a value that the host has defined or may define.
    func global(_ name: String) throws(HostFailure) -> Cell {
        if let known = globals[name] { return known.cell }
        let box = try heap.box(.unset)
        globals[name] = KeptCell(box, in: heap)
        return box
    }

    // MARK: - Where it is

    /// The running function; nil while none is.
    var closure: UnsafeMutablePointer<ClosureBlock>? { pc == nil ? nil : base[-1].closure }

    /// The running function with its code.
    var function: LoadedFunction? {
        closure.map { functions[Int($0.pointee.function.pointee.index)] }
    }

    /// The instruction that is being carried out.
    var position: Int {
        guard let pc, let code = closure?.pointee.function.pointee.code else { return 0 }
        return pc - code - 1
    }

    /// Where the script is.
    var span: SourceSpan { span(closure, pc) }

    private func span(_ closure: UnsafeMutablePointer<ClosureBlock>?, _ pc: UnsafeMutablePointer<UInt64>?) -> SourceSpan
    {
        guard let closure, let pc else { return SourceSpan(SourceFile("", named: "<host>"), 0..<0) }
        let function = functions[Int(closure.pointee.function.pointee.index)]
        let position = pc - closure.pointee.function.pointee.code - 1
        guard function.code.places.indices.contains(position) else {
            return SourceSpan(function.program.code.file, 0..<0)
        }
        return function.code.places[position].span(in: function.program.code.file)
    }

    /// Where the script is; in the library's code, where it was called.
    var reportedSpan: SourceSpan { openCalls().place }

    /// The text of a place in the running function's script.
    func span(_ place: Place) -> SourceSpan {
        function.map { place.span(in: $0.program.code.file) } ?? span
    }

    /// Tells the heap how far registers are in use.
    func markTop() {
        heap.stackTop = base + Int(closure?.pointee.function.pointee.registers ?? 0)
        heap.frameTop = frame
    }

    // MARK: - Running

    /// The value of a script's last statement and those of its names.
    typealias ProgramResult = (value: Cell, names: [(String, Cell)])

    /// Runs a script; a module's names do not change any more once it has run.
    func run(_ program: ProgramCode, isModule: Bool = false) throws -> ProgramResult {
        let (closure, registers) = try prepare(program)
        let base = heap.stackTop + 1
        let value = try Checkpoint.whileTrue(isWanted) {
            try enter(closure, arguments: [], clearing: registers)
        }
        if isModule { for export in program.names { heap.freeze(base[export.register]) } }
        return (value, names(of: program, at: base))
    }

    /// What long work of the engine asks on behalf of a script that begins now.
    private var isWanted: @Sendable () -> Bool {
        let (signal, end) = (session.stopSignal, limits.wallClock.map { ContinuousClock.now + $0 })
        return { !signal.isSet && end.map { ContinuousClock.now < $0 } ?? true }
    }

    /// Loads a script and gives its function and how many registers that has.
    func prepare(_ program: ProgramCode) throws -> (closure: UnsafeMutablePointer<ClosureBlock>, registers: Int) {
        markTop()
        let function = functions[try load(program).firstFunction]
        return (try heap.closure(function.record, variables: 0), function.code.registers)
    }

    /// The top-level names of a script that has ended, whose registers are still there.
    func names(of program: ProgramCode, at base: UnsafeMutablePointer<Cell>) -> [(String, Cell)] {
        program.names.map { export in
            let cell = base[export.register]
            guard export.isShared else { return (export.name, cell) }
            return (export.name, cell.kind == .box ? cell.box.pointee.value : .unset)
        }
    }

    /// Calls a script's function from the host; the arguments fit its parameters.
    func enter(_ closure: UnsafeMutablePointer<ClosureBlock>, arguments: [Cell], clearing: Int = 0) throws -> Cell {
        let start = heap.stackTop + 1
        if clearing > 0 { start.update(repeating: .unset, count: clearing) }
        for (index, argument) in arguments.enumerated() { start[index] = argument }
        return try enter(closure)
    }

    /// Calls a script's function whose arguments lie above the top, after a place for the function itself.
    func enter(_ closure: UnsafeMutablePointer<ClosureBlock>) throws -> Cell {
        let activation = try open(closure)
        let isFinished = run(until: activation.floor)
        close(activation)
        return try outcome(isFinished)
    }

    /// A call from the host, and what there was before it.
    struct Activation {
        fileprivate let entry: UnsafeMutablePointer<Frame>
        fileprivate let pc: UnsafeMutablePointer<UInt64>?
        fileprivate let base: UnsafeMutablePointer<Cell>
        fileprivate let stackTop: UnsafeMutablePointer<Cell>

        /// The frame at which the call ends.
        var floor: UnsafeMutablePointer<Frame> { entry + 1 }
        fileprivate var isNested: Bool { pc != nil }
    }

    /// Pushes the frame of a call from the host.
    func open(_ closure: UnsafeMutablePointer<ClosureBlock>) throws -> Activation {
        guard frame < frameLimit else { throw tooDeep() }
        let activation = Activation(entry: frame, pc: pc, base: base, stackTop: heap.stackTop)
        if activation.isNested {
            guard nesting < Self.nestingLimit, stack.hasRoom else { throw tooDeep() }
            nesting += 1
        } else {
            beginRun()
        }
        heap.stackTop.pointee = Cell(.closure, closure)
        frame.pointee = Frame(pc: pc, base: base)
        frame += 1
        pc = closure.pointee.function.pointee.code
        base = heap.stackTop + 1
        return activation
    }

    /// Goes back to where a call from the host was made.
    func close(_ activation: Activation) {
        if activation.isNested { nesting -= 1 }
        frame = activation.entry
        (pc, base, heap.stackTop) = (activation.pc, activation.base, activation.stackTop)
        heap.frameTop = frame
    }

    /// What the last call from the host has given, or the error that has ended it.
    func outcome(_ isFinished: Bool) throws -> Cell {
        guard !isFinished else { return result }
        let error = uncaught
        uncaught = nil
        throw error ?? HostFailure(.moduleFailure, "the script failed")
    }

    /// Begins to measure what a run from outside may use.
    private func beginRun() {
        stack = StackGuard()
        if let time = limits.wallClock { deadline = .now + time }
    }

    // MARK: - Fuel

    /// Pays for work of the host's, before it is done.
    func pay(_ amount: Int) throws {
        let (left, overflow) = fuel.subtractingReportingOverflow(max(amount, 0))
        fuel = overflow ? -Int.max : left
        if fuel < 0 { try refuel() }
    }

    /// Takes the next slice of fuel, after a look at what may stop the script.
    func refuel() throws {
        if let stop = checkStop() { throw stop }
        turns.isDue = turns.isOn
        let debt = UInt64(-fuel)
        guard fuelLeft >= debt else {
            fuel = 0
            fuelLeft = 0
            throw HostFailure(
                .fuelLimit, "the script takes more than \(limits.fuel) steps", notes: ["the limit is `Limits.fuel`"])
        }
        let slice = min(UInt64(Self.slice), fuelLeft - debt)
        fuelLeft -= debt + slice
        fuel = Int(slice)
    }

    /// Why the script must stop now, if it must.
    func checkStop() -> HostFailure? {
        if session.stopSignal.isSet || turns.isOn && Task.isCancelled {
            return HostFailure(.interrupted, "the script was interrupted")
        }
        if let deadline, let time = limits.wallClock, ContinuousClock.now >= deadline {
            return HostFailure(
                .wallClockLimit, "the script runs for longer than \(time)", notes: ["the limit is `Limits.wallClock`"])
        }
        return nil
    }

    /// How much fuel has been spent.
    var fuelSpent: UInt64 { limits.fuel - fuelLeft - UInt64(max(fuel, 0)) }

    func tooDeep() -> HostFailure {
        HostFailure(
            .depthLimit, "calls are nested too deeply",
            notes: [
                "\(max(frame - heap.frames - 1, 0)) calls are open; the limit is `Limits.depth`, \(limits.depth), "
                    + "\(Self.nestingLimit) calls from host functions, or the thread's stack"
            ])
    }

    // MARK: - Errors

    /// Goes to the code that catches an error; false if there is none since the host's call.
    func unwind(_ error: any Error, until floor: UnsafeMutablePointer<Frame>) -> Bool {
        guard !(error is any PassingError) else {
            uncaught = error
            return false
        }
        let fault = fault(error)
        guard fault.isCatchable else {
            uncaught = Interruption.fault(fault)
            return false
        }
        while true {
            let position = position
            if let closure, let function,
                let handler = function.code.handlers.first(where: { $0.range.contains(position) })
            {
                do throws(HostFailure) {
                    markTop()
                    base[handler.register] = try heap.cell(fault.caught)
                } catch {
                    uncaught = Interruption.fault(self.fault(error))
                    return false
                }
                pc = closure.pointee.function.pointee.code + handler.target
                return true
            }
            guard frame > floor else {
                uncaught = Interruption.fault(fault)
                return false
            }
            frame -= 1
            pc = frame.pointee.pc
            base = frame.pointee.base ?? base
        }
    }

    /// An error with its place and the calls that led to it.
    private func fault(_ error: any Error) -> Fault {
        switch error {
        case Interruption.fault(let fault):
            if fault.trace.isEmpty { fault.trace = openCalls().trace }
            return fault
        case let failure as HostFailure:
            let (place, trace) = openCalls()
            let fault: Fault
            if let span = failure.span, !ScriptedModule.contains(span.file) {
                fault = Fault(failure, at: span)
            } else if place.file === span.file {
                fault = Fault(failure, at: place, operator: function?.code.operators[position].map { span($0) })
            } else {
                fault = Fault(failure, at: place)
            }
            fault.trace = trace
            return fault
        case let failure as ScriptError: return uncaughtFault(failure.message)
        case _: return uncaughtFault("\(error)")
        }
    }

    private func uncaughtFault(_ message: String) -> Fault {
        let (place, trace) = openCalls()
        let fault = Fault(Diagnostic(ScriptCode.uncaught, message, at: place))
        fault.trace = trace
        return fault
    }

    /// Where the script is, and the open calls of its functions, innermost first.
    ///
    /// Functions of the library count as built in: the place is where they were called.
    private func openCalls() -> (place: SourceSpan, trace: [(function: String, call: SourceSpan)]) {
        var trace: [(function: String, call: SourceSpan)] = []
        var place = span
        var callee = closure
        var entry = frame
        while let current = callee, entry > heap.frames {
            entry -= 1
            guard entry.pointee.pc != nil, let caller = entry.pointee.base?[-1].closure else { break }
            let index = Int(current.pointee.function.pointee.index)
            let loaded = functions[index]
            // A module's statements go by its name.
            let isModule = index == loaded.program.firstFunction
            let name = isModule ? loaded.program.code.file.name : loaded.code.signature.name
            let call = span(caller, entry.pointee.pc)
            if trace.isEmpty, ScriptedModule.contains(place.file) {
                place = call
            } else if !ScriptedModule.contains(call.file) {
                trace.append((name, call))
            }
            callee = caller
        }
        return (place, trace)
    }
}

/// A thrown Swift error that no script sees: it passes through scripts to the host's code that began them.
protocol PassingError: Error {}

/// What a place in the code has found out about the members it names.
struct MemberCache {
    /// The shape for whose maps `slot` is right, or the tag of the type whose member it is, or `none`.
    var key: UInt = 1
    /// The position of the value, or the address of a `Member`.
    var slot: Int = 0
    var name: Cell
    /// The call site, if the member is called.
    var call: Int

    init(name: Cell, call: Int) {
        self.name = name
        self.call = call
    }
}

extension Operation {
    /// A table that an instruction's `C` counts in.
    enum Table { case constants, caches, calls, functions, none }

    var table: Table {
        switch self {
        case .loadConstant, .getSharedVariable, .setSharedVariable, .getBox, .getRegister, .setRegister: .constants
        case .callMethod, .append, .getMember, .setMember: .caches
        case .call, .callCurrent: .calls
        case .makeClosure: .functions
        case .loadNil, .loadUnset, .loadBool, .loadInt, .loadCurrent, .move, .getVariable,
            .makeBox, .setBox, .shiftLeft, .shiftRight, .wrappingShiftLeft, .multiply, .divide, .remainder, .bitAnd,
            .wrappingMultiply, .add, .subtract, .bitOr, .bitXor, .wrappingAdd, .wrappingSubtract, .closedRange,
            .halfOpenRange, .countedRange, .coalesce, .equal, .notEqual, .less, .lessOrEqual, .greater,
            .greaterOrEqual, .contains, .and, .or, .addInt, .subtractInt, .multiplyInt, .divideInt, .remainderInt,
            .bitAndInt, .shiftLeftInt, .shiftRightInt, .negate, .complement, .not, .jump, .loop, .jumpIfFalse,
            .jumpIfTrue, .loopIfTrue, .jumpIfExactlyFalse, .jumpIfExactlyTrue, .jumpIfNotNil, .jumpIfSet, .unlessLess,
            .unlessLessOrEqual, .unlessEqual, .unlessNotEqual, .unlessLessInt, .unlessLessOrEqualInt,
            .unlessGreaterInt, .unlessGreaterOrEqualInt, .unlessEqualInt, .unlessNotEqualInt, .loopIfLess,
            .loopIfLessOrEqual, .loopIfNotEqual, .loopIfLessInt, .loopIfLessOrEqualInt, .loopIfGreaterInt,
            .loopIfGreaterOrEqualInt, .loopIfNotEqualInt, .forPrepare, .forLoop, .iterate, .iterateNext, .return,
            .returnNil, .getElement, .setElement, .makeList, .extendList, .makeMap, .addEntry, .makeRecord, .text,
            .format, .throw, .matches, .noMatch, .failExpectation, .importModule, .declare, .declarationLabel,
            .property, .contents, .finishDeclaration, .runTest, .makeHandler, .makeAssembly:
            .none
        }
    }
}
