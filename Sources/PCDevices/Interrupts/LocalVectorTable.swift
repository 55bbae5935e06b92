/// The local vector table of a local APIC (SDM volume 3, "Local Vector Table").
package struct LocalVectorTable: Codable, Equatable, Sendable {
    /// An entry; the raw value is its register's number.
    package enum Entry: UInt32, CaseIterable, Sendable {
        case timer = 0x32
        case thermalSensor = 0x33
        case performanceCounters = 0x34
        case lint0 = 0x35
        case lint1 = 0x36
        case error = 0x37

        /// The bits that software may set.
        var writableBits: UInt32 {
            switch self {
            case .timer: 0x7_00FF
            case .thermalSensor, .performanceCounters: 0x1_07FF
            case .lint0, .lint1: 0x1_A7FF
            case .error: 0x1_00FF
            }
        }

        /// Delivery status and, where there is one, remote IRR.
        var readOnlyBits: UInt32 {
            switch self {
            case .timer, .thermalSensor, .performanceCounters, .error: 0x1000
            case .lint0, .lint1: 0x5000
            }
        }
    }

    static let masked: UInt32 = 1 << 16
    static let levelTriggered: UInt32 = 1 << 15
    static let remoteIRR: UInt32 = 1 << 14

    package var timer = masked
    package var thermalSensor = masked
    package var performanceCounters = masked
    package var lint0 = masked
    package var lint1 = masked
    package var error = masked

    package subscript(entry: Entry) -> UInt32 {
        get { self[keyPath: Self.path(entry)] }
        set { self[keyPath: Self.path(entry)] = newValue }
    }

    static func deliveryMode(_ entry: UInt32) -> DeliveryMode? {
        DeliveryMode(rawValue: UInt8(truncatingIfNeeded: entry >> 8 & 7))
    }

    private static func path(_ entry: Entry) -> WritableKeyPath<LocalVectorTable, UInt32> {
        switch entry {
        case .timer: \.timer
        case .thermalSensor: \.thermalSensor
        case .performanceCounters: \.performanceCounters
        case .lint0: \.lint0
        case .lint1: \.lint1
        case .error: \.error
        }
    }
}
