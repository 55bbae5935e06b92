import VScriptSyntax

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Values that tests compare with files.
enum Golden {
    static let function = Builtin<Void>(
        "golden(name, value)", "Whether a value is what the file `golden/name.txt` beside the script holds."
    ) { _, arguments in
        let name = try arguments.string(0)
        guard !name.isEmpty, name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_. ".contains($0)) }),
            !name.hasPrefix(".")
        else {
            throw HostFailure(
                .outOfRange, "`\(name)` is not the name of a golden file",
                notes: ["it is made of letters, digits, `-`, `_`, `.` and spaces"], argument: 0)
        }
        let path = HostFile.path("golden/\(name).txt", besides: arguments.span.file.name)
        let value = arguments.values[1] ?? .nil
        var found = if case .string(let text) = value { text } else { value.source() }
        if !found.hasSuffix("\n") { found += "\n" }
        if arguments.context.environment.updatesGoldenFiles {
            // That the folder exists already is fine; whatever else is wrong with it, writing tells.
            mkdir(HostFile.path("golden", besides: arguments.span.file.name), 0o777)
            try HostFile.write(Array(found.utf8), to: path, arguments.context.files)
            return .bool(true)
        }
        guard HostFile.exists(path, arguments.context.files) else {
            throw HostFailure(
                .expectationFailed, "there is no golden file `\(path)`", notes: ["`vscript test --update` writes it"])
        }
        let expected = String(decoding: try HostFile.read(path, arguments.context.files), as: UTF8.self)
        guard expected != found else { return .bool(true) }
        throw HostFailure(
            .expectationFailed, "the value differs from `\(path)`",
            notes: difference(expected, found) + ["`vscript test --update` accepts the new value"])
    }

    /// The first line that differs, as it was and as it is.
    private static func difference(_ expected: String, _ found: String) -> [String] {
        let old = expected.split(separator: "\n", omittingEmptySubsequences: false)
        let new = found.split(separator: "\n", omittingEmptySubsequences: false)
        let line = zip(old, new).prefix { $0 == $1 }.count
        func text(_ lines: [Substring]) -> String { line < lines.count ? String(lines[line].prefix(200)) : "" }
        return ["line \(line + 1) was `\(text(old))`", "and is `\(text(new))`"]
    }
}
