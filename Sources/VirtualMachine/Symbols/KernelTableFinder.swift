/// Finds the tables of kallsyms around the token table.
///
/// From low to high addresses they are (Linux: scripts/kallsyms.c, `write_src`)
/// - up to 6.3: addresses or offsets, relative base, number, names, markers, (6.2, 6.3: order by name,) tokens, index;
/// - from 6.4: number, names, markers, tokens, index, offsets, relative base, order by name.
package struct KernelTableFinder {
    package let memory: GuestMemoryReader
    package let wordSize: Int
    package let tokens: KernelTokens
    package let anchor: UInt64

    /// A symbol's compressed name takes from 2 to 514 bytes.
    private static let blockSizes: ClosedRange<UInt64> = 512...256 * 514

    package func find() -> KernelSymbolTables? {
        let before = memory.bytes(before: tokens.address, limit: 4 << 20)
        // 8 bytes up to 4.19.
        for width in wordSize == 8 ? [4, 8] : [4] {
            if let tables = tables(before, markerWidth: width) { return tables }
        }
        return nil
    }

    private func up(_ value: UInt64) -> UInt64 { (value &+ UInt64(wordSize) &- 1) & ~UInt64(wordSize - 1) }

    // MARK: Markers: where in the names each 256th begins

    private struct Markers {
        var address: UInt64
        var values: [UInt64]
    }

    /// Tries what may be markers, the nearest to the token table first.
    private func tables(_ before: [UInt8], markerWidth width: Int) -> KernelSymbolTables? {
        func value(_ index: Int) -> UInt64 {
            let bytes = before[index..<index + width]
            return width == 8 ? bytes.littleEndian(UInt64.self) : UInt64(bytes.littleEndian(UInt32.self))
        }
        // The table begins with 0 at an aligned place, as the token table does.
        var start = before.count - before.count % wordSize
        while start >= wordSize {
            start -= wordSize
            guard before[start] == 0, start + 2 * width <= before.count, value(start) == 0 else { continue }
            var values: [UInt64] = [0]
            var end = start + width
            while end + width <= before.count {
                let next = value(end)
                guard let last = values.last, next > last, Self.blockSizes.contains(next - last) else { break }
                values.append(next)
                end += width
            }
            // Between markers and tokens: padding, or three bytes for each symbol.
            let gap = before.count - end
            let fewest = 3 * ((values.count - 1) * 256 + 1)
            guard values.count > 1,
                gap < wordSize || (fewest...3 * values.count * 256 + 2 * wordSize).contains(gap)
            else { continue }
            let markers = Markers(address: tokens.address - UInt64(before.count - start), values: values)
            if let names = names(markers), let addresses = addresses(names) {
                return KernelSymbolTables(tokens: tokens, names: names.bytes, addresses: addresses)
            }
        }
        return nil
    }

    // MARK: Names: a length and so many tokens each

    private struct Names {
        /// Where the number of symbols is.
        var numberAddress: UInt64
        var count: Int
        var bytes: [UInt8]
    }

    private func names(_ markers: Markers) -> Names? {
        guard let last = markers.values.last else { return nil }
        let longest = last + Self.blockSizes.upperBound
        let before = memory.bytes(
            before: markers.address, limit: Int(min(longest + UInt64(wordSize) * 2, 32 << 20)))
        let counts = UInt64((markers.values.count - 1) * 256 + 1)...UInt64(markers.values.count * 256)
        // The start is an aligned place at least so far away, with a fitting number before it.
        var size = up(last + 2)
        while size + UInt64(wordSize) <= UInt64(before.count) {
            let start = before.count - Int(size)
            let number = before[(start - wordSize)...]
            let count = wordSize == 8 ? number.littleEndian(UInt64.self) : UInt64(number.littleEndian(UInt32.self))
            if counts.contains(count), isNames(before[start...], Int(count), markers.values) {
                return Names(
                    numberAddress: markers.address - size - UInt64(wordSize), count: Int(count),
                    bytes: Array(before[start...]))
            }
            size += UInt64(wordSize)
        }
        return nil
    }

    /// Whether so many names reach from start to end, with each 256th where its marker says.
    private func isNames(_ bytes: ArraySlice<UInt8>, _ count: Int, _ markers: [UInt64]) -> Bool {
        var position = bytes.startIndex
        for index in 0..<count {
            if index & 0xFF == 0, markers[index >> 8] != UInt64(position - bytes.startIndex) { return false }
            guard let length = KernelSymbolTables.length(bytes, &position), length > 0,
                length <= bytes.endIndex - position
            else { return false }
            position += length
        }
        return bytes.endIndex - position < wordSize
    }

    // MARK: Addresses

    private func addresses(_ names: Names) -> [KernelSymbolTables.Address]? {
        let offsetsSize = up(UInt64(names.count) * 4)
        // From 6.4 on behind the index, before that in front of the number.
        let after = up(tokens.end)
        if let found = offsets(at: after, base: after &+ offsetsSize, names.count) { return found }
        let base = names.numberAddress &- UInt64(wordSize)
        if let found = offsets(at: base &- offsetsSize, base: base, names.count) { return found }
        // Without CONFIG_KALLSYMS_BASE_RELATIVE whole addresses.
        let size = names.count * wordSize
        for start in [names.numberAddress &- UInt64(size), after] {
            guard let bytes = memory.bytes(at: start, count: size) else { continue }
            let values = stride(from: 0, to: size, by: wordSize).map { index -> KernelSymbolTables.Address in
                let value = bytes[index...]
                return .init(
                    value: wordSize == 8 ? value.littleEndian(UInt64.self) : UInt64(value.littleEndian(UInt32.self)))
            }
            if isPlausible(values) { return values }
        }
        return nil
    }

    private func offsets(at start: UInt64, base: UInt64, _ count: Int) -> [KernelSymbolTables.Address]? {
        guard let base = memory.word(wordSize, at: base), base != 0,
            let bytes = memory.bytes(at: start, count: count * 4)
        else { return nil }
        let mask: UInt64 = wordSize == 8 ? .max : 0xFFFF_FFFF
        let numbers = stride(from: 0, to: bytes.count, by: 4).map { bytes[$0...].littleEndian(UInt32.self) }
        let unsigned = numbers.map { KernelSymbolTables.Address(value: (base &+ UInt64($0)) & mask) }
        if isPlausible(unsigned) { return unsigned }
        // CONFIG_KALLSYMS_ABSOLUTE_PERCPU: a number from 0 up is absolute, -1 is the base itself, and so on.
        let signed = numbers.map { number -> KernelSymbolTables.Address in
            number >> 31 == 0
                ? .init(value: UInt64(number), isAbsolute: true)
                : .init(value: (base &+ UInt64(~number)) & mask)
        }
        return isPlausible(signed) ? signed : nil
    }

    /// Whether addresses ascend around the anchor, as the linker sorted them.
    private func isPlausible(_ values: [KernelSymbolTables.Address]) -> Bool {
        let addresses = values.lazy.filter { !$0.isAbsolute }.map(\.value)
        guard let first = addresses.first(where: { $0 >= 1 << 20 }), let last = values.last?.value,
            first <= anchor, anchor <= last
        else { return false }
        return zip(values, values.dropFirst()).allSatisfy { $0.value <= $1.value }
    }
}
