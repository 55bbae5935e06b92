import X86

extension CaseGenerator {
    /// Whether the row belongs to x87 or SSE arithmetic, where random bits make poor operands.
    var isFloatingPoint: Bool {
        switch definition.feature {
        case .fpu, .sse, .sse2, .sse3, .sse41: true
        default: false
        }
    }

    /// Random x87 and SSE state that the processor accepts.
    mutating func fillFloatingPoint(_ state: inout MachineState) {
        let control: UInt64 =
            random.chance(2) ? 0x37F : 0x40 | random.next() & 0xF00 | (random.chance(3) ? random.next() & 0x3F : 0x3F)
        state.setField(MachineState.controlWord, bytes: 2, control)
        var status = random.next() & 0x7F00
        if random.chance(4) { status |= random.next() & 0x7F }
        // The summary and busy bits follow from unmasked exceptions.
        status &= ~0x8080
        if status & ~control & 0x3F != 0 { status |= 0x8080 }
        // Mostly none pending, else every x87 instruction is the same #MF.
        if status & 0x80 != 0 && !random.chance(8) { status &= ~0x80FF }
        state.setField(MachineState.statusWord, bytes: 2, status)
        let tags: UInt64 = random.chance(4) ? random.next() & 0xFF : 0xFF
        state.setField(MachineState.tags, bytes: 1, tags)
        let mxcsr: UInt64 =
            random.chance(2) ? 0x1F80 : random.next() & 0xE07F | (random.chance(4) ? random.next() & 0x1F80 : 0x1F80)
        state.setField(MachineState.mxcsr, bytes: 4, mxcsr)
        for position in 0..<8 {
            let value = extended()
            for index in 0..<10 { state.fx[MachineState.stack + position * 16 + index] = value[index] }
        }
        for position in 0..<16 {
            let bytes = floatBytes(count: 16)
            for index in 0..<16 { state.fx[MachineState.xmm + position * 16 + index] = bytes[index] }
        }
    }

    /// Bytes that hold floating-point numbers of some width, or integers.
    mutating func floatBytes(count: Int) -> [UInt8] {
        if count == 10 { return extended() }
        var bytes: [UInt8] = []
        while bytes.count < count {
            switch random.below(3) {
            case 0: append(float(exponentBits: 11, fractionBits: 52), 8, to: &bytes)
            case 1:
                append(float(exponentBits: 8, fractionBits: 23), 4, to: &bytes)
                append(float(exponentBits: 8, fractionBits: 23), 4, to: &bytes)
            default: append(random.integer(), 8, to: &bytes)
            }
        }
        return Array(bytes.prefix(count))
    }

    private func append(_ value: UInt64, _ count: Int, to bytes: inout [UInt8]) {
        for position in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(position * 8))) }
    }

    private mutating func float(exponentBits: UInt64, fractionBits: UInt64) -> UInt64 {
        let top: UInt64 = (1 << exponentBits) - 1
        let bias = top >> 1
        let exponent: UInt64 =
            switch random.below(8) {
            case 0: 0
            case 1: top
            case 2: 1
            case 3: top - 1
            case 4: random.next() & top
            // Near 1, and near where integers end.
            case 5: bias + UInt64(random.below(70)) - 2
            default: bias + UInt64(random.below(5)) - 2
            }
        return (random.next() & 1) << (exponentBits + fractionBits) | exponent << fractionBits | fraction(fractionBits)
    }

    private mutating func fraction(_ bits: UInt64) -> UInt64 {
        let mask: UInt64 = (1 << bits) &- 1
        switch random.below(6) {
        case 0: return 0
        case 1: return mask
        case 2: return 1 << UInt64(random.below(Int(bits)))
        case 3: return mask << UInt64(random.below(Int(bits))) & mask
        default: return random.next() & mask
        }
    }

    private mutating func extended() -> [UInt8] {
        var exponent: UInt64
        switch random.below(8) {
        case 0: exponent = 0
        case 1: exponent = 0x7FFF
        case 2: exponent = 1
        case 3: exponent = random.next() & 0x7FFF
        case 4, 5: exponent = 0x3FFF + UInt64(random.below(70)) - 2
        default: exponent = 0x3FFF + UInt64(random.below(5)) - 2
        }
        var significand = fraction(63)
        // The explicit integer bit: wrong once in a while (unnormals, pseudo-denormals and the like).
        if exponent != 0 || random.chance(8) { significand |= 1 << 63 }
        if random.chance(32) { significand ^= 1 << 63 }
        if random.chance(16) {
            exponent = 0
            significand = 0
        }
        exponent |= (random.next() & 1) << 15
        var bytes: [UInt8] = []
        append(significand, 8, to: &bytes)
        append(exponent, 2, to: &bytes)
        return bytes
    }
}
