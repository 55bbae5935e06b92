/// The debug console of Bochs and QEMU: what is written goes out, and a read gives the port's number.
package final class DebugConsole: BusDevice {
    /// The range to attach the port at.
    package static let ports: ClosedRange<PortAddress> = 0xE9...0xE9

    /// Takes each byte written.
    package var output: (UInt8) -> Void = { _ in }

    /// Makes the port.
    package init() {}

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 { 0xE9 }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        output(UInt8(truncatingIfNeeded: value))
    }
}

/// QEMU's isa-debug-exit: a write ends the run with the value written.
package final class DebugExit: BusDevice {
    /// The range to attach the port at, with doubleword accesses.
    package static let ports: ClosedRange<PortAddress> = 0xF4...0xF7

    /// Hears each value written.
    package var exit: (UInt32) -> Void = { _ in }

    /// Makes the port.
    package init() {}

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 { 0 }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) { exit(value) }
}

/// The page registers of the DMA controllers, which only store; the first is the diagnostic (POST) port 0x80.
package final class DMAPageRegisters: BusDevice {
    /// Everything the registers remember.
    package struct State: Codable, Equatable, Sendable {
        package var registers = [UInt8](repeating: 0, count: 16)
    }

    /// The range to attach the registers at; port 0x80 is the first.
    package static let ports: ClosedRange<PortAddress> = 0x80...0x8F

    /// Everything the registers remember; another number of them is refused.
    package var state: State {
        get { page }
        set { if newValue.registers.count == 16 { page = newValue } }
    }

    private var page = State()

    /// Makes registers that hold zero.
    package init() {}

    /// Returns to the state after RESET.
    package func reset() { page = State() }

    /// The last code written to port 0x80.
    package var diagnosticCode: UInt8 { page.registers[0] }

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        UInt32(page.registers[Int(port.rawValue & 0xF)])
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        page.registers[Int(port.rawValue & 0xF)] = UInt8(truncatingIfNeeded: value)
    }
}

/// System control port A, 0x92: address line 20 and the fast reset.
package final class SystemControlPortA: BusDevice {
    /// Everything the port remembers.
    package struct State: Codable, Equatable, Sendable {
        package var value: UInt8 = 0
    }

    /// The range to attach the port at.
    package static let ports: ClosedRange<PortAddress> = 0x92...0x92

    package var state = State()
    /// Hears that the guest resets the processor.
    package var resetRequested: () -> Void = {}
    /// Hears that bit 1 has changed.
    package var a20Changed: () -> Void = {}

    /// Makes the port with address line 20 not asked for.
    package init() {}

    /// Returns to the state after RESET.
    package func reset() {
        state = State()
        a20Changed()
    }

    /// Whether the port asks for address line 20.
    package var enablesA20: Bool { state.value & 0x02 != 0 }

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 { UInt32(state.value) }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        let byte = UInt8(truncatingIfNeeded: value)
        let changes = byte ^ state.value
        state.value = byte & 0x03
        if changes & 0x02 != 0 { a20Changed() }
        // The reset comes with the change of bit 0 from zero to one.
        if changes & byte & 0x01 != 0 { resetRequested() }
    }
}
