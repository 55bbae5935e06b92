import X86
import X86Engine

/// The monitor of a guest that knows it has one and calls it: no instruction is emulated, no page table shadowed.
///
/// The machine's processor runs the guest's kernel at ring 1 (32-bit code) or ring 3 (64-bit code) through the guest's
/// own page tables, with the monitor's descriptor tables. What enters ring 0 is a call, or goes to the guest's handlers.
/// The guest's processor holds what the guest believes between two runs: ring 0 is its kernel's.
package final class ParavirtualMonitor: GuestMonitor {
    package let technique = Technique.paravirtual
    package let guest: Processor
    package let machine: Processor
    package internal(set) var statistics = MonitorStatistics()
    package var observer: (any MonitorObserver)?
    package private(set) var endReason: String?
    /// The calls that the guest may make.
    package let interface: HypercallInterface
    let memory: MonitorMemory
    private(set) var paging: DirectPaging
    private let environment = ParavirtualEnvironment()
    private let base: UInt64
    var state = ParavirtualState()
    /// What has left the guest and is still to be dealt with, because a run has ended in between.
    var owed: (occurrence: Occurrence, verdict: EventVerdict)?
    /// Page or descriptor tables were written to by somebody else.
    private var tablesAreChanged = false
    private var presence = GuestPresence()
    /// Where the processor entered the monitor last.
    private var entryPoint: PrivilegePoint?
    private var knownRoot: UInt64 = .max

    /// Makes a monitor for a guest processor, whose memory is a window of `machineMemory`.
    package init(
        interface: HypercallInterface, guest: Processor, machineMemory: PhysicalMemory, tlbEntries: Int,
        usesBlocks: Bool
    ) {
        self.interface = interface
        self.guest = guest
        let guestPages = Int(guest.memory.size >> 12)
        memory = MonitorMemory(machine: machineMemory, guestPages: guestPages, regionSize: MonitorLayout.cache)
        base = 0xFFFF_0000_0000_0000 | DirectPaging.monitorSlot << 39
        var model = guest.model
        model.features = model.features.union([.longMode, .nx, .pae, .syscall, .umip])
        machine = Processor(
            model: model, memory: machineMemory, environment: environment, tlbEntries: tlbEntries,
            blockCacheEnabled: usesBlocks)
        paging = DirectPaging(machine: machineMemory, guestPages: guestPages, topEntry: memory.topEntry) { _ in false }
        environment.monitor = self
        guest.memory.tracer = self
        machineMemory.tracer = self
        machine.ringZeroIsMonitors = true
    }

    /// The bytes that a monitor takes of the machine's memory, behind the guest's.
    package static var memorySize: UInt64 { MonitorLayout.size }

    package var kernelRing: UInt8 { state.isWide ? 3 : 1 }
    /// The ring at which the machine's processor runs what the guest runs now.
    var ring: UInt8 { state.isKernel ? kernelRing : 3 }

    package var report: String { "calls \(statistics.emulated), events \(statistics.injections)" }

    // MARK: The beginning

    /// Gives the guest the page tables and registers that the interface promises.
    package func begin() {
        let s = guest.state
        state = ParavirtualState()
        state.isWide = s.pointee.cs.isLong
        endReason = nil
        forgetProgress()
        setUpMachine()
        makePaging()
        mapDescriptorTable()
        let tables = BootTables(lowMemory: guest.memory.lowSize)
        tables.write(to: guest.memory, in: memory.machine)
        state.kernelRoot = tables.root
        s.pointee.cr0 = CR0.PE | CR0.PG | CR0.WP | CR0.NE | CR0.ET
        s.pointee.cr4 = CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT
        s.pointee.efer = EFER.LME | EFER.LMA | EFER.NXE
        guest.systemFlags = RFLAGS.fixed | RFLAGS.IF
        (s.pointee.gdtr, s.pointee.idtr) = (DescriptorTableRegister(), DescriptorTableRegister())
        // Usable at both levels: what is the kernel's alone would be taken away on the way to user code.
        let flat = FlatSelector.segment(FlatSelector.userData)
        (s.pointee.ds, s.pointee.es) = (flat, flat)
        let null = SegmentState(null: Selector(0))
        (s.pointee.fs, s.pointee.gs) = (null, null)
        loadKernelSegments()
        (s.pointee.rdi, s.pointee.rsi, s.pointee.rdx) = (tables.root, tables.start, guest.memory.lowSize)
        takeControllers()
        do throws(DirectPaging.Failure) { try paging.takeRoot(tables.root) } catch {
            end("its first page tables are not valid")
        }
        showState()
    }

    private func setUpMachine() {
        let s = machine.state
        s.pointee.cr0 = CR0.PE | CR0.PG | CR0.WP | CR0.NE | CR0.ET
        s.pointee.cr4 = CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.UMIP
        s.pointee.efer = EFER.LME | EFER.LMA | EFER.NXE
        // CPUID faults outside ring 0, so that the guest sees its own processor and the interface.
        s.pointee.msr.miscFeatures = 1
        s.pointee.star = UInt64(GuestDescriptor.monitorSelector | MonitorLayout.codeSelector) << 32
        s.pointee.lstar = base &+ MonitorLayout.systemCallEntry
        s.pointee.cstar = s.pointee.lstar
        s.pointee.fmask = RFLAGS.IF | RFLAGS.TF | RFLAGS.DF | RFLAGS.AC | RFLAGS.NT
        memory.writeTables(
            base: base, firstSelector: GuestDescriptor.monitorSelector, calls: [interface.vector: kernelRing])
        for (selector, attributes) in FlatSelector.attributes {
            // Neither kind of kernel has the other's segments.
            let isThere = FlatSelector.isThere(selector, isWide: state.isWide)
            let descriptor = Descriptor(base: 0, limit: 0xFFFF_FFFF, attributes: attributes)
            let offset = UInt64(selector & ~7 & ~GuestDescriptor.monitorSelector)
            memory.machine.setQuadword(
                isThere ? descriptor.low : 0, at: memory.physical(MonitorLayout.gdt) + offset)
        }
        memory.setRegionPage(
            GuestDescriptor.tableOffset + GuestDescriptor.pageLimit << 12, to: memory.physical(MonitorLayout.gdt))
        s.pointee.gdtr = DescriptorTableRegister(base: base &+ GuestDescriptor.tableOffset, limit: 0xE04F)
        s.pointee.idtr = DescriptorTableRegister(base: base &+ MonitorLayout.idt, limit: 0xFFF)
        s.pointee.tr = SegmentState(
            selector: GuestDescriptor.monitorSelector | MonitorLayout.taskSelector,
            base: base &+ MonitorLayout.taskState, limit: 0x67, attributes: 0x8B)
        s.pointee.ldtr = SegmentState(selector: 0, base: 0, limit: 0, attributes: SegmentState.unusable)
    }

    private func makePaging() {
        let isWide = state.isWide
        paging.removeAll()
        paging = DirectPaging(
            machine: memory.machine, guestPages: Int(guest.memory.size >> 12), topEntry: memory.topEntry
        ) { GuestDescriptor.isAcceptable($0, isWide: isWide) }
    }

    /// Maps the guest's descriptor table, and empty pages where it has none, in front of the monitor's descriptors.
    func mapDescriptorTable() {
        for page in 0..<GuestDescriptor.pageLimit {
            let offset = GuestDescriptor.tableOffset + page << 12
            let physical =
                page < state.descriptorPages ? state.descriptorTable &+ page << 12 : memory.physical(offset)
            memory.setRegionPage(offset, to: physical)
        }
        machine.flushTLB()
    }

    // MARK: The run loop

    package func run() -> RunResult {
        var turns = RunTurns()
        while true {
            if machine.watchedInstructions != guest.watchedInstructions {
                machine.watchedInstructions = guest.watchedInstructions
            }
            if let result = service() { return result }
            if let (occurrence, verdict) = owed {
                owed = nil
                handle(occurrence, verdict)
                continue
            }
            guard turns.begin() else { return .deadline }
            enterGuest()
            // Whoever hears of the entry may want the run to end before the guest goes on.
            if guest.state.pointee.signals & Signal.stop != 0 { continue }
            switch machine.run() {
            case .ringZero:
                let occurrence = leaveGuest()
                handle(occurrence, report(occurrence))
            case .deadline, .stopped:
                takeState()
            case .halted, .shutdown, .signal:
                takeState()
                end("its processor cannot go on")
            }
        }
    }

    /// What is due between two instructions of the guest's.
    private func service() -> RunResult? {
        let s = guest.state
        while true {
            if s.pointee.signals & Signal.stop != 0 {
                guest.withdraw(Signal.stop)
                return .stopped
            }
            if s.pointee.activity == .shutdown { return .shutdown }
            if s.pointee.signals & (Signal.initialize | Signal.startup) != 0 {
                end("INIT, which the interface does not know")
                continue
            }
            // Nothing that the interface knows raises it.
            guest.withdraw(Signal.nmi)
            if tablesAreChanged, !validateAgain() {
                end("its page or descriptor tables were changed from outside and are not valid any more")
                continue
            }
            if s.pointee.time >= state.timer {
                setTimer(.max)
                raise(.timer)
                continue
            }
            if guest.isAtMachineDeadline { return .deadline }
            if s.pointee.signals & Signal.interrupt != 0 {
                takeInterrupt()
                continue
            }
            // What has left the guest comes before what is due behind it.
            if owed != nil { return nil }
            if let port = pendingPort {
                if presence.isInside { leave(.interruption, .interrupt) }
                if deliverEvent(port) { continue }
                guest.withdraw(Signal.stop)
                return .stopped
            }
            guard state.isBlocked else {
                s.pointee.activity = .active
                return nil
            }
            if presence.isInside { leave(.interruption, .interrupt) }
            s.pointee.activity = .halted
            return .halted
        }
    }

    // MARK: Knowledge

    package var knowledge: [UInt64] { state.words(pinned: paging.pinned) }

    package func stateReplaced(knowledge: [UInt64]) {
        forgetProgress()
        endReason = nil
        guard let (known, pinned) = ParavirtualState.read(knowledge) else {
            return end("its snapshot is not one of a paravirtual guest")
        }
        state = known
        machine.forgetReportedInstructions()
        setUpMachine()
        makePaging()
        if guest.state.pointee.activity != .shutdown, !validate(pinned) {
            end("its snapshot holds page tables that are not valid")
        }
        setTimer(known.timer)
    }

    private func forgetProgress() {
        owed = nil
        presence = GuestPresence()
        tablesAreChanged = false
        knownRoot = .max
        // What the machine's processor has under way and has reported is of another time.
        machine.restore(machine.snapshot())
    }

    /// Finds out all types and uses again, from what is in use.
    private func validateAgain() -> Bool {
        tablesAreChanged = false
        return validate(paging.pinned)
    }

    private func validate(_ pinned: [(physical: UInt64, level: Int)]) -> Bool {
        paging.removeAll()
        machine.flushTLB()
        do throws(DirectPaging.Failure) {
            try paging.takeRoot(state.kernelRoot)
            if let root = state.userRoot { try paging.takeRoot(root) }
            for (physical, level) in pinned { try paging.pin(physical, level: level) }
            if let page = state.sharedPage { try paging.takeData(page) }
            for page in 0..<state.descriptorPages { try paging.takeDescriptors(state.descriptorTable &+ page << 12) }
            mapDescriptorTable()
            return true
        } catch {
            return false
        }
    }

    package func leave() {
        paging.removeAll()
        guest.memory.tracer = nil
        memory.machine.tracer = nil
    }

    /// Ends the guest; what a triple fault is to a machine.
    func end(_ reason: String, _ faults: [Fault] = []) {
        guest.shutDown(faults)
        endReason = reason
    }

    // MARK: World switch

    private func enterGuest() {
        loadMachine()
        guard presence.enter(level: guest.state.pointee.cpl, &statistics), observer != nil else { return }
        _ = report(.entry, machine.privilegePoint(at: machine.state.pointee.rip))
    }

    /// Gives the machine's processor the guest's state, whatever the host has made of that.
    private func loadMachine() {
        let (virtual, physical) = (guest.state, machine.state)
        machine.takeUnprivilegedState(from: guest)
        physical.pointee.rip = virtual.pointee.rip
        let ring = ring
        physical.pointee.cpl = ring
        physical.pointee.cs = code(virtual.pointee.cs)
        physical.pointee.ss = stack(virtual.pointee.ss)
        physical.pointee.es = data(virtual.pointee.es)
        physical.pointee.ds = data(virtual.pointee.ds)
        physical.pointee.fs = data(virtual.pointee.fs)
        physical.pointee.gs = data(virtual.pointee.gs)
        machine.systemFlags = machine.systemFlags & Self.guestFlags | RFLAGS.fixed | RFLAGS.IF
        physical.pointee.tscOffset = virtual.pointee.tscOffset
        physical.pointee.tscAux = virtual.pointee.tscAux
        physical.pointee.pendingDebug = virtual.pointee.pendingDebug
        physical.pointee.interruptShadow = virtual.pointee.interruptShadow
        physical.pointee.activity = .active
        // SYSCALL is there for user code of kernels that have asked for it.
        let hasSystemCall = state.systemCallHandler != 0 && !state.isKernel
        physical.pointee.efer = physical.pointee.efer & ~EFER.SCE | (hasSystemCall ? EFER.SCE : 0)
        physical.pointee.cr3 = root
        if knownRoot != root {
            knownRoot = root
            machine.flushTLB()
        }
        machine.watched = guest.watched.intersection([.memory])
        if machine.watchedMemory != guest.watchedMemory { machine.watchedMemory = guest.watchedMemory }
        machine.updateMode()
        machine.setDeadline(virtual.pointee.deadline)
    }

    /// The flags of the guest's that have a meaning for code of its.
    private static let guestFlags = RFLAGS.TF | RFLAGS.DF | RFLAGS.AC | RFLAGS.ID | RFLAGS.RF

    /// A code segment as the machine may run it now.
    private func code(_ segment: SegmentState) -> SegmentState {
        let isAllowed =
            segment.isPresent && !segment.isUnusable && segment.isCode && !segment.isConforming
            && segment.descriptorPrivilegeLevel == ring && (!segment.isLong || state.isWide && ring == 3)
        guard !isAllowed else { return segment }
        return FlatSelector.segment(
            state.isWide
                ? FlatSelector.userCode64
                : state.isKernel
                    ? FlatSelector.kernelCode : FlatSelector.userCode32)
    }

    private func stack(_ segment: SegmentState) -> SegmentState {
        let isAllowed =
            segment.isPresent && !segment.isUnusable && segment.isCodeOrData && !segment.isCode
            && segment.isWritableOrReadable && segment.descriptorPrivilegeLevel == ring
        return isAllowed
            ? segment : FlatSelector.segment(ring == 1 ? FlatSelector.kernelData : FlatSelector.userData)
    }

    private func data(_ segment: SegmentState) -> SegmentState {
        let isAllowed =
            segment.isPresent && !segment.isUnusable && segment.isCodeOrData
            && segment.descriptorPrivilegeLevel >= ring
        if isAllowed { return segment }
        var null = SegmentState(null: Selector(segment.isUnusable ? segment.selector & 3 : 0))
        null.base = state.isWide ? segment.base : 0
        return null
    }

    /// The top-level table in force.
    var root: UInt64 { state.isKernel ? state.kernelRoot : state.userRoot ?? state.kernelRoot }

    /// Takes the guest's state back from the machine's processor.
    private func takeState() {
        let (virtual, physical) = (guest.state, machine.state)
        guest.takeUnprivilegedState(from: machine)
        virtual.pointee.rip = physical.pointee.rip
        virtual.pointee.cs = physical.pointee.cs
        virtual.pointee.ss = physical.pointee.ss
        virtual.pointee.es = physical.pointee.es
        virtual.pointee.ds = physical.pointee.ds
        virtual.pointee.fs = physical.pointee.fs
        virtual.pointee.gs = physical.pointee.gs
        virtual.pointee.pendingDebug = physical.pointee.pendingDebug
        virtual.pointee.interruptShadow = physical.pointee.interruptShadow
        showState()
    }

    /// Gives the guest's processor what the guest believes of itself.
    func showState() {
        let s = guest.state
        s.pointee.cpl = state.isKernel ? 0 : 3
        s.pointee.cr3 = root
        guest.updateMode()
    }

    /// Reads the frame that the entry to ring 0 has left, sets the machine's registers back to before it, and takes the
    /// guest's state back.
    private func leaveGuest() -> Occurrence {
        let physical = machine.state
        entryPoint = observer == nil ? nil : machine.privilegePoint(at: physical.pointee.rip)
        let before = (cs: code(guest.state.pointee.cs), ss: stack(guest.state.pointee.ss))
        if physical.pointee.rip == base &+ MonitorLayout.systemCallEntry {
            // SYSCALL leaves RIP and RFLAGS in registers; it changes no stack pointer.
            statistics.systemCalls &+= 1
            physical.pointee.rip = physical.pointee.rcx &- 2
            machine.systemFlags = physical.pointee.r11 & ~RFLAGS.status
            machine.setStatusFlags(physical.pointee.r11)
            physical.pointee.time &-= 1
            (physical.pointee.cs, physical.pointee.ss) = before
            return settleExit(.systemCall)
        }
        let vector = UInt8(truncatingIfNeeded: (physical.pointee.rip &- base &- MonitorLayout.entries) >> 3)
        statistics.countExit(UInt64(vector))
        var frame = memory.physical(MonitorLayout.virtualState) + (physical.pointee.rsp & 0xFFF)
        var fault = Fault(vector: vector)
        if Self.vectorsWithErrorCode.contains(vector) {
            fault.errorCode = UInt32(truncatingIfNeeded: memory.machine.quadword(at: frame))
            frame += 8
        }
        if vector == 14 { fault.address = physical.pointee.cr2 }
        if vector == 1 { fault.debugStatus = physical.pointee.dr6 }
        func word(_ index: UInt64) -> UInt64 { memory.machine.quadword(at: frame + index * 8) }
        physical.pointee.rip = word(0)
        machine.systemFlags = word(2) & ~(RFLAGS.status | RFLAGS.RF)
        machine.setStatusFlags(word(2))
        physical.pointee.rsp = word(3)
        // Code may have gone to another segment by itself.
        let (cs, ss) = (UInt16(truncatingIfNeeded: word(1)), UInt16(truncatingIfNeeded: word(4)))
        physical.pointee.cs = cs == before.cs.selector ? before.cs : segment(cs) ?? before.cs
        physical.pointee.ss = ss == before.ss.selector ? before.ss : segment(ss) ?? before.ss
        if vector == interface.vector && fault.errorCode == nil {
            physical.pointee.rip &-= 2
            physical.pointee.time &-= 1
            return settleExit(
                state.isKernel
                    ? .call(length: 2) : .exception(.generalProtection(UInt32(vector) << 3 | 2), length: 0))
        }
        return settleExit(nil, fault)
    }

    private static let vectorsWithErrorCode: Set<UInt8> = [8, 10, 11, 12, 13, 14, 17, 21]

    /// The machine's processor stands again where it was in the guest.
    private func settleExit(_ known: Occurrence?, _ fault: Fault = Fault(vector: 0)) -> Occurrence {
        machine.state.pointee.cpl = ring
        machine.state.pointee.cs = code(machine.state.pointee.cs)
        machine.state.pointee.ss = stack(machine.state.pointee.ss)
        machine.updateMode()
        let occurrence = known ?? classify(fault)
        takeState()
        return occurrence
    }

    // MARK: Crossings

    /// Counts and tells that the guest was left; what the observer has decided.
    @discardableResult
    func leave(_ cause: MonitorCause, _ reason: ExitReason) -> EventVerdict {
        presence.leave(cause, reason, level: guest.state.pointee.cpl, &statistics)
        guard observer != nil else { return .proceed }
        var physical = guest.privilegePoint(at: guest.state.pointee.rip)
        physical.cpl = ring
        return report(.exit, physical)
    }

    /// Notes what a call has come to, for the entry behind it.
    func callIsDone(_ call: Hypercall) { presence.cause = .hypercall(call) }

    private func report(_ direction: MonitorCrossing.Direction, _ physical: PrivilegePoint) -> EventVerdict {
        observer?.crossed(
            MonitorCrossing(
                technique: technique, direction: direction, cause: presence.cause, reason: presence.reason,
                guest: guest.privilegePoint(at: guest.state.pointee.rip), physical: physical, monitor: entryPoint,
                time: guest.state.pointee.time)) ?? .proceed
    }

    // MARK: Watching

    /// Shows an event that the machine's processor met to the guest's watchers.
    fileprivate func intercept(_ event: ProcessorEvent) -> EventVerdict {
        takeState()
        let verdict = guest.environment.intercept(event)
        machine.takeUnprivilegedState(from: guest)
        machine.systemFlags = machine.systemFlags & Self.guestFlags | RFLAGS.fixed | RFLAGS.IF
        machine.state.pointee.rip = guest.state.pointee.rip
        machine.updateMode()
        // The guest is entered anew with what is watched now.
        let isWatchedOtherwise =
            machine.watchedMemory != guest.watchedMemory || machine.watchedInstructions != guest.watchedInstructions
        if isWatchedOtherwise || guest.state.pointee.signals & Signal.stop != 0 { machine.raise(Signal.stop) }
        return verdict
    }
}

extension ParavirtualMonitor: MemoryTracer {
    package func memoryChanged(page: Int, offset: Int, count: Int, byWalk: Bool) {
        if !byWalk && !paging.isWriting { tablesAreChanged = true }
    }
}

/// The machine as the guest's code finds it.
private final class ParavirtualEnvironment: DetachedEnvironment {
    weak var monitor: ParavirtualMonitor?
    override func intercept(_ event: ProcessorEvent) -> EventVerdict { monitor?.intercept(event) ?? .proceed }
}
