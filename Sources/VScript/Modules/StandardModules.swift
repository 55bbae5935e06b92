/// The modules that are part of the library.
enum StandardModules {
    /// A module with its members.
    struct Module: Sendable {
        let name: String
        let functions: [Builtin<Void>]

        /// The module as scripts hold it.
        var object: ModuleObject {
            let values = functions.map { builtin in
                (builtin.signature.name, ScriptValue.function(builtin.function))
            }
            return ModuleObject(name, Dictionary(values) { $1 })
        }
    }

    static let all: [Module] = [linux, multiboot, flat, file, args]

    static let file = Module(
        name: "file",
        functions: [
            Builtin("text(path)", "The text of a file; what is not UTF-8 becomes U+FFFD.") { _, arguments in
                .string(
                    String(decoding: try HostFile.read(try arguments.string(0), arguments.context.files), as: UTF8.self)
                )
            },
            Builtin("bytes(path)", "The bytes of a file.") { _, arguments in
                .bytes(try HostFile.read(try arguments.string(0), arguments.context.files))
            },
            Builtin("exists(path)", "Whether there is a file that can be read.") { _, arguments in
                .bool(HostFile.exists(try arguments.string(0), arguments.context.files))
            },
            Builtin("write(path, content)", "Writes a text or bytes to a file, replacing what it held.") {
                _, arguments in
                try HostFile.write(try arguments.bytes(1), to: try arguments.string(0), arguments.context.files)
                return .nil
            },
            Builtin("json(path, value)", "Writes a value to a file as JSON.") { _, arguments in
                let text = try (arguments.values[1] ?? .nil).json().text + "\n"
                try HostFile.write(Array(text.utf8), to: try arguments.string(0), arguments.context.files)
                return .nil
            },
            Builtin(
                "csv(path, rows)", "Writes a list of maps to a file as CSV, with the keys of all in the first line."
            ) {
                _, arguments in
                try HostFile.write(Array(try csv(arguments).utf8), to: try arguments.string(0), arguments.context.files)
                return .nil
            },
        ])

    private static func csv(_ arguments: Arguments) throws(HostFailure) -> String {
        let rows = try arguments.list(1)
        var columns: [String] = []
        var fields: [[String: ScriptValue]] = []
        for row in rows.items {
            guard case .map(let map) = row else { throw arguments.wrongType(1, "a list of maps") }
            fields.append(Dictionary(map.pairs.map { ($0.key.text, $0.value) }) { $1 })
            for (key, _) in map.pairs where !columns.contains(key.text) { columns.append(key.text) }
        }
        func field(_ text: String) -> String {
            let isPlain = !text.contains { $0 == "," || $0 == "\"" || $0.isNewline }
            return isPlain ? text : "\"\(text.replacing("\"", with: "\"\""))\""
        }
        var lines = [columns.map(field)]
        for row in fields { lines.append(columns.map { field(row[$0]?.text ?? "") }) }
        return lines.map { $0.joined(separator: ",") + "\r\n" }.joined()
    }

    static let args = Module(
        name: "args",
        functions: [
            Builtin("string(name, default?)", "The value of `--name value` or `--name=value`.") { _, arguments in
                if let text = try option(arguments) { return .string(text) }
                return try fallback(arguments)
            },
            Builtin("int(name, default?)", "The value of `--name number`.") { _, arguments in
                guard let text = try option(arguments) else { return try fallback(arguments) }
                guard let number = Int128(text), Value.integers.contains(number) else {
                    throw HostFailure(.conversion, "`--\(try arguments.string(0)) \(text)` is not a whole number")
                }
                return .int(number)
            },
            Builtin("flag(name)", "Whether `--name` was given.") { _, arguments in
                .bool(arguments.context.environment.arguments.contains("--\(try arguments.string(0))"))
            },
            Builtin("all()", "All arguments after `--`.") { _, arguments in
                .items(arguments.context.environment.arguments.map(ScriptValue.string))
            },
        ])

    private static func option(_ arguments: Arguments) throws(HostFailure) -> String? {
        let name = "--\(try arguments.string(0))"
        let given = arguments.context.environment.arguments
        if let joined = given.last(where: { $0.hasPrefix("\(name)=") }) {
            return String(joined.dropFirst(name.count + 1))
        }
        guard let position = given.lastIndex(of: name) else { return nil }
        guard position + 1 < given.count else { throw HostFailure(.wrongArguments, "`\(name)` needs a value after it") }
        return given[position + 1]
    }

    private static func fallback(_ arguments: Arguments) throws(HostFailure) -> ScriptValue {
        if let value = arguments.values[1] { return value }
        throw HostFailure(
            .wrongArguments, "the script needs `--\(try arguments.string(0))`",
            notes: ["arguments follow `--` on the command line"])
    }
}
