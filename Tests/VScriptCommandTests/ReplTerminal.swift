import Foundation
import Testing

#if os(Linux)

/// `vscript repl` on a pseudo-terminal that controls it, so that Ctrl-C and the window's size reach it.
///
/// Nothing blocks: reads and writes wait with `poll`, and every wait has an end.
final class ReplTerminal {
    private var controller: Int32 = -1
    private var identifier: pid_t = 0
    /// Everything written so far, escape sequences included.
    private(set) var bytes: [UInt8] = []
    /// What was written since the last wait, without escape sequences.
    private var seen = ""
    private let history: String
    private let ownsHistory: Bool

    /// After so many seconds what was waited for counts as missing.
    private static let patience = 60.0

    init(
        _ arguments: [String] = [], environment extra: [String: String] = [:], rows: UInt16 = 24, columns: UInt16 = 80,
        history: String? = nil
    ) throws {
        ownsHistory = history == nil
        self.history = history ?? NSTemporaryDirectory() + "vscript-\(UUID().uuidString)"
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        var terminal: Int32 = -1
        var name = [CChar](repeating: 0, count: 256)
        try #require(openpty(&controller, &terminal, &name, nil, &size) == 0)
        _ = fcntl(controller, F_SETFL, O_NONBLOCK)
        _ = fcntl(controller, F_SETFD, FD_CLOEXEC)
        defer { close(terminal) }
        let path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var environment = ProcessInfo.processInfo.environment
        for name in ["LINES", "COLUMNS", "NO_COLOR"] { environment[name] = nil }
        environment["TERM"] = "xterm"
        environment["LC_ALL"] = "C.UTF-8"
        environment["INPUTRC"] = "/dev/null"
        environment["XDG_CONFIG_HOME"] = "/nonexistent"
        environment["VSCRIPT_HISTORY"] = self.history
        environment["SWIFT_BACKTRACE"] = "enable=no"
        environment.merge(extra) { $1 }
        try spawn([commandURL.path, "repl"] + arguments, environment, on: path)
    }

    private func spawn(_ words: [String], _ environment: [String: String], on terminal: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // The leader of a session takes the first terminal it opens as its own.
        posix_spawn_file_actions_addopen(&actions, 0, terminal, O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, 0, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // The test's runner may ignore signals that the program's user can send.
        var usual = sigset_t()
        sigemptyset(&usual)
        for signal in [SIGINT, SIGQUIT, SIGTSTP, SIGPIPE] { sigaddset(&usual, signal) }
        posix_spawnattr_setsigdefault(&attributes, &usual)
        let ownSession: Int32 = 0x80
        posix_spawnattr_setflags(
            &attributes, Int16(Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | ownSession))
        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in arguments + variables { free(word) } }
        try #require(posix_spawn(&identifier, words[0], &actions, &attributes, &arguments, &variables) == 0)
    }

    deinit {
        if identifier != 0 {
            kill(identifier, SIGKILL)
            waitpid(identifier, nil, 0)
        }
        close(controller)
        if ownsHistory { try? FileManager.default.removeItem(atPath: history) }
    }

    /// All that was written as text.
    var output: String { String(decoding: bytes, as: UTF8.self) }

    func resize(rows: UInt16, columns: UInt16) {
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(controller, UInt(TIOCSWINSZ), &size)
    }

    /// Presses keys; the terminal holds 4 KiB for a program that does not read, the rest goes in as it does.
    func type(_ text: String) { type(Array(text.utf8)) }

    /// The same for bytes that need not be text.
    func type(_ bytes: [UInt8]) {
        var rest = bytes[...]
        let end = Date.now + Self.patience
        while !rest.isEmpty, Date.now < end {
            let count = rest.withUnsafeBytes { write(controller, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) }
            read(milliseconds: rest.isEmpty ? 0 : 20)
        }
    }

    /// Waits until a text has been written since the last wait; what came before it, without escape sequences.
    @discardableResult
    func wait(for text: String, _ location: SourceLocation = #_sourceLocation) -> String {
        let end = Date.now + Self.patience
        while true {
            if let range = seen.range(of: text) {
                let before = String(seen[..<range.upperBound])
                seen = String(seen[range.upperBound...])
                return before
            }
            guard Date.now < end else { break }
            read(milliseconds: 50)
        }
        Issue.record("`\(text)` did not come; there was: \(seen.debugDescription)", sourceLocation: location)
        return seen
    }

    /// Whether a text is written within a time.
    func sees(_ text: String, seconds: Double) -> Bool {
        let end = Date.now + seconds
        while !seen.contains(text), Date.now < end { read(milliseconds: 50) }
        return seen.contains(text)
    }

    /// Reads what is written within a time.
    func pause(milliseconds: Double) {
        let end = Date.now + milliseconds / 1000
        while Date.now < end { read(milliseconds: 5) }
    }

    /// Whether the program ends with a code.
    func ends(with code: Int32) -> Bool {
        let end = Date.now + Self.patience
        var status: Int32 = 0
        while Date.now < end {
            read(milliseconds: 20)
            if waitpid(identifier, &status, WNOHANG) == identifier {
                identifier = 0
                return status & 0x7F == 0 && status >> 8 & 0xFF == code
            }
        }
        return false
    }

    /// Whether the program is still there.
    var isRunning: Bool {
        var status: Int32 = 0
        guard identifier != 0, waitpid(identifier, &status, WNOHANG) != 0 else { return identifier != 0 }
        identifier = 0
        return false
    }

    private func read(milliseconds: Int32) {
        var descriptor = pollfd(fd: controller, events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, milliseconds) > 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = Foundation.read(controller, &buffer, buffer.count)
        guard count > 0 else {
            // A terminal whose program is gone is always ready, with nothing to read.
            usleep(5_000)
            return
        }
        bytes += buffer[..<count]
        // A carriage return would make one character with the line feed after it.
        let text = String(decoding: buffer[..<count].filter { $0 != 0x0D }, as: UTF8.self)
        seen += text.replacing(/\u{1B}\[[0-9;?]*[A-Za-z@]/, with: "")
    }
}

#endif
