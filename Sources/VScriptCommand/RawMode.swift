import Foundation
import Synchronization

/// The mode of the terminal on standard input: every key is passed on as it is typed.
///
/// Whatever ends or suspends the program meanwhile, signals included, leaves the terminal as it was found.
enum RawMode {
    /// The signals that end the program; SIGINT is the command's own (`InterruptKey`).
    private static let ending = [
        SIGHUP, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2,
        SIGXCPU, SIGXFSZ, SIGSYS,
    ]
    private static let handled = ending + [SIGTSTP, SIGCONT]

    private static let isEntered = Atomic<Bool>(false)
    // SAFETY: one thread calls `enter` and `leave`. These are written only while no handler of `enter`'s is installed;
    // the handlers read them, and do nothing but what signal-safety(7) allows.
    nonisolated(unsafe) private static let found = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    // SAFETY: as above.
    nonisolated(unsafe) private static let raw = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    // SAFETY: as above; the actions by signal number.
    nonisolated(unsafe) private static let actions = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)

    static var isOn: Bool { isEntered.load(ordering: .relaxed) }

    /// Enters the mode; false, with `errno`, if the terminal refuses.
    static func enter() -> Bool {
        guard !isOn else { return true }
        guard tcgetattr(STDIN_FILENO, found) == 0 else { return false }
        raw.update(from: found, count: 1)
        cfmakeraw(raw)
        for number in handled { install(number) }
        isEntered.store(true, ordering: .sequentiallyConsistent)
        guard tcsetattr(STDIN_FILENO, TCSANOW, raw) == 0 else {
            let reason = errno
            leave()
            errno = reason
            return false
        }
        return true
    }

    /// Leaves the mode if it is on; what was typed and not read yet stays.
    static func leave() {
        guard isEntered.exchange(false, ordering: .sequentiallyConsistent) else { return }
        tcsetattr(STDIN_FILENO, TCSANOW, found)
        for number in handled { sigaction(number, actions + Int(number), nil) }
    }

    private static func install(_ number: Int32) {
        let previous = actions + Int(number)
        sigaction(number, nil, previous)
        // What the program was started to ignore, as by nohup, it goes on to ignore.
        if number != SIGCONT, isIgnored(previous) { return }
        var action = sigaction()
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESTART))
        switch number {
        case SIGTSTP: set(&action) { _ in RawMode.suspend() }
        case SIGCONT: set(&action) { _ in RawMode.resume() }
        case _: set(&action) { RawMode.end(by: $0) }
        }
        sigaction(number, &action, nil)
    }

    private static func set(_ action: inout sigaction, _ handler: @escaping @convention(c) (Int32) -> Void) {
        #if os(Linux)
        action.__sigaction_handler.sa_handler = handler
        #else
        action.__sigaction_u.__sa_handler = handler
        #endif
    }

    private static func isIgnored(_ action: UnsafePointer<sigaction>) -> Bool {
        #if os(Linux)
        let handler = action.pointee.__sigaction_handler.sa_handler
        #else
        let handler = action.pointee.__sigaction_u.__sa_handler
        #endif
        return unsafeBitCast(handler, to: Int.self) == 1  // SIG_IGN
    }

    // MARK: - In signal handlers

    /// Restores the terminal and lets the signal do what it would have done.
    private static func end(by number: Int32) {
        leave()
        // It is blocked until this handler returns.
        raise(number)
    }

    private static func suspend() {
        let reason = errno
        tcsetattr(STDIN_FILENO, TCSANOW, found)
        raise(SIGSTOP)
        errno = reason
    }

    private static func resume() {
        let reason = errno
        tcsetattr(STDIN_FILENO, TCSANOW, raw)
        errno = reason
    }
}
