import CReadline
import Foundation
import VirtualMachine

/// The terminal on standard input and output, for a guest's console.
struct HostTerminal: ConsoleTerminal {
    /// Ctrl-].
    private static let leaveKey: UInt8 = 0x1D

    func begin() throws(ConsoleTerminalError) {
        guard isatty(STDIN_FILENO) == 1 else { throw ConsoleTerminalError("standard input is not a terminal") }
        guard RawMode.enter() else {
            throw ConsoleTerminalError("the terminal has no raw mode: \(String(cString: strerror(errno)))")
        }
        Self.write(Array("the console is attached, Ctrl-] leaves it\r\n".utf8)[...], to: STDERR_FILENO)
    }

    func end() {
        RawMode.leave()
        Self.write([UInt8(ascii: "\n")], to: STDERR_FILENO)
    }

    func read() -> ConsoleTerminalInput {
        var input = ConsoleTerminalInput()
        // Byte by byte: what is typed after the key that leaves is for whoever reads next.
        while input.bytes.count < 1024, Self.canRead(within: 0) {
            var byte: UInt8 = 0
            let gathered = creadline_take()
            if gathered >= 0 {
                byte = UInt8(truncatingIfNeeded: gathered)
            } else {
                let count = Foundation.read(STDIN_FILENO, &byte, 1)
                if count < 0, errno == EINTR || errno == EAGAIN { break }
                guard count == 1 else {
                    input.ending = .closed
                    break
                }
            }
            if byte == Self.leaveKey {
                input.ending = .leave
                break
            }
            input.bytes.append(byte)
        }
        return input
    }

    func write(_ bytes: [UInt8]) { Self.write(bytes[...], to: STDOUT_FILENO) }

    func wait(nanoseconds: UInt64) -> UInt64 {
        let start = ContinuousClock.now
        _ = Self.canRead(within: nanoseconds)
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return UInt64(max(seconds, 0)) &* 1_000_000_000 &+ UInt64(max(attoseconds, 0) / 1_000_000_000)
    }

    /// Whether a read would return at once, after waiting for that at most so long.
    private static func canRead(within nanoseconds: UInt64) -> Bool {
        var descriptor = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        return creadline_has_gathered()
            || poll(&descriptor, 1, Int32(clamping: (nanoseconds &+ 999_999) / 1_000_000)) > 0
    }

    /// Writes bytes, also to a terminal that does not wait.
    static func write(_ bytes: ArraySlice<UInt8>, to file: Int32) {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN {
                // Another program made the terminal non-blocking.
                var descriptor = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
                _ = poll(&descriptor, 1, 100)
            } else if errno != EINTR {
                return
            }
        }
    }
}
