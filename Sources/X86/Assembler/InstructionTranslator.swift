/// Brings an instruction as written to the encoder, and the encoder's answer back to the source.
struct InstructionTranslator {
    private let instruction: AssemblyInstruction
    private let mode: CodeMode

    init(_ instruction: AssemblyInstruction, mode: CodeMode) {
        self.instruction = instruction
        self.mode = mode
    }

    func encode(
        at address: Int64, isWidened: Bool, symbols: some AssemblySymbolValues
    ) throws(SourceMistake) -> [UInt8] {
        var operands: [RequestedOperand] = []
        for operand in instruction.operands {
            operands.append(try request(operand, isWidened: isWidened, symbols))
        }
        do throws(EncodingFailure) {
            guard let mnemonic = instruction.mnemonic else {
                return try Encoder.encode(instruction.prefixes, mode: mode)
            }
            return try Encoder.encode(
                EncoderRequest(
                    mnemonic: mnemonic, operands: operands, prefixes: instruction.prefixes, mode: mode,
                    address: UInt64(bitPattern: address)))
        } catch {
            throw mistake(for: error)
        }
    }

    // MARK: - Operands

    private func operandValue(_ value: AssemblyValue, isWidened: Bool) -> OperandValue {
        // A sum of several addresses has no size of its own, like one of another source
        let isForeign = value.isOpaque || value.addressTerms != 0 && value.addressTerms != 1
        return OperandValue(
            value.bits, isAddress: value.isAddress, allowsShortForm: !isForeign && (value.isLiteral || !isWidened))
    }

    private func request(
        _ operand: AssemblyOperand, isWidened: Bool, _ symbols: some AssemblySymbolValues
    ) throws(SourceMistake) -> RequestedOperand {
        let kind: RequestedOperand.Kind
        switch operand.kind {
        case .register(let register):
            kind = .register(register)
        case .immediate(let expression):
            kind = .immediate(operandValue(try expression.evaluateNumber(symbols), isWidened: isWidened))
        case .farPointer(let selector, let offset):
            kind = .farPointer(
                selector: operandValue(try selector.evaluateNumber(symbols), isWidened: isWidened),
                offset: operandValue(try offset.evaluateNumber(symbols), isWidened: isWidened))
        case .memory(let memory):
            kind = .memory(try request(memory, isWidened: isWidened, symbols))
        }
        return RequestedOperand(kind, modifiers: operand.modifiers)
    }

    private func request(
        _ memory: AssemblyMemory, isWidened: Bool, _ symbols: some AssemblySymbolValues
    ) throws(SourceMistake) -> RequestedMemory {
        let value = try memory.expression.evaluate(symbols)
        var result = RequestedMemory()
        result.segment = memory.segment
        result.displacement = operandValue(value, isWidened: isWidened)
        result.displacementSize = memory.displacementSize
        result.addressSize = memory.addressSize
        guard value.registers.isEmpty else {
            try assignRegisters(value.registers, memory, &result)
            return result
        }
        // `default rel` applies to addresses, not to numbers and not where FS and GS hold a base
        let isRelative =
            memory.isRelative
            && (memory.isRelativeDemanded || value.isAddress && memory.segment != .fs && memory.segment != .gs)
        if mode == .bits64, isRelative, memory.displacementSize != 64 {
            result.base = memory.addressSize ?? instruction.prefixes.addressSize == 32 ? .eip : .rip
            result.displacementSize = nil
        }
        return result
    }

    /// Chooses base and index as NASM does: the first register is the base unless it is multiplied.
    private func assignRegisters(
        _ terms: [AssemblyValue.RegisterTerm], _ memory: AssemblyMemory, _ result: inout RequestedMemory
    ) throws(SourceMistake) {
        let range = memory.expression.range
        for term in terms {
            switch term.register.class {
            case .general64, .general32, .general16: break
            case .general8, .general8High, .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none:
                throw SourceMistake(range, "`\(term.register)` cannot be part of an address")
            }
        }
        guard terms.count <= 2 else {
            throw SourceMistake(range, "an address has at most two registers")
        }
        guard Set(terms.map(\.register.width)).count == 1 else {
            throw SourceMistake(range, "the registers of an address must have the same size")
        }
        if terms.count == 2 {
            var (base, index) = (terms[0], terms[1])
            if base.scale != 1 || base.isMultiplied && index.scale == 1 && !index.isMultiplied { swap(&base, &index) }
            guard base.scale == 1 else {
                throw SourceMistake(range, "only one register of an address can be multiplied")
            }
            if index.scale == 1, index.register.number == 4 { swap(&base, &index) }
            try assign(base: base.register, index: index, range, &result)
            return
        }
        let term = terms[0]
        let isStackPointer = term.register.number == 4
        switch term.scale {
        case 1 where !(memory.keepsIndex && term.isMultiplied && !isStackPointer):
            result.base = term.register
        case 2 where !memory.keepsIndex, 3, 5, 9:
            // [rax*2] is shorter as [rax+rax], and [rax*3] is only possible as [rax+rax*2]
            var index = term
            index.scale -= 1
            try assign(base: term.register, index: index, range, &result)
        default:
            try assign(base: .none, index: term, range, &result)
        }
    }

    private func assign(
        base: Register, index: AssemblyValue.RegisterTerm, _ range: Range<Int>, _ result: inout RequestedMemory
    ) throws(SourceMistake) {
        guard index.scale == 1 || index.scale == 2 || index.scale == 4 || index.scale == 8 else {
            throw SourceMistake(
                range, "a register of an address cannot be multiplied by \(index.scale)",
                hint: "1, 2, 4 and 8 are possible")
        }
        if index.register.width >= 32, index.register.number == 4 {
            throw SourceMistake(range, "`\(index.register)` cannot be an index")
        }
        result.base = base
        result.index = index.register
        result.scale = UInt8(truncatingIfNeeded: index.scale)
    }

    // MARK: - Mistakes

    private var mnemonic: String { instruction.mnemonic?.name ?? "" }

    private func range(of operand: Int) -> Range<Int> {
        operand < instruction.operands.count ? instruction.operands[operand].range : instruction.mnemonicRange
    }

    private var bitsText: String {
        switch mode {
        case .bits16: "16-bit code"
        case .bits32: "32-bit code"
        case .bits64: "64-bit code"
        }
    }

    private func mistake(for failure: EncodingFailure) -> SourceMistake {
        let all = instruction.operands.reduce(instruction.mnemonicRange) {
            $0.lowerBound..<max($0.upperBound, $1.range.upperBound)
        }
        switch failure {
        case .operandCount:
            let counts = Set((instruction.mnemonic?.candidates ?? []).map(\.writtenCount)).sorted()
            let text = counts.map(String.init).joined(separator: " or ")
            return SourceMistake(
                all, "`\(mnemonic)` takes \(text) operand\(counts == [1] ? "" : "s"), not \(instruction.operands.count)"
            )
        case .operandKinds:
            let noun = instruction.operands.isEmpty ? "form" : "form with these operands"
            return SourceMistake(all, "`\(mnemonic)` has no \(noun) in \(bitsText)")
        case .sizeMismatch(let operand):
            return SourceMistake(range(of: operand), sizeMismatchMessage(operand))
        case .sizeNotSpecified(let operand):
            return SourceMistake(
                range(of: operand), "the size of this operand is not known",
                hint: "write `byte`, `word`, `dword` … before it")
        case .mode:
            return SourceMistake(all, "`\(mnemonic)` with these operands does not exist in \(bitsText)")
        case .needs64BitMode(let operand, let register):
            return SourceMistake(range(of: operand), "`\(register)` exists only in 64-bit code")
        case .outOfRange(let operand, let value, let bits, let isSigned):
            return SourceMistake(
                range(of: operand), "\(value) does not fit in \(isSigned ? "signed " : "")\(bits) bits",
                hint: isSigned && bits == 32 ? hintForLargeValue(operand) : nil)
        case .jumpTooFar(let operand, let distance, let bits):
            return SourceMistake(
                range(of: operand), "the distance of \(distance) bytes does not fit in \(bits) bits",
                hint: bits == 8 ? "the target must lie within -128…127 bytes of the next instruction" : nil)
        case .address(let operand, let problem):
            return SourceMistake(range(of: operand), message(for: problem))
        case .highByte(let register):
            return SourceMistake(
                all, "`\(register)` cannot stand in an instruction that needs a REX prefix",
                hint: "ah, ch, dh and bh do not go with r8…r15, 64-bit operands, spl, bpl, sil and dil")
        case .notLockable:
            return SourceMistake(
                all, "`lock` is not possible here",
                hint: "it goes with read-modify-write instructions whose destination is memory")
        case .prefix(let problem):
            return SourceMistake(all, message(for: problem))
        case .tooLong:
            return SourceMistake(all, "the instruction is longer than 15 bytes")
        case .undefined:
            return SourceMistake(all, "no processor executes this", hint: "`ud2` gives #UD for certain")
        }
    }

    /// Names the register that has another size, if that is the reason.
    private func sizeMismatchMessage(_ operand: Int) -> String {
        let widths = instruction.operands.map { operand -> Int? in
            if case .register(let register) = operand.kind { register.width } else { operand.modifiers.size }
        }
        for (index, other) in instruction.operands.enumerated() where index != operand {
            guard operand < widths.count, let width = widths[operand], case .register(let register) = other.kind,
                register.width != width
            else { continue }
            return "this operand is \(width) bits wide, `\(register)` \(register.width)"
        }
        return "the size of this operand does not fit the instruction"
    }

    /// Values of 64 bits are possible in few places.
    private func hintForLargeValue(_ operand: Int) -> String {
        if operand < instruction.operands.count, case .memory = instruction.operands[operand].kind {
            return "`[rel …]` reaches an address near the instruction"
        }
        return "only `mov` to a register takes 64 bits"
    }

    private func message(for problem: EncodingFailure.AddressProblem) -> String {
        switch problem {
        case .mixedSizes: "the registers of an address must have the same size"
        case .notInMode: "this address size does not exist in \(bitsText)"
        case .prefixDisagrees: "the address size prefix contradicts the address"
        case .stackPointerAsIndex: "the stack pointer cannot be an index"
        case .scale: "a register of an address is multiplied by 1, 2, 4 or 8"
        case .registers16: "a 16-bit address is a sum of bx or bp, si or di, and a number"
        case .displacementSize: "this size of displacement is not possible here"
        }
    }

    private func message(for problem: EncodingFailure.PrefixProblem) -> String {
        switch problem {
        case .operandSize: "the operand size prefix is not possible here"
        case .addressSize: "the address size prefix is not possible here"
        case .repetition: "`\(mnemonic)` cannot be repeated: the prefix is part of other instructions"
        case .twoSegments: "two different segments are given"
        }
    }
}
