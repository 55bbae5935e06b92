/// A unified kernel image: a PE file whose sections hold a Linux kernel and what it starts with (UAPI Group
/// specification UAPI.5; Microsoft, PE Format).
///
/// The UEFI program in it does not run here; what it would do is done by the loader of bzImages. Of an image with
/// several profiles the first one counts, as without a choice in UAPI.5: its sections stand in for those of their names
/// before it.
package struct UnifiedKernelImage: Sendable {
    /// Section `.linux`.
    package let kernel: BootFile
    /// Sections `.ucode` and `.initrd`, one behind the other.
    package let initrd: BootFile?
    /// Section `.cmdline`.
    package let commandLine: String?

    /// Whether a file is to be read as a unified kernel image: a PE file that is not a bzImage itself, as kernels with
    /// a UEFI stub of their own are.
    package static func isImage(_ file: BootFile) -> Bool {
        file.bytes.starts(with: "MZ".utf8) && !file.bytes.dropFirst(0x202).starts(with: "HdrS".utf8)
    }

    /// Reads the section table and takes out what a Linux kernel starts from.
    package init(_ file: BootFile) throws(BootError) {
        let (sections, tableEnd) = try Self.sections(of: file)
        let (base, profile) = Self.firstProfile(sections)
        var found: [String: Section] = [:]
        for name in [".linux", ".ucode", ".initrd", ".cmdline"] {
            for group in [base, profile] {
                let named = group.filter { $0.name == name }
                guard named.count <= 1 else {
                    throw file.unsupported(
                        "the number of sections \(name)", UInt64(named.count), "UAPI.5 allows one in each profile")
                }
                found[name] = named.first ?? found[name]
            }
        }
        found = found.filter { $0.value.size > 0 }
        try Self.checkPlaces(found.values.sorted { $0.offset < $1.offset }, behind: tableEnd, of: file)

        func content(_ name: String) throws(BootError) -> ArraySlice<UInt8>? {
            guard let section = found[name] else { return nil }
            return try file.slice(at: section.offset, size: section.size, "section \(name)")
        }
        guard let linux = try content(".linux") else {
            throw file.notFormat(
                "a unified kernel image", "the list of its sections",
                found: sections.map(\.name).joined(separator: " "), expected: "one with .linux")
        }
        kernel = BootFile(name: "\(file.name), section .linux", bytes: Array(linux))
        var archives: [UInt8] = []
        for name in [".ucode", ".initrd"] {
            guard let archive = try content(name) else { continue }
            // Archives begin at multiples of four bytes (Linux, driver-api/early-userspace/buffer-format.rst).
            archives += [UInt8](repeating: 0, count: (4 - archives.count % 4) % 4)
            archives += archive
        }
        initrd = archives.isEmpty ? nil : BootFile(name: "\(file.name), section .initrd", bytes: archives)
        commandLine = try content(".cmdline").map(Self.text)
    }

    // MARK: - Sections

    private struct Section {
        var name: String
        var offset: UInt64
        var size: UInt64
    }

    /// The section table, and where it ends in the file.
    private static func sections(of file: BootFile) throws(BootError) -> ([Section], tableEnd: UInt64) {
        let start = UInt64(try file.integer(UInt32.self, at: 0x3C, "e_lfanew"))
        let signature = try file.slice(at: start, size: 4, "the PE signature")
        guard signature.elementsEqual("PE\0\0".utf8) else {
            throw file.notFormat(
                "a bzImage or a unified kernel image", "the PE signature at \(hexText(start))",
                found: hexText(signature), expected: "50 45 00 00")
        }
        let machine = try file.integer(UInt16.self, at: start + 4, "Machine")
        guard machine == 0x8664 || machine == 0x14C else {
            throw file.unsupported("Machine", UInt64(machine), "neither 0x8664 (x86-64) nor 0x14c (80386)")
        }
        let count = UInt64(try file.integer(UInt16.self, at: start + 6, "NumberOfSections"))
        let optionalSize = UInt64(try file.integer(UInt16.self, at: start + 20, "SizeOfOptionalHeader"))
        let table = start + 24 + optionalSize
        _ = try file.slice(at: table, size: count * 40, "the table of \(count) sections")
        var sections: [Section] = []
        for index in 0..<count {
            let header = table + index * 40
            let what = "section header \(index)"
            let name = try file.slice(at: header, size: 8, what).prefix { $0 != 0 }
            let virtualSize = try file.integer(UInt32.self, at: header + 8, what)
            let rawSize = try file.integer(UInt32.self, at: header + 16, what)
            // SizeOfRawData is rounded up to FileAlignment; a VirtualSize above it asks for zeros behind the bytes.
            let size = virtualSize == 0 ? rawSize : min(virtualSize, rawSize)
            sections.append(
                Section(
                    name: String(
                        decoding: name.map { (0x21..<0x7F).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self),
                    offset: UInt64(try file.integer(UInt32.self, at: header + 20, what)), size: UInt64(size)))
        }
        return (sections, table + count * 40)
    }

    /// The sections before the first `.profile`, and those from there up to the next.
    private static func firstProfile(_ sections: [Section]) -> (base: ArraySlice<Section>, profile: ArraySlice<Section>)
    {
        let parts = sections.split(omittingEmptySubsequences: false) { $0.name == ".profile" }
        return (parts.first ?? [], parts.dropFirst().first ?? [])
    }

    /// Checks that sections in the order of their places share no bytes with each other or with the headers.
    private static func checkPlaces(_ sections: [Section], behind tableEnd: UInt64, of file: BootFile) throws(BootError)
    {
        var before = (name: "the section table", start: UInt64(0), end: tableEnd)
        for section in sections {
            guard section.offset >= before.end else {
                throw .overlap(
                    what: "\(file.name): section \(section.name)", address: section.offset, other: before.name,
                    otherAddress: before.start)
            }
            before = ("section \(section.name)", section.offset, section.offset + section.size)
        }
    }

    /// A command line without what ends the file it was made from; other control characters are spaces.
    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        let line = bytes.prefix { $0 != 0 }.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }
        let start = line.firstIndex { $0 != 0x20 } ?? line.endIndex
        let end = line.lastIndex { $0 != 0x20 }.map { $0 + 1 } ?? start
        return String(decoding: line[start..<end], as: UTF8.self)
    }
}
