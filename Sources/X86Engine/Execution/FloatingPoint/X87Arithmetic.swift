import X86

// x87 arithmetic, comparison and transcendental functions: how operands come from the stack and results go back.
// What is computed is in `X87Environment`.

extension Processor {
    /// The operation of FADD, FSUB, FMUL and FDIV.
    typealias X87Operation = (inout X87Environment, UnpackedNumber, UnpackedNumber) -> Extended

    /// FADD, FSUB, FSUBR, FMUL, FDIV, FDIVR, their popping and integer forms.
    ///
    /// `isReversed`: the source comes first. `isInteger`: a memory operand is one.
    func x87Arithmetic(
        _ instruction: borrowing Instruction, _ operation: X87Operation, isReversed: Bool = false,
        isInteger: Bool = false, pops: Bool = false
    ) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        let operand = instruction.operands.0
        var destination = 0
        var isEmpty = state.pointee.x87.isEmpty(0)
        let source: UnpackedNumber
        if operand.kind == .memory {
            source = try memoryNumber(instruction, isInteger: isInteger)
        } else {
            destination = operand.register.x87Number
            let number = instruction.operands.1.register.x87Number
            isEmpty = state.pointee.x87.isEmpty(destination) || state.pointee.x87.isEmpty(number)
            source = UnpackedNumber(state.pointee.x87[number])
        }
        var result = Extended.indefinite
        if isEmpty {
            _ = raiseStackFault(&environment, isOverflow: false)
        } else {
            let target = UnpackedNumber(state.pointee.x87[destination])
            result =
                isReversed ? operation(&environment, source, target) : operation(&environment, target, source)
        }
        if environment.deliversToRegister {
            state.pointee.x87[destination] = result
            if pops { state.pointee.x87.pop() }
        }
        complete(instruction, environment)
    }

    /// A memory operand of 16, 32 or 64 bits.
    private func memoryNumber(
        _ instruction: borrowing Instruction, isInteger: Bool
    ) throws(Fault) -> UnpackedNumber {
        if isInteger { return UnpackedNumber(try readInteger(instruction)) }
        let bits = try read(instruction.operands.0, of: instruction)
        return instruction.operands.0.width == 32
            ? UnpackedNumber(binary32: UInt32(truncatingIfNeeded: bits)) : UnpackedNumber(binary64: bits)
    }

    // MARK: Functions

    /// ST(0) = operation(ST(0)); `codes` are the condition codes that the instruction sets.
    func x87Function(
        _ instruction: borrowing Instruction, codes: UInt16 = X87Status.C1,
        _ operation: (inout X87Environment, Extended) -> Extended
    ) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        var result = Extended.indefinite
        if state.pointee.x87.isEmpty(0) {
            _ = raiseStackFault(&environment, isOverflow: false)
        } else {
            result = operation(&environment, state.pointee.x87[0])
        }
        if environment.deliversToRegister { state.pointee.x87[0] = result }
        complete(instruction, environment, codes: codes)
    }

    /// ST(0) = operation(ST(0), ST(1)): FSCALE, and FPREM and FPREM1 (`givesQuotient`: in C0, C3 and C1).
    func x87Function2(
        _ instruction: borrowing Instruction, givesQuotient: Bool = false,
        _ operation: (inout X87Environment, Extended, Extended) -> Extended
    ) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        var result = Extended.indefinite
        if state.pointee.x87.isEmpty(0) || state.pointee.x87.isEmpty(1) {
            _ = raiseStackFault(&environment, isOverflow: false)
        } else {
            result = operation(&environment, state.pointee.x87[0], state.pointee.x87[1])
        }
        if environment.deliversToRegister { state.pointee.x87[0] = result }
        // Without a quotient C0 and C3 stay, which the manuals leave open.
        let hasQuotient = environment.deliversToRegister && result.classification != .notANumber
        let codes =
            !givesQuotient
            ? X87Status.C1 : hasQuotient ? X87Status.conditionCodes : X87Status.C1 | X87Status.C2
        complete(instruction, environment, codes: codes)
    }

    /// ST(1) = operation(ST(0), ST(1)), and pops: FYL2X, FYL2XP1 and FPATAN.
    func x87FunctionPopping(
        _ instruction: borrowing Instruction,
        _ operation: (inout X87Environment, Extended, Extended) -> Extended
    ) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        var result = Extended.indefinite
        if state.pointee.x87.isEmpty(0) || state.pointee.x87.isEmpty(1) {
            _ = raiseStackFault(&environment, isOverflow: false)
        } else {
            result = operation(&environment, state.pointee.x87[0], state.pointee.x87[1])
        }
        if environment.deliversToRegister {
            state.pointee.x87[1] = result
            state.pointee.x87.pop()
        }
        complete(instruction, environment)
    }

    /// ST(0) = first result, then the second pushed unless C2 says there is none: FSINCOS, FPTAN and FXTRACT.
    func x87FunctionPushing(
        _ instruction: borrowing Instruction, codes: UInt16,
        _ operation: (inout X87Environment, Extended) -> (Extended, Extended)
    ) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        var results = (Extended.indefinite, Extended.indefinite)
        let isUnderflow = state.pointee.x87.isEmpty(0)
        if isUnderflow || !state.pointee.x87.isEmpty(7) {
            _ = raiseStackFault(&environment, isOverflow: !isUnderflow)
        } else {
            results = operation(&environment, state.pointee.x87[0])
        }
        if environment.deliversToRegister && environment.conditionCodes & codes & X87Status.C2 == 0 {
            state.pointee.x87[0] = results.0
            state.pointee.x87.push(results.1)
        }
        complete(instruction, environment, codes: codes)
    }

    // MARK: Comparison

    /// What ST(0) is compared with: a register, memory, or zero without an operand (FTST).
    private func comparand(
        _ instruction: borrowing Instruction, isInteger: Bool, isTest: Bool
    ) throws(Fault) -> (number: UnpackedNumber, isEmpty: Bool) {
        if isTest { return (.zero(isNegative: false), false) }
        if instruction.operands.0.kind == .memory {
            return (try memoryNumber(instruction, isInteger: isInteger), false)
        }
        // FCOMPP and FUCOMPP name no operands.
        let number = instruction.operandCount == 0 ? 1 : instruction.operands.1.register.x87Number
        return (UnpackedNumber(state.pointee.x87[number]), state.pointee.x87.isEmpty(number))
    }

    /// FCOM, FCOMP, FCOMPP, FICOM, FICOMP and FTST (`signalsQuietNaN`), FUCOM, FUCOMP and FUCOMPP.
    func x87Compare(
        _ instruction: borrowing Instruction, signalsQuietNaN: Bool = true, isInteger: Bool = false,
        isTest: Bool = false, pops: Int = 0
    ) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        let other = try comparand(instruction, isInteger: isInteger, isTest: isTest)
        let ordering = compareTop(&environment, other, signalsQuietNaN: signalsQuietNaN)
        environment.conditionCodes = ordering.conditionCodes
        if environment.deliversToRegister { for _ in 0..<pops { state.pointee.x87.pop() } }
        complete(instruction, environment, codes: X87Status.conditionCodes)
    }

    /// FCOMI and FCOMIP (`signalsQuietNaN`), FUCOMI and FUCOMIP: the outcome goes to ZF, PF and CF.
    func x87CompareToFlags(
        _ instruction: borrowing Instruction, signalsQuietNaN: Bool, pops: Bool = false
    ) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        let other = try comparand(instruction, isInteger: false, isTest: false)
        let ordering = compareTop(&environment, other, signalsQuietNaN: signalsQuietNaN)
        state.pointee.setStatusFlags(UInt64(ordering.statusFlags), mask: RFLAGS.status)
        if environment.deliversToRegister && pops { state.pointee.x87.pop() }
        complete(instruction, environment)
    }

    private func compareTop(
        _ environment: inout X87Environment, _ other: (number: UnpackedNumber, isEmpty: Bool), signalsQuietNaN: Bool
    ) -> FloatingPointOrdering {
        if state.pointee.x87.isEmpty(0) || other.isEmpty {
            _ = raiseStackFault(&environment, isOverflow: false)
            return .unordered
        }
        return environment.compare(
            UnpackedNumber(state.pointee.x87[0]), other.number, signalsQuietNaN: signalsQuietNaN)
    }

    /// FXAM: the class in C3, C2 and C0, the sign in C1, also of an empty register.
    func fxam(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        let value = state.pointee.x87[0]
        environment.conditionCodes =
            state.pointee.x87.isEmpty(0)
            ? Extended.Class.empty.rawValue | (value.isNegative ? X87Status.C1 : 0) : value.examination
        complete(instruction, environment, codes: X87Status.conditionCodes)
    }
}
