/// An I/O APIC with 24 pins.
///
/// Intel 82093AA datasheet (290566); version 0x20 adds the EOI register at offset 0x40, as in the ICH, which software
/// that suppresses EOI broadcasts needs. Pins carry the logical level, so the polarity bits are only remembered.
package final class IOAPIC: BusDevice {
    /// Everything the chip remembers.
    package struct State: Codable, Equatable, Sendable {
        package var select: UInt8 = 0
        /// The 4-bit APIC ID.
        package var identifier: UInt8 = 0
        /// The levels of the pins, a bit for each.
        package var levels: UInt32 = 0
        /// The redirection table.
        package var entries = Array(repeating: Entry.masked, count: IOAPIC.pinCount)
    }

    private enum Entry {
        static let logical: UInt64 = 1 << 11
        static let remoteIRR: UInt64 = 1 << 14
        static let levelTriggered: UInt64 = 1 << 15
        static let masked: UInt64 = 1 << 16
        /// What software may change; delivery status and remote IRR are the chip's.
        static let writable: UInt64 = 0xFF00_0000_0001_AFFF
    }

    /// The number of pins.
    package static let pinCount = 24
    /// The address on a PC.
    package static let base: MemoryAddress = 0xFEC0_0000
    /// The range to attach the chip at.
    package static let range: ClosedRange<MemoryAddress> = base...0xFEC0_0FFF

    private static let version: UInt32 = 0x20

    /// Everything the chip remembers; a table of another size is refused.
    package var state: State {
        get { chip }
        set { if newValue.entries.count == Self.pinCount { chip = newValue } }
    }

    private var chip = State()
    private let bus: InterruptBus

    /// Makes a chip with all pins masked that sends its messages over `bus`.
    package init(bus: InterruptBus) {
        self.bus = bus
        bus.onEndOfInterrupt { [weak self] in self?.endOfInterrupt($0) }
    }

    /// Returns to the state after RESET; the pins keep their levels.
    package func reset() {
        let levels = chip.levels
        chip = State()
        chip.levels = levels
    }

    // MARK: Pins

    /// Whether edges of a pin are lost.
    package func masks(pin: Int) -> Bool {
        !chip.entries.indices.contains(pin) || chip.entries[pin] & Entry.masked != 0
    }

    /// Drives a pin.
    package func setPin(_ pin: Int, _ level: Bool) {
        guard chip.entries.indices.contains(pin) else { return }
        let bit = UInt32(1) << UInt32(pin)
        let rises = level && chip.levels & bit == 0
        if level { chip.levels |= bit } else { chip.levels &= ~bit }
        let entry = chip.entries[pin]
        if isLevelTriggered(entry) {
            serviceLevel(pin)
        } else if rises, entry & Entry.masked == 0 {
            // An edge on a masked pin is lost ("Interrupt Mask" in the redirection table).
            _ = send(entry)
        }
    }

    /// Only fixed and lowest-priority interrupts can be level-triggered.
    private func isLevelTriggered(_ entry: UInt64) -> Bool {
        entry & Entry.levelTriggered != 0 && entry >> 8 & 7 <= 1
    }

    /// Sends the interrupt of a level-triggered pin that is high and not in service.
    private func serviceLevel(_ pin: Int) {
        let entry = chip.entries[pin]
        let isHigh = chip.levels >> UInt32(pin) & 1 == 1
        guard isHigh, isLevelTriggered(entry), entry & (Entry.masked | Entry.remoteIRR) == 0 else { return }
        chip.entries[pin] |= Entry.remoteIRR
        if !send(entry) { chip.entries[pin] &= ~Entry.remoteIRR }
    }

    /// Sends the message of an entry; false if no local APIC took it.
    private func send(_ entry: UInt64) -> Bool {
        guard let mode = DeliveryMode(rawValue: UInt8(truncatingIfNeeded: entry >> 8 & 7)), mode != .startUp else {
            return false
        }
        let target = UInt32(truncatingIfNeeded: entry >> 56)
        let destination: InterruptMessage.Destination =
            target == 0xFF ? .all : entry & Entry.logical != 0 ? .logical(target) : .physical(target)
        return bus.send(
            InterruptMessage(
                mode, vector: UInt8(truncatingIfNeeded: entry), to: destination,
                isLevelTriggered: isLevelTriggered(entry)))
    }

    private func endOfInterrupt(_ vector: UInt8) {
        for pin in chip.entries.indices {
            let entry = chip.entries[pin]
            guard entry & Entry.remoteIRR != 0, UInt8(truncatingIfNeeded: entry) == vector else { continue }
            chip.entries[pin] &= ~Entry.remoteIRR
            serviceLevel(pin)
        }
    }

    // MARK: Registers

    private func readRegister() -> UInt32 {
        switch chip.select {
        case 0x00, 0x02: return UInt32(chip.identifier) << 24
        case 0x01: return UInt32(Self.pinCount - 1) << 16 | Self.version
        case 0x10..<UInt8(0x10 + 2 * Self.pinCount):
            let entry = chip.entries[Int(chip.select - 0x10) / 2]
            return UInt32(truncatingIfNeeded: chip.select & 1 == 1 ? entry >> 32 : entry)
        default: return 0
        }
    }

    private func writeRegister(_ value: UInt32) {
        if chip.select == 0x00 {
            chip.identifier = UInt8(truncatingIfNeeded: value >> 24) & 0x0F
            return
        }
        let number = Int(chip.select) - 0x10
        guard number >= 0, number < 2 * Self.pinCount else { return }
        let pin = number / 2
        let old = chip.entries[pin]
        let merged =
            number & 1 == 1
            ? old & 0xFFFF_FFFF | UInt64(value) << 32 : old & ~0xFFFF_FFFF | UInt64(value)
        var entry = merged & Entry.writable | (old & Entry.remoteIRR)
        // Remote IRR has no meaning for edges; software clears a stuck one by a change to edge and back.
        if !isLevelTriggered(entry) { entry &= ~Entry.remoteIRR }
        chip.entries[pin] = entry
        serviceLevel(pin)
    }

    package func read(_ address: MemoryAddress, width: AccessWidth) -> UInt64 {
        let offset = address.rawValue & 0xFF
        let shift = offset & 0xF
        guard shift < 4 else { return 0 }
        let value: UInt32 =
            switch offset & 0xF0 {
            case 0x00: UInt32(chip.select)
            case 0x10: readRegister()
            default: 0
            }
        return UInt64(value) >> (shift * 8)
    }

    package func write(_ value: UInt64, to address: MemoryAddress, width: AccessWidth) {
        switch address.rawValue & 0xFF {
        case 0x00: chip.select = UInt8(truncatingIfNeeded: value)
        case 0x10: if width == .dword || width == .qword { writeRegister(UInt32(truncatingIfNeeded: value)) }
        case 0x40: endOfInterrupt(UInt8(truncatingIfNeeded: value))
        default: break
        }
    }
}
