/// The soft TLB: one table for each `TLBContext`, with a list of filled lines so that a flush costs what was used.
///
/// It is kept coherent with guest page tables (see `PageWalk.swift`), which the architecture allows: what the guest
/// sees does not depend on its size.
final class SoftTLB {
    let mask: UInt64
    private let tables: UnsafeMutablePointer<TLBEntry>
    private let entries: Int
    private let filled: UnsafeMutablePointer<UInt32>
    private let counts: UnsafeMutablePointer<Counts>

    private struct Counts {
        var filled = 0
        /// The linear range that large pages in the TLB cover; INVLPG inside it flushes everything.
        var largeStart = UInt64.max
        var largeEnd = UInt64.min
    }

    init(entries requested: Int) {
        var rounded = 16
        while rounded < requested && rounded < 65536 { rounded *= 2 }
        entries = rounded
        mask = UInt64(rounded - 1)
        tables = .allocate(capacity: rounded * TLBContext.allCases.count)
        tables.initialize(repeating: .empty, count: rounded * TLBContext.allCases.count)
        filled = .allocate(capacity: rounded * TLBContext.allCases.count)
        filled.initialize(repeating: 0, count: rounded * TLBContext.allCases.count)
        counts = .allocate(capacity: 1)
        counts.initialize(to: Counts())
    }

    deinit {
        tables.deallocate()
        filled.deallocate()
        counts.deallocate()
    }

    /// The first line of a context's table.
    func table(_ context: TLBContext) -> UnsafeMutablePointer<TLBEntry> { tables + context.rawValue * entries }

    /// Enters a translation into a context's table.
    func fill(_ context: TLBContext, linear: UInt64, entry: TLBEntry, large: ClosedRange<UInt64>?) {
        guard context != .unfilled, context != .guestUnfilled else { return }
        let slot = context.rawValue * entries + Int(truncatingIfNeeded: linear >> 12 & mask)
        let old = tables[slot]
        if old.readTag == TLBEntry.invalid && old.writeTag == TLBEntry.invalid && old.executeTag == TLBEntry.invalid {
            if counts.pointee.filled == entries * TLBContext.allCases.count { flush() }
            filled[counts.pointee.filled] = UInt32(truncatingIfNeeded: slot)
            counts.pointee.filled += 1
        }
        tables[slot] = entry
        if let large {
            counts.pointee.largeStart = min(counts.pointee.largeStart, large.lowerBound)
            counts.pointee.largeEnd = max(counts.pointee.largeEnd, large.upperBound)
        }
    }

    /// Drops every translation.
    func flush() {
        for position in 0..<counts.pointee.filled { tables[Int(filled[position])] = .empty }
        counts.pointee = Counts()
    }

    /// Drops the translation of one linear page in every context; everything if a large page may be meant.
    func flush(linear: UInt64) {
        if linear >= counts.pointee.largeStart && linear <= counts.pointee.largeEnd { return flush() }
        for context in TLBContext.allCases {
            tables[context.rawValue * entries + Int(truncatingIfNeeded: linear >> 12 & mask)] = .empty
        }
    }

    /// Drops the fast write path to one host page, or to all pages.
    func dropWrites(toHostPage host: UInt64?) {
        for position in 0..<counts.pointee.filled {
            let slot = Int(filled[position])
            let tag = tables[slot].writeTag
            guard tag != TLBEntry.invalid else { continue }
            if host == nil || tag &+ tables[slot].addend == host { tables[slot].writeTag = TLBEntry.invalid }
        }
    }
}
