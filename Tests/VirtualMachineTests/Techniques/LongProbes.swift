/// Probes of 64-bit mode and of 32-bit code beside it.
enum LongProbes {
    typealias Probe = LongProbeProgram.Probe

    static let all: [Probe] =
        paging + addresses + control + protection + transfers + systemCalls + debugging + stacks + interrupts + changes
        + user + compatibility

    /// One probe a line, instructions parted by bars.
    private static func probes(_ level: Probe.Level, _ text: String) -> [Probe] {
        ProbeText.lines(text).map { Probe(level: level, code: $0) }
    }
    private static func ring0(_ text: String) -> [Probe] { probes(.ring0, text) }
    private static func open(_ text: String) -> [Probe] { probes(.open, text) }
    private static func ring3(_ text: String) -> [Probe] { probes(.ring3, text) }

    private static let far = "mov rax, 0x1234567812345678 | "
    private static let step = "pushfq | or dword [rsp], 0x100 | popfq | "
    private static func set0(_ bit: Int) -> String { "mov rax, cr0 | bts rax, \(bit) | mov cr0, rax | " }
    private static func set4(_ bit: Int) -> String { "mov rax, cr4 | bts rax, \(bit) | mov cr4, rax | " }
    /// A breakpoint for an access.
    private static func watch(_ address: String, _ control: String) -> String {
        "mov eax, \(address) | mov dr0, rax | mov eax, \(control) | mov dr7, rax | "
    }
    /// The local APIC sends a non-maskable interrupt, or one of its own, to its own processor.
    private static func sendToSelf(_ low: String) -> String {
        "mov ebx, apic | mov dword [rbx + 0xf0], 0x1ff | mov dword [rbx + 0x310], 0 | "
            + "mov dword [rbx + 0x300], \(low) | "
    }
    private static func handler(_ vector: Int, _ name: String) -> String {
        "mov eax, \(name) | mov [idt + \(vector) * 16], ax | shr eax, 16 | mov [idt + \(vector) * 16 + 6], ax | "
    }

    private static let paging = ring0(
        """
        mov ebx, [page0] | mov ecx, [table] | mov [page1], ebx | mov edx, [table + 8] | mov esi, [table + 16] | \
            mov edi, [directory2]
        mov [page4], eax
        \(set0(16))mov [page4], eax
        \(set0(16))mov eax, 1 | lock cmpxchg [page4], rcx
        mov rax, [page7]
        mov [page7 + 8], eax
        mov eax, page7 | call rax
        push qword [page7]
        mov rax, [page6 + 4090]
        mov [page6 + 4090], rax
        mov esi, page0 | mov edi, page6 + 4080 | mov ecx, 9 | rep movsq
        mov esp, page6 + 4088 | pop rax | pop rbx
        mov esp, page7 + 64 | push rax
        cmpxchg16b [page6 + 4080] | cmpxchg16b [page6 + 4088]
        fxsave64 [page6 + 3584] | fxsave64 [page6 + 3600]
        // Execute disable, reserved bits, and large pages at every level.
        mov byte [page0], 0xc3 | mov dword [table + 4], 0x80000000 | mov eax, page3 | call rax | mov eax, page0 | \
            call rax
        mov byte [page0], 0xc3 | mov dword [directory2 + 4], 0x80000000 | mov rbx, [page0] | mov eax, page0 | \
            call rax
        mov dword [table + 4], 0x80000000 | mov ecx, 0xc0000080 | rdmsr | btr eax, 11 | wrmsr | mov ebx, [page0]
        mov dword [table + 4], 0x000f0000 | mov ebx, [page0]
        mov dword [top + 8], pointers + 0x83 | mov rbx, 0x8000000000 | mov ecx, [rbx]
        mov dword [pointers + 16], 0x83 | mov ebx, 0x80300000 | mov dword [rbx], 5 | mov ecx, [page0] | \
            mov edx, [pointers + 16]
        mov dword [pointers + 16], 0x2083 | mov ebx, 0x80300000 | mov ecx, [rbx]
        mov dword [directory2 + 8], 0x400083 | mov dword [page0 + 0x200000], 3 | mov ebx, [0x400000] | \
            mov ecx, [directory2 + 8]
        mov dword [directory2 + 8], 0x402083 | mov ecx, [page0 + 0x200000]
        // A large page becomes a table, and the other way round.
        mov dword [directory2 + 8], 0x400083 | mov dword [page0 + 0x200000], 3 | \
            mov dword [directory2 + 8], table + 7 | mov ecx, [page0 + 0x200000] | mov dword [page0 + 0x201000], 9 | \
            mov edx, [page1] | mov dword [directory2 + 8], 0x400083 | mov esi, [page0 + 0x200000]
        // The top-level table as its own table.
        mov dword [top + 510 * 8], top + 3 | mov rax, 0xffffff7fbfdfe000 | mov rbx, [rax] | \
            mov rcx, 0xffffff0000000000 + (page1 >> 9) | mov rdx, [rcx] | xor edx, 0x3000 | mov [rcx], edx | \
            invlpg [page1] | mov dword [page2], 4 | mov esi, [page1] | mov rdi, [rcx]
        // Global pages, identifiers, and what drops translations.
        or dword [table], 0x100 | mov ebx, [page0] | xor dword [table], 0x1000 | mov rax, cr3 | mov cr3, rax | \
            mov dword [page1], 6 | mov ecx, [page0]
        \(set4(17))mov rbx, cr3 | or ebx, 5 | mov cr3, rbx | bts rbx, 63 | mov cr3, rbx | mov rcx, cr3 | \
            mov edx, [page0]
        mov rbx, cr3 | or ebx, 8 | mov cr3, rbx | \(set4(17))mov rcx, cr4 | mov rdx, cr3
        mov rbx, cr3 | or ebx, 1 | mov cr3, rbx | \(set4(17))
        mov rbx, cr3 | bts rbx, 63 | mov cr3, rbx
        mov qword [page0], 0 | mov qword [page0 + 8], page1 | mov eax, 0 | invpcid rax, [page0] | mov eax, 2 | \
            invpcid rax, [page0] | mov eax, 4 | invpcid rax, [page0]
        mov qword [page0], 0x1000 | mov eax, 1 | invpcid rax, [page0]
        mov qword [page0], 1 | mov eax, 1 | invpcid rax, [page0]
        invlpg [page7] | mov rax, 0x8000000000000000 | invlpg [rax] | mov ebx, 1
        // SMEP and SMAP.
        mov byte [page0], 0xc3 | \(set4(20))mov eax, page0 | call rax
        mov byte [page0], 0xc3 | mov ecx, 0xc0000080 | rdmsr | btr eax, 11 | wrmsr | mov eax, page0 | call rax | \
            mov eax, page7 | call rax
        mov byte [page0], 0xc3 | mov ecx, 0xc0000080 | rdmsr | btr eax, 11 | wrmsr | \(set4(20))mov eax, page0 | \
            call rax
        \(set4(21))mov ecx, [page5] | stac | mov ebx, [page0] | clac | mov edx, [page0]
        mov byte [page0], 0xc3 | mov ecx, 0xc0000080 | rdmsr | btr eax, 11 | wrmsr | \(set4(21))mov eax, page3 | \
            call rax | mov ecx, [rax]
        \(set4(21))mov [page0], eax
        \(set4(21))lgdt [page0]
        // Another address space with the same kernel.
        mov esi, top | mov edi, 0x206000 | mov ecx, 0x400 | rep movsq | mov dword [0x206000], 0x207007 | \
            mov esi, directory2 | mov dword [0x207008], 0x208007 | mov edi, 0x208000 | xor eax, eax | \
            mov ecx, 0x400 | rep stosq | mov dword [0x208000], 0x209007 | mov dword [0x209000], 0x302007 | \
            mov dword [page2], 0x22 | mov eax, 0x206000 | mov cr3, rax | mov ebx, [page0] | \
            mov dword [page0], 0x33 | mov eax, top | mov cr3, rax | mov ecx, [page2] | mov edx, [page0]
        // Descriptors on pages that cannot be written.
        mov esi, gdt | mov edi, page0 | mov ecx, 20 | rep movsq | and byte [page0 + 0x18 + 5], 0xfe | \
            mov word [page1], 0x9f | mov dword [page1 + 2], page0 | \(set0(16))and byte [table], 0xfd | \
            invlpg [page0] | lgdt [page1] | mov eax, data3 | mov es, eax
        """)

    private static let addresses = ring0(
        """
        \(far)mov rbx, [rax]
        \(far)mov [rax], rbx
        \(far)jmp rax
        \(far)call rax
        \(far)push rax | ret
        \(far)mov [page0], rax | call [page0]
        \(far)mov [page0], rax | jmp [page0]
        \(far)mov rsp, rax | push rbx
        \(far)mov rsp, rax | pop rbx
        \(far)mov rbp, rax | mov rbx, [rbp + 8]
        \(far)mov rbx, [rax + 16] | nop
        \(far)mov cr3, rax
        \(far)wrfsbase rax
        \(far)mov rdx, rax | shr rdx, 32 | mov ecx, 0xc0000082 | wrmsr
        \(far)mov rdx, rax | shr rdx, 32 | mov ecx, 0xc0000102 | wrmsr
        \(far)mov rdx, rax | shr rdx, 32 | mov ecx, 0x175 | wrmsr
        \(far)mov word [page0], 0xff | mov [page0 + 2], rax | lgdt [page0]
        \(far)mov word [page0], 0xff | mov [page0 + 2], rax | lidt [page0]
        \(far)mov rcx, rax | o64 sysret
        \(far)mov rdx, rax | o64 sysexit
        \(far)mov dr0, rax | mov rbx, dr0
        \(far)mov dr6, rax
        \(far)mov dr7, rax
        \(far)prefetcht0 [rax] | mov ebx, 4
        \(far)clflush [rax]
        \(far)mov rsi, rax | mov edi, page0 | movsb
        \(far)mov rdi, rax | mov ecx, 0 | rep stosb | mov ebx, 6
        \(far)lea rbx, [rax + rax] | mov ecx, 2
        \(far)mov rbx, rsp | push data0 | push rbx | push 2 | push code0 | push rax | iretq
        \(far)push code0 | push rax | o64 retf
        \(far)mov rbx, 0x00007fffffffffff | mov al, [rbx]
        \(far)mov rbx, 0x00007ffffffffffc | mov rax, [rbx]
        \(far)mov rbx, 0xffff800000000000 | mov al, [rbx - 1]
        \(far)fldz | fstp qword [rax] | nop
        \(far)movups xmm0, [rax]
        """)

    private static let control = ring0(
        """
        mov rax, cr0 | btr rax, 31 | mov cr0, rax
        mov rax, cr0 | btr rax, 0 | mov cr0, rax
        mov rax, cr4 | btr rax, 5 | mov cr4, rax
        \(set0(32))
        \(set0(29))
        \(set0(30))mov rbx, cr0
        \(set0(17))mov rbx, cr0
        mov rax, cr0 | or eax, 0x40 | mov cr0, rax | mov rbx, cr0
        \(set4(12))
        \(set4(13))
        \(set4(33))
        \(set4(18))xor ecx, ecx | xgetbv | mov eax, 3 | xsetbv | xgetbv | mov ebx, eax | mov eax, 2 | xsetbv
        xgetbv
        \(set4(18))mov eax, 3 | xor edx, edx | xor ecx, ecx | xsetbv | mov eax, 7 | xsave [page0] | xsave [page0 + 8]
        mov ecx, 0xc0000080 | rdmsr | btr eax, 8 | wrmsr
        mov ecx, 0xc0000080 | rdmsr | btr eax, 10 | wrmsr | rdmsr | mov ebx, eax
        mov ecx, 0xc0000080 | rdmsr | bts eax, 1 | wrmsr
        mov ecx, 0xc0000080 | rdmsr | bts eax, 12 | wrmsr
        mov ecx, 0xc0000080 | rdmsr | btr eax, 0 | wrmsr | syscall
        mov eax, 15 | mov cr8, rax | mov rbx, cr8 | xor eax, eax | mov cr8, rax
        mov eax, 16 | mov cr8, rax
        db 0x0f, 0x22, 0xc8
        db 0x0f, 0x20, 0xe8
        smsw eax | smsw rbx | mov ecx, 8 | lmsw cx | fnop
        mov eax, 8 | lmsw ax | clts | fnop | smsw ebx
        mov eax, 4 | lmsw ax | fnop
        xor eax, eax | lmsw ax | smsw ebx
        mov rax, cr4 | btr rax, 9 | mov cr4, rax | movups xmm0, [rsp]
        \(set0(3))movups xmm0, [rsp]
        \(set0(3))fwait
        mov rax, cr0 | or eax, 10 | mov cr0, rax | fwait
        fld1 | fldz | fdivp | fnstsw ax | mov ebx, eax
        mov dword [page0], 0x33b | fldcw [page0] | fld1 | fldz | fdivp | fwait
        fld1 | fld1 | fcmovnbe st0, st1 | fnstenv [page0] | mov ebx, [page0 + 12]
        fld1 | fisttp word [page0 + 64] | fnstenv [page0] | mov ebx, [page0 + 12]
        fld1 | fld1 | fcomi st0, st1 | fnstenv [page0] | mov ebx, [page0 + 12]
        mov dword [page0], 0x1f00 | ldmxcsr [page0] | xorps xmm0, xmm0 | mov eax, 1 | cvtsi2sd xmm1, eax | \
            mov dword [page0], 0x1d80 | ldmxcsr [page0] | divsd xmm1, xmm0
        mov dword [page0], 0x10000 | ldmxcsr [page0]
        mov ecx, 0x277 | mov eax, 2 | xor edx, edx | wrmsr
        mov ecx, 0x1b | rdmsr | mov ebx, eax | mov ecx, 0x12345678 | rdmsr
        mov ecx, 0xc0000103 | mov eax, 0x77 | xor edx, edx | wrmsr | rdtscp | mov ebx, ecx | rdpid rcx | \
            xor eax, eax | xor edx, edx
        mov ecx, 0x10 | mov eax, 5 | xor edx, edx | wrmsr | rdtsc
        rdpmc
        wbinvd | invd | mov ebx, 1
        mov eax, 7 | xor ecx, ecx | cpuid
        mov eax, 0x80000001 | cpuid
        monitor
        mwait
        rsm
        vmcall
        vmmcall
        vmxoff
        vmrun
        stgi
        clgi
        vmlaunch
        ud2
        db 0x0f, 0xff
        db 0xf0, 0x90
        """)

    private static let protection = ring0(
        """
        mov eax, absent | mov ds, eax
        mov eax, task | mov ds, eax
        mov eax, 0xfff8 | mov ds, eax
        mov eax, code0 | mov ss, eax
        xor eax, eax | mov ss, eax | mov ebx, ss | push rax | pop rcx
        mov eax, 1 | mov ss, eax
        mov eax, data3 | mov ss, eax
        mov eax, data3 | mov fs, eax | mov ebx, fs
        mov eax, local | lldt ax | mov eax, 0x14 | mov es, eax | mov eax, 0x1c | mov es, eax
        mov eax, data0 | lldt ax
        mov dword [gdt + local + 12], 0x1f00 | mov eax, local | lldt ax
        mov eax, task | ltr ax
        mov dword [gdt + task + 8], 0x8000 | and byte [gdt + task + 5], 0xfd | mov eax, task | ltr ax
        xor eax, eax | ltr ax
        mov ecx, task | lar eax, ecx | lsl ebx, ecx | setz dl
        mov ecx, gate3 | lar eax, ecx | lsl ebx, ecx | setz dl
        mov ecx, code0 | lar rax, rcx | lsl rbx, rcx | verr cx | setz dl | verw cx | setz dh
        sgdt [page0] | sidt [page0 + 16] | sldt ebx | str ecx | mov rdx, [page0 + 2] | mov rsi, [page0 + 18]
        mov ecx, badgate | lar eax, ecx | setz dl
        mov ecx, 0xc0000100 | mov eax, 0x1234 | mov edx, 5 | wrmsr | mov eax, data3 | mov fs, eax | rdfsbase rbx | \
            xor eax, eax | mov fs, eax | rdmsr
        \(set4(16))mov rax, 0x7ff012345678 | wrgsbase rax | swapgs | rdgsbase rbx | swapgs | rdgsbase rcx | \
            mov esi, data3 | mov gs, esi | rdgsbase rdx
        """)

    private static let transfers = open(
        """
        push code0 | push called | o64 retf
        push code3 | push called | o64 retf
        push data3 | push stack3 | push code3 | push .there | o64 retf | .there: mov ebx, cs | mov ecx, ss
        push compat3 | push .there | o64 retf | .there:
        push code32 | push .there | o64 retf | bits 32 | .there: mov eax, cs | mov ebx, ss | push eax | pop ecx | \
            mov edx, esp | int 0xff | bits 64
        push code32 | push .there | o64 retf | bits 32 | .there: mov eax, 0x40007000 | mov ebx, [eax] | int 0xff | \
            bits 64
        push code32 | push .there | o64 retf | bits 32 | .there: mov eax, cr0 | and eax, 0x7fffffff | mov cr0, eax | \
            mov ebx, 1 | mov ecx, cr4 | and ecx, ~0x20 | mov cr4, ecx | mov edx, 2 | or ecx, 0x20 | mov cr4, ecx | \
            or eax, 0x80000000 | mov cr0, eax | mov esi, 3 | int 0xff | bits 64
        push code32 | push .there | o64 retf | bits 32 | .there: mov eax, cr0 | and eax, 0x7fffffff | mov cr0, eax | \
            mov ecx, 0xc0000080 | rdmsr | mov ebx, eax | and eax, ~0x100 | wrmsr | rdmsr | mov esi, eax | \
            or eax, 0x100 | wrmsr | mov eax, cr0 | or eax, 0x80000000 | mov cr0, eax | rdmsr | int 0xff | bits 64
        push code16 | push .there | o64 retf | bits 16 | .there: mov ax, cs | int 0xff | bits 64
        push conforming | push .there | o64 retf | .there: mov eax, cs
        push absent | push called | o64 retf
        push local | push called | o64 retf
        mov dword [page0], called | mov word [page0 + 4], code0 | jmp far [page0]
        mov dword [page0], 0 | mov word [page0 + 4], gate3 | call far [page0]
        mov dword [page0], 0 | mov word [page0 + 4], gate3 | jmp far [page0]
        mov dword [page0], 0 | mov word [page0 + 4], badgate | call far [page0]
        mov qword [page0], called | mov word [page0 + 8], code0 | db 0x48, 0xff, 0x1c, 0x25 | dd page0
        pushfq | or dword [rsp], 0x4000 | popfq | iretq
        mov rbx, rsp | push 0 | push rbx | push 2 | push code0 | push .next | iretq | .next: mov ecx, ss
        push data3 | push stack3 | push 0x20002 | push code3 | push .next | iretq | .next: pushfq | pop rbx
        push data3 | push stack3 | push 0x3202 | push code3 | push .next | iretq | .next: cli | pushfq | pop rbx | \
            in al, 0x21
        push data3 | push stack3 | push 2 | push compat3 | push .next | iretq | bits 32 | .next: mov eax, cs | \
            mov ebx, ss | pushfd | pop ecx | int 0xff | bits 64
        mov rbx, rsp | push data0 | push rbx | push 0x102 | push code0 | push .next | iretq | .next: nop | nop
        push data3 | push stack3 | push 0x102 | push code3 | push .next | iretq | .next: nop | nop
        push data0 | push stack3 | push 2 | push code3 | push called | iretq
        push data3 | push stack3 | push 2 | push code3 | push page7 | iretq
        """)

    private static let systemCalls =
        open(
            """
            syscall
            sysenter
            mov ecx, .user | mov r11d, 0x247 | o64 sysret | .user: pushfq | pop rbx
            mov ecx, .user | mov r11d, 0x2 | sysret | bits 32 | .user: mov eax, cs | mov ebx, ss | int 0xff | bits 64
            mov edx, .user | mov ecx, stack3 | o64 sysexit | .user: mov eax, cs | mov ebx, ss
            mov ecx, 0x174 | xor eax, eax | xor edx, edx | wrmsr | sysenter
            mov ecx, 0x174 | xor eax, eax | xor edx, edx | wrmsr | mov edx, called | o64 sysexit
            mov ecx, 0xc0000084 | mov eax, 0xffffffff | xor edx, edx | wrmsr | stc | syscall
            pushfq | or dword [rsp], 0x100 | popfq | syscall | nop
            mov ecx, .user | mov r11d, 0x102 | o64 sysret | .user: nop | nop
            """)
        + ring3(
            """
            syscall
            sysenter
            stc | std | syscall
            o64 sysret
            o64 sysexit
            swapgs
            int 0x80
            int 0x81
            int 0x82
            int 0x20
            int3
            db 0xf1
            mov dword [page0], 0 | mov word [page0 + 4], gate3 | call far [page0]
            pushfq | or dword [rsp], 0x100 | popfq | syscall | nop
            mov rsp, 0x1234567812345678 | syscall
            mov rsp, 0x1234567812345678 | int 0x80
            mov esp, page7 | int 0x80
            mov esp, page7 | syscall
            """)

    private static let debugging = ring0(
        """
        \(watch("page0", "0xd0402"))mov [page0 + 2], ax | mov [page0 + 4], eax | nop
        \(watch("page0", "0xb0402"))mov rbx, [page0 + 4] | nop | nop
        \(watch("page0", "0x90402"))mov [page0 + 7], al | nop | nop
        \(watch(".here", "0x402"))nop | .here: nop | nop
        \(watch("0x80", "0x20402"))\(set4(3))out 0x80, al | nop | nop
        \(watch("0x80", "0x20402"))out 0x80, al | nop | mov ebx, 5
        \(watch("page0", "0xf0402"))mov esi, page0 | mov edi, page7 | movsd | nop
        \(watch("page0", "0xf0402"))push qword [page0] | nop | nop
        \(watch("page0", "0xf0402"))mov esp, page7 + 64 | push qword [page0]
        \(watch("page0 + 8", "0xf0402"))mov esi, page0 | mov edi, page1 | mov ecx, 5 | rep movsd | nop
        \(watch("gdt + absent", "0xf0402"))mov eax, absent | mov es, eax
        \(watch("gdt + 0x18", "0xf0402"))mov eax, data3 | mov es, eax | nop | nop
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | nop | nop
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | mov rax, [page7]
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | syscall | nop
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | int 0x80
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | mov eax, 0 | cpuid | nop
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | cpuid | nop
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | mov rbx, cr3 | nop
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | in al, 0x21 | nop
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | mov ebx, [page1] | nop
        mov word [page0], data0 | \(watch("page0", "0xf0402"))mov ss, [page0] | ud2
        \(step)nop | nop
        \(step)mov rax, cr3 | nop
        \(step)cpuid | nop
        \(step)in al, 0x21 | nop
        \(step)mov eax, data0 | nop
        \(step)mov ss, ebp | nop
        mov ebp, data0 | \(step)mov ss, ebp | nop | nop
        mov ebp, data0 | \(step)mov ss, ebp | cpuid | nop
        \(step)int 0x80
        \(step)int3
        \(step)ud2
        \(step)mov rax, [page7]
        \(step)call .next | .next: nop
        \(step)mov ecx, 3 | mov esi, page0 | mov edi, page1 | rep movsb | nop
        \(step)pushfq | pop rbx
        \(step)popfq
        \(step)hlt
        mov ecx, 3 | mov esi, page0 | mov edi, page1 | \(step)rep movsb | nop
        mov ecx, 0x1b | \(step)rdmsr | nop
        mov ecx, 0xc0000102 | \(step)rdmsr | nop
        xor eax, eax | xor ecx, ecx | \(step)vmcall | nop
        mov eax, 0x2400 | mov dr7, rax | mov rbx, dr6
        mov eax, 0x2400 | mov dr7, rax | mov dr0, rbx
        \(set4(3))mov rbx, dr4
        mov rbx, dr5 | mov rcx, dr4
        mov eax, 0xffff | mov dr6, rax | mov rbx, dr6 | mov eax, 0x55 | mov dr7, rax | mov rcx, dr7
        \(watch("page0", "0xd0402"))mov rax, cr3 | mov cr3, rax | mov [page0], eax | mov rbx, cr3 | nop
        \(watch("page8", "0xd0402"))xor dword [page8 + 8], 0x1000 | nop | nop
        \(watch("table + 8", "0xd0402"))mov ebx, [page1] | nop | mov ecx, 2
        \(watch("stack0 - 16", "0xd0402"))mov esp, stack0 | push rax | push rbx | nop | nop
        \(watch("stack0 - 32", "0xd0402"))mov esp, stack0 | int 0x80
        \(watch("idt + 0x800", "0xf0402"))int 0x80
        \(watch("stub128", "0x402"))int 0x80
        mov eax, .here | mov dr1, rax | mov eax, 0x408 | mov dr7, rax | mov rbx, rsp | push data0 | push rbx | \
            push 0x10002 | push code0 | push .here | iretq | .here: nop | inc ecx | cmp ecx, 3 | jb .here
        """)

    private static let stacks = open(
        """
        mov esp, page0 + 64 | push rax | push word 5 | push 0x1234 | push -1 | mov rbx, [page0 + 46] | mov rcx, rsp
        mov esp, page0 + 64 | enter 16, 3 | mov rbx, rbp | mov rcx, rsp | leave | mov rdx, rsp
        mov ebp, page7 + 16 | mov esp, page1 + 32 | enter 8, 2
        mov esp, page1 + 16 | pushfq | popf | mov rbx, rsp
        mov esp, page1 + 5 | push rax | mov rbx, rsp | int 0x80
        mov esp, page6 + 4095 | mov byte [rsp], 7 | pop ax | mov ebx, 5
        mov esp, page6 + 4 | push rax | mov ebx, 6
        mov qword [state + 4], page7 | push data3 | push stack3 | push 2 | push code3 | push .u | iretq | \
            .u: int 0x80
        mov rax, 0x1234567812345678 | mov [state + 4], rax | push data3 | push stack3 | push 2 | push code3 | \
            push .u | iretq | .u: int 0x80
        mov esp, page7 + 16 | int 0x80
        mov word [.p], 0x8f | mov qword [.p + 2], idt | lidt [.p] | int 0x80 | .p: dd 0, 0, 0
        mov byte [idt + 13 * 16 + 5], 0 | mov [page7], eax | mov rax, 0x1234567812345678 | mov [rax], eax
        mov word [idt + 13 * 16 + 2], absent | mov rax, 0x1234567812345678 | mov [rax], eax
        mov dword [idt + 0x80 * 16 + 8], 0x12345678 | int 0x80
        mov byte [idt + 0x80 * 16 + 4], 1 | int 0x80
        mov byte [idt + 0x80 * 16 + 4], 3 | int 0x80
        mov byte [idt + 14 * 16 + 4], 1 | mov eax, [page7]
        mov word [idt + 0x80 * 16 + 2], code32 | int 0x80
        mov word [idt + 0x80 * 16 + 2], code3 | int 0x80
        mov word [idt + 0x80 * 16 + 2], conforming | int 0x80
        mov byte [idt + 0x80 * 16 + 5], 0xec | int 0x80
        mov byte [idt + 0x80 * 16 + 5], 0xe5 | int 0x80
        mov word [idt + 0x80 * 16 + 2], 0 | int 0x80
        mov dword [state + 0x24], page7 | mov byte [idt + 14 * 16 + 4], 1 | mov byte [idt + 8 * 16 + 4], 2 | \
            mov eax, [page7]
        """)

    private static let interrupts = open(
        """
        \(sendToSelf("0x4400"))nop | nop
        cli | \(sendToSelf("0x4400"))inc ecx | hlt
        \(sendToSelf("0x44060"))nop | sti | nop | nop | nop
        \(sendToSelf("0x44060"))mov eax, data0 | sti | mov ss, eax | inc ecx | inc ecx | inc ecx
        \(sendToSelf("0x44060"))pushfq | or dword [rsp], 0x200 | popfq | inc ecx | inc ecx
        \(sendToSelf("0x44060"))sti | hlt
        \(sendToSelf("0x44060"))mov eax, 7 | mov cr8, rax | sti | nop | nop | xor eax, eax | mov cr8, rax | \
            inc ecx | inc ecx
        \(sendToSelf("0x44060"))mov rbx, rsp | push data0 | push rbx | push 0x202 | push code0 | push .n | iretq | \
            .n: inc ecx | inc ecx
        \(sendToSelf("0x44060"))push data3 | push stack3 | push 0x202 | push code3 | push .n | iretq | .n: inc ecx | \
            inc ecx
        // In the handler of a non-maskable interrupt another one waits for IRET, also for that of a fault.
        \(handler(2, ".nmi"))\(sendToSelf("0x4400"))inc edx | inc edx | jmp .end | .nmi: inc ecx | cmp ecx, 2 | \
            jae .back | mov dword [rbx + 0x300], 0x4400 | inc esi | inc esi | .back: iretq | .end:
        \(handler(2, ".nmi"))\(handler(3, ".bp"))mov byte [idt + 2 * 16 + 4], 0 | \(sendToSelf("0x4400"))inc edx | \
            inc edx | jmp .end | .nmi: inc ecx | cmp ecx, 2 | jae .back | mov dword [rbx + 0x300], 0x4400 | int3 | \
            inc esi | .back: iretq | .bp: mov edi, ecx | iretq | .end:
        \(handler(2, ".nmi"))mov byte [idt + 2 * 16 + 4], 0 | \(sendToSelf("0x4400"))inc edx | jmp .end | \
            .nmi: mov dword [rbx + 0x300], 0x4400 | mov eax, [page7] | iretq | .end:
        \(handler(2, ".nmi"))mov ebp, data0 | \(sendToSelf("0x4400"))mov ss, ebp | inc edx | cpuid | jmp .end | \
            .nmi: mov rcx, [rsp] | iretq | .end:
        // The timer of the local APIC.
        \(handler(80, ".tick"))mov ebx, apic | mov dword [rbx + 0xf0], 0x1ff | mov dword [rbx + 0x3e0], 0xb | \
            mov dword [rbx + 0x320], 0x20050 | mov dword [rbx + 0x380], 700 | sti | .w: inc rdi | cmp ecx, 5 | \
            jb .w | cli | mov dword [rbx + 0x320], 0x10000 | jmp .end | .tick: inc ecx | add esi, [rbx + 0x390] | \
            mov dword [rbx + 0xb0], 0 | iretq | .end:
        \(handler(80, ".tick"))mov ebx, apic | mov dword [rbx + 0xf0], 0x1ff | mov dword [rbx + 0x3e0], 0xb | \
            mov dword [rbx + 0x320], 0x50 | mov dword [rbx + 0x380], 3000 | sti | hlt | cli | inc edi | jmp .end | \
            .tick: inc ecx | mov rsi, [rsp] | mov dword [rbx + 0xb0], 0 | iretq | .end: rdtsc
        """)

    private static let changes = ring0(
        """
        mov dword [page0], 0xc3c3c0ff | mov eax, page0 | mov ecx, page3 | xor esi, esi | call rax | call rcx | \
            mov dword [rax], 0xc3c6ff48 | call rcx | call rcx | mov byte [rcx + 2], 0xce | call rax
        mov ecx, 4 | .a: inc byte [.b + 1] | .b: mov al, 7 | add ebx, eax | dec ecx | jnz .a
        mov byte [.c], 0xf8 | .c: nop | mov ebx, 1
        mov eax, .d | mov ecx, 3 | .e: mov dword [rax], 0x90c3ff48 | .d: nop | nop | nop | nop | \
            mov dword [rax], 0x90909090 | loop .e
        mov esi, .f | mov edi, .g | mov ecx, .g - .f | rep movsb | jmp .g | .f: inc ebx | inc ebx | nop | .g: nop | \
            nop | nop | nop | nop | nop | mov ecx, 3
        mov byte [page0 + 4095], 0xb8 | mov dword [page1], 0x11223344 | mov byte [page1 + 4], 0xc3 | \
            mov ecx, page0 + 4095 | call rcx | mov ebx, eax | inc dword [page1] | call rcx | mov edx, eax | \
            xor dword [table + 8], 0x3000 | mov dword [page2], 5 | mov byte [page2 + 4], 0xc3 | invlpg [page1] | \
            call rcx
        mov dword [table + 0x800], 0xc3c3c0ff | mov eax, page8 + 0x800 | call rax | mov ebx, [table + 64] | \
            and dword [table + 64], ~0x60 | call rax | mov ecx, [table + 64]
        push rsp | pop rbx | mov esp, .h + 8 | push 0x90 | mov rsp, rbx | jmp .h | align 8 | .h: ud2 | nop | nop | \
            nop | nop | nop | nop | mov ecx, 4
        cli | mov ecx, 6 | .i: xor byte [.j], 1 | pushfq | pop rdx | add ebx, edx | .j: db 0xfa | loop .i | cli
        mov ecx, 40 | .k: call .l | xor byte [.l + 1], 0x08 | loop .k | jmp .m | .l: add eax, ebx | add ebx, 3 | \
            ret | .m:
        mov eax, .n | mov ecx, 30 | .o: call rax | add byte [.n + 2], 1 | loop .o | jmp .p | .n: add ebx, 1 | ret | \
            .p:
        """)

    private static let user = ring3(
        """
        mov rax, [page5]
        mov [page4], eax
        mov [page5], eax
        mov rax, [page7]
        mov eax, page5 | jmp rax
        mov eax, page7 | jmp rax
        mov rax, [gdt] | mov rbx, [idt]
        mov eax, data3 | mov ss, eax | mov ebx, 3
        xor eax, eax | mov ss, eax
        mov eax, data0 | mov ds, eax
        cli
        sti
        hlt
        in al, 0x80
        in al, 0x81 | xor eax, eax
        out 0x80, al
        mov rax, cr0
        mov rax, dr0
        mov cr3, rax
        lgdt [page0]
        lidt [page0]
        lldt ax
        ltr ax
        clts
        invd
        wbinvd
        invlpg [page0]
        rdmsr
        wrmsr
        xsetbv
        swapgs
        vmcall
        vmmcall
        vmrun
        stgi
        mov eax, 1 | cpuid
        rdtsc | xor eax, eax | xor edx, edx
        rdpmc
        pushfq | pop rbx | or ebx, 0x3200 | push rbx | popfq | pushfq | pop rcx
        stac
        invpcid rax, [page0]
        mov rax, cr8
        lmsw ax
        iretq
        pushfq | or dword [rsp], 0x100 | popfq | mov eax, 5 | mov ebx, 6
        push code3 | push .a | o64 retf | .a: mov ebx, 5
        push compat3 | push .a | o64 retf | bits 32 | .a: mov ebx, cs | mov ecx, 5 | int 0xff | bits 64
        push code0 | push .a | o64 retf | .a:
        mov rax, 0x8000000000000000 | jmp rax
        mov rax, 0x8000000000000000 | call rax
        mov rsp, 0x8000000000000000 | push rax
        pushfq | or dword [rsp], 0x100 | popfq | nop | nop
        mov ebx, cs | mov ecx, ss | mov edx, ds | mov esi, fs
        div ecx
        mov eax, 1 | mov edi, page5 | rep stosb | mov ecx, 3 | rep stosb
        mov byte [page0], 0xc3 | mov eax, page0 | call rax | mov byte [page3], 0x90 | call rax
        pushfq | or dword [rsp], 0x40000 | popfq | mov ebx, [page0 + 1]
        wrfsbase rax
        db 0xf1
        fld1 | fstp qword [page0] | mov rbx, [page0]
        mov eax, page0 | lock xadd [rax], rbx | lock not dword [page5]
        monitor
        sldt [page7]
        """)

    private static let compatibility = probes(
        .compatibility,
        """
        mov eax, cs | mov ebx, ss | push eax | pushfd | pop ecx | mov edx, esp
        syscall
        sysenter
        int 0x80
        int3
        into
        mov al, 0x7f | add al, 1 | into
        mov eax, [page7]
        mov [page4], eax
        mov [page5], ecx
        jmp code3:.a | bits 64 | .a: mov rax, cs | mov ebx, 7 | bits 32 | ud2
        call gate3:0
        call task:0
        mov eax, 0xffffffff | mov ebx, [eax]
        mov eax, 0xfffffff0 | jmp eax
        push ds | pop es | push es | pop eax
        pushad | popad | mov ebx, esp
        aaa | daa | aas | mov ebx, eax
        arpl ax, bx
        bound eax, [page0]
        les eax, [page0]
        mov eax, data3 | mov fs, ax | mov ebx, fs:[page0]
        lahf | mov ebx, eax
        hlt
        cli
        in al, 0x80
        xor eax, eax | cpuid
        inc eax | dec ebx
        push 0x12345678 | pop eax | push ax | pop bx
        retf
        iretd
        mov ax, absent | mov es, ax
        mov eax, compat3 | push eax | push .b | retf | .b: mov ecx, 5
        jmp page5
        jmp page7
        fld1 | fnstenv [page0] | mov ebx, [page0 + 16]
        pushfd | or dword [esp], 0x100 | popfd | nop | nop
        ud2
        vmcall
        mov eax, cr0
        sgdt [page7]
        enter 16, 2 | leave | mov ebx, esp
        loop .c | .c: jecxz .d | .d: mov ebx, ecx
        """)
}
