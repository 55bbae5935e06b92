import VScriptSyntax

/// The members of strings, symbols, bytes and regular expressions.
///
/// Positions in a string count code points.
enum StringMembers {
    static let string = MemberTable<String>(
        properties: [
            Property("count", "How many code points it has.") { .integer($0.unicodeScalars.count) },
            Property("isEmpty", "Whether it has none.") { .bool($0.isEmpty) },
            Property("bytes", "Its UTF-8 code.") { .bytes(Array($0.utf8)) },
            Property("codePoints", "The values of its code points.") {
                .items($0.unicodeScalars.map { .integer($0.value) })
            },
            Property("lines", "Its lines, without their breaks.") { text in
                var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
                if lines.last?.isEmpty == true { lines.removeLast() }
                return .items(lines.map { .string(String($0)) })
            },
            Property("trimmed", "The text without white space at its ends.") { .string($0.trimmed) },
            Property("uppercased", "The text in capital letters.") { .string($0.uppercased()) },
            Property("lowercased", "The text in small letters.") { .string($0.lowercased()) },
        ],
        methods: [
            Builtin("contains(part)", "Whether a text or pattern occurs.") { text, arguments in
                if case .regex(let regex) = arguments.value(0) { return .bool(match(regex, text) != nil) }
                let part = try arguments.string(0)
                return .bool(part.isEmpty || text.firstRange(of: part) != nil)
            },
            Builtin("hasPrefix(text)", "Whether it begins with a text.") { .bool($0.hasPrefix(try $1.string(0))) },
            Builtin("hasSuffix(text)", "Whether it ends with a text.") { .bool($0.hasSuffix(try $1.string(0))) },
            Builtin("split(separator?)", "The parts between separators; without one, the words.") { text, arguments in
                guard let separator = try arguments.optionalString(0) else {
                    return .items(text.split(whereSeparator: \.isWhitespace).map { .string(String($0)) })
                }
                guard !separator.isEmpty else { throw HostFailure(.outOfRange, "the separator is empty", argument: 0) }
                return .items(
                    text.split(separator: separator, omittingEmptySubsequences: false).map { .string(String($0)) })
            },
            Builtin("replace(part, by)", "The text with every occurrence replaced.") { text, arguments in
                let part = try arguments.string(0)
                guard !part.isEmpty else { throw HostFailure(.outOfRange, "the part to replace is empty", argument: 0) }
                return .string(text.replacing(part, with: try arguments.string(1)))
            },
            Builtin("indexOf(part)", "Where a text first occurs, or nil.") { text, arguments in
                guard let range = text.firstRange(of: try arguments.string(0)) else { return .nil }
                return .integer(text.unicodeScalars.distance(from: text.startIndex, to: range.lowerBound))
            },
            Builtin("repeated(count)", "The text so many times.") { text, arguments in
                let count = try arguments.integer(0, in: 0...1_000_000)
                guard text.utf8.count * Int(count) <= 1 << 26 else {
                    throw HostFailure(.outOfRange, "the text would be longer than 64 MiB", argument: 0)
                }
                return .string(String(repeating: text, count: Int(count)))
            },
        ])

    static let symbol = MemberTable<String>(properties: [Property("name", "Its name, without the dot.") { .string($0) }]
    )

    static let bytes = MemberTable<[UInt8]>(
        properties: [
            Property("count", "How many bytes there are.") { .integer($0.count) },
            Property("isEmpty", "Whether there are none.") { .bool($0.isEmpty) },
            Property("text", "The text whose UTF-8 code this is; what is not UTF-8 becomes U+FFFD.") {
                .string(String(decoding: $0, as: UTF8.self))
            },
            Property("hex", "The bytes as pairs of hexadecimal digits.") { bytes in
                .string(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
            },
        ],
        methods: [
            Builtin("u8(offset)", "The byte at an offset.") { try number($0, $1, 1) },
            Builtin("u16(offset)", "Two bytes at an offset, the least significant first.") { try number($0, $1, 2) },
            Builtin("u32(offset)", "Four bytes at an offset, the least significant first.") { try number($0, $1, 4) },
            Builtin("u64(offset)", "Eight bytes at an offset, the least significant first.") { try number($0, $1, 8) },
        ])

    static let regex = MemberTable<RegularExpression>(
        properties: [Property("pattern", "The pattern as it was written.") { .string($0.pattern) }],
        methods: [
            Builtin("matches(text)", "Whether the pattern occurs in a text.") {
                .bool(match($0, try $1.string(0)) != nil)
            },
            Builtin("find(text)", "The first occurrence and its groups as a list, or nil.") { regex, arguments in
                let scalars = Array(try arguments.string(0).unicodeScalars)
                guard let match = regex.firstMatch(in: scalars.map(\.value)) else { return .nil }
                return .items(
                    match.map { range in range.map { .string(String(String.UnicodeScalarView(scalars[$0]))) } ?? .nil })
            },
            Builtin("findAll(text)", "All occurrences that do not overlap.") { regex, arguments in
                let scalars = Array(try arguments.string(0).unicodeScalars)
                let values = scalars.map(\.value)
                var found: [ScriptValue] = []
                var start = 0
                while start <= values.count, let range = regex.firstMatch(in: values, from: start)?.first ?? nil {
                    found.append(.string(String(String.UnicodeScalarView(scalars[range]))))
                    start = max(range.upperBound, start + 1)
                }
                return .items(found)
            },
        ])

    private static func match(_ regex: RegularExpression, _ text: String) -> RegularExpression.Match? {
        regex.firstMatch(in: text.unicodeScalars.map(\.value))
    }

    private static func number(
        _ bytes: [UInt8], _ arguments: Arguments, _ width: Int
    ) throws(HostFailure) -> ScriptValue {
        guard bytes.count >= width else { throw HostFailure(.outOfRange, "there are only \(bytes.count) bytes") }
        let offset = Int(try arguments.integer(0, in: 0...Int128(bytes.count - width)))
        return .int((0..<width).reduce(0) { $0 | Int128(bytes[offset + $1]) << ($1 * 8) })
    }
}
