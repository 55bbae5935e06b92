/// What an access wants to do.
package enum AccessKind: UInt8, Sendable {
    case read, write, execute
}

/// On whose behalf memory is accessed.
///
/// SDM vol. 3 section 4.6.
package enum AccessPrivilege: UInt8, Sendable {
    /// As the current privilege level says.
    case current
    /// Implicit supervisor access to a system structure, whatever the CPL: SMAP applies without regard to RFLAGS.AC.
    case system
    /// Explicit supervisor access whatever the CPL: the stack of an inner level that is being switched to.
    case supervisor
    /// No access of the guest's: whoever looks at a mapped page sees it, whatever its permissions.
    case inspection
}

/// Where a linear address leads, and what may be done there.
package struct Translation: Sendable {
    package var physical: UInt64
    /// Writing is allowed and the dirty flag is set already.
    package var isWritableNow: Bool
    /// Fetching is allowed.
    package var isExecutable: Bool
    /// The linear range of the page, if it is larger than 4 KiB.
    package var largePage: ClosedRange<UInt64>?
}

/// One step of a page walk, as inspection shows it.
package struct WalkStep: Equatable, Sendable {
    /// 5 for PML5E down to 1 for PTE.
    package var level: Int
    /// The physical address of the entry.
    package var address: UInt64
    package var entry: UInt64
}

/// Flags of a paging-structure entry.
///
/// SDM vol. 3 tables 4-5 to 4-20.
package enum PageEntry {
    package static let P: UInt64 = 1 << 0
    package static let RW: UInt64 = 1 << 1
    package static let US: UInt64 = 1 << 2
    package static let A: UInt64 = 1 << 5
    package static let D: UInt64 = 1 << 6
    package static let PS: UInt64 = 1 << 7
    package static let G: UInt64 = 1 << 8
    package static let XD: UInt64 = 1 << 63
    /// Low bits that are zero in a present page-directory-pointer-table entry of PAE paging (SDM volume 3 table 4-8).
    static let reservedInPDPTE: UInt64 = 0x1E6
}

/// Bits of a page-fault error code.
///
/// SDM vol. 3 section 4.7.
package enum PageFaultCode {
    package static let P: UInt32 = 1 << 0
    package static let WR: UInt32 = 1 << 1
    package static let US: UInt32 = 1 << 2
    package static let RSVD: UInt32 = 1 << 3
    package static let ID: UInt32 = 1 << 4
}

extension Processor {
    /// The mask of physical-address bits that the model has.
    var physicalAddressMask: UInt64 { (1 << UInt64(model.physicalAddressWidth)) &- 1 }

    /// Translates a linear address, sets accessed and dirty flags, and raises #PF.
    ///
    /// SDM vol. 3 chapter 4. `steps`, when given, receives the entries read; inspection passes `touch: false` so that
    /// nothing changes.
    func translate(
        _ linear: UInt64, _ kind: AccessKind, _ privilege: AccessPrivilege = .current, touch: Bool = true,
        steps: UnsafeMutablePointer<[WalkStep]>? = nil
    ) throws(Fault) -> Translation {
        let s = state
        let nested = s.pointee.virtualization.secondLevel.isActive
        let user = privilege == .current && s.pointee.cpl == 3
        guard s.pointee.cr0 & CR0.PG != 0 else {
            let physical =
                nested
                ? try translateGuestPhysical(linear, .final(kind), linear: linear, user: user, touch: touch).physical
                : linear
            return Translation(
                physical: physical & memory.addressLineMask, isWritableNow: true, isExecutable: true, largePage: nil)
        }
        let legacy = s.pointee.cr4 & CR4.PAE == 0
        let executeDisable = s.pointee.efer & EFER.NXE != 0 && !legacy
        var code: UInt32 = kind == .write ? PageFaultCode.WR : 0
        if user { code |= PageFaultCode.US }
        if kind == .execute && (executeDisable || s.pointee.cr4 & CR4.SMEP != 0) { code |= PageFaultCode.ID }

        let topLevel = legacy ? 2 : s.pointee.efer & EFER.LMA != 0 ? 4 : 3
        let addressBits = physicalAddressMask & 0x000F_FFFF_FFFF_F000
        // Bits of an 8-byte entry that must be zero: from MAXPHYADDR to bit 51, or with three levels to bit 62
        // (section 4.4.2), and XD while NXE is clear.
        let above: UInt64 = topLevel == 3 ? 0x7FFF_FFFF_FFFF_F000 : 0x000F_FFFF_FFFF_F000
        let reserved: UInt64 = legacy ? 0 : (above & ~addressBits) | (executeDisable ? 0 : PageEntry.XD)
        var permissions: UInt64 = PageEntry.RW | PageEntry.US
        var forbidsExecution = false
        // Entries read and where, so that accessed flags are set only when the translation succeeds.
        var addresses: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var values: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        var table = s.pointee.cr3 & (legacy ? 0xFFFF_F000 : topLevel == 3 ? 0xFFFF_FFE0 : addressBits)
        var level = topLevel
        var leaf: UInt64 = 0
        var pageShift: UInt64 = 12
        if topLevel == 3 {
            let address = table &+ (linear >> 30 & 3) &* 8
            let entry: UInt64
            if readsPageDirectoryPointersOnDemand {
                let location = try translateGuestPhysical(
                    address, .pagingStructure(writes: false), linear: linear, user: user, touch: touch
                ).physical
                entry = readPagingStructure(location, width: 8, mark: touch)
            } else {
                // The four PDPTEs were loaded into registers by MOV to CR3 (section 4.4.1).
                entry = pageDirectoryPointer(Int(linear >> 30 & 3))
            }
            if let steps { steps.pointee.append(WalkStep(level: 3, address: address, entry: entry)) }
            guard entry & PageEntry.P != 0 else { throw .pageFault(linear, code) }
            // Registers hold none of these.
            guard entry & (PageEntry.reservedInPDPTE | ~physicalAddressMask) == 0 else {
                throw .pageFault(linear, code | PageFaultCode.P | PageFaultCode.RSVD)
            }
            table = entry & addressBits
            level = 2
        }
        while true {
            let shift: UInt64 = legacy ? (level == 2 ? 22 : 12) : UInt64(12 + 9 * (level - 1))
            let index = linear >> shift & (legacy ? 0x3FF : 0x1FF)
            let address = table &+ index &* (legacy ? 4 : 8)
            let location =
                nested
                ? try translateGuestPhysical(
                    address, .pagingStructure(writes: false), linear: linear, user: user, touch: touch
                ).physical : address
            let entry = readPagingStructure(location, width: legacy ? 4 : 8, mark: touch)
            if let steps { steps.pointee.append(WalkStep(level: level, address: address, entry: entry)) }
            guard entry & PageEntry.P != 0 else { throw .pageFault(linear, code) }
            let large =
                level > 1 && entry & PageEntry.PS != 0
                && (legacy ? s.pointee.cr4 & CR4.PSE != 0 : level == 2 || (level == 3 && model.hasGigabytePages))
            var bad = entry & reserved
            if level == 4 || (level == 3 && !large) { bad |= entry & PageEntry.PS }
            if large {
                // Address bits below the page size are reserved, but for PAT at bit 12 and PSE-36's bits 13...20.
                bad |= legacy ? entry & (1 << 21) : entry & ((1 << shift) &- 1) & ~0x1FFF
            }
            guard bad == 0 else { throw .pageFault(linear, code | PageFaultCode.P | PageFaultCode.RSVD) }
            permissions &= entry
            forbidsExecution = forbidsExecution || (executeDisable && entry & PageEntry.XD != 0)
            switch level {
            case 1: (addresses.0, values.0) = (address, entry)
            case 2: (addresses.1, values.1) = (address, entry)
            case 3: (addresses.2, values.2) = (address, entry)
            default: (addresses.3, values.3) = (address, entry)
            }
            if level == 1 || large {
                leaf = entry
                pageShift = shift
                break
            }
            table = legacy ? entry & 0xFFFF_F000 : entry & addressBits
            level -= 1
        }

        let isUserPage = permissions & PageEntry.US != 0
        var writable = permissions & PageEntry.RW != 0
        var readable = true
        var executable = !forbidsExecution
        if user {
            readable = isUserPage
            writable = writable && isUserPage
            executable = executable && isUserPage
        } else {
            if s.pointee.cr0 & CR0.WP == 0 { writable = true }
            if isUserPage {
                if s.pointee.cr4 & CR4.SMEP != 0 { executable = false }
                if s.pointee.cr4 & CR4.SMAP != 0
                    && (privilege == .system || s.pointee.systemFlags & RFLAGS.AC == 0)
                {
                    readable = false
                    writable = false
                }
            }
        }
        let allowed =
            switch kind {
            case .read: readable || privilege == .inspection
            case .write: writable
            case .execute: executable
            }
        guard allowed else { throw .pageFault(linear, code | PageFaultCode.P) }

        if touch {
            let width = legacy ? 4 : 8
            if nested {
                let unset = kind == .write ? PageEntry.A | PageEntry.D : PageEntry.A
                for position in level...min(topLevel, topLevel == 3 ? 2 : 4) {
                    let flags = position == level ? unset : PageEntry.A
                    let (address, entry) =
                        switch position {
                        case 1: (addresses.0, values.0)
                        case 2: (addresses.1, values.1)
                        case 3: (addresses.2, values.2)
                        default: (addresses.3, values.3)
                        }
                    guard entry & flags != flags else { continue }
                    let location = try translateGuestPhysical(
                        address, .pagingStructure(writes: true), linear: linear, user: user
                    ).physical
                    switch position {
                    case 1: addresses.0 = location
                    case 2: addresses.1 = location
                    case 3: addresses.2 = location
                    default: addresses.3 = location
                    }
                }
            }
            setPagingFlags(addresses.3, values.3, PageEntry.A, level: 4, leafLevel: level, topLevel: topLevel, width)
            setPagingFlags(addresses.2, values.2, PageEntry.A, level: 3, leafLevel: level, topLevel: topLevel, width)
            setPagingFlags(addresses.1, values.1, PageEntry.A, level: 2, leafLevel: level, topLevel: topLevel, width)
            setPagingFlags(addresses.0, values.0, PageEntry.A, level: 1, leafLevel: level, topLevel: topLevel, width)
            if kind == .write && leaf & PageEntry.D == 0 {
                let address = level == 1 ? addresses.0 : level == 2 ? addresses.1 : addresses.2
                writePagingStructure(address, leaf | PageEntry.A | PageEntry.D, width: width)
                leaf |= PageEntry.D
            }
        }
        let offsetMask: UInt64 = (1 << pageShift) &- 1
        var frame = legacy ? leaf & 0xFFFF_F000 & ~offsetMask : leaf & addressBits & ~offsetMask
        // PSE-36: bits 13...20 of a 4 MiB page's entry are address bits 32...39 (section 4.3).
        if legacy && pageShift == 22 { frame |= (leaf >> 13 & 0xFF) << 32 & physicalAddressMask }
        var physical = frame | linear & offsetMask
        if nested {
            physical = try translateGuestPhysical(
                physical, .final(kind), linear: linear, user: user, touch: touch
            ).physical
        }
        return Translation(
            physical: physical & memory.addressLineMask,
            isWritableNow: writable && leaf & PageEntry.D != 0, isExecutable: executable,
            largePage: pageShift > 12 ? (linear & ~offsetMask)...(linear | offsetMask) : nil)
    }

    /// Whether PDPTEs are read in each walk instead of by MOV to CR3: under nested paging (APM volume 2 section 15.25.10).
    var readsPageDirectoryPointersOnDemand: Bool {
        state.pointee.virtualization.mode == .svm && state.pointee.virtualization.secondLevel.isActive
    }

    private func pageDirectoryPointer(_ index: Int) -> UInt64 {
        switch index {
        case 0: state.pointee.pdpte.0
        case 1: state.pointee.pdpte.1
        case 2: state.pointee.pdpte.2
        default: state.pointee.pdpte.3
        }
    }

    private func setPagingFlags(
        _ address: UInt64, _ entry: UInt64, _ flag: UInt64, level: Int, leafLevel: Int, topLevel: Int, _ width: Int
    ) {
        guard level >= leafLevel, level <= min(topLevel, topLevel == 3 ? 2 : 4), entry & flag == 0 else { return }
        writePagingStructure(address, entry | flag, width: width)
    }

    /// Reads a paging-structure entry; where no RAM answers the bus floats to ones.
    private func readPagingStructure(_ address: UInt64, width: Int, mark: Bool) -> UInt64 {
        let physical = address & memory.addressLineMask
        guard let page = memory.pageIndex(physical) else { return width == 4 ? 0xFFFF_FFFF : .max }
        if mark && !memory.pageFlags[page].contains(.pagingStructure) { memory.markPagingStructure(page) }
        // SAFETY: entries are aligned to their width, so they lie inside the page.
        let pointer = memory.pointer(toPage: page) + Int(physical & 0xFFF)
        return width == 4 ? UInt64(pointer.load(as: UInt32.self)) : pointer.load(as: UInt64.self)
    }

    func writePagingStructure(_ address: UInt64, _ value: UInt64, width: Int) {
        let physical = address & memory.addressLineMask
        guard let page = memory.pageIndex(physical) else { return }
        // SAFETY: entries are aligned to their width, so they lie inside the page.
        let pointer = memory.pointer(toPage: page) + Int(physical & 0xFFF)
        if width == 4 {
            pointer.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
        } else {
            pointer.storeBytes(of: value, as: UInt64.self)
        }
        memory.pageFlags[page].insert(.dirty)
        if memory.pageFlags[page].contains(.code) {
            memory.invalidateCode(page: page, offset: Int(physical & 0xFFF), count: width)
        }
        if memory.pageFlags[page].contains(.traced) {
            memory.tracer?.memoryChanged(page: page, offset: Int(physical & 0xFFF), count: width, byWalk: true)
        }
    }

    /// Drops all translations of this processor.
    package func flushTLB() {
        tlb.flush()
        memory.translationsDropped(by: self)
    }

    /// Drops the translations of one linear page (INVLPG).
    package func flushTLB(linear: UInt64) { tlb.flush(linear: linear) }
}
