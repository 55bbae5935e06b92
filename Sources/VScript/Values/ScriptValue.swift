/// A value of a running script as host code sees it.
///
/// Plain values are copied out of the session. Collections and functions are references into its heap, which are not
/// collected as long as the host holds them; `items` and `named` make new ones, which enter the heap when they are
/// handed to the script.
package enum ScriptValue {
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
    package static func integer(_ value: some BinaryInteger) -> ScriptValue { .int(Int128(truncatingIfNeeded: value)) }

    /// A new list of values.
    package static func items(_ values: [ScriptValue]) -> ScriptValue { .list(List(values)) }

    /// A new map of named values.
    package static func named(_ members: KeyValuePairs<String, ScriptValue>) -> ScriptValue {
        .map(Map(members.map { (.string($0.key), $0.value) }))
    }

    /// A new map of values by name, in order.
    package static func named(_ members: [(String, ScriptValue)]) -> ScriptValue {
        .map(Map(members.map { (.string($0.0), $0.1) }))
    }

    package var isNil: Bool {
        if case .nil = self { true } else { false }
    }
}

/// A list: one of the session's by reference, or a new one.
package struct List {
    enum Storage {
        case held(KeptCell)
        case new([ScriptValue])
    }

    let storage: Storage

    package init(_ items: [ScriptValue] = []) { storage = .new(items) }
    init(_ cell: KeptCell) { storage = .held(cell) }

    /// The items as they are now.
    package var items: [ScriptValue] {
        switch storage {
        case .held(let kept): kept.cell.list.buffer.map { kept.heap.value($0) }
        case .new(let items): items
        }
    }
}

/// A map: one of the session's by reference, or a new one.
package struct Map {
    enum Storage {
        case held(KeptCell)
        case new([(ScriptValue, ScriptValue)])
    }

    let storage: Storage

    package init(_ pairs: [(key: ScriptValue, value: ScriptValue)] = []) { storage = .new(pairs.map { ($0, $1) }) }
    init(_ cell: KeptCell) { storage = .held(cell) }

    /// The entries in order, as they are now.
    package var pairs: [(key: ScriptValue, value: ScriptValue)] {
        switch storage {
        case .held(let kept):
            (0..<kept.cell.map.pointee.used).compactMap { position in
                kept.heap.entry(at: position, of: kept.cell.map).map {
                    (kept.heap.value($0.key), kept.heap.value($0.value))
                }
            }
        case .new(let pairs): pairs.map { (key: $0.0, value: $0.1) }
        }
    }

    /// The value of a name.
    package subscript(name: String) -> ScriptValue? {
        pairs.first { if case .string(name) = $0.key { true } else { false } }?.value
    }
}

/// A function: one of the script's by reference, or one of the host's.
package struct Function {
    enum Storage {
        case held(KeptCell)
        case host(HostFunction)
    }

    let storage: Storage

    init(_ cell: KeptCell) { storage = .held(cell) }

    /// A function of the host.
    package init(_ signature: Signature, _ body: @escaping (Arguments) throws -> ScriptValue) {
        storage = .host(HostFunction(signature, body))
    }
}

/// A function of the host that is a value: its signature and what it does.
final class HostFunction {
    let signature: Signature
    let body: (Arguments) throws -> ScriptValue

    init(_ signature: Signature, _ body: @escaping (Arguments) throws -> ScriptValue) {
        self.signature = signature
        self.body = body
    }
}

extension Builtin<Void> {
    /// The function as a value.
    var function: Function {
        Function(signature) { [body] arguments in
            guard case .values(let body) = body else { return .nil }
            return try body((), arguments)
        }
    }
}

// MARK: - Into and out of the heap

extension Heap {
    /// A cell as host code sees it.
    func value(_ cell: Cell) -> ScriptValue {
        switch cell.kind {
        case .nil, .unset, .box: .nil
        case .bool: .bool(cell.bool)
        case .int, .unsigned: .int(cell.wide)
        case .float: .float(cell.double)
        case .duration: .duration(cell.nanoseconds)
        case .symbol: .symbol(symbolName(cell))
        case .string: .string(cell.string.text)
        case .bytes: .bytes(Array(cell.bytes.buffer))
        case .range: .range(cell.range.pointee.lower..<cell.range.pointee.upper)
        case .list: .list(List(KeptCell(cell, in: self)))
        case .map: .map(Map(KeptCell(cell, in: self)))
        case .closure, .boundMethod, .hostFunction, .builtin: .function(Function(KeptCell(cell, in: self)))
        case .regex: hosted.regex(cell).map(ScriptValue.regex) ?? .nil
        case .object: hosted.object(cell).map(ScriptValue.object) ?? .nil
        }
    }

    /// A value of the host as a cell; it is not rooted.
    func cell(_ value: ScriptValue) throws(HostFailure) -> Cell {
        switch value {
        case .nil: return .nil
        case .bool(let value): return .bool(value)
        case .int(let value):
            guard Value.integers.contains(value) else { throw HostFailure(.overflow, "`\(value)` does not fit an int") }
            return .int(value)
        case .float(let value): return .float(value)
        case .duration(let value): return .duration(value)
        case .string(let text): return try string(text)
        case .symbol(let name): return try symbol(name)
        case .bytes(let value): return try bytes(value)
        case .range(let value): return try range(value.lowerBound, value.upperBound)
        case .regex(let regex): return try self.regex(regex)
        case .object(let object): return try self.object(object)
        case .list(let list):
            switch list.storage {
            case .held(let kept): return kept.cell
            case .new(let items): return try newList(items)
            }
        case .map(let map):
            switch map.storage {
            case .held(let kept): return kept.cell
            case .new(let pairs): return try newMap(pairs)
            }
        case .function(let function):
            switch function.storage {
            case .held(let kept): return kept.cell
            case .host(let function): return try self.function(function)
            }
        }
    }

    private func newList(_ items: [ScriptValue]) throws(HostFailure) -> Cell {
        let list = try newList(capacity: items.count)
        temporaries.append(Cell(.list, list))
        defer { temporaries.removeLast() }
        for item in items { try append(try cell(item), to: list) }
        return Cell(.list, list)
    }

    private func newMap(_ pairs: [(ScriptValue, ScriptValue)]) throws(HostFailure) -> Cell {
        let map = try newMap()
        temporaries.append(Cell(.map, map))
        defer { temporaries.removeLast() }
        for (key, value) in pairs {
            if case .string(let name) = key, pairs.count <= Shape.limit {
                let name = try self.name(name)
                temporaries.append(try cell(value))
                defer { temporaries.removeLast() }
                try setMember(name, temporaries[temporaries.count - 1], in: map)
                continue
            }
            temporaries.append(try cell(key))
            defer { temporaries.removeLast() }
            temporaries.append(try cell(value))
            defer { temporaries.removeLast() }
            let (key, value) = (temporaries[temporaries.count - 2], temporaries[temporaries.count - 1])
            guard key.canBeKey else { throw HostFailure(.wrongType, "\(typeName(key)) cannot be a key") }
            try set(key, value, in: map)
        }
        return Cell(.map, map)
    }
}

// MARK: - Text

extension ScriptValue {
    /// The value as `print` and interpolation write it: a string as it is, others as a script would.
    package var text: String {
        if case .string(let text) = self { return text }
        return source()
    }

    /// The value as it would be written in a script; a collection too deep or too long to write ends in `…`.
    package func source() -> String {
        switch self {
        case .nil: return "nil"
        case .bool(let value): return String(value)
        case .int(let value): return String(value)
        case .float(let value): return value.isNaN ? "nan" : "\(value)"
        case .duration(let value): return Text.duration(nanoseconds: value)
        case .string(let text): return Text.quoted(text)
        case .symbol(let name): return ".\(name)"
        case .bytes(let bytes): return "hex\"\(bytes.map(Text.hexadecimal).joined(separator: " "))\""
        case .range(let range): return "\(range.lowerBound)..<\(range.upperBound)"
        case .regex(let regex): return "re\"\(regex.pattern)\""
        case .object(let object): return object.text
        case .list(let list):
            if case .held(let kept) = list.storage { return kept.heap.source(kept.cell) }
            return "[\(list.items.map { $0.source() }.joined(separator: ", "))]"
        case .map(let map):
            if case .held(let kept) = map.storage { return kept.heap.source(kept.cell) }
            let pairs = map.pairs.map { key, value in
                if case .string(let name) = key, name.isIdentifier { return "\(name): \(value.source())" }
                return "\(key.source()): \(value.source())"
            }
            return pairs.isEmpty ? "[:]" : "[\(pairs.joined(separator: ", "))]"
        case .function(let function):
            switch function.storage {
            case .held(let kept): return kept.heap.source(kept.cell)
            case .host(let function): return "fn \(function.signature.name)"
            }
        }
    }
}
