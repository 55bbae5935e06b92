import X86

// The one way into handlers: exceptions, interrupts and what becomes of them when their delivery fails
// (SDM vol. 3 chapter 6). `InterruptEntry.swift` performs the entry itself.

/// Where an event comes from; decides about gate privilege, error codes and the saved RFLAGS.RF.
package enum EventSource: Equatable, Sendable {
    /// A processor-detected exception.
    case exception
    case externalInterrupt
    case nonMaskableInterrupt
    /// INT n.
    case softwareInterrupt
    /// INT3 and INTO.
    case softwareException
    /// INT1, which asks for no gate privilege (SDM volume 2, INT n).
    case privilegedSoftwareException

    /// The gate's DPL must not be below the CPL.
    var checksGatePrivilege: Bool { self == .softwareInterrupt || self == .softwareException }
    /// Caused by an instruction that asks for it: RIP is saved behind the instruction.
    var isSoftware: Bool { checksGatePrivilege || self == .privilegedSoftwareException }
    /// EXT: a fault while this event is delivered has a cause outside the program (SDM volume 3 section 6.13).
    var isExternal: Bool { !checksGatePrivilege }
}

/// An event on its way to a handler.
struct EventToDeliver {
    var vector: UInt8
    var source: EventSource
    var errorCode: UInt32?
    /// The instruction pointer to save.
    var returnRIP: UInt64
    /// RF in the saved RFLAGS.
    var savesResumeFlag: Bool
    /// False for an NMI that VMRUN injects (APM volume 2 section 15.20).
    var blocksNMIs = true

    /// The error code that names this event's IDT entry, without EXT.
    var gateErrorCode: UInt32 { UInt32(vector) << 3 | 2 }

    var cause: TransitionCause {
        switch source {
        case .exception: .exception(vector: vector, errorCode: errorCode)
        case .externalInterrupt: .externalInterrupt(vector: vector)
        case .nonMaskableInterrupt: .nonMaskableInterrupt
        case .softwareInterrupt, .softwareException, .privilegedSoftwareException: .softwareInterrupt(vector: vector)
        }
    }
}

/// A fault with the place where it arose, as a `Stop` after a triple fault shows it.
package struct FaultRecord: Equatable, Sendable, CustomStringConvertible {
    package var fault: Fault
    package var cs: UInt16
    package var rip: UInt64
    package var cpl: UInt8

    /// As in `#PF(0x2) for 0xdeadb000 at 0x10:0x1234, ring 0`.
    package var description: String {
        func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
        var text = fault.name
        if let code = fault.errorCode { text += "(\(hex(UInt64(code))))" }
        if fault.vector == 14 { text += " for \(hex(fault.address))" }
        return text + " at \(hex(UInt64(cs))):\(hex(rip)), ring \(cpl)"
    }
}

extension Processor {
    /// The faults of the last delivery that failed, first cause first; ends with what a shutdown could not deliver.
    package var faultChain: [FaultRecord] { control.pointee.faultChain }

    /// Delivers a fault at `state.rip`, or a trap that is reported before the instruction there.
    ///
    /// A watcher of `.exception` may skip the faulting instruction, or put another fault in its place. Failing
    /// deliveries become other faults, a double fault, or shutdown.
    package func deliver(_ fault: Fault) {
        if fault.leavesGuest { return finishExit() }
        var fault = fault
        if watched.contains(.exception) && !fault.isSuspension {
            switch ask(.exception(fault)) {
            case .proceed, .reply: break
            case .skip: if skip(fault) { return }
            case .inject(let other):
                // A trap that is not delivered now is due at the same place again.
                if other.isSuspension && fault.isTrap { state.pointee.pendingDebug |= fault.debugStatus }
                fault = other
            }
        }
        if !fault.isSuspension { deliver(fault, source: .exception) }
    }

    /// Goes on behind the instruction that faulted, as if it had been done; false if it cannot even be fetched.
    private func skip(_ fault: Fault) -> Bool {
        guard fault.isTrap else { return skipInstruction() }
        state.pointee.interruptShadow = 0
        state.pointee.time &+= 1
        state.pointee.work &+= 1
        return true
    }

    /// Delivers a non-maskable interrupt; others wait until an IRET.
    func takeNMI() {
        switch answer(toInterrupt: 2) {
        case .deliver: deliver(Fault(vector: 2), source: .nonMaskableInterrupt)
        case .drop: break
        case .wait: state.pointee.signals |= Signal.nmi
        case .replace(let fault): deliver(fault, source: .exception)
        }
    }

    /// Takes the vector that the interrupt controllers have, if they still have one, and delivers it.
    func takeInterrupt() {
        var answer = InterruptAnswer.deliver
        var pending: UInt8?
        if watched.contains(.interrupt) { pending = environment.pendingInterrupt() }
        if let pending { answer = self.answer(toInterrupt: pending) }
        if answer == .wait { return }
        guard let vector = environment.acknowledgeInterrupt() else { return withdraw(Signal.interrupt) }
        if watched.contains(.interrupt) && pending == nil { answer = self.answer(toInterrupt: vector) }
        switch answer {
        case .deliver, .wait: deliver(Fault(vector: vector), source: .externalInterrupt)
        case .drop: break
        case .replace(let fault): deliver(fault, source: .exception)
        }
    }

    /// What becomes of an interrupt that is to be taken.
    private enum InterruptAnswer: Equatable {
        case deliver, drop, wait
        case replace(Fault)
    }

    private func answer(toInterrupt vector: UInt8) -> InterruptAnswer {
        guard watched.contains(.interrupt) else { return .deliver }
        switch ask(.interrupt(vector: vector)) {
        case .proceed, .reply: return .deliver
        case .skip: return .drop
        case .inject(let fault): return fault.isSuspension ? .wait : .replace(fault)
        }
    }

    /// Delivers an event: an exception at `state.rip`, an interrupt before the instruction there, or what VM entry
    /// injects.
    func deliver(_ first: Fault, source firstSource: EventSource, injected: InjectedEvent? = nil) {
        if isGuest, firstSource == .exception, injected == nil, interceptsException(first, .exception) {
            _ = leaveGuest(.exception(first, .exception))
            return finishExit()
        }
        defer { control.pointee.vectoring = nil }
        var fault = first
        var source = firstSource
        var chain: [FaultRecord] = []
        // What leads to a monitor is none of the guest's; the monitor counts what it passes on.
        if !control.pointee.ringZeroIsMonitors { state.pointee.time &+= 1 }
        if state.pointee.activity == .halted || isGuest { state.pointee.activity = .active }
        // A handler entry is control flow that the instruction after a shadow cannot be protected from.
        state.pointee.interruptShadow = 0
        // Ends: each round either delivers, or raises the severity of what is to be delivered (contributory, page fault,
        // double fault, shutdown).
        while true {
            state.pointee.work &+= 1
            let isInjected = injected != nil && chain.isEmpty
            // VM entry leaves CR2 and DR6 to whoever injects (SDM vol. 3 section 27.6.1), VMRUN has loaded them.
            if source == .exception && !isInjected { noteException(fault) }
            let mode = state.pointee.virtualization.mode
            var savedRIP = state.pointee.rip
            if let injected, source.isSoftware { savedRIP = injected.savedRIP(at: savedRIP) }
            var event = EventToDeliver(
                vector: fault.vector, source: source, errorCode: fault.errorCode,
                returnRIP: savedRIP,
                savesResumeFlag: source == .exception && !fault.isTrap && fault.vector != 1
                    && !(isInjected && mode == .vmx) || state.pointee.systemFlags & RFLAGS.RF != 0)
            event.blocksNMIs = !(isInjected && mode == .svm)
            if isGuest {
                control.pointee.vectoring = VectoringEvent(
                    vector: fault.vector, source: source, errorCode: fault.errorCode,
                    instructionLength: source.isSoftware ? injected?.instructionLength ?? 0 : 0)
            }
            do throws(Fault) {
                try enterHandler(event)
                state.pointee.rip = state.pointee.nextRIP
                if !chain.isEmpty { control.pointee.faultChain = chain }
                return
            } catch {
                if error.leavesGuest { return finishExit() }
                var second = error
                if source.isExternal { second.markExternal() }
                if isGuest, interceptsException(second, .exception) {
                    _ = leaveGuest(.exception(second, .exception))
                    return finishExit()
                }
                if second.severity == .benign {
                    // Handled in its turn, as an event of its own that counts one: #AC for a stack in ring 3 that is
                    // not aligned meets its own delivery for ever, and the run must come to its limits all the same.
                    control.pointee.pendingFault = second
                    control.pointee.hasFault = true
                    return
                }
                // A page fault sets CR2 even if it becomes a double fault.
                if second.vector == 14 { state.pointee.cr2 = second.address }
                if chain.isEmpty { chain.append(record(fault)) }
                chain.append(record(second))
                if source == .exception {
                    guard let next = Self.combine(fault, second) else {
                        control.pointee.faultChain = chain
                        if interceptTripleFault() { return }
                        state.pointee.activity = .shutdown
                        leaveBlockAfterThisInstruction()
                        return
                    }
                    if next.vector == 8 && second.vector != 8 { chain.append(record(next)) }
                    if isGuest, next.vector == 8, interceptsException(next, .exception) {
                        control.pointee.vectoring = nil
                        _ = leaveGuest(.exception(next, .exception))
                        return finishExit()
                    }
                    fault = next
                } else {
                    // Interrupts are benign: what happened is delivered instead.
                    fault = second
                }
                source = .exception
                if watched.contains(.exception) {
                    switch environment.intercept(.exception(fault)) {
                    case .proceed, .reply: break
                    case .skip: if skip(fault) { return }
                    case .inject(let other): fault = other
                    }
                }
            }
        }
    }

    /// Delivers what VM entry injects.
    func inject(_ event: InjectedEvent) {
        var fault = event.fault
        // Whoever injects has put it into CR2; the record of a triple fault shows it.
        if fault.vector == 14 && event.source == .exception { fault.address = state.pointee.cr2 }
        deliver(fault, source: event.source, injected: event)
    }

    private func record(_ fault: Fault) -> FaultRecord {
        FaultRecord(fault: fault, cs: state.pointee.cs.selector, rip: state.pointee.rip, cpl: cpl)
    }

    /// The registers that an exception sets before its handler is entered.
    private func noteException(_ fault: Fault) {
        switch fault.vector {
        case 1: noteDebugException(fault.debugStatus)
        case 14: state.pointee.cr2 = fault.address
        default: break
        }
        if !fault.isTrap { state.pointee.pendingDebug = 0 }
    }

    /// What becomes of `second` when it arises during the delivery of `first`; nil is shutdown
    /// (SDM volume 3 table 6-5).
    static func combine(_ first: Fault, _ second: Fault) -> Fault? {
        let next = second.severity
        switch first.severity {
        case .benign: return second
        case .contributory: return next == .contributory ? .doubleFault() : second
        case .pageFault: return next == .benign ? second : .doubleFault()
        case .doubleFault: return next == .benign ? second : nil
        }
    }
}

extension Fault {
    /// The classes of SDM volume 3 table 6-4, and #DF itself.
    enum Severity { case benign, contributory, pageFault, doubleFault }

    var severity: Severity {
        switch vector {
        case 0, 10, 11, 12, 13: .contributory
        case 14: .pageFault
        case 8: .doubleFault
        default: .benign
        }
    }

    /// The mnemonic of SDM volume 3 table 6-1.
    package var name: String {
        let names = [
            "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9", "#TS", "#NP", "#SS", "#GP", "#PF",
            "#15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
        ]
        return vector < names.count ? names[Int(vector)] : "#\(vector)"
    }

    /// Sets EXT in an error code that names a selector.
    mutating func markExternal() {
        guard vector >= 10, vector <= 13, let code = errorCode else { return }
        errorCode = code | 1
    }
}
