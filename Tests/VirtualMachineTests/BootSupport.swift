import VirtualMachine

/// Lays out files for loaders by the offsets of their specifications, not by the loaders' own constants.
struct FileBuilder {
    var bytes: [UInt8]

    init(size: Int) { bytes = [UInt8](repeating: 0, count: size) }

    mutating func set<Value: FixedWidthInteger>(_ offset: Int, _ value: Value) {
        for index in 0..<Value.bitWidth / 8 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> Value(index * 8))
        }
    }

    mutating func set(_ offset: Int, text: String) {
        bytes.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
    }
}

extension BootImage {
    /// The bytes that memory holds at an address after all contents were written in order.
    func memory(_ address: UInt64, _ count: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        for block in contents {
            let overlap = block.range.clamped(to: address..<address + UInt64(count))
            for position in overlap {
                let index = Int(position - block.address)
                result[Int(position - address)] =
                    index < block.bytes.count ? block.bytes[block.bytes.startIndex + index] : 0
            }
        }
        return result
    }

    func integer<Value: FixedWidthInteger & UnsignedInteger>(_ type: Value.Type, _ address: UInt64) -> Value {
        memory(address, Value.bitWidth / 8).enumerated().reduce(0) { $0 | Value($1.element) << Value($1.offset * 8) }
    }

    func u16(_ address: UInt64) -> UInt16 { integer(UInt16.self, address) }
    func u32(_ address: UInt64) -> UInt32 { integer(UInt32.self, address) }
    func u64(_ address: UInt64) -> UInt64 { integer(UInt64.self, address) }

    /// The text at an address up to its NUL.
    func text(_ address: UInt64) -> String {
        String(decoding: memory(address, 4096).prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Walks the page tables that CR3 names as SDM volume 3 chapter 4 says.
    func translate(_ linear: UInt64) -> (physical: UInt64, isUser: Bool, isWritable: Bool)? {
        let isLong = state.cr4 & 0x20 != 0
        let levels = isLong ? 4 : 2
        let bits: UInt64 = isLong ? 9 : 10
        var table = state.cr3 & ~0xFFF
        var isUser = true
        var isWritable = true
        for level in stride(from: levels - 1, through: 0, by: -1) {
            let shift = 12 + UInt64(level) * bits
            let index = linear >> shift & (1 << bits - 1)
            let entry = isLong ? u64(table + index * 8) : UInt64(u32(table + index * 4))
            guard entry & 1 != 0 else { return nil }
            isWritable = isWritable && entry & 2 != 0
            isUser = isUser && entry & 4 != 0
            let mask = UInt64(1) << shift - 1
            if level == 0 || entry & 0x80 != 0 {
                return (entry & 0x000F_FFFF_FFFF_F000 & ~mask | linear & mask, isUser, isWritable)
            }
            table = entry & 0x000F_FFFF_FFFF_F000
        }
        return nil
    }

    /// A descriptor of the GDT as a segment register would hold it after a load, by SDM volume 3 figure 3-8.
    func descriptor(_ selector: UInt16) -> InitialState.Segment? {
        let linear = state.gdtr.base + UInt64(selector & ~7)
        guard UInt64(selector | 7) <= UInt64(state.gdtr.limit) else { return nil }
        let address: UInt64
        if state.cr0 >> 31 & 1 == 1 {
            guard let place = translate(linear) else { return nil }
            address = place.physical
        } else {
            address = linear
        }
        let (low, high) = (u32(address), u32(address + 4))
        let isSystem = high >> 12 & 1 == 0
        var limit = low & 0xFFFF | high & 0xF_0000
        if high >> 23 & 1 == 1 { limit = limit << 12 | 0xFFF }
        var base = UInt64(low >> 16) | UInt64(high & 0xFF) << 16 | UInt64(high & 0xFF00_0000)
        if isSystem, state.efer & 0x400 != 0 { base |= UInt64(u32(address + 8)) << 32 }
        return InitialState.Segment(selector: selector, base: base, limit: limit, attributes: high >> 8 & 0xF0FF)
    }
}

func catchBootError(_ body: () throws -> Void) -> BootError? {
    do {
        try body()
        return nil
    } catch {
        return error as? BootError
    }
}
