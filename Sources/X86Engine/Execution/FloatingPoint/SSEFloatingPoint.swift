import X86

// SSE instructions on floating-point numbers that are more than an operation on each element.

extension Processor {
    /// COMISS, COMISD (`signalsQuietNaN`), UCOMISS and UCOMISD: ZF, PF and CF say how the operands compare.
    func compareScalar(_ instruction: borrowing Instruction, signalsQuietNaN: Bool) throws(Fault) {
        try requireSSE()
        let operand = instruction.operands.1
        let source = try scalar(operand, of: instruction)
        let destination = xmm(instruction.operands.0.register).pointee[0]
        var environment = SSEEnvironment(mxcsr: state.pointee.sse.mxcsr)
        let ordering =
            operand.width == 64
            ? environment.compare64(destination, source, signalsQuietNaN: signalsQuietNaN)
            : environment.compare32(
                UInt32(truncatingIfNeeded: destination), UInt32(truncatingIfNeeded: source),
                signalsQuietNaN: signalsQuietNaN)
        try retire(&environment)
        state.pointee.setStatusFlags(UInt64(ordering.statusFlags), mask: RFLAGS.status)
    }

    /// CMPPS, CMPSS, CMPPD and CMPSD.
    func comparePacked32(_ instruction: borrowing Instruction) throws(Fault) {
        let predicate = SSEPredicate(immediate: UInt8(truncatingIfNeeded: instruction.immediate))
        try packed32(instruction) { $0.compare32($1, $2, predicate) }
    }

    func comparePacked64(_ instruction: borrowing Instruction) throws(Fault) {
        let predicate = SSEPredicate(immediate: UInt8(truncatingIfNeeded: instruction.immediate))
        try packed64(instruction) { $0.compare64($1, $2, predicate) }
    }

    func compareScalar32(_ instruction: borrowing Instruction) throws(Fault) {
        let predicate = SSEPredicate(immediate: UInt8(truncatingIfNeeded: instruction.immediate))
        try scalar32(instruction) { $0.compare32($1, $2, predicate) }
    }

    func compareScalar64(_ instruction: borrowing Instruction) throws(Fault) {
        let predicate = SSEPredicate(immediate: UInt8(truncatingIfNeeded: instruction.immediate))
        try scalar64(instruction) { $0.compare64($1, $2, predicate) }
    }

    /// An operation with an immediate on all elements or one: ROUNDPS, ROUNDSD, DPPS and the like.
    func withImmediate(
        _ instruction: borrowing Instruction, _ operation: (inout SSEEnvironment, Vector, Vector, UInt8) -> Vector
    ) throws(Fault) {
        let immediate = UInt8(truncatingIfNeeded: instruction.immediate)
        try packedArithmetic(instruction) { operation(&$0, $1, $2, immediate) }
    }

    /// ROUNDPS, and ROUNDSS, whose operand is 32 bits wide.
    func roundSingles(_ instruction: borrowing Instruction) throws(Fault) {
        let immediate = UInt8(truncatingIfNeeded: instruction.immediate)
        if instruction.operands.0.width == 32 {
            try scalar32(instruction) { $0.roundToIntegral32($2, immediate: immediate) }
        } else {
            try packed32(instruction) { $0.roundToIntegral32($2, immediate: immediate) }
        }
    }

    /// ROUNDPD, and ROUNDSD, whose operand is 64 bits wide.
    func roundDoubles(_ instruction: borrowing Instruction) throws(Fault) {
        let immediate = UInt8(truncatingIfNeeded: instruction.immediate)
        if instruction.operands.0.width == 64 {
            try scalar64(instruction) { $0.roundToIntegral64($2, immediate: immediate) }
        } else {
            try packed64(instruction) { $0.roundToIntegral64($2, immediate: immediate) }
        }
    }

    // MARK: Conversions between general and XMM registers

    /// CVTSI2SS and CVTSI2SD.
    func convertInteger(
        _ instruction: borrowing Instruction,
        narrow: (inout SSEEnvironment, Int32) -> UInt64, wide: (inout SSEEnvironment, Int64) -> UInt64
    ) throws(Fault) {
        try requireSSE()
        let operand = instruction.operands.1
        let source = try read(operand, of: instruction)
        var environment = SSEEnvironment(mxcsr: state.pointee.sse.mxcsr)
        let result =
            operand.width == 64
            ? wide(&environment, Int64(bitPattern: source)) : narrow(&environment, Int32(truncatingIfNeeded: source))
        try retire(&environment)
        let destination = instruction.operands.0
        if destination.width == 64 {
            xmm(destination.register).pointee[0] = result
        } else {
            setXMMSingle(destination.register, UInt32(truncatingIfNeeded: result))
        }
    }

    /// CVTSS2SI, CVTSD2SI and the truncating CVTTSS2SI, CVTTSD2SI.
    func convertToInteger(
        _ instruction: borrowing Instruction,
        narrow: (inout SSEEnvironment, UInt64) -> Int32, wide: (inout SSEEnvironment, UInt64) -> Int64
    ) throws(Fault) {
        try requireSSE()
        let source = try scalar(instruction.operands.1, of: instruction)
        let destination = instruction.operands.0
        var environment = SSEEnvironment(mxcsr: state.pointee.sse.mxcsr)
        let result =
            destination.width == 64
            ? UInt64(bitPattern: wide(&environment, source))
            : UInt64(UInt32(bitPattern: narrow(&environment, source)))
        try retire(&environment)
        setGeneral(destination.register, result)
    }

    /// CVTSS2SD.
    func cvtss2sd(_ instruction: borrowing Instruction) throws(Fault) {
        try scalar64(instruction) { $0.convert32To64(UInt32(truncatingIfNeeded: $2)) }
    }

    /// CVTSD2SS: of a 64-bit source, to the low 32 bits.
    func cvtsd2ss(_ instruction: borrowing Instruction) throws(Fault) {
        try scalar64(instruction) { $1 & ~0xFFFF_FFFF | UInt64($0.convert64To32($2)) }
    }

    // MARK: Conversions between XMM and MMX registers

    /// CVTPI2PS and CVTPI2PD; a memory operand has nothing to do with MMX.
    ///
    /// These four go over to MMX before #XM, as processors do.
    func convertFromMMX(
        _ instruction: borrowing Instruction, _ operation: (inout SSEEnvironment, Vector, Vector) -> Vector
    ) throws(Fault) {
        try requireSSE()
        let operand = instruction.operands.1
        if operand.kind == .register { try requireMMX() }
        let source = try mmxSource(operand, of: instruction)
        let target = xmm(instruction.operands.0.register)
        var environment = SSEEnvironment(mxcsr: state.pointee.sse.mxcsr)
        let result = operation(&environment, target.pointee, Vector(source, 0))
        if operand.kind == .register { enterMMX() }
        try retire(&environment)
        target.pointee = result
    }

    /// CVTPS2PI, CVTPD2PI, CVTTPS2PI and CVTTPD2PI.
    func convertToMMX(
        _ instruction: borrowing Instruction, _ operation: (inout SSEEnvironment, Vector) -> UInt64
    ) throws(Fault) {
        try requireSSE()
        try requireMMX()
        let operand = instruction.operands.1
        let source =
            operand.kind == .register || operand.width == 128
            ? try vector(operand, of: instruction) : Vector(try read(operand, of: instruction), 0)
        var environment = SSEEnvironment(mxcsr: state.pointee.sse.mxcsr)
        let result = operation(&environment, source)
        enterMMX()
        try retire(&environment)
        setMMX(instruction.operands.0.register, result)
    }
}

/// The packed conversions, element by element.
enum PackedConversion {
    /// CVTPS2DQ and CVTTPS2DQ, and CVTPS2PI with the low half.
    @inline(__always)
    static func singles(
        _ environment: inout SSEEnvironment, _ source: Vector, count: Int,
        _ operation: (inout SSEEnvironment, UInt32) -> Int32
    ) -> Vector {
        let singles = source.doublewords
        var result = SIMD4<Int32>()
        for lane in 0..<count { result[lane] = operation(&environment, singles[lane]) }
        return Vector(bits: result)
    }

    /// CVTPD2DQ, CVTPD2PI and CVTPD2PS with their truncating forms: two doublewords.
    @inline(__always)
    static func doubles(
        _ environment: inout SSEEnvironment, _ source: Vector, _ operation: (inout SSEEnvironment, UInt64) -> UInt32
    ) -> UInt64 {
        UInt64(operation(&environment, source[0])) | UInt64(operation(&environment, source[1])) << 32
    }

    /// CVTDQ2PS, and CVTPI2PS with the low half.
    @inline(__always)
    static func integersToSingles(_ environment: inout SSEEnvironment, _ source: Vector, count: Int) -> Vector {
        let integers = source.signedDoublewords
        var result = SIMD4<UInt32>()
        for lane in 0..<count { result[lane] = environment.convertInt32To32(integers[lane]) }
        return Vector(bits: result)
    }

    /// CVTDQ2PD and CVTPI2PD: exact.
    static func integersToDoubles(_ environment: inout SSEEnvironment, _ source: Vector) -> Vector {
        let integers = source.signedDoublewords
        return Vector(environment.convertInt32To64(integers[0]), environment.convertInt32To64(integers[1]))
    }
}
