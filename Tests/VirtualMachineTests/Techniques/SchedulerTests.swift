import Hypervisors
import Testing
import VirtualMachine
import X86

@Suite struct SchedulerTests {
    private func busy(_ way: Way = Way(technique: .vmx)) throws -> Guest {
        let code = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(
            """
            again:
                inc rax
                mov [0x200000], rax
                jmp again
            """)
        return try way.guest(BootSource.flat(code.bytes, at: 0x10_0000, mode: .long), memory: 4 << 20)
    }

    @Test func weightsDivideTheProcessor() throws {
        let (light, heavy) = (try busy(), try busy(.translate))
        let scheduler = GuestScheduler(timeSlice: 10_000)
        try scheduler.add(light, .init(weight: 1))
        try scheduler.add(heavy, .init(weight: 3))
        scheduler.run(counts: 4_000_000)
        let (a, b) = (try #require(scheduler.consumed(by: light)), try #require(scheduler.consumed(by: heavy)))
        #expect(a + b == 4_000_000)
        #expect(abs(Double(b) / Double(a) - 3) < 0.06)
    }

    @Test func capsHoldWhileTheProcessorIsIdle() throws {
        let guest = try busy()
        let scheduler = GuestScheduler(timeSlice: 10_000)
        try scheduler.add(guest, .init(cap: 25))
        scheduler.run(counts: 2_000_000)
        let consumed = try #require(scheduler.consumed(by: guest))
        #expect(scheduler.elapsed >= 2_000_000)
        #expect(abs(Double(consumed) / 2_000_000 - 0.25) < 0.01)
    }

    /// Whoever shares the processor does not show in a guest.
    @Test func neighboursChangeNothing() throws {
        var program = RandomProgram(.long, seed: 77)
        let boot = try program.bootSource()
        let alone = try Way.bare(boot, memory: 4 << 20)
        let together = try Way(technique: .vmx, paging: .shadow).guest(boot, memory: 4 << 20)
        let scheduler = GuestScheduler(timeSlice: 777)
        try scheduler.add(try busy())
        try scheduler.add(together)
        try scheduler.add(try busy(.translate))
        scheduler.run(counts: 60_000)
        let count = try #require(scheduler.consumed(by: together))
        #expect(count > 5_000)
        alone.run(limits: RunLimits(time: together.time &- alone.time))
        #expect(alone.instructions == together.instructions)
        #expect(alone.digest == together.digest)
    }

    @Test func guestsThatWaitLeaveTheProcessorToOthers() throws {
        let boot = try BootSource.prepared(.long, "start: hlt\njmp start")
        let waiting = try Way(technique: .vmx).guest(boot, memory: 4 << 20)
        let working = try busy()
        let scheduler = GuestScheduler(timeSlice: 10_000)
        try scheduler.add(waiting, .init(weight: 100))
        try scheduler.add(working, .init(weight: 1))
        scheduler.run(counts: 1_000_000)
        #expect(try #require(scheduler.consumed(by: working)) > 990_000)
    }

    @Test func sharesThatAreNotPossibleAreRefused() throws {
        let guest = try busy()
        let scheduler = GuestScheduler()
        #expect(throws: GuestError.self) { try scheduler.add(guest, .init(weight: 0)) }
        #expect(throws: GuestError.self) { try scheduler.add(guest, .init(cap: 101)) }
        try scheduler.add(guest)
        #expect(throws: GuestError.self) { try scheduler.add(guest) }
    }
}
