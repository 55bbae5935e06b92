import Testing
import VirtualMachine

/// Offsets from Linux, Documentation/arch/x86/boot.rst and zero-page.rst.
@Suite struct BootLinuxTests {
    /// A kernel of two setup sectors and 8 KiB of code.
    private func kernel(_ change: (inout FileBuilder) -> Void = { _ in }) -> BootFile {
        var file = FileBuilder(size: 3 * 512 + 8192)
        file.set(0x1F1, UInt8(2))
        file.set(0x1F4, UInt32(8192 / 16))
        file.set(0x1FE, UInt16(0xAA55))
        file.set(0x201, UInt8(0x6A))  // the header ends at 0x26C
        file.set(0x202, text: "HdrS")
        file.set(0x206, UInt16(0x20F))
        file.set(0x211, UInt8(1))
        file.set(0x22C, UInt32(0x7FFF_FFFF))
        file.set(0x230, UInt32(0x20_0000))
        file.set(0x234, UInt8(1))
        file.set(0x236, UInt16(1))
        file.set(0x238, UInt32(2047))
        file.set(0x258, UInt64(0x100_0000))
        file.set(0x260, UInt32(0x80_0000))
        for index in 0..<8192 { file.bytes[1536 + index] = UInt8(truncatingIfNeeded: index &* 7 &+ 1) }
        change(&file)
        return BootFile(name: "vmlinuz", bytes: file.bytes)
    }

    private func load(
        _ file: BootFile, initrd: BootFile? = nil, commandLine: String = "", megabytes: UInt64 = 64
    ) throws -> BootImage {
        try LinuxKernel(file).load(
            initrd: initrd, commandLine: commandLine, memory: PhysicalMemoryMap(size: megabytes << 20), rsdp: 0xE1230)
    }

    @Test func entersIn64BitModeAtTheKernelPlus200() throws {
        let file = kernel()
        let image = try load(file)
        let state = image.state
        #expect(state.rip == 0x100_0200)
        #expect(image.memory(0x100_0000, 8192) == Array(file.bytes[1536...]))
        #expect(state.cs.selector == 0x10 && image.descriptor(0x10)?.attributes == 0xA09B)
        #expect(image.descriptor(0x10) == state.cs)
        for segment in [state.ds, state.es, state.ss] {
            #expect(segment == image.descriptor(0x18) && segment.attributes == 0xC093 && segment.limit == .max)
        }
        #expect(state.cr0 & 0x8000_0001 == 0x8000_0001 && state.cr4 & 0x20 != 0 && state.efer & 0x500 == 0x500)
        #expect(state.rflags & 0x200 == 0)
        for address in [0, 0x100_0000, 0x9000, 0xFFFF_FFFF, 0x8765_4321] as [UInt64] {
            #expect(image.translate(address)?.physical == address)
        }
    }

    /// boot.rst, "32-bit Boot Protocol".
    @Test(arguments: [
        (version: 0x20F, flags: 2, is32Bit: true), (version: 0x20A, flags: 1, is32Bit: true),
        (version: 0x20C, flags: 1, is32Bit: false),
    ])
    func entersAKernelWithout64BitEntryInProtectedModeAtItsStart(version: Int, flags: Int, is32Bit: Bool) throws {
        let state = try load(
            kernel {
                $0.set(0x206, UInt16(version))
                $0.set(0x236, UInt16(flags))
            }
        ).state
        #expect(state.rip == (is32Bit ? 0x100_0000 : 0x100_0200))
        #expect(state.cr0 & 0x8000_0001 == (is32Bit ? 1 : 0x8000_0001))
        guard is32Bit else { return }
        #expect(state.cs.selector == 0x10 && state.cs.attributes == 0xC09B && state.cs.limit == .max)
        for segment in [state.ds, state.es, state.ss] {
            #expect(segment.selector == 0x18 && segment.attributes == 0xC093 && segment.limit == .max)
        }
        #expect(state.rsi == 0x9000 && (state.rbp, state.rdi, state.rbx) == (0, 0, 0))
        #expect(state.rflags & 0x200 == 0)
    }

    @Test func bootParametersCarryHeaderAndMemoryMap() throws {
        let image = try load(
            kernel(), initrd: BootFile(name: "i", bytes: [1, 2, 3, 4, 5]), commandLine: "console=ttyS0 x")
        let page = image.state.rsi
        #expect(image.memory(page + 0x202, 4) == Array("HdrS".utf8))
        #expect(image.u64(page + 0x258) == 0x100_0000)
        #expect(image.u64(page + 0x070) == 0xE1230)
        #expect(image.memory(page + 0x1EF, 1) == [0], "the sentinel marks fields that a loader must clear")
        #expect(image.memory(page + 0x210, 1) == [0xFF])
        #expect(image.u32(page + 0x214) == 0x100_0000)
        #expect(image.text(UInt64(image.u32(page + 0x228))) == "console=ttyS0 x")
        let (start, size) = (UInt64(image.u32(page + 0x218)), image.u32(page + 0x21C))
        #expect(size == 5 && start % 4096 == 0 && image.memory(start, 5) == [1, 2, 3, 4, 5])
        #expect(start == 0x3FF_F000, "the highest page below the end of memory")
        var usable: [Range<UInt64>] = []
        for index in 0..<UInt64(image.memory(page + 0x1E8, 1)[0]) {
            let entry = page + 0x2D0 + index * 20
            if image.u32(entry + 16) == 1 { usable.append(image.u64(entry)..<image.u64(entry) + image.u64(entry + 8)) }
        }
        #expect(usable == [0..<0x9_FC00, 0x10_0000..<0x400_0000])
    }

    @Test func initrdStaysBelowItsHighestAddress() throws {
        let file = kernel { $0.set(0x22C, UInt32(0x1FF_FFFF)) }
        let image = try load(file, initrd: BootFile(name: "i", bytes: [UInt8](repeating: 7, count: 0x2000)))
        #expect(image.u32(image.state.rsi + 0x218) == 0x1FF_E000)
    }

    @Test func movesARelocatableKernelAndKeepsItsAlignment() throws {
        let image = try load(kernel(), megabytes: 16)
        #expect(image.state.rip == 0x20_0200)
    }

    @Test func namesWhatIsWrongWithTheFile() {
        let notKernel = BootFile(name: "r", bytes: (0..<9000).map { UInt8(truncatingIfNeeded: $0 &* 11) })
        #expect(catchBootError { _ = try LinuxKernel(notKernel) }?.description.contains("header at 0x202") == true)
        #expect(
            catchBootError { _ = try LinuxKernel(BootFile(name: "s", bytes: [1])) }
                == .truncated(
                    file: "s", what: "the setup header", offset: 0x1F1, size: 0x15, fileSize: 1))
        #expect(
            catchBootError { _ = try LinuxKernel(BootFile(name: "k", bytes: Array(kernel().bytes[..<5000]))) }
                == .truncated(
                    file: "k", what: "the protected-mode code", offset: 1536, size: 8192, fileSize: 5000))
        let changes: [(String, (inout FileBuilder) -> Void)] = [
            ("boot_flag", { $0.set(0x1FE, UInt16(0)) }),
            ("version", { $0.set(0x206, UInt16(0x209)) }),
            ("loadflags", { $0.set(0x211, UInt8(0)) }),
            ("kernel_alignment", { $0.set(0x230, UInt32(3)) }),
            ("jump", { $0.set(0x201, UInt8(0x20)) }),
        ]
        for (field, change) in changes {
            let text = catchBootError { _ = try LinuxKernel(kernel(change)) }?.description
            #expect(text?.contains(field) == true, "\(field): \(text ?? "no error")")
        }
    }

    @Test func refusesWhatDoesNotFit() {
        #expect(
            catchBootError { _ = try load(kernel(), megabytes: 8) }
                == .memoryTooSmall(what: "init_size of the kernel vmlinuz", needed: 0x80_0000, available: 0x70_0000))
        #expect(
            catchBootError { _ = try load(kernel { $0.set(0x234, UInt8(0)) }, megabytes: 16) }
                == .notRelocatable(
                    file: "vmlinuz", preferredAddress: 0x100_0000, initSize: 0x80_0000, memory: 16 << 20))
        let big = BootFile(name: "big", bytes: [UInt8](repeating: 1, count: 48 << 20))
        #expect(
            catchBootError { _ = try load(kernel(), initrd: big) }
                == .memoryTooSmall(what: "the initrd big", needed: 48 << 20, available: 40 << 20))
        #expect(
            catchBootError { _ = try load(kernel(), commandLine: String(repeating: "x", count: 2048)) }
                == .commandLineTooLong(length: 2048, limit: 2047, file: "vmlinuz"))
        #expect(throws: Never.self) { try load(kernel(), commandLine: String(repeating: "x", count: 2047)) }
        #expect(catchBootError { _ = try load(kernel(), commandLine: "a\0b") } == .commandLineHasNUL)
        #expect(catchBootError { _ = try load(kernel(), initrd: BootFile(name: "e", bytes: [])) } == .empty(file: "e"))
    }

    @Test func survivesEveryTruncationAndByteChange() throws {
        let whole = kernel().bytes
        for length in stride(from: 0, through: 0x300, by: 1) {
            _ = try? load(BootFile(name: "t", bytes: Array(whole[..<length])))
        }
        for offset in 0x1F1..<0x270 {
            for value: UInt8 in [0, 1, 0x7F, 0xFF] {
                var bytes = whole
                bytes[offset] = value
                _ = try? load(BootFile(name: "t", bytes: bytes), initrd: BootFile(name: "i", bytes: [1]))
            }
        }
    }
}
