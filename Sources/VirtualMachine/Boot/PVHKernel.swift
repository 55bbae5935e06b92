/// An ELF kernel started at its PVH entry point: 32-bit protected mode without paging, everything it needs to know in a
/// `hvm_start_info` (Xen, public/arch-x86/hvm/start_info.h and docs/misc/pvh.pandoc).
package struct PVHKernel: Sendable {
    /// XEN_ELFNOTE_PHYS32_ENTRY (Xen, public/elfnote.h).
    package static let entryNote: UInt32 = 18
    /// `hvm_start_info.magic`, "xEn3" with the 0x80 bit of the "E" set.
    package static let magic: UInt32 = 0x336E_C578
    /// The protocol knows no limit; this is what the loader has room for.
    package static let commandLineLimit = 0xFFF

    package let elf: ELFFile
    /// The physical address of the 32-bit entry point.
    package let entry: UInt64

    /// Reads an ELF file and its note.
    package init(_ file: BootFile) throws(BootError) {
        elf = try ELFFile(file)
        guard let note = elf.notes.first(where: { $0.owner == "Xen" && $0.type == Self.entryNote }) else {
            throw file.notFormat(
                "a PVH kernel", "notes", found: "\(elf.notes.count) without it",
                expected: "XEN_ELFNOTE_PHYS32_ENTRY (owner Xen, type 18)")
        }
        // 4 bytes by the documentation, 8 as Linux writes it for x86-64.
        guard note.descriptor.count == 4 || note.descriptor.count == 8 else {
            throw file.unsupported(
                "size of note XEN_ELFNOTE_PHYS32_ENTRY", UInt64(note.descriptor.count), "neither 4 nor 8")
        }
        let address = note.descriptor.littleEndian(UInt64.self)
        guard elf.loadable.contains(where: { $0.physicalRange.contains(address) }), address <= UInt32.max else {
            throw file.unsupported(
                "note XEN_ELFNOTE_PHYS32_ENTRY", address, "not inside a loadable segment below 4 GiB")
        }
        entry = address
    }

    /// Puts the kernel, an initrd as its first module and a command line into memory.
    package func load(
        initrd: BootFile? = nil, commandLine: String = "", memory: PhysicalMemoryMap, rsdp: UInt64? = nil
    ) throws(BootError) -> BootImage {
        let text = try CommandLine(commandLine, limit: Self.commandLineLimit, file: elf.file.name)
        let segments = try elf.contents()
        var taken = try memory.place(segments, of: elf.file)
        let low = PhysicalMemoryMap.pageSize..<PhysicalMemoryMap.holeStart
        let page = PhysicalMemoryMap.pageSize
        let tables = try memory.reserveLow(
            "the descriptor tables", size: FlatProcessor.protectedModeSize, within: low, avoiding: &taken)
        let information = try memory.reserveLow("the start information", size: page, within: low, avoiding: &taken)
        let line = try memory.reserveLow("the command line", size: page, within: low, avoiding: &taken)

        var image = FlatProcessor.protectedMode(entry: entry, tablesAt: tables)
        image.contents += segments
        var module: Range<UInt64>?
        if let initrd {
            try InitialRAMDisk(initrd).check()
            let start = try memory.reserveHigh(
                "the initrd \(initrd.name)", size: initrd.size, within: low, avoiding: &taken)
            module = start..<start + initrd.size
            image.contents.append(MemoryContents(address: start, bytes: initrd.bytes[...]))
        }
        image.contents.append(MemoryContents(address: line, bytes: text.bytes))
        image.contents.append(
            MemoryContents(
                address: information,
                bytes: startInformation(
                    at: information, commandLine: line, module: module, memory: memory, rsdp: rsdp)))
        image.state.rbx = information
        return image
    }

    /// `hvm_start_info`, then the module list, then the memory map.
    private func startInformation(
        at address: UInt64, commandLine: UInt64, module: Range<UInt64>?, memory: PhysicalMemoryMap, rsdp: UInt64?
    ) -> [UInt8] {
        let (headerSize, moduleSize): (UInt64, UInt64) = (56, 32)
        let modules = address + headerSize
        let map = modules + moduleSize
        var bytes: [UInt8] = []
        for field in [Self.magic, 1, 0, module == nil ? 0 : 1] { bytes.append(littleEndian: field) }
        for field in [module == nil ? 0 : modules, commandLine, rsdp ?? 0, map] { bytes.append(littleEndian: field) }
        for field in [UInt32(memory.entries.count), 0] { bytes.append(littleEndian: field) }
        let size = module.map { $0.upperBound - $0.lowerBound } ?? 0
        for field in [module?.lowerBound ?? 0, size, 0, 0] { bytes.append(littleEndian: field) }
        for entry in memory.entries {
            bytes.append(littleEndian: entry.range.lowerBound)
            bytes.append(littleEndian: entry.range.upperBound - entry.range.lowerBound)
            bytes.append(littleEndian: entry.kind.rawValue)
            bytes.append(littleEndian: UInt32(0))
        }
        return bytes
    }
}
