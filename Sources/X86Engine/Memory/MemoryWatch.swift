/// A range of memory whose accesses by the processor are reported, byte-exactly.
package struct MemoryWatch: Hashable, Sendable {
    /// What the addresses of a range are.
    package enum Space: Sendable { case linear, physical }

    package var space: Space
    package var range: ClosedRange<UInt64>
    package var reads: Bool
    package var writes: Bool

    package init(_ space: Space, _ range: ClosedRange<UInt64>, reads: Bool, writes: Bool) {
        self.space = space
        self.range = range
        self.reads = reads
        self.writes = writes
    }

    /// Whether an access touches any byte of the range in the way that is watched.
    package func accepts(_ access: MemoryAccess) -> Bool {
        guard access.isWrite ? writes : reads else { return false }
        switch space {
        case .linear: return overlaps(access.linear, access.width)
        case .physical:
            if overlaps(access.physical, access.firstCount) { return true }
            return access.secondPhysical.map { overlaps($0, access.width - access.firstCount) } ?? false
        }
    }

    private func overlaps(_ start: UInt64, _ count: Int) -> Bool {
        start &- range.lowerBound <= range.upperBound &- range.lowerBound
            || range.lowerBound &- start < UInt64(truncatingIfNeeded: count)
    }
}

/// One access to memory by the processor, about to happen: its translation has succeeded.
package struct MemoryAccess: Equatable, Sendable {
    package var linear: UInt64
    package var physical: UInt64
    /// Bytes from the first to the end of its page or of the access.
    package var firstCount: Int
    /// Where the rest lies, if the access crosses into another page.
    package var secondPhysical: UInt64?
    /// Bytes, 1...4096; single operands have at most 16, state areas more.
    package var width: Int
    package var isWrite: Bool
    /// What is written, if it is not more than 8 bytes.
    package var value: UInt64?
}

// Pages with a watched byte get no read or write tag in the soft TLB, so all others cost nothing. What is reported are
// the accesses that instructions make, and implicit ones to stacks, descriptor tables and task states; not instruction
// fetches, page walks with their accessed and dirty flags, nor DMA. A string instruction reports each element, an access
// across pages is one, and an instruction that faults later and is restarted reports its accesses again.

extension Processor {
    /// The memory whose accesses are reported while `watched` contains `.memory`; changes hold from the next access on.
    package var watchedMemory: [MemoryWatch] {
        get { control.pointee.watchedMemory }
        set {
            guard newValue != control.pointee.watchedMemory else { return }
            control.pointee.watchedMemory = newValue
            control.pointee.watchesLinearMemory = newValue.contains { $0.space == .linear }
            memory.watchPages(of: newValue.filter { $0.space == .physical }.map(\.range))
        }
    }

    /// Whether a watched linear range has bytes in a page.
    func isWatchedMemory(linearPage: UInt64) -> Bool {
        control.pointee.watchedMemory.contains {
            $0.space == .linear && $0.range.overlaps(linearPage...(linearPage | 0xFFF))
        }
    }

    /// Reports a read; the value that the watcher puts in its place, if any.
    @inline(__always)
    func reportRead(_ linear: UInt64, _ width: Int, _ range: TranslatedRange) throws(Fault) -> UInt64? {
        guard control.pointee.watched.contains(.memory) else { return nil }
        return try reportAccess(linear, width, range, isWrite: false, value: nil)
    }

    /// Reports a write; true if the watcher does not want it done.
    @inline(__always)
    func reportWrite(
        _ linear: UInt64, _ width: Int, _ range: TranslatedRange, _ value: UInt64?
    ) throws(Fault) -> Bool {
        guard control.pointee.watched.contains(.memory) else { return false }
        return try reportAccess(linear, width, range, isWrite: true, value: value) != nil
    }

    /// What a watcher puts in the place of an access, nil if it goes on.
    @inline(never)
    private func reportAccess(
        _ linear: UInt64, _ width: Int, _ range: TranslatedRange, isWrite: Bool, value: UInt64?
    ) throws(Fault) -> UInt64? {
        let access = MemoryAccess(
            linear: linear, physical: range.first, firstCount: range.firstCount,
            secondPhysical: range.firstCount < width ? range.second : nil, width: width, isWrite: isWrite,
            value: value.map { truncate($0, width: width * 8) })
        guard control.pointee.watchedMemory.contains(where: { $0.accepts(access) }) else { return nil }
        switch environment.intercept(.memory(access)) {
        case .proceed: return nil
        case .skip: return isWrite ? 0 : nil
        case .reply(let value): return isWrite ? nil : truncate(value, width: width * 8)
        case .inject(let fault): throw fault
        }
    }
}

extension PhysicalMemory {
    /// Withholds fast accesses to the pages of some physical ranges, and of no others.
    fileprivate func watchPages(of ranges: [ClosedRange<UInt64>]) {
        for page in watchedPages { pageFlags[page].remove(.watched) }
        watchedPages.removeAll()
        for range in ranges {
            for part in self.ranges where range.overlaps(part.lowerBound...(part.upperBound - 1)) {
                var address = max(range.lowerBound, part.lowerBound) & ~0xFFF
                let last = min(range.upperBound, part.upperBound - 1)
                while address <= last {
                    if let page = pageIndex(address), !pageFlags[page].contains(.watched) {
                        pageFlags[page].insert(.watched)
                        watchedPages.append(page)
                    }
                    address += 0x1000
                }
            }
        }
        dropAllTranslations()
    }
}
