import PCDevices
import Testing

/// Some processors' local APICs on one bus, software-enabled.
private final class APICBench {
    let clock = VirtualClock()
    let bus = InterruptBus()

    init(count: Int = 1, timerHertz: UInt64 = 1_000_000_000, tscHertz: UInt64 = 1_000_000_000) {
        for index in 0..<count {
            var configuration = LocalAPIC.Configuration()
            configuration.identifier = UInt32(index)
            configuration.isBootstrapProcessor = index == 0
            configuration.timerFrequency = Frequency(hertz: timerHertz)
            configuration.timestampCounter = TimestampCounter(frequency: Frequency(hertz: tscHertz))
            bus.attach(LocalAPIC(configuration, clock: clock))
            write(0x1FF, 0xF0, index)
        }
    }

    subscript(index: Int) -> LocalAPIC { bus.localAPICs[index] }

    func write(_ value: UInt64, _ offset: UInt64, _ index: Int = 0) {
        self[index].writePage(value, to: offset, width: .dword)
    }

    func read(_ offset: UInt64, _ index: Int = 0) -> UInt64 { self[index].readPage(offset, width: .dword) }

    func advance(to time: UInt64) {
        clock.now = time
        clock.fireDue()
    }

    /// Takes and ends every interrupt of a processor.
    func drain(_ index: Int = 0) -> [UInt8] {
        var vectors: [UInt8] = []
        while self[index].deliverableVector != nil {
            vectors.append(self[index].acknowledge())
            write(0, 0xB0, index)
        }
        return vectors
    }

    func enterX2APIC(_ index: Int = 0) {
        #expect(self[index].writeMSR(0xFEE0_0C00 | (index == 0 ? 0x100 : 0), to: 0x1B))
    }
}

@Suite struct LocalAPICTests {
    @Test func resetValuesAreThoseOfTheManual() {
        let apic = LocalAPIC(.init(), clock: VirtualClock())
        let expected: [(UInt64, UInt64)] = [
            (0x20, 0), (0x30, 0x0105_0015), (0x80, 0), (0xA0, 0), (0xD0, 0), (0xE0, 0xFFFF_FFFF), (0xF0, 0xFF),
            (0x280, 0), (0x300, 0), (0x320, 0x10000), (0x330, 0x10000), (0x340, 0x10000), (0x350, 0x10000),
            (0x360, 0x10000), (0x370, 0x10000), (0x380, 0), (0x390, 0), (0x3E0, 0),
        ]
        for (offset, value) in expected { #expect(apic.readPage(offset, width: .dword) == value, "\(offset)") }
        #expect(apic.readMSR(0x1B) == 0xFEE0_0900)
    }

    @Test func priorityComesFromTheVectorAndTheTaskPriority() {
        let bench = APICBench()
        for vector: UInt64 in [0x31, 0x52, 0x51] { bench.write(0x4_4000 | vector, 0x300) }
        #expect(bench.read(0x210) == 1 << 0x11)
        #expect(bench.read(0x220) == 1 << 0x12 | 1 << 0x11)
        bench.write(0x50, 0x80)
        #expect(bench[0].deliverableVector == nil)
        bench.write(0x4F, 0x80)
        #expect(bench[0].acknowledge() == 0x52)
        #expect(bench.read(0x120) == 1 << 0x12)
        #expect(bench.read(0xA0) == 0x50)
        #expect(bench[0].deliverableVector == nil, "0x51 is of the class in service")
        bench.write(0x60, 0x80)
        #expect(bench.read(0xA0) == 0x60)
        bench.write(0, 0x80)
        bench.write(0, 0xB0)
        #expect(bench.drain() == [0x51, 0x31])
    }

    @Test func acknowledgeWithoutADeliverableVectorIsSpurious() {
        let bench = APICBench()
        bench.write(0x1EF, 0xF0)
        bench.write(0x4_4031, 0x300)
        bench.write(0xF0, 0x80)
        #expect(bench[0].acknowledge() == 0xEF)
        #expect(bench.read(0x170) == 0, "nothing is in service")
    }

    @Test func cr8IsTheTaskPriorityClass() {
        let bench = APICBench()
        bench.write(0x57, 0x80)
        #expect(bench[0].taskPriorityClass == 5)
        bench[0].taskPriorityClass = 9
        #expect(bench.read(0x80) == 0x90)
    }

    @Test func oneShotTimerFiresOnceAtItsExactTime() {
        let bench = APICBench(timerHertz: 100_000_000)
        bench.write(0x0B, 0x3E0)
        bench.write(0x40, 0x320)
        bench.advance(to: 1_000)
        bench.write(500, 0x380)
        #expect(bench.clock.nextDeadline == 6_000)
        bench.advance(to: 3_499)
        #expect(bench.read(0x390) == 251)
        bench.advance(to: 5_999)
        #expect(bench[0].deliverableVector == nil)
        bench.advance(to: 6_000)
        #expect(bench.drain() == [0x40])
        #expect(bench.read(0x390) == 0)
        #expect(bench.clock.nextDeadline == VirtualClock.never)
    }

    @Test(arguments: [(UInt64(0), UInt64(2)), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)])
    func dividerSlowsTheTimer(_ code: UInt64, _ divider: UInt64) {
        let bench = APICBench()
        bench.write(code, 0x3E0)
        bench.write(0x40, 0x320)
        bench.write(1_000, 0x380)
        #expect(bench.clock.nextDeadline == 1_000 * divider)
        bench.advance(to: 10 * divider)
        #expect(bench.read(0x390) == 990)
    }

    @Test func periodicTimerKeepsItsPhase() {
        let bench = APICBench()
        bench.write(0x0B, 0x3E0)
        bench.write(0x2_0040, 0x320)
        bench.write(1_000, 0x380)
        var times: [UInt64] = []
        while times.count < 4 {
            bench.advance(to: bench.clock.nextDeadline)
            times.append(bench.clock.now)
            #expect(bench.read(0x390) == 1_000)
            #expect(bench.drain() == [0x40])
        }
        #expect(times == [1_000, 2_000, 3_000, 4_000])
        // A request left waiting takes up later expiries; the phase stays.
        bench.advance(to: 7_300)
        #expect(bench.read(0x390) == 700)
        #expect(bench.drain() == [0x40])
        #expect(bench.clock.nextDeadline == 8_000)
        bench.write(0x3_0040, 0x320)
        #expect(bench.clock.nextDeadline == VirtualClock.never)
        bench.advance(to: 9_400)
        #expect(bench.read(0x390) == 600, "a masked timer counts on")
        bench.write(0x0_0040, 0x320)
        #expect(bench.clock.nextDeadline == 10_000)
    }

    @Test func timestampDeadlineFiresWhenTheCounterReachesIt() {
        let bench = APICBench(tscHertz: 2_500_000_000)
        #expect(bench[0].writeMSR(5_000, to: 0x6E0))
        #expect(bench[0].readMSR(0x6E0) == 0, "ignored outside the mode")
        bench.write(0x4_0050, 0x320)
        #expect(bench[0].writeMSR(5_001, to: 0x6E0))
        #expect(bench.clock.nextDeadline == 2_001, "5001 / 2.5 rounded up")
        bench.advance(to: 2_000)
        #expect(bench[0].readMSR(0x6E0) == 5_001)
        bench.advance(to: 2_001)
        #expect(bench.drain() == [0x50])
        #expect(bench[0].readMSR(0x6E0) == 0)
        #expect(bench[0].writeMSR(1, to: 0x6E0))
        bench.clock.fireDue()
        #expect(bench.drain() == [0x50], "a deadline in the past fires at once")
        var counter = bench[0].timestampCounter
        #expect(bench[0].writeMSR(1_000_000, to: 0x6E0))
        counter.set(999_995, at: bench.clock.now)
        bench[0].timestampCounter = counter
        #expect(bench.clock.nextDeadline == 2_003)
        bench.write(0x0_0050, 0x320)
        #expect(bench.clock.nextDeadline == VirtualClock.never, "leaving the mode disarms")
    }

    @Test func shorthandsReachTheRightProcessors() {
        for (command, expected): (UInt64, [Bool]) in [
            (0x4_4061, [false, true, false]), (0x8_4061, [true, true, true]), (0xC_4061, [true, false, true]),
        ] {
            let bench = APICBench(count: 3)
            bench.write(command, 0x300, 1)
            #expect((0..<3).map { bench[$0].deliverableVector == 0x61 } == expected)
        }
    }

    @Test func physicalDestinationAndBroadcast() {
        let bench = APICBench(count: 3)
        bench.write(2 << 24, 0x310)
        bench.write(0x4070, 0x300)
        #expect((0..<3).map { bench[$0].deliverableVector != nil } == [false, false, true])
        bench.write(0xFF << 24, 0x310)
        bench.write(0x4071, 0x300)
        #expect((0..<3).allSatisfy { bench[$0].deliverableVector == 0x71 })
    }

    @Test func logicalDestinationInTheFlatAndTheClusterModel() {
        let flat = APICBench(count: 3)
        for index in 0..<3 { flat.write(1 << UInt64(24 + index), 0xD0, index) }
        flat.write(0b110 << 24, 0x310)
        flat.write(0x4870, 0x300)
        #expect((0..<3).map { flat[$0].deliverableVector != nil } == [false, true, true])

        let cluster = APICBench(count: 3)
        for index in 0..<3 { cluster.write(0, 0xE0, index) }
        cluster.write(0x11 << 24, 0xD0, 0)
        cluster.write(0x12 << 24, 0xD0, 1)
        cluster.write(0x21 << 24, 0xD0, 2)
        cluster.write(0x13 << 24, 0x310)
        cluster.write(0x4870, 0x300)
        #expect((0..<3).map { cluster[$0].deliverableVector != nil } == [true, true, false])
        cluster.write(0xF1 << 24, 0x310)
        cluster.write(0x4871, 0x300)
        #expect((0..<3).map { cluster[$0].deliverableVector == 0x71 } == [true, false, true])
    }

    @Test func lowestPriorityGoesToTheLeastBusyProcessor() {
        let bench = APICBench(count: 3)
        bench.write(0x30, 0x80, 0)
        bench.write(0x20, 0x80, 1)
        bench.write(0x40, 0x80, 2)
        bench.write(0xFF << 24, 0x310)
        bench.write(0x4170, 0x300)
        #expect((0..<3).map { bench[$0].deliverableVector != nil } == [false, true, false])
    }

    @Test func initAndStartUpReachTheOtherProcessor() {
        let bench = APICBench(count: 2)
        bench.write(1 << 24, 0x310)
        bench.write(0xC500, 0x300)
        #expect(bench[1].signals == [.initialize])
        bench.write(0x8500, 0x300)
        bench.write(0x4608 | 0x91, 0x300)
        #expect(bench[1].signals == [.initialize, .startUp])
        bench[1].initialize()
        #expect(bench[1].signals == [.startUp], "the start-up interrupt belongs to this INIT")
        #expect(bench.read(0xF0, 1) == 0xFF)
        #expect(bench[1].acknowledgeStartUp() == 0x99)
        #expect(bench[1].acknowledgeStartUp() == nil)
        #expect(bench[0].signals == [])
    }

    @Test func nonMaskableInterruptIgnoresTheTaskPriority() {
        let bench = APICBench(count: 2)
        bench.write(0xFF, 0x80, 1)
        bench.write(0xC_4400, 0x300)
        #expect(bench[1].signals == [.nonMaskableInterrupt])
        bench[1].acknowledge(.nonMaskableInterrupt)
        #expect(bench[1].signals == [])
    }

    @Test func illegalVectorsAreErrors() {
        let bench = APICBench()
        bench.write(0x45, 0x370)
        bench.write(0x4_400F, 0x300)
        #expect(bench.drain() == [0x45])
        bench.write(0, 0x280)
        #expect(bench.read(0x280) == 0x20, "send illegal vector")
        bench.write(0x0B, 0x3E0)
        bench.write(0x05, 0x320)
        bench.write(10, 0x380)
        bench.advance(to: 10)
        bench.write(0, 0x280)
        #expect(bench.read(0x280) == 0x40, "received illegal vector")
        _ = bench.read(0x40)
        bench.write(0, 0x280)
        #expect(bench.read(0x280) == 0x80, "illegal register address")
        bench.write(0, 0x280)
        #expect(bench.read(0x280) == 0)
    }

    @Test func softwareDisableMasksLocalVectors() {
        let bench = APICBench()
        bench.write(0x40, 0x320)
        bench.write(0xFF, 0xF0)
        #expect(bench.read(0x320) == 0x10040)
        bench.write(0x40, 0x320)
        #expect(bench.read(0x320) == 0x10040)
        bench.write(0x4_4061, 0x300)
        bench.write(0x1FF, 0xF0)
        #expect(bench[0].deliverableVector == nil, "a fixed interrupt was not accepted")
    }

    @Test func levelInterruptTellsTheIOAPICsAtItsEndUnlessSuppressed() {
        let bench = APICBench()
        var ended: [UInt8] = []
        bench.bus.onEndOfInterrupt { ended.append($0) }
        for vector: UInt8 in [0x41, 0x42, 0x43] {
            if vector == 0x43 { bench.write(0x11FF, 0xF0) }
            bench.bus.send(
                InterruptMessage(.fixed, vector: vector, to: .physical(0), isLevelTriggered: vector != 0x41))
            #expect(bench.drain() == [vector])
        }
        #expect(ended == [0x42])
    }

    @Test func lint0AsExternalInterruptAndAsLevelSensitiveVector() {
        let bench = APICBench()
        bench[0].setLINT0(true)
        #expect(!bench[0].signals.contains(.interrupt))
        bench.write(0x700, 0x350)
        #expect(bench[0].wantsExternalAcknowledge)
        bench.write(0xF0, 0x80)
        #expect(bench[0].signals.contains(.interrupt), "the task priority does not hold back ExtINT")
        bench.write(0, 0x80)
        bench.write(0x8044, 0x350)
        #expect(bench.read(0x350) == 0xC044, "remote IRR")
        #expect(bench[0].acknowledge() == 0x44)
        bench.write(0, 0xB0)
        #expect(bench[0].deliverableVector == 0x44, "the pin is still high")
        bench[0].setLINT0(false)
        #expect(bench.drain() == [0x44])
        #expect(bench.read(0x350) == 0x8044)
    }

    @Test func lint1IsTheNonMaskableInterrupt() {
        let bench = APICBench()
        bench[0].setLINT1(true)
        #expect(bench[0].signals == [])
        bench[0].setLINT1(false)
        bench.write(0x400, 0x360)
        bench[0].setLINT1(true)
        #expect(bench[0].signals == [.nonMaskableInterrupt])
    }

    @Test func modeTransitionsFollowTheManual() {
        let apic = APICBench()[0]
        let disabled: UInt64 = 0xFEE0_0100
        let xAPIC: UInt64 = 0xFEE0_0900
        let x2APIC: UInt64 = 0xFEE0_0D00
        let invalid: UInt64 = 0xFEE0_0500
        for (value, allowed): (UInt64, Bool) in [
            (invalid, false), (x2APIC, true), (xAPIC, false), (invalid, false), (disabled, true), (x2APIC, false),
            (xAPIC, true), (0xFEE0_0901, false), (0xFEE0_0B00, false), (1 << 46 | xAPIC, false),
            (0xFED0_0900, true), (disabled, true),
        ] {
            #expect(apic.writeMSR(value, to: 0x1B) == allowed, "\(String(value, radix: 16))")
        }
        #expect(apic.page == nil)
        #expect(apic.writeMSR(0x1_2345_6900, to: 0x1B))
        #expect(apic.page == 0x1_2345_6000)
    }

    @Test func x2APICRegistersAreMSRsWithReservedBitChecks() {
        let bench = APICBench(count: 2)
        let apic = bench[1]
        #expect(apic.readMSR(0x802) == nil, "not in xAPIC mode")
        bench.enterX2APIC(1)
        #expect(apic.page == nil)
        #expect(apic.readMSR(0x802) == 1)
        #expect(apic.readMSR(0x80D) == 2, "cluster 0, bit 1")
        for index: UInt32 in [0x80B, 0x80E, 0x809, 0x831, 0x83F, 0x800, 0x840, 0x82F] {
            #expect(apic.readMSR(index) == nil, "\(String(index, radix: 16))")
        }
        for (index, value): (UInt32, UInt64) in [
            (0x802, 0), (0x808, 0x100), (0x80B, 1), (0x80D, 1), (0x80F, 0x200), (0x810, 0), (0x828, 1),
            (0x830, 0x1_0000), (0x832, 0x8_0000), (0x835, 1 << 32), (0x838, 1 << 32), (0x839, 0), (0x83E, 4),
            (0x83F, 0x100),
        ] {
            #expect(!apic.writeMSR(value, to: index), "\(String(index, radix: 16))")
        }
        #expect(apic.writeMSR(0x20, to: 0x808))
        #expect(apic.readMSR(0x80A) == 0x20)
        #expect(apic.writeMSR(0x77, to: 0x83F))
        #expect(apic.readMSR(0x823) == 1 << 0x17)
        #expect(apic.acknowledge() == 0x77)
        #expect(apic.readMSR(0x813) == 1 << 0x17)
        #expect(apic.writeMSR(0, to: 0x80B))
        #expect(apic.readMSR(0x813) == 0)
    }

    @Test func x2APICCommandsCarryA32BitDestination() {
        let bench = APICBench(count: 3)
        for index in 0..<3 { bench.enterX2APIC(index) }
        #expect(bench[0].writeMSR(2 << 32 | 0x4050, to: 0x830))
        #expect((0..<3).map { bench[$0].deliverableVector != nil } == [false, false, true])
        #expect(bench[0].writeMSR(0b011 << 32 | 0x4851, to: 0x830))
        #expect((0..<3).map { bench[$0].deliverableVector == 0x51 } == [true, true, false])
        #expect(bench[0].writeMSR(0xFFFF_FFFF << 32 | 0x4052, to: 0x830))
        #expect((0..<3).allSatisfy { bench[$0].deliverableVector == 0x52 })
        #expect(bench[0].readMSR(0x830) == 0xFFFF_FFFF_0000_4052)
    }

    @Test func initKeepsX2APICMode() {
        let bench = APICBench()
        bench.enterX2APIC()
        #expect(bench[0].writeMSR(0x30, to: 0x808))
        bench[0].initialize()
        #expect(bench[0].readMSR(0x808) == 0)
        #expect(bench[0].readMSR(0x80D) == 1)
    }

    @Test func restoredStateArmsTheTimerAgain() {
        let bench = APICBench()
        bench.write(0x0B, 0x3E0)
        bench.write(0x2_0040, 0x320)
        bench.write(1_000, 0x380)
        bench.advance(to: 2_400)
        let other = APICBench()
        other.clock.now = 2_400
        other[0].state = bench[0].state
        #expect(other.drain() == [0x40])
        #expect(other.clock.nextDeadline == 3_000)
    }
}
