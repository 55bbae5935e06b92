import VirtualMachine
import X86

/// A random program for ring 0, with excursions to ring 3 and timer interrupts.
///
/// It consists of small pieces; whatever a piece raises, the handler goes on with the next one. The program never ends.
struct RandomProgram {
    let environment: PreparedLayout.Environment
    private var random: SplitMix
    private var is64: Bool { environment == .long }

    init(_ environment: PreparedLayout.Environment, seed: UInt64) {
        self.environment = environment
        random = SplitMix(state: seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678)
    }

    /// SplitMix64.
    struct SplitMix {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
            return word ^ word >> 31
        }
        mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
        mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }
    }

    // MARK: Names

    /// Where the next piece begins.
    private var landing: String { is64 ? "r15" : "ebp" }
    /// A page of data.
    private var data: String { is64 ? "r14" : "esi" }
    private var stackPointer: String { is64 ? "rsp" : "esp" }
    private var word: String { is64 ? "qword" : "dword" }
    private var wordSize: Int { is64 ? 8 : 4 }
    private var window: UInt64 { is64 ? 0xFFFF_8000_0000_0000 : 0x8000_0000 }

    private mutating func register() -> String {
        random.pick(
            is64
                ? ["rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "eax", "ecx", "edx", "ebx", "r10d", "r11d"]
                : ["eax", "ecx", "edx", "ebx"])
    }

    private mutating func same(_ width: Int) -> String {
        width == 64 ? random.pick(["rax", "rcx", "rdx", "rbx", "r8"]) : random.pick(["eax", "ecx", "edx", "ebx"])
    }

    private mutating func place() -> String { "[\(data) + \(random.below(500) * 8 + random.below(2) * 3)]" }

    private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    private mutating func number() -> String {
        random.pick(["0", "1", "-1", "0x7fffffff", "0x80", hex(random.next() & 0x7FFF_FFFF), hex(random.next() & 0xFF)])
    }

    // MARK: Pieces

    private mutating func arithmetic() -> String {
        let width = is64 && random.below(2) == 0 ? 64 : 32
        let (a, b) = (same(width), same(width))
        switch random.below(9) {
        case 0: return "\(random.pick(["add", "sub", "adc", "sbb", "and", "or", "xor", "cmp"])) \(a), \(b)"
        case 1: return "\(random.pick(["add", "sub", "and", "xor", "test"])) \(a), \(random.below(100))"
        case 2: return "\(random.pick(["shl", "shr", "sar", "rol", "rcr"])) \(a), \(random.below(40))"
        case 3: return "imul \(a), \(b)"
        case 4: return "\(random.pick(["bt", "bts", "btr"])) \(a), \(random.below(64))"
        case 5: return "\(random.pick(["inc", "dec", "neg", "not", "mul", "div", "idiv"])) \(a)"
        case 6: return "mov \(a), \(number())"
        case 7: return "lea \(a), [\(is64 ? "rax" : "eax") + \(random.below(4096))]"
        default: return "cmov\(random.pick(["z", "c", "s", "o", "l"])) \(a), \(b)"
        }
    }

    private mutating func memory() -> String {
        let width = is64 && random.below(2) == 0 ? 64 : 32
        let a = same(width)
        switch random.below(8) {
        case 0, 1: return "mov \(place()), \(a)"
        case 2, 3: return "mov \(a), \(place())"
        case 4: return "\(random.pick(["lock add", "lock xadd", "xchg"])) \(place()), \(a)"
        case 5: return "push \(is64 ? "rax" : "eax")\npop \(is64 ? "rbx" : "ebx")"
        case 6:
            return "mov ecx, \(random.below(20))\npush \(landing)\nmov \(is64 ? "rdi" : "edi"), \(data)\n"
                + "cld\nrep \(random.pick(["stosb", "stosd"]))\npop \(landing)"
        default: return "\(random.pick(["movzx", "movsx"])) eax, \(random.pick(["byte", "word"])) \(place())"
        }
    }

    private mutating func flags() -> String {
        let flags = is64 ? "popfq" : "popfd"
        switch random.below(9) {
        case 0, 1: return is64 ? "pushfq\npop rax" : "pushfd\npop eax"
        case 2: return "push \(hex(random.next() & 0x24CFF))\n\(flags)"
        case 3: return random.below(6) == 0 ? "push \(hex(random.next() & 0x44FFF))\n\(flags)" : "cli"
        case 4: return "sti"
        case 5: return "cli"
        case 6: return "sti\nnop\ncli"
        case 7: return random.pick(["cld", "std\ncld", "clc", "stc", "cmc", "lahf", "sahf"])
        default: return random.pick(["clac", "stac"])
        }
    }

    private mutating func control() -> String {
        let a = is64 ? "rax" : "eax"
        switch random.below(14) {
        case 0: return "mov \(a), cr\(random.pick([0, 2, 3, 4]))\nmov \(place()), \(a)"
        case 1: return "mov \(a), cr3\nmov cr3, \(a)"
        // TS, MP, EM, AM, WP, NE; then those that are refused.
        case 2: return "mov \(a), cr0\nxor eax, \(hex(1 << UInt64(random.pick([1, 2, 3, 5, 16, 18]))))\nmov cr0, \(a)"
        case 3: return "mov \(a), cr0\nor \(a), \(hex(1 << UInt64(random.pick([6, 29, 17]))))\nmov cr0, \(a)"
        case 4:
            return
                "mov \(a), cr4\nxor eax, \(hex(1 << UInt64(random.pick([2, 3, 7, 8, 9, 10, 11, 16]))))\nmov cr4, \(a)"
        case 5: return "mov \(a), cr4\nxor eax, \(hex(1 << UInt64(random.pick([13, 14, 19, 24]))))\nmov cr4, \(a)"
        case 6: return "clts"
        case 7: return "smsw eax\nlmsw ax"
        case 8: return is64 ? "mov rax, cr8" : "nop"
        case 9: return "mov \(a), dr\(random.pick([0, 1, 6, 7]))\nmov \(place()), \(a)"
        case 10: return "mov eax, \(hex(random.next() & 0xFFFF))\nmov dr\(random.pick([0, 1, 2, 3, 6])), \(a)"
        case 11: return random.pick(["invd", "wbinvd", "invlpg \(place())"])
        case 12: return "mov \(a), cr2\ninc \(a)\nmov cr2, \(a)"
        default: return "xor ecx, ecx\nxgetbv"
        }
    }

    private mutating func modelSpecific() -> String {
        let index = random.pick([
            0x10, 0x1B, 0x3A, 0x48, 0x174, 0x175, 0x176, 0x1A0, 0x277, 0x2FF, 0x480, 0x6E0, 0xC000_0080, 0xC000_0081,
            0xC000_0082, 0xC000_0084, 0xC000_0100, 0xC000_0101, 0xC000_0102, 0xC000_0103, 0x1234_5678,
        ])
        // FS.base and GS.base are not used; EFER keeps its mode.
        let writes = [0x174, 0x175, 0x176, 0xC000_0084, 0xC000_0100, 0xC000_0102, 0xC000_0103, 0x48, 0x1234_5678]
        if random.below(2) == 0 {
            return "mov ecx, \(random.pick(writes))\nmov eax, \(hex(random.next() & 0xFFFF))\nxor edx, edx\nwrmsr"
        }
        return "mov ecx, \(index)\nrdmsr\nxor ebx, eax"
    }

    private mutating func system() -> String {
        switch random.below(16) {
        case 0: return "sgdt \(place())\nsidt \(place())"
        case 1: return "sgdt [\(data) + 64]\nlgdt [\(data) + 64]"
        case 2: return "sidt [\(data) + 96]\nlidt [\(data) + 96]"
        case 3: return "sldt eax\nstr ebx\nsmsw ecx"
        case 4: return "mov ax, \(random.pick(["cs", "ss", "ds", "es", "fs", "gs"]))\nadd ebx, eax"
        case 5:
            return "mov eax, \(random.pick([0, 3, 8, 0x10, 0x1B, 0x13, 0x48, 0x50, 0x5B, 0x1000]))\n"
                + "mov \(random.pick(["es", "fs", "gs"])), ax"
        case 6:
            return "mov ecx, \(random.pick([8, 0x10, 0x1B, 0x23, 0x48, 0, 0x1000]))\n"
                + "\(random.pick(["lar eax, ecx", "lsl eax, ecx", "verr cx", "verw cx"]))"
        case 7: return "mov eax, \(random.pick([0, 0x10, 0x48, 0x50]))\n\(random.pick(["lldt ax", "ltr ax"]))"
        case 8: return "rdtsc\nxor ebx, eax"
        case 9:
            return "mov eax, \(random.pick([0, 1, 7, 0xD, 0x8000_0001, 0x4000_0000]))\nxor ecx, ecx\ncpuid"
        case 10:
            return random.pick(["int3", "int 0x40", "ud2", "int 0x30", "vmcall", "vmxoff", "rdpmc", "into_or_nop"])
        case 11: return "mov ax, 0x10\nmov ss, ax\nmov eax, \(random.below(100))"
        case 12: return "in al, \(random.pick([0x21, 0x61, 0x71, 0x40, 0x80, 0x92]))\nadd ebx, eax"
        case 13: return "mov eax, \(random.below(256))\nout \(random.pick([0x80, 0xE9, 0x70])), al"
        case 14: return "rdrand eax\nadd ebx, eax"
        default: return "mov edx, \(random.pick([0x3F8, 0x3FD, 0x3D4, 0xCF8]))\nin \(random.pick(["al", "eax"])), dx"
        }
    }

    /// Entries of a page table of its own that maps a part of the data pages.
    private mutating func paging() -> String {
        let page = random.below(4)
        let mapped = hex((is64 ? 0x60_0000_0000 : 0xA000_0000) + UInt64(page) << 12)
        let entry = "[\(data) + \(0x1_0000 + page * (is64 ? 8 : 4))]"
        let a = is64 ? "rax" : "eax"
        let frame = 0x20_0000 + UInt64(random.below(4)) << 12
        let bits = random.pick([0, 1, 3, 3, 3, 7, 0x21, 0x23, 0x63] as [UInt64])
        switch random.below(4) {
        case 0: return "mov dword \(entry), \(hex(frame | bits))\n" + invalidate(mapped)
        case 1: return "mov \(a), \(mapped)\nmov ebx, [\(a) + \(random.below(1000) * 4)]"
        case 2: return "mov \(a), \(mapped)\nmov [\(a) + \(random.below(1000) * 4)], ebx"
        default: return "mov \(a), \(entry)\nadd ebx, eax\nand dword \(entry), ~0x60\n" + invalidate(mapped)
        }
    }

    private func invalidate(_ address: String) -> String {
        "mov \(is64 ? "rax" : "eax"), \(address)\ninvlpg [\(is64 ? "rax" : "eax")]"
    }

    private mutating func floating() -> String {
        random.pick([
            "fld1", "fldpi", "fstp st0", "fadd st0, st1", "fnstsw ax", "fninit", "movd xmm0, eax", "paddd xmm1, xmm0",
            "cvtsi2sd xmm2, eax", "addsd xmm3, xmm2", "movaps xmm4, xmm3", "fwait", "fnclex",
        ])
    }

    private mutating func excursion() -> String {
        if random.below(2) == 0 { return "int 0x41" }
        guard is64 else { return "call far_target" }
        return "push 0x08\nlea rax, [rel back\(labels)]\npush rax\no64 retf\nback\(labels):"
    }

    private var labels = 0
    /// The source of ring 0, for looking at.
    private(set) var lastText = ""

    private mutating func piece() -> String {
        var lines: [String] = []
        for _ in 0..<1 + random.below(4) {
            labels += 1
            switch random.below(20) {
            case 0...4: lines.append(arithmetic())
            case 5...8: lines.append(memory())
            case 9...10: lines.append(flags())
            case 11...12: lines.append(control())
            case 13: lines.append(modelSpecific())
            case 14...15: lines.append(system())
            case 16...17: lines.append(paging())
            case 18: lines.append(floating())
            default: lines.append(excursion())
            }
        }
        return lines.joined(separator: "\n").replacing("into_or_nop", with: is64 ? "nop" : "into")
    }

    // MARK: The whole

    /// The boot source with all of it.
    mutating func bootSource() throws -> BootSource {
        let pieces = 40
        var text = "begin:\n" + prologue()
        for number in 0..<pieces {
            text += "piece\(number):\n" + load(landing, "piece\((number + 1) % pieces)") + "\n" + piece() + "\n"
        }
        text += "jmp \(landing)\n" + handlers()
        let origin = environment.layout.codeOrigin(ring: 0) ?? 0
        lastText = text
        let kernel = try Assembler(mode: is64 ? .bits64 : .bits32, origin: origin).assemble(text)
        let userOrigin = environment.layout.codeOrigin(ring: 3) ?? 0
        let user = try Assembler(mode: is64 ? .bits64 : .bits32, origin: userOrigin).assemble(userCode())
        let code: [PreparedGuest.Code] = [
            .init(ring: 0, origin: origin, bytes: kernel.bytes), .init(ring: 3, origin: userOrigin, bytes: user.bytes),
        ]
        func handler(_ name: String) -> UInt64 { kernel.labels[name] ?? 0 }
        var gates: [PreparedGuest.Gate] = []
        for vector: UInt16 in [0, 1, 3, 4, 5, 6, 7, 9, 16, 17, 18, 19, 0x40] {
            gates.append(
                .init(
                    .interrupt, number: vector, ring: 0, handler: handler(vector == 1 ? "trap" : "plain"), privilege: 3)
            )
        }
        for vector: UInt16 in [8, 10, 11, 12, 13, 14] {
            gates.append(.init(.interrupt, number: vector, ring: 0, handler: handler("coded")))
        }
        gates.append(.init(.interrupt, number: 0x20, ring: 0, handler: handler("timer")))
        gates.append(.init(.interrupt, number: 0x41, ring: 0, handler: handler("leave"), privilege: 3))
        gates.append(.init(.interrupt, number: 0x42, ring: 0, handler: handler("enter"), privilege: 3))
        gates.append(.init(.interrupt, number: 0x43, ring: 0, handler: handler("begin"), privilege: 3))
        return BootSource(.prepared(PreparedGuest(environment, code: code, gates: gates)))
    }

    private func load(_ register: String, _ label: String) -> String {
        is64 ? "lea \(register), [rel \(label)]" : "mov \(register), \(label)"
    }

    /// The interrupt controllers with vectors from 20H on, the timer with a short period, and the page table.
    private func prologue() -> String {
        var text = "mov \(data), \(hex(window + 0x20_0000))\n"
        for (port, value) in [
            (0x20, 0x11), (0xA0, 0x11), (0x21, 0x20), (0xA1, 0x28), (0x21, 4), (0xA1, 2), (0x21, 1), (0xA1, 1),
            (0x21, 0xFE), (0xA1, 0xFF), (0x43, 0x34), (0x40, 3), (0x40, 0),
        ] {
            text += "mov al, \(value)\nout \(port), al\n"
        }
        if is64 {
            // PML4 entry 0, its entry 384, entry 0: the page table at 0x210000.
            text += """
                mov rbx, cr3
                and rbx, ~0xfff
                mov rcx, \(hex(window))
                mov rax, [rbx + rcx]
                and rax, ~0xfff
                mov qword [rax + rcx + 384 * 8], 0x221003
                mov qword [rcx + 0x221000], 0x210003

                """
        } else {
            text += """
                mov ebx, cr3
                and ebx, ~0xfff
                mov dword [ebx + \(hex(window)) + 0xa00], 0x210003

                """
        }
        return text
    }

    private func handlers() -> String {
        let sp = stackPointer
        let (flags, iret) = is64 ? ("pushfq", "iretq") : ("pushfd", "iretd")
        return """
            coded:
                add \(sp), \(wordSize)
            plain:
                test byte [\(sp) + \(wordSize)], 3
                jnz enter
                mov [\(sp)], \(landing)
                inc \(word) [\(data) + 0x800]
                \(iret)
            trap:
                and \(word) [\(sp) + \(2 * wordSize)], ~0x100
                jmp plain
            timer:
                push \(is64 ? "rax" : "eax")
                mov al, 0x20
                out 0x20, al
                inc \(word) [\(data) + 0x808]
                pop \(is64 ? "rax" : "eax")
                \(iret)
            far_target: ret
            leave:
                cld
                mov \(is64 ? "rax" : "eax"), \(hex((environment.layout.rings[3].stack.upperBound) - 0x100))
                push 0x1b
                push \(is64 ? "rax" : "eax")
                \(flags)
                or \(word) [\(sp)], 0x200
                and \(word) [\(sp)], ~0x7100
                push 0x23
                push \(hex((environment.layout.codeOrigin(ring: 3) ?? 0) + 2))
                \(iret)
            enter:
                mov eax, 0x10
                mov ds, ax
                mov es, ax
                mov ss, ax
                mov \(is64 ? "rax" : "eax"), \(hex(environment.layout.rings[0].stack.upperBound - 0x400))
                mov \(sp), \(is64 ? "rax" : "eax")
                jmp \(landing)
            """
    }

    private mutating func userCode() -> String {
        // The guest begins here and goes to ring 0; what comes behind that is for `leave`.
        var lines = ["int 0x43"]
        for _ in 0..<6 {
            switch random.below(5) {
            case 0: lines.append("push 1\npop \(is64 ? "rax" : "eax")")
            case 1: lines.append(is64 ? "pushfq\npop rax" : "pushfd\npop eax")
            default: lines.append(arithmetic())
            }
        }
        lines.append(random.pick(["int 0x42", "hlt", "cli", "in al, 0x80", "mov [\(data)], eax", "ud2", "int 0x40"]))
        lines.append("int 0x42")
        return lines.joined(separator: "\n")
    }
}
