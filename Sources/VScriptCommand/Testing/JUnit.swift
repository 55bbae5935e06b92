import Foundation

/// Results as the XML that JUnit writes and build servers read.
enum JUnit {
    static func write(_ results: [TestResult], to path: String) throws(FileFailure) {
        do {
            try Data(text(results).utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw FileFailure(path: path, reason: "cannot be written")
        }
    }

    /// One suite for each script.
    static func text(_ results: [TestResult]) -> String {
        var lines = [#"<?xml version="1.0" encoding="UTF-8"?>"#, element("testsuites", totals(results), isOpen: true)]
        let scripts = results.map(\.test.script).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        for script in scripts {
            let own = results.filter { $0.test.script == script }
            lines.append(element("testsuite", [("name", script)] + totals(own), isOpen: true))
            lines += own.map(testCase)
            lines.append("</testsuite>")
        }
        return (lines + ["</testsuites>", ""]).joined(separator: "\n")
    }

    private static func totals(_ results: [TestResult]) -> [(String, String)] {
        func count(_ status: TestResult.Status) -> String { "\(results.filter { $0.status == status }.count)" }
        return [
            ("tests", "\(results.count)"), ("failures", count(.failed)), ("errors", "0"), ("skipped", count(.skipped)),
            ("time", seconds(results.reduce(0) { $0 + $1.seconds })),
        ]
    }

    private static func testCase(_ result: TestResult) -> String {
        var children = ""
        switch result.status {
        case .passed: break
        case .skipped: children += element("skipped", [("message", result.reason)])
        case .failed:
            let explanation = result.explanation
            let message = explanation.split(separator: "\n").first.map(String.init) ?? "failed"
            children += element("failure", [("message", message)], content: explanation)
        }
        if !result.output.isEmpty { children += element("system-out", content: result.output) }
        let attributes = [
            ("name", result.test.name), ("classname", result.test.script), ("file", result.test.file),
            ("line", "\(result.test.line)"), ("time", seconds(result.seconds)),
        ]
        return children.isEmpty
            ? element("testcase", attributes) : element("testcase", attributes, isOpen: true) + children + "</testcase>"
    }

    private static func seconds(_ time: Double) -> String { String(format: "%.6f", time) }

    private static func element(
        _ name: String, _ attributes: [(String, String)] = [], content: String? = nil, isOpen: Bool = false
    ) -> String {
        let start = "<\(name)" + attributes.map { " \($0)=\"\(escaped($1))\"" }.joined()
        if let content { return "\(start)>\(escaped(content))</\(name)>" }
        return start + (isOpen ? ">" : "/>")
    }

    /// Text for an attribute or element; characters that XML 1.0 cannot hold become U+FFFD.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\t": result += "&#9;"
            case "\n": result += "&#10;"
            case _ where scalar.value < 0x20 || 0xFFFE...0xFFFF ~= scalar.value: result += "\u{FFFD}"
            case _: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
