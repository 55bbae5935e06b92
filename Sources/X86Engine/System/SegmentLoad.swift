import X86

// Loading DS, ES, FS, GS and SS (SDM vol. 2, MOV, POP and LDS; vol. 3 section 5.6 and 5.7).

extension Processor {
    /// Loads a data or stack segment register with all checks of the mode; CS gives #UD.
    ///
    /// Nothing has changed if a fault is thrown.
    package func loadSegment(_ register: Register, _ value: UInt16) throws(Fault) {
        guard register != .cs else { throw .invalidOpcode }
        if isProtectedMode {
            let loaded =
                register == .ss ? try stackSegment(Selector(value)) : try dataSegment(Selector(value))
            state.pointee.setSegment(register, loaded)
        } else {
            state.pointee.setSegment(register, unprotectedSegment(value, replacing: state.pointee.segment(register)))
        }
        switch register {
        case .ss, .ds, .es: updateMode()
        default: break
        }
    }

    /// What a segment register holds after a load in real or virtual-8086 mode.
    ///
    /// Real mode keeps limit, granularity and size (SDM volume 3 section 20.1.1 leaves them to what was loaded before).
    func unprotectedSegment(_ selector: UInt16, replacing old: SegmentState) -> SegmentState {
        let base = UInt64(selector) << 4
        if isVirtual8086 { return SegmentState(selector: selector, base: base, limit: 0xFFFF, attributes: 0xF3) }
        return SegmentState(
            selector: selector, base: base, limit: old.isUnusable ? 0xFFFF : old.limit,
            attributes: old.isUnusable ? 0x93 : old.attributes & 0xC000 | 0x93)
    }

    private func dataSegment(_ selector: Selector) throws(Fault) -> SegmentState {
        if selector.isNull { return SegmentState(null: selector) }
        var descriptor = try fetchDescriptor(selector)
        guard descriptor.isData || descriptor.isReadableCode else { throw .generalProtection(selector.errorCode) }
        if !descriptor.isConforming {
            guard max(selector.requestedPrivilegeLevel, cpl) <= descriptor.descriptorPrivilegeLevel else {
                throw .generalProtection(selector.errorCode)
            }
        }
        guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        try markAccessed(selector, &descriptor)
        return SegmentState(selector, descriptor)
    }

    private func stackSegment(_ selector: Selector) throws(Fault) -> SegmentState {
        if selector.isNull {
            // 64-bit mode allows a null SS outside ring 3 (SDM vol. 3 section 5.4.1.1).
            guard is64BitMode, cpl != 3, selector.requestedPrivilegeLevel == cpl else { throw .generalProtection(0) }
            return SegmentState(null: selector, level: cpl)
        }
        return try stackSegment(selector, level: cpl, fault: 13)
    }

    /// A stack segment for privilege level `level`.
    ///
    /// Failures are reported by exception `vector`: #GP for loads and returns, #TS for stacks that a TSS names; a segment
    /// that is not present gives #SS.
    func stackSegment(_ selector: Selector, level: UInt8, fault vector: UInt8) throws(Fault) -> SegmentState {
        var descriptor = try fetchDescriptor(selector, fault: vector)
        guard selector.requestedPrivilegeLevel == level, descriptor.isWritableData,
            descriptor.descriptorPrivilegeLevel == level
        else { throw Fault(vector: vector, errorCode: selector.errorCode) }
        guard descriptor.isPresent else { throw .stackFault(selector.errorCode) }
        try markAccessed(selector, &descriptor)
        return SegmentState(selector, descriptor)
    }

    /// Makes DS, ES, FS and GS null if the level just returned to may not use them (SDM volume 2, RET and IRET).
    func dropInaccessibleSegments() {
        let level = cpl
        func checked(_ segment: SegmentState) -> SegmentState {
            guard !segment.isUnusable, segment.descriptorPrivilegeLevel < level, !segment.isConforming else {
                return segment
            }
            return SegmentState(null: Selector(0))
        }
        state.pointee.ds = checked(state.pointee.ds)
        state.pointee.es = checked(state.pointee.es)
        state.pointee.fs = checked(state.pointee.fs)
        state.pointee.gs = checked(state.pointee.gs)
    }

    /// LDS, LES, LFS, LGS and LSS: an offset and a selector from memory.
    func loadFarPointer(_ instruction: borrowing Instruction, _ register: Register) throws(Fault) {
        guard instruction.operands.1.kind == .memory else { throw .invalidOpcode }
        let (offset, selector) = try readFarPointer(instruction)
        try loadSegment(register, selector)
        setGeneral(instruction.operands.0.register, offset)
    }

    /// Reads m16:16, m16:32 or m16:64.
    func readFarPointer(_ instruction: borrowing Instruction) throws(Fault) -> (offset: UInt64, selector: UInt16) {
        let bytes = Int(instruction.operandSize) / 8
        let address = effectiveAddress(instruction)
        let addressSize = Int(instruction.addressSize)
        let offset = try readMemory(instruction.memory.segment, address, width: bytes)
        let selector = try readMemory(
            instruction.memory.segment, truncate(address &+ UInt64(bytes), width: addressSize), width: 2)
        return (offset, UInt16(truncatingIfNeeded: selector))
    }

    /// MOV to and from a segment, control or debug register; `nil` register classes are not for this function.
    func moveSystemRegister(_ instruction: borrowing Instruction) throws(Fault) {
        let destination = instruction.operands.0
        let source = instruction.operands.1
        if destination.kind == .register {
            switch destination.register.class {
            case .segment:
                guard destination.register != .cs else { throw .invalidOpcode }
                let value = try read(source, of: instruction)
                try loadSegment(destination.register, UInt16(truncatingIfNeeded: value))
                if destination.register == .ss { shadowAfterStackSegment() }
                return
            case .control: return try writeControlRegister(instruction)
            case .debug: return try writeDebugRegister(instruction)
            case .general64, .general32, .general16, .general8, .general8High, .x87, .mmx, .xmm, .instructionPointer,
                .none:
                break
            }
        }
        switch source.register.class {
        case .segment: try write(destination, of: instruction, UInt64(state.pointee.segment(source.register).selector))
        case .control: try readControlRegister(instruction)
        case .debug: try readDebugRegister(instruction)
        case .general64, .general32, .general16, .general8, .general8High, .x87, .mmx, .xmm, .instructionPointer, .none:
            throw .invalidOpcode
        }
    }

    /// POP to a segment register.
    func popSegment(_ instruction: borrowing Instruction) throws(Fault) {
        let register = instruction.operands.0.register
        let value = try stackValue(at: 0, width: Int(instruction.operandSize))
        let pointer = state.pointee.rsp
        let stackWidth = Int(state.pointee.mode.stackWidth)
        try loadSegment(register, UInt16(truncatingIfNeeded: value))
        // POP SS moves the pointer of the old stack.
        let next = pointer &+ UInt64(instruction.operandSize / 8)
        state.pointee.rsp =
            stackWidth == 16 ? pointer & ~0xFFFF | next & 0xFFFF : truncate(next, width: stackWidth)
        if register == .ss { shadowAfterStackSegment() }
    }

    /// Interrupts and debug traps wait until the next instruction has loaded the stack pointer (SDM volume 3 6.8.3).
    private func shadowAfterStackSegment() {
        state.pointee.interruptShadow |= InterruptShadow.movSS
        leaveBlockAfterThisInstruction()
    }
}
