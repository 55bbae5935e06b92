// Maps: insertion order, keys by value.

// Lookups do not belong to the heap: the run loop calls them, and a method of a class would look its type up first.

extension Cell {
    /// Whether a value can be a key: collections, functions and objects cannot.
    var canBeKey: Bool {
        switch kind {
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .string, .bytes: true
        case .unset, .list, .map, .range, .closure, .boundMethod, .box, .object, .regex, .hostFunction, .builtin: false
        }
    }

    /// A float that is a whole number counts as the int.
    fileprivate var asKey: Cell {
        guard tag == Cell.tag(.float), let whole = Int128(exactly: double), Value.integers.contains(whole) else {
            return self
        }
        return .int(whole)
    }

    fileprivate var keyHash: UInt32 {
        switch kind {
        case .string: string.hash
        case .bytes: Hash.bytes(bytes.bytes, bytes.count)
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .list, .map, .range, .closure,
            .boundMethod, .box, .object, .regex, .hostFunction, .builtin:
            Hash.number(bits, tag)
        }
    }

    @inline(__always)
    fileprivate func isSameKey(as other: Cell) -> Bool {
        guard tag == other.tag else { return false }
        if bits == other.bits { return true }
        if tag == Cell.tag(.string) {
            return string.hash == other.string.hash && string.isEqual(to: other.string)
        }
        guard tag == Cell.tag(.bytes), bytes.count == other.bytes.count else { return false }
        return equalBytes(bytes.bytes, other.bytes.bytes, bytes.count)
    }
}

extension UnsafeMutablePointer<MapBlock> {
    /// The value of a key, or nil.
    @inline(never)
    func value(of key: Cell) -> Cell { find(key)?.pointee ?? .nil }

    /// Replaces the value of a key that is there, or adds an entry that there is room for; false if neither is so, the
    /// key can be none, or the map must not change.
    @inline(never)
    func store(_ key: Cell, _ value: Cell) -> Bool {
        guard !pointee.header.isFrozen, let cells = pointee.cells else { return false }
        guard pointee.shape == nil, let index = pointee.index, key.canBeKey else {
            guard let place = find(key) else { return false }
            place.pointee = value
            return true
        }
        let key = key.asKey
        let mask = pointee.mask
        let hash = key.keyHash
        var place = hash & mask
        while true {
            let word = index[Int(place)]
            if word == 0 { break }
            if (word ^ hash) & ~mask == 0 {
                let entry = Int(word & mask) &- 1
                if cells[entry &* 2].isSameKey(as: key) {
                    cells[entry &* 2 &+ 1] = value
                    return true
                }
            }
            place = (place &+ Hash.step) & mask
        }
        let entry = pointee.used
        guard entry &* 2 &+ 2 <= pointee.capacity, entry < pointee.indexRoom else { return false }
        cells[entry &* 2] = key
        cells[entry &* 2 &+ 1] = value
        pointee.used = entry &+ 1
        pointee.live &+= 1
        index[Int(place)] = hash & ~mask | UInt32(truncatingIfNeeded: entry &+ 1)
        return true
    }

    /// Where the value of a key is; nil if there is none.
    @inline(__always)
    func find(_ key: Cell) -> UnsafeMutablePointer<Cell>? {
        guard let cells = pointee.cells else { return nil }
        if let shape = pointee.shape {
            guard key.tag == Cell.tag(.string) else { return nil }
            let position = shape.position(of: key.string)
            return position < 0 ? nil : cells + position
        }
        let entry = entry(of: key.asKey, cells)
        return entry < 0 ? nil : cells + (entry &* 2 &+ 1)
    }

    /// The position of a key's entry in a map that holds its keys; -1 if there is none.
    @inline(__always)
    fileprivate func entry(of key: Cell, _ cells: UnsafeMutablePointer<Cell>) -> Int {
        guard let index = pointee.index else {
            var entry = 0
            while entry < pointee.used {
                if cells[entry &* 2].isSameKey(as: key) { return entry }
                entry &+= 1
            }
            return -1
        }
        let mask = pointee.mask
        let hash = key.keyHash
        var place = hash & mask
        while true {
            let word = index[Int(place)]
            if word == 0 { return -1 }
            if (word ^ hash) & ~mask == 0 {
                let entry = Int(word & mask) &- 1
                if cells[entry &* 2].isSameKey(as: key) { return entry }
            }
            place = (place &+ Hash.step) & mask
        }
    }

    /// Enters the key of an entry that the index has room for.
    @inline(__always)
    fileprivate func enter(_ key: Cell, _ entry: Int, in index: UnsafeMutablePointer<UInt32>) {
        let mask = pointee.mask
        let hash = key.keyHash
        var place = hash & mask
        while index[Int(place)] != 0 { place = (place &+ Hash.step) & mask }
        index[Int(place)] = hash & ~mask | UInt32(truncatingIfNeeded: entry &+ 1)
    }
}

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

    /// Adds or replaces an entry; key, value and map are rooted, and the key can be one.
    func set(_ key: Cell, _ value: Cell, in map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) {
        if let place = map.find(key) {
            place.pointee = value
            return
        }
        if map.pointee.shape != nil {
            if map.pointee.used == 0, map.pointee.capacity == 0 { map.pointee.shape = nil } else { try spell(map) }
        }
        try add(key.asKey, value, to: map)
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
        map.pointee.cells = try enlarge(map.pointee.cells, map.pointee.capacity, to: count)
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
        if count > 8 { try makeIndex(map) }
    }

    private func add(_ key: Cell, _ value: Cell, to map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) {
        if map.pointee.used * 2 + 2 > map.pointee.capacity {
            if map.pointee.live < map.pointee.used / 2 {
                compact(map)
            } else {
                guard map.pointee.used < 1 << 30 else { throw HostFailure(.heapLimit, "the map is too large") }
                try resize(map, cells: max(8, map.pointee.capacity * 2))
            }
        }
        if map.pointee.used >= (map.pointee.index == nil ? 8 : map.pointee.indexRoom) { try makeIndex(map) }
        let entry = map.pointee.used
        let cells = map.pointee.cells.unsafelyUnwrapped
        cells[entry * 2] = key
        cells[entry * 2 + 1] = value
        map.pointee.used += 1
        map.pointee.live += 1
        if let index = map.pointee.index { map.enter(key, entry, in: index) }
    }

    /// Makes an index with room for another entry.
    private func makeIndex(_ map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) {
        var size = 16
        while size / 8 * 5 <= map.pointee.used { size *= 2 }
        try count(size * MemoryLayout<UInt32>.stride)
        uncount(map.pointee.indexBytes)
        map.pointee.index?.deallocate()
        map.pointee.index = .allocate(capacity: size)
        map.pointee.mask = UInt32(truncatingIfNeeded: size - 1)
        fillIndex(map)
    }

    /// Enters every key into the index.
    private func fillIndex(_ map: UnsafeMutablePointer<MapBlock>) {
        guard let index = map.pointee.index, let cells = map.pointee.cells else { return }
        index.initialize(repeating: 0, count: Int(map.pointee.mask) + 1)
        for entry in 0..<map.pointee.used where !cells[entry * 2].isUnset {
            map.enter(cells[entry * 2], entry, in: index)
        }
    }

    /// Closes the gaps that removed entries have left.
    private func compact(_ map: UnsafeMutablePointer<MapBlock>) {
        guard let cells = map.pointee.cells else { return }
        var target = 0
        for entry in 0..<map.pointee.used where !cells[entry * 2].isUnset {
            cells[target * 2] = cells[entry * 2]
            cells[target * 2 + 1] = cells[entry * 2 + 1]
            target += 1
        }
        map.pointee.used = target
        fillIndex(map)
    }

    /// Takes an entry out and gives its value; nil if there is none.
    func remove(_ key: Cell, from map: UnsafeMutablePointer<MapBlock>) throws(HostFailure) -> Cell? {
        guard map.find(key) != nil else { return nil }
        try spell(map)
        let cells = map.pointee.cells.unsafelyUnwrapped
        let entry = map.entry(of: key.asKey, cells)
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
