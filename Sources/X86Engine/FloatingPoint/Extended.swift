/// An x87 double-extended number: a 64-bit significand with explicit integer bit, a 15-bit exponent and a sign.
///
/// Every bit pattern is allowed, also the unsupported ones of SDM volume 1, section 8.2.2.
package struct Extended: Hashable, Sendable {
    /// Bit 63 is the integer bit.
    package var significand: UInt64
    /// Bit 15 is the sign, bits 14 to 0 the exponent with bias 16383.
    package var signAndExponent: UInt16

    @inline(__always)
    package init(significand: UInt64, signAndExponent: UInt16) {
        self.significand = significand
        self.signAndExponent = signAndExponent
    }

    package static let positiveZero = Extended(significand: 0, signAndExponent: 0)
    package static let one = Extended(significand: 1 << 63, signAndExponent: 0x3FFF)
    /// The QNaN a masked invalid operation gives.
    package static let indefinite = Extended(significand: 0xC000_0000_0000_0000, signAndExponent: 0xFFFF)

    @inline(__always)
    package var isNegative: Bool { signAndExponent & 0x8000 != 0 }

    /// FCHS: the sign inverted, whatever the class.
    package var negated: Extended { Extended(significand: significand, signAndExponent: signAndExponent ^ 0x8000) }

    /// FABS: the sign cleared, whatever the class.
    package var magnitude: Extended { Extended(significand: significand, signAndExponent: signAndExponent & 0x7FFF) }

    @inline(__always)
    static func zero(isNegative: Bool) -> Extended {
        Extended(significand: 0, signAndExponent: isNegative ? 0x8000 : 0)
    }

    @inline(__always)
    static func infinity(isNegative: Bool) -> Extended {
        Extended(significand: 1 << 63, signAndExponent: isNegative ? 0xFFFF : 0x7FFF)
    }
}

extension Extended {
    /// The classes FXAM tells apart; an empty register is the caller's to know.
    ///
    /// Raw values are C3, C2 and C0 in their places in the x87 status word.
    package enum Class: UInt16, Sendable {
        case unsupported = 0x0000
        case notANumber = 0x0100
        case normal = 0x0400
        case infinity = 0x0500
        case zero = 0x4000
        case empty = 0x4100
        case denormal = 0x4400
    }

    /// The class of this bit pattern; a pseudo-denormal is a denormal.
    package var classification: Class {
        let exponent = signAndExponent & 0x7FFF
        if exponent == 0 { return significand == 0 ? .zero : .denormal }
        if significand >> 63 == 0 { return .unsupported }
        if exponent != 0x7FFF { return .normal }
        return significand << 1 == 0 ? .infinity : .notANumber
    }

    /// C3, C2, C0 and the sign in C1, as FXAM sets them for a register that is not empty.
    package var examination: UInt16 { classification.rawValue | (isNegative ? 0x0200 : 0) }

    /// The two tag bits FSTENV and FXSAVE derive for a register that is not empty: 0 valid, 1 zero, 2 special.
    package var tag: UInt16 {
        switch classification {
        case .normal: return 0
        case .zero: return 1
        case .unsupported, .notANumber, .infinity, .empty, .denormal: return 2
        }
    }
}
