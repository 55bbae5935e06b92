import VScriptSyntax

extension ScriptValue {
    /// The value as JSON: symbols and bytes as strings, durations in seconds, keys as text.
    ///
    /// Functions, objects and collections nested more than 64 deep or with more than 4 Mi items have no JSON.
    func json() throws(HostFailure) -> JSON {
        var steps = 1 << 22
        return try json(depth: 0, steps: &steps)
    }

    private func json(depth: Int, steps: inout Int) throws(HostFailure) -> JSON {
        steps -= 1
        guard depth < 64, steps > 0 else { throw HostFailure(.wrongType, "the collection is too large for JSON") }
        switch self {
        case .nil: return .null
        case .bool(let value): return .bool(value)
        case .int(let value): return .integer(value)
        case .float(let value): return value.isFinite ? .number("\(value)") : .null
        case .duration(let time): return .number("\(Double(time) / 1e9)")
        case .string(let text), .symbol(let text): return .string(text)
        case .bytes(let bytes): return .string(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
        case .range(let range): return .array([.integer(range.lowerBound), .integer(range.upperBound)])
        case .regex(let regex): return .string(regex.pattern)
        case .list(let list):
            var items: [JSON] = []
            for item in list.items { items.append(try item.json(depth: depth + 1, steps: &steps)) }
            return .array(items)
        case .map(let map):
            var members: [(String, JSON)] = []
            for (key, value) in map.pairs {
                members.append((key.text, try value.json(depth: depth + 1, steps: &steps)))
            }
            return .object(members)
        case .function, .object: throw HostFailure(.wrongType, "\(typeName) has no JSON")
        }
    }
}
