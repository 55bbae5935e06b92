/// How records of transitions are written.
public enum TransitionFormat: String, CaseIterable, Sendable {
    /// Trace Event Format as Perfetto and Chrome read it: a track for each processor with nested slices for the levels.
    case perfetto
    /// Comma-separated values (RFC 4180), a line for each transition.
    case csv
    /// A JSON object on each line.
    case ndjson
    /// A page with a timeline and a matrix of levels and causes as pictures, which needs no network.
    case html

    /// The format of a file name: `.json`, `.csv`, `.ndjson` or `.html`; nil for other endings.
    public init?(path: String) {
        let endings: [(String, TransitionFormat)] = [
            (".ndjson", .ndjson), (".json", .perfetto), (".csv", .csv), (".html", .html),
        ]
        guard let found = endings.first(where: { path.hasSuffix($0.0) }) else { return nil }
        self = found.1
    }
}

extension TransitionLog {
    /// The records kept as text.
    ///
    /// - Throws: An error if the task is cancelled.
    public func text(as format: TransitionFormat) throws -> String { try exported(as: format) }

    /// The same.
    package func exported(as format: TransitionFormat) throws(Interrupted) -> String {
        let name = guest?.configuration.name ?? "guest"
        var text = ""
        switch format {
        case .perfetto:
            var trace = PerfettoTrace(guest: name)
            try forEachRow { if !$0.isModelled { trace.add($0) } }
            trace.finish()
            text = trace.text
        case .csv:
            text = Self.columns.joined(separator: ",") + "\n"
            try forEachRow { text += Self.csv($0) + "\n" }
        case .ndjson: try forEachRow { text += Self.json($0) + "\n" }
        case .html:
            var rows: [Transition] = []
            try forEachRow { rows.append($0) }
            text = try TransitionReport(guest: name, rows: rows).html()
        }
        return text
    }

    private static let columns = [
        "number", "time_ns", "instructions", "from", "to", "cause", "gate", "cs_before", "rip_before", "ss_before",
        "rsp_before", "cs_after", "rip_after", "ss_after", "rsp_after", "switched_stack", "vector", "error_code",
        "address", "cpu", "technique", "cr3_before", "cr3_after", "depth_before", "depth_after",
        "physical_ring_before", "physical_ring_after", "physical_rip_before", "physical_rip_after", "reason", "code",
        "qualification", "information", "call", "arguments", "result", "cost_cycles", "modelled",
    ]

    /// The values of a row, in the order of the columns; numbers that are places in hexadecimal.
    private static func values(_ t: Transition) -> [(text: String, isNumber: Bool)] {
        func number(_ value: some BinaryInteger) -> (String, Bool) { ("\(value)", true) }
        func place(_ value: some BinaryInteger) -> (String, Bool) { (hexadecimal(value), false) }
        func point(_ p: Transition.Point) -> [(String, Bool)] {
            [place(p.cs), place(p.rip), place(p.ss), place(p.rsp)]
        }
        func optional(_ value: (some BinaryInteger)?, _ write: (UInt64) -> (String, Bool)) -> (String, Bool) {
            value.map { write(UInt64(truncatingIfNeeded: $0)) } ?? ("", false)
        }
        return [number(t.sequence), number(t.time), number(t.instructions)]
            + [(t.before.level.description, false), (t.after.level.description, false), (t.cause, false)]
            + [(t.gate ?? "", false)] + point(t.before) + point(t.after)
            + [(t.switchedStack ? "true" : "false", true), optional(t.vector, number)]
            + [optional(t.errorCode, place), optional(t.address, place)] + sides(t)
    }

    /// What a row says of the machine and the monitor.
    private static func sides(_ t: Transition) -> [(text: String, isNumber: Bool)] {
        func number(_ value: (some BinaryInteger)?) -> (String, Bool) { value.map { ("\($0)", true) } ?? ("", false) }
        func place(_ value: (some BinaryInteger)?) -> (String, Bool) { (value.map { hexadecimal($0) } ?? "", false) }
        return [number(t.cpu), (t.technique.rawValue, false), place(t.before.cr3), place(t.after.cr3)]
            + [number(t.before.depth), number(t.after.depth)]
            + [number(t.before.physicalRing), number(t.after.physicalRing)]
            + [place(t.before.physicalRIP), place(t.after.physicalRIP)]
            + [(t.exit?.reason.name ?? "", false), number(t.exit?.code), place(t.exit?.qualification)]
            + [place(t.exit?.information), place(t.call?.number)]
            + [(t.call.map { $0.arguments.map { hexadecimal($0) }.joined(separator: " ") } ?? "", false)]
            + [place(t.call?.result), number(t.cost), (t.isModelled ? "true" : "false", true)]
    }

    private static func csv(_ transition: Transition) -> String {
        values(transition).map { $0.text.contains(where: { ",\"\n".contains($0) }) ? quoted($0.text) : $0.text }
            .joined(separator: ",")
    }

    private static func quoted(_ text: String) -> String { "\"" + text.replacing("\"", with: "\"\"") + "\"" }

    private static func json(_ transition: Transition) -> String {
        let members = zip(columns, values(transition)).compactMap { name, value -> String? in
            value.text.isEmpty ? nil : "\"\(name)\":" + (value.isNumber ? value.text : jsonString(value.text))
        }
        return "{" + members.joined(separator: ",") + "}"
    }
}

/// A text as JSON writes it.
private func jsonString(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        case _: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

/// A trace of levels: each is a slice that lies in the slice of the less privileged one that it was entered from.
///
/// Trace Event Format: `ts` is in microseconds of guest time.
private struct PerfettoTrace {
    private(set) var text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
    private var open: [Level] = []
    private var last: UInt64 = 0
    /// The number of the last exit, by which the arrow to the entry after it is known.
    private var exit: UInt64?

    init(guest: String) {
        text += metadata("process_name", guest)
        add(metadata("thread_name", "cpu 0"))
    }

    mutating func add(_ row: Transition) {
        if open.isEmpty { begin(row.before.level, name(row.before.level), row.time, nil) }
        last = row.time
        // Gone from without a record: the oldest ones are dropped first.
        while open.count > 1, let top = open.last, top < row.before.level { end(row.time) }
        if row.cause.hasPrefix("#") { instant(row) }
        if row.after.level < row.before.level {
            begin(row.after.level, "\(name(row.after.level)): \(row.cause)", row.time, row)
        } else {
            while let top = open.last, top < row.after.level { end(row.time) }
            if open.last != row.after.level { begin(row.after.level, name(row.after.level), row.time, row) }
        }
        if row.after.level == .root {
            exit = row.sequence
            flow("s", row, row.sequence)
        } else if row.before.level == .root, let left = exit {
            flow("f", row, left)
            exit = nil
        }
    }

    /// Ends what is open and the text.
    mutating func finish() {
        while !open.isEmpty { end(last) }
        text += "\n]}\n"
    }

    private mutating func add(_ event: String) { text += ",\n" + event }

    private func name(_ level: Level) -> String { level == .root ? "root" : "ring \(level)" }

    private func metadata(_ kind: String, _ name: String) -> String {
        "{\"name\":\"\(kind)\",\"ph\":\"M\",\"pid\":1,\"tid\":1,\"args\":{\"name\":\(jsonString(name))}}"
    }

    private func head(_ phase: String, _ time: UInt64) -> String {
        let rest = String(time % 1_000)
        let microseconds = "\(time / 1_000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
        return "\"ph\":\"\(phase)\",\"pid\":1,\"tid\":1,\"ts\":\(microseconds)"
    }

    private mutating func begin(_ level: Level, _ name: String, _ time: UInt64, _ row: Transition?) {
        open.append(level)
        let arguments = row.map {
            ",\"args\":{\"rip before\":\"\(hexadecimal($0.before.rip))\",\"rip after\":\"\(hexadecimal($0.after.rip))\","
                + "\"number\":\($0.sequence),\"instructions\":\($0.instructions)}"
        }
        add("{\"name\":\(jsonString(name)),\(head("B", time))\(arguments ?? "")}")
    }

    private mutating func end(_ time: UInt64) {
        open.removeLast()
        add("{\(head("E", time))}")
    }

    private mutating func instant(_ row: Transition) {
        add("{\"name\":\(jsonString(row.cause)),\"s\":\"t\",\(head("i", row.time))}")
    }

    private mutating func flow(_ phase: String, _ row: Transition, _ identifier: UInt64) {
        add(
            "{\"name\":\"exit\",\"cat\":\"vm\",\"id\":\(identifier),\"bp\":\"e\",\(head(phase, row.time))}")
    }
}
