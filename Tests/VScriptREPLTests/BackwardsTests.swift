import Testing
import VScriptREPL
import VirtualMachine

@Suite("Going backwards")
struct BackwardsTests {
    @Test("steps back undo steps, to the digest")
    func steps() throws {
        let guest = try Lab.guest()
        let session = TestSession(guest)
        var digests = [guest.digest]
        for _ in 0..<8 {
            session.say("s")
            digests.append(guest.digest)
        }
        for count in (0..<8).reversed() {
            session.say("rs")
            #expect(guest.instructions == UInt64(count) && guest.digest == digests[count])
        }
        #expect(session.say("rs").contains("=> 0x400000"))
        session.say("goto 8")
        #expect(guest.digest == digests[8])
    }

    @Test("`rcross` goes to before the last change of level and says what is undone")
    func cross() throws {
        let session = TestSession(try Lab.guest())
        session.say("s 5")
        let text = session.transcript(["rcross", "rcross 3->0", "info r rip"])
        #expect(
            text.hasPrefix(
                """
                demo r3> rcross
                ── 3 ← 0 ── sysret undone ───────────────────────────────────────── #2
                demo r0> rcross 3->0
                ── 0 ← 3 ── syscall undone ──────────────────────────────────────── #1
                demo r3> info r rip
                """))
        #expect(text.contains("0x40000a"))
    }

    @Test("`rc` goes back to the last breakpoint, or to the beginning")
    func continueBack() throws {
        let guest = try Lab.guest()
        let session = TestSession(guest)
        session.say("s 8")
        session.say("b add")
        #expect(session.say("rc").contains("stopped: breakpoint 1"))
        #expect(guest.instructions == 3)
        #expect(session.say("rc").contains("stopped: the beginning of the history"))
        #expect(guest.instructions == 0)
        #expect(session.say("c").contains("stopped: breakpoint 1"))
        #expect(guest.instructions == 3)
    }

    @Test(
        "`rc` finds also the breakpoint that the guest stopped at last",
        arguments: [Technique.bare, .vmx, .svm, .translate, .trapAndEmulate])
    func continueBackToTheLast(technique: Technique) throws {
        let guest = try Lab.guest(technique: technique)
        let session = TestSession(guest)
        session.say("b 0x40000a")
        #expect(session.say("c").contains("stopped: breakpoint 1"))
        #expect(guest.instructions == 2)
        session.say("s 4")
        #expect(session.say("rc").contains("stopped: breakpoint 1"))
        #expect(guest.instructions == 2 && guest.cpu.rip == 0x40_000A)
    }

    @Test("`rn` goes back over a whole system call")
    func previous() throws {
        let guest = try Lab.guest()
        let session = TestSession(guest)
        session.say("n 3")
        #expect(guest.cpu.rip == 0x40_000C)
        session.say("rn")
        #expect(guest.cpu.rip == 0x40_000A && guest.cpu.ring == 3)
        session.say("rn")
        #expect(guest.cpu.rip == 0x40_0005)
    }

    @Test("what the host changes is there again after going past it and back")
    func change() throws {
        let guest = try Lab.guest()
        let session = TestSession(guest)
        session.say("s 2")
        guest.cpu.set("rdi", 100)
        session.repl.focused?.history.changed()
        session.say("s 4")
        session.say("rs 2")
        #expect(guest.cpu["rdi"] == 100)
        session.say("goto 1")
        #expect(guest.cpu["rdi"] == 40)
    }

    @Test("a bound of memory thins the history out")
    func bound() throws {
        let guest = try Lab.guest(program: "start: inc qword [rsp]\njmp start")
        let history = GuestHistory(guest)
        history.interval = 1_000
        _ = history.run(limits: RunLimits(instructions: 50_000))
        #expect(history.count > 40)
        history.memoryLimit = history.memoryUse / 2
        #expect(history.count < 40 && history.memoryUse <= history.memoryLimit)
        let digest = guest.digest
        history.go(to: 123)
        #expect(guest.instructions == 123)
        history.go(to: 50_000)
        #expect(guest.digest == digest)
    }

    @Test("the way of a run that a script makes is kept too, until the script goes back on it")
    func scripted() throws {
        let program = "start: inc qword [rsp]\njmp start"
        let guest = try Lab.guest(program: program)
        let history = GuestHistory(guest)
        history.interval = 2_000_000
        let early = try guest.snapshot()
        guest.run(limits: RunLimits(instructions: 10_000_000))
        #expect((4...6).contains(history.count))
        history.go(to: 5_000_001)
        let other = try Lab.guest(program: program)
        other.run(limits: RunLimits(instructions: 5_000_001))
        #expect(guest.instructions == 5_000_001 && guest.digest == other.digest)
        try guest.restore(early)
        guest.cpu.set("rbx", 5)
        #expect(history.count == 1)
        guest.run(limits: RunLimits(instructions: 5_000_000))
        history.go(to: 4_500_000)
        #expect(guest.cpu["rbx"] == 5)
    }

    @Test("a watchpoint stops before the write, forwards and backwards")
    func watch() throws {
        let guest = try Lab.guest(program: "start: mov rax, 1\nmov [rsp], rax\nnop\nnop\nhlt")
        let session = TestSession(guest)
        session.say("watch $rsp:4")
        let text = session.say("c")
        #expect(text.contains("stopped: watchpoint 1"))
        session.say("s 3")
        session.say("rc")
        #expect(guest.instructions == 1)
    }
}
