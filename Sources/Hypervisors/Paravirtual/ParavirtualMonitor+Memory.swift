import X86
import X86Engine

// The guest's memory as its kernel reaches it, and what it holds of descriptors.

extension ParavirtualMonitor {
    package var descriptorTable: (physical: UInt64, size: UInt64)? {
        (state.descriptorTable, UInt64(state.descriptorPages) << 12)
    }

    /// An address as the kernel's code has it.
    func wrap(_ address: UInt64) -> UInt64 { state.isWide ? address : address & 0xFFFF_FFFF }

    /// A 64-bit linear address that code can use.
    static func isCanonical(_ address: UInt64) -> Bool {
        UInt64(bitPattern: Int64(bitPattern: address << 16) >> 16) == address
    }

    /// Where an access of the kernel's to a linear address leads in the guest's memory; nil where it is not allowed.
    func physical(_ linear: UInt64, _ kind: AccessKind) -> UInt64? {
        guard !state.isWide || Self.isCanonical(linear) else { return nil }
        let s = machine.state
        s.pointee.cpl = kernelRing
        s.pointee.cr3 = state.kernelRoot
        var steps: [WalkStep] = []
        guard let physical = try? machine.walk(linear, kind, touch: true, steps: &steps),
            paging.page(at: physical) != nil
        else { return nil }
        return physical
    }

    /// Splits a range of the kernel's at page borders; false, with nothing done, if not all of it can be accessed.
    private func forEachPart(
        of linear: UInt64, count: Int, _ kind: AccessKind, _ body: (_ physical: UInt64, _ range: Range<Int>) -> Void
    ) -> Bool {
        var parts: [(physical: UInt64, range: Range<Int>)] = []
        var done = 0
        while done < count {
            let address = wrap(linear &+ UInt64(done))
            guard let start = physical(address, kind) else { return false }
            let part = min(4096 - Int(address & 0xFFF), count - done)
            parts.append((start, done..<done + part))
            done += part
        }
        for (physical, range) in parts { body(physical, range) }
        return true
    }

    /// Reads bytes as the kernel would; nil if it could not.
    func readBytes(_ linear: UInt64, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let isRead = forEachPart(of: linear, count: count, .read) { physical, range in
            bytes.withUnsafeMutableBytes { buffer in
                _ = memory.machine.read(physical, into: UnsafeMutableRawBufferPointer(rebasing: buffer[range]))
            }
        }
        return isRead ? bytes : nil
    }

    /// Writes bytes as the kernel would; false, with nothing written, if it could not.
    func writeBytes(_ bytes: [UInt8], at linear: UInt64) -> Bool {
        forEachPart(of: linear, count: bytes.count, .write) { physical, range in
            bytes.withUnsafeBytes { buffer in
                _ = memory.machine.write(physical, UnsafeRawBufferPointer(rebasing: buffer[range]))
            }
        }
    }

    /// Reads words of the kernel's width; nil if it could not read all of them.
    func readWords(_ linear: UInt64, _ count: Int, width: Int) -> [UInt64]? {
        guard let bytes = readBytes(linear, count * width) else { return nil }
        return (0..<count).map { index in
            bytes[index * width..<(index + 1) * width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    /// The bytes of words of the kernel's width.
    func bytes(_ words: [UInt64]) -> [UInt8] {
        words.flatMap { word in (0..<width).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) } }
    }

    /// The bytes of a word of the kernel's.
    var width: Int { state.isWide ? 8 : 4 }

    // MARK: Descriptors

    /// The segment of a selector, of the flat ones or of the guest's own table; nil if there is none that is present.
    func segment(_ selector: UInt16) -> SegmentState? {
        let flat = selector & ~3
        if let known = FlatSelector.attributes.keys.first(where: { $0 & ~3 == flat }) {
            guard FlatSelector.isThere(known, isWide: state.isWide) else { return nil }
            return FlatSelector.segment(known)
        }
        let offset = UInt64(selector & ~7)
        guard selector & 4 == 0, offset != 0, offset < state.descriptorPages << 12 else { return nil }
        let descriptor = Descriptor(low: memory.machine.quadword(at: state.descriptorTable &+ offset))
        guard descriptor.isPresent, descriptor.isCodeOrData else { return nil }
        return SegmentState(Selector(selector), descriptor)
    }
}
