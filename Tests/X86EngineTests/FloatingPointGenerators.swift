import Glibc
import X86Engine
import _SeededNumbers

/// How many random cases each instruction gets; the environment variable raises it for a long run.
let floatingPointCases: Int = getenv("FLOATING_POINT_CASES").flatMap { Int(String(cString: $0)) } ?? 20_000

/// Operands that sit on the boundaries of the formats.
struct OperandGenerator {
    private var numbers: SeededNumbers

    init(seed: UInt64) { numbers = SeededNumbers(seed &* 0x9E37_79B9_7F4A_7C15) }

    mutating func next() -> UInt64 { numbers.next() }

    mutating func below(_ limit: UInt64) -> UInt64 { next() % limit }

    /// A bit field with long runs, single bits, neighbours of powers of two, or random.
    mutating func pattern(bits: UInt64) -> UInt64 {
        let mask: UInt64 = bits == 64 ? .max : (1 << bits) - 1
        let position = below(bits)
        let value: UInt64
        switch below(12) {
        case 0: value = 0
        case 1: value = .max
        case 2: value = 1 << position
        case 3: value = (1 << position) &- 1
        case 4: value = ~((1 << position) &- 1)
        case 5: value = (1 << position) &+ 1
        case 6: value = 1 << position | 1 << below(bits)
        case 7: value = next() << position
        case 8: value = next() >> position
        case 9: value = 1 << (bits - 1) | below(4)
        default: value = next()
        }
        return value & mask
    }

    /// A biased exponent: special, near the ends, near one, or random.
    mutating func exponent(bits: UInt64, precision: UInt64) -> UInt64 {
        let maximum: UInt64 = (1 << bits) - 1
        let bias = maximum >> 1
        let value: UInt64
        switch below(12) {
        case 0: value = 0
        case 1: value = maximum
        case 2: value = maximum - 1 - below(4)
        case 3: value = below(precision + 4)
        case 4, 5: value = bias &+ below(8) &- 4
        case 6, 7: value = bias &+ below(2 * precision + 8) &- precision &- 4
        case 8: value = bias / 2 &+ below(precision + 8)
        case 9: value = bias + bias / 2 &+ below(precision + 8)
        default: value = next()
        }
        return value & maximum
    }

    /// Raw bits of an interchange format.
    mutating func operand(fractionBits: UInt64, exponentBits: UInt64) -> UInt64 {
        let field = exponent(bits: exponentBits, precision: fractionBits + 1)
        return below(2) << (fractionBits + exponentBits) | field << fractionBits | pattern(bits: fractionBits)
    }

    mutating func binary32() -> UInt32 { UInt32(truncatingIfNeeded: operand(fractionBits: 23, exponentBits: 8)) }
    mutating func binary64() -> UInt64 { operand(fractionBits: 52, exponentBits: 11) }

    /// Two operands, often close to each other so that they cancel, compare equal or nearly so.
    mutating func binary64Pair() -> (UInt64, UInt64) {
        let a = binary64()
        return (a, related(a, fractionBits: 52) ?? binary64())
    }

    mutating func binary32Pair() -> (UInt32, UInt32) {
        let a = binary32()
        return (a, related(UInt64(a), fractionBits: 23).map { UInt32(truncatingIfNeeded: $0) } ?? binary32())
    }

    /// The same number with another sign, a close exponent or a few last bits changed; nil to take another.
    private mutating func related(_ a: UInt64, fractionBits: UInt64) -> UInt64? {
        switch below(8) {
        case 0: return a ^ below(2) << (fractionBits == 52 ? 63 : 31)
        case 1: return a ^ (below(2) << (fractionBits == 52 ? 63 : 31)) ^ below(8)
        case 2: return a &+ (below(8) &- 4) << fractionBits
        case 3: return (a &+ (below(2 * fractionBits) &- fractionBits) << fractionBits) ^ below(8)
        default: return nil
        }
    }

    /// A double-extended number, one in eight in an encoding the processor does not support.
    mutating func extended() -> Extended {
        let sign = UInt16(below(2)) << 15
        let field = UInt16(exponent(bits: 15, precision: 64))
        var significand = pattern(bits: 63)
        if field != 0 || below(8) == 0 { significand |= 1 << 63 }
        if below(16) == 0 { significand ^= 1 << 63 }
        switch below(8) {
        // Halfway cases for precision control and for stores to the narrow formats.
        case 0: significand = significand & ~0x7FF | 0x400 &+ below(3) &- 1
        case 1: significand = significand & ~0xFF_FFFF_FFFF | 0x80_0000_0000 &+ below(3) &- 1
        // Exactly a binary64 or binary32 number.
        case 2: significand &= ~0x7FF
        case 3: significand &= ~0xFF_FFFF_FFFF
        default: break
        }
        return Extended(significand: significand, signAndExponent: sign | field)
    }

    /// A double-extended number with an exponent near the edges of binary32 or binary64, or near integers.
    mutating func extendedNearNarrowRange() -> Extended {
        var value = extended()
        guard value.significand >> 63 != 0 else { return value }
        let centers: [UInt64] = [
            16383 - 1022, 16383 + 1023, 16383 - 126, 16383 + 127, 16383 + 31, 16383 + 63, 16383 + 15,
        ]
        let field: UInt64
        switch below(3) {
        case 0: return value
        case 1: field = centers[Int(below(7))] &+ below(8) &- 4
        default: field = centers[Int(below(7))] &+ below(128) &- 64
        }
        value.signAndExponent = value.signAndExponent & 0x8000 | UInt16(field)
        return value
    }

    mutating func extendedPair() -> (Extended, Extended) {
        let a = extended()
        var b = extended()
        switch below(8) {
        case 0: b = Extended(significand: a.significand, signAndExponent: a.signAndExponent ^ UInt16(below(2)) << 15)
        case 1:
            b = Extended(
                significand: a.significand ^ below(8), signAndExponent: a.signAndExponent ^ UInt16(below(2)) << 15)
        case 2: b.signAndExponent = a.signAndExponent &+ UInt16(below(8)) &- 4
        case 3: b.signAndExponent = a.signAndExponent &+ UInt16(below(140)) &- 70
        default: break
        }
        return below(2) == 0 ? (a, b) : (b, a)
    }
}
