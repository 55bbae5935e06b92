import X86

// IRET, IRETD and IRETQ (SDM vol. 2, IRET).

/// The three values that every interrupt return pops.
private struct ReturnFrame {
    var offset: UInt64
    var selector: Selector
    var flags: UInt64
}

extension Processor {
    /// IRET in all forms.
    func interruptReturn(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        leaveBlockAfterThisInstruction()
        // Blocking of NMIs ends with the execution of IRET, even if it faults (SDM vol. 3 section 6.7.1).
        unblockNMIs()
        if isVirtual8086 && state.pointee.iopl < 3 { try requireVirtualInterruptFlag(width: width) }
        if isProtectedMode && state.pointee.NT {
            guard !isLongModeActive else { throw .generalProtection(0) }
            return try returnFromNestedTask()
        }
        let bytes = UInt64(width / 8)
        let frame = ReturnFrame(
            offset: try stackValue(at: 0, width: width),
            selector: Selector(UInt16(truncatingIfNeeded: try stackValue(at: bytes, width: width))),
            flags: try stackValue(at: bytes &* 2, width: width))
        if !isProtectedMode { return try returnUnprotected(frame, width: width) }
        if !isLongModeActive && width == 32 && frame.flags & RFLAGS.VM != 0 && cpl == 0 {
            return try returnToVirtual8086(frame)
        }
        try returnProtected(frame, width: width)
    }

    private func returnUnprotected(_ frame: ReturnFrame, width: Int) throws(Fault) {
        let segment = unprotectedSegment(frame.selector.rawValue, replacing: state.pointee.cs)
        guard frame.offset <= UInt64(segment.limit) else { throw .generalProtection(0) }
        var flags = frame.flags
        var mask = RFLAGS.status | RFLAGS.TF | RFLAGS.IF | RFLAGS.DF | RFLAGS.NT
        if isVirtual8086 && state.pointee.iopl < 3 {
            (flags, mask) = try poppedWithVirtualInterrupt(flags)
        } else {
            if !isVirtual8086 { mask |= RFLAGS.IOPL }
            if width == 32 { mask |= RFLAGS.RF | RFLAGS.AC | RFLAGS.ID }
        }
        advanceStackPointer(UInt64(width / 8) &* 3)
        replaceFlags(flags, mask: mask)
        enter(CodeTarget(segment: segment, offset: frame.offset))
    }

    private func returnToVirtual8086(_ frame: ReturnFrame) throws(Fault) {
        let start = transitionStart()
        let pointer = try stackValue(at: 12, width: 32)
        // SS ES DS FS GS
        var selectors = SIMD8<UInt16>(repeating: 0)
        for index in 0..<5 {
            selectors[index] = UInt16(
                truncatingIfNeeded: try stackValue(at: 16 &+ UInt64(index) &* 4, width: 32))
        }
        guard frame.offset <= 0xFFFF else { throw .generalProtection(0) }
        func segment(_ selector: UInt16) -> SegmentState {
            SegmentState(selector: selector, base: UInt64(selector) << 4, limit: 0xFFFF, attributes: 0xF3)
        }
        replaceFlags(frame.flags, mask: .max)
        state.pointee.ss = segment(selectors[0])
        state.pointee.es = segment(selectors[1])
        state.pointee.ds = segment(selectors[2])
        state.pointee.fs = segment(selectors[3])
        state.pointee.gs = segment(selectors[4])
        state.pointee.rsp = pointer
        enter(CodeTarget(segment: segment(frame.selector.rawValue), offset: frame.offset), level: 3)
        transitioned(from: start, .iret, switchedStack: false)
    }

    private func returnProtected(_ frame: ReturnFrame, width: Int) throws(Fault) {
        let start = transitionStart()
        let bytes = UInt64(width / 8)
        let descriptor = try returnSegment(frame.selector)
        let level = frame.selector.requestedPrivilegeLevel
        // Flags are checked against the level and IOPL of before.
        var mask = RFLAGS.status | RFLAGS.TF | RFLAGS.DF | RFLAGS.NT
        if width != 16 { mask |= RFLAGS.RF | RFLAGS.AC | RFLAGS.ID }
        if cpl <= state.pointee.iopl { mask |= RFLAGS.IF }
        if cpl == 0 {
            mask |= RFLAGS.IOPL
            if width != 16 { mask |= RFLAGS.VIF | RFLAGS.VIP }
        }
        guard level != cpl || is64BitMode else {
            let target = try codeTarget(frame.selector, descriptor, frame.offset, level: level)
            advanceStackPointer(bytes &* 3)
            replaceFlags(frame.flags, mask: mask)
            return enter(target)
        }
        let pointer = try stackValue(at: bytes &* 3, width: width)
        let stackSelector = Selector(UInt16(truncatingIfNeeded: try stackValue(at: bytes &* 4, width: width)))
        let stack = try outerStack(stackSelector, level: level, isLongTarget: isLongModeActive && descriptor.isLong)
        let target = try codeTarget(frame.selector, descriptor, frame.offset, level: level)
        replaceFlags(frame.flags, mask: mask)
        state.pointee.ss = stack
        enter(target, level: level)
        setOuterStackPointer(pointer, width: width)
        if level != start.level {
            dropInaccessibleSegments()
            updateMode()
        }
        transitioned(from: start, .iret, switchedStack: false)
    }

    /// Replaces the flags in `mask`; `updateMode()` is left to the caller.
    func replaceFlags(_ value: UInt64, mask: UInt64) {
        if mask & RFLAGS.RF != 0 { control.pointee.loadedResumeFlag = true }
        state.pointee.rflags = state.pointee.rflags & ~mask | value & mask
    }
}
