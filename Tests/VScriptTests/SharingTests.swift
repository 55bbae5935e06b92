import Foundation
import Testing
import VScript
import VirtualMachine

/// Several guests on one hypervisor, and guests that go from one to another.
@Suite("Guests that share a hypervisor, and that move")
struct SharingTests {
    /// A function `counter(h, weight, cap)` that makes a guest which counts for ever.
    private static let counter = """
        fn counter(h, weight = 256, cap = 100, code = asm { again: inc rbx; push rbx; pop rcx; jmp again }) {
          guest g on h {
            memory: 4 MiB
            boot: .long
            weight: weight
            cap: cap
            cpuid: if h.technique == .svm { .amd64 } else { .intel64 }
            ring 0 { code }
          }
          g
        }

        """

    private func run(_ source: String) throws -> String { try printed(Self.counter + source) }

    @Test("weights of 1 and 3 divide the processor as 1 to 3, within 2 %", arguments: techniques)
    func weights(technique: String) throws {
        let output = try run(
            """
            hypervisor h { technique: .\(technique); slice: 10 us }
            let a = counter(h, weight: 1)
            let b = counter(h, weight: 3)
            expect h.run(within: 4 ms) == [nil, nil]
            print(a.consumed, b.consumed, h.elapsed, h.slice)
            """)
        let numbers = output.split(separator: " ").prefix(2).compactMap { Double($0) }
        try #require(numbers.count == 2)
        #expect(numbers[0] + numbers[1] == 4_000_000)
        #expect(abs(numbers[1] / numbers[0] - 3) < 0.06)
        #expect(output.hasSuffix("4 ms 10 us\n"))
    }

    @Test("shares can be changed between runs, and caps leave the processor idle")
    func changes() throws {
        let output = try run(
            """
            hypervisor h { technique: .translate; slice: 10 us }
            let a = counter(h)
            let b = counter(h)
            h.run(within: 1 ms)
            let x = a.consumed
            let y = b.consumed
            a.weight = 3
            b.weight = 1
            h.run(within: 2 ms)
            let later = a.consumed
            print(x == y, (a.consumed - x) / 10_000, (b.consumed - y) / 10_000)
            b.cap = 10
            a.cap = 20
            h.run(within: 2 ms)
            print((a.consumed - later) / 10_000, a.cap, a.weight)
            a.cap = nil
            print(a.cap)
            """)
        let lines = output.split(separator: "\n")
        #expect(lines.first == "true 150 50")
        #expect(lines.dropFirst().first == "40 20 3")
        #expect(lines.last == "nil")
    }

    @Test("a handler that stops a guest ends the run; guests that end give their turns away")
    func ends() throws {
        let output = try run(
            """
            hypervisor h { technique: .vmx }
            let a = counter(h)
            let b = counter(h, code: asm { mov ecx, 50; again: loop again; cli; hlt })
            let stops = h.run(within: 3 ms)
            print(stops[0], stops[1].reason, b.instructions, a.consumed > 2_900_000)
            let c = counter(h, code: asm { mov ecx, 50; again: loop again; out 0xe9, al; again2: jmp again2 })
            on c.io(0xe9) { event.stop("enough") }
            let last = h.run()
            print(last[0], last[1].reason, last[2].reason, last[2].detail, h.guests.count)
            """)
        #expect(output == "nil .halted 53 true\nnil .halted .stopped enough 3\n")
    }

    @Test("an event of one guest ends a run of all")
    func events() throws {
        let output = try run(
            """
            hypervisor h { technique: .vmx; slice: 10 us }
            let a = counter(h)
            let b = counter(h, code: asm { mov ecx, 20_000; again: loop again; out 0xe9, al; over: jmp over })
            let stops = h.run(until: b.io(0xe9), within: 10 ms)
            print(stops[0], stops[1].reason, stops[1].event.kind, b.instructions, a.instructions >= 10_000, h.elapsed < 1 ms)
            print(h.run(within: 20 us))
            let e = try { h.run(until: 5); nil } catch e { e.code }
            print(e)
            """)
        #expect(output == "nil .event .io 20001 true true\n[nil, nil]\nV0310\n")
    }

    @Test("what does not go together is said at its place")
    func mistakes() {
        func report(_ source: String) -> (code: String, message: String)? {
            failure(Self.counter + source).map { ($0.code, $0.message) }
        }
        #expect(
            report("hypervisor h { technique: .vmx; slice: 0 s }")?.message == "a time slice is longer than nothing")
        #expect(report("hypervisor h { technique: .vmx; slice: 10 }")?.code == "V0310")
        #expect(report("hypervisor h { technique: .vmx }\ncounter(h, weight: 0)") != nil)
        #expect(report("hypervisor h { technique: .vmx }\ncounter(h, cap: 101)") != nil)
        #expect(
            report("guest g { boot: .long; weight: 2; ring 0 { asm { hlt } } }")?.message
                == "a guest on the bare machine has no `weight`: it shares its processor with nobody")
        #expect(report("guest g { boot: .long; ring 0 { asm { hlt } } }\ng.cap = 5") != nil)
        #expect(report("hypervisor h { technique: .vmx }\nh.run()")?.message == "there is no guest on h")
        #expect(report("hypervisor h { technique: .vmx }\nlet a = counter(h)\na.weight = 70_000") != nil)
        // A handler cannot run its own guest's hypervisor.
        #expect(
            report(
                """
                hypervisor h { technique: .vmx }
                let a = counter(h, code: asm { out 0xe9, al; hlt })
                on a.io(0xe9) { h.run(within: 1 ms) }
                a.run(within: 1 ms)
                """) != nil)
    }

    @Test("limits on guests hold for runs in turns")
    func limits() {
        var limits = Limits.unlimited
        limits.guestInstructions = 100_000
        let report = failure(
            Self.counter + "hypervisor h { technique: .vmx }\ncounter(h)\ncounter(h)\nh.run(within: 1 s)",
            limits: limits)
        #expect(report?.message == "the guests take more than 100000 instructions")
    }

    @Test("a handler's error is the script's")
    func errors() throws {
        let output = try run(
            """
            hypervisor h { technique: .translate }
            let a = counter(h, code: asm { out 0xe9, al; again: jmp again })
            on a.io(0xe9) { throw "no" }
            let e = try { h.run(within: 1 ms); nil } catch e { e.message }
            print(e)
            print(h.run(within: 1 ms))
            """)
        #expect(output.hasPrefix("no\n"))
    }

    // MARK: - Moving

    @Test("a guest goes on under another hypervisor as if nothing had happened", arguments: techniques)
    func moving(technique: String) throws {
        // The guest keeps its processor, so AMD-V and VT-x cannot take it from each other.
        let others = technique == "svm" ? "[.bare, .translate]" : "[.bare, .translate, .vmx]"
        let source = """
            let technique = .\(technique)
            let end = make(technique).run(within: 1 ms)
            for other in \(others) {
              if other == technique { continue }
              let g = make(technique)
              let from = g.hypervisor
              hypervisor to { technique: other }
              g.run(instructions: 6)
              let count = g.transitions.count()
              let cycles = g.transitions.cycles
              g.move(to: to)
              expect g.technique == other && g.hypervisor == to && to.guests == [g] && from.guests == []
              expect g.transitions.count() == count && g.transitions.cycles == cycles
              g.run(instructions: 6)
              g.move(to: nil)
              expect g.technique == .bare && g.hypervisor == nil && to.guests == []
              g.run(instructions: 1)
              g.move(to: from)
              let stop = g.run(within: 1 ms)
              expect stop.digest == end.digest && stop.instructions == end.instructions
            }
            print("moved")
            """
        #expect(try printed(CrossingTests.maker + source) == "moved\n")
    }

    @Test("each crossing keeps the price of the hypervisor that it happened on")
    func prices() throws {
        let source = """
            hypervisor a { technique: .vmx; cost: [exit: 1000, entry: 0] }
            hypervisor b { technique: .vmx; cost: [exit: 1, entry: 0] }
            let g = counter(a, code: asm { again: cpuid; jmp again })
            g.run(instructions: 20)
            let first = g.transitions.count(cause: .exit)
            let early = g.snapshot()
            g.move(to: b)
            g.run(instructions: 20)
            let second = g.transitions.count(cause: .exit) - first
            expect g.transitions.cycles == first * 1000 + second && first > 5 && second > 5
            g.restore(early)
            expect g.transitions.cycles == first * 1000
            g.run(instructions: 20)
            expect g.transitions.cycles == first * 1000 + second
            print("right")
            """
        #expect(try run(source) == "right\n")
    }

    @Test("a hypervisor that cannot carry a guest refuses it, and nothing has changed")
    func refusals() throws {
        let source = """
            host small { memory: 2 MiB }
            host fast { clock: 3 GHz }
            hypervisor intel { technique: .vmx }
            hypervisor amd { technique: .svm }
            hypervisor little on small { technique: .vmx }
            hypervisor other on fast { technique: .vmx }
            let g = counter(intel)
            g.run(instructions: 10)
            let digest = g.digest
            for to in [amd, little, other] {
              print(try { g.move(to: to); nil } catch e { e.message })
              expect g.digest == digest && g.hypervisor == intel && to.guests == [] && g.technique == .vmx
            }
            expect small.used == 0
            g.run(instructions: 10)
            """
        let lines = try run(source).split(separator: "\n")
        try #require(lines.count == 3)
        #expect(lines[0].contains("the technique .svm needs an AMD processor"))
        #expect(lines[1] == "the guests on small need more than its memory")
        #expect(lines[2] == "the time-stamp counters of fast run at 3000000000 Hz")
        #expect(
            failure(Self.counter + "hypervisor h { technique: .vmx }\ncounter(h).move(to: 5)")?.message
                == "`to` must be a hypervisor or nil, not an int")
    }

    @Test("the example of sharing runs")
    func example() throws {
        let path = fixtures.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("stdlib/examples/sharing.vscript").path
        let output = try printed(try String(contentsOfFile: path, encoding: .utf8))
        #expect(output.contains("capped at 25 %: 2"))
        #expect(output.contains("the other one under .translate: 1,000,000 instructions of 1 ms"))
    }
}
