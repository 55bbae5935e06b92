import PCDevices
import Testing

private final class HPETBench {
    let clock = VirtualClock()
    let legacy = [InterruptLine(), InterruptLine()]
    let pin = InterruptLine()
    let chip: HPET
    private(set) var edges: [UInt64] = []

    init() {
        chip = HPET(
            clock: clock, legacyLines: legacy.map { $0.makeSource() }, pins: [20: pin.makeSource()])
        for line in legacy + [pin] {
            line.connect { [unowned self] level in if level { self.edges.append(self.clock.now) } }
        }
    }

    func read(_ offset: UInt64, width: AccessWidth = .qword) -> UInt64 {
        chip.read(MemoryAddress(0xFED0_0000 + offset), width: width) & width.allOnes
    }

    func write(_ value: UInt64, _ offset: UInt64, width: AccessWidth = .qword) {
        chip.write(value, to: MemoryAddress(0xFED0_0000 + offset), width: width)
    }

    func advance(to time: UInt64) {
        clock.now = time
        clock.fireDue()
    }
}

@Suite struct HPETTests {
    @Test func capabilitiesTellPeriodAndTimers() {
        let bench = HPETBench()
        #expect(bench.read(0) == 0x0098_9680_8086_A201)
        #expect(bench.read(4, width: .dword) == 10_000_000, "femtoseconds")
        #expect(bench.read(0x100) == 0x00F0_0000_0000_0030)
        #expect(bench.read(0x108) == .max)
    }

    @Test func counterRunsWhileEnabled() {
        let bench = HPETBench()
        bench.advance(to: 1_000)
        #expect(bench.read(0xF0) == 0)
        bench.write(1, 0x10)
        bench.advance(to: 2_009)
        #expect(bench.read(0xF0) == 100)
        bench.write(0, 0x10)
        bench.advance(to: 9_000)
        #expect(bench.read(0xF0) == 100)
        bench.write(0x1_0000_0000, 0xF0)
        #expect(bench.read(0xF4, width: .dword) == 1)
    }

    @Test func oneShotComparatorMatchesAtItsExactTime() {
        let bench = HPETBench()
        bench.write(20 << 9 | 0x4, 0x100)
        bench.write(500, 0x108)
        bench.write(1, 0x10)
        #expect(bench.clock.nextDeadline == 5_000)
        bench.advance(to: 20_000)
        #expect(bench.edges == [5_000])
        #expect(bench.clock.nextDeadline == VirtualClock.never)
    }

    @Test func narrowComparatorMatchesAgainAfterTheWrap() {
        let bench = HPETBench()
        bench.write(20 << 9 | 0x104, 0x100)
        bench.write(0xFFFF_FFF0, 0xF0)
        bench.write(0x10, 0x108)
        bench.write(1, 0x10)
        bench.advance(to: 320)
        #expect(bench.edges == [320])
        #expect(bench.clock.nextDeadline == 320 + 42_949_672_960)
    }

    @Test func periodicComparatorAccumulates() {
        let bench = HPETBench()
        bench.write(1, 0x10)
        bench.write(20 << 9 | 0x4C, 0x100)
        bench.write(300, 0x108)
        bench.write(100, 0x108)
        bench.advance(to: 6_500)
        #expect(bench.edges == [3_000, 4_000, 5_000, 6_000])
        #expect(bench.read(0x108) == 700)
    }

    @Test func levelTriggeredComparatorHoldsItsLineUntilCleared() {
        let bench = HPETBench()
        bench.write(20 << 9 | 0x6, 0x100)
        bench.write(10, 0x108)
        bench.write(1, 0x10)
        bench.advance(to: 100)
        #expect(bench.pin.isAsserted)
        #expect(bench.read(0x20) == 1)
        bench.write(2, 0x20)
        #expect(bench.pin.isAsserted)
        bench.write(1, 0x20)
        #expect(!bench.pin.isAsserted)
        #expect(bench.read(0x20) == 0)
    }

    @Test func legacyReplacementUsesTheLinesOfTimerAndCalendar() {
        let bench = HPETBench()
        var changes: [Bool] = []
        bench.chip.legacyReplacementChanged = { changes.append($0) }
        bench.write(0x4, 0x100)
        bench.write(0x4, 0x120)
        bench.write(100, 0x108)
        bench.write(200, 0x128)
        bench.write(3, 0x10)
        bench.advance(to: 1_000)
        #expect(bench.legacy[0].isAsserted && !bench.legacy[1].isAsserted)
        bench.advance(to: 2_000)
        #expect(bench.legacy[1].isAsserted)
        bench.write(0, 0x10)
        #expect(changes == [true, false])
        #expect(!bench.legacy[0].isAsserted)
    }

    @Test func restoredStateMatchesAtTheSameTimes() {
        let bench = HPETBench()
        bench.write(1, 0x10)
        bench.write(20 << 9 | 0x4C, 0x100)
        bench.write(300, 0x108)
        bench.write(100, 0x108)
        bench.advance(to: 3_500)
        let other = HPETBench()
        other.clock.now = 3_500
        other.chip.state = bench.chip.state
        other.advance(to: 5_000)
        #expect(other.edges == [4_000, 5_000])
    }
}
