import VirtualMachine
import X86Engine

/// What an interrupt, an exception or a call gate has pushed.
struct PushedFrame {
    var rip: UInt64
    var cs: UInt16
    /// Nil for a call.
    var rflags: UInt64?
    var rsp: UInt64
    var ss: UInt16
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

    /// The instruction after the one that a transition began with.
    private func next(_ transition: Transition) -> UInt64 {
        decode(at: transition.before.rip)?.next ?? transition.before.rip
    }

    /// What a transition has pushed: read from the stack while it is there, else what the processor pushes by its rules.
    ///
    /// SDM vol. 3 sections 6.12 and 6.14 (interrupts), 5.8.5 (calls).
    func pushedFrame(_ transition: Transition) -> PushedFrame {
        let width = pushWidth(transition)
        let skipped = transition.errorCode == nil ? 0 : UInt64(width)
        let isCall = transition.family == .callGate
        var frame = PushedFrame(
            rip: transition.before.rip, cs: transition.before.cs,
            rflags: isCall ? nil : transition.before.rflags, rsp: transition.before.rsp, ss: transition.before.ss,
            skipped: skipped, width: width)
        if isLive(transition), let rip = pushed(transition, at: skipped, width) {
            frame.rip = rip
            let place = skipped &+ UInt64(width)
            frame.cs = pushed(transition, at: place, width).map { UInt16(truncatingIfNeeded: $0) } ?? frame.cs
            if !isCall { frame.rflags = pushed(transition, at: place &+ UInt64(width), width) ?? frame.rflags }
        } else {
            // Traps point behind their instruction, faults at it with RF set (SDM vol. 3 sections 6.5 and 17.3.1.1).
            let isTrap = transition.family != .exception || [3, 4].contains(transition.vector ?? -1)
            let isEvent = [.externalInterrupt, .nonMaskableInterrupt].contains(transition.family)
            if isTrap, !isEvent { frame.rip = next(transition) }
            let isFault = !isTrap && ![1, 8, 18].contains(transition.vector ?? -1)
            if isFault { frame.rflags = transition.before.rflags | 1 << 16 }
        }
        return frame
    }

    /// Bytes of each value that a transition pushes: by its gate's type.
    ///
    /// SDM vol. 3 table 3-2.
    private func pushWidth(_ transition: Transition) -> Int {
        if isLongMode { return 8 }
        // Types below 8 are those of the 80286.
        return transition.gateRecord.map { $0.type < 8 ? 2 : 4 } ?? 4
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
                let gate = number(state.idtr.base &+ UInt64(vector) &* 16, bytes: 8), gate >> 32 & 7 != 0
            {
                let index = gate >> 32 & 7
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
