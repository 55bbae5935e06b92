import X86Engine

/// Second-level tables that lead every guest-physical address where RAM answers to the same address of the machine's,
/// in pages as large as possible, and every other address nowhere.
final class SecondLevelTables {
    /// The bits of entries besides the address.
    struct Format {
        var table: UInt64
        var leaf: UInt64

        /// EPT: reading, writing and execution; leaves are write-back (SDM volume 3 tables 29-1 to 29-7).
        static let extended = Format(table: 7, leaf: 7 | 6 << 3)
        /// NPT: the user's, writable, accessed and dirty already (APM volume 2 section 15.25.5).
        static let nested = Format(
            table: PageEntry.P | PageEntry.RW | PageEntry.US | PageEntry.A,
            leaf: PageEntry.P | PageEntry.RW | PageEntry.US | PageEntry.A | PageEntry.D)
    }

    private let memory: HardwareMemory
    private let guest: Processor
    private let format: Format
    private var used = 0
    /// The page before which no RAM answers, because the guest's local APIC does.
    private var devicePage: UInt64?

    init(memory: HardwareMemory, guest: Processor, format: Format) {
        self.memory = memory
        self.guest = guest
        self.format = format
        build()
    }

    /// The address of the top table.
    var root: UInt64 { memory.machine.address(ofPage: memory.tables.lowerBound) }

    /// Follows the guest's local APIC to where it has moved.
    func update() { if guest.devicePage != devicePage { build() } }

    private func build() {
        devicePage = guest.devicePage
        used = 0
        _ = table(level: 4, from: 0)
    }

    /// Makes the table for a part of the guest's addresses; nil if there is no page left.
    private func table(level: Int, from start: UInt64) -> UInt64? {
        let page = memory.tables.lowerBound + used
        guard page < memory.tables.upperBound else { return nil }
        used += 1
        memory.machine.clear(page: page)
        let address = memory.machine.address(ofPage: page)
        let size: UInt64 = 1 << UInt64(12 + 9 * (level - 1))
        for index in UInt64(0)..<512 {
            let part = start + index * size..<start + (index + 1) * size
            guard let entry = entry(level: level, part) else { continue }
            memory.machine.setQuadword(entry, at: address + index * 8)
        }
        return address
    }

    private func entry(level: Int, _ part: Range<UInt64>) -> UInt64? {
        let ranges = guest.memory.ranges
        guard ranges.contains(where: { $0.overlaps(part) }) else { return nil }
        let hasDevice = devicePage.map(part.contains) ?? false
        let isWhole = ranges.contains { $0.lowerBound <= part.lowerBound && part.upperBound <= $0.upperBound }
        if level == 1 { return isWhole && !hasDevice ? part.lowerBound | format.leaf : nil }
        if isWhole && !hasDevice && (level == 2 || level == 3 && guest.model.hasGigabytePages) {
            return part.lowerBound | format.leaf | PageEntry.PS
        }
        return table(level: level - 1, from: part.lowerBound).map { $0 | format.table }
    }
}
