import X86Engine

/// The flat environments that boot protocols ask for: protected mode without paging, and long mode with an identity
/// mapping of the first 4 GiB.
///
/// Both use selectors 0x10 for code and 0x18 for data (`__BOOT_CS` and `__BOOT_DS` of the Linux boot protocol) and
/// 0x20 for a TSS.
package enum FlatProcessor {
    package static let codeSelector: UInt16 = 0x10
    package static let dataSelector: UInt16 = 0x18
    package static let taskSelector: UInt16 = 0x20
    /// The GDT and, after it, the TSS, in the first page of the block.
    package static let protectedModeSize: UInt64 = PhysicalMemoryMap.pageSize
    /// The same and six pages of page tables: one PML4, one PDPT, four page directories of 2 MiB pages.
    package static let longModeSize: UInt64 = PhysicalMemoryMap.pageSize * 7

    private static let taskStateOffset: UInt64 = 0x80
    /// A TSS without an I/O bitmap (SDM volume 3, figure 8-2); PVH asks for this limit.
    private static let taskStateLimit: UInt32 = 0x67

    /// 32-bit code at privilege 0 with paging off; the block of `protectedModeSize` at `address` holds the GDT.
    package static func protectedMode(entry: UInt64, tablesAt address: UInt64) -> BootImage {
        let tables = descriptorTables(codeBits: 32, at: address)
        var state = flatState(codeBits: 32, entry: entry, tablesAt: address)
        state.cr0 = CR0.PE | CR0.ET
        return BootImage(contents: [MemoryContents(address: address, bytes: tables)], state: state)
    }

    /// 64-bit code at privilege 0; the block of `longModeSize` at `address` holds GDT and page tables.
    package static func longMode(entry: UInt64, tablesAt address: UInt64) -> BootImage {
        var bytes = descriptorTables(codeBits: 64, at: address)
        bytes += [UInt8](repeating: 0, count: Int(longModeSize) - bytes.count)
        let page = PhysicalMemoryMap.pageSize
        let (pml4, pdpt, directories) = (address + page, address + 2 * page, address + 3 * page)
        let pointer = PageTableEntry.present | PageTableEntry.writable
        bytes.put(pdpt | pointer, at: Int(page))
        for index in 0..<4 {
            bytes.put(directories + UInt64(index) * page | pointer, at: Int(2 * page) + index * 8)
        }
        for index in 0..<2048 {
            bytes.put(UInt64(index) << 21 | pointer | PageTableEntry.large, at: Int(3 * page) + index * 8)
        }
        var state = flatState(codeBits: 64, entry: entry, tablesAt: address)
        state.cr0 = CR0.PE | CR0.ET | CR0.PG
        state.cr3 = pml4
        state.cr4 = CR4.PAE
        state.efer = EFER.LME | EFER.LMA
        return BootImage(contents: [MemoryContents(address: address, bytes: bytes)], state: state)
    }

    private static func taskState(at address: UInt64) -> SegmentDescriptor {
        .taskState(base: address + taskStateOffset, limit: taskStateLimit, isBusy: true)
    }

    private static func descriptorTables(codeBits: Int, at address: UInt64) -> [UInt8] {
        let task = taskState(at: address)
        var bytes: [UInt8] = []
        let rows = [
            0, 0, SegmentDescriptor.code(bits: codeBits, privilege: 0).encoded,
            SegmentDescriptor.data(privilege: 0).encoded, task.encoded, task.encodedUpper,
        ]
        for row in rows { bytes.append(littleEndian: row) }
        bytes += [UInt8](repeating: 0, count: Int(taskStateOffset) - bytes.count)
        bytes += [UInt8](repeating: 0, count: Int(taskStateLimit) + 1)
        return bytes
    }

    private static func flatState(codeBits: Int, entry: UInt64, tablesAt address: UInt64) -> InitialState {
        var state = InitialState()
        state.rip = entry
        state.cs = SegmentDescriptor.code(bits: codeBits, privilege: 0).loaded(codeSelector)
        let data = SegmentDescriptor.data(privilege: 0).loaded(dataSelector)
        (state.ds, state.es, state.ss, state.fs, state.gs) = (data, data, data, data, data)
        state.ldtr = .null
        state.tr = taskState(at: address).loaded(taskSelector)
        state.gdtr = InitialState.DescriptorTable(base: address, limit: 6 * 8 - 1)
        state.idtr = InitialState.DescriptorTable(base: 0, limit: 0)
        return state
    }
}

/// Bits of page-table entries (SDM volume 3, table 4-20).
package enum PageTableEntry {
    package static let present: UInt64 = 1 << 0
    package static let writable: UInt64 = 1 << 1
    package static let user: UInt64 = 1 << 2
    /// PS: the entry maps a page instead of pointing to a table.
    package static let large: UInt64 = 1 << 7
}
