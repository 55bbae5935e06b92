/// Bytes that run as they are, at an address of the caller's choice.
package struct FlatImage: Sendable {
    /// The mode in which the first instruction runs, at privilege 0 and with interrupts off.
    package enum Mode: Sendable {
        /// Real-address mode: CS, the other segments and SP are zero for an entry point below 64 KiB, as a boot sector
        /// at 0x7C00 finds them; above, CS carries the entry point.
        case real
        /// 32-bit protected mode, flat segments, paging off.
        case protected
        /// 64-bit mode, the first 4 GiB mapped one to one.
        case long
    }

    package var file: BootFile
    package var address: UInt64
    package var entry: UInt64
    package var mode: Mode

    /// Describes an image; without an entry point its first byte is it.
    package init(_ file: BootFile, at address: UInt64, entry: UInt64? = nil, mode: Mode) {
        self.file = file
        self.address = address
        self.entry = entry ?? address
        self.mode = mode
    }

    /// Puts the image into memory, and the tables its mode needs into the lowest free pages beside it.
    package func load(memory: PhysicalMemoryMap) throws(BootError) -> BootImage {
        guard file.size > 0 else { throw .empty(file: file.name) }
        let block = MemoryContents(address: address, bytes: file.bytes[...])
        // Real-mode programs may lie anywhere in the first MiB, also where protocols would report firmware.
        let wholeRAM = [
            0..<PhysicalMemoryMap.legacyWindow.lowerBound, PhysicalMemoryMap.firmware, memory.low, memory.high,
        ]
        guard
            wholeRAM.contains(where: {
                $0.lowerBound <= address && block.range.upperBound <= $0.upperBound
                    && !block.range.overlaps(PhysicalMemoryMap.legacyWindow)
            })
        else {
            throw .notInMemory(
                file: file.name, what: "the image", address: address, size: file.size, memory: memory.size)
        }
        guard block.range.contains(entry) else {
            throw .outOfRange(
                what: "\(file.name): the entry point", value: entry,
                allowed: "the image's \(hexText(address))..<\(hexText(block.range.upperBound))")
        }
        var taken = [block.range]
        let low = PhysicalMemoryMap.pageSize..<PhysicalMemoryMap.holeStart
        var image: BootImage
        switch mode {
        case .real:
            image = BootImage(contents: [], state: try realModeState())
        case .protected:
            guard entry <= UInt32.max else {
                throw .outOfRange(what: "\(file.name): the entry point", value: entry, allowed: "0...0xffffffff")
            }
            let tables = try memory.reserveLow(
                "the descriptor tables", size: FlatProcessor.protectedModeSize, within: low, avoiding: &taken)
            image = FlatProcessor.protectedMode(entry: entry, tablesAt: tables)
        case .long:
            guard entry < PhysicalMemoryMap.holeEnd else {
                throw .outOfRange(what: "\(file.name): the entry point", value: entry, allowed: "0...0xffffffff")
            }
            let tables = try memory.reserveLow(
                "the page tables", size: FlatProcessor.longModeSize, within: low, avoiding: &taken)
            image = FlatProcessor.longMode(entry: entry, tablesAt: tables)
        }
        image.contents.append(block)
        return image
    }

    private func realModeState() throws(BootError) -> InitialState {
        guard entry < 0x10_0000 else {
            throw .outOfRange(what: "\(file.name): the entry point", value: entry, allowed: "0...0xfffff in real mode")
        }
        var state = InitialState()
        guard entry >= 0x1_0000 else {
            state.rip = entry
            return state
        }
        state.rip = entry & 0xF
        state.cs.selector = UInt16(truncatingIfNeeded: entry >> 4)
        state.cs.base = entry & ~0xF
        return state
    }
}
