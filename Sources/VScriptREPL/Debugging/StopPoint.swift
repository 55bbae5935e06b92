import VirtualMachine

/// A breakpoint, watchpoint or catchpoint.
package final class StopPoint {
    package enum Kind: Equatable {
        case breakpoint(address: UInt64)
        case watchpoint(WatchTarget)
        case catchpoint(EventFilter, text: String)

        package static func == (left: Kind, right: Kind) -> Bool { left.text == right.text }

        /// What messages call the kind.
        package var text: String {
            switch self {
            case .breakpoint: "breakpoint"
            case .watchpoint: "watchpoint"
            case .catchpoint: "catchpoint"
            }
        }
    }

    package let number: Int
    package let kind: Kind
    /// How the place was written.
    package let text: String
    package var condition: String?
    package var isTemporary: Bool
    package var isEnabled = true
    package var hits: UInt64 = 0
    /// How many hits are passed over.
    package var ignored: UInt64 = 0
    package var handlers: [HandlerID] = []
    /// The name of the guest that it stops.
    var guest = ""

    package init(_ number: Int, _ kind: Kind, text: String, condition: String?, isTemporary: Bool) {
        self.number = number
        self.kind = kind
        self.text = text
        self.condition = condition
        self.isTemporary = isTemporary
    }

    /// `breakpoint 1`.
    package var title: String { "\(kind.text) \(number)" }
}

/// What a watchpoint watches.
package struct WatchTarget: Equatable, Sendable {
    package enum Access: String, Sendable { case write, read, both }

    package var isPhysical: Bool
    package var address: UInt64
    package var size: UInt64
    package var access: Access

    /// What the engine watches.
    var filters: [EventFilter] {
        let (last, overflow) = address.addingReportingOverflow(size - 1)
        let range = address...(overflow ? .max : last)
        let read = EventFilter.read(range, physical: isPhysical)
        let write = EventFilter.write(range, physical: isPhysical)
        return switch access {
        case .write: [write]
        case .read: [read]
        case .both: [read, write]
        }
    }

    /// The events as a script writes them.
    var events: [String] {
        let names =
            switch access {
            case .write: ["write"]
            case .read: ["read"]
            case .both: ["read", "write"]
            }
        return names.map { "\($0)(\(Numbers.hex(address)) ..+ \(size)\(isPhysical ? ", physical: true" : ""))" }
    }

    /// `write of 8 bytes at 0x7ff0`.
    var text: String {
        let words = access == .both ? "access" : access.rawValue
        return
            "\(words) of \(size) byte\(size == 1 ? "" : "s") at \(isPhysical ? "physical " : "")\(Numbers.hex(address))"
    }
}
