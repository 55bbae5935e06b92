import Hypervisors
import PCDevices
import X86Engine

/// A PC with a processor, memory and devices, in which a guest runs.
///
/// One isolation domain uses a guest; two guests share nothing.
public final class Guest {
    /// What was chosen when the guest was declared.
    public internal(set) var configuration: GuestConfiguration
    /// The serial console.
    public let console: GuestConsole
    /// The privilege transitions so far.
    public let transitions: TransitionLog
    /// What the guest believes its processor to be; without a monitor below it also the one that executes.
    package let processor: Processor
    /// The monitor that runs the guest; nil on the bare machine.
    package internal(set) var monitor: (any GuestMonitor)?
    /// The machine's memory: the guest's, and behind it room for the structures of any monitor.
    let machineMemory: PhysicalMemory
    package let memory: PhysicalMemory
    package let platform: GuestPlatform
    let handlers = HandlerTable()
    private(set) lazy var crossingListener = CrossingListener(self)
    let attached = AttachedDevices()
    let timers: GuestTimers
    /// What handlers and scripted devices have done, while somebody keeps the guest's history.
    var effects: EffectLog? { didSet { handlersChanged() } }
    /// Who keeps the guest's past; told on the way of runs and when the guest is brought back.
    weak var history: GuestHistory?
    private let deviceMemory: DeviceMemory
    private let image: BootImage
    private let pristineRandom: UInt64
    /// Names of addresses that the boot source brought (labels of prepared code).
    public let symbols: [String: UInt64]
    /// What the guest's own code was assembled from.
    package let sourceLines: SourceLines
    /// The names of addresses: the labels of prepared code, and what was added.
    public var symbolTable: SymbolTable
    /// Why the current run must stop, set by handlers.
    var stopRequest: (reason: Stop.Reason, detail: String, event: GuestEvent?)?
    /// True while `run` is on the stack.
    package internal(set) var isRunning = false
    /// True while `run` has nothing of the guest under way.
    var isBetweenInstructions = false
    /// A handler has asked for a reset.
    var isResetRequested = false
    /// How often the guest has reset the machine.
    public internal(set) var resets = 0
    /// How long all runs have taken by the clock of the host; no two runs are alike.
    public internal(set) var hostTime: Duration = .zero
    /// Set once the guest has powered off or crashed; running on is refused with the same stop.
    var finalStop: Stop?

    /// Makes the machine and puts the boot source into its memory.
    ///
    /// Throws `GuestError` when the memory size is not possible or the boot source does not fit.
    public init(_ configuration: GuestConfiguration) throws(GuestError) {
        self.configuration = configuration
        do throws(HypervisorConfiguration.Objection) { try configuration.check() } catch {
            throw .configuration(error.text)
        }
        do throws(ProcessorModelError) { try configuration.model.check() } catch {
            throw .configuration("the processor model is not possible: \(error.text)")
        }
        let image: BootImage
        do throws(BootError) {
            let map = try PhysicalMemoryMap(size: configuration.memory)
            image =
                configuration.technique == .paravirtual
                ? try configuration.boot.image(memory: map, speaking: configuration.hypervisor.interface)
                : try configuration.boot.image(memory: map)
        } catch {
            throw error.isAboutMemory ? .memory(error.description) : .boot(error.description)
        }
        let machineSize = configuration.memory &+ GuestConfiguration.monitorSize(memory: configuration.memory)
        guard let machineMemory = PhysicalMemory(size: machineSize) else {
            throw .memory("the host has no \(machineSize) bytes of memory to give")
        }
        let memory = PhysicalMemory(window: configuration.memory, of: machineMemory)
        var platformConfiguration = PersonalComputer.Configuration()
        platformConfiguration.memorySize = configuration.memory
        do { platform = try GuestPlatform(platformConfiguration) } catch {
            throw .configuration("the devices cannot be assembled: \(error)")
        }
        timers = GuestTimers(platform.pc.clock)
        self.image = image
        self.memory = memory
        self.machineMemory = machineMemory
        pristineRandom = mix(configuration.seed &+ 0x9E37_79B9_7F4A_7C15)
        processor = Processor(
            model: configuration.model, memory: memory, environment: platform,
            tlbEntries: configuration.tlbEntries, blockCacheEnabled: configuration.usesBlockCache)
        monitor = try configuration.makeMonitor(processor, machineMemory)
        deviceMemory = DeviceMemory(memory)
        console = GuestConsole()
        transitions = TransitionLog()
        symbols = Dictionary(image.symbols.map { ($0.name, $0.address) }, uniquingKeysWith: { first, _ in first })
        sourceLines = SourceLines(image.lines)
        symbolTable = SymbolTable(
            labels: image.symbols.map { ($0.name, $0.address) }, lines: sourceLines.table)
        platform.processor = processor
        platform.pc.guestMemory = deviceMemory
        let platform = platform
        platform.pc.memoryMapChanged = { [unowned platform] in platform.mapMemory() }
        platform.mapMemory()
        let console = console
        platform.pc.serialOutput = { console.receive($0) }
        platform.pc.debugOutput = { console.receiveDebug($0) }
        console.guest = self
        transitions.guest = self
        transitions.goOn(under: configuration.hypervisor)
        timers.guest = self
        memory.hostWrites = { [unowned self] address, bytes in effects?.note(.memory(address, Array(bytes))) }
        connectHost()
        place()
    }

    /// Lets the accesses of devices go by way of the host's process, if the hypervisor is hosted.
    func connectHost() {
        let isHosted = configuration.hypervisor.place == .hosted && monitor != nil
        platform.deviceAccessed = isHosted ? { [unowned transitions] in transitions.crossHost() } : nil
    }

    /// Guest time in nanoseconds.
    public var time: UInt64 { processor.state.pointee.time }
    /// Instructions, REP iterations and deliveries so far.
    public var instructions: UInt64 { processor.state.pointee.time &- processor.state.pointee.idleTime }
    /// The processors; there is one.
    public var cpus: [CPUView] { [cpu] }
    /// The processor's registers and what they lead to.
    public var cpu: CPUView { CPUView(guest: self) }

    /// Writes firmware and boot image into memory and gives the processor its first state.
    private func place() {
        for block in FirmwareImage.contents(processorCount: 1) + image.contents {
            write(block.bytes, at: block.address)
            zero(from: block.address &+ UInt64(block.bytes.count), to: block.range.upperBound)
        }
        processor.programMemoryTypes()
        processor.programFeatureControl()
        processor.begin(image.state)
        processor.state.pointee.random = pristineRandom
        monitor?.begin()
        platform.synchronize()
    }

    private func write(_ bytes: ArraySlice<UInt8>, at address: UInt64) {
        // The loaders have placed every block inside RAM.
        _ = bytes.withUnsafeBytes { memory.write(address, $0) }
    }

    private func zero(from start: UInt64, to end: UInt64) {
        let page = [UInt8](repeating: 0, count: 4096)
        var address = start
        while address < end {
            let count = min(4096, end - address)
            write(page[..<Int(count)], at: address)
            address += count
        }
    }

    /// Resets the machine as its reset line would, and starts the boot source anew; guest time goes on.
    ///
    /// In a handler it happens after the instruction.
    public func reset() {
        effects?.note(.reset)
        guard !isRunning || isBetweenInstructions else {
            isResetRequested = true
            processor.raise(Signal.stop)
            return
        }
        for entry in attached.entries { entry.device.reset() }
        platform.pc.reset()
        let (time, idle, work) = (
            processor.state.pointee.time, processor.state.pointee.idleTime, processor.state.pointee.work
        )
        processor.reset()
        processor.state.pointee.time = time
        processor.state.pointee.idleTime = idle
        processor.state.pointee.work = work
        resets += 1
        finalStop = nil
        place()
    }
}

extension Processor {
    /// Takes over the state in which a boot loader leaves the processor.
    func begin(_ initial: InitialState) {
        let s = state
        s.pointee.rax = initial.rax
        s.pointee.rcx = initial.rcx
        s.pointee.rdx = initial.rdx
        s.pointee.rbx = initial.rbx
        s.pointee.rsp = initial.rsp
        s.pointee.rbp = initial.rbp
        s.pointee.rsi = initial.rsi
        s.pointee.rdi = initial.rdi
        s.pointee.r8 = initial.r8
        s.pointee.r9 = initial.r9
        s.pointee.r10 = initial.r10
        s.pointee.r11 = initial.r11
        s.pointee.r12 = initial.r12
        s.pointee.r13 = initial.r13
        s.pointee.r14 = initial.r14
        s.pointee.r15 = initial.r15
        s.pointee.rip = initial.rip
        s.pointee.rflags = initial.rflags
        s.pointee.es = SegmentState(initial.es)
        s.pointee.cs = SegmentState(initial.cs)
        s.pointee.ss = SegmentState(initial.ss)
        s.pointee.ds = SegmentState(initial.ds)
        s.pointee.fs = SegmentState(initial.fs)
        s.pointee.gs = SegmentState(initial.gs)
        s.pointee.ldtr = SegmentState(initial.ldtr)
        s.pointee.tr = SegmentState(initial.tr)
        s.pointee.gdtr = DescriptorTableRegister(base: initial.gdtr.base, limit: initial.gdtr.limit)
        s.pointee.idtr = DescriptorTableRegister(base: initial.idtr.base, limit: initial.idtr.limit)
        s.pointee.cr0 = initial.cr0
        s.pointee.cr3 = initial.cr3
        s.pointee.cr4 = initial.cr4
        s.pointee.efer = initial.efer
        s.pointee.star = initial.star
        s.pointee.lstar = initial.lstar
        s.pointee.fmask = initial.fmask
        s.pointee.sysenterCS = initial.sysenterCS
        s.pointee.sysenterESP = initial.sysenterESP
        s.pointee.sysenterEIP = initial.sysenterEIP
        s.pointee.cpl = initial.cpl
        flushTLB()
        updateMode()
    }
}

extension SegmentState {
    init(_ segment: InitialState.Segment) {
        self.init(
            selector: segment.selector, base: segment.base, limit: segment.limit, attributes: segment.attributes)
    }
}
