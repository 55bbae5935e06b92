import Foundation
import Synchronization
import VScriptREPL

/// Reads the requests of `--json` while others are carried out, so that `interrupt` is met at once.
final class RequestQueue: Sendable {
    private struct State {
        var lines: [(number: Int, text: String)] = []
        var size = 0
        var count = 0
        /// Requests with lower numbers are to end.
        var interruptedBelow = 0
        var hasEnded = false
    }

    private let state = Mutex(State())
    private let interrupt: @Sendable () -> Void
    /// Counts the lines that wait, and the end.
    private let filled = DispatchSemaphore(value: 0)
    private let emptied = DispatchSemaphore(value: 0)

    /// So many bytes may wait; then the pipe does.
    private static let limit = 64 << 20

    /// A queue for the standard input; `interrupt` ends what runs.
    init(interrupt: @escaping @Sendable () -> Void) {
        self.interrupt = interrupt
        Thread.detachNewThread { [self] in read() }
    }

    private func read() {
        let input = PlainLineEditor()
        while case .line(let line) = input.read(prompt: "") {
            let asksToInterrupt = JSONSession.asksToInterrupt(line)
            let isFull = state.withLock { state in
                if asksToInterrupt { state.interruptedBelow = state.count }
                state.lines.append((state.count, line))
                state.count += 1
                state.size += line.utf8.count
                return state.size > Self.limit
            }
            // After the note: a request that begins in between forgets interrupts, and then looks at it.
            if asksToInterrupt { interrupt() }
            filled.signal()
            if isFull { emptied.wait() }
        }
        state.withLock { $0.hasEnded = true }
        filled.signal()
    }

    /// The next request with its number; nil after the last.
    func next() -> (number: Int, text: String)? {
        filled.wait()
        let (line, isEmptied) = state.withLock { state in
            guard !state.lines.isEmpty else { return (Optional<(number: Int, text: String)>.none, false) }
            let line = state.lines.removeFirst()
            let wasFull = state.size > Self.limit
            state.size -= line.text.utf8.count
            return (line, wasFull && state.size <= Self.limit)
        }
        if isEmptied { emptied.signal() }
        return line
    }

    /// Whether a request behind this one asks to end it.
    func isInterrupted(_ number: Int) -> Bool { state.withLock { number < $0.interruptedBelow } }
}
