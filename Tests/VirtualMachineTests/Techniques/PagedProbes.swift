/// Probes of paging in 32-bit protected mode, with tables of two and of three levels.
///
/// Memory below 8 MiB is mapped one to one, with or without the user bit. At 40000000H there is a playground of pages:
/// 0, 1 and 2 can be written, 3 is the frame of page 0 once more, 4 is read-only, 5 a supervisor's, 6 a user's, 7 is
/// not there, and 8 is the page table itself.
enum PagedProbes {
    typealias Probe = ProbeProgram.Probe

    static let all: [Probe] = common.flatMap { code in [twoLevels(code), threeLevels(code)] } + two + three + user

    /// The linear address of a page of the playground.
    private static let names = (0..<9).map { "page\($0) equ 0x\(String(0x4000_0000 + $0 << 12, radix: 16))" }

    static let equates = (names + ["table equ 0x201000", "directory equ 0x200000", "pointers equ 0x208000"])
        .joined(separator: "\n")

    private static let frames: [(frame: Int, bits: Int)] = [
        (0x30_0000, 7), (0x30_1000, 7), (0x30_2000, 7), (0x30_0000, 7), (0x30_4000, 5), (0x30_5000, 3), (0x30_6000, 7),
        (0x30_7000, 6), (0x20_1000, 7),
    ]

    private static func entries(width: Int) -> String {
        frames.enumerated().map { "mov dword [table + \($0.offset * width)], \($0.element.frame | $0.element.bits)" }
            .joined(separator: "\n")
    }

    private static let clear = "mov edi, directory\nxor eax, eax\nmov ecx, 0x2800\nrep stosd\n"
    private static let turnOn = "mov eax, cr0\nor eax, 0x80000000\nmov cr0, eax\n"

    private static func twoLevels(_ code: String, low: Int = 0x87) -> Probe {
        Probe(
            level: .ring0,
            code: """
                \(clear)
                mov dword [directory], \(low)
                mov dword [directory + 4], \(low | 0x40_0000)
                mov dword [directory + 256 * 4], table + 7
                \(entries(width: 4))
                mov eax, cr4
                or eax, 0x90
                mov cr4, eax
                mov eax, directory
                mov cr3, eax
                \(turnOn)\(code)
                """)
    }

    private static func threeLevels(_ code: String, low: Int = 0x87, noExecute: Bool = true) -> Probe {
        Probe(
            level: .ring0,
            code: """
                \(clear)
                mov dword [pointers], 0x202001
                mov dword [pointers + 8], directory + 1
                mov dword [0x202000], \(low)
                mov dword [0x202008], \(low | 0x20_0000)
                mov dword [0x202010], \(low | 0x40_0000)
                mov dword [directory], table + 7
                \(entries(width: 8))
                mov ecx, 0xc0000080
                rdmsr
                \(noExecute ? "or eax, 0x800" : "and eax, ~0x800")
                wrmsr
                mov eax, cr4
                or eax, 0xa0
                mov cr4, eax
                mov eax, pointers
                mov cr3, eax
                \(turnOn)\(code)
                """)
    }

    /// What two and three levels have in common.
    private static let common: [String] = ProbeText.lines(
        """
        // Accessed and dirty flags, and those of what leads there.
        mov ebx, [page0] | mov ecx, [table] | mov [page1], ebx | mov edx, [table + 4] | mov esi, [table + 8] | \
            mov edi, [directory]
        mov eax, 5 | lock add [page0 + 4], eax | mov ecx, [table] | mov ebx, [page3 + 4]
        mov [page4], eax
        \(or0("0x10000"))mov [page4], eax
        mov eax, 1 | mov ebx, [page4] | lock cmpxchg [page4], ecx | mov edx, [page4]
        \(or0("0x10000"))mov eax, 1 | lock cmpxchg [page4], ecx
        mov eax, [page7]
        mov [page7 + 8], eax
        call page7
        push dword [page7]
        mov eax, [page6 + 4094]
        mov [page6 + 4094], eax
        mov dword [page6 + 4092], 9 | mov eax, 5 | xadd [page6 + 4093], eax
        mov esi, page0 | mov edi, page6 + 4080 | mov ecx, 9 | rep movsd
        mov esi, page6 + 4092 | mov edi, page0 | mov ecx, 9 | std | rep movsd | cld
        mov edi, page7 + 12 | mov ecx, 9 | std | rep stosd
        mov esp, page6 + 8 | pop eax | mov esp, stack0
        mov ebp, esp | mov esp, page1 + 16 | pusha | mov ebx, esp | mov esp, ebp
        mov ebp, page6 + 4094 | mov dword [page6 + 4090], 3 | mov eax, [ebp - 4] | fnsave [page6 + 4000]
        fninit | fnstenv [page6 + 4080]
        fxsave [page6 + 3584] | fxsave [page6 + 3600]
        // Code at two addresses, changed by way of the other one.
        mov dword [page0], 0xc3c3c340 | call page0 | mov ebx, eax | call page3 | mov byte [page3], 0x48 | \
            call page0 | call page0 | mov byte [page0], 0x90 | call page3
        // Code in the page table itself, whose accessed flag its execution sets.
        mov dword [table + 0x800], 0xc3c3c340 | call page8 + 0x800 | mov ebx, [table] | and dword [table], ~0x20 | \
            call page8 + 0x800
        // Code across two pages, the second of which comes and goes.
        mov byte [page6 + 4095], 0xb8 | jmp page6 + 4095
        mov byte [page0 + 4095], 0xb8 | mov dword [page1], 0x11223344 | mov byte [page1 + 4], 0xc3 | \
            call page0 + 4095 | mov ebx, eax | inc dword [page1] | call page0 + 4095 | mov ecx, eax | \
            mov byte [page0 + 4095], 0xbb | call page0 + 4095
        // A table on its own pages: a changed entry is in force at once, or after INVLPG.
        mov dword [page0], 0x1111 | mov dword [page1], 0x2222 | mov ebx, [page8] | xor ebx, 0x1000 | \
            mov [page8], ebx | invlpg [page0] | mov ecx, [page0] | mov edx, [page3] | mov esi, [page8]
        // The stack in the page table.
        mov ebp, esp | mov esp, page8 + 0x900 | push 0x300007 | push eax | call .next | .next: pop eax | \
            mov ebx, [table + 0x8fc] | mov esp, ebp
        // Descriptor tables on pages that are missing or read-only.
        mov esi, gdt | mov edi, page6 + 4096 - 24 | mov ecx, 6 | rep movsd | mov word [.p], 0xff | \
            mov dword [.p + 2], page6 + 4096 - 24 | lgdt [.p] | mov eax, data3 | mov ds, ax | .p: dd 0, 0
        mov esi, gdt | mov edi, page0 | mov ecx, 64 | rep movsd | and byte [page0 + data1 - 1 + 5], 0xfe | \
            mov word [.p], 0xff | mov dword [.p + 2], page0 | \(or0("0x10000"))and byte [table], 0xfd | \
            invlpg [page0] | lgdt [.p] | mov eax, data1 - 1 | mov es, ax | hlt | .p: dd 0, 0
        lidt [page7]
        sgdt [page6 + 4093]
        lgdt [page6 + 4093]
        mov eax, data0 | mov es, [page7]
        les eax, [page6 + 4093]
        // Breakpoints of an instruction that faults are lost; of one that ends they are not.
        \(watch("page0"))mov esi, page0 | mov edi, page7 | movsd | nop
        \(watch("page0"))mov esi, page0 | mov edi, page1 | movsd | nop
        \(watch("page0"))push dword [page0] | nop | nop
        \(watch("page0 + 8"))mov esi, page0 | mov edi, page1 | mov ecx, 5 | rep movsd | nop
        mov word [page0], data0 | \(watch("page0"))mov ss, [page0] | nop | nop
        mov word [page0], data0 | \(watch("page0"))mov ss, [page0] | mov eax, [page7]
        mov word [page0], data0 | \(watch("page0"))mov ss, [page0] | cpuid | xor eax, eax | xor ebx, ebx | \
            xor ecx, ecx | xor edx, edx
        \(watch("gdt + absent"))mov eax, absent | mov es, ax | nop
        \(watch("gdt + data1 - 1"))mov eax, data1 | mov es, ax | nop | nop
        \(watch("gdt + absent"))mov eax, absent + 4 | lar ebx, eax | nop | nop
        \(watch("stack0 - 4"))mov esp, stack0 | push page7 | mov ebx, [page7] | nop
        // Nothing beyond what an entry says.
        mov eax, [table + 28] | mov eax, [page7 + 4] | mov ebx, [table + 28]
        clts | mov eax, cr3 | mov cr3, eax | mov ebx, [page0]
        mov eax, cr4 | xor eax, 0x80 | mov cr4, eax | or dword [table], 0x100 | mov ebx, [page0] | mov eax, cr3 | \
            mov cr3, eax | xor dword [table], 0x1000 | mov ecx, [page0] | mov eax, cr4 | xor eax, 0x80 | \
            mov cr4, eax | mov edx, [page0]
        mov eax, cr0 | and eax, 0x7fffffff | mov cr0, eax | mov ebx, [0x300000] | or eax, 0x80000000 | \
            mov cr0, eax | mov ecx, [page0]
        mov eax, 0x1000 | mov [page0 + eax * 4 - 0x4000], eax | mov edx, 70000 | bt [page0], edx | mov ecx, 1
        mov edx, 4096 * 8 + 3 | bts [page6], edx
        mov ecx, 0x40000003 | xor eax, eax | mov ebx, page6 + 4090 | movq [ebx], mm0 | movups [ebx], xmm0
        cmpxchg8b [page6 + 4092]
        mov eax, page6 + 4092 | bound ebx, [eax]
        mov dx, 0x80 | mov esi, page6 + 4095 | mov ecx, 3 | rep outsb
        mov dx, 0x80 | mov edi, page4 | \(or0("0x10000"))insb
        clflush [page7]
        prefetcht0 [page7] | mov ebx, 3
        enter 4096, 5 | mov ebx, [esp] | leave
        """)

    /// A data breakpoint for reads and writes of four bytes.
    private static func watch(_ address: String) -> String {
        "mov eax, \(address) | mov dr0, eax | mov eax, 0xf0402 | mov dr7, eax | "
    }
    private static func or0(_ bits: String) -> String { "mov eax, cr0 | or eax, \(bits) | mov cr0, eax | " }
    private static func or4(_ bits: String) -> String { "mov eax, cr4 | or eax, \(bits) | mov cr4, eax | " }

    private static let two: [Probe] =
        ProbeText.lines(
            """
            // The directory as its own table.
            mov dword [directory + 1023 * 4], directory + 3 | mov ebx, [0xfffff000 + 256 * 4] | \
                mov ecx, [0xffc00000 + 256 * 4096] | mov dword [0xffc00000 + 256 * 4096 + 4], 0x302007 | \
                invlpg [page1] | mov dword [page1], 77 | mov edx, [page2] | mov esi, [0xfffff000] | mov edi, [0xfffffffc]
            // A large page with the bits that PSE-36 gives a meaning, and one that is reserved.
            mov dword [directory + 300 * 4], 0x400087 | mov dword [0x4b000000], 5 | mov ebx, [0x400000] | \
                mov ecx, [directory + 300 * 4]
            mov dword [directory + 300 * 4], 0x402087 | mov ebx, [0x4b000000]
            mov dword [directory + 300 * 4], 0x600087 | mov ebx, [0x4b000000]
            and dword [directory + 256 * 4], ~2 | \(or0("0x10000"))mov ebx, [page0] | mov [page0], eax
            and dword [directory + 256 * 4], ~1 | mov eax, cr3 | mov cr3, eax | mov ebx, [page0]
            // Another directory, and back.
            mov esi, directory | mov edi, 0x203000 | mov ecx, 1024 | rep movsd | \
                mov dword [0x203000 + 256 * 4], 0x204007 | mov dword [0x204000], 0x302007 | mov dword [0x302000], 0x99 | \
                mov eax, 0x203000 | mov cr3, eax | mov ebx, [page0] | mov eax, directory | mov cr3, eax | \
                mov ecx, [page0] | mov edx, [0x204000]
            // A task with a directory of its own.
            mov dword [otherstate + 28], 0x203000 | mov dword [otherstate + 32], backtask | mov esi, directory | \
                mov edi, 0x203000 | mov ecx, 1024 | rep movsd | mov dword [0x203000 + 256 * 4], 0x204007 | \
                mov dword [0x204000], 0x302007 | mov dword [state + 28], directory | call othertask:0 | mov ebx, cr3 | \
                mov ecx, [state + 28] | mov edx, [page0]
            mov eax, page6 + 4050 | mov [gdt + othertask + 2], ax | shr eax, 16 | mov [gdt + othertask + 4], al | \
                mov byte [gdt + othertask + 5], 0x89 | mov [gdt + othertask + 7], ah | call othertask:0
            """
        ).map { twoLevels($0) } + supervisor.map { twoLevels($0, low: 0x83) }

    /// SMEP and SMAP, with the kernel on pages of the supervisor's.
    private static let supervisor: [String] = ProbeText.lines(
        """
        mov byte [page0], 0xc3 | \(or4("0x100000"))call page0
        mov byte [page5], 0xc3 | \(or4("0x100000"))call page5 | mov ebx, 1 | call page7
        mov byte [page0], 0xc3 | call page0 | mov ebx, 2 | call page7
        mov ebx, 3 | mov ecx, [page7]
        mov ebx, [page0] | \(or4("0x200000"))mov ecx, [page5] | mov edx, [page0]
        \(or4("0x200000"))stac | mov ecx, [page0] | clac | mov edx, [page0]
        // A fetch is no read, also where page faults do not say so: SMAP without SMEP and NXE.
        mov byte [page0], 0xc3 | \(or4("0x200000"))call page3 | mov ebx, 9 | mov ecx, [page3]
        \(or4("0x200000"))mov [page0], eax
        \(or4("0x200000"))lgdt [page0]
        \(or4("0x200000"))pushfd | or dword [esp], 0x40000 | popfd | mov ecx, [page0] | mov edx, [page0 + 1]
        """)

    /// The pointers of three levels are registers that MOV to CR3 loads; with nested page tables AMD processors read
    /// them in memory with each walk (APM volume 2 section 15.25).
    static let pointerRegisters: [Probe] = ProbeText.lines(
        """
        mov dword [pointers + 8], 0 | mov ebx, [page0] | mov eax, cr3 | mov cr3, eax | mov ecx, [page0]
        mov dword [pointers + 16], directory + 1 | mov eax, cr3 | mov cr3, eax | mov ecx, [0x80000000] | \
            mov edx, [pointers + 16]
        mov dword [pointers + 8], 0 | mov eax, cr4 | xor eax, 0x80 | mov cr4, eax | mov ecx, [page0]
        """
    ).map { threeLevels($0) }

    private static let three: [Probe] =
        ProbeText.lines(
            """
            mov dword [pointers + 16], directory + 7 | mov eax, cr3 | mov cr3, eax
            mov dword [pointers + 16], directory + 0x21 | mov eax, cr3 | mov cr3, eax
            mov dword [pointers + 28], 0x80000000 | mov dword [pointers + 24], 1 | mov eax, cr3 | mov cr3, eax
            mov dword [pointers + 32], 0x202001 | mov dword [pointers + 40], directory + 1 | mov eax, cr3 | \
                or eax, 0x20 | mov cr3, eax | mov ebx, [page0]
            // Execute disable, in a leaf and above it.
            mov byte [page0], 0xc3 | mov dword [table + 4], 0x80000000 | call page3 | mov ebx, 7 | call page0
            mov byte [page0], 0xc3 | mov dword [directory + 4], 0x80000000 | mov ebx, [page0] | call page0
            mov dword [table + 4], 0x40000000 | mov ebx, [page0]
            mov dword [table + 4], 0x10 | mov ebx, [page0]
            or dword [directory], 0x80 | mov ebx, [page0]
            mov dword [directory + 8], 0x400087 | mov dword [page0 + 0x200000], 3 | mov ebx, [0x400000] | \
                mov ecx, [directory + 8]
            mov dword [pointers + 24], directory + 1 | mov eax, cr3 | mov cr3, eax | mov dword [page0], 0x34 | \
                mov ebx, [0xc0000000] | mov dword [0xc0000000], 0x35 | mov ecx, [page3]
            """
        ).map { threeLevels($0) }
        + [
            threeLevels("mov dword [table + 4], 0x80000000\nmov ebx, [page0]", noExecute: false),
            threeLevels("mov byte [page0], 0xc3\ncall page7", low: 0x83, noExecute: false),
        ]
        + supervisor.flatMap { [threeLevels($0, low: 0x83), threeLevels($0, low: 0x83, noExecute: false)] }

    /// Ring 3 with paging: the frame for it is made in ring 0.
    private static let user: [Probe] =
        ProbeText.lines(
            """
            mov eax, [page0]
            mov [page4], eax
            mov eax, [page5]
            mov [page5], eax
            mov eax, [page7]
            jmp page5
            jmp page7
            mov eax, [page6 + 4094]
            push eax | pop ebx
            mov eax, data3 | mov ds, ax | mov ebx, 5
            syscall
            sysenter
            mov eax, cr3
            mov esp, page7 + 8 | push eax
            mov eax, 3 | pushfd | or dword [esp], 0x40000 | popfd | mov ebx, [page0 + 1]
            cpuid | xor eax, eax
            mov esi, page0 | mov edi, page5 | mov ecx, 3 | rep movsb
            invlpg [page0]
            int 0x80
            int 0x83
            mov ecx, cs | mov edx, ss | ud2
            """
        ).flatMap { code in
            let entry = "push data3\npush 0x31f000\npush 2\npush code3\npush .user\niretd\n.user: \(code)"
            return [twoLevels(entry), threeLevels(entry)]
        }
        + ["", "push data3\npush 0x31f000\npush 2\npush code3\npush .user\niretd\n"].map {
            // AMD's SYSCALL of 32-bit code leaves R11 alone.
            twoLevels(
                """
                mov ecx, 0xc0000080
                rdmsr
                or eax, 1
                wrmsr
                mov ecx, 0xc0000081
                mov eax, called
                mov edx, code0
                wrmsr
                \($0)
                .user: syscall
                """)
        }
}
