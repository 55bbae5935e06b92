import PCDevices
import X86Engine

/// One access of the guest to a register of a scripted device.
public struct DeviceAccess: Equatable, Sendable {
    /// Which of the device's ranges is meant.
    public enum Space: String, Sendable { case ports, memory }

    /// Where the register lies.
    public var space: Space
    /// The distance from the start of the range that was hit.
    public var offset: UInt64
    /// The port or guest-physical address.
    public var address: UInt64
    /// Bytes: 1, 2, 4 or, in memory, 8.
    public var width: Int
}

/// A device that a program or script gives to a guest: registers in ports or memory, and an interrupt line.
///
/// The guest calls the closures while it executes the instruction that accesses the device; they may use the guest's
/// memory, the interrupt line, and timers.
public final class ScriptedDevice {
    /// What messages call the device.
    public let name: String
    /// The I/O ports it answers.
    public let ports: [ClosedRange<UInt16>]
    /// The guest-physical addresses it answers; they must not be RAM.
    public let memory: [ClosedRange<UInt64>]
    /// Where a program or script declares it, for messages.
    public var place: String?
    /// The interrupt line: 0...15 of the ISA bus (8259A and I/O APIC), 16...23 of the I/O APIC alone; nil for none.
    public let irq: Int?

    /// Answers a read; bits above the width are ignored.
    public var onRead: (DeviceAccess) -> UInt64 = { _ in .max }
    /// Takes a write; bits above the width are zero.
    public var onWrite: (DeviceAccess, UInt64) -> Void = { _, _ in }
    /// Hears that the machine was reset; the interrupt line has been lowered.
    public var onReset: () -> Void = {}
    /// What the device remembers: part of the guest's digest and of snapshots.
    public var state: [String: DeviceValue] = [:]
    /// Gives `state` before it is looked at, for a device that keeps its values elsewhere.
    public var saveState: (() -> [String: DeviceValue])?
    /// Hears that a snapshot has brought `state` back.
    public var restoreState: (([String: DeviceValue]) -> Void)?

    /// The guest it is attached to.
    public internal(set) weak var guest: Guest?
    /// Whether the device asserts its interrupt line.
    public internal(set) var isRaised = false
    var line: InterruptSource?
    private var timers: [GuestTimer] = []

    /// Makes a device.
    public init(
        _ name: String, ports: [ClosedRange<UInt16>] = [], memory: [ClosedRange<UInt64>] = [], irq: Int? = nil
    ) {
        self.name = name
        self.ports = ports
        self.memory = memory
        self.irq = irq
    }

    /// Asserts the interrupt line, until `lower`.
    public func raise() { setLine(true) }

    /// Releases the interrupt line.
    public func lower() { setLine(false) }

    /// Asserts and releases the interrupt line: one interrupt for an edge-triggered input.
    public func pulse() {
        setLine(false)
        setLine(true)
        setLine(false)
    }

    func setLine(_ level: Bool) {
        guard let line, let guest else { return }
        guest.effects?.note(.line(self, level))
        isRaised = level
        line.set(level)
        guest.platform.publish()
    }

    /// Does something at an exact guest time from now, unless the machine is reset before.
    @discardableResult
    public func after(_ duration: Duration, _ action: @escaping () -> Void) -> GuestTimer? {
        timers.removeAll { !$0.isPending }
        guard let timer = guest?.after(duration, action) else { return nil }
        timers.append(timer)
        return timer
    }

    /// The machine is reset: what the device was about to do is given up.
    func reset() {
        for timer in timers { timer.cancel() }
        timers = []
        lower()
        perform(onReset)
    }

    /// What the device remembers now.
    var currentState: [String: DeviceValue] {
        if let saveState { state = saveState() }
        return state
    }

    func read(_ access: DeviceAccess) -> UInt64 {
        guard let guest, let effects = guest.effects else { return onRead(access) }
        return effects.read(self, at: guest.instructions, in: guest) { onRead(access) }
    }

    func write(_ access: DeviceAccess, _ value: UInt64) { perform { onWrite(access, value) } }

    private func perform(_ body: () -> Void) {
        guard let guest, let effects = guest.effects else { return body() }
        effects.perform(self, at: guest.instructions, in: guest, body)
    }
}

/// Why a device cannot be attached.
public enum DeviceError: Error, Equatable, CustomStringConvertible {
    /// The device has no registers and no interrupt line.
    case nothing(device: String)
    /// It has been attached before.
    case attached(device: String)
    /// A range is also answered by another device.
    case overlap(device: String, range: String, other: String, otherRange: String)
    /// There is no such interrupt line, or it is the machine's own.
    case interrupt(device: String, irq: Int)

    /// One line, without a period at its end.
    public var description: String {
        switch self {
        case .nothing(let device): "the device `\(device)` has neither ports nor memory nor an interrupt"
        case .attached(let device): "the device `\(device)` is attached already"
        case .overlap(let device, let range, let other, let otherRange):
            "\(range) of the device `\(device)` overlaps \(otherRange) of \(other)"
        case .interrupt(let device, let irq):
            "the device `\(device)` cannot use interrupt \(irq): there are 0, 1 and 3 to 15 (ISA), and 16 to 23"
        }
    }
}

/// A device on a bus that has a name of its own.
package protocol NamedDevice {
    var deviceName: String { get }
}

/// One range of a scripted device on a bus.
private final class RegisterRange<Address: BusAddress>: BusDevice, NamedDevice {
    private unowned let device: ScriptedDevice
    private let space: DeviceAccess.Space
    private let start: Address

    init(_ device: ScriptedDevice, _ space: DeviceAccess.Space, start: Address) {
        self.device = device
        self.space = space
        self.start = start
    }

    private func access(_ address: Address, _ width: AccessWidth) -> DeviceAccess {
        DeviceAccess(
            space: space, offset: UInt64(address.rawValue &- start.rawValue), address: UInt64(address.rawValue),
            width: Int(width.rawValue))
    }

    func read(_ address: Address, width: AccessWidth) -> Address.Data {
        Address.Data(truncatingIfNeeded: device.read(access(address, width)))
    }

    func write(_ value: Address.Data, to address: Address, width: AccessWidth) {
        device.write(access(address, width), UInt64(truncatingIfNeeded: value))
    }

    var name: String { "the device `\(device.name)`" }
    var deviceName: String { device.name }
}

/// The scripted devices of a guest, in order of their attachment.
final class AttachedDevices {
    struct Entry {
        var device: ScriptedDevice
        var portRanges: [any BusDevice<PortAddress>]
        var memoryRanges: [any BusDevice<MemoryAddress>]
    }

    var entries: [Entry] = []

    /// What each device remembers, and its line.
    var states: [DeviceState] {
        entries.map { DeviceState(name: $0.device.name, values: $0.device.currentState, isRaised: $0.device.isRaised) }
    }
}

/// What a snapshot keeps of a scripted device.
struct DeviceState: Codable, Equatable, Sendable {
    var name: String
    var values: [String: DeviceValue]
    var isRaised: Bool
}

extension Guest {
    /// The scripted devices, in order of their attachment.
    public var devices: [ScriptedDevice] { attached.entries.map(\.device) }

    /// Gives the guest a device; its registers answer from the next access on, also while the guest runs.
    public func attach(_ device: ScriptedDevice) throws(DeviceError) {
        guard device.guest == nil else { throw .attached(device: device.name) }
        guard !device.ports.isEmpty || !device.memory.isEmpty || device.irq != nil else {
            throw .nothing(device: device.name)
        }
        var line: InterruptSource?
        if let irq = device.irq {
            line = irq == 2 ? nil : platform.pc.makeInterruptSource(irq)
            guard line != nil else { throw .interrupt(device: device.name, irq: irq) }
        }
        for range in device.memory { try checkMemory(range, of: device) }
        var entry = AttachedDevices.Entry(device: device, portRanges: [], memoryRanges: [])
        do throws(DeviceError) {
            for range in device.ports {
                let part = RegisterRange(device, .ports, start: PortAddress(range.lowerBound))
                try place(
                    part, at: PortAddress(range.lowerBound)...PortAddress(range.upperBound), .dword,
                    on: platform.pc.ports, "ports", device)
                entry.portRanges.append(part)
            }
            for range in device.memory {
                let part = RegisterRange(device, .memory, start: MemoryAddress(range.lowerBound))
                try place(
                    part, at: MemoryAddress(range.lowerBound)...MemoryAddress(range.upperBound), .qword,
                    on: platform.pc.memory, "memory", device)
                entry.memoryRanges.append(part)
            }
        } catch {
            takeOff(entry)
            throw error
        }
        device.guest = self
        device.line = line
        attached.entries.append(entry)
    }

    /// Takes a device away: its registers answer no more, its line is released.
    public func detach(_ device: ScriptedDevice) {
        guard let index = attached.entries.firstIndex(where: { $0.device === device }) else { return }
        device.lower()
        takeOff(attached.entries.remove(at: index))
        device.line = nil
        device.guest = nil
    }

    private func place<Address: BusAddress>(
        _ part: RegisterRange<Address>, at range: ClosedRange<Address>, _ widest: AccessWidth, on bus: Bus<Address>,
        _ what: String, _ device: ScriptedDevice
    ) throws(DeviceError) {
        do throws(Bus<Address>.AttachError) {
            try bus.attach(part, at: range, widest: widest)
        } catch {
            guard case .overlap(_, let existing) = error else { return }
            let owner = bus.device(at: existing.lowerBound)
            throw .overlap(
                device: device.name, range: "\(what) \(range)",
                other: (owner as? RegisterRange<Address>)?.name
                    ?? "the machine's \(owner.map { "\(type(of: $0))" } ?? "")",
                otherRange: "\(existing)")
        }
    }

    private func checkMemory(_ range: ClosedRange<UInt64>, of device: ScriptedDevice) throws(DeviceError) {
        func refuse(_ other: String, _ start: UInt64, _ end: UInt64) -> DeviceError {
            .overlap(
                device: device.name,
                range: "memory \(hexadecimal(range.lowerBound))...\(hexadecimal(range.upperBound))", other: other,
                otherRange: "\(hexadecimal(start))...\(hexadecimal(end - 1))")
        }
        for part in memory.ranges where range.overlaps(part.lowerBound...(part.upperBound - 1)) {
            throw refuse("RAM", part.lowerBound, part.upperBound)
        }
        if let page = platform.pc.localAPICPage(of: 0)?.rawValue, range.overlaps(page...(page | 0xFFF)) {
            throw refuse("the local APIC", page, page + 0x1000)
        }
    }

    private func takeOff(_ entry: AttachedDevices.Entry) {
        for part in entry.portRanges { platform.pc.ports.detach(part) }
        for part in entry.memoryRanges { platform.pc.memory.detach(part) }
    }
}
