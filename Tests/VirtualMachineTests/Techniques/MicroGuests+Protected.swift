// Those that begin in protected mode.
extension MicroGuest {
    /// Tables for the low 4 MiB in a page directory, and paging on.
    private static let pagingOn = """
            mov esp, 0x90000
            mov edi, 0x200000
            xor eax, eax
            mov ecx, 0x20000 / 4
            cld
            rep stosd
            mov eax, cr4
            or eax, 0x10
            mov cr4, eax

        """

    static let addressSpaces = MicroGuest(
        name: "many address spaces whose tables come and go", mode: .protected,
        source: """
            \(pagingOn)
                mov ebp, 60
            space:
                // A directory at 200000H or 201000H, a table at one of four places, a page at one of eight.
                mov ebx, ebp
                and ebx, 1
                shl ebx, 12
                add ebx, 0x200000
                mov ecx, ebp
                and ecx, 3
                shl ecx, 12
                add ecx, 0x204000
                mov edx, ebp
                and edx, 7
                shl edx, 12
                add edx, 0x300000
                mov dword [ebx], 0x83
                lea eax, [ecx + 3]
                mov [ebx + 0x100 * 4], eax
                lea eax, [edx + 3]
                mov [ecx + 5 * 4], eax
                mov cr3, ebx
                mov eax, cr0
                or eax, 0x80000000
                mov cr0, eax
                mov esi, 0x40005000
                add [esi + 8], ebp
                mov eax, [esi + 8]
                add [0x80000], eax
                mov edi, [ecx + 5 * 4]
                add [0x80004], edi
                // The table gets another meaning while it is in use.
                xor dword [ecx + 5 * 4], 0x1000
                invlpg [esi]
                add dword [esi + 12], 7
                mov eax, [ebx + 0x100 * 4]
                mov [ebx + 0x101 * 4], eax
                mov eax, [0x40405000 + 12]
                add [0x80008], eax
                mov eax, cr0
                and eax, 0x7fffffff
                test ebp, 4
                jz stay
                mov cr0, eax
            stay:
                dec ebp
                jnz space
                \(put("k"))
                hlt
            """, output: "k")

    static let tablesBecomeData = MicroGuest(
        name: "page tables that become data, code and page tables again", mode: .protected,
        source: """
            \(pagingOn)
                mov dword [0x200000], 0x83
                mov dword [0x200000 + 0x100 * 4], 0x204003
                mov dword [0x204000], 0x300003
                mov eax, 0x200000
                mov cr3, eax
                mov eax, cr0
                or eax, 0x80000000
                mov cr0, eax
                mov ebp, 6
            round:
                mov dword [0x40000000], 0x1234
                // No table any more: filled with code, run, and used as a stack.
                mov dword [0x200000 + 0x100 * 4], 0
                invlpg [0x40000000]
                mov edi, 0x204000
                mov eax, 0x90909090
                mov ecx, 1023
                rep stosd
                mov dword [edi], 0xc3c3c3c3
                mov eax, 0x204000 + 4000
                call eax
                mov ebx, esp
                mov esp, 0x205000
                pushad
                mov esp, ebx
                // And a table again.
                mov edi, 0x204000
                mov eax, 0x300003
                mov ecx, 1024
            fill:
                stosd
                add eax, 0x1000
                and eax, 0x307003
                loop fill
                mov dword [0x200000 + 0x100 * 4], 0x204003
                inc dword [0x40001000]
                mov eax, [0x40001000]
                add [0x80000], eax
                mov edx, [0x204004]
                add [0x80004], edx
                dec ebp
                jnz round
                \(put("k"))
                hlt
            """, output: "k")

    static let windowOfPages = MicroGuest(
        name: "one page-table entry that shows all memory in turn", mode: .protected,
        source: """
            \(pagingOn)
                mov dword [0x200000], 0x83
                mov dword [0x200000 + 0x3ff * 4], 0x204003
                mov dword [0x204000 + 0x3ff * 4], 0x204003
                mov eax, 0x200000
                mov cr3, eax
                mov eax, cr0
                or eax, 0x80010000
                mov cr0, eax
                mov ebx, 0x300003
                mov ecx, 120
            page:
                mov [0xfffffff8], ebx
                invlpg [0xffffe000]
                inc dword [0xffffe010]
                mov eax, [0xfffffff8]
                add [0x80000], eax
                and dword [0xfffffff8], ~2
                mov eax, [0xffffe010]
                add [0x80004], eax
                add ebx, 0x1000
                and ebx, 0x30f003
                loop page
                \(put("k"))
                hlt
            """, output: "k")

    static let devicesInStrings = MicroGuest(
        name: "string instructions between memory and devices", mode: .protected,
        source: """
                mov esp, 0x90000
                cld
                mov esi, 0xfee00000
                mov edi, 0x300000
                mov ecx, 0x40
                rep movsd
                mov dword [0x300100], 0x1ff
                mov esi, 0x300100
                mov edi, 0xfee000f0
                movsd
                mov eax, [0xfee000f0]
                cmp eax, 0x1ff
                jne bad
                // Across the end of memory below the video window and back.
                mov edi, 0x9fff0
                mov eax, 0x11223344
                mov ecx, 16
                rep stosd
                mov esi, 0xa0000 - 8
                mov edi, 0x300200
                mov ecx, 16
                rep movsb
                mov edx, [0xa0000 - 2]
                lock inc dword [0x9fffe]
                mov ebx, [0x9fffc]
                push dword [0xfee00030]
                pop ecx
                mov dx, 0x3fd
                mov edi, 0x300300
                mov ecx, 3
                rep insb
                mov esi, letters
                mov ecx, 3
                mov dx, 0xe9
                rep outsb
            bad: hlt
            letters: db "dev"
            """, output: "dev")

    static let apicOverMemory = MicroGuest(
        name: "a local APIC in front of the page tables and the code", mode: .protected,
        source: """
            \(pagingOn)
                mov dword [0x200000], 0x83
                mov dword [0x200000 + 0x100 * 4], 0x204003
                mov dword [0x204000], 0x300003
                mov dword [0x204004], 0x301003
                mov dword [0x301000], 0xc3c3c3c3
                mov eax, 0x200000
                mov cr3, eax
                mov eax, cr0
                or eax, 0x80000000
                mov cr0, eax
                mov eax, 0x40001000
                call eax
                mov dword [0x40000030], 0x5555
                mov ebp, [0x40000030]
                mov ecx, 0x1b
                mov eax, 0x300900
                xor edx, edx
                wrmsr
                mov ebx, [0x40000030]
                mov dword [0x400000f0], 0x1ff
                mov esi, [0x300000 + 0xf0]
                mov eax, 0xfee00900
                wrmsr
                mov edi, [0x40000030]
                cmp edi, ebp
                jne bad
                cmp ebx, ebp
                je bad
                mov eax, 0x204900
                wrmsr
                mov ebx, [0x40001000]
                mov eax, 0xfee00900
                wrmsr
                \(put("k"))
            bad: hlt
            """, output: "k")

    static let virtual8086 = MicroGuest(
        name: "a monitor of virtual-8086 mode", mode: .protected,
        source: """
                mov esp, 0x90000
                lgdt [gdtpointer]
                jmp 0x08:on
            on:
                mov eax, 0x10
                mov ds, eax
                mov es, eax
                mov ss, eax
                mov edi, idt
                mov ecx, 256
            fill:
                mov dword [edi], 0x80000 + (general & 0xffff)
                mov dword [edi + 4], (general & 0xffff0000) + 0x8e00
                add edi, 8
                loop fill
                lidt [idtpointer]
                mov eax, tss
                mov [gdt + 0x1a], ax
                shr eax, 16
                mov [gdt + 0x1c], al
                mov eax, 0x18
                ltr ax
                mov esi, code
                mov edi, 0x10000
                mov ecx, codeend - code
                cld
                rep movsb
                push 0x3000
                push 0x3000
                push 0x3000
                push 0x3000
                push 0x2000
                push 0x1000
                push 0x20202
                push 0x1000
                push 0
                iretd
            // What virtual-8086 code may not do itself.
            general:
                pushad
                mov ebp, esp
                mov eax, 0x10
                mov ds, eax
                movzx esi, word [ebp + 40]
                shl esi, 4
                add esi, [ebp + 36]
                mov al, [esi]
                inc dword [ebp + 36]
                cmp al, 0xfa
                je leave
                cmp al, 0xfb
                je leave
                cmp al, 0x9c
                je pushes
                cmp al, 0x9d
                je pops
                cmp al, 0xe6
                je writes
                \(put("."))
                cli
                hlt
            pushes:
                sub word [ebp + 48], 2
                movzx edi, word [ebp + 52]
                shl edi, 4
                add edi, [ebp + 48]
                mov ax, [ebp + 44]
                mov [edi], ax
                jmp leave
            pops:
                movzx edi, word [ebp + 52]
                shl edi, 4
                add edi, [ebp + 48]
                mov ax, [edi]
                and ax, 0x8d5
                or ax, 0x202
                mov [ebp + 44], ax
                add word [ebp + 48], 2
                jmp leave
            writes:
                inc dword [ebp + 36]
                mov al, [ebp + 28]
                out 0xe9, al
            leave:
                popad
                add esp, 4
                iretd
            bits 16
            code:
                mov ax, 0x3000
                mov ds, ax
                mov es, ax
                cli
                pushf
                pop bx
                stc
                pushf
                popf
                mov cx, 3
                mov al, 'a'
            again:
                out 0x55, al
                inc ax
                push ax
                mov [0x10], ax
                add [0x20], ax
                loop again
                sti
                hlt
            codeend:
            bits 32
                align 8
            gdt:
                dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
                dw 0x67, 0, 0x8900, 0
            gdtpointer:
                dw 0x1f
                dd gdt
            idtpointer:
                dw 0x7ff
                dd idt
            tss:
                dd 0, 0x8f000, 0x10
                times 22 dd 0
                dw 0, 0x68
                align 8
            idt: times 256 dq 0
            """, output: "abc.")
}
