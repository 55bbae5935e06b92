import VScriptSyntax

extension Value {
    /// The value as JSON: symbols and bytes as strings, durations in seconds, keys as text.
    ///
    /// Functions, objects and collections that are too deep or too large to be copied have no JSON.
    package func json() throws(HostFailure) -> JSON {
        switch self {
        case .nil: return .null
        case .bool(let value): return .bool(value)
        case .int(let value): return .integer(value)
        case .float(let value): return value.isFinite ? .number("\(value)") : .null
        case .duration(let time): return .number("\(Double(time) / 1e9)")
        case .string(let text), .symbol(let text): return .string(text)
        case .bytes(let bytes): return .string(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
        case .range(let range): return .array([.integer(range.lowerBound), .integer(range.upperBound)])
        case .list(let items):
            var values: [JSON] = []
            for item in items { values.append(try item.json()) }
            return .array(values)
        case .map(let entries):
            var members: [(String, JSON)] = []
            for entry in entries { members.append((entry.key.forScript.text, try entry.value.json())) }
            return .object(members)
        case .handle(let text): throw HostFailure(.wrongType, "`\(text)` has no JSON")
        }
    }
}
