import PCDevices
import Testing

private final class CalendarBench {
    let clock = VirtualClock()
    let line = InterruptLine()
    let chip: MC146818

    static let second: UInt64 = 1_000_000_000

    init(_ date: CalendarDate = .init(year: 2_024, month: 2, day: 28, hour: 23, minute: 59, second: 58)) {
        chip = MC146818(date: date, clock: clock, interrupt: line.makeSource())
    }

    subscript(index: UInt32) -> UInt32 {
        get {
            chip.write(index, to: 0x70, width: .byte)
            return chip.read(0x71, width: .byte)
        }
        set {
            chip.write(index, to: 0x70, width: .byte)
            chip.write(newValue, to: 0x71, width: .byte)
        }
    }

    func advance(to time: UInt64) {
        clock.now = time
        clock.fireDue()
    }

    /// Year, month, day, weekday, hour, minute, second and century as they are stored.
    var calendar: [UInt32] { [9, 8, 7, 6, 4, 2, 0, 0x32].map { self[$0] } }
}

@Suite struct MC146818Tests {
    @Test func showsTheDateGivenAndCountsSeconds() {
        let bench = CalendarBench()
        #expect(bench.calendar == [0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x58, 0x20])
        bench.advance(to: CalendarBench.second)
        #expect(bench[0] == 0x59)
        bench.advance(to: 2 * CalendarBench.second)
        #expect(bench.calendar == [0x24, 0x02, 0x29, 5, 0, 0, 0, 0x20], "2024 is a leap year")
    }

    @Test func centuryTurns() {
        let bench = CalendarBench(.init(year: 1_999, month: 12, day: 31, hour: 23, minute: 59, second: 59))
        #expect(bench.calendar == [0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59, 0x19])
        bench.advance(to: CalendarBench.second)
        #expect(bench.calendar == [0, 1, 1, 7, 0, 0, 0, 0x20])
    }

    @Test func binaryAndTwelveHourFormats() {
        let bench = CalendarBench()
        bench[0x0B] = 0x80
        bench[4] = 0x91
        bench[2] = 0x59
        bench[0] = 0x59
        bench[0x0B] = 0x00
        bench.advance(to: CalendarBench.second)
        #expect(bench[4] == 0x12, "after 11 PM comes 12 AM")
        bench[0x0B] = 0x80
        bench[4] = 0x11
        bench[2] = 0x59
        bench[0] = 0x59
        bench[0x0B] = 0x00
        bench.advance(to: 2 * CalendarBench.second)
        #expect(bench[4] == 0x92, "after 11 AM comes 12 PM")
        bench[0x0B] = 0x86
        bench[4] = 19
        bench[2] = 59
        bench[0] = 59
        bench[0x0B] = 0x06
        bench.advance(to: 3 * CalendarBench.second)
        #expect(bench[4] == 20)
    }

    @Test func updateInProgressIsSetBeforeTheSecondEnds() {
        let bench = CalendarBench()
        bench.advance(to: CalendarBench.second - 2_228_001)
        #expect(bench[0x0A] == 0x26)
        bench.advance(to: CalendarBench.second - 2_228_000)
        #expect(bench[0x0A] == 0xA6)
        #expect(bench[0] == 0x58)
        bench.advance(to: CalendarBench.second)
        #expect(bench[0x0A] == 0x26)
        #expect(bench[0] == 0x59)
    }

    @Test func setBitHoldsTheCalendar() {
        let bench = CalendarBench()
        bench[0x0B] = 0x92
        #expect(bench[0x0B] == 0x82, "SET clears the update interrupt's enable")
        bench.advance(to: 3 * CalendarBench.second)
        #expect(bench[0] == 0x58)
        #expect(bench[0x0C] == 0x40, "only the periodic flag")
        bench[0x0B] = 0x02
        bench.advance(to: 4 * CalendarBench.second)
        #expect(bench[0] == 0x59)
    }

    @Test func dividerResetPutsTheNextUpdateHalfASecondAhead() {
        let bench = CalendarBench()
        bench[0x0A] = 0x76
        bench.advance(to: 5 * CalendarBench.second + 300)
        #expect(bench[0] == 0x58)
        bench[0x0A] = 0x26
        bench.advance(to: 5 * CalendarBench.second + 500_000_299)
        #expect(bench[0] == 0x58)
        bench.advance(to: 5 * CalendarBench.second + 500_000_300)
        #expect(bench[0] == 0x59)
    }

    @Test func updateEndedInterruptIsClearedByReadingRegisterC() {
        let bench = CalendarBench()
        bench[0x0B] = 0x12
        bench.advance(to: CalendarBench.second - 1)
        #expect(!bench.line.isAsserted)
        bench.advance(to: CalendarBench.second)
        #expect(bench.line.isAsserted)
        #expect(bench[0x0C] & 0xB0 == 0x90)
        #expect(!bench.line.isAsserted)
        #expect(bench[0x0C] == 0)
    }

    @Test func alarmMatchesWithWildcards() {
        let bench = CalendarBench()
        bench[0x01] = 0x01
        bench[0x03] = 0xFF
        bench[0x05] = 0xC0
        bench[0x0B] = 0x22
        var alarms = 0
        bench.chip.alarmWentOff = { alarms += 1 }
        bench.advance(to: 2 * CalendarBench.second)
        #expect(!bench.line.isAsserted)
        bench.advance(to: 3 * CalendarBench.second)
        #expect(bench.line.isAsserted)
        #expect(bench[0x0C] & 0xA0 == 0xA0)
        bench.advance(to: 63 * CalendarBench.second)
        #expect(alarms == 2)
    }

    @Test(arguments: [
        (UInt32(1), UInt64(3_906_250)), (2, 7_812_500), (3, 122_071), (6, 976_563), (15, 500_000_000),
    ])
    func periodicInterruptHasTheSelectedRate(_ rate: UInt32, _ period: UInt64) {
        let bench = CalendarBench()
        bench[0x0A] = 0x70
        bench[0x0A] = 0x20 | rate
        bench[0x0B] = 0x42
        #expect(bench.clock.nextDeadline == period, "rounded up to a nanosecond")
        bench.advance(to: period)
        #expect(bench.line.isAsserted)
        #expect(bench[0x0C] & 0xC0 == 0xC0)
        #expect(!bench.line.isAsserted)
    }

    @Test func periodicFlagIsSetWithoutItsInterrupt() {
        let bench = CalendarBench()
        bench.advance(to: 1_000_000)
        #expect(bench[0x0C] == 0x40)
        #expect(bench[0x0C] == 0)
    }

    @Test func resetTurnsInterruptsOffAndKeepsMemory() {
        let bench = CalendarBench()
        bench[0x0B] = 0x7A
        bench[0x20] = 0x77
        bench.advance(to: CalendarBench.second)
        bench.chip.reset()
        #expect(bench[0x0B] == 0x02)
        #expect(bench[0x0C] == 0)
        #expect(bench[0x20] == 0x77)
        #expect(bench[0] == 0x59)
        #expect(bench[0x0D] == 0x80)
    }

    @Test func memoryHasTwoBanks() {
        let bench = CalendarBench()
        bench[0x50] = 1
        bench.chip.write(0x50, to: 0x72, width: .byte)
        bench.chip.write(2, to: 0x73, width: .byte)
        #expect(bench.chip.read(0x73, width: .byte) == 2)
        #expect(bench[0x50] == 1)
        #expect(bench[0xD0] == 1, "bit 7 of the index is the NMI mask")
        #expect(bench.chip.read(0x70, width: .byte) == 0xFF)
    }

    @Test func weekdaysAreThoseOfTheCalendar() {
        #expect(CalendarDate(year: 1_970, month: 1, day: 1).weekday == 5)
        #expect(CalendarDate(year: 2_000, month: 2, day: 29).weekday == 3)
        #expect(CalendarDate(year: 2_025, month: 11, day: 23).weekday == 1)
    }
}
