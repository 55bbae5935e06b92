/// The PCI bus behind its host bridge: configuration mechanism 1 at 0xCF8 and 0xCFC, and the reset control register at
/// 0xCF9, which byte accesses reach.
///
/// PCI Local Bus Specification 3.0 section 3.2.2.3.2; Intel 82441FX and PIIX3 datasheets.
package final class PCIHostBridge: BusDevice {
    /// Where a function sits on bus 0.
    package struct Location: Hashable, Comparable, Sendable {
        /// 0...31.
        package var slot: UInt8
        /// 0...7.
        package var function: UInt8

        /// Makes a location; numbers out of range are cut.
        package init(slot: UInt8, function: UInt8 = 0) {
            self.slot = slot & 31
            self.function = function & 7
        }

        package static func < (lhs: Location, rhs: Location) -> Bool {
            (lhs.slot, lhs.function) < (rhs.slot, rhs.function)
        }
    }

    /// Everything the bridge remembers.
    package struct State: Codable, Equatable, Sendable {
        package var address: UInt32 = 0
        package var resetControl: UInt8 = 0
    }

    /// Why a function could not be attached.
    package enum AttachError: Error, Equatable {
        /// Another function sits there.
        case occupied(slot: UInt8, function: UInt8)
    }

    private struct Slot {
        let function: PCIFunction
        /// Kept alive as long as its function is on the bus.
        let device: (any PCIRegionDevice)?
        var windows: [PCIWindow] = []
    }

    /// The ranges to attach the bridge at, with doubleword accesses.
    package static let portRange: ClosedRange<PortAddress> = 0xCF8...0xCFF

    package var state = State()
    /// Hears that the guest resets the machine by the reset control register.
    package var resetRequested: () -> Void = {}
    /// Hears that a memory region was placed or removed.
    package var memoryMapChanged: () -> Void = {}

    private var slots: [Location: Slot] = [:]
    /// The buses hold the bridge, so it must not hold them.
    private weak var ports: PortBus?
    private weak var memory: MemoryBus?
    private let routedLines: [InterruptLine]

    /// Makes a bus without functions.
    ///
    /// - Parameters:
    ///   - ports: where port regions appear.
    ///   - memory: where memory regions appear.
    ///   - routedLines: the four lines that interrupt pins are wired to, PIRQA# to PIRQD#.
    package init(ports: PortBus, memory: MemoryBus, routedLines: [InterruptLine]) {
        self.ports = ports
        self.memory = memory
        self.routedLines = routedLines
    }

    /// The functions in the order of their locations.
    package var functions: [(location: Location, function: PCIFunction)] {
        slots.keys.sorted().compactMap { location in slots[location].map { (location, $0.function) } }
    }

    /// Puts a function on the bus; its interrupt pins are swizzled by slot: INTA# of slot n drives line n modulo 4.
    ///
    /// - Parameters:
    ///   - function: its configuration space.
    ///   - device: what answers in its regions.
    ///   - location: where it sits.
    /// - Throws: `AttachError.occupied` if there is a function at the location.
    package func attach(
        _ function: PCIFunction, device: (any PCIRegionDevice)? = nil, at location: Location
    ) throws(AttachError) {
        guard slots[location] == nil else {
            throw .occupied(slot: location.slot, function: location.function)
        }
        slots[location] = Slot(function: function, device: device)
        function.device = device
        function.mappingChanged = { [weak self] in self?.remap(location) }
        let pin = function.readConfiguration(0x3D, width: .byte)
        if pin != 0, !routedLines.isEmpty {
            let line = (Int(location.slot) + Int(pin) - 1) % routedLines.count
            let source = routedLines[line].makeSource()
            function.interruptChanged = { source.set($0) }
        }
        remap(location)
    }

    /// Takes a function off the bus.
    package func detach(at location: Location) {
        guard let slot = slots.removeValue(forKey: location) else { return }
        unmap(slot.windows)
        slot.function.interruptChanged(false)
        slot.function.mappingChanged = {}
        slot.function.interruptChanged = { _ in }
    }

    /// Takes RST#: the bridge and all functions.
    package func reset() {
        state = State()
        for (_, function) in functions { function.reset() }
    }

    // MARK: Regions

    private func remap(_ location: Location) {
        guard let slot = slots[location] else { return }
        unmap(slot.windows)
        var windows: [PCIWindow] = []
        for index in slot.function.regions.keys.sorted() {
            guard let range = slot.function.decodedRange(index), let region = slot.function.regions[index] else {
                continue
            }
            let window = PCIWindow(
                slot.function, register: index, base: range.lowerBound, isPorts: region.kind == .ports)
            if map(window, range) { windows.append(window) }
        }
        let touchesMemory = (slot.windows + windows).contains { !$0.isPorts }
        slots[location]?.windows = windows
        if touchesMemory { memoryMapChanged() }
    }

    /// Of two regions that overlap, the one placed first answers.
    private func map(_ window: PCIWindow, _ range: ClosedRange<UInt64>) -> Bool {
        do {
            if window.isPorts {
                let lower = PortAddress(UInt16(truncatingIfNeeded: range.lowerBound))
                let upper = PortAddress(UInt16(truncatingIfNeeded: range.upperBound))
                try ports?.attach(window.portSide, at: lower...upper, widest: .dword)
            } else {
                let range = MemoryAddress(range.lowerBound)...MemoryAddress(range.upperBound)
                try memory?.attach(window.memorySide, at: range, widest: .qword)
            }
            return true
        } catch {
            return false
        }
    }

    private func unmap(_ windows: [PCIWindow]) {
        for window in windows {
            if window.isPorts { ports?.detach(window.portSide) } else { memory?.detach(window.memorySide) }
        }
    }

    // MARK: Configuration accesses

    /// The function and the register that the address register selects.
    private var selected: (function: PCIFunction, register: Int)? {
        let bus = state.address >> 16 & 0xFF
        guard state.address >> 31 == 1, bus == 0 else { return nil }
        let location = Location(
            slot: UInt8(truncatingIfNeeded: state.address >> 11 & 31),
            function: UInt8(truncatingIfNeeded: state.address >> 8 & 7))
        return slots[location].map { ($0.function, Int(state.address & 0xFC)) }
    }

    private static let addressPort: UInt16 = 0xCF8
    private static let resetPort: UInt16 = 0xCF9
    private static let dataPort: UInt16 = 0xCFC

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        let number = port.rawValue
        if number == Self.addressPort, width == .dword { return state.address }
        if number >= Self.dataPort {
            guard let (function, register) = selected else { return .max }
            return function.readConfiguration(register + Int(number & 3), width: width)
        }
        return number == Self.resetPort ? UInt32(state.resetControl) | 0xFFFF_FF00 : .max
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        let number = port.rawValue
        if number == Self.addressPort, width == .dword {
            state.address = value & 0x80FF_FFFC
        } else if number >= Self.dataPort {
            guard let (function, register) = selected else { return }
            function.writeConfiguration(value, to: register + Int(number & 3), width: width)
        } else if number == Self.resetPort {
            writeResetControl(UInt8(truncatingIfNeeded: value))
        }
    }

    /// A change of bit 2 from zero to one resets the machine; bit 1 asks for a hard one, bit 3 for a power cycle.
    private func writeResetControl(_ value: UInt8) {
        let resets = value & ~state.resetControl & 0x04 != 0
        state.resetControl = value & 0x0E
        if resets { resetRequested() }
    }
}

/// A region of a function as the buses see it.
private final class PCIWindow {
    let function: PCIFunction
    let register: Int
    let base: UInt64
    let isPorts: Bool
    let portSide: PortSide
    let memorySide: MemorySide

    init(_ function: PCIFunction, register: Int, base: UInt64, isPorts: Bool) {
        self.function = function
        self.register = register
        self.base = base
        self.isPorts = isPorts
        portSide = PortSide()
        memorySide = MemorySide()
        portSide.window = self
        memorySide.window = self
    }

    func read(_ address: UInt64, _ width: AccessWidth) -> UInt64 {
        function.device?.readRegion(register, offset: address &- base, width: width) ?? width.allOnes
    }

    func write(_ value: UInt64, _ address: UInt64, _ width: AccessWidth) {
        function.device?.writeRegion(register, offset: address &- base, value: value, width: width)
    }

    final class PortSide: BusDevice {
        weak var window: PCIWindow?

        func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
            UInt32(truncatingIfNeeded: window?.read(UInt64(port.rawValue), width) ?? width.allOnes)
        }

        func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
            window?.write(UInt64(value), UInt64(port.rawValue), width)
        }
    }

    final class MemorySide: BusDevice {
        weak var window: PCIWindow?

        func read(_ address: MemoryAddress, width: AccessWidth) -> UInt64 {
            window?.read(address.rawValue, width) ?? width.allOnes
        }

        func write(_ value: UInt64, to address: MemoryAddress, width: AccessWidth) {
            window?.write(value, address.rawValue, width)
        }
    }
}
