/// A section of an ELF file.
///
/// System V gABI chapter 4, "Sections".
package struct ELFSection: Equatable, Sendable {
    package var name: String
    package var type: UInt32
    package var flags: UInt64
    package var address: UInt64
    package var fileOffset: UInt64
    package var size: UInt64
    package var link: UInt32
    package var entrySize: UInt64

    /// SHF_ALLOC: it is in memory when the program runs.
    package var isAllocated: Bool { flags & 0x2 != 0 }
    /// SHF_EXECINSTR.
    package var isExecutable: Bool { flags & 0x4 != 0 }
    /// SHF_COMPRESSED.
    package var isCompressed: Bool { flags & 0x800 != 0 }
    /// Whether it has no bytes in the file (SHT_NOBITS).
    package var isEmptyInFile: Bool { type == 8 }
}

extension ELFFile {
    /// The section headers; none if the file has no table of them.
    package func sections() throws(BootError) -> [ELFSection] {
        let wide = is64Bit
        let table = try file.word(wide, at: wide ? 40 : 32, "e_shoff")
        guard table != 0 else { return [] }
        let entrySize = UInt64(try file.integer(UInt16.self, at: wide ? 58 : 46, "e_shentsize"))
        var count = UInt64(try file.integer(UInt16.self, at: wide ? 60 : 48, "e_shnum"))
        var nameTable = UInt32(try file.integer(UInt16.self, at: wide ? 62 : 50, "e_shstrndx"))
        guard entrySize >= (wide ? 64 : 40) else {
            throw file.unsupported("e_shentsize", entrySize, "smaller than a section header")
        }
        _ = try file.slice(at: table, size: entrySize, "section header 0")
        // Numbers that do not fit stand in the first header.
        if count == 0 { count = try file.word(wide, at: table + (wide ? 32 : 20), "sh_size of section header 0") }
        if nameTable == 0xFFFF {
            nameTable = try file.integer(UInt32.self, at: table + (wide ? 40 : 24), "sh_link of section header 0")
        }
        guard count <= file.size / entrySize else {
            throw file.unsupported("the number of section headers", count, "more than the file can hold")
        }
        _ = try file.slice(at: table, size: entrySize * count, "\(count) section headers")
        var sections: [ELFSection] = []
        var nameOffsets: [UInt32] = []
        for index in 0..<count {
            let header = table + index * entrySize
            let what = "section header \(index)"
            nameOffsets.append(try file.integer(UInt32.self, at: header, what))
            sections.append(
                ELFSection(
                    name: "", type: try file.integer(UInt32.self, at: header + 4, what),
                    flags: try file.word(wide, at: header + 8, what),
                    address: try file.word(wide, at: header + (wide ? 16 : 12), what),
                    fileOffset: try file.word(wide, at: header + (wide ? 24 : 16), what),
                    size: try file.word(wide, at: header + (wide ? 32 : 20), what),
                    link: try file.integer(UInt32.self, at: header + (wide ? 40 : 24), what),
                    entrySize: try file.word(wide, at: header + (wide ? 56 : 36), what)))
        }
        guard sections.indices.contains(Int(nameTable)) else { return sections }
        let names = try bytes(of: sections[Int(nameTable)], "the section names")
        for index in sections.indices {
            let name = names.dropFirst(Int(nameOffsets[index])).prefix(64).prefix { $0 != 0 }
            sections[index].name = String(decoding: name, as: UTF8.self)
        }
        return sections
    }

    /// What the file holds of a section.
    package func bytes(of section: ELFSection, _ what: String) throws(BootError) -> ArraySlice<UInt8> {
        guard !section.isCompressed else {
            throw file.unsupported(
                "sh_flags of \(what)", section.flags,
                "the section is compressed; objcopy --decompress-debug-sections unpacks it")
        }
        return section.isEmptyInFile ? [] : try file.slice(at: section.fileOffset, size: section.size, what)
    }
}
