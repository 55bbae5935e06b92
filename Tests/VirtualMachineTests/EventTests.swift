import Testing
import VirtualMachine
import X86

/// A guest of a few instructions in long mode, paging on, at 1 MiB.
func makeGuest(_ source: String, blocks: Bool = true) throws -> Guest {
    let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(source)
    var configuration = GuestConfiguration(boot: .flat(assembled.bytes, at: 0x10_0000, mode: .long))
    configuration.memory = 8 << 20
    configuration.usesBlockCache = blocks
    return try Guest(configuration)
}

@Suite struct EventTests {
    /// What a handler has seen, shared with it.
    final class Record {
        var events: [GuestEvent] = []
    }

    @Test(arguments: [true, false])
    func watchpointsReportEveryAccessThatTouchesAByte(blocks: Bool) throws {
        let guest = try makeGuest(
            """
                mov ebx, 0x200000
                mov dword [rbx + 4], 0x11223344
                mov byte [rbx + 8], 5
                mov byte [rbx + 7], 6
                mov [rbx + 9], al
                mov eax, [rbx + 5]
                mov rax, [rbx + 16]
                add word [rbx + 8], 1
                hlt
            """, blocks: blocks)
        let record = Record()
        _ = guest.on(.write(0x20_0008...0x20_0008)) {
            record.events.append($0)
            return .proceed
        }
        _ = guest.on(.read(0x20_0008...0x20_0008, physical: true)) {
            record.events.append($0)
            return .proceed
        }
        #expect(guest.run().reason == .halted)
        #expect(
            record.events.map { [$0.kind == .write ? 1 : 0, $0.address ?? 0, UInt64($0.size ?? 0), $0.value ?? 99] }
                == [
                    [1, 0x20_0008, 1, 5], [0, 0x20_0005, 4, 99], [0, 0x20_0008, 2, 99], [1, 0x20_0008, 2, 6],
                ])
        #expect(record.events.allSatisfy { $0.physicalAddress == $0.address })
    }

    @Test func watchpointsSeePageCrossingVectorAndStringAccesses() throws {
        let guest = try makeGuest(
            """
                mov rax, cr4
                or eax, 0x200
                mov cr4, rax
                mov esp, 0x300000
                mov edi, 0x200ffe
                mov dword [rdi], 1
                movups [rdi - 4], xmm0
                mov ecx, 8
                mov edi, 0x200ffc
                cld
                rep stosb
                mov edi, 0x201000
                call next
            next:
                hlt
            """)
        let record = Record()
        _ = guest.on(.write(0x20_1000...0x20_1000)) {
            record.events.append($0)
            return .proceed
        }
        _ = guest.on(.write(0x2F_FFF8...0x2F_FFFF)) {
            record.events.append($0)
            return .proceed
        }
        #expect(guest.run().reason == .halted)
        let seen = record.events.map { [$0.address ?? 0, UInt64($0.size ?? 0)] }
        #expect(seen == [[0x20_0FFE, 4], [0x20_0FFA, 16], [0x20_1000, 1], [0x2F_FFF8, 8]])
    }

    @Test func watchpointsCanReplyAndSkip() throws {
        let guest = try makeGuest(
            """
                mov ebx, 0x200000
                mov dword [rbx], 7
                mov eax, [rbx]
                mov dword [rbx + 64], 9
                mov ecx, [rbx + 64]
                hlt
            """)
        _ = guest.on(.read(0x20_0000...0x20_0003)) { _ in .reply(0x1_2345_6789) }
        _ = guest.on(.write(0x20_0040...0x20_0040)) { _ in .skip }
        #expect(guest.run().reason == .halted)
        #expect(guest.cpu["rax"] == 0x2345_6789)
        #expect(guest.cpu["rcx"] == 0)
    }

    @Test(arguments: [true, false])
    func instructionsAreReportedByWhatTheyAre(blocks: Bool) throws {
        let guest = try makeGuest(
            """
                mov ecx, 3
            again:
                mov eax, 1
                xor edx, edx
                cpuid
                mov ecx, 2
                jz not_taken
                dec r8
                jnz over
            over:
                hlt
            not_taken:
                nop
                hlt
            """, blocks: blocks)
        var counts: [String: Int] = [:]
        for name in ["cpuid", "je", "jnz", "nop", "hlt", "mov"] {
            let filter = try #require(EventFilter.instruction(name))
            _ = guest.on(filter) { _ in
                counts[name, default: 0] += 1
                return .proceed
            }
        }
        #expect(EventFilter.instruction("frobnicate") == nil)
        #expect(guest.run().reason == .halted)
        #expect(counts == ["cpuid": 1, "je": 1, "nop": 1, "hlt": 1, "mov": 3])
    }

    @Test(arguments: [true, false])
    func aHandlerHoldsFromTheNextInstructionOfTheSameBlockOn(blocks: Bool) throws {
        let guest = try makeGuest(
            """
                mov ebx, 0x200000
                mov [rbx], eax
                inc edx
                inc edx
                hlt
            """, blocks: blocks)
        // The code: 5 bytes, 2 bytes, then the instruction to be caught.
        let record = Record()
        _ = guest.on(.write(0x20_0000...0x20_0000)) { [unowned guest] _ in
            _ = guest.on(.exec(0x10_0007)) { event in
                record.events.append(event)
                return .proceed
            }
            return .proceed
        }
        #expect(guest.run().reason == .halted)
        #expect(record.events.map(\.rip) == [0x10_0007])
        #expect(record.events.first?.instructions == 2)
        #expect(guest.cpu["rdx"] == 2)
    }

    @Test func anExceptionThatEndsTheRunHasNotHappenedYet() throws {
        let guest = try makeGuest(
            """
                lea rax, [rel handler]
                mov [rel idt + 6 * 16], ax
                shr rax, 16
                mov [rel idt + 6 * 16 + 6], ax
                mov ax, cs
                mov [rel idt + 6 * 16 + 2], ax
                mov word [rel idt + 6 * 16 + 4], 0x8e00
                mov esp, 0x300000
                lidt [rel pointer]
                or dword [rel flags], 0
                sti
                nop
                ud2
                cli
                hlt
            handler:
                add qword [rsp], 2
                inc ebx
                iretq
            flags: dd 0
                align 16
            pointer: dw 0xfff
                dq idt
                align 16
            idt: times 256 dq 0
            """)
        let stop = guest.run(until: .exception(6))
        #expect(stop.reason == .event && stop.event?.cause == "#UD")
        #expect(guest.cpu.flag("IF") == true)
        #expect(guest.cpu["rsp"] == 0x30_0000)
        let before = guest.instructions
        // Going on does not report it again, and delivers it.
        let second = guest.run(until: .exception(6), limits: RunLimits(instructions: 1))
        #expect(second.reason == .instructions)
        #expect(guest.instructions == before + 1 && guest.cpu.flag("IF") == false)
        #expect(guest.run(until: .exception(6), limits: RunLimits(instructions: 100)).reason == .halted)
        #expect(guest.cpu["rbx"] == 1)
    }

    @Test func anInstructionThatEndsTheRunIsDoneOnceWhenItGoesOn() throws {
        let guest = try makeGuest(
            """
                mov al, 'A'
                out 0xe9, al
                mov al, 'B'
                out 0xe9, al
                hlt
            """)
        var asked = 0
        _ = guest.on(EventFilter(.io, numbers: 0xE9...0xE9)) { _ in
            asked += 1
            return .stop("port")
        }
        #expect(guest.run().reason == .stopped)
        #expect(guest.console.debugOutput == [])
        #expect(guest.run().detail == "port")
        #expect(guest.console.debugOutput == Array("A".utf8))
        #expect(guest.run().reason == .halted)
        #expect(guest.console.debugOutput == Array("AB".utf8))
        #expect(asked == 2)
    }

    @Test func consoleTextIsAnEvent() throws {
        let guest = try makeGuest(
            """
                mov edx, 0x3fb
                mov al, 3
                out dx, al
                mov edx, 0x3f8
                lea rsi, [rel text]
                mov ecx, 9
                cld
                rep outsb
                hlt
            text: db "aababaaba"
            """)
        let record = Record()
        _ = guest.on(.console("aba")) {
            record.events.append($0)
            return .proceed
        }
        #expect(guest.run().reason == .halted)
        #expect(guest.console.output == Array("aababaaba".utf8))
        #expect(record.events.count == 3)
    }

    @Test func aVerdictThatMakesNoSenseEndsTheRunAndSaysWhy() throws {
        let guest = try makeGuest("out 0xe9, al\nhlt")
        _ = guest.on(EventFilter(.io)) { _ in .reply(5) }
        let stop = guest.run()
        #expect(stop.reason == .stopped)
        #expect(stop.detail == "a write has no result to reply with: skip it, or let it go on")
    }

    @Test func everyKindOfEventSaysWhichVerdictsItTakes() {
        let guest = try? makeGuest("hlt")
        for kind in GuestEvent.Kind.allCases {
            guard let event = guest?.makeEvent(kind) else { continue }
            #expect(event.objection(to: .proceed) == nil && event.objection(to: .stop("")) == nil)
            let isAfter = [.transition, .vmentry, .console, .reset].contains(kind)
            #expect((event.objection(to: .inject(vector: 13, errorCode: 0)) == nil) == !isAfter)
            #expect(event.objection(to: .inject(vector: 2, errorCode: nil)) != nil)
        }
    }
}
