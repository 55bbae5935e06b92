import Testing
import VirtualMachine
import X86

/// The ways to execute that no guest may be able to tell apart.
struct ExecutionMode: Sendable, CustomTestStringConvertible {
    var tlbEntries: Int
    var usesBlockCache: Bool
    var slice: UInt64

    var testDescription: String { "TLB \(tlbEntries), blocks \(usesBlockCache), slices of \(slice)" }

    static let all = [
        ExecutionMode(tlbEntries: 1024, usesBlockCache: true, slice: .max),
        ExecutionMode(tlbEntries: 16, usesBlockCache: true, slice: 977),
        ExecutionMode(tlbEntries: 4096, usesBlockCache: true, slice: 13),
        ExecutionMode(tlbEntries: 16, usesBlockCache: false, slice: .max),
        ExecutionMode(tlbEntries: 4096, usesBlockCache: false, slice: 101),
    ]
}

/// What a program is and what it must leave behind, worked out by hand.
struct Program: Sendable, CustomTestStringConvertible {
    var name: String
    var source: String
    var instructions: UInt64
    var registers: [String: UInt64]

    var testDescription: String { name }

    static let all = [
        Program(
            name: "a counted loop with memory",
            source: """
                    mov ebx, 0x200000
                    mov ecx, 1000
                    xor eax, eax
                again:
                    add eax, ecx
                    mov [rbx], rax
                    add rdx, [rbx]
                    dec ecx
                    jnz again
                end: jmp end
                """, instructions: 3 + 5000, registers: ["rax": 500_500, "rdx": 333_833_500, "rcx": 0]),
        Program(
            name: "code that rewrites the instruction after the next",
            source: """
                    mov ecx, 5
                again:
                    inc byte [rel patch + 1]
                    nop
                patch:
                    mov al, 0
                    add ebx, eax
                    dec ecx
                    jnz again
                end: jmp end
                """, instructions: 1 + 5 * 6, registers: ["rbx": 15, "rax": 5]),
        Program(
            name: "code that rewrites the very next instruction",
            source: """
                    mov ecx, 3
                again:
                    add byte [rel patch], 1
                patch:
                    db 0x3f + 0x48, 0xc0
                    dec ecx
                    jnz again
                end: jmp end
                """, instructions: 1 + 12, registers: ["rcx": 0]),
        Program(
            name: "an instruction across two pages",
            source: """
                    mov ecx, 100
                    jmp over
                    align 4096
                    times 4096 - 3 nop
                over:
                    mov eax, 0x11223344
                    add rdx, rax
                    dec ecx
                    jnz over
                end: jmp end
                """, instructions: 2 + 400, registers: ["rdx": 100 * 0x1122_3344]),
        Program(
            name: "calls, returns and the stack",
            source: """
                    mov esp, 0x300000
                    mov edi, 12
                    call fib
                end: jmp end
                fib:
                    cmp edi, 2
                    jae deep
                    mov eax, edi
                    ret
                deep:
                    push rdi
                    dec edi
                    call fib
                    pop rdi
                    push rax
                    sub edi, 2
                    call fib
                    pop rdx
                    add eax, edx
                    ret
                """, instructions: 10_000, registers: ["rax": 144, "rsp": 0x30_0000]),
        Program(
            name: "a string move of many iterations",
            source: """
                    mov edi, 0x200000
                    mov ecx, 3000
                    mov al, 0x5a
                    cld
                    rep stosb
                    mov esi, 0x200000
                    mov edi, 0x240001
                    mov ecx, 3000
                    rep movsb
                    mov rax, [0x240001 + 2992]
                end: jmp end
                """, instructions: 4 + 3000 + 3 + 3000 + 1,
            registers: ["rax": 0x5A5A_5A5A_5A5A_5A5A, "rcx": 0, "rdi": 0x24_0001 + 3000]),
    ]
}

@Suite struct ExecutionModeTests {
    @Test(arguments: Program.all)
    func programsLeaveTheSameStateInEveryExecutionMode(program: Program) throws {
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(program.source)
        var digests: [UInt64] = []
        for mode in ExecutionMode.all {
            var configuration = GuestConfiguration(boot: .flat(assembled.bytes, at: 0x10_0000, mode: .long))
            configuration.memory = 16 << 20
            configuration.tlbEntries = mode.tlbEntries
            configuration.usesBlockCache = mode.usesBlockCache
            let guest = try Guest(configuration)
            while guest.instructions < program.instructions {
                let left = program.instructions - guest.instructions
                #expect(guest.step(min(left, mode.slice)).reason == .instructions)
            }
            #expect(guest.instructions == program.instructions)
            for (name, value) in program.registers {
                #expect(guest.cpu[name] == value, "\(name) under \(mode.testDescription)")
            }
            digests.append(guest.digest)
        }
        #expect(Set(digests).count == 1)
    }

    /// Every kind of handler, and watchpoints on all that the programs touch; none decides anything.
    private static func watchEverything(_ guest: Guest) -> [HandlerID] {
        var filters = GuestEvent.Kind.allCases.filter { ![.exec, .read, .write, .instruction].contains($0) }
            .map { EventFilter($0) }
        filters += [
            EventFilter(.exec), .exec(0x10_0010), EventFilter(.exec, numbers: 0x10_0000...0x10_0008),
            .read(0x20_0000...0x20_0FFF), .write(0x20_0123...0x20_0123), .write(0x24_0000...0x24_FFFF, physical: true),
            .read(0...0xFFFF_FFFF, physical: true), .write(0x2F_F000...0x2F_FFFF),
        ]
        filters += ["mov", "jnz", "rep", "stosb", "movsb", "inc", "ret", "push"].compactMap(EventFilter.instruction)
        return filters.map { guest.on($0) { _ in .proceed } }
    }

    @Test(arguments: Program.all)
    func watchingLeavesTheSameState(program: Program) throws {
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(program.source)
        var digests: [UInt64] = []
        for (index, mode) in ExecutionMode.all.enumerated() {
            var configuration = GuestConfiguration(boot: .flat(assembled.bytes, at: 0x10_0000, mode: .long))
            configuration.memory = 16 << 20
            configuration.tlbEntries = mode.tlbEntries
            configuration.usesBlockCache = mode.usesBlockCache
            let guest = try Guest(configuration)
            // The first one is not watched; the others are all the time, or come and go.
            var handlers: [HandlerID] = []
            if index > 0 { handlers = Self.watchEverything(guest) }
            while guest.instructions < program.instructions {
                let left = program.instructions - guest.instructions
                #expect(guest.step(min(left, mode.slice)).reason == .instructions)
                if index == 2 || index == 4 {
                    if handlers.isEmpty {
                        handlers = Self.watchEverything(guest)
                    } else {
                        for handler in handlers { guest.off(handler) }
                        handlers = []
                    }
                }
            }
            for (name, value) in program.registers {
                #expect(guest.cpu[name] == value, "\(name) under \(mode.testDescription)")
            }
            digests.append(guest.digest)
        }
        #expect(Set(digests).count == 1)
    }

    @Test func endingTheRunAtEveryEventLeavesTheSameState() throws {
        let program = Program.all[4]
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(
            "mov al, 3\nout 0xe9, al\ncpuid\nxor eax, eax\n" + program.source)
        var digests: [UInt64] = []
        for stops in [false, true] {
            var configuration = GuestConfiguration(boot: .flat(assembled.bytes, at: 0x10_0000, mode: .long))
            configuration.memory = 16 << 20
            let guest = try Guest(configuration)
            var stopped = 0
            if stops {
                for kind: GuestEvent.Kind in [.io, .cpuid] { _ = guest.on(EventFilter(kind)) { _ in .stop("here") } }
                for name in ["ret", "push"] {
                    let filter = try #require(EventFilter.instruction(name))
                    _ = guest.on(filter) { _ in .stop("there") }
                }
                _ = guest.on(.write(0x2F_FFF0...0x2F_FFFF)) { _ in .stop("written") }
            }
            while guest.instructions < 3_000 {
                let stop = guest.run(limits: RunLimits(instructions: 3_000 - guest.instructions))
                if stop.reason == .stopped { stopped += 1 }
            }
            #expect(guest.instructions == 3_000 && (stopped > 100) == stops)
            digests.append(guest.digest)
        }
        #expect(Set(digests).count == 1)
    }
}
