import VScriptSyntax

extension Evaluator {
    private func declaration(in slot: Slot, _ environment: Environment) -> Declaration? {
        guard case .object(let object) = value(slot, environment) else { return nil }
        return object as? Declaration
    }

    /// Carries out `name: value` in a declaration's body.
    @inline(never)
    func property(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .property(let slot, let name, let code) = node.code else { return .nil }
        let value = try evaluate(code, environment)
        guard let declaration = declaration(in: slot, environment), let property = declaration.kind.property(name)
        else {
            return .nil
        }
        guard property.type.accepts(value) else {
            throw Interruption.fault(Fault(property.refuse(value, at: code.span)))
        }
        declaration.properties[name] = (value, code.span)
        try session.heedProperty(name, of: declaration)
        return .nil
    }

    /// Carries out `asm { … }` in a declaration's body.
    @inline(never)
    func contents(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .contents(let slot, let code) = node.code else { return .nil }
        let value = try evaluate(code, environment)
        if case .object(let object) = value, let assembly = object as? Assembly {
            declaration(in: slot, environment)?.code.append(assembly)
        }
        return value
    }

    /// Carries out `kind label on parent { … }`.
    @inline(never)
    func declaration(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .declaration(let code) = node.code else { return .nil }
        try spend(node.span)
        var label = Value.nil
        switch code.label {
        case .none: break
        case .name(let name, _): label = .string(name)
        case .value(let node): label = try evaluate(node, environment)
        }
        let parent = try code.parent.map { try evaluate($0, environment) }
        let declaration = Declaration(kind: code.kind, label: label, parent: parent, header: code.header)
        let inner = Environment(code.body.slots, in: environment)
        inner.slots[0] = .object(declaration)
        for (name, slot) in code.labels {
            let label = CodeLabel(name)
            declaration.labels.append(label)
            inner.slots[slot] = .object(label)
        }
        if code.kind.name == "test" { return try test(declaration, code, inner) }
        _ = try statements(code.body, in: inner)
        if let enclosing = code.enclosing, !code.kind.inside.isEmpty {
            self.declaration(in: enclosing, environment)?.children.append(declaration)
            return .object(declaration)
        }
        let value = try located(code.header) { try session.maker.make(declaration, in: session) }
        inner.slots[0] = value
        if case .name(_, let slot) = code.label { environment.slots[slot] = value }
        return value
    }

    /// Runs a test's statements; a failure is told and does not end the script.
    private func test(_ declaration: Declaration, _ code: DeclarationCode, _ environment: Environment) throws -> Value {
        .bool(
            try session.runTest(declaration) {
                do {
                    _ = try statements(code.body, in: environment)
                } catch Interruption.returned {}
            })
    }

    // MARK: - Handlers

    /// Carries out `on event if guard { … }`.
    @inline(never)
    func handler(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .handler(let code) = node.code else { return .nil }
        var filter = try evaluate(code.filter, environment)
        if case .function = filter { filter = try call(filter, [], at: code.filter.span) }
        guard case .object(let object) = filter, let event = object as? EventPattern else {
            throw fault(
                .wrongType, "`on` takes an event, not \(filter.typeName)", code.filter.span,
                notes: ["as in `on exception(.GP) { … }`"])
        }
        let handler = Handler(event, span: code.span) { [unowned self] object in
            let inner = Environment(code.body.slots, in: environment)
            inner.slots[0] = .object(object)
            do {
                try spend(code.span)
                if let condition = code.guardCondition, try !self.condition(condition, inner) { return }
                _ = try statements(code.body, in: inner)
            } catch Interruption.returned {}
        }
        if let slot = code.declaration, event.source == nil, let declaration = declaration(in: slot, environment) {
            declaration.handlers.append(handler)
            return .object(handler)
        }
        guard let source = event.source else {
            throw fault(.wrongType, "the event belongs to no guest", code.filter.span)
        }
        try located(code.span) { try source.install(handler) }
        return .object(handler)
    }

    // MARK: - Assembly

    /// Carries out `asm(bits: 16, at: 0x7c00) { … }`.
    @inline(never)
    func assembly(_ node: Node, _ environment: Environment) throws -> Value {
        guard case .assembly(let code) = node.code else { return .nil }
        let span = node.span
        let pieces = try code.segments.map { segment -> Assembly.Piece in
            switch segment {
            case .text(let span): Assembly.Piece(text: span.text, span: span, isSplice: false)
            case .splice(let node): Assembly.Piece(text: try splice(node, environment), span: node.span, isSplice: true)
            }
        }
        let passed = try code.arguments.map { argument in
            PassedArgument(
                label: argument.label, value: try evaluate(argument.value, environment), span: argument.value.span)
        }
        return try located(span) {
            let signature = Signature("asm(bits?, at?)")
            let arguments = Arguments(
                signature: signature, values: try Arguments.sort(passed, to: signature), context: session, span: span)
            let bits = try arguments.optionalInteger(0, in: 16...64)
            guard bits == nil || bits == 16 || bits == 32 || bits == 64 else {
                throw HostFailure(.outOfRange, "`bits` is 16, 32 or 64")
            }
            let origin = try arguments.optionalInteger(1, in: 0...Int128(UInt64.max))
            return .object(
                Assembly(pieces: pieces, span: span, bits: bits.map { Int($0) }, origin: origin.map { UInt64($0) }))
        }
    }

    /// The assembler text of a spliced value.
    private func splice(_ node: Node, _ environment: Environment) throws -> String {
        let value = try evaluate(node, environment)
        switch value {
        case .int(let number): return String(number)
        case .string(let text): return text
        case .symbol(let name): return name
        case .object(let object) where object is CodeLabel: return object.text
        case .nil, .bool, .float, .duration, .bytes, .range, .regex, .list, .map, .function, .object:
            throw fault(.wrongType, "code takes an int, a label or a text, not \(value.typeName)", node.span)
        }
    }
}
