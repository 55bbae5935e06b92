import VScriptSyntax

// Values as text.

extension Value {
    /// The value as `print` and interpolation write it: a string as it is, others as a script would.
    package var text: String {
        if case .string(let text) = self { return text }
        return source()
    }

    /// The value as it would be written in a script; a collection too deep or too long to write ends in `…`.
    package func source() -> String {
        var output = ""
        write(to: &output, depth: 0)
        return output
    }

    /// How many bytes of a collection are written.
    private static let writeLimit = 1 << 20

    private func write(to output: inout String, depth: Int) {
        switch self {
        case .nil: output += "nil"
        case .bool(let value): output += String(value)
        case .int(let value): output += String(value)
        case .float(let value): output += value.isNaN ? "nan" : "\(value)"
        case .duration(let value): output += Self.text(ofNanoseconds: value)
        case .string(let text): output += Self.quoted(text)
        case .symbol(let name): output += ".\(name)"
        case .bytes(let bytes): output += "hex\"\(bytes.map { Self.hexadecimal($0) }.joined(separator: " "))\""
        case .range(let range): output += "\(range.lowerBound)..<\(range.upperBound)"
        case .regex(let regex): output += "re\"\(regex.pattern)\""
        case .list(let list):
            Self.write(list.items, to: &output, depth: depth, empty: "") { $0.write(to: &$1, depth: depth + 1) }
        case .map(let map):
            Self.write(map.pairs, to: &output, depth: depth, empty: ":") { pair, output in
                if case .string(let text) = pair.key, text.isIdentifier {
                    output += text
                } else {
                    pair.key.write(to: &output, depth: depth + 1)
                }
                output += ": "
                pair.value.write(to: &output, depth: depth + 1)
            }
        case .function(let function): output += "fn \(function.name)"
        case .object(let object): output += object.text
        }
    }

    private static func write<Item>(
        _ items: [Item], to output: inout String, depth: Int, empty: String, _ write: (Item, inout String) -> Void
    ) {
        guard depth <= 16 else { return output += "[…]" }
        output += items.isEmpty ? "[\(empty)" : "["
        for (index, item) in items.enumerated() {
            if index > 0 { output += ", " }
            guard output.utf8.count < writeLimit else {
                output += "…"
                break
            }
            write(item, &output)
        }
        output += "]"
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 32 || scalar.value == 127:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            case _: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// A duration in its largest unit that makes it at least 1, exactly.
    static func text(ofNanoseconds value: Int64) -> String {
        let magnitude = value.magnitude
        let unit = Unit.all.last {
            $0.quantity == .time && $0.multiplier <= max(magnitude, 1) && $0.multiplier <= 1_000_000_000
        }
        guard let unit else { return "\(value) ns" }
        var text = (value < 0 ? "-" : "") + String(magnitude / unit.multiplier)
        let rest = magnitude % unit.multiplier
        if rest > 0 {
            let width = String(unit.multiplier).count - 1
            let digits = String(rest)
            var fraction = String(repeating: "0", count: width - digits.count) + digits
            while fraction.last == "0" { fraction.removeLast() }
            text += ".\(fraction)"
        }
        return "\(text) \(unit.name)"
    }
}

extension String {
    /// Whether the text could be a name in a script.
    var isIdentifier: Bool {
        guard let first = utf8.first else { return false }
        return (first | 0x20) &- 0x61 < 26 || first == UInt8(ascii: "_")
            ? utf8.allSatisfy { ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == UInt8(ascii: "_") } : false
    }
}

extension FormatSpecification {
    /// A value written to the specification.
    func apply(to value: Value) throws(HostFailure) -> String {
        switch value {
        case .int(let number):
            switch notation {
            case .fixed, .exponent, .general, .percent:
                return pad(sign: number < 0, digits(Double(number)), isNumber: true)
            case .decimal, .hexadecimal, .upperHexadecimal, .octal, .binary, nil:
                return pad(sign: number < 0, digits(number.magnitude), isNumber: true)
            case .codePoint:
                guard let scalar = UInt32(exactly: number).flatMap(Unicode.Scalar.init) else { throw mismatch(value) }
                return pad(String(Character(scalar)))
            case .text: throw mismatch(value)
            }
        case .float(let number):
            switch notation {
            case .fixed, .exponent, .general, .percent, nil:
                return pad(sign: number.sign == .minus, digits(number), isNumber: true)
            case .decimal, .hexadecimal, .upperHexadecimal, .octal, .binary, .codePoint, .text: throw mismatch(value)
            }
        case .duration(let time) where notation == .fixed || notation == .exponent || notation == .general:
            return pad(sign: time < 0, digits(Double(time) / 1e9), isNumber: true)
        case .nil, .bool, .duration, .string, .symbol, .bytes, .range, .regex, .list, .map, .function, .object:
            guard notation == nil || notation == .text, sign == .onlyMinus, !alternate, grouping == nil else {
                throw mismatch(value)
            }
            let text = value.text
            return pad(precision.map { String(text.prefix($0)) } ?? text)
        }
    }

    private func mismatch(_ value: Value) -> HostFailure {
        HostFailure(.wrongFormat, "this format does not fit \(value.typeName)")
    }

    // MARK: - Digits

    private func digits(_ magnitude: UInt128) -> (prefix: String, digits: String) {
        switch notation {
        case .hexadecimal: (alternate ? "0x" : "", group(String(magnitude, radix: 16), by: 4))
        case .upperHexadecimal: (alternate ? "0X" : "", group(String(magnitude, radix: 16, uppercase: true), by: 4))
        case .octal: (alternate ? "0o" : "", group(String(magnitude, radix: 8), by: 4))
        case .binary: (alternate ? "0b" : "", group(String(magnitude, radix: 2), by: 4))
        case .decimal, .codePoint, .fixed, .exponent, .general, .percent, .text, nil:
            ("", group(String(magnitude), by: 3))
        }
    }

    private func digits(_ number: Double) -> (prefix: String, digits: String) {
        guard number.isFinite else { return ("", number.isNaN ? "nan" : "inf") }
        let text =
            switch notation {
            case .exponent: Decimal(number).exponent(precision: precision ?? 6)
            case .percent: Decimal(number * 100).fixed(precision: precision ?? 6) + "%"
            case .general: Decimal(number).general(precision: max(precision ?? 6, 1))
            case .fixed: Decimal(number).fixed(precision: precision ?? 6)
            case .decimal, .hexadecimal, .upperHexadecimal, .octal, .binary, .codePoint, .text, nil:
                precision.map { Decimal(number).general(precision: max($0, 1)) } ?? "\(number.magnitude)"
            }
        let whole = text.prefix { $0.isNumber }
        return ("", group(String(whole), by: 3) + text.dropFirst(whole.count))
    }

    private func group(_ digits: String, by size: Int) -> String {
        guard let grouping else { return digits }
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: size) { result.append(grouping) }
            result.append(digit)
        }
        return result
    }

    // MARK: - Padding

    private func pad(sign isNegative: Bool, _ number: (prefix: String, digits: String), isNumber: Bool) -> String {
        let mark = isNegative ? "-" : sign == .always ? "+" : sign == .space ? " " : ""
        let head = mark + number.prefix
        guard alignment == .afterSign else { return pad(head + number.digits, defaultAlignment: .right) }
        let missing = width - head.count - number.digits.count
        return head + String(repeating: fill, count: max(missing, 0)) + number.digits
    }

    private func pad(_ text: String, defaultAlignment: Alignment = .left) -> String {
        let missing = max(width - text.count, 0)
        switch alignment ?? defaultAlignment {
        case .left: return text + String(repeating: fill, count: missing)
        case .right, .afterSign: return String(repeating: fill, count: missing) + text
        case .center:
            return String(repeating: fill, count: missing / 2) + text
                + String(repeating: fill, count: missing - missing / 2)
        }
    }
}
