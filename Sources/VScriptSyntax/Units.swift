/// A unit that may follow a number.
package struct Unit: Sendable {
    /// What a unit measures, and so what kind of value it makes.
    package enum Quantity: Sendable {
        /// Bytes; the value is an int.
        case size
        /// Hertz; the value is an int.
        case frequency
        /// Nanoseconds; the value is a duration.
        case time
    }

    package let name: String
    package let quantity: Quantity
    /// How many bytes, hertz or nanoseconds one of it is.
    package let multiplier: UInt64

    // swift-format-ignore
    package static let all: [Unit] = [
        .init(name: "B",   quantity: .size, multiplier: 1),
        .init(name: "KiB", quantity: .size, multiplier: 1 << 10),
        .init(name: "MiB", quantity: .size, multiplier: 1 << 20),
        .init(name: "GiB", quantity: .size, multiplier: 1 << 30),
        .init(name: "TiB", quantity: .size, multiplier: 1 << 40),
        .init(name: "KB",  quantity: .size, multiplier: 1_000),
        .init(name: "MB",  quantity: .size, multiplier: 1_000_000),
        .init(name: "GB",  quantity: .size, multiplier: 1_000_000_000),
        .init(name: "TB",  quantity: .size, multiplier: 1_000_000_000_000),
        .init(name: "Hz",  quantity: .frequency, multiplier: 1),
        .init(name: "kHz", quantity: .frequency, multiplier: 1_000),
        .init(name: "MHz", quantity: .frequency, multiplier: 1_000_000),
        .init(name: "GHz", quantity: .frequency, multiplier: 1_000_000_000),
        .init(name: "ns",  quantity: .time, multiplier: 1),
        .init(name: "us",  quantity: .time, multiplier: 1_000),
        .init(name: "ms",  quantity: .time, multiplier: 1_000_000),
        .init(name: "s",   quantity: .time, multiplier: 1_000_000_000),
        .init(name: "min", quantity: .time, multiplier: 60_000_000_000),
        .init(name: "h",   quantity: .time, multiplier: 3_600_000_000_000),
    ]

    /// The unit of a name.
    package static func named(_ name: some StringProtocol) -> Unit? { all.first { $0.name == name } }
}

/// What a number in a script stands for.
package enum NumberValue: Sendable, Equatable {
    case integer(UInt64)
    case float(Double)
    /// Nanoseconds.
    case duration(Int64)

    /// Why a well-formed number has no value.
    package enum Failure: Error, Equatable {
        /// It does not fit 64 bits.
        case outOfRange
        /// With its unit it is not a whole number of bytes, hertz or nanoseconds.
        case notWhole
    }

    /// The value of a number's text, which the lexer has found well formed, with an optional unit.
    package init(_ text: String, unit: Unit?) throws(Failure) {
        let digits = text.filter { $0 != "_" }
        if let radix = Self.radix(digits) {
            guard let value = UInt64(digits.dropFirst(2), radix: radix) else { throw .outOfRange }
            self = try Self.whole(UInt128(value), powerOfTen: 0, unit: unit)
            return
        }
        let parts = digits.lowercased().split(separator: "e")
        let mantissa = parts[0].split(separator: ".")
        let fraction = mantissa.count > 1 ? String(mantissa[1]) : ""
        if unit == nil, mantissa.count > 1 || parts.count > 1 {
            guard let value = Double(digits), value.isFinite else { throw .outOfRange }
            self = .float(value)
            return
        }
        guard let value = UInt128(String(mantissa[0]) + fraction), value <= UInt128(UInt64.max) * 1_000_000_000_000
        else {
            throw .outOfRange
        }
        let exponent = parts.count > 1 ? Int(parts[1]) ?? .max : 0
        guard abs(exponent) < 64 else { throw .outOfRange }
        self = try Self.whole(value, powerOfTen: exponent - fraction.count, unit: unit)
    }

    /// `digits × 10^powerOfTen × unit` if it is whole and fits.
    private static func whole(_ digits: UInt128, powerOfTen: Int, unit: Unit?) throws(Failure) -> NumberValue {
        var (value, overflow) = digits.multipliedReportingOverflow(by: UInt128(unit?.multiplier ?? 1))
        for _ in 0..<max(powerOfTen, 0) where !overflow {
            (value, overflow) = value.multipliedReportingOverflow(by: 10)
        }
        for _ in 0..<max(-powerOfTen, 0) {
            guard value % 10 == 0 else { throw .notWhole }
            value /= 10
        }
        switch unit?.quantity {
        case .time:
            guard !overflow, let nanoseconds = Int64(exactly: value) else { throw .outOfRange }
            return .duration(nanoseconds)
        case .size, .frequency, nil:
            guard !overflow, let integer = UInt64(exactly: value) else { throw .outOfRange }
            return .integer(integer)
        }
    }

    private static func radix(_ digits: String) -> Int? {
        if digits.hasPrefix("0x") { return 16 }
        if digits.hasPrefix("0b") { return 2 }
        return digits.hasPrefix("0o") ? 8 : nil
    }
}
