// Memory by linear address outside the interpreter's fast path: everything that may fault, reach a device, cross a
// page, write to code or paging structures, or be watched comes through here.

extension Processor {
    /// Whether a linear address is canonical for 48 implemented bits.
    ///
    /// SDM vol. 1 section 3.3.7.1.
    @inline(__always)
    static func isCanonical(_ linear: UInt64) -> Bool {
        UInt64(bitPattern: Int64(bitPattern: linear << 16) >> 16) == linear
    }

    /// Reads 1, 2, 4 or 8 bytes, zero-extended.
    ///
    /// Outside 64-bit mode the caller has truncated the address.
    package func readLinear(
        _ linear: UInt64, width: Int, _ privilege: AccessPrivilege = .current
    ) throws(Fault) -> UInt64 {
        let line = lines(privilege)[Int(truncatingIfNeeded: linear >> 12 & state.pointee.tlbMask)]
        if line.readTag == (linear &+ UInt64(width - 1)) & ~0xFFF { return loadHost(linear &+ line.addend, width) }
        if privilege == .current { try checkAlignment(linear, width) }
        if linear & 0xFFF &+ UInt64(width) > 0x1000 {
            // Both pages must be readable before either is read: device reads have side effects.
            let firstCount = Int(0x1000 &- (linear & 0xFFF))
            let second = wrapLinear(linear &+ UInt64(firstCount))
            let firstPhysical = try translateAndFill(linear, .read, privilege)
            let secondPhysical = try translateAndFill(second, .read, privilege)
            noteDataAccess(linear, width, write: false)
            let range = TranslatedRange(first: firstPhysical, firstCount: firstCount, second: secondPhysical)
            if let reply = try reportRead(linear, width, range) { return reply }
            var value: UInt64 = 0
            for byte in 0..<width {
                let physical =
                    byte < firstCount ? firstPhysical &+ UInt64(byte) : secondPhysical &+ UInt64(byte - firstCount)
                value |= readPhysical(physical, width: 1) << UInt64(byte * 8)
            }
            return value
        }
        let physical = try translateAndFill(linear, .read, privilege)
        noteDataAccess(linear, width, write: false)
        let range = TranslatedRange(first: physical, firstCount: width, second: 0)
        if let reply = try reportRead(linear, width, range) { return reply }
        return readPhysical(physical, width: width)
    }

    /// Writes the low 1, 2, 4 or 8 bytes of `value`.
    package func writeLinear(
        _ linear: UInt64, _ value: UInt64, width: Int, _ privilege: AccessPrivilege = .current
    ) throws(Fault) {
        let line = lines(privilege)[Int(truncatingIfNeeded: linear >> 12 & state.pointee.tlbMask)]
        if line.writeTag == (linear &+ UInt64(width - 1)) & ~0xFFF {
            return storeHost(linear &+ line.addend, value, width)
        }
        if privilege == .current { try checkAlignment(linear, width) }
        if linear & 0xFFF &+ UInt64(width) > 0x1000 {
            let firstCount = Int(0x1000 &- (linear & 0xFFF))
            let second = wrapLinear(linear &+ UInt64(firstCount))
            let firstPhysical = try translateAndFill(linear, .write, privilege)
            let secondPhysical = try translateAndFill(second, .write, privilege)
            noteDataAccess(linear, width, write: true)
            let range = TranslatedRange(first: firstPhysical, firstCount: firstCount, second: secondPhysical)
            if try reportWrite(linear, width, range, value) { return }
            for byte in 0..<width {
                let physical =
                    byte < firstCount ? firstPhysical &+ UInt64(byte) : secondPhysical &+ UInt64(byte - firstCount)
                writePhysical(physical, value >> UInt64(byte * 8) & 0xFF, width: 1)
            }
            return
        }
        let physical = try translateAndFill(linear, .write, privilege)
        noteDataAccess(linear, width, write: true)
        let range = TranslatedRange(first: physical, firstCount: width, second: 0)
        if try reportWrite(linear, width, range, value) { return }
        writePhysical(physical, value, width: width)
    }

    /// Raises the fault that a write would raise, and nothing else: read-modify-write instructions and pushes of
    /// several values call it first.
    package func probeWrite(_ linear: UInt64, width: Int, _ privilege: AccessPrivilege = .current) throws(Fault) {
        let line = lines(privilege)[Int(truncatingIfNeeded: linear >> 12 & state.pointee.tlbMask)]
        if line.writeTag == (linear &+ UInt64(width - 1)) & ~0xFFF { return }
        if privilege == .current { try checkAlignment(linear, width) }
        _ = try translateAndFill(linear, .write, privilege)
        if linear & 0xFFF &+ UInt64(width) > 0x1000 {
            _ = try translateAndFill(wrapLinear(linear & ~0xFFF &+ 0x1000), .write, privilege)
        }
    }

    /// Raises the fault that a read would raise, and nothing else.
    func probeRead(_ linear: UInt64, width: Int) throws(Fault) {
        let line = state.pointee.tlb[Int(truncatingIfNeeded: linear >> 12 & state.pointee.tlbMask)]
        if line.readTag == (linear &+ UInt64(width - 1)) & ~0xFFF { return }
        try checkAlignment(linear, width)
        _ = try translateAndFill(linear, .read)
        if linear & 0xFFF &+ UInt64(width) > 0x1000 {
            _ = try translateAndFill(wrapLinear(linear & ~0xFFF &+ 0x1000), .read)
        }
    }

    /// Keeps linear addresses inside 4 GiB outside 64-bit mode.
    @inline(__always)
    func wrapLinear(_ linear: UInt64) -> UInt64 {
        state.pointee.mode.code == 64 || linear >> 63 != 0 ? linear : linear & 0xFFFF_FFFF
    }

    /// #AC where CR0.AM, RFLAGS.AC and CPL 3 ask for it.
    ///
    /// SDM vol. 3 section 6.15.
    @inline(__always)
    private func checkAlignment(_ linear: UInt64, _ width: Int) throws(Fault) {
        if linear & UInt64(width - 1) != 0 && alignmentChecking { throw .alignmentCheck }
    }

    /// Whether misaligned data accesses fault now.
    package var alignmentChecking: Bool {
        state.pointee.cpl == 3 && state.pointee.cr0 & CR0.AM != 0 && state.pointee.systemFlags & RFLAGS.AC != 0
    }

    /// Translates, and enters the page into the soft TLB where fast accesses are allowed.
    func translateAndFill(
        _ linear: UInt64, _ kind: AccessKind, _ privilege: AccessPrivilege = .current
    ) throws(Fault) -> UInt64 {
        let translation = try translate(linear, kind, privilege)
        guard let page = ramPage(translation.physical) else { return translation.physical }
        let linearPage = linear & ~0xFFF
        // SAFETY: only the number of the host address is kept; it is used again after a tag has matched.
        let host = UInt64(UInt(bitPattern: memory.pointer(toPage: page)))
        let context = context(privilege)
        let slot = lines(privilege) + Int(truncatingIfNeeded: linear >> 12 & state.pointee.tlbMask)
        let flags = memory.pageFlags[page]
        let watched = isWatched(linearPage: linearPage)
        var entry = TLBEntry(
            readTag: TLBEntry.invalid, writeTag: TLBEntry.invalid, executeTag: TLBEntry.invalid,
            addend: host &- linearPage)
        // Keep what the same page was already known to allow.
        let known = slot.pointee
        if known.addend == entry.addend {
            if known.readTag == linearPage { entry.readTag = linearPage }
            if known.writeTag == linearPage { entry.writeTag = linearPage }
            if known.executeTag == linearPage { entry.executeTag = linearPage }
        }
        switch kind {
        case .read:
            if !watched && !flags.contains(.watched) { entry.readTag = linearPage }
        case .write:
            if !watched && flags.isDisjoint(with: .slowWrite) {
                entry.writeTag = linearPage
                memory.pageFlags[page].insert(.dirty)
            }
            // A page that may be written may be read (there are no write-only pages).
            if !watched && !flags.contains(.watched) { entry.readTag = linearPage }
        case .execute:
            entry.executeTag = linearPage
        }
        tlb.fill(context, linear: linear, entry: entry, large: translation.largePage)
        return translation.physical
    }

    /// Which soft TLB table has the permissions of an access.
    @inline(__always)
    private func context(_ privilege: AccessPrivilege) -> TLBContext {
        let context: TLBContext
        switch privilege {
        case .current: return state.pointee.mode.tlbContext
        case .system: context = state.pointee.cr4 & CR4.SMAP != 0 ? .supervisor : .supervisorWithUserAccess
        // Inspection only walks.
        case .supervisor, .inspection:
            context =
                state.pointee.cr4 & CR4.SMAP != 0 && state.pointee.systemFlags & RFLAGS.AC == 0
                ? .supervisor : .supervisorWithUserAccess
        }
        return isGuest ? context.inGuest : context
    }

    /// The first line of that table.
    @inline(__always)
    private func lines(_ privilege: AccessPrivilege) -> UnsafeMutablePointer<TLBEntry> {
        privilege == .current ? state.pointee.tlb : tlb.table(context(privilege))
    }

    @inline(__always)
    private func loadHost(_ host: UInt64, _ width: Int) -> UInt64 {
        // SAFETY: a TLB tag matched, so `width` bytes at `host` lie inside one page of guest RAM.
        guard let pointer = UnsafeRawPointer(bitPattern: UInt(host)) else { return 0 }
        return switch width {
        case 1: UInt64(pointer.load(as: UInt8.self))
        case 2: UInt64(pointer.loadUnaligned(as: UInt16.self))
        case 4: UInt64(pointer.loadUnaligned(as: UInt32.self))
        default: pointer.loadUnaligned(as: UInt64.self)
        }
    }

    @inline(__always)
    private func storeHost(_ host: UInt64, _ value: UInt64, _ width: Int) {
        // SAFETY: a TLB tag matched, so `width` bytes at `host` lie inside one page of guest RAM.
        guard let pointer = UnsafeMutableRawPointer(bitPattern: UInt(host)) else { return }
        switch width {
        case 1: pointer.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case 2: pointer.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
        case 4: pointer.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
        default: pointer.storeBytes(of: value, as: UInt64.self)
        }
    }
}
