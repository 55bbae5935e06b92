import X86

// x87 loads, stores, constants and moves among the registers (SDM volume 1 sections 8.3.3 and 8.3.4).

extension Processor {
    /// The 10 bytes of a memory operand.
    func readTenBytes(_ instruction: borrowing Instruction) throws(Fault) -> (low: UInt64, high: UInt16) {
        let linear = try linearAddress(
            instruction.memory.segment, effectiveAddress(instruction), width: 10, .read)
        try checkAlignment(linear, 8)
        var bytes = Vector()
        try readBlock(linear, into: &bytes, count: 10)
        return (bytes[0], UInt16(truncatingIfNeeded: bytes[1]))
    }

    /// The linear address of a memory operand that can be written.
    ///
    /// Its faults come before the exceptions of the operation, even if those keep the result back.
    private func checkStore(_ instruction: borrowing Instruction, count: Int) throws(Fault) -> UInt64 {
        let linear = try linearAddress(
            instruction.memory.segment, effectiveAddress(instruction), width: count, .write)
        try checkAlignment(linear, UInt64(min(count, 8)))
        _ = try translateRange(linear, count: count, .write)
        return linear
    }

    /// A memory operand of 16, 32 or 64 bits as a signed integer.
    @inline(__always)
    func readInteger(_ instruction: borrowing Instruction) throws(Fault) -> Int64 {
        let operand = instruction.operands.0
        let value = try read(operand, of: instruction)
        let unused = UInt64(64 &- operand.width)
        return Int64(bitPattern: value &<< unused) &>> Int64(bitPattern: unused)
    }

    // MARK: Loads

    /// Pushes what `operation` makes; with the stack full the stack fault comes first.
    @inline(__always)
    private func pushResult(
        _ instruction: borrowing Instruction, _ operation: (inout X87Environment) -> Extended
    ) {
        var environment = x87Environment
        if !state.pointee.x87.isEmpty(7) {
            if raiseStackFault(&environment, isOverflow: true) { state.pointee.x87.push(.indefinite) }
        } else {
            let value = operation(&environment)
            if environment.deliversLoad { state.pointee.x87.push(value) }
        }
        complete(instruction, environment)
    }

    /// FLD from memory.
    func fld(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        let operand = instruction.operands.0
        if operand.kind == .register { return loadRegister(instruction, operand.register.x87Number) }
        switch operand.width {
        case 32:
            let bits = UInt32(truncatingIfNeeded: try read(operand, of: instruction))
            pushResult(instruction) { $0.load(binary32: bits) }
        case 64:
            let bits = try read(operand, of: instruction)
            pushResult(instruction) { $0.load(binary64: bits) }
        default:
            let bits = try readTenBytes(instruction)
            pushResult(instruction) { _ in Extended(significand: bits.low, signAndExponent: bits.high) }
        }
    }

    /// FLD ST(i); an empty source counts more than a full stack.
    private func loadRegister(_ instruction: borrowing Instruction, _ number: Int) {
        guard state.pointee.x87.isEmpty(number) else {
            let value = state.pointee.x87[number]
            return pushResult(instruction) { _ in value }
        }
        var environment = x87Environment
        if raiseStackFault(&environment, isOverflow: false) { state.pointee.x87.push(.indefinite) }
        complete(instruction, environment)
    }

    /// FILD.
    func fild(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        let integer = try readInteger(instruction)
        pushResult(instruction) { $0.load(integer: integer) }
    }

    /// FBLD.
    func fbld(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        let bits = try readTenBytes(instruction)
        pushResult(instruction) { $0.load(decimal: PackedDecimal(digits: bits.low, signAndTopDigits: bits.high)) }
    }

    /// FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2 and FLDZ.
    func loadConstant(_ instruction: borrowing Instruction, _ constant: X87Constant) throws(Fault) {
        try requireX87()
        pushResult(instruction) { $0.constant(constant) }
    }

    // MARK: Stores

    /// Stores to memory what `operation` makes of ST(0), `indefinite` for an empty register, and pops if asked to.
    @inline(__always)
    private func storeResult(
        _ instruction: borrowing Instruction, pops: Bool, indefinite: UInt64,
        _ operation: (inout X87Environment, Extended) -> UInt64
    ) throws(Fault) {
        try requireX87()
        _ = try checkStore(instruction, count: Int(instruction.operands.0.width) / 8)
        var environment = x87Environment
        let isEmpty = state.pointee.x87.isEmpty(0)
        if isEmpty {
            environment.raise(.invalidOperation)
            if environment.deliversToMemory { try write(instruction.operands.0, of: instruction, indefinite) }
            _ = raiseStackFault(&environment, isOverflow: false)
        } else {
            let value = operation(&environment, state.pointee.x87[0])
            if environment.deliversToMemory { try write(instruction.operands.0, of: instruction, value) }
        }
        if pops && environment.deliversToMemory { state.pointee.x87.pop() }
        complete(instruction, environment)
    }

    /// FST and FSTP.
    func fst(_ instruction: borrowing Instruction, pops: Bool) throws(Fault) {
        let operand = instruction.operands.0
        if operand.kind == .register { return try storeRegister(instruction, operand.register.x87Number, pops: pops) }
        switch operand.width {
        case 32:
            try storeResult(instruction, pops: pops, indefinite: 0xFFC0_0000) { UInt64($0.store32($1)) }
        case 64:
            try storeResult(instruction, pops: pops, indefinite: 0xFFF8_0000_0000_0000) { $0.store64($1) }
        default:
            try storeTenBytes(instruction) { environment, value in
                value.map { ($0.significand, $0.signAndExponent) }
                    ?? (Extended.indefinite.significand, Extended.indefinite.signAndExponent)
            }
        }
    }

    /// FSTP m80 and FBSTP: `operation` gets nil for an empty register.
    private func storeTenBytes(
        _ instruction: borrowing Instruction,
        _ operation: (inout X87Environment, Extended?) -> (UInt64, UInt16)
    ) throws(Fault) {
        try requireX87()
        let linear = try checkStore(instruction, count: 10)
        var environment = x87Environment
        let isEmpty = state.pointee.x87.isEmpty(0)
        if isEmpty { environment.raise(.invalidOperation) }
        let value = operation(&environment, isEmpty ? nil : state.pointee.x87[0])
        if environment.deliversToMemory {
            var bytes = Vector(value.0, UInt64(value.1))
            try writeBlock(linear, from: &bytes, count: 10)
            state.pointee.x87.pop()
        }
        if isEmpty { _ = raiseStackFault(&environment, isOverflow: false) }
        complete(instruction, environment)
    }

    /// FST and FSTP to ST(i).
    ///
    /// The alias D9 /3 raises no stack fault: with ST(0) empty it only moves TOP.
    private func storeRegister(_ instruction: borrowing Instruction, _ number: Int, pops: Bool) throws(Fault) {
        try requireX87()
        var environment = x87Environment
        if !state.pointee.x87.isEmpty(0) {
            state.pointee.x87[number] = state.pointee.x87[0]
        } else if instruction.definition.opcode != 0xD9, raiseStackFault(&environment, isOverflow: false) {
            state.pointee.x87[number] = .indefinite
        }
        if pops && environment.deliversToRegister { state.pointee.x87.pop() }
        complete(instruction, environment)
    }

    /// FIST and FISTP.
    func fist(_ instruction: borrowing Instruction, pops: Bool) throws(Fault) {
        switch instruction.operands.0.width {
        case 16:
            try storeResult(instruction, pops: pops, indefinite: 1 << 15) {
                UInt64(UInt16(bitPattern: $0.storeInt16($1)))
            }
        case 32:
            try storeResult(instruction, pops: pops, indefinite: 1 << 31) {
                UInt64(UInt32(bitPattern: $0.storeInt32($1)))
            }
        default:
            try storeResult(instruction, pops: pops, indefinite: 1 << 63) { UInt64(bitPattern: $0.storeInt64($1)) }
        }
    }

    /// FISTTP.
    func fisttp(_ instruction: borrowing Instruction) throws(Fault) {
        switch instruction.operands.0.width {
        case 16:
            try storeResult(instruction, pops: true, indefinite: 1 << 15) {
                UInt64(UInt16(bitPattern: $0.truncateToInt16($1)))
            }
        case 32:
            try storeResult(instruction, pops: true, indefinite: 1 << 31) {
                UInt64(UInt32(bitPattern: $0.truncateToInt32($1)))
            }
        default:
            try storeResult(instruction, pops: true, indefinite: 1 << 63) { UInt64(bitPattern: $0.truncateToInt64($1)) }
        }
    }

    /// FBSTP.
    func fbstp(_ instruction: borrowing Instruction) throws(Fault) {
        try storeTenBytes(instruction) { environment, value in
            let decimal = value.map { environment.storeDecimal($0) } ?? .indefinite
            return (decimal.digits, decimal.signAndTopDigits)
        }
    }

    // MARK: Among the registers

    /// FXCH: an empty register counts as the indefinite if the stack fault is masked.
    func fxch(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        let number = instruction.operands.1.register.x87Number
        var environment = x87Environment
        var (a, b) = (state.pointee.x87[0], state.pointee.x87[number])
        let isEmpty = (state.pointee.x87.isEmpty(0), state.pointee.x87.isEmpty(number))
        var isDone = true
        if isEmpty.0 || isEmpty.1 {
            isDone = raiseStackFault(&environment, isOverflow: false)
            if isEmpty.0 { a = .indefinite }
            if isEmpty.1 { b = .indefinite }
        }
        if isDone {
            state.pointee.x87[0] = b
            state.pointee.x87[number] = a
        }
        complete(instruction, environment)
    }

    /// FCMOVcc; C1 changes with a stack fault only.
    func fcmov(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        let number = instruction.operands.1.register.x87Number
        var environment = x87Environment
        if state.pointee.x87.isEmpty(0) || state.pointee.x87.isEmpty(number) {
            if raiseStackFault(&environment, isOverflow: false) { state.pointee.x87[0] = .indefinite }
            return complete(instruction, environment)
        }
        if state.pointee.holds(instruction.condition) { state.pointee.x87[0] = state.pointee.x87[number] }
        complete(instruction, environment, codes: 0)
    }
}
