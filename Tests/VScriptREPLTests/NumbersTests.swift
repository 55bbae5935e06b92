import Testing
import VScriptREPL

@Suite("Numbers of commands")
struct NumbersTests {
    @Test("numbers are read in four radixes, with underscores")
    func radixes() {
        #expect(Numbers.parse("0x1_0") == 16)
        #expect(Numbers.parse("0b11") == 3)
        #expect(Numbers.parse("0o17") == 15)
        #expect(Numbers.parse("1_000") == 1000)
        #expect(Numbers.parse("start") == nil)
        #expect(Numbers.parse("0x") == nil)
    }

    @Test("times are written in the largest unit that holds them")
    func times() {
        #expect(Numbers.time(9) == "9 ns")
        #expect(Numbers.time(1_500) == "1.500 µs")
        #expect(Numbers.time(2_000_000) == "2 ms")
    }
}
