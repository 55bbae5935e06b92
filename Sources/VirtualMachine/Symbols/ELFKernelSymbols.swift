// A stripped Linux kernel still has the symbols that it prints its own messages with (CONFIG_KALLSYMS).

extension ELFFile {
    /// A kernel has a handful of segments; what has many more is searched in vain.
    private static let mostSegments = 64

    /// The tables of kallsyms in the loadable segments, with the addresses the kernel is linked at.
    var kernelSymbolTables: KernelSymbolTables? {
        get throws(SymbolError) {
            let segments = loadable.filter { $0.fileSize > 0 }
            guard segments.count <= Self.mostSegments else { return nil }
            let finder = KernelSymbolFinder(linkedMemory(segments), wordSize: is64Bit ? 8 : 4)
            // The per-CPU area is linked at 0; no kernel lies below 1 MiB.
            return try finder.tables(around: segments.map(\.virtualAddress).filter { $0 >= 1 << 20 })
        }
    }

    /// The pages of segments as a program loader maps them.
    private func linkedMemory(_ segments: [Segment]) -> GuestMemoryReader {
        GuestMemoryReader { [file] address, count in
            guard count > 0, count <= file.bytes.count + 0x2000 else { return nil }
            var bytes = [UInt8](repeating: 0, count: count)
            var page = address & ~0xFFF
            let last = (address &+ UInt64(count) &- 1) & ~0xFFF
            while true {
                guard segments.contains(where: { $0.hasPage(page) }) else { return nil }
                guard page != last else { break }
                page &+= 0x1000
            }
            for segment in segments {
                let (start, end) = (segment.virtualAddress, segment.virtualAddress &+ segment.fileSize)
                let from = max(start, address)
                let to = min(end, address &+ UInt64(count))
                guard from < to else { continue }
                let offset = Int(segment.fileOffset + (from - start))
                bytes.replaceSubrange(
                    Int(from - address)..<Int(to - address), with: file.bytes[offset..<offset + Int(to - from)])
            }
            return bytes
        }
    }
}

extension ELFFile.Segment {
    /// Whether some of a page's bytes are in the file.
    fileprivate func hasPage(_ page: UInt64) -> Bool {
        let (last, overflow) = virtualAddress.addingReportingOverflow(fileSize - 1)
        return !overflow && page >= virtualAddress & ~0xFFF && page <= last
    }
}
