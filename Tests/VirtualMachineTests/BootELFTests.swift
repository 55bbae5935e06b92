import Testing
import VirtualMachine

/// Builds ELF files by the System V gABI.
struct ELFBuilder {
    struct Segment {
        var type: UInt32 = 1
        var virtual: UInt64
        var physical: UInt64
        var bytes: [UInt8]
        var memorySize: UInt64?
    }

    var is64Bit = true
    var entry: UInt64 = 0
    var segments: [Segment] = []

    var file: BootFile {
        let (header, row) = is64Bit ? (64, 56) : (52, 32)
        var file = FileBuilder(size: header + row * segments.count)
        file.set(0, text: "\u{7F}ELF")
        file.bytes[4] = is64Bit ? 2 : 1
        file.bytes[5] = 1
        file.bytes[6] = 1
        file.set(16, UInt16(2))
        file.set(18, UInt16(is64Bit ? 62 : 3))
        func word(_ offset: Int, _ value: UInt64) {
            if is64Bit { file.set(offset, value) } else { file.set(offset, UInt32(truncatingIfNeeded: value)) }
        }
        word(24, entry)
        word(is64Bit ? 32 : 28, UInt64(header))
        file.set(is64Bit ? 54 : 42, UInt16(row))
        file.set(is64Bit ? 56 : 44, UInt16(segments.count))
        for (index, segment) in segments.enumerated() {
            let base = header + index * row
            file.set(base, segment.type)
            word(base + (is64Bit ? 8 : 4), UInt64(file.bytes.count))
            word(base + (is64Bit ? 16 : 8), segment.virtual)
            word(base + (is64Bit ? 24 : 12), segment.physical)
            word(base + (is64Bit ? 32 : 16), UInt64(segment.bytes.count))
            word(base + (is64Bit ? 40 : 20), segment.memorySize ?? UInt64(segment.bytes.count))
            file.bytes += segment.bytes
        }
        return BootFile(name: "kernel.elf", bytes: file.bytes)
    }

    /// A note as the gABI lays it out, padded to 4.
    static func note(_ owner: String, _ type: UInt32, _ descriptor: [UInt8]) -> [UInt8] {
        var file = FileBuilder(size: 12)
        file.set(0, UInt32(owner.utf8.count + 1))
        file.set(4, UInt32(descriptor.count))
        file.set(8, type)
        file.bytes += Array(owner.utf8) + [0]
        while file.bytes.count % 4 != 0 { file.bytes.append(0) }
        file.bytes += descriptor
        while file.bytes.count % 4 != 0 { file.bytes.append(0) }
        return file.bytes
    }
}

/// Offsets from Xen, public/arch-x86/hvm/start_info.h.
@Suite struct BootPVHTests {
    private func kernel(note: [UInt8]? = nil, physical: UInt64 = 0x100_0000) -> BootFile {
        let entryNote = ELFBuilder.note("Xen", 18, [0x50, 0x08, 0x00, 0x01, 0, 0, 0, 0])
        let notes =
            ELFBuilder.note("GNU", 18, [1, 2, 3, 4]) + ELFBuilder.note("Linux", 257, [9, 9, 9]) + (note ?? entryNote)
        return ELFBuilder(
            entry: 0x100_0000,
            segments: [
                .init(
                    virtual: 0xFFFF_FFFF_8100_0000, physical: physical, bytes: [UInt8](repeating: 0xAB, count: 0x1000),
                    memorySize: 0x3000),
                .init(type: 4, virtual: 0, physical: 0, bytes: notes),
            ]
        ).file
    }

    private func load(_ file: BootFile, initrd: BootFile? = nil, commandLine: String = "") throws -> BootImage {
        try PVHKernel(file).load(
            initrd: initrd, commandLine: commandLine, memory: PhysicalMemoryMap(size: 64 << 20), rsdp: 0xE0000)
    }

    @Test func entersProtectedModeWithTheStartInformation() throws {
        let image = try load(kernel(), initrd: BootFile(name: "i", bytes: [1, 2, 3]), commandLine: "quiet")
        let state = image.state
        #expect(state.rip == 0x100_0850)
        #expect(state.cr0 & 0x8000_0001 == 1 && state.cr4 == 0 && state.efer == 0 && state.rflags & 0x2_0200 == 0)
        #expect(state.cs.attributes == 0xC09B && state.cs.base == 0 && state.cs.limit == .max)
        #expect(state.ds.attributes == 0xC093 && state.ss == state.ds && state.es == state.ds)
        #expect(state.tr.base != 0 || state.tr.limit == 0x67)
        #expect(state.tr.limit == 0x67 && state.tr.attributes & 0xFF == 0x8B)
        for segment in [state.cs, state.ds, state.tr] { #expect(image.descriptor(segment.selector) == segment) }

        let information = state.rbx
        #expect(image.u32(information) == 0x336E_C578)
        #expect(image.u32(information + 4) == 1)
        #expect(image.u32(information + 12) == 1)
        let module = image.u64(information + 16)
        #expect(image.memory(image.u64(module), 3) == [1, 2, 3] && image.u64(module + 8) == 3)
        #expect(image.text(image.u64(information + 24)) == "quiet")
        #expect(image.u64(information + 32) == 0xE0000)
        let (map, count) = (image.u64(information + 40), image.u32(information + 48))
        var usable: [Range<UInt64>] = []
        for index in 0..<UInt64(count) where image.u32(map + index * 24 + 16) == 1 {
            usable.append(image.u64(map + index * 24)..<image.u64(map + index * 24) + image.u64(map + index * 24 + 8))
        }
        #expect(usable == [0..<0x9_FC00, 0x10_0000..<0x400_0000])
    }

    @Test func withoutInitrdThereIsNoModule() throws {
        let image = try load(kernel())
        #expect(image.u32(image.state.rbx + 12) == 0 && image.u64(image.state.rbx + 16) == 0)
    }

    @Test func memoryBehindTheSegmentsBytesIsZero() throws {
        let image = try load(kernel())
        #expect(image.memory(0x100_0FFF, 2) == [0xAB, 0])
        #expect(image.contents.contains { $0.range == 0x100_0000..<0x100_3000 })
    }

    @Test func namesWhatIsMissing() {
        let noNote = catchBootError { _ = try PVHKernel(kernel(note: [])) }
        #expect(noNote?.description.contains("XEN_ELFNOTE_PHYS32_ENTRY") == true)
        let outside = ELFBuilder.note("Xen", 18, [0, 0, 0, 2])
        #expect(
            catchBootError { _ = try PVHKernel(kernel(note: outside)) }
                == .unsupported(
                    file: "kernel.elf", field: "note XEN_ELFNOTE_PHYS32_ENTRY", value: 0x200_0000,
                    why: "not inside a loadable segment below 4 GiB"))
        let high = catchBootError {
            _ = try PVHKernel(kernel()).load(memory: PhysicalMemoryMap(size: 16 << 20))
        }
        #expect(
            high
                == .notInMemory(
                    file: "kernel.elf", what: "a segment", address: 0x100_0000, size: 0x3000, memory: 16 << 20))
        #expect(catchBootError { _ = try PVHKernel(BootFile(name: "x", bytes: [1, 2, 3])) } != nil)
    }

    @Test func overlappingSegmentsAreRefused() throws {
        let file = ELFBuilder(segments: [
            .init(virtual: 0x20_0000, physical: 0x20_0000, bytes: [1, 2, 3, 4]),
            .init(virtual: 0x20_0000, physical: 0x20_0003, bytes: [5]),
            .init(type: 4, virtual: 0, physical: 0, bytes: ELFBuilder.note("Xen", 18, [0, 0, 0x20, 0])),
        ]).file
        let error = catchBootError { _ = try PVHKernel(file).load(memory: PhysicalMemoryMap(size: 16 << 20)) }
        #expect(error?.description.contains("overlaps") == true)
    }

    @Test func survivesEveryByteChange() throws {
        let whole = kernel().bytes
        for offset in 0..<min(whole.count, 176) {
            for value: UInt8 in [0, 1, 0x80, 0xFF] {
                var bytes = whole
                bytes[offset] = value
                _ = try? load(BootFile(name: "t", bytes: bytes))
            }
        }
        for offset in whole.count - 72..<whole.count {
            var bytes = whole
            bytes[offset] = 0xFF
            _ = try? load(BootFile(name: "t", bytes: bytes))
        }
        for length in 0..<200 { _ = try? load(BootFile(name: "t", bytes: Array(whole[..<length]))) }
    }
}

/// Offsets from the Multiboot Specification 0.6.96.
@Suite struct BootMultibootTests {
    /// The header's three words, padded to `offset`.
    private func header(flags: UInt32, at offset: Int = 0) -> FileBuilder {
        var file = FileBuilder(size: offset + 64)
        file.set(offset, UInt32(0x1BAD_B002))
        file.set(offset + 4, flags)
        file.set(offset + 8, 0 &- (UInt32(0x1BAD_B002) &+ flags))
        return file
    }

    private func kernel(is64Bit: Bool, flags: UInt32 = 3) -> BootFile {
        var segment = header(flags: flags).bytes
        segment += [UInt8](repeating: 0x90, count: 64)
        return ELFBuilder(
            is64Bit: is64Bit, entry: 0xC010_0040,
            segments: [.init(virtual: 0xC010_0000, physical: 0x10_0000, bytes: segment, memorySize: 0x2000)]
        ).file
    }

    private let memory = try? PhysicalMemoryMap(size: 32 << 20)

    private func load(
        _ file: BootFile, modules: [MultibootKernel.Module] = [], commandLine: String = ""
    ) throws -> BootImage {
        try MultibootKernel(file).load(modules: modules, commandLine: commandLine, memory: #require(memory))
    }

    @Test(arguments: [false, true]) func elfIsEnteredAtThePhysicalPlaceOfItsEntry(is64Bit: Bool) throws {
        let modules = [
            MultibootKernel.Module(BootFile(name: "a", bytes: [1, 2, 3]), commandLine: "first mod"),
            MultibootKernel.Module(BootFile(name: "b", bytes: [4]), commandLine: ""),
        ]
        let image = try load(kernel(is64Bit: is64Bit), modules: modules, commandLine: "kernel arg")
        let state = image.state
        #expect(state.rip == 0x10_0040 && state.rax == 0x2BAD_B002)
        #expect(state.cr0 & 0x8000_0001 == 1 && state.rflags & 0x2_0200 == 0)
        #expect(state.cs.attributes == 0xC09B && state.ds.attributes == 0xC093 && state.cs.limit == .max)
        let information = state.rbx
        let flags = image.u32(information)
        #expect(flags & 0b1001101 == 0b1001101)
        #expect(image.u32(information + 4) == 639)
        #expect(image.u32(information + 8) == 31 * 1024)
        #expect(image.text(UInt64(image.u32(information + 16))) == "kernel arg")
        #expect(image.u32(information + 20) == 2)
        let table = UInt64(image.u32(information + 24))
        let starts = [UInt64(image.u32(table)), UInt64(image.u32(table + 16))]
        #expect(starts.allSatisfy { $0 % 4096 == 0 && $0 >= 0x10_2000 })
        #expect(image.memory(starts[0], 3) == [1, 2, 3] && image.u32(table + 4) == UInt32(starts[0]) + 3)
        #expect(image.memory(starts[1], 1) == [4])
        #expect(image.text(UInt64(image.u32(table + 8))) == "first mod")
        #expect(image.text(UInt64(image.u32(table + 24))) == "")

        var position = UInt64(image.u32(information + 48))
        let end = position + UInt64(image.u32(information + 44))
        var usable: [Range<UInt64>] = []
        while position < end {
            let start = image.u64(position + 4)
            if image.u32(position + 20) == 1 { usable.append(start..<start + image.u64(position + 12)) }
            position += UInt64(image.u32(position)) + 4
        }
        #expect(usable == [0..<0x9_FC00, 0x10_0000..<0x200_0000])
    }

    @Test func addressFieldsReplaceTheELFHeader() throws {
        var file = header(flags: 0x1_0000, at: 0x20)
        file.bytes += [UInt8](repeating: 0xCC, count: 0x100)
        let fields: [UInt32] = [0x10_0010, 0x10_0000, 0x10_0080, 0x10_4000, 0x10_0030]
        for (index, field) in fields.enumerated() { file.set(0x20 + 12 + index * 4, field) }
        let image = try load(BootFile(name: "aout", bytes: file.bytes))
        #expect(image.state.rip == 0x10_0030)
        #expect(image.memory(0x10_0000, 0x80) == Array(file.bytes[0x10..<0x90]))
        #expect(image.memory(0x10_0080, 16) == [UInt8](repeating: 0, count: 16))
        #expect(image.contents.contains { $0.range == 0x10_0000..<0x10_4000 })
    }

    @Test func zeroEndsMeanTheWholeFileAndNoBSS() throws {
        var file = header(flags: 0x1_0000)
        for (index, field) in ([0x10_0000, 0x10_0000, 0, 0, 0x10_0020] as [UInt32]).enumerated() {
            file.set(12 + index * 4, field)
        }
        let image = try load(BootFile(name: "aout", bytes: file.bytes))
        #expect(image.contents.contains { $0.range == 0x10_0000..<0x10_0040 })
    }

    @Test func refusesHeadersItCannotHonour() {
        let none = catchBootError {
            _ = try MultibootKernel(BootFile(name: "n", bytes: [UInt8](repeating: 0, count: 99)))
        }
        #expect(none?.description.contains("0x1badb002") == true)
        let video = catchBootError { _ = try MultibootKernel(kernel(is64Bit: false, flags: 7)) }
        #expect(video?.description.contains("video mode") == true)
        let unknown = catchBootError { _ = try MultibootKernel(kernel(is64Bit: false, flags: 0x103)) }
        #expect(unknown?.description.contains("flags is 0x103") == true)
        var wrongSum = header(flags: 0)
        wrongSum.set(8, UInt32(1))
        let sum = catchBootError { _ = try MultibootKernel(BootFile(name: "s", bytes: wrongSum.bytes)) }
        #expect(sum?.description.contains("checksum") == true)
        // Behind the first 8,192 bytes a header does not count.
        let late = BootFile(name: "l", bytes: [UInt8](repeating: 0, count: 8192) + header(flags: 0).bytes)
        #expect(catchBootError { _ = try MultibootKernel(late) } != nil)
    }

    @Test func survivesEveryByteChange() throws {
        var addressFields = header(flags: 0x1_0000)
        for (index, field) in ([0x10_0000, 0x10_0000, 0, 0, 0x10_0020] as [UInt32]).enumerated() {
            addressFields.set(12 + index * 4, field)
        }
        for whole in [kernel(is64Bit: false).bytes, kernel(is64Bit: true).bytes, addressFields.bytes] {
            for offset in 0..<min(whole.count, 128) {
                for value: UInt8 in [0, 1, 0x80, 0xFF] {
                    var bytes = whole
                    bytes[offset] = value
                    _ = try? load(BootFile(name: "t", bytes: bytes))
                }
            }
        }
    }
}
