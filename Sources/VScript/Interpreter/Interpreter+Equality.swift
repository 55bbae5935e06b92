// When values are the same.

extension Interpreter {
    /// Whether two values are the same: structurally, and references to objects and functions by identity.
    ///
    /// Collections may be nested as deep as memory allows and hold themselves: they are the same if no way into them
    /// leads to a difference. What is compared is paid for.
    func isEqual(_ left: Cell, _ right: Cell) throws -> Bool {
        switch try likeness(left, right) {
        case .same: return true
        case .different: return false
        case .nested: break
        }
        var pending = [ComparedPair(left, right)]
        var assumed = Assumptions(room: heap.limit)
        while let last = pending.indices.last {
            guard let (left, right) = next(&pending[last]) else {
                pending.removeLast()
                continue
            }
            guard let right else { return false }
            switch try likeness(left, right) {
            case .same: continue
            case .different: return false
            case .nested: if try assumed.isNews(left, right) { pending.append(ComparedPair(left, right)) }
            }
        }
        return true
    }

    /// What a look at two values tells without one at what they hold.
    private enum Likeness { case same, different, nested }

    private func likeness(_ left: Cell, _ right: Cell) throws -> Likeness {
        func known(_ isSame: Bool) -> Likeness { isSame ? .same : .different }
        guard left.tag == right.tag else { return known(Self.isSameNumber(left, right)) }
        switch left.kind {
        case .nil, .unset: return .same
        case .bool, .int, .unsigned, .duration, .symbol, .closure, .box, .hostFunction, .builtin:
            return known(left.bits == right.bits)
        case .float: return known(left.double == right.double)
        case .string:
            if left.bits == right.bits { return .same }
            guard left.string.count == right.string.count else { return .different }
            try pay(left.string.count / 64)
            return known(left.string.isEqual(to: right.string))
        case .bytes:
            if left.bits == right.bits { return .same }
            guard left.bytes.count == right.bytes.count else { return .different }
            try pay(left.bytes.count / 64)
            return known(equalBytes(left.bytes.bytes, right.bytes.bytes, left.bytes.count))
        case .range:
            return known(
                left.range.pointee.lower == right.range.pointee.lower
                    && left.range.pointee.upper == right.range.pointee.upper)
        case .boundMethod:
            if left.bits == right.bits { return .same }
            return left.boundMethod.pointee.name.bits == right.boundMethod.pointee.name.bits ? .nested : .different
        case .list:
            if left.bits == right.bits { return .same }
            guard left.list.pointee.count == right.list.pointee.count else { return .different }
            try pay(1 + left.list.pointee.count / 4)
            return .nested
        case .map:
            if left.bits == right.bits { return .same }
            guard left.map.pointee.live == right.map.pointee.live else { return .different }
            try pay(1 + left.map.pointee.used / 2)
            return .nested
        case .object:
            if left.bits == right.bits { return .same }
            guard let first = heap.hosted.object(left), let second = heap.hosted.object(right) else {
                return .different
            }
            return known(first.isSame(as: second))
        case .regex: return known(heap.hosted.regex(left)?.pattern == heap.hosted.regex(right)?.pattern)
        }
    }

    /// The next two values that must be the same for a pair to be; the second is nil where a map lacks the first's key.
    private func next(_ pair: inout ComparedPair) -> (left: Cell, right: Cell?)? {
        let position = pair.position
        pair.position += 1
        switch pair.left.kind {
        case .list:
            guard position < pair.left.list.pointee.count else { return nil }
            return (pair.left.list.buffer[position], pair.right.list.buffer[position])
        case .map:
            var place = position
            while place < pair.left.map.pointee.used {
                if let (key, value) = heap.entry(at: place, of: pair.left.map) {
                    pair.position = place + 1
                    return (value, pair.right.map.find(key)?.pointee)
                }
                place += 1
            }
            pair.position = place
            return nil
        case .boundMethod:
            guard position == 0 else { return nil }
            return (pair.left.boundMethod.pointee.receiver, pair.right.boundMethod.pointee.receiver)
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .string, .bytes, .range, .regex,
            .closure, .box, .object, .hostFunction, .builtin:
            return nil
        }
    }

    /// Whether an int and a float are the same number, exactly.
    private static func isSameNumber(_ left: Cell, _ right: Cell) -> Bool {
        if left.tag == Cell.tag(.float), right.isAnyInt { return Int128(exactly: left.double) == right.wide }
        if right.tag == Cell.tag(.float), left.isAnyInt { return Int128(exactly: right.double) == left.wide }
        return false
    }
}

/// Two collections of one kind and size, of which so many parts have been compared.
private struct ComparedPair {
    let left: Cell
    let right: Cell
    var position = 0

    init(_ left: Cell, _ right: Cell) {
        self.left = left
        self.right = right
    }
}

/// The collections that are taken for the same while what they hold is compared.
///
/// Collections that hold themselves would be compared without end, and those that share their parts once for each way
/// to them, so those that have been seen are not compared again. That is remembered from the 4,096th comparison on, as
/// most have few.
private struct Assumptions {
    /// How many bytes the classes may take.
    let room: Int
    private var count = 0
    /// For each collection another one of its class, by address, as in Tarjan's union-find.
    private var classes: [UInt64: UInt64] = [:]

    init(room: Int) { self.room = room }

    /// Whether two collections are not yet taken for the same, which they are from now on.
    mutating func isNews(_ left: Cell, _ right: Cell) throws(HostFailure) -> Bool {
        count += 1
        guard count > 4_096 else { return true }
        let (first, second) = (root(left.bits), root(right.bits))
        guard first != second else { return false }
        guard classes.count < room / 64 else {
            throw HostFailure(
                .heapLimit, "the comparison needs more than \(room) bytes of memory",
                notes: ["the limit is `Limits.heap`"])
        }
        classes[first] = second
        return true
    }

    private mutating func root(_ address: UInt64) -> UInt64 {
        var current = address
        while let parent = classes[current] {
            if let above = classes[parent] { classes[current] = above }
            current = parent
        }
        return current
    }
}
