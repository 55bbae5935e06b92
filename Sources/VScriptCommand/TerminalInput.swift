import CReadline
import Foundation

/// The terminal's settings while a session has it.
///
/// Keys typed while a guest runs are kept for the next line and not shown; Ctrl-C does not throw away what was
/// typed before it.
final class TerminalInput {
    private var original: termios?
    private let keepsKeys: Bool

    /// Takes the terminal; `keepsKeys` for an editor that reads keys, not lines.
    ///
    /// Such an editor changes the settings before each line and back after it. What it goes back to must not gather
    /// lines or turn Enter into Ctrl-J either, or keys typed between a line and the next would mean something else;
    /// and Ctrl-C is a key among the others except while something runs.
    init(keepsKeys: Bool) {
        self.keepsKeys = keepsKeys
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return }
        original = settings
        guard keepsKeys else { return }
        settings.c_lflag &= ~tcflag_t(ICANON | IEXTEN)
        // After Ctrl-S nothing would be seen until Ctrl-Q: Ctrl-C, which is no signal here, would not bring a prompt.
        settings.c_iflag &= ~tcflag_t(ICRNL | INLCR | IGNCR | IXON)
        settings.c_lflag |= tcflag_t(NOFLSH)
        creadline_set_interrupt_key(settings[control: VINTR])
        settings[control: VINTR] = 0
        tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
    }

    /// Runs something while keys are neither shown nor gathered to lines, and Ctrl-C interrupts: also what was typed
    /// ahead of it.
    ///
    /// - Parameters:
    ///   - interrupt: Called before `body` if Ctrl-C was pressed between the line and now.
    ///   - body: What runs.
    /// - Returns: What `body` returns.
    func whileRunning<Result>(interrupt: () -> Void, _ body: () -> Result) -> Result {
        var settings = termios()
        guard let original, tcgetattr(STDIN_FILENO, &settings) == 0 else { return body() }
        let before = settings
        settings.c_lflag &= ~tcflag_t(ECHO | ICANON)
        // An editor of lines cannot tell which of them were there before Ctrl-C, which is to stop those too.
        if keepsKeys { settings.c_lflag |= tcflag_t(NOFLSH) }
        settings[control: VINTR] = original[control: VINTR]
        settings.c_iflag |= original.c_iflag & tcflag_t(IXON)
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
        defer {
            var before = before
            tcsetattr(STDIN_FILENO, TCSANOW, &before)
            if keepsKeys { creadline_settle_interrupt() }
        }
        if keepsKeys, creadline_gather() { interrupt() }
        return body()
    }

    func restore() {
        guard var original else { return }
        tcsetattr(STDIN_FILENO, TCSADRAIN, &original)
    }
}

extension termios {
    /// A special character, by its index (`VINTR`); 0 stands for none.
    fileprivate subscript(control index: Int32) -> UInt8 {
        get { withUnsafeBytes(of: c_cc) { $0[Int(index)] } }
        set { withUnsafeMutableBytes(of: &c_cc) { $0[Int(index)] = newValue } }
    }
}
