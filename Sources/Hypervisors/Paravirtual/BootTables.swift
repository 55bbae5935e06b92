import X86Engine

/// The page tables that a paravirtual guest starts with, in its own memory: they map its memory below 4 GiB at the same
/// linear addresses, and themselves read-only.
///
/// They lie at the end of that memory: the top-level table first, the table above the page directories, those, and a
/// page table for every 2 MiB.
package struct BootTables {
    /// The physical address of the top-level table, which is that of the first page of them.
    package let root: UInt64
    /// The same: where memory ends that is free.
    package var start: UInt64 { root }
    private let lowMemory: UInt64
    private let directories: UInt64
    private let pageTables: UInt64

    /// The least memory that a guest needs.
    package static let minimumMemory: UInt64 = 2 << 20

    /// Describes the tables of a guest with so many bytes of memory below 4 GiB.
    package init(lowMemory: UInt64) {
        self.lowMemory = lowMemory
        pageTables = (lowMemory + 0x1F_FFFF) >> 21
        directories = (lowMemory + 0x3FFF_FFFF) >> 30
        let count = 2 + directories + pageTables
        root = lowMemory - min(lowMemory, count << 12)
    }

    /// Writes them to the memory of a guest.
    func write(to guest: PhysicalMemory, in machine: PhysicalMemory) {
        let table = PageEntry.P | PageEntry.RW | PageEntry.US
        let pointers = root + 0x1000
        let firstDirectory = pointers + 0x1000
        let firstTable = firstDirectory + directories << 12
        for address in stride(from: root, to: lowMemory, by: 8) { machine.setQuadword(0, at: address) }
        machine.setQuadword(pointers | table, at: root)
        for index in 0..<directories {
            machine.setQuadword(firstDirectory + index << 12 | table, at: pointers + index * 8)
        }
        for index in 0..<pageTables {
            machine.setQuadword(firstTable + index << 12 | table, at: firstDirectory + index * 8)
        }
        for range in guest.ranges {
            for page in stride(from: range.lowerBound, to: min(range.upperBound, lowMemory), by: 4096) {
                let entry = page < root ? page | table : page | PageEntry.P | PageEntry.US
                machine.setQuadword(entry, at: firstTable + (page >> 12) * 8)
            }
        }
    }
}
