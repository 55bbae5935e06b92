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
