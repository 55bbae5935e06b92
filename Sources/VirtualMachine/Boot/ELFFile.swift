/// An executable in the Executable and Linkable Format, 32 or 64 bits, little-endian, for x86.
///
/// System V gABI chapters 4 and 5; only what loaders need: program headers, the entry point and notes.
package struct ELFFile: Sendable {
    /// A program header of type PT_LOAD or PT_NOTE.
    package struct Segment: Equatable, Sendable {
        package var isLoadable: Bool
        package var fileOffset: UInt64
        package var virtualAddress: UInt64
        package var physicalAddress: UInt64
        package var fileSize: UInt64
        package var memorySize: UInt64

        /// The physical addresses it occupies.
        package var physicalRange: Range<UInt64> { physicalAddress..<physicalAddress + memorySize }
    }

    /// A note: its owner, its type and its descriptor.
    package struct Note: Equatable, Sendable {
        package var owner: String
        package var type: UInt32
        package var descriptor: ArraySlice<UInt8>
    }

    package let file: BootFile
    package let is64Bit: Bool
    /// `e_entry`, a virtual address.
    package let entry: UInt64
    package let segments: [Segment]

    /// Whether a file begins with ELF's magic number.
    package static func isELF(_ file: BootFile) -> Bool { file.bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) }

    /// Reads the header and the program headers; every loadable segment's bytes are known to be in the file.
    package init(_ file: BootFile) throws(BootError) {
        let magic = try file.slice(at: 0, size: 16, "e_ident")
        guard Self.isELF(file) else {
            throw file.notFormat("an ELF file", "e_ident", found: hexText(magic.prefix(4)), expected: "7f 45 4c 46")
        }
        let fileClass = magic[4]
        guard fileClass == 1 || fileClass == 2 else {
            throw file.unsupported("e_ident[EI_CLASS]", UInt64(fileClass), "neither 1 (32 bits) nor 2 (64 bits)")
        }
        guard magic[5] == 1 else {
            throw file.unsupported("e_ident[EI_DATA]", UInt64(magic[5]), "not 1 (little-endian)")
        }
        let wide = fileClass == 2
        let type = try file.integer(UInt16.self, at: 16, "e_type")
        // Kernels that can move themselves are ET_DYN; the loader puts them where their headers say.
        guard type == 2 || type == 3 else { throw file.unsupported("e_type", UInt64(type), "not an executable") }
        let machine = try file.integer(UInt16.self, at: 18, "e_machine")
        guard machine == 3 || machine == 62 else {
            throw file.unsupported("e_machine", UInt64(machine), "neither 3 (80386) nor 62 (x86-64)")
        }
        self.file = file
        is64Bit = wide
        entry = try file.word(wide, at: 24, "e_entry")
        let tableOffset = try file.word(wide, at: wide ? 32 : 28, "e_phoff")
        let entrySize = UInt64(try file.integer(UInt16.self, at: wide ? 54 : 42, "e_phentsize"))
        let count = UInt64(try file.integer(UInt16.self, at: wide ? 56 : 44, "e_phnum"))
        guard entrySize >= (wide ? 56 : 32) else {
            throw file.unsupported("e_phentsize", entrySize, "smaller than a program header")
        }
        _ = try file.slice(at: tableOffset, size: entrySize * count, "\(count) program headers")
        var segments: [Segment] = []
        for index in 0..<count {
            let header = tableOffset + index * entrySize
            let name = "program header \(index)"
            let type = try file.integer(UInt32.self, at: header, name)
            guard type == 1 || type == 4 else { continue }
            let segment = Segment(
                isLoadable: type == 1,
                fileOffset: try file.word(wide, at: header + (wide ? 8 : 4), name),
                virtualAddress: try file.word(wide, at: header + (wide ? 16 : 8), name),
                physicalAddress: try file.word(wide, at: header + (wide ? 24 : 12), name),
                fileSize: try file.word(wide, at: header + (wide ? 32 : 16), name),
                memorySize: try file.word(wide, at: header + (wide ? 40 : 20), name))
            _ = try file.slice(at: segment.fileOffset, size: segment.fileSize, "the segment of \(name)")
            guard segment.isLoadable else {
                segments.append(segment)
                continue
            }
            guard segment.memorySize >= segment.fileSize else {
                throw file.unsupported("p_memsz of \(name)", segment.memorySize, "less than p_filesz")
            }
            guard !segment.physicalAddress.addingReportingOverflow(segment.memorySize).overflow else {
                throw file.unsupported("p_paddr of \(name)", segment.physicalAddress, "the segment wraps around")
            }
            if segment.memorySize > 0 { segments.append(segment) }
        }
        self.segments = segments
        guard segments.contains(where: \.isLoadable) else {
            throw file.unsupported("e_phnum", count, "no segment to load among the program headers")
        }
    }

    /// The segments to load.
    package var loadable: [Segment] { segments.filter(\.isLoadable) }

    /// What the loadable segments hold, at their physical addresses.
    package func contents() throws(BootError) -> [MemoryContents] {
        var contents: [MemoryContents] = []
        for segment in loadable {
            let bytes = try file.slice(at: segment.fileOffset, size: segment.fileSize, "a segment")
            contents.append(
                MemoryContents(address: segment.physicalAddress, bytes: bytes, size: segment.memorySize))
        }
        return contents
    }

    /// All notes of the PT_NOTE segments.
    ///
    /// A malformed note ends its segment's list.
    package var notes: [Note] {
        segments.filter { !$0.isLoadable }.flatMap { segment -> [Note] in
            guard var rest = try? file.slice(at: segment.fileOffset, size: segment.fileSize, "notes") else { return [] }
            var notes: [Note] = []
            while rest.count >= 12 {
                let nameSize = Int(rest.littleEndian(UInt32.self))
                let descriptorSize = Int(rest.dropFirst(4).littleEndian(UInt32.self))
                let type = rest.dropFirst(8).littleEndian(UInt32.self)
                let descriptorOffset = 12 + (nameSize + 3) / 4 * 4
                let end = descriptorOffset + (descriptorSize + 3) / 4 * 4
                guard descriptorOffset + descriptorSize <= rest.count else { break }
                let name = rest.dropFirst(12).prefix(nameSize).prefix { $0 != 0 }
                notes.append(
                    Note(
                        owner: String(decoding: name, as: UTF8.self), type: type,
                        descriptor: rest.dropFirst(descriptorOffset).prefix(descriptorSize)))
                rest = rest.dropFirst(end)
            }
            return notes
        }
    }
}

extension BootFile {
    /// A 32-bit or 64-bit field.
    func word(_ wide: Bool, at offset: UInt64, _ field: String) throws(BootError) -> UInt64 {
        wide ? try integer(UInt64.self, at: offset, field) : UInt64(try integer(UInt32.self, at: offset, field))
    }

    /// The error of a file that is something else.
    package func notFormat(_ format: String, _ field: String, found: String, expected: String) -> BootError {
        .notFormat(file: name, format: format, field: field, found: found, expected: expected)
    }

    /// The error of a field whose value cannot be used.
    package func unsupported(_ field: String, _ value: UInt64, _ why: String) -> BootError {
        .unsupported(file: name, field: field, value: value, why: why)
    }
}

/// Bytes as pairs of hexadecimal digits.
func hexText(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}

/// A number in hexadecimal with its prefix.
func hexText(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
