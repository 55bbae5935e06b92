#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A file that gets everything a session says.
package final class SessionLog {
    package let path: String
    private let file: UnsafeMutablePointer<FILE>

    package init?(path: String) {
        guard let file = fopen(path, "a") else { return nil }
        self.path = path
        self.file = file
    }

    deinit { fclose(file) }

    package func write(_ text: String) {
        fputs(text, file)
        fflush(file)
    }
}
