import PCDevices

/// The ports, addresses and interrupts that the firmware tables tell the guest: the devices' own, and how they are wired.
package enum PlatformResources {
    // MARK: Power management (ACPI 6.4 section 4.8)

    package static let powerManagement = ACPIPowerManagement.Layout()
    package static let resetPort: UInt16 = 0xCF9
    /// A hard reset: RST_CPU with SYS_RST.
    package static let resetValue: UInt8 = 0x06

    // MARK: Interrupt controllers and timers

    package static let localAPIC = UInt32(truncatingIfNeeded: LocalAPIC.defaultBase)
    package static let ioAPIC = UInt32(truncatingIfNeeded: IOAPIC.base.rawValue)
    package static let ioAPICID: UInt8 = 0
    /// The I/O APIC input that the 8254's IRQ 0 is wired to.
    package static let timerInput: UInt32 = 2
    package static let hpet = UInt32(truncatingIfNeeded: HPET.range.lowerBound.rawValue)
    package static let hpetSize: UInt32 = 0x400
    package static let hpetIdentity = HPET.blockIdentifier

    // MARK: PCI

    package static let pciConfiguration: UInt16 = 0xCF8
    /// The window for the memory of PCI devices.
    package static let pciMemory: ClosedRange<UInt32> = 0xC000_0000...0xFEBF_FFFF
    package static let pciSlots: UInt8 = 32
    /// The I/O APIC input of an interrupt pin, 0...3 for INTA#...INTD#.
    package static func pciInput(slot: UInt8, pin: UInt8) -> UInt8 { 16 + (slot & 3 + pin & 3) & 3 }
    /// The same pin's IRQ of the 8259A pair.
    package static func pciIRQ(slot: UInt8, pin: UInt8) -> UInt8 { 10 + (slot & 1 + pin & 1) & 1 }

    // MARK: Legacy devices

    package static let serialPort: UInt16 = 0x3F8
    package static let serialIRQ: UInt8 = 4
    package static let clockPort: UInt16 = 0x70
    package static let clockIRQ: UInt8 = 8
    /// The CMOS register that holds the century.
    package static let centuryRegister: UInt8 = 0x32
    package static let keyboardPorts: (data: UInt16, command: UInt16) = (0x60, 0x64)
    package static let keyboardIRQ: UInt8 = 1
}
