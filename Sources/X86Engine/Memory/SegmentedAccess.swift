import X86

// Memory by segment and offset: the checks of SDM vol. 3 sections 5.3 to 5.5 for data and stack references, then the
// linear access.

extension ProcessorState {
    /// The hidden part of a segment register named by an instruction.
    package func segment(_ register: Register) -> SegmentState {
        switch register {
        case .es: es
        case .cs: cs
        case .ss: ss
        case .fs: fs
        case .gs: gs
        default: ds
        }
    }

    /// Replaces a segment register, hidden part and all.
    package mutating func setSegment(_ register: Register, _ value: SegmentState) {
        switch register {
        case .es: es = value
        case .cs: cs = value
        case .ss: ss = value
        case .fs: fs = value
        case .gs: gs = value
        default: ds = value
        }
    }
}

extension Processor {
    /// The linear address of `width` bytes at segment:offset, all checks made.
    ///
    /// In 64-bit mode only FS and GS have a base and the result must be canonical: #SS(0) for SS, else #GP(0).
    package func linearAddress(
        _ segment: Register, _ offset: UInt64, width: Int, _ kind: AccessKind
    ) throws(Fault) -> UInt64 {
        let failure: Fault = segment == .ss ? .stackFault(0) : .generalProtection(0)
        if state.pointee.mode.code == 64 {
            let base = segment == .fs ? state.pointee.fs.base : segment == .gs ? state.pointee.gs.base : 0
            let linear = base &+ offset
            guard Self.isCanonical(linear), Self.isCanonical(linear &+ UInt64(max(width, 1) - 1)) else { throw failure }
            return linear
        }
        let descriptor = state.pointee.segment(segment)
        // Real and virtual-8086 mode have no types to check, only limits.
        let typed = state.pointee.cr0 & CR0.PE != 0 && !state.pointee.VM
        if typed {
            guard !descriptor.isUnusable else { throw failure }
            switch kind {
            case .read: guard !descriptor.isCode || descriptor.isWritableOrReadable else { throw failure }
            case .write: guard !descriptor.isCode && descriptor.isWritableOrReadable else { throw failure }
            case .execute: break
            }
        }
        let last = offset &+ UInt64(max(width, 1) - 1)
        if typed && descriptor.isExpandDown {
            // Valid offsets are above the limit up to 64 KiB or 4 GiB (section 5.3).
            let top: UInt64 = descriptor.isDefault32 ? 0xFFFF_FFFF : 0xFFFF
            guard offset > UInt64(descriptor.limit), last <= top else { throw failure }
        } else {
            guard last <= UInt64(descriptor.limit) else { throw failure }
        }
        return (descriptor.base &+ offset) & 0xFFFF_FFFF
    }

    /// The linear address of bytes that must be aligned: #GP(0) for alignment comes before other checks.
    package func alignedAddress(
        _ segment: Register, _ offset: UInt64, width: Int, alignment: UInt64, _ kind: AccessKind
    ) throws(Fault) -> UInt64 {
        let hasBase = state.pointee.mode.code != 64 || segment == .fs || segment == .gs
        let base = hasBase ? state.pointee.segment(segment).base : 0
        guard (base &+ offset) & (alignment &- 1) == 0 else { throw .generalProtection(0) }
        return try linearAddress(segment, offset, width: width, kind)
    }

    /// The offset part of an instruction's memory operand, truncated to its address size.
    package func effectiveAddress(_ instruction: borrowing Instruction) -> UInt64 {
        let operand = instruction.memory
        var offset = UInt64(bitPattern: operand.displacement)
        switch operand.base {
        case .none: break
        case .rip, .eip: offset &+= state.pointee.rip &+ UInt64(instruction.length)
        case let base: offset &+= general(base)
        }
        if operand.index != .none { offset &+= general(operand.index) &* UInt64(operand.scale) }
        return truncate(offset, width: Int(instruction.addressSize))
    }

    /// Reads memory through a segment: 1, 2, 4 or 8 bytes.
    package func readMemory(_ segment: Register, _ offset: UInt64, width: Int) throws(Fault) -> UInt64 {
        try readLinear(try linearAddress(segment, offset, width: width, .read), width: width)
    }

    /// Writes memory through a segment: 1, 2, 4 or 8 bytes.
    package func writeMemory(_ segment: Register, _ offset: UInt64, _ value: UInt64, width: Int) throws(Fault) {
        try writeLinear(try linearAddress(segment, offset, width: width, .write), value, width: width)
    }

    @inline(__always)
    package func truncate(_ value: UInt64, width: Int) -> UInt64 {
        width == 64 ? value : value & ((1 << UInt64(width)) &- 1)
    }
}
