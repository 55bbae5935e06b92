import X86
import X86Engine

// What becomes of each instruction. In every sequence the last instruction is the one that counts, and nothing that may
// fault comes after a register of the guest's has changed, unless a mark says how to get it back.

extension Translator {
    func translate(
        _ instruction: Instruction, _ code: [UInt8], at rip: UInt64, into work: inout BlockTranslation
    ) {
        if work.marks.last?.kind != .afterSTI || work.marks.last?.rip != rip { work.mark(.instruction, rip) }
        if watchedAddresses.contains(rip) { return callOut(&work) }
        let definition = instruction.definition
        let next = wrap(rip &+ UInt64(instruction.length))
        if let branch = isNearBranch(instruction) {
            guard branch, translateBranch(instruction, code, at: rip, next: next, into: &work) else {
                return callOut(&work)
            }
            return
        }
        switch definition.sensitivity {
        case .innocuous:
            if isX87(definition) { return callOut(&work) }
            copy(instruction, code, next: next, into: &work)
        case .privileged, .sensitiveUnprivileged:
            translateSensitive(instruction, code, at: rip, next: next, into: &work)
        }
    }

    /// Whether the x87 keeps the address of an instruction, which must not be one of the cache: FWAIT and the escapes,
    /// some of which are features of later processors (FCMOVcc, FISTTP).
    private func isX87(_ definition: InstructionDefinition) -> Bool {
        definition.feature == .fpu || definition.map == .primary && (0xD8...0xDF).contains(definition.opcode)
    }

    /// The instruction goes to the monitor, which goes on behind it.
    func callOut(_ work: inout BlockTranslation) {
        work.emitter.add("int 0x\(String(MonitorLayout.callOutVector, radix: 16))")
        work.isComplete = true
    }

    // MARK: Innocuous instructions

    private func copy(_ instruction: Instruction, _ code: [UInt8], next: UInt64, into work: inout BlockTranslation) {
        switch instruction.memory.base {
        case .rip where hasMemoryOperand(instruction):
            let target = next &+ UInt64(bitPattern: instruction.memory.displacement)
            if let bytes = withoutInstructionPointer(instruction, code, target: target) {
                work.emitter.copy(bytes)
            } else if instruction.operation == .lea, instruction.operandSize == 64 {
                // The address is all there is to it.
                work.emitter.copy(
                    [instruction.operands.0.register.number >= 8 ? 0x49 : 0x48]
                        + [0xB8 | UInt8(instruction.operands.0.register.number & 7)]
                        + (0..<8).map { UInt8(truncatingIfNeeded: target >> UInt64($0 * 8)) })
            } else {
                callOut(&work)
            }
        case .eip where hasMemoryOperand(instruction): callOut(&work)
        default:
            work.emitter.copy(code)
            // UD2 and the like: nothing follows them.
            if instruction.operation == .ud2 { work.isComplete = true }
        }
    }

    private func hasMemoryOperand(_ instruction: Instruction) -> Bool {
        let o = instruction.operands
        return [o.0, o.1, o.2, o.3].contains { $0.kind == .memory }
    }

    /// The instruction with an absolute address in place of one relative to RIP; nil if 32 bits cannot hold it.
    func withoutInstructionPointer(_ instruction: Instruction, _ code: [UInt8], target: UInt64) -> [UInt8]? {
        guard Int64(Int32(truncatingIfNeeded: target)) == Int64(bitPattern: target) else { return nil }
        // ModRM is the byte before the displacement, which only an immediate follows. Of the possible lengths of that the
        // right one gives the same instruction.
        for immediate in [0, 1, 2, 4, 8] {
            let position = code.count - immediate - 5
            guard position >= 1, code[position] & 0xC7 == 0x05 else { continue }
            var changed = Array(code[..<position])
            changed += [code[position] & 0x38 | 0x04, 0x25]
            changed += (0..<4).map { UInt8(truncatingIfNeeded: target >> UInt64($0 * 8)) }
            changed += code[(position + 5)...]
            guard changed.count <= 15,
                case .instruction(var decoded) = changed.withUnsafeBytes({
                    Decoder.decode($0, mode: .bits64)
                }), decoded.memory.base == .none, decoded.memory.index == .none,
                decoded.memory.displacement == Int64(bitPattern: target)
            else { continue }
            decoded.memory = instruction.memory
            decoded.length = instruction.length
            if decoded == instruction { return changed }
        }
        return nil
    }

    // MARK: Branches

    /// Nil for what is no near branch; false for one that is not translated.
    private func isNearBranch(_ instruction: Instruction) -> Bool? {
        switch instruction.operation {
        case .jmp, .jcc, .call, .ret, .loop, .loope, .loopne, .jcxz:
            instruction.operandSize == (mode == .bits64 ? 64 : 32)
        default: nil
        }
    }

    /// False, with nothing emitted, if the branch must call out.
    private func translateBranch(
        _ instruction: Instruction, _ code: [UInt8], at rip: UInt64, next: UInt64, into work: inout BlockTranslation
    ) -> Bool {
        let isDirect = instruction.operands.0.kind == .relative
        let target = wrap(next &+ instruction.immediate)
        if isDirect && mode == .bits64 && UInt64(bitPattern: Int64(bitPattern: target << 16) >> 16) != target {
            return false
        }
        switch instruction.operation {
        case .jcc:
            // 0F 8x with a 32-bit displacement.
            work.emitter.copy([0x0F, 0x80 | instruction.condition, 0, 0, 0, 0])
            work.exits.append((work.emitter.bytes.count - 4, target))
        // What is not taken simply goes on.
        case .jmp where isDirect:
            branch(to: target, counts: true, &work)
            work.isComplete = true
        case .call where isDirect:
            guard push(next, rip, keepsAccumulator: true, &work) else { return false }
            branch(to: target, counts: true, &work)
            work.isComplete = true
        case .jmp, .call: return translateIndirect(instruction, at: rip, next: next, into: &work)
        case .ret:
            let drop = instruction.operandCount > 0 ? instruction.immediate & 0xFFFF : 0
            work.emitter.add("mov [@], {ax}", .rax)
            work.emitter.add("pop {ax}")
            if drop > 0 { work.emitter.add("lea {sp}, [{sp} + #]", number: drop) }
            let width: Int64 = mode == .bits64 ? 8 : 4
            followAccumulator(rip, stackChange: -width - Int64(drop), &work)
            work.isComplete = true
        default:
            // LOOP and JCXZ have short displacements only: over a jump for the case that is not taken.
            var short = code
            short[short.count - 1] = 5
            work.emitter.copy(short)
            branch(to: next, counts: false, &work)
            branch(to: target, counts: false, &work)
            work.isComplete = true
        }
        return true
    }

    /// A jump to the translation of a guest address.
    func branch(to target: UInt64, counts: Bool, _ work: inout BlockTranslation) {
        if !counts { work.mark(.instruction, target) }
        work.emitter.copy([0xE9, 0, 0, 0, 0], counts: counts)
        work.exits.append((work.emitter.bytes.count - 4, target))
    }

    /// Pushes a return address of the guest's; false if there is no way to.
    private func push(
        _ value: UInt64, _ rip: UInt64, keepsAccumulator: Bool, _ work: inout BlockTranslation
    ) -> Bool {
        if mode == .bits32 || Int64(Int32(truncatingIfNeeded: value)) == Int64(bitPattern: value) {
            // `push` sign-extends 32 bits.
            work.emitter.copy(
                [0x68] + (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }, counts: false)
            return true
        }
        guard keepsAccumulator else { return false }
        work.emitter.add("mov [@], {ax}", .rax)
        work.emitter.add("mov rax, qword #", number: value)
        work.mark(.accumulatorSaved, rip)
        work.emitter.add("push rax")
        work.emitter.add("mov rax, [@]", .rax)
        return true
    }

    private func translateIndirect(
        _ instruction: Instruction, at rip: UInt64, next: UInt64, into work: inout BlockTranslation
    ) -> Bool {
        let isCall = instruction.operation == .call
        if isCall && mode == .bits64 && Int64(Int32(truncatingIfNeeded: next)) != Int64(bitPattern: next) {
            return false
        }
        guard let load = loadOfTarget(instruction, next: next) else { return false }
        work.emitter.add("mov [@], {ax}", .rax)
        work.emitter.copy(load, counts: false)
        work.mark(.accumulatorSaved, rip)
        if isCall {
            if mode == .bits64 { checkAccumulator(rip, &work) }
            _ = push(next, rip, keepsAccumulator: false, &work)
        }
        followAccumulator(rip, stackChange: 0, &work)
        work.isComplete = true
        return true
    }

    /// Calls out unless the address in RAX is canonical, which CALL looks at before it pushes anything.
    ///
    /// The guest's RAX is in the virtual-state page; flags stay as they are.
    private func checkAccumulator(_ rip: UInt64, _ work: inout BlockTranslation) {
        work.emitter.add("mov [@], rcx", .rcx)
        work.emitter.add("mov [@], rax", .target)
        // Bits 63 to 32 must be bits 47 to 32, sign-extended: x + ~x + 1 is 0.
        work.emitter.add("movsxd rcx, dword [@]", .targetHigh)
        work.mark(.scratchSaved, rip)
        work.emitter.add("not rcx")
        work.emitter.add("movsx rax, word [@]", .targetHigh)
        work.emitter.add("lea rcx, [rcx + rax + 1]")
        work.emitter.add("jrcxz $ + 4")
        work.emitter.add("int 0x\(String(MonitorLayout.callOutVector, radix: 16))")
        work.emitter.add("mov rcx, [@]", .rcx)
        work.emitter.add("mov rax, [@]", .target)
        work.mark(.accumulatorSaved, rip)
    }

    /// `mov rax, r/m` for the operand of an indirect branch.
    private func loadOfTarget(_ instruction: Instruction, next: UInt64) -> [UInt8]? {
        guard let mov = Mnemonics.mnemonic(named: "mov") else { return nil }
        let accumulator: Register = mode == .bits64 ? .rax : .eax
        let operand: RequestedOperand
        switch instruction.operands.0.kind {
        case .register: operand = RequestedOperand(.register(instruction.operands.0.register))
        case .memory:
            var memory = RequestedMemory()
            let source = instruction.memory
            switch source.segment {
            case .fs, .gs: memory.segment = source.segment
            case .cs, .es: if mode == .bits32 { memory.segment = source.segment }
            default: break
            }
            memory.base = source.base
            memory.index = source.index
            memory.scale = source.scale
            var displacement = source.displacement
            if source.base == .eip { return nil }
            if source.base == .rip {
                memory.base = .none
                displacement = Int64(bitPattern: next) &+ displacement
            }
            if source.base == .none || source.base == .rip {
                // Only what 32 bits hold; the long form would need the accumulator.
                guard mode == .bits32 || Int64(Int32(truncatingIfNeeded: displacement)) == displacement else {
                    return nil
                }
                memory.displacementSize = 32
            }
            memory.displacement = OperandValue(displacement)
            if source.segment == .ss && source.base != .rsp && source.base != .rbp && source.base != .esp
                && source.base != .ebp && mode == .bits32
            {
                memory.segment = .ss
            }
            operand = RequestedOperand(.memory(memory))
        case .none, .immediate, .immediate2, .relative, .farPointer, .memoryDestination: return nil
        }
        let request = EncoderRequest(
            mnemonic: mov, operands: [RequestedOperand(.register(accumulator)), operand], mode: mode)
        guard let bytes = try? Encoder.encode(request) else { return nil }
        // The encoding must mean the same address.
        guard case .instruction(let decoded) = bytes.withUnsafeBytes({ Decoder.decode($0, mode: mode) }),
            decoded.operands.1.kind == instruction.operands.0.kind
        else { return nil }
        if decoded.operands.1.kind == .memory && instruction.memory.base != .rip {
            guard decoded.memory == instruction.memory else { return nil }
        }
        return bytes
    }

    /// Goes on at the translation of the address in RAX, which is saved in the virtual-state page.
    private func followAccumulator(_ rip: UInt64, stackChange: Int64, _ work: inout BlockTranslation) {
        let table = region &+ MonitorLayout.branchTable
        work.emitter.add("mov [@], {cx}", .rcx)
        work.emitter.add("mov dword [@], #", .source, number: UInt64(sources.count))
        sources.append(IndirectSource(rip: rip, stackChange: stackChange))
        if mode == .bits64 {
            // RCX times eight is the table's address plus eight times the low 16 bits of the target.
            work.emitter.add("mov rcx, qword #", number: table >> 3)
            work.emitter.add("mov cl, al")
            work.emitter.add("mov ch, ah")
            work.emitter.add("jmp qword [rcx * 8]")
        } else {
            work.emitter.add("movzx ecx, ax")
            work.emitter.add("jmp dword [ecx * 8 + #]", number: table)
        }
    }

    /// Writes the stubs of all exits.
    func finish(_ work: inout BlockTranslation) {
        for exit in work.exits {
            let stub = work.start + work.emitter.bytes.count
            work.mark(.link, exit.target)
            work.emitter.add("int 0x\(String(MonitorLayout.linkVector, radix: 16))")
            let displacement = stub - (work.start + exit.displacement + 4)
            work.emitter.put(UInt64(truncatingIfNeeded: displacement), at: exit.displacement, size: 4)
            work.links.append(
                .init(displacement: work.start + exit.displacement, stub: stub, target: exit.target))
        }
    }

    // MARK: Sensitive instructions

    private func translateSensitive(
        _ instruction: Instruction, _ code: [UInt8], at rip: UInt64, next: UInt64, into work: inout BlockTranslation
    ) {
        let isNative = instruction.operandSize == (mode == .bits64 ? 64 : 32)
        switch instruction.operation {
        case .cli: work.emitter.add("mov dword [@], 0", .interruptFlag, counts: true)
        case .sti where Int(rip & 0xFFF) + Int(instruction.length) < 4096: translateSTI(next, &work)
        case .pushf where isNative: translatePUSHF(&work)
        case .popf where isNative: translatePOPF(rip, &work)
        case .stac where guest.model.features.contains(.smap): changeAlignmentCheck("or dword [{sp}], 0x40000", &work)
        case .clac where guest.model.features.contains(.smap):
            changeAlignmentCheck("and dword [{sp}], ~0x40000", &work)
        case .rdtsc, .rdtscp, .rdpid, .xgetbv, .rdfsbase, .rdgsbase, .wrfsbase, .wrgsbase:
            // The machine's processor has the guest's values of what they read and write, and CR4.TSD as the guest has it.
            work.emitter.copy(code)
        default: callOut(&work)
        }
    }

    private func translateSTI(_ next: UInt64, _ work: inout BlockTranslation) {
        // If an interrupt waits, the monitor does it; no flag changes.
        work.emitter.add("mov [@], {cx}", .rcx)
        work.emitter.add("mov ecx, [@]", .waitingInterrupt)
        // Over a load of 6 or 7 bytes and the call-out.
        work.emitter.add(mode == .bits64 ? "jrcxz $ + 11" : "jecxz $ + 10")
        work.emitter.add("mov {cx}, [@]", .rcx)
        work.emitter.add("int 0x\(String(MonitorLayout.callOutVector, radix: 16))")
        work.emitter.add("mov {cx}, [@]", .rcx)
        work.emitter.add("mov [@], {ax}", .rax)
        work.emitter.add("mov eax, [@]", .interruptFlag)
        work.emitter.add("mov [@], eax", .formerInterruptFlag)
        work.emitter.add("mov dword [@], 0x200", .interruptFlag)
        work.emitter.add("mov {ax}, [@]", .rax, counts: true)
        // The next instruction is reached from here only, so that its place tells that interrupts still wait.
        work.mark(.afterSTI, next)
        work.isAfterSTI = true
    }

    private func translatePUSHF(_ work: inout BlockTranslation) {
        work.emitter.add(mode == .bits64 ? "pushfq" : "pushfd")
        work.emitter.add("mov [@], {ax}", .rax)
        work.emitter.add("mov [@], {cx}", .rcx)
        work.emitter.add("mov {ax}, [{sp}]")
        // In ring 1 IF is set and IOPL is 0.
        work.emitter.add("mov {cx}, [@]", .interruptFlag)
        work.emitter.add("lea {ax}, [{ax} + {cx} - 0x200]")
        work.emitter.add("mov {cx}, [@]", .privilege)
        work.emitter.add("lea {ax}, [{ax} + {cx}]")
        work.emitter.add("mov [{sp}], {ax}")
        work.emitter.add("mov {cx}, [@]", .rcx)
        work.emitter.add("mov {ax}, [@]", .rax, counts: true)
    }

    private func translatePOPF(_ rip: UInt64, _ work: inout BlockTranslation) {
        work.emitter.add("mov [@], {ax}", .rax)
        work.emitter.add("pop {ax}")
        work.mark(.flagsPopped(bytes: mode == .bits64 ? 8 : 4), rip)
        work.emitter.add("test [@], eax", .monitoredFlags)
        work.emitter.add("jz $ + 4")
        work.emitter.add("int 0x\(String(MonitorLayout.callOutVector, radix: 16))")
        work.emitter.add("mov [@], {ax}", .flags)
        work.emitter.add("and eax, 0x200")
        work.emitter.add("mov [@], eax", .interruptFlag)
        work.emitter.add("mov dword [@], 0", .privilege)
        work.emitter.add("mov [@], {sp}", .rsp)
        work.emitter.add("lea {sp}, [@]", .flags)
        work.emitter.add(mode == .bits64 ? "popfq" : "popfd")
        work.emitter.add("mov {sp}, [@]", .rsp)
        work.emitter.add("mov {ax}, [@]", .rax, counts: true)
    }

    private func changeAlignmentCheck(_ change: String, _ work: inout BlockTranslation) {
        work.emitter.add("mov [@], {sp}", .rsp)
        work.emitter.add("lea {sp}, [@]", .flags)
        work.emitter.add(mode == .bits64 ? "pushfq" : "pushfd")
        work.emitter.add(change)
        work.emitter.add(mode == .bits64 ? "popfq" : "popfd")
        work.emitter.add("mov {sp}, [@]", .rsp, counts: true)
    }
}
