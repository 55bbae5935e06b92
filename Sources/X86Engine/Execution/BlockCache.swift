import X86

/// The decoded blocks of one processor: an arena, a list for each page of RAM, and a direct-mapped jump cache by RIP.
///
/// Single blocks are only unlinked and marked; memory is reclaimed by dropping all of them at once.
final class BlockCache {
    let memory: PhysicalMemory
    let enabled: Bool
    /// By `slot(rip)`; empty slots hold a block that matches nothing.
    let jumpCache: UnsafeMutablePointer<UnsafeMutablePointer<Block>>
    /// Stands for "back to the dispatcher".
    let exit: UnsafeMutablePointer<MicroOperation>
    private let nothing: UnsafeMutablePointer<Block>
    private let heads: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>
    private let arena: UnsafeMutableRawPointer
    private var used = 0
    private var pages: [Int] = []
    /// Blocks decoded since the start, for statistics.
    private(set) var decoded = 0

    private static let arenaSize = 48 << 20
    private static let jumpSlots = 1 << 14

    init(memory: PhysicalMemory, enabled: Bool) {
        self.memory = memory
        self.enabled = enabled
        exit = .allocate(capacity: 1)
        exit.initialize(to: MicroOperation(.leave, length: 0, position: 0, nextRIP: 0))
        nothing = .allocate(capacity: 1)
        nothing.initialize(
            to: Block(
                rip: .max, linear: .max, host: .max, operations: exit, nextOnPage: nil, mode: ExecutionMode(), count: 0,
                page: -1, byteCount: 0))
        jumpCache = .allocate(capacity: Self.jumpSlots)
        jumpCache.initialize(repeating: nothing, count: Self.jumpSlots)
        heads = .allocate(capacity: memory.reservedPageCount)
        heads.initialize(repeating: nil, count: memory.reservedPageCount)
        arena = .allocate(byteCount: Self.arenaSize, alignment: 64)
    }

    deinit {
        exit.deallocate()
        nothing.deallocate()
        jumpCache.deallocate()
        heads.deallocate()
        arena.deallocate()
    }

    /// The jump-cache slot of an address.
    @inline(__always)
    static func slot(_ rip: UInt64) -> Int {
        Int(truncatingIfNeeded: (rip ^ rip >> 14) & UInt64(jumpSlots - 1))
    }

    /// Memory for `bytes`, aligned to 32; nil when everything must be dropped first.
    func allocate(_ bytes: Int) -> UnsafeMutableRawPointer? {
        let size = (bytes + 31) & ~31
        guard used + size <= Self.arenaSize else { return nil }
        defer { used += size }
        return arena + used
    }

    /// Forgets all blocks.
    ///
    /// Nothing may be running.
    func removeAll() {
        used = 0
        for page in pages { heads[page] = nil }
        pages.removeAll(keepingCapacity: true)
        for slot in 0..<Self.jumpSlots { jumpCache[slot] = nothing }
    }

    /// Enters a block that was just built.
    func insert(_ block: UnsafeMutablePointer<Block>) {
        let page = Int(block.pointee.page)
        if heads[page] == nil { pages.append(page) }
        block.pointee.nextOnPage = heads[page]
        heads[page] = block
        decoded += 1
    }

    /// How much of the arena is used.
    var mark: Int { used }

    /// Takes back a block that ran once, and the memory it used.
    func discard(_ block: UnsafeMutablePointer<Block>, _ mark: Int) {
        let page = Int(block.pointee.page)
        // Unless a write to its code has unlinked it, it is still the newest of its page.
        if heads[page] == block { heads[page] = block.pointee.nextOnPage }
        if mark <= used { used = mark }
    }

    /// Makes a block the first to be found at its address, unless each entry needs the dispatcher.
    func remember(_ block: UnsafeMutablePointer<Block>) {
        if block.pointee.secondHost == 0 && !block.pointee.isWatched { jumpCache[Self.slot(block.pointee.rip)] = block }
    }

    /// Finds a valid block by address, mode and memory.
    func find(
        rip: UInt64, linear: UInt64, mode: ExecutionMode, page: Int, host: UInt64
    ) -> UnsafeMutablePointer<Block>? {
        var candidate = heads[page]
        while let block = candidate {
            if block.pointee.linear == linear && block.pointee.rip == rip && block.pointee.mode == mode
                && block.pointee.host == host
            {
                return block
            }
            candidate = block.pointee.nextOnPage
        }
        return nil
    }

    /// Whether blocks were made from a page.
    func hasBlocks(onPage page: Int) -> Bool { heads[page] != nil }

    /// Makes the blocks that hold any of the changed bytes of a page unreachable.
    func invalidate(page: Int, offset: Int, count: Int) {
        var previous: UnsafeMutablePointer<Block>?
        var candidate = heads[page]
        let base = UInt64(UInt(bitPattern: memory.pointer(toPage: page)))
        while let block = candidate {
            candidate = block.pointee.nextOnPage
            let start = Int(truncatingIfNeeded: block.pointee.host &- base)
            if offset < start + Int(block.pointee.byteCount) && offset + count > start {
                // Blocks that link here come to the dispatcher at once.
                block.pointee.operations.pointee.code = .leave
                disable(block)
                if let primary = block.pointee.primary { disable(primary) }
                if let previous { previous.pointee.nextOnPage = candidate } else { heads[page] = candidate }
            } else {
                previous = block
            }
        }
    }

    /// Makes a block match no address.
    private func disable(_ block: UnsafeMutablePointer<Block>) {
        block.pointee.rip = .max
        block.pointee.linear = .max
    }
}
