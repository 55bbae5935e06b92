/// A small type-1 hypervisor for the bare machine in long mode.
///
/// It enters VMX operation by what the capability MSRs say, gives its guest 256 KiB of memory page by page as EPT
/// violations ask for it, answers CPUID itself, and lets bytes for port E9H through. The guest is a boot sector in real
/// mode.
enum AssemblyHypervisor {
    /// Where the boot sector lies: guest-physical 7C00H.
    static let bootSector: UInt64 = guestMemory + 0x7C00
    static let guestMemory: UInt64 = 0x20_0000

    static let guest = """
        bits 16
        start:
            xor ax, ax
            mov ds, ax
            mov ss, ax
            mov sp, 0x7c00
            mov si, 0x7c00 + hello - start
            call print
            xor eax, eax
            cpuid
            mov di, 0x2000
            mov es, di
            mov [es:0x500], ebx
            mov [0x504], edx
            mov [0x508], ecx
            mov byte [0x50c], 0
            mov [0x500], ebx
            mov si, 0x500
            call print
            hlt
        print:
            lodsb
            test al, al
            jz printed
            out 0xe9, al
            jmp print
        printed:
            ret
        hello: db "guest of ", 0
        """

    static let source = """
        bits 64
        vmxon_region equ 0x40000
        vmcs_region equ 0x41000
        ept equ 0x50000
        guest_memory equ 0x200000
        guest_pages equ 64

        start:
            mov ecx, 0x3a               // IA32_FEATURE_CONTROL
            rdmsr
            test al, 1
            jnz locked
            or al, 5
            wrmsr
        locked:
            mov rax, cr0
            bts rax, 5                  // NE
            mov cr0, rax
            mov rax, cr4
            bts rax, 13                 // VMXE
            mov cr4, rax
            mov ecx, 0x480              // IA32_VMX_BASIC
            rdmsr
            mov [vmxon_region], eax
            mov [vmcs_region], eax
            vmxon [rel vmxon_pointer]
            jbe failed
            vmclear [rel vmcs_pointer]
            jbe failed
            vmptrld [rel vmcs_pointer]
            jbe failed

            mov qword [ept], ept + 0x1000 + 7
            mov qword [ept + 0x1000], ept + 0x2000 + 7
            mov qword [ept + 0x2000], ept + 0x3000 + 7

            lea rsi, [rel controls]
        next_control:
            mov ecx, [rsi]
            jecxz controls_done
            rdmsr
            mov ebx, [rsi + 8]
            or ebx, eax
            and ebx, edx
            mov edi, [rsi + 4]
            vmwrite rdi, rbx
            jbe failed
            add rsi, 12
            jmp next_control
        controls_done:

            lea rsi, [rel fields]
        next_field:
            mov edi, [rsi]
            cmp edi, -1
            je fields_done
            mov rbx, [rsi + 4]
            vmwrite rdi, rbx
            jbe failed
            add rsi, 12
            jmp next_field
        fields_done:
            mov edi, 0x6c00             // host CR0, CR3, CR4
            mov rbx, cr0
            vmwrite rdi, rbx
            mov edi, 0x6c02
            mov rbx, cr3
            vmwrite rdi, rbx
            mov edi, 0x6c04
            mov rbx, cr4
            vmwrite rdi, rbx
            sub rsp, 16
            sgdt [rsp]
            mov rbx, [rsp + 2]
            mov edi, 0x6c0c
            vmwrite rdi, rbx
            sidt [rsp]
            mov rbx, [rsp + 2]
            mov edi, 0x6c0e
            vmwrite rdi, rbx
            add rsp, 16
            xor ebx, ebx
            mov bx, cs
            mov edi, 0x0c02
            vmwrite rdi, rbx
            mov bx, ss
            mov edi, 0x0c04
            vmwrite rdi, rbx
            str bx
            mov edi, 0x0c0c
            vmwrite rdi, rbx
            mov edi, 0x6c14             // host RSP and RIP
            vmwrite rdi, rsp
            lea rbx, [rel left]
            mov edi, 0x6c16
            vmwrite rdi, rbx
            vmlaunch
        failed:
            mov al, '!'
            out 0xe9, al
            hlt

        left:
            push rax
            push rcx
            push rdx
            push rbx
            push rsi
            push rdi
            mov edi, 0x4402
            vmread rsi, rdi
            cmp esi, 10
            je on_cpuid
            cmp esi, 12
            je on_hlt
            cmp esi, 30
            je on_io
            cmp esi, 48
            je on_violation
            jmp failed
        on_cpuid:                       // "tiny monitor"
            mov dword [rsp + 16], 0x796e6974
            mov dword [rsp + 24], 0x6e6f6d20
            mov dword [rsp + 32], 0x726f7469
            jmp advance
        on_io:
            mov edi, 0x6400
            vmread rsi, rdi
            shr esi, 16
            cmp esi, 0xe9
            jne failed
            mov rax, [rsp + 40]
            out 0xe9, al
        advance:
            mov edi, 0x440c
            vmread rsi, rdi
            mov edi, 0x681e
            vmread rbx, rdi
            add rbx, rsi
            vmwrite rdi, rbx
            jmp resume
        on_violation:
            mov edi, 0x2400
            vmread rsi, rdi
            shr rsi, 12
            cmp rsi, guest_pages
            jae failed
            mov rbx, rsi
            shl rbx, 12
            add rbx, guest_memory + 0x37
            mov [rsi * 8 + ept + 0x3000], rbx
            inc dword [rel violations]
        resume:
            pop rdi
            pop rsi
            pop rbx
            pop rdx
            pop rcx
            pop rax
            vmresume
            jmp failed
        on_hlt:
            vmxoff
            mov al, '.'
            out 0xe9, al
            mov eax, [rel violations]
            hlt

        align 8
        vmxon_pointer: dq vmxon_region
        vmcs_pointer: dq vmcs_region
        violations: dd 0

        // capability MSR, field, controls wanted
        controls:
            dd 0x48d, 0x4000, 0
            dd 0x48e, 0x4002, 0x81000080    // HLT exiting, unconditional I/O exiting, secondary controls
            dd 0x48b, 0x401e, 0x82          // EPT, unrestricted guest
            dd 0x48f, 0x400c, 0x200         // 64-bit host
            dd 0x490, 0x4012, 0
            dd 0

        fields:
            dd 0x201a
            dq ept + 0x1e                   // four levels, write-back
            dd 0x2800
            dq -1
            dd 0x6c0a                       // host TR.base
            dq 0x3000
            dd 0x6800                       // guest CR0: NE and ET alone
            dq 0x30
            dd 0x6804                       // guest CR4: VMXE
            dq 0x2000
            dd 0x681e
            dq 0x7c00
            dd 0x6820
            dq 2
            dd 0x681a
            dq 0x400
            dd 0x4800
            dq 0xffff
            dd 0x4802
            dq 0xffff
            dd 0x4804
            dq 0xffff
            dd 0x4806
            dq 0xffff
            dd 0x4808
            dq 0xffff
            dd 0x480a
            dq 0xffff
            dd 0x480e
            dq 0xffff
            dd 0x4812
            dq 0x3ff
            dd 0x4814
            dq 0x93
            dd 0x4816
            dq 0x9b
            dd 0x4818
            dq 0x93
            dd 0x481a
            dq 0x93
            dd 0x481c
            dq 0x93
            dd 0x481e
            dq 0x93
            dd 0x4820                       // LDTR is unusable
            dq 0x10000
            dd 0x4822
            dq 0x8b
            dd -1
        """
}
