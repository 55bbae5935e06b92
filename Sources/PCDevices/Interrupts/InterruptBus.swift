/// How an interrupt message acts on its target: the delivery mode field of ICR, LVT and redirection entries.
package enum DeliveryMode: UInt8, Codable, Sendable {
    case fixed = 0
    case lowestPriority = 1
    case systemManagement = 2
    case nonMaskable = 4
    case initialize = 5
    case startUp = 6
    case external = 7
}

/// An interrupt on its way to one or more local APICs.
package struct InterruptMessage: Equatable, Sendable {
    /// Whom a message is for.
    package enum Destination: Equatable, Sendable {
        /// The APIC with an ID.
        case physical(UInt32)
        /// The APICs whose logical ID matches, by the model of the receiver.
        case logical(UInt32)
        /// Every APIC, with or without the sender.
        case all, allButSender
        /// The sender.
        case sender
    }

    package var destination: Destination
    package var mode: DeliveryMode
    package var vector: UInt8
    package var isLevelTriggered: Bool

    /// Describes a message.
    package init(
        _ mode: DeliveryMode, vector: UInt8, to destination: Destination, isLevelTriggered: Bool = false
    ) {
        self.mode = mode
        self.vector = vector
        self.destination = destination
        self.isLevelTriggered = isLevelTriggered
    }
}

/// What carries messages between the local APICs and from the I/O APICs to them.
package final class InterruptBus {
    /// The local APICs in the order of their processors.
    package private(set) var localAPICs: [LocalAPIC] = []

    private var endOfInterruptListeners: [(UInt8) -> Void] = []

    /// Makes a bus without APICs.
    package init() {}

    /// Adds a processor's local APIC.
    package func attach(_ apic: LocalAPIC) {
        localAPICs.append(apic)
        apic.bus = self
    }

    /// Adds an I/O APIC's ear for the end of level-triggered interrupts.
    package func onEndOfInterrupt(_ listener: @escaping (UInt8) -> Void) { endOfInterruptListeners.append(listener) }

    /// Tells all I/O APICs that a level-triggered interrupt was ended.
    package func broadcastEndOfInterrupt(_ vector: UInt8) {
        for listener in endOfInterruptListeners { listener(vector) }
    }

    /// Delivers a message to all that it addresses.
    ///
    /// Of several addressed by lowest-priority delivery, the one with the lowest task priority takes it, the first
    /// of equals (SDM volume 3, "Lowest Priority Delivery Mode", leaves the choice to the model).
    ///
    /// - Returns: whether any local APIC took it.
    @discardableResult
    package func send(_ message: InterruptMessage, from sender: LocalAPIC? = nil) -> Bool {
        let targets = localAPICs.filter { $0.isAddressed(by: message.destination, from: sender) }
        guard message.mode == .lowestPriority else {
            return targets.reduce(false) { $1.accept(message) || $0 }
        }
        let enabled = targets.filter(\.isSoftwareEnabled)
        return enabled.min { $0.processorPriority < $1.processorPriority }?.accept(message) ?? false
    }
}
