/// An address on one of the machine's buses.
///
/// Port and memory addresses are distinct types, so that neither can be passed for the other.
package protocol BusAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The integer that holds the address.
    associatedtype RawValue: FixedWidthInteger & UnsignedInteger & Sendable
    /// The widest data the bus carries in one access.
    associatedtype Data: FixedWidthInteger & UnsignedInteger & Sendable

    /// The address as a number.
    var rawValue: RawValue { get }

    /// Makes the address from its number.
    init(_ rawValue: RawValue)
}

extension BusAddress {
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }

    package var description: String { "0x" + String(rawValue, radix: 16, uppercase: true) }
}

/// An address in the 64 KiB I/O space.
package struct PortAddress: BusAddress, ExpressibleByIntegerLiteral {
    package typealias Data = UInt32

    package let rawValue: UInt16

    package init(_ rawValue: UInt16) { self.rawValue = rawValue }

    package init(integerLiteral value: UInt16) { rawValue = value }
}

/// A guest-physical address of memory-mapped I/O.
package struct MemoryAddress: BusAddress, ExpressibleByIntegerLiteral {
    package typealias Data = UInt64

    package let rawValue: UInt64

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package init(integerLiteral value: UInt64) { rawValue = value }
}

/// The size of one bus access; the raw value is in bytes.
package enum AccessWidth: UInt8, CaseIterable, Codable, Sendable {
    case byte = 1
    case word = 2
    case dword = 4
    /// Only memory carries quadwords; a port access is never wider than a dword.
    case qword = 8

    /// The value a bus returns when nothing drives it.
    package var allOnes: UInt64 { .max >> (64 - bits) }

    /// The size in bits.
    package var bits: UInt64 { UInt64(rawValue) * 8 }

    /// The next smaller size, nil for a byte.
    package var half: AccessWidth? { AccessWidth(rawValue: rawValue / 2) }
}
