/// The linear address space of a prepared environment while it is being built: pages, then their tables.
struct PreparedAddressSpace {
    /// One page of 4 KiB.
    private struct Page {
        let frame: UInt64
        let isUser: Bool
        /// Who lies there, for errors.
        let owner: String
        /// The ring whose code may be put here, nil for system structures and stacks.
        let codeRing: UInt8?
    }

    private static let pageSize = PhysicalMemoryMap.pageSize

    private let environment: PreparedLayout.Environment
    private let memory: PhysicalMemoryMap
    private var pages: [UInt64: Page] = [:]
    private var taken: [Range<UInt64>]

    /// An address space without any page.
    init(_ environment: PreparedLayout.Environment, memory: PhysicalMemoryMap) {
        self.environment = environment
        self.memory = memory
        taken = [0..<PreparedLayout.kernelWindowSize]
    }

    /// Maps a range of whole pages to given frames or, without them, to new ones.
    mutating func map(
        _ linear: Range<UInt64>, to physical: UInt64? = nil, ring: UInt8?, isCode: Bool, owner: String
    ) throws(BootError) {
        let size = linear.upperBound - linear.lowerBound
        let isUser = ring == 3
        for window in environment.layout.windows {
            let last = window.linear + (window.size - 1)
            if linear.lowerBound <= last && linear.upperBound > window.linear {
                throw .overlap(
                    what: owner, address: linear.lowerBound, other: "the window to physical memory",
                    otherAddress: window.linear)
            }
        }
        let start: UInt64
        if let physical {
            start = physical
        } else {
            start = try memory.reserveLow(
                owner, size: size, within: 0..<PhysicalMemoryMap.holeStart, avoiding: &taken)
        }
        for offset in stride(from: UInt64(0), to: size, by: Int(Self.pageSize)) {
            let address = linear.lowerBound + offset
            if let other = pages[address] {
                throw .overlap(what: owner, address: address, other: other.owner, otherAddress: address)
            }
            pages[address] = Page(frame: start + offset, isUser: isUser, owner: owner, codeRing: isCode ? ring : nil)
        }
    }

    /// Maps the pages of a block of code that are not yet its ring's, and gives the block's physical contents.
    mutating func place(_ block: PreparedGuest.Code) throws(BootError) -> [MemoryContents] {
        let owner = "code of ring \(block.ring)"
        let end = block.origin + UInt64(block.bytes.count)
        guard isAddressable(block.origin..<end) else {
            throw .outOfRange(
                what: "the origin of ring \(block.ring)'s code", value: block.origin,
                allowed: "the addresses of .\(environment.rawValue)")
        }
        try mapMissing(block.origin..<end, ring: block.ring, isCode: true, owner: owner)
        var contents: [MemoryContents] = []
        var address = block.origin
        while address < end {
            let page = address & ~(Self.pageSize - 1)
            let count = min(end - address, Self.pageSize - (address - page))
            guard let place = pages[page], place.codeRing == block.ring else {
                throw .overlap(
                    what: owner, address: block.origin, other: pages[page]?.owner ?? "another page", otherAddress: page)
            }
            let offset = Int(address - block.origin)
            contents.append(
                MemoryContents(
                    address: place.frame + (address - page), bytes: block.bytes[offset..<offset + Int(count)]))
            address += count
        }
        return contents
    }

    /// Maps the pages of a range that are not mapped yet, each gap to consecutive frames.
    private mutating func mapMissing(
        _ range: Range<UInt64>, ring: UInt8, isCode: Bool, owner: String
    ) throws(BootError) {
        var page = range.lowerBound & ~(Self.pageSize - 1)
        while page < range.upperBound {
            let start = page
            while page < range.upperBound, pages[page] == nil { page += Self.pageSize }
            if start < page {
                try map(start..<page, ring: ring, isCode: isCode, owner: owner)
            } else {
                page += Self.pageSize
            }
        }
    }

    /// Whether the last page is left free and the range is in the environment's address space.
    private func isAddressable(_ range: Range<UInt64>) -> Bool {
        let last = ~(Self.pageSize - 1)
        switch environment {
        case .real: return false
        case .protected: return range.upperBound <= last & 0xFFFF_FFFF
        case .long:
            let lowHalf: UInt64 = 0x8000_0000_0000
            return range.upperBound <= lowHalf || range.lowerBound >= 0xFFFF_8000_0000_0000 && range.upperBound <= last
        }
    }

    /// Maps the pages of a stack that lies elsewhere than the layout has it, where they are not mapped.
    mutating func mapStack(top: UInt64, ring: UInt8) throws(BootError) {
        let usual = environment.layout.rings[Int(ring)].stack
        let size = usual.upperBound - usual.lowerBound
        guard top >= size, isAddressable(top - size..<top), top % 8 == 0 else {
            throw .outOfRange(
                what: "the stack of ring \(ring)", value: top, allowed: "the multiples of 8 in .\(environment.rawValue)"
            )
        }
        let owner = "the stack of ring \(ring)"
        try mapMissing(top - size..<top, ring: ring, isCode: false, owner: owner)
        for page in stride(from: (top - size) & ~(Self.pageSize - 1), to: top, by: Int(Self.pageSize)) {
            guard let other = pages[page], other.isUser == (ring == 3) else {
                throw .overlap(what: owner, address: page, other: pages[page]?.owner ?? "none", otherAddress: page)
            }
        }
    }

    /// Writes the page tables of all pages and windows, and gives what CR3 takes.
    mutating func tables() throws(BootError) -> (root: UInt64, contents: [MemoryContents]) {
        var tree = PageTableTree(environment: environment)
        let root = try newTable(&tree)
        for (linear, page) in pages.sorted(by: { $0.key < $1.key }) {
            try add(linear, page.frame, isUser: page.isUser, level: 0, root: root, &tree)
        }
        let largePage = UInt64(1) << tree.shift(of: 1)
        for window in environment.layout.windows {
            for offset in stride(from: UInt64(0), to: window.size, by: Int(largePage)) {
                try add(
                    window.linear + offset, window.physical + offset, isUser: false, level: 1, root: root, &tree)
            }
        }
        return (root, tree.contents)
    }

    private mutating func newTable(_ tree: inout PageTableTree) throws(BootError) -> UInt64 {
        let address = try memory.reserveLow(
            "a page table", size: Self.pageSize, within: 0..<PhysicalMemoryMap.holeStart, avoiding: &taken)
        tree.addTable(at: address)
        return address
    }

    /// Walks down to a level and sets the entry there; a table on the way is made when it is missing.
    private mutating func add(
        _ linear: UInt64, _ physical: UInt64, isUser: Bool, level: Int, root: UInt64, _ tree: inout PageTableTree
    ) throws(BootError) {
        let user = isUser ? PageTableEntry.user : 0
        var table = root
        for depth in stride(from: tree.levels - 1, to: level, by: -1) {
            let entry = tree.entry(table, linear, level: depth)
            if entry & PageTableEntry.present != 0 {
                tree.setEntry(table, linear, level: depth, entry | user)
                table = entry & ~UInt64(0xFFF)
            } else {
                let next = try newTable(&tree)
                tree.setEntry(
                    table, linear, level: depth, next | PageTableEntry.present | PageTableEntry.writable | user)
                table = next
            }
        }
        let large = level > 0 ? PageTableEntry.large : 0
        tree.setEntry(
            table, linear, level: level, physical | PageTableEntry.present | PageTableEntry.writable | user | large)
    }
}

/// Page tables by their physical address: 4-level paging, or 32-bit paging with PSE.
///
/// SDM volume 3, sections 4.3 and 4.5.
private struct PageTableTree {
    let environment: PreparedLayout.Environment
    private var entries: [UInt64: [UInt64]] = [:]

    init(environment: PreparedLayout.Environment) { self.environment = environment }

    private var isWide: Bool { environment == .long }
    private var indexBits: Int { isWide ? 9 : 10 }

    /// How many tables a walk passes.
    var levels: Int { isWide ? 4 : 2 }

    /// The lowest linear address bit that an index of a level uses; level 0 maps pages of 4 KiB.
    func shift(of level: Int) -> Int { 12 + level * indexBits }

    mutating func addTable(at address: UInt64) { entries[address] = [UInt64](repeating: 0, count: 1 << indexBits) }

    func entry(_ table: UInt64, _ linear: UInt64, level: Int) -> UInt64 {
        entries[table]?[index(linear, level)] ?? 0
    }

    mutating func setEntry(_ table: UInt64, _ linear: UInt64, level: Int, _ value: UInt64) {
        let index = index(linear, level)
        entries[table]?[index] = value
    }

    private func index(_ linear: UInt64, _ level: Int) -> Int {
        Int(linear >> UInt64(shift(of: level))) & (1 << indexBits - 1)
    }

    var contents: [MemoryContents] {
        entries.sorted { $0.key < $1.key }.map { address, values in
            var bytes: [UInt8] = []
            for value in values {
                if isWide {
                    bytes.append(littleEndian: value)
                } else {
                    bytes.append(littleEndian: UInt32(truncatingIfNeeded: value))
                }
            }
            return MemoryContents(address: address, bytes: bytes)
        }
    }
}
