import Testing
import VScript
import VirtualMachine

/// Runs that give way to other tasks.
@Suite("Asynchronous runs")
struct AsyncTests {
    /// Those for strangers, on a machine that does much else.
    private static let limits: Limits = {
        var limits = Limits.untrusted
        limits.wallClock = nil
        limits.fuel = 10_000_000
        return limits
    }()

    /// One session in an isolation domain of its own.
    actor Grader {
        private let session = Session(limits: limits)
        private(set) var questions = 0

        func grade(_ program: Program) async throws -> Value { try await session.run(program) }
        func ask() { questions += 1 }
        var fuelSpent: UInt64 { session.fuelSpent }
    }

    /// A guest whose ring 3 calls ring 0 for ever, which prints a letter each time.
    private static let talker = """
        guest g {
          memory: 1 MiB
          boot: .long
          ring 0 {
            syscall: say
            asm {
              say:  mov dx, 0x3fb
                    mov al, 3
                    out dx, al
                    mov dx, 0x3f8
                    mov al, 'x'
                    out dx, al
                    sysretq
            }
          }
          ring 3 { asm { start: syscall
            jmp start } }
        }

        """

    /// A guest that waits for an interrupt that comes after an hour: its time passes in many short slices.
    private static let sleeper = """
        guest g { memory: 1 MiB; boot: .long; ring 0 { asm { start: sti
          hlt
          jmp start } } }
        g.after(1 h, fn() { 1 })

        """

    static let scripts = [
        "var s = 0\nfor i in 0..<100_000 { s += i % 7 }\ns",
        "fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }\n[fib(18), [1, 2].map(fn(n) { fib(15 + n) })]",
        "import json\nlet t = json.text((0..<3_000).list())\njson.parse(t).sum",
        "let out = []\nfor i in 0..<30_000 { try { if i % 3 == 0 { throw i }; 1 / (i % 3 - 1) } catch e { out.append(i) } }\nout.count",
        "try { var n = 0\nwhile n < 50_000 { n += 1 }\nthrow \"end\" } catch e { e.message }",
        talker
            + "let stop = g.console.wait(\"xxx\")\n[stop.text, g.time, g.run(until: g.syscall).instructions, g.digest]",
        talker
            + "var n = 0\non g.syscall { n += 1 }\nlet stop = g.run(instructions: 1_000)\n[n, stop.instructions, g.digest]",
        sleeper + "let stop = g.run(within: 95 ms)\n[stop.reason, stop.time, g.instructions, g.digest]",
        sleeper + "[1, 2].map(fn(n) { g.run(within: 30 ms).time })",
        sleeper + "try { g.console.wait(\"y\", within: 125 ms) } catch e { [e.code, g.time] }",
        sleeper + "test \"t\" { g.run(within: 50 ms); expect g.time == 50 ms }\ng.digest",
        sleeper
            + "g.after(45 ms, fn() { g.mem[0x100] = 7 })\ng.run(within: 44 ms)\n[g.mem[0x100], g.run(within: 20 ms).time, g.mem[0x100]]",
    ]

    @Test("a run that gives way does what one does that does not", arguments: scripts)
    func sameResults(source: String) async throws {
        let program = try Program(source)
        let (expected, fuel) = try Self.runInOnePiece(program)
        let grader = Grader()
        #expect(try await grader.grade(program) == expected)
        #expect(await grader.fuelSpent == fuel)
    }

    private static func runInOnePiece(_ program: Program) throws -> (Value, UInt64) {
        let session = Session(limits: limits)
        return (try session.run(program), session.fuelSpent)
    }

    @Test("errors and limits are those of other runs, and the session goes on")
    func errors() async throws {
        let grader = Grader()
        for (source, code) in [
            ("var n = 0\nwhile n < 50_000 { n += 1 }\nn.foo", "V0301"), ("fn f() { f() }\nf()", "V0901"),
            ("guest g { boot: .long; ring 3 { asm { start: jmp start } } }\ng.run(instructions: 1)\ng.no", "V0301"),
            ("while true { }", "V0902"),
        ] {
            let program = try Program(source)
            let error = await #expect(throws: ScriptError.self) { try await grader.grade(program) }
            #expect(error?.diagnostic.code == code)
        }
    }

    /// A session that tells when its script has begun.
    actor Patient {
        private let session = Session()
        private let began: () -> Void

        init(_ began: @escaping @Sendable () -> Void) { self.began = began }

        func run(_ source: String) async throws -> Value {
            session.define("begin", began)
            return try await session.run(Program("begin()\n" + source, for: session.interface))
        }
    }

    @Test(
        "a cancelled task ends its script, wherever that is, and the session can be used again",
        arguments: [
            "while true { }", "[1].each(fn(x) { while true { } })", "fn f() { h() }\nfn h() { while true { } }\nf()",
            "try { while true { } } catch e { 1 }", sleeper + "g.run()", sleeper + "g.console.wait(\"y\")",
            sleeper + "[1].map(fn(n) { g.run() })", talker + "while true { g.step() }",
        ])
    func cancellation(source: String) async throws {
        let (begun, signal) = AsyncStream.makeStream(of: Void.self)
        let patient = Patient { signal.finish() }
        let task = Task { try await patient.run(source) }
        for await _ in begun {}
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await patient.run("6 * 7") == 42)
    }

    @Test("a task that was cancelled before runs nothing")
    func cancelledBefore() async throws {
        let grader = Grader()
        let program = try Program("while true { }")
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await grader.grade(program)
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(await grader.fuelSpent == 0)
    }

    @Test(
        "others in the isolation domain get their turn while a script runs",
        arguments: ["while true { }", sleeper + "g.run()"])
    func giveWay(source: String) async throws {
        let grader = Grader()
        let program = try Program(source)
        let task = Task { try await grader.grade(program) }
        for _ in 0..<50 { await grader.ask() }
        #expect(await grader.questions == 50)
        task.cancel()
        _ = try? await task.value
    }

    @Test("scripts that meet in a session wait for each other")
    func meeting() async throws {
        let grader = Grader()
        let program = try Program("var n = 0\nfor i in 0..<40_000 { n += i }\nn")
        let sums = try await withThrowingTaskGroup(of: Value.self) { group in
            for _ in 0..<6 { group.addTask { try await grader.grade(program) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sums == [Value](repeating: 799_980_000, count: 6))
    }
}

/// The engine's own loop over the stops of a guest.
@Suite("Stops of a guest, one after the other")
struct GuestStopsTests {
    /// An actor that owns a session and looks at its guest.
    actor Observer {
        private let session = Session()

        init(_ source: String) throws { try session.run(Program(source)) }

        func stops(
            at event: EventFilter, limits: RunLimits = RunLimits(), atMost count: Int = .max
        ) async throws -> [String] {
            var texts: [String] = []
            let guest = try session.guest("g")
            for try await stop in guest.run(until: event, limits: limits) {
                texts.append("\(stop.reason) \(stop.event?.kind.rawValue ?? "") \(stop.cpu[.rdi])")
                if texts.count == count { break }
            }
            return texts
        }
    }

    private static let counter = """
        guest g {
          memory: 1 MiB
          boot: .long
          ring 0 {
            syscall: count
            gate 3 { handler: trap; dpl: 3 }
            asm {
              count: inc edi
                     cmp edi, 3
                     je done
                     sysretq
              trap:  iretq
              done:  hlt
            }
          }
          ring 3 { asm { start: syscall
            int3
            jmp start } }
        }
        """

    @Test("each event is one stop, and the end of the guest is the last")
    func stops() async throws {
        let transitions = try Observer(Self.counter)
        #expect(
            try await transitions.stops(at: .transition(from: 3, to: 0)) == [
                "event transition 0", "event transition 1", "event transition 1", "event transition 2",
                "event transition 2", "halted  3",
            ])
        // What stops before the instruction does not stop there again.
        let exceptions = try Observer(Self.counter)
        #expect(
            try await exceptions.stops(at: EventFilter(.exception, numbers: 3...3)) == [
                "event exception 1", "event exception 2", "halted  3",
            ])
        let calls = try Observer(Self.counter)
        #expect(try await calls.stops(at: EventFilter(.syscall), atMost: 2) == ["event syscall 0", "event syscall 1"])
    }

    @Test("limits end the loop, and so does cancelling its task")
    func limits() async throws {
        let source = """
            guest g { memory: 1 MiB; boot: .long; ring 0 { asm { start: sti
              hlt
              jmp start } } }
            g.after(10_000 h, fn() { 1 })
            """
        let observer = try Observer(source)
        #expect(
            try await observer.stops(at: EventFilter(.reset), limits: RunLimits(time: 55_000_000)) == ["timeout  0"])
        let task = Task { try await observer.stops(at: EventFilter(.reset)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
