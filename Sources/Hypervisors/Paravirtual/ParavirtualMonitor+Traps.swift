import X86
import X86Engine

// What enters ring 0 and is no call: exceptions, system calls and interrupt instructions, and how the guest's handlers
// are entered and left.

/// What has left the guest, which stands at the instruction concerned.
enum Occurrence: Equatable {
    /// A call, by an instruction of so many bytes.
    case call(length: UInt64)
    /// An exception; behind an instruction of so many bytes if that asks for it (INT3).
    case exception(Fault, length: UInt64)
    /// An interrupt instruction of user code that the kernel lets through.
    case interrupt(vector: UInt8, length: UInt64)
    /// SYSCALL of user code.
    case systemCall
    /// CPUID.
    case identification(length: UInt64)
}

/// What the first word of a frame says besides the vectors 0 to 255.
enum FrameVector {
    static let event: UInt64 = 0x100
    static let systemCall: UInt64 = 0x101
}

extension ParavirtualMonitor {
    /// What a fault of the machine's is; the machine's processor stands at the instruction.
    func classify(_ fault: Fault) -> Occurrence {
        guard fault.vector == 6 || fault.vector == 13, let instruction = try? machine.instructionAtRIP() else {
            return .exception(fault, length: 0)
        }
        let length = UInt64(instruction.length)
        // Whatever the processor's vendor, as guests cannot tell which of the two their hypervisor would like.
        if fault.vector == 6 {
            let isCall = state.isKernel && (instruction.operation == .vmcall || instruction.operation == .vmmcall)
            return isCall ? .call(length: length) : .exception(fault, length: 0)
        }
        let code = fault.errorCode ?? 0
        if code == 0, instruction.operation == .cpuid { return .identification(length: length) }
        // An interrupt instruction that no gate of the monitor's lets through.
        guard code & 7 == 2 else { return .exception(fault, length: 0) }
        let vector = UInt8(truncatingIfNeeded: code >> 3)
        if vector == 3 || vector == 4 { return .exception(Fault(vector: vector), length: length) }
        guard vector >= 32, !state.isKernel, state.traps[vector] != nil else { return .exception(fault, length: 0) }
        return .interrupt(vector: vector, length: length)
    }

    /// Counts and tells that the guest was left; what the observer has decided.
    func report(_ occurrence: Occurrence) -> EventVerdict {
        switch occurrence {
        case .call: leave(.hypercall(hypercall), .hypercall)
        case .exception(let fault, let length):
            leave(
                .exception(
                    vector: fault.vector, errorCode: fault.errorCode,
                    address: fault.vector == 14 ? fault.address : nil),
                fault.vector == 14 ? .pageTable : length > 0 ? .systemCall : .exception)
        case .interrupt(let vector, _): leave(.exception(vector: vector, errorCode: nil, address: nil), .systemCall)
        case .systemCall: leave(.systemCall, .systemCall)
        case .identification: leave(.exception(vector: 13, errorCode: 0, address: nil), .cpuid)
        }
    }

    /// Deals with what has left the guest.
    func handle(_ occurrence: Occurrence, _ verdict: EventVerdict) {
        guard guest.state.pointee.signals & Signal.stop == 0 else {
            // The run ends here; nothing has happened yet.
            owed = (occurrence, verdict)
            return
        }
        guard settle(verdict) == .open else { return }
        switch ask(about: occurrence) {
        case .open: break
        case .settled: return
        case .suspended:
            owed = (occurrence, .proceed)
            return
        }
        let s = guest.state
        switch occurrence {
        case .call(let length):
            retire(length)
            perform(hypercall)
        case .exception(let fault, let length):
            if length > 0 { retire(length) } else { s.pointee.time &+= 1 }
            deliver(fault, cause: .exception(vector: fault.vector, errorCode: fault.errorCode))
        case .interrupt(let vector, let length):
            retire(length)
            enterHandler(
                state.traps[vector] ?? 0, UInt64(vector), cause: .softwareInterrupt(vector: vector),
                Fault(vector: vector))
        case .systemCall:
            // RCX and R11 have RIP and RFLAGS, as the instruction leaves them.
            s.pointee.rcx = s.pointee.rip &+ 2
            retire(2)
            enterHandler(
                state.systemCallHandler, FrameVector.systemCall, cause: .syscall, .invalidOpcode)
        case .identification(let length): identify(length)
        }
    }

    /// Whether something is done with already.
    private enum Settlement { case open, settled, suspended }

    /// Does what an observer has decided.
    private func settle(_ verdict: EventVerdict) -> Settlement {
        switch verdict {
        case .proceed: return .open
        case .skip, .reply: _ = guest.settle(verdict)
        case .inject(let fault):
            if fault == .givesUp { return .suspended }
            guest.state.pointee.time &+= 1
            deliver(fault, cause: .exception(vector: fault.vector, errorCode: fault.errorCode))
        }
        return .settled
    }

    /// Asks the guest's watchers, as its processor does on the bare machine.
    private func ask(about occurrence: Occurrence) -> Settlement {
        let event: ProcessorEvent
        let kind: EventKinds
        switch occurrence {
        case .call: (kind, event) = (.hypercall, .hypercall)
        case .exception(let fault, _): (kind, event) = (.exception, .exception(fault))
        case .interrupt(let vector, _): (kind, event) = (.interrupt, .interrupt(vector: vector))
        case .systemCall: (kind, event) = (.syscall, .syscall)
        // Its processor asks.
        case .identification: return .open
        }
        return guest.watched.contains(kind) ? settle(guest.ask(event)) : .open
    }

    private func retire(_ length: UInt64) {
        let s = guest.state
        s.pointee.rip = guest.codeBits == 64 ? s.pointee.rip &+ length : (s.pointee.rip &+ length) & 0xFFFF_FFFF
        s.pointee.time &+= 1
        s.pointee.work &+= 1
        s.pointee.interruptShadow = 0
    }

    /// CPUID: the guest's own processor, with the leaves that name the interface.
    private func identify(_ length: UInt64) {
        let s = guest.state
        let leaf = UInt32(truncatingIfNeeded: s.pointee.rax)
        do throws(Fault) { try guest.identify() } catch {
            if error != .givesUp { return deliver(error, cause: .exception(vector: 13, errorCode: error.errorCode)) }
            owed = (.identification(length: length), .proceed)
            return
        }
        let words = Array(interface.signature.utf8).prefix(12).enumerated().reduce(
            into: [UInt32](repeating: 0, count: 3)
        ) { $0[$1.offset / 4] |= UInt32($1.element) << UInt32($1.offset % 4 * 8) }
        switch leaf {
        case 1: s.pointee.rcx |= 1 << 31
        case 0x4000_0000:
            s.pointee.rax = 0x4000_0001
            (s.pointee.rbx, s.pointee.rcx, s.pointee.rdx) = (UInt64(words[0]), UInt64(words[1]), UInt64(words[2]))
        case 0x4000_0001:
            (s.pointee.rax, s.pointee.rbx) = (UInt64(interface.version), UInt64(interface.vector))
            (s.pointee.rcx, s.pointee.rdx) = (UInt64(interface.calls.count), 0)
        case _: break
        }
        retire(length)
    }

    // MARK: Handlers

    /// Gives an exception to the guest's handler; without one the guest ends.
    private func deliver(_ fault: Fault, cause: TransitionCause) {
        if fault.vector == 14 {
            statistics.truePageFaults &+= 1
            guest.state.pointee.cr2 = fault.address
            setShared(.faultAddress, fault.address)
        }
        enterHandler(
            state.traps[fault.vector] ?? 0, UInt64(fault.vector), errorCode: UInt64(fault.errorCode ?? 0),
            cause: cause, fault)
    }

    /// Enters a handler of the kernel's with a frame on its stack; if there is none, or no stack, the guest ends.
    func enterHandler(
        _ handler: UInt64, _ vector: UInt64, errorCode: UInt64 = 0, cause: TransitionCause, _ fault: Fault
    ) {
        let s = guest.state
        guard handler != 0 else { return end("\(Self.text(fault)) without a handler", [fault]) }
        guard !state.isWide || Self.isCanonical(handler) else {
            return end("the handler of \(Self.text(fault)) is no address", [fault])
        }
        let before = guest.privilegePoint(at: s.pointee.rip)
        var flags = s.pointee.rflags & ~RFLAGS.IF
        if !eventsAreDisabled { flags |= RFLAGS.IF }
        let level: UInt16 = state.isKernel ? 0 : 3
        let words = [
            vector, errorCode, s.pointee.rip, UInt64(s.pointee.cs.selector & ~3 | level), flags, s.pointee.rsp,
            UInt64(s.pointee.ss.selector & ~3 | level),
        ]
        var pointer = state.isKernel ? s.pointee.rsp : state.stack
        if state.isWide { pointer &= ~0xF }
        pointer = wrap(pointer &- UInt64(words.count * width))
        guard writeBytes(bytes(words), at: pointer) else {
            let second = Fault.pageFault(pointer, PageFaultCode.WR)
            return end("no stack at 0x\(String(pointer, radix: 16)) for \(Self.text(fault))", [fault, second])
        }
        let fromUser = !state.isKernel
        enterKernelMode()
        s.pointee.rsp = pointer
        s.pointee.rip = wrap(handler)
        s.pointee.interruptShadow = 0
        guest.systemFlags &= ~(RFLAGS.TF | RFLAGS.DF | RFLAGS.AC | RFLAGS.RF | RFLAGS.NT)
        eventsAreDisabled = true
        guest.levelChanged(
            from: before, cause, address: fault.vector == 14 ? fault.address : nil, switchedStack: fromUser)
    }

    private static func text(_ fault: Fault) -> String {
        fault.vector < 32 ? fault.name : "int 0x\(String(fault.vector, radix: 16))"
    }

    private func enterKernelMode() {
        if !state.isKernel { swapSegmentBases() }
        state.isKernel = true
        loadKernelSegments()
        showState()
    }

    /// The kernel's GS base is its own, as SWAPGS would have it.
    private func swapSegmentBases() {
        let s = guest.state
        if state.isWide { swap(&s.pointee.gs.base, &s.pointee.kernelGSBase) }
    }

    func loadKernelSegments() {
        let s = guest.state
        s.pointee.cs = FlatSelector.segment(state.isWide ? FlatSelector.userCode64 : FlatSelector.kernelCode)
        s.pointee.ss = FlatSelector.segment(state.isWide ? FlatSelector.userData : FlatSelector.kernelData)
    }

    /// Goes on as the words on the kernel's stack say; nothing has changed if it fails.
    func returnFromTrap() throws(HypercallInterface.Failure) {
        let s = guest.state
        guard let words = readWords(s.pointee.rsp, 6, width: width) else { throw .inaccessible }
        let (code, stack) = (UInt16(truncatingIfNeeded: words[2]), UInt16(truncatingIfNeeded: words[5]))
        guard words[2] <= 0xFFFF, words[5] <= 0xFFFF, code & 3 == stack & 3 else { throw .invalid }
        let before = guest.privilegePoint(at: s.pointee.rip)
        switch code & 3 {
        case 0:
            guard code == s.pointee.cs.selector & ~3, stack == s.pointee.ss.selector & ~3,
                !state.isWide || Self.isCanonical(words[1])
            else { throw .invalid }
        case 3:
            guard let cs = segment(code), let ss = segment(stack), cs.isCode, cs.descriptorPrivilegeLevel == 3,
                ss.descriptorPrivilegeLevel == 3, !ss.isCode, ss.isWritableOrReadable,
                cs.isLong ? Self.isCanonical(words[1]) : words[1] <= 0xFFFF_FFFF
            else { throw .invalid }
            swapSegmentBases()
            state.isKernel = false
            (s.pointee.cs, s.pointee.ss) = (cs, ss)
            dropKernelSegments()
        case _: throw .invalid
        }
        s.pointee.rax = words[0]
        s.pointee.rip = words[1]
        s.pointee.rsp = words[4]
        guest.systemFlags = RFLAGS.fixed | RFLAGS.IF | words[3] & (RFLAGS.TF | RFLAGS.DF | RFLAGS.AC | RFLAGS.ID)
        guest.setStatusFlags(words[3])
        eventsAreDisabled = words[3] & RFLAGS.IF == 0
        showState()
        guest.levelChanged(from: before, .iret, switchedStack: false)
    }

    /// User code gets no segments of the kernel's.
    private func dropKernelSegments() {
        let s = guest.state
        func kept(_ segment: SegmentState) -> SegmentState {
            segment.isUnusable || segment.descriptorPrivilegeLevel == 3 ? segment : SegmentState(null: Selector(0))
        }
        s.pointee.es = kept(s.pointee.es)
        s.pointee.ds = kept(s.pointee.ds)
        s.pointee.fs = kept(s.pointee.fs)
        s.pointee.gs = kept(s.pointee.gs)
    }
}
