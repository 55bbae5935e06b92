// Instructions that do several accesses to memory, at the borders of pages that have just changed: whoever keeps page
// tables of his own meets them half done, and what is done again must not see what it has written.
extension MicroGuest {
    static let framesInProtectedMode = MicroGuest(
        name: "frames across pages that come and go, 32 bits", mode: .protected,
        source: """
                lgdt [gdtpointer]
                jmp 0x08:on
            on:
                mov eax, 0x10
                mov ds, eax
                mov es, eax
                mov ss, eax
                mov esp, 0x90000
                mov edi, 0x200000
                xor eax, eax
                mov ecx, 0x10000 / 4
                cld
                rep stosd
                mov eax, cr4
                or eax, 0x10
                mov cr4, eax
                mov dword [0x200000], 0x83
                mov dword [0x200000 + 0x100 * 4], 0x204003
                mov eax, 0x200000
                mov cr3, eax
                mov eax, cr0
                or eax, 0x80010000
                mov cr0, eax
                mov edi, idt + 0x40 * 8
                mov dword [edi], 0x80000 + (interrupt & 0xffff)
                mov dword [edi + 4], (interrupt & 0xffff0000) + 0x8e00
                lidt [idtpointer]
                mov edi, gate
                mov dword [edi], 0x80000 + (distant & 0xffff)
                mov dword [edi + 4], (distant & 0xffff0000) + 0x8c00
                mov dword [0x80010], 0
            round:
                // Four pages at 40000000H, elsewhere each time, with what ENTER may take for frames around their borders.
                mov ebx, [0x80010]
                and ebx, 3
                shl ebx, 14
                add ebx, 0x300003
                mov ecx, 0
            map:
                mov [0x204000 + ecx * 4], ebx
                add ebx, 0x1000
                inc ecx
                cmp ecx, 4
                jne map
                mov eax, cr3
                mov cr3, eax
                mov edi, 0x40000f00
                mov eax, [0x80010]
                imul eax, 0x01010101
            border:
                mov ecx, 0x80
            paint:
                stosd
                add eax, 0x00010203
                loop paint
                add edi, 0xe00
                cmp edi, 0x40003f00
                jb border
                // Again nobody knows the pages.
                mov eax, cr3
                mov cr3, eax
                mov ebp, [0x80010]
                mov esi, ebp
                and ebp, 15
                lea esp, [0x40002000 + ebp * 2]
                mov ebp, esp
                mov eax, esi
                shr eax, 4
                and eax, 7
                lea ebp, [ebp + eax * 4 - 16]
                mov [0x80000], ebp
                enter 0x20, 9
                call sum
                mov eax, cr3
                mov cr3, eax
                lea esp, [0x40003008 + esi * 2]
                mov ebp, [0x80000]
                enter 0x1010, 31
                call sum
                mov eax, cr3
                mov cr3, eax
                lea esp, [0x40001000 + esi * 2]
                pushad
                call sum
                mov eax, cr3
                mov cr3, eax
                lea esp, [0x40001000 + esi * 2]
                popad
                mov esi, [0x80010]
                mov eax, cr3
                mov cr3, eax
                mov esp, esi
                and esp, 7
                add esp, 0x40002000
                int 0x40
                invlpg [0x40001000]
                invlpg [0x40002000]
                mov esp, esi
                and esp, 7
                add esp, 0x40002000
                call 0x28:0
                invlpg [0x40001000]
                invlpg [0x40002000]
                mov esp, esi
                and esp, 7
                add esp, 0x40002000
                call 0x08:distant
                inc dword [0x80010]
                cmp dword [0x80010], 120
                jne round
                \(put("k"))
                cli
                hlt
            sum:
                mov edx, esp
                mov esp, 0x90000
                push edx
                push esi
                mov esi, 0x40000f00
                mov edx, [0x80004]
            around:
                mov ecx, 0x80
            add:
                lodsd
                rol edx, 3
                xor edx, eax
                loop add
                add esi, 0xe00
                cmp esi, 0x40003f00
                jb around
                mov [0x80004], edx
                pop esi
                pop edx
                mov eax, [edx]
                mov esp, edx
                add esp, 4
                jmp eax
            interrupt:
                add [0x80008], esp
                iretd
            distant:
                add [0x80008], esp
                retf
                align 8
            gdt:
                dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0, 0
            gate: dq 0
            gdtpointer:
                dw 0x2f
                dd gdt
            idtpointer:
                dw 0x7ff
                dd idt
                align 8
            idt: times 256 dq 0
            """, output: "k")

    static let framesInLongMode = MicroGuest(
        name: "frames across pages that come and go, 64 bits", mode: .long,
        source: """
                mov esp, 0x90000
                mov rax, cr4
                or eax, 0x200
                mov cr4, rax
                // A path of its own for 8000000000H, four pages long.
                mov rbx, cr3
                and rbx, ~0xfff
                mov qword [rbx + 8], 0x200003
                mov edi, 0x200000
                xor eax, eax
                mov ecx, 0x4000 / 8
                cld
                rep stosq
                mov qword [0x200000], 0x201003
                mov qword [0x201000], 0x202003
                mov r15, 0x8000000000
                xor r14d, r14d
            round:
                mov ebx, r14d
                and ebx, 3
                shl ebx, 14
                add ebx, 0x300003
                xor ecx, ecx
            map:
                mov [0x202000 + rcx * 8], rbx
                add rbx, 0x1000
                inc ecx
                cmp ecx, 4
                jne map
                mov rax, cr3
                mov cr3, rax
                lea rdi, [r15 + 0xf00]
                imul rax, r14, 0x01010101
            border:
                mov ecx, 0x40
            paint:
                stosq
                add rax, 0x00010203
                loop paint
                add rdi, 0xe00
                lea rdx, [r15 + 0x3f00]
                cmp rdi, rdx
                jb border
                mov rax, cr3
                mov cr3, rax
                mov eax, r14d
                and eax, 15
                lea rsp, [r15 + rax * 4 + 0x2000]
                mov eax, r14d
                shr eax, 4
                and eax, 7
                lea rbp, [rsp + rax * 8 - 32]
                mov r13, rbp
                enter 0x20, 9
                call sum
                mov rax, cr3
                mov cr3, rax
                lea rsp, [r15 + r14 * 4 + 0x3010]
                mov rbp, r13
                enter 0x1010, 31
                call sum
                mov rax, cr3
                mov cr3, rax
                mov ecx, r14d
                and ecx, 3
                // FXSAVE, MOVUPS and CMPXCHG16B over the border.
                shl ecx, 4
                fxsave [r15 + rcx + 0xf00]
                movups [r15 + rcx + 0x1ff9], xmm1
                fxrstor [r15 + rcx + 0xf00]
                lock cmpxchg8b [r15 + rcx + 0x2ffc - 16]
                call sum
                inc r14d
                cmp r14d, 120
                jne round
                \(put("k"))
                cli
                hlt
            sum:
                pop r12
                mov rdx, rsp
                mov esp, 0x90000
                lea rsi, [r15 + 0xf00]
                lea rdi, [r15 + 0x3f00]
            around:
                mov ecx, 0x40
            add:
                lodsq
                rol r11, 3
                xor r11, rax
                loop add
                add rsi, 0xe00
                cmp rsi, rdi
                jb around
                mov rsp, rdx
                jmp r12
            """, output: "k")
}
