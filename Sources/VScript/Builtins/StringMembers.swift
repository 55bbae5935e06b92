import VScriptSyntax

/// The members of strings, symbols, bytes and regular expressions.
///
/// Positions in a string count code points.
enum StringMembers {
    static let string = MemberTable<String>(
        properties: [
            Property(
                "count", "How many code points it has.",
                cells: { interpreter, cell in
                    try interpreter.pay(cell.string.count / 64)
                    return .int(cell.string.scalarCount)
                }),
            Property("isEmpty", "Whether it has none.", cells: { .bool($1.string.count == 0) }),
            Property(
                "bytes", "Its UTF-8 code.",
                cells: { interpreter, cell in
                    try interpreter.pay(cell.string.count / 64)
                    let result = try interpreter.heap.newBytes(count: cell.string.count)
                    result.bytes.update(from: cell.string.bytes, count: cell.string.count)
                    return Cell(.bytes, result)
                }),
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
            Builtin(
                "contains(part)", "Whether a text or pattern occurs.",
                cells: { call in
                    try call.interpreter.pay(call.receiver.string.count / 64)
                    if call[0].kind == .regex, let regex = call.heap.hosted.regex(call[0]) {
                        let values = call.receiver.string.text.unicodeScalars.map(\.value)
                        return .bool(try regex.firstMatch(in: values, pay: call.interpreter.pay) != nil)
                    }
                    let part = try call.string(0, "part")
                    return .bool(call.receiver.string.firstOffset(of: part, from: 0) != nil)
                }),
            Builtin(
                "hasPrefix(text)", "Whether it begins with a text.",
                cells: { call in
                    let (text, part) = (call.receiver.string, try call.string(0, "text"))
                    try call.interpreter.pay(part.count / 64)
                    return .bool(part.count <= text.count && equalBytes(text.bytes, part.bytes, part.count))
                }),
            Builtin(
                "hasSuffix(text)", "Whether it ends with a text.",
                cells: { call in
                    let (text, part) = (call.receiver.string, try call.string(0, "text"))
                    try call.interpreter.pay(part.count / 64)
                    let start = text.count - part.count
                    return .bool(start >= 0 && equalBytes(text.bytes + start, part.bytes, part.count))
                }),
            Builtin(
                "split(separator?)", "The parts between separators; without one, the words.",
                cells: { call in
                    try call.interpreter.pay(call.receiver.string.count / 8)
                    guard !call[0].isUnset, !call[0].isNil else {
                        let words = call.receiver.string.text.split(whereSeparator: \.isWhitespace)
                        return try call.heap.cell(.items(words.map { .string(String($0)) }))
                    }
                    let separator = try call.string(0, "separator")
                    guard separator.count > 0 else {
                        throw HostFailure(.outOfRange, "the separator is empty", argument: 0)
                    }
                    return try parts(call, separator)
                }),
            Builtin(
                "replace(part, by)", "The text with every occurrence replaced.",
                cells: { call in
                    let (part, other) = (try call.string(0, "part"), try call.string(1, "by"))
                    guard part.count > 0 else {
                        throw HostFailure(.outOfRange, "the part to replace is empty", argument: 0)
                    }
                    try call.interpreter.pay(call.receiver.string.count / 8)
                    let list = try parts(call, part)
                    call.heap.temporaries.append(list)
                    defer { call.heap.temporaries.removeLast() }
                    var pieces: [Cell] = []
                    for item in list.list.buffer {
                        if !pieces.isEmpty { pieces.append(Cell(.string, other)) }
                        pieces.append(item)
                    }
                    return try pieces.withUnsafeBufferPointer { try call.interpreter.text($0) }
                }),
            Builtin(
                "indexOf(part)", "Where a text first occurs, or nil.",
                cells: { call in
                    let text = call.receiver.string
                    try call.interpreter.pay(text.count / 64)
                    guard let offset = text.firstOffset(of: try call.string(0, "part"), from: 0) else { return .nil }
                    if text.isASCII { return .int(offset) }
                    return .int(text.buffer[..<offset].count { $0 & 0xC0 != 0x80 })
                }),
            Builtin(
                "repeated(count)", "The text so many times.",
                cells: { call in
                    let text = call.receiver.string
                    let count = try call.integer(0, "count", in: 0...1 << 30)
                    let (total, overflow) = text.count.multipliedReportingOverflow(by: count)
                    try call.interpreter.pay(overflow ? .max : total / 64)
                    let result = try call.heap.newString(count: total)
                    for index in 0..<(text.count == 0 ? 0 : count) {
                        (result.bytes + index * text.count).update(from: text.bytes, count: text.count)
                    }
                    return Cell(.string, result)
                }),
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
                .bool(try !Occurrences(of: $0, $1, limit: 1).isEmpty)
            },
            Builtin("find(text)", "The first occurrence and its groups as a list, or nil.") { regex, arguments in
                guard let first = try Occurrences(of: regex, arguments, limit: 1).all.first else { return .nil }
                return .items([first.text] + first.groups)
            },
            Builtin("findAll(text)", "All occurrences that do not overlap.") { regex, arguments in
                .items(try Occurrences(of: regex, arguments).all.map(\.text))
            },
        ])

    /// The parts of the receiver between the occurrences of a text.
    private static func parts(_ call: CellCall, _ separator: UnsafeMutablePointer<StringBlock>) throws -> Cell {
        let text = call.receiver.string
        let result = try call.heap.newList(capacity: 0)
        call.heap.temporaries.append(Cell(.list, result))
        defer { call.heap.temporaries.removeLast() }
        var start = 0
        while true {
            let end = text.firstOffset(of: separator, from: start)
            let part = UnsafeBufferPointer(start: text.bytes + start, count: (end ?? text.count) - start)
            try call.heap.append(try call.heap.string(part), to: result)
            guard let end else { return Cell(.list, result) }
            start = end + separator.count
        }
    }

    private static func number(
        _ bytes: [UInt8], _ arguments: Arguments, _ width: Int
    ) throws(HostFailure) -> ScriptValue {
        guard bytes.count >= width else {
            throw HostFailure(
                .outOfRange,
                "\(width) bytes are read, and there \(bytes.count == 1 ? "is only 1" : "are \(bytes.count)")")
        }
        let offset = Int(try arguments.integer(0, in: 0...Int128(bytes.count - width)))
        return .int((0..<width).reduce(0) { $0 | Int128(bytes[offset + $1]) << ($1 * 8) })
    }
}

/// Where a pattern occurs in a text, from left to right.
struct Occurrences {
    struct Occurrence {
        /// The text between the occurrence before and this one.
        let before: ScriptValue
        let text: ScriptValue
        /// In code points.
        let range: Range<Int>
        /// What the groups have matched, nil for those that took no part.
        let groups: [ScriptValue]
    }

    private(set) var all: [Occurrence] = []

    var isEmpty: Bool { all.isEmpty }

    /// Looks in the argument at an index, for so many occurrences at most.
    init(of regex: RegularExpression, _ arguments: Arguments, _ index: Int = 0, limit: Int = .max) throws {
        let text = try arguments.string(index)
        try arguments.context.pay(text.utf8.count / 64)
        let scalars = Array(text.unicodeScalars)
        let values = scalars.map(\.value)
        func part(_ range: Range<Int>) -> ScriptValue { .string(String(String.UnicodeScalarView(scalars[range]))) }
        var (start, end) = (0, 0)
        while start <= values.count, all.count < limit,
            let match = try regex.firstMatch(in: values, from: start, pay: arguments.context.pay),
            let range = match.first ?? nil
        {
            all.append(
                Occurrence(
                    before: part(end..<range.lowerBound), text: part(range), range: range,
                    groups: match.dropFirst().map { $0.map(part) ?? .nil }))
            end = range.upperBound
            // An empty occurrence does not come again.
            start = range.isEmpty ? range.upperBound + 1 : range.upperBound
        }
    }
}
