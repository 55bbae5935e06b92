/// The attempt to encode a request by one row with one operand size.
struct EncodingAttempt {
    let candidate: MnemonicCandidate
    let definition: InstructionDefinition
    let request: EncoderRequest
    let mode: CodeMode
    let operandSize: Int
    /// The size that the row has without prefixes.
    let naturalSize: Int
    let addressSize: Int

    // REX or VEX bits and what they come from
    private(set) var rexR = false
    private(set) var rexX = false
    private(set) var rexB = false
    private(set) var needsREX = false
    private(set) var highByte: Register?
    // Fields
    private(set) var modRMReg = 0
    private(set) var modRM: ModRMOperand?
    private(set) var opcodeRegister = 0
    private(set) var vvvv = 0
    private(set) var immediates: [(value: Int64, bytes: Int)] = []
    private(set) var relative: (target: OperandValue, bits: Int, operand: Int)?
    private(set) var segment = Register.none
    /// True if an operand shows the operand size.
    private(set) var sizeIsShown = false
    /// True if a memory operand without a size could have any.
    private(set) var sizeIsOpen = false
    private(set) var unsizedMemoryWidth: Int?
    /// A value that does not fit its field; the form still counts when the size of a memory operand is in question.
    private(set) var misfit: EncodingFailure?
    private(set) var extendsAddress = false
    private(set) var hasShortImmediate = false

    init(
        _ candidate: MnemonicCandidate, _ definition: InstructionDefinition, operandSize: Int, _ request: EncoderRequest
    ) throws(EncodingFailure) {
        self.candidate = candidate
        self.request = request
        self.operandSize = operandSize
        self.definition = definition
        mode = request.mode
        naturalSize = Self.naturalSize(of: definition, mode: request.mode)
        addressSize = try Self.addressSize(of: candidate, definition, in: request)
        segment = request.prefixes.segment
    }

    // MARK: - Sizes

    /// The operand size without prefixes (SDM volume 2 section 2.2.1.7).
    private static func naturalSize(of definition: InstructionDefinition, mode: CodeMode) -> Int {
        switch (definition.sizeRule, mode) {
        case (.default64, .bits64), (.force64, .bits64): 64
        case (.ignore66, _), (.normal, .bits64), (_, .bits32): 32
        case (_, .bits16): 16
        }
    }

    /// The operand sizes to try, the one without prefixes first.
    static func operandSizes(
        of candidate: MnemonicCandidate, _ definition: InstructionDefinition, in request: EncoderRequest
    ) -> [Int] {
        let natural = naturalSize(of: definition, mode: request.mode)
        var sizes =
            switch (definition.sizeRule, request.mode) {
            case (.normal, .bits64): [32, 64, 16]
            case (.default64, .bits64): [64, 16]
            case (.force64, .bits64): [64]
            case (.ignore66, .bits64): [32, 64]
            case (.ignore66, _): [32]
            case (_, .bits32): [32, 16]
            case (_, .bits16): [16, 32]
            }
        let demanded = candidate.operandSize ?? definition.onlyOperandSize.map(Int.init) ?? request.prefixes.operandSize
        if let demanded { return sizes.contains(demanded) ? [demanded] : [] }
        if definition.w == true && !definition.isVEX { return [natural] }
        if !definition.operands.contains(where: { $0.shape.dependsOnOperandSize }) { sizes = [natural] }
        return sizes
    }

    /// The address size: by the operands, else by the prefix, else by the mode.
    private static func addressSize(
        of candidate: MnemonicCandidate, _ definition: InstructionDefinition, in request: EncoderRequest
    ) throws(EncodingFailure) -> Int {
        let natural = request.mode == .bits64 ? 64 : request.mode == .bits32 ? 32 : 16
        var size = candidate.addressSize
        var operand = 0
        for (index, written) in request.operands.enumerated() {
            guard case .memory(let memory) = written.kind else { continue }
            operand = index
            if memory.base != .none || memory.index != .none {
                size = memory.base != .none ? memory.base.width : memory.index.width
            } else if request.mode != .bits64 {
                size = memory.displacementSize
            }
            if let demanded = memory.addressSize {
                if let size, size != demanded { throw .address(operand: operand, .prefixDisagrees) }
                size = demanded
            }
        }
        for (source, form) in zip(candidate.sources, definition.operands) {
            if form == .addressRAX, case .written(let index) = source,
                case .register(let register) = request.operands[index].kind
            {
                size = register.width
            }
        }
        let prefix = request.prefixes.addressSize
        if let size, let prefix, size != prefix { throw .address(operand: operand, .prefixDisagrees) }
        let result = size ?? prefix ?? natural
        let isPossible =
            switch request.mode {
            case .bits64: result == 64 || result == 32
            case .bits32, .bits16: result == 32 || result == 16
            }
        if !isPossible { throw .address(operand: operand, .notInMode) }
        return result
    }

    private func bits(_ width: OperandWidth) -> Int {
        switch width {
        case .none: 0
        case .bits8: 8
        case .bits16: 16
        case .bits32: 32
        case .bits64: 64
        case .bits80: 80
        case .bits128: 128
        case .operandSize: operandSize
        case .atMost32: min(operandSize, 32)
        case .atLeast32: operandSize == 64 ? 64 : 32
        case .native: mode == .bits64 ? 64 : 32
        case .addressSize: addressSize
        case .far: operandSize + 16
        // These are known by the operation and never written
        case .pseudoDescriptor, .bounds, .environment, .x87State, .bytes512, .xsaveArea: 0
        }
    }

    // MARK: - Encoding

    mutating func encode() throws(EncodingFailure) -> EncodedForm {
        switch definition.mode {
        case .always: break
        case .not64: if mode == .bits64 { throw .mode }
        case .only64: if mode != .bits64 { throw .mode }
        }
        if definition.w == true, !definition.isVEX, mode != .bits64 { throw .mode }
        for (index, operand) in request.operands.enumerated() {
            if let register = candidate.required[index], operand.kind != .register(register) { throw .operandKinds }
            if operand.modifiers.isDestination != (candidate.isDestinationForm && candidate.writtenCount == 1) {
                throw .operandKinds
            }
        }
        if candidate.addressSize == 64 && mode != .bits64 || candidate.addressSize == 16 && mode == .bits64 {
            throw .mode
        }
        let operands = narrowedOperands()
        for (form, source) in zip(definition.operands, candidate.sources) {
            switch source {
            case .written(let index):
                try match(operands[index], form.shape, index)
            case .implied: break
            case .number(let number): immediates.append((number, 1))
            case .register(let register): try place(register, form.shape.place, operand: 0)
            }
        }
        let isDemanded =
            candidate.operandSize != nil || definition.onlyOperandSize != nil
            || request.prefixes.operandSize != nil
        if operandSize != naturalSize, !sizeIsShown, !isDemanded, !sizeIsOpen { throw .operandKinds }
        return EncodedForm(
            bytes: try assemble(), operation: definition.operation, unsizedMemoryWidth: unsizedMemoryWidth,
            hasNaturalSize: operandSize == naturalSize, extendsAddress: extendsAddress,
            hasShortImmediate: hasShortImmediate, sizeFollowsImmediate: definition.sizeFollowsImmediate,
            needsW: definition.w == true, misfit: misfit)
    }

    /// The operands as NASM encodes them when a narrower register does the same.
    private func narrowedOperands() -> [RequestedOperand] {
        var operands = request.operands
        func width(_ index: Int) -> Int {
            guard index < operands.count, case .register(let register) = operands[index].kind, register.isWordOrWider
            else { return 0 }
            return register.width
        }
        func narrow(_ index: Int, to width: Int) {
            guard case .register(let register) = operands[index].kind else { return }
            operands[index].kind = .register(.general(register.number, width: width))
        }
        if definition.narrowsDestination, operandSize == 32, width(0) == 64 {
            guard definition.operands != [.Zv, .Iv] || isZeroExtended(operands[1]) else { return operands }
            // A 32-bit move clears the upper half
            narrow(0, to: 32)
            if operands.count > 1 { operands[1].modifiers.size = nil }
        }
        for (index, form) in definition.operands.enumerated() where definition.takesAnyWidth(of: form) {
            if width(index) != 0 { narrow(index, to: form == .Ew ? 16 : min(operandSize, 32)) }
        }
        return operands
    }

    private func isZeroExtended(_ operand: RequestedOperand) -> Bool {
        guard case .immediate(let value) = operand.kind, value.decidesSize, !operand.modifiers.isStrict else {
            return false
        }
        return operand.modifiers.size ?? 64 == 64 && value.bits >= 0 && value.bits <= 0xFFFF_FFFF
    }

    private mutating func match(
        _ operand: RequestedOperand, _ shape: OperandShape, _ index: Int
    ) throws(EncodingFailure) {
        switch operand.kind {
        case .register(let register):
            if let size = operand.modifiers.size, register.isGeneral, size != register.width {
                throw .sizeMismatch(operand: index)
            }
            try matchRegister(register, shape, index)
        case .memory(let memory):
            try matchMemory(memory, operand.modifiers, shape, index)
        case .immediate(let value):
            try matchImmediate(value, operand.modifiers, shape, index)
        case .farPointer(let selector, let offset):
            guard shape.place == .farPointer, operand.modifiers.distance == nil else { throw .operandKinds }
            if let size = operand.modifiers.size {
                guard size == operandSize else { throw .sizeMismatch(operand: index) }
                sizeIsShown = true
            }
            requireFit(offset, bits: operandSize, index)
            requireFit(selector, bits: 16, index)
            immediates += [(offset.bits, operandSize / 8), (selector.bits, 2)]
        }
    }

    // MARK: - Registers

    private mutating func matchRegister(
        _ register: Register, _ shape: OperandShape, _ index: Int
    ) throws(EncodingFailure) {
        guard shape.allowsRegister, shape.registers != .none else { throw .operandKinds }
        let width = bits(shape.width)
        if shape.registers == .general64 {
            guard register.isGeneral else { throw .operandKinds }
            guard register.width == width else { throw .sizeMismatch(operand: index) }
        } else {
            guard register.class == shape.registers else { throw .operandKinds }
        }
        if shape.width.dependsOnOperandSize { sizeIsShown = true }
        // In 64-bit mode 90 does not clear the upper half, so it is not XCHG EAX, EAX
        if definition.operation == .xchg, shape.place == .opcode, register == .eax, mode == .bits64,
            request.operands.allSatisfy({ $0.kind == .register(.eax) })
        {
            throw .operandKinds
        }
        if shape.place == .fixed {
            guard shape.registers == .general64 ? register.number == shape.fixed.number : register == shape.fixed,
                register.class != .general8High
            else { throw .operandKinds }
            return
        }
        try place(register, shape.place, operand: index)
    }

    private mutating func place(
        _ register: Register, _ place: OperandPlace, operand: Int
    ) throws(EncodingFailure) {
        let number = register.number
        if register.class == .general8High { highByte = register }
        if register.class == .general8, number >= 4, number < 8 { needsREX = true }
        switch place {
        case .rm:
            modRM = .register(number & 7)
            rexB = number >= 8
        case .reg:
            modRMReg = number & 7
            rexR = number >= 8
        case .opcode:
            opcodeRegister = number & 7
            rexB = number >= 8
        case .vvvv:
            vvvv = number
        case .fixed:
            break
        case .immediate, .immediate2, .relative, .farPointer, .moffs, .constantOne, .sourceIndex, .destinationIndex,
            .maskDestination, .tableLookup, .accumulatorAddress:
            throw .operandKinds
        }
    }

    // MARK: - Memory

    private mutating func matchMemory(
        _ memory: RequestedMemory, _ modifiers: OperandModifiers, _ shape: OperandShape, _ index: Int
    ) throws(EncodingFailure) {
        guard shape.allowsMemory, shape.place == .rm || shape.place == .moffs else { throw .operandKinds }
        let isFar = shape.memoryWidth == .far
        // A far pointer is told from a near one by `far`, except where nothing else is possible
        let isBranch = definition.operation == .callFar || definition.operation == .jmpFar
        switch modifiers.distance {
        case nil: if isBranch { throw .operandKinds }
        case .near: if isFar || !definition.endsBlock { throw .operandKinds }
        case .far: if !isBranch { throw .operandKinds }
        case .short: throw .operandKinds
        }
        let width = bits(shape.memoryWidth)
        if let size = modifiers.size {
            guard shape.memoryWidth == .none || size == (isFar ? operandSize : width) else {
                throw .sizeMismatch(operand: index)
            }
            if shape.memoryWidth.dependsOnOperandSize { sizeIsShown = true }
        } else if width > 0 {
            // NASM has no MOVZX and MOVSX from words to words, so that a byte is meant
            if definition.operands == [.Gv, .Ew], operandSize == 16 { throw .operandKinds }
            unsizedMemoryWidth = width
            if shape.memoryWidth.dependsOnOperandSize { sizeIsOpen = true }
        }
        if shape.place == .moffs {
            try matchOffset(memory, index)
        } else {
            let encoding = try ModRMMemory(memory, addressSize: addressSize, mode: mode, operand: index)
            modRM = .memory(encoding)
            rexX = encoding.indexIsHigh
            rexB = encoding.baseIsHigh
        }
        if memory.segment != .none {
            guard segment == .none || segment == memory.segment else { throw .prefix(.twoSegments) }
            segment = memory.segment
        }
    }

    /// The full address of the MOV forms of the accumulator; 64 bits only if the source asks for them.
    private mutating func matchOffset(_ memory: RequestedMemory, _ index: Int) throws(EncodingFailure) {
        guard memory.base == .none, memory.index == .none else { throw .operandKinds }
        if mode == .bits64 {
            guard memory.displacementSize == 64 ? addressSize == 64 : addressSize == 32 else { throw .operandKinds }
        }
        if addressSize < 64 { requireFit(memory.displacement, bits: addressSize, index) }
        immediates.append((memory.displacement.bits, addressSize / 8))
    }

    // MARK: - Immediates

    private mutating func matchImmediate(
        _ value: OperandValue, _ modifiers: OperandModifiers, _ shape: OperandShape, _ index: Int
    ) throws(EncodingFailure) {
        switch shape.place {
        case .constantOne:
            guard modifiers.size == nil, value.decidesSize, value.bits == 1 else { throw .operandKinds }
            return
        case .relative:
            return try matchRelative(value, modifiers, shape, index)
        case .immediate, .immediate2:
            break
        case .rm, .reg, .opcode, .vvvv, .farPointer, .moffs, .fixed, .sourceIndex, .destinationIndex,
            .maskDestination, .tableLookup, .accumulatorAddress:
            throw .operandKinds
        }
        guard modifiers.distance == nil else { throw .operandKinds }
        let width = bits(shape.width)
        let encoded = bits(shape.encodedWidth)
        let isFixed = modifiers.isStrict || !value.decidesSize
        if let size = modifiers.size {
            // PUSH of a double word is the usual PUSH in 64-bit mode
            let isUsual = size == width || size == 32 && definition.operation == .push && width == 64
            guard size == encoded || isUsual && (!modifiers.isStrict || encoded >= min(width, 32)) else {
                throw .sizeMismatch(operand: index)
            }
            // `push word 5` has the size that its only operand has
            if size == operandSize, shape.width == .operandSize { sizeIsShown = true }
            // With `byte` a short field is wanted whatever the value
            if size != encoded, isFixed, encoded < min(width, 32) { throw .operandKinds }
        } else if isFixed, encoded < min(width, 32) {
            throw .operandKinds
        }
        if encoded < width {
            if encoded == 8 { hasShortImmediate = true }
            if isFixed, modifiers.size != encoded { extendsAddress = true }
            // `mov rax, qword 1` demands what only the full or the zero-extending form gives
            if modifiers.size == 64, definition.operation == .mov { extendsAddress = true }
            requireExtension(value, from: encoded, to: width, index)
        } else {
            if shape.width == .bits8, !definition.hasByteArithmetic, value.bits < 0 {
                misfit = .outOfRange(operand: index, value: value.bits, bits: width, isSigned: false)
            }
            requireFit(value, bits: width, index)
        }
        immediates.append((value.bits, encoded / 8))
    }

    private mutating func matchRelative(
        _ value: OperandValue, _ modifiers: OperandModifiers, _ shape: OperandShape, _ index: Int
    ) throws(EncodingFailure) {
        let isShort = shape.encodedWidth == .bits8
        switch modifiers.distance {
        case .far: throw .operandKinds
        case .short: if !isShort { throw .operandKinds }
        case .near: if isShort { throw .operandKinds }
        case nil:
            if isShort, candidate.hasNearForm, modifiers.isStrict || !value.allowsShortForm || !value.isAddress {
                throw .operandKinds
            }
        }
        if let size = modifiers.size {
            // NASM takes the size of a conditional jump only with `near`
            guard !isShort, size == operandSize, definition.operation != .jcc || modifiers.distance == .near else {
                throw .sizeMismatch(operand: index)
            }
            sizeIsShown = true
        }
        relative = (value, bits(shape.encodedWidth), index)
    }

    /// Numbers are accepted as signed and as unsigned, and with one bit more when negative: `~0xF0` is a byte.
    private mutating func requireFit(_ value: OperandValue, bits: Int, _ index: Int) {
        guard bits < 64 else { return }
        let limit = Int64(1) << Int64(bits)
        if value.bits < -limit || value.bits >= limit {
            misfit = .outOfRange(operand: index, value: value.bits, bits: bits, isSigned: false)
        }
    }

    /// The value must be what the processor gets when it extends the sign of the field.
    private mutating func requireExtension(
        _ value: OperandValue, from encoded: Int, to width: Int, _ index: Int
    ) {
        requireFit(value, bits: width, index)
        let shift = Int64(64 - encoded)
        let extended = (value.bits << shift) >> shift
        let difference = UInt64(bitPattern: extended ^ value.bits)
        if difference << UInt64(64 - width) != 0 {
            misfit = .outOfRange(operand: index, value: value.bits, bits: encoded, isSigned: true)
        }
    }
}

extension InstructionDefinition {
    private static let shifts: Set<Operation> = [.rol, .ror, .rcl, .rcr, .shl, .shr, .sar]

    /// True if the immediate of eight bits is a number to compute with, which can be negative, and not a count, a port
    /// or a choice.
    fileprivate var hasByteArithmetic: Bool {
        operands.first?.shape.width == .bits8 && operands.first?.shape.place != .immediate && operation != .in
            && !Self.shifts.contains(operation)
    }

    /// True if the size of the immediate tells that of a memory operand: `add [rax], byte 1`.
    fileprivate var sizeFollowsImmediate: Bool {
        !Self.shifts.contains(operation) && operands.count == 2 && operands[1].shape.place == .immediate
    }
}

extension OperandWidth {
    /// True if the 66 prefix or REX.W changes the width.
    var dependsOnOperandSize: Bool {
        switch self {
        case .operandSize, .atMost32, .atLeast32, .far: true
        case .none, .bits8, .bits16, .bits32, .bits64, .bits80, .bits128, .native, .addressSize, .pseudoDescriptor,
            .bounds, .environment, .x87State, .bytes512, .xsaveArea:
            false
        }
    }
}

extension OperandShape {
    fileprivate var dependsOnOperandSize: Bool { width.dependsOnOperandSize || memoryWidth.dependsOnOperandSize }
}

extension Register {
    fileprivate var isGeneral: Bool {
        switch self.class {
        case .general64, .general32, .general16, .general8, .general8High: true
        case .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none: false
        }
    }

    fileprivate var isWordOrWider: Bool { isGeneral && width >= 16 }

    /// True for registers that need a REX prefix, and those of 64 bits.
    var needs64BitMode: Bool {
        self.class == .general64 || number >= 8 || self.class == .general8 && number >= 4
    }
}
