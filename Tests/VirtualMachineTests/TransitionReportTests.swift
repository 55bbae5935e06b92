import Foundation
import Testing
import VirtualMachine
import X86

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite struct TransitionReportTests {
    private func guest() throws -> Guest {
        let guest = try makeGuest(
            """
                mov esp, 0x300000
            again:
                int3
                jmp again
            """)
        guest.transitions.isRecording = true
        return guest
    }

    @Test func theEndOfAFilesNameChoosesTheForm() {
        #expect(TransitionFormat(path: "a.json") == .perfetto && TransitionFormat(path: "a.ndjson") == .ndjson)
        #expect(TransitionFormat(path: "a.csv") == .csv && TransitionFormat(path: "b/a.html") == .html)
        #expect(TransitionFormat(path: "a.txt") == nil)
    }

    @Test func theReportIsOneWellFormedPageWithBothPictures() throws {
        let program = try Assembler(mode: .bits64, origin: 0x40_0000).assemble("again: syscall\njmp again")
        let kernel = try Assembler(mode: .bits64, origin: 0xFFFF_FFFF_8000_1000).assemble("entry: o64 sysret")
        let prepared = PreparedGuest(
            .long,
            code: [
                PreparedGuest.Code(ring: 0, origin: 0xFFFF_FFFF_8000_1000, bytes: kernel.bytes),
                PreparedGuest.Code(ring: 3, origin: 0x40_0000, bytes: program.bytes),
            ], syscallEntry: 0xFFFF_FFFF_8000_1000)
        var configuration = GuestConfiguration(name: "a <guest> & more", boot: BootSource(.prepared(prepared)))
        configuration.memory = 4 << 20
        let guest = try Guest(configuration)
        guest.transitions.isRecording = true
        guest.step(3_000)
        let html = try guest.transitions.text(as: .html)
        #expect(html.contains("a &lt;guest&gt; &amp; more: 2000 transitions"))
        #expect(html.components(separatedBy: "<svg").count == 3)
        #expect(html.contains("<title>ring 3 → ring 0, syscall: 1000</title>"))
        #expect(html.contains("<title>ring 0 → ring 3, sysret: 1000</title>"))
        #expect(html.contains("<title>ring 0 → ring 3, syscall: 0</title>"))
        #expect(!html.contains("http") && !html.contains("<script") && !html.contains("src="))
        let body = html.replacing("<!DOCTYPE html>\n", with: "").replacing("<meta charset=\"utf-8\">", with: "")
        let parser = XMLParser(data: Data(body.utf8))
        #expect(parser.parse(), "\(parser.parserError.map { "\($0)" } ?? "")")
    }

    @Test func nothingRecordedIsAPageToo() throws {
        #expect(try guest().transitions.text(as: .html).contains("Nothing was recorded."))
    }
}
