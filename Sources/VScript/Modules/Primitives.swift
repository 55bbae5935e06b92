#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

// What the modules written in vscript are made of.

extension StandardModules {
    static let hostArguments = Module(
        name: "host.args", summary: "The arguments after `--`.",
        functions: [
            Builtin("all()", "All arguments after `--`.") { _, arguments in
                .items(arguments.context.environment.arguments.map(ScriptValue.string))
            }
        ])

    static let hostFile = Module(
        name: "host.file", summary: "Files of the host.",
        functions: [
            Builtin("text(path)", "The text of a file; what is not UTF-8 becomes U+FFFD.") { _, arguments in
                .string(String(decoding: try read(arguments), as: UTF8.self))
            },
            Builtin("bytes(path)", "The bytes of a file.") { _, arguments in .bytes(try read(arguments)) },
            Builtin("exists(path)", "Whether there is a file that can be read.") { _, arguments in
                .bool(HostFile.exists(try arguments.string(0), arguments.context.files))
            },
            Builtin("write(path, content)", "Writes a text or bytes to a file, replacing what it held.") {
                _, arguments in
                try HostFile.write(try arguments.bytes(1), to: try arguments.string(0), arguments.context.files)
                return .nil
            },
        ])

    private static func read(_ arguments: Arguments) throws -> [UInt8] {
        let bytes = try HostFile.read(try arguments.string(0), arguments.context.files)
        try arguments.context.pay(bytes.count / 64)
        return bytes
    }

    static let hostJSON = Module(
        name: "host.json", summary: "JSON.",
        functions: [
            Builtin("text(value)", "JSON of a value on one line.") { _, arguments in
                .string(try arguments.context.copy(arguments.values[0] ?? .nil).json().text)
            }
        ])

    static let hostRegex = Module(
        name: "host.regex", summary: "Regular expressions.",
        functions: [
            Builtin("compile(text)", "The pattern that a text spells.") { _, arguments in
                let text = try arguments.string(0)
                try arguments.context.pay(text.utf8.count)
                return .regex(try RegularExpression(text))
            },
            Builtin("occurrences(pattern, text, limit?)", "Where a pattern occurs, and what stands before each.") {
                _, arguments in
                guard case .regex(let regex) = arguments.value(0) else {
                    throw arguments.wrongType(0, "a pattern such as `re\"a+\"`")
                }
                let limit = try arguments.optionalInteger(2, in: 0...Int128(Int.max)).map { Int($0) } ?? .max
                return .items(
                    try Occurrences(of: regex, arguments, 1, limit: limit).all.map { found in
                        .named([
                            "before": found.before, "text": found.text, "start": .integer(found.range.lowerBound),
                            "end": .integer(found.range.upperBound), "groups": .items(found.groups),
                        ])
                    })
            },
        ])

    static let hostMath = Module(
        name: "host.math", summary: "Functions of floats.",
        functions: [
            function("sqrt", { $0.squareRoot() }), function("cbrt", cbrt), function("exp", exp), function("log", log),
            function("log2", log2), function("log10", log10), function("sin", sin), function("cos", cos),
            function("tan", tan), function("asin", asin), function("acos", acos), function("atan", atan),
            Builtin("pow(base, exponent)", "A power.") { _, arguments in
                .float(pow(try number(arguments, 0), try number(arguments, 1)))
            },
            Builtin("atan2(y, x)", "The angle of a point.") { _, arguments in
                .float(atan2(try number(arguments, 0), try number(arguments, 1)))
            },
            Builtin("hypot(x, y)", "The distance of a point.") { _, arguments in
                .float(hypot(try number(arguments, 0), try number(arguments, 1)))
            },
        ])

    private static func function(_ name: String, _ body: @escaping @Sendable (Double) -> Double) -> Builtin<Void> {
        Builtin("\(name)(x)", "The function `\(name)` of C.") { _, arguments in .float(body(try number(arguments, 0))) }
    }

    private static func number(_ arguments: Arguments, _ index: Int) throws(HostFailure) -> Double {
        switch arguments.value(index) {
        case .int(let number): return Double(number)
        case .float(let number): return number
        case _: throw arguments.wrongType(index, "a number")
        }
    }
}
