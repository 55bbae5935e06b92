/// What ModRM.rm and the bytes after it say.
enum ModRMOperand {
    case register(Int)
    case memory(ModRMMemory)
}

/// A memory operand in ModRM, SIB and displacement (SDM volume 2 section 2.1.5).
struct ModRMMemory {
    /// mod and rm; reg is 0.
    private(set) var modRM: UInt8 = 0
    private(set) var sib: UInt8?
    private(set) var displacement: OperandValue
    private(set) var displacementBytes = 0
    /// True if the displacement counts from the end of the instruction.
    private(set) var isRelative = false
    private(set) var baseIsHigh = false
    private(set) var indexIsHigh = false
    /// Number of the operand, for messages.
    let operand: Int

    init(
        _ memory: RequestedMemory, addressSize: Int, mode: CodeMode, operand: Int
    ) throws(EncodingFailure) {
        displacement = memory.displacement
        self.operand = operand
        if memory.displacementSize == 64 { throw .address(operand: operand, .displacementSize) }
        if memory.base.class == .instructionPointer {
            guard mode == .bits64 else { throw .address(operand: operand, .notInMode) }
            modRM = 5
            displacementBytes = 4
            isRelative = true
        } else if addressSize == 16 {
            try encode16(memory)
        } else {
            try encode32(memory, addressSize: addressSize, mode: mode)
        }
    }

    // MARK: - 16-bit addresses

    private mutating func encode16(_ memory: RequestedMemory) throws(EncodingFailure) {
        try requireDisplacement(bits: 16)
        guard memory.scale == 1 else { throw .address(operand: operand, .registers16) }
        let registers = Set([memory.base, memory.index].filter { $0 != .none })
        if registers.isEmpty {
            modRM = 6
            displacementBytes = 2
            return
        }
        let order: [Set<Register>] = [[.bx, .si], [.bx, .di], [.bp, .si], [.bp, .di], [.si], [.di], [.bp], [.bx]]
        guard let rm = order.firstIndex(of: registers), memory.base != memory.index else {
            throw .address(operand: operand, .registers16)
        }
        try encodeDisplacement(memory, full: 16, allowsNone: registers != [.bp])
        modRM |= UInt8(truncatingIfNeeded: rm)
    }

    // MARK: - 32- and 64-bit addresses

    private mutating func encode32(
        _ memory: RequestedMemory, addressSize: Int, mode: CodeMode
    ) throws(EncodingFailure) {
        try requireDisplacement(bits: addressSize)
        guard memory.base == .none || memory.index == .none || memory.base.width == memory.index.width else {
            throw .address(operand: operand, .mixedSizes)
        }
        for register in [memory.base, memory.index] where mode != .bits64 && register != .none {
            if register.number >= 8 { throw .needs64BitMode(operand: operand, register) }
        }
        guard memory.index == .none || memory.index.number != 4 else {
            throw .address(operand: operand, .stackPointerAsIndex)
        }
        let scales: [UInt8] = [1, 2, 4, 8]
        guard let scale = scales.firstIndex(of: memory.scale) else { throw .address(operand: operand, .scale) }
        if memory.base == .none, memory.index == .none {
            displacementBytes = 4
            // Without a SIB byte the displacement would be relative in 64-bit mode
            modRM = mode == .bits64 ? 4 : 5
            sib = mode == .bits64 ? 0x25 : nil
            return
        }
        indexIsHigh = memory.index != .none && memory.index.number >= 8
        baseIsHigh = memory.base != .none && memory.base.number >= 8
        let index = memory.index == .none ? 4 : memory.index.number & 7
        if memory.base == .none {
            modRM = 4
            sib = UInt8(truncatingIfNeeded: scale << 6 | index << 3 | 5)
            displacementBytes = 4
            return
        }
        let base = memory.base.number & 7
        try encodeDisplacement(memory, full: 32, allowsNone: base != 5)
        if memory.index == .none, base != 4 {
            modRM |= UInt8(truncatingIfNeeded: base)
        } else {
            modRM |= 4
            sib = UInt8(truncatingIfNeeded: scale << 6 | index << 3 | base)
        }
    }

    // MARK: - Displacements

    /// Chooses mod and the length of the displacement behind a base register.
    private mutating func encodeDisplacement(
        _ memory: RequestedMemory, full: Int, allowsNone: Bool
    ) throws(EncodingFailure) {
        let address = full == 16 ? 16 : memory.base.width
        let value = memory.displacement.bits
        // In an address of 16 or 32 bits a large displacement is a negative one
        let reduced: Int64 =
            switch address {
            case 16: Int64(Int16(truncatingIfNeeded: value))
            case 32: Int64(Int32(truncatingIfNeeded: value))
            default: value
            }
        let fitsByte = reduced >= -128 && reduced <= 127
        switch memory.displacementSize {
        case 8:
            guard fitsByte else {
                throw .outOfRange(operand: operand, value: value, bits: 8, isSigned: true)
            }
            (modRM, displacementBytes) = (0x40, 1)
        case nil where memory.displacement.decidesSize && reduced == 0 && allowsNone:
            (modRM, displacementBytes) = (0, 0)
        case nil where memory.displacement.decidesSize && fitsByte:
            (modRM, displacementBytes) = (0x40, 1)
        case nil, full:
            (modRM, displacementBytes) = (0x80, full / 8)
        default:
            throw .address(operand: operand, .displacementSize)
        }
    }

    /// Refuses what the address cannot hold: in 64-bit addresses 32 bits that are extended with their sign.
    private func requireDisplacement(bits: Int) throws(EncodingFailure) {
        let value = displacement.bits
        let fits =
            switch bits {
            case 16: value >= -0x1_0000 && value <= 0xFFFF
            case 32: value >= -0x1_0000_0000 && value <= 0xFFFF_FFFF
            default: Int64(Int32(truncatingIfNeeded: value)) == value
            }
        guard fits else {
            throw .outOfRange(operand: operand, value: value, bits: min(bits, 32), isSigned: bits == 64)
        }
    }
}
