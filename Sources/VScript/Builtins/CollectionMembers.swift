import VScriptSyntax

/// The members of lists, maps, ranges and functions.
enum CollectionMembers {
    static let list = MemberTable<List>(
        properties: [
            Property("count", "How many items there are.", cells: { .int($1.list.pointee.count) }),
            Property("isEmpty", "Whether there are none.", cells: { .bool($1.list.pointee.count == 0) }),
            Property("first", "The first item, or nil.", cells: { $1.list.buffer.first ?? .nil }),
            Property("last", "The last item, or nil.", cells: { $1.list.buffer.last ?? .nil }),
            Property(
                "reversed", "The items, last first.",
                cells: { interpreter, cell in
                    let items = cell.list.buffer
                    try interpreter.pay(items.count / 8)
                    let result = try interpreter.heap.newList(capacity: items.count)
                    for item in items.reversed() { try interpreter.heap.append(item, to: result) }
                    return Cell(.list, result)
                }),
            Property("sum", "The items added up.", cells: { try sum($0, $1.list) }),
            Property("min", "The least item, or nil.", cells: { try extreme($0, $1, .less) }),
            Property("max", "The greatest item, or nil.", cells: { try extreme($0, $1, .greater) }),
        ],
        methods: [
            Builtin(
                "append(item)", "Adds an item at the end.",
                cells: { call in
                    try call.heap.append(call[0], to: try call.interpreter.changeable(call.receiver))
                    return .nil
                }),
            Builtin(
                "insert(item, at)", "Adds an item before a position.",
                cells: { call in
                    let list = try call.interpreter.changeable(call.receiver)
                    let count = list.pointee.count
                    let position = try call.integer(1, "at", in: 0...count)
                    try call.interpreter.pay((count - position) / 8)
                    try call.heap.append(call[0], to: list)
                    if let items = list.pointee.items {
                        (items + position + 1).update(from: items + position, count: count - position)
                        items[position] = call[0]
                    }
                    return .nil
                }),
            Builtin(
                "remove(at)", "Takes an item out and gives it back.",
                cells: { call in
                    let list = try call.interpreter.changeable(call.receiver)
                    let count = list.pointee.count
                    guard count > 0 else { throw HostFailure(.outOfRange, "the list is empty") }
                    let position = try call.integer(0, "at", in: 0...count - 1)
                    try call.interpreter.pay((count - position) / 8)
                    let item = list.buffer[position]
                    if let items = list.pointee.items {
                        (items + position).update(from: items + position + 1, count: count - position - 1)
                    }
                    list.pointee.count = count - 1
                    return item
                }),
            Builtin(
                "pop()", "Takes the last item out and gives it back, or nil.",
                cells: { call in
                    let list = try call.interpreter.changeable(call.receiver)
                    guard let item = list.buffer.last else { return .nil }
                    list.pointee.count -= 1
                    return item
                }),
            Builtin(
                "clear()", "Takes all items out.",
                cells: { call in
                    try call.interpreter.changeable(call.receiver).pointee.count = 0
                    return .nil
                }),
            Builtin(
                "contains(item)", "Whether an item is there.",
                cells: { .bool(try index($0) != nil) }),
            Builtin(
                "indexOf(item)", "Where an item first is, or nil.",
                cells: { try index($0).map { .int($0) } ?? .nil }),
            Builtin(
                "map(function)", "What a function makes of each item.",
                cells: { call in try collect(call) { item in try call.interpreter.call(call[0], [item]) } }),
            Builtin(
                "filter(function)", "The items for which a function is true.",
                cells: { call in try collect(call) { item in try holds(call, item) ? item : nil } }),
            Builtin(
                "each(function)", "Calls a function with each item.",
                cells: { call in
                    try forEach(call) { item in
                        _ = try call.interpreter.call(call[0], [item])
                        return true
                    }
                    return .nil
                }),
            Builtin(
                "any(function)", "Whether a function is true for one item.",
                cells: { call in
                    var found = false
                    try forEach(call) { item in
                        found = try holds(call, item)
                        return !found
                    }
                    return .bool(found)
                }),
            Builtin(
                "all(function)", "Whether a function is true for every item.",
                cells: { call in
                    var holdsForAll = true
                    try forEach(call) { item in
                        holdsForAll = try holds(call, item)
                        return holdsForAll
                    }
                    return .bool(holdsForAll)
                }),
            Builtin(
                "reduce(start, function)", "Combines the items, from the first to the last.",
                cells: { call in
                    // The result so far lies in the register of the start.
                    let function = try call.function(1, "function")
                    try forEach(call, function: 1) { item in
                        call.base[1] = try call.interpreter.call(function, [call[0], item])
                        return true
                    }
                    return call[0]
                }),
            Builtin(
                "sorted(by?)", "The items in ascending order, or in that of what a function makes of them.",
                cells: { try sorted($0) }),
            Builtin(
                "join(separator?)", "The items as one text.",
                cells: { call in
                    let separator = call[0].isUnset || call[0].isNil ? nil : call[0]
                    if let separator, !separator.isString { throw call.wrongType(0, "separator", "a string") }
                    guard let separator, separator.string.count > 0 else {
                        return try call.interpreter.text(call.receiver.list.buffer)
                    }
                    var pieces: [Cell] = []
                    try call.interpreter.pay(call.receiver.list.pointee.count / 8)
                    for item in call.receiver.list.buffer {
                        if !pieces.isEmpty { pieces.append(separator) }
                        pieces.append(item)
                    }
                    return try pieces.withUnsafeBufferPointer { try call.interpreter.text($0) }
                }),
        ])

    static let map = MemberTable<Map>(
        properties: [
            Property("count", "How many entries there are.", cells: { .int($1.map.pointee.live) }),
            Property("isEmpty", "Whether there are none.", cells: { .bool($1.map.pointee.live == 0) }),
            Property("keys", "The keys in order.", cells: { try entries($0, $1) { $0.key } }),
            Property("values", "The values in order.", cells: { try entries($0, $1) { $0.value } }),
        ],
        methods: [
            Builtin(
                "get(key, otherwise?)", "The value of a key, or another value without it.",
                cells: { call in
                    call.receiver.map.find(call[0])?.pointee ?? (call[1].isUnset ? .nil : call[1])
                }),
            Builtin(
                "has(key)", "Whether there is an entry with a key.",
                cells: { .bool($0.receiver.map.find($0[0]) != nil) }),
            Builtin(
                "remove(key)", "Takes an entry out and gives its value, or nil.",
                cells: { call in
                    let map = call.receiver.map
                    if map.pointee.header.isFrozen { throw call.interpreter.frozen(call.receiver) }
                    if map.pointee.shape != nil { try call.interpreter.pay(map.pointee.live) }
                    return try call.heap.remove(call[0], from: map) ?? .nil
                }),
        ])

    static let range = MemberTable<Range<Int128>>(
        properties: [
            Property(
                "count", "How many numbers it has.",
                cells: { try Arithmetic.checked($1.range.pointee.upper - $1.range.pointee.lower, "the range's count") }),
            Property("isEmpty", "Whether it has none.") { .bool($0.isEmpty) },
            Property("first", "The first number, or nil.") { $0.isEmpty ? .nil : .int($0.lowerBound) },
            Property("last", "The last number, or nil.") { $0.isEmpty ? .nil : .int($0.upperBound - 1) },
        ],
        methods: [
            Builtin("contains(number)", "Whether a number lies in it.") { .bool($0.contains(try $1.integer(0))) },
            Builtin(
                "map(function)", "What a function makes of each number, as a list.",
                cells: { call in
                    let function = try call.function(0, "function")
                    return try numbers(call) { try call.interpreter.call(function, [$0]) }
                }),
            Builtin("list()", "The numbers as a list.", cells: { call in try numbers(call) { $0 } }),
        ])

    static let function = MemberTable<String>(
        properties: [Property("name", "The name it was declared with.") { .string(String($0.dropFirst(3))) }])

    // MARK: - Lists

    private static func sum(_ interpreter: Interpreter, _ list: UnsafeMutablePointer<ListBlock>) throws -> Cell {
        try interpreter.pay(list.pointee.count / 8)
        guard var total = list.buffer.first else { return .int(0) }
        let heap = interpreter.heap
        heap.temporaries.append(total)
        defer { heap.temporaries.removeLast() }
        for index in 1..<max(list.pointee.count, 1) {
            let item = list.buffer[index]
            let (sum, overflow) = total.int.addingReportingOverflow(item.int)
            if total.isInt, item.isInt, !overflow {
                total = .int(sum)
            } else {
                total = try interpreter.binary(.add, total, item)
                heap.temporaries[heap.temporaries.count - 1] = total
            }
        }
        return total
    }

    /// The item of a list that comes first in an order.
    static func extreme(_ interpreter: Interpreter, _ cell: Cell, _ order: BinaryOperator) throws -> Cell {
        guard cell.kind == .list, var best = cell.list.buffer.first else { return .nil }
        try interpreter.pay(cell.list.pointee.count)
        for item in cell.list.buffer.dropFirst() where try interpreter.compare(order, item, best) { best = item }
        return best
    }

    private static func index(_ call: CellCall) throws -> Int? {
        try call.interpreter.pay(call.receiver.list.pointee.count)
        return try call.receiver.list.buffer.firstIndex { try call.interpreter.isEqual($0, call[0]) }
    }

    private static func holds(_ call: CellCall, _ item: Cell) throws -> Bool {
        let result = try call.interpreter.call(call[0], [item])
        guard result.kind == .bool else {
            throw HostFailure(
                .notBool, "the function must give `true` or `false`, not \(call.heap.typeName(result))", argument: 0)
        }
        return result.bool
    }

    /// Gives the items of the receiver as they are now to a body, until that is false.
    private static func forEach(_ call: CellCall, function: Int = 0, _ body: (Cell) throws -> Bool) throws {
        _ = try call.function(function, "function")
        try call.interpreter.pay(call.receiver.list.pointee.count / 8)
        let items = try call.heap.list(call.receiver.list.buffer)
        call.heap.temporaries.append(items)
        defer { call.heap.temporaries.removeLast() }
        for item in items.list.buffer {
            guard try body(item) else { return }
        }
    }

    /// A new list of what a body makes of the items, without those it makes nothing of.
    private static func collect(_ call: CellCall, _ body: (Cell) throws -> Cell?) throws -> Cell {
        let result = try call.heap.newList(capacity: 0)
        call.heap.temporaries.append(Cell(.list, result))
        defer { call.heap.temporaries.removeLast() }
        try forEach(call) { item in
            if let made = try body(item) { try call.heap.append(made, to: result) }
            return true
        }
        return Cell(.list, result)
    }

    private static func sorted(_ call: CellCall) throws -> Cell {
        let interpreter = call.interpreter
        let items = Array(call.receiver.list.buffer)
        // Comparisons pay for the texts they look at; here for their number.
        try interpreter.pay(items.count * max(Int.bitWidth - items.count.leadingZeroBitCount, 1) / 4)
        guard !call[0].isUnset, !call[0].isNil else {
            let list = try call.heap.list(items.sorted(by: interpreter.isLess))
            return list
        }
        let function = try call.function(0, "by")
        if function.kind == .closure {
            let index = Int(function.closure.pointee.function.pointee.index)
            let parameters = interpreter.functions[index].code.signature.parameters
            guard parameters.filter({ $0.kind == .required }).count < 2 else {
                throw HostFailure(
                    .wrongArguments, "`by` is given one item, and gives what it is ordered by",
                    notes: ["`sorted(fn(x) { -x })` puts the greatest number first"], argument: 0)
            }
        }
        let keys = try call.heap.newList(capacity: items.count)
        call.heap.temporaries.append(Cell(.list, keys))
        call.heap.temporaries.append(try call.heap.list(items))
        defer { call.heap.temporaries.removeLast(2) }
        for item in items { try call.heap.append(try interpreter.call(function, [item]), to: keys) }
        let order = try keys.buffer.indices.sorted { try interpreter.isLess(keys.buffer[$0], keys.buffer[$1]) }
        return try call.heap.list(order.map { items[$0] })
    }

    // MARK: - Maps and ranges

    private static func entries(
        _ interpreter: Interpreter, _ cell: Cell, _ part: ((key: Cell, value: Cell)) -> Cell
    ) throws -> Cell {
        try interpreter.pay(cell.map.pointee.used / 4)
        let result = try interpreter.heap.newList(capacity: cell.map.pointee.live)
        for position in 0..<cell.map.pointee.used {
            guard let entry = interpreter.heap.entry(at: position, of: cell.map) else { continue }
            try interpreter.heap.append(part(entry), to: result)
        }
        return Cell(.list, result)
    }

    /// A list of what a body makes of a range's numbers.
    private static func numbers(_ call: CellCall, _ body: (Cell) throws -> Cell) throws -> Cell {
        let (lower, upper) = (call.receiver.range.pointee.lower, call.receiver.range.pointee.upper)
        guard upper - lower <= 1 << 24 else {
            throw HostFailure(.outOfRange, "the range has more than 16 Mi numbers")
        }
        let count = Int(upper - lower)
        try call.interpreter.pay(count / 8)
        let result = try call.heap.newList(capacity: count)
        call.heap.temporaries.append(Cell(.list, result))
        defer { call.heap.temporaries.removeLast() }
        for offset in 0..<count {
            try call.heap.append(try body(.int(lower + Int128(offset))), to: result)
        }
        return Cell(.list, result)
    }
}

extension Heap {
    /// A list of cells, which are rooted elsewhere.
    func list(_ items: [Cell]) throws(HostFailure) -> Cell {
        try items.withUnsafeBufferPointer { buffer throws(HostFailure) in try list(buffer) }
    }
}

extension CellCall {
    /// An argument that has to be an int inside a range, which the message tells.
    func integer(_ index: Int, _ name: String, in range: ClosedRange<Int>) throws(HostFailure) -> Int {
        guard self[index].isAnyInt else { throw wrongType(index, name, "an int") }
        guard self[index].isInt, range.contains(self[index].int) else {
            throw HostFailure(
                .outOfRange,
                "`\(name)` must be in \(range.lowerBound)...\(range.upperBound), not \(self[index].wide)",
                argument: index)
        }
        return self[index].int
    }

    /// An argument that has to be a function.
    func function(_ index: Int, _ name: String) throws(HostFailure) -> Cell {
        switch self[index].kind {
        case .closure, .boundMethod, .hostFunction, .builtin: return self[index]
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .string, .bytes, .list, .map, .range,
            .box, .object, .regex:
            throw wrongType(index, name, "a function")
        }
    }

    /// An argument that has to be a text.
    func string(_ index: Int, _ name: String) throws(HostFailure) -> UnsafeMutablePointer<StringBlock> {
        guard self[index].isString else { throw wrongType(index, name, "a string") }
        return self[index].string
    }

    /// A failure that says what a parameter takes.
    func wrongType(_ index: Int, _ name: String, _ expected: String) -> HostFailure {
        HostFailure(
            .wrongType, "`\(name)` must be \(expected), not \(heap.typeName(self[index]))", argument: index)
    }
}
