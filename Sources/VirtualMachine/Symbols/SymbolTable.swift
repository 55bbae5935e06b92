/// Names of addresses, found by either in logarithmic time.
public struct SymbolTable: Sendable {
    /// One name.
    public struct Entry: Equatable, Sendable {
        /// The linear address.
        public var address: UInt64
        /// How many bytes belong to it; 0 if nobody knows.
        public var size: UInt64
        /// The name.
        public var name: String

        /// Makes an entry.
        public init(_ name: String, at address: UInt64, size: UInt64 = 0) {
            (self.address, self.size, self.name) = (address, size, name)
        }
    }

    /// The entries by address.
    public private(set) var entries: [Entry] = []
    private var byName: [String: Int] = [:]

    /// How far from a symbol of unknown size an address may be to be named after it.
    private static let reach: UInt64 = 0x1000
    /// How far apart two symbols may be for what lies between to belong to the first.
    private static let gap: UInt64 = 0x10_0000

    /// An empty table.
    public init() {}

    /// A table of entries in any order; of two with one name the first counts.
    public init(_ entries: [Entry]) {
        self.entries = entries.enumerated().sorted {
            ($0.element.address, $0.offset) < ($1.element.address, $1.offset)
        }.map(\.element)
        for (index, entry) in self.entries.enumerated().reversed() { byName[entry.name] = index }
    }

    /// Whether there are no names.
    public var isEmpty: Bool { entries.isEmpty }

    /// The address of a name.
    public subscript(name: String) -> UInt64? { byName[name].map { entries[$0].address } }

    /// The entry of a name.
    public func entry(named name: String) -> Entry? { byName[name].map { entries[$0] } }

    /// The last symbol at or below an address, and how far above it the address is; nil if none is near.
    public func nearest(_ address: UInt64) -> (name: String, offset: UInt64)? {
        guard let entry = entry(at: address) else { return nil }
        return (entry.name, address &- entry.address)
    }

    /// The entry that an address belongs to.
    public func entry(at address: UInt64) -> Entry? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        // Of several names of an address the first is meant.
        var index = low - 1
        while index > 0, entries[index - 1].address == entries[index].address { index -= 1 }
        let entry = entries[index]
        let offset = address &- entry.address
        if entry.size > 0 { return offset < entry.size ? entry : nil }
        let reach = low < entries.count && entries[low].address &- entry.address < Self.gap ? Self.gap : Self.reach
        return offset < reach ? entry : nil
    }

    /// The table with the entries of another one added; names that are there already keep their address.
    public func merging(_ other: SymbolTable) -> SymbolTable {
        other.isEmpty ? self : SymbolTable(entries + other.entries)
    }

    /// The names that begin with a text, at most `limit`, in order.
    public func names(withPrefix prefix: String, limit: Int = 200) -> [String] {
        var found: [String] = []
        for entry in entries where entry.name.hasPrefix(prefix) {
            found.append(entry.name)
            if found.count == limit { break }
        }
        return found.sorted()
    }
}
