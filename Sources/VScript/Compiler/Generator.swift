import VScriptSyntax

/// Makes the bytecode of a script whose names are bound.
final class Generator {
    private let file: SourceFile
    private var functions: [FunctionCode?] = []
    private var constants: [Literal] = []
    private var constantIndices: [ConstantKey: Int] = [:]
    private var caches: [MemberSite] = []
    private var calls: [CallSite] = []
    private var records: [[String]] = []
    private var formats: [FormatSpecification] = []
    private var expectations: [ExpectationSite] = []
    private var imports: [ModuleReference] = []
    private var declarations: [DeclarationSite] = []
    private var properties: [String] = []
    private var handlers: [HandlerSite] = []
    private var assemblies: [AssemblySite] = []
    private(set) var diagnostics: [Diagnostic] = []
    let stack = StackGuard()

    /// Constants that are stored once.
    private enum ConstantKey: Hashable {
        case int(Int128), float(UInt64), duration(Int64), string(String), name(String), symbol(String), builtin(Int),
            global(String)
    }

    private init(_ file: SourceFile) { self.file = file }

    /// The code of a script, or the reports against it.
    static func generate(
        _ body: Block, names: [Binding], globals: [Binding] = [], in file: SourceFile
    ) -> (code: ProgramCode?, diagnostics: [Diagnostic]) {
        let generator = Generator(file)
        let index = generator.reserveFunction()
        let outside = globals.isEmpty ? nil : FunctionGenerator(generator, boxes: globals)
        let main = FunctionGenerator(generator, name: "", own: nil, parent: outside)
        main.script(body, SourceSpan(file, 0..<0))
        let exported = names.compactMap { main.export($0) }
        generator.functions[index] = main.finish(Signature(name: "", parameters: []))
        guard generator.diagnostics.isEmpty else { return (nil, generator.diagnostics) }
        return (
            ProgramCode(
                file: file, functions: generator.functions.compactMap { $0 }, constants: generator.constants,
                caches: generator.caches, calls: generator.calls, records: generator.records,
                formats: generator.formats, expectations: generator.expectations, imports: generator.imports,
                declarations: generator.declarations, properties: generator.properties,
                handlers: generator.handlers, assemblies: generator.assemblies, names: exported), []
        )
    }

    func reserveFunction() -> Int {
        functions.append(nil)
        return functions.count - 1
    }

    func setFunction(_ index: Int, _ function: FunctionCode) { functions[index] = function }

    /// Says once that a function has too many variables.
    func tooLarge(_ span: SourceSpan) {
        guard diagnostics.isEmpty else { return }
        diagnostics.append(
            Diagnostic(
                ScriptCode.functionTooLarge, "there are too many variables and values at once here", at: span,
                notes: ["a function has at most \(FunctionGenerator.registerLimit); move a part into one of its own"]))
    }

    func tooDeep(_ span: SourceSpan) {
        guard diagnostics.isEmpty else { return }
        diagnostics.append(
            Diagnostic(SyntaxCode.nestedTooDeeply, "this is nested too deeply for the thread's stack", at: span))
    }

    func report(_ code: ScriptCode, _ message: String, at span: SourceSpan) {
        diagnostics.append(Diagnostic(code, message, at: span))
    }

    // MARK: - Tables

    func constant(_ literal: Literal) -> Int {
        let key: ConstantKey? =
            switch literal {
            case .int(let value): .int(value)
            case .float(let value): .float(value.bitPattern)
            case .duration(let value): .duration(value)
            case .string(let value): .string(value)
            case .name(let value): .name(value)
            case .symbol(let value): .symbol(value)
            case .builtin(let value): .builtin(value)
            case .global(let value): .global(value)
            case .nil, .bool, .bytes, .regex: nil
            }
        if let key, let known = constantIndices[key] { return known }
        constants.append(literal)
        if let key { constantIndices[key] = constants.count - 1 }
        return constants.count - 1
    }

    func cache(_ name: String, call: Int? = nil) -> Int {
        caches.append(MemberSite(name: name, call: call))
        return caches.count - 1
    }

    func call(_ arguments: [Argument]) -> CallSite {
        CallSite(
            labels: arguments.contains { $0.label != nil } ? arguments.map(\.label) : [],
            places: arguments.map { Place($0.value.span) })
    }

    func add(_ site: CallSite) -> Int { Self.add(site, to: &calls) }
    func add(_ names: [String]) -> Int { Self.add(names, to: &records) }
    func add(_ format: FormatSpecification) -> Int { Self.add(format, to: &formats) }
    func add(_ site: ExpectationSite) -> Int { Self.add(site, to: &expectations) }
    func add(_ module: ModuleReference) -> Int { Self.add(module, to: &imports) }
    func add(_ site: DeclarationSite) -> Int { Self.add(site, to: &declarations) }
    func add(property name: String) -> Int { Self.add(name, to: &properties) }
    func add(_ site: HandlerSite) -> Int { Self.add(site, to: &handlers) }
    func add(_ site: AssemblySite) -> Int { Self.add(site, to: &assemblies) }

    private static func add<Site>(_ site: Site, to table: inout [Site]) -> Int {
        table.append(site)
        return table.count - 1
    }
}

/// Makes the code of one function.
///
/// Variables lie in registers from 0 on, values that are being computed above them.
final class FunctionGenerator {
    /// The most registers of a function.
    static let registerLimit = 250

    let program: Generator
    let parent: FunctionGenerator?
    private let name: String
    /// What the function is declared by; it reaches itself without a variable.
    private let own: Binding?
    private var code: [UInt64] = []
    private var places: [Place] = []
    private var operators: [Int: Place] = [:]
    private var captures: [FunctionCode.Capture] = []
    private var catches: [FunctionCode.Catch] = []
    private var locations: [ObjectIdentifier: Location] = [:]
    /// The first free register.
    private(set) var next = 0
    private var highest = 0
    private var loops: [Loop] = []
    /// The parts of the condition of an `expect`, while it is made.
    private var parts: [ExpectationSite.Capture]?
    private var partCondition: Int?

    /// Where a variable is.
    enum Location {
        case register(Int)
        /// In the box that a register holds.
        case box(Int)
        /// Among the closure's variables, as a value or in a box.
        case variable(Int), shared(Int)
        /// The running function itself.
        case current
    }

    /// A loop that is being made.
    private struct Loop {
        var breaks: [Int] = []
        var continues: [Int] = []
    }

    init(_ program: Generator, name: String, own: Binding?, parent: FunctionGenerator?) {
        self.program = program
        self.name = name
        self.own = own
        self.parent = parent
    }

    /// What stands for the code around a text whose variables are in boxes already, by their number.
    init(_ program: Generator, boxes: [Binding]) {
        self.program = program
        parent = nil
        name = ""
        own = nil
        for (index, binding) in boxes.enumerated() { locations[ObjectIdentifier(binding)] = .box(index) }
    }

    func finish(_ signature: Signature) -> FunctionCode {
        FunctionCode(
            signature: signature, registers: max(highest, signature.parameters.count) + 1, code: code, places: places,
            operators: operators, captures: captures, handlers: catches)
    }

    // MARK: - Instructions

    @discardableResult
    func emit(
        _ operation: Operation, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, at span: SourceSpan,
        operator operatorSpan: SourceSpan? = nil
    ) -> Int {
        code.append(Instruction(operation, a: a, b: b, c: c).word)
        places.append(Place(span))
        if let operatorSpan { operators[code.count - 1] = Place(operatorSpan) }
        return code.count - 1
    }

    /// Where the next instruction will be.
    var here: Int { code.count }

    /// Makes a jump lead to the next instruction.
    func patch(_ jump: Int) {
        code[jump] = Instruction(word: code[jump]).with(c: code.count - jump - 1).word
    }

    func patch(_ jumps: [Int]) {
        for jump in jumps { patch(jump) }
    }

    /// The operand of a jump from the next instruction to an earlier one.
    func back(to target: Int) -> Int { target - code.count - 1 }

    // MARK: - Registers

    func temporary(_ span: SourceSpan) -> Int {
        if next >= Self.registerLimit {
            program.tooLarge(span)
            return Self.registerLimit
        }
        next += 1
        highest = max(highest, next)
        return next - 1
    }

    /// Frees the registers from a mark on; those of an `expect` are kept until it is decided.
    func release(to mark: Int) {
        if parts == nil { next = mark }
    }

    // MARK: - Variables

    func locate(_ binding: Binding) -> Location {
        if binding === own { return .current }
        let key = ObjectIdentifier(binding)
        if let known = locations[key] { return known }
        guard let parent else { return .register(0) }
        let index = captures.count
        // Also of a shared function what is inside of it captures the function, not the box.
        let (capture, location): (FunctionCode.Capture, Location) =
            switch parent.locate(binding) {
            case .register(let register): (.register(register), .variable(index))
            case .box(let register): (.register(register), .shared(index))
            case .variable(let variable): (.variable(variable), .variable(index))
            case .shared(let variable): (.variable(variable), .shared(index))
            case .current: (.current, .variable(index))
            }
        captures.append(capture)
        locations[key] = location
        return location
    }

    /// Takes registers for the variables of a block; those that closures share get boxes without a value.
    func declare(_ bindings: [Binding], _ span: SourceSpan) {
        for binding in bindings where locations[ObjectIdentifier(binding)] == nil {
            let register = temporary(span)
            if binding.isShared {
                emit(.loadUnset, register, at: span)
                emit(.makeBox, register, register, at: span)
            }
            locations[ObjectIdentifier(binding)] = binding.isShared ? .box(register) : .register(register)
        }
    }

    /// Makes a register, which holds a value, a variable's.
    func adopt(_ binding: Binding, _ register: Int, _ span: SourceSpan) {
        if binding.isShared { emit(.makeBox, register, register, at: span) }
        locations[ObjectIdentifier(binding)] = binding.isShared ? .box(register) : .register(register)
    }

    func load(_ binding: Binding, into register: Int, at span: SourceSpan) {
        switch locate(binding) {
        case .register(let source): if source != register { emit(.move, register, source, at: span) }
        case .box(let box): emit(.getBox, register, box, program.constant(.name(binding.name)), at: span)
        case .variable(let index): emit(.getVariable, register, index, at: span)
        case .shared(let index):
            emit(.getSharedVariable, register, index, program.constant(.name(binding.name)), at: span)
        case .current: emit(.loadCurrent, register, at: span)
        }
    }

    func store(_ register: Int, in binding: Binding, at span: SourceSpan) {
        switch locate(binding) {
        case .register(let target): if target != register { emit(.move, target, register, at: span) }
        case .box(let box): emit(.setBox, register, box, at: span)
        case .shared(let index):
            emit(.setSharedVariable, register, index, program.constant(.name(binding.name)), at: span)
        case .variable, .current: break
        }
    }

    /// Computes a value and puts it in a variable.
    func define(_ binding: Binding, _ value: Node, at span: SourceSpan) {
        if case .register(let register) = locate(binding) { return put(value, into: register) }
        let mark = next
        store(self.value(value), in: binding, at: span)
        release(to: mark)
    }

    /// Where an exported name's value is.
    func export(_ binding: Binding) -> ExportedName? {
        switch locations[ObjectIdentifier(binding)] {
        case .register(let register): ExportedName(name: binding.name, register: register, isShared: false)
        case .box(let register): ExportedName(name: binding.name, register: register, isShared: true)
        case .variable, .shared, .current, nil: nil
        }
    }

    // MARK: - Loops

    func loop(_ body: () -> Void) -> (breaks: [Int], continues: [Int]) {
        loops.append(Loop())
        body()
        let loop = loops.removeLast()
        return (loop.breaks, loop.continues)
    }

    func jumpOut(isBreak: Bool, _ span: SourceSpan) {
        guard !loops.isEmpty else { return }
        let jump = emit(.jump, at: span)
        if isBreak { loops[loops.count - 1].breaks.append(jump) } else { loops[loops.count - 1].continues.append(jump) }
    }

    func addCatch(_ range: Range<Int>, target: Int, register: Int) {
        catches.append(FunctionCode.Catch(range: range, target: target, register: register))
    }

    // MARK: - Expectations

    /// Makes the condition of an `expect` and the code that reports if it does not hold.
    func expect(_ condition: Node, _ message: Node?, at span: SourceSpan) {
        let mark = next
        let outer = (parts, partCondition)
        parts = []
        partCondition = nil
        let result = value(condition)
        let holds = emit(.jumpIfTrue, result, at: condition.span)
        let site = ExpectationSite(place: Place(condition.span), captures: parts ?? [])
        (parts, partCondition) = outer
        let text = temporary(span)
        if let message { put(message, into: text) } else { emit(.loadUnset, text, at: span) }
        emit(.failExpectation, result, text, program.add(site), at: condition.span)
        patch(holds)
        release(to: mark)
    }

    /// Computes a part of an `expect` into a register that is kept for the report.
    func part(_ node: Node, _ span: SourceSpan, into register: Int) {
        guard parts != nil, next < Self.registerLimit - 50 else { return put(node, into: register, isFresh: true) }
        let kept = temporary(span)
        put(node, into: kept, isFresh: true)
        parts?.append(ExpectationSite.Capture(place: Place(span), register: kept, condition: partCondition))
        if kept != register { emit(.move, register, kept, at: node.span) }
    }

    /// Computes a part that may be passed over: its register holds no value until then.
    func part(_ node: Node, skippedBy jump: () -> Void, into register: Int) {
        guard parts != nil, case .captured(let inner, let span) = node.code, next < Self.registerLimit - 50 else {
            jump()
            return put(node, into: register)
        }
        let kept = temporary(span)
        emit(.loadUnset, kept, at: span)
        let position = parts?.count ?? 0
        jump()
        let outer = partCondition
        partCondition = kept
        put(inner, into: kept, isFresh: true)
        partCondition = outer
        parts?.insert(ExpectationSite.Capture(place: Place(span), register: kept, condition: outer), at: position)
        emit(.move, register, kept, at: node.span)
    }

    /// Whether the condition of an `expect` is being made.
    var isExpecting: Bool { parts != nil }

    /// Makes something outside the condition it stands in: its parts are not shown.
    func withoutParts<Result>(_ body: () -> Result) -> Result {
        let outer = parts
        parts = nil
        defer { parts = outer }
        return body()
    }
}
