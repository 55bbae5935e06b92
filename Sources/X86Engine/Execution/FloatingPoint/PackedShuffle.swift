import X86

// Packing, interleaving, shuffling, blending and widening.

/// Results of instructions that move elements about (SDM volume 1 sections 9.4.4, 11.4.1.3 and 12.10).
enum PackedShuffle {
    // MARK: Packing with saturation: elements of the first operand, then of the second

    /// PACKSSWB.
    static func packSignedWords(_ a: Vector, _ b: Vector) -> Vector {
        let words = SIMD16(lowHalf: a.signedWords, highHalf: b.signedWords)
            .clamped(lowerBound: SIMD16(repeating: -0x80), upperBound: SIMD16(repeating: 0x7F))
        return Vector(bits: SIMD16<Int8>(truncatingIfNeeded: words))
    }

    /// PACKUSWB.
    static func packUnsignedWords(_ a: Vector, _ b: Vector) -> Vector {
        let words = SIMD16(lowHalf: a.signedWords, highHalf: b.signedWords)
            .clamped(lowerBound: SIMD16(repeating: 0), upperBound: SIMD16(repeating: 0xFF))
        return Vector(bits: SIMD16<UInt8>(truncatingIfNeeded: words))
    }

    /// PACKSSDW.
    static func packSignedDoublewords(_ a: Vector, _ b: Vector) -> Vector {
        let doublewords = SIMD8(lowHalf: a.signedDoublewords, highHalf: b.signedDoublewords)
            .clamped(lowerBound: SIMD8(repeating: -0x8000), upperBound: SIMD8(repeating: 0x7FFF))
        return Vector(bits: SIMD8<Int16>(truncatingIfNeeded: doublewords))
    }

    /// PACKUSDW.
    static func packUnsignedDoublewords(_ a: Vector, _ b: Vector) -> Vector {
        let doublewords = SIMD8(lowHalf: a.signedDoublewords, highHalf: b.signedDoublewords)
            .clamped(lowerBound: SIMD8(repeating: 0), upperBound: SIMD8(repeating: 0xFFFF))
        return Vector(bits: SIMD8<UInt16>(truncatingIfNeeded: doublewords))
    }

    // MARK: Interleaving the low halves

    static func interleaveBytes(_ a: Vector, _ b: Vector) -> Vector {
        var result = SIMD16<UInt8>()
        result.evenHalf = a.bytes.lowHalf
        result.oddHalf = b.bytes.lowHalf
        return Vector(bits: result)
    }

    static func interleaveWords(_ a: Vector, _ b: Vector) -> Vector {
        var result = SIMD8<UInt16>()
        result.evenHalf = a.words.lowHalf
        result.oddHalf = b.words.lowHalf
        return Vector(bits: result)
    }

    static func interleaveDoublewords(_ a: Vector, _ b: Vector) -> Vector {
        Vector(a[0] & 0xFFFF_FFFF | b[0] << 32, a[0] >> 32 | b[0] & ~0xFFFF_FFFF)
    }

    static func interleaveQuadwords(_ a: Vector, _ b: Vector) -> Vector { Vector(a[0], b[0]) }

    // MARK: Shuffles by an immediate

    /// The word of a quadword that two bits of the immediate choose.
    @inline(__always)
    private static func word(_ source: UInt64, _ immediate: UInt8, _ place: UInt64) -> UInt64 {
        let choice = UInt64(immediate) >> (place &* 2) & 3
        return (source >> (choice &* 16) & 0xFFFF) << (place &* 16)
    }

    /// PSHUFW, and the halves that PSHUFLW and PSHUFHW change.
    static func shuffleWords(_ source: UInt64, _ immediate: UInt8) -> UInt64 {
        word(source, immediate, 0) | word(source, immediate, 1) | word(source, immediate, 2)
            | word(source, immediate, 3)
    }

    /// PSHUFD, and SHUFPS with the low elements from `a` and the high ones from `b`.
    static func shuffleDoublewords(_ a: Vector, _ b: Vector, _ immediate: UInt8) -> Vector {
        let (x, y) = (a.doublewords, b.doublewords)
        let choice = Int(immediate)
        return Vector(bits: SIMD4(x[choice & 3], x[choice >> 2 & 3], y[choice >> 4 & 3], y[choice >> 6 & 3]))
    }

    /// SHUFPD.
    static func shuffleQuadwords(_ a: Vector, _ b: Vector, _ immediate: UInt8) -> Vector {
        Vector(a[Int(immediate & 1)], b[Int(immediate >> 1 & 1)])
    }

    /// PALIGNR: `width` bytes from byte `immediate` on of `a` above `b`.
    static func align(_ a: Vector, _ b: Vector, _ immediate: UInt8) -> Vector {
        let bits = UInt128(immediate) &* 8
        if bits >= 256 { return Vector() }
        if bits >= 128 { return Vector(number: a.number &>> (bits &- 128)) }
        return bits == 0 ? b : Vector(number: b.number &>> bits | a.number &<< (128 &- bits))
    }

    /// PALIGNR on MMX registers.
    static func align(_ a: UInt64, _ b: UInt64, _ immediate: UInt8) -> UInt64 {
        immediate >= 16
            ? 0 : UInt64(truncatingIfNeeded: (UInt128(a) << 64 | UInt128(b)) &>> (UInt128(immediate) &* 8))
    }

    /// PSHUFB: bytes chosen by the second operand; its top bits give zeros.
    static func shuffleBytes(_ a: Vector, _ b: Vector) -> Vector {
        let source = a.bytes
        let choice = b.bytes
        var result = SIMD16<UInt8>()
        for lane in 0..<16 { result[lane] = choice[lane] & 0x80 != 0 ? 0 : source[Int(choice[lane] & 15)] }
        return Vector(bits: result)
    }

    /// PSHUFB on MMX registers: three bits choose.
    static func shuffleBytes(_ a: UInt64, _ b: UInt64) -> UInt64 {
        shuffleBytes(Vector(a, 0), Vector(b & 0x8787_8787_8787_8787, 0))[0]
    }

    // MARK: Blends

    /// Bits of `b` where the mask has ones, else of `a`.
    @inline(__always)
    static func select(_ a: Vector, _ b: Vector, _ mask: Vector) -> Vector { a & ~mask | b & mask }

    /// BLENDPS: bit n of the immediate takes element n from `b`.
    static func blendDoublewords(_ a: Vector, _ b: Vector, _ immediate: UInt8) -> Vector {
        let bits = SIMD4<UInt32>(1, 2, 4, 8)
        return select(a, b, Vector(mask: (SIMD4(repeating: UInt32(immediate)) & bits) .== bits))
    }

    /// BLENDPD.
    static func blendQuadwords(_ a: Vector, _ b: Vector, _ immediate: UInt8) -> Vector {
        Vector(immediate & 1 != 0 ? b[0] : a[0], immediate & 2 != 0 ? b[1] : a[1])
    }

    /// PBLENDW.
    static func blendWords(_ a: Vector, _ b: Vector, _ immediate: UInt8) -> Vector {
        let bits = SIMD8<UInt16>(1, 2, 4, 8, 16, 32, 64, 128)
        return select(a, b, Vector(mask: (SIMD8(repeating: UInt16(immediate)) & bits) .== bits))
    }

    /// INSERTPS: `element` to the place that bits 5:4 name, then zeros where bits 3:0 ask for them.
    static func insertSingle(_ a: Vector, _ element: UInt32, _ immediate: UInt8) -> Vector {
        var result = a.doublewords
        result[Int(immediate >> 4 & 3)] = element
        for lane in 0..<4 where immediate >> UInt8(lane) & 1 != 0 { result[lane] = 0 }
        return Vector(bits: result)
    }
}

extension Processor {
    /// PSHUFLW, PSHUFHW and PSHUFD: the source alone is shuffled.
    func shuffle(
        _ instruction: borrowing Instruction, _ operation: (Vector, UInt8) -> Vector
    ) throws(Fault) {
        try packedImmediate(instruction) { operation($1, $2) }
    }

    /// PSHUFW.
    func pshufw(_ instruction: borrowing Instruction) throws(Fault) {
        let immediate = UInt8(truncatingIfNeeded: instruction.immediate)
        try onMMX(instruction) { PackedShuffle.shuffleWords($1, immediate) }
    }

    /// PALIGNR.
    func palignr(_ instruction: borrowing Instruction) throws(Fault) {
        if instruction.operands.0.register.isXMM { return try packedImmediate(instruction, PackedShuffle.align) }
        let immediate = UInt8(truncatingIfNeeded: instruction.immediate)
        try onMMX(instruction) { PackedShuffle.align($0, $1, immediate) }
    }

    /// PSHUFB.
    func pshufb(_ instruction: borrowing Instruction) throws(Fault) {
        if instruction.operands.0.register.isXMM { return try packed(instruction, PackedShuffle.shuffleBytes) }
        try onMMX(instruction, PackedShuffle.shuffleBytes)
    }

    /// PBLENDVB, BLENDVPS, BLENDVPD: `mask` widens the sign bits of XMM0's elements.
    func blendVariable(_ instruction: borrowing Instruction, _ mask: (Vector) -> Vector) throws(Fault) {
        let selector = xmm.pointee
        try packedImmediate(instruction) { a, b, _ in PackedShuffle.select(a, b, mask(selector)) }
    }

    /// INSERTPS: from a register bits 7:6 of the immediate choose the element.
    func insertps(_ instruction: borrowing Instruction) throws(Fault) {
        try requireSSE()
        let immediate = UInt8(truncatingIfNeeded: instruction.immediate)
        let operand = instruction.operands.1
        let element =
            operand.kind == .register
            ? xmm(operand.register).pointee.doublewords[Int(immediate >> 6)]
            : UInt32(truncatingIfNeeded: try read(operand, of: instruction))
        let target = xmm(instruction.operands.0.register)
        target.pointee = PackedShuffle.insertSingle(target.pointee, element, immediate)
    }

    /// PTEST: ZF if the operands have no bit in common, CF if the source has none outside the destination.
    func ptest(_ instruction: borrowing Instruction) throws(Fault) {
        try requireSSE()
        let source = try vector(instruction.operands.1, of: instruction)
        let destination = xmm(instruction.operands.0.register).pointee
        var flags: UInt64 = source & destination == Vector() ? RFLAGS.ZF : 0
        if source & ~destination == Vector() { flags |= RFLAGS.CF }
        state.pointee.setStatusFlags(flags, mask: RFLAGS.status)
    }
}
