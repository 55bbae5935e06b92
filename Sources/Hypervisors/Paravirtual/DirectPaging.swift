import X86Engine

/// Direct paging: the processor walks the guest's own tables, which the monitor has validated and the guest cannot write.
///
/// Each page of the guest's has at most one type at a time: a page table of one level, a descriptor table, or writable
/// data. What leads to it with that type is counted, and the type goes with the last use. A table that is mapped for
/// writing, a level in the wrong place, a large page, or a frame that is not the guest's is refused, with nothing
/// changed.
final class DirectPaging {
    private enum Kind: Equatable {
        case none
        /// A page table of level 1...4.
        case table(Int)
        case descriptors
        case writable
    }

    private struct Page {
        var kind = Kind.none
        var uses = 0
        /// The level that it is kept at by `pin`; 0 if it is not.
        var pinnedLevel = 0
    }

    typealias Failure = HypercallInterface.Failure

    /// The top-level entry that maps the monitor's region.
    static let monitorSlot: UInt64 = 384
    static let frameMask: UInt64 = 0x000F_FFFF_FFFF_F000

    private let machine: PhysicalMemory
    private let topEntry: UInt64
    private let acceptsDescriptor: (UInt64) -> Bool
    private var pages: [Page]
    /// The monitor itself is writing to tables.
    private(set) var isWriting = false

    /// `acceptsDescriptor` says whether a descriptor table may hold a descriptor.
    init(
        machine: PhysicalMemory, guestPages: Int, topEntry: UInt64, acceptsDescriptor: @escaping (UInt64) -> Bool
    ) {
        self.machine = machine
        self.topEntry = topEntry
        self.acceptsDescriptor = acceptsDescriptor
        pages = [Page](repeating: Page(), count: guestPages)
    }

    /// Forgets all types and uses.
    func removeAll() {
        for page in pages.indices {
            if pages[page].kind != .none { setKind(page, Page()) }
        }
    }

    /// The number of the guest's page at a physical address.
    func page(at physical: UInt64) -> Int? {
        guard let page = machine.ramPage(at: physical), page < pages.count else { return nil }
        return page
    }

    /// Whether the guest could write to the page at a physical address: it is memory of its, and no table.
    func isData(_ physical: UInt64) -> Bool {
        guard let page = page(at: physical) else { return false }
        switch pages[page].kind {
        case .none, .writable: return true
        case .table, .descriptors: return false
        }
    }

    /// The pages that `pin` keeps, with their levels.
    var pinned: [(physical: UInt64, level: Int)] {
        pages.indices.compactMap { page in
            pages[page].pinnedLevel > 0 ? (machine.address(ofPage: page), pages[page].pinnedLevel) : nil
        }
    }

    // MARK: What the guest asks for

    /// Makes a page a table of a level and keeps it one.
    func pin(_ physical: UInt64, level: Int) throws(Failure) {
        guard physical & 0xFFF == 0, (1...4).contains(level), let page = page(at: physical) else { throw .invalid }
        guard pages[page].pinnedLevel == 0 else { throw .busy }
        try take(page, .table(level))
        pages[page].pinnedLevel = level
    }

    func unpin(_ physical: UInt64) throws(Failure) {
        guard physical & 0xFFF == 0, let page = page(at: physical), pages[page].pinnedLevel > 0 else {
            throw .invalid
        }
        pages[page].pinnedLevel = 0
        release(page: page)
    }

    /// Uses a page as a top-level table.
    func takeRoot(_ physical: UInt64) throws(Failure) { try take(at: physical, .table(4)) }

    /// Uses a page as a descriptor table.
    func takeDescriptors(_ physical: UInt64) throws(Failure) { try take(at: physical, .descriptors) }

    /// Uses a page as data that the monitor writes too.
    func takeData(_ physical: UInt64) throws(Failure) { try take(at: physical, .writable) }

    private func take(at physical: UInt64, _ kind: Kind) throws(Failure) {
        guard physical & 0xFFF == 0, let page = page(at: physical) else { throw .invalid }
        try take(page, kind)
    }

    /// Gives up a use of a page.
    func release(_ physical: UInt64) {
        if let page = page(at: physical) { release(page: page) }
    }

    /// Changes an entry of a page table.
    func update(_ physical: UInt64, _ value: UInt64) throws(Failure) {
        guard physical & 7 == 0, let page = page(at: physical), case .table(let level) = pages[page].kind else {
            throw .invalid
        }
        guard level != 4 || physical >> 3 & 0x1FF != Self.monitorSlot else { throw .notPermitted }
        let old = machine.quadword(at: physical)
        try takeEntry(value, level: level)
        write(value, at: physical)
        releaseEntry(old, level: level)
    }

    /// Changes a descriptor of a descriptor table.
    func updateDescriptor(_ physical: UInt64, _ value: UInt64) throws(Failure) {
        guard physical & 7 == 0, let page = page(at: physical), pages[page].kind == .descriptors else {
            throw .invalid
        }
        guard acceptsDescriptor(value) else { throw .notPermitted }
        write(GuestDescriptor.preset(value), at: physical)
    }

    /// Where the level 1 entry lies by which a top-level table translates a linear address.
    func entry(for linear: UInt64, root: UInt64) throws(Failure) -> UInt64 {
        var table = root
        for level in [4, 3, 2] {
            let index = linear >> UInt64(12 + 9 * (level - 1)) & 0x1FF
            guard level != 4 || index != Self.monitorSlot else { throw .notPermitted }
            let entry = machine.quadword(at: table + index * 8)
            guard entry & PageEntry.P != 0 else { throw .inaccessible }
            table = entry & Self.frameMask
        }
        return table + (linear >> 12 & 0x1FF) * 8
    }

    // MARK: Types and uses

    private func take(_ page: Int, _ kind: Kind) throws(Failure) {
        guard pages[page].kind == .none || pages[page].kind == kind else { throw .busy }
        guard pages[page].uses == 0 else {
            pages[page].uses += 1
            return
        }
        // Set first, so that a table that leads back to itself is found out.
        setKind(page, Page(kind: kind, uses: 1))
        do throws(Failure) {
            switch kind {
            case .none, .writable: break
            case .table(let level): try validate(page, level: level)
            case .descriptors: try validateDescriptors(page)
            }
        } catch {
            setKind(page, Page())
            throw error
        }
    }

    private func release(page: Int) {
        guard pages[page].uses > 0 else { return }
        pages[page].uses -= 1
        guard pages[page].uses == 0 else { return }
        let kind = pages[page].kind
        setKind(page, Page())
        guard case .table(let level) = kind else { return }
        for index in UInt64(0)..<512 where level != 4 || index != Self.monitorSlot {
            releaseEntry(entry(page, index), level: level)
        }
        if level == 4 { write(0, at: address(page, Self.monitorSlot)) }
    }

    /// Changes what a page is; writes to tables are told to the monitor, whoever makes them.
    private func setKind(_ page: Int, _ value: Page) {
        pages[page] = value
        switch value.kind {
        case .none, .writable: machine.setTraced(false, page: page)
        case .table, .descriptors: machine.setTraced(true, page: page)
        }
    }

    /// Takes what all entries of a table lead to, or nothing.
    private func validate(_ page: Int, level: Int) throws(Failure) {
        for index in UInt64(0)..<512 where level != 4 || index != Self.monitorSlot {
            do throws(Failure) {
                try takeEntry(entry(page, index), level: level)
            } catch {
                for earlier in 0..<index where level != 4 || earlier != Self.monitorSlot {
                    releaseEntry(entry(page, earlier), level: level)
                }
                throw error
            }
        }
        if level == 4 { write(topEntry, at: address(page, Self.monitorSlot)) }
    }

    private func validateDescriptors(_ page: Int) throws(Failure) {
        for index in UInt64(0)..<512 {
            guard acceptsDescriptor(entry(page, index)) else { throw .notPermitted }
        }
        for index in UInt64(0)..<512 {
            write(GuestDescriptor.preset(entry(page, index)), at: address(page, index))
        }
    }

    private func takeEntry(_ entry: UInt64, level: Int) throws(Failure) {
        guard entry & PageEntry.P != 0 else { return }
        guard level == 1 || entry & PageEntry.PS == 0 else { throw .invalid }
        guard let page = page(at: entry & Self.frameMask) else { throw .notPermitted }
        if level > 1 { return try take(page, .table(level - 1)) }
        if entry & PageEntry.RW != 0 { try take(page, .writable) }
    }

    private func releaseEntry(_ entry: UInt64, level: Int) {
        guard entry & PageEntry.P != 0, let page = page(at: entry & Self.frameMask) else { return }
        if level > 1 || entry & PageEntry.RW != 0 { release(page: page) }
    }

    private func address(_ page: Int, _ index: UInt64) -> UInt64 { machine.address(ofPage: page) + index * 8 }

    private func entry(_ page: Int, _ index: UInt64) -> UInt64 { machine.quadword(at: address(page, index)) }

    private func write(_ value: UInt64, at physical: UInt64) {
        guard machine.quadword(at: physical) != value else { return }
        isWriting = true
        machine.setQuadword(value, at: physical)
        isWriting = false
    }
}
