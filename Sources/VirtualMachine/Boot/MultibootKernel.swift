/// A kernel with a Multiboot header, version 1 (Multiboot Specification 0.6.96).
///
/// ELF files of 32 bits as the specification says, of 64 bits as GRUB takes them (loaded at their physical addresses
/// and entered in 32-bit protected mode), and files that carry their load addresses in the header (the "a.out kludge").
package struct MultibootKernel: Sendable {
    /// The number in the header.
    package static let headerMagic: UInt32 = 0x1BAD_B002
    /// The number the kernel finds in EAX.
    package static let bootMagic: UInt32 = 0x2BAD_B002
    /// The specification knows no limit; this is what the loader has room for.
    package static let commandLineLimit = 0xFFF
    package static let loaderName = "vscript"

    /// Bits of the header's flags (section 3.1.2).
    private enum HeaderFlag {
        /// Modules are aligned on pages; here they always are.
        static let alignModules: UInt32 = 1 << 0
        /// The memory fields and the memory map must be there; here they always are.
        static let memoryInformation: UInt32 = 1 << 1
        static let videoMode: UInt32 = 1 << 2
        static let addressFields: UInt32 = 1 << 16
        /// Bits that a loader must refuse if it does not know them.
        static let required: UInt32 = 0xFFFF
    }

    package let file: BootFile
    /// What to load where.
    package let contents: [MemoryContents]
    /// The physical address of the 32-bit entry point.
    package let entry: UInt64

    /// Finds the header and reads what it or the ELF header says about loading.
    package init(_ file: BootFile) throws(BootError) {
        self.file = file
        let header = try Self.findHeader(file)
        let flags = try file.integer(UInt32.self, at: header + 4, "flags")
        guard flags & HeaderFlag.videoMode == 0 else {
            throw file.unsupported("flags", UInt64(flags), "bit 2 asks for a video mode; the machine has no display")
        }
        guard flags & HeaderFlag.required & ~(HeaderFlag.alignModules | HeaderFlag.memoryInformation) == 0 else {
            throw file.unsupported("flags", UInt64(flags), "a required feature that is not known here (bits 3...15)")
        }
        if flags & HeaderFlag.addressFields != 0 {
            (contents, entry) = try Self.readAddressFields(file, header: header)
        } else {
            let elf = try ELFFile(file)
            contents = try elf.contents()
            entry = try Self.physicalEntry(of: elf)
        }
    }

    /// The offset of the header: in the first 8,192 bytes, on a multiple of 4, with a sum of zero.
    private static func findHeader(_ file: BootFile) throws(BootError) -> UInt64 {
        let last = min(file.size, 8192)
        var candidate: UInt64?
        for offset in stride(from: UInt64(0), to: last < 12 ? 0 : last - 11, by: 4) {
            guard try file.integer(UInt32.self, at: offset, "magic") == headerMagic else { continue }
            let flags = try file.integer(UInt32.self, at: offset + 4, "flags")
            let checksum = try file.integer(UInt32.self, at: offset + 8, "checksum")
            if headerMagic &+ flags &+ checksum == 0 { return offset }
            candidate = candidate ?? offset
        }
        if let candidate {
            let checksum = try file.integer(UInt32.self, at: candidate + 8, "checksum")
            throw file.notFormat(
                "a Multiboot kernel", "checksum at \(hexText(candidate + 8))", found: hexText(checksum),
                expected: "what makes magic + flags + checksum zero")
        }
        throw file.notFormat(
            "a Multiboot kernel", "magic", found: "nowhere in the first \(last) bytes", expected: "0x1badb002")
    }

    /// The fields at offsets 12...28 of the header (section 3.1.3).
    private static func readAddressFields(
        _ file: BootFile, header: UInt64
    ) throws(BootError) -> ([MemoryContents], UInt64) {
        var fields: [UInt64] = []
        for (index, name) in ["header_addr", "load_addr", "load_end_addr", "bss_end_addr", "entry_addr"].enumerated() {
            fields.append(UInt64(try file.integer(UInt32.self, at: header + 12 + UInt64(index) * 4, name)))
        }
        let (headerAddress, loadAddress, loadEnd, bssEnd) = (fields[0], fields[1], fields[2], fields[3])
        guard loadAddress <= headerAddress, headerAddress - loadAddress <= header else {
            throw file.unsupported(
                "load_addr", loadAddress,
                "not at or below header_addr by at most the header's offset \(hexText(header))")
        }
        let offset = header - (headerAddress - loadAddress)
        guard loadEnd == 0 || loadEnd > loadAddress else {
            throw file.unsupported("load_end_addr", loadEnd, "not above load_addr \(hexText(loadAddress))")
        }
        let fileSize = loadEnd == 0 ? file.size - offset : loadEnd - loadAddress
        guard bssEnd == 0 || bssEnd >= loadAddress + fileSize else {
            throw file.unsupported(
                "bss_end_addr", bssEnd, "below the end of the loaded bytes \(hexText(loadAddress + fileSize))")
        }
        let bytes = try file.slice(at: offset, size: fileSize, "what load_addr and load_end_addr name")
        let size = bssEnd == 0 ? fileSize : bssEnd - loadAddress
        guard (loadAddress..<loadAddress + size).contains(fields[4]) else {
            throw file.unsupported("entry_addr", fields[4], "not inside the loaded range")
        }
        return ([MemoryContents(address: loadAddress, bytes: bytes, size: size)], fields[4])
    }

    /// `e_entry` is virtual; the kernel is entered at the same place of the same segment's physical address.
    private static func physicalEntry(of elf: ELFFile) throws(BootError) -> UInt64 {
        for segment in elf.loadable {
            guard elf.entry >= segment.virtualAddress, elf.entry - segment.virtualAddress < segment.memorySize else {
                continue
            }
            let address = segment.physicalAddress + (elf.entry - segment.virtualAddress)
            if address <= UInt32.max { return address }
        }
        throw elf.file.unsupported("e_entry", elf.entry, "not inside a loadable segment below 4 GiB")
    }

    /// A file that the kernel gets beside itself, with its own command line.
    package struct Module: Sendable {
        package var file: BootFile
        package var commandLine: String

        package init(_ file: BootFile, commandLine: String = "") {
            self.file = file
            self.commandLine = commandLine
        }
    }

    /// Puts the kernel, modules and a command line into memory.
    package func load(
        modules: [Module] = [], commandLine: String = "", memory: PhysicalMemoryMap
    ) throws(BootError) -> BootImage {
        let page = PhysicalMemoryMap.pageSize
        let low = page..<PhysicalMemoryMap.holeStart
        var taken = try memory.place(contents, of: file)
        let tables = try memory.reserveLow(
            "the descriptor tables", size: FlatProcessor.protectedModeSize, within: low, avoiding: &taken)
        var image = FlatProcessor.protectedMode(entry: entry, tablesAt: tables)
        image.contents += contents
        // Modules go behind the kernel, where kernels expect them.
        let end = contents.map(\.range.upperBound).max() ?? 0
        let above = max(end, PhysicalMemoryMap.firmware.upperBound)..<PhysicalMemoryMap.holeStart
        var information = Information()
        for module in modules {
            guard module.file.size > 0 else { throw .empty(file: module.file.name) }
            let text = try CommandLine(module.commandLine, limit: Self.commandLineLimit, file: file.name)
            let start = try memory.reserveLow(
                "the module \(module.file.name)", size: module.file.size, within: above, avoiding: &taken)
            image.contents.append(MemoryContents(address: start, bytes: module.file.bytes[...]))
            information.modules.append((start..<start + module.file.size, text.bytes))
        }
        information.commandLine = try CommandLine(commandLine, limit: Self.commandLineLimit, file: file.name).bytes
        // Laid out once to learn its size; addresses do not change it.
        let size = UInt64(information.bytes(at: 0, memory: memory).count)
        let address = try memory.reserveLow(
            "the Multiboot information", size: size, within: low, avoiding: &taken)
        image.contents.append(
            MemoryContents(address: address, bytes: information.bytes(at: address, memory: memory)))
        image.state.rax = UInt64(Self.bootMagic)
        image.state.rbx = address
        return image
    }
}

extension MultibootKernel {
    /// The information structure (section 3.3): the fixed part, then what it points to.
    private struct Information {
        var commandLine: [UInt8] = []
        var modules: [(range: Range<UInt64>, commandLine: [UInt8])] = []

        /// Bits of the flags: which fields are valid.
        private enum Flag {
            static let memory: UInt32 = 1 << 0
            static let commandLine: UInt32 = 1 << 2
            static let modules: UInt32 = 1 << 3
            static let memoryMap: UInt32 = 1 << 6
            static let loaderName: UInt32 = 1 << 9
        }

        func bytes(at address: UInt64, memory: PhysicalMemoryMap) -> [UInt8] {
            let fixedSize = 120
            var bytes = [UInt8](repeating: 0, count: fixedSize)
            func here() -> UInt32 { UInt32(truncatingIfNeeded: address) &+ UInt32(truncatingIfNeeded: bytes.count) }
            func align() { while bytes.count % 4 != 0 { bytes.append(0) } }

            bytes.put(Flag.memory | Flag.commandLine | Flag.modules | Flag.memoryMap | Flag.loaderName, at: 0)
            let above = memory.low.upperBound - min(memory.low.upperBound, PhysicalMemoryMap.firmware.upperBound)
            bytes.put(UInt32(truncatingIfNeeded: PhysicalMemoryMap.extendedBIOSData.lowerBound / 1024), at: 4)
            bytes.put(UInt32(truncatingIfNeeded: above / 1024), at: 8)
            bytes.put(here(), at: 16)
            bytes += commandLine
            bytes.put(here(), at: 64)
            bytes += Array(MultibootKernel.loaderName.utf8) + [0]

            var strings: [UInt32] = []
            for module in modules {
                strings.append(here())
                bytes += module.commandLine
            }
            align()
            bytes.put(UInt32(truncatingIfNeeded: modules.count), at: 20)
            bytes.put(here(), at: 24)
            for (module, string) in zip(modules, strings) {
                bytes.append(littleEndian: UInt32(truncatingIfNeeded: module.range.lowerBound))
                bytes.append(littleEndian: UInt32(truncatingIfNeeded: module.range.upperBound))
                bytes.append(littleEndian: string)
                bytes.append(littleEndian: UInt32(0))
            }

            let map = bytes.count
            bytes.put(here(), at: 48)
            for entry in memory.entries {
                // The size does not count its own field.
                bytes.append(littleEndian: UInt32(20))
                bytes.append(littleEndian: entry.range.lowerBound)
                bytes.append(littleEndian: entry.range.upperBound - entry.range.lowerBound)
                bytes.append(littleEndian: entry.kind.rawValue)
            }
            bytes.put(UInt32(truncatingIfNeeded: bytes.count - map), at: 44)
            return bytes
        }
    }
}
