import VScriptSyntax

extension FunctionGenerator {
    /// Computes a value and gives the register it is in: a variable's own, or a new one.
    func value(_ node: Node) -> Int {
        if case .variable(let binding) = node.code, case .register(let register) = locate(binding) { return register }
        let register = temporary(node.span)
        put(node, into: register, isFresh: true)
        return register
    }

    /// Computes a left operand; it is copied if what follows may change the variable.
    private func operand(_ node: Node, before other: Node) -> Int {
        guard case .variable = node.code, other.mayAssign else { return value(node) }
        let register = temporary(node.span)
        put(node, into: register, isFresh: true)
        return register
    }

    /// Computes a value into a register; a fresh one holds nothing that is still needed.
    func put(_ node: Node, into target: Int, isFresh: Bool = false) {
        guard program.stack.hasRoom else { return program.tooDeep(node.span) }
        let mark = next
        defer { release(to: mark) }
        let span = node.span
        switch node.code {
        case .literal(let literal): put(literal, into: target, at: span)
        case .text(let pieces): text(pieces, into: target, at: span)
        case .variable(let binding): load(binding, into: target, at: span)
        case .builtin(let name):
            guard let index = Prelude.index[name] else {
                emit(.loadConstant, target, 0, program.constant(.global(name)), at: span)
                emit(.getBox, target, target, program.constant(.name(name)), at: span)
                break
            }
            emit(.loadConstant, target, 0, program.constant(.builtin(index)), at: span)
        case .ownMember(let own, let name):
            load(own, into: target, at: span)
            emit(.getMember, target, target, program.cache(name), at: span)
        case .register(let event, let name):
            let register = temporary(span)
            load(event, into: register, at: span)
            emit(.getRegister, target, register, program.constant(.name(name)), at: span)
        case .list(let items): list(items, into: target, at: span)
        case .map(let entries): map(entries, into: target, at: span)
        case .function(let function): closure(function, into: target, at: span)
        case .conditional, .match, .tryCatch, .block: control(node, to: .register(target))
        case .handler(let handler): self.handler(handler, into: target, at: span)
        case .assembly(let assembly): self.assembly(assembly, into: target, at: span)
        case .unary(let operation, let operand): unary(operation, operand, into: target, at: span)
        case .binary(let operation, let operatorSpan, let left, let right):
            binary(operation, operatorSpan, left, right, into: target, isFresh: isFresh, at: span)
        case .member(let base, let name, let place):
            let register = isFresh && !base.isVariable ? target : nil
            let object: Int
            if let register {
                put(base, into: register, isFresh: true)
                object = register
            } else {
                object = value(base)
            }
            emit(.getMember, target, object, program.cache(name), at: place)
        case .call(let callee, let arguments): call(callee, arguments, into: target, isFresh: isFresh, at: span)
        case .index(let base, let key):
            let object = operand(base, before: key)
            emit(.getElement, target, object, value(key), at: span)
        case .captured(let inner, let place): part(inner, place, into: target)
        case .declaration(let declaration): self.declaration(declaration, into: target, at: span)
        case .contents(let own, let code):
            put(code, into: target)
            let register = temporary(span)
            load(own, into: register, at: span)
            emit(.contents, register, target, at: span)
        case .define, .assign, .return, .throw, .break, .continue, .expect, .forLoop, .whileLoop, .importModule,
            .property:
            effect(node)
            emit(.loadNil, target, at: span)
        }
    }

    func put(_ literal: Literal, into target: Int, at span: SourceSpan) {
        switch literal {
        case .nil: emit(.loadNil, target, at: span)
        case .bool(let value): emit(.loadBool, target, value ? 1 : 0, at: span)
        case .int(let value):
            guard let small = Int32(exactly: value) else { fallthrough }
            emit(.loadInt, target, 0, Int(small), at: span)
        case .float, .duration, .string, .name, .symbol, .bytes, .regex, .builtin, .global:
            emit(.loadConstant, target, 0, program.constant(literal), at: span)
        }
    }

    // MARK: - Texts and collections

    /// How many values are put into registers at once.
    private static let chunk = 48

    private func text(_ pieces: [TextPiece], into target: Int, at span: SourceSpan) {
        var first = next
        var count = 0
        func join(into register: Int) { emit(.text, register, first, count, at: span) }
        for piece in pieces {
            if count == Self.chunk {
                join(into: first)
                release(to: first + 1)
                count = 1
            }
            let register = temporary(span)
            if count == 0 { first = register }
            count += 1
            switch piece {
            case .text(let text): put(.string(text), into: register, at: span)
            case .value(let node, nil): put(node, into: register, isFresh: true)
            case .value(let node, let format?):
                put(node, into: register, isFresh: true)
                emit(.format, register, register, program.add(format), at: node.span)
            }
        }
        join(into: target)
    }

    private func list(_ items: [Node], into target: Int, at span: SourceSpan) {
        let result = items.count > Self.chunk ? temporary(span) : target
        var isFirst = true
        var rest = items[...]
        repeat {
            let mark = next
            let part = rest.prefix(Self.chunk)
            rest = rest.dropFirst(Self.chunk)
            let first = window(part.map { $0 }, span)
            emit(isFirst ? .makeList : .extendList, result, first, part.count, at: span)
            isFirst = false
            release(to: mark)
        } while !rest.isEmpty
        if result != target { emit(.move, target, result, at: span) }
    }

    /// Computes values into registers that follow each other.
    private func window(_ nodes: [Node], _ span: SourceSpan) -> Int {
        guard !isExpecting else {
            // Parts are kept among the values, which are brought together afterwards.
            let values = nodes.map { value($0) }
            let first = next
            for (node, register) in zip(nodes, values) { emit(.move, temporary(node.span), register, at: node.span) }
            return first
        }
        let first = next
        for node in nodes { put(node, into: temporary(node.span), isFresh: true) }
        return first
    }

    private func map(_ entries: [(key: Node, value: Node)], into target: Int, at span: SourceSpan) {
        let names = entries.compactMap { entry -> String? in
            switch entry.key.code {
            case .literal(.name(let name)), .literal(.string(let name)): name
            case _: nil
            }
        }
        if names.count == entries.count, !names.isEmpty, names.count <= Shape.limit, Set(names).count == names.count {
            let first = window(entries.map(\.value), span)
            emit(.makeRecord, target, first, program.add(names), at: span)
            return
        }
        let result = temporary(span)
        emit(.makeMap, result, at: span)
        for entry in entries {
            let mark = next
            let first = window([entry.key, entry.value], span)
            emit(.addEntry, result, first, at: entry.key.span)
            release(to: mark)
        }
        emit(.move, target, result, at: span)
    }

    // MARK: - Operators

    private func unary(_ operation: UnaryOperator, _ operand: Node, into target: Int, at span: SourceSpan) {
        if case .literal(.int(let value)) = operand.code, operation == .negate, Value.integers.contains(-value) {
            return put(.int(-value), into: target, at: span)
        }
        let register = value(operand)
        switch operation {
        case .negate: emit(.negate, target, register, at: span)
        case .complement: emit(.complement, target, register, at: span)
        case .not: emit(.not, target, register, at: span)
        }
    }

    private func binary(
        _ operation: BinaryOperator, _ operatorSpan: SourceSpan, _ left: Node, _ right: Node, into target: Int,
        isFresh: Bool, at span: SourceSpan
    ) {
        switch operation {
        case .and, .or, .coalesce:
            let result = isFresh ? target : temporary(span)
            put(left, into: result, isFresh: true)
            let jump: Operation =
                operation == .and ? .jumpIfExactlyFalse : operation == .or ? .jumpIfExactlyTrue : .jumpIfNotNil
            let register = temporary(span)
            var skip = 0
            part(right, skippedBy: { skip = emit(jump, result, at: span) }, into: register)
            emit(Operation(operation), result, result, register, at: span, operator: operatorSpan)
            patch(skip)
            if result != target { emit(.move, target, result, at: span) }
        case .shiftLeft, .shiftRight, .wrappingShiftLeft, .multiply, .divide, .remainder, .bitAnd, .wrappingMultiply,
            .add, .subtract, .bitOr, .bitXor, .wrappingAdd, .wrappingSubtract, .closedRange, .halfOpenRange,
            .countedRange, .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .contains:
            let first: Int
            if isFresh, !left.isVariable {
                put(left, into: target, isFresh: true)
                first = target
            } else {
                first = operand(left, before: right)
            }
            combine(operation, first, right, into: target, at: span, operator: operatorSpan)
        }
    }

    /// Computes the right operand and the result.
    func combine(
        _ operation: BinaryOperator, _ left: Int, _ right: Node, into target: Int, at span: SourceSpan,
        operator operatorSpan: SourceSpan
    ) {
        if case .literal(.int(let value)) = right.code, let small = Int32(exactly: value),
            let shortened = Operation(operation, withInt: Int(small))
        {
            emit(shortened, target, left, Int(small), at: span, operator: operatorSpan)
        } else {
            emit(Operation(operation), target, left, value(right), at: span, operator: operatorSpan)
        }
    }

    // MARK: - Calls

    private func call(
        _ callee: Node, _ arguments: [Argument], into target: Int, isFresh: Bool, at span: SourceSpan
    ) {
        let site = program.add(program.call(arguments))
        // Calls with labels are sorted to the parameters; the flag keeps the run loop from taking them as they are.
        let count = arguments.count | (arguments.contains { $0.label != nil } ? 0x100 : 0)
        guard !isExpecting else { return callKeepingParts(callee, arguments, count, site, into: target, at: span) }
        let base = isFresh && target == next - 1 ? target : temporary(span)
        if case .variable(let binding) = callee.code, case .current = locate(binding) {
            for argument in arguments { put(argument.value, into: temporary(argument.value.span), isFresh: true) }
            emit(.callCurrent, base, count, site, at: span)
            if base != target { emit(.move, target, base, at: span) }
            return
        }
        let name = prepare(callee, into: base)
        for argument in arguments { put(argument.value, into: temporary(argument.value.span), isFresh: true) }
        finishCall(name, base, count, site, at: span)
        if base != target { emit(.move, target, base, at: span) }
    }

    /// Computes what is called, or of a method its object, and gives the method's name.
    private func prepare(_ callee: Node, into base: Int) -> (name: String, place: SourceSpan)? {
        switch callee.code {
        case .member(let object, let name, let place):
            put(object, into: base, isFresh: true)
            return (name, place)
        case .ownMember(let own, let name):
            load(own, into: base, at: callee.span)
            return (name, callee.span)
        case _:
            put(callee, into: base, isFresh: true)
            return nil
        }
    }

    private func finishCall(
        _ method: (name: String, place: SourceSpan)?, _ base: Int, _ count: Int, _ site: Int, at span: SourceSpan
    ) {
        if let method {
            emit(
                method.name == "append" && count == 1 ? .append : .callMethod, base, count,
                program.cache(method.name, call: site), at: span, operator: method.place)
        } else {
            emit(.call, base, count, site, at: span)
        }
    }

    private func callKeepingParts(
        _ callee: Node, _ arguments: [Argument], _ count: Int, _ site: Int, into target: Int, at span: SourceSpan
    ) {
        let function = temporary(span)
        let name = prepare(callee, into: function)
        let values = arguments.map { value($0.value) }
        let base = temporary(span)
        emit(.move, base, function, at: span)
        for register in values { emit(.move, temporary(span), register, at: span) }
        finishCall(name, base, count, site, at: span)
        emit(.move, target, base, at: span)
    }

    // MARK: - Functions

    private func closure(_ function: FunctionNode, into target: Int, at span: SourceSpan) {
        let inner = FunctionGenerator(program, name: function.name, own: function.binding, parent: self)
        let index = program.reserveFunction()
        inner.function(function, span)
        let signature = Signature(
            name: function.name,
            parameters: zip(function.parameters, function.defaults).map {
                Signature.Parameter(name: $0.name, kind: $1 == nil ? .required : .optional)
            })
        program.setFunction(index, inner.finish(signature))
        emit(.makeClosure, target, 0, index, at: span)
    }

    private func function(_ function: FunctionNode, _ span: SourceSpan) {
        let registers = function.parameters.map { _ in temporary(span) }
        for ((parameter, defaultValue), register) in zip(zip(function.parameters, function.defaults), registers) {
            if let defaultValue {
                let isPassed = emit(.jumpIfSet, register, at: defaultValue.span)
                put(defaultValue, into: register)
                patch(isPassed)
            }
            adopt(parameter, register, span)
        }
        statements(function.body, to: .result, span)
    }

    /// A closure whose only parameter is given, for handlers and tests.
    func closure(
        over parameter: Binding, named name: String, into target: Int, at span: SourceSpan,
        _ body: (FunctionGenerator) -> Void
    ) {
        let inner = FunctionGenerator(program, name: name, own: nil, parent: self)
        let index = program.reserveFunction()
        inner.adopt(parameter, inner.temporary(span), span)
        body(inner)
        inner.emit(.returnNil, at: span)
        program.setFunction(
            index,
            inner.finish(
                Signature(name: name, parameters: [Signature.Parameter(name: parameter.name, kind: .required)])))
        emit(.makeClosure, target, 0, index, at: span)
    }

    private func handler(_ handler: HandlerNode, into target: Int, at span: SourceSpan) {
        let base = temporary(span)
        put(handler.filter, into: base, isFresh: true)
        // What reports of its mistakes call it.
        let name = "on \(handler.filter.span.text.prefix { $0 != "\n" }.prefix(40))"
        closure(over: handler.event, named: name, into: temporary(span), at: span) { inner in
            let skips = handler.guardCondition.map { inner.jumpIfFalse($0) } ?? []
            inner.statements(handler.body, to: .result, span)
            inner.patch(skips)
        }
        let own = temporary(span)
        if let declaration = handler.declaration {
            load(declaration, into: own, at: span)
        } else {
            emit(.loadNil, own, at: span)
        }
        let site = HandlerSite(
            place: Place(span), filter: Place(handler.filter.span), isNested: handler.declaration != nil,
            use: handler.event.eventUse)
        emit(.makeHandler, base, 0, program.add(site), at: span)
        if base != target { emit(.move, target, base, at: span) }
    }

    private func assembly(_ assembly: AssemblyNode, into target: Int, at span: SourceSpan) {
        let base = next
        var segments: [AssemblySite.Segment] = []
        for segment in assembly.segments {
            switch segment {
            case .text(let span): segments.append(.text(Place(span)))
            case .splice(let node):
                segments.append(.splice(Place(node.span)))
                put(node, into: temporary(node.span), isFresh: true)
            }
        }
        for argument in assembly.arguments { put(argument.value, into: temporary(argument.value.span), isFresh: true) }
        if next == base { _ = temporary(span) }
        emit(
            .makeAssembly, base, 0,
            program.add(AssemblySite(segments: segments, call: program.call(assembly.arguments))), at: span)
        if base != target { emit(.move, target, base, at: span) }
    }
}

extension Binding {
    /// What a handler does with its event.
    fileprivate var eventUse: EventUse {
        guard isUsed else { return .nothing }
        if isCaptured || mayBeKept { return .kept }
        return isOnlyForRegisters ? .registers : .looks
    }
}

extension Operation {
    /// The instruction of an operator whose right operand is a small int; nil if there is none.
    init?(_ operation: BinaryOperator, withInt value: Int) {
        switch operation {
        case .add: self = .addInt
        case .subtract: self = .subtractInt
        case .multiply: self = .multiplyInt
        case .divide where value > 0: self = .divideInt
        case .remainder where value > 0: self = .remainderInt
        case .bitAnd where value >= 0: self = .bitAndInt
        case .shiftLeft where 0...63 ~= value: self = .shiftLeftInt
        case .shiftRight where 0...63 ~= value: self = .shiftRightInt
        case .shiftLeft, .shiftRight, .wrappingShiftLeft, .divide, .remainder, .bitAnd, .wrappingMultiply, .bitOr,
            .bitXor, .wrappingAdd, .wrappingSubtract, .closedRange, .halfOpenRange, .countedRange, .coalesce, .equal,
            .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .contains, .and, .or:
            return nil
        }
    }
}

extension Node {
    var isVariable: Bool {
        if case .variable = code { true } else { false }
    }

    /// Whether the node gives a bool or fails, so that joined with others it is one jump after the other.
    var isComparison: Bool {
        switch code {
        case .unary(.not, _), .literal(.bool): true
        case .binary(.and, _, let left, let right), .binary(.or, _, let left, let right):
            left.isComparison && right.isComparison
        case .binary(let operation, _, _, _): operation.precedence == .comparison
        case _: false
        }
    }

    /// Whether evaluating the node may assign to a variable of the same function.
    var mayAssign: Bool {
        switch code {
        case .conditional, .match, .tryCatch, .block, .declaration: true
        case .literal, .variable, .builtin, .ownMember, .register, .function, .handler, .assembly, .define, .assign,
            .return, .throw, .break, .continue, .expect, .forLoop, .whileLoop, .importModule, .property, .contents:
            false
        case .text(let pieces):
            pieces.contains { if case .value(let node, _) = $0 { node.mayAssign } else { false } }
        case .list(let items): items.contains(where: \.mayAssign)
        case .map(let entries): entries.contains { $0.key.mayAssign || $0.value.mayAssign }
        case .unary(_, let operand): operand.mayAssign
        case .binary(_, _, let left, let right): left.mayAssign || right.mayAssign
        case .member(let base, _, _): base.mayAssign
        case .call(let callee, let arguments): callee.mayAssign || arguments.contains { $0.value.mayAssign }
        case .index(let base, let key): base.mayAssign || key.mayAssign
        case .captured(let inner, _): inner.mayAssign
        }
    }
}
