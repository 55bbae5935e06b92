import Foundation

/// The terminal's settings while a session has it.
///
/// Keys typed while a guest runs are kept for the next line and not shown; Ctrl-C does not throw away what was
/// typed before it.
final class TerminalInput {
    private var original: termios?

    init() {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return }
        original = settings
    }

    /// Runs something while keys are neither shown nor gathered to lines.
    func whileRunning<Result>(_ body: () -> Result) -> Result {
        var settings = termios()
        guard original != nil, tcgetattr(STDIN_FILENO, &settings) == 0 else { return body() }
        let before = settings
        settings.c_lflag &= ~tcflag_t(ECHO | ICANON)
        settings.c_lflag |= tcflag_t(NOFLSH)
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
        defer {
            var before = before
            tcsetattr(STDIN_FILENO, TCSANOW, &before)
        }
        return body()
    }

    func restore() {
        guard var original else { return }
        tcsetattr(STDIN_FILENO, TCSADRAIN, &original)
    }
}
