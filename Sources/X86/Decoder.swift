/// Turns bytes into instructions by the instruction table.
///
/// Where Intel's and AMD's processors differ Intel's behaviour holds (66 on near branches, REX.W on far pointers).
/// What depends on the processor model or its state is left to the engine: CPUID features (F3 0F BC, F3 0F BD and
/// F3 0F 09 are TZCNT, LZCNT and WBNOINVD here, but BSF, BSR and WBINVD on processors without these), and
/// real-address and virtual-8086 mode (`InstructionDefinition.protectedOnly`).
package enum Decoder {
    /// Decodes one instruction at the start of `bytes`.
    ///
    /// `bytes` may be longer than the instruction; more than 15 are never looked at.
    package static func decode(_ bytes: UnsafeRawBufferPointer, mode: CodeMode) -> DecodeResult {
        var state = DecoderState(bytes, mode: mode)
        return state.decode()
    }
}

/// The position in the bytes and what the prefixes have said so far.
private struct DecoderState {
    let base: UnsafeRawPointer?
    let limit: Int
    let mode: CodeMode
    var position = 0
    /// True once a byte beyond `limit` was wanted; bytes read then are 0.
    var isExhausted = false

    var prefixes: Prefixes = []
    /// 0 none, 1 F3, 2 F2.
    var repetition = 0
    /// The REX byte's low four bits, or those of VEX.
    var rex: UInt8 = 0
    var segmentOverride = Register.none
    var vvvv: UInt8 = 0
    /// True unless VEX.vvvv is the value that means no register.
    var hasVVVV = false

    var operandSize: UInt8 = 0
    var addressSize: UInt8 = 0
    var modRM: UInt8 = 0
    var opcode: UInt8 = 0

    init(_ bytes: UnsafeRawBufferPointer, mode: CodeMode) {
        base = bytes.baseAddress
        limit = min(bytes.count, 15)
        self.mode = mode
    }

    @inline(__always)
    mutating func byte() -> UInt8 {
        guard let base, position < limit else {
            isExhausted = true
            return 0
        }
        // SAFETY: `position` is not negative and below `limit`, which is at most the count of the caller's buffer.
        let value = base.load(fromByteOffset: position, as: UInt8.self)
        position &+= 1
        return value
    }

    /// A little-endian number of 1, 2, 4 or 8 bytes.
    @inline(__always)
    mutating func number(bytes count: Int) -> UInt64 {
        guard let base, count <= limit &- position else {
            isExhausted = true
            return 0
        }
        // SAFETY: `count` bytes from `position` lie below `limit`.
        let start = base + position
        position &+= count
        return switch count {
        case 1: UInt64(start.load(as: UInt8.self))
        case 2: UInt64(UInt16(littleEndian: start.loadUnaligned(as: UInt16.self)))
        case 4: UInt64(UInt32(littleEndian: start.loadUnaligned(as: UInt32.self)))
        default: UInt64(littleEndian: start.loadUnaligned(as: UInt64.self))
        }
    }

    /// The same, sign-extended.
    @inline(__always)
    mutating func signedNumber(bytes count: Int) -> Int64 {
        let value = number(bytes: count)
        return switch count {
        case 1: Int64(Int8(truncatingIfNeeded: value))
        case 2: Int64(Int16(truncatingIfNeeded: value))
        case 4: Int64(Int32(truncatingIfNeeded: value))
        default: Int64(bitPattern: value)
        }
    }

    /// Whether REX.B, X, R or W is set.
    @inline(__always)
    func rexBit(_ bit: UInt8) -> UInt8 { rex >> bit & 1 }

    mutating func decode() -> DecodeResult {
        opcode = readPrefixes()
        let table = DispatchTable.shared
        guard let map = readOpcode() else { return isExhausted ? exhausted : .failure(.invalid) }
        let variant = DispatchTable.Variant(
            mode: mode, has66: prefixes.contains(.operandSize), w: prefixes.contains(.rexW), repetition: repetition)
        // SAFETY: variant, map and opcode are below the counts that `entries` was made for.
        var entry = table.entries[DispatchTable.entryIndex(variant: variant.index, map: map, opcode: opcode)]
        guard !isExhausted else { return exhausted }
        guard entry != DispatchTable.none else { return .failure(.invalid) }
        if entry & DispatchTable.groupFlag != 0 {
            guard let base, position < limit else { return exhausted }
            // SAFETY: `position` is below `limit`; the group number comes from the table itself.
            let index = DispatchTable.groupIndex(base.load(fromByteOffset: position, as: UInt8.self))
            entry = table.groups[Int(entry & ~DispatchTable.groupFlag) &* DispatchTable.groupSize &+ index]
            guard entry != DispatchTable.none else { return .failure(.invalid) }
        }
        // SAFETY: entries of the table are row numbers, as are the alternatives.
        if rexBit(0) != 0 && table.rows[Int(entry)].alternativeByREXB != DispatchTable.none {
            entry = table.rows[Int(entry)].alternativeByREXB
        }
        let row = table.rows + Int(entry)
        setSizes(row.pointee.sizeRule, ordinary: variant.operandSize)
        var instruction = Instruction(
            operation: row.pointee.operation, row: entry, length: 0, operandSize: operandSize, addressSize: addressSize)
        readOperands(row, into: &instruction)
        guard !isExhausted else { return exhausted }
        guard isValid(row, instruction) else { return .failure(.invalid) }
        instruction.condition = row.pointee.condition
        instruction.prefixes = prefixes
        instruction.length = UInt8(truncatingIfNeeded: position)
        return .instruction(instruction)
    }

    /// Too long if 15 bytes were not enough, else the caller has to bring more.
    private var exhausted: DecodeResult { .failure(limit == 15 ? .tooLong : .truncated) }
}

// MARK: - Prefixes and opcode

extension DecoderState {
    /// Reads all prefixes and returns the byte after them.
    ///
    /// The last of a group wins. REX counts only directly before the opcode (SDM volume 2 section 2.2.1); in 64-bit
    /// mode the overrides of ES, CS, SS and DS count for nothing, not even against an earlier FS or GS.
    private mutating func readPrefixes() -> UInt8 {
        while true {
            let byte = byte()
            switch byte {
            case 0x66: prefixes.insert(.operandSize)
            case 0x67: prefixes.insert(.addressSize)
            case 0xF0: prefixes.insert(.lock)
            case 0xF2: repetition = 2
            case 0xF3: repetition = 1
            case 0x26, 0x2E, 0x36, 0x3E:
                if mode != .bits64 { overrideSegment(.segment(Int(byte >> 3 & 3))) }
            case 0x64: overrideSegment(.fs)
            case 0x65: overrideSegment(.gs)
            case 0x40...0x4F where mode == .bits64:
                rex = byte & 15
                prefixes.insert(.rex)
                if byte & 8 != 0 { prefixes.insert(.rexW) } else { prefixes.remove(.rexW) }
                continue
            default:
                if repetition != 0 { prefixes.insert(repetition == 1 ? .repeatEqual : .repeatNotEqual) }
                return byte
            }
            rex = 0
            prefixes.subtract([.rex, .rexW])
        }
    }

    private mutating func overrideSegment(_ segment: Register) {
        segmentOverride = segment
        prefixes.insert(.segment)
    }

    /// Reads the rest of the opcode, of which `opcode` is the first byte, and returns the number of its map.
    ///
    /// Nil means that there is no such opcode.
    @inline(__always)
    private mutating func readOpcode() -> Int? {
        switch opcode {
        case 0x0F:
            opcode = byte()
            guard opcode == 0x38 || opcode == 0x3A else { return DispatchTable.mapIndex(.secondary, vex: false) }
            let map = opcode == 0x38 ? OpcodeMap.escape38 : .escape3A
            opcode = byte()
            return DispatchTable.mapIndex(map, vex: false)
        case 0xC4, 0xC5:
            // Outside 64-bit mode these are LES and LDS unless the next byte would be a ModRM byte with mod = 3
            guard let base, position < limit else {
                isExhausted = true
                return nil
            }
            // SAFETY: `position` is below `limit`.
            let next = base.load(fromByteOffset: position, as: UInt8.self)
            guard mode == .bits64 || next >= 0xC0 else { return DispatchTable.mapIndex(.primary, vex: false) }
            return readVEX()
        default:
            return DispatchTable.mapIndex(.primary, vex: false)
        }
    }

    /// Reads a VEX prefix and opcode (SDM volume 2 section 2.3.5); only maps 0F 38 and 0F 3A with L = 0 have rows.
    private mutating func readVEX() -> Int? {
        let refused: Prefixes = [.lock, .operandSize, .repeatEqual, .repeatNotEqual, .rex]
        guard opcode == 0xC4, prefixes.isDisjoint(with: refused) else { return nil }
        let first = byte()
        let second = byte()
        opcode = byte()
        let map: OpcodeMap? =
            switch first & 0x1F {
            case 2: .escape38
            case 3: .escape3A
            default: nil
            }
        guard let map, second & 4 == 0 else { return nil }
        prefixes.insert(.vex)
        vvvv = ~second >> 3 & 15
        hasVVVV = vvvv != 0
        if mode == .bits64 {
            rex = ~first >> 5 & 7
            if second & 0x80 != 0 { prefixes.insert(.rexW) }
        } else {
            // The high bits of register numbers and W have no meaning
            vvvv &= 7
        }
        switch second & 3 {
        case 1: prefixes.insert(.operandSize)
        case 2: repetition = 1
        case 3: repetition = 2
        default: break
        }
        return DispatchTable.mapIndex(map, vex: true)
    }

    @inline(__always)
    private mutating func setSizes(_ rule: OperandSizeRule, ordinary: UInt8) {
        let is64 = mode == .bits64
        operandSize =
            switch rule {
            case .normal: ordinary
            case .default64: is64 && ordinary == 32 ? 64 : ordinary
            case .force64: is64 ? 64 : ordinary
            case .ignore66: is64 && prefixes.contains(.rexW) ? 64 : 32
            }
        let has67 = prefixes.contains(.addressSize)
        addressSize =
            switch mode {
            case .bits64: has67 ? 32 : 64
            case .bits32: has67 ? 16 : 32
            case .bits16: has67 ? 32 : 16
            }
    }
}

// MARK: - Operands

extension DecoderState {
    private mutating func readOperands(_ row: UnsafePointer<DispatchTable.Row>, into instruction: inout Instruction) {
        // SAFETY: `row` points into the dispatch table, which is never freed.
        let form = row.pointee.modRM
        if form != .absent {
            modRM = byte()
            if form == .registerWhateverMod { modRM |= 0xC0 }
            if modRM < 0xC0 { readMemory(into: &instruction.memory) }
        }
        let count = row.pointee.operandCount
        instruction.operandCount = count
        guard count > 0 else { return }
        let hasSource = row.pointee.hasStringSource
        instruction.operands.0 = operand(row.pointee.operands.0, hasSource, &instruction)
        guard count > 1 else { return }
        instruction.operands.1 = operand(row.pointee.operands.1, hasSource, &instruction)
        guard count > 2 else { return }
        instruction.operands.2 = operand(row.pointee.operands.2, hasSource, &instruction)
        guard count > 3 else { return }
        instruction.operands.3 = operand(row.pointee.operands.3, hasSource, &instruction)
    }

    private mutating func operand(
        _ form: DispatchTable.Operand, _ hasStringSource: Bool, _ instruction: inout Instruction
    ) -> Operand {
        switch form.place {
        case .rm:
            guard modRM >= 0xC0 else { return Operand(kind: .memory, width: bits(form.memoryWidth)) }
            return register(form, number: modRM & 7 | rexBit(0) << 3)
        case .reg:
            return register(form, number: modRM >> 3 & 7 | rexBit(2) << 3)
        case .opcode:
            return register(form, number: opcode & 7 | rexBit(0) << 3)
        case .vvvv:
            return register(form, number: vvvv)
        case .immediate:
            let width = bits(form.width)
            // Only Iv goes up to 64 encoded bits; what is narrower than the operand is extended with its sign
            let value = signedNumber(bytes: Int(bits(form.encodedWidth) >> 3))
            instruction.immediate = UInt64(bitPattern: value) & (UInt64.max >> UInt64(64 &- width))
            return Operand(kind: .immediate, width: width)
        case .immediate2:
            instruction.immediate2 = number(bytes: 1)
            return Operand(kind: .immediate2, width: 8)
        case .constantOne:
            instruction.immediate = 1
            return Operand(kind: .immediate, width: 8)
        case .relative:
            instruction.immediate = UInt64(bitPattern: signedNumber(bytes: Int(bits(form.encodedWidth) >> 3)))
            return Operand(kind: .relative, width: bits(form.width))
        case .farPointer:
            instruction.immediate = number(bytes: operandSize == 16 ? 2 : 4)
            instruction.immediate2 = number(bytes: 2)
            return Operand(kind: .farPointer, width: bits(form.width))
        case .moffs:
            instruction.memory.segment = segment(else: .ds)
            instruction.memory.displacement = Int64(bitPattern: number(bytes: Int(addressSize >> 3)))
            return Operand(kind: .memory, width: bits(form.width))
        case .fixed:
            return form.registers == .general64
                ? register(form, number: UInt8(truncatingIfNeeded: form.fixed.number))
                : Operand(kind: .register, register: form.fixed, width: bits(form.width))
        case .sourceIndex:
            return implicitMemory(.init(number: 6, segment: segment(else: .ds)), form, &instruction)
        case .destinationIndex:
            guard !hasStringSource else {
                let address = Register.general(7, width: Int(addressSize))
                return Operand(kind: .memoryDestination, register: address, width: bits(form.width))
            }
            return implicitMemory(.init(number: 7, segment: .es), form, &instruction)
        case .maskDestination:
            return implicitMemory(.init(number: 7, segment: segment(else: .ds)), form, &instruction)
        case .accumulatorAddress:
            return implicitMemory(.init(number: 0, segment: segment(else: .ds)), form, &instruction)
        case .tableLookup:
            instruction.memory.index = .al
            return implicitMemory(.init(number: 3, segment: segment(else: .ds)), form, &instruction)
        }
    }

    /// The base register and segment of memory that no ModRM byte names.
    private struct ImplicitAddress {
        var number: Int
        var segment: Register
    }

    private func implicitMemory(
        _ address: ImplicitAddress, _ form: DispatchTable.Operand, _ instruction: inout Instruction
    ) -> Operand {
        instruction.memory.segment = address.segment
        instruction.memory.base = .general(address.number, width: Int(addressSize))
        return Operand(kind: .memory, width: bits(form.memoryWidth))
    }

    @inline(__always)
    private func segment(else standard: Register) -> Register {
        segmentOverride == .none ? standard : segmentOverride
    }

    private func register(_ form: DispatchTable.Operand, number: UInt8) -> Operand {
        let width = bits(form.width)
        let number = Int(number)
        let register: Register =
            switch form.registers {
            case .general64, .general32, .general16, .general8, .general8High:
                width == 8
                    ? .byte(number, hasREX: prefixes.contains(.rex)) : .general(number, width: Int(width))
            case .segment: number & 7 < 6 ? .segment(number & 7) : .none
            case .control: .control(number)
            case .debug: number < 8 ? .debug(number) : .none
            case .x87: .x87(number)
            case .mmx: .mmx(number)
            case .xmm: .xmm(number)
            case .instructionPointer, .none: .none
            }
        return Operand(kind: .register, register: register, width: width)
    }

    private func bits(_ width: OperandWidth) -> UInt16 {
        switch width {
        case .none: 0
        case .bits8: 8
        case .bits16: 16
        case .bits32: 32
        case .bits64: 64
        case .bits80: 80
        case .bits128: 128
        case .operandSize: UInt16(operandSize)
        case .atMost32: operandSize == 16 ? 16 : 32
        case .atLeast32: prefixes.contains(.rexW) ? 64 : 32
        case .native: mode == .bits64 ? 64 : 32
        case .addressSize: UInt16(addressSize)
        case .far: UInt16(operandSize) &+ 16
        case .pseudoDescriptor: mode == .bits64 ? 80 : 48
        case .bounds: UInt16(operandSize) &* 2
        case .environment: operandSize == 16 ? 14 * 8 : 28 * 8
        case .x87State: operandSize == 16 ? 94 * 8 : 108 * 8
        case .bytes512: 512 * 8
        case .xsaveArea: 576 * 8
        }
    }

    /// What the row alone cannot rule out: LOCK, and numbers of special registers that do not exist.
    @inline(__always)
    private func isValid(_ row: UnsafePointer<DispatchTable.Row>, _ instruction: Instruction) -> Bool {
        if prefixes.contains(.lock) {
            // SAFETY: `row` points into the dispatch table.
            guard row.pointee.lockable, instruction.operands.0.kind == .memory else { return false }
        }
        // RORX has no register in vvvv
        if instruction.operation == .rorx && hasVVVV { return false }
        guard row.pointee.namesSystemRegister else { return true }
        return exists(instruction.operands.0) && exists(instruction.operands.1)
            && instruction.operands.0.register != .cs
    }

    /// Whether MOV can name the register: CR0, CR2, CR3, CR4 and CR8 are all there is of control registers.
    private func exists(_ operand: Operand) -> Bool {
        guard operand.kind == .register else { return true }
        return operand.register.class == .control
            ? 0x11D >> operand.register.number & 1 != 0
            : operand.register != .none
    }
}

// MARK: - Memory operands

extension DecoderState {
    private mutating func readMemory(into memory: inout MemoryOperand) {
        if addressSize == 16 { readMemory16(into: &memory) } else { readMemory32(into: &memory) }
    }

    /// SDM volume 2 table 2-1.
    private mutating func readMemory16(into memory: inout MemoryOperand) {
        let mod = modRM >> 6
        switch modRM & 7 {
        case 0: (memory.base, memory.index) = (.bx, .si)
        case 1: (memory.base, memory.index) = (.bx, .di)
        case 2: (memory.base, memory.index) = (.bp, .si)
        case 3: (memory.base, memory.index) = (.bp, .di)
        case 4: memory.base = .si
        case 5: memory.base = .di
        case 6: memory.base = mod == 0 ? .none : .bp
        default: memory.base = .bx
        }
        if mod == 1 {
            memory.displacement = signedNumber(bytes: 1)
        } else if mod == 2 || memory.base == .none {
            memory.displacement = signedNumber(bytes: 2)
        }
        memory.segment = segment(else: memory.base == .bp ? .ss : .ds)
    }

    /// SDM volume 2 tables 2-2, 2-3, 2-5 and section 2.2.1.6.
    private mutating func readMemory32(into memory: inout MemoryOperand) {
        let width = Int(addressSize)
        let mod = modRM >> 6
        var base = modRM & 7
        var hasBase = true
        if base == 4 {
            let sib = byte()
            base = sib & 7
            let index = sib >> 3 & 7 | rexBit(1) << 3
            if index != 4 {
                memory.index = .general(Int(index), width: width)
                memory.scale = 1 << (sib >> 6)
            }
            hasBase = base != 5 || mod != 0
        } else if base == 5 && mod == 0 {
            hasBase = false
            if mode == .bits64 { memory.base = addressSize == 64 ? .rip : .eip }
        }
        if hasBase { memory.base = .general(Int(base | rexBit(0) << 3), width: width) }
        switch mod {
        case 1: memory.displacement = signedNumber(bytes: 1)
        case 2: memory.displacement = signedNumber(bytes: 4)
        default: if !hasBase { memory.displacement = signedNumber(bytes: 4) }
        }
        // rSP and rBP, but not R12 and R13, go with SS
        let usesStack = hasBase && (base == 4 || base == 5) && rexBit(0) == 0
        memory.segment = segment(else: usesStack ? .ss : .ds)
    }
}
