import VScriptSyntax

/// A text that is run in a scope with names from earlier texts.
struct InteractiveProgram {
    let code: ProgramCode
    let warnings: [Diagnostic]
    /// The names it declares.
    let names: [Binding]
    /// The statements that declare them, with the comments before them.
    let sources: [String: (text: String, documentation: String?)]
    /// Whether its last statement is an expression.
    let hasValue: Bool

    /// Reads and checks a text; throws all reports if one is an error.
    init(_ file: SourceFile, globals: [Binding], modules: ModuleNames) throws(CompilationError) {
        let tree = parse(file)
        guard tree.isValid else { throw CompilationError(diagnostics: tree.diagnostics) }
        let outer = Scope(.block, in: nil)
        for binding in globals { outer.adopt(binding) }
        let result = Resolver.resolve(
            tree.program, schema: .standard, prelude: Set(Prelude.functions.map(\.signature.name)),
            modules: modules, in: outer)
        var reports = tree.diagnostics + result.diagnostics
        var code: ProgramCode?
        if reports.allSatisfy({ $0.severity != .error }) {
            // Later texts may refer to all that this one declares.
            for binding in result.names {
                binding.isCaptured = true
                binding.isAssigned = true
            }
            let generated = Generator.generate(result.body, names: result.names, globals: globals, in: file)
            reports += generated.diagnostics
            code = generated.code
        }
        guard let code, reports.allSatisfy({ $0.severity != .error }) else {
            throw CompilationError(diagnostics: reports)
        }
        self.code = code
        warnings = reports
        names = result.names
        hasValue =
            if case .expression = tree.program.statements.last { true } else { false }
        var sources: [String: (text: String, documentation: String?)] = [:]
        for statement in tree.program.statements {
            guard let (name, text, documentation) = Self.declaration(statement) else { continue }
            sources[name] = (text, documentation)
        }
        self.sources = sources
    }

    /// What a statement declares, its text and the comment before it.
    private static func declaration(_ statement: StatementSyntax) -> (String, String, String?)? {
        switch statement {
        case .binding(let syntax): syntax.name.map { ($0.text, syntax.span.text, syntax.documentation) }
        case .function(let syntax): syntax.name.map { ($0.text, syntax.span.text, syntax.documentation) }
        case .declaration(let syntax):
            if case .name(let name) = syntax.label { (name.text, syntax.span.text, syntax.documentation) } else { nil }
        case .import, .return, .throw, .break, .continue, .expect, .for, .while, .property, .assignment, .expression:
            nil
        }
    }
}

extension Interpreter {
    /// Runs a text's code, whose function takes variables from boxes, and gives its value or error and the boxes of its
    /// names.
    func run(
        _ program: ProgramCode, boxes: [Cell]
    ) -> (value: Result<Cell, any Error>, names: [(name: String, box: Cell)]) {
        do {
            markTop()
            let loaded = try load(program)
            let function = functions[loaded.firstFunction]
            let captures = function.code.captures
            let closure = try heap.closure(function.record, variables: captures.count)
            for (index, capture) in captures.enumerated() {
                guard case .register(let number) = capture, boxes.indices.contains(number) else { continue }
                closure.variables[index] = boxes[number]
            }
            let base = heap.stackTop + 1
            let value = Result { try enter(closure, arguments: [], clearing: function.code.registers) }
            return (value, program.names.map { ($0.name, base[$0.register]) })
        } catch {
            return (.failure(error), [])
        }
    }
}
