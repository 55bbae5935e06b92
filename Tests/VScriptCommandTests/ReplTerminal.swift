import Foundation
import Testing

#if os(Linux)

/// `vscript repl` on a pseudo-terminal that controls it, so that Ctrl-C and the window's size reach it.
final class ReplTerminal {
    private var controller: Int32 = -1
    private var identifier: pid_t = 0
    private(set) var output = ""
    private var raw: [UInt8] = []
    /// How much of `output` earlier waits have passed.
    private var seen = ""
    let history: String

    init(
        _ arguments: [String] = [], environment extra: [String: String] = [:], rows: UInt16 = 24, columns: UInt16 = 80,
        history: String? = nil
    ) throws {
        self.history = history ?? NSTemporaryDirectory() + "vscript-\(UUID().uuidString)"
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        var terminal: Int32 = -1
        var name = [CChar](repeating: 0, count: 256)
        try #require(openpty(&controller, &terminal, &name, nil, &size) == 0)
        let path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let opened = terminal
        defer { close(opened) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // The leader of a session takes the first terminal it opens as its own.
        posix_spawn_file_actions_addopen(&actions, 0, path, O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, 0, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(0x80 /* POSIX_SPAWN_SETSID */))
        var environment = ProcessInfo.processInfo.environment
        for name in ["LINES", "COLUMNS", "NO_COLOR", "INPUTRC"] { environment[name] = nil }
        environment["TERM"] = "xterm"
        environment["LC_ALL"] = "C.UTF-8"
        environment["INPUTRC"] = "/dev/null"
        environment["XDG_CONFIG_HOME"] = "/nonexistent"
        environment["VSCRIPT_HISTORY"] = self.history
        environment["SWIFT_BACKTRACE"] = "enable=no"
        environment.merge(extra) { $1 }
        var words = ([commandURL.path, "repl"] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + variables { free(word) } }
        try #require(posix_spawn(&identifier, commandURL.path, &actions, &attributes, &words, &variables) == 0)
    }

    deinit {
        if identifier != 0 {
            kill(identifier, SIGKILL)
            waitpid(identifier, nil, 0)
        }
        close(controller)
        try? FileManager.default.removeItem(atPath: history)
    }

    func resize(rows: UInt16, columns: UInt16) {
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(controller, UInt(TIOCSWINSZ), &size)
    }

    func type(_ text: String) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { write(controller, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            done += count
            // The terminal holds 4 KiB for a program that does not read.
            if done < bytes.count { read(milliseconds: 20) }
        }
    }

    /// Waits until a text has been written since the last wait; the text without escape sequences.
    @discardableResult
    func wait(for text: String, _ location: SourceLocation = #_sourceLocation) -> String {
        let end = Date.now + 60
        while Date.now < end {
            if let range = seen.range(of: text) {
                let before = String(seen[..<range.upperBound])
                seen = String(seen[range.upperBound...])
                return before
            }
            if !read(milliseconds: 100), hasEnded { break }
        }
        Issue.record("`\(text)` did not come; there was: \(seen)", sourceLocation: location)
        return seen
    }

    /// Whether the program ends with a code.
    func ends(with code: Int32) -> Bool {
        let end = Date.now + 60
        var status: Int32 = 0
        while Date.now < end {
            _ = read(milliseconds: 50)
            if waitpid(identifier, &status, WNOHANG) == identifier {
                identifier = 0
                return status & 0x7F == 0 && status >> 8 & 0xFF == code
            }
        }
        return false
    }

    /// Everything written so far, escape sequences included.
    var bytes: [UInt8] { raw }

    private var hasEnded: Bool { identifier == 0 || kill(identifier, 0) != 0 }

    @discardableResult
    private func read(milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: controller, events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, milliseconds) > 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = Foundation.read(controller, &buffer, buffer.count)
        guard count > 0 else { return false }
        raw += buffer[..<count]
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        output += text
        seen += text.replacing(/\u{1B}\[[0-9;?]*[A-Za-z@]/, with: "")
        return true
    }
}

#endif
