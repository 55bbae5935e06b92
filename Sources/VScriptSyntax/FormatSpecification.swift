/// How an interpolated value is written: Python's format mini-language.
///
/// `[[fill]align][sign]["#"]["0"][width][","|"_"]["." precision][type]`
package struct FormatSpecification: Sendable, Equatable {
    /// Where a text shorter than the width stands.
    package enum Alignment: Character, Sendable {
        case left = "<", right = ">", center = "^"
        /// Padding goes between the sign and the digits.
        case afterSign = "="
    }

    /// What stands before a number that is not negative.
    package enum Sign: Character, Sendable { case onlyMinus = "-", always = "+", space = " " }

    /// The notation.
    package enum Notation: Character, Sendable {
        case decimal = "d", hexadecimal = "x", upperHexadecimal = "X", octal = "o", binary = "b", codePoint = "c"
        case fixed = "f", exponent = "e", general = "g", percent = "%", text = "s"
    }

    package var fill: Character = " "
    package var alignment: Alignment?
    package var sign = Sign.onlyMinus
    /// Whether a radix prefix (`0x`) is written.
    package var alternate = false
    /// The least number of characters; at most 1,000.
    package var width = 0
    package var grouping: Character?
    /// Digits after the point, or the most characters of a text; at most 100.
    package var precision: Int?
    package var notation: Notation?

    /// The plain form.
    package init() {}

    /// A specification from its text; nil if the text is not one.
    package init?(_ text: some StringProtocol) {
        var rest = Array(text)[...]
        func takeNumber(limit: Int) -> Int?? {
            var digits = ""
            while let next = rest.first, next.isASCII, next.isNumber {
                digits.append(next)
                rest.removeFirst()
            }
            guard !digits.isEmpty else { return .some(nil) }
            guard let value = Int(digits), value <= limit else { return nil }
            return value
        }
        if rest.count >= 2, let found = Alignment(rawValue: rest[rest.startIndex + 1]) {
            fill = rest[rest.startIndex]
            alignment = found
            rest.removeFirst(2)
        } else if let found = rest.first.flatMap(Alignment.init(rawValue:)) {
            alignment = found
            rest.removeFirst()
        }
        if let found = rest.first.flatMap(Sign.init(rawValue:)) {
            sign = found
            rest.removeFirst()
        }
        if rest.first == "#" {
            alternate = true
            rest.removeFirst()
        }
        if rest.first == "0" {
            if alignment == nil { (fill, alignment) = ("0", .afterSign) }
            rest.removeFirst()
        }
        guard let width = takeNumber(limit: 1_000) else { return nil }
        self.width = width ?? 0
        if rest.first == "," || rest.first == "_" { grouping = rest.removeFirst() }
        if rest.first == "." {
            rest.removeFirst()
            guard let digits = takeNumber(limit: 100), let digits else { return nil }
            precision = digits
        }
        if let found = rest.first.flatMap(Notation.init(rawValue:)) {
            notation = found
            rest.removeFirst()
        }
        guard rest.isEmpty else { return nil }
    }
}
