import X86

/// Makes lines of assembly text for every way of writing every row of the instruction table.
///
/// Only inputs come from the table; what they must become is NASM's to say.
struct AssemblerInputs {
    let bits: Int
    /// Rotates through the lists, so that neighbouring lines differ.
    private var turn = 0

    init(bits: Int) { self.bits = bits }

    /// Lines with operands of the kinds that the rows demand.
    mutating func fittingLines(for mnemonic: String) -> [String] {
        var lines: [String] = []
        for candidate in Mnemonics.candidates(for: mnemonic) ?? [] {
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
            if case .written(let index) = source { choices[index] = texts(for: form.shape, operandSize) }
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

    private func texts(for shape: OperandShape, _ operandSize: Int) -> [String] {
        let width = width(shape.width, operandSize)
        switch shape.place {
        case .rm:
            let registers = shape.allowsRegister ? self.registers(shape.registers, width) : []
            let memoryWidth = self.width(shape.memoryWidth, operandSize)
            let isFar = shape.memoryWidth == .far
            return registers
                + (shape.allowsMemory ? memory(sizes: [isFar ? operandSize : memoryWidth], isFar: isFar) : [])
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
