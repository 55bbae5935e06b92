/// What answers in the regions that a PCI function's base-address registers place.
package protocol PCIRegionDevice: AnyObject {
    /// Reads at an offset in the region of a base-address register.
    func readRegion(_ register: Int, offset: UInt64, width: AccessWidth) -> UInt64

    /// Writes at an offset in the region of a base-address register.
    func writeRegion(_ register: Int, offset: UInt64, value: UInt64, width: AccessWidth)
}

/// One function of a PCI device: its configuration space as data.
///
/// PCI Local Bus Specification 3.0, chapter 6. Each byte has a mask of the bits that software can write; base-address
/// registers, command and status behave by the specification, everything else by its mask.
package final class PCIFunction {
    /// What the read-only part of the header says.
    package struct Identity: Hashable, Sendable {
        package var vendor: UInt16
        package var device: UInt16
        package var revision: UInt8 = 0
        /// Base class, subclass and programming interface, 24 bits.
        package var classCode: UInt32
        package var subsystemVendor: UInt16 = 0
        package var subsystem: UInt16 = 0
        /// 0 for none, 1...4 for INTA# to INTD#.
        package var interruptPin: UInt8 = 0

        /// Describes a function without subsystem and interrupt.
        package init(vendor: UInt16, device: UInt16, classCode: UInt32) {
            self.vendor = vendor
            self.device = device
            self.classCode = classCode
        }
    }

    /// What a base-address register places.
    package struct Region: Hashable, Sendable {
        /// The address space of a region.
        package enum Kind: Hashable, Sendable { case ports, memory32, memory64 }

        package var kind: Kind
        /// The size in bytes, a power of two: 4...256 for ports, 16 or more for memory.
        package var size: UInt64
        package var isPrefetchable = false

        /// Describes a region; its size is rounded up to what a register can express.
        package init(_ kind: Kind, size: UInt64) {
            self.kind = kind
            let minimum: UInt64 = kind == .ports ? 4 : 16
            let maximum: UInt64 = kind == .ports ? 256 : kind == .memory32 ? 1 << 31 : 1 << 40
            var rounded = minimum
            while rounded < size, rounded < maximum { rounded <<= 1 }
            self.size = rounded
        }
    }

    /// Everything the function remembers for itself.
    package struct State: Codable, Equatable, Sendable {
        /// The 256 bytes of configuration space.
        package var configuration: [UInt8]
        /// Whether the function asks for its interrupt.
        package var interruptRequested = false
    }

    /// Offsets in the header.
    package enum Offset {
        package static let command = 0x04
        package static let status = 0x06
        package static let baseAddresses = 0x10
        package static let interruptLine = 0x3C
    }

    enum Command {
        static let ports: UInt16 = 1 << 0
        static let memory: UInt16 = 1 << 1
        static let interruptDisable: UInt16 = 1 << 10
        /// What can be switched: decoding, bus master, parity and SERR#, INTx disable.
        static let writable: UInt16 = 0x0547
    }

    /// Everything the function remembers; setting it maps the regions again.
    ///
    /// A configuration space of another size is refused.
    package var state: State {
        get { function }
        set {
            guard newValue.configuration.count == 256 else { return }
            function = newValue
            mappingChanged()
        }
    }

    /// The regions by the number of their base-address register, 0...5; a 64-bit one takes two registers.
    package let regions: [Int: Region]
    /// What answers in the regions.
    package internal(set) weak var device: (any PCIRegionDevice)?
    /// Hears of each byte range of configuration space that software has written.
    package var configurationWritten: (Range<Int>) -> Void = { _ in }

    var mappingChanged: () -> Void = {}
    var interruptChanged: (Bool) -> Void = { _ in }

    private var function: State
    private let initial: [UInt8]
    /// Bits that can be written, and bits that are cleared by writing one.
    private var writable = [UInt8](repeating: 0, count: 256)
    private var clearedByOne = [UInt8](repeating: 0, count: 256)

    /// Makes a function with a type 0 header.
    ///
    /// - Parameters:
    ///   - identity: the read-only part of the header.
    ///   - regions: what its base-address registers place.
    ///   - registers: further configuration bytes by offset, as (reset value, writable bits).
    package init(
        _ identity: Identity, regions: [Int: Region] = [:],
        registers: [Int: (value: UInt8, writable: UInt8)] = [:]
    ) {
        self.regions = regions.filter { (0..<6).contains($0.key) }
        var bytes = [UInt8](repeating: 0, count: 256)
        func put(_ value: UInt32, at offset: Int, count: Int) {
            for index in 0..<count { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
        }
        put(UInt32(identity.vendor), at: 0x00, count: 2)
        put(UInt32(identity.device), at: 0x02, count: 2)
        put(UInt32(identity.revision) | identity.classCode << 8, at: 0x08, count: 4)
        put(UInt32(identity.subsystemVendor), at: 0x2C, count: 2)
        put(UInt32(identity.subsystem), at: 0x2E, count: 2)
        bytes[0x3D] = identity.interruptPin
        for (offset, register) in registers where bytes.indices.contains(offset) {
            bytes[offset] = register.value
            writable[offset] = register.writable
        }
        for (index, region) in self.regions {
            let flags: UInt32 =
                switch region.kind {
                case .ports: 1
                case .memory32: region.isPrefetchable ? 0x8 : 0
                case .memory64: region.isPrefetchable ? 0xC : 0x4
                }
            put(flags, at: Offset.baseAddresses + 4 * index, count: 4)
            let bits = ~(region.size - 1)
            let count = region.kind == .memory64 && index < 5 ? 8 : 4
            for byte in 0..<count {
                writable[Offset.baseAddresses + 4 * index + byte] =
                    UInt8(truncatingIfNeeded: bits >> UInt64(8 * byte))
            }
        }
        initial = bytes
        function = State(configuration: bytes)
        writable[Offset.command] = UInt8(truncatingIfNeeded: Command.writable)
        writable[Offset.command + 1] = UInt8(Command.writable >> 8)
        clearedByOne[Offset.status + 1] = 0xF9
        // Cache line size, latency timer and interrupt line are for software only.
        for offset in [0x0C, 0x0D, Offset.interruptLine] { writable[offset] = 0xFF }
    }

    /// Returns to the state after RST#: nothing is decoded, no interrupt is asked for.
    package func reset() {
        function = State(configuration: initial)
        interruptChanged(false)
        mappingChanged()
    }

    // MARK: Configuration space

    /// Reads configuration space; the access does not leave its doubleword.
    package func readConfiguration(_ offset: Int, width: AccessWidth) -> UInt32 {
        (0..<Int(width.rawValue)).reduce(0) { $0 | UInt32(byte(offset + $1)) << UInt32(8 * $1) }
    }

    private func byte(_ offset: Int) -> UInt8 {
        let value = function.configuration[offset & 0xFF]
        // The interrupt status bit shows the request whether or not it is disabled.
        return offset == Offset.status && function.interruptRequested ? value | 0x08 : value
    }

    /// Writes configuration space; only the bytes of the access change.
    package func writeConfiguration(_ value: UInt32, to offset: Int, width: AccessWidth) {
        for index in 0..<Int(width.rawValue) {
            let place = (offset + index) & 0xFF
            let byte = UInt8(truncatingIfNeeded: value >> UInt32(8 * index))
            let old = function.configuration[place] & ~(byte & clearedByOne[place])
            function.configuration[place] = old & ~writable[place] | (byte & writable[place])
        }
        let range = offset..<offset + Int(width.rawValue)
        if range.overlaps(Offset.command..<Offset.status) || range.overlaps(Offset.baseAddresses..<0x28) {
            mappingChanged()
            updateInterrupt()
        }
        configurationWritten(range)
    }

    private var command: UInt16 {
        UInt16(function.configuration[Offset.command]) | UInt16(function.configuration[Offset.command + 1]) << 8
    }

    /// Where a region is decoded at present; nil if decoding is off or the range does not fit its address space.
    func decodedRange(_ index: Int) -> ClosedRange<UInt64>? {
        guard let region = regions[index] else { return nil }
        let enable = region.kind == .ports ? Command.ports : Command.memory
        guard command & enable != 0 else { return nil }
        let count = region.kind == .memory64 && index < 5 ? 8 : 4
        let base =
            (0..<count).reduce(UInt64(0)) {
                $0 | UInt64(function.configuration[Offset.baseAddresses + 4 * index + $1]) << UInt64(8 * $1)
            } & ~(region.size - 1)
        let limit: UInt64 = region.kind == .ports ? 0xFFFF : region.kind == .memory32 ? 0xFFFF_FFFF : 1 << 52 - 1
        let (end, overflow) = base.addingReportingOverflow(region.size - 1)
        // An address of zero means that nobody has placed the region.
        guard base != 0, !overflow, end <= limit else { return nil }
        return base...end
    }

    // MARK: Interrupt

    /// Asks for the function's interrupt pin or gives it up.
    package func setInterrupt(_ requested: Bool) {
        function.interruptRequested = requested
        updateInterrupt()
    }

    private func updateInterrupt() {
        interruptChanged(function.interruptRequested && command & Command.interruptDisable == 0)
    }
}
