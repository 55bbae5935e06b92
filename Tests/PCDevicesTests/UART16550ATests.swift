import PCDevices
import Testing

/// A serial port at 115,200 baud with eight data bits, no parity, one stop bit: 86,805 ns per character.
private final class SerialBench {
    let clock = VirtualClock()
    let line = InterruptLine()
    let chip: UART16550A
    private(set) var sent: [(byte: UInt8, time: UInt64)] = []

    static let characterTime: UInt64 = 86_805

    init(_ timing: UART16550A.Timing = .baudRate) {
        chip = UART16550A(base: 0x3F8, timing: timing, clock: clock, interrupt: line.makeSource())
        chip.transmit = { [unowned self] in self.sent.append(($0, self.clock.now)) }
        self[3] = 0x83
        self[0] = 1
        self[1] = 0
        self[3] = 0x03
        self[4] = 0x08
    }

    subscript(offset: UInt16) -> UInt32 {
        get { chip.read(PortAddress(0x3F8 + offset), width: .byte) }
        set { chip.write(newValue, to: PortAddress(0x3F8 + offset), width: .byte) }
    }

    func advance(by time: UInt64) {
        clock.now += time
        clock.fireDue()
    }
}

@Suite struct UART16550ATests {
    @Test func characterTakesItsTimeAtTheBaudRate() {
        let bench = SerialBench()
        bench[0] = 0x41
        bench[0] = 0x42
        #expect(bench[5] == 0, "one in the shift register, one in the holding register")
        bench.advance(by: SerialBench.characterTime - 1)
        #expect(bench.sent.isEmpty)
        bench.advance(by: 1)
        #expect(bench[5] == 0x20)
        bench.advance(by: SerialBench.characterTime)
        #expect(bench[5] == 0x60)
        #expect(bench.sent.map(\.byte) == [0x41, 0x42])
        #expect(bench.sent.map(\.time) == [SerialBench.characterTime, 2 * SerialBench.characterTime])
    }

    @Test(arguments: [
        (UInt32(0x00), UInt64(7)), (0x03, 10), (0x07, 11), (0x0B, 11), (0x0F, 12), (0x1A, 10),
    ])
    func frameLengthFollowsTheLineControl(_ lineControl: UInt32, _ bits: UInt64) {
        let bench = SerialBench()
        bench[3] = 0x80
        bench[0] = 0x80
        bench[1] = 0x01
        bench[3] = lineControl
        bench[0] = 0x55
        // 115,200 / 384 = 300 baud.
        #expect(bench.clock.nextDeadline == bits * 1_000_000_000 / 300)
    }

    @Test func instantaneousTransmitterIsNeverBusy() {
        let bench = SerialBench(.instantaneous)
        bench[1] = 0x02
        #expect(bench[2] == 0x02)
        for byte: UInt32 in [1, 2, 3] {
            bench[0] = byte
            #expect(bench[5] == 0x60)
            #expect(bench.line.isAsserted)
            #expect(bench[2] == 0x02)
            #expect(!bench.line.isAsserted)
        }
        #expect(bench.sent.map(\.byte) == [1, 2, 3])
        #expect(bench.clock.nextDeadline == VirtualClock.never)
    }

    @Test func transmitFIFOHoldsSixteen() {
        let bench = SerialBench()
        bench[2] = 0x01
        for byte: UInt32 in 0..<20 { bench[0] = byte }
        #expect(bench[5] == 0)
        bench.advance(by: 20 * SerialBench.characterTime)
        #expect(bench.sent.map(\.byte) == Array(0..<17), "one in the shift register and sixteen queued")
        #expect(bench[5] == 0x60)
    }

    @Test func emptyTransmitterInterruptIsClearedByReadingItOrWriting() {
        let bench = SerialBench()
        bench[1] = 0x02
        #expect(bench.line.isAsserted, "enabling it while empty raises it")
        #expect(bench[2] == 0x02)
        #expect(bench[2] == 0x01)
        #expect(!bench.line.isAsserted)
        bench[0] = 1
        #expect(bench[2] == 0x02, "the holding register emptied into the shift register")
        bench[0] = 2
        #expect(!bench.line.isAsserted)
        bench.advance(by: SerialBench.characterTime)
        #expect(bench.line.isAsserted)
    }

    @Test func receivedCharacterInterruptsAndIsRead() {
        let bench = SerialBench()
        bench[1] = 0x01
        bench.chip.enqueue([0x61, 0x62], at: 1_000_000)
        bench.advance(by: 999_999)
        #expect(bench[5] & 1 == 0)
        bench.advance(by: 1)
        #expect(bench[2] == 0x04)
        #expect(bench.line.isAsserted)
        #expect(bench[0] == 0x61)
        #expect(!bench.line.isAsserted)
        bench.advance(by: SerialBench.characterTime - 1)
        #expect(bench[5] & 1 == 0)
        bench.advance(by: 1)
        #expect(bench[0] == 0x62)
        #expect(bench[0] == 0)
    }

    @Test func senderWaitsForRoom() {
        let bench = SerialBench()
        bench[2] = 0x01
        bench.chip.enqueue(Array(0..<40), at: 0)
        bench.advance(by: 100 * SerialBench.characterTime)
        var bytes: [UInt32] = []
        while bench[5] & 1 != 0 { bytes.append(bench[0]) }
        #expect(bytes == Array(0..<16))
        bench.advance(by: 100 * SerialBench.characterTime)
        while bench[5] & 1 != 0 {
            #expect(bench[5] & 2 == 0, "no overrun")
            bytes.append(bench[0])
            bench.advance(by: SerialBench.characterTime)
        }
        #expect(bytes == Array(0..<40))
    }

    @Test(arguments: [(UInt32(0x01), 1), (0x41, 4), (0x81, 8), (0xC1, 14)])
    func receiveTriggerLevels(_ control: UInt32, _ level: Int) {
        let bench = SerialBench()
        bench[2] = control
        bench[1] = 0x01
        bench.chip.enqueue(Array(repeating: 0, count: 16), at: 0)
        bench.clock.fireDue()
        for _ in 1..<level {
            #expect(bench[2] == 0xC1)
            bench.advance(by: SerialBench.characterTime)
        }
        #expect(bench[2] == 0xC4)
    }

    @Test func timeoutComesFourCharactersAfterTheLast() {
        let bench = SerialBench()
        bench[2] = 0x81
        bench[1] = 0x01
        bench.chip.enqueue([1, 2], at: 0)
        bench.advance(by: SerialBench.characterTime)
        bench.advance(by: 4 * SerialBench.characterTime - 1)
        #expect(bench[2] == 0xC1)
        bench.advance(by: 1)
        #expect(bench[2] == 0xCC)
        #expect(bench.line.isAsserted)
        #expect(bench[0] == 1)
        #expect(bench[2] == 0xC1, "reading restarts the timeout")
        bench.advance(by: 4 * SerialBench.characterTime)
        #expect(bench[2] == 0xCC)
        #expect(bench[0] == 2)
        #expect(bench.clock.nextDeadline == VirtualClock.never)
    }

    @Test func loopbackReturnsCharactersAndModemLines() {
        let bench = SerialBench()
        #expect(bench[6] == 0xB0)
        bench[4] = 0x10
        #expect(bench[6] == 0x0B, "CTS, DSR and DCD fell")
        for (control, status): (UInt32, UInt32) in [(0x11, 0x22), (0x12, 0x13), (0x14, 0x41), (0x18, 0x8C)] {
            bench[4] = control
            #expect(bench[6] == status, "\(control)")
        }
        bench[0] = 0x5A
        bench.advance(by: SerialBench.characterTime)
        #expect(bench.sent.isEmpty)
        #expect(bench[5] == 0x61)
        #expect(bench[0] == 0x5A)
    }

    @Test func overrunInLoopbackIsALineStatusInterrupt() {
        let bench = SerialBench()
        bench[4] = 0x18
        bench[1] = 0x07
        #expect(bench[2] == 0x02)
        for byte: UInt32 in [1, 2] {
            bench[0] = byte
            bench.advance(by: SerialBench.characterTime)
        }
        #expect(bench[2] == 0x06, "before received data and the empty transmitter")
        #expect(bench[5] & 0x02 != 0)
        #expect(bench[2] == 0x04)
        #expect(bench[0] == 2, "the holding register was overwritten")
        #expect(bench[2] == 0x02)
        #expect(bench[2] == 0x01)
    }

    @Test func overrunKeepsAFullFIFO() {
        let bench = SerialBench(.instantaneous)
        bench[2] = 0x01
        bench[4] = 0x10
        for byte: UInt32 in 0..<18 { bench[0] = byte }
        #expect(bench[5] == 0x63)
        #expect(bench[5] == 0x61)
        #expect((0..<16).map { _ in bench[0] } == Array(0..<16))
        #expect(bench[5] == 0x60)
    }

    @Test func breakIsReceivedInLoopback() {
        let bench = SerialBench()
        bench[2] = 0x01
        bench[4] = 0x10
        bench[3] = 0x43
        #expect(bench[5] == 0xF9)
        #expect(bench[5] == 0x61)
        #expect(bench[0] == 0)
    }

    @Test func modemStatusInterruptHasTheLowestPriority() {
        let bench = SerialBench()
        bench[1] = 0x0A
        bench[4] = 0x18
        #expect(bench[2] == 0x02)
        #expect(bench[2] == 0x00)
        _ = bench[6]
        #expect(bench[2] == 0x01)
    }

    @Test func interruptNeedsOut2() {
        let bench = SerialBench()
        bench[4] = 0
        bench[1] = 0x02
        #expect(!bench.line.isAsserted)
        bench[4] = 0x08
        #expect(bench.line.isAsserted)
    }

    @Test func fifoControlClearsAndIdentifies() {
        let bench = SerialBench()
        #expect(bench[2] == 0x01)
        bench[2] = 0xC7
        #expect(bench[2] == 0xC1)
        bench.chip.enqueue([1, 2, 3], at: 0)
        bench.advance(by: 3 * SerialBench.characterTime)
        #expect(bench[5] & 1 == 1)
        bench[2] = 0x03
        #expect(bench[5] & 1 == 0)
    }

    @Test func scratchAndDivisorAreStored() {
        let bench = SerialBench()
        bench[7] = 0xA5
        #expect(bench[7] == 0xA5)
        bench[3] = 0x83
        bench[0] = 0x34
        bench[1] = 0x12
        #expect((bench[0], bench[1]) == (0x34, 0x12))
        bench[3] = 0x03
        #expect((bench[0], bench[1]) == (0, 0))
    }

    @Test func restoredStateSendsAndReceivesOn() {
        let bench = SerialBench()
        bench[0] = 0x41
        bench.chip.enqueue([0x61], at: 50_000)
        bench.advance(by: 10_000)
        let other = SerialBench()
        other.clock.now = 10_000
        other.chip.state = bench.chip.state
        other.advance(by: SerialBench.characterTime)
        #expect(other.sent.map(\.time) == [SerialBench.characterTime])
        #expect(other[0] == 0x61)
    }
}
