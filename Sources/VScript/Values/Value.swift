/// A value that belongs to no session: a tree that can be kept, sent and stored.
///
/// Lists and maps are copied; functions and host objects are handles that name them.
public enum Value: Sendable, Hashable, Codable {
    /// No value.
    case `nil`
    /// True or false.
    case bool(Bool)
    /// A whole number from -2⁶³ to 2⁶⁴ - 1.
    case int(Int128)
    /// A floating-point number.
    case float(Double)
    /// A time in nanoseconds.
    case duration(nanoseconds: Int64)
    /// A text.
    case string(String)
    /// A name for a choice, without its dot.
    case symbol(String)
    /// Bytes.
    case bytes([UInt8])
    /// Whole numbers, without the upper bound.
    case range(Range<Int128>)
    /// Values in order.
    case list([Value])
    /// Entries in order; keys are not collections.
    case map([Entry])
    /// A function, a regular expression or an object of the session, by what `print` writes for it.
    case handle(String)

    /// A key of a map with its value.
    public struct Entry: Sendable, Hashable, Codable {
        /// The key.
        public var key: Value
        /// The value.
        public var value: Value

        /// A key with its value.
        public init(_ key: Value, _ value: Value) {
            self.key = key
            self.value = value
        }
    }

    /// The integers a script can hold.
    package static let integers: ClosedRange<Int128> = Int128(Int64.min)...Int128(UInt64.max)

    /// The value of a name in a map; nil if this is none or has it not.
    public subscript(name: String) -> Value? {
        guard case .map(let entries) = self else { return nil }
        return entries.first { $0.key == .string(name) }?.value
    }

    /// The item at a position of a list; nil if this is none or has it not.
    public subscript(index: Int) -> Value? {
        guard case .list(let items) = self, items.indices.contains(index) else { return nil }
        return items[index]
    }
}

extension Value: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// No value.
    public init(nilLiteral: ()) { self = .nil }
    /// True or false.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A whole number.
    public init(integerLiteral value: Int) { self = .int(Int128(value)) }
    /// A floating-point number.
    public init(floatLiteral value: Double) { self = .float(value) }
    /// A text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A list.
    public init(arrayLiteral items: Value...) { self = .list(items) }
    /// A map of named values.
    public init(dictionaryLiteral members: (String, Value)...) {
        self = .map(members.map { Entry(.string($0.0), $0.1) })
    }
}

// MARK: - Out of and into a session

extension Value {
    /// How deep collections are copied; what lies deeper becomes a handle.
    private static let depthLimit = 64
    /// How many values are copied.
    private static let countLimit = 1 << 22

    /// A copy of a session's value.
    init(_ cell: Cell, in heap: Heap) { self = Self.copy(cell, in: heap).value }

    /// A copy of a session's value, and how many values it is made of.
    static func copy(_ cell: Cell, in heap: Heap) -> (value: Value, count: Int) {
        var copies = Copies(left: countLimit)
        let value = Value(cell, in: heap, depth: 0, &copies)
        return (value, countLimit - copies.left)
    }

    /// What has been copied, and how many values still may be.
    private struct Copies {
        var left: Int
        /// Texts and bytes by address: one that stands in many places is copied once.
        private var texts: [UInt64: String] = [:]
        private var bytes: [UInt64: [UInt8]] = [:]

        init(left: Int) { self.left = left }

        mutating func text(_ cell: Cell) -> String {
            // Shorter ones are held in place.
            guard cell.string.count > 15 else { return cell.string.text }
            if let copy = texts[cell.bits] { return copy }
            let copy = cell.string.text
            texts[cell.bits] = copy
            return copy
        }

        mutating func bytes(_ cell: Cell) -> [UInt8] {
            if let copy = bytes[cell.bits] { return copy }
            let copy = Array(cell.bytes.buffer)
            bytes[cell.bits] = copy
            return copy
        }
    }

    private init(_ cell: Cell, in heap: Heap, depth: Int, _ copies: inout Copies) {
        copies.left -= 1
        switch cell.kind {
        case .nil, .unset, .box: self = .nil
        case .bool: self = .bool(cell.bool)
        case .int, .unsigned: self = .int(cell.wide)
        case .float: self = .float(cell.double)
        case .duration: self = .duration(nanoseconds: cell.nanoseconds)
        case .string: self = .string(copies.text(cell))
        case .symbol: self = .symbol(heap.symbolName(cell))
        case .bytes: self = .bytes(copies.bytes(cell))
        case .range: self = .range(cell.range.pointee.lower..<cell.range.pointee.upper)
        case .list where depth < Self.depthLimit && copies.left > 0:
            var items: [Value] = []
            for item in cell.list.buffer { items.append(Value(item, in: heap, depth: depth + 1, &copies)) }
            self = .list(items)
        case .map where depth < Self.depthLimit && copies.left > 0:
            var entries: [Entry] = []
            for position in 0..<cell.map.pointee.used {
                guard let (key, value) = heap.entry(at: position, of: cell.map) else { continue }
                entries.append(
                    Entry(
                        Value(key, in: heap, depth: depth + 1, &copies),
                        Value(value, in: heap, depth: depth + 1, &copies)))
            }
            self = .map(entries)
        case .list, .map: self = .handle("[…]")
        case .closure, .boundMethod, .object, .regex, .hostFunction, .builtin: self = .handle(heap.source(cell))
        }
    }

    /// The value for host code that hands it to a script; a handle becomes its text.
    package var forScript: ScriptValue {
        switch self {
        case .nil: .nil
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        case .duration(let value): .duration(value)
        case .string(let text), .handle(let text): .string(text)
        case .symbol(let name): .symbol(name)
        case .bytes(let bytes): .bytes(bytes)
        case .range(let range): .range(range)
        case .list(let items): .items(items.map(\.forScript))
        case .map(let entries): .map(Map(entries.map { ($0.key.forScript, $0.value.forScript) }))
        }
    }
}
