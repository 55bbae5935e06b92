/// What a BIOS does to the chips before it starts an operating system, done through their registers.
extension PersonalComputer {
    /// Sets the chips up: 8259A pair at vectors 0x08 and 0x70 with everything masked, 18.2 Hz timer, virtual wire mode.
    func setUpLikeFirmware() {
        let writes: [(port: PortAddress, value: UInt32)] = [
            (0x20, 0x11), (0x21, 0x08), (0x21, 0x04), (0x21, 0x01), (0x21, 0xFF),
            (0xA0, 0x11), (0xA1, 0x70), (0xA1, 0x02), (0xA1, 0x01), (0xA1, 0xFF),
            // Level-triggered: the SCI and what PCI lines are routed to.
            (0x4D1, 0x0E),
            (0x43, 0x36), (0x40, 0x00), (0x40, 0x00),
            // Keyboard interrupt and translation on, auxiliary device off, system flag set.
            (0x64, 0x60), (0x60, 0x65),
            (configuration.powerManagement.smiCommand, UInt32(configuration.powerManagement.acpiEnable)),
        ]
        for (port, value) in writes { ports.write(value, to: port, width: .byte) }
        for (index, irq): (UInt32, UInt32) in [(0, 10), (1, 11), (2, 10), (3, 11)] {
            // PIRQRC[A:D] of the ISA bridge in slot 1.
            ports.write(0x8000_0860, to: 0xCF8, width: .dword)
            ports.write(irq, to: PortAddress(UInt16(0xCFC + index)), width: .byte)
        }
        ports.write(0, to: 0xCF8, width: .dword)
        if let bootstrap = interruptBus.localAPICs.first {
            // Virtual wire mode: LINT0 takes interrupts of the 8259A pair, LINT1 the NMI.
            for (offset, value): (UInt64, UInt64) in [(0xF0, 0x1FF), (0x350, 0x700), (0x360, 0x400)] {
                bootstrap.writePage(value, to: offset, width: .dword)
            }
        }
        for (index, value) in firmwareMemory { calendar.setMemory(index, value) }
        setConfigurationChecksum()
    }

    /// The bytes of battery-backed memory in which a BIOS keeps the sizes of memory and the equipment.
    private var firmwareMemory: [(Int, UInt8)] {
        let mebibyte: UInt64 = 1 << 20
        let low = min(configuration.memorySize, configuration.lowMemoryEnd)
        let high = configuration.memorySize - low
        /// Units of a size above a bound, up to what the bytes can hold.
        func units(_ size: UInt64, above bound: UInt64, of unit: UInt64, limit: UInt64) -> UInt64 {
            size > bound ? min((size - bound) / unit, limit) : 0
        }
        let extended = units(low, above: mebibyte, of: 1_024, limit: 0xFFFF)
        let above16 = units(low, above: 16 * mebibyte, of: 0x1_0000, limit: 0xFFFF)
        let above4G = min(high / 0x1_0000, 0xFF_FFFF)
        let processors = UInt64(min(interruptBus.localAPICs.count - 1, 0xFF))
        let fields: [(index: Int, count: Int, value: UInt64)] = [
            // Equipment: a coprocessor and a pointing device. No floppy disks, no fixed disks.
            (0x14, 1, 0x06), (0x15, 2, 640), (0x17, 2, extended), (0x30, 2, extended), (0x34, 2, above16),
            (0x5B, 3, above4G), (0x5F, 1, processors),
        ]
        return fields.flatMap { field in
            (0..<field.count).map { (field.index + $0, UInt8(truncatingIfNeeded: field.value >> UInt64(8 * $0))) }
        }
    }

    /// The sum of the bytes 0x10 to 0x2D, the high byte first.
    private func setConfigurationChecksum() {
        let sum = calendar.state.memory[0x10...0x2D].reduce(UInt16(0)) { $0 &+ UInt16($1) }
        calendar.setMemory(0x2E, UInt8(sum >> 8))
        calendar.setMemory(0x2F, UInt8(truncatingIfNeeded: sum))
    }
}
