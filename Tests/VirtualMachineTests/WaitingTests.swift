import Testing
import VirtualMachine

@Suite("Guests that wait")
struct WaitingTests {
    private static let masked = """
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        sti
        again: hlt
        jmp again
        """

    @Test("a guest that waits for ever ends a run that has no other end, though clocks tick behind masked interrupts")
    func forEver() throws {
        let guest = try makeGuest(Self.masked)
        let stop = guest.run(instructions: 1_000_000)
        #expect(stop.reason == .halted && stop.instructions < 10)
        // Also with the calendar's own interrupts enabled, which the controllers mask.
        let other = try makeGuest("mov al, 0x0b\nout 0x70, al\nmov al, 0x72\nout 0x71, al\n" + Self.masked)
        #expect(other.run(instructions: 1_000_000).reason == .halted)
    }

    @Test("a guest that something wakes goes on: the calendar, a timer of the machine's, the interval timer")
    func woken() throws {
        let handler = """
            mov rsp, 0x200000
            lea rax, [rel handler]
            mov [rel idt + 0x28 * 16], ax
            shr rax, 16
            mov [rel idt + 0x28 * 16 + 6], ax
            mov ax, cs
            mov [rel idt + 0x28 * 16 + 2], ax
            mov word [rel idt + 0x28 * 16 + 4], 0x8e00
            lidt [rel pointer]
            mov al, 0x11
            out 0x20, al
            out 0xa0, al
            mov al, 0x20
            out 0x21, al
            mov al, 0x28
            out 0xa1, al
            mov al, 4
            out 0x21, al
            mov al, 2
            out 0xa1, al
            mov al, 1
            out 0x21, al
            out 0xa1, al
            mov al, 0xfb
            out 0x21, al
            mov al, 0xfe
            out 0xa1, al
            mov al, 0x0b
            out 0x70, al
            mov al, 0x12
            out 0x71, al
            sti
            hlt
            cli
            mov al, 0x42
            out 0xe9, al
            hlt
            handler: iretq
            align 16
            pointer: dw 0xfff
            dq idt
            align 16
            idt: times 256 dq 0, 0
            """
        let guest = try makeGuest(handler)
        #expect(guest.run(instructions: 1_000_000).reason == .halted)
        #expect(guest.console.debugOutput == [0x42] && guest.time > 100_000_000)
        let other = try makeGuest(Self.masked)
        var isWoken = false
        _ = other.after(nanoseconds: 5_000_000) { isWoken = true }
        #expect(other.run(instructions: 1_000_000).reason == .halted && isWoken)
    }
}
