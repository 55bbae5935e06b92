// Single steps over what leaves a guest, and non-maskable interrupts.
extension MicroGuest {
    /// 32-bit code with an IDT whose #DB handler notes DR6, EIP and EFLAGS in a list from 81000H on, whose NMI handler
    /// counts at 80F00H, and whose other handlers go on behind a two-byte instruction.
    private static func watched(_ source: String) -> String {
        """
            lgdt [gdtpointer]
            jmp 0x08:on
        on:
            mov eax, 0x10
            mov ds, eax
            mov es, eax
            mov ss, eax
            mov esp, 0x90000
            mov edi, idt
            mov ecx, 256
        fill:
            mov dword [edi], 0x80000 + (other & 0xffff)
            mov dword [edi + 4], (other & 0xffff0000) + 0x8e00
            add edi, 8
            loop fill
            mov dword [idt + 8], 0x80000 + (debug & 0xffff)
            mov dword [idt + 16], 0x80000 + (nmi & 0xffff)
            mov dword [idt + 0x40 * 8], 0x80000 + (service & 0xffff)
            lidt [idtpointer]
            mov dword [0x80f04], 0x81000
            jmp begin
        debug:
            push eax
            push edx
            mov edx, [0x80f04]
            mov eax, dr6
            mov [edx], eax
            mov eax, [esp + 8]
            mov [edx + 4], eax
            mov eax, [esp + 16]
            mov [edx + 8], eax
            add edx, 12
            and edx, 0x87fff
            mov [0x80f04], edx
            xor eax, eax
            mov dr6, eax
            or dword [esp + 16], 0x10000
            pop edx
            pop eax
            iretd
        nmi:
            inc dword [0x80f00]
            iretd
        service:
            nop
            iretd
        other:
            inc dword [0x80f08]
            push eax
            mov eax, [esp + 4]
            cmp eax, 0x100000
            jb hasCode
            pop eax
            add dword [esp], 2
            iretd
        hasCode:
            pop eax
            add esp, 4
            add dword [esp], 2
            iretd
            align 8
        gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
        gdtpointer:
            dw 0x17
            dd gdt
        idtpointer:
            dw 0x7ff
            dd idt
            align 8
        idt: times 256 dq 0
        begin:
            \(source)
            \(put("k"))
            cli
            hlt
        """
    }

    static let steps = MicroGuest(
        name: "single steps over what a monitor does", mode: .protected,
        source: watched(
            """
                xor eax, eax
                mov cr2, eax
                push 0x102
                popfd
                nop
                cpuid
                mov ecx, 0x1b
                rdmsr
                wrmsr
                mov eax, cr0
                mov cr0, eax
                mov eax, cr4
                mov cr4, eax
                mov eax, cr3
                mov cr3, eax
                mov eax, dr7
                mov dr7, eax
                mov al, 'x'
                out 0x80, al
                in al, 0x80
                mov esi, 0x80000
                mov edi, 0x80100
                mov ecx, 3
                rep movsb
                mov edx, 0x80
                mov ecx, 2
                rep outsb
                mov ecx, 2
                rep insb
                mov eax, ss
                mov ss, eax
                cpuid
                push ss
                pop ss
                pushfd
                pop eax
                int 0x40
                nop
                into
                sti
                cpuid
                cli
                rdtsc
                invlpg [0x80000]
                clts
                smsw eax
                lmsw ax
                sgdt [0x80200]
                lgdt [0x80200]
                str eax
                xor edx, edx
                lldt dx
                ud2
                mov eax, [0xfee00030]
                mov dword [0xfee000f0], 0x1ff
                wbinvd
                mov ax, ds
                mov es, ax
                pushfd
                and dword [esp], ~0x100
                popfd
                nop
            """), output: "k")

    static let nonMaskableInterrupts = MicroGuest(
        name: "non-maskable interrupts by the local APIC", mode: .protected,
        source: watched(
            """
                mov dword [0xfee000f0], 0x1ff
                mov dword [0xfee00310], 0
                mov ebp, 20
            again:
                // To itself: NMI.
                mov dword [0xfee00300], 0x4400
                nop
                mov eax, ss
                mov dword [0xfee00300], 0x4400
                mov ss, eax
                nop
                push 0x102
                mov dword [0xfee00300], 0x4400
                popfd
                cpuid
                mov dword [0xfee00300], 0x4400
                push 2
                popfd
                mov ecx, 3
                mov esi, 0x80000
                mov edi, 0x80100
                mov dword [0xfee00300], 0x4400
                rep movsb
                dec ebp
                jnz again
                mov eax, [0x80f00]
                cmp eax, 100
                jne wrong
                jmp done
            wrong:
                \(put("w"))
            done:
            """), output: "k")
}
