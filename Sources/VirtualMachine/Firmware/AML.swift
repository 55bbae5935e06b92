/// Writes ACPI Machine Language (ACPI 6.4 chapter 20): each function gives the bytes of one term.
package enum AML {
    // MARK: Terms

    /// The shortest encoding of an integer (section 20.2.3).
    package static func integer(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        switch value {
        case 0: bytes = [0x00]
        case 1: bytes = [0x01]
        case 2...0xFF: bytes = [0x0A, UInt8(truncatingIfNeeded: value)]
        case 0x100...0xFFFF:
            bytes = [0x0B]
            bytes.append(littleEndian: UInt16(truncatingIfNeeded: value))
        case 0x1_0000...0xFFFF_FFFF:
            bytes = [0x0C]
            bytes.append(littleEndian: UInt32(truncatingIfNeeded: value))
        default:
            bytes = [0x0E]
            bytes.append(littleEndian: value)
        }
        return bytes
    }

    /// A string constant.
    package static func string(_ text: String) -> [UInt8] { [0x0D] + Array(text.utf8) + [0] }

    /// `Name (name, value)`.
    package static func name(_ name: String, _ value: [UInt8]) -> [UInt8] { [0x08] + nameString(name) + value }

    /// `Scope (name) { … }`.
    package static func scope(_ name: String, _ terms: [[UInt8]]) -> [UInt8] {
        [0x10] + sized(nameString(name) + terms.joined())
    }

    /// `Device (name) { … }`.
    package static func device(_ name: String, _ terms: [[UInt8]]) -> [UInt8] {
        [0x5B, 0x82] + sized(nameString(name) + terms.joined())
    }

    /// `Method (name, arguments) { … }`, not serialized.
    package static func method(_ name: String, arguments: UInt8 = 0, _ terms: [[UInt8]]) -> [UInt8] {
        [0x14] + sized(nameString(name) + [arguments & 7] + terms.joined())
    }

    /// `Package () { … }` of at most 255 elements.
    package static func package(_ elements: [[UInt8]]) -> [UInt8] {
        [0x12] + sized([UInt8(truncatingIfNeeded: elements.count)] + elements.joined())
    }

    /// `Buffer () { … }`.
    package static func buffer(_ bytes: [UInt8]) -> [UInt8] {
        [0x11] + sized(integer(UInt64(bytes.count)) + bytes)
    }

    /// `If (predicate) { … }`.
    package static func ifTrue(_ predicate: [UInt8], _ terms: [[UInt8]]) -> [UInt8] {
        [0xA0] + sized(predicate + terms.joined())
    }

    /// `Return (value)`.
    package static func returning(_ value: [UInt8]) -> [UInt8] { [0xA4] + value }

    /// `Store (value, name)`.
    package static func store(_ value: [UInt8], in name: String) -> [UInt8] { [0x70] + value + nameString(name) }

    /// The first argument of a method.
    package static let argument0: [UInt8] = [0x68]

    /// A reference to a name: an optional `\`, then one or two segments of up to four characters (section 20.2.2).
    package static func nameString(_ name: String) -> [UInt8] {
        let isAbsolute = name.hasPrefix("\\")
        let segments = name.dropFirst(isAbsolute ? 1 : 0).split(separator: ".")
        let encoded = segments.flatMap { segment in
            let characters = Array(segment.utf8.prefix(4))
            return characters + [UInt8](repeating: UInt8(ascii: "_"), count: 4 - characters.count)
        }
        return (isAbsolute ? [UInt8(ascii: "\\")] : []) + (segments.count == 2 ? [0x2E] : []) + encoded
    }

    /// A hardware ID such as PNP0A03 as the integer `EisaId` makes: three letters of five bits, four hex digits.
    package static func eisaID(_ text: String) -> [UInt8] {
        var value: UInt32 = 0
        for (index, character) in text.prefix(7).enumerated() {
            if index < 3 {
                value = value << 5 | UInt32((character.asciiValue ?? 0x40) & 0x1F)
            } else {
                value = value << 4 | UInt32(character.hexDigitValue ?? 0)
            }
        }
        return integer(UInt64(value.byteSwapped))
    }

    /// Prefixes a package length, which counts its own bytes (section 20.2.4).
    private static func sized(_ body: [UInt8]) -> [UInt8] {
        if body.count + 1 < 0x40 { return [UInt8(body.count + 1)] + body }
        var extra = 1
        while extra < 3, body.count + 1 + extra >= 1 << (4 + 8 * extra) { extra += 1 }
        let length = body.count + 1 + extra
        var bytes = [UInt8(truncatingIfNeeded: extra << 6 | length & 0xF)]
        for index in 0..<extra { bytes.append(UInt8(truncatingIfNeeded: length >> (4 + 8 * index))) }
        return bytes + body
    }

    // MARK: Resources (ACPI 6.4 section 6.4)

    /// `ResourceTemplate () { … }` as a buffer.
    package static func resources(_ descriptors: [[UInt8]]) -> [UInt8] {
        // The end tag's checksum may be zero: "valid".
        buffer(descriptors.flatMap { $0 } + [0x79, 0])
    }

    /// Ports at a fixed place, 16-bit decoding.
    package static func ports(_ base: UInt16, count: UInt8) -> [UInt8] {
        var bytes: [UInt8] = [0x47, 0x01]
        bytes.append(littleEndian: base)
        bytes.append(littleEndian: base)
        return bytes + [1, count]
    }

    /// An edge-triggered interrupt of the 8259A pair, 0...15.
    package static func interrupt(_ number: UInt8) -> [UInt8] {
        var bytes: [UInt8] = [0x22]
        bytes.append(littleEndian: UInt16(1) << UInt16(number & 15))
        return bytes
    }

    /// Memory-mapped registers at a fixed 32-bit address.
    package static func memory(_ base: UInt32, size: UInt32) -> [UInt8] {
        var bytes: [UInt8] = [0x86, 9, 0, 1]
        bytes.append(littleEndian: base)
        bytes.append(littleEndian: size)
        return bytes
    }

    /// The kinds of address space that a bridge passes on (section 6.4.3.5), with their type-specific flags.
    package enum AddressSpace: Sendable {
        case busNumber, ports, memory

        fileprivate var codes: [UInt8] {
            // Minimum and maximum are fixed (0x0C); ports: the entire range; memory: writable, not cached.
            switch self {
            case .busNumber: [2, 0x0C, 0]
            case .ports: [1, 0x0C, 3]
            case .memory: [0, 0x0C, 1]
            }
        }
    }

    /// A range that a bridge passes on: bus numbers and ports as words, memory as doublewords.
    package static func produces(_ space: AddressSpace, _ range: ClosedRange<UInt32>) -> [UInt8] {
        let fields = [0, range.lowerBound, range.upperBound, 0, range.upperBound - range.lowerBound + 1]
        var body = space.codes
        for field in fields {
            switch space {
            case .busNumber, .ports: body.append(littleEndian: UInt16(truncatingIfNeeded: field))
            case .memory: body.append(littleEndian: field)
            }
        }
        var bytes: [UInt8] = []
        switch space {
        case .busNumber, .ports: bytes = [0x88]
        case .memory: bytes = [0x87]
        }
        bytes.append(littleEndian: UInt16(truncatingIfNeeded: body.count))
        return bytes + body
    }
}
