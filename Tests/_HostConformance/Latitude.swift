import X86

extension CaseGenerator {
    /// What the manuals leave open about a case of this row, `address` being that of its memory operand.
    func latitude(_ instruction: Instruction, _ state: MachineState, address: UInt64) -> Latitude {
        var latitude = Latitude()
        latitude.flags = UInt64(definition.undefined.rawValue)
        let operands = [instruction.operands.0, instruction.operands.1]
        latitude.addressInPage = operands.contains { $0.kind == .memory && $0.width > 64 }
        latitude.anyPageFault = operands.contains { $0.kind == .memory && $0.width > 128 }
        latitude.entersMMX = operands.contains { $0.register.class == .mmx }
        switch instruction.operation {
        case .pusha, .enter: latitude.writesBeforeFault = true
        // Where both operands fault, Intel's processors tell the first one's address and AMD's the second one's.
        case .cmps: latitude.anyPageFault = true
        // The first byte that is stored, or the operand's first.
        case .maskmovq, .maskmovdqu: latitude.addressInPage = true
        case .fcomi, .fcomip, .fucomi, .fucomip, .fcmovcc:
            // The SDM clears C1, AMD's processors keep it.
            latitude.x87Status = X87Bits.C1
        case .ffree, .ffreep: latitude.x87Status = X87Bits.conditionCodes
        case .fprem, .fprem1:
            // With operands that have no quotient the condition codes say nothing.
            if !isFinite(state, 0) || !isFinite(state, 1) { latitude.x87Status = X87Bits.conditionCodes }
        case .fsin, .fcos, .fsincos, .fptan, .fpatan, .f2xm1, .fyl2x, .fyl2xp1:
            // Less than 1 ulp from the exact value each (SDM volume 1 section 8.3.10), so 2 apart; C1 tells the rounding.
            latitude.x87Status = X87Bits.C1 | X87Bits.precision | X87Bits.underflow
            latitude.ulps = 2
        case .fld where instruction.operands.0.kind == .register:
            // With the stack full and the source empty: overflow or underflow.
            latitude.x87Status = X87Bits.C1
        case .fxsave, .xsave:
            // The pointers to the last instruction, and MXCSR_MASK.
            latitude.ignoredWords = [0, 8, 16, 24].reduce(into: []) { $0.insert((address &+ $1) & ~7) }
            if address & 7 != 0 { latitude.ignoredWords.insert((address &+ 32) & ~7) }
        case .fnstenv, .fnsave:
            for offset in stride(from: UInt64(0), through: 32, by: 8) {
                latitude.ignoredWords.insert((address &+ offset) & ~7)
            }
        default: break
        }
        return latitude
    }

    /// Whether ST(`position`) is a number, neither zero nor denormal.
    private func isFinite(_ state: MachineState, _ position: Int) -> Bool {
        let exponent = state.field(MachineState.stack + position * 16 + 8, bytes: 2) & 0x7FFF
        let significand = state.field(MachineState.stack + position * 16, bytes: 8)
        let top = Int(state.field(MachineState.statusWord, bytes: 2) >> 11 & 7)
        let isUsed = state.field(MachineState.tags, bytes: 1) >> UInt64((top + position) & 7) & 1 != 0
        return isUsed && exponent != 0 && exponent != 0x7FFF && significand >> 63 != 0
    }
}

/// Bits of the x87 status word.
enum X87Bits {
    static let underflow: UInt64 = 0x10
    static let precision: UInt64 = 0x20
    static let C1: UInt64 = 0x200
    static let conditionCodes: UInt64 = 0x4700
}
