/// The 128 bits of an XMM register as quadwords, low first; an MMX operand is one whose high half is zero.
typealias Vector = SIMD2<UInt64>

extension SIMD2<UInt64> {
    /// The same 128 bits from lanes of any other type.
    @inline(__always)
    init<Lanes: SIMD>(bits lanes: Lanes) {
        // SAFETY: only used with lane types of 16 bytes, for which `unsafeBitCast` itself checks the size.
        self = unsafeBitCast(lanes, to: Vector.self)
    }

    /// Comparison results: lanes of all ones or all zeros.
    @inline(__always)
    init<Lanes: SIMD>(mask: SIMDMask<Lanes>) {
        // SAFETY: a mask is stored as its lanes, each 0 or −1; `unsafeBitCast` checks the size.
        self = unsafeBitCast(mask, to: Vector.self)
    }

    // SAFETY, for all the views: every type has 16 bytes and no invalid bit patterns.
    @inline(__always) var bytes: SIMD16<UInt8> { unsafeBitCast(self, to: SIMD16<UInt8>.self) }
    @inline(__always) var signedBytes: SIMD16<Int8> { unsafeBitCast(self, to: SIMD16<Int8>.self) }
    @inline(__always) var words: SIMD8<UInt16> { unsafeBitCast(self, to: SIMD8<UInt16>.self) }
    @inline(__always) var signedWords: SIMD8<Int16> { unsafeBitCast(self, to: SIMD8<Int16>.self) }
    @inline(__always) var doublewords: SIMD4<UInt32> { unsafeBitCast(self, to: SIMD4<UInt32>.self) }
    @inline(__always) var signedDoublewords: SIMD4<Int32> { unsafeBitCast(self, to: SIMD4<Int32>.self) }
    @inline(__always) var signedQuadwords: SIMD2<Int64> { unsafeBitCast(self, to: SIMD2<Int64>.self) }

    /// The lowest bytes, each widened with zeros or its sign as the lanes asked for are.
    @inline(__always)
    func extendedBytes<Lanes: SIMD>(to lanes: Lanes.Type) -> Lanes where Lanes.Scalar: FixedWidthInteger {
        var result = Lanes()
        for index in 0..<result.scalarCount {
            result[index] =
                Lanes.Scalar.isSigned
                ? Lanes.Scalar(truncatingIfNeeded: signedBytes[index]) : Lanes.Scalar(truncatingIfNeeded: bytes[index])
        }
        return result
    }

    /// The lowest words, widened likewise.
    @inline(__always)
    func extendedWords<Lanes: SIMD>(to lanes: Lanes.Type) -> Lanes where Lanes.Scalar: FixedWidthInteger {
        var result = Lanes()
        for index in 0..<result.scalarCount {
            result[index] =
                Lanes.Scalar.isSigned
                ? Lanes.Scalar(truncatingIfNeeded: signedWords[index]) : Lanes.Scalar(truncatingIfNeeded: words[index])
        }
        return result
    }

    /// All 128 bits as one number.
    @inline(__always) var number: UInt128 { UInt128(self[1]) << 64 | UInt128(self[0]) }

    @inline(__always)
    init(number: UInt128) {
        self.init(UInt64(truncatingIfNeeded: number), UInt64(truncatingIfNeeded: number >> 64))
    }
}
