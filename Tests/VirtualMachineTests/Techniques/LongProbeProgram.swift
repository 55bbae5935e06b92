import VirtualMachine
import X86

/// A small 64-bit kernel that runs pieces of code one after another, each with page tables, descriptor tables and registers
/// made anew, and keeps for each how it ended: vector, error code, where and at which level, the registers, CR2 and DR6.
///
/// It is a flat image for 64-bit mode; when all is done it halts with interrupts off.
struct LongProbeProgram {
    /// A piece of code, and where it starts.
    struct Probe: Sendable {
        enum Level: Int, Sendable {
            case ring0, ring3
            /// 32-bit code in ring 3.
            case compatibility
            /// Ring 0, in memory that ring 3 can use too.
            case open
        }

        var level: Level
        /// Ends by `int 0xff` if by nothing else.
        var code: String
    }

    var probes: [Probe]

    static let origin: UInt64 = 0x10_0000
    /// Where the records are: 16 quadwords for each probe.
    static let log: UInt64 = 0x60_0000
    static let recordSize: UInt64 = 128

    func bootSource() throws -> BootSource {
        .flat(
            try Assembler(mode: .bits64, origin: Self.origin).assemble(source).bytes, at: Self.origin, mode: .long)
    }

    private var source: String {
        let table = probes.indices.map { "dd probe\($0), \(probes[$0].level.rawValue)" }
        let code = probes.enumerated().map { index, probe in
            let bits = probe.level == .compatibility ? 32 : 64
            return "bits \(bits)\nalign 16\nprobe\(index):\n\(probe.code)\nint 0xff"
        }
        let stubs = (0..<256).map { vector in
            // The exceptions that push an error code (SDM volume 3 table 6-1).
            let hasCode = [8, 10, 11, 12, 13, 14, 17].contains(vector)
            return "align 16\nstub\(vector): \(hasCode ? "nop" : "push 0")\npush \(vector)\njmp report"
        }
        let frames = [
            0x30_0007, 0x30_1007, 0x30_2007, 0x30_0007, 0x30_4005, 0x30_5003, 0x30_6007, 0x30_7006, 0x20_4007,
        ]
        let entries = frames.enumerated().map { "mov dword [table + \($0.offset * 8)], \($0.element)" }
        let kernel = Self.kernel.replacing("@count", with: "\(probes.count)")
            .replacing("@entries", with: entries.joined(separator: "\n"))
        return ([Self.names, kernel] + table + ["bits 64"] + stubs + code + ["align 4096"]).joined(separator: "\n")
    }

    /// Addresses and selectors.
    ///
    /// Memory below 8 MiB is mapped one to one. Of the playground's pages 0, 1 and 2 can be written, 3 is the frame of page 0
    /// once more, 4 is read-only, 5 a supervisor's, 6 a user's, 7 is not there, and 8 is the page table itself.
    private static let names: String =
        (0..<9).map { "page\($0) equ 0x\(String(0x4000_0000 + $0 << 12, radix: 16))" }.joined(separator: "\n") + """

            top equ 0x200000
            pointers equ 0x201000
            directory equ 0x202000
            directory2 equ 0x203000
            table equ 0x204000
            directory3 equ 0x205000
            stack0 equ 0x190000
            stack1 equ 0x188000
            stack2 equ 0x184000
            stack3 equ 0x180000
            gdt equ 0x194000
            idt equ 0x195000
            state equ 0x196000
            apic equ 0xfee00000
            code0 equ 0x08
            data0 equ 0x10
            data3 equ 0x1b
            code3 equ 0x23
            code32 equ 0x28
            compat3 equ 0x33
            task equ 0x38
            local equ 0x48
            gate3 equ 0x5b
            absent equ 0x68
            conforming equ 0x70
            code16 equ 0x78
            badgate equ 0x83
            callee equ 0x93
            """

    private static let kernel = """
        entry:
            mov al, 0xff
            out 0x21, al
            out 0xa1, al
            mov rax, cr3
            mov [savedcr3], rax
        again:
            cli
            cld
            xor eax, eax
            mov dr7, rax
            // The boot loader's tables and plain control registers, while everything is made anew.
            mov eax, 0x6a0
            mov cr4, rax
            mov rax, [savedcr3]
            mov cr3, rax
            mov eax, 0x80000033
            mov cr0, rax
            // The local APIC: the end of what is in service, the timer off.
            mov eax, apic
            mov dword [rax + 0xb0], 0
            mov dword [rax + 0xb0], 0
            mov dword [rax + 0x320], 0x10000
            xor eax, eax
            mov cr8, rax
            lgdt [oldpointer]
            mov eax, 0x10
            mov ds, eax
            mov es, eax
            mov ss, eax
            mov esp, stack0
            // The tables, and the playground's pages.
            mov edi, top
            xor eax, eax
            mov ecx, 0x6000 / 8
            rep stosq
            mov edi, 0x300000
            mov ecx, 0x8000 / 8
            rep stosq
            mov ebx, [index]
            cmp ebx, @count
            jae finish
            mov ebx, [probes + rbx * 8 + 4]
            mov eax, 0x83
            test ebx, ebx
            jz kernelpages
            mov eax, 0x87
        kernelpages:
            mov dword [top], pointers + 7
            mov dword [pointers], directory + 7
            mov dword [pointers + 8], directory2 + 7
            mov dword [pointers + 24], directory3 + 7
            mov [directory], eax
            add eax, 0x200000
            mov [directory + 8], eax
            add eax, 0x200000
            mov [directory + 16], eax
            add eax, 0x200000
            mov [directory + 24], eax
            mov dword [directory2], table + 7
            mov dword [directory3 + 0x1f7 * 8], 0xfee00083
            @entries
            mov eax, top
            mov cr3, rax
            mov ecx, 0xc0000080
            mov eax, 0xd01
            xor edx, edx
            wrmsr
            mov ecx, 0xc0000081
            xor eax, eax
            mov edx, 0x00130008
            wrmsr
            mov ecx, 0xc0000082
            mov eax, called
            xor edx, edx
            wrmsr
            inc ecx
            mov eax, calledcompat
            wrmsr
            inc ecx
            mov eax, 0x4700
            wrmsr
            mov ecx, 0x174
            mov eax, code0
            wrmsr
            inc ecx
            mov eax, stack0 - 0x400
            wrmsr
            inc ecx
            mov eax, called
            wrmsr
            mov ecx, 0xc0000102
            mov eax, 0x301000
            wrmsr
            // Descriptor tables.
            mov esi, pristine
            mov edi, gdt
            mov ecx, (pristineend - pristine) / 8
            rep movsq
            mov edi, state
            xor eax, eax
            mov ecx, 16
            rep stosq
            mov dword [state + 4], stack0 - 0x200
            mov dword [state + 0x24], stack1
            mov dword [state + 0x2c], stack2
            mov word [state + 0x66], 0x68
            mov dword [state + 0x68], -1
            mov dword [state + 0x6c], -1
            mov byte [state + 0x68 + 16], 0xfe
            xor ecx, ecx
        fill:
            mov eax, ecx
            shl eax, 4
            mov edx, eax
            add eax, stub0
            mov [idt + rdx], ax
            mov dword [idt + rdx + 2], 0x8e000000 + code0
            shr eax, 16
            mov [idt + rdx + 6], ax
            mov qword [idt + rdx + 8], 0
            inc ecx
            cmp ecx, 256
            jb fill
            mov byte [idt + 3 * 16 + 5], 0xee
            mov byte [idt + 4 * 16 + 5], 0xee
            mov byte [idt + 0x80 * 16 + 5], 0xee
            mov byte [idt + 0x81 * 16 + 5], 0xef
            mov byte [idt + 0x82 * 16 + 5], 0x6e
            mov byte [idt + 0xff * 16 + 5], 0xee
            mov byte [idt + 8 * 16 + 4], 1
            mov byte [idt + 2 * 16 + 4], 2
            lgdt [gdtpointer]
            lidt [idtpointer]
            mov eax, task
            ltr ax
            xor eax, eax
            lldt ax
            mov fs, eax
            mov gs, eax
            mov dr6, rax
            mov cr2, rax
            fninit
            mov eax, [index]
            inc dword [index]
            mov r8d, [probes + rax * 8]
            mov eax, [probes + rax * 8 + 4]
            cmp eax, 1
            je user
            cmp eax, 2
            je compat
            mov eax, data0
            mov ds, eax
            mov es, eax
            push rax
            push stack0
            push 2
            push code0
            jmp leave
        user:
            push data3
            push stack3
            push 2
            push code3
            jmp leave
        compat:
            mov eax, data3
            mov ds, eax
            mov es, eax
            push rax
            push stack3
            push 2
            push compat3
        leave:
            push r8
            xor eax, eax
            xor ebx, ebx
            xor ecx, ecx
            xor edx, edx
            xor esi, esi
            xor edi, edi
            xor ebp, ebp
            xor r8d, r8d
            iretq

        report:
            mov [saved], rax
            mov [saved + 8], rbx
            mov eax, [index]
            dec eax
            shl eax, 7
            lea rbx, [rax + 0x600000]
            pop qword [rbx]
            pop qword [rbx + 8]
            pop qword [rbx + 16]
            pop qword [rbx + 24]
            pop qword [rbx + 32]
            pop qword [rbx + 40]
            pop qword [rbx + 48]
            mov rax, [saved]
            mov [rbx + 56], rax
            mov rax, [saved + 8]
            mov [rbx + 64], rax
            mov [rbx + 72], rcx
            mov [rbx + 80], rdx
            mov [rbx + 88], rsi
            mov [rbx + 96], rdi
            mov rax, cr2
            mov [rbx + 104], rax
            mov rax, dr6
            mov [rbx + 112], rax
            mov [rbx + 120], r8
            jmp again
        finish:
            cli
            hlt
            jmp finish
        called:
            mov rax, rsp
            mov ebx, cs
            mov edx, ss
            int 0xff
        calledcompat:
            mov rax, rsp
            mov ebx, cs
            int 0xfe
            align 8
        pristine:
            dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
            dq 0x00cf9b000000ffff, 0x00cffb000000ffff
            dw 0x90, 0x6000, 0x8919, 0
            dq 0
            dw 0x17, 0x4000, 0x8219, 0
            dq 0
            dw called - entry, code0, 0xec00, 0x10
            dq 0
            dq 0x00cf13000000ffff, 0x00af9f000000ffff, 0x00009b000000ffff
            dw called - entry, code0, 0xe400, 0x10
            dq 0
            dw called - entry, callee, 0xec00, 0x10
            dq 0
        pristineend:
        gdtpointer:
            dw pristineend - pristine - 1
            dq gdt
        idtpointer:
            dw 0xfff
            dq idt
        oldpointer:
            dw 0x1f
            dq oldtable
            align 8
        oldtable: dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
        saved: dq 0, 0
        savedcr3: dq 0
        index: dd 0
            align 16
        probes:
        """
}
