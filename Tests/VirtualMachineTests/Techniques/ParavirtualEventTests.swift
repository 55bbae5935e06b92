import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// Event channels, descriptor tables, records and snapshots of paravirtual guests.
@Suite struct ParavirtualEventTests {
    @Test(arguments: [true, false]) func eventsComeByTimerAndBySending(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest(
            """
            \(kernel.call("bind", 0, 0))\(kernel.store(0))
            \(kernel.call("bind", 3, 0))\(kernel.store(1))
            \(kernel.call("bind", 0, 0))\(kernel.store(2))
            \(kernel.call("now"))
            lea edi, [\(kernel.r("ax")) + 5000]
            xor esi, esi
            \(kernel.call("setTimer"))
            \(kernel.call("block"))
            \(kernel.call("now"))\(kernel.store(3))
            // Masked, it waits.
            mov dword [0x1a0008], 4
            \(kernel.call("send", 2))\(kernel.store(4))
            mov eax, [\(ParavirtualKernel.place(34))]
            \(kernel.store(5))
            \(kernel.call("unmask", 2))
            mov eax, [\(ParavirtualKernel.place(34))]
            \(kernel.store(6))
            // Disabled, too.
            mov dword [0x1a0010], 1
            \(kernel.call("send", 2))
            mov eax, [\(ParavirtualKernel.place(34))]
            \(kernel.store(7))
            mov dword [0x1a0010], 0
            \(kernel.call("version"))
            mov eax, [\(ParavirtualKernel.place(34))]
            \(kernel.store(8))
            \(kernel.call("close", 2))
            \(kernel.call("send", 2))\(kernel.store(9))
            \(kernel.call("send", 64))\(kernel.store(10))
            \(kernel.call("block"))
            """)
        let stop = guest.run(limits: RunLimits(time: 1_000_000))
        // The machine's interval timer goes on, so there is always something to wait for.
        #expect(stop.reason == .timeout)
        #expect(guest.result(0) == 1 && guest.result(1) == 2 && guest.result32(2) == -16)
        // The timer has woken the kernel.
        #expect((5000..<6000).contains(guest.result(3)))
        #expect(guest.result(4) == 0 && guest.result(5) == 1 && guest.result(6) == 2)
        #expect(guest.result(7) == 2 && guest.result(8) == 3)
        #expect(guest.result32(9) == -22 && guest.result32(10) == -22)
        // Events were enabled where they came.
        #expect(guest.result(.lastFlags) & 0x200 != 0)
    }

    @Test(arguments: [true, false]) func eventsComeFromDevices(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest(
            """
            \(kernel.call("bind", 1, 0))\(kernel.store(0))
            \(kernel.call("bind", 2, 4))\(kernel.store(1))
            \(kernel.call("bind", 2, 0))\(kernel.store(2))
            // The interval timer, mode 0, 1000 counts.
            \(kernel.call("portWrite", 0x43, 1, 0x30))
            \(kernel.call("portWrite", 0x40, 1, 0xE8))
            \(kernel.call("portWrite", 0x40, 1, 3))\(kernel.store(3))
            \(kernel.call("block"))
            mov eax, [\(ParavirtualKernel.place(34))]
            \(kernel.store(4))
            \(kernel.call("block"))
            \(kernel.call("consoleRead", 0x1C_0000, 10))\(kernel.store(5))
            \(kernel.call("portWrite", 0x21, 1, 0))\(kernel.store(6))
            \(kernel.call("portRead", 0x1F, 4))\(kernel.store(7))
            \(kernel.call("portRead", 0x3FD, 1))\(kernel.store(8))
            \(kernel.call("portRead", 0x3FD, 3))\(kernel.store(9))
            \(kernel.call("portRead", 0x1_0000, 1))\(kernel.store(10))
            """)
        #expect(guest.run(limits: RunLimits(time: 10_000_000)).reason == .timeout)
        #expect(guest.result(0) == 1 && guest.result32(1) == -16 && guest.result(2) == 2 && guest.result(3) == 0)
        #expect(guest.result(4) == 1 && guest.result(.events) == 1)
        guest.console.send("ab")
        guest.run(limits: RunLimits(instructions: 10_000))
        #expect(guest.result(.events) == 2 && guest.result(5) == 2)
        #expect(guest.physicalWord(0x1C_0000) & 0xFFFF == 0x6261)
        // The controllers are the hypervisor's; other ports are read.
        #expect(guest.result32(6) == -1 && guest.result32(7) == -1 && guest.result(8) == 0x60)
        #expect(guest.result32(9) == -22 && guest.result32(10) == -22)
    }

    /// User code is interrupted, and goes on with all of its registers.
    @Test(arguments: [true, false]) func eventsInterruptUserCode(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest(
            """
            \(kernel.call("bind", 0, 0))
            \(kernel.call("setTimer", 3_000, 0))
            \(kernel.enterUser)
            """,
            user: """
                xor eax, eax
                again:
                inc eax
                mov [\(ParavirtualKernel.place(0))], eax
                cmp eax, 5000
                jb again
                jmp $
                """)
        guest.step(30_000)
        #expect(guest.result(.events) == 1 && guest.result(0) == 5000)
        #expect(guest.transitions.count(cause: "externalInterrupt") == 1)
    }

    @Test(arguments: [true, false]) func descriptorsAreValidated(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        /// Data at ring 3 with a base of 0x1f0000 and 4 KiB.
        let data: UInt64 = 0x0000_F21F_0000_0FFF
        func update(_ index: UInt64, _ value: UInt64, _ result: Int) -> String {
            (isWide
                ? kernel.call("updateDescriptor", 0x22_0000 + index * 8, value)
                : kernel.call("updateDescriptor", 0x22_0000 + index * 8, value & 0xFFFF_FFFF, value >> 32))
                + kernel.store(result)
        }
        func map(_ flags: UInt64) -> String {
            isWide
                ? kernel.call("updateMapping", 0x22_0000, 0x22_0000 | flags)
                : kernel.call("updateMapping", 0x22_0000, 0x22_0000 | flags, 0)
        }
        let guest = try kernel.guest(
            """
            \(kernel.call("setDescriptorTable", 0x22_0000, 1))\(kernel.store(0))
            \(map(5))
            \(kernel.call("setDescriptorTable", 0x22_0000, 1))\(kernel.store(1))
            \(kernel.call("setDescriptorTable", 0x22_0000, 15))\(kernel.store(2))
            \(update(1, data, 3))
            \(update(2, data & ~(3 << 45), 4))
            \(update(2, data & ~(3 << 45) | 1 << 45, 5))
            \(update(2, 0x0000_EE00_0008_0000, 6))
            \(update(2, 0x0000_EC00_0008_0000, 7))
            \(update(2, 0x0000_8900_0000_0067, 8))
            \(update(2, 0x00AF_FB00_0000_FFFF, 9))
            \(update(2, 0x00CF_FE00_0000_FFFF, 10))
            \(map(7))\(kernel.store(11))
            mov dword [0x1f0010], 4711
            mov eax, 0x0b
            mov es, ax
            mov eax, [es:0x10]
            \(kernel.store(12))
            \(kernel.landing("refused"))
            mov dword [0x220008], 0
            mov dword [\(ParavirtualKernel.place(13))], 1
            refused:
            \(kernel.landing("loaded"))
            mov eax, 0xe008
            mov es, ax
            mov dword [\(ParavirtualKernel.place(14))], 1
            loaded:
            \(kernel.call("setDescriptorTable", 0, 0))\(kernel.store(15))
            \(map(7))\(kernel.store(16))
            """)
        // No table, and then the one that it has given.
        #expect(guest.monitor?.descriptorTable?.size == 0)
        while guest.monitor?.descriptorTable?.size == 0, guest.instructions < 1000 { guest.step(1) }
        #expect(guest.monitor?.descriptorTable?.physical == 0x22_0000)
        #expect(guest.monitor?.descriptorTable?.size == 0x1000)
        guest.step(10_000)
        // Mapped for writing; then it is taken, but not more pages than there may be.
        #expect(guest.result32(0) == -16 && guest.result32(1) == 0 && guest.result32(2) == -22)
        #expect(guest.result32(3) == 0)
        // Ring 0; ring 1, which only a 32-bit kernel has; an interrupt gate, a call gate, a TSS.
        #expect(guest.result32(4) == -1 && guest.result32(5) == (isWide ? -1 : 0))
        #expect(guest.result32(6) == -1 && guest.result32(7) == -1 && guest.result32(8) == -1)
        // 64-bit code, which only a 64-bit kernel has, and conforming code.
        #expect(guest.result32(9) == (isWide ? 0 : -1) && guest.result32(10) == -1)
        #expect(guest.result32(11) == -16)
        // In 64-bit code a base of ES counts for nothing.
        #expect(guest.result(12) == (isWide ? guest.physicalWord(0x10) & 0xFFFF_FFFF : 4711))
        #expect(guest.result(13) == 0 && guest.result(14) == 0 && guest.result(.faults) == 2)
        #expect(guest.result32(15) == 0 && guest.result32(16) == 0)
    }

    @Test(arguments: [true, false]) func crossingsAreRecordedWithTheirCalls(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest(
            """
            \(kernel.call("portWrite", 0x80, 1, 9))
            \(kernel.call("pin", 0x21_0001, 3))
            \(kernel.enterUser)
            """, user: "int 0x80\njmp $")
        guest.transitions.isRecording = true
        guest.step(200)
        let rows = guest.transitions.rows
        let write = try #require(rows.first { $0.kind == "exit" && $0.call?.name == "portWrite" })
        #expect(write.call?.number == UInt64(ParavirtualKernel.number("portWrite")))
        #expect(write.call?.arguments == [0x80, 1, 9] && write.call?.result == nil)
        #expect(write.exit?.reason == .hypercall && write.technique == .paravirtual && write.cost != nil)
        #expect(write.before.level == .ring0 && write.before.physicalRing == (isWide ? 3 : 1))
        #expect(write.after.level == .root && write.after.depth == 0)
        let entries = rows.filter { $0.kind == "entry" }
        #expect(entries.contains { $0.call?.name == "portWrite" && $0.call?.result == 0 })
        let refused = try #require(entries.first { $0.call?.name == "pin" })
        #expect(refused.call?.failure == "invalid")
        #expect(Int32(truncatingIfNeeded: refused.call?.result ?? 0) == -22)
        // User code: 3 to root, 3 to 0 as the guest sees it, root to 0.
        let position = try #require(rows.firstIndex { $0.cause == "int 0x80" })
        #expect(rows[position].before.level == .ring3 && rows[position].after.level == .ring0)
        #expect(rows[position].after.physicalRing == (isWide ? 3 : 1) && rows[position].switchedStack)
        #expect(rows[position - 1].kind == "exit" && rows[position - 1].exit?.reason == .systemCall)
        #expect(rows[position + 1].kind == "entry" && rows[position + 1].after.level == .ring0)
        #expect(guest.transitions.count(to: .root, reason: .hypercall) >= 6)
        // Exits and entries alternate.
        let sides = rows.filter { $0.kind == "exit" || $0.kind == "entry" }.map(\.kind)
        #expect(zip(sides, sides.dropFirst()).allSatisfy { $0 != $1 })
    }

    @Test(arguments: [true, false]) func handlersSeeCallsAndAnswerThem(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let guest = try kernel.guest(
            """
            \(kernel.call("version"))\(kernel.store(0))
            \(kernel.call("now"))\(kernel.store(1))
            mov eax, 0x5001
            vmcall
            \(kernel.store(2))
            ud2
            """)
        var numbers: [UInt64] = []
        _ = guest.on(EventFilter(.hypercall)) { event in
            numbers.append(event.value ?? 0)
            switch event.value {
            case 0: return .reply(99)
            case 0x5001: return .reply(17)
            default: return .proceed
            }
        }
        let stop = guest.run(until: EventFilter(.exception), limits: RunLimits(instructions: 10_000))
        #expect(stop.reason == .event && stop.event?.vector == 6)
        #expect(guest.result(0) == 99 && guest.result(1) > 0 && guest.result(2) == 17)
        #expect(numbers == [3, 6, 5, 0, UInt64(ParavirtualKernel.number("now")), 0x5001])
        // The stop is before the exception; going on does not report it again.
        #expect(guest.result(.faults) == 0)
        guest.step(50)
        #expect(guest.result(.faults) == 1)
    }

    @Test(arguments: [true, false]) func snapshotsHoldWhatTheHypervisorKnows(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let body = """
            \(kernel.buildTables)
            \(kernel.call("setBase", 0x20_0000))
            \(kernel.call("pin", 0x20_3000, 1))
            \(kernel.call("bind", 0, 0))
            again:
            \(kernel.call("now"))
            lea edi, [\(kernel.r("ax")) + 700]
            xor esi, esi
            \(kernel.call("setTimer"))
            \(kernel.call("block"))
            inc dword [\(ParavirtualKernel.place(0))]
            \(isWide ? kernel.call("updateMapping", 0x1F_2000, 0x1F_0005) : kernel.call("updateMapping", 0x1F_2000, 0x1F_0005, 0))
            jmp again
            """
        let guest = try kernel.guest(body)
        guest.run(limits: RunLimits(time: 30_000))
        let snapshot = try guest.snapshot()
        let before = guest.digest
        let steps: [UInt64] = [1, 3, 17, 90, 400]
        func digests(_ guest: Guest) -> [UInt64] {
            steps.map { step in
                guest.step(step)
                return guest.digest
            }
        }
        let first = digests(guest)
        try guest.restore(snapshot)
        #expect(guest.digest == before)
        #expect(digests(guest) == first)
        try guest.restore(snapshot)
        let path = "/tmp/vscript-paravirtual-\(isWide)-\(UInt64.random(in: 0...UInt64.max)).snapshot"
        try guest.save(to: path)
        let other = try kernel.guest(body)
        try other.load(from: path)
        #expect(other.digest == before && digests(other) == first)
        #expect(other.result(0) > 5)
        // Without blocks everything is the same.
        var configuration = guest.configuration
        configuration.usesBlockCache = false
        configuration.tlbEntries = 16
        let slow = try Guest(configuration)
        let fast = try kernel.guest(body)
        for slice in [100, 20_000, 7, 500] as [UInt64] {
            slow.step(slice)
            fast.step(slice)
            #expect(slow.digest == fast.digest)
        }
    }
}
