// What the packed-integer instructions compute, on 128 bits; MMX forms use the low half (see `VectorOperands.swift`).

/// Results of packed-integer instructions (SDM volume 1 sections 9.4, 11.4.1.4 and 12.5).
enum PackedInteger {
    /// The low or high parts of products and the like: `operation` on each pair of 16-bit lanes.
    @inline(__always)
    private static func words(
        _ a: Vector, _ b: Vector, _ operation: (SIMD8<Int32>, SIMD8<Int32>) -> SIMD8<Int32>
    ) -> Vector {
        let wide = operation(
            SIMD8<Int32>(truncatingIfNeeded: a.signedWords), SIMD8<Int32>(truncatingIfNeeded: b.signedWords))
        return Vector(bits: SIMD8<Int16>(truncatingIfNeeded: wide))
    }

    @inline(__always)
    private static func unsignedWords(
        _ a: Vector, _ b: Vector, _ operation: (SIMD8<UInt32>, SIMD8<UInt32>) -> SIMD8<UInt32>
    ) -> Vector {
        let wide = operation(
            SIMD8<UInt32>(truncatingIfNeeded: a.words), SIMD8<UInt32>(truncatingIfNeeded: b.words))
        return Vector(bits: SIMD8<UInt16>(truncatingIfNeeded: wide))
    }

    @inline(__always)
    private static func bytes(
        _ a: Vector, _ b: Vector, _ operation: (SIMD16<Int16>, SIMD16<Int16>) -> SIMD16<Int16>
    ) -> Vector {
        let wide = operation(
            SIMD16<Int16>(truncatingIfNeeded: a.signedBytes), SIMD16<Int16>(truncatingIfNeeded: b.signedBytes))
        return Vector(bits: SIMD16<Int8>(truncatingIfNeeded: wide))
    }

    @inline(__always)
    private static func clamped16(_ value: SIMD8<Int32>) -> SIMD8<Int32> {
        value.clamped(lowerBound: SIMD8(repeating: -0x8000), upperBound: SIMD8(repeating: 0x7FFF))
    }

    @inline(__always)
    private static func clamped8(_ value: SIMD16<Int16>) -> SIMD16<Int16> {
        value.clamped(lowerBound: SIMD16(repeating: -0x80), upperBound: SIMD16(repeating: 0x7F))
    }

    // MARK: Saturating addition and subtraction

    static func addSaturatingBytes(_ a: Vector, _ b: Vector) -> Vector { bytes(a, b) { clamped8($0 &+ $1) } }
    static func subtractSaturatingBytes(_ a: Vector, _ b: Vector) -> Vector { bytes(a, b) { clamped8($0 &- $1) } }
    static func addSaturatingWords(_ a: Vector, _ b: Vector) -> Vector { words(a, b) { clamped16($0 &+ $1) } }
    static func subtractSaturatingWords(_ a: Vector, _ b: Vector) -> Vector { words(a, b) { clamped16($0 &- $1) } }

    static func addUnsignedBytes(_ a: Vector, _ b: Vector) -> Vector {
        let sum = a.bytes &+ b.bytes
        return Vector(bits: sum) | Vector(mask: sum .< a.bytes)
    }

    static func addUnsignedWords(_ a: Vector, _ b: Vector) -> Vector {
        let sum = a.words &+ b.words
        return Vector(bits: sum) | Vector(mask: sum .< a.words)
    }

    static func subtractUnsignedBytes(_ a: Vector, _ b: Vector) -> Vector {
        Vector(bits: a.bytes &- b.bytes) & Vector(mask: a.bytes .> b.bytes)
    }

    static func subtractUnsignedWords(_ a: Vector, _ b: Vector) -> Vector {
        Vector(bits: a.words &- b.words) & Vector(mask: a.words .> b.words)
    }

    /// PAVGB: the mean, rounded up.
    static func averageBytes(_ a: Vector, _ b: Vector) -> Vector {
        // a + b + 1 = 2 (a | b) − (a ^ b) + 1, so half of it rounds up without a ninth bit.
        Vector(bits: (a | b).bytes &- ((a ^ b).bytes &>> 1))
    }

    /// PAVGW.
    static func averageWords(_ a: Vector, _ b: Vector) -> Vector {
        Vector(bits: (a | b).words &- ((a ^ b).words &>> 1))
    }

    // MARK: Multiplication

    static func multiplyHigh(_ a: Vector, _ b: Vector) -> Vector { words(a, b) { ($0 &* $1) &>> 16 } }
    static func multiplyHighUnsigned(_ a: Vector, _ b: Vector) -> Vector { unsignedWords(a, b) { ($0 &* $1) &>> 16 } }

    /// PMULHRSW: bits 30:15 of the product, rounded.
    static func multiplyRounded(_ a: Vector, _ b: Vector) -> Vector {
        words(a, b) { ((($0 &* $1) &>> 14) &+ 1) &>> 1 }
    }

    /// PMADDWD.
    static func multiplyAdd(_ a: Vector, _ b: Vector) -> Vector {
        let products =
            SIMD8<Int32>(truncatingIfNeeded: a.signedWords) &* SIMD8<Int32>(truncatingIfNeeded: b.signedWords)
        return Vector(bits: products.evenHalf &+ products.oddHalf)
    }

    /// PMADDUBSW: unsigned bytes of the first by signed bytes of the second, neighbours added with saturation.
    static func multiplyAddBytes(_ a: Vector, _ b: Vector) -> Vector {
        let products =
            SIMD16<Int32>(truncatingIfNeeded: a.bytes) &* SIMD16<Int32>(truncatingIfNeeded: b.signedBytes)
        return Vector(bits: SIMD8<Int16>(truncatingIfNeeded: clamped16(products.evenHalf &+ products.oddHalf)))
    }

    /// PMULUDQ.
    static func multiplyDoublewords(_ a: Vector, _ b: Vector) -> Vector {
        (a & Vector(repeating: 0xFFFF_FFFF)) &* (b & Vector(repeating: 0xFFFF_FFFF))
    }

    /// PMULDQ.
    static func multiplySignedDoublewords(_ a: Vector, _ b: Vector) -> Vector {
        Vector(bits: ((a.signedQuadwords &<< 32) &>> 32) &* ((b.signedQuadwords &<< 32) &>> 32))
    }

    // MARK: Comparison

    static func minimum<Lanes: SIMD>(_ a: Lanes, _ b: Lanes) -> Vector where Lanes.Scalar: Comparable {
        Vector(bits: pointwiseMin(a, b))
    }

    static func maximum<Lanes: SIMD>(_ a: Lanes, _ b: Lanes) -> Vector where Lanes.Scalar: Comparable {
        Vector(bits: pointwiseMax(a, b))
    }

    /// PSADBW: for each half the sum of the distances of its bytes.
    static func sumOfDifferences(_ a: Vector, _ b: Vector) -> Vector {
        let distances = SIMD16<UInt16>(
            truncatingIfNeeded: pointwiseMax(a.bytes, b.bytes) &- pointwiseMin(a.bytes, b.bytes))
        return Vector(UInt64(distances.lowHalf.wrappedSum()), UInt64(distances.highHalf.wrappedSum()))
    }

    /// MPSADBW: eight sums of four distances, between a block of the second operand and a sliding one of the first.
    static func multipleSums(_ a: Vector, _ b: Vector, _ immediate: UInt8) -> Vector {
        let window = a.bytes
        let block = b.bytes
        let first = Int(immediate >> 2 & 1) * 4
        let other = Int(immediate & 3) * 4
        var result = SIMD8<UInt16>()
        for lane in 0..<8 {
            var sum: UInt16 = 0
            for index in 0..<4 {
                let x = window[first + lane + index]
                let y = block[other + index]
                sum &+= UInt16(x > y ? x &- y : y &- x)
            }
            result[lane] = sum
        }
        return Vector(bits: result)
    }

    /// PHMINPOSUW: the least word and the place of its first occurrence.
    static func minimumPosition(_ source: Vector) -> Vector {
        let words = source.words
        var place = 0
        for lane in 1..<8 where words[lane] < words[place] { place = lane }
        return Vector(UInt64(words[place]) | UInt64(place) << 16, 0)
    }

    // MARK: Horizontal operations: pairs of the first operand, then pairs of the second

    static func horizontalAddWords(_ a: Vector, _ b: Vector) -> Vector {
        Vector(bits: SIMD8(lowHalf: a.words.evenHalf &+ a.words.oddHalf, highHalf: b.words.evenHalf &+ b.words.oddHalf))
    }

    static func horizontalSubtractWords(_ a: Vector, _ b: Vector) -> Vector {
        Vector(bits: SIMD8(lowHalf: a.words.evenHalf &- a.words.oddHalf, highHalf: b.words.evenHalf &- b.words.oddHalf))
    }

    static func horizontalAddDoublewords(_ a: Vector, _ b: Vector) -> Vector {
        let (x, y) = (a.doublewords, b.doublewords)
        return Vector(bits: SIMD4(lowHalf: x.evenHalf &+ x.oddHalf, highHalf: y.evenHalf &+ y.oddHalf))
    }

    static func horizontalSubtractDoublewords(_ a: Vector, _ b: Vector) -> Vector {
        let (x, y) = (a.doublewords, b.doublewords)
        return Vector(bits: SIMD4(lowHalf: x.evenHalf &- x.oddHalf, highHalf: y.evenHalf &- y.oddHalf))
    }

    static func horizontalAddSaturating(_ a: Vector, _ b: Vector) -> Vector {
        let pairs = pairsOfWords(a, b)
        return Vector(bits: SIMD8<Int16>(truncatingIfNeeded: clamped16(pairs.evenHalf &+ pairs.oddHalf)))
    }

    static func horizontalSubtractSaturating(_ a: Vector, _ b: Vector) -> Vector {
        let pairs = pairsOfWords(a, b)
        return Vector(bits: SIMD8<Int16>(truncatingIfNeeded: clamped16(pairs.evenHalf &- pairs.oddHalf)))
    }

    @inline(__always)
    private static func pairsOfWords(_ a: Vector, _ b: Vector) -> SIMD16<Int32> {
        SIMD16(
            lowHalf: SIMD8(truncatingIfNeeded: a.signedWords), highHalf: SIMD8(truncatingIfNeeded: b.signedWords))
    }

    // MARK: Signs

    /// PSIGNB, PSIGNW, PSIGND: negated where the second is negative, zero where it is zero.
    @inline(__always)
    static func sign<Lanes: SIMD>(_ a: Lanes, _ b: Lanes) -> Vector
    where Lanes.Scalar: FixedWidthInteger & SignedInteger {
        let zero = Lanes()
        return Vector(bits: a.replacing(with: zero &- a, where: b .< zero).replacing(with: zero, where: b .== zero))
    }

    /// PABSB, PABSW, PABSD: the most negative number stays.
    @inline(__always)
    static func absolute<Lanes: SIMD>(_ a: Lanes) -> Vector where Lanes.Scalar: FixedWidthInteger & SignedInteger {
        let zero = Lanes()
        return Vector(bits: a.replacing(with: zero &- a, where: a .< zero))
    }

    // MARK: Shifts; counts beyond the lane give zeros, or signs

    static func shiftLeftWords(_ a: Vector, _ count: UInt64) -> Vector {
        count > 15 ? Vector() : Vector(bits: a.words &<< UInt16(truncatingIfNeeded: count))
    }

    static func shiftLeftDoublewords(_ a: Vector, _ count: UInt64) -> Vector {
        count > 31 ? Vector() : Vector(bits: a.doublewords &<< UInt32(truncatingIfNeeded: count))
    }

    static func shiftLeftQuadwords(_ a: Vector, _ count: UInt64) -> Vector { count > 63 ? Vector() : a &<< count }

    static func shiftRightWords(_ a: Vector, _ count: UInt64) -> Vector {
        count > 15 ? Vector() : Vector(bits: a.words &>> UInt16(truncatingIfNeeded: count))
    }

    static func shiftRightDoublewords(_ a: Vector, _ count: UInt64) -> Vector {
        count > 31 ? Vector() : Vector(bits: a.doublewords &>> UInt32(truncatingIfNeeded: count))
    }

    static func shiftRightQuadwords(_ a: Vector, _ count: UInt64) -> Vector { count > 63 ? Vector() : a &>> count }

    static func shiftSignedWords(_ a: Vector, _ count: UInt64) -> Vector {
        Vector(bits: a.signedWords &>> Int16(truncatingIfNeeded: min(count, 15)))
    }

    static func shiftSignedDoublewords(_ a: Vector, _ count: UInt64) -> Vector {
        Vector(bits: a.signedDoublewords &>> Int32(truncatingIfNeeded: min(count, 31)))
    }

    /// PSLLDQ: by bytes.
    static func shiftLeftBytes(_ a: Vector, _ count: UInt64) -> Vector {
        count > 15 ? Vector() : Vector(number: a.number &<< UInt128(count &* 8))
    }

    /// PSRLDQ: by bytes.
    static func shiftRightBytes(_ a: Vector, _ count: UInt64) -> Vector {
        count > 15 ? Vector() : Vector(number: a.number &>> UInt128(count &* 8))
    }
}
