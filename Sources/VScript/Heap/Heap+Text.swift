import VScriptSyntax

// Values as text.

extension Heap {
    /// The value as `print` and interpolation write it: a string as it is, others as a script would.
    func text(_ cell: Cell) -> String { cell.isString ? cell.string.text : source(cell) }

    /// The value as it would be written in a script; a collection too deep or too long to write ends in `…`.
    func source(_ cell: Cell) -> String {
        var output = ""
        var open: [UInt64] = []
        write(cell, to: &output, within: &open)
        return output
    }

    /// How many bytes of a collection are written.
    private static let writeLimit = 1 << 20
    /// How deep collections in collections are written.
    private static let depthLimit = 64

    /// `open` has the collections that are being written: one that holds itself is `[…]` there.
    private func write(_ cell: Cell, to output: inout String, within open: inout [UInt64]) {
        switch cell.kind {
        case .nil, .unset, .box: output += "nil"
        case .bool: output += cell.bool ? "true" : "false"
        case .int: output += String(cell.int)
        case .unsigned: output += String(cell.bits)
        case .float: output += cell.double.isNaN ? "nan" : "\(cell.double)"
        case .duration: output += Text.duration(nanoseconds: cell.nanoseconds)
        case .string: output += Text.quoted(cell.string.text)
        case .symbol: output += ".\(symbolName(cell))"
        case .bytes: output += "hex\"\(cell.bytes.buffer.map(Text.hexadecimal).joined(separator: " "))\""
        case .range: output += "\(cell.range.pointee.lower)..<\(cell.range.pointee.upper)"
        case .regex: output += "re\"\(hosted.regex(cell)?.pattern ?? "")\""
        case .list:
            write(cell, cell.list.pointee.count, to: &output, within: &open, empty: "") { index, output, open in
                write(cell.list.buffer[index], to: &output, within: &open)
            }
        case .map:
            let entries = (0..<cell.map.pointee.used).lazy.compactMap { self.entry(at: $0, of: cell.map) }
            var next = entries.makeIterator()
            write(cell, cell.map.pointee.live, to: &output, within: &open, empty: ":") { _, output, open in
                guard let (key, value) = next.next() else { return }
                if key.isString, key.string.text.isIdentifier {
                    output += key.string.text
                } else {
                    write(key, to: &output, within: &open)
                }
                output += ": "
                write(value, to: &output, within: &open)
            }
        case .closure: output += "fn \(functionName(cell))"
        case .boundMethod: output += "fn \(cell.boundMethod.pointee.name.string.text)"
        case .hostFunction: output += "fn \(hosted.function(cell)?.signature.name ?? "")"
        case .builtin: output += "fn \(Prelude.functions[cell.index].signature.name)"
        case .object: output += hosted.object(cell)?.text ?? "nil"
        }
    }

    private func write(
        _ collection: Cell, _ count: Int, to output: inout String, within open: inout [UInt64], empty: String,
        _ write: (Int, inout String, inout [UInt64]) -> Void
    ) {
        guard open.count < Self.depthLimit, !open.contains(collection.bits) else { return output += "[…]" }
        open.append(collection.bits)
        defer { open.removeLast() }
        output += count == 0 ? "[\(empty)" : "["
        for index in 0..<count {
            if index > 0 { output += ", " }
            guard output.utf8.count < Self.writeLimit else {
                output += "…"
                break
            }
            write(index, &output, &open)
        }
        output += "]"
    }

    /// The name a script's function was declared with.
    func functionName(_ cell: Cell) -> String { functionNames[Int(cell.closure.pointee.function.pointee.index)] }

    /// What messages call a value of a type, with its article.
    func typeName(_ cell: Cell) -> String {
        switch cell.kind {
        case .nil, .unset, .box: "nil"
        case .bool: "a bool"
        case .int, .unsigned: "an int"
        case .float: "a float"
        case .duration: "a duration"
        case .string: "a string"
        case .symbol: "a symbol"
        case .bytes: "bytes"
        case .range: "a range"
        case .regex: "a regular expression"
        case .list: "a list"
        case .map: "a map"
        case .closure, .boundMethod, .hostFunction, .builtin: "a function"
        case .object: hosted.object(cell)?.typeName ?? "nil"
        }
    }
}

/// Pieces of text that values are written with.
enum Text {
    static func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    static func quoted(_ text: String) -> String {
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
    static func duration(nanoseconds value: Int64) -> String {
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
