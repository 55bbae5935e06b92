import VScriptSyntax

extension Evaluator {
    /// Carries out a step.
    ///
    /// The frame of this function recurses the deepest, so each case only calls.
    func evaluate(_ node: Node, _ environment: Environment) throws -> Value {
        guard stack.hasRoom else { throw tooDeep(node.span) }
        switch node.code {
        case .literal(let literal): return literal.value
        case .text(let pieces): return try text(pieces, environment)
        case .variable(let slot, let name): return try variable(slot, name, node.span, environment)
        case .builtin(let name): return session.prelude[name] ?? .nil
        case .ownMember(let slot, let name):
            return try member(name, of: value(slot, environment), node.span)
        case .register(let slot, let name):
            let cpu = try member("cpu", of: value(slot, environment), node.span)
            return try member(name, of: cpu, node.span)
        case .list(let items): return try .items(items.map { try evaluate($0, environment) })
        case .map(let entries): return try map(entries, environment)
        case .function(let code): return .function(Function(code, environment))
        case .conditional(let condition, let block, let alternative):
            if try self.condition(condition, environment) { return try run(block, in: environment) }
            return try alternative.map { try evaluate($0, environment) } ?? .nil
        case .match(let subject, let arms): return try match(subject, arms, node.span, environment)
        case .tryCatch(let body, let handler): return try tryCatch(body, handler, environment)
        case .handler(let code): return try handler(code, environment)
        case .assembly(let code): return try assembly(code, node.span, environment)
        case .unary(let operation, let operand):
            let value = try evaluate(operand, environment)
            return try located(node.span) { try Arithmetic.apply(operation, value) }
        case .binary(let operation, let span, let left, let right):
            return try binary(operation, span, left, right, node.span, environment)
        case .member(let base, let name, let span):
            return try member(name, of: evaluate(base, environment), span)
        case .call(let callee, let arguments): return try call(callee, arguments, node.span, environment)
        case .index(let base, let key): return try element(base, key, node.span, environment)
        case .block(let block): return try run(block, in: environment)
        case .captured(let inner, let span): return try capture(inner, at: span, environment)
        case .define(let slot, let value):
            environment.slots[slot] = try evaluate(value, environment)
            return .nil
        case .assign(let target, let operation, let span, let value):
            try assign(target, operation, span, value, environment)
            return .nil
        case .return(let value): throw Interruption.returned(try value.map { try evaluate($0, environment) } ?? .nil)
        case .throw(let value): throw try thrown(evaluate(value, environment), node.span)
        case .break: throw Interruption.breakLoop
        case .continue: throw Interruption.continueLoop
        case .expect(let condition, let message): return try expect(condition, message, node.span, environment)
        case .forLoop(let variables, let sequence, let body):
            try forLoop(variables, sequence, body, environment)
            return .nil
        case .whileLoop(let condition, let body):
            try whileLoop(condition, body, environment)
            return .nil
        case .importModule(let slot, let reference):
            environment.slots[slot] = try session.module(reference, from: node.span)
            return .nil
        case .property(let slot, let name, let value): return try property(slot, name, value, environment)
        case .contents(let slot, let code): return try contents(code, of: value(slot, environment), environment)
        case .declaration(let code): return try declaration(code, node.span, environment)
        }
    }

    // MARK: - Variables and members

    func value(_ slot: Slot, _ environment: Environment) -> Value {
        var current = environment
        for _ in 0..<slot.hops { current = current.parent ?? current }
        return current.slots[slot.index] ?? .nil
    }

    private func variable(_ slot: Slot, _ name: String, _ span: SourceSpan, _ environment: Environment) throws -> Value
    {
        var current = environment
        for _ in 0..<slot.hops { current = current.parent ?? current }
        guard let value = current.slots[slot.index] else {
            throw fault(.usedBeforeDeclaration, "`\(name)` is used before it has a value", span)
        }
        return value
    }

    /// Carries out `value.name`.
    func member(_ name: String, of value: Value, _ span: SourceSpan) throws -> Value {
        if case .nil = value { throw fault(.unknownName, "nil has no member `\(name)`", span) }
        if let found = try located(span, { try Members.get(name, of: value) }) { return found }
        let names = Members.names(of: value)
        let guess = Suggestion.closest(to: name, in: names)
        let isMap = value.typeName == "a map"
        throw fault(
            isMap ? .missingKey : .unknownName,
            isMap ? "the map has no key `\(name)`" : "\(value.typeName) has no member `\(name)`", span,
            label: guess.map { "did you mean `\($0)`?" } ?? "",
            notes: isMap ? ["`map[\"\(name)\"]` is nil without the key"] : [])
    }

    private func element(_ base: Node, _ key: Node, _ span: SourceSpan, _ environment: Environment) throws -> Value {
        let value = try evaluate(base, environment)
        let key = try evaluate(key, environment)
        return try located(span) { try Members.element(key, of: value) }
    }

    // MARK: - Texts and collections

    private func text(_ pieces: [TextPiece], _ environment: Environment) throws -> Value {
        var result = ""
        for piece in pieces {
            switch piece {
            case .text(let text): result += text
            case .value(let node, let format):
                let value = try evaluate(node, environment)
                result +=
                    try format.map { format in try located(node.span) { try format.apply(to: value) } } ?? value.text
            }
        }
        return .string(result)
    }

    private func map(_ entries: [(key: Node, value: Node)], _ environment: Environment) throws -> Value {
        let map = Map()
        for entry in entries {
            let key = try evaluate(entry.key, environment)
            guard Map.canBeKey(key) else { throw fault(.wrongType, "\(key.typeName) cannot be a key", entry.key.span) }
            map.set(key, try evaluate(entry.value, environment))
        }
        return .map(map)
    }

    // MARK: - Operators and calls

    private func binary(
        _ operation: BinaryOperator, _ operatorSpan: SourceSpan, _ left: Node, _ right: Node, _ span: SourceSpan,
        _ environment: Environment
    ) throws -> Value {
        let first = try evaluate(left, environment)
        switch (operation, first) {
        case (.and, .bool(false)), (.or, .bool(true)):
            skip(right)
            return first
        case (.coalesce, let value) where !value.isNil: return value
        case _: break
        }
        let second = try evaluate(right, environment)
        return try located(span, operator: operatorSpan) { try Arithmetic.apply(operation, first, second) }
    }

    /// Notes that an `expect` did not get to a part of its condition.
    private func skip(_ node: Node) {
        guard captures != nil, case .captured(_, let span) = node.code else { return }
        captures?.append(Diagnostic.Label(span, "(not evaluated)"))
    }

    private func call(
        _ callee: Node, _ arguments: [Argument], _ span: SourceSpan, _ environment: Environment
    ) throws -> Value {
        let function = try evaluate(callee, environment)
        let passed = try arguments.map { argument in
            PassedArgument(
                label: argument.label, value: try evaluate(argument.value, environment), span: argument.value.span)
        }
        return try call(function, passed, at: span)
    }

    // MARK: - Control

    private func match(_ subject: Node, _ arms: [Arm], _ span: SourceSpan, _ environment: Environment) throws -> Value {
        let value = try evaluate(subject, environment)
        for arm in arms {
            let fits =
                try arm.patterns.isEmpty
                || arm.patterns.contains { Members.matches(try evaluate($0, environment), value) }
            guard fits else { continue }
            if let condition = arm.guardCondition, try !self.condition(condition, environment) { continue }
            return try evaluate(arm.body, environment)
        }
        throw fault(.noMatch, "no arm fits \(value.source())", subject.span, notes: ["`else => …` fits everything"])
    }

    private func tryCatch(_ body: Block, _ handler: Block, _ environment: Environment) throws -> Value {
        do {
            return try run(body, in: environment)
        } catch Interruption.fault(let fault) where fault.isCatchable {
            let inner = Environment(handler.slots, in: environment)
            inner.slots[0] = fault.caught
            return try statements(handler, in: inner)
        }
    }

    private func thrown(_ value: Value, _ span: SourceSpan) -> Interruption {
        guard case .string(let message) = value else {
            var text = value.source()
            if case .map(let map) = value, case .string(let message) = map.get(.string("message")) { text = message }
            return .fault(Fault(Diagnostic(ScriptCode.uncaught, text, at: span), value: value))
        }
        return fault(.uncaught, message, span)
    }

    private func whileLoop(_ condition: Node, _ body: Block, _ environment: Environment) throws {
        while try self.condition(condition, environment) {
            try spend(condition.span)
            do {
                _ = try run(body, in: environment)
            } catch Interruption.breakLoop {
                return
            } catch Interruption.continueLoop {}
        }
    }

    private func forLoop(_ variables: Int, _ sequence: Node, _ body: Block, _ environment: Environment) throws {
        let value = try evaluate(sequence, environment)
        guard var items = Members.Items(value) else {
            throw fault(
                .notIterable, "`for` does not run over \(value.typeName)", sequence.span,
                notes: value.typeName == "an int" ? ["write `0..<\(value.text)` for a range"] : [])
        }
        while let (first, second) = items.next(pairs: variables == 2) {
            try spend(sequence.span)
            let inner = Environment(body.slots, in: environment)
            inner.slots[0] = first
            if variables == 2 { inner.slots[1] = second }
            do {
                _ = try statements(body, in: inner)
            } catch Interruption.breakLoop {
                return
            } catch Interruption.continueLoop {}
        }
    }

    // MARK: - Assignment

    private func assign(
        _ target: Node, _ operation: BinaryOperator?, _ operatorSpan: SourceSpan, _ value: Node,
        _ environment: Environment
    ) throws {
        func combine(_ old: @autoclosure () throws -> Value) throws -> Value {
            guard let operation else { return try evaluate(value, environment) }
            let old = try old()
            let new = try evaluate(value, environment)
            return try located(target.span.through(value.span), operator: operatorSpan) {
                try Arithmetic.apply(operation, old, new)
            }
        }
        switch target.code {
        case .variable(let slot, let name):
            let result = try combine(variable(slot, name, target.span, environment))
            var current = environment
            for _ in 0..<slot.hops { current = current.parent ?? current }
            current.slots[slot.index] = result
        case .member(let base, let name, let span):
            let object = try evaluate(base, environment)
            let result = try combine(member(name, of: object, span))
            try located(span) { try Members.set(name, to: result, of: object) }
        case .ownMember(let slot, let name):
            let object = self.value(slot, environment)
            let result = try combine(member(name, of: object, target.span))
            try located(target.span) { try Members.set(name, to: result, of: object) }
        case .register(let slot, let name):
            let cpu = try member("cpu", of: self.value(slot, environment), target.span)
            let result = try combine(member(name, of: cpu, target.span))
            try located(target.span) { try Members.set(name, to: result, of: cpu) }
        case .index(let base, let key):
            let object = try evaluate(base, environment)
            let key = try evaluate(key, environment)
            let result = try combine(located(target.span) { try Members.element(key, of: object) })
            try located(target.span) { try Members.setElement(key, to: result, of: object) }
        case .literal, .text, .builtin, .list, .map, .function, .conditional, .match, .tryCatch, .handler, .assembly,
            .unary, .binary, .call, .block, .captured, .define, .assign, .return, .throw, .break, .continue, .expect,
            .forLoop, .whileLoop, .importModule, .property, .contents, .declaration:
            throw fault(.wrongOperand, "this cannot be assigned to", target.span)
        }
    }
}
