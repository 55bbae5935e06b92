import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine
import _SeededNumbers

/// Guests that attack their monitor end in a fault, an exit or a stop; the monitor's memory and the neighbours stay as they
/// were.
@Suite struct IsolationTests {
    /// Every technique with every paging.
    struct Target: Sendable, CustomTestStringConvertible {
        var way: Way
        var model: ProcessorModel
        var testDescription: String { "\(model.vendor) \(way.testDescription)" }
    }

    static let targets =
        Way.vendors.flatMap { vendor in vendor.ways.map { Target(way: $0, model: vendor.model) } }
        + [Target(way: .trapAndEmulate, model: .intel64)]

    /// Runs an attack beside the bare machine, which it must do the same on; then with another payload, which must leave
    /// the monitor's memory bit for bit as the first one has.
    private func expectHarmless(_ attack: Attack, _ target: Target, count: UInt64) throws {
        var hashes: [UInt64] = []
        for payload in Attack.payloads {
            let (bare, guest) = (
                try attack.guest(Way(technique: .bare), target.model, payload: payload),
                try attack.guest(target.way, target.model, payload: payload)
            )
            let (expected, stop) = (bare.step(count), guest.step(count))
            #expect(expected.reason == stop.reason && expected.faults == stop.faults)
            #expect(bare.instructions == guest.instructions)
            if bare.digest != guest.digest {
                let difference = try firstDifference(within: bare.instructions) { count in
                    let (bare, guest) = (
                        try attack.guest(Way(technique: .bare), target.model, payload: payload),
                        try attack.guest(target.way, target.model, payload: payload)
                    )
                    bare.step(count)
                    guest.step(count)
                    return (bare, guest)
                }
                Issue.record("\(difference)")
            }
            hashes.append(guest.monitorHash)
        }
        #expect(hashes[0] == hashes[1])
    }

    @Test(arguments: targets) func scansOfAllPhysicalAddressesFindNoMonitorMemory(target: Target) throws {
        // Every page behind the guest's last where a monitor could be, then one of each MiB up to 4 GiB, written and read
        // through the window of physical memory.
        let scan = """
                mov rsi, 0xffff800000400000
                lea r15, [rel next]
            again:
                mov [rsi], r8
                mov [rsi + 0xff8], r8
                add rbx, [rsi]
            next:
                add rsi, 0x1000
                mov rdx, 0xffff800005400000
                cmp rsi, rdx
                jb again
                add rsi, 0xff000
                mov rdx, 0xffff8000fec00000
                cmp rsi, rdx
                jb again
                xor ebx, ebx
            """
        try expectHarmless(Attack(source: scan), target, count: 250_000)
    }

    @Test(arguments: targets) func pageTablesThatNameMonitorMemoryLeadNowhere(target: Target) throws {
        // Entries for the frames behind the guest's memory and for far ones, as 4 KiB, 2 MiB and 1 GiB pages, and page
        // tables that lie there.
        let frames = """
                mov rbx, cr3
                and rbx, ~0xfff
                mov rax, [rbx + r14]
                and rax, ~0xfff
                add rax, r14
                mov qword [rax + 384 * 8], 0x221003
                mov qword [rax + 385 * 8], 0x83
                mov qword [rax + 386 * 8], 0x400003
                mov qword [rax + 387 * 8], 0x401003
                mov qword [rax + 388 * 8], 0x40000083
                mov qword [r14 + 0x221000], 0x210003
                mov qword [r14 + 0x221008], 0x400083
                mov qword [r14 + 0x221010], 0x402003
                mov qword [r14 + 0x221018], 0x4000083
                xor r9d, r9d
            fill:
                lea rax, [r9 + 0x400]
                cmp r9, 500
                jb near_frame
                mov eax, r9d
                and eax, 15
                lea rcx, [rax + 20]
                mov eax, 1
                shl rax, cl
            near_frame:
                shl rax, 12
                or rax, 3
                mov [r14 + r9 * 8 + 0x210000], rax
                inc r9
                cmp r9, 512
                jb fill
                lea r15, [rel skip]
                mov rsi, 0x6000000000
                mov r9d, 4096
            again:
                mov [rsi], r8
                mov [rsi + 0xff8], r8
                add rbx, [rsi]
            skip:
                add rsi, 0x1000
                dec r9d
                jnz again
                mov rsi, 0x6040400000
                mov r9d, 1024
                lea r15, [rel second]
            large:
                mov [rsi], r8
                mov rbx, [rsi]
            second:
                add rsi, 0x1000
                dec r9d
                jnz large
                lea r15, [rel third]
                mov rsi, 0x6080000000
                mov [rsi], r8
            third:
                lea r15, [rel fourth]
                mov rsi, 0x60c0000000
                mov [rsi], r8
            fourth:
                lea r15, [rel finished]
                mov rsi, 0x6100000000
                mov [rsi], r8
                xor ebx, ebx
            """
        try expectHarmless(Attack(source: frames), target, count: 60_000)
    }

    @Test(arguments: targets) func pageTablesThatMapThemselvesGiveNothingElse(target: Target) throws {
        // A top-level entry that leads to its own table; through it every entry in reach is read, flipped and put back,
        // and private entries get frames behind the guest's memory.
        let recursion = """
                mov rbx, cr3
                and rbx, ~0xfff
                mov rax, rbx
                or rax, 3
                mov [rbx + r14 + 510 * 8], rax
                mov rsi, 0xffffff7fbfdfe000
                xor r9d, r9d
                lea r15, [rel next]
            entries:
                mov rax, [rsi + r9 * 8]
                test al, 1
                jz next
                xor qword [rsi + r9 * 8], 0x20
                xor qword [rsi + r9 * 8], 0x20
            next:
                inc r9d
                cmp r9d, 512
                jb entries
                // Through the recursion a private path: PML4 entry 3, table by table.
                mov qword [rsi + 3 * 8], 0x220007
                mov r10, 0xffffff7fbfc03000
                lea r15, [rel gone]
                mov qword [r10], 0x221007
                mov r11, 0xffffff7f80600000
                mov qword [r11], 0x222007
                mov r12, 0xffffff00c0000000
                mov r9d, 0x400
            frames:
                mov rax, r9
                shl rax, 12
                or rax, 7
                mov [r12], rax
                mov rdi, 0x18000000000
                invlpg [rdi]
                mov [rdi], r8
                add rbx, [rdi]
            gone:
                inc r9d
                cmp r9d, 0x1400
                jb frames
                // The tables themselves as the memory they map, then a frame of the monitor's as a table.
                mov qword [r12], 0x222007
                invlpg [rdi]
                lea r15, [rel last]
                mov qword [rdi + 8], 0x400007
                mov [rdi + 0x1000], r8
            last:
                lea r15, [rel finished]
                mov qword [r11], 0x405007
                mov [rdi], r8
                mov rbx, [rdi + 0x1ff000]
            """
        try expectHarmless(Attack(source: recursion), target, count: 80_000)
    }

    @Test(arguments: targets) func linearAddressesOfAllPartsFault(target: Target) throws {
        // Every part of 512 GiB of both halves and some of what is between them, with their borders and accesses that cross
        // them; writes only, because what ring 1 can read of a software monitor's region is a documented difference.
        let scan = """
                xor r9d, r9d
                lea r15, [rel next]
                mov r10, 0x8000000000
                xor esi, esi
            parts:
                mov [rsi], r8
            next:
                lea r15, [rel border]
                mov [rsi - 4], r8
            border:
                lea r15, [rel page]
                mov [rsi + 0x4000 + 0x1000], r8
            page:
                lea r15, [rel called]
                cmp rsi, r14
                je called
                call rsi
            called:
                lea r15, [rel next]
                add rsi, r10
                inc r9d
                cmp r9d, 280
                jne low
                mov rsi, 0xffff780000000000
            low:
                cmp r9d, 552
                jb parts
            """
        try expectHarmless(Attack(source: scan), target, count: 30_000)
    }

    @Test(arguments: targets) func portsOfAllNumbersAreTheGuestsOwn(target: Target) throws {
        // Every port is read and written in every width, but for those that reset or power off the machine.
        let scan = """
                xor edx, edx
                lea r15, [rel next]
            ports:
                mov eax, edx
                and eax, 0xfffc
                cmp eax, 0x60
                je next
                cmp eax, 0x64
                je next
                cmp eax, 0x90
                je next
                cmp eax, 0xcf8
                je next
                cmp eax, 0x604
                je next
                cmp eax, 0x600
                je next
                cmp eax, 0xf4
                je next
                in al, dx
                add ebx, eax
                xor eax, eax
                out dx, al
                test dl, 7
                jnz next
                in ax, dx
                add ebx, eax
                in eax, dx
                add ebx, eax
                xor eax, eax
                out dx, ax
                out dx, eax
            next:
                inc dx
                jnz ports
            """
        try expectHarmless(Attack(source: scan), target, count: 1_500_000)
        // Those too: whatever end the guest comes to is the bare machine's.
        let ends = """
                xor edx, edx
                lea r15, [rel next]
            ports:
                mov eax, 0x3f
                out dx, al
                out dx, eax
            next:
                inc dx
                jnz ports
            """
        try expectHarmless(Attack(source: ends), target, count: 50_000)
    }

    @Test(arguments: targets) func modelSpecificRegistersOfAllNumbersAreTheGuestsOwn(target: Target) throws {
        // All MSRs of the ranges that bitmaps know and of those that hypervisors use are read and written back with a bit
        // flipped; EFER and the base of the local APIC keep what they have.
        let scan = """
                lea rsi, [rel ranges]
            range:
                mov ecx, [rsi]
                mov edi, [rsi + 4]
                test edi, edi
                jz done
            registers:
                lea r15, [rel next]
                rdmsr
                add ebx, eax
                cmp ecx, 0xc0000080
                je next
                cmp ecx, 0x1b
                je next
                cmp ecx, 0x10
                je next
                lea r15, [rel high]
                mov r9d, eax
                mov r10d, edx
                xor eax, 0x10
                wrmsr
            high:
                lea r15, [rel next]
                mov eax, r9d
                mov edx, r10d
                xor edx, 0x80000000
                wrmsr
            next:
                inc ecx
                dec edi
                jnz registers
                add rsi, 8
                jmp range
            align 8
            ranges: dd 0, 0x2000, 0xc0000000, 0x2000, 0xc0010000, 0x2000, 0x40000000, 0x400, 0x4b564d00, 16
                dd 0x00002000, 64, 0x7ffffff0, 0x20, 0xfffffff0, 16, 0, 0
            done:
            """
        try expectHarmless(Attack(source: scan), target, count: 700_000)
    }

    @Test(arguments: targets) func forgedDescriptorsGiveNoPrivilege(target: Target) throws {
        guard target.way.technique != .trapAndEmulate else { return }
        // Every type at every privilege, present and not, with a base in a monitor's region, loaded into every segment
        // register, LDTR and TR, and called.
        let forge = """
                mov rdi, 0xffffffff80008200
                xor r9d, r9d
            types:
                mov dword [rdi], 0xffff
                mov eax, r9d
                shl eax, 8
                or eax, 0xc0cf0000
                mov [rdi + 4], eax
                mov dword [rdi + 8], 0xffffc000
                mov dword [rdi + 12], 0
                lea r15, [rel local]
                mov eax, 0x200
                mov ds, ax
                mov es, ax
                mov fs, ax
                mov gs, ax
                mov [fs:0], r8
            local:
                lea r15, [rel task]
                mov eax, 0x200
                lldt ax
                mov eax, 4
                mov es, ax
            task:
                lea r15, [rel calls]
                mov eax, 0x200
                ltr ax
            calls:
                lea r15, [rel returns]
                call far [rel gate]
            returns:
                lea r15, [rel stack]
                push 0x203
                push rsp
                pushfq
                push 0x203
                push r8
                iretq
            stack:
                lea r15, [rel next]
                mov eax, 0x200
                mov ss, ax
            next:
                mov eax, 0x10
                mov ss, ax
                mov ds, ax
                mov es, ax
                inc r9d
                cmp r9d, 256
                jb types
                xor eax, eax
                lldt ax
                xor eax, eax
                mov fs, ax
                mov gs, ax
                jmp finished
            gate: dd 0
                dw 0x200
            """
        try expectHarmless(Attack(source: forge), target, count: 30_000)
        // Tables in a monitor's region: nothing can be loaded from them, and the next fault finds no handler.
        for table in ["lgdt", "lidt"] {
            for base: UInt64 in [0xFFFF_C000_0000_0000, 0xFFFF_C000_0000_1000, 0xFFFF_C080_0000_0000, 0x400_0000] {
                let source = """
                        sub rsp, 16
                        mov word [rsp], 0xfff
                        mov rax, \(base)
                        mov [rsp + 2], rax
                        \(table) [rsp]
                        mov eax, 0x18
                        mov fs, ax
                        ltr ax
                        mov ds, ax
                        ud2
                    """
                try expectHarmless(Attack(source: source), target, count: 200)
            }
        }
    }

    @Test(arguments: targets) func hypercallsWithAnyArgumentsChangeNothing(target: Target) throws {
        // A linear congruential sequence in all registers; nobody answers, so each call is #UD.
        let call = target.model.vendor == .amd ? ["vmmcall", "vmcall"] : ["vmcall", "vmmcall"]
        let calls = """
                mov r9, 0x123456789abcdef
                mov r10d, 500
                mov r12, 6364136223846793005
            again:
                imul r9, r12
                add r9, r14
                mov rax, r9
                shr rax, 40
                mov rbx, r9
                rol r9, 7
                mov rcx, r9
                mov rdx, r9
                rol r9, 13
                mov rsi, r9
                mov rdi, r8
                lea r15, [rel second]
                \(call[0])
            second:
                lea r15, [rel next]
                \(call[1])
            next:
                dec r10d
                jnz again
                xor ebx, ebx
                xor edi, edi
            """
        try expectHarmless(Attack(source: calls), target, count: 15_000)
        // The same from ring 3.
        let user = "again:\nadd rax, 0x1234567\n\(call[0])\njmp again"
        try expectHarmless(Attack(source: "", user: user), target, count: 200)
    }

    @Test(arguments: targets) func instructionsOfVirtualizationAreNotThere(target: Target) throws {
        for instruction in [
            "vmcall", "vmlaunch", "vmresume", "vmxoff", "vmread rax, rbx", "vmwrite rax, rbx", "vmclear [rsi]",
            "vmptrld [rsi]", "vmptrst [rsi]", "vmxon [rsi]", "vmrun", "vmload", "vmsave", "stgi", "clgi", "invlpga",
            "vmfunc", "invept rax, [rsi]", "invvpid rax, [rsi]",
        ] {
            // RSI leads to the address of the monitor's structures, RAX is it.
            let source = """
                    mov rsi, 0xffff800000200000
                    mov qword [rsi], 0x401000
                    mov eax, 0x401000
                    mov ebx, 0x6800
                    \(instruction)
                """
            try expectHarmless(Attack(source: source), target, count: 40)
            try expectHarmless(Attack(source: "", user: "mov rsi, rsp\n\(instruction)"), target, count: 40)
        }
    }

    /// A software monitor's region lies among the guest's addresses; ring 1 can read it, and write one page of it.
    @Test(arguments: [Way.translate, .trapAndEmulate]) func theRegionIsReadOnlyButForTheVirtualState(way: Way) throws {
        let attack = Attack(
            source: """
                    mov rsi, 0xffffc00000000000
                    lea r15, [rel next]
                again:
                    mov [rsi], r8
                    mov [rsi + 0xff8], r8
                    lock xadd [rsi + 0x10], r8
                    inc r11d
                next:
                    add rsi, 0x1000
                    mov rdx, 0xffffc00001200000
                    cmp rsi, rdx
                    jb again
                    xor r8d, r8d
                """)
        var hashes: [UInt64] = []
        for payload in Attack.payloads {
            let guest = try attack.guest(way, .intel64, payload: payload)
            guest.step(100_000)
            hashes.append(guest.monitorHash)
            // Pages that could be written: none but one.
            #expect(guest.cpu["r11"] ?? 99 <= 1)
        }
        #expect(hashes[0] == hashes[1])
    }

    /// Whatever a guest writes to the page that its monitor takes for input, the host and the neighbour stay whole.
    @Test(arguments: [Way.translate, .trapAndEmulate], [1, 2, 3, 4, 5, 6] as [UInt64])
    func anythingInTheVirtualStateIsTakenForInput(way: Way, seed: UInt64) throws {
        var program = RandomProgram(.long, seed: seed)
        let guest = try way.guest(try program.bootSource(), memory: 4 << 20)
        let neighbour = try Attack(source: "").guest(way, .intel64)
        let digest = neighbour.digest
        var generator = SeededNumbers(seed)
        let address = guest.memory.size + SoftwareMonitor.virtualStateOffset
        for _ in 0..<400 {
            let stop = guest.advance(37)
            guard stop.reason == .instructions, let machine = guest.monitor?.machine.memory else { break }
            for _ in 0..<4 {
                let offset = generator.next() % 8 == 0 ? generator.next() & 0xFF8 : generator.next() & 0x38
                machine.setQuadword(generator.next() >> (generator.next() & 63), at: address + offset)
            }
        }
        #expect(neighbour.digest == digest)
    }

    /// Guests on one hypervisor: while one attacks, the other does what it does alone.
    @Test(arguments: targets) func neighboursOfAttackersDoWhatTheyDoAlone(target: Target) throws {
        // A program that does not end early.
        let programs = try (1...20 as ClosedRange<UInt64>).map { seed in
            var program = RandomProgram(.long, seed: seed, avoidsSensitive: true)
            return try program.bootSource()
        }
        let boot = try #require(
            try programs.first {
                try Way.bare($0, target.model, memory: 4 << 20).advance(25_000).reason == .instructions
            })
        let alone = try target.way.guest(boot, target.model, memory: 4 << 20)
        let neighbour = try target.way.guest(boot, target.model, memory: 4 << 20)
        let attacks = [
            "mov rsi, 0xffff800000400000\nlea r15, [rel next]\nagain: mov [rsi], r8\nnext: add rsi, 0x1000\njmp again",
            "again: lea r15, [rel next]\ninc edx\nin eax, dx\nmov eax, 0\nout dx, al\nnext: jmp again",
            "again: lea r15, [rel next]\ninc ecx\nrdmsr\nwrmsr\nnext: jmp again",
            "again: lea r15, [rel next]\nadd rax, r8\nvmcall\nnext: jmp again",
        ]
        let scheduler = GuestScheduler(timeSlice: 1000)
        try scheduler.add(neighbour)
        for attack in attacks { try scheduler.add(try Attack(source: attack).guest(target.way, target.model)) }
        scheduler.run(counts: 100_000)
        let count = try #require(scheduler.consumed(by: neighbour))
        #expect(count > 5_000)
        // The time that it has waited counts too.
        alone.run(limits: RunLimits(time: neighbour.time &- alone.time))
        #expect(alone.instructions == neighbour.instructions && alone.digest == neighbour.digest)
    }
}
