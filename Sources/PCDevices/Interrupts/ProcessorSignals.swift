/// What the platform signals to a processor, read at instruction boundaries.
package struct ProcessorSignals: OptionSet, Hashable, Codable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A maskable interrupt can be acknowledged now.
    package static let interrupt = ProcessorSignals(rawValue: 1 << 0)
    /// A non-maskable interrupt.
    package static let nonMaskableInterrupt = ProcessorSignals(rawValue: 1 << 1)
    /// A system-management interrupt.
    package static let systemManagementInterrupt = ProcessorSignals(rawValue: 1 << 2)
    /// An INIT.
    package static let initialize = ProcessorSignals(rawValue: 1 << 3)
    /// A start-up interrupt (SIPI).
    package static let startUp = ProcessorSignals(rawValue: 1 << 4)
}
