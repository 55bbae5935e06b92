/// The text a kernel is started with, checked for what no protocol can carry.
struct CommandLine {
    /// The text with its final NUL.
    let bytes: [UInt8]

    init(_ text: String, limit: Int, file: String) throws(BootError) {
        let text = Array(text.utf8)
        guard !text.contains(0) else { throw .commandLineHasNUL }
        guard text.count <= limit else { throw .commandLineTooLong(length: text.count, limit: limit, file: file) }
        bytes = text + [0]
    }
}

extension PhysicalMemoryMap {
    /// Checks that an executable's contents lie in usable RAM and do not overlap, and gives their ranges.
    func place(_ contents: [MemoryContents], of file: BootFile) throws(BootError) -> [Range<UInt64>] {
        var taken: [Range<UInt64>] = []
        for block in contents {
            guard isUsable(block.range) else {
                throw .notInMemory(
                    file: file.name, what: "a segment", address: block.address, size: block.size, memory: size)
            }
            if let other = taken.first(where: { $0.overlaps(block.range) }) {
                throw .overlap(
                    what: "\(file.name): a segment", address: block.address, other: "another segment",
                    otherAddress: other.lowerBound)
            }
            taken.append(block.range)
        }
        return taken
    }

    /// The lowest free place, or the error that memory is too small.
    func reserveLow(
        _ what: String, size: UInt64, within bounds: Range<UInt64>, avoiding taken: inout [Range<UInt64>]
    ) throws(BootError) -> UInt64 {
        guard let address = lowestFree(size: size, alignment: Self.pageSize, within: bounds, avoiding: taken) else {
            throw .memoryTooSmall(what: what, needed: size, available: largestFree(within: bounds, avoiding: taken))
        }
        taken.append(address..<address + size)
        return address
    }

    /// The highest free place, or the error that memory is too small.
    func reserveHigh(
        _ what: String, size: UInt64, within bounds: Range<UInt64>, avoiding taken: inout [Range<UInt64>]
    ) throws(BootError) -> UInt64 {
        guard let address = highestFree(size: size, alignment: Self.pageSize, within: bounds, avoiding: taken) else {
            throw .memoryTooSmall(what: what, needed: size, available: largestFree(within: bounds, avoiding: taken))
        }
        taken.append(address..<address + size)
        return address
    }
}
