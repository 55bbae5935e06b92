import VScriptSyntax

/// The functions that every script has.
enum Prelude {
    /// The functions over cells, in order.
    static let members = functions.map { $0.member { _, _ in () } }
    /// The position of each function.
    static let index = Dictionary(uniqueKeysWithValues: functions.enumerated().map { ($1.signature.name, $0) })

    static let functions: [Builtin<Void>] = [
        Builtin("print(values...)", "Writes values, with spaces between them, and ends the line.") { _, arguments in
            let text = arguments.rest(0).map(\.text).joined(separator: " ") + "\n"
            try arguments.context.pay(text.utf8.count / 4)
            arguments.context.write(text)
            return .nil
        },
        Builtin("emit(value)", "Adds a row of results: a line of JSON with `--json`, else of a table.") {
            _, arguments in
            try arguments.context.emit(try arguments.context.copy(arguments.values[0] ?? .nil))
            return .nil
        },
        Builtin(
            "int(value)", "A number as an int: a float cut to its whole part, or a text's number.",
            cells: { call in
                let value = call[0]
                switch value.kind {
                case .int, .unsigned: return value
                case .float: return try NumberMembers.whole(value.double.rounded(.towardZero))
                case .string: return try integer(value.string.text)
                case .bool: return .int(value.bool ? 1 : 0)
                case _: throw call.wrongType(0, "value", "a number or a string")
                }
            }),
        Builtin("float(value)", "A number as a float.") { _, arguments in
            switch arguments.value(0) {
            case .int(let number): return .float(Double(number))
            case .float(let number): return .float(number)
            case .string(let text):
                guard let number = Double(text) else {
                    throw HostFailure(.conversion, "`\(text)` is not a number", argument: 0)
                }
                return .float(number)
            case _: throw arguments.wrongType(0, "a number or a string")
            }
        },
        Builtin(
            "string(value)", "A value as a text.",
            cells: { call in
                call[0].isString
                    ? call[0] : try call.interpreter.text(UnsafeBufferPointer(start: call.base + 1, count: 1))
            }),
        Builtin("symbol(name)", "The symbol of a name.") { _, arguments in
            let name = try arguments.string(0)
            guard name.isIdentifier else { throw HostFailure(.conversion, "`\(name)` is not a name", argument: 0) }
            return .symbol(name)
        },
        Builtin("bytes(value)", "The UTF-8 code of a string, or a list of numbers, as bytes.") { _, arguments in
            guard case .list(let list) = arguments.value(0) else { return .bytes(try arguments.bytes(0)) }
            return .bytes(
                try list.items.map { item in
                    guard case .int(let number) = item, let byte = UInt8(exactly: number) else {
                        throw HostFailure(.outOfRange, "\(item.source()) is not a byte", argument: 0)
                    }
                    return byte
                })
        },
        Builtin("type(value)", "The name of a value's type.") { _, arguments in
            let name = (arguments.values[0] ?? .nil).typeName
            return .string(name.split(separator: " ", maxSplits: 1).last.map(String.init) ?? name)
        },
        Builtin(
            "min(values...)", "The least of its arguments.",
            cells: { try CollectionMembers.extreme($0.interpreter, $0[0], .less) }),
        Builtin(
            "max(values...)", "The greatest of its arguments.",
            cells: { try CollectionMembers.extreme($0.interpreter, $0[0], .greater) }),
        Golden.function,
    ]

    /// The number a text holds, with an optional sign and a prefix of its radix.
    private static func integer(_ source: String) throws(HostFailure) -> Cell {
        var digits = Substring(source.trimmed.filter { $0 != "_" })
        let isNegative = digits.first == "-"
        if isNegative || digits.first == "+" { digits.removeFirst() }
        let radixes = ["0x": 16, "0b": 2, "0o": 8]
        let radix = radixes[digits.prefix(2).lowercased()]
        if radix != nil { digits.removeFirst(2) }
        guard let first = digits.first, first != "-", first != "+", let number = Int128(digits, radix: radix ?? 10)
        else {
            throw HostFailure(.conversion, "`\(source)` is not a whole number", argument: 0)
        }
        return try Arithmetic.checked(isNegative ? -number : number, source)
    }
}
