import X86

// Hardware task switching with 16- and 32-bit task-state segments (SDM vol. 3 sections 8.3 to 8.5).

/// How a task is switched to; decides about busy flags, NT and the back link (SDM volume 3 table 8-2).
enum TaskSwitchReason {
    case jump
    /// CALL, or an event through a task gate.
    case nested
    /// IRET with NT set.
    case interruptReturn
}

/// What a task-state segment holds of a task.
private struct TaskImage {
    var cr3: UInt64 = 0
    var ip: UInt64 = 0
    var flags: UInt64 = 0
    /// EAX ECX EDX EBX ESP EBP ESI EDI.
    var general = SIMD8<UInt64>(repeating: 0)
    /// ES CS SS DS FS GS.
    var segments = SIMD8<UInt16>(repeating: 0)
    var ldt: UInt16 = 0
    var trap = false
}

extension Processor {
    /// Checks a TSS descriptor that JMP or CALL names, directly or by a task gate, and switches to it.
    func switchTask(
        far selector: Selector, _ descriptor: Descriptor, reason: TaskSwitchReason
    ) throws(Fault) {
        let start = transitionStart()
        var target = selector
        var segment = descriptor
        var gate: GateRecord?
        let level = max(cpl, selector.requestedPrivilegeLevel)
        guard descriptor.descriptorPrivilegeLevel >= level else { throw .generalProtection(selector.errorCode) }
        if descriptor.type == SystemDescriptorType.taskGate {
            guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
            target = descriptor.gateSelector
            guard !target.isLocal else { throw .generalProtection(target.errorCode) }
            segment = try fetchDescriptor(target)
            gate = GateRecord(
                type: descriptor.type, descriptorPrivilegeLevel: descriptor.descriptorPrivilegeLevel,
                index: selector.rawValue)
        }
        guard !target.isLocal, !segment.isCodeOrData,
            segment.type == SystemDescriptorType.availableTSS16 || segment.type == SystemDescriptorType.availableTSS32
        else { throw .generalProtection(target.errorCode) }
        guard segment.isPresent else { throw .segmentNotPresent(target.errorCode) }
        try interceptTaskSwitch(target, reason == .jump ? .jump : .call)
        try switchTask(to: target, segment, reason: reason, savedRIP: state.pointee.nextRIP)
        transitioned(from: start, .taskSwitch(selector: target.rawValue), gate: gate, switchedStack: true)
        try checkNewInstructionPointer()
    }

    /// IRET with NT set: back to the task that the current TSS links to.
    func returnFromNestedTask() throws(Fault) {
        let start = transitionStart()
        let selector = Selector(
            UInt16(truncatingIfNeeded: try readSystem(state.pointee.tr.base &+ TSS32.link, width: 2)))
        guard !selector.isLocal, !selector.isNull else { throw .invalidTSS(selector.errorCode) }
        let descriptor = try fetchDescriptor(selector, fault: 10)
        guard !descriptor.isCodeOrData,
            descriptor.type == SystemDescriptorType.busyTSS16 || descriptor.type == SystemDescriptorType.busyTSS32
        else { throw .invalidTSS(selector.errorCode) }
        guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        try interceptTaskSwitch(selector, .interruptReturn)
        try switchTask(to: selector, descriptor, reason: .interruptReturn, savedRIP: state.pointee.nextRIP)
        transitioned(from: start, .taskSwitch(selector: selector.rawValue), switchedStack: true)
        try checkNewInstructionPointer()
    }

    /// Switches tasks; the caller has checked type, privilege and presence of the descriptor.
    ///
    /// Faults up to the commit belong to the old task; those that loading the new task's segments raises are thrown
    /// with the new task's state in place, `rip` included.
    func switchTask(
        to selector: Selector, _ descriptor: Descriptor, reason: TaskSwitchReason, savedRIP: UInt64,
        savesResumeFlag: Bool = false
    ) throws(Fault) {
        let wide = descriptor.type & 8 != 0
        guard descriptor.limit >= (wide ? TSS32.minimumLimit : TSS16.minimumLimit) else {
            throw .invalidTSS(selector.errorCode)
        }
        let old = state.pointee.tr
        let oldSelector = Selector(old.selector)
        let oldIsWide = old.type & 8 != 0
        guard old.limit >= (oldIsWide ? TSS32.minimumLimit : TSS16.minimumLimit) else {
            throw .invalidTSS(oldSelector.errorCode)
        }
        // Everything that can fault in the old task's context happens before the first write.
        let image = try wide ? readTask32(descriptor.base) : readTask16(descriptor.base)
        try probeSystem(old.base &+ (oldIsWide ? TSS32.eip : TSS16.ip), last: old.base &+ (oldIsWide ? 0x5F : 0x29))
        if reason == .nested { try probeSystem(descriptor.base, last: descriptor.base &+ 1) }
        if reason != .nested, let address = descriptorAddress(oldSelector) {
            try probeSystem(address &+ 5, last: address &+ 5)
        }
        if reason != .interruptReturn, let address = descriptorAddress(selector) {
            try probeSystem(address &+ 5, last: address &+ 5)
        }

        var flags = state.pointee.rflags & ~RFLAGS.RF
        if savesResumeFlag { flags |= RFLAGS.RF }
        if reason == .interruptReturn { flags &= ~RFLAGS.NT }
        try saveTask(old.base, wide: oldIsWide, ip: savedRIP, flags: flags)
        if reason != .nested, descriptorAddress(oldSelector) != nil { try setBusy(oldSelector, false) }
        if reason != .interruptReturn { try setBusy(selector, true) }
        if reason == .nested { try writeSystem(descriptor.base, UInt64(old.selector), width: 2) }

        // The commit.
        state.pointee.tr = SegmentState(selector, descriptor)
        state.pointee.tr.attributes |= 2
        state.pointee.cr0 |= CR0.TS
        state.pointee.dr7 &= ~0x55
        debugRegistersChanged()
        state.pointee.interruptShadow = 0
        for index in 0..<8 { registers[index] = image.general[index] }
        state.pointee.rflags = image.flags
        if reason == .nested { state.pointee.systemFlags |= RFLAGS.NT }
        control.pointee.loadedResumeFlag = true
        state.pointee.rip = image.ip
        state.pointee.nextRIP = image.ip
        leaveBlockAfterThisInstruction()
        if image.trap { state.pointee.pendingDebug |= DR6.BT }
        try loadTaskSegments(image, pagingRoot: wide ? image.cr3 : nil)
    }

    /// #GP(0) in the new task if its instruction pointer is outside its code segment.
    func checkNewInstructionPointer() throws(Fault) {
        guard state.pointee.nextRIP <= UInt64(state.pointee.cs.limit) else { throw .generalProtection(0) }
    }

    private func probeSystem(_ first: UInt64, last: UInt64) throws(Fault) {
        try probeWrite(first & 0xFFFF_FFFF, width: 1, .system)
        try probeWrite(last & 0xFFFF_FFFF, width: 1, .system)
    }

    private func readTask32(_ base: UInt64) throws(Fault) -> TaskImage {
        var image = TaskImage()
        image.cr3 = try readSystem(base &+ TSS32.cr3, width: 4)
        image.ip = try readSystem(base &+ TSS32.eip, width: 4)
        image.flags = try readSystem(base &+ TSS32.eflags, width: 4)
        for index in 0..<8 {
            image.general[index] = try readSystem(base &+ TSS32.general &+ UInt64(index) &* 4, width: 4)
        }
        for index in 0..<6 {
            image.segments[index] = UInt16(
                truncatingIfNeeded: try readSystem(base &+ TSS32.segments &+ UInt64(index) &* 4, width: 2))
        }
        image.ldt = UInt16(truncatingIfNeeded: try readSystem(base &+ TSS32.ldt, width: 2))
        image.trap = try readSystem(base &+ TSS32.trap, width: 2) & 1 != 0
        return image
    }

    private func readTask16(_ base: UInt64) throws(Fault) -> TaskImage {
        var image = TaskImage()
        image.ip = try readSystem(base &+ TSS16.ip, width: 2)
        image.flags = try readSystem(base &+ TSS16.flags, width: 2)
        for index in 0..<8 {
            // The upper halves are undefined; emulators and processors leave ones.
            image.general[index] =
                0xFFFF_0000 | (try readSystem(base &+ TSS16.general &+ UInt64(index) &* 2, width: 2))
        }
        for index in 0..<4 {
            image.segments[index] = UInt16(
                truncatingIfNeeded: try readSystem(base &+ TSS16.segments &+ UInt64(index) &* 2, width: 2))
        }
        image.ldt = UInt16(truncatingIfNeeded: try readSystem(base &+ TSS16.ldt, width: 2))
        return image
    }

    private func saveTask(_ base: UInt64, wide: Bool, ip: UInt64, flags: UInt64) throws(Fault) {
        let bytes = wide ? 4 : 2
        let step = UInt64(bytes)
        try writeSystem(base &+ (wide ? TSS32.eip : TSS16.ip), ip, width: bytes)
        try writeSystem(base &+ (wide ? TSS32.eflags : TSS16.flags), flags, width: bytes)
        for index in 0..<8 {
            try writeSystem(
                base &+ (wide ? TSS32.general : TSS16.general) &+ UInt64(index) &* step, registers[index],
                width: bytes)
        }
        let segments = wide ? TSS32.segments : TSS16.segments
        for index in 0..<(wide ? 6 : 4) {
            try writeSystem(
                base &+ segments &+ UInt64(index) &* step,
                UInt64(state.pointee.segment(Register.segment(index)).selector), width: 2)
        }
    }

    /// Steps 12 and 13 of SDM volume 3 section 8.3, in the context of the new task.
    private func loadTaskSegments(_ image: TaskImage, pagingRoot: UInt64?) throws(Fault) {
        let names: [Register] = [.es, .cs, .ss, .ds, .fs, .gs]
        let virtual8086 = isVirtual8086
        let level: UInt8 = virtual8086 ? 3 : Selector(image.segments[1]).requestedPrivilegeLevel
        // Selectors first: a fault below finds them with their hidden parts invalid.
        for (index, name) in names.enumerated() {
            state.pointee.setSegment(name, SegmentState(null: Selector(image.segments[index]), level: level))
        }
        state.pointee.ldtr = SegmentState(null: Selector(image.ldt))
        state.pointee.cpl = level
        updateMode()
        if let pagingRoot, state.pointee.cr0 & CR0.PG != 0, pagingRoot != state.pointee.cr3 {
            try loadPageDirectoryPointers(root: pagingRoot)
            state.pointee.cr3 = pagingRoot
            flushTLB()
        } else if pagingRoot != nil, state.pointee.cr0 & CR0.PG != 0 {
            flushTLB()
        }

        let ldt = Selector(image.ldt)
        if !ldt.isNull {
            guard !ldt.isLocal else { throw .invalidTSS(ldt.errorCode) }
            let descriptor = try fetchDescriptor(ldt, fault: 10)
            guard !descriptor.isCodeOrData, descriptor.type == SystemDescriptorType.ldt, descriptor.isPresent else {
                throw .invalidTSS(ldt.errorCode)
            }
            state.pointee.ldtr = SegmentState(ldt, descriptor)
        }
        if virtual8086 {
            for (index, name) in names.enumerated() {
                let selector = image.segments[index]
                state.pointee.setSegment(
                    name,
                    SegmentState(
                        selector: selector, base: UInt64(selector) << 4, limit: 0xFFFF, attributes: 0xF3))
            }
            updateMode()
            return
        }
        let cs = Selector(image.segments[1])
        guard !cs.isNull else { throw .invalidTSS(0) }
        var code = try fetchDescriptor(cs, fault: 10)
        guard code.isCode,
            code.isConforming
                ? code.descriptorPrivilegeLevel <= level : code.descriptorPrivilegeLevel == level
        else { throw .invalidTSS(cs.errorCode) }
        guard code.isPresent else { throw .segmentNotPresent(cs.errorCode) }
        try markAccessed(cs, &code)
        state.pointee.cs = SegmentState(cs, code)
        let ss = Selector(image.segments[2])
        guard !ss.isNull else { throw .invalidTSS(0) }
        state.pointee.ss = try stackSegment(ss, level: level, fault: 10)
        updateMode()
        for index in [0, 3, 4, 5] {
            let selector = Selector(image.segments[index])
            do throws(Fault) {
                try loadSegment(names[index], selector.rawValue)
            } catch {
                throw error.vector == 13 ? .invalidTSS(error.errorCode ?? 0) : error
            }
        }
        updateMode()
    }
}
