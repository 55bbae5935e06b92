import X86Engine

extension Guest {
    /// The level at which the IDT's handler of a vector would run now; ring 0 if there is none that can be entered.
    ///
    /// SDM vol. 3 sections 6.10 to 6.14; changes nothing.
    package func handlerLevel(of vector: Int) -> Level {
        let s = processor.state.pointee
        guard s.cr0 & CR0.PE != 0 else { return .ring0 }
        let size: UInt64 = s.efer & EFER.LMA != 0 ? 16 : 8
        let start = UInt64(vector & 0xFF) * size
        guard start + size - 1 <= UInt64(s.idtr.limit), let gate = quadword(s.idtr.base &+ start), gate >> 47 & 1 == 1,
            [0x6, 0x7, 0xE, 0xF].contains(gate >> 40 & 0xF)
        else { return .ring0 }
        let selector = UInt16(truncatingIfNeeded: gate >> 16)
        let isLocal = selector & 4 != 0
        let (base, limit) =
            isLocal ? (s.ldtr.base, UInt64(s.ldtr.limit)) : (s.gdtr.base, UInt64(s.gdtr.limit))
        guard selector & ~3 != 0, UInt64(selector | 7) <= limit, let code = quadword(base &+ UInt64(selector & ~7))
        else { return .ring0 }
        // Conforming code runs at the level that it is entered from.
        return code >> 42 & 3 == 3 ? Level(cpl: s.cpl) : Level(cpl: UInt8(code >> 45 & 3))
    }

    private func quadword(_ linear: UInt64) -> UInt64? {
        memoryReader.bytes(at: linear, count: 8)?[...].littleEndian(UInt64.self)
    }
}
