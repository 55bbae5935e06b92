import VScriptSyntax

extension Resolver {
    mutating func expression(_ syntax: ExpressionSyntax) -> Node {
        guard stack.hasRoom else {
            tooDeep(syntax.span)
            return Node(syntax.span, .literal(.nil))
        }
        switch syntax {
        case .number(let number): return Node(number.span, .literal(literal(number.value)))
        case .character(let character): return Node(character.span, .literal(.int(Int128(character.codePoint ?? 0))))
        case .string(let string): return text(string)
        case .regex(let regex): return self.regex(regex)
        case .bytes(let bytes): return Node(bytes.span, .literal(.bytes(bytes.value)))
        case .boolean(let boolean): return Node(boolean.span, .literal(.bool(boolean.value)))
        case .nil(let span): return Node(span, .literal(.nil))
        case .name(let name): return captured(self.name(name), at: name.span)
        case .register(let register): return captured(self.register(register), at: register.span)
        case .symbol(let symbol): return Node(symbol.span, .literal(.symbol(symbol.name)))
        case .parenthesized(let syntax): return expression(syntax.value)
        case .list(let list): return Node(list.span, .list(list.items.map { expression($0) }))
        case .map(let map): return self.map(map)
        case .function(let function):
            let code = self.function(nil, parameters: function.parameters, body: function.body)
            return Node(function.span, .function(code))
        case .conditional(let conditional): return self.conditional(conditional)
        case .match(let match): return self.match(match)
        case .tryCatch(let syntax): return tryCatch(syntax)
        case .handler(let handler): return self.handler(handler)
        case .assembly(let assembly): return self.assembly(assembly)
        case .unary(let unary): return Node(unary.span, .unary(unary.operator, expression(unary.operand)))
        case .binary(let binary): return self.binary(binary)
        case .member(let member):
            let base = baseOfMember(member, isCalled: false)
            let node = Node(member.span, .member(base, name: member.name.text, member.name.span))
            return captured(node, at: member.name.span)
        case .call(let call): return self.call(call)
        case .index(let index):
            let node = Node(index.span, .index(expression(index.base), uncaptured(index.key)))
            return captured(node, at: SourceSpan(index.span.file, index.base.span.end..<index.span.end))
        case .missing(let node): return Node(node.span, .literal(.nil))
        }
    }

    /// What a member is a member of; the event of a handler is not kept by its properties and calls.
    private mutating func baseOfMember(_ member: MemberSyntax, isCalled: Bool) -> Node {
        guard case .name(let name) = member.base, let event, name.text == event.name,
            isCalled || EventObject.table.properties[member.name.text] != nil
        else { return expression(member.base) }
        let mayBeKept = event.mayBeKept
        defer { event.mayBeKept = mayBeKept }
        return expression(member.base)
    }

    /// A value whose parts an `expect` around it does not show.
    private mutating func uncaptured(_ syntax: ExpressionSyntax) -> Node {
        let was = isCapturing
        isCapturing = false
        defer { isCapturing = was }
        return expression(syntax)
    }

    private func captured(_ node: Node, at span: SourceSpan) -> Node {
        isCapturing ? Node(node.span, .captured(node, at: span)) : node
    }

    // MARK: - Literals

    private func literal(_ value: NumberValue?) -> Literal {
        switch value {
        case .integer(let value): .int(Int128(value))
        case .float(let value): .float(value)
        case .duration(let value): .duration(value)
        case nil: .nil
        }
    }

    private mutating func text(_ string: StringSyntax) -> Node {
        if let text = string.plainText { return Node(string.span, .literal(.string(text))) }
        let pieces = string.segments.map { segment -> TextPiece in
            switch segment {
            case .text(let text): .text(text)
            case .interpolation(let syntax): .value(uncaptured(syntax.value), syntax.format)
            }
        }
        return Node(string.span, .text(pieces))
    }

    private mutating func regex(_ syntax: RegexSyntax) -> Node {
        do throws(HostFailure) {
            return Node(syntax.span, .literal(.regex(try RegularExpression(syntax.pattern))))
        } catch {
            report(error.code, error.message, at: syntax.span, notes: error.notes)
            return Node(syntax.span, .literal(.nil))
        }
    }

    private mutating func register(_ syntax: RegisterSyntax) -> Node {
        guard let event else {
            report(
                .outsideHandler, "`\(syntax.span.text)` is there only inside `on … { }`", at: syntax.span,
                notes: ["elsewhere a register belongs to a processor: `guest.cpu.\(syntax.name)`"])
            return Node(syntax.span, .literal(.nil))
        }
        refer(to: event)
        return Node(syntax.span, .register(event: event, name: syntax.name))
    }

    private mutating func map(_ syntax: MapSyntax) -> Node {
        let entries = syntax.entries.map { entry -> (key: Node, value: Node) in
            let key =
                switch entry.key {
                case .word(let name): Node(name.span, .literal(.name(name.text)))
                case .expression(let key): expression(key)
                }
            return (key, expression(entry.value))
        }
        return Node(syntax.span, .map(entries))
    }

    // MARK: - Functions and handlers

    mutating func function(
        _ binding: Binding?, parameters: [ParameterSyntax], body: BlockSyntax
    ) -> FunctionNode {
        let inner = Scope(.function(binding), in: scope)
        for parameter in parameters {
            guard let name = parameter.name else { continue }
            if inner.declare(name.text, .parameter, at: name.span, isReady: true) == nil {
                report(.redeclaredName, "two parameters are called `\(name.text)`", at: name.span)
                inner.reserve(at: name.span)
            }
        }
        let bindings = inner.bindings
        let (outer, wasCapturing) = (scope, isCapturing)
        (scope, isCapturing) = (inner, false)
        // Defaults are evaluated in the function's own scope, so that they see earlier parameters.
        let defaults = parameters.map { parameter in parameter.defaultValue.map { expression($0) } }
        let code = statements(body.statements)
        (scope, isCapturing) = (outer, wasCapturing)
        return FunctionNode(
            name: binding?.name ?? "", binding: binding, parameters: bindings, defaults: defaults, body: code)
    }

    private mutating func handler(_ syntax: HandlerSyntax) -> Node {
        let filter = uncaptured(syntax.event)
        let direct = directDeclaration
        if let direct { refer(to: direct.own) }
        var guardCondition: Node?
        let inner = Scope(.handler, in: scope)
        let event =
            inner.declare("event", .predefined, at: syntax.event.span, isReady: true)
            ?? Binding(name: "event", kind: .predefined, span: syntax.event.span, isReady: true)
        let (outer, wasCapturing) = (scope, isCapturing)
        (scope, isCapturing) = (inner, false)
        guardCondition = syntax.guard.map { expression($0) }
        let body = statements(syntax.body.statements)
        (scope, isCapturing) = (outer, wasCapturing)
        let code = HandlerNode(
            filter: filter, guardCondition: guardCondition, event: event, body: body, declaration: direct?.own)
        return Node(syntax.span, .handler(code))
    }

    private mutating func assembly(_ syntax: AssemblySyntax) -> Node {
        let segments = syntax.segments.map { segment -> AssemblyNode.Segment in
            switch segment {
            case .text(let span): .text(span)
            case .splice(let splice): .splice(uncaptured(splice.value))
            }
        }
        return Node(syntax.span, .assembly(AssemblyNode(arguments: arguments(syntax.arguments), segments: segments)))
    }

    // MARK: - Control

    private mutating func conditional(_ syntax: ConditionalSyntax) -> Node {
        let condition = uncaptured(syntax.condition)
        let consequence = block(syntax.consequence)
        let alternative: Node? =
            switch syntax.alternative {
            case .block(let body): Node(body.span, .block(block(body)))
            case .conditional(let other): conditional(other)
            case nil: nil
            }
        return Node(syntax.span, .conditional(condition, consequence, alternative: alternative))
    }

    private mutating func match(_ syntax: MatchSyntax) -> Node {
        let subject = uncaptured(syntax.subject)
        let arms = syntax.arms.map { arm -> Arm in
            let patterns = arm.patterns.map { uncaptured($0) }
            let guardCondition = arm.guard.map { uncaptured($0) }
            let body: Node
            switch arm.body {
            case .block(let syntax): body = Node(arm.span, .block(block(syntax)))
            case .statement(let statement):
                // A statement that declares something needs a scope for it.
                let outer = scope
                scope = Scope(.block, in: outer)
                scope.isInLoop = outer.isInLoop
                body = Node(arm.span, .block(statements([statement])))
                scope = outer
            }
            return Arm(patterns: arm.isElse ? [] : patterns, guardCondition: guardCondition, body: body)
        }
        return Node(syntax.span, .match(subject, arms))
    }

    private mutating func tryCatch(_ syntax: TrySyntax) -> Node {
        let body = block(syntax.body)
        var error: Binding?
        let handler = block(syntax.handler) { scope in
            error = syntax.name.flatMap { scope.declare($0.text, .constant, at: $0.span, isReady: true) }
        }
        return Node(syntax.span, .tryCatch(body, error: error, handler: handler))
    }

    // MARK: - Operators and calls

    private mutating func binary(_ syntax: BinarySyntax) -> Node {
        let node = Node(
            syntax.span,
            .binary(syntax.operator, syntax.operatorSpan, expression(syntax.left), expression(syntax.right)))
        return captured(node, at: syntax.operatorSpan)
    }

    private mutating func call(_ syntax: CallSyntax) -> Node {
        // The function itself is not worth showing when an `expect` fails; its result is.
        let callee: Node
        var place = syntax.callee.span
        if case .member(let member) = syntax.callee {
            let base = baseOfMember(member, isCalled: true)
            callee = Node(member.span, .member(base, name: member.name.text, member.name.span))
            place = member.name.span
        } else {
            callee = uncaptured(syntax.callee)
        }
        return captured(Node(syntax.span, .call(callee, arguments(syntax.arguments))), at: place)
    }

    private mutating func arguments(_ syntax: [ArgumentSyntax]) -> [Argument] {
        syntax.map { Argument(label: $0.label?.text, value: expression($0.value)) }
    }
}
