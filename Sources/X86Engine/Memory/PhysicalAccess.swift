// Memory by physical address: RAM with its bookkeeping, or the devices behind the environment.

extension Processor {
    /// The physical page at which a device of this processor alone, its local APIC, answers in front of RAM.
    package var devicePage: UInt64? {
        get { control.pointee.devicePage == .max ? nil : control.pointee.devicePage }
        set {
            guard newValue != devicePage else { return }
            control.pointee.devicePage = newValue ?? .max
            flushTLB()
            leaveBlockAfterThisInstruction()
        }
    }

    /// The RAM page number that this processor reaches at a physical address, or nil where devices or nothing answer.
    @inline(__always)
    package func ramPage(_ physical: UInt64) -> Int? {
        physical & ~0xFFF == control.pointee.devicePage ? nil : memory.pageIndex(physical)
    }

    /// Reads 1, 2, 4 or 8 bytes that do not cross a page.
    package func readPhysical(_ physical: UInt64, width: Int) -> UInt64 {
        guard let page = ramPage(physical) else {
            return accessDevice { environment.readDevice(physical, width: width) }
        }
        // SAFETY: the caller keeps the access inside the page.
        let pointer = UnsafeRawPointer(memory.pointer(toPage: page)) + Int(physical & 0xFFF)
        return switch width {
        case 1: UInt64(pointer.load(as: UInt8.self))
        case 2: UInt64(pointer.loadUnaligned(as: UInt16.self))
        case 4: UInt64(pointer.loadUnaligned(as: UInt32.self))
        default: pointer.loadUnaligned(as: UInt64.self)
        }
    }

    /// Writes 1, 2, 4 or 8 bytes that do not cross a page.
    package func writePhysical(_ physical: UInt64, _ value: UInt64, width: Int) {
        guard let page = ramPage(physical) else {
            accessDevice { environment.writeDevice(physical, value, width: width) }
            return
        }
        withUnsafeBytes(of: value.littleEndian) { bytes in
            memory.write(
                page: page, offset: Int(physical & 0xFFF), bytes: UnsafeRawBufferPointer(rebasing: bytes[..<width]))
        }
    }

    /// Device accesses may raise interrupts or change timers: the current block ends after this instruction.
    @inline(__always)
    private func accessDevice<Result>(_ body: () -> Result) -> Result {
        control.pointee.deviceAccessTime = state.pointee.time
        defer { leaveBlockAfterThisInstruction() }
        return body()
    }
}

extension PhysicalMemory {
    /// Copies bytes in; false, with nothing written, unless all of the range is RAM.
    ///
    /// Used by loaders and DMA.
    package func write(_ physical: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
        hostWrites?(physical, bytes)
        return writeParts(physical, bytes)
    }

    private func writeParts(_ physical: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
        forEachPart(of: physical, count: bytes.count) { page, offset, range in
            write(page: page, offset: offset, bytes: UnsafeRawBufferPointer(rebasing: bytes[range]))
        }
    }

    /// Writes inside one page, and drops the blocks or translations that were made from the old bytes.
    func write(page: Int, offset: Int, bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
        let flags = pageFlags[page]
        // SAFETY: callers keep `offset + bytes.count` inside the page.
        let target = pointer(toPage: page) + offset
        if !flags.isDisjoint(with: [.pagingStructure, .secondLevelStructure]) {
            let changed = changesPresentEntry(target, offset: offset, bytes: bytes)
            target.copyMemory(from: source, byteCount: bytes.count)
            if changed {
                if flags.contains(.secondLevelStructure) {
                    dropAllSecondLevelTranslations()
                } else {
                    dropAllTranslations()
                }
            }
        } else {
            target.copyMemory(from: source, byteCount: bytes.count)
        }
        pageFlags[page].insert(.dirty)
        if flags.contains(.code) { invalidateCode(page: page, offset: offset, count: bytes.count) }
        if flags.contains(.traced) {
            tracer?.memoryChanged(page: page, offset: offset, count: bytes.count, byWalk: false)
        }
    }

    /// Whether writing `bytes` changes a dword that belongs to a present entry (translations of absent ones are never
    /// kept, so most page-table writes need no flush).
    private func changesPresentEntry(
        _ target: UnsafeMutableRawPointer, offset: Int, bytes: UnsafeRawBufferPointer
    ) -> Bool {
        let page = target - offset
        for index in 0..<bytes.count where target.load(fromByteOffset: index, as: UInt8.self) != bytes[index] {
            let position = offset + index
            // An 8-byte entry's present bit is in its first byte, a 4-byte entry's in every fourth byte.
            if (page + position & ~7).load(as: UInt8.self) & 1 != 0
                || (page + position & ~3).load(as: UInt8.self) & 1 != 0
            {
                return true
            }
        }
        return false
    }
}
