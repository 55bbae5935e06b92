import VirtualMachine
import X86

/// An access to a port that left the guest.
struct PortAccess {
    var port: UInt16
    /// Bytes: 1, 2 or 4.
    var size: UInt64
    var isInput: Bool
    /// INS and OUTS, whose values are in memory.
    var isString: Bool

    /// What an exit tells in its qualification or in EXITINFO1.
    ///
    /// SDM vol. 3 table 28-5, APM vol. 2 section 15.10.2.
    init?(_ exit: Transition.Exit, under technique: Technique) {
        guard exit.reason == .io, let value = exit.qualification else { return nil }
        switch technique {
        case .vmx:
            (size, isInput, isString) = ((value & 7) + 1, value >> 3 & 1 != 0, value >> 4 & 1 != 0)
        case .svm:
            size = value >> 5 & 1 != 0 ? 2 : value >> 6 & 1 != 0 ? 4 : 1
            (isInput, isString) = (value & 1 != 0, value >> 2 & 1 != 0)
        case .bare, .trapAndEmulate, .translate, .paravirtual: return nil
        }
        port = UInt16(truncatingIfNeeded: value >> 16)
    }

    /// What an instruction does, with a value in DX; nil if it is none on a port.
    init?(_ instruction: Instruction, dx: UInt64) {
        let operands = (instruction.operands.0, instruction.operands.1)
        let (place, data): (Operand, Operand)
        switch instruction.operation {
        case .in, .ins: (place, data, isInput) = (operands.1, operands.0, true)
        case .out, .outs: (place, data, isInput) = (operands.0, operands.1, false)
        case _: return nil
        }
        isString = instruction.operation == .ins || instruction.operation == .outs
        port = UInt16(truncatingIfNeeded: place.kind == .immediate ? instruction.immediate : dx)
        size = UInt64(max(data.width / 8, 1))
    }
}
