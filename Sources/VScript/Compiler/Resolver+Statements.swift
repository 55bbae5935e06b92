import VScriptSyntax

extension Resolver {
    /// The code of a statement; nil if it has none of its own.
    mutating func statement(_ statement: StatementSyntax) -> Node? {
        switch statement {
        case .binding(let binding): return self.binding(binding)
        case .function: return nil
        case .return(let syntax): return Node(syntax.span, .return(syntax.value.map { expression($0) }))
        case .throw(let syntax): return Node(syntax.span, .throw(expression(syntax.value)))
        case .break(let span):
            checkLoop("break", span)
            return Node(span, .break)
        case .continue(let span):
            checkLoop("continue", span)
            return Node(span, .continue)
        case .expect(let syntax): return expect(syntax)
        case .for(let syntax): return forLoop(syntax)
        case .while(let syntax):
            let condition = expression(syntax.condition)
            return Node(syntax.span, .whileLoop(condition, block(syntax.body, isLoop: true)))
        case .import(let syntax): return importModule(syntax)
        case .property(let syntax): return property(syntax)
        case .declaration(let syntax): return declaration(syntax)
        case .assignment(let syntax): return assignment(syntax)
        case .expression(let syntax):
            if case .assembly(let assembly) = syntax, let (kind, own) = directDeclaration {
                if !kind.takesAssembly {
                    report(.misplacedDeclaration, "\(kind.article) holds no code", at: assembly.span.before)
                }
                checkPrivileges(assembly)
                refer(to: own)
                return Node(syntax.span, .contents(declaration: own, expression(syntax)))
            }
            // Code that has been made elsewhere.
            if let (kind, own) = directDeclaration, kind.takesAssembly {
                refer(to: own)
                return Node(syntax.span, .contents(declaration: own, expression(syntax)))
            }
            return expression(syntax)
        }
    }

    private mutating func binding(_ syntax: BindingSyntax) -> Node? {
        let value = expression(syntax.value)
        guard let name = syntax.name, let binding = scope.names[name.text] else { return nil }
        binding.isReady = true
        return Node(syntax.span, .define(binding, value))
    }

    mutating func functionStatement(_ syntax: FunctionStatementSyntax) -> [Node] {
        guard let name = syntax.name, let binding = scope.names[name.text] else { return [] }
        let code = function(binding, parameters: syntax.parameters, body: syntax.body)
        return [Node(syntax.span, .define(binding, Node(syntax.span, .function(code))))]
    }

    private mutating func checkLoop(_ word: String, _ span: SourceSpan) {
        if !scope.isInLoop { report(.outsideLoop, "`\(word)` stands outside a loop", at: span) }
    }

    private mutating func expect(_ syntax: ExpectSyntax) -> Node {
        isCapturing = true
        let condition = expression(syntax.condition)
        isCapturing = false
        return Node(syntax.span, .expect(condition, message: syntax.message.map { expression($0) }))
    }

    private mutating func forLoop(_ syntax: ForSyntax) -> Node {
        let sequence = expression(syntax.sequence)
        var variables: [Binding] = []
        let body = block(syntax.body, isLoop: true) { scope in
            for name in syntax.variables {
                if let variable = scope.declare(name.text, .loop, at: name.span, isReady: true) {
                    variables.append(variable)
                }
            }
        }
        if syntax.variables.count == 2, syntax.variables[0].text == syntax.variables[1].text {
            report(
                .redeclaredName, "both variables are called `\(syntax.variables[0].text)`", at: syntax.variables[1].span
            )
        }
        return Node(syntax.span, .forLoop(variables, sequence, body))
    }

    private mutating func importModule(_ syntax: ImportSyntax) -> Node? {
        guard let name = syntax.name, let binding = scope.names[name.text] else { return nil }
        binding.isReady = true
        if let path = syntax.path {
            guard let text = path.plainText else {
                report(.unknownModule, "the path of an import is a plain text", at: path.span)
                return nil
            }
            return Node(syntax.span, .importModule(binding, .path(text)))
        }
        let module = syntax.module.map(\.text).joined(separator: ".")
        if !modules.contains(module), let first = syntax.module.first {
            let guess = Suggestion.closest(to: module, in: modules.library)
            report(
                .unknownModule, "there is no module `\(module)`", at: first.span,
                label: guess.map { "did you mean `\($0)`?" } ?? "",
                notes: ["modules are \(modules.library.sorted().joined(separator: ", "))"],
                fixes: guess.map { [.replace(first.span, with: $0)] } ?? [])
        }
        return Node(syntax.span, .importModule(binding, .standard(module)))
    }

    // MARK: - Assignment

    private mutating func assignment(_ syntax: AssignmentSyntax) -> Node? {
        if case .name(let name) = syntax.target, find(name.text) == nil || isOwnProperty(name.text),
            let (kind, _) = directDeclaration, kind.property(name.text) != nil, syntax.combining == nil
        {
            let gap = SourceSpan(name.span.file, name.span.end..<syntax.operatorSpan.end)
            report(
                .assignmentForProperty, "`\(name.text)` is a property of `\(kind.name)`", at: syntax.operatorSpan,
                label: "a property is given with `:`",
                fixes: [Diagnostic.Fix("replace with `:`", [Diagnostic.Edit(gap, ":")])])
            return nil
        }
        if case .name(let name) = syntax.target, find(name.text) == nil, syntax.combining == nil {
            unknown(name, isAssigned: true)
            _ = expression(syntax.value)
            return nil
        }
        let target = expression(syntax.target)
        if case .name(let name) = syntax.target, case .binding(let binding) = find(name.text) {
            binding.isAssigned = true
        }
        if case .name(let name) = syntax.target, case .binding(let binding) = find(name.text),
            binding.kind != .variable
        {
            let fixes = binding.kind == .constant ? declareVariable(binding) : []
            report(
                .assignmentToConstant, "`\(name.text)` cannot change", at: name.span,
                related: [Diagnostic.Label(binding.span, "it is \(Self.description(of: binding.kind))")], fixes: fixes)
        } else if case .builtin(let name) = target.code {
            report(.assignmentToConstant, "`\(name)` is built in and cannot change", at: target.span)
        }
        return Node(syntax.span, .assign(target, syntax.combining, syntax.operatorSpan, expression(syntax.value)))
    }

    private func isOwnProperty(_ name: String) -> Bool {
        if case .member = find(name) { true } else { false }
    }

    private static func description(of kind: Binding.Kind) -> String {
        kind == .constant ? "declared with `let`" : kind.rawValue
    }

    private func declareVariable(_ binding: Binding) -> [Diagnostic.Fix] {
        let file = binding.span.file
        let keyword = binding.span.start - 4
        guard keyword >= 0, file.text(keyword..<binding.span.start) == "let " else { return [] }
        return [
            Diagnostic.Fix("declare it with `var`", [Diagnostic.Edit(SourceSpan(file, keyword..<keyword + 3), "var")])
        ]
    }

    // MARK: - Declarations

    private mutating func property(_ syntax: PropertySyntax) -> Node? {
        if lacksDot(syntax) { return nil }
        let reports = diagnostics.count
        let value = expression(syntax.value)
        let isMistaken = diagnostics.count > reports
        guard let name = syntax.name, let (kind, own) = directDeclaration else { return nil }
        refer(to: own)
        guard let property = kind.property(name.text) else {
            return Node(syntax.span, .property(declaration: own, name: name.text, value))
        }
        if let refusal = property.refusal, kind.refusal == nil {
            report(
                .notImplemented, "`\(name.text)` of a `\(kind.name)` is not implemented", at: syntax.span,
                notes: [refusal])
        }
        // A name that is unknown stands for nil here, and has been reported.
        if !isMistaken, case .literal(let literal) = value.code {
            if let report = property.objection(to: literal.value, at: value.span) { diagnostics.append(report) }
        }
        return Node(syntax.span, .property(declaration: own, name: name.text, value))
    }

    /// Reports a symbol without its dot, as in `boot: long`.
    private mutating func lacksDot(_ syntax: PropertySyntax) -> Bool {
        guard case .name(let value) = syntax.value, find(value.text) == nil, let name = syntax.name,
            let property = directDeclaration?.kind.property(name.text), property.type.accepts(.symbol(value.text)),
            !property.type.accepts(.nil)
        else { return false }
        report(
            .unknownName, "there is no `\(value.text)` here", at: value.span, label: "write `.\(value.text)`",
            fixes: [.insert(".", at: value.span)])
        return true
    }

    private mutating func declaration(_ syntax: DeclarationSyntax) -> Node? {
        guard let name = syntax.kind else { return nil }
        guard let kind = schema.kinds[name.text] else {
            unknownKind(name, syntax)
            return nil
        }
        let direct = directDeclaration
        let isPlaced = checkPlace(kind, syntax, direct: direct?.kind)
        if kind.refusal != nil { refuse(kind, syntax) }
        let parent = syntax.parent.map { expression($0) }
        let label = self.label(kind, syntax, isPlaced: isPlaced)
        if let direct { refer(to: direct.own) }
        let inner = Scope(.declaration(kind), in: scope)
        let own =
            inner.declare("self", .predefined, at: syntax.header, isReady: true)
            ?? Binding(name: "self", kind: .predefined, span: syntax.header, isReady: true)
        // It is the declaration while the body runs and the object afterwards.
        own.isAssigned = true
        let (outer, wasCapturing, outerRing, outerBits) = (scope, isCapturing, ring, guestBits)
        (scope, isCapturing, ring, guestBits) = (inner, false, checkedRing(syntax), bits(of: syntax))
        if let body = syntax.body { checkProperties(kind, syntax, body, isPlaced: isPlaced) }
        var body = statements(syntax.body?.statements ?? [])
        if kind.remembersVariables { body = rememberingVariables(body, of: own, at: syntax.header) }
        (scope, isCapturing, ring, guestBits) = (outer, wasCapturing, outerRing, outerBits)
        if case .name(_, let binding) = label { binding.isReady = true }
        labels.formUnion(inner.bindings.filter { $0.kind == .label }.map(\.name))
        return Node(
            syntax.span,
            .declaration(
                DeclarationNode(
                    kind: kind, label: label, parent: parent, enclosing: direct?.own, own: own, body: body,
                    labels: inner.bindings.filter { $0.kind == .label }, header: syntax.header)))
    }

    /// Adds to a body what reads and sets its variables from outside: they are saved with the object.
    private func rememberingVariables(_ body: Block, of own: Binding, at span: SourceSpan) -> Block {
        let variables = body.bindings.filter { $0.kind == .variable }
        for variable in variables {
            variable.isCaptured = true
            variable.isAssigned = true
            variable.isUsed = true
        }
        func function(_ parameters: [Binding], _ statements: [Node]) -> Node {
            Node(
                span,
                .function(
                    FunctionNode(
                        name: "", binding: nil, parameters: parameters, defaults: parameters.map { _ in nil },
                        body: Block(bindings: parameters, statements: statements))))
        }
        func node(_ code: Code) -> Node { Node(span, code) }
        let names = variables.map { node(.literal(.string($0.name))) }
        let save = function([], [node(.list(variables.map { node(.variable($0)) }))])
        let values = Binding(name: "values", kind: .parameter, span: span, isReady: true)
        let restore = function(
            [values],
            variables.enumerated().map { index, variable in
                let value = node(.index(node(.variable(values)), node(.literal(.int(Int128(index))))))
                return node(.assign(node(.variable(variable)), nil, span, value))
            })
        let parts = node(.list([node(.list(names)), save, restore]))
        return Block(
            bindings: body.bindings,
            statements: body.statements
                + [node(.property(declaration: own, name: Declaration.variablesName, parts))])
    }

    /// Whether what looks like a declaration is a call, as in `print total`.
    func isCallWithoutParentheses(_ syntax: DeclarationSyntax) -> Bool {
        guard let name = syntax.kind, schema.kinds[name.text] == nil else { return false }
        return syntax.label != nil && syntax.body == nil && syntax.parent == nil && find(name.text) != nil
    }

    private mutating func unknownKind(_ name: NameSyntax, _ syntax: DeclarationSyntax) {
        if let argument = syntax.label?.span, isCallWithoutParentheses(syntax) {
            let gap = SourceSpan(name.span.file, name.span.end..<argument.start)
            return report(
                .unknownKind, "`\(name.text)` is called with parentheses", at: syntax.span,
                fixes: [
                    Diagnostic.Fix(
                        "write `\(name.text)(…)`", [Diagnostic.Edit(gap, "("), Diagnostic.Edit(argument.after, ")")])
                ])
        }
        let guess = Suggestion.closest(to: name.text, in: schema.kinds.keys.sorted())
        report(
            .unknownKind, "there is no kind `\(name.text)`", at: name.span,
            label: guess.map { "did you mean `\($0)`?" } ?? ForeignNames.kindHint(name.text) ?? "",
            notes: guess == nil ? ["kinds are \(schema.kinds.keys.sorted().joined(separator: ", "))"] : [],
            fixes: guess.map { [.replace(name.span, with: $0)] } ?? [])
    }

    /// Whether a declaration stands where its kind may.
    private mutating func checkPlace(_ kind: KindSchema, _ syntax: DeclarationSyntax, direct: KindSchema?) -> Bool {
        let before = diagnostics.count
        if !kind.inside.isEmpty, !kind.inside.contains(direct?.name ?? "") {
            report(
                .misplacedDeclaration,
                "a `\(kind.name)` stands in the body of a `\(kind.inside.joined(separator: "` or `"))`",
                at: syntax.header)
        } else if kind.inside.isEmpty, let direct, !direct.isScope, !kind.on.contains(direct.name) {
            report(.misplacedDeclaration, "a `\(kind.name)` does not stand in a `\(direct.name)`", at: syntax.header)
        }
        if let parent = syntax.parent, kind.on.isEmpty {
            report(.misplacedDeclaration, "a `\(kind.name)` is not declared on anything", at: parent.span)
        }
        return diagnostics.count == before
    }

    private mutating func label(
        _ kind: KindSchema, _ syntax: DeclarationSyntax, isPlaced: Bool
    ) -> DeclarationNode.Label {
        switch (kind.label, syntax.label) {
        case (.optionalName, nil): return .none
        case (.optionalName, .name(let name)):
            return scope.names[name.text].map { .name(name.text, $0) } ?? .none
        case (.number(let range), .number(let number)):
            let node = expression(.number(number))
            if case .literal(.int(let value)) = node.code, range.contains(value) { return .value(node) }
            report(
                .misplacedDeclaration, "the number of a `\(kind.name)` is in \(range.lowerBound)...\(range.upperBound)",
                at: number.span)
            return .value(node)
        case (.string, .string(let text)): return .value(expression(.string(text)))
        case _ where !isPlaced: break
        case (.optionalName, _):
            report(.misplacedDeclaration, "a `\(kind.name)` is called by a name", at: syntax.header)
        case (.number, _):
            report(.misplacedDeclaration, "a `\(kind.name)` is called by a number", at: syntax.header)
        case (.string, _): report(.misplacedDeclaration, "a `\(kind.name)` is called by a text", at: syntax.header)
        }
        return .none
    }

    private mutating func refuse(_ kind: KindSchema, _ syntax: DeclarationSyntax) {
        report(
            .notImplemented, "`\(kind.name)` is not implemented", at: syntax.header,
            notes: kind.refusal.map { [$0] } ?? [])
    }

    private mutating func checkProperties(
        _ kind: KindSchema, _ syntax: DeclarationSyntax, _ body: BlockSyntax, isPlaced: Bool
    ) {
        var given: [String: SourceSpan] = [:]
        for case .property(let property) in body.statements {
            guard let name = property.name else { continue }
            if kind.property(name.text) == nil {
                let names = kind.properties.map(\.name).sorted()
                let guess = Suggestion.closest(to: name.text, in: names)
                report(
                    .unknownProperty, "\(kind.article) has no property `\(name.text)`", at: name.span,
                    label: guess.map { "did you mean `\($0)`?" } ?? "",
                    related: [
                        Diagnostic.Label(
                            syntax.kind?.span ?? syntax.header,
                            "properties of `\(kind.name)`: \(names.joined(separator: ", "))")
                    ], fixes: guess.map { [.replace(name.span, with: $0)] } ?? [])
                if let guess { given[guess] = given[guess] ?? name.span }
            } else if let first = given[name.text] {
                report(
                    .repeatedProperty, "`\(name.text)` is given twice", at: name.span,
                    related: [Diagnostic.Label(first, "first given here")])
            } else {
                given[name.text] = name.span
            }
        }
        // A value assigned by mistake is reported as that, not as missing.
        for case .assignment(let assignment) in body.statements {
            if case .name(let name) = assignment.target { given[name.text] = given[name.text] ?? name.span }
        }
        guard kind.refusal == nil, isPlaced else { return }
        for property in kind.properties where property.isRequired && given[property.name] == nil {
            report(
                .missingProperty, "\(kind.article) needs `\(property.name)`", at: syntax.header,
                label: "\(property.name): \(property.type.description)")
        }
    }
}

extension PropertySchema {
    /// What is to be said against a value; nil if the property takes it.
    func objection(to value: ScriptValue, at span: SourceSpan) -> Diagnostic? {
        guard type.accepts(value) else { return refuse(value, at: span) }
        guard case .symbol(let symbol) = value, missing.contains(symbol) else { return nil }
        return Diagnostic(
            ScriptCode.notImplemented, "the \(name) `.\(symbol)` is not implemented", at: span,
            notes: ["this version has \(choices.map { "`.\($0)`" }.joined(separator: ", "))"])
    }

    /// The report about a value that the property does not take.
    private func refuse(_ value: ScriptValue, at span: SourceSpan) -> Diagnostic {
        let guess = type.suggestion(for: value)
        var found = value.typeName
        switch value {
        case .symbol, .int: found = "`\(value.text)`"
        case .nil, .bool, .float, .duration, .string, .bytes, .range, .regex, .list, .map, .function, .object: break
        }
        return Diagnostic(
            ScriptCode.wrongType, "`\(name)` takes \(type.description), not \(found)", at: span,
            label: guess.map { "did you mean `.\($0)`?" } ?? missingUnit(of: value) ?? "",
            fixes: guess.map { [.replace(span, with: ".\($0)")] } ?? [])
    }

    private func missingUnit(of value: ScriptValue) -> String? {
        guard case .int(let number) = value, case .duration = type else { return nil }
        return "write `\(number) s`, `\(number) ms` or another unit"
    }
}
