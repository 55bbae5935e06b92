import Foundation
import Testing
import VirtualMachine

@Suite struct TransitionExportTests {
    private func recorded() throws -> Guest {
        let guest = try makeGuest(
            """
                lea rax, [rel handler]
                mov [rel idt + 6 * 16], ax
                shr rax, 16
                mov [rel idt + 6 * 16 + 6], ax
                mov ax, cs
                mov [rel idt + 6 * 16 + 2], ax
                mov word [rel idt + 6 * 16 + 4], 0x8e00
                lidt [rel pointer]
                hlt
            handler: hlt
                align 16
            pointer: dw 0xfff
                dq idt
                align 16
            idt: times 256 dq 0
            """)
        return guest
    }

    @Test func formatsFollowTheFileName() {
        #expect(TransitionFormat(path: "a.perfetto.json") == .perfetto)
        #expect(TransitionFormat(path: "a.csv") == .csv && TransitionFormat(path: "a.ndjson") == .ndjson)
        #expect(TransitionFormat(path: "a.txt") == nil)
    }

    @Test func aTraceIsJSONWithBalancedSlices() throws {
        let guest = try recorded()
        guest.transitions.isRecording = true
        guest.run()
        let text = try guest.transitions.text(as: .perfetto)
        let trace = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let events = try #require(trace["traceEvents"] as? [[String: Any]])
        var depth = 0
        for event in events {
            switch event["ph"] as? String {
            case "B": depth += 1
            case "E": depth -= 1
            default: break
            }
            #expect(depth >= 0)
        }
        #expect(depth == 0 && events.count >= 2)
        #expect(try guest.transitions.text(as: .csv).hasPrefix("number,time_ns,instructions,from,to,cause"))
    }
}
