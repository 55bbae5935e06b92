import X86

/// Why `Processor.run` came back.
package enum RunResult: Equatable, Sendable {
    /// Guest time has reached the deadline: timers are due, or the run is over.
    case deadline
    /// The processor waits for an interrupt that is not there.
    case halted
    /// A triple fault (SDM vol. 3 section 6.15, interrupt 8).
    case shutdown
    /// `Signal.stop` was raised.
    case stopped
    /// INIT or SIPI is for the machine to handle.
    case signal
    /// Ring 0 was entered, which belongs to a monitor (`Processor.ringZeroIsMonitors`).
    case ringZero
}

extension Processor {
    /// Runs until something needs the machine: the dispatcher of blocks.
    package func run() -> RunResult {
        let s = state
        if s.pointee.virtualization.resumesAtNextRun != .none { resumeGuestOfMonitor() }
        while true {
            restorePatch()
            var link = control.pointee.link
            control.pointee.link = nil
            s.pointee.limit = s.pointee.deadline
            if control.pointee.hasFault {
                // What an instruction raised comes before the deadline; not so what its delivery raised.
                if s.pointee.time >= control.pointee.machineDeadline { return .deadline }
                control.pointee.hasFault = false
                deliver(control.pointee.pendingFault)
                continue
            }
            if s.pointee.cpl == 0 && control.pointee.ringZeroIsMonitors { return .ringZero }
            if control.pointee.blocksAreStale {
                control.pointee.blocksAreStale = false
                link = nil
                blocks.removeAll()
            }
            if needsService {
                if let result = serviceBoundary() { return result }
                continue
            }
            if s.pointee.time >= s.pointee.deadline {
                if s.pointee.time >= control.pointee.machineDeadline { return .deadline }
                // A timer of the guest's controls.
                s.pointee.signals |= Signal.virtualization
                continue
            }
            if control.pointee.watchedInstructions.watchesAddresses, reportWatchedAddress() { continue }
            guard blocks.enabled, s.pointee.mode.isFlat, !mustSingleStep else {
                interpretWatched()
                continue
            }
            do throws(Fault) {
                guard let position = try codePosition() else {
                    interpretWatched()
                    continue
                }
                let block = try findBlock(position)
                if let pattern = block.pointee.watchedOperation, report(pattern) { continue }
                let left = s.pointee.deadline &- s.pointee.time
                if UInt64(block.pointee.count) > left {
                    let mark = blocks.mark
                    let block = try buildBlock(position, maximum: Int(left), keep: false)
                    runBlocks(block)
                    control.pointee.link = nil
                    blocks.discard(block, mark)
                } else {
                    if let link { self.link(link, taken: control.pointee.linkIsTaken, to: block) }
                    runBlocks(block)
                }
            } catch {
                deliver(error)
            }
        }
    }

    /// Whether anything but the next instruction is due.
    @inline(__always)
    var needsService: Bool {
        let s = state
        return s.pointee.interruptShadow != 0 || s.pointee.pendingDebug != 0 || s.pointee.activity != .active
            || s.pointee.signals != 0 && isSignalDue
    }

    /// Whether instructions must be looked at one by one: single step, code breakpoints, RF, a virtual interrupt that may
    /// be pending.
    @inline(__always)
    var mustSingleStep: Bool {
        state.pointee.systemFlags & (RFLAGS.TF | RFLAGS.RF | RFLAGS.VIP) != 0 || codeBreakpointsEnabled
    }

    /// Does what is due between two instructions, in the manuals' order.
    ///
    /// SDM vol. 3 table 6-2.
    func serviceBoundary() -> RunResult? {
        let s = state
        if s.pointee.signals & Signal.stop != 0 {
            s.pointee.signals &= ~Signal.stop
            return .stopped
        }
        // Shutdown in VMX non-root operation is an activity that events end; a processor's is final.
        if s.pointee.activity == .shutdown && s.pointee.virtualization.mode != .vmx { return .shutdown }
        if isGuest, interceptBoundary(.signals) { return nil }
        if s.pointee.signals & (Signal.initialize | Signal.startup) != 0, !initializationIsBlocked {
            return takeInitialization()
        }
        if s.pointee.activity == .waitForSIPI { return .halted }
        if s.pointee.time >= control.pointee.machineDeadline { return .deadline }
        if isGuest, interceptBoundary(.traps) { return nil }
        let shadow = s.pointee.interruptShadow
        if s.pointee.pendingDebug != 0 && shadow & InterruptShadow.movSS == 0 {
            if let trap = pendingDebugTrap() {
                deliver(trap)
                return nil
            }
        }
        if isGuest, interceptBoundary(.nonMaskableInterrupts) { return nil }
        if shadow & InterruptShadow.movSS == 0 && s.pointee.signals & Signal.nmi != 0 && !s.pointee.nmiBlocked
            && s.pointee.virtualization.svm.globalInterruptFlag
        {
            s.pointee.signals &= ~Signal.nmi
            takeNMI()
            return nil
        }
        if isGuest, interceptBoundary(.interrupts) { return nil }
        if shadow == 0 && s.pointee.signals & Signal.interrupt != 0 && acceptsInterrupts {
            takeInterrupt()
            return nil
        }
        if s.pointee.activity != .active { return .halted }
        interpretWatched()
        return nil
    }

    /// Reports the next instruction if it is watched, else executes it outside the block cache.
    func interpretWatched() {
        if control.pointee.watchedInstructions.watchesAddresses, reportWatchedAddress() { return }
        if !reportWatchedOperation() { executeOne() }
    }

    /// Fetches and executes one instruction.
    func executeOne() {
        let s = state
        let shadow = s.pointee.interruptShadow
        let singleStep = s.pointee.TF
        s.pointee.interruptShadow = 0
        control.pointee.isInMOVSSShadow = shadow & InterruptShadow.movSS != 0
        defer { control.pointee.isInMOVSSShadow = false }
        control.pointee.loadedResumeFlag = false
        do throws(Fault) {
            if codeBreakpointsEnabled, let fault = codeBreakpointFault() { throw fault }
            if s.pointee.systemFlags & RFLAGS.VIP != 0, let fault = virtualInterruptFault() { throw fault }
            var instruction = try fetchInstruction()
            control.pointee.interpretedInstruction = instruction
            if instruction.prefixes.rawValue & Prefixes.anyRepeat.rawValue != 0 {
                try markInterpretedCode(instruction.length)
            }
            if let failure = unavailable(&instruction) { throw failure }
            s.pointee.nextRIP = nextAddress(after: instruction.length)
            if isGuest { try interceptInstruction(instruction) }
            let isHidden = memory.hiddenInstructions == nil ? false : try isHiddenInstruction()
            try execute(instruction)
            // RF lasts for one instruction, unless that instruction loaded it (IRET, task switch).
            if !control.pointee.loadedResumeFlag && s.pointee.nextRIP != s.pointee.rip {
                s.pointee.systemFlags &= ~RFLAGS.RF
            }
            s.pointee.rip = s.pointee.nextRIP
            if !isHidden { s.pointee.time &+= 1 }
            if singleStep && isSingleStepped(instruction) { s.pointee.pendingDebug |= DR6.BS }
        } catch {
            // Delivery ends the shadow; an exit from a guest saves it.
            s.pointee.interruptShadow = shadow
            if error.isSuspension { return }
            deliver(error)
        }
    }

    /// Has iterations that write over their own instruction end it, as they do where it is part of a block: what comes
    /// next is fetched anew.
    private func markInterpretedCode(_ length: UInt8) throws(Fault) {
        let s = state
        let start = s.pointee.mode.code == 64 ? s.pointee.rip : (s.pointee.cs.base &+ s.pointee.rip) & 0xFFFF_FFFF
        var done = 0
        while done < Int(length) {
            let physical = try translateForFetch(wrapLinear(start &+ UInt64(done)))
            let offset = Int(physical & 0xFFF)
            let count = min(Int(length) - done, 0x1000 - offset)
            if let page = ramPage(physical) { memory.markCode(page: page, offset: offset, count: count) }
            done += count
        }
    }

    /// The address after an instruction, wrapped as the code segment's width demands.
    private func nextAddress(after length: UInt8) -> UInt64 {
        let next = state.pointee.rip &+ UInt64(length)
        return state.pointee.mode.code == 64 ? next : next & 0xFFFF_FFFF
    }

    /// Where `state.rip` leads; nil if a device answers there.
    private func codePosition() throws(Fault) -> CodePosition? {
        let s = state
        let wide = s.pointee.mode.code == 64
        let linear = wide ? s.pointee.rip : (s.pointee.cs.base &+ s.pointee.rip) & 0xFFFF_FFFF
        if wide && !Self.isCanonical(linear) { throw .generalProtection(0) }
        let line = s.pointee.tlb[Int(truncatingIfNeeded: linear >> 12 & s.pointee.tlbMask)]
        if line.executeTag == linear & ~0xFFF {
            let host = linear &+ line.addend
            let page = Int(truncatingIfNeeded: (host &- UInt64(UInt(bitPattern: memory.base))) >> 12)
            return CodePosition(linear: linear, host: host, page: page)
        }
        let physical = try translateForFetch(linear)
        guard let page = ramPage(physical) else { return nil }
        let host = UInt64(UInt(bitPattern: memory.pointer(toPage: page))) &+ physical & 0xFFF
        return CodePosition(linear: linear, host: host, page: page)
    }

    private func findBlock(_ position: CodePosition) throws(Fault) -> UnsafeMutablePointer<Block> {
        let s = state
        if let block = knownBlock(s.pointee.rip) { return block }
        if let block = blocks.find(
            rip: s.pointee.rip, linear: position.linear, mode: s.pointee.mode, page: position.page,
            host: position.host)
        {
            if block.pointee.secondHost == 0 {
                blocks.remember(block)
                return block
            }
            // The instruction crosses into a second page, which may be mapped elsewhere by now.
            let second = try translateForFetch(wrapLinear(position.linear & ~0xFFF &+ 0x1000))
            if let page = ramPage(second),
                UInt64(UInt(bitPattern: memory.pointer(toPage: page))) == block.pointee.secondHost
            {
                return block
            }
            return try buildBlock(position, maximum: 1, keep: true)
        }
        let block = try buildBlock(position, maximum: Self.longestBlock, keep: true)
        blocks.remember(block)
        return block
    }

    /// Gives the operation that was replaced by `leave` its code back.
    func restorePatch() {
        control.pointee.current = nil
        guard let patched = control.pointee.patched else { return }
        patched.pointee.code = control.pointee.patchedCode
        control.pointee.patched = nil
    }
}
