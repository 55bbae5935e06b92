import Foundation

/// The terminal's settings while a session has it.
///
/// Keys typed while a guest runs are kept for the next line and not shown; Ctrl-C does not throw away what was
/// typed before it.
final class TerminalInput {
    private var original: termios?

    /// Takes the terminal; `keepsKeys` for an editor that reads keys, not lines.
    ///
    /// Such an editor changes the settings before each line and back after it. What it goes back to must not gather
    /// lines or turn Enter into Ctrl-J either, or keys typed between a line and the next would mean something else.
    init(keepsKeys: Bool) {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return }
        original = settings
        guard keepsKeys else { return }
        settings.c_lflag &= ~tcflag_t(ICANON | IEXTEN)
        settings.c_iflag &= ~tcflag_t(ICRNL | INLCR | IGNCR)
        settings.c_lflag |= tcflag_t(NOFLSH)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
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
