import X86

/// A small kernel that runs pieces of code one after another, and prints how each ended: the vector of the exception or
/// software interrupt it came to, the error code, where and at which level, and the registers.
///
/// It is a Multiboot 1 image for 32-bit protected mode without paging. What it prints goes to port E9h; at the end it
/// writes to the debug-exit port F4h. Any machine with the two can run it, so its output can be compared.
struct ProbeProgram {
    /// A piece of code, and where it starts.
    struct Probe: Sendable {
        enum Level: Int, Sendable { case ring0 = 0, ring3 = 3, virtual8086 = 4 }

        var level: Level
        /// In ring 3 and virtual-8086 mode.
        var iopl = 0
        /// Ends by `int 0xff` if by nothing else.
        var code: String
    }

    var probes: [Probe]
    /// More names for what the probes use.
    var equates = ""

    static let origin: UInt64 = 0x10_0000

    /// The selectors of the kernel's descriptor table.
    static let selectors = """
        code0 equ 0x08
        data0 equ 0x10
        code3 equ 0x1b
        data3 equ 0x23
        task equ 0x28
        code1 equ 0x31
        data1 equ 0x39
        conforming equ 0x40
        code16 equ 0x48
        data16 equ 0x50
        absent equ 0x58
        readonly equ 0x60
        executeonly equ 0x68
        gate0 equ 0x73
        gate1 equ 0x7b
        gateconforming equ 0x83
        gate16 equ 0x8b
        gateprivate equ 0x90
        gateabsent equ 0x9b
        othertask equ 0xa0
        taskgate equ 0xab
        otherdata equ 0xb3
        local equ 0xb8
        gatetodata equ 0xc3
        task16 equ 0xc8
        codeb equ 0xd0
        """

    private var source: String {
        let table = probes.indices.map { index in
            "dd probe\(index), \(probes[index].level.rawValue), \(probes[index].iopl << 12 | 2), 0"
        }
        let code = probes.enumerated().map { index, probe in
            """
            bits \(probe.level == .virtual8086 ? 16 : 32)
            align 16
            probe\(index):
            \(probe.code)
            int 0xff
            """
        }
        let stubs = (0..<256).map { vector in
            // The exceptions that push an error code (SDM volume 3 table 6-1).
            let hasCode = [8, 10, 11, 12, 13, 14, 17].contains(vector)
            return "align 16\nstub\(vector): \(hasCode ? "nop" : "push 0")\npush \(vector)\njmp report"
        }
        let parts = [Self.selectors, equates, Self.kernel.replacing("@count", with: "\(probes.count)")]
        return (parts + table + ["bits 32"] + stubs + code + ["align 4096"]).joined(separator: "\n")
    }

    func image() throws -> [UInt8] {
        try Assembler(mode: .bits32, origin: Self.origin).assemble(source).bytes
    }

    private static let kernel = """
        stack0 equ 0x90000
        stack1 equ 0x8f000
        stack3 equ 0x8e000
        stackof equ 0x8d000
        gdt equ 0x80000
        idt equ 0x82000
        state equ gdt + pristinestate - pristine
        otherstate equ gdt + pristineother - pristine
        header:
            dd 0x1badb002, 0x10000, -0x1badb002 - 0x10000
            dd header, header, 0, 0, entry
        entry:
            mov esp, stack0
            mov al, 0xff
            out 0x21, al
            out 0xa1, al
            xor ecx, ecx
        fill:
            mov eax, ecx
            shl eax, 4
            add eax, stub0
            mov [idt + ecx * 8], ax
            mov word [idt + ecx * 8 + 2], code0
            mov word [idt + ecx * 8 + 4], 0x8e00
            shr eax, 16
            mov [idt + ecx * 8 + 6], ax
            inc ecx
            cmp ecx, 256
            jb fill
            mov word [idt + 0xff * 8 + 4], 0xee00
            mov word [idt + 0x80 * 8 + 4], 0xee00
            mov word [idt + 0x81 * 8 + 4], 0xef00
            mov word [idt + 0x82 * 8 + 4], 0x6e00
            mov word [idt + 0x83 * 8], ring1entry - header
            mov word [idt + 0x83 * 8 + 2], code1
            mov word [idt + 0x83 * 8 + 4], 0xee00
            mov word [idt + 0x84 * 8 + 2], data0
            mov word [idt + 0x84 * 8 + 4], 0xee00
            mov word [idt + 0x85 * 8 + 2], 0
            mov word [idt + 0x85 * 8 + 4], 0xee00
            mov word [idt + 0x86 * 8 + 2], othertask
            mov word [idt + 0x86 * 8 + 4], 0xe500
            mov word [idt + 0x87 * 8], ring1entry - header
            mov word [idt + 0x87 * 8 + 2], code3
            mov word [idt + 0x87 * 8 + 4], 0xee00
            mov word [idt + 3 * 8 + 4], 0xee00
            mov word [idt + 4 * 8 + 4], 0xee00
            mov eax, cr0
            mov [savedcr0], eax
            mov eax, cr4
            mov [savedcr4], eax
        again:
            cli
            cld
            mov eax, [savedcr0]
            mov cr0, eax
            mov eax, [savedcr4]
            mov cr4, eax
            xor eax, eax
            mov dr7, eax
            mov dr6, eax
            mov esi, pristine
            mov edi, gdt
            mov ecx, (pristineend - pristine) / 4
            cs rep movsd
            lgdt [cs:gdtpointer]
            lidt [cs:idtpointer]
            jmp code0:flushed
        flushed:
            mov ax, data0
            mov ds, ax
            mov es, ax
            mov fs, ax
            mov gs, ax
            mov ss, ax
            mov esp, stack0
            xor eax, eax
            lldt ax
            mov ax, task
            ltr ax
            push 2
            popfd
            mov eax, [index]
            cmp eax, @count
            jae finish
            inc dword [index]
            shl eax, 4
            mov esi, [probes + eax]
            mov edi, [probes + eax + 4]
            mov ebx, [probes + eax + 8]
            mov [target], esi
            cmp edi, 3
            je user
            ja virtual
            xor eax, eax
            xor ebx, ebx
            xor ecx, ecx
            xor edx, edx
            xor ebp, ebp
            xor esi, esi
            xor edi, edi
            jmp [target]
        user:
            mov ax, data3
            mov ds, ax
            mov es, ax
            mov fs, ax
            mov gs, ax
            push data3
            push stack3
            push ebx
            push code3
            push esi
            xor eax, eax
            xor ebx, ebx
            xor ecx, ecx
            xor edx, edx
            xor ebp, ebp
            xor esi, esi
            xor edi, edi
            iretd
        virtual:
            mov ecx, 512
            mov edi, 0x20000
            cs rep movsb
            or ebx, 0x20000
            push 0x5000
            push 0x4000
            push 0x3000
            push 0x6000
            push 0x7000
            push 0x8000
            push ebx
            push 0x2000
            push 0
            xor eax, eax
            xor ebx, ebx
            xor edx, edx
            xor ebp, ebp
            xor esi, esi
            xor edi, edi
            iretd

        report:
            pushad
            mov ax, data0
            mov ds, ax
            mov es, ax
            mov ebp, esp
            mov eax, [index]
            dec eax
            call hex
            mov eax, [ebp + 32]
            call hex
            mov eax, [ebp + 36]
            call hex
            mov eax, [ebp + 40]
            call hex
            movzx eax, word [ebp + 44]
            call hex
            mov eax, [ebp + 48]
            and eax, 0x267700
            call hex
            mov eax, [ebp + 28]
            call hex
            mov eax, [ebp + 16]
            call hex
            mov eax, [ebp + 24]
            call hex
            mov eax, [ebp + 20]
            call hex
            mov eax, [ebp + 4]
            call hex
            mov eax, [ebp]
            call hex
            lea eax, [ebp + 52]
            test byte [ebp + 44], 3
            jnz outer
            test byte [ebp + 50], 2
            jz inner
        outer:
            mov eax, [ebp + 52]
            call hex
            movzx eax, word [ebp + 56]
        inner:
            call hex
            str eax
            movzx eax, ax
            call hex
            cmp dword [ebp + 32], 1
            jne nodebug
            mov eax, dr6
            and eax, 0xe00f
            call hex
        nodebug:
            mov al, 10
            out 0xe9, al
            jmp again

        hex:
            push ecx
            mov ecx, 8
        digit:
            rol eax, 4
            push eax
            and al, 15
            cmp al, 10
            jb decimal
            add al, 39
        decimal:
            add al, 48
            out 0xe9, al
            pop eax
            dec ecx
            jnz digit
            mov al, 32
            out 0xe9, al
            pop ecx
            ret

        finish:
            mov al, 0
            out 0xf4, al
            hlt
            jmp finish

        called:
            mov eax, [esp]
            mov ebx, [esp + 4]
            mov ecx, [esp + 8]
            mov edx, [esp + 12]
            mov esi, [esp + 16]
            mov edi, [esp + 20]
            int 0xff
        called16:
            mov eax, [esp]
            mov ebx, [esp + 4]
            mov ecx, [esp + 8]
            mov edx, [esp + 12]
            int 0xff
        returning:
            retf 8
        othertaskentry:
            mov edx, [otherstate]
            mov esi, [state + 32]
            mov edi, [state + 36]
            int 0xff
        backtask:
            iretd
            mov eax, 0x600d
            int 0xff
        task16entry:
            mov ebx, esp
            mov cx, ds
            mov ax, data0
            mov ss, ax
            mov esp, stack0 - 0x400
            int 0xff
        ring1entry:
            mov eax, esp
            mov edx, cs
            mov ecx, ss
            int 0xff

            align 8
        pristine:
            dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
            dw 0x88, pristinestate - pristine, 0x8908, 0
            dq 0x00cfbb000000ffff, 0x00cfb3000000ffff, 0x00cf9f000000ffff, 0x000f9b000000ffff, 0x000093000000ffff
            dq 0x00cf13000000ffff, 0x00cf91000000ffff, 0x00cf99000000ffff
            dw called - header, code0, 0xec03, 0x10
            dw called - header, code1, 0xec02, 0x10
            dw called - header, conforming, 0xec00, 0x10
            dw called16 - header, codeb, 0xe402, 0
            dw called - header, code0, 0x8c00, 0x10
            dw called - header, code0, 0x6c00, 0x10
            dw 0x67, pristineother - pristine, 0x8908, 0
            dw 0, othertask, 0xe500, 0
            dq 0x00cff3000000ffff
            dw 0x17, pristineldt - pristine, 0x8208, 0
            dw called - header, data0, 0xec00, 0x10
            dw 0x2b, pristine16 - pristine, 0x8108, 0
            dq 0x00cf9b100000ffff
        pristinestate:
            dd 0, stack0 - 0x800, data0, stack1, data1, 0, 0, 0
            times 17 dd 0
            dw 0, 0x68
            times 16 db 0xff
            db 0, 0xfe
            times 13 db 0xff
            db 0x7f, 0xff, 0, 0, 0
        pristineother:
            dd 0, stackof - 0x100, data0, stack1, data1, 0, 0, 0
            dd othertaskentry, 2, 0xaaaa, 0xcccc, 0xdddd, 0xbbbb, stackof, 0xb9b9, 0x5151, 0xd1d1
            dd data0, code0, data0, data0, 0, 0, 0
            dw 0, 0x68
        pristine16:
            dw 0, 0xd800, data16, 0, 0, 0, 0
            dw task16entry - header, 2, 0xa1, 0xc1, 0xd1, 0xb1, 0xd700, 0xb9, 0x51, 0xd1
            dw data0, codeb, data16, data0, 0, 0
        pristineldt:
            dq 0, 0x00cff3000000ffff, 0x00cf93000000ffff
        pristineend:
        gdtpointer:
            dw pristinestate - pristine - 1
            dd gdt
        idtpointer:
            dw 0x7ff
            dd idt
        index: dd 0
        target: dd 0
        savedcr0: dd 0
        savedcr4: dd 0
            align 16
        probes:
        """
}
