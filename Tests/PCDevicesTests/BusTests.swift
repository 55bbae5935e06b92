import PCDevices
import Testing
import _SeededNumbers

/// Answers with its name and the low bits of the address, and records its accesses.
private final class Recorder<Address: BusAddress>: BusDevice {
    private(set) var accesses: [String] = []

    func read(_ address: Address, width: AccessWidth) -> Address.Data {
        accesses.append("r\(width.rawValue)@\(address)")
        return (0..<UInt64(width.rawValue)).reduce(0) { value, index in
            let byte = UInt8(truncatingIfNeeded: UInt64(address.rawValue) + index)
            return value | Address.Data(byte) << Address.Data(8 * index)
        }
    }

    func write(_ value: Address.Data, to address: Address, width: AccessWidth) {
        accesses.append("w\(width.rawValue)@\(address)=\(String(value, radix: 16))")
    }
}

@Suite struct BusTests {
    @Test func overlapIsRefusedAndNeighboursAreNot() throws {
        let bus = PortBus()
        let device = Recorder<PortAddress>()
        try bus.attach(device, at: 0x100...0x10F)
        try bus.attach(device, at: 0x110...0x11F)
        try bus.attach(device, at: 0xF0...0xFF)
        let ranges: [ClosedRange<PortAddress>] = [0x10F...0x10F, 0xE0...0xF0, 0x118...0x200, 0...0xFFFF]
        for range in ranges {
            #expect(throws: PortBus.AttachError.self) { try bus.attach(device, at: range) }
        }
        #expect(bus.claimedRanges == [0xF0...0xFF, 0x100...0x10F, 0x110...0x11F])
        bus.detach(device)
        #expect(bus.claimedRanges == [])
    }

    @Test func accessesAreSplitToTheWidthOfTheDevice() throws {
        let bus = PortBus()
        let bytes = Recorder<PortAddress>()
        let words = Recorder<PortAddress>()
        try bus.attach(bytes, at: 0x10...0x1F)
        try bus.attach(words, at: 0x20...0x2F, widest: .word)
        #expect(bus.read(0x14, width: .dword) == 0x1716_1514)
        #expect(bytes.accesses == ["r1@0x14", "r1@0x15", "r1@0x16", "r1@0x17"])
        bus.write(0x4433_2211, to: 0x20, width: .dword)
        #expect(words.accesses == ["w2@0x20=2211", "w2@0x22=4433"])
    }

    @Test func accessOverTheEndOfARangeReachesBothOwners() throws {
        let bus = PortBus()
        let left = Recorder<PortAddress>()
        let right = Recorder<PortAddress>()
        try bus.attach(left, at: 0x10...0x11, widest: .dword)
        try bus.attach(right, at: 0x13...0x13, widest: .dword)
        #expect(bus.read(0x10, width: .dword) == 0x13FF_1110)
        bus.write(0xAABB_CCDD, to: 0x11, width: .word)
        #expect(left.accesses == ["r2@0x10", "w1@0x11=dd"])
        #expect(right.accesses == ["r1@0x13"])
    }

    @Test(arguments: AccessWidth.allCases)
    func unclaimedReadsGiveOnesByWidth(_ width: AccessWidth) {
        let expected: [AccessWidth: UInt64] = [
            .byte: 0xFF, .word: 0xFFFF, .dword: 0xFFFF_FFFF, .qword: 0xFFFF_FFFF_FFFF_FFFF,
        ]
        #expect(MemoryBus().read(0x1000, width: width) == expected[width])
        #expect(MemoryBus().read(.init(.max), width: width) == expected[width])
    }

    @Test func everyAddressOfManyRangesFindsItsOwner() throws {
        let bus = MemoryBus()
        var devices: [Recorder<MemoryAddress>] = []
        var generator = SeededNumbers(7)
        for index in (0..<40).shuffled(using: &generator) {
            let device = Recorder<MemoryAddress>()
            devices.append(device)
            let base = UInt64(index) * 0x100
            try bus.attach(device, at: MemoryAddress(base)...MemoryAddress(base + 0x7F), widest: .qword)
        }
        for address in stride(from: UInt64(0), to: 0x2800, by: 0x40) {
            let isClaimed = address & 0xFF < 0x80
            #expect(bus.isClaimed(MemoryAddress(address)) == isClaimed)
            let expected = isClaimed ? address & 0xFF : 0xFF
            #expect(bus.read(MemoryAddress(address), width: .byte) == expected)
        }
    }
}

@Suite struct VirtualClockTests {
    @Test func timersFireAtTheirOwnTimesInOrder() {
        let clock = VirtualClock()
        var fired: [String] = []
        let timers = ["a", "b", "c"].map { name in
            let timer = clock.makeTimer()
            timer.action = { fired.append("\(name)@\(clock.now)") }
            return timer
        }
        timers[2].arm(at: 10)
        timers[0].arm(at: 20)
        timers[1].arm(at: 10)
        #expect(clock.nextDeadline == 10)
        clock.now = 9
        clock.fireDue()
        #expect(fired == [])
        clock.now = 25
        clock.fireDue()
        #expect(fired == ["b@10", "c@10", "a@20"], "those of one instant in the order they were made")
        #expect(clock.now == 25)
        #expect(clock.nextDeadline == VirtualClock.never)
    }

    @Test func cancelledAndMovedTimersFollowTheirLastOrder() {
        let clock = VirtualClock()
        var fired = 0
        let timer = clock.makeTimer()
        timer.action = { fired += 1 }
        timer.arm(at: 5)
        timer.cancel()
        clock.now = 6
        clock.fireDue()
        timer.arm(at: 8)
        timer.arm(at: 20)
        clock.now = 10
        clock.fireDue()
        #expect(fired == 0)
        timer.arm(at: 3)
        #expect(clock.nextDeadline == 10, "the past is now")
        clock.fireDue()
        #expect(fired == 1)
    }

    @Test func timerThatArmsItselfInThePastDoesNotHang() {
        let clock = VirtualClock()
        var fired = 0
        let timer = clock.makeTimer()
        timer.action = {
            fired += 1
            timer.arm(at: 0)
        }
        timer.arm(at: 0)
        clock.now = 100
        clock.fireDue()
        #expect(fired == 101, "once for each nanosecond from 0 to 100")
        timer.action = {}
    }

    @Test func removedTimerIsForgotten() {
        let clock = VirtualClock()
        let timer = clock.makeTimer()
        timer.arm(at: 5)
        clock.remove(timer)
        #expect(clock.nextDeadline == VirtualClock.never)
    }

    @Test func lineIsAssertedWhileAnySourceAssertsIt() {
        let line = InterruptLine()
        var levels: [Bool] = []
        line.connect { levels.append($0) }
        let first = line.makeSource()
        let second = line.makeSource()
        first.set(true)
        second.set(true)
        first.set(false)
        second.set(false)
        #expect(levels == [true, false])
        first.raiseEdge()
        first.raiseEdge()
        #expect(levels == [true, false, true, false, true])
    }
}
