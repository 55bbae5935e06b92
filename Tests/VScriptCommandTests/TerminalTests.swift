import Foundation
import Testing

/// A program on a pseudo-terminal of its own.
final class TerminalSession {
    private let controller: Int32
    private let terminal: Int32
    /// The process, until it was waited for.
    private(set) var identifier: pid_t = 0
    private(set) var output = ""
    private let found: termios

    init(_ arguments: [String]) throws {
        var ends: (controller: Int32, terminal: Int32) = (-1, -1)
        try #require(openpty(&ends.controller, &ends.terminal, nil, nil, nil) == 0)
        (controller, terminal) = ends
        var mode = termios()
        try #require(tcgetattr(terminal, &mode) == 0)
        found = mode
        try spawn(commandURL.path, arguments)
    }

    /// Starts the program; Foundation's `Process` would hand on the signals that the test's thread blocks.
    private func spawn(_ path: String, _ arguments: [String]) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for file: Int32 in 0...2 { posix_spawn_file_actions_adddup2(&actions, terminal, file) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + variables { free(word) } }
        try #require(posix_spawn(&identifier, path, &actions, &attributes, &words, &variables) == 0)
    }

    deinit {
        if identifier != 0 {
            kill(identifier, SIGKILL)
            waitpid(identifier, nil, 0)
        }
        close(terminal)
        close(controller)
    }

    /// Whether the terminal is as it was before the program started.
    var isRestored: Bool {
        var mode = termios()
        guard tcgetattr(terminal, &mode) == 0 else { return false }
        return mode.c_iflag == found.c_iflag && mode.c_oflag == found.c_oflag && mode.c_lflag == found.c_lflag
            && mode.c_cflag == found.c_cflag
    }

    func type(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(controller, bytes, bytes.count)
    }

    /// Reads until a text appears; false if the program says nothing more for so long that it will not come.
    func wait(for text: String) -> Bool {
        while !output.contains(text) {
            guard read(within: 60_000) else { return false }
        }
        return true
    }

    /// How the program ended.
    enum End: Equatable {
        case exit(Int32), signal(Int32), never
    }

    /// Waits for the program's end, reading what it still writes.
    func finish() -> End {
        for _ in 0..<3000 {
            _ = read(within: 20)
            var status: Int32 = 0
            guard waitpid(identifier, &status, WNOHANG) == identifier else { continue }
            identifier = 0
            while read(within: 0) {}
            return status & 0x7F == 0 ? .exit(status >> 8 & 0xFF) : .signal(status & 0x7F)
        }
        return .never
    }

    private func read(within milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: controller, events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, milliseconds) > 0, descriptor.revents & Int16(POLLIN) != 0 else { return false }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Foundation.read(controller, &bytes, bytes.count)
        guard count > 0 else { return false }
        output += String(decoding: bytes[..<count], as: UTF8.self)
        return true
    }
}

/// `console.attach()` on a terminal.
@Suite struct TerminalTests {
    /// Prints a prompt, then doubles each key.
    private static let echo = """
        guest vm {
          memory: 4 MiB
          boot: .long
          ring 0 { asm {
            mov dx, 0x3fb
            mov al, 3
            out dx, al
            mov dx, 0x3f8
            mov al, '>'
            out dx, al
          again:
            mov dx, 0x3fd
            in al, dx
            test al, 1
            jz again
            mov dx, 0x3f8
            in al, dx
            out dx, al
            out dx, al
            jmp again
          } }
        }
        let stop = vm.console.attach()
        print("\\(stop.reason), \\(stop.detail)")
        """

    @Test func keysReachTheGuestUntilTheOneThatLeaves() throws {
        let session = try TerminalSession(["-e", Self.echo])
        #expect(session.wait(for: ">"))
        #expect(!session.isRestored)
        // Control-C and Control-D are the guest's as well, and nothing is echoed but by the guest.
        session.type("x\u{03}\u{04}y")
        #expect(session.wait(for: ">xx\u{03}\u{03}\u{04}\u{04}yy"))
        session.type("\u{1D}")
        #expect(session.finish() == .exit(0))
        #expect(session.output.hasSuffix(".stopped, detached\r\n"))
        #expect(session.isRestored)
    }

    @Test(arguments: [SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV])
    func terminalIsRestoredBeforeASignalEndsTheProgram(number: Int32) throws {
        let session = try TerminalSession(["-e", Self.echo])
        #expect(session.wait(for: ">"))
        #expect(!session.isRestored)
        kill(session.identifier, number)
        #expect(session.finish() == .signal(number))
        #expect(session.isRestored)
    }

    @Test func interruptSignalEndsTheRunAndRestoresTheTerminal() throws {
        let session = try TerminalSession(["-e", Self.echo])
        #expect(session.wait(for: ">"))
        kill(session.identifier, SIGINT)
        #expect(session.finish() == .exit(130))
        #expect(session.isRestored)
    }

    @Test func suspendedProgramLendsTheTerminalBack() throws {
        let session = try TerminalSession(["-e", Self.echo])
        #expect(session.wait(for: ">"))
        let identifier = session.identifier
        kill(identifier, SIGTSTP)
        for _ in 0..<500 where !session.isRestored { usleep(10_000) }
        #expect(session.isRestored)
        kill(identifier, SIGCONT)
        for _ in 0..<500 where session.isRestored { usleep(10_000) }
        #expect(!session.isRestored)
        session.type("z\u{1D}")
        #expect(session.finish() == .exit(0))
        #expect(session.isRestored)
    }

    @Test func attachingWithoutATerminalIsRefused() throws {
        let result = try vscript("-e", Self.echo)
        #expect(result.status == 1)
        #expect(result.errors.contains("the console cannot be attached: standard input is not a terminal"))
        #expect(result.errors.contains("error[V0507]"))
        #expect(result.output.isEmpty)
    }
}
