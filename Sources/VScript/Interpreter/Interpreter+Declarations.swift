import VScriptSyntax

// Declarations, handlers and code.

extension Interpreter {
    private func declaration(_ cell: Cell) throws -> Declaration {
        guard cell.kind == .object, let declaration = heap.hosted.object(cell) as? Declaration else {
            throw malformed()
        }
        return declaration
    }

    /// Runs something of the host's and gives its failures a place.
    func located<Result>(_ span: SourceSpan, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch var failure as HostFailure {
            failure.span = failure.span ?? span
            throw failure
        }
    }

    func declare(_ i: Instruction) throws {
        let site = try site(\.declarations, i.c)
        try pay(1)
        let declaration = Declaration(
            kind: site.kind, label: heap.value(base[i.a]), parent: site.hasParent ? heap.value(base[i.a + 1]) : nil,
            header: span(site.header))
        declaration.labels = site.labels.map(CodeLabel.init)
        declaration.isNested = site.isNested
        base[i.a] = try heap.object(declaration)
    }

    func declarationLabel(_ i: Instruction) throws {
        let labels = try declaration(base[i.b]).labels
        guard labels.indices.contains(i.c) else { throw malformed() }
        base[i.a] = try heap.object(labels[i.c])
    }

    func property(_ i: Instruction) throws {
        let name = try site(\.properties, i.c)
        let declaration = try declaration(base[i.a])
        let value = heap.value(base[i.b])
        if name == Declaration.variablesName { return try declaration.remember(value) }
        guard let property = declaration.kind.property(name) else { return }
        if let report = property.objection(to: value, at: span) { throw Interruption.fault(Fault(report)) }
        declaration.properties[name] = (value, span)
        try session.heedProperty(name, of: declaration)
    }

    func contents(_ i: Instruction) throws {
        guard base[i.b].kind == .object, let code = heap.hosted.object(base[i.b]) as? Assembly else { return }
        try declaration(base[i.a]).code.append(code)
    }

    func finishDeclaration(_ i: Instruction) throws {
        let declaration = try declaration(base[i.a])
        if declaration.isNested {
            try self.declaration(base[i.b]).children.append(declaration)
        } else {
            declaration.enclosing = heap.hosted.object(base[i.b]) as? Declaration
            base[i.a] = try heap.cell(
                try located(declaration.header) {
                    try session.hostKinds[declaration.kind.name].map { try session.makeHostObject(declaration, $0) }
                        ?? session.maker.make(declaration, in: session)
                })
        }
    }

    /// Runs a test's statements; a failure is told and does not end the script.
    func runTest(_ i: Instruction) throws {
        let declaration = try declaration(base[i.a])
        guard base[i.a + 1].kind == .closure else { throw malformed() }
        let isFine = try session.runTest(declaration) { try enter(base[i.a + 1].closure, with: base[i.a]) }
        base[i.a] = .bool(isFine)
    }

    // MARK: - Handlers

    func makeHandler(_ i: Instruction) throws {
        let site = try site(\.handlers, i.c)
        if [.closure, .hostFunction, .boundMethod, .builtin].contains(base[i.a].kind) {
            base[i.a] = try located(span(site.filter)) { try call(base[i.a], []) }
        }
        guard base[i.a].kind == .object, let event = heap.hosted.object(base[i.a]) as? EventPattern,
            base[i.a + 1].kind == .closure
        else {
            var failure = HostFailure(
                .wrongType, "`on` takes an event, not \(heap.typeName(base[i.a]))",
                notes: ["as in `on exception(.GP) { … }`"])
            failure.span = span(site.filter)
            throw failure
        }
        let handler = Handler(
            event, span: span(site.place), use: site.use, body: base[i.a + 1], in: self)
        if site.isNested, event.source == nil, base[i.a + 2].kind == .object,
            let declaration = heap.hosted.object(base[i.a + 2]) as? Declaration
        {
            declaration.handlers.append(handler)
        } else {
            guard let source = event.source else {
                var failure = HostFailure(.wrongType, "the event belongs to no guest")
                failure.span = span(site.filter)
                throw failure
            }
            try located(span(site.place)) { try source.install(handler) }
        }
        base[i.a] = try heap.object(handler)
    }

    /// Calls a function of one parameter, as handlers and tests are, and pays for it.
    @discardableResult
    func enter(_ closure: UnsafeMutablePointer<ClosureBlock>, with argument: Cell) throws -> Cell {
        try pay(1)
        guard closure.pointee.function.pointee.parameters == 1 else { throw malformed() }
        (heap.stackTop + 1).pointee = argument
        return try enter(closure)
    }

    // MARK: - Assembly

    func makeAssembly(_ i: Instruction) throws {
        let site = try site(\.assemblies, i.c)
        var next = i.a
        var pieces: [Assembly.Piece] = []
        for segment in site.segments {
            switch segment {
            case .text(let place):
                let span = span(place)
                pieces.append(Assembly.Piece(text: span.text, span: span, isSplice: false))
            case .splice(let place):
                let span = span(place)
                pieces.append(Assembly.Piece(text: try splice(base[next], span), span: span, isSplice: true))
                next += 1
            }
        }
        let signature = Signature("asm(bits?, at?)")
        let passed = try signature.sort(site.call.places.count, labels: site.call.labels)
        let values = passed.map { parameter -> ScriptValue? in
            if case .argument(let index) = parameter { heap.value(base[next + index]) } else { nil }
        }
        let arguments = Arguments(signature: signature, values: values, context: session, span: span)
        let bits = try arguments.optionalInteger(0, in: 16...64)
        guard bits == nil || bits == 16 || bits == 32 || bits == 64 else {
            throw HostFailure(.outOfRange, "`bits` is 16, 32 or 64")
        }
        let origin = try arguments.optionalInteger(1, in: 0...Int128(UInt64.max))
        base[i.a] = try heap.object(
            Assembly(pieces: pieces, span: span, bits: bits.map { Int($0) }, origin: origin.map { UInt64($0) }))
    }

    /// The assembler text of a spliced value.
    private func splice(_ cell: Cell, _ span: SourceSpan) throws -> String {
        switch cell.kind {
        case .int, .unsigned, .string: return heap.text(cell)
        case .symbol: return heap.symbolName(cell)
        case .object:
            if let label = heap.hosted.object(cell) as? CodeLabel { return label.text }
        case .nil, .bool, .float, .duration, .unset, .bytes, .list, .map, .range, .closure, .boundMethod, .box, .regex,
            .hostFunction, .builtin:
            break
        }
        var failure = HostFailure(.wrongType, "code takes an int, a label or a text, not \(heap.typeName(cell))")
        failure.span = span
        throw failure
    }
}
