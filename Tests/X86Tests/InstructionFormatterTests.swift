import Testing
import X86

@Suite struct InstructionFormatterTests {
    @Test(
        arguments: [
            ([0x48, 0x8B, 0x44, 0xB7, 0x10], "mov rax, [rdi+rsi*4+0x10]"),
            ([0xF0, 0x0F, 0xB1, 0x0B], "lock cmpxchg [rbx], ecx"),
            ([0xF3, 0xA4], "rep movsb"), ([0xF2, 0xAE], "repne scasb"), ([0x67, 0x48, 0xAB], "a32 stosq"),
            ([0xEB, 0xFE], "jmp 0x401000"), ([0x0F, 0x85, 0, 1, 0, 0], "jne 0x401106"),
            ([0xE3, 0x10], "jrcxz 0x401012"),
            ([0x83, 0xC4, 0xF0], "add esp, -0x10"), ([0x48, 0xCF], "iretq"), ([0x9C], "pushfq"),
            ([0x66, 0x6A, 0xFF], "push word -0x1"),
            ([0xC6, 0x00, 0x80], "mov byte [rax], 0x80"), ([0x0F, 0xB6, 0x00], "movzx eax, byte [rax]"),
            ([0x65, 0x48, 0x8B, 0x04, 0x25, 0x28, 0, 0, 0], "mov rax, [gs:0x28]"),
            ([0x8B, 0x05, 0x10, 0, 0, 0], "mov eax, [rel 0x401016]"),
            ([0xFF, 0x28], "jmp dword far [rax]"), ([0x48, 0x0F, 0xAE, 0x00], "fxsave64 [rax]"),
            ([0xD9, 0x00], "fld dword [rax]"),
            ([0x0F, 0x22, 0xD8], "mov cr3, rax"), ([0x66, 0x0F, 0x38, 0x10, 0xC1], "pblendvb xmm0, xmm1, xmm0"),
            ([0xD3, 0x20], "shl dword [rax], cl"), ([0x0F, 0x01, 0x38], "invlpg [rax]"), ([0x66, 0x90], "nop"),
        ] as [([UInt8], String)])
    func writesNASMSyntax(bytes: [UInt8], text: String) throws {
        let instruction = try #require(bytes.decoded(.bits64))
        #expect(InstructionFormatter(mode: .bits64).text(of: instruction, at: 0x401000) == text)
    }
}

extension [UInt8] {
    fileprivate func decoded(_ mode: CodeMode) -> Instruction? {
        guard case .instruction(let instruction) = withUnsafeBytes({ Decoder.decode($0, mode: mode) }) else {
            return nil
        }
        return instruction
    }
}
