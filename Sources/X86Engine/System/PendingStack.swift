import X86

/// A stack that a far transfer pushes on before it becomes the current one.
struct PendingStack {
    var segment: SegmentState
    var pointer: UInt64
    /// How much of the pointer is used: 16, 32 or 64 bits.
    var width: UInt8
    var privilege: AccessPrivilege
    /// What #SS reports: 0 for the current stack, the selector for a new one.
    var errorCode: UInt32 = 0

    var mask: UInt64 { width == 64 ? .max : width == 32 ? 0xFFFF_FFFF : 0xFFFF }
}

extension Processor {
    /// The current stack, to be pushed on without moving RSP yet.
    func currentStack() -> PendingStack {
        PendingStack(
            segment: state.pointee.ss, pointer: state.pointee.rsp, width: state.pointee.mode.stackWidth,
            privilege: .current)
    }

    /// #SS unless `count` elements of `bytes` bytes can be pushed.
    func requireRoom(_ stack: PendingStack, count: Int, bytes: Int) throws(Fault) {
        let size = UInt64(count &* bytes)
        let top = stack.pointer & stack.mask
        if stack.width == 64 {
            guard Self.isCanonical(top &- size), Self.isCanonical(top &- 1) else {
                throw .stackFault(stack.errorCode)
            }
            return
        }
        if top >= size || top == 0 {
            // The frame does not wrap around the end of the segment.
            guard contains(stack, (top &- size) & stack.mask, (top &- 1) & stack.mask) else {
                throw .stackFault(stack.errorCode)
            }
            return
        }
        for index in 1...max(count, 1) {
            let offset = (top &- UInt64(index &* bytes)) & stack.mask
            guard contains(stack, offset, offset &+ UInt64(bytes - 1)) else { throw .stackFault(stack.errorCode) }
        }
    }

    private func contains(_ stack: PendingStack, _ first: UInt64, _ last: UInt64) -> Bool {
        let segment = stack.segment
        if isProtectedMode {
            if segment.isUnusable || segment.isCode || !segment.isWritableOrReadable { return false }
            if segment.isExpandDown {
                return first > UInt64(segment.limit) && last <= (segment.isDefault32 ? 0xFFFF_FFFF : 0xFFFF)
            }
        }
        return last <= UInt64(segment.limit)
    }

    /// Raises what pushing `count` elements of `bytes` bytes would raise at their pages, so that nothing is written unless
    /// all of it is: what is done again, after a fault that the guest may not even see, never meets its own writes.
    func requirePages(_ stack: PendingStack, count: Int, bytes: Int) throws(Fault) {
        for index in 1...max(count, 1) {
            let offset = (stack.pointer &- UInt64(index &* bytes)) & stack.mask
            try probeWrite(linear(stack, offset), width: bytes, stack.privilege)
        }
    }

    private func linear(_ stack: PendingStack, _ offset: UInt64) -> UInt64 {
        stack.width == 64 ? offset : (stack.segment.base &+ offset) & 0xFFFF_FFFF
    }

    /// Pushes `bytes` bytes; the caller has asked for room and pages.
    func push(_ value: UInt64, bytes: Int, on stack: inout PendingStack) throws(Fault) {
        let offset = (stack.pointer &- UInt64(bytes)) & stack.mask
        try writeLinear(linear(stack, offset), value, width: bytes, stack.privilege)
        stack.pointer = stack.pointer & ~stack.mask | offset
    }

    /// Makes the stack the current one.
    func adopt(_ stack: PendingStack) {
        state.pointee.ss = stack.segment
        state.pointee.rsp = stack.width == 32 ? stack.pointer & 0xFFFF_FFFF : stack.pointer
    }

    /// SS and the stack pointer that the current TSS holds for an inner level (SDM volume 3 sections 5.8.5 and 6.12.1).
    ///
    /// #TS names the TSS if its limit is too small, or the stack selector it holds.
    func innerStack(_ level: UInt8) throws(Fault) -> PendingStack {
        let tr = state.pointee.tr
        let failure = Fault.invalidTSS(Selector(tr.selector).errorCode)
        if isLongModeActive {
            let offset = TSS64.stacks &+ UInt64(level) &* 8
            guard offset &+ 7 <= UInt64(tr.limit) else { throw failure }
            let pointer = try readSystem(tr.base &+ offset, width: 8)
            return PendingStack(
                segment: SegmentState(null: Selector(UInt16(level)), level: level), pointer: pointer, width: 64,
                privilege: .supervisor)
        }
        let wide = tr.type & 8 != 0
        let offset = wide ? TSS32.stacks &+ UInt64(level) &* 8 : TSS16.stacks &+ UInt64(level) &* 4
        guard offset &+ (wide ? 5 : 3) <= UInt64(tr.limit) else { throw failure }
        let pointer = try readSystem(tr.base &+ offset, width: wide ? 4 : 2)
        let selector = Selector(
            UInt16(truncatingIfNeeded: try readSystem(tr.base &+ offset &+ (wide ? 4 : 2), width: 2)))
        guard !selector.isNull else { throw .invalidTSS(0) }
        let segment = try stackSegment(selector, level: level, fault: 10)
        return PendingStack(
            segment: segment, pointer: pointer, width: segment.isDefault32 ? 32 : 16, privilege: .supervisor,
            errorCode: selector.errorCode)
    }
}
