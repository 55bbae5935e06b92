extension EncodingAttempt {
    /// The prefixes that stand before those of sizes.
    static func legacyPrefixes(_ prefixes: RequestedPrefixes, segment: Register) -> [UInt8] {
        var bytes: [UInt8] = []
        if prefixes.waits { bytes.append(0x9B) }
        switch prefixes.repetition {
        case nil: break
        case .whileEqual: bytes.append(0xF3)
        case .whileNotEqual: bytes.append(0xF2)
        }
        if prefixes.isLocked { bytes.append(0xF0) }
        if segment.class == .segment { bytes.append([0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65][segment.number]) }
        return bytes
    }

    func assemble() throws(EncodingFailure) -> [UInt8] {
        try checkPrefixes()
        var bytes: [UInt8] = candidate.waits ? [0x9B] : []
        bytes += Self.legacyPrefixes(request.prefixes, segment: segment)
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
