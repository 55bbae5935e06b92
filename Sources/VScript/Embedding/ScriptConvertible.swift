/// A Swift type whose values scripts can be given and can give.
public protocol ScriptConvertible {
    /// The Swift value of a script's; throws `ScriptError` if it has none.
    init(scriptValue: Value) throws

    /// The value that a script is given.
    var scriptValue: Value { get }
}

extension Value: ScriptConvertible {
    /// The value itself.
    public init(scriptValue: Value) { self = scriptValue }
    /// The value itself.
    public var scriptValue: Value { self }

    /// What messages call a value of this type, with its article.
    fileprivate var typeName: String {
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
        case .list: "a list"
        case .map: "a map"
        case .handle(let text): text
        }
    }

    fileprivate func mismatch(_ expected: String) -> ScriptError {
        ScriptError("this must be \(expected), not \(typeName)")
    }
}

extension ScriptConvertible where Self: FixedWidthInteger {
    /// An int that the type can hold.
    public init(scriptValue: Value) throws {
        guard case .int(let number) = scriptValue else { throw scriptValue.mismatch("an int") }
        guard let value = Self(exactly: number) else {
            throw ScriptError("this must be in \(Self.min)...\(Self.max), not \(number)")
        }
        self = value
    }

    /// The int; one beyond the language's ints becomes the nearest of them.
    public var scriptValue: Value {
        .int(Swift.min(Swift.max(Int128(clamping: self), Value.integers.lowerBound), Value.integers.upperBound))
    }
}

extension ScriptConvertible where Self: FixedWidthInteger {
    /// The int of a script's value: `try Int(session.call("score"))`.
    public init(_ value: Value) throws { try self.init(scriptValue: value) }
}

extension Int: ScriptConvertible {}
extension Int8: ScriptConvertible {}
extension Int16: ScriptConvertible {}
extension Int32: ScriptConvertible {}
extension Int64: ScriptConvertible {}
extension UInt: ScriptConvertible {}
extension UInt8: ScriptConvertible {}
extension UInt16: ScriptConvertible {}
extension UInt32: ScriptConvertible {}
extension UInt64: ScriptConvertible {}

extension Bool: ScriptConvertible {
    /// `true` or `false`.
    public init(scriptValue: Value) throws {
        guard case .bool(let value) = scriptValue else { throw scriptValue.mismatch("`true` or `false`") }
        self = value
    }
    /// The bool.
    public var scriptValue: Value { .bool(self) }
}

extension Double: ScriptConvertible {
    /// A float, or an int as one.
    public init(scriptValue: Value) throws {
        switch scriptValue {
        case .float(let value): self = value
        case .int(let value): self = Double(value)
        case .nil, .bool, .duration, .string, .symbol, .bytes, .range, .list, .map, .handle:
            throw scriptValue.mismatch("a number")
        }
    }
    /// The float.
    public var scriptValue: Value { .float(self) }
}

extension String: ScriptConvertible {
    /// A string.
    public init(scriptValue: Value) throws {
        guard case .string(let text) = scriptValue else { throw scriptValue.mismatch("a string") }
        self = text
    }
    /// The string.
    public var scriptValue: Value { .string(self) }
}

extension Duration: ScriptConvertible {
    /// A duration.
    public init(scriptValue: Value) throws {
        guard case .duration(let nanoseconds) = scriptValue else { throw scriptValue.mismatch("a duration") }
        self = .nanoseconds(nanoseconds)
    }
    /// The duration in whole nanoseconds, at most about 292 years.
    public var scriptValue: Value {
        let (seconds, attoseconds) = components
        return .duration(
            nanoseconds: Int64(clamping: Int128(seconds) * 1_000_000_000 + Int128(attoseconds) / 1_000_000_000))
    }
}

extension Optional: ScriptConvertible where Wrapped: ScriptConvertible {
    /// `nil`, or a value.
    public init(scriptValue: Value) throws {
        self = if case .nil = scriptValue { .none } else { try Wrapped(scriptValue: scriptValue) }
    }
    /// The value, or `nil`.
    public var scriptValue: Value { self?.scriptValue ?? .nil }
}

extension Array: ScriptConvertible where Element: ScriptConvertible {
    /// A list of such values; of bytes also bytes.
    public init(scriptValue: Value) throws {
        switch scriptValue {
        case .list(let items): self = try items.map(Element.init(scriptValue:))
        case .bytes(let bytes) where Element.self == UInt8.self: self = bytes as? [Element] ?? []
        case .nil, .bool, .int, .float, .duration, .string, .symbol, .bytes, .range, .map, .handle:
            throw scriptValue.mismatch("a list")
        }
    }
    /// A list; of bytes, bytes.
    public var scriptValue: Value {
        if let bytes = self as? [UInt8] { return .bytes(bytes) }
        return .list(map(\.scriptValue))
    }
}

extension Dictionary: ScriptConvertible where Key == String, Value: ScriptConvertible {
    /// A map whose keys are strings.
    public init(scriptValue: VScript.Value) throws {
        guard case .map(let entries) = scriptValue else { throw scriptValue.mismatch("a map") }
        self = Dictionary(
            try entries.map { (try String(scriptValue: $0.key), try Value(scriptValue: $0.value)) }
        ) { $1 }
    }
    /// A map in the order of the keys.
    public var scriptValue: VScript.Value {
        .map(sorted { $0.key < $1.key }.map { VScript.Value.Entry(.string($0.key), $0.value.scriptValue) })
    }
}

/// A class of the host whose objects scripts hold by reference; `Session.register` says what its members are.
public protocol ScriptObject: AnyObject, ScriptConvertible {}

extension ScriptObject {
    /// Fails: an object comes from a script only as an argument of a host function.
    public init(scriptValue: Value) throws {
        throw ScriptError("an object cannot be made of \(scriptValue.typeName)")
    }
    /// A handle that names the class.
    public var scriptValue: Value { .handle("<\(Self.self)>") }
}

/// A class of the host whose objects scripts declare: `fpga f { … }`.
public protocol ScriptDeclarable: ScriptObject {
    /// An object before its properties have their values.
    init()
}
