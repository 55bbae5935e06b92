/// Where the machine has RAM and what firmware reports of it.
///
/// RAM lies from 0 up to `holeStart` at most and goes on at 4 GiB; between them are the PCI window, the I/O APIC, the
/// HPET, the local APICs and the place of the firmware's ROM.
package struct PhysicalMemoryMap: Equatable, Sendable {
    /// The kinds of address ranges (ACPI 6.4 table 15.3), also used by PVH and Multiboot.
    package enum Kind: UInt32, Sendable {
        case usable = 1
        case reserved = 2
    }

    /// One range as INT 15h, AX=E820h would report it.
    package struct Entry: Equatable, Sendable {
        package let range: Range<UInt64>
        package let kind: Kind
    }

    package static let pageSize: UInt64 = 0x1000
    /// Where RAM ends below 4 GiB, however much there is.
    package static let holeStart: UInt64 = 0xC000_0000
    package static let holeEnd: UInt64 = 0x1_0000_0000
    /// The last KiB of conventional memory, where a BIOS keeps its extended data.
    package static let extendedBIOSData: Range<UInt64> = 0x9_FC00..<0xA_0000
    /// The legacy video and option ROM window, which reports as a hole.
    package static let legacyWindow: Range<UInt64> = 0xA_0000..<0xE_0000
    /// The BIOS area, RAM that holds the ACPI tables.
    package static let firmware: Range<UInt64> = 0xE_0000..<0x10_0000
    package static let minimumSize: UInt64 = 0x10_0000
    /// 52 bits are what the page tables can name; one terabyte is the sensible bound.
    package static let maximumSize: UInt64 = 1 << 40

    /// RAM in bytes, without the hole; RAM under the legacy window counts.
    package let size: UInt64

    /// Makes the map of a machine with that many bytes of RAM, a multiple of 4 KiB from 1 MiB to 1 TiB.
    package init(size: UInt64) throws(BootError) {
        guard size >= Self.minimumSize else { throw .memorySize(size, why: "is less than a PC's 1 MiB") }
        guard size <= Self.maximumSize else { throw .memorySize(size, why: "is more than 1 TiB") }
        guard size % Self.pageSize == 0 else { throw .memorySize(size, why: "is not a multiple of 4 KiB") }
        self.size = size
    }

    /// RAM below 4 GiB.
    package var low: Range<UInt64> { 0..<min(size, Self.holeStart) }

    /// RAM above 4 GiB, empty if all of it fits below.
    package var high: Range<UInt64> { Self.holeEnd..<Self.holeEnd + (size - low.upperBound) }

    /// The ranges in ascending order, as firmware reports them.
    package var entries: [Entry] {
        [
            Entry(range: 0..<Self.extendedBIOSData.lowerBound, kind: .usable),
            Entry(range: Self.extendedBIOSData, kind: .reserved),
            Entry(range: Self.firmware, kind: .reserved),
            Entry(range: Self.firmware.upperBound..<low.upperBound, kind: .usable),
            Entry(range: high, kind: .usable),
        ].filter { !$0.range.isEmpty }
    }

    /// The usable ranges in ascending order.
    package var usable: [Range<UInt64>] { entries.filter { $0.kind == .usable }.map(\.range) }

    /// Whether a range is usable RAM throughout.
    package func isUsable(_ range: Range<UInt64>) -> Bool {
        usable.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound }
    }

    /// The lowest usable place for a block inside some bounds that avoids the taken ranges.
    package func lowestFree(
        size: UInt64, alignment: UInt64, within bounds: Range<UInt64>, avoiding taken: [Range<UInt64>] = []
    ) -> UInt64? {
        free(within: bounds, avoiding: taken).lazy.compactMap { gap -> UInt64? in
            guard let start = gap.lowerBound.roundedUp(to: alignment), start <= gap.upperBound,
                gap.upperBound - start >= size
            else { return nil }
            return start
        }.first
    }

    /// The highest usable place for a block inside some bounds that avoids the taken ranges.
    package func highestFree(
        size: UInt64, alignment: UInt64, within bounds: Range<UInt64>, avoiding taken: [Range<UInt64>] = []
    ) -> UInt64? {
        free(within: bounds, avoiding: taken).reversed().lazy.compactMap { gap -> UInt64? in
            guard gap.upperBound - gap.lowerBound >= size else { return nil }
            let start = (gap.upperBound - size) / alignment * alignment
            return start >= gap.lowerBound ? start : nil
        }.first
    }

    /// The size of the largest usable gap inside some bounds that avoids the taken ranges.
    package func largestFree(within bounds: Range<UInt64>, avoiding taken: [Range<UInt64>] = []) -> UInt64 {
        free(within: bounds, avoiding: taken).map { $0.upperBound - $0.lowerBound }.max() ?? 0
    }

    /// What is left of usable RAM inside some bounds, in ascending order.
    private func free(within bounds: Range<UInt64>, avoiding taken: [Range<UInt64>]) -> [Range<UInt64>] {
        var gaps = usable.map { $0.clamped(to: bounds) }
        for block in taken where !block.isEmpty {
            gaps = gaps.flatMap { gap -> [Range<UInt64>] in
                guard gap.overlaps(block) else { return [gap] }
                return [
                    gap.lowerBound..<max(gap.lowerBound, block.lowerBound),
                    min(gap.upperBound, block.upperBound)..<gap.upperBound,
                ]
            }
        }
        return gaps.filter { !$0.isEmpty }
    }
}

extension UInt64 {
    /// The next multiple of a power of two or any other alignment; nil on overflow or for alignment zero.
    package func roundedUp(to alignment: UInt64) -> UInt64? {
        guard alignment > 0 else { return nil }
        let remainder = self % alignment
        guard remainder != 0 else { return self }
        let (value, overflow) = addingReportingOverflow(alignment - remainder)
        return overflow ? nil : value
    }
}
