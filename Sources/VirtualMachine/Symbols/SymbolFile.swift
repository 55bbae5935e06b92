/// The symbols of one source, sorted by address and by name.
///
/// Names lie in one pool of bytes, so that some 100,000 symbols of a kernel take a few megabytes.
public struct SymbolFile: Sendable {
    /// The name of the source: a path, or what it is.
    public let name: String
    /// Lines of source text, if the file has them.
    public var lines: LineTable?
    /// Start addresses without slide: ascending up to `addressedCount`, then the absolute symbols.
    package let addresses: [UInt64]
    package let sizes: [UInt64]
    package let kinds: [Symbol.Kind]
    package let nameStarts: [UInt32]
    package let pool: [UInt8]
    /// Symbols below this index have addresses; the rest are absolute.
    package let addressedCount: Int
    /// Indices in the order of the names' bytes, then of the indices.
    package let byName: [UInt32]
    /// What the file covers, ascending and disjoint: no other address is looked up in it.
    package let regions: [ClosedRange<UInt64>]

    /// How many symbols there are.
    public var count: Int { addresses.count }

    /// The lowest and the highest address that the file covers, without slide.
    public var extent: ClosedRange<UInt64>? {
        guard let first = regions.first, let last = regions.last else { return nil }
        return first.lowerBound...last.upperBound
    }

    package func nameBytes(_ index: Int) -> ArraySlice<UInt8> {
        let end = index + 1 < nameStarts.count ? Int(nameStarts[index + 1]) : pool.count
        return pool[Int(nameStarts[index])..<end]
    }

    /// The symbol at an index, moved by a slide.
    package func symbol(_ index: Int, slide: UInt64) -> Symbol {
        Symbol(
            name: String(decoding: nameBytes(index), as: UTF8.self),
            address: kinds[index] == .absolute ? addresses[index] : addresses[index] &+ slide, size: sizes[index],
            kind: kinds[index], source: name)
    }

    // MARK: Look-up

    /// The index of the symbol that an address without slide belongs to.
    ///
    /// That is a symbol whose size covers the address, or else the nearest one before it in the same region; of
    /// several at one address the first.
    package func index(of address: UInt64) -> Int? {
        let region = partitionPoint(0, regions.count) { regions[$0].lowerBound <= address } - 1
        guard region >= 0, regions[region].contains(address) else { return nil }
        let next = partitionPoint(0, addressedCount) { addresses[$0] <= address }
        guard next > 0, addresses[next - 1] >= regions[region].lowerBound else { return nil }
        let nearest = partitionPoint(0, next) { addresses[$0] < addresses[next - 1] }
        // A label inside a function hides it only if the label itself is nearer and has no end.
        var candidate = nearest
        for _ in 0..<8 {
            let size = sizes[candidate]
            if size > 0 && address &- addresses[candidate] < size { return candidate }
            if size == 0 && candidate == nearest { return candidate }
            guard candidate > 0, addresses[candidate - 1] >= regions[region].lowerBound else { break }
            candidate -= 1
        }
        return nearest
    }

    /// Whether the symbol says that an address is within it.
    package func covers(_ index: Int, _ address: UInt64) -> Bool {
        sizes[index] > 0 && address &- addresses[index] < sizes[index]
    }

    /// The indices of the symbols with a name, in the order of their addresses.
    package func indices(named name: some Collection<UInt8>) -> [Int] {
        let first = partitionPoint(0, byName.count) {
            nameBytes(Int(byName[$0])).lexicographicallyPrecedes(name)
        }
        return byName[first...].prefix { nameBytes(Int($0)).elementsEqual(name) }.map { Int($0) }
    }

    /// The address of the first symbol with a name, without slide.
    public func address(of name: String) -> UInt64? { indices(named: name.utf8).first.map { addresses[$0] } }

    /// Different names that begin with a text, in the order of their bytes, at most `limit`.
    public func names(withPrefix prefix: String, limit: Int) -> [String] {
        let text = Array(prefix.utf8)
        var position = partitionPoint(0, byName.count) {
            nameBytes(Int(byName[$0])).lexicographicallyPrecedes(text)
        }
        var names: [String] = []
        while position < byName.count, names.count < limit {
            let bytes = nameBytes(Int(byName[position]))
            guard bytes.starts(with: text) else { break }
            names.append(String(decoding: bytes, as: UTF8.self))
            // Over the other symbols of the same name in one step.
            position = partitionPoint(position, byName.count) {
                !bytes.lexicographicallyPrecedes(nameBytes(Int(byName[$0])))
            }
        }
        return names
    }
}

/// The first index of a range at which a condition, true before it, is false.
package func partitionPoint(_ start: Int, _ end: Int, _ isBefore: (Int) -> Bool) -> Int {
    var (low, high) = (start, max(start, end))
    while low < high {
        let middle = low + (high - low) / 2
        if isBefore(middle) { low = middle + 1 } else { high = middle }
    }
    return low
}
