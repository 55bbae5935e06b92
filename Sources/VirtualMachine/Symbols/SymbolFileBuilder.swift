/// Collects the symbols of one source.
///
/// What comes from files and guests is bounded: names are cut at 4,096 bytes, and more than 4 Mi symbols or 256 MiB of
/// names are an error.
package struct SymbolFileBuilder {
    package static let longestName = 4096
    package static let mostSymbols = 1 << 22
    package static let mostNameBytes = 1 << 28
    /// Without sections, what lies between two symbols belongs to the first if they are so near.
    package static let gap: UInt64 = 1 << 20
    /// How far a symbol without a size reaches at least when no other is near.
    package static let reach: UInt64 = 1 << 12

    private struct Entry {
        var address: UInt64
        var size: UInt64
        var nameStart: UInt32
        var nameLength: UInt32
        var kind: Symbol.Kind
        var rank: UInt8
    }

    package let name: String
    private var entries: [Entry] = []
    private var pool: [UInt8] = []
    private var sections: [ClosedRange<UInt64>] = []

    package init(name: String) { self.name = name }

    package var count: Int { entries.count }

    /// Adds a symbol; of several at one address those of the lowest rank, then those added first, are preferred.
    package mutating func add(
        _ symbol: some Sequence<UInt8>, at address: UInt64, size: UInt64 = 0, kind: Symbol.Kind, rank: UInt8 = 0
    ) throws(SymbolError) {
        let start = pool.count
        // Terminals act on control characters, and a guest chooses its names.
        pool += symbol.lazy.prefix(Self.longestName).map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: "?") : $0 }
        guard pool.count > start else { return }
        if entries.count & 0x3FF == 0, !Checkpoint.isPassed { throw .interrupted }
        guard entries.count < Self.mostSymbols, pool.count <= Self.mostNameBytes else {
            throw .file("\(name): more than \(Self.mostSymbols) symbols or \(Self.mostNameBytes) bytes of names")
        }
        entries.append(
            Entry(
                address: address, size: size, nameStart: UInt32(start), nameLength: UInt32(pool.count - start),
                kind: kind, rank: rank))
    }

    /// Says that symbols reach through a range of addresses; empty and wrapping ranges are left out.
    package mutating func addSection(at address: UInt64, size: UInt64) {
        let (end, overflow) = address.addingReportingOverflow(size &- 1)
        if size > 0 && !overflow { sections.append(address...end) }
    }

    /// Sorts what was added.
    ///
    /// Without sections, a symbol reaches up to the next one if that is within 1 MiB, else to its end or 4 KiB. Throws if
    /// nobody waits for that any more.
    package func finish(lines: LineTable? = nil) throws(SymbolError) -> SymbolFile {
        do throws(Interrupted) { return try sorted(lines) } catch { throw .interrupted }
    }

    private func sorted(_ lines: LineTable?) throws(Interrupted) -> SymbolFile {
        var entries = entries
        if let image = kernelImage {
            // What lies below a kernel's image are offsets into the per-CPU area (Linux: scripts/kallsyms.c).
            for index in entries.indices where entries[index].address < image.lowerBound {
                if entries[index].address < 1 << 30 { entries[index].kind = .absolute }
            }
        }
        // The sort is stable in effect: the position decides last.
        let order = try Checkpoint.sorted(entries.indices) { first, second in
            let (a, b) = (entries[first], entries[second])
            if (a.kind == .absolute) != (b.kind == .absolute) { return b.kind == .absolute }
            if a.address != b.address { return a.address < b.address }
            return a.rank != b.rank ? a.rank < b.rank : first < second
        }
        let sorted = order.map { entries[$0] }
        var starts: [UInt32] = []
        var names: [UInt8] = []
        starts.reserveCapacity(sorted.count)
        names.reserveCapacity(pool.count)
        for entry in sorted {
            starts.append(UInt32(names.count))
            names += pool[Int(entry.nameStart)..<Int(entry.nameStart + entry.nameLength)]
        }
        let addressed = partitionPoint(0, sorted.count) { sorted[$0].kind != .absolute }
        return SymbolFile(
            name: name, lines: lines, addresses: sorted.map(\.address), sizes: sorted.map(\.size),
            kinds: sorted.map(\.kind), nameStarts: starts, pool: names, addressedCount: addressed,
            byName: try Self.orderByName(starts, names), regions: regions(sorted[..<addressed]))
    }

    /// Addresses from `_text` to `_end` of a Linux kernel.
    private var kernelImage: Range<UInt64>? {
        var (start, end): (UInt64?, UInt64?)
        for entry in entries where entry.nameLength == 4 || entry.nameLength == 5 {
            let name = pool[Int(entry.nameStart)..<Int(entry.nameStart + entry.nameLength)]
            if name.elementsEqual("_text".utf8) { start = entry.address }
            if name.elementsEqual("_end".utf8) { end = entry.address }
        }
        // A user program may have `_end` too, but no kernel starts in the lower 2 GiB.
        guard let start, let end, start < end, start >= 1 << 31 else { return nil }
        return start..<end
    }

    private func regions(_ sorted: ArraySlice<Entry>) -> [ClosedRange<UInt64>] {
        var ranges = sections
        if sections.isEmpty {
            for (index, entry) in zip(sorted.indices, sorted) {
                var length = max(entry.size, Self.reach)
                if index + 1 < sorted.endIndex {
                    let distance = sorted[index + 1].address - entry.address
                    if distance <= Self.gap { length = max(distance, 1) }
                }
                let (end, overflow) = entry.address.addingReportingOverflow(length - 1)
                ranges.append(entry.address...(overflow ? .max : end))
            }
            if let image = kernelImage { ranges.append(image.lowerBound...image.upperBound - 1) }
        }
        ranges.sort { $0.lowerBound < $1.lowerBound }
        var merged: [ClosedRange<UInt64>] = []
        for range in ranges {
            if let last = merged.last, range.lowerBound <= last.upperBound || range.lowerBound &- 1 == last.upperBound {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    /// Indices by name; the first eight bytes as a number decide most comparisons.
    private static func orderByName(_ starts: [UInt32], _ pool: [UInt8]) throws(Interrupted) -> [UInt32] {
        func bytes(_ index: Int) -> ArraySlice<UInt8> {
            pool[Int(starts[index])..<(index + 1 < starts.count ? Int(starts[index + 1]) : pool.count)]
        }
        let keyed = starts.indices.map { index -> (key: UInt64, index: UInt32) in
            var key: UInt64 = 0
            var left = 8
            for byte in bytes(index).prefix(8) {
                key = key << 8 | UInt64(byte)
                left -= 1
            }
            return (left == 8 ? 0 : key << UInt64(left * 8), UInt32(index))
        }
        return try Checkpoint.sorted(keyed) { first, second in
            if first.key != second.key { return first.key < second.key }
            let (a, b) = (bytes(Int(first.index)), bytes(Int(second.index)))
            if a.lexicographicallyPrecedes(b) { return true }
            return a.elementsEqual(b) && first.index < second.index
        }.map(\.index)
    }
}
