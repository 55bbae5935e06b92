import VScriptSyntax
import VirtualMachine

// What `value.name` and `value[key]` do with values of each type.

/// A member of a built-in type, whatever its receiver is.
final class Member: Sendable {
    let name: String
    /// The parameters of a method; nil for a property.
    let signature: Signature?
    /// Reads the property of the receiver, or calls the method on it.
    let call: @Sendable (CellCall) throws -> Cell

    init(_ name: String, _ signature: Signature?, _ call: @escaping @Sendable (CellCall) throws -> Cell) {
        self.name = name
        self.signature = signature
        self.call = call
    }
}

extension MemberTable {
    /// The members over cells, for receivers that are made from cells.
    func members(_ receiver: @escaping @Sendable (Interpreter, Cell) throws -> Receiver) -> [String: Member] {
        let read = properties.values.map { property in
            switch property.get {
            case .cells(let get):
                Member(property.name, nil) { try get($0.interpreter, $0.receiver) }
            case .values(let get):
                Member(property.name, nil) { try $0.heap.cell(try get(try receiver($0.interpreter, $0.receiver))) }
            }
        }
        let called = methods.values.map { $0.member(receiver) }
        return Dictionary((read + called).map { ($0.name, $0) }) { $1 }
    }
}

extension Builtin {
    /// The function over cells.
    func member(_ receiver: @escaping @Sendable (Interpreter, Cell) throws -> Receiver) -> Member {
        switch body {
        case .cells(let body): Member(signature.name, signature, body)
        case .values(let body):
            Member(signature.name, signature) { [signature] call in
                let receiver = try receiver(call.interpreter, call.receiver)
                return try call.heap.cell(try body(receiver, call.arguments(signature)))
            }
        }
    }
}

/// The members of the built-in types, by name.
enum TypeMembers {
    private static let integer = NumberMembers.integer.members { $1.wide }
    private static let float = NumberMembers.float.members { $1.double }
    private static let duration = NumberMembers.duration.members { $1.nanoseconds }
    private static let symbol = StringMembers.symbol.members { $0.heap.symbolName($1) }
    private static let string = StringMembers.string.members { interpreter, cell in
        try interpreter.pay(cell.string.count / 64)
        return cell.string.text
    }
    private static let bytes = StringMembers.bytes.members { interpreter, cell in
        try interpreter.pay(cell.bytes.count / 64)
        return Array(cell.bytes.buffer)
    }
    private static let regex = StringMembers.regex.members { interpreter, cell in
        guard let regex = interpreter.heap.hosted.regex(cell) else {
            throw interpreter.malformed()
        }
        return regex
    }
    private static let range = CollectionMembers.range.members { $1.range.pointee.lower..<$1.range.pointee.upper }
    private static let list = CollectionMembers.list.members { interpreter, cell in
        try interpreter.pay(cell.list.pointee.count / 8)
        return List(KeptCell(cell, in: interpreter.heap))
    }
    private static let map = CollectionMembers.map.members { Map(KeptCell($1, in: $0.heap)) }
    private static let function = CollectionMembers.function.members { $0.heap.source($1) }

    static func table(_ kind: Cell.Kind) -> [String: Member] {
        switch kind {
        case .nil, .bool, .unset, .box, .object: [:]
        case .int, .unsigned: integer
        case .float: float
        case .duration: duration
        case .symbol: symbol
        case .string: string
        case .bytes: bytes
        case .list: list
        case .map: map
        case .range: range
        case .regex: regex
        case .closure, .boundMethod, .hostFunction, .builtin: function
        }
    }
}

extension Interpreter {
    // MARK: - Members

    /// The value of a map's key, whose place is remembered if maps of its shape have it there.
    func key(_ name: Cell, of map: UnsafeMutablePointer<MapBlock>, _ cache: inout MemberCache) -> Cell? {
        guard let shape = map.pointee.shape else { return map.find(name)?.pointee }
        let position = shape.position(ofName: name)
        guard position >= 0, let cells = map.pointee.cells else { return nil }
        cache.key = UInt(bitPattern: shape)
        cache.slot = position
        return cells[position]
    }

    /// A member of a built-in type, which is remembered; nil if it has none of the name.
    func typeMember(_ object: Cell, _ cache: inout MemberCache) -> Member? {
        if cache.key == UInt(object.tag), let address = UnsafeRawPointer(bitPattern: cache.slot) {
            // SAFETY: only addresses of members are stored with a type's tag, and the tables live for ever.
            return Unmanaged<Member>.fromOpaque(address).takeUnretainedValue()
        }
        guard let member = TypeMembers.table(object.kind)[cache.name.string.text] else { return nil }
        cache.key = UInt(object.tag)
        cache.slot = Int(bitPattern: Unmanaged.passUnretained(member).toOpaque())
        return member
    }

    /// Reads a property, or binds a method to its receiver.
    func read(_ member: Member, of object: Cell) throws -> Cell {
        guard member.signature == nil else { return try heap.boundMethod(object, try heap.name(member.name)) }
        let top = heap.stackTop
        top.pointee = object
        heap.stackTop = top + 1
        defer { heap.stackTop = top }
        return try member.call(CellCall(interpreter: self, base: top))
    }

    func member(_ object: Cell, _ cache: UnsafeMutablePointer<MemberCache>) throws -> Cell {
        if object.kind == .map {
            if let value = key(cache.pointee.name, of: object.map, &cache.pointee) { return value }
        } else if object.kind == .object {
            return try member(cache.pointee.name, of: object)
        }
        guard let member = typeMember(object, &cache.pointee) else { throw noMember(cache.pointee.name, of: object) }
        return try read(member, of: object)
    }

    /// A member of a host object.
    private func member(_ name: Cell, of object: Cell) throws -> Cell {
        guard let host = heap.hosted.object(object),
            let value = try host.member(name.string.text)
        else { throw noMember(name, of: object) }
        return try heap.cell(value)
    }

    func noMember(_ name: Cell, of object: Cell) -> HostFailure {
        let name = name.string.text
        guard !object.isNil else {
            var failure = HostFailure(.unknownName, "nil has no member `\(name)`")
            failure.span = function?.code.operators[position].map { span($0) }
            return failure
        }
        var names = TypeMembers.table(object.kind).keys.sorted()
        if object.kind == .map {
            for position in 0..<object.map.pointee.used {
                if let entry = heap.entry(at: position, of: object.map), entry.key.isString {
                    names.append(entry.key.string.text)
                }
            }
        } else if object.kind == .object {
            names = heap.hosted.object(object)?.memberNames ?? []
        }
        let isMap = object.kind == .map
        var failure = HostFailure(
            isMap ? .missingKey : .unknownName,
            isMap ? "the map has no key `\(name)`" : "\(heap.typeName(object)) has no member `\(name)`",
            notes: isMap ? ["`map[\"\(name)\"]` is nil without the key"] : [])
        failure.span = function?.code.operators[position].map { span($0) }
        failure.label =
            ForeignNames.hint(for: name, among: names)
            ?? Suggestion.closest(to: name, in: names).map { "did you mean `\($0)`?" } ?? ""
        if failure.label.isEmpty, !isMap, !names.isEmpty {
            // An event and a member may have one name.
            let names = Set(names).sorted()
            let more = names.count > Self.namesTold ? " …" : ""
            failure.notes.append("it has \(names.prefix(Self.namesTold).joined(separator: " "))\(more)")
        }
        return failure
    }

    /// How many members are told to somebody who asks for another.
    private static let namesTold = 40

    func setMember(_ object: Cell, _ cache: UnsafeMutablePointer<MemberCache>, _ new: Cell) throws {
        let name = cache.pointee.name
        switch object.kind {
        case .map:
            let map = object.map
            if map.pointee.header.isFrozen { throw frozen(object) }
            try heap.setMember(name, new, in: map)
            if let shape = map.pointee.shape {
                cache.pointee.key = UInt(bitPattern: shape)
                cache.pointee.slot = shape.position(ofName: name)
            }
        case .object:
            guard let host = heap.hosted.object(object) else { throw malformed() }
            let text = name.string.text
            if try host.setMember(text, to: heap.value(new)) { return }
            guard try host.member(text) != nil else { throw noMember(name, of: object) }
            throw HostFailure(.assignmentToConstant, "`\(text)` of \(host.typeName) cannot be set")
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .string, .bytes, .list, .range,
            .closure, .boundMethod, .box, .regex, .hostFunction, .builtin:
            throw HostFailure(.assignmentToConstant, "members of \(heap.typeName(object)) cannot be set")
        }
    }

    func frozen(_ cell: Cell) -> HostFailure {
        HostFailure(.frozen, "\(heap.typeName(cell)) of a module that has loaded does not change")
    }

    /// The list of a builtin that changes it.
    func changeable(_ cell: Cell) throws -> UnsafeMutablePointer<ListBlock> {
        guard cell.kind == .list else { throw malformed() }
        if cell.list.pointee.header.isFrozen { throw frozen(cell) }
        return cell.list
    }

    // MARK: - Registers

    func register(_ name: Cell, of event: Cell) throws -> Cell {
        let processor = try processor(of: event)
        if let reader = registerReader(name) {
            switch processor.view.read(reader) {
            case .number(let value): return .unsigned(value)
            case .flag(let value): return .bool(value)
            }
        }
        guard let value = try processor.member(name.string.text) else {
            throw noMember(name, of: try heap.object(processor))
        }
        return try heap.cell(value)
    }

    /// How a register is read, looked up once for each name that the code has.
    private func registerReader(_ name: Cell) -> RegisterReader? {
        if let known = registerReaders[name.bits] { return known }
        let reader = RegisterReader(name.string.text)
        registerReaders[name.bits] = reader
        return reader
    }

    func setRegister(_ name: Cell, of event: Cell, _ new: Cell) throws {
        var cache = MemberCache(name: name, call: -1)
        try setMember(try heap.object(try processor(of: event)), &cache, new)
    }

    /// The processor whose registers `$rax` and the like are: the event's, or what a handler that looks at nothing else
    /// is called with.
    private func processor(of event: Cell) throws -> CPUObject {
        let object = heap.hosted.object(event)
        if let processor = object as? CPUObject { return processor }
        guard let object = try object?.member("cpu"), case .object(let value) = object,
            let processor = value as? CPUObject
        else { throw malformed() }
        return processor
    }

    // MARK: - Elements

    func element(_ object: Cell, _ key: Cell) throws -> Cell {
        switch object.kind {
        case .map: return object.map.find(key)?.pointee ?? .nil
        case .list where key.isAnyInt: return object.list.buffer[try position(key, object.list.pointee.count)]
        case .list where key.kind == .range:
            let range = try positions(key, object.list.pointee.count)
            try pay(range.count / 8)
            return try heap.list(UnsafeBufferPointer(rebasing: object.list.buffer[range]))
        case .bytes where key.isAnyInt: return .int(Int(object.bytes.bytes[try position(key, object.bytes.count)]))
        case .bytes where key.kind == .range:
            let range = try positions(key, object.bytes.count)
            try pay(range.count / 64)
            let result = try heap.newBytes(count: range.count)
            result.bytes.update(from: object.bytes.bytes + range.lowerBound, count: range.count)
            return Cell(.bytes, result)
        case .string where key.isAnyInt:
            let index = try position(key, object.string.scalarCount)
            return try substring(object.string, index..<index + 1)
        case .string where key.kind == .range:
            return try substring(object.string, try positions(key, object.string.scalarCount))
        case .object:
            guard let host = heap.hosted.object(object) else { throw malformed() }
            guard let found = try host.element(heap.value(key)) else {
                throw HostFailure(.wrongOperand, "\(host.typeName) has no elements")
            }
            return try heap.cell(found)
        case .list, .bytes, .string:
            throw HostFailure(.wrongType, "an index is an int or a range, not \(heap.typeName(key))")
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .range, .regex, .closure, .boundMethod,
            .box, .hostFunction, .builtin:
            throw HostFailure(.wrongOperand, "\(heap.typeName(object)) has no elements")
        }
    }

    /// The code points of a range.
    func substring(_ text: UnsafeMutablePointer<StringBlock>, _ range: Range<Int>) throws -> Cell {
        if text.isASCII {
            try pay(range.count / 64)
            return try heap.string(UnsafeBufferPointer(start: text.bytes + range.lowerBound, count: range.count))
        }
        let address = UInt64(UInt(bitPattern: text))
        let last = heap.lastPlace
        let isBehind = last.text == address && last.scalars <= range.lowerBound
        let first = isBehind ? last.offset : 0
        let start = text.offset(after: range.lowerBound - (isBehind ? last.scalars : 0), from: first)
        let end = text.offset(after: range.count, from: start)
        try pay((end - first) / 64)
        heap.lastPlace = (address, range.lowerBound, start)
        return try heap.string(UnsafeBufferPointer(start: text.bytes + start, count: end - start))
    }

    func setElement(_ object: Cell, _ key: Cell, _ new: Cell) throws {
        switch object.kind {
        case .list where key.isAnyInt:
            let list = try changeable(object)
            let index = try position(key, list.pointee.count)
            list.pointee.items?[index] = new
        case .map:
            if object.map.pointee.header.isFrozen { throw frozen(object) }
            try checkKey(key)
            try heap.set(key, new, in: object.map)
        case .object:
            guard let host = heap.hosted.object(object) else { throw malformed() }
            guard try host.setElement(heap.value(key), to: heap.value(new)) else {
                throw HostFailure(.wrongOperand, "elements of \(host.typeName) cannot be set")
            }
        case .list: throw HostFailure(.wrongType, "an index is an int, not \(heap.typeName(key))")
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .string, .bytes, .range, .regex,
            .closure, .boundMethod, .box, .hostFunction, .builtin:
            throw HostFailure(.wrongOperand, "elements of \(heap.typeName(object)) cannot be set")
        }
    }

    private func position(_ index: Cell, _ count: Int) throws(HostFailure) -> Int {
        guard index.isInt, 0..<count ~= index.int else {
            var failure = HostFailure(
                .outOfRange, "index \(index.wide) is outside",
                notes: [count == 0 ? "there are no elements" : "there are \(count), from 0 to \(count - 1)"])
            if index.wide < 0 { failure.label = "from the end: `.count - 1`, or `.last` of a list" }
            throw failure
        }
        return index.int
    }

    private func positions(_ range: Cell, _ count: Int) throws(HostFailure) -> Range<Int> {
        let (lower, upper) = (range.range.pointee.lower, range.range.pointee.upper)
        guard lower >= 0, upper <= Int128(count) else {
            throw HostFailure(
                .outOfRange, "the range \(lower)..<\(upper) is outside", notes: ["there are \(count) elements"])
        }
        return Int(lower)..<Int(upper)
    }
}
