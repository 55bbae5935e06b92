import VScriptSyntax

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Appends to a file that several sessions may have open.
enum HistoryFile {
    static func append(_ line: String, to path: String) {
        let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { return }
        defer { close(file) }
        var bytes = Array(line.utf8)
        // One write, so that lines of two sessions do not mix.
        _ = write(file, &bytes, bytes.count)
    }
}

/// Texts as JSON.
enum JSONText {
    static func string(_ text: String) -> String { JSON.string(text).text }
}
