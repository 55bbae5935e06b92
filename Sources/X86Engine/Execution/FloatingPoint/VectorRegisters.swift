import X86

// The XMM and MMX registers, and what instructions on them check first.

extension Processor {
    /// The sixteen XMM registers as an array.
    @inline(__always)
    var xmm: UnsafeMutablePointer<Vector> {
        // SAFETY: the state is one heap block that never moves, and `xmm` is 64 quadwords without gaps inside it.
        withUnsafeMutablePointer(to: &state.pointee.sse.xmm.0) {
            UnsafeMutableRawPointer($0).assumingMemoryBound(to: Vector.self)
        }
    }

    /// An XMM register by its name.
    @inline(__always)
    func xmm(_ register: Register) -> UnsafeMutablePointer<Vector> { xmm + register.xmmNumber }

    /// The low doubleword of an XMM register.
    @inline(__always)
    func xmmSingle(_ register: Register) -> UInt32 { UInt32(truncatingIfNeeded: xmm(register).pointee[0]) }

    /// Replaces the low doubleword of an XMM register.
    @inline(__always)
    func setXMMSingle(_ register: Register, _ value: UInt32) {
        let target = xmm(register)
        target.pointee[0] = target.pointee[0] & ~0xFFFF_FFFF | UInt64(value)
    }

    /// An MMX register: the significand of the x87 register of the same number, whatever TOP is.
    @inline(__always)
    func mmx(_ register: Register) -> UInt64 { state.pointee.x87.significands[register.mmxNumber] }

    /// Writes an MMX register; sign and exponent become ones (SDM volume 1 section 9.6.2).
    @inline(__always)
    func setMMX(_ register: Register, _ value: UInt64) {
        state.pointee.x87.significands[register.mmxNumber] = value
        state.pointee.x87.signsAndExponents[register.mmxNumber] = 0xFFFF
    }

    /// #UD without CR4.OSFXSR or with CR0.EM, then #NM with CR0.TS (SDM volume 3 table 14-1).
    @inline(__always)
    func requireSSE() throws(Fault) {
        let s = state
        if s.pointee.cr0 & (CR0.EM | CR0.TS) != 0 || s.pointee.cr4 & CR4.OSFXSR == 0 {
            throw s.pointee.cr0 & CR0.EM != 0 || s.pointee.cr4 & CR4.OSFXSR == 0 ? .invalidOpcode : .deviceNotAvailable
        }
    }

    /// #UD with CR0.EM, #NM with CR0.TS, then the pending x87 exception (SDM volume 3 section 13.1).
    @inline(__always)
    func requireMMX() throws(Fault) {
        if state.pointee.cr0 & (CR0.EM | CR0.TS) != 0 {
            throw state.pointee.cr0 & CR0.EM != 0 ? .invalidOpcode : .deviceNotAvailable
        }
        try reportPendingX87Exception()
    }

    /// What every MMX instruction but EMMS does to the x87 state: TOP is 0 and all registers are in use.
    @inline(__always)
    func enterMMX() {
        state.pointee.x87.statusWord &= ~X87State.topMask
        state.pointee.x87.tagWord = 0
    }
}

extension Register {
    /// The number of an XMM register; other registers give some number in range.
    @inline(__always) var xmmNumber: Int { Int(rawValue &- Register.xmm0.rawValue) & 15 }
    /// The number of an MMX register; other registers give some number in range.
    @inline(__always) var mmxNumber: Int { Int(rawValue &- Register.mm0.rawValue) & 7 }
    /// The number of an x87 stack register; other registers give some number in range.
    @inline(__always) var x87Number: Int { Int(rawValue &- Register.st0.rawValue) & 7 }
    @inline(__always) var isXMM: Bool { rawValue &- Register.xmm0.rawValue < 16 }
    @inline(__always) var isMMX: Bool { rawValue &- Register.mm0.rawValue < 8 }
}
