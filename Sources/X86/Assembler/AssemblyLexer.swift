/// Splits assembly source into tokens.
///
/// `//` begins a comment, `;` and the end of a line end a statement. Numbers and strings follow NASM's manual,
/// sections 3.4.1 "Numeric Constants" and 3.4.2 "Character Strings".
struct AssemblyLexer {
    private let bytes: [UInt8]
    private var position = 0
    private(set) var tokens: [AssemblyToken] = []
    private(set) var mistakes: [SourceMistake] = []

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        while position < bytes.count { scan() }
        tokens.append(AssemblyToken(kind: .endOfLine, range: bytes.count..<bytes.count))
    }

    private func byte(_ offset: Int) -> UInt8 {
        let index = position + offset
        return index < bytes.count ? bytes[index] : 0
    }

    private mutating func add(_ kind: AssemblyToken.Kind, length: Int) {
        tokens.append(AssemblyToken(kind: kind, range: position..<position + length))
        position += length
    }

    private mutating func report(_ mistake: SourceMistake) {
        if mistakes.count < SourceMistake.most { mistakes.append(mistake) }
    }

    private mutating func scan() {
        let first = byte(0)
        switch first {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
            position += 1
        case UInt8(ascii: "\n"):
            add(.endOfLine, length: 1)
        case UInt8(ascii: ";"):
            add(.semicolon, length: 1)
        case UInt8(ascii: "/") where byte(1) == UInt8(ascii: "/"):
            while position < bytes.count, byte(0) != UInt8(ascii: "\n") { position += 1 }
        case UInt8(ascii: "'"), UInt8(ascii: "\""):
            scanString(quote: first)
        case UInt8(ascii: "`"):
            scanEscapedString()
        case UInt8(ascii: "$") where Self.isDigit(byte(1)):
            scanNumber()
        case UInt8(ascii: "$") where Self.beginsName(byte(1)):
            // NASM: a dollar sign makes a name out of a reserved word.
            scanName(length: nameLength(from: 1) + 1)
        case _ where Self.isDigit(first):
            scanNumber()
        case _ where Self.beginsName(first):
            scanName(length: nameLength(from: 0))
        default:
            scanSymbol()
        }
    }

    private func text(from start: Int, length: Int) -> String {
        String(decoding: bytes[start..<start + length], as: UTF8.self)
    }

    // MARK: - Names and symbols

    static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isLetter(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z")
    }

    private static func beginsName(_ byte: UInt8) -> Bool {
        isLetter(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte >= 0x80
    }

    private static func continuesName(_ byte: UInt8) -> Bool {
        beginsName(byte) || isDigit(byte) || byte == UInt8(ascii: "@") || byte == UInt8(ascii: "#")
            || byte == UInt8(ascii: "$") || byte == UInt8(ascii: "?")
    }

    private func nameLength(from start: Int) -> Int {
        var length = 0
        while Self.continuesName(byte(start + length)) { length += 1 }
        return length
    }

    private mutating func scanName(length: Int) {
        if length > Self.longestName {
            let range = position..<position + length
            report(SourceMistake(range, "a name has at most \(Self.longestName) characters"))
            skipLine()
        } else {
            add(.name(text(from: position, length: length)), length: length)
        }
    }

    private static let longestName = 255

    private mutating func scanSymbol() {
        let rest = bytes[position...]
        for (spelling, symbol) in AssemblySymbol.longestFirst where rest.starts(with: spelling) {
            add(.symbol(symbol), length: spelling.count)
            return
        }
        let range = position..<position + 1
        if byte(0) == UInt8(ascii: "#") {
            let hint = "comments begin with `//`"
            report(SourceMistake(range, "unexpected `#`", hint: hint))
        } else if byte(0) == UInt8(ascii: "\\") {
            report(SourceMistake(range, "unexpected `\\`"))
        } else if byte(0) >= 0x20 && byte(0) < 0x7F {
            report(SourceMistake(range, "unexpected `\(text(from: position, length: 1))`"))
        } else {
            report(SourceMistake(range, "unexpected control character"))
        }
        skipLine()
    }

    /// Leaves the rest of a line that cannot be split, so that one mistake is reported once.
    private mutating func skipLine() {
        let start = position
        while position < bytes.count, byte(0) != UInt8(ascii: "\n") { position += 1 }
        tokens.append(AssemblyToken(kind: .invalid, range: start..<position))
    }

    // MARK: - Strings

    private mutating func scanString(quote: UInt8) {
        var length = 1
        while byte(length) != quote {
            guard position + length < bytes.count, byte(length) != UInt8(ascii: "\n") else {
                unterminated(length)
                return
            }
            length += 1
        }
        add(.string(Array(bytes[position + 1..<position + length])), length: length + 1)
    }

    private mutating func unterminated(_ length: Int) {
        report(SourceMistake(position..<position + length, "this string has no end"))
        skipLine()
    }

    /// A string in back quotes, with the escapes of C.
    private mutating func scanEscapedString() {
        var content: [UInt8] = []
        var length = 1
        while byte(length) != UInt8(ascii: "`") {
            guard position + length < bytes.count, byte(length) != UInt8(ascii: "\n") else {
                unterminated(length)
                return
            }
            if byte(length) == UInt8(ascii: "\\") {
                length += scanEscape(at: length, into: &content)
            } else {
                content.append(byte(length))
                length += 1
            }
        }
        add(.string(content), length: length + 1)
    }

    /// Appends what the escape at `offset` stands for and returns its length.
    private mutating func scanEscape(at offset: Int, into content: inout [UInt8]) -> Int {
        let simple: [UInt8: UInt8] = [
            UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "t"): 9, UInt8(ascii: "n"): 10,
            UInt8(ascii: "v"): 11, UInt8(ascii: "f"): 12, UInt8(ascii: "r"): 13, UInt8(ascii: "e"): 27,
            UInt8(ascii: "'"): 39, UInt8(ascii: "\""): 34, UInt8(ascii: "`"): 96, UInt8(ascii: "\\"): 92,
            UInt8(ascii: "?"): 63,
        ]
        let letter = byte(offset + 1)
        if let value = simple[letter] {
            content.append(value)
            return 2
        }
        switch letter {
        case UInt8(ascii: "x"):
            let (value, count) = digits(at: offset + 2, radix: 16, most: 2)
            guard count > 0 else { break }
            content.append(UInt8(truncatingIfNeeded: value))
            return 2 + count
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let most = letter == UInt8(ascii: "u") ? 4 : 8
            let (value, count) = digits(at: offset + 2, radix: 16, most: most)
            guard count == most, let scalar = Unicode.Scalar(UInt32(truncatingIfNeeded: value)) else { break }
            content.append(contentsOf: String(Character(scalar)).utf8)
            return 2 + count
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            let (value, count) = digits(at: offset + 1, radix: 8, most: 3)
            content.append(UInt8(truncatingIfNeeded: value))
            return 1 + count
        default:
            break
        }
        let start = position + offset
        report(SourceMistake(start..<min(start + 2, bytes.count), "unknown escape in a string"))
        return letter == UInt8(ascii: "\n") || start + 1 >= bytes.count ? 1 : 2
    }

    private func digits(at offset: Int, radix: UInt64, most: Int) -> (value: UInt64, count: Int) {
        var value: UInt64 = 0
        var count = 0
        while count < most, let digit = Self.digitValue(byte(offset + count)), digit < radix {
            value = value &* radix &+ digit
            count += 1
        }
        return (value, count)
    }

    // MARK: - Numbers

    private static func digitValue(_ byte: UInt8) -> UInt64? {
        if isDigit(byte) { return UInt64(byte &- UInt8(ascii: "0")) }
        let lower = byte | 0x20
        guard lower >= UInt8(ascii: "a"), lower <= UInt8(ascii: "z") else { return nil }
        return UInt64(lower &- UInt8(ascii: "a")) + 10
    }

    private static func radix(ofLetter byte: UInt8) -> UInt64? {
        switch byte | 0x20 {
        case UInt8(ascii: "b"), UInt8(ascii: "y"): 2
        case UInt8(ascii: "o"), UInt8(ascii: "q"): 8
        case UInt8(ascii: "d"), UInt8(ascii: "t"): 10
        case UInt8(ascii: "h"), UInt8(ascii: "x"): 16
        default: nil
        }
    }

    private mutating func scanNumber() {
        var length = 1
        while Self.isDigit(byte(length)) || Self.isLetter(byte(length)) || byte(length) == UInt8(ascii: "_") {
            length += 1
        }
        if let floatLength = floatLength(afterWord: length) {
            let spelling = text(from: position, length: floatLength).filter { $0 != "_" }
            add(.float(spelling), length: floatLength)
            return
        }
        let range = position..<position + length
        let digits = bytes[range].filter { $0 != UInt8(ascii: "_") }
        switch Self.value(of: digits) {
        case .success(let value):
            add(.number(value), length: length)
        case .failure(let problem):
            let spelling = text(from: position, length: length)
            let message =
                switch problem {
                case .digit: "`\(spelling)` is not a number"
                case .tooLarge: "\(spelling) does not fit in 64 bits"
                }
            report(SourceMistake(range, message))
            add(.number(0), length: length)
        }
    }

    private enum NumberProblem: Error { case digit, tooLarge }

    /// Reads a number whose radix stands before (`0x1F`, `$1F`) or after its digits (`1Fh`); if both could be meant,
    /// as in `0b1h`, the larger radix holds.
    private static func value(of spelling: [UInt8]) -> Result<UInt64, NumberProblem> {
        var digits = spelling[...]
        var prefixLength = 0
        var prefixRadix: UInt64 = 0
        if let first = digits.first, first == UInt8(ascii: "$") {
            (prefixLength, prefixRadix) = (1, 16)
        } else if digits.count > 2, digits.first == UInt8(ascii: "0"), let radix = radix(ofLetter: spelling[1]) {
            (prefixLength, prefixRadix) = (2, radix)
        }
        let suffixRadix = digits.count > 1 ? digits.last.flatMap(radix(ofLetter:)) ?? 0 : 0
        var radix: UInt64 = 10
        if prefixRadix > suffixRadix {
            radix = prefixRadix
            digits = digits.dropFirst(prefixLength)
        } else if suffixRadix > prefixRadix {
            radix = suffixRadix
            digits = digits.dropLast()
        }
        var value: UInt64 = 0
        for byte in digits {
            guard let digit = digitValue(byte), digit < radix else { return .failure(.digit) }
            let (product, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = product.addingReportingOverflow(digit)
            guard !overflow, !carry else { return .failure(.tooLarge) }
            value = sum
        }
        return digits.isEmpty ? .failure(.digit) : .success(value)
    }

    /// The length of the floating-point number at the position, or nil if there is none: decimal digits with a
    /// point or an exponent.
    private func floatLength(afterWord wordLength: Int) -> Int? {
        var length = 0
        let isDigit: (UInt8) -> Bool = { Self.isDigit($0) || $0 == UInt8(ascii: "_") }
        while isDigit(byte(length)) { length += 1 }
        let hasPoint = byte(length) == UInt8(ascii: ".")
        if hasPoint {
            length += 1
            while isDigit(byte(length)) { length += 1 }
        }
        guard byte(length) | 0x20 == UInt8(ascii: "e") else { return hasPoint ? length : nil }
        var end = length + 1
        let hasSign = byte(end) == UInt8(ascii: "+") || byte(end) == UInt8(ascii: "-")
        if hasSign { end += 1 }
        guard Self.isDigit(byte(end)) else { return hasPoint ? length : nil }
        while isDigit(byte(end)) { end += 1 }
        // 1e5h is hexadecimal, 1e5 is not.
        return hasPoint || hasSign || end == wordLength ? end : nil
    }
}
