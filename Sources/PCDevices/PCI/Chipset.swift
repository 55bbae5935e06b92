/// The two functions that a PC's chipset shows: the host bridge and the bridge to the legacy devices.
package enum Chipset {
    /// The Intel 82441FX host bridge, slot 0.
    package static func hostBridge() -> PCIFunction {
        var identity = PCIFunction.Identity(vendor: 0x8086, device: 0x1237, classCode: 0x06_00_00)
        identity.revision = 2
        return PCIFunction(identity)
    }

    /// The Intel PIIX3 ISA bridge, slot 1, with the interrupt routing registers PIRQRC[A:D].
    package static func isaBridge() -> PCIFunction {
        let identity = PCIFunction.Identity(vendor: 0x8086, device: 0x7000, classCode: 0x06_01_00)
        let routing = PCIInterruptRouter.registers.map { ($0, (value: UInt8(0x80), writable: UInt8(0x8F))) }
        return PCIFunction(identity, registers: Dictionary(uniqueKeysWithValues: routing))
    }
}

/// Routes the lines PIRQA# to PIRQD# to inputs of the 8259A pair, as the ISA bridge's registers say.
///
/// PIIX3 datasheet, "PIRQRC[A:D]": bit 7 switches a route off, bits 3:0 are the IRQ; 0, 1, 2, 8 and 13 are reserved.
package final class PCIInterruptRouter {
    /// The registers' offsets in the bridge's configuration space.
    package static let registers = 0x60...0x63

    private static let reserved: Set<Int> = [0, 1, 2, 8, 13]

    private let bridge: PCIFunction
    private let lines: [InterruptLine]
    private let inputs: [InterruptSource]

    /// Connects four lines with sixteen inputs.
    package init(bridge: PCIFunction, lines: [InterruptLine], inputs: [InterruptSource]) {
        self.bridge = bridge
        self.lines = lines
        self.inputs = inputs
        for line in lines { line.connect { [weak self] _ in self?.update() } }
        bridge.configurationWritten = { [weak self] range in
            if range.overlaps(Range(Self.registers)) { self?.update() }
        }
    }

    /// Drives each input that an asserted line is routed to.
    package func update() {
        var asserted: Set<Int> = []
        for (line, register) in zip(lines, Self.registers) where line.isAsserted {
            let route = Int(bridge.readConfiguration(register, width: .byte))
            if route & 0x80 == 0, !Self.reserved.contains(route & 0xF) { asserted.insert(route & 0xF) }
        }
        for (irq, input) in inputs.enumerated() { input.set(asserted.contains(irq)) }
    }
}
