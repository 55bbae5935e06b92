/// What a script computes with.
///
/// Lists, maps, functions and objects are references; everything else is a plain value.
package enum Value {
    case `nil`
    case bool(Bool)
    /// Exact, from -2⁶³ to 2⁶⁴ - 1.
    case int(Int128)
    case float(Double)
    /// Nanoseconds.
    case duration(Int64)
    case string(String)
    /// An interned name for a choice, without its dot.
    case symbol(String)
    case bytes([UInt8])
    /// Whole numbers, without the upper bound.
    case range(Range<Int128>)
    case regex(RegularExpression)
    case list(List)
    case map(Map)
    case function(Function)
    case object(any HostObject)

    /// The integers a script can hold.
    package static let integers: ClosedRange<Int128> = Int128(Int64.min)...Int128(UInt64.max)

    /// What messages call a value of this type, with its article.
    package var typeName: String {
        switch self {
        case .nil: "nil"
        case .bool: "a bool"
        case .int: "an int"
        case .float: "a float"
        case .duration: "a duration"
        case .string: "a string"
        case .symbol: "a symbol"
        case .bytes: "bytes"
        case .range: "a range"
        case .regex: "a regular expression"
        case .list: "a list"
        case .map: "a map"
        case .function: "a function"
        case .object(let object): object.typeName
        }
    }

    /// An int of any Swift integer.
    package static func integer(_ value: some BinaryInteger) -> Value { .int(Int128(truncatingIfNeeded: value)) }

    /// A list of values.
    package static func items(_ values: [Value]) -> Value { .list(List(values)) }

    /// A map of named values.
    package static func named(_ members: KeyValuePairs<String, Value>) -> Value {
        let map = Map()
        for (name, value) in members { map.set(.string(name), value) }
        return .map(map)
    }

    package var isNil: Bool {
        if case .nil = self { true } else { false }
    }
}

/// A list, shared by all who hold it.
package final class List {
    package internal(set) var items: [Value]
    /// Whether it belongs to a module that has loaded.
    package internal(set) var isFrozen = false

    package init(_ items: [Value] = []) { self.items = items }
}

/// A map that keeps the order in which keys were added.
package final class Map {
    private var positions: [Key: Int] = [:]
    /// Entries in order; nil where one was removed.
    private var entries: [(key: Value, value: Value)?] = []
    /// Whether it belongs to a module that has loaded.
    package internal(set) var isFrozen = false

    package init() {}

    /// A value by which entries are found.
    private enum Key: Hashable {
        case `nil`, bool(Bool), int(Int128), float(Double), duration(Int64), string(String), symbol(String), bytes(
            [UInt8])
    }

    private static func key(_ value: Value) -> Key? {
        switch value {
        case .nil: .nil
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .float(let value): Int128(exactly: value).map(Key.int) ?? .float(value)
        case .duration(let value): .duration(value)
        case .string(let value): .string(value)
        case .symbol(let value): .symbol(value)
        case .bytes(let value): .bytes(value)
        case .range, .regex, .list, .map, .function, .object: nil
        }
    }

    /// Whether a value can be a key: lists, maps, ranges, functions and objects cannot.
    package static func canBeKey(_ value: Value) -> Bool { key(value) != nil }

    package var count: Int { positions.count }

    /// The entries in order.
    package var pairs: [(key: Value, value: Value)] { entries.compactMap { $0 } }

    package func get(_ key: Value) -> Value? {
        guard let key = Self.key(key), let position = positions[key] else { return nil }
        return entries[position]?.value
    }

    /// Adds or replaces an entry; a value that cannot be a key is ignored.
    package func set(_ key: Value, _ value: Value) {
        guard let hash = Self.key(key) else { return }
        if let position = positions[hash] {
            entries[position]?.value = value
        } else {
            positions[hash] = entries.count
            entries.append((key, value))
        }
    }

    @discardableResult
    package func remove(_ key: Value) -> Value? {
        guard let hash = Self.key(key), let position = positions.removeValue(forKey: hash) else { return nil }
        let old = entries[position]?.value
        entries[position] = nil
        if entries.count > 32, positions.count < entries.count / 2 { compact() }
        return old
    }

    private func compact() {
        entries = entries.filter { $0 != nil }
        for (position, entry) in entries.enumerated() {
            if let key = entry.flatMap({ Self.key($0.key) }) { positions[key] = position }
        }
    }
}

/// A script's function with what it closes over, or one of the host's.
package final class Function {
    /// How the function is carried out.
    enum Body {
        case script(FunctionCode, Environment)
        case host(Signature, (Arguments) throws -> Value)
    }

    package let name: String
    let body: Body

    init(_ code: FunctionCode, _ environment: Environment) {
        name = code.name
        body = .script(code, environment)
    }

    /// A function of the host.
    package init(_ signature: Signature, _ body: @escaping (Arguments) throws -> Value) {
        name = signature.name
        self.body = .host(signature, body)
    }
}

extension Value {
    /// Whether two values are the same: structurally, and references to objects and functions by identity.
    ///
    /// Collections nested more than 200 deep, or with more than 64 Mi items to compare, count as different.
    package func isEqual(to other: Value) -> Bool {
        var steps = 1 << 26
        return isEqual(to: other, depth: 0, steps: &steps)
    }

    fileprivate func isEqual(to other: Value, depth: Int, steps: inout Int) -> Bool {
        steps -= 1
        guard depth < 200, steps > 0 else { return false }
        switch self {
        case .nil: return other.isNil
        case .bool(let left): if case .bool(let right) = other { return left == right }
        case .int(let left):
            if case .int(let right) = other { return left == right }
            if case .float(let right) = other { return Int128(exactly: right) == left }
        case .float(let left):
            if case .float(let right) = other { return left == right }
            if case .int(let right) = other { return Int128(exactly: left) == right }
        case .duration(let left): if case .duration(let right) = other { return left == right }
        case .string(let left):
            if case .string(let right) = other { return left.unicodeScalars.elementsEqual(right.unicodeScalars) }
        case .symbol(let left): if case .symbol(let right) = other { return left == right }
        case .bytes(let left): if case .bytes(let right) = other { return left == right }
        case .range(let left): if case .range(let right) = other { return left == right }
        case .regex(let left): if case .regex(let right) = other { return left.pattern == right.pattern }
        case .list(let left): if case .list(let right) = other { return left.isEqual(to: right, depth, &steps) }
        case .map(let left): if case .map(let right) = other { return left.isEqual(to: right, depth, &steps) }
        case .function(let left): if case .function(let right) = other { return left === right }
        case .object(let left): if case .object(let right) = other { return left.isSame(as: right) }
        }
        return false
    }

    /// Makes a value's collections unchangeable, as a module's are once it has loaded.
    package func freeze() {
        switch self {
        case .list(let list) where !list.isFrozen:
            list.isFrozen = true
            for item in list.items { item.freeze() }
        case .map(let map) where !map.isFrozen:
            map.isFrozen = true
            for pair in map.pairs { pair.value.freeze() }
        case .nil, .bool, .int, .float, .duration, .string, .symbol, .bytes, .range, .regex, .list, .map, .function,
            .object:
            break
        }
    }
}

extension List {
    fileprivate func isEqual(to other: List, _ depth: Int, _ steps: inout Int) -> Bool {
        if self === other { return true }
        guard items.count == other.items.count else { return false }
        for (left, right) in zip(items, other.items) {
            guard left.isEqual(to: right, depth: depth + 1, steps: &steps) else { return false }
        }
        return true
    }
}

extension Map {
    fileprivate func isEqual(to other: Map, _ depth: Int, _ steps: inout Int) -> Bool {
        if self === other { return true }
        guard count == other.count else { return false }
        for (key, left) in pairs {
            guard let right = other.get(key), left.isEqual(to: right, depth: depth + 1, steps: &steps) else {
                return false
            }
        }
        return true
    }
}
