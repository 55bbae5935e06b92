import X86

// Data movement among XMM registers, MMX registers, general registers and memory.

extension Processor {
    /// MOVAPS, MOVAPD, MOVDQA, MOVNTPS, MOVNTPD, MOVNTDQ, MOVNTDQA (aligned); MOVUPS, MOVUPD, MOVDQU, LDDQU (free).
    func moveVector(_ instruction: borrowing Instruction, _ alignment: Alignment) throws(Fault) {
        try requireSSE()
        let destination = instruction.operands.0
        if destination.kind == .register {
            xmm(destination.register).pointee = try vector(instruction.operands.1, of: instruction, alignment)
        } else {
            let value = xmm(instruction.operands.1.register).pointee
            try writeVector(try vectorAddress(instruction, alignment, .write), value)
        }
    }

    /// MOVD and MOVQ in all their forms: the destination register is filled up with zeros.
    func moveQuadword(_ instruction: borrowing Instruction) throws(Fault) {
        let destination = instruction.operands.0
        let source = instruction.operands.1
        let usesMMX = destination.register.isMMX || source.register.isMMX
        if usesMMX { try requireMMX() } else { try requireSSE() }
        let value: UInt64
        if source.register.isXMM {
            value = xmm(source.register).pointee[0]
        } else if source.register.isMMX {
            value = mmx(source.register)
        } else {
            value = try read(source, of: instruction)
        }
        if destination.register.isXMM {
            xmm(destination.register).pointee = Vector(value, 0)
        } else if destination.register.isMMX {
            enterMMX()
            setMMX(destination.register, value)
        } else {
            try write(destination, of: instruction, value)
            if usesMMX { enterMMX() }
        }
    }

    /// MOVQ2DQ and MOVDQ2Q: both register files, so both are checked.
    func moveBetweenFiles(_ instruction: borrowing Instruction) throws(Fault) {
        try requireSSE()
        try requireMMX()
        let destination = instruction.operands.0.register
        let source = instruction.operands.1.register
        if destination.isXMM {
            xmm(destination).pointee = Vector(mmx(source), 0)
            enterMMX()
        } else {
            enterMMX()
            setMMX(destination, xmm(source).pointee[0])
        }
    }

    /// MOVNTQ.
    func storeMMX(_ instruction: borrowing Instruction) throws(Fault) {
        try requireMMX()
        try write(instruction.operands.0, of: instruction, mmx(instruction.operands.1.register))
        enterMMX()
    }

    /// MOVSS and MOVSD: loads clear the rest of the register, moves between registers keep it.
    func moveScalar(_ instruction: borrowing Instruction) throws(Fault) {
        try requireSSE()
        let destination = instruction.operands.0
        let source = instruction.operands.1
        if source.kind == .memory {
            xmm(destination.register).pointee = Vector(try read(source, of: instruction), 0)
            return
        }
        let value = xmm(source.register).pointee[0]
        if destination.kind == .memory {
            try write(destination, of: instruction, value)
        } else if destination.width == 64 {
            xmm(destination.register).pointee[0] = value
        } else {
            setXMMSingle(destination.register, UInt32(truncatingIfNeeded: value))
        }
    }

    /// MOVLPS, MOVLPD, MOVHPS, MOVHPD, MOVHLPS and MOVLHPS: one half of a register.
    ///
    /// `half` is the half of the XMM register that takes or gives the value; between registers `other` is that of
    /// the source.
    func moveHalf(_ instruction: borrowing Instruction, half: Int, other: Int) throws(Fault) {
        try requireSSE()
        let destination = instruction.operands.0
        let source = instruction.operands.1
        if destination.kind == .memory {
            try write(destination, of: instruction, xmm(source.register).pointee[half])
        } else if source.kind == .memory {
            xmm(destination.register).pointee[half] = try read(source, of: instruction)
        } else {
            xmm(destination.register).pointee[half] = xmm(source.register).pointee[other]
        }
    }

    /// MOVMSKPS, MOVMSKPD and PMOVMSKB on an XMM register.
    @inline(__always)
    func moveMask(_ instruction: borrowing Instruction, _ mask: (Vector) -> UInt64) throws(Fault) {
        let source = instruction.operands.1.register
        if source.isXMM {
            try requireSSE()
            setGeneral(instruction.operands.0.register, mask(xmm(source).pointee))
        } else {
            try requireMMX()
            enterMMX()
            setGeneral(instruction.operands.0.register, mask(Vector(mmx(source), 0)))
        }
    }

    /// PMOVMSKB.
    func pmovmskb(_ instruction: borrowing Instruction) throws(Fault) {
        try moveMask(instruction) { Self.byteSigns($0[0]) | Self.byteSigns($0[1]) << 8 }
    }

    /// The sign bits of eight bytes.
    @inline(__always)
    private static func byteSigns(_ bytes: UInt64) -> UInt64 {
        // The product moves bit 8n to bit 56 + n; no two partial products meet.
        ((bytes >> 7 & 0x0101_0101_0101_0101) &* 0x0102_0408_1020_4080) >> 56
    }

    /// PINSRB, PINSRW, PINSRD and PINSRQ: one element of a register from a general register or memory.
    func insertElement(_ instruction: borrowing Instruction, bits: UInt64) throws(Fault) {
        let destination = instruction.operands.0.register
        let mask: UInt64 = bits == 64 ? .max : (1 << bits) &- 1
        if destination.isXMM { try requireSSE() } else { try requireMMX() }
        let value = try read(instruction.operands.1, of: instruction) & mask
        let position = (instruction.immediate & 0xFF) &* bits
        let shift = position & 63
        if destination.isXMM {
            let half = Int(truncatingIfNeeded: position >> 6 & 1)
            let target = xmm(destination)
            target.pointee[half] = target.pointee[half] & ~(mask << shift) | value << shift
        } else {
            enterMMX()
            setMMX(destination, mmx(destination) & ~(mask << shift) | value << shift)
        }
    }

    /// PEXTRB, PEXTRW, PEXTRD, PEXTRQ and EXTRACTPS: one element to a general register, zero-extended, or memory.
    func extractElement(_ instruction: borrowing Instruction, bits: UInt64) throws(Fault) {
        let source = instruction.operands.1.register
        let mask: UInt64 = bits == 64 ? .max : (1 << bits) &- 1
        let position = (instruction.immediate & 0xFF) &* bits
        if source.isXMM {
            try requireSSE()
            let half = xmm(source).pointee[Int(truncatingIfNeeded: position >> 6 & 1)]
            try write(instruction.operands.0, of: instruction, half >> (position & 63) & mask)
        } else {
            try requireMMX()
            setGeneral(instruction.operands.0.register, mmx(source) >> (position & 63) & mask)
            enterMMX()
        }
    }

    /// MASKMOVQ and MASKMOVDQU: the bytes whose mask byte has its top bit set.
    ///
    /// Only the range from the first to the last selected byte is checked, and nothing with an empty mask, which the
    /// manuals leave to the implementation; alignment is that of the whole operand to 8 bytes.
    func maskedStore(_ instruction: borrowing Instruction) throws(Fault) {
        let isXMM = instruction.operands.0.register.isXMM
        let value: Vector
        let mask: UInt64
        if isXMM {
            try requireSSE()
            value = xmm(instruction.operands.0.register).pointee
            let selector = xmm(instruction.operands.1.register).pointee
            mask = Self.byteSigns(selector[0]) | Self.byteSigns(selector[1]) << 8
        } else {
            try requireMMX()
            value = Vector(mmx(instruction.operands.0.register), 0)
            mask = Self.byteSigns(mmx(instruction.operands.1.register))
        }
        if mask != 0 {
            let first = mask.trailingZeroBitCount
            let last = 63 &- mask.leadingZeroBitCount
            let offset = truncate(
                effectiveAddress(instruction) &+ UInt64(first), width: Int(instruction.addressSize))
            let linear = try linearAddress(instruction.memory.segment, offset, width: last - first + 1, .write)
            try checkAlignment(linear &- UInt64(first), 8)
            _ = try translateRange(linear, count: last - first + 1, .write)
            let bytes = value.bytes
            for index in first...last where mask >> UInt64(index) & 1 != 0 {
                try writeLinear(wrapLinear(linear &+ UInt64(index - first)), UInt64(bytes[index]), width: 1)
            }
        }
        if !isXMM { enterMMX() }
    }
}
