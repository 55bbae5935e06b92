/// The devices that cannot be found by themselves, as the DSDT's definition block tells them to the guest.
enum DifferentiatedDescription {
    /// The AML behind the table's header.
    static func definition(processorCount: Int) -> [UInt8] {
        let softOff = AML.integer(UInt64(PlatformResources.powerManagement.softOffType))
        let terms = [
            AML.name("\\_S5", AML.package([softOff, softOff, AML.integer(0), AML.integer(0)])),
            // The guest tells which interrupt controllers it uses: 0 the 8259A pair, 1 the I/O APIC (section 5.8.1).
            AML.name("\\PICM", AML.integer(0)),
            AML.method("\\_PIC", arguments: 1, [AML.store(AML.argument0, in: "\\PICM")]),
            AML.scope("\\_SB", processors(processorCount) + [pciRoot, hpet]),
        ]
        return Array(terms.joined())
    }

    private static func processors(_ count: Int) -> [[UInt8]] {
        (0..<count).map { index in
            let digits = String(index, radix: 16, uppercase: true)
            let name = "C" + String(repeating: "0", count: 3 - min(digits.count, 3)) + digits
            return AML.device(
                name, [AML.name("_HID", AML.string("ACPI0007")), AML.name("_UID", AML.integer(UInt64(index)))])
        }
    }

    private static var pciRoot: [UInt8] {
        let windows = AML.resources([
            AML.produces(.busNumber, 0...0xFF),
            AML.ports(PlatformResources.pciConfiguration, count: 8),
            AML.produces(.ports, 0...UInt32(PlatformResources.pciConfiguration) - 1),
            AML.produces(.ports, UInt32(PlatformResources.pciConfiguration) + 8...0xFFFF),
            AML.produces(.memory, PlatformResources.pciMemory),
        ])
        return AML.device(
            "PCI0",
            [
                AML.name("_HID", AML.eisaID("PNP0A03")),
                AML.name("_UID", AML.integer(0)),
                AML.name("_CRS", windows),
                AML.name("APRT", interruptRouting(PlatformResources.pciInput)),
                AML.name("PPRT", interruptRouting(PlatformResources.pciIRQ)),
                AML.method(
                    "_PRT",
                    [
                        AML.ifTrue(AML.nameString("\\PICM"), [AML.returning(AML.nameString("APRT"))]),
                        AML.returning(AML.nameString("PPRT")),
                    ]),
            ] + legacyDevices)
    }

    /// One row for each pin of each slot (ACPI 6.4 section 6.2.13): the address with function 0xFFFF, the pin, no
    /// link device, the interrupt.
    private static func interruptRouting(_ interrupt: (UInt8, UInt8) -> UInt8) -> [UInt8] {
        AML.package(
            (0..<PlatformResources.pciSlots).flatMap { slot in
                (UInt8(0)..<4).map { pin in
                    AML.package([
                        AML.integer(UInt64(slot) << 16 | 0xFFFF), AML.integer(UInt64(pin)), AML.integer(0),
                        AML.integer(UInt64(interrupt(slot, pin))),
                    ])
                }
            })
    }

    private static var legacyDevices: [[UInt8]] {
        let powerManagement = PlatformResources.powerManagement
        return [
            legacy("PIC", "PNP0000", [AML.ports(0x20, count: 2), AML.ports(0xA0, count: 2), AML.interrupt(2)]),
            legacy("TIMR", "PNP0100", [AML.ports(0x40, count: 4), AML.interrupt(0)]),
            legacy(
                "RTC", "PNP0B00",
                [AML.ports(PlatformResources.clockPort, count: 2), AML.interrupt(PlatformResources.clockIRQ)]),
            legacy(
                "KBD", "PNP0303",
                [
                    AML.ports(PlatformResources.keyboardPorts.data, count: 1),
                    AML.ports(PlatformResources.keyboardPorts.command, count: 1),
                    AML.interrupt(PlatformResources.keyboardIRQ),
                ]),
            legacy(
                "COM1", "PNP0501",
                [AML.ports(PlatformResources.serialPort, count: 8), AML.interrupt(PlatformResources.serialIRQ)],
                identifier: 1),
            // What no other device claims: port 0x92, the SMI command port, the ELCRs and power management.
            legacy(
                "MBRD", "PNP0C02",
                [
                    AML.ports(0x92, count: 1), AML.ports(powerManagement.smiCommand.rawValue, count: 2),
                    AML.ports(0x4D0, count: 2), AML.ports(powerManagement.eventBlock.rawValue, count: 0x10),
                ]),
        ]
    }

    private static func legacy(
        _ name: String, _ hardwareID: String, _ resources: [[UInt8]], identifier: UInt64? = nil
    ) -> [UInt8] {
        let unique = identifier.map { [AML.name("_UID", AML.integer($0))] } ?? []
        return AML.device(
            name,
            [AML.name("_HID", AML.eisaID(hardwareID))] + unique + [AML.name("_CRS", AML.resources(resources))])
    }

    private static var hpet: [UInt8] {
        AML.device(
            "HPET",
            [
                AML.name("_HID", AML.eisaID("PNP0103")),
                AML.name("_UID", AML.integer(0)),
                AML.name("_CRS", AML.resources([AML.memory(PlatformResources.hpet, size: PlatformResources.hpetSize)])),
            ])
    }
}
