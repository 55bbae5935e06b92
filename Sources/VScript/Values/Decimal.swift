/// The exact decimal digits of a double, for writing it with a given number of them.
struct Decimal {
    /// The digits of the magnitude, most significant first, without leading zeros.
    private var digits: [UInt8]
    /// How many of the digits stand before the point; may be negative.
    private var point: Int

    /// The exact value of a finite number's magnitude.
    init(_ number: Double) {
        let significand =
            number.exponentBitPattern == 0 ? number.significandBitPattern : number.significandBitPattern | 1 << 52
        let exponent = max(Int(number.exponentBitPattern), 1) - 1075
        digits = String(significand).utf8.map { $0 - 48 }
        point = digits.count
        for _ in 0..<max(exponent, 0) { double() }
        for _ in 0..<max(-exponent, 0) { halve() }
        trim()
    }

    private mutating func double() {
        var carry: UInt8 = 0
        for index in digits.indices.reversed() {
            let value = digits[index] * 2 + carry
            digits[index] = value % 10
            carry = value / 10
        }
        if carry > 0 {
            digits.insert(carry, at: 0)
            point += 1
        }
    }

    private mutating func halve() {
        var remainder: UInt8 = 0
        for index in digits.indices {
            let value = remainder * 10 + digits[index]
            digits[index] = value / 2
            remainder = value % 2
        }
        if remainder > 0 { digits.append(5) }
        if digits.first == 0, digits.count > 1 {
            digits.removeFirst()
            point -= 1
        }
    }

    private mutating func trim() {
        while digits.last == 0 { digits.removeLast() }
        if digits.isEmpty { point = 0 }
    }

    /// Rounds to the first `count` digits, halves to even.
    private func rounded(to count: Int) -> Decimal {
        guard count < digits.count else { return self }
        var result = self
        guard count >= 0 else {
            result.digits = []
            result.point = 0
            return result
        }
        let rest = digits[count...]
        let isOdd = count > 0 && digits[count - 1] % 2 == 1
        let isUp = rest[count] > 5 || rest[count] == 5 && (rest.count > 1 || isOdd)
        result.digits = Array(digits[..<count])
        if isUp { result.increment() }
        result.trim()
        return result
    }

    private mutating func increment() {
        for index in digits.indices.reversed() {
            if digits[index] < 9 {
                digits[index] += 1
                return
            }
            digits[index] = 0
        }
        digits.insert(1, at: 0)
        point += 1
    }

    private func digit(_ place: Int) -> Character {
        digits.indices.contains(place) ? Character(Unicode.Scalar(48 + digits[place])) : "0"
    }

    /// Plain notation with that many digits after the point.
    func fixed(precision: Int) -> String {
        let value = rounded(to: point + precision)
        let whole = value.point > 0 ? String((0..<value.point).map(value.digit)) : "0"
        return precision == 0 ? whole : whole + "." + String((value.point..<value.point + precision).map(value.digit))
    }

    /// One digit, the point, that many digits and the power of ten.
    func exponent(precision: Int) -> String {
        let value = rounded(to: precision + 1)
        let mantissa = String(value.digit(0)) + (precision > 0 ? "." + String((1...precision).map(value.digit)) : "")
        let power = value.digits.isEmpty ? 0 : value.point - 1
        return mantissa + (power < 0 ? "e-" : "e+") + (abs(power) < 10 ? "0" : "") + String(abs(power))
    }

    /// The shorter of both notations, with that many significant digits and no trailing zeros.
    func general(precision: Int) -> String {
        let value = rounded(to: precision)
        let power = value.digits.isEmpty ? 0 : value.point - 1
        if power < -4 || power >= precision { return value.exponent(precision: max(value.digits.count - 1, 0)) }
        return value.fixed(precision: max(value.digits.count - value.point, 0))
    }
}
