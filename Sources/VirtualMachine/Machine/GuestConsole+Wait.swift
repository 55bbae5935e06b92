/// A wait on a console that has failed.
public struct ConsoleError: Error, CustomStringConvertible {
    /// What did not happen.
    public var message: String
    /// How the run ended; nil if there was none.
    public var stop: Stop?
    /// The last 20 lines of the console.
    public var tail: String

    /// What did not happen, how the run ended, and the end of the console.
    public var description: String {
        var lines = [message]
        if let stop {
            let detail = stop.detail.isEmpty ? "" : " (\(stop.detail))"
            lines.append("the guest stopped: .\(stop.reason.rawValue)\(detail), \(stop.instructions) instructions")
        }
        lines.append(tail.isEmpty ? "its console has written nothing" : "its console ends with:\n\(tail)")
        return lines.joined(separator: "\n")
    }
}

extension GuestConsole {
    private func failure(_ message: String, _ stop: Stop?) -> ConsoleError {
        ConsoleError(message: message, stop: stop, tail: tail(20))
    }

    /// Runs the guest until a text appears in what it writes after the last match; the echo of what `send` has typed
    /// does not count, and the guest stands still right after the last byte of the text.
    @discardableResult
    public func wait(
        _ text: String, within time: Duration? = nil, instructions: UInt64? = nil, wall: Duration? = nil
    ) throws(ConsoleError) -> Stop {
        let scanner = TextScanner(Array(text.utf8))
        let limits = RunLimits(time: time?.wholeNanoseconds, instructions: instructions)
        let found = wait(
            matching: { [unowned self] in scanner.match($0, from: typed.skip($0, from: $1)) }, limits: limits,
            checkpoint: Self.checkpoint(wall))
        guard found.match != nil else { throw failure("\"\(text)\" did not appear", found.stop) }
        return found.stop
    }

    /// Types a line and gives what it prints until the prompt is back, without the echo.
    ///
    /// The last line of the output before it is taken for the prompt.
    public func command(
        _ line: String, within time: Duration? = nil, wall: Duration? = nil
    ) throws(ConsoleError) -> String {
        let limits = RunLimits(time: time?.wholeNanoseconds)
        return try command(line, limits: limits, checkpoint: Self.checkpoint(wall))
    }

    /// The same, bounded as a run is.
    package func command(
        _ line: String, limits: RunLimits, checkpoint: (() -> Bool)?
    ) throws(ConsoleError) -> String {
        guard let command = type(command: line) else { throw failure("there is no prompt to type at", nil) }
        let found = wait(matching: command.matcher, limits: limits, checkpoint: checkpoint)
        guard let match = found.match else { throw failure("the prompt did not come back", found.stop) }
        return command.printed(before: match, in: output)
    }

    /// A line that has been typed at a prompt.
    package struct Command {
        /// What was typed, with its end.
        fileprivate let line: String
        /// Where the output ended when it was typed.
        fileprivate let start: Int
        /// Finds the prompt when it is back.
        package let matcher: ([UInt8], Int) -> Range<Int>?

        /// What the line has printed, without its echo.
        package func printed(before prompt: Range<Int>, in output: [UInt8]) -> String {
            var printed = output[start..<prompt.lowerBound]
            if case .passed(let end) = Echo(line, from: start).progress(in: output), end <= prompt.lowerBound {
                printed = output[end..<prompt.lowerBound]
            }
            var text = String(decoding: printed, as: UTF8.self).replacing("\r\n", with: "\n")[...]
            while text.last?.isNewline == true { text.removeLast() }
            return String(text)
        }
    }

    /// Types a line at the prompt that the last line of the output is; nil if there is none.
    package func type(command line: String) -> Command? {
        let newline = UInt8(ascii: "\n")
        let prompt = output[((output.lastIndex(of: newline) ?? -1) + 1)...]
        guard !prompt.isEmpty else { return nil }
        let start = output.count
        let scanner = TextScanner([newline] + prompt)
        send(line + "\n")
        return Command(line: line + "\n", start: start) { bytes, _ in scanner.match(bytes, from: start) }
    }

    private static func checkpoint(_ wall: Duration?) -> (() -> Bool)? {
        guard let wall else { return nil }
        let end = ContinuousClock.now + wall
        return { ContinuousClock.now < end }
    }
}
