/// The state of all chips: a snapshot of the platform, and what the machine's digest covers.
extension PersonalComputer {
    /// A function of the PCI bus and its place.
    package struct FunctionState: Codable, Equatable, Sendable {
        package var slot: UInt8
        package var function: UInt8
        package var state: PCIFunction.State
    }

    /// Everything that the chips remember, with their armed timers.
    ///
    /// Guest time itself is not part of it: it belongs to the machine, which sets `clock.now` before it restores.
    package struct State: Codable, Equatable, Sendable {
        package var lines: [UInt64]
        package var masterPIC: Intel8259A.State
        package var slavePIC: Intel8259A.State
        package var ioAPIC: IOAPIC.State
        package var localAPICs: [LocalAPIC.State]
        package var intervalTimer: Intel8254.State
        package var calendar: MC146818.State
        package var eventTimer: HPET.State
        package var powerManagement: ACPIPowerManagement.State
        package var serialPort: UART16550A.State
        package var keyboardController: Intel8042.State
        package var pci: PCIHostBridge.State
        package var functions: [FunctionState]
        package var firmwareConfiguration: FirmwareConfiguration.State
        package var pageRegisters: DMAPageRegisters.State
        package var systemControlA: SystemControlPortA.State
        package var requests: [GuestRequest]
    }

    /// Why a state does not fit the machine.
    package enum RestoreError: Error, Equatable {
        /// The machine has another number of processors, lines or PCI functions, or functions in other places; or the
        /// state is none that its chips can be in.
        case differentMachine
    }

    /// Everything that the chips remember.
    package var state: State {
        State(
            lines: wiring.all.map(\.assertedSources), masterPIC: masterPIC.state, slavePIC: slavePIC.state,
            ioAPIC: ioAPIC.state, localAPICs: interruptBus.localAPICs.map(\.state),
            intervalTimer: intervalTimer.state, calendar: calendar.state, eventTimer: eventTimer.state,
            powerManagement: powerManagement.state, serialPort: serialPort.state,
            keyboardController: keyboardController.state, pci: pci.state,
            functions: pci.functions.map {
                FunctionState(slot: $0.location.slot, function: $0.location.function, state: $0.function.state)
            },
            firmwareConfiguration: firmwareConfiguration.state, pageRegisters: pageRegisters.state,
            systemControlA: systemControlA.state, requests: requests)
    }

    /// The state as bytes that are equal exactly when the states are.
    package func encodedState() throws -> [UInt8] { try StateEncoder.encode(state) }

    /// A 64-bit hash (FNV-1a) of the state's bytes, for the machine's digest.
    package func stateHash() throws -> UInt64 {
        try encodedState().reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// Puts all chips into a state; `clock.now` must be the time at which it was taken.
    ///
    /// - Throws: `RestoreError.differentMachine`, with nothing changed.
    package func restore(_ state: State) throws(RestoreError) {
        let lines = wiring.all
        let functions = pci.functions
        guard state.hasShape(of: self.state) else { throw .differentMachine }
        masterPIC.state = state.masterPIC
        slavePIC.state = state.slavePIC
        ioAPIC.state = state.ioAPIC
        for (apic, state) in zip(interruptBus.localAPICs, state.localAPICs) { apic.state = state }
        intervalTimer.state = state.intervalTimer
        calendar.state = state.calendar
        eventTimer.state = state.eventTimer
        powerManagement.state = state.powerManagement
        serialPort.state = state.serialPort
        keyboardController.state = state.keyboardController
        pci.state = state.pci
        for ((_, function), saved) in zip(functions, state.functions) { function.state = saved.state }
        firmwareConfiguration.state = state.firmwareConfiguration
        pageRegisters.state = state.pageRegisters
        systemControlA.state = state.systemControlA
        requests = state.requests
        // Last, so that no chip's restoring moves a line.
        for (line, sources) in zip(lines, state.lines) { line.assertedSources = sources }
        memoryMapChanged()
    }
}
