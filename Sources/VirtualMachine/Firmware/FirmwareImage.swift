/// What a BIOS would have left in memory: its data areas and the ACPI tables; it runs no code.
package enum FirmwareImage {
    /// What to write before a boot image is written over it.
    package static func contents(processorCount: Int) -> [MemoryContents] {
        let extended = PhysicalMemoryMap.extendedBIOSData
        return [
            MemoryContents(address: 0x400, bytes: biosDataArea),
            // The extended area begins with its size in KiB.
            MemoryContents(address: extended.lowerBound, bytes: [1]),
            MemoryContents(
                address: ACPITables.address, bytes: ACPITables(processorCount: processorCount).bytes),
        ]
    }

    /// The BIOS data area: the serial port, the place of the extended area, conventional memory in KiB.
    private static var biosDataArea: [UInt8] {
        let extended = PhysicalMemoryMap.extendedBIOSData.lowerBound
        var bytes = [UInt8](repeating: 0, count: 0x100)
        bytes.put(PlatformResources.serialPort, at: 0x00)
        bytes.put(UInt16(truncatingIfNeeded: extended >> 4), at: 0x0E)
        bytes.put(UInt16(truncatingIfNeeded: extended / 1024), at: 0x13)
        return bytes
    }
}
