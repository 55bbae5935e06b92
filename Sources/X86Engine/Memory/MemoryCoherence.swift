// What keeps cached blocks and translations true to memory: pages are flagged when something was derived from their
// bytes, fast writes to flagged pages are withheld, and the slow path drops what a write makes stale.

extension PhysicalMemory {
    func attach(_ processor: Processor) { processors.append(AttachedProcessor(processor)) }

    func detach(_ processor: Processor) {
        let leaving = AttachedProcessor(processor)
        processors.removeAll { $0 == leaving }
    }

    /// Flags a page whose entries translations are made from.
    func markPagingStructure(_ page: Int) {
        pageFlags[page].insert(.pagingStructure)
        pagingStructurePages.append(page)
        dropFastWrites(page)
    }

    /// Flags a page whose entries second-level translations are made from.
    func markSecondLevelStructure(_ page: Int) {
        pageFlags[page].insert(.secondLevelStructure)
        secondLevelPages.append(page)
        dropFastWrites(page)
    }

    /// Flags a page and the 64-byte lines of it that a cached block was decoded from.
    func markCode(page: Int, offset: Int, count: Int) {
        codeCoverage[page] |= Self.coverage(offset: offset, count: count)
        guard !pageFlags[page].contains(.code) else { return }
        pageFlags[page].insert(.code)
        dropFastWrites(page)
    }

    /// Drops the blocks that cover any of the bytes written.
    func invalidateCode(page: Int, offset: Int, count: Int) {
        guard codeCoverage[page] & Self.coverage(offset: offset, count: count) != 0 else { return }
        let every = everyProcessor
        for entry in every { entry.processor.codeChanged(page: page, offset: offset, count: count) }
        if every.allSatisfy({ !$0.processor.blocks.hasBlocks(onPage: page) }) {
            codeCoverage[page] = 0
            pageFlags[page].remove(.code)
        }
    }

    /// Drops the translations of every processor; the code of a running block is fetched anew too.
    func dropAllTranslations() {
        for entry in everyProcessor {
            entry.processor.tlb.flush()
            entry.processor.leaveBlockAfterThisInstruction()
        }
        forgetPagingStructures()
        counterpart?.forgetPagingStructures()
    }

    /// Drops the second-level translations of every processor, and with them all others.
    func dropAllSecondLevelTranslations() {
        for entry in processors { entry.processor.secondLevelCache.flush() }
        for page in secondLevelPages { pageFlags[page].remove(.secondLevelStructure) }
        secondLevelPages.removeAll(keepingCapacity: true)
        dropAllTranslations()
    }

    /// Opens or closes the A20 gate: closed, bit 20 of every physical address is zero.
    package func setAddressLine20(isOpen: Bool) {
        let mask = isOpen ? UInt64.max : ~(1 << 20)
        guard mask != addressLineMask else { return }
        addressLineMask = mask
        dropAllTranslations()
    }

    /// Called when one processor has dropped all its translations; marks can go when it was the only one.
    func translationsDropped(by processor: Processor) {
        if processors.count + (counterpart?.processors.count ?? 0) == 1 { forgetPagingStructures() }
    }

    /// Makes every later write mark its page dirty again.
    package func dropFastWrites() {
        for entry in everyProcessor { entry.processor.tlb.dropWrites(toHostPage: nil) }
    }

    /// Reports writes to a page to the tracer from now on, or no longer.
    package func setTraced(_ isTraced: Bool, page: Int) {
        guard page >= 0, page < pageCount, pageFlags[page].contains(.traced) != isTraced else { return }
        if isTraced {
            pageFlags[page].insert(.traced)
            dropFastWrites(page)
        } else {
            pageFlags[page].remove(.traced)
        }
    }

    /// Whether writes to a page are reported.
    package func isTraced(page: Int) -> Bool { pageFlags[page].contains(.traced) }

    private func forgetPagingStructures() {
        for page in pagingStructurePages { pageFlags[page].remove(.pagingStructure) }
        pagingStructurePages.removeAll(keepingCapacity: true)
    }

    private func dropFastWrites(_ page: Int) {
        let host = UInt64(UInt(bitPattern: pointer(toPage: page)))
        for entry in everyProcessor { entry.processor.tlb.dropWrites(toHostPage: host) }
    }

    /// The lines of 64 bytes that a range inside a page touches.
    private static func coverage(offset: Int, count: Int) -> UInt64 {
        let first = UInt64(offset >> 6)
        let last = UInt64(min(offset + count - 1, 4095) >> 6)
        return (last == 63 ? .max : (1 << (last + 1)) &- 1) & ~((1 << first) &- 1)
    }
}

/// Someone who derives something from guest memory: shadow page tables, translated code.
package protocol MemoryTracer: AnyObject {
    /// Bytes of a traced page have changed; `byWalk` if only accessed and dirty flags have.
    func memoryChanged(page: Int, offset: Int, count: Int, byWalk: Bool)
}

/// A processor that memory knows without keeping it alive; it detaches itself before it goes.
struct AttachedProcessor: Equatable {
    private let reference: UnsafeMutableRawPointer

    init(_ processor: Processor) { reference = Unmanaged.passUnretained(processor).toOpaque() }

    var processor: Processor {
        // SAFETY: a processor detaches in its `deinit`, so the reference is to a living object.
        Unmanaged<Processor>.fromOpaque(reference).takeUnretainedValue()
    }
}
