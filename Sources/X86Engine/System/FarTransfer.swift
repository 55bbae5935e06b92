import X86

// Far JMP, CALL and RET (SDM vol. 2; vol. 3 section 5.8).

/// A code segment and an offset in it, checked and ready to be entered.
struct CodeTarget {
    var segment: SegmentState
    var offset: UInt64
}

extension Processor {
    /// JMP and CALL with a far pointer, direct or in memory.
    func transferFar(_ instruction: borrowing Instruction, isCall: Bool) throws(Fault) {
        let offset: UInt64
        let selector: Selector
        switch instruction.operands.0.kind {
        case .farPointer:
            offset = truncate(instruction.immediate, width: Int(instruction.operandSize))
            selector = Selector(UInt16(truncatingIfNeeded: instruction.immediate2))
        case .memory:
            let pointer = try readFarPointer(instruction)
            offset = pointer.offset
            selector = Selector(pointer.selector)
        case .none, .register, .immediate, .immediate2, .relative, .memoryDestination: throw .invalidOpcode
        }
        let bytes = Int(instruction.operandSize) / 8
        leaveBlockAfterThisInstruction()
        guard isProtectedMode else {
            return try transferUnprotected(selector, offset, bytes: bytes, isCall: isCall)
        }
        guard !selector.isNull else { throw .generalProtection(0) }
        let descriptor = try fetchDescriptor(selector)
        if descriptor.isCodeOrData {
            let target = try directTarget(selector, descriptor, offset)
            if isCall { try pushReturn(bytes: bytes, target) }
            return enter(target)
        }
        switch descriptor.type {
        case SystemDescriptorType.callGate16, SystemDescriptorType.callGate32:
            try transferThroughGate(selector, descriptor, isCall: isCall)
        case SystemDescriptorType.taskGate, SystemDescriptorType.availableTSS16, SystemDescriptorType.availableTSS32,
            SystemDescriptorType.busyTSS16, SystemDescriptorType.busyTSS32:
            guard !isLongModeActive else { throw .generalProtection(selector.errorCode) }
            try switchTask(far: selector, descriptor, reason: isCall ? .nested : .jump)
        default: throw .generalProtection(selector.errorCode)
        }
    }

    /// Real-address and virtual-8086 mode.
    private func transferUnprotected(
        _ selector: Selector, _ offset: UInt64, bytes: Int, isCall: Bool
    ) throws(Fault) {
        let segment = unprotectedSegment(selector.rawValue, replacing: state.pointee.cs)
        guard offset <= UInt64(segment.limit) else { throw .generalProtection(0) }
        if isCall {
            var stack = currentStack()
            try pushReturn(bytes: bytes, on: &stack)
            adopt(stack)
        }
        enter(CodeTarget(segment: segment, offset: offset))
    }

    /// A code segment named by JMP or CALL itself: the level stays.
    private func directTarget(
        _ selector: Selector, _ descriptor: Descriptor, _ offset: UInt64
    ) throws(Fault) -> CodeTarget {
        guard descriptor.isCode else { throw .generalProtection(selector.errorCode) }
        if descriptor.isConforming {
            guard descriptor.descriptorPrivilegeLevel <= cpl else { throw .generalProtection(selector.errorCode) }
        } else {
            guard selector.requestedPrivilegeLevel <= cpl, descriptor.descriptorPrivilegeLevel == cpl else {
                throw .generalProtection(selector.errorCode)
            }
        }
        return try codeTarget(selector, descriptor, offset, level: cpl)
    }

    /// The common end of all checks of a code segment: L with D, presence, offset, accessed flag.
    func codeTarget(
        _ selector: Selector, _ descriptor: Descriptor, _ offset: UInt64, level: UInt8
    ) throws(Fault) -> CodeTarget {
        var descriptor = descriptor
        let long = isLongModeActive && descriptor.isLong
        guard !(long && descriptor.isDefault32) else { throw .generalProtection(selector.errorCode) }
        guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        if long {
            guard Self.isCanonical(offset) else { throw .generalProtection(0) }
        } else {
            guard offset <= UInt64(descriptor.limit) else { throw .generalProtection(0) }
        }
        try markAccessed(selector, &descriptor)
        return CodeTarget(
            segment: SegmentState(selector.with(requestedPrivilegeLevel: level), descriptor), offset: offset)
    }

    /// Loads CS and the instruction pointer.
    func enter(_ target: CodeTarget, level: UInt8? = nil) {
        state.pointee.cs = target.segment
        state.pointee.nextRIP = target.offset
        if let level { state.pointee.cpl = level }
        updateMode()
    }

    /// Pushes CS and the instruction pointer for a call that keeps the level.
    private func pushReturn(bytes: Int, _ target: CodeTarget) throws(Fault) {
        var stack = currentStack()
        // A call from compatibility into 64-bit mode pushes on the stack as 64-bit mode sees it.
        if isLongModeActive && target.segment.isLong { stack.width = 64 }
        try pushReturn(bytes: bytes, on: &stack)
        adopt(stack)
    }

    private func pushReturn(bytes: Int, on stack: inout PendingStack) throws(Fault) {
        try requireRoom(stack, count: 2, bytes: bytes)
        try requirePages(stack, count: 2, bytes: bytes)
        try push(UInt64(state.pointee.cs.selector), bytes: bytes, on: &stack)
        try push(state.pointee.nextRIP, bytes: bytes, on: &stack)
    }

    /// JMP and CALL through a call gate (SDM volume 3 sections 5.8.3 to 5.8.5).
    private func transferThroughGate(_ gateSelector: Selector, _ first: Descriptor, isCall: Bool) throws(Fault) {
        let start = transitionStart()
        let level = cpl
        let gateFault = Fault.generalProtection(gateSelector.errorCode)
        guard first.descriptorPrivilegeLevel >= max(level, gateSelector.requestedPrivilegeLevel) else {
            throw gateFault
        }
        var gate = first
        if isLongModeActive {
            // Only 64-bit gates exist, 16 bytes long (section 5.8.3.1).
            guard first.type == SystemDescriptorType.callGate32 else { throw gateFault }
            gate = try fetchSystemDescriptor(gateSelector)
            guard gate.highType == 0 else { throw gateFault }
        }
        guard gate.isPresent else { throw .segmentNotPresent(gateSelector.errorCode) }
        let selector = gate.gateSelector
        guard !selector.isNull else { throw .generalProtection(0) }
        let code = try fetchDescriptor(selector)
        guard code.isCode, code.descriptorPrivilegeLevel <= level else {
            throw .generalProtection(selector.errorCode)
        }
        if isLongModeActive {
            guard code.isLong, !code.isDefault32 else { throw .generalProtection(selector.errorCode) }
        }
        let entersInner = isCall && !code.isConforming && code.descriptorPrivilegeLevel < level
        if !isCall && !code.isConforming {
            guard code.descriptorPrivilegeLevel == level else { throw .generalProtection(selector.errorCode) }
        }
        let wide = gate.type == SystemDescriptorType.callGate32
        let offset = isLongModeActive ? gate.gateOffset64 : wide ? gate.gateOffset32 : gate.gateOffset16
        let newLevel = entersInner ? code.descriptorPrivilegeLevel : level
        let target = try codeTarget(selector, code, offset, level: newLevel)
        if isCall {
            let bytes = isLongModeActive ? 8 : wide ? 4 : 2
            let stack =
                entersInner
                ? try stackOfInnerCall(gate, level: newLevel, bytes: bytes)
                : try stackOfSameLevelCall(bytes: bytes)
            adopt(stack)
        }
        enter(target, level: newLevel)
        transitioned(
            from: start, .callGate(selector: gateSelector.rawValue),
            gate: GateRecord(
                type: gate.type, descriptorPrivilegeLevel: gate.descriptorPrivilegeLevel,
                index: gateSelector.rawValue),
            switchedStack: entersInner)
    }

    private func stackOfSameLevelCall(bytes: Int) throws(Fault) -> PendingStack {
        var stack = currentStack()
        if bytes == 8 { stack.width = 64 }
        try pushReturn(bytes: bytes, on: &stack)
        return stack
    }

    /// The inner stack with the caller's stack pointer, parameters and return address on it.
    private func stackOfInnerCall(_ gate: Descriptor, level: UInt8, bytes: Int) throws(Fault) -> PendingStack {
        var stack = try innerStack(level)
        let count = bytes == 8 ? 0 : gate.parameterCount
        try requireRoom(stack, count: 4 + count, bytes: bytes)
        // All parameters are read before anything is written: the stacks may overlap.
        var parameters = SIMD32<UInt32>(repeating: 0)
        for index in 0..<count {
            parameters[index] = UInt32(
                truncatingIfNeeded: try stackValue(at: UInt64((count - 1 - index) * bytes), width: bytes * 8))
        }
        try requirePages(stack, count: 4 + count, bytes: bytes)
        try push(UInt64(state.pointee.ss.selector), bytes: bytes, on: &stack)
        try push(state.pointee.rsp, bytes: bytes, on: &stack)
        for index in 0..<count { try push(UInt64(parameters[index]), bytes: bytes, on: &stack) }
        try push(UInt64(state.pointee.cs.selector), bytes: bytes, on: &stack)
        try push(state.pointee.nextRIP, bytes: bytes, on: &stack)
        return stack
    }

    /// RET far, with the bytes that its immediate releases.
    func returnFar(_ instruction: borrowing Instruction) throws(Fault) {
        let width = Int(instruction.operandSize)
        let bytes = UInt64(width / 8)
        let released = instruction.operands.0.kind == .immediate ? instruction.immediate & 0xFFFF : 0
        leaveBlockAfterThisInstruction()
        let offset = try stackValue(at: 0, width: width)
        let selector = Selector(UInt16(truncatingIfNeeded: try stackValue(at: bytes, width: width)))
        guard isProtectedMode else {
            let segment = unprotectedSegment(selector.rawValue, replacing: state.pointee.cs)
            guard offset <= UInt64(segment.limit) else { throw .generalProtection(0) }
            advanceStackPointer(bytes &* 2 &+ released)
            return enter(CodeTarget(segment: segment, offset: offset))
        }
        let start = transitionStart()
        let descriptor = try returnSegment(selector)
        let level = selector.requestedPrivilegeLevel
        if level == cpl {
            let target = try codeTarget(selector, descriptor, offset, level: level)
            advanceStackPointer(bytes &* 2 &+ released)
            return enter(target)
        }
        let pointer = try stackValue(at: bytes &* 2 &+ released, width: width)
        let stackSelector = Selector(
            UInt16(truncatingIfNeeded: try stackValue(at: bytes &* 3 &+ released, width: width)))
        let stack = try outerStack(stackSelector, level: level, isLongTarget: isLongModeActive && descriptor.isLong)
        let target = try codeTarget(selector, descriptor, offset, level: level)
        state.pointee.ss = stack
        enter(target, level: level)
        setOuterStackPointer(pointer, width: width)
        advanceStackPointer(released)
        dropInaccessibleSegments()
        updateMode()
        transitioned(from: start, .farReturn, switchedStack: false)
    }

    /// The code segment a far RET or IRET returns to.
    func returnSegment(_ selector: Selector) throws(Fault) -> Descriptor {
        guard !selector.isNull else { throw .generalProtection(0) }
        let descriptor = try fetchDescriptor(selector)
        let level = selector.requestedPrivilegeLevel
        guard descriptor.isCode, level >= cpl,
            descriptor.isConforming
                ? descriptor.descriptorPrivilegeLevel <= level : descriptor.descriptorPrivilegeLevel == level
        else { throw .generalProtection(selector.errorCode) }
        guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        return descriptor
    }

    /// The stack segment a far RET or IRET returns to; null is allowed when returning to 64-bit mode outside ring 3.
    func outerStack(_ selector: Selector, level: UInt8, isLongTarget: Bool) throws(Fault) -> SegmentState {
        if selector.isNull {
            guard isLongTarget, level != 3 else { throw .generalProtection(0) }
            return SegmentState(null: selector, level: level)
        }
        return try stackSegment(selector, level: level, fault: 13)
    }

    /// Loads the popped stack pointer: as wide as was popped, or as the new stack segment uses.
    func setOuterStackPointer(_ pointer: UInt64, width: Int) {
        if state.pointee.mode.stackWidth == 64 {
            state.pointee.rsp = pointer
        } else if state.pointee.mode.stackWidth == 32 {
            state.pointee.rsp = pointer & 0xFFFF_FFFF
        } else {
            state.pointee.rsp = state.pointee.rsp & ~0xFFFF | pointer & 0xFFFF
        }
    }
}
