import VScript
import VScriptSyntax

/// A test that a script declares.
struct TestCase: Sendable {
    let script: String
    /// Its number among the script's tests, in the order in which the script comes to them.
    let ordinal: Int
    let name: String
    /// The file and line it is declared in, which may be an imported one.
    let file: String
    let line: Int
    /// The tags that its declaration lists.
    let tags: [String]

    func isNamed(_ parts: [String]) -> Bool { parts.contains { name.contains($0) } }
    func hasTag(_ wanted: [String]) -> Bool { tags.contains(where: wanted.contains) }
}

/// What became of a test, or of a script that could not get to its tests.
struct TestResult: Sendable {
    /// How it ended.
    enum Status: String, Sendable { case passed, failed, skipped }

    let test: TestCase
    let status: Status
    /// Why it was skipped, or how its process ended.
    var reason = ""
    /// The reports, as JSON and as text.
    var reports: [TestMessage.Report] = []
    /// What it printed, or the end of that.
    var output = ""
    /// How long its statements took.
    var seconds = 0.0
    /// Whether the script has no form to run at all.
    var isMalformedScript = false

    /// What there is to say about it, as text.
    var explanation: String {
        let parts = reports.map(\.rendered) + (reason.isEmpty ? [] : ["\(reason)\n"])
        return parts.joined(separator: "\n")
    }
}
