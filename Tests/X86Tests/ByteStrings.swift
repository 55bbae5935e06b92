import X86
import _SeededNumbers

/// Byte strings that are likely to be instructions, made without looking at the instruction table.
struct ByteStrings {
    var generator: SeededNumbers
    private static let legacyPrefixes: [UInt8] = [
        0x66, 0x66, 0x66, 0x67, 0x67, 0xF0, 0xF2, 0xF2, 0xF3, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65,
    ]

    init(seed: UInt64) { generator = SeededNumbers(seed) }

    /// Fifteen bytes: one in eight strings is noise, the others are prefixes, an opcode of some map, and noise.
    mutating func next(mode: CodeMode) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        let choice = generator.next()
        if choice & 7 != 0 {
            let prefixCount = [0, 0, 0, 1, 1, 1, 2, 3][Int(choice >> 3 & 7)]
            for _ in 0..<prefixCount {
                bytes.append(Self.legacyPrefixes[Int(generator.next() % UInt64(Self.legacyPrefixes.count))])
            }
            if mode == .bits64 && choice >> 6 & 3 == 0 { bytes.append(0x40 | UInt8(choice >> 8 & 15)) }
            switch choice >> 12 & 15 {
            case 0..<5: break
            case 5..<11: bytes.append(0x0F)
            case 11, 12: bytes += [0x0F, 0x38]
            case 13: bytes += [0x0F, 0x3A]
            default: bytes += vex(choice >> 16)
            }
        }
        return filled(bytes)
    }

    /// The bytes, made fifteen with noise.
    mutating func filled(_ start: [UInt8]) -> [UInt8] {
        var bytes = start
        while bytes.count < 15 {
            var word = generator.next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        return Array(bytes[..<15])
    }

    /// The legacy opcode maps.
    static let legacyEscapes: [[UInt8]] = [[], [0x0F], [0x0F, 0x38], [0x0F, 0x3A]]

    /// VEX with each map that has general-purpose instructions, each mandatory prefix, W, L, and both without and with
    /// a register in vvvv and high bits of registers.
    static func vexEscapes(mode: CodeMode) -> [[UInt8]] {
        (0..<128).map { number in
            func bit(_ position: Int, _ value: UInt8) -> UInt8 { number >> position & 1 != 0 ? value : 0 }
            let high: UInt8 = mode == .bits64 ? 0x20 | bit(0, 0xC0) : 0xC0 | bit(0, 0x20)
            let map = 2 | bit(1, 1)
            return [0xC4, high | map, 0x28 | bit(2, 0x50) | bit(3, 0x80) | bit(4, 4) | UInt8(number >> 5)]
        }
    }

    /// None, one and two legacy prefixes in every order, and in 64-bit mode these with REX prefixes.
    static func prefixCombinations(mode: CodeMode) -> [[UInt8]] {
        let single: [UInt8] = [0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65]
        let legacy = [[]] + single.map { [$0] } + single.flatMap { first in single.map { [first, $0] } }
        guard mode == .bits64 else { return legacy }
        let rex: [[UInt8]] = [[0x40], [0x41], [0x42], [0x44], [0x48], [0x4F]]
        return legacy + rex.flatMap { rex in ([[]] + single.map { [$0] }).map { $0 + rex } }
    }

    /// A VEX prefix, mostly of the maps and opcodes that general-purpose instructions have.
    private func vex(_ choice: UInt64) -> [UInt8] {
        let map: UInt8 = choice & 3 == 0 ? 3 : 2
        let last = UInt8(choice >> 5 & 0xFF)
        let first = [0xC4, UInt8(choice >> 2 & 7) << 5 | map]
        guard choice >> 13 & 3 != 0 else { return first + [last] }
        return first + [last & ~4, map == 3 ? 0xF0 : 0xF0 | UInt8(choice >> 15 & 7)]
    }
}
