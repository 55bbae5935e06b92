/// The shape of binary32 or binary64, so that one slow path serves both.
///
/// Values travel as raw bits in the low end of a `UInt64`.
struct InterchangeFormat: Sendable {
    /// Bits of the stored fraction; the precision is one more.
    let fractionBits: Int32
    let exponentBits: Int32

    static let binary32 = InterchangeFormat(fractionBits: 23, exponentBits: 8)
    static let binary64 = InterchangeFormat(fractionBits: 52, exponentBits: 11)

    @inline(__always) var precision: Int32 { fractionBits &+ 1 }
    @inline(__always) var exponentMask: UInt64 { (1 &<< UInt64(exponentBits)) &- 1 }
    @inline(__always) var bias: Int32 { (1 &<< (exponentBits &- 1)) &- 1 }
    /// The exponent of the smallest normal number.
    @inline(__always) var minimumExponent: Int32 { 1 &- bias }
    @inline(__always) var signBit: UInt64 { 1 &<< UInt64(fractionBits &+ exponentBits) }
    @inline(__always) var infinity: UInt64 { exponentMask &<< UInt64(fractionBits) }
    @inline(__always) var quietBit: UInt64 { 1 &<< UInt64(fractionBits &- 1) }
    /// The QNaN a masked invalid operation gives.
    @inline(__always) var indefinite: UInt64 { signBit | infinity | quietBit }

    @inline(__always) func isNegative(_ bits: UInt64) -> Bool { bits & signBit != 0 }
    @inline(__always) func isNaN(_ bits: UInt64) -> Bool { bits & (signBit &- 1) > infinity }
    @inline(__always) func isSignalingNaN(_ bits: UInt64) -> Bool { isNaN(bits) && bits & quietBit == 0 }
    @inline(__always) func isDenormal(_ bits: UInt64) -> Bool { bits & infinity == 0 && bits & (signBit &- 1) != 0 }
}
