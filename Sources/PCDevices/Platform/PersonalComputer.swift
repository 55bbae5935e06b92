/// The chips of a PC, wired together, without processors and memory.
///
/// Everything runs on one thread and in guest time: the machine sets `clock.now` before it calls anything here, calls
/// `clock.fireDue()` at the instruction boundary where `clock.now` has reached `clock.nextDeadline`, and reads
/// `signals(to:)` after either. Equal calls at equal guest times give equal results.
package final class PersonalComputer {
    /// What is chosen when a machine is built.
    package struct Configuration: Hashable, Sendable {
        /// The number of processors, each with a local APIC; at least 1.
        package var processorCount = 1
        /// The size of RAM in bytes, for the chips that report it.
        package var memorySize: UInt64 = 128 << 20
        /// Where RAM ends below 4 GiB; what is more lies from 4 GiB on.
        package var lowMemoryEnd: UInt64 = 0xC000_0000
        /// The number of physical address bits of the processors.
        package var physicalAddressBits = 46
        /// Whether the local APICs have an x2APIC mode.
        package var supportsX2APIC = true
        /// The rate at which each local APIC's timer counts before its divider.
        package var localAPICTimerFrequency = Frequency(hertz: 1_000_000_000)
        /// The rate of the time-stamp counters.
        package var timestampFrequency = Frequency(hertz: 1_000_000_000)
        /// What the calendar shows at guest time zero.
        package var startDate = CalendarDate(year: 2_025, month: 1, day: 1)
        /// How long characters take on the serial port.
        package var serialTiming = UART16550A.Timing.instantaneous
        /// Where the power-management registers are.
        package var powerManagement = ACPIPowerManagement.Layout()
        /// Whether the chips are set up, now and after each reset, as a BIOS leaves them.
        package var isSetUpByFirmware = true

        /// Makes the configuration of a PC with one processor.
        package init() {}
    }

    /// What was chosen when the machine was built.
    package let configuration: Configuration
    /// Guest time.
    package let clock = VirtualClock()
    /// The I/O space; scripted devices may attach and detach at run time.
    package let ports = PortBus()
    /// Memory-mapped I/O, except the local APICs' pages, which each processor sees at its own address.
    package let memory = MemoryBus()
    /// Guest memory, for devices that transfer data by themselves; without it their transfers fail.
    package weak var guestMemory: (any GuestMemory)?
    /// Takes each byte that the serial port transmits.
    package var serialOutput: (UInt8) -> Void = { _ in }
    /// Takes each byte written to the debug console, port 0xE9.
    package var debugOutput: (UInt8) -> Void = { _ in }
    /// Hears that physical addresses changed their owner: a local APIC moved, a PCI region was mapped, A20 switched.
    package var memoryMapChanged: () -> Void = {}
    /// The requests of the guest that the machine has not taken yet, the oldest first.
    package internal(set) var requests: [GuestRequest] = []

    /// The wires between the chips.
    let wiring = Wiring()
    package let interruptBus = InterruptBus()
    package let masterPIC: Intel8259A
    package let slavePIC: Intel8259A
    package let ioAPIC: IOAPIC
    package let intervalTimer: Intel8254
    package let calendar: MC146818
    package let eventTimer: HPET
    package let powerManagement: ACPIPowerManagement
    package let serialPort: UART16550A
    package let keyboardController: Intel8042
    package let pci: PCIHostBridge
    package let firmwareConfiguration: FirmwareConfiguration
    package let pageRegisters = DMAPageRegisters()
    package let systemControlA = SystemControlPortA()
    package let debugConsole = DebugConsole()
    package let debugExit = DebugExit()
    let interruptRouter: PCIInterruptRouter

    /// Assembles the chips, wires them and attaches them to the buses.
    package init(_ configuration: Configuration = Configuration()) throws {
        self.configuration = configuration
        masterPIC = Intel8259A(commandPort: 0x20, edgeLevelPort: 0x4D0, edgeLevelMask: 0xF8)
        slavePIC = Intel8259A(commandPort: 0xA0, edgeLevelPort: 0x4D1, edgeLevelMask: 0xDE)
        ioAPIC = IOAPIC(bus: interruptBus)
        intervalTimer = Intel8254(clock: clock, interrupt: wiring.intervalTimer.makeSource())
        calendar = MC146818(date: configuration.startDate, clock: clock, interrupt: wiring.calendar.makeSource())
        eventTimer = HPET(
            clock: clock, legacyLines: [wiring.isa[0].makeSource(), wiring.isa[8].makeSource()],
            pins: wiring.makeSources(pins: HPET.routablePins))
        powerManagement = ACPIPowerManagement(
            layout: configuration.powerManagement, clock: clock,
            interrupt: wiring.isa[configuration.powerManagement.interrupt & 15].makeSource())
        serialPort = UART16550A(
            base: 0x3F8, timing: configuration.serialTiming, clock: clock, interrupt: wiring.isa[4].makeSource())
        keyboardController = Intel8042(
            keyboardInterrupt: wiring.isa[1].makeSource(), auxiliaryInterrupt: wiring.isa[12].makeSource())
        pci = PCIHostBridge(ports: ports, memory: memory, routedLines: wiring.pciLines)
        firmwareConfiguration = FirmwareConfiguration(
            memorySize: configuration.memorySize, processorCount: max(configuration.processorCount, 1))
        let bridge = Chipset.isaBridge()
        interruptRouter = PCIInterruptRouter(
            bridge: bridge, lines: wiring.pciLines, inputs: wiring.controllerInputs.map { $0.makeSource() })
        for index in 0..<max(configuration.processorCount, 1) { addLocalAPIC(index) }
        connectInterrupts()
        connectRequests()
        try attachChips()
        try pci.attach(Chipset.hostBridge(), at: .init(slot: 0))
        try pci.attach(bridge, at: .init(slot: 1))
        if configuration.isSetUpByFirmware { setUpLikeFirmware() }
    }

    private func addLocalAPIC(_ index: Int) {
        var local = LocalAPIC.Configuration()
        local.identifier = UInt32(truncatingIfNeeded: index)
        local.isBootstrapProcessor = index == 0
        local.supportsX2APIC = configuration.supportsX2APIC
        local.physicalAddressBits = configuration.physicalAddressBits
        local.timerFrequency = configuration.localAPICTimerFrequency
        local.timestampCounter = TimestampCounter(frequency: configuration.timestampFrequency)
        interruptBus.attach(LocalAPIC(local, clock: clock))
    }

    private func localAPIC(_ processor: Int) -> LocalAPIC? {
        interruptBus.localAPICs.indices.contains(processor) ? interruptBus.localAPICs[processor] : nil
    }

    // MARK: Accesses by a processor

    /// Executes the bus side of IN; `width` is at most a dword.
    package func readPort(_ port: PortAddress, width: AccessWidth) -> UInt32 { ports.read(port, width: width) }

    /// Executes the bus side of OUT; `width` is at most a dword.
    package func writePort(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        ports.write(value, to: port, width: width)
    }

    /// Reads a physical address that is not RAM, or that lies in the processor's local APIC page.
    package func readMemory(_ address: MemoryAddress, width: AccessWidth, processor: Int) -> UInt64 {
        if let apic = localAPIC(processor), let page = apic.page, page.rawValue == address.rawValue & ~0xFFF {
            return apic.readPage(address.rawValue & 0xFFF, width: width)
        }
        return memory.read(address, width: width)
    }

    /// Writes a physical address that is not RAM, or that lies in the processor's local APIC page.
    package func writeMemory(_ value: UInt64, to address: MemoryAddress, width: AccessWidth, processor: Int) {
        if let apic = localAPIC(processor), let page = apic.page, page.rawValue == address.rawValue & ~0xFFF {
            apic.writePage(value, to: address.rawValue & 0xFFF, width: width)
        } else {
            memory.write(value, to: address, width: width)
        }
    }

    /// The page at which a processor sees its local APIC, in front of RAM; nil when disabled or in x2APIC mode.
    package func localAPICPage(of processor: Int) -> MemoryAddress? { localAPIC(processor)?.page }

    /// Whether address line 20 passes; when not, bit 20 of every physical address reads as zero.
    package var isA20Enabled: Bool { systemControlA.enablesA20 || keyboardController.enablesA20 }

    /// Reads an MSR of a processor's local APIC: IA32_APIC_BASE, IA32_TSC_DEADLINE, the x2APIC range.
    ///
    /// - Returns: nil when the MSR is not there in the present mode, which is a #GP.
    package func readMSR(_ index: UInt32, processor: Int) -> UInt64? { localAPIC(processor)?.readMSR(index) }

    /// Writes an MSR of a processor's local APIC.
    ///
    /// - Returns: false when the write is a #GP, with nothing changed.
    package func writeMSR(_ value: UInt64, to index: UInt32, processor: Int) -> Bool {
        guard let apic = localAPIC(processor) else { return false }
        let page = apic.page
        let succeeds = apic.writeMSR(value, to: index)
        if apic.page != page { memoryMapChanged() }
        return succeeds
    }

    /// Reads CR8: the task-priority class of a processor's local APIC, 0...15.
    package func taskPriority(of processor: Int) -> UInt8 { localAPIC(processor)?.taskPriorityClass ?? 0 }

    /// Writes CR8; only the low four bits count.
    package func setTaskPriority(_ priority: UInt8, of processor: Int) {
        localAPIC(processor)?.taskPriorityClass = priority & 0xF
    }

    /// The time-stamp counter that IA32_TSC_DEADLINE is compared with; set it when the guest writes IA32_TSC.
    package func setTimestampCounter(_ counter: TimestampCounter, of processor: Int) {
        localAPIC(processor)?.timestampCounter = counter
    }

    // MARK: Signals to a processor

    /// What is signalled to a processor; it changes only by calls of this class and of `clock.fireDue()`.
    package func signals(to processor: Int) -> ProcessorSignals { localAPIC(processor)?.signals ?? [] }

    /// Whether a maskable interrupt waits that the task priority lets through.
    package func interruptPending(_ processor: Int) -> Bool { signals(to: processor).contains(.interrupt) }

    /// Takes the interrupt of the highest priority: the INTA cycle.
    ///
    /// An external interrupt, from the 8259A pair, goes before those of the local APIC.
    ///
    /// - Returns: its vector; nil when none waits any more.
    package func acknowledgeInterrupt(_ processor: Int) -> UInt8? {
        guard let apic = localAPIC(processor) else { return nil }
        if apic.wantsExternalAcknowledge {
            apic.acknowledgeExternal()
            return masterPIC.acknowledge()
        }
        return apic.deliverableVector == nil ? nil : apic.acknowledge()
    }

    /// The vector that `acknowledgeInterrupt` would give, nil if there is none; changes nothing.
    package func pendingInterrupt(_ processor: Int) -> UInt8? {
        guard let apic = localAPIC(processor) else { return nil }
        return apic.wantsExternalAcknowledge ? masterPIC.pendingVector : apic.deliverableVector
    }

    /// Takes the pending NMI.
    package func acknowledgeNonMaskableInterrupt(_ processor: Int) {
        localAPIC(processor)?.acknowledge(.nonMaskableInterrupt)
    }

    /// Takes the pending SMI.
    package func acknowledgeSystemManagementInterrupt(_ processor: Int) {
        localAPIC(processor)?.acknowledge(.systemManagementInterrupt)
    }

    /// Takes the pending INIT and initializes the processor's local APIC.
    package func acknowledgeInitialize(_ processor: Int) { localAPIC(processor)?.initialize() }

    /// Takes the pending INIT of a processor that leaves a guest for it; its local APIC stays as it is.
    package func takeInitialize(_ processor: Int) { localAPIC(processor)?.acknowledge(.initialize) }

    /// Takes the pending start-up interrupt; a processor that does not wait for one takes and ignores it.
    ///
    /// - Returns: its vector, the start address divided by 4,096; nil when none waits.
    package func acknowledgeStartUp(_ processor: Int) -> UInt8? { localAPIC(processor)?.acknowledgeStartUp() }

    // MARK: Requests and input

    /// Takes the oldest request of the guest.
    package func takeRequest() -> GuestRequest? { requests.isEmpty ? nil : requests.removeFirst() }

    /// Sends bytes to the serial port; they begin to arrive at `time`, or at once if that has passed.
    package func sendSerialInput(_ bytes: [UInt8], at time: UInt64) { serialPort.enqueue(bytes, at: time) }

    /// Sends scan codes of set 2 from the keyboard.
    package func sendKeyboardInput(_ codes: [UInt8]) { keyboardController.sendKeyboard(codes) }

    /// Presses the power button: sets PWRBTN_STS, which is an SCI when the guest enabled it.
    package func pressPowerButton() { powerManagement.raise(ACPIPowerManagement.Event.powerButton) }

    /// Presses the NMI button, which is wired to LINT1 of every processor.
    package func pressNMIButton() {
        for apic in interruptBus.localAPICs {
            apic.setLINT1(true)
            apic.setLINT1(false)
        }
    }

    /// Makes another device's end of an interrupt line.
    ///
    /// - Parameter interrupt: 0...15 for an IRQ of the ISA bus, 16...23 for a pin of the I/O APIC alone.
    /// - Returns: nil if there is no such line.
    package func makeInterruptSource(_ interrupt: Int) -> InterruptSource? { wiring.makeSource(interrupt) }

    /// Resets every chip as the RESET# line does; guest time, NVRAM and the calendar go on.
    package func reset() {
        resetChips()
        requests = []
        if configuration.isSetUpByFirmware { setUpLikeFirmware() }
        memoryMapChanged()
    }
}
