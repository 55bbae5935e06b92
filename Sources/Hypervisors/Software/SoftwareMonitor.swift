import X86
import X86Engine

/// The monitor of a guest that runs deprivileged, without help of the processor's.
///
/// There are two processors. The *machine's* executes: at CPL 1 what the guest believes to run at ring 0, at 1, 2 and 3
/// what it runs there; through shadow page tables; with the monitor's descriptor tables, so that every exception,
/// interrupt and system call enters ring 0, which is the monitor's. The *guest's* processor holds what the guest
/// believes: control registers, tables, flags, its own page tables. The monitor interprets single instructions on it
/// (an emulator is part of every monitor) and delivers events there by the guest's own tables.
///
/// Guest time counts what the guest sees. Hidden page faults, entries to the monitor and the expansion of translated
/// code add nothing; so a guest does the same at the same counts as on the bare machine.
package final class SoftwareMonitor: GuestMonitor {
    package let technique: Technique
    /// What the guest believes its processor to be.
    package let guest: Processor
    /// The processor that executes.
    package let machine: Processor
    let memory: MonitorMemory
    let shadow: ShadowPaging
    private(set) var translator: Translator?
    private let environment = MonitorEnvironment()
    /// The linear address of the monitor's region in the address space that the machine runs in.
    private(set) var base: UInt64 = 0
    package private(set) var statistics = MonitorStatistics()
    package var observer: (any MonitorObserver)?
    private var presence = GuestPresence()
    /// Where the processor entered the monitor last.
    private var entryPoint: PrivilegePoint?
    /// What the observer has decided about the last exit.
    private var verdict = EventVerdict.proceed
    /// A run has ended at an exit, before its instruction was interpreted.
    private var owesInstruction = false
    private var knownResets: UInt64 = .max
    private var knownRoot: UInt64 = .max
    /// True while something is watched that only the interpreter meets.
    private var interpretsAll = false

    /// The bytes that a monitor takes of the machine's memory, behind the guest's.
    package static var memorySize: UInt64 { MonitorLayout.size }

    /// Where in that the virtual-state page lies, the only one that the guest can write.
    package static var virtualStateOffset: UInt64 { MonitorLayout.virtualState }

    /// Makes a monitor for a guest processor, whose memory is a window of `machineMemory`.
    package init(
        technique: Technique, guest: Processor, machineMemory: PhysicalMemory, tlbEntries: Int, usesBlocks: Bool
    ) {
        self.technique = technique
        self.guest = guest
        memory = MonitorMemory(machine: machineMemory, guestPages: Int(guest.memory.size >> 12))
        var model = guest.model
        // The monitor itself needs a 64-bit machine; CPUID shows the guest its own model.
        model.features = model.features.union([.longMode, .nx, .pae, .syscall, .umip])
        machine = Processor(
            model: model, memory: machineMemory, environment: environment, tlbEntries: tlbEntries,
            blockCacheEnabled: usesBlocks)
        shadow = ShadowPaging(memory: memory, guest: guest, placement: Self.placements[0])
        if technique == .translate {
            translator = Translator(memory: memory, guest: guest, shadow: shadow)
        }
        shadow.codeMappingChanged = { [weak self] in self?.translator?.expire() }
        guest.memory.tracer = self
        machineMemory.tracer = self
        environment.machine = machine
        setUpMachine()
        place(Self.placements[0])
        watchesChanged()
    }

    /// Where the region can be, in order of preference.
    private static let placements: [ShadowPaging.Placement] = [
        .init(slot: 0x180, window: 0xE000_0000), .init(slot: 0x181, window: 0xD000_0000),
        .init(slot: 0x1A5, window: 0xC800_0000), .init(slot: 0x120, window: 0xF000_0000),
        .init(slot: 0x07F, window: 0x7000_0000), .init(slot: 0x0FE, window: 0xA800_0000),
        .init(slot: 0x1FD, window: 0x5800_0000), .init(slot: 0x033, window: 0x3000_0000),
    ]

    private static func base(of placement: ShadowPaging.Placement) -> UInt64 {
        UInt64(bitPattern: Int64(bitPattern: UInt64(placement.slot) << 55) >> 16)
    }

    /// Whether the region can be at a linear address: a kernel that reads there, where it has mapped nothing, finds the
    /// monitor's memory instead of a page fault.
    package static func canHoldRegion(_ address: UInt64) -> Bool {
        placements.contains { place in
            [base(of: place), place.window].contains { address &- $0 < MonitorLayout.regionSize }
        }
    }

    private func setUpMachine() {
        let s = machine.state
        s.pointee.cr0 = CR0.PE | CR0.PG | CR0.WP | CR0.NE | CR0.ET
        s.pointee.efer = EFER.LME | EFER.LMA | EFER.NXE
        s.pointee.msr.miscFeatures = 1
        s.pointee.star = UInt64(MonitorLayout.codeSelector) << 32
        s.pointee.fmask = RFLAGS.IF | RFLAGS.TF | RFLAGS.DF | RFLAGS.AC | RFLAGS.NT
        machine.ringZeroIsMonitors = true
    }

    /// Puts the region at a place.
    private func place(_ placement: ShadowPaging.Placement) {
        shadow.placement = placement
        base = Self.base(of: placement)
        memory.writeTables(base: base)
        let s = machine.state
        s.pointee.gdtr = DescriptorTableRegister(base: base &+ MonitorLayout.gdt, limit: 0x27)
        s.pointee.idtr = DescriptorTableRegister(base: base &+ MonitorLayout.idt, limit: 0xFFF)
        s.pointee.tr = SegmentState(
            selector: MonitorLayout.taskSelector, base: base &+ MonitorLayout.taskState, limit: 0x67, attributes: 0x8B)
        s.pointee.ldtr = SegmentState(selector: 0, base: 0, limit: 0, attributes: SegmentState.unusable)
        s.pointee.lstar = base &+ MonitorLayout.systemCallEntry
        s.pointee.cstar = base &+ MonitorLayout.systemCallEntry
        translator?.place(base: base, window: placement.window)
        knownResets = .max
    }

    /// Moves the region out of the way if the guest maps something where it is; false if it is in the way everywhere.
    @discardableResult
    private func makeRoom() -> Bool {
        guard regionIsTaken(shadow.placement) else { return true }
        guard let other = Self.placements.first(where: { !regionIsTaken($0) }) else { return false }
        statistics.moves &+= 1
        place(other)
        return true
    }

    private func regionIsTaken(_ placement: ShadowPaging.Placement) -> Bool {
        let s = guest.state.pointee
        guard s.cr0 & CR0.PG != 0 else { return false }
        if s.efer & EFER.LMA != 0 {
            let entry = (s.cr3 & 0x000F_FFFF_FFFF_F000) &+ UInt64(placement.slot) &* 8
            return guest.memory.quadword(at: entry) & PageEntry.P != 0
        }
        for offset in stride(from: UInt64(0), to: MonitorLayout.regionSize, by: 0x20_0000) {
            var steps: [WalkStep] = []
            _ = try? guest.walk(placement.window &+ offset, .read, touch: false, steps: &steps)
            // A page directory entry that is present leads to a page table or is a large page.
            if let entry = steps.first(where: { $0.level == 2 })?.entry, entry & PageEntry.P != 0 { return true }
        }
        return false
    }

    package var translatorStatistics: TranslatorStatistics? {
        guard let translator else { return nil }
        var statistics = translator.statistics
        statistics.flushes = translator.cache.flushes
        statistics.cacheBytes = UInt64(translator.cache.used)
        return statistics
    }

    package func translation(at rip: UInt64) -> CachedTranslation? { translator?.cachedTranslation(at: rip) }

    /// What the parts have done, in words.
    package var report: String {
        var text = "hidden fills \(shadow.hiddenFills), traced writes \(shadow.tracedWrites), resets \(shadow.resets)"
        if let translator {
            let s = translator.statistics
            text += "; blocks \(s.blocks), instructions \(s.instructions), links \(s.links), look-ups \(s.lookUps), "
            text += "call-outs \(s.callOuts), invalidations \(s.invalidations), flushes \(translator.cache.flushes), "
            text += "cache \(translator.cache.used) bytes"
        }
        return text
    }

    // MARK: The run loop

    /// Runs the guest until the machine around it is needed, as `Processor.run` does.
    package func run() -> RunResult {
        var turns = RunTurns()
        while true {
            if guest.takeWatchChange() { watchesChanged() }
            guard turns.begin() || owesInstruction else { return .deadline }
            if owesInstruction || guest.hasSomethingDue || !canRunDirectly {
                if presence.isInside, guest.hasWorkAtBoundary {
                    leave(.interruption, guest.hasSomethingDue ? .interrupt : .emulation, at: guest.state.pointee.rip)
                }
                if guest.activeAndUninterrupted { statistics.interpreted &+= 1 }
                let result = guest.interpretOne()
                explainExit()
                if let result { return result }
                owesInstruction = false
                continue
            }
            guard enterGuest() else {
                if presence.isInside { leave(.interruption, .emulation, at: guest.state.pointee.rip) }
                statistics.interpreted &+= 1
                if let result = guest.interpretOne() { return result }
                continue
            }
            // Whoever hears of the entry may want the run to end before the guest goes on.
            if guest.state.pointee.signals & Signal.stop != 0 { continue }
            let result = machine.run()
            switch leaveGuest(result) {
            case .retry: break
            case .emulate:
                statistics.emulated &+= 1
                if let result = emulate() { return result }
            }
        }
    }

    /// Does the instruction that left the guest.
    private func emulate() -> RunResult? {
        if guest.state.pointee.signals & Signal.stop != 0 && !presence.isInside {
            explainLastExit()
            owesInstruction = true
            return nil
        }
        guest.interpretedInstruction = nil
        if guest.settle(verdict) { return nil }
        let result = guest.interpretOne()
        explainExit()
        return result
    }

    /// Counts an exit by the instruction that has been interpreted for it.
    private func explainExit() { if presence.unexplained != nil { explainExit(by: guest.interpretedInstruction) } }

    private func explainExit(by instruction: Instruction?) {
        presence.explain(reason(presence.cause, instruction), &statistics)
        observer?.explained(presence.reason)
    }

    package func explainLastExit() {
        // The guest still stands at the instruction, or is about to do it.
        if presence.unexplained != nil {
            explainExit(by: guest.interpretedInstruction ?? (try? guest.instructionAtRIP()))
        }
    }

    package func leave() {
        shadow.reset()
        for page in Array(shadow.codePages) { shadow.untraceCode(page: page) }
        guest.memory.tracer = nil
        memory.machine.tracer = nil
        memory.machine.releaseHiddenInstructions()
    }

    /// Forgets what was derived from memory, after all of it may have been replaced.
    package var kernelRing: UInt8 { 1 }

    package func stateReplaced(knowledge: [UInt64]) {
        shadow.reset()
        owesInstruction = false
        presence = GuestPresence()
        machine.forgetReportedInstructions()
    }

    /// Takes over what is watched: single addresses are met by the machine's processor and by call-outs; for everything
    /// else, instructions are interpreted.
    private func watchesChanged() {
        var watch = guest.watchedInstructions
        interpretsAll = !watch.patterns.isEmpty || !watch.ranges.isEmpty
        watch.patterns = []
        watch.ranges = []
        machine.watchedInstructions = watch
        translator?.watchedAddresses = watch.addresses
    }

    /// Whether the machine's processor can execute for the guest's in its present mode.
    ///
    /// Real, virtual-8086 and 16-bit code, single steps, breakpoints and levels with I/O privilege are interpreted.
    private var canRunDirectly: Bool {
        let s = guest.state
        guard s.pointee.cr0 & CR0.PE != 0, s.pointee.systemFlags & RFLAGS.VM == 0, !guest.isDebugging, !interpretsAll,
            guest.watchedMemory.isEmpty, !s.pointee.virtualization.isGuest
        else {
            return false
        }
        let isLong = s.pointee.efer & EFER.LMA != 0
        guard isLong && s.pointee.cs.isLong || s.pointee.cs.isDefault32 else { return false }
        if s.pointee.cpl == 0 { return technique == .translate ? isTranslatable(s) : true }
        return UInt64(s.pointee.cpl) > (s.pointee.systemFlags & RFLAGS.IOPL) >> 12
    }

    /// Translated 32-bit code needs flat segments to reach its virtual-state page.
    private func isTranslatable(_ s: UnsafeMutablePointer<ProcessorState>) -> Bool {
        if s.pointee.efer & EFER.LMA != 0 && s.pointee.cs.isLong { return true }
        func isFlat(_ segment: SegmentState) -> Bool {
            !segment.isUnusable && segment.base == 0 && segment.limit == 0xFFFF_FFFF && !segment.isExpandDown
        }
        return isFlat(s.pointee.cs) && isFlat(s.pointee.ss) && isFlat(s.pointee.ds) && s.pointee.ss.isDefault32
            && s.pointee.ds.isWritableOrReadable
            && !s.pointee.ds.isCode
    }

    private enum Next { case retry, emulate }

    // MARK: World switch

    /// Gives the machine's processor the guest's state; false if the next instruction must be interpreted.
    private func enterGuest() -> Bool {
        let virtual = guest.state
        let level = virtual.pointee.cpl
        if shadow.root() != knownRoot || shadow.resets != knownResets {
            guard makeRoom() else { return false }
        }
        var rip = virtual.pointee.rip
        if level == 0, let translator {
            guard let place = translator.place(of: rip) else { return false }
            rip = place
            memory.write(.interruptFlag, virtual.pointee.systemFlags & RFLAGS.IF)
            memory.write(.privilege, virtual.pointee.systemFlags & RFLAGS.IOPL)
            let waiting = virtual.pointee.signals & Signal.interrupt != 0 ? RFLAGS.IF : 0
            memory.write(.waitingInterrupt, waiting)
            memory.write(.monitoredFlags, RFLAGS.TF | RFLAGS.IOPL | RFLAGS.NT | waiting)
        }
        knownRoot = shadow.root()
        if shadow.resets != knownResets {
            knownResets = shadow.resets
            machine.flushTLB()
        }
        loadMachine(level: level, rip: rip, root: knownRoot)
        if presence.enter(level: level, &statistics), observer != nil {
            _ = report(.entry, physical: machine.privilegePoint(at: rip))
        }
        return true
    }

    private func loadMachine(level: UInt8, rip: UInt64, root: UInt64) {
        let virtual = guest.state
        let physical = machine.state
        machine.takeUnprivilegedState(from: guest)
        physical.pointee.rip = rip
        physical.pointee.es = virtual.pointee.es
        physical.pointee.ds = virtual.pointee.ds
        physical.pointee.fs = virtual.pointee.fs
        physical.pointee.gs = virtual.pointee.gs
        physical.pointee.cs = virtual.pointee.cs
        physical.pointee.ss = virtual.pointee.ss
        let ring = max(level, 1)
        if level == 0 {
            // Ring 0 as the guest sees it is ring 1 of the machine.
            physical.pointee.cs.selector |= 1
            physical.pointee.cs.attributes |= 1 << 5
            physical.pointee.ss.selector |= 1
            physical.pointee.ss.attributes |= 1 << 5
            if technique == .translate && !virtual.pointee.cs.isLong {
                physical.pointee.cs = SegmentState(
                    selector: virtual.pointee.cs.selector | 1, base: 0, limit: 0xFFFF_FFFF, attributes: 0xC0BB)
            }
            machine.systemFlags = machine.systemFlags & ~RFLAGS.IOPL | RFLAGS.IF
        }
        physical.pointee.cpl = ring
        let shared = CR0.TS | CR0.EM | CR0.MP | CR0.AM
        physical.pointee.cr0 = physical.pointee.cr0 & ~shared | virtual.pointee.cr0 & shared
        let kept = CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.OSXSAVE | CR4.FSGSBASE | CR4.SMEP | CR4.SMAP | CR4.TSD | CR4.PCE
        var control = virtual.pointee.cr4 & kept | CR4.PAE
        control |= technique == .translate ? CR4.UMIP : virtual.pointee.cr4 & CR4.UMIP
        physical.pointee.cr4 = control
        physical.pointee.efer = physical.pointee.efer & ~EFER.SCE | virtual.pointee.efer & EFER.SCE
        physical.pointee.xcr0 = virtual.pointee.xcr0
        physical.pointee.tscOffset = virtual.pointee.tscOffset
        physical.pointee.tscAux = virtual.pointee.tscAux
        physical.pointee.interruptShadow = 0
        physical.pointee.activity = .active
        if physical.pointee.cr3 != root {
            physical.pointee.cr3 = root
            machine.flushTLB()
        }
        machine.updateMode()
        machine.setDeadline(virtual.pointee.deadline)
    }

    /// Takes the guest's state back from the machine's processor, and decides what to do about why it stopped.
    private func leaveGuest(_ result: RunResult) -> Next {
        let virtual = guest.state
        let physical = machine.state
        var exit = MachineExit(rip: physical.pointee.rip)
        entryPoint = nil
        if result == .ringZero {
            if observer != nil { entryPoint = machine.privilegePoint(at: physical.pointee.rip) }
            exit = takeFrame()
        }
        // The flags that belong to the monitor in ring 1 are not the guest's.
        let level = virtual.pointee.cpl
        let owned = level == 0 ? RFLAGS.IF | RFLAGS.IOPL : 0
        let flags = guest.systemFlags & owned | machine.systemFlags & ~owned
        guest.takeUnprivilegedState(from: machine)
        guest.systemFlags = flags
        // Null selectors are loaded without a fault; everything else meets the monitor's descriptor table and comes here.
        virtual.pointee.es = physical.pointee.es
        virtual.pointee.ds = physical.pointee.ds
        virtual.pointee.fs = physical.pointee.fs
        virtual.pointee.gs = physical.pointee.gs
        virtual.pointee.rip = exit.rip
        virtual.pointee.interruptShadow = physical.pointee.interruptShadow
        physical.pointee.interruptShadow = 0
        if level == 0, let translator {
            guest.systemFlags =
                guest.systemFlags & ~(RFLAGS.IF | RFLAGS.IOPL) | memory.read(.interruptFlag) & RFLAGS.IF
                | memory.read(.privilege) & RFLAGS.IOPL
            if translator.recover(exit) == .resume {
                if result == .ringZero { leave(cause(of: exit), .branch, at: exit.rip) }
                return .retry
            }
            // What watches the instruction is asked before the guest is left for it, and may end the run there.
            if exit.vector == MonitorLayout.callOutVector, guest.reportWatchedInstruction() { return .retry }
        }
        verdict = .proceed
        guard result == .ringZero, let vector = exit.vector else {
            return result == .deadline ? .retry : .emulate
        }
        statistics.exits[Int(vector)] &+= 1
        let cause = cause(of: exit)
        leave(cause, vector == 14 ? .pageTable : cause == .systemCall ? .systemCall : nil, at: exit.rip)
        guard vector == 14, verdict == .proceed else { return .emulate }
        return handlePageFault(exit)
    }

    private func cause(of exit: MachineExit) -> MonitorCause {
        switch exit.vector {
        case nil: .interruption
        case MonitorLayout.callOutVector: .callOut
        case MonitorLayout.linkVector: .branch
        case 6 where exit.isSystemCall: .systemCall
        case let vector?:
            .exception(
                vector: vector, errorCode: Self.vectorsWithErrorCode.contains(vector) ? exit.errorCode : nil,
                address: vector == 14 ? exit.address : nil)
        }
    }

    /// The reason for an exit by an instruction, nil if it could not be fetched.
    private func reason(_ cause: MonitorCause, _ instruction: Instruction?) -> ExitReason {
        let reason = instruction.map(ExitReason.init) ?? .instruction
        if case .exception = cause, reason == .instruction { return .exception }
        return reason
    }

    // MARK: Crossings

    /// Counts and tells that the guest was left, at an address of the machine's; without a known reason that of the
    /// instruction at RIP.
    private func leave(_ cause: MonitorCause, _ known: ExitReason?, at rip: UInt64) {
        verdict = .proceed
        let level = guest.state.pointee.cpl
        let told = known ?? (observer?.needsReasons == true ? reason(cause, try? guest.instructionAtRIP()) : nil)
        presence.leave(cause, told, level: level, &statistics)
        if told == nil { guest.interpretedInstruction = nil }
        guard observer != nil else { return }
        var physical = machine.privilegePoint(at: rip)
        physical.cpl = max(level, 1)
        physical.cs = guest.state.pointee.cs.selector & ~3 | UInt16(physical.cpl)
        physical.ss = guest.state.pointee.ss.selector & ~3 | UInt16(physical.cpl)
        verdict = report(.exit, physical: physical)
    }

    private func report(_ direction: MonitorCrossing.Direction, physical: PrivilegePoint) -> EventVerdict {
        guard let observer else { return .proceed }
        let level = guest.state.pointee.cpl
        if observer.notices(direction, presence.reason, level: level, code: { presence.cause.code }) { return .proceed }
        var crossing = MonitorCrossing(
            technique: technique, direction: direction, cause: presence.cause, reason: presence.reason,
            guest: guest.privilegePoint(at: guest.state.pointee.rip), physical: physical, monitor: entryPoint,
            time: guest.state.pointee.time)
        crossing.isExplained = presence.unexplained == nil
        return observer.crossed(crossing)
    }

    /// Reads the frame that the entry to ring 0 has left, and sets the machine's registers back to before it.
    private func takeFrame() -> MachineExit {
        let physical = machine.state
        let entry = physical.pointee.rip &- base &- MonitorLayout.entries
        if physical.pointee.rip == base &+ MonitorLayout.systemCallEntry {
            // SYSCALL leaves RIP and RFLAGS in registers that it is about to write for the guest too.
            // It has counted as retired, and will again when it is done for the guest.
            statistics.systemCalls &+= 1
            physical.pointee.time &-= 1
            machine.systemFlags = physical.pointee.r11 & ~RFLAGS.status
            machine.setStatusFlags(physical.pointee.r11)
            // Outside long mode it leaves R11 alone (APM volume 3, SYSCALL).
            if guest.state.pointee.efer & EFER.LMA == 0 { physical.pointee.r11 = guest.state.pointee.r11 }
            var exit = MachineExit(rip: physical.pointee.rcx &- 2, vector: 6)
            exit.isSystemCall = true
            return exit
        }
        let vector = UInt8(truncatingIfNeeded: entry >> 3)
        let hasErrorCode = Self.vectorsWithErrorCode.contains(vector)
        var frame = memory.physical(MonitorLayout.virtualState) + (physical.pointee.rsp & 0xFFF)
        var exit = MachineExit(rip: 0, vector: vector)
        if hasErrorCode {
            exit.errorCode = UInt32(truncatingIfNeeded: memory.machine.quadword(at: frame))
            frame += 8
        }
        exit.rip = memory.machine.quadword(at: frame)
        let flags = memory.machine.quadword(at: frame + 16)
        physical.pointee.rsp = memory.machine.quadword(at: frame + 24)
        machine.systemFlags = flags & ~(RFLAGS.status | RFLAGS.RF)
        if vector == 14 { exit.address = physical.pointee.cr2 }
        switch vector {
        case 1 where physical.pointee.dr6 & DR6.BS != 0:
            // Code in ring 3 may set TF itself: the instruction behind that is done, and the trap is the guest's.
            physical.pointee.dr6 = DR6.fixed
            guest.state.pointee.pendingDebug |= DR6.BS
        case 1:
            // INT1 asks no gate for permission: it has counted as retired, and will again when it is done for the guest.
            exit.rip &-= 1
            physical.pointee.time &-= 1
        case MonitorLayout.callOutVector, MonitorLayout.linkVector: exit.rip &-= 2
        default: break
        }
        return exit
    }

    private static let vectorsWithErrorCode: Set<UInt8> = [8, 10, 11, 12, 13, 14, 17, 21]

    /// A page fault of the machine's: the guest's own, one that it must not see, or an access to be emulated.
    private func handlePageFault(_ exit: MachineExit) -> Next {
        let kind: AccessKind =
            exit.errorCode & PageFaultCode.ID != 0
            ? .execute : exit.errorCode & PageFaultCode.WR != 0 ? .write : .read
        do throws(Fault) {
            guard try shadow.fill(exit.address, kind) else {
                makeRoomIfInRegion(exit.address)
                return .emulate
            }
            statistics.hiddenPageFaults &+= 1
            // What the shadow cannot express (a supervisor's writes while CR0.WP is clear) is emulated.
            return machineAllows(exit.address, kind) ? .retry : .emulate
        } catch {
            // The guest's own: interpreting the instruction raises it by the guest's rules.
            statistics.truePageFaults &+= 1
            return .emulate
        }
    }

    private func makeRoomIfInRegion(_ address: UInt64) {
        if address >= base && address &- base < MonitorLayout.regionSize { makeRoom() }
    }

    /// Whether the shadow now allows the access at the level that the machine runs the guest at.
    private func machineAllows(_ address: UInt64, _ kind: AccessKind) -> Bool {
        machine.state.pointee.cpl = max(guest.state.pointee.cpl, 1)
        machine.systemFlags = guest.systemFlags
        if machine.state.pointee.cr3 != shadow.root() || shadow.resets != knownResets { return true }
        return machine.allows(address, kind)
    }
}

/// Why and where the machine's processor entered the monitor.
struct MachineExit {
    /// The instruction concerned, by the machine's addresses.
    var rip: UInt64
    /// Nil if it stopped at an instruction boundary.
    var vector: UInt8?
    var errorCode: UInt32 = 0
    /// CR2 of a page fault.
    var address: UInt64 = 0
    /// SYSCALL, which the monitor treats like an instruction that faults.
    var isSystemCall = false

    init(rip: UInt64, vector: UInt8? = nil) {
        self.rip = rip
        self.vector = vector
    }
}

extension SoftwareMonitor: MemoryTracer {
    package func memoryChanged(page: Int, offset: Int, count: Int, byWalk: Bool) {
        if !byWalk { shadow.tableChanged(page: page, offset: offset, count: count) }
        translator?.codeChanged(page: page, offset: offset, count: count)
    }
}

/// The machine as deprivileged code finds it.
final class MonitorEnvironment: DetachedEnvironment {
    weak var machine: Processor?

    /// Stops before a watched instruction; the guest's processor reports it.
    override func intercept(_ event: ProcessorEvent) -> EventVerdict {
        machine?.raise(Signal.stop)
        return .proceed
    }
}
