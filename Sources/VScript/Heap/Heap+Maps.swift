// Maps: insertion order, keys by value.

extension Heap {
    /// An empty map.
    func newMap() throws(HostFailure) -> UnsafeMutablePointer<MapBlock> { try newMap(shapes.empty, capacity: 0) }

    /// A map of a shape with room for its values, which the caller writes.
    func newMap(
        _ shape: UnsafeMutablePointer<Shape>, capacity: Int
    ) throws(HostFailure) -> UnsafeMutablePointer<MapBlock> {
        let cells = capacity > 0 ? try allocateCells(capacity) : nil
        do throws(HostFailure) {
            let block = try allocate(.map, bytes: MemoryLayout<MapBlock>.size).assumingMemoryBound(to: MapBlock.self)
            block.pointee.shape = shape
            block.pointee.cells = cells
            block.pointee.capacity = capacity
            block.pointee.used = 0
            block.pointee.live = 0
            block.pointee.index = nil
            block.pointee.mask = 0
            return block
        } catch {
            free(cells, capacity)
            throw error
        }
    }

    /// Whether a value can be a key: collections, functions and objects cannot.
    static func canBeKey(_ cell: Cell) -> Bool {
        switch cell.kind {
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .string, .bytes: true
        case .unset, .list, .map, .range, .closure, .boundMethod, .box, .object, .regex, .hostFunction, .builtin: false
        }
    }

    /// A float that is a whole number counts as the int.
    private static func canonical(_ key: Cell) -> Cell {
        guard key.tag == Cell.tag(.float), let whole = Int128(exactly: key.double), Value.integers.contains(whole)
        else {
            return key
        }
        return .int(whole)
    }

    private static func hash(_ key: Cell) -> UInt32 {
        switch key.kind {
        case .string: key.string.hash
        case .bytes: Hash.bytes(key.bytes.bytes, key.bytes.count)
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .list, .map, .range, .closure,
            .boundMethod, .box, .object, .regex, .hostFunction, .builtin:
            Hash.number(key.bits, key.tag)
        }
    }

    @inline(__always)
    private static func isSameKey(_ left: Cell, _ right: Cell) -> Bool {
        guard left.tag == right.tag else { return false }
        if left.bits == right.bits { return true }
        if left.tag == Cell.tag(.string) {
            return left.string.hash == right.string.hash && left.string.isEqual(to: right.string)
        }
        guard left.tag == Cell.tag(.bytes), left.bytes.count == right.bytes.count else { return false }
        return equalBytes(left.bytes.bytes, right.bytes.bytes, left.bytes.count)
    }

    /// The value of a key, or nil.
    @inline(never)
    static func value(of key: Cell, in map: UnsafeMutablePointer<MapBlock>) -> Cell {
        find(key, in: map)?.pointee ?? .nil
    }

    /// Replaces the value of a key that is there; false if it is not, or if the map must not change.
    @inline(never)
    static func replace(_ key: Cell, _ value: Cell, in map: UnsafeMutablePointer<MapBlock>) -> Bool {
        guard !map.pointee.header.isFrozen, let place = find(key, in: map) else { return false }
        place.pointee = value
        return true
    }

    /// Where the value of a key is; nil if there is none.
    func find(_ key: Cell, in map: UnsafeMutablePointer<MapBlock>) -> UnsafeMutablePointer<Cell>? {
        Self.find(key, in: map)
    }

    @inline(__always)
    private static func find(_ key: Cell, in map: UnsafeMutablePointer<MapBlock>) -> UnsafeMutablePointer<Cell>? {
        guard let cells = map.pointee.cells else { return nil }
        if let shape = map.pointee.shape {
            guard key.tag == Cell.tag(.string) else { return nil }
            let position = shape.position(of: key.string)
            return position < 0 ? nil : cells + position
        }
        let entry = entry(canonical(key), in: map, cells)
        return entry < 0 ? nil : cells + (entry &* 2 &+ 1)
    }

    /// The position of a key's entry in a map that holds its keys; -1 if there is none.
    private static func entry(
        _ key: Cell, in map: UnsafeMutablePointer<MapBlock>, _ cells: UnsafeMutablePointer<Cell>
    ) -> Int {
        guard let index = map.pointee.index else {
            var entry = 0
            while entry < map.pointee.used {
                if isSameKey(cells[entry &* 2], key) { return entry }
                entry &+= 1
            }
            return -1
        }
        let mask = map.pointee.mask
        let hash = hash(key)
        var place = Int(hash) & mask
        while true {
            let word = index[place]
            if word == 0 { return -1 }
            if UInt32(truncatingIfNeeded: word >> 32) == hash {
                let entry = Int(UInt32(truncatingIfNeeded: word)) &- 1
                if isSameKey(cells[entry &* 2], key) { return entry }
            }
            place = (place &+ Hash.step) & mask
        }
    }

    /// Adds or replaces an entry; key, value and map are rooted, and the key can be one.
    func set(_ key: Cell, _ value: Cell, in map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) {
        if let place = find(key, in: map) {
            place.pointee = value
            return
        }
        if map.pointee.shape != nil {
            if map.pointee.used == 0, map.pointee.capacity == 0 { map.pointee.shape = nil } else { try spell(map) }
        }
        try add(Self.canonical(key), value, to: map)
    }

    /// Adds or replaces a member, whose name is interned: maps that get the same members in the same order share
    /// their shape.
    func setMember(_ name: Cell, _ value: Cell, in map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) {
        guard let shape = map.pointee.shape else { return try set(name, value, in: map) }
        let position = shape.position(ofName: name)
        if position >= 0, let cells = map.pointee.cells {
            cells[position] = value
            return
        }
        guard let larger = try shapes.adding(name, to: shape, in: self) else { return try set(name, value, in: map) }
        let count = map.pointee.used
        if count == map.pointee.capacity { try resize(map, cells: max(4, count * 2)) }
        map.pointee.cells.unsafelyUnwrapped[count] = value
        map.pointee.used = count + 1
        map.pointee.live = count + 1
        map.pointee.shape = larger
    }

    private func resize(_ map: UnsafeMutablePointer<MapBlock>, cells count: Int) throws(HostFailure) {
        let cells = try allocateCells(count)
        let old = map.pointee.shape == nil ? map.pointee.used * 2 : map.pointee.used
        if let start = map.pointee.cells {
            cells.update(from: start, count: old)
            free(start, map.pointee.capacity)
        }
        map.pointee.cells = cells
        map.pointee.capacity = count
    }

    /// Makes a map that has a shape hold its keys.
    private func spell(_ map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) {
        guard let shape = map.pointee.shape else { return }
        let count = map.pointee.used
        let capacity = max(8, count * 4)
        let cells = try allocateCells(capacity)
        for position in 0..<count {
            cells[position * 2] = shape.pointee.keys[position]
            cells[position * 2 + 1] = map.pointee.cells.unsafelyUnwrapped[position]
        }
        free(map.pointee.cells, map.pointee.capacity)
        map.pointee.cells = cells
        map.pointee.capacity = capacity
        map.pointee.shape = nil
        if count > 8 { try rebuildIndex(map) }
    }

    private func add(_ key: Cell, _ value: Cell, to map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) {
        if map.pointee.used * 2 + 2 > map.pointee.capacity {
            if map.pointee.live < map.pointee.used / 2 {
                compact(map)
            } else {
                guard map.pointee.used < 1 << 30 else { throw HostFailure(.heapLimit, "the map is too large") }
                try resize(map, cells: max(8, map.pointee.capacity * 2))
            }
            if map.pointee.used >= 8 { try rebuildIndex(map) }
        }
        let entry = map.pointee.used
        let cells = map.pointee.cells.unsafelyUnwrapped
        cells[entry * 2] = key
        cells[entry * 2 + 1] = value
        map.pointee.used += 1
        map.pointee.live += 1
        if let index = map.pointee.index { Self.enter(key, entry, index, map.pointee.mask) }
    }

    private static func enter(_ key: Cell, _ entry: Int, _ index: UnsafeMutablePointer<UInt64>, _ mask: Int) {
        let hash = hash(key)
        var place = Int(hash) & mask
        while index[place] != 0 { place = (place &+ Hash.step) & mask }
        index[place] = UInt64(hash) << 32 | UInt64(truncatingIfNeeded: entry + 1)
    }

    /// Makes the index anew, for as many entries as there is room for.
    private func rebuildIndex(_ map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) {
        var size = 16
        while size < map.pointee.capacity { size *= 2 }
        if map.pointee.index == nil || map.pointee.mask + 1 != size {
            try count(size * 8)
            if let old = map.pointee.index {
                uncount((map.pointee.mask + 1) * 8)
                old.deallocate()
            }
            map.pointee.index = .allocate(capacity: size)
            map.pointee.mask = size - 1
        }
        let index = map.pointee.index.unsafelyUnwrapped
        index.initialize(repeating: 0, count: size)
        let cells = map.pointee.cells.unsafelyUnwrapped
        for entry in 0..<map.pointee.used where !cells[entry * 2].isUnset {
            Self.enter(cells[entry * 2], entry, index, size - 1)
        }
    }

    /// Closes the gaps that removed entries have left; the index no longer fits.
    private func compact(_ map: UnsafeMutablePointer<MapBlock>) {
        guard let cells = map.pointee.cells else { return }
        var target = 0
        for entry in 0..<map.pointee.used where !cells[entry * 2].isUnset {
            cells[target * 2] = cells[entry * 2]
            cells[target * 2 + 1] = cells[entry * 2 + 1]
            target += 1
        }
        map.pointee.used = target
        if let index = map.pointee.index {
            index.initialize(repeating: 0, count: map.pointee.mask + 1)
            for entry in 0..<target { Self.enter(cells[entry * 2], entry, index, map.pointee.mask) }
        }
    }

    /// Takes an entry out and gives its value; nil if there is none.
    func remove(_ key: Cell, from map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) -> Cell? {
        guard find(key, in: map) != nil else { return nil }
        try spell(map)
        let cells = map.pointee.cells.unsafelyUnwrapped
        let entry = Self.entry(Self.canonical(key), in: map, cells)
        guard entry >= 0 else { return nil }
        let old = cells[entry * 2 + 1]
        cells[entry * 2] = .unset
        cells[entry * 2 + 1] = .nil
        map.pointee.live -= 1
        return old
    }

    /// The entry at a position, nil if it was removed; positions go up to `used`.
    func entry(at position: Int, of map: UnsafeMutablePointer<MapBlock>) -> (key: Cell, value: Cell)? {
        guard let cells = map.pointee.cells else { return nil }
        if let shape = map.pointee.shape { return (shape.pointee.keys[position], cells[position]) }
        let key = cells[position * 2]
        return key.isUnset ? nil : (key, cells[position * 2 + 1])
    }
}
