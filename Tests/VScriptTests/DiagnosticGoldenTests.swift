import Foundation
import Testing
import VScript
import VScriptSyntax

/// For each code a script with its mistake, and what is said about it as text and as JSON, in `Fixtures/Diagnostics`.
///
/// `VSCRIPT_RECORD=1` writes the files anew, and fails so that they are looked at.
@Suite("Reports by code")
struct DiagnosticGoldenTests {
    static let codes = SyntaxCode.allCases.map(\.id) + ScriptCode.allCases.map(\.id)

    /// Contents that no text file can hold, with what the file says instead.
    private static let contents: [String: (note: String, bytes: @Sendable () -> [UInt8])] = [
        SyntaxCode.invalidUTF8.id: ("(the bytes 61 FF)", { [0x61, 0xFF] }),
        SyntaxCode.fileTooLarge.id: (
            "(a line break and 64 MiB of spaces)", { [0x0A] + [UInt8](repeating: 0x20, count: 64 << 20) }
        ),
        SyntaxCode.nestedTooDeeply.id: (
            "(a thousand times `[`)", { [UInt8](repeating: UInt8(ascii: "["), count: 1_000) }
        ),
    ]

    private static func pages(of code: String) -> DiagnosticPage? {
        SyntaxCode(rawValue: code)?.page ?? ScriptCode(rawValue: code)?.page
    }

    @Test("the report of each code is as recorded", arguments: codes)
    func golden(code: String) throws {
        let folder = fixtures.appendingPathComponent("Diagnostics")
        let path = folder.appendingPathComponent("\(code).golden")
        let recorded = try? String(contentsOf: path, encoding: .utf8)
        let isRecording = ProcessInfo.processInfo.environment["VSCRIPT_RECORD"] != nil
        guard recorded != nil || isRecording else {
            Issue.record("no \(path.lastPathComponent); VSCRIPT_RECORD=1 writes it")
            return
        }
        // The input is the file's own, so that it can be another script than the page's.
        let special = Self.contents[code]
        let script = recorded?.components(separatedBy: "\n==== text\n").first ?? Self.pages(of: code)?.failing ?? ""
        let bytes = special?.bytes() ?? Array(script.utf8)
        let file = SourceFile(bytes: bytes, named: folder.appendingPathComponent("test.vscript").path)
        let reports = reports(on: file, showing: code)
        #expect(reports.map(\.code) == [code])
        let report = try #require(reports.first)
        // Places are told relative to the folder.
        let outputs = [report.rendered(), report.json + "\n"].map { $0.replacing(folder.path + "/", with: "") }
        let text = "\(special?.note ?? script)\n==== text\n\(outputs[0])==== json\n\(outputs[1])"
        if isRecording {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: path)
            Issue.record("recorded \(path.lastPathComponent): look at what has changed")
        } else {
            #expect(text == recorded)
        }
    }

    @Test("no recorded report is left over from a code that is gone")
    func leftovers() throws {
        let names = try FileManager.default.contentsOfDirectory(
            atPath: fixtures.appendingPathComponent("Diagnostics").path)
        #expect(Set(names.filter { $0.hasSuffix(".golden") }) == Set(Self.codes.map { "\($0).golden" }))
    }
}
