import CHostSupport

/// What is known of one page of guest RAM.
struct PageFlags: OptionSet {
    let rawValue: UInt8
    /// Holds bytes of cached blocks: writes must drop those.
    static let code = PageFlags(rawValue: 1 << 0)
    /// Was walked as a paging structure since the last flush: writes must drop translations.
    static let pagingStructure = PageFlags(rawValue: 1 << 1)
    /// Changed since the last digest.
    static let unhashed = PageFlags(rawValue: 1 << 2)
    /// Changed since the last snapshot.
    static let unsaved = PageFlags(rawValue: 1 << 5)
    /// Just changed.
    static let dirty: PageFlags = [.unhashed, .unsaved]
    /// A watchpoint lies in it.
    static let watched = PageFlags(rawValue: 1 << 3)
    /// A monitor derives something from its content: writes are reported to it.
    static let traced = PageFlags(rawValue: 1 << 4)
    /// Was walked as a second-level table: writes must drop translations.
    static let secondLevelStructure = PageFlags(rawValue: 1 << 7)
    /// What forbids writing past the slow path.
    static let slowWrite: PageFlags = [.code, .pagingStructure, .watched, .secondLevelStructure, .traced]
}

/// Guest RAM: from 0 up to the hole for devices, and on from 4 GiB.
///
/// What page walks and accesses look at is used by one thread at a time and never while it is being changed, so it goes
/// without checks of exclusive access, which would cost more than the walks.
package final class PhysicalMemory {
    /// The end of the low part; devices live from here to 4 GiB.
    package static let holeStart: UInt64 = 0xC000_0000
    package static let highStart: UInt64 = 0x1_0000_0000
    /// The VGA window, where no RAM answers.
    package static let videoWindow: Range<UInt64> = 0xA_0000..<0xC_0000

    /// Bytes of RAM, a multiple of 4096.
    package let size: UInt64
    /// The bytes below the hole.
    package let lowSize: UInt64
    let base: UnsafeMutableRawPointer
    let pageFlags: UnsafeMutablePointer<PageFlags>
    let pageCount: Int
    /// For each page the cached blocks' coverage: bit n is set if bytes 64n..<64n+64 hold code.
    let codeCoverage: UnsafeMutablePointer<UInt64>
    private let pageHashes: UnsafeMutablePointer<UInt64>
    /// The memory of the machine that this is a guest's part of.
    private let parent: PhysicalMemory?
    /// The guest's part of this memory.
    @exclusivity(unchecked) private unowned(unsafe) var window: PhysicalMemory?
    /// The pages of the whole reservation.
    let reservedPageCount: Int
    /// Hears of what the host is about to write.
    package var hostWrites: ((_ physical: UInt64, _ bytes: UnsafeRawBufferPointer) -> Void)?
    /// Hears of writes to traced pages.
    package weak var tracer: (any MemoryTracer)?
    /// For each byte of the monitor's code pages a bit: set if the instruction that begins there retires none of the
    /// guest's; nil where every instruction counts.
    @exclusivity(unchecked) private(set) var hiddenInstructions: UnsafeMutablePointer<UInt64>?
    @exclusivity(unchecked) private(set) var hiddenPages = 0..<0
    /// The processors whose blocks and translations depend on this memory.
    @exclusivity(unchecked) var processors: [AttachedProcessor] = []
    /// Those of the machine and of the guest's part.
    var everyProcessor: [AttachedProcessor] {
        if let parent { return processors + parent.processors }
        return processors + (window?.processors ?? [])
    }
    /// Pages flagged as paging structures.
    @exclusivity(unchecked) var pagingStructurePages: [Int] = []
    /// Pages flagged as second-level tables.
    @exclusivity(unchecked) var secondLevelPages: [Int] = []
    /// By page number what the last snapshot holds, nil for zeros; empty before the first one.
    var savedPages: [SavedPage?] = []
    /// Pages flagged as watched.
    var watchedPages: [Int] = []
    /// All ones, or with bit 20 clear while the A20 gate is closed.
    @exclusivity(unchecked) package internal(set) var addressLineMask = UInt64.max

    /// Reserves `size` bytes, rounded up to whole pages; nil if the host refuses.
    package init?(size requested: UInt64) {
        let rounded = (requested &+ 0xFFF) & ~0xFFF
        guard requested > 0, rounded >= requested, rounded <= 1 << 40,
            let memory = host_memory_reserve(Int(rounded))
        else { return nil }
        size = rounded
        lowSize = min(rounded, Self.holeStart)
        base = memory
        parent = nil
        pageCount = Int(rounded >> 12)
        reservedPageCount = pageCount
        pageFlags = .allocate(capacity: pageCount)
        // Fresh memory is all zeros, as hashes and snapshots take it to be.
        pageFlags.initialize(repeating: [], count: pageCount)
        codeCoverage = .allocate(capacity: pageCount)
        codeCoverage.initialize(repeating: 0, count: pageCount)
        pageHashes = .allocate(capacity: pageCount)
        pageHashes.initialize(repeating: 0, count: pageCount)
    }

    /// The first `size` bytes of a machine's memory, as a guest has them at the same addresses.
    package init(window size: UInt64, of machine: PhysicalMemory) {
        parent = machine
        self.size = min(size, machine.size)
        lowSize = min(self.size, Self.holeStart)
        base = machine.base
        pageCount = Int(self.size >> 12)
        reservedPageCount = machine.pageCount
        pageFlags = machine.pageFlags
        codeCoverage = machine.codeCoverage
        pageHashes = machine.pageHashes
        machine.window = self
    }

    deinit {
        guard parent == nil else {
            parent?.window = nil
            return
        }
        hiddenInstructions?.deallocate()
        host_memory_release(base, Int(size))
        pageFlags.deallocate()
        codeCoverage.deallocate()
        pageHashes.deallocate()
    }

    /// The physical ranges where RAM answers.
    package var ranges: [Range<UInt64>] {
        var ranges = [0..<min(lowSize, Self.videoWindow.lowerBound)]
        if lowSize > Self.videoWindow.upperBound { ranges.append(Self.videoWindow.upperBound..<lowSize) }
        if size > Self.holeStart { ranges.append(Self.highStart..<Self.highStart + size - Self.holeStart) }
        return ranges
    }

    /// The RAM page number behind a physical address, or nil where devices or nothing answer.
    @inline(__always)
    func pageIndex(_ physical: UInt64) -> Int? {
        if physical < lowSize {
            return physical >= Self.videoWindow.lowerBound && physical < Self.videoWindow.upperBound
                ? nil : Int(truncatingIfNeeded: physical >> 12)
        }
        guard physical >= Self.highStart else { return nil }
        let offset = physical &- Self.highStart &+ Self.holeStart
        return offset < size ? Int(truncatingIfNeeded: offset >> 12) : nil
    }

    /// The physical address of a RAM page.
    func physicalAddress(ofPage index: Int) -> UInt64 {
        let offset = UInt64(index) << 12
        return offset < Self.holeStart ? offset : offset &- Self.holeStart &+ Self.highStart
    }

    /// The physical address that a host address inside the reservation stands for.
    @inline(__always)
    func physicalAddress(ofHost host: UInt64) -> UInt64 {
        let offset = host &- UInt64(UInt(bitPattern: base))
        return offset < Self.holeStart ? offset : offset &- Self.holeStart &+ Self.highStart
    }

    /// The host address of a RAM page.
    @inline(__always)
    func pointer(toPage index: Int) -> UnsafeMutableRawPointer {
        // SAFETY: `pageIndex` only gives numbers of pages inside the reservation.
        base + index << 12
    }

    /// The other of machine and guest's part.
    var counterpart: PhysicalMemory? { parent ?? window }

    /// Makes pages hold code whose instructions count only where `setHidden` does not say otherwise.
    package func reserveHiddenInstructions(pages: Range<Int>) {
        guard hiddenInstructions == nil, pages.upperBound <= pageCount else { return }
        let words = pages.count * 64
        let bits = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
        bits.initialize(repeating: 0, count: words)
        hiddenInstructions = bits
        hiddenPages = pages
    }

    /// Makes every instruction count again.
    package func releaseHiddenInstructions() {
        hiddenInstructions?.deallocate()
        hiddenInstructions = nil
        hiddenPages = 0..<0
    }

    /// Says whether the instruction that begins at a byte of those pages is none of the guest's.
    package func setHidden(_ isHidden: Bool, offset: Int) {
        guard let bits = hiddenInstructions, offset >= 0, offset < hiddenPages.count << 12 else { return }
        let bit: UInt64 = 1 << UInt64(offset & 63)
        if isHidden { bits[offset >> 6] |= bit } else { bits[offset >> 6] &= ~bit }
    }

    /// Whether the instruction at a place is none of the guest's.
    @inline(__always)
    package func isHidden(page: Int, offset: Int) -> Bool {
        guard let bits = hiddenInstructions, hiddenPages.contains(page) else { return false }
        let position = (page - hiddenPages.lowerBound) << 12 + offset
        return bits[position >> 6] >> UInt64(position & 63) & 1 != 0
    }

    /// Copies bytes out; false, with nothing copied, unless all of the range is RAM.
    package func read(_ physical: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        forEachPart(of: physical, count: buffer.count) { page, offset, range in
            // SAFETY: `range` lies inside `buffer` and the part inside the page.
            buffer.baseAddress?.advanced(by: range.lowerBound)
                .copyMemory(from: pointer(toPage: page) + offset, byteCount: range.count)
        }
    }

    /// Splits a range at page borders and hands out the parts once all of them are known to be RAM.
    func forEachPart(
        of physical: UInt64, count: Int, _ body: (_ page: Int, _ offset: Int, _ range: Range<Int>) -> Void
    ) -> Bool {
        for pass in 0..<2 {
            var done = 0
            while done < count {
                let address = physical &+ UInt64(done)
                guard let page = pageIndex(address) else { return false }
                let offset = Int(address & 0xFFF)
                let part = min(4096 - offset, count - done)
                if pass == 1 { body(page, offset, done..<done + part) }
                done += part
            }
        }
        return true
    }

    /// A hash over all of RAM, from per-page hashes that are renewed for pages marked dirty.
    ///
    /// The caller must first drop every fast write path so that later writes mark their page again.
    package func contentHash() -> UInt64 {
        var total: UInt64 = 0
        for page in 0..<pageCount {
            if pageFlags[page].contains(.unhashed) {
                pageHashes[page] = hash(ofPage: page)
                pageFlags[page].remove(.unhashed)
            }
            // Position matters: the sum over mixed (hash, page) pairs.
            if pageHashes[page] != 0 {
                total = total &+ mix(pageHashes[page] &+ UInt64(page) &* 0x9E37_79B9_7F4A_7C15)
            }
        }
        return total
    }

    /// 0 for a page of zeros, else a 64-bit hash of its content.
    private func hash(ofPage page: Int) -> UInt64 {
        // SAFETY: 512 aligned quadwords inside one page.
        let words = pointer(toPage: page).assumingMemoryBound(to: UInt64.self)
        var sum: UInt64 = 0
        var any: UInt64 = 0
        for index in 0..<512 {
            any |= words[index]
            sum = (sum ^ words[index]) &* 0xD6E8_FEB8_6659_FD93
            sum ^= sum >> 32
        }
        return any == 0 ? 0 : (sum == 0 ? 1 : sum)
    }
}

/// A 64-bit finalizer: every input bit reaches every output bit.
@inline(__always)
package func mix(_ value: UInt64) -> UInt64 {
    var word = value
    word = (word ^ word >> 32) &* 0xD6E8_FEB8_6659_FD93
    word = (word ^ word >> 32) &* 0xD6E8_FEB8_6659_FD93
    return word ^ word >> 32
}
