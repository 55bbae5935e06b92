import Testing
import X86

/// Mistakes are found where they are, all at once, with a hint where one is known.
@Suite struct AssemblerErrorTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var source: String
        /// `line:column+length: message (hint)`, one a line.
        var errors: String
        var mode = CodeMode.bits64
        var testDescription: String { source }
    }

    @Test(arguments: Self.cases)
    func mistakesAreReportedWithTheirPlace(_ example: Case) throws {
        let thrown = #expect(throws: AssemblyErrors.self) {
            try Assembler(mode: example.mode).assemble(example.source)
        }
        let text = (thrown?.errors ?? []).map { error in
            "\(error.range.line):\(error.range.column)+\(error.range.length): \(error.message)"
                + (error.hint.map { " (\($0))" } ?? "")
        }
        #expect(text.joined(separator: "\n") == example.errors)
    }

    @Test func suggestionsCanReplaceTheWord() throws {
        let thrown = #expect(throws: AssemblyErrors.self) { try Assembler(mode: .bits64).assemble("  mvo eax, 5") }
        let error = try #require(thrown?.errors.first)
        #expect(error.replacement == "mov")
        #expect(error.range.offset == 2 && error.range.length == 3)
    }

    @Test func atMostAHundredMistakesAreReported() throws {
        let source = String(repeating: "mvo eax, 5\nmov eax, #\n", count: 5_000)
        let thrown = #expect(throws: AssemblyErrors.self) { try Assembler(mode: .bits64).assemble(source) }
        let count = try #require(thrown?.errors.count)
        #expect(count >= 100 && count <= 300)
    }
}

extension AssemblerErrorTests {
    static let cases: [Case] = [
        // Words
        Case(source: "mvo eax, 5", errors: "1:1+3: unknown instruction `mvo` (did you mean `mov`?)"),
        Case(source: "mov eax, ebz", errors: "1:10+3: `ebz` is not defined (did you mean `ebp`?)"),
        Case(source: "begin: nop\njmp bgein", errors: "2:5+5: `bgein` is not defined (did you mean `begin`?)"),
        Case(
            source: "\u{e9}\u{1F600}: nop\n  xyzzyx",
            errors: "2:3+6: unknown instruction `xyzzyx` (a label ends with `:`)"),
        Case(source: "eax: nop", errors: "1:1+3: `eax` is a reserved word and cannot be a label"),
        Case(source: "jmp .y", errors: "1:5+2: `.y` is not defined"),
        Case(source: "x: nop\nx: nop\nx equ 5", errors: "2:1+1: `x` is already defined\n3:1+1: `x` is already defined"),
        Case(source: String(repeating: "x", count: 256), errors: "1:1+256: a name has at most 255 characters"),
        // Comments
        Case(
            source: "mov eax, 5 ; this is the answer\nmov ebx, 6 ; add one\nhlt 1",
            errors: """
                1:14+4: unknown instruction `this` (comments begin with `//`; a semicolon separates instructions)
                2:18+3: `one` is not defined
                3:1+5: `hlt` takes 0 operands, not 1
                """),
        Case(source: "mov eax, #5", errors: "1:10+1: unexpected `#` (comments begin with `//`)"),
        Case(source: "%define x 5", errors: "1:1+1: there is no preprocessor: `%` begins no statement"),
        // Operands
        Case(source: "mov ebx", errors: "1:1+7: `mov` takes 2 operands, not 1"),
        Case(source: "mov ax, ebx", errors: "1:9+3: this operand is 32 bits wide, `ax` 16"),
        Case(source: "mov byte eax, 5", errors: "1:5+8: the size of this operand does not fit the instruction"),
        Case(
            source: "mov [rax], 5",
            errors: "1:5+5: the size of this operand is not known (write `byte`, `word`, `dword` … before it)"),
        Case(source: "mov dword ptr [rax], 5", errors: "1:11+3: `ptr` is not needed (write `dword [address]`)"),
        Case(
            source: "mov eax, offset x",
            errors: "1:10+6: `offset` is not needed (a label without brackets is its address)"),
        Case(source: "mov al, 300", errors: "1:9+3: 300 does not fit in 8 bits"),
        Case(
            source: "add rax, 0x80000000",
            errors: "1:10+10: 2147483648 does not fit in signed 32 bits (only `mov` to a register takes 64 bits)"),
        Case(source: "mov rax, 1", errors: "1:5+3: `rax` exists only in 64-bit code", mode: .bits32),
        Case(source: "push es", errors: "1:1+7: `push` with these operands does not exist in 64-bit code"),
        Case(source: "lea eax, ebx", errors: "1:1+12: `lea` has no form with these operands in 64-bit code"),
        Case(
            source: "mov ah, r8b",
            errors: """
                1:1+11: `ah` cannot stand in an instruction that needs a REX prefix (ah, ch, dh and bh do not go with \
                r8…r15, 64-bit operands, spl, bpl, sil and dil)
                """),
        Case(
            source: "lock mov [rax], ebx",
            errors: """
                1:6+14: `lock` is not possible here (it goes with read-modify-write instructions whose destination is \
                memory)
                """),
        Case(source: "mov cs, ax", errors: "1:1+10: no processor executes this (`ud2` gives #UD for certain)"),
        // Addresses
        Case(source: "mov eax, [rax+rbx+rcx]", errors: "1:11+11: an address has at most two registers"),
        Case(source: "mov eax, [eax+rbx]", errors: "1:11+7: the registers of an address must have the same size"),
        Case(source: "mov eax, [rsp*2]", errors: "1:11+5: `rsp` cannot be an index"),
        Case(
            source: "mov eax, [rbx+rax*3]",
            errors: "1:11+9: a register of an address cannot be multiplied by 3 (1, 2, 4 and 8 are possible)"),
        Case(
            source: "mov ax, [ax]",
            errors: """
                1:9+4: a 16-bit address is a sum of bx or bp, si or di, and a number
                """, mode: .bits16),
        Case(
            source: "mov eax, [0xffffffffff]",
            errors: """
                1:10+14: 1099511627775 does not fit in signed 32 bits (`[rel …]` reaches an address near the \
                instruction)
                """),
        Case(
            source: "mov eax, [rip+5]",
            errors: "1:11+3: `rip` cannot be named ([rel label] is relative to the instruction)"),
        // Jumps
        Case(
            source: "short_jump: times 200 nop\n loop short_jump",
            errors: """
                2:7+10: the distance of -202 bytes does not fit in 8 bits (the target must lie within -128…127 bytes \
                of the next instruction)
                """),
        // Expressions
        Case(source: "mov eax, (1 + 2", errors: "1:16+0: `)` expected (a parenthesis is still open)"),
        Case(source: "mov eax, [rbx", errors: "1:14+0: `]` expected (the address began with `[`)"),
        Case(source: "mov eax, 1/0", errors: "1:10+3: division by zero"),
        Case(source: "mov eax, 1 << 64", errors: "1:10+7: shift count 64 is not in 0...63"),
        Case(source: "mov eax, 0b12", errors: "1:10+4: `0b12` is not a number"),
        Case(source: "db 'abc", errors: "1:4+4: this string has no end"),
        Case(source: "mov eax, 'abcdefghi'", errors: "1:10+11: a number holds at most 8 characters, not 9"),
        Case(source: "dq 99999999999999999999", errors: "1:4+20: 99999999999999999999 does not fit in 64 bits"),
        Case(
            source: "mov eax, " + String(repeating: "(", count: 1_000),
            errors: "1:110+1: this expression is nested too deeply"),
        // Directives
        Case(source: "dw 70000", errors: "1:4+5: 70000 does not fit in 16 bits"),
        Case(source: "times -1 nop", errors: "1:7+2: the count is negative: -1"),
        Case(
            source: "times later nop\nlater equ 5",
            errors: "1:7+5: the count must not depend on what is defined later"),
        Case(
            source: "times 1000000000000000000 db 0",
            errors: "1:7+19: the output would be larger than 16777216 bytes"),
        Case(source: "resq 0x7fffffffffffffff", errors: "1:6+18: the output would be larger than 16777216 bytes"),
        Case(source: "align 6", errors: "1:7+1: 6 is not a power of two"),
        Case(source: "nop\norg 6", errors: "2:1+5: `org` must come before the first instruction"),
        Case(source: "x equ x + 1\nmov eax, x", errors: "1:1+1: the value of `x` does not settle"),
        Case(
            source: "section .text",
            errors: """
                1:1+7: there are no sections: everything is placed in the order of the source (remove the line)
                """),
        Case(source: "global x", errors: "1:1+6: every label is visible outside the source (remove the line)"),
        // Many at once
        Case(
            source: "mov eax, 5\n  bogus 1\nadd eax, nowhere; mov al, 256\nright: jmp right",
            errors: """
                2:3+5: unknown instruction `bogus`
                3:10+7: `nowhere` is not defined
                3:27+3: 256 does not fit in 8 bits
                """),
    ]
}
