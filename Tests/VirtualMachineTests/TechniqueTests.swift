import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// Every guest under every technique that can run it: same output, same digest.
@Suite struct TechniqueTests {
    private static let slices: [UInt64] = [1, 1, 1, 7, 13, 100, 977, 100_000]

    private func guest(
        _ boot: BootSource, _ technique: Technique, _ model: ProcessorModel = .intel64, blocks: Bool = true
    ) throws -> Guest {
        var configuration = GuestConfiguration(boot: boot)
        configuration.memory = 16 << 20
        configuration.technique = technique
        configuration.model = model
        configuration.usesBlockCache = blocks
        return try Guest(configuration)
    }

    /// Runs two guests side by side and compares them after every slice.
    private func expectSame(_ bare: Guest, _ other: Guest, slices: [UInt64]) throws {
        for slice in slices {
            let (a, b) = (bare.step(slice), other.step(slice))
            #expect(a.reason == b.reason && a.faults == b.faults)
            #expect(bare.instructions == other.instructions)
            for name in ["rip", "rax", "rcx", "rdx", "rbx", "rsp", "rflags", "cs", "cr2"] {
                #expect(bare.cpu[name] == other.cpu[name], "\(name) after \(bare.instructions)")
            }
            try #require(bare.digest == other.digest, "after \(bare.instructions) instructions")
            if a.reason != .instructions { break }
        }
        #expect(bare.console.debugOutput == other.console.debugOutput)
    }

    @Test(arguments: Program.all, [Technique.translate, .trapAndEmulate])
    func programsLeaveTheSameState(program: Program, technique: Technique) throws {
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(program.source)
        let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
        try expectSame(try guest(boot, .bare), try guest(boot, technique), slices: Self.slices)
        try expectSame(
            try guest(boot, .bare), try guest(boot, technique, blocks: false),
            slices: [UInt64](repeating: 1, count: 60))
    }

    /// The same in 32-bit protected mode without paging.
    @Test func thirtyTwoBitCodeWithoutPagingLeavesTheSameState() throws {
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
            try expectSame(
                try guest(boot, .bare, model), try guest(boot, .translate, model), slices: Self.slices)
        }
    }

    /// All sensitive instructions that have a sequence of their own, in 64-bit code, in steps of one instruction.
    @Test func sensitiveInstructionsGiveWhatRingZeroGives() throws {
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
            try guest(boot, .bare), try guest(boot, .translate), slices: [UInt64](repeating: 1, count: 300) + [5000])
        try expectSame(
            try guest(boot, .bare, .amd64), try guest(boot, .translate, .amd64),
            slices: [UInt64](repeating: 3, count: 100))
    }

    /// What a branch to nowhere leaves behind is the fault of the branch.
    @Test func branchesToAddressesThatAreNotCanonicalFault() throws {
        for branch in ["push rax\nret", "jmp rax", "mov [0x200000], rax\njmp [0x200000]"] {
            let source = """
                    mov esp, 0x300000
                    mov rax, 0x1234567812345678
                    \(branch)
                """
            let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(source)
            let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
            try expectSame(
                try guest(boot, .bare), try guest(boot, .translate), slices: [UInt64](repeating: 1, count: 8))
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
            let guest = try guest(boot, technique)
            guest.step(5)
            return (guest.cpu["rax"] ?? 0, guest.cpu["rcx"] ?? 0)
        }
        let bare = try registers(.bare)
        #expect(bare.flags & 0x200 == 0 && bare.cs & 3 == 0)
        let trapped = try registers(.trapAndEmulate)
        #expect(trapped.flags & 0x200 != 0 && trapped.cs & 3 == 1)
        let translated = try registers(.translate)
        #expect(translated.flags == bare.flags && translated.cs == bare.cs)
    }

    /// Page tables of the guest's own: changes take effect at once, accessed and dirty flags appear when they should.
    @Test(arguments: [Technique.translate, .trapAndEmulate])
    func pageTableChangesTakeEffectAtOnce(technique: Technique) throws {
        let boot = BootSource.prepared(
            .long,
            """
            start:
                mov rbx, cr3
                mov rsi, 0xffff800000000000
                and rbx, ~0xfff
                add rbx, rsi
                ; a new path for 0x6000000000 (PML4 entry 0, PDPT entry 384)
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
            try guest(try boot, .bare), try guest(try boot, technique),
            slices: [UInt64](repeating: 1, count: 60) + [1000])
    }

    /// Ring 3 calls ring 0 by interrupt, system call and fault, in steps that cut everything.
    @Test(arguments: [Technique.translate, .trapAndEmulate], [1, 3, 50] as [UInt64])
    func ringsOfAPreparedGuestMeetTheSame(technique: Technique, slice: UInt64) throws {
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
        let (bare, other) = (try guest(boot, .bare), try guest(boot, technique))
        try expectSame(bare, other, slices: program)
        #expect(bare.transitions.count() == other.transitions.count())
        #expect(bare.transitions.count(from: .ring3, to: .ring0) > 10)
    }
}

extension BootSource {
    /// A prepared environment with ring 0 only.
    static func prepared(_ environment: PreparedLayout.Environment, _ source: String) throws -> BootSource {
        let origin = environment.layout.codeOrigin(ring: 0) ?? 0
        let code = try Assembler(mode: .bits64, origin: origin).assemble(source)
        return BootSource(
            .prepared(PreparedGuest(environment, code: [.init(ring: 0, origin: origin, bytes: code.bytes)])))
    }

    /// A prepared 64-bit environment with ring 0 and ring 3: vector 0x40 leads to `handler`, #GP to `fault`, SYSCALL to
    /// `entry`.
    static func prepared(
        rings environment: PreparedLayout.Environment, ring0: String, ring3: String
    ) throws -> BootSource {
        func assemble(_ ring: UInt8, _ source: String) throws -> (PreparedGuest.Code, [String: UInt64]) {
            let origin = environment.layout.codeOrigin(ring: ring) ?? 0
            let code = try Assembler(mode: .bits64, origin: origin).assemble(source)
            return (.init(ring: ring, origin: origin, bytes: code.bytes), code.labels)
        }
        let (kernel, labels) = try assemble(0, ring0)
        let (user, _) = try assemble(3, ring3)
        let gates: [PreparedGuest.Gate] = [
            .init(.interrupt, number: 0x40, ring: 0, handler: labels["handler"] ?? 0, privilege: 3),
            .init(.interrupt, number: 13, ring: 0, handler: labels["fault"] ?? 0),
        ]
        return BootSource(
            .prepared(
                PreparedGuest(environment, code: [kernel, user], gates: gates, syscallEntry: labels["entry"])))
    }
}
