/// The interrupt wires of a PC.
///
/// An ISA line reaches an input of the 8259A pair and the pin of the I/O APIC with the same number, but IRQ 0 the pin
/// 2. The PCI lines PIRQA# to PIRQD# are the pins 16 to 19, and reach the 8259A pair through the bridge's router.
final class Wiring {
    /// IRQ 0 to 15.
    let isa = (0..<16).map { _ in InterruptLine() }
    /// The inputs of the 8259A pair, where ISA lines and routed PCI lines meet.
    let controllerInputs = (0..<16).map { _ in InterruptLine() }
    /// The pins 16 to 23 of the I/O APIC.
    let upperPins = (16..<24).map { _ in InterruptLine() }
    /// The outputs that the HPET can replace.
    let intervalTimer = InterruptLine()
    let calendar = InterruptLine()

    /// PIRQA# to PIRQD#.
    var pciLines: [InterruptLine] { Array(upperPins[0..<4]) }

    /// Every line in a fixed order, for the state.
    var all: [InterruptLine] { isa + controllerInputs + upperPins + [intervalTimer, calendar] }

    /// A new end of an ISA line (0...15) or of an upper pin (16...23).
    func makeSource(_ number: Int) -> InterruptSource? {
        switch number {
        case 0..<16: isa[number].makeSource()
        case 16..<24: upperPins[number - 16].makeSource()
        default: nil
        }
    }

    /// New ends of the pins in a mask.
    func makeSources(pins: UInt32) -> [Int: InterruptSource] {
        var sources: [Int: InterruptSource] = [:]
        for pin in 16..<24 where pins >> UInt32(pin) & 1 == 1 { sources[pin] = upperPins[pin - 16].makeSource() }
        return sources
    }
}

extension PersonalComputer {
    /// Connects lines, controllers and processors.
    func connectInterrupts() {
        for (irq, line) in wiring.isa.enumerated() where irq != 2 {
            let input = wiring.controllerInputs[irq].makeSource()
            line.connect { input.set($0) }
            let pin = irq == 0 ? 2 : irq
            line.connect { [ioAPIC] in ioAPIC.setPin(pin, $0) }
        }
        for (irq, line) in wiring.controllerInputs.enumerated() where irq != 2 {
            let chip = irq < 8 ? masterPIC : slavePIC
            line.connect { chip.setInput(irq & 7, $0) }
        }
        for (index, line) in wiring.upperPins.enumerated() {
            line.connect { [ioAPIC] in ioAPIC.setPin(16 + index, $0) }
        }
        masterPIC.slaves = [2: slavePIC]
        slavePIC.outputChanged = { [weak masterPIC] in masterPIC?.setInput(2, $0) }
        // The output of the pair is LINT0 of every processor and pin 0 of the I/O APIC.
        masterPIC.outputChanged = { [ioAPIC, interruptBus] level in
            for apic in interruptBus.localAPICs { apic.setLINT0(level) }
            ioAPIC.setPin(0, level)
        }
        connectReplaceable(wiring.intervalTimer, irq: 0)
        connectReplaceable(wiring.calendar, irq: 8)
        intervalTimer.setAwaited { [weak self] in self?.isOpen(irq: 0) ?? false }
        calendar.setAwaited { [weak self] in
            self?.isOpen(irq: 8) ?? false
        } alarm: { [weak self] in
            guard let self, powerManagement.interrupts(on: ACPIPowerManagement.Event.calendarAlarm) else {
                return false
            }
            return isOpen(irq: configuration.powerManagement.interrupt & 15)
        }
    }

    /// Whether a controller lets the interrupts of an ISA line through.
    private func isOpen(irq: Int) -> Bool {
        let isMaskedByPair =
            irq < 8 ? masterPIC.masks(irq) : slavePIC.masks(irq & 7) || masterPIC.masks(2)
        return !isMaskedByPair || !ioAPIC.masks(pin: irq == 0 ? 2 : irq)
    }

    /// Connects an output to its IRQ as long as the HPET does not replace it.
    private func connectReplaceable(_ output: InterruptLine, irq: Int) {
        let input = wiring.isa[irq].makeSource()
        output.connect { [weak eventTimer] level in
            if eventTimer?.isLegacyReplacing == false { input.set(level) }
        }
        let before = eventTimer.legacyReplacementChanged
        eventTimer.legacyReplacementChanged = { replaces in
            before(replaces)
            input.set(!replaces && output.isAsserted)
        }
    }

    /// Connects what the guest can ask for with the requests, and the outputs with their closures.
    func connectRequests() {
        let reset = { [weak self] in self?.requests.append(.reset) ?? () }
        pci.resetRequested = reset
        systemControlA.resetRequested = reset
        keyboardController.resetRequested = reset
        powerManagement.powerOff = { [weak self] in self?.requests.append(.powerOff) }
        debugExit.exit = { [weak self] in self?.requests.append(.debugExit(value: $0)) }
        let mapChanged = { [weak self] in self?.memoryMapChanged() ?? () }
        pci.memoryMapChanged = mapChanged
        systemControlA.a20Changed = mapChanged
        keyboardController.a20Changed = mapChanged
        serialPort.transmit = { [weak self] in self?.serialOutput($0) }
        debugConsole.output = { [weak self] in self?.debugOutput($0) }
        firmwareConfiguration.guestMemory = { [weak self] in self?.guestMemory }
        calendar.alarmWentOff = { [weak self] in
            self?.powerManagement.raise(ACPIPowerManagement.Event.calendarAlarm)
        }
    }

    /// Attaches every chip to its bus.
    func attachChips() throws {
        for chip in [masterPIC, slavePIC] {
            for range in chip.ports { try ports.attach(chip, at: range) }
        }
        for range in Intel8254.ports { try ports.attach(intervalTimer, at: range) }
        for range in MC146818.ports { try ports.attach(calendar, at: range) }
        for range in Intel8042.ports { try ports.attach(keyboardController, at: range) }
        for range in powerManagement.ports { try ports.attach(powerManagement, at: range, widest: .dword) }
        for (range, widest) in FirmwareConfiguration.ports {
            try ports.attach(firmwareConfiguration, at: range, widest: widest)
        }
        try ports.attach(serialPort, at: serialPort.ports)
        try ports.attach(pageRegisters, at: DMAPageRegisters.ports)
        try ports.attach(systemControlA, at: SystemControlPortA.ports)
        try ports.attach(debugConsole, at: DebugConsole.ports)
        try ports.attach(debugExit, at: DebugExit.ports, widest: .dword)
        try ports.attach(pci, at: PCIHostBridge.portRange, widest: .dword)
        try memory.attach(ioAPIC, at: IOAPIC.range, widest: .qword)
        try memory.attach(eventTimer, at: HPET.range, widest: .qword)
    }

    /// Resets the chips; devices that drive lines come before the controllers that listen.
    func resetChips() {
        pci.reset()
        keyboardController.reset()
        systemControlA.reset()
        serialPort.reset()
        powerManagement.reset()
        eventTimer.reset()
        calendar.reset()
        intervalTimer.reset()
        pageRegisters.reset()
        firmwareConfiguration.reset()
        slavePIC.reset()
        masterPIC.reset()
        ioAPIC.reset()
        for apic in interruptBus.localAPICs { apic.reset() }
    }
}
