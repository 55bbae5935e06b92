import PCDevices
import Testing

private final class PowerBench {
    let clock = VirtualClock()
    let sci = InterruptLine()
    let ports = PortBus()
    let chip: ACPIPowerManagement
    private(set) var powerOffs = 0

    init(_ layout: ACPIPowerManagement.Layout = .init()) throws {
        chip = ACPIPowerManagement(layout: layout, clock: clock, interrupt: sci.makeSource())
        chip.powerOff = { [unowned self] in self.powerOffs += 1 }
        for range in chip.ports { try ports.attach(chip, at: range, widest: .dword) }
    }

    func advance(to time: UInt64) {
        clock.now = time
        clock.fireDue()
    }
}

@Suite struct ACPIPowerManagementTests {
    @Test(arguments: [true, false])
    func timerCountsAtItsRateInItsWidth(_ is32Bit: Bool) throws {
        var layout = ACPIPowerManagement.Layout()
        layout.timerIs32Bit = is32Bit
        let bench = try PowerBench(layout)
        bench.advance(to: 1_000_000_000)
        #expect(bench.ports.read(0x608, width: .dword) == 3_579_545)
        bench.advance(to: 10_000_000_000)
        #expect(bench.ports.read(0x608, width: .dword) == (is32Bit ? 35_795_450 : 35_795_450 % (1 << 24)))
        bench.ports.write(0, to: 0x608, width: .dword)
        #expect(bench.ports.read(0x608, width: .word) == 35_795_450 % (1 << 16))
    }

    @Test func timerStatusIsAnSCIWhenTheHighBitChanges() throws {
        var layout = ACPIPowerManagement.Layout()
        layout.timerIs32Bit = false
        let bench = try PowerBench(layout)
        bench.ports.write(0xF1, to: 0xB2, width: .byte)
        bench.ports.write(1, to: 0x602, width: .word)
        let half = ACPIPowerManagement.timerFrequency.nanoseconds(for: 1 << 23)
        #expect(bench.clock.nextDeadline == half)
        bench.advance(to: half)
        #expect(bench.sci.isAsserted)
        #expect(bench.ports.read(0x600, width: .word) == 1)
        bench.ports.write(1, to: 0x600, width: .word)
        #expect(!bench.sci.isAsserted)
        #expect(bench.clock.nextDeadline == ACPIPowerManagement.timerFrequency.nanoseconds(for: 1 << 24))
    }

    @Test func powerButtonIsAnSCIWhenEnabledAndOwned() throws {
        let bench = try PowerBench()
        bench.chip.raise(ACPIPowerManagement.Event.powerButton)
        bench.ports.write(0x100, to: 0x602, width: .word)
        #expect(!bench.sci.isAsserted, "the firmware owns the registers")
        #expect(bench.ports.read(0x604, width: .word) == 0)
        bench.ports.write(0xF1, to: 0xB2, width: .byte)
        #expect(bench.ports.read(0x604, width: .word) == 1)
        #expect(bench.sci.isAsserted)
        #expect(bench.ports.read(0x600, width: .dword) == 0x0100_0100)
        bench.ports.write(0x01, to: 0x601, width: .byte)
        #expect(!bench.sci.isAsserted)
        bench.ports.write(0xF0, to: 0xB2, width: .byte)
        #expect(bench.ports.read(0x604, width: .word) == 0)
    }

    @Test func sleepTypeOfSoftOffWithSleepEnablePowersOff() throws {
        var layout = ACPIPowerManagement.Layout()
        layout.softOffType = 5
        let bench = try PowerBench(layout)
        bench.ports.write(0xF1, to: 0xB2, width: .byte)
        bench.ports.write(5 << 10, to: 0x604, width: .word)
        #expect(bench.powerOffs == 0)
        #expect(bench.ports.read(0x604, width: .word) == 5 << 10 | 1, "SCI_EN is preserved")
        bench.ports.write(3 << 10 | 1 << 13, to: 0x604, width: .word)
        #expect(bench.powerOffs == 0)
        bench.ports.write(5 << 2 | 1 << 5, to: 0x605, width: .byte)
        #expect(bench.powerOffs == 1)
        #expect(bench.ports.read(0x604, width: .word) == 5 << 10 | 1, "SLP_EN reads as zero")
    }
}
