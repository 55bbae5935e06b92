import Testing
import X86

/// A program for Linux that runs a guest of its own by /dev/kvm, and writes what the guest says at port 0xE9.
///
/// The program follows Linux's Documentation/virt/kvm/api.rst; its exit status is 0 when the guest has halted, else the
/// number of the call that failed. The guest begins in real mode, goes to 64-bit mode, adds, meets #UD and #PF in
/// handlers of its own, asks CPUID, and halts.
struct KVMClient {
    /// An ELF executable without libraries.
    let executable: [UInt8]
    /// What the guest says: its modes, the sum of 1...1000, its faults, and CPUID's answer.
    static let output = "RL500500UPC"

    private static let base = 0x40_0000
    private static let codeOffset = 0x1000
    private static let guestOffset = 0x2000

    init() throws {
        let client = try Assembler(mode: .bits64, origin: UInt64(Self.base + Self.codeOffset)).assemble(
            Self.client(guest: Self.base + Self.guestOffset)
        ).bytes
        var image = Self.header(size: Self.guestOffset + Self.guestSize)
        image += [UInt8](repeating: 0, count: Self.codeOffset - image.count) + client
        image += [UInt8](repeating: 0, count: Self.guestOffset - image.count) + (try Self.guest())
        executable = image
    }

    /// The ELF header and one segment that is all of the file (System V ABI, ELF-64).
    private static func header(size: Int) -> [UInt8] {
        var bytes: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        func put(_ value: Int, _ size: Int) { for byte in 0..<size { bytes.append(UInt8(value >> (8 * byte) & 0xFF)) } }
        for (value, size) in [(2, 2), (62, 2), (1, 4), (base + codeOffset, 8), (64, 8), (0, 8), (0, 4)] {
            put(value, size)
        }
        for half in [64, 56, 1, 0, 0, 0] { put(half, 2) }
        put(1, 4)
        put(7, 4)
        for value in [0, base, base, size, size + 0x1_0000, 0x1000] { put(value, 8) }
        return bytes
    }

    private static func client(guest: Int) -> String {
        """
        start:
            mov eax, 2                  // open
            lea rdi, [rel device]
            mov esi, 2
            xor edx, edx
            call system
            mov r12d, eax
            mov edi, r12d
            mov esi, 0xAE00             // KVM_GET_API_VERSION
            call control
            mov edi, r12d
            mov esi, 0xAE01             // KVM_CREATE_VM
            call control
            mov r13d, eax
            mov edi, r13d
            mov esi, 0xAE47             // KVM_SET_TSS_ADDR
            mov edx, 0xFFFBD000
            call controlWith
            mov edi, r13d
            mov esi, 0x4020AE46         // KVM_SET_USER_MEMORY_REGION
            lea rdx, [rel region]
            call controlWith
            mov edi, r13d
            mov esi, 0xAE41             // KVM_CREATE_VCPU
            call control
            mov r14d, eax
            mov edi, r12d
            mov esi, 0xC008AE05         // KVM_GET_SUPPORTED_CPUID
            lea rdx, [rel leaves]
            call controlWith
            mov edi, r14d
            mov esi, 0x4008AE90         // KVM_SET_CPUID2
            lea rdx, [rel leaves]
            call controlWith
            mov edi, r12d
            mov esi, 0xAE04             // KVM_GET_VCPU_MMAP_SIZE
            call control
            mov esi, eax
            mov eax, 9                  // mmap
            xor edi, edi
            mov edx, 3
            mov r10d, 1
            mov r8d, r14d
            xor r9d, r9d
            call system
            mov rbx, rax
            mov edi, r14d
            mov esi, 0x8138AE83         // KVM_GET_SREGS
            lea rdx, [rel segments]
            call controlWith
            mov qword [rel segments], 0         // CS: base
            mov word [rel segments + 12], 0     // CS: selector
            mov edi, r14d
            mov esi, 0x4138AE84         // KVM_SET_SREGS
            lea rdx, [rel segments]
            call controlWith
            mov edi, r14d
            mov esi, 0x4090AE82         // KVM_SET_REGS
            lea rdx, [rel registers]
            call controlWith
        again:
            mov edi, r14d
            mov esi, 0xAE80             // KVM_RUN
            call control
            mov eax, [rbx + 8]          // exit_reason
            cmp eax, 5                  // KVM_EXIT_HLT
            je halted
            inc r15d
            cmp eax, 2                  // KVM_EXIT_IO
            jne failed
            dec r15d
            dec r15d
            mov rsi, rbx
            add rsi, [rbx + 40]         // io.data_offset
            mov eax, 1                  // write
            mov edi, 1
            mov edx, 1
            syscall
            jmp again
        halted:
            xor edi, edi
            jmp leave
        failed:
            mov edi, r15d
        leave:
            mov eax, 60                 // exit
            syscall
        control:
            xor edx, edx
        controlWith:
            mov eax, 16                 // ioctl
        system:
            inc r15d
            syscall
            test rax, rax
            js failed
            ret
        device: db "/dev/kvm", 0
            align 8
        region:
            dd 0, 0                     // slot, flags
            dq 0, \(guestSize), \(guest)
        registers:
            times 16 dq 0
            dq 0x1000, 2                // RIP, RFLAGS
        segments equ \(guest + guestSize)
        leaves: dd 64, 0
            times 320 dq 0
        """
    }

    private static let guestSize = 0x1_0000

    /// The guest's memory from address 0.
    private static func guest() throws -> [UInt8] {
        var memory = [UInt8](repeating: 0, count: guestSize)
        func put(_ bytes: [UInt8], _ address: Int) {
            memory.replaceSubrange(address..<address + bytes.count, with: bytes)
        }
        func putQuadwords(_ quadwords: [UInt64], _ address: Int) {
            put(quadwords.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }, address)
        }
        put(try Assembler(mode: .bits16, origin: 0x1000).assemble(realMode).bytes, 0x1000)
        let code = try Assembler(mode: .bits64, origin: 0x2000).assemble(longMode)
        put(code.bytes, 0x2000)
        putQuadwords([0, 0x0020_9A00_0000_0000, 0x0000_9200_0000_0000], 0x3000)
        put([23, 0, 0x00, 0x30, 0, 0], 0x3020)
        put([0xFF, 0, 0x00, 0x31, 0, 0, 0, 0, 0, 0], 0x3030)
        // Interrupt gates; the handlers lie below 64 KiB.
        for (vector, label) in [(6, "undefined"), (14, "pageFault")] {
            let handler = try #require(code.labels[label])
            putQuadwords([handler | 0x8E00_0008_0000, 0], 0x3100 + 16 * vector)
        }
        // One page of 2 MiB; what lies above it is not there.
        putQuadwords([0x5003], 0x4000)
        putQuadwords([0x6003], 0x5000)
        putQuadwords([0x83], 0x6000)
        return memory
    }

    private static let realMode = """
            mov al, 'R'
            out 0xE9, al
            lgdt [0x3020]
            mov eax, cr4
            or eax, 0x20                // PAE
            mov cr4, eax
            mov eax, 0x4000
            mov cr3, eax
            mov ecx, 0xC0000080         // IA32_EFER.LME
            rdmsr
            or eax, 0x100
            wrmsr
            mov eax, cr0
            or eax, 0x80000001          // PG, PE
            mov cr0, eax
            jmp 0x08:0x2000
        """

    private static let longMode = """
            mov al, 'L'
            out 0xE9, al
            mov eax, 0x10
            mov ss, eax
            mov esp, 0x9000
            lidt [0x3030]
            xor eax, eax
            mov ecx, 1000
        sum:
            add rax, rcx
            loop sum
            mov ebx, 10
            xor ecx, ecx
        digit:
            xor edx, edx
            div rbx
            push rdx
            inc ecx
            test eax, eax
            jnz digit
        say:
            pop rax
            add al, '0'
            out 0xE9, al
            loop say
            ud2
            mov edi, 0x200000
            mov [rdi], al
            xor eax, eax
            cpuid
            test eax, eax
            jz stop
            mov al, 'C'
            out 0xE9, al
        stop:
            mov al, 10
            out 0xE9, al
            hlt
        undefined:
            add qword [rsp], 2
            mov al, 'U'
            out 0xE9, al
            iretq
        pageFault:
            add rsp, 8
            add qword [rsp], 2
            mov al, 'P'
            out 0xE9, al
            iretq
        """
}
