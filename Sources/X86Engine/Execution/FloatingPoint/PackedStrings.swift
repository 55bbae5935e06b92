import X86

/// What bits of the immediate of PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM ask for (SDM volume 2 section 4.1).
private struct StringComparison {
    let immediate: UInt8

    /// Bit 0: words instead of bytes.
    var usesWords: Bool { immediate & 1 != 0 }
    /// Bit 1: signed elements, for ranges.
    var isSigned: Bool { immediate & 2 != 0 }
    var lanes: Int { usesWords ? 8 : 16 }
    var allLanes: UInt32 { usesWords ? 0xFF : 0xFFFF }

    @inline(__always)
    func element(_ source: Vector, _ index: Int) -> Int32 {
        if usesWords { return isSigned ? Int32(source.signedWords[index]) : Int32(source.words[index]) }
        return isSigned ? Int32(source.signedBytes[index]) : Int32(source.bytes[index])
    }

    /// The number of elements before the first that is zero.
    func implicitLength(_ source: Vector) -> Int {
        for index in 0..<lanes where element(source, index) == 0 { return index }
        return lanes
    }

    /// IntRes2: bit j says whether element j of `b` (or the string from it on) is what `a` asks for.
    func compare(_ a: Vector, _ lengthA: Int, _ b: Vector, _ lengthB: Int) -> UInt32 {
        var result: UInt32 = 0
        for j in 0..<lanes {
            let holds =
                switch immediate >> 2 & 3 {
                case 0: equalsAny(a, lengthA, b, lengthB, j)
                case 1: isInRange(a, lengthA, b, lengthB, j)
                case 2: equalsSame(a, lengthA, b, lengthB, j)
                default: beginsString(a, lengthA, b, lengthB, j)
                }
            if holds { result |= 1 << UInt32(j) }
        }
        // Bits 5:4: as is, all inverted, as is, inverted where `b` has elements.
        switch immediate >> 4 & 3 {
        case 1: return result ^ allLanes
        case 3: return result ^ ((1 << UInt32(lengthB)) &- 1)
        default: return result
        }
    }

    private func equalsAny(_ a: Vector, _ lengthA: Int, _ b: Vector, _ lengthB: Int, _ j: Int) -> Bool {
        guard j < lengthB else { return false }
        let wanted = element(b, j)
        for i in 0..<lengthA where element(a, i) == wanted { return true }
        return false
    }

    private func isInRange(_ a: Vector, _ lengthA: Int, _ b: Vector, _ lengthB: Int, _ j: Int) -> Bool {
        guard j < lengthB else { return false }
        let value = element(b, j)
        var i = 0
        // A range of which only the lower end is valid does not count.
        while i + 1 < lengthA {
            if value >= element(a, i) && value <= element(a, i + 1) { return true }
            i += 2
        }
        return false
    }

    /// Where both strings have ended they are equal, where one has they are not.
    private func equalsSame(_ a: Vector, _ lengthA: Int, _ b: Vector, _ lengthB: Int, _ j: Int) -> Bool {
        if j < lengthA && j < lengthB { return element(a, j) == element(b, j) }
        return j >= lengthA && j >= lengthB
    }

    /// Whether `a` begins at element j of `b`; what lies beyond the register counts as equal.
    private func beginsString(_ a: Vector, _ lengthA: Int, _ b: Vector, _ lengthB: Int, _ j: Int) -> Bool {
        for i in 0..<min(lengthA, lanes - j) {
            guard i + j < lengthB, element(a, i) == element(b, i + j) else { return false }
        }
        return true
    }
}

extension Processor {
    /// PCMPESTRI and PCMPESTRM (`isExplicit`: lengths in EAX and EDX), PCMPISTRI and PCMPISTRM (up to a zero);
    /// the index goes to ECX, the mask to XMM0 (`givesMask`).
    func comparePackedStrings(
        _ instruction: borrowing Instruction, isExplicit: Bool, givesMask: Bool
    ) throws(Fault) {
        try requireSSE()
        let b = try vector(instruction.operands.1, of: instruction, .free)
        let a = xmm(instruction.operands.0.register).pointee
        let immediate = UInt8(truncatingIfNeeded: instruction.immediate)
        let comparison = StringComparison(immediate: immediate)
        let lanes = comparison.lanes
        let lengthA = isExplicit ? explicitLength(state.pointee.rax, instruction, lanes) : comparison.implicitLength(a)
        let lengthB = isExplicit ? explicitLength(state.pointee.rdx, instruction, lanes) : comparison.implicitLength(b)
        let result = comparison.compare(a, lengthA, b, lengthB)
        if givesMask {
            xmm.pointee = Self.stringMask(result, immediate)
        } else {
            let index =
                result == 0
                ? lanes : immediate & 0x40 != 0 ? 31 - result.leadingZeroBitCount : result.trailingZeroBitCount
            setGeneral(.ecx, UInt64(index))
        }
        var flags: UInt64 = result != 0 ? RFLAGS.CF : 0
        if lengthB < lanes { flags |= RFLAGS.ZF }
        if lengthA < lanes { flags |= RFLAGS.SF }
        if result & 1 != 0 { flags |= RFLAGS.OF }
        state.pointee.setStatusFlags(flags, mask: RFLAGS.status)
    }

    /// The magnitude of EAX or EDX, of RAX or RDX with REX.W, at most the number of lanes.
    private func explicitLength(_ register: UInt64, _ instruction: borrowing Instruction, _ lanes: Int) -> Int {
        let value =
            instruction.prefixes.contains(.rexW)
            ? Int64(bitPattern: register) : Int64(Int32(truncatingIfNeeded: register))
        return Int(min(value.magnitude, UInt64(lanes)))
    }

    /// Bit 6 of the immediate: lanes of all ones rather than bits.
    private static func stringMask(_ result: UInt32, _ immediate: UInt8) -> Vector {
        guard immediate & 0x40 != 0 else { return Vector(UInt64(result), 0) }
        if immediate & 1 != 0 {
            var mask = SIMD8<UInt16>()
            for lane in 0..<8 where result >> UInt32(lane) & 1 != 0 { mask[lane] = 0xFFFF }
            return Vector(bits: mask)
        }
        var mask = SIMD16<UInt8>()
        for lane in 0..<16 where result >> UInt32(lane) & 1 != 0 { mask[lane] = 0xFF }
        return Vector(bits: mask)
    }
}
