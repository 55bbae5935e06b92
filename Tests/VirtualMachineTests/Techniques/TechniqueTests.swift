import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// Every guest under every technique that can run it: same output, same digest.
@Suite struct TechniqueTests {
    private static let slices: [UInt64] = [1, 1, 1, 7, 13, 100, 977, 100_000]

    @Test(arguments: Program.all, Way.all)
    func programsLeaveTheSameState(program: Program, way: Way) throws {
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(program.source)
        let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
        try expectSame(try Way.bare(boot), try way.guest(boot), slices: Self.slices)
        try expectSame(
            try Way.bare(boot), try way.guest(boot, blocks: false),
            slices: [UInt64](repeating: 1, count: 60))
    }

    /// The same in 32-bit protected mode without paging.
    @Test(arguments: Way.faithful) func thirtyTwoBitCodeWithoutPagingLeavesTheSameState(way: Way) throws {
        let source = """
                mov esp, 0x300000
                mov ecx, 200
            again:
                push ecx
                call twice
                pop ecx
                pushfd
                pop dword [0x200000]
                sti
                nop
                pushfd
                pop dword [0x200004]
                cli
                pushfd
                popfd
                mov eax, [0x200004]
                xor eax, [0x200000]
                add ebx, eax
                mov edx, target
                call edx
                call [pointer]
                loop again
            end: jmp end
            twice:
                add dword [0x210000], 3
                ret
            target:
                mov ax, cs
                mov si, ss
                ret 0
            pointer: dd twice
            """
        let assembled = try Assembler(mode: .bits32, origin: 0x10_0000).assemble(source)
        let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .protected)
        for model in [ProcessorModel.intel64, .intel32] {
            try expectSame(try Way.bare(boot, model), try way.guest(boot, model), slices: Self.slices)
        }
    }

    /// All sensitive instructions that have a sequence of their own, in 64-bit code, in steps of one instruction.
    @Test(arguments: Way.faithful) func sensitiveInstructionsGiveWhatRingZeroGives(way: Way) throws {
        let source = """
                mov esp, 0x300000
                mov ecx, 40
            again:
                pushfq
                pop rax
                add rbx, rax
                sti
                pushfq
                pop rax
                add rbx, rax
                cli
                push 0x246
                popfq
                pushfq
                pop rdx
                push 0x3246
                popfq
                pushfq
                pop rsi
                push 0x46
                popfq
                stc
                stac
                pushfq
                pop r8
                clac
                pushfq
                pop r9
                mov rax, cr0
                mov r10, rax
                mov eax, cs
                add rbx, rax
                sgdt [0x200000]
                sidt [0x200010]
                sldt r11d
                str r12d
                smsw r13
                rdtsc
                add rbx, rax
                push rcx
                xor eax, eax
                xor ecx, ecx
                cpuid
                pop rcx
                lea rdi, [rel table]
                call [rel table]
                call rdi_target
                dec ecx
                jnz again
            end: jmp end
            rdi_target:
                jmp [rdi + 8]
            one:
                lar r14d, ecx
                ret
            two:
                add rbp, 5
                ret
            align 8
            table: dq one, two
            """
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(source)
        let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
        try expectSame(
            try Way.bare(boot), try way.guest(boot), slices: [UInt64](repeating: 1, count: 300) + [5000])
        guard way.technique == .translate else { return }
        try expectSame(
            try Way.bare(boot, .amd64), try way.guest(boot, .amd64), slices: [UInt64](repeating: 3, count: 100))
    }

    /// What a branch to nowhere leaves behind is the fault of the branch.
    @Test(arguments: Way.faithful) func branchesToAddressesThatAreNotCanonicalFault(way: Way) throws {
        let branches = [
            "push rax\nret", "jmp rax", "mov [0x200000], rax\njmp [0x200000]", "call rax", "mov ecx, 7\ncall rax",
            "mov [0x200000], rax\ncall [0x200000]", "mov rbx, 0x0000800000000000\nmov [0x200000], rbx\ncall [0x200000]",
        ]
        for branch in branches {
            let source = """
                    mov esp, 0x300000
                    mov rax, 0x1234567812345678
                    \(branch)
                """
            let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(source)
            let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
            try expectSame(try Way.bare(boot), try way.guest(boot), slices: [UInt64](repeating: 1, count: 8))
        }
    }

    /// Trap-and-emulate shows what ring 1 shows: PUSHF has IF set although the guest has cleared it, POPF cannot set it,
    /// and CS tells the level.
    @Test func sensitiveUnprivilegedInstructionsDeceiveTrapAndEmulate() throws {
        let source = """
                mov esp, 0x300000
                cli
                pushfq
                pop rax
                mov ecx, cs
            end: jmp end
            """
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(source)
        let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
        func registers(_ technique: Technique) throws -> (flags: UInt64, cs: UInt64) {
            let guest = try Way(technique: technique).guest(boot)
            guest.step(5)
            return (guest.cpu["rax"] ?? 0, guest.cpu["rcx"] ?? 0)
        }
        let bare = try registers(.bare)
        #expect(bare.flags & 0x200 == 0 && bare.cs & 3 == 0)
        let trapped = try registers(.trapAndEmulate)
        #expect(trapped.flags & 0x200 != 0 && trapped.cs & 3 == 1)
        let translated = try registers(.translate)
        #expect(translated.flags == bare.flags && translated.cs == bare.cs)
        let assisted = try registers(.vmx)
        #expect(assisted.flags == bare.flags && assisted.cs == bare.cs)
    }

    /// Page tables of the guest's own: changes take effect at once, accessed and dirty flags appear when they should.
    @Test(arguments: Way.all)
    func pageTableChangesTakeEffectAtOnce(way: Way) throws {
        let boot = try BootSource.prepared(
            .long,
            """
            start:
                mov rbx, cr3
                mov rsi, 0xffff800000000000
                and rbx, ~0xfff
                add rbx, rsi
                // a new path for 0x6000000000 (PML4 entry 0, PDPT entry 384)
                mov rax, [rbx]
                and rax, ~0xfff
                add rax, rsi
                mov rdi, rax
                mov qword [rdi + 384 * 8], 0x200003
                lea rax, [rsi + 0x200000]
                mov qword [rax], 0x201003
                lea rax, [rsi + 0x201000]
                mov qword [rax], 0x300003
                mov r8, 0x6000000000
                mov r9, [r8]
                mov r10, [rax]
                mov qword [r8], 77
                mov r11, [rax]
                mov qword [rax], 0x301003
                mov r12, [r8]
                invlpg [r8]
                mov qword [rax], 0x301001
                mov ecx, 30
            again:
                mov r13, [r8]
                mov rdx, [rax]
                and qword [rax], ~0x60
                invlpg [r8]
                xor qword [rax], 0x1000
                dec ecx
                jnz again
                hlt
            """)
        try expectSame(
            try Way.bare(boot), try way.guest(boot),
            slices: [UInt64](repeating: 1, count: 60) + [1000])
    }

    /// Ring 3 calls ring 0 by interrupt, system call and fault, in steps that cut everything.
    @Test(arguments: Way.all, [1, 3, 50] as [UInt64])
    func ringsOfAPreparedGuestMeetTheSame(way: Way, slice: UInt64) throws {
        let ring0 = """
            handler:
                inc qword [counter]
                iretq
            fault:
                add qword [rsp + 8], 2
                add rsp, 8
                iretq
            entry:
                mov r15, [counter]
                o64 sysret
            align 8
            counter: dq 0
            """
        let ring3 = """
            start:
                mov ebx, 20
            again:
                int 0x40
                syscall
                hlt
                nop
                mov ax, ss
                pushfq
                pop rdx
                xor eax, eax
                cpuid
                mov ebx, [rel left]
                dec ebx
                mov [rel left], ebx
                jnz again
                int 0x40
            end: jmp end
            left: dd 20
            """
        let boot = try BootSource.prepared(rings: .long, ring0: ring0, ring3: ring3)
        let program = [UInt64](repeating: slice, count: Int(600 / slice))
        let (bare, other) = (try Way.bare(boot), try way.guest(boot))
        try expectSame(bare, other, slices: program)
        #expect(bare.transitions.count(from: .ring0, to: .ring3) == other.transitions.count(from: .ring0, to: .ring3))
        #expect(bare.transitions.count(from: .ring3, to: .ring0) > 10)
    }

    /// An interrupt that comes while the guest's are off arrives behind the STI or POPF that turns them on, whatever runs
    /// then.
    @Test(arguments: Way.all, ["sti", "push 0x202\npopfq"])
    func interruptsThatWaitArriveAtOnce(way: Way, enable: String) throws {
        // Trap-and-emulate does not see POPF.
        guard way.technique != .trapAndEmulate || enable == "sti" else { return }
        let ring0 = """
            fault:
                // The interrupt controller with vectors from 40H on, and the timer with a short period.
                mov rsp, 0xffffffff80006f00
            \([(0x20, 0x11), (0x21, 0x40), (0x21, 4), (0x21, 1), (0x21, 0xFE), (0x43, 0x34), (0x40, 3), (0x40, 0)]
                .map { "    mov al, \($0.1)\n    out \($0.0), al" }.joined(separator: "\n"))
                lea rdi, [rel places]
                mov r9d, 100
            again:
                mov ecx, 200
            spin:
                dec ecx
                jnz spin
                \(enable)
                inc r10
                inc r10
                inc r10
                inc r10
                cli
                dec r9d
                jnz again
            end: jmp end
            handler:
                push rax
                mov rax, [rsp + 8]
                add [rdi], rax
                add [rdi + 8], r10
                inc qword [rdi + 16]
                mov al, 0x20
                out 0x20, al
                pop rax
                iretq
            entry: o64 sysret
            align 8
            places: dq 0, 0, 0
            """
        let boot = try BootSource.prepared(rings: .long, ring0: ring0, ring3: "hlt")
        let (bare, other) = (try Way.bare(boot), try way.guest(boot))
        try expectSame(bare, other, slices: [50_000])
        #expect(bare.transitions.count(cause: "iret") == 0 && bare.cpu["r10"] == 400)
    }

    /// Code whose own translation has lost its accessed flag is walked to anew, in the midst of a block.
    @Test(arguments: Way.all) func accessedFlagsOfTheCodeItselfComeBackAtOnce(way: Way) throws {
        let boot = try BootSource.prepared(
            .long,
            """
            start:
                mov rsi, 0xffff800000000000
                mov rax, cr3
                and rax, ~0xfff
                mov rax, [rax + rsi + 511 * 8]
                and rax, ~0xfff
                mov rax, [rax + rsi + 510 * 8]
                and rax, ~0xfff
                mov rax, [rax + rsi]
                and rax, ~0xfff
                add rax, rsi
                mov ecx, 5
            again:
                and qword [rax + 8], ~0x20
                mov rbx, [rax + 8]
                add rdx, rbx
                dec ecx
                jnz again
                hlt
            """)
        let bare = try Way.bare(boot)
        try expectSame(bare, try way.guest(boot), slices: [20, 1000])
        try expectSame(try Way.bare(boot, blocks: false), try Way.bare(boot), slices: [1000])
        #expect(bare.cpu["rbx"].map { $0 & 0x20 } == 0x20)
    }
}
