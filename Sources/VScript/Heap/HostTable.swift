/// The host's objects that values refer to by index; the collector takes out those that no value refers to.
final class HostTable {
    /// What an entry counts for in the heap.
    static let bytesPerObject = 64

    private enum Entry {
        case none
        case object(any HostObject)
        case regex(RegularExpression)
        case function(HostFunction)
    }

    private var entries: [Entry] = []
    private var marks: [UInt8] = []
    private var free: [Int] = []

    private func add(_ entry: Entry) -> Int {
        if let index = free.popLast() {
            entries[index] = entry
            marks[index] = 0
            return index
        }
        entries.append(entry)
        marks.append(0)
        return entries.count - 1
    }

    func add(_ object: any HostObject) -> Int { add(.object(object)) }
    func add(_ regex: RegularExpression) -> Int { add(.regex(regex)) }
    func add(_ function: HostFunction) -> Int { add(.function(function)) }

    /// The object of a cell; nil if the cell holds none.
    func object(_ cell: Cell) -> (any HostObject)? {
        if cell.kind == .object, case .object(let object) = entries[cell.index] { object } else { nil }
    }

    func regex(_ cell: Cell) -> RegularExpression? {
        if cell.kind == .regex, case .regex(let regex) = entries[cell.index] { regex } else { nil }
    }

    func function(_ cell: Cell) -> HostFunction? {
        if cell.kind == .hostFunction, case .function(let function) = entries[cell.index] { function } else { nil }
    }

    func mark(_ index: Int, _ mark: UInt8) { marks[index] = mark }

    /// Takes out what is not marked and gives how many that were.
    func sweep(_ mark: UInt8) -> Int {
        var dead: [Entry] = []
        for index in entries.indices where marks[index] != mark {
            if case .none = entries[index] { continue }
            dead.append(entries[index])
            entries[index] = .none
            free.append(index)
        }
        // Released only here: what an object does when it goes may touch the table.
        return dead.count
    }

    func removeAll() {
        let dead = entries
        entries = []
        marks = []
        free = []
        _ = dead
    }
}

/// Values that host code holds on to, each until its `KeptCell` goes.
final class KeptCells {
    fileprivate(set) var cells: [Cell] = []
    private var free: [Int] = []

    fileprivate func add(_ cell: Cell) -> Int {
        if let index = free.popLast() {
            cells[index] = cell
            return index
        }
        cells.append(cell)
        return cells.count - 1
    }

    fileprivate func remove(_ index: Int) {
        cells[index] = .nil
        free.append(index)
    }
}

/// A value of a session that host code holds on to: it is not collected as long as this object lives.
package final class KeptCell {
    let cell: Cell
    /// The heap it belongs to, which it keeps alive.
    let heap: Heap
    private let index: Int

    init(_ cell: Cell, in heap: Heap) {
        self.cell = cell
        self.heap = heap
        index = heap.kept.add(cell)
    }

    deinit { heap.kept.remove(index) }
}

/// A growing array of plain values at an address that the run loop may hold until it grows.
final class RawArray<Element> {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0
    private var capacity = 16

    init() { base = .allocate(capacity: capacity) }

    subscript(index: Int) -> Element {
        get { base[index] }
        set { base[index] = newValue }
    }

    func append(_ element: Element) {
        if count == capacity {
            let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
            larger.moveInitialize(from: base, count: count)
            base.deallocate()
            base = larger
            capacity *= 2
        }
        (base + count).initialize(to: element)
        count += 1
    }

    func deallocate() { base.deallocate() }
}
