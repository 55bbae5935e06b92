import Foundation
import VScript
import VScriptSyntax

/// What the process of a test tells the one that started it: JSON objects, one for each line.
enum TestMessage: Sendable {
    /// A report about the script, as JSON and as text.
    struct Report: Sendable {
        let json: String
        let rendered: String
    }

    case declared(ordinal: Int, name: String, file: String, line: Int)
    case timeLimit(seconds: Double)
    case finished(TestResult.Status, reason: String, seconds: Double)
    case report(Report)
    case output(String)

    /// The line, without its end.
    var line: String {
        switch self {
        case .declared(let ordinal, let name, let file, let line):
            JSON.object([
                ("type", .string("declared")), ("ordinal", .integer(ordinal)), ("name", .string(name)),
                ("file", .string(file)), ("line", .integer(line)),
            ]).text
        case .timeLimit(let seconds):
            JSON.object([("type", .string("timeLimit")), ("seconds", .number("\(seconds)"))]).text
        case .finished(let status, let reason, let seconds):
            JSON.object([
                ("type", .string("finished")), ("status", .string(status.rawValue)), ("reason", .string(reason)),
                ("seconds", .number("\(seconds)")),
            ]).text
        case .report(let report): report.json
        case .output(let text): JSON.object([("type", .string("output")), ("text", .string(text))]).text
        }
    }

    /// Reads a line; what is none of these messages, such as the last words of a process that crashes, is output.
    init(line: String) {
        let object = (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any] ?? [:]
        switch object["type"] as? String {
        case "declared":
            self = .declared(
                ordinal: object["ordinal"] as? Int ?? 0, name: object["name"] as? String ?? "",
                file: object["file"] as? String ?? "", line: object["line"] as? Int ?? 0)
        case "timeLimit": self = .timeLimit(seconds: object["seconds"] as? Double ?? 0)
        case "finished":
            self = .finished(
                (object["status"] as? String).flatMap(TestResult.Status.init) ?? .failed,
                reason: object["reason"] as? String ?? "", seconds: object["seconds"] as? Double ?? 0)
        case "diagnostic": self = .report(Report(json: line, rendered: object["rendered"] as? String ?? ""))
        case "output": self = .output(object["text"] as? String ?? "")
        case _: self = .output(line + "\n")
        }
    }
}
