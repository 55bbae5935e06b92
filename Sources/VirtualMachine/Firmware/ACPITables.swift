/// The ACPI tables of the machine (ACPI 6.4 chapter 5), one block in the BIOS area.
package struct ACPITables: Equatable, Sendable {
    /// Where the block lies: inside `PhysicalMemoryMap.firmware`, which the memory map reports as reserved.
    package static let address: UInt64 = PhysicalMemoryMap.firmware.lowerBound
    /// The root pointer is at the start; a guest can find it on a 16-byte boundary (section 5.2.5.1).
    package static let rsdp: UInt64 = address
    /// Local APICs of more than this need another kind of entry.
    package static let maximumProcessorCount = 254

    /// The whole block.
    package let bytes: [UInt8]

    /// Builds the tables for 1...254 processors, whose local APIC IDs count from 0.
    package init(processorCount: Int) {
        let processors = min(max(processorCount, 1), Self.maximumProcessorCount)
        // The FACS comes first behind the pointer: it is aligned on 64 bytes.
        var block = [UInt8](repeating: 0, count: 0x40)
        func here() -> UInt64 { Self.address + UInt64(block.count) }
        func add(_ table: [UInt8]) -> UInt64 {
            let address = here()
            block += table
            while block.count % 16 != 0 { block.append(0) }
            return address
        }
        let facs = add(Self.firmwareControl)
        let definition = DifferentiatedDescription.definition(processorCount: processors)
        let dsdt = add(Self.table("DSDT", revision: 2, definition))
        let tables = [
            add(Self.table("FACP", revision: 6, Self.fixedDescription(facs: facs, dsdt: dsdt))),
            add(Self.table("APIC", revision: 4, Self.interruptControllers(processorCount: processors))),
            add(Self.table("HPET", revision: 1, Self.eventTimer)),
        ]
        var short: [UInt8] = []
        var long: [UInt8] = []
        for table in tables {
            short.append(littleEndian: UInt32(truncatingIfNeeded: table))
            long.append(littleEndian: table)
        }
        let rsdt = add(Self.table("RSDT", revision: 1, short))
        let xsdt = add(Self.table("XSDT", revision: 1, long))
        block.replaceSubrange(0..<36, with: Self.rootPointer(rsdt: rsdt, xsdt: xsdt))
        bytes = block
    }

    private static let oemID = Array("VSCRPT".utf8)

    /// The root pointer with its two checksums (section 5.2.5.3).
    private static func rootPointer(rsdt: UInt64, xsdt: UInt64) -> [UInt8] {
        var bytes = Array("RSD PTR ".utf8) + [0] + oemID + [2]
        bytes.append(littleEndian: UInt32(truncatingIfNeeded: rsdt))
        bytes.append(littleEndian: UInt32(36))
        bytes.append(littleEndian: xsdt)
        bytes += [0, 0, 0, 0]
        bytes[8] = checksum(bytes[..<20])
        bytes[32] = checksum(bytes[...])
        return bytes
    }

    /// A table with its header of 36 bytes (section 5.2.6).
    private static func table(_ signature: String, revision: UInt8, _ body: [UInt8]) -> [UInt8] {
        var bytes = Array(signature.utf8)
        bytes.append(littleEndian: UInt32(truncatingIfNeeded: 36 + body.count))
        bytes += [revision, 0] + oemID + Array("VSCRIPT ".utf8)
        bytes.append(littleEndian: UInt32(1))
        bytes += Array("VSCR".utf8)
        bytes.append(littleEndian: UInt32(1))
        bytes += body
        bytes[9] = checksum(bytes[...])
        return bytes
    }

    /// What makes the sum of all bytes zero, given that the checksum's own place holds zero.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt8 { 0 &- bytes.reduce(0, &+) }

    /// The firmware control structure, version 2 without any flag; it has no checksum (section 5.2.10).
    private static var firmwareControl: [UInt8] {
        var bytes = Array("FACS".utf8)
        bytes.append(littleEndian: UInt32(64))
        bytes += [UInt8](repeating: 0, count: 56)
        bytes[32] = 2
        return bytes
    }

    /// A generic address structure (section 5.2.3.2) in the I/O space.
    private static func port(_ address: UInt16, bits: UInt8, accessSize: UInt8) -> [UInt8] {
        var bytes: [UInt8] = [1, bits, 0, accessSize]
        bytes.append(littleEndian: UInt64(address))
        return bytes
    }

    /// Bits of the fixed description's flags (section 5.2.9, table 5.10).
    private enum FixedFlag {
        static let writeBackInvalidates: UInt32 = 1 << 0
        static let haltSavesPower: UInt32 = 1 << 2
        static let noFixedSleepButton: UInt32 = 1 << 5
        static let timerHas32Bits: UInt32 = 1 << 8
        static let resetRegister: UInt32 = 1 << 10
        static let usePlatformClock: UInt32 = 1 << 15
    }

    /// Bits of the boot architecture flags (table 5.11).
    private enum BootFlag {
        static let legacyDevices: UInt16 = 1 << 0
        static let keyboardController: UInt16 = 1 << 1
        static let noVGA: UInt16 = 1 << 2
    }

    /// The FADT behind its header; offsets in the comments count from the table's start, as in table 5.9.
    private static func fixedDescription(facs: UInt64, dsdt: UInt64) -> [UInt8] {
        let power = PlatformResources.powerManagement
        var bytes = [UInt8](repeating: 0, count: 276)
        bytes.put(UInt32(truncatingIfNeeded: facs), at: 36)
        bytes.put(UInt32(truncatingIfNeeded: dsdt), at: 40)
        bytes.put(UInt8(1), at: 45)  // preferred profile: desktop
        bytes.put(UInt16(truncatingIfNeeded: power.interrupt), at: 46)
        bytes.put(UInt32(power.smiCommand.rawValue), at: 48)
        bytes.put(power.acpiEnable, at: 52)
        bytes.put(power.acpiDisable, at: 53)
        bytes.put(UInt32(power.eventBlock.rawValue), at: 56)
        bytes.put(UInt32(power.controlBlock.rawValue), at: 64)
        bytes.put(UInt32(power.timerBlock.rawValue), at: 76)
        bytes.put(UInt8(4), at: 88)  // PM1_EVT_LEN
        bytes.put(UInt8(2), at: 89)  // PM1_CNT_LEN
        bytes.put(UInt8(4), at: 91)  // PM_TMR_LEN
        bytes.put(UInt16(0xFFFF), at: 96)  // P_LVL2_LAT: no C2
        bytes.put(UInt16(0xFFFF), at: 98)  // P_LVL3_LAT: no C3
        bytes.put(PlatformResources.centuryRegister, at: 108)
        bytes.put(BootFlag.legacyDevices | BootFlag.keyboardController | BootFlag.noVGA, at: 109)
        // The power button and the calendar's alarm are fixed hardware: their flags are clear.
        let timer = power.timerIs32Bit ? FixedFlag.timerHas32Bits : 0
        bytes.put(
            FixedFlag.writeBackInvalidates | FixedFlag.haltSavesPower | FixedFlag.noFixedSleepButton
                | FixedFlag.resetRegister | FixedFlag.usePlatformClock | timer, at: 112)
        bytes.replaceSubrange(116..<128, with: port(PlatformResources.resetPort, bits: 8, accessSize: 1))
        bytes.put(PlatformResources.resetValue, at: 128)
        // X_FIRMWARE_CTRL at 132 stays 0: of two FACS addresses a guest would have to choose one.
        bytes.put(dsdt, at: 140)
        bytes.replaceSubrange(148..<160, with: port(power.eventBlock.rawValue, bits: 32, accessSize: 2))
        bytes.replaceSubrange(172..<184, with: port(power.controlBlock.rawValue, bits: 16, accessSize: 2))
        bytes.replaceSubrange(208..<220, with: port(power.timerBlock.rawValue, bits: 32, accessSize: 3))
        return Array(bytes[36...])
    }

    /// The MADT behind its header (section 5.2.12).
    private static func interruptControllers(processorCount: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: PlatformResources.localAPIC)
        bytes.append(littleEndian: UInt32(1))  // PCAT_COMPAT: there is a pair of 8259A
        for index in 0..<processorCount {
            // Processor local APIC: UID, APIC ID, enabled.
            bytes += [0, 8, UInt8(truncatingIfNeeded: index), UInt8(truncatingIfNeeded: index), 1, 0, 0, 0]
        }
        bytes += [1, 12, PlatformResources.ioAPICID, 0]
        bytes.append(littleEndian: PlatformResources.ioAPIC)
        bytes.append(littleEndian: UInt32(0))  // its first global system interrupt
        bytes += sourceOverride(irq: 0, input: PlatformResources.timerInput, flags: 0)
        // Active high, level-triggered.
        let sci = UInt8(truncatingIfNeeded: PlatformResources.powerManagement.interrupt)
        bytes += sourceOverride(irq: sci, input: UInt32(sci), flags: 0xD)
        bytes += [4, 6, 0xFF, 0, 0, 1]  // NMI at LINT1 of all processors
        return bytes
    }

    private static func sourceOverride(irq: UInt8, input: UInt32, flags: UInt16) -> [UInt8] {
        var bytes: [UInt8] = [2, 10, 0, irq]
        bytes.append(littleEndian: input)
        bytes.append(littleEndian: flags)
        return bytes
    }

    /// The HPET table behind its header (IA-PC HPET specification 1.0a section 3.2.4).
    private static var eventTimer: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: PlatformResources.hpetIdentity)
        bytes += [0, 64, 0, 0]
        bytes.append(littleEndian: UInt64(PlatformResources.hpet))
        bytes.append(UInt8(0))  // its number
        bytes.append(littleEndian: UInt16(0x80))  // the shortest period in ticks that loses no interrupt
        bytes.append(UInt8(0))  // page protection: none
        return bytes
    }
}
