import X86

// Entering a handler through the interrupt vector table, a 32-bit IDT or a 64-bit IDT (SDM vol. 2, INT n; vol. 3
// sections 6.10 to 6.14 and 21.3). Nothing has changed when a fault is thrown, but for task switches.

extension Processor {
    /// Enters the handler of an event; afterwards `nextRIP` is its first instruction.
    func enterHandler(_ event: EventToDeliver) throws(Fault) {
        let start = transitionStart()
        if isRealMode {
            try enterRealModeHandler(event)
        } else if isLongModeActive {
            try enterLongModeHandler(event, start)
        } else if isVirtual8086, event.source == .softwareInterrupt, try redirectsInterrupt(event.vector) {
            try enterVirtual8086Handler(event)
        } else {
            try enterProtectedModeHandler(event, start)
        }
        leaveBlockAfterThisInstruction()
        if event.source == .nonMaskableInterrupt && event.blocksNMIs { blockNMIs() }
    }

    /// RFLAGS as it is saved.
    private func savedFlags(_ event: EventToDeliver) -> UInt64 {
        event.savesResumeFlag ? state.pointee.rflags | RFLAGS.RF : state.pointee.rflags & ~RFLAGS.RF
    }

    private func enterRealModeHandler(_ event: EventToDeliver) throws(Fault) {
        let offset = UInt64(event.vector) &* 4
        guard offset &+ 3 <= UInt64(state.pointee.idtr.limit) else { throw .generalProtection(event.gateErrorCode) }
        let entry = try readSystem(state.pointee.idtr.base &+ offset, width: 4)
        var stack = currentStack()
        try requireRoom(stack, count: 3, bytes: 2)
        let target = entry & 0xFFFF
        let segment = unprotectedSegment(UInt16(truncatingIfNeeded: entry >> 16), replacing: state.pointee.cs)
        guard target <= UInt64(segment.limit) else { throw .generalProtection(0) }
        try requirePages(stack, count: 3, bytes: 2)
        try push(savedFlags(event), bytes: 2, on: &stack)
        try push(UInt64(state.pointee.cs.selector), bytes: 2, on: &stack)
        try push(event.returnRIP, bytes: 2, on: &stack)
        adopt(stack)
        state.pointee.cs = segment
        state.pointee.nextRIP = target
        state.pointee.systemFlags &= ~(RFLAGS.IF | RFLAGS.TF | RFLAGS.RF | RFLAGS.AC)
        updateMode()
    }

    private func enterProtectedModeHandler(_ event: EventToDeliver, _ start: TransitionStart) throws(Fault) {
        let gateCode = event.gateErrorCode
        let offset = UInt64(event.vector) &* 8
        guard offset &+ 7 <= UInt64(state.pointee.idtr.limit) else { throw .generalProtection(gateCode) }
        let gate = Descriptor(low: try readSystem(state.pointee.idtr.base &+ offset, width: 8))
        let wide: Bool
        let clearsInterruptFlag: Bool
        switch gate.isCodeOrData ? 0 : gate.type {
        case SystemDescriptorType.taskGate: (wide, clearsInterruptFlag) = (true, false)
        case SystemDescriptorType.interruptGate16: (wide, clearsInterruptFlag) = (false, true)
        case SystemDescriptorType.trapGate16: (wide, clearsInterruptFlag) = (false, false)
        case SystemDescriptorType.interruptGate32: (wide, clearsInterruptFlag) = (true, true)
        case SystemDescriptorType.trapGate32: (wide, clearsInterruptFlag) = (true, false)
        default: throw .generalProtection(gateCode)
        }
        if event.source.checksGatePrivilege {
            guard gate.descriptorPrivilegeLevel >= cpl else { throw .generalProtection(gateCode) }
        }
        guard gate.isPresent else { throw .segmentNotPresent(gateCode) }
        if gate.type == SystemDescriptorType.taskGate {
            return try enterTask(event, gate, start)
        }
        let (selector, code) = try handlerSegment(gate)
        let target = wide ? gate.gateOffset32 : gate.gateOffset16
        let bytes = wide ? 4 : 2
        let fromVirtual8086 = isVirtual8086
        let entersInner = !code.isConforming && code.descriptorPrivilegeLevel < cpl
        let level = entersInner ? code.descriptorPrivilegeLevel : cpl
        // A virtual-8086 task may only be interrupted by a nonconforming handler at level 0.
        guard !fromVirtual8086 || level == 0 else { throw .generalProtection(selector.errorCode) }

        var stack = entersInner ? try innerStack(level) : currentStack()
        let count = (fromVirtual8086 ? 9 : entersInner ? 5 : 3) + (event.errorCode == nil ? 0 : 1)
        // The checks of a new stack are those of protected mode also when virtual-8086 mode is left.
        if fromVirtual8086 {
            try withoutVirtual8086 { () throws(Fault) in try requireRoom(stack, count: count, bytes: bytes) }
        } else {
            try requireRoom(stack, count: count, bytes: bytes)
        }
        guard target <= UInt64(code.limit) else { throw .generalProtection(0) }
        try requirePages(stack, count: count, bytes: bytes)
        if fromVirtual8086 {
            try push(UInt64(state.pointee.gs.selector), bytes: bytes, on: &stack)
            try push(UInt64(state.pointee.fs.selector), bytes: bytes, on: &stack)
            try push(UInt64(state.pointee.ds.selector), bytes: bytes, on: &stack)
            try push(UInt64(state.pointee.es.selector), bytes: bytes, on: &stack)
        }
        if entersInner {
            try push(UInt64(state.pointee.ss.selector), bytes: bytes, on: &stack)
            try push(state.pointee.rsp, bytes: bytes, on: &stack)
        }
        try push(savedFlags(event), bytes: bytes, on: &stack)
        try push(UInt64(state.pointee.cs.selector), bytes: bytes, on: &stack)
        try push(event.returnRIP, bytes: bytes, on: &stack)
        if let errorCode = event.errorCode { try push(UInt64(errorCode), bytes: bytes, on: &stack) }

        adopt(stack)
        state.pointee.cs = SegmentState(selector.with(requestedPrivilegeLevel: level), code)
        if fromVirtual8086 {
            let null = SegmentState(null: Selector(0))
            state.pointee.gs = null
            state.pointee.fs = null
            state.pointee.ds = null
            state.pointee.es = null
        }
        finishEntry(target, level: level, clearsInterruptFlag: clearsInterruptFlag)
        transitioned(from: start, event.cause, gate: gateRecord(gate, event.vector), switchedStack: entersInner)
    }

    private func enterLongModeHandler(_ event: EventToDeliver, _ start: TransitionStart) throws(Fault) {
        let gateCode = event.gateErrorCode
        let offset = UInt64(event.vector) &* 16
        guard offset &+ 15 <= UInt64(state.pointee.idtr.limit) else { throw .generalProtection(gateCode) }
        let address = state.pointee.idtr.base &+ offset
        let gate = Descriptor(
            low: try readSystem(address, width: 8), high: try readSystem(address &+ 8, width: 8))
        guard !gate.isCodeOrData,
            gate.type == SystemDescriptorType.interruptGate32 || gate.type == SystemDescriptorType.trapGate32
        else { throw .generalProtection(gateCode) }
        if event.source.checksGatePrivilege {
            guard gate.descriptorPrivilegeLevel >= cpl else { throw .generalProtection(gateCode) }
        }
        guard gate.isPresent else { throw .segmentNotPresent(gateCode) }
        let (selector, code) = try handlerSegment(gate)
        guard code.isLong, !code.isDefault32 else { throw .generalProtection(selector.errorCode) }
        let entersInner = !code.isConforming && code.descriptorPrivilegeLevel < cpl
        let level = entersInner ? code.descriptorPrivilegeLevel : cpl

        var stack = currentStack()
        stack.width = 64
        if gate.interruptStack != 0 {
            let offset = TSS64.interruptStacks &+ (gate.interruptStack &- 1) &* 8
            guard offset &+ 7 <= UInt64(state.pointee.tr.limit) else {
                throw .invalidTSS(Selector(state.pointee.tr.selector).errorCode)
            }
            stack.pointer = try readSystem(state.pointee.tr.base &+ offset, width: 8)
            if entersInner { stack.segment = SegmentState(null: Selector(UInt16(level)), level: level) }
        } else if entersInner {
            stack = try innerStack(level)
        }
        stack.privilege = level < 3 ? .supervisor : .current
        stack.pointer &= ~0xF
        let count = event.errorCode == nil ? 5 : 6
        try requireRoom(stack, count: count, bytes: 8)
        let target = gate.gateOffset64
        guard Self.isCanonical(target) else { throw .generalProtection(0) }
        try requirePages(stack, count: count, bytes: 8)
        try push(UInt64(state.pointee.ss.selector), bytes: 8, on: &stack)
        try push(state.pointee.rsp, bytes: 8, on: &stack)
        try push(savedFlags(event), bytes: 8, on: &stack)
        try push(UInt64(state.pointee.cs.selector), bytes: 8, on: &stack)
        try push(event.returnRIP, bytes: 8, on: &stack)
        if let errorCode = event.errorCode { try push(UInt64(errorCode), bytes: 8, on: &stack) }

        adopt(stack)
        state.pointee.cs = SegmentState(selector.with(requestedPrivilegeLevel: level), code)
        finishEntry(target, level: level, clearsInterruptFlag: gate.type == SystemDescriptorType.interruptGate32)
        transitioned(
            from: start, event.cause, gate: gateRecord(gate, event.vector),
            switchedStack: entersInner || gate.interruptStack != 0)
    }

    /// The code segment that a gate of the IDT leads to, checked but for what the modes add.
    private func handlerSegment(_ gate: Descriptor) throws(Fault) -> (Selector, Descriptor) {
        let selector = gate.gateSelector
        guard !selector.isNull else { throw .generalProtection(0) }
        var code = try fetchDescriptor(selector)
        guard code.isCode, code.descriptorPrivilegeLevel <= cpl else { throw .generalProtection(selector.errorCode) }
        guard code.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        try markAccessed(selector, &code)
        return (selector, code)
    }

    private func finishEntry(_ target: UInt64, level: UInt8, clearsInterruptFlag: Bool) {
        state.pointee.cpl = level
        state.pointee.nextRIP = target
        var cleared = RFLAGS.TF | RFLAGS.NT | RFLAGS.RF | RFLAGS.VM
        if clearsInterruptFlag { cleared |= RFLAGS.IF }
        state.pointee.systemFlags &= ~cleared
        updateMode()
    }

    /// Runs a check as if RFLAGS.VM were clear.
    private func withoutVirtual8086(_ body: () throws(Fault) -> Void) throws(Fault) {
        state.pointee.systemFlags &= ~RFLAGS.VM
        defer { state.pointee.systemFlags |= RFLAGS.VM }
        try body()
    }

    func gateRecord(_ gate: Descriptor, _ index: UInt8) -> GateRecord {
        GateRecord(
            type: gate.type, descriptorPrivilegeLevel: gate.descriptorPrivilegeLevel, index: UInt16(index))
    }

    /// An event through a task gate (SDM volume 3 section 6.12.2).
    private func enterTask(_ event: EventToDeliver, _ gate: Descriptor, _ start: TransitionStart) throws(Fault) {
        let selector = gate.gateSelector
        guard !selector.isLocal else { throw .generalProtection(selector.errorCode) }
        let descriptor = try fetchDescriptor(selector)
        guard !descriptor.isCodeOrData,
            descriptor.type == SystemDescriptorType.availableTSS16
                || descriptor.type == SystemDescriptorType.availableTSS32
        else { throw .generalProtection(selector.errorCode) }
        guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        try interceptTaskSwitch(selector, .gate, errorCode: event.errorCode)
        let resume = event.savesResumeFlag
        try switchTask(to: selector, descriptor, reason: .nested, savedRIP: event.returnRIP, savesResumeFlag: resume)
        if let errorCode = event.errorCode {
            let bytes = descriptor.type == SystemDescriptorType.availableTSS32 ? 4 : 2
            var stack = currentStack()
            try requireRoom(stack, count: 1, bytes: bytes)
            try push(UInt64(errorCode), bytes: bytes, on: &stack)
            adopt(stack)
        }
        transitioned(
            from: start, .taskSwitch(selector: selector.rawValue), gate: gateRecord(gate, event.vector),
            switchedStack: true)
        try checkNewInstructionPointer()
    }
}
