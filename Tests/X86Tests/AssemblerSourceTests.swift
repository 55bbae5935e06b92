import Testing
import X86
import _SeededNumbers

/// Whole sources: labels, relaxation, directives and data have the bytes that NASM gives them.
@Suite struct AssemblerSourceTests {
    @Test(arguments: Self.sources)
    func sourcesHaveTheBytesThatNASMGivesThem(source: Source) throws {
        let expected = try #require(try NASM().assemble(source: source.nasmText))
        let assembled = try Assembler(mode: .bits16).assemble(source.text)
        #expect(assembled.bytes == expected)
    }

    @Test(arguments: [16, 32, 64])
    func randomProgramsHaveTheBytesThatNASMGivesThem(bits: Int) throws {
        let nasm = try NASM()
        var random = SeededNumbers(UInt64(bits))
        for _ in 0..<60 {
            let text = Self.randomProgram(&random, bits: bits)
            let expected = try nasm.assemble(source: text)
            let ours = try? Assembler(mode: .bits16).assemble(text).bytes
            #expect(ours == expected, "\(text)")
        }
    }

    /// Jumps over stretches of all lengths around the limits of short ones, with what depends on the distances.
    private static func randomProgram(_ random: inout SeededNumbers, bits: Int) -> String {
        func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
        let labels = 4 + pick(24)
        var lines = ["bits \(bits)", "org 0x1000"]
        for label in 0..<labels {
            lines.append("L\(label):")
            for _ in 0..<1 + pick(4) {
                let target = pick(labels)
                let earlier = pick(label + 1)
                switch pick(12) {
                case 0...2: lines.append("jmp L\(target)")
                case 3, 4: lines.append("jnz L\(target)")
                case 5: lines.append("call L\(target)")
                case 6: lines.append("times \(pick(70)) nop")
                case 7: lines.append("mov eax, L\(target) - L\(pick(labels))")
                case 8: lines.append("add ecx, $ - L\(earlier)")
                case 9: lines.append("dw L\(target), L\(target) - $")
                case 10: lines.append("mov bx, [\(bits == 64 ? "rbx" : "ebx") + L\(label) - L\(earlier)]")
                default: lines.append("db 'text', \(pick(256))")
                }
            }
        }
        lines += ["times 5000 - ($ - $$) db 0", "align 16, db 0xCC", "dd $ - L0"]
        return lines.joined(separator: "\n")
    }

    struct Source: CustomTestStringConvertible, Sendable {
        var name: String
        var text: String
        var testDescription: String { name }

        /// NASM's comments begin with a semicolon, and one statement stands on a line.
        var nasmText: String {
            text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                let code = line.split(separator: "//", maxSplits: 1, omittingEmptySubsequences: false).first ?? ""
                return code.split(separator: ";").joined(separator: "\n")
            }.joined(separator: "\n")
        }
    }
}

extension AssemblerSourceTests {
    static let sources: [Source] = [
        Source(
            name: "boot sector",
            text: """
                org 0x7C00
                start:  xor ax, ax
                        mov ds, ax ; mov es, ax ; mov ss, ax
                        mov sp, 0x7C00
                        mov si, message
                        call print
                        lgdt [pointer]
                        mov eax, cr0
                        or al, 1
                        mov cr0, eax
                        jmp 8:protected
                print:  lodsb
                        or al, al
                        jz .done
                        mov ah, 0x0E
                        mov bx, 7
                        int 0x10
                        jmp print
                .done:  ret
                message: db "loading", 13, 10, 0
                bits 32
                protected:
                        mov ax, 16
                        mov ds, ax
                        mov esp, 0x90000
                .hang:  hlt
                        jmp .hang
                align 8
                gdt:    dq 0
                        dq 0x00CF9A000000FFFF, 0x00CF92000000FFFF
                pointer: dw $ - gdt - 1
                        dd gdt
                times 510 - ($ - $$) db 0
                dw 0xAA55
                """),
        Source(
            name: "long mode entry",
            text: """
                bits 64
                org 0x400000
                stack_size equ 4096
                start:  lea rsp, [rel stack + stack_size]
                        mov rdi, message
                        mov esi, message.end - message
                        mov rax, [rel table + 8]
                        mov rax, [abs table]
                        jmp [rel table]
                .next:  call [table + rax * 8]
                        cmp byte [rel message], 'h'
                        jne near .next
                        mov dword [rel counter], 0x12345678
                        inc qword [rel counter]
                        syscall
                        sysret
                        swapgs
                        iretq
                message: db "hello, world", 0
                .end:
                alignb 8
                table:  dq start, start.next, message
                counter: dq -1
                stack:  resb stack_size
                """),
        Source(
            name: "data",
            text: """
                db 0, 1, 255, -128, 'a', "bc", `d\\n\\x41\\0\\u263a`, 'e' + 1, ''
                dw 1, 0xFFFF, -1, 'ab', 'abc', "abcd", 5 * 3
                dd 1, 'abcd', 'abcdef', 1.0, -2.5, 3.4e38, 1e-45, 0.1
                dq 1, -1, 'abcdefgh', 1.0, -0.0, 1.7976931348623157e308, 5e-324, 0.1, 1e1000, 123456789.123456789
                dt 1.0, -1.5, 0.1, 1e4000, 3.6e-4951, 1e5000, 3.14159265358979323846
                resb 3
                resw 2
                resd 1
                resq 1
                rest 1
                db ?
                label: times 3 dw $ - label, 7
                x equ 40 + 2
                y equ $ - label
                dw x, y - 1, (x + 1) * (y - 2) & 0xFF | 0x100, x << 3 >> 1, x / 7 % 5, ~x ^ 3
                dw x == 42, x != 42, x < 43, x <= 41, x > 41, x >= 43, !x, x && 0, x || 0, x ^^ 1
                dw 0x1F, 1Fh, $1F, 0b1010, 1010b, 0o17, 17q, 19d, 1_000, 0b1h
                """),
        Source(
            name: "constants that come later",
            text: """
                bits 32
                        mov eax, later
                        add ebx, later
                        add ecx, distance
                        cmp dword [ebx + later], distance
                        jmp end
                begin:  times 100 nop
                end:    nop
                later equ 5
                distance equ end - begin
                        push distance
                        push end
                        imul eax, ebx, distance
                """),
        Source(
            name: "local labels and names of all kinds",
            text: """
                bits 32
                first:
                .loop:  dec ecx
                        jnz .loop
                        jmp second.loop
                second:
                .loop:  jmp first.loop
                _under$core@x#y?z: jmp _under$core@x#y?z
                $eax:   mov eax, $eax
                label_without_colon nop
                        jmp label_without_colon
                another db 5
                constant equ another - first
                        db constant
                """),
        Source(
            name: "counted jumps and alignment",
            text: """
                bits 64
                start:  times 5 jmp start
                        times 3 jmp end
                        align 32
                        times 40 lea rax, [rel start]
                        align 64, db 0xCC
                        jrcxz end
                        loop start.inner
                .inner: nop
                end:    times 3 dd $ - start
                """),
        Source(
            name: "default rel",
            text: """
                bits 64
                default rel
                        mov rax, [value]
                        mov rax, [abs value]
                        mov rax, [fs:value]
                        mov al, [value]
                        mov rax, [rbx + value]
                        default abs
                        mov rax, [value]
                        mov rax, [rel value]
                value:  dq 0
                """),
        Source(
            name: "modes in brackets",
            text: """
                [bits 16]
                [org 0x100]
                mov ax, [bx]
                [bits 32]
                mov ax, [bx]
                use64
                mov ax, [ebx]
                """),
    ]
}
