/// A value that a scripted device remembers: plain data, so that it can be saved and compared.
public enum DeviceValue: Codable, Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int128)
    case number(Double)
    case text(String)
    case bytes([UInt8])
    case list([DeviceValue])
    case map([String: DeviceValue])
}

extension DeviceValue: ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByStringLiteral {
    /// Makes an integer.
    public init(integerLiteral value: Int64) { self = .integer(Int128(value)) }
    /// Makes a truth value.
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    /// Makes a text.
    public init(stringLiteral value: String) { self = .text(value) }
}
