// Virtual-8086 mode extensions and protected-mode virtual interrupts.
extension MicroGuest {
    /// SDM volume 3 sections 21.3 and 21.4: what a monitor of virtual-8086 mode does with VME, and then one of ring 3
    /// with PVI.
    static let virtualInterrupts = MicroGuest(
        name: "virtual interrupts of an 8086 program and of ring 3", mode: .protected,
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
                mov [gdt + 0x2a], ax
                shr eax, 16
                mov [gdt + 0x2c], al
                mov eax, 0x28
                ltr ax
                mov esi, code
                mov edi, 0x10000
                mov ecx, codeend - code
                cld
                rep movsb
                mov dword [0x40 * 4], 0x10000000 + service - code
                mov eax, cr4
                or eax, 1
                mov cr4, eax
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
            // What is for the monitor: it finds the instruction, and goes on behind it or at it.
            general:
                pushad
                mov ebp, esp
                mov eax, 0x10
                mov ds, eax
                mov esi, [ebp + 36]
                test dword [ebp + 44], 0x20000
                jz flat
                movzx eax, word [ebp + 40]
                shl eax, 4
                add esi, eax
            flat:
                mov dl, [esi]
                cmp dl, 0xcd
                je interrupt
                cmp dl, 0xfb
                je enables
                cmp dl, 0x66
                je wide
                cmp dl, 0xf4
                je halts
                cmp dl, 0x90
                je pending
                \(put("."))
                cli
                hlt
            interrupt:
                \(put("m"))
                add dword [ebp + 36], 2
                or dword [ebp + 44], 0x100000
                jmp leave
            enables:
                \(put("v"))
                and dword [ebp + 44], ~0x100000
                or dword [ebp + 44], 0x80000
                jmp leave
            pending:
                \(put("n"))
                and dword [ebp + 44], ~0x100000
                jmp leave
            halts:
                inc dword [halted]
                cmp dword [halted], 2
                je end
                \(put("h"))
                inc dword [ebp + 36]
                or dword [ebp + 44], 0x180000
            leave:
                popad
                add esp, 4
                iretd
            end:
                \(put("!"))
                cli
                hlt
            wide:
                \(put("d"))
                mov eax, cr4
                and eax, ~1
                or eax, 2
                mov cr4, eax
                mov esp, 0x90000
                push 0x23
                push 0x80000
                push 0x202
                push 0x1b
                push ring3
                iretd
            ring3:
                sti
                pushfd
                pop eax
                test eax, 0x80000
                jz bad
                test eax, 0x200
                jz bad
                cli
                pushfd
                pop eax
                test eax, 0x80000
                jnz bad
                test eax, 0x200
                jz bad
                \(put("u"))
                int 0x30
                sti
                hlt
                nop
                hlt
            bad:
                ud2
            bits 16
            code:
                mov ax, 0x3000
                mov ds, ax
                pushf
                pop bx
                test bh, 2
                jnz wrong
                sti
                pushf
                pop bx
                test bh, 2
                jz wrong
                and bh, 0x30
                cmp bh, 0x30
                jne wrong
                \(put("a"))
                int 0x40
                pushf
                pop bx
                test bh, 2
                jz wrong
                \(put("c"))
                cli
                int 0x40
                pushf
                pop bx
                test bh, 2
                jnz wrong
                int 0x21
                sti
                cli
                push 0x0e01
                popf
                jnc wrong
                pushf
                pop bx
                test bh, 2
                jz wrong
                \(put("p"))
                pushfd
            wrong: hlt
            service:
                push bx
                pushf
                pop bx
                test bh, 2
                jnz wrong
                \(put("b"))
                pop bx
                iret
            codeend:
            bits 32
                align 8
            gdt:
                dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
                dw 0xaf, 0, 0x8900, 0
            gdtpointer:
                dw 0x2f
                dd gdt
            idtpointer:
                dw 0x7ff
                dd idt
            tss:
                dd 0, 0x8f000, 0x10
                times 22 dd 0
                dw 0, 0x88
                // All but INT 21H go to the 8086 program; all ports up to FFH are its.
                dd 0, 2
                times 6 dd 0
                times 10 dd 0
            halted: dd 0
                align 8
            idt: times 256 dq 0
            """, output: "abcbmvpdumvhn!")
}
