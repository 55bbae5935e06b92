// Those that begin in real mode.
extension MicroGuest {
    /// The start of a real-mode program.
    private static let real = """
            cli
            xor ax, ax
            mov ds, ax
            mov es, ax
            mov ss, ax
            mov sp, 0x7000

        """
    private static let table = """
            align 8
        gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00009b000000ffff, 0x000093000000ffff, 0x00af9b000000ffff
        gdtpointer:
            dw 0x2f
            dd gdt

        """

    static let tour = MicroGuest(
        name: "every mode of the processor in turn, and back", mode: .real,
        source: """
            \(real)
                lgdt [gdtpointer]
                mov ebp, 3
            round:
                \(put("R"))
                mov eax, cr0
                or al, 1
                mov cr0, eax
                \(put("P"))
                jmp 0x18:small
            small:
                mov ax, 0x20
                mov ds, ax
                mov es, ax
                mov ss, ax
                push ax
                pop bx
                mov si, cs
                jmp 0x08:flat
            bits 32
            flat:
                mov eax, 0x10
                mov ds, eax
                mov es, eax
                mov ss, eax
                mov esp, 0x7000
                mov edi, 0x10000
                xor eax, eax
                mov ecx, 0x4000 / 4
                cld
                rep stosd
                mov dword [0x10000], 0x11003
                mov dword [0x11000], 0x12003
                mov dword [0x12000], 0x83
                mov dword [0x12008], 0x200083
                mov dword [0x13000], 0x12001
                mov eax, 0x13000
                mov cr3, eax
                mov eax, cr4
                or eax, 0x20
                mov cr4, eax
                mov eax, cr0
                or eax, 0x80000000
                mov cr0, eax
                add dword [0x200010], 5
                mov ebx, [0x12008]
                \(put("A"))
                mov eax, cr0
                and eax, 0x7fffffff
                mov cr0, eax
                mov eax, 0x10000
                mov cr3, eax
                mov ecx, 0xc0000080
                rdmsr
                or eax, 0x100
                wrmsr
                mov eax, cr0
                or eax, 0x80000000
                mov cr0, eax
                rdmsr
                mov esi, eax
                jmp 0x28:wide
            bits 64
            wide:
                mov rax, 0x1122334455667788
                push rax
                pop r15
                \(put("L"))
                push 0x08
                push compat
                o64 retf
            bits 32
            compat:
                \(put("C"))
                mov eax, cr0
                and eax, 0x7fffffff
                mov cr0, eax
                mov ecx, 0xc0000080
                rdmsr
                mov edi, eax
                and eax, ~0x100
                wrmsr
                mov eax, cr4
                and eax, ~0x20
                mov cr4, eax
                jmp 0x18:back
            bits 16
            back:
                mov ax, 0x20
                mov ds, ax
                mov es, ax
                mov ss, ax
                mov eax, cr0
                and al, 0xfe
                mov cr0, eax
                jmp 0:again
            again:
                xor ax, ax
                mov ds, ax
                mov es, ax
                mov ss, ax
                mov sp, 0x7000
                dec ebp
                jnz round
                \(put("."))
                hlt
            \(table)
            """, output: "RPALCRPALCRPALC.")

    static let bigReal = MicroGuest(
        name: "real mode with the limits of protected mode", mode: .real,
        source: """
            \(real)
                mov word [13 * 4], general
                mov word [13 * 4 + 2], 0
                mov ebx, 0x200000
                mov dword [cs:want], next
                mov eax, [ebx]
            next:
                \(put("1"))
                lgdt [gdtpointer]
                mov eax, cr0
                or al, 1
                mov cr0, eax
                mov cx, 0x10
                mov ds, cx
                mov es, cx
                and al, 0xfe
                mov cr0, eax
                mov cx, 0x100
                mov ds, cx
                mov es, cx
                mov eax, 0x55667788
                mov [ebx], eax
                mov ecx, [es:ebx]
                mov edi, 0x1f0000
                mov ecx, 100
                cld
                a32 rep stosd
                add eax, [ebx - 4]
                mov ax, 0
                mov ds, ax
                mov edx, 0x201000
                mov eax, [edx]
                \(put("2"))
                mov si, 0xfffe
                mov dword [cs:want], done
                push ds
                mov ax, 0x1000
                mov ds, ax
                mov eax, [cs:si]
                \(put("x"))
            done:
                \(put("3"))
                hlt
            general:
                \(put("g"))
                mov bp, sp
                mov ax, [cs:want]
                mov [bp], ax
                iret
            want: dd 0
            \(table)
            """, output: "g12g3")

    static let realInterrupts = MicroGuest(
        name: "interrupts, faults and single steps in real mode", mode: .real,
        source: """
            \(real)
                \([(0, "divide"), (1, "step"), (3, "breakpoint"), (4, "overflow"), (6, "invalid"), (0x21, "service"), (0x60, "timer")]
                    .map { "mov word [\($0.0) * 4], \($0.1)\nmov word [\($0.0) * 4 + 2], 0" }.joined(separator: "\n"))
                \([(0x20, 0x11), (0x21, 0x60), (0x21, 4), (0x21, 1), (0x21, 0xFE), (0x43, 0x34), (0x40, 0x30), (0x40, 0)]
                    .map { "mov al, \($0.1)\nout \($0.0), al" }.joined(separator: "\n"))
                xor cx, cx
                div cx
                int3
                mov al, 0x7f
                add al, 1
                into
                db 0x0f, 0xff
                mov ah, 9
                int 0x21
                pushf
                pop ax
                or ax, 0x100
                push ax
                popf
                nop
                mov ax, 0x50
                mov ss, ax
                mov sp, 0x6b00
                int 0x21
                pushf
                pop ax
                and ax, 0xfeff
                push ax
                popf
                xor ax, ax
                mov ss, ax
                mov sp, 0x7000
                xor dx, dx
                sti
            wait: hlt
                cmp dx, 5
                jb wait
                cli
                lidt [small]
                \(put("."))
                mov sp, 1
                push ax
            divide:
                \(put("d"))
                mov bp, sp
                add word [bp], 2
                iret
            step:
                inc di
                iret
            breakpoint:
                \(put("b"))
                iret
            overflow:
                \(put("o"))
                iret
            invalid:
                \(put("i"))
                mov bp, sp
                add word [bp], 2
                iret
            service:
                \(put("s"))
                iret
            timer:
                inc dx
                mov al, 0x20
                out 0x20, al
                iret
            small: dw 0xff, 0, 0
            """, output: "dboiss.")

    static let addressLine = MicroGuest(
        name: "addresses beyond 1 MiB with and without A20", mode: .real,
        source: """
            \(real)
                // Of the two that can hold A20 up, the keyboard controller lets go.
                mov al, 0xd1
                out 0x64, al
                mov al, 0xdd
                out 0x60, al
                mov ax, 0xffff
                mov es, ax
                mov byte [0x500], 0x11
                in al, 0x92
                or al, 2
                out 0x92, al
                mov byte [es:0x510], 0x22
                cmp byte [0x500], 0x11
                jne bad
                \(put("1"))
                in al, 0x92
                and al, 0xfd
                out 0x92, al
                cmp byte [es:0x510], 0x11
                jne bad
                mov byte [es:0x510], 0x33
                cmp byte [0x500], 0x33
                jne bad
                \(put("2"))
                // The same code, reached by the other address.
                mov word [0x600], 0xcb40
                xor ax, ax
                call 0xffff:0x610
                cmp ax, 1
                jne bad
                in al, 0x92
                or al, 2
                out 0x92, al
                cmp byte [es:0x510], 0x22
                jne bad
                \(put("3"))
            bad: hlt
            """, output: "123")

    static let smallProtected = MicroGuest(
        name: "protected mode as on an 80286, with its gates and tasks", mode: .real,
        source: """
            \(real)
                lgdt [gdtpointer]
                lidt [idtpointer]
                mov ax, 1
                lmsw ax
                jmp 0x08:start
            start:
                mov ax, 0x10
                mov ds, ax
                mov es, ax
                mov ss, ax
                mov sp, 0x7000
                mov ax, 0x18
                ltr ax
                mov ax, 0x38
                lldt ax
                \(put("1"))
                int 0x10
                mov ax, 0x0c
                mov es, ax
                mov byte [es:8], 3
                mov byte [es:0x10], 4
                // Down to ring 3 and back through a call gate with two parameters.
                push 0x33
                push 0x6800
                push 0x2b
                push ring3
                retf
            ring3:
                mov ax, 0x33
                mov ds, ax
                push 0x1234
                push 0x5678
                call 0x43:0
            back:
                mov ax, sp
                int 0x11
            inner:
                mov bp, sp
                mov bx, [bp + 4]
                mov cx, [bp + 6]
                \(put("2"))
                mov word [ss:gate + 2], 0x48
                call 0x48:0
                \(put("4"))
                lmsw ax
                retf 4
            task:
                \(put("3"))
                pushf
                pop dx
                iret
                jmp task
            done:
                \(put("5"))
                cli
                hlt
            interrupt:
                \(put("i"))
                iret
            fault:
                \(put("f"))
                mov bp, sp
                add word [bp + 2], 6
                add sp, 2
                iret
                align 8
            gdt:
                dq 0
                dw 0xffff, 0, 0x9b00, 0
                dw 0xffff, 0, 0x9300, 0
                dw 0x2b, tss, 0x8100, 0
                dw 0, 0, 0, 0
                dw 0xffff, 0, 0xfb00, 0
                dw 0xffff, 0, 0xf300, 0
                dw 0x0f, ldt, 0x8200, 0
            gate:
                dw inner, 0x08, 0xe402, 0
                dw 0x2b, tss2, 0x8100, 0
            gdtpointer:
                dw 0x4f
                dd gdt
            idtpointer:
                dw 0x8f
                dd idt
            ldt:
                dq 0
                dw 0x0f, 0x9000, 0x9300, 0
            tss:
                dw 0, 0x6000, 0x10
                times 18 dw 0
                dw 0x38
            tss2:
                times 7 dw 0
                dw task, 2, 0, 0, 0, 0, 0x5000, 0, 0, 0
                dw 0x10, 0x08, 0x10, 0x10, 0
            idt:
                times 13 dq 0
                dw fault, 0x08, 0x8600, 0
                times 2 dq 0
                dw interrupt, 0x08, 0x8600, 0
                dw done, 0x08, 0xe600, 0
            """, output: "1if2345")
}
