import VScriptSyntax

// Values written to a format.

extension FormatSpecification {
    /// A value written to the specification.
    func apply(to value: ScriptValue) throws(HostFailure) -> String {
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

    private func mismatch(_ value: ScriptValue) -> HostFailure {
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
