/// The guest's serial port as a terminal: what it printed, and what is typed into it.
public final class GuestConsole {
    weak var guest: Guest?
    /// Everything the serial port sent.
    public private(set) var output: [UInt8] = []
    /// Everything written to port 0xE9.
    public private(set) var debugOutput: [UInt8] = []
    /// Hears each byte as it comes.
    public var onOutput: ((UInt8) -> Void)?
    /// Hears each byte of port 0xE9 as it comes.
    public var onDebugOutput: ((UInt8) -> Void)?
    /// Where the next wait begins to search.
    private var searched = 0
    /// What the run is waiting for.
    private var pattern: (([UInt8], Int) -> Range<Int>?)?
    private var match: Range<Int>?
    /// Everything that was typed so far, with its positions.
    public private(set) var inputs: [ExternalInput] = []
    /// Recorded input that has not come in yet.
    var replaying: ArraySlice<ExternalInput> = []
    /// What was typed last and may come back as its echo.
    package private(set) var typed = Echo()
    /// The terminal that the console is attached to.
    var connection: TerminalConnection?

    /// How far the console has come, for snapshots.
    struct Progress {
        var output: [UInt8]
        var debugOutput: [UInt8]
        var searched: Int
        var inputs: [ExternalInput]
        var replaying: ArraySlice<ExternalInput>
        var typed: Echo
    }

    var progress: Progress {
        get {
            Progress(
                output: output, debugOutput: debugOutput, searched: searched, inputs: inputs, replaying: replaying,
                typed: typed)
        }
        set {
            output = newValue.output
            debugOutput = newValue.debugOutput
            searched = newValue.searched
            inputs = newValue.inputs
            replaying = newValue.replaying
            typed = newValue.typed
        }
    }

    func receive(_ byte: UInt8) {
        output.append(byte)
        onOutput?(byte)
        connection?.receive(byte)
        guest?.consoleReceived(byte)
        if let pattern, match == nil, let range = pattern(output, searched) {
            match = range
            guest?.requestStop(.event, "console", guest?.makeEvent(.console))
        }
    }

    func receiveDebug(_ byte: UInt8) {
        debugOutput.append(byte)
        onDebugOutput?(byte)
    }

    /// Types text into the serial port, from now on in guest time.
    public func send(_ text: String) {
        typed = Echo(text, from: output.count)
        send(Array(text.utf8))
    }

    /// Types bytes into the serial port, from now on in guest time.
    public func send(_ bytes: [UInt8]) {
        guard let guest, !bytes.isEmpty else { return }
        inputs.append(ExternalInput(time: guest.time, instructions: guest.instructions, bytes: bytes))
        guest.platform.pc.sendSerialInput(bytes, at: guest.time)
        guest.platform.synchronize()
    }

    /// Runs the guest until a matcher finds something in the output since the last match.
    ///
    /// `matcher` gets all output and where to begin, and is asked after every byte. The guest stands still right after
    /// the byte that completed the match. Returns the stop and what was matched; nil if the run ended otherwise.
    public func wait(
        matching matcher: @escaping ([UInt8], Int) -> Range<Int>?, limits: RunLimits = RunLimits(),
        checkpoint: (() -> Bool)? = nil
    ) -> (stop: Stop, match: Range<Int>?) {
        guard let guest else { preconditionFailure("a console outlived its guest") }
        match = matcher(output, searched)
        pattern = matcher
        defer { pattern = nil }
        var stop: Stop
        if match == nil {
            stop = guest.run(limits: limits, checkpoint: checkpoint)
        } else {
            stop = Stop(
                reason: .event, detail: "console", event: guest.makeEvent(.console), time: guest.time,
                instructions: guest.instructions, exitStatus: nil, faults: [])
        }
        if let match { searched = match.upperBound }
        defer { match = nil }
        return (stop, match)
    }

    /// Runs the guest until a text appears.
    public func wait(
        for text: String, limits: RunLimits = RunLimits(), checkpoint: (() -> Bool)? = nil
    ) -> (stop: Stop, match: Range<Int>?) {
        let wanted = Array(text.utf8)
        // What has been looked at is not looked at again: the guest prints byte by byte.
        var position = searched
        return wait(
            matching: { bytes, _ in
                while position + wanted.count <= bytes.count {
                    if bytes[position..<position + wanted.count].elementsEqual(wanted) {
                        return position..<position + wanted.count
                    }
                    position += 1
                }
                return nil
            }, limits: limits, checkpoint: checkpoint)
    }

    /// The last lines of the output.
    public func tail(_ lines: Int) -> String {
        let text = String(decoding: output.suffix(lines * 200 + 200), as: UTF8.self).replacing("\r\n", with: "\n")
        var parts = text.split(separator: "\n", omittingEmptySubsequences: false)
        // The end of a line does not begin another one.
        let isEnded = parts.last?.isEmpty == true
        if isEnded { parts.removeLast() }
        return parts.suffix(lines).joined(separator: "\n") + (isEnded && !parts.isEmpty ? "\n" : "")
    }
}
