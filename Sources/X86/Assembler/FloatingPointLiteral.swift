/// Converts decimal floating-point numbers to the formats of `dd`, `dq` and `dt`, rounded to nearest even (IEEE 754
/// section 5.12.2), without help of the host's arithmetic.
enum FloatingPointLiteral {
    /// A binary format (SDM volume 1 section 4.2.2).
    private struct Format {
        /// Bits of the significand with the leading one.
        var precision: Int
        var exponentBits: Int
        /// True if the leading one is stored (80-bit extended).
        var storesLeadingOne: Bool

        var bias: Int { 1 << (exponentBits - 1) - 1 }
    }

    /// The little-endian bytes of a number as written, or nil if there is no format of this length.
    static func encode(_ spelling: String, bytes: Int) -> [UInt8]? {
        let format: Format
        switch bytes {
        case 4: format = Format(precision: 24, exponentBits: 8, storesLeadingOne: false)
        case 8: format = Format(precision: 53, exponentBits: 11, storesLeadingOne: false)
        case 10: format = Format(precision: 64, exponentBits: 15, storesLeadingOne: true)
        default: return nil
        }
        guard let decimal = Decimal(spelling) else { return nil }
        let (significand, exponent) = round(decimal, format)
        let stored = format.storesLeadingOne ? format.precision : format.precision - 1
        let fraction = stored == 64 ? significand : significand & (1 << UInt64(stored) - 1)
        let high = UInt64(exponent) | (decimal.isNegative ? 1 << UInt64(format.exponentBits) : 0)
        return (0..<bytes).map { index in
            let bit = index * 8
            let low = bit < 64 ? fraction >> UInt64(bit) : 0
            let shift = stored - bit
            let upper = shift >= 64 ? 0 : shift >= 0 ? high << UInt64(shift) : high >> UInt64(-shift)
            return UInt8(truncatingIfNeeded: (bit < stored ? low : 0) | upper)
        }
    }

    /// A number as digits times a power of ten.
    private struct Decimal {
        var digits: [UInt8] = []
        var exponent = 0
        var isNegative = false

        /// The digits that can matter: the longest exact halfway point of the 80-bit format has about 11,500.
        private static let mostDigits = 12_000

        init?(_ spelling: String) {
            var rest = spelling.utf8[...]
            if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") {
                isNegative = rest.removeFirst() == UInt8(ascii: "-")
            }
            var seenPoint = false
            while let byte = rest.first, byte | 0x20 != UInt8(ascii: "e") {
                rest.removeFirst()
                if byte == UInt8(ascii: ".") {
                    seenPoint = true
                    continue
                }
                guard byte >= 0x30, byte <= 0x39 else { return nil }
                if seenPoint { exponent -= 1 }
                if digits.count >= Self.mostDigits {
                    exponent += 1
                    // Only whether something follows matters
                    if byte != 0x30 { digits[digits.count - 1] |= 1 }
                } else if !digits.isEmpty || byte != 0x30 {
                    digits.append(byte - 0x30)
                }
            }
            guard !rest.isEmpty else { return }
            rest.removeFirst()
            guard let written = Int(String(decoding: rest.prefix(12), as: UTF8.self)) else { return nil }
            exponent +=
                rest.count > 12 ? (written < 0 ? -1_000_000 : 1_000_000) : max(-1_000_000, min(written, 1_000_000))
        }
    }

    /// The rounded significand and the biased exponent.
    private static func round(_ decimal: Decimal, _ format: Format) -> (significand: UInt64, exponent: Int) {
        let infinity = (UInt64(1) << UInt64(format.precision - 1), 1 << format.exponentBits - 1)
        let magnitude = decimal.digits.count + decimal.exponent
        if decimal.digits.isEmpty || magnitude < -5_000 { return (0, 0) }
        if magnitude > 5_000 { return infinity }
        // numerator / denominator is the number
        var numerator = Natural(decimal: decimal.digits)
        var denominator = Natural(1)
        if decimal.exponent >= 0 {
            numerator.multiply(byPowerOfTen: decimal.exponent)
        } else {
            denominator.multiply(byPowerOfTen: -decimal.exponent)
        }
        // Scale so that the quotient has exactly `precision` bits, or fewer if the number is subnormal
        var scale = numerator.bitWidth - denominator.bitWidth - format.precision
        let smallest = 2 - format.bias - format.precision
        while true {
            scale = max(scale, smallest)
            var (top, bottom) = (numerator, denominator)
            if scale < 0 { top.shiftLeft(-scale) } else { bottom.shiftLeft(scale) }
            let (quotient, remainder) = top.divided(by: bottom, bits: format.precision + 1)
            guard let quotient else {
                scale += 1
                continue
            }
            return finish(quotient, remainder, bottom, scale, smallest, format) ?? infinity
        }
    }

    private static func finish(
        _ quotient: UInt64, _ remainder: Natural, _ divisor: Natural, _ scale: Int, _ smallest: Int, _ format: Format
    ) -> (significand: UInt64, exponent: Int)? {
        var significand = quotient
        var scale = scale
        var twice = remainder
        twice.shiftLeft(1)
        let order = twice.compare(divisor)
        if order > 0 || order == 0 && significand & 1 == 1 {
            significand = significand &+ 1
            if format.precision < 64 ? significand == 1 << UInt64(format.precision) : significand == 0 {
                significand = 1 << UInt64(format.precision - 1)
                scale += 1
            }
        }
        let isNormal = significand >> UInt64(format.precision - 1) != 0
        let exponent = isNormal ? scale - smallest + 1 : 0
        return exponent >= 1 << format.exponentBits - 1 ? nil : (significand, exponent)
    }
}

/// A natural number of any size: just what the conversion of decimal numbers needs.
private struct Natural {
    /// 32-bit digits, the lowest first, without leading zeros.
    private var digits: [UInt32] = []

    init(_ value: UInt32) { digits = value == 0 ? [] : [value] }

    init(decimal: [UInt8]) {
        for digit in decimal { multiply(by: 10, adding: UInt32(digit)) }
    }

    var bitWidth: Int {
        digits.last.map { digits.count * 32 - $0.leadingZeroBitCount } ?? 0
    }

    private mutating func multiply(by factor: UInt32, adding summand: UInt32 = 0) {
        var carry = UInt64(summand)
        for index in digits.indices {
            carry &+= UInt64(digits[index]) &* UInt64(factor)
            digits[index] = UInt32(truncatingIfNeeded: carry)
            carry >>= 32
        }
        if carry != 0 { digits.append(UInt32(truncatingIfNeeded: carry)) }
    }

    mutating func multiply(byPowerOfTen exponent: Int) {
        for _ in 0..<exponent / 9 { multiply(by: 1_000_000_000) }
        for _ in 0..<exponent % 9 { multiply(by: 10) }
    }

    mutating func shiftLeft(_ count: Int) {
        guard count > 0, !digits.isEmpty else { return }
        let (words, bits) = (count / 32, UInt64(count % 32))
        var carry: UInt64 = 0
        for index in digits.indices {
            carry |= UInt64(digits[index]) << bits
            digits[index] = UInt32(truncatingIfNeeded: carry)
            carry >>= 32
        }
        if carry != 0 { digits.append(UInt32(truncatingIfNeeded: carry)) }
        digits.insert(contentsOf: repeatElement(0, count: words), at: 0)
    }

    /// Negative, 0 or positive as the number is less than, equal to or greater than the other.
    func compare(_ other: Natural) -> Int {
        if digits.count != other.digits.count { return digits.count - other.digits.count }
        for (left, right) in zip(digits.reversed(), other.digits.reversed()) where left != right {
            return left < right ? -1 : 1
        }
        return 0
    }

    private mutating func subtract(_ other: Natural) {
        var borrow: Int64 = 0
        for index in digits.indices {
            let value = Int64(digits[index]) - (index < other.digits.count ? Int64(other.digits[index]) : 0) + borrow
            digits[index] = UInt32(truncatingIfNeeded: value)
            borrow = value >> 32
        }
        while digits.last == 0 { digits.removeLast() }
    }

    private mutating func halve() {
        var carry: UInt32 = 0
        for index in digits.indices.reversed() {
            let value = digits[index]
            digits[index] = value >> 1 | carry << 31
            carry = value & 1
        }
        while digits.last == 0 { digits.removeLast() }
    }

    /// Quotient and remainder; the quotient is nil if it has `bits` bits or more.
    func divided(by divisor: Natural, bits: Int) -> (quotient: UInt64?, remainder: Natural) {
        var remainder = self
        var shifted = divisor
        shifted.shiftLeft(bits - 1)
        guard remainder.compare(shifted) < 0 else { return (nil, remainder) }
        var quotient: UInt64 = 0
        for _ in 0..<bits - 1 {
            shifted.halve()
            quotient <<= 1
            if remainder.compare(shifted) >= 0 {
                remainder.subtract(shifted)
                quotient |= 1
            }
        }
        return (quotient, remainder)
    }
}
