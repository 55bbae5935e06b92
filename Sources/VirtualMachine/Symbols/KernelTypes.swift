/// The type information that a Linux kernel carries in its own memory (BTF), as far as offsets of members need it.
///
/// Linux, Documentation/bpf/btf.rst, "BTF Type and String Encoding".
package struct KernelTypes: Sendable {
    private let bytes: [UInt8]
    private let strings: Int
    /// Where each type begins; type 0 is void and has no place.
    private let places: [UInt32]
    /// The structures that have names, by their numbers; there are too many to read all of the names.
    private let structures: [UInt32]

    /// What a type is.
    private enum Kind: UInt32 {
        case int = 1, pointer, array, structure, union, enumeration, forward, typedef, volatile, const, restrict
        case function, prototype, variable, section, float, declarationTag, typeTag, enumeration64
    }

    /// Reads the information; nil if it is damaged, or if nobody waits for it any more.
    package init?(_ bytes: [UInt8]) {
        func word(_ offset: Int) -> UInt32? { Self.word(bytes, offset) }
        guard bytes.count >= 24, bytes[0] == 0x9F, bytes[1] == 0xEB, bytes[2] == 1, let header = word(4),
            let typeStart = word(8), let typeSize = word(12), let stringStart = word(16), let stringSize = word(20)
        else { return nil }
        let first = Int(header) + Int(typeStart)
        let end = first + Int(typeSize)
        let strings = Int(header) + Int(stringStart)
        guard end <= bytes.count, strings + Int(stringSize) <= bytes.count else { return nil }
        var places: [UInt32] = [0]
        var structures: [UInt32] = []
        var place = first
        while place + 12 <= end {
            if places.count & 0x3FFF == 0, !Checkpoint.isPassed { return nil }
            guard let name = word(place), let info = word(place + 4), let kind = Kind(rawValue: info >> 24 & 0x1F)
            else {
                return nil
            }
            let count = Int(info & 0xFFFF)
            places.append(UInt32(place))
            let extra: Int
            switch kind {
            case .int, .variable, .declarationTag: extra = 4
            case .array: extra = 12
            case .structure, .union:
                extra = count * 12
                if kind == .structure, name != 0 { structures.append(UInt32(places.count - 1)) }
            case .enumeration, .prototype: extra = count * 8
            case .section, .enumeration64: extra = count * 12
            case .pointer, .forward, .typedef, .volatile, .const, .restrict, .function, .float, .typeTag: extra = 0
            }
            place += 12 + extra
        }
        guard place == end else { return nil }
        self.bytes = bytes
        self.strings = strings
        self.places = places
        self.structures = structures
    }

    /// The offset of a member of a structure in bytes; members of anonymous parts are the structure's own.
    package func offset(of member: String, in structure: String) -> UInt64? {
        // Of several with one name it is the first.
        structures.first { isName(word(Int(places[Int($0)])), structure) }
            .flatMap { offset(of: member, type: $0, depth: 0) }
    }

    /// Whether a name, by its place among the strings, is a text.
    private func isName(_ name: UInt32, _ text: String) -> Bool {
        var place = strings + Int(name)
        for byte in text.utf8 {
            guard place < bytes.count, bytes[place] == byte else { return false }
            place += 1
        }
        return place < bytes.count && bytes[place] == 0
    }

    private func offset(of member: String, type: UInt32, depth: Int) -> UInt64? {
        guard depth < 16, Int(type) < places.count, type > 0 else { return nil }
        let place = Int(places[Int(type)])
        let info = word(place + 4)
        guard let kind = Kind(rawValue: info >> 24 & 0x1F), kind == .structure || kind == .union else { return nil }
        for index in 0..<Int(info & 0xFFFF) {
            let entry = place + 12 + index * 12
            let name = word(entry)
            // With bit fields the upper byte is the field's size.
            let bits = info >> 31 != 0 ? word(entry + 8) & 0xFF_FFFF : word(entry + 8)
            if name == 0 {
                if let inner = offset(of: member, type: word(entry + 4), depth: depth + 1) {
                    return UInt64(bits / 8) + inner
                }
            } else if isName(name, member) {
                return UInt64(bits / 8)
            }
        }
        return nil
    }

    private func word(_ offset: Int) -> UInt32 { Self.word(bytes, offset) ?? 0 }

    /// Four bytes, little-endian; nil behind the end.
    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32? {
        guard offset >= 0, offset <= bytes.count - 4 else { return nil }
        return UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
            | UInt32(bytes[offset + 3]) << 24
    }
}
