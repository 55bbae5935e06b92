// The order of texts, and values that no longer change.

extension Heap {
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
