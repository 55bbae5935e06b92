/// Turns the bytes of `StateEncoder` back into a state.
package enum StateDecoder {
    /// Reads a state; throws `DecodingError` if the bytes are damaged or are those of another kind of state.
    package static func decode<State: Decodable>(_ type: State.Type, from bytes: [UInt8]) throws -> State {
        guard let value = StateValue(bytes: bytes) else {
            throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "damaged state"))
        }
        return try StateReader(value: value, codingPath: []).decode(type)
    }
}

/// A value of the tree that is being decoded.
private struct StateReader: Decoder {
    let value: StateValue
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func mismatch(_ type: Any.Type) -> DecodingError {
        .typeMismatch(type, .init(codingPath: codingPath, debugDescription: "the state holds another kind of value"))
    }

    /// Decodes the kinds of value that end a branch, and lets all others decode themselves.
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        switch type {
        case is Bool.Type:
            if case .boolean(let flag) = value, let result = flag as? Value { return result }
        case is String.Type:
            if case .string(let text) = value, let result = text as? Value { return result }
        case is Double.Type:
            if case .floating(let bits) = value, let result = Double(bitPattern: bits) as? Value { return result }
        case is Float.Type:
            if case .floating(let bits) = value, let result = Float(Double(bitPattern: bits)) as? Value {
                return result
            }
        case let integer as any FixedWidthInteger.Type:
            if let result = exactly(integer) as? Value { return result }
        default: return try Value(from: self)
        }
        throw mismatch(type)
    }

    private func exactly<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Integer? {
        switch value {
        case .unsigned(let number): Integer(exactly: number)
        case .negative(let number): Integer(exactly: number)
        case .null, .boolean, .floating, .string, .list, .map: nil
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .map(let entries) = value else { throw mismatch([String: StateValue].self) }
        return KeyedDecodingContainer(KeyedStateDecoding<Key>(entries: entries, codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .list(let values) = value else { throw mismatch([StateValue].self) }
        return UnkeyedStateDecoding(values: values, codingPath: codingPath)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { SingleStateDecoding(reader: self) }
}

private struct KeyedStateDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let entries: [String: StateValue]
    let codingPath: [any CodingKey]

    var allKeys: [Key] { entries.keys.sorted().compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { entries[key.stringValue] != nil }

    private func reader(_ key: any CodingKey) throws -> StateReader {
        guard let value = entries[key.stringValue] else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "the state does not hold the value"))
        }
        return StateReader(value: value, codingPath: codingPath + [key])
    }

    func decodeNil(forKey key: Key) throws -> Bool { try reader(key).value == .null }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try reader(key).decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try reader(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try reader(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { try reader(StateKey("super")) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try reader(key) }
}

private struct UnkeyedStateDecoding: UnkeyedDecodingContainer {
    let values: [StateValue]
    let codingPath: [any CodingKey]
    var currentIndex = 0

    init(values: [StateValue], codingPath: [any CodingKey]) {
        self.values = values
        self.codingPath = codingPath
    }

    var count: Int? { values.count }
    var isAtEnd: Bool { currentIndex >= values.count }

    private func reader() throws -> StateReader {
        let path = codingPath + [StateKey(currentIndex)]
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                StateValue.self, .init(codingPath: path, debugDescription: "the list has no more values"))
        }
        return StateReader(value: values[currentIndex], codingPath: path)
    }

    mutating func decodeNil() throws -> Bool {
        guard try reader().value == .null else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let value = try reader().decode(type)
        currentIndex += 1
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        let container = try reader().container(keyedBy: type)
        currentIndex += 1
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try reader().unkeyedContainer()
        currentIndex += 1
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let reader = try reader()
        currentIndex += 1
        return reader
    }
}

private struct SingleStateDecoding: SingleValueDecodingContainer {
    let reader: StateReader
    var codingPath: [any CodingKey] { reader.codingPath }

    func decodeNil() -> Bool { reader.value == .null }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try reader.decode(type) }
}
