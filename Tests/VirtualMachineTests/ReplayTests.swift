import Testing
import VirtualMachine
import X86

/// Going back and on again: handlers and scripted devices are not called for what has happened already.
@Suite struct ReplayTests {
    /// What handlers have counted, shared with them.
    final class Counts {
        var values: [String: Int] = [:]
        func add(_ name: String) { values[name, default: 0] += 1 }
    }

    /// A guest that uses a port, an MSR and a device for ever, and adds up what it reads.
    private func guest() throws -> Guest {
        try makeGuest(
            """
                mov esp, 0x300000
            again:
                in al, 0x70
                mov dx, 0x500
                in eax, dx
                add ebx, eax
                mov eax, ebx
                out dx, eax
                mov ecx, 0x10
                rdmsr
                add esi, eax
                mov eax, [0x200000]
                add edi, eax
                cpuid
                add ebp, ebx
                jmp again
            """)
    }

    /// Handlers and a device whose answers no run could repeat: each is another.
    private func equip(_ guest: Guest, _ counts: Counts) throws {
        var number: UInt64 = 0
        let device = ScriptedDevice("dice", ports: [0x500...0x503])
        device.onRead = { _ in
            counts.add("read")
            number += 7
            return number
        }
        device.onWrite = { [unowned guest, unowned device] _, value in
            counts.add("write")
            number += 1
            device.state["last"] = .integer(Int128(value))
            guest.cpu.set("r8", number)
            // DMA, and something to be done later.
            guest.cpu.write(0x20_0000, [UInt8(truncatingIfNeeded: number), 1, 2, 3])
            guest.after(nanoseconds: 5) { [unowned guest] in
                counts.add("timer")
                number += 3
                guest.cpu.write(0x20_0004, [UInt8(truncatingIfNeeded: number)])
            }
        }
        try guest.attach(device)
        _ = guest.on(EventFilter(.cpuid)) { [unowned guest] _ in
            counts.add("cpuid")
            number += 11
            guest.cpu.set("rbx", number)
            return .skip
        }
        _ = guest.on(EventFilter(.msr)) { _ in
            counts.add("msr")
            number += 13
            return .reply(number)
        }
    }

    @Test func nobodyIsCalledAgainAndTheDigestsAreTheSame() throws {
        let guest = try guest()
        let counts = Counts()
        try equip(guest, counts)
        let history = GuestHistory(guest)
        history.interval = 100
        var digests: [UInt64: UInt64] = [:]
        for _ in 0..<100 {
            _ = history.run(limits: RunLimits(instructions: 10))
            digests[guest.instructions] = guest.digest
        }
        let (first, end) = (counts.values, guest.instructions)
        #expect(first.count == 5 && first.values.allSatisfy { $0 > 20 })
        for position: UInt64 in [990, 500, 10, 770, 1_000, 330] {
            history.go(to: position)
            #expect(guest.instructions == position && guest.digest == digests[position], "at \(position)")
        }
        // Forwards through the known past, then on into what is new.
        _ = history.run(limits: RunLimits(instructions: end - guest.instructions))
        #expect(guest.digest == digests[end])
        #expect(counts.values == first)
        _ = history.run(limits: RunLimits(instructions: 100))
        #expect(counts.values.allSatisfy { $0.value > first[$0.key] ?? 0 })
        let later = (guest.digest, guest.instructions)
        history.go(to: 50)
        history.go(to: later.1)
        #expect(guest.digest == later.0)
    }

    @Test func aHandlerThatIsGoneStillHasHadItsEffects() throws {
        let guest = try guest()
        let history = GuestHistory(guest)
        let handler = guest.on(EventFilter(.cpuid)) { [unowned guest] event in
            guest.cpu.set("rbx", event.instructions)
            return .skip
        }
        _ = history.run(limits: RunLimits(instructions: 200))
        guest.off(handler)
        let digest = guest.digest
        history.go(to: 0)
        history.go(to: 200)
        #expect(guest.digest == digest)
        // From here on nobody answers.
        let counts = Counts()
        _ = guest.on(EventFilter(.cpuid)) { _ in
            counts.add("cpuid")
            return .proceed
        }
        _ = history.run(limits: RunLimits(instructions: 100))
        #expect(counts.values["cpuid"] ?? 0 > 3)
    }

    @Test func aNewHandlerInThePastBeginsAnotherFuture() throws {
        let guest = try guest()
        let history = GuestHistory(guest)
        _ = history.run(limits: RunLimits(instructions: 1_000))
        history.go(to: 100)
        let counts = Counts()
        _ = guest.on(EventFilter(.cpuid)) { _ in
            counts.add("cpuid")
            return .proceed
        }
        _ = history.run(limits: RunLimits(instructions: 200))
        #expect(counts.values["cpuid"] ?? 0 > 10)
    }

    @Test func lookingOnSeesThePastAgain() throws {
        let guest = try guest()
        let counts = Counts()
        try equip(guest, counts)
        let history = GuestHistory(guest)
        _ = history.run(limits: RunLimits(instructions: 300))
        let first = counts.values
        let found = history.lastEvent(before: 300, matching: [EventFilter(.cpuid)])
        #expect(found != nil && counts.values == first)
        history.go(to: found?.event.instructions ?? 0)
        #expect(guest.cpu.rip != 0 && guest.instructions == found?.event.instructions)
    }

    @Test func inputComesInAgainOnTheWayBackAndForth() throws {
        let guest = try makeGuest(
            """
            again:
                mov dx, 0x3fd
                in al, dx
                test al, 1
                jz again
                mov dx, 0x3f8
                in al, dx
                add ebx, eax
                jmp again
            """)
        let history = GuestHistory(guest)
        var digests: [(UInt64, UInt64)] = []
        for text in ["a", "bc", "d", "efg"] {
            _ = history.run(limits: RunLimits(instructions: 500))
            guest.console.send(text)
            _ = history.run(limits: RunLimits(instructions: 500))
            digests.append((guest.instructions, guest.digest))
        }
        for (position, digest) in digests.reversed() + digests {
            history.go(to: position)
            #expect(guest.digest == digest)
        }
    }
}
