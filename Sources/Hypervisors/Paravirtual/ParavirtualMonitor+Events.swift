import X86
import X86Engine

// Event channels: ports with a pending and a masked bit in a page that the guest shares with its monitor.

extension ParavirtualMonitor {
    /// Fields of the shared page, 64 bits each.
    enum SharedField: UInt64 {
        /// By port, what has happened.
        case pending = 0
        /// By port, what does not interrupt the kernel.
        case masked = 8
        /// Not zero while nothing does.
        case disabled = 16
        /// The address of the last page fault.
        case faultAddress = 24
    }

    private func shared(_ field: SharedField) -> UInt64 {
        state.sharedPage.map { memory.machine.quadword(at: $0 + field.rawValue) } ?? 0
    }

    func setShared(_ field: SharedField, _ value: UInt64) {
        guard let page = state.sharedPage else { return }
        memory.machine.setQuadword(value, at: page + field.rawValue)
    }

    var eventsAreDisabled: Bool {
        get { shared(.disabled) != 0 }
        set { setShared(.disabled, newValue ? 1 : 0) }
    }

    // MARK: Events

    /// Raises the event of a source, if it has a port.
    func raise(_ source: ParavirtualState.EventSource) {
        guard let port = state.ports.firstIndex(of: source) else { return }
        setShared(.pending, shared(.pending) | 1 << UInt64(port))
        if shared(.masked) >> UInt64(port) & 1 == 0 { state.isBlocked = false }
    }

    /// The first port whose event is to be delivered now.
    var pendingPort: UInt8? {
        guard state.eventHandler != 0, !eventsAreDisabled else { return nil }
        let due = shared(.pending) & ~shared(.masked)
        return due == 0 ? nil : UInt8(truncatingIfNeeded: due.trailingZeroBitCount)
    }

    /// Enters the handler of events, which finds in the shared page what has happened; false if the run is to end before.
    func deliverEvent(_ port: UInt8) -> Bool {
        if guest.watched.contains(.interrupt) {
            switch guest.ask(.interrupt(vector: port)) {
            case .proceed, .reply: break
            case .skip:
                setShared(.pending, shared(.pending) & ~(1 << UInt64(port)))
                return true
            case .inject(let fault):
                guard fault != .givesUp else { return false }
                enterHandler(
                    state.traps[fault.vector] ?? 0, UInt64(fault.vector), errorCode: UInt64(fault.errorCode ?? 0),
                    cause: .exception(vector: fault.vector, errorCode: fault.errorCode), fault)
                return true
            }
        }
        statistics.injections &+= 1
        state.isBlocked = false
        guest.state.pointee.activity = .active
        guest.state.pointee.time &+= 1
        enterHandler(
            state.eventHandler, FrameVector.event, cause: .externalInterrupt(vector: port), Fault(vector: 32 + port))
        return true
    }

    // MARK: Sources

    /// Gives a source a port.
    func bind(_ kind: UInt64, _ number: UInt64) throws(HypercallInterface.Failure) -> UInt64 {
        let source: ParavirtualState.EventSource
        switch kind {
        case 0: source = .timer
        case 1: source = .console
        // Line 2 is the second controller.
        case 2 where number < 16 && number != 2: source = .line(UInt8(number))
        case 3: source = .kernel
        case _: throw .invalid
        }
        if source != .kernel {
            let rivals = source == .line(Self.consoleLine) ? [source, .console] : [source, .line(Self.consoleLine)]
            let taken = source == .console || source == .line(Self.consoleLine) ? rivals : [source]
            guard !taken.contains(where: { state.ports.contains($0) }) else { throw .busy }
        }
        guard let port = state.ports.indices.dropFirst().first(where: { state.ports[$0] == nil }) else {
            throw .exhausted
        }
        state.ports[port] = source
        setShared(.pending, shared(.pending) & ~(1 << UInt64(port)))
        if source == .console {
            // With FIFOs, received data interrupts, and OUT2 lets it through.
            guest.environment.writePort(Self.serialPort + 2, 1, width: 1)
            guest.environment.writePort(Self.serialPort + 1, 1, width: 1)
            guest.environment.writePort(Self.serialPort + 4, 0xB, width: 1)
        }
        setLine(of: source, isOpen: true)
        return UInt64(port)
    }

    func close(_ port: UInt64) throws(HypercallInterface.Failure) {
        guard port < 64, let source = state.ports[Int(port)] else { throw .invalid }
        setLine(of: source, isOpen: false)
        if source == .console { guest.environment.writePort(Self.serialPort + 1, 0, width: 1) }
        if source == .timer { setTimer(.max) }
        state.ports[Int(port)] = nil
        setShared(.pending, shared(.pending) & ~(1 << port))
    }

    func send(_ port: UInt64) throws(HypercallInterface.Failure) {
        guard port < 64, state.ports[Int(port)] == .kernel else { throw .invalid }
        setShared(.pending, shared(.pending) | 1 << port)
    }

    func unmask(_ port: UInt64) throws(HypercallInterface.Failure) {
        guard port < 64, let source = state.ports[Int(port)] else { throw .invalid }
        setShared(.masked, shared(.masked) & ~(1 << port))
        setLine(of: source, isOpen: true)
    }

    func setTimer(_ time: UInt64) {
        state.timer = time
        guest.monitorTimer = time
    }

    /// Enables events and waits for one.
    func block() {
        if guest.watched.contains(.halt), guest.environment.intercept(.halt) == .skip { return }
        eventsAreDisabled = false
        state.isBlocked = true
    }

    // MARK: The interrupt controllers

    static let serialPort: UInt16 = 0x3F8
    private static let consoleLine: UInt8 = 4
    /// The vector of line 0; that of line 8 follows those of the first controller.
    private static let firstVector: UInt8 = 0x20

    /// The ports of the two 8259A, with those that tell edge from level: the monitor's alone.
    static let controllerPorts: Set<UInt16> = [0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1]

    /// Sets the controllers up with all lines masked but that of the second one, and the console for 8 data bits.
    func takeControllers() {
        let vector = UInt32(Self.firstVector)
        for (port, value) in [
            (0x20, 0x11), (0x21, vector), (0x21, 4), (0x21, 1), (0x21, 0xFB), (0xA0, 0x11), (0xA1, vector + 8),
            (0xA1, 2),
            (0xA1, 1), (0xA1, 0xFF), (Self.serialPort + 3, 3),
        ] as [(UInt16, UInt32)] {
            guest.environment.writePort(port, value, width: 1)
        }
    }

    private static func line(of source: ParavirtualState.EventSource) -> UInt8? {
        switch source {
        case .line(let line): line
        case .console: consoleLine
        case .timer, .kernel: nil
        }
    }

    private func setLine(of source: ParavirtualState.EventSource, isOpen: Bool) {
        guard let line = Self.line(of: source) else { return }
        let port: UInt16 = line < 8 ? 0x21 : 0xA1
        let bit: UInt32 = 1 << UInt32(line & 7)
        let mask = guest.environment.readPort(port, width: 1)
        guest.environment.writePort(port, isOpen ? mask & ~bit : mask | bit, width: 1)
    }

    /// Takes what the controllers have: its line is closed until the guest unmasks its port.
    func takeInterrupt() {
        guard let vector = guest.environment.acknowledgeInterrupt() else {
            return guest.withdraw(Signal.interrupt)
        }
        let line = vector &- Self.firstVector
        guard line < 16 else { return }
        let source = state.ports.first { $0.flatMap(Self.line) == line } ?? nil
        setLine(of: .line(line), isOpen: false)
        if line >= 8 { guest.environment.writePort(0xA0, 0x20, width: 1) }
        guest.environment.writePort(0x20, 0x20, width: 1)
        if let source { raise(source) }
    }
}
