import VScriptSyntax

extension FunctionGenerator {
    /// Where the value of a statement goes.
    enum Destination {
        case nothing
        case register(Int)
        /// It is the function's result.
        case result
    }

    /// Makes the script itself.
    func script(_ body: Block, _ span: SourceSpan) { statements(body, to: .result, span) }

    /// Makes the statements of a block.
    func statements(_ block: Block, to destination: Destination, _ span: SourceSpan) {
        let mark = next
        declare(block.bindings, span)
        for (index, statement) in block.statements.enumerated() {
            if index == block.statements.count - 1 {
                put(statement, to: destination)
            } else {
                effect(statement)
            }
        }
        if block.statements.isEmpty { nothing(to: destination, span) }
        release(to: mark)
    }

    private func nothing(to destination: Destination, _ span: SourceSpan) {
        switch destination {
        case .nothing: break
        case .register(let register): emit(.loadNil, register, at: span)
        case .result: emit(.returnNil, at: span)
        }
    }

    /// Carries out a statement and puts its value where it is wanted.
    func put(_ node: Node, to destination: Destination) {
        switch destination {
        case .nothing: effect(node)
        case .register(let register): put(node, into: register)
        case .result: result(node)
        }
    }

    /// Computes the function's result.
    private func result(_ node: Node) {
        let mark = next
        defer { release(to: mark) }
        switch node.code {
        case .conditional, .match, .block: control(node, to: .result)
        case .return(let value?): result(value)
        case .return(nil): emit(.returnNil, at: node.span)
        case .define, .assign, .throw, .break, .continue, .expect, .forLoop, .whileLoop, .importModule, .property:
            effect(node)
            emit(.returnNil, at: node.span)
        case .literal(.nil): emit(.returnNil, at: node.span)
        case .literal, .text, .variable, .builtin, .ownMember, .register, .list, .map, .function, .tryCatch, .handler,
            .assembly, .unary, .binary, .member, .call, .index, .captured, .contents, .declaration:
            emit(.return, value(node), at: node.span)
        }
    }

    /// Carries out a statement for what it does.
    func effect(_ node: Node) {
        let mark = next
        defer { release(to: mark) }
        let span = node.span
        switch node.code {
        case .define(let binding, let value): define(binding, value, at: span)
        case .assign(let target, let operation, let operatorSpan, let value):
            assign(target, operation, operatorSpan, value, at: span)
        case .return(let value?): emit(.return, self.value(value), at: span)
        case .return(nil): emit(.returnNil, at: span)
        case .throw(let value): emit(.throw, self.value(value), at: span)
        case .break: jumpOut(isBreak: true, span)
        case .continue: jumpOut(isBreak: false, span)
        case .expect(let condition, let message): expect(condition, message, at: span)
        case .forLoop(let variables, let sequence, let body): forLoop(variables, sequence, body, at: span)
        case .whileLoop(let condition, let body): whileLoop(condition, body, at: span)
        case .importModule(let binding, let reference):
            let register = temporary(span)
            emit(.importModule, register, 0, program.add(reference), at: span)
            store(register, in: binding, at: span)
        case .property(let own, let name, let value):
            let object = temporary(span)
            load(own, into: object, at: span)
            emit(.property, object, self.value(value), program.add(property: name), at: value.span)
        case .conditional, .match, .block, .tryCatch: control(node, to: .nothing)
        case .literal, .text, .variable, .builtin, .ownMember, .register, .list, .map, .function, .handler, .assembly,
            .unary, .binary, .member, .call, .index, .captured, .contents, .declaration:
            _ = value(node)
        }
    }

    // MARK: - Control

    /// Makes `if`, `match`, `try` or a block.
    func control(_ node: Node, to destination: Destination) {
        withoutParts {
            switch node.code {
            case .conditional(let condition, let consequence, let alternative):
                conditional(condition, consequence, alternative, to: destination, node.span)
            case .match(let subject, let arms): match(subject, arms, to: destination, node.span)
            case .tryCatch(let body, let error, let handler):
                tryCatch(body, error, handler, to: destination, node.span)
            case .block(let block): statements(block, to: destination, node.span)
            case _: put(node, to: destination)
            }
        }
    }

    private func conditional(
        _ condition: Node, _ consequence: Block, _ alternative: Node?, to destination: Destination, _ span: SourceSpan
    ) {
        let mark = next
        let skips = jumpIfFalse(condition)
        release(to: mark)
        statements(consequence, to: destination, span)
        var end: Int?
        switch destination {
        case .nothing where alternative == nil, .result: break
        case .nothing, .register: end = emit(.jump, at: span)
        }
        patch(skips)
        if let alternative { put(alternative, to: destination) } else { nothing(to: destination, span) }
        if let end { patch(end) }
    }

    private func match(_ subject: Node, _ arms: [Arm], to destination: Destination, _ span: SourceSpan) {
        let mark = next
        let register = temporary(subject.span)
        put(subject, into: register, isFresh: true)
        var ends: [Int] = []
        var isOpen = true
        for arm in arms {
            var bodies: [Int] = []
            var skips: [Int] = []
            for (index, pattern) in arm.patterns.enumerated() {
                let inner = next
                let fits = temporary(pattern.span)
                emit(.matches, fits, value(pattern), register, at: pattern.span)
                if index == arm.patterns.count - 1 {
                    skips.append(emit(.jumpIfExactlyFalse, fits, at: pattern.span))
                } else {
                    bodies.append(emit(.jumpIfExactlyTrue, fits, at: pattern.span))
                }
                release(to: inner)
            }
            patch(bodies)
            if let condition = arm.guardCondition {
                let inner = next
                skips += jumpIfFalse(condition)
                release(to: inner)
            }
            put(arm.body, to: destination)
            if case .result = destination {} else { ends.append(emit(.jump, at: span)) }
            patch(skips)
            isOpen = !skips.isEmpty
        }
        if isOpen || arms.isEmpty { emit(.noMatch, register, at: subject.span) }
        patch(ends)
        release(to: mark)
    }

    private func tryCatch(
        _ body: Block, _ error: Binding?, _ handler: Block, to destination: Destination, _ span: SourceSpan
    ) {
        let mark = next
        let start = here
        // The result is computed inside the range, so that errors of its parts are caught.
        let target: Destination
        if case .result = destination { target = .register(temporary(span)) } else { target = destination }
        statements(body, to: target, span)
        let end = emit(.jump, at: span)
        let register = temporary(span)
        if start < end { addCatch(start..<end, target: here, register: register) }
        if let error { adopt(error, register, span) }
        statements(handler, to: target, span)
        patch(end)
        if case .result = destination, case .register(let register) = target { emit(.return, register, at: span) }
        release(to: mark)
    }

    // MARK: - Conditions

    /// Jumps if a condition is false.
    func jumpIfFalse(_ node: Node) -> [Int] {
        switch node.code {
        case .literal(.bool(true)): return []
        case .literal(.bool(false)): return [emit(.jump, at: node.span)]
        case .binary(.and, _, let left, let right) where left.isComparison && right.isComparison:
            return jumpIfFalse(left) + jumpIfFalse(right)
        case .binary(.or, _, let left, let right) where left.isComparison && right.isComparison:
            let first = jumpIfFalse(left)
            let holds = emit(.jump, at: node.span)
            patch(first)
            let second = jumpIfFalse(right)
            patch(holds)
            return second
        case .binary(let operation, let operatorSpan, let left, let right):
            if let jump = compare(operation, left, right, at: node.span, operator: operatorSpan) { return [jump] }
        case _: break
        }
        return [emit(.jumpIfFalse, value(node), at: node.span)]
    }

    /// Jumps unless two values compare so; nil if there is no such instruction.
    private func compare(
        _ operation: BinaryOperator, _ left: Node, _ right: Node, at span: SourceSpan, operator place: SourceSpan
    ) -> Int? {
        guard let short = Operation.comparisons[operation] else { return nil }
        let first = comparand(left, before: right)
        if case .literal(.int(let value)) = right.code, let small = Int16(exactly: value) {
            return emit(short.unlessInt, first, Int(small), at: span, operator: place)
        }
        let second = value(right)
        return short.isSwapped
            ? emit(short.unless, second, first, at: span, operator: place)
            : emit(short.unless, first, second, at: span, operator: place)
    }

    private func comparand(_ node: Node, before other: Node) -> Int {
        guard node.isVariable, other.mayAssign else { return value(node) }
        let register = temporary(node.span)
        put(node, into: register, isFresh: true)
        return register
    }

    /// Jumps back if a condition is true.
    private func loopIfTrue(_ node: Node, to target: Int) {
        let mark = next
        defer { release(to: mark) }
        switch node.code {
        case .literal(.bool(true)):
            emit(.loop, 0, 0, back(to: target), at: node.span)
            return
        case .binary(.and, _, let left, let right) where left.isComparison && right.isComparison:
            let ends = jumpIfFalse(left)
            loopIfTrue(right, to: target)
            patch(ends)
            return
        case .binary(let operation, let operatorSpan, let left, let right):
            guard let short = Operation.comparisons[operation], let loop = short.loop, let loopInt = short.loopInt
            else {
                break
            }
            let first = comparand(left, before: right)
            if case .literal(.int(let value)) = right.code, let small = Int16(exactly: value) {
                emit(loopInt, first, Int(small), back(to: target), at: node.span, operator: operatorSpan)
                return
            }
            let second = value(right)
            let (a, b) = short.isSwapped ? (second, first) : (first, second)
            emit(loop, a, b, back(to: target), at: node.span, operator: operatorSpan)
            return
        case _: break
        }
        let register = value(node)
        emit(.loopIfTrue, register, 0, back(to: target), at: node.span)
    }

    // MARK: - Loops

    private func whileLoop(_ condition: Node, _ body: Block, at span: SourceSpan) {
        let entry = emit(.jump, at: condition.span)
        let start = here
        let jumps = loop { statements(body, to: .nothing, span) }
        patch(jumps.continues)
        patch(entry)
        loopIfTrue(condition, to: start)
        patch(jumps.breaks)
    }

    private func forLoop(_ variables: [Binding], _ sequence: Node, _ body: Block, at span: SourceSpan) {
        let base = temporary(span)
        let registers = [temporary(span), temporary(span), temporary(span)]
        let modes: [BinaryOperator: Int] = [.halfOpenRange: 0, .closedRange: 1, .countedRange: 2]
        if variables.count == 1, case .binary(let operation, let place, let lower, let upper) = sequence.code,
            let mode = modes[operation]
        {
            put(lower, into: base, isFresh: true)
            put(upper, into: registers[0], isFresh: true)
            let end = emit(.forPrepare, base, mode, at: sequence.span, operator: place)
            let start = here
            let jumps = turn(variables, Array(registers[1...]), body, span)
            patch(jumps.continues)
            emit(.forLoop, base, 0, back(to: start), at: sequence.span)
            patch(end)
            patch(jumps.breaks)
            return
        }
        put(sequence, into: base, isFresh: true)
        emit(.iterate, base, at: sequence.span)
        let entry = emit(.jump, at: sequence.span)
        let start = here
        let jumps = turn(variables, Array(registers[1...]), body, span)
        patch(jumps.continues)
        patch(entry)
        emit(.iterateNext, base, variables.count, back(to: start), at: sequence.span)
        patch(jumps.breaks)
    }

    /// One turn of a `for` loop, whose variables are in registers.
    private func turn(
        _ variables: [Binding], _ registers: [Int], _ body: Block, _ span: SourceSpan
    ) -> (breaks: [Int], continues: [Int]) {
        for (variable, register) in zip(variables, registers) { adopt(variable, register, span) }
        return loop { statements(body, to: .nothing, span) }
    }

    // MARK: - Assignment

    private func assign(
        _ target: Node, _ operation: BinaryOperator?, _ operatorSpan: SourceSpan, _ value: Node, at span: SourceSpan
    ) {
        let whole = target.span.through(value.span)
        /// The new value, from the old one's register if it is combined with it.
        func combined(_ old: (Int) -> Void) -> Int {
            guard let operation else { return self.value(value) }
            let register = temporary(span)
            old(register)
            combine(operation, register, value, into: register, at: whole, operator: operatorSpan)
            return register
        }
        switch target.code {
        case .variable(let binding):
            guard case .register(let register) = locate(binding) else {
                return store(combined { load(binding, into: $0, at: target.span) }, in: binding, at: target.span)
            }
            guard let operation else { return put(value, into: register) }
            if value.mayAssign {
                emit(.move, register, combined { emit(.move, $0, register, at: target.span) }, at: span)
            } else {
                combine(operation, register, value, into: register, at: whole, operator: operatorSpan)
            }
        case .member(let base, let name, let place):
            let object = comparand(base, before: value)
            let cache = program.cache(name)
            let result = combined { emit(.getMember, $0, object, cache, at: place) }
            emit(.setMember, result, object, cache, at: place)
        case .ownMember(let own, let name):
            let object = temporary(span)
            load(own, into: object, at: target.span)
            let cache = program.cache(name)
            let result = combined { emit(.getMember, $0, object, cache, at: target.span) }
            emit(.setMember, result, object, cache, at: target.span)
        case .register(let event, let name):
            let register = temporary(span)
            load(event, into: register, at: target.span)
            let constant = program.constant(.name(name))
            let result = combined { emit(.getRegister, $0, register, constant, at: target.span) }
            emit(.setRegister, result, register, constant, at: target.span)
        case .index(let base, let key):
            let object = comparand(base, before: value)
            let position = comparand(key, before: value)
            let result = combined { emit(.getElement, $0, object, position, at: target.span) }
            emit(.setElement, result, object, position, at: target.span)
        case .literal, .text, .builtin, .list, .map, .function, .conditional, .match, .tryCatch, .handler, .assembly,
            .unary, .binary, .call, .block, .captured, .define, .assign, .return, .throw, .break, .continue, .expect,
            .forLoop, .whileLoop, .importModule, .property, .contents, .declaration:
            program.report(.wrongOperand, "this cannot be assigned to", at: target.span)
        }
    }

    // MARK: - Declarations

    func declaration(_ declaration: DeclarationNode, into target: Int, at span: SourceSpan) {
        let base = temporary(span)
        let parent = temporary(span)
        switch declaration.label {
        case .none: emit(.loadNil, base, at: span)
        case .name(let name, _): put(.string(name), into: base, at: span)
        case .value(let node): put(node, into: base, isFresh: true)
        }
        if let node = declaration.parent { put(node, into: parent) } else { emit(.loadNil, parent, at: span) }
        let isNested = declaration.enclosing != nil && !declaration.kind.inside.isEmpty
        let site = DeclarationSite(
            kind: declaration.kind, labels: declaration.labels.map(\.name), header: Place(declaration.header),
            hasParent: declaration.parent != nil, isNested: isNested)
        emit(.declare, base, 0, program.add(site), at: declaration.header)
        if declaration.kind.isTest {
            closure(over: declaration.own, named: "", into: parent, at: span) { inner in
                inner.statements(declaration.body, to: .nothing, span)
            }
            emit(.runTest, base, 0, at: declaration.header)
        } else {
            body(declaration, base, isNested: isNested, at: span)
        }
        if base != target { emit(.move, target, base, at: span) }
    }

    /// The body of a declaration, whose object becomes the made one.
    private func body(_ declaration: DeclarationNode, _ base: Int, isNested: Bool, at span: SourceSpan) {
        let own = temporary(span)
        emit(.move, own, base, at: span)
        adopt(declaration.own, own, span)
        for (index, label) in declaration.labels.enumerated() {
            let register = temporary(span)
            emit(.declarationLabel, register, base, index, at: span)
            adopt(label, register, span)
        }
        statements(declaration.body, to: .nothing, span)
        let enclosing = temporary(span)
        if let outer = declaration.enclosing {
            load(outer, into: enclosing, at: span)
        } else {
            emit(.loadNil, enclosing, at: span)
        }
        emit(.finishDeclaration, base, enclosing, at: declaration.header)
        store(base, in: declaration.own, at: span)
        if case .name(_, let binding) = declaration.label { store(base, in: binding, at: span) }
    }
}

extension Operation {
    /// The instructions of a comparison in conditions.
    struct Comparison {
        let unless: Operation
        let unlessInt: Operation
        let loop: Operation?
        let loopInt: Operation?
        /// Whether the registers stand the other way round.
        var isSwapped = false
    }

    static let comparisons: [BinaryOperator: Comparison] = [
        .less: Comparison(
            unless: .unlessLess, unlessInt: .unlessLessInt, loop: .loopIfLess, loopInt: .loopIfLessInt),
        .lessOrEqual: Comparison(
            unless: .unlessLessOrEqual, unlessInt: .unlessLessOrEqualInt, loop: .loopIfLessOrEqual,
            loopInt: .loopIfLessOrEqualInt),
        .greater: Comparison(
            unless: .unlessLess, unlessInt: .unlessGreaterInt, loop: .loopIfLess, loopInt: .loopIfGreaterInt,
            isSwapped: true),
        .greaterOrEqual: Comparison(
            unless: .unlessLessOrEqual, unlessInt: .unlessGreaterOrEqualInt, loop: .loopIfLessOrEqual,
            loopInt: .loopIfGreaterOrEqualInt, isSwapped: true),
        .equal: Comparison(unless: .unlessEqual, unlessInt: .unlessEqualInt, loop: nil, loopInt: nil),
        .notEqual: Comparison(
            unless: .unlessNotEqual, unlessInt: .unlessNotEqualInt, loop: .loopIfNotEqual,
            loopInt: .loopIfNotEqualInt),
    ]
}
