/// What was found of a kernel's own symbols: compressed names and their addresses.
package struct KernelSymbolTables {
    package struct Address: Equatable {
        package var value: UInt64
        /// A number such as an offset into the per-CPU area.
        package var isAbsolute = false
    }

    package var tokens: KernelTokens
    /// For each symbol the number of its tokens, then these; the first character is the letter of `nm`.
    package var names: [UInt8]
    package var addresses: [Address]

    /// The number of tokens of a name: one byte, or two if bit 7 is set (Linux 6.1: ULEB128).
    package static func length(_ bytes: ArraySlice<UInt8>, _ position: inout Int) -> Int? {
        guard position < bytes.endIndex else { return nil }
        let first = Int(bytes[position])
        position += 1
        guard first & 0x80 != 0 else { return first }
        guard position < bytes.endIndex else { return nil }
        defer { position += 1 }
        return first & 0x7F | Int(bytes[position]) << 7
    }

    /// Expands the names.
    package func symbols(named name: String, lines: LineTable? = nil) throws(SymbolError) -> SymbolFile {
        var builder = SymbolFileBuilder(name: name)
        let bytes = names[...]
        var position = bytes.startIndex
        var text: [UInt8] = []
        for address in addresses {
            guard let length = Self.length(bytes, &position), length <= bytes.endIndex - position else { break }
            text.removeAll(keepingCapacity: true)
            for token in bytes[position..<position + length] {
                text += tokens.texts[Int(token)]
                if text.count > SymbolFileBuilder.longestName { break }
            }
            position += length
            guard let letter = text.first else { continue }
            let kind: Symbol.Kind = address.isAbsolute ? .absolute : SymbolFile.kind(letter) ?? .data
            try builder.add(text.dropFirst(), at: address.value, kind: kind)
        }
        return try builder.finish(lines: lines)
    }
}
