import Testing
import X86

/// Facts from SDM volume 2 chapter 2 that single out the decoder's own rules; the rest is compared with Zydis.
@Suite struct DecoderTests {
    private func decode(_ bytes: [UInt8], _ mode: CodeMode = .bits64) -> Result<Instruction, DecodeFailure> {
        switch bytes.withUnsafeBytes({ Decoder.decode($0, mode: mode) }) {
        case .instruction(let instruction): .success(instruction)
        case .failure(let failure): .failure(failure)
        }
    }

    @Test func scaledIndexAddressing() throws {
        let instruction = try decode([0x48, 0x8B, 0x44, 0xB7, 0x10]).get()
        #expect(instruction.operation == .mov)
        #expect(instruction.length == 5)
        #expect(instruction.operands.0 == Operand(kind: .register, register: .rax, width: 64))
        #expect(instruction.operands.1 == Operand(kind: .memory, width: 64))
        #expect(instruction.memory.base == .rdi)
        #expect(instruction.memory.index == .rsi)
        #expect(instruction.memory.scale == 4)
        #expect(instruction.memory.displacement == 0x10)
        #expect(instruction.memory.segment == .ds)
    }

    @Test func rexCountsOnlyDirectlyBeforeTheOpcode() throws {
        let instruction = try decode([0x48, 0x66, 0x89, 0xC8]).get()
        #expect(instruction.operandSize == 16)
        #expect(instruction.operands.0.register == .ax)
    }

    @Test func byteRegistersDependOnREX() throws {
        #expect(try decode([0x88, 0xE0]).get().operands.1.register == .ah)
        #expect(try decode([0x40, 0x88, 0xE0]).get().operands.1.register == .spl)
    }

    @Test func nullSegmentPrefixesDoNotDisplaceFS() throws {
        #expect(try decode([0x64, 0x2E, 0x8B, 0x00]).get().memory.segment == .fs)
        #expect(try decode([0x64, 0x2E, 0x8B, 0x00], .bits32).get().memory.segment == .cs)
    }

    @Test func stackBasesDefaultToSS() throws {
        #expect(try decode([0x8B, 0x45, 0x00]).get().memory.segment == .ss)
        #expect(try decode([0x41, 0x8B, 0x45, 0x00]).get().memory.segment == .ds)
        #expect(try decode([0x8B, 0x46, 0x00], .bits16).get().memory.segment == .ss)
    }

    @Test func opcode90IsNopPauseOrExchange() throws {
        #expect(try decode([0x90]).get().operation == .nop)
        #expect(try decode([0xF3, 0x90]).get().operation == .pause)
        #expect(try decode([0x49, 0x90]).get().operands.0.register == .r8)
        #expect(try decode([0x48, 0x90]).get().operation == .nop)
    }

    @Test func lockNeedsAMemoryDestination() {
        #expect(throws: Never.self) { try decode([0xF0, 0x01, 0x08]).get() }
        #expect(decode([0xF0, 0x01, 0xC8]) == .failure(.invalid))
        #expect(decode([0xF0, 0x03, 0x08]) == .failure(.invalid))
        #expect(decode([0xF0, 0x39, 0x08]) == .failure(.invalid))
        #expect(decode([0xF0, 0x90]) == .failure(.invalid))
    }

    @Test func lengthIsLimitedToFifteenBytes() throws {
        let fill = [UInt8](repeating: 0x66, count: 14)
        #expect(try decode(fill + [0x90]).get().length == 15)
        #expect(decode(fill + [0x66, 0x90]) == .failure(.tooLong))
        #expect(decode(fill) == .failure(.truncated))
        #expect(decode([]) == .failure(.truncated))
        #expect(decode([0x0F]) == .failure(.truncated))
        #expect(decode([0x81, 0x00, 0x00, 0x00]) == .failure(.truncated))
    }

    @Test func specialRegistersThatDoNotExistAreInvalid() throws {
        #expect(try decode([0x44, 0x0F, 0x22, 0xC0]).get().operands.0.register == .cr8)
        #expect(decode([0x0F, 0x22, 0xC8]) == .failure(.invalid))
        #expect(decode([0x44, 0x0F, 0x23, 0xC0]) == .failure(.invalid))
        #expect(decode([0x8E, 0xC8]) == .failure(.invalid))
        #expect(decode([0x8E, 0xF0]) == .failure(.invalid))
        #expect(try decode([0x0F, 0x22, 0x18]).get().operands.1.register == .rax, "mod is ignored")
    }

    @Test func immediatesAreExtendedToTheOperandSize() throws {
        #expect(try decode([0x83, 0xC0, 0xFF]).get().immediate == 0xFFFF_FFFF)
        #expect(try decode([0x48, 0x83, 0xC0, 0xFF]).get().immediate == UInt64.max)
        #expect(try decode([0x68, 0, 0, 0, 0x80]).get().immediate == 0xFFFF_FFFF_8000_0000)
        #expect(try decode([0xEB, 0xFE]).get().immediate == UInt64(bitPattern: -2))
    }

    @Test func stringsCarryTheirMemoryOperands() throws {
        let instruction = try decode([0xF3, 0x67, 0x64, 0xA4]).get()
        #expect(instruction.operands.0 == Operand(kind: .memoryDestination, register: .edi, width: 8))
        #expect(instruction.operands.1 == Operand(kind: .memory, width: 8))
        #expect(instruction.memory.base == .esi)
        #expect(instruction.memory.segment == .fs)
        #expect(instruction.prefixes.contains(.repeatEqual))
    }

    @Test func vexAndLESShareOpcodes() throws {
        #expect(try decode([0xC4, 0x00], .bits32).get().operation == .les)
        #expect(try decode([0xC4, 0xE2, 0x70, 0xF2, 0xC2], .bits32).get().operation == .andn)
        let instruction = try decode([0xC4, 0xE2, 0xF0, 0xF2, 0xC2]).get()
        #expect(instruction.operands.0.register == .rax)
        #expect(instruction.operands.1.register == .rcx)
        #expect(instruction.operands.2.register == .rdx)
        #expect(decode([0x66, 0xC4, 0xE2, 0xF0, 0xF2, 0xC2]) == .failure(.invalid))
        #expect(decode([0xC5, 0xF8, 0x28, 0xC1]) == .failure(.invalid), "AVX is not claimed")
    }

    @Test(arguments: CodeMode.allCases)
    func startsOfAnInstructionAreTruncated(mode: CodeMode) throws {
        var strings = ByteStrings(seed: 4)
        for _ in 0..<20_000 {
            let bytes = strings.next(mode: mode)
            guard case .success(let instruction) = decode(bytes, mode) else { continue }
            let length = Int(instruction.length)
            for count in 0..<length {
                #expect(decode(Array(bytes[..<count]), mode) == .failure(.truncated), "\(bytes), \(count) bytes")
            }
            #expect(decode(Array(bytes[..<length]), mode) == .success(instruction), "\(bytes)")
        }
    }
}
