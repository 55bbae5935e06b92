import X86

/// A virtual machine control block in memory (APM volume 2 appendix B); the host state-save area has the same layout, of
/// which only the state save area is used.
package enum VMCB {
    package static let size: UInt64 = 4096
    /// Where the up to 15 instruction bytes of the decode assists lie.
    static let instructionBytes: UInt64 = 0xD1
}

extension Processor {
    /// The VMCB of the guest that runs or has run last; all ones if there is none.
    package var currentVMCB: UInt64 { state.pointee.virtualization.svm.vmcb }

    /// Reads a field of the VMCB at a physical address, or of the current one; ones where no RAM answers.
    @inline(__always)
    package func readVMCB(_ field: VMCBField, at address: UInt64? = nil) -> UInt64 {
        guard let page = memory.pageIndex(address ?? currentVMCB) else { return field.mask }
        // SAFETY: every field lies inside the page, at a multiple of its width.
        let pointer = UnsafeRawPointer(memory.pointer(toPage: page)) + field.offset
        return switch field.width {
        case 1: UInt64(pointer.load(as: UInt8.self))
        case 2: UInt64(pointer.load(as: UInt16.self))
        case 4: UInt64(pointer.load(as: UInt32.self))
        default: pointer.load(as: UInt64.self)
        }
    }

    /// Writes a field of the VMCB at a physical address, or of the current one; nothing happens where no RAM answers.
    @inline(__always)
    package func writeVMCB(_ field: VMCBField, _ value: UInt64, at address: UInt64? = nil) {
        let address = address ?? currentVMCB
        guard let page = memory.pageIndex(address) else { return }
        guard memory.pageFlags[page].isDisjoint(with: .slowWrite) else {
            return writePhysical(memory.address(ofPage: page) &+ UInt64(field.offset), value, width: field.width)
        }
        // SAFETY: every field lies inside the page, at a multiple of its width.
        let pointer = memory.pointer(toPage: page) + field.offset
        switch field.width {
        case 1: pointer.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case 2: pointer.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
        case 4: pointer.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
        default: pointer.storeBytes(of: value, as: UInt64.self)
        }
        memory.pageFlags[page].insert(.dirty)
    }

    // MARK: Segments (section 15.5.1)

    /// Writes a segment register: attributes are bits 55...52 and 47...40 of a descriptor, P is clear in null segments.
    func saveSegment(_ register: GuestSegment, at address: UInt64? = nil) {
        let segment = segment(register)
        let fields = register.fieldsOfVMCB
        var attributes = segment.attributes & 0xFF | segment.attributes >> 4 & 0xF00
        if segment.isUnusable { attributes &= ~0x80 }
        writeVMCB(fields.selector, UInt64(segment.selector), at: address)
        writeVMCB(fields.attributes, UInt64(attributes), at: address)
        writeVMCB(fields.limit, UInt64(segment.limit), at: address)
        writeVMCB(fields.base, segment.base, at: address)
    }

    /// Reads a segment register; attributes that the processor does not look at get the only values that make sense.
    ///
    /// `cpl` is the privilege level and `isProtected` the mode that the register is loaded for.
    func segmentInVMCB(
        _ register: GuestSegment, cpl: UInt8, isProtected: Bool, isLong: Bool, at address: UInt64? = nil
    ) -> SegmentState {
        let fields = register.fieldsOfVMCB
        let word = UInt32(truncatingIfNeeded: readVMCB(fields.attributes, at: address))
        var attributes = word & 0xFF | (word & 0xF00) << 4
        let isPresent = attributes & 0x80 != 0
        // Nothing but a DPL, as null selectors leave it.
        let isNull = word & ~0x60 == 0
        var base = readVMCB(fields.base, at: address)
        base = register.hasWideBase ? Self.canonical(base) : base & 0xFFFF_FFFF
        let level = UInt32(cpl) << 5
        switch register {
        case .cs:
            attributes |= 0x90
            // In real mode a code segment may be one of data, as after RESET.
            if isProtected && attributes & 8 == 0 { attributes = attributes & ~0xF | 0xB }
            if attributes & 0xC != 0xC { attributes = attributes & ~0x60 | level }
        case .ss, .ds, .es, .fs, .gs:
            attributes = isNull ? attributes | SegmentState.unusable : attributes | 0x90
            if isProtected && !isPresent { attributes |= SegmentState.unusable }
            if register == .ss { attributes = attributes & ~0x60 | level }
        case .ldtr: if attributes & 0x9F != 0x82 { attributes |= SegmentState.unusable }
        case .tr:
            // The busy TSS of 32 or 16 bits.
            attributes = attributes & ~0x9F | (isLong || attributes & 8 != 0 ? 0x8B : 0x83)
        }
        return SegmentState(
            selector: UInt16(truncatingIfNeeded: readVMCB(fields.selector, at: address)), base: base,
            limit: UInt32(truncatingIfNeeded: readVMCB(fields.limit, at: address)), attributes: attributes)
    }

    /// Sign-extends bit 47, as VMRUN, #VMEXIT and VMLOAD do with addresses.
    static func canonical(_ address: UInt64) -> UInt64 {
        UInt64(bitPattern: Int64(bitPattern: address << 16) >> 16)
    }
}
