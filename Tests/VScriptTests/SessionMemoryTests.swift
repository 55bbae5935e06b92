import Testing
import VScript
import VirtualMachine

/// Sessions give back the guests that their scripts have declared, whatever refers to them.
struct SessionMemoryTests {
    @Test(
        "a guest goes with its session",
        arguments: [
            "1",
            "let stop = g.run(instructions: 20)",
            "let h = on g.halt { event.stop() }",
            "var seen = nil\nlet w = on g.transition { seen = event }\ng.run(instructions: 20)",
            "let s = g.snapshot()\ng.restore(s)",
            "g.after(1 ms, fn() { g.time })",
            "let box = [g, g.cpu, g.console, g.halt]\nbox.append(box)",
            "var n = 0\non g.transition { n += 1 }\non g.interrupt if $rax == 0 { n += 1 }\ng.run(instructions: 20)",
            """
            device d on g { ports: 0x300 ..+ 8; irq: 5; var state = 0; on read { state }; on write { state = event.value } }
            """,
        ])
    func released(rest: String) throws {
        let program = try Program(
            """
            guest g { memory: 1 MiB; boot: .long
              ring 0 { gate 0x80 { handler: back; dpl: 3 }
                asm { back: iretq } }
              ring 3 { asm { start: int 0x80
                jmp start } } }
            \(rest)
            """)
        weak var guest: Guest?
        do {
            let session = Session()
            try session.run(program)
            guest = try session.guest("g")
            #expect(guest != nil)
        }
        #expect(guest == nil)
    }

    @Test(
        "a guest on a hypervisor goes with its session, and its hypervisor and host with it",
        arguments: [
            "let box = [vt, lab, g]\nbox.append(box)", "vt.run(within: 10 us)",
            "let seen = []\non g.vmexit { seen.append(event) }\ng.run(instructions: 20)",
            "var n = 0\non g.vmexit { n += 1 }\non g.transition if $rax != 7 { n += 1 }\ng.run(instructions: 20)",
            "g.run(instructions: 20)\nlet v = g.cpu.vmcs\nlet c = g.cpu",
            "g.move(nil)\ng.run(instructions: 20)",
            "hypervisor other on lab { technique: .translate }\ng.move(other)\ng.run(instructions: 20)",
        ])
    func releasedWithHypervisor(rest: String) throws {
        let program = try Program(
            """
            host lab { memory: 64 MiB }
            hypervisor vt on lab { technique: .vmx }
            guest g on vt { memory: 1 MiB; boot: .long; ring 0 { asm { start: cpuid
              jmp start } } }
            \(rest)
            """)
        weak var guest: Guest?
        do {
            let session = Session()
            try session.run(program)
            guest = try session.guest("g")
            #expect(guest != nil)
        }
        #expect(guest == nil)
    }
}

struct SessionGuestTests {
    @Test("a declared guest can be driven from Swift")
    func guest() throws {
        let session = Session()
        try session.run(Program("guest demo { boot: .long; ring 3 { asm { start: jmp start } } }"))
        #expect(try session.guest("demo").step(3).instructions == 3)
    }

    @Test("a guest that no script has declared is told, with the name that was probably meant")
    func missing() throws {
        let session = Session()
        try session.run(Program("guest demo { boot: .long; ring 3 { asm { start: jmp start } } }"))
        let error = #expect(throws: ScriptError.self) { try session.guest("deno") }
        #expect(error?.diagnostic.message == "no script has declared a guest `deno`")
        #expect(error?.diagnostic.notes == ["did you mean `demo`?"])
    }
}
