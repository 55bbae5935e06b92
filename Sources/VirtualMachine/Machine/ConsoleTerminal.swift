/// A terminal of the host that a guest's console is connected to.
///
/// The library touches no terminal by itself: the program that embeds it implements this for what it has.
public protocol ConsoleTerminal: Sendable {
    /// Begins to pass on every key as it is typed, control characters too.
    func begin() throws(ConsoleTerminalError)
    /// Leaves the terminal as it was before `begin`.
    func end()
    /// Takes what has been typed, without waiting.
    func read() -> ConsoleTerminalInput
    /// Writes bytes as they are.
    func write(_ bytes: [UInt8])
    /// Waits until something can be read, at most so many nanoseconds, and gives how many have passed.
    func wait(nanoseconds: UInt64) -> UInt64
}

/// What a terminal has for the guest.
public struct ConsoleTerminalInput: Equatable, Sendable {
    /// Why nothing more comes.
    public enum Ending: Equatable, Sendable {
        /// The key that leaves the console was pressed.
        case leave
        /// The terminal is gone.
        case closed
    }

    /// What was typed.
    public var bytes: [UInt8]
    /// What came after it; nil while the guest keeps the console.
    public var ending: Ending?

    /// Makes an input.
    public init(bytes: [UInt8] = [], ending: Ending? = nil) {
        self.bytes = bytes
        self.ending = ending
    }
}

/// Why there is no terminal to connect a console to.
public struct ConsoleTerminalError: Error, CustomStringConvertible {
    /// The reason in words, such as "standard input is not a terminal".
    public var description: String

    /// Makes an error with a reason.
    public init(_ description: String) { self.description = description }
}

/// A console's connection to a terminal while the guest runs.
final class TerminalConnection {
    /// How long a key may wait for a guest that does not halt, in the host's time.
    private static let patience = Duration.milliseconds(10)
    /// How long a halted guest waits before its run looks at its limits again.
    private static let longestWait: UInt64 = 100_000_000

    private let terminal: any ConsoleTerminal
    private var pending: [UInt8] = []
    /// The guest time at which to look for keys again.
    private(set) var nextLook: UInt64 = 0
    /// How much guest time passes between two looks; it follows the speed of the engine, which varies with the guest.
    private var interval: UInt64 = 100_000
    private var lastLook = ContinuousClock.now

    init(_ terminal: any ConsoleTerminal) { self.terminal = terminal }

    func receive(_ byte: UInt8) {
        pending.append(byte)
        if pending.count >= 4096 { flush() }
    }

    func flush() {
        guard !pending.isEmpty else { return }
        terminal.write(pending)
        pending.removeAll(keepingCapacity: true)
    }

    /// Writes what the guest has printed and takes what was typed, if it is time for that.
    func exchange(at time: UInt64) -> ConsoleTerminalInput {
        guard time >= nextLook else { return ConsoleTerminalInput() }
        let now = ContinuousClock.now
        let elapsed = now - lastLook
        lastLook = now
        if elapsed > Self.patience {
            interval = max(interval / 2, 1_000)
        } else if elapsed < Self.patience / 4 {
            interval = min(interval * 2, 10_000_000)
        }
        nextLook = time.addingReportingOverflow(interval).partialValue
        flush()
        return terminal.read()
    }

    /// Waits for a key in the host's time, and gives how much of it has passed.
    func wait(atMost nanoseconds: UInt64) -> UInt64 {
        flush()
        nextLook = 0
        defer { lastLook = .now }
        return min(terminal.wait(nanoseconds: min(nanoseconds, Self.longestWait)), nanoseconds)
    }
}

extension GuestConsole {
    /// Whether a terminal is connected.
    public var isAttached: Bool { connection != nil }

    /// Runs the guest with its console on a terminal, until a limit, the guest's end, or the key that leaves.
    ///
    /// While it is attached, a halted guest waits for keys and timers in the host's time; what is typed is recorded in
    /// `inputs` with its position. If asked to, it first writes the line that the output ends with, such as a prompt.
    public func attach(
        to terminal: any ConsoleTerminal, showingLastLine: Bool = true, limits: RunLimits = RunLimits(),
        checkpoint: (() -> Bool)? = nil
    ) throws(ConsoleTerminalError) -> Stop {
        guard let guest else { throw ConsoleTerminalError("its guest is gone") }
        guard !guest.isRunning else { throw ConsoleTerminalError("the guest is already running") }
        try terminal.begin()
        defer { terminal.end() }
        let connection = TerminalConnection(terminal)
        self.connection = connection
        defer { self.connection = nil }
        if showingLastLine {
            let recent = output.suffix(4096)
            let lineStart = recent.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? recent.startIndex
            for byte in recent[lineStart...] { connection.receive(byte) }
        }
        let stop = guest.run(limits: limits, checkpoint: checkpoint)
        connection.flush()
        return stop
    }
}
