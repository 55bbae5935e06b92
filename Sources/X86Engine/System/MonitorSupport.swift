import X86

// What a monitor written in Swift needs of the processors it works with: the machine's, on which the guest runs
// deprivileged, and the guest's, whose state is what the guest believes and whose interpreter emulates for it.

extension Processor {
    /// True if ring 0 belongs to a monitor in Swift: `run` comes back with `.ringZero` as soon as the processor has
    /// entered it by an interrupt, exception or system call, and such entries take no guest time.
    package var ringZeroIsMonitors: Bool {
        get { control.pointee.ringZeroIsMonitors }
        set { control.pointee.ringZeroIsMonitors = newValue }
    }

    /// Does what is due between two instructions, or else interprets one instruction.
    ///
    /// The result is nil if the machine is not needed.
    package func interpretOne() -> RunResult? {
        let s = state
        restorePatch()
        control.pointee.link = nil
        s.pointee.limit = s.pointee.deadline
        if control.pointee.hasFault {
            control.pointee.hasFault = false
            deliver(control.pointee.pendingFault)
            return nil
        }
        if needsService { return serviceBoundary() }
        if s.pointee.time >= s.pointee.deadline {
            if s.pointee.time >= control.pointee.machineDeadline { return .deadline }
            s.pointee.signals |= Signal.virtualization
            return nil
        }
        interpretWatched()
        return nil
    }

    /// Reports the instruction at `state.rip` if its address is watched and it was not reported yet; true if it was, and
    /// everything is to be looked at anew.
    package func reportWatchedInstruction() -> Bool {
        control.pointee.watchedInstructions.watchesAddresses && reportWatchedAddress()
    }

    /// The instruction that was interpreted last.
    package var interpretedInstruction: Instruction? {
        get { control.pointee.interpretedInstruction }
        set { control.pointee.interpretedInstruction = newValue }
    }

    /// Whether `interpretOne` would do something of the guest's: not if the machine is needed first.
    package var hasWorkAtBoundary: Bool {
        let s = state
        guard s.pointee.signals & (Signal.stop | Signal.initialize | Signal.startup) == 0,
            s.pointee.time < control.pointee.machineDeadline
        else { return false }
        if s.pointee.activity == .active { return true }
        return s.pointee.signals & Signal.nmi != 0 || s.pointee.signals & Signal.interrupt != 0 && s.pointee.IF
    }

    /// Does what a watcher has decided about the instruction at `state.rip`; false if it is to be executed.
    package func settle(_ verdict: EventVerdict) -> Bool {
        switch verdict {
        case .proceed: return false
        case .skip: _ = skipInstruction()
        case .reply(let value):
            state.pointee.rax = value
            _ = skipInstruction()
        case .inject(let fault): deliver(fault)
        }
        return true
    }

    /// Whether what is watched has changed since the last call.
    package func takeWatchChange() -> Bool {
        defer { control.pointee.blocksAreStale = false }
        return control.pointee.blocksAreStale
    }

    /// Whether anything but the next instruction is due.
    package var hasSomethingDue: Bool { needsService || state.pointee.time >= state.pointee.deadline }

    /// Whether instructions must be looked at one by one: single step, code breakpoints, RF, data breakpoints.
    package var isDebugging: Bool { mustSingleStep || state.pointee.dr7 & 0xFF != 0 }

    /// Translates as an access by the current privilege level does, and reports the entries read, outermost first, as
    /// they were before accessed and dirty flags were set.
    package func walk(
        _ linear: UInt64, _ kind: AccessKind, _ privilege: AccessPrivilege = .current, touch: Bool,
        steps: inout [WalkStep]
    ) throws(Fault) -> UInt64 {
        try translate(linear, kind, privilege, touch: touch, steps: &steps).physical
    }

    /// Whether an access would be allowed; changes nothing.
    package func allows(_ linear: UInt64, _ kind: AccessKind) -> Bool {
        do throws(Fault) {
            _ = try translate(linear, kind, .current, touch: false)
            return true
        } catch {
            return false
        }
    }

    /// The instruction at `state.rip`, without changing anything but accessed flags and CR2.
    package func instructionAtRIP() throws(Fault) -> Instruction { try fetchInstruction() }

    /// Copies everything that unprivileged instructions read and write, and the time, from another processor.
    package func takeUnprivilegedState(from other: Processor) {
        let (to, from) = (state, other.state)
        registers.update(from: other.registers, count: 16)
        to.pointee.flagResult = from.pointee.flagResult
        to.pointee.flagAuxiliary = from.pointee.flagAuxiliary
        to.pointee.systemFlags = from.pointee.systemFlags
        to.pointee.x87 = from.pointee.x87
        to.pointee.sse = from.pointee.sse
        to.pointee.time = from.pointee.time
        to.pointee.random = from.pointee.random
        to.pointee.fs.base = from.pointee.fs.base
        to.pointee.gs.base = from.pointee.gs.base
    }

    /// The count of guest time at which a timer of the monitor's is due; all ones for none.
    package var monitorTimer: UInt64 {
        get { state.pointee.virtualization.timerDeadline }
        set {
            state.pointee.virtualization.timerDeadline = newValue
            setDeadline(control.pointee.machineDeadline)
        }
    }

    /// Whether the machine wants to be asked now.
    package var isAtMachineDeadline: Bool { state.pointee.time >= control.pointee.machineDeadline }

    /// Counts and reports a change of level that a monitor has made for the guest, which goes on at `state.rip`.
    package func levelChanged(
        from before: PrivilegePoint, _ cause: TransitionCause, address: UInt64? = nil, switchedStack: Bool
    ) {
        guard before.cpl != cpl else { return }
        control.pointee.transitions.count(before.cpl, cpl, cause.kind)
        guard watched.contains(.transition) else { return }
        _ = environment.intercept(
            .transition(
                TransitionRecord(
                    cause: cause, gate: nil, before: before, after: privilegePoint(at: state.pointee.rip),
                    address: address, switchedStack: switchedStack)))
    }

    /// Ends the guest because of faults that cannot be delivered, first cause first.
    package func shutDown(_ faults: [Fault]) {
        control.pointee.faultChain = faults.map {
            FaultRecord(fault: $0, cs: state.pointee.cs.selector, rip: state.pointee.rip, cpl: cpl)
        }
        state.pointee.activity = .shutdown
    }

    /// RFLAGS without the six status flags.
    package var systemFlags: UInt64 {
        get { state.pointee.systemFlags }
        set { state.pointee.systemFlags = newValue }
    }

    /// Whether the instruction at `state.rip` lies in a monitor's code and is none of the guest's.
    func isHiddenInstruction() throws(Fault) -> Bool {
        let s = state
        let linear = s.pointee.mode.code == 64 ? s.pointee.rip : (s.pointee.cs.base &+ s.pointee.rip) & 0xFFFF_FFFF
        guard let page = memory.pageIndex(try translateForFetch(linear)) else { return false }
        return memory.isHidden(page: page, offset: Int(linear & 0xFFF))
    }
}

extension PhysicalMemory {
    /// The physical address of the n-th page of RAM.
    package func address(ofPage page: Int) -> UInt64 { physicalAddress(ofPage: page) }

    /// The number of the page of RAM at a physical address, nil where there is none.
    package func ramPage(at physical: UInt64) -> Int? { pageIndex(physical) }

    /// Reads an aligned quadword of RAM; 0 where there is none.
    package func quadword(at physical: UInt64) -> UInt64 {
        guard let page = pageIndex(physical & ~7) else { return 0 }
        // SAFETY: an aligned quadword lies inside its page.
        return (pointer(toPage: page) + Int(physical & 0xFF8)).load(as: UInt64.self)
    }

    /// Writes an aligned quadword of RAM and drops what was derived from it.
    package func setQuadword(_ value: UInt64, at physical: UInt64) {
        guard let page = pageIndex(physical & ~7) else { return }
        withUnsafeBytes(of: value.littleEndian) { write(page: page, offset: Int(physical & 0xFF8), bytes: $0) }
    }

    /// Zeroes a page of RAM.
    package func clear(page: Int) {
        guard page >= 0, page < pageCount else { return }
        for offset in stride(from: 0, to: 4096, by: 8) {
            // Only what is there: untouched pages stay untouched.
            let physical = physicalAddress(ofPage: page) &+ UInt64(offset)
            if quadword(at: physical) != 0 { setQuadword(0, at: physical) }
        }
    }

    /// The bytes of a page of RAM from an offset on, as far as the page goes.
    package func bytes(page: Int, offset: Int) -> UnsafeRawBufferPointer {
        guard page >= 0, page < pageCount, offset >= 0, offset < 4096 else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        // SAFETY: the range lies inside the page.
        return UnsafeRawBufferPointer(start: pointer(toPage: page) + offset, count: 4096 - offset)
    }
}

extension Processor {
    /// Sets the six status flags from a value of RFLAGS.
    package func setStatusFlags(_ value: UInt64) { state.pointee.statusFlags = value & RFLAGS.status }

    /// Whether the next thing to do is an instruction.
    package var activeAndUninterrupted: Bool { state.pointee.activity == .active && state.pointee.signals == 0 }
}
