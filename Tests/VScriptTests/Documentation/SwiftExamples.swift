import Testing
import VScript

/// The Swift of the documentation, which compares it with this file.
@Suite("Swift of the documentation")
struct SwiftExamples {
    @Test("a program runs in a session")
    func session() throws {
        let program = try Program("print(6 * 7)", named: "answer.vscript")
        let session = Session(limits: .untrusted)
        session.output = { text in print(text, terminator: "") }
        try session.run(program)
    }
}
