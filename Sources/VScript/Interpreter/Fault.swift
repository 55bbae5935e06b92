import VScriptSyntax

/// An error on its way through a script.
///
/// A class, so that the functions it passes through need little of the stack for it.
final class Fault {
    let diagnostic: Diagnostic
    /// What `catch` is given; made from the diagnostic if the script did not throw it.
    private let value: ScriptValue?
    let isCatchable: Bool
    /// The calls it came through, innermost first.
    var trace: [(function: String, call: SourceSpan)] = []

    init(_ diagnostic: Diagnostic, value: ScriptValue? = nil, isCatchable: Bool = true) {
        self.diagnostic = diagnostic
        self.value = value
        self.isCatchable = isCatchable
    }

    /// A host's failure, with the place where the script asked for it.
    init(_ failure: HostFailure, at span: SourceSpan, operator operatorSpan: SourceSpan? = nil) {
        let fixes = failure.operatorFix.flatMap { text in
            operatorSpan.map { span in
                [
                    Diagnostic.Fix(
                        "keep the lowest 64 bits with `\(text)`", [Diagnostic.Edit(span, text)], isSafe: false)
                ]
            }
        }
        diagnostic = Diagnostic(
            failure.code, failure.message, at: span, label: failure.label, notes: failure.notes, fixes: fixes ?? [])
        value = nil
        isCatchable = failure.code.isCatchable
    }

    /// How many calls a report names.
    private static let traceLimit = 8

    /// The report, with the calls that led to it.
    var report: Diagnostic {
        var report = diagnostic
        for frame in trace.prefix(Self.traceLimit) {
            let place = frame.call.startPosition
            report.notes.append(
                "in \(frame.function.isEmpty ? "a function" : "`\(frame.function)`"), called at "
                    + "\(frame.call.file.name):\(place.line):\(place.column)")
        }
        if trace.count > Self.traceLimit { report.notes.append("and \(trace.count - Self.traceLimit) further calls") }
        return report
    }

    /// What `catch` binds: `[message:, code:, at:, trace:]`, or the value that was thrown if it is no text.
    var caught: ScriptValue {
        if let value { return value }
        let place = diagnostic.span?.startPosition
        return .named([
            "message": .string(diagnostic.message), "code": .string(diagnostic.code),
            "at": place.map { .string("\(diagnostic.span?.file.name ?? ""):\($0.line):\($0.column)") } ?? .nil,
            "trace": .items(trace.map { .string($0.function) }),
        ])
    }
}

/// An error of the script's on its way through host code.
///
/// `@unchecked`: it holds values of its session and is caught before control leaves it.
enum Interruption: Error, @unchecked Sendable {
    case fault(Fault)
}
