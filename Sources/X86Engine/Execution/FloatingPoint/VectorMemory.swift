import X86

// Memory operands of more than 8 bytes: 128-bit vectors, 80-bit numbers and save areas.

/// A range of linear addresses after translation, in one or two pieces: at most a page long, so at most one page
/// boundary lies in it.
struct TranslatedRange {
    var first: UInt64
    var firstCount: Int
    var second: UInt64
}

extension Processor {
    /// Whether a memory operand of 128 bits must be aligned to 16 bytes.
    enum Alignment { case required, free }

    /// The linear address of a 128-bit memory operand; #GP(0) for one that must be aligned and is not.
    @inline(__always)
    func vectorAddress(
        _ instruction: borrowing Instruction, _ alignment: Alignment, _ kind: AccessKind
    ) throws(Fault) -> UInt64 {
        let segment = instruction.memory.segment
        let address = effectiveAddress(instruction)
        return alignment == .required
            ? try alignedAddress(segment, address, width: 16, alignment: 16, kind)
            : try linearAddress(segment, address, width: 16, kind)
    }

    /// Reads 16 bytes.
    @inline(__always)
    func readVector(_ linear: UInt64) throws(Fault) -> Vector {
        let line = state.pointee.tlb[Int(truncatingIfNeeded: linear >> 12 & state.pointee.tlbMask)]
        if line.readTag == (linear &+ 15) & ~0xFFF, let host = UnsafeRawPointer(bitPattern: UInt(linear &+ line.addend))
        {
            // SAFETY: the tag matched, so 16 bytes at `host` lie inside one page of guest RAM.
            return host.loadUnaligned(as: Vector.self)
        }
        return try readVectorSlow(linear)
    }

    /// Writes 16 bytes.
    @inline(__always)
    func writeVector(_ linear: UInt64, _ value: Vector) throws(Fault) {
        let line = state.pointee.tlb[Int(truncatingIfNeeded: linear >> 12 & state.pointee.tlbMask)]
        if line.writeTag == (linear &+ 15) & ~0xFFF,
            let host = UnsafeMutableRawPointer(bitPattern: UInt(linear &+ line.addend))
        {
            // SAFETY: the tag matched, so 16 bytes at `host` lie inside one page of guest RAM.
            return host.storeBytes(of: value, as: Vector.self)
        }
        try writeVectorSlow(linear, value)
    }

    @inline(never)
    private func readVectorSlow(_ linear: UInt64) throws(Fault) -> Vector {
        var value = Vector()
        try checkAlignment(linear, 16)
        try readBlock(linear, into: &value, count: 16)
        return value
    }

    @inline(never)
    private func writeVectorSlow(_ linear: UInt64, _ value: Vector) throws(Fault) {
        var value = value
        try checkAlignment(linear, 16)
        try writeBlock(linear, from: &value, count: 16)
    }

    /// #AC for an address that is not a multiple of `alignment`, where alignment is checked.
    @inline(__always)
    func checkAlignment(_ linear: UInt64, _ alignment: UInt64) throws(Fault) {
        if linear & (alignment &- 1) != 0 && alignmentChecking { throw .alignmentCheck }
    }

    /// Translates `count` bytes, at most 4096, before any of them is touched.
    func translateRange(_ linear: UInt64, count: Int, _ kind: AccessKind) throws(Fault) -> TranslatedRange {
        let firstCount = min(count, Int(0x1000 &- (linear & 0xFFF)))
        let first = try translateAndFill(linear, kind)
        let second = firstCount < count ? try translateAndFill(wrapLinear(linear &+ UInt64(firstCount)), kind) : 0
        noteDataAccess(linear, count, write: kind == .write)
        return TranslatedRange(first: first, firstCount: firstCount, second: second)
    }

    /// Reads `count` bytes, at most 4096; nothing is read if any of them faults.
    func readBlock(_ linear: UInt64, into target: UnsafeMutableRawPointer, count: Int) throws(Fault) {
        let range = try translateRange(linear, count: count, .read)
        if var reply = try reportRead(linear, count, range), count <= 8 {
            // SAFETY: the caller's buffer has `count` bytes, no more than a quadword here.
            return target.copyMemory(from: &reply, byteCount: count)
        }
        readPhysicalBytes(range.first, into: target, count: range.firstCount)
        readPhysicalBytes(range.second, into: target + range.firstCount, count: count - range.firstCount)
    }

    /// Writes `count` bytes, at most 4096; nothing is written if any of them faults.
    func writeBlock(_ linear: UInt64, from source: UnsafeRawPointer, count: Int) throws(Fault) {
        let range = try translateRange(linear, count: count, .write)
        if try reportWrite(linear, count, range, nil) { return }
        writePhysicalBytes(range.first, from: source, count: range.firstCount)
        writePhysicalBytes(range.second, from: source + range.firstCount, count: count - range.firstCount)
    }

    private func readPhysicalBytes(_ physical: UInt64, into target: UnsafeMutableRawPointer, count: Int) {
        if let page = ramPage(physical) {
            // SAFETY: the caller's buffer has `count` bytes, and the range lies inside the page.
            target.copyMemory(from: memory.pointer(toPage: page) + Int(physical & 0xFFF), byteCount: count)
            return
        }
        var done = 0
        while done < count {
            let width = Self.busWidth(count - done)
            var value = readPhysical(physical &+ UInt64(done), width: width)
            // SAFETY: `done + width` is at most `count`; the low bytes come first.
            (target + done).copyMemory(from: &value, byteCount: width)
            done += width
        }
    }

    private func writePhysicalBytes(_ physical: UInt64, from source: UnsafeRawPointer, count: Int) {
        if let page = ramPage(physical) {
            let bytes = UnsafeRawBufferPointer(start: source, count: count)
            return memory.write(page: page, offset: Int(physical & 0xFFF), bytes: bytes)
        }
        var done = 0
        while done < count {
            let width = Self.busWidth(count - done)
            var value: UInt64 = 0
            // SAFETY: `done + width` is at most `count`; the low bytes come first.
            withUnsafeMutableBytes(of: &value) { target in
                target.copyMemory(from: UnsafeRawBufferPointer(start: source + done, count: width))
            }
            writePhysical(physical &+ UInt64(done), value, width: width)
            done += width
        }
    }

    /// The widest single access for the rest of a block.
    private static func busWidth(_ count: Int) -> Int { count >= 8 ? 8 : count >= 4 ? 4 : count >= 2 ? 2 : 1 }
}
