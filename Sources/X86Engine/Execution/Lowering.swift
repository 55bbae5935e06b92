import X86

// From decoded instructions to operations of the hot loop. What has no case there becomes `slow` or `slowEnd`, so
// lowering is a question of speed only.

/// Byte offsets into `ProcessorState` that operations carry.
enum StateOffset {
    static let fsBase = UInt8(truncatingIfNeeded: MemoryLayout<ProcessorState>.offset(of: \.fs.base) ?? 128)
    static let gsBase = UInt8(truncatingIfNeeded: MemoryLayout<ProcessorState>.offset(of: \.gs.base) ?? 128)

    /// Where a general register begins.
    static func general(_ register: Register) -> UInt8 {
        switch register.class {
        case .general64, .general32, .general16, .general8:
            UInt8(truncatingIfNeeded: register.number * 8)
        case .general8High:
            UInt8(truncatingIfNeeded: (register.number - 4) * 8 + 1)
        case .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none:
            MicroOperation.zero
        }
    }
}

/// The codes of one operation in its register and memory forms, for one operand size.
private struct Forms {
    var registerRegister: MicroOperation.Code
    var registerImmediate: MicroOperation.Code?
    var registerMemory: MicroOperation.Code?
    var memoryRegister: MicroOperation.Code?
    var memoryImmediate: MicroOperation.Code?
}

/// What surrounds the instruction being lowered.
struct LoweringContext {
    var mode: ExecutionMode
    var position: UInt8
    var nextRIP: UInt64
    /// The instruction is part of a monitor's code and retires none of the guest's.
    var isHidden = false
}

extension Instruction {
    /// The operation of the hot loop for this instruction, or nil if it has none.
    func lowered(_ context: LoweringContext) -> MicroOperation? {
        guard context.mode.isFlat,
            prefixes.rawValue & (Prefixes.vex.rawValue | Prefixes.anyRepeat.rawValue) == 0 || operation == .ret
        else { return nil }
        if operandCount > 0, let forms = binaryForms { return lowerBinary(forms, context) }
        if context.isHidden && endsBlock { return lowerHiddenBranch(context) }
        return lowerOther(context)
    }

    /// A branch that retires no instruction of the guest; nil leaves it to `slowEnd`.
    private func lowerHiddenBranch(_ context: LoweringContext) -> MicroOperation? {
        let wide = context.mode.code == 64
        let target = (context.nextRIP &+ immediate) & (wide ? .max : 0xFFFF_FFFF)
        switch (operation, operands.0.kind) {
        case (.jmp, .relative):
            guard Processor.isCanonical(target) else { return nil }
            return branch(.fallThrough, target, context)
        case (.jmp, .memory): return wide ? withAddress(.hiddenJmpM64, context) : nil
        case (.jcxz, .relative):
            guard wide, addressSize == 64, Processor.isCanonical(target) else { return nil }
            return branch(.hiddenJrcxz, target, context)
        default: return nil
        }
    }

    private func make(_ code: MicroOperation.Code, _ context: LoweringContext) -> MicroOperation {
        MicroOperation(code, length: length, position: context.position, nextRIP: context.nextRIP)
    }

    /// Fills the address fields; false if the operand needs the general path.
    private func address(_ op: inout MicroOperation, _ context: LoweringContext) -> Bool {
        let wide = context.mode.code == 64
        guard addressSize == context.mode.code else { return false }
        switch memory.segment {
        case .fs:
            guard wide else { return false }
            op.segmentBase = StateOffset.fsBase
        case .gs:
            guard wide else { return false }
            op.segmentBase = StateOffset.gsBase
        case .cs:
            guard wide else { return false }
        default:
            break
        }
        op.displacement = memory.displacement
        switch memory.base {
        case .none: break
        case .rip, .eip:
            op.displacement = Int64(bitPattern: context.nextRIP &+ UInt64(bitPattern: memory.displacement))
        case let base: op.base = StateOffset.general(base)
        }
        if memory.index != .none {
            op.index = StateOffset.general(memory.index)
            op.shift = UInt8(truncatingIfNeeded: memory.scale.trailingZeroBitCount)
        }
        return true
    }

    private func withAddress(_ code: MicroOperation.Code, _ context: LoweringContext) -> MicroOperation? {
        var op = make(code, context)
        return address(&op, context) ? op : nil
    }

    private func lowerBinary(_ forms: Forms, _ context: LoweringContext) -> MicroOperation? {
        switch operands.0.kind {
        case .register: lowerToRegister(forms, context)
        case .memory: lowerToMemory(forms, context)
        case .none, .immediate, .immediate2, .relative, .farPointer, .memoryDestination: nil
        }
    }

    private func lowerToRegister(_ forms: Forms, _ context: LoweringContext) -> MicroOperation? {
        let (first, second) = (operands.0, operands.1)
        switch second.kind {
        case .register:
            var op = make(forms.registerRegister, context)
            op.destination = StateOffset.general(first.register)
            op.source = StateOffset.general(second.register)
            return op
        case .immediate:
            guard let code = forms.registerImmediate else { return nil }
            var op = make(code, context)
            op.destination = StateOffset.general(first.register)
            op.immediate = immediate
            return op
        case .memory:
            guard let code = forms.registerMemory, var op = withAddress(code, context) else { return nil }
            op.destination = StateOffset.general(first.register)
            return op
        case .none, .immediate2, .relative, .farPointer, .memoryDestination: return nil
        }
    }

    private func lowerToMemory(_ forms: Forms, _ context: LoweringContext) -> MicroOperation? {
        switch operands.1.kind {
        case .register:
            guard let code = forms.memoryRegister, var op = withAddress(code, context) else { return nil }
            op.source = StateOffset.general(operands.1.register)
            return op
        case .immediate:
            guard let code = forms.memoryImmediate, var op = withAddress(code, context) else { return nil }
            op.immediate = immediate
            return op
        case .none, .memory, .immediate2, .relative, .farPointer, .memoryDestination: return nil
        }
    }

    /// The hot forms of the two-operand operations.
    private var binaryForms: Forms? {
        let width = operands.0.width
        guard operands.0.kind == .memory || operands.0.register.class != .segment, operands.1.register.class != .segment
        else { return nil }
        switch (operation, width) {
        case (.add, 8): return Forms(.addRR8, .addRI8, .addRM8, .addMR8, .addMI8)
        case (.add, 32): return Forms(.addRR32, .addRI32, .addRM32, .addMR32, .addMI32)
        case (.add, 64): return Forms(.addRR64, .addRI64, .addRM64, .addMR64, .addMI64)
        case (.or, 8): return Forms(.orRR8, .orRI8, .orRM8, .orMR8, .orMI8)
        case (.or, 32): return Forms(.orRR32, .orRI32, .orRM32, .orMR32, .orMI32)
        case (.or, 64): return Forms(.orRR64, .orRI64, .orRM64, .orMR64, .orMI64)
        case (.and, 8): return Forms(.andRR8, .andRI8, .andRM8, .andMR8, .andMI8)
        case (.and, 32): return Forms(.andRR32, .andRI32, .andRM32, .andMR32, .andMI32)
        case (.and, 64): return Forms(.andRR64, .andRI64, .andRM64, .andMR64, .andMI64)
        case (.sub, 8): return Forms(.subRR8, .subRI8, .subRM8, .subMR8, .subMI8)
        case (.sub, 32): return Forms(.subRR32, .subRI32, .subRM32, .subMR32, .subMI32)
        case (.sub, 64): return Forms(.subRR64, .subRI64, .subRM64, .subMR64, .subMI64)
        case (.xor, 8): return Forms(.xorRR8, .xorRI8, .xorRM8, .xorMR8, .xorMI8)
        case (.xor, 32): return Forms(.xorRR32, .xorRI32, .xorRM32, .xorMR32, .xorMI32)
        case (.xor, 64): return Forms(.xorRR64, .xorRI64, .xorRM64, .xorMR64, .xorMI64)
        case (.cmp, 8): return Forms(.cmpRR8, .cmpRI8, .cmpRM8, .cmpMR8, .cmpMI8)
        case (.cmp, 16): return Forms(.cmpRR16, .cmpRI16, .cmpRM16, nil, .cmpMI16)
        case (.cmp, 32): return Forms(.cmpRR32, .cmpRI32, .cmpRM32, .cmpMR32, .cmpMI32)
        case (.cmp, 64): return Forms(.cmpRR64, .cmpRI64, .cmpRM64, .cmpMR64, .cmpMI64)
        case (.adc, 32): return Forms(.adcRR32, .adcRI32, nil, nil, nil)
        case (.adc, 64): return Forms(.adcRR64, .adcRI64, nil, nil, nil)
        case (.sbb, 32): return Forms(.sbbRR32, .sbbRI32, nil, nil, nil)
        case (.sbb, 64): return Forms(.sbbRR64, .sbbRI64, nil, nil, nil)
        case (.test, 8): return Forms(.testRR8, .testRI8, nil, .testMR8, .testMI8)
        case (.test, 32): return Forms(.testRR32, .testRI32, nil, .testMR32, .testMI32)
        case (.test, 64): return Forms(.testRR64, .testRI64, nil, .testMR64, .testMI64)
        case (.mov, 8): return Forms(.movRR8, .movRI8, .movRM8, .movMR8, .movMI8)
        case (.mov, 16):
            return operands.0.kind == .memory ? Forms(.slow, nil, nil, .movMR16, .movMI16) : nil
        case (.mov, 32): return generalMove(Forms(.movRR32, .movRI32, .movRM32, .movMR32, .movMI32))
        case (.mov, 64): return generalMove(Forms(.movRR64, .movRI64, .movRM64, .movMR64, .movMI64))
        case (.movzx, 32), (.movzx, 64):
            switch operands.1.width {
            case 8: return Forms(.movzxRR8, nil, .movzxRM8, nil, nil)
            case 16: return Forms(.movzxRR16, nil, .movzxRM16, nil, nil)
            default: return nil
            }
        case (.movsx, 32), (.movsx, 64), (.movsxd, 64):
            switch (operands.1.width, width) {
            case (8, 32): return Forms(.movsxRR8to32, nil, .movsxRM8to32, nil, nil)
            case (8, 64): return Forms(.movsxRR8to64, nil, .movsxRM8to64, nil, nil)
            case (16, 32): return Forms(.movsxRR16to32, nil, .movsxRM16to32, nil, nil)
            case (16, 64): return Forms(.movsxRR16to64, nil, .movsxRM16to64, nil, nil)
            case (32, 64): return Forms(.movsxRR32to64, nil, .movsxRM32to64, nil, nil)
            default: return nil
            }
        case (.xchg, 32): return exchangeForms(.xchgRR32, .xchgMR32)
        case (.xchg, 64): return exchangeForms(.xchgRR64, .xchgMR64)
        case (.xadd, 32): return exchangeForms(nil, .xaddMR32)
        case (.xadd, 64): return exchangeForms(nil, .xaddMR64)
        case (.cmpxchg, 32): return exchangeForms(nil, .cmpxchgMR32)
        case (.cmpxchg, 64): return exchangeForms(nil, .cmpxchgMR64)
        case (.bt, 32): return operands.0.kind == .register ? Forms(.btRR32, .btRI32, nil, nil, nil) : nil
        case (.bt, 64): return operands.0.kind == .register ? Forms(.btRR64, .btRI64, nil, nil, nil) : nil
        case (.imul, 32) where operandCount == 2: return Forms(.imulRR32, nil, .imulRM32, nil, nil)
        case (.imul, 64) where operandCount == 2: return Forms(.imulRR64, nil, .imulRM64, nil, nil)
        default: return nil
        }
    }

    /// MOV among general registers and memory; those of control and debug registers are privileged.
    private func generalMove(_ forms: Forms) -> Forms? {
        operands.0.isGeneralOrMemory && (operands.1.isGeneralOrMemory || operands.1.kind == .immediate) ? forms : nil
    }

    /// Exchanging forms: with a register first only if there is a code for it.
    private func exchangeForms(_ registers: MicroOperation.Code?, _ memory: MicroOperation.Code) -> Forms? {
        if operands.0.kind == .register {
            guard let registers, operands.1.kind == .register else { return nil }
            return Forms(registers, nil, nil, nil, nil)
        }
        return Forms(memory, nil, nil, memory, nil)
    }
}

extension Forms {
    init(
        _ registerRegister: MicroOperation.Code, _ registerImmediate: MicroOperation.Code?,
        _ registerMemory: MicroOperation.Code?, _ memoryRegister: MicroOperation.Code?,
        _ memoryImmediate: MicroOperation.Code?
    ) {
        self.registerRegister = registerRegister
        self.registerImmediate = registerImmediate
        self.registerMemory = registerMemory
        self.memoryRegister = memoryRegister
        self.memoryImmediate = memoryImmediate
    }
}

extension Operand {
    /// A general register or memory.
    var isGeneralOrMemory: Bool {
        switch kind {
        case .memory: true
        case .register:
            switch register.class {
            case .general64, .general32, .general16, .general8, .general8High: true
            case .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none: false
            }
        case .none, .immediate, .immediate2, .relative, .farPointer, .memoryDestination: false
        }
    }
}

// MARK: - Operations with one operand, stack and branches

extension Instruction {
    private func lowerOther(_ context: LoweringContext) -> MicroOperation? {
        let width = operands.0.width
        let isRegister = operands.0.kind == .register
        switch operation {
        case .inc:
            return unary(context, width == 32 ? .incR32 : .incR64, width == 32 ? .incM32 : .incM64)
        case .dec:
            return unary(context, width == 32 ? .decR32 : .decR64, width == 32 ? .decM32 : .decM64)
        case .neg: return unary(context, width == 32 ? .negR32 : .negR64, nil)
        case .not: return unary(context, width == 32 ? .notR32 : .notR64, nil)
        case .shl: return shift(context, (.shlRI32, .shlRI64), (.shlRC32, .shlRC64))
        case .shr: return shift(context, (.shrRI32, .shrRI64), (.shrRC32, .shrRC64))
        case .sar: return shift(context, (.sarRI32, .sarRI64), (.sarRC32, .sarRC64))
        case .rol: return shift(context, (.rolRI32, .rolRI64), nil)
        case .ror: return shift(context, (.rorRI32, .rorRI64), nil)
        case .imul where operandCount == 3 && operands.1.kind == .register && (width == 32 || width == 64):
            var op = make(width == 32 ? .imulRRI32 : .imulRRI64, context)
            op.destination = StateOffset.general(operands.0.register)
            op.source = StateOffset.general(operands.1.register)
            op.immediate = immediate
            return op
        case .mul where isRegister && operandCount == 1 && (width == 32 || width == 64):
            return source(width == 32 ? .mulR32 : .mulR64, context)
        case .div where isRegister && (width == 32 || width == 64):
            return source(width == 32 ? .divR32 : .divR64, context)
        case .lea where width == 32 || width == 64:
            guard var op = withAddress(width == 32 ? .lea32 : .lea64, context) else { return nil }
            op.destination = StateOffset.general(operands.0.register)
            return op
        case .bswap where width == 32 || width == 64:
            var op = make(width == 32 ? .bswap32 : .bswap64, context)
            op.destination = StateOffset.general(operands.0.register)
            return op
        case .cdqe:
            return make(.movsxRR32to64, context).registers(0, 0)
        case .cwde:
            return make(.movsxRR16to32, context).registers(0, 0)
        case .cdq: return make(.cdq, context)
        case .cqo: return make(.cqo, context)
        case .setcc where isRegister:
            var op = make(.setR, context)
            op.destination = StateOffset.general(operands.0.register)
            op.immediate = UInt64(condition)
            return op
        case .cmovcc where width == 32 || width == 64:
            let fromMemory = operands.1.kind == .memory
            let code: MicroOperation.Code =
                width == 32 ? (fromMemory ? .cmovRM32 : .cmovRR32) : (fromMemory ? .cmovRM64 : .cmovRR64)
            guard var op = fromMemory ? withAddress(code, context) : make(code, context) else { return nil }
            op.destination = StateOffset.general(operands.0.register)
            if !fromMemory { op.source = StateOffset.general(operands.1.register) }
            op.immediate = UInt64(condition)
            return op
        case .nop, .endbr64, .endbr32: return make(.nop, context)
        case .lfence, .mfence, .sfence: return make(.fence, context)
        case .push, .pop, .leave, .jmp, .jcc, .call, .ret: return lowerStackOrBranch(context)
        default: return nil
        }
    }

    private func unary(
        _ context: LoweringContext, _ register: MicroOperation.Code, _ memory: MicroOperation.Code?
    ) -> MicroOperation? {
        guard operands.0.width == 32 || operands.0.width == 64 else { return nil }
        if operands.0.kind == .register {
            var op = make(register, context)
            op.destination = StateOffset.general(operands.0.register)
            return op
        }
        guard let memory else { return nil }
        return withAddress(memory, context)
    }

    private func shift(
        _ context: LoweringContext, _ immediateCodes: (MicroOperation.Code, MicroOperation.Code),
        _ countCodes: (MicroOperation.Code, MicroOperation.Code)?
    ) -> MicroOperation? {
        let width = operands.0.width
        guard operands.0.kind == .register, width == 32 || width == 64 else { return nil }
        switch operands.1.kind {
        case .immediate:
            let count = immediate & UInt64(width - 1)
            // A masked count of zero changes nothing but still clears the upper half: left to the general path.
            guard count != 0 else { return nil }
            var op = make(width == 32 ? immediateCodes.0 : immediateCodes.1, context)
            op.destination = StateOffset.general(operands.0.register)
            op.immediate = count
            return op
        case .register:
            guard let countCodes else { return nil }
            var op = make(width == 32 ? countCodes.0 : countCodes.1, context)
            op.destination = StateOffset.general(operands.0.register)
            return op
        case .none, .memory, .immediate2, .relative, .farPointer, .memoryDestination:
            return nil
        }
    }

    private func source(_ code: MicroOperation.Code, _ context: LoweringContext) -> MicroOperation {
        var op = make(code, context)
        op.source = StateOffset.general(operands.0.register)
        return op
    }

    private func lowerStackOrBranch(_ context: LoweringContext) -> MicroOperation? {
        let wide = context.mode.code == 64
        let width = operands.0.width
        let nativeSize = operandSize == (wide ? 64 : 32)
        let target = (context.nextRIP &+ immediate) & (wide ? .max : 0xFFFF_FFFF)
        switch operation {
        case .push:
            switch operands.0.kind {
            case .register:
                guard nativeSize, operands.0.isGeneralOrMemory else { return nil }
                return source(wide ? .pushR64 : .pushR32, context)
            case .immediate:
                guard nativeSize else { return nil }
                var op = make(wide ? .pushI64 : .pushI32, context)
                op.immediate = immediate
                return op
            case .memory:
                return wide && width == 64 ? withAddress(.pushM64, context) : nil
            case .none, .immediate2, .relative, .farPointer, .memoryDestination:
                return nil
            }
        case .pop:
            guard nativeSize, operands.0.kind == .register, operands.0.isGeneralOrMemory else { return nil }
            var op = make(wide ? .popR64 : .popR32, context)
            op.destination = StateOffset.general(operands.0.register)
            return op
        case .leave:
            return wide && operandSize == 64 ? make(.leave64, context) : nil
        case .jmp:
            switch operands.0.kind {
            case .relative:
                // Targets that are not canonical fault in the general path.
                guard nativeSize || wide, Processor.isCanonical(target) else { return nil }
                return branch(.jmp, target, context)
            case .register: return wide ? source(.jmpR64, context) : nil
            case .memory: return wide ? withAddress(.jmpM64, context) : nil
            case .none, .immediate, .immediate2, .farPointer, .memoryDestination: return nil
            }
        case .jcc:
            guard nativeSize || wide, Processor.isCanonical(target) else { return nil }
            return branch(Self.branchCodes[Int(condition & 15)], target, context)
        case .call:
            switch operands.0.kind {
            case .relative:
                guard nativeSize || wide, Processor.isCanonical(target) else { return nil }
                return branch(wide ? .callRel64 : .callRel32, target, context)
            case .register: return wide ? source(.callR64, context) : nil
            case .memory: return wide ? withAddress(.callM64, context) : nil
            case .none, .immediate, .immediate2, .farPointer, .memoryDestination: return nil
            }
        case .ret:
            guard nativeSize else { return nil }
            var op = make(wide ? .ret64 : .ret32, context)
            op.immediate = operandCount > 0 ? immediate & 0xFFFF : 0
            return op
        default:
            return nil
        }
    }

    private func branch(
        _ code: MicroOperation.Code, _ target: UInt64, _ context: LoweringContext
    ) -> MicroOperation {
        var op = make(code, context)
        op.immediate = target
        return op
    }

    private static let branchCodes: [MicroOperation.Code] = [
        .jo, .jno, .jb, .jae, .je, .jne, .jbe, .ja, .js, .jns, .jp, .jnp, .jl, .jge, .jle, .jg,
    ]
}

extension MicroOperation {
    /// The same with destination and source set.
    fileprivate func registers(_ destination: UInt8, _ source: UInt8) -> MicroOperation {
        var copy = self
        copy.destination = destination
        copy.source = source
        return copy
    }
}
