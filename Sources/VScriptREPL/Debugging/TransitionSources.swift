import VirtualMachine
import X86
import X86Engine

/// What an interrupt, an exception or a call gate has pushed.
struct PushedFrame {
    var rip: UInt64
    var cs: UInt16
    /// Nil for a call.
    var rflags: UInt64?
    var rsp: UInt64
    var ss: UInt16
    /// How many parameters a call gate has copied from the old stack to the new one.
    var parameters: UInt64
    /// How many bytes lie below RIP, for the error code.
    var skipped: UInt64
    /// Bytes of each value.
    var width: Int
}

extension DebuggedGuest {
    /// Whether a transition has just happened, so that what it pushed is still there.
    func isLive(_ transition: Transition) -> Bool {
        guest.cpu.rip == transition.after.rip && guest.cpu["rsp"] == transition.after.rsp
    }

    /// Where a transition goes on when it is returned from.
    package func returnAddress(_ transition: Transition) -> UInt64 {
        switch transition.family {
        case .exception, .externalInterrupt, .nonMaskableInterrupt, .softwareInterrupt, .callGate:
            return pushedFrame(transition).rip
        case .syscall:
            // A handler may have used RCX since.
            return isLive(transition) ? guest.cpu["rcx"] ?? 0 : next(transition)
        case .exit, .entry, .host, .sysret, .sysenter, .sysexit, .iret, .farReturn, .taskSwitch, .farTransfer:
            return next(transition)
        }
    }

    /// The offset of the instruction after the one that a transition began with, in the code segment of then.
    private func next(_ transition: Transition) -> UInt64 {
        let (base, mode) = codeSegment(of: transition.before)
        let rip = transition.before.rip
        let linear = mode == .bits64 ? rip : (base &+ rip) & 0xFFFF_FFFF
        return decode(at: rip, linear: linear, mode: mode)?.next ?? rip
    }

    /// Base and width of the code that a selector names; CS itself holds what the transition led to.
    ///
    /// SDM vol. 3 sections 3.4.5 and 21.1.1 (virtual-8086 mode).
    private func codeSegment(of point: Transition.Point) -> (base: UInt64, mode: CodeMode) {
        if point.rflags & RFLAGS.VM != 0 { return (UInt64(point.cs) << 4, .bits16) }
        guard let descriptor = descriptor(point.cs) else { return (0, codeMode) }
        if isLongMode, descriptor.isLong { return (0, .bits64) }
        return (descriptor.base, descriptor.isDefault32 ? .bits32 : .bits16)
    }

    /// What a selector names in GDT or LDT.
    private func descriptor(_ rawValue: UInt16) -> Descriptor? {
        let (state, selector) = (guest.processor.state.pointee, Selector(rawValue))
        let table = selector.isLocal ? state.ldtr.base : state.gdtr.base
        return number(table &+ selector.offset, bytes: 8).map { Descriptor(low: $0) }
    }

    /// What a transition has pushed: read from the stack while it is there, else what the processor pushes by its rules.
    ///
    /// SDM vol. 3 sections 6.12 and 6.14 (interrupts), 5.8.5 (calls), 21.3.1 (out of virtual-8086 mode).
    func pushedFrame(_ transition: Transition) -> PushedFrame {
        let width = pushWidth(transition)
        let isCall = transition.family == .callGate
        let mask = width == 2 ? 0xFFFF : width == 4 ? 0xFFFF_FFFF : UInt64.max
        var frame = PushedFrame(
            rip: transition.before.rip & mask, cs: transition.before.cs,
            rflags: isCall ? nil : transition.before.rflags & mask, rsp: transition.before.rsp & mask,
            ss: transition.before.ss, parameters: isCall ? parameters(transition) : 0,
            skipped: transition.errorCode == nil ? 0 : UInt64(width), width: width)
        guard !isLive(transition) else {
            var place = frame.skipped
            func next() -> UInt64? {
                defer { place &+= UInt64(width) }
                return pushed(transition, at: place, width)
            }
            frame.rip = next() ?? frame.rip
            frame.cs = next().map { UInt16(truncatingIfNeeded: $0) } ?? frame.cs
            if !isCall { frame.rflags = next() ?? frame.rflags }
            guard transition.switchedStack || isLongMode else { return frame }
            place &+= frame.parameters &* UInt64(width)
            frame.rsp = next() ?? frame.rsp
            frame.ss = next().map { UInt16(truncatingIfNeeded: $0) } ?? frame.ss
            return frame
        }
        // Traps point behind their instruction, faults at it with RF set (SDM vol. 3 sections 6.5 and 17.3.1.1).
        let isTrap = transition.family != .exception || [3, 4].contains(transition.vector ?? -1)
        let isEvent = [.externalInterrupt, .nonMaskableInterrupt].contains(transition.family)
        if isTrap, !isEvent { frame.rip = next(transition) & mask }
        let isFault = !isTrap && ![1, 8, 18].contains(transition.vector ?? -1)
        if isFault { frame.rflags = (transition.before.rflags | RFLAGS.RF) & mask }
        return frame
    }

    /// How many values a call gate copies; those of 64-bit mode copy none.
    ///
    /// SDM vol. 3 section 5.8.3.
    private func parameters(_ transition: Transition) -> UInt64 {
        guard !isLongMode, transition.switchedStack, let index = transition.gateRecord?.index else { return 0 }
        return descriptor(index).map { UInt64($0.parameterCount) } ?? 0
    }

    /// Bytes of each value that a transition pushes: by its gate's type.
    ///
    /// SDM vol. 3 table 3-2.
    private func pushWidth(_ transition: Transition) -> Int {
        if isLongMode { return 8 }
        return transition.gateRecord.map { $0.isNarrow ? 2 : 4 } ?? 4
    }

    /// The error code of a page fault in words, as the processor is set up now.
    func words(ofPageFault code: UInt32) -> String {
        let state = guest.processor.state.pointee
        // Only with SMEP or NX does it tell fetches from reads (SDM vol. 3 section 4.7).
        let tellsFetches =
            state.cr4 & CR4.SMEP != 0 || state.cr4 & CR4.PAE != 0 && state.efer & EFER.NXE != 0
        return PageFaultWords.text(code, tellsFetches: tellsFetches)
    }

    /// The error code that the switch to a task has pushed on the new task's stack, as long as it is there.
    ///
    /// It is there if the stack pointer is below the one in the task's TSS, which is that of before the push.
    func taskErrorCode(_ transition: Transition) -> UInt64? {
        let tss = guest.processor.state.pointee.tr
        let isShort = tss.attributes & 0xD == 1
        let width = isShort ? 2 : 4
        guard transition.gateRecord != nil, isLive(transition),
            let pointer = number(tss.base &+ (isShort ? 0x1A : 0x38), bytes: width),
            (pointer &- UInt64(width) &- transition.after.rsp) & 0xFFFF == 0
        else { return nil }
        return pushed(transition, at: 0, width)
    }

    private func pushed(_ transition: Transition, at offset: UInt64, _ width: Int) -> UInt64? {
        let stack = guest.processor.state.pointee.ss
        if isLongMode { return number(transition.after.rsp &+ offset, bytes: width) }
        let place = (transition.after.rsp &+ offset) & (stack.isDefault32 ? 0xFFFF_FFFF : 0xFFFF)
        return number((stack.base &+ place) & 0xFFFF_FFFF, bytes: width)
    }

    /// The field of the TSS that a new stack pointer came from, with its value.
    ///
    /// SDM vol. 3 figures 7-2 (32 bits), 7-10 (16 bits) and 7-11 (64 bits).
    package func stackSource(_ transition: Transition) -> String {
        let state = guest.processor.state.pointee
        let level = UInt64(max(transition.after.level.rawValue, 0))
        func field(_ offset: UInt64, _ bytes: Int) -> UInt64 { number(state.tr.base &+ offset, bytes: bytes) ?? 0 }
        if isLongMode {
            if let vector = transition.vector, vector >= 0,
                case let index = Descriptor(
                    low: number(state.idtr.base &+ UInt64(vector) &* 16, bytes: 8) ?? 0
                ).interruptStack, index != 0
            {
                return "TSS.ist\(index) \(Numbers.hex(field(0x24 &+ (index - 1) * 8, 8)))"
            }
            return "TSS.rsp\(level) \(Numbers.hex(field(4 &+ level * 8, 8)))"
        }
        // Types 1 and 3 are those of the 80286.
        let isShort = state.tr.attributes & 0xD == 1
        let value = isShort ? field(2 &+ level * 4, 2) : field(4 &+ level * 8, 4)
        let selector = isShort ? field(4 &+ level * 4, 2) : field(8 &+ level * 8, 2)
        return "TSS.ss\(level):\(isShort ? "sp" : "esp")\(level) \(Numbers.hex(selector)):\(Numbers.hex(value))"
    }
}
