// When values are the same, and their order.

extension Heap {
    /// Whether two values are the same: structurally, and references to objects and functions by identity.
    ///
    /// Collections nested more than 200 deep, or with more than 64 Mi items to compare, count as different.
    func isEqual(_ left: Cell, _ right: Cell) -> Bool {
        var steps = 1 << 26
        return isEqual(left, right, depth: 0, steps: &steps)
    }

    private func isEqual(_ left: Cell, _ right: Cell, depth: Int, steps: inout Int) -> Bool {
        steps -= 1
        guard depth < 200, steps > 0 else { return false }
        guard left.tag == right.tag else { return Self.isSameNumber(left, right) }
        switch left.kind {
        case .nil, .unset: return true
        case .bool, .int, .unsigned, .duration, .symbol, .closure, .box, .hostFunction, .builtin:
            return left.bits == right.bits
        case .float: return left.double == right.double
        case .string: return left.string.isEqual(to: right.string)
        case .bytes:
            return left.bytes.count == right.bytes.count
                && equalBytes(left.bytes.bytes, right.bytes.bytes, left.bytes.count)
        case .range:
            return left.range.pointee.lower == right.range.pointee.lower
                && left.range.pointee.upper == right.range.pointee.upper
        case .boundMethod:
            return left.bits == right.bits
                || left.boundMethod.pointee.name.bits == right.boundMethod.pointee.name.bits
                    && isEqual(
                        left.boundMethod.pointee.receiver, right.boundMethod.pointee.receiver, depth: depth + 1,
                        steps: &steps)
        case .list:
            if left.bits == right.bits { return true }
            guard left.list.pointee.count == right.list.pointee.count else { return false }
            for (left, right) in zip(left.list.buffer, right.list.buffer) {
                guard isEqual(left, right, depth: depth + 1, steps: &steps) else { return false }
            }
            return true
        case .map: return isEqual(left.map, right.map, depth: depth, steps: &steps)
        case .object:
            guard left.bits != right.bits else { return true }
            guard let first = hosted.object(left), let second = hosted.object(right)
            else { return false }
            return first.isSame(as: second)
        case .regex:
            return hosted.regex(left)?.pattern
                == hosted.regex(right)?.pattern
        }
    }

    private func isEqual(
        _ left: UnsafeMutablePointer<MapBlock>, _ right: UnsafeMutablePointer<MapBlock>, depth: Int, steps: inout Int
    ) -> Bool {
        if left == right { return true }
        guard left.pointee.live == right.pointee.live else { return false }
        for position in 0..<left.pointee.used {
            guard let (key, value) = entry(at: position, of: left) else { continue }
            guard let other = right.find(key),
                isEqual(value, other.pointee, depth: depth + 1, steps: &steps)
            else { return false }
        }
        return true
    }

    /// Whether an int and a float are the same number, exactly.
    private static func isSameNumber(_ left: Cell, _ right: Cell) -> Bool {
        if left.tag == Cell.tag(.float), right.isAnyInt { return Int128(exactly: left.double) == right.wide }
        if right.tag == Cell.tag(.float), left.isAnyInt { return Int128(exactly: right.double) == left.wide }
        return false
    }

    /// The order of two texts: that of their code points, which is that of their bytes.
    static func isLess(_ left: UnsafeMutablePointer<StringBlock>, _ right: UnsafeMutablePointer<StringBlock>) -> Bool {
        let count = min(left.count, right.count)
        var index = 0
        while index < count {
            let (first, second) = (left.bytes[index], right.bytes[index])
            if first != second { return first < second }
            index += 1
        }
        return left.count < right.count
    }

    /// Makes a value's collections unchangeable, and the variables that its functions share, as a module's are once it
    /// has loaded.
    func freeze(_ cell: Cell) {
        var pending = [cell]
        while let next = pending.popLast() {
            switch next.kind {
            case .list, .map, .closure, .boundMethod, .box: break
            case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .string, .bytes, .range, .object,
                .regex, .hostFunction, .builtin:
                continue
            }
            let header = next.block.assumingMemoryBound(to: BlockHeader.self)
            guard !header.pointee.isFrozen else { continue }
            header.pointee.isFrozen = true
            switch next.kind {
            case .list: pending += next.list.buffer
            case .map:
                for position in 0..<next.map.pointee.used {
                    if let entry = entry(at: position, of: next.map) { pending.append(entry.value) }
                }
            case .box: pending.append(next.box.pointee.value)
            case .closure:
                for index in 0..<Int(header.pointee.count) { pending.append(next.closure.variables[index]) }
            case .boundMethod: pending.append(next.boundMethod.pointee.receiver)
            case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .string, .bytes, .range, .object,
                .regex, .hostFunction, .builtin:
                break
            }
        }
    }
}
