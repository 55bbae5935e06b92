import X86
import X86Engine

/// The monitor of a guest that the processor itself keeps apart: VT-x or AMD-V.
///
/// As with every monitor the guest's processor holds what the guest believes, and the machine's executes: the guest
/// kernel at ring 0 of the guest mode, by a control structure in the monitor's memory. What leaves the guest and is none
/// of the monitor's business (a port, an MSR, a device) is interpreted on the guest's processor, where it means what it
/// means on the bare machine; so exits add nothing to guest time, and the guest does the same at the same counts.
package final class HardwareMonitor: GuestMonitor {
    package let technique: Technique
    package let paging: Paging
    package let guest: Processor
    package let machine: Processor
    // One thread at a time runs the guest, and nothing here is used while it is changed: the way of every exit is spared
    // the checks of exclusive access.
    @exclusivity(unchecked) package internal(set) var statistics = MonitorStatistics()
    @exclusivity(unchecked) package var observer: (any MonitorObserver)?
    let backEnd: any HardwareBackEnd
    /// Nil with second-level tables.
    let shadow: ShadowPaging?
    private let environment = HardwareEnvironment()
    private let receiver = ExitReceiver()
    /// What the last exit has left to be done.
    @exclusivity(unchecked) var pending = PendingWork.nothing
    @exclusivity(unchecked) private var presence = GuestPresence()
    @exclusivity(unchecked) var knownResets: UInt64 = 0
    @exclusivity(unchecked) private var knownWatched: EventKinds = []
    /// A page fault was injected at an instruction that did not have RF set.
    @exclusivity(unchecked) var injectedResumeFlag = false
    /// The vector of the interrupt that the entry in hand is to deliver.
    @exclusivity(unchecked) var injectedVector: UInt8?

    /// What is to be done on the guest's processor before the guest goes on.
    enum PendingWork {
        case nothing
        /// The instruction at RIP.
        case interpret
        /// An exception at RIP.
        case deliver(Fault)
        /// An event whose delivery was interrupted.
        case redeliver(VectoringEvent)
        /// An interrupt that an entry was to deliver.
        case interrupt(vector: UInt8)
        /// What an observer has decided about the instruction at RIP.
        case settle(EventVerdict)
    }

    /// The bytes that a monitor takes of the machine's memory, behind the guest's.
    package static func memorySize(_ paging: Paging, guestMemory: UInt64) -> UInt64 {
        HardwareMemory.size(paging, guestMemory: guestMemory)
    }

    /// Makes a monitor for a guest processor, whose memory is a window of `machineMemory`; nil if a machine with the
    /// guest's processor cannot carry the technique.
    package init?(
        technique: Technique, paging: Paging, guest: Processor, machineMemory: PhysicalMemory, tlbEntries: Int,
        usesBlocks: Bool
    ) {
        guard let model = Self.machineModel(for: guest.model, technique) else { return nil }
        self.technique = technique
        self.paging = paging
        self.guest = guest
        machine = Processor(
            model: model, memory: machineMemory, environment: environment, tlbEntries: tlbEntries,
            blockCacheEnabled: usesBlocks)
        let memory = HardwareMemory(machine: machineMemory, guestPages: Int(guest.memory.size >> 12))
        guard let backEnd = Self.backEnd(technique, machine, guest, memory, paging) else { return nil }
        self.backEnd = backEnd
        switch paging {
        case .nested: shadow = nil
        case .shadow:
            shadow = ShadowPaging(
                machine: machineMemory, pool: memory.tables, guestPages: memory.guestPages, guest: guest)
        }
        machine.monitor = receiver
        receiver.monitor = self
        machine.watchedInstructions = guest.watchedInstructions
        environment.monitor = self
        if shadow != nil {
            guest.memory.tracer = self
            machineMemory.tracer = self
        }
    }

    deinit {
        receiver.monitor = nil
        environment.monitor = nil
    }

    /// The guest's model with the extension, nil for the other vendor's.
    ///
    /// The guest keeps its own CPUID.
    private static func machineModel(for guest: ProcessorModel, _ technique: Technique) -> ProcessorModel? {
        var model = guest
        switch technique {
        case .vmx:
            guard guest.vendor == .intel else { return nil }
            model.features.insert(.vmx)
        case .svm:
            guard guest.vendor == .amd else { return nil }
            model.features.insert(.svm)
        case .bare, .trapAndEmulate, .translate, .paravirtual: return nil
        }
        var missing: [ProcessorFeature]
        repeat {
            missing = model.features.members.flatMap { $0.requirements.subtracting(model.features).members }
            for feature in missing { model.features.insert(feature) }
        } while !missing.isEmpty
        return model
    }

    private static func backEnd(
        _ technique: Technique, _ machine: Processor, _ guest: Processor, _ memory: HardwareMemory, _ paging: Paging
    ) -> (any HardwareBackEnd)? {
        switch technique {
        case .vmx: VMXBackEnd(machine: machine, guest: guest, memory: memory, paging: paging)
        case .svm: SVMBackEnd(machine: machine, guest: guest, memory: memory, paging: paging)
        case .bare, .trapAndEmulate, .translate, .paravirtual: nil
        }
    }

    // MARK: The run loop

    package func run() -> RunResult {
        var turns = RunTurns()
        while true {
            if guest.takeWatchChange() { machine.watchedInstructions = guest.watchedInstructions }
            if let result = doPendingWork() { return result }
            guard turns.begin() else { return .deadline }
            if mustInterpret {
                if presence.isInside, guest.hasWorkAtBoundary { _ = left(.interruption) }
                if guest.activeAndUninterrupted { statistics.interpreted &+= 1 }
                if let result = guest.interpretOne() { return result }
                continue
            }
            guard let injection = interruptToInject() else { continue }
            if presence.isInside, injection.vector != nil { _ = left(.interruption) }
            enterGuest(injection)
            // Whoever hears of the entry may want the run to end before the guest goes on.
            if guest.state.pointee.signals & Signal.stop != 0 { machine.raise(Signal.stop) }
            let result = machine.run()
            guard machine.state.pointee.virtualization.isGuest else { continue }
            // The machine is needed, or a watched place was met.
            machine.interruptGuest()
            if result == .stopped { pending = .interpret }
        }
    }

    package var kernelRing: UInt8 { 0 }

    package func stateReplaced(knowledge: [UInt64]) {
        pending = .nothing
        presence = GuestPresence()
        shadow?.reset()
        machine.flushTLB()
        machine.forgetReportedInstructions()
    }

    package func leave() {
        // An event that was being delivered must not be lost.
        deliver(pending)
        pending = .nothing
        shadow?.reset()
        guest.memory.tracer = nil
        machine.memory.tracer = nil
    }

    private func doPendingWork() -> RunResult? {
        // A run that ends at an exit leaves what is to be done about it to the next one.
        if guest.state.pointee.signals & Signal.stop != 0 { return guest.interpretOne() }
        let work = pending
        pending = .nothing
        switch work {
        case .nothing, .deliver, .redeliver, .interrupt: deliver(work)
        case .interpret:
            statistics.emulated &+= 1
            let result = guest.interpretOne()
            if result == .deadline || result == .stopped { pending = work }
            return result
        case .settle(let verdict): _ = guest.settle(verdict)
        }
        return nil
    }

    /// Delivers the event that some work is, if it is one.
    private func deliver(_ work: PendingWork) {
        switch work {
        case .nothing, .interpret, .settle: break
        case .deliver(let fault): guest.deliver(fault)
        case .redeliver(let event): guest.redeliver(event)
        case .interrupt(let vector): guest.deliverInterrupt(vector: vector)
        }
    }

    /// Whether the next thing to do is done on the guest's processor: whatever is due but an interrupt, and modes that
    /// the guest cannot be entered in.
    private var mustInterpret: Bool {
        let s = guest.state
        if s.pointee.signals & ~Signal.interrupt != 0 || s.pointee.pendingDebug != 0 || s.pointee.activity != .active
            || s.pointee.time >= s.pointee.deadline || guest.hasPendingFault
        {
            return true
        }
        // Guests that are hypervisors themselves are left to interpretation.
        if s.pointee.virtualization.isGuest || s.pointee.virtualization.vmx.isOperating
            || s.pointee.efer & EFER.SVME != 0 || !s.pointee.virtualization.svm.globalInterruptFlag
        {
            return true
        }
        if guest.memory.addressLineMask != .max || !backEnd.canHold(guest) { return true }
        return s.pointee.cr0 & CR0.PE == 0 && !backEnd.runsUnpaged
    }

    /// The vector that the next entry delivers: none while there is no interrupt or the guest does not take it.
    ///
    /// Nil if the interrupt has been dealt with.
    private func interruptToInject() -> Injection? {
        let s = guest.state
        guard s.pointee.signals & Signal.interrupt != 0, s.pointee.interruptShadow == 0,
            s.pointee.systemFlags & RFLAGS.IF != 0
        else { return Injection() }
        // Watchers are asked by the processor that they watch.
        guard !guest.watched.contains(.interrupt), !guest.watched.contains(.exception) else {
            _ = guest.interpretOne()
            return nil
        }
        guard let vector = guest.environment.acknowledgeInterrupt() else {
            guest.withdraw(Signal.interrupt)
            return nil
        }
        statistics.injections &+= 1
        // Something else may be due by now, which must not come first.
        guard s.pointee.signals & ~Signal.interrupt == 0, s.pointee.time < s.pointee.deadline else {
            guest.deliverInterrupt(vector: vector)
            return nil
        }
        return Injection(vector: vector)
    }

    private struct Injection {
        var vector: UInt8?
    }

    // MARK: World switch

    private func enterGuest(_ injection: Injection) {
        let s = guest.state
        if guest.watched != knownWatched { watch() }
        if machine.watchedMemory != guest.watchedMemory { machine.watchedMemory = guest.watchedMemory }
        var controls = HardwareControls()
        controls.injection = injection.vector
        injectedVector = injection.vector
        controls.interruptWindow = s.pointee.signals & Signal.interrupt != 0 && injection.vector == nil
        controls.allModelSpecificRegisters = knownWatched.contains(.modelSpecificRegister)
        controls.exceptions = knownWatched.contains(.exception) ? .max : neededExceptions
        loadMachine()
        machine.setDeadline(s.pointee.deadline)
        reportEntry()
        backEnd.enter(guest, controls)
    }

    /// The exceptions that must leave the guest, by vector: without CR0.NE it expects FERR# where the machine raises #MF,
    /// and shadow page tables are answerable for page faults.
    var neededExceptions: UInt32 {
        (guest.state.pointee.cr0 & CR0.NE == 0 ? 1 << 16 : 0) | (shadow != nil ? 1 << 14 : 0)
    }

    /// Gives the machine's processor the guest's state, with what the monitor owns of it.
    private func loadMachine() {
        let (virtual, physical) = (guest.state, machine.state)
        machine.takeGuestState(from: guest)
        physical.pointee.cr0 = backEnd.owned.cr0(for: virtual.pointee.cr0)
        physical.pointee.cr4 = backEnd.owned.cr4(for: virtual.pointee.cr4)
        physical.pointee.efer = backEnd.owned.efer(for: virtual.pointee.efer)
        guard let shadow else { return }
        physical.pointee.cr3 = backEnd.shadowCR3(shadow)
        if shadow.resets != knownResets {
            knownResets = shadow.resets
            machine.flushTLB()
        }
    }

    /// Takes the guest's state back from the machine's processor, which has just left the guest.
    func takeBack() {
        takeRegistersBack()
        backEnd.completeExit(guest)
    }

    private func takeRegistersBack() {
        let (virtual, owned) = (guest.state, backEnd.owned)
        let (cr0, cr3, cr4, efer) = (
            virtual.pointee.cr0, virtual.pointee.cr3, virtual.pointee.cr4, virtual.pointee.efer
        )
        let pointers = virtual.pointee.pdpte
        guest.takeGuestState(from: machine)
        virtual.pointee.cr0 = virtual.pointee.cr0 & ~owned.cr0 | cr0 & owned.cr0
        virtual.pointee.cr4 = virtual.pointee.cr4 & ~owned.cr4 | cr4 & owned.cr4
        virtual.pointee.efer = virtual.pointee.efer & ~owned.efer | efer & owned.efer
        if shadow != nil { virtual.pointee.cr3 = cr3 }
        if shadow != nil || backEnd.isLoadingPointersByGuest { virtual.pointee.pdpte = pointers }
        guest.updateMode()
        guest.flushTLB()
    }

    // MARK: Watching

    /// What the machine's processor must report; everything else leaves the guest anyway.
    private static let watchedInGuest: EventKinds = [.transition, .controlRegister, .syscall, .memory, .interrupt]

    private func watch() {
        knownWatched = guest.watched
        machine.watched = knownWatched.intersection(Self.watchedInGuest)
    }

    /// Shows an event that the machine's processor met to the guest's watchers.
    fileprivate func intercept(_ event: ProcessorEvent) -> EventVerdict {
        switch event {
        case .transition(let record):
            if let observer, observer.keeps(record, time: machine.state.pointee.time) { return .proceed }
            // The change has happened: the watchers see the state after it.
            takeRegistersBack()
            let verdict = guest.environment.intercept(event)
            machine.takeGeneralRegisters(from: guest)
            machine.takeTransitionCounters(from: guest)
            if guest.state.pointee.signals & Signal.stop != 0 { machine.raise(Signal.stop) }
            return verdict
        case .memory:
            machine.raise(Signal.stop)
            return .inject(.givesUp)
        case .exception, .interrupt, .portRead, .portWrite, .readModelSpecificRegister, .writeModelSpecificRegister,
            .writeControlRegister, .syscall, .hypercall, .halt, .cpuid, .execute, .instruction:
            // Given up before it has begun; the guest's processor reports it and does it.
            machine.raise(Signal.stop)
            return .proceed
        }
    }

    // MARK: Reports

    package var report: String {
        var text = "emulated \(statistics.emulated), interpreted \(statistics.interpreted)"
        text += ", injections \(statistics.injections)"
        if let shadow {
            text += ", hidden fills \(shadow.hiddenFills), traced writes \(shadow.tracedWrites)"
            text += ", resets \(shadow.resets)"
        }
        return text
    }

    // MARK: Crossings

    /// Counts and tells that the guest goes on.
    func reportEntry() {
        guard presence.enter(level: guest.state.pointee.cpl, &statistics), observer != nil else { return }
        _ = report(.entry)
    }

    /// Counts and tells that the guest was left; what the observer has decided.
    func left(_ cause: MonitorCause) -> EventVerdict {
        let reason = if case .exit(let exit) = cause { ExitReason(exit.cause) } else { ExitReason.interrupt }
        presence.leave(cause, reason, level: guest.state.pointee.cpl, &statistics)
        return observer == nil ? .proceed : report(.exit)
    }

    private func report(_ direction: MonitorCrossing.Direction) -> EventVerdict {
        guard let observer else { return .proceed }
        let level = guest.state.pointee.cpl
        if observer.notices(direction, presence.reason, level: level, code: { presence.cause.code }) { return .proceed }
        let rip = guest.state.pointee.rip
        let crossing = MonitorCrossing(
            technique: technique, direction: direction, cause: presence.cause, reason: presence.reason,
            guest: guest.privilegePoint(at: rip), physical: machine.privilegePoint(at: rip),
            time: guest.state.pointee.time)
        return observer.crossed(crossing)
    }
}

extension HardwareMonitor: MemoryTracer {
    package func memoryChanged(page: Int, offset: Int, count: Int, byWalk: Bool) {
        if !byWalk { shadow?.tableChanged(page: page, offset: offset, count: count) }
    }
}

/// Takes exits for a monitor, which the machine's processor must not keep alive.
private final class ExitReceiver: VirtualMachineMonitor {
    // SAFETY: the monitor takes itself away when it goes; a weak reference would be counted at every exit.
    @exclusivity(unchecked) unowned(unsafe) var monitor: HardwareMonitor?
    func handle(_ exit: VMExit, on processor: Processor) -> ExitDisposition { monitor?.handle(exit) ?? .stop }
}

/// The machine as its processor finds it while it runs the guest.
private final class HardwareEnvironment: DetachedEnvironment {
    // SAFETY: as in `ExitReceiver`.
    @exclusivity(unchecked) unowned(unsafe) var monitor: HardwareMonitor?
    override func intercept(_ event: ProcessorEvent) -> EventVerdict { monitor?.intercept(event) ?? .proceed }
}
