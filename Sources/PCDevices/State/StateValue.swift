/// The tree that a state becomes on its way to bytes and back.
///
/// The binary form is self-describing: a tag byte, then a LEB128 integer, or a count and the elements. The entries of a
/// map are sorted by key, so equal states have equal bytes.
enum StateValue: Equatable {
    case null
    case boolean(Bool)
    case unsigned(UInt64)
    case negative(Int64)
    case floating(UInt64)
    case string(String)
    case list([StateValue])
    case map([String: StateValue])

    private enum Tag: UInt8 {
        case null, no, yes, unsigned, negative, floating, string, list, map
        /// A list whose elements are all integers below 256.
        case bytes
    }

    // MARK: Writing

    func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(Tag.null.rawValue)
        case .boolean(let value): bytes.append(value ? Tag.yes.rawValue : Tag.no.rawValue)
        case .unsigned(let value):
            bytes.append(Tag.unsigned.rawValue)
            Self.write(value, to: &bytes)
        case .negative(let value):
            bytes.append(Tag.negative.rawValue)
            Self.write(UInt64(bitPattern: ~value), to: &bytes)
        case .floating(let bits):
            bytes.append(Tag.floating.rawValue)
            for shift in stride(from: 0, to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
            }
        case .string(let text):
            bytes.append(Tag.string.rawValue)
            Self.write(text, to: &bytes)
        case .list(let values):
            if let packed = Self.packed(values) {
                bytes.append(Tag.bytes.rawValue)
                Self.write(UInt64(packed.count), to: &bytes)
                bytes += packed
            } else {
                bytes.append(Tag.list.rawValue)
                Self.write(UInt64(values.count), to: &bytes)
                for value in values { value.write(to: &bytes) }
            }
        case .map(let entries):
            bytes.append(Tag.map.rawValue)
            Self.write(UInt64(entries.count), to: &bytes)
            for (key, value) in entries.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
                Self.write(key, to: &bytes)
                value.write(to: &bytes)
            }
        }
    }

    private static func packed(_ values: [StateValue]) -> [UInt8]? {
        guard !values.isEmpty else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.count)
        for value in values {
            guard case .unsigned(let number) = value, number < 256 else { return nil }
            bytes.append(UInt8(number))
        }
        return bytes
    }

    private static func write(_ value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private static func write(_ text: String, to bytes: inout [UInt8]) {
        write(UInt64(text.utf8.count), to: &bytes)
        bytes += text.utf8
    }

    // MARK: Reading

    /// Reads the value that takes up all of some bytes; nil if they are damaged.
    init?(bytes: [UInt8]) {
        var reader = Reader(bytes: bytes)
        guard let value = reader.value(depth: 0), reader.position == bytes.count else { return nil }
        self = value
    }

    private struct Reader {
        let bytes: [UInt8]
        var position = 0
        /// No state is nested that deeply; damaged bytes must not exhaust the stack.
        static let deepest = 64

        mutating func value(depth: Int) -> StateValue? {
            guard depth < Self.deepest, let tag = byte().flatMap(Tag.init(rawValue:)) else { return nil }
            switch tag {
            case .null: return .null
            case .no: return .boolean(false)
            case .yes: return .boolean(true)
            case .unsigned: return integer().map { .unsigned($0) }
            case .negative: return integer().map { .negative(~Int64(bitPattern: $0)) }
            case .floating:
                return take(8).map { .floating($0.reversed().reduce(0) { $0 << 8 | UInt64($1) }) }
            case .string: return text().map { .string($0) }
            case .bytes:
                guard let count = count(), let packed = take(count) else { return nil }
                return .list(packed.map { .unsigned(UInt64($0)) })
            case .list:
                guard let count = count() else { return nil }
                var values: [StateValue] = []
                for _ in 0..<count {
                    guard let value = value(depth: depth + 1) else { return nil }
                    values.append(value)
                }
                return .list(values)
            case .map:
                guard let count = count() else { return nil }
                var entries: [String: StateValue] = [:]
                for _ in 0..<count {
                    guard let key = text(), let value = value(depth: depth + 1) else { return nil }
                    entries[key] = value
                }
                return entries.count == count ? .map(entries) : nil
            }
        }

        private mutating func byte() -> UInt8? { take(1)?.first }

        private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard count <= bytes.count - position else { return nil }
            position += count
            return bytes[position - count..<position]
        }

        private mutating func integer() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                guard let byte = byte() else { return nil }
                let bits = UInt64(byte & 0x7F)
                guard shift < 63 || bits < 2 else { return nil }
                value |= bits << shift
                if byte & 0x80 == 0 { return value }
            }
            return nil
        }

        /// A count of elements, each of which takes at least a byte.
        private mutating func count() -> Int? {
            guard let value = integer(), value <= UInt64(bytes.count - position) else { return nil }
            return Int(value)
        }

        private mutating func text() -> String? {
            guard let count = count(), let bytes = take(count) else { return nil }
            return String(validating: bytes, as: UTF8.self)
        }
    }
}
