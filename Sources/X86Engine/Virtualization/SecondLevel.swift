// Second-level translation, from guest-physical to host-physical addresses: extended page tables (SDM vol. 3 section
// 29.3) and nested page tables (APM vol. 2 section 15.25) differ in their entries, which are data here.

/// How the entries of second-level tables are to be read.
struct SecondLevelFormat: Equatable, Sendable {
    /// An entry is present if any of these bits is set.
    var present: UInt64
    /// Bits that are exchanged with their complement before permissions are taken together.
    var inverted: UInt64 = 0
    /// What must be set in the entries of every level, after `inverted`.
    var read: UInt64
    var write: UInt64
    var execute: UInt64
    var accessed: UInt64
    var dirty: UInt64
    /// Bits that must be zero in entries that lead to a table, by level (1...4); level 1 is always a leaf.
    var reservedInTables: (UInt64, UInt64, UInt64, UInt64)
    /// Bits of a leaf that must be zero, besides address bits.
    var reservedInLeaves: UInt64 = 0
    /// Bits that must be zero in every entry.
    var reserved: UInt64 = 0
    /// The top table is the four page-directory-pointer-table entries of PAE paging, which hold no permissions.
    var topIsPageDirectoryPointers = false
    /// The size of an entry in bytes.
    var entrySize: UInt64 = 8
    /// Leaves hold a memory type in bits 3...5, and entries that allow writing but not reading are wrong (EPT).
    var isExtended: Bool

    /// EPT without execute-only translations (SDM volume 3 tables 29-1 to 29-7).
    static let extended = SecondLevelFormat(
        present: 7, read: 1, write: 2, execute: 4, accessed: 1 << 8, dirty: 1 << 9,
        reservedInTables: (0, 0x78, 0x78, 0xF8), isExtended: true)

    /// Nested page tables: the host's own kind of paging, whose pages must be the user's to be reached at all (APM volume
    /// 2 section 15.25.5).
    static func nested(
        executeDisable: Bool, reserved: UInt64 = 0, entrySize: UInt64 = 8, topIsPageDirectoryPointers: Bool = false
    ) -> SecondLevelFormat {
        let user = PageEntry.US
        return SecondLevelFormat(
            present: PageEntry.P, inverted: executeDisable ? PageEntry.XD : 0, read: user,
            write: user | PageEntry.RW, execute: executeDisable ? user | PageEntry.XD : user, accessed: PageEntry.A,
            dirty: PageEntry.D, reservedInTables: (0, 0, 0, 0), reserved: reserved,
            topIsPageDirectoryPointers: topIsPageDirectoryPointers, entrySize: entrySize, isExtended: false)
    }

    static func == (lhs: SecondLevelFormat, rhs: SecondLevelFormat) -> Bool {
        lhs.present == rhs.present && lhs.inverted == rhs.inverted && lhs.isExtended == rhs.isExtended
            && lhs.reserved == rhs.reserved && lhs.entrySize == rhs.entrySize
            && lhs.topIsPageDirectoryPointers == rhs.topIsPageDirectoryPointers
    }
}

/// The second-level translation in force.
struct SecondLevel: Equatable, Sendable {
    var isActive = false
    /// The host-physical address of the top table.
    var root: UInt64 = 0
    /// 4; nested paging below a host with PAE paging has 3, below one with 4-byte entries 2.
    var levels = 4
    /// Entries of level 2 may map large pages.
    var hasLargePages = true
    var format = SecondLevelFormat.extended
    /// Accessed and dirty flags are kept; accesses to the guest's paging structures then count as writes.
    var setsFlags = false
}

/// What the processor wanted at a guest-physical address.
package enum SecondLevelAccess: Equatable, Sendable {
    /// The access that an instruction or delivery makes.
    case final(AccessKind)
    /// A paging-structure entry of the guest is read, or its accessed and dirty flags are written.
    case pagingStructure(writes: Bool)
}

/// Why a guest-physical address could not be used.
///
/// SDM volume 3 sections 29.3.3 and table 28-7; APM volume 2 section 15.25.6.
package struct SecondLevelFault: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// No translation, or one that does not allow the access.
        case violation
        /// An entry holds what the manuals reserve.
        case misconfiguration
    }
    package var kind: Kind
    package var guestPhysical: UInt64
    /// The linear address being translated; nil where there is none (loads of PDPTEs).
    package var linear: UInt64?
    package var access: SecondLevelAccess
    /// What every entry read allows: bit 0 reading, bit 1 writing, bit 2 execution.
    package var permissions: UInt8
    /// The last entry read was present.
    package var isPresent: Bool
    /// The linear address belongs to a user-mode access.
    package var isUser: Bool
    /// NMIs were unblocked by the IRET that caused the access.
    package var unblockedNMI = false
}

/// Where a guest-physical address leads.
struct SecondLevelTranslation {
    var physical: UInt64
    /// Bit 0 reading, bit 1 writing, bit 2 execution.
    var permissions: UInt8
}

extension Processor {
    /// Translates a guest-physical address, sets accessed and dirty flags, and leaves the guest where it leads nowhere.
    ///
    /// `linear` is the address whose translation asks; `touch: false` changes nothing, and the fault thrown then
    /// stands for no exit.
    func translateGuestPhysical(
        _ guest: UInt64, _ access: SecondLevelAccess, linear: UInt64?, user: Bool = false, touch: Bool = true
    ) throws(Fault) -> SecondLevelTranslation {
        let level = state.pointee.virtualization.secondLevel
        let wanted: UInt8
        let dirties: Bool
        switch access {
        case .final(.read): (wanted, dirties) = (1, false)
        case .final(.write): (wanted, dirties) = (2, true)
        case .final(.execute): (wanted, dirties) = (4, false)
        case .pagingStructure(let writes):
            // With accessed and dirty flags in EPT, or under nested paging, the processor may write any entry it reads.
            let writing = writes || level.setsFlags
            (wanted, dirties) = (writing ? 3 : 1, writing)
        }
        if let known = secondLevelCache.find(guest, wanted: wanted) { return known }
        return try walkSecondLevel(guest, access, wanted: wanted, dirties: dirties, linear, user, touch)
    }

    private func walkSecondLevel(
        _ guest: UInt64, _ access: SecondLevelAccess, wanted: UInt8, dirties: Bool, _ linear: UInt64?, _ user: Bool,
        _ touch: Bool
    ) throws(Fault) -> SecondLevelTranslation {
        let second = state.pointee.virtualization.secondLevel
        let format = second.format
        var fault = SecondLevelFault(
            kind: .violation, guestPhysical: guest, linear: linear, access: access, permissions: 0, isPresent: false,
            isUser: user)
        let addressBits = physicalAddressMask & 0x000F_FFFF_FFFF_F000
        var allowed = UInt64.max
        var table = second.root
        var level = second.levels
        // Flags are set once the translation has succeeded.
        var addresses = SIMD4<UInt64>(repeating: 0)
        var entries = SIMD4<UInt64>(repeating: 0)
        // Guest-physical addresses have the model's width, which four levels cover up to 48 bits; tables of a host
        // outside long mode cover four GiB.
        var shift: UInt64
        let indexBits: UInt64 = format.entrySize == 4 ? 10 : 9
        guard guest >> (second.levels == 4 ? 48 : 32) == 0 else { throw secondLevelFailed(fault, touch) }
        while true {
            shift = 12 &+ indexBits &* UInt64(level - 1)
            let index = guest >> shift & ((1 << indexBits) &- 1)
            let address = table &+ index &* format.entrySize
            let entry = readSecondLevelEntry(address, format, mark: touch)
            fault.isPresent = entry & format.present != 0
            guard fault.isPresent else {
                fault.permissions = 0
                throw secondLevelFailed(fault, touch)
            }
            let isLeaf =
                level == 1
                || entry & PageEntry.PS != 0
                    && (level == 2 && second.hasLargePages
                        || level == 3 && second.levels == 4 && model.hasGigabytePages)
            guard !isMisconfigured(entry, level: level, shift: shift, isLeaf: isLeaf, format, addressBits) else {
                fault.kind = .misconfiguration
                throw secondLevelFailed(fault, touch)
            }
            if level < 3 || !format.topIsPageDirectoryPointers { allowed &= entry ^ format.inverted }
            addresses[level - 1] = address
            entries[level - 1] = entry
            if isLeaf { break }
            table = entry & addressBits
            level -= 1
        }
        var permissions: UInt8 = 0
        if allowed & format.read == format.read { permissions |= 1 }
        if allowed & format.write == format.write { permissions |= 2 }
        if allowed & format.execute == format.execute { permissions |= 4 }
        fault.permissions = permissions
        guard permissions & wanted == wanted else { throw secondLevelFailed(fault, touch) }
        let leaf = entries[level - 1]
        let offsets: UInt64 = (1 << shift) &- 1
        var frame = leaf & addressBits & ~offsets
        // PSE-36, as for linear addresses.
        if format.entrySize == 4 && level == 2 { frame |= (leaf >> 13 & 0xFF) << 32 & physicalAddressMask }
        let result = SecondLevelTranslation(physical: frame | guest & offsets, permissions: permissions)
        guard touch else { return result }
        var isDirty = true
        if second.setsFlags {
            let highest = format.topIsPageDirectoryPointers ? 2 : second.levels
            for position in stride(from: highest, through: level, by: -1) {
                var flags = format.accessed
                if position == level && dirties { flags |= format.dirty }
                let entry = entries[position - 1]
                guard entry & flags != flags else { continue }
                writePagingStructure(addresses[position - 1], entry | flags, width: Int(format.entrySize))
            }
            isDirty = dirties || leaf & format.dirty != 0
        }
        secondLevelCache.fill(guest, result, isDirty: isDirty)
        return result
    }

    /// What SDM volume 3 section 29.3.3.1 calls a misconfiguration, and reserved bits under nested paging.
    private func isMisconfigured(
        _ entry: UInt64, level: Int, shift: UInt64, isLeaf: Bool, _ format: SecondLevelFormat, _ addressBits: UInt64
    ) -> Bool {
        guard format.entrySize == 8 else {
            // Bit 21 of an entry for 4 MiB; without PSE bit 7 of a directory entry means nothing.
            return isLeaf && level == 2 && entry & 1 << 21 != 0
        }
        var reserved = 0x000F_FFFF_FFFF_F000 & ~addressBits | format.reserved
        if isLeaf {
            reserved |= format.reservedInLeaves
            // Address bits below the size of a large page; bit 12 is PAT's under nested paging.
            if level > 1 { reserved |= ((1 << shift) &- 1) & (format.isExtended ? ~0xFFF : ~0x1FFF) }
        } else {
            switch level {
            case 2: reserved |= format.reservedInTables.1
            case 3: reserved |= format.reservedInTables.2
            default: reserved |= format.reservedInTables.3
            }
            // Bit 7 of an entry that is no leaf is set only where such pages do not exist.
            reserved |= PageEntry.PS
            if level == 3 && format.topIsPageDirectoryPointers { reserved |= PageEntry.reservedInPDPTE }
        }
        if entry & reserved != 0 { return true }
        guard format.isExtended else { return false }
        // Writing without reading; execution without reading, which no model here claims.
        if entry & 1 == 0 { return true }
        return isLeaf && ![0, 1, 4, 5, 6].contains(entry >> 3 & 7)
    }

    private func secondLevelFailed(_ fault: SecondLevelFault, _ touch: Bool) -> Fault {
        touch ? leaveGuest(.secondLevel(fault)) : .leaving
    }

    /// Reads an entry; where no RAM answers the bus floats to ones.
    private func readSecondLevelEntry(_ address: UInt64, _ format: SecondLevelFormat, mark: Bool) -> UInt64 {
        let physical = address & memory.addressLineMask
        guard let page = memory.pageIndex(physical) else { return format.entrySize == 4 ? 0xFFFF_FFFF : .max }
        if mark && !memory.pageFlags[page].contains(.secondLevelStructure) { memory.markSecondLevelStructure(page) }
        // SAFETY: entries are aligned to their size, so they lie inside the page.
        let pointer = memory.pointer(toPage: page) + Int(physical & 0xFFF)
        return format.entrySize == 4 ? UInt64(pointer.load(as: UInt32.self)) : pointer.load(as: UInt64.self)
    }

    /// The host-physical address of what the processor reads at a physical address on the guest's behalf, outside any
    /// translation of a linear one: PDPTEs.
    func systemPhysical(_ physical: UInt64) throws(Fault) -> UInt64 {
        guard state.pointee.virtualization.secondLevel.isActive else { return physical & memory.addressLineMask }
        let translation = try translateGuestPhysical(physical, .pagingStructure(writes: false), linear: nil)
        return translation.physical & memory.addressLineMask
    }

    /// Makes a second-level translation the one in force; translations made by another are dropped.
    func useSecondLevel(_ secondLevel: SecondLevel) {
        state.pointee.virtualization.secondLevel = secondLevel
        guard secondLevel.isActive, secondLevelCache.current != secondLevel else { return }
        secondLevelCache.current = secondLevel
        secondLevelCache.flush()
    }

    /// Drops what was derived from second-level tables (INVEPT, INVLPGA and the like).
    package func flushSecondLevel() {
        secondLevelCache.flush()
        flushTLB()
    }
}
