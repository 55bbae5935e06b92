// Instructions that combine elements, where the order of the operations and of their roundings is visible.

extension SSEEnvironment {
    /// HADDPS: neighbouring elements of the first operand added, then those of the second.
    package mutating func horizontalAdd32(_ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>) -> SIMD4<UInt32> {
        SIMD4(add32(a[0], a[1]), add32(a[2], a[3]), add32(b[0], b[1]), add32(b[2], b[3]))
    }

    /// HSUBPS.
    package mutating func horizontalSubtract32(_ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>) -> SIMD4<UInt32> {
        SIMD4(subtract32(a[0], a[1]), subtract32(a[2], a[3]), subtract32(b[0], b[1]), subtract32(b[2], b[3]))
    }

    /// ADDSUBPS: even elements subtracted, odd ones added.
    package mutating func addSubtract32(_ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>) -> SIMD4<UInt32> {
        SIMD4(subtract32(a[0], b[0]), add32(a[1], b[1]), subtract32(a[2], b[2]), add32(a[3], b[3]))
    }

    /// HADDPD.
    package mutating func horizontalAdd64(_ a: SIMD2<UInt64>, _ b: SIMD2<UInt64>) -> SIMD2<UInt64> {
        SIMD2(add64(a[0], a[1]), add64(b[0], b[1]))
    }

    /// HSUBPD.
    package mutating func horizontalSubtract64(_ a: SIMD2<UInt64>, _ b: SIMD2<UInt64>) -> SIMD2<UInt64> {
        SIMD2(subtract64(a[0], a[1]), subtract64(b[0], b[1]))
    }

    /// ADDSUBPD.
    package mutating func addSubtract64(_ a: SIMD2<UInt64>, _ b: SIMD2<UInt64>) -> SIMD2<UInt64> {
        SIMD2(subtract64(a[0], b[0]), add64(a[1], b[1]))
    }

    /// DPPS: the products that bits 7:4 of the immediate select, summed as (0 + 1) + (2 + 3), to the elements
    /// that bits 3:0 select.
    package mutating func dotProduct32(
        _ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>, immediate: UInt8
    ) -> SIMD4<UInt32> {
        var products = SIMD4<UInt32>(repeating: 0)
        if immediate & 0x10 != 0 { products[0] = multiply32(a[0], b[0]) }
        if immediate & 0x20 != 0 { products[1] = multiply32(a[1], b[1]) }
        if immediate & 0x40 != 0 { products[2] = multiply32(a[2], b[2]) }
        if immediate & 0x80 != 0 { products[3] = multiply32(a[3], b[3]) }
        guard completeStage() else { return products }
        let low = add32(products[0], products[1])
        let high = add32(products[2], products[3])
        guard completeStage() else { return products }
        let sum = add32(low, high)
        return SIMD4(
            immediate & 1 != 0 ? sum : 0, immediate & 2 != 0 ? sum : 0, immediate & 4 != 0 ? sum : 0,
            immediate & 8 != 0 ? sum : 0)
    }

    /// DPPD: the products that bits 5:4 of the immediate select, summed, to the elements that bits 1:0 select.
    package mutating func dotProduct64(
        _ a: SIMD2<UInt64>, _ b: SIMD2<UInt64>, immediate: UInt8
    ) -> SIMD2<UInt64> {
        var products = SIMD2<UInt64>(repeating: 0)
        if immediate & 0x10 != 0 { products[0] = multiply64(a[0], b[0]) }
        if immediate & 0x20 != 0 { products[1] = multiply64(a[1], b[1]) }
        guard completeStage() else { return products }
        let sum = add64(products[0], products[1])
        return SIMD2(immediate & 1 != 0 ? sum : 0, immediate & 2 != 0 ? sum : 0)
    }

    /// Ends one of the stages of a dot product; false where it raised an unmasked exception.
    ///
    /// Exceptions are determined for each stage (SDM, DPPS): those of a completed one are flagged even if a later
    /// one stops the instruction.
    @inline(__always)
    private mutating func completeStage() -> Bool {
        if raised & ~(mxcsr >> 7) != 0 { return false }
        mxcsr |= raised
        raised = 0
        return true
    }
}
