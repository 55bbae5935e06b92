import VScriptSyntax

// Calls that are more than pushing a frame: labels, defaults, host functions, methods of built-in types.

extension Interpreter {
    /// The labels and places of a call's arguments; none for calls from the host.
    private func callSite(_ index: Int) -> CallSite {
        calls.indices.contains(index) ? calls[index] : CallSite(labels: [], places: [])
    }

    /// Calls R[a] with the arguments that follow; a script's function goes on in the run loop.
    func call(_ a: Int, _ count: Int, site: Int) throws {
        let callee = base[a]
        switch callee.kind {
        case .closure: try open(callee.closure, a, count, site)
        case .builtin:
            let member = Prelude.members[callee.index]
            try call(member.signature ?? Signature(member.name), a, count, site, member.call)
        case .hostFunction:
            guard let function = heap.hosted.function(callee) else { throw malformed() }
            try call(function, a, count, site)
        case .boundMethod:
            base[a] = callee.boundMethod.pointee.receiver
            var cache = MemberCache(name: callee.boundMethod.pointee.name, call: site)
            try callMember(a, count, &cache)
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .string, .bytes, .list, .map, .range,
            .box, .object, .regex:
            throw HostFailure(.notCallable, "\(heap.typeName(callee)) cannot be called")
        }
    }

    /// Pushes the frame of a script's function.
    private func open(_ target: UnsafeMutablePointer<ClosureBlock>, _ a: Int, _ count: Int, _ site: Int) throws {
        guard frame < frameLimit else { throw tooDeep() }
        let function = target.pointee.function
        let site = callSite(site)
        if Int(function.pointee.parameters) != count || !site.labels.isEmpty {
            let signature = functions[Int(function.pointee.index)].code.signature
            try arrange(signature, base + a + 1, count, site)
        }
        frame.pointee = Frame(pc: pc, base: base)
        frame += 1
        // A method is called in the place of its object.
        base[a] = Cell(.closure, target)
        base += a + 1
        pc = function.pointee.code
    }

    /// Puts arguments in the order of the parameters; what was not passed is unset.
    private func arrange(
        _ signature: Signature, _ arguments: UnsafeMutablePointer<Cell>, _ count: Int, _ site: CallSite
    ) throws {
        let passed: [Signature.Passed]
        do throws(HostFailure) {
            passed = try signature.sort(count, labels: site.labels)
        } catch {
            var failure = error
            failure.span = error.argument.flatMap { site.places.indices.contains($0) ? span(site.places[$0]) : nil }
            throw failure
        }
        var cells: [Cell] = []
        heap.stackTop = max(heap.stackTop, arguments + max(count, passed.count))
        for parameter in passed {
            switch parameter {
            case .nothing: cells.append(.unset)
            case .argument(let index): cells.append(arguments[index])
            case .rest(let indices):
                let items = indices.map { arguments[$0] }
                let list = try items.withUnsafeBufferPointer { buffer throws(HostFailure) in try heap.list(buffer) }
                cells.append(list)
            }
        }
        for (index, cell) in cells.enumerated() { arguments[index] = cell }
    }

    /// Calls a builtin, whose receiver or name is in R[a].
    private func call(
        _ signature: Signature, _ a: Int, _ count: Int, _ site: Int, _ body: (CellCall) throws -> Cell
    ) throws {
        let window = base + a
        if !signature.isPlain || count != signature.parameters.count || !callSite(site).labels.isEmpty {
            try arrange(signature, window + 1, count, callSite(site))
        }
        heap.stackTop = max(heap.stackTop, window + 1 + signature.parameters.count)
        do {
            window.pointee = try body(CellCall(interpreter: self, base: window))
            if turns.work != nil, turns.work?.window == nil { turns.work?.window = window }
        } catch var failure as HostFailure {
            failure.span = failure.span ?? argumentSpan(failure, signature, count, site)
            throw failure
        }
    }

    /// Where the argument stands that a failure is about.
    private func argumentSpan(
        _ failure: HostFailure, _ signature: Signature, _ count: Int, _ site: Int
    ) -> SourceSpan? {
        let site = callSite(site)
        guard let parameter = failure.argument, let passed = try? signature.sort(count, labels: site.labels),
            passed.indices.contains(parameter), case .argument(let index) = passed[parameter],
            site.places.indices.contains(index)
        else { return nil }
        return span(site.places[index])
    }

    private func call(_ function: HostFunction, _ a: Int, _ count: Int, _ site: Int) throws {
        try call(function.signature, a, count, site) { call in
            try call.heap.cell(try function.body(call.arguments(function.signature)))
        }
    }

    // MARK: - Methods

    func callMethod(_ i: Instruction) throws { try callMember(i.a, i.b & 0xFF, &(caches.base + i.c).pointee) }

    /// Calls a member of R[a] with the arguments that follow.
    private func callMember(_ a: Int, _ count: Int, _ cache: inout MemberCache) throws {
        let object = base[a]
        // What is called may load a module and move the caches.
        let (name, site) = (cache.name, cache.call)
        if object.kind == .map {
            if let value = key(name, of: object.map, &cache) {
                base[a] = value
                return try call(a, count, site: site)
            }
        } else if object.kind == .object {
            return try callMember(of: object, a, count, name, site)
        }
        guard let member = typeMember(object, &cache) else { throw noMember(name, of: object) }
        guard let signature = member.signature else {
            let value = try read(member, of: object)
            guard value.kind.canBeCalled else {
                throw notFunction(name, of: object)
            }
            base[a] = value
            return try call(a, count, site: site)
        }
        try call(signature, a, count, site, member.call)
    }

    /// A member that is a value has been called.
    private func notFunction(_ name: Cell, of object: Cell) -> HostFailure {
        let name = name.string.text
        var failure = HostFailure(
            .notCallable, "`\(name)` of \(heap.typeName(object)) is no function",
            notes: ["it is written without parentheses: `.\(name)`"])
        failure.span = function?.code.operators[position].map { span($0) }
        return failure
    }

    private func callMember(of object: Cell, _ a: Int, _ count: Int, _ name: Cell, _ site: Int) throws {
        guard let host = heap.hosted.object(object),
            let member = try host.member(name.string.text)
        else { throw noMember(name, of: object) }
        if case .function(let function) = member, case .host(let body) = function.storage {
            return try call(body, a, count, site)
        }
        let value = try heap.cell(member)
        guard value.kind.canBeCalled else {
            throw notFunction(name, of: object)
        }
        base[a] = value
        try call(a, count, site: site)
    }

    // MARK: - From the host

    /// Calls a function from the host, with arguments in order.
    func call(_ function: Cell, _ arguments: [Cell]) throws -> Cell {
        try pay(1)
        turns.hostCalls += 1
        defer { turns.hostCalls -= 1 }
        if function.kind == .closure {
            let record = function.closure.pointee.function
            let signature = functions[Int(record.pointee.index)].code.signature
            if arguments.count == Int(record.pointee.parameters) {
                return try enter(function.closure, arguments: arguments)
            }
            var cells: [Cell] = []
            for passed in try signature.sort(arguments.count, labels: []) {
                if case .argument(let index) = passed { cells.append(arguments[index]) } else { cells.append(.unset) }
            }
            return try enter(function.closure, arguments: cells)
        }
        let top = heap.stackTop
        defer { heap.stackTop = top }
        top.pointee = function
        for (index, argument) in arguments.enumerated() { top[index + 1] = argument }
        heap.stackTop = top + arguments.count + 1
        let (open, outer) = (frame, base)
        try call(top - base, arguments.count, site: -1)
        guard frame == open else {
            // A bound method has led to a script's function: it runs to its end here.
            let target = closure
            let window = base
            frame -= 1
            (pc, base) = (frame.pointee.pc, frame.pointee.base ?? outer)
            guard let target else { throw malformed() }
            let count = Int(target.pointee.function.pointee.parameters)
            return try enter(target, arguments: (0..<count).map { window[$0] })
        }
        return top.pointee
    }
}

extension CellCall {
    /// The arguments as host code sees them.
    func arguments(_ signature: Signature) -> Arguments {
        Arguments(
            signature: signature,
            values: signature.parameters.indices.map { self[$0].isUnset ? nil : heap.value(self[$0]) },
            context: interpreter.session, span: interpreter.span)
    }
}
