import Testing
import VirtualMachine
import X86

/// What answers at a physical address when the guest changes that.
@Suite struct MemoryMapTests {
    private func run(_ source: String, _ mode: BootSource.FlatMode, at address: UInt64) throws -> Guest {
        let code: CodeMode = mode == .long ? .bits64 : .bits16
        let bytes = try Assembler(mode: code, origin: address).assemble(source).bytes
        var configuration = GuestConfiguration(boot: .flat(bytes, at: address, mode: mode))
        configuration.memory = 4 << 20
        let guest = try Guest(configuration)
        #expect(guest.run(limits: RunLimits(instructions: 1_000)).reason == .halted)
        return guest
    }

    /// A local APIC that IA32_APIC_BASE moves over RAM answers there in front of it, for code and data alike, and what
    /// lies behind it is untouched (SDM volume 3 section 11.4.5).
    @Test func localAPICMovedOverMemoryHidesIt() throws {
        let guest = try run(
            """
                mov rbx, 0x200000
                mov dword [rbx + 0x80], 0x11223344
                mov dword [rbx + 0x30], 0x55667788
                mov ecx, 0x1b
                rdmsr
                mov r8, rax
                and eax, 0xfff
                or eax, 0x200000
                wrmsr
                mov esi, [rbx + 0x30]
                mov dword [rbx + 0x80], 0x50
                mov edi, [rbx + 0x80]
                mov r10, cr8
                mov rax, r8
                wrmsr
                mov r9d, [rbx + 0x80]
                mov r11d, [rbx + 0x30]
                mov eax, 0xfee00080
                mov r12d, [rax]
                cli
                hlt
            """, .long, at: 0x10_0000)
        // An integrated APIC with at least its version in the low byte.
        #expect(guest.cpu["rsi"].map { $0 & 0xF0 } == 0x10)
        #expect(guest.cpu["rdi"] == 0x50)
        #expect(guest.cpu["r10"] == 5)
        #expect(guest.cpu["r9"] == 0x1122_3344)
        #expect(guest.cpu["r11"] == 0x5566_7788)
        #expect(guest.cpu["r12"] == 0x50)
    }

    @Test func codeUnderTheMovedLocalAPICIsNotFetchedAnyMore() throws {
        // The page holds INC EBX; HLT. The APIC's page gives something else: the identification register, zero, which is
        // ADD [RAX], AL.
        let bytes = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(
            """
                mov rsi, 0x200000
                mov word [rsi + 0x20], 0xc3ff
                mov byte [rsi + 0x22], 0xf4
                mov ecx, 0x1b
                rdmsr
                and eax, 0xfff
                or eax, 0x200000
                wrmsr
                lea rax, [rsi + 0x20]
                jmp rax
            """
        ).bytes
        var configuration = GuestConfiguration(boot: .flat(bytes, at: 0x10_0000, mode: .long))
        configuration.memory = 4 << 20
        let guest = try Guest(configuration)
        guest.run(limits: RunLimits(instructions: 11))
        #expect(guest.cpu["rip"] == 0x20_0022)
        #expect(guest.cpu["rbx"] == 0)
    }

    /// With the A20 gate closed, bit 20 of every address is zero: real-mode addresses wrap at 1 MiB.
    @Test func closedAddressLine20WrapsAtOneMebibyte() throws {
        // Port 0x92 and the keyboard controller both open the gate, so both close it.
        let guest = try run(
            """
                xor ax, ax
                mov ds, ax
                mov ax, 0xffff
                mov es, ax
                mov word [0x500], 0x1111
                mov word [es:0x510], 0x2222
                mov bx, [0x500]
                in al, 0x92
                and al, 0xfd
                out 0x92, al
                mov al, 0xd1
                out 0x64, al
                mov al, 0xdd
                out 0x60, al
                mov cx, [es:0x510]
                mov word [es:0x510], 0x3333
                mov dx, [0x500]
                in al, 0x92
                or al, 2
                out 0x92, al
                mov si, [es:0x510]
                cli
                hlt
            """, .real, at: 0x7C00)
        #expect(guest.cpu["rbx"] == 0x1111)
        #expect(guest.cpu["rcx"] == 0x1111)
        #expect(guest.cpu["rdx"].map { $0 & 0xFFFF } == 0x3333)
        #expect(guest.cpu["rsi"] == 0x2222)
    }
}
