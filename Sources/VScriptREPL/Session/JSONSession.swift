import FoundationEssentials
import VScriptSyntax

/// The protocol of `vscript repl --json`: requests and answers are objects of JSON, one to a line.
///
/// The page `Protocol` of the documentation tells all of them, with examples that the tests run.
package final class JSONSession {
    private let repl: REPL
    private let write: (String) -> Void

    /// A request as it is read.
    private struct Request: Decodable {
        var input: String?
        var complete: String?
        var cursor: Int?
        var isComplete: String?
        var inspect: String?
        var interrupt: Bool?
        var id: Identifier?
    }

    /// A number or text that names a request.
    private enum Identifier: Decodable {
        case number(Int64), text(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int64.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        var json: JSON {
            switch self {
            case .number(let number): .integer(number)
            case .text(let text): .string(text)
            }
        }
    }

    private var id: JSON?

    /// A session that writes lines, without their ends.
    package init(_ repl: REPL, write: @escaping (String) -> Void) {
        self.repl = repl
        self.write = write
        repl.output = { [unowned self] in send(JSONRenderer.line($0)) }
    }

    /// Says that requests can come.
    package func begin() { ready(isLeaving: false) }

    /// Whether a line asks to end what runs.
    package static func asksToInterrupt(_ line: String) -> Bool {
        // Most lines are none, and may be long.
        line.utf8.count < 4096 && line.contains("\"interrupt\"")
            && (try? JSONDecoder().decode(Request.self, from: Data(line.utf8)))?.interrupt == true
    }

    /// Answers a line; false once the user wants to leave.
    ///
    /// `isInterrupted` tells whether it was asked to end what the line begins before that has begun.
    package func answer(_ line: String, isInterrupted: () -> Bool = { false }) -> Bool {
        id = nil
        repl.clearInterrupt()
        if isInterrupted() { repl.interrupt() }
        guard !line.trimmingSpaces.isEmpty else { return true }
        let request: Request
        do { request = try JSONDecoder().decode(Request.self, from: Data(line.utf8)) } catch {
            repl.output(.failure(CommandFailure("this is no request in JSON", notes: ["as in {\"input\": \"step\"}"])))
            ready(isLeaving: false)
            return true
        }
        id = request.id?.json
        var goesOn = true
        if let input = request.input {
            goesOn = repl.handle(input)
        } else if let text = request.complete {
            complete(text, cursor: request.cursor)
        } else if let text = request.isComplete {
            send([("type", .string("isComplete")), ("complete", .bool(repl.isComplete(text)))])
        } else if let name = request.inspect {
            inspect(name)
        } else if request.interrupt == nil {
            repl.output(
                .failure(CommandFailure("a request has `input`, `complete`, `isComplete`, `inspect` or `interrupt`")))
        }
        ready(isLeaving: !goesOn)
        return goesOn
    }

    private func complete(_ text: String, cursor: Int?) {
        let bytes = Array(text.utf8)
        let end = min(max(cursor ?? bytes.count, 0), bytes.count)
        var start = end
        let breaks = Set(" \t\n\"'`@><=;|&{}()[],+-*/%!~^:".utf8)
        while start > 0, !breaks.contains(bytes[start - 1]) { start -= 1 }
        let items = repl.completions(in: text, word: start..<end)
        send([
            ("type", .string("completions")), ("start", .integer(start)), ("end", .integer(end)),
            (
                "items",
                .array(items.map { .object([("word", .string($0.word)), ("summary", .string($0.summary))]) })
            ),
        ])
    }

    private func inspect(_ name: String) {
        let lines = try? repl.documentation(of: name, wantsSource: false)
        send([
            ("type", .string("inspect")), ("found", .bool(lines != nil)),
            ("text", .string((lines ?? []).map(\.plain).joined(separator: "\n"))),
        ])
    }

    private func ready(isLeaving: Bool) {
        send([
            ("type", .string("ready")), ("prompt", .string(repl.prompt.plain)),
            ("guest", repl.focused.map { .string($0.name) } ?? .null),
            ("ring", repl.focused.map { .integer($0.guest.cpu.ring) } ?? .null), ("leaving", .bool(isLeaving)),
        ])
    }

    private func send(_ members: [(String, JSON)]) { send(JSON.object(members).text) }

    /// Writes an object with the identifier of the request it answers.
    private func send(_ line: String) {
        guard let id, line.hasSuffix("}") else { return write(line) }
        write(line.dropLast() + ",\"id\":\(id.text)}")
    }
}
