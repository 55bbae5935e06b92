/// The keys of maps that were made alike, in order: such maps hold only values, and code that reads a member finds the
/// place of its key once for all of them.
struct Shape {
    /// Names, which are interned.
    var keys: UnsafeMutablePointer<Cell>
    var count: Int
    /// The shapes with one key more.
    var first: UnsafeMutablePointer<Shape>?
    /// The next shape with the same keys but the last.
    var sibling: UnsafeMutablePointer<Shape>?

    /// The most keys of a shape; a map with more holds its keys.
    static let limit = 32
}

/// The shapes of a session; they stay until it ends.
final class ShapeTable {
    private var all: [UnsafeMutablePointer<Shape>] = []
    let empty: UnsafeMutablePointer<Shape>

    /// The most shapes; more maps of different keys hold their keys.
    private static let limit = 4_096

    init() {
        empty = Self.make(keys: .allocate(capacity: 1), count: 0)
        all.append(empty)
    }

    deinit {
        for shape in all {
            shape.pointee.keys.deallocate()
            shape.deallocate()
        }
    }

    private static func make(keys: UnsafeMutablePointer<Cell>, count: Int) -> UnsafeMutablePointer<Shape> {
        let shape = UnsafeMutablePointer<Shape>.allocate(capacity: 1)
        shape.initialize(to: Shape(keys: keys, count: count))
        return shape
    }

    /// The shape with a name added; nil if there would be too many keys or shapes.
    func adding(
        _ name: Cell, to shape: UnsafeMutablePointer<Shape>, in heap: Heap
    ) throws(HostFailure)
        -> UnsafeMutablePointer<Shape>?
    {
        var next = shape.pointee.first
        let count = shape.pointee.count
        while let child = next {
            if child.pointee.keys[count].bits == name.bits { return child }
            next = child.pointee.sibling
        }
        guard count < Shape.limit, all.count < Self.limit else { return nil }
        try heap.count(MemoryLayout<Shape>.size + (count + 1) * 16)
        let keys = UnsafeMutablePointer<Cell>.allocate(capacity: count + 1)
        keys.update(from: shape.pointee.keys, count: count)
        keys[count] = name
        let child = Self.make(keys: keys, count: count + 1)
        child.pointee.sibling = shape.pointee.first
        shape.pointee.first = child
        all.append(child)
        return child
    }
}

extension UnsafeMutablePointer<Shape> {
    /// The position of a name that is interned; -1 if the shape has it not.
    @inline(__always)
    func position(ofName name: Cell) -> Int {
        var index = 0
        while index < pointee.count {
            if pointee.keys[index].bits == name.bits { return index }
            index &+= 1
        }
        return -1
    }

    /// The position of a text; -1 if the shape has it not.
    @inline(__always)
    func position(of text: UnsafeMutablePointer<StringBlock>) -> Int {
        if text.pointee.header.isInterned { return position(ofName: Cell(.string, text)) }
        let hash = text.hash
        var index = 0
        while index < pointee.count {
            let key = pointee.keys[index].string
            if key.pointee.hash == hash, key.isEqual(to: text) { return index }
            index &+= 1
        }
        return -1
    }
}
