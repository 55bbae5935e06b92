/// The attempt to encode a request by one row with one operand size.
struct EncodingAttempt {
    private let candidate: MnemonicCandidate
    private let definition: InstructionDefinition
    private let request: EncoderRequest
    private let mode: CodeMode
    private let operandSize: Int
    /// The size that the row has without prefixes.
    private let naturalSize: Int
    private let addressSize: Int

    // REX or VEX bits and what they come from
    private var rexR = false
    private var rexX = false
    private var rexB = false
    private var needsREX = false
    private var highByte: Register?
    // Fields
    private var modRMReg = 0
    private var modRM: ModRMOperand?
    private var opcodeRegister = 0
    private var vvvv = 0
    private var immediates: [(value: Int64, bytes: Int)] = []
    private var relative: (target: OperandValue, bits: Int, operand: Int)?
    private var segment = Register.none
    /// True if an operand shows the operand size.
    private var sizeIsShown = false
    /// True if a memory operand without a size could have any.
    private var sizeIsOpen = false
    private var unsizedMemoryWidth: Int?
    /// A value that does not fit its field; the form still counts when the size of a memory operand is in question.
    private var misfit: EncodingFailure?
    private var extendsAddress = false
    private var hasShortImmediate = false

    init(_ candidate: MnemonicCandidate, operandSize: Int, _ request: EncoderRequest) throws(EncodingFailure) {
        self.candidate = candidate
        self.request = request
        self.operandSize = operandSize
        definition = candidate.definition
        mode = request.mode
        naturalSize = Self.naturalSize(of: definition, mode: request.mode)
        addressSize = try Self.addressSize(of: candidate, in: request)
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
    static func operandSizes(of candidate: MnemonicCandidate, in request: EncoderRequest) -> [Int] {
        let definition = candidate.definition
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
        of candidate: MnemonicCandidate, in request: EncoderRequest
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
        for (source, form) in zip(candidate.sources, candidate.definition.operands) {
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
            if case .register(let register) = operand.kind, mode != .bits64, register.needs64BitMode {
                throw .needs64BitMode(operand: index, register)
            }
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
        let forms = definition.operands
        if forms == [.Zv, .Iv], operandSize == 32, width(0) == 64, isZeroExtended(operands[1]) {
            // A 32-bit move clears the upper half
            narrow(0, to: 32)
            operands[1].modifiers.size = nil
        } else if forms == [.RvMw, .Sw] || definition.operation == .sldt, operandSize == 32, width(0) == 64 {
            narrow(0, to: 32)
        } else if forms == [.Sw, .Ew], width(1) != 0 {
            narrow(1, to: 16)
        } else if definition.operation == .lar || definition.operation == .lsl, width(1) != 0 {
            narrow(1, to: min(operandSize, 32))
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

    // MARK: - Bytes

    /// The prefixes that stand before those of sizes.
    static func legacyPrefixes(_ request: EncoderRequest, segment: Register) -> [UInt8] {
        var bytes: [UInt8] = []
        if request.prefixes.waits { bytes.append(0x9B) }
        switch request.prefixes.repetition {
        case nil: break
        case .whileEqual: bytes.append(0xF3)
        case .whileNotEqual: bytes.append(0xF2)
        }
        if request.prefixes.isLocked { bytes.append(0xF0) }
        if segment != .none { bytes.append([0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65][segment.number]) }
        return bytes
    }

    private func assemble() throws(EncodingFailure) -> [UInt8] {
        try checkPrefixes()
        var bytes: [UInt8] = candidate.waits ? [0x9B] : []
        bytes += Self.legacyPrefixes(request, segment: segment)
        if needsOperandSizePrefix { bytes.append(0x66) }
        if addressSize != (mode == .bits64 ? 64 : mode == .bits32 ? 32 : 16) { bytes.append(0x67) }
        if definition.isVEX { appendVEX(to: &bytes) } else { try appendLegacy(to: &bytes) }
        bytes.append(definition.opcode | UInt8(truncatingIfNeeded: opcodeRegister))
        return try appendFields(to: bytes)
    }

    private var needsOperandSizePrefix: Bool {
        if definition.sizeRule == .ignore66 { return false }
        return operandSize == 16 && mode != .bits16 || operandSize == 32 && mode == .bits16
    }

    private var w: Bool {
        if let w = definition.w { return w }
        return operandSize == 64 && naturalSize != 64
    }

    private func checkPrefixes() throws(EncodingFailure) {
        if request.prefixes.isLocked {
            guard definition.lockable, case .memory = modRM,
                definition.operands.first?.shape.place == .rm
                    || definition.operation == .xchg
            else { throw .notLockable }
        }
        if request.prefixes.repetition != nil, definition.prefix != .any || definition.isVEX {
            throw .prefix(.repetition)
        }
        if needsOperandSizePrefix, definition.prefix == .none || definition.prefix == .x66 {
            throw .prefix(.operandSize)
        }
    }

    private func appendLegacy(to bytes: inout [UInt8]) throws(EncodingFailure) {
        switch definition.prefix {
        case .any, .none, .noRepeat: break
        case .x66: bytes.append(0x66)
        case .xF3: bytes.append(0xF3)
        case .xF2: bytes.append(0xF2)
        }
        let rex = 0x40 | (w ? 8 : 0) | (rexR ? 4 : 0) | (rexX ? 2 : 0) | (rexB ? 1 : 0) as UInt8
        if rex != 0x40 || needsREX {
            if let highByte { throw .highByte(highByte) }
            bytes.append(rex)
        }
        switch definition.map {
        case .primary: break
        case .secondary: bytes.append(0x0F)
        case .escape38: bytes += [0x0F, 0x38]
        case .escape3A: bytes += [0x0F, 0x3A]
        }
    }

    /// A VEX prefix of three bytes (SDM volume 2 section 2.3.5): the rows' maps need it.
    private func appendVEX(to bytes: inout [UInt8]) {
        let map: UInt8 =
            switch definition.map {
            case .primary, .secondary: 1
            case .escape38: 2
            case .escape3A: 3
            }
        let prefix: UInt8 =
            switch definition.prefix {
            case .any, .none, .noRepeat: 0
            case .x66: 1
            case .xF3: 2
            case .xF2: 3
            }
        bytes.append(0xC4)
        bytes.append((rexR ? 0 : 0x80) | (rexX ? 0 : 0x40) | (rexB ? 0 : 0x20) | map)
        bytes.append((w ? 0x80 : 0) | UInt8(truncatingIfNeeded: ~vvvv & 15) << 3 | prefix)
    }

    /// Appends ModRM, SIB, displacement and immediates; what counts from the end of the instruction is known then.
    private func appendFields(to prefix: [UInt8]) throws(EncodingFailure) -> [UInt8] {
        var bytes = prefix
        let immediateLength = immediates.reduce(0) { $0 + $1.bytes } + (relative.map { $0.bits / 8 } ?? 0)
        if definition.modRM != .absent {
            let reg = UInt8(truncatingIfNeeded: definition.digit.map(Int.init) ?? modRMReg) << 3
            switch modRM {
            case nil:
                bytes.append(0xC0 | reg | (definition.rm ?? 0))
            case .register(let number):
                bytes.append(0xC0 | reg | UInt8(truncatingIfNeeded: number))
            case .memory(let memory):
                bytes.append(memory.modRM | reg)
                if let sib = memory.sib { bytes.append(sib) }
                var displacement = memory.displacement.bits
                if memory.isRelative {
                    let end = bytes.count + memory.displacementBytes + immediateLength
                    displacement = try distance(
                        to: memory.displacement, length: end, bits: 32, addressSize: addressSize,
                        operand: memory.operand)
                }
                Self.append(displacement, count: memory.displacementBytes, to: &bytes)
            }
        }
        for immediate in immediates { Self.append(immediate.value, count: immediate.bytes, to: &bytes) }
        if let relative {
            let length = bytes.count + relative.bits / 8
            let distance = try distance(
                to: relative.target, length: length, bits: relative.bits, addressSize: operandSize,
                operand: relative.operand)
            Self.append(distance, count: relative.bits / 8, to: &bytes)
        }
        return bytes
    }

    private static func append(_ value: Int64, count: Int, to bytes: inout [UInt8]) {
        for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> Int64(index * 8))) }
    }

    /// The distance from the end of the instruction, which must fit the field; 16- and 32-bit addresses wrap around.
    private func distance(
        to target: OperandValue, length: Int, bits: Int, addressSize: Int, operand: Int
    ) throws(EncodingFailure) -> Int64 {
        let distance = target.bits &- Int64(bitPattern: request.address) &- Int64(length)
        let wrapped: Int64 =
            switch addressSize {
            case 16: Int64(Int16(truncatingIfNeeded: distance))
            case 32: Int64(Int32(truncatingIfNeeded: distance))
            default: distance
            }
        let shift = Int64(64 - bits)
        guard (wrapped << shift) >> shift == wrapped else {
            throw .jumpTooFar(operand: operand, distance: distance, bits: bits)
        }
        return wrapped
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
    fileprivate var needs64BitMode: Bool {
        self.class == .general64 || number >= 8 || self.class == .general8 && number >= 4
    }
}
