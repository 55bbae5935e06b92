import X86

extension Processor {
    /// Fetches and decodes the instruction at `state.rip`.
    ///
    /// #PF for bytes that cannot be fetched, #GP(0) for a limit violation or more than 15 bytes, #UD for no encoding.
    func fetchInstruction() throws(Fault) -> Instruction {
        let s = state
        let wide = s.pointee.mode.code == 64
        let start = wide ? s.pointee.rip : (s.pointee.cs.base &+ s.pointee.rip) & 0xFFFF_FFFF
        if wide {
            guard Self.isCanonical(start) else { throw .generalProtection(0) }
        } else {
            guard s.pointee.rip <= UInt64(s.pointee.cs.limit) else { throw .generalProtection(0) }
        }
        var bytes: (UInt64, UInt64) = (0, 0)
        var available = 0
        let firstCount = min(15, Int(0x1000 &- (start & 0xFFF)))
        let within = wide ? 15 : Int(min(15, UInt64(s.pointee.cs.limit) &- s.pointee.rip &+ 1))
        try fetchBytes(start, into: &bytes, at: 0, count: min(firstCount, within))
        available = min(firstCount, within)
        var result = decode(&bytes, available)
        if case .failure(.truncated) = result, available < within {
            // Only an instruction that needs the second page may fault on it.
            try fetchBytes(
                wrapLinear(start &+ UInt64(available)), into: &bytes, at: available, count: within - available)
            available = within
            result = decode(&bytes, available)
        }
        switch result {
        case .instruction(let instruction): return instruction
        case .failure(.truncated):
            // 15 bytes without an end, or the code segment ends inside the instruction.
            throw .generalProtection(0)
        case .failure(.tooLong): throw .generalProtection(0)
        case .failure(.invalid): throw .invalidOpcode
        }
    }

    private func decode(_ bytes: inout (UInt64, UInt64), _ count: Int) -> DecodeResult {
        let mode = state.pointee.mode.codeMode
        return withUnsafeBytes(of: &bytes) {
            Decoder.decode(UnsafeRawBufferPointer(rebasing: $0[..<count]), mode: mode)
        }
    }

    private func fetchBytes(
        _ linear: UInt64, into bytes: inout (UInt64, UInt64), at position: Int, count: Int
    ) throws(Fault) {
        let physical = try translateForFetch(linear)
        guard let page = ramPage(physical) else {
            // Code from a device: read byte by byte as the bus would.
            for offset in 0..<count {
                let byte = UInt8(truncatingIfNeeded: environment.readDevice(physical &+ UInt64(offset), width: 1))
                withUnsafeMutableBytes(of: &bytes) { $0[position + offset] = byte }
            }
            return
        }
        // SAFETY: the caller keeps `count` bytes inside the page and inside the sixteen bytes of the buffer.
        let source = UnsafeRawBufferPointer(start: memory.pointer(toPage: page) + Int(physical & 0xFFF), count: count)
        withUnsafeMutableBytes(of: &bytes) { target in
            UnsafeMutableRawBufferPointer(rebasing: target[position..<position + count]).copyMemory(from: source)
        }
    }

    /// The physical address of code, by the soft TLB where it knows.
    func translateForFetch(_ linear: UInt64) throws(Fault) -> UInt64 {
        let line = state.pointee.tlb[Int(truncatingIfNeeded: linear >> 12 & state.pointee.tlbMask)]
        if line.executeTag == linear & ~0xFFF { return memory.physicalAddress(ofHost: linear &+ line.addend) }
        return try translateAndFill(linear, .execute)
    }
}
