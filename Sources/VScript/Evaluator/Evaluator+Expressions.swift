import VScriptSyntax

extension Evaluator {
    /// Carries out a step.
    ///
    /// Scripts recurse through this function, so its frame is kept small: no case binds what its step holds, and each
    /// is carried out by a function of its own.
    @inline(never)
    func evaluate(_ node: Node, _ environment: Environment) throws -> Value {
        guard stack.hasRoom else { throw tooDeep(node.span) }
        switch node.code {
        case .literal: return literal(node)
        case .variable: return try variable(node, environment)
        case .builtin: return builtin(node)
        case .ownMember: return try ownMember(node, environment)
        case .register: return try register(node, environment)
        case .text: return try text(node, environment)
        case .list: return try list(node, environment)
        case .map: return try map(node, environment)
        case .function: return function(node, environment)
        case .conditional: return try conditional(node, environment)
        case .match: return try match(node, environment)
        case .tryCatch: return try tryCatch(node, environment)
        case .handler: return try handler(node, environment)
        case .assembly: return try assembly(node, environment)
        case .unary: return try unary(node, environment)
        case .binary: return try binary(node, environment)
        case .member: return try member(node, environment)
        case .call: return try call(node, environment)
        case .index: return try element(node, environment)
        case .block: return try block(node, environment)
        case .captured: return try captured(node, environment)
        case .define: return try define(node, environment)
        case .assign: return try assign(node, environment)
        case .return: return try returned(node, environment)
        case .throw: return try thrown(node, environment)
        case .break: throw Interruption.breakLoop
        case .continue: throw Interruption.continueLoop
        case .expect: return try expect(node, environment)
        case .forLoop: return try forLoop(node, environment)
        case .whileLoop: return try whileLoop(node, environment)
        case .importModule: return try importModule(node, environment)
        case .property: return try property(node, environment)
        case .contents: return try contents(node, environment)
        case .declaration: return try declaration(node, environment)
        }
    }

    // MARK: - Small steps

    @inline(never)
    private func literal(_ node: Node) -> Value {
        guard case .literal(let literal) = node.code else { return .nil }
        return literal.value
    }

    @inline(never)
    private func builtin(_ node: Node) -> Value {
        guard case .builtin(let name) = node.code else { return .nil }
        return session.prelude[name] ?? .nil
    }

    @inline(never)
    private func ownMember(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .ownMember(let slot, let name) = node.code else { return .nil }
        return try member(name, of: value(slot, environment), node.span)
    }

    @inline(never)
    private func register(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .register(let slot, let name) = node.code else { return .nil }
        return try member(name, of: member("cpu", of: value(slot, environment), node.span), node.span)
    }

    @inline(never)
    private func function(_ node: Node, _ environment: Environment) -> Value {
        guard case .function(let code) = node.code else { return .nil }
        return .function(Function(code, environment))
    }

    @inline(never)
    private func member(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .member(let base, let name, let span) = node.code else { return .nil }
        return try member(name, of: evaluate(base, environment), span)
    }

    @inline(never)
    private func block(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .block(let block) = node.code else { return .nil }
        return try run(block, in: environment)
    }

    @inline(never)
    private func captured(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .captured(let inner, let span) = node.code else { return .nil }
        return try capture(inner, at: span, environment)
    }

    @inline(never)
    private func define(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .define(let slot, let value) = node.code else { return .nil }
        environment.slots[slot] = try evaluate(value, environment)
        return .nil
    }

    @inline(never)
    private func returned(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .return(let value) = node.code else { return .nil }
        throw Interruption.returned(try value.map { try evaluate($0, environment) } ?? .nil)
    }

    @inline(never)
    private func thrown(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .throw(let value) = node.code else { return .nil }
        throw try thrown(evaluate(value, environment), node.span)
    }

    @inline(never)
    private func expect(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .expect(let condition, let message) = node.code else { return .nil }
        return try expect(condition, message, environment)
    }

    @inline(never)
    private func importModule(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .importModule(let slot, let reference) = node.code else { return .nil }
        environment.slots[slot] = try session.module(reference, from: node.span)
        return .nil
    }

    // MARK: - Variables and members

    func value(_ slot: Slot, _ environment: Environment) -> Value {
        var current = environment
        for _ in 0..<slot.hops { current = current.parent ?? current }
        return current.slots[slot.index] ?? .nil
    }

    @inline(never)
    private func variable(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .variable(let slot, let name) = node.code else { return .nil }
        var current = environment
        for _ in 0..<slot.hops { current = current.parent ?? current }
        guard let value = current.slots[slot.index] else {
            throw fault(.usedBeforeDeclaration, "`\(name)` is used before it has a value", node.span)
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

    @inline(never)
    private func element(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .index(let base, let index) = node.code else { return .nil }
        let value = try evaluate(base, environment)
        let key = try evaluate(index, environment)
        return try located(node.span) { try Members.element(key, of: value) }
    }

    // MARK: - Texts and collections

    @inline(never)
    private func text(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .text(let pieces) = node.code else { return .nil }
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

    @inline(never)
    private func list(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .list(let items) = node.code else { return .nil }
        return try .items(items.map { try evaluate($0, environment) })
    }

    @inline(never)
    private func map(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .map(let entries) = node.code else { return .nil }
        let map = Map()
        for entry in entries {
            let key = try evaluate(entry.key, environment)
            guard Map.canBeKey(key) else { throw fault(.wrongType, "\(key.typeName) cannot be a key", entry.key.span) }
            map.set(key, try evaluate(entry.value, environment))
        }
        return .map(map)
    }

    // MARK: - Operators and calls

    @inline(never)
    private func unary(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .unary(let operation, let operand) = node.code else { return .nil }
        let value = try evaluate(operand, environment)
        return try located(node.span) { try Arithmetic.apply(operation, value) }
    }

    @inline(never)
    private func binary(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .binary(let operation, let operatorSpan, let left, let right) = node.code else { return .nil }
        let first = try evaluate(left, environment)
        switch (operation, first) {
        case (.and, .bool(false)), (.or, .bool(true)):
            skip(right)
            return first
        case (.coalesce, let value) where !value.isNil: return value
        case _: break
        }
        let second = try evaluate(right, environment)
        return try located(node.span, operator: operatorSpan) { try Arithmetic.apply(operation, first, second) }
    }

    /// Notes that an `expect` did not get to a part of its condition.
    private func skip(_ node: Node) {
        guard captures != nil, case .captured(_, let span) = node.code else { return }
        captures?.append(Diagnostic.Label(span, "(not evaluated)"))
    }

    @inline(never)
    private func call(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .call(let callee, let arguments) = node.code else { return .nil }
        let function = try evaluate(callee, environment)
        let passed = try arguments.map { argument in
            PassedArgument(
                label: argument.label, value: try evaluate(argument.value, environment), span: argument.value.span)
        }
        return try call(function, passed, at: node.span)
    }

    // MARK: - Control

    @inline(never)
    private func conditional(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .conditional(let condition, let consequence, let alternative) = node.code else { return .nil }
        if try self.condition(condition, environment) { return try run(consequence, in: environment) }
        return try alternative.map { try evaluate($0, environment) } ?? .nil
    }

    @inline(never)
    private func match(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .match(let subject, let arms) = node.code else { return .nil }
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

    @inline(never)
    private func tryCatch(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .tryCatch(let body, let handler) = node.code else { return .nil }
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

    @inline(never)
    private func whileLoop(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .whileLoop(let condition, let body) = node.code else { return .nil }
        while try self.condition(condition, environment) {
            try spend(condition.span)
            do {
                _ = try run(body, in: environment)
            } catch Interruption.breakLoop {
                break
            } catch Interruption.continueLoop {}
        }
        return .nil
    }

    @inline(never)
    private func forLoop(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .forLoop(let variables, let sequence, let body) = node.code else { return .nil }
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
                break
            } catch Interruption.continueLoop {}
        }
        return .nil
    }

    // MARK: - Assignment

    @inline(never)
    private func assign(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .assign(let target, let operation, let operatorSpan, let value) = node.code else { return .nil }
        func combine(_ old: @autoclosure () throws -> Value) throws -> Value {
            guard let operation else { return try evaluate(value, environment) }
            let old = try old()
            let new = try evaluate(value, environment)
            return try located(target.span.through(value.span), operator: operatorSpan) {
                try Arithmetic.apply(operation, old, new)
            }
        }
        switch target.code {
        case .variable(let slot, _):
            let result = try combine(variable(target, environment))
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
        return .nil
    }
}
