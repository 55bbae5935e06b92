import VScriptSyntax

// What instructions do in full: the run loop comes here when its short way does not fit. Fuel has been paid.

extension Interpreter {
    /// Carries out an instruction; `pc`, `base`, `closure` and `frame` are where the run loop goes on.
    func carryOut(_ i: Instruction) throws {
        let r = base
        switch i.operation {
        case .loadNil: r[i.a] = .nil
        case .loadUnset: r[i.a] = .unset
        case .loadBool: r[i.a] = .bool(i.b != 0)
        case .loadInt: r[i.a] = .int(i.c)
        case .loadConstant: r[i.a] = heap.constants[i.c]
        case .loadCurrent: r[i.a] = r[-1]
        case .move: r[i.a] = r[i.b]
        case .getVariable: r[i.a] = closure?.variables[i.b] ?? .nil
        case .getSharedVariable: r[i.a] = try content(of: closure?.variables[i.b] ?? .nil, i.c)
        case .getBox: r[i.a] = try content(of: r[i.b], i.c)
        case .setSharedVariable: try setContent(of: closure?.variables[i.b] ?? .nil, r[i.a], i.c)
        case .setBox: try setContent(of: r[i.b], r[i.a])
        case .makeBox: r[i.a] = try heap.box(r[i.b])

        case .shiftLeft, .shiftRight, .wrappingShiftLeft, .multiply, .divide, .remainder, .bitAnd, .wrappingMultiply,
            .add, .subtract, .bitOr, .bitXor, .wrappingAdd, .wrappingSubtract, .closedRange, .halfOpenRange,
            .countedRange, .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .contains, .and, .or:
            r[i.a] = try binary(i.operation, r[i.b], r[i.c])
        case .coalesce: r[i.a] = r[i.c]
        case .addInt: r[i.a] = try binary(.add, r[i.b], .int(i.c))
        case .subtractInt: r[i.a] = try binary(.subtract, r[i.b], .int(i.c))
        case .multiplyInt: r[i.a] = try binary(.multiply, r[i.b], .int(i.c))
        case .divideInt: r[i.a] = try binary(.divide, r[i.b], .int(i.c))
        case .remainderInt: r[i.a] = try binary(.remainder, r[i.b], .int(i.c))
        case .bitAndInt: r[i.a] = try binary(.bitAnd, r[i.b], .int(i.c))
        case .shiftLeftInt: r[i.a] = try binary(.shiftLeft, r[i.b], .int(i.c))
        case .shiftRightInt: r[i.a] = try binary(.shiftRight, r[i.b], .int(i.c))
        case .negate: r[i.a] = try unary(.negate, r[i.b])
        case .complement: r[i.a] = try unary(.complement, r[i.b])
        case .not: r[i.a] = try unary(.not, r[i.b])

        case .jump, .loop: jump(i)
        case .jumpIfFalse: if try !condition(r[i.a]) { jump(i) }
        case .jumpIfTrue, .loopIfTrue: if try condition(r[i.a]) { jump(i) }
        case .jumpIfExactlyFalse: if r[i.a].kind == .bool, !r[i.a].bool { jump(i) }
        case .jumpIfExactlyTrue: if r[i.a].kind == .bool, r[i.a].bool { jump(i) }
        case .jumpIfNotNil: if !r[i.a].isNil { jump(i) }
        case .jumpIfSet: if !r[i.a].isUnset { jump(i) }
        case .unlessLess: if try !compare(.less, r[i.a], r[i.b]) { jump(i) }
        case .unlessLessOrEqual: if try !compare(.lessOrEqual, r[i.a], r[i.b]) { jump(i) }
        case .unlessEqual: if try !compare(.equal, r[i.a], r[i.b]) { jump(i) }
        case .unlessNotEqual: if try !compare(.notEqual, r[i.a], r[i.b]) { jump(i) }
        case .unlessLessInt: if try !compare(.less, r[i.a], .int(i.signedB)) { jump(i) }
        case .unlessLessOrEqualInt: if try !compare(.lessOrEqual, r[i.a], .int(i.signedB)) { jump(i) }
        case .unlessGreaterInt: if try !compare(.greater, r[i.a], .int(i.signedB)) { jump(i) }
        case .unlessGreaterOrEqualInt: if try !compare(.greaterOrEqual, r[i.a], .int(i.signedB)) { jump(i) }
        case .unlessEqualInt: if try !compare(.equal, r[i.a], .int(i.signedB)) { jump(i) }
        case .unlessNotEqualInt: if try !compare(.notEqual, r[i.a], .int(i.signedB)) { jump(i) }
        case .loopIfLess: if try compare(.less, r[i.a], r[i.b]) { jump(i) }
        case .loopIfLessOrEqual: if try compare(.lessOrEqual, r[i.a], r[i.b]) { jump(i) }
        case .loopIfNotEqual: if try compare(.notEqual, r[i.a], r[i.b]) { jump(i) }
        case .loopIfLessInt: if try compare(.less, r[i.a], .int(i.signedB)) { jump(i) }
        case .loopIfLessOrEqualInt: if try compare(.lessOrEqual, r[i.a], .int(i.signedB)) { jump(i) }
        case .loopIfGreaterInt: if try compare(.greater, r[i.a], .int(i.signedB)) { jump(i) }
        case .loopIfGreaterOrEqualInt: if try compare(.greaterOrEqual, r[i.a], .int(i.signedB)) { jump(i) }
        case .loopIfNotEqualInt: if try compare(.notEqual, r[i.a], .int(i.signedB)) { jump(i) }

        case .forPrepare: try prepareRange(i)
        case .forLoop: turnRange(i)
        case .iterate: try prepareItems(i)
        case .iterateNext: try turnItems(i)

        case .call: try call(i.a, i.b & 0xFF, site: i.c)
        case .callCurrent:
            r[i.a] = r[-1]
            try call(i.a, i.b & 0xFF, site: i.c)
        case .callMethod, .append: try callMethod(i)
        case .return, .returnNil: break

        case .getMember: r[i.a] = try member(r[i.b], caches.base + i.c)
        case .setMember: try setMember(r[i.b], caches.base + i.c, r[i.a])
        case .getElement: r[i.a] = try element(r[i.b], r[i.c])
        case .setElement: try setElement(r[i.b], r[i.c], r[i.a])
        case .getRegister: r[i.a] = try register(heap.constants[i.c], of: r[i.b])
        case .setRegister: try setRegister(heap.constants[i.c], of: r[i.b], r[i.a])

        case .makeList: r[i.a] = try heap.list(UnsafeBufferPointer(start: r + i.b, count: i.c))
        case .extendList:
            guard r[i.a].kind == .list else { throw malformed() }
            for index in 0..<i.c { try heap.append(r[i.b + index], to: r[i.a].list) }
        case .makeMap: r[i.a] = Cell(.map, try heap.newMap())
        case .addEntry:
            guard r[i.a].kind == .map else { throw malformed() }
            try checkKey(r[i.b])
            try heap.set(r[i.b], r[i.b + 1], in: r[i.a].map)
        case .makeRecord: r[i.a] = try record(i)
        case .makeClosure: r[i.a] = try closure(i)
        case .text: r[i.a] = try text(UnsafeBufferPointer(start: r + i.b, count: i.c))
        case .format:
            let format = try site(\.formats, i.c)
            r[i.a] = try heap.string(try format.apply(to: heap.value(r[i.b])))

        case .throw: throw thrown(r[i.a])
        case .matches: r[i.a] = .bool(try matches(r[i.b], r[i.c]))
        case .noMatch:
            throw HostFailure(
                .noMatch, "no arm fits \(heap.source(r[i.a]))", notes: ["`else => …` fits everything"])
        case .failExpectation: throw try failedExpectation(i)
        case .importModule: r[i.a] = try heap.cell(try session.module(try site(\.imports, i.c), from: span))

        case .declare: try declare(i)
        case .declarationLabel: try declarationLabel(i)
        case .property: try property(i)
        case .contents: try contents(i)
        case .finishDeclaration: try finishDeclaration(i)
        case .runTest: try runTest(i)
        case .makeHandler: try makeHandler(i)
        case .makeAssembly: try makeAssembly(i)
        }
    }

    private func jump(_ i: Instruction) { pc = pc.map { $0 + i.c } }

    /// Bytecode that the compiler does not make and the verifier lets pass ends with an error.
    func malformed() -> HostFailure { HostFailure(.wrongType, "the bytecode is malformed") }

    /// An entry of one of the running program's tables.
    func site<Site>(_ table: KeyPath<ProgramCode, [Site]>, _ index: Int) throws -> Site {
        guard let sites = function?.program.code[keyPath: table], sites.indices.contains(index) else {
            throw malformed()
        }
        return sites[index]
    }

    // MARK: - Variables

    private func content(of box: Cell, _ name: Int) throws -> Cell {
        guard box.kind == .box else { throw malformed() }
        let value = box.box.pointee.value
        guard value.isUnset else { return value }
        throw HostFailure(
            .usedBeforeDeclaration, "`\(heap.text(heap.constants[name]))` is used before it has a value")
    }

    private func setContent(of box: Cell, _ value: Cell, _ name: Int? = nil) throws {
        guard box.kind == .box else { throw malformed() }
        if box.box.pointee.header.isFrozen, let name {
            throw HostFailure(
                .frozen,
                "`\(heap.text(heap.constants[name]))` belongs to a module that has loaded: it does not change any more",
                notes: ["what changes belongs to whoever imports the module, who can pass a list or a map"])
        }
        box.box.pointee.value = value
    }

    private func closure(_ i: Instruction) throws -> Cell {
        guard functions.indices.contains(i.c), let current = closure else { throw malformed() }
        let function = functions[i.c]
        let captures = function.code.captures
        let made = try heap.closure(function.record, variables: captures.count)
        for (index, capture) in captures.enumerated() {
            switch capture {
            case .register(let register): made.variables[index] = base[register]
            case .variable(let variable): made.variables[index] = current.variables[variable]
            case .current: made.variables[index] = Cell(.closure, current)
            }
        }
        return Cell(.closure, made)
    }

    // MARK: - Conditions and patterns

    private func condition(_ cell: Cell) throws -> Bool {
        guard cell.kind == .bool else {
            throw HostFailure(
                .notBool, "a condition is `true` or `false`, not \(heap.typeName(cell))",
                notes: ["compare the value with something, as in `… != 0` or `… != nil`"])
        }
        return cell.bool
    }

    /// Whether a value fits a pattern: is equal, lies in a range, or is matched by a regular expression.
    private func matches(_ pattern: Cell, _ value: Cell) throws -> Bool {
        if pattern.kind == .range, value.isAnyInt {
            return pattern.range.pointee.lower <= value.wide && value.wide < pattern.range.pointee.upper
        }
        if pattern.kind == .regex, value.isString, let regex = heap.hosted.regex(pattern) {
            try pay(value.string.count / 64)
            return try regex.firstMatch(in: value.string.text.unicodeScalars.map(\.value), pay: pay) != nil
        }
        return try isEqual(pattern, value)
    }

    // MARK: - Loops

    private func prepareRange(_ i: Instruction) throws {
        let (first, second) = (base[i.a], base[i.a + 1])
        let operation: BinaryOperator = i.b == 0 ? .halfOpenRange : i.b == 1 ? .closedRange : .countedRange
        guard first.isAnyInt, second.isAnyInt else { throw mismatch(operation, first, second) }
        let range = try Arithmetic.range(operation, first.wide, second.wide)
        guard !range.isEmpty else { return jump(i) }
        // The last number is one, which the upper bound need not be.
        base[i.a] = .int(range.lowerBound)
        base[i.a + 1] = .int(range.upperBound - 1)
        base[i.a + 2] = base[i.a]
    }

    private func turnRange(_ i: Instruction) {
        let (current, last) = (base[i.a], base[i.a + 1])
        guard current.isAnyInt, last.isAnyInt, current.wide < last.wide else { return }
        base[i.a] = .int(current.wide + 1)
        base[i.a + 2] = base[i.a]
        jump(i)
    }

    /// What `for` runs over is taken as it is at the start.
    private func prepareItems(_ i: Instruction) throws {
        let sequence = base[i.a]
        switch sequence.kind {
        case .list:
            try pay(sequence.list.pointee.count / 8)
            base[i.a] = try heap.list(sequence.list.buffer)
        case .map:
            try pay(sequence.map.pointee.used / 4)
            let pairs = try heap.newList(capacity: sequence.map.pointee.live * 2)
            for position in 0..<sequence.map.pointee.used {
                guard let (key, value) = heap.entry(at: position, of: sequence.map) else { continue }
                try heap.append(key, to: pairs)
                try heap.append(value, to: pairs)
            }
            base[i.a] = Cell(.list, pairs)
            // The position of pairs counts backwards from -1, so that the next turn knows them.
            base[i.a + 1] = .int(-1)
            return
        case .range, .string, .bytes: break
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .closure, .boundMethod, .box, .object,
            .regex, .hostFunction, .builtin:
            throw HostFailure(
                .notIterable, "`for` does not run over \(heap.typeName(sequence))",
                notes: sequence.isAnyInt ? ["write `0..<\(heap.text(sequence))` for a range"] : [])
        }
        base[i.a + 1] = .int(0)
    }

    private func turnItems(_ i: Instruction) throws {
        let (items, counter) = (base[i.a], base[i.a + 1])
        guard counter.isInt else { throw malformed() }
        let position = counter.int
        if position < 0 {
            let index = (-1 &- position) &* 2
            guard items.kind == .list, index >= 0 else { throw malformed() }
            guard index &+ 1 < items.list.pointee.count, index &+ 1 > 0 else { return }
            base[i.a + 1] = .int(position &- 1)
            base[i.a + 2] = items.list.buffer[index]
            if i.b == 2 { base[i.a + 3] = items.list.buffer[index + 1] }
            return jump(i)
        }
        let item: Cell
        var next = position &+ 1
        switch items.kind {
        case .list:
            guard position < items.list.pointee.count else { return }
            item = items.list.buffer[position]
        case .range:
            let value = items.range.pointee.lower + Int128(position)
            guard value < items.range.pointee.upper else { return }
            item = .int(value)
        case .bytes:
            guard position < items.bytes.count else { return }
            item = .int(Int(items.bytes.bytes[position]))
        case .string:
            // The low half of the position counts bytes and the high half code points.
            let offset = position & 0xFFFF_FFFF
            let count = items.string.count
            guard offset < count else { return }
            var end = offset + 1
            while end < count, items.string.bytes[end] & 0xC0 == 0x80 { end += 1 }
            item = try heap.string(UnsafeBufferPointer(start: items.string.bytes + offset, count: end - offset))
            next = (position >> 32 &+ 1) << 32 | end
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .map, .closure, .boundMethod, .box,
            .object, .regex, .hostFunction, .builtin:
            throw malformed()
        }
        base[i.a + 1] = .int(next)
        if i.b == 2 {
            base[i.a + 2] = .int(items.kind == .string ? position >> 32 : position)
            base[i.a + 3] = item
        } else {
            base[i.a + 2] = item
        }
        jump(i)
    }

    // MARK: - Collections and texts

    private func record(_ i: Instruction) throws -> Cell {
        guard let program = function?.program, program.code.records.indices.contains(i.c) else { throw malformed() }
        let names = program.code.records[i.c]
        if program.shapes[i.c] == nil {
            var shape = heap.shapes.empty
            for name in names {
                guard let larger = try heap.shapes.adding(try heap.name(name), to: shape, in: heap) else {
                    return try spelledRecord(names, i)
                }
                shape = larger
            }
            program.shapes[i.c] = shape
        }
        guard let shape = program.shapes[i.c] else { throw malformed() }
        let map = try heap.newMap(shape, capacity: names.count)
        map.pointee.cells?.update(from: base + i.b, count: names.count)
        map.pointee.used = names.count
        map.pointee.live = names.count
        return Cell(.map, map)
    }

    /// A record where there are too many shapes already.
    private func spelledRecord(_ names: [String], _ i: Instruction) throws -> Cell {
        let map = try heap.newMap()
        heap.temporaries.append(Cell(.map, map))
        defer { heap.temporaries.removeLast() }
        for (index, name) in names.enumerated() { try heap.set(try heap.name(name), base[i.b + index], in: map) }
        return Cell(.map, map)
    }

    func checkKey(_ key: Cell) throws {
        guard key.canBeKey else { throw HostFailure(.wrongType, "\(heap.typeName(key)) cannot be a key") }
    }

    /// Texts joined; strings and ints are copied without going through the host's strings.
    func text(_ pieces: UnsafeBufferPointer<Cell>) throws -> Cell {
        var total = 0
        var others: [Int: String] = [:]
        for (index, piece) in pieces.enumerated() {
            if piece.isString {
                total += piece.string.count
            } else if piece.isInt {
                total += Digits.count(piece.int)
            } else {
                let text = heap.text(piece)
                // It has been made character by character.
                try pay(text.utf8.count / 4)
                others[index] = text
                total += text.utf8.count
            }
        }
        try pay(total / 64)
        let result = try heap.newString(count: total)
        var target = result.bytes
        for (index, piece) in pieces.enumerated() {
            if piece.isString {
                target.update(from: piece.string.bytes, count: piece.string.count)
                target += piece.string.count
            } else if piece.isInt {
                target = Digits.write(piece.int, to: target)
            } else {
                for byte in (others[index] ?? "").utf8 {
                    target.pointee = byte
                    target += 1
                }
            }
        }
        return Cell(.string, result)
    }

    // MARK: - Errors

    /// The error of a `throw`: a text becomes its message, anything else is what `catch` is given.
    private func thrown(_ cell: Cell) -> Interruption {
        if cell.isString {
            return .fault(Fault(Diagnostic(ScriptCode.uncaught, cell.string.text, at: reportedSpan)))
        }
        let value = heap.value(cell)
        var text = value.source()
        var code = ScriptCode.uncaught
        if case .map(let map) = value, case .string(let message) = map["message"] {
            text = message
            // An error that was caught and is thrown again stays what it was.
            if case .string(let id) = map["code"], let known = ScriptCode.allCases.first(where: { $0.id == id }),
                known.isCatchable
            {
                code = known
            }
        }
        return .fault(Fault(Diagnostic(code, text, at: reportedSpan), value: value))
    }

    private func failedExpectation(_ i: Instruction) throws -> Interruption {
        let site = try site(\.expectations, i.c)
        let message = base[i.b].isUnset ? "" : ": \(heap.text(base[i.b]))"
        var report = Diagnostic(
            ScriptCode.expectationFailed, "expectation failed" + message, at: span(site.place),
            notes: session.expectationNotes())
        for part in site.captures {
            if let condition = part.condition, base[condition].isUnset { continue }
            let cell = base[part.register]
            switch cell.kind {
            case .unset: report.values.append(Diagnostic.Label(span(part.place), "(not evaluated)"))
            case .closure, .boundMethod, .hostFunction, .builtin: break
            case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .string, .bytes, .list, .map, .range, .box,
                .object, .regex:
                let text = heap.source(cell)
                report.values.append(
                    Diagnostic.Label(span(part.place), text.count > 60 ? text.prefix(59) + "…" : text))
            }
        }
        return .fault(Fault(report))
    }
}

/// Ints as decimal digits, written where they belong.
enum Digits {
    /// How many bytes an int takes.
    static func count(_ value: Int) -> Int {
        var magnitude = value.magnitude
        var count = value < 0 ? 2 : 1
        while magnitude >= 10 {
            magnitude /= 10
            count += 1
        }
        return count
    }

    /// Writes an int and gives the address after it.
    static func write(_ value: Int, to target: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        let end = target + count(value)
        var place = end
        var magnitude = value.magnitude
        repeat {
            place -= 1
            place.pointee = UInt8(truncatingIfNeeded: magnitude % 10) &+ 48
            magnitude /= 10
        } while magnitude > 0
        if value < 0 { target.pointee = UInt8(ascii: "-") }
        return end
    }
}
