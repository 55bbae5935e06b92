/// The names that addresses of a guest have, from several sources.
///
/// Each source has a slide: what is added to its addresses to get those at which it runs (KASLR, a program that was
/// loaded elsewhere). A look-up takes some microseconds, whatever the number of symbols.
public struct SymbolTable: Sendable {
    /// Which code a source's symbols belong to.
    public enum Space: String, Sendable {
        /// Programs of the guest, looked up first for code at ring 3.
        case user
        /// The guest's kernel, looked up first for code at rings 0 to 2.
        case kernel
        /// Both alike.
        case any
    }

    /// A source in its place.
    public struct Placement: Sendable {
        /// The symbols.
        public var file: SymbolFile
        /// What is added to the file's addresses, modulo 2⁶⁴.
        public var slide: UInt64
        /// Which code they belong to.
        public var space: Space
    }

    /// The sources, in the order in which they were added.
    public private(set) var placements: [Placement] = []

    /// Makes a table without symbols.
    public init() {}

    /// Makes a table of one source of labels.
    public init(labels: [(name: String, address: UInt64)], source: String = "labels", lines: LineTable? = nil) {
        var builder = SymbolFileBuilder(name: source)
        for label in labels {
            // Labels of a script are far fewer than the bound.
            try? builder.add(label.name.utf8, at: label.address, kind: .label)
        }
        guard builder.count > 0 || lines != nil else { return }
        if let file = try? Checkpoint.unconditionally({ try builder.finish(lines: lines) }) { add(file) }
    }

    /// Adds a source, or puts it in the place of one with the same name.
    ///
    /// Without a space given, it is the kernel's if its addresses are in the upper half of the 64-bit address space, a
    /// program's if they are in the lower one, and either's if they are in both.
    public mutating func add(_ file: SymbolFile, slide: UInt64 = 0, space: Space? = nil) {
        let placement = Placement(file: file, slide: slide, space: space ?? Self.space(of: file, slide))
        if let index = placements.firstIndex(where: { $0.file.name == file.name }) {
            placements[index] = placement
        } else {
            placements.append(placement)
        }
    }

    /// Removes a source; false if there is none of that name.
    @discardableResult
    public mutating func remove(source: String) -> Bool {
        guard let index = placements.firstIndex(where: { $0.file.name == source }) else { return false }
        placements.remove(at: index)
        return true
    }

    private static func space(of file: SymbolFile, _ slide: UInt64) -> Space {
        guard let extent = file.extent else { return .any }
        let isHigh = [extent.lowerBound, extent.upperBound].map { ($0 &+ slide) >> 63 == 1 }
        return isHigh[0] != isHigh[1] ? .any : isHigh[0] ? .kernel : .user
    }

    /// Whether there are no symbols.
    public var isEmpty: Bool { placements.allSatisfy { $0.file.count == 0 } }

    /// How many symbols there are.
    public var count: Int { placements.reduce(0) { $0 + $1.file.count } }

    // MARK: By address

    /// The symbol that an address belongs to; nil if none is near.
    ///
    /// Where several sources have one, those of the space that is asked for come first, then a symbol whose size covers
    /// the address, then the nearest one.
    public func position(of address: UInt64, in space: Space = .any) -> SymbolPosition? {
        var best: (placement: Placement, index: Int, rank: (Int, Int, UInt64))?
        for placement in placements {
            let inFile = address &- placement.slide
            guard let index = placement.file.index(of: inFile) else { continue }
            let fits = space == .any || placement.space == .any || placement.space == space
            let rank = (
                fits ? 0 : 1, placement.file.covers(index, inFile) ? 0 : 1, inFile &- placement.file.addresses[index]
            )
            if best.map({ rank < $0.rank }) ?? true { best = (placement, index, rank) }
        }
        guard let best else { return nil }
        return SymbolPosition(
            symbol: best.placement.file.symbol(best.index, slide: best.placement.slide), offset: best.rank.2)
    }

    /// `name`, `name+2` or `name+0x12`; nil if no symbol is near.
    public func text(of address: UInt64, in space: Space = .any) -> String? {
        position(of: address, in: space)?.description
    }

    /// The source line that an address was compiled from.
    public func location(of address: UInt64) -> SourceLocation? {
        for placement in placements {
            if let location = placement.file.lines?.location(of: address &- placement.slide) { return location }
        }
        return nil
    }

    // MARK: By name

    /// The address of the first symbol with exactly this name.
    public subscript(name: String) -> UInt64? {
        for placement in placements {
            guard let index = placement.file.indices(named: name.utf8).first else { continue }
            return placement.file.symbol(index, slide: placement.slide).address
        }
        return nil
    }

    /// All symbols with exactly this name.
    public func symbols(named name: String) -> [Symbol] {
        placements.flatMap { placement in
            placement.file.indices(named: name.utf8).map { placement.file.symbol($0, slide: placement.slide) }
        }
    }

    /// The address of `name` or `name+0x12`, or of `name+18`; the first one's if several have the name.
    ///
    /// Absolute symbols give their numbers.
    public func address(of text: String) -> UInt64? {
        if let address = self[text] { return address }
        guard let plus = text.lastIndex(of: "+") else { return nil }
        let number = text[text.index(after: plus)...]
        let offset = number.hasPrefix("0x") ? UInt64(number.dropFirst(2), radix: 16) : UInt64(number)
        guard let offset, let address = self[String(text[..<plus])] else { return nil }
        return address &+ offset
    }

    /// Different names that begin with a text, sorted, at most `limit`.
    public func names(withPrefix prefix: String, limit: Int = 100) -> [String] {
        var names = Set<String>()
        for placement in placements {
            names.formUnion(placement.file.names(withPrefix: prefix, limit: max(0, limit)))
        }
        // Swift orders strings by their scalars' values, as the files' bytes are ordered.
        return Array(names.sorted().prefix(max(0, limit)))
    }

    /// The addresses at which the code of a line begins; a file is named by its path or by the path's last parts.
    public func addresses(file: String, line: UInt32) -> [UInt64] {
        placements.flatMap { placement in
            (placement.file.lines?.addresses(file: file, line: line) ?? []).map { $0 &+ placement.slide }
        }
    }
}
