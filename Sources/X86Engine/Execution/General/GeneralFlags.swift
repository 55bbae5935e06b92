// Flags of results whose width is only known at run time: the slow path's counterpart of `ArithmeticFlags.swift`.
//
// Status flags that the manuals leave undefined, and that processors differ in, get one value on every path:
//
//   AND OR XOR TEST ANDN BLS* BZHI BEXTR   AF = 0; SF and PF of the result
//   SHL SHR SAR SHLD SHRD, count not 0     AF = 0; OF as for a count of 1, from the last result
//   ROL ROR RCL RCR, count not 0           OF as for a count of 1, from the last result
//   MUL IMUL                               AF = 0; SF, ZF and PF of the low half of the product
//   DIV IDIV BT* BSF BSR TZCNT LZCNT       as they were
//   AAM AAD AAA AAS DAA DAS                OF = 0; CF of AAM and AAD = 0; the others of AL

extension UnsafeMutablePointer where Pointee == ProcessorState {
    /// Flags of a result whose carries out of each bit are known; both are taken modulo 2^`width`.
    @inline(__always)
    func setFlags(result: UInt64, carries: UInt64, width: Int) {
        let shift = UInt64(64 &- width)
        pointee.flagResult = UInt64(bitPattern: Int64(bitPattern: result &<< shift) &>> Int64(shift))
        pointee.flagAuxiliary = (carries &<< shift) & 0xC000_0000_0000_0000 | carries & 8
    }

    /// ADD and ADC: `result` is a + b + carry.
    @inline(__always)
    func setFlagsOfAddition(_ a: UInt64, _ b: UInt64, result: UInt64, width: Int) {
        setFlags(result: result, carries: (a & b) | ((a | b) & ~result), width: width)
    }

    /// SUB, SBB, CMP and NEG (a = 0): `result` is a - b - borrow.
    @inline(__always)
    func setFlagsOfSubtraction(_ a: UInt64, _ b: UInt64, result: UInt64, width: Int) {
        setFlags(result: result, carries: (~a & b) | ((~a | b) & result), width: width)
    }

    /// SF, ZF and PF of a result; CF and OF as given, AF clear.
    @inline(__always)
    func setFlags(result: UInt64, carry: Bool = false, overflow: Bool = false, width: Int) {
        setFlags(result: result, carries: 0, width: width)
        setCarryAndOverflow(carry, overflow)
    }
}

/// The value of `width` bits as a signed number.
@inline(__always)
func signed(_ value: UInt64, width: Int) -> Int64 {
    let shift = Int64(64 &- width)
    return (Int64(bitPattern: value) &<< shift) &>> shift
}

/// Whether the top bit of a value of `width` bits is set.
@inline(__always)
func topBit(_ value: UInt64, width: Int) -> Bool { value &>> UInt64(width &- 1) & 1 != 0 }
