import VScriptSyntax

/// Walks the code of scripts.
///
/// Belongs to one session. Every way to nest (calls, expressions, collections) is limited, so that no script
/// can exhaust the host's stack.
final class Evaluator {
    let limits: Limits
    unowned let session: Session
    private(set) var depth = 0
    private var fuel: UInt64
    /// Looked up anew by each run, which may be on another thread.
    var stack = StackGuard()
    /// Values of the condition of an `expect`, while one is evaluated.
    var captures: [Diagnostic.Label]?

    init(session: Session, limits: Limits) {
        self.session = session
        self.limits = limits
        fuel = limits.fuel
    }

    // MARK: - Faults

    func fault(
        _ code: ScriptCode, _ message: String, _ span: SourceSpan, label: String = "", notes: [String] = []
    ) -> Interruption {
        .fault(Fault(Diagnostic(code, message, at: span, label: label, notes: notes), isCatchable: code.isCatchable))
    }

    /// Runs something of the host's and gives its failures a place.
    func located<Result>(
        _ span: SourceSpan, operator operatorSpan: SourceSpan? = nil, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch let failure as HostFailure {
            throw Interruption.fault(Fault(failure, at: span, operator: operatorSpan))
        }
    }

    /// Pays for a call or a turn of a loop.
    func spend(_ span: SourceSpan) throws {
        if session.isInterrupted { throw fault(.fuelLimit, "the script was interrupted", span) }
        guard fuel > 0 else {
            throw fault(
                .fuelLimit, "the script takes more than \(limits.fuel) steps", span,
                notes: ["the limit is `Limits.fuel`"])
        }
        fuel -= 1
    }

    func tooDeep(_ span: SourceSpan) -> Interruption {
        fault(
            .depthLimit, "calls are nested too deeply", span,
            notes: ["\(depth) calls are open; the limit is `Limits.depth`, \(limits.depth), or the thread's stack"])
    }

    // MARK: - Blocks

    /// Runs a block in an environment of its own and gives the value of its last statement.
    func run(_ block: Block, in environment: Environment) throws -> Value {
        try statements(block, in: block.slots > 0 ? Environment(block.slots, in: environment) : environment)
    }

    /// Runs a block's statements in an environment that has its slots.
    func statements(_ block: Block, in environment: Environment) throws -> Value {
        var result = Value.nil
        for statement in block.statements { result = try evaluate(statement, environment) }
        return result
    }

    // MARK: - Calls

    /// Calls a value with arguments that have been evaluated.
    func call(_ callee: Value, _ arguments: [PassedArgument], at span: SourceSpan) throws -> Value {
        guard case .function(let function) = callee else {
            throw fault(.notCallable, "\(callee.typeName) cannot be called", span)
        }
        try spend(span)
        guard depth < limits.depth else { throw tooDeep(span) }
        depth += 1
        defer { depth -= 1 }
        switch function.body {
        case .script(let code, let environment):
            let values = try sorted(arguments, to: code.signature, span)
            return try run(code, values, in: environment, from: span)
        case .host(let signature, let body):
            let values = try sorted(arguments, to: signature, span)
            do {
                return try body(Arguments(signature: signature, values: values, context: session, span: span))
            } catch let failure as HostFailure {
                throw Interruption.fault(Fault(failure, at: place(of: failure, signature, arguments) ?? span))
            }
        }
    }

    private func sorted(
        _ arguments: [PassedArgument], to signature: Signature, _ span: SourceSpan
    ) throws -> [Value?] {
        do throws(HostFailure) {
            return try Arguments.sort(arguments, to: signature)
        } catch {
            let place = error.argument.map { arguments[$0].span } ?? span
            throw Interruption.fault(Fault(error, at: place))
        }
    }

    /// Where the argument stands that a failure is about.
    private func place(
        of failure: HostFailure, _ signature: Signature, _ arguments: [PassedArgument]
    ) -> SourceSpan? {
        guard let index = failure.argument, signature.parameters.indices.contains(index) else { return nil }
        let name = signature.parameters[index].name
        if let labelled = arguments.first(where: { $0.label == name }) { return labelled.span }
        let positional = arguments.filter { $0.label == nil }
        return positional.indices.contains(index) ? positional[index].span : nil
    }

    private func run(
        _ code: FunctionCode, _ values: [Value?], in parent: Environment, from span: SourceSpan
    ) throws -> Value {
        let environment = code.body.slots > 0 ? Environment(code.body.slots, in: parent) : parent
        do {
            for (index, value) in values.enumerated() {
                environment.slots[index] = try value ?? code.defaults[index].map { try evaluate($0, environment) }
            }
            return try statements(code.body, in: environment)
        } catch Interruption.returned(let value) {
            return value
        } catch Interruption.fault(let fault) {
            fault.trace.append((code.name, span))
            throw Interruption.fault(fault)
        }
    }

    // MARK: - Conditions and expectations

    func condition(_ node: Node, _ environment: Environment) throws -> Bool {
        let value = try evaluate(node, environment)
        guard case .bool(let result) = value else {
            throw fault(
                .notBool, "a condition is `true` or `false`, not \(value.typeName)", node.span,
                notes: ["compare the value with something, as in `… != 0` or `… != nil`"])
        }
        return result
    }

    func expect(_ condition: Node, _ message: Node?, _ environment: Environment) throws -> Value {
        let outer = captures
        captures = []
        defer { captures = outer }
        if try self.condition(condition, environment) { return .nil }
        let values = captures ?? []
        captures = outer
        let text = try message.map { try evaluate($0, environment).text }
        var report = Diagnostic(
            ScriptCode.expectationFailed, "expectation failed" + (text.map { ": \($0)" } ?? ""), at: condition.span,
            notes: session.expectationNotes())
        report.values = values
        throw Interruption.fault(Fault(report))
    }

    func capture(_ node: Node, at span: SourceSpan, _ environment: Environment) throws -> Value {
        let value = try evaluate(node, environment)
        if captures != nil, !value.isFunction {
            let text = value.source()
            captures?.append(Diagnostic.Label(span, text.count > 60 ? text.prefix(59) + "…" : text))
        }
        return value
    }
}

extension Value {
    fileprivate var isFunction: Bool {
        if case .function = self { true } else { false }
    }
}
