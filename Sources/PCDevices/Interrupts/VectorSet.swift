/// A set of interrupt vectors: one of a local APIC's 256-bit registers.
package struct VectorSet: Hashable, Codable, Sendable {
    private var word0: UInt64 = 0
    private var word1: UInt64 = 0
    private var word2: UInt64 = 0
    private var word3: UInt64 = 0

    /// Makes an empty set.
    package init() {}

    /// The highest vector of the set.
    package var highest: UInt8? {
        if word3 != 0 { return 255 - UInt8(word3.leadingZeroBitCount) }
        if word2 != 0 { return 191 - UInt8(word2.leadingZeroBitCount) }
        if word1 != 0 { return 127 - UInt8(word1.leadingZeroBitCount) }
        if word0 != 0 { return 63 - UInt8(word0.leadingZeroBitCount) }
        return nil
    }

    /// Whether a vector is in the set.
    package subscript(vector: UInt8) -> Bool {
        get { self[word: vector >> 6] & Self.bit(vector) != 0 }
        set {
            if newValue {
                self[word: vector >> 6] |= Self.bit(vector)
            } else {
                self[word: vector >> 6] &= ~Self.bit(vector)
            }
        }
    }

    /// One of the eight 32-bit registers that show the set.
    package func register(_ index: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: self[word: UInt8(truncatingIfNeeded: index >> 1)] >> (index & 1 == 1 ? 32 : 0))
    }

    private static func bit(_ vector: UInt8) -> UInt64 { 1 << UInt64(vector & 63) }

    private subscript(word index: UInt8) -> UInt64 {
        get {
            switch index & 3 {
            case 0: word0
            case 1: word1
            case 2: word2
            default: word3
            }
        }
        set {
            switch index & 3 {
            case 0: word0 = newValue
            case 1: word1 = newValue
            case 2: word2 = newValue
            default: word3 = newValue
            }
        }
    }
}
