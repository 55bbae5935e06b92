import X86Engine

/// The machine's memory behind the guest's, where a hardware-assisted monitor keeps its structures.
///
/// No guest-physical address leads there: second-level tables map the guest's RAM only, shadow page tables only what
/// the guest's own lead to, and devices reach the guest's part alone. First come the control structure with its
/// bitmaps, then the second-level tables or the shadow page tables.
struct HardwareMemory {
    let machine: PhysicalMemory
    /// The pages of the guest's part.
    let guestPages: Int
    /// The pages that the back end takes.
    let structures: Range<Int>
    /// The pages of translation tables.
    let tables: Range<Int>

    private static let structurePages = 16

    /// The bytes that a monitor takes of the machine's memory.
    static func size(_ paging: Paging, guestMemory: UInt64) -> UInt64 {
        let tables: UInt64 =
            switch paging {
            // One table for each GiB, and some for the borders of RAM and around devices.
            case .nested: guestMemory >> 30 + 48
            case .shadow: 12 * 1024
            }
        return (UInt64(structurePages) + tables) << 12
    }

    init(machine: PhysicalMemory, guestPages: Int) {
        self.machine = machine
        self.guestPages = guestPages
        let end = Int(machine.size >> 12)
        let first = min(guestPages, end)
        structures = first..<min(first + Self.structurePages, end)
        tables = structures.upperBound..<end
    }

    /// The physical address of a page of the structures.
    func address(_ index: Int) -> UInt64 { machine.address(ofPage: structures.lowerBound + index) }

    /// The value of CR3 that puts shadow page tables in force; `pointers` is the page for what three levels start from.
    func shadowRoot(_ shadow: ShadowPaging, pointers: Int) -> UInt64 {
        let root = shadow.root()
        guard !shadow.isLong else { return root }
        // The processor walks three levels, from pointers that have no permissions.
        for (index, pointer) in shadow.pageDirectoryPointers.enumerated() {
            machine.setQuadword(pointer, at: address(pointers) + UInt64(index) * 8)
        }
        return address(pointers)
    }

    /// Fills a page of the structures with one byte.
    func fill(_ index: Int, with byte: UInt8) {
        for offset in stride(from: UInt64(0), to: 4096, by: 8) {
            machine.setQuadword(UInt64(byte) &* 0x0101_0101_0101_0101, at: address(index) + offset)
        }
    }
}
