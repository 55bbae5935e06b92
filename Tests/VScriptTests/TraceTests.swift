import Foundation
import Testing
import VScript
import VirtualMachine

@Suite("Traces for Perfetto")
struct TraceTests {
    private struct Event {
        var phase: String
        var name: String
        var time: Double
        var flow: Int?
    }

    private func events(_ guest: Guest) throws -> [Event] {
        let text = try guest.transitions.text(as: .perfetto)
        let trace = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        return try #require(trace["traceEvents"] as? [[String: Any]]).map { event in
            #expect(event["pid"] is Int && event["tid"] is Int)
            return Event(
                phase: event["ph"] as? String ?? "", name: event["name"] as? String ?? "",
                time: event["ts"] as? Double ?? 0, flow: event["id"] as? Int)
        }
    }

    /// How privileged the level of a slice's name is.
    private func privilege(_ name: String) -> Int? {
        if name.hasPrefix("root") { return 4 }
        guard name.hasPrefix("ring "), let ring = name.dropFirst(5).first.flatMap({ Int(String($0)) }) else {
            return nil
        }
        return 3 - ring
    }

    @Test("levels are slices that nest, and an arrow leads from each exit to its entry", arguments: techniques)
    func nesting(technique: String) throws {
        let session = Session()
        try session.run(
            Program(CrossingTests.maker + "let g = make(.\(technique), watched: true)\ng.run(within: 1 ms)", named: "t")
        )
        let guest = try session.guest("g")
        let rows = guest.transitions.rows
        var open: [Int] = []
        var time = 0.0
        var arrows: [Int: Double] = [:]
        var ended: Set<Int> = []
        for event in try events(guest) where event.phase != "M" {
            #expect(event.time >= time)
            time = event.time
            switch event.phase {
            case "B":
                let level = try #require(privilege(event.name))
                #expect(open.last.map { $0 < level } ?? true, "\(event.name) lies in one that is more privileged")
                open.append(level)
            case "E": #expect(open.popLast() != nil)
            case "s":
                #expect(open.last == 4)
                arrows[try #require(event.flow)] = event.time
            case "f":
                #expect(open.last.map { $0 < 4 } ?? false)
                let flow = try #require(event.flow)
                #expect(arrows[flow].map { $0 <= event.time } ?? false && ended.insert(flow).inserted)
            case "i": break
            case let other: Issue.record("phase \(other)")
            }
        }
        #expect(open.isEmpty && !rows.isEmpty)
        let exits = rows.filter { $0.after.level == .root }
        #expect(Set(arrows.keys) == Set(exits.map { Int($0.sequence) }))
        let entries = rows.filter { $0.before.level == .root }.count
        #expect(ended.count == entries - (rows.first?.before.level == .root ? 1 : 0))
        #expect(exits.isEmpty == (technique == "bare"))
    }
}
