import X86
import X86Engine

/// Shadow page tables: what the processor walks in place of the guest's, made from those as the guest uses them.
///
/// They are always four-level tables, whatever the guest's are, and lie in the monitor's memory. An entry is present
/// only if the guest's has its accessed flag set, and writable only if the guest's has its dirty flag set, so that the
/// first use of either kind comes to the monitor, which sets the flag as a processor would. Pages that the guest uses as
/// page tables, and code that was translated, are mapped read-only (traced): each write comes to the monitor, which
/// does it and drops what was derived. So the guest never sees a stale translation.
final class ShadowPaging {
    /// What a page of shadow entries stands for.
    struct Key: Hashable {
        enum Kind: UInt8 {
            /// A page table of the guest's (`place` is its page number, `part` which half or quarter).
            case table
            /// Part of a large page (`place` is the address of the guest's entry).
            case fragment
            /// Linear addresses without paging.
            case unpaged
            /// A level that the guest's mode does not have (`place` is CR3).
            case top
        }
        var kind: Kind
        var level: UInt8
        var part: UInt32
        var place: UInt64
    }

    /// Marks in the bits of an entry that processors ignore (SDM volume 3 table 4-20).
    private enum Mark {
        /// Translated code was fetched through the entry.
        static let code: UInt64 = 1 << 9
        /// The entry maps the monitor's region.
        static let monitor: UInt64 = 1 << 10
        static let isTable: UInt64 = 1 << 11
    }

    private struct Page {
        var key: Key
        /// The addresses of the entries that lead here.
        var parents: [UInt64] = []
    }

    private let machine: PhysicalMemory
    /// The page numbers that tables are made in.
    private let pool: Range<Int>
    /// What of the monitor's is mapped among the guest's linear addresses; nil if nothing is.
    private let region: MonitorMemory?
    private let guest: Processor
    private var pages: [Page?]
    private var free: [Int] = []
    private var byKey: [Key: Int] = [:]
    /// The shadow pages of each of the guest's page tables.
    private var byTable: [Int: [Int]] = [:]
    /// Writes to each of them since it was last walked.
    private var writes: [Int: Int] = [:]
    /// Per page of the guest's memory the address of a writable entry that maps it, and those beyond the first.
    private var firstWriter: [UInt64]
    private var moreWriters: [Int: [UInt64]] = [:]
    /// Pages of the guest's that translated code was made from.
    private(set) var codePages: Set<Int> = []
    private var steps: [WalkStep] = []
    /// The mode that everything here was made for.
    private var role = Role()
    private var rootPage = -1
    private var rootCR3: UInt64 = .max
    private var rootPointers = SIMD4<UInt64>(repeating: 0)

    /// Called when translated code may no longer be where it was.
    var codeMappingChanged: () -> Void = {}
    /// Called when an entry of the outermost tables has changed.
    var topLevelChanged: () -> Void = {}
    /// Faults that the guest never saw, and entries that were made.
    private(set) var hiddenFills: UInt64 = 0
    private(set) var tracedWrites: UInt64 = 0
    private(set) var resets: UInt64 = 0

    /// Where the monitor's region is mapped.
    var placement: Placement {
        didSet { if placement != oldValue { reset() } }
    }

    struct Placement: Equatable {
        /// The index of the top-level entry, 0...511.
        var slot: Int
        /// For guests without 64-bit addresses, the linear address of a second mapping below 4 GiB.
        var window: UInt64
    }

    /// What of the guest's control registers shapes the tables.
    struct Role: Equatable {
        var isPaged = false
        var isLong = false
        var isPAE = false
        var control: UInt64 = 0
        /// Where the local APIC answers in front of RAM.
        var devicePage: UInt64?

        init() {}

        init(_ guest: Processor) {
            let s = guest.state
            isPaged = s.pointee.cr0 & CR0.PG != 0
            isLong = isPaged && s.pointee.efer & EFER.LMA != 0
            isPAE = isPaged && s.pointee.cr4 & CR4.PAE != 0
            devicePage = guest.devicePage
            control = s.pointee.cr4 & (CR4.PSE | CR4.SMEP) | s.pointee.efer & EFER.NXE
        }
    }

    /// Makes shadow tables for a guest that runs deprivileged, with the monitor's region among its addresses.
    convenience init(memory: MonitorMemory, guest: Processor, placement: Placement) {
        self.init(
            machine: memory.machine, pool: memory.pool, guestPages: memory.pages.lowerBound, guest: guest,
            region: memory, placement: placement)
    }

    /// Makes shadow tables in some pages of the machine's memory, which begins with the guest's.
    init(
        machine: PhysicalMemory, pool: Range<Int>, guestPages: Int, guest: Processor, region: MonitorMemory? = nil,
        placement: Placement = Placement(slot: 0, window: 0)
    ) {
        self.machine = machine
        self.pool = pool
        self.region = region
        self.guest = guest
        self.placement = placement
        pages = [Page?](repeating: nil, count: pool.count)
        free = Array((0..<pool.count).reversed())
        firstWriter = [UInt64](repeating: 0, count: guestPages)
    }

    // MARK: The root

    /// The physical address of the tables for the guest's CR3 and mode.
    func root() -> UInt64 {
        let state = guest.state
        let current = Role(guest)
        if current != role {
            role = current
            reset()
            codeMappingChanged()
        }
        let pointers = SIMD4(state.pointee.pdpte.0, state.pointee.pdpte.1, state.pointee.pdpte.2, state.pointee.pdpte.3)
        if rootPage >= 0 && rootCR3 == state.pointee.cr3 && (!isThreeLevel || rootPointers == pointers) {
            return address(of: rootPage)
        }
        if free.count < 16 { reset() }
        rootCR3 = state.pointee.cr3
        let key: Key
        if role.isLong {
            key = tableKey(state.pointee.cr3 & 0x000F_FFFF_FFFF_F000, level: 4)
        } else {
            key = Key(
                kind: role.isPaged ? .top : .unpaged, level: 4, part: 0, place: role.isPaged ? state.pointee.cr3 : 0)
        }
        rootPage = page(for: key)
        if let region {
            machine.setQuadword(
                region.topEntry | Mark.monitor, at: address(of: rootPage) + UInt64(placement.slot) * 8)
        }
        if isThreeLevel {
            // The four pointers are registers, loaded anew.
            let top = page(for: Key(kind: .top, level: 3, part: 0, place: state.pointee.cr3))
            for index in UInt64(0)..<4 { zap(address(of: top) + index * 8) }
            rootPointers = pointers
        }
        if !role.isLong, let region { mapWindow(of: region) }
        return address(of: rootPage)
    }

    /// Whether the guest of the tables made last uses 64-bit addresses.
    var isLong: Bool { role.isLong }

    /// The second table's first four entries as pointers of three-level paging, which have no permissions.
    var pageDirectoryPointers: [UInt64] {
        let top = rootPage < 0 ? 0 : machine.quadword(at: address(of: rootPage))
        return (UInt64(0)..<4).map { index in
            guard top & PageEntry.P != 0 else { return 0 }
            let entry = machine.quadword(at: address(of: poolIndex(top)) + index * 8)
            return entry & PageEntry.P == 0 ? 0 : entry & 0x000F_FFFF_FFFF_F000 | PageEntry.P
        }
    }

    private var isThreeLevel: Bool { role.isPaged && role.isPAE && !role.isLong }

    /// Maps the monitor's region into the low 4 GiB.
    private func mapWindow(of region: MonitorMemory) {
        let linear = placement.window
        let state = guest.state.pointee
        var table = rootPage
        for level in [4, 3] {
            let entryAddress = address(of: table) + (linear >> UInt64(12 + 9 * (level - 1)) & 0x1FF) * 8
            let entry = machine.quadword(at: entryAddress)
            if entry & PageEntry.P != 0 {
                table = poolIndex(entry)
                continue
            }
            let key: Key
            if level == 4 {
                key = Key(
                    kind: role.isPaged ? .top : .unpaged, level: 3, part: 0, place: role.isPaged ? state.cr3 : 0)
            } else if !role.isPaged {
                key = Key(kind: .unpaged, level: 2, part: UInt32(linear >> 30), place: 0)
            } else if !role.isPAE {
                key = tableKey(state.cr3 & 0xFFFF_F000, level: 2, part: UInt32(linear >> 30))
            } else {
                let pointer = rootPointers[Int(linear >> 30 & 3)]
                key =
                    pointer & PageEntry.P != 0
                    ? tableKey(pointer & 0x000F_FFFF_FFFF_F000, level: 2)
                    : Key(kind: .unpaged, level: 2, part: UInt32(linear >> 30), place: 1)
            }
            let child = page(for: key)
            link(child, at: entryAddress, bits: PageEntry.RW | PageEntry.US)
            table = child
        }
        for (index, entry) in region.directoryEntries.enumerated() {
            let position = (linear >> 21 & 0x1FF) + UInt64(index)
            machine.setQuadword(entry | Mark.monitor, at: address(of: table) + position * 8)
        }
    }

    // MARK: Filling

    /// Makes the entries for an access that the guest is allowed, and sets its accessed and dirty flags.
    ///
    /// Throws the fault that the guest is to see. False if the access must be emulated: a device answers, or the page is
    /// traced. `forCode` marks the way, so that a change of it is noticed.
    func fill(
        _ linear: UInt64, _ kind: AccessKind, by privilege: AccessPrivilege = .current, forCode: Bool = false
    ) throws(Fault) -> Bool {
        steps.removeAll(keepingCapacity: true)
        let physical = try guest.walk(linear, kind, privilege, touch: true, steps: &steps)
        guard let ram = guest.ramPage(physical) else { return false }
        let isTraced = guest.memory.isTraced(page: ram)
        if kind == .write && isTraced { return false }
        if free.count < 8 {
            reset()
            _ = root()
        }
        let mark = forCode ? Mark.code : 0
        let leafLevel = steps.last?.level ?? 0
        if leafLevel == 1, let leafTable = steps.last.flatMap({ guest.memory.ramPage(at: $0.address) }) {
            writes[leafTable] = 0
        }
        var table = rootPage
        for level in [4, 3, 2] {
            let entryAddress = address(of: table) + (linear >> UInt64(12 + 9 * (level - 1)) & 0x1FF) * 8
            let entry = machine.quadword(at: entryAddress)
            if entry & Mark.monitor != 0 { return false }
            if entry & PageEntry.P != 0 {
                if entry & mark != mark { machine.setQuadword(entry | mark, at: entryAddress) }
                table = poolIndex(entry)
                continue
            }
            let (key, bits) = child(of: level, linear, leafLevel)
            let next = page(for: key)
            link(next, at: entryAddress, bits: bits | mark)
            table = next
        }
        let entryAddress = address(of: table) + (linear >> 12 & 0x1FF) * 8
        let old = machine.quadword(at: entryAddress)
        let leaf = steps.last?.entry ?? PageEntry.RW | PageEntry.US
        let isDirty = steps.isEmpty || kind == .write || leaf & PageEntry.D != 0
        var entry = machine.address(ofPage: ram) | PageEntry.P | PageEntry.A | PageEntry.D
        entry |= leaf & PageEntry.US | mark | old & Mark.code
        if hasExecuteDisable { entry |= leaf & PageEntry.XD }
        if leaf & PageEntry.RW != 0 && isDirty && !isTraced { entry |= PageEntry.RW }
        if entry != old {
            if old & PageEntry.P != 0 && old & PageEntry.RW != 0 { removeWriter(entryAddress, old) }
            machine.setQuadword(entry, at: entryAddress)
            if entry & PageEntry.RW != 0 { addWriter(entryAddress, page: ram) }
            hiddenFills &+= 1
        }
        return true
    }

    private var hasExecuteDisable: Bool { role.isPAE && role.control & EFER.NXE != 0 }

    /// What the entry at a level leads to, and its permissions.
    private func child(of level: Int, _ linear: UInt64, _ leafLevel: Int) -> (Key, UInt64) {
        let all = PageEntry.RW | PageEntry.US
        let frames: UInt64 = role.isPAE ? 0x000F_FFFF_FFFF_F000 : 0xFFFF_F000
        guard role.isPaged else {
            let part = level == 4 ? 0 : linear >> UInt64(12 + 9 * (level - 1))
            return (Key(kind: .unpaged, level: UInt8(level - 1), part: UInt32(truncatingIfNeeded: part), place: 0), all)
        }
        if level == 4 && !role.isLong {
            return (Key(kind: .top, level: 3, part: 0, place: guest.state.pointee.cr3), all)
        }
        if !role.isPAE {
            if level == 3 {
                let part = UInt32(linear >> 30 & 3)
                return (tableKey(guest.state.pointee.cr3 & frames, level: 2, part: part), all)
            }
            let half = UInt32(linear >> 21 & 1)
            let step = steps[0]
            return leafLevel == 2
                ? (Key(kind: .fragment, level: 1, part: half, place: step.address), all)
                : (tableKey(step.entry & frames, level: 1, part: half), step.entry & all)
        }
        if level <= leafLevel {
            // Inside a large page: the permissions are those of the last entry.
            let part = level < leafLevel ? UInt32(linear >> 21 & 0x1FF) + 1 : 0
            let place = steps.last?.address ?? 0
            return (Key(kind: .fragment, level: UInt8(level - 1), part: part, place: place), all)
        }
        guard let step = steps.first(where: { $0.level == level }) else {
            return (Key(kind: .top, level: UInt8(level - 1), part: 0, place: 0), 0)
        }
        // The pointers of three-level paging have no permissions.
        var bits = isThreeLevel && level == 3 ? all : step.entry & all
        if hasExecuteDisable && !(isThreeLevel && level == 3) { bits |= step.entry & PageEntry.XD }
        return (tableKey(step.entry & frames, level: level - 1), bits)
    }

    // MARK: Pages of entries

    /// The key of a page table of the guest's at a physical address.
    private func tableKey(_ frame: UInt64, level: Int, part: UInt32 = 0) -> Key {
        guard let page = guest.memory.ramPage(at: frame) else {
            // No RAM there: nothing can be found in it, and nothing must be traced.
            return Key(kind: .top, level: UInt8(level), part: part, place: frame)
        }
        return Key(kind: .table, level: UInt8(level), part: part, place: UInt64(page))
    }

    private func address(of index: Int) -> UInt64 { machine.address(ofPage: pool.lowerBound + index) }

    private func poolIndex(_ entry: UInt64) -> Int {
        (machine.ramPage(at: entry & 0x000F_FFFF_FFFF_F000) ?? pool.lowerBound) - pool.lowerBound
    }

    private func page(for key: Key) -> Int {
        if let known = byKey[key] {
            if key.kind == .table { writes[Int(key.place)] = 0 }
            return known
        }
        // The callers have made sure that there is one.
        guard let index = free.popLast() else { return 0 }
        machine.clear(page: pool.lowerBound + index)
        pages[index] = Page(key: key)
        byKey[key] = index
        if key.kind == .table {
            let table = Int(key.place)
            byTable[table, default: []].append(index)
            writes[table] = 0
            trace(table)
        }
        return index
    }

    private func link(_ child: Int, at entryAddress: UInt64, bits: UInt64) {
        machine.setQuadword(address(of: child) | PageEntry.P | PageEntry.A | Mark.isTable | bits, at: entryAddress)
        pages[child]?.parents.append(entryAddress)
    }

    private func release(_ index: Int) {
        guard let page = pages[index] else { return }
        for entry in UInt64(0)..<512 { zap(address(of: index) + entry * 8) }
        for parent in page.parents {
            let entry = machine.quadword(at: parent)
            machine.setQuadword(0, at: parent)
            if entry & Mark.code != 0 { codeMappingChanged() }
        }
        pages[index] = nil
        byKey[page.key] = nil
        free.append(index)
        guard page.key.kind == .table else { return }
        let table = Int(page.key.place)
        byTable[table]?.removeAll { $0 == index }
        if byTable[table]?.isEmpty == true {
            byTable[table] = nil
            writes[table] = nil
            untrace(table)
        }
    }

    /// Removes an entry and what hangs on it.
    private func zap(_ entryAddress: UInt64) {
        let entry = machine.quadword(at: entryAddress)
        guard entry & PageEntry.P != 0, entry & Mark.monitor == 0 else { return }
        machine.setQuadword(0, at: entryAddress)
        if entry & Mark.code != 0 { codeMappingChanged() }
        if entry & Mark.isTable != 0 {
            let child = poolIndex(entry)
            pages[child]?.parents.removeAll { $0 == entryAddress }
            if let page = pages[child], page.key.kind == .fragment, page.parents.isEmpty { release(child) }
        } else if entry & PageEntry.RW != 0 {
            removeWriter(entryAddress, entry)
        }
    }

    /// Forgets everything.
    func reset() {
        resets &+= 1
        for index in pages.indices where pages[index] != nil {
            pages[index] = nil
            free.append(index)
        }
        byKey.removeAll(keepingCapacity: true)
        let tables = Array(byTable.keys)
        byTable.removeAll(keepingCapacity: true)
        writes.removeAll(keepingCapacity: true)
        for table in tables { untrace(table) }
        for page in firstWriter.indices where firstWriter[page] != 0 { firstWriter[page] = 0 }
        moreWriters.removeAll()
        rootPage = -1
        rootCR3 = .max
        codeMappingChanged()
    }

    // MARK: Tracing

    private func trace(_ page: Int) {
        guard page < firstWriter.count, !guest.memory.isTraced(page: page) else { return }
        guest.memory.setTraced(true, page: page)
        // Whoever could write the page past the monitor no longer can.
        for entryAddress in [firstWriter[page]] + (moreWriters[page] ?? []) where entryAddress != 0 {
            machine.setQuadword(machine.quadword(at: entryAddress) & ~PageEntry.RW, at: entryAddress)
        }
        firstWriter[page] = 0
        moreWriters[page] = nil
    }

    private func untrace(_ page: Int) {
        guard page < firstWriter.count, byTable[page] == nil, !codePages.contains(page) else { return }
        guest.memory.setTraced(false, page: page)
    }

    func traceCode(page: Int) {
        guard codePages.insert(page).inserted else { return }
        trace(page)
    }

    func untraceCode(page: Int) {
        guard codePages.remove(page) != nil else { return }
        untrace(page)
    }

    private func addWriter(_ entryAddress: UInt64, page: Int) {
        if firstWriter[page] == 0 {
            firstWriter[page] = entryAddress
        } else if firstWriter[page] != entryAddress {
            moreWriters[page, default: []].append(entryAddress)
        }
    }

    private func removeWriter(_ entryAddress: UInt64, _ entry: UInt64) {
        guard let page = machine.ramPage(at: entry & 0x000F_FFFF_FFFF_F000), page < firstWriter.count else { return }
        if firstWriter[page] == entryAddress {
            firstWriter[page] = moreWriters[page]?.popLast() ?? 0
        } else {
            moreWriters[page]?.removeAll { $0 == entryAddress }
        }
        if moreWriters[page]?.isEmpty == true { moreWriters[page] = nil }
    }

    /// A page table of the guest's has been written: drops what was made from the entries.
    func tableChanged(page: Int, offset: Int, count: Int) {
        guard let shadows = byTable[page], count > 0 else { return }
        tracedWrites &+= 1
        let seen = (writes[page] ?? 0) + 1
        writes[page] = seen
        if seen > 64 && !shadows.contains(rootPage) {
            // It is being filled, or is no page table any more.
            for shadow in shadows { release(shadow) }
            // The window below 4 GiB may have gone with it.
            if !role.isLong { rootCR3 = .max }
            topLevelChanged()
            return
        }
        let width = role.isPaged && !role.isPAE ? 4 : 8
        for guestIndex in offset / width...(offset + count - 1) / width {
            for shadow in shadows {
                guard let key = pages[shadow]?.key else { continue }
                if key.level > 2 || !role.isLong && key.level == 2 { topLevelChanged() }
                let base = address(of: shadow)
                guard width == 4 else {
                    zap(base + UInt64(guestIndex & 511) * 8)
                    continue
                }
                if key.level == 2 {
                    // A quarter of the directory; each entry is two of 2 MiB.
                    guard guestIndex >> 8 == Int(key.part) else { continue }
                    zap(base + UInt64(guestIndex & 255) * 16)
                    zap(base + UInt64(guestIndex & 255) * 16 + 8)
                } else if guestIndex >> 9 == Int(key.part) {
                    zap(base + UInt64(guestIndex & 511) * 8)
                }
            }
        }
    }

    /// Whether a page holds page tables that are in use.
    func isTable(page: Int) -> Bool { byTable[page] != nil }
}
