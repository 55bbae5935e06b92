/// Something the guest asks of the machine it runs on.
package enum GuestRequest: Hashable, Codable, Sendable {
    /// Soft off (ACPI S5).
    case powerOff
    /// A reset of the whole machine.
    case reset
    /// An end with a value written to the debug-exit port; `exitStatus` is what the host program reports.
    case debugExit(value: UInt32)

    /// The exit status that QEMU's isa-debug-exit gives for a value; nil for the other requests.
    package var exitStatus: UInt32? {
        switch self {
        case .debugExit(let value): value << 1 | 1
        case .powerOff, .reset: nil
        }
    }
}

/// Guest-physical memory as a device that transfers data by itself sees it.
package protocol GuestMemory: AnyObject {
    /// Copies bytes out; nil if any of them is not memory.
    func readBytes(at address: MemoryAddress, count: Int) -> [UInt8]?

    /// Copies bytes in; false, with nothing written, if any of them would not be memory.
    func writeBytes(_ bytes: [UInt8], at address: MemoryAddress) -> Bool
}
