/// A Linux bzImage, started by the 64-bit boot protocol, or by the 32-bit one if it has no 64-bit entry point (Linux,
/// Documentation/arch/x86/boot.rst).
///
/// No real-mode code of the kernel runs: the setup header is read, the boot parameters ("zero page") are written and
/// the kernel is entered at its 64-bit entry point with the first 4 GiB mapped one to one, or at its 32-bit entry
/// point with paging off.
package struct LinuxKernel: Sendable {
    /// The fields of the setup header that decide how to load (boot.rst, "Details of Header Fields").
    package struct SetupHeader: Equatable, Sendable {
        /// In sectors of 512 bytes, without the boot sector.
        package var setupSectors: UInt64
        /// The protected-mode code's size in bytes.
        package var codeSize: UInt64
        package var version: UInt16
        /// XLF_KERNEL_64: whether the kernel has an entry point in long mode.
        package var has64BitEntry: Bool
        package var kernelAlignment: UInt64
        package var isRelocatable: Bool
        package var preferredAddress: UInt64
        /// How much memory the kernel needs from its load address on before it reads the memory map.
        package var initSize: UInt64
        /// The highest address the initrd's last byte may have.
        package var initrdAddressMax: UInt64
        /// The longest command line, without its NUL.
        package var commandLineSize: Int
        /// The header's bytes as they go into the boot parameters, from offset 0x1F1 on.
        package var bytes: ArraySlice<UInt8>
    }

    /// Where the loader puts its own structures, in conventional memory.
    package enum Layout {
        package static let descriptorTables: UInt64 = 0x1000
        package static let bootParameters: UInt64 = 0x9000
        package static let commandLine: UInt64 = 0x1_0000
        /// Everything from 0 up to here belongs to the loader.
        package static let end: UInt64 = 0x2_0000
    }

    package let file: BootFile
    package let header: SetupHeader

    /// Reads and checks the setup header; the protected-mode code is known to be complete.
    package init(_ file: BootFile) throws(BootError) {
        self.file = file
        header = try SetupHeader(file)
    }

    /// Puts the kernel, an initrd and a command line into memory.
    ///
    /// `rsdp` is the address of the ACPI root pointer; kernels older than protocol 2.14 look for it in the BIOS area.
    package func load(
        initrd: BootFile? = nil, commandLine: String = "", memory: PhysicalMemoryMap, rsdp: UInt64? = nil
    ) throws(BootError) -> BootImage {
        let text = try CommandLine(
            commandLine, limit: min(header.commandLineSize, Int(Layout.end - Layout.commandLine) - 1), file: file.name)
        let size = max(header.initSize, header.codeSize)
        let address = try loadAddress(size: size, memory: memory)
        var taken = [0..<Layout.end, address..<address + size]
        var contents: [MemoryContents] = []
        var initrdRange: Range<UInt64>?
        if let initrd {
            try InitialRAMDisk(initrd).check()
            let bound = min(header.initrdAddressMax + 1, PhysicalMemoryMap.holeStart)
            let start = try memory.reserveHigh(
                "the initrd \(initrd.name)", size: initrd.size, within: 0..<bound, avoiding: &taken)
            initrdRange = start..<start + initrd.size
            contents.append(MemoryContents(address: start, bytes: initrd.bytes[...]))
        }
        let code = try file.slice(
            at: header.codeOffset, size: min(header.codeSize, file.size - header.codeOffset), "the protected-mode code")
        let parameters = bootParameters(load: address, initrd: initrdRange, memory: memory, rsdp: rsdp)
        // boot.rst, "64-bit Boot Protocol": the entry point is 0x200 behind the start; "32-bit Boot Protocol": it is the
        // start.
        var image =
            header.has64BitEntry
            ? FlatProcessor.longMode(entry: address + 0x200, tablesAt: Layout.descriptorTables)
            : FlatProcessor.protectedMode(entry: address, tablesAt: Layout.descriptorTables)
        image.state.rsi = Layout.bootParameters
        image.contents += contents
        image.contents += [
            MemoryContents(address: address, bytes: code),
            MemoryContents(address: Layout.bootParameters, bytes: parameters),
            MemoryContents(address: Layout.commandLine, bytes: text.bytes),
        ]
        return image
    }

    /// The preferred address if it is free, else the lowest aligned one for a kernel that can be moved.
    private func loadAddress(size: UInt64, memory: PhysicalMemoryMap) throws(BootError) -> UInt64 {
        let preferred = header.preferredAddress
        let (end, overflow) = preferred.addingReportingOverflow(size)
        if !overflow, preferred >= Layout.end, end <= PhysicalMemoryMap.holeStart, memory.isUsable(preferred..<end) {
            return preferred
        }
        let bounds = PhysicalMemoryMap.firmware.upperBound..<PhysicalMemoryMap.holeStart
        guard header.isRelocatable else {
            throw .notRelocatable(
                file: file.name, preferredAddress: preferred, initSize: size, memory: memory.size)
        }
        guard let address = memory.lowestFree(size: size, alignment: header.kernelAlignment, within: bounds) else {
            throw .memoryTooSmall(
                what: "init_size of the kernel \(file.name)", needed: size,
                available: memory.largestFree(within: bounds))
        }
        return address
    }

    /// The boot parameters (Linux, Documentation/arch/x86/zero-page.rst).
    private func bootParameters(
        load: UInt64, initrd: Range<UInt64>?, memory: PhysicalMemoryMap, rsdp: UInt64?
    ) -> [UInt8] {
        var page = [UInt8](repeating: 0, count: Int(PhysicalMemoryMap.pageSize))
        page.replaceSubrange(SetupHeader.start..<SetupHeader.start + header.bytes.count, with: header.bytes)
        page.put(rsdp ?? 0, at: 0x070)
        page.put(UInt8(0xFF), at: 0x210)  // type_of_loader: undefined
        page.put(UInt16(0xFFFF), at: 0x1FA)  // vid_mode: normal
        page.put(UInt32(truncatingIfNeeded: load), at: 0x214)  // code32_start
        if let initrd {
            page.put(UInt32(truncatingIfNeeded: initrd.lowerBound), at: 0x218)
            page.put(UInt32(truncatingIfNeeded: initrd.upperBound - initrd.lowerBound), at: 0x21C)
        }
        page.put(UInt32(Layout.commandLine), at: 0x228)
        page.put(UInt8(memory.entries.count), at: 0x1E8)
        for (index, entry) in memory.entries.enumerated() {
            let offset = 0x2D0 + index * 20
            page.put(entry.range.lowerBound, at: offset)
            page.put(entry.range.upperBound - entry.range.lowerBound, at: offset + 8)
            page.put(entry.kind.rawValue, at: offset + 16)
        }
        return page
    }
}

extension LinuxKernel.SetupHeader {
    /// The header's offset in the file and in the boot parameters.
    package static let start = 0x1F1

    /// Where the protected-mode code begins in the file.
    package var codeOffset: UInt64 { (setupSectors + 1) * 512 }

    /// The first protocol whose header says how much memory the kernel needs (`init_size`).
    private static let oldestVersion: UInt16 = 0x20A

    /// Reads the header of a bzImage of protocol 2.10 or later.
    init(_ file: BootFile) throws(BootError) {
        let format = "a Linux bzImage"
        guard file.size > 0x206 else {
            throw .truncated(
                file: file.name, what: "the setup header", offset: 0x1F1, size: 0x15, fileSize: file.size)
        }
        let magic = try file.slice(at: 0x202, size: 4, "header")
        guard magic.elementsEqual("HdrS".utf8) else {
            throw file.notFormat(
                format, "header at 0x202", found: hexText(magic), expected: "48 64 72 53 (\"HdrS\")")
        }
        let bootFlag = try file.integer(UInt16.self, at: 0x1FE, "boot_flag")
        guard bootFlag == 0xAA55 else {
            throw file.notFormat(format, "boot_flag at 0x1FE", found: hexText(bootFlag), expected: "0xaa55")
        }
        version = try file.integer(UInt16.self, at: 0x206, "version")
        guard version >= Self.oldestVersion else {
            throw file.unsupported("version", UInt64(version), "older than 0x20a (2.10), the first with init_size")
        }
        let loadFlags = try file.integer(UInt8.self, at: 0x211, "loadflags")
        guard loadFlags & 1 != 0 else {
            throw file.unsupported("loadflags", UInt64(loadFlags), "LOADED_HIGH is clear: a zImage, not a bzImage")
        }
        // `xloadflags` came with 2.12; before, its place is padding.
        let extendedFlags = try file.integer(UInt16.self, at: 0x236, "xloadflags")
        has64BitEntry = version >= 0x20C && extendedFlags & 1 != 0
        let sectors = UInt64(try file.integer(UInt8.self, at: 0x1F1, "setup_sects"))
        setupSectors = sectors == 0 ? 4 : sectors
        codeSize = UInt64(try file.integer(UInt32.self, at: 0x1F4, "syssize")) * 16
        kernelAlignment = UInt64(try file.integer(UInt32.self, at: 0x230, "kernel_alignment"))
        isRelocatable = try file.integer(UInt8.self, at: 0x234, "relocatable_kernel") != 0
        preferredAddress = try file.integer(UInt64.self, at: 0x258, "pref_address")
        initSize = UInt64(try file.integer(UInt32.self, at: 0x260, "init_size"))
        initrdAddressMax = UInt64(try file.integer(UInt32.self, at: 0x22C, "initrd_addr_max"))
        commandLineSize = Int(try file.integer(UInt32.self, at: 0x238, "cmdline_size"))
        guard kernelAlignment.nonzeroBitCount == 1 else {
            throw file.unsupported("kernel_alignment", kernelAlignment, "not a power of two")
        }
        // boot.rst: the byte at 0x201 is the jump's distance from 0x202 to the end of the header. Whatever it says,
        // the boot parameters end the header at 0x290.
        let end = min(0x202 + UInt64(try file.integer(UInt8.self, at: 0x201, "jump")), 0x290)
        guard end >= 0x264 else {
            throw file.unsupported("jump", end - 0x202, "the setup header is shorter than 2.10's")
        }
        bytes = try file.slice(at: UInt64(Self.start), size: end - UInt64(Self.start), "the setup header")
        // `syssize` is rounded up to 16 bytes.
        guard codeOffset < file.size, file.size - codeOffset + 15 >= codeSize, codeSize > 0x200 else {
            throw .truncated(
                file: file.name, what: "the protected-mode code", offset: codeOffset, size: codeSize,
                fileSize: file.size)
        }
    }
}
