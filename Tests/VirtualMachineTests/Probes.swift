extension ProbeProgram {
    /// What the manuals define and QEMU's TCG does as they say.
    ///
    /// Left out is what TCG does not do: segment limits, alignment checks, reserved bits of control registers, unknown
    /// MSRs, CR0.PG without PE, DR7.GD, a TSS's T flag, INT1, conforming targets of call gates, #UD for MOV CR1 in ring 3,
    /// a null selector for LTR or for STOS, LOCK BT, and faults in the context of a new task.
    static let probes: [Probe] =
        segmentLoads + tableRegisters + verifications + gates + farReturns + flags + interrupts + faults + privileged
        + ports + tasks + debugging + controlRegisters + encodings + stacks + virtual8086

    private static func ring0(_ code: String) -> Probe { Probe(level: .ring0, code: code) }
    private static func ring3(_ code: String, iopl: Int = 0) -> Probe { Probe(level: .ring3, iopl: iopl, code: code) }
    private static func both(_ code: String) -> [Probe] { [ring0(code), ring3(code)] }

    private static var segmentLoads: [Probe] {
        let selectors = [
            "0", "3", "code0", "data0", "code3", "data3", "task", "conforming", "absent", "readonly", "executeonly",
            "gate0", "0x0f", "0x17", "0xfff8",
        ]
        return selectors.flatMap { selector in
            ["ds", "ss", "es"].flatMap { both("mov eax, \(selector)\nmov \($0), ax\nmov ebx, \($0)") }
        }
            + ["data0", "data3", "data1", "0x13", "0x20", "0x38"].map {
                ring0("mov eax, \($0)\nmov ss, ax\nmov ebx, ss")
            }
    }

    private static let tableRegisters: [Probe] = [
        ring0("mov ax, local\nlldt ax\nmov eax, 0x0f\nmov ds, ax\nmov ebx, ds\nmov ecx, 0x14\nmov es, cx\nsldt edx"),
        ring0("mov ax, local\nlldt ax\nmov ecx, 0x1c\nmov es, cx"), ring0("mov ax, data0\nlldt ax"),
        ring0("mov ax, task\nltr ax"), ring0("mov ax, othertask\nltr ax\nstr ebx"),
        ring0("mov ax, 0xa3\nltr ax\nstr ebx"),
        ring0("mov ax, gate0\nltr ax"), ring0("mov ax, 0x0c\nltr ax"),
    ]

    private static var verifications: [Probe] {
        let selectors = [
            "0", "code0", "data0", "code3", "data3", "task", "data1", "conforming", "absent", "readonly", "executeonly",
            "gate0", "gate1", "gate16", "gateabsent", "taskgate", "othertask", "local", "task16", "0x22", "0x1a",
            "0xfff0",
        ]
        return selectors.flatMap { selector in
            both(
                """
                mov ecx, \(selector)
                lar eax, ecx
                setz dl
                lsl ebx, ecx
                setz dh
                verr cx
                setz cl
                mov edi, ecx
                mov ecx, \(selector)
                verw cx
                setz ch
                mov esi, ecx
                """)
        } + [(0x10, 3), (0x13, 0), (0x11, 2)].map { ring3("mov eax, \($0)\nmov ebx, \($1)\narpl ax, bx\nsetz cl") }
    }

    private static var gates: [Probe] {
        ["gate0", "gate1", "gate16", "gateprivate", "gateabsent", "gatetodata"].flatMap { gate in
            ["call", "jmp"].flatMap { both("push 0x11\npush 0x22\npush 0x33\npush 0x44\n\($0) \(gate):0x1234") }
        }
            + [
                "code0", "code3", "conforming", "data0", "0x1a", "0x43", "0x0b", "absent", "task", "0", "0x30",
            ].flatMap { both("call \($0):called") + both("jmp \($0):called") }
    }

    private static var farReturns: [Probe] {
        let targets = [
            ("code3", "data3"), ("code3", "data0"), ("code0", "data0"), ("code1", "data1"), ("code1", "data3"),
            ("0x43", "data3"), ("data3", "data3"), ("0", "data3"), ("code3", "0"), ("0x18", "data3"),
        ]
        return targets.flatMap { code, stack in
            [
                ring0("push \(stack)\npush 0x8c000\npush 0x99\npush 0x98\npush \(code)\npush called\nretf 8"),
                ring0(
                    """
                    mov ax, data3
                    mov ds, ax
                    mov ax, data0
                    mov es, ax
                    push \(stack)
                    push 0x8c000
                    push \(code)
                    push .there
                    retf
                    .there:
                    mov eax, ds
                    mov ebx, es
                    mov ecx, ss
                    """),
            ] + both("push \(stack)\npush 0x8c000\npush 0x3202\npush \(code)\npush called\niretd")
        }
    }

    private static var flags: [Probe] {
        let system = "and eax, 0x267700"
        return ["0x3202", "0x4002", "0x7702", "0x240002", "0x100"].flatMap { value -> [Probe] in
            let load = "push \(value)\npopfd\nnop\npushfd\npop eax\n\(system)"
            let words = """
                pushf
                and word [esp], 0xfff
                or word [esp], \(value) & 0xffff
                popf
                nop
                pushfd
                pop eax
                \(system)
                """
            let user = [0, 3].flatMap { iopl in
                [
                    ring3("push \(value)\npush code3\npush .next\niretd\n.next: nop\nnop", iopl: iopl),
                    ring3(load, iopl: iopl), ring3(words, iopl: iopl),
                ]
            }
            return user + [ring0(load), ring0("push \(value)\npush code0\npush .next\niretd\n.next: nop\nnop")]
        }
    }

    private static var interrupts: [Probe] {
        [0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 3, 4, 5, 13, 14, 0x20].flatMap { both("int \($0)") }
            + [ring0("sti\nint 0x80"), ring0("sti\nint 0x81")]
            + [ring3("cli", iopl: 3), ring3("cli"), ring3("sti"), ring3("hlt"), ring3("hlt", iopl: 3)]
    }

    private static let faults: [Probe] = [
        ring3("int3"), ring3("into"), ring3("mov al, 0x7f\nadd al, 1\ninto"), ring3("ud2"),
        ring3("bound eax, [.limits]\n.limits: dd 1, 2"),
        ring3("mov eax, 1\nbound eax, [.limits]\njmp .over\n.limits: dd 1, 2\n.over:"), ring3("xor ecx, ecx\ndiv ecx"),
        ring3("mov eax, 0x80000000\ncdq\nmov ecx, -1\nidiv ecx"), ring3("aam 0"),
        ring3("mov edx, 5\nmov ecx, 5\ndiv ecx"),
        ring3("mov ax, 0x7fff\nmov cl, 1\nidiv cl"),
    ]

    private static let privileged: [Probe] = [
        "lgdt [esp]", "lidt [esp]", "lldt ax", "ltr ax", "lmsw ax", "clts", "mov eax, cr0", "mov cr0, eax",
        "mov eax, dr7",
        "mov dr7, eax", "invd", "wbinvd", "invlpg [esp]", "rdmsr", "wrmsr", "hlt", "sgdt [esp - 16]", "sidt [esp - 16]",
        "sldt eax", "str ebx", "smsw ecx", "rdtsc\nxor eax, eax\nxor edx, edx", "sysexit", "sysenter", "syscall",
        "mov eax, cr2", "mov eax, cr4", "mov dr4, eax",
    ].map { ring3($0) }

    private static let ports: [Probe] =
        [
            "in al, 0x80", "in ax, 0x80", "in eax, 0x80", "in eax, 0x84", "in ax, 0x87", "in eax, 0x85", "in eax, 0x86",
            "in al, 0x88", "in ax, 0x88", "in al, 0x7f", "in al, 0xff", "in ax, 0xff", "mov dx, 0x100\nin al, dx",
            "mov dx, 0x107\nin ax, dx", "mov dx, 0xffff\nin al, dx", "out 0x80, al", "out 0x89, al",
            "mov dx, 0x80\noutsb",
            "mov dx, 0x90\ninsb", "mov dx, 0x90\nxor ecx, ecx\nrep outsb",
        ].map { ring3($0 + "\nxor eax, eax") } + [ring3("in al, 0x90\nxor eax, eax", iopl: 3)]

    private static let tasks: [Probe] = [
        ring0("mov eax, 0x77\ncall othertask:0"), ring0("mov ebx, 0x66\njmp othertask:0"), ring0("call taskgate:0"),
        ring3("call taskgate:0"), ring3("jmp taskgate:0"), ring3("call othertask:0"), ring0("call task:0"),
        ring0("jmp task:0"),
        ring0(
            """
            mov dword [otherstate + 32], backtask
            call othertask:0
            mov ebx, [otherstate + 36]
            mov ecx, cr0
            and ecx, 8
            mov edx, [otherstate]
            """), ring3("mov dword [otherstate + 32], backtask\ncall taskgate:0\nmov ebx, [otherstate + 36]"),
        ring0("mov word [gdt + othertask], 0x66\ncall othertask:0"),
        ring0("and byte [gdt + othertask + 5], 0x7f\ncall othertask:0"),
        ring0(
            """
            mov dword [otherstate + 36], 0x202
            mov dword [otherstate + 76], code3
            mov dword [otherstate + 80], data3
            mov dword [otherstate + 84], data3
            mov dword [otherstate + 72], data3
            call othertask:0
            """), ring0("mov dword [otherstate + 36], 0x4002\njmp othertask:0"), ring0("push 0x4002\npopfd\niretd"),
        ring0("mov word [state], othertask\npush 0x4002\npopfd\niretd"),
        ring0("mov word [state], othertask\nmov byte [gdt + othertask + 5], 0x8b\npush 0x4002\npopfd\niretd"),
        ring0("mov word [state], 0x44\npush 0x4002\npopfd\niretd"),
        ring3(
            "pushfd\nor dword [esp], 0x4000\npopfd\npush data3\npush 0x8c000\npush 2\npush code3\npush called\niretd"),
        ring0("mov word [gdt + task16], 0x2a\ncall task16:0"),
    ]

    private static var debugging: [Probe] {
        let step = "pushfd\nor dword [esp], 0x100\npopfd\n"
        return both(step + "nop\nnop") + [
            ring3(step + "int 0x80"), ring3(step + "ud2"), ring0("mov cx, data0\n\(step)mov ss, cx\nnop\nnop"),
            ring0("push data0\n\(step)pop ss\nnop\nnop"),
            ring0("mov ecx, 3\nmov esi, header\nmov edi, 0x70000\n\(step)rep movsb\nnop"),
            ring0(step + "pushfd\npop eax\nand eax, 0x267700"),
            ring0("mov eax, .here\nmov dr0, eax\nmov eax, 2\nmov dr7, eax\nnop\n.here: nop\nnop"),
            ring0(
                """
                mov eax, 0x70000
                mov dr1, eax
                mov eax, 0x00d00008
                mov dr7, eax
                mov ebx, [0x70000]
                mov [0x70004], ebx
                mov [0x70002], bx
                nop
                nop
                """),
            ring0(
                """
                mov eax, 0x70000
                mov dr2, eax
                mov eax, 0x03000020
                mov dr7, eax
                mov bl, [0x70001]
                mov bl, [0x70000]
                nop
                nop
                """),
            ring0("mov eax, 0xffff0ff0\nmov dr6, eax\nmov ebx, dr6\nmov eax, 0x400\nmov dr7, eax\nmov ecx, dr7"),
            ring0("mov eax, cr4\nor eax, 8\nmov cr4, eax\nmov ebx, dr4"), ring0("mov ebx, dr5\nmov ecx, dr4"),
        ]
    }

    private static var controlRegisters: [Probe] {
        let umip = "mov eax, cr4\nor eax, 0x800\nmov cr4, eax\n"
        return [
            "mov eax, cr0\nand al, 0xfe\nlmsw ax\nsmsw eax\nand eax, 0xffff",
            "mov ax, 0xe\nlmsw ax\nsmsw eax\nand eax, 0xffff\nclts\nsmsw ebx\nand ebx, 0xffff",
            "mov eax, cr0\nor eax, 8\nmov cr0, eax\nfnop", "mov eax, cr0\nor eax, 4\nmov cr0, eax\nfnop",
            "mov eax, cr0\nor eax, 10\nmov cr0, eax\nwait", "mov eax, cr0\nand eax, -11\nor eax, 8\nmov cr0, eax\nwait",
            "mov eax, cr0\nor eax, 4\nmov cr0, eax\nmovups xmm0, [esp]",
            "mov eax, cr4\nand eax, -513\nmov cr4, eax\nmovups xmm0, [esp]",
            "mov eax, 0x12345000\nmov cr3, eax\nmov ebx, cr3", "mov eax, 0x12345678\nmov cr2, eax\nmov ebx, cr2",
            umip + "mov ebx, 1",
        ].map { ring0($0) }
            + ["sgdt [0x70000]", "sidt [0x70000]", "sldt eax", "str eax", "smsw eax", "sldt [0x70000]"].map {
                ring0("\(umip)push data3\npush stack3\npush 2\npush code3\npush .user\niretd\n.user: \($0)")
            }
    }

    private static let encodings: [Probe] = [
        "db 0xf0, 0x90", "db 0xf0, 1, 0xc3", "db 0xf0, 0x03, 0x03", "db 0xf0, 0x39, 0x03",
        "mov ebx, 0x70000\ndb 0xf0, 1, 3", "mov ebx, 0x70000\ndb 0xf0, 0x0f, 0xab, 3", "db 0x8d, 0xc0", "db 0x0f, 0xff",
        "db 0xc4, 0xc0", "db 0xfe, 0xf8", "db 0x0f, 0x0b", "db 0xff, 0xff", "db 0x8c, 0xf0", "db 0x8e, 0xc8",
        "db 0x0f, 0xc7, 0xc8", "times 14 db 0x66\nnop", "times 15 db 0x66\nnop",
    ].map { ring0($0) }

    private static var stacks: [Probe] {
        let flat = "mov ax, data0\nmov ss, ax\nmov esp, stack0\n"
        let small = "mov ax, data16\nmov ss, ax\n"
        return [
            small + "mov esp, 0x12340000\npush 0x55667788\nmov ebx, esp\nmov ecx, [0xfffc]\n" + flat,
            small + "mov esp, 0x1234fffe\npop cx\nmov ebx, esp\n" + flat + "xor ecx, ecx",
            small + "mov esp, 0x1000\nmov ebp, 0x1000\nenter 8, 0\nmov ebx, esp\nmov ecx, ebp\nleave\nmov edx, esp\n"
                + flat,
            "xor ecx, ecx\nmov ax, 0\nmov es, ax\nrep stosb\nmov ebx, 1",
            "mov ecx, 0x10003\nmov edi, 0x1fffe\nmov eax, 7\na16 rep stosb\nmov ebx, ecx\nmov edx, edi",
        ].map { ring0($0) }
    }

    private static var virtual8086: [Probe] {
        let codes = [
            "nop", "cli", "sti", "pushf", "popf", "int 0x21", "int3", "into", "hlt",
            "mov ax, cs\nmov bx, ss\nmov cx, sp\nmov dx, ds\nmov si, es\nmov di, fs", "lgdt [0]", "sldt ax",
            "lar ax, bx",
            "arpl ax, bx", "mov eax, cr0", "smsw ax", "in al, 0x80\nxor ax, ax", "in al, 0x90", "push 0x1234\npop ax",
            "pushfd", "popfd", "mov ax, 0x9999\nmov es, ax\nmov bx, es", "clts", "ud2",
            "jmp 0x2000:0x100\ntimes 0x100 nop", "call 0x2000:0x100\ntimes 0x100 nop", "db 0xf0, 0x90",
            "mov eax, 0x12345678\npush eax\npop ecx", "str ax", "verr ax", "mov dr0, eax",
            "rdtsc\nxor eax, eax\nxor edx, edx", "mov eax, cr2", "invlpg [0]", "xor cx, cx\ndiv cx", "bound ax, [0]",
            "mov ax, 0x3202\npush ax\npopf\npushf\npop bx", "push 0x7202\npush 0x2000\npush 0x40\niret\ntimes 0x40 nop",
            "int 0x80", "pushf\npop ax\nor ax, 0x100\npush ax\npopf\nnop\nnop",
        ]
        return codes.flatMap { code in
            [0, 3].map { Probe(level: .virtual8086, iopl: $0, code: code) }
        }
    }
}
