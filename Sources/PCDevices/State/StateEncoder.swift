/// Turns any encodable state into bytes that are the same for equal states on every machine.
///
/// Dictionaries are sorted by key if their keys are strings or integers; sets and other dictionaries have no order and
/// do not belong into a state.
package enum StateEncoder {
    /// The bytes of a state.
    package static func encode<State: Encodable>(_ state: State) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try StateNode.value(of: state, at: []).write(to: &bytes)
        return bytes
    }
}

/// The place of a value that is being encoded; containers fill it in as they are used.
private final class StateNode: Encoder {
    enum Content {
        case empty
        case value(StateValue)
        case list([StateNode])
        case map([String: StateNode])
    }

    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any] = [:]
    var content = Content.empty

    init(codingPath: [any CodingKey]) { self.codingPath = codingPath }

    static func value<Value: Encodable>(of value: Value, at path: [any CodingKey]) throws -> StateValue {
        let node = StateNode(codingPath: path)
        try node.encode(value)
        return node.value
    }

    var value: StateValue {
        switch content {
        case .empty: .null
        case .value(let value): value
        case .list(let nodes): .list(nodes.map(\.value))
        case .map(let nodes): .map(nodes.mapValues(\.value))
        }
    }

    func append(_ key: any CodingKey) -> StateNode {
        let node = StateNode(codingPath: codingPath + [key])
        if case .list(var nodes) = content {
            content = .empty
            nodes.append(node)
            content = .list(nodes)
        } else {
            content = .list([node])
        }
        return node
    }

    func insert(_ key: any CodingKey) -> StateNode {
        let node = StateNode(codingPath: codingPath + [key])
        if case .map(var nodes) = content {
            content = .empty
            nodes[key.stringValue] = node
            content = .map(nodes)
        } else {
            content = .map([key.stringValue: node])
        }
        return node
    }

    /// Encodes the kinds of value that end a branch, and lets all others encode themselves.
    func encode<Value: Encodable>(_ value: Value) throws {
        switch value {
        case let value as Bool: content = .value(.boolean(value))
        case let value as String: content = .value(.string(value))
        case let value as Double: content = .value(.floating(value.bitPattern))
        case let value as Float: content = .value(.floating(Double(value).bitPattern))
        case let value as any FixedWidthInteger:
            if let number = UInt64(exactly: value) {
                content = .value(.unsigned(number))
            } else if let number = Int64(exactly: value) {
                content = .value(.negative(number))
            } else {
                throw EncodingError.invalidValue(
                    value, .init(codingPath: codingPath, debugDescription: "integer of more than 64 bits"))
            }
        default: try value.encode(to: self)
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .map = content {} else { content = .map([:]) }
        return KeyedEncodingContainer(KeyedStateEncoding<Key>(node: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .list = content {} else { content = .list([]) }
        return UnkeyedStateEncoding(node: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleStateEncoding(node: self) }
}

private struct KeyedStateEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: StateNode
    var codingPath: [any CodingKey] { node.codingPath }

    func encodeNil(forKey key: Key) throws { node.insert(key).content = .value(.null) }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try node.insert(key).encode(value) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { node.insert(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        node.insert(key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { node.insert(StateKey("super")) }

    func superEncoder(forKey key: Key) -> any Encoder { node.insert(key) }
}

private struct UnkeyedStateEncoding: UnkeyedEncodingContainer {
    let node: StateNode
    var codingPath: [any CodingKey] { node.codingPath }

    var count: Int {
        if case .list(let nodes) = node.content { nodes.count } else { 0 }
    }

    private func append() -> StateNode { node.append(StateKey(count)) }

    func encodeNil() throws { append().content = .value(.null) }

    func encode<Value: Encodable>(_ value: Value) throws { try append().encode(value) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        append().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { append().unkeyedContainer() }

    func superEncoder() -> any Encoder { append() }
}

private struct SingleStateEncoding: SingleValueEncodingContainer {
    let node: StateNode
    var codingPath: [any CodingKey] { node.codingPath }

    func encodeNil() throws { node.content = .value(.null) }

    func encode<Value: Encodable>(_ value: Value) throws { try node.encode(value) }
}

/// A key made of a name or an index.
struct StateKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(_ index: Int) {
        stringValue = String(index)
        intValue = index
    }

    init(_ name: String) {
        stringValue = name
        intValue = nil
    }

    init?(stringValue: String) { self.init(stringValue) }

    init?(intValue: Int) { self.init(intValue) }
}
