import Foundation
import Testing
import VirtualMachine
import X86
import _SeededNumbers

/// Guests that do whatever they like must end in a fault, a limit or a stop, and never harm the host program.
@Suite struct HostileGuestTests {
    /// 10,000 with VSCRIPT_LONG_TESTS=1.
    private static let imageCount = ProcessInfo.processInfo.environment["VSCRIPT_LONG_TESTS"] == nil ? 300 : 10_000

    private func guest(_ bytes: [UInt8], _ mode: BootSource.FlatMode, at address: UInt64 = 0x10_0000) throws -> Guest {
        var configuration = GuestConfiguration(boot: .flat(bytes, at: address, mode: mode))
        configuration.memory = 2 << 20
        return try Guest(configuration)
    }

    private func guest(_ source: String, mode: BootSource.FlatMode = .long) throws -> Guest {
        let code: CodeMode = mode == .long ? .bits64 : mode == .protected ? .bits32 : .bits16
        return try guest(try Assembler(mode: code, origin: 0x10_0000).assemble(source).bytes, mode)
    }

    @Test func randomImagesEndAtALimitOrInAStop() throws {
        var generator = SeededNumbers(2026)
        var reasons: [Stop.Reason: Int] = [:]
        for number in 0..<Self.imageCount {
            let bytes = (0..<4096).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            let mode: BootSource.FlatMode = [.real, .protected, .long][number % 3]
            let guest = try guest(bytes, mode, at: mode == .real ? 0x7C00 : 0x10_0000)
            let stop = guest.run(limits: RunLimits(time: 1_000_000_000, instructions: 100_000))
            reasons[stop.reason, default: 0] += 1
            #expect(guest.instructions <= 100_000 + 1)
        }
        #expect(reasons.values.reduce(0, +) == Self.imageCount)
        // Random bytes meet faults without handlers, halts and endless loops; nobody asked for another end.
        #expect(Set(reasons.keys).isSubset(of: [.crashed, .halted, .instructions, .timeout, .shutdown]))
    }

    @Test func randomImagesRunAlikeWithAndWithoutTheBlockCache() throws {
        var generator = SeededNumbers(7)
        for number in 0..<60 {
            let bytes = (0..<4096).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            let mode: BootSource.FlatMode = [.real, .protected, .long][number % 3]
            var digests: [UInt64] = []
            for (cache, entries) in [(true, 1024), (false, 16)] {
                var configuration = GuestConfiguration(
                    boot: .flat(bytes, at: mode == .real ? 0x7C00 : 0x10_0000, mode: mode))
                configuration.memory = 2 << 20
                configuration.usesBlockCache = cache
                configuration.tlbEntries = entries
                let guest = try Guest(configuration)
                _ = guest.run(limits: RunLimits(time: 1_000_000_000, instructions: 20_000))
                digests.append(guest.digest)
            }
            #expect(digests[0] == digests[1], "image \(number)")
        }
    }

    @Test func spinningForEverEndsAtTheTimeLimit() throws {
        let stop = try guest("spin: jmp spin").run(limits: RunLimits(time: 5_000_000))
        #expect(stop.reason == .timeout)
        #expect(stop.time == 5_000_000)
    }

    @Test func jumpingIntoUnmappedMemoryTellsTheFaultChain() throws {
        let stop = try guest("mov rax, 0x7fff00000000\n jmp rax").run(limits: RunLimits(instructions: 1_000))
        #expect(stop.reason == .crashed)
        #expect(stop.faults.first?.contains("#PF") == true, "\(stop.faults)")
        #expect(stop.detail.contains("triple fault"))
    }

    @Test func haltingWithInterruptsOffEndsAsHalted() throws {
        #expect(try guest("cli\n hlt").run(limits: RunLimits(time: 1_000_000_000)).reason == .halted)
    }

    @Test func handlerThatCannotBeFetchedEndsInATripleFault() throws {
        // An IDT whose #PF gate leads to a page that is not there: its first byte faults, and so on for ever.
        let stop = try guest(
            """
                lidt [rel pointer]
                mov rbx, 0x7fff00000000
                mov al, [rbx]
            pointer: dw 0xfff
                dq table
                align 16
            table: times 14 * 16 db 0
                dw 0, 0x10, 0x8e00, 0
                dd 0x7fff, 0
                times 4096 db 0
            """
        ).run(limits: RunLimits(instructions: 10_000))
        #expect(stop.reason == .crashed || stop.reason == .instructions)
        #expect(stop.instructions <= 10_000)
    }

    @Test func singleStepTrapWhoseHandlerKeepsTheTrapFlagEndsAtTheLimit() throws {
        // The #DB handler returns with TF set, so every instruction traps.
        let guest = try guest(
            """
                mov esp, 0x180000
                lea rax, [rel handler]
                mov [rel gate], ax
                shr rax, 16
                mov [rel gate + 6], ax
                mov ax, cs
                mov [rel gate + 2], ax
                lidt [rel pointer]
                pushfq
                or qword [rsp], 0x100
                popfq
            spin: jmp spin
            handler: iretq
            pointer: dw 0xfff
                dq table
                align 16
            table: times 16 db 0
            gate: dw 0, 0, 0x8e00, 0
                dd 0, 0
                times 4096 db 0
            """)
        #expect(guest.run(limits: RunLimits(instructions: 50_000)).reason == .instructions)
        #expect(guest.instructions == 50_000)
    }

    @Test func handlerThatRunsItsOwnGuestIsToldSo() throws {
        let guest = try guest("mov al, 1\n out 0xe9, al\n hlt")
        var inner: Stop?
        guest.console.onDebugOutput = { _ in inner = guest.run(limits: RunLimits(instructions: 1)) }
        #expect(guest.run(limits: RunLimits(instructions: 100)).reason == .halted)
        #expect(inner?.detail == "the guest is already running")
    }
}
