import PCDevices
import Testing

/// A timer chip, the line of its counter 0 and the times of that line's rising edges.
private final class TimerBench {
    let clock = VirtualClock()
    let line = InterruptLine()
    let chip: Intel8254
    private(set) var edges: [UInt64] = []

    init() {
        chip = Intel8254(clock: clock, interrupt: line.makeSource())
        line.connect { [unowned self] level in if level { self.edges.append(self.clock.now) } }
    }

    /// Moves to the first nanosecond of a CLK pulse, firing what comes due on the way at its own time.
    func advance(toPulse pulse: UInt64) {
        clock.now = Intel8254.frequency.nanoseconds(for: pulse)
        clock.fireDue()
    }

    func write(_ value: UInt32, _ port: PortAddress) { chip.write(value, to: port, width: .byte) }

    func read(_ port: PortAddress) -> UInt32 { chip.read(port, width: .byte) }

    func program(counter: UInt32, mode: UInt32, bcd: Bool = false, count: UInt32) {
        write(counter << 6 | 0x30 | mode << 1 | (bcd ? 1 : 0), 0x43)
        write(count & 0xFF, PortAddress(UInt16(0x40 + counter)))
        write(count >> 8, PortAddress(UInt16(0x40 + counter)))
    }

    func count(of counter: UInt32) -> UInt32 {
        write(counter << 6, 0x43)
        let port = PortAddress(UInt16(0x40 + counter))
        let low = read(port)
        return low | read(port) << 8
    }

    func status(of counter: UInt32) -> UInt32 {
        write(0xE0 | 2 << counter, 0x43)
        return read(PortAddress(UInt16(0x40 + counter)))
    }

    var output2: Bool { read(0x61) & 0x20 != 0 }
}

@Suite struct Intel8254Tests {
    @Test func mode0RaisesItsOutputOnePulseAfterTheCount() {
        let bench = TimerBench()
        bench.program(counter: 0, mode: 0, count: 1_000)
        #expect(bench.status(of: 0) == 0x70, "output low, null count, two bytes")
        bench.advance(toPulse: 1)
        #expect(bench.status(of: 0) == 0x30)
        #expect(bench.count(of: 0) == 1_000)
        bench.advance(toPulse: 1_000)
        #expect(bench.edges == [])
        #expect(bench.count(of: 0) == 1)
        bench.advance(toPulse: 5_000)
        #expect(bench.edges == [Intel8254.frequency.nanoseconds(for: 1_001)])
        #expect(bench.count(of: 0) == 65_536 - 3_999, "the count wraps and goes on")
        #expect(bench.clock.nextDeadline == VirtualClock.never)
    }

    @Test func mode2RisesOncePerPeriodAtExactTimes() {
        let bench = TimerBench()
        bench.program(counter: 0, mode: 0, count: 0xFFFF)
        bench.program(counter: 0, mode: 2, count: 11_932)
        let first = bench.edges.count
        bench.advance(toPulse: 1 + 3 * 11_932)
        #expect(
            bench.edges.dropFirst(first)
                == (1...3).map {
                    Intel8254.frequency.nanoseconds(for: 1 + $0 * 11_932)
                }[...])
        bench.advance(toPulse: 1 + 4 * 11_932 - 1)
        #expect(bench.count(of: 0) == 1)
        #expect(bench.status(of: 0) & 0x80 == 0, "low while the count is 1")
    }

    @Test func mode2TakesANewCountAtTheEndOfThePeriod() {
        let bench = TimerBench()
        bench.program(counter: 0, mode: 2, count: 100)
        bench.advance(toPulse: 51)
        bench.write(30, 0x40)
        bench.write(0, 0x40)
        #expect(bench.status(of: 0) & 0x40 != 0)
        bench.advance(toPulse: 100)
        #expect(bench.count(of: 0) == 1)
        bench.advance(toPulse: 101)
        #expect(bench.count(of: 0) == 30)
        #expect(bench.status(of: 0) & 0x40 == 0)
    }

    @Test(arguments: [(count: UInt32(10), high: UInt64(5), low: UInt64(5)), (11, 6, 5)])
    func mode3IsASquareWave(_ wave: (count: UInt32, high: UInt64, low: UInt64)) {
        let bench = TimerBench()
        bench.write(0x01, 0x61)
        bench.program(counter: 2, mode: 3, count: wave.count)
        var levels: [Bool] = []
        for pulse in 1...22 {
            bench.advance(toPulse: UInt64(pulse))
            levels.append(bench.output2)
        }
        let period = Array(repeating: true, count: Int(wave.high)) + Array(repeating: false, count: Int(wave.low))
        #expect(levels == Array((period + period + period).prefix(22)))
    }

    @Test func mode3CountsDownByTwo() {
        let bench = TimerBench()
        bench.program(counter: 0, mode: 3, count: 10)
        let counts = (1...7).map { pulse in
            bench.advance(toPulse: UInt64(pulse))
            return bench.count(of: 0)
        }
        #expect(counts == [10, 8, 6, 4, 2, 10, 8])
    }

    @Test func mode1IsTriggeredByTheGate() {
        let bench = TimerBench()
        bench.program(counter: 2, mode: 1, count: 20)
        bench.advance(toPulse: 50)
        #expect(bench.output2)
        bench.write(0x01, 0x61)
        #expect(bench.output2)
        bench.advance(toPulse: 51)
        #expect(!bench.output2)
        bench.advance(toPulse: 60)
        bench.write(0x00, 0x61)
        bench.write(0x01, 0x61)
        bench.advance(toPulse: 80)
        #expect(!bench.output2, "triggered again at pulse 61")
        bench.advance(toPulse: 81)
        #expect(bench.output2)
    }

    @Test(arguments: [UInt32(4), 5])
    func modes4And5StrobeForOnePulse(_ mode: UInt32) {
        let bench = TimerBench()
        if mode == 4 { bench.write(0x01, 0x61) }
        bench.program(counter: 2, mode: mode, count: 6)
        if mode == 5 { bench.write(0x01, 0x61) }
        let low = (1...200).filter { pulse in
            bench.advance(toPulse: UInt64(pulse))
            return !bench.output2
        }
        #expect(low == [7])
    }

    @Test func closedGateStopsMode0() {
        let bench = TimerBench()
        bench.write(0x01, 0x61)
        bench.program(counter: 2, mode: 0, count: 100)
        bench.advance(toPulse: 41)
        bench.write(0x00, 0x61)
        bench.advance(toPulse: 1_000)
        #expect(bench.count(of: 2) == 60)
        bench.write(0x01, 0x61)
        bench.advance(toPulse: 1_059)
        #expect(!bench.output2)
        bench.advance(toPulse: 1_060)
        #expect(bench.output2)
    }

    @Test func decimalCountsWrapAtTenThousand() {
        let bench = TimerBench()
        bench.program(counter: 0, mode: 0, bcd: true, count: 0x1000)
        bench.advance(toPulse: 2)
        #expect(bench.count(of: 0) == 0x0999)
        bench.advance(toPulse: 1_002)
        #expect(bench.count(of: 0) == 0x9999)
    }

    @Test func latchedCountStaysUntilRead() {
        let bench = TimerBench()
        bench.program(counter: 0, mode: 2, count: 1_000)
        bench.advance(toPulse: 101)
        bench.write(0x00, 0x43)
        bench.advance(toPulse: 201)
        bench.write(0x00, 0x43)
        #expect(bench.read(0x40) | bench.read(0x40) << 8 == 900)
        #expect(bench.read(0x40) | bench.read(0x40) << 8 == 800)
    }

    @Test func readBackGivesTheStatusBeforeTheCount() {
        let bench = TimerBench()
        bench.write(0x34, 0x43)
        bench.program(counter: 1, mode: 2, count: 500)
        bench.advance(toPulse: 11)
        bench.write(0xC0 | 0x04, 0x43)
        #expect(bench.read(0x41) == 0xB4)
        #expect(bench.read(0x41) | bench.read(0x41) << 8 == 490)
    }

    @Test func singleByteAccessSetsTheOtherByteToZero() {
        let bench = TimerBench()
        bench.write(0x20 | 0x04, 0x43)
        bench.write(0x02, 0x40)
        bench.advance(toPulse: 1)
        #expect(bench.chip.state.counters[0].reload == 0x200)
        #expect(bench.read(0x40) == 0x02)
    }

    @Test func refreshBitToggles() {
        let bench = TimerBench()
        let bits = (0..<72).map { pulse in
            bench.advance(toPulse: UInt64(pulse))
            return bench.read(0x61) & 0x10
        }
        #expect(bits.filter { $0 != 0 }.count == 36)
    }

    @Test func restoredStateGoesOnWithTheSameEdges() {
        let bench = TimerBench()
        bench.program(counter: 0, mode: 3, count: 1_001)
        bench.advance(toPulse: 700)
        let saved = bench.chip.state
        let other = TimerBench()
        other.clock.now = bench.clock.now
        other.chip.state = saved
        bench.advance(toPulse: 3_500)
        other.advance(toPulse: 3_500)
        #expect(other.edges == Array(bench.edges.suffix(other.edges.count)))
        #expect(other.edges.count == 3)
        #expect(other.chip.state == bench.chip.state)
    }
}
