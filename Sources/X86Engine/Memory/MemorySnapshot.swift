/// The content of one page of RAM at some moment, shared by all snapshots that have it.
///
/// Nothing changes it after it was made.
final class SavedPage: @unchecked Sendable {
    static let size = 4096
    let bytes: UnsafeRawPointer

    init(copying source: UnsafeRawPointer) {
        let copy = UnsafeMutableRawPointer.allocate(byteCount: Self.size, alignment: 64)
        // SAFETY: the caller's source is a whole page.
        copy.copyMemory(from: source, byteCount: Self.size)
        bytes = UnsafeRawPointer(copy)
    }

    deinit { bytes.deallocate() }
}

/// All of RAM at some moment.
///
/// It costs what was written between snapshots: a page that has not changed is shared with the snapshot before, and a
/// page of zeros is not stored.
package struct MemorySnapshot: Sendable {
    package let size: UInt64
    /// By page number; nil is a page of zeros.
    fileprivate let pages: [SavedPage?]
    fileprivate let addressLineMask: UInt64

    /// How many pages have a content.
    package var storedPages: Int { pages.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }

    /// How many pages have a content that another snapshot does not share.
    package func pagesNotShared(with other: MemorySnapshot?) -> Int {
        guard let other, other.pages.count == pages.count else { return storedPages }
        var count = 0
        for index in pages.indices where pages[index] != nil && pages[index] !== other.pages[index] { count += 1 }
        return count
    }

    /// The pages that have a content, with their physical addresses, for writing them out.
    package func forEachStoredPage(_ body: (_ page: Int, _ bytes: UnsafeRawBufferPointer) throws -> Void) rethrows {
        for (index, page) in pages.enumerated() {
            guard let page else { continue }
            try body(index, UnsafeRawBufferPointer(start: page.bytes, count: SavedPage.size))
        }
    }
}

extension MemorySnapshot {
    /// Whether bit 20 of physical addresses counts.
    package var isAddressLine20Open: Bool { addressLineMask == .max }

    /// A snapshot of a memory of `size` bytes from its pages with a content; nil if one lies outside, or if `goesOn`,
    /// which is asked now and then, says no.
    package init?(
        size: UInt64, isAddressLine20Open: Bool, pages stored: [(page: Int, bytes: UnsafeRawBufferPointer)],
        while goesOn: () -> Bool = { true }
    ) {
        var pages = [SavedPage?](repeating: nil, count: Int(clamping: size >> 12))
        for (index, (page, bytes)) in stored.enumerated() {
            if index & 0x3FF == 0, !goesOn() { return nil }
            guard pages.indices.contains(page), bytes.count == SavedPage.size, let base = bytes.baseAddress else {
                return nil
            }
            pages[page] = SavedPage(copying: base)
        }
        self.init(size: size, pages: pages, addressLineMask: isAddressLine20Open ? .max : ~(1 << 20))
    }
}

extension PhysicalMemory {
    /// Keeps the content of RAM.
    package func snapshot() -> MemorySnapshot {
        // Later writes must mark their pages again.
        dropFastWrites()
        if savedPages.isEmpty { savedPages = [SavedPage?](repeating: nil, count: pageCount) }
        for page in 0..<pageCount where pageFlags[page].contains(.unsaved) {
            pageFlags[page].remove(.unsaved)
            let content = UnsafeRawPointer(pointer(toPage: page))
            if isZero(content) {
                savedPages[page] = nil
            } else if let saved = savedPages[page], isEqual(saved.bytes, content) {
                continue
            } else {
                savedPages[page] = SavedPage(copying: content)
            }
        }
        return MemorySnapshot(size: size, pages: savedPages, addressLineMask: addressLineMask)
    }

    /// Brings the content of RAM back; false, with nothing changed, if the memory has another size.
    ///
    /// Nothing may be running.
    package func restore(_ snapshot: MemorySnapshot) -> Bool {
        guard snapshot.size == size, snapshot.pages.count == pageCount else { return false }
        if savedPages.isEmpty { savedPages = [SavedPage?](repeating: nil, count: pageCount) }
        var hadCode = false
        for page in 0..<pageCount {
            let target = snapshot.pages[page]
            if !pageFlags[page].contains(.unsaved) {
                if savedPages[page] === target { continue }
                // A page of another origin, a file's for instance, with the content that is here already: what was saved
                // goes on being shared.
                if let saved = savedPages[page], let target, isEqual(saved.bytes, target.bytes) { continue }
            }
            hadCode = hadCode || pageFlags[page].contains(.code)
            // SAFETY: both are whole pages.
            if let target {
                pointer(toPage: page).copyMemory(from: target.bytes, byteCount: SavedPage.size)
            } else {
                pointer(toPage: page).initializeMemory(as: UInt8.self, repeating: 0, count: SavedPage.size)
            }
            savedPages[page] = target
            pageFlags[page].insert(.unhashed)
            pageFlags[page].remove(.unsaved)
        }
        addressLineMask = snapshot.addressLineMask
        dropAllSecondLevelTranslations()
        if hadCode { for entry in everyProcessor { entry.processor.control.pointee.blocksAreStale = true } }
        return true
    }

    private func isZero(_ page: UnsafeRawPointer) -> Bool {
        // SAFETY: 512 aligned quadwords inside one page.
        let words = page.assumingMemoryBound(to: UInt64.self)
        var any: UInt64 = 0
        for index in 0..<512 {
            any |= words[index]
            if index & 63 == 63 && any != 0 { return false }
        }
        return true
    }

    private func isEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer) -> Bool {
        let (a, b) = (a.assumingMemoryBound(to: UInt64.self), b.assumingMemoryBound(to: UInt64.self))
        // SAFETY: 512 aligned quadwords inside either page.
        for index in 0..<512 where a[index] != b[index] { return false }
        return true
    }
}
