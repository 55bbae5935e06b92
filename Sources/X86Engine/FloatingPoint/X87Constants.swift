/// The constants of FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2 and FLDZ.
package enum X87Constant: CaseIterable, Sendable {
    case one
    case log2Of10
    case log2OfE
    case pi
    case log10Of2
    case logOf2
    case zero

    /// The constant truncated to 128 bits, the lost part recorded in the last.
    var value: UnpackedNumber {
        switch self {
        case .one: return .one
        case .log2Of10: return UnpackedNumber(1, 0xD49A_784B_CD1B_8AFE, 0x492B_F6FF_4DAF_DB4D)
        case .log2OfE: return .log2OfE
        case .pi: return .pi
        case .log10Of2: return UnpackedNumber(-2, 0x9A20_9A84_FBCF_F798, 0x8F89_59AC_0B7C_9179)
        case .logOf2: return .logOf2
        case .zero: return .zero(isNegative: false)
        }
    }
}

extension UnpackedNumber {
    static let one = UnpackedNumber(0, 1 << 63, 0)
    static let log2OfE = UnpackedNumber(0, 0xB8AA_3B29_5C17_F0BB, 0xBE87_FED0_691D_3E89)
    static let logOf2 = UnpackedNumber(-1, 0xB172_17F7_D1CF_79AB, 0xC9E3_B398_03F2_F6AF)
    static let pi = UnpackedNumber(1, 0xC90F_DAA2_2168_C234, 0xC4C6_628B_80DC_1CD1)

    /// A positive number from its exponent and the halves of its significand.
    init(_ exponent: Int32, _ high: UInt64, _ low: UInt64) {
        self.init(
            kind: .finite, isNegative: false, exponent: exponent, significand: UInt128(high) << 64 | UInt128(low))
    }
}

extension X87Environment {
    /// A constant rounded as the control word says, whatever its precision control; raises nothing.
    package func constant(_ constant: X87Constant) -> Extended {
        var unaffected = X87Environment(control: control | 0x3F)
        return unaffected.pack(constant.value)
    }
}
