import PCDevices
import Testing

/// Sixteen pages of guest memory.
private final class Memory: GuestMemory {
    var bytes = [UInt8](repeating: 0xCC, count: 0x1_0000)

    func readBytes(at address: MemoryAddress, count: Int) -> [UInt8]? {
        guard address.rawValue <= 0x1_0000, UInt64(count) <= 0x1_0000 - address.rawValue else { return nil }
        return Array(bytes[Int(address.rawValue)..<Int(address.rawValue) + count])
    }

    func writeBytes(_ new: [UInt8], at address: MemoryAddress) -> Bool {
        guard address.rawValue <= 0x1_0000, UInt64(new.count) <= 0x1_0000 - address.rawValue else { return false }
        bytes.replaceSubrange(Int(address.rawValue)..<Int(address.rawValue) + new.count, with: new)
        return true
    }

    func put(_ value: UInt64, count: Int, at address: Int) {
        for index in 0..<count {
            bytes[address + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - index)))
        }
    }
}

private final class ConfigurationBench {
    let pc: PersonalComputer
    let memory = Memory()

    init() throws {
        var configuration = PersonalComputer.Configuration()
        configuration.processorCount = 3
        configuration.memorySize = 0x1_2345_6000
        pc = try PersonalComputer(configuration)
        pc.guestMemory = memory
    }

    func read(_ key: UInt32, _ count: Int) -> [UInt8] {
        pc.writePort(key, to: 0x510, width: .word)
        return (0..<count).map { _ in UInt8(pc.readPort(0x511, width: .byte)) }
    }

    /// Runs a DMA command placed at 0x100 and gives its control word afterwards.
    func transfer(control: UInt64, length: UInt64, address: UInt64) -> [UInt8] {
        memory.put(control, count: 4, at: 0x100)
        memory.put(length, count: 4, at: 0x104)
        memory.put(address, count: 8, at: 0x108)
        pc.writePort(0, to: 0x514, width: .dword)
        pc.writePort(UInt32(0x100).byteSwapped, to: 0x518, width: .dword)
        return Array(memory.bytes[0x100..<0x104])
    }
}

@Suite struct FirmwareConfigurationTests {
    @Test func standardItems() throws {
        let bench = try ConfigurationBench()
        #expect(bench.read(0, 5) == Array("QEMU".utf8) + [0])
        #expect(bench.read(1, 4) == [3, 0, 0, 0])
        #expect(bench.read(3, 8) == [0x00, 0x60, 0x45, 0x23, 0x01, 0, 0, 0])
        #expect(bench.read(5, 2) == [3, 0])
        #expect(bench.read(0x1234, 2) == [0, 0])
    }

    @Test func directoryListsFilesByName() throws {
        let bench = try ConfigurationBench()
        bench.pc.firmwareConfiguration.setFile("opt/b", [7, 8, 9])
        bench.pc.firmwareConfiguration.setFile("etc/a", [1])
        let directory = bench.read(0x19, 4 + 2 * 64)
        #expect(directory[0..<4] == [0, 0, 0, 2])
        #expect(directory[4..<12] == [0, 0, 0, 1, 0, 0x20, 0, 0])
        #expect(Array(directory[12..<18]) == Array("etc/a".utf8) + [0])
        #expect(directory[68..<76] == [0, 0, 0, 3, 0, 0x21, 0, 0])
        #expect(bench.read(0x21, 4) == [7, 8, 9, 0])
    }

    @Test func dmaReadsAtAnOffset() throws {
        let bench = try ConfigurationBench()
        bench.pc.firmwareConfiguration.setFile("f", Array(0..<100))
        #expect(bench.transfer(control: 0x20 << 16 | 0x0C, length: 10, address: 0) == [0, 0, 0, 0])
        #expect(bench.transfer(control: 0x02, length: 4, address: 0x2000) == [0, 0, 0, 0])
        #expect(bench.memory.bytes[0x1FFF...0x2004] == [0xCC, 10, 11, 12, 13, 0xCC])
        #expect(bench.pc.readPort(0x511, width: .byte) == 14)
        #expect(bench.transfer(control: 0x20 << 16 | 0x0A, length: 102, address: 0x3000) == [0, 0, 0, 0])
        #expect(bench.memory.bytes[0x3063...0x3066] == [99, 0, 0, 0xCC])
    }

    @Test func dmaReportsErrors() throws {
        let bench = try ConfigurationBench()
        #expect(bench.transfer(control: 0x02, length: 16, address: 0xFFFF_FFFF_FFFF_FFF8) == [0, 0, 0, 1])
        #expect(bench.transfer(control: 0x02, length: 0xFFFF_FFFF, address: 0x8000) == [0, 0, 0, 1])
        #expect(bench.transfer(control: 0x10, length: 4, address: 0x8000) == [0, 0, 0, 1], "items are read-only")
        // A command outside memory is ignored.
        bench.pc.writePort(0xFFFF_FFFF, to: 0x514, width: .dword)
        bench.pc.writePort(0, to: 0x518, width: .dword)
    }

    @Test func dmaRegisterReadsAsASignature() throws {
        let bench = try ConfigurationBench()
        #expect(bench.pc.readPort(0x514, width: .dword) == 0x554D_4551)
        #expect(bench.pc.readPort(0x518, width: .dword) == 0x4746_4320)
    }
}
