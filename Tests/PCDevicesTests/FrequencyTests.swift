import PCDevices
import Testing

@Suite struct FrequencyTests {
    @Test func ticksAndNanosecondsAreInverseToEachOther() {
        for hertz: UInt64 in [1, 32_768, 1_193_182, 3_579_545, 1_000_000_000, 2_893_202_000] {
            let frequency = Frequency(hertz: hertz)
            for tick: UInt64 in [0, 1, 2, 3, 999, 65_536, 123_456_789] {
                let time = frequency.nanoseconds(for: tick)
                #expect(frequency.ticks(in: time) >= tick)
                if time > 0 { #expect(frequency.ticks(in: time - 1) < tick) }
            }
        }
    }

    @Test func ticksAreExactWhereSixtyFourBitsOverflow() {
        // 100 days at 3 GHz: the product needs 85 bits.
        let hundredDays: UInt64 = 100 * 86_400 * 1_000_000_000
        #expect(Frequency(hertz: 3_000_000_000).ticks(in: hundredDays) == 3 * hundredDays)
        #expect(Frequency(hertz: 3_000_000_000).nanoseconds(for: 3 * hundredDays) == hundredDays)
        #expect(Frequency(hertz: 1).nanoseconds(for: .max) == .max)
    }

    @Test func timestampCounterGivesTheFirstNanosecondOfAValue() {
        var counter = TimestampCounter(frequency: Frequency(hertz: 2_500_000_000))
        counter.set(1_000, at: 4_000)
        #expect(counter.value(at: 4_000) == 1_000)
        #expect(counter.value(at: 4_002) == 1_005)
        #expect(counter.time(of: 1_004, notBefore: 4_000) == 4_002)
        #expect(counter.time(of: 999, notBefore: 4_000) == 4_000)
    }
}
