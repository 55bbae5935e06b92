import X86

/// Makes lines of assembly text for every way of writing every row of the instruction table.
///
/// Only inputs come from the table; what they must become is NASM's to say.
struct AssemblerInputs {
    let bits: Int
    /// Rotates through the lists, so that neighbouring lines differ.
    private var turn = 0

    init(bits: Int) { self.bits = bits }

    /// Lines beside those of the table: sizes, prefixes and addresses that have rules of their own.
    static let handWritten = [
        "lea cx, 0x1234", "mov rax, 1", "mov rax, -1", "mov rax, 0x80000000", "mov rax, 0xffffffff80000000",
        "mov rax, strict 1", "mov rax, strict dword 1", "mov rax, dword 1", "mov rax, qword 1", "mov eax, [qword 0x10]",
        "mov al, [qword 0x123456789abcdef0]", "mov rbx, [qword 0x10]", "mov eax, [a32 0x10]", "mov ebx, [a32 0x10]",
        "a32 mov eax, [0x10]", "a16 mov eax, [0x10]", "a64 mov eax, [rbx]", "mov eax, [a16 bx]", "a32 mov eax, [bx]",
        "mov eax, [rax+ebx]", "mov eax, [ax]", "mov eax, [sp]", "mov eax, [bx+bp]", "mov eax, [si+di]",
        "mov eax, [bx*2]",
        "mov eax, [esp*2]", "mov eax, [eax+esp]", "mov eax, [esp+esp]", "mov eax, [eax*1+ebx]", "mov eax, [ebx+eax*1]",
        "mov eax, [eax*6]", "mov eax, [eax-ebx]", "mov eax, [eax*2+ebx*2]", "mov eax, [eax+ebx+ecx]", "mov eax, [al]",
        "mov eax, [eax+5-5]", "mov eax, [(eax+1)*2]", "mov eax, [eax*0+7]", "mov eax, [2*eax+ebx]", "mov eax, [xmm0]",
        "mov eax, [ebp*1]", "mov eax, [nosplit eax*1]", "mov eax, [byte eax+127]", "mov eax, [byte eax+128]",
        "mov eax, [dword eax]", "mov eax, es:[eax]", "mov eax, [es:eax]", "es mov eax, [eax]", "es mov eax, [fs:eax]",
        "lock add [eax], ebx", "lock add ebx, [eax]", "lock add ebx, eax", "lock mov [eax], ebx",
        "lock xchg [eax], ebx",
        "lock inc dword [eax]", "lock cmpxchg8b [eax]", "lock bts [eax], ebx", "lock bt [eax], ebx", "rep movsb",
        "rep lodsd", "repe cmpsb", "repz cmpsw", "repne scasb", "repnz scasd", "rep insb", "rep outsd", "rep ret",
        "rep nop", "rep rep movsb", "rep repne movsb", "lock lock inc dword [eax]", "es movsb", "es fs movsb",
        "a16 movsb", "a32 movsb", "a16 rep movsd", "a32 rep stosd", "rep", "es", "o16", "o32", "a16", "a32",
        "o16 push es", "o32 push es", "o16 pop fs", "o32 retf", "o16 retf 4", "o64 retf", "o16 ret", "o16 lgdt [eax]",
        "o32 lgdt [eax]", "o16 iret", "o32 iret", "o64 iret", "o16 leave", "o16 enter 8, 0", "o16 fnsave [eax]",
        "o32 fldenv [eax]", "o16 nop", "o64 nop", "o16 cpuid", "o64 sysret", "o16 mov ax, bx", "o32 mov eax, ebx",
        "o16 jmp short $", "o16 jz $", "o32 jmp short $", "wait fnop", "wait", "fwait", "xlat", "xlatb", "es xlatb",
        "jmp word $", "jmp dword $", "jmp near word $", "jz near word $", "jz near dword $", "jz word $", "call word $",
        "call dword $", "jmp short $+129", "jmp short $+130", "jmp short $-126", "jmp short $-127", "jmp $+129",
        "jmp $+130", "jmp $-126", "jmp $-127", "jz $+129", "jz $+130", "loop $+129", "loop $+130", "jmp near $",
        "jmp strict $", "jmp strict short $", "call near $", "call short $", "jmp far [eax]", "jmp far word [eax]",
        "jmp far dword [eax]", "jmp far qword [eax]", "call far [eax]", "call far dword [eax]", "jmp [eax]",
        "call [eax]",
        "jmp near [eax]", "call near [eax]", "jmp near eax", "jmp short eax", "jmp far eax", "jmp far 1:2", "jmp 1:2",
        "jmp word 1:2", "jmp dword 1:2", "call dword 8:0x12345678", "call word 8:0x12345", "jmp 0x12345:0",
        "push 5", "push 500", "push byte 5", "push word 5", "push dword 5", "push qword 5", "push byte 200",
        "push strict dword 5", "push strict word 5", "push [eax]", "push byte [eax]", "push word [eax]",
        "push dword [eax]",
        "push qword [eax]", "push eax", "push ax", "push rax", "push al", "push cs", "pop ds", "pop word [eax]",
        "mov ds, eax", "mov ds, rax", "mov ds, ax", "mov ax, ds", "mov eax, ds", "mov rax, ds", "mov [eax], ds",
        "mov word [eax], ds", "mov dword [eax], ds", "mov ds, [eax]", "mov ds, word [eax]", "mov ds, dword [eax]",
        "mov cs, ax", "mov cr1, eax", "mov cr1, rax", "mov ds, es", "mov ah, r8b", "mov ah, sil", "movzx rax, ah",
        "movzx eax, ah", "movzx r8d, ah",
        "xchg eax, eax", "xchg rax, rax", "xchg ax, ax", "xchg al, al", "xchg ah, bl", "xchg r8, rax", "imul eax, 5",
        "imul eax, 500", "imul eax, [ebx]", "imul eax, [ebx], 5", "imul eax, byte 5", "imul eax, dword 5", "imul eax",
        "test [eax], ebx", "test ebx, [eax]", "test al, bl", "test [eax], bl", "shl eax, 1", "shl eax, byte 1",
        "shl eax, cl", "shl eax, ecx", "shl eax, 256", "shl [eax], 1", "shl [eax], cl", "add [eax], 1",
        "add [eax], byte 1", "add [eax], word 1", "add [eax], dword 1", "mov [eax], byte 1", "cmp [eax], byte -1",
        "add al, 255", "add al, 256", "add al, -256", "add al, -257", "add ax, 65535", "add ax, 65536",
        "add ax, -65536",
        "add eax, 0xffffffff", "add eax, 0x100000000", "add rax, 0x7fffffff", "add rax, 0x80000000",
        "add rax, 0xffffffff80000000", "in al, 255", "in al, 256", "in eax, dx", "in rax, dx", "out 5, eax", "int 3",
        "int3", "int 255", "int 256", "int -1", "enter 65535, 255", "enter 65536, 0", "enter 0, 256", "ret 65535",
        "ret 65536", "aam", "aam 16", "aad 255", "aad 256", "fadd", "fadd st0, st0", "fadd st1, st1", "fadd to st3",
        "fadd to st3, st0", "fxch st0", "fld st0", "fst st0, st1", "fstsw ax", "fnstsw [eax]", "fstsw eax", "finit",
        "cmpeqps xmm0, xmm1", "cmpnless xmm1, [eax]", "cmpps xmm0, xmm1, 8", "cmpsd", "movsd", "movsd xmm0, [eax]",
        "movq xmm0, [eax]", "movd xmm0, [eax]", "movq rax, xmm1", "movd mm0, eax", "pinsrw mm0, [eax], 3",
        "mov eax, 'abcd'", "mov ax, 'ab'", "mov al, 'a'", "mov eax, 1 << 4 | 3", "mov eax, ~0 & 0xff",
        "mov eax, 7 / 2 * 3",
        "mov eax, 1 == 1", "mov eax, -7 % 3", "mov eax, 5 > 3 && 2 < 1", "mov eax, 6 ^ 3", "mov eax, !5",
        "mov eax, 1_000",
        "mov eax, 0b101", "mov eax, 101b", "mov eax, 17o", "mov eax, 0x1F", "mov eax, 1Fh", "mov eax, $1F",
        "mov eax, 0d19",
        "mov eax, 19d", "mov eax, 0b1h", "mov eax, 1 ^^ 0", "mov eax, 2 <> 3", "mov eax, 2 = 3", "mov eax, (1 + 2) * 3",
        "mov eax, -(3)", "mov eax, - - 3", "mov eax, 1 || 0", "mov eax, 8 >> 1 << 2", "mov eax, -8 >>> 1 & 0xff",
        "mov eax, 1 +", "mov eax,", "mov , eax", "mov eax ebx", "mov eax, ebx,", "mov eax, ebx, ecx", "mov", "mov eax",
        "add eax, (1", "mov eax, [ebx", "mov eax, ebx]", "bogus eax", "mov eax, bogus",
    ]

    /// Lines with operands of the kinds that the rows demand.
    mutating func fittingLines(for mnemonic: String) -> [String] {
        // The lines of a mnemonic do not depend on which others there are
        turn = mnemonic.utf8.reduce(0) { ($0 * 31 + Int($1)) % 10_007 }
        var lines: [String] = []
        for candidate in Mnemonics.mnemonic(named: mnemonic)?.candidates ?? [] {
            let dependsOnSize = candidate.definition.operands.contains { form in
                switch form.shape.width {
                case .operandSize, .atMost32, .atLeast32, .far: true
                case .none, .bits8, .bits16, .bits32, .bits64, .bits80, .bits128, .native, .addressSize,
                    .pseudoDescriptor, .bounds, .environment, .x87State, .bytes512, .xsaveArea:
                    false
                }
            }
            for size in dependsOnSize ? (bits == 64 ? [16, 32, 64] : [16, 32]) : [32] {
                lines += self.lines(mnemonic, candidate, operandSize: size)
            }
        }
        return lines
    }

    /// Lines with operands that mostly do not fit.
    mutating func strayLines(for mnemonic: String) -> [String] {
        turn = mnemonic.utf8.reduce(0) { ($0 * 31 + Int($1)) % 10_007 }
        var lines: [String] = []
        let all =
            [8, 16, 32, 64].flatMap { general($0) } + ["xmm3", "mm2", "st2", "fs", "cr3"] + memory(sizes: [8, 32])
            + numbers(32)
        for count in 0...3 {
            for _ in 0..<4 {
                turn += 7
                let operands = (0..<count).map { all[(turn * ($0 * 5 + 3) + $0) % all.count] }
                lines.append(line(mnemonic, operands))
            }
        }
        return lines
    }

    private mutating func lines(_ mnemonic: String, _ candidate: MnemonicCandidate, operandSize: Int) -> [String] {
        var choices = [[String]](repeating: [], count: candidate.writtenCount)
        for (form, source) in zip(candidate.definition.operands, candidate.sources) {
            if case .written(let index) = source {
                choices[index] = texts(for: form, operandSize, candidate.definition)
            }
        }
        for (index, register) in candidate.required { choices[index] = ["\(register)"] }
        if candidate.isDestinationForm, !choices.isEmpty { choices[0] = choices[0].map { "to " + $0 } }
        guard !choices.contains(where: \.isEmpty) else { return [] }
        var lines: [String] = []
        for step in 0..<(choices.map(\.count).max() ?? 1) {
            turn += 1
            let operands = choices.enumerated().map { index, texts in texts[(step + index * turn) % texts.count] }
            lines.append(line(mnemonic, operands))
        }
        return lines
    }

    private func line(_ mnemonic: String, _ operands: [String]) -> String {
        mnemonic + (operands.isEmpty ? "" : " " + operands.joined(separator: ", "))
    }

    // MARK: - Operands

    private func texts(
        for form: OperandForm, _ operandSize: Int, _ definition: InstructionDefinition
    ) -> [String] {
        let shape = form.shape
        let width = width(shape.width, operandSize)
        switch shape.place {
        case .rm:
            let registers = shape.allowsRegister ? self.registers(shape.registers, width) : []
            let memoryWidth = self.width(shape.memoryWidth, operandSize)
            // LDS and the like take a far pointer, and no size
            let isFar = definition.operation == .callFar || definition.operation == .jmpFar
            let isPointer = shape.memoryWidth == .far && !isFar
            return registers
                + (shape.allowsMemory
                    ? memory(sizes: [isFar ? operandSize : isPointer ? 0 : memoryWidth], isFar: isFar) : [])
        case .reg, .opcode, .vvvv:
            return registers(shape.registers, width)
        case .fixed:
            return shape.registers == .general64
                ? ["\(Register.general(shape.fixed.number, width: max(width, 16)))"] : ["\(shape.fixed)"]
        case .immediate, .immediate2:
            return numbers(self.width(shape.encodedWidth, operandSize))
                + (width == 64 ? ["qword 5", "dword 5", "0x123456789abcdef0", "-0x80000000"] : [])
        case .constantOne:
            return ["1", "byte 1"]
        case .relative:
            return ["$", "$+10", "$-100", "$+127", "$+1000", "near $+3", "short $+2", "5", "strict $", "dword $"]
        case .farPointer:
            return ["0x10:0x1234", "word 8:5", "dword 8:0x1234", "1:0xFFFF"]
        case .moffs:
            return memory(sizes: [width])
        case .sourceIndex, .destinationIndex, .maskDestination, .tableLookup, .accumulatorAddress:
            return []
        }
    }

    private func width(_ width: OperandWidth, _ operandSize: Int) -> Int {
        switch width {
        case .none, .pseudoDescriptor, .bounds, .environment, .x87State, .bytes512, .xsaveArea: 0
        case .bits8: 8
        case .bits16: 16
        case .bits32: 32
        case .bits64: 64
        case .bits80: 80
        case .bits128: 128
        case .operandSize: operandSize
        case .atMost32: min(operandSize, 32)
        case .atLeast32: max(operandSize, 32)
        case .native, .addressSize: bits == 64 ? 64 : 32
        case .far: operandSize
        }
    }

    private func registers(_ registers: Register.Class, _ width: Int) -> [String] {
        switch registers {
        case .general64, .general32, .general16, .general8, .general8High: general(width)
        case .segment: ["es", "ds", "fs", "gs", "ss", "cs"]
        case .control: ["cr0", "cr2", "cr3", "cr4"] + (bits == 64 ? ["cr8"] : [])
        case .debug: ["dr0", "dr3", "dr6", "dr7"]
        case .x87: ["st0", "st1", "st7"]
        case .mmx: ["mm0", "mm3", "mm7"]
        case .xmm: ["xmm0", "xmm5"] + (bits == 64 ? ["xmm8", "xmm15"] : [])
        case .instructionPointer, .none: []
        }
    }

    private func general(_ width: Int) -> [String] {
        switch width {
        case 8: ["al", "cl", "bh", "dl"] + (bits == 64 ? ["sil", "r9b", "r15b"] : [])
        case 16: ["ax", "cx", "sp", "di"] + (bits == 64 ? ["r8w", "r13w"] : [])
        case 32: ["eax", "ecx", "ebp", "edi"] + (bits == 64 ? ["r8d", "r12d"] : [])
        default: bits == 64 ? ["rax", "rcx", "rsp", "rsi", "r9", "r13"] : []
        }
    }

    private func memory(sizes: [Int], isFar: Bool = false) -> [String] {
        let keywords = [8: "byte ", 16: "word ", 32: "dword ", 64: "qword ", 80: "tword ", 128: "oword "]
        let far = isFar ? "far " : ""
        let addresses =
            bits == 64
            ? [
                "[rax]", "[rbp]", "[rsp]", "[r12]", "[r13]", "[rbx+rcx*4+0x12]", "[r13+r14*8-0x1000]", "[rel $+100]",
                "[0x1234]", "[fs:0x10]", "[eax]", "[r8d+edi*2+128]", "[rsi*2]", "[rdi*8+5]", "[gs:rsp+rax-128]",
                "[rax*5]", "[nosplit rbp*2]", "[byte rdx]", "[dword rdx+4]", "[rdx+127]", "[rbp+rbp]",
            ]
            : [
                "[eax]", "[ebp]", "[esp]", "[ebx+ecx*4+0x12]", "[esi+edi*8-0x1000]", "[0x1234]", "[fs:0x10]", "[bx]",
                "[bp]", "[bp+si-5]", "[bx+di+0x100]", "[si]", "[es:di+3]", "[esi*2]", "[edi*8+5]", "[gs:esp+eax-128]",
                "[eax*9]", "[nosplit ebp*2]", "[byte edx]", "[edx+127]", "[byte bx]", "[word bp+1]", "[ebp+ebp]",
                "[dword 0x1234]", "[word 0x1234]", "[bp+300]",
            ]
        var texts: [String] = []
        for (index, address) in addresses.enumerated() {
            let keyword = keywords[sizes[index % sizes.count]] ?? ""
            texts.append(keyword + far + address)
            if index < 3 { texts.append(far + address) }
        }
        return texts
    }

    private func numbers(_ width: Int) -> [String] {
        let small = ["0", "1", "3", "-1", "127", "128", "-128", "255", "byte 7"]
        switch width {
        case 8: return small + ["~0xF0", "'a'", "-129", "strict byte 2"]
        case 16: return small + ["0x1234", "-129", "0xFFFF", "0xFF80", "word 9", "strict word 1", "strict 1"]
        default:
            return small + [
                "0x1234", "-129", "0x12345678", "-0x12345678", "0x80000000", "0xFFFFFFFF", "dword 9", "strict dword 1",
                "strict 1",
            ]
        }
    }
}
