import PCDevices
import Testing

private final class KeyboardBench {
    let keyboardLine = InterruptLine()
    let mouseLine = InterruptLine()
    let chip: Intel8042

    init() {
        chip = Intel8042(
            keyboardInterrupt: keyboardLine.makeSource(), auxiliaryInterrupt: mouseLine.makeSource())
    }

    var status: UInt32 { chip.read(0x64, width: .byte) }

    func command(_ value: UInt32) { chip.write(value, to: 0x64, width: .byte) }

    func data(_ value: UInt32) { chip.write(value, to: 0x60, width: .byte) }

    /// Reads all that is there: keyboard bytes as they are, auxiliary ones with bit 8 set.
    func drain() -> [UInt32] {
        var bytes: [UInt32] = []
        while status & 1 != 0, bytes.count < 100 {
            let isAuxiliary = status & 0x20 != 0
            bytes.append(chip.read(0x60, width: .byte) | (isAuxiliary ? 0x100 : 0))
        }
        return bytes
    }
}

@Suite struct Intel8042Tests {
    @Test func selfTestAndInterfaceTestsPass() {
        let bench = KeyboardBench()
        #expect(bench.status == 0x10)
        for (command, reply): (UInt32, UInt32) in [(0xAA, 0x55), (0xAB, 0), (0xA9, 0)] {
            bench.command(command)
            #expect(bench.status & 0x0D == 0x0D)
            #expect(bench.drain() == [reply])
        }
    }

    @Test func commandByteIsStoredAndAuxiliaryBitFollowsItsCommands() {
        let bench = KeyboardBench()
        bench.command(0x60)
        bench.data(0x47)
        for (command, value): (UInt32, UInt32) in [
            (0x20, 0x47), (0xA7, 0x67), (0xA8, 0x47), (0xAD, 0x57), (0xAE, 0x47),
        ] {
            bench.command(command)
            bench.command(0x20)
            #expect(bench.drain().last == value)
        }
    }

    @Test func keyboardAnswersItsCommands() {
        let bench = KeyboardBench()
        for (bytes, reply): ([UInt32], [UInt32]) in [
            ([0xFF], [0xFA, 0xAA]), ([0xF2], [0xFA, 0xAB, 0x83]), ([0xED, 0x07], [0xFA, 0xFA]),
            ([0xF0, 0x00], [0xFA, 0xFA, 0x02]), ([0xF0, 0x03], [0xFA, 0xFA]), ([0xF0, 0x00], [0xFA, 0xFA, 0x03]),
            ([0xF3, 0x20], [0xFA, 0xFA]), ([0xF4], [0xFA]), ([0xEE], [0xEE]), ([0x01], [0xFE]), ([0xF6], [0xFA]),
        ] {
            for byte in bytes { bench.data(byte) }
            #expect(bench.drain() == reply)
        }
    }

    @Test func mouseAnswersItsCommands() {
        let bench = KeyboardBench()
        for (bytes, reply): ([UInt32], [UInt32]) in [
            ([0xFF], [0xFA, 0xAA, 0x00]), ([0xF2], [0xFA, 0x00]), ([0xE8, 0x03], [0xFA, 0xFA]),
            ([0xF3, 0x28], [0xFA, 0xFA]), ([0xF4], [0xFA]), ([0xE9], [0xFA, 0x20, 0x03, 0x28]),
            ([0xEB], [0xFA, 0x08, 0, 0]), ([0xEE, 0x55, 0xEC], [0xFA, 0x55, 0xFA]),
        ] {
            for byte in bytes {
                bench.command(0xD4)
                bench.data(byte)
            }
            #expect(bench.drain() == reply.map { $0 | 0x100 })
        }
    }

    @Test func loopCommandsFillTheOutputBuffer() {
        let bench = KeyboardBench()
        bench.command(0xD3)
        bench.data(0x5A)
        #expect(bench.mouseLine.isAsserted)
        #expect(!bench.keyboardLine.isAsserted)
        bench.command(0xD2)
        bench.data(0xA5)
        #expect(bench.drain() == [0x15A, 0xA5])
        #expect(!bench.mouseLine.isAsserted && !bench.keyboardLine.isAsserted)
    }

    @Test func eachByteIsAnEdgeOfIRQ1() {
        let bench = KeyboardBench()
        var edges = 0
        bench.keyboardLine.connect { if $0 { edges += 1 } }
        bench.chip.sendKeyboard([0x1C, 0xF0, 0x1C])
        #expect(bench.drain() == [0x1C, 0xF0, 0x1C])
        #expect(edges == 3)
    }

    @Test func translationTurnsSet2IntoSet1() {
        let bench = KeyboardBench()
        bench.command(0x60)
        bench.data(0x41)
        bench.chip.sendKeyboard([0x1C, 0xF0, 0x1C, 0x5A, 0xE0, 0x75, 0xE0, 0xF0, 0x75, 0x83])
        // A down and up, Enter down, cursor up down and up, F7.
        #expect(bench.drain() == [0x1E, 0x9E, 0x1C, 0xE0, 0x48, 0xE0, 0xC8, 0x41])
        bench.data(0xF2)
        #expect(bench.drain() == [0xFA, 0xAB, 0x41])
    }

    @Test func disabledKeyboardKeepsItsBytes() {
        let bench = KeyboardBench()
        bench.command(0xAD)
        bench.chip.sendKeyboard([0x1C])
        #expect(bench.drain() == [])
        bench.command(0xAE)
        #expect(bench.drain() == [0x1C])
    }

    @Test func resetLineIsPulsedOrPulledLow() {
        let bench = KeyboardBench()
        var resets = 0
        bench.chip.resetRequested = { resets += 1 }
        bench.command(0xFF)
        #expect(resets == 0)
        bench.command(0xFE)
        #expect(resets == 1)
        bench.command(0xD0)
        let output = bench.drain().first ?? 0
        #expect(output & 0x03 == 0x03)
        bench.command(0xD1)
        bench.data(output & ~1)
        #expect(resets == 2)
    }
}
