import Testing
import VirtualMachine

/// A guest that takes timer interrupts, draws random numbers and writes to memory and the serial port, for ever.
private let busy = """
        lea rax, [rel handler]
        mov [rel idt + 8 * 16], ax
        shr rax, 16
        mov [rel idt + 8 * 16 + 6], ax
        mov ax, cs
        mov [rel idt + 8 * 16 + 2], ax
        mov word [rel idt + 8 * 16 + 4], 0x8e00
        mov esp, 0x300000
        lidt [rel pointer]
        mov al, 0x34
        out 0x43, al
        mov al, 100
        out 0x40, al
        mov al, 0
        out 0x40, al
        mov al, 0xfe
        out 0x21, al
        mov ebx, 0x200000
        sti
    again:
        rdrand rax
        mov [rbx], rax
        add ebx, 4088
        and ebx, 0x3fffff
        or ebx, 0x200000
        mov edx, 0x3f8
        out dx, al
        jmp again
    handler:
        push rax
        inc qword [rel ticks]
        mov al, 0x20
        out 0x20, al
        pop rax
        iretq
    ticks: dq 0
        align 16
    pointer: dw 0xfff
        dq idt
        align 16
    idt: times 256 dq 0
    """

@Suite struct SnapshotTests {
    @Test func runningOnFromASnapshotDoesTheSame() throws {
        let guest = try makeGuest(busy)
        guest.step(5_000)
        let before = guest.digest
        let start = try guest.snapshot()
        #expect(guest.digest == before)
        guest.step(200_000)
        let (first, output) = (guest.digest, guest.console.output)
        guest.step(12_345)
        try guest.restore(start)
        #expect(guest.digest == before)
        #expect(guest.instructions == 5_000)
        guest.step(200_000)
        #expect(guest.digest == first)
        #expect(guest.console.output == output)
        // A snapshot taken changes nothing either.
        try guest.restore(start)
        for _ in 0..<20 {
            guest.step(10_000)
            _ = try guest.snapshot()
        }
        #expect(guest.digest == first)
        #expect(first != before)
    }

    @Test func snapshotsGoBothWaysInTimeAndSurviveAReset() throws {
        let guest = try makeGuest(busy)
        guest.step(1_000)
        let early = try guest.snapshot()
        let earlyDigest = guest.digest
        guest.step(100_000)
        let late = try guest.snapshot()
        let lateDigest = guest.digest
        guest.reset()
        guest.step(3_000)
        try guest.restore(early)
        #expect(guest.digest == earlyDigest && guest.resets == 0)
        try guest.restore(late)
        #expect(guest.digest == lateDigest)
        // Another guest of the same making takes it too.
        let other = try makeGuest(busy)
        try other.restore(late)
        #expect(other.digest == lateDigest)
        other.step(50_000)
        guest.step(50_000)
        #expect(other.digest == guest.digest)
    }

    @Test func snapshotsStoreOnlyPagesWithContent() throws {
        let guest = try makeGuest(
            """
                mov ebx, 0x200000
                mov qword [rbx], 1
                mov qword [rbx + 0x1000], 1
                nop
                mov qword [rbx + 0x1000], 0
                hlt
            """)
        guest.step(1)
        let empty = try guest.snapshot()
        guest.step(3)
        let full = try guest.snapshot()
        #expect(full.storedPages == empty.storedPages + 2)
        guest.run()
        #expect(try guest.snapshot().storedPages == empty.storedPages + 1)
    }

    @Test func codeThatChangedSinceASnapshotIsDecodedAnew() throws {
        let guest = try makeGuest(
            """
                mov ecx, 2
            again:
                mov eax, 1
                add edx, eax
                mov byte [rel again + 1], 5
                dec ecx
                jnz again
                hlt
            """)
        let start = try guest.snapshot()
        #expect(guest.run().reason == .halted)
        #expect(guest.cpu["rdx"] == 6)
        try guest.restore(start)
        #expect(guest.run().reason == .halted)
        #expect(guest.cpu["rdx"] == 6)
    }

    @Test func aRunningGuestTakesNoSnapshot() throws {
        let guest = try makeGuest("out 0xe9, al\nhlt")
        var error: SnapshotError?
        _ = guest.on(EventFilter(.io)) { [unowned guest] _ in
            do throws(SnapshotError) { _ = try guest.snapshot() } catch let failure { error = failure }
            return .proceed
        }
        guest.run()
        #expect(error == .running)
    }

    @Test func pendingTimersAndDevicesAreSaved() throws {
        let guest = try makeGuest("again: jmp again")
        let device = ScriptedDevice("counter", ports: [0x500...0x503])
        try guest.attach(device)
        var fired: [UInt64] = []
        guest.after(nanoseconds: 500) { [unowned guest] in
            fired.append(guest.time)
            device.state["fired"] = 1
        }
        device.state["fired"] = 0
        guest.step(100)
        let start = try guest.snapshot()
        guest.step(1_000)
        let digest = guest.digest
        #expect(device.state["fired"] == 1)
        try guest.restore(start)
        #expect(device.state["fired"] == 0)
        guest.step(1_000)
        #expect(guest.digest == digest)
        #expect(fired == [500, 500])
    }
}
