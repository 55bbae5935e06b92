import PCDevices
import Testing

/// A device whose regions are an array of bytes.
private final class Storage: PCIRegionDevice {
    var bytes = [UInt8](repeating: 0, count: 256)

    func readRegion(_ register: Int, offset: UInt64, width: AccessWidth) -> UInt64 {
        (0..<Int(width.rawValue)).reduce(0) { $0 | UInt64(bytes[(Int(offset) + $1) & 0xFF]) << UInt64(8 * $1) }
    }

    func writeRegion(_ register: Int, offset: UInt64, value: UInt64, width: AccessWidth) {
        for index in 0..<Int(width.rawValue) {
            bytes[(Int(offset) + index) & 0xFF] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        }
    }
}

private final class PCIBench {
    let pc: PersonalComputer
    let storage = Storage()
    let function: PCIFunction

    init() throws {
        pc = try PersonalComputer()
        var identity = PCIFunction.Identity(vendor: 0x1AF4, device: 0x1042, classCode: 0x01_80_00)
        identity.revision = 1
        identity.subsystemVendor = 0x1AF4
        identity.subsystem = 2
        identity.interruptPin = 1
        function = PCIFunction(
            identity,
            regions: [
                0: .init(.ports, size: 64), 1: .init(.memory32, size: 4_000), 2: .init(.memory64, size: 1 << 20),
            ],
            registers: [0x40: (value: 0x12, writable: 0xF0)])
        try pc.pci.attach(function, device: storage, at: .init(slot: 3))
    }

    private func address(_ offset: UInt32, slot: UInt32) -> UInt32 { 0x8000_0000 | slot << 11 | offset & 0xFC }

    func read(_ offset: UInt32, slot: UInt32 = 3, width: AccessWidth = .dword) -> UInt32 {
        pc.writePort(address(offset, slot: slot), to: 0xCF8, width: .dword)
        return pc.readPort(PortAddress(UInt16(0xCFC + (offset & 3))), width: width)
    }

    func write(_ value: UInt32, _ offset: UInt32, width: AccessWidth = .dword) {
        pc.writePort(address(offset, slot: 3), to: 0xCF8, width: .dword)
        pc.writePort(value, to: PortAddress(UInt16(0xCFC + (offset & 3))), width: width)
    }
}

@Suite struct PCITests {
    @Test func mechanismOneFindsTheChipset() throws {
        let bench = try PCIBench()
        bench.pc.writePort(0x8000_0000, to: 0xCF8, width: .dword)
        #expect(bench.pc.readPort(0xCF8, width: .dword) == 0x8000_0000)
        #expect(bench.read(0, slot: 0) == 0x1237_8086)
        #expect(bench.read(8, slot: 0) == 0x0600_0002)
        #expect(bench.read(0, slot: 1) == 0x7000_8086)
        #expect(bench.read(8, slot: 1) >> 8 == 0x06_0100)
        #expect(bench.read(0, slot: 2) == 0xFFFF_FFFF)
    }

    @Test func addressRegisterTakesDoublewordsOnly() throws {
        let bench = try PCIBench()
        bench.pc.writePort(0xFFFF_FFFF, to: 0xCF8, width: .dword)
        #expect(bench.pc.readPort(0xCF8, width: .dword) == 0x80FF_FFFC, "reserved bits read as zero")
        bench.pc.writePort(0x01, to: 0xCFB, width: .byte)
        #expect(bench.pc.readPort(0xCF8, width: .dword) == 0x80FF_FFFC)
        bench.pc.writePort(0x0000_1800, to: 0xCF8, width: .dword)
        #expect(bench.pc.readPort(0xCFC, width: .dword) == 0xFFFF_FFFF, "not enabled")
        bench.pc.writePort(0x8001_1800, to: 0xCF8, width: .dword)
        #expect(bench.pc.readPort(0xCFC, width: .dword) == 0xFFFF_FFFF, "another bus")
    }

    @Test func bytesAndWordsReachTheirPartOfTheRegister() throws {
        let bench = try PCIBench()
        #expect(bench.read(0x00, width: .word) == 0x1AF4)
        #expect(bench.read(0x02, width: .word) == 0x1042)
        #expect(bench.read(0x0B, width: .byte) == 0x01)
        #expect(bench.read(0x2C) == 0x0002_1AF4)
        bench.write(0x5A, 0x3C, width: .byte)
        bench.write(0xFF, 0x3D, width: .byte)
        #expect(bench.read(0x3C) == 0x0000_015A, "the pin is read-only")
        bench.write(0xFFFF_FFFF, 0x40)
        #expect(bench.read(0x40) == 0xF2)
    }

    @Test func baseAddressesTellTheirSizes() throws {
        let bench = try PCIBench()
        for offset: UInt32 in [0x10, 0x14, 0x18, 0x1C, 0x20] { bench.write(0xFFFF_FFFF, offset) }
        #expect(bench.read(0x10) == 0xFFFF_FFC1)
        #expect(bench.read(0x14) == 0xFFFF_F000)
        #expect(bench.read(0x18) == 0xFFF0_0004)
        #expect(bench.read(0x1C) == 0xFFFF_FFFF)
        #expect(bench.read(0x20) == 0)
    }

    @Test func regionsAreDecodedWhereSoftwarePlacesThem() throws {
        let bench = try PCIBench()
        var changes = 0
        bench.pc.memoryMapChanged = { changes += 1 }
        bench.write(0xC000, 0x10)
        bench.write(0xD000_0000, 0x14)
        bench.write(0, 0x18)
        bench.write(0x8, 0x1C)
        #expect(bench.pc.readPort(0xC000, width: .byte) == 0xFF)
        #expect(changes == 0)
        bench.write(0x0003, 0x04, width: .word)
        #expect(changes == 1)
        bench.pc.writePort(0x1122_3344, to: 0xC010, width: .dword)
        #expect(bench.pc.readPort(0xC012, width: .word) == 0x1122)
        #expect(bench.pc.readMemory(0xD000_0010, width: .dword, processor: 0) == 0x1122_3344)
        #expect(bench.pc.readMemory(0x8_0000_0010, width: .byte, processor: 0) == 0x44)
        bench.write(0xE000, 0x10)
        #expect(bench.pc.readPort(0xC010, width: .dword) == 0xFFFF_FFFF)
        #expect(bench.pc.readPort(0xE010, width: .dword) == 0x1122_3344)
        bench.pc.pci.detach(at: .init(slot: 3))
        #expect(bench.pc.readPort(0xE010, width: .dword) == 0xFFFF_FFFF)
        #expect(bench.read(0) == 0xFFFF_FFFF)
    }

    @Test func regionOverAnotherDeviceIsNotDecoded() throws {
        let bench = try PCIBench()
        bench.write(0x0040, 0x10)
        bench.write(0x0001, 0x04, width: .word)
        #expect(bench.pc.readPort(0x43, width: .byte) == 0xFF)
        bench.pc.writePort(0x12, to: 0x80, width: .byte)
        #expect(bench.pc.readPort(0x80, width: .byte) == 0x12)
    }

    @Test func statusShowsTheInterruptAndCommandDisablesIt() throws {
        let bench = try PCIBench()
        bench.function.setInterrupt(true)
        #expect(bench.read(0x06, width: .word) == 0x0008)
        #expect(bench.pc.ioAPIC.state.levels >> 19 & 1 == 1, "slot 3, INTA#: pin 16 + 3")
        bench.write(0x0400, 0x04, width: .word)
        #expect(bench.pc.ioAPIC.state.levels >> 19 & 1 == 0)
        #expect(bench.read(0x06, width: .word) == 0x0008)
    }

    @Test func occupiedLocationIsRefused() throws {
        let bench = try PCIBench()
        #expect(throws: PCIHostBridge.AttachError.occupied(slot: 1, function: 0)) {
            try bench.pc.pci.attach(Chipset.hostBridge(), at: .init(slot: 1))
        }
    }
}
