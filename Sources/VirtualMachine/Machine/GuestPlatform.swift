import PCDevices
import X86Engine

/// The PC around a guest's processor: turns the processor's bus accesses into device accesses at exact guest times, and
/// the devices' signals into what the processor looks at.
package final class GuestPlatform: ProcessorEnvironment {
    package let pc: PersonalComputer
    /// Set right after the processor is made; the guest owns both. (Weak references would slow every use of it.)
    unowned var processor: Processor?
    /// Receives events; nil while nobody listens.
    var observer: ((ProcessorEvent) -> EventVerdict)?
    /// Receives the events that nobody looks at; the observer never hears of them.
    ///
    /// Kept alive by `noticeTable`: references are not counted for each event.
    @exclusivity(unchecked) private var notices: Unmanaged<NoticeTable>?
    private var noticeTable: NoticeTable?
    /// How many events are being noticed.
    @exclusivity(unchecked) private var noticing = 0
    /// Whether the current table may be noticing one of them.
    @exclusivity(unchecked) private var isTableOpen = false
    /// Former tables that may be.
    @exclusivity(unchecked) private var openTables: [NoticeTable] = []
    /// Told of each access to a device that a monitor has done by its host; nil where it has the devices itself.
    var deviceAccessed: (() -> Void)?
    /// How often a port or the memory of a device was read or written, the local APIC's apart.
    var deviceAccesses: UInt64 = 0
    /// The guest time that the current run ends at.
    var runEnd = UInt64.max

    init(_ configuration: PersonalComputer.Configuration) throws {
        pc = try PersonalComputer(configuration)
    }

    /// Tells the processor which physical addresses devices own, after that has changed.
    func mapMemory() {
        guard let processor else { return }
        processor.memory.setAddressLine20(isOpen: pc.isA20Enabled)
        processor.devicePage = pc.localAPICPage(of: 0)?.rawValue
    }

    // MARK: Bus accesses

    package func readPort(_ port: UInt16, width: Int) -> UInt32 {
        portAccessed()
        return around { pc.readPort(PortAddress(port), width: accessWidth(width)) }
    }

    package func writePort(_ port: UInt16, _ value: UInt32, width: Int) {
        portAccessed()
        around { pc.writePort(value, to: PortAddress(port), width: accessWidth(width)) }
    }

    package func readDevice(_ physical: UInt64, width: Int) -> UInt64 {
        memoryAccessed(physical)
        return around { pc.readMemory(MemoryAddress(physical), width: accessWidth(width), processor: 0) }
    }

    package func writeDevice(_ physical: UInt64, _ value: UInt64, width: Int) {
        memoryAccessed(physical)
        around { pc.writeMemory(value, to: MemoryAddress(physical), width: accessWidth(width), processor: 0) }
    }

    /// Monitors have the local APIC themselves, wherever their other devices are.
    private func memoryAccessed(_ physical: UInt64) {
        if processor?.devicePage != physical & ~0xFFF { portAccessed() }
    }

    private func portAccessed() {
        deviceAccesses &+= 1
        deviceAccessed?()
    }

    package func readModelSpecificRegister(_ index: UInt32) -> UInt64? {
        around { pc.readMSR(index, processor: 0) }
    }

    package func writeModelSpecificRegister(_ index: UInt32, _ value: UInt64) -> Bool {
        around { pc.writeMSR(value, to: index, processor: 0) }
    }

    package var taskPriority: UInt8 {
        get { pc.taskPriority(of: 0) }
        set { around { pc.setTaskPriority(newValue, of: 0) } }
    }

    package func pendingInterrupt() -> UInt8? { pc.pendingInterrupt(0) }

    package func acknowledgeInterrupt() -> UInt8? {
        around { pc.acknowledgeInterrupt(0) }
    }

    package func acknowledgeInitialize() { around { pc.takeInitialize(0) } }

    package func acknowledgeStartUp() -> UInt8? { around { pc.acknowledgeStartUp(0) } }

    package func intercept(_ event: ProcessorEvent) -> EventVerdict {
        if let notices {
            noticing += 1
            isTableOpen = true
            // SAFETY: if the table is replaced meanwhile, `openTables` has it until no event is being noticed.
            let isTaken = notices._withUnsafeGuaranteedRef { $0.take(event) }
            noticing -= 1
            if noticing == 0, !openTables.isEmpty { openTables = [] }
            if isTaken { return .proceed }
        }
        return observer?(event) ?? .proceed
    }

    /// Has another table receive events from now on.
    func setNotices(_ table: NoticeTable?) {
        if noticing > 0, isTableOpen, let noticeTable { openTables.append(noticeTable) }
        isTableOpen = false
        noticeTable = table
        notices = table.map { Unmanaged.passUnretained($0) }
    }

    // MARK: Time and signals

    /// Sets the devices' clock, does something to them, and tells the processor what has changed.
    private func around<Result>(_ body: () -> Result) -> Result {
        guard let processor else { return body() }
        pc.clock.now = processor.state.pointee.time
        let result = body()
        publish(to: processor)
        return result
    }

    /// Fires what is due and tells the processor what is signalled to it.
    func synchronize() {
        guard let processor else { return }
        pc.clock.now = processor.state.pointee.time
        pc.clock.fireDue()
        publish(to: processor)
    }

    /// Tells the processor what is signalled to it and when it is wanted next.
    func publish() {
        guard let processor else { return }
        publish(to: processor)
    }

    private func publish(to processor: Processor) {
        let signals = pc.signals(to: 0)
        set(Signal.interrupt, signals.contains(.interrupt), on: processor)
        set(Signal.initialize, signals.contains(.initialize), on: processor)
        set(Signal.startup, signals.contains(.startUp), on: processor)
        if signals.contains(.nonMaskableInterrupt) {
            pc.acknowledgeNonMaskableInterrupt(0)
            processor.raise(Signal.nmi)
        }
        if !pc.requests.isEmpty { processor.raise(Signal.stop) }
        processor.setDeadline(min(pc.clock.nextDeadline, runEnd))
    }

    private func set(_ signal: UInt8, _ isOn: Bool, on processor: Processor) {
        let known = processor.state.pointee.signals & signal != 0
        if isOn == known { return }
        if isOn { processor.raise(signal) } else { processor.withdraw(signal) }
    }

    private func accessWidth(_ bytes: Int) -> AccessWidth {
        AccessWidth(rawValue: UInt8(truncatingIfNeeded: bytes)) ?? .byte
    }
}

/// Guest RAM as devices see it.
final class DeviceMemory: GuestMemory {
    private let memory: PhysicalMemory

    init(_ memory: PhysicalMemory) { self.memory = memory }

    func readBytes(at address: MemoryAddress, count: Int) -> [UInt8]? {
        guard count >= 0, UInt64(count) <= memory.size else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        return bytes.withUnsafeMutableBytes { memory.read(address.rawValue, into: $0) } ? bytes : nil
    }

    func writeBytes(_ bytes: [UInt8], at address: MemoryAddress) -> Bool {
        bytes.withUnsafeBytes { memory.write(address.rawValue, $0) }
    }
}

extension GuestPlatform {
    /// A hash of all devices with their pending timers.
    ///
    /// Encoding fails only for types that the chips' states do not contain (a test encodes each of them).
    func stateHash() -> UInt64 { (try? pc.stateHash()) ?? 0 }
}
