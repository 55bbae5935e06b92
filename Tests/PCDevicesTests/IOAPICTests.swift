import PCDevices
import Testing

private final class IOAPICBench {
    let clock = VirtualClock()
    let bus = InterruptBus()
    let chip: IOAPIC
    let apic: LocalAPIC

    init() {
        chip = IOAPIC(bus: bus)
        apic = LocalAPIC(.init(), clock: clock)
        bus.attach(apic)
        apic.writePage(0x1FF, to: 0xF0, width: .dword)
    }

    func read(_ register: UInt64) -> UInt64 {
        chip.write(register, to: 0xFEC0_0000, width: .dword)
        return chip.read(0xFEC0_0010, width: .dword)
    }

    func write(_ value: UInt64, _ register: UInt64) {
        chip.write(register, to: 0xFEC0_0000, width: .dword)
        chip.write(value, to: 0xFEC0_0010, width: .dword)
    }

    func acknowledge() -> UInt8? { apic.deliverableVector.map { _ in apic.acknowledge() } }

    func endOfInterrupt() { apic.writePage(0, to: 0xB0, width: .dword) }
}

@Suite struct IOAPICTests {
    @Test func registersAfterReset() {
        let bench = IOAPICBench()
        #expect(bench.read(0) == 0)
        #expect(bench.read(1) == 0x0017_0020)
        for pin: UInt64 in 0..<24 {
            #expect(bench.read(0x10 + 2 * pin) == 0x1_0000)
            #expect(bench.read(0x11 + 2 * pin) == 0)
        }
        #expect(bench.read(0x40) == 0)
        bench.write(0xFFFF_FFFF, 0)
        #expect(bench.read(0) == 0x0F00_0000)
        bench.write(0xFFFF_FFFF, 0x10 + 6)
        #expect(bench.read(0x10 + 6) == 0x1_AFFF)
    }

    @Test func edgeIsSentOnceAndLostWhileMasked() {
        let bench = IOAPICBench()
        bench.write(0x1_0031, 0x14)
        bench.chip.setPin(2, true)
        bench.write(0x0_0031, 0x14)
        #expect(bench.acknowledge() == nil)
        bench.chip.setPin(2, false)
        bench.chip.setPin(2, true)
        #expect(bench.acknowledge() == 0x31)
        bench.endOfInterrupt()
        #expect(bench.acknowledge() == nil)
    }

    @Test func levelIsSentAgainAfterItsEndWhileAsserted() {
        let bench = IOAPICBench()
        bench.write(0x0_8051, 0x10 + 2 * 9)
        bench.chip.setPin(9, true)
        #expect(bench.read(0x10 + 2 * 9) == 0xC051, "remote IRR is set")
        #expect(bench.acknowledge() == 0x51)
        bench.chip.setPin(9, false)
        bench.chip.setPin(9, true)
        #expect(bench.acknowledge() == nil, "remote IRR holds back")
        bench.endOfInterrupt()
        #expect(bench.acknowledge() == 0x51)
        bench.chip.setPin(9, false)
        bench.endOfInterrupt()
        #expect(bench.acknowledge() == nil)
        #expect(bench.read(0x10 + 2 * 9) == 0x8051)
    }

    @Test func levelAssertedWhileMaskedIsSentOnUnmask() {
        let bench = IOAPICBench()
        bench.write(0x1_8051, 0x30)
        bench.chip.setPin(16, true)
        #expect(bench.acknowledge() == nil)
        bench.write(0x0_8051, 0x30)
        #expect(bench.acknowledge() == 0x51)
    }

    @Test func endOfInterruptRegisterReplacesTheSuppressedBroadcast() {
        let bench = IOAPICBench()
        bench.apic.writePage(0x11FF, to: 0xF0, width: .dword)
        bench.write(0x0_8051, 0x30)
        bench.chip.setPin(16, true)
        #expect(bench.acknowledge() == 0x51)
        bench.endOfInterrupt()
        #expect(bench.acknowledge() == nil)
        bench.chip.write(0x51, to: 0xFEC0_0040, width: .dword)
        #expect(bench.acknowledge() == 0x51)
    }

    @Test func changeToEdgeClearsRemoteIRR() {
        let bench = IOAPICBench()
        bench.write(0x0_8051, 0x30)
        bench.chip.setPin(16, true)
        bench.write(0x1_0051, 0x30)
        #expect(bench.read(0x30) == 0x1_0051)
    }

    @Test func nonMaskableAndExternalModesReachTheProcessor() {
        let bench = IOAPICBench()
        bench.write(0x0_0400, 0x12)
        bench.chip.setPin(1, true)
        #expect(bench.apic.signals == [.nonMaskableInterrupt])
        bench.write(0x0_0700, 0x10)
        bench.chip.setPin(0, true)
        #expect(bench.apic.wantsExternalAcknowledge)
    }

    @Test func destinationChoosesTheProcessor() {
        let bench = IOAPICBench()
        bench.write(0x0_0031, 0x10)
        bench.write(1 << 24, 0x11)
        bench.chip.setPin(0, true)
        #expect(bench.acknowledge() == nil)
        bench.apic.writePage(0x80 << 24, to: 0xD0, width: .dword)
        bench.write(0x81 << 24, 0x13)
        bench.write(0x0_0832, 0x12)
        bench.chip.setPin(1, true)
        #expect(bench.acknowledge() == 0x32)
    }
}
