/// One 8259A programmable interrupt controller, with the edge/level control register that PC chipsets add to it.
///
/// Intel 8259A datasheet (order number 231468): initialization command words ICW1–4, operation command words OCW1–3.
/// Two of them are cascaded in a PC: the slave's output drives the master's input 2.
package final class Intel8259A: BusDevice {
    /// The next command word that the data port expects.
    package enum InitializationStep: UInt8, Codable, Sendable { case none, icw2, icw3, icw4 }

    /// Everything the chip remembers.
    package struct State: Codable, Equatable, Sendable {
        /// The levels of the inputs.
        package var inputs: UInt8 = 0
        /// Rising edges not acknowledged yet; an input that falls loses its edge.
        package var edges: UInt8 = 0
        package var inService: UInt8 = 0
        package var mask: UInt8 = 0
        package var icw1: UInt8 = 0
        package var vectorBase: UInt8 = 0
        package var icw3: UInt8 = 0
        package var icw4: UInt8 = 0
        package var step = InitializationStep.none
        /// The input that has the lowest priority at present.
        package var lowestPriority: UInt8 = 7
        package var rotatesOnAutomaticEOI = false
        package var specialMaskMode = false
        package var readsInService = false
        package var isPolled = false
        /// Edge/level control: a set bit makes the input level-triggered.
        package var levelTriggered: UInt8 = 0
        package var output = false
    }

    private enum ICW1 {
        static let needsICW4: UInt8 = 1 << 0
        static let single: UInt8 = 1 << 1
        static let interval4: UInt8 = 1 << 2
        static let levelTriggered: UInt8 = 1 << 3
    }

    private enum ICW4 {
        static let mode8086: UInt8 = 1 << 0
        static let automaticEOI: UInt8 = 1 << 1
        static let specialFullyNested: UInt8 = 1 << 4
    }

    package var state = State()
    /// Hears each change of the INT output.
    package var outputChanged: (Bool) -> Void = { _ in }
    /// The chips cascaded on the inputs of a master, by input; empty in a slave.
    package var slaves: [Int: Intel8259A] = [:]

    private let commandPort: PortAddress
    private let dataPort: PortAddress
    private let edgeLevelPort: PortAddress
    private let edgeLevelMask: UInt8

    /// Makes a chip at two consecutive ports; `edgeLevelMask` tells which inputs can be made level-triggered.
    package init(commandPort: PortAddress, edgeLevelPort: PortAddress, edgeLevelMask: UInt8) {
        self.commandPort = commandPort
        dataPort = PortAddress(commandPort.rawValue &+ 1)
        self.edgeLevelPort = edgeLevelPort
        self.edgeLevelMask = edgeLevelMask
    }

    /// The ranges to attach the chip at.
    package var ports: [ClosedRange<PortAddress>] { [commandPort...dataPort, edgeLevelPort...edgeLevelPort] }

    /// Whether the INT output is high.
    package var isInterrupting: Bool { state.output }

    /// Returns to the state after power-on: nothing is initialized, all inputs keep their levels.
    package func reset() {
        let before = state
        state = State()
        state.inputs = before.inputs
        state.output = before.output
        update()
    }

    // MARK: Inputs and priority

    /// Drives one of the eight inputs.
    package func setInput(_ input: Int, _ level: Bool) {
        let bit = UInt8(1) << UInt8(input & 7)
        if level {
            if state.inputs & bit == 0 { state.edges |= bit }
            state.inputs |= bit
        } else {
            // An IR input must stay high until the first INTA ("IR triggering timing requirements").
            state.inputs &= ~bit
            state.edges &= ~bit
        }
        update()
    }

    private var levelInputs: UInt8 { state.icw1 & ICW1.levelTriggered != 0 ? 0xFF : state.levelTriggered }

    /// The interrupt request register.
    private var requests: UInt8 { (state.edges & ~levelInputs) | (state.inputs & levelInputs) }

    /// Whether requests of an input, 0...7, are not serviced.
    package func masks(_ input: Int) -> Bool { state.mask >> UInt8(input & 7) & 1 != 0 }

    private var isCascaded: Bool { state.icw1 & ICW1.single == 0 && !slaves.isEmpty }

    /// The place of an input in the order of priority, 0 first.
    private func rank(of input: UInt8) -> UInt8 { (input &- state.lowestPriority &- 1) & 7 }

    private func highest(of bits: UInt8) -> UInt8? {
        guard bits != 0 else { return nil }
        for rank in 1...8 {
            let input = (state.lowestPriority &+ UInt8(rank)) & 7
            if bits & (1 << input) != 0 { return input }
        }
        return nil
    }

    /// The input whose request is to be serviced now, if there is one.
    private var winner: UInt8? {
        guard let input = highest(of: requests & ~state.mask) else { return nil }
        // In special mask mode a masked level in service does not hold back the others.
        let blocking = state.specialMaskMode ? state.inService & ~state.mask : state.inService
        guard let serviced = highest(of: blocking) else { return input }
        if rank(of: input) < rank(of: serviced) { return input }
        // Special fully nested mode: a slave in service may interrupt again on its own level.
        let nests = state.icw4 & ICW4.specialFullyNested != 0 && isCascaded && slaves[Int(input)] != nil
        return nests && input == serviced ? input : nil
    }

    private func update() {
        let output = winner != nil && state.step == .none
        guard output != state.output else { return }
        state.output = output
        outputChanged(output)
    }

    // MARK: Acknowledge

    /// Runs the INTA sequence.
    ///
    /// - Returns: the vector; if no request remains, the one of input 7 with nothing in service (spurious).
    package func acknowledge() -> UInt8 {
        let input = service()
        if let input, isCascaded, state.icw3 & (1 << input) != 0, let slave = slaves[Int(input)] {
            return slave.acknowledge()
        }
        return vector(of: input ?? 7)
    }

    /// The vector that `acknowledge` would give.
    package var pendingVector: UInt8 {
        if let input = winner, isCascaded, state.icw3 & (1 << input) != 0, let slave = slaves[Int(input)] {
            return slave.pendingVector
        }
        return vector(of: winner ?? 7)
    }

    private func vector(of level: UInt8) -> UInt8 {
        if state.icw4 & ICW4.mode8086 != 0 { return state.vectorBase & 0xF8 | level }
        // In MCS-80 mode an x86 processor takes the second byte of the CALL, its low address, as the vector.
        return state.icw1 & ICW1.interval4 != 0
            ? state.icw1 & 0xE0 | level << 2 : state.icw1 & 0xC0 | level << 3
    }

    /// Puts the winner in service; with automatic EOI only for the moment.
    private func service() -> UInt8? {
        guard let input = winner else {
            update()
            return nil
        }
        let bit = UInt8(1) << input
        state.edges &= ~bit
        if state.icw4 & ICW4.automaticEOI == 0 {
            state.inService |= bit
        } else if state.rotatesOnAutomaticEOI {
            state.lowestPriority = input
        }
        // INT falls with each acknowledge, so that a master sees an edge for the next request.
        if state.output {
            state.output = false
            outputChanged(false)
        }
        update()
        return input
    }

    // MARK: Ports

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        if port == edgeLevelPort { return UInt32(state.levelTriggered) }
        if state.isPolled {
            state.isPolled = false
            guard let input = service() else { return 0 }
            return UInt32(0x80 | input)
        }
        if port == dataPort { return UInt32(state.mask) }
        return UInt32(state.readsInService ? state.inService : requests)
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        let byte = UInt8(truncatingIfNeeded: value)
        if port == edgeLevelPort {
            state.levelTriggered = byte & edgeLevelMask
        } else if port == dataPort {
            writeData(byte)
        } else if byte & 0x10 != 0 {
            beginInitialization(byte)
        } else if byte & 0x08 != 0 {
            writeOCW3(byte)
        } else {
            writeOCW2(byte)
        }
        update()
    }

    private func beginInitialization(_ icw1: UInt8) {
        var initial = State()
        initial.inputs = state.inputs
        initial.levelTriggered = state.levelTriggered
        initial.output = state.output
        initial.vectorBase = state.vectorBase
        initial.icw1 = icw1
        initial.icw3 = 7
        initial.step = .icw2
        state = initial
    }

    private func writeData(_ byte: UInt8) {
        switch state.step {
        case .none:
            state.mask = byte
        case .icw2:
            state.vectorBase = byte
            state.step = state.icw1 & ICW1.single != 0 ? stepAfterICW3 : .icw3
        case .icw3:
            state.icw3 = byte
            state.step = stepAfterICW3
        case .icw4:
            state.icw4 = byte
            state.step = .none
        }
    }

    private var stepAfterICW3: InitializationStep { state.icw1 & ICW1.needsICW4 != 0 ? .icw4 : .none }

    private func writeOCW2(_ byte: UInt8) {
        let level = byte & 7
        switch byte >> 5 {
        case 0b000: state.rotatesOnAutomaticEOI = false
        case 0b100: state.rotatesOnAutomaticEOI = true
        case 0b001: endOfInterrupt(serviced)
        case 0b011: endOfInterrupt(level)
        case 0b101:
            guard let level = serviced else { return }
            endOfInterrupt(level)
            state.lowestPriority = level
        case 0b111:
            endOfInterrupt(level)
            state.lowestPriority = level
        case 0b110: state.lowestPriority = level
        default: break  // 0b010 is no operation.
        }
    }

    /// The level that a non-specific EOI ends; in special mask mode masked levels are passed over.
    private var serviced: UInt8? {
        highest(of: state.specialMaskMode ? state.inService & ~state.mask : state.inService)
    }

    private func endOfInterrupt(_ level: UInt8?) {
        guard let level else { return }
        state.inService &= ~(1 << level)
    }

    private func writeOCW3(_ byte: UInt8) {
        if byte & 0x40 != 0 { state.specialMaskMode = byte & 0x20 != 0 }
        state.isPolled = byte & 0x04 != 0
        if byte & 0x02 != 0 { state.readsInService = byte & 0x01 != 0 }
    }
}
