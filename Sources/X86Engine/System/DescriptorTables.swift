import X86

// Descriptor tables in memory: implicit supervisor accesses (SDM vol. 3 section 4.6.1) with the tables' limits.

extension SegmentState {
    /// A segment register loaded with `descriptor`.
    package init(_ selector: Selector, _ descriptor: Descriptor) {
        self.init(
            selector: selector.rawValue, base: descriptor.base, limit: descriptor.limit,
            attributes: descriptor.attributes)
    }

    /// A segment register loaded with a null selector; `level` becomes the DPL, which only SS needs.
    package init(null selector: Selector, level: UInt8 = 0) {
        self.init(
            selector: selector.rawValue, base: 0, limit: 0,
            attributes: SegmentState.unusable | UInt32(level & 3) << 5)
    }
}

extension Processor {
    @inline(__always) var cpl: UInt8 { state.pointee.cpl }
    /// CR0.PE is clear.
    @inline(__always) var isRealMode: Bool { state.pointee.cr0 & CR0.PE == 0 }
    @inline(__always) var isVirtual8086: Bool { state.pointee.VM && !isRealMode }
    /// Segments come from descriptors.
    @inline(__always) var isProtectedMode: Bool { !isRealMode && !state.pointee.VM }
    /// IA-32e mode, 64-bit or compatibility.
    @inline(__always) var isLongModeActive: Bool { state.pointee.mode.isLongActive }
    @inline(__always) var is64BitMode: Bool { state.pointee.mode.code == 64 }

    /// Reads a system structure, whatever the CPL.
    func readSystem(_ linear: UInt64, width: Int) throws(Fault) -> UInt64 {
        try readLinear(isLongModeActive ? linear : linear & 0xFFFF_FFFF, width: width, .system)
    }

    /// Writes a system structure, whatever the CPL.
    func writeSystem(_ linear: UInt64, _ value: UInt64, width: Int) throws(Fault) {
        try writeLinear(isLongModeActive ? linear : linear & 0xFFFF_FFFF, value, width: width, .system)
    }

    /// Where the descriptor of a selector starts, or nil if `size` bytes of it are not inside its table.
    func descriptorAddress(_ selector: Selector, size: UInt64 = 8) -> UInt64? {
        let last = selector.offset &+ size &- 1
        if selector.isLocal {
            let table = state.pointee.ldtr
            guard !table.isUnusable, last <= UInt64(table.limit) else { return nil }
            return table.base &+ selector.offset
        }
        guard last <= UInt64(state.pointee.gdtr.limit) else { return nil }
        return state.pointee.gdtr.base &+ selector.offset
    }

    /// Reads the code or data descriptor, gate or legacy system descriptor of a selector.
    ///
    /// Outside the table's limit: the exception `vector` with the selector as error code.
    func fetchDescriptor(_ selector: Selector, fault vector: UInt8 = 13) throws(Fault) -> Descriptor {
        guard let address = descriptorAddress(selector) else {
            throw Fault(vector: vector, errorCode: selector.errorCode)
        }
        return Descriptor(low: try readSystem(address, width: 8))
    }

    /// Reads a descriptor that is 16 bytes in IA-32e mode: LDT, TSS, call gate.
    func fetchSystemDescriptor(_ selector: Selector, fault vector: UInt8 = 13) throws(Fault) -> Descriptor {
        var descriptor = try fetchDescriptor(selector, fault: vector)
        if isLongModeActive {
            guard let address = descriptorAddress(selector, size: 16) else {
                throw Fault(vector: vector, errorCode: selector.errorCode)
            }
            descriptor.high = try readSystem(address &+ 8, width: 8)
        }
        return descriptor
    }

    /// Sets the accessed flag of a code or data descriptor in memory, if it is clear (SDM volume 3 section 3.4.5.1).
    func markAccessed(_ selector: Selector, _ descriptor: inout Descriptor) throws(Fault) {
        guard !descriptor.isAccessed else { return }
        guard let address = descriptorAddress(selector) else { throw .generalProtection(selector.errorCode) }
        descriptor.low |= 1 << 40
        try writeSystem(address &+ 5, descriptor.low >> 40, width: 1)
    }

    /// Sets or clears the busy flag of a TSS descriptor in memory.
    func setBusy(_ selector: Selector, _ busy: Bool) throws(Fault) {
        guard let address = descriptorAddress(selector) else { throw .generalProtection(selector.errorCode) }
        let access = try readSystem(address &+ 5, width: 1)
        try writeSystem(address &+ 5, busy ? access | 2 : access & ~2, width: 1)
    }
}
