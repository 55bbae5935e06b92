/// Finds the symbols that a running Linux kernel carries for its own messages (CONFIG_KALLSYMS).
///
/// The tables have no header. What is sure to be there is the token table: 256 texts with an index, in which each digit
/// stands for itself; all other tables lie around it in the order of the kernel's version (Linux: scripts/kallsyms.c).
/// Each guess is checked against all that must hold, so that no other data is taken for a table.
package struct KernelSymbolFinder {
    package let memory: GuestMemoryReader
    /// 8 for a 64-bit kernel, 4 for a 32-bit one: the size and the alignment of its pointers.
    package let wordSize: Int

    /// How far from an anchor the kernel's image may reach.
    private static let reach: UInt64 = 128 << 20
    private static let chunk = 1 << 20
    private static let longestToken = 1024

    package init(_ memory: GuestMemoryReader, wordSize: Int = 8) {
        self.memory = memory
        self.wordSize = wordSize
    }

    /// The symbols of the kernel that some addresses belong to, such as its entry for SYSCALL or a handler in its IDT.
    ///
    /// Throws `SymbolError.memory` if none of them leads to a kernel with symbols.
    package func find(anchors: [UInt64], named name: String = "kallsyms") throws(SymbolError) -> SymbolFile {
        if let tables = try tables(around: anchors) { return try tables.symbols(named: name) }
        let places = anchors.map { hexText($0) }.joined(separator: ", ")
        throw .memory(
            anchors.isEmpty
                ? "no kernel is running yet that symbols could be looked for in"
                : "no kallsyms tables of a Linux kernel in memory around \(places)")
    }

    /// The tables of the kernel that one of some addresses belongs to.
    ///
    /// Throws `SymbolError.interrupted` if it is given up.
    package func tables(around anchors: [UInt64]) throws(SymbolError) -> KernelSymbolTables? {
        var searched: [Range<UInt64>] = []
        for anchor in anchors {
            for range in Self.window(anchor) where !searched.contains(where: { $0.contains(anchor) }) {
                let tables = search(range, anchor)
                guard Checkpoint.isPassed else { throw .interrupted }
                if let tables { return tables }
            }
            searched += Self.window(anchor)
        }
        return nil
    }

    /// From the anchor on, then before it: the tables are in read-only data, which follows the code.
    private static func window(_ anchor: UInt64) -> [Range<UInt64>] {
        let page = anchor & ~0xFFF
        let (end, overflow) = page.addingReportingOverflow(reach)
        return [page..<(overflow ? .max : end), (page < reach ? 0 : page - reach)..<page]
    }

    // MARK: Token table

    /// `0` to `8` with their ends, and `9`.
    private static let digits: [UInt8] = (UInt8(ascii: "0")...UInt8(ascii: "9")).flatMap { [$0, 0] }.dropLast()

    private func search(_ range: Range<UInt64>, _ anchor: UInt64) -> KernelSymbolTables? {
        var start = range.lowerBound
        // The end of the chunk before, so that no match is lost between two.
        var tail: [UInt8] = []
        while start < range.upperBound, Checkpoint.isPassed {
            let size = Int(min(UInt64(Self.chunk), range.upperBound - start))
            let before = tail
            tail = []
            for (address, bytes) in mapped(start, size) {
                let joined = address == start ? before + bytes : bytes
                for match in Self.matches(joined) {
                    let place = address &- UInt64(joined.count - bytes.count) &+ UInt64(match)
                    if let tables = tables(digitsAt: place, anchor) { return tables }
                }
                if address + UInt64(bytes.count) == start + UInt64(size) { tail = Array(joined.suffix(32)) }
            }
            start += UInt64(size)
        }
        return nil
    }

    /// The mapped parts of a range.
    private func mapped(_ start: UInt64, _ size: Int) -> [(UInt64, [UInt8])] {
        if let all = memory.bytes(at: start, count: size) { return [(start, all)] }
        var parts: [(UInt64, [UInt8])] = []
        for page in stride(from: start, to: start + UInt64(size), by: 4096) {
            guard let bytes = memory.bytes(at: page, count: min(4096, Int(start + UInt64(size) - page))) else {
                continue
            }
            if let last = parts.last, last.0 + UInt64(last.1.count) == page {
                parts[parts.count - 1].1 += bytes
            } else {
                parts.append((page, bytes))
            }
        }
        return parts
    }

    private static func matches(_ bytes: [UInt8]) -> [Int] {
        var matches: [Int] = []
        // Looked at once: this is asked for every byte of a kernel.
        let digits = digits
        bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            while index + digits.count <= bytes.count {
                if bytes[index] == 0x30 && bytes[index + 1] == 0 && bytes[index + 2] == 0x31,
                    bytes[index..<index + digits.count].elementsEqual(digits)
                {
                    matches.append(index)
                }
                index += 1
            }
        }
        return matches
    }

    /// Reads the token table around the digits, of which `0` is token 48, and what lies around it.
    private func tables(digitsAt place: UInt64, _ anchor: UInt64) -> KernelSymbolTables? {
        let before = memory.bytes(before: place, limit: 48 * Self.longestToken)
        // The table begins behind the 49th zero before the digits: 48 end its first tokens.
        var zeros = 0
        var first = 0
        for index in before.indices.reversed() where before[index] == 0 {
            zeros += 1
            guard zeros == 49 else { continue }
            first = index + 1
            break
        }
        var start = place - UInt64(before.count - first)
        start = (start &+ UInt64(wordSize) &- 1) & ~UInt64(wordSize - 1)
        while start < place, place - start >= 48 {
            if let tokens = tokens(at: start, digitsAt: place) {
                let finder = KernelTableFinder(memory: memory, wordSize: wordSize, tokens: tokens, anchor: anchor)
                if let tables = finder.find() { return tables }
            }
            start += UInt64(wordSize)
        }
        return nil
    }

    private func tokens(at start: UInt64, digitsAt place: UInt64) -> KernelTokens? {
        var bytes: [UInt8] = []
        var offsets: [Int] = [0]
        var address = start
        while offsets.count <= 256 {
            guard bytes.count < 256 * Self.longestToken,
                let page = memory.bytes(at: address, count: Int(4096 - address & 0xFFF))
            else { return nil }
            for byte in page where offsets.count <= 256 {
                bytes.append(byte)
                if byte == 0 { offsets.append(bytes.count) }
            }
            address &+= UInt64(page.count)
            if offsets.count > 48, start &+ UInt64(offsets[48]) != place { return nil }
        }
        let end = start &+ UInt64(bytes.count)
        let index = (end &+ UInt64(wordSize) &- 1) & ~UInt64(wordSize - 1)
        guard let table = memory.bytes(at: index, count: 512) else { return nil }
        for token in 0..<256 where Int(table[(token * 2)...].littleEndian(UInt16.self)) != offsets[token] { return nil }
        return KernelTokens(
            address: start, end: index &+ 512,
            texts: (0..<256).map { Array(bytes[offsets[$0]..<offsets[$0 + 1] - 1]) })
    }
}

/// The texts that the bytes of a compressed name stand for.
package struct KernelTokens {
    /// Where the table of texts begins.
    package var address: UInt64
    /// Where the index behind it ends.
    package var end: UInt64
    package var texts: [[UInt8]]
}
