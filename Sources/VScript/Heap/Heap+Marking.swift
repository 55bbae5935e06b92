// Marking what is reachable, and giving back what is not.

extension Heap {
    /// Marks a value; its contents are marked by `drain`.
    func mark(_ cell: Cell) {
        let kind = cell.kind
        if kind.isBlock {
            mark(cell.block.assumingMemoryBound(to: BlockHeader.self))
        } else if kind.isHosted {
            hosted.mark(cell.index, mark)
        }
    }

    private func mark(_ block: UnsafeMutablePointer<BlockHeader>) {
        guard block.pointee.mark != mark else { return }
        block.pointee.mark = mark
        switch block.pointee.kind {
        case .list, .map, .closure, .boundMethod, .box: push(block)
        case .string, .bytes, .range: break
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .object, .regex, .hostFunction, .builtin:
            break
        }
    }

    private func push(_ block: UnsafeMutablePointer<BlockHeader>) {
        if pendingCount == pendingCapacity {
            let larger = UnsafeMutablePointer<UnsafeMutablePointer<BlockHeader>>.allocate(capacity: pendingCapacity * 2)
            larger.update(from: pending, count: pendingCount)
            pending.deallocate()
            pending = larger
            pendingCapacity *= 2
        }
        pending[pendingCount] = block
        pendingCount += 1
    }

    /// Marks the contents of marked blocks until there are none left.
    func drain() {
        while pendingCount > 0 {
            pendingCount -= 1
            let raw = UnsafeMutableRawPointer(pending[pendingCount])
            switch pending[pendingCount].pointee.kind {
            case .list:
                let list = raw.assumingMemoryBound(to: ListBlock.self)
                for item in list.buffer { mark(item) }
            case .map:
                let map = raw.assumingMemoryBound(to: MapBlock.self)
                guard let cells = map.pointee.cells else { continue }
                let count = map.pointee.shape == nil ? map.pointee.used * 2 : map.pointee.used
                for index in 0..<count { mark(cells[index]) }
            case .closure:
                let closure = raw.assumingMemoryBound(to: ClosureBlock.self)
                for index in 0..<Int(closure.pointee.header.count) { mark(closure.variables[index]) }
            case .boundMethod:
                let method = raw.assumingMemoryBound(to: BoundMethodBlock.self)
                mark(method.pointee.receiver)
                mark(method.pointee.name)
            case .box: mark(raw.assumingMemoryBound(to: BoxBlock.self).pointee.value)
            case .string, .bytes, .range, .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .object,
                .regex, .hostFunction, .builtin:
                break
            }
        }
    }

    /// The bytes that a block and its buffers count for.
    static func size(of block: UnsafeMutablePointer<BlockHeader>) -> Int {
        let raw = UnsafeMutableRawPointer(block)
        let count = Int(block.pointee.count)
        var buffers = 0
        let size: Int
        switch block.pointee.kind {
        case .string: size = StringBlock.offset + count
        case .bytes: size = BytesBlock.offset + count
        case .list:
            size = MemoryLayout<ListBlock>.size
            buffers = raw.assumingMemoryBound(to: ListBlock.self).pointee.capacity * 16
        case .map:
            size = MemoryLayout<MapBlock>.size
            let map = raw.assumingMemoryBound(to: MapBlock.self)
            buffers = map.pointee.capacity * 16 + map.pointee.indexBytes
        case .range: size = MemoryLayout<RangeBlock>.size
        case .closure: size = ClosureBlock.offset + count * 16
        case .boundMethod: size = MemoryLayout<BoundMethodBlock>.size
        case .box: size = MemoryLayout<BoxBlock>.size
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .object, .regex, .hostFunction, .builtin:
            size = 0
        }
        return (size + 15) & ~15 + buffers
    }

    /// Gives a block and its buffers back.
    static func release(_ block: UnsafeMutablePointer<BlockHeader>) {
        let raw = UnsafeMutableRawPointer(block)
        if block.pointee.kind == .list {
            if let items = raw.assumingMemoryBound(to: ListBlock.self).pointee.items { CellMemory.free(items) }
        } else if block.pointee.kind == .map {
            let map = raw.assumingMemoryBound(to: MapBlock.self)
            if let cells = map.pointee.cells { CellMemory.free(cells) }
            map.pointee.index?.deallocate()
        }
        raw.deallocate()
    }
}
