import Testing
import VScript
import VirtualMachine

/// Techniques with a monitor.
private let monitored = techniques.filter { $0 != "bare" }

@Suite("Crossings between guests and monitors")
struct CrossingTests {
    /// A function `make(technique, watched)` that makes a guest which crosses in many ways.
    static let maker = #"""
        fn make(technique, watched = false, type = 1) {
          hypervisor h { technique: technique; type: type }
          guest g on h {
            memory: 4 MiB
            boot: .long
            cpuid: if technique == .svm { .amd64 } else { .intel64 }
            ring 0 {
              syscall: sum
              gate 13 { handler: general }
              gate 14 { handler: fault }
              asm {
                sum:     lea rax, [rdi + rsi]
                         push rcx
                         mov eax, 0
                         cpuid
                         pop rcx
                         out 0xe9, al
                         mov rax, cr0
                         mov cr0, rax
                         o64 sysret
                fault:   add rsp, 8
                         add qword [rsp], 3
                         iretq
                general: mov eax, 7
                         \(if technique == .svm { "vmmcall" } else { "vmcall" })
                         cli
                         hlt
              }
            }
            ring 3 {
              asm {
                start: mov edi, 40
                       mov esi, 2
                       syscall
                       mov rbx, sum
                       mov rax, [rbx]            // a supervisor page: #PF
                       hlt
              }
            }
            on hypercall(7) { event.reply(99) }
          }
          if watched {
            g.transitions.isRecording = true
            on g.transition { let level = event.from }
            on g.vmexit { let reason = event.reason }
            on g.vmentry { let level = event.to }
          }
          g
        }

        """#

    private func run(_ technique: String, _ source: String) throws -> String {
        try printed(Self.maker + "let technique = .\(technique)\n" + source)
    }

    @Test("watching changes neither the guest nor what is counted", arguments: techniques)
    func watching(technique: String) throws {
        let source = """
            let seen = make(technique, watched: true)
            let unseen = make(technique)
            expect seen.run(within: 1 ms).digest == unseen.run(within: 1 ms).digest
            expect seen.instructions == unseen.instructions
            for pair in [[nil, nil], [3, 0], [0, 3], [0, .root], [.root, 0], [3, .root], [.root, 3]] {
              expect seen.transitions.count(pair[0], pair[1]) == unseen.transitions.count(pair[0], pair[1])
            }
            expect seen.transitions.rows.count == seen.transitions.count()
            expect unseen.transitions.rows.count == 0
            print("same")
            """
        #expect(try run(technique, source) == "same\n")
    }

    @Test("what the guest sees is the same stream under every technique", arguments: monitored)
    func seen(technique: String) throws {
        let source = """
            fn seen(technique) {
              let g = make(technique, watched: true)
              g.run(within: 1 ms)
              g.transitions.rows.filter(fn(r) { r.from != .root && r.to != .root })
                .map(fn(r) { "\\(r.from)\\(r.to)\\(r.cause) \\(r.before.rip) \\(r.after.rip) \\(r.after.rsp) \\(r.instructions)" })
            }
            expect seen(technique) == seen(.bare)
            print(seen(technique).count)
            """
        #expect(try run(technique, source) == "5\n")
    }

    @Test("exits and entries alternate, and each entry tells what the exit was for", arguments: monitored)
    func alternation(technique: String) throws {
        let source = """
            let g = make(technique, watched: true)
            g.run(within: 1 ms)
            var inside = true
            var last = nil
            var number = 0
            for row in g.transitions.rows {
              number += 1
              expect row.number == number && row.technique == technique
              if row.kind == .entry {
                expect !inside && row.from == .root && row.reason == last
                expect row.before.depth == 0 && row.after.depth == 1
                inside = true
              }
              if row.kind == .exit {
                expect inside && row.to == .root && row.reason != nil
                last = row.reason
                inside = false
              }
            }
            expect g.transitions.count(cause: .exit) == g.transitions.count(to: .root)
            expect g.transitions.count(from: .root) == g.transitions.count(cause: .entry)
            expect g.transitions.count(to: .root) == g.transitions.count(from: 0, to: .root) + g.transitions.count(from: 3, to: .root)
            print("fine")
            """
        #expect(try run(technique, source) == "fine\n")
    }

    /// The kernel runs at ring 1 without help of the processor's, else at ring 0; programs always at ring 3.
    @Test("the ring that the processor runs code at is told beside the one the guest sees", arguments: monitored)
    func physicalRings(technique: String) throws {
        let source = """
            let g = make(technique, watched: true)
            g.run(within: 1 ms)
            let kernel = if technique == .vmx || technique == .svm { 0 } else { 1 }
            for row in g.transitions.rows {
              for point in [row.before, row.after] {
                expect point.physicalRing == match point.level { case .root => 0; case 0 => kernel; else => point.level }
              }
            }
            print("fine")
            """
        #expect(try run(technique, source) == "fine\n")
    }

    @Test("exits are counted by reasons that all techniques share", arguments: monitored)
    func reasons(technique: String) throws {
        let source = """
            let g = make(technique)
            g.run(within: 1 ms)
            print(g.transitions.count(reason: .cpuid), g.transitions.count(to: .root, reason: .io),
                  g.transitions.count(from: 3, reason: .io), g.transitions.count(reason: .hypercall),
                  g.transitions.count(reason: .hlt), g.transitions.count(from: .root, reason: .hlt))
            """
        #expect(try run(technique, source) == "1 1 0 1 1 0\n")
    }

    @Test("a run until a VM exit ends before anything is done about it, and goes on once", arguments: monitored)
    func stopping(technique: String) throws {
        let source = """
            let g = make(technique)
            let stop = g.run(until: g.vmexit(.io), within: 1 ms)
            expect stop.reason == .event && stop.event.reason == .io && stop.event.from == 0 && stop.event.to == .root
            expect g.console.debug == "" && g.cpu.disassemble(1).lines[0].contains("out 0xe9, al")
            let end = g.run(within: 1 ms)
            expect end.reason == .halted && g.console.debug.count == 1
            let other = make(technique)
            expect other.run(within: 1 ms).digest == end.digest
            expect other.transitions.count() == g.transitions.count()
            print(g.transitions.count(reason: .io))
            """
        #expect(try run(technique, source) == "1\n")
    }

    @Test("an exit is answered for its instruction", arguments: monitored)
    func verdicts(technique: String) throws {
        let source = """
            let g = make(technique)
            on g.vmexit(.cpuid) { event.reply(eax: 0x4a, ebx: 0x42, ecx: 0, edx: 0) }
            on g.vmexit(.io) { event.skip() }
            on g.vmexit(.hypercall) { expect event.call.number == 7; event.inject(.UD) }
            let stop = g.run(within: 1 ms)
            print(g.cpu.rbx == g.symbols.sum, stop.reason, g.console.debug == "", stop.faults.count > 0)
            """
        // Nobody handles #UD: the guest ends in a triple fault.
        #expect(try run(technique, source) == "true .crashed true true\n")
    }

    @Test("an exit that no instruction caused is not answered", arguments: monitored)
    func objections(technique: String) throws {
        let source = """
            let g = make(technique)
            on g.vmexit { if !([.cpuid, .io, .hlt, .hypercall, .flags, .systemCall, .systemReturn, .controlRegister].contains(event.reason)) { event.skip() } }
            print(try { g.run(within: 1 ms); "none" } catch e { e.message })
            """
        let hasHidden = technique != "vmx" && technique != "svm"
        let objection = "the guest was not left by an instruction but for `pageTable`: there is nothing to skip\n"
        #expect(try run(technique, source) == (hasHidden ? objection : "none\n"))
    }

    @Test("a call to the hypervisor is recorded with its arguments and its result", arguments: monitored)
    func calls(technique: String) throws {
        let source = """
            let g = make(technique, watched: true)
            g.run(within: 1 ms)
            let calls = g.transitions.rows.filter(fn(r) { r.call != nil }).map(fn(r) { r.call })
            print(calls.count, calls[0].number, calls[0].arguments[0], calls[0].result, calls[1].result)
            """
        #expect(try run(technique, source) == "2 7 40 nil 99\n")
    }

    @Test("counts go back with a snapshot", arguments: monitored)
    func snapshots(technique: String) throws {
        let source = """
            let g = make(technique)
            g.run(instructions: 5)
            let snapshot = g.snapshot()
            let then = g.transitions.count()
            let end = g.run(within: 1 ms)
            let after = g.transitions.count(reason: .io)
            g.restore(snapshot)
            expect g.transitions.count() == then
            expect g.run(within: 1 ms).digest == end.digest
            print(after, g.transitions.count(reason: .io))
            """
        #expect(try run(technique, source) == "1 1\n")
    }

    /// VMM → host kernel → process → host kernel → VMM for the one device access.
    @Test("a hosted hypervisor's device access crosses its host, as a model", arguments: monitored)
    func hosted(technique: String) throws {
        let source = """
            let first = make(technique, watched: true, type: 2)
            let second = make(technique, type: 2)
            let third = make(technique)
            for g in [first, second, third] { g.run(within: 1 ms) }
            let rows = first.transitions.rows.filter(fn(r) { r.isModelled })
            print(rows.map(fn(r) { "\\(r.from)>\\(r.to)" }), rows[0].kind, second.transitions.count(cause: .host),
                  third.transitions.count(cause: .host), first.transitions.count() == third.transitions.count())
            """
        #expect(
            try run(technique, source) == "[\".root>0\", \"0>3\", \"3>0\", \"0>.root\"] .host 4 0 true\n")
    }

    @Test("on the bare machine nothing is left for a monitor")
    func bare() throws {
        let source = """
            let g = make(technique, watched: true)
            g.run(within: 1 ms)
            print(g.transitions.count(to: .root), g.transitions.count(from: .root), g.transitions.count(reason: .io))
            """
        #expect(try run("bare", source) == "0 0 0\n")
    }

    /// Null selectors are loaded in ring 3 without a fault, and stay loaded.
    @Test("segment registers keep what a program loads", arguments: techniques)
    func segments(technique: String) throws {
        let source = """
            fn program(technique) {
              hypervisor h { technique: technique }
              guest g on h {
                memory: 4 MiB
                boot: .long
                cpuid: if .\(technique) == .svm { .amd64 } else { .intel64 }
                ring 0 { syscall: back; gate 13 { handler: done }; asm { back: o64 sysret
                                                                          done: cli
                                                                                hlt } }
                ring 3 {
                  asm { start: xor eax, eax
                               mov ds, eax
                               mov fs, eax
                               syscall
                               mov ebx, ds
                               mov edx, fs
                               mov ebp, es
                               hlt }
                }
              }
              g
            }
            let g = program(.\(technique))
            expect g.run(within: 1 ms).digest == program(.bare).run(within: 1 ms).digest
            print(g.cpu.rbx, g.cpu.rdx, g.cpu.rbp)
            """
        #expect(try printed(source) == "0 0 27\n")
    }

    @Test("memory and kinds of instructions are watched under every technique", arguments: techniques)
    func watched(technique: String) throws {
        let source = """
            let g = make(technique)
            var seen = []
            on g.instruction("cpuid") { seen.append("cpuid") }
            on g.instruction("hlt") { if event.from == 0 { seen.append("hlt") } }
            on g.read(g.symbols.sum ..+ 1) { seen.append("read") }
            let end = g.run(within: 1 ms)
            expect end.digest == make(technique).run(within: 1 ms).digest
            print(seen)
            """
        #expect(try run(technique, source) == "[\"cpuid\", \"hlt\"]\n")
    }
}
