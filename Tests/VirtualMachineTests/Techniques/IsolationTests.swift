import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// Guests that attack their monitor end in a fault, an exit or a stop, and the monitor's memory stays as it was.
@Suite struct IsolationTests {
    /// Runs an attack beside the bare machine; whatever it does it must do there too.
    private func attack(_ way: Way, _ ring0: String, slices: [UInt64] = [50, 1000, 30_000]) throws -> Guest {
        let boot = try BootSource.prepared(.long, ring0)
        let guest = try way.guest(boot, memory: 4 << 20)
        try expectSame(try Way.bare(boot, memory: 4 << 20), guest, slices: slices)
        return guest
    }

    @Test(arguments: Way.faithful) func scansOfAllPhysicalAddressesFindNoMonitorMemory(way: Way) throws {
        // Every page from the guest's last to 1 GiB, read and written, through the window of physical memory.
        let guest = try attack(
            way,
            """
            start:
                mov rsi, 0xffff800000400000
                mov r8, 0x4141414141414141
            again:
                mov rax, [rsi]
                add rbx, rax
                mov [rsi], r8
                add rsi, 0x1000
                mov rax, rsi
                mov rdx, 0xffff800040000000
                cmp rax, rdx
                jb again
            end: jmp end
            """, slices: [100, 200_000, 3_000_000])
        guard let machine = guest.monitor?.machine.memory else { return }
        for page in Int(guest.memory.size >> 12)..<Int(machine.size >> 12) {
            let words = machine.bytes(page: page, offset: 0).assumingMemoryBound(to: UInt64.self)
            try #require(!words.contains(0x4141_4141_4141_4141), "page \(page)")
        }
    }

    @Test(arguments: Way.faithful) func pageTablesThatNameMonitorMemoryLeadNowhere(way: Way) throws {
        // Entries for frames behind the guest's memory, as 4 KiB, 2 MiB and 1 GiB pages, and page tables that lie there.
        let guest = try attack(
            way,
            """
            start:
                mov rbx, cr3
                and rbx, ~0xfff
                mov rcx, 0xffff800000000000
                mov rax, [rbx + rcx]
                and rax, ~0xfff
                add rax, rcx
                mov qword [rax + 384 * 8], 0x221003
                mov qword [rax + 385 * 8], 0x83
                mov qword [rax + 386 * 8], 0x400003
                mov qword [rax + 387 * 8], 0x401003
                mov qword [rcx + 0x221000], 0x210003
                mov qword [rcx + 0x221008], 0x400083
                mov qword [rcx + 0x221010], 0x402003
                mov r9, 0
            frames:
                lea rax, [r9 + 0x400]
                shl rax, 12
                or rax, 3
                mov [rcx + r9 * 8 + 0x210000], rax
                inc r9
                cmp r9, 512
                jb frames
                mov r10, 0x4242424242424242
                mov rsi, 0x6000000000
                mov r9, 1024
            scan:
                mov rax, [rsi]
                add rbx, rax
                mov [rsi], r10
                add rsi, 0x1000
                dec r9
                jnz scan
                mov rsi, 0x6040400000
                mov r9, 1024
            second:
                add rbx, [rsi]
                mov [rsi], r10
                add rsi, 0x1000
                dec r9
                jnz second
                mov rsi, 0x6080000000
                mov rax, [rsi]
            end: jmp end
            """, slices: [100, 10_000, 100_000])
        guard let machine = guest.monitor?.machine.memory else { return }
        for page in Int(guest.memory.size >> 12)..<Int(machine.size >> 12) {
            let words = machine.bytes(page: page, offset: 0).assumingMemoryBound(to: UInt64.self)
            try #require(!words.contains(0x4242_4242_4242_4242), "page \(page)")
        }
    }

    @Test(arguments: Way.faithful) func instructionsOfVirtualizationAreNotThere(way: Way) throws {
        for instruction in [
            "vmcall", "vmlaunch", "vmresume", "vmxoff", "vmread rax, rbx", "vmwrite rax, rbx", "vmclear [rsi]",
            "vmptrld [rsi]", "vmptrst [rsi]", "vmxon [rsi]",
        ] {
            let guest = try attack(
                way,
                """
                start:
                    mov rsi, 0xffff800000200000
                    mov rax, 0x6800
                    mov rbx, 0x1234
                    \(instruction)
                    hlt
                """, slices: [10])
            // Without handlers the fault ends the guest.
            #expect(guest.run(limits: RunLimits(instructions: 1)).reason == .crashed)
        }
    }

    @Test(arguments: Way.faithful) func portsAndRegistersOfAllNumbersAreTheGuestsOwn(way: Way) throws {
        // All ports but those that reset or power off the machine, then the MSRs of both ranges; faults skip the
        // instruction.
        let ring0 = """
            general:
                add rsp, 8
                add qword [rsp], 2
                iretq
            entry: o64 sysret
            """
        let scan = """
            start:
                xor edx, edx
            ports:
                cmp edx, 0x64
                je next
                cmp edx, 0x92
                je next
                cmp edx, 0xcf9
                je next
                in al, dx
                add ebx, eax
            next:
                inc dx
                jnz ports
                xor ecx, ecx
            low:
                rdmsr
                add ebx, eax
                inc ecx
                cmp ecx, 0x2000
                jb low
                mov ecx, 0xc0000000
            high:
                rdmsr
                wrmsr
                inc ecx
                cmp ecx, 0xc0000080
                jb high
            end: jmp end
            """
        let origin = PreparedLayout.Environment.long.layout.codeOrigin(ring: 0) ?? 0
        let code = try Assembler(mode: .bits64, origin: origin).assemble(scan + "\n" + ring0)
        let boot = BootSource(
            .prepared(
                PreparedGuest(
                    .long, code: [.init(ring: 0, origin: origin, bytes: code.bytes)],
                    gates: [.init(.interrupt, number: 13, ring: 0, handler: code.labels["general"] ?? 0)])))
        let (bare, guest) = (try Way.bare(boot, memory: 4 << 20), try way.guest(boot, memory: 4 << 20))
        try expectSame(bare, guest, slices: [1000, 300_000, 300_000])
    }
}
