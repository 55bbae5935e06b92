import VirtualMachine

// Segments, the other rings and modes, and the program's own kernel.
extension RandomProgram {
    /// Selectors of descriptors that the program writes itself, and of the 32-bit code that ring 0 can run in 64-bit mode.
    private enum Selector {
        static let compatibility: UInt64 = 0x200
        static let own: UInt64 = 0x208
        static let localTable: UInt64 = 0x210
    }

    private var globalTable: UInt64 { layout.kernelBase + PreparedLayout.gdt }

    private func descriptor(_ selector: UInt64, by register: String) -> (load: String, low: String, high: String) {
        let address = globalTable + selector
        guard is64 else { return ("", "[\(hex(address))]", "[\(hex(address + 4))]") }
        return ("mov \(register), \(hex(address))\n", "[\(register)]", "[\(register) + 4]")
    }

    mutating func segments() -> String {
        let register = random.pick(["es", "fs", "gs", "ds"])
        switch random.below(11) {
        case 0, 1:
            let selectors = [0, 3, 8, 0x10, 0x1B, 0x13, 0x48, 0x50, 0x5B, 0x1000, 0x10, 0x31, 0x208, 0x204, 7]
            return "mov eax, \(random.pick(selectors))\nmov \(register), ax\nmov ebx, \(register)"
        case 2: return "mov ax, \(random.pick([0x10, 0x10, 0x1B, 0, 8]))\nmov ss, ax\nmov eax, \(random.below(100))"
        case 3, 4, 5:
            // A descriptor of its own: any type, limits, presence and privilege; then an access through it.
            let (load, low, high) = descriptor(Selector.own, by: "rdx")
            let kinds: [UInt64] = [0x93, 0x92, 0x91, 0x97, 0x9B, 0x99, 0x13, 0xF3, 0x82, 0x89, 0x8C, 0x00, 0xB3]
            let access = random.pick(kinds) << 8 | UInt64(random.pick([0, 0x40, 0xC0, 0xCF])) << 16
            return "\(load)mov dword \(low), \(hex(UInt64(random.pick([0xFFFF, 0x100, 0xFFFF, 0]))))\n"
                + "mov dword \(high), \(hex(access))\n"
                + "mov eax, \(random.pick([0x208, 0x208, 0x20B]))\nmov \(register), ax\n"
                + "mov ecx, \(random.pick([0, 0xFF, 0x100, 0xFFFD, 0x10000]))\n"
                + "mov ebx, \(register):[\(wide("cx"))]\n"
                + (random.chance(1, in: 2) ? "mov \(register):[\(wide("cx"))], ebx" : "mov eax, [\(data) + 8]")
        case 6:
            // A local table with the data page as its memory, and what a selector finds there.
            let (load, low, high) = descriptor(Selector.localTable, by: "rdx")
            let base = window + Place.data
            let address = "[\(data) + \(random.below(4) * 8)]"
            return "\(load)mov dword \(low), \(hex((base & 0xFFFF) << 16 | 0x1F))\n"
                + "mov dword \(high), \(hex(base & 0xFF00_0000 | base >> 16 & 0xFF | 0x8200))\n"
                + (is64 ? "mov dword [rdx + 8], \(hex(base >> 32))\nmov dword [rdx + 12], 0\n" : "")
                + "mov dword \(address), 0xffff\n"
                + "mov eax, \(random.pick([0x210, 0x210, 0]))\nlldt ax\nmov eax, \(random.below(4) * 8 + 4)\nmov \(register), ax"
        case 7:
            return is64 ? "push fs\npop gs\nmov eax, fs" : "push \(register)\npop \(random.pick(["es", "fs", "gs"]))"
        case 8:
            let name = label()
            let selector = random.pick([8, 0x60, 0x60, 0x10, 0x23, 0x200])
            return
                "push \(selector)\n\(load(wide("ax"), label: name))\npush \(wide("ax"))\n\(is64 ? "o64 " : "")retf\n\(name):"
        case 9:
            return
                "mov dword [\(data) + 700], \(random.below(1000))\nmov word [\(data) + 704], \(random.pick([0x10, 0, 0x1B, 8]))\n"
                + "l\(random.pick(["fs", "gs"])) ebx, [\(data) + 700]"
        default:
            // IRET in the same ring.
            let name = label()
            if is64 {
                return "mov rcx, rsp\npush 0x10\npush rcx\npushfq\npush \(random.pick([8, 8, 0x60]))\n"
                    + "lea rax, [rel \(name)]\npush rax\niretq\n\(name):"
            }
            return "pushfd\npush \(random.pick([8, 8, 0x60]))\npush \(name)\niretd\n\(name):"
        }
    }

    /// A way to another ring or mode, from which an interrupt, a fault or a system call comes back.
    mutating func excursion() -> String {
        let stack = hex(layout.rings[3].stack.upperBound - 0x100)
        let a = wide("ax")
        func frame(_ ss: String, _ sp: String, _ flags: String, _ cs: String, _ target: String) -> String {
            "push \(ss)\nmov \(a), \(sp)\npush \(a)\npush \(flags)\npush \(cs)\nmov \(a), \(target)\npush \(a)\n"
                + (is64 ? "iretq" : "iretd")
        }
        let user = random.pick(["user1", "user2", "user3"])
        switch random.below(is64 ? 9 : 8) {
        case 0: return "int 0x41"
        case 1: return "call near_target"
        case 2, 3: return frame("0x1b", stack, userFlags(), "0x23", user)
        case 4:
            let ring = random.pick([1, 2])
            let selectors = ring == 1 ? ("0x31", "0x29") : ("0x42", "0x3a")
            let top = hex(layout.rings[ring].stack.upperBound - 0x100)
            return frame(
                selectors.0, top, hex(0x2 | random.pick([0, 0x200, 0x1200, 0x3200])), selectors.1, "ring\(ring)")
        case 5:
            // SYSEXIT to ring 3, or SYSRET.
            let target = "mov \(wide("dx")), \(user)\nmov \(wide("cx")), \(stack)\n"
            guard is64, random.chance(1, in: 2) else { return target + (is64 ? "o64 sysexit" : "sysexit") }
            return "mov rcx, \(user)\nmov r11d, \(userFlags())\no64 sysret"
        case 6:
            guard !is64 else { return frame("0x1b", stack, userFlags(), "0x5b", "compatible") }
            // Virtual-8086 mode, on the page where ring 3 has its stack.
            // VME shows in what it does with VIF, VIP and IOPL.
            let flags =
                UInt64(0x2_0202) | random.pick([0, 0x3000]) | random.pick([0, 0, 0x8_0000, 0x10_0000, 0x18_0000])
            return "push 0\npush 0\npush 0\npush 0\npush 0\npush 0x5000\n"
                + "push \(hex(flags))\npush 0x400\npush \(random.pick([0, 4, 8, 10, 11, 12, 14, 18]))\niretd"
        case 7:
            guard is64 else { return pagingOff() }
            // 32-bit code of ring 0.
            return "push 0x200\nlea rax, [rel compat]\nmov eax, eax\npush rax\no64 retf"
        default: return "lea rax, [rel near_target]\ncall rax"
        }
    }

    /// 32-bit code turns paging off and on again, where linear and physical addresses are the same.
    private mutating func pagingOff() -> String {
        let (off, on) = (label(), label())
        return """
            cli
            mov eax, \(off)
            sub eax, \(hex(layout.kernelBase))
            jmp eax
            \(off):
            mov eax, cr0
            and eax, 0x7fffffff
            mov cr0, eax
            mov ebx, [\(hex(Place.data + UInt64(random.below(100)) * 4))]
            add [\(hex(Place.data + 0x20))], ebx
            mov eax, cr0
            or eax, 0x80000000
            mov cr0, eax
            mov eax, \(on)
            jmp eax
            \(on):
            """
    }

    // MARK: Rings 1 to 3

    /// The sources of the rings above 0, by ring.
    mutating func userCode() -> [(ring: UInt8, source: String)] {
        // The guest begins in ring 3 and goes to ring 0; what comes behind that is for excursions.
        var user = "int 0x43\n"
        for number in 1...3 { user += "user\(number):\n" + userActions() + "\nint 0x42\n" }
        if is64 {
            user += "bits 32\ncompatible:\nmov ebx, 5\npush ebx\npushfd\npop eax\npop ecx\nmov ax, cs\nint 0x42\n"
        }
        return [
            (3, user), (1, "ring1:\n" + userActions() + "\nint 0x42\n"),
            (2, "ring2:\n" + userActions() + "\nint 0x42\n"),
        ]
    }

    private mutating func userActions() -> String {
        let a = wide("ax")
        var lines: [String] = []
        for _ in 0..<3 + random.below(4) {
            lines.append(
                random.pick([
                    "push 1\npop \(a)", is64 ? "pushfq\npop rax" : "pushfd\npop eax", "add eax, ebx", "imul ebx, eax",
                    "mov ecx, 30\n\(label()): loop l\(labels)", "xor eax, eax\ncpuid", "lahf", "mov ecx, cs",
                    "rdtsc\nxor ebx, eax", "fld1\nfstp st0", "movd xmm0, eax", "cmp eax, ebx\ncmovs ecx, edx",
                ]))
        }
        let end = [
            "int 0x42", "hlt", "cli", "sti", "in al, 0x80", "mov \(a), \(hex(window + Place.data))\nmov [\(a)], ebx",
            "ud2", "int 0x40",
            "int3", is64 ? "syscall" : "sysenter", "sysenter", "int 0x44", "mov cr0, \(a)",
            "lgdt [\(hex(layout.rings[3].stack.lowerBound))]",
            is64 ? "xor eax, eax\ndiv eax" : "call 0x100:0", "rdmsr", "invlpg [\(a)]", "wrmsr", "int 0x46\nint 14",
            // It tells where the monitor's table is, unless the translator's UMIP hides that.
            avoidsSensitive ? "ud2" : "sgdt [\(hex(layout.rings[3].stack.lowerBound))]",
            "mov \(wide("sp")), 0x1234\npush \(a)", is64 ? "mov rax, 0x8000000000000000\njmp rax" : "jmp 0x8:0",
            "vmcall", "xor eax, eax\nmov ss, ax", "mov eax, 0x10\nmov ds, ax", is64 ? "iretq" : "iretd", "int 0x30",
        ]
        return (lines + [random.pick(end)]).joined(separator: "\n")
    }

    // MARK: Ring 0

    /// The interrupt controllers with vectors from 20H on, the timer with a short period, descriptors, page tables, and
    /// what SYSENTER needs.
    mutating func prologue() -> String {
        var text = is64 ? "mov r14, \(hex(window + Place.data))\n" : ""
        for (port, value) in [
            (0x20, 0x11), (0xA0, 0x11), (0x21, 0x20), (0xA1, 0x28), (0x21, 4), (0xA1, 2), (0x21, 1), (0xA1, 1),
            (0x21, 0xFA), (0xA1, 0xDF), (0x43, 0x34), (0x40, 1 + random.below(6)), (0x40, 0),
        ] {
            text += "mov al, \(value)\nout \(port), al\n"
        }
        let entry = load(wide("ax"), label: "enter")
        text += "\(entry)\nmov ecx, 0x176\nxor edx, edx\n\(is64 ? "mov rdx, rax\nshr rdx, 32\n" : "")wrmsr\n"
        text += "mov ecx, 0x174\nmov eax, 0x60\nxor edx, edx\nwrmsr\n"
        let stack = layout.rings[0].stack.upperBound - 0x800
        text += "mov ecx, 0x175\nmov eax, \(hex(stack & 0xFFFF_FFFF))\nmov edx, \(hex(stack >> 32))\nwrmsr\n"
        return text + (is64 ? longTables() : protectedTables())
    }

    /// A top-level entry of its own, the kernel's addresses in the low 4 GiB for 32-bit code, and a second root.
    private func longTables() -> String {
        """
        mov rbx, cr3
        and rbx, ~0xfff
        mov rcx, \(hex(window))
        mov [rcx + \(Place.root)], rbx
        mov qword [rbx + rcx + 2 * 8], \(Place.directories + 3)
        mov qword [rcx + \(Place.directories)], \(Place.directories + 0x1003)
        mov qword [rcx + \(Place.directories + 0x1000)], \(Place.table + 7)
        mov qword [rcx + \(Place.directories + 0x1008)], \(Place.otherTable + 7)
        mov rax, [rbx + rcx + 511 * 8]
        and rax, ~0xfff
        mov rdx, [rax + rcx + 510 * 8]
        mov rax, [rbx + rcx]
        and rax, ~0xfff
        mov [rax + rcx + 2 * 8], rdx
        lea rsi, [rbx + rcx]
        lea rdi, [rcx + \(Place.otherRoot)]
        mov ecx, 512
        cld
        rep movsq
        mov rcx, \(hex(window))
        mov qword [rcx + \(Place.otherRoot + 2 * 8)], \(Place.otherRoot + 0x1003)
        mov qword [rcx + \(Place.otherRoot + 0x1000)], \(Place.otherRoot + 0x2003)
        mov qword [rcx + \(Place.otherRoot + 0x2000)], \(Place.otherTable + 7)
        mov rdx, \(hex(globalTable + Selector.compatibility))
        mov dword [rdx], 0xffff
        mov dword [rdx + 4], 0xcf9b00

        """
    }

    /// Low addresses for the time without paging, code for virtual-8086 mode, and a page table of its own; then a second
    /// root, and three-level tables made of all that where they are wanted.
    private func protectedTables() -> String {
        let window = hex(window)
        var text = """
            mov ebx, cr3
            and ebx, ~0xfff
            mov [\(window) + \(Place.root)], ebx
            add ebx, \(window)
            mov dword [ebx + 0x280 * 4], \(Place.table + 7)
            mov eax, [ebx]
            and eax, ~0xfff
            mov dword [eax + \(window) + 4], 0x1003
            mov dword [eax + \(window) + 8], 0x2003
            mov dword [eax + \(window) + 12], 0x3003
            mov dword [0x4000], 0x401234b8
            mov dword [0x4004], 0xf4fa9c40
            mov dword [0x4008], 0xfb9c42cd
            mov dword [0x400c], 0x6afa9d9c
            mov dword [0x4010], 0xb89d00
            mov dword [0x4014], 0xcf42cd02
            mov esi, ebx
            mov edi, \(window) + \(Place.otherRoot)
            mov ecx, 1024
            cld
            rep movsd
            mov dword [\(window) + \(Place.otherRoot) + 0x280 * 4], \(Place.otherTable + 7)

            """
        if mode == .extended { text += extendedTables() }
        return text
    }

    /// Three-level tables with the meaning of the two-level ones, and the change to them.
    private func extendedTables() -> String {
        let window = hex(window)
        let directories = Place.pointers + 0x1000
        var text = ""
        for root in [Place.pointers, Place.pointers + 0x20] {
            for number in UInt64(0)..<4 {
                text += "mov dword [\(hex(self.window + root + number * 8))], \(directories + number << 12 + 1)\n"
            }
        }
        return text + """
            mov esi, \(window) + \(directories)
            mov edi, \(window) + \(directories + 0x5000)
            xor ecx, ecx
            directory:
            mov eax, [ebx + ecx * 4]
            test al, 1
            jz filled
            test al, 0x80
            jz small
            mov [esi], eax
            add eax, 0x200000
            mov [esi + 8], eax
            jmp filled
            small:
            mov edx, eax
            and edx, 0xfff
            lea edx, [edi + edx - \(window)]
            mov [esi], edx
            add edx, 0x1000
            mov [esi + 8], edx
            and eax, ~0xfff
            add eax, \(window)
            xor edx, edx
            copy:
            mov ebp, [eax + edx * 4]
            mov [edi + edx * 8], ebp
            inc edx
            cmp edx, 1024
            jb copy
            add edi, 0x2000
            filled:
            add esi, 16
            inc ecx
            cmp ecx, 1024
            jb directory
            mov dword [\(window) + \(directories + 0x280 * 16)], \(Place.table + 7)
            mov dword [\(window) + \(directories + 0x280 * 16 + 8)], \(Place.otherTable + 7)
            mov dword [\(window) + \(PreparedLayout.taskState + 0x1C)], \(Place.pointers)
            mov dword [\(window) + \(PreparedLayout.gateTasks + 0x1C)], \(Place.pointers)
            mov dword [\(window) + \(PreparedLayout.gateTasks + 0x80 + 0x1C)], \(Place.pointers)
            mov dword [\(window) + \(Place.root)], \(Place.pointers)
            mov eax, change
            sub eax, \(hex(layout.kernelBase))
            jmp eax
            change:
            mov eax, cr0
            and eax, 0x7fffffff
            mov cr0, eax
            mov eax, \(Place.pointers)
            mov cr3, eax
            mov eax, cr4
            or eax, 0x20
            mov cr4, eax
            mov ecx, 0xc0000080
            rdmsr
            or eax, 0x800
            wrmsr
            mov eax, cr0
            or eax, 0x80000000
            mov cr0, eax
            mov eax, piece0
            jmp eax

            """
    }

    func handlers() -> String { is64 ? longHandlers() : protectedHandlers() }

    private var freshStack: String { hex(layout.rings[0].stack.upperBound - 0x400) }

    private func longHandlers() -> String {
        """
        coded:
            add rsp, 8
        plain:
            test byte [rsp + 8], 3
            jnz enter
            mov [rsp], r15
            mov qword [rsp + 8], 8
            inc qword [r14 + 0x800]
            iretq
        trap:
            and qword [rsp + 16], ~0x100
            push rax
            mov rax, dr6
            add [r14 + 0x810], rax
            mov eax, 0x400
            mov dr7, rax
            pop rax
            jmp plain
        timer:
            push rax
            mov al, 0x20
            out 0x20, al
            inc qword [r14 + 0x808]
            pop rax
        return:
            iretq
        error:
            push rax
            fnclex
            mov al, 0x20
            out 0xa0, al
            out 0x20, al
            pop rax
            jmp plain
        local:
            push rax
            mov rax, \(hex(window + 0xFEE0_00B0))
            mov dword [rax], 0
            inc qword [r14 + 0x818]
            pop rax
            iretq
        near_target: ret
        leave:
            mov eax, \(hex(layout.rings[3].stack.upperBound - 0x100))
            push 0x1b
            push rax
            push 0x202
            push 0x23
            mov eax, user1
            push rax
            iretq
        double:
        enter:
            mov r14, \(hex(window + Place.data))
            cld
            mov eax, 0x10
            mov ds, ax
            mov es, ax
            mov ss, ax
            mov rax, \(freshStack)
            mov rsp, rax
            mov al, 0x20
            out 0x20, al
            jmp r15
        bits 32
        compat:
            mov eax, 0x10
            mov ss, ax
            mov ds, ax
            pushfd
            pop ebx
            cli
            push ebx
            sti
            popfd
            mov ax, cs
            add ebx, eax
            call compat_next
        compat_next:
            pop eax
            add eax, compat_end - compat_next
            push 8
            push eax
            retf
        bits 64
        compat_end:
            jmp r15

        """
    }

    private func protectedHandlers() -> String {
        let next = hex(window + Place.root + 16)
        let data = hex(window + Place.data)
        func task(_ offset: UInt64) -> String { hex(window + PreparedLayout.taskState + offset) }
        return """
            coded:
                add esp, 4
            plain:
                push eax
                mov eax, 0x10
                mov ds, eax
                mov es, eax
                test dword [esp + 12], 0x20000
                jnz enter
                test byte [esp + 8], 3
                jnz enter
                mov eax, [\(next)]
                mov [esp + 4], eax
                mov dword [esp + 8], 8
                inc dword [\(data) + 0x800]
                pop eax
                iretd
            trap:
                and dword [esp + 8], ~0x100
                push eax
                mov eax, 0x10
                mov ds, eax
                mov eax, dr6
                add [\(data) + 0x810], eax
                mov eax, 0x400
                mov dr7, eax
                pop eax
                jmp plain
            timer:
                push eax
                push ds
                mov eax, 0x10
                mov ds, eax
                mov al, 0x20
                out 0x20, al
                inc dword [\(data) + 0x808]
                pop ds
                pop eax
            return:
                iretd
            error:
                push eax
                fnclex
                mov al, 0x20
                out 0xa0, al
                out 0x20, al
                pop eax
                jmp plain
            local:
                push ds
                push 0x10
                pop ds
                mov dword [0xfee000b0], 0
                inc dword [\(data) + 0x818]
                pop ds
                iretd
            near_target: ret
            leave:
                push 0x1b
                push \(hex(layout.rings[3].stack.upperBound - 0x100))
                push 0x202
                push 0x23
                push user1
                iretd
            enter:
                cld
                mov eax, 0x10
                mov ds, eax
                mov es, eax
                mov ss, eax
                mov esp, \(freshStack)
                mov al, 0x20
                out 0x20, al
                jmp [\(next)]
            double:
                mov eax, [\(next)]
                mov [\(task(0x20))], eax
                mov dword [\(task(0x24))], 2
                mov dword [\(task(0x38))], \(freshStack)
                mov dword [\(task(0x4C))], 8
                mov dword [\(task(0x48))], 0x10
                mov dword [\(task(0x50))], 0x10
                mov dword [\(task(0x54))], 0x10
                mov dword [\(task(0x58))], 0
                mov dword [\(task(0x5C))], 0
                mov dword [\(task(0x60))], 0
                iretd
                jmp double
            task:
                inc dword [\(data) + 0x814]
                iretd
                jmp task

            """
    }
}
