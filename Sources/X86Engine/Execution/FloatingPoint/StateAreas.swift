import X86

/// A save area whose bytes have all been found accessible, so that accesses do not fault any more.
struct StateArea {
    let linear: UInt64
    /// REX.W: FIP and FDP take 64 bits and have no selectors.
    let hasWidePointers: Bool
}

// FXSAVE and FXRSTOR (SDM volume 1 section 10.5), MXCSR.
extension Processor {
    /// The bits of MXCSR that exist, as FXSAVE shows them in MXCSR_MASK.
    static let mxcsrMask: UInt32 = 0xFFFF

    /// LDMXCSR: #GP(0) for reserved bits.
    func ldmxcsr(_ instruction: borrowing Instruction) throws(Fault) {
        try requireSSE()
        let value = UInt32(truncatingIfNeeded: try read(instruction.operands.0, of: instruction))
        guard value & ~Self.mxcsrMask == 0 else { throw .generalProtection(0) }
        state.pointee.sse.mxcsr = value
    }

    /// STMXCSR.
    func stmxcsr(_ instruction: borrowing Instruction) throws(Fault) {
        try requireSSE()
        try write(instruction.operands.0, of: instruction, UInt64(state.pointee.sse.mxcsr))
    }

    /// FXSAVE; XMM registers and MXCSR only with CR4.OSFXSR.
    func fxsave(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87WithoutWait()
        let area = try stateArea(instruction, alignment: 16, count: 512, .write)
        try saveX87(area)
        if state.pointee.cr4 & CR4.OSFXSR != 0 {
            try saveMXCSR(area)
            try saveXMM(area)
        }
    }

    /// FXRSTOR; #GP(0) for reserved bits of MXCSR.
    func fxrstor(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87WithoutWait()
        let area = try stateArea(instruction, alignment: 16, count: 512, .read)
        if state.pointee.cr4 & CR4.OSFXSR != 0 {
            state.pointee.sse.mxcsr = try validMXCSR(area)
            try restoreXMM(area)
        }
        try restoreX87(area)
    }

    /// The area of an instruction: #GP(0) if misaligned, and every fault that its bytes may give.
    func stateArea(
        _ instruction: borrowing Instruction, alignment: UInt64, count: Int, _ kind: AccessKind
    ) throws(Fault) -> StateArea {
        let segment = instruction.memory.segment
        let address = effectiveAddress(instruction)
        // FXSAVE and FXRSTOR find an address that is not canonical before they look at its alignment.
        if alignment == 16 { _ = try linearAddress(segment, address, width: 1, kind) }
        let linear = try alignedAddress(segment, address, width: count, alignment: alignment, kind)
        _ = try translateRange(linear, count: count, kind)
        return StateArea(linear: linear, hasWidePointers: instruction.operandSize == 64)
    }

    @inline(__always)
    func load(_ area: StateArea, _ offset: UInt64, width: Int) throws(Fault) -> UInt64 {
        try readLinear(wrapLinear(area.linear &+ offset), width: width)
    }

    @inline(__always)
    func store(_ area: StateArea, _ offset: UInt64, _ value: UInt64, width: Int) throws(Fault) {
        try writeLinear(wrapLinear(area.linear &+ offset), value, width: width)
    }

    /// The number of XMM registers that instructions reach.
    var xmmCount: Int { state.pointee.mode.code == 64 ? 16 : 8 }

    // MARK: Parts of the legacy region (SDM volume 1 tables 10-2 and 10-3)

    func saveX87(_ area: StateArea) throws(Fault) {
        let x87 = state.pointee.x87
        let control =
            UInt64(x87.controlWord) | UInt64(x87.statusWord) << 16 | UInt64(x87.abridgedTagWord) << 32
            | UInt64(x87.opcode) << 48
        try store(area, 0, control, width: 8)
        if area.hasWidePointers {
            try store(area, 8, x87.instructionPointer, width: 8)
            try store(area, 16, x87.dataPointer, width: 8)
        } else {
            try store(area, 8, x87.instructionPointer & 0xFFFF_FFFF | UInt64(x87.instructionSelector) << 32, width: 8)
            try store(area, 16, x87.dataPointer & 0xFFFF_FFFF | UInt64(x87.dataSelector) << 32, width: 8)
        }
        for index in 0..<8 {
            let value = x87[index]
            let offset = 32 &+ UInt64(index) &* 16
            try store(area, offset, value.significand, width: 8)
            try store(area, offset &+ 8, UInt64(value.signAndExponent), width: 8)
        }
    }

    func saveMXCSR(_ area: StateArea) throws(Fault) {
        try store(area, 24, UInt64(state.pointee.sse.mxcsr) | UInt64(Self.mxcsrMask) << 32, width: 8)
    }

    func saveXMM(_ area: StateArea) throws(Fault) {
        for index in 0..<xmmCount {
            let offset = 160 &+ UInt64(index) &* 16
            try store(area, offset, xmm[index][0], width: 8)
            try store(area, offset &+ 8, xmm[index][1], width: 8)
        }
    }

    func restoreX87(_ area: StateArea) throws(Fault) {
        let control = try load(area, 0, width: 8)
        var x87 = X87State()
        x87.statusWord = UInt16(truncatingIfNeeded: control >> 16)
        x87.opcode = UInt16(truncatingIfNeeded: control >> 48) & 0x7FF
        let code = try load(area, 8, width: 8)
        let data = try load(area, 16, width: 8)
        if area.hasWidePointers {
            x87.instructionPointer = code
            x87.dataPointer = data
        } else {
            x87.instructionPointer = code & 0xFFFF_FFFF
            x87.instructionSelector = UInt16(truncatingIfNeeded: code >> 32)
            x87.dataPointer = data & 0xFFFF_FFFF
            x87.dataSelector = UInt16(truncatingIfNeeded: data >> 32)
        }
        for index in 0..<8 {
            let offset = 32 &+ UInt64(index) &* 16
            let significand = try load(area, offset, width: 8)
            let signAndExponent = UInt16(truncatingIfNeeded: try load(area, offset &+ 8, width: 2))
            x87[index] = Extended(significand: significand, signAndExponent: signAndExponent)
        }
        x87.abridgedTagWord = UInt8(truncatingIfNeeded: control >> 32)
        x87.setControlWord(UInt16(truncatingIfNeeded: control))
        state.pointee.x87 = x87
    }

    /// MXCSR in the area; #GP(0) for reserved bits.
    func validMXCSR(_ area: StateArea) throws(Fault) -> UInt32 {
        let value = UInt32(truncatingIfNeeded: try load(area, 24, width: 4))
        guard value & ~Self.mxcsrMask == 0 else { throw .generalProtection(0) }
        return value
    }

    func restoreXMM(_ area: StateArea) throws(Fault) {
        for index in 0..<xmmCount {
            let offset = 160 &+ UInt64(index) &* 16
            xmm[index] = Vector(try load(area, offset, width: 8), try load(area, offset &+ 8, width: 8))
        }
    }
}
