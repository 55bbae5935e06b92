/// The members of ints, floats and durations.
enum NumberMembers {
    static let integer = MemberTable<Int128>(
        properties: [
            Property("signed", "The 64-bit pattern as a signed int.") {
                .int(Int128(Int64(truncatingIfNeeded: $0)))
            },
            Property("unsigned", "The 64-bit pattern as an unsigned int.") {
                .int(Int128(UInt64(truncatingIfNeeded: $0)))
            },
            Property("abs", "The magnitude.", cells: { try Arithmetic.checked(abs($1.wide), "\($1.wide).abs") }),
            Property("hex", "The 64-bit pattern in hexadecimal, with its prefix.") {
                .string("0x" + String(UInt64(truncatingIfNeeded: $0), radix: 16))
            },
            Property("character", "The text of one character that has this code point.") {
                guard let scalar = UInt32(exactly: $0).flatMap(Unicode.Scalar.init) else {
                    throw HostFailure(.outOfRange, "\($0) is not a code point")
                }
                return .string(String(scalar))
            },
            Property("setBits", "How many bits of the 64-bit pattern are set.") {
                .integer(UInt64(truncatingIfNeeded: $0).nonzeroBitCount)
            },
        ],
        methods: [
            Builtin("sext(width)", "The lowest bits, extended with their sign.") { number, arguments in
                let width = try arguments.integer(0, in: 1...64)
                let shift = 64 - Int64(width)
                return .int(Int128((Int64(truncatingIfNeeded: number) << shift) >> shift))
            },
            Builtin("bits(range)", "The bits of a range, moved down to bit 0.") { number, arguments in
                guard case .range(let range) = arguments.value(0) else {
                    throw arguments.wrongType(0, "a range such as `0...11`")
                }
                guard range.lowerBound >= 0, range.upperBound <= 64 else {
                    throw HostFailure(.outOfRange, "bits are numbered from 0 to 63", argument: 0)
                }
                let pattern = UInt64(truncatingIfNeeded: number) >> UInt64(range.lowerBound)
                let width = UInt64(range.count)
                return .int(Int128(width < 64 ? pattern & (1 << width - 1) : pattern))
            },
            Builtin("bit(number)", "Whether a bit is set.") { number, arguments in
                let bit = try arguments.integer(0, in: 0...63)
                return .bool(UInt64(truncatingIfNeeded: number) >> UInt64(bit) & 1 == 1)
            },
            Builtin("bytes(count)", "The lowest bytes, the least significant first.") { number, arguments in
                let count = try arguments.integer(0, in: 1...8)
                return .bytes((0..<Int(count)).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) })
            },
        ])

    static let float = MemberTable<Double>(
        properties: [
            Property("abs", "The magnitude.") { .float($0.magnitude) },
            Property(
                "rounded", "The nearest whole number, halves away from 0.", cells: { try whole($1.double.rounded()) }),
            Property("floor", "The next lower whole number.", cells: { try whole($1.double.rounded(.down)) }),
            Property("ceil", "The next higher whole number.", cells: { try whole($1.double.rounded(.up)) }),
            Property("isNaN", "Whether it is not a number.") { .bool($0.isNaN) },
        ])

    static let duration = MemberTable<Int64>(
        properties: [
            Property(
                "abs", "The magnitude.",
                cells: {
                    $1.nanoseconds < 0 ? try Arithmetic.duration(0 &- $1.nanoseconds, $1.nanoseconds == .min) : $1
                }),
            Property("seconds", "The time in seconds.") { .float(Double($0) / 1e9) },
            Property("milliseconds", "The time in milliseconds.") { .float(Double($0) / 1e6) },
            Property("microseconds", "The time in microseconds.") { .float(Double($0) / 1e3) },
            Property("nanoseconds", "The time in nanoseconds, exactly.") { .int(Int128($0)) },
        ])

    /// A float without a fraction as an int.
    static func whole(_ value: Double) throws(HostFailure) -> Cell {
        guard let number = Int128(exactly: value) else {
            throw HostFailure(.overflow, "\(ScriptValue.float(value).text) does not fit an int")
        }
        return try Arithmetic.checked(number, "\(value)")
    }
}
