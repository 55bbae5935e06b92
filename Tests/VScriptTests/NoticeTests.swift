import Testing
import VScript

/// Handlers that only count do without an event; they must hear of the same events, in the same order, as those that
/// look at it.
@Suite("Handlers that look at nothing")
struct NoticeTests {
    /// A guest that calls ring 0 ten times and then halts there, after some ports, MSRs, CPUIDs and exceptions.
    private static func guest(on technique: String?) -> String {
        """
        \(technique.map { "hypervisor vt { technique: .\($0) }" } ?? "")
        guest g \(technique == nil ? "" : "on vt ") {
          memory: 4 MiB
          boot: .long
          ring 0 {
            syscall: back
            gate 0x80 { handler: leave; dpl: 3 }
            gate 3 { handler: skip; dpl: 3 }
            gate 6 { handler: invalid; dpl: 3 }
            asm {
              back:    out 0xe9, al
                       in al, 0x80
                       sysretq
              invalid: add qword [rsp], 2
                       iretq
              skip:    iretq
              leave:   mov ecx, 0x277
                       rdmsr
                       mov rax, cr3
                       mov cr3, rax
                       hlt
            }
          }
          ring 3 {
            asm {
              start:   mov ebx, 10
              again:   mov eax, ebx
                       cpuid
                       mov ebx, 1
                       syscall
                       int3
                       ud2
                       int 0x80
            }
          }
        }

        """
    }

    private static let events = [
        "transition", "transition(from: 3, to: 0)", "transition(to: 3)", "exception", "exception(.UD)",
        "exception(.GP)", "interrupt", "io", "io(0xE9)", "io(0x80...0x90)", "msr", "msr(0x277)", "cr(3)", "syscall",
        "halt", "exec(\"back\")", "vmexit", "vmexit(.io)", "vmentry", "instruction(.iret)", "transition(to: .root)",
        "transition(from: .root)",
    ]

    @Test(
        "hear of the same events as handlers that look at them",
        arguments: [nil, "vmx", "svm", "translate", "trapAndEmulate"] as [String?])
    func sameEvents(technique: String?) throws {
        let declared = Self.guest(on: technique)
        for event in Self.events {
            let counted = try result(
                declared + "var n = 0\non g.\(event) { n += 1 }\ng.run(within: 1 ms)\n[n, g.digest, g.instructions]")
            let observed = try result(
                declared
                    + "var n = 0\non g.\(event) { n += 1; event.kind }\ng.run(within: 1 ms)\n[n, g.digest, g.instructions]"
            )
            #expect(counted == observed, "\(event)")
            // With another that looks, both are told of the event itself.
            let both = try result(
                declared + "var n = 0\nvar m = 0\non g.\(event) { n += 1 }\non g.\(event) { m += 1; event.kind }\n"
                    + "g.run(within: 1 ms)\nexpect n == m\n[n, g.digest, g.instructions]")
            #expect(both == observed, "\(event)")
        }
    }

    @Test(
        "that look at registers alone see and set the same as handlers that look at the event",
        arguments: [nil, "vmx", "svm", "translate"] as [String?])
    func registers(technique: String?) throws {
        let declared = Self.guest(on: technique)
        let run = "\ng.run(within: 1 ms)\n[n, sum, g.digest, g.instructions]"
        for event in Self.events {
            func body(_ registers: String, _ also: String) -> String {
                "var n = 0\nvar sum = 0\non g.\(event) if \(registers)ebx < 12 { \(also)n += 1; "
                    + "sum = sum &* 31 &+ (\(registers)rip ^ \(registers)ah); if \(registers)CF { sum &+ 1 }; "
                    + "\(registers)r15 = n }"
            }
            let plain = try result(declared + body("$", "") + run)
            #expect(try result(declared + body("$", "event.kind; ") + run) == plain, "\(event)")
            #expect(try result(declared + body("event.cpu.", "") + run) == plain, "\(event)")
        }
    }

    @Test("there are such events at all")
    func events() throws {
        let counts = try result(
            Self.guest(on: "vmx") + """
                let n = [:]
                on g.transition(from: 3, to: 0) { n["up"] = (n["up"] ?? 0) + 1 }
                on g.vmexit(.io) { n["exits"] = (n["exits"] ?? 0) + 1 }
                on g.syscall { n["calls"] = (n["calls"] ?? 0) + 1 }
                on g.exception(.UD) { n["invalid"] = (n["invalid"] ?? 0) + 1 }
                g.run(within: 1 ms)
                [n.up, n.exits, n.calls, n.invalid]
                """)
        #expect(counts == "[4, 2, 1, 1]")
    }

    private static let loop = """
        guest g {
          memory: 1 MiB
          boot: .long
          ring 0 { syscall: back
            asm { back: sysretq } }
          ring 3 { asm { start: syscall
            jmp start } }
        }

        """

    @Test("may be replaced by the thousand while they run")
    func replaced() throws {
        #expect(
            try result(
                Self.loop + """
                    var n = 0
                    var others = 0
                    on g.syscall {
                      n += 1
                      for i in 0..<20 {
                        let h = on g.syscall { others += 1 }
                        h.off()
                      }
                      let last = on g.syscall { others += 1; n += 100 }
                      if n % 2 == 0 { last.off() } else { on g.transition { last.off() } }
                    }
                    g.run(instructions: 300)
                    [n, others]
                    """) == "[100, 0]")
    }

    @Test("are called in the order of their installation, and from the next event on")
    func order() throws {
        #expect(
            try result(
                Self.loop + """
                    let seen = []
                    var added = false
                    on g.syscall {
                      seen.append("a")
                      if !added { added = true; on g.syscall { seen.append("c") } }
                    }
                    on g.syscall { seen.append("b") }
                    g.run(instructions: 6)
                    seen
                    """) == #"["a", "b", "a", "b", "c"]"#)
    }

    @Test("take effect at once when installed or removed, in translated code too")
    func removal() throws {
        #expect(
            try result(
                Self.loop + """
                    var n = 0
                    g.run(instructions: 300)
                    let h = on g.syscall { n += 1; if n == 3 { h.off() } }
                    g.run(instructions: 300)
                    let first = n
                    on g.syscall { n += 1 }
                    g.run(instructions: 30)
                    [first, n]
                    """) == "[3, 13]")
    }

    @Test("an error ends the run before the instruction, and is told where it is")
    func errors() throws {
        let source =
            Self.loop + """
                var n = 0
                on g.syscall { n += 1; if n == 3 { throw "enough" } }
                let e = try { g.run(instructions: 300); nil } catch e { e }
                let at = g.instructions
                let count = n
                n = -1_000
                g.run(instructions: 9)
                [e.message, count, at, n]
                """
        // The third call is begun anew when the run goes on, and not told again; the two after it are.
        #expect(try result(source) == #"["enough", 3, 6, -998]"#)
    }

    @Test("are paid for")
    func fuel() {
        var limits = Limits.unlimited
        limits.fuel = 10_000
        let report = failure(
            Self.loop + "var n = 0\non g.syscall { n += 1 }\ng.run(instructions: 300_000)", limits: limits)
        #expect(report?.code == "V0902")
    }

    @Test("an event that is kept stays what it was; one that is not may stand for the next")
    func keptEvents() throws {
        #expect(
            try result(
                Self.loop + """
                    let kept = []
                    on g.transition { kept.append(event) }
                    var last = nil
                    on g.transition { let f = fn() { event.to }; last = f }
                    let levels = []
                    on g.transition { levels.append([event.from, event.to]) }
                    g.run(instructions: 4)
                    [kept.map(fn(e) { e.from }), levels, last()]
                    """) == "[[3, 0, 3], [[3, 0], [0, 3], [3, 0]], 0]")
    }

    @Test("verdicts of an event that is not kept hold for that event only")
    func verdicts() throws {
        #expect(
            try result(
                Self.loop + """
                    var n = 0
                    on g.syscall { n += 1; if n == 2 { event.reply(77) } }
                    g.run(instructions: 3)
                    let before = g.cpu.rax
                    g.run(instructions: 2)
                    [before, g.cpu.rax, g.transitions.count(from: 3, to: 0), n]
                    """) == "[0, 77, 1, 2]")
    }

    @Test("numbers of transitions go on as if somebody had looked")
    func numbering() throws {
        #expect(
            try result(
                Self.loop + """
                    var n = 0
                    let h = on g.transition { n += 1 }
                    g.run(instructions: 6)
                    h.off()
                    g.transitions.isRecording = true
                    g.run(instructions: 1)
                    [n, g.transitions.rows.count, g.transitions.rows[0].number]
                    """) == "[4, 1, 5]")
    }
}
