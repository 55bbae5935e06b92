import Testing
import VirtualMachine

@Suite struct ScriptedDeviceTests {
    @Test(arguments: [true, false])
    func registersAnswerWithOffsetAndWidth(blocks: Bool) throws {
        let guest = try makeGuest(
            """
                mov edx, 0x504
                mov eax, 0x11223344
                out dx, eax
                in al, dx
                mov ebx, 0xfebf0000
                mov [rbx + 8], eax
                mov rcx, [rbx + 16]
                mov word [rbx + 0x20], 7
                hlt
            """, blocks: blocks)
        let device = ScriptedDevice("registers", ports: [0x500...0x507], memory: [0xFEBF_0000...0xFEBF_0FFF])
        var seen: [[UInt64]] = []
        device.onRead = { access in
            seen.append([0, access.offset, UInt64(access.width)])
            return 0x1122_3344_5566_7788
        }
        device.onWrite = { access, value in
            seen.append([1, access.offset, UInt64(access.width), value])
        }
        try guest.attach(device)
        #expect(guest.run().reason == .halted)
        #expect(
            seen == [
                [1, 4, 4, 0x1122_3344], [0, 4, 1], [1, 8, 4, 0x1122_3388], [0, 16, 8], [1, 0x20, 2, 7],
            ])
        #expect(guest.cpu["rcx"] == 0x1122_3344_5566_7788)
    }

    @Test func overlapsAreRefusedPrecisely() throws {
        let guest = try makeGuest("hlt")
        func text(_ device: ScriptedDevice) -> String {
            do throws(DeviceError) { try guest.attach(device) } catch { return error.description }
            return "attached"
        }
        #expect(text(ScriptedDevice("a", ports: [0x500...0x50F])) == "attached")
        #expect(
            text(ScriptedDevice("b", ports: [0x700...0x701, 0x50F...0x510]))
                == "ports 0x50F...0x510 of the device `b` overlaps 0x500...0x50F of the device `a`")
        // Nothing of the refused one stays behind.
        #expect(text(ScriptedDevice("c", ports: [0x700...0x701])) == "attached")
        #expect(
            text(ScriptedDevice("d", ports: [0x3F8...0x3F8]))
                == "ports 0x3F8...0x3F8 of the device `d` overlaps 0x3F8...0x3FF of the machine's UART16550A")
        #expect(
            text(ScriptedDevice("e", memory: [0x10_0000...0x10_0FFF]))
                == "memory 0x100000...0x100fff of the device `e` overlaps 0xc0000...0x7fffff of RAM")
        #expect(text(ScriptedDevice("f", irq: 2)).contains("cannot use interrupt 2"))
        #expect(text(ScriptedDevice("g")).contains("neither ports nor memory nor an interrupt"))
    }

    @Test func interruptsDMAAndTimersWorkAtExactTimes() throws {
        let guest = try makeGuest(
            """
                lea rax, [rel handler]
                mov [rel idt + 0x73 * 16], ax
                shr rax, 16
                mov [rel idt + 0x73 * 16 + 6], ax
                mov ax, cs
                mov [rel idt + 0x73 * 16 + 2], ax
                mov word [rel idt + 0x73 * 16 + 4], 0x8e00
                mov esp, 0x300000
                lidt [rel pointer]
                mov al, 0xf7
                out 0xa1, al
                mov al, 0xfb
                out 0x21, al
                mov qword [0x200000], 0x12345678
                mov edx, 0x500
                out dx, al
                sti
            again:
                jmp again
            handler:
                mov rbx, [0x200000]
                hlt
                align 16
            pointer: dw 0xfff
                dq idt
                align 16
            idt: times 256 dq 0
            """)
        let device = ScriptedDevice("copier", ports: [0x500...0x500], irq: 11)
        var started: UInt64 = 0
        var finished: UInt64 = 0
        device.onWrite = { [unowned device, unowned guest] _, _ in
            started = guest.time
            let bytes = (try? guest.mem.read(0x20_0000, count: 4)) ?? []
            device.after(.microseconds(10)) { [unowned device, unowned guest] in
                finished = guest.time
                try? guest.mem.write(bytes.reversed(), at: 0x20_0000)
                device.raise()
            }
        }
        try guest.attach(device)
        let stop = guest.run(limits: RunLimits(instructions: 100_000))
        #expect(stop.reason == .halted)
        #expect(finished == started + 10_000)
        #expect(guest.cpu["rbx"] == 0x7856_3412)
        #expect(device.isRaised)
        // A reset lowers the line and gives up what was under way.
        var resets = 0
        device.onReset = { resets += 1 }
        guest.reset()
        #expect(!device.isRaised && resets == 1)
    }

    @Test func aDeviceAttachedWhileABlockRunsAnswersTheNextInstruction() throws {
        let guest = try makeGuest(
            """
                out 0xe9, al
                mov edx, 0x500
                in al, dx
                hlt
            """)
        let device = ScriptedDevice("late", ports: [0x500...0x500])
        device.onRead = { _ in 0x5A }
        _ = guest.on(EventFilter(.io, numbers: 0xE9...0xE9)) { [unowned guest] _ in
            try? guest.attach(device)
            return .proceed
        }
        guest.run()
        #expect((guest.cpu["al"] ?? 0) == 0x5A)
        guest.detach(device)
        #expect(guest.devices.isEmpty && device.guest == nil)
    }

    @Test func theStateOfADeviceIsPartOfTheDigest() throws {
        let guest = try makeGuest("hlt")
        let device = ScriptedDevice("stateful", ports: [0x500...0x500])
        try guest.attach(device)
        var digests: Set<UInt64> = []
        for value: DeviceValue in [
            .null, true, false, 0, 1, .integer(1 << 70), .number(1), "", "a", .bytes([]), .bytes([0]), .list([]),
            .list([0]), .map([:]), .map(["a": 0]), .map(["b": 0]),
        ] {
            device.state["value"] = value
            digests.insert(guest.digest)
        }
        #expect(digests.count == 16)
        guest.after(nanoseconds: 1) {}
        digests.insert(guest.digest)
        #expect(digests.count == 17)
    }
}
