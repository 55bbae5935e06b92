import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// A kernel that calls its hypervisor: the native interface as its documentation describes it.
@Suite struct ParavirtualTests {
    @Test(arguments: [true, false], [ProcessorModel.intel64, .amd64])
    func kernelsCallByInstructionAndByPage(isWide: Bool, model: ProcessorModel) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest(
            """
            mov ebx, 77
            \(kernel.call("version"))\(kernel.store(0))
            \(kernel.call("version", by: "vmmcall"))\(kernel.store(1))
            \(kernel.call("version", by: "int 0x82"))\(kernel.store(2))
            \(kernel.call("writeCallPage", 0x1E_0000))\(kernel.store(3))
            mov edi, text
            mov esi, 11
            mov ecx, 0x1e0010
            call \(kernel.r("cx"))
            \(kernel.store(4))
            mov eax, 999
            vmcall
            \(kernel.store(5))
            \(kernel.store(6, "bx"))
            \(kernel.call("consoleWrite", 0x7F00_0000, 1))\(kernel.store(7))
            \(kernel.call("now"))\(kernel.store(8))
            mov eax, 0x40000000
            cpuid
            \(kernel.store(9, "bx"))
            mov eax, 1
            cpuid
            \(kernel.store(10, "cx"))
            mov cx, cs
            \(kernel.store(11, "cx"))
            """, model: model)
        guest.step(10_000)
        #expect(guest.result(0) == 1 && guest.result(1) == 1 && guest.result(2) == 1)
        #expect(guest.result32(3) == 0 && guest.result(4) == 11)
        #expect(String(decoding: guest.console.output, as: UTF8.self) == "paravirtual")
        #expect(guest.result32(5) == -38 && guest.result(6) == 77 && guest.result32(7) == -14)
        #expect((30..<100).contains(guest.result(8)))
        // "vsna", and the bit that tells of a hypervisor.
        #expect(guest.result(9) == 0x616E_7376 && guest.result(10) >> 31 & 1 == 1)
        // The kernel runs at ring 1 or at ring 3.
        #expect(guest.result(11) & 3 == (isWide ? 3 : 1))
        #expect(guest.result(.faults) == 0)
    }

    /// The machine's processor walks the guest's own tables.
    @Test(arguments: [true, false]) func guestsStartWithPageTablesInTheirMemory(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest("\(kernel.landing("end"))mov byte [0x3fb000], 1")
        #expect(guest.cpu["cr3"] == ParavirtualKernel.firstTables)
        guest.step(1000)
        #expect(guest.result(40) == ParavirtualKernel.firstTables && guest.result(41) == ParavirtualKernel.firstTables)
        #expect(guest.result(42) == 4 << 20)
        #expect(guest.monitor?.machine.state.pointee.cr3 == ParavirtualKernel.firstTables)
        // They are read-only for the kernel: a protection violation by a write, of user code for ring 3.
        #expect(guest.result(.lastVector) == 14 && guest.result(.lastError) == (isWide ? 7 : 3))
        #expect(guest.physicalWord(ParavirtualKernel.shared + 24) == ParavirtualKernel.firstTables)
        // What the debugger shows of linear memory goes by them too.
        #expect(guest.cpu.read(0x10_0000, count: 1) == [0xEB] || guest.cpu.read(0x10_0000, count: 1) == [0xE9])
    }

    @Test(arguments: [true, false]) func pageTablesChangeByCallOnly(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        func update(_ entry: UInt64, _ value: UInt64, _ index: Int) -> String {
            (isWide ? kernel.call("updateEntry", entry, value) : kernel.call("updateEntry", entry, value, 0))
                + kernel.store(index)
        }
        let entry: UInt64 = 0x20_3000 + 0x1F0 * 8
        let guest = try kernel.guest(
            """
            \(kernel.buildTables)
            \(kernel.call("setBase", 0x20_0000))\(kernel.store(0))
            \(kernel.landing("refused"))
            mov dword [0x203000], 0
            mov dword [\(ParavirtualKernel.place(1))], 1
            refused:
            \(update(entry, 0x1F_1007, 2))
            mov dword [0x1f1000], 77
            mov eax, [0x1f0000]
            \(kernel.store(3))
            \(update(entry, 0x40_0007, 4))
            \(update(entry, 0x20_0007, 5))
            \(update(entry, 0x20_0005, 6))
            \(update(0x20_2000, 0x20_0007, 7))
            \(update(0x20_0000 + 384 * 8, 0, 8))
            \(update(0x20_2008, 0x87, 9))
            \(update(0x1F_1000, 0x1F_1007, 10))
            \(kernel.call("pin", 0x1A_0000, 1))\(kernel.store(11))
            \(kernel.call("pin", 0x20_3000, 1))\(kernel.store(12))
            \(kernel.call("pin", 0x20_3000, 1))\(kernel.store(13))
            \(kernel.call("unpin", 0x20_3000))\(kernel.store(14))
            \(kernel.call("unpin", 0x20_3000))\(kernel.store(15))
            \(isWide ? kernel.call("updateMapping", 0x1F_2000, 0) : kernel.call("updateMapping", 0x1F_2000, 0, 0))
            \(kernel.store(16))
            \(kernel.landing("unmapped"))
            mov eax, [0x1f2000]
            mov dword [\(ParavirtualKernel.place(17))], 1
            unmapped:
            mov dword [0x1c0000], 0x203f80
            mov dword [0x1c0004], 0
            mov dword [0x1c0008], 0x1f3007
            mov dword [0x1c000c], 0
            mov dword [0x1c0010], 0x203000
            mov dword [0x1c0014], 0
            mov dword [0x1c0018], 0x201007
            mov dword [0x1c001c], 0
            \(kernel.call("updateEntries", 0x1C_0000, 2))\(kernel.store(18))
            \(kernel.call("setBase", 0x1F_3001))\(kernel.store(19))
            \(kernel.call("setBase", 0x20_3000))\(kernel.store(21))
            \(kernel.call("updateMapping", 0x1F_4000, 0x20_0007, 0))\(kernel.store(20))
            """)
        guest.step(200_000)
        #expect(guest.result32(0) == 0 && guest.cpu["cr3"] == 0x20_0000)
        // The direct write has faulted and not happened.
        #expect(guest.result(1) == 0 && guest.physicalWord(0x20_3000) & 0xFFF & ~0x60 == 7)
        #expect(guest.result32(2) == 0 && guest.result(3) == 77)
        // A frame behind the guest's memory, a page table for writing; for reading it may be mapped.
        #expect(guest.result32(4) == -1 && guest.result32(5) == -16 && guest.result32(6) == 0)
        // A table in the wrong place, the hypervisor's entry, a large page, no page table, the shared page as one.
        #expect(guest.result32(7) == -16 && guest.result32(8) == -1 && guest.result32(9) == -22)
        #expect(guest.result32(10) == -22 && guest.result32(11) == -16)
        #expect(guest.result32(12) == 0 && guest.result32(13) == -16)
        #expect(guest.result32(14) == 0 && guest.result32(15) == -22)
        #expect(guest.result32(16) == 0 && guest.result(17) == 0 && guest.result(.faults) == 2)
        // Of a batch the entries before the first refusal are changed.
        #expect(guest.result(18) == 1 && guest.physicalWord(entry) & ~0x60 == 0x1F_3007)
        // No page, and a page table in place of a top-level one: everything stays as it is.
        #expect(guest.result32(19) == -22 && guest.result32(21) < 0)
        #expect(guest.result32(20) == -16)
        #expect(guest.cpu["cr3"] == 0x20_0000)
    }

    @Test(arguments: [true, false]) func userCodeEntersTheKernelByTraps(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest(
            "\(kernel.landing("after"))\n\(kernel.enterUser)",
            user: """
                mov eax, 1234
                mov ecx, 41
                inc ecx
                \(kernel.store(2, "cx"))
                mov cx, cs
                \(kernel.store(3, "cx"))
                int 0x80
                \(kernel.store(4))
                int 0x81
                after: \(kernel.store(5))
                jmp $
                """)
        guest.step(2_000)
        #expect(guest.result(2) == 42 && guest.result(3) == (isWide ? 0xE04B : 0xE03B))
        #expect(guest.result(.interrupts) == 1)
        // The kernel's code segment in the handler, and RAX is what it was.
        #expect(guest.result(.lastCode) & 3 == (isWide ? 3 : 1) || guest.result(.faults) > 0)
        #expect(guest.result(4) == 1234)
        #expect(guest.transitions.count(from: .ring3, to: .ring0) >= 1)
        #expect(guest.transitions.count(from: .ring0, to: .ring3) >= 1)
        // What the kernel has not let through is a protection fault that names the vector.
        #expect(guest.result(.lastVector) == 13 && guest.result(.lastError) == 0x81 << 3 | 2)
    }

    @Test(arguments: [true, false], ["vmcall", "vmmcall", "int 0x82"])
    func userCodeHasNoCalls(isWide: Bool, instruction: String) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest(
            "\(kernel.landing("end"))\n\(kernel.enterUser)",
            user: "mov eax, 77\n" + kernel.call("version", by: instruction) + kernel.store(2))
        guest.step(10_000)
        #expect(guest.result(.faults) == 1 && guest.result(2) == 0)
        #expect(guest.result(.lastVector) == (instruction == "int 0x82" ? 13 : 6))
        #expect(guest.result(.lastCode) & 3 == 3)
    }

    @Test func systemCallsEnterTheHandler() throws {
        let kernel = ParavirtualKernel(isWide: true)
        let body = "mov edi, called\n\(kernel.call("setSystemCall"))\(kernel.store(0))\(kernel.enterUser)"
        let guest = try kernel.guest(
            body,
            user: """
                syscall
                place:
                \(kernel.store(2))
                syscall
                jmp $
                """)
        guest.step(2_000)
        #expect(guest.result(0) == 0 && guest.result(.systemCalls) == 2)
        // The handler returns RCX, which has the address behind the instruction.
        #expect((0x10_0000..<0x10_1000).contains(guest.result(2)))
        #expect(guest.transitions.count(cause: "syscall") == 2)
        // Without a handler it is an invalid opcode.
        let other = try kernel.guest("\(kernel.landing("end"))\n\(kernel.enterUser)", user: "syscall\n")
        other.step(2_000)
        #expect(other.result(.lastVector) == 6 && other.result(.faults) == 1)
    }

    /// User code in page tables of its own, which do not map the kernel.
    @Test func userCodeOfWideKernelsHasItsOwnAddressSpace() throws {
        let kernel = ParavirtualKernel(isWide: true)
        let guest = try kernel.guest(
            """
            \(kernel.buildTables)
            \(kernel.call("setBase", 0x20_0000))
            // Read-only where they are, then linked: 0x210000 maps 0x400000 to the page of `user`.
            \(kernel.call("updateMapping", 0x21_0000, 0x21_0005))
            \(kernel.call("updateMapping", 0x21_1000, 0x21_1005))
            \(kernel.call("updateMapping", 0x21_2000, 0x21_2005))
            \(kernel.call("updateMapping", 0x21_3000, 0x21_3005))
            \(kernel.call("pin", 0x21_3000, 1))\(kernel.store(0))
            \(kernel.call("updateEntry", 0x21_3000, 0x1F_0005))\(kernel.store(1))
            \(kernel.call("pin", 0x21_2000, 2))
            \(kernel.call("updateEntry", 0x21_2010, 0x21_3007))\(kernel.store(2))
            \(kernel.call("pin", 0x21_1000, 3))
            \(kernel.call("updateEntry", 0x21_1000, 0x21_2007))
            \(kernel.call("pin", 0x21_0000, 4))
            \(kernel.call("updateEntry", 0x21_0000, 0x21_1007))
            \(kernel.call("setUserBase", 0x21_0000))\(kernel.store(3))
            // `int 0x80`, then a read of the kernel's memory.
            mov dword [0x1f0000], 0x90_80cd_90
            mov dword [0x1f0004], 0x90909090
            mov dword [0x1f0008], 0x2504_8b90
            mov dword [0x1f000c], 0x0010_0000
            mov dword [0x1f0020], 0xfeeb
            \(kernel.landing("0x400020"))
            \(kernel.enter("0x400000", code: 0xE04B))
            """)
        guest.step(60_000)
        #expect(guest.result(0) == 0 && guest.result(1) == 0 && guest.result(2) == 0 && guest.result(3) == 0)
        #expect(guest.result(.interrupts) == 1)
        #expect(guest.result(.faults) == 1 && guest.result(.lastVector) == 14)
        #expect(guest.physicalWord(ParavirtualKernel.shared + 24) == 0x10_0000)
        // A read by user code of what is not there.
        #expect(guest.result(.lastError) == 4)
    }

    @Test(arguments: [true, false]) func privilegedInstructionsFaultInTheKernel(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let bits = kernel.r("ax")
        for instruction in [
            "cli", "sti", "hlt", "mov cr3, \(bits)", "mov \(bits), cr0", "lgdt [0x1f0000]", "lidt [0x1f0000]",
            "in al, 0x80", "out 0x80, al", "rdmsr", "wrmsr", "invlpg [0x1000]", "sgdt [0x1f0000]", "str ax",
            "lldt ax", "ltr ax", "clts", "wbinvd", "mov dr7, \(bits)",
        ] {
            let guest = try kernel.guest("\(kernel.landing("end"))\n\(instruction)\n")
            guest.step(1_000)
            #expect(guest.result(.faults) == 1 && guest.result(.lastVector) == 13, "\(instruction)")
            #expect(guest.result(.lastCode) & 3 == 0, "\(instruction)")
        }
    }

    @Test func handlersAndStacksThatAreNotThereEndTheGuest() throws {
        let kernel = ParavirtualKernel(isWide: true)
        let cases: [(body: String, reason: String)] = [
            ("div byte [nothing]\nnothing: dd 0", ""),
            ("mov esp, 0x3fc000\nud2", "no stack at 0x3fbfc8 for #UD"),
            ("mov rax, 0x800000000000\nmov rsp, rax\nud2", "no stack at 0x7fffffffffc8 for #UD"),
            ("mov edi, traps\nxor esi, esi\n\(kernel.call("setTraps"))ud2", "#UD without a handler"),
            (kernel.call("shutdown", 2), "the kernel has given up"),
        ]
        for (body, reason) in cases where !reason.isEmpty {
            let guest = try kernel.guest(body)
            let stop = guest.step(1_000)
            #expect(stop.reason == .crashed && stop.detail.hasPrefix(reason), "\(stop.detail)")
        }
    }

    @Test(arguments: [true, false]) func kernelsPowerOffAndReset(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let off = try kernel.guest(kernel.call("shutdown", 0)).step(1_000)
        #expect(off.reason == .shutdown && off.detail == "power off")
        let again = try kernel.guest(
            """
            mov edi, text
            mov esi, 1
            \(kernel.call("consoleWrite"))
            cmp dword [\(ParavirtualKernel.place(0))], 1
            je end
            mov dword [\(ParavirtualKernel.place(0))], 1
            \(kernel.buildTables)
            \(kernel.call("setBase", 0x20_0000))
            \(kernel.call("shutdown", 1))
            """)
        again.step(100_000)
        #expect(again.resets == 1 && again.console.output == Array("pp".utf8))
        #expect(again.cpu["cr3"] == ParavirtualKernel.firstTables)
    }

    @Test func whatDoesNotSpeakTheInterfaceIsRefused() throws {
        let way = Way(technique: .paravirtual)
        let plain = BootSource.flat([0xEB, 0xFE], at: 0x10_0000, mode: .long)
        let sources = [plain, try BootSource.prepared(.long, "hlt")]
        for source in sources {
            let error = #expect(throws: GuestError.self) { try way.guest(source, memory: 4 << 20) }
            #expect(error?.description.contains("does not say that it speaks the interface .native") == true)
        }
        let kernel = try ParavirtualKernel(isWide: false).boot("")
        #expect(throws: GuestError.self) { try way.guest(kernel, .intel32, memory: 4 << 20) }
        #expect(throws: GuestError.self) { try way.guest(kernel, memory: 1 << 20) }
        // It goes on nowhere else, nor do others go on here.
        let guest = try way.guest(kernel, memory: 4 << 20)
        #expect(throws: GuestError.self) { try guest.move(to: .init(.bare)) }
        #expect(throws: GuestError.self) { try Way.bare(plain).move(to: .init(.paravirtual)) }
        #expect(guest.step(100).reason == .instructions)
    }
}
