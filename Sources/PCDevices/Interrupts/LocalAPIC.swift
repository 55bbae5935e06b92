/// The local APIC of one processor, in xAPIC and x2APIC mode.
///
/// Intel SDM volume 3, chapter "Advanced Programmable Interrupt Controller (APIC)". This file holds what the APIC
/// remembers and how interrupts pass through it; registers, modes and the timer are in its extensions.
package final class LocalAPIC {
    /// What is chosen when the processor is built.
    package struct Configuration: Hashable, Sendable {
        /// The initial APIC ID.
        package var identifier: UInt32 = 0
        /// Whether this is the bootstrap processor.
        package var isBootstrapProcessor = true
        /// Whether IA32_APIC_BASE has the EXTD bit.
        package var supportsX2APIC = true
        /// The number of physical address bits, which bounds IA32_APIC_BASE.
        package var physicalAddressBits = 46
        /// The rate of the timer before its divider.
        package var timerFrequency = Frequency(hertz: 1_000_000_000)
        /// The time-stamp counter at reset.
        package var timestampCounter = TimestampCounter()

        /// Makes the configuration of a lone processor.
        package init() {}
    }

    /// Everything the APIC remembers.
    package struct State: Codable, Equatable, Sendable {
        /// IA32_APIC_BASE.
        package var base: UInt64
        package var taskPriority: UInt8 = 0
        package var logicalDestination: UInt32 = 0
        package var destinationFormat = UInt32.max
        package var spuriousVector: UInt32 = 0xFF
        package var inService = VectorSet()
        package var triggerMode = VectorSet()
        package var requests = VectorSet()
        /// The error status register as it reads, and the errors that the next write to it will show.
        package var errorStatus: UInt32 = 0
        package var pendingErrors: UInt32 = 0
        package var interruptCommand: UInt64 = 0
        package var localVectors = LocalVectorTable()
        package var timer = TimerState()
        package var timestampCounter: TimestampCounter
        /// The levels of the pins LINT0 and LINT1.
        package var lint0Level = false
        package var lint1Level = false
        /// What waits for the processor to take it.
        package var pendingSignals = ProcessorSignals()
        package var startUpVector: UInt8 = 0
        /// Whether a message with delivery mode ExtINT waits for its INTA cycle.
        package var hasExternalMessage = false
    }

    /// The address of the registers after reset.
    package static let defaultBase: UInt64 = 0xFEE0_0000

    enum Base {
        static let bootstrap: UInt64 = 1 << 8
        static let extended: UInt64 = 1 << 10
        static let enabled: UInt64 = 1 << 11
    }

    enum ErrorStatus {
        static let sendIllegalVector: UInt32 = 1 << 5
        static let receiveIllegalVector: UInt32 = 1 << 6
        static let illegalRegisterAddress: UInt32 = 1 << 7
    }

    /// Everything the APIC remembers; setting it arms the timer again.
    package var state: State {
        get { apic }
        set {
            apic = newValue
            scheduleTimer()
        }
    }

    /// The bus to the other APICs.
    package weak var bus: InterruptBus?
    /// What was chosen when the processor was built.
    package let configuration: Configuration

    var apic: State
    let clock: VirtualClock
    let deadlineTimer: VirtualClock.Timer

    /// Makes an APIC in its reset state.
    package init(_ configuration: Configuration, clock: VirtualClock) {
        self.configuration = configuration
        self.clock = clock
        let base = Self.defaultBase | Base.enabled | (configuration.isBootstrapProcessor ? Base.bootstrap : 0)
        apic = State(base: base, timestampCounter: configuration.timestampCounter)
        deadlineTimer = clock.makeTimer()
        deadlineTimer.action = { [weak self] in self?.timerExpired() }
    }

    /// Returns to the state after RESET#; the pins keep their levels and the time-stamp counter counts on from zero.
    package func reset() {
        let fresh = State(
            base: Self.defaultBase | Base.enabled | (apic.base & Base.bootstrap),
            timestampCounter: apic.timestampCounter)
        replaceRegisters(by: fresh)
    }

    /// Takes an INIT: registers as after reset, but mode and base address stay.
    ///
    /// SDM volume 3, "Local APIC State After It Receives an INIT-Reset" and "x2APIC State Transitions".
    package func initialize() {
        var fresh = State(base: apic.base, timestampCounter: apic.timestampCounter)
        // A start-up interrupt that has come already belongs to this INIT.
        fresh.pendingSignals = apic.pendingSignals.intersection(.startUp)
        fresh.startUpVector = apic.startUpVector
        replaceRegisters(by: fresh)
    }

    func replaceRegisters(by fresh: State) {
        let old = apic
        apic = fresh
        apic.lint0Level = old.lint0Level
        apic.lint1Level = old.lint1Level
        if isX2APIC { apic.logicalDestination = x2APICLogicalID }
        scheduleTimer()
    }

    // MARK: Modes

    /// Whether IA32_APIC_BASE enables the APIC.
    package var isEnabled: Bool { apic.base & Base.enabled != 0 }

    /// Whether the registers are MSRs.
    package var isX2APIC: Bool { apic.base & Base.extended != 0 }

    /// Whether the spurious-vector register enables the APIC, too.
    package var isSoftwareEnabled: Bool { isEnabled && apic.spuriousVector & 0x100 != 0 }

    /// The logical ID in x2APIC mode, derived from the APIC ID.
    var x2APICLogicalID: UInt32 {
        (configuration.identifier >> 4) << 16 | 1 << (configuration.identifier & 0xF)
    }

    // MARK: Priorities

    /// The processor priority register: the higher of the task priority and the class in service.
    package var processorPriority: UInt8 {
        guard let serviced = apic.inService.highest, serviced >> 4 > apic.taskPriority >> 4 else {
            return apic.taskPriority
        }
        return serviced & 0xF0
    }

    /// The task-priority class, as CR8 shows it.
    package var taskPriorityClass: UInt8 {
        get { apic.taskPriority >> 4 }
        set { apic.taskPriority = newValue << 4 }
    }

    /// The vector that the processor would be given now.
    package var deliverableVector: UInt8? {
        guard isSoftwareEnabled, let vector = apic.requests.highest, vector >> 4 > processorPriority >> 4 else {
            return nil
        }
        return vector
    }

    /// Whether the processor is to run an INTA cycle with the 8259A pair.
    package var wantsExternalAcknowledge: Bool { apic.hasExternalMessage || (apic.lint0Level && lint0IsExternal) }

    private var lint0IsExternal: Bool {
        // Without an APIC the pin is the processor's INTR.
        guard isEnabled else { return true }
        let entry = apic.localVectors.lint0
        return entry & LocalVectorTable.masked == 0 && LocalVectorTable.deliveryMode(entry) == .external
    }

    /// What is signalled to the processor.
    package var signals: ProcessorSignals {
        var signals = apic.pendingSignals
        if wantsExternalAcknowledge || deliverableVector != nil { signals.insert(.interrupt) }
        return signals
    }

    // MARK: Acknowledge and end

    /// Gives the processor the deliverable vector and puts it in service; the spurious vector if there is none.
    package func acknowledge() -> UInt8 {
        guard let vector = deliverableVector else { return UInt8(truncatingIfNeeded: apic.spuriousVector) }
        apic.requests[vector] = false
        apic.inService[vector] = true
        if vector == UInt8(truncatingIfNeeded: apic.localVectors.timer) { scheduleTimer() }
        return vector
    }

    /// Ends the message that asked for an INTA cycle with the 8259A pair.
    package func acknowledgeExternal() { apic.hasExternalMessage = false }

    /// Removes a pending signal that the processor has taken.
    package func acknowledge(_ signal: ProcessorSignals) { apic.pendingSignals.subtract(signal) }

    /// Takes the vector of the pending start-up interrupt.
    package func acknowledgeStartUp() -> UInt8? {
        apic.pendingSignals.remove(.startUp).map { _ in apic.startUpVector }
    }

    /// Ends the interrupt of the highest priority in service; tells the I/O APICs if it was level-triggered.
    func endOfInterrupt() {
        guard let vector = apic.inService.highest else { return }
        apic.inService[vector] = false
        guard apic.triggerMode[vector] else { return }
        // A level-sensitive LINT0 may interrupt again now.
        if apic.localVectors.lint0 & LocalVectorTable.remoteIRR != 0,
            UInt8(truncatingIfNeeded: apic.localVectors.lint0) == vector
        {
            apic.localVectors.lint0 &= ~LocalVectorTable.remoteIRR
            raiseLevelLINT0()
        }
        let suppressesBroadcast = apic.spuriousVector & 0x1000 != 0
        if !suppressesBroadcast { bus?.broadcastEndOfInterrupt(vector) }
    }

    // MARK: Messages

    /// Whether a message is for this APIC.
    func isAddressed(by destination: InterruptMessage.Destination, from sender: LocalAPIC?) -> Bool {
        guard isEnabled else { return false }
        switch destination {
        case .all: return true
        case .allButSender: return sender !== self
        case .sender: return sender === self
        case .physical(let id):
            return id == configuration.identifier && (isX2APIC || id < 0xFF)
        case .logical(let bits):
            if isX2APIC {
                return bits >> 16 == apic.logicalDestination >> 16 && bits & apic.logicalDestination & 0xFFFF != 0
            }
            let own = apic.logicalDestination >> 24
            // Flat model unless the destination format register says cluster.
            if apic.destinationFormat >> 28 == 0xF { return own & bits & 0xFF != 0 }
            return (bits >> 4 & 0xF == 0xF || bits >> 4 & 0xF == own >> 4) && bits & own & 0xF != 0
        }
    }

    /// Takes a message from the bus; false if the APIC is disabled for its kind.
    func accept(_ message: InterruptMessage) -> Bool {
        deliver(message.mode, vector: message.vector, isLevelTriggered: message.isLevelTriggered)
        return isSoftwareEnabled || (message.mode != .fixed && message.mode != .lowestPriority)
    }

    func deliver(_ mode: DeliveryMode, vector: UInt8, isLevelTriggered: Bool) {
        switch mode {
        case .fixed, .lowestPriority:
            guard isSoftwareEnabled else { return }
            guard vector >= 16 else { return report(ErrorStatus.receiveIllegalVector) }
            apic.requests[vector] = true
            apic.triggerMode[vector] = isLevelTriggered
        case .systemManagement: apic.pendingSignals.insert(.systemManagementInterrupt)
        case .nonMaskable: apic.pendingSignals.insert(.nonMaskableInterrupt)
        case .initialize:
            apic.pendingSignals.insert(.initialize)
            // A start-up interrupt sent before belongs to an earlier INIT.
            apic.pendingSignals.remove(.startUp)
        case .startUp:
            apic.pendingSignals.insert(.startUp)
            apic.startUpVector = vector
        case .external: apic.hasExternalMessage = true
        }
    }

    // MARK: Local sources

    /// Drives the pin LINT0, on a PC the INT output of the master 8259A.
    package func setLINT0(_ level: Bool) {
        let rises = level && !apic.lint0Level
        apic.lint0Level = level
        let entry = apic.localVectors.lint0
        guard isEnabled, entry & LocalVectorTable.masked == 0 else { return }
        if LocalVectorTable.deliveryMode(entry) == .fixed, entry & LocalVectorTable.levelTriggered != 0 {
            raiseLevelLINT0()
        } else if rises, LocalVectorTable.deliveryMode(entry) != .external {
            deliverLocal(entry)
        }
    }

    /// Drives the pin LINT1, on a PC the NMI; it is always edge-sensitive.
    package func setLINT1(_ level: Bool) {
        let rises = level && !apic.lint1Level
        apic.lint1Level = level
        guard rises else { return }
        guard isEnabled else {
            apic.pendingSignals.insert(.nonMaskableInterrupt)
            return
        }
        deliverLocal(apic.localVectors.lint1)
    }

    func raiseLevelLINT0() {
        let entry = apic.localVectors.lint0
        let isReady =
            entry & (LocalVectorTable.masked | LocalVectorTable.remoteIRR) == 0
            && entry & LocalVectorTable.levelTriggered != 0
        guard apic.lint0Level, isReady, isSoftwareEnabled, LocalVectorTable.deliveryMode(entry) == .fixed else {
            return
        }
        apic.localVectors.lint0 |= LocalVectorTable.remoteIRR
        deliver(.fixed, vector: UInt8(truncatingIfNeeded: entry), isLevelTriggered: true)
    }

    /// Delivers by an entry of the local vector table, unless it is masked.
    func deliverLocal(_ entry: UInt32) {
        guard entry & LocalVectorTable.masked == 0, let mode = LocalVectorTable.deliveryMode(entry) else { return }
        deliver(mode, vector: UInt8(truncatingIfNeeded: entry), isLevelTriggered: false)
    }

    /// Records an error and interrupts by the error entry for each new one.
    func report(_ error: UInt32) {
        guard apic.pendingErrors & error == 0 else { return }
        apic.pendingErrors |= error
        // An illegal vector in the error entry itself is not reported again.
        let entry = apic.localVectors.error
        if entry & LocalVectorTable.masked == 0, entry & 0xFF >= 16 { deliverLocal(entry & 0x100FF) }
    }
}
