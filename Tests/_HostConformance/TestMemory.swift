import _SeededNumbers

/// The memory that cases see, at the same addresses on the host and in the engine.
package enum TestMemory {
    package struct Region {
        package var address: UInt64
        package var size: UInt64
        package var isWritable: Bool
        package var isExecutable: Bool
    }

    /// Filled with HLT; cases start in its middle.
    package static let code = Region(address: 0x3000_0000, size: 0x2000, isWritable: false, isExecutable: true)
    /// Reachable by 32-bit addresses and relative to RIP.
    package static let low = Region(address: 0x2000_0000, size: 0x3000, isWritable: true, isExecutable: false)
    /// Directly after `low`; what follows is not mapped.
    package static let readOnly = Region(address: 0x2000_3000, size: 0x1000, isWritable: false, isExecutable: false)
    package static let high = Region(
        address: 0x1357_2468_0000, size: 0x2000, isWritable: true, isExecutable: false)
    /// The first is the code's.
    package static let regions = [code, low, readOnly, high]

    /// The base of GS; FS belongs to the host program's run-time library.
    package static let gsBase: UInt64 = 0x0123_4560

    /// What a region holds when a case begins.
    package static func image(_ region: Region) -> [UInt8] {
        if region.isExecutable { return [UInt8](repeating: 0xF4, count: Int(region.size)) }
        var random = RandomSource(seed: region.address)
        return (0..<Int(region.size)).map { _ in
            random.chance(4) ? [0, 0xFF, 0x7F, 0x80][random.below(4)] : UInt8(truncatingIfNeeded: random.next())
        }
    }
}

/// Operands for instructions: the same on every machine.
package struct RandomSource {
    private var numbers: SeededNumbers

    package init(seed: UInt64) { numbers = SeededNumbers(seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678) }

    package mutating func next() -> UInt64 { numbers.next() }

    /// A number below `limit`.
    package mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    /// True once in `denominator`.
    package mutating func chance(_ denominator: Int) -> Bool { below(denominator) == 0 }

    package mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// An integer that is likely to sit on a boundary of some width.
    package mutating func integer() -> UInt64 {
        let width = pick([8, 16, 32, 64])
        let value: UInt64
        switch below(8) {
        case 0: value = [0, 1, 2, .max][below(4)]
        case 1: value = 1 << UInt64(width - 1)
        case 2: value = (1 << UInt64(width - 1)) &- 1
        case 3: value = 1 << UInt64(below(64))
        case 4: value = UInt64(below(256))
        case 5: value = 0 &- UInt64(below(256))
        default: value = next() >> UInt64(below(4) * 16)
        }
        // The bits above the width are noise that the instruction must not see, or a sign extension.
        let above = UInt64.max << UInt64(width)
        return chance(3) ? value & ~above | next() & above : value
    }
}
