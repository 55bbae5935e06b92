import VScriptSyntax
import VirtualMachine

/// What is said when a run has ended.
package struct StopReport {
    /// `breakpoint 1`; nil after steps, whose end needs no reason.
    package var reason: String?
    package var stop: Stop
    package var guest: String
    package var cpu: Int
    package var ring: Int
    package var rip: UInt64
    package var symbol: String?
    /// The source line of `rip`.
    package var location: SourceLocation?
    /// The changes of privilege level to show.
    package var transitions: [Transition]
    package var lines: [StyledText]

    /// Where guest time stands in the line of the reason.
    private static let timeColumn = 56

    init(_ guest: DebuggedGuest, _ stop: Stop, reason: String?, transitions: [Transition], extra: [StyledText] = []) {
        self.reason = reason
        self.stop = stop
        self.guest = guest.name
        self.transitions = transitions
        cpu = 0
        ring = guest.guest.cpu.ring
        rip = guest.guest.cpu.rip
        let place = PlaceView(guest: guest)
        symbol = place.name(rip)
        location = guest.symbols.location(of: guest.codeAddress(rip))
        lines = []
        if let reason {
            let head = StyledText("stopped: ", .heading) + StyledText(reason)
            let gap = max(Self.timeColumn - head.plain.count, 2)
            lines.append(
                head + StyledText(String(repeating: " ", count: gap))
                    + StyledText(
                        "\(Numbers.time(stop.time))   instruction \(Numbers.grouped(stop.instructions))", .faint))
        }
        let view = TransitionView(guest: guest)
        for transition in transitions { lines += view.lines(transition) }
        lines += extra
        switch stop.reason {
        case .crashed:
            lines += stop.faults.map { StyledText("   \($0)", .failure) }
            lines.append(place.current())
        case .shutdown: break
        case .event, .halted, .stopped, .timeout, .instructions:
            // The monitor is nowhere in the guest's code.
            if !guest.isInRoot { lines.append(place.current()) }
        }
    }

    /// A report in words of one's own.
    init(_ guest: DebuggedGuest, _ stop: Stop, reason: String?, transitions: [Transition], lines: [StyledText]) {
        self.init(guest, stop, reason: reason, transitions: transitions)
        self.lines = lines
    }

    package var json: JSON {
        .object([
            ("type", .string("stop")), ("reason", .string(stop.reason.rawValue)),
            ("detail", .string(reason ?? stop.detail)), ("guest", .string(guest)), ("cpu", .integer(cpu)),
            ("ring", .integer(ring)), ("rip", .integer(rip)), ("symbol", symbol.map(JSON.string) ?? .null),
            ("file", location.map { .string($0.file) } ?? .null),
            ("line", location.map { .integer($0.line) } ?? .null), ("time", .integer(stop.time)),
            ("instructions", .integer(stop.instructions)),
            ("exitStatus", stop.exitStatus.map { .integer($0) } ?? .null),
            ("faults", .array(stop.faults.map(JSON.string))),
            ("transitions", .array(transitions.map(TransitionView.json))),
            ("rendered", .string(lines.map { $0.plain + "\n" }.joined())),
        ])
    }
}
