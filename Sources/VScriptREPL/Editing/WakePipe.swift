#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A pipe by which another thread ends a wait for input.
package final class WakePipe: Sendable {
    /// Becomes readable after `wake`.
    package let readEnd: Int32
    private let writeEnd: Int32

    /// Makes a pipe; nil if the process has no files left.
    package init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Ends the wait that is on, or the next one.
    package func wake() {
        var byte: UInt8 = 1
        // A full pipe tells already what there is to tell.
        _ = write(writeEnd, &byte, 1)
    }

    /// Forgets what has been told; whether there was anything.
    @discardableResult
    package func drain() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 64)
        var any = false
        while read(readEnd, &bytes, bytes.count) > 0 { any = true }
        return any
    }
}
