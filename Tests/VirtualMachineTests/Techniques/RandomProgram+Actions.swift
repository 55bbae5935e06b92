import VirtualMachine

// What pieces of a random program do that any code may do, and what only privileged code may.
extension RandomProgram {
    mutating func action() -> String {
        switch random.below(26) {
        case 0...3: arithmetic()
        case 4...6: memory()
        case 7: strings()
        case 8...9: flags()
        case 10...11: control()
        case 12: modelSpecific()
        case 13...14: system()
        case 15: segments()
        case 16...18: paging()
        case 19: floating()
        case 20: selfModification()
        case 21: debugging()
        case 22: devices()
        case 23: rare()
        default: excursion()
        }
    }

    private mutating func arithmetic() -> String {
        let width = is64 && random.chance(1, in: 2) ? 64 : 32
        let (a, b) = (register(width), register(width))
        switch random.below(11) {
        case 0: return "\(random.pick(["add", "sub", "adc", "sbb", "and", "or", "xor", "cmp"])) \(a), \(b)"
        case 1: return "\(random.pick(["add", "sub", "and", "xor", "test"])) \(a), \(random.below(100))"
        case 2: return "\(random.pick(["shl", "shr", "sar", "rol", "rcr"])) \(a), \(random.below(40))"
        case 3: return "imul \(a), \(b)"
        case 4: return "\(random.pick(["bt", "bts", "btr"])) \(a), \(random.below(64))"
        case 5: return "\(random.pick(["inc", "dec", "neg", "not", "mul", "div", "idiv"])) \(a)"
        case 6: return "mov \(a), \(number())"
        case 7: return "lea \(a), [\(wide("ax")) + \(wide("dx")) * 4 + \(random.below(4096))]"
        case 8: return random.pick(["bswap \(a)", "xchg \(a), \(b)", "setc al\nadd \(a), \(b)"])
        case 9: return "shld \(a), \(b), \(random.below(40))\nbsf \(b), \(a)"
        default: return "cmov\(random.pick(["z", "c", "s", "o", "l"])) \(a), \(b)"
        }
    }

    private mutating func memory() -> String {
        let width = is64 && random.chance(1, in: 2) ? 64 : 32
        let a = register(width)
        switch random.below(9) {
        case 0, 1: return "mov \(place()), \(a)"
        case 2, 3: return "mov \(a), \(place())"
        case 4: return "\(random.pick(["lock add", "lock xadd", "xchg", "lock cmpxchg"])) \(place()), \(a)"
        case 5: return "push \(wide("ax"))\npop \(wide("bx"))"
        case 6: return "push \(word) \(place())\npop \(word) \(place())"
        case 7: return "lock cmpxchg8b [\(data) + \(random.below(400) * 8)]\nbts dword \(place()), \(random.below(32))"
        default: return "\(random.pick(["movzx", "movsx"])) eax, \(random.pick(["byte", "word"])) \(place())"
        }
    }

    /// String instructions over data, the private pages and the border between them.
    private mutating func strings() -> String {
        let sizes = is64 ? ["b", "w", "d", "q"] : ["b", "w", "d"]
        let size = random.pick(sizes)
        var text = random.chance(1, in: 3) ? "std\n" : "cld\n"
        text += "mov ecx, \(random.pick([0, 1, 3, 20, 300]))\n"
        func pointer(_ name: String, _ isPrivate: Bool, _ offset: Int) -> String {
            let address = (isPrivate ? privatePages : window + Place.data) + UInt64(offset)
            return "mov \(wide(name)), \(hex(address))\n"
        }
        text += pointer("si", random.chance(1, in: 3), 0x700 + random.below(0x2000))
        text += pointer("di", random.chance(1, in: 3), 0x700 + random.below(0x2000))
        switch random.below(7) {
        case 0: text += "rep movs\(size)"
        case 1: text += "rep stos\(size)"
        case 2: text += "\(random.pick(["repe", "repne"])) cmps\(size)"
        case 3: text += "\(random.pick(["repe", "repne"])) scas\(size)"
        case 4: text += "rep lods\(size)"
        case 5: text += "mov edx, 0x80\nmov ecx, \(random.below(9))\nrep outsb"
        default: text += "mov edx, 0x61\nmov ecx, \(random.below(9))\nrep insb"
        }
        return text + "\ncld"
    }

    private mutating func flags() -> String {
        let (push, pop) = is64 ? ("pushfq", "popfq") : ("pushfd", "popfd")
        switch random.below(11) {
        case 0, 1: return "\(push)\npop \(wide("ax"))\nadd ebx, eax"
        case 2: return "push \(hex(random.next() & 0x24CFF))\n\(pop)"
        case 3: return random.chance(1, in: 3) ? "push \(hex(random.next() & 0x44FFF))\n\(pop)" : "cli"
        case 4: return "sti"
        case 5: return "cli"
        case 6: return "sti\nnop\ncli"
        case 7: return random.pick(["cld", "std\ncld", "clc", "stc", "cmc", "lahf", "sahf"])
        case 8: return "sti\nhlt"
        case 9: return "push \(hex(random.next() & 0x8D5 | 0x202))\n\(pop)\n\(push)\n\(pop)"
        default: return random.pick(["clac", "stac", "stac\n\(push)\npop \(wide("ax"))\nclac"])
        }
    }

    private mutating func control() -> String {
        let a = wide("ax")
        switch random.below(17) {
        case 0: return "mov \(a), cr\(random.pick([0, 2, 3, 4]))\nmov \(place()), \(a)"
        case 1: return "mov \(a), cr3\nmov cr3, \(a)"
        // TS, MP, EM, AM, WP, NE; then those that are refused.
        case 2: return "mov \(a), cr0\nxor eax, \(hex(1 << UInt64(random.pick([1, 2, 3, 5, 16, 18]))))\nmov cr0, \(a)"
        case 3: return "mov \(a), cr0\nor \(a), \(hex(1 << UInt64(random.pick([6, 29, 17]))))\nmov cr0, \(a)"
        case 4, 5:
            let bits = [0, 0, 1, 1, 2, 3, 7, 8, 9, 10, 11, 16, 17, 18, 20, 21, 21]
            return "mov \(a), cr4\nxor eax, \(hex(1 << UInt64(random.pick(bits))))\nmov cr4, \(a)"
        case 6: return "mov \(a), cr4\nxor eax, \(hex(1 << UInt64(random.pick([13, 14, 19, 24, 31]))))\nmov cr4, \(a)"
        case 7: return "clts"
        case 8: return "smsw eax\n\(random.chance(1, in: 2) ? "xor eax, \(random.pick([2, 4, 8]))\n" : "")lmsw ax"
        case 9: return is64 ? "mov rax, cr8\nmov eax, \(random.pick([0, 1, 4, 15, 16]))\nmov cr8, rax" : "nop"
        case 10: return random.pick(["invd", "wbinvd", "invlpg \(place())"])
        case 11: return "mov \(a), cr2\ninc \(a)\nmov cr2, \(a)"
        case 12: return "xor ecx, ecx\nxgetbv\nor eax, \(random.pick([0, 1, 2, 4, 8]))\nxsetbv"
        case 13, 14:
            // The other address space and back, with and without an identifier.
            let (load, operand) = physical(Place.root, by: "rdx")
            let flags = hex(UInt64(random.pick([0, 0, 0, 8, 16, 1, 0xFFF])))
            return "\(load)\(random.chance(1, in: 2) ? "mov \(a), \(operand)" : "mov \(a), \(hex(otherRoot))")\n"
                + "or \(a), \(flags)\nmov cr3, \(a)"
        case 15:
            return is64 && random.chance(1, in: 3) ? "mov rax, cr3\nbts rax, 63\nmov cr3, rax" : "db 0x0f, 0x22, 0xc8"
        default:
            let type = random.below(5)
            return "mov eax, \(type)\nmov \(word) [\(data) + 256], \(random.pick([0, 0, 8]))\n"
                + "mov \(word) [\(data) + \(256 + 8)], \(hex(privatePages & 0x7FFF_FFFF))\n"
                + "invpcid \(a), [\(data) + 256]"
        }
    }

    private var otherRoot: UInt64 { mode == .extended ? Place.pointers + 0x20 : Place.otherRoot }

    private mutating func modelSpecific() -> String {
        let index = random.pick([
            0x10, 0x1B, 0x3A, 0x48, 0x174, 0x175, 0x176, 0x1A0, 0x1D9, 0x277, 0x2FF, 0x480, 0x6E0, 0xC000_0080,
            0xC000_0081, 0xC000_0082, 0xC000_0084, 0xC000_0100, 0xC000_0101, 0xC000_0102, 0xC000_0103, 0xC001_0114,
            0x1234_5678,
        ])
        switch random.below(8) {
        case 0...2: return "mov ecx, \(index)\nrdmsr\nxor ebx, eax"
        case 3:
            // SCE and NXE; LME and LMA keep what they are or fault.
            return "mov ecx, 0xc0000080\nrdmsr\nxor eax, \(random.pick(["1", "0x800", "0x100", "0x400"]))\nwrmsr"
        case 4:
            // The local APIC where it is, or in front of the data.
            return
                "mov ecx, 0x1b\nmov eax, \(random.pick(["0xfee00900", "0xfee00900", "0x203900"]))\nxor edx, edx\nwrmsr"
        case 5:
            return "mov ecx, 0x277\nmov eax, \(random.pick(["0x00070406", "0x01010101", "0x02020202"]))\n"
                + "mov edx, eax\nwrmsr"
        case 6: return "mov ecx, \(random.pick([0x10, 0x6E0, 0x1D9]))\nmov eax, \(random.below(3))\nxor edx, edx\nwrmsr"
        default:
            let writes = [
                0x174, 0x176, 0xC000_0084, 0xC000_0100, 0xC000_0101, 0xC000_0102, 0xC000_0103, 0x48, 0x1234_5678,
            ]
            let high = random.pick(["0", "0", "0", "0x1234", "-1"])
            return "mov ecx, \(random.pick(writes))\nmov eax, \(hex(random.next() & 0xFFFF))\nmov edx, \(high)\nwrmsr"
        }
    }

    private mutating func system() -> String {
        switch random.below(17) {
        case 0: return "sgdt \(place())\nsidt \(place())"
        case 1: return "sgdt [\(data) + 64]\nlgdt [\(data) + 64]"
        case 2: return "sidt [\(data) + 96]\nlidt [\(data) + 96]"
        case 3: return "sldt eax\nstr ebx\nsmsw ecx"
        case 4: return "mov ax, \(random.pick(["cs", "ss", "ds", "es", "fs", "gs"]))\nadd ebx, eax"
        case 5, 6:
            return "mov ecx, \(random.pick([8, 0x10, 0x1B, 0x23, 0x48, 0, 0x1000, 0x29, 0x100, 0x200, 0x208]))\n"
                + "\(random.pick(["lar eax, ecx", "lsl eax, ecx", "verr cx", "verw cx"]))\nsetz bl"
        case 7: return "mov eax, \(random.pick([0, 0x10, 0x48, 0x50, 0x210]))\n\(random.pick(["lldt ax", "ltr ax"]))"
        case 8: return random.pick(["rdtsc\nxor ebx, eax", "rdtscp\nxor ebx, ecx", "rdpid \(wide("ax"))"])
        case 9:
            return "mov eax, \(random.pick([0, 1, 7, 0xD, 0x8000_0001, 0x8000_0008, 0x4000_0000, 0x15, 0xB]))\n"
                + "mov ecx, \(random.below(3))\ncpuid\nxor ebx, edx"
        case 10:
            return random.pick([
                "int3", "int 0x40", "ud2", "int 0x30", "vmcall", "vmxoff", "rdpmc", "vmmcall", "int 0x46", "vmrun",
                "stgi", "vmlaunch", "int 0x20", "int 13", "monitor", "mwait", "syscall",
                // INT1, RSM and GETSEC.
                "db 0xf1", "db 0x0f, 0xaa", "db 0x0f, 0x37",
            ])
        case 11: return is64 ? "swapgs\nrdgsbase rax\nwrfsbase rbx" : "into\nint 0x44"
        case 12: return "rdrand eax\nadd ebx, eax"
        case 13: return is64 ? "mov eax, gs:[\(random.below(64))]" : "bound eax, \(place())"
        case 14: return is64 ? "sysret" : "arpl ax, bx\naaa\ndaa"
        case 15: return is64 ? "rdfsbase rax\nmov fs:[rax], eax" : "pusha\npopa"
        default: return "push \(word) \(random.below(1000))\nenter 16, \(random.below(3))\nleave"
        }
    }

    /// Entries of page tables of its own that map a part of the data pages, and those tables themselves.
    private mutating func paging() -> String {
        let page = UInt64(random.below(8))
        let a = wide("ax")
        let large = random.chance(1, in: 10)
        let table = random.chance(1, in: 4) ? Place.otherTable : Place.table
        let entryAddress = table + page * UInt64(entrySize)
        let (load, entry) = physical(entryAddress, by: "rdx")
        let mapped = hex(privatePages + page << 12)
        let frames: [UInt64] = [
            Place.data, Place.data + 0x1000, Place.data + 0x2000, Place.data + 0x3000, Place.table, Place.otherTable,
            0x1000, 0x3F_F000, 0x40_0000, 0xFEE0_0000,
        ]
        let frame = frames[random.chance(1, in: 3) ? random.below(frames.count) : random.below(4)]
        let bits = random.pick([0, 1, 3, 3, 3, 7, 7, 5, 0x21, 0x23, 0x63, 0x103, 0x1B, 0x83] as [UInt64])
        switch random.below(large ? 9 : 8) {
        case 0, 1:
            var text = "\(load)mov dword \(entry), \(hex(frame | bits))\n"
            if entrySize == 8, random.chance(1, in: 4) {
                let high = random.pick(["0x80000000", "0x80000000", "0x10", "0"])
                let (load, operand) = physical(entryAddress + 4, by: "rdx")
                text += "\(load)mov dword \(operand), \(high)\n"
            }
            return text + (random.chance(1, in: 3) ? "" : invalidate(mapped))
        case 2: return "mov \(a), \(mapped)\nmov ebx, [\(a) + \(random.below(1020) * 4)]"
        case 3: return "mov \(a), \(mapped)\nmov [\(a) + \(random.below(1020) * 4)], ebx"
        case 4: return "\(load)mov \(a), \(entry)\nadd ebx, eax\nand dword \(entry), ~0x60\n" + invalidate(mapped)
        // A call that comes back, if the page can be written and executed.
        case 5: return "mov \(a), \(mapped)\nmov byte [\(a)], 0xc3\ncall \(a)"
        case 6: return "mov \(a), \(mapped)\n\(random.pick(["lock inc", "neg", "not"])) dword [\(a) + 4092]"
        case 7:
            return "mov \(a), \(mapped)\nmov ecx, \(random.pick(["0x203", "0x200003", "0x200063"]))\n"
                + "mov [\(a) + \(random.below(8) * entrySize)], ecx"
        default:
            // The entry that leads to the page table: another table, a large page, nothing, read-only.
            let value = random.pick([
                Place.table | 3, Place.table | 3, Place.otherTable | 3, 0x20_0083, 0, Place.table | 1,
            ])
            let (load, operand) = physical(directoryEntry, by: "rdx")
            return "\(load)mov dword \(operand), \(hex(value))\n" + (random.chance(1, in: 2) ? "" : invalidate(mapped))
        }
    }

    /// The physical address of the entry that leads to the private page table.
    private var directoryEntry: UInt64 {
        switch mode {
        case .long: Place.directories + 0x1000
        case .protected: Place.otherRoot + 0x280 * 4
        case .extended: Place.pointers + 0x1000 + 0x280 * 16
        }
    }

    private func invalidate(_ address: String) -> String {
        "mov \(wide("ax")), \(address)\ninvlpg [\(wide("ax"))]"
    }

    private mutating func floating() -> String {
        random.pick([
            "fld1", "fldpi", "fstp st0", "fadd st0, st1", "fnstsw ax", "fninit", "movd xmm0, eax", "paddd xmm1, xmm0",
            "cvtsi2sd xmm2, eax", "addsd xmm3, xmm2", "movaps xmm4, xmm3", "fwait", "fnclex", "fldz\nfld1\nfdivrp",
            "mov dword \(place()), 0x37e\nfldcw [\(data) + 8]", "fxsave [\(data) + 512]", "fxrstor [\(data) + 512]",
            "fxsave [\(data) + 520]", "divsd xmm3, xmm5", "movups [\(data) + 40], xmm1", "movaps [\(data) + 40], xmm1",
            "mov eax, 7\nxor edx, edx\nxsave [\(data) + 1024]", "emms",
            "fnsave [\(data) + 1200]\nfnstenv [\(data) + 1400]",
            "stmxcsr [\(data) + 32]\nldmxcsr [\(data) + 32]",
            "mov dword [\(data) + 36], 0x1f00\nldmxcsr [\(data) + 36]",
            "mov dword [\(data) + 36], 0x1f80\nldmxcsr [\(data) + 36]",
        ])
    }

    /// Code that changes code ahead of it or behind it, at its own address or by way of the window.
    private mutating func selfModification() -> String {
        let name = label()
        let a = wide("cx")
        let kernel = layout.kernelBase
        var text = load(a, label: name) + "\n"
        if random.chance(1, in: 2) {
            // The same bytes at another linear address.
            text += is64 ? "mov rdx, \(hex(window &- kernel))\nadd rcx, rdx\n" : "sub ecx, \(hex(kernel - window))\n"
        }
        switch random.below(5) {
        case 0: return text + "mov dword [\(a) + 1], \(random.below(100_000))\n\(name): mov eax, 5\nadd ebx, eax"
        case 1: return text + "inc byte [\(a) + 1]\n\(name): mov al, 7\nadd ebx, eax"
        case 2: return text + "xor byte [\(a)], 8\n\(name): add eax, ebx\nadd edx, eax"
        case 3: return text + "xor byte [\(a)], 1\n\(name): jz \(name)e\ninc ebx\n\(name)e: dec edx"
        default:
            // A nop becomes CLI or STI, and the other way round.
            return text + "mov byte [\(a)], \(random.pick(["0x90", "0xfa", "0xfb", "0xfc"]))\n\(name): nop\ninc ebx"
        }
    }

    private mutating func debugging() -> String {
        let a = wide("ax")
        switch random.below(7) {
        case 0: return "mov \(a), dr\(random.pick([0, 1, 4, 6, 7]))\nmov \(place()), \(a)"
        case 1: return "mov eax, \(hex(random.next() & 0xFFFF))\nmov dr\(random.pick([0, 1, 2, 3, 6])), \(a)"
        case 2:
            let name = label()
            return load(a, label: name)
                + "\nmov dr0, \(a)\nmov eax, 0x402\nmov dr7, \(a)\nnop\n\(name): inc ebx\ndec edx"
        case 3, 4:
            // A data or port breakpoint; the handler switches it off.
            let control = random.pick(["0xd0402", "0xf0402", "0x10402", "0x20402"])
            return "mov \(a), \(hex(window + Place.data + UInt64(random.below(8) * 4)))\nmov dr0, \(a)\n"
                + "mov eax, \(control)\nmov dr7, \(a)\nmov ebx, [\(data) + \(random.below(8) * 4)]\n"
                + "mov [\(data) + \(random.below(32))], ebx\nin al, 0x61"
        case 5: return "mov eax, 0x2400\nmov dr7, \(a)\nmov \(a), dr6"
        default: return "push 0x102\n\(is64 ? "popfq" : "popfd")\ninc ebx\ndec edx"
        }
    }

    private mutating func devices() -> String {
        let lapic: UInt64 = 0xFEE0_0000
        func local(_ register: UInt64) -> (String, String) {
            is64 ? ("mov rdx, \(hex(window + lapic + register))\n", "[rdx]") : ("", "[\(hex(lapic + register))]")
        }
        switch random.below(9) {
        case 0: return "in al, \(random.pick([0x20, 0x21, 0x61, 0x71, 0x40, 0x80, 0x92]))\nadd ebx, eax"
        case 1: return "mov eax, \(random.below(256))\nout \(random.pick([0x80, 0xE9, 0x70, 0xED])), al"
        case 2:
            return "mov edx, \(random.pick([0x3F8, 0x3FD, 0x3D4, 0xCF8]))\nin \(random.pick(["al", "eax", "ax"])), dx"
        case 3: return "mov eax, 0x80000000\nmov edx, 0xcf8\nout dx, eax\nmov edx, 0xcfc\nin eax, dx\nadd ebx, eax"
        case 4: return "mov al, 0\nout 0x43, al\nin al, 0x40\nadd ebx, eax\nin al, 0x40"
        case 5:
            let (load, operand) = local(random.pick([0x20, 0x30, 0x80, 0xA0, 0x390, 0x280]))
            return load + "mov eax, \(operand)\nadd ebx, eax"
        case 6:
            // An interrupt to itself, for which the local APIC must be on.
            let (enable, register) = local(0xF0)
            let (load, operand) = local(0x300)
            return enable + "mov dword \(register), 0x1ff\n" + load + "mov dword \(operand), 0x44045\nsti\nnop\nnop"
        case 7:
            let (load, operand) = local(0x80)
            return load + "mov dword \(operand), \(random.pick([0, 0x30, 0x50, 0xF0]))"
        default: return "mov al, \(random.pick(["0x0a", "0x0b"]))\nout 0x20, al\nin al, 0x20\nadd ebx, eax"
        }
    }

    /// What kernels hardly do: bad stacks, prefixes that fault, bytes of no meaning.
    private mutating func rare() -> String {
        let sp = wide("sp")
        switch random.below(8) {
        case 0: return "mov \(sp), \(random.pick(["0x1000", "0xb0000000", "3"]))\npush \(wide("ax"))"
        case 1: return "add \(sp), \(random.below(5))\npush \(wide("ax"))\n\(random.pick(["ud2", "nop", "div eax"]))"
        case 2: return "db 0xf0\nmov eax, ebx"
        case 3:
            let target =
                is64 ? random.pick(["0x1234567812345678", "0x7ffffffffffe"]) : random.pick(["0x1000", "0xd0000000"])
            let a = wide("ax")
            let uses = ["jmp \(a)", "call \(a)", "mov eax, [\(a)]", "push \(a)\nret"]
            return "mov \(a), \(target)\n\(random.pick(uses))"
        case 4: return "mov eax, 0x10\nmov ss, eax\nint3"
        case 5:
            return random.pick([
                "pause", "prefetchw \(place())", "clflush \(place())", "lfence", "mfence", "movnti \(place()), eax",
            ])
        case 6: return is64 ? "db 0x48, 0x0f, 0xb2, 0x24, 0x24" : "lss esp, [esp]"
        default:
            guard random.chance(1, in: 3) else { return "nop" }
            let bytes = (0..<4 + random.below(10)).map { _ in hex(random.next() & 0xFF) }
            return "db \(bytes.joined(separator: ", "))\ntimes 15 db 0x90"
        }
    }
}
