import X86

// The shapes that instructions on XMM and MMX registers have; what they compute is a closure without context, so a
// row of the switch in `Execute.swift` says all there is to say about an operation.

extension Processor {
    /// An XMM register or 128 bits of memory.
    @inline(__always)
    func vector(
        _ operand: Operand, of instruction: borrowing Instruction, _ alignment: Alignment = .required
    ) throws(Fault) -> Vector {
        if operand.kind == .register { return xmm(operand.register).pointee }
        return try readVector(try vectorAddress(instruction, alignment, .read))
    }

    /// An XMM register's low quadword or that much of memory, or less: as wide as the operand.
    @inline(__always)
    func scalar(_ operand: Operand, of instruction: borrowing Instruction) throws(Fault) -> UInt64 {
        if operand.kind == .register { return xmm(operand.register).pointee[0] }
        return try read(operand, of: instruction)
    }

    /// An MMX register or memory as wide as the operand (32 bits for PUNPCKLBW and its kin).
    @inline(__always)
    func mmxSource(_ operand: Operand, of instruction: borrowing Instruction) throws(Fault) -> UInt64 {
        if operand.kind == .register { return mmx(operand.register) }
        return try read(operand, of: instruction)
    }

    // MARK: Packed integers, on XMM or MMX registers

    /// destination = operation(destination, source), where an MMX operand is the low half of an XMM one.
    func packed(
        _ instruction: borrowing Instruction, _ operation: (Vector, Vector) -> Vector
    ) throws(Fault) {
        let destination = instruction.operands.0.register
        if destination.isXMM {
            try requireSSE()
            let source = try vector(instruction.operands.1, of: instruction)
            let target = xmm(destination)
            target.pointee = operation(target.pointee, source)
        } else {
            try onMMX(instruction) { destination, source in
                operation(Vector(destination, 0), Vector(source, 0))[0]
            }
        }
    }

    /// The same where the halves of the result come from the two operands: packing and horizontal operations.
    func packedPair(
        _ instruction: borrowing Instruction, _ operation: (Vector, Vector) -> Vector
    ) throws(Fault) {
        if instruction.operands.0.register.isXMM { return try packed(instruction, operation) }
        try onMMX(instruction) { destination, source in
            let result = operation(Vector(destination, 0), Vector(source, 0))
            return result[0] & 0xFFFF_FFFF | result[1] << 32
        }
    }

    /// The same for the operations that interleave the high halves: `operation` interleaves low halves.
    func packedHigh(
        _ instruction: borrowing Instruction, _ operation: (Vector, Vector) -> Vector
    ) throws(Fault) {
        if instruction.operands.0.register.isXMM {
            try packed(instruction) { operation(Vector($0[1], 0), Vector($1[1], 0)) }
        } else {
            try onMMX(instruction) { operation(Vector($0, 0), Vector($1, 0))[1] }
        }
    }

    /// A shift by an immediate or by the low quadword of the source.
    func packedShift(
        _ instruction: borrowing Instruction, _ operation: (Vector, UInt64) -> Vector
    ) throws(Fault) {
        let destination = instruction.operands.0.register
        let isImmediate = instruction.operands.1.kind == .immediate
        if destination.isXMM {
            try requireSSE()
            let count = isImmediate ? instruction.immediate : try vector(instruction.operands.1, of: instruction)[0]
            let target = xmm(destination)
            target.pointee = operation(target.pointee, count)
        } else {
            try requireMMX()
            let count = isImmediate ? instruction.immediate : try mmxSource(instruction.operands.1, of: instruction)
            enterMMX()
            setMMX(destination, operation(Vector(mmx(destination), 0), count)[0])
        }
    }

    /// mm = operation(mm, mm/m64).
    @inline(__always)
    func onMMX(_ instruction: borrowing Instruction, _ operation: (UInt64, UInt64) -> UInt64) throws(Fault) {
        try requireMMX()
        let source = try mmxSource(instruction.operands.1, of: instruction)
        let destination = instruction.operands.0.register
        enterMMX()
        setMMX(destination, operation(mmx(destination), source))
    }

    // MARK: XMM registers only

    /// xmm = operation(xmm, xmm/m128, immediate).
    func packedImmediate(
        _ instruction: borrowing Instruction, _ operation: (Vector, Vector, UInt8) -> Vector
    ) throws(Fault) {
        try requireSSE()
        let source = try vector(instruction.operands.1, of: instruction)
        let target = xmm(instruction.operands.0.register)
        target.pointee = operation(target.pointee, source, UInt8(truncatingIfNeeded: instruction.immediate))
    }

    /// xmm = operation(what 16, 32, 64 or 128 bits of the source hold), for conversions and extensions.
    func packedConversion(
        _ instruction: borrowing Instruction, _ operation: (Vector) -> Vector
    ) throws(Fault) {
        try requireSSE()
        let operand = instruction.operands.1
        let source =
            operand.kind == .register || operand.width == 128
            ? try vector(operand, of: instruction) : Vector(try read(operand, of: instruction), 0)
        xmm(instruction.operands.0.register).pointee = operation(source)
    }

    // MARK: Floating point

    /// Ends an instruction: its flags go to MXCSR, and an unmasked exception becomes #XM, or #UD without
    /// CR4.OSXMMEXCPT (SDM volume 1 section 11.5.3).
    @inline(__always)
    func retire(_ environment: inout SSEEnvironment) throws(Fault) {
        let isComplete = environment.retire()
        state.pointee.sse.mxcsr = environment.mxcsr
        if !isComplete { throw state.pointee.cr4 & CR4.OSXMMEXCPT != 0 ? .simdFloatingPoint : .invalidOpcode }
    }

    /// An operation on the low 64 bits; the high ones stay.
    @inline(__always)
    func scalar64(
        _ instruction: borrowing Instruction, _ operation: (inout SSEEnvironment, UInt64, UInt64) -> UInt64
    ) throws(Fault) {
        try requireSSE()
        let source = try scalar(instruction.operands.1, of: instruction)
        let target = xmm(instruction.operands.0.register)
        var environment = SSEEnvironment(mxcsr: state.pointee.sse.mxcsr)
        let result = operation(&environment, target.pointee[0], source)
        try retire(&environment)
        target.pointee[0] = result
    }

    /// An operation on the low 32 bits; the others stay.
    @inline(__always)
    func scalar32(
        _ instruction: borrowing Instruction, _ operation: (inout SSEEnvironment, UInt32, UInt32) -> UInt32
    ) throws(Fault) {
        try requireSSE()
        let source = UInt32(truncatingIfNeeded: try scalar(instruction.operands.1, of: instruction))
        let destination = instruction.operands.0.register
        var environment = SSEEnvironment(mxcsr: state.pointee.sse.mxcsr)
        let result = operation(&environment, xmmSingle(destination), source)
        try retire(&environment)
        setXMMSingle(destination, result)
    }

    /// An operation on both operands as a whole.
    @inline(__always)
    func packedArithmetic(
        _ instruction: borrowing Instruction, _ operation: (inout SSEEnvironment, Vector, Vector) -> Vector
    ) throws(Fault) {
        try requireSSE()
        let operand = instruction.operands.1
        let source =
            operand.kind == .register || operand.width == 128
            ? try vector(operand, of: instruction) : Vector(try read(operand, of: instruction), 0)
        let target = xmm(instruction.operands.0.register)
        var environment = SSEEnvironment(mxcsr: state.pointee.sse.mxcsr)
        let result = operation(&environment, target.pointee, source)
        try retire(&environment)
        target.pointee = result
    }

    /// An operation on each pair of 64-bit elements.
    @inline(__always)
    func packed64(
        _ instruction: borrowing Instruction, _ operation: (inout SSEEnvironment, UInt64, UInt64) -> UInt64
    ) throws(Fault) {
        try packedArithmetic(instruction) { environment, a, b in
            Vector(operation(&environment, a[0], b[0]), operation(&environment, a[1], b[1]))
        }
    }

    /// An operation on each pair of 32-bit elements.
    @inline(__always)
    func packed32(
        _ instruction: borrowing Instruction, _ operation: (inout SSEEnvironment, UInt32, UInt32) -> UInt32
    ) throws(Fault) {
        try packedArithmetic(instruction) { environment, a, b in
            var result = a.doublewords
            let other = b.doublewords
            for lane in 0..<4 { result[lane] = operation(&environment, result[lane], other[lane]) }
            return Vector(bits: result)
        }
    }
}
